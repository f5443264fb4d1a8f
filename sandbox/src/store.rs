//! What arrived and what was asked, in memory and bounded: the newest are kept, the counts go on.
//!
//! Every call here takes a lock for a time that does not grow with what is kept, except for the lists
//! that are asked for. The mutexes are std's on purpose: nothing awaits while holding one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Instant;
use std::time::SystemTime;

use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::Notify;

use crate::lock::locked;

/// A message that was taken, whole: its content and the files attached.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its number, from 1.
    pub id: u64,
    /// When it was taken.
    pub time: SystemTime,
    /// The UPN of the mailbox it was sent from.
    pub mailbox: String,
    /// Whether it came in one call or as a draft.
    pub route: Route,
    /// Whether it came as MIME or as JSON.
    pub form: Form,
    /// The MIME message, byte for byte; for the JSON form the request's body. A draft's is as it
    /// was created: what was changed since is in the other fields.
    pub raw: Bytes,
    /// The addresses of the author; none leaves it to Graph to fill in the mailbox.
    pub from: Vec<String>,
    /// The addresses of the To field.
    pub to: Vec<String>,
    /// The addresses of the Cc field.
    pub cc: Vec<String>,
    /// The addresses of the Bcc field.
    pub bcc: Vec<String>,
    /// How Graph was told of Bcc, if it was at all (an empty field counts).
    pub bcc_by: Option<BccBy>,
    /// The subject, decoded.
    pub subject: String,
    /// The Message-ID, if it had one; a draft's is Graph's own if it was given none.
    pub message_id: Option<String>,
    /// The files within the JSON, and those added to a draft, in that order. Those within MIME
    /// are in `raw` alone.
    pub attachments: Vec<Attachment>,
    /// The id that the client gave the request.
    pub client_request_id: Option<String>,
    /// The id that the answer carried.
    pub request_id: String,
}

/// A file attached to a message.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Its id, as the answers named it.
    pub id: String,
    /// Its file name.
    pub name: String,
    /// Its media type, if it was told.
    pub content_type: Option<String>,
    /// Its Content-ID, if it was told.
    pub content_id: Option<String>,
    /// Whether it is shown within the message's text.
    pub inline: bool,
    /// Its content.
    pub content: Bytes,
    /// The SHA-256 of its content, in lower-case hexadecimal.
    pub sha256: String,
}

/// A message that was created and neither sent nor deleted.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its regular id, which changes when it is sent.
    pub id: String,
    /// Its immutable id.
    pub immutable_id: String,
    /// When it was created.
    pub time: SystemTime,
    /// The UPN of its mailbox.
    pub mailbox: String,
    /// Whether it was created from MIME or from JSON.
    pub form: Form,
    /// What it was created from.
    pub raw: Bytes,
    /// Its subject.
    pub subject: String,
    /// Its Message-ID, Graph's own if it was given none.
    pub message_id: String,
    /// The addresses of To, Cc and Bcc.
    pub recipients: Vec<String>,
    /// Its files except for those within MIME.
    pub attachments: Vec<Attachment>,
    /// Upload sessions begun and not finished.
    pub open_uploads: usize,
}

/// The way a message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// By sendMail.
    SendMail,
    /// As a draft, created and then sent.
    Draft,
}

/// How Graph was told of Bcc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BccBy {
    /// By a Bcc field of the MIME.
    Field,
    /// By `bccRecipients` of the JSON.
    Property,
    /// By a PATCH of the draft, which takes the place of either.
    Patch,
}

/// The form a message was sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `text/plain`: base64 of the MIME message.
    Mime,
    /// `application/json`.
    Json,
}

/// A request to the stand-in's Entra or Graph endpoints.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// Its number, from 1.
    pub number: u64,
    /// When its head was read, on the monotonic clock.
    pub received: Instant,
    /// The same on the wall clock.
    pub time: SystemTime,
    /// The HTTP method.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// What was asked for.
    pub kind: RequestKind,
    /// How the length of its body was told.
    pub framing: Framing,
    /// The id that the answer carried.
    pub request_id: String,
    /// The id that the client gave.
    pub client_request_id: Option<String>,
    /// The `grant_type` of a request for a token.
    pub grant: Option<String>,
    /// The UPN of the mailbox in its path, once known.
    pub mailbox: Option<String>,
    /// The message's recipients (To, Cc, Bcc), if the request got as far as being read.
    pub recipients: Vec<String>,
    /// The status answered; `None` while it is not, and for good if the connection was cut.
    pub status: Option<u16>,
}

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// A token.
    Token,
    /// The page to sign in.
    Authorize,
    /// A device code.
    Device,
    /// A managed identity's token.
    Identity,
    /// To send a message in one call.
    SendMail,
    /// To create a draft.
    Draft,
    /// To look at messages, at one, or at its attachments.
    Look,
    /// To change a draft.
    Patch,
    /// To delete a message.
    Delete,
    /// To attach a small file to a draft.
    Attach,
    /// To begin the upload of a large file.
    Session,
    /// Of the upload host: to take a part of a file.
    Upload,
    /// Of the upload host: how far an upload is.
    Progress,
    /// Of the upload host: to give an upload up.
    Cancel,
    /// To send a draft.
    Submit,
    /// Anything else.
    Other,
}

/// How a request told the length of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// By `Content-Length`, of so many octets.
    ContentLength(u64),
    /// By `Transfer-Encoding: chunked`.
    Chunked,
    /// It had no body.
    Bodiless,
}

