//! Where a secret comes from, and reading it.
//!
//! Promise 7: a secret is a [`SecretString`], which cannot be printed; an error
//! names the place, never the content. It is read again for every token
//! request (about once an hour), so a changed file needs no restart.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use secrecy::SecretString;

/// Where the client secret's value is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that nobody but its owner may read.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A systemd credential (`LoadCredential=`), by name.
    Credential(String),
}

/// Why a secret could not be had; the text carries the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read {}: {}{}", .0, .1, remedy(.1))]
    Unreadable(SecretSource, #[source] io::Error),
    /// Group or others may read the file.
    #[error(
        "{} can be read by others (mode {mode:04o}): chmod 600 {}",
        path.display(), path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no such variable or credential.
    #[error("{0} is not set")]
    Unset(SecretSource),
    /// It is there, with nothing in it.
    #[error("{0} is empty")]
    Empty(SecretSource),
}

impl SecretSource {
    /// Whether this process can be expected to read it: a credential is there
    /// for the service only that systemd gives it to.
    pub fn is_readable_here(&self) -> bool {
        !matches!(self, Self::Credential(_)) || std::env::var_os("CREDENTIALS_DIRECTORY").is_some()
    }

    /// The secret as it is now, without the line end that editors add.
    ///
    /// # Errors
    ///
    /// Says which place could not be read, and why.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::File(path) => {
                refuse_if_open(self, path)?;
                self.read_file(path)?
            }
            Self::Environment(name) => {
                std::env::var(name).map_err(|_| SecretError::Unset(self.clone()))?
            }
            Self::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| SecretError::Unset(self.clone()))?;
                self.read_file(&PathBuf::from(folder).join(name))?
            }
        };
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(SecretError::Empty(self.clone()));
        }
        Ok(SecretString::from(secret))
    }

    fn read_file(&self, path: &Path) -> Result<String, SecretError> {
        fs::read_to_string(path).map_err(|error| SecretError::Unreadable(self.clone(), error))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::Credential(name) => write!(f, "the systemd credential {name}"),
        }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied {
        ": make the relay's user its owner (chown graph-relay), or load it with LoadCredential= \
         and name it with client_secret_credential"
    } else {
        ""
    }
}

fn refuse_if_open(source: &SecretSource, path: &Path) -> Result<(), SecretError> {
    let metadata =
        fs::metadata(path).map_err(|error| SecretError::Unreadable(source.clone(), error))?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(SecretError::Open {
        path: path.to_owned(),
        mode,
    })
}
