//! Sending a message again: a new entry with the content of an old one.
//!
//! The new entry has an id of its own and says of which message it is a copy. The old one
//! stays as it is. The content is verified while it is copied, and the copy needs room
//! like new mail. To whom it may go, and which account sends it, is decided by whoever
//! asks (`admin/queue/resend.rs`).

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use tokio::io::AsyncReadExt;

use crate::clock::span_in_words;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Envelope;
use crate::mail::SpoolId;
use crate::mail::Trace;
use crate::spool::AcceptError;
use crate::spool::Content;
use crate::spool::ContentError;
use crate::spool::Digest;
use crate::spool::GivenBy;
use crate::spool::Incoming;
use crate::spool::KEPT;
use crate::spool::NewEntry;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::accept::copies::Resend;
use crate::spool::attempts;
use crate::spool::damage;
use crate::spool::state::State;

/// A message whose content is still there.
#[derive(Clone, Debug)]
pub struct Original {
    /// Its id.
    pub id: SpoolId,
    /// Its state.
    pub state: State,
    /// Its sender and its recipients.
    pub envelope: Envelope,
    /// How it was received.
    pub trace: Trace,
    /// The address in its From header.
    pub author: Option<Address>,
    /// The only account that may send it, if there is one.
    pub bound: Option<String>,
    /// Whether an attempt got no reliable answer.
    pub may_have_arrived: bool,
    subject: String,
    message_id: Option<String>,
    content: Content,
    digest: Option<Digest>,
}

/// Why a message cannot be sent again.
#[derive(Debug, thiserror::Error)]
pub enum NotResent {
    /// There is no such message.
    #[error("no such message")]
    Unknown,
    /// It cannot be sent again; the text says what to do.
    #[error("{0}")]
    Refused(String),
    /// There is no room for the copy.
    #[error(transparent)]
    NotAccepted(#[from] AcceptError),
    /// The spool cannot be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl Spool {
    /// Finds a message to send again.
    ///
    /// # Errors
    ///
    /// Why it cannot be sent again.
    pub async fn original(&self, id: SpoolId) -> Result<Original, NotResent> {
        let folder = self.shared.settings.folder.clone();
        let kept_for = self.keeping().ended();
        let read = self.read(move |db| {
            let Some(known) = Known::read(db, id)? else {
                return Ok(Err(NotResent::Unknown));
            };
            if let Some(why) = known.why_not(id, kept_for) {
                return Ok(Err(NotResent::Refused(why)));
            }
            match attempts::read(db, &id.to_string(), &folder) {
                Ok(entry) => Ok(Ok(known.with(entry))),
                Err(error) if damage::is_of_the_entry(&error) => Ok(Err(NotResent::Refused(
                    format!("it cannot be read: {error}"),
                ))),
                Err(error) => Err(error),
            }
        });
        read.await?
    }

    /// Accepts a copy for these recipients, sent through this destination. Returns its id.
    ///
    /// # Errors
    ///
    /// Nothing is sent then.
    pub async fn resend(
        &self,
        original: Original,
        envelope: Envelope,
        destination: Destination,
        by: GivenBy,
    ) -> Result<SpoolId, NotResent> {
        let content = self.copy(&original).await?;
        let entry = NewEntry {
            content,
            // What its header section names was split before.
            largest_part: match envelope.is_all_asked() {
                true => LARGEST_PART,
                false => usize::MAX,
            },
            envelope,
            trace: original.trace,
            author: original.author,
            destination,
            bound: original.bound,
            message_id: original.message_id,
            subject: original.subject,
        };
        let resend = Resend {
            of: original.id,
            by,
        };
        Ok(self.accept_as(entry, Some(resend)).await?.id)
    }

    async fn copy(&self, original: &Original) -> Result<Incoming, NotResent> {
        let mut copy = self.receive(self.new_id());
        match &original.content {
            Content::Inline(bytes) => copy.write(bytes).await?,
            Content::File { path, .. } => {
                let unreadable = |error| NotResent::Refused(format!("{}: {error}", path.display()));
                let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
                let mut piece = vec![0; PIECE];
                loop {
                    let count = file.read(&mut piece).await.map_err(unreadable)?;
                    match piece.get(..count) {
                        None | Some([]) => break,
                        Some(read) => copy.write(read).await?,
                    }
                }
            }
        }
        let copied = copy.digester.digest();
        if original.digest.is_some_and(|digest| digest != copied) {
            return Err(NotResent::Refused(ContentError::Changed.to_string()));
        }
        Ok(copy)
    }
}

/// Bytes that are copied at once.
const PIECE: usize = 64 * 1024;
/// The number of recipients that Exchange accepts in one message.
const LARGEST_PART: usize = 500;

/// Why a message cannot be sent again, if that is so. `kept_for`: see [`Known::why_not`].
pub(super) fn why_not(
    db: &Connection,
    id: SpoolId,
    kept_for: Option<Duration>,
) -> rusqlite::Result<Option<String>> {
    let known = Known::read(db, id)?;
    Ok(known.and_then(|known| known.why_not(id, kept_for)))
}

/// What decides whether a message can be sent again.
struct Known {
    state: State,
    has_content: bool,
    subject: Option<String>,
    is_report: bool,
}

impl Known {
    fn read(db: &Connection, id: SpoolId) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(&format!(
            "SELECT state, (state NOT IN ('delivered', 'dropped') OR {KEPT})
             AND (in_file OR EXISTS (SELECT 1 FROM content WHERE content.entry = entry.id)),
             subject, about IS NOT NULL FROM entry WHERE id = ?1"
        ))?
        .query_row([id.to_string()], |row| {
            Ok(Self {
                state: row.get(0)?,
                has_content: row.get(1)?,
                subject: row.get(2)?,
                is_report: row.get(3)?,
            })
        })
        .optional()
    }

