//! Entra's page to sign in: whoever looks at it chooses a user, and needs no password.
//!
//! What is wrong with the client or its redirect URI is told on a page; the rest goes back to the
//! client by redirect.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use crate::entra::application::Behalf;
use crate::entra::application::check_client;
use crate::entra::application::check_tenant;
use crate::entra::oauth_error::OAuthError;
use crate::entra::parameters::Parameters;
use crate::entra::sign_in::pages::notice;
use crate::entra::sign_in::pages::page;
use crate::entra::sign_in::waiting::Request;
use crate::entra::token::scopes::Scopes;
use crate::faults::fault::Fault;
use crate::faults::fault::Station;
use crate::server::call::Call;
use crate::server::shared::Shared;
use crate::settings::Settings;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    /// UPN and link.
    users: Vec<(String, String)>,
    decline: String,
}

/// `GET /{tenant}/oauth2/v2.0/authorize`.
pub(crate) async fn authorize(Path(tenant): Path<String>, call: Call) -> Response<Body> {
    let parameters = Parameters::of_query(&call.uri);
    let answer = |fault: Option<&Fault>| match check_target(&tenant, &parameters, &call) {
        Err(refusal) => notice(refusal.status(), &refusal.headline()),
        Ok(target) => {
            let refusal = fault.and_then(redirected);
            let request = match refusal {
                Some(refusal) => Err(refusal),
                None => read(target, &parameters, &call.shared.settings),
            };
            match request {
                Ok(request) => ask(&call.shared, request, parameters.given("login_hint")),
                Err(refusal) => {
                    let error = refusal.redirected_error();
                    let text = refusal.headline();
                    let pairs = [("error", error), ("error_description", text.as_str())];
                    redirect(target, parameters.given("state"), &pairs)
                }
            }
        }
    };
    call.answer_as_entra(Station::Authorize, answer).await
}

/// What the client hears of the fault by a redirect, if so.
fn redirected(fault: &Fault) -> Option<OAuthError> {
    if fault.status != Some(StatusCode::FOUND.as_u16()) {
        return None;
    }
    let text = fault.message.as_deref().unwrap_or_default();
    let status = StatusCode::FOUND;
    Some(OAuthError::of_fault(status, fault.code.as_deref(), text))
}

/// The redirect URI, if client and URI are known.
fn check_target<'a>(
    tenant: &str,
    parameters: &'a Parameters,
    call: &Call,
) -> Result<&'a str, OAuthError> {
    let settings = &call.shared.settings;
    check_tenant(tenant, settings, Behalf::User)?;
    parameters.check_repeats()?;
    check_client(parameters.needed("client_id")?, tenant, settings)?;
    let target = parameters.needed("redirect_uri")?;
    let mut registered = settings.redirect_uris.iter();
    if !registered.any(|registered| matches(registered, target)) {
        let text = format!(
            "The redirect URI '{target}' specified in the request does not match the redirect \
             URIs configured for the application '{}'.",
            settings.client_id
        );
        return Err(OAuthError::invalid_request(50_011, text));
    }
    Ok(target)
}

/// RFC 8252 7.3, as Entra has it: any port of the loopback host, and the path to the letter.
fn matches(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    let (Ok(mut registered), Ok(mut asked)) = (Url::parse(registered), Url::parse(asked)) else {
        return false;
    };
    let loopback = ["localhost", "127.0.0.1"].map(Some);
    if registered.scheme() != "http" || !loopback.contains(&registered.host_str()) {
        return false;
    }
    for url in [&mut registered, &mut asked] {
        if url.set_port(None).is_err() {
            return false;
        }
    }
    registered == asked
}

