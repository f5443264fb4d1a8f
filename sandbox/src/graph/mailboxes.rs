//! The mailboxes there are, and how many requests each is busy with.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;

use crate::entra::users::Users;
use crate::graph::errors::Refusal;
use crate::graph::rate::Meter;
use crate::settings::Settings;

/// The mailboxes, by UPN and by object id in lower case.
#[derive(Debug)]
pub(crate) struct Mailboxes {
    by_key: HashMap<String, Arc<Mailbox>>,
}

#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) upn: String,
    licence: Licence,
    requests: Meter,
    pub(crate) uploads: Meter,
    pub(crate) messages: Meter,
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

impl Mailboxes {
    pub(crate) fn new(settings: &Settings, users: &Users) -> Self {
        let mut by_key = HashMap::new();
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
            by_key.insert(upn.to_lowercase(), Arc::new(mailbox));
        }
        let made = users.all().iter().map(|user| (&user.object_id, &user.upn));
        for (id, upn) in settings.object_ids.iter().chain(made) {
            if let Some(mailbox) = by_key.get(&upn.to_lowercase()).cloned() {
                by_key.insert(id.to_lowercase(), mailbox);
            }
        }
        Self { by_key }
    }

    /// The mailbox of a path's key; an alias is no key.
    pub(crate) fn find(&self, key: &str) -> Result<Arc<Mailbox>, Refusal> {
        let Some(mailbox) = self.by_key.get(&key.to_lowercase()) else {
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

    pub(crate) fn peak(&self, key: &str) -> usize {
        self.by_key
            .get(&key.to_lowercase())
            .map_or(0, |mailbox| mailbox.peak.load(Ordering::Relaxed))
    }

    /// Forgets peaks and what was spent of rates.
    pub(crate) fn clear(&self) {
        for mailbox in self.by_key.values() {
            mailbox.peak.store(0, Ordering::Relaxed);
            mailbox.requests.clear();
            mailbox.uploads.clear();
            mailbox.messages.clear();
        }
    }
}

/// A place among the requests that a mailbox allows at once; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Slot {
    pub(crate) fn claim(mailbox: Arc<Mailbox>, settings: &Settings) -> Result<Self, Refusal> {
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
