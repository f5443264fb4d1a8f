//! The bytes of a message: coming in, on disk, going out.
//!
//! A message stays in memory up to [`INLINE_LIMIT`] and goes to a file beyond,
//! so memory does not grow with its size, in or out.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use super::AcceptError;
use super::Spool;
use super::SpoolError;
use super::room;
use super::room::reservation::Reservation;
use super::seal::Digester;
use crate::disk;
use crate::mail::SpoolId;

/// Up to here a message lies in its row: SQLite is faster than a file for
/// small blobs. It is also the longest header section that is taken, because
/// the beginning that is kept in memory then always holds all of it (Exchange
/// itself takes 256 KB).
pub const INLINE_LIMIT: usize = 128 * 1024;

/// A message that is coming in. Dropped before it is accepted, it leaves
/// nothing behind.
#[derive(Debug)]
pub struct Incoming {
    pub(super) id: SpoolId,
    /// All of it, or the first [`INLINE_LIMIT`] bytes or a little more.
    pub(super) head: Vec<u8>,
    pub(super) file: Option<IncomingFile>,
    /// Of what has come so far.
    pub(super) digester: Digester,
    size: u64,
    spool: Spool,
    client: Option<IpAddr>,
}

#[derive(Debug)]
pub(super) struct IncomingFile {
    pub(super) file: tokio::fs::File,
    pub(super) path: PathBuf,
    /// Its other names, where it belongs to several entries.
    pub(super) links: Vec<PathBuf>,
    /// Removed on drop, unless it was accepted.
    pub(super) keep: bool,
    /// Its room, given back after the file is gone.
    pub(super) reservation: Reservation,
}

impl Drop for IncomingFile {
    fn drop(&mut self) {
        if !self.keep {
            for path in self.links.iter().chain([&self.path]) {
                // What cannot be removed now is removed at the next start.
                let _left = fs::remove_file(path);
            }
        }
    }
}

impl Spool {
    /// Begins to take in a message.
    pub fn receive(&self, id: SpoolId) -> Incoming {
        Incoming {
            id,
            head: Vec::new(),
            file: None,
            digester: Digester::new(),
            size: 0,
            spool: self.clone(),
            client: None,
        }
    }
}

impl Incoming {
    /// The same from this client, which shares its room fairly with others.
    pub fn from_client(mut self, client: IpAddr) -> Self {
        self.client = Some(client);
        self
    }

    /// The id the message will have.
    pub fn id(&self) -> SpoolId {
        self.id
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The first [`INLINE_LIMIT`] bytes, or all there are: as
    /// [`Content::head`] will say once it is accepted.
    pub fn head(&self) -> &[u8] {
        self.head.get(..INLINE_LIMIT).unwrap_or(&self.head)
    }

    /// Appends a piece of content. After an error nothing of it is left.
    ///
    /// # Errors
    ///
    /// There is no room, or the file cannot be written.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), AcceptError> {
        self.size += piece.len() as u64;
        self.digester.update(piece);
        let stored = self.store(piece).await;
        if stored.is_err() {
            self.discard();
        }
        stored
    }

    async fn store(&mut self, piece: &[u8]) -> Result<(), AcceptError> {
        if let Some(file) = &mut self.file {
            return file.write(&self.spool, piece).await;
        }
        self.head.extend_from_slice(piece);
        if self.head.len() > INLINE_LIMIT {
            let folder = folder(&self.spool.shared.settings.folder);
            let path = folder.join(format!("{}{PART}", self.id));
            let file = disk::create(&path).map_err(|error| self.spool.not_written(&path, error))?;
            let file = self.file.insert(IncomingFile {
                file: tokio::fs::File::from_std(file),
                path,
                links: Vec::new(),
                keep: false,
                reservation: Reservation::begin(&self.spool.shared.room, self.client),
            });
            file.write(&self.spool, &self.head).await?;
        }
        Ok(())
    }

