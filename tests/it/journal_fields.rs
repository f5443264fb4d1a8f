//! The log as entries of systemd's journal with fields: `[log] format = "journald"`. A socket
//! in the test's folder stands in for the journal.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io::IoSliceMut;
use std::io::Read;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use rustix::net::RecvAncillaryBuffer;
use rustix::net::RecvAncillaryMessage;
use rustix::net::RecvFlags;

use graph_relay_sandbox::Sandbox;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::PATIENCE;
use crate::common::Smtp;
use crate::common::binary;
use crate::common::id_of;
use crate::common::message;
use crate::common::stand_in;

/// The fields of an entry.
type Entry = BTreeMap<String, String>;

const VARIABLE: &str = "GRAPH_RELAY_JOURNAL_SOCKET";

struct Journal {
    socket: UnixDatagram,
    entries: Vec<Entry>,
    /// How many of them came as a file.
    files: usize,
}

impl Journal {
    fn at(home: &Home) -> Self {
        let socket = UnixDatagram::bind(home.path("journal")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            entries: Vec::new(),
            files: 0,
        }
    }

    /// Receives entries until one of them is of this event and `is` holds.
    fn until(&mut self, event: &str, is: impl Fn(&Entry) -> bool) -> Entry {
        loop {
            let entry = self.receive();
            self.entries.push(entry.clone());
            if entry.get("GRAPHRELAY_EVENT").is_some_and(|it| it == event) && is(&entry) {
                return entry;
            }
        }
    }

    fn receive(&mut self) -> Entry {
        let mut bytes = vec![0; 256 * 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::net::recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::empty(),
        );
        bytes.truncate(received.unwrap().bytes);
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = part {
                for file in files {
                    self.files += 1;
                    // The writer's position is the reader's too.
                    let mut file = File::from(file);
                    std::io::Seek::rewind(&mut file).unwrap();
                    file.read_to_end(&mut bytes).unwrap();
                }
            }
        }
        fields(&bytes)
    }

    fn events(&self, event: &str) -> Vec<&Entry> {
        let is = |entry: &&Entry| entry.get("GRAPHRELAY_EVENT").is_some_and(|it| it == event);
        self.entries.iter().filter(is).collect()
    }
}

/// Reads an entry in journald's form.
fn fields(mut bytes: &[u8]) -> Entry {
    let mut entry = Entry::new();
    while !bytes.is_empty() {
        let at = bytes.iter().position(|byte| b"=\n".contains(byte)).unwrap();
        let name = String::from_utf8(bytes[..at].to_vec()).unwrap();
        let (start, length) = match bytes[at] {
            b'=' => {
                let rest = &bytes[at + 1..];
                (at + 1, rest.iter().position(|byte| *byte == b'\n').unwrap())
            }
            _ => {
                let length = bytes[at + 1..at + 9].try_into().unwrap();
                (at + 9, usize::try_from(u64::from_le_bytes(length)).unwrap())
            }
        };
        let value = String::from_utf8(bytes[start..start + length].to_vec()).unwrap();
        assert_eq!(bytes[start + length], b'\n');
        bytes = &bytes[start + length + 1..];
        assert!(entry.insert(name, value).is_none());
    }
    entry
}

/// The relay, killed when it is dropped.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Running {
    fn start(home: &Home, journal: &mut Journal) -> Self {
        let child = command(home).stderr(Stdio::piped()).spawn().unwrap();
        let address = journal.until("listening", |_| true)["GRAPHRELAY_ADDRESS"].clone();
        journal.until("started", |_| true);
        Self {
            child,
            address: address.parse().unwrap(),
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Sends messages, one after the other; returns their IDs.
    fn send(&self, count: usize) -> Vec<String> {
        let mut smtp = Smtp::connect(self.address);
        smtp.expect("EHLO client.example", "250");
        let content = message("hello", "a@example.org");
        let send = |_| id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()));
        (0..count).map(send).collect()
    }
}

fn command(home: &Home) -> Command {
    let mut command = binary();
    command.arg("serve").arg("--config").arg(&home.config);
    command.env(VARIABLE, home.path("journal"));
    command
}

