//! A new device: a `[[user]]` with a password that the relay makes up, and what to type into
//! the device.
//!
//! The password is in the answer and nowhere else: the file gets its hash.

use secrecy::ExposeSecret;
use secrecy::SecretString;

use crate::admin::AdminState;
use crate::admin::Applied;
use crate::config::Authentication;
use crate::config::Config;
use crate::config::Listener;
use crate::config::Tls;
use crate::config::edit::Change;
use crate::config::edit::EditError;
use crate::config::edit::Line;
use crate::config::edit::Table;
use crate::credentials::PasswordHash;
use crate::credentials::generated;

/// A device that somebody wants to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDevice {
    /// The name of its `[[user]]`.
    pub name: String,
    /// Patterns of the addresses as which it may send.
    pub senders: Vec<String>,
}

/// A device that was added.
#[derive(Debug)]
pub struct AddedDevice {
    /// Its password, which nobody can see again.
    pub password: SecretString,
    /// What became of relay.toml.
    pub applied: Applied,
    /// The lines that differ.
    pub lines: Vec<Line>,
    /// What to type into the device.
    pub servers: Vec<Server>,
}

/// Where a device with a password can connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The name or address to type in.
    pub host: String,
    /// The port; none if the unit of its socket says which.
    pub port: Option<u16>,
    /// Whether and when TLS begins.
    pub encryption: Tls,
    /// Whether only programs on the relay's machine can reach it.
    pub is_local: bool,
}

/// Why a device was not added, removed or given a password.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// The relay was started without a file.
    #[error("this relay has no relay.toml that could be changed")]
    NoFile,
    /// A user of this name exists.
    #[error("there is a [[user]] named {0:?} already: choose another name")]
    Exists(String),
    /// There is no such user.
    #[error("there is no [[user]] named {0:?} in relay.toml any more")]
    Unknown(String),
    /// The file is not the one for which somebody has agreed.
    #[error("relay.toml has changed meanwhile: look at the change again")]
    Stale,
    /// A listener has to have users.
    #[error(
        "{0:?} is the last [[user]], and a [[listener]] has authentication = \"required\": without \
         that, its networks could send without a password. Add another device first, or change the \
         [[listener]] in relay.toml"
    )]
    Last(String),
    /// The file.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// No password could be made.
    #[error("the relay could not make a password: try again")]
    NoPassword,
}

impl AdminState {
    /// Adds a device. `by` is who does it, for the log.
    ///
    /// # Errors
    ///
    /// The file cannot be changed like this; it is as it was then.
    pub async fn add_device(&self, new: NewDevice, by: &str) -> Result<AddedDevice, NotChanged> {
        let (password, hash) = made_up().await?;
        let change = self.change_for(new, hash).await?;
        self.carried_out(change, password, by).await
    }

    /// Writes the change that gives a user this password.
    pub(super) async fn carried_out(
        &self,
        change: Change,
        password: SecretString,
        by: &str,
    ) -> Result<AddedDevice, NotChanged> {
        let (lines, servers) = (change.lines(), servers(&change.config));
        let applied = self.configuration.apply(change, by).await?;
        Ok(AddedDevice {
            password,
            applied,
            lines,
            servers,
        })
    }

    async fn change_for(&self, new: NewDevice, hash: PasswordHash) -> Result<Change, NotChanged> {
        let opened = self.configuration.editor().await;
        let mut editor = opened.ok_or(NotChanged::NoFile)??;
        if editor.find("user", "name", &new.name).is_some() {
            return Err(NotChanged::Exists(new.name));
        }
        let user = editor.add("user")?;
        editor.set(&user, "name", new.name)?;
        editor.set(&user, "password_hash", hash.to_string())?;
        editor.set(&user, "senders", new.senders)?;
        // The first user: a listener may let nobody log in before there is one, and there may
        // be no user before a listener lets one log in. So both come at once.
        let listeners = || (0..editor.count("listener")).map(|at| Table::Entry("listener", at));
        let is_set = |it: Table| editor.has(&it, "authentication");
        if let Some(first) = listeners().next()
            && !listeners().any(is_set)
        {
            editor.set(&first, "authentication", "optional".to_owned())?;
        }
        Ok(editor.finish()?)
    }
}

/// A new password, and its hash.
pub(super) async fn made_up() -> Result<(SecretString, PasswordHash), NotChanged> {
    let made = tokio::task::spawn_blocking(password).await;
    made.ok().flatten().ok_or(NotChanged::NoPassword)
}

/// The same. It takes some 30 ms on purpose.
fn password() -> Option<(SecretString, PasswordHash)> {
    let password = generated::password().ok()?;
    let hash = PasswordHash::of(password.expose_secret()).ok()?;
    Some((password, hash))
}

/// Where a device with a password can connect; what other machines can reach comes first.
fn servers(config: &Config) -> Vec<Server> {
    let takes_passwords = |listener: &&Listener| match listener.authentication {
        Authentication::Optional | Authentication::Required => true,
        Authentication::Off | Authentication::Any => false,
    };
    let listeners = config.listeners.iter().filter(takes_passwords);
    let mut servers: Vec<Server> = listeners
        .map(|listener| Server {
            host: match listener.address.socket() {
                Some(address) if listener.is_local() => address.ip().to_string(),
                Some(_) | None => config.hostname.clone(),
            },
            port: listener.address.usual_port(),
            encryption: listener.tls,
            is_local: listener.is_local(),
        })
        .collect();
    servers.sort_by_key(|server| server.is_local);
    servers
}
