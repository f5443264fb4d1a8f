//! The bytes of a message: coming in, on disk, going out.
//!
//! A message stays in memory up to [`INLINE_LIMIT`] and is in a file beyond that, so the
//! use of memory does not grow with the size of messages.

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

/// Up to this size a message is stored in its row, because SQLite is faster than a file
/// for small blobs. It is also the longest header section that is accepted (Exchange
/// itself accepts 256 KB), so that the beginning that is kept in memory always holds the
/// whole header section.
pub const INLINE_LIMIT: usize = 128 * 1024;

/// A message that is coming in. If it is dropped before it is accepted, nothing of it
/// remains.
#[derive(Debug)]
pub struct Incoming {
    pub(super) id: SpoolId,
    /// The whole message, or its first [`INLINE_LIMIT`] bytes or a little more.
    pub(super) head: Vec<u8>,
    pub(super) file: Option<IncomingFile>,
    /// The digest of what has come so far.
    pub(super) digester: Digester,
    size: u64,
    spool: Spool,
    client: Option<IpAddr>,
}

#[derive(Debug)]
pub(super) struct IncomingFile {
    pub(super) file: tokio::fs::File,
    pub(super) path: PathBuf,
    /// Its other names, if several entries share it.
    pub(super) links: Vec<PathBuf>,
    /// Whether the file stays on drop, because the message was accepted.
    pub(super) keep: bool,
    /// Its room, given back after the file is removed.
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
    /// Begins to receive a message.
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
    /// The same for a client, which shares the room fairly with other clients.
    pub fn from_client(mut self, client: IpAddr) -> Self {
        self.client = Some(client);
        self
    }

    /// The id the message will have.
    pub fn id(&self) -> SpoolId {
        self.id
    }

    /// Bytes received so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The first [`INLINE_LIMIT`] bytes, or all of them: the same bytes that
    /// [`Content::head`] returns once the message is accepted.
    pub fn head(&self) -> &[u8] {
        self.head.get(..INLINE_LIMIT).unwrap_or(&self.head)
    }

    /// Appends a piece of content. After an error nothing of the message is left.
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

    /// The file with what has come in so far, for reading; none if it is in memory.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub async fn file(&mut self) -> Result<Option<PathBuf>, AcceptError> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        // Data given to the file may not be written yet.
        let written = file.file.flush().await;
        written.map_err(|error| self.spool.not_written(&file.path, error))?;
        Ok(Some(file.path.clone()))
    }

    /// Removes what has come in so far, and gives its room back.
    pub fn discard(&mut self) {
        self.head = Vec::new();
        self.file = None;
    }

    /// Returns when others were given the room of this message. It must be discarded at
    /// once then.
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
    /// The whole content.
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
    /// Whether it is in a file.
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// The whole content, for content that is known to fit into memory.
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

    /// The first [`INLINE_LIMIT`] bytes, or all of them. They hold the whole header
    /// section of every accepted message.
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

/// The ending of the name while a message is still coming in, after its id.
const PART: &str = ".part";

/// The entry that a file in the content folder belongs to, by its name.
pub(super) fn id_of(file: &fs::DirEntry) -> Option<SpoolId> {
    let name = file.file_name();
    let id = name.to_str().and_then(exact_id)?;
    file.file_type()
        .is_ok_and(|kind| kind.is_file())
        .then_some(id)
}

/// Whether a file in the content folder is a message that was still coming in.
pub(super) fn is_part(file: &fs::DirEntry) -> bool {
    let name = file.file_name();
    let id = name.to_str().and_then(|name| name.strip_suffix(PART));
    id.and_then(exact_id).is_some() && file.file_type().is_ok_and(|kind| kind.is_file())
}

/// Only an id as the relay writes it. Other spellings can be parsed, and belong to
/// somebody else's file.
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

/// Makes the name of a new file in its folder durable.
pub(super) async fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => tokio::fs::File::open(folder).await?.sync_all().await,
        None => Ok(()),
    }
}
