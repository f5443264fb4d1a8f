//! A relay's folder, and the only way to write a configuration for it: a test names the
//! settings that matter to it, and the rest is the same for all tests.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use tempfile::TempDir;
use toml::Table;
use toml::Value;

use super::MAILBOX;
use super::Relay;
use super::keys::Pair;
use super::tls::Identity;
use super::write_private;

/// A folder with a configuration and a spool, which several relays can use in turn.
pub(crate) struct Home {
    pub(crate) folder: Arc<TempDir>,
    pub(crate) config: PathBuf,
}

impl Home {
    /// With one listener, and one account at the stand-in: [`MAILBOX`], with its secret.
    pub(crate) fn new(graph: &Sandbox) -> Self {
        Self::with(graph).build()
    }

    /// The same, with more settings to come.
    pub(crate) fn with(graph: &Sandbox) -> Setup {
        Self::at(&graph.url())
    }

    /// The same, where this address is Entra and Graph.
    pub(crate) fn at(url: &str) -> Setup {
        Setup::new(url)
    }

    /// Without a configuration.
    pub(crate) fn empty() -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let config = folder.path().join("relay.toml");
        Self { folder, config }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces text in the configuration, as an administrator would.
    pub(crate) fn change(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        fs::write(&self.config, text.replace(from, to)).unwrap();
    }

    /// Adds sections to the end of the configuration.
    pub(crate) fn append(&self, sections: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        fs::write(&self.config, format!("{text}{sections}\n")).unwrap();
    }
}

/// How an account authenticates to Entra.
pub(crate) enum Credential<'a> {
    /// With the stand-in's secret.
    Secret,
    /// With another secret.
    SecretOf(&'a str),
    Certificate(&'a Pair),
    FederatedToken(&'a str),
    /// With the sign-in of a person.
    Delegated,
    /// With the machine's identity: the account names no tenant and no app.
    ManagedIdentity,
    /// With other keys of `[[account]]`.
    Keys(&'a str),
}

/// A configuration that is being put together from TOML texts. The last value of a key
/// counts, but lists of sections, such as `[[user]]`, grow.
pub(crate) struct Setup {
    home: Home,
    /// The stand-in of the accounts that follow.
    url: String,
    table: Table,
}

impl Setup {
    fn new(url: &str) -> Self {
        let home = Home::empty();
        let table = Table::new();
        let url = url.to_owned();
        Self { home, url, table }
    }

    /// A file of the future folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path(name)
    }

    /// Adds keys before the first section, or whole sections.
    pub(crate) fn sections(mut self, text: &str) -> Self {
        let added: Table = text.parse().unwrap_or_else(|error| panic!("{error}{text}"));
        merge(&mut self.table, added);
        self
    }

    /// Adds keys of `[limits]`.
    pub(crate) fn limits(self, keys: &str) -> Self {
        self.sections(&format!("[limits]\n{keys}"))
    }

    /// Adds keys of `[delivery]`; retries no longer follow at once unless `retry` says
    /// so.
    pub(crate) fn delivery(self, keys: &str) -> Self {
        self.sections(&format!("[delivery]\n{keys}"))
    }

    /// Adds a `[[listener]]` on a free port; without any there is one.
    pub(crate) fn listener(self, keys: &str) -> Self {
        self.sections(&format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{keys}"))
    }

    /// Adds `[tls]` with this certificate.
    pub(crate) fn tls(self, identity: &Identity) -> Self {
        let section = identity.section(&self.home);
        self.sections(&section)
    }

    /// The accounts added from here on belong to another stand-in.
    pub(crate) fn of(mut self, graph: &Sandbox) -> Self {
        self.url = graph.url();
        self
    }

    /// Adds an `[[account]]`, named like its mailbox; without any there is one.
    pub(crate) fn account(self, mailbox: &str, keys: &str) -> Self {
        self.account_by(&Credential::Secret, mailbox, keys)
    }

    pub(crate) fn account_by(
        mut self,
        credential: &Credential<'_>,
        mailbox: &str,
        keys: &str,
    ) -> Self {
        let credential_keys = self.credential(credential);
        let mut account: Table = credential_keys.parse().unwrap();
        let Settings {
            tenant, client_id, ..
        } = Settings::default();
        let url = self.url.as_str();
        let mut keys_of_all = vec![
            ("name", mailbox),
            ("mailbox", mailbox),
            ("login_url", url),
            ("graph_url", url),
        ];
        if !matches!(credential, Credential::ManagedIdentity) {
            keys_of_all.extend([("tenant", tenant.as_str()), ("client_id", &client_id)]);
        }
        for (key, value) in keys_of_all {
            account.insert(key.to_owned(), value.into());
        }
        // In the form that follows `[[account]]`: with sections of the account, or of all
        // accounts.
        let keys = format!("[[account]]\n{keys}");
        let mut added: Table = keys.parse().unwrap_or_else(|error| panic!("{error}{keys}"));
        if let Some(Value::Array(accounts)) = added.get_mut("account")
            && let Some(Value::Table(keys)) = accounts.first_mut()
        {
            merge(&mut account, std::mem::take(keys));
            *keys = account;
        }
        merge(&mut self.table, added);
        self
    }

    fn credential(&self, credential: &Credential<'_>) -> String {
        let file = |name: &str, text: &str| {
            let path = self.path(name);
            write_private(&path, text);
            path.display().to_string()
        };
        match credential {
            Credential::Secret => {
                let secret = Settings::default().client_secret;
                self.credential(&Credential::SecretOf(&secret))
            }
            Credential::SecretOf(secret) => {
                format!("client_secret_file = \"{}\"", file("client-secret", secret))
            }
            Credential::Certificate(pair) => format!(
                "certificate_file = \"{}\"\nprivate_key_file = \"{}\"",
                file("app.crt", pair.certificate),
                file("app.key", pair.key),
            ),
            Credential::FederatedToken(token) => {
                format!("federated_token_file = \"{}\"", file("token", token))
            }
            Credential::Delegated => "sign_in = \"delegated\"".to_owned(),
            Credential::ManagedIdentity => "managed_identity = true".to_owned(),
            Credential::Keys(keys) => (*keys).to_owned(),
        }
    }

    pub(crate) fn build(self) -> Home {
        let this = self.with_the_usual();
        let text = toml::to_string(&this.table).unwrap();
        fs::write(&this.home.config, text).unwrap();
        this.home
    }

    pub(crate) fn start(self) -> Relay {
        Relay::start(&self.build())
    }

    /// Defaults for everything that was not set.
    fn with_the_usual(mut self) -> Self {
        if !self.table.contains_key("listener") {
            self = self.listener("");
        }
        if !self.table.contains_key("account") {
            self = self.account(MAILBOX, "");
        }
        let data = self.home.path("data");
        let usual = "hostname = \"relay.test.example\"\n[limits]\nfree_space = \"8 MB\"\n\
             [delivery]\nretry = [\"50ms\"]\n[log]\nformat = \"json\"\nlevel = \"debug\"\n";
        let mut usual: Table = usual.parse().unwrap();
        usual.insert("data_dir".to_owned(), data.display().to_string().into());
        if self.table.contains_key("delivery") {
            usual.remove("delivery");
        }
        merge(&mut usual, self.table);
        self.table = usual;
        self
    }
}

/// Tables are merged, arrays grow, and other values are replaced.
fn merge(table: &mut Table, added: Table) {
    for (key, value) in added {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(more)) => merge(inner, more),
            (Some(Value::Array(inner)), Value::Array(more)) if more.iter().all(Value::is_table) => {
                inner.extend(more);
            }
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}
