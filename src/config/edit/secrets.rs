//! Files for secrets that somebody enters in a browser: in a folder of the relay's own, since it
//! may write nowhere else.
//!
//! Each secret has a file of its own, and no file is written twice. So relay.toml decides which
//! one is in force, and a change that is not applied changes nothing.

use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use secrecy::SecretString;

use crate::config::Account;
use crate::config::Credential;
use crate::credentials::SecretSource;
use crate::disk;

/// The folder, in `data_dir`.
const FOLDER: &str = "secrets";

/// Keeps a secret in a new file that only the relay's user can read. `name` says what it is for.
///
/// # Errors
///
/// The file cannot be written.
pub fn keep_secret(data_dir: &Path, name: &str, secret: &SecretString) -> io::Result<PathBuf> {
    let plain = |c: char| match c.is_ascii_alphanumeric() || "-._".contains(c) {
        true => c,
        false => '_',
    };
    let name: String = name.chars().map(plain).take(40).collect();
    let folder = data_dir.join(FOLDER);
    disk::create_folder(&folder)?;
    let path = folder.join(format!("{name}-{}", ulid::Ulid::new()));
    let mut file = disk::create(&path)?;
    file.write_all(secret.expose_secret().as_bytes())?;
    file.sync_all()?;
    disk::sync_folder_of(&path)?;
    Ok(path)
}

/// Returns the file of a secret that was kept before, by its name in the folder.
pub fn kept_secret(data_dir: &Path, name: &str) -> Option<PathBuf> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_name = !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain);
    let path = data_dir.join(FOLDER).join(name);
    (is_name && path.is_file()).then_some(path)
}

/// Removes the secrets that none of these texts names and none of these accounts uses: of forms
/// that were never saved, and those that others have replaced. One that stays is no error.
pub fn forget_secrets(data_dir: &Path, texts: &[String], accounts: &[Account]) {
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
        let name = entry.file_name().to_string_lossy().into_owned();
        if !is_used(&name) && !texts.iter().any(|text| text.contains(&name)) {
            drop(disk::remove(&entry.path()));
        }
    }
}
