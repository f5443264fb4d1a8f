//! The fields of the form: from relay.toml, and into it.

use std::net::IpAddr;
use std::path::Path;

use secrecy::SecretString;
use serde::Deserialize;

use super::texts::SetupTexts;
use crate::config::edit::Change;
use crate::config::edit::EditError;
use crate::config::edit::Editor;
use crate::config::edit::Table;
use crate::config::edit::keep_secret;
use crate::config::edit::kept_secret;
use crate::mail::Address;

/// The name of an account that has none.
const DEFAULT: &str = "default";
/// Where the relay listens by default.
const PORT: &str = "2525";
const HERE: [&str; 2] = ["127.0.0.0/8", "::1/128"];

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
    /// The file of a secret that was entered before.
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
    Networks,
    /// The file has changed.
    File,
}

impl Field {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::ClientId => "client_id",
            Self::Secret => "secret",
            Self::Expires => "expires",
            Self::Mailbox => "mailbox",
            Self::Networks => "networks",
            Self::File => "file",
        }
    }
}

/// The names of all accounts.
pub(super) fn accounts(editor: &Editor) -> Vec<String> {
    let name = |at| {
        let name = editor.text(&Table::Entry("account", at), "name");
        name.unwrap_or_else(|| DEFAULT.to_owned())
    };
    (0..editor.count("account")).map(name).collect()
}

/// What relay.toml has; for an account that it does not have, an empty form.
pub(super) fn read(editor: &Editor, account: Option<&str>) -> Fields {
    let names = accounts(editor);
    let at = match account {
        Some(account) => names.iter().position(|name| name == account),
        None => (!names.is_empty()).then_some(0),
    };
    let (reach, networks) = reach(editor);
    let empty = Fields {
        version: editor.version(),
        sign_in: "application".to_owned(),
        reach: reach.clone(),
        networks: networks.clone(),
        ..Fields::default()
    };
    let Some(at) = at else { return empty };
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
    Fields {
        account: names.get(at).cloned().unwrap_or_default(),
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
        has_credential: secrets.iter().any(|key| editor.has(&table, key)),
        other_credential: other.map(|(_, name)| *name),
        ..empty
    }
}

