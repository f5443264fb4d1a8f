//! Managed identities: the token endpoints of a virtual machine (IMDS), of App Service and of an
//! Arc server, each as strict as its own about how it is asked.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use crate::entra::answer::failure;
use crate::entra::answer::served;
use crate::entra::parameters::Parameters;
use crate::entra::token::access_tokens::Bearer;
use crate::entra::token::scopes::GRAPH_APP;
use crate::faults::fault::Station;
use crate::server::call::Call;
use crate::time;

/// Where the one who asks runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Machine,
    AppService,
    Arc,
}

/// A request for an identity's token that is refused.
struct Denial {
    status: StatusCode,
    error: &'static str,
    text: String,
    challenge: Option<String>,
}

impl Denial {
    fn bad(error: &'static str, text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, text)
    }

    fn new(status: StatusCode, error: &'static str, text: impl Into<String>) -> Self {
        Self {
            status,
            error,
            text: text.into(),
            challenge: None,
        }
    }
}

/// IMDS: `GET /metadata/identity/oauth2/token`.
pub(crate) async fn machine(call: Call) -> Response<Body> {
    answer(call, Place::Machine).await
}

/// App Service: `GET /msi/token`.
pub(crate) async fn app_service(call: Call) -> Response<Body> {
    answer(call, Place::AppService).await
}

/// Arc: `GET /arc/metadata/identity/oauth2/token`.
pub(crate) async fn arc(call: Call) -> Response<Body> {
    answer(call, Place::Arc).await
}

async fn answer(call: Call, place: Place) -> Response<Body> {
    let answer = |_: Option<&_>| match judge(&call, place) {
        Ok(body) => {
            call.shared.secrets.given(&body);
            served(StatusCode::OK, &body)
        }
        Err(denial) => {
            let mut response = match place {
                Place::Machine | Place::Arc => failure(denial.status, denial.error, &denial.text),
                Place::AppService => {
                    let body = json!({
                        "statusCode": denial.status.as_u16(),
                        "message": denial.text,
                        "correlationId": call.exchange.request_id,
                    });
                    served(denial.status, &body)
                }
            };
            if let Some(challenge) = denial.challenge
                && let Ok(challenge) = HeaderValue::from_str(&challenge)
            {
                let headers = response.headers_mut();
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    };
    call.answer_as_entra(Station::Identity, answer).await
}

fn judge(call: &Call, place: Place) -> Result<Value, Denial> {
    let settings = &call.shared.settings;
    let parameters = Parameters::of_query(&call.uri);
    check_caller(call, place)?;
    let versions: &[&str] = match place {
        Place::Machine => &["2018-02-01"],
        Place::AppService => &["2019-08-01"],
        Place::Arc => &["2020-06-01", "2019-11-01"],
    };
    let version = parameters.given("api-version").unwrap_or_default();
    if !versions.contains(&version) {
        let text = format!("The api-version '{version}' is not supported.");
        return Err(Denial::bad("invalid_request", text));
    }
    let asked = parameters.given("client_id");
    if place == Place::Arc {
        check_key(call)?;
    }
    let identity = identity(&settings.identities, asked, place)?;
    let Some(resource) = parameters.given("resource") else {
        let text = "The required parameter 'resource' is missing.";
        return Err(Denial::bad("invalid_request", text));
    };
    let audience = resource.trim_end_matches('/');
    if audience != settings.resource && audience != GRAPH_APP {
        let text = format!(
            "AADSTS500011: The resource principal named {resource} was not found in the tenant \
             named {}.",
            settings.tenant
        );
        return Err(Denial::bad("invalid_resource", text));
    }
    let bearer = Bearer::Identity(identity);
    let token = call.shared.tokens.issue(settings, audience, &bearer);
    let (now, life) = (time::epoch(time::now()), settings.token_life.as_secs());
    let mut body = json!({
        "access_token": token,
        "client_id": identity,
        "expires_on": (now + life).to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    if place != Place::AppService
        && let (Some(body), Value::Object(more)) = (
            body.as_object_mut(),
            json!({
                "refresh_token": "",
                "expires_in": life.to_string(),
                "ext_expires_in": life.to_string(),
                "not_before": now.to_string(),
            }),
        )
    {
        body.extend(more);
    }
    Ok(body)
}

/// The header that a page in a browser, or a server talked into a request, cannot send.
fn check_caller(call: &Call, place: Place) -> Result<(), Denial> {
    let has = |name: &str, value: &str| {
        let given = call.headers.get(name).map(HeaderValue::as_bytes);
        given.is_some_and(|given| given == value.as_bytes())
    };
    match place {
        Place::Machine | Place::Arc if has("metadata", "true") => Ok(()),
        Place::Machine | Place::Arc => Err(Denial::bad(
            "bad_request_102",
            "Required metadata header not specified",
        )),
        Place::AppService if has("x-identity-header", &call.shared.settings.identity_header) => {
            Ok(())
        }
        Place::AppService => Err(Denial::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "The X-IDENTITY-HEADER is missing or wrong.",
        )),
    }
}

/// The client id of the identity that is meant.
fn identity<'a>(
    identities: &'a [Option<String>],
    asked: Option<&str>,
    place: Place,
) -> Result<&'a str, Denial> {
    let missing = || Denial::bad("invalid_request", "Identity not found");
    let by_system = || identities.contains(&None).then_some(BY_SYSTEM);
    match (asked, place) {
        (None, Place::Arc) => by_system().ok_or_else(missing),
        (Some(_), Place::Arc) => Err(missing()),
        (None, Place::Machine | Place::AppService) => match identities {
            // Without one of the system's, the only one of a user's is meant.
            [Some(only)] => Ok(only),
            _ => by_system().ok_or_else(missing),
        },
        (Some(asked), Place::Machine | Place::AppService) => {
            let by_user = identities.iter().flatten().map(String::as_str);
            let mut all = by_user.chain(by_system());
            all.find(|it| it.eq_ignore_ascii_case(asked))
                .ok_or_else(missing)
        }
    }
}

/// Who can read the key file is whom Arc trusts. Each is good once.
fn check_key(call: &Call) -> Result<(), Denial> {
    let Some(folder) = &call.shared.settings.arc_folder else {
        return Err(Denial::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "The sandbox has no folder for the key files of Arc.",
        ));
    };
    let given = call.headers.get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let keys = &call.shared.arc_keys;
    if given.is_some_and(|given| keys.spend(given)) {
        return Ok(());
    }
    let path = match keys.make(folder) {
        Ok(path) => path,
        Err(error) => {
            tracing::error!(%error, folder = %folder.display(), "sandbox: writing a key file");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Err(Denial::new(status, "server_error", "No key file."));
        }
    };
    Err(Denial {
        challenge: Some(format!("Basic realm={}", path.display())),
        ..Denial::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized")
    })
}

/// The client id of the identity that the system assigned.
const BY_SYSTEM: &str = "5a4db0c5-0000-4000-8000-000000000004";
