//! Graph's `POST /users/{user}/sendMail`: a whole message in one call, as MIME or as JSON. What
//! passes is taken and answered 202, with a copy in Sent Messages unless the JSON says not to.

use axum::body::Body;
use axum::body::Bytes;
use axum::http::Response;
use axum::http::StatusCode;

use crate::faults::fault::Station;
use crate::graph::call::Target;
use crate::graph::call::Work;
use crate::graph::call::authorize;
use crate::graph::errors::Refusal;
use crate::graph::errors::unsupported;
use crate::graph::message::json;
use crate::graph::message::messages::StoredMessage;
use crate::graph::message::mime;
use crate::graph::message::submission::SentCopy;
use crate::graph::message::submission::Submission;
use crate::graph::message::submission::message_too_large;
use crate::server::call::Call;

/// Takes a message or says why not.
pub(crate) async fn send_mail(target: Target, call: Call, body: Body) -> Response<Body> {
    let admitted = call.admit(&target.owner, &["Mail.Send"]);
    call.answer(Station::Send, admitted, body, |work| take(&call, work))
        .await
}

/// Whatever else is asked: of Graph, after its token was judged; of anybody else, nothing is here.
pub(crate) async fn not_found(call: Call) -> Response<Body> {
    let path = call.uri.path();
    let absent = format!("The sandbox has no resource '{path}'.");
    let refusal = if !path.starts_with("/v1.0/") {
        Refusal::new(StatusCode::NOT_FOUND, "ResourceNotFound", absent)
    } else {
        authorize(&call.shared, &call.headers)
            .err()
            .unwrap_or_else(|| Refusal::bad("BadRequest", absent))
    };
    refusal.answer(&call.exchange).map(Body::from)
}

fn take(call: &Call, work: &mut Work<'_>) -> Result<Response<Bytes>, Refusal> {
    let message = parse(call, std::mem::take(&mut work.body))?;
    call.note_recipients(&message);
    let mailbox = work.mailbox.upn.as_str();
    let settings = &call.shared.settings;
    message.check(mailbox, settings)?;
    if message.raw.len() as u64 > settings.max_send_size {
        return Err(message_too_large());
    }
    work.mailbox.messages.spend(1)?;
    if work.fault.is_none() {
        work.fault = call.shared.faults.take_by_content(mailbox, &message.raw);
    }
    if work.fault.is_none() {
        work.fault = call
            .shared
            .played
            .due(mailbox, message.recipients(), message.identity());
    }
    if work.is_done() {
        if message.copy == SentCopy::Kept {
            let copy = StoredMessage::sent(mailbox, &message, settings.sent_item_lookups);
            call.shared.messages.file(copy);
        }
        let arrival = message.arrival(mailbox, &call.exchange);
        call.shared.store.take(arrival);
    }
    Ok(call.bare(StatusCode::ACCEPTED))
}

fn parse(call: &Call, body: Vec<u8>) -> Result<Submission, Refusal> {
    match call.media_type().as_str() {
        "text/plain" => mime::read(&body),
        "application/json" => json::read(body),
        other => Err(unsupported(other)),
    }
}
