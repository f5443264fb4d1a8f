//! What is wrong with a form before anybody is asked: at which field, and in which words.

use super::form::Field;
use super::texts::SetupTexts;

/// Something that was filled in wrong, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    NoTenant,
    NoClientId,
    /// It is the ID of a secret, not its value.
    SecretId,
    SecretDamaged,
    SecretMissing,
    /// It was entered before, but is no longer held.
    SecretLost,
    NoDay,
    NoMailbox,
    NoNetworks,
    /// The form is for another version of the file.
    Changed,
}

impl Mistake {
    /// Where it is.
    pub(super) fn field(self) -> Field {
        match self {
            Self::NoTenant => Field::Tenant,
            Self::NoClientId => Field::ClientId,
            Self::SecretId | Self::SecretDamaged | Self::SecretMissing | Self::SecretLost => {
                Field::Secret
            }
            Self::NoDay => Field::Expires,
            Self::NoMailbox => Field::Mailbox,
            Self::NoNetworks => Field::Networks,
            Self::Changed => Field::File,
        }
    }

    /// What the visitor reads, or the audit list says in English.
    pub(super) fn words(self, texts: &SetupTexts) -> &'static str {
        match self {
            Self::NoTenant => texts.no_tenant,
            Self::NoClientId => texts.no_client_id,
            Self::SecretId => texts.secret_id,
            Self::SecretDamaged => texts.secret_damaged,
            Self::SecretMissing => texts.secret_missing,
            Self::SecretLost => texts.secret_lost,
            Self::NoDay => texts.no_day,
            Self::NoMailbox => texts.no_mailbox,
            Self::NoNetworks => texts.no_networks,
            Self::Changed => texts.changed_meanwhile,
        }
    }
}
