//! Checksums of accepted mail, so that a damaged disk cannot change a message unnoticed
//! (promises 3 and 5).
//!
//! - The digest is the SHA-256 of the content. It is computed while the message
//!   comes in and verified by each attempt before the first byte leaves.
//! - The seal is the SHA-256 of everything that decides where the content goes: id,
//!   digest, sender, author, account, recipients, the addresses that the client named
//!   instead of them, and requests for reports if there are any. It is verified when the
//!   entry is claimed.
//!
//! Entries of formats before 4 have neither and are accepted without them.

use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use ring::digest::Context;
use ring::digest::SHA256;
use ring::digest::SHA256_OUTPUT_LEN;
use rusqlite::types::FromSql;
use rusqlite::types::FromSqlResult;
use rusqlite::types::ToSql;
use rusqlite::types::ToSqlOutput;
use rusqlite::types::ValueRef;
use tokio::io::AsyncReadExt;

use super::Content;
use crate::mail::Address;
use crate::mail::Envelope;
use crate::mail::EnvelopeId;
use crate::mail::OriginalRecipient;
use crate::mail::RecipientRequest;
use crate::mail::SpoolId;
use crate::platform::errors;

/// A SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; SHA256_OUTPUT_LEN]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::finished(&ring::digest::digest(&SHA256, bytes))
    }

    fn finished(digest: &ring::digest::Digest) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes
            .iter_mut()
            .zip(digest.as_ref())
            .for_each(|(to, from)| *to = *from);
        Self(bytes)
    }
}

impl FromSql for Digest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FromSql::column_result(value).map(Self)
    }
}

impl ToSql for Digest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

/// The digest of content that is still coming in.
pub(super) struct Digester(Context);

impl Digester {
    pub(super) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(super) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::finished(&self.0.clone().finish())
    }
}

impl std::fmt::Debug for Digester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Digester").finish_non_exhaustive()
    }
}

/// The seal of an entry; see the module's doc.
pub(super) fn seal(
    id: SpoolId,
    digest: Digest,
    envelope: &Envelope,
    author: Option<&Address>,
    bound: Option<&str>,
) -> Digest {
    let mut context = Context::new(&SHA256);
    let mut field = |text: &str| {
        // Each field goes with its length, so that no two lists of fields are the same
        // bytes.
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    };
    field(&id.to_string());
    field(
        envelope
            .reverse_path
            .address()
            .map_or("", |path| path.as_str()),
    );
    field(if envelope.utf8 { "utf8" } else { "" });
    field(author.map_or("", Address::as_str));
    field(bound.unwrap_or(""));
    for recipient in &envelope.recipients {
        field(recipient.as_str());
    }
    for asked in &envelope.asked {
        field(&asked.original);
        field(asked.recipient.as_str());
    }
    if !envelope.reports.is_empty() {
        seal_reports(envelope, &mut field);
    }
    context.update(&digest.0);
    Digest::finished(&context.finish())
}

/// Requests for reports. Nothing is added if there are none, so that entries of format 4
/// keep their seals.
fn seal_reports(envelope: &Envelope, field: &mut impl FnMut(&str)) {
    let reports = &envelope.reports;
    // This is not an address, so no other list of recipients ends in the same fields.
    field(" reports");
    field(
        &reports
            .returned
            .map_or_else(String::new, |it| it.to_string()),
    );
    let id = reports.envelope_id.as_ref();
    field(id.map_or("", EnvelopeId::as_str));
    if reports.sender_is_barred {
        field(" barred");
    }
    for recipient in &envelope.recipients {
        if let Some(RecipientRequest { notify, original }) = reports.of(recipient) {
            field(recipient.as_str());
            field(&notify.map_or_else(String::new, |notify| notify.to_string()));
            field(original.as_ref().map_or("", OriginalRecipient::as_str));
        }
    }
}

/// The entry's row or its recipients differ from what was accepted.
#[derive(Debug, thiserror::Error)]
#[error("its sender or recipients do not match their checksum: the database is damaged")]
pub(super) struct BrokenSeal;

/// Why content cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It could not be read now, and may be readable later.
    #[error("{}: {error}", path.display())]
    Unread {
        /// The content's file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file is gone, or the disk cannot read it.
    #[error("its content cannot be read from {}: {error}", path.display())]
    Unreadable {
        /// The content's file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The bytes differ from those that were accepted.
    #[error("its content does not match its checksum: the disk has changed it")]
    Changed,
}

impl Content {
    /// Reads the content and compares it with what was accepted.
    ///
    /// # Errors
    ///
    /// It must not be sent.
    pub async fn verify(&self, digest: Option<Digest>) -> Result<(), ContentError> {
        match (self, digest) {
            (Self::Inline(_), None) => Ok(()),
            (Self::Inline(bytes), Some(digest)) => matches_digest(Digest::of(bytes), digest),
            (Self::File { path, size }, digest) => {
                let found = of_file(path).await.map_err(|error| failed(path, error))?;
                if found.1 != *size {
                    return Err(ContentError::Changed);
                }
                digest.map_or(Ok(()), |digest| matches_digest(found.0, digest))
            }
        }
    }
}

impl Content {
    /// The same where blocking does no harm.
    pub(super) fn verify_now(&self, digest: Option<Digest>) -> Result<(), ContentError> {
        match (self, digest) {
            (Self::Inline(_), None) => Ok(()),
            (Self::Inline(bytes), Some(digest)) => matches_digest(Digest::of(bytes), digest),
            (Self::File { path, size }, digest) => {
                let found = of_file_now(path).map_err(|error| failed(path, error))?;
                if found.1 != *size {
                    return Err(ContentError::Changed);
                }
                digest.map_or(Ok(()), |digest| matches_digest(found.0, digest))
            }
        }
    }
}

fn matches_digest(found: Digest, expected: Digest) -> Result<(), ContentError> {
    if found == expected {
        Ok(())
    } else {
        Err(ContentError::Changed)
    }
}

/// Distinguishes a temporary shortage from a fault of the file.
fn failed(path: &Path, error: io::Error) -> ContentError {
    let path = path.to_owned();
    let of_the_moment = matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
    ) || errors::is_too_many_files(&error);
    if of_the_moment {
        ContentError::Unread { path, error }
    } else {
        ContentError::Unreadable { path, error }
    }
}

/// Bytes read at once: enough for fast reading, and few enough for many attempts at the
/// same time.
const PIECE: usize = 256 * 1024;

async fn of_file(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut digester = Digester::new();
    let mut piece = Vec::with_capacity(PIECE);
    let mut size = 0;
    loop {
        piece.clear();
        if file.read_buf(&mut piece).await? == 0 {
            return Ok((digester.digest(), size));
        }
        digester.update(&piece);
        size += piece.len() as u64;
    }
}

fn of_file_now(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = std::fs::File::open(path)?;
    let mut digester = Digester::new();
    let mut piece = vec![0; PIECE];
    let mut size = 0;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((digester.digest(), size));
        }
        digester.update(piece.get(..read).unwrap_or(&piece));
        size += read as u64;
    }
}
