//! The durable store of accepted messages.
//!
//! # Constraints
//!
//! - `accept` returns only after the message is on stable storage (promise 1): SQLite in
//!   WAL mode with `synchronous=FULL`, one fsync for each transaction.
//! - One writer thread runs all waiting operations in one transaction (group commit), so
//!   that one fsync serves every session that waits. If the transaction fails, each
//!   operation runs again in its own, so that none fails because of another.
//! - A small message is stored in the database. A message above [`INLINE_LIMIT`] is
//!   streamed to a file, which is fsynced together with its folder before the row that
//!   names it is committed. A file without a row is moved to `orphans/` at start; a row
//!   without its file is quarantined (`damage/recover.rs`).
//! - How much may come in, and what yields to it when there is no room: `room/mod.rs`.
//! - A message with too many recipients becomes several entries in that one transaction;
//!   the file of a large one has a name (a hard link) for each entry.
//! - Content is deleted in the transaction that settles its entry, or kept for a while
//!   (`kept/`); a file is removed after that transaction.
//! - A report about an entry is accepted in the transaction that settles the entry
//!   (promise 2), and reports that are no longer true are withdrawn in it.
//! - An attempt is on record as begun before it begins (promise 4). At start an
//!   attempt without an end is doubtful, and its entry waits again.
//! - One bad sector harms one message: an entry that cannot be read, or whose checksums
//!   do not match, is quarantined and never sent (`damage/mod.rs`, `seal.rs`).
//! - Decisions that depend on time use the relay's running time, which is independent of
//!   the wall clock: `running.rs`.
//! - Only one process can open the spool: `spool.lock` and the folder are locked while it
//!   is open.
//! - The database must belong to the files next to it. A missing, empty, older or
//!   different one is refused (`damage/examine.rs`, `damage/mark.rs`), because going on
//!   would lose mail or send it twice. A folder that was restored as a whole is
//!   consistent and accepted.
//! - A spool of an earlier format is upgraded, and the old database is kept. One of a
//!   later format is refused (`schema/`).
//! - After an fsync error, and while the database file is missing or replaced, nothing is
//!   accepted (`damage/watch.rs`).
//!
//! # Format
//!
//! ```text
//! data_dir/
//!   spool.lock          locked while open
//!   spool.state         how far the database is (`damage/mark.rs`)
//!   spool.db, -wal      entry      one row a message, also after its end
//!                       recipient  who receives an entry
//!                       asked      what the client named in their place
//!                       content    the bytes of a small message
//!                       attempt    what was tried, and what came of it
//!                       refusal    what was not accepted, and why
//!                       clock      for how long the relay has run
//!                       ordered    what an operator has ordered, and what the history has forgotten
//!                       spool      which spool this is, and how far it is
//!   content/ID          the bytes of a large message; ID.part while it comes in
//!   orphans/ID          files that the database did not know at a start
//!   spool.db.format-N   the database as it was before its format was brought up
//! ```
//!
//! `user_version` numbers the format; an unknown one is refused. The states of an entry:
//! `waiting` (due at `due_running`), `claimed` (an attempt is under way), `held` (until
//! an operator releases it), `delivered`, `failed` (its content is kept for the operator
//! until new mail needs the room), `dropped` (by an operator, or a report that is no
//! longer true), `quarantined` (it cannot be read, or differs from what was accepted). The
//! content of `delivered` and `dropped` ones may be kept for a while (`kept/`).
//!
//! The spool knows neither SMTP replies nor Graph; `delivery/` decides about outcomes and
//! about when the next attempt is due.

mod accept;
mod arrivals;
mod attempts;
pub mod backup;
mod columns;
mod content;
mod damage;
mod database;
mod kept;
mod operator;
mod progress;
mod refusals;
mod room;
mod running;
mod schema;
mod seal;
mod state;
mod trouble;
mod view;
mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use rusqlite::Connection;
use tokio::sync::Notify;

