//! Access tokens for the machine's own identity in Azure, without any credential.
//! They come from the metadata service of a virtual machine, from App Service and
//! similar services, or from the agent of a server connected by Arc (Entra page "How
//! to use managed identities on a virtual machine", App Service page "Managed
//! identities", Arc page "Authenticate against Azure resources").
//!
//! The environment variables of Microsoft's own libraries say which of them it is. The
//! relay never asks them through a proxy.

use std::fmt;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;

use crate::auth::Granted;
use crate::auth::error::TokenError;
use crate::auth::tokens::answer::DEFAULT_LIFE;
use crate::auth::tokens::answer::seconds;
use crate::clock::Timestamp;
use crate::disk;
use crate::http::Answer;
use crate::http::Http;
use crate::http::TransportError;
use crate::http::one_line;

/// The service on this machine that issues tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// App Service, Functions, Container Apps.
    AppService { url: String, header: Header },
    /// A server connected by Arc; the agent puts its keys into this folder.
    Arc { url: String, keys: PathBuf },
    /// A virtual machine.
    VirtualMachine { url: String },
}

/// The secret that App Service expects in a request; nobody else may see it.
#[derive(Clone, PartialEq, Eq)]
struct Header(String);

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Header(..)")
    }
}

/// The metadata service of every virtual machine in Azure.
const METADATA: &str = "http://169.254.169.254";
/// The path that virtual machines and Arc share.
const TOKEN_PATH: &str = "/metadata/identity/oauth2/token";
/// The address of Arc's agent, unless the environment names another.
const ARC: &str = "http://localhost:40342/metadata/identity/oauth2/token";
/// This file exists where the agent is installed.
const ARC_AGENT: &str = "/opt/azcmagent/bin/himds";
/// The only folder into which Arc's agent puts its keys.
const ARC_KEYS: &str = "/var/opt/azcmagent/tokens";
/// Its keys are a few hundred bytes long.
const LARGEST_ARC_KEY: u64 = 4096;

/// Returns a token for a resource, for the identity with this client ID or for the
/// only one.
pub(in crate::auth) async fn grant(
    client_id: Option<&str>,
    resource: &str,
    http: &Http,
    now: Timestamp,
) -> Result<Granted, TokenError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    source(variable, Path::new(ARC_AGENT).exists())
        .grant(client_id, resource, http, now)
        .await
}

fn source(variable: impl Fn(&str) -> Option<String>, has_arc_agent: bool) -> Source {
    let keys = PathBuf::from(ARC_KEYS);
    match (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER")) {
        (Some(url), Some(header)) => Source::AppService {
            url,
            header: Header(header),
        },
        (Some(url), None) if variable("IMDS_ENDPOINT").is_some() => Source::Arc { url, keys },
        _ if has_arc_agent => Source::Arc {
            url: ARC.to_owned(),
            keys,
        },
        _ => {
            let host = variable("AZURE_POD_IDENTITY_AUTHORITY_HOST");
            let host = host.unwrap_or_else(|| METADATA.to_owned());
            Source::VirtualMachine {
                url: format!("{}{TOKEN_PATH}", host.trim_end_matches('/')),
            }
        }
    }
}

impl Source {
    async fn grant(
        &self,
        client_id: Option<&str>,
        resource: &str,
        http: &Http,
        now: Timestamp,
    ) -> Result<Granted, TokenError> {
        // They expect a resource, not a scope.
        let resource = format!("{resource}/");
        let ask = |url: &str, version: &str| {
            let mut query = vec![("api-version", version), ("resource", resource.as_str())];
            query.extend(client_id.map(|id| ("client_id", id)));
            let url = Url::parse_with_params(url, query);
            url.map(|url| http.request(Method::GET, url))
                .map_err(|error| TokenError::Identity(format!("its URL is none: {error}")))
        };
        let answer = match self {
            Self::AppService { url, header } => {
                let request = ask(url, "2019-08-01")?.header("x-identity-header", &header.0);
                http.send(request, 0).await
            }
            Self::VirtualMachine { url } => {
                let request = ask(url, "2018-02-01")?.header("metadata", "true");
                http.send(request, 0).await
            }
            Self::Arc { url, keys } => {
                let ask = || ask(url, "2020-06-01").map(|it| it.header("metadata", "true"));
                let challenge = http
                    .send(ask()?, 0)
                    .await
                    .map_err(|error| self.silent(error))?;
                if challenge.status != 401 {
                    return read(&challenge, now);
                }
                let key = arc_key(&challenge, keys)?;
                let authorization = format!("Basic {key}");
                http.send(ask()?.header("authorization", authorization), 0)
                    .await
            }
        };
        read(&answer.map_err(|error| self.silent(error))?, now)
    }

