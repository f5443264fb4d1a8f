//! Who may take a free worker, so that nobody whose requests get no answer can
//! take them all.
//!
//! - Between accounts: half of the workers are shared out as reserves, the same
//!   for each account, and what an account has not used of its own no other may
//!   take. So an account always can begin that many attempts, whatever became
//!   of the others; with more accounts than workers there is nothing to share
//!   out.
//! - Between mailboxes: the last eighth is for mailboxes that have nothing under
//!   way. A mailbox that gets no answers has its few requests under way and no
//!   more, and the next mailbox begins beside it.
//!
//! Both hold at all times and not only when somebody waits: whoever comes later
//! would find nothing left for as long as a request may take.

use std::collections::HashMap;

/// The workers.
#[derive(Debug, Default)]
pub(in crate::delivery) struct Workers {
    free: u32,
    /// Of each account.
    reserve: u32,
    /// Of all reserves, what is not in use.
    unused: u32,
    /// For mailboxes that have nothing under way.
    single: u32,
    /// Attempts under way, by account.
    under_way: HashMap<String, u32>,
}

impl Workers {
    /// So many, for these accounts.
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

    /// Whether a mailbox of this account, with so many attempts under way, may
    /// have one more.
    pub(in crate::delivery) fn may_take(&self, account: &str, of_mailbox: u32) -> bool {
        let own = self.reserve.saturating_sub(self.under_way(account));
        let single = if of_mailbox > 0 { self.single } else { 0 };
        self.free > self.unused.saturating_sub(own) + single
    }

    /// An attempt begins.
    pub(in crate::delivery) fn take(&mut self, account: &str) {
        self.free = self.free.saturating_sub(1);
        // An account that is gone from the configuration has no reserve.
        if let Some(count) = self.under_way.get_mut(account) {
            self.unused -= u32::from(*count < self.reserve);
            *count += 1;
        }
    }

    /// An attempt has ended, or did not begin after all.
    pub(in crate::delivery) fn release(&mut self, account: &str) {
        self.free += 1;
        if let Some(count) = self.under_way.get_mut(account) {
            *count = count.saturating_sub(1);
            self.unused += u32::from(*count < self.reserve);
        }
    }
}
