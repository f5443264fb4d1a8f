//! What a session goes by after the configuration has changed, and how many
//! recipients it may still name.

use super::Access;
use super::Authentication;
use super::Identity;
use super::Session;
use super::Settings;
use super::State;
use super::Tls;

impl Session {
    /// Goes on by changed rules; false if what the session has come to is not
    /// allowed by them. `identity` is who authenticated, as the rules know it now.
    pub fn renew(
        &mut self,
        settings: Settings,
        access: Access,
        identity: Option<Identity>,
    ) -> bool {
        let tls = match (self.access.tls, access.tls) {
            (Tls::Active, _) => Tls::Active,
            (_, Tls::Active) => return false,
            (Tls::Off | Tls::Offered, Tls::Required) => return false,
            (_, other) => other,
        };
        let required = Authentication::Required;
        let is_new = access.authentication == required && self.access.authentication != required;
        if is_new && identity.is_none() {
            return false;
        }
        // Recipients that were accepted by other rules must not reach the rest of
        // them.
        let is_named = matches!(self.state, State::Transaction(_) | State::Receiving { .. });
        let of = |identity: Option<&Identity>| identity.map(|it| it.recipients.clone());
        let is_other = self.access.recipients != access.recipients
            || of(self.identity.as_ref()) != of(identity.as_ref());
        if is_named && is_other {
            return false;
        }
        if let State::Transaction(transaction) = &self.state
            && let Some(identity) = &identity
            && let Some(sender) = transaction.envelope.reverse_path.address()
            && !identity.may_send_as(sender)
        {
            return false;
        }
        self.settings = settings;
        self.access = Access { tls, ..access };
        self.identity = identity;
        true
    }

    /// How many recipients the transaction may have because of what its client has
    /// sent before; `None` is any number.
    pub fn allow_recipients(&mut self, most: Option<usize>) {
        self.allowance = most;
    }
}
