//! The unfinished uploads of large files.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::SystemTime;

use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use tokio::time::Instant;
use uuid::Uuid;

use crate::graph::errors::Refusal;
use crate::graph::mailboxes::Mailbox;
use crate::graph::message::files::Label;
use crate::lock::locked;
use crate::settings::Settings;
use crate::time;

/// The uploads that are neither finished nor cancelled.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    open: Mutex<HashMap<String, Session>>,
}

/// The key of a session in its upload URL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) id: &'a str,
    pub(crate) token: &'a str,
}

/// An unfinished upload.
#[derive(Debug)]
pub(crate) struct Session {
    token: String,
    pub(crate) mailbox: Arc<Mailbox>,
    /// The immutable ID of the draft.
    pub(crate) draft: String,
    pub(crate) label: Label,
    pub(crate) size: u64,
    pub(crate) received: Vec<u8>,
    expires: Instant,
    pub(crate) until: SystemTime,
}

/// The answer to a client that begins an upload.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) until: SystemTime,
}

impl Uploads {
    pub(crate) fn begin(
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
            until: time::now() + settings.session_life,
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

    /// Returns how many bytes the open uploads of a mailbox will have.
    pub(crate) fn promised(&self, mailbox: &str) -> u64 {
        let open = locked(&self.open);
        let of_mailbox = open.values().filter(|it| it.mailbox.upn == mailbox);
        of_mailbox.map(|session| session.size).sum()
    }

    /// Returns how many uploads a draft has open.
    pub(crate) fn count(&self, draft: &str) -> usize {
        let open = locked(&self.open);
        open.values().filter(|it| it.draft == draft).count()
    }

    /// Ends the uploads of a draft.
    pub(crate) fn forget(&self, draft: &str) {
        locked(&self.open).retain(|_, session| session.draft != draft);
    }

    pub(crate) fn clear(&self) {
        locked(&self.open).clear();
    }

    /// Works on the session of a key.
    pub(crate) fn with<T>(
        &self,
        key: Option<Key<'_>>,
        work: impl FnOnce(&mut Session) -> T,
    ) -> Result<T, Refusal> {
        let mut open = locked(&self.open);
        let now = Instant::now();
        open.retain(|_, session| session.expires > now);
        let session = key.and_then(|key| {
            let session = open.get_mut(key.id)?;
            (session.token == key.token).then_some(session)
        });
        session.map(work).ok_or_else(no_session)
    }

    /// Removes the session of a key.
    pub(crate) fn close(&self, key: Option<Key<'_>>) -> Result<Session, Refusal> {
        self.with(key, |_| ())?;
        key.and_then(|key| locked(&self.open).remove(key.id))
            .ok_or_else(no_session)
    }
}

impl Session {
    pub(crate) fn add(&mut self, range: Range, body: &[u8]) -> Result<(), Refusal> {
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
pub(crate) struct Range {
    first: u64,
    last: u64,
    total: u64,
}

impl Range {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
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

/// A 404: no session has this URL.
pub(crate) fn no_session() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "uploadSessionNotFound",
        "The upload session was not found or has expired.",
    )
}

fn invalid_range(message: &'static str) -> Refusal {
    Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "invalidRange", message)
}
