//! Changes `relay.toml` for somebody who does not edit it by hand: comments, order and
//! formatting stay.
//!
//! ```no_run
//! use graph_relay::config::edit::{Editor, Table};
//!
//! let mut editor = Editor::open("/etc/graph-relay/relay.toml".as_ref())?;
//! let printer = editor.add("user")?;
//! editor.set(&printer, "name", "printer")?;
//! editor.set(&printer, "senders", vec!["scan@contoso.com".to_owned()])?;
//! editor.set(&Table::Section("limits"), "recipients", 200)?;
//! let change = editor.finish()?;
//! for key in &change.keys {
//!     println!("{} {}", key.place, key.key);
//! }
//! change.write()?;
//! # Ok::<(), graph_relay::config::edit::EditError>(())
//! ```
//!
//! Promises:
//!
//! - [`Editor::finish`] gives only a text that [`Config`] accepts, read as the relay reads it: with
//!   its environment, unless [`Editor::reading`] says otherwise, and with the files that it names.
//! - [`Change::write`] replaces the file as a whole or not at all, and not if somebody else has
//!   changed it meanwhile. The text before is kept as `relay.toml.previous`.
//! - [`Change::keys`] and [`Change::lines`] can be shown to anybody who may see the configuration:
//!   password hashes, and URLs that may contain a secret, are left out.
//!
//! A secret never goes into the file: [`keep_secret`] puts it into a file of its own. Whether the
//! relay may write the file depends on the installation; if not, [`EditError::is_not_permitted`]
//! says so, and another user can apply the same change. Putting a new file into force is left to
//! the caller.

mod differences;
mod document;
mod secrets;
#[cfg(test)]
mod tests;
mod write;

use std::io;
use std::path::Path;
use std::path::PathBuf;

use toml_edit::DocumentMut;

pub use self::differences::KeyChange;
pub use self::differences::Line;
pub use self::differences::Side;
pub use self::secrets::KeptSecret;
pub use self::secrets::forget_secrets;
pub use self::secrets::keep_secret;
pub use self::secrets::kept_since;
use super::Config;
use super::ConfigError;
use super::Environment;
use super::Place;
use super::Source;
use super::file;
use crate::disk;

/// A place for keys in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// Above all sections.
    Top,
    /// `[NAME]`, which is added if the file does not have it.
    Section(&'static str),
    /// One of several `[[NAME]]`, counted from 0.
    Entry(&'static str, usize),
}

/// A value in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `"text"`
    Text(String),
    /// `["one", "two"]`
    List(Vec<String>),
    /// `25`
    Number(i64),
    /// `true`
    Flag(bool),
}

/// Why the file is not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The configuration has errors, before or after the change.
    #[error(transparent)]
    Refused(#[from] ConfigError),
    /// Somebody else has changed the file since it was read.
    #[error("{} has been changed by somebody else meanwhile: look at it, and try again", .0.display())]
    Changed(PathBuf),
    /// Somebody else is writing the file.
    #[error("another change of {} is under way: try again in a moment", .0.display())]
    Busy(PathBuf),
    /// There is no such section, or it is written in another form.
    #[error("the section {0} is not in the file in the form {0}: change it by hand")]
    Form(String),
    /// The relay stops.
    #[error("the relay is stopping: try again when it is running")]
    Interrupted,
    /// The file cannot be written.
    #[error("cannot write {}: {error}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// A file that is being changed.
#[derive(Debug)]
pub struct Editor {
    path: PathBuf,
    before: String,
    document: DocumentMut,
    environment: Environment,
}

/// A change that is not in the file yet.
#[derive(Clone, Debug)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// Its text before.
    pub before: String,
    /// Its text after.
    pub after: String,
    /// What the text after means. Its `warnings` are those about the new file.
    pub config: Config,
    /// The keys that differ, in the order of their sections' names.
    pub keys: Vec<KeyChange>,
}

impl Editor {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or it is not TOML.
    pub fn open(path: &Path) -> Result<Self, EditError> {
        let before = disk::read_small_text(path).map_err(|error| EditError::Read {
            path: path.to_owned(),
            error,
        })?;
        let document = before.parse::<DocumentMut>().map_err(|error| {
            // The configuration's own reader says it with line and column.
            let own = Config::parse(&before, path).err();
            own.unwrap_or_else(|| ConfigError::whole(path, error.message().to_owned()))
        })?;
        Ok(Self {
            path: path.to_owned(),
            before,
            document,
            environment: Environment::Counts,
        })
    }

    /// The same file, read with or without environment variables.
    #[must_use]
    pub fn reading(self, environment: Environment) -> Self {
        Self {
            environment,
            ..self
        }
    }

    /// A short text that changes whenever the file does. A form that was filled in for one
    /// version of the file is refused for another.
    pub fn version(&self) -> String {
        version(&self.before)
    }

    /// Sets a key; a comment behind its old value stays.
    ///
    /// # Errors
    ///
    /// The table does not exist, or is written in another form.
    pub fn set(
        &mut self,
        table: &Table,
        key: &str,
        value: impl Into<Value>,
    ) -> Result<(), EditError> {
        document::set(&mut self.document, table, key, value.into())
    }

    /// Removes a key if it is there, with the comments above it.
    ///
    /// # Errors
    ///
    /// The table does not exist, or is written in another form.
    pub fn remove(&mut self, table: &Table, key: &str) -> Result<(), EditError> {
        document::remove(&mut self.document, table, key)
    }

