//! `[[alert]]`: what a receiver gets when something begins to need attention and when it is
//! over, by webhook (`webhook.rs`) and by mail (`mail.rs`), and for which problems
//! (`problems.rs`); and what relay.toml must not say (`refused.rs`).

mod mail;
mod problems;
mod refused;
mod webhook;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::common::Relay;

/// A request that the receiver got.
#[derive(Clone, Debug)]
struct Got {
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A receiver of webhooks on a port of this machine.
struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Ends with it.
    _server: JoinSet<std::io::Result<()>>,
}

#[derive(Default)]
struct Shared {
    status: AtomicU16,
    got: Mutex<Vec<Got>>,
}

impl Receiver {
    async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(socket, router).await });
        let receiver = Self {
            address,
            shared,
            _server: server,
        };
        receiver.answer(204);
        receiver
    }

    /// From now on it answers with this status.
    fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// An `[[alert]]` with this receiver, over after a second, with more keys.
    fn alert(&self, keys: &str) -> String {
        let address = self.address;
        format!(
            "[[alert]]\nwebhook = \"http://{address}/hook/canary-path\"\nover_after = \"1s\"\n{keys}\n"
        )
    }

    fn got(&self) -> Vec<Got> {
        self.shared.got.lock().unwrap().clone()
    }

    /// What it has accepted so far.
    fn alerts(&self) -> Vec<Value> {
        self.got().iter().map(Got::json).collect()
    }

    /// Waits for an alert that holds.
    fn wait(&self, relay: &Relay, is: impl Fn(&Value) -> bool) -> Value {
        relay.wait_until(|| self.alerts().iter().any(&is));
        let alerts = self.alerts();
        alerts.into_iter().find(is).unwrap()
    }

    /// Waits for the beginning of a problem.
    fn began(&self, relay: &Relay, event: &str) -> Value {
        let alert = self.wait(relay, |alert| has(alert, "began", event));
        problem(&alert, "began", event)
    }

    /// Waits for the end of a problem.
    fn ended(&self, relay: &Relay, event: &str) -> Value {
        let alert = self.wait(relay, |alert| has(alert, "ended", event));
        problem(&alert, "ended", event)
    }

    /// How many alerts say that a problem has begun, or has ended.
    fn count(&self, list: &str, event: &str) -> usize {
        let alerts = self.alerts();
        alerts.iter().filter(|it| has(it, list, event)).count()
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let status = StatusCode::from_u16(shared.status.load(Ordering::SeqCst)).unwrap();
    if status.is_redirection() {
        return (status, [("location", "/elsewhere")]).into_response();
    }
    if status.is_success() {
        let got = Got { headers, body };
        shared.got.lock().unwrap().push(got);
    }
    (status, "canary-answer to /hook/canary-path").into_response()
}

fn has(alert: &Value, list: &str, event: &str) -> bool {
    let problems = alert[list].as_array().map(Vec::as_slice);
    let mut problems = problems.unwrap_or_default().iter();
    problems.any(|problem| problem["event"] == event)
}

fn problem(alert: &Value, list: &str, event: &str) -> Value {
    let mut problems = alert[list].as_array().unwrap().iter();
    let found = problems.find(|problem| problem["event"] == event);
    found.unwrap().clone()
}
