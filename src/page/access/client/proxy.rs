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
            let texts = &Language::English.texts().access;
            let (title, remedy) = (texts.unnamed_proxy, texts.unnamed_proxy_remedy);
            maillog::config_warning(&format!("{title}: {remedy}"));
        }
    }

    /// What every page says once it was seen.
    pub(in crate::page) fn notice(&self, language: Language) -> Option<Notice> {
        let texts = &language.texts().access;
        self.0.load(Ordering::Relaxed).then(|| Notice {
            level: Level::Warning,
            title: crate::admin::capital(texts.unnamed_proxy),
            since: None,
            seen: None,
            details: Vec::new(),
            remedy: Some(Said::new(texts.unnamed_proxy_remedy, language)),
            command: None,
            link: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_is_in_the_language_of_the_page() {
        let unnamed = Unnamed(AtomicBool::new(true));

        for (language, title) in [
            (
                Language::English,
                "There is a proxy in front of the admin page",
            ),
            (Language::German, "Vor der Verwaltungsseite steht ein Proxy"),
        ] {
            let notice = unnamed.notice(language).unwrap();

            assert!(notice.title.starts_with(title), "{}", notice.title);
            let remedy = notice.remedy.unwrap();
            assert_eq!(remedy.lang, language.tag());
            assert!(remedy.words.contains("proxies = ["), "{}", remedy.words);
        }
    }

    #[test]
    fn nothing_is_said_before_such_a_proxy_is_seen() {
        assert_eq!(Unnamed::default().notice(Language::German), None);
    }
}
