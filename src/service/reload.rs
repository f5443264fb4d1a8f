//! A changed configuration that takes effect while the relay runs.
//!
//! | takes effect at the next command | needs a restart |
//! |---|---|
//! | `[[listener]]` except its address, `[tls]`, `[[user]]`, `[limits]` of clients, `[aliases]` and the domains of recipients, `[history] keep_content` (deletes what is kept for longer) | everything else |
//!
//! Sessions that have begun follow the new rules from their next command on. A session that
//! they no longer allow (its network, user, password, or what the listener requires) ends
//! then with `421`: `listener/access.rs`. If a change would take away something that an open
//! socket needs, the reload is refused as a whole: it takes a restart.

use std::sync::Arc;

use crate::config::Authentication;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::ListenAddress;
use crate::config::Listener;
use crate::config::Tls;
use crate::credentials::CertificateError;
use crate::listener::Rules;

/// Why a configuration cannot take effect while the relay runs.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// The certificate.
    #[error("[tls]: {0}")]
    Tls(#[from] CertificateError),
    /// A listener that the file no longer has stays open until a restart.
    #[error(
        "the [[listener]] {address} is open until a restart and needs {what}, which the file no \
         longer has: restart the relay"
    )]
    StillNeeded {
        /// Its address.
        address: ListenAddress,
        /// The section.
        what: &'static str,
    },
    /// Accounts take effect at a restart.
    #[error("the [[user]] {user} sends through the new [[account]] {account}: restart the relay")]
    NewAccount {
        /// The user.
        user: String,
        /// Its account.
        account: String,
    },
}

/// Checks whether a configuration can take effect while the relay runs.
pub(super) fn check(in_force: &Rules, new: &Config) -> Result<(), ReloadError> {
    let kept = |old: &&Arc<Listener>| !new.listeners.iter().any(|new| new.address == old.address);
    for listener in in_force.listeners.iter().filter(kept) {
        let missing = [
            (listener.tls != Tls::Off && new.tls.is_none(), "[tls]"),
            (
                !matches!(
                    listener.authentication,
                    Authentication::Off | Authentication::Any
                ) && new.users.is_empty(),
                "[[user]]",
            ),
        ];
        if let Some((_, what)) = missing.into_iter().find(|(missing, _)| *missing) {
            let address = listener.address.clone();
            return Err(ReloadError::StillNeeded { address, what });
        }
    }
    for user in &new.users {
        if let Some(account) = &user.account
            && !in_force.accounts.iter().any(|known| known.name == *account)
        {
            return Err(ReloadError::NewAccount {
                user: user.name.clone(),
                account: account.clone(),
            });
        }
    }
    Ok(())
}

/// Returns the running listeners, in their order, with the new settings for their
/// addresses. One that the new configuration no longer has stays as it is.
pub(super) fn listeners(running: &[Arc<Listener>], new: &Config) -> Vec<Arc<Listener>> {
    let mut left: Vec<&Listener> = new.listeners.iter().collect();
    let renewed = running.iter().map(|old| {
        let same = left.iter().position(|new| new.address == old.address);
        let new = same.and_then(|at| match &old.address {
            // Several may have port 0: each is used once, in order.
            ListenAddress::Socket(_) => Some(left.remove(at)),
            // systemd may pass several sockets with one name.
            ListenAddress::Systemd(_) => left.get(at).copied(),
        });
        new.map_or_else(|| Arc::clone(old), |new| Arc::new(new.clone()))
    });
    renewed.collect()
}
