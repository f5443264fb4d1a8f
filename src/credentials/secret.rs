//! Client secrets: where they are stored, and reading them.
//!
//! Promise 7: a secret is a [`SecretString`], which cannot be printed; an error names the
//! place, never the content. The secret is read for every token request (about once an
//! hour), so a changed file needs no restart.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use secrecy::SecretString;

use super::NOT_THERE;
use super::OpenError;
use super::handed::VARIABLE;
use super::handed::is_out_of_reach;
use crate::platform::files;
use crate::platform::users;
use crate::platform::users::User;

/// Where the client secret's value is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that only its owner may read; or root's, with a group that may read it.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A systemd credential (`LoadCredential=`), by name.
    Credential(String),
}

/// Why a secret cannot be read; the text contains the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read {}: {}{}", .0, .1, remedy(.0, .1))]
    Unreadable(SecretSource, #[source] io::Error),
    /// The path is that of a folder or a device.
    #[error("{} {wrong}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is, and what to do.
        wrong: &'static str,
    },
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
    /// The variable or credential does not exist.
    #[error("{0} is not set")]
    Unset(SecretSource),
    /// The content cannot be a secret of Entra's.
    #[error("{0} {1}: it must contain the secret's Value and nothing else, as plain text (UTF-8)")]
    Damaged(SecretSource, &'static str),
    /// It exists, but is empty.
    #[error("{0} is empty")]
    Empty(SecretSource),
}

impl SecretSource {
    /// Says what is wrong with a text that should be a secret of Entra's.
    pub fn damage(secret: &str) -> Option<&'static str> {
        damage(secret)
    }

    /// Whether this process can be expected to read it: systemd gives a credential to the
    /// service only.
    pub fn is_readable_here(&self) -> bool {
        match self {
            Self::File(path) => !is_out_of_reach(path),
            Self::Environment(_) => true,
            Self::Credential(_) => std::env::var_os(VARIABLE).is_some(),
        }
    }

    /// Reads the secret, without what editors add: a line end, spaces around it, a byte order
    /// mark.
    ///
    /// # Errors
    ///
    /// Says what could not be read, and why.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::File(path) => self.read_file(path, refuse_if_open)?,
            Self::Environment(name) => {
                std::env::var(name).map_err(|_| SecretError::Unset(self.clone()))?
            }
            Self::Credential(name) => {
                let folder =
                    std::env::var_os(VARIABLE).ok_or_else(|| SecretError::Unset(self.clone()))?;
                // systemd sees to its permissions.
                self.read_file(&PathBuf::from(folder).join(name), |_, _| Ok(()))?
            }
        };
        // Editors leave a byte order mark, a line end or spaces.
        let secret = text.trim_start_matches('\u{feff}').trim();
        if secret.is_empty() {
            return Err(SecretError::Empty(self.clone()));
        }
        if let Some(wrong) = damage(secret) {
            return Err(SecretError::Damaged(self.clone(), wrong));
        }
        Ok(SecretString::from(secret))
    }

    fn read_file(
        &self,
        path: &Path,
        test: impl FnOnce(&Path, &Metadata) -> Result<(), SecretError>,
    ) -> Result<String, SecretError> {
        let bytes = super::read(path, test, |error| match error {
            OpenError::Unreadable(error) => SecretError::Unreadable(self.clone(), error),
            OpenError::NotAFile(wrong) => SecretError::NotAFile {
                path: path.to_owned(),
                wrong,
            },
        })?;
        // Secrets are UTF-8: other bytes are reported as damage.
        Ok(String::from_utf8(bytes).unwrap_or_else(|_| "\0".to_owned()))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Whoever reads this may be in another folder.
            Self::File(path) => {
                let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                write!(f, "the file {}", whole.display())
            }
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::Credential(name) => write!(f, "the systemd credential {name}"),
        }
    }
}

