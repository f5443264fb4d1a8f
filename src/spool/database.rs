//! The database's file as it lies on the disk: read without its log, and without a
//! lock or a change. What was found is judged in `damage/examine.rs` and
//! `schema/kept.rs`.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::OpenFlags;

/// The first bytes of every SQLite database.
pub(super) const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Opens a database that nobody changes: what its log has is not there.
pub(super) fn open_without_log(path: &Path) -> Option<Connection> {
    let path = path.to_str()?;
    let path = path.replace('%', "%25").replace('?', "%3f");
    let uri = format!("file:{}?immutable=1", path.replace('#', "%23"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags).ok()
}
