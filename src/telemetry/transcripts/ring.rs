//! Which transcripts are kept, and which make room for new ones.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::net::IpAddr;

use super::KEPT;
use super::Transcript;
use super::Trouble;
use crate::mail::Client;

/// How many of them may belong to one client (an IPv4 address, or a /64), so that no client
/// can push out what an administrator needs.
pub(super) const OF_A_CLIENT: usize = 30;
/// How many of these may have gone wrong in the same way: the one that the log named last,
/// and the newest.
const OF_A_KIND: usize = 3;

/// The transcripts, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// The number of the last one.
    pub(super) last: u64,
    pub(super) kept: VecDeque<Transcript>,
    /// The numbers in the log: at most one of each client and kind.
    named: BTreeSet<u64>,
}

impl Ring {
    /// Deletes the oldest transcripts, first those of the same client if it has reached its
    /// share.
    pub(super) fn make_room(&mut self, client: IpAddr, trouble: &Trouble) {
        let is_theirs = |kept: &Transcript| kept.is_of(client);
        let is_alike = |kept: &Transcript| kept.is_like(client, trouble);
        if self.kept.iter().filter(|kept| is_alike(kept)).count() >= OF_A_KIND {
            self.forget_first(is_alike);
        } else if self.kept.iter().filter(|kept| is_theirs(kept)).count() >= OF_A_CLIENT {
            self.forget_first(is_theirs);
        } else if self.kept.len() >= KEPT {
            let gone = self.kept.pop_front();
            self.unname(gone);
        }
    }

    /// Deletes the oldest of these, and one that the log names only if there is no other.
    fn forget_first(&mut self, is: impl Fn(&Transcript) -> bool) {
        let is_free = |kept: &Transcript| is(kept) && !self.named.contains(&kept.number);
        let at = self.kept.iter().position(is_free);
        let at = at.or_else(|| self.kept.iter().position(is));
        let gone = at.and_then(|at| self.kept.remove(at));
        self.unname(gone);
    }

    fn unname(&mut self, gone: Option<Transcript>) {
        if let Some(gone) = gone {
            self.named.remove(&gone.number);
        }
    }

    /// Notes that the log names this transcript, and no other of its kind any more.
    pub(super) fn name(&mut self, number: u64, client: IpAddr, trouble: &Trouble) {
        let alike = self.kept.iter().filter(|it| it.is_like(client, trouble));
        for kept in alike {
            self.named.remove(&kept.number);
        }
        if self.kept.iter().any(|kept| kept.number == number) {
            self.named.insert(number);
        }
    }
}

impl Transcript {
    fn is_of(&self, client: IpAddr) -> bool {
        Client::at(self.client) == Client::at(client)
    }

    fn is_like(&self, client: IpAddr, trouble: &Trouble) -> bool {
        let first = self.troubles.first();
        self.is_of(client) && first.is_some_and(|first| first.remedy == trouble.remedy)
    }
}
