//! A disk that is really full: `452`, the service keeps running, and everything that was
//! accepted is delivered afterwards.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::arrived;
use crate::common::binary;
use crate::common::message;
use crate::common::send_many;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::stored::waiting;
use crate::common::wire::in_data;

/// A folder on a file system of about 32 MB, which the test may fill.
const SMALL_DISK: &str = "GRAPH_RELAY_SMALL_DISK";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a small file system, named by GRAPH_RELAY_SMALL_DISK: .ci/run mounts one"]
async fn a_full_disk_answers_452_and_accepted_mail_is_delivered() {
    let (disk, _mine) = small_disk().await;
    for (size, free_space, afterwards) in [
        (3_000, "8 MB", Afterwards::GoesOn),
        (600_000, "8 MB", Afterwards::GoesOn),
        (3_000, "20 MB", Afterwards::IsKilled),
    ] {
        let graph = stand_in().await;
        graph.inject(Fault {
            times: 100_000,
            ..Fault::at_token(503)
        });
        let limits = format!("free_space = \"{free_space}\"");
        let (home, data) = home_on(&disk, &graph, &limits);
        let mut relay = Relay::start(&home);
        let mut smtp = relay.connect();
        smtp.expect("EHLO c", "250");

        let accepted = send_until_full(&mut smtp, size);
        assert!(accepted > 3, "{accepted} of {size} bytes");
        // Something else fills the rest while attempts continue.
        let filler = disk.join("filler");
        fill(&filler);
        smtp.expect("RSET", "250");
        assert_eq!(send_until_full(&mut smtp, size), 0);
        smtp.expect("RSET", "250");

        fs::remove_file(&filler).unwrap();
        graph.clear_faults();
        if afterwards == Afterwards::IsKilled {
            relay.kill();
            relay = Relay::start(&home);
        }
        let arrivals = arrived(&graph, accepted).await;
        let mut subjects: Vec<_> = arrivals.iter().map(|a| a.subject.clone()).collect();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), accepted);
        // The database keeps its size, and its free pages count as room.
        let mut smtp = relay.connect();
        smtp.expect("EHLO c", "250");
        relay.wait_until(|| {
            let reply = smtp.send(
                MAILBOX,
                &["a@example.org"],
                message("more", "a@example.org").as_bytes(),
            );
            reply.starts_with("250")
        });
        drop(relay);
        fs::remove_dir_all(&data).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a small file system, named by GRAPH_RELAY_SMALL_DISK: .ci/run mounts one"]
