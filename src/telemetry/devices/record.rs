//! What is known of one device, and how that changes with what it does.
//!
//! Everything in it is bounded, whatever the device sends: texts are cut, lists have a
//! largest length.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::spool::RefusedMail;

/// Sender addresses that are kept, the last ones.
const SENDERS: usize = 10;
/// Deviations that are kept.
const QUIRKS: usize = 30;
/// Bytes of a text that are kept.
const LONGEST: usize = 400;
/// A device that sends regularly counts as silent after this time without a message.
const SILENT: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Days with messages that make a device one that sends regularly.
const REGULAR_DAYS: u32 = 3;
/// Days that a clock may be set back without being thought to have been wrong before.
const AHEAD: i64 = 2;
/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// What a session has shown of its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The address of the client.
    pub client: IpAddr,
    /// What it called itself.
    pub hello: Option<String>,
    /// Who authenticated.
    pub user: Option<String>,
    /// The version of TLS, if it has TLS.
    pub tls: Option<&'static str>,
    /// How it authenticated.
    pub authentication: Option<&'static str>,
    /// The address of the listener, as in relay.toml.
    pub listener: String,
    /// Deviations from the standards that were tolerated.
    pub quirks: BTreeSet<&'static str>,
    /// The address for which its last message was refused.
    pub about: Option<String>,
}

impl Sighting {
    /// A client that has just connected to a listener.
    pub fn at(client: IpAddr, listener: String) -> Self {
        Self {
            client,
            hello: None,
            user: None,
            tls: None,
            authentication: None,
            listener,
            quirks: BTreeSet::new(),
            about: None,
        }
    }
}

/// A client that sends mail, or tries to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its last address.
    pub client: IpAddr,
    /// The user as whom it authenticates.
    pub user: Option<String>,
    /// What it called itself last.
    pub hello: Option<String>,
    /// When it was seen first.
    pub first_seen_at: Timestamp,
    /// When it was seen last.
    pub last_seen_at: Timestamp,
    /// When its last message was accepted.
    pub last_accepted_at: Option<Timestamp>,
    /// Its messages since it is known.
    pub messages: Counts,
    /// Its messages of the day (UTC) that `day` names.
    pub today: Counts,
    /// Days since 1970.
    day: i64,
    /// The days with accepted messages: the last one, and the 64 up to it, one bit each.
    #[serde(default)]
    sent: (i64, u64),
    /// The version of TLS that it used last; none without TLS.
    pub tls: Option<String>,
    /// How it authenticated last; none without AUTH.
    pub authentication: Option<String>,
    /// Its deviations from the standards that were tolerated.
    pub quirks: BTreeSet<String>,
    /// The addresses as which it sent, the last one first.
    pub senders: Vec<String>,
    /// Its last refusal.
    pub last_refusal: Option<LastRefusal>,
    /// Whether that came after its last accepted message; not known in lists of 0.2.0.
    #[serde(default)]
    is_refused: Option<bool>,
    /// Milliseconds since its last accepted message for which the relay did not run.
    #[serde(default)]
    off_ms: u64,
}

/// How many messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Accepted.
    pub accepted: u64,
    /// Delivered to Microsoft 365.
    pub delivered: u64,
    /// Failed for good.
    pub failed: u64,
    /// Messages, recipients and connections that were refused.
    pub refused: u64,
}

/// Why a device was refused last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRefusal {
    /// When that was.
    pub at: Timestamp,
    /// What it was told; empty if it was not told anything.
    pub reply: String,
    /// What it need not know.
    pub cause: String,
    /// What an administrator can do.
    pub remedy: String,
    /// The address of the listener, as in relay.toml.
    pub listener: String,
    /// Argument of MAIL.
    pub sender: Option<String>,
    /// Argument of RCPT.
    pub recipient: Option<String>,
    /// The address in the header section for which a message was refused.
    #[serde(default)]
    pub about: Option<String>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Delivered to Microsoft 365.
    Delivered,
    /// Failed for good.
    Failed,
}

impl Device {
    pub(super) fn new(client: IpAddr, user: Option<&str>, now: Timestamp) -> Self {
        Self {
            client: client.to_canonical(),
            user: user.map(cut),
            hello: None,
            first_seen_at: now,
            last_seen_at: now,
            last_accepted_at: None,
            messages: Counts::default(),
            today: Counts::default(),
            day: day(now),
            sent: (day(now), 0),
            tls: None,
            authentication: None,
            quirks: BTreeSet::new(),
            senders: Vec::new(),
            last_refusal: None,
            is_refused: None,
            off_ms: 0,
        }
    }

    /// Whether a message of it was ever accepted.
    pub fn is_sender(&self) -> bool {
        self.messages.accepted > 0
    }

    /// Whether it has sent on several days.
    pub fn is_regular(&self) -> bool {
        self.sent.1.count_ones() >= REGULAR_DAYS
    }

