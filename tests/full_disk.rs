//! A disk that is really full: `452`, the service stays up, and everything that
//! was accepted is delivered afterwards.

mod common;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use common::Home;
use common::MAILBOX;
use common::Relay;
use common::Smtp;
use common::arrived;
use common::message;
use common::stand_in;
use graph_relay::sandbox::Fault;

/// A folder on a file system of some 32 MB, which the test may fill.
const SMALL_DISK: &str = "GRAPH_RELAY_SMALL_DISK";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a small file system, named by GRAPH_RELAY_SMALL_DISK: .ci/run mounts one"]
async fn a_full_disk_says_452_and_everything_before_is_delivered() {
    let disk = PathBuf::from(std::env::var_os(SMALL_DISK).expect(SMALL_DISK));
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
        let limits = format!("[limits]\nfree_space = \"{free_space}\"");
        let home = Home::new(&graph, &limits);
        let data = disk.join("data");
        let text = fs::read_to_string(&home.config).unwrap();
        let spool = home.path("data").display().to_string();
        fs::write(
            &home.config,
            text.replace(&spool, &data.display().to_string()),
        )
        .unwrap();
        let mut relay = Relay::start(&home);
        let mut smtp = relay.connect();
        smtp.expect("EHLO c", "250");

        let accepted = send_until_full(&mut smtp, size);
        assert!(accepted > 3, "{accepted} of {size} bytes");
        // Now somebody else takes the rest, while attempts go on.
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
        // The database keeps its size; its free pages are room all the same.
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

/// What becomes of the relay when there is room again.
#[derive(PartialEq, Eq)]
enum Afterwards {
    GoesOn,
    IsKilled,
}

/// Sends messages of some size until one is refused; how many were accepted.
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

/// Takes the last byte of the disk.
fn fill(path: &std::path::Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