pub use self::accept::Accepted;
pub use self::accept::NewEntry;
pub use self::accept::alert::AlertMessage;
pub use self::accept::asked::Replaced;
use self::accept::caption;
pub use self::accept::caption::LONGEST_SUBJECT;
pub use self::accept::caption::Subjects;
pub use self::accept::dsn::Dsn;
pub use self::accept::dsn::DsnKind;
pub use self::accept::error::AcceptError;
pub use self::accept::requests::Requested;
pub use self::arrivals::Arrival;
pub use self::arrivals::Urgency;
pub use self::attempts::Claimed;
pub use self::attempts::claim::Claims;
pub use self::attempts::doubt::Abandoned;
pub use self::attempts::doubt::Draft;
pub use self::attempts::doubt::Stage;
pub use self::attempts::due::Allowance;
pub use self::attempts::due::Upcoming;
pub use self::attempts::due::Want;
pub use self::content::Content;
pub use self::content::INLINE_LIMIT;
pub use self::content::Incoming;
pub use self::damage::Quarantined;
pub use self::damage::check::Checked;
pub use self::damage::check::check_stopped;
use self::damage::examine;
pub use self::damage::examine::Refusal;
pub use self::damage::examine::would_open;
use self::damage::mark;
use self::damage::mark::Mark;
use self::damage::recover;
pub use self::damage::recover::FILE_GONE;
pub use self::damage::recover::Recovered;
use self::kept::KEPT;
pub use self::kept::KeepFor;
use self::kept::Keeping;
pub use self::operator::filter::Filter;
pub use self::operator::filter::FilterError;
pub use self::operator::order::Action;
pub use self::operator::order::Count;
pub use self::operator::order::Decided;
pub use self::operator::order::Decision;
pub use self::operator::order::Order;
pub use self::operator::order::Verdict;
pub use self::operator::order::Which;
pub use self::operator::orders::GivenBy;
pub use self::operator::orders::OrderView;
pub use self::operator::pauses::Pause;
pub use self::operator::pauses::Pauses;
pub use self::operator::resend::NotResent;
pub use self::operator::resend::Original;
pub use self::progress::OnStep;
pub use self::progress::Phase;
pub use self::progress::Step;
use self::refusals::Pending;
pub use self::refusals::Refusal as RefusedMail;
pub use self::refusals::Refused;
pub use self::refusals::WRITTEN_EVERY;
use self::room::usage;
pub use self::view::history::Became;
pub use self::view::history::Found;
pub use self::view::history::LastAttempt;
pub use self::view::history::Record;
pub use self::view::history::Search;
pub use self::view::matching::Concerned;
pub use self::view::matching::ToMatch;
pub use self::view::overview::Failure;
pub use self::view::overview::Overview;
pub use self::view::overview::Sum;
pub use self::view::past::PastMinute;
pub use self::view::past::PastMinutes;
pub use self::view::place::Place;
pub use self::view::reading::ToRead;
pub use self::view::sought::Sought;

pub use self::attempts::settle::AttemptReport;
pub use self::attempts::settle::Next;
pub use self::attempts::spent::Spent;
pub use self::damage::salvage::Salvaged;
pub use self::damage::salvage::salvage;
use self::damage::watch::Watch;
pub use self::room::Removed;
use self::room::Room;
pub use self::room::usage::Holdings;
pub use self::room::usage::megabytes;
use self::running::Running;
pub use self::schema::Upgrade;
pub use self::schema::Upgraded;
pub use self::schema::copies;
pub use self::schema::upgrade_ahead;
pub use self::seal::ContentError;
pub use self::seal::Digest;
pub use self::state::AttemptOutcome;
pub use self::state::State;
pub use self::trouble::Trouble;
pub use self::view::AttemptView;
pub use self::view::EntryView;
pub use self::view::Summary;
pub use self::view::Totals;
use self::writer::Writer;
use crate::clock::Clock;
use crate::clock::Moment;
use crate::mail::SpoolId;
use crate::platform::files;

