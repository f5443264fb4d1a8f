//! The certificate that clients are shown, which may change while the relay runs.
//!
//! Each handshake checks the files (two `stat`s); if one has changed, both are read
//! again. If the files cannot be used, the last good pair stays in use and the problem is
//! logged once. Sessions with TLS are not affected.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use rustls::ServerConfig;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;

use crate::credentials::CertificateError;
use crate::credentials::CertificateFiles;
use crate::credentials::Stamp;
use crate::telemetry::maillog;

/// The certificate of all listeners.
#[derive(Debug)]
struct Certificate {
    files: CertificateFiles,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The last usable pair.
    pair: Arc<CertifiedKey>,
    /// The state of the files when they were last checked, usable or not.
    stamp: Option<Stamp>,
}

/// The settings of TLS: versions 1.2 and 1.3.
///
/// # Errors
///
/// The files cannot be used.
pub fn server(files: CertificateFiles) -> Result<Arc<ServerConfig>, CertificateError> {
    let state = State {
        stamp: files.stamp().ok(),
        pair: Arc::new(files.load()?),
    };
    let certificate = Certificate {
        files,
        state: Mutex::new(state),
    };
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificate));
    // Old devices list their suites in any order; ours begins with the strongest.
    config.ignore_client_order = true;
    Ok(Arc::new(config))
}

impl Certificate {
    fn current(&self) -> Arc<CertifiedKey> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp: io::Result<Stamp> = self.files.stamp();
        let stamp = stamp.ok();
        if stamp == state.stamp {
            return Arc::clone(&state.pair);
        }
        state.stamp = stamp;
        match self.files.load() {
            Ok(pair) => {
                state.pair = Arc::new(pair);
                maillog::certificate_renewed(&self.files.certificate_file);
            }
            Err(error) => maillog::certificate_unusable(&error),
        }
        Arc::clone(&state.pair)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}
