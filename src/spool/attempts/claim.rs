//! Claiming entries for an attempt.
//!
//! Entries of all destinations are claimed in one transaction. If damage stops it, each entry is
//! claimed in a transaction of its own and unreadable entries are quarantined, so that
//! one bad sector harms one message.

use std::collections::HashMap;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::params;

use super::Record;
use super::claimed;
use super::due;
use super::due::Reading;
use crate::clock::Moment;
use crate::mail::Destination;
use crate::spool::Claimed;
use crate::spool::Pauses;
use crate::spool::Quarantined;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::Upcoming;
use crate::spool::Want;
use crate::spool::damage;
use crate::spool::damage::is_of_the_entry;
use crate::spool::lock_mutex;

/// The result of a claim.
#[derive(Debug, Default)]
pub struct Claims {
    /// Entries whose attempt is on record as begun.
    pub claimed: Vec<Claimed>,
    /// Entries that could not be read.
    pub quarantined: Vec<Quarantined>,
    /// The next entry of each destination that was asked about; a destination without waiting
    /// entries is missing.
    pub upcoming: HashMap<Destination, Upcoming>,
}

/// When to ask again about a destination whose queue cannot be read.
const UNREADABLE_AGAIN: Duration = Duration::from_secs(60);

impl Spool {
    /// Claims due entries, those due longest first, within the wanted amounts, and
    /// records their attempts as begun.
    ///
    /// # Errors
    ///
    /// Nothing is claimed then.
    pub async fn claim(&self, wants: Vec<Want>) -> Result<Claims, SpoolError> {
        let now = self.moment();
        let claimant = Claimant {
            folder: self.shared.settings.folder.clone(),
            skip: self.left_alone(),
            pauses: Arc::clone(&self.shared.pauses.pauses),
            now,
        };
        let (all, claim) = (wants.clone(), claimant.clone());
        let claimed = self.shared.writer.write(move |db| claim.all(db, &all));
        match claimed.await {
            Err(SpoolError::Damaged(_)) => self.claim_singly(wants, claimant).await,
            claimed => claimed,
        }
    }

    /// Each entry in a transaction of its own.
    async fn claim_singly(
        &self,
        wants: Vec<Want>,
        claimant: Claimant,
    ) -> Result<Claims, SpoolError> {
        let mut claims = Claims::default();
        let mut stopped = None;
        for want in wants {
            let destination = want.destination.clone();
            match self.claim_destination(want, &claimant, &mut claims).await {
                Ok(Some(upcoming)) => {
                    claims.upcoming.insert(destination, upcoming);
                }
                Ok(None) => {}
                // The other destinations continue, and this one is asked again later.
                Err(error) => {
                    stopped = Some(error);
                    let again = Upcoming {
                        due_in: UNREADABLE_AGAIN,
                        size: 0,
                        recipients: 0,
                    };
                    claims.upcoming.insert(destination, again);
                }
            }
        }
        match stopped {
            // The caller must know about every claimed entry.
            Some(error) if claims.claimed.is_empty() && claims.quarantined.is_empty() => Err(error),
            Some(_) | None => Ok(claims),
        }
    }

    async fn claim_destination(
        &self,
        want: Want,
        claimant: &Claimant,
        claims: &mut Claims,
    ) -> Result<Option<Upcoming>, SpoolError> {
        let (now, skip) = (claimant.now, claimant.skip.clone());
        let (destination, wanted) = (want.destination.clone(), want.clone());
        let due = move |db: &Connection, how| due::due(db, &wanted, now.running, &skip, how);
        for id in self.read_somehow(due).await? {
            let (single, row, of) = (claimant.clone(), id.clone(), destination.clone());
            let records = [Record::Readable, Record::Damaged];
            let claim = move |db: &Connection, record| single.one(db, &row, &of, record);
            match self.write_as_far_as_possible(&records, claim).await {
                Ok((entry, _)) => claims.claimed.extend(entry),
                Err(error) if error.is_of_one_entry() => {
                    let reason = damage::reason(error.cause());
                    claims.quarantined.push(self.quarantine(id, reason).await?);
                }
                Err(error) => return Err(error),
            }
        }
        let skip = self.left_alone();
        self.read_somehow(move |db, how| due::upcoming(db, &want, now.running, &skip, how))
            .await
    }

    /// Reads the due entries in the first way that damage does not stop.
    async fn read_somehow<T, F>(&self, query: F) -> Result<T, SpoolError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, Reading) -> rusqlite::Result<T> + Clone + Send + 'static,
    {
        let mut stopped = SpoolError::Closed;
        for how in Reading::ALL {
            let query = query.clone();
            match self.read(move |db| query(db, how)).await {
                Err(error @ SpoolError::Damaged(_)) => stopped = error,
                read => return read,
            }
        }
        Err(stopped)
    }
}

/// What a claim is based on.
#[derive(Clone)]
struct Claimant {
    folder: PathBuf,
    skip: HashSet<String>,
    /// Checked with every entry: one may be paused after the dispatcher has asked.
    pauses: Arc<Mutex<Pauses>>,
    now: Moment,
}

impl Claimant {
    fn all(&self, db: &Connection, wants: &[Want]) -> rusqlite::Result<Claims> {
        let mut claims = Claims::default();
        for want in wants {
            for id in due::due(db, want, self.now.running, &self.skip, Reading::Ordinary)? {
                match self.one(db, &id, &want.destination, Record::Readable) {
                    Ok(entry) => claims.claimed.extend(entry),
                    Err(error) if is_of_the_entry(&error) => {
                        let reason = damage::reason(&error);
                        damage::quarantine(db, &id, Some(self.now), &reason)?;
                        claims.quarantined.push(Quarantined {
                            id,
                            reason,
                            recorded: true,
                        });
                    }
                    Err(error) => return Err(error),
                }
            }
            let now = self.now.running;
            let upcoming = due::upcoming(db, want, now, &self.skip, Reading::Ordinary)?;
            if let Some(upcoming) = upcoming {
                claims.upcoming.insert(want.destination.clone(), upcoming);
            }
        }
        Ok(claims)
    }

    /// None if the entry no longer waits or is paused. If the record of its attempts is lost, its
    /// state alone shows that one was begun.
    fn one(
        &self,
        db: &Connection,
        id: &str,
        destination: &Destination,
        record: Record,
    ) -> rusqlite::Result<Option<Claimed>> {
        if lock_mutex(&self.pauses).of(&destination.mailbox).is_some() {
            return Ok(None);
        }
        let waiting = db
            .prepare_cached(
                // OR FAIL: usage.rs.
                "UPDATE OR FAIL entry SET state = 'claimed', attempts = attempts + 1
                 WHERE id = ?1 AND state = 'waiting'",
            )?
            .execute([id])?;
        if waiting == 0 {
            return Ok(None);
        }
        let entry = claimed(db, id, destination, &self.folder, record)?;
        if record == Record::Damaged {
            return Ok(Some(entry));
        }
        db.prepare_cached(
            "INSERT INTO attempt (entry, number, begun_at, client_request_id, begun_running)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            id,
            entry.attempt,
            self.now.at.millis(),
            entry.client_request_id.to_string(),
            self.now.running.millis()
        ])?;
        Ok(Some(entry))
    }
}
