//! The fields of the form: from relay.toml, and what is wrong with them. `into_file.rs` writes them.

use std::net::IpAddr;
use std::path::Path;

use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde::Deserialize;

use super::held::Held;
use super::mistake::Mistake;
use super::variables;
use crate::config::Account;
use crate::config::Cloud;
use crate::config::Config;
use crate::config::Mailbox;
use crate::config::SignIn;
use crate::config::edit::Editor;
use crate::config::edit::Table;
use crate::config::edit::kept_since;
use crate::config::is_shared;
use crate::credentials::SecretSource;
use crate::mail::Address;

/// The name of an account that has none.
const DEFAULT: &str = "default";
/// This machine.
pub(super) const HERE: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// What somebody has filled in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    /// The version of the file that the form is for.
    pub(super) version: String,
    /// The account that is changed; empty for a new one.
    pub(super) account: String,
    /// `application` or `delegated`.
    pub(super) sign_in: String,
    pub(super) tenant: String,
    pub(super) client_id: String,
    /// Never shown.
    secret: Hidden,
    /// The name of a secret that was entered before and is held.
    pub(super) kept: String,
    pub(super) expires: String,
    pub(super) mailbox: String,
    /// One of Microsoft's clouds; empty for the usual one.
    pub(super) cloud: String,
    /// Scheme and host of Entra, if not those of the cloud.
    pub(super) login_url: String,
    /// The same of Graph.
    pub(super) graph_url: String,
    /// `here` or `networks`; empty if the form does not change it.
    pub(super) reach: String,
    pub(super) networks: String,
    /// Save although Microsoft refuses.
    pub(super) anyway: String,
    /// Whether relay.toml names a credential already.
    #[serde(skip)]
    pub(super) has_credential: bool,
    /// Its kind, if it is not a secret.
    #[serde(skip)]
    pub(super) other_credential: Option<&'static str>,
    /// Whether that is a managed identity, which has a tenant and a client ID of its own.
    #[serde(skip)]
    pub(super) has_managed_identity: bool,
    /// Whether a secret that was entered before is no longer held.
    #[serde(skip)]
    is_secret_lost: bool,
    /// The day on which the secret of relay.toml was stored.
    #[serde(skip)]
    pub(super) stored: Option<String>,
    /// Keys that environment variables set, with their names: relay.toml has no effect there.
    #[serde(skip)]
    variables: Vec<(&'static str, String)>,
}

/// A secret in a form.
#[derive(Clone, Default, Deserialize)]
struct Hidden(String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(..)")
    }
}

/// A field with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Tenant,
    ClientId,
    Secret,
    Expires,
    Mailbox,
    LoginUrl,
    GraphUrl,
    Networks,
    /// The file has changed.
    File,
}

impl Field {
    /// The field for a key of relay.toml.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        Some(match key {
            "tenant" => Self::Tenant,
            "client_id" => Self::ClientId,
            "client_secret" | "client_secret_file" => Self::Secret,
            "client_secret_expires" => Self::Expires,
            "mailbox" => Self::Mailbox,
            "login_url" => Self::LoginUrl,
            "graph_url" => Self::GraphUrl,
            "address" | "networks" => Self::Networks,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::ClientId => "client_id",
            Self::Secret => "secret",
            Self::Expires => "expires",
            Self::Mailbox => "mailbox",
            Self::LoginUrl => "login_url",
            Self::GraphUrl => "graph_url",
            Self::Networks => "networks",
            Self::File => "file",
        }
    }
}

fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text.trim()).is_ok()
}

/// The names of all accounts.
pub(super) fn accounts(editor: &Editor) -> Vec<String> {
    let name = |at| {
        let name = editor.text(&Table::Entry("account", at), "name");
        name.unwrap_or_else(|| DEFAULT.to_owned())
    };
    (0..editor.count("account")).map(name).collect()
}

/// What relay.toml has, and environment variables; for an account that it does not have, an empty
/// form.
pub(super) fn read(editor: &Editor, account: Option<&str>, in_force: &Config) -> Fields {
    let names = accounts(editor);
    let at = match account {
        Some(account) => names.iter().position(|name| name == account),
        None => (!names.is_empty()).then_some(0),
    };
    let number = at.unwrap_or(names.len());
    let variables = variables::all(&in_force.origin, number);
    let (reach, networks) = match variables::of("networks", &variables) {
        Some(_) => (String::new(), String::new()),
        None => reach(editor),
    };
    let empty = Fields {
        version: editor.version(),
        sign_in: "application".to_owned(),
        reach,
        networks,
        has_credential: variables::of("secret", &variables).is_some(),
        has_managed_identity: variables::of("secret", &variables).is_some_and(is_of_identity),
        variables,
        ..Fields::default()
    };
    let Some(at) = at else {
        return empty.with_variables(in_force.accounts.get(number));
    };
    let fields = Fields {
        account: names.get(at).cloned().unwrap_or_default(),
        ..of_account(editor, at, empty)
    };
    fields.with_variables(in_force.accounts.get(number))
}

