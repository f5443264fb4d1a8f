//! How many recipients a client or an authenticated user may have.

use std::net::IpAddr;

use super::Rules;
use super::clients::Clients;
use super::clients::Sender;
use crate::mail::Client;
use crate::mail::Destination;
use crate::mail::Envelope;
use crate::session::Identity;
use crate::telemetry::maillog;

/// Who sends, and what is counted of it.
pub(super) struct Allowance<'a> {
    pub(super) client: IpAddr,
    /// Who authenticated, if somebody did.
    pub(super) identity: Option<&'a Identity>,
    pub(super) rules: &'a Rules,
    pub(super) clients: &'a Clients,
}

impl Allowance<'_> {
    fn sender(&self) -> Sender {
        match self.identity {
            Some(identity) => Sender::User(identity.name.clone()),
            None => Sender::Client(Client::at(self.client)),
        }
    }

    /// Counts a message that is about to come, unless that is one too many; the limit
    /// then.
    pub(super) fn take_message(&self) -> Result<(), u32> {
        match self.rules.limits.messages_per_minute_per_client {
            Some(limit) if !self.clients.may_send(Client::at(self.client), limit) => Err(limit),
            Some(_) | None => Ok(()),
        }
    }

    /// How many recipients a transaction may have that begins now, if there is a limit.
    pub(super) fn recipients_left(&self) -> Option<usize> {
        let limit = self.rules.limits.recipients_per_hour_per_client;
        limit.map(|limit| self.clients.recipients_left(self.sender(), limit))
    }

    /// Counts the recipients of a message before it is received; false if other sessions
    /// have used up the limit.
    pub(super) fn take_recipients(&self, envelope: &Envelope) -> bool {
        let limit = self.rules.limits.recipients_per_hour_per_client;
        limit.is_none_or(|limit| {
            let clients = self.clients;
            clients.take_recipients(self.sender(), count(envelope), limit)
        })
    }

    /// The message was not accepted, so its recipients do not count.
    pub(super) fn give_recipients_back(&self, envelope: &Envelope) {
        if self.rules.limits.recipients_per_hour_per_client.is_some() {
            let clients = self.clients;
            clients.give_recipients_back(self.sender(), count(envelope));
        }
    }

    /// Counts the recipients of an accepted message against the daily quota of its
    /// mailbox, and warns once about a sender that has used half of it.
    pub(super) fn use_mailbox(&self, destination: &Destination, envelope: &Envelope) {
        let mut accounts = self.rules.accounts.iter();
        let account = accounts.find(|account| account.name == destination.account);
        let Some(per_day) = account.and_then(|account| account.pace.recipients_per_day) else {
            return;
        };
        let (sender, count) = (self.sender(), count(envelope));
        let used = self
            .clients
            .use_mailbox(sender.clone(), destination, count, per_day);
        if let Some(used) = used {
            maillog::quota_half_used(&sender, destination, used, per_day);
        }
    }
}

fn count(envelope: &Envelope) -> u32 {
    u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX)
}
