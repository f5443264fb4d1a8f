//! Claiming entries for an attempt, and which way they go.

use std::collections::HashMap;

use bytes::Bytes;
use rusqlite::Connection;
use rusqlite::ErrorCode;
use rusqlite::Row;
use rusqlite::params;
use uuid::Uuid;

use super::Content;
use super::Draft;
use super::Spool;
use super::SpoolError;
use super::Upcoming;
use super::Want;
use super::content;
use super::doubt;
use super::due;
use super::view;
use crate::clock::Timestamp;
use crate::mail::Address;
use crate::mail::Envelope;
use crate::mail::Lane;
use crate::mail::Origin;
use crate::mail::ReversePath;
use crate::mail::SpoolId;
use crate::mail::Trace;

/// What could be claimed.
#[derive(Debug, Default)]
pub struct Claims {
    /// Entries whose attempt is on record as begun.
    pub claimed: Vec<Claimed>,
    /// Entries that could not be read, and were put aside.
    pub quarantined: Vec<String>,
    /// For each lane asked about, what is next in it; a lane in which nothing
    /// waits is missing.
    pub upcoming: HashMap<Lane, Upcoming>,
}

/// An entry taken for an attempt.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its id.
    pub id: SpoolId,
    /// Its lane.
    pub lane: Lane,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// From whom and to whom.
    pub envelope: Envelope,
    /// How it came in.
    pub trace: Trace,
    /// The address in its From header, if a mailbox can have it.
    pub author: Option<Address>,
    /// Its bytes.
    pub content: Content,
    /// Since when it is deferred for another reason than the configuration.
    pub trouble_since: Option<Timestamp>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// The name of this attempt in Graph's logs and in ours.
    pub client_request_id: Uuid,
    /// The draft that an earlier attempt has left in the mailbox.
    pub draft: Option<Draft>,
    /// The entry that it was split off, because it had too many recipients.
    pub part_of: Option<SpoolId>,
    /// The entry that it is a report about.
    pub about: Option<SpoolId>,
    /// Whether its sender was told that it is late.
    pub warned: bool,
    /// Whether an earlier attempt may have submitted it.
    pub doubted: bool,
}

impl Spool {
    /// Claims due entries, the longest due first, as far as they fit what is
    /// wanted, and puts their attempts on record as begun.
    ///
    /// # Errors
    ///
    /// Nothing is claimed then.
    pub async fn claim(&self, wants: Vec<Want>) -> Result<Claims, SpoolError> {
        let now = self.shared.clock.now();
        let folder = self.shared.settings.folder.clone();
        let claim = move |db: &Connection| {
            let mut claims = Claims::default();
            for want in &wants {
                for id in due::due(db, want, now)? {
                    match claim_one(db, &id, &want.lane, &folder, now) {
                        Ok(entry) => claims.claimed.push(entry),
                        Err(error) if is_of_the_entry(&error) => {
                            quarantine(db, &id, now, &error)?;
                            claims.quarantined.push(id);
                        }
                        Err(error) => return Err(error),
                    }
                }
                if let Some(upcoming) = due::upcoming(db, &want.lane)? {
                    claims.upcoming.insert(want.lane.clone(), upcoming);
                }
            }
            Ok(claims)
        };
        self.shared.writer.write(claim).await
    }

    /// Every lane that has waiting entries, with the time when the first is due.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn lanes(&self) -> Result<HashMap<Lane, Timestamp>, SpoolError> {
        self.shared.writer.write(lanes).await
    }

    /// Decides anew which way every waiting entry goes; `route` gets its
    /// origin. An entry without a way waits, with the reason, until a way is
    /// configured. One whose draft may have been sent stays with the mailbox that
    /// has it, as long as its account is one of `accounts`. Returns how many have no
    /// way.
    ///
    /// # Errors
    ///
    /// Those of the database; nothing has changed then.
    pub async fn reroute<F>(&self, accounts: Vec<String>, route: F) -> Result<usize, SpoolError>
    where
        F: Fn(&Origin) -> Option<Lane> + Send + 'static,
    {
        let reroute = move |db: &Connection| reroute(db, &accounts, &route);
        self.shared.writer.write(reroute).await
    }
}

/// Whether an error is about what stands in one entry, not about the database.
pub(super) fn is_of_the_entry(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::QueryReturnedNoRows
    ) || error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

/// Puts an entry aside that cannot be read, so that the others go on.
fn quarantine(
    db: &Connection,
    id: &str,
    now: Timestamp,
    error: &rusqlite::Error,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE entry SET state = 'quarantined', ended_at = ?2, reason = ?3 WHERE id = ?1",
    )?
    .execute(params![
        id,
        now.millis(),
        format!("it cannot be read from the spool: {error}")
    ])?;
    Ok(())
}

fn claim_one(
    db: &Connection,
    id: &str,
    lane: &Lane,
    folder: &std::path::Path,
    now: Timestamp,
) -> rusqlite::Result<Claimed> {
    db.prepare_cached("UPDATE entry SET state = 'claimed', attempts = attempts + 1 WHERE id = ?1")?
        .execute([id])?;
    let entry = read(db, id, lane, folder)?;
    db.prepare_cached(
        "INSERT INTO attempt (entry, number, begun_at, client_request_id) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        id,
        entry.attempt,
        now.millis(),
        entry.client_request_id.to_string()
    ])?;
    Ok(entry)
}

