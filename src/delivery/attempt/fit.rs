//! Makes a message fit: one that is too large for a request is sent without its large
//! attachments, which follow one by one. A message that cannot be split in this way
//! becomes the only attachment of a short message.
//!
//! A message that `oversize` forbids is refused when it comes in (`listener/receive/fit.rs`). An
//! accepted one does not fail because of its size, unless Graph finds it too large and
//! `oversize` is `"fail"`.

use bytes::Bytes;

use super::compose::ComposeError;
use super::draft::Parts;
use super::upload::Large;
use crate::config::Oversize;
use crate::config::QuotedPrintable;
use crate::config::Submission;
use crate::delivery::outcome::error::AttemptError;
use crate::graph::Form;
use crate::mail::Address;
use crate::mail::SpoolId;
use crate::mime::Detached;
use crate::mime::Encoding;
use crate::mime::Header;
use crate::mime::LARGEST_ATTACHMENT;
use crate::mime::Outgoing;
use crate::mime::Piece;
use crate::mime::Reader;
use crate::mime::Split;
use crate::mime::Structure;
use crate::mime::Unsplittable;
use crate::mime::quoted_printable_as_base64;
use crate::mime::structure;
use crate::telemetry::maillog;

/// A message that fits into one request, and the attachments that follow.
#[derive(Debug)]
pub(in crate::delivery) struct Fitted {
    pub(in crate::delivery) message: Outgoing,
    pub(in crate::delivery) large: Vec<Large>,
    /// The unchanged message.
    whole: Outgoing,
    /// The whole message is the only attachment.
    is_covered: bool,
}

impl Fitted {
    /// What is submitted, with the recipients that it does not name.
    pub(in crate::delivery) fn parts<'a>(&'a self, blind: &'a [Address]) -> Parts<'a> {
        Parts {
            form: Form::Mime(&self.message),
            blind,
            large: &self.large,
        }
    }

