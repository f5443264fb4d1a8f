//! Finds out whether a failure is caused by the message itself or affects everything that
//! is sent the same way.
//!
//! A proxy that blocks one attachment and a proxy that blocks everything give the same
//! answer. The difference shows in *other* messages:
//!
//! - If a message fails, another one gets through and the first fails again, it is the
//!   problem itself. It is retried and expires alone, and delays no other message.
//! - If different messages fail with no success in between, the problem is the mailbox or
//!   the account, which then backs off. The number of failures it takes is the patience:
//!   one as long as nothing has got through, [`FEW`] afterwards, and more after each
//!   suspicion that a success has disproved.
//! - The next message is never one that failed since the last success, as long as
//!   something else is due.
//!
//! There is one memory of bounded size for each mailbox and one for each account. What is
//! known about a message is kept in the spool over a restart (`own_trouble`).

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::Kind;
use super::Outcome;
use super::Scope;
use super::Suspicion;
use crate::mail::SpoolId;

/// Different failures in a row that blame the mailbox or account, if mail has got through
/// before: two may be a coincidence.
const FEW: usize = 3;
/// The same after wrong suspicions. A failing service gets this many requests before it
/// is left alone.
const MOST: usize = 32;
/// How many failures since the last success are remembered; messages that were tried
/// before those may be tried again.
const MOST_FAILED: usize = 100;
/// How many messages are remembered with the evidence against them, until they fail
/// again.
const MOST_EVIDENCE: usize = 1000;
/// Evidence that is enough to blame the message itself.
const ENOUGH: u8 = 2;

/// What causes a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Verdict {
    /// The message itself: others get through.
    Own,
    /// Not known yet: nothing backs off, and the message goes behind the others.
    Open,
    /// Something that affects everything sent the same way.
    Common,
}

/// Recent failures of a mailbox or an account, and what is known about it.
#[derive(Debug)]
pub(in crate::delivery) struct Suspects {
    /// Different messages that failed since the last success, the latest at the end.
    failed: VecDeque<SpoolId>,
    /// Successes of other messages since the failure, for messages that failed earlier.
    evidence: BTreeMap<SpoolId, u8>,
    patience: usize,
}

impl Default for Suspects {
    fn default() -> Self {
        Self {
            failed: VecDeque::new(),
            evidence: BTreeMap::new(),
            patience: 1,
        }
    }
}

impl Suspects {
    /// Records a failure of a message. `known` is whether earlier evidence is on record;
    /// `patient` whether the content of the message can be the reason.
    pub(in crate::delivery) fn failed(
        &mut self,
        id: SpoolId,
        known: bool,
        patient: bool,
    ) -> Verdict {
        let evidence = self.evidence.remove(&id).unwrap_or(0);
        let others = self.failed.iter().filter(|failed| **failed != id).count();
        if (known || evidence >= ENOUGH) && others < self.patience.max(FEW) {
            return Verdict::Own;
        }
        if evidence > 0 {
            self.evidence.insert(id, evidence);
        }
        self.failed.retain(|failed| *failed != id);
        if self.failed.len() >= MOST_FAILED {
            self.failed.pop_front();
        }
        self.failed.push_back(id);
        match patient && self.failed.len() < self.patience {
            true => Verdict::Open,
            false => Verdict::Common,
        }
    }

    /// Records that a message got through.
    pub(in crate::delivery) fn succeeded(&mut self) {
        let was_common = self.failed.len() >= self.patience.max(FEW);
        // It may have been a common problem that is over now, so this is half a proof.
        let weight = if was_common { 1 } else { ENOUGH };
        if was_common {
            self.patience = (2 * self.failed.len()).min(MOST);
        }
        self.patience = self.patience.max(FEW);
        for id in self.failed.drain(..) {
            let evidence = self.evidence.entry(id).or_default();
            *evidence = evidence.saturating_add(weight);
        }
        while self.evidence.len() > MOST_EVIDENCE {
            self.evidence.pop_first();
        }
    }

    /// Messages that go behind all others.
    pub(in crate::delivery) fn behind(&self) -> impl Iterator<Item = SpoolId> + '_ {
        self.failed.iter().copied()
    }

    /// What failed before the last success. It goes behind all others when the service is
    /// probed with mail that may get through.
    pub(in crate::delivery) fn suspected(&self) -> impl Iterator<Item = SpoolId> + '_ {
        self.evidence.keys().copied()
    }

    /// Whether it holds nothing worth keeping.
    pub(in crate::delivery) fn is_empty(&self) -> bool {
        self.failed.is_empty() && self.evidence.is_empty()
    }
}

/// A memory that attempts and the dispatcher share. A std mutex, held for a few
/// operations on short lists.
#[derive(Clone, Debug, Default)]
pub(in crate::delivery) struct Shared(Arc<Mutex<Suspects>>);

