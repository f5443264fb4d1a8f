//! The data for "what became of the mail to X?": the Message-ID and the Subject of each
//! message, the state of each recipient, and the searches.

use std::fs;
use std::path::Path;

use graph_relay::clock::Clock;
use graph_relay::clock::RunningTime;
use graph_relay::clock::Timestamp;
use graph_relay::mail::Asked;
use graph_relay::mail::EnhancedStatus;
use graph_relay::mail::Envelope;
use graph_relay::mail::ReportRequest;
use graph_relay::mail::ReversePath;
use graph_relay::mail::SpoolId;
use graph_relay::mail::Trace;
use graph_relay::spool;
use graph_relay::spool::Action;
use graph_relay::spool::AttemptReport;
use graph_relay::spool::Became;
use graph_relay::spool::LONGEST_SUBJECT;
use graph_relay::spool::NewEntry;
use graph_relay::spool::Next;
use graph_relay::spool::Order;
use graph_relay::spool::Record;
use graph_relay::spool::Search;
use graph_relay::spool::Settings;
use graph_relay::spool::Sought;
use graph_relay::spool::Spool;
use graph_relay::spool::State;
use graph_relay::spool::Subjects;
use graph_relay::spool::Which;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::entries;
use crate::common::entries::accept;
use crate::common::entries::claim;
use crate::common::entries::destination;
use crate::common::entries::report;
use crate::common::find;
use crate::common::message;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::stored::database;
use crate::common::stored::waiting;

/// An address that Graph refuses.
const INVALID: &str = "invalid@example.org";

fn search(sought: Sought) -> Search {
    Search {
        sought,
        filter: None,
        after: None,
        limit: 100,
    }
}

fn to(recipient: &str) -> Sought {
    Sought::of(recipient)
}

/// What a search finds of accepted messages.
async fn became(spool: &Spool, search: Search) -> Vec<Became> {
    let found = spool.history(search).await.unwrap();
    let rows = found.rows.into_iter().map(|row| match row {
        Record::Accepted(row) => *row,
        Record::Refused(row) => panic!("{row:?}"),
    });
    rows.collect()
}