    /// Whether nothing was accepted since it was refused last.
    pub fn is_refused(&self) -> bool {
        // Which came last is not read from the times, since clocks are set.
        self.is_refused.unwrap_or_else(|| {
            let refused_at = self.last_refusal.as_ref().map(|refusal| refusal.at);
            refused_at.is_some() && refused_at > self.last_accepted_at
        })
    }

    /// For how long a device that sends regularly has sent nothing, if that is longer than
    /// it ever was silent before, and three days at least. It could send nothing while the
    /// relay did not run.
    pub fn silent_for(&self, now: Timestamp) -> Option<Duration> {
        let off = Duration::from_millis(self.off_ms);
        let silent = now.since(self.last_accepted_at?).saturating_sub(off);
        let usual = u64::from(longest_gap(self.sent.1)) * DAY.unsigned_abs() / 1000;
        let is_silent = silent >= SILENT && silent.as_secs() > usual;
        (self.is_regular() && is_silent).then_some(silent)
    }

    /// The relay did not run for this long.
    pub(super) fn relay_was_off(&mut self, off: Duration) {
        let off = u64::try_from(off.as_millis()).unwrap_or(u64::MAX);
        self.off_ms = self.off_ms.saturating_add(off);
    }

    /// The same as it is now: another day has other counts.
    pub(super) fn as_of(&self, now: Timestamp) -> Self {
        let mut device = self.clone();
        device.turn_day(now);
        device
    }

    /// The device was seen in a session.
    pub(super) fn saw(&mut self, sighting: &Sighting, now: Timestamp) {
        self.turn_day(now);
        self.client = sighting.client.to_canonical();
        self.last_seen_at = now;
        if let Some(hello) = &sighting.hello {
            self.hello = Some(cut(hello));
        }
        for quirk in &sighting.quirks {
            if self.quirks.len() < QUIRKS {
                self.quirks.insert((*quirk).to_owned());
            }
        }
    }

    /// A message was accepted that came from these addresses.
    pub(super) fn accepted(&mut self, sighting: &Sighting, senders: &[&str], now: Timestamp) {
        self.saw(sighting, now);
        self.tls = sighting.tls.map(str::to_owned);
        self.authentication = sighting.authentication.map(str::to_owned);
        self.count(|counts| add(&mut counts.accepted, 1));
        self.last_accepted_at = Some(now);
        (self.is_refused, self.off_ms) = (Some(false), 0);
        let (last, days) = self.sent;
        let today = later_day(day(now), last);
        let later = u32::try_from(today.saturating_sub(last)).unwrap_or(match today < last {
            true => 0,
            false => u32::MAX,
        });
        self.sent = (today, days.checked_shl(later).unwrap_or(0) | 1);
        for sender in senders.iter().filter(|sender| !sender.is_empty()) {
            let sender = cut(sender);
            self.senders.retain(|known| *known != sender);
            self.senders.insert(0, sender);
        }
        self.senders.truncate(SENDERS);
    }

    /// Something was refused.
    pub(super) fn refused(&mut self, sighting: &Sighting, refusal: &RefusedMail, now: Timestamp) {
        self.saw(sighting, now);
        if !self.is_sender() {
            self.tls = sighting.tls.map(str::to_owned);
            self.authentication = sighting.authentication.map(str::to_owned);
        }
        let times = 1 + u64::from(refusal.others);
        self.count(|counts| add(&mut counts.refused, times));
        self.is_refused = Some(true);
        self.last_refusal = Some(LastRefusal {
            at: now,
            reply: cut(&refusal.reply),
            cause: cut(&refusal.cause),
            remedy: cut(&refusal.remedy),
            listener: cut(&sighting.listener),
            sender: refusal.sender.as_deref().map(cut),
            recipient: refusal.recipient.as_deref().map(cut),
            about: sighting.about.as_deref().map(cut),
        });
    }

    /// A message of it has ended.
    pub(super) fn settled(&mut self, settled: Settled, now: Timestamp) {
        self.turn_day(now);
        self.count(|counts| match settled {
            Settled::Delivered => add(&mut counts.delivered, 1),
            Settled::Failed => add(&mut counts.failed, 1),
        });
    }

    /// It turns out to be a user of this name.
    pub(super) fn is_now(&mut self, user: Option<&str>) {
        self.user = user.map(cut);
    }

    fn count(&mut self, count: impl Fn(&mut Counts)) {
        count(&mut self.messages);
        count(&mut self.today);
    }

    fn turn_day(&mut self, now: Timestamp) {
        let today = later_day(day(now), self.day);
        if today != self.day {
            self.day = today;
            self.today = Counts::default();
        }
    }
}

/// Adds to a counter, which may come from a file that somebody has edited.
fn add(counter: &mut u64, more: u64) {
    *counter = counter.saturating_add(more);
}

/// Today, where the last day with something was this one. A clock that was set back a little
/// counts to the same day; one that had been far ahead is right now.
fn later_day(today: i64, last: i64) -> i64 {
    match today.saturating_add(AHEAD) < last {
        true => today,
        false => today.max(last),
    }
}

