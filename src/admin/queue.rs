//! The queue: what waits and why, and what an operator decides about it.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use tokio_util::task::TaskTracker;

use super::Failure;
use super::PAGE;
use super::Peer;
use crate::mail::SpoolId;
use crate::spool::Action;
use crate::spool::Checked;
use crate::spool::Count;
use crate::spool::Decided;
use crate::spool::EntryView;
use crate::spool::Filter;
use crate::spool::Order;
use crate::spool::Spool;
use crate::spool::SpoolError;
use crate::spool::Summary;
use crate::telemetry::maillog;

pub(super) fn router(spool: Spool, orders: TaskTracker) -> Router {
    Router::new()
        .route("/queue", get(list))
        .route("/queue/count", get(count))
        .route("/queue/actions", post(act))
        .route("/queue/{id}", get(show))
        .route("/spool/check", post(check))
        .with_state(Arc::new(Queue { spool, orders }))
}

struct Queue {
    spool: Spool,
    /// What was begun is finished, although who asked for it is gone.
    orders: TaskTracker,
}

/// Which page of the queue.
#[derive(Debug, Deserialize)]
struct Page {
    after: Option<SpoolId>,
    filter: Option<Filter>,
}

async fn list(
    State(queue): State<Arc<Queue>>,
    extract::Query(page): extract::Query<Page>,
) -> Result<Json<Vec<Summary>>, Failure> {
    let found = queue.spool.search(page.filter, page.after, PAGE).await?;
    Ok(Json(found))
}

/// What would be concerned.
#[derive(Debug, Deserialize)]
struct Concerned {
    action: Action,
    filter: Option<Filter>,
}

async fn count(
    State(queue): State<Arc<Queue>>,
    extract::Query(of): extract::Query<Concerned>,
) -> Result<Json<Count>, Failure> {
    Ok(Json(queue.spool.count(of.action, of.filter).await?))
}

async fn act(
    State(queue): State<Arc<Queue>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(order): Json<Order>,
) -> Result<Json<Decided>, Failure> {
    let spool = queue.spool.clone();
    let task = queue.orders.spawn(async move {
        let action = order.action;
        let decided = spool.operate(order, peer.uid).await?;
        maillog::decided(action, peer.uid, &decided.decisions);
        Ok(decided)
    });
    let decided: Result<Decided, SpoolError> = task.await.map_err(|_| SpoolError::Closed)?;
    Ok(Json(decided?))
}

async fn check(State(queue): State<Arc<Queue>>) -> Result<Json<Checked>, Failure> {
    Ok(Json(queue.spool.check().await?))
}

async fn show(
    State(queue): State<Arc<Queue>>,
    extract::Path(id): extract::Path<SpoolId>,
) -> Result<Json<EntryView>, Failure> {
    let entry = queue.spool.show(id).await?;
    entry.map(Json).ok_or(Failure::Unknown)
}
