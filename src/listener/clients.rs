//! What each client has done: messages of the last minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::time::Instant;

/// All clients; clones share what is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    messages: HashMap<IpAddr, Bucket>,
}

/// Messages that a client may still send (a token bucket of one minute).
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// Clients that are remembered at once, for their messages and what was told.
const REMEMBERED: usize = 10_000;

impl Clients {
    /// Whether the client may send another message, which is then counted.
    pub(super) fn may_send(&self, client: IpAddr, per_minute: u32) -> bool {
        let full = f64::from(per_minute);
        let now = Instant::now();
        let left = |bucket: &Bucket| {
            let minutes = (now - bucket.at).as_secs_f64() / 60.0;
            (bucket.left + minutes * full).min(full)
        };
        let mut known = self.known();
        if known.messages.len() >= REMEMBERED {
            known.messages.retain(|_, bucket| left(bucket) < full);
        }
        let fresh = Bucket {
            left: full,
            at: now,
        };
        let bucket = known.messages.entry(client).or_insert(fresh);
        let left = left(bucket);
        let may = left >= 1.0;
        *bucket = Bucket {
            left: if may { left - 1.0 } else { left },
            at: now,
        };
        may
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn a_client_may_send_so_many_messages_a_minute() {
        let clients = Clients::default();
        let other = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        for _ in 0..3 {
            assert!(clients.may_send(CLIENT, 3));
        }
        assert!(!clients.may_send(CLIENT, 3));
        assert!(clients.may_send(other, 3));

        tokio::time::advance(Duration::from_secs(21)).await;

        assert!(clients.may_send(CLIENT, 3));
        assert!(!clients.may_send(CLIENT, 3));
    }
}
