//! The connection of a request, which a fault may cut.
//!
//! Every request gets a [`Connection`]. A request that cuts it never returns: the connection's task
//! drops it, sends the last bytes if there are any, and closes.

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
    /// Cuts the connection after these bytes; without any, resets it.
    pub(crate) async fn cut(&self, last_words: Option<Bytes>) -> Response<Bytes> {
        *locked(&self.last_words) = last_words;
        self.cut.cancel();
        std::future::pending().await
    }

    /// Waits until a request cuts the connection.
    pub(crate) async fn broken(&self) {
        self.cut.cancelled().await;
    }

    pub(crate) fn last_words(&self) -> Option<Bytes> {
        locked(&self.last_words).take()
    }
}

/// Returns the first half of an answer as it is sent: the head and half of the body or, without a
/// body, half of the head.
pub(crate) fn half(response: &Response<Bytes>) -> Bytes {
    let status = response.status();
    let mut head = String::new();
    let reason = status.canonical_reason().unwrap_or_default();
    // Writing to a String cannot fail; a broken head is no worse than one that is cut off.
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
