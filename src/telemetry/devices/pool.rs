//! The devices that are remembered, in two pools with bounds.
//!
//! A client that was never accepted is in the smaller one, so that no number of hostile
//! clients pushes out a device that sends. Of the devices that send, one that has sent on
//! few days goes first, then the one that was seen the longest ago.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::record::Device;
use super::record::Settled;
use super::record::Sighting;
use crate::clock::Timestamp;
use crate::mail::Client;
use crate::spool::RefusedMail;

/// Devices of which a message was accepted.
const SENDERS: usize = 1000;
/// Clients of which no message was accepted.
const STRANGERS: usize = 200;
/// The part by which a pool may be larger before it is made smaller.
const SLACK: usize = 10;

type Devices = BTreeMap<Key, Arc<Device>>;

/// A client (an IPv4 address, or a /64), and the user as whom it authenticates.
type Key = (Client, Option<String>);

#[derive(Debug, Default)]
pub(super) struct Pools {
    senders: Devices,
    strangers: Devices,
    /// Whether something has changed since [`Pools::take_changed`].
    is_changed: bool,
}

impl Pools {
    /// Those that were saved, as far as there is room.
    pub(super) fn of(saved: Vec<Device>) -> Self {
        let mut pools = Self::default();
        for device in saved {
            let key = (Client::at(device.client), device.user.clone());
            let (pool, most) = match device.is_sender() {
                true => (&mut pools.senders, SENDERS),
                false => (&mut pools.strangers, STRANGERS),
            };
            if pool.len() < most {
                pool.insert(key, Arc::new(device));
            }
        }
        pools
    }

    pub(super) fn all(&self) -> Vec<Arc<Device>> {
        let all = self.senders.values().chain(self.strangers.values());
        all.cloned().collect()
    }

    /// All of them, if something has changed since the last call.
    pub(super) fn take_changed(&mut self) -> Option<Vec<Arc<Device>>> {
        std::mem::take(&mut self.is_changed).then(|| self.all())
    }

    /// They could not be saved.
    pub(super) fn is_unsaved(&mut self) {
        self.is_changed = true;
    }

    pub(super) fn accepted(&mut self, sighting: &Sighting, senders: &[&str], now: Timestamp) {
        self.is_changed = true;
        let key = key(sighting);
        if !self.senders.contains_key(&key) {
            let device = self.newcomer(&key, sighting.client, now);
            make_room(&mut self.senders, SENDERS);
            self.senders.insert(key.clone(), device);
        }
        if let Some(device) = self.senders.get_mut(&key) {
            Arc::make_mut(device).accepted(sighting, senders, now);
        }
    }

    pub(super) fn refused(&mut self, sighting: &Sighting, refusal: &RefusedMail, now: Timestamp) {
        self.is_changed = true;
        if let Some(device) = self.known_sender(sighting) {
            return device.refused(sighting, refusal, now);
        }
        let key = key(sighting);
        if !self.strangers.contains_key(&key) {
            let device = self.newcomer(&key, sighting.client, now);
            make_room(&mut self.strangers, STRANGERS);
            self.strangers.insert(key.clone(), device);
        }
        if let Some(device) = self.strangers.get_mut(&key) {
            Arc::make_mut(device).refused(sighting, refusal, now);
        }
    }

    /// A session has ended. A client that has neither sent nor been refused is no device.
    pub(super) fn ended(&mut self, sighting: &Sighting, now: Timestamp) {
        if let Some(device) = self.known_sender(sighting) {
            device.saw(sighting, now);
            self.is_changed = true;
        }
    }

    pub(super) fn settled(
        &mut self,
        client: IpAddr,
        user: Option<&str>,
        settled: Settled,
        now: Timestamp,
    ) {
        let key = (Client::at(client), user.map(str::to_owned));
        if let Some(device) = self.senders.get_mut(&key) {
            Arc::make_mut(device).settled(settled, now);
            self.is_changed = true;
        }
    }

    /// Forgets a device; whether there was one.
    pub(super) fn forget(&mut self, client: IpAddr, user: Option<&str>) -> bool {
        let key = (Client::at(client), user.map(str::to_owned));
        let sender = self.senders.remove(&key);
        let stranger = self.strangers.remove(&key);
        let is_known = sender.is_some() || stranger.is_some();
        self.is_changed |= is_known;
        is_known
    }

    /// The device that sends, of which this session is. One that has not authenticated may
    /// be any of that address: it counts for the one that was seen last.
    fn known_sender(&mut self, sighting: &Sighting) -> Option<&mut Device> {
        let own = key(sighting);
        let found = match &own.1 {
            _ if self.senders.contains_key(&own) => own,
            Some(_) => return None,
            None => {
                let of_address = self.senders.range(own.clone()..);
                let of_address = of_address.take_while(|((client, _), _)| *client == own.0);
                let last = of_address.max_by_key(|(_, device)| device.last_seen_at)?;
                last.0.clone()
            }
        };
        self.senders.get_mut(&found).map(Arc::make_mut)
    }

    /// A device that its pool does not have: one that was a stranger, which had no name
    /// while it had not authenticated, or a new one.
    fn newcomer(&mut self, key: &Key, client: IpAddr, now: Timestamp) -> Arc<Device> {
        let user = key.1.as_deref();
        let stranger = self.strangers.remove(key);
        match stranger.or_else(|| self.strangers.remove(&(key.0, None))) {
            Some(mut stranger) => {
                Arc::make_mut(&mut stranger).is_now(user);
                stranger
            }
            None => Arc::new(Device::new(client, user, now)),
        }
    }
}

