//! Spools written by earlier versions (`formats/N.sql`), and one of a later version: how
//! the first start of this version upgrades them, what it keeps, and what it logs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use graph_relay::clock::Clock;
use graph_relay::spool;
use graph_relay::spool::Settings;
use graph_relay::spool::SpoolError;
use graph_relay::spool::State;
use graph_relay::spool::Subjects;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::common::Home;
use crate::common::Relay;
use crate::common::entries;
use crate::common::entries::accept;
use crate::common::entries::claim;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;

const FORMATS: [(i64, &str); 6] = [
    (1, include_str!("formats/1.sql")),
    (2, include_str!("formats/2.sql")),
    (3, include_str!("formats/3.sql")),
    (4, include_str!("formats/4.sql")),
    (5, include_str!("formats/5.sql")),
    (6, include_str!("formats/6.sql")),
];

/// Messages in the databases.
const DELIVERED: &str = "01M8PWZY2QTH8KKP8AFW23Y6Q9";
const FAILED: &str = "01M8PWZY2T42ASXG06ZR1Z0Q3D";
const DEFERRED: &str = "01M8PWZY2XBHWYZ813Y6A49R4R";
const HELD: &str = "01M8PWZY2ZPHDVFRY5JQ1CBW80";
const DROPPED: &str = "01M8PWZY2ZXQ22RC3DF3D4T90Q";
const WAITING: &str = "01M8PWZY32VMM63S1J3ES3Z5C7";
const LARGE: &str = "01M8PWZY34CRKX4XW0PZSHBKZW";

/// A spool of this format, as a stopped relay leaves it.
fn written(folder: &Path, format: i64) -> PathBuf {
    let path = folder.join("spool.db");
    let db = open_log(&path);
    db.execute_batch(FORMATS[usize::try_from(format).unwrap() - 1].1)
        .unwrap();
    drop(db);
    large_content(folder);
    path
}

fn open_log(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .unwrap();
    db
}

fn large_content(folder: &Path) {
    let content = folder.join("content");
    fs::create_dir_all(&content).unwrap();
    let text = format!(
        "From: anna@contoso.example\r\nTo: bob@example.org\r\nSubject: large\r\n\
         Message-ID: <large@app.example>\r\n\r\ntext of large\r\n{}",
        "x".repeat(200_000)
    );
    fs::write(content.join(LARGE), text).unwrap();
}

fn settings(folder: &Path, free_space: u64) -> Settings {
    Settings {
        folder: folder.to_owned(),
        size: 10_000_000,
        free_space,
        subjects: Subjects::Kept,
    }
}

fn ask<T: rusqlite::types::FromSql>(path: &Path, query: &str) -> T {
    let db = Connection::open(path).unwrap();
    db.query_row(query, [], |row| row.get(0)).unwrap()
}

fn format_of(path: &Path) -> i64 {
    ask(path, "PRAGMA user_version")
}

#[tokio::test]
async fn messages_of_every_earlier_format_are_delivered_after_the_upgrade() {
    for (format, _) in FORMATS {
        let folder = TempDir::new().unwrap();
        let path = written(folder.path(), format);

        let (spool, recovered) = entries::open(folder.path(), Clock::System);

        assert_eq!(recovered.upgraded.unwrap().from, format);
        assert_eq!(recovered.waiting, 3, "format {format}");
        let mut states = vec![(DELIVERED, State::Delivered), (FAILED, State::Failed)];
        if format >= 3 {
            states.extend([(HELD, State::Held), (DROPPED, State::Dropped)]);
        }
        for (id, state) in states {
            let shown = spool.show(id.parse().unwrap()).await.unwrap().unwrap();
            assert_eq!(shown.summary.state, state, "format {format}");
        }
        // Seals and contents are unchanged.
        let mut claimed = claim(&spool).await;
        claimed.sort_by_key(|entry| entry.id);
        let ids: Vec<String> = claimed.iter().map(|entry| entry.id.to_string()).collect();
        assert_eq!(ids, [DEFERRED, WAITING, LARGE], "format {format}");
        for entry in &claimed {
            entry.content.verify(entry.digest).await.unwrap();
            assert_eq!(entry.digest.is_some(), format >= 4);
        }
        assert_eq!((claimed[0].attempt, claimed[1].attempt), (2, 1));
        assert_eq!(claimed[1].envelope.recipients.len(), 2);
        accept(&spool, b"Subject: new\r\n\r\n").await;
        spool.close().await;
        drop(spool);
        assert_eq!(ask::<String>(&path, "PRAGMA integrity_check"), "ok");
        assert_eq!(format_of(&path), 7);
    }
}

