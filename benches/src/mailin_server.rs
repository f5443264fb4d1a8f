//! The role `mailin`: the least that can be built on mailin-embedded, a server that takes every
//! message and forgets it. It keeps nothing, so it shows what that listener could do at best.

use std::net::SocketAddr;

use mailin_embedded::Handler;
use mailin_embedded::Server;
use mailin_embedded::SslConfig;

use crate::failure::Failure;
use crate::failure::Result;

/// Serves until the process is ended: the package has no way to stop a server.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    let failed = |error| Failure::new(format!("cannot serve at {listen}: {error}"));

    let mut server = Server::new(Forget);
    server
        .with_name("mailin.bench.example")
        .with_num_threads(THREADS)
        .with_ssl(SslConfig::None)
        .and_then(|server| server.with_addr(listen))
        .map_err(failed)?;
    server.serve().map_err(failed)
}

/// Every default of the trait accepts.
#[derive(Clone)]
struct Forget;

impl Handler for Forget {}

/// A thread serves one connection from its greeting to its end. With the package's default of 4 the
/// other 46 of 50 connections would wait for these to close, so it gets one for each, and to spare.
const THREADS: u32 = 64;