async fn clients_that_send_without_end_leave_free_space_and_others_get_through() {
    let (disk, _mine) = small_disk().await;
    let graph = stand_in().await;
    let limits = "";
    let (home, data) = home_on(&disk, &graph, limits);
    let relay = waiting(&graph, &home);
    send_one(
        &relay,
        &["a@example.org"],
        &message("before", "a@example.org"),
    );
    relay.event("deferred", |_| true);

    // Each sends nearly the largest message, without an end.
    let line = format!("{}\r\n", "y".repeat(998));
    let piece = line.repeat(1000);
    let streams: Vec<Smtp> = (0..8).map(|_| in_data(&relay, "a@example.org")).collect();
    let least = std::thread::scope(|scope| {
        let senders: Vec<_> = streams
            .iter()
            .map(|smtp| {
                let mut stream = smtp.stream();
                let piece = piece.as_bytes();
                scope.spawn(move || (0..34).for_each(|_| stream.write_all(piece).unwrap()))
            })
            .collect();
        let mut least = free(&disk);
        let mut others = 0;
        while !senders.iter().all(|sender| sender.is_finished()) || others < 20 {
            let content = message(&format!("other {others}"), "a@example.org");
            send_one(&relay, &["a@example.org"], &content);
            others += 1;
            least = least.min(free(&disk));
        }
        let subject = message("last", "a@example.org");
        send_one(&relay, &["a@example.org"], &subject);
        graph.clear_faults();
        (least.min(free(&disk)), others + 2)
    });

    let (least, messages) = least;
    arrived(&graph, messages).await;
    assert!(least >= 8_000_000, "{least} bytes were left");
    assert!(
        relay.events("spool").is_empty(),
        "{:?}",
        relay.events("spool")
    );
    drop((relay, streams));
    fs::remove_dir_all(&data).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a small file system, named by GRAPH_RELAY_SMALL_DISK: .ci/run mounts one"]
async fn a_start_on_a_full_disk_waits_for_room() {
    let (disk, _mine) = small_disk().await;
    let filler = disk.join("filler");
    for has_mail in [false, true] {
        let graph = stand_in().await;
        let (home, data) = home_on(&disk, &graph, "free_space = \"8 MB\"");
        if has_mail {
            let mut relay = waiting(&graph, &home);
            send_many(&relay, "before", 5);
            relay.kill();
            // An index in shared memory is created at each start after a crash.
            fs::remove_file(data.join("spool.db-shm")).unwrap();
        }
        fill(&filler);

        let mut relay = Relay::spawn(binary().arg("serve").arg("--config").arg(&home.config));
        relay.event("disk_full", |_| true);
        assert!(relay.events("listening").is_empty());
        assert!(relay.stop().success(), "SIGTERM ends the wait");
        let relay = Relay::spawn(binary().arg("serve").arg("--config").arg(&home.config));
        relay.event("disk_full", |_| true);
        graph.clear_faults();
        fs::remove_file(&filler).unwrap();
        relay.event("started", |_| true);
        assert_eq!(relay.events("disk_full").len(), 1, "once a minute");
        if has_mail {
            arrived(&graph, 5).await;
        }

        drop(relay);
        fs::remove_dir_all(&data).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a small file system, named by GRAPH_RELAY_SMALL_DISK: .ci/run mounts one"]
async fn files_of_a_pickup_folder_stay_while_the_disk_is_full_and_go_out_later() {
    let (disk, _mine) = small_disk().await;
    let graph = stand_in().await;
    let (home, data) = home_on(&disk, &graph, "free_space = \"8 MB\"");
    // On the same disk, so that not even the reason beside a refused file can be written.
    let folder = disk.join("pickup");
    fs::create_dir(&folder).unwrap();
    home.append(&format!(
        "\n[[pickup]]\nfolder = \"{}\"\n",
        folder.display()
    ));
    let mail = message("one", "a@example.org");
    for (name, text) in [("1.eml", mail.as_str()), ("2.eml", "Subject: x\r\n\r\n")] {
        fs::write(folder.join(name), text).unwrap();
    }
    let filler = disk.join("filler");
    let relay = Relay::start(&home);
    fill(&filler);

    relay.event("pickup_waits", |_| true);
    assert!(folder.join("1.eml").exists() && folder.join("2.eml").exists());
    fs::remove_file(&filler).unwrap();

    arrived(&graph, 1).await;
    relay.event("pickup_refused", |_| true);
    relay.event("pickup_goes_on", |_| true);
    assert!(folder.join("bad/2.eml.txt").exists());
    drop(relay);
    fs::remove_dir_all(&data).unwrap();
    fs::remove_dir_all(&folder).unwrap();
}

/// The disk, for one test at a time.
async fn small_disk() -> (PathBuf, tokio::sync::MutexGuard<'static, ()>) {
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let disk = PathBuf::from(std::env::var_os(SMALL_DISK).expect(SMALL_DISK));
    (disk, ONE.lock().await)
}

/// A configuration with its data_dir on that disk.
fn home_on(disk: &Path, graph: &Sandbox, limits: &str) -> (Home, PathBuf) {
    let data = disk.join("data");
    let home = Home::with(graph)
        .sections(&format!("data_dir = \"{}\"", data.display()))
        .limits(limits)
        .build();
    (home, data)
}

/// Bytes free on a disk.
fn free(disk: &Path) -> u64 {
    let disk = rustix::fs::statvfs(disk).unwrap();
    disk.f_bavail * disk.f_frsize
}

/// What happens to the relay when there is room again.
#[derive(PartialEq, Eq)]
enum Afterwards {
    GoesOn,
    IsKilled,
}

/// Sends messages of this size until one is refused; returns how many were accepted.
fn send_until_full(smtp: &mut Smtp, size: usize) -> usize {
    for accepted in 0.. {
        let mut content = message(&format!("m{accepted}"), "a@example.org");
        while content.len() < size {
            content.push_str(&format!("{accepted:0998}\r\n"));
        }
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        smtp.expect("RCPT TO:<a@example.org>", "250");
        let mut reply = smtp.say("DATA");
        if reply.starts_with("354") {
            smtp.write(content.as_bytes());
            reply = smtp.say(".");
        }
        if !reply.starts_with("250") {
            assert!(reply.starts_with("452 4.3.1 "), "{reply}");
            return accepted;
        }
    }
    0
}

/// Fills the disk to the last byte.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
