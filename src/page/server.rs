//! The connections of the page. Few of them are open at once, for each client and in all;
//! a client that sends its request slowly is disconnected, and no connection lasts long.
//! A proxy of `[admin] proxies` has connections of many clients; it limits each of them.
//! Mail does not depend on any of this: the page has its own socket and its own tasks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;
use tracing::warn;

use super::Connection;
use super::access::client::is_proxy;
use super::access::client::network;

/// Connections at once; others wait in the kernel. A browser opens six.
const MOST: usize = 64;
/// Connections of one client at once; more are closed.
const MOST_OF_ONE: usize = 24;
/// How long the head of a request, or a TLS handshake, may take; and how long a
/// connection may be idle.
const HEAD: Duration = Duration::from_secs(10);
/// The longest time of a connection, whatever it is used for.
const LONGEST: Duration = Duration::from_secs(120);
/// The most bytes of a request's head. A browser sends one kilobyte.
const LARGEST_HEAD: usize = 16 * 1024;
/// The most fields of a request's head.
const MOST_FIELDS: usize = 64;
/// After a connection could not be accepted: usually out of file descriptors.
const A_MOMENT: Duration = Duration::from_millis(200);

/// Serves connections until it is dropped, which ends them. When `rests` returns, the relay is
/// about to restart: new connections then wait in the kernel, for the relay that comes.
pub(super) async fn serve(
    socket: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    proxies: Vec<IpNet>,
    routes: Router,
    rests: impl Future<Output = ()>,
) {
    let mut rests = std::pin::pin!(rests);
    let places = Arc::new(Semaphore::new(MOST));
    let clients = Clients::default();
    let connections = TaskTracker::new();
    let acceptor = tls.map(TlsAcceptor::from);
    let ended = CancellationToken::new();
    let _ends_all = ended.clone().drop_guard();
    loop {
        // Fails only for a closed semaphore, and nobody closes this one.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = &mut rests => {
                // Those that are open go on until this is dropped.
                return std::future::pending().await;
            }
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(event = "admin", %error, "the admin page could not accept a connection");
                tokio::time::sleep(A_MOMENT).await;
                continue;
            }
        };
        let entry = match is_proxy(client.ip(), &proxies) {
            true => None,
            false => match clients.enter(client.ip()) {
                None => continue,
                entered => entered,
            },
        };
        let Ok(local) = stream.local_addr() else {
            continue;
        };
        let connection = Connection {
            client,
            local,
            is_encrypted: acceptor.is_some(),
        };
        let place = Place {
            _held: Arc::new((place, entry)),
        };
        let routes = routes.clone().layer(Extension(connection));
        let visit = visit(stream, acceptor.clone(), routes.layer(Extension(place)));
        connections.spawn(limited(client, visit, ended.clone()));
    }
}

/// A connection until its end, and no longer than it may last.
async fn limited(client: SocketAddr, visit: impl Future<Output = ()>, ended: CancellationToken) {
    tokio::select! {
        () = ended.cancelled() => {}
        within = tokio::time::timeout(LONGEST, visit) => {
            if within.is_err() {
                debug!(event = "admin", %client, "a connection to the admin page was ended");
            }
        }
    }
}

async fn visit(stream: TcpStream, acceptor: Option<TlsAcceptor>, routes: Router) {
    match acceptor {
        None => answer(stream, routes).await,
        Some(acceptor) => {
            let shaken = tokio::time::timeout(HEAD, acceptor.accept(stream)).await;
            // Whoever did not finish it has gone, or does not speak TLS.
            if let Ok(Ok(stream)) = shaken {
                answer(stream, routes).await;
            }
        }
    }
}

async fn answer<S>(stream: S, routes: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_FIELDS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await;
    if let Err(error) = served {
        debug!(event = "admin", %error, "a connection to the admin page broke off");
    }
}

/// The place of a connection, among all and among those of its client. Every request of the
/// connection has a clone; the place is free again when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Place {
    _held: Arc<(OwnedSemaphorePermit, Option<Entry>)>,
}

/// How many connections each client has.
#[derive(Clone, Debug, Default)]
struct Clients(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection of a client, until it is dropped.
#[derive(Debug)]
struct Entry {
    clients: Clients,
    client: IpAddr,
}

impl Clients {
    fn enter(&self, client: IpAddr) -> Option<Entry> {
        let client = network(client);
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clients.entry(client).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Entry {
            clients: self.clone(),
            client,
        })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let clients = &self.clients.0;
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_addresses_has_as_many_connections_as_one_client() {
        let clients = Clients::default();
        let enter = |address: &str| clients.enter(address.parse().unwrap());
        let mut open: Vec<_> = (0..MOST_OF_ONE)
            .map(|n| enter(&format!("2001:db8::{n:x}")).unwrap())
            .collect();

        assert!(enter("2001:db8::ffff").is_none());
        assert!(enter("2001:db8:0:1::1").is_some());
        assert!(enter("192.0.2.1").is_some());
        open.pop();
        assert!(enter("2001:db8::ffff").is_some());
    }
}
