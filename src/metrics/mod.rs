//! What the relay counts and measures while it works, for Prometheus.
//!
//! The service creates one [`Metrics`] and hands it to whoever does the work; a clone is
//! a handle to the same numbers. Every series exists with 0 from the start, because
//! Prometheus cannot see that a series begins with 1. Labels have fixed values: no
//! address, name or text from outside becomes one. To count is one addition, sometimes after
//! a look-up in a short list; nothing is allocated.
//!
//! `admin/monitoring/` serves them, together with what it reads from the running relay.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::encoding::MetricEncoder;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// A number that only grows.
pub type Counter = counter::Counter<u64, AtomicU64>;

/// All counters and histograms of a relay.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Sessions that began: connections that the relay did not turn away.
    pub sessions: Counter,
    /// Wrong names and passwords.
    pub authentication_failures: Counter,
    /// Messages that the relay answered with 250.
    pub messages_accepted: Counter,
    refused: Series<Reason, Counter>,
    /// Files of pickup folders that were refused.
    pub pickup_files_refused: Counter,
    /// Recipients that were refused at RCPT.
    pub recipients_refused: Counter,
    /// Messages that Graph accepted.
    pub messages_delivered: Counter,
    /// Attempts after which the message waits for another.
    pub messages_deferred: Counter,
    /// Messages that failed for good.
    pub messages_failed: Counter,
    /// Attempts after which nobody knows whether Graph accepted the message.
    pub messages_doubtful: Counter,
    /// From the reply 250 to the answer of Graph that accepts the message.
    delivery: Histogram,
    /// Requests to Graph.
    pub requests: Requests,
    registry: Arc<Registry>,
}

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// At MAIL, whatever the reason.
    MailCommand,
    /// It is too large.
    TooLarge,
    /// Its bytes or its header section are not acceptable.
    Malformed,
    /// It counts as looping.
    Looping,
    /// No account sends for its From address.
    NoAccount,
    /// The user may not send as this address.
    SenderNotAllowed,
    /// This recipient is not allowed.
    RecipientNotAllowed,
    /// The client has reached a limit.
    RateLimited,
    /// The spool or the disk is full.
    NoRoom,
    /// An error of the relay or of its disk.
    LocalError,
}

impl Refusal {
    const ALL: [Self; 10] = [
        Self::MailCommand,
        Self::TooLarge,
        Self::Malformed,
        Self::Looping,
        Self::NoAccount,
        Self::SenderNotAllowed,
        Self::RecipientNotAllowed,
        Self::RateLimited,
        Self::NoRoom,
        Self::LocalError,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::MailCommand => "mail_command",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Looping => "looping",
            Self::NoAccount => "no_account",
            Self::SenderNotAllowed => "sender_not_allowed",
            Self::RecipientNotAllowed => "recipient_not_allowed",
            Self::RateLimited => "rate_limited",
            Self::NoRoom => "no_room",
            Self::LocalError => "local_error",
        }
    }
}

/// What a request asks of Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Send a message in one request.
    SendMail,
    /// Create a draft.
    CreateDraft,
    /// Change a draft or add an attachment to it.
    FillDraft,
    /// A piece of a large attachment, or how far its upload has come.
    Upload,
    /// Send a draft.
    SendDraft,
    /// Read something: a draft, or the mailbox that an alias belongs to.
    Read,
    /// Delete a draft.
    DeleteDraft,
}

impl Operation {
    const ALL: [Self; 7] = [
        Self::SendMail,
        Self::CreateDraft,
        Self::FillDraft,
        Self::Upload,
        Self::SendDraft,
        Self::Read,
        Self::DeleteDraft,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::SendMail => "send_mail",
            Self::CreateDraft => "create_draft",
            Self::FillDraft => "fill_draft",
            Self::Upload => "upload",
            Self::SendDraft => "send_draft",
            Self::Read => "read",
            Self::DeleteDraft => "delete_draft",
        }
    }
}

