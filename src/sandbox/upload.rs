//! The upload host: another address than Graph's, where the parts of a large file are put one after
//! the other, by a URL that is a key by itself. An `Authorization` is refused there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::SystemTime;

use axum::body::Body;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::sandbox::Settings;
use crate::sandbox::call::Call;
use crate::sandbox::call::Work;
use crate::sandbox::call::content_length;
use crate::sandbox::call::length_required;
use crate::sandbox::directory::Mailbox;
use crate::sandbox::directory::Slot;
use crate::sandbox::errors::Refusal;
use crate::sandbox::fault::Station;
use crate::sandbox::files::Label;
use crate::sandbox::settings::NextRange;
use crate::sandbox::store::locked;
use crate::sandbox::wall;

/// `PUT`: the next part. The last one attaches the file to its draft.
pub(super) async fn put(call: Call, body: Body) -> Response<Body> {
    let admitted = admit(&call);
    call.answer(Station::Upload, admitted, body, |work| part(&call, work))
        .await
}

/// `GET`: how far the upload is.
pub(super) async fn progress(call: Call, body: Body) -> Response<Body> {
    let admitted = admit(&call);
    call.answer(Station::Progress, admitted, body, |_| {
        let uploads = &call.shared.uploads;
        let state = uploads.with(&call, |session| state(&call, session))?;
        Ok(call.resource(StatusCode::OK, &state))
    })
    .await
}

/// `DELETE`: the upload is given up.
pub(super) async fn cancel(call: Call, body: Body) -> Response<Body> {
    let admitted = admit(&call);
    call.answer(Station::Cancel, admitted, body, |_| {
        call.shared.uploads.close(&call)?;
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
    let mailbox = uploads.with(call, |session| Arc::clone(&session.mailbox))?;
    call.note_mailbox(&mailbox);
    Slot::claim(mailbox, &call.shared.settings)
}

fn part(call: &Call, work: &mut Work<'_>) -> Result<Response<Bytes>, Refusal> {
    let uploads = &call.shared.uploads;
    if work.fault.as_ref().is_some_and(|fault| fault.expires) {
        uploads.close(call)?;
        return Err(no_session());
    }
    if content_length(&call.headers).is_none() {
        return Err(length_required());
    }
    let range = Range::of(&call.headers)?;
    let body = std::mem::take(&mut work.body);
    let unfinished = uploads.with(call, |session| {
        session.add(range, &body)?;
        let whole = session.received.len() as u64 == session.size;
        Ok((!whole).then(|| state(call, session)))
    })??;
    if let Some(state) = unfinished {
        return Ok(call.resource(StatusCode::OK, &state));
    }
    let session = uploads.close(call)?;
    let attachment = session.label.attachment(session.received);
    let mailbox = &work.mailbox.upn;
    let location = format!(
        "{}/api/v2.0/Users('{mailbox}@{}')/Messages('{}')/Attachments('{}')",
        call.shared.upload_host, call.shared.settings.tenant, session.draft, attachment.id
    );
    let items = &call.shared.items;
    items.attach(mailbox, &session.draft, attachment)?;
    let mut response = call.bare(StatusCode::CREATED);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// An intermediate answer. The capital E is the documentation's.
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
        "ExpirationDateTime": wall::fine(session.until),
        "nextExpectedRanges": [next],
    })
}

/// The uploads begun and neither finished nor given up.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    open: Mutex<HashMap<String, Session>>,
}

/// An upload begun.
#[derive(Debug)]
struct Session {
    token: String,
    mailbox: Arc<Mailbox>,
    /// The immutable id of the draft.
    draft: String,
    label: Label,
    size: u64,
    received: Vec<u8>,
    expires: Instant,
    until: SystemTime,
}

/// What a client is told of an upload that it began.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) until: SystemTime,
}

