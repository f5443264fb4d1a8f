//! Computes how a power cut may leave the files of a folder, from the record that
//! `shim.c` writes.
//!
//! The disk guarantees only what POSIX does. Bytes are durable once an fsync of their
//! file has returned, a name once an fsync of its folder has. Of everything after that
//! any part may survive: none, all, the first few, some of them, a write up to some
//! sector. A failed fsync has written some of its bytes and forgotten the others, and no
//! later fsync brings those back.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

/// An interrupted write ends at a multiple of this.
const SECTOR: usize = 512;

/// The possible contents of a folder and everything below it after a power cut.
pub(crate) struct Disk {
    files: Vec<File>,
    /// By inode, those that have one now.
    inodes: HashMap<u64, usize>,
    names: BTreeMap<PathBuf, Node>,
    unsynced_names: Vec<Rename>,
    random: fastrand::Rng,
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// A change of names in one folder.
struct Rename {
    removed: Option<PathBuf>,
    added: Option<(PathBuf, Node)>,
}

impl Disk {
    /// The folder as it is now, all of it durable. The seed chooses what survives.
    pub(crate) fn of(folder: &Path, seed: u64) -> Self {
        let mut disk = Self {
            files: Vec::new(),
            inodes: HashMap::new(),
            names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
        };
        disk.read(&fs::canonicalize(folder).unwrap());
        disk
    }

    fn read(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                self.names.insert(path.clone(), Node::Folder);
                self.read(&path);
            } else if kind.is_file() && !is_left_out(&path) {
                let file = File {
                    durable: fs::read(&path).unwrap(),
                    unsynced: Vec::new(),
                };
                let node = self.add(file, entry.metadata().unwrap().ino());
                self.names.insert(path, node);
            }
        }
    }

    fn add(&mut self, file: File, inode: u64) -> Node {
        self.files.push(file);
        let number = self.files.len() - 1;
        self.inodes.insert(inode, number);
        Node::File(number)
    }

    /// Applies the record. Its last entry may be incomplete.
    pub(crate) fn replay(&mut self, record: &Path) {
        let record = fs::read(record).unwrap();
        let mut rest = &record[..];
        while let Some((entry, after)) = Entry::first(rest) {
            self.apply(&entry);
            rest = after;
        }
    }

    fn apply(&mut self, entry: &Entry<'_>) {
        match entry.kind {
            CREATE => {
                let node = self.add(File::default(), entry.inode);
                self.rename(None, Some((entry.path(), node)));
            }
            WRITE => self.change(
                entry.inode,
                Change::Write {
                    offset: entry.offset,
                    bytes: entry.bytes.to_vec(),
                },
            ),
            TRUNCATE => self.change(entry.inode, Change::Truncate(entry.offset)),
            SYNC => {
                let file = self.file(entry.inode);
                for change in std::mem::take(&mut file.unsynced) {
                    change.apply(&mut file.durable);
                }
            }
            SYNC_FAILED => {
                if let Some(number) = self.inodes.get(&entry.inode).copied() {
                    // Some of it is on the disk, the rest is lost.
                    self.files[number].cut(&mut self.random);
                }
            }
            LINK => {
                let node = self.node(&entry.path());
                self.rename(None, Some((entry.other(), node)));
            }
            RENAME => {
                let node = self.node(&entry.path());
                self.rename(Some(entry.path()), Some((entry.other(), node)));
            }
            UNLINK => self.rename(Some(entry.path()), None),
            MKDIR => self.rename(None, Some((entry.path(), Node::Folder))),
            SYNC_FOLDER => {
                let folder = entry.path();
                let renames = std::mem::take(&mut self.unsynced_names);
                for rename in renames {
                    if rename.is_in(&folder) {
                        rename.apply(&mut self.names);
                    } else {
                        self.unsynced_names.push(rename);
                    }
                }
            }
            other => panic!("{other} is no kind of record"),
        }
    }

    fn file(&mut self, inode: u64) -> &mut File {
        &mut self.files[self.inodes[&inode]]
    }

    fn change(&mut self, inode: u64, change: Change) {
        self.file(inode).unsynced.push(change);
    }

    fn rename(&mut self, removed: Option<PathBuf>, added: Option<(PathBuf, Node)>) {
        self.unsynced_names.push(Rename { removed, added });
    }

    /// The file that has this name now.
    fn node(&self, path: &Path) -> Node {
        let latest = self.unsynced_names.iter().rev().find_map(|rename| {
            let (name, node) = rename.added.as_ref()?;
            (name == path).then_some(*node)
        });
        latest.unwrap_or_else(|| self.names[path])
    }

    /// Cuts the power: chooses what survives, and replaces the contents of the folder
    /// with it.
    pub(crate) fn cut(mut self, folder: &Path) {
        let folder = fs::canonicalize(folder).unwrap();
        for file in &mut self.files {
            file.cut(&mut self.random);
        }
        // The names of a folder become durable in their order.
        let mut ended: Vec<PathBuf> = Vec::new();
        for rename in std::mem::take(&mut self.unsynced_names) {
            let of = rename.folder();
            if ended.contains(&of) || self.random.u8(..4) == 0 {
                ended.push(of);
            } else {
                rename.apply(&mut self.names);
            }
        }
        fs::remove_dir_all(&folder).unwrap();
        fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        for (path, node) in &self.names {
            // Sorted, so that a folder comes before its contents.
            if !path.parent().unwrap().exists() {
                continue;
            }
            match node {
                Node::Folder => fs::DirBuilder::new().mode(0o700).create(path).unwrap(),
                Node::File(number) => self.write(path, *number),
            }
        }
    }

    /// The file, or another name of it.
    fn write(&self, path: &Path, number: usize) {
        let same = |(_, node): &(&PathBuf, &Node)| **node == Node::File(number);
        let mut names = self.names.iter().filter(same).map(|(path, _)| path);
        let first = names.next().unwrap();
        // If a folder is lost, the first name is lost with it.
        if first != path && first.exists() {
            return fs::hard_link(first, path).unwrap();
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(path).unwrap();
        std::io::Write::write_all(&mut file, &self.files[number].durable).unwrap();
    }
}

