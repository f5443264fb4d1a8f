//! Entra's token endpoint: the client credentials grant with a client secret.
//!
//! Errors have Entra's codes, statuses and members, since clients are told to go by `error` and
//! operators search for the number.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::extract::Form;
use axum::extract::Path;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use uuid::Uuid;

use crate::sandbox::Settings;
use crate::sandbox::Shared;
use crate::sandbox::exchange::Exchange;
use crate::sandbox::fault::Station;
use crate::sandbox::line::Line;
use crate::sandbox::tokens::GRAPH_APP;
use crate::sandbox::wall;

/// Gives a token or says why not.
pub(super) async fn token(
    State(shared): State<Arc<Shared>>,
    Path(tenant): Path<String>,
    Extension(exchange): Extension<Arc<Exchange>>,
    Extension(line): Extension<Line>,
    headers: HeaderMap,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response<Body> {
    // A body of another media type is not read: Entra then misses its first parameter.
    let parameters = form.map_or_else(|_| Vec::new(), |Form(parameters)| parameters);
    let request = TokenRequest {
        settings: &shared.settings,
        tenant: &tenant,
        basic: basic(&headers),
        parameters,
    };
    let grant = || match request.judge() {
        Ok(audience) => granted(&shared, &audience, &exchange),
        Err(complaint) => complaint.answer(&exchange),
    };
    let response = match shared.faults.take(Station::Token, None) {
        None => grant(),
        Some(fault) => fault.play(grant(), &exchange, &line).await,
    };
    response.map(Body::from)
}

fn granted(shared: &Shared, audience: &str, exchange: &Exchange) -> Response<Bytes> {
    let life = shared.settings.token_life.as_secs();
    let body = json!({
        "token_type": "Bearer",
        "expires_in": life,
        "ext_expires_in": life,
        "access_token": shared.tokens.issue(&shared.settings, audience),
    });
    answer(StatusCode::OK, &body, exchange)
}

fn answer(status: StatusCode, body: &Value, exchange: &Exchange) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = [
        (header::CACHE_CONTROL, "no-store, no-cache"),
        (header::PRAGMA, "no-cache"),
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        HeaderName::from_static("x-ms-ests-server"),
        HeaderValue::from_static("2.1.0.0 - SANDBOX"),
    );
    if let Ok(id) = HeaderValue::from_str(&exchange.request_id) {
        headers.insert(HeaderName::from_static("x-ms-request-id"), id);
    }
    response
}

struct TokenRequest<'a> {
    settings: &'a Settings,
    tenant: &'a str,
    /// Client id and secret of a Basic `Authorization`.
    basic: Option<(String, String)>,
    parameters: Vec<(String, String)>,
}

