//! Rewrites quoted-printable texts as base64, for an account that asks for it
//! (`quoted_printable = "base64"`). The decoded text stays the same byte for byte.
//!
//! Nothing is touched but the body of such a text and the field that names its
//! encoding; nothing within a signature, an encrypted part, a report or another
//! message, and nothing that other programs may see otherwise (`scan.rs`).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::decode::Decoder;
use super::scan::parts_of;
use super::split::may_be_changed;
use crate::mime::Encoding;
use crate::mime::Header;
use crate::mime::Part;
use crate::mime::PartHeaders;
use crate::mime::Structure;

/// Rewrites the quoted-printable texts of a message as base64: its header section with
/// the empty line, and its body. `None` if there are none.
pub fn quoted_printable_as_base64(header: &[u8], body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let top = Header::split(header, true)?;
    let structure = parts_of(&top, body);
    let mut new_header = None;
    let mut new_body = Vec::with_capacity(body.len() + body.len() / 2);
    let mut from = 0;
    for part in structure
        .parts
        .iter()
        .filter(|part| applies(&structure, part))
    {
        let [head, text] = [&part.header, &part.body].map(|range| {
            let start = usize::try_from(range.start).ok()?;
            Some(start..usize::try_from(range.end).ok()?)
        });
        let (head, text) = (head?, text?);
        let is_top = part.parent.is_none();
        let edited = match is_top {
            true => as_base64(&top),
            false => as_base64(&Header::split(body.get(head.clone())?, true)?),
        };
        if !is_still(&part.part_headers, &edited) {
            continue;
        }
        if is_top {
            new_header = Some(edited);
        } else {
            new_body.extend_from_slice(body.get(from..head.start)?);
            new_body.extend(edited);
        }
        new_body.extend(lines(body.get(text.clone())?));
        if text.end == body.len() && !text.is_empty() {
            new_body.extend_from_slice(b"\r\n");
        }
        from = text.end;
    }
    if from == 0 && new_header.is_none() {
        return None;
    }
    new_body.extend_from_slice(body.get(from..)?);
    Some((new_header.unwrap_or_else(|| header.to_vec()), new_body))
}

fn applies(structure: &Structure, part: &Part) -> bool {
    !part.open
        && !part.doubtful
        && part.part_headers.encoding == Encoding::QuotedPrintable
        && part.part_headers.content_type.starts_with("text/")
        && may_be_changed(structure, part)
}

/// Whether it keeps its meaning: a base64 part of a type that cannot be read, such as `i
/// mage/png`, is taken for a file.
fn is_still(part_headers: &PartHeaders, edited: &[u8]) -> bool {
    let header = Header::split(edited, true).unwrap_or_default();
    let is_now = PartHeaders::of(&header, &part_headers.content_type, None).content_type;
    is_now == part_headers.content_type
}

/// The header section with that one field changed.
fn as_base64(header: &Header<'_>) -> Vec<u8> {
    let mut edited = Vec::new();
    for field in &header.fields {
        if field.is("Content-Transfer-Encoding") {
            edited.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n");
        } else {
            edited.extend_from_slice(&field.raw);
        }
    }
    edited.extend_from_slice(b"\r\n");
    edited
}

/// A quoted-printable text as lines of base64, the last one without its line end.
fn lines(text: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(Encoding::QuotedPrintable);
    let mut decoded = Vec::new();
    decoder.feed(text, &mut decoded);
    decoder.finish(&mut decoded);
    let encoded = BASE64_STANDARD.encode(decoded);
    let lines: Vec<&[u8]> = encoded.as_bytes().chunks(LINE).collect();
    lines.join(&b"\r\n"[..])
}