/// SQLite creates it again; sockets and locks need not be kept.
fn is_left_out(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-shm")
}

impl File {
    /// Keeps part of what was not synced.
    fn cut(&mut self, random: &mut fastrand::Rng) {
        let changes = std::mem::take(&mut self.unsynced);
        let first = random.usize(..=changes.len());
        let way = random.u8(..4);
        for (number, mut change) in changes.into_iter().enumerate() {
            let survives = match way {
                0 => false,
                1 => true,
                2 => number < first,
                _ => random.bool(),
            };
            if !survives {
                continue;
            }
            if let Change::Write { bytes, .. } = &mut change
                && way > 1
                && random.u8(..4) == 0
            {
                let sectors = random.usize(..=bytes.len() / SECTOR);
                bytes.truncate(sectors * SECTOR);
            }
            change.apply(&mut self.durable);
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write {
                offset,
                bytes: written,
            } => {
                let end = offset + written.len();
                if bytes.len() < end && !written.is_empty() {
                    bytes.resize(end, 0);
                }
                if !written.is_empty() {
                    bytes[*offset..end].copy_from_slice(written);
                }
            }
            Self::Truncate(length) => bytes.resize(*length, 0),
        }
    }
}

impl Rename {
    /// The folder whose names it changes. The relay renames within one folder.
    fn folder(&self) -> PathBuf {
        let added = self.added.as_ref().map(|(path, _)| path);
        let path = added.or(self.removed.as_ref()).unwrap();
        path.parent().unwrap().to_owned()
    }

    fn is_in(&self, folder: &Path) -> bool {
        self.folder() == folder
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, Node>) {
        if let Some(path) = self.removed {
            names.remove(&path);
        }
        if let Some((path, node)) = self.added {
            names.insert(path, node);
        }
    }
}

// As in shim.c.
const CREATE: u32 = 1;
const WRITE: u32 = 2;
const TRUNCATE: u32 = 3;
const SYNC: u32 = 4;
const SYNC_FAILED: u32 = 5;
const LINK: u32 = 6;
const RENAME: u32 = 7;
const UNLINK: u32 = 8;
const MKDIR: u32 = 9;
const SYNC_FOLDER: u32 = 10;

/// One entry of the record.
struct Entry<'a> {
    kind: u32,
    names: &'a [u8],
    inode: u64,
    offset: usize,
    bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The first entry of a record, and the rest; none if it is incomplete.
    fn first(record: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, rest) = record.split_at_checked(32)?;
        let short = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().unwrap());
        let size = usize::try_from(long(24)).unwrap();
        let (names, rest) = rest.split_at_checked(short(4) as usize)?;
        let (bytes, rest) = rest.split_at_checked(size)?;
        let entry = Self {
            kind: short(0),
            names,
            inode: long(8),
            offset: usize::try_from(long(16)).unwrap(),
            bytes,
        };
        Some((entry, rest))
    }

    fn path(&self) -> PathBuf {
        self.name(0)
    }

    fn other(&self) -> PathBuf {
        self.name(1)
    }

    fn name(&self, number: usize) -> PathBuf {
        let name = self.names.split(|byte| *byte == 0).nth(number).unwrap();
        String::from_utf8(name.to_vec()).unwrap().into()
    }
}
