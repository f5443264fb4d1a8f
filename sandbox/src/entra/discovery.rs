//! What Entra tells of itself: the OpenID configuration of a tenant, and which hosts are one cloud.

use axum::body::Body;
use axum::extract::Path;
use axum::http::Response;
use serde_json::Value;
use serde_json::json;

use crate::entra::answer::answered;
use crate::entra::application::Behalf;
use crate::entra::application::check_tenant;
use crate::entra::oauth_error::OAuthError;
use crate::entra::parameters::Parameters;
use crate::entra::token::access_tokens;
use crate::entra::token::id_tokens;
use crate::server::call::Call;

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`.
pub(crate) async fn configuration(Path(tenant): Path<String>, call: Call) -> Response<Body> {
    answered(&call, describe(&tenant, &call)).map(Body::from)
}

fn describe(tenant: &str, call: &Call) -> Result<Value, OAuthError> {
    let settings = &call.shared.settings;
    // Every cloud has these names, whomever an app is there for.
    let shared = ["common", "organizations", "consumers"].contains(&tenant);
    if !shared && check_tenant(tenant, settings, Behalf::User).is_err() {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and \
             are signing into the correct cloud."
        );
        return Err(OAuthError::bad("invalid_tenant", 90_002, text));
    }
    let (name, issued) = if shared {
        (tenant, "{tenantid}")
    } else {
        (settings.tenant.as_str(), settings.tenant.as_str())
    };
    let of = |rest: &str| format!("{}/{name}{rest}", settings.base_url(&call.headers));
    let graph = settings.resource.trim_start_matches("https://");
    Ok(json!({
        "token_endpoint": of("/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported":
            ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": of("/discovery/v2.0/keys"),
        "response_modes_supported": ["query"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": access_tokens::issuer(issued),
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": format!("https://{graph}/oidc/userinfo"),
        "authorization_endpoint": of("/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": of("/oauth2/v2.0/devicecode"),
        "http_logout_supported": true,
        "end_session_endpoint": of("/oauth2/v2.0/logout"),
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": graph,
        "rbac_url": "https://pas.windows.net",
    }))
}

/// `GET /{tenant}/discovery/v2.0/keys`: the key of ID tokens, if there is one.
pub(crate) async fn keys(call: Call) -> Response<Body> {
    answered(
        &call,
        Ok(json!({"keys": id_tokens::published(&call.shared.settings)})),
    )
    .map(Body::from)
}

/// `GET /common/discovery/instance`: this host is a cloud of its own.
pub(crate) async fn instance(call: Call) -> Response<Body> {
    answered(&call, describe_instance(&call)).map(Body::from)
}

fn describe_instance(call: &Call) -> Result<Value, OAuthError> {
    let parameters = Parameters::of_query(&call.uri);
    let version = parameters.needed("api-version")?;
    let endpoint = parameters.needed("authorization_endpoint")?;
    let base = call.shared.settings.base_url(&call.headers);
    // https://HOST/{tenant}/oauth2/v2.0/authorize
    let tenant = endpoint.split('/').nth(3).unwrap_or("common");
    let (_, host) = base.split_once("://").unwrap_or(("", &base));
    Ok(json!({
        "tenant_discovery_endpoint": format!("{base}/{tenant}/v2.0/.well-known/openid-configuration"),
        "api-version": version,
        "metadata": [
            {"preferred_network": host, "preferred_cache": host, "aliases": [host]},
        ],
    }))
}
