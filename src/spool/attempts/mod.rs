//! Entries as an attempt needs them, and the destination that each takes.

pub(super) mod claim;
pub(super) mod doubt;
pub(super) mod due;
pub(super) mod settle;
pub(super) mod spent;

use super::columns;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use rusqlite::Row;
use rusqlite::params;
use rusqlite::types::Type;
use uuid::Uuid;

use super::Content;
use super::Digest;
use super::Draft;
use super::Spool;
use super::SpoolError;
use super::accept::asked;
use super::accept::requests;
use super::content;
use super::seal::BrokenSeal;
use super::seal::seal;
use crate::clock::RunningTime;
use crate::clock::Timestamp;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Envelope;
use crate::mail::Origin;
use crate::mail::ReversePath;
use crate::mail::SpoolId;
use crate::mail::Trace;

/// An entry claimed for an attempt.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its id.
    pub id: SpoolId,
    /// Its destination.
    pub destination: Destination,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// The same moment in running time.
    pub accepted_running: RunningTime,
    /// Its sender and its recipients.
    pub envelope: Envelope,
    /// How it was received.
    pub trace: Trace,
    /// The address in its From header, if a mailbox can have it.
    pub author: Option<Address>,
    /// Its content.
    pub content: Content,
    /// The checksum of its content; missing in entries of an older format.
    pub digest: Option<Digest>,
    /// Since when it has been deferred for a reason other than the configuration.
    pub trouble_since: Option<RunningTime>,
    /// Whether it is known to fail while other messages get through.
    pub own_trouble: bool,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// The name of this attempt in Graph's logs and in ours.
    pub client_request_id: Uuid,
    /// The draft that an earlier attempt left in the mailbox.
    pub draft: Option<Draft>,
    /// The entry that it was split from, because that had too many recipients.
    pub part_of: Option<SpoolId>,
    /// The entry that it is a report about.
    pub about: Option<SpoolId>,
    /// Whether its sender has received a delay notice.
    pub warned: bool,
    /// Whether an earlier attempt may have submitted it.
    pub doubted: bool,
    /// Whether an earlier attempt ended without a reliable answer.
    pub unanswered: bool,
    /// The Message-ID that it goes out with; missing in entries of an older format.
    pub message_id: Option<String>,
}

impl Spool {
    /// Every destination with waiting entries, and how long its first entry still has to wait.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn destinations(&self) -> Result<HashMap<Destination, Duration>, SpoolError> {
        let now = self.running();
        self.shared
            .writer
            .write(move |db| destinations(db, now))
            .await
    }

    /// Routes every waiting or held entry again; `route` gets its origin. An entry
    /// without a route waits, with the reason, until one is configured. An entry whose
    /// draft may have been sent stays with the mailbox that has the draft, as long as its
    /// account is one of `accounts`. Returns how many entries have no route.
    ///
    /// # Errors
    ///
    /// Those of the database; nothing has changed then.
    pub async fn reroute<F>(&self, accounts: Vec<String>, route: F) -> Result<usize, SpoolError>
    where
        F: Fn(&Origin) -> Option<Destination> + Send + 'static,
    {
        let reroute = move |db: &Connection| reroute(db, &accounts, &route);
        self.shared.writer.write(reroute).await
    }
}

/// An entry as it is stored, for whoever does not send it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) id: SpoolId,
    pub(super) envelope: Envelope,
    pub(super) trace: Trace,
    pub(super) author: Option<Address>,
    /// The only account that may send it, if there is one.
    pub(super) bound: Option<String>,
    pub(super) content: Content,
    /// See [`Claimed::digest`].
    pub(super) digest: Option<Digest>,
    /// See [`Claimed::doubted`].
    pub(super) doubted: bool,
    /// See [`Claimed::unanswered`].
    pub(super) unanswered: bool,
    pub(super) message_id: Option<String>,
}

/// Reads an entry with its content, and verifies its seal. Changes nothing.
pub(super) fn read(db: &Connection, id: &str, folder: &Path) -> rusqlite::Result<Stored> {
    let record = Record::Readable;
    db.prepare_cached(&record.query())?
        .query_row([id], |row| stored(db, row, folder, record))
}

