//! The library between the relay and its files (`shim.c`), and the faults that it can
//! cause.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

const SOURCE: &str = include_str!("shim.c");

/// The compiled library; removed when this is dropped.
pub(crate) struct Shim {
    folder: TempDir,
}

/// Which fault happens, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The n-th change of a file or name fails.
    At(u32, How),
    /// Every n-th fsync fails with EIO.
    EverySync(u32),
    /// Every fsync of the database's file fails with EIO.
    SyncsOfDatabase,
    /// Every change of the database's file fails with EIO.
    ChangesOfDatabase,
}

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The process is killed before it.
    Kill,
    /// A write is done by half, any other operation in full; then the process is killed.
    Short,
    /// It fails with EIO and is not done.
    Eio,
    /// It fails with ENOSPC and is not done.
    NoSpace,
}

/// How fsync behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syncs {
    /// It is only recorded, which is enough to rebuild the files from the record.
    Recorded,
    /// It does nothing and reports success.
    Lost,
}

impl Shim {
    pub(crate) fn compile() -> Self {
        let folder = TempDir::new().unwrap();
        let source = folder.path().join("shim.c");
        fs::write(&source, SOURCE).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]);
        compiler.arg(library(folder.path())).arg(&source);
        assert!(compiler.status().unwrap().success(), "{compiler:?}");
        Self { folder }
    }

    /// Loads the library into a command that works in this folder.
    pub(crate) fn load(&self, command: &mut Command, folder: &Path) {
        let folder = fs::canonicalize(folder).unwrap();
        command.env("LD_PRELOAD", library(self.folder.path()));
        command.env("FAULTS_FOLDER", folder);
    }
}

fn library(folder: &Path) -> PathBuf {
    folder.join("faults.so")
}

impl Fault {
    /// Requests the fault; operations that failed are listed in the file.
    pub(crate) fn ask(self, command: &mut Command, report: &Path) {
        command.env("FAULTS_REPORT", report);
        let mut every = |number: u32, of: &str| {
            command.env("FAULTS_OF", of);
            command.env("FAULTS_AT", number.to_string());
            command.env("FAULTS_EVERY", number.to_string());
            command.env("FAULTS_HOW", How::Eio.name());
        };
        match self {
            Self::At(number, how) => {
                command.env("FAULTS_AT", number.to_string());
                command.env("FAULTS_HOW", how.name());
            }
            Self::EverySync(number) => every(number, "syncs"),
            Self::SyncsOfDatabase => {
                every(1, "syncs");
                command.env("FAULTS_ONLY", "/spool.db");
            }
            Self::ChangesOfDatabase => {
                every(1, "changes");
                command.env("FAULTS_ONLY", "/spool.db");
            }
        }
    }
}

impl How {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Short => "short",
            Self::Eio => "eio",
            Self::NoSpace => "enospc",
        }
    }
}

impl Syncs {
    /// Requests it.
    pub(crate) fn ask(self, command: &mut Command) {
        let name = match self {
            Self::Recorded => "recorded",
            Self::Lost => "lost",
        };
        command.env("FAULTS_SYNC", name);
    }
}