/// Counts since the start or the last `clear`, of what is no longer kept too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Messages taken.
    pub arrivals: u64,
    /// Requests for a token.
    pub token_requests: u64,
    /// Requests to send a message in one call.
    pub send_requests: u64,
    /// Requests for and about drafts and sent messages, uploads and sends of drafts included.
    pub draft_requests: u64,
    /// Other requests.
    pub other_requests: u64,
}

impl Arrival {
    /// The octets that it takes: of `raw` and of the files beside it.
    pub(crate) fn octets(&self) -> usize {
        let files = self.attachments.iter().map(|it| it.content.len());
        self.raw.len() + files.sum::<usize>()
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) requests: usize,
}

#[derive(Debug)]
pub(crate) struct Store {
    keep: Keep,
    arrivals: Mutex<Arrivals>,
    requests: Mutex<Requests>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Arrivals {
    recent: Recent<Arc<Arrival>>,
    /// The sum of the kept messages' sizes.
    bytes: usize,
    taken: u64,
}

#[derive(Debug, Default)]
struct Requests {
    recent: Recent<RequestRecord>,
    totals: Totals,
}

impl Store {
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep,
            arrivals: Mutex::default(),
            requests: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    /// Opens the record of a request and gives its number.
    pub(crate) fn begin(&self, mut record: RequestRecord) -> u64 {
        let mut requests = locked(&self.requests);
        match record.kind {
            RequestKind::Token => requests.totals.token_requests += 1,
            RequestKind::SendMail => requests.totals.send_requests += 1,
            RequestKind::Draft
            | RequestKind::Look
            | RequestKind::Patch
            | RequestKind::Delete
            | RequestKind::Attach
            | RequestKind::Session
            | RequestKind::Upload
            | RequestKind::Progress
            | RequestKind::Cancel
            | RequestKind::Submit => requests.totals.draft_requests += 1,
            RequestKind::Authorize
            | RequestKind::Device
            | RequestKind::Identity
            | RequestKind::Other => requests.totals.other_requests += 1,
        }
        record.number = requests.recent.next_number();
        let number = record.number;
        requests.recent.push(record);
        while requests.recent.kept.len() > self.keep.requests {
            drop(requests.recent.pop());
        }
        number
    }

    /// Adds to the record of a request, if it is still kept.
    pub(crate) fn note(&self, number: u64, note: impl FnOnce(&mut RequestRecord)) {
        if let Some(record) = locked(&self.requests).recent.by_number(number) {
            note(record);
        }
    }

    /// Takes a message and wakes who waits for it.
    pub(crate) fn take(&self, mut arrival: Arrival) {
        {
            let mut arrivals = locked(&self.arrivals);
            arrival.id = arrivals.recent.next_number();
            arrivals.bytes += arrival.octets();
            arrivals.taken += 1;
            arrivals.recent.push(Arc::new(arrival));
            // The newest stays even if it alone is over the bound.
            while arrivals.recent.kept.len() > 1
                && (arrivals.recent.kept.len() > self.keep.messages
                    || arrivals.bytes > self.keep.bytes)
            {
                if let Some(oldest) = arrivals.recent.pop() {
                    arrivals.bytes -= oldest.octets();
                }
            }
        }
        self.arrived.notify_waiters();
    }

    /// Waits until `count` messages have been taken since the start or the last `clear`.
    pub(crate) async fn arrived(&self, count: u64) {
        loop {
            // Made before the count is read, so that no arrival between the two is missed.
            let arrived = self.arrived.notified();
            if locked(&self.arrivals).taken >= count {
                return;
            }
            arrived.await;
        }
    }

    /// The messages kept, oldest first.
    pub(crate) fn arrivals(&self) -> Vec<Arc<Arrival>> {
        let arrivals = locked(&self.arrivals);
        arrivals.recent.kept.iter().cloned().collect()
    }

    /// At most `count` messages, newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<Arc<Arrival>> {
        let arrivals = locked(&self.arrivals);
        let newest = arrivals.recent.kept.iter().rev().take(count);
        newest.cloned().collect()
    }

    pub(crate) fn arrival(&self, id: u64) -> Option<Arc<Arrival>> {
        locked(&self.arrivals).recent.by_number(id).cloned()
    }

    /// The records kept, oldest first.
    pub(crate) fn requests(&self) -> Vec<RequestRecord> {
        let requests = locked(&self.requests);
        requests.recent.kept.iter().cloned().collect()
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals {
            arrivals: locked(&self.arrivals).taken,
            ..locked(&self.requests).totals
        }
    }

    /// Forgets messages, records and counts; numbers go on, so that none names two things.
    pub(crate) fn clear(&self) {
        {
            let mut arrivals = locked(&self.arrivals);
            arrivals.recent.clear();
            arrivals.bytes = 0;
            arrivals.taken = 0;
        }
        let mut requests = locked(&self.requests);
        requests.recent.clear();
        requests.totals = Totals::default();
    }
}

/// The newest of a numbered series, found by number without a search.
#[derive(Debug)]
struct Recent<T> {
    kept: VecDeque<T>,
    /// How many were numbered before the first kept.
    gone: u64,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            kept: VecDeque::new(),
            gone: 0,
        }
    }
}

impl<T> Recent<T> {
    fn next_number(&self) -> u64 {
        self.gone + self.kept.len() as u64 + 1
    }

    fn push(&mut self, item: T) {
        self.kept.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        let oldest = self.kept.pop_front();
        self.gone += u64::from(oldest.is_some());
        oldest
    }

    fn by_number(&mut self, number: u64) -> Option<&mut T> {
        let index = number.checked_sub(self.gone + 1)?;
        self.kept.get_mut(usize::try_from(index).ok()?)
    }

    fn clear(&mut self) {
        self.gone += self.kept.len() as u64;
        self.kept.clear();
    }
}
