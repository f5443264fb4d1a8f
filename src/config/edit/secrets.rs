//! Files for secrets that somebody enters in a browser: in a folder of the relay's own, since it
//! may write nowhere else.
//!
//! Each secret has a file of its own, and no file is written twice. So relay.toml decides which
//! one is in force, and a change that is not applied changes nothing.
//!
//! Promise: the file of a change that is neither in relay.toml nor prepared does not stay
//! ([`KeptSecret`]); one that a killed relay leaves is removed later ([`forget_secrets`]).

use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use secrecy::ExposeSecret;
use secrecy::SecretString;

use crate::clock::Timestamp;
use crate::config::Account;
use crate::config::Credential;
use crate::credentials::SecretSource;
use crate::disk;

/// The folder, in `data_dir`.
const FOLDER: &str = "secrets";

/// The file of a new secret. It is removed unless something names it.
#[derive(Debug)]
pub struct KeptSecret {
    path: PathBuf,
    is_named: bool,
}

impl KeptSecret {
    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on relay.toml, or a change that waits, names the file: it stays.
    pub fn named(mut self) {
        self.is_named = true;
    }

    /// For a change that could not be written: the file stays if relay.toml names it all the same,
    /// or cannot be read. A write can fail after the new text is in its place, when it is synced to
    /// stable storage; without the secret, the relay could not start with that text.
    pub fn named_if_in(mut self, relay_toml: &Path) {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.is_named = match disk::read_small_text(relay_toml) {
            Ok(text) => text.contains(&*name),
            Err(_) => true,
        };
    }
}

impl Drop for KeptSecret {
    fn drop(&mut self) {
        if !self.is_named {
            drop(disk::remove(&self.path));
        }
    }
}

/// Keeps a secret in a new file that only the relay's user can read. `name` says what it is for.
///
/// # Errors
///
/// The file cannot be written.
pub fn keep_secret(data_dir: &Path, name: &str, secret: &SecretString) -> io::Result<KeptSecret> {
    let plain = |c: char| match c.is_ascii_alphanumeric() || "-._".contains(c) {
        true => c,
        false => '_',
    };
    let name: String = name.chars().map(plain).take(40).collect();
    let folder = data_dir.join(FOLDER);
    disk::create_folder(&folder)?;
    let path = folder.join(format!("{name}-{}", ulid::Ulid::new()));
    let mut file = disk::create(&path)?;
    let kept = KeptSecret {
        path,
        is_named: false,
    };
    file.write_all(secret.expose_secret().as_bytes())?;
    file.sync_all()?;
    disk::sync_folder_of(&kept.path)?;
    Ok(kept)
}

/// Returns when a file with a secret was last written.
pub fn kept_since(path: &Path) -> Option<Timestamp> {
    let written = std::fs::metadata(path).ok()?.modified().ok()?;
    let millis = written.duration_since(UNIX_EPOCH).ok()?.as_millis();
    Some(Timestamp::from_millis(i64::try_from(millis).ok()?))
}

/// Removes the secrets that none of these texts names and none of these accounts uses, if they
/// are at least this old: those that others have replaced, and those of changes that were never
/// applied. One that stays is no error.
pub fn forget_secrets(
    data_dir: &Path,
    texts: &[String],
    accounts: &[Account],
    now: Timestamp,
    least: Duration,
) {
    let is_used = |name: &str| {
        let mut files = accounts.iter().filter_map(|account| {
            let Credential::Secret { source, .. } = &account.credential else {
                return None;
            };
            let SecretSource::File(path) = source else {
                return None;
            };
            path.file_name()
        });
        files.any(|file| file == name)
    };
    let Ok(entries) = std::fs::read_dir(data_dir.join(FOLDER)) else {
        return;
    };
    for entry in entries.flatten() {
        let (name, path) = (
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        );
        let is_old = kept_since(&path).is_some_and(|since| now.since(since) >= least);
        if is_old && !is_used(&name) && !texts.iter().any(|text| text.contains(&name)) {
            drop(disk::remove(&path));
        }
    }
}
