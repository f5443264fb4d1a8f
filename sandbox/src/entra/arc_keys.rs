//! The key files of an Arc server: whom it trusts with a token is who can read one.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use uuid::Uuid;

use crate::lock::locked;

/// The contents of key files that were made and nobody has used.
#[derive(Debug, Default)]
pub(crate) struct ArcKeys(Mutex<Vec<String>>);

impl ArcKeys {
    /// Whether the key is one of them; it is good once.
    pub(crate) fn spend(&self, key: &str) -> bool {
        let mut keys = locked(&self.0);
        let index = keys.iter().position(|known| known == key);
        index.map(|index| keys.swap_remove(index)).is_some()
    }

    /// Makes a key file in the folder.
    pub(crate) fn make(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(format!("{}.key", Uuid::new_v4()));
        let key = Uuid::new_v4().simple().to_string();
        std::fs::write(&path, &key)?;
        locked(&self.0).push(key);
        Ok(path)
    }
}