    /// `kept_for`: for how long the content of ended messages is kept.
    fn why_not(&self, id: SpoolId, kept_for: Option<Duration>) -> Option<String> {
        let gone = |what: &str| {
            let why = match kept_for {
                None => "history.keep_content is \"off\"".to_owned(),
                Some(length) => format!(
                    "history.keep_content keeps it for {}, or until new mail needs the room",
                    span_in_words(length)
                ),
            };
            format!("it was {what}, and its content is gone: {why}. ")
        };
        let why = match self.state {
            State::Claimed => {
                "it is being sent now, and the result is known within minutes".to_owned()
            }
            State::Waiting => format!(
                "it has not been delivered yet, and the relay goes on trying; to try it now: \
                 graph-relay queue retry {id}; to send it to somebody else, hold it first: \
                 graph-relay queue hold {id}"
            ),
            State::Quarantined => format!(
                "it is in quarantine; when it can be read again: graph-relay queue retry {id}"
            ),
            State::Delivered if !self.has_content => {
                gone("delivered")
                    + "Forward it from Sent Items of the mailbox, or send it again from the \
                       application"
            }
            State::Dropped if !self.has_content => {
                gone("dropped") + "Send it again from the application"
            }
            State::Failed if self.is_report => format!(
                "it is a report by the relay; to try it again: graph-relay queue retry {id}"
            ),
            State::Held if self.is_report => {
                format!("it is a report by the relay; to send it: graph-relay queue release {id}")
            }
            State::Delivered | State::Dropped if self.is_report => format!(
                "it is a report by the relay, and a report that was {} is not sent again",
                self.state
            ),
            State::Failed | State::Held if !self.has_content => {
                "its content was removed to make room for new mail: send it again from the \
                 application"
                    .to_owned()
            }
            State::Failed | State::Held | State::Delivered | State::Dropped => return None,
        };
        Some(why)
    }

    fn with(self, entry: attempts::Stored) -> Original {
        Original {
            id: entry.id,
            state: self.state,
            envelope: entry.envelope,
            trace: entry.trace,
            author: entry.author,
            bound: entry.bound,
            may_have_arrived: entry.doubted || entry.unanswered,
            subject: self.subject.unwrap_or_default(),
            message_id: entry.message_id,
            content: entry.content,
            digest: entry.digest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_report_names_only_an_order_that_its_state_allows() {
        let id = SpoolId::first_of(Timestamp::from_millis(1));
        for (state, order) in [
            (State::Failed, Some("retry")),
            (State::Held, Some("release")),
            (State::Delivered, None),
            (State::Dropped, None),
        ] {
            let report = Known {
                state,
                has_content: true,
                subject: None,
                is_report: true,
            };

            let why = report.why_not(id, None).unwrap();

            let command = order.map(|order| format!("graph-relay queue {order} {id}"));
            let named = why.split_once(": ").map(|(_, named)| named.to_owned());
            assert_eq!(named, command, "{why}");
        }
    }

    #[test]
    fn a_message_that_is_being_sent_names_no_order_because_it_accepts_none() {
        let claimed = Known {
            state: State::Claimed,
            has_content: true,
            subject: None,
            is_report: false,
        };

        let why = claimed.why_not(SpoolId::first_of(Timestamp::from_millis(1)), None);

        assert!(!why.unwrap().contains("graph-relay"));
    }
}
