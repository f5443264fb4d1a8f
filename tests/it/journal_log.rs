//! The log in systemd's journal.

use std::fs;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::process::Stdio;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::PATIENCE;
use crate::common::binary;
use crate::common::stand_in;

/// A file that stands in for the journal: the command's standard error, which
/// `$JOURNAL_STREAM` describes.
fn with_journal(home: &Home, command: &mut Command) {
    let journal = File::create(home.path("journal")).unwrap();
    let file = journal.metadata().unwrap();
    let stream = format!("{}:{}", file.dev(), file.ino());
    command.env("JOURNAL_STREAM", stream).stderr(journal);
}

/// What stands in the journal.
fn journal(home: &Home) -> String {
    fs::read_to_string(home.path("journal")).unwrap()
}

fn has(text: &str, priority: &str, part: &str) {
    let mut lines = text.lines();
    let found = lines.any(|line| line.starts_with(priority) && line.contains(part));
    assert!(found, "{priority} {part}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_in_the_journal_has_the_priority_of_its_level() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .account(MAILBOX, "pace = { concurrency = 2 }")
        .sections("[log]\nformat = \"text\"")
        .build();
    let path = home.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let ready = || loop {
        let mut text = [0; 4096];
        let length = socket.recv(&mut text).unwrap();
        if text[..length].starts_with(b"READY=1") {
            return;
        }
    };
    let mut command = binary();
    command.env("NOTIFY_SOCKET", &path);
    command.arg("serve").arg("--config").arg(&home.config);
    with_journal(&home, &mut command);

    let mut relay = command.spawn().unwrap();
    let signal = |name: &str| {
        let id = relay.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    };
    ready();
    home.append("[nonsense]");
    signal("HUP");
    ready();
    signal("TERM");
    assert!(relay.wait().unwrap().success());

    let text = journal(&home);
    has(&text, "<4> WARN ", "event=\"config_warning\"");
    has(&text, "<6> INFO ", "event=\"started\"");
    has(&text, "<3>ERROR ", "event=\"reload_failed\"");
    for line in text.lines() {
        assert!(
            line.starts_with('<') && line.get(2..3) == Some(">"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_the_relay_did_not_start_is_an_error_in_the_journal() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    home.append("[nonsense]\n[more]");
    let mut command = binary();
    command.arg("serve").arg("--config").arg(&home.config);
    with_journal(&home, &mut command);

    assert_eq!(command.status().unwrap().code(), Some(78));

    let text = journal(&home);
    assert!(text.lines().count() >= 2, "{text}");
    assert!(text.lines().all(|line| line.starts_with("<3>")), "{text}");
}

/// The unit's reload begins with `check`.
#[tokio::test(flavor = "multi_thread")]
async fn why_a_file_does_not_pass_the_check_is_an_error_in_the_journal() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    home.append("[nonsense]");
    let mut command = binary();
    command.arg("check").arg("--config").arg(&home.config);
    with_journal(&home, &mut command);

    assert_eq!(command.status().unwrap().code(), Some(78));

    let text = journal(&home);
    has(&text, "<3>", "unknown key \"nonsense\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_have_no_priority_if_standard_error_is_not_the_journal() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    home.append("[nonsense]");
    let mut command = binary();
    command.arg("serve").arg("--config").arg(&home.config);
    // As a shell inherits it that a service started.
    command.env("JOURNAL_STREAM", "1:2").stderr(Stdio::piped());

    let output = command.output().unwrap();

    assert_eq!(output.status.code(), Some(78));
    assert!(!output.stderr.starts_with(b"<"), "{output:?}");
}