/// An entry with all that an attempt needs; changes nothing.
pub(super) fn read(
    db: &Connection,
    id: &str,
    lane: &Lane,
    folder: &std::path::Path,
) -> rusqlite::Result<Claimed> {
    let client_request_id = Uuid::new_v4();
    let mut entry = db
        .prepare_cached(
            "SELECT id, accepted_at, reverse_path, utf8, client, hello, protocol, author, size,
             in_file, attempts, trouble_since, user, draft, draft_stage, draft_since, part_of, about, warned,
             EXISTS (SELECT 1 FROM attempt WHERE attempt.entry = entry.id AND outcome = 'doubtful')
             FROM entry WHERE id = ?1",
        )?
        .query_row([id], |row| claimed(row, lane, folder, client_request_id))?;
    entry.envelope.recipients = view::recipients(db, id)?;
    if let Content::Inline(bytes) = &mut entry.content {
        let read: Vec<u8> = db
            .prepare_cached("SELECT bytes FROM content WHERE entry = ?1")?
            .query_row([id], |row| row.get(0))?;
        *bytes = Bytes::from(read);
    }
    Ok(entry)
}

/// The row of an entry, still without recipients and inline content.
fn claimed(
    row: &Row<'_>,
    lane: &Lane,
    folder: &std::path::Path,
    client_request_id: Uuid,
) -> rusqlite::Result<Claimed> {
    let id = view::id(row, 0)?;
    let in_file: bool = row.get(9)?;
    Ok(Claimed {
        id,
        lane: lane.clone(),
        accepted_at: Timestamp::from_millis(row.get(1)?),
        envelope: Envelope {
            reverse_path: view::reverse_path(row, 2)?,
            recipients: Vec::new(),
            utf8: row.get(3)?,
        },
        trace: Trace {
            client: view::parsed(row, 4)?,
            hello: row.get(5)?,
            protocol: row.get(6)?,
            user: row.get(12)?,
        },
        author: view::optional(row, 7)?,
        content: if in_file {
            Content::File {
                path: content::path(folder, id),
                size: view::unsigned(row, 8)?,
            }
        } else {
            Content::Inline(Bytes::new())
        },
        attempt: row.get(10)?,
        trouble_since: row.get::<_, Option<i64>>(11)?.map(Timestamp::from_millis),
        client_request_id,
        draft: doubt::draft(row, 13)?,
        part_of: view::optional(row, 16)?,
        about: view::optional(row, 17)?,
        warned: row.get(18)?,
        doubted: row.get(19)?,
    })
}

fn lanes(db: &Connection) -> rusqlite::Result<HashMap<Lane, Timestamp>> {
    let mut statement = db.prepare(
        "SELECT account, mailbox, min(due_at) FROM entry
         WHERE state = 'waiting' AND account IS NOT NULL GROUP BY account, mailbox",
    )?;
    let rows = statement.query_map([], |row| {
        let lane = Lane {
            account: row.get(0)?,
            mailbox: view::parsed(row, 1)?,
        };
        Ok((lane, Timestamp::from_millis(row.get(2)?)))
    })?;
    rows.collect()
}

fn reroute<F>(db: &Connection, accounts: &[String], route: &F) -> rusqlite::Result<usize>
where
    F: Fn(&Origin) -> Option<Lane>,
{
    let mut waiting = db.prepare(
        "SELECT id, author, reverse_path, bound, about, draft_stage, account FROM entry
         WHERE state = 'waiting'",
    )?;
    let mut set = db.prepare("UPDATE entry SET account = ?2, mailbox = ?3 WHERE id = ?1")?;
    let mut strand = db.prepare(
        "UPDATE entry SET account = NULL, mailbox = NULL, reason =
         'no [[account]] sends for its From address (mailbox, senders, default_from)' WHERE id = ?1",
    )?;
    let rows = waiting.query_map([], |row| {
        let id: String = row.get(0)?;
        // What cannot be read counts as none.
        let origin = Origin {
            author: view::optional(row, 1).unwrap_or_default(),
            reverse_path: view::reverse_path(row, 2).unwrap_or(ReversePath::Null),
            bound: row.get(3)?,
            is_report: row.get::<_, Option<String>>(4)?.is_some(),
        };
        let may_be_sent = row.get::<_, Option<String>>(5)?.as_deref() == Some(doubt::SENDING);
        let account: Option<String> = row.get(6)?;
        let stays = may_be_sent && account.is_some_and(|name| accounts.contains(&name));
        Ok((!stays).then_some((id, origin)))
    })?;
    // Read first: an UPDATE must not move rows under the running SELECT.
    let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    let mut stranded = 0;
    for (id, origin) in rows.into_iter().flatten() {
        match route(&origin) {
            Some(lane) => set.execute(params![id, lane.account, lane.mailbox.as_str()])?,
            None => {
                stranded += 1;
                strand.execute([id])?
            }
        };
    }
    Ok(stranded)
}
