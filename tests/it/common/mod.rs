//! Code that the tests share: the real relay as a process, the stand-in for Entra and
//! Graph in the test's own process, and an SMTP client that sends exactly what the test
//! says.
//!
//! Nothing sleeps: every wait is for an event and fails after [`PATIENCE`].

pub(crate) mod author;
pub(crate) mod content;
pub(crate) mod entries;
pub(crate) mod home;
pub(crate) mod keys;
pub(crate) mod load;
pub(crate) mod relay;
pub(crate) mod smtp;
pub(crate) mod stored;
pub(crate) mod terminal;
pub(crate) mod tls;
pub(crate) mod users;
pub(crate) mod wire;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use graph_relay_sandbox::Arrival;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use serde_json::Value;

pub(crate) use self::home::Credential;
pub(crate) use self::home::Home;
pub(crate) use self::relay::Relay;
pub(crate) use self::smtp::Smtp;
pub(crate) use self::smtp::stuffed;

/// Longer than any step takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The mailbox of the stand-in's tenant that the relay sends from.
pub(crate) const MAILBOX: &str = "relay@sandbox.example";

/// The stand-in, on a free port.
pub(crate) async fn stand_in() -> Sandbox {
    stand_in_with(Settings::default()).await
}

pub(crate) async fn stand_in_with(settings: Settings) -> Sandbox {
    graph_relay::http::install_tls();
    let any_port = "127.0.0.1:0".parse().unwrap();
    Sandbox::start(any_port, settings).await.unwrap()
}

/// The stand-in with an app whose only right is Exchange's RBAC, for this mailbox.
pub(crate) async fn stand_in_with_scope(mailbox: &str) -> Sandbox {
    let settings = Settings {
        roles: Vec::new(),
        rbac_mailboxes: vec![mailbox.to_owned()],
        ..Settings::default()
    };
    stand_in_with(settings).await
}

/// Waits until the stand-in has received this number of messages.
pub(crate) async fn arrived(graph: &Sandbox, count: usize) -> Vec<Arc<Arrival>> {
    let waited = tokio::time::timeout(PATIENCE, graph.arrived(count)).await;
    assert!(
        waited.is_ok(),
        "only {} of {count} messages arrived",
        graph.arrivals().len()
    );
    graph.arrivals()
}

pub(crate) fn write_private(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graph-relay"));
    command
        .env("SSL_CERT_FILE", &*tls::TRUSTED)
        .env_remove("SSL_CERT_DIR")
        .env_remove("GRAPH_RELAY_CONFIG")
        .env_remove("NOTIFY_SOCKET");
    command
}

/// The output of a command in a relay's home, and how it ends.
pub(crate) fn run(home: &Home, arguments: &[&str]) -> Output {
    let mut command = binary();
    command.args(arguments).arg("--config").arg(&home.config);
    // The machine that runs the tests may be behind a proxy.
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

/// What a command printed that must succeed.
pub(crate) fn succeeds(home: &Home, arguments: &[&str]) -> String {
    let output = run(home, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    said(&output)
}

/// Everything that a command printed, on both of its outputs.
pub(crate) fn said(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr];
    let text = both.map(|text| String::from_utf8_lossy(text).into_owned());
    text.join("")
}

/// What `queue show` prints of a message as JSON.
pub(crate) fn shown(home: &Home, id: &str) -> Value {
    let output = run(home, &["queue", "show", id, "--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
}

/// Waits for an event that ends an attempt, and until the outcome is on record. The relay logs it
/// before that, and refuses to hold or drop the message until then.
pub(crate) fn recorded(
    relay: &Relay,
    home: &Home,
    event: &str,
    is: impl Fn(&Value) -> bool,
) -> Value {
    let line = relay.event(event, is);
    let id = line["id"].as_str().unwrap();
    relay.wait_until(|| shown(home, id)["state"] != "claimed");
    line
}

/// Sends EHLO and one message from the mailbox; returns its id.
pub(crate) fn send_one(relay: &Relay, to: &[&str], content: &str) -> String {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let reply = smtp.send(MAILBOX, to, content.as_bytes());
    id_of(&reply)
}

/// Sends plain messages to one recipient on one connection, with the subjects `{name}0`,
/// `{name}1` and so on; returns their ids.
pub(crate) fn send_many(relay: &Relay, name: &str, count: usize) -> Vec<String> {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let send = |n| {
        let content = message(&format!("{name}{n}"), "a@example.org");
        id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()))
    };
    (0..count).map(send).collect()
}

pub(crate) fn id_of(reply: &str) -> String {
    let id = reply.trim_end().strip_prefix("250 2.0.0 Ok: queued as ");
    id.unwrap_or_else(|| panic!("{reply}")).to_owned()
}

/// A complete plain message.
pub(crate) fn message(subject: &str, to: &str) -> String {
    format!(
        "From: App <{MAILBOX}>\r\nTo: {to}\r\nSubject: {subject}\r\n\
         Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <{subject}@app.example>\r\n\
         \r\nHello\r\n"
    )
}

/// What arrived, without the fields with these names; the rest byte for byte.
pub(crate) fn without(raw: &[u8], names: &[&str]) -> Vec<u8> {
    let text = raw;
    let end = find(text, b"\r\n\r\n").map_or(text.len(), |at| at + 2);
    let mut kept = Vec::new();
    let mut dropping = false;
    for line in text[..end].split_inclusive(|byte| *byte == b'\n') {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap();
            let name = String::from_utf8_lossy(name);
            dropping = names
                .iter()
                .any(|dropped| name.eq_ignore_ascii_case(dropped));
        }
        if !dropping {
            kept.extend_from_slice(line);
        }
    }
    kept.extend_from_slice(&text[end..]);
    kept
}

pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// All recipients of an arrived message.
pub(crate) fn recipients(arrival: &Arrival) -> BTreeSet<String> {
    let lists = arrival.to.iter().chain(&arrival.cc).chain(&arrival.bcc);
    lists.map(|address| address.to_lowercase()).collect()
}

pub(crate) fn set(addresses: &[&str]) -> BTreeSet<String> {
    addresses
        .iter()
        .map(|address| (*address).to_owned())
        .collect()
}