fn read(target: &str, parameters: &Parameters, settings: &Settings) -> Result<Request, OAuthError> {
    let response_type = parameters.needed("response_type")?;
    if response_type != "code" {
        let text = format!("response_type '{response_type}' is not enabled for the application.");
        return Err(OAuthError::bad("unsupported_response_type", 700_051, text));
    }
    if let Some(mode) = parameters.given("response_mode")
        && mode != "query"
    {
        let text = format!("The response_mode '{mode}' is not supported for this request.");
        return Err(OAuthError::invalid_request(70_007, text));
    }
    let scopes = Scopes::read(parameters.needed("scope")?, settings)?;
    let challenge = parameters.given("code_challenge");
    match (challenge, parameters.given("code_challenge_method")) {
        (None, None) if settings.public_client => {
            return Err(OAuthError::missing("code_challenge"));
        }
        (None, None) => {}
        // The base64url of a SHA-256.
        (Some(challenge), Some("S256")) if challenge.len() == 43 => {}
        (Some(_), Some("S256")) => {
            let text = "Invalid size of Code_Challenge parameter.";
            return Err(OAuthError::invalid_request(501_491, text));
        }
        (None, Some(_)) => return Err(OAuthError::missing("code_challenge")),
        // RFC 7636 4.3: left out it means "plain".
        (Some(_), _) => {
            let text = "The code_challenge_method must be S256.";
            return Err(OAuthError::invalid_request(9_002_313, text));
        }
    }
    Ok(Request {
        redirect_uri: target.to_owned(),
        state: parameters.given("state").map(str::to_owned),
        nonce: parameters.given("nonce").map(str::to_owned),
        scopes,
        challenge: challenge.map(str::to_owned),
    })
}

/// The page with a link for each user; one that the client has in mind comes first.
fn ask(shared: &Shared, request: Request, hint: Option<&str>) -> Response<Bytes> {
    let id = Uuid::new_v4().to_string();
    shared.sign_ins.known().requests.insert(id.clone(), request);
    let mut users = shared.users.all().iter().collect::<Vec<_>>();
    users.sort_by_key(|user| !hint.is_some_and(|hint| hint.eq_ignore_ascii_case(&user.upn)));
    let link = |upn: &str| {
        /// RFC 3986 2.3, and `@` stays, so that the link shows whose it is.
        const QUERY: &AsciiSet = &NON_ALPHANUMERIC
            .remove(b'-')
            .remove(b'.')
            .remove(b'_')
            .remove(b'~')
            .remove(b'@');
        let upn = utf8_percent_encode(upn, QUERY);
        format!("/sandbox/sign-in/{id}?user={upn}")
    };
    page(
        StatusCode::OK,
        &Page {
            users: users
                .iter()
                .map(|user| (user.upn.clone(), link(&user.upn)))
                .collect(),
            decline: format!("/sandbox/sign-in/{id}?decline=1"),
        },
    )
}

/// What the user decided.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    user: Option<String>,
    decline: Option<String>,
}

/// `GET /sandbox/sign-in/{request}`: a link of the page was followed.
pub(crate) async fn decide(
    State(shared): State<Arc<Shared>>,
    Path(request): Path<String>,
    Query(choice): Query<Choice>,
) -> Response<Body> {
    let request = shared.sign_ins.known().requests.find(&request).cloned();
    let user = choice.user.and_then(|upn| shared.users.find(&upn));
    let response = match (request, user) {
        (None, _) => notice(
            StatusCode::NOT_FOUND,
            "No program waits for this sign-in. Start it again in the terminal.",
        ),
        (Some(request), _) if choice.decline.is_some() => {
            let text = "AADSTS65004: User declined to consent to access the app.";
            let pairs = [("error", "access_denied"), ("error_description", text)];
            redirect(&request.redirect_uri, request.state.as_deref(), &pairs)
        }
        (Some(_), None) => notice(StatusCode::BAD_REQUEST, "There is no such user."),
        (Some(request), Some(user)) => {
            let code = shared
                .sign_ins
                .code(&shared.settings, request.clone(), user);
            let session = Uuid::new_v4().to_string();
            let pairs = [("code", code.as_str()), ("session_state", &session)];
            redirect(&request.redirect_uri, request.state.as_deref(), &pairs)
        }
    };
    response.map(Body::from)
}

/// Back to the client: a URI without a path gets a slash.
fn redirect(target: &str, state: Option<&str>, pairs: &[(&str, &str)]) -> Response<Bytes> {
    let Ok(mut url) = Url::parse(target) else {
        return notice(
            StatusCode::BAD_REQUEST,
            "The redirect URI is not a valid URL.",
        );
    };
    url.query_pairs_mut()
        .extend_pairs(pairs)
        .extend_pairs(state.map(|state| ("state", state)));
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(location) = HeaderValue::from_str(url.as_str()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
