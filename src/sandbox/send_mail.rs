//! Graph's `POST /users/{user}/sendMail`, in the order Graph judges: token, role, mailbox, its
//! concurrency, size, media type, message, author. What passes is taken and answered 202.
//!
//! A refused request's body is still read (up to a bound), so that a client that is
//! writing it hears the answer and not a reset; but for one that asks first (`Expect`).

use std::sync::Arc;

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::extract::Path;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use futures_util::StreamExt;

use crate::sandbox::Shared;
use crate::sandbox::directory::Slot;
use crate::sandbox::errors::Refusal;
use crate::sandbox::exchange::Exchange;
use crate::sandbox::fault::Fault;
use crate::sandbox::fault::Station;
use crate::sandbox::json;
use crate::sandbox::line::Line;
use crate::sandbox::mime;
use crate::sandbox::store::Arrival;
use crate::sandbox::submission::Submission;
use crate::sandbox::tokens::Grant;
use crate::sandbox::wall;

/// Takes a message or says why not. `user` is one segment of the path, percent-decoded.
pub(super) async fn send_mail(
    State(shared): State<Arc<Shared>>,
    Path(user): Path<String>,
    Extension(exchange): Extension<Arc<Exchange>>,
    Extension(line): Extension<Line>,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let call = Call {
        shared: &shared,
        exchange: &exchange,
        line: &line,
        headers: &head.headers,
    };
    let response = match call.run(&user, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.answer(&exchange),
    };
    response.map(Body::from)
}

/// `POST /me/sendMail`: there is no "me" for an application.
pub(super) async fn send_mail_as_me(
    State(shared): State<Arc<Shared>>,
    Extension(exchange): Extension<Arc<Exchange>>,
    headers: HeaderMap,
) -> Response<Body> {
    let refusal = match authorize(&shared, &headers) {
        Err(refusal) => refusal,
        Ok(_) => Refusal::bad(
            "BadRequest",
            "/me request is only valid with delegated authentication flow.",
        ),
    };
    refusal.answer(&exchange).map(Body::from)
}

/// Whatever else is asked: of Graph, after its token was judged; of anybody else, nothing is here.
pub(super) async fn not_found(
    State(shared): State<Arc<Shared>>,
    Extension(exchange): Extension<Arc<Exchange>>,
    request: Request,
) -> Response<Body> {
    let path = request.uri().path();
    let absent = format!("The sandbox has no resource '{path}'.");
    let refusal = if !path.starts_with("/v1.0/") {
        Refusal::new(StatusCode::NOT_FOUND, "ResourceNotFound", absent)
    } else {
        authorize(&shared, request.headers())
            .err()
            .unwrap_or_else(|| Refusal::bad("BadRequest", absent))
    };
    refusal.answer(&exchange).map(Body::from)
}

struct Call<'a> {
    shared: &'a Shared,
    exchange: &'a Exchange,
    line: &'a Line,
    headers: &'a HeaderMap,
}