impl Uploads {
    pub(super) fn begin(
        &self,
        mailbox: &Arc<Mailbox>,
        draft: String,
        label: Label,
        size: u64,
        settings: &Settings,
    ) -> Begun {
        let begun = Begun {
            id: format!("AAMkAS{}", Uuid::new_v4().simple()),
            token: format!("sandbox~upload.{}", Uuid::new_v4().simple()),
            until: wall::now() + settings.session_life,
        };
        let session = Session {
            token: begun.token.clone(),
            mailbox: Arc::clone(mailbox),
            draft,
            label,
            size,
            received: Vec::with_capacity(usize::try_from(size).unwrap_or_default()),
            expires: Instant::now() + settings.session_life,
            until: begun.until,
        };
        locked(&self.open).insert(begun.id.clone(), session);
        begun
    }

    /// How many octets the open uploads of a mailbox will have.
    pub(super) fn promised(&self, mailbox: &str) -> u64 {
        let open = locked(&self.open);
        let of_mailbox = open.values().filter(|it| it.mailbox.upn == mailbox);
        of_mailbox.map(|session| session.size).sum()
    }

    /// How many uploads a draft has open.
    pub(super) fn count(&self, draft: &str) -> usize {
        let open = locked(&self.open);
        open.values().filter(|it| it.draft == draft).count()
    }

    /// Ends the uploads of a draft.
    pub(super) fn forget(&self, draft: &str) {
        locked(&self.open).retain(|_, session| session.draft != draft);
    }

    pub(super) fn clear(&self) {
        locked(&self.open).clear();
    }

    /// Works on the session of the call's URL.
    fn with<T>(&self, call: &Call, work: impl FnOnce(&mut Session) -> T) -> Result<T, Refusal> {
        let mut open = locked(&self.open);
        let now = Instant::now();
        open.retain(|_, session| session.expires > now);
        let session = key(call).and_then(|(id, token)| {
            let session = open.get_mut(id)?;
            (session.token == token).then_some(session)
        });
        session.map(work).ok_or_else(no_session)
    }

    /// Takes the session of the call's URL away.
    fn close(&self, call: &Call) -> Result<Session, Refusal> {
        self.with(call, |_| ())?;
        let id = key(call).map(|(id, _)| id);
        id.and_then(|id| locked(&self.open).remove(id))
            .ok_or_else(no_session)
    }
}

impl Session {
    fn add(&mut self, range: Range, body: &[u8]) -> Result<(), Refusal> {
        if range.total != self.size {
            return Err(invalid_range("The total is not the size of the file."));
        }
        if range.first != self.received.len() as u64 {
            return Err(invalid_range("The part is not the one expected next."));
        }
        if range.length() != Some(body.len() as u64) {
            return Err(invalid_range("The range is not as long as the part."));
        }
        self.received.extend_from_slice(body);
        Ok(())
    }
}

/// `Content-Range: bytes {first}-{last}/{total}`.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: u64,
    last: u64,
    total: u64,
}

impl Range {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let value = headers.get(header::CONTENT_RANGE);
        let value = value.and_then(|value| value.to_str().ok());
        let parsed = value.and_then(|value| {
            let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
            let (first, last) = range.split_once('-')?;
            Some(Self {
                first: first.parse().ok()?,
                last: last.parse().ok()?,
                total: total.parse().ok()?,
            })
        });
        parsed
            .filter(|range| range.first <= range.last && range.last < range.total)
            .ok_or_else(|| Refusal::bad("BadRequest", "Invalid Content-Range header value."))
    }

    fn length(self) -> Option<u64> {
        self.last.checked_sub(self.first)?.checked_add(1)
    }
}

/// The id and the token of an upload URL.
fn key(call: &Call) -> Option<(&str, &str)> {
    let (_, rest) = call.uri.path().split_once("/AttachmentSessions('")?;
    let (id, _) = rest.split_once("')")?;
    let options = call.uri.query()?.split('&');
    let token = options
        .filter_map(|option| option.strip_prefix("authtoken="))
        .next()?;
    Some((id, token))
}

fn no_session() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "uploadSessionNotFound",
        "The upload session was not found or has expired.",
    )
}

fn invalid_range(message: &'static str) -> Refusal {
    Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "invalidRange", message)
}
