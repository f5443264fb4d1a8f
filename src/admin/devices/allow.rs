//! What has to change in relay.toml so that a device is no longer refused.
//!
//! Decided from the rules in force and what the device did, never from the words of a reply:
//! if the rules allow by now what was refused, there is nothing to change. Only the smallest
//! change is made: this address, this sender, this recipient.

use std::net::IpAddr;

use crate::admin::AdminState;
use crate::admin::Applied;
use crate::admin::DeviceView;
use crate::config::Authentication;
use crate::config::Config;
use crate::config::Listener;
use crate::config::Tls;
use crate::config::edit::Change;
use crate::config::edit::EditError;
use crate::config::edit::Editor;
use crate::config::edit::Table;
use crate::mail::Address;
use crate::telemetry::devices::LastRefusal;

/// A change that allows a device what it was refused.
#[derive(Debug)]
pub struct Permission {
    /// What it allows.
    pub kind: PermissionKind,
    /// The address that is added.
    pub added: String,
    /// The change.
    pub change: Change,
}

/// What a permission allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionKind {
    /// To connect: `networks` of the listener.
    Connect,
    /// To send without a password: `anonymous_networks` of the listener.
    SendWithoutPassword,
    /// To send with a password and without TLS: the same list.
    PasswordWithoutTls,
    /// To send as this address: `senders` of the user.
    SendAs,
    /// To send to this address: `recipients_allowed` of the listener.
    SendToByListener,
    /// The same of the user.
    SendToByUser,
}

/// A key of a section, and the text that its list lacks.
struct Missing {
    kind: PermissionKind,
    table: Table,
    key: &'static str,
    /// What the list has where the file does not say.
    default: Vec<String>,
    text: String,
}

/// The reply to a client that has to authenticate (RFC 4954 6).
const AUTHENTICATION_REQUIRED: &str = "530 ";
/// The reply to a client that sends a password without TLS (RFC 4954 6).
const PASSWORD_NEEDS_TLS: &str = "538 ";

impl AdminState {
    /// Returns the change that allows a device what it was refused last, if one does.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or not be changed like this.
    pub async fn permission(&self, device: &DeviceView) -> Result<Option<Permission>, EditError> {
        let Some(refusal) = &device.last_refusal else {
            return Ok(None);
        };
        let Some(editor) = self.configuration.editor().await else {
            return Ok(None);
        };
        let mut editor = editor?;
        let config = self.configuration.in_force();
        let Some(missing) = missing(&editor, &config, device, refusal) else {
            return Ok(None);
        };
        let list = editor.list(&missing.table, missing.key);
        let mut list = list.unwrap_or(missing.default);
        if list.contains(&missing.text) {
            // It is in the file, and only not in force.
            return Ok(None);
        }
        list.push(missing.text.clone());
        editor.set(&missing.table, missing.key, list)?;
        Ok(Some(Permission {
            kind: missing.kind,
            added: missing.text,
            change: editor.finish()?,
        }))
    }

    /// Writes it. `by` is who does it, for the log.
    ///
    /// # Errors
    ///
    /// See [`Configuration::apply`](crate::admin::Configuration::apply).
    pub async fn allow(&self, permission: Permission, by: &str) -> Result<Applied, EditError> {
        self.configuration.apply(permission.change, by).await
    }
}

fn missing(
    editor: &Editor,
    config: &Config,
    device: &DeviceView,
    refusal: &LastRefusal,
) -> Option<Missing> {
    let client = device.client?;
    let is_it = |listener: &&Listener| listener.address.to_string() == refusal.listener;
    let listener = config.listeners.iter().find(is_it)?;
    let of_listener = editor.find("listener", "address", &refusal.listener);
    if !listener.admits(client) {
        let networks = listener.networks.iter();
        return Some(Missing {
            kind: PermissionKind::Connect,
            table: of_listener?,
            key: "networks",
            default: networks.map(ToString::to_string).collect(),
            text: client.to_string(),
        });
    }
    if device.user.is_none()
        && let Some(kind) = without_password(listener, client, refusal)
    {
        return Some(Missing {
            kind,
            table: of_listener?,
            key: "anonymous_networks",
            default: Vec::new(),
            text: client.to_string(),
        });
    }
    of_addresses(editor, config, listener, device, refusal)
}

/// What it may be allowed if it was refused because it has no password, or none over TLS. One
/// that has a wrong password has to get the right one, and one that could begin TLS has to.
fn without_password(
    listener: &Listener,
    client: IpAddr,
    refusal: &LastRefusal,
) -> Option<PermissionKind> {
    let may_be_named = listener.authentication == Authentication::Required
        && !listener.admits_anonymous(client)
        && listener.tls != Tls::StarttlsRequired;
    match refusal.reply.get(..4)? {
        _ if !may_be_named => None,
        AUTHENTICATION_REQUIRED => Some(PermissionKind::SendWithoutPassword),
        PASSWORD_NEEDS_TLS => Some(PermissionKind::PasswordWithoutTls),
        _ => None,
    }
}

/// A sender or a recipient that is not allowed.
fn of_addresses(
    editor: &Editor,
    config: &Config,
    listener: &Listener,
    device: &DeviceView,
    refusal: &LastRefusal,
) -> Option<Missing> {
    let address = |text: &Option<String>| text.as_deref()?.parse::<Address>().ok();
    let user = device.user.as_deref();
    let user = user.and_then(|name| config.users.iter().find(|user| user.is_called(name)));
    let list = |kind, table: Option<Table>, key, address: Address| {
        Some(Missing {
            kind,
            table: table?,
            key,
            default: Vec::new(),
            text: address.to_string(),
        })
    };
    let of_user = user.and_then(|user| editor.find("user", "name", &user.name));
    if let Some(recipient) = address(&refusal.recipient) {
        if !listener.recipients.allows(&recipient) {
            let table = editor.find("listener", "address", &refusal.listener);
            let kind = PermissionKind::SendToByListener;
            return list(kind, table, "recipients_allowed", recipient);
        }
        if user.is_some_and(|user| !user.recipients.allows(&recipient)) {
            let kind = PermissionKind::SendToByUser;
            return list(kind, of_user, "recipients_allowed", recipient);
        }
    }
    let user = user?;
    let may_send_as = |address: &Address| user.senders.iter().any(|it| it.matches(address));
    let named = [address(&refusal.about), address(&refusal.sender)];
    let foreign = named.into_iter().flatten().find(|it| !may_send_as(it))?;
    list(PermissionKind::SendAs, of_user, "senders", foreign)
}