fn day(now: Timestamp) -> i64 {
    now.millis().div_euclid(DAY)
}

/// The most days between two days with messages.
fn longest_gap(days: u64) -> u32 {
    let (mut gap, mut longest, mut left) = (0, 0, days);
    while left != 0 {
        match left & 1 {
            0 => gap += 1,
            _ => gap = 1,
        }
        longest = longest.max(gap);
        left >>= 1;
    }
    longest
}

/// A text that is not too long.
fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::telemetry::devices) fn sighting(client: IpAddr, user: Option<&str>) -> Sighting {
        Sighting {
            hello: Some("device".to_owned()),
            user: user.map(str::to_owned),
            ..Sighting::at(client, "127.0.0.1:2525".to_owned())
        }
    }

    pub(in crate::telemetry::devices) fn at_day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * DAY)
    }

    fn sends(device: &mut Device, days: impl IntoIterator<Item = i64>) {
        let seen = sighting(device.client, None);
        for day in days {
            device.accepted(&seen, &["a@contoso.com"], at_day(day));
        }
    }

    fn device() -> Device {
        Device::new([192, 0, 2, 1].into(), None, at_day(100))
    }

    #[test]
    fn a_device_that_sent_every_day_is_silent_after_three_days() {
        let mut device = device();
        sends(&mut device, 100..110);

        assert_eq!(device.silent_for(at_day(111)), None);
        assert_eq!(device.silent_for(at_day(112)), Some(SILENT));
        assert!(device.silent_for(at_day(200)).is_some());
        sends(&mut device, [200]);
        assert_eq!(device.silent_for(at_day(200)), None);
    }

    #[test]
    fn a_device_that_sends_once_a_week_is_silent_after_more_than_a_week() {
        let mut device = device();
        sends(&mut device, [100, 107, 114]);

        assert_eq!(device.silent_for(at_day(121)), None);
        assert!(device.silent_for(at_day(122)).is_some());
    }

    #[test]
    fn a_device_that_sent_on_two_days_is_never_silent() {
        let mut device = device();
        sends(&mut device, [100, 101]);

        assert_eq!(device.silent_for(at_day(150)), None);
    }

    #[test]
    fn another_day_begins_with_no_messages_and_a_clock_that_is_set_back_does_not() {
        let mut device = device();
        sends(&mut device, [100, 100, 101]);
        device.settled(Settled::Delivered, at_day(101));
        device.settled(Settled::Failed, at_day(99));

        let today = device.as_of(at_day(101)).today;
        assert_eq!((today.accepted, today.delivered, today.failed), (1, 1, 1));
        assert_eq!(device.as_of(at_day(102)).today, Counts::default());
        assert_eq!(device.messages.accepted, 3);
    }

    #[test]
    fn a_device_is_not_silent_because_the_relay_did_not_run() {
        let mut device = device();
        sends(&mut device, 100..110);
        device.relay_was_off(SILENT * 3);

        assert_eq!(device.silent_for(at_day(120)), None);
        assert_eq!(device.silent_for(at_day(121)), Some(SILENT));
        sends(&mut device, [121]);
        assert_eq!(device.silent_for(at_day(124)), None);
        assert!(device.silent_for(at_day(134)).is_some());
    }

    #[test]
    fn a_clock_that_was_years_ahead_leaves_nothing_behind() {
        let mut device = device();
        let seen = sighting(device.client, None);
        sends(&mut device, [100, 101, 102, 9000]);
        device.refused(&seen, &RefusedMail::default(), at_day(103));

        assert!(device.is_refused());
        assert_eq!(device.as_of(at_day(104)).today, Counts::default());
        sends(&mut device, [104, 105, 106]);
        assert!(!device.is_refused());
        assert!(device.is_regular());
        assert!(device.silent_for(at_day(110)).is_some());
    }

    #[test]
    fn numbers_of_a_damaged_list_stop_no_message() {
        let mut device = device();
        device.messages.accepted = u64::MAX;
        for day in [i64::MIN, i64::MAX] {
            (device.sent, device.day) = ((day, u64::MAX), day);
            sends(&mut device, [100]);
            assert_eq!(device.as_of(at_day(100)).today.accepted, 1);
        }
        assert_eq!(device.messages.accepted, u64::MAX);
    }

    #[test]
    fn texts_and_lists_of_a_device_are_bounded() {
        let mut device = device();
        let mut seen = sighting(device.client, None);
        seen.hello = Some("ä".repeat(1000));
        for n in 0..100 {
            let (sender, at) = (format!("{n}@contoso.com"), at_day(100));
            device.accepted(&seen, &[&sender, ""], at);
        }

        assert_eq!(device.hello.unwrap().len(), LONGEST);
        assert_eq!(device.senders.len(), SENDERS);
        assert_eq!(device.senders[0], "99@contoso.com");
    }
}
