//! Checks whether Entra issues tokens, whether they allow what the relay needs, and
//! whether the mailboxes can send.
//!
//! For an app, doctor asks for tokens itself and tries each mailbox with a message without
//! recipients ([`Graph::try_mailbox`]). For users who have signed in, and for credentials
//! that systemd gives to the service only, it asks the running relay.

use uuid::Uuid;

use super::Finding;
use crate::admin::AccountView;
use crate::admin::Status;
use crate::admin::TokenState;
use crate::admin::TokenView;
use crate::auth;
use crate::auth::Claims;
use crate::auth::Means;
use crate::auth::TokenError;
use crate::auth::Tokens;
use crate::config::Account;
use crate::config::Config;
use crate::config::Credential;
use crate::config::Mailbox;
use crate::config::SignIn;
use crate::config::is_shared;
use crate::disk;
use crate::graph::Caller;
use crate::graph::Graph;
use crate::graph::GraphError;
use crate::mail::Address;

/// Graph's application ID, which can also be the audience of a token (Entra page "Access
/// token claims reference").
const GRAPH_APP: &str = "00000003-0000-0000-c000-000000000000";
const FIX_CREDENTIAL: &str = "fix the credential that relay.toml names for this account";
const COMPARE: &str =
    "compare tenant, client_id and credential with the app registration: graph-relay explain CODE";

pub(super) async fn examine(
    config: &Config,
    means: &Means,
    running: Option<&Status>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for account in &config.accounts {
        if account.credential.is_readable_here() || has_a_date(account) {
            findings.extend(expiry(account, means));
            findings.extend(federated(account, means));
        }
        let of = |view: &&AccountView| view.name == account.name;
        let view = running.and_then(|status| status.accounts.iter().find(of));
        if account.is_usable_here() {
            findings.extend(as_app(account, means).await);
        } else {
            findings.extend(as_told(account, view));
        }
    }
    findings
}

/// The expiry date of a secret is in relay.toml, or unknown.
fn has_a_date(account: &Account) -> bool {
    matches!(account.credential, Credential::Secret { .. })
}

/// Reports when the credential expires.
fn expiry(account: &Account, means: &Means) -> Option<Finding> {
    let check = format!("credential {}", account.name);
    let name = account.credential.name();
    let now = means.clock.now();
    let remedy = "create a new one (Entra > App registrations > the app > Certificates & secrets), \
                  replace the old one with it, and write its expiry date into relay.toml";
    Some(match auth::ending(account) {
        Err(error) => Finding::failure(&check, error.to_string(), FIX_CREDENTIAL),
        Ok(Some(ending)) if ending.is_past(now) => {
            let words = format!("the {name} has expired on {}", ending.at);
            Finding::failure(&check, words, remedy)
        }
        Ok(Some(ending)) if ending.is_near(now) => {
            let words = format!("the {name} expires on {}", ending.at);
            Finding::warning(&check, words, remedy)
        }
        Ok(Some(ending)) => Finding::ok(&check, format!("the {name} is valid until {}", ending.at)),
        Ok(None) if matches!(account.credential, Credential::Secret { .. }) => Finding::warning(
            &check,
            "the expiry date of the client secret is not set, so the relay cannot warn before it \
             expires",
            "copy the date from the column Expires in Entra (Certificates & secrets) into \
             client_secret_expires in relay.toml",
        ),
        Ok(None) => Finding::ok(&check, format!("{name}: it has no expiry date")),
    })
}

/// The token of another issuer names its audience.
fn federated(account: &Account, means: &Means) -> Option<Finding> {
    let Credential::FederatedToken(path) = &account.credential else {
        return None;
    };
    let check = format!("credential {}", account.name);
    let token = disk::read_small_text(path).ok()?;
    let claims = Claims::of(token.trim());
    let wanted = account.cloud.federation_audience();
    let Some(claims) = claims else {
        let words = format!("{} does not contain a valid token", path.display());
        return Some(Finding::failure(&check, words, FIX_CREDENTIAL));
    };
    if claims.ends().is_some_and(|ends| ends <= means.clock.now()) {
        let words = format!("the token in {} has expired", path.display());
        let remedy =
            "find out why it is not renewed (Kubernetes: the projected service account token)";
        return Some(Finding::failure(&check, words, remedy));
    }
    (claims.aud != wanted).then(|| {
        Finding::warning(
            &check,
            format!("the audience of the federated token is {:?}", claims.aud),
            format!(
                "in this cloud it is usually {wanted:?}; the federated credential of the app \
                 registration must have the same audience"
            ),
        )
    })
}

