//! A changed configuration, put in force while the relay runs.
//!
//! | takes effect for the next session | needs a restart |
//! |---|---|
//! | `[[listener]]` but its address, `[tls]`, `[[user]]`, `[limits]` of clients | everything else |
//!
//! Sessions that have begun end by the rules that they began with.

use std::sync::Arc;

use crate::config::Config;
use crate::config::Limits;
use crate::config::Listener;

/// The listeners that run, in their order, with what the new configuration says
/// of their addresses. One that it no longer names stays as it is.
pub(super) fn listeners(running: &[Arc<Listener>], new: &Config) -> Vec<Arc<Listener>> {
    let mut left: Vec<&Listener> = new.listeners.iter().collect();
    let renewed = running.iter().map(|old| {
        // Several may have port 0: each is taken once, in order.
        let same = left.iter().position(|new| new.address == old.address);
        match same.map(|at| left.remove(at)) {
            Some(new) => Arc::new(new.clone()),
            None => Arc::clone(old),
        }
    });
    renewed.collect()
}

/// The keys whose change takes effect at a restart.
pub(super) fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let addresses = |config: &Config| -> Vec<_> {
        let of = |listener: &Listener| listener.address;
        config.listeners.iter().map(of).collect()
    };
    let fixed = |limits: &Limits| (limits.connections, limits.spool_size, limits.free_space);
    let changed = [
        ("hostname", old.hostname != new.hostname),
        ("data_dir", old.data_dir != new.data_dir),
        ("[[listener]] address", addresses(old) != addresses(new)),
        (
            "[limits] connections, spool_size, free_space",
            fixed(&old.limits) != fixed(&new.limits),
        ),
        ("[[account]]", old.accounts != new.accounts),
        ("[delivery]", old.delivery != new.delivery),
        ("[failure]", old.failure_keep != new.failure_keep),
        ("[history]", old.history_keep != new.history_keep),
        ("[http]", old.http != new.http),
        ("[log]", old.log != new.log),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(key, _)| key).collect()
}
