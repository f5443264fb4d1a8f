//! How it stands with each `[[alert]]`, for `status` and the metrics, and the way to send a
//! test alert. `alerts/` keeps it up to date; it is empty without any `[[alert]]`.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::admin::AuditResult;
use crate::admin::audit::socket::Noted;
use crate::clock::Timestamp;

/// How it stands with an `[[alert]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    /// `webhook` or `mail`.
    pub kind: String,
    /// Its name: `webhook HOST` or `mail to ADDRESS`. Several webhooks of one host have a number.
    pub name: String,
    /// Problems that it has reported and that are not over.
    pub open: usize,
    /// Alerts that wait to be sent.
    pub waiting: usize,
    /// Alerts sent since the relay started.
    pub sent: u64,
    /// Attempts that failed since the relay started.
    pub failures: u64,
    /// Alerts given up since the relay started.
    pub given_up: u64,
    /// When the last one was sent, since the relay started.
    pub last_sent_at: Option<Timestamp>,
    /// Attempts in a row that failed.
    pub failing: u32,
    /// Why the last attempt failed, until one succeeds.
    pub trouble: Option<String>,
}

/// What became of a test alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertTested {
    /// The alert's name.
    pub name: String,
    /// What was done, in words.
    pub done: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// All of them, in the order of relay.toml; clones share it.
#[derive(Clone, Debug, Default)]
pub struct AlertDesks {
    desks: Arc<[AlertDesk]>,
}

/// One of them; clones share it.
#[derive(Clone, Debug)]
pub struct AlertDesk {
    view: Arc<Mutex<AlertView>>,
    tests: mpsc::Sender<oneshot::Sender<AlertTested>>,
}

impl AlertDesks {
    /// All of them.
    pub fn new(desks: Vec<AlertDesk>) -> Self {
        Self {
            desks: desks.into(),
        }
    }

    /// How it stands with each.
    pub fn views(&self) -> Vec<AlertView> {
        self.desks.iter().map(|desk| desk.lock().clone()).collect()
    }

    /// Sends a test alert to each.
    pub async fn test(&self) -> Vec<AlertTested> {
        let tests = self.desks.iter().map(AlertDesk::test);
        futures_util::future::join_all(tests).await
    }
}

impl AlertDesk {
    /// A desk, and where it is asked for tests.
    pub fn new(view: AlertView) -> (Self, mpsc::Receiver<oneshot::Sender<AlertTested>>) {
        let (tests, asked) = mpsc::channel(1);
        let view = Arc::new(Mutex::new(view));
        (Self { view, tests }, asked)
    }

    /// Records how it stands.
    pub fn record(&self, change: impl FnOnce(&mut AlertView)) {
        change(&mut self.lock());
    }

    async fn test(&self) -> AlertTested {
        let (answer, answered) = oneshot::channel();
        let asked = self.tests.send(answer).await;
        let tested = match asked {
            Ok(()) => answered.await.ok(),
            Err(_) => None,
        };
        tested.unwrap_or_else(|| AlertTested {
            name: self.lock().name.clone(),
            done: None,
            error: Some("the relay is stopping".to_owned()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, AlertView> {
        // Every change of it is complete.
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `POST /alerts/test`.
pub(in crate::admin) async fn test(
    State(desks): State<AlertDesks>,
) -> (Extension<Noted>, Json<Vec<AlertTested>>) {
    let tested = desks.test().await;
    (Extension(noted(&tested)), Json(tested))
}

/// What the audit list says: it is done if at least one was sent.
fn noted(tested: &[AlertTested]) -> Noted {
    let failed = tested.iter().filter_map(|it| {
        let error = it.error.as_ref()?;
        Some(format!("{}: {error}", it.name))
    });
    let failed: Vec<String> = failed.collect();
    let result = match (tested.len(), failed.len()) {
        (0, _) => return Noted::of(AuditResult::Refused, "there is no [[alert]]"),
        (all, failures) if failures < all => AuditResult::Done,
        _ => AuditResult::Failed,
    };
    Noted::of(result, failed.join("; "))
}
