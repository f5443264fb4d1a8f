//! The queue: which messages wait and why, and the commands of an operator.

mod content;
mod follow;
mod resend;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Json;
use axum::Router;
use axum::extract;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use serde::Serialize;
use tokio_util::task::TaskTracker;

pub use self::content::MessageContent;
pub use self::content::NoContent;
pub use self::content::Pieces;
pub use self::content::View;
pub use self::follow::Followed;
use self::follow::followed;
pub use self::resend::ResendAnswer;
pub use self::resend::Resent;
pub use self::resend::ToResend;
use super::AdminState;
use super::AuditResult;
use super::Failure;
use super::PAGE;
use super::Peer;
use super::audit::socket::Noted;
use crate::clock::Timestamp;
use crate::clock::span_in_words;
use crate::delivery::Standing;
use crate::delivery::Waits;
use crate::mail::Destination;
use crate::mail::SpoolId;
use crate::spool::Action;
use crate::spool::Count;
use crate::spool::Decided;
use crate::spool::EntryView;
use crate::spool::Filter;
use crate::spool::GivenBy;
use crate::spool::Order;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::State as EntryState;
use crate::spool::Sum;
use crate::spool::Summary;
use crate::spool::Verdict;
use crate::telemetry::maillog;

/// An entry in a list, with the reason why its mailbox waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// The entry.
    #[serde(flatten)]
    pub summary: Summary,
    /// Why it waits even when it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
}

/// Everything about an entry, with the reason why its mailbox waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The entry.
    #[serde(flatten)]
    pub entry: EntryView,
    /// Why it waits even when it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
}

/// The queue's routes. `checks`: the checks of the spool that have begun.
pub(super) fn router(admin_state: &AdminState, checks: TaskTracker) -> Router {
    let queue = Queue {
        admin_state: admin_state.clone(),
        checks,
    };
    Router::new()
        .route("/queue", get(list))
        .route("/queue/totals", get(totals))
        .route("/queue/count", get(count))
        .route("/queue/actions", post(act))
        .route("/queue/{id}", get(show))
        .route("/spool/check", post(check))
        .with_state(Arc::new(queue))
        .merge(resend::router(admin_state.clone()))
}

struct Queue {
    admin_state: AdminState,
    /// A check that has begun is finished even if the client has gone.
    checks: TaskTracker,
}

/// A page of the queue.
#[derive(Debug, Deserialize)]
struct Page {
    after: Option<SpoolId>,
    filter: Option<Filter>,
    limit: Option<u32>,
}

async fn list(
    State(queue): State<Arc<Queue>>,
    extract::Query(page): extract::Query<Page>,
) -> Result<Json<Vec<Listed>>, Failure> {
    let limit = page.limit.unwrap_or(PAGE).min(PAGE);
    let spool = &queue.admin_state.spool;
    let found = spool.search(page.filter, page.after, limit).await?;
    let listed = found.into_iter().map(|summary| Listed {
        waits: queue.admin_state.keeps_waiting(&summary),
        summary,
    });
    Ok(Json(listed.collect()))
}

/// What is added up.
#[derive(Debug, Deserialize)]
struct Whole {
    filter: Option<Filter>,
}

async fn totals(
    State(queue): State<Arc<Queue>>,
    extract::Query(of): extract::Query<Whole>,
) -> Result<Json<Sum>, Failure> {
    Ok(Json(queue.admin_state.spool.sum(of.filter).await?))
}

/// The way of a message that has one.
pub(super) fn destination(
    account: Option<&String>,
    mailbox: Option<&String>,
) -> Option<Destination> {
    Some(Destination {
        account: account?.clone(),
        mailbox: mailbox?.parse().ok()?,
    })
}

/// Why a message waits until it is due and for longer; not what is over before.
pub(super) fn waits(
    spool: &Spool,
    standing: &Standing,
    destination: &Destination,
    due_in: Duration,
    now: Timestamp,
) -> Option<Waits> {
    if let Some(pause) = spool.paused(&destination.mailbox) {
        return Some(Waits::Pause(pause));
    }
    let waits = standing.waits(destination, now)?;
    let left = waits.until()?.since(now);
    (!left.is_zero() && left + APART > due_in).then_some(waits)
}

/// When Graph asks for a wait, it holds for the message and for its mailbox. The two are on record
/// one after the other.
const APART: Duration = Duration::from_secs(1);

/// Counts the messages that an action would change.
#[derive(Debug, Deserialize)]
struct Concerned {
    action: Action,
    filter: Option<Filter>,
}