/// Reports what only the running relay can know.
fn as_told(account: &Account, view: Option<&AccountView>) -> Vec<Finding> {
    let check = format!("token {}", account.name);
    let Some(view) = view else {
        let (words, remedy) = match account.sign_in {
            SignIn::Delegated => (
                "doctor can check sign-ins only while the relay runs with this [[account]]",
                "restart the relay: systemctl restart graph-relay; then check again: graph-relay doctor",
            ),
            SignIn::Application => (
                "only the service can read this credential (systemd credential), and it is not \
                 running with this [[account]]",
                "restart the relay: systemctl restart graph-relay; then check again: graph-relay doctor",
            ),
        };
        return vec![Finding::warning(&check, words, remedy)];
    };
    let mut findings: Vec<Finding> = view
        .tokens
        .iter()
        .map(|it| told(&check, account, it))
        .collect();
    if account.sign_in == SignIn::Application {
        findings.push(Finding::ok(
            &format!("mailbox {}", account.name),
            "doctor cannot test permissions and mailbox: only the service can read the credential \
             (systemd credential). To test both through the relay: graph-relay send-test ADDRESS",
        ));
    }
    findings
}

fn told(check: &str, account: &Account, token: &TokenView) -> Finding {
    let mailbox = token.mailbox.as_ref().map_or("", |it| it.as_str());
    let trouble = token.trouble.as_deref().unwrap_or_default();
    let words = format!("{mailbox} {}", token.state);
    let words = match trouble {
        "" => words,
        trouble => format!("{words}: {trouble}"),
    };
    let words = words.trim();
    match token.state {
        TokenState::Refused => {
            let whose = (account, mailbox);
            Finding::coded(check, words, token.code.as_deref(), COMPARE, whose)
        }
        TokenState::SignedOut => {
            let otherwise = "graph-relay login {mailbox}";
            let whose = (account, mailbox);
            Finding::coded(check, words, token.code.as_deref(), otherwise, whose)
        }
        TokenState::NotSignedIn => {
            Finding::failure(check, words, format!("graph-relay login {mailbox}"))
        }
        TokenState::NotAskedFor => Finding::warning(
            check,
            "the running relay has not needed a token yet",
            "run graph-relay send-test ADDRESS, then graph-relay doctor again",
        ),
        TokenState::Good | TokenState::Unavailable | TokenState::SignedIn => {
            Finding::ok(check, words)
        }
    }
}

/// Asks for a token, reads it, and tries the mailbox with it.
async fn as_app(account: &Account, means: &Means) -> Vec<Finding> {
    let check = format!("token {}", account.name);
    let tokens = Tokens::new(account.clone(), means.clone());
    let any: Option<Address> = match &account.mailbox {
        Mailbox::Fixed(mailbox) => Some(mailbox.clone()),
        Mailbox::From => account.default_from.clone(),
    };
    // An app's token is the same for all mailboxes.
    let nobody = || "nobody@example.invalid".parse().ok();
    let Some(mailbox) = any.clone().or_else(nobody) else {
        return Vec::new();
    };
    let token = match tokens.token(&mailbox).await {
        Ok(token) => token,
        Err(error) => {
            let mailbox = any.as_ref().map_or("", |mailbox| mailbox.as_str());
            return vec![refused(&check, &error, (account, mailbox))];
        }
    };
    let mut findings = vec![Finding::ok(
        &check,
        format!("Entra issues a token for the {}", account.credential.name()),
    )];
    match token.claims() {
        Some(claims) => findings.extend(judge(&claims, account)),
        None => findings.push(Finding::ok(
            &check,
            "doctor cannot read the permissions in the token; that is not an error",
        )),
    }
    match any {
        Some(mailbox) => findings.push(try_mailbox(account, tokens, means, &mailbox).await),
        None => findings.push(Finding::ok(
            &format!("mailbox {}", account.name),
            "each message is sent from the mailbox of its From address. To test one: graph-relay \
             send-test ADDRESS --from MAILBOX",
        )),
    }
    findings
}

