//! The device code flow: codes given, the page where a user enters one, and the device's polls.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::Form;
use axum::extract::Path;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::Response;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::entra::answer::answered;
use crate::entra::application;
use crate::entra::application::Behalf;
use crate::entra::application::check_client;
use crate::entra::application::check_tenant;
use crate::entra::oauth_error::OAuthError;
use crate::entra::parameters::Pairs;
use crate::entra::parameters::Parameters;
use crate::entra::sign_in::pages::notice;
use crate::entra::sign_in::pages::page;
use crate::entra::sign_in::waiting::Decision;
use crate::entra::sign_in::waiting::Device;
use crate::entra::sign_in::waiting::secret;
use crate::entra::token::delegated::Consent;
use crate::entra::token::delegated::Refreshing;
use crate::entra::token::delegated::used_code;
use crate::entra::token::request::TokenRequest;
use crate::entra::token::scopes::Scopes;
use crate::entra::users::User;
use crate::faults::fault::Station;
use crate::server::call::Call;
use crate::server::shared::Shared;
use crate::settings::Settings;

/// `POST /{tenant}/oauth2/v2.0/devicecode`.
pub(crate) async fn begin(
    Path(tenant): Path<String>,
    call: Call,
    form: Result<Form<Pairs>, FormRejection>,
) -> Response<Body> {
    let parameters = Parameters::of_form(form);
    call.answer_as_entra(Station::Device, |_| {
        answered(&call, give(&tenant, &parameters, &call))
    })
    .await
}

fn give(tenant: &str, parameters: &Parameters, call: &Call) -> Result<Value, OAuthError> {
    let settings = &call.shared.settings;
    check_tenant(tenant, settings, Behalf::User)?;
    parameters.check_repeats()?;
    check_client(parameters.needed("client_id")?, tenant, settings)?;
    let scopes = Scopes::read(parameters.needed("scope")?, settings)?;
    let user_code: String = Uuid::new_v4().simple().to_string();
    let user_code: String = user_code.to_uppercase().chars().take(9).collect();
    let device_code = secret("DAQ");
    let device = Device {
        user_code: user_code.clone(),
        scopes,
        expires: Instant::now() + settings.device_life,
        polled: None,
        slowed: false,
        decision: Decision::Pending,
    };
    let mut known = call.shared.sign_ins.known();
    known.devices.insert(device_code.clone(), device);
    drop(known);
    let uri = format!("{}/sandbox/device", settings.base_url(&call.headers));
    Ok(json!({
        "user_code": user_code,
        "device_code": device_code,
        "verification_uri": uri,
        "expires_in": settings.device_life.as_secs(),
        "interval": settings.device_interval.as_secs(),
        "message": format!(
            "To sign in, use a web browser to open the page {uri} and enter the code {user_code} \
             to authenticate."
        ),
    }))
}

impl TokenRequest<'_> {
    /// A poll of a device.
    pub(crate) fn for_device(&self) -> Result<Value, OAuthError> {
        let settings = &self.shared.settings;
        self.check_client()?;
        if !settings.public_client {
            return Err(application::unproven());
        }
        let proof = self.credentials.proof_for_user()?;
        let given = self.parameters.needed("device_code")?;
        let mut known = self.shared.sign_ins.known();
        let device = known.devices.find_mut(given).ok_or_else(|| {
            OAuthError::bad(
                "bad_verification_code",
                70_018,
                "The provided device code is not valid.",
            )
        })?;
        let user = poll(device, settings)?;
        device.decision = Decision::Used;
        let scopes = device.scopes.clone();
        drop(known);
        Ok(self.delegated(&Consent {
            proof,
            user: &user,
            scopes,
            nonce: None,
            refresh: Refreshing::Asked,
        }))
    }
}

/// Who signed in for the device.
fn poll(device: &mut Device, settings: &Settings) -> Result<User, OAuthError> {
    let now = Instant::now();
    let before = device.polled.replace(now);
    let early = before.is_some_and(|before| now - before < settings.device_interval);
    match &device.decision {
        Decision::Used => Err(used_code()),
        Decision::Declined => Err(OAuthError::bad(
            "authorization_declined",
            65_004,
            "User declined to consent to access the app.",
        )),
        Decision::Pending | Decision::Allowed(_) if now >= device.expires => Err(OAuthError::bad(
            "expired_token",
            70_020,
            "The provided value for the input parameter 'device_code' is not valid. This device \
             code has expired.",
        )),
        Decision::Pending | Decision::Allowed(_)
            if early && settings.device_slow_down && !device.slowed =>
        {
            device.slowed = true;
            // RFC 8628 3.5; Entra has no number for it.
            Err(OAuthError::of_fault(
                StatusCode::BAD_REQUEST,
                Some("slow_down"),
                "The device polls too often.",
            ))
        }
        Decision::Pending => Err(OAuthError::bad(
            "authorization_pending",
            70_016,
            "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
        )),
        Decision::Allowed(user) => Ok(user.clone()),
    }
}

#[derive(Template)]
#[template(path = "device.html")]
struct Page<'a> {
    users: &'a [User],
}

/// `GET /sandbox/device`.
pub(crate) async fn form(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let users = shared.users.all();
    page(StatusCode::OK, &Page { users }).map(Body::from)
}

/// `POST /sandbox/device`.
pub(crate) async fn decide(
    State(shared): State<Arc<Shared>>,
    form: Result<Form<Pairs>, FormRejection>,
) -> Response<Body> {
    let parameters = Parameters::of_form(form);
    let (status, text) = decided(&shared, &parameters);
    notice(status, text).map(Body::from)
}

fn decided(shared: &Shared, parameters: &Parameters) -> (StatusCode, &'static str) {
    let user_code = parameters.given("user_code").unwrap_or_default().trim();
    let user = parameters.given("user");
    let user = user.and_then(|upn| shared.users.find(upn));
    let mut known = shared.sign_ins.known();
    let now = Instant::now();
    let device = known.devices.iter_mut().find(|device| {
        device.user_code.eq_ignore_ascii_case(user_code)
            && matches!(device.decision, Decision::Pending)
            && now < device.expires
    });
    match (device, user) {
        (None, _) => (
            StatusCode::NOT_FOUND,
            "No device waits with this code. Check the code, or ask the device for a new one.",
        ),
        (Some(device), _) if parameters.given("decline").is_some() => {
            device.decision = Decision::Declined;
            (StatusCode::OK, "Declined.")
        }
        (Some(_), None) => (StatusCode::BAD_REQUEST, "There is no such user."),
        (Some(device), Some(user)) => {
            device.decision = Decision::Allowed(user.clone());
            (StatusCode::OK, "Signed in. The device continues by itself.")
        }
    }
}