/// A handle to the spool; clones share it.
#[derive(Clone, Debug)]
pub struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    clock: Clock,
    running: Running,
    writer: Writer,
    watch: Arc<Watch>,
    /// Only for reading. A std mutex, held for one query on a blocking thread.
    reader: Mutex<Connection>,
    /// What the spool holds, and what is on its way in.
    room: Arc<Room>,
    /// Destinations in which something became due, until somebody asks.
    arrivals: Mutex<Vec<Arrival>>,
    arrived: Notify,
    /// Signals that messages were dropped.
    dropped: Notify,
    /// What an operator has paused.
    pauses: operator::pauses::Board,
    /// How long content is kept.
    keeping: Keeping,
    /// Not written yet, and the recent ones.
    refusals: Mutex<Pending>,
    /// Entries that can neither be read nor be quarantined, see `damage/mod.rs`.
    left_alone: Mutex<HashSet<String>>,
    /// Locked as long as the spool is open.
    _locks: [File; 2],
}

/// Where the spool is and how large it may become.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder; created if it does not exist, with mode 0700.
    pub folder: PathBuf,
    /// The size on disk above which nothing more is accepted, rows included.
    pub size: u64,
    /// Bytes free on the disk below which nothing more is accepted.
    pub free_space: u64,
    /// Whether Subjects are kept.
    pub subjects: Subjects,
}

/// Why the spool could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The database.
    #[error("spool database error: {0}")]
    Database(#[source] rusqlite::Error),
    /// Part of the database cannot be read. The text is for a message that this affects;
    /// the others continue.
    #[error(
        "the spool database is damaged: {0}; to repair it: systemctl stop graph-relay, then \
         graph-relay spool salvage"
    )]
    Damaged(#[source] rusqlite::Error),
    /// A file or folder.
    #[error("{}: {error}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        #[source]
        error: io::Error,
    },
    /// Another process has it open.
    #[error("{} is in use by another graph-relay: stop that one first, or name another data_dir", .0.display())]
    InUse(PathBuf),
    /// A later version has written it.
    #[error("{}", of_later_format(path, *found, *known, program.as_deref(), kept.as_deref()))]
    Format {
        /// The database.
        path: PathBuf,
        /// The number of its format.
        found: i64,
        /// What this program writes.
        known: i64,
        /// The version of the program that made this format, if that is known.
        program: Option<String>,
        /// What to do about it.
        kept: Option<PathBuf>,
    },
    /// The format is an earlier one, and there is no room to keep the old database.
    #[error("{} has format {found}: {words}", path.display())]
    NotKept {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// What is missing, and what to do.
        words: String,
    },
    /// The database does not belong to the files next to it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk did not confirm a write.
    #[error(
        "the disk did not confirm a write ({0}): what the relay holds in memory may not be on disk"
    )]
    NotSynced(String),
    /// The open database or its log was removed, replaced or truncated.
    #[error(
        "{} was removed, replaced or truncated while the relay was running: no mail is accepted. \
         Move the file \
         back, or restart the relay: it writes a complete database when it stops", .0.display()
    )]
    Gone(PathBuf),
    /// The writer thread has ended.
    #[error("the spool is closed")]
    Closed,
}

/// The text that names the version which reads a database.
fn of_later_format(
    path: &Path,
    found: i64,
    known: i64,
    program: Option<&str>,
    kept: Option<&Path>,
) -> String {
    let (own, path) = (schema::PROGRAM, path.display());
    let (who, remedy) = match program {
        Some(program) => (
            format!("graph-relay {program}"),
            format!("start graph-relay {program} or a later version"),
        ),
        None => (
            "a later version of graph-relay".to_owned(),
            "start the version that wrote it".to_owned(),
        ),
    };
    let mut words = format!(
        "{path} has format {found}, written by {who}; this is graph-relay {own}, which reads \
         formats up to {known}. Nothing was changed: {remedy}"
    );
    if let Some(kept) = kept {
        words += &format!(
            ". The database from before the upgrade is kept as {}. To go back to it, move \
             spool.db and spool.state away and move that file into the place of spool.db; it \
             lacks mail that was accepted since, and mail that was delivered since goes out again",
            kept.display()
        );
    }
    words
}

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        if damage::is_damage(&error) {
            Self::Damaged(error)
        } else if writer::is_of_sync(&error) {
            Self::NotSynced(error.to_string())
        } else {
            Self::Database(error)
        }
    }
}

