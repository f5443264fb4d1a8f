//! Who may take a free worker, so that a mailbox or account whose requests get no answer
//! cannot take all of them.
//!
//! - Between accounts: half of the workers are reserves, the same number for each
//!   account, and no other account may use them. So an account can always begin that many
//!   attempts, whatever the others do. With more accounts than workers there is no
//!   reserve.
//! - Between mailboxes: the last eighth is for mailboxes that have nothing under way. A
//!   mailbox without answers has only its few requests under way, and the next mailbox
//!   can begin.
//!
//! Both rules hold at all times, not only when somebody waits. Otherwise a mailbox that
//! comes later would find no worker for as long as a request may take.

use std::collections::HashMap;

/// The workers.
#[derive(Debug, Default)]
pub(in crate::delivery) struct Workers {
    free: u32,
    /// The reserve of each account.
    reserve: u32,
    /// The unused part of all reserves.
    unused: u32,
    /// For mailboxes that have nothing under way.
    single: u32,
    /// Attempts under way, by account.
    under_way: HashMap<String, u32>,
}

impl Workers {
    /// This number of workers for these accounts.
    pub(in crate::delivery) fn new<'a>(
        count: u32,
        accounts: impl Iterator<Item = &'a String>,
    ) -> Self {
        let under_way: HashMap<_, _> = accounts.map(|name| (name.clone(), 0)).collect();
        let accounts = u32::try_from(under_way.len()).unwrap_or(u32::MAX);
        let reserve = match accounts {
            0 | 1 => 0,
            _ => (count / accounts / 2).max(u32::from(count >= accounts)),
        };
        Self {
            free: count,
            reserve,
            unused: reserve * accounts,
            single: count / 8,
            under_way,
        }
    }

    /// Attempts of an account that are under way.
    pub(in crate::delivery) fn under_way(&self, account: &str) -> u32 {
        self.under_way.get(account).copied().unwrap_or(0)
    }

    /// Whether a mailbox of this account with this number of attempts under way may begin
    /// another.
    pub(in crate::delivery) fn may_take(&self, account: &str, of_mailbox: u32) -> bool {
        let own = self.reserve.saturating_sub(self.under_way(account));
        let single = if of_mailbox > 0 { self.single } else { 0 };
        self.free > self.unused.saturating_sub(own) + single
    }

    /// Records that an attempt begins.
    pub(in crate::delivery) fn take(&mut self, account: &str) {
        self.free = self.free.saturating_sub(1);
        // An account that was removed from the configuration has no reserve.
        if let Some(count) = self.under_way.get_mut(account) {
            self.unused -= u32::from(*count < self.reserve);
            *count += 1;
        }
    }

    /// Records that an attempt has ended, or did not begin after all.
    pub(in crate::delivery) fn release(&mut self, account: &str) {
        self.free += 1;
        if let Some(count) = self.under_way.get_mut(account) {
            *count = count.saturating_sub(1);
            self.unused += u32::from(*count < self.reserve);
        }
    }
}
