//! Whether a received message is small enough to be sent at all, so that the client is
//! told at once, and not only a reader of the mailbox's reports.
//!
//! The rule is that of delivery (`delivery/attempt/fit.rs`), which decides finally: the
//! outgoing header section may be longer, and Graph may accept less.

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

/// Whether a message can be made to fit; `file` contains all of it.
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
