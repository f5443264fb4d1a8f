//! Faults by recipient: the local part of any recipient chooses what goes wrong.
//!
//! `throttle@example.org` and `throttle+2@example.org` both ask for a throttled message, in any
//! domain and any of To, Cc and Bcc; they strike sendMail, and a draft when it is sent. A message is
//! told from another by its mailbox and its Message-ID (without one, by its content), so "once" is
//! once per message and not per run. With several such recipients the first that still has
//! something to do decides.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Mutex;
use std::time::Duration;

use crate::faults::fault::Cut;
use crate::faults::fault::Fault;
use crate::faults::fault::Station;
use crate::lock::locked;

/// The local parts that ask for a fault, each with what it does.
pub fn fault_addresses() -> &'static [(&'static str, &'static str)] {
    &[
        ("throttle", "429 twice (Retry-After: 2), then accepted"),
        ("busy", "503 ErrorServerBusy once, then accepted"),
        (
            "unavailable",
            "503 once with an HTML page and no Retry-After, then accepted",
        ),
        ("html", "502 once with an HTML page, then accepted"),
        (
            "timeout",
            "accepted, but answered with 504 once: the retry creates a duplicate",
        ),
        (
            "reset",
            "connection reset once before the message is accepted, then accepted",
        ),
        (
            "lost",
            "accepted, but the connection is reset before the answer once: the retry creates a duplicate",
        ),
        (
            "partial",
            "accepted, but the answer is cut off once: the retry creates a duplicate",
        ),
        ("slow", "accepted after 5 seconds"),
        (
            "accepted",
            "accepted with 202 and Retry-After: the relay must not send it again",
        ),
        (
            "expired",
            "401 InvalidAuthenticationToken once, then accepted",
        ),
        ("invalid", "400 ErrorInvalidRecipients every time"),
        ("denied", "403 ErrorAccessDenied every time"),
        ("sendas", "403 ErrorSendAsDenied every time"),
        (
            "quota",
            "429 ErrorSubmissionQuotaExceeded every time (Retry-After: 3600)",
        ),
        ("toolarge", "413 every time"),
    ]
}

/// How often the faults of a message were played.
#[derive(Debug, Default)]
pub(crate) struct Played {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    times: HashMap<u64, u32>,
    /// The oldest first, to forget them beyond `MOST`.
    order: VecDeque<u64>,
}

impl Played {
    /// The fault that a message asks for now, if any. The identity tells it from other messages.
    pub(crate) fn due<'a>(
        &self,
        mailbox: &str,
        mut recipients: impl Iterator<Item = &'a String>,
        identity: &[u8],
    ) -> Option<Fault> {
        recipients.find_map(|recipient| {
            let local_part = chosen(recipient)?;
            let (fault, times) = fault(local_part)?;
            let due = times.is_none_or(|times| self.count(mailbox, identity, local_part) < times);
            due.then_some(fault)
        })
    }

    pub(crate) fn clear(&self) {
        *locked(&self.counts) = Counts::default();
    }

    /// How often this was asked before.
    fn count(&self, mailbox: &str, identity: &[u8], local_part: &str) -> u32 {
        let mut hasher = DefaultHasher::new();
        mailbox.hash(&mut hasher);
        local_part.hash(&mut hasher);
        identity.hash(&mut hasher);
        let key = hasher.finish();
        let mut counts = locked(&self.counts);
        if !counts.times.contains_key(&key) {
            counts.order.push_back(key);
            if counts.order.len() > MOST
                && let Some(oldest) = counts.order.pop_front()
            {
                counts.times.remove(&oldest);
            }
        }
        let times = counts.times.entry(key).or_default();
        let before = *times;
        *times = times.saturating_add(1);
        before
    }
}

/// The local part of the table that an address names.
fn chosen(recipient: &str) -> Option<&'static str> {
    let (local_part, _) = recipient.rsplit_once('@')?;
    let named = local_part.split('+').next()?;
    fault_addresses()
        .iter()
        .map(|(local_part, _)| *local_part)
        .find(|local_part| local_part.eq_ignore_ascii_case(named))
}

