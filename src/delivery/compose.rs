//! The message that Graph gets, made from what came in: promise 5.
//!
//! Added at the top: Received (RFC 5321 4.4), Date, Message-ID and From where
//! they are missing, and what `recipients.rs` decides. Everything else goes out
//! as the bytes that came in. The same message comes out at every attempt, so
//! that a repetition can be recognised by its Message-ID.

use bytes::Bytes;

use super::recipients;
use super::recipients::Edit;
use super::recipients::Visible;
use crate::mail::Address;
use crate::mime::Body;
use crate::mime::Header;
use crate::mime::Outgoing;
use crate::mime::author;
use crate::spool::Claimed;
use crate::spool::Content;

/// The message cannot be made to say what its envelope says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ComposeError {
    /// The header section does not end where it did when it was accepted.
    #[error("its header section cannot be read")]
    Header,
    /// The edited header section names others than the envelope.
    #[error("its header section could not be made to name exactly the envelope's recipients")]
    Recipients,
}

/// Makes the message that goes out. `head` is the beginning of the content with
/// the whole header section, `from` the From of a message without a usable one.
pub(super) fn compose(
    entry: &Claimed,
    head: &Bytes,
    from: &Address,
    hostname: &str,
) -> Result<Outgoing, ComposeError> {
    let size = entry.content.size();
    let whole = head.len() as u64 == size;
    let header = Header::split(head, whole).ok_or(ComposeError::Header)?;
    let edited = [Visible::AsWritten, Visible::Nobody]
        .into_iter()
        .map(|visible| edit(entry, &header, from, hostname, visible))
        .find(|edited| recipients::names_exactly(edited, &entry.envelope))
        .ok_or(ComposeError::Recipients)?;
    let body = match &entry.content {
        Content::Inline(bytes) => Body::Bytes(bytes.slice(header.body..)),
        Content::File { path, .. } => Body::File {
            path: path.clone(),
            offset: header.body as u64,
            size: size.saturating_sub(header.body as u64),
        },
    };
    Ok(Outgoing {
        header: edited.into(),
        body,
    })
}

/// The header section as it goes out, with the empty line that ends it.
fn edit(
    entry: &Claimed,
    header: &Header<'_>,
    from: &Address,
    hostname: &str,
    visible: Visible,
) -> Vec<u8> {
    let decision = recipients::decide(header, &entry.envelope, visible);
    let mut edited = received(entry, hostname).into_bytes();
    if !header.has("Date") {
        edited.extend_from_slice(format!("Date: {}\r\n", entry.accepted_at.rfc5322()).as_bytes());
    }
    if !header.has("Message-ID") {
        edited.extend_from_slice(format!("Message-ID: <{}@{hostname}>\r\n", entry.id).as_bytes());
    }
    let author = author(header);
    if author.is_none() {
        edited.extend_from_slice(format!("From: {from}\r\n").as_bytes());
    }
    edited.extend_from_slice(&decision.added);
    for (field, edit) in header.fields.iter().zip(decision.edits) {
        match edit {
            // A From that names nobody would stand beside the one added above.
            Edit::Keep if author.is_none() && field.is("From") => {
                edited.extend(field.renamed());
            }
            Edit::Keep => edited.extend_from_slice(&field.raw),
            Edit::Replace(bytes) => edited.extend_from_slice(&bytes),
        }
    }
    edited.extend_from_slice(b"\r\n");
    edited
}

/// RFC 5321 4.4, folded.
fn received(entry: &Claimed, hostname: &str) -> String {
    let trace = &entry.trace;
    let client = match trace.client.to_canonical() {
        std::net::IpAddr::V4(ip) => format!("[{ip}]"),
        std::net::IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    };
    // What a client calls itself may be anything; what could end the clause may not.
    let hello: String = trace
        .hello
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || ".-_:[]".contains(c) {
                c
            } else {
                '?'
            }
        })
        .collect();
    format!(
        "Received: from {hello} ({client})\r\n by {hostname} (graph-relay) with {} id {};\r\n {}\r\n",
        trace.protocol,
        entry.id,
        entry.accepted_at.rfc5322()
    )
}
