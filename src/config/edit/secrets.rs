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
