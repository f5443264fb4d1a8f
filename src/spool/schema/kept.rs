//! The copy of a database made before an upgrade of its format. It stays in the same
//! folder as `spool.db.format-5` or similar, so that an administrator can go back to the
//! version that wrote it.
//!
//! - The copy includes everything that was in the log. It is on stable storage before the
//!   database changes, and only its owner can read it.
//! - It is made from a file that nobody has open, because closing a second handle to an
//!   open database would release SQLite's locks.
//! - If there is no room for it, nothing changes and the relay does not start. A copy
//!   that exists already, or a link to one on another disk, is accepted after it was
//!   compared byte by byte.
//! - Nothing in this program deletes or overwrites a copy; that is up to the
//!   administrator.

use std::fmt;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;

use super::FORMAT;
use crate::disk;
use crate::platform::files;
use crate::spool::SpoolError;
use crate::spool::database;
use crate::spool::room::usage::megabytes;
use crate::spool::trouble::failed;

/// How the name of a copy begins. The number of its format follows, and `.1`, `.2` if the
/// name is in use.
const NAME: &str = "spool.db.format-";

/// A copy that is being written.
const PART: &str = "spool.db.format-new";

/// Where SQLite keeps `user_version` in the first page, in four bytes ("Database File
/// Format", 1.3).
const VERSION_AT: u64 = 60;

/// A database of an earlier format, and what the next start does to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// Its present format.
    pub from: i64,
    /// The format after the upgrade.
    pub to: i64,
    /// Where the old database will be kept.
    pub kept: PathBuf,
    /// Its size.
    pub size: u64,
}

impl fmt::Display for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to, kept) = (self.from, self.to, self.kept.display());
        let size = megabytes(self.size);
        write!(
            f,
            "the next start upgrades the spool from format {from} to {to}, and keeps the old \
             database as {kept} ({size})"
        )
    }
}

/// What the next start of a relay does to this spool; none if it does nothing, or if that
/// cannot be known. Changes and locks nothing.
///
/// # Errors
///
/// The next start will be refused: the format is a later one, or there is no room.
pub fn upgrade_ahead(folder: &Path, free_space: u64) -> Result<Option<Upgrade>, SpoolError> {
    let path = folder.join("spool.db");
    let Some(from) = version(&path) else {
        return Ok(None);
    };
    if from > FORMAT {
        return Err(later(&path, from, program(&path)));
    }
    if from == FORMAT || from < 1 {
        return Ok(None);
    }
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    // The upgrade moves the log into the file.
    let size = size(&path) + size(&folder.join("spool.db-wal"));
    let place = place(&path, from)?;
    if let Place::Free(_) = place {
        Room::on(folder, size, free_space)?.must_do(&path, from)?;
    }
    let (Place::Taken(kept) | Place::Free(kept)) = place;
    Ok(Some(Upgrade {
        from,
        to: FORMAT,
        kept,
        size,
    }))
}

/// The databases of earlier formats that are kept, with their sizes.
pub fn copies(folder: &Path) -> Vec<(PathBuf, u64)> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let copies = files.filter(|file| {
        let name = file.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(NAME));
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    });
    let mut copies: Vec<_> = copies
        .map(|file| {
            let size = fs::metadata(file.path()).map_or(0, |file| file.len());
            (file.path(), size)
        })
        .collect();
    copies.sort();
    copies
}

/// The error for a database that was certainly made by a later version. A damaged one may
/// have any number.
pub(in crate::spool) fn of_later_format(path: &Path) -> Option<SpoolError> {
    let found = version(path).filter(|found| *found > FORMAT)?;
    let program = program(path)?;
    Some(later(path, found, Some(program)))
}

/// The error of a format that this program does not know.
pub(super) fn later(path: &Path, found: i64, program: Option<String>) -> SpoolError {
    let folder = path.parent().unwrap_or(path);
    let readable = |path: &PathBuf| version(path).is_some_and(|format| format <= FORMAT);
    let mut kept = copies(folder).into_iter().map(|(path, _)| path);
    SpoolError::Format {
        path: path.to_owned(),
        found,
        known: FORMAT,
        program,
        kept: kept.rfind(readable),
    }
}

