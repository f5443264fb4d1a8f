//! One alert: its words, and its form as JSON.
//!
//! Its size is bounded, whatever there is to tell.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use super::incidents::Changes;
use super::incidents::Incident;
use crate::admin::attention::Kind;
use crate::clock::Timestamp;
use crate::clock::span_in_words;

/// An alert. It is on disk until it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notice {
    /// The same in every attempt.
    pub(super) id: String,
    /// When it was made.
    pub(super) at: Timestamp,
    /// Problems that have begun.
    pub(super) began: Vec<Problem>,
    /// Problems that are over.
    pub(super) ended: Vec<Problem>,
    /// Problems that are not listed.
    unlisted: usize,
    /// Told problems that go on.
    pub(super) open: usize,
    /// Whether somebody asked for it, to see that it arrives.
    pub(super) test: bool,
}

/// Why an alert was not sent, in one line without secrets.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotSent(pub(super) String);

/// A problem, as the receiver sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Problem {
    event: Kind,
    subject: Option<String>,
    sentence: String,
    detail: Option<String>,
    remedy: Option<String>,
    command: Option<String>,
    began: Timestamp,
    ended: Option<Timestamp>,
}

/// The body of a webhook's request.
#[derive(Debug, Serialize)]
struct Body<'a> {
    text: String,
    version: u32,
    id: &'a str,
    relay: &'a str,
    time: String,
    state: &'static str,
    began: Vec<ProblemView<'a>>,
    ended: Vec<ProblemView<'a>>,
    unlisted: usize,
    still_open: usize,
}

#[derive(Debug, Serialize)]
struct ProblemView<'a> {
    event: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    sentence: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    began: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lasted_seconds: Option<u64>,
}

/// The most problems of an alert; the rest is counted.
const MOST: usize = 20;
/// The most characters of a text.
const LONGEST: usize = 500;

impl Notice {
    pub(super) fn new(id: String, at: Timestamp, changes: Changes) -> Self {
        let began = changes.began.iter().take(MOST);
        let ended = changes.ended.iter().take(MOST);
        let listed = began.len() + ended.len();
        Self {
            id,
            at,
            began: began.map(|it| Problem::new(it, None)).collect(),
            ended: ended.map(|it| Problem::new(it, Some(it.seen_at))).collect(),
            unlisted: changes.began.len() + changes.ended.len() - listed,
            open: changes.open,
            test: false,
        }
    }

    /// One that only shows that alerts arrive.
    pub(super) fn test(id: String, at: Timestamp) -> Self {
        Self {
            id,
            at,
            began: Vec::new(),
            ended: Vec::new(),
            unlisted: 0,
            open: 0,
            test: true,
        }
    }

    /// The first line of a text, and the subject of a mail.
    pub(super) fn title(&self, relay: &str) -> String {
        let what = match (self.began.as_slice(), self.ended.as_slice()) {
            _ if self.test => "test alert".to_owned(),
            ([], []) => "nothing".to_owned(),
            ([one], _) => one.sentence.clone(),
            ([], [one]) => format!("over: {}", one.sentence),
            ([], many) => format!("{} problems are over", many.len()),
            (many, _) => format!("{} problems", many.len() + self.unlisted),
        };
        format!("graph-relay on {relay}: {what}")
    }

    /// The whole text for people.
    pub(super) fn text(&self, relay: &str) -> String {
        let mut lines = vec![self.title(relay)];
        if self.test {
            lines.push("This is a test. Alerts of this relay arrive here.".to_owned());
        }
        lines.extend(self.began.iter().flat_map(Problem::lines));
        lines.extend(self.ended.iter().map(Problem::over));
        if let more @ 1.. = self.unlisted {
            lines.push(format!("and {more} more: graph-relay status"));
        }
        if let open @ 1.. = self.open {
            let words = match open {
                1 => "1 problem that was reported before goes on".to_owned(),
                open => format!("{open} problems that were reported before go on"),
            };
            lines.push(format!("{words}: graph-relay status"));
        }
        lines.join("\n")
    }

    /// What it is about, for the log.
    pub(super) fn log_words(&self) -> String {
        let began = self.began.iter().map(|it| it.sentence.clone());
        let ended = self.ended.iter().map(|it| format!("over: {}", it.sentence));
        began.chain(ended).collect::<Vec<_>>().join("; ")
    }

    /// The body of a request.
    pub(super) fn json(&self, relay: &str) -> Vec<u8> {
        let state = match (self.began.is_empty(), self.ended.is_empty()) {
            _ if self.test => "test",
            (false, _) => "began",
            (true, _) => "ended",
        };
        let body = Body {
            text: self.text(relay),
            version: 1,
            id: &self.id,
            relay,
            time: self.at.rfc3339(),
            state,
            began: self.began.iter().map(Problem::view).collect(),
            ended: self.ended.iter().map(Problem::view).collect(),
            unlisted: self.unlisted,
            still_open: self.open,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// The body of a request with nothing but the text.
    pub(super) fn text_json(&self, relay: &str) -> Vec<u8> {
        let body = serde_json::json!({ "text": self.text(relay) });
        body.to_string().into_bytes()
    }
}

impl Problem {
    fn new(incident: &Incident, ended: Option<Timestamp>) -> Self {
        let condition = &incident.condition;
        let short = |text: &String| text.chars().take(LONGEST).collect::<String>();
        Self {
            event: condition.kind,
            subject: condition.subject.as_ref().map(short),
            sentence: short(&condition.sentence),
            detail: condition.detail.as_ref().map(short),
            remedy: condition.remedy.as_ref().map(short),
            command: condition.command.as_ref().map(short),
            began: incident.began,
            ended,
        }
    }

    fn lasted(&self) -> Option<Duration> {
        self.ended.map(|ended| ended.since(self.began))
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("- {} (since {})", self.sentence, self.began)];
        lines.extend(self.detail.iter().map(|it| format!("  {it}")));
        lines.extend(self.remedy.iter().map(|it| format!("  what to do: {it}")));
        lines.extend(self.command.iter().map(|it| format!("  run: {it}")));
        lines
    }

    fn over(&self) -> String {
        let lasted = span_in_words(self.lasted().unwrap_or_default());
        format!("- over after {lasted}: {}", self.sentence)
    }

    fn view(&self) -> ProblemView<'_> {
        ProblemView {
            event: self.event,
            subject: self.subject.as_deref(),
            sentence: &self.sentence,
            detail: self.detail.as_deref(),
            remedy: self.remedy.as_deref(),
            command: self.command.as_deref(),
            began: self.began.rfc3339(),
            ended: self.ended.map(Timestamp::rfc3339),
            lasted_seconds: self.lasted().map(|lasted| lasted.as_secs()),
        }
    }
}
