//! A proxy that relay.toml does not name. Through it the page works, but all visitors are one
//! client, and the cookie of the log-in may go over the network without TLS. Nothing that such
//! a request says is believed; it is only noticed.

use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use axum::http::HeaderMap;

use crate::page::attention::Level;
use crate::page::attention::Notice;
use crate::page::attention::Said;
use crate::page::texts::Language;
use crate::telemetry::maillog;

/// What proxies add to a request (RFC 7239, and what came before it).
const FIELDS: [&str; 4] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
];

const TITLE: &str = "there is a proxy in front of the admin page that relay.toml does not name";
const REMEDY: &str = "add the url by which browsers reach the page and proxies = [\"127.0.0.1\"] \
    under [admin] in relay.toml, then restart the relay. Until then the cookie of the log-in is not \
    Secure, and wrong passwords of one visitor make all wait";

/// Whether such a proxy was seen.
#[derive(Debug, Default)]
pub(in crate::page) struct Unnamed(AtomicBool);

impl Unnamed {
    /// Looks at a request that comes from here.
    pub(in crate::page) fn look(&self, peer: IpAddr, headers: &HeaderMap) {
        let is_forwarded = FIELDS.iter().any(|field| headers.contains_key(*field));
        if !peer.to_canonical().is_loopback() || !is_forwarded {
            return;
        }
        if !self.0.swap(true, Ordering::Relaxed) {
            maillog::config_warning(&format!("{TITLE}: {REMEDY}"));
        }
    }

    /// What every page says once it was seen.
    pub(in crate::page) fn notice(&self) -> Option<Notice> {
        self.0.load(Ordering::Relaxed).then(|| Notice {
            level: Level::Warning,
            title: crate::admin::capital(TITLE),
            since: None,
            details: Vec::new(),
            remedy: Some(Said::new(REMEDY, Language::English)),
            command: None,
            link: None,
        })
    }
}
