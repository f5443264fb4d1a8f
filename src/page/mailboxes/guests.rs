//! Links for users who have no other access to the page: each lets its holder connect one
//! mailbox.
//!
//! Promises: a link works once, and for [`LIFE`]; whoever uses it becomes a guest for
//! [`LONGEST`], who can do nothing but connect that mailbox (`is_for_guests`). A new link
//! for a mailbox replaces the previous one. Of secrets only digests are kept.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::admin::Secret;
use crate::admin::secret;
use crate::mail::Address;

/// Where a link leads.
pub(in crate::page) const PATH: &str = "/connect";
/// Where the browser comes back from Microsoft.
pub(in crate::page) const DONE: &str = "/connect/done";

/// For how long a link is valid.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// For how long its holder may try.
pub(in crate::page) const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Links and guests that are kept; another one replaces the oldest.
const MOST: usize = 1000;

/// Whether a path needs neither a log-in nor a guest: what arrives there names a secret.
pub(in crate::page) fn is_open(path: &str) -> bool {
    path == PATH || path == DONE
}

/// Whether a guest may go there.
pub(in crate::page) fn is_for_guests(path: &str) -> bool {
    path == BEGIN || path.starts_with(AT)
}

/// Begins a sign-in.
pub(in crate::page) const BEGIN: &str = "/connect/begin";
/// The beginning of the address of a sign-in.
pub(in crate::page) const AT: &str = "/connect/at/";

/// Somebody who may connect one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::page) struct Guest {
    pub(in crate::page) account: String,
    pub(in crate::page) mailbox: Address,
    /// What every change must name.
    pub(in crate::page) csrf: String,
}

/// All links and guests.
#[derive(Debug, Default)]
pub(in crate::page) struct Guests(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    links: HashMap<Secret, Link>,
    guests: HashMap<Secret, (Guest, Instant)>,
}

#[derive(Clone, Debug)]
struct Link {
    account: String,
    mailbox: Address,
    until: Instant,
}

impl Guests {
    /// Makes a link for a mailbox; returns its secret.
    pub(super) fn invite(
        &self,
        account: String,
        mailbox: Address,
        now: Instant,
    ) -> Result<String, ring::error::Unspecified> {
        let text = secret()?;
        let link = Link {
            account,
            mailbox,
            until: now + LIFE,
        };
        let links = &mut self.lock().links;
        let is_same = |other: &Link| {
            other.account == link.account && other.mailbox.key() == link.mailbox.key()
        };
        links.retain(|_, other| other.until > now && !is_same(other));
        if links.len() >= MOST {
            let oldest = links.iter().min_by_key(|(_, link)| link.until);
            if let Some(oldest) = oldest.map(|(secret, _)| *secret) {
                links.remove(&oldest);
            }
        }
        links.insert(Secret::of(&text), link);
        Ok(text)
    }

    /// The mailbox of a link, if it is valid.
    pub(super) fn mailbox(&self, link: &str, now: Instant) -> Option<Address> {
        let kept = self.lock();
        let link = kept.links.get(&Secret::of(link))?;
        (link.until > now).then(|| link.mailbox.clone())
    }

    /// Uses a link up; returns the guest and the secret of its cookie.
    pub(super) fn redeem(&self, link: &str, now: Instant) -> Option<(String, Guest)> {
        let (cookie, csrf) = (secret().ok()?, secret().ok()?);
        let mut kept = self.lock();
        let link = kept.links.remove(&Secret::of(link))?;
        if link.until <= now {
            return None;
        }
        let guest = Guest {
            account: link.account,
            mailbox: link.mailbox,
            csrf,
        };
        let guests = &mut kept.guests;
        guests.retain(|_, (_, until)| *until > now);
        if guests.len() >= MOST {
            let oldest = guests.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(oldest) = oldest.map(|(secret, _)| *secret) {
                guests.remove(&oldest);
            }
        }
        guests.insert(Secret::of(&cookie), (guest.clone(), now + LONGEST));
        Some((cookie, guest))
    }

    /// The guest of a cookie.
    pub(in crate::page) fn find(&self, cookie: &str, now: Instant) -> Option<Guest> {
        let kept = self.lock();
        let (guest, until) = kept.guests.get(&Secret::of(cookie))?;
        (*until > now).then(|| guest.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn invited(guests: &Guests, mailbox: &str, now: Instant) -> String {
        let mailbox = mailbox.parse().unwrap();
        guests.invite("default".to_owned(), mailbox, now).unwrap()
    }

    #[test]
    fn a_link_works_once_and_for_a_day() {
        let (guests, now) = (Guests::default(), Instant::now());
        let link = invited(&guests, "a@x.example", now);
        let other = invited(&guests, "b@x.example", now);

        assert!(guests.mailbox(&link, now).is_some(), "looking is free");
        let (cookie, guest) = guests.redeem(&link, now + LIFE - SECOND).unwrap();
        assert_eq!(guest.mailbox.as_str(), "a@x.example");
        let at = now + LIFE;
        assert!(guests.redeem(&link, at).is_none());
        assert!(guests.mailbox(&other, at).is_none());
        assert!(guests.redeem(&other, at).is_none());
        assert!(guests.find(&cookie, at).is_some());
        assert!(guests.find(&cookie, at + LONGEST).is_none());
        assert!(guests.find("", at).is_none());
    }

    #[test]
    fn a_new_link_replaces_the_previous_one_of_its_mailbox() {
        let (guests, now) = (Guests::default(), Instant::now());
        let first = invited(&guests, "a@x.example", now);
        let other = invited(&guests, "b@x.example", now);

        let second = invited(&guests, "A@x.example", now);

        assert!(guests.redeem(&first, now).is_none());
        assert!(guests.redeem(&second, now).is_some());
        assert!(guests.redeem(&other, now).is_some());
    }

    #[test]
    fn only_so_many_links_and_guests_are_kept() {
        let (guests, now) = (Guests::default(), Instant::now());
        for n in 0..3 * MOST {
            let link = invited(&guests, &format!("u{n}@x.example"), now);
            if n % 2 == 0 {
                guests.redeem(&link, now).unwrap();
            }
        }

        let kept = guests.lock();
        assert!(kept.links.len() <= MOST && kept.guests.len() <= MOST);
    }
}