/// Whether the record of an entry's attempts can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Readable,
    /// A page of the record is damaged, so any attempt may have submitted the entry.
    Damaged,
}

impl Record {
    /// The columns of an entry that [`stored`] and [`claimed`] expect.
    fn query(self) -> String {
        let (doubted, unanswered) = match self {
            Self::Readable => (
                "EXISTS (SELECT 1 FROM attempt
                 WHERE attempt.entry = entry.id AND outcome = 'doubtful')",
                "EXISTS (SELECT 1 FROM attempt
                 WHERE attempt.entry = entry.id AND outcome IS NOT NULL
                 AND (http_status IS NULL OR http_status NOT BETWEEN 400 AND 499))",
            ),
            Self::Damaged => ("attempts > 1", "attempts > 1"),
        };
        format!(
            "SELECT id, accepted_at, reverse_path, utf8, client, hello, protocol, author, size,
             in_file, attempts, trouble_since, user, draft, draft_stage, draft_since, part_of,
             about, warned, {doubted}, digest, seal, bound, accepted_running, own_trouble,
             {unanswered}, ret, envid, barred, message_id
             FROM entry WHERE id = ?1"
        )
    }
}

/// Reads an entry for an attempt, with as much of the earlier attempts as can be read.
pub(super) fn claimed(
    db: &Connection,
    id: &str,
    destination: &Destination,
    folder: &Path,
    record: Record,
) -> rusqlite::Result<Claimed> {
    let client_request_id = Uuid::new_v4();
    let claimed = |row: &Row<'_>| {
        let stored = stored(db, row, folder, record)?;
        Ok(Claimed {
            id: stored.id,
            destination: destination.clone(),
            accepted_at: Timestamp::from_millis(row.get(1)?),
            accepted_running: RunningTime::from_millis(row.get(23)?),
            envelope: stored.envelope,
            trace: stored.trace,
            author: stored.author,
            content: stored.content,
            digest: stored.digest,
            trouble_since: row.get::<_, Option<i64>>(11)?.map(RunningTime::from_millis),
            own_trouble: row.get(24)?,
            attempt: row.get(10)?,
            client_request_id,
            draft: doubt::draft(row, 13)?,
            part_of: columns::optional(row, 16)?,
            about: columns::optional(row, 17)?,
            warned: row.get(18)?,
            doubted: stored.doubted,
            unanswered: stored.unanswered,
            message_id: stored.message_id,
        })
    };
    db.prepare_cached(&record.query())?.query_row([id], claimed)
}

/// The entry in a row of [`Record::query`].
fn stored(
    db: &Connection,
    row: &Row<'_>,
    folder: &Path,
    record: Record,
) -> rusqlite::Result<Stored> {
    let (id, text): (_, String) = (columns::id(row, 0)?, row.get(0)?);
    let in_file: bool = row.get(9)?;
    let mut entry = Stored {
        id,
        envelope: Envelope {
            reverse_path: columns::reverse_path(row, 2)?,
            recipients: Vec::new(),
            asked: Vec::new(),
            utf8: row.get(3)?,
            reports: requests::read(row, 26)?,
        },
        trace: Trace {
            client: columns::parsed(row, 4)?,
            hello: row.get(5)?,
            protocol: row.get(6)?,
            user: row.get(12)?,
        },
        author: columns::optional(row, 7)?,
        bound: row.get(22)?,
        content: Content::Inline(Bytes::new()),
        digest: row.get(20)?,
        doubted: row.get(19)?,
        unanswered: row.get(25)?,
        message_id: row.get(29)?,
    };
    requests::read_recipients(db, &text, &mut entry.envelope)?;
    // If this table is damaged too, entries without rows in it are not affected. The seal
    // of an entry that has rows does not match without them.
    if record == Record::Readable {
        entry.envelope.asked = asked::read(db, &text)?;
    }
    verify_seal(&entry, row.get(21)?)?;
    entry.content = if in_file {
        Content::File {
            path: content::path(folder, id),
            size: columns::unsigned(row, 8)?,
        }
    } else {
        let bytes: Vec<u8> = db
            .prepare_cached("SELECT bytes FROM content WHERE entry = ?1")?
            .query_row([&text], |row| row.get(0))?;
        Content::Inline(Bytes::from(bytes))
    };
    Ok(entry)
}

