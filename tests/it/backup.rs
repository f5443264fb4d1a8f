//! `graph-relay backup` and `restore`: a backup that is made while the relay works has every
//! message that was accepted before, with its content, and one that is unfinished or damaged
//! is refused.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use graph_relay_sandbox::Sandbox;

use crate::common::Home;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::run;
use crate::common::said;
use crate::common::send_many;
use crate::common::stand_in;
use crate::common::stored::all_arrive;
use crate::common::stored::copy_folder;
use crate::common::stored::newest_forgotten;
use crate::common::stored::overwrite_page;
use crate::common::stored::refused;
use crate::common::stored::rename;
use crate::common::stored::send_large;
use crate::common::stored::waiting;

fn backup(home: &Home, name: &str) -> (PathBuf, Output) {
    let folder = home.path(name);
    let output = run(home, &["backup", folder.to_str().unwrap()]);
    (folder, output)
}

fn restore(home: &Home, folder: &Path, options: &[&str]) -> Output {
    let arguments = [&["restore", folder.to_str().unwrap()], options].concat();
    run(home, &arguments)
}

/// A complete backup; the data_dir is moved away afterwards, and the relay has ended.
fn backed_up(home: &Home, mut relay: Relay) -> PathBuf {
    let (folder, output) = backup(home, "backup");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    relay.kill();
    rename(home.path("data"), home.path("before"));
    folder
}

