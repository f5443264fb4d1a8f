//! Which messages were sent to the relay, which it accepted, and which of those arrived.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use graph_relay_sandbox::Arrival;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use rusqlite::Connection;
use rusqlite::OpenFlags;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Smtp;
use crate::common::recipients;
use crate::common::stand_in_with;
use crate::common::stuffed;
use crate::common::without;

/// How the relay submits messages to Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In one request each: messages under way at a crash may arrive twice.
    Send,
    /// As drafts: nothing arrives twice.
    Draft,
}

impl Mode {
    /// A relay's home with an account that sends like this.
    pub(crate) fn home(self, graph: &Sandbox, sections: &str) -> Home {
        let keys = match self {
            Self::Send => "",
            Self::Draft => "submission = \"draft\"",
        };
        let home = Home::with(graph)
            .account(MAILBOX, keys)
            .limits("recipients = 1000")
            .sections(sections)
            .build();
        // Created as by systemd, so that making its name durable is not the relay's task.
        std::fs::create_dir(home.path("data")).unwrap();
        home
    }
}

/// A stand-in that keeps everything that a test sends.
pub(crate) async fn patient_stand_in() -> Sandbox {
    let settings = Settings {
        keep_messages: 1_000_000,
        keep_bytes: 2 << 30,
        ..Settings::default()
    };
    stand_in_with(settings).await
}

/// A message that is sent to the relay once.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) subject: String,
    pub(crate) to: Vec<String>,
    /// Its approximate size in octets.
    pub(crate) size: usize,
}

impl Letter {
    pub(crate) fn new(subject: &str, size: usize) -> Self {
        Self {
            subject: subject.to_owned(),
            to: vec!["a@example.org".to_owned()],
            size,
        }
    }

    pub(crate) fn to(mut self, to: impl IntoIterator<Item = String>) -> Self {
        self.to = to.into_iter().collect();
        self
    }

    /// A short text with a file of the requested size.
    pub(crate) fn content(&self) -> Vec<u8> {
        let subject = &self.subject;
        let mut content = format!(
            "From: App <{MAILBOX}>\r\nTo: {}\r\nSubject: {subject}\r\n\
             Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <{subject}@app.example>\r\n\
             MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=next\r\n\r\n\
             --next\r\n\r\nHello\r\n--next\r\nContent-Type: application/octet-stream\r\n\
             Content-Disposition: attachment; filename={subject}\r\n\r\n",
            self.to.join(",\r\n "),
        );
        for line in 0.. {
            content.push_str(&format!("{subject} {line:0900}\r\n"));
            if content.len() >= self.size {
                break;
            }
        }
        content.push_str("--next--\r\n");
        content.into_bytes()
    }

    /// Returns whether the relay accepted it; an error if the connection breaks.
    pub(crate) fn hand_over(&self, smtp: &mut Smtp) -> io::Result<bool> {
        let mut commands = format!("MAIL FROM:<{MAILBOX}>\r\n");
        for to in &self.to {
            commands.push_str(&format!("RCPT TO:<{to}>\r\n"));
        }
        commands.push_str("DATA\r\n");
        smtp.try_write(commands.as_bytes())?;
        let mut reply = String::new();
        for _ in 0..self.to.len() + 2 {
            reply = smtp.try_whole_reply()?;
        }
        if !reply.starts_with("354") {
            smtp.try_say("RSET")?;
            return Ok(false);
        }
        let mut content = stuffed(&self.content());
        content.extend_from_slice(b".\r\n");
        smtp.try_write(&content)?;
        let reply = smtp.try_whole_reply()?;
        Ok(reply.starts_with("250"))
    }
}

