//! Log events about clients, limited so that no client can flood the log.
//!
//! An event of one kind about a client (an IPv4 address, or a /64) is logged at once and
//! then once a minute, with the number of those in between. So a client causes at most one
//! line per minute and kind, and every event is counted. If there are more clients than the
//! relay can keep track of, the others count as one.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::mail::Client;
use crate::mail::Envelope;

/// A message was refused at DATA or after it; `size` is that of the whole message, if it was
/// received, `reply` is what the client received, `cause` is for the administrator.
pub fn refused(
    client: IpAddr,
    envelope: &Envelope,
    size: Option<u64>,
    reply: &dyn Display,
    cause: &str,
) {
    let text = reply.to_string();
    // The text may contain an address.
    let code: Vec<&str> = text.splitn(3, ' ').take(2).collect();
    if WARNINGS.is_due(client, "refused", &code.join(" ")) {
        warn!(
            event = "refused", %client, from = %envelope.reverse_path,
            recipients = envelope.recipients.len(), size, reply = text, cause, "message refused"
        );
    }
}

/// A session was refused or cut off. Returns whether the log names its number.
pub fn session_kept(number: u64, client: IpAddr, what: &str, remedy: &str) -> bool {
    let is_due = WARNINGS.is_due(client, "session", remedy);
    if is_due {
        warn!(
            event = "session", number, %client, what, remedy,
            "a client was refused or cut off: graph-relay sessions show {number}"
        );
    }
    is_due
}

/// A client does something non-standard that the relay tolerates.
pub fn protocol_deviation(client: IpAddr, quirk: &str) {
    if QUIRKS.is_due(client, "protocol_deviation", quirk) {
        info!(
            event = "protocol_deviation", %client, quirk,
            "non-standard client behaviour, tolerated"
        );
    } else {
        debug!(
            event = "protocol_deviation", %client, quirk,
            "non-standard client behaviour, tolerated"
        );
    }
}

/// A client sent a wrong name or password.
pub fn wrong_password(client: IpAddr, user: Option<&str>, in_a_row: u32) {
    let user = user.unwrap_or("(unknown)");
    if WARNINGS.is_due(client, "wrong_password", user) {
        warn!(
            event = "wrong_password", %client, user, in_a_row,
            "a client could not authenticate: compare its name and password with the [[user]]"
        );
    }
}

/// A TLS handshake failed.
pub fn tls_failed(client: IpAddr, reason: &dyn Display, remedy: &str) {
    if WARNINGS.is_due(client, "tls", remedy) {
        warn!(event = "tls", %client, %reason, remedy, "TLS handshake with a client failed");
    }
}

/// Somebody could not log in to the admin page.
pub fn not_logged_in(client: IpAddr, reason: &str) {
    // The reason may be the visitor's own words: as a key, each new one would be a line.
    if WARNINGS.is_due(client, "page_log_in_failed", "") {
        warn!(
            event = "page_log_in_failed",
            %client, reason, "a log-in to the admin page was refused"
        );
    }
}

/// A session crashed; the others continue.
pub fn session_panicked(client: IpAddr) {
    if WARNINGS.is_due(client, "panic", "") {
        error!(event = "panic", %client, "a session crashed and was closed; this is a bug, please \
            report it");
    }
}

/// Logs the numbers of the events that were not logged one by one, until `stop`, and the
/// rest then.
pub async fn run(stop: CancellationToken) {
    loop {
        let is_last = tokio::select! {
            () = tokio::time::sleep(OFTEN) => false,
            () = stop.cancelled() => true,
        };
        let now = Instant::now();
        for repeated in WARNINGS.repeated(now, is_last) {
            let Repeated { who, what, .. } = &repeated;
            let (kind, times) = (repeated.event, repeated.times);
            warn!(
                event = "repeated",
                client = who,
                kind,
                what,
                times,
                "the same problem with this client: {times} more in the last minute"
            );
        }
        for repeated in QUIRKS.repeated(now, is_last) {
            let Repeated { who, what, .. } = &repeated;
            let (kind, times) = (repeated.event, repeated.times);
            info!(
                event = "repeated",
                client = who,
                kind,
                what,
                times,
                "the same non-standard behaviour of this client: {times} more in the last day"
            );
        }
        if is_last {
            return;
        }
    }
}

/// How often this happens.
const OFTEN: Duration = Duration::from_secs(5);

