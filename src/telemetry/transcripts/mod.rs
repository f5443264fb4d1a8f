//! Transcripts of SMTP sessions that went wrong, so that an administrator can understand a
//! refusal without a packet capture.
//!
//! A session that ends well is not kept. A session with a refusal, or one that was cut off,
//! keeps its lines, without passwords and without the content of messages. The last [`KEPT`]
//! are kept in memory: a restart deletes them. No client can fill the disk with them, or
//! push out those of another client, or the one that the log names.

mod ring;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;

use self::ring::Ring;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::telemetry::complaints;

/// How many transcripts are kept.
pub const KEPT: usize = 300;
/// How many lines of a transcript are kept from its beginning, and as many from its end.
const LINES: usize = 30;
/// How many characters of a line are kept.
const LONGEST: usize = 160;

/// The transcripts of the last sessions that went wrong; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Transcripts(Arc<Mutex<Ring>>);

/// One session that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// Counts from 1 since the relay's start.
    pub number: u64,
    /// When the client connected.
    pub begun_at: Timestamp,
    /// The client.
    pub client: IpAddr,
    /// The address of the listener, as in relay.toml.
    pub listener: String,
    /// The name that it gave in HELO or EHLO.
    pub hello: Option<String>,
    /// The user who authenticated.
    pub user: Option<String>,
    /// Why it is kept; at least one.
    pub troubles: Vec<Trouble>,
    /// The lines; the middle of a long session is missing.
    pub lines: Vec<Line>,
    /// How many lines are missing.
    pub omitted: usize,
}

/// A problem, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The reply, or the event.
    pub what: String,
    /// How to fix it, for the administrator.
    pub remedy: String,
}

/// A line of a transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Milliseconds since the client connected.
    pub after_ms: u64,
    /// Who said it.
    pub by: Party,
    /// The text without control characters and secrets, cut to a maximum length.
    pub text: String,
}

/// Who said a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// The client.
    Client,
    /// The relay.
    Relay,
    /// Neither: an event.
    Event,
}

/// A session that has not ended.
#[derive(Debug)]
pub struct Recording {
    begun: Instant,
    begun_at: Timestamp,
    first: Vec<Said>,
    last: VecDeque<Said>,
    omitted: usize,
    troubles: Vec<Trouble>,
}

/// A line as it was received. Nearly all sessions end well, so it is made readable only if
/// it is kept.
#[derive(Debug)]
struct Said {
    after_ms: u64,
    by: Party,
    /// Its beginning, without secrets.
    text: Vec<u8>,
    /// Bytes of the whole line.
    size: usize,
}

/// Whether the client's next line is part of a password exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// It is part of one.
    Secret,
    /// It is a command.
    Open,
}

impl Recording {
    /// Begins when the client has connected.
    pub fn begin(clock: &Clock) -> Self {
        Self {
            begun: Instant::now(),
            begun_at: clock.now(),
            first: Vec::new(),
            last: VecDeque::new(),
            omitted: 0,
            troubles: Vec::new(),
        }
    }

    /// Records a line of the client.
    pub fn heard(&mut self, line: &[u8], secrecy: Secrecy) {
        match secrecy {
            Secrecy::Secret => self.push(Party::Client, STRUCK_OUT.as_bytes()),
            Secrecy::Open if takes_no_secret(line) => self.push(Party::Client, line),
            Secrecy::Open => self.push(Party::Client, without_secrets(line).as_bytes()),
        }
    }

    /// Records the lines of a reply.
    pub fn said(&mut self, lines: &[u8]) {
        for line in lines.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                self.push(Party::Relay, line);
            }
        }
    }

    /// Records an event.
    pub fn happened(&mut self, what: &str) {
        self.push(Party::Event, what.as_bytes());
    }

    /// Records a problem: the session will be kept.
    pub fn trouble(&mut self, what: &str, remedy: &str) {
        let what = shown(what.as_bytes(), what.len());
        let known = |trouble: &Trouble| trouble.what == what;
        if self.troubles.len() < LINES && !self.troubles.iter().any(known) {
            self.troubles.push(Trouble {
                remedy: remedy.to_owned(),
                what,
            });
        }
    }

    /// Records that a message was accepted. If the client tried TLS or AUTH before and was
    /// refused, that did not stop it.
    pub fn succeeded(&mut self) {
        let negotiation = ["502 ", "504 ", "530 ", "538 "];
        let is_over = |trouble: &Trouble| {
            let mut codes = negotiation.iter();
            codes.any(|code| trouble.what.starts_with(code))
        };
        self.troubles.retain(|trouble| !is_over(trouble));
    }

    fn push(&mut self, by: Party, line: &[u8]) {
        let after = self.begun.elapsed().as_millis();
        // The memory of the removed line is used again for this one.
        let mut text = Vec::new();
        if self.first.len() == LINES && self.last.len() == LINES {
            text = self
                .last
                .pop_front()
                .map_or_else(Vec::new, |said| said.text);
            text.clear();
            self.omitted += 1;
        }
        text.extend_from_slice(line.get(..LONGEST).unwrap_or(line));
        let said = Said {
            after_ms: u64::try_from(after).unwrap_or(u64::MAX),
            by,
            text,
            size: line.len(),
        };
        match self.first.len() < LINES {
            true => self.first.push(said),
            false => self.last.push_back(said),
        }
    }
}

