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
use crate::platform::users;
use crate::platform::users::User;

/// Says why a file cannot be read that the relay only reads, and what to do.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> String {
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