impl TokenRequest<'_> {
    /// The audience that a token may be given for.
    fn judge(&self) -> Result<String, Complaint> {
        self.check_tenant()?;
        self.check_repeats()?;
        match self.needed("grant_type")? {
            "client_credentials" => {}
            other => {
                let text = format!("The app requested an unsupported grant type '{other}'.");
                return Err(Complaint::bad("unsupported_grant_type", 70_003, text));
            }
        }
        let client_id = match (&self.basic, self.parameter("client_id")) {
            (_, Some(id)) => id,
            (Some((id, _)), None) => id,
            (None, None) => self.needed("client_id")?,
        };
        let scope = self.needed("scope")?;
        if !client_id.eq_ignore_ascii_case(&self.settings.client_id) {
            let text = format!(
                "Application with identifier '{client_id}' was not found in the directory '{}'. \
                 This can happen if the application has not been installed by the administrator \
                 of the tenant or consented to by any user in the tenant. You may have sent your \
                 authentication request to the wrong tenant.",
                self.tenant
            );
            return Err(Complaint::bad("unauthorized_client", 700_016, text));
        }
        self.check_credential()?;
        self.audience(scope)
    }

    fn check_tenant(&self) -> Result<(), Complaint> {
        let Settings { tenant, domain, .. } = self.settings;
        let asked = self.tenant;
        if asked.eq_ignore_ascii_case(tenant) || asked.eq_ignore_ascii_case(domain) {
            return Ok(());
        }
        let complaint = |code, text| Err(Complaint::bad("invalid_request", code, text));
        if ["common", "consumers", "organizations"].contains(&asked) {
            let text = format!(
                "The grant type is not supported over the /{asked} endpoint. Please use a \
                 tenant-specific endpoint."
            );
            complaint(9_001_023, text)
        } else if Uuid::try_parse(asked).is_ok() || asked.contains('.') {
            let text = format!(
                "Tenant '{asked}' not found. Check to make sure you have the correct tenant ID \
                 and are signing into the correct cloud."
            );
            complaint(90_002, text)
        } else {
            let text = format!(
                "Specified tenant identifier '{asked}' is neither a valid DNS name, nor a valid \
                 external domain."
            );
            complaint(900_023, text)
        }
    }

    /// RFC 6749 3.2: no parameter more than once.
    fn check_repeats(&self) -> Result<(), Complaint> {
        let mut seen = HashSet::new();
        for (name, _) in &self.parameters {
            if !seen.insert(name) {
                let text = format!(
                    "The request is not properly formatted. The parameter '{name}' is duplicated."
                );
                return Err(Complaint::bad("invalid_request", 9_000_411, text));
            }
        }
        Ok(())
    }

    fn check_credential(&self) -> Result<(), Complaint> {
        if self.parameter("client_assertion").is_some() {
            return Err(Complaint::invalid_client(
                700_027,
                "The certificate with identifier used to sign the client assertion is not \
                 registered on application.",
            ));
        }
        let basic = self.basic.as_ref().map(|(_, secret)| secret.as_str());
        match self.parameter("client_secret").or(basic) {
            Some(secret) if secret == self.settings.client_secret => Ok(()),
            Some(_) => Err(Complaint::invalid_client(
                7_000_215,
                &format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request \
                     is the client secret value, not the client secret ID, for a secret added to \
                     app '{}'.",
                    self.settings.client_id
                ),
            )),
            None => Err(Complaint::invalid_client(
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or \
                 'client_secret'.",
            )),
        }
    }

    fn audience(&self, scope: &str) -> Result<String, Complaint> {
        let invalid = |code, text| Err(Complaint::bad("invalid_scope", code, text));
        if scope.split_whitespace().count() > 1 || scope.starts_with("/.") {
            let text = format!(
                "The provided value for the input parameter 'scope' is not valid. The scope \
                 {scope} is not valid."
            );
            return invalid(70_011, text);
        }
        let Some(resource) = scope.strip_suffix("/.default") else {
            let text = format!(
                "The provided value for scope {scope} is not valid. Client credential flows must \
                 have a scope value with /.default suffixed to the resource identifier \
                 (application ID URI)."
            );
            return invalid(1_002_012, text);
        };
        let known = [self.settings.resource.as_str(), GRAPH_APP]
            .into_iter()
            .chain(OTHER_RESOURCES)
            .find(|known| known.eq_ignore_ascii_case(resource));
        known.map(str::to_owned).ok_or_else(|| {
            let text = format!(
                "The resource principal named {resource} was not found in the tenant named {}. \
                 This can happen if the application has not been installed by the administrator \
                 of the tenant or consented to by any user in the tenant.",
                self.tenant
            );
            Complaint::bad("invalid_resource", 500_011, text)
        })
    }

    fn needed(&self, name: &str) -> Result<&str, Complaint> {
        self.parameter(name).ok_or_else(|| {
            let text = format!("The request body must contain the following parameter: '{name}'.");
            Complaint::bad("invalid_request", 900_144, text)
        })
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(given, value)| given == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// A token request that Entra refuses.
#[derive(Debug)]
pub(super) struct Complaint {
    status: StatusCode,
    error: String,
    code: Option<u32>,
    text: String,
}

impl Complaint {
    fn bad(error: &str, code: u32, text: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error: error.to_owned(),
            code: Some(code),
            text,
        }
    }

    fn invalid_client(code: u32, text: &str) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            ..Self::bad("invalid_client", code, text.to_owned())
        }
    }

    /// The answer that a fault asks for; its number is taken from its text, if it has one.
    pub(super) fn of_fault(status: StatusCode, error: Option<&str>, text: &str) -> Self {
        let usual = if status.is_server_error() {
            "server_error"
        } else {
            "invalid_request"
        };
        let numbered = text
            .strip_prefix("AADSTS")
            .and_then(|rest| rest.split_once(": "))
            .and_then(|(code, rest)| Some((code.parse().ok()?, rest)));
        Self {
            status,
            error: error.unwrap_or(usual).to_owned(),
            code: numbered.map(|(code, _)| code),
            text: numbered.map_or(text, |(_, rest)| rest).to_owned(),
        }
    }

    pub(super) fn answer(&self, exchange: &Exchange) -> Response<Bytes> {
        let (trace, timestamp) = (&exchange.request_id, wall::entra(wall::now()));
        let correlation = exchange
            .given_id()
            .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        let prefix = self.code.map(|code| format!("AADSTS{code}: "));
        let description = format!(
            "{}{}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {timestamp}",
            prefix.unwrap_or_default(),
            self.text,
        );
        let mut body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": self.code.as_slice(),
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
        });
        if let (Some(code), Some(members)) = (self.code, body.as_object_mut()) {
            let uri = format!("https://login.microsoftonline.com/error?code={code}");
            members.insert("error_uri".to_owned(), Value::from(uri));
        }
        answer(self.status, &body, exchange)
    }
}

/// Client id and secret, each form-encoded before they were joined (RFC 6749 2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = credentials.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    let mut octets = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(octet) = octets.next() {
        decoded.push(match octet {
            b'+' => b' ',
            b'%' => {
                let digits = [octets.next()?, octets.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}

/// Resources that every tenant has besides Graph: a token for one is given, and Graph refuses it.
const OTHER_RESOURCES: [&str; 2] = [
    "https://outlook.office365.com",
    "https://outlook.office.com",
];
