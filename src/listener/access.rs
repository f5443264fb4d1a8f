//! What a client may do on a listener, also after the configuration has changed.

use std::net::IpAddr;
use std::sync::Arc;

use super::Rules;
use super::connection::Connection;
use crate::config::Authentication;
use crate::config::Listener;
use crate::config::Tls;
use crate::session;
use crate::session::Access;
use crate::session::ClearPasswords;
use crate::session::Identity;
use crate::session::Reply;

/// What this client may do on this listener.
pub(super) fn access(listener: &Listener, client: IpAddr) -> Access {
    Access {
        tls: match listener.tls {
            Tls::Off => session::Tls::Off,
            Tls::Starttls => session::Tls::Offered,
            Tls::StarttlsRequired => session::Tls::Required,
            Tls::Implicit => session::Tls::Active,
        },
        authentication: match listener.authentication {
            Authentication::Off => session::Authentication::Off,
            Authentication::Any => session::Authentication::Any,
            Authentication::Required if !listener.admits_anonymous(client) => {
                session::Authentication::Required
            }
            Authentication::Optional | Authentication::Required => {
                session::Authentication::Optional
            }
        },
        clear_passwords: if listener.admits_clear_passwords(client) {
            ClearPasswords::Taken
        } else {
            ClearPasswords::Refused
        },
        recipients: Arc::clone(&listener.recipients),
    }
}

impl Connection<'_> {
    /// After a reload, at the next command: takes over the new rules, or says why
    /// the session has to end. Whoever is no longer admitted, or has lost the user,
    /// its password or what the listener asks for now, must not go on.
    pub(super) fn renew(&mut self) -> Option<Reply> {
        let generation = self.shared.generation();
        if generation == self.generation {
            return None;
        }
        let rules = self.shared.rules();
        let listener = rules.listeners.get(self.number).cloned()?;
        if !listener.admits(self.client) {
            return Some(Reply::no_longer_admitted());
        }
        let identity = match self.session.identity() {
            None => None,
            Some(identity) => match known_still(&identity.name, &self.rules, &rules) {
                Some(identity) => Some(identity),
                None => return Some(Reply::user_changed()),
            },
        };
        let access = access(&listener, self.client);
        if !self.session.renew(rules.session.clone(), access, identity) {
            return Some(Reply::rules_changed());
        }
        self.generation = generation;
        self.listener = listener;
        self.rules = rules;
        None
    }
}

/// Whoever authenticated, as the new rules know it, if the password is the same.
fn known_still(name: &str, before: &Rules, now: &Rules) -> Option<Identity> {
    let of = |rules: &Rules| {
        let mut users = rules.users.iter();
        users.find(|user| user.is_called(name)).cloned()
    };
    let (before, now) = (of(before)?, of(now)?);
    (before.password_hash == now.password_hash).then_some(Identity {
        name: now.name,
        senders: now.senders,
        recipients: now.recipients,
    })
}