/// The fault of a local part, and how many times per message it strikes (`None`: always).
fn fault(local_part: &str) -> Option<(Fault, Option<u32>)> {
    let send = Fault::at_send;
    let usual = Fault::usual(Station::Send);
    Some(match local_part {
        "throttle" => (
            Fault {
                retry_after: text("2"),
                ..error(
                    429,
                    "ApplicationThrottled",
                    "Application is over its MailboxConcurrency limit.",
                )
            },
            Some(2),
        ),
        "busy" => {
            let message = "The server is busy. Try again later.";
            (error(503, "ErrorServerBusy", message), Some(1))
        }
        "unavailable" => (html(503, "Service Unavailable"), Some(1)),
        "html" => (html(502, "Bad Gateway"), Some(1)),
        "timeout" => (
            Fault {
                stored: Some(true),
                ..send(504)
            },
            Some(1),
        ),
        "reset" => (
            Fault {
                cut: Some(Cut::Before),
                ..usual
            },
            Some(1),
        ),
        "lost" => (stored_and_cut(Cut::Before), Some(1)),
        "partial" => (stored_and_cut(Cut::During), Some(1)),
        "slow" => (
            Fault {
                delay: SLOW,
                ..usual
            },
            None,
        ),
        "accepted" => (
            Fault {
                retry_after: text("2"),
                ..send(202)
            },
            None,
        ),
        _ => return refused(local_part),
    })
}

fn refused(local_part: &str) -> Option<(Fault, Option<u32>)> {
    Some(match local_part {
        "expired" => (
            error(
                401,
                "InvalidAuthenticationToken",
                "Lifetime validation failed, the token is expired.",
            ),
            Some(1),
        ),
        "invalid" => (
            error(
                400,
                "ErrorInvalidRecipients",
                "At least one recipient is not valid., Recipient \"invalid\" isn't resolved.",
            ),
            None,
        ),
        "denied" => (
            error(
                403,
                "ErrorAccessDenied",
                "Access is denied. Check credentials and try again.",
            ),
            None,
        ),
        "sendas" => (error(403, "ErrorSendAsDenied", SEND_AS_DENIED), None),
        "quota" => (
            Fault {
                retry_after: text("3600"),
                ..error(
                    429,
                    "ErrorSubmissionQuotaExceeded",
                    "The message can't be submitted because the sender's submission quota was \
                     exceeded.",
                )
            },
            None,
        ),
        "toolarge" => (
            error(
                413,
                "BadRequest",
                "The maximum request length supported is 4MB.",
            ),
            None,
        ),
        _ => return None,
    })
}

fn error(status: u16, code: &str, message: &str) -> Fault {
    Fault {
        code: text(code),
        message: text(message),
        ..Fault::at_send(status)
    }
}

fn html(status: u16, title: &str) -> Fault {
    let page =
        format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>");
    Fault {
        body: Some(page),
        content_type: text("text/html; charset=utf-8"),
        ..Fault::at_send(status)
    }
}

fn stored_and_cut(cut: Cut) -> Fault {
    Fault {
        stored: Some(true),
        cut: Some(cut),
        ..Fault::usual(Station::Send)
    }
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// What Graph says to a From that the mailbox may not use.
pub(crate) const SEND_AS_DENIED: &str = "The user account which was used to submit this request \
    does not have the right to send mail on behalf of the specified sending account., Cannot \
    submit message.";

/// Longer than a patient client finds normal, shorter than it gives up at.
const SLOW: Duration = Duration::from_secs(5);

/// Messages whose faults are remembered; one forgotten begins again.
const MOST: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_the_list_has_a_fault() {
        for (local_part, meaning) in fault_addresses() {
            let address = format!("{local_part}+any@example.org");
            let (fault, _) = chosen(&address).and_then(fault).expect(local_part);

            assert_eq!(fault.flaw(), None, "{local_part}: {meaning}");
        }
        assert_eq!(chosen("slowly@example.org"), None);
    }
}