/// Who may connect, if the file has at most one listener.
fn reach(editor: &Editor) -> (String, String) {
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

    /// The form again, with what only relay.toml knows.
    pub(super) fn with_credential_of(self, file: &Self) -> Self {
        Self {
            has_credential: file.has_credential,
            other_credential: file.other_credential,
            ..self
        }
    }

    /// The form again after an error in it: the secret was not kept.
    pub(super) fn without_secret(self) -> Self {
        Self {
            secret: Hidden::default(),
            ..self
        }
    }

    /// What is wrong with single fields, before anybody is asked.
    pub(super) fn errors(&self, texts: &SetupTexts) -> Vec<(Field, &'static str)> {
        let is_id = |text: &str| uuid::Uuid::try_parse(text.trim()).is_ok();
        let mut errors = Vec::new();
        let tenant = self.tenant.trim();
        if !is_id(tenant) && !tenant.contains('.') {
            errors.push((Field::Tenant, texts.no_tenant));
        }
        if !is_id(&self.client_id) {
            errors.push((Field::ClientId, texts.no_client_id));
        }
        if is_id(&self.secret.0) {
            errors.push((Field::Secret, texts.secret_id));
        }
        let expires = self.expires.trim();
        if !expires.is_empty() && crate::clock::Timestamp::end_of_day(expires).is_none() {
            errors.push((Field::Expires, texts.no_day));
        }
        let mailbox = self.mailbox.trim();
        if mailbox != "from" && mailbox.parse::<Address>().is_err() {
            errors.push((Field::Mailbox, texts.no_mailbox));
        }
        if self.reach == "networks" && (self.others().is_empty() || !self.are_networks()) {
            errors.push((Field::Networks, texts.no_networks));
        }
        errors
    }

    fn others(&self) -> Vec<&str> {
        let words = self.networks.split([' ', ',', '\n', '\r', '\t']);
        words.filter(|word| !word.is_empty()).collect()
    }

    fn are_networks(&self) -> bool {
        let is_one =
            |word: &&str| word.parse::<ipnet::IpNet>().is_ok() || word.parse::<IpAddr>().is_ok();
        self.others().iter().all(is_one)
    }

    /// The change of the file, checked; and the form in case it is shown again. A new secret is
    /// in a file of its own then, which nothing names yet.
    pub(super) fn prepared(
        mut self,
        editor: Editor,
        data_dir: &Path,
    ) -> (Self, Result<Change, EditError>) {
        let secret = std::mem::take(&mut self.secret.0);
        if !secret.trim().is_empty() {
            let secret = SecretString::from(secret.trim());
            match keep_secret(data_dir, self.account_name(), &secret) {
                Ok(path) => {
                    let name = path.file_name().unwrap_or_default();
                    self.kept = name.to_string_lossy().into_owned();
                }
                Err(error) => {
                    let path = data_dir.to_owned();
                    return (self, Err(EditError::Write { path, error }));
                }
            }
        }
        let change = self.change(editor, data_dir);
        (self, change)
    }

    fn change(&self, mut editor: Editor, data_dir: &Path) -> Result<Change, EditError> {
        let known = accounts(&editor);
        let at = known.iter().position(|name| *name == self.account);
        let account = match at {
            Some(at) => Table::Entry("account", at),
            None => editor.add("account")?,
        };
        for (key, value) in [
            ("tenant", self.tenant.trim()),
            ("client_id", self.client_id.trim()),
            ("mailbox", self.mailbox.trim()),
        ] {
            if editor.text(&account, key).as_deref() != Some(value) {
                editor.set(&account, key, value)?;
            }
        }
        for (key, value) in [
            ("cloud", self.cloud.trim()),
            ("login_url", self.login_url.trim()),
            ("graph_url", self.graph_url.trim()),
        ] {
            match (value, editor.text(&account, key)) {
                ("", Some(_)) => editor.remove(&account, key)?,
                ("", None) => {}
                (value, Some(old)) if old == value => {}
                (value, _) => editor.set(&account, key, value)?,
            }
        }
        match (self.is_delegated(), editor.text(&account, "sign_in")) {
            (true, Some(old)) if old == "delegated" => {}
            (true, _) => editor.set(&account, "sign_in", "delegated")?,
            (false, Some(old)) if old == "delegated" => {
                editor.set(&account, "sign_in", "application")?;
            }
            (false, _) => {}
        }
        if let Some(path) = kept_secret(data_dir, &self.kept) {
            for key in [
                "client_secret_env",
                "client_secret_credential",
                "certificate_file",
                "private_key_file",
                "managed_identity",
                "federated_token_file",
            ] {
                editor.remove(&account, key)?;
            }
            let path = path.to_string_lossy().into_owned();
            editor.set(&account, "client_secret_file", path)?;
        }
        match self.expires.trim() {
            "" => editor.remove(&account, "client_secret_expires")?,
            day if editor.text(&account, "client_secret_expires").as_deref() == Some(day) => {}
            day => editor.set(&account, "client_secret_expires", day)?,
        }
        self.listener(&mut editor)?;
        editor.finish()
    }

    /// Changes the listener only if the answer is another than that of the file.
    fn listener(&self, editor: &mut Editor) -> Result<(), EditError> {
        let (was, networks) = reach(editor);
        let same = self.others() == networks.split('\n').collect::<Vec<_>>();
        if self.reach.is_empty() || was.is_empty() || (was == self.reach && (was == "here" || same))
        {
            return Ok(());
        }
        let listener = match editor.count("listener") {
            0 => editor.add("listener")?,
            _ => Table::Entry("listener", 0),
        };
        let address = editor.text(&listener, "address").unwrap_or_default();
        // systemd has opened it: what it can be reached at is in the unit.
        let is_passed = address.starts_with("systemd:");
        let port = address
            .rsplit_once(':')
            .map_or(PORT, |(_, port)| port)
            .to_owned();
        if self.reach == "here" {
            editor.remove(&listener, "networks")?;
            if is_passed {
                return Ok(());
            }
            return editor.set(&listener, "address", format!("127.0.0.1:{port}"));
        }
        let is_here =
            address.is_empty() || address.starts_with("127.") || address.starts_with("[::1]");
        if is_here {
            editor.set(&listener, "address", format!("0.0.0.0:{port}"))?;
        }
        let here = HERE.into_iter();
        let networks: Vec<String> = here.chain(self.others()).map(str::to_owned).collect();
        editor.set(&listener, "networks", networks)
    }
}