/// Keeps a copy of a database of this format, and returns its path. This closes the
/// database.
pub(super) fn keep(
    connection: Connection,
    path: &Path,
    format: i64,
    free_space: u64,
) -> Result<PathBuf, SpoolError> {
    let folder = path.parent().unwrap_or(path);
    let part = folder.join(PART);
    disk::remove(&part).map_err(failed(&part))?;
    close(connection, path)?;
    let kept = match place(path, format)? {
        Place::Taken(kept) => return Ok(kept),
        Place::Free(kept) => kept,
    };
    let size = fs::metadata(path).map_err(failed(path))?.len();
    Room::on(folder, size, free_space)?.must_do(path, format)?;
    let copied = disk::copy(path, &part).and_then(|()| disk::rename(&part, &kept));
    if let Err(error) = copied {
        // If it cannot be removed, the next start removes it.
        let _left = fs::remove_file(&part);
        return Err(failed(&kept)(error));
    }
    Ok(kept)
}

/// Closes the database after moving everything into its main file.
fn close(connection: Connection, path: &Path) -> Result<(), SpoolError> {
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        row.get::<_, i64>(0)
    })?;
    if busy != 0 {
        return Err(failed(path)(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another program has it open: close that one, and start the relay again",
        )));
    }
    connection
        .close()
        .map_err(|(_, error)| SpoolError::from(error))
}

/// Where a copy goes, or already is.
#[derive(Debug)]
enum Place {
    /// It exists.
    Taken(PathBuf),
    /// It can be created here.
    Free(PathBuf),
}

fn place(path: &Path, format: i64) -> Result<Place, SpoolError> {
    let name = |end: &str| path.with_file_name(format!("{NAME}{format}{end}"));
    let mut place = name("");
    for number in 1_u32.. {
        // A link to nowhere was made by somebody on purpose.
        if fs::symlink_metadata(&place).is_err() {
            break;
        }
        if is_same(path, &place).map_err(failed(&place))? {
            return Ok(Place::Taken(place));
        }
        place = name(&format!(".{number}"));
    }
    Ok(Place::Free(place))
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let other = match File::open(other) {
        Ok(other) => other,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let one = File::open(one)?;
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (Pieces::of(one), Pieces::of(other));
    loop {
        match (one.next()?, other.next()?) {
            (a, b) if a != b => return Ok(false),
            ([], _) => return Ok(true),
            _ => {}
        }
    }
}

/// Reads a file piece by piece.
struct Pieces {
    file: File,
    piece: Vec<u8>,
}

impl Pieces {
    fn of(file: File) -> Self {
        let piece = Vec::new();
        Self { file, piece }
    }

    fn next(&mut self) -> io::Result<&[u8]> {
        const PIECE: u64 = 256 * 1024;
        self.piece.clear();
        (&self.file).take(PIECE).read_to_end(&mut self.piece)?;
        Ok(&self.piece)
    }
}

/// Whether the copy and the upgrade together fit on the disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    needed: u64,
    free: u64,
    free_space: u64,
}

impl Room {
    fn on(folder: &Path, size: u64, free_space: u64) -> Result<Self, SpoolError> {
        Ok(Self {
            // The log may contain every page once. Measured: two thirds, if there is
            // nothing but history.
            needed: 2 * size,
            free: disk::free_space(folder).map_err(failed(folder))?,
            free_space,
        })
    }

    fn must_do(self, path: &Path, format: i64) -> Result<(), SpoolError> {
        if self.needed.saturating_add(self.free_space) <= self.free {
            return Ok(());
        }
        Err(SpoolError::NotKept {
            path: path.to_owned(),
            found: format,
            words: self.words(path, format),
        })
    }

    fn words(self, path: &Path, format: i64) -> String {
        let folder = path.parent().unwrap_or(path).display();
        let name = format!("{NAME}{format}");
        let missing = self.needed + self.free_space - self.free;
        let [needed, free, free_space, missing] =
            [self.needed, self.free, self.free_space, missing].map(megabytes);
        format!(
            "the relay keeps a copy of it before it upgrades it to format {FORMAT}, and there is \
             no room for that: both need {needed}, limits.free_space reserves {free_space}, and \
             {free} are free. Nothing was changed. Free {missing} on the disk of {folder}, or put \
             the copy on another disk, readable for the relay's user: cp {} /OTHER/{name}; ln -s \
             /OTHER/{name} {folder}/. Then start the relay again",
            path.display()
        )
    }
}

/// The format according to the first page; none if this is not a database or cannot be
/// read.
fn version(path: &Path) -> Option<i64> {
    let mut version = [0; 4];
    let file = File::open(path).ok()?;
    let mut begin = [0; database::MAGIC.len()];
    files::read_exact_at(&file, &mut begin, 0).ok()?;
    files::read_exact_at(&file, &mut version, VERSION_AT).ok()?;
    (&begin == database::MAGIC).then(|| i64::from(i32::from_be_bytes(version)))
}

fn program(path: &Path) -> Option<String> {
    super::program(&database::open_without_log(path)?)
}
