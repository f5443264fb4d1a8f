//! The client's side of TLS, a certificate that is made for one test, and the one that the tests' relays
//! trust.

use std::fs;
use std::fs::Permissions;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::LazyLock;

use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::StreamOwned;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use tempfile::NamedTempFile;

use super::Home;
use super::write_private;

/// The host name in the certificate.
const NAME: &str = "relay.test.example";

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// The only certificate that the tests' relays trust, in a file. Reading the hundreds that a machine
/// trusts would cost each start some milliseconds.
pub(super) static TRUSTED: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join("trusted.pem");
    // Other runs of the tests may read it at the same time, and relays of other users.
    let file = NamedTempFile::new_in(folder).unwrap();
    fs::write(file.path(), Identity::new().certificate_pem).unwrap();
    fs::set_permissions(file.path(), Permissions::from_mode(0o644)).unwrap();
    file.persist(&path).unwrap();
    path
});

/// A self-signed certificate with its key.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        Self {
            certificate: made.cert.der().clone(),
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        }
    }

    /// Writes both into the folder of a relay; returns the section that names them.
    pub(crate) fn section(&self, home: &Home) -> String {
        let (certificate, key) = (home.path("certificate.pem"), home.path("key.pem"));
        write_private(&certificate, &self.certificate_pem);
        write_private(&key, &self.key_pem);
        format!(
            "[tls]\ncertificate_file = \"{}\"\nprivate_key_file = \"{}\"\n",
            certificate.display(),
            key.display()
        )
    }

    /// A complete handshake by a client that trusts only this certificate.
    pub(crate) fn handshake(&self, tcp: TcpStream) -> std::io::Result<Stream> {
        let mut trusted = RootCertStore::empty();
        trusted.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let name = ServerName::try_from(NAME).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }
}
