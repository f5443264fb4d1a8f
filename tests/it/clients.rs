//! Real clients written by others, and scanners.
//!
//! Five clients send plain text, UTF-8 header fields, an attachment, several recipients
//! and a blind one, and what arrives is compared with what was sent, byte for byte except
//! for Received and Bcc. These and eight more send in every way that they support:
//! without TLS, with STARTTLS and with TLS from the first byte; without AUTH, with AUTH
//! PLAIN and with AUTH LOGIN. Programs that call sendmail have `graph-relay` for it:
//! `tests/clients/callers`. `tests/clients/probe` says what the scanners look for.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;

use graph_relay_sandbox::Arrival;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::Home;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::recipients;
use crate::common::stand_in_with;
use crate::common::without;

const MAILBOX: &str = "app@contoso.example";
/// Clients whose programs can print what they sent.
const CLIENTS: [&str; 5] = ["swaks", "curl", "smtplib", "msmtp", "nodemailer"];
const MORE_CLIENTS: [&str; 8] = [
    "aiosmtplib",
    "s-nail",
    "mutt",
    "netsmtp",
    "phpmailer",
    "javamail",
    "go",
    "lettre",
];
const CASES: usize = 5;
/// All of `tests/clients/callers`.
const CALLERS: usize = 12;
const USER: &str = "scanner";
const PASSWORD: &str = "Sesame-open-2026";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs swaks, curl, msmtp, Python and nodemailer: tests/clients/install, done by .ci/run"]
async fn mail_of_real_clients_arrives_unchanged() {
    let graph = tenant().await;
    let home = Home::with(&graph).account(MAILBOX, "").build();
    let relay = Relay::start(&home);
    let out = home.path("sent");

    let status = script("run")
        .arg("contents")
        .arg(relay.address.ip().to_string())
        .arg(relay.address.port().to_string())
        .arg(&out)
        .args(CLIENTS)
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
        assert_eq!(recipients(arrival), envelope(&told), "{name}");
        let sent = with_crlf(&fs::read(path.with_extension("sent")).unwrap());
        let kept = without(&arrival.raw, &["Received", "Bcc"]);
        says_the_same(&kept, &sent, &name);
        compared.insert(name);
    }
    assert_eq!(compared.len(), count, "{compared:?}");
}

