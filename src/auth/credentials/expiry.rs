//! When a credential expires, as far as the relay can know. A certificate contains its
//! date. The date of a client secret is in relay.toml (`client_secret_expires`), because
//! Entra shows it only to administrators.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::Account;
use crate::config::Credential;
use crate::credentials::CertificateError;

/// A credential or certificate with an expiry date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Its kind, in an administrator's words.
    pub what: &'static str,
    /// The expiry date.
    pub at: Timestamp,
}

/// The relay warns this long before the date: enough time to ask for a new certificate,
/// or to come back from a holiday.
pub const WARN_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Ending {
    /// Whether the relay should warn now.
    pub fn is_near(&self, now: Timestamp) -> bool {
        self.at.since(now) < WARN_BEFORE
    }

    /// Whether it has expired.
    pub fn is_past(&self, now: Timestamp) -> bool {
        self.at <= now
    }
}

/// Returns when an account's credential expires; `None` if it has no date or the date
/// is unknown.
///
/// # Errors
///
/// The certificate cannot be read.
pub fn ending(account: &Account) -> Result<Option<Ending>, CertificateError> {
    let what = account.credential.name();
    Ok(match &account.credential {
        Credential::Secret { expires, .. } => expires.map(|at| Ending { what, at }),
        Credential::Certificate(files) => Some(Ending {
            what,
            at: files.ends()?,
        }),
        Credential::ManagedIdentity(_) | Credential::FederatedToken(_) | Credential::Nothing => {
            None
        }
    })
}