/// Whether this variable sets the managed identity.
fn is_of_identity(variable: &str) -> bool {
    variable.to_ascii_uppercase().contains("MANAGED_IDENTITY")
}

/// What an account of relay.toml has, in a form that is empty otherwise.
fn of_account(editor: &Editor, at: usize, empty: Fields) -> Fields {
    let table = Table::Entry("account", at);
    let text = |key: &str| editor.text(&table, key).unwrap_or_default();
    let others = [
        ("certificate_file", "certificate"),
        ("managed_identity", "managed identity"),
        ("federated_token_file", "federated token"),
    ];
    let other = others.iter().find(|(key, _)| editor.has(&table, key));
    let secrets = [
        "client_secret_file",
        "client_secret_env",
        "client_secret_credential",
    ];
    let file = editor.text(&table, "client_secret_file");
    let since = file.and_then(|file| kept_since(Path::new(&file)));
    Fields {
        sign_in: match text("sign_in").as_str() {
            "delegated" => "delegated".to_owned(),
            _ => empty.sign_in.clone(),
        },
        tenant: text("tenant"),
        client_id: text("client_id"),
        expires: text("client_secret_expires"),
        mailbox: text("mailbox"),
        cloud: text("cloud"),
        login_url: text("login_url"),
        graph_url: text("graph_url"),
        has_credential: empty.has_credential || secrets.iter().any(|it| editor.has(&table, it)),
        other_credential: other.map(|(_, name)| *name),
        has_managed_identity: empty.has_managed_identity || editor.has(&table, "managed_identity"),
        stored: since.map(|since| since.rfc3339().chars().take(DAY).collect()),
        ..empty
    }
}

/// Letters of a day in RFC 3339.
const DAY: usize = "2026-11-30".len();

/// Who may connect, if the file has at most one listener.
pub(super) fn reach(editor: &Editor) -> (String, String) {
    let listener = Table::Entry("listener", 0);
    match editor.count("listener") {
        0 => ("here".to_owned(), String::new()),
        1 => {
            let networks = editor.list(&listener, "networks").unwrap_or_default();
            let is_other = |network: &String| !HERE.contains(&network.as_str());
            let others: Vec<String> = networks.into_iter().filter(is_other).collect();
            let reach = if others.is_empty() {
                "here"
            } else {
                "networks"
            };
            (reach.to_owned(), others.join("\n"))
        }
        _ => (String::new(), String::new()),
    }
}

impl Fields {
    /// The name of the account in relay.toml.
    pub(super) fn account_name(&self) -> &str {
        match self.account.as_str() {
            "" => DEFAULT,
            name => name,
        }
    }

    pub(super) fn is_delegated(&self) -> bool {
        self.sign_in == "delegated"
    }

    /// The environment variable that sets a key.
    pub(super) fn variable(&self, key: &str) -> Option<&str> {
        variables::of(key, &self.variables)
    }

    /// The values that environment variables set, as they are in force.
    fn with_variables(mut self, account: Option<&Account>) -> Self {
        let Some(account) = account else { return self };
        let mailbox = match &account.mailbox {
            Mailbox::Fixed(mailbox) => mailbox.to_string(),
            Mailbox::From => "from".to_owned(),
        };
        let sign_in = match account.sign_in {
            SignIn::Delegated => "delegated",
            SignIn::Application => "application",
        };
        for (key, field, value) in [
            ("tenant", &mut self.tenant, account.tenant.as_str()),
            ("client_id", &mut self.client_id, account.client_id.as_str()),
            ("mailbox", &mut self.mailbox, mailbox.as_str()),
            ("sign_in", &mut self.sign_in, sign_in),
            ("cloud", &mut self.cloud, account.cloud.name()),
            ("login_url", &mut self.login_url, account.login_url.as_str()),
            ("graph_url", &mut self.graph_url, account.graph_url.as_str()),
        ] {
            if variables::of(key, &self.variables).is_some() {
                value.clone_into(field);
            }
        }
        self
    }

    /// The form again, with what only relay.toml and the environment know.
    pub(super) fn with_what_is_known(mut self, known: &Self) -> Self {
        for (key, field, value) in [
            ("tenant", &mut self.tenant, &known.tenant),
            ("client_id", &mut self.client_id, &known.client_id),
            ("mailbox", &mut self.mailbox, &known.mailbox),
            ("sign_in", &mut self.sign_in, &known.sign_in),
            ("cloud", &mut self.cloud, &known.cloud),
            ("login_url", &mut self.login_url, &known.login_url),
            ("graph_url", &mut self.graph_url, &known.graph_url),
            ("networks", &mut self.reach, &known.reach),
        ] {
            if known.variable(key).is_some() {
                field.clone_from(value);
            }
        }
        Self {
            has_credential: known.has_credential,
            other_credential: known.other_credential,
            has_managed_identity: known.has_managed_identity,
            stored: known.stored.clone(),
            variables: known.variables.clone(),
            ..self
        }
    }

