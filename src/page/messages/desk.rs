//! Orders that were given on the page: what was asked for, how far it is, and what came of
//! it. Each has an address of its own, so that loading its page again repeats nothing.
//!
//! - What an order is about is fixed when it is asked about: messages that come later are
//!   not changed by it.
//! - An order begins once, however often its form is sent.
//! - Many messages are changed in batches, one order after the other, so that mail is
//!   accepted and delivered in between. A browser that goes away stops nothing; the end of
//!   the relay does, between two batches.
//! - Only the last orders are kept, in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::admin::AdminState;
use crate::admin::AuditResult;
use crate::admin::ResendAnswer;
use crate::admin::Resent;
use crate::admin::ToResend;
use crate::admin::secret;
use crate::mail::SpoolId;
use crate::page::Page;
use crate::platform::users;
use crate::spool::Action;
use crate::spool::Concerned;
use crate::spool::Decision;
use crate::spool::GivenBy;
use crate::spool::Order;
use crate::spool::Verdict;
use crate::spool::Which;

/// Orders that are kept.
const MOST: usize = 50;
/// Messages of all orders that are kept: their ids are in memory.
const MOST_IDS: usize = 300_000;
/// Messages that are changed in one transaction.
const AT_ONCE: usize = 250;
/// What the relay says about single messages is shown of so many.
const MOST_REMARKS: usize = 100;
/// For so long the answer to an order waits for its end.
const SOON: Duration = Duration::from_secs(3);

/// What an order wants.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// To change messages.
    Change {
        action: Action,
        ids: Arc<[SpoolId]>,
        /// The first of them with their recipients, for the question.
        concerned: Vec<Concerned>,
        /// Whether there are more messages than an order may have.
        is_cut: bool,
    },
    /// To send one again, and what must be confirmed before that.
    Resend {
        wanted: ToResend,
        question: Option<String>,
    },
}

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for somebody to confirm it.
    Asked,
    Running,
    Finished,
}

/// What came of an order so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) done: usize,
    pub(super) unchanged: usize,
    /// What the relay says about single messages, in English.
    pub(super) remarks: Vec<(SpoolId, String)>,
    pub(super) further_remarks: usize,
    /// Why it broke off, in English.
    pub(super) broken: Option<String>,
    pub(super) resent: Option<Resent>,
}

/// An order.
#[derive(Debug)]
pub(super) struct Given {
    /// The end of its address.
    pub(super) key: String,
    pub(super) what: What,
    /// The list or the message that it came from.
    pub(super) back: String,
    pub(super) by: String,
    state: Mutex<(Stage, Outcome)>,
    stage: watch::Sender<Stage>,
}

impl Given {
    pub(super) fn now(&self) -> (Stage, Outcome) {
        self.lock().clone()
    }

    /// The number of messages that it is about.
    pub(super) fn count(&self) -> usize {
        match &self.what {
            What::Change { ids, .. } => ids.len(),
            What::Resend { .. } => 1,
        }
    }

    /// What came of it so far, for the audit list.
    pub(super) fn result(&self) -> (AuditResult, String) {
        let (stage, outcome) = self.now();
        if stage != Stage::Finished {
            return (AuditResult::Begun, String::new());
        }
        let Outcome {
            done,
            unchanged,
            remarks,
            broken,
            ..
        } = outcome;
        let first = remarks.into_iter().next().map(|(_, remark)| remark);
        match broken {
            Some(why) => (AuditResult::Failed, why),
            None => AuditResult::of_messages(done, unchanged, first.unwrap_or_default()),
        }
    }

    /// Returns when it has ended.
    pub(super) async fn ended(&self) {
        let mut stage = self.stage.subscribe();
        // Fails only if the sender has gone, which `self` has.
        let _ended = stage.wait_for(|stage| *stage == Stage::Finished).await;
    }

    fn lock(&self) -> MutexGuard<'_, (Stage, Outcome)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes from a stage to the next, if it is in that stage.
    fn go(&self, from: Stage, to: Stage) -> bool {
        let mut state = self.lock();
        let goes = state.0 == from;
        if goes {
            state.0 = to;
            self.stage.send_replace(to);
        }
        goes
    }

