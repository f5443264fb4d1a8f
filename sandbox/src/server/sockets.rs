//! The sockets: accepting, one task per connection, cutting a connection on purpose, and stopping.
//!
//! This file uses hyper directly and not `axum::serve`, because a fault must be able to cut a
//! connection before or within its answer.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::server::connection::Connection;

/// Accepts connections until `stop`.
pub(crate) async fn accept(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    connections: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = serve(stream, peer, router.clone(), stop.clone());
                connections.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "sandbox: accepting a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end, or until `stop`; then it finishes the answers that have begun,
/// within a time limit.
async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "sandbox: setting TCP_NODELAY");
    }
    let handle = Connection::default();
    let routed = TowerToHyperService::new(router);
    let handed = handle.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(handed.clone());
        routed.call(request)
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut end = tokio::select! {
        biased;
        () = handle.broken() => End::Cut,
        ended = &mut connection => End::Over(ended),
        () = stop.cancelled() => End::Stop,
    };
    if let End::Stop = end {
        Pin::new(&mut connection).graceful_shutdown();
        end = tokio::select! {
            biased;
            () = handle.broken() => End::Cut,
            ended = &mut connection => End::Over(ended),
            () = tokio::time::sleep(STOP_PATIENCE) => End::Stop,
        };
    }
    match end {
        End::Over(Ok(())) => {}
        End::Over(Err(error)) => tracing::debug!(%peer, %error, "sandbox: a connection ended"),
        End::Cut | End::Stop => {
            let stream = connection.into_parts().io.into_inner();
            if let Err(error) = hang_up(stream, &handle).await {
                tracing::debug!(%peer, %error, "sandbox: hanging up");
            }
        }
    }
}

/// How a connection ends.
enum End {
    /// By itself.
    Over(hyper::Result<()>),
    /// A fault cut it.
    Cut,
    /// The sandbox stops.
    Stop,
}

/// Closes after the last bytes, or with a reset if there are none.
async fn hang_up(mut stream: TcpStream, handle: &Connection) -> std::io::Result<()> {
    match handle.last_words() {
        None => stream.set_zero_linger(),
        Some(words) => {
            stream.write_all(&words).await?;
            stream.shutdown().await
        }
    }
}

/// The wait after a failed accept (no file descriptor left, for instance): long enough not to spin,
/// too short to notice.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long answers that have begun may take once the sandbox stops.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
