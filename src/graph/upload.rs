//! The upload session of a large attachment (Graph page "Attach large files to
//! Outlook messages").
//!
//! Promises: the access token never goes to the upload URL, and the URL, which is a secret
//! itself, is never printed. The relay uploads only over https, to the cloud's upload hosts
//! or to the host of the configured Graph. Ranges are sent in order.

use std::fmt;

use bytes::Bytes;
use reqwest::Method;
use reqwest::Url;
use serde_json::Value;

use super::Graph;
use super::GraphError;
use super::Place;
use super::expect;
use super::request_id;
use crate::http::Answer;
use crate::http::one_line;
use crate::metrics::Operation;

/// An unfinished upload.
pub struct UploadSession {
    url: Url,
    /// Size of the whole attachment in bytes.
    size: u64,
}

impl fmt::Debug for UploadSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever has the URL can write to the mailbox.
        formatter
            .debug_struct("UploadSession")
            .finish_non_exhaustive()
    }
}

/// The progress of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The first byte that is missing.
    Next(u64),
    /// The attachment is part of the draft.
    Done,
}

impl UploadSession {
    /// The answer that opens a session.
    pub(super) fn read(answer: &Answer, place: &Place, size: u64) -> Result<Self, GraphError> {
        let url = member(answer, "uploadUrl");
        let url = url.as_ref().and_then(Value::as_str).map(Url::parse);
        let Some(Ok(url)) = url else {
            return Err(GraphError::of(answer, request_id(answer)));
        };
        if !is_trusted(&url, place) {
            return Err(GraphError::UploadHost(one_line(
                url.host_str().unwrap_or_default(),
            )));
        }
        Ok(Self { url, size })
    }
}

/// A stand-in on this machine may accept uploads on another port.
fn is_trusted(url: &Url, place: &Place) -> bool {
    let host = url.host_str().unwrap_or_default();
    let graph = Url::parse(&place.url);
    let same =
        graph.is_ok_and(|graph| graph.scheme() == url.scheme() && graph.host() == url.host());
    let below = |name: &str| {
        let rest = host.strip_suffix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    same || (url.scheme() == "https" && place.upload_hosts.iter().any(|name| below(name)))
}

impl Graph {
    /// Sends the bytes of an attachment that begin at `first`.
    ///
    /// # Errors
    ///
    /// Anything other than `200` with the next range, and `201`.
    pub async fn upload(
        &self,
        session: &UploadSession,
        first: u64,
        bytes: Bytes,
    ) -> Result<Progress, GraphError> {
        let length = bytes.len() as u64;
        let last = (first + length).saturating_sub(1);
        let request = self
            .http
            .request(Method::PUT, session.url.clone())
            .header("content-type", "application/octet-stream")
            .header("content-length", length)
            .header(
                "content-range",
                format!("bytes {first}-{last}/{}", session.size),
            )
            .body(bytes);
        let answer = self.http.send(request, length);
        let answer = self.counted(Operation::Upload, answer).await?;
        if answer.status == 201 {
            return Ok(Progress::Done);
        }
        next(&answer)
    }

    /// Asks for the progress of an upload.
    ///
    /// # Errors
    ///
    /// Anything other than `200` with the next range.
    pub async fn upload_progress(&self, session: &UploadSession) -> Result<Progress, GraphError> {
        let request = self.http.request(Method::GET, session.url.clone());
        let answer = self.http.send(request, 0);
        next(&self.counted(Operation::Upload, answer).await?)
    }
}

fn next(answer: &Answer) -> Result<Progress, GraphError> {
    expect(200, answer)?;
    let ranges = member(answer, "nextExpectedRanges");
    let first = ranges.as_ref().and_then(|ranges| ranges.get(0)?.as_str());
    // The first answer says "0-", the next one "2097152".
    let start = first.and_then(|range| range.split('-').next()?.parse().ok());
    let unread = || GraphError::of(answer, request_id(answer));
    start.map(Progress::Next).ok_or_else(unread)
}

/// Microsoft writes the names sometimes with a small letter and sometimes with a capital.
fn member(answer: &Answer, name: &str) -> Option<Value> {
    let Ok(Value::Object(object)) = serde_json::from_slice(&answer.body) else {
        return None;
    };
    let mut members = object.into_iter();
    members
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        Answer {
            status: 200,
            headers: reqwest::header::HeaderMap::new(),
            body: body.to_owned().into(),
            retry_after: None,
        }
    }

    #[test]
    fn the_next_range_is_read_in_both_spellings() {
        for (body, first) in [
            (r#"{"nextExpectedRanges":["0-"]}"#, 0),
            (r#"{"nextExpectedRanges":["2097152"]}"#, 2_097_152),
            (r#"{"NextExpectedRanges":["2097152-"]}"#, 2_097_152),
            (
                r#"{"ExpirationDateTime":"x","nextExpectedRanges":["5-9","12-"]}"#,
                5,
            ),
        ] {
            assert_eq!(
                next(&answer(body)).unwrap(),
                Progress::Next(first),
                "{body}"
            );
        }
        for odd in [
            "",
            "{}",
            r#"{"nextExpectedRanges":[]}"#,
            r#"{"nextExpectedRanges":["x"]}"#,
        ] {
            assert!(next(&answer(odd)).is_err(), "{odd}");
        }
    }

    fn global_hosts(url: &str) -> Place {
        Place {
            url: url.to_owned(),
            upload_hosts: &["office.com", "office365.com", "graph.microsoft.com"],
        }
    }

    #[test]
    fn an_upload_goes_to_microsoft_or_to_the_configured_graph_only() {
        let trusted =
            |url: &str, graph: &str| is_trusted(&Url::parse(url).unwrap(), &global_hosts(graph));

        let global = "https://graph.microsoft.com";
        for good in [
            "https://outlook.office.com/api/gv1.0/x?authtoken=y",
            "https://outlook.office365.com/x",
            "https://graph.microsoft.com/x",
        ] {
            assert!(trusted(good, global), "{good}");
        }
        for bad in [
            "http://outlook.office.com/x",
            "https://outlook.office.com.evil.example/x",
            "https://eviloffice.com/x",
            "https://127.0.0.1/x",
            "http://127.0.0.1/x",
        ] {
            assert!(!trusted(bad, global), "{bad}");
        }
        assert!(trusted("http://127.0.0.1:9/x", "http://127.0.0.1:8"));
        assert!(!trusted("http://127.0.0.2:9/x", "http://127.0.0.1:8"));
        assert!(!trusted("file:///etc/passwd", "http://127.0.0.1:8"));
    }

    #[test]
    fn an_upload_url_is_never_printed() {
        let opened = answer(r#"{"uploadUrl":"https://outlook.office.com/x?authtoken=canary"}"#);
        let session = UploadSession::read(&opened, &global_hosts("https://x"), 1).unwrap();

        assert!(!format!("{session:?}").contains("canary"));
    }
}