    fn add(&self, decisions: Vec<Decision>) {
        let outcome = &mut self.lock().1;
        for decision in decisions {
            match decision.verdict {
                Verdict::Done => outcome.done += 1,
                Verdict::Already | Verdict::Refused => outcome.unchanged += 1,
            }
            let Some(remark) = decision.remark else {
                continue;
            };
            match outcome.remarks.len() < MOST_REMARKS {
                true => outcome.remarks.push((decision.id, remark)),
                false => outcome.further_remarks += 1,
            }
        }
    }
}

/// The orders of the page.
#[derive(Debug, Default)]
pub(in crate::page) struct Desk {
    orders: Mutex<VecDeque<Arc<Given>>>,
    /// One order at a time changes messages.
    turn: tokio::sync::Mutex<()>,
    /// Cancelled when the relay stops.
    stop: CancellationToken,
}

impl Desk {
    /// Without any order.
    pub(in crate::page) fn until(stop: CancellationToken) -> Self {
        Self {
            stop,
            ..Self::default()
        }
    }

    /// Keeps an order, which has not begun yet.
    pub(super) fn put(
        &self,
        what: What,
        back: String,
        by: &str,
    ) -> Result<Arc<Given>, ring::error::Unspecified> {
        let order = Arc::new(Given {
            key: secret()?,
            what,
            back,
            by: by.to_owned(),
            state: Mutex::new((Stage::Asked, Outcome::default())),
            stage: watch::Sender::new(Stage::Asked),
        });
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push_back(Arc::clone(&order));
        let ids = |orders: &VecDeque<Arc<Given>>| orders.iter().map(|it| it.count()).sum::<usize>();
        while orders.len() > 1 && (orders.len() > MOST || ids(&orders) > MOST_IDS) {
            orders.pop_front();
        }
        Ok(order)
    }

    pub(super) fn find(&self, key: &str) -> Option<Arc<Given>> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.iter().find(|order| order.key == key).cloned()
    }

    async fn change(&self, order: &Given, admin_state: &AdminState, action: Action) {
        let What::Change { ids, .. } = &order.what else {
            return;
        };
        let _turn = self.turn.lock().await;
        for batch in ids.chunks(AT_ONCE) {
            if self.stop.is_cancelled() {
                order.lock().1.broken = Some(STOPPED.to_owned());
                return;
            }
            let wanted = Order {
                action,
                which: Which::Ids(batch.to_vec()),
            };
            match admin_state.act(wanted, given_by(&order.by)).await {
                Ok(decided) => order.add(decided.decisions),
                Err(error) => {
                    order.lock().1.broken = Some(error.to_string());
                    return;
                }
            }
        }
    }
}

const STOPPED: &str = "The relay was stopped before all of them were changed.";

/// Whoever is logged in under this name, as the spool writes it down.
fn given_by(name: &str) -> GivenBy {
    GivenBy {
        uid: users::own_uid(),
        name: Some(name.to_owned()),
    }
}

/// Begins an order, if that has not happened yet, and waits a moment for its end.
pub(super) async fn begin(page: &Arc<Page>, order: &Arc<Given>) {
    if order.go(Stage::Asked, Stage::Running) {
        let (page, order) = (Arc::clone(page), Arc::clone(order));
        page.orders.clone().spawn(async move {
            carry_out(&page, &order).await;
            page.forget_status().await;
            order.go(Stage::Running, Stage::Finished);
        });
    }
    // What takes longer is shown while it goes on.
    let _ended = tokio::time::timeout(SOON, order.ended()).await;
}

async fn carry_out(page: &Page, order: &Given) {
    match &order.what {
        What::Change { action, .. } => page.desk.change(order, &page.admin_state, *action).await,
        What::Resend { wanted, .. } => {
            let wanted = ToResend {
                confirmed: true,
                ..wanted.clone()
            };
            let resent = page.admin_state.resend(wanted, given_by(&order.by)).await;
            let outcome = &mut order.lock().1;
            match resent {
                Ok(ResendAnswer::Resent(resent)) => outcome.resent = Some(resent),
                Ok(ResendAnswer::Asks(why)) | Err(why) => outcome.broken = Some(why),
            }
        }
    }
}
