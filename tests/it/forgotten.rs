//! The note of the newest message that was removed from the history, by which pickup folders know
//! whether a message that the spool does not have may have been sent.

use graph_relay::mail::SpoolId;
use graph_relay::spool::Next;
use graph_relay::spool::Spool;
use tempfile::TempDir;

use crate::common::entries::accept;
use crate::common::entries::claim;
use crate::common::entries::report;
use crate::common::entries::small;
use crate::common::stored::damage_leaf_of;

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
    damage_leaf_of(&folder.path().join("spool.db"), "ordered", 0);
    let spool = small(folder.path());
    // What was paused cannot be read either, so everything is.
    spool.resume(None).await.unwrap();

    let delivered = until_history_yields(&spool).await;

    // Nothing is known for certain then.
    let newest = spool.newest_forgotten().await.unwrap().unwrap();
    assert!(delivered.iter().all(|id| id.time() <= newest.time()));
}
