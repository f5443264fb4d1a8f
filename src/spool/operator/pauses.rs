//! Pauses: an operator stops all delivery, or that of one mailbox, until it is resumed.
//!
//! From the moment that a pause is reported, no attempt of what it covers begins, also
//! after a restart: the writer's thread checks it with every claim. Attempts under way
//! finish, and mail is still accepted. Paused time does not count towards expiry, in the
//! same way as that of a configuration fault.
//!
//! If damage makes the record of pauses unreadable, nobody knows what was paused. Then the
//! relay itself pauses all delivery until an operator resumes it: mail that waits can still
//! be sent, and mail that somebody had stopped on purpose cannot be taken back. A restart
//! pauses again, until a salvage has made the record readable; a salvage that loses the
//! record pauses all delivery too.
//!
//! The dispatcher must not look for mail that is paused; that is left to `delivery/`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use rusqlite::Connection;
use rusqlite::params;
use serde::Deserialize;
use serde::Serialize;
use tokio::sync::Notify;

use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::clock::Timestamp;
use crate::mail::Address;
use crate::platform::users;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::columns;
use crate::spool::damage;
use crate::spool::lock_mutex;

/// Delivery that an operator has stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The mailbox; none if all delivery is paused.
    pub mailbox: Option<Address>,
    /// Since when.
    pub since: Timestamp,
    /// The user who paused it.
    pub uid: u32,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Whether it was not an operator but the relay, because it cannot read what was paused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_relay: bool,
}

impl Pause {
    /// All delivery, because what was paused cannot be read.
    fn assumed(error: &rusqlite::Error, since: Timestamp) -> Self {
        Self {
            mailbox: None,
            since,
            uid: users::own_uid(),
            reason: Some(format!("{UNREADABLE}: {error}")),
            by_relay: true,
        }
    }

    /// Who paused it, to follow other words.
    pub fn by(&self) -> String {
        match self.by_relay {
            true => "by the relay".to_owned(),
            false => format!("by user ID {}", self.uid),
        }
    }

    /// What it covers, as the beginning of a sentence.
    pub fn what(&self) -> String {
        match &self.mailbox {
            Some(mailbox) => format!("delivery from {mailbox}"),
            None => "all delivery".to_owned(),
        }
    }

    /// The reason in brackets, if there is one, to follow other words.
    pub fn why(&self) -> String {
        let reason = self.reason.as_ref();
        reason.map_or_else(String::new, |reason| format!(" ({reason})"))
    }

    /// The command that ends it.
    pub fn remedy(&self) -> String {
        match &self.mailbox {
            Some(mailbox) => format!("graph-relay resume --mailbox {mailbox}"),
            None => "graph-relay resume".to_owned(),
        }
    }
}

/// Why the relay itself pauses all delivery.
const UNREADABLE: &str = "what was paused before cannot be read from the spool";

/// Why a salvage pauses all delivery.
const LOST: &str = "salvaged: what was paused before is lost";

/// Everything that is paused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    by_mailbox: BTreeMap<Option<Address>, Pause>,
    /// When each was last resumed, since the relay started.
    resumed: BTreeMap<Option<Address>, RunningTime>,
}

impl Pauses {
    /// The pause that covers a mailbox; that of all delivery comes first.
    pub fn of(&self, mailbox: &Address) -> Option<&Pause> {
        let all = self.by_mailbox.get(&None);
        all.or_else(|| self.by_mailbox.get(&Some(mailbox.canonical())))
    }

    /// Returns since when the oldest message that is not paused has waited, if there is one. A
    /// message whose pause has ended waits from then on, so that it has time to leave. If nothing
    /// is or was paused, this is `oldest`.
    pub(in crate::spool) fn oldest_unpaused(
        &self,
        db: &Connection,
        oldest: RunningTime,
    ) -> rusqlite::Result<Option<RunningTime>> {
        if self.by_mailbox.contains_key(&None) {
            return Ok(None);
        }
        if self.by_mailbox.is_empty() && self.resumed.is_empty() {
            return Ok(Some(oldest));
        }
        let mut statement = db.prepare_cached(
            "SELECT mailbox, min(accepted_running) FROM entry WHERE state = 'waiting'
             GROUP BY mailbox",
        )?;
        let mut rows = statement.query([])?;
        let mut oldest: Option<RunningTime> = None;
        while let Some(row) = rows.next()? {
            let mailbox: Option<Address> = columns::optional(row, 0).unwrap_or_default();
            if mailbox.is_some() && self.by_mailbox.contains_key(&mailbox) {
                continue;
            }
            let accepted = RunningTime::from_millis(row.get(1)?);
            let resumed = [self.resumed.get(&None), self.resumed.get(&mailbox)];
            let since = resumed
                .into_iter()
                .flatten()
                .fold(accepted, |since, at| since.max(*at));
            oldest = Some(oldest.map_or(since, |oldest| oldest.min(since)));
        }
        Ok(oldest)
    }

