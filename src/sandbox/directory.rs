//! The users there are and their mailboxes, and how many requests each mailbox is busy with.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use ring::digest;

use crate::sandbox::Settings;
use crate::sandbox::errors::Refusal;
use crate::sandbox::rate::Meter;

/// The mailboxes, by UPN and by object id in lower case, and who can sign in.
#[derive(Debug)]
pub(super) struct Directory {
    mailboxes: HashMap<String, Arc<Mailbox>>,
    users: Vec<User>,
}

/// Who can sign in, with a mailbox or without.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) upn: String,
    pub(super) object_id: String,
}

impl User {
    /// The user of that UPN. An object id that nobody set is made from the UPN.
    fn new(upn: &str, settings: &Settings) -> Self {
        let mut set = settings.object_ids.iter();
        let set = set.find(|(_, of)| of.eq_ignore_ascii_case(upn));
        let object_id = set.map_or_else(
            || {
                let hash = digest::digest(&digest::SHA256, upn.to_lowercase().as_bytes());
                let mut octets = hash.as_ref().iter().copied();
                let octets = std::array::from_fn(|_| octets.next().unwrap_or_default());
                let id = uuid::Builder::from_random_bytes(octets).into_uuid();
                id.to_string()
            },
            |(id, _)| id.clone(),
        );
        Self {
            upn: upn.to_owned(),
            object_id,
        }
    }

    /// The name shown: the local part.
    pub(super) fn name(&self) -> &str {
        let name = self.upn.split_once('@');
        name.map_or(self.upn.as_str(), |(name, _)| name)
    }
}

#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) upn: String,
    licence: Licence,
    requests: Meter,
    pub(super) uploads: Meter,
    pub(super) messages: Meter,
    /// Requests running.
    active: AtomicUsize,
    /// The most that ran at once, refused ones included.
    peak: AtomicUsize,
}

#[derive(Debug, PartialEq, Eq)]
enum Licence {
    Exchange,
    Missing,
}

impl Directory {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut mailboxes = HashMap::new();
        let licensed = settings
            .mailboxes
            .iter()
            .map(|upn| (upn, Licence::Exchange));
        let unlicensed = settings
            .unlicensed
            .iter()
            .chain(&settings.guests)
            .map(|upn| (upn, Licence::Missing));
        for (upn, licence) in licensed.chain(unlicensed) {
            let mailbox = Mailbox {
                upn: upn.clone(),
                licence,
                requests: Meter::new(settings.request_rate),
                uploads: Meter::new(settings.upload_rate),
                messages: Meter::new(settings.message_rate),
                active: AtomicUsize::new(0),
                peak: AtomicUsize::new(0),
            };
            mailboxes.insert(upn.to_lowercase(), Arc::new(mailbox));
        }
        let upns = settings.mailboxes.iter();
        let upns = upns.chain(&settings.unlicensed).chain(&settings.guests);
        let users: Vec<User> = upns.map(|upn| User::new(upn, settings)).collect();
        let made = users.iter().map(|user| (&user.object_id, &user.upn));
        for (id, upn) in settings.object_ids.iter().chain(made) {
            if let Some(mailbox) = mailboxes.get(&upn.to_lowercase()).cloned() {
                mailboxes.insert(id.to_lowercase(), mailbox);
            }
        }
        Self { mailboxes, users }
    }

    /// Who can sign in: those with mailboxes first.
    pub(super) fn users(&self) -> &[User] {
        &self.users
    }

    /// Who has that UPN.
    pub(super) fn user(&self, upn: &str) -> Option<&User> {
        self.users
            .iter()
            .find(|user| user.upn.eq_ignore_ascii_case(upn))
    }

    /// The mailbox of a path's key; an alias is no key.
    pub(super) fn find(&self, key: &str) -> Result<Arc<Mailbox>, Refusal> {
        let Some(mailbox) = self.mailboxes.get(&key.to_lowercase()) else {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "ErrorInvalidUser",
                format!("The requested user '{key}' is invalid."),
            ));
        };
        match mailbox.licence {
            Licence::Exchange => Ok(Arc::clone(mailbox)),
            Licence::Missing => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "MailboxNotEnabledForRESTAPI",
                "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
            )),
        }
    }

    pub(super) fn peak(&self, key: &str) -> usize {
        self.mailboxes
            .get(&key.to_lowercase())
            .map_or(0, |mailbox| mailbox.peak.load(Ordering::Relaxed))
    }

    /// Forgets peaks and what was spent of rates.
    pub(super) fn clear(&self) {
        for mailbox in self.mailboxes.values() {
            mailbox.peak.store(0, Ordering::Relaxed);
            mailbox.requests.clear();
            mailbox.uploads.clear();
            mailbox.messages.clear();
        }
    }
}

/// A place among the requests that a mailbox allows at once; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) mailbox: Arc<Mailbox>,
}

impl Slot {
    pub(super) fn claim(mailbox: Arc<Mailbox>, settings: &Settings) -> Result<Self, Refusal> {
        let active = mailbox.active.fetch_add(1, Ordering::Relaxed) + 1;
        mailbox.peak.fetch_max(active, Ordering::Relaxed);
        let slot = Self { mailbox };
        if active > settings.mailbox_concurrency {
            return Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "ApplicationThrottled",
                "Application is over its MailboxConcurrency limit.",
            )
            .after(settings.retry_after.as_secs()));
        }
        slot.mailbox.requests.spend(1)?;
        Ok(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.mailbox.active.fetch_sub(1, Ordering::Relaxed);
    }
}
