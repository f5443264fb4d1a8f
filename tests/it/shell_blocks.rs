//! The shell commands of README and book, run as they stand against a running relay.
//!
//! What a test machine cannot run is left out: what needs root, systemd or a tenant, asks
//! at a terminal, or needs a program that is not part of every system; swaks and curl have
//! a test of their own. That the commands left out exist with their options, `book.rs` shows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use graph_relay_sandbox::Fault;

use crate::book::PAGES;
use crate::book::blocks;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::message;
use crate::common::recorded;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;

/// Commands that need root, a terminal, a tenant, a stopped relay or files of another
/// product, or that do not end.
const LEFT_OUT: [&str; 12] = [
    "completions",
    "hash-password",
    "import",
    "login",
    "logout",
    "man",
    "restore",
    "sandbox",
    "serve",
    "setup",
    "spool salvage",
    "send-test",
];

#[tokio::test(flavor = "multi_thread")]
async fn shell_commands_of_the_book_run_as_they_stand() {
    let graph = stand_in().await;
    let home = Home::with(&graph).build();
    let relay = Relay::start(&home);
    graph.inject(Fault {
        code: Some("ErrorInvalidRecipients".to_owned()),
        ..Fault::at_send(400)
    });
    let to = "it@contoso.com";
    let id = send_one(&relay, &[to], &message("m", to));
    recorded(&relay, &home, "failed", |line| line["id"] == *id);
    let mut refused = Smtp::connect(relay.address);
    refused.say("EHLO scanner");
    refused.say(&format!("MAIL FROM:<{MAILBOX}>"));
    refused.expect("RCPT TO:<nobody>", "550");
    drop(refused);
    relay.wait_until(|| relay.events("disconnected").len() == 2);
    install(&home.path("programs"));

    let mut count = 0;
    for (path, text) in PAGES.iter() {
        for line in blocks(text, "sh").iter().flat_map(|block| lines(block)) {
            if !can_run(&line) {
                continue;
            }
            let line = here(&line, &home, &id, &relay);
            let output = shell(&line, &home, &relay);
            // 1: something is wrong with what was asked about, not with the question.
            let is_fine = matches!(output.status.code(), Some(0 | 1));
            assert!(is_fine, "{}: {line}\n{}", path.display(), said(&output));
            count += 1;
        }
    }
    assert!(count > 60, "only {count} lines were run");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs swaks and curl: tests/clients/install, done by .ci/run"]
async fn mail_commands_of_the_book_send_as_they_stand() {
    let graph = stand_in().await;
    let home = Home::with(&graph).build();
    let relay = Relay::start(&home);
    install(&home.path("programs"));

    let mut count = 0;
    for (path, text) in PAGES.iter() {
        for line in blocks(text, "sh").iter().flat_map(|block| lines(block)) {
            let sends = line.starts_with("swaks ") || line.contains("curl ");
            if !sends || !(line.contains("127.0.0.1:2525") || line.contains("127.0.0.1:2626")) {
                continue;
            }
            let is_refused = line.contains("the relay refuses this one");
            let line = here(&line, &home, "", &relay).replace("noreply@contoso.com", MAILBOX);
            let output = shell(&line, &home, &relay);
            let is_accepted = output.status.success();
            assert_eq!(
                is_accepted,
                !is_refused,
                "{}: {line}\n{}",
                path.display(),
                said(&output)
            );
            count += 1;
        }
    }
    assert!(count > 6, "only {count} lines were run");
}

fn shell(line: &str, home: &Home, relay: &Relay) -> Output {
    let path = format!("{}:/usr/bin:/bin", home.path("programs").display());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).stdin(Stdio::null());
    shell.env("PATH", path);
    shell.env("GRAPH_RELAY_CONFIG", &home.config);
    shell.env("GRAPH_RELAY_ADDRESS", relay.address.to_string());
    shell.output().unwrap()
}

/// The programs that the lines call: the relay, and a sudo for whoever has the rights already.
fn install(folder: &Path) {
    fs::create_dir(folder).unwrap();
    symlink(
        env!("CARGO_BIN_EXE_graph-relay"),
        folder.join("graph-relay"),
    )
    .unwrap();
    let sudo = folder.join("sudo");
    fs::write(&sudo, "#!/bin/sh\nexec \"$@\"\n").unwrap();
    fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The commands of a block: a line that a backslash or a pipe continues is one with the next.
fn lines(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ").replace("|\n", "| ");
    joined.lines().map(|line| line.trim().to_owned()).collect()
}

fn can_run(line: &str) -> bool {
    let command = line.trim_start_matches("sudo ");
    let command = command.trim_start_matches("target/debug/");
    match command.strip_prefix("graph-relay ") {
        Some(command) => !LEFT_OUT.iter().any(|it| command.starts_with(it)),
        None => line.starts_with("printf ") && line.ends_with("graph-relay sendmail -t -v"),
    }
}

/// The line with the places of this relay, and with the id of a message that it has.
fn here(line: &str, home: &Home, id: &str, relay: &Relay) -> String {
    let words = line.split(' ').map(|word| match word {
        "ID" => id,
        word if word.len() == id.len() && word.starts_with("01M") => id,
        word => word,
    });
    let words: Vec<_> = words.collect();
    let mut line = words.join(" ").replace("target/debug/", "");
    line = line.replace("/var/backups", home.path("").to_str().unwrap());
    for address in ["127.0.0.1:2525", "127.0.0.1:2626"] {
        line = line.replace(address, &relay.address.to_string());
    }
    let asks = line.contains(" --all") || line.contains("retry --filter");
    if asks { format!("{line} --yes") } else { line }
}