/// Asks for a token for the app of an account whose mailboxes sign in, which any app gets. Returns
/// a failure if a value of the account is wrong.
pub(super) async fn app_itself(account: &Account, means: &Means) -> Option<Finding> {
    let app = Account {
        sign_in: SignIn::Application,
        ..account.clone()
    };
    let has_credential = app.credential != Credential::Nothing;
    if account.sign_in != SignIn::Delegated
        || !has_credential
        || !app.is_usable_here()
        || is_shared(&app.tenant)
    {
        return None;
    }
    let check = format!("token {}", account.name);
    let nobody: Address = "nobody@example.invalid".parse().ok()?;
    let error = Tokens::new(app, means.clone()).token(&nobody).await.err()?;
    let refused = refused(&check, &error, (account, ""));
    refused.key.is_some().then_some(refused)
}

fn refused(check: &str, error: &TokenError, whose: (&Account, &str)) -> Finding {
    let words = error.to_string();
    let otherwise = match error {
        TokenError::Credential(_) => FIX_CREDENTIAL,
        TokenError::Identity(_) => {
            "give this machine a managed identity (in Azure: the machine > Identity), and that \
             identity the app role Mail.Send"
        }
        TokenError::Unavailable { .. } | TokenError::Transport(_) => {
            "check the network between this machine and Entra: graph-relay doctor; if Entra itself has a \
             problem, wait"
        }
        TokenError::Refused { .. }
        | TokenError::NotSignedIn { .. }
        | TokenError::SignedOut { .. }
        | TokenError::Store(_) => COMPARE,
    };
    let code = error.code();
    Finding::coded(check, &words, code.as_deref(), otherwise, whose)
}

/// Says why Graph would refuse a token.
fn judge(claims: &Claims, account: &Account) -> Vec<Finding> {
    let check = format!("permissions {}", account.name);
    let mut findings = Vec::new();
    let aud = claims.aud.trim_end_matches('/');
    if aud != account.graph_resource && aud != GRAPH_APP {
        findings.push(Finding::failure(
            &check,
            format!(
                "the token is for {aud}, but relay.toml names {} as Graph",
                account.graph_resource
            ),
            "login_url and graph_url must belong to the same cloud: set cloud in relay.toml",
        ));
    }
    let is_id = Uuid::try_parse(&account.tenant).is_ok();
    if let Some(tid) = claims
        .tid
        .as_deref()
        .filter(|tid| is_id && *tid != account.tenant)
    {
        findings.push(Finding::failure(
            &check,
            format!(
                "the token is for tenant {tid}, but relay.toml names {}",
                account.tenant
            ),
            "write the Directory (tenant) ID of the right tenant into relay.toml",
        ));
    }
    findings.extend(permissions(&check, claims, account));
    findings
}

/// Says what a token allows.
fn permissions(check: &str, claims: &Claims, account: &Account) -> Vec<Finding> {
    if let (Some(scopes), true) = (&claims.scp, claims.roles.is_empty()) {
        return vec![Finding::failure(
            check,
            format!("the token has delegated permissions only ({scopes})"),
            "in Entra > App registrations > the app > API permissions, add Microsoft Graph > \
             Application permissions > Mail.Send, and grant admin consent",
        )];
    }
    let has = |role: &str| claims.roles.iter().any(|given| given == role);
    let mut findings = vec![if has("Mail.Send") {
        Finding::ok(
            check,
            "Mail.Send, for every mailbox of the tenant; to change that: Limit the app to some \
             mailboxes, in the documentation",
        )
    } else {
        Finding::warning(
            check,
            "the token does not contain Mail.Send: either nobody granted it, or Exchange grants it \
             (RBAC for Applications), which tokens do not show; the mailbox check below tells which",
            "if nobody granted it: Entra > App registrations > the app > API permissions > Add \
             > Microsoft Graph > Application permissions > Mail.Send > Grant admin consent",
        )
    }];
    if account.needs_drafts && has("Mail.Send") && !has("Mail.ReadWrite") {
        findings.push(Finding::warning(
            check,
            "Mail.ReadWrite is not granted: messages over about 3 MB, submission = \"draft\" and \
             blind = \"property\" need it; without it such messages wait",
            "grant the application permission Mail.ReadWrite as well, or set message_size = \"3 MB\"",
        ));
    }
    findings
}