    /// The service may be starting, or not exist: both look the same.
    fn silent(&self, error: TransportError) -> TokenError {
        let place = match self {
            Self::AppService { .. } => "App Service names an endpoint",
            Self::Arc { .. } => "Arc's agent (himds) should answer",
            Self::VirtualMachine { .. } => {
                "this machine is not an Azure virtual machine, or cannot reach its metadata service"
            }
        };
        let hinted = |reason: String| format!("{reason} ({place})");
        TokenError::Transport(match error {
            TransportError::NotSent { host, reason } => TransportError::NotSent {
                host,
                reason: hinted(reason),
            },
            TransportError::MaybeSent { host, reason } => TransportError::MaybeSent {
                host,
                reason: hinted(reason),
            },
        })
    }
}

/// RFC 9110 11.6.1: the agent names a file that only administrators can read. The
/// relay reads no other file: any program on that port could ask for one.
fn arc_key(challenge: &Answer, folder: &Path) -> Result<String, TokenError> {
    let refused = |why: String| TokenError::Identity(why);
    let path = challenge
        .header("www-authenticate")
        .and_then(|value| value.split_once("realm="))
        .map(|(_, realm)| PathBuf::from(realm.trim().trim_matches('"')))
        .ok_or_else(|| refused("Arc's agent names no key file".to_owned()))?;
    let shown = path.display();
    let is_key = path.extension().is_some_and(|ending| ending == "key");
    if path.parent() != Some(folder) || !is_key {
        let words = format!("Arc's agent names a key file that is not its own: {shown}");
        return Err(refused(one_line(&words)));
    }
    let unreadable = |error: std::io::Error| {
        refused(format!(
            "cannot read {shown}: {error}: make the relay's user a member of the group himds"
        ))
    };
    if fs::metadata(&path).map_err(unreadable)?.len() > LARGEST_ARC_KEY {
        return Err(refused(format!("{shown} is too large for a key")));
    }
    let key = disk::read_small_text(&path).map_err(unreadable)?;
    let key = key.trim().to_owned();
    let fits = |c: char| c.is_ascii_graphic();
    if key.is_empty() || !key.chars().all(fits) {
        return Err(refused(format!("{shown} holds no key")));
    }
    Ok(key)
}

/// All three answer in the same form, with numbers as text; App Service sends no
/// `expires_in`.
#[derive(Deserialize)]
struct IdentityAnswer {
    access_token: String,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    #[serde(default, deserialize_with = "seconds")]
    expires_on: Option<u64>,
}

/// The two forms of their refusals.
#[derive(Default, Deserialize)]
struct IdentityRefusal {
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    message: String,
}