/// RFC 2045 6.8.
const LINE: usize = 76;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reencoded(message: &str) -> Option<String> {
        let header = Header::split(message.as_bytes(), true).unwrap().body;
        let (header, body) = message.split_at(header);
        let (header, body) = quoted_printable_as_base64(header.as_bytes(), body.as_bytes())?;
        Some(String::from_utf8([header, body].concat()).unwrap())
    }

    const QP: &str = "Content-Transfer-Encoding: quoted-printable\r\n";

    #[test]
    fn a_message_of_one_text_is_written_as_base64() {
        let message = "Content-Type: text/plain\r\nCONTENT-TRANSFER-ENCODING:\r\n Quoted-Printable\r\nTo: a@b\r\n\r\na=3Db=\r\nc\r\n";

        let written = reencoded(message).unwrap();

        let expected = "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\nTo: a@b\r\n\r\nYT1iYw0K\r\n";
        assert_eq!(written, expected);
    }

    #[test]
    fn a_part_that_would_not_be_text_in_base64_is_unchanged() {
        let message = format!("Content-Type: i mage/png\r\n{QP}\r\na=3D\r\n");

        assert_eq!(reencoded(&message), None);
    }

    #[test]
    fn only_texts_are_written_again_and_only_their_encoding_and_body() {
        let long = "=C3=BC".repeat(60);
        let message = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n\
             --b  \r\nX-A:  1\r\n{QP}Content-Type: text/html;\r\n charset=utf-8\r\n\r\n{long}\r\n\
             --b\r\nContent-Type: application/x\r\n{QP}\r\na=3D\r\n\
             --b\r\n{QP}\r\n\r\n--b\r\n\r\na=3D\r\n--b--\r\nepilogue a=3D\r\n"
        );

        let written = reencoded(&message).unwrap();

        let lines = BASE64_STANDARD.encode("\u{fc}".repeat(60));
        let lines = format!(
            "{}\r\n{}\r\n{}",
            &lines[..76],
            &lines[76..152],
            &lines[152..]
        );
        let cte = "Content-Transfer-Encoding: base64\r\n";
        let expected = message.replacen(QP, cte, 1).replace(&long, &lines);
        let expected = expected.replace(
            &format!("--b\r\n{QP}\r\n\r\n"),
            &format!("--b\r\n{cte}\r\n\r\n"),
        );
        assert_eq!(written, expected);
    }

    #[test]
    fn signed_parts_and_attached_messages_are_unchanged() {
        let text = format!("{QP}\r\na=3D\r\n");
        for kind in [
            "multipart/signed",
            "multipart/encrypted",
            "multipart/report",
        ] {
            let inner =
                format!("Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n{text}--c--\r\n");
            let message =
                format!("Content-Type: {kind}; boundary=b\r\n\r\n--b\r\n{inner}--b--\r\n");
            assert_eq!(reencoded(&message), None, "{kind}");
        }
        let message = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{text}--b--\r\n"
        );
        assert_eq!(reencoded(&message), None);
        assert_eq!(reencoded("To: a@b\r\n\r\na=3D\r\n"), None);
    }

    proptest! {
        #[test]
        fn the_decoded_texts_stay_the_same(
            texts in proptest::collection::vec("([g-z.]{1,9}|=3D|=C3=BC|=\r\n| |\t|\r\n){0,30}", 1..4),
        ) {
            let parts = texts.iter().map(|text| format!("--b\r\n{QP}\r\n{text}\r\n"));
            let message = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n", parts.collect::<String>());

            let written = reencoded(&message).unwrap();

            let read = mail_parser::MessageParser::new().parse(written.as_bytes()).unwrap();
            for (text, part) in texts.iter().zip(&read.parts[1..]) {
                let mut decoder = Decoder::new(Encoding::QuotedPrintable);
                let mut ours = Vec::new();
                decoder.feed(text.as_bytes(), &mut ours);
                decoder.finish(&mut ours);
                prop_assert_eq!(part.contents(), &ours[..]);
                prop_assert_eq!(part.encoding, mail_parser::Encoding::Base64);
            }
            // As another program read the text before.
            let before = mail_parser::MessageParser::new().parse(message.as_bytes()).unwrap();
            let pairs = texts.iter().zip(before.parts[1..].iter().zip(&read.parts[1..]));
            for (text, (before, after)) in pairs {
                // At its end some programs see a soft break or blanks, and at `==`
                // nothing.
                let is_plain = !text.ends_with(['=', ' ', '\t', '\n']) && !text.contains("==");
                if is_plain && before.encoding == mail_parser::Encoding::QuotedPrintable {
                    prop_assert_eq!(after.contents(), before.contents(), "{:?}", text);
                }
            }
        }
    }
}