impl Spool {
    /// Opens the spool, or creates a new one, and repairs what a crash left behind.
    /// Blocks until that is done.
    ///
    /// # Errors
    ///
    /// Names the file or folder with the problem.
    pub fn open(settings: Settings, clock: Clock) -> Result<(Self, Recovered), SpoolError> {
        content::make_folders(&settings.folder)?;
        let locks = lock(&settings.folder)?;
        let path = settings.folder.join("spool.db");
        let beside = examine::before_opening(&settings.folder)?;
        let (mut connection, upgraded) =
            schema::open(&path, &beside, clock.now(), settings.free_space)?;
        let (running, jump) = running::begin(&connection, &clock)?;
        let now = running.moment(&clock);
        let mut recovered = recover::recover(&mut connection, &settings.folder, now)?;
        recovered.clock = jump;
        recovered.upgraded = upgraded;
        caption::begin(&connection, settings.subjects)?;
        usage::begin(&connection)?;
        let pauses = operator::pauses::Board::read(&connection, now)?;
        refusals::store::begin(&connection, settings.subjects, now.running)?;
        let room = Arc::new(Room::new(&settings, &connection));
        let reader = schema::open_reader(&path)?;
        let file = |path: PathBuf| move |error| SpoolError::File { path, error };
        let mark = schema::state(&connection, &beside)?;
        let mark =
            Mark::write(&settings.folder, mark).map_err(file(mark::path(&settings.folder)))?;
        let watch = Arc::new(Watch::new(path));
        let writer = Writer::start(connection, mark, Arc::clone(&watch), Arc::clone(&room))?;
        let shared = Shared {
            settings,
            clock,
            running,
            writer,
            watch,
            reader: Mutex::new(reader),
            room,
            arrivals: Mutex::new(Vec::new()),
            arrived: Notify::new(),
            dropped: Notify::new(),
            pauses,
            keeping: Keeping::default(),
            refusals: Mutex::default(),
            left_alone: Mutex::new(HashSet::new()),
            _locks: locks,
        };
        let spool = Self {
            shared: Arc::new(shared),
        };
        Ok((spool, recovered))
    }

    /// The id for a message that is about to come in.
    pub fn new_id(&self) -> SpoolId {
        SpoolId::generate(self.shared.clock.now())
    }

    /// The present time.
    pub fn moment(&self) -> Moment {
        self.shared.running.moment(&self.shared.clock)
    }

    /// Writes what is outstanding and closes the database, with everything in its main
    /// file. Remaining handles get [`SpoolError::Closed`]. Returns where the database was
    /// written, if its file had been removed.
    pub async fn close(&self) -> Option<PathBuf> {
        // Without it at most a minute of running time is lost.
        let _noted = self.note_running().await;
        let _written = self.write_refusals().await;
        self.shared.writer.close(self.rescue()).await
    }

    /// What it holds, for status and metrics.
    pub fn holdings(&self) -> Holdings {
        self.shared.room.holdings()
    }
}

/// A panic elsewhere while the lock was held leaves nothing half done, because every
/// critical section here is a single assignment or query.
fn lock_mutex<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Locks the spool for this process: `spool.lock`, which earlier versions lock too, and
/// the folder itself, which cannot be replaced unnoticed.
fn lock(folder: &Path) -> Result<[File; 2], SpoolError> {
    let path = folder.join("spool.lock");
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let opened = files::with_mode(&mut options, files::PRIVATE).open(&path);
    let file = |path: &Path| {
        let path = path.to_owned();
        move |error| SpoolError::File { path, error }
    };
    let locks = [
        opened.map_err(file(&path))?,
        File::open(folder).map_err(file(folder))?,
    ];
    for lock in &locks {
        if !files::lock(lock).map_err(file(&path))? {
            return Err(SpoolError::InUse(folder.to_owned()));
        }
    }
    Ok(locks)
}