    /// The file that has what has come in so far, to be read; none for what is in
    /// memory.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub async fn file(&mut self) -> Result<Option<PathBuf>, AcceptError> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        // What was handed to the file may still be on its way.
        let written = file.file.flush().await;
        written.map_err(|error| self.spool.not_written(&file.path, error))?;
        Ok(Some(file.path.clone()))
    }

    /// Removes what has come in so far, and gives its room back.
    pub fn discard(&mut self) {
        self.head = Vec::new();
        self.file = None;
    }

    /// Returns when the room that it has taken was given to others: it is to be
    /// discarded then, at once.
    pub async fn taken_back(&self) {
        match &self.file {
            Some(file) => file.reservation.taken_back().cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Why, for the log.
    pub fn why_taken_back(&self) -> String {
        format!(
            "the client sent too slowly and the spool filled up: {}",
            self.spool.shared.room.fills()
        )
    }
}

impl IncomingFile {
    async fn write(&mut self, spool: &Spool, piece: &[u8]) -> Result<(), AcceptError> {
        let (bytes, purpose) = (piece.len() as u64, self.reservation.purpose());
        let lacks = self.reservation.lacks(bytes);
        if lacks > 0 {
            let room = &spool.shared.room;
            let step = lacks.max(room::STEP);
            if room.try_take(step, purpose)?.is_none() {
                self.reservation.extend(step);
            } else {
                tokio::select! {
                    found = spool.find_room(lacks, purpose) => found?,
                    () = self.reservation.taken_back().cancelled() => {
                        return Err(AcceptError::Full(room.fills()));
                    }
                }
                self.reservation.extend(lacks);
            }
        }
        let written = self.file.write_all(piece).await;
        written.map_err(|error| spool.not_written(&self.path, error))?;
        self.reservation.wrote(bytes);
        Ok(())
    }
}

/// A message that is kept.
#[derive(Clone, Debug)]
pub enum Content {
    /// All of it.
    Inline(Bytes),
    /// Where it is.
    File {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        size: u64,
    },
}

impl Content {
    /// Bytes in all.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// All of it, for content that is known to be small enough for memory.
    ///
    /// # Errors
    ///
    /// Those of reading a file.
    pub async fn whole(&self) -> io::Result<Bytes> {
        match self {
            Self::Inline(bytes) => Ok(bytes.clone()),
            Self::File { path, .. } => Ok(tokio::fs::read(path).await?.into()),
        }
    }

    /// The first [`INLINE_LIMIT`] bytes, or all there are: holds the whole
    /// header section of every message that was accepted.
    ///
    /// # Errors
    ///
    /// Those of reading a file.
    pub async fn head(&self) -> io::Result<Bytes> {
        match self {
            Self::Inline(bytes) => Ok(bytes.clone()),
            Self::File { path, .. } => {
                let file = tokio::fs::File::open(path).await?;
                let mut head = Vec::with_capacity(INLINE_LIMIT);
                file.take(INLINE_LIMIT as u64)
                    .read_to_end(&mut head)
                    .await?;
                Ok(head.into())
            }
        }
    }
}

pub(super) fn folder(spool: &Path) -> PathBuf {
    spool.join("content")
}

pub(super) fn path(spool: &Path, id: SpoolId) -> PathBuf {
    folder(spool).join(id.to_string())
}

/// What a message that is still coming in is called, behind its id.
const PART: &str = ".part";

/// The entry whose content a file of the folder is, by its name.
pub(super) fn id_of(file: &fs::DirEntry) -> Option<SpoolId> {
    let name = file.file_name();
    let id = name.to_str().and_then(exact_id)?;
    file.file_type()
        .is_ok_and(|kind| kind.is_file())
        .then_some(id)
}

/// Whether a file of the folder is a message that was still coming in.
pub(super) fn is_part(file: &fs::DirEntry) -> bool {
    let name = file.file_name();
    let id = name.to_str().and_then(|name| name.strip_suffix(PART));
    id.and_then(exact_id).is_some() && file.file_type().is_ok_and(|kind| kind.is_file())
}

/// An id as the relay writes it: others are read too, and are strange here.
fn exact_id(name: &str) -> Option<SpoolId> {
    name.parse()
        .ok()
        .filter(|id: &SpoolId| id.to_string() == name)
}

pub(super) fn make_folders(spool: &Path) -> Result<(), SpoolError> {
    let folder = folder(spool);
    disk::create_folder(&folder).map_err(|error| SpoolError::File {
        path: folder,
        error,
    })
}

/// Makes a new file's name in its folder durable.
pub(super) async fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => tokio::fs::File::open(folder).await?.sync_all().await,
        None => Ok(()),
    }
}
