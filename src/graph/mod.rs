//! A typed client of the Graph calls that the relay makes: sendMail.
//!
//! Promises: only `202 Accepted` is success (Graph page "user: sendMail"; other
//! 2xx have been seen for messages that went nowhere); the mailbox is one
//! percent-encoded path segment, whatever it contains; the message is encoded
//! as it is sent, so a large one does not lie in memory. Knows no SMTP; what an
//! error means for a message is decided in `delivery/outcome.rs`.

mod body;
mod error;

use secrecy::ExposeSecret;
use uuid::Uuid;

pub use self::error::GraphError;
use crate::auth::Token;
use crate::http::Http;
use crate::http::TransportError;
use crate::mail::Address;
use crate::mime::Outgoing;

/// The most bytes of MIME that one request carries. Microsoft limits a request
/// to "4 MB" and does not say whether that is 4,000,000 or 4,194,304 bytes;
/// base64 makes 4,000,000 of this.
pub const LARGEST_MIME: u64 = 3_000_000;

/// Graph, as one account sees it.
#[derive(Clone, Debug)]
pub struct Graph {
    http: Http,
    /// Scheme and host.
    base: String,
}

/// Graph took the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Graph's name for the request, for support cases.
    pub request_id: Option<String>,
}

impl Graph {
    /// A client of the Graph at `base`, scheme and host.
    pub fn new(http: Http, base: String) -> Self {
        Self { http, base }
    }

    /// Submits a message in MIME form (Graph page "user: sendMail"): base64 with
    /// `Content-Type: text/plain`. The copy in Sent Items cannot be switched
    /// off in this form.
    ///
    /// # Errors
    ///
    /// Anything but `202`.
    pub async fn send_mail(
        &self,
        mailbox: &Address,
        token: &Token,
        message: &Outgoing,
        client_request_id: Uuid,
    ) -> Result<Submitted, GraphError> {
        let url = format!(
            "{}/v1.0/users/{}/sendMail",
            self.base,
            segment(mailbox.as_str())
        );
        let url = reqwest::Url::parse(&url).map_err(|error| TransportError::NotSent {
            host: self.base.clone(),
            reason: error.to_string(),
        })?;
        let size = body::encoded_size(message.size());
        let request = self
            .http
            .post(url)
            .bearer_auth(token.secret().expose_secret())
            .header("content-type", "text/plain")
            .header("content-length", size)
            .header("client-request-id", client_request_id.to_string())
            .body(body::encoded(message).await.map_err(GraphError::Content)?);
        let answer = self.http.send(request, size).await?;
        let request_id = answer.header("request-id").map(str::to_owned);
        match answer.status {
            202 => Ok(Submitted { request_id }),
            _ => Err(GraphError::of(&answer, request_id)),
        }
    }
}

/// RFC 3986 2.3: everything but unreserved characters is encoded, so that no
/// mailbox can leave its segment. An address always contains `@`, so it is
/// never `.`, `..` or empty.
fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_one_path_segment() {
        // smtp-attacks 2.6
        for (mailbox, encoded) in [
            ("relay@contoso.com", "relay%40contoso.com"),
            ("o'brien+x@e", "o%27brien%2Bx%40e"),
            ("user%2f..@x", "user%252f..%40x"),
            ("a/b@x", "a%2Fb%40x"),
            ("a?b@x", "a%3Fb%40x"),
            ("a#EXT#@x", "a%23EXT%23%40x"),
            ("ä@x", "%C3%A4%40x"),
        ] {
            assert_eq!(segment(mailbox), encoded);
        }
    }
}
