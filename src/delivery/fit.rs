//! Making a message fit: what is too large for one request goes without its large
//! attachments, which follow one by one; what cannot be split so travels as the
//! one attachment of a short message, where the account allows that.

use bytes::Bytes;

use super::compose::ComposeError;
use super::draft::Parts;
use super::error::AttemptError;
use super::upload::Large;
use crate::config::Oversize;
use crate::config::QuotedPrintable;
use crate::config::Submission;
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
use crate::mime::Unsplittable;
use crate::mime::quoted_printable_as_base64;
use crate::mime::structure;
use crate::telemetry::maillog;

/// A message that one request carries, and what follows it.
#[derive(Debug)]
pub(super) struct Fitted {
    pub(super) message: Outgoing,
    pub(super) large: Vec<Large>,
}

impl Fitted {
    /// What is handed over, with those whom the message does not name.
    pub(super) fn parts<'a>(&'a self, blind: &'a [Address]) -> Parts<'a> {
        Parts {
            form: Form::Mime(&self.message),
            blind,
            large: &self.large,
        }
    }

    /// The same in half the size, for a Graph that takes less than was thought.
    pub(super) async fn halved(
        self,
        id: SpoolId,
        submission: &Submission,
    ) -> Result<Self, AttemptError> {
        let size = self.message.size();
        maillog::request_too_large(id, size);
        let mut halved = fit(id, self.message, size / 2, submission).await?;
        halved.large.extend(self.large);
        Ok(halved)
    }
}

/// Makes a message fit into `limit` bytes of MIME.
pub(super) async fn fit(
    id: SpoolId,
    message: Outgoing,
    limit: u64,
    submission: &Submission,
) -> Result<Fitted, AttemptError> {
    let fitted = if message.size() <= limit {
        Fitted {
            message,
            large: Vec::new(),
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
    let bytes = message.header.clone();
    let header = Header::split(&bytes, true).ok_or(ComposeError::Header)?;
    let read = structure(&header, Reader::new(message.body.clone())).await;
    let structure = read.map_err(AttemptError::unread)?;
    match (Split::of(&structure, bytes.len() as u64, limit), oversize) {
        (Ok(split), _) => Ok(Fitted {
            large: split
                .attachments
                .iter()
                .map(|it| large(it, &message))
                .collect(),
            message: split.outgoing(&message),
        }),
        (Err(why), Oversize::Fail) => Err(why.into()),
        (Err(why), Oversize::Attach) => {
            let covered = cover(&header, &message)?;
            maillog::attached_whole(id, &why);
            Ok(covered)
        }
    }
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

/// A short message to the same recipients with the whole one attached, whose
/// Bcc nobody else may see.
fn cover(header: &Header<'_>, message: &Outgoing) -> Result<Fitted, AttemptError> {
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
    pieces.extend_from_slice(&message.body);
    let size = pieces.iter().map(Piece::size).sum();
    if size > LARGEST_ATTACHMENT {
        return Err(Unsplittable::AttachmentTooLarge { size }.into());
    }
    Ok(Fitted {
        message: Outgoing {
            header: around.into(),
            body: vec![Piece::Bytes(Bytes::from_static(COVER))],
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
    })
}

const COVER_FIELDS: &[u8] =
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n";
const COVER: &[u8] = b"This message is too large to be sent as it is, and cannot be split.\r\n\
    It is attached, whole and unchanged, as message.eml: open it with a mail program.\r\n";

async fn reencoded(id: SpoolId, fitted: Fitted, limit: u64) -> Result<Fitted, AttemptError> {
    let Fitted { message, large } = fitted;
    let bytes = message.read().await.map_err(AttemptError::unread)?;
    let (header, body) = bytes
        .split_at_checked(message.header.len())
        .unwrap_or_default();
    let Some((header, body)) = quoted_printable_as_base64(header, body) else {
        return Ok(Fitted { message, large });
    };
    let written = Outgoing {
        header: header.into(),
        body: vec![Piece::Bytes(body.into())],
    };
    let fits = written.size() <= limit;
    maillog::reencoded(id, fits);
    let message = if fits { written } else { message };
    Ok(Fitted { message, large })
}
