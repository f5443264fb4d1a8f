//! Whether a message that has come in can ever be sent, as far as its size says: the
//! client hears it at once, and not whoever reads the mailbox's reports.
//!
//! It is decided as delivery will decide (`delivery/attempt/fit.rs`), which has a last word:
//! the header section that goes out may be longer, and Graph may take less.

use std::io;
use std::path::PathBuf;

use crate::config::Oversize;
use crate::config::Submission;
use crate::mime::Header;
use crate::mime::LARGEST_ATTACHMENT;
use crate::mime::Piece;
use crate::mime::Reader;
use crate::mime::Split;
use crate::mime::structure;

/// Whether a message can be made to fit; `file` has all of it.
///
/// # Errors
///
/// Those of reading the file.
pub(super) async fn can_fit(
    header: &Header<'_>,
    file: PathBuf,
    size: u64,
    submission: &Submission,
) -> io::Result<bool> {
    let limit = submission.largest_mime();
    let oversize = submission.oversize;
    let attachable = size <= LARGEST_ATTACHMENT;
    if size <= limit || (oversize == Oversize::Attach && attachable) {
        return Ok(true);
    }
    let offset = header.body as u64;
    let body = Piece::File {
        path: file,
        offset,
        size: size.saturating_sub(offset),
    };
    let structure = structure(header, Reader::new([body])).await?;
    if Split::of(&structure, offset, limit).is_ok() {
        return Ok(true);
    }
    Ok(match oversize {
        Oversize::Fail => false,
        Oversize::Attach => attachable,
        Oversize::AttachUnsigned => attachable && !structure.is_signed_or_encrypted(),
    })
}
