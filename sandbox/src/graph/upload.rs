//! The upload host: another address than Graph's. It accepts the parts of a large file one after
//! the other at a URL that is a key itself, and refuses an `Authorization`.

use std::sync::Arc;

use axum::body::Body;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use crate::faults::fault::Station;
use crate::graph::call::Work;
use crate::graph::call::content_length;
use crate::graph::errors::Refusal;
use crate::graph::errors::length_required;
use crate::graph::mailboxes::Slot;
use crate::graph::uploads::Key;
use crate::graph::uploads::Range;
use crate::graph::uploads::Session;
use crate::graph::uploads::no_session;
use crate::server::call::Call;
use crate::settings::NextRange;
use crate::time;

/// `PUT`: the next part. The last one attaches the file to its draft.
pub(crate) async fn put(call: Call, body: Body) -> Response<Body> {
    let admitted = admit(&call);
    call.answer(Station::Upload, admitted, body, |work| part(&call, work))
        .await
}

/// `GET`: the progress of the upload.
pub(crate) async fn progress(call: Call, body: Body) -> Response<Body> {
    let admitted = admit(&call);
    call.answer(Station::Progress, admitted, body, |_| {
        let uploads = &call.shared.uploads;
        let state = uploads.with(key(&call), |session| state(&call, session))?;
        Ok(call.resource(StatusCode::OK, &state))
    })
    .await
}

/// `DELETE`: cancels the upload.
pub(crate) async fn cancel(call: Call, body: Body) -> Response<Body> {
    let admitted = admit(&call);
    call.answer(Station::Cancel, admitted, body, |_| {
        call.shared.uploads.close(key(&call))?;
        Ok(call.bare(StatusCode::NO_CONTENT))
    })
    .await
}

fn admit(call: &Call) -> Result<Slot, Refusal> {
    if call.headers.contains_key(header::AUTHORIZATION) {
        return Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "InvalidAudience",
            "The audience claim value is invalid 'aud'.",
        ));
    }
    let uploads = &call.shared.uploads;
    let mailbox = uploads.with(key(call), |session| Arc::clone(&session.mailbox))?;
    call.note_mailbox(&mailbox);
    Slot::claim(mailbox, &call.shared.settings)
}

fn part(call: &Call, work: &mut Work<'_>) -> Result<Response<Bytes>, Refusal> {
    let uploads = &call.shared.uploads;
    if work.fault.as_ref().is_some_and(|fault| fault.expires) {
        uploads.close(key(call))?;
        return Err(no_session());
    }
    if content_length(&call.headers).is_none() {
        return Err(length_required());
    }
    let range = Range::of(&call.headers)?;
    let body = std::mem::take(&mut work.body);
    let unfinished = uploads.with(key(call), |session| {
        session.add(range, &body)?;
        let whole = session.received.len() as u64 == session.size;
        Ok((!whole).then(|| state(call, session)))
    })??;
    if let Some(state) = unfinished {
        return Ok(call.resource(StatusCode::OK, &state));
    }
    let session = uploads.close(key(call))?;
    let attachment = session.label.attachment(session.received);
    let mailbox = &work.mailbox.upn;
    let location = format!(
        "{}/api/v2.0/Users('{mailbox}@{}')/Messages('{}')/Attachments('{}')",
        call.shared.upload_host, call.shared.settings.tenant, session.draft, attachment.id
    );
    let messages = &call.shared.messages;
    messages.attach(mailbox, &session.draft, attachment)?;
    let mut response = call.bare(StatusCode::CREATED);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// An intermediate answer. The documentation writes the capital E.
fn state(call: &Call, session: &Session) -> Value {
    let next = session.received.len();
    let next = match call.shared.settings.next_range {
        NextRange::Bare => next.to_string(),
        NextRange::Open => format!("{next}-"),
    };
    json!({
        "@odata.context": format!(
            "{}/api/gv1.0/$metadata#Users('{}')/Messages('{}')/AttachmentSessions/$entity",
            call.shared.upload_host, session.mailbox.upn, session.draft
        ),
        "ExpirationDateTime": time::fine(session.until),
        "nextExpectedRanges": [next],
    })
}

/// The ID and the token of an upload URL.
fn key(call: &Call) -> Option<Key<'_>> {
    let (_, rest) = call.uri.path().split_once("/AttachmentSessions('")?;
    let (id, _) = rest.split_once("')")?;
    let options = call.uri.query()?.split('&');
    let token = options
        .filter_map(|option| option.strip_prefix("authtoken="))
        .next()?;
    Some(Key { id, token })
}
