//! The cookies with secrets. Browsers do not tell ports of a host apart in cookies (RFC 6265
//! 8.5), so the names do: of two relays behind `localhost`, each has its own.
//!
//! Over TLS the name begins with `__Host-`: a browser takes such a cookie only over TLS, from
//! this very host, and for all its paths.

use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::COOKIE;
use axum::http::header::SET_COOKIE;
use axum::response::Response;

use super::origin;
use crate::page::visitor::Visitor;

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::page) enum Cookie {
    /// The session of somebody who is logged in.
    Session,
    /// The session of a guest, who may connect one mailbox.
    Guest,
    /// A log-in with Entra that is under way.
    LogIn,
}

impl Cookie {
    /// Its name on a page that browsers reach by this Host.
    fn name(self, is_encrypted: bool, host: &str) -> String {
        let prefix = if is_encrypted { "__Host-" } else { "" };
        let what = match self {
            Self::Session => "",
            Self::Guest => "-guest",
            Self::LogIn => "-log-in",
        };
        let port = origin::port(host);
        let port = port.map_or_else(String::new, |port| format!("-{port}"));
        format!("{prefix}graph-relay{what}{port}")
    }

    /// Its value in a request.
    pub(super) fn of<'a>(
        self,
        headers: &'a HeaderMap,
        is_encrypted: bool,
        host: &str,
    ) -> Option<&'a str> {
        value(headers, &self.name(is_encrypted, host))
    }

    /// Its value in a request of this visitor.
    pub(super) fn of_visitor<'a>(
        self,
        headers: &'a HeaderMap,
        visitor: &Visitor,
    ) -> Option<&'a str> {
        self.of(headers, visitor.is_encrypted, &visitor.host)
    }

    /// Lets a browser keep it for some seconds.
    pub(in crate::page) fn set(
        self,
        response: &mut Response,
        visitor: &Visitor,
        value: &str,
        seconds: u64,
    ) {
        let name = self.name(visitor.is_encrypted, &visitor.host);
        let secure = if visitor.is_encrypted { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }

    /// Lets a browser forget it.
    pub(in crate::page) fn forget(self, response: &mut Response, visitor: &Visitor) {
        self.set(response, visitor, "", 0);
    }
}

/// The value of a cookie (RFC 6265 5.4).
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(COOKIE).iter();
    let pairs = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'));
    let mut named = pairs.filter_map(|pair| pair.trim().split_once('='));
    named.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_behind_different_ports_of_a_host_have_different_cookies() {
        let name = |encrypted, host| Cookie::Session.name(encrypted, host);
        assert_eq!(name(false, "localhost:8025"), "graph-relay-8025");
        assert_eq!(name(false, "localhost:8026"), "graph-relay-8026");
        assert_eq!(name(false, "[::1]:8025"), "graph-relay-8025");
        assert_eq!(name(true, "relay.example"), "__Host-graph-relay");
        assert_eq!(name(true, "relay.example:8443"), "__Host-graph-relay-8443");
        let guest = Cookie::Guest.name(false, "localhost:8025");
        assert_eq!(guest, "graph-relay-guest-8025");
    }
}