/// The status of an answer as a label. Graph documents no others for these requests; a
/// proxy may have more.
fn status_name(status: Option<u16>) -> &'static str {
    match status {
        None => NO_ANSWER,
        Some(200) => "200",
        Some(201) => "201",
        Some(202) => "202",
        Some(204) => "204",
        Some(400) => "400",
        Some(401) => "401",
        Some(403) => "403",
        Some(404) => "404",
        Some(409) => "409",
        Some(413) => "413",
        Some(429) => "429",
        Some(500) => "500",
        Some(502) => "502",
        Some(503) => "503",
        Some(504) => "504",
        Some(_) => "other",
    }
}

const NO_ANSWER: &str = "none";
const STATUSES: [&str; 17] = [
    "200", "201", "202", "204", "400", "401", "403", "404", "409", "413", "429", "500", "502",
    "503", "504", "other", NO_ANSWER,
];
/// Too Many Requests (RFC 6585 4).
const THROTTLED: u16 = 429;

#[derive(Clone, Debug, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: &'static str,
}

/// The series of a metric, all of them from the start and in this order.
#[derive(Debug)]
struct Series<L, M>(Arc<[(L, M)]>);

impl<L, M> Clone for Series<L, M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L: PartialEq, M> Series<L, M> {
    fn new(labels: impl IntoIterator<Item = L>, metric: impl Fn() -> M) -> Self {
        Self(
            labels
                .into_iter()
                .map(|labels| (labels, metric()))
                .collect(),
        )
    }

    fn get(&self, labels: &L) -> Option<&M> {
        let mut series = self.0.iter();
        let found = series.find(|(these, _)| these == labels);
        found.map(|(_, metric)| metric)
    }
}

impl<L: EncodeLabelSet, M: EncodeMetric + TypedMetric> EncodeMetric for Series<L, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        for (labels, metric) in self.0.iter() {
            metric.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

/// Requests to Graph. One that no exporter reads (of `send-test`, of a test) counts for
/// itself.
#[derive(Clone, Debug)]
pub struct Requests {
    answered: Series<Answered, Counter>,
    throttled: Counter,
    times: Series<Asked, Histogram>,
}

impl Default for Requests {
    fn default() -> Self {
        let operations = Operation::ALL.map(Operation::name);
        let answered = operations
            .iter()
            .flat_map(|operation| STATUSES.map(|status| Answered { operation, status }));
        let asked = operations.map(|operation| Asked { operation });
        Self {
            answered: Series::new(answered, Counter::default),
            throttled: Counter::default(),
            times: Series::new(asked, request_times),
        }
    }
}

impl Requests {
    /// Counts a request: the status of its answer, if there was one, and the time from
    /// its begin to the end of the answer.
    pub fn count(&self, operation: Operation, status: Option<u16>, took: Duration) {
        let operation = operation.name();
        let answered = Answered {
            operation,
            status: status_name(status),
        };
        if let Some(counter) = self.answered.get(&answered) {
            counter.inc();
        }
        if status == Some(THROTTLED) {
            self.throttled.inc();
        }
        if let Some(times) = self.times.get(&Asked { operation }) {
            times.observe(took.as_secs_f64());
        }
    }
}

/// The times of the commits of a spool, which has them before anything else starts.
pub fn commit_times() -> Histogram {
    // An SSD takes a millisecond, a disk that turns ten, and a virtual one now and then a second.
    let bounds = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    ];
    Histogram::new(bounds)
}

/// An answer takes a tenth of a second to some seconds; `http.timeout` is a minute.
fn request_times() -> Histogram {
    Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0])
}

/// A second where all goes well; retries take minutes to days.
fn delivery_times() -> Histogram {
    Histogram::new([
        0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0,
    ])
}

