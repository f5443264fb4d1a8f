//! The relay's running time, which expiry, purging and due times are measured by.
//!
//! It follows a clock that nobody can set, and one row keeps it over restarts. The row is
//! written at each start and stop and every minute in between, so a crash costs at most a
//! minute. No running time passes while the relay is stopped. Only the wall clock or the
//! kernel knows how long that was, and they are believed only where an error is harmless:
//! an entry may be tried sooner, and what a mailbox has used may be forgotten, but
//! nothing expires and nothing is purged.
//!
//! A missing row (the database was salvaged), or one older than its entries, does no
//! harm: moments that it has not reached yet become the time of this start.

use super::columns;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;
use rusqlite::params_from_iter;
use uuid::Uuid;

use super::Spool;
use super::SpoolError;
use super::damage;
use super::state::State;
use crate::clock::Clock;
use crate::clock::ClockJump;
use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::clock::Timestamp;

/// The running time when this start began.
#[derive(Debug)]
pub(super) struct Running {
    /// The wall clock at this start.
    base: RunningTime,
    /// The steady clock at this start.
    begun: Duration,
    /// How long the relay was stopped before, if that is known.
    stopped: Duration,
}

impl Running {
    /// The present wall time.
    pub(super) fn moment(&self, clock: &Clock) -> Moment {
        let since = clock.steady().saturating_sub(self.begun);
        Moment {
            at: clock.now(),
            running: self.base + since,
        }
    }
}

impl Spool {
    /// The clock that the spool was opened with.
    pub fn clock(&self) -> Clock {
        self.shared.clock.clone()
    }

    /// The running time.
    pub fn running(&self) -> RunningTime {
        self.moment().running
    }

    /// Writes the running time to the database. Call it every minute.
    ///
    /// # Errors
    ///
    /// Those of the database; a later call makes up for it.
    pub async fn note_running(&self) -> Result<(), SpoolError> {
        let noted = Noted::now(self.running(), &self.shared.clock);
        let write = move |db: &Connection| noted.write(db);
        self.shared.writer.write(write).await
    }

    /// Shortens waits that are longer than `longest`, the longest wait that the
    /// configuration can cause. Returns how many entries had one.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn clamp_due(&self, longest: Duration) -> Result<usize, SpoolError> {
        let latest = self.running() + longest;
        let clamp = move |db: &Connection| {
            db.execute(
                "UPDATE entry SET due_running = ?1 WHERE state = 'waiting' AND due_running > ?1",
                [latest.millis()],
            )
        };
        match self.shared.writer.write(clamp).await {
            // Entries that cannot be read are not sent anyway.
            Err(error) if error.is_damage() => Ok(0),
            clamped => clamped,
        }
    }

    /// How long the relay was stopped before this start, if that is known.
    pub(super) fn stopped(&self) -> Duration {
        self.shared.running.stopped
    }
}

/// Continues from the end of the last start. Also returns a jump of the wall clock since
/// then, if there was one.
pub(super) fn begin(
    db: &Connection,
    clock: &Clock,
) -> Result<(Running, Option<ClockJump>), SpoolError> {
    let noted = Noted::read(db)?;
    let base = noted.as_ref().map_or(RunningTime::START, |it| it.running);
    let (stopped, jump) = noted.map_or((Duration::ZERO, None), |it| it.since(clock));
    put_right(db, base, stopped)?;
    Noted::now(base, clock).write(db)?;
    let running = Running {
        base,
        begun: clock.steady(),
        stopped,
    };
    Ok((running, jump))
}

/// The contents of the row.
struct Noted {
    running: RunningTime,
    wall: Timestamp,
    /// See [`Clock::boot`] and [`Clock::steady`].
    boot: Uuid,
    steady: Duration,
}

impl Noted {
    fn now(running: RunningTime, clock: &Clock) -> Self {
        Self {
            running,
            wall: clock.now(),
            boot: clock.boot(),
            steady: clock.steady(),
        }
    }

    fn read(db: &Connection) -> rusqlite::Result<Option<Self>> {
        db.query_row("SELECT running, wall, boot, steady FROM clock", [], |row| {
            let boot: String = row.get(2)?;
            Ok(Self {
                running: RunningTime::from_millis(row.get(0)?),
                wall: Timestamp::from_millis(row.get(1)?),
                // A boot id that cannot be read matches no other.
                boot: boot.parse().unwrap_or_else(|_| Uuid::new_v4()),
                steady: Duration::from_millis(columns::unsigned(row, 3)?),
            })
        })
        .optional()
    }

    fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT OR REPLACE INTO clock (one, running, wall, boot, steady)
             VALUES (1, ?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            self.running.millis(),
            self.wall.millis(),
            self.boot.to_string(),
            i64::try_from(self.steady.as_millis()).unwrap_or(i64::MAX)
        ])?;
        Ok(())
    }

    /// How much time has passed since, and whether the wall clock disagrees.
    fn since(&self, clock: &Clock) -> (Duration, Option<ClockJump>) {
        let now = clock.now();
        if self.boot == clock.boot() {
            let passed = clock.steady().saturating_sub(self.steady);
            return (passed, ClockJump::between(self.wall + passed, now));
        }
        // A clock that was set forward looks the same as a long stop.
        let jump = ClockJump::between(self.wall, now).filter(|jump| !jump.is_forward());
        (now.since(self.wall), jump)
    }
}

/// Moves waiting entries forward by the time of the stop, and leaves no moment in the
/// future except due times. Each change is a transaction of its own. One that damage
/// stops is left out, because entries that cannot be read are not sent anyway.
fn put_right(db: &Connection, base: RunningTime, stopped: Duration) -> Result<(), SpoolError> {
    let base = base.millis();
    let stopped = i64::try_from(stopped.as_millis()).unwrap_or(i64::MAX);
    let mut changes = vec![(
        "UPDATE entry SET due_running = max(?1, due_running - ?2)
         WHERE state = 'waiting' AND due_running > ?1"
            .to_owned(),
        vec![base, stopped],
    )];
    for column in ["accepted_running", "trouble_since", "draft_since"] {
        let change = format!(
            "UPDATE entry SET {column} = ?1
             WHERE state NOT IN ('delivered', 'dropped') AND {column} > ?1"
        );
        changes.push((change, vec![base]));
    }
    for state in State::ALL {
        for future in ["ended_running > ?1", "ended_running IS NULL"] {
            let change = format!(
                "UPDATE entry SET ended_running = ?1
                 WHERE state = '{}' AND {future} AND ended_at IS NOT NULL",
                state.name()
            );
            changes.push((change, vec![base]));
        }
    }
    for (change, values) in changes {
        match db.execute(&change, params_from_iter(values)) {
            Err(error) if !damage::is_damage(&error) => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}
