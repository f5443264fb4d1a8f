//! An answer that comes in lines of JSON while the work goes on: its steps, and at the end what
//! came of it.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use futures_util::stream;
use serde::Deserialize;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::admin::ApiError;
use crate::admin::ErrorCode;
use crate::spool::SpoolError;
use crate::spool::Step;

/// A line of such an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Followed<T> {
    /// How far it is.
    Step(Step),
    /// What came of it; the last line.
    Done(T),
    /// Why nothing came of it; the last line.
    Failed(ApiError),
}

/// Steps that wait for the client; further ones are left out.
const WAITING: usize = 16;

/// Works, and answers with the steps. The work goes on when the client is gone.
pub(super) fn followed<T, W, F>(tasks: &TaskTracker, work: W) -> Response
where
    T: Serialize + Send + 'static,
    F: Future<Output = Result<T, SpoolError>> + Send + 'static,
    W: FnOnce(Box<dyn Fn(Step) + Send + Sync>) -> F + Send + 'static,
{
    let (lines, rest) = mpsc::channel(WAITING);
    let steps = lines.clone();
    tasks.spawn(async move {
        let on_step = move |step| {
            let _full = steps.try_send(line(&Followed::<()>::Step(step)));
        };
        let last = match work(Box::new(on_step)).await {
            Ok(done) => line(&Followed::Done(done)),
            Err(error) => line(&Followed::<()>::Failed(ApiError {
                error: ErrorCode::Spool,
                message: error.to_string(),
            })),
        };
        let _gone = lines.send(last).await;
    });
    let body = stream::unfold(rest, |mut rest| async move {
        let line = rest.recv().await?;
        Some((Ok::<_, Infallible>(line), rest))
    });
    (
        [(CONTENT_TYPE, "application/jsonl")],
        Body::from_stream(body),
    )
        .into_response()
}

fn line<T: Serialize>(followed: &Followed<T>) -> String {
    let mut line = serde_json::to_string(followed).unwrap_or_default();
    line.push('\n');
    line
}
