//! Access tokens: made by the stand-in's Entra, judged by its Graph, remembered in memory.
//!
//! A token looks like a JWT and has the claims of a real one, but nobody signed it: it is good
//! because it is remembered, and for no other reason.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::bounded_map::BoundedMap;
use crate::entra::token::scopes::GRAPH_APP;
use crate::entra::token::scopes::Scopes;
use crate::entra::users::User;
use crate::lock::locked;
use crate::settings::Settings;
use crate::time;

/// What a token allows.
#[derive(Debug)]
pub(crate) struct Grant {
    audience: String,
    rights: Rights,
    expires: Instant,
}

/// Whose rights a token carries.
#[derive(Debug)]
enum Rights {
    /// Those of an application, at every mailbox.
    App(Vec<String>),
    /// What a user lets the application do, at the user's own mailbox.
    User(User, Scopes),
}

impl Grant {
    /// Who signed in, if anybody did.
    pub(crate) fn user(&self) -> Option<&User> {
        match &self.rights {
            Rights::App(_) => None,
            Rights::User(user, _) => Some(user),
        }
    }

    pub(crate) fn has_role(&self, role: &str) -> bool {
        match &self.rights {
            Rights::App(roles) => roles.iter().any(|given| given == role),
            Rights::User(..) => false,
        }
    }

    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        match &self.rights {
            Rights::App(_) => false,
            Rights::User(_, scopes) => scopes.has(scope),
        }
    }
}

/// Who gets a token.
pub(crate) enum Bearer<'a> {
    /// The app itself.
    App(Proof),
    /// The app on behalf of a user.
    User(Proof, &'a User, &'a Scopes),
    /// A managed identity, by its client id.
    Identity(&'a str),
}

/// How the app proved to be itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Not at all: a public client.
    Unproven,
    /// By a secret.
    Secret,
    /// By an assertion.
    Assertion,
}

#[derive(Debug, Default)]
pub(crate) struct Tokens {
    issued: Mutex<BoundedMap<Arc<Grant>>>,
}

impl Tokens {
    /// A new token for the audience, good for as long as the settings say.
    pub(crate) fn issue(&self, settings: &Settings, audience: &str, bearer: &Bearer<'_>) -> String {
        let token = jwt(&claims(settings, audience, bearer));
        let rights = match bearer {
            Bearer::App(_) | Bearer::Identity(_) => Rights::App(settings.roles.clone()),
            Bearer::User(_, user, scopes) => Rights::User((*user).clone(), (*scopes).clone()),
        };
        let grant = Grant {
            audience: audience.to_owned(),
            rights,
            expires: Instant::now() + settings.token_life.min(FOREVER),
        };
        locked(&self.issued).insert(token.clone(), Arc::new(grant));
        token
    }

    /// What Graph makes of the value of `Authorization`, or why it does not take it.
    pub(crate) fn judge(
        &self,
        authorization: Option<&str>,
        settings: &Settings,
    ) -> Result<Arc<Grant>, &'static str> {
        let token = authorization
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| !token.is_empty())
            .ok_or("Access token is empty.")?;
        let grant = locked(&self.issued).find(token).cloned();
        let Some(grant) = grant else {
            return Err(if token.split('.').count() == 3 {
                "Access token has expired or is not yet valid."
            } else {
                "CompactToken parsing failed with error code: 80049217"
            });
        };
        if Instant::now() >= grant.expires {
            return Err("Lifetime validation failed, the token is expired.");
        }
        if grant.audience != settings.resource && grant.audience != GRAPH_APP {
            return Err("Invalid audience.");
        }
        Ok(grant)
    }

    /// Makes every access token worthless.
    pub(crate) fn revoke(&self) {
        *locked(&self.issued) = BoundedMap::default();
    }
}

fn claims(settings: &Settings, audience: &str, bearer: &Bearer<'_>) -> Value {
    let now = time::epoch(time::now());
    let (app, proof) = match *bearer {
        Bearer::App(proof) | Bearer::User(proof, ..) => (settings.client_id.as_str(), proof),
        Bearer::Identity(client_id) => (client_id, Proof::Assertion),
    };
    let mut claims = json!({
        "aud": audience,
        "iss": format!("https://sts.windows.net/{}/", settings.tenant),
        "iat": now,
        "nbf": now,
        "exp": now + settings.token_life.as_secs(),
        "app_displayname": "graph-relay sandbox",
        "appid": app,
        "appidacr": match proof {
            Proof::Unproven => "0",
            Proof::Secret => "1",
            Proof::Assertion => "2",
        },
        "tid": settings.tenant,
        "uti": Uuid::new_v4().simple().to_string(),
        "ver": "1.0",
    });
    let about = match bearer {
        Bearer::App(_) | Bearer::Identity(_) => json!({
            "idtyp": "app",
            "oid": SERVICE_PRINCIPAL,
            "sub": SERVICE_PRINCIPAL,
            "roles": settings.roles,
        }),
        Bearer::User(_, user, scopes) => json!({
            "idtyp": "user",
            "oid": user.object_id,
            "sub": user.object_id,
            "upn": user.upn,
            "unique_name": user.upn,
            "name": user.name(),
            "scp": scopes.claim(),
        }),
    };
    if let (Some(claims), Value::Object(about)) = (claims.as_object_mut(), about) {
        claims.extend(about);
        // Entra leaves the claim out when no application permission was granted.
        if settings.roles.is_empty() {
            drop(claims.remove("roles"));
        }
    }
    claims
}

/// Who issues the tokens of a tenant that tell who signed in.
pub(crate) fn issuer(tenant: &str) -> String {
    format!("https://login.microsoftonline.com/{tenant}/v2.0")
}

pub(super) fn jwt(claims: &Value) -> String {
    let header = json!({"typ": "JWT", "alg": "RS256", "x5t": "sandbox", "kid": "sandbox"});
    let part = |value: &str| URL_SAFE_NO_PAD.encode(value);
    format!(
        "{}.{}.{}",
        part(&header.to_string()),
        part(&claims.to_string()),
        part("not signed: this token comes from the sandbox")
    )
}

const SERVICE_PRINCIPAL: &str = "5a4db0c5-0000-4000-8000-000000000003";

/// A life that no clock overflows on.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);