#[tokio::test]
async fn the_columns_of_earlier_messages_are_filled_in() {
    for (format, _) in FORMATS {
        let folder = TempDir::new().unwrap();
        let path = written(folder.path(), format);

        let (spool, _) = entries::open(folder.path(), Clock::System);

        spool.close().await;
        drop(spool);
        let key = "SELECT key FROM recipient WHERE address = 'info@müller.example'";
        assert_eq!(ask::<String>(&path, key), "info@xn--mller-kva.example");
        let keys = "SELECT count(key) FROM recipient";
        assert_eq!(ask::<i64>(&path, keys), 1);
        let at = |id: &str| format!("SELECT changed_at FROM entry WHERE id = '{id}'");
        assert_eq!(ask::<i64>(&path, &at(DELIVERED)), 1_796_064_933_977);
        assert_eq!(ask::<i64>(&path, &at(DEFERRED)), 1_796_064_933_982);
        assert_eq!(ask::<i64>(&path, &at(WAITING)), 1_796_064_933_986);
        let status = format!("SELECT status FROM entry WHERE id = '{DELIVERED}'");
        assert_eq!(ask::<String>(&path, &status), "2.0.0");
        let program: String = ask(&path, "SELECT program FROM spool");
        assert_eq!(program, env!("CARGO_PKG_VERSION"));
        // Other columns that decide how much room new mail has.
        let cost = "SELECT min(rows_cost) FROM entry";
        assert!(ask::<i64>(&path, cost) > 500, "format {format}");
    }
}

#[tokio::test]
async fn the_old_database_is_kept_as_it_was() {
    for (format, _) in FORMATS {
        let folder = TempDir::new().unwrap();
        let path = written(folder.path(), format);
        let before = fs::read(&path).unwrap();

        let (spool, recovered) = entries::open(folder.path(), Clock::System);

        spool.close().await;
        let kept = folder.path().join(format!("spool.db.format-{format}"));
        assert_eq!(recovered.upgraded.unwrap().kept, kept);
        assert!(fs::read(&kept).unwrap() == before);
        let mode = fs::metadata(&kept).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(spool);
        // The next start has nothing to do.
        let (_spool, recovered) = entries::open(folder.path(), Clock::System);
        assert_eq!(recovered.upgraded, None);
    }
}

#[tokio::test]
async fn the_copy_includes_transactions_that_were_only_in_the_log() {
    let (folder, crashed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let db = open_log(&folder.path().join("spool.db"));
    db.execute_batch(FORMATS[5].1).unwrap();
    for name in ["spool.db", "spool.db-wal"] {
        fs::copy(folder.path().join(name), crashed.path().join(name)).unwrap();
    }
    drop(db);
    large_content(crashed.path());
    assert!(!spool_has_tables(&crashed.path().join("spool.db")));

    let (spool, _) = entries::open(crashed.path(), Clock::System);

    assert_eq!(claim(&spool).await.len(), 3);
    let kept = crashed.path().join("spool.db.format-6");
    assert_eq!(ask::<i64>(&kept, "SELECT count(*) FROM entry"), 7);
    assert_eq!(format_of(&kept), 6);
}

/// According to its first page, without the log.
fn spool_has_tables(path: &Path) -> bool {
    fs::read(path).unwrap().get(60..64).unwrap() != [0; 4]
}

#[tokio::test]
async fn a_copy_is_made_once_and_never_replaces_another() {
    let folder = TempDir::new().unwrap();
    let path = written(folder.path(), 6);
    let kept = folder.path().join("spool.db.format-6");
    fs::write(&kept, "another").unwrap();
    // An upgrade that was killed after its copy was made.
    fs::copy(&path, folder.path().join("spool.db.format-6.1")).unwrap();
    fs::write(folder.path().join("spool.db.format-new"), "half").unwrap();

    let (_spool, recovered) = entries::open(folder.path(), Clock::System);

    assert_eq!(
        recovered.upgraded.unwrap().kept,
        folder.path().join("spool.db.format-6.1")
    );
    assert_eq!(fs::read(&kept).unwrap(), b"another");
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("format"))
        .collect();
    names.sort();
    assert_eq!(names, ["spool.db.format-6", "spool.db.format-6.1"]);
}

