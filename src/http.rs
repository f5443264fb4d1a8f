//! The one HTTP client: TLS roots, proxy, time limits, no redirects.
//!
//! Promises: an answer's body is read up to a limit. An error without an answer says
//! whether the request can have reached the other side, because promise 4 depends on it:
//! connecting, with TLS, has its own time limit, and the time for the answer comes on top,
//! so a request that times out without a connection always counts as not sent. No error
//! text contains a URL's path or query, a header or a body, so it contains no secret.
//! `auth/` and `graph/` decide what an answer means.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;
use reqwest::header::RETRY_AFTER;
use rustls::crypto::ring;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::config;

/// The HTTP client; clones share its connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    connect_timeout: Duration,
    timeout: Duration,
    clock: Clock,
}

/// Which hosts the client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Hosts on the internet, through the proxy if there is one.
    Internet,
    /// Services that no proxy could reach: a stand-in on this machine, its own services.
    Direct,
}

/// Why the client could not be created.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// `http.ca_file` cannot be read.
    #[error("http.ca_file {path}: {error}")]
    CaFile {
        /// The file.
        path: String,
        /// Why.
        error: String,
    },
    /// The proxy.
    #[error("http.proxy cannot be used: {0}")]
    Proxy(String),
    /// There are no certificates to verify Entra and Graph with, or they cannot be used.
    #[error(
        "TLS cannot be set up: {0}. If this machine has no CA certificates, install the package \
         ca-certificates, or name a file with them in [http] ca_file"
    )]
    Tls(String),
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: HeaderMap,
    /// The beginning of the body: at most 64 KiB plus what it may repeat.
    pub body: Bytes,
    /// The wait before the next request, if the answer names one.
    pub retry_after: Option<Duration>,
}

/// There was no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nothing of the request can have arrived: no address, no connection or no TLS session.
    #[error("cannot reach {host}: {reason}")]
    NotSent {
        /// Host and port.
        host: String,
        /// In words.
        reason: String,
    },
    /// The request, or a part of it, may have arrived.
    #[error("no answer from {host}: {reason}")]
    MaybeSent {
        /// Host and port.
        host: String,
        /// In words.
        reason: String,
    },
}

/// Enough for any error text of Graph or Entra; a proxy's page is cut off.
const LARGEST_BODY: usize = 64 * 1024;
/// JSON writes a character of one byte with up to six (RFC 8259 7).
const LONGEST_ESCAPE: usize = 6;
/// A host that has not accepted a connection after this time will not do so.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle connections are closed before the other side closes them, so that no request is
/// written into a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(50);
/// Uploads may be this slow, in bytes per second, before they time out.
const SLOWEST_UPLOAD: u64 = 16 * 1024;

/// Makes ring the only provider of cryptography, which rustls requires before its first
/// use.
pub fn install_tls() {
    // Fails if one is installed already, which is fine.
    let _installed = ring::default_provider().install_default();
}

