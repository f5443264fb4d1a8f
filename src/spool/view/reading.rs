//! The content of a message, for somebody who reads it. Nothing changes by it.

use rusqlite::OptionalExtension;

use crate::mail::SpoolId;
use crate::spool::Content;
use crate::spool::KEPT;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::attempts;
use crate::spool::damage;

/// The content of a message, or why there is none.
#[derive(Clone, Debug)]
pub enum ToRead {
    /// There is no such message.
    Unknown,
    /// It was removed: the message has ended, or new mail needed the room.
    Gone,
    /// It is damaged.
    Unreadable(String),
    /// The content.
    There(Content),
}

impl Spool {
    /// The content of a message, for reading it. A long one stays in its file.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn to_read(&self, id: SpoolId) -> Result<ToRead, SpoolError> {
        let folder = self.shared.settings.folder.clone();
        self.read(move |db| {
            let has_content: Option<bool> = db
                .prepare_cached(&format!(
                    "SELECT (state NOT IN ('delivered', 'dropped') OR {KEPT})
                     AND (in_file OR EXISTS (SELECT 1 FROM content WHERE content.entry = entry.id))
                     FROM entry WHERE id = ?1"
                ))?
                .query_row([id.to_string()], |row| row.get(0))
                .optional()?;
            match has_content {
                None => return Ok(ToRead::Unknown),
                Some(false) => return Ok(ToRead::Gone),
                Some(true) => {}
            }
            match attempts::read(db, &id.to_string(), &folder) {
                Ok(entry) => Ok(ToRead::There(entry.content)),
                Err(error) if damage::is_of_the_entry(&error) => {
                    Ok(ToRead::Unreadable(error.to_string()))
                }
                Err(error) => Err(error),
            }
        })
        .await
    }
}