/// Byte for byte, except that fields which are not ASCII go out as encoded words.
fn says_the_same(kept: &[u8], sent: &[u8], name: &str) {
    let (kept, sent) = (String::from_utf8_lossy(kept), String::from_utf8_lossy(sent));
    let (kept_header, kept_body) = kept.split_once("\r\n\r\n").unwrap();
    let (sent_header, sent_body) = sent.split_once("\r\n\r\n").unwrap();
    assert_eq!(kept_body, sent_body, "{name}");
    if sent_header.is_ascii() {
        assert_eq!(kept_header, sent_header, "{name}");
        return;
    }
    assert!(kept_header.is_ascii(), "{name}: {kept_header}");
    for line in sent_header.lines().filter(|line| line.is_ascii()) {
        assert!(kept_header.contains(line), "{name}: {line}");
    }
    let read = |text: &str| {
        let message = mail_parser::MessageParser::default().parse(text).unwrap();
        let people = format!("{:?} {:?}", message.from(), message.to());
        (message.subject().map(str::to_owned), people)
    };
    assert_eq!(read(&kept), read(&sent), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs thirteen clients: tests/clients/install, done by .ci/run"]
async fn every_client_delivers_with_every_tls_and_auth_mode_it_supports() {
    let mut served = Served::start("optional").await;
    let out = served.folder.path().join("sent");

    let status = served
        .script("run")
        .args(["ways", "localhost"])
        .args(served.ports())
        .arg(&out)
        .args(CLIENTS)
        .args(MORE_CLIENTS)
        .status()
        .unwrap();
    assert!(status.success());

    let told = read_lines(&out.join("ways.jsonl"));
    let seen: BTreeSet<_> = told.iter().map(|way| way["client"].as_str()).collect();
    assert_eq!(seen.len(), CLIENTS.len() + MORE_CLIENTS.len(), "{seen:?}");
    arrived(&served.graph, told.len()).await;
    served.relay.stop();
    let arrivals = served.graph.arrivals();
    let mechanisms = served.mechanisms();
    for way in &told {
        let name = format!("{} {}", way["client"], way["case"]);
        let subject = way["subject"].as_str().unwrap();
        let mut same = arrivals.iter().filter(|arrival| arrival.subject == subject);
        let arrival = same.next().unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(same.count(), 0, "{name} arrived more than once");
        assert_eq!(recipients(arrival), envelope(way), "{name}");
        let (protocol, id) = trace(&arrival.raw);
        assert_eq!(protocol, expected_protocol(way), "{name}");
        assert_eq!(mechanisms[&id], way["auth"].as_str().unwrap(), "{name}");
    }
    assert_eq!(arrivals.len(), told.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs bsd-mailx, mutt, s-nail, git, PHP and Python: tests/clients/install, done by .ci/run"]
async fn programs_that_call_sendmail_get_their_mail_through() {
    let graph = tenant().await;
    let home = Home::with(&graph)
        .account(MAILBOX, "")
        .sections("[aliases]\nroot = \"it@fabrikam.example\"")
        .build();
    let relay = Relay::start(&home);
    let sendmail = home.path("sendmail");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_graph-relay"), &sendmail).unwrap();
    let out = home.path("sent");

    let status = script("callers")
        .arg(&sendmail)
        .arg(&out)
        .env("GRAPH_RELAY_ADDRESS", relay.address.to_string())
        .status()
        .unwrap();
    assert!(status.success());

    let told = read_lines(&out.join("callers.jsonl"));
    assert_eq!(told.len(), CALLERS);
    let arrivals = arrived(&graph, CALLERS).await;
    for call in &told {
        let name = &call["caller"];
        let mut same = arrivals.iter().filter(|it| call["subject"] == it.subject);
        let arrival = same.next().unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(same.count(), 0, "{name} arrived more than once");
        let envelope = match &envelope(call) {
            root if root.contains("root") => BTreeSet::from(["it@fabrikam.example".to_owned()]),
            others => others.clone(),
        };
        assert_eq!(recipients(arrival), envelope, "{name}");
        let raw = String::from_utf8_lossy(&arrival.raw);
        let (_, text) = raw.split_once("\r\n\r\n").unwrap();
        let lines = text.trim_end().split("\r\n");
        assert_eq!(
            lines.clone().next(),
            Some("The nightly job has finished."),
            "{name}"
        );
        assert_eq!(lines.clone().last(), Some("End."), "{name}: {text}");
        assert_eq!(
            lines.count() as u64,
            call["lines"].as_u64().unwrap(),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nmap and testssl: tests/clients/install, done by .ci/run"]
async fn scanners_find_no_open_relay_and_no_weak_tls() {
    let served = Served::start("required").await;

    let status = served
        .script("probe")
        .args(served.ports())
        .arg(served.folder.path().join("found"))
        .status()
        .unwrap();

    assert!(status.success());
    assert!(served.graph.arrivals().is_empty());
}

/// A relay with a listener for each way to begin TLS, and what it needs.
struct Served {
    graph: Sandbox,
    relay: Relay,
    /// The certificates.
    folder: TempDir,
}

impl Served {
    /// With this `authentication` on all listeners.
    async fn start(authentication: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().display();
        let made = script("certificates").arg(folder.path()).status().unwrap();
        assert!(made.success());
        let graph = tenant().await;
        let sections = format!(
            "[tls]\ncertificate_file = \"{path}/server.pem\"\n\
             private_key_file = \"{path}/server.key\"\n\
             [[user]]\nname = \"{USER}\"\npassword_hash = \"{}\"\nsenders = [\"{MAILBOX}\"]\n",
            password_hash()
        );
        let mut setup = Home::with(&graph).account(MAILBOX, "").sections(&sections);
        for tls in ["off", "starttls", "implicit"] {
            let keys = format!("tls = \"{tls}\"\nauthentication = \"{authentication}\"");
            setup = setup.listener(&keys);
        }
        let relay = setup.start();
        Self {
            graph,
            relay,
            folder,
        }
    }

    /// Without TLS, with STARTTLS, with TLS from the first byte.
    fn ports(&self) -> Vec<String> {
        let addresses = self.relay.addresses();
        assert_eq!(addresses.len(), 3);
        let ports = addresses.iter().map(|address| address.port().to_string());
        ports.collect()
    }

    /// A script of `tests/clients` that knows the user and the certificate authority.
    fn script(&self, name: &str) -> Command {
        let mut command = script(name);
        command
            .env("USERNAME", USER)
            .env("PASSWORD", PASSWORD)
            .env("CA_FILE", self.folder.path().join("ca.pem"));
        command
    }

    /// How the client of each message authenticated, in the terms of `tests/clients/run`,
    /// by the message's id. Clients send one after the other, so the log lines before a
    /// message belong to its client.
    fn mechanisms(&self) -> BTreeMap<String, String> {
        let mut mechanisms = BTreeMap::new();
        let mut mechanism = None;
        for line in self.relay.all() {
            if line["event"] == "authenticated" {
                mechanism = Some(line["mechanism"].as_str().unwrap().to_lowercase());
            } else if line["event"] == "accepted" {
                let used = mechanism.take().unwrap_or_else(|| "off".to_owned());
                mechanisms.insert(line["id"].as_str().unwrap().to_owned(), used);
            }
        }
        mechanisms
    }
}

async fn tenant() -> Sandbox {
    let settings = Settings {
        mailboxes: vec![MAILBOX.to_owned()],
        ..Settings::default()
    };
    stand_in_with(settings).await
}

/// A script of `tests/clients`.
fn script(name: &str) -> Command {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    Command::new(folder.join(name))
}

fn password_hash() -> String {
    let mut hashing = binary()
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut password = hashing.stdin.take().unwrap();
    writeln!(password, "{PASSWORD}").unwrap();
    drop(password);
    let hashed = hashing.wait_with_output().unwrap();
    assert!(hashed.status.success());
    String::from_utf8(hashed.stdout).unwrap().trim().to_owned()
}

/// What a script wrote about the messages that it sent, one JSON object a line.
fn read_lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn envelope(told: &Value) -> BTreeSet<String> {
    let recipients = told["recipients"].as_array().unwrap().iter();
    recipients
        .map(|address| address.as_str().unwrap().to_owned())
        .collect()
}

/// RFC 3848 and RFC 6531 4.3. s-nail says HELO if it needs no extension; Go asks for
/// SMTPUTF8 wherever it is offered.
fn expected_protocol(way: &Value) -> String {
    let [client, tls, auth] = ["client", "tls", "auth"].map(|key| way[key].as_str().unwrap());
    let tls = if tls == "off" { "" } else { "S" };
    match (client, auth) {
        ("s-nail", "off") => "SMTP".to_owned(),
        ("go", "off") => format!("UTF8SMTP{tls}"),
        ("go", _) => format!("UTF8SMTP{tls}A"),
        (_, "off") => format!("ESMTP{tls}"),
        _ => format!("ESMTP{tls}A"),
    }
}

/// Protocol and id in the relay's Received field, which is the first one.
fn trace(raw: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(raw);
    let mut words = text.split_whitespace();
    words.find(|word| *word == "with").unwrap();
    let protocol = words.next().unwrap().to_owned();
    words.find(|word| *word == "id").unwrap();
    let id = words.next().unwrap().trim_end_matches(';').to_owned();
    (protocol, id)
}

fn bare(message_id: &str) -> String {
    message_id.trim_matches(['<', '>']).to_owned()
}

/// The content with bare line feeds converted as the relay promises, ending with a line
/// end.
fn with_crlf(sent: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in sent.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        lines.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        lines.extend_from_slice(b"\r\n");
    }
    lines
}
