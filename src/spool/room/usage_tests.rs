//! Tests of the sums.

use super::*;
use crate::mail::RecipientRequest;
use crate::mail::ReportRequest;
use crate::mail::ReversePath;
use crate::spool::accept::requests;
use crate::spool::schema;

#[test]
fn requests_for_reports_cost_the_same_accepted_or_salvaged() {
    let folder = tempfile::TempDir::new().unwrap();
    let db = schema::create(&folder.path().join("spool.db")).unwrap();
    let recipient: Address = "\"a\"@m\u{fc}ller.example".parse().unwrap();
    let original = format!("rfc822;{}@example.org", "x".repeat(300));
    let mut envelope = Envelope {
        reverse_path: ReversePath::Null,
        recipients: vec![recipient.clone()],
        asked: Vec::new(),
        utf8: false,
        reports: ReportRequest::new("FULL".parse().ok(), "QQ 314159".parse().ok()),
    };
    let trace = Trace {
        client: [127, 0, 0, 1].into(),
        hello: "client".to_owned(),
        protocol: String::new(),
        user: None,
    };
    envelope.reports.add(
        &recipient,
        RecipientRequest {
            notify: "NEVER".parse().ok(),
            original: original.parse().ok(),
        },
    );
    db.execute_batch(
        "INSERT INTO entry (id, state, accepted_at, due_running, reverse_path, utf8, client,
         hello, protocol, size, in_file, ret, envid, message_id, subject)
         VALUES ('x', 'waiting', 0, 0, '', 0, '', 'client', '', 0, 0, 'FULL', 'QQ 314159',
         '<1@app>', 'Gr\u{fc}\u{df}e')",
    )
    .unwrap();
    requests::insert_recipients(&db, "x", &envelope).unwrap();

    db.execute_batch(&compute()).unwrap();

    let computed = db.query_row("SELECT rows_cost FROM entry", [], |row| {
        columns::unsigned(row, 0)
    });
    let caption = Caption {
        message_id: Some("<1@app>".to_owned()),
        subject: Some("Gr\u{fc}\u{df}e".to_owned()),
    };
    let accepted = rows_cost(&envelope, &trace, None, &caption);
    assert_eq!(computed.unwrap(), accepted);
    let plain = Envelope {
        reports: ReportRequest::default(),
        ..envelope
    };
    let more = original.len() + "NEVER".len() + "FULL".len() + "QQ 314159".len();
    assert_eq!(
        accepted - rows_cost(&plain, &trace, None, &caption),
        more as u64
    );
}

#[test]
fn the_sums_follow_an_entry_through_all_states_and_a_rollback() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("spool.db");
    let db = schema::create(&path).unwrap();
    let add_entries = |db: &Connection| {
        db.execute_batch(
            "INSERT INTO entry (id, state, accepted_at, due_running, reverse_path, utf8,
             client, hello, protocol, size, in_file, rows_cost, content_cost)
             VALUES ('inline', 'waiting', 0, 0, '', 0, '', '', '', 0, 0, 500, 3000),
             ('file', 'claimed', 0, 0, '', 0, '', '', '', 0, 1, 600, 8192)",
        )
    };
    add_entries(&db).unwrap();
    begin(&db).unwrap();
    // Counted again from the rows, as at a start.
    let afresh = || {
        let other = schema::open_reader(&path).unwrap();
        begin(&other).unwrap();
        read(&other).unwrap()
    };
    assert_eq!(read(&db).unwrap(), afresh());
    assert_eq!(read(&db).unwrap().total(), 12_292);

    for state in State::ALL.into_iter().chain(State::ALL.into_iter().rev()) {
        db.execute(
            "UPDATE OR FAIL entry SET state = ?1, rows_cost = rows_cost + 7",
            [state],
        )
        .unwrap();
        assert_eq!(read(&db).unwrap(), afresh(), "{state:?}");
    }
    db.execute(
        "UPDATE entry SET state = 'delivered', content_cost = -content_cost",
        [],
    )
    .unwrap();
    assert_eq!(read(&db).unwrap(), afresh(), "kept content");
    assert_eq!(read(&db).unwrap().history().content(), 11_192);
    let before = read(&db).unwrap();
    let changes = "BEGIN; DELETE FROM entry WHERE id = 'file';
         UPDATE entry SET content_cost = 0; ROLLBACK";
    db.execute_batch(changes).unwrap();
    assert_eq!(read(&db).unwrap(), before);
    db.execute("DELETE FROM entry WHERE id = 'file'", [])
        .unwrap();
    assert_eq!(read(&db).unwrap(), afresh());
}

#[test]
fn sizes_are_in_megabytes_and_never_rounded_to_nothing() {
    let shown: Vec<_> = [0, 1, 9_893_380, 10_000_000].map(megabytes).into();
    assert_eq!(shown, ["0 MB", "0.1 MB", "9.9 MB", "10 MB"]);
}