/// The process has one log, so it also has one limit.
static WARNINGS: LazyLock<Complaints> = LazyLock::new(|| Complaints {
    again: Duration::from_secs(60),
    most: 1000,
    known: Mutex::default(),
});
/// Harmless behaviour is logged once, and then once a day.
static QUIRKS: LazyLock<Complaints> = LazyLock::new(|| Complaints {
    again: Duration::from_secs(24 * 60 * 60),
    most: 10_000,
    known: Mutex::default(),
});

/// The events that were logged recently.
#[derive(Debug)]
struct Complaints {
    /// After this time it is logged again.
    again: Duration,
    /// At most this many clients and kinds are kept.
    most: usize,
    known: Mutex<HashMap<About, Since>>,
}

/// The client and the kind of an event; `None` stands for all clients beyond
/// [`Complaints::most`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct About {
    client: Option<Client>,
    event: &'static str,
    what: String,
}

/// When it was logged, and how often it was not logged since.
#[derive(Clone, Copy, Debug)]
struct Since {
    logged: Instant,
    more: u64,
}

/// An event that was counted.
#[derive(Debug, PartialEq, Eq)]
struct Repeated {
    who: String,
    event: &'static str,
    what: String,
    times: u64,
}

impl Complaints {
    /// Whether this event is to be logged by itself; otherwise it is counted.
    fn is_due(&self, client: IpAddr, event: &'static str, what: &str) -> bool {
        let now = Instant::now();
        let mut about = About {
            client: Some(Client::at(client)),
            event,
            what: what.to_owned(),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.most && !known.contains_key(&about) {
            about.client = None;
            about.what.clear();
        }
        match known.get_mut(&about) {
            Some(since) if since.more > 0 || now - since.logged < self.again => {
                since.more += 1;
                false
            }
            Some(_) | None => {
                let since = Since {
                    logged: now,
                    more: 0,
                };
                known.insert(about, since);
                true
            }
        }
    }

    /// Returns what was counted and is to be logged now; deletes events that did not repeat.
    fn repeated(&self, now: Instant, all: bool) -> Vec<Repeated> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut repeated = Vec::new();
        known.retain(|about, since| {
            if now - since.logged < self.again && !all {
                return true;
            }
            if since.more == 0 {
                return false;
            }
            let client = about.client;
            repeated.push(Repeated {
                who: client.map_or_else(|| "many others".to_owned(), |client| client.to_string()),
                event: about.event,
                what: about.what.clone(),
                times: since.more,
            });
            *since = Since {
                logged: now,
                more: 0,
            };
            true
        });
        repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(most: usize) -> Complaints {
        Complaints {
            again: Duration::from_secs(60),
            most,
            known: Mutex::default(),
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn times(complaints: &Complaints, all: bool) -> Vec<(String, u64)> {
        let repeated = complaints.repeated(Instant::now(), all).into_iter();
        repeated.map(|it| (it.who, it.times)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_complained_about_once_a_minute_with_the_number_of_the_rest() {
        let complaints = complaints(100);
        let one = address("2001:db8::1");
        assert!(complaints.is_due(one, "tls", "x"));
        for n in 0..600 {
            let same_network = address(&format!("2001:db8::{n:x}"));
            assert!(!complaints.is_due(same_network, "tls", "x"));
        }
        assert!(complaints.is_due(one, "tls", "y"));
        assert!(complaints.is_due(one, "session", "x"));
        assert!(complaints.is_due(address("2001:db8:0:1::1"), "tls", "x"));
        assert!(times(&complaints, false).is_empty());

        tokio::time::advance(Duration::from_secs(61)).await;
        // The number comes first, and begins another minute.
        assert!(!complaints.is_due(one, "tls", "x"));
        assert_eq!(
            times(&complaints, false),
            [("2001:db8::/64".to_owned(), 601)]
        );
        assert!(!complaints.is_due(one, "tls", "x"));
        assert!(times(&complaints, false).is_empty());

        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(times(&complaints, false), [("2001:db8::/64".to_owned(), 1)]);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(times(&complaints, false).is_empty());
        assert!(complaints.known.lock().unwrap().is_empty());
        assert!(complaints.is_due(one, "tls", "x"));
    }

    #[tokio::test(start_paused = true)]
    async fn more_clients_than_are_remembered_count_as_one() {
        let complaints = complaints(10);
        let logged = (0..1000_u32).filter(|n| {
            let [_, _, high, low] = n.to_be_bytes();
            complaints.is_due(IpAddr::from([192, 0, high, low]), "tls", "x")
        });
        assert_eq!(logged.count(), 11);
        assert_eq!(complaints.known.lock().unwrap().len(), 11);

        // At the end nothing is left uncounted.
        assert_eq!(times(&complaints, true), [("many others".to_owned(), 989)]);
    }
}
