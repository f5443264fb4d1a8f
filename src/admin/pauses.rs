//! What is paused: who stopped delivery, and the order to stop it or to go on.

use axum::Extension;
use axum::Json;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use serde::Serialize;

use super::AdminState;
use super::Failure;
use super::Peer;
use super::audit::socket::Noted;
use crate::mail::Address;
use crate::spool::Pause;
use crate::telemetry::operatorlog;

/// What to pause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ToPause {
    /// The mailbox; none for all delivery.
    pub mailbox: Option<Address>,
    /// Why, for whoever looks later.
    pub reason: Option<String>,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Paused {
    /// As it is now.
    #[serde(flatten)]
    pub pause: Pause,
    /// Whether it was not paused before.
    pub is_new: bool,
    /// How many messages wait because of it.
    pub waiting: u64,
}

/// What to resume.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ToResume {
    /// The mailbox; none for all delivery.
    pub mailbox: Option<Address>,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resumed {
    /// The pause that has ended, if there was one.
    pub ended: Option<Pause>,
    /// What is still paused.
    pub left: Vec<Pause>,
    /// How many messages waited because of it.
    pub waiting: u64,
}

/// The longest reason, in characters.
const LONGEST_REASON: usize = 300;

pub(super) fn router(admin_state: AdminState) -> Router {
    Router::new()
        .route("/pauses", get(list))
        .route("/pauses", post(pause))
        .route("/pauses/end", post(resume))
        .with_state(admin_state)
}

async fn list(State(admin_state): State<AdminState>) -> Json<Vec<Pause>> {
    Json(admin_state.spool.pauses().iter().cloned().collect())
}

async fn pause(
    State(admin_state): State<AdminState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(wanted): Json<ToPause>,
) -> Result<(Extension<Noted>, Json<Paused>), Failure> {
    let wanted = Pause {
        mailbox: wanted.mailbox,
        since: admin_state.means.clock.now(),
        uid: peer.uid,
        reason: wanted.reason.map(|reason| one_line(&reason)),
        by_relay: false,
    };
    let (pause, is_new) = admin_state.spool.pause(wanted).await?;
    if is_new {
        operatorlog::paused(&pause);
    }
    let waiting = admin_state.spool.waiting(pause.mailbox.as_ref()).await?;
    let noted = Noted::of_change(is_new, "delivery was paused already");
    let paused = Paused {
        pause,
        is_new,
        waiting,
    };
    Ok((Extension(noted), Json(paused)))
}

async fn resume(
    State(admin_state): State<AdminState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(wanted): Json<ToResume>,
) -> Result<(Extension<Noted>, Json<Resumed>), Failure> {
    let mailbox = wanted.mailbox.as_ref();
    let waiting = admin_state.spool.waiting(mailbox).await?;
    let ended = admin_state.spool.resume(mailbox).await?;
    if let Some(ended) = &ended {
        operatorlog::resumed(ended, peer.uid);
    }
    let noted = Noted::of_change(ended.is_some(), "delivery was not paused");
    let resumed = Resumed {
        ended,
        left: admin_state.spool.pauses().iter().cloned().collect(),
        waiting,
    };
    Ok((Extension(noted), Json(resumed)))
}

/// A reason that fits into a line of the log and of `status`.
fn one_line(reason: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    reason
        .trim()
        .chars()
        .take(LONGEST_REASON)
        .map(printable)
        .collect()
}
