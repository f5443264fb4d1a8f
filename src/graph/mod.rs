//! A typed client for the Graph calls of the relay: sendMail, drafts and their
//! attachments.
//!
//! Promises: only the status that Graph's page names counts as success (other 2xx have
//! been seen for messages that were never sent). The mailbox and an ID are one
//! percent-encoded path segment each, whatever they contain. A message is encoded while it
//! is sent, so a large one needs little memory. A token that Graph refuses is renewed once.
//! This module knows no SMTP; `delivery/outcome/` decides what an error means for a
//! message.
//!
//! | file | calls |
//! |---|---|
//! | `message` | the JSON form |
//! | `draft` | a draft: create, attach, send, look up, delete |
//! | `upload` | the upload session of a large attachment |
//! | `owners` | the mailbox that an alias belongs to |
//! | `trial` | whether a mailbox can send; a test message |

mod body;
mod draft;
mod error;
mod message;
mod owners;
mod trial;
mod upload;

use std::sync::Arc;

use bytes::Bytes;
use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use reqwest::Method;
use reqwest::Url;
use secrecy::ExposeSecret;
use tokio::time::Instant;
use tracing::debug;
use uuid::Uuid;

pub use self::body::encoded_size;
pub use self::draft::DraftOrigin;
pub use self::draft::DraftState;
pub use self::draft::FileAttachment;
pub use self::draft::HeaderField;
pub use self::draft::LEAST_UPLOAD;
pub use self::error::GraphError;
pub use self::message::Json;
pub use self::message::Message;
pub use self::message::SentItems;
use self::owners::Owners;
pub use self::upload::Progress;
pub use self::upload::UploadSession;
use crate::auth::Token;
use crate::auth::Tokens;
use crate::http::Answer;
use crate::http::Http;
use crate::http::TransportError;
use crate::mail::Address;
use crate::metrics::Operation;
use crate::metrics::Requests;
use crate::mime::Outgoing;

/// Graph, with the tokens of one account.
#[derive(Clone, Debug)]
pub struct Graph {
    http: Http,
    tokens: Tokens,
    place: Place,
    owners: Arc<Owners>,
    /// Where requests are counted.
    requests: Requests,
}

/// The address of Graph.
#[derive(Clone, Debug)]
struct Place {
    /// Scheme and host.
    url: String,
    /// Further hosts to which Graph may direct uploads, with their subdomains.
    upload_hosts: &'static [&'static str],
}

/// The mailbox of a request, and the attempt that makes it.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The mailbox, by its user principal name.
    pub mailbox: &'a Address,
    /// The name of the attempt in Graph's logs and in ours.
    pub client_request_id: Uuid,
}

/// A message in one of the two forms that Graph accepts.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// As it was received: base64, with `Content-Type: text/plain`.
    Mime(&'a Outgoing),
    /// [`Json::send_mail`], or for a draft [`Json::draft`].
    Json(&'a Json),
}

/// Graph accepted the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Graph's name for the request, for support cases.
    pub request_id: Option<String>,
}

/// A request to a mailbox.
struct Call<'a> {
    operation: Operation,
    method: Method,
    /// The path after the mailbox.
    path: String,
    payload: Payload<'a>,
    /// Whether IDs must stay the same when an item moves (Graph page "Obtain immutable
    /// identifiers for Outlook resources").
    immutable_ids: bool,
    /// Whether the answer may repeat the message before the part that matters.
    is_repeated: bool,
}

/// What a request carries.
enum Payload<'a> {
    Nothing,
    Json(Bytes),
    /// In base64.
    Mime(&'a Outgoing),
}

impl Graph {
    /// Creates a client of Graph that uses these tokens.
    pub fn new(http: Http, tokens: Tokens) -> Self {
        let account = tokens.account();
        let place = Place {
            url: account.graph_url.clone(),
            upload_hosts: account.cloud.upload_hosts(),
        };
        Self {
            http,
            tokens,
            place,
            owners: Arc::default(),
            requests: Requests::default(),
        }
    }

    /// Counts its requests there.
    #[must_use]
    pub fn counted_in(self, requests: Requests) -> Self {
        Self { requests, ..self }
    }

    /// Submits a message in one request (Graph page "user: sendMail"). Only the JSON form can
    /// avoid the copy in Sent Items.
    ///
    /// # Errors
    ///
    /// Anything other than `202`.
    pub async fn send_mail(
        &self,
        caller: Caller<'_>,
        form: Form<'_>,
    ) -> Result<Submitted, GraphError> {
        let call = Call {
            operation: Operation::SendMail,
            method: Method::POST,
            path: "sendMail".to_owned(),
            payload: form.into(),
            immutable_ids: false,
            is_repeated: false,
        };
        submitted(&self.call(caller, &call).await?)
    }

    /// Returns the mailbox that an alias belongs to, if it was looked up.
    pub fn owner(&self, alias: &Address) -> Option<Address> {
        self.owners.known(alias)
    }

    /// Sends a request to the caller's mailbox, or to its owner's if it is an alias.
    async fn call(&self, caller: Caller<'_>, call: &Call<'_>) -> Result<Answer, GraphError> {
        let known = self.owners.known(caller.mailbox);
        let tried = known.as_ref().unwrap_or(caller.mailbox);
        let answer = self.call_mailbox(tried, caller, call).await?;
        if answer.status != 404 || code(&answer) != "ErrorInvalidUser" {
            return Ok(answer);
        }
        // Nothing was sent: Graph does not know the mailbox.
        match self.owners.find(self, caller, tried).await {
            Some(owner) => self.call_mailbox(&owner, caller, call).await,
            None => Ok(answer),
        }
    }