fn verify_seal(entry: &Stored, sealed: Option<Digest>) -> rusqlite::Result<()> {
    let found = entry.digest.map(|digest| {
        let (author, bound) = (entry.author.as_ref(), entry.bound.as_deref());
        seal(entry.id, digest, &entry.envelope, author, bound)
    });
    if found == sealed {
        return Ok(());
    }
    Err(rusqlite::Error::FromSqlConversionFailure(
        21,
        Type::Blob,
        Box::new(BrokenSeal),
    ))
}

fn destinations(
    db: &Connection,
    now: RunningTime,
) -> rusqlite::Result<HashMap<Destination, Duration>> {
    let mut statement = db.prepare(
        "SELECT account, mailbox, min(due_running) FROM entry
         WHERE state = 'waiting' AND account IS NOT NULL GROUP BY account, mailbox",
    )?;
    let rows = statement.query_map([], |row| {
        let mailbox = columns::parsed(row, 1);
        let due_in = RunningTime::from_millis(row.get(2)?).since(now);
        Ok(mailbox.ok().zip(row.get(0).ok()).map(|(mailbox, account)| {
            let destination = Destination { account, mailbox };
            (destination, due_in)
        }))
    })?;
    // An entry whose mailbox cannot be read stays where it is.
    rows.filter_map(rusqlite::Result::transpose).collect()
}

fn reroute<F>(db: &Connection, accounts: &[String], route: &F) -> rusqlite::Result<usize>
where
    F: Fn(&Origin) -> Option<Destination>,
{
    let mut waiting = db.prepare(
        "SELECT id, author, reverse_path, bound, about, draft_stage, account, mailbox,
         state = 'held' FROM entry WHERE state IN ('waiting', 'held')",
    )?;
    let mut set = db.prepare("UPDATE entry SET account = ?2, mailbox = ?3 WHERE id = ?1")?;
    let mut strand = db.prepare(
        "UPDATE entry SET account = NULL, mailbox = NULL, reason =
         'no [[account]] sends for its From address (mailbox, senders, default_from)' WHERE id = ?1",
    )?;
    let rows = waiting.query_map([], |row| {
        let id: String = row.get(0)?;
        // An unreadable value counts as none.
        let origin = Origin {
            author: columns::optional(row, 1).unwrap_or_default(),
            reverse_path: columns::reverse_path(row, 2).unwrap_or(ReversePath::Null),
            bound: row.get(3)?,
            is_report: row.get::<_, Option<String>>(4)?.is_some(),
        };
        let may_be_sent = row.get::<_, Option<String>>(5)?.as_deref() == Some(doubt::SENDING);
        let account: Option<String> = row.get(6)?;
        let stays = may_be_sent && account.as_ref().is_some_and(|name| accounts.contains(name));
        let now = account.zip(row.get(7)?);
        let is_held: bool = row.get(8)?;
        Ok((!stays).then_some((id, origin, now, is_held)))
    })?;
    // All rows are read first: an UPDATE must not move rows under the running SELECT.
    let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    let mut stranded = 0;
    for (id, origin, now, is_held) in rows.into_iter().flatten() {
        match route(&origin) {
            // Unchanged rows are not written, which avoids damaged pages.
            Some(destination)
                if now.is_some_and(|(a, m): (String, String)| {
                    a == destination.account && m == destination.mailbox.as_str()
                }) =>
            {
                0
            }
            Some(destination) => set.execute(params![
                id,
                destination.account,
                destination.mailbox.as_str()
            ])?,
            // Held mail is not sent now; the check happens when it is released.
            None if is_held => 0,
            None => {
                stranded += 1;
                strand.execute([id])?
            }
        };
    }
    Ok(stranded)
}
