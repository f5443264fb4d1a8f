//! Access tokens: made by the stand-in's Entra, judged by its Graph, remembered in memory.
//!
//! A token looks like a JWT and has the claims of a real one, but nobody signed it: it is good
//! because it is remembered, and for no other reason.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::sandbox::Settings;
use crate::sandbox::errors::Refusal;
use crate::sandbox::store::locked;
use crate::sandbox::wall;

/// What a token allows.
#[derive(Debug)]
pub(super) struct Grant {
    audience: String,
    roles: Vec<String>,
    expires: Instant,
}

impl Grant {
    pub(super) fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|given| given == role)
    }
}

#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: Mutex<Issued>,
}

#[derive(Debug, Default)]
struct Issued {
    grants: HashMap<String, Arc<Grant>>,
    /// The oldest first, to forget them beyond `MOST`.
    order: VecDeque<String>,
}

impl Tokens {
    /// A new token for the audience, good for as long as the settings say.
    pub(super) fn issue(&self, settings: &Settings, audience: &str) -> String {
        let token = jwt(settings, audience);
        let grant = Grant {
            audience: audience.to_owned(),
            roles: settings.roles.clone(),
            expires: Instant::now() + settings.token_life.min(FOREVER),
        };
        let mut issued = locked(&self.issued);
        issued.grants.insert(token.clone(), Arc::new(grant));
        issued.order.push_back(token.clone());
        if issued.order.len() > MOST
            && let Some(oldest) = issued.order.pop_front()
        {
            drop(issued.grants.remove(&oldest));
        }
        token
    }

    /// What Graph makes of the value of `Authorization`.
    pub(super) fn judge(
        &self,
        authorization: Option<&str>,
        settings: &Settings,
    ) -> Result<Arc<Grant>, Refusal> {
        let token = authorization
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| !token.is_empty())
            .ok_or_else(|| Refusal::unauthorized("Access token is empty."))?;
        let grant = locked(&self.issued).grants.get(token).cloned();
        let Some(grant) = grant else {
            return Err(Refusal::unauthorized(if token.split('.').count() == 3 {
                "Access token has expired or is not yet valid."
            } else {
                "CompactToken parsing failed with error code: 80049217"
            }));
        };
        if Instant::now() >= grant.expires {
            return Err(Refusal::unauthorized(
                "Lifetime validation failed, the token is expired.",
            ));
        }
        if grant.audience != settings.resource && grant.audience != GRAPH_APP {
            return Err(Refusal::unauthorized("Invalid audience."));
        }
        Ok(grant)
    }

    /// Makes every token worthless.
    pub(super) fn revoke(&self) {
        *locked(&self.issued) = Issued::default();
    }
}

fn jwt(settings: &Settings, audience: &str) -> String {
    let now = wall::epoch(wall::now());
    let header = json!({"typ": "JWT", "alg": "RS256", "x5t": "sandbox", "kid": "sandbox"});
    let mut claims = json!({
        "aud": audience,
        "iss": format!("https://sts.windows.net/{}/", settings.tenant),
        "iat": now,
        "nbf": now,
        "exp": now + settings.token_life.as_secs(),
        "app_displayname": "graph-relay sandbox",
        "appid": settings.client_id,
        "appidacr": "1",
        "idtyp": "app",
        "oid": SERVICE_PRINCIPAL,
        "sub": SERVICE_PRINCIPAL,
        "tid": settings.tenant,
        "uti": Uuid::new_v4().simple().to_string(),
        "ver": "1.0",
    });
    // Entra leaves the claim out when no application permission was granted.
    if !settings.roles.is_empty()
        && let Some(claims) = claims.as_object_mut()
    {
        claims.insert("roles".to_owned(), json!(settings.roles));
    }
    let part = |value: &str| URL_SAFE_NO_PAD.encode(value);
    format!(
        "{}.{}.{}",
        part(&header.to_string()),
        part(&claims.to_string()),
        part("not signed: this token comes from the sandbox")
    )
}

/// The application id of Microsoft Graph, which names it as an audience too.
pub(super) const GRAPH_APP: &str = "00000003-0000-0000-c000-000000000000";

const SERVICE_PRINCIPAL: &str = "5a4db0c5-0000-4000-8000-000000000003";

/// Tokens remembered: a relay that asks for one with each message still finds its last ones good.
const MOST: usize = 10_000;

/// A life that no clock overflows on.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);