    /// All of them; that of all delivery comes first.
    pub fn iter(&self) -> impl Iterator<Item = &Pause> {
        self.by_mailbox.values()
    }
}

/// The pauses in force, for everybody who asks.
#[derive(Debug)]
pub(in crate::spool) struct Board {
    /// Also read by the writer's thread.
    pub(in crate::spool) pauses: Arc<Mutex<Pauses>>,
    /// Since when a pause by the relay has lasted: since this start.
    begun: RunningTime,
    /// One change at a time, so that memory and database agree.
    turn: tokio::sync::Mutex<()>,
    changed: Notify,
}

impl Board {
    /// The pauses that the database has; if they cannot be read, that of all delivery.
    pub(in crate::spool) fn read(db: &Connection, now: Moment) -> Result<Self, SpoolError> {
        let pauses = match read(db) {
            Err(error) if damage::is_damage(&error) || damage::is_of_the_entry(&error) => {
                let all = Pause::assumed(&error, now.at);
                Pauses {
                    by_mailbox: [(None, all)].into(),
                    resumed: BTreeMap::new(),
                }
            }
            pauses => pauses?,
        };
        Ok(Self {
            pauses: Arc::new(Mutex::new(pauses)),
            begun: now.running,
            turn: tokio::sync::Mutex::default(),
            changed: Notify::default(),
        })
    }
}

impl Spool {
    /// Everything that is paused.
    pub fn pauses(&self) -> Pauses {
        lock_mutex(&self.shared.pauses.pauses).clone()
    }

    /// The pause that covers a mailbox, if there is one.
    pub fn paused(&self, mailbox: &Address) -> Option<Pause> {
        lock_mutex(&self.shared.pauses.pauses).of(mailbox).cloned()
    }

    /// Waits until something was paused or resumed since the last call.
    pub async fn pauses_changed(&self) {
        self.shared.pauses.changed.notified().await;
    }

    /// Pauses a mailbox, or all delivery. If it is paused already, only a new reason
    /// changes it. Returns the pause and whether it is new.
    ///
    /// # Errors
    ///
    /// Those of the database; nothing has changed then.
    pub async fn pause(&self, wanted: Pause) -> Result<(Pause, bool), SpoolError> {
        let board = &self.shared.pauses;
        let _turn = board.turn.lock().await;
        let mailbox = wanted.mailbox.as_ref().map(Address::canonical);
        let before = lock_mutex(&board.pauses).by_mailbox.get(&mailbox).cloned();
        let pause = match &before {
            Some(before) if wanted.reason.is_none() => return Ok((before.clone(), false)),
            Some(before) => Pause {
                since: before.since,
                mailbox: mailbox.clone(),
                ..wanted
            },
            None => Pause {
                mailbox: mailbox.clone(),
                ..wanted
            },
        };
        let (pauses, new, now) = (Arc::clone(&board.pauses), pause.clone(), self.moment());
        let write = move |db: &Connection| {
            // Claims run on this thread too, so none comes between this and the commit.
            let mut pauses = lock_mutex(&pauses);
            pauses.by_mailbox.insert(new.mailbox.clone(), new.clone());
            drop(pauses);
            insert(db, &new, now)
        };
        let written = self.shared.writer.write(write).await;
        if let Err(error) = written {
            let mut pauses = lock_mutex(&board.pauses);
            match before {
                Some(before) => drop(pauses.by_mailbox.insert(mailbox, before)),
                None => drop(pauses.by_mailbox.remove(&mailbox)),
            }
            return Err(error);
        }
        board.changed.notify_one();
        Ok((pause, before.is_none()))
    }

    /// Ends the pause of a mailbox, or that of all delivery. Returns it, if there was one.
    /// Mailboxes that are paused by themselves stay so.
    ///
    /// # Errors
    ///
    /// Those of the database; nothing has changed then.
    pub async fn resume(&self, mailbox: Option<&Address>) -> Result<Option<Pause>, SpoolError> {
        let board = &self.shared.pauses;
        let _turn = board.turn.lock().await;
        let mailbox = mailbox.map(Address::canonical);
        let known = lock_mutex(&board.pauses).by_mailbox.get(&mailbox).cloned();
        let Some(pause) = known else { return Ok(None) };
        let (key, now) = (key(mailbox.as_ref()), self.moment());
        if pause.by_relay {
            let begun = board.begun;
            let write = move |db: &Connection| give_back(db, begun, now);
            match self.shared.writer.write(write).await {
                // Entries that cannot be read are not sent anyway.
                Err(error) if !error.is_damage() => return Err(error),
                Ok(()) | Err(_) => {}
            }
        } else {
            let write = move |db: &Connection, extent| end(db, &key, now, extent);
            let extents = [Extent::Whole, Extent::OnlyPause];
            self.write_as_far_as_possible(&extents, write).await?;
        }
        let mut pauses = lock_mutex(&board.pauses);
        pauses.by_mailbox.remove(&mailbox);
        pauses.resumed.insert(mailbox, now.running);
        drop(pauses);
        board.changed.notify_one();
        Ok(Some(pause))
    }