/// Returns what no secret of Entra's contains.
fn damage(secret: &str) -> Option<&'static str> {
    if secret.starts_with(['"', '\'']) {
        return Some("starts with a quotation mark");
    }
    if secret.contains('\0') {
        return Some(
            "is in UTF-16 (PowerShell's > writes that; Set-Content -Encoding utf8 does not)",
        );
    }
    if secret.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("contains a space or a line break");
    }
    None
}

impl SecretError {
    /// Whether the problem can go away by itself.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable { .. })
    }
}

fn remedy(source: &SecretSource, error: &io::Error) -> String {
    let SecretSource::File(path) = source else {
        return String::new();
    };
    if error.kind() == io::ErrorKind::PermissionDenied {
        let fix = |user: &User| {
            format!(
                "chown {} {} (or load it with LoadCredential= and name it with \
                 client_secret_credential)",
                user.as_owner(),
                path.display()
            )
        };
        format!(": {}", users::denied(path, fix))
    } else if error.kind() == io::ErrorKind::NotFound {
        format!(": {NOT_THERE}")
    } else {
        String::new()
    }
}

/// A file of root's may be readable by a group: root chose that group. So Kubernetes and
/// Debian pass secrets to a service.
fn refuse_if_open(path: &Path, metadata: &Metadata) -> Result<(), SecretError> {
    let mode = files::mode(metadata);
    if !is_open(mode, files::owner(metadata).uid) {
        return Ok(());
    }
    Err(SecretError::Open {
        path: path.to_owned(),
        mode,
    })
}

fn is_open(mode: u32, owner: u32) -> bool {
    let others = if owner == 0 { 0o037 } else { 0o077 };
    mode & others != 0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_group_may_read_a_secret_only_if_it_belongs_to_root() {
        for (mode, owner, open) in [
            (0o600, 1000, false),
            (0o400, 0, false),
            (0o640, 0, false),
            (0o440, 0, false),
            (0o640, 1000, true),
            (0o440, 65532, true),
            (0o644, 0, true),
            (0o660, 0, true),
            (0o604, 0, true),
        ] {
            assert_eq!(is_open(mode, owner), open, "{mode:04o} of {owner}");
        }
    }

    #[test]
    fn a_folder_and_a_device_are_refused_without_advice_about_their_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for mode in [0o700, 0o755, 0o1777] {
            fs::set_permissions(path, files::permissions(mode)).unwrap();
            let error = SecretSource::File(path.to_owned()).read().unwrap_err();
            let words = format!("{} is a folder: name the file in it", path.display());
            assert_eq!(error.to_string(), words, "{mode:04o}");
            assert!(!error.is_unreadable());
        }

        let error = SecretSource::File("/dev/null".into()).read().unwrap_err();
        let words = "/dev/null is not a regular file: name the file with the content";
        assert_eq!(error.to_string(), words);
    }

    #[test]
    fn an_error_about_a_file_names_its_whole_path() {
        let error = SecretSource::File("no-such-secret".into()).read();

        let here = std::env::current_dir().unwrap().join("no-such-secret");
        let shown = format!("cannot read the file {}: ", here.display());
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(&shown), "{error}");
    }

    #[test]
    fn line_ends_of_editors_are_ignored_and_damage_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, files::permissions(0o600)).unwrap();
            let secret = SecretSource::File(path.clone()).read();
            secret.map(|secret| secret.expose_secret().to_owned())
        };

        for good in [
            "a~B.c_d",
            "a~B.c_d\r\n",
            " a~B.c_d \n\n",
            "\u{feff}a~B.c_d\n",
        ] {
            assert_eq!(read(good.as_bytes()).unwrap(), "a~B.c_d", "{good:?}");
        }
        let utf16: Vec<u8> = "\u{feff}canary"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for (bad, words) in [
            (&b"\"canary\""[..], "a quotation mark"),
            (b"can ary", "a space"),
            (b"canary\nof two", "a line break"),
            (&utf16, "UTF-16"),
            (b"", "is empty"),
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(
                error.contains(words) && !error.contains("canary"),
                "{error}"
            );
        }
    }
}
