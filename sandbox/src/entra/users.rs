//! The users of the tenant: who can sign in.

use ring::digest;

use crate::settings::Settings;

/// Who can sign in: those with mailboxes first.
#[derive(Debug)]
pub(crate) struct Users(Vec<User>);

/// Who can sign in, with a mailbox or without.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) upn: String,
    pub(crate) object_id: String,
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
    pub(crate) fn name(&self) -> &str {
        let name = self.upn.split_once('@');
        name.map_or(self.upn.as_str(), |(name, _)| name)
    }
}

impl Users {
    pub(crate) fn new(settings: &Settings) -> Self {
        let upns = settings.mailboxes.iter();
        let upns = upns.chain(&settings.unlicensed).chain(&settings.guests);
        Self(upns.map(|upn| User::new(upn, settings)).collect())
    }

    pub(crate) fn all(&self) -> &[User] {
        &self.0
    }

    /// Who has that UPN.
    pub(crate) fn find(&self, upn: &str) -> Option<&User> {
        let mut users = self.0.iter();
        users.find(|user| user.upn.eq_ignore_ascii_case(upn))
    }
}
