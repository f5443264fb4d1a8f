//! The HTTP server: its sockets, the records of requests, and the pages and data under `/` and
//! `/sandbox`.

pub(crate) mod api;
pub(crate) mod call;
pub(crate) mod connection;
pub(crate) mod exchange;
pub(crate) mod local_only;
pub(crate) mod page;
pub(crate) mod record;
pub(crate) mod shared;
pub(crate) mod sockets;
