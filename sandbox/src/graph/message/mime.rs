//! The MIME form of a message: base64 of a whole RFC 5322 message.
//!
//! There is no envelope: recipients, author and subject come from the message's own header section.
//! It is read with another parser than the relay's, so that the two do not share a mistake. That
//! parser requires angle brackets around a quoted local part.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailparse::DispositionType;
use mailparse::MailAddr;
use mailparse::MailHeader;
use mailparse::addrparse_header;
use mailparse::parse_headers;
use mailparse::parse_mail;

use crate::graph::errors::Refusal;
use crate::graph::message::submission::SentCopy;
use crate::graph::message::submission::Submission;
use crate::graph::message::submission::invalid_recipients;
use crate::store::BccBy;
use crate::store::Form;

/// Reads the body of a `text/plain` request.
pub(crate) fn read(body: &[u8]) -> Result<Submission, Refusal> {
    let raw = decoded(body).ok_or_else(|| {
        Refusal::bad(
            "ErrorMimeContentInvalidBase64String",
            "Invalid base64 string for MIME content.",
        )
    })?;
    let (fields, _) = parse_headers(&raw).map_err(|error| malformed(&error.to_string()))?;
    // A file that is not a message would pass as a header section: the parser accepts any line.
    if fields.is_empty() || fields.iter().any(|field| !is_name(field.get_key_raw())) {
        return Err(malformed("it does not begin with a header section"));
    }
    let from = addresses(&fields, "From").map_err(|_| malformed("its From field is no address"))?;
    let of = |name| {
        addresses(&fields, name)
            .map_err(|error| invalid_recipients(&format!("The {name} field isn't valid: {error}.")))
    };
    let bcc_by = named(&fields, "Bcc").next().map(|_| BccBy::Field);
    Ok(Submission {
        form: Form::Mime,
        from,
        to: of("To")?,
        cc: of("Cc")?,
        bcc: of("Bcc")?,
        bcc_by,
        subject: text(&fields, "Subject").unwrap_or_default(),
        message_id: text(&fields, "Message-ID"),
        raw: Bytes::from(raw),
        attachments: Vec::new(),
        // This form has no parameter for it.
        copy: SentCopy::Kept,
    })
}

/// Returns the first text of a message, with its kind.
pub(crate) fn first_text(raw: &[u8]) -> (&'static str, String) {
    let texts = parse_mail(raw).ok();
    texts
        .as_ref()
        .and_then(|mail| {
            mail.parts().find_map(|part| {
                let kind = match part.ctype.mimetype.as_str() {
                    "text/plain" => "text",
                    "text/html" => "html",
                    _ => return None,
                };
                Some((kind, part.get_body().ok()?))
            })
        })
        .unwrap_or_else(|| ("text", String::new()))
}

/// The fields of its header section, unfolded.
pub(crate) fn fields(raw: &[u8]) -> Vec<(String, String)> {
    let fields = parse_headers(raw).map(|(fields, _)| fields);
    let fields = fields.unwrap_or_default();
    fields
        .iter()
        .map(|field| (field.get_key(), field.get_value()))
        .collect()
}

/// Whether one of its parts is an attachment that is not inline.
pub(crate) fn has_attachments(raw: &[u8]) -> bool {
    parse_mail(raw).is_ok_and(|mail| {
        mail.parts()
            .any(|part| part.get_content_disposition().disposition == DispositionType::Attachment)
    })
}

/// Standard base64, padded, with line breaks anywhere (the documented example is folded).
fn decoded(body: &[u8]) -> Option<Vec<u8>> {
    if !body.iter().any(|octet| matches!(octet, b'\r' | b'\n')) {
        return STANDARD.decode(body).ok();
    }
    let unfolded = body
        .iter()
        .copied()
        .filter(|octet| !matches!(octet, b'\r' | b'\n'))
        .collect::<Vec<_>>();
    STANDARD.decode(unfolded).ok()
}

/// Returns the addresses of all fields with that name, including those within groups.
fn addresses(
    fields: &[MailHeader<'_>],
    name: &str,
) -> Result<Vec<String>, mailparse::MailParseError> {
    let mut addresses = Vec::new();
    for field in named(fields, name) {
        for address in addrparse_header(field)?.iter() {
            match address {
                MailAddr::Single(single) => addresses.push(bare(&single.addr)),
                MailAddr::Group(group) => {
                    addresses.extend(group.addrs.iter().map(|single| bare(&single.addr)));
                }
            }
        }
    }
    addresses.retain(|address| !address.is_empty());
    Ok(addresses)
}

/// The parser leaves the comma of an empty list element (RFC 5322 4.4) and the one after a group at
/// the beginning of the next address.
fn bare(address: &str) -> String {
    address
        .trim_start_matches(|it: char| it == ',' || it.is_whitespace())
        .to_owned()
}

fn text(fields: &[MailHeader<'_>], name: &str) -> Option<String> {
    named(fields, name).next().map(MailHeader::get_value)
}

fn named<'a>(fields: &'a [MailHeader<'a>], name: &str) -> impl Iterator<Item = &'a MailHeader<'a>> {
    fields
        .iter()
        .filter(move |field| field.get_key_raw().eq_ignore_ascii_case(name.as_bytes()))
}

/// RFC 5322 2.2: a field name consists of printable US-ASCII without the colon. White space before
/// the colon is obsolete syntax (4.5) that receivers accept.
fn is_name(name: &[u8]) -> bool {
    let name = name.trim_ascii_end();
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

fn malformed(why: &str) -> Refusal {
    Refusal::bad(
        "ErrorMimeContentInvalid",
        format!("The MIME content is not valid: {why}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_fields_are_read_as_written_in_the_wild() {
        let cases: [(&str, &[&str]); 10] = [
            ("A B <a@b.c>, d@e.f", &["a@b.c", "d@e.f"]),
            ("a@b.c,\r\n\td@e.f", &["a@b.c", "d@e.f"]),
            ("a@b.c (note)", &["a@b.c"]),
            ("a@b.c, , d@e.f,", &["a@b.c", "d@e.f"]),
            ("nobody:;", &[]),
            ("", &[]),
            ("Team: a@b.c, d@e.f;, x@y.z", &["a@b.c", "d@e.f", "x@y.z"]),
            ("=?utf-8?q?a=2Cb?= <a@b.c>", &["a@b.c"]),
            ("\"A, \\\"B\" <a@b.c>", &["a@b.c"]),
            ("<\"a b\"@b.c>", &["\"a b\"@b.c"]),
        ];
        for (field, expected) in cases {
            let mime = format!("To: {field}\r\n\r\n");

            let message = read(STANDARD.encode(mime).as_bytes());

            assert_eq!(message.expect(field).to, expected, "{field}");
        }
    }

    #[test]
    fn several_fields_of_a_name_are_all_read_and_those_of_a_part_are_not() {
        let mime = "To: a@b.c\r\nTO: d@e.f\r\n\r\nTo: x@y.z\r\n";

        let message = read(STANDARD.encode(mime).as_bytes()).expect("a message");

        assert_eq!(message.to, ["a@b.c", "d@e.f"]);
    }
}
