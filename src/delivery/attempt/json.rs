//! The JSON form, if an account asks for it and a message can have it.
//!
//! A message that would not survive it is sent in MIME form, and the log says why: it is
//! signed, encrypted, an invitation, a report or too large for one request, or a part of
//! it cannot be decoded for certain. For all others the log names what was lost. Promise
//! 3 holds for the properties as for the header section.

use std::collections::HashSet;

use super::compose::Composed;
use crate::config::Route;
use crate::config::Submission;
use crate::delivery::outcome::error::AttemptError;
use crate::graph::Json;
use crate::graph::Message;
use crate::graph::SentItems;
use crate::mail::Address;
use crate::mime::JsonMessage;
use crate::mime::Mailbox;
use crate::spool::Claimed;
use crate::telemetry::maillog;

/// The JSON form of a composed message; none if it must be sent in MIME form.
pub(in crate::delivery) async fn form(
    entry: &Claimed,
    composed: &Composed,
    submission: &Submission,
) -> Result<Option<Json>, AttemptError> {
    if composed.message.size() > submission.request_limit {
        maillog::not_json(entry.id, "it is too large for one request");
        return Ok(None);
    }
    let read = composed.message.read().await;
    let bytes = read.map_err(AttemptError::unread)?;
    // Parsing a message of several MB keeps a thread busy.
    let rendered = tokio::task::spawn_blocking(move || JsonMessage::of(&bytes)).await;
    let mut json_message = match rendered {
        Ok(Ok(json_message)) => json_message,
        Ok(Err(error)) => {
            maillog::not_json(entry.id, &error.to_string());
            return Ok(None);
        }
        Err(_) => {
            maillog::not_json(
                entry.id,
                "it could not be parsed; this is a bug, please report it",
            );
            return Ok(None);
        }
    };
    // No field names them, and in the JSON form none has to.
    let blind = composed.blind.iter().cloned();
    json_message.bcc.extend(blind.map(Mailbox::from));
    let named: HashSet<String> = json_message.recipients().map(Address::key).collect();
    let wanted: HashSet<String> = composed.recipients.iter().map(Address::key).collect();
    if named != wanted {
        maillog::not_json(
            entry.id,
            "its recipients cannot be determined with certainty",
        );
        return Ok(None);
    }
    let sent_items = match submission.save_to_sent_items {
        true => SentItems::Kept,
        false => SentItems::NotKept,
    };
    let entry_id = entry.id.to_string();
    let said = Message::of(&json_message);
    let json = match submission.route {
        Route::Send => Json::send_mail(&said, sent_items),
        Route::Draft => Json::draft(said, &entry_id),
    };
    let json = json.map_err(|error| AttemptError::unread(error.into()))?;
    if json.body().len() as u64 > submission.request_limit {
        maillog::not_json(entry.id, "it is too large for one request");
        return Ok(None);
    }
    let lost = json_message.lost.iter().map(ToString::to_string);
    maillog::lost_in_json(entry.id, &lost.collect::<Vec<_>>().join(", "));
    Ok(Some(json))
}
