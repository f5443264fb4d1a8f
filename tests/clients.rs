//! Real clients that none of us wrote: swaks, curl, Python's smtplib, msmtp,
//! nodemailer, each with plain text, UTF-8 header fields, an attachment,
//! several recipients and a blind one. What arrives is compared with what was
//! sent, byte for byte but for Received and Bcc.

mod common;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use common::Home;
use common::Relay;
use common::account;
use common::arrived;
use common::recipients;
use common::stand_in_with;
use common::without;
use graph_relay::sandbox::Arrival;
use graph_relay::sandbox::Settings;
use serde_json::Value;

const MAILBOX: &str = "app@contoso.example";
const CLIENTS: [&str; 5] = ["swaks", "curl", "smtplib", "msmtp", "nodemailer"];
const CASES: usize = 5;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs swaks, curl, msmtp, Python and nodemailer: tests/clients/install, done by .ci/run"]
async fn what_real_clients_send_arrives_as_they_sent_it() {
    let settings = Settings {
        mailboxes: vec![MAILBOX.to_owned()],
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let home = Home::with_accounts(&account(&graph, MAILBOX, ""), "");
    let relay = Relay::start(&home);
    let out = home.path("sent");
    fs::create_dir(&out).unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/run");
    let (host, port) = (
        relay.address.ip().to_string(),
        relay.address.port().to_string(),
    );
    let status = Command::new(script)
        .arg(host)
        .arg(port)
        .arg(&out)
        .status()
        .unwrap();
    assert!(status.success());

    let count = CLIENTS.len() * CASES;
    let arrivals = arrived(&graph, count).await;
    let by_message_id: BTreeMap<String, &Arc<Arrival>> = arrivals
        .iter()
        .map(|arrival| {
            (
                bare(arrival.message_id.as_deref().unwrap_or_default()),
                arrival,
            )
        })
        .collect();
    let mut compared = BTreeSet::new();
    let files = fs::read_dir(&out).unwrap().map(|file| file.unwrap().path());
    for path in files.filter(|path| path.extension().is_some_and(|ending| ending == "json")) {
        let told: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let name = format!("{} {}", told["client"], told["case"]);
        let message_id = bare(told["message_id"].as_str().unwrap());
        let arrival = by_message_id
            .get(&message_id)
            .unwrap_or_else(|| panic!("{name} is missing"));
        let envelope: BTreeSet<String> = told["recipients"]
            .as_array()
            .unwrap()
            .iter()
            .map(|address| address.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(recipients(arrival), envelope, "{name}");
        let sent = with_crlf(&fs::read(path.with_extension("sent")).unwrap());
        let kept = without(&arrival.raw, &["Received", "Bcc"]);
        assert_eq!(
            String::from_utf8_lossy(&kept),
            String::from_utf8_lossy(&sent),
            "{name}"
        );
        compared.insert(name);
    }
    assert_eq!(compared.len(), count, "{compared:?}");
}

fn bare(message_id: &str) -> String {
    message_id.trim_matches(['<', '>']).to_owned()
}

/// Bare line feeds as the relay promises to pass them on, and a line end last.
fn with_crlf(sent: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in sent.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        lines.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        lines.extend_from_slice(b"\r\n");
    }
    lines
}