/// Sends letters one after the other on one connection, on a new one when that breaks, as
/// long as a relay runs. Returns the subjects of the accepted ones.
pub(crate) fn hand_over_all(relay: SocketAddr, letters: &[Letter]) -> BTreeSet<String> {
    let mut taken = BTreeSet::new();
    let mut connection = None;
    for letter in letters {
        let mut smtp = match connection.take() {
            Some(smtp) => smtp,
            None => match greet(relay) {
                Ok(smtp) => smtp,
                Err(_) => continue,
            },
        };
        if let Ok(is_taken) = letter.hand_over(&mut smtp) {
            if is_taken {
                taken.insert(letter.subject.clone());
            }
            connection = Some(smtp);
        }
    }
    taken
}

/// A connection after EHLO.
pub(crate) fn greet(relay: SocketAddr) -> io::Result<Smtp> {
    let mut smtp = Smtp::try_connect(relay)?;
    // If nobody listens, the system may connect a socket to itself.
    if smtp.stream().local_addr()? == relay {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    smtp.try_reply()?;
    smtp.try_say("EHLO client.example")?;
    Ok(smtp)
}

/// Whether no message waits in the spool of a running relay.
pub(crate) fn is_drained(home: &Home) -> bool {
    count(home, "state IN ('waiting', 'claimed')") == Some(0)
}

/// The number of entries that match; none if there is no readable spool.
pub(crate) fn count(home: &Home, of: &str) -> Option<i64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let spool = Connection::open_with_flags(home.path("data/spool.db"), flags).ok()?;
    let query = format!("SELECT count(*) FROM entry WHERE {of}");
    spool.query_row(&query, [], |row| row.get(0)).ok()
}

/// The results of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) runs: usize,
    pub(crate) acknowledged: usize,
    /// Acknowledged messages that some recipient has not received.
    pub(crate) lost: usize,
    /// Repeated deliveries to one recipient.
    pub(crate) twice: usize,
    /// Messages that only some of the recipients have received.
    pub(crate) half: usize,
}

impl Figures {
    /// Counts what arrived of a run's letters. Each must be unchanged and go only to
    /// recipients of its letter.
    pub(crate) fn of<'a>(
        letters: impl IntoIterator<Item = &'a Letter>,
        acknowledged: &BTreeSet<String>,
        arrivals: &[Arc<Arrival>],
    ) -> Self {
        let mut by_subject: BTreeMap<&str, Vec<&Arrival>> = BTreeMap::new();
        for arrival in arrivals {
            by_subject
                .entry(&arrival.subject)
                .or_default()
                .push(arrival);
        }
        let mut figures = Self {
            runs: 1,
            acknowledged: acknowledged.len(),
            ..Self::default()
        };
        for letter in letters {
            let arrived = by_subject.remove(letter.subject.as_str());
            figures.count(
                letter,
                acknowledged.contains(&letter.subject),
                &arrived.unwrap_or_default(),
            );
        }
        figures
    }

    fn count(&mut self, letter: &Letter, is_acknowledged: bool, arrived: &[&Arrival]) {
        let content = letter.content();
        let mut deliveries: BTreeMap<String, usize> = BTreeMap::new();
        for arrival in arrived {
            // Fields that a rule may add or rename.
            let added = ["Received", "To", "X-Original-To", "Bcc"];
            let is_as_sent = without(&arrival.raw, &added) == without(&content, &added);
            assert!(is_as_sent, "{} arrived altered", letter.subject);
            for recipient in recipients(arrival) {
                assert!(letter.to.contains(&recipient), "{recipient} is a stranger");
                *deliveries.entry(recipient).or_default() += 1;
            }
        }
        let is_whole = deliveries.len() == letter.to.len();
        self.lost += usize::from(is_acknowledged && !is_whole);
        self.half += usize::from(!is_whole && !deliveries.is_empty());
        let twice = deliveries.values().map(|times| times - 1).max();
        self.twice += twice.unwrap_or(0);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.twice += other.twice;
        self.half += other.half;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} runs, {} acknowledged, {} lost, {} twice",
            self.runs, self.acknowledged, self.lost, self.twice
        )
    }
}