fn key(sighting: &Sighting) -> Key {
    (Client::at(sighting.client), sighting.user.clone())
}

/// Forgets devices if there are too many: several at a time, since finding the least takes a
/// look at all of them.
fn make_room(pool: &mut Devices, most: usize) {
    if pool.len() < most + most / SLACK {
        return;
    }
    let worth = |device: &Arc<Device>| (device.is_regular(), device.last_seen_at);
    let mut all: Vec<_> = pool.iter().map(|(key, it)| (worth(it), key)).collect();
    all.sort_unstable();
    let least = all.into_iter().take(pool.len() + 1 - most);
    let least: Vec<Key> = least.map(|(_, key)| key.clone()).collect();
    for key in least {
        pool.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::at_day;
    use super::super::record::tests::sighting;
    use super::*;

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()
    }

    fn refusal() -> RefusedMail {
        RefusedMail {
            reply: "554 5.7.1 no".to_owned(),
            ..RefusedMail::default()
        }
    }

    fn refuse(pools: &mut Pools, n: u32, user: Option<&str>, day: i64) {
        pools.refused(&sighting(address(n), user), &refusal(), at_day(day));
    }

    fn accept(pools: &mut Pools, n: u32, user: Option<&str>, day: i64) {
        pools.accepted(&sighting(address(n), user), &[], at_day(day));
    }

    #[test]
    fn ten_thousand_hostile_clients_push_out_no_device_that_sends() {
        let mut pools = Pools::default();
        accept(&mut pools, 0, None, 1);
        for n in 1..=10_000 {
            refuse(&mut pools, n, None, 2);
        }

        assert!((STRANGERS..=STRANGERS + STRANGERS / SLACK).contains(&pools.strangers.len()));
        assert_eq!(pools.senders.len(), 1);
        let last = pools.strangers.last_key_value().unwrap();
        assert_eq!(last.1.client, address(10_000));
    }

    #[test]
    fn clients_that_sent_once_push_out_no_device_that_sends_regularly() {
        let mut pools = Pools::default();
        for day in 1..=3 {
            accept(&mut pools, 0, Some("printer"), day);
        }
        for n in 1..=10_000 {
            accept(&mut pools, n, None, 4);
        }

        assert!((SENDERS..=SENDERS + SENDERS / SLACK).contains(&pools.senders.len()));
        let key = (Client::at(address(0)), Some("printer".to_owned()));
        assert!(pools.senders.contains_key(&key));
    }

    #[test]
    fn a_refused_client_is_the_same_device_when_its_first_message_is_accepted() {
        let mut pools = Pools::default();
        refuse(&mut pools, 1, None, 1);
        refuse(&mut pools, 1, Some("printer"), 1);
        accept(&mut pools, 1, Some("printer"), 2);
        refuse(&mut pools, 1, None, 3);

        let all = pools.all();
        assert_eq!(all.len(), 1);
        let counts = all[0].messages;
        assert_eq!((counts.accepted, counts.refused), (1, 3));
        assert_eq!(all[0].user.as_deref(), Some("printer"));
        assert_eq!(all[0].first_seen_at, at_day(1));
    }

    #[test]
    fn one_address_with_two_users_is_two_devices() {
        let mut pools = Pools::default();
        accept(&mut pools, 1, Some("a"), 1);
        accept(&mut pools, 1, Some("b"), 2);
        pools.settled(address(1), Some("a"), Settled::Delivered, at_day(2));
        pools.settled(address(1), None, Settled::Delivered, at_day(2));
        refuse(&mut pools, 1, None, 3);

        let counts = |user: &str| {
            let key = (Client::at(address(1)), Some(user.to_owned()));
            pools.senders[&key].messages
        };
        assert_eq!((counts("a").delivered, counts("a").refused), (1, 0));
        assert_eq!((counts("b").delivered, counts("b").refused), (0, 1));
    }

    #[test]
    fn a_forgotten_device_comes_back_with_its_next_message_and_nothing_before_it() {
        let mut pools = Pools::default();
        accept(&mut pools, 1, None, 1);
        accept(&mut pools, 1, Some("a"), 1);
        refuse(&mut pools, 2, None, 1);
        pools.take_changed();

        assert!(!pools.forget(address(3), None));
        assert!(pools.take_changed().is_none());
        assert!(pools.forget(address(1), None));
        assert!(pools.forget(address(2), None));
        pools.settled(address(1), None, Settled::Delivered, at_day(2));

        let left = pools.take_changed().unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].user.as_deref(), Some("a"));
        accept(&mut pools, 1, None, 3);
        let key: Key = (Client::at(address(1)), None);
        assert_eq!(pools.senders[&key].first_seen_at, at_day(3));
        assert_eq!(pools.senders[&key].messages.accepted, 1);
    }

    #[test]
    fn a_client_that_only_connects_is_no_device() {
        let mut pools = Pools::default();
        pools.ended(&sighting(address(1), None), at_day(1));
        assert!(pools.all().is_empty());
        assert!(pools.take_changed().is_none());

        accept(&mut pools, 1, None, 1);
        pools.ended(&sighting(address(1), None), at_day(5));
        assert_eq!(pools.all()[0].last_seen_at, at_day(5));
        assert_eq!(pools.take_changed().unwrap().len(), 1);
        assert!(pools.take_changed().is_none());
    }
}