impl Metrics {
    /// All of a relay, whose spool has measured these commits.
    pub fn new(commits: &Histogram) -> Self {
        let reasons = Refusal::ALL.map(Refusal::name);
        let reasons = reasons.map(|reason| Reason { reason });
        let mut metrics = Self {
            sessions: Counter::default(),
            authentication_failures: Counter::default(),
            messages_accepted: Counter::default(),
            refused: Series::new(reasons, Counter::default),
            pickup_files_refused: Counter::default(),
            recipients_refused: Counter::default(),
            messages_delivered: Counter::default(),
            messages_deferred: Counter::default(),
            messages_failed: Counter::default(),
            messages_doubtful: Counter::default(),
            delivery: delivery_times(),
            requests: Requests::default(),
            registry: Arc::default(),
        };
        metrics.registry = Arc::new(metrics.registry(commits));
        metrics
    }

    /// Names and help; the encoder adds `_total` to counters and the full stop to help.
    fn registry(&self, commits: &Histogram) -> Registry {
        let mut registry = Registry::with_prefix("graphrelay");
        for (name, help, counter) in self.counters() {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "messages_refused",
            "Messages refused at MAIL (mail_command), at DATA, or after their content",
            self.refused.clone(),
        );
        registry.register(
            "graph_requests",
            "Requests to Graph by what they ask and the status of the answer; none: no answer",
            self.requests.answered.clone(),
        );
        registry.register(
            "graph_request_duration_seconds",
            "Time of a request to Graph, with its answer",
            self.requests.times.clone(),
        );
        registry.register(
            "delivery_duration_seconds",
            "Time from accepting a message to the answer of Graph that accepts it",
            self.delivery.clone(),
        );
        registry.register(
            "spool_commit_duration_seconds",
            "Time of a commit to the spool, with its fsync",
            commits.clone(),
        );
        registry
    }

    /// The counters without labels.
    fn counters(&self) -> [(&'static str, &'static str, &Counter); 10] {
        [
            (
                "sessions",
                "SMTP sessions; connections that were turned away are not among them",
                &self.sessions,
            ),
            (
                "authentication_failures",
                "Wrong names and passwords of clients",
                &self.authentication_failures,
            ),
            (
                "messages_accepted",
                "Messages accepted from clients: answered with 250 and stored",
                &self.messages_accepted,
            ),
            (
                "recipients_refused",
                "Recipients refused at RCPT; the message may have had others",
                &self.recipients_refused,
            ),
            (
                "pickup_files_refused",
                "Files of pickup folders that were refused and moved to bad/",
                &self.pickup_files_refused,
            ),
            (
                "messages_delivered",
                "Messages that Graph accepted; reports to senders are among them",
                &self.messages_delivered,
            ),
            (
                "messages_deferred",
                "Attempts after which the message waits for another attempt",
                &self.messages_deferred,
            ),
            (
                "messages_failed",
                "Messages that failed for good",
                &self.messages_failed,
            ),
            (
                "messages_doubtful",
                "Attempts after which it is unknown whether Graph accepted the message",
                &self.messages_doubtful,
            ),
            (
                "graph_throttled",
                "Answers of Graph with status 429",
                &self.requests.throttled,
            ),
        ]
    }

    /// Refused messages, for all reasons.
    pub fn messages_refused(&self) -> u64 {
        self.refused.0.iter().map(|(_, count)| count.get()).sum()
    }

    /// Counts a refused message.
    pub fn refused(&self, why: Refusal) {
        let reason = why.name();
        if let Some(counter) = self.refused.get(&Reason { reason }) {
            counter.inc();
        }
    }

    /// Counts a delivered message that was accepted this long ago.
    pub fn delivered(&self, age: Duration) {
        self.messages_delivered.inc();
        self.delivery.observe(age.as_secs_f64());
    }

    /// The numbers now, in Prometheus' text format (version 0.0.4).
    pub fn text(&self) -> String {
        let mut text = String::new();
        // A String takes whatever is written.
        let _taken = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    /// Those of a relay whose spool is measured elsewhere.
    fn default() -> Self {
        Self::new(&commit_times())
    }
}

#[cfg(test)]
mod tests;
