//! A database that does not belong to the files next to it: moved away, restored, emptied
//! or removed while the relay runs. Nothing is deleted, and the relay says how to go on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::arrived;
use crate::common::run;
use crate::common::said;
use crate::common::send_many;
use crate::common::stand_in;
use crate::common::stored::all_arrive;
use crate::common::stored::copy_folder;
use crate::common::stored::refused;
use crate::common::stored::rename;
use crate::common::stored::send_large;
use crate::common::stored::stopped_with;
use crate::common::stored::waiting;

/// Names and bytes of everything in the folder, except files that a start may change.
fn files(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![home.path("data")];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if !["spool.lock", "admin.sock", "spool.db-shm"].contains(&name) {
                found.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_database_is_refused_and_everything_stays_as_it_is() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "small", 3);
    send_large(&relay);
    relay.kill();
    let (database, aside) = (home.path("data/spool.db"), home.path("spool.db.damaged"));
    rename(&database, &aside);
    let before = files(&home);

    let words = refused(&home);

    assert!(words.contains("spool.db is missing"), "{words}");
    assert!(words.contains("spool.db-wal is not empty"), "{words}");
    assert!(words.contains("1 message in content/"), "{words}");
    assert!(words.contains("graph-relay spool salvage"), "{words}");
    assert!(files(&home) == before);
    fs::write(&database, "").unwrap();
    assert!(refused(&home).contains("spool.db is empty"));
    rename(&aside, &database);
    all_arrive(&graph, &home, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_database_is_refused_after_a_clean_stop_too() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    stopped_with(&graph, &home, "small", 1);
    rename(home.path("data/spool.db"), home.path("spool.db.aside"));

    let words = refused(&home);

    assert!(words.contains("spool.state counts"), "{words}");
    assert!(words.contains("were only in it are lost"), "{words}");
    assert!(!home.path("data/spool.db").exists());
    let doctor = said(&run(&home, &["doctor"]));
    let failure = doctor
        .lines()
        .find(|line| line.contains("spool.db is missing"));
    assert!(
        failure.is_some_and(|line| line.contains("FAIL")),
        "{doctor}"
    );
    assert!(doctor.contains("graph-relay spool salvage"), "{doctor}");
    assert!(!home.path("data/spool.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_state_that_cannot_be_read_is_refused_with_a_remedy() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    assert!(Relay::start(&home).stop().success());
    let state = home.path("data/spool.state");
    fs::remove_file(&state).unwrap();
    fs::create_dir(&state).unwrap();

    let words = refused(&home);

    assert!(words.contains("spool.state cannot be read"), "{words}");
    assert!(
        words.contains(&format!("mv {}", state.display())),
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_a_database_is_refused() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    fs::create_dir_all(home.path("data")).unwrap();
    let database = home.path("data/spool.db");
    fs::write(&database, "not a database".repeat(1000)).unwrap();
    assert!(refused(&home).contains("is not an SQLite database"));
    fs::remove_file(&database).unwrap();
    fs::create_dir(&database).unwrap();

    assert!(refused(&home).contains("is not a file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_database_is_refused_until_the_operator_confirms_it() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "before", 1);
    let backup = home.path("backup.db");
    let database = home.path("data/spool.db");
    Connection::open(&database)
        .unwrap()
        .execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
        .unwrap();
    send_many(&relay, "after", 1);
    let large = send_large(&relay);
    relay.kill();
    for log in ["data/spool.db-wal", "data/spool.db-shm"] {
        fs::remove_file(home.path(log)).unwrap();
    }
    fs::copy(&backup, &database).unwrap();
    let before = files(&home);

    let words = refused(&home);

    assert!(
        words.contains("is older than the rest of the spool"),
        "{words}"
    );
    let state = home.path("data/spool.state");
    assert!(
        words.contains(&format!("rm {}", state.display())),
        "{words}"
    );
    assert!(files(&home) == before);
    fs::remove_file(&state).unwrap();
    graph.clear_faults();
    let relay = Relay::start(&home);
    let orphans = relay.event("orphaned_files", |_| true);
    assert_eq!(orphans["ids"], large.as_str());
    assert!(home.path("data/orphans").join(&large).exists());
    let mode = fs::metadata(home.path("data/orphans"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0);
    arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_database_with_the_log_of_a_newer_one_is_refused() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    stopped_with(&graph, &home, "before", 1);
    let (database, backup) = (home.path("data/spool.db"), home.path("backup.db"));
    fs::copy(&database, &backup).unwrap();
    for _ in 0..2 {
        stopped_with(&graph, &home, "after", 1);
    }
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "last", 1);
    relay.kill();
    fs::copy(&backup, &database).unwrap();
    let before = files(&home);

    let words = refused(&home);

    assert!(
        words.contains("is older than the rest of the spool"),
        "{words}"
    );
    assert!(files(&home) == before, "the log was not applied to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_restored_as_a_whole_starts() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "before", 2);
    send_large(&relay);
    assert!(relay.stop().success());
    let (data, backup) = (home.path("data"), home.path("backup"));
    copy_folder(&data, &backup);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "after", 2);
    relay.kill();
    fs::remove_dir_all(&data).unwrap();
    copy_folder(&backup, &data);
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();

    graph.clear_faults();
    let relay = Relay::start(&home);

    arrived(&graph, 3).await;
    assert!(relay.events("orphaned_files").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_files_in_the_content_folder_are_left_alone() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);
    relay.kill();
    let content = home.path("data/content");
    fs::create_dir(content.join("lost+found")).unwrap();
    let unknown = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    // An unknown name, an id in small letters, and a folder with the name of an id.
    let others = [".nfs0001", "01arz3ndektsv4rrffq69g5fav"];
    for name in others {
        fs::write(content.join(name), "x").unwrap();
    }
    fs::create_dir(content.join("01ARZ3NDEKTSV4RRFFQ69G5FAW")).unwrap();
    fs::write(content.join(unknown), "unknown").unwrap();
    fs::write(content.join("01ARZ3NDEKTSV4RRFFQ69G5FAX.part"), "x").unwrap();

    let relay = Relay::start(&home);

    assert_eq!(relay.event("orphaned_files", |_| true)["ids"], unknown);
    let moved = home.path("data/orphans").join(unknown);
    assert_eq!(fs::read(moved).unwrap(), b"unknown");
    let left = fs::read_dir(&content).unwrap();
    let mut left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(
        left,
        [
            ".nfs0001",
            "01ARZ3NDEKTSV4RRFFQ69G5FAW",
            "01arz3ndektsv4rrffq69g5fav",
            "lost+found"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_clean_stop_the_database_alone_has_everything() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    stopped_with(&graph, &home, "small", 20);

    let copy = home.path("copy.db");
    fs::copy(home.path("data/spool.db"), &copy).unwrap();

    let copy = Connection::open(copy).unwrap();
    let count = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(
        count("SELECT count(*) FROM entry WHERE state = 'waiting'"),
        20
    );
    assert_eq!(count("SELECT count(*) FROM content"), 20);
    let log = fs::metadata(home.path("data/spool.db-wal"));
    assert!(log.is_err() || log.unwrap().len() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_removed_while_the_relay_runs_loses_nothing() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "before", 2);
    send_large(&relay);
    for name in ["spool.db", "spool.db-wal", "spool.db-shm"] {
        fs::remove_file(home.path("data").join(name)).unwrap();
    }

    no_mail_is_taken(&relay);

    let gone = relay.event("database_gone", |_| true);
    assert!(
        gone["remedy"]
            .as_str()
            .unwrap()
            .contains("restart the relay")
    );
    let doctor = said(&run(&home, &["doctor"]));
    assert!(doctor.contains("clients get 451"), "{doctor}");
    assert!(!doctor.contains("make room"), "{doctor}");
    let status = run(&home, &["status"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(
        said(&status).contains("was removed, replaced or truncated"),
        "{}",
        said(&status)
    );
    assert!(relay.stop().success());
    let written = fs::metadata(home.path("data/spool.db")).unwrap();
    assert_eq!(written.permissions().mode() & 0o777, 0o600);
    all_arrive(&graph, &home, 3).await;
}

/// Asserts that the relay answers 451 to new mail: at the latest to the first complete
/// message, and from then on to DATA.
fn no_mail_is_taken(relay: &Relay) {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let data = |smtp: &mut Smtp| {
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        smtp.expect("RCPT TO:<a@example.org>", "250");
        smtp.say("DATA")
    };
    if data(&mut smtp).starts_with("354") {
        smtp.expect("Subject: x\r\n\r\nx\r\n.", "451");
    }
    let reply = data(&mut smtp);
    assert!(reply.starts_with("451"), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_removed_while_the_relay_runs_loses_nothing_that_was_accepted() {
    let graph = stand_in().await;
    for is_replaced in [false, true] {
        let home = Home::new(&graph);
        let mut relay = waiting(&graph, &home);
        send_many(&relay, "small", 3);
        let log = home.path("data/spool.db-wal");
        assert!(fs::metadata(&log).unwrap().len() > 0);
        fs::remove_file(&log).unwrap();
        if is_replaced {
            fs::write(&log, "").unwrap();
        }

        no_mail_is_taken(&relay);

        let gone = relay.event("database_gone", |_| true);
        assert_eq!(gone["path"], log.to_str().unwrap());
        relay.kill();
        let before = graph.arrivals().len();
        all_arrive(&graph, &home, before + 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_removed_index_of_the_log_is_written_again() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "before", 2);
    fs::remove_file(home.path("data/spool.db-shm")).unwrap();
    send_many(&relay, "after", 2);
    relay.kill();

    all_arrive(&graph, &home, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_database_accepts_no_mail() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    stopped_with(&graph, &home, "before", 2);
    let relay = waiting(&graph, &home);
    send_many(&relay, "after", 1);
    let database = fs::File::options()
        .write(true)
        .open(home.path("data/spool.db"))
        .unwrap();
    database.set_len(0).unwrap();

    no_mail_is_taken(&relay);

    let gone = relay.event("database_gone", |_| true);
    assert!(gone["path"].as_str().unwrap().ends_with("spool.db"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_relay_does_not_start_although_the_lock_file_is_gone() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = Relay::start(&home);
    fs::remove_file(home.path("data/spool.lock")).unwrap();

    let second = run(&home, &["serve"]);

    assert_eq!(second.status.code(), Some(75), "{}", said(&second));
    send_many(&relay, "first", 1);
    arrived(&graph, 1).await;
}
