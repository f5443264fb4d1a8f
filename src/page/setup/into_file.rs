//! The form into relay.toml: only what differs, so that the rest stays as somebody has written it.

use std::path::Path;

use super::form::Fields;
use super::form::HERE;
use super::form::accounts;
use super::form::reach;
use crate::config::edit::Change;
use crate::config::edit::EditError;
use crate::config::edit::Editor;
use crate::config::edit::Table;

/// Where the relay listens by default.
const PORT: &str = "2525";

impl Fields {
    /// The change of the file, checked. A new secret is in this file of its own.
    pub(super) fn change(
        &self,
        mut editor: Editor,
        secret: Option<&Path>,
    ) -> Result<Change, EditError> {
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
            // A managed identity has neither tenant nor client ID.
            let was = editor.text(&account, key).unwrap_or_default();
            if was != value && self.variable(key).is_none() {
                editor.set(&account, key, value)?;
            }
        }
        for (key, value) in [
            ("cloud", self.cloud.trim()),
            ("login_url", self.login_url.trim()),
            ("graph_url", self.graph_url.trim()),
        ] {
            match (value, editor.text(&account, key)) {
                _ if self.variable(key).is_some() => {}
                ("", Some(_)) => editor.remove(&account, key)?,
                ("", None) => {}
                (value, Some(old)) if old == value => {}
                (value, _) => editor.set(&account, key, value)?,
            }
        }
        match (self.is_delegated(), editor.text(&account, "sign_in")) {
            _ if self.variable("sign_in").is_some() => {}
            (true, Some(old)) if old == "delegated" => {}
            (true, _) => editor.set(&account, "sign_in", "delegated")?,
            (false, Some(old)) if old == "delegated" => {
                editor.set(&account, "sign_in", "application")?;
            }
            (false, _) => {}
        }
        if let Some(path) = secret {
            name_secret(&mut editor, &account, path)?;
        }
        match self.expires.trim() {
            _ if self.variable("expires").is_some() => {}
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

/// From now on the account has the secret in this file, and no other credential.
fn name_secret(editor: &mut Editor, account: &Table, file: &Path) -> Result<(), EditError> {
    for key in [
        "client_secret_env",
        "client_secret_credential",
        "certificate_file",
        "private_key_file",
        "managed_identity",
        "federated_token_file",
    ] {
        editor.remove(account, key)?;
    }
    let file = file.to_string_lossy().into_owned();
    editor.set(account, "client_secret_file", file)
}