    /// The number of messages that wait, for a mailbox or in all.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn waiting(&self, mailbox: Option<&Address>) -> Result<u64, SpoolError> {
        let mailbox = mailbox.map(Address::canonical);
        let mailbox = mailbox.map_or_else(String::new, |it| it.to_string());
        self.read(move |db| {
            db.query_row(
                "SELECT count(*) FROM entry WHERE state = 'waiting' AND (?1 = '' OR mailbox = ?1)",
                [mailbox],
                |row| columns::unsigned(row, 0),
            )
        })
        .await
    }
}

/// How much of a resumption is done when damage stops the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Whole,
    /// Without the time of messages that waited.
    OnlyPause,
}

/// The key of a pause in the table; that of all delivery names no mailbox.
fn key(mailbox: Option<&Address>) -> String {
    format!("pause {}", mailbox.map_or("", Address::as_str))
}

fn read(db: &Connection) -> rusqlite::Result<Pauses> {
    let mut statement = db.prepare(
        "SELECT substr(key, 7), at, uid, text FROM ordered WHERE key BETWEEN 'pause ' AND 'pause~'",
    )?;
    let rows = statement.query_map([], |row| {
        let mailbox: String = row.get(0)?;
        Ok(Pause {
            mailbox: match mailbox.as_str() {
                "" => None,
                _ => Some(columns::parsed(row, 0)?),
            },
            since: Timestamp::from_millis(row.get(1)?),
            uid: row.get(2)?,
            reason: row.get(3)?,
            by_relay: false,
        })
    })?;
    let mut pauses = Pauses::default();
    for pause in rows {
        let pause = pause?;
        pauses.by_mailbox.insert(pause.mailbox.clone(), pause);
    }
    Ok(pauses)
}

fn insert(db: &Connection, pause: &Pause, now: Moment) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO ordered (key, at, running, uid, text) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (key) DO UPDATE SET uid = excluded.uid, text = excluded.text",
    )?
    .execute(params![
        key(pause.mailbox.as_ref()),
        pause.since.millis(),
        now.running.millis(),
        pause.uid,
        pause.reason
    ])?;
    Ok(())
}

/// Records that all delivery is paused, in a salvaged database that has lost what was
/// paused.
pub(in crate::spool) fn insert_lost(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO ordered (key, at, running, uid, text)
         VALUES ('pause ', ?1, ifnull((SELECT running FROM clock), 0), ?2, ?3)",
        params![now.millis(), users::own_uid(), LOST],
    )?;
    Ok(())
}

/// Gives messages that had failed before the time of a pause by the relay back.
fn give_back(db: &Connection, begun: RunningTime, now: Moment) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE entry SET trouble_since = trouble_since + max(0, ?2 - max(trouble_since, ?1))
         WHERE state = 'waiting' AND trouble_since IS NOT NULL",
        params![begun.millis(), now.running.millis()],
    )?;
    Ok(())
}

/// Ends a pause. Messages that had failed before get the time of the pause back, up to the
/// beginning of another pause that still covers them and will give back the rest.
fn end(db: &Connection, key: &str, now: Moment, extent: Extent) -> rusqlite::Result<()> {
    if extent == Extent::Whole {
        db.prepare_cached(
            "UPDATE entry SET trouble_since = trouble_since + max(0,
                 ifnull((SELECT min(running) FROM ordered
                     WHERE key IN ('pause ', 'pause ' || entry.mailbox) AND key <> ?1), ?2)
                 - max(trouble_since, (SELECT running FROM ordered WHERE key = ?1)))
             WHERE state = 'waiting' AND trouble_since IS NOT NULL
             AND ?1 IN ('pause ', 'pause ' || mailbox)
             AND EXISTS (SELECT 1 FROM ordered WHERE key = ?1)",
        )?
        .execute(params![key, now.running.millis()])?;
    }
    db.prepare_cached("DELETE FROM ordered WHERE key = ?1")?
        .execute([key])?;
    Ok(())
}
