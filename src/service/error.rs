//! Why the relay could not start, in words that say what to do.

use std::path::PathBuf;

use super::sockets::ListenError;
use crate::auth::CredentialError;
use crate::auth::StoreError;
use crate::credentials::CertificateError;
use crate::http::HttpError;
use crate::spool::SpoolError;

/// Why the relay could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The credential of an account.
    #[error("[[account]] {account}: {error}")]
    Credential {
        /// The account.
        account: String,
        /// Why.
        #[source]
        error: CredentialError,
    },
    /// The sign-ins of delegated accounts.
    #[error(transparent)]
    SignIns(#[from] StoreError),
    /// The certificate.
    #[error("[tls]: {0}")]
    Tls(#[from] CertificateError),
    /// The spool.
    #[error("data_dir: {0}")]
    Spool(#[from] SpoolError),
    /// The HTTP client.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A listener.
    #[error("[[listener]]: {0}")]
    Listen(#[from] ListenError),
    /// The address of metrics and health checks.
    #[error("[admin] metrics: {0}")]
    Metrics(#[source] ListenError),
    /// The address of the admin page.
    #[error("[admin] address: {0}")]
    Page(#[source] ListenError),
    /// The admin socket.
    #[error("the admin socket {}: {error}", path.display())]
    Admin {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
}
