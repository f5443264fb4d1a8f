//! Configuration faults in the log: each once, with the remedy. If many mailboxes have
//! the same fault, a few are named and the others counted.

use std::collections::HashMap;
use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::dispatch::backoff::Notice;
use crate::spool::Claimed;

/// How many mailboxes with the same fault are logged one by one.
const NAMED: u32 = 5;
/// How long after the first of them the number of the others is logged.
const COUNTED_EVERY: Duration = Duration::from_secs(60);
/// How many faults of single messages, and kinds of faults, are remembered.
const MOST: usize = 1000;

/// What was logged.
#[derive(Debug, Default)]
pub(in crate::delivery) struct Faults {
    /// Faults of single messages: mailbox and author.
    messages: HashSet<String>,
    kinds: HashMap<Kind, Burst>,
}

/// An account, and the code or text of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    account: String,
    what: String,
}

#[derive(Debug)]
struct Burst {
    since: Instant,
    named: u32,
    /// Mailboxes that were not named.
    more: u64,
}

/// Faults that were only counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct More {
    pub(in crate::delivery) account: String,
    pub(in crate::delivery) what: String,
    pub(in crate::delivery) count: u64,
}

impl Faults {
    /// Whether the fault of a single message is new.
    pub(in crate::delivery) fn of_message(&mut self, entry: &Claimed) -> Notice {
        if self.messages.len() >= MOST {
            self.messages.clear();
        }
        let who = format!("{} {:?}", entry.destination, entry.author);
        match self.messages.insert(who) {
            true => Notice::New,
            false => Notice::Known,
        }
    }

    /// Whether a fault is logged by itself. If not, it is counted.
    pub(in crate::delivery) fn is_named(
        &mut self,
        account: &str,
        what: &str,
        now: Instant,
    ) -> bool {
        if self.kinds.len() >= MOST {
            self.kinds.clear();
        }
        let kind = Kind {
            account: account.to_owned(),
            what: what.to_owned(),
        };
        let burst = self.kinds.entry(kind).or_insert(Burst {
            since: now,
            named: 0,
            more: 0,
        });
        if burst.named < NAMED {
            burst.named += 1;
            return true;
        }
        burst.more += 1;
        false
    }

    /// The counts to log now. A kind that has become rare is named again.
    pub(in crate::delivery) fn counted(&mut self, now: Instant) -> Vec<More> {
        let mut counted = Vec::new();
        self.kinds.retain(|kind, burst| {
            if now < burst.since + COUNTED_EVERY {
                return true;
            }
            let count = std::mem::take(&mut burst.more);
            burst.since = now;
            if count > 0 {
                counted.push(More {
                    account: kind.account.clone(),
                    what: kind.what.clone(),
                    count,
                });
            }
            count > 0
        });
        counted
    }

    /// When counted faults are to be logged.
    pub(in crate::delivery) fn next(&self) -> Option<Instant> {
        let counted = self.kinds.values().filter(|burst| burst.more > 0);
        counted.map(|burst| burst.since + COUNTED_EVERY).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_many_mailboxes_names_a_few_and_counts_the_others() {
        let (mut faults, start) = (Faults::default(), Instant::now());
        let minute = start + COUNTED_EVERY;

        let named = (0..1000).filter(|_| faults.is_named("a", "404", start));
        assert_eq!(named.count(), 5);
        assert!(faults.is_named("a", "403", start), "another kind");
        assert!(faults.is_named("b", "404", start), "another account");

        assert_eq!(faults.counted(start), []);
        assert_eq!(faults.next(), Some(minute));
        let more = More {
            account: "a".to_owned(),
            what: "404".to_owned(),
            count: 995,
        };
        assert_eq!(faults.counted(minute), [more]);
        assert!(!faults.is_named("a", "404", minute), "it goes on");
        assert_eq!(faults.counted(minute + COUNTED_EVERY).len(), 1);
        assert_eq!(faults.counted(minute + 2 * COUNTED_EVERY), []);
        assert!(faults.is_named("a", "404", minute), "it has become rare");
    }
}
