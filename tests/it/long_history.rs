//! How long a search of a large history takes.

use std::time::Duration;
use std::time::Instant;

use graph_relay::clock::Clock;
use graph_relay::clock::Timestamp;
use graph_relay::mail::SpoolId;
use graph_relay::spool::Search;
use graph_relay::spool::Sought;
use rusqlite::Connection;
use rusqlite::params;
use tempfile::TempDir;

use crate::common::entries;

/// Messages in the history.
pub(crate) const MESSAGES: u64 = 100_000;

/// One message a second.
fn time(number: u64) -> Timestamp {
    Timestamp::from_millis(1_795_287_600_000) + Duration::from_secs(number)
}

/// The ID of one of them.
pub(crate) fn id(number: u64) -> String {
    SpoolId::first_of(time(number)).to_string()
}

/// Adds messages to the database of a spool that nobody has open.
pub(crate) fn fill(folder: &std::path::Path, messages: u64) {
    let mut db = Connection::open(folder.join("spool.db")).unwrap();
    let transaction = db.transaction().unwrap();
    {
        let mut entry = transaction
            .prepare(
                "INSERT INTO entry (id, state, accepted_at, accepted_running, due_running, account,
                 mailbox, reverse_path, author, utf8, client, hello, protocol, size, in_file,
                 attempts, digest, seal, rows_cost, message_id, subject, status, reason, changed_at,
                 ended_at, ended_running)
                 VALUES (?1, 'delivered', ?2, 0, 0, 'default', 'relay@contoso.com', ?3, ?3, 0, ?4,
                 ?5, 'ESMTP', 1000, 0, 1, zeroblob(32), zeroblob(32), 700, ?6, ?7, '2.0.0',
                 'Graph accepted the message', ?2, ?2, 0)",
            )
            .unwrap();
        let mut recipient = transaction
            .prepare("INSERT INTO recipient (entry, ordinal, address) VALUES (?1, ?2, ?3)")
            .unwrap();
        let mut attempt = transaction
            .prepare(
                "INSERT INTO attempt (entry, number, begun_at, client_request_id, outcome,
                 http_status, request_id) VALUES (?1, 1, ?2, ?3, 'delivered', 202, ?3)",
            )
            .unwrap();
        for n in 0..messages {
            let id = id(n);
            let at = time(n).millis();
            entry
                .execute(params![
                    id,
                    at,
                    format!("app{}@contoso.com", n % 1000),
                    format!("192.0.2.{}", n % 250),
                    format!("printer-{}", n % 50),
                    format!("<{n}.0123456789abcdef@app.contoso.com>"),
                    format!("Invoice {n} for customer {}", n % 777),
                ])
                .unwrap();
            recipient
                .execute(params![id, 0, format!("customer{}@example.org", n % 5000)])
                .unwrap();
            attempt
                .execute(params![id, at, format!("a0e8677f-bd64-4d81-9157-{n:012}")])
                .unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// How many rows a search finds, over all its pages up to a limit; and how long the
/// longest answer and all of them took.
async fn timed(folder: &std::path::Path, text: &str, filter: &str) -> (usize, Duration, Duration) {
    let (spool, _) = entries::open(folder, Clock::System);
    let (mut rows, mut longest, mut all) = (0, Duration::ZERO, Duration::ZERO);
    let mut after = None;
    loop {
        let search = Search {
            sought: Sought::of(text),
            filter: (!filter.is_empty()).then(|| filter.parse().unwrap()),
            after,
            limit: 50 - u32::try_from(rows).unwrap(),
        };
        let begun = Instant::now();
        let found = spool.history(search).await.unwrap();
        longest = longest.max(begun.elapsed());
        all += begun.elapsed();
        rows += found.rows.len();
        after = found.next;
        if after.is_none() || rows == 50 {
            break;
        }
    }
    spool.close().await;
    (rows, longest, all)
}

/// Each kind of search, with how many rows it finds on a page.
const SEARCHES: [(&str, &str, &str, usize); 12] = [
    ("everything", "", "", 50),
    ("an ID", "ID", "", 1),
    (
        "a Message-ID",
        "<777.0123456789abcdef@app.contoso.com>",
        "",
        1,
    ),
    ("a recipient", "customer77@example.org", "", 20),
    ("an unknown address", "nobody@example.org", "", 0),
    ("a sender", "app77@contoso.com", "", 50),
    ("a part of an old subject", "invoice 7 for", "", 1),
    ("a text that nothing has", "no such text", "", 0),
    ("a client", "192.0.2.77", "", 50),
    (
        "a filter for a state that nothing has",
        "",
        "state=failed",
        0,
    ),
    ("a filter for a recipient", "", "to=customer77@*", 20),
    ("a filter for an old time", "", "until=2026-11-21T19:10", 50),
];

async fn search_all(messages: u64) {
    let folder = TempDir::new().unwrap();
    let (spool, _) = entries::open(folder.path(), Clock::System);
    spool.close().await;
    drop(spool);
    fill(folder.path(), messages);
    for (kind, text, filter, expected) in SEARCHES {
        let text = text.replace("ID", &id(777));
        let (rows, longest, all) = timed(folder.path(), &text, filter).await;
        println!("{kind:40} {rows:3} rows, longest answer {longest:?}, all {all:?}");
        if messages == MESSAGES {
            assert_eq!(rows, expected, "{kind}");
            assert!(all < Duration::from_secs(2), "{kind}: {all:?}");
        }
    }
}

#[tokio::test]
async fn every_kind_of_search_ends() {
    search_all(2000).await;
}

#[tokio::test]
#[ignore = "scale: 100,000 messages, and the time that each kind of search takes"]
async fn a_hundred_thousand_messages_are_searched_in_a_moment() {
    search_all(MESSAGES).await;
}