impl Shared {
    pub(in crate::delivery) fn lock(&self) -> MutexGuard<'_, Suspects> {
        // Every change of it is complete.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memories that an attempt's outcome is judged by.
#[derive(Clone, Debug, Default)]
pub(in crate::delivery) struct Jury {
    pub(in crate::delivery) mailbox: Shared,
    pub(in crate::delivery) account: Shared,
}

impl Jury {
    /// Decides what caused an outcome, and limits its effect to the message if that is
    /// the cause.
    pub(in crate::delivery) fn judge(&self, id: SpoolId, known: bool, outcome: &mut Outcome) {
        let Some(Suspicion { scope, patient }) = outcome.suspicion() else {
            if outcome.shows_that_mailbox_works() {
                self.mailbox.lock().succeeded();
            }
            if outcome.shows_that_account_works() {
                self.account.lock().succeeded();
            }
            return;
        };
        let suspects = match scope {
            Scope::Account => &self.account,
            Scope::Mailbox | Scope::Message => {
                if outcome.shows_that_account_works() {
                    self.account.lock().succeeded();
                }
                &self.mailbox
            }
        };
        let verdict = suspects.lock().failed(id, known, patient);
        outcome.verdict = Some(verdict);
        if let (Verdict::Own, Kind::Deferred { scope, .. }) = (verdict, &mut outcome.kind) {
            *scope = Scope::Message;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SignIn;
    use crate::delivery::outcome::error::AttemptError;
    use crate::delivery::outcome::error::Step;
    use crate::graph::GraphError;

    fn ids<const N: usize>() -> [SpoolId; N] {
        std::array::from_fn(|n| format!("{n:026}").parse().unwrap())
    }

    /// The memory of a mailbox that has worked.
    fn suspects() -> Suspects {
        let mut suspects = Suspects::default();
        suspects.succeeded();
        suspects
    }

    #[test]
    fn failures_before_any_success_are_blamed_on_the_account() {
        let [first] = ids();

        assert_eq!(
            Suspects::default().failed(first, false, true),
            Verdict::Common
        );
    }

    #[test]
    fn a_message_that_fails_while_others_get_through_is_blamed_itself() {
        let (mut suspects, [poison]) = (suspects(), ids());

        assert_eq!(suspects.failed(poison, false, true), Verdict::Open);
        assert_eq!(suspects.failed(poison, false, true), Verdict::Open);
        suspects.succeeded();
        assert_eq!(suspects.failed(poison, false, true), Verdict::Own);
    }

    #[test]
    fn one_message_alone_never_stops_its_account() {
        let (mut suspects, [poison]) = (suspects(), ids());

        for _ in 0..100 {
            assert_eq!(suspects.failed(poison, false, true), Verdict::Open);
        }
    }

    #[test]
    fn several_failures_without_a_success_are_blamed_on_the_account() {
        let (mut suspects, [one, two, three, known]) = (suspects(), ids());

        assert_eq!(suspects.failed(one, false, true), Verdict::Open);
        assert_eq!(suspects.failed(two, false, true), Verdict::Open);
        assert_eq!(suspects.failed(known, true, true), Verdict::Own);
        assert_eq!(suspects.failed(three, false, true), Verdict::Common);
        // A problem of the message itself cannot be detected now.
        assert_eq!(suspects.failed(known, true, true), Verdict::Common);
    }

    #[test]
    fn messages_that_failed_during_an_outage_are_not_blamed_later() {
        let (mut suspects, all) = (suspects(), ids::<5>());
        for id in all {
            suspects.failed(id, false, true);
        }
        suspects.succeeded();

        assert_eq!(suspects.failed(all[0], false, true), Verdict::Open);
        suspects.succeeded();
        assert_eq!(suspects.failed(all[0], false, true), Verdict::Own);
    }

    #[test]
    fn a_wrong_suspicion_raises_the_threshold() {
        let (mut suspects, all) = (suspects(), ids::<11>());
        for id in &all[..4] {
            suspects.failed(*id, false, true);
        }
        suspects.succeeded();

        let verdicts = all[4..].iter().map(|id| suspects.failed(*id, false, true));
        assert!(verdicts.into_iter().all(|verdict| verdict == Verdict::Open));
    }

    fn of_draft(code: &str) -> Outcome {
        let error = GraphError::Answered {
            status: 503,
            code: code.to_owned(),
            message: String::new(),
            retry_after: None,
            request_id: None,
        };
        let step = Step::Prepare;
        Outcome::of(
            Err(AttemptError::Graph { step, error }),
            SignIn::Application,
        )
    }

    #[test]
    fn a_draft_refused_without_graphs_code_may_be_the_messages_fault() {
        let (jury, [poison]) = (Jury::default(), ids());
        let verdict = |code| {
            let mut outcome = of_draft(code);
            jury.judge(poison, false, &mut outcome);
            outcome.verdict
        };

        assert_eq!(verdict(""), Some(Verdict::Common));
        jury.mailbox.lock().succeeded();
        assert_eq!(verdict(""), Some(Verdict::Own));
        assert_eq!(verdict("ErrorServerBusy"), None);
    }

    #[test]
    fn suspects_use_bounded_memory() {
        let (mut suspects, all) = (suspects(), ids::<3000>());
        for id in all {
            suspects.failed(id, false, true);
            if id.to_string().ends_with("50") {
                suspects.succeeded();
            }
        }

        assert!(suspects.behind().count() <= MOST_FAILED);
        assert!(suspects.evidence.len() <= MOST_EVIDENCE);
    }
}
