//! The sign-ins of delegated mailboxes, on disk: what the relay needs to act for a user
//! who is not present.
//!
//! # Promises
//!
//! - At rest a refresh token is sealed (ChaCha20-Poly1305, RFC 8439), bound to its
//!   account and mailbox, so that files cannot be exchanged.
//! - The new file is on stable storage before the old one is replaced. A sign-in that
//!   cannot be written (a full disk) stays in memory, is used, and is written later.
//! - Only one writer at a time: a lock within the relay, and the spool's lock, which lets
//!   only one relay use the folder.
//!
//! # Format
//!
//! ```text
//! data_dir/token-key               32 random bytes, mode 0600, created when first needed;
//!                                  unless systemd hands over a credential "token-key"
//! data_dir/sign-ins/NAME.sign-in   one mailbox; NAME is a hash of account and mailbox
//! {"format":1,"account":..,"mailbox":..,"nonce":..,"sealed":..}
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use ring::digest;
use secrecy::ExposeSecret;
use secrecy::SecretString;

use super::sealed;
use super::sealed::Key;
use crate::clock::Timestamp;
use crate::disk;
use crate::mail::Address;
use crate::platform::files;

/// The sign-ins; clones share them.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

/// A user's consent to act for their mailbox.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The account's name.
    pub account: String,
    /// The mailbox that signed in.
    pub mailbox: Address,
    /// The newest refresh token.
    pub refresh_token: SecretString,
    /// When the user signed in.
    pub signed_in_at: Timestamp,
    /// When Entra issued the newest refresh token.
    pub renewed_at: Timestamp,
    /// Entra's refusal, if it no longer accepts it.
    pub refused: Option<Refused>,
}

/// Entra's refusal of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refused {
    /// When Entra first refused it.
    #[serde(with = "crate::clock::in_millis")]
    pub at: Timestamp,
    /// When the relay last tried it.
    #[serde(with = "crate::clock::in_millis")]
    pub tried_at: Timestamp,
    /// `AADSTSn`, or else the error word of RFC 6749.
    pub code: String,
    /// In Entra's words, one line.
    pub reason: String,
}

/// Why the sign-ins cannot be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder.
    #[error("the sign-ins: {}: {error}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Others can read the key.
    #[error(
        "the key of the sign-ins, {}, can be read by others (mode {mode:04o}): chmod 600 {}",
        path.display(), path.display()
    )]
    Open {
        /// Its file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key is too short.
    #[error("the key of the sign-ins in {} has less than 32 bytes", .0.display())]
    Short(PathBuf),
    /// It was sealed with another key, or is damaged.
    #[error(
        "the sign-in in {} cannot be opened with this key (another token-key, or a damaged file): \
         sign in again: graph-relay login {mailbox}", path.display()
    )]
    Sealed {
        /// The file.
        path: PathBuf,
        /// The mailbox that it names.
        mailbox: String,
    },
    /// There are no random numbers, or sealing failed: a problem of the machine.
    #[error("the sign-ins cannot be sealed on this machine")]
    Cryptography,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    key: Key,
    entries: Mutex<BTreeMap<Name, Entry>>,
    /// Held while a file is written, on a thread that may block.
    writer: Mutex<()>,
}

#[derive(Clone, Debug)]
struct Entry {
    sign_in: SignIn,
    is_saved: bool,
}

/// The folder in `data_dir`.
const FOLDER: &str = "sign-ins";
/// The name of the key, as a file in `data_dir` and as a systemd credential.
const KEY: &str = "token-key";
const ENDING: &str = "sign-in";

