//! Applies a changed configuration to a session, and limits the recipients that it may
//! still name.

use super::Access;
use super::Authentication;
use super::Identity;
use super::Sending;
use super::Session;
use super::Settings;
use super::State;
use super::Tls;

impl Session {
    /// Continues under changed rules; false if they do not allow the present state of the
    /// session. `identity` is the authenticated user according to the new rules.
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
        // Recipients accepted under other rules must not be mixed with the rest.
        let is_named = matches!(self.state, State::Transaction(_) | State::Receiving { .. });
        let of = |identity: Option<&Identity>| identity.map(|it| it.recipients.clone());
        let is_other = self.access.recipients != access.recipients
            || of(self.identity.as_ref()) != of(identity.as_ref());
        if is_named && (is_other || access.sending == Sending::Refused) {
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

    /// The recipients that the transaction may have because of what its client has sent
    /// before; `None` means any number.
    pub fn allow_recipients(&mut self, most: Option<usize>) {
        self.allowance = most;
    }
}
