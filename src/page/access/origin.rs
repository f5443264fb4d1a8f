//! By which names the page may be reached, and from where changes may come.
//!
//! A page of another site can make a browser send requests here: under a name of that
//! site which leads to this address (DNS rebinding), or from the other site. The Host
//! must be one of this list, and the Origin of a change must be this very page.

use std::net::IpAddr;
use std::net::SocketAddr;

use crate::config::PageUrl;

/// The part of a URL that names host and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Authority<'a> {
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Authority<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (host, rest) = match text.strip_prefix('[') {
            Some(inner) => inner.split_once(']')?,
            None => match text.split_once(':') {
                Some((host, _)) => (host, text.strip_prefix(host)?),
                None => (text, ""),
            },
        };
        let port = match rest {
            "" => None,
            rest => Some(rest.strip_prefix(':')?),
        };
        let is_number =
            |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        (!host.is_empty() && port.is_none_or(is_number)).then_some(Self { host, port })
    }
}

/// Whether the page may be reached by this Host. `local` is the address that the client
/// has reached; an address as Host must be that one, or be listed. (A site cannot make a
/// browser take a number for its own name.)
pub(super) fn is_known(host: &str, local: SocketAddr, hosts: &[String]) -> bool {
    let Some(Authority { host, .. }) = Authority::of(host) else {
        return false;
    };
    let local = local.ip().to_canonical();
    let is_listed = |host: &str| hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical() == local || is_listed(host);
    }
    let host = host.trim_end_matches('.');
    (local.is_loopback() && host.eq_ignore_ascii_case("localhost")) || is_listed(host)
}

/// The port of a Host, if it names one.
pub(super) fn port(host: &str) -> Option<&str> {
    Authority::of(host)?.port
}

/// Whether this Origin is the page itself, as reached by this Host. `url` is how browsers
/// should reach it.
pub(super) fn is_own(origin: &str, host: &str, url: &PageUrl) -> bool {
    if host == url.authority() {
        return origin.eq_ignore_ascii_case(url.as_str());
    }
    let schemes = ["http://", "https://"];
    let own = schemes.iter().find_map(|it| origin.strip_prefix(it));
    // By its other names, a proxy in front of the page may end TLS, so the scheme is not
    // compared.
    own.is_some_and(|origin| !host.is_empty() && origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_list_and_the_own_address_are_known() {
        let hosts = ["relay.example".to_owned()];
        let is = |host: &str| is_known(host, "127.0.0.1:8025".parse().unwrap(), &hosts);
        for known in [
            "127.0.0.1:8025",
            "127.0.0.1",
            "localhost:8025",
            "LOCALHOST",
            "localhost.",
            "relay.example",
            "Relay.Example:443",
        ] {
            assert!(is(known), "{known}");
        }
        for unknown in [
            "",
            ":8025",
            "evil.example",
            "evil.example:8025",
            "relay.example.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.2",
            "192.0.2.1",
            "[::1]:8025",
            "[::1",
            "localhost:8025:1",
            "localhost:",
            "user@localhost",
            "localhost/evil",
        ] {
            assert!(!is(unknown), "{unknown}");
        }
    }

    #[test]
    fn beyond_loopback_localhost_is_unknown() {
        let local = "192.0.2.7:8025".parse().unwrap();
        assert!(is_known("192.0.2.7:8025", local, &[]));
        assert!(!is_known("localhost:8025", local, &[]));
        let six = "[2001:db8::7]:8025".parse().unwrap();
        assert!(is_known("[2001:db8::7]:8025", six, &[]));
        let mapped = "[::ffff:192.0.2.7]:8025".parse().unwrap();
        assert!(is_known("192.0.2.7", mapped, &[]));
    }

    #[test]
    fn an_origin_is_the_page_itself_only_with_its_host_and_port() {
        let is_own = |origin, host| is_own(origin, host, &url("http://localhost:8025"));
        assert!(is_own("http://127.0.0.1:8025", "127.0.0.1:8025"));
        assert!(is_own("https://relay.example", "relay.example"));
        for foreign in [
            "null",
            "",
            "http://",
            "http://127.0.0.1:8026",
            "http://127.0.0.1",
            "http://evil.example",
            "ftp://127.0.0.1:8025",
            "http://127.0.0.1:8025.evil.example",
        ] {
            assert!(!is_own(foreign, "127.0.0.1:8025"), "{foreign}");
        }
        assert!(!is_own("http://", ""));
    }

    #[test]
    fn by_the_stated_url_the_scheme_of_an_origin_counts() {
        let is_own = |origin| is_own(origin, "relay.example", &url("https://relay.example"));
        assert!(is_own("https://relay.example"));
        assert!(!is_own("http://relay.example"));
        assert!(!is_own("https://relay.example:8443"));
    }

    fn url(text: &str) -> PageUrl {
        text.parse().unwrap()
    }
}
