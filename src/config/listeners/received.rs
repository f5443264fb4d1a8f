//! `[received]`: what the Received field that the relay adds says about the client.

use serde::Deserialize;

use crate::config::reader::Section;

/// Whether the Received field names the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReceivedClient {
    /// It has the client's address and the name that the client gave (RFC 5321
    /// 4.4).
    Full,
    /// It has neither.
    Hidden,
}

/// The key of `[received]`.
pub(in crate::config) fn read(top: &mut Section<'_>) -> ReceivedClient {
    let mut section = top.table("received");
    let client = section.or("client", ReceivedClient::Full);
    section.finish();
    client
}