#[tokio::test]
async fn without_room_for_the_copy_the_database_is_not_upgraded() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let path = written(folder.path(), 6);
    let before = fs::read(&path).unwrap();
    let full = settings(folder.path(), u64::MAX / 2);

    let refused = entries::open_with(&full, &Clock::System).unwrap_err();

    let words = refused.to_string();
    assert!(matches!(refused, SpoolError::NotKept { .. }), "{words}");
    assert!(words.contains("there is no room for that"), "{words}");
    let remedy = format!(
        "ln -s /OTHER/spool.db.format-6 {}/",
        folder.path().display()
    );
    assert!(words.contains(&remedy), "{words}");
    assert!(fs::read(&path).unwrap() == before);
    assert!(!folder.path().join("spool.db.format-6").exists());
    let ahead =
        entries::when_free(|| spool::upgrade_ahead(folder.path(), u64::MAX / 2)).unwrap_err();
    // They differ in how much was free at that moment.
    let without_sizes =
        |text: &str| text.replace(|byte: char| byte.is_ascii_digit() || byte == '.', "");
    assert_eq!(without_sizes(&ahead.to_string()), without_sizes(&words));
    let elsewhere = other.path().join("spool.db.format-6");
    fs::copy(&path, &elsewhere).unwrap();
    symlink(&elsewhere, folder.path().join("spool.db.format-6")).unwrap();
    let (spool, recovered) = entries::open_with(&full, &Clock::System).unwrap();
    assert_eq!((recovered.waiting, claim(&spool).await.len()), (3, 3));
    assert!(fs::read(&elsewhere).unwrap() == before);
}

