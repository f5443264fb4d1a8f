//! Delegated scopes: read from a request, compared with what was consented to, spelled in answers.

use crate::entra::oauth_error::OAuthError;
use crate::settings::Settings;

/// Scopes by their short names: `Mail.Send`, `offline_access`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scopes(Vec<String>);

impl Scopes {
    /// The scopes of a request, all of them consented to.
    pub(crate) fn read(text: &str, settings: &Settings) -> Result<Self, OAuthError> {
        let mut names: Vec<String> = Vec::new();
        for scope in text.split_whitespace() {
            let name = short(scope, settings)?;
            if name.eq_ignore_ascii_case(DEFAULT) {
                let all = settings.consented.iter();
                names.extend(all.filter(|it| !OIDC.contains(&it.as_str())).cloned());
                continue;
            }
            let consented = settings.consented.iter();
            let mut consented = consented.filter(|it| it.eq_ignore_ascii_case(name));
            let Some(name) = consented.next() else {
                return Err(OAuthError::not_consented(&settings.client_id));
            };
            names.push(name.clone());
        }
        names.sort();
        names.dedup();
        Ok(Self(names))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|it| it == name)
    }

    /// The `scp` claim; `offline_access` is no right at the resource.
    pub(crate) fn claim(&self) -> String {
        self.spelled(str::to_owned)
    }

    /// The `scope` of an answer, where those of Graph are URLs.
    pub(crate) fn answered(&self, resource: &str) -> String {
        self.spelled(|name| {
            if OIDC.contains(&name) {
                name.to_owned()
            } else {
                format!("{resource}/{name}")
            }
        })
    }

    fn spelled(&self, spell: impl Fn(&str) -> String) -> String {
        let names = self.0.iter().filter(|it| *it != OFFLINE_ACCESS);
        let spelled = names.map(|name| spell(name)).collect::<Vec<_>>();
        spelled.join(" ")
    }
}

/// The scope without its resource, which is to be Graph's.
fn short<'a>(scope: &'a str, settings: &Settings) -> Result<&'a str, OAuthError> {
    // RFC 6749 3.3.
    let token = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    if !scope.chars().all(token) {
        let text = format!(
            "The provided value for the input parameter 'scope' is not valid. The scope {scope} \
             is not valid."
        );
        return Err(OAuthError::bad("invalid_scope", 70_011, text));
    }
    let Some((resource, name)) = scope.rsplit_once('/') else {
        return Ok(scope);
    };
    let known = [settings.resource.as_str(), GRAPH_APP];
    if known.iter().any(|it| it.eq_ignore_ascii_case(resource)) {
        return Ok(name);
    }
    let text = format!(
        "The resource principal named {resource} was not found in the tenant named {}. This can \
         happen if the application has not been installed by the administrator of the tenant or \
         consented to by any user in the tenant.",
        settings.tenant
    );
    Err(OAuthError::bad("invalid_resource", 500_011, text))
}

/// The application id of Microsoft Graph, which names it as an audience too.
pub(crate) const GRAPH_APP: &str = "00000003-0000-0000-c000-000000000000";

/// The scope that brings a refresh token.
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// Scopes of OpenID Connect: of no resource.
const OIDC: [&str; 4] = ["openid", "profile", "email", OFFLINE_ACCESS];

const DEFAULT: &str = ".default";
