//! A message as the client gave it, by sendMail or as a draft, in either form, and the rules for
//! sending it.

use axum::body::Bytes;
use axum::http::StatusCode;

use crate::faults::addresses::SEND_AS_DENIED;
use crate::graph::errors::Refusal;
use crate::server::exchange::Exchange;
use crate::settings::Settings;
use crate::store::Arrival;
use crate::store::Attachment;
use crate::store::BccBy;
use crate::store::Form;
use crate::store::Route;
use crate::time;

/// A message that could be read.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) form: Form,
    /// The MIME message, or the JSON body.
    pub(crate) raw: Bytes,
    /// The addresses of the From field; if there are none, Graph fills in the mailbox.
    pub(crate) from: Vec<String>,
    pub(crate) to: Vec<String>,
    pub(crate) cc: Vec<String>,
    pub(crate) bcc: Vec<String>,
    pub(crate) bcc_by: Option<BccBy>,
    pub(crate) subject: String,
    pub(crate) message_id: Option<String>,
    /// The files within the JSON; files within MIME are only in `raw`.
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) copy: SentCopy,
}

/// Whether a sent message stays in Sent Messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SentCopy {
    Kept,
    Unwanted,
}

impl Submission {
    pub(crate) fn recipients(&self) -> impl Iterator<Item = &String> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }

    /// Identifies the message: its Message-ID, or else its content.
    pub(crate) fn identity(&self) -> &[u8] {
        match &self.message_id {
            Some(id) => id.as_bytes(),
            None => &self.raw,
        }
    }

    /// Returns the record of a message that sendMail accepted.
    pub(crate) fn arrival(self, mailbox: &str, exchange: &Exchange) -> Arrival {
        Arrival {
            id: 0,
            time: time::now(),
            mailbox: mailbox.to_owned(),
            route: Route::SendMail,
            form: self.form,
            raw: self.raw,
            from: self.from,
            to: self.to,
            cc: self.cc,
            bcc: self.bcc,
            bcc_by: self.bcc_by,
            subject: self.subject,
            message_id: self.message_id,
            attachments: self.attachments,
            client_request_id: exchange.given_id().map(str::to_owned),
            request_id: exchange.request_id.clone(),
        }
    }

    /// Checks recipients and author, in the same way for both forms.
    pub(crate) fn check(&self, mailbox: &str, settings: &Settings) -> Result<(), Refusal> {
        let mut count = 0;
        for recipient in self.recipients() {
            count += 1;
            if !is_address(recipient) {
                return Err(invalid_recipients(&format!(
                    "Recipient \"{recipient}\" isn't resolved."
                )));
            }
        }
        if count == 0 {
            return Err(invalid_recipients(
                "A message can't be sent because it contains no recipients.",
            ));
        }
        if count > settings.recipient_limit {
            return Err(Refusal::bad(
                "ErrorRecipientLimitExceeded",
                "The recipient limit for this message has been exceeded.",
            ));
        }
        let may_send_as = |author: &String| {
            let own = |(alias, upn): (&String, &String)| {
                alias.eq_ignore_ascii_case(author) && upn.eq_ignore_ascii_case(mailbox)
            };
            author.eq_ignore_ascii_case(mailbox)
                || settings.proxy_addresses.iter().any(own)
                || settings
                    .send_as
                    .iter()
                    .any(|allowed| allowed.eq_ignore_ascii_case(author))
        };
        if self.from.iter().all(may_send_as) {
            Ok(())
        } else {
            Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "ErrorSendAsDenied",
                SEND_AS_DENIED,
            ))
        }
    }
}

/// A 400 for a message over the mailbox's MaxSendSize.
pub(crate) fn message_too_large() -> Refusal {
    Refusal::bad(
        "ErrorMessageSizeExceeded",
        "The message exceeds the maximum supported size., Cannot save changes made to an item to \
         store.",
    )
}

/// A 400 with the two sentences of Exchange.
pub(crate) fn invalid_recipients(detail: &str) -> Refusal {
    Refusal::bad(
        "ErrorInvalidRecipients",
        format!("At least one recipient is not valid., {detail}"),
    )
}

/// Whether Exchange could resolve it as an address at all; not whether anybody has it.
fn is_address(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local_part, domain)| {
        !local_part.is_empty()
            && !domain.is_empty()
            && !domain.contains(char::is_whitespace)
            && !text.contains(char::is_control)
    })
}