    /// Takes the secret out of the form: a new one, or one that was entered before. If that one is
    /// no longer held, [`errors`](Self::errors) says so: the form must not be saved with the secret
    /// that relay.toml names.
    pub(super) fn take_secret(&mut self, held: &Held) -> Option<SecretString> {
        let entered = std::mem::take(&mut self.secret.0);
        if self.variable("secret").is_some() {
            return None;
        }
        match entered.trim() {
            "" => {
                let secret = held.find(&self.kept);
                self.is_secret_lost = secret.is_none() && !self.kept.is_empty();
                secret
            }
            entered => Some(SecretString::from(entered)),
        }
    }

    /// What is wrong with single fields, before anybody is asked.
    pub(super) fn errors(&self, secret: Option<&SecretString>) -> Vec<Mistake> {
        let mut errors = Vec::new();
        // A new secret is one of an app.
        let is_of_app = secret.is_some() || !self.has_managed_identity;
        if is_of_app && !self.has_tenant() {
            errors.push(Mistake::NoTenant);
        }
        if is_of_app && !self.has_client_id() {
            errors.push(Mistake::NoClientId);
        }
        errors.extend(self.mistake_in(secret));
        let expires = self.expires.trim();
        if !expires.is_empty() && crate::clock::Timestamp::end_of_day(expires).is_none() {
            errors.push(Mistake::NoDay);
        }
        if !self.has_mailbox() {
            errors.push(Mistake::NoMailbox);
        }
        if self.reach == "networks" && (self.others().is_empty() || !self.are_networks()) {
            errors.push(Mistake::NoNetworks);
        }
        errors
    }

    /// A secret that was entered before and is no longer held.
    pub(super) fn lost_secret(&self) -> Option<Mistake> {
        self.is_secret_lost.then_some(Mistake::SecretLost)
    }

    /// What is wrong with the secret that [`take_secret`](Self::take_secret) has returned.
    fn mistake_in(&self, secret: Option<&SecretString>) -> Option<Mistake> {
        // Mailboxes can sign in without one.
        let has_other =
            self.is_delegated() || self.has_credential || self.other_credential.is_some();
        match secret.map(|secret| secret.expose_secret()) {
            Some(secret) if is_id(secret) => Some(Mistake::SecretId),
            Some(secret) if SecretSource::damage(secret).is_some() => Some(Mistake::SecretDamaged),
            Some(_) => None,
            None if has_other => self.lost_secret(),
            None => Some(self.lost_secret().unwrap_or(Mistake::SecretMissing)),
        }
    }

    /// Whether the tenant may be one.
    pub(super) fn has_tenant(&self) -> bool {
        let tenant = self.tenant.trim();
        is_id(tenant) || tenant.contains('.') || (self.is_delegated() && is_shared(tenant))
    }

    /// Whether the client ID may be one.
    pub(super) fn has_client_id(&self) -> bool {
        is_id(&self.client_id)
    }

    /// Whether the mailbox may be one.
    pub(super) fn has_mailbox(&self) -> bool {
        let mailbox = self.mailbox.trim();
        mailbox == "from" || mailbox.parse::<Address>().is_ok()
    }

    /// Scheme and host of Entra.
    pub(super) fn entra(&self) -> &str {
        let clouds = [Cloud::UsGov, Cloud::UsDod, Cloud::China];
        let cloud = clouds.into_iter().find(|it| it.name() == self.cloud);
        match self.login_url.trim() {
            "" => cloud.unwrap_or(Cloud::Global).login_url(),
            url => url,
        }
    }

    pub(super) fn others(&self) -> Vec<&str> {
        let words = self.networks.split([' ', ',', '\n', '\r', '\t']);
        words.filter(|word| !word.is_empty()).collect()
    }

    fn are_networks(&self) -> bool {
        let is_one =
            |word: &&str| word.parse::<ipnet::IpNet>().is_ok() || word.parse::<IpAddr>().is_ok();
        self.others().iter().all(is_one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_managed_identity_needs_no_tenant_no_client_id_and_no_secret() {
        let fields = Fields {
            mailbox: "relay@contoso.com".to_owned(),
            has_credential: true,
            has_managed_identity: true,
            ..Fields::default()
        };
        let secret = SecretString::from("a~secret");

        assert_eq!(fields.errors(None), []);
        assert_eq!(
            fields.errors(Some(&secret)),
            [Mistake::NoTenant, Mistake::NoClientId]
        );
    }

    #[test]
    fn a_held_secret_that_is_gone_is_a_mistake_even_if_relay_toml_names_another() {
        let mut fields = Fields {
            kept: "gone".to_owned(),
            has_credential: true,
            ..Fields::default()
        };

        let secret = fields.take_secret(&Held::default());

        let mistake = fields.mistake_in(secret.as_ref());
        assert_eq!(mistake, Some(Mistake::SecretLost));
    }

    #[test]
    fn a_secret_of_the_environment_is_never_lost() {
        let variable = "GRAPH_RELAY__ACCOUNT__CLIENT_SECRET".to_owned();
        let mut fields = Fields {
            kept: "gone".to_owned(),
            has_credential: true,
            variables: vec![("secret", variable)],
            ..Fields::default()
        };

        let secret = fields.take_secret(&Held::default());

        assert_eq!(fields.mistake_in(secret.as_ref()), None);
    }
}