    /// Sends a request to a mailbox, and repeats it once with a new token if Graph refuses this
    /// one: it may have been revoked, or have expired on the way.
    async fn call_mailbox(
        &self,
        mailbox: &Address,
        caller: Caller<'_>,
        call: &Call<'_>,
    ) -> Result<Answer, GraphError> {
        let token = self.token(caller).await?;
        let answer = self.call_with(&token, mailbox, caller, call).await?;
        if answer.status == 403 && is_access_denied(&answer) {
            // An older token lacks permissions that were granted since.
            self.tokens.outdate(&token);
        }
        if answer.status != 401 {
            return Ok(answer);
        }
        debug!(mailbox = %caller.mailbox, "Graph refused the token, asking for a new one");
        self.tokens.refuse(&token);
        let token = self.token(caller).await?;
        let answer = self.call_with(&token, mailbox, caller, call).await?;
        if answer.status == 401 {
            // The age of this token is not the problem: the next attempt asks again.
            self.tokens.refuse(&token);
        }
        Ok(answer)
    }

    async fn token(&self, caller: Caller<'_>) -> Result<Token, GraphError> {
        let token = self.tokens.token(caller.mailbox).await;
        token.map_err(GraphError::Token)
    }

    async fn call_with(
        &self,
        token: &Token,
        mailbox: &Address,
        caller: Caller<'_>,
        call: &Call<'_>,
    ) -> Result<Answer, GraphError> {
        let mailbox = segment(mailbox.as_str());
        let url = format!("{}/v1.0/users/{mailbox}/{}", self.place.url, call.path);
        let url = Url::parse(&url).map_err(|error| TransportError::NotSent {
            host: self.place.url.clone(),
            reason: error.to_string(),
        })?;
        let size = call.payload.size();
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .bearer_auth(token.secret().expose_secret())
            .header("client-request-id", caller.client_request_id.to_string());
        if call.immutable_ids {
            request = request.header("prefer", "IdType=\"ImmutableId\"");
        }
        if call.method != Method::GET {
            // Graph requires it for a POST without a body too.
            request = request.header("content-length", size);
        }
        request = match &call.payload {
            Payload::Nothing => request,
            Payload::Json(json) => request
                .header("content-type", "application/json")
                .body(json.clone()),
            Payload::Mime(message) => request
                .header("content-type", "text/plain")
                .body(body::encoded(message).await.map_err(GraphError::Content)?),
        };
        let answer = async {
            if call.is_repeated {
                self.http.send_to_be_repeated(request, size).await
            } else {
                self.http.send(request, size).await
            }
        };
        Ok(self.counted(call.operation, answer).await?)
    }

    /// Waits for an answer, and counts the request with it.
    async fn counted(
        &self,
        operation: Operation,
        answer: impl Future<Output = Result<Answer, TransportError>>,
    ) -> Result<Answer, TransportError> {
        let begun = Instant::now();
        let answer = answer.await;
        let status = answer.as_ref().map(|answer| answer.status).ok();
        self.requests.count(operation, status, begun.elapsed());
        answer
    }
}

impl Form<'_> {
    /// Returns the size of the request body in bytes.
    pub fn size(self) -> u64 {
        Payload::from(self).size()
    }
}

impl<'a> From<Form<'a>> for Payload<'a> {
    fn from(form: Form<'a>) -> Self {
        match form {
            Form::Mime(message) => Self::Mime(message),
            Form::Json(json) => Self::Json(json.body().clone()),
        }
    }
}

impl Payload<'_> {
    fn size(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Json(json) => json.len() as u64,
            Self::Mime(message) => encoded_size(message.size()),
        }
    }
}

/// `202 Accepted`, for sendMail and for sending a draft.
fn submitted(answer: &Answer) -> Result<Submitted, GraphError> {
    expect(202, answer)?;
    Ok(Submitted {
        request_id: request_id(answer),
    })
}

/// The only place that decides whether an answer is a success.
fn expect(status: u16, answer: &Answer) -> Result<(), GraphError> {
    if answer.status == status {
        return Ok(());
    }
    Err(GraphError::of(answer, request_id(answer)))
}

fn is_access_denied(answer: &Answer) -> bool {
    code(answer) == "ErrorAccessDenied"
}

/// Returns Graph's code in an answer; empty if it has none.
fn code(answer: &Answer) -> String {
    match GraphError::of(answer, None) {
        GraphError::Answered { code, .. } => code,
        GraphError::Transport(_)
        | GraphError::Token(_)
        | GraphError::UploadHost(_)
        | GraphError::Content(_) => String::new(),
    }
}

fn request_id(answer: &Answer) -> Option<String> {
    answer.header("request-id").map(str::to_owned)
}

/// RFC 3986 2.3: everything except unreserved characters is encoded, so that no mailbox
/// and no ID can leave its segment. An address always contains `@`, so it is never `.`,
/// `..` or empty.
fn segment(text: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_one_path_segment() {
        // An attempt to leave the path.
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
