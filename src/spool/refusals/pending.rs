//! Refusals that are not written yet, and the recent ones, which count up when the same
//! happens again.

use std::collections::HashMap;
use std::time::Duration;

use super::Refusal;
use super::Refused;
use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::mail::Client;
use crate::mail::SpoolId;

/// The same within this time is one row.
const SAME: Duration = Duration::from_secs(10 * 60);
const MINUTE: Duration = Duration::from_secs(60);
/// New rows of one client in a minute.
const OF_A_CLIENT: u32 = 30;
/// New rows in a minute.
const OF_ALL: u32 = 300;

/// What is known of the last minutes.
#[derive(Debug)]
pub(in crate::spool) struct Pending {
    recent: HashMap<Key, Recent>,
    /// When the minute began that these are of.
    minute: RunningTime,
    rows: u32,
    clients: HashMap<Client, u32>,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            recent: HashMap::new(),
            minute: RunningTime::START,
            rows: 0,
            clients: HashMap::new(),
        }
    }
}

/// What makes two refusals the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    client: Option<Client>,
    sender: Option<String>,
    recipient: Option<String>,
    subject: Option<String>,
    reply: String,
    is_counted_only: bool,
}

#[derive(Debug)]
struct Recent {
    row: Refused,
    since: RunningTime,
    is_written: bool,
}

impl Pending {
    /// Notes a refusal; a new row gets an id.
    pub(super) fn note(&mut self, refusal: Refusal, now: Moment, new_id: impl FnOnce() -> SpoolId) {
        let client = refusal.client.map(Client::at);
        let key = |refusal: &Refusal, is_counted_only| Key {
            client: refusal.client.map(Client::at),
            sender: refusal.sender.clone(),
            recipient: refusal.recipient.clone(),
            subject: refusal.subject.clone(),
            reply: refusal.reply.clone(),
            is_counted_only,
        };
        let own = key(&refusal, false);
        if self.is_repeated(&own, now, SAME) {
            return;
        }
        let (refusal, key) = match self.may_be_new(client, now) {
            true => (refusal, own),
            false => {
                let counted = self.counted(&refusal);
                let key = key(&counted, true);
                (counted, key)
            }
        };
        if self.is_repeated(&key, now, MINUTE) {
            return;
        }
        let row = Refused {
            id: new_id(),
            last_at: now.at,
            times: 1,
            refusal,
            is_counted_only: key.is_counted_only,
        };
        let recent = Recent {
            row,
            since: now.running,
            is_written: false,
        };
        self.recent.insert(key, recent);
    }

    /// Counts what has happened before.
    fn is_repeated(&mut self, key: &Key, now: Moment, same: Duration) -> bool {
        let Some(recent) = self.recent.get_mut(key) else {
            return false;
        };
        if now.running.since(recent.since) >= same {
            return false;
        }
        recent.row.times = recent.row.times.saturating_add(1);
        recent.row.last_at = now.at;
        recent.is_written = false;
        true
    }

    fn may_be_new(&mut self, client: Option<Client>, now: Moment) -> bool {
        if now.running.since(self.minute) >= MINUTE {
            self.minute = now.running;
            self.rows = 0;
            self.clients.clear();
        }
        if self.rows >= OF_ALL {
            return false;
        }
        if let Some(client) = client {
            let rows = self.clients.entry(client).or_default();
            if *rows >= OF_A_CLIENT {
                return false;
            }
            *rows += 1;
        }
        self.rows += 1;
        true
    }

    /// Stands for refusals that get no rows of their own: those of a client that has had
    /// its share, or those of all.
    fn counted(&self, refusal: &Refusal) -> Refusal {
        Refusal {
            client: refusal.client.filter(|_| self.rows < OF_ALL),
            ..Refusal::default()
        }
    }

    /// The rows to write now. Forgets what cannot be the same as anything any more.
    pub(super) fn take(&mut self, now: RunningTime) -> Vec<Refused> {
        let mut rows = Vec::new();
        self.recent.retain(|_, recent| {
            if !recent.is_written {
                rows.push(recent.row.clone());
                recent.is_written = true;
            }
            now.since(recent.since) < SAME
        });
        rows
    }

    /// These could not be written.
    pub(super) fn take_back(&mut self, failed: &[SpoolId]) {
        for recent in self.recent.values_mut() {
            if failed.contains(&recent.row.id) {
                recent.is_written = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::clock::Timestamp;

    fn at(seconds: u64) -> Moment {
        Moment {
            at: Timestamp::from_millis(0) + Duration::from_secs(seconds),
            running: RunningTime::START + Duration::from_secs(seconds),
        }
    }

    fn refusal(client: [u8; 4], recipient: &str) -> Refusal {
        Refusal {
            client: Some(IpAddr::from(client)),
            recipient: Some(recipient.to_owned()),
            reply: "550 5.7.1 no".to_owned(),
            ..Refusal::default()
        }
    }

    fn note(pending: &mut Pending, refusal: Refusal, now: Moment) {
        pending.note(refusal, now, || SpoolId::generate(now.at));
    }

    #[test]
    fn repeated_refusals_are_one_row_with_a_number() {
        let mut pending = Pending::default();
        for second in 0..100 {
            note(&mut pending, refusal([192, 0, 2, 1], "a"), at(second));
        }
        note(&mut pending, refusal([192, 0, 2, 1], "b"), at(100));

        let mut rows = pending.take(at(100).running);
        rows.sort_by_key(|row| row.times);
        let times: Vec<u32> = rows.iter().map(|row| row.times).collect();
        assert_eq!(times, [1, 100]);
        assert!(pending.take(at(101).running).is_empty());

        note(&mut pending, refusal([192, 0, 2, 1], "a"), at(102));
        let again = pending.take(at(102).running);
        assert_eq!((again[0].id, again[0].times), (rows[1].id, 101));
        note(&mut pending, refusal([192, 0, 2, 1], "a"), at(700));
        assert_eq!(pending.take(at(700).running)[0].times, 1);
    }

    #[test]
    fn a_client_has_so_many_rows_a_minute_and_the_others_still_have_theirs() {
        let mut pending = Pending::default();
        for n in 0..1000 {
            note(
                &mut pending,
                refusal([192, 0, 2, 1], &format!("r{n}")),
                at(0),
            );
        }
        note(&mut pending, refusal([192, 0, 2, 2], "a"), at(0));

        let rows = pending.take(at(0).running);
        assert_eq!(rows.len(), 30 + 1 + 1);
        let counted: Vec<_> = rows.iter().filter(|row| row.is_counted_only).collect();
        assert_eq!((counted.len(), counted[0].times), (1, 970));
        assert_eq!(counted[0].refusal.client, Some([192, 0, 2, 1].into()));

        for n in 0..100_000_u32 {
            let [_, a, b, c] = n.to_be_bytes();
            note(&mut pending, refusal([10, a, b, c], "a"), at(0));
        }
        assert_eq!(pending.recent.len(), 302);
        note(&mut pending, refusal([192, 0, 2, 3], "a"), at(61));
        assert_eq!(pending.recent.len(), 303);
    }

    #[test]
    fn rows_that_could_not_be_written_are_written_later() {
        let mut pending = Pending::default();
        note(&mut pending, refusal([192, 0, 2, 1], "a"), at(0));
        let rows = pending.take(at(0).running);

        pending.take_back(&[rows[0].id]);

        assert_eq!(pending.take(at(1).running), rows);
    }
}
