//! Attaches one file to a draft: in one request if it is small, otherwise piece by piece
//! in an upload session. The exact size that separates the two in Graph is unknown, so a
//! file that is refused for its size in one way is sent in the other.
//!
//! A broken connection is resumed where Graph says. An upload that cannot be resumed is
//! abandoned: the draft was not sent, and the next attempt creates another, because an
//! upload with an unknown end may have attached the file already.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use tracing::debug;

use super::draft::Way;
use crate::delivery::outcome::error::AttemptError;
use crate::delivery::outcome::error::Step;
use crate::delivery::outcome::error::is_piece_too_large;
use crate::delivery::outcome::error::resumes;
use crate::graph;
use crate::graph::FileAttachment;
use crate::graph::GraphError;
use crate::graph::LEAST_UPLOAD;
use crate::graph::Progress;
use crate::graph::UploadSession;
use crate::mime::Decoded;
use crate::mime::Encoding;
use crate::mime::Piece;
use crate::mime::Reader;
use crate::telemetry::maillog;

/// An attachment that is sent separately.
#[derive(Clone, Debug)]
pub(in crate::delivery) struct Large {
    pub(in crate::delivery) name: String,
    pub(in crate::delivery) content_type: String,
    /// The Content-ID, without its angle brackets.
    pub(in crate::delivery) content_id: Option<String>,
    pub(in crate::delivery) is_inline: bool,
    /// Decoded, in bytes.
    pub(in crate::delivery) size: u64,
    pub(in crate::delivery) encoding: Encoding,
    /// Where its encoded bytes are stored.
    pub(in crate::delivery) pieces: Vec<Piece>,
}

/// Graph requires less than 4 MB (page "Attach large files to Outlook messages"); its
/// other upload sessions use a unit of 327,680 bytes.
const CHUNK: usize = 12 * 327_680;
/// See [`CHUNK`].
const LEAST_CHUNK: u64 = 327_680;
/// A file that is too small for an upload session is at most this large, and all of it is
/// in memory then. Every interpretation of Microsoft's "3 MB" is at most 3 MiB.
const MOST_AT_ONCE: u64 = 4 * 1024 * 1024;
/// Failures in a row after which an upload is abandoned.
const SETBACKS: u32 = 5;
/// The longest that an upload waits for Graph. One that would have to wait longer is
/// abandoned, and others can use its place.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Large {
    fn described(&self) -> FileAttachment<'_> {
        FileAttachment {
            name: &self.name,
            content_type: &self.content_type,
            content_id: self.content_id.as_deref(),
            is_inline: self.is_inline,
            size: self.size,
        }
    }

    /// Its bytes from `skip` on.
    fn read(&self, skip: u64) -> Decoded {
        Decoded::new(Reader::new(self.pieces.clone()), self.encoding, skip)
    }
}

/// Adds an attachment to a draft.
pub(in crate::delivery) async fn attach(
    way: &Way<'_>,
    draft: &str,
    large: &Large,
) -> Result<(), AttemptError> {
    if large.size < LEAST_UPLOAD {
        match at_once(way, draft, large).await {
            Err(error) if error.is_too_large() => {
                maillog::other_way(way.entry.id, large.size, &error);
                match in_pieces(way, draft, large).await {
                    // The first error is the reason.
                    Err(second) if second.is_too_small() => Err(error),
                    attached => attached,
                }
            }
            attached => attached,
        }
    } else {
        match in_pieces(way, draft, large).await {
            Err(error) if error.is_too_small() && large.size <= MOST_AT_ONCE => {
                maillog::other_way(way.entry.id, large.size, &error);
                at_once(way, draft, large).await
            }
            attached => attached,
        }
    }
}

/// In one request.
async fn at_once(way: &Way<'_>, draft: &str, large: &Large) -> Result<(), AttemptError> {
    way.pace.admit(graph::encoded_size(large.size)).await;
    let _turn = way.account_client.uploads.acquire().await;
    let read = Source::new(large).take(0, large.size).await;
    let bytes = read.map_err(AttemptError::unread)?;
    let described = large.described();
    let attached = way
        .graph()
        .attach(way.caller(), draft, &described, &bytes)
        .await;
    attached.map_err(Step::Prepare.failed())
}

