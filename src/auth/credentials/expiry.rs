//! Until when a credential is good, as far as that can be known: a certificate
//! says it itself, a client secret's end stands in relay.toml
//! (`client_secret_expires`), because Entra tells it to nobody who holds the
//! secret only.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::Account;
use crate::config::Credential;
use crate::credentials::CertificateError;

/// Something that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What it is, in an administrator's words.
    pub what: &'static str,
    /// When it ends.
    pub at: Timestamp,
}

/// An end that is nearer than this is warned of: time enough to ask for a new
/// certificate, or to be back from a holiday.
pub const WARN_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Ending {
    /// Whether it is time to say so.
    pub fn is_near(&self, now: Timestamp) -> bool {
        self.at.since(now) < WARN_BEFORE
    }

    /// Whether it is over.
    pub fn is_past(&self, now: Timestamp) -> bool {
        self.at <= now
    }
}

/// The end of an account's credential; nothing where it has none or nobody says.
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