impl Http {
    /// Creates the client.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong.
    pub fn new(settings: &config::Http, reach: Reach, clock: Clock) -> Result<Self, HttpError> {
        install_tls();
        let connect_timeout = CONNECT_TIMEOUT.min(settings.timeout);
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .user_agent(concat!("graph-relay/", env!("CARGO_PKG_VERSION")));
        if reach == Reach::Direct {
            builder = builder.no_proxy();
        } else if let Some(proxy) = &settings.proxy {
            let failed = |error| HttpError::Proxy(words(error));
            builder = builder.proxy(reqwest::Proxy::all(&proxy.0).map_err(failed)?);
        }
        if let Some(path) = &settings.ca_file {
            let failed = |error: String| HttpError::CaFile {
                path: path.display().to_string(),
                error,
            };
            let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| failed(error.to_string()))?;
            if certificates.is_empty() {
                return Err(failed("holds no certificate in PEM".to_owned()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build();
        Ok(Self {
            client: client.map_err(|error| HttpError::Tls(words(error)))?,
            connect_timeout,
            timeout: settings.timeout,
            clock,
        })
    }

    /// A request to complete and hand to [`Http::send`].
    pub fn request(&self, method: Method, url: reqwest::Url) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request with a body of `size` bytes and reads its answer.
    ///
    /// # Errors
    ///
    /// There was no answer.
    pub async fn send(
        &self,
        request: reqwest::RequestBuilder,
        size: u64,
    ) -> Result<Answer, TransportError> {
        self.send_with_room(request, size, LARGEST_BODY).await
    }

    /// Does the same for a request whose answer repeats its content.
    ///
    /// # Errors
    ///
    /// There was no answer.
    pub async fn send_to_be_repeated(
        &self,
        request: reqwest::RequestBuilder,
        size: u64,
    ) -> Result<Answer, TransportError> {
        let repeated = usize::try_from(size).unwrap_or(usize::MAX);
        let room = repeated.saturating_mul(LONGEST_ESCAPE);
        self.send_with_room(request, size, room.saturating_add(LARGEST_BODY))
            .await
    }

    async fn send_with_room(
        &self,
        request: reqwest::RequestBuilder,
        size: u64,
        room: usize,
    ) -> Result<Answer, TransportError> {
        let timeout = self.timeout + Duration::from_secs(size / SLOWEST_UPLOAD);
        let end = Instant::now() + self.connect_timeout + timeout;
        let (client, request) = request.build_split();
        let request = request.map_err(|error| transport_error(String::new(), error))?;
        let host = host_of(request.url());
        // Not reqwest's own time limit: it is checked before the connection's, so that after a
        // pause of the whole process the wrong one would report the timeout.
        let answered = tokio::time::timeout_at(end, client.execute(request)).await;
        let mut response = match answered {
            Ok(response) => response.map_err(|error| transport_error(host.clone(), error))?,
            Err(_) => {
                let reason = TIMED_OUT.to_owned();
                return Err(TransportError::MaybeSent { host, reason });
            }
        };
        let mut body = Vec::new();
        while body.len() < room {
            match tokio::time::timeout_at(end, response.chunk()).await {
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                // The status was read, and it matters even if the body broke off.
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            }
        }
        body.truncate(room);
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: retry_after(response.headers(), self.clock.now()),
            headers: response.headers().clone(),
            body: body.into(),
        })
    }
}

impl Answer {
    /// Returns the value of a header field, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Makes text from outside fit for one line of a log.
pub fn one_line(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(LONGEST_REASON).collect()
}

fn host_of(url: &reqwest::Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => String::new(),
    }
}

fn transport_error(host: String, error: reqwest::Error) -> TransportError {
    let not_sent = error.is_connect() || error.is_builder();
    let mut reason = if error.is_timeout() {
        TIMED_OUT.to_owned()
    } else {
        words(error)
    };
    reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
    if not_sent {
        TransportError::NotSent { host, reason }
    } else {
        TransportError::MaybeSent { host, reason }
    }
}

const LONGEST_REASON: usize = 300;
const TIMED_OUT: &str = "timed out";

/// Returns the error and its causes, outermost first, without the URL.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    unresolved(&text).map_or(text, str::to_owned)
}

/// Why a host has no address, in words that need no other knowledge, if that is what a text of the
/// system (`getaddrinfo(3)`) is about.
pub fn unresolved(text: &str) -> Option<&'static str> {
    let is_it = |signs: [&str; 2]| signs.iter().any(|sign| text.contains(sign));
    if is_it(["Name or service not known", "Name does not resolve"]) {
        Some("the DNS of this machine knows no such host")
    } else if is_it(["Temporary failure in name resolution", "Try again"]) {
        Some("the DNS of this machine does not answer")
    } else {
        None
    }
}

/// RFC 9110 10.2.3: `Retry-After = HTTP-date / delay-seconds`.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    Some(Timestamp::from_http_date(value)?.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        // Sat, 21 Nov 2026 19:00:00 GMT
        retry_after(&headers, Timestamp::from_millis(1_795_287_600_000))
    }

    #[test]
    fn a_host_without_an_address_is_reported_in_plain_words() {
        let dns = "client error (Connect): dns error: failed to lookup address information: ";
        for (text, words) in [
            (
                "Name or service not known",
                Some("the DNS of this machine knows no such host"),
            ),
            (
                "Temporary failure in name resolution",
                Some("the DNS of this machine does not answer"),
            ),
            ("Connection refused", None),
        ] {
            assert_eq!(unresolved(&format!("{dns}{text}")), words);
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        // The two examples of RFC 9110 10.2.3, with a later date.
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            of("Sat, 21 Nov 2026 19:02:00 GMT"),
            Some(Duration::from_secs(120))
        );
        assert_eq!(of("Sat, 21 Nov 2026 18:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(of("0"), Some(Duration::ZERO));
        for nonsense in ["-1", "soon", "", "1e3"] {
            assert_eq!(of(nonsense), None, "{nonsense}");
        }
    }
}