/// In an upload session.
async fn in_pieces(way: &Way<'_>, draft: &str, large: &Large) -> Result<(), AttemptError> {
    way.pace.admit(1).await;
    let described = large.described();
    let opened = way
        .graph()
        .create_upload_session(way.caller(), draft, &described);
    let session = opened.await.map_err(Step::Prepare.failed())?;
    upload(way, &session, large).await
}

async fn upload(way: &Way<'_>, session: &UploadSession, large: &Large) -> Result<(), AttemptError> {
    let mut source = Source::new(large);
    let mut next = 0;
    let mut most = CHUNK as u64;
    // Bytes that Graph had lost and accepts again are not progress.
    let mut furthest = 0;
    let mut setbacks = 0;
    loop {
        let length = large.size.saturating_sub(next).min(most);
        way.pace.admit(length).await;
        let turn = way.account_client.uploads.acquire().await;
        let chunk = source
            .take(next, length)
            .await
            .map_err(AttemptError::unread)?;
        let answer = way.graph().upload(session, next, chunk).await;
        drop(turn);
        match answer {
            Ok(Progress::Done) if next.saturating_add(length) >= large.size => return Ok(()),
            Ok(Progress::Done) => return Err(AttemptError::UploadShort),
            Ok(Progress::Next(further)) if further > next => {
                next = further;
                if next > furthest {
                    furthest = next;
                    setbacks = 0;
                }
            }
            Ok(Progress::Next(_)) if setbacks < SETBACKS => setbacks += 1,
            Ok(Progress::Next(_)) => return Err(AttemptError::UploadStuck),
            // A proxy may accept less than Graph.
            Err(error) if is_piece_too_large(&error) && most > LEAST_CHUNK => {
                most = (most / 2).max(LEAST_CHUNK);
                debug!(id = %way.entry.id, %error, most, "the upload continues in smaller pieces");
            }
            Err(error) => {
                setbacks += 1;
                let pause = pause(&error, setbacks);
                let Some(pause) = pause.filter(|_| setbacks <= SETBACKS) else {
                    return Err(Step::Upload.failed()(error));
                };
                debug!(id = %way.entry.id, %error, next, "the upload is resumed");
                tokio::time::sleep(pause).await;
                way.pace.admit(1).await;
                let known = way.graph().upload_progress(session).await;
                if let Progress::Next(known) = known.map_err(Step::Upload.failed())? {
                    next = known;
                }
            }
        }
    }
}

/// How long to wait before an upload is resumed; none if it cannot be.
fn pause(error: &GraphError, setbacks: u32) -> Option<Duration> {
    let asked = resumes(error)?;
    let own = FIRST_PAUSE.saturating_mul(1 << setbacks.min(5));
    let pause = asked.unwrap_or(own);
    (pause <= LONGEST_PAUSE).then_some(pause)
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The bytes of an attachment, read once from beginning to end, unless Graph wants some
/// of them again.
struct Source<'l> {
    large: &'l Large,
    reader: Decoded,
    /// The position of the reader.
    at: u64,
    /// Bytes that were read and not accepted yet.
    rest: Bytes,
}

impl<'l> Source<'l> {
    fn new(large: &'l Large) -> Self {
        Self {
            large,
            reader: large.read(0),
            at: 0,
            rest: Bytes::new(),
        }
    }

    /// At most `most` bytes from an offset on; fewer only at the end.
    async fn take(&mut self, from: u64, most: u64) -> io::Result<Bytes> {
        if from != self.at {
            self.reader = self.large.read(from);
            self.at = from;
            self.rest = Bytes::new();
        }
        let length = most.min(self.large.size.saturating_sub(from));
        let length = usize::try_from(length).unwrap_or(CHUNK);
        let mut taken = BytesMut::with_capacity(length);
        while taken.len() < length {
            if self.rest.is_empty() {
                self.rest = self.reader.next().await?.ok_or_else(|| {
                    let shorter = "the attachment is shorter than it was";
                    io::Error::new(io::ErrorKind::UnexpectedEof, shorter)
                })?;
            }
            let part = self.rest.len().min(length - taken.len());
            taken.extend_from_slice(&self.rest.split_to(part));
        }
        self.at += taken.len() as u64;
        Ok(taken.freeze())
    }
}
