//! The HTTP server: its sockets, what is known of each request, and what may look at all of it.

pub(crate) mod api;
pub(crate) mod call;
pub(crate) mod connection;
pub(crate) mod exchange;
pub(crate) mod local_only;
pub(crate) mod page;
pub(crate) mod record;
pub(crate) mod shared;
pub(crate) mod sockets;