    /// Adds a `[[NAME]]` without keys behind those that are there.
    ///
    /// # Errors
    ///
    /// The section is written in another form.
    pub fn add(&mut self, name: &'static str) -> Result<Table, EditError> {
        document::add(&mut self.document, name)
    }

    /// Removes a `[[NAME]]` with its keys. Those behind it have new numbers then.
    ///
    /// # Errors
    ///
    /// There is no such section, or it is written in another form.
    pub fn remove_entry(&mut self, entry: &Table) -> Result<(), EditError> {
        document::remove_entry(&mut self.document, entry)
    }

    /// Returns the first `[[NAME]]` in which a key has this text, without regard to case.
    pub fn find(&self, name: &'static str, key: &str, text: &str) -> Option<Table> {
        let entries = document::entries(&self.document, name);
        let is_it = |at: &usize| {
            let found = self.text(&Table::Entry(name, *at), key);
            found.is_some_and(|found| found.eq_ignore_ascii_case(text))
        };
        (0..entries).find(is_it).map(|at| Table::Entry(name, at))
    }

    /// Returns how many `[[NAME]]` there are.
    pub fn count(&self, name: &str) -> usize {
        document::entries(&self.document, name)
    }

    /// Whether a key is in the file.
    pub fn has(&self, table: &Table, key: &str) -> bool {
        document::table(&self.document, table).is_some_and(|table| table.contains_key(key))
    }

    /// Returns the text of a key, as it is in the file.
    pub fn text(&self, table: &Table, key: &str) -> Option<String> {
        let item = document::table(&self.document, table)?.get(key)?;
        item.as_str().map(str::to_owned)
    }

    /// Returns the texts of a key with a list, as they are in the file.
    pub fn list(&self, table: &Table, key: &str) -> Option<Vec<String>> {
        let item = document::table(&self.document, table)?.get(key)?;
        let items = item.as_array()?.iter();
        Some(
            items
                .filter_map(|it| Some(it.as_str()?.to_owned()))
                .collect(),
        )
    }

    /// Checks the new text as the relay checks its configuration.
    ///
    /// # Errors
    ///
    /// All errors of the new text.
    pub fn finish(self) -> Result<Change, EditError> {
        let after = self.document.to_string();
        Change::checked(&self.path, self.before, after, self.environment)
    }
}

impl Change {
    /// A change from one text to another, if the relay can use the other.
    ///
    /// # Errors
    ///
    /// All errors of the new text.
    pub fn checked(
        path: &Path,
        before: String,
        after: String,
        environment: Environment,
    ) -> Result<Self, EditError> {
        let source = Source::of(after.clone(), environment);
        let config = file::parse(&source, path).map_err(|error| placed(error, &before, &after))?;
        Ok(Self {
            keys: differences::keys(&before, &after),
            path: path.to_owned(),
            before,
            after,
            config,
        })
    }

    /// A short text that is the same only for the same texts before and after: whoever agrees
    /// to a change that was shown names it, and no other is made.
    pub fn version(&self) -> String {
        // The version before has always the same length.
        version(&format!("{}{}", version(&self.before), self.after))
    }

    /// Returns the lines that differ, each with a few of the lines around it.
    pub fn lines(&self) -> Vec<Line> {
        differences::lines(&self.before, &self.after)
    }

    /// Writes the file, and syncs it to stable storage.
    ///
    /// # Errors
    ///
    /// Somebody else has changed the file meanwhile, or it cannot be written. It is as it was
    /// then, unless only the sync of its folder has failed: then it has the new text.
    pub fn write(&self) -> Result<(), EditError> {
        write::write(&self.path, &self.before, &self.after)
    }
}

impl EditError {
    /// Whether another user may be able to write the file: not this one, or not from inside
    /// the service's sandbox.
    pub fn is_not_permitted(&self) -> bool {
        use io::ErrorKind::PermissionDenied;
        use io::ErrorKind::ReadOnlyFilesystem;
        use io::ErrorKind::ResourceBusy;
        match self {
            // Busy: the file alone is mounted into a container, and cannot be replaced.
            Self::Write { error, .. } => {
                [PermissionDenied, ReadOnlyFilesystem, ResourceBusy].contains(&error.kind())
            }
            Self::Read { .. }
            | Self::Refused(_)
            | Self::Changed(_)
            | Self::Busy(_)
            | Self::Form(_)
            | Self::Interrupted => false,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<String>> for Value {
    fn from(list: Vec<String>) -> Self {
        Self::List(list)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Returns the file in which the text before the last change is kept.
pub fn previous(path: &Path) -> PathBuf {
    // A link stays a link.
    let real = std::fs::canonicalize(path);
    write::previous_of(real.as_deref().unwrap_or(path))
}

/// The same errors with places that somebody can find: in the lines that the file has already, and
/// by their keys in those that it does not have yet.
fn placed(mut error: ConfigError, before: &str, after: &str) -> ConfigError {
    for problem in &mut error.problems {
        let Some(Place::File(line, column)) = problem.place else {
            continue;
        };
        let text = after.lines().nth(line.saturating_sub(1));
        let text = text.unwrap_or_default();
        let in_file = before.lines().position(|line| line == text);
        problem.place = Some(match in_file {
            Some(at) => Place::File(at + 1, column),
            None => {
                let key = text.split('=').next().unwrap_or_default();
                Place::Key(key.trim().to_owned())
            }
        });
    }
    error
}

/// See [`Editor::version`].
fn version(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let bytes = digest.as_ref().iter().take(12);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}