async fn try_mailbox(
    account: &Account,
    tokens: Tokens,
    means: &Means,
    mailbox: &Address,
) -> Finding {
    let check = format!("mailbox {}", account.name);
    let graph = Graph::new(means.http.clone(), tokens);
    let caller = Caller {
        mailbox,
        client_request_id: Uuid::new_v4(),
    };
    let error = match graph.try_mailbox(caller).await {
        Ok(()) => {
            return Finding::ok(
                &check,
                format!("{mailbox} exists, and the app may send from it"),
            );
        }
        Err(error) => error,
    };
    let words = format!("{mailbox}: {error}");
    match &error {
        GraphError::Answered { status, code, .. } => {
            let http = format!("http-{status}");
            let code = if code.is_empty() { &http } else { code };
            let otherwise =
                "see graph-relay explain CODE; for Microsoft support, the log has the request-id";
            let whose = (account, mailbox.as_str());
            let finding = Finding::coded(&check, &words, Some(code), otherwise, whose);
            match *status {
                429 | 500.. => Finding {
                    state: super::State::Warning,
                    ..finding
                },
                // The mailbox is right, and the app has no permission for it.
                403 => finding,
                _ => Finding {
                    key: Some("mailbox"),
                    ..finding
                },
            }
        }
        GraphError::Transport(_)
        | GraphError::Token(_)
        | GraphError::UploadHost(_)
        | GraphError::Content(_) => {
            let remedy = "check the network between this machine and Graph: graph-relay doctor";
            Finding::failure(&check, words, remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::doctor::State;

    const TENANT: &str = "11111111-1111-1111-1111-111111111111";

    fn account(more: &str) -> Account {
        let text = format!(
            "[[account]]\ntenant = \"{TENANT}\"\nclient_id = \"1\"\n\
             client_secret_env = \"PATH\"\nmailbox = \"noreply@contoso.com\"\n{more}\n"
        );
        let mut config = Config::parse(&text, Path::new("relay.toml")).unwrap();
        config.accounts.remove(0)
    }

    const SMALL: &str = "[limits]\nmessage_size = \"1 MB\"";

    fn claims(json: serde_json::Value) -> Claims {
        serde_json::from_value(json).unwrap()
    }

    fn states(claims: &Claims, more: &str) -> Vec<State> {
        let findings = judge(claims, &account(more));
        findings.into_iter().map(|finding| finding.state).collect()
    }

    #[test]
    fn a_token_tells_a_missing_role_from_a_wrong_tenant_and_a_wrong_cloud() {
        let graph = "https://graph.microsoft.com";
        let good = serde_json::json!({"aud": graph, "tid": TENANT, "roles": ["Mail.Send"]});
        let with = |name: &str, value: serde_json::Value| {
            let mut changed = good.clone();
            changed[name] = value;
            claims(changed)
        };

        assert_eq!(states(&claims(good.clone()), SMALL), [State::Ok]);
        let by_id = with("aud", GRAPH_APP.into());
        assert_eq!(states(&by_id, SMALL), [State::Ok]);
        // Without a role, Exchange may still allow it.
        let rbac = with("roles", serde_json::json!([]));
        assert_eq!(states(&rbac, SMALL), [State::Warning]);
        let other = with("tid", "22222222-2222-2222-2222-222222222222".into());
        assert_eq!(states(&other, SMALL), [State::Failure, State::Ok]);
        assert_eq!(
            states(
                &claims(good.clone()),
                &format!("cloud = \"us-gov\"\n{SMALL}")
            ),
            [State::Failure, State::Ok]
        );
        let mut delegated = with("roles", serde_json::json!([]));
        delegated.scp = Some("Mail.Send".to_owned());
        assert_eq!(states(&delegated, SMALL), [State::Failure]);
    }

    #[test]
    fn drafts_are_asked_for_where_a_message_may_need_one() {
        let send = claims(serde_json::json!({
            "aud": "https://graph.microsoft.com", "tid": TENANT, "roles": ["Mail.Send"]
        }));
        for (more, warned) in [
            (SMALL.to_owned(), false),
            (String::new(), true),
            (format!("submission = \"draft\"\n{SMALL}"), true),
            (format!("blind = \"property\"\n{SMALL}"), true),
        ] {
            let states = states(&send, &more);
            assert_eq!(states.contains(&State::Warning), warned, "{more}");
        }
    }
}
