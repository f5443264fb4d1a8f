//! How many recipients a client, or whoever authenticated, may have.

use super::clients::Sender;
use super::connection::Connection;
use crate::mail::Client;
use crate::mail::Envelope;
use crate::mail::Lane;
use crate::telemetry::maillog;

impl Connection<'_> {
    fn sender(&self) -> Sender {
        match self.session.identity() {
            Some(identity) => Sender::User(identity.name.clone()),
            None => Sender::Client(Client::at(self.client)),
        }
    }

    /// A transaction has begun: how many recipients it may have.
    pub(super) fn allow_recipients(&mut self) {
        let limit = self.rules.limits.recipients_per_hour_per_client;
        let left = limit.map(|limit| self.shared.clients.recipients_left(self.sender(), limit));
        self.session.allow_recipients(left);
    }

    /// Counts the recipients of a message that is about to come; false if other
    /// sessions have used up what there was.
    pub(super) fn take_recipients(&self, envelope: &Envelope) -> bool {
        let limit = self.rules.limits.recipients_per_hour_per_client;
        limit.is_none_or(|limit| {
            let clients = &self.shared.clients;
            clients.take_recipients(self.sender(), count(envelope), limit)
        })
    }

    /// The message was not accepted.
    pub(super) fn give_recipients_back(&self, envelope: &Envelope) {
        if self.rules.limits.recipients_per_hour_per_client.is_some() {
            let clients = &self.shared.clients;
            clients.give_recipients_back(self.sender(), count(envelope));
        }
    }

    /// Counts the recipients of an accepted message against what its mailbox may
    /// have in a day, and warns once of a sender that has used half of that.
    pub(super) fn use_mailbox(&self, lane: &Lane, envelope: &Envelope) {
        let mut accounts = self.rules.accounts.iter();
        let account = accounts.find(|account| account.name == lane.account);
        let Some(per_day) = account.and_then(|account| account.pace.recipients_per_day) else {
            return;
        };
        let (sender, count) = (self.sender(), count(envelope));
        let clients = &self.shared.clients;
        if let Some(used) = clients.use_mailbox(sender.clone(), lane, count, per_day) {
            maillog::quota_half_used(&sender, lane, used, per_day);
        }
    }
}

fn count(envelope: &Envelope) -> u32 {
    u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX)
}