impl Store {
    /// Opens the sign-ins of this `data_dir`, and creates key and folder if they do not
    /// exist. Also returns the files that could not be opened, which stay as they are.
    ///
    /// # Errors
    ///
    /// The key or the folder cannot be read or created.
    pub fn open(data_dir: &Path) -> Result<(Self, Vec<StoreError>), StoreError> {
        let key = key(data_dir)?;
        let folder = data_dir.join(FOLDER);
        let failed = |error| file_error(&folder, error);
        let made = files::private_folders().create(&folder);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            _ => {}
        }
        let (mut entries, mut unopened) = (BTreeMap::new(), Vec::new());
        for found in fs::read_dir(&folder).map_err(failed)? {
            let path = found.map_err(failed)?.path();
            if path.extension().is_some_and(|ending| ending == disk::HALF) {
                // Left by a crash: the file that it was to replace is complete.
                let _left = fs::remove_file(&path);
            }
            if path.extension().is_none_or(|ending| ending != ENDING) {
                continue;
            }
            match sealed::open(&path, &key) {
                Ok(sign_in) => {
                    let is_saved = true;
                    entries.insert(
                        name(&sign_in.account, &sign_in.mailbox),
                        Entry { sign_in, is_saved },
                    );
                }
                Err(error) => unopened.push(error),
            }
        }
        let shared = Shared {
            folder,
            key,
            entries: Mutex::new(entries),
            writer: Mutex::default(),
        };
        let shared = Arc::new(shared);
        Ok((Self { shared }, unopened))
    }

    /// Returns the sign-in of a mailbox.
    pub fn find(&self, account: &str, mailbox: &Address) -> Option<SignIn> {
        let entries = self.shared.entries();
        let entry = entries.get(&name(account, mailbox));
        entry.map(|entry| entry.sign_in.clone())
    }

    /// Returns all sign-ins, by account and mailbox.
    pub fn list(&self) -> Vec<SignIn> {
        let entries = self.shared.entries();
        entries
            .values()
            .map(|entry| entry.sign_in.clone())
            .collect()
    }

    /// Stores a sign-in in place of the mailbox's previous one. The relay uses it even if this
    /// fails.
    ///
    /// # Errors
    ///
    /// It could not be written; [`Store::save`] tries again.
    pub async fn keep(&self, sign_in: SignIn) -> Result<(), StoreError> {
        let name = name(&sign_in.account, &sign_in.mailbox);
        let is_saved = false;
        self.shared
            .entries()
            .insert(name.clone(), Entry { sign_in, is_saved });
        self.flush(name).await
    }

    /// Stores a changed sign-in, if it is still the current one: while the relay asked Entra,
    /// the user may have signed in again or been signed out. Returns whether it was
    /// current, and whether writing failed: like in [`Store::keep`], the relay uses it even
    /// then.
    pub async fn replace(&self, old: &SignIn, new: SignIn) -> (bool, Result<(), StoreError>) {
        let name = name(&old.account, &old.mailbox);
        {
            let mut entries = self.shared.entries();
            match entries.get_mut(&name) {
                Some(entry) if entry.sign_in.has_token_of(old) => {
                    entry.sign_in = new;
                    entry.is_saved = false;
                }
                Some(_) | None => return (false, Ok(())),
            }
        }
        (true, self.flush(name).await)
    }

    /// Writes everything that is not on disk yet.
    ///
    /// # Errors
    ///
    /// The first that could not be written; the others are.
    pub async fn save(&self) -> Result<(), StoreError> {
        let unsaved: Vec<Name> = {
            let entries = self.shared.entries();
            let unsaved = entries.iter().filter(|(_, entry)| !entry.is_saved);
            unsaved.map(|(name, _)| name.clone()).collect()
        };
        let mut outcome = Ok(());
        for name in unsaved {
            outcome = self.flush(name).await.and(outcome);
        }
        outcome
    }

    /// Deletes a sign-in. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// Its file cannot be removed: after a restart it is there again.
    pub async fn forget(&self, account: &str, mailbox: &Address) -> Result<bool, StoreError> {
        let name = name(account, mailbox);
        let was_there = self.shared.entries().remove(&name).is_some();
        self.flush(name).await?;
        Ok(was_there)
    }

    /// Makes the disk match the memory. Continues even if the caller is gone.
    async fn flush(&self, name: Name) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let flushed = tokio::task::spawn_blocking(move || shared.flush(&name)).await;
        flushed.map_err(|_| StoreError::Cryptography)?
    }
}

impl SignIn {
    fn has_token_of(&self, other: &Self) -> bool {
        self.refresh_token.expose_secret() == other.refresh_token.expose_secret()
    }
}

impl Shared {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<Name, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the entry as it is by now: the newest version is written last.
    fn flush(&self, name: &Name) -> Result<(), StoreError> {
        let _one_at_a_time = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(name);
        let sign_in = self.entries().get(name).map(|entry| entry.sign_in.clone());
        let Some(sign_in) = sign_in else {
            return disk::remove(&path)
                .and_then(|()| disk::sync_folder_of(&path))
                .map_err(|error| file_error(&path, error));
        };
        let text = sealed::seal(&sign_in, &self.key)?;
        disk::replace(&path, text.as_bytes()).map_err(|error| file_error(&path, error))?;
        if let Some(entry) = self.entries().get_mut(name) {
            let now = &entry.sign_in;
            entry.is_saved = now.has_token_of(&sign_in) && now.refused == sign_in.refused;
        }
        Ok(())
    }

    fn path(&self, (account, mailbox): &Name) -> PathBuf {
        let hash = digest::digest(&digest::SHA256, format!("{account}\0{mailbox}").as_bytes());
        let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        self.folder.join(format!("{hash}.{ENDING}"))
    }
}

/// The key of a sign-in: its account, and the key of its mailbox.
type Name = (String, String);

fn name(account: &str, mailbox: &Address) -> Name {
    (account.to_owned(), mailbox.key())
}