fn read(answer: &Answer, now: Timestamp) -> Result<Granted, TokenError> {
    if answer.status == 200
        && let Ok(token) = serde_json::from_slice::<IdentityAnswer>(&answer.body)
    {
        let until = |seconds| {
            let end = Timestamp::from_millis(0) + Duration::from_secs(seconds);
            end.since(now)
        };
        let lasts = token.expires_in.map(Duration::from_secs);
        let lasts = lasts.or_else(|| token.expires_on.map(until));
        return Ok(Granted {
            secret: SecretString::from(token.access_token),
            lasts: lasts.unwrap_or(DEFAULT_LIFE),
        });
    }
    let refusal: IdentityRefusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    let words = [refusal.error_description, refusal.message];
    let words = words.into_iter().find(|words| !words.is_empty());
    let words = one_line(&words.unwrap_or_else(|| "without a word".to_owned()));
    let status = answer.status;
    match status {
        // The page on virtual machines: it may be updated for up to 70 seconds, be throttled,
        // or have a temporary problem.
        200 | 404 | 410 | 429 | 500.. => Err(TokenError::Unavailable {
            status,
            retry_after: answer.retry_after,
            description: words,
        }),
        _ => Err(TokenError::Identity(format!(
            "refused with {status}: {words}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use graph_relay_sandbox::Sandbox;
    use graph_relay_sandbox::Settings;

    use super::*;
    use crate::clock::Clock;
    use crate::http::Reach;

    fn of(variables: &[(&str, &str)], has_arc_agent: bool) -> Source {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        source(variable, has_arc_agent)
    }

    #[test]
    fn the_environment_says_which_service_it_is() {
        let arc = |url: &str| Source::Arc {
            url: url.to_owned(),
            keys: ARC_KEYS.into(),
        };
        let endpoint = ("IDENTITY_ENDPOINT", "http://127.0.0.1:41/msi/token");
        assert_eq!(
            of(&[endpoint, ("IDENTITY_HEADER", "canary")], true),
            Source::AppService {
                url: endpoint.1.to_owned(),
                header: Header("canary".to_owned()),
            }
        );
        assert_eq!(
            of(
                &[endpoint, ("IMDS_ENDPOINT", "http://localhost:40342")],
                false
            ),
            arc(endpoint.1)
        );
        assert_eq!(of(&[], true), arc(ARC));
        let machine = format!("{METADATA}{TOKEN_PATH}");
        assert_eq!(of(&[], false), Source::VirtualMachine { url: machine });
    }

    #[tokio::test]
    async fn arc_gives_a_token_to_whoever_can_read_its_key() {
        let keys = tempfile::tempdir().unwrap();
        let settings = Settings {
            arc_folder: Some(keys.path().to_owned()),
            ..Settings::default()
        };
        let stand_in = Sandbox::start("127.0.0.1:0".parse().unwrap(), settings);
        let stand_in = stand_in.await.unwrap();
        let settings = crate::config::Http {
            proxy: None,
            ca_file: None,
            timeout: Duration::from_secs(10),
        };
        let http = Http::new(&settings, Reach::Direct, Clock::System).unwrap();
        let source = Source::Arc {
            url: format!("{}/arc{TOKEN_PATH}", stand_in.url()),
            keys: keys.path().to_owned(),
        };
        let graph = "https://graph.microsoft.com";

        let now = Clock::System.now();
        let granted = source.grant(None, graph, &http, now).await.unwrap();
        assert!(granted.lasts > Duration::from_secs(3000));
        let refused = source.grant(None, "https://elsewhere.example", &http, now);
        let refused = refused.await.unwrap_err();
        assert!(matches!(refused, TokenError::Identity(_)), "{refused}");
    }

    #[test]
    fn a_key_is_read_from_the_agents_folder_only() {
        let folder = tempfile::tempdir().unwrap();
        let inside = |name: &str| folder.path().join(name).display().to_string();
        fs::write(inside("a.key"), "canary\n").unwrap();
        fs::write(inside("a.txt"), "canary").unwrap();
        fs::write(inside("empty.key"), "\n").unwrap();
        fs::write(inside("long.key"), "x".repeat(5000)).unwrap();
        let key = |path: &str| {
            let mut headers = reqwest::header::HeaderMap::new();
            let value = format!("Basic realm={path}");
            headers.insert("www-authenticate", value.parse().unwrap());
            let challenge = Answer {
                status: 401,
                headers,
                body: bytes::Bytes::new(),
                retry_after: None,
            };
            arc_key(&challenge, folder.path())
        };

        assert_eq!(key(&inside("a.key")).unwrap(), "canary");
        assert_eq!(key(&format!("\"{}\"", inside("a.key"))).unwrap(), "canary");
        let outside = inside("../a.key");
        for bad in ["a.txt", "empty.key", "long.key", "none.key"].map(inside) {
            assert!(key(&bad).is_err(), "{bad}");
        }
        for bad in ["/etc/passwd", "", "a.key", &outside] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
