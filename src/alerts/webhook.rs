//! An alert as an HTTP request, signed as the specification Standard Webhooks 1.0 says.
//!
//! The header fields `webhook-id`, `webhook-timestamp` (seconds since 1970) and, if there is
//! a secret, `webhook-signature`: `v1,` and the base64 of the HMAC-SHA256 of
//! `ID.TIMESTAMP.BODY`. A secret that begins with `whsec_` is base64 from there on, any other
//! one is used as it is. The secret is read for every request.
//!
//! The answer's status alone counts: 2xx, or the alert is sent again. Redirects are not
//! followed.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Method;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use ring::hmac;
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::notice::NotSent;
use super::notice::Notice;
use crate::clock::Clock;
use crate::config;
use crate::config::alerts::Webhook;
use crate::config::alerts::WebhookFormat;
use crate::credentials::SecretSource;
use crate::http::Http;
use crate::http::HttpError;
use crate::http::Reach;
use crate::http::one_line;

/// What sends to one URL.
#[derive(Debug)]
pub(super) struct Client {
    webhook: Webhook,
    http: Http,
    /// For the whole request, from the connection to the answer.
    patience: Duration,
    clock: Clock,
}

/// A receiver that has not answered by then counts as one that does not answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The beginning of an answer that the log shows.
const SHOWN: usize = 200;
const PREFIX: &str = "whsec_";

impl Client {
    pub(super) fn new(webhook: &Webhook, http: &config::Http) -> Result<Self, HttpError> {
        let clock = Clock::System;
        let reach = match webhook.is_local() {
            true => Reach::Direct,
            false => Reach::Internet,
        };
        let patience = http.timeout.min(TIMEOUT);
        let settings = config::Http {
            timeout: patience,
            ..http.clone()
        };
        Ok(Self {
            webhook: webhook.clone(),
            http: Http::new(&settings, reach, clock.clone())?,
            patience,
            clock,
        })
    }

    /// Sends it once.
    pub(super) async fn send(&self, notice: &Notice, relay: &str) -> Result<(), NotSent> {
        let body = match self.webhook.format {
            WebhookFormat::Json => notice.json(relay),
            WebhookFormat::Text => notice.text_json(relay),
        };
        let timestamp = self.clock.now().millis() / 1000;
        let mut request = self
            .http
            .request(Method::POST, self.webhook.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &notice.id)
            .header("webhook-timestamp", timestamp);
        if let Some(source) = &self.webhook.secret {
            let signature = signature(source, &notice.id, timestamp, &body)?;
            request = request.header("webhook-signature", signature);
        }
        let size = body.len() as u64;
        // The client adds the time to connect, and that for a large body.
        let answer = self.http.send(request.body(body), size);
        let answer = timeout(self.patience, answer).await.map_err(|_| {
            let host = self.webhook.host();
            NotSent(format!("no answer from {host}: timed out"))
        })?;
        let answer = answer.map_err(|error| NotSent(one_line(&error.to_string())))?;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&answer.body);
        let said = without_secrets(&one_line(&said), &self.webhook.url);
        let said: String = said.chars().take(SHOWN).collect();
        let said = match said.trim() {
            "" => String::new(),
            said => format!(": {said}"),
        };
        let (host, status) = (self.webhook.host(), answer.status);
        let hint = match status {
            300..400 => " (the relay follows no redirect: write the URL that it leads to)",
            _ => "",
        };
        Err(NotSent(format!("{host} answers {status}{hint}{said}")))
    }
}

/// An answer without the parts of the URL that may be secret: some servers repeat it.
fn without_secrets(answer: &str, url: &Url) -> String {
    let segments = url.path().split('/');
    let values = url.query().unwrap_or_default().split(['&', '=']);
    let parts = segments
        .chain(values)
        .filter(|part| part.len() >= SHORTEST_SECRET);
    parts.fold(answer.to_owned(), |answer, part| {
        let decoded = percent_decode_str(part).decode_utf8_lossy();
        answer.replace(part, "...").replace(&*decoded, "...")
    })
}

/// Shorter parts of a URL are words.
const SHORTEST_SECRET: usize = 6;

fn signature(
    source: &SecretSource,
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> Result<String, NotSent> {
    let secret = source.read();
    let secret = secret.map_err(|error| NotSent(format!("cannot sign: secret_file: {error}")))?;
    let secret = secret.expose_secret();
    let decoded = secret
        .strip_prefix(PREFIX)
        .map(|text| BASE64_STANDARD.decode(text));
    let key = match &decoded {
        Some(Ok(key)) => hmac::Key::new(hmac::HMAC_SHA256, key),
        Some(Err(_)) => {
            let words = format!("cannot sign: {source}: what follows {PREFIX} is not base64");
            return Err(NotSent(words));
        }
        None => hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
    };
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    let tag = context.sign();
    Ok(format!("v1,{}", BASE64_STANDARD.encode(tag.as_ref())))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_limit_holds_for_the_whole_request() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let webhook = Webhook {
            url: Url::parse(&url).unwrap(),
            secret: None,
            format: WebhookFormat::Json,
        };
        let limit = Duration::from_secs(1);
        let settings = config::Http {
            proxy: None,
            ca_file: None,
            timeout: limit,
        };
        let client = Client::new(&webhook, &settings).unwrap();
        let notice = Notice::test("1".to_owned(), Clock::System.now());

        let begun = Instant::now();
        let failed = client.send(&notice, "relay.example").await.unwrap_err();

        assert!(failed.0.ends_with("timed out"), "{failed}");
        // With the time to connect on top, it would be twice the limit.
        assert_eq!(begun.elapsed().as_secs(), limit.as_secs());
    }
}
