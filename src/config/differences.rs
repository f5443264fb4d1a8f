//! Compares two configurations: which changes take effect at a reload, which at a restart.

use super::Account;
use super::Config;
use super::Limits;
use super::Listener;

impl Config {
    /// Returns the keys that differ from `new` and take effect only at a restart.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let addresses = |config: &Self| -> Vec<_> {
            let of = |listener: &Listener| listener.address.clone();
            config.listeners.iter().map(of).collect()
        };
        let fixed = |limits: &Limits| (limits.spool_size, limits.free_space);
        let failure = |config: &Self| (config.failure_notify.clone(), config.failure_keep);
        let history = |config: &Self| (config.history_keep, config.history_subjects);
        // The sandbox sets `inbox`, which is not in the file.
        let admin = |config: &Self| (config.admin.metrics, config.admin.page.clone());
        // This follows from limits.message_size; an account checks its permissions by it.
        let accounts = |config: &Self| -> Vec<Account> {
            let of = |account: &Account| Account {
                needs_drafts: false,
                ..account.clone()
            };
            config.accounts.iter().map(of).collect()
        };
        let changed = [
            ("hostname", self.hostname != new.hostname),
            ("data_dir", self.data_dir != new.data_dir),
            ("[[listener]] address", addresses(self) != addresses(new)),
            (
                "[limits] spool_size, free_space",
                fixed(&self.limits) != fixed(&new.limits),
            ),
            ("[[account]]", accounts(self) != accounts(new)),
            ("[received]", self.received_client != new.received_client),
            ("[[sender]]", self.senders != new.senders),
            ("[delivery]", self.delivery != new.delivery),
            ("[failure]", failure(self) != failure(new)),
            ("[history] keep, subjects", history(self) != history(new)),
            ("[http]", self.http != new.http),
            ("[admin]", admin(self) != admin(new)),
            ("[[alert]]", self.alerts != new.alerts),
            ("[doctor]", self.doctor_every != new.doctor_every),
            ("[log]", self.log != new.log),
        ];
        named(&changed)
    }

    /// Returns the keys that differ from `new` and take effect at a reload.
    pub fn needs_reload(&self, new: &Self) -> Vec<&'static str> {
        let listeners = |config: &Self| -> Vec<Listener> {
            let of = |listener: &Listener| Listener {
                // The position in the file is not a setting.
                place: None,
                ..listener.clone()
            };
            config.listeners.iter().map(of).collect()
        };
        let clients = |limits: &Limits| Limits {
            spool_size: 0,
            free_space: 0,
            ..limits.clone()
        };
        let changed = [
            ("[[listener]]", listeners(self) != listeners(new)),
            ("[[pickup]]", self.pickups != new.pickups),
            ("[tls]", self.tls != new.tls),
            ("[limits]", clients(&self.limits) != clients(&new.limits)),
            ("[[user]]", self.users != new.users),
            (
                "[history] keep_content",
                self.history_content != new.history_content,
            ),
            (
                "[aliases], default_recipient_domain, internal_domains",
                self.aliases != new.aliases,
            ),
        ];
        named(&changed)
    }
}

fn named(changed: &[(&'static str, bool)]) -> Vec<&'static str> {
    let changed = changed.iter().filter(|(_, changed)| *changed);
    changed.map(|(key, _)| *key).collect()
}
