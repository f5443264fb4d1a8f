//! How Entra answers: with a JSON body or an error, unless a fault has it otherwise.

use axum::body::Body;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use crate::entra::oauth_error;
use crate::entra::oauth_error::OAuthError;
use crate::entra::sign_in::pages::notice;
use crate::faults::fault::Fault;
use crate::faults::fault::Station;
use crate::server::call::Call;
use crate::server::exchange::Exchange;

impl Call {
    /// Answers at a station of Entra. `work` gets the fault that strikes, and does not run if the
    /// fault refuses the request.
    pub(crate) async fn answer_as_entra(
        &self,
        at: Station,
        work: impl FnOnce(Option<&Fault>) -> Response<Bytes>,
    ) -> Response<Body> {
        let response = match self.shared.faults.take(at, None) {
            None => work(None),
            Some(fault) => {
                let usual = if fault.gives() {
                    work(Some(&fault))
                } else {
                    Response::new(Bytes::new())
                };
                let answer = |status, usual| struck(&fault, status, usual, &self.exchange);
                fault.play(usual, &self.connection, answer).await
            }
        };
        response.map(Body::from)
    }
}

/// What a fault with a status answers, in the words of its station.
fn struck(
    fault: &Fault,
    status: StatusCode,
    usual: Response<Bytes>,
    exchange: &Exchange,
) -> Response<Bytes> {
    let (code, message) = (fault.code.as_deref(), fault.message.as_deref());
    let message = message.unwrap_or_default();
    if fault.at == Station::Identity {
        failure(status, code.unwrap_or("server_error"), message)
    } else if fault.at != Station::Authorize {
        OAuthError::of_fault(status, code, message).answer(exchange)
    } else if status.is_redirection() {
        usual
    } else {
        notice(status, message)
    }
}

/// An answer of Entra, refused or not.
pub(crate) fn answered(call: &Call, judged: Result<Value, OAuthError>) -> Response<Bytes> {
    match judged {
        Ok(body) => {
            call.shared.secrets.given(&body);
            oauth_error::answer(StatusCode::OK, &body, &call.exchange)
        }
        Err(refusal) => refusal.answer(&call.exchange),
    }
}

/// A refusal in the form of IMDS.
pub(crate) fn failure(status: StatusCode, error: &str, text: &str) -> Response<Bytes> {
    served(status, &json!({"error": error, "error_description": text}))
}

/// An answer in the form of IMDS.
pub(crate) fn served(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}