impl Call<'_> {
    async fn run(&self, user: &str, body: Body) -> Result<Response<Bytes>, Refusal> {
        let admitted = self.admit(user);
        let body = if self.asks_first() && (admitted.is_err() || self.announces_too_much()) {
            Err(too_large())
        } else {
            self.read(body).await
        };
        // Held until the answer is made: this is what Graph counts as one request.
        let slot = admitted?;
        let mailbox = slot.mailbox.upn.as_str();
        let fault = self.shared.faults.take(Station::Send, Some(mailbox));
        if let Some(fault) = &fault
            && !fault.stores()
        {
            return Ok(self.play(fault).await);
        }

        let body = body?;
        slot.mailbox.uploads.spend(body.len() as u64)?;
        let message = self.parse(body)?;
        self.shared.store.note(self.exchange.number, |record| {
            record.recipients = message.recipients().cloned().collect();
        });
        message.check(mailbox, &self.shared.settings)?;

        let fault = fault.or_else(|| self.shared.played.due(mailbox, &message));
        if fault.as_ref().is_none_or(Fault::stores) {
            self.take(mailbox, message);
        }
        match fault {
            None => Ok(self.accepted()),
            Some(fault) => Ok(self.play(&fault).await),
        }
    }

    fn admit(&self, user: &str) -> Result<Slot, Refusal> {
        let grant = authorize(self.shared, self.headers)?;
        let mailbox = self.shared.directory.find(user)?;
        self.shared.store.note(self.exchange.number, |record| {
            record.mailbox = Some(mailbox.upn.clone());
        });
        let mut scope = self.shared.settings.rbac_mailboxes.iter();
        let in_scope = scope.any(|upn| upn.eq_ignore_ascii_case(&mailbox.upn));
        if !in_scope && !grant.has_role("Mail.Send") {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "ErrorAccessDenied",
                "Access is denied. Check credentials and try again.",
            ));
        }
        Slot::claim(mailbox, &self.shared.settings)
    }

    /// Reads the body up to the limit, and a good deal beyond it without keeping it.
    async fn read(&self, body: Body) -> Result<Vec<u8>, Refusal> {
        let limit = self.shared.settings.request_limit;
        let announced = content_length(self.headers).unwrap_or_default();
        let mut octets = Vec::with_capacity(announced.min(limit));
        let mut length = 0_usize;
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| {
                Refusal::bad(
                    "BadRequest",
                    "The request body could not be read to its end.",
                )
            })?;
            length = length.saturating_add(chunk.len());
            if length <= limit {
                octets.extend_from_slice(&chunk);
            } else if length > limit.saturating_add(PATIENCE) {
                break;
            }
        }
        if length > limit {
            return Err(too_large());
        }
        Ok(octets)
    }

    fn parse(&self, body: Vec<u8>) -> Result<Submission, Refusal> {
        let media_type = self
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(str::trim)
            .unwrap_or_default();
        if media_type.eq_ignore_ascii_case("text/plain") {
            mime::read(&body)
        } else if media_type.eq_ignore_ascii_case("application/json") {
            json::read(body)
        } else {
            Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UnsupportedMediaType",
                format!("The media type '{media_type}' is not supported by sendMail."),
            ))
        }
    }

    fn take(&self, mailbox: &str, message: Submission) {
        self.shared.store.take(Arrival {
            id: 0,
            time: wall::now(),
            mailbox: mailbox.to_owned(),
            form: message.form,
            raw: message.raw,
            to: message.to,
            cc: message.cc,
            bcc: message.bcc,
            subject: message.subject,
            message_id: message.message_id,
            client_request_id: self.exchange.given_id().map(str::to_owned),
            request_id: self.exchange.request_id.clone(),
        });
    }

    async fn play(&self, fault: &Fault) -> Response<Bytes> {
        fault.play(self.accepted(), self.exchange, self.line).await
    }

    fn accepted(&self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::ACCEPTED;
        self.exchange.sign(response.headers_mut());
        response
    }

    /// RFC 9110 10.1.1: the client waits for 100 (Continue) before it sends the body.
    fn asks_first(&self) -> bool {
        self.headers
            .get(header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    }

    fn announces_too_much(&self) -> bool {
        content_length(self.headers).is_some_and(|it| it > self.shared.settings.request_limit)
    }
}

fn authorize(shared: &Shared, headers: &HeaderMap) -> Result<Arc<Grant>, Refusal> {
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    shared.tokens.judge(authorization, &shared.settings)
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok())
}

fn too_large() -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "BadRequest",
        "The maximum request length supported is 4MB.",
    )
}

/// Octets beyond the limit that are read and forgotten: more than any message a mailbox may send
/// (150 MB and its base64), so that only a runaway client is cut off.
const PATIENCE: usize = 256 * 1024 * 1024;
