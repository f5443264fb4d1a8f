//! What proves who somebody is, on this machine: certificates and keys, client secrets,
//! and the hashes of the passwords of SMTP users.
//!
//! Promises that a secret is read when it is needed and shown to nobody (promise 7), and
//! that a file which everybody can read is refused. Leaves to `config` which of them
//! relay.toml names, and to `auth` and `listener` what they are used for.

mod certificate;
pub(crate) mod handed;
mod password;
mod secret;

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
use crate::machine;
use crate::machine::User;

/// Why a file that the relay only reads cannot be read, and what to do.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    let remedy = if error.kind() == io::ErrorKind::PermissionDenied {
        let fix = |user: &User| format!("chgrp {} {shown}; chmod g+r {shown}", user.group);
        format!(": {}", machine::denied(path, fix))
    } else if error.kind() == io::ErrorKind::NotFound {
        format!(": {NOT_THERE}")
    } else {
        String::new()
    };
    format!("cannot read {shown}: {error}{remedy}")
}

/// What to do about a file that does not exist.
const NOT_THERE: &str =
    "create it, or correct the path; systemd restarts the relay until the file exists";