    /// The same in half the size, for a Graph that accepts less than expected; `None` if
    /// it cannot get that small.
    pub(in crate::delivery) async fn halved(
        self,
        id: SpoolId,
        submission: &Submission,
    ) -> Result<Option<Self>, AttemptError> {
        let size = self.message.size();
        maillog::request_too_large(id, size);
        if self.is_covered {
            return Ok(None);
        }
        match fit(id, self.whole, size / 2, submission).await {
            Ok(halved) => Ok(Some(halved)),
            // Graph's error is more accurate than one about half the size.
            Err(AttemptError::Oversize(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The whole message as an attachment, if Graph accepts one of its attachments
    /// neither way; `None` if Graph refused exactly that, or if it is not wanted.
    pub(in crate::delivery) async fn covered(
        self,
        id: SpoolId,
        submission: &Submission,
        why: &AttemptError,
    ) -> Result<Option<Self>, AttemptError> {
        if self.is_covered || submission.oversize == Oversize::Fail {
            return Ok(None);
        }
        let (header, structure) = taken_apart(&self.whole).await?;
        let covered = cover(&header, &structure, self.whole.clone());
        if covered.is_ok() {
            maillog::attached_whole(id, why);
        }
        Ok(covered.ok())
    }
}

/// Makes a message fit into `limit` bytes of MIME.
pub(in crate::delivery) async fn fit(
    id: SpoolId,
    message: Outgoing,
    limit: u64,
    submission: &Submission,
) -> Result<Fitted, AttemptError> {
    let fitted = if message.size() <= limit {
        Fitted {
            whole: message.clone(),
            message,
            large: Vec::new(),
            is_covered: false,
        }
    } else {
        split(id, message, limit, submission.oversize).await?
    };
    match submission.quoted_printable {
        QuotedPrintable::Keep => Ok(fitted),
        QuotedPrintable::Base64 => reencoded(id, fitted, limit).await,
    }
}

async fn split(
    id: SpoolId,
    message: Outgoing,
    limit: u64,
    oversize: Oversize,
) -> Result<Fitted, AttemptError> {
    let (header, structure) = taken_apart(&message).await?;
    let why = match Split::of(&structure, message.header.len() as u64, limit) {
        Ok(split) => {
            let attachments = split.attachments.iter();
            return Ok(Fitted {
                large: attachments.map(|it| large(it, &message)).collect(),
                message: split.outgoing(&message),
                whole: message.clone(),
                is_covered: false,
            });
        }
        Err(why) => why,
    };
    match oversize {
        Oversize::Fail => Err(why.into()),
        Oversize::Attach | Oversize::AttachUnsigned => {
            let covered = cover(&header, &structure, message.clone())?;
            if covered.message.size() > limit {
                return Err(why.into());
            }
            maillog::attached_whole(id, &why);
            Ok(covered)
        }
    }
}

async fn taken_apart(message: &Outgoing) -> Result<(Header<'_>, Structure), AttemptError> {
    let header = Header::split(&message.header, true).ok_or(ComposeError::Header)?;
    let read = structure(&header, Reader::new(message.body.clone())).await;
    Ok((header, read.map_err(AttemptError::unread)?))
}

fn large(attachment: &Detached, message: &Outgoing) -> Large {
    Large {
        name: attachment.name.clone(),
        content_type: attachment.content_type.clone(),
        content_id: attachment.content_id.clone(),
        is_inline: attachment.inline,
        size: attachment.size,
        encoding: attachment.encoding,
        pieces: message.body_range(attachment.range.clone()),
    }
}

/// A short message to the same recipients with the whole message attached. Nobody else
/// may see its Bcc.
fn cover(
    header: &Header<'_>,
    structure: &Structure,
    whole: Outgoing,
) -> Result<Fitted, AttemptError> {
    let (mut around, mut within) = (Vec::new(), Vec::new());
    for field in &header.fields {
        let name = field.name.to_ascii_lowercase();
        if !name.starts_with("content-") && name != "mime-version" {
            around.extend_from_slice(&field.raw);
        }
        if name != "bcc" {
            within.extend_from_slice(&field.raw);
        }
    }
    around.extend_from_slice(COVER_FIELDS);
    within.extend_from_slice(b"\r\n");
    let mut pieces = vec![Piece::Bytes(within.into())];
    pieces.extend_from_slice(&whole.body);
    let size = pieces.iter().map(Piece::size).sum();
    if size > LARGEST_ATTACHMENT {
        return Err(Unsplittable::AttachmentTooLarge { size }.into());
    }
    let mut text = vec![Piece::Bytes(Bytes::from_static(COVER))];
    if structure.is_signed_or_encrypted() {
        text.push(Piece::Bytes(Bytes::from_static(SEALED_COVER)));
    }
    Ok(Fitted {
        message: Outgoing {
            header: around.into(),
            body: text,
        },
        large: vec![Large {
            name: "message.eml".to_owned(),
            content_type: "message/rfc822".to_owned(),
            content_id: None,
            is_inline: false,
            size,
            encoding: Encoding::Identity,
            pieces,
        }],
        whole,
        is_covered: true,
    })
}

const COVER_FIELDS: &[u8] =
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n";
const COVER: &[u8] = b"This message is too large to be sent as it is, and cannot be split.\r\n\
    It is attached, whole and unchanged, as message.eml: open it with a mail program.\r\n";
const SEALED_COVER: &[u8] =
    b"Its signature or encryption belongs to the attached message: check it there.\r\n";

async fn reencoded(id: SpoolId, fitted: Fitted, limit: u64) -> Result<Fitted, AttemptError> {
    let message = &fitted.message;
    let bytes = message.read().await.map_err(AttemptError::unread)?;
    let (header, body) = bytes
        .split_at_checked(message.header.len())
        .unwrap_or_default();
    let Some((header, body)) = quoted_printable_as_base64(header, body) else {
        return Ok(fitted);
    };
    let written = Outgoing {
        header: header.into(),
        body: vec![Piece::Bytes(body.into())],
    };
    let fits = written.size() <= limit;
    maillog::reencoded(id, fits);
    Ok(match fits {
        true => Fitted {
            message: written,
            ..fitted
        },
        false => fitted,
    })
}