async fn count(
    State(queue): State<Arc<Queue>>,
    extract::Query(of): extract::Query<Concerned>,
) -> Result<Json<Count>, Failure> {
    Ok(Json(
        queue.admin_state.spool.count(of.action, of.filter).await?,
    ))
}

async fn act(
    State(queue): State<Arc<Queue>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(order): Json<Order>,
) -> Result<(Extension<Noted>, Json<Decided>), Failure> {
    let decided = queue.admin_state.act(order, peer.uid).await?;
    Ok((Extension(noted(&decided)), Json(decided)))
}

/// What the audit list says of an order.
fn noted(decided: &Decided) -> Noted {
    let unchanged = decided.decisions.iter();
    let unchanged: Vec<_> = unchanged.filter(|it| it.verdict != Verdict::Done).collect();
    let changed = decided.decisions.len() - unchanged.len();
    let remark = unchanged.iter().find_map(|it| it.remark.clone());
    let remark = remark.unwrap_or_default();
    let (result, why) = AuditResult::of_messages(changed, unchanged.len(), remark);
    Noted::of(result, why)
}

impl AdminState {
    /// Returns everything about one message, if it exists.
    ///
    /// # Errors
    ///
    /// Those of the spool.
    pub async fn message(&self, id: SpoolId) -> Result<Option<Shown>, SpoolError> {
        let Some(entry) = self.spool.show(id).await? else {
            return Ok(None);
        };
        let waits = self.keeps_waiting(&entry.summary);
        Ok(Some(Shown { entry, waits }))
    }

    /// Carries out an order, and logs it.
    ///
    /// # Errors
    ///
    /// Those of the spool. Entries that were not reported may have been changed.
    pub async fn act(&self, order: Order, by: impl Into<GivenBy>) -> Result<Decided, SpoolError> {
        let (action, by) = (order.action, by.into());
        let uid = by.uid;
        let mut decided = self.spool.operate(order, by).await?;
        for decision in &mut decided.decisions {
            let destination = decision.destination.as_ref();
            let remark = destination.and_then(|destination| self.hindrance(destination));
            decision.remark = decision.remark.take().or(remark);
        }
        maillog::decided(action, uid, &decided.decisions);
        Ok(decided)
    }

    /// Says why a message that an operator wants sent at once waits nevertheless, if it does.
    fn hindrance(&self, destination: &Destination) -> Option<String> {
        let now = self.means.clock.now();
        let waits = waits(
            &self.spool,
            &self.standing,
            destination,
            Duration::ZERO,
            now,
        );
        let waits = waits.filter(Waits::outlasts_retry)?;
        let next = |until: Timestamp| {
            let wait = span_in_words(until.since(now));
            format!("next attempt in {wait}")
        };
        Some(match waits {
            Waits::Pause(pause) => {
                format!("{} is paused; to go on: {}", pause.what(), pause.remedy())
            }
            Waits::Limit(limited) => {
                let (mailbox, limit) = (&limited.mailbox, &limited.limit);
                format!("{mailbox} has reached {limit}; {}", next(limited.until))
            }
            Waits::Backoff(backing_off) => {
                let (whose, why) = (backing_off.whose(), backing_off.why());
                let until = backing_off.asked_until.unwrap_or(backing_off.until);
                format!("{whose} is backing off: {why}; {}", next(until))
            }
        })
    }

    /// Returns why an entry waits, apart from its own due time.
    fn keeps_waiting(&self, entry: &Summary) -> Option<Waits> {
        if entry.state != EntryState::Waiting {
            return None;
        }
        let destination = destination(entry.account.as_ref(), entry.mailbox.as_ref())?;
        let due_in = Duration::from_millis(entry.due_in_ms);
        let now = self.means.clock.now();
        waits(&self.spool, &self.standing, &destination, due_in, now)
    }
}

/// How a check is answered.
#[derive(Debug, Deserialize)]
struct How {
    /// With its steps, one JSON object a line.
    #[serde(default)]
    steps: bool,
}

async fn check(
    State(queue): State<Arc<Queue>>,
    extract::Query(how): extract::Query<How>,
) -> Result<Response, Failure> {
    let spool = queue.admin_state.spool.clone();
    if !how.steps {
        return Ok(Json(spool.check(|_| ()).await?).into_response());
    }
    Ok(followed(&queue.checks, move |on_step| async move {
        spool.check(on_step).await
    }))
}

async fn show(
    State(queue): State<Arc<Queue>>,
    extract::Path(id): extract::Path<SpoolId>,
) -> Result<Json<Shown>, Failure> {
    let shown = queue.admin_state.message(id).await?;
    shown.map(Json).ok_or(Failure::Unknown)
}
