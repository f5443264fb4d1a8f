//! A part of a message as an attached file.

use bytes::Bytes;

use super::JsonMessageError;
use super::parts::Parts;
use crate::mime::Part;
use crate::mime::References;

/// An attached file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The file name: never empty, one line.
    pub name: String,
    /// Type and subtype.
    pub media_type: String,
    /// Its bytes.
    pub content: Bytes,
    /// Its Content-ID without angle brackets (RFC 2392).
    pub content_id: Option<String>,
    /// Whether the text shows it. A file marked `inline` that no text shows does not
    /// count, because programs would hide it.
    pub shown: bool,
}

impl Attachment {
    /// Made of a part, whatever it is; `shown` is what the text refers to.
    ///
    /// # Errors
    ///
    /// The part cannot be decoded for certain.
    pub(in crate::mime) fn of(
        parts: &Parts<'_>,
        part: &Part,
        shown: &References,
    ) -> Result<Self, JsonMessageError> {
        let content_id = part.part_headers.content_id.clone();
        let (name, media_type, content) = if part.too_deep {
            // With its header section it can be opened as a message.
            let name = "message.eml".to_owned();
            let content = parts.as_message(part).to_vec();
            (name, "message/rfc822".to_owned(), content)
        } else {
            let content = parts.content(part).ok_or_else(|| undecodable(part))?;
            let media_type = part.part_headers.content_type.clone();
            (part.file_name(), media_type, content.into_owned())
        };
        Ok(Self {
            name,
            media_type,
            content: content.into(),
            shown: content_id.as_ref().is_some_and(|id| shown.has(id)),
            content_id,
        })
    }
}

/// The error that names the part that cannot be decoded.
pub(in crate::mime) fn undecodable(part: &Part) -> JsonMessageError {
    JsonMessageError::Undecodable {
        name: part.file_name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str) -> Attachment {
        let parts = Parts::read(message);
        Attachment::of(&parts, parts.root(), &References::default()).unwrap()
    }

    #[test]
    fn file_names_are_decoded() {
        for (fields, name) in [
            (
                "Content-Disposition: attachment; filename=\"a b.pdf\"",
                "a b.pdf",
            ),
            (
                "Content-Disposition: attachment; filename*=utf-8''M%C3%BC.pdf",
                "Mü.pdf",
            ),
            (
                "Content-Disposition: attachment; filename*0*=iso-8859-1'de'M%FC;\r\n filename*1=ller.pdf",
                "Müller.pdf",
            ),
            (
                "Content-Disposition: attachment; filename=\"=?utf-8?B?TcO8LnBkZg==?=\"",
                "Mü.pdf",
            ),
            (
                "Content-Disposition: attachment; filename=\"Mü.pdf\"",
                "Mü.pdf",
            ),
            (
                "Content-Type: application/pdf; name=\"=?iso-8859-1?Q?M=FC.pdf?=\"",
                "Mü.pdf",
            ),
            ("Content-Type: application/pdf", "attachment.pdf"),
            ("Content-Type: image/jpeg; name=\" \"", "image.jpg"),
            ("Content-Type: nonsense", "attachment.txt"),
            (
                "Content-Disposition: attachment; filename=\"=?utf-8?q?a=0A=0Db?=\"",
                "ab",
            ),
            ("Content-Type: message/rfc822; name=\"Re: x\"", "Re: x.eml"),
            ("Content-Type: message/rfc822; name=\"x.EML\"", "x.EML"),
        ] {
            assert_eq!(of(&format!("{fields}\r\n\r\nx")).name, name, "{fields}");
        }
    }

    #[test]
    fn files_keep_their_bytes() {
        let inner = "Subject: inner\r\nBcc: a@b\r\n\r\nHello =3D\r\n--x\r\n";
        let csv = "Content-Type: text/csv; charset=iso-8859-1\r\n\
            Content-Transfer-Encoding: base64\r\n\r\n/AD/\r\n";

        let message = of(&format!("Content-Type: Message/RFC822\r\n\r\n{inner}"));
        let table = of(csv);

        assert_eq!(message.media_type, "message/rfc822");
        assert_eq!(message.name, "message.eml");
        assert_eq!(message.content, inner);
        assert_eq!(table.media_type, "text/csv");
        assert_eq!(table.name, "attachment.csv");
        assert_eq!(&*table.content, b"\xfc\0\xff");
    }
}