async fn only(spool: &Spool, id: SpoolId) -> Became {
    let mut rows = became(spool, search(Sought::Id(id))).await;
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

/// A message to these recipients, with a Message-ID and a Subject.
async fn send(spool: &Spool, name: &str, recipients: &[&str], largest_part: usize) -> SpoolId {
    let mut incoming = spool.receive(spool.new_id());
    incoming.write(b"\r\n").await.unwrap();
    let entry = NewEntry {
        content: incoming,
        envelope: Envelope {
            reverse_path: ReversePath::Null,
            recipients: recipients.iter().map(|it| it.parse().unwrap()).collect(),
            asked: vec![Asked {
                original: format!("Staff-{name}"),
                recipient: recipients[0].parse().unwrap(),
            }],
            utf8: true,
            reports: ReportRequest::default(),
        },
        trace: Trace {
            client: "127.0.0.1".parse().unwrap(),
            hello: "client".to_owned(),
            protocol: "ESMTP".to_owned(),
            user: None,
        },
        author: None,
        destination: destination(),
        bound: None,
        largest_part,
        message_id: Some(format!("<{name}@app.example>")),
        subject: format!("about {name}"),
    };
    spool.accept(entry).await.unwrap().id
}

#[tokio::test]
async fn each_recipient_has_the_state_of_its_message() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = entries::open(folder.path(), Clock::System);
    let id = send(&spool, "a", &["a@example.org", "b@example.org"], 500).await;

    let rows = became(&spool, search(Sought::Id(id))).await;

    let waits = |row: &Became| (row.recipient.clone(), row.state, row.status.clone());
    let names = ["a@example.org", "b@example.org"];
    let expected = names.map(|name| (name.to_owned(), State::Waiting, None));
    assert_eq!(rows.iter().map(waits).collect::<Vec<_>>(), expected);
    assert_eq!(rows[0].at, rows[0].accepted_at);
    assert_eq!(rows[0].message_id.as_deref(), Some("<a@app.example>"));
    assert_eq!(rows[0].subject.as_deref(), Some("about a"));
    let steps = [
        (
            Next::Wait(RunningTime::START),
            EnhancedStatus::NO_ANSWER,
            State::Waiting,
            "4.4.1",
        ),
        (
            Next::Wait(RunningTime::START),
            EnhancedStatus::NOT_ACCEPTING,
            State::Waiting,
            "4.3.2",
        ),
        (
            Next::Delivered,
            EnhancedStatus::SUCCESS,
            State::Delivered,
            "2.0.0",
        ),
    ];
    for (next, status, state, shown) in steps {
        let entry = claim(&spool).await.remove(0);
        let report = AttemptReport {
            status,
            ..report(next)
        };
        spool.settle(&entry, report).await.unwrap();
        for row in became(&spool, search(Sought::Id(id))).await {
            assert_eq!((row.state, row.status.as_deref()), (state, Some(shown)));
            assert_eq!(row.text.as_deref(), Some("a test's"));
            assert!(row.at >= row.accepted_at);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_settlement_of_a_message_applies_to_its_recipients() {
    let folder = TempDir::new().unwrap();
    let start = Timestamp::from_millis(1_795_287_600_000);
    let clock = Clock::starting_at(start);
    let (spool, _) = entries::open(folder.path(), clock.clone());
    let id = accept(&spool, b"Subject: a\r\n\r\n").await;
    let mut last = start;
    for (action, state, words) in [
        (Action::Hold, State::Held, "held by an operator"),
        (Action::Release, State::Waiting, "released by an operator"),
        // Nothing was tried since.
        (Action::Retry, State::Waiting, "released by an operator"),
        (Action::Drop, State::Dropped, "dropped by an operator"),
    ] {
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        let which = Which::Ids(vec![id]);
        spool.operate(Order { action, which }, 0).await.unwrap();

        let row = only(&spool, id).await;

        assert_eq!((row.state, row.status), (state, None));
        assert!(row.text.unwrap().starts_with(words));
        assert!(row.at > last, "{action:?}");
        last = row.at;
    }
    for (next, state) in [
        (Next::Failed, State::Failed),
        (Next::Held, State::Held),
        (Next::Quarantined, State::Quarantined),
    ] {
        let id = accept(&spool, b"Subject: a\r\n\r\n").await;
        let entry = claim(&spool).await.remove(0);
        let report = AttemptReport {
            status: EnhancedStatus::FAILED,
            ..report(next)
        };
        spool.settle(&entry, report).await.unwrap();
        let row = only(&spool, id).await;
        assert_eq!((row.state, row.status.as_deref()), (state, Some("5.0.0")));
    }
    let interrupted = accept(&spool, b"Subject: a\r\n\r\n").await;
    claim(&spool).await;
    let unreadable = accept(&spool, b"Subject: a\r\n\r\n").await;
    let db = Connection::open(folder.path().join("spool.db")).unwrap();
    db.execute(
        "UPDATE entry SET author = 'x' WHERE id = ?1",
        [unreadable.to_string()],
    )
    .unwrap();
    assert!(claim(&spool).await.is_empty());
    let row = only(&spool, unreadable).await;
    assert_eq!(
        (row.state, row.status.as_deref()),
        (State::Quarantined, Some("4.3.0"))
    );
    spool.close().await;
    drop(spool);
    let (spool, _) = entries::open(folder.path(), clock);
    let row = only(&spool, interrupted).await;
    assert_eq!(
        (row.state, row.status.as_deref()),
        (State::Waiting, Some("4.4.1"))
    );
}

#[tokio::test]
async fn a_recipient_can_differ_from_its_message() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = entries::open(folder.path(), Clock::System);
    let id = send(&spool, "a", &["a@example.org", "b@example.org"], 500).await;
    let db = Connection::open(folder.path().join("spool.db")).unwrap();
    db.execute_batch(
        "UPDATE recipient SET state = 'failed', status = '5.1.1', reason = 'gone', changed_at = 7
         WHERE address = 'b@example.org'",
    )
    .unwrap();

    let rows = became(&spool, search(Sought::Id(id))).await;

    assert_eq!(rows[0].state, State::Waiting);
    assert_eq!(
        (rows[1].state, rows[1].status.as_deref()),
        (State::Failed, Some("5.1.1"))
    );
    assert_eq!(
        (rows[1].text.as_deref(), rows[1].at.millis()),
        (Some("gone"), 7)
    );
}

#[tokio::test]
async fn messages_are_found_by_recipient_in_every_spelling() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = entries::open(folder.path(), Clock::System);
    let first = send(&spool, "one", &["Anna@Example.ORG", "b@example.org"], 500).await;
    let idn = send(&spool, "two", &["info@m\u{fc}ller.example"], 500).await;
    let quoted = send(&spool, "three", &["\"carl\"@example.org"], 500).await;
    for (recipient, expected) in [
        ("anna@example.org", vec![first]),
        ("ANNA@example.org", vec![first]),
        ("info@M\u{dc}LLER.example", vec![idn]),
        ("info@xn--mller-kva.example", vec![idn]),
        ("carl@example.org", vec![quoted]),
        ("staff-one", vec![first]),
        ("STAFF-TWO", vec![idn]),
        ("nobody@example.org", vec![]),
        ("anna@example.or", vec![]),
    ] {
        let found = became(&spool, search(to(recipient))).await;
        let ids: Vec<SpoolId> = found.iter().map(|row| row.id).collect();
        assert_eq!(ids, expected, "{recipient}");
    }
    let found = became(&spool, search(to("b@example.org"))).await;
    assert_eq!((found.len(), found[0].ordinal), (1, 1));
}

#[tokio::test]
async fn messages_are_found_by_message_id_with_all_their_parts() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = entries::open(folder.path(), Clock::System);
    let recipients: Vec<String> = (0..5).map(|n| format!("r{n}@example.org")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    send(&spool, "other", &["a@example.org"], 500).await;
    send(&spool, "split", &recipients, 2).await;
    for text in ["<split@app.example>", "split@app.example"] {
        let found = became(&spool, search(to(text))).await;
        let mut names: Vec<&str> = found.iter().map(|row| row.recipient.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, recipients);
    }
}

#[tokio::test(start_paused = true)]
async fn search_results_are_ordered_by_time_and_paged() {
    let folder = TempDir::new().unwrap();
    let start = Timestamp::from_millis(1_795_287_600_000);
    let (spool, _) = entries::open(folder.path(), Clock::starting_at(start));
    let second = std::time::Duration::from_secs(1);
    let mut sent = Vec::new();
    for name in ["a", "b", "c", "d"] {
        tokio::time::advance(second).await;
        sent.push(send(&spool, name, &["x@example.org", "y@example.org"], 500).await);
    }
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let page = Search {
            after,
            limit: 3,
            ..search(Sought::All)
        };
        let page = spool.history(page).await.unwrap();
        let places = page.rows.iter().map(Record::place);
        rows.extend(places.map(|place| (place.id, place.ordinal)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let newest_first = sent.iter().rev().flat_map(|id| [(*id, 0), (*id, 1)]);
    assert_eq!(rows, newest_first.collect::<Vec<_>>());

    let (since, until) = (start + 2 * second, start + 4 * second);
    let between = Search {
        filter: Some(format!("since={since} until={until}").parse().unwrap()),
        ..search(to("y@example.org"))
    };
    let found = became(&spool, between).await;

    let ids: Vec<SpoolId> = found.iter().map(|row| row.id).collect();
    assert_eq!(ids, [sent[2], sent[1]]);
}

fn settings(folder: &Path, subjects: Subjects) -> Settings {
    Settings {
        folder: folder.to_owned(),
        size: 10_000_000,
        free_space: 0,
        subjects,
    }
}

#[tokio::test]
async fn turning_subjects_off_stores_none_and_removes_stored_ones() {
    let folder = TempDir::new().unwrap();
    let opened =
        |subjects| entries::open_with(&settings(folder.path(), subjects), &Clock::System).unwrap();
    let (spool, _) = opened(Subjects::Kept);
    let before = send(&spool, "before", &["a@example.org"], 500).await;
    let kept = spool.holdings().states["waiting"];
    spool.close().await;
    drop(spool);

    let (spool, _) = opened(Subjects::NotKept);

    assert_eq!(only(&spool, before).await.subject, None);
    let without = spool.holdings().states["waiting"];
    assert_eq!(kept - without, "about before".len() as u64);
    let later = send(&spool, "later", &["a@example.org"], 500).await;
    let row = only(&spool, later).await;
    assert_eq!((row.subject, row.message_id.is_some()), (None, true));
}

#[tokio::test]
async fn a_salvaged_spool_can_be_searched_as_before() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = entries::open(folder.path(), Clock::System);
    let id = send(&spool, "one", &["info@m\u{fc}ller.example"], 500).await;
    let entry = claim(&spool).await.remove(0);
    let next = Next::Wait(RunningTime::START);
    spool.settle(&entry, report(next)).await.unwrap();
    let before = only(&spool, id).await;
    assert_eq!(before.attempts, 1);
    spool.close().await;
    drop(spool);

    entries::when_free(|| {
        spool::salvage(folder.path(), folder.path(), Clock::System.now(), &|_| ())
    })
    .unwrap();

    let (spool, _) = entries::open(folder.path(), Clock::System);
    for sought in [
        Sought::Id(id),
        to("info@xn--mller-kva.example"),
        to("staff-one"),
        to("one@app.example"),
    ] {
        let found = became(&spool, search(sought)).await;
        // Due times are shown by the clock of the start.
        let due_at = found[0].due_at;
        assert_eq!(
            found,
            [Became {
                due_at,
                ..before.clone()
            }]
        );
    }
}

/// Message-ID and Subject in the database.
fn stored(home: &Home, id: &str) -> (Option<String>, Option<String>) {
    let db = Connection::open(database(home)).unwrap();
    let query = "SELECT message_id, subject FROM entry WHERE id = ?1";
    db.query_row(query, [id], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_id_on_record_is_the_one_that_goes_out() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    let plain = format!("From: {MAILBOX}\r\nTo: a@example.org\r\n");
    let long = format!("Subject: {}\r\n", "=?utf-8?q?=C3=BC?=\r\n ".repeat(500));
    let sent = [
        (
            "Message-ID: <1@app>\r\nSubject: =?utf-8?q?gr=C3=BCn?=\r\n",
            Some("<1@app>"),
        ),
        ("Message-ID: 4711\r\nSubject: red\r\n", None),
        (long.as_str(), None),
        ("Message-ID: 1\r\nMessage-ID: <2@app>\r\n", Some("<2@app>")),
    ];
    let mut expected = Vec::new();
    let mut ids = Vec::new();
    for (fields, message_id) in sent {
        let id = send_one(
            &relay,
            &["a@example.org"],
            &format!("{plain}{fields}\r\ntext\r\n"),
        );
        let ours = || format!("<{id}@relay.test.example>");
        expected.push(message_id.map_or_else(ours, str::to_owned));
        ids.push(id);
    }
    let rows: Vec<_> = ids.iter().map(|id| stored(&home, id)).collect();
    let recorded: Vec<String> = rows.iter().filter_map(|row| row.0.clone()).collect();
    assert_eq!(recorded, expected);
    assert_eq!(rows[0].1.as_deref(), Some("gr\u{fc}n"));
    assert_eq!(rows[2].1.as_ref().unwrap().chars().count(), LONGEST_SUBJECT);
    assert_eq!(rows[3].1, None);
    // Under another hostname too, the recorded one goes out.
    assert!(relay.stop().success());
    let text = fs::read_to_string(&home.config).unwrap();
    fs::write(
        &home.config,
        text.replace("relay.test.example", "other.example"),
    )
    .unwrap();
    graph.clear_faults();
    let _relay = Relay::start(&home);

    let arrived = arrived(&graph, 4).await;

    for id in expected {
        let field = format!("Message-ID: {id}\r\n");
        let has = |raw: &[u8]| find(raw, field.as_bytes()).is_some();
        assert_eq!(
            arrived.iter().filter(|it| has(&it.raw)).count(),
            1,
            "{field}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_records_the_status_of_each_outcome() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .sections("[history]\nsubjects = false")
        .build();
    let mut relay = Relay::start(&home);
    let fine = send_one(
        &relay,
        &["a@example.org"],
        &message("fine", "a@example.org"),
    );
    arrived(&graph, 1).await;
    relay.event("delivered", |line| line["id"] == *fine);
    let bad = send_one(&relay, &[INVALID], &message("bad", INVALID));
    relay.event("failed", |line| line["id"] == *bad);
    relay.event("report", |line| line["about"] == *bad);

    assert!(relay.stop().success());

    let (spool, _) = entries::open(&home.path("data"), Clock::System);
    let mut rows = became(&spool, search(to(INVALID))).await;
    rows.extend(became(&spool, search(to("a@example.org"))).await);
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.state, row.status.as_deref()))
        .collect();
    let expected = [
        (State::Failed, Some("5.1.0")),
        (State::Delivered, Some("2.0.0")),
    ];
    assert_eq!(shown, expected);
    let all = became(&spool, search(Sought::All)).await;
    // So does the report.
    assert_eq!(all.len(), 3);
    let ours = format!("<{}@relay.test.example>", all[0].id);
    assert_eq!(all[0].message_id.as_deref(), Some(ours.as_str()));
    assert!(all.iter().all(|row| row.subject.is_none()));
}
