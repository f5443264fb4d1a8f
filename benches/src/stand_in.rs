//! The role `stand-in`: Entra and Graph for the relay, in a process of its own so that its work is
//! not counted as the relay's. It answers each line on standard input with the number of messages
//! that arrived, and ends with its standard input.

use std::net::SocketAddr;

use crate::failure::Failure;
use crate::failure::Result;

/// Serves until standard input ends.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    Err(Failure::new(format!("nothing to serve at {listen} yet")))
}
