//! Credentials on this machine: certificates and keys, client secrets, and the password hashes
//! of SMTP users.
//!
//! Promises: a secret is read when it is needed and never shown (promise 7). A file with a
//! secret that everybody can read is refused. `config` decides which of them relay.toml
//! names; `auth` and `listener` use them.

mod certificate;
pub mod generated;
pub(crate) mod handed;
mod password;
mod secret;

use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::path::Path;

pub use self::certificate::CertificateError;
pub use self::certificate::CertificateFiles;
pub use self::certificate::Stamp;
pub use self::handed::is_out_of_reach;
pub use self::password::PasswordHash;
pub use self::password::PasswordHashError;
pub use self::secret::SecretError;
pub use self::secret::SecretSource;
use crate::disk;
use crate::platform::files;
use crate::platform::users;
use crate::platform::users::User;

/// Why a file that relay.toml names cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The system refuses it.
    Unreadable(io::Error),
    /// Something else has its path: the text follows the path.
    NotAFile(&'static str),
}

impl OpenError {
    /// Whether the problem can go away by itself.
    pub(crate) fn is_unreadable(&self) -> bool {
        match self {
            Self::Unreadable(_) => true,
            Self::NotAFile(_) => false,
        }
    }

    /// Says what is wrong with the file at this path, and what to do.
    pub(crate) fn words(&self, path: &Path) -> String {
        match self {
            Self::Unreadable(error) => unreadable(path, error),
            Self::NotAFile(wrong) => format!("{} {wrong}", path.display()),
        }
    }
}

/// Opens a file that relay.toml names. A folder or a device is refused before anybody looks at
/// its permissions: closing those would lock others out. Pipes count as files.
pub(crate) fn open(path: &Path) -> Result<(File, Metadata), OpenError> {
    let file = File::open(path).map_err(OpenError::Unreadable)?;
    let metadata = file.metadata().map_err(OpenError::Unreadable)?;
    if metadata.is_dir() {
        return Err(OpenError::NotAFile("is a folder: name the file in it"));
    }
    if files::is_device(metadata.file_type()) {
        return Err(OpenError::NotAFile(
            "is not a regular file: name the file with the content",
        ));
    }
    Ok((file, metadata))
}

/// Opens a file in this way, has its permissions tested, and reads it.
pub(crate) fn read<E>(
    path: &Path,
    test: impl FnOnce(&Path, &Metadata) -> Result<(), E>,
    refused: impl Fn(OpenError) -> E,
) -> Result<Vec<u8>, E> {
    let (file, metadata) = open(path).map_err(&refused)?;
    test(path, &metadata)?;
    let content = disk::read_small_of(&file);
    content.map_err(|error| refused(OpenError::Unreadable(error)))
}

/// Says why a file cannot be read that the relay only reads, and what to do.
fn unreadable(path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    let remedy = if error.kind() == io::ErrorKind::PermissionDenied {
        let fix = |user: &User| format!("chgrp {} {shown}; chmod g+r {shown}", user.group);
        format!(": {}", users::denied(path, fix))
    } else if error.kind() == io::ErrorKind::NotFound {
        format!(": {NOT_THERE}")
    } else {
        String::new()
    };
    format!("cannot read {shown}: {error}{remedy}")
}

/// Says what to do about a file that does not exist.
const NOT_THERE: &str =
    "create it, or correct the path; systemd restarts the relay until the file exists";
