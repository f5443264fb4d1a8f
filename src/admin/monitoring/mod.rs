//! Metrics and health checks, for programs that watch the relay: on the admin socket, and
//! over TCP at the address of `[admin] metrics`, if there is one.
//!
//! | request | answer |
//! |---|---|
//! | `GET /metrics` | what the relay counts (`metrics/`) and its state in numbers (`gauges.rs`), as Prometheus reads them |
//! | `GET /livez` | 200 as long as the process answers |
//! | `GET /readyz` | 200 if clients can send mail now, otherwise 503 with the reasons (`health.rs`) |
//!
//! Promises: over TCP there is nothing else, and nothing can be changed. Anybody who
//! reaches the address may ask, so what a visitor can use up is bounded (`bounded.rs`).
//! None of the three asks Entra or Graph, so an outage there restarts no container.

mod bounded;
mod gauges;
mod health;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::bounded::Bounded;
use self::health::Health;
use super::AdminState;
use super::Failure;

/// Prometheus page "Exposition formats".
const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

#[derive(Debug)]
struct Monitoring {
    admin_state: AdminState,
    health: Health,
}

/// Answers at the address of `[admin] metrics` until `stop`. Requests that are under way
/// then are cut off: whoever asks asks again.
pub async fn run(socket: TcpListener, admin_state: AdminState, stop: CancellationToken) {
    // One request for each connection: the next visitor need not wait for this one's end.
    let routes = router(admin_state).layer(axum::middleware::map_response(last_answer));
    let served = async { axum::serve(Bounded::new(socket), routes).await };
    tokio::select! {
        served = served => if let Err(error) = served {
            warn!(event = "admin", %error, "metrics and health checks are no longer served");
        },
        () = stop.cancelled() => {}
    }
}

pub(super) fn router(admin_state: AdminState) -> Router {
    let monitoring = Monitoring {
        health: Health::of(&admin_state),
        admin_state,
    };
    Router::new()
        .route("/metrics", get(measured))
        .route("/livez", get(alive))
        .route("/readyz", get(ready))
        .with_state(Arc::new(monitoring))
}

async fn last_answer(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

async fn measured(State(monitoring): State<Arc<Monitoring>>) -> Result<Response, Failure> {
    let admin_state = &monitoring.admin_state;
    let mut text = admin_state.metrics.text();
    text.push_str(&gauges::text(&admin_state.status().await));
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, TEXT_FORMAT)]);
    Ok((headers, text).into_response())
}

async fn alive() -> &'static str {
    "alive\n"
}

async fn ready(State(monitoring): State<Arc<Monitoring>>) -> (StatusCode, String) {
    match monitoring.health.problems().await.as_slice() {
        [] => (StatusCode::OK, "ready\n".to_owned()),
        problems => {
            let text = format!("{}\n", problems.join("\n"));
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}
