//! The note of the newest message that was removed from the history, by which pickup folders know
//! whether a message that the spool does not have may have been sent.

use std::path::Path;

use graph_relay::clock::Clock;
use graph_relay::mail::SpoolId;
use graph_relay::spool::Next;
use graph_relay::spool::Settings;
use graph_relay::spool::Spool;
use graph_relay::spool::Subjects;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::common::entries::accept;
use crate::common::entries::claim;
use crate::common::entries::open_with;
use crate::common::entries::report;
use crate::common::stored::overwrite_page;

/// A spool of one megabyte.
fn small(folder: &Path) -> Spool {
    let settings = Settings {
        folder: folder.to_owned(),
        size: 1_000_000,
        free_space: 0,
        subjects: Subjects::Kept,
    };
    open_with(&settings, &Clock::System).unwrap().0
}

/// Fills most of a spool, and delivers small messages until the history of the first has made room
/// for the last. Returns them all.
async fn until_history_yields(spool: &Spool) -> Vec<SpoolId> {
    accept(spool, &vec![b'x'; 850_000]).await;
    assert_eq!(claim(spool).await.len(), 1, "it stays under way");
    let mut delivered = Vec::new();
    for _ in 0..1000 {
        delivered.push(accept(spool, b"content\r\n").await);
        for entry in claim(spool).await {
            spool.settle(&entry, report(Next::Delivered)).await.unwrap();
        }
        if spool.show(delivered[0]).await.unwrap().is_none() {
            return delivered;
        }
    }
    panic!("no history has yielded");
}

#[tokio::test]
async fn history_that_makes_room_leaves_a_note_of_its_newest_message() {
    let folder = TempDir::new().unwrap();
    let spool = small(folder.path());
    assert_eq!(spool.newest_forgotten().await.unwrap(), None);

    let delivered = until_history_yields(&spool).await;

    let mut gone = Vec::new();
    for id in &delivered {
        if spool.show(*id).await.unwrap().is_none() {
            gone.push(*id);
        }
    }
    let newest = spool.newest_forgotten().await.unwrap();
    assert_eq!(newest, gone.into_iter().max());
}

#[tokio::test]
async fn history_makes_room_although_the_note_cannot_be_written() {
    let folder = TempDir::new().unwrap();
    small(folder.path()).close().await;
    let path = folder.path().join("spool.db");
    let db = Connection::open(&path).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'ordered'";
    let page: u32 = db.query_row(root, [], |row| row.get(0)).unwrap();
    drop(db);
    overwrite_page(&path, usize::try_from(page).unwrap(), 0xFF);
    let spool = small(folder.path());
    // What was paused cannot be read either, so everything is.
    spool.resume(None).await.unwrap();

    let delivered = until_history_yields(&spool).await;

    // Nothing is known for certain then.
    let newest = spool.newest_forgotten().await.unwrap().unwrap();
    assert!(delivered.iter().all(|id| id.time() <= newest.time()));
}