/// Reads systemd's credential, or else the file, which is created if it does not exist.
fn key(data_dir: &Path) -> Result<Key, StoreError> {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let credential = credential.map(|folder| folder.join(KEY));
    if let Some(path) = credential.filter(|path| path.exists()) {
        return read_key(&path);
    }
    let path = data_dir.join(KEY);
    let failed = |error| file_error(&path, error);
    match fs::metadata(&path) {
        Ok(metadata) if !metadata.is_file() => {
            let words = "this is not a file: remove it, and the relay creates the key";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, words)));
        }
        Ok(metadata) => {
            let mode = files::mode(&metadata);
            if mode & 0o077 != 0 {
                return Err(StoreError::Open { path, mode });
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk::replace(&path, &sealed::random_key()?).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    read_key(&path)
}

fn read_key(path: &Path) -> Result<Key, StoreError> {
    let bytes = disk::read_small(path).map_err(|error| file_error(path, error))?;
    Key::of(&bytes).ok_or_else(|| StoreError::Short(path.to_owned()))
}

pub(in crate::auth) fn file_error(path: &Path, error: io::Error) -> StoreError {
    let path = path.to_owned();
    StoreError::File { path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign_in(mailbox: &str, token: &str, at: i64) -> SignIn {
        SignIn {
            account: "default".to_owned(),
            mailbox: mailbox.parse().unwrap(),
            refresh_token: token.into(),
            signed_in_at: Timestamp::from_millis(0),
            renewed_at: Timestamp::from_millis(at),
            refused: None,
        }
    }

    fn token(store: &Store, mailbox: &str) -> Option<String> {
        let found = store.find("default", &mailbox.parse().unwrap())?;
        Some(found.refresh_token.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_sign_in_is_found_again_and_in_nobody_elses_place() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        store.keep(sign_in("a@x.example", "one", 1)).await.unwrap();
        store.keep(sign_in("b@x.example", "two", 1)).await.unwrap();
        store
            .keep(sign_in("A@x.example", "three", 2))
            .await
            .unwrap();

        let (again, unopened) = Store::open(folder.path()).unwrap();
        assert!(unopened.is_empty());
        assert_eq!(token(&again, "a@X.example").unwrap(), "three");
        assert_eq!(again.list().len(), 2);

        // A file in another mailbox's place names the wrong mailbox; a changed one cannot be
        // opened.
        let file = |mailbox: &str| {
            let mailbox = mailbox.parse().unwrap();
            again.shared.path(&name("default", &mailbox))
        };
        let text = fs::read_to_string(file("a@x.example")).unwrap();
        let forged = text.replace("A@x.example", "b@x.example");
        assert_ne!(forged, text);
        fs::write(file("b@x.example"), forged).unwrap();
        let (third, unopened) = Store::open(folder.path()).unwrap();
        assert_eq!(unopened.len(), 1, "{unopened:?}");
        assert_eq!(token(&third, "b@x.example"), None);
        assert!(
            third
                .forget("default", &"a@x.example".parse().unwrap())
                .await
                .unwrap()
        );
        assert!(!file("a@x.example").exists());
    }

    #[test]
    fn a_folder_in_the_place_of_the_key_is_not_to_be_closed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(KEY)).unwrap();

        let error = Store::open(folder.path()).unwrap_err().to_string();

        assert!(error.contains("not a file: remove it"), "{error}");
        assert!(!error.contains("chmod"), "{error}");
    }

    #[tokio::test]
    async fn a_sign_in_that_cannot_be_written_is_used_and_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        store.keep(sign_in("a@x.example", "one", 1)).await.unwrap();
        // A folder where the new file would be: root could write anywhere.
        let name = name("default", &"a@x.example".parse().unwrap());
        let path = store.shared.path(&name);
        let new = path.with_extension(disk::HALF);
        fs::create_dir(&new).unwrap();

        assert!(store.keep(sign_in("a@x.example", "two", 2)).await.is_err());
        assert_eq!(token(&store, "a@x.example").unwrap(), "two");
        let (disk, _) = Store::open(folder.path()).unwrap();
        assert_eq!(token(&disk, "a@x.example").unwrap(), "one");

        fs::remove_dir(&new).unwrap();
        store.save().await.unwrap();
        let (disk, _) = Store::open(folder.path()).unwrap();
        assert_eq!(token(&disk, "a@x.example").unwrap(), "two");
    }

    #[tokio::test]
    async fn the_result_of_an_old_sign_in_does_not_change_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        let old = sign_in("a@x.example", "old", 1);
        let renewed = || sign_in("a@x.example", "renewed", 2);
        store.keep(old.clone()).await.unwrap();
        store
            .keep(sign_in("a@x.example", "newer", 3))
            .await
            .unwrap();

        assert!(!store.replace(&old, renewed()).await.0);
        assert_eq!(token(&store, "a@x.example").unwrap(), "newer");
        store.forget("default", &old.mailbox).await.unwrap();
        assert!(!store.replace(&old, renewed()).await.0);
        store.keep(old.clone()).await.unwrap();
        assert!(store.replace(&old, renewed()).await.0);
        let (disk, _) = Store::open(folder.path()).unwrap();
        assert_eq!(token(&disk, "a@x.example").unwrap(), "renewed");
    }

    #[test]
    fn an_incomplete_file_left_by_a_crash_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path()).unwrap());
        let sign_ins = folder.path().join(FOLDER);
        fs::write(sign_ins.join("half.new"), "{\"format\":1,").unwrap();
        fs::write(sign_ins.join("half.sign-in"), "{\"format\":1,").unwrap();

        let (store, unopened) = Store::open(folder.path()).unwrap();
        assert!(store.list().is_empty());
        assert_eq!(unopened.len(), 1);
    }
}