/// A spool of a later version.
async fn of_later_version(folder: &Path) -> PathBuf {
    let (spool, _) = entries::open(folder, Clock::System);
    accept(&spool, b"Subject: a\r\n\r\n").await;
    spool.close().await;
    drop(spool);
    let path = folder.join("spool.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("UPDATE spool SET program = '9.8.7'; PRAGMA user_version = 8;")
        .unwrap();
    path
}

#[tokio::test]
async fn the_refusal_of_a_later_format_names_the_version_that_reads_it() {
    let folder = TempDir::new().unwrap();
    let path = of_later_version(folder.path()).await;
    fs::write(folder.path().join("spool.db.format-8"), "not ours").unwrap();
    let before = fs::read(&path).unwrap();

    let refused = entries::open_with(&settings(folder.path(), 0), &Clock::System);

    let words = refused.unwrap_err().to_string();
    assert!(
        words.contains("has format 8, written by graph-relay 9.8.7; this is graph-relay"),
        "{words}"
    );
    assert!(
        words.contains("start graph-relay 9.8.7 or a later"),
        "{words}"
    );
    assert!(!words.contains("To go back"), "{words}");
    for error in [
        entries::when_free(|| spool::check_stopped(folder.path(), &|_| ())).unwrap_err(),
        entries::when_free(|| spool::would_open(folder.path())).unwrap_err(),
        entries::when_free(|| spool::upgrade_ahead(folder.path(), 0)).unwrap_err(),
        entries::when_free(|| {
            spool::salvage(folder.path(), folder.path(), Clock::System.now(), &|_| ())
        })
        .unwrap_err(),
    ] {
        assert_eq!(error.to_string(), words);
    }
    assert!(fs::read(&path).unwrap() == before);
    // One that this version can read, from before an upgrade to the later one.
    let kept = folder.path().join("spool.db.format-7");
    let mut older = before.clone();
    older[63] = 7;
    fs::write(&kept, older).unwrap();
    let words = entries::when_free(|| spool::check_stopped(folder.path(), &|_| ()))
        .unwrap_err()
        .to_string();
    assert!(
        words.contains(&format!("kept as {}", kept.display())),
        "{words}"
    );
}

#[tokio::test]
async fn a_spool_of_an_earlier_format_can_be_checked_before_the_upgrade() {
    for (format, _) in FORMATS {
        let folder = TempDir::new().unwrap();
        let path = written(folder.path(), format);
        let before = fs::read(&path).unwrap();

        let checked = entries::when_free(|| spool::check_stopped(folder.path(), &|_| ())).unwrap();

        assert_eq!(checked.problems, Vec::<String>::new(), "format {format}");
        assert_eq!(checked.messages, if format < 3 { 4 } else { 5 });
        assert!(fs::read(&path).unwrap() == before, "format {format}");
    }
}

#[tokio::test]
async fn salvage_reads_an_earlier_format_and_leaves_the_kept_copy_alone() {
    for (format, _) in FORMATS {
        let folder = TempDir::new().unwrap();
        written(folder.path(), format);
        let kept = folder.path().join("spool.db.format-1");
        fs::write(&kept, "kept").unwrap();

        let salvaged = entries::when_free(|| {
            spool::salvage(folder.path(), folder.path(), Clock::System.now(), &|_| ())
        })
        .unwrap();

        assert_eq!(salvaged.saved[&State::Waiting], 3, "format {format}");
        assert_eq!(fs::read(&kept).unwrap(), b"kept");
        let (spool, recovered) = entries::open(folder.path(), Clock::System);
        assert_eq!((recovered.upgraded, recovered.orphans), (None, vec![]));
        assert_eq!(claim(&spool).await.len(), 3);
        assert_eq!(fs::read(&kept).unwrap(), b"kept");
    }
}

#[tokio::test]
async fn an_old_database_without_its_successor_is_not_taken_for_an_empty_spool() {
    let folder = TempDir::new().unwrap();
    let path = written(folder.path(), 6);
    let kept = folder.path().join("spool.db.format-6");
    crate::common::stored::rename(&path, &kept);
    fs::remove_file(folder.path().join("content").join(LARGE)).unwrap();

    let refused = entries::open_with(&settings(folder.path(), 0), &Clock::System);

    let words = refused.unwrap_err().to_string();
    assert!(words.contains("spool.db.format-6 is there"), "{words}");
    let remedy = format!("mv {} {}", kept.display(), path.display());
    assert!(words.contains(&remedy), "{words}");
    assert!(kept.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_announces_the_upgrade_and_then_names_the_kept_copy() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let data = home.path("data");
    fs::create_dir_all(&data).unwrap();
    fs::set_permissions(&data, PermissionsExt::from_mode(0o700)).unwrap();
    written(&data, 6);
    let check = || run(&home, &["check"]);

    let before = check();

    let kept = home.path("data/spool.db.format-6");
    let ahead = format!(
        "the next start upgrades the spool from format 6 to 7, and keeps the old database as {}",
        kept.display()
    );
    assert!(said(&before).contains(&ahead), "{}", said(&before));
    assert_eq!(before.status.code(), Some(0));
    let (spool, _) = entries::open(&data, Clock::System);
    spool.close().await;
    drop(spool);
    let after = said(&check());
    assert!(!after.contains("the next start"), "{after}");
    let there = format!(
        "{} (0.1 MB) is a copy of the spool from before",
        kept.display()
    );
    assert!(after.contains(&there), "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_logged_with_the_kept_copy() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let data = home.path("data");
    fs::create_dir_all(&data).unwrap();
    fs::set_permissions(&data, PermissionsExt::from_mode(0o700)).unwrap();
    written(&data, 6);

    let relay = Relay::start(&home);

    for event in ["spool_upgrading", "spool_upgraded"] {
        let line = relay.event(event, |_| true);
        assert_eq!((&line["from"], &line["to"]), (&6.into(), &7.into()));
    }
    let kept = home.path("data/spool.db.format-6").display().to_string();
    relay.event("spool_upgraded", |line| line["kept"] == kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_fails_where_the_start_would() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .limits("free_space = \"9000000 GB\"")
        .build();
    let data = home.path("data");
    fs::create_dir_all(&data).unwrap();
    fs::set_permissions(&data, PermissionsExt::from_mode(0o700)).unwrap();
    written(&data, 6);

    let check = run(&home, &["check"]);

    assert_eq!(check.status.code(), Some(73));
    assert!(
        said(&check).contains("no room for that"),
        "{}",
        said(&check)
    );
    let words = crate::common::stored::refused(&home);
    assert!(words.contains("no room for that"), "{words}");
}
