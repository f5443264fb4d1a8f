//! `[admin]`: the admin page, and what the relay serves about itself over TCP.

use std::net::SocketAddr;

use serde::Deserialize;

use super::reader::Marked;
use super::reader::Section;
use crate::credentials::PasswordHash;

/// Where the admin page is served, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPage {
    /// Its address.
    pub address: SocketAddr,
    /// Names, in small letters, by which browsers may reach it, besides those of this
    /// machine.
    pub hosts: Vec<String>,
    /// The password of an administrator, if there is one.
    pub password_hash: Option<PasswordHash>,
}

impl AdminPage {
    /// Whether it is served with TLS: everywhere except on loopback.
    pub fn has_tls(&self) -> bool {
        !self.address.ip().to_canonical().is_loopback()
    }
}

/// `[admin]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    /// Where metrics and health checks are served, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// The admin page, if it is served.
    pub page: Option<AdminPage>,
}

/// Reads the section. `has_certificate`: whether the file has `[tls]`.
pub(super) fn read(top: &mut Section<'_>, has_certificate: bool) -> Admin {
    let mut section = top.table("admin");
    let metrics = section.or("metrics", AddressOrOff(None)).0;
    let address = section.marked::<AddressOrOff>("address");
    let hosts = section.marked::<Vec<String>>("hosts");
    let password_hash = section.optional::<PasswordHash>("password_hash");
    let page = address.and_then(|marked| {
        let Marked { value, span } = marked;
        let page = AdminPage {
            address: value.0?,
            hosts: hosts_of(&section, hosts.as_ref()),
            password_hash,
        };
        if page.has_tls() && !has_certificate {
            section.problem_at(
                &span,
                format!(
                    "address: other machines can reach {}, so the admin page needs TLS: add [tls] \
                     with a certificate, or use an address of this machine only, like \
                     \"127.0.0.1:8025\"",
                    page.address
                ),
            );
        }
        Some(page)
    });
    section.finish();
    Admin { metrics, page }
}

fn hosts_of(section: &Section<'_>, hosts: Option<&Marked<Vec<String>>>) -> Vec<String> {
    let Some(Marked { value, span }) = hosts else {
        return Vec::new();
    };
    let usable = |host: &&String| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    for host in value.iter().filter(|host| !usable(host)) {
        section.problem_at(
            span,
            format!(
                "hosts: {host:?} is not a host name: write names without a port, like \
                 \"relay.contoso.com\""
            ),
        );
    }
    value.iter().map(|host| host.to_ascii_lowercase()).collect()
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
