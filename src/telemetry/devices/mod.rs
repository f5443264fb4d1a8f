//! Who sends mail through this relay: for each client address, and for each user as whom it
//! authenticates, what came of its messages and how it behaves.
//!
//! - Mail does not wait for it: it is counted in memory, and written to a file every
//!   [`SAVED_EVERY`] and when the relay stops (`file.rs`). A crash loses the last seconds.
//! - It is bounded, and hostile clients do not push out devices that send: `pool.rs`.
//! - It never contains passwords or content: `record.rs`.

mod file;
mod pool;
mod record;

use std::cmp::Reverse;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::pool::Pools;
pub use self::record::Counts;
pub use self::record::Device;
pub use self::record::LastRefusal;
pub use self::record::Settled;
pub use self::record::Sighting;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::spool::RefusedMail;

/// How often the devices are written to disk, if something has changed.
pub const SAVED_EVERY: Duration = Duration::from_secs(10);

/// After so many times they are written even if nothing has changed.
const ROUNDS: u64 = file::WRITTEN_EVERY.as_secs() / SAVED_EVERY.as_secs();

/// The devices; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Devices {
    pools: Arc<Mutex<Pools>>,
    /// Where they are kept; nowhere in unit tests.
    folder: Option<Arc<PathBuf>>,
}

impl Devices {
    /// Those of the last run, from their file in this folder. Blocks while it is read.
    pub fn load(folder: &Path, now: Timestamp) -> Self {
        let devices = file::read(folder, now).unwrap_or_else(|aside| {
            let (reason, path) = (aside.reason, aside.path.display());
            warn!(
                event = "devices_set_aside", %reason, %path,
                "the list of devices cannot be read: it was set aside, and begins again"
            );
            Vec::new()
        });
        Self {
            pools: Arc::new(Mutex::new(Pools::of(devices))),
            folder: Some(Arc::new(folder.to_owned())),
        }
    }

    /// A message of this client was accepted; `senders` are the addresses that it is from.
    pub fn accepted(&self, sighting: &Sighting, senders: &[&str], now: Timestamp) {
        self.pools().accepted(sighting, senders, now);
    }

    /// Something of this client was refused.
    pub fn refused(&self, sighting: &Sighting, refusal: &RefusedMail, now: Timestamp) {
        self.pools().refused(sighting, refusal, now);
    }

    /// A session with this client has ended.
    pub fn ended(&self, sighting: &Sighting, now: Timestamp) {
        self.pools().ended(sighting, now);
    }

    /// A message that had come from this client has ended.
    pub fn settled(&self, client: IpAddr, user: Option<&str>, settled: Settled, now: Timestamp) {
        self.pools().settled(client, user, settled, now);
    }

    /// Forgets a device until it sends again, or is refused again; an IPv6 address stands for
    /// its /64. Returns whether there was one.
    pub fn forget(&self, client: IpAddr, user: Option<&str>) -> bool {
        self.pools().forget(client, user)
    }

    /// All of them as they are now, the one that was seen last first.
    pub fn list(&self, now: Timestamp) -> Vec<Device> {
        let all = self.pools().all();
        let mut all: Vec<Device> = all.iter().map(|device| device.as_of(now)).collect();
        all.sort_by_key(|device| Reverse(device.last_seen_at));
        all
    }

    /// Writes them to disk every [`SAVED_EVERY`] until `stop`.
    pub async fn keep(self, clock: Clock, stop: CancellationToken) {
        let mut is_written = true;
        let mut rounds = 0;
        loop {
            rounds = (rounds + 1) % ROUNDS;
            if rounds == 0 {
                self.pools().is_unsaved();
            }
            tokio::select! {
                () = tokio::time::sleep(SAVED_EVERY) => {}
                () = stop.cancelled() => return,
            }
            is_written = self.save(is_written, clock.now()).await;
        }
    }

    /// Writes them to disk if something has changed; whether that went well. A failure is
    /// logged once if it did before.
    pub async fn save(&self, went_well: bool, now: Timestamp) -> bool {
        let Some(folder) = self.folder.clone() else {
            return true;
        };
        let Some(devices) = self.pools().take_changed() else {
            return went_well;
        };
        let written =
            tokio::task::spawn_blocking(move || file::write(&folder, &devices, now)).await;
        let reason = match written {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.pools().is_unsaved();
        if went_well {
            warn!(
                event = "devices_not_saved", %reason,
                "the list of devices cannot be written; the relay tries again"
            );
        }
        false
    }

    fn pools(&self) -> MutexGuard<'_, Pools> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::record::tests::at_day;
    use super::record::tests::sighting;
    use super::*;

    #[tokio::test]
    async fn a_damaged_list_of_devices_is_set_aside_and_the_next_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices.json");
        for damaged in ["", "{\"format\":1,\"devi", "{\"format\":9,\"devices\":[]}"] {
            std::fs::write(&path, damaged).unwrap();

            let devices = Devices::load(folder.path(), at_day(1));

            assert!(devices.list(at_day(1)).is_empty(), "{damaged}");
            let aside = folder.path().join("devices.json.damaged");
            assert_eq!(std::fs::read_to_string(aside).unwrap(), damaged);
            assert!(!path.exists());
        }

        let devices = Devices::load(folder.path(), at_day(1));
        let seen = sighting([192, 0, 2, 1].into(), Some("printer"));
        devices.accepted(&seen, &["printer@contoso.com"], at_day(1));
        assert!(devices.save(true, at_day(1)).await);
        let again = Devices::load(folder.path(), at_day(1));
        assert_eq!(again.list(at_day(1)), devices.list(at_day(1)));
        assert_eq!(again.list(at_day(1)).len(), 1);
    }

    #[tokio::test]
    async fn a_list_that_is_read_days_later_makes_no_device_silent() {
        let folder = tempfile::tempdir().unwrap();
        let devices = Devices::load(folder.path(), at_day(1));
        let seen = sighting([192, 0, 2, 1].into(), Some("printer"));
        for day in 1..=5 {
            devices.accepted(&seen, &[], at_day(day));
        }
        assert!(devices.save(true, at_day(6)).await);

        let again = Devices::load(folder.path(), at_day(30));

        let silent = |day| again.list(at_day(day))[0].silent_for(at_day(day));
        assert_eq!(silent(31), None);
        assert!(silent(33).is_some());
    }

    #[tokio::test]
    async fn devices_that_could_not_be_saved_are_saved_later() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let devices = Devices::load(&data, at_day(1));
        devices.accepted(&sighting([192, 0, 2, 1].into(), None), &[], at_day(1));
        assert!(!devices.save(true, at_day(1)).await);

        std::fs::create_dir(&data).unwrap();

        assert!(devices.save(false, at_day(1)).await);
        assert_eq!(Devices::load(&data, at_day(1)).list(at_day(1)).len(), 1);
    }
}
