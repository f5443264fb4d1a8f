//! Entra's token endpoint: which grant is asked for, and what is given for it.
//!
//! The app's own grant is here; those on a user's behalf are in `delegated` and `device`.

use axum::body::Body;
use axum::extract::Form;
use axum::extract::Path;
use axum::extract::rejection::FormRejection;
use axum::http::Response;
use serde_json::Value;
use serde_json::json;

use crate::entra::answer::answered;
use crate::entra::application::Behalf;
use crate::entra::application::Credentials;
use crate::entra::application::check_client;
use crate::entra::application::check_tenant;
use crate::entra::oauth_error::OAuthError;
use crate::entra::parameters::Pairs;
use crate::entra::parameters::Parameters;
use crate::entra::token::access_tokens::Bearer;
use crate::entra::token::request::TokenRequest;
use crate::entra::token::request::life;
use crate::entra::token::scopes::GRAPH_APP;
use crate::faults::fault::Station;
use crate::server::call::Call;

/// Gives a token or says why not.
pub(crate) async fn token(
    Path(tenant): Path<String>,
    call: Call,
    form: Result<Form<Pairs>, FormRejection>,
) -> Response<Body> {
    let parameters = Parameters::of_form(form);
    call.shared.secrets.sent(&parameters);
    let grant = parameters.given("grant_type").map(str::to_owned);
    call.shared
        .store
        .note(call.exchange.number, |record| record.grant = grant);
    let request = TokenRequest {
        shared: &call.shared,
        tenant: &tenant,
        credentials: Credentials {
            shared: &call.shared,
            tenant: &tenant,
            headers: &call.headers,
            parameters: &parameters,
        },
        parameters: &parameters,
    };
    call.answer_as_entra(Station::Token, |_| answered(&call, request.judge()))
        .await
}

impl TokenRequest<'_> {
    /// The body of the answer.
    fn judge(&self) -> Result<Value, OAuthError> {
        let grant = self.parameters.given("grant_type");
        let behalf = match grant {
            Some(CODE | REFRESH | DEVICE) => Behalf::User,
            Some(_) | None => Behalf::App,
        };
        check_tenant(self.tenant, &self.shared.settings, behalf)?;
        self.parameters.check_repeats()?;
        match grant {
            Some("client_credentials") => self.for_app(),
            Some(CODE) => self.for_code(),
            Some(REFRESH) => self.for_refresh(),
            Some(DEVICE) => self.for_device(),
            Some(other) => {
                let text = format!("The app requested an unsupported grant type '{other}'.");
                Err(OAuthError::bad("unsupported_grant_type", 70_003, text))
            }
            None => Err(OAuthError::missing("grant_type")),
        }
    }

    fn for_app(&self) -> Result<Value, OAuthError> {
        let settings = &self.shared.settings;
        let client_id = self.credentials.client_id()?;
        let scope = self.parameters.needed("scope")?;
        check_client(&client_id, self.tenant, settings)?;
        let proof = self.credentials.proof()?;
        let audience = self.audience(scope)?;
        let token = self
            .shared
            .tokens
            .issue(settings, &audience, &Bearer::App(proof));
        Ok(json!({
            "token_type": "Bearer",
            "expires_in": life(settings),
            "ext_expires_in": life(settings),
            "access_token": token,
        }))
    }

    fn audience(&self, scope: &str) -> Result<String, OAuthError> {
        let invalid = |code, text| Err(OAuthError::bad("invalid_scope", code, text));
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
        let known = [self.shared.settings.resource.as_str(), GRAPH_APP]
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
            OAuthError::bad("invalid_resource", 500_011, text)
        })
    }
}

const CODE: &str = "authorization_code";
const REFRESH: &str = "refresh_token";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Resources that every tenant has besides Graph: a token for one is given, and Graph refuses it.
const OTHER_RESOURCES: [&str; 2] = [
    "https://outlook.office365.com",
    "https://outlook.office.com",
];
