//! A certificate and its private key, read from their files: for listeners, and for apps that
//! use a certificate instead of a secret.
//!
//! Nothing is cached here: the owner of the certificate compares
//! [`CertificateFiles::stamp`] and loads the files again if they have changed.

use std::fs;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode;

use super::OpenError;
use crate::clock::Timestamp;
use crate::platform::files;

/// The files of a certificate and its private key, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The listener's certificate first, then those between it and the root.
    pub certificate_file: PathBuf,
    /// The key of the first certificate.
    pub private_key_file: PathBuf,
}

/// The state of the files when they were last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp([(u64, i64, i64); 2]);

/// Why there is no usable certificate; the text contains the remedy.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{}", error.words(path))]
    File {
        /// The path.
        path: PathBuf,
        /// Why.
        error: OpenError,
    },
    /// Everybody may read the key.
    #[error("{} can be read by everybody (mode {mode:04o}): chmod 640 {}", path.display(), path.display())]
    Open {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not PEM, or has no item of this kind.
    #[error(
        "{}: this file contains no {what} in PEM format ({error}). Are certificate and key swapped? \
         To convert a PFX file: openssl pkcs12 -in app.pfx -nodes -out app.pem; to decrypt a key: \
         openssl pkey -in app.key -out plain.key", path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should contain.
        what: &'static str,
        /// Why.
        #[source]
        error: pem::Error,
    },
    /// The first certificate cannot be read.
    #[error("cannot read the certificate in {}: {error}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: x509_cert::der::Error,
    },
    /// The two do not belong together, or the key is of an unknown kind.
    #[error("certificate_file and private_key_file cannot be used together: {0}")]
    Unusable(#[source] rustls::Error),
}

impl CertificateFiles {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// Says which file is not usable, and why.
    pub fn load(&self) -> Result<CertifiedKey, CertificateError> {
        pair(self.chain()?, self.key()?)
    }

    /// Does the same for somebody who is going to correct it: returns everything that is wrong,
    /// each with the file.
    pub fn test(&self) -> (Option<CertifiedKey>, Vec<(&Path, CertificateError)>) {
        let of = |path| move |error| (path, error);
        let (certificate, key) = (
            of(self.certificate_file.as_path()),
            of(self.private_key_file.as_path()),
        );
        match (self.chain(), self.key()) {
            (Ok(chain), Ok(private)) => match pair(chain, private) {
                Ok(pair) => (Some(pair), Vec::new()),
                Err(error) => (None, vec![certificate(error)]),
            },
            (chain, private) => {
                let wrong = chain.err().map(certificate).into_iter();
                let mut wrong: Vec<_> = wrong.chain(private.err().map(key)).collect();
                // Both may name one file.
                wrong.dedup_by_key(|(_, error)| error.to_string());
                (None, wrong)
            }
        }
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        let pem = read(&self.certificate_file, |_, _| Ok(()))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        chain
            .and_then(|chain| match chain.is_empty() {
                true => Err(pem::Error::NoItemsFound),
                false => Ok(chain),
            })
            .map_err(not_pem(&self.certificate_file, "certificate"))
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, CertificateError> {
        let pem = read(&self.private_key_file, refuse_if_open)?;
        let key = PrivateKeyDer::from_pem_slice(&pem);
        key.map_err(not_pem(&self.private_key_file, "private key"))
    }

    /// Returns when the first certificate expires (RFC 5280 4.1.2.5).
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn ends(&self) -> Result<Timestamp, CertificateError> {
        let pem = read(&self.certificate_file, |_, _| Ok(()))?;
        let der = CertificateDer::from_pem_slice(&pem);
        let der = der.map_err(not_pem(&self.certificate_file, "certificate"))?;
        let certificate = x509_cert::Certificate::from_der(&der).map_err(|error| {
            let path = self.certificate_file.clone();
            CertificateError::Malformed { path, error }
        })?;
        let ends = certificate.tbs_certificate().validity().not_after;
        Ok(Timestamp::from_millis(0) + ends.to_unix_duration())
    }

    /// Returns a value that changes when one of the files changes.
    ///
    /// # Errors
    ///
    /// One of the files is not there.
    pub fn stamp(&self) -> io::Result<Stamp> {
        let of = |path: &Path| {
            let metadata = fs::metadata(path)?;
            // The change time of the inode: corrected permissions count as a change too.
            io::Result::Ok(files::stamp(&metadata))
        };
        Ok(Stamp([
            of(&self.certificate_file)?,
            of(&self.private_key_file)?,
        ]))
    }
}

fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, CertificateError> {
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    CertifiedKey::from_der(chain, key, &provider).map_err(CertificateError::Unusable)
}

fn not_pem(path: &Path, what: &'static str) -> impl FnOnce(pem::Error) -> CertificateError {
    let path = path.to_owned();
    move |error| CertificateError::Format { path, what, error }
}

fn read(
    path: &Path,
    test: impl FnOnce(&Path, &Metadata) -> Result<(), CertificateError>,
) -> Result<Vec<u8>, CertificateError> {
    super::read(path, test, |error| CertificateError::File {
        path: path.to_owned(),
        error,
    })
}

/// A group may read it: certificates are commonly shared that way.
fn refuse_if_open(path: &Path, metadata: &Metadata) -> Result<(), CertificateError> {
    let mode = files::mode(metadata);
    if mode & 0o007 == 0 {
        return Ok(());
    }
    Err(CertificateError::Open {
        path: path.to_owned(),
        mode,
    })
}

impl CertificateError {
    /// Whether the problem can go away by itself.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::File { error, .. } if error.is_unreadable())
    }
}
