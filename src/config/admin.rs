//! `[admin]`: what the relay serves about itself over TCP.

use std::net::SocketAddr;

use serde::Deserialize;

use super::reader::Section;

/// Where metrics and health checks are served, if anywhere.
pub(super) fn read(top: &mut Section<'_>) -> Option<SocketAddr> {
    let mut section = top.table("admin");
    let metrics = section.or("metrics", AddressOrOff(None)).0;
    section.finish();
    metrics
}

/// An address with its port, or `"off"`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct AddressOrOff(Option<SocketAddr>);

impl TryFrom<String> for AddressOrOff {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text == "off" {
            return Ok(Self(None));
        }
        let address = text.parse().map(|address| Self(Some(address)));
        address.map_err(|_| "write an address with a port, like \"127.0.0.1:9092\", or \"off\"")
    }
}