/// A relay whose log goes to the journal.
fn journaled(graph: &Sandbox) -> Home {
    let section = "[log]\nformat = \"journald\"";
    Home::with(graph).sections(section).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_an_entry_with_its_fields_and_its_priority() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .account(MAILBOX, "pace = { concurrency = 2 }")
        .sections("[log]\nformat = \"journald\"")
        .build();
    let mut journal = Journal::at(&home);
    let relay = Running::start(&home, &mut journal);

    let id = relay.send(1).remove(0);
    let delivered = journal.until("delivered", |_| true);

    assert_eq!(delivered["GRAPHRELAY_QUEUE_ID"], id);
    assert_eq!(delivered["GRAPHRELAY_MAILBOX"], MAILBOX);
    assert_eq!(delivered["PRIORITY"], "6");
    assert_eq!(delivered["SYSLOG_IDENTIFIER"], "graph-relay");
    delivered["GRAPHRELAY_AGE_MS"].parse::<u64>().unwrap();
    let words = &delivered["MESSAGE"];
    let is_whole = words.starts_with("message ") && words.contains(&format!(" id={id} "));
    assert!(is_whole && words.contains("event=\"delivered\""), "{words}");
    assert_eq!(journal.events("config_warning")[0]["PRIORITY"], "4");

    home.append("[nonsense]\n[more]");
    relay.signal("HUP");
    let failed = journal.until("reload_failed", |_| true);
    assert_eq!(failed["PRIORITY"], "3");
    assert_eq!(failed["GRAPHRELAY_REASON"].lines().count(), 2, "{failed:?}");
    assert_eq!(journal.files, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_too_large_for_a_datagram_arrives_whole() {
    let graph = stand_in().await;
    let home = journaled(&graph);
    let mut journal = Journal::at(&home);
    let relay = Running::start(&home, &mut journal);
    let keys: Vec<String> = (0..2000)
        .map(|number| format!("nonsense-{number} = 1"))
        .collect();
    home.append(&keys.join("\n"));

    relay.signal("HUP");
    let failed = journal.until("reload_failed", |_| true);

    assert_eq!(failed["GRAPHRELAY_REASON"].lines().count(), 2000);
    assert_eq!(journal.files, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_nobody_reads_delays_no_mail_and_gets_every_entry_later() {
    let graph = stand_in().await;
    let home = journaled(&graph);
    let mut journal = Journal::at(&home);
    let relay = Running::start(&home, &mut journal);

    let ids = relay.send(300);
    crate::common::arrived(&graph, 300).await;

    let last = ids.last().unwrap();
    journal.until("accepted", |entry| entry["GRAPHRELAY_QUEUE_ID"] == *last);
    let accepted = journal.events("accepted");
    let accepted: Vec<_> = accepted
        .iter()
        .map(|it| &it["GRAPHRELAY_QUEUE_ID"])
        .collect();
    assert_eq!(accepted, ids.iter().collect::<Vec<_>>());
    assert!(journal.events("log_dropped").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_journal_delays_no_mail_and_loses_no_entry() {
    let graph = stand_in().await;
    let home = journaled(&graph);
    let mut journal = Journal::at(&home);
    let relay = Running::start(&home, &mut journal);

    drop(journal);
    let mut ids = relay.send(20);
    fs::remove_file(home.path("journal")).unwrap();
    ids.extend(relay.send(20));
    let mut journal = Journal::at(&home);
    ids.extend(relay.send(1));

    let last = ids.last().unwrap();
    journal.until("accepted", |entry| entry["GRAPHRELAY_QUEUE_ID"] == *last);
    let accepted = journal.events("accepted");
    let accepted: Vec<_> = accepted
        .iter()
        .map(|it| &it["GRAPHRELAY_QUEUE_ID"])
        .collect();
    assert_eq!(accepted, ids.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_journal_the_log_goes_to_standard_error_with_a_warning() {
    let graph = stand_in().await;
    let home = journaled(&graph);
    let stderr = home.path("stderr");
    let notify = UnixDatagram::bind(home.path("notify")).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = command(&home);
    command.env("NOTIFY_SOCKET", home.path("notify"));
    command.stderr(File::create(&stderr).unwrap());

    let mut child = command.spawn().unwrap();
    let mut text = [0; 4096];
    while !text.starts_with(b"READY=1") {
        notify.recv(&mut text).unwrap();
    }
    let id = child.id().to_string();
    let ended = Command::new("kill").args(["-s", "TERM", &id]).status();
    assert!(ended.unwrap().success() && child.wait().unwrap().success());

    let text = fs::read_to_string(&stderr).unwrap();
    let path = home.path("journal").display().to_string();
    let warning = text.lines().find(|line| line.contains("config_warning"));
    let warning = warning.unwrap();
    assert!(
        warning.contains("cannot reach the journal") && warning.contains(&path),
        "{text}"
    );
    assert!(text.contains("event=\"started\""), "{text}");
}
