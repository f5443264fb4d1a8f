//! Keeps other web pages away from an HTTP server on loopback. It is a layer for axum that works
//! for any such server.
//!
//! Any page that a browser on this machine shows can send requests here. Two headers that no page
//! can forge tell them apart. Host contains the name that the browser used, also one that an
//! attacker's DNS points at this machine ("DNS rebinding"), so only this machine's own names are
//! accepted. Origin names the site of the page, so only the server's own origin may do more than
//! read. Browsers don't let other sites read the answers, because no answer allows it (no CORS
//! header is sent).

use std::net::IpAddr;
use std::net::Ipv6Addr;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;

/// Answers 421 to a request whose host is not this machine, and 403 to one from another origin that
/// could change something. For [`axum::middleware::from_fn`].
pub(crate) async fn local_only(request: Request, next: Next) -> Response {
    let mut response = match refusal(&request) {
        None => next.run(request).await,
        Some(refused) => refused.into_response(),
    };
    // Other pages may not embed what they cannot read either.
    let headers = response.headers_mut();
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, SAME_ORIGIN);
    response
}

fn refusal(request: &Request) -> Option<(StatusCode, &'static str)> {
    let Some(host) = host(request) else {
        return Some((StatusCode::MISDIRECTED_REQUEST, WRONG_HOST));
    };
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    // Either scheme: a server in front of this one may use TLS.
    let own = ["http", "https"].map(|scheme| format!("{scheme}://{host}"));
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    let is_own = |origin: &HeaderValue| {
        let said = origin.as_bytes();
        own.iter()
            .any(|own| own.as_bytes().eq_ignore_ascii_case(said))
    };
    if !reads && !origins.all(is_own) {
        return Some((StatusCode::FORBIDDEN, WRONG_ORIGIN));
    }
    None
}

/// Whether there is no more than one Host, with a name of this machine. A request target with a
/// host (RFC 9112 3.2.2) must name this machine too.
fn host(request: &Request) -> Option<Authority> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().filter(|_| hosts.next().is_none())?;
    let host: Authority = host.to_str().ok()?.parse().ok()?;
    let target = request.uri().authority();
    let is_local = is_local(&host) && target.is_none_or(is_local);
    is_local.then_some(host)
}

/// `localhost`, or a loopback address as it is usually written; a port may follow.
fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    let address = match host.strip_prefix('[') {
        Some(rest) => {
            let inside = rest.strip_suffix(']').unwrap_or_default();
            inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        None => host.parse::<IpAddr>().ok().filter(IpAddr::is_ipv4),
    };
    // `user@localhost` is not a host.
    !authority.as_str().contains('@')
        && (host.eq_ignore_ascii_case("localhost")
            || address.is_some_and(|address| address.to_canonical().is_loopback()))
}

const WRONG_HOST: &str =
    "this server is only for its own machine: use localhost, 127.0.0.1 or [::1]\n";
const WRONG_ORIGIN: &str =
    "refused: request from another web page (its Origin is not this server)\n";

const CROSS_ORIGIN_RESOURCE_POLICY: &str = "cross-origin-resource-policy";
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn status(method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        refusal(&request).map_or(200, |(status, _)| status.as_u16())
    }

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        for host in [
            "localhost",
            "LOCALHOST:8025",
            "127.0.0.1",
            "127.0.0.1:8025",
            "127.8.9.1:1",
            "[::1]",
            "[::1]:8025",
            "[::ffff:127.0.0.1]:8025",
        ] {
            assert_eq!(status("GET", "/", &[("host", host)]), 200, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8025",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "x.localhost",
            "evil.example@localhost",
            "192.0.2.1:8025",
            "0.0.0.0:8025",
            "[::]:8025",
            "[2001:db8::1]",
            "::1",
            "2130706433",
            "127.1",
            "localhost, evil.example",
        ] {
            assert_eq!(status("GET", "/", &[("host", host)]), 421, "{host}");
        }
        assert_eq!(status("GET", "/", &[]), 421);
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(status("GET", "/", &two), 421);
        let local = [("host", "localhost")];
        assert_eq!(status("GET", "http://evil.example/", &local), 421);
        assert_eq!(status("GET", "http://localhost/", &local), 200);
    }

    #[test]
    fn another_origin_may_only_read() {
        let from = |method, origin| {
            let headers = [("host", "127.0.0.1:8025"), ("origin", origin)];
            status(method, "/", &headers)
        };
        for method in ["POST", "DELETE", "PUT", "PATCH", "OPTIONS", "PROPFIND"] {
            assert_eq!(status(method, "/", &[("host", "127.0.0.1:8025")]), 200);
            assert_eq!(from(method, "http://127.0.0.1:8025"), 200);
            assert_eq!(from(method, "https://127.0.0.1:8025"), 200);
            for foreign in [
                "https://evil.example",
                "null",
                "",
                "http://127.0.0.1",
                "http://127.0.0.1:8026",
                "ftp://127.0.0.1:8025",
                "http://localhost:8025",
                "http://127.0.0.1:8025.evil.example",
            ] {
                assert_eq!(from(method, foreign), 403, "{method} {foreign}");
            }
        }
        for method in ["GET", "HEAD"] {
            assert_eq!(from(method, "https://evil.example"), 200);
        }
    }
}