const STRUCK_OUT: &str = "***";
/// Commands that are shown in full: their arguments contain no secret.
const VERBS: [&str; 12] = [
    "HELO", "EHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "VRFY", "HELP", "QUIT", "STARTTLS",
    "BDAT",
];
/// The beginnings of other protocols: this much is shown.
const STRANGERS: [&str; 7] = ["GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "PRI"];
/// Mechanisms of SASL, which are shown; anything else after AUTH may be a password.
const MECHANISMS: [&str; 8] = [
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "NTLM",
    "GSSAPI",
    "XOAUTH2",
    "SCRAM-SHA-256",
];

/// Makes a line of the client readable. Only certain commands are shown: a password can be
/// on the line of AUTH, however it is spelled, and on a line that a confused client sends
/// after it. A line that is not a command may be content of a message.
fn without_secrets(line: &[u8]) -> String {
    let strange = is_strange(line);
    let mut words = words(line);
    let first = words.next().unwrap_or_default();
    let verb = String::from_utf8_lossy(first).to_ascii_uppercase();
    let mut word = || String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
    if !strange && STRANGERS.contains(&verb.as_str()) {
        return format!("{verb} {STRUCK_OUT}");
    }
    if !strange && verb == "AUTH" {
        let mechanism = word();
        let more = if word().is_empty() { "" } else { STRUCK_OUT };
        return match MECHANISMS.contains(&mechanism.to_ascii_uppercase().as_str()) {
            true => format!("AUTH {mechanism} {more}").trim_end().to_owned(),
            false if mechanism.is_empty() => verb,
            false => format!("AUTH {STRUCK_OUT}"),
        };
    }
    format!("{STRUCK_OUT} ({} bytes that are not a command)", line.len())
}

/// Whether a line is a command whose arguments contain no secret.
fn takes_no_secret(line: &[u8]) -> bool {
    let first = words(line).next().unwrap_or_default();
    let mut verbs = VERBS.iter().map(|verb| verb.as_bytes());
    !is_strange(line) && verbs.any(|verb| verb.eq_ignore_ascii_case(first))
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = line.split(|byte| matches!(byte, b' ' | b'\t'));
    words.filter(|word| !word.is_empty())
}

fn is_strange(line: &[u8]) -> bool {
    let mut bytes = line.iter();
    bytes.any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

/// Returns the beginning of a line of that many bytes, safe for a terminal.
fn shown(line: &[u8], size: usize) -> String {
    let beginning = line.get(..LONGEST).unwrap_or(line);
    let mut text = String::new();
    for c in String::from_utf8_lossy(beginning).chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    if size > LONGEST {
        text.push_str(&format!("… ({size} bytes)"));
    }
    text
}

impl Transcripts {
    /// Keeps a session if something went wrong in it, and logs its number.
    pub fn keep(
        &self,
        recording: Recording,
        client: IpAddr,
        listener: String,
        hello: Option<String>,
        user: Option<String>,
    ) {
        let Some(first) = recording.troubles.first() else {
            return;
        };
        let first = first.clone();
        let said = recording.first.into_iter().chain(recording.last);
        let lines = said.map(|said| Line {
            after_ms: said.after_ms,
            by: said.by,
            text: shown(&said.text, said.size),
        });
        let mut ring = self.ring();
        ring.last += 1;
        let number = ring.last;
        ring.make_room(client, &first);
        ring.kept.push_back(Transcript {
            number,
            begun_at: recording.begun_at,
            client,
            listener,
            hello,
            user,
            troubles: recording.troubles,
            lines: lines.collect(),
            omitted: recording.omitted,
        });
        drop(ring);
        if complaints::session_kept(number, client, &first.what, &first.remedy) {
            self.ring().name(number, client, &first);
        }
    }

    /// Returns all that are kept, the oldest first.
    pub fn list(&self) -> Vec<Transcript> {
        self.ring().kept.iter().cloned().collect()
    }

    /// Returns the one with that number.
    pub fn show(&self, number: u64) -> Option<Transcript> {
        let ring = self.ring();
        let mut kept = ring.kept.iter();
        kept.find(|transcript| transcript.number == number).cloned()
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::ring::OF_A_CLIENT;
    use super::*;

    fn keep(transcripts: &Transcripts, recording: Recording) {
        keep_of(transcripts, recording, IpAddr::from([127, 0, 0, 1]));
    }

    fn keep_of(transcripts: &Transcripts, recording: Recording, client: IpAddr) {
        let listener = "127.0.0.1:2525".parse().unwrap();
        transcripts.keep(recording, client, listener, None, None);
    }

    #[tokio::test]
    async fn no_client_pushes_out_the_transcript_of_another_or_of_another_kind() {
        let transcripts = Transcripts::default();
        let wrong = |remedy: &str| {
            let mut recording = Recording::begin(&Clock::System);
            recording.trouble("550 no", remedy);
            recording
        };
        keep_of(
            &transcripts,
            wrong("scan less"),
            "192.0.2.1".parse().unwrap(),
        );
        keep_of(
            &transcripts,
            wrong("its own"),
            "2001:db8::1".parse().unwrap(),
        );
        for n in 0..2 * KEPT {
            let client = format!("2001:db8::{n:x}").parse().unwrap();
            keep_of(&transcripts, wrong("not HTTP"), client);
        }

        let kept = transcripts.list();
        let numbers: Vec<u64> = kept.iter().map(|kept| kept.number).collect();
        let last = 2 * KEPT as u64 + 2;
        // The log names the first: the others are counted.
        assert_eq!(numbers, [1, 2, 3, last - 1, last]);

        for n in 0..KEPT {
            let client = "2001:db8::1".parse().unwrap();
            keep_of(&transcripts, wrong(&format!("{n}")), client);
        }
        assert_eq!(transcripts.list().len(), 1 + OF_A_CLIENT);
        assert_eq!(transcripts.list()[0].number, 1);
    }

    #[tokio::test]
    async fn passwords_are_struck_out_wherever_they_stand() {
        let mut recording = Recording::begin(&Clock::System);
        for (line, shown) in [
            (&b"EHLO printer"[..], "EHLO printer"),
            (b"auth plain AGNhbmFyeQBjYW5hcnk=", "AUTH plain ***"),
            (b"AUTH\tPLAIN\tY2FuYXJ5", "AUTH PLAIN ***"),
            (b" AUTH  PLAIN  Y2FuYXJ5", "AUTH PLAIN ***"),
            (b"AUTH LOGIN", "AUTH LOGIN"),
            (b"AUTH", "AUTH"),
            (b"AUTH Y2FuYXJ5", "AUTH ***"),
            (b"AUTH PLAIN=Y2FuYXJ5", "AUTH ***"),
            (b"MAIL FROM:<a@b>", "MAIL FROM:<a@b>"),
            (b"GET /?token=canary HTTP/1.1", "GET ***"),
            (b"Y2FuYXJ5", "*** (8 bytes that are not a command)"),
            (b"AUTHPLAIN Y2Fu", "*** (14 bytes that are not a command)"),
            (
                b"\xef\xbb\xbfAUTH PLAIN Y2Fu",
                "*** (18 bytes that are not a command)",
            ),
            (
                b"EHLO x\rAUTH PLAIN Y2Fu",
                "*** (22 bytes that are not a command)",
            ),
            (b"Subject: secret", "*** (15 bytes that are not a command)"),
        ] {
            recording.heard(line, Secrecy::Open);
            assert_eq!(recording.first.last().unwrap().text, shown.as_bytes());
        }
        recording.heard(b"Y2FuYXJ5", Secrecy::Secret);
        assert_eq!(recording.first.last().unwrap().text, b"***");
    }

    #[tokio::test]
    async fn only_what_went_wrong_is_kept_and_only_so_much_of_it() {
        let transcripts = Transcripts::default();
        keep(&transcripts, Recording::begin(&Clock::System));
        assert!(transcripts.list().is_empty());

        for n in 0..KEPT + 2 {
            let mut recording = Recording::begin(&Clock::System);
            for n in 0..3 * LINES {
                recording.heard(format!("NOOP {n:0>1000}").as_bytes(), Secrecy::Open);
            }
            recording.trouble("421 closing", "do something");
            let n = u8::try_from(n % 150).unwrap();
            keep_of(&transcripts, recording, IpAddr::from([192, 0, 2, n]));
        }

        let kept = transcripts.list();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[0].number, 3);
        assert!(transcripts.show(2).is_none());
        let last = transcripts.show(KEPT as u64 + 2).unwrap();
        assert_eq!((last.lines.len(), last.omitted), (2 * LINES, LINES));
        assert!(
            last.lines
                .iter()
                .all(|line| line.text.chars().count() < 200)
        );
    }
}
