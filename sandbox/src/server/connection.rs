//! The connection beneath a request, which a fault may cut.
//!
//! Every connection hands a [`Connection`] to each of its requests. A request that cuts it never
//! returns: the connection's task drops it, says the last words if there are any, and closes.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::Mutex;

use axum::body::Bytes;
use axum::http::Response;
use tokio_util::sync::CancellationToken;

use crate::lock::locked;

/// A handle on a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection {
    cut: CancellationToken,
    last_words: Arc<Mutex<Option<Bytes>>>,
}

impl Connection {
    /// Has the connection cut after these octets; none at all means a reset.
    pub(crate) async fn cut(&self, last_words: Option<Bytes>) -> Response<Bytes> {
        *locked(&self.last_words) = last_words;
        self.cut.cancel();
        std::future::pending().await
    }

    /// Waits until a request has the connection cut.
    pub(crate) async fn broken(&self) {
        self.cut.cancelled().await;
    }

    pub(crate) fn last_words(&self) -> Option<Bytes> {
        locked(&self.last_words).take()
    }
}

/// The first half of an answer as it is on the wire: the head and half the body, or, where there is
/// no body, half the head.
pub(crate) fn half(response: &Response<Bytes>) -> Bytes {
    let status = response.status();
    let mut head = String::new();
    let reason = status.canonical_reason().unwrap_or_default();
    // Writing to a String cannot fail; a broken head would be no worse than a cut one.
    let written = write!(head, "HTTP/1.1 {} {reason}\r\n", status.as_u16())
        .and_then(|()| {
            response.headers().iter().try_for_each(|(name, value)| {
                write!(head, "{name}: {}\r\n", value.to_str().unwrap_or_default())
            })
        })
        .and_then(|()| write!(head, "content-length: {}\r\n\r\n", response.body().len()));
    debug_assert!(written.is_ok());
    let mut wire = head.into_bytes();
    if response.body().is_empty() {
        wire.truncate(wire.len() / 2);
    } else {
        wire.extend(response.body().iter().take(response.body().len() / 2));
    }
    Bytes::from(wire)
}