fn subjects(graph: &Sandbox) -> BTreeSet<String> {
    let arrivals = graph.arrivals();
    arrivals.iter().map(|it| it.subject.clone()).collect()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut files| files.next().is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_has_every_message_that_was_accepted_before_it() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "before", 20);
    send_large(&relay);
    let ends = AtomicBool::new(false);

    let (folder, output) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            send_many(&relay, "meanwhile", 1);
            while !ends.load(Ordering::Acquire) {
                send_many(&relay, "meanwhile", 5);
                send_large(&relay);
            }
        });
        let made = backup(&home, "backup");
        ends.store(true, Ordering::Release);
        sender.join().unwrap();
        made
    });

    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    send_many(&relay, "after", 1);
    relay.kill();
    rename(home.path("data"), home.path("before"));
    let restored = restore(&home, &folder, &[]);
    assert_eq!(restored.status.code(), Some(0), "{}", said(&restored));
    assert!(
        said(&restored).contains("is sent again"),
        "{}",
        said(&restored)
    );
    let check = run(&home, &["spool", "check"]);
    assert_eq!(check.status.code(), Some(0), "{}", said(&check));
    graph.clear_faults();
    let relay = Relay::start(&home);
    arrived(&graph, 21).await;
    relay.wait_until(|| {
        let found = subjects(&graph);
        (0..20).all(|n| found.contains(&format!("before{n}"))) && found.contains("large")
    });
    assert!(!subjects(&graph).contains("after0"));
    assert!(relay.events("orphaned_files").is_empty());
    assert!(relay.events("quarantined").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_that_are_delivered_during_a_backup_leave_it_whole() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);
    let ends = AtomicBool::new(false);

    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            while !ends.load(Ordering::Acquire) {
                send_large(&relay);
            }
        });
        let names = ["one", "two", "three", "four"];
        let made = names.map(|name| backup(&home, name).1);
        ends.store(true, Ordering::Release);
        sender.join().unwrap();
        made.into()
    });

    for output in &outputs {
        assert_eq!(output.status.code(), Some(0), "{}", said(output));
    }
    relay.kill();
    for name in ["one", "two", "three", "four"] {
        rename(home.path("data"), home.path(&format!("before-{name}")));
        let restored = restore(&home, &home.path(name), &[]);
        assert_eq!(restored.status.code(), Some(0), "{}", said(&restored));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_relay_is_backed_up_with_what_a_kill_left_in_the_log() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "small", 3);
    let large = send_large(&relay);
    relay.kill();
    let log = fs::metadata(home.path("data/spool.db-wal")).unwrap();
    assert!(log.len() > 0);
    fs::write(home.path("data/token-key"), "secret").unwrap();

    let (folder, output) = backup(&home, "backup");

    let words = said(&output);
    assert_eq!(output.status.code(), Some(0), "{words}");
    // The kill may have come during an attempt.
    let waits = [
        "4 waiting",
        "1 claimed",
        "2 claimed",
        "3 claimed",
        "4 claimed",
    ];
    assert!(waits.iter().any(|it| words.contains(it)), "{words}");
    assert!(words.contains("large contents: 1 linked"), "{words}");
    assert!(words.contains("Not in it: relay.toml"), "{words}");
    let content = format!("content/{large}");
    let inode = |folder: &Path| fs::metadata(folder.join(&content)).unwrap().ino();
    assert_eq!(inode(&folder), inode(&home.path("data")));
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["backup.json", "content", "spool.db", "spool.state"]);
    let kept = fs::metadata(home.path("data/spool.db-wal")).unwrap();
    assert_eq!(kept.len(), log.len(), "a backup changes nothing");
    rename(home.path("data"), home.path("before"));
    assert!(restore(&home, &folder, &[]).status.success());
    assert_ne!(inode(&folder), inode(&home.path("data")));
    all_arrive(&graph, &home, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_with_hold_sends_nothing_before_it_is_released() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = waiting(&graph, &home);
    let ids = send_many(&relay, "small", 2);
    let folder = backed_up(&home, relay);

    let restored = restore(&home, &folder, &["--hold"]);

    let words = said(&restored);
    assert_eq!(restored.status.code(), Some(0), "{words}");
    assert!(words.contains("2 messages held"), "{words}");
    // What was accepted since the backup is unknown.
    assert!(newest_forgotten(&home) > ids[1]);
    graph.clear_faults();
    let relay = Relay::start(&home);
    let list = said(&run(&home, &["queue", "list"]));
    for id in &ids {
        let line = list.lines().find(|line| line.contains(id.as_str()));
        assert!(line.is_some_and(|line| line.contains("held")), "{list}");
    }
    // What arrives later is sent, and they are not.
    send_many(&relay, "new", 1);
    arrived(&graph, 1).await;
    assert_eq!(subjects(&graph), BTreeSet::from(["new0".to_owned()]));
    let released = run(&home, &["queue", "release", "--all", "--yes"]);
    assert!(released.status.success(), "{}", said(&released));
    arrived(&graph, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_replaces_no_spool_and_disturbs_no_running_relay() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "small", 1);
    let (folder, output) = backup(&home, "backup");
    assert!(output.status.success(), "{}", said(&output));

    let running = restore(&home, &folder, &[]);
    relay.kill();
    let stopped = restore(&home, &folder, &[]);

    assert_eq!(running.status.code(), Some(75), "{}", said(&running));
    assert!(said(&running).contains("systemctl stop graph-relay"));
    assert_eq!(stopped.status.code(), Some(73), "{}", said(&stopped));
    assert!(said(&stopped).contains("not empty"), "{}", said(&stopped));
    // Nor is a backup written over another.
    let (_, again) = backup(&home, "backup");
    assert_eq!(again.status.code(), Some(73), "{}", said(&again));
    let own = run(&home, &["backup", home.path("data").to_str().unwrap()]);
    assert_eq!(own.status.code(), Some(73), "{}", said(&own));
    all_arrive(&graph, &home, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_keeps_the_sign_ins_that_are_in_the_data_dir() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = waiting(&graph, &home);
    send_many(&relay, "small", 1);
    let folder = backed_up(&home, relay);
    fs::create_dir_all(home.path("data/sign-ins")).unwrap();
    fs::set_permissions(home.path("data"), fs::Permissions::from_mode(0o700)).unwrap();

    let restored = restore(&home, &folder, &[]);

    assert_eq!(restored.status.code(), Some(0), "{}", said(&restored));
    assert!(home.path("data/sign-ins").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_unfinished_backup_is_refused_and_leaves_nothing() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = waiting(&graph, &home);
    send_many(&relay, "small", 60);
    let large = send_large(&relay);
    let folder = backed_up(&home, relay);
    let damaged = |name: &str, damage: &dyn Fn(&Path)| {
        let copy = home.path(name);
        copy_folder(&folder, &copy);
        damage(&copy);
        let output = restore(&home, &copy, &[]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", said(&output));
        assert!(is_empty(&home.path("data")), "{name}");
        said(&output)
    };

    let words = damaged("content-changed", &|copy| {
        fs::write(copy.join("content").join(&large), "shorter").unwrap();
    });
    assert!(words.contains(&format!("message {large}: ")), "{words}");
    let words = damaged("content-gone", &|copy| {
        fs::remove_file(copy.join("content").join(&large)).unwrap();
    });
    assert!(words.contains(&format!("message {large}: ")), "{words}");
    damaged("page", &|copy| {
        overwrite_page(&copy.join("spool.db"), 5, 0xFF);
    });
    damaged("beginning", &|copy| {
        overwrite_page(&copy.join("spool.db"), 1, 0);
    });
    let words = damaged("unfinished", &|copy| {
        fs::remove_file(copy.join("backup.json")).unwrap();
    });
    assert!(words.contains("was interrupted"), "{words}");

    // Copied by hand, an unfinished one does not start empty.
    fs::remove_dir(home.path("data")).unwrap();
    copy_folder(&home.path("unfinished"), &home.path("data"));
    fs::remove_file(home.path("data/spool.db")).unwrap();
    fs::set_permissions(home.path("data"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(refused(&home).contains("spool.db is missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_damaged_spool_says_so() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = waiting(&graph, &home);
    send_many(&relay, "small", 1);
    let large = send_large(&relay);
    relay.kill();
    fs::remove_file(home.path("data/content").join(&large)).unwrap();

    let (folder, output) = backup(&home, "backup");

    let words = said(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains(&format!("message {large}: ")), "{words}");
    assert!(words.contains("graph-relay spool salvage"), "{words}");
    assert!(folder.join("backup.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_a_spool_leaves_no_folder() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    fs::create_dir_all(home.path("data")).unwrap();

    let (folder, output) = backup(&home, "backup");

    assert_eq!(output.status.code(), Some(73), "{}", said(&output));
    assert!(said(&output).contains("give it with --config"));
    assert!(!folder.exists());
}
