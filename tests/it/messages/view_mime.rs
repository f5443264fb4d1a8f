//! A message in MIME form, as another program reads it.

use mail_parser::Encoding;
use mail_parser::Message;
use mail_parser::MessageParser;
use mail_parser::MessagePart;
use mail_parser::MimeHeaders;
use mail_parser::PartType;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;

use super::view::Shown;
use super::view::View;
use crate::common::find;

/// Fields that are shown as they are written.
const AS_WRITTEN: [&str; 5] = [
    "Importance",
    "Sensitivity",
    "In-Reply-To",
    "References",
    "Disposition-Notification-To",
];

pub(crate) fn read(raw: &[u8], sent: &[u8], view: &mut View) {
    let message = MessageParser::default().parse(raw).unwrap();
    mailboxes(&message, view);
    view.line("Subject", message.subject().unwrap_or_default());
    let end = find(raw, b"\r\n\r\n").map_or(raw.len(), |at| at + 2);
    let (header, body) = raw.split_at(end);
    let fields = fields(header);
    for (name, value) in &fields {
        if name.eq_ignore_ascii_case("Message-ID") {
            view.message_id(value);
        }
    }
    for wanted in AS_WRITTEN {
        for (_, value) in fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
        {
            view.line(wanted, value);
        }
    }
    for (name, value) in &fields {
        if name.to_ascii_lowercase().starts_with("x-") {
            view.line(name, value);
        }
    }
    unusual(&fields, sent, view);
    if !header.is_ascii() {
        view.line("Header", "not ASCII");
    }
    if !sent.ends_with(body.strip_prefix(b"\r\n").unwrap_or_default()) {
        view.line("Body", "not as it came in");
    }
    for part in &message.parts {
        leaf(part, &message, view);
    }
}

fn mailboxes(message: &Message<'_>, view: &mut View) {
    for (field, list) in [
        ("From", message.from()),
        ("Sender", message.sender()),
        ("Reply-To", message.reply_to()),
        ("To", message.to()),
        ("Cc", message.cc()),
        ("Bcc", message.bcc()),
    ] {
        let all = list.into_iter().flat_map(mail_parser::Address::iter);
        for mailbox in all {
            // An empty group has only a name.
            if let Some(address) = mailbox.address() {
                view.mailbox(field, mailbox.name(), address);
            }
        }
    }
}

/// Names and unfolded values of a header section.
fn fields(header: &[u8]) -> Vec<(String, String)> {
    let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        match (fields.last_mut(), text.first()) {
            (Some((_, value)), Some(b' ' | b'\t')) => value.extend_from_slice(text),
            _ => {
                let colon = text.iter().position(|byte| *byte == b':').unwrap();
                let name = String::from_utf8(text[..colon].to_vec()).unwrap();
                fields.push((name, text[colon + 1..].to_vec()));
            }
        }
    }
    let fields = fields.into_iter();
    let written = |value: Vec<u8>| {
        let text = String::from_utf8(value);
        text.unwrap_or_else(|error| error.as_bytes().escape_ascii().to_string())
    };
    fields
        .map(|(name, value)| (name, written(value).trim().to_owned()))
        .collect()
}

/// A Date that neither came in nor is the present time.
fn unusual(fields: &[(String, String)], sent: &[u8], view: &mut View) {
    let named = |name: &str| {
        let mut values = fields
            .iter()
            .filter(|(it, _)| it.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.as_str())
    };
    let received = named("Received").unwrap_or_default();
    match named("Date") {
        None => view.line("Date", "none"),
        Some(date) if find(sent, date.as_bytes()).is_some() || received.ends_with(date) => {}
        Some(date) => view.line("Date", date),
    }
}

/// A part that has no parts.
fn leaf(part: &MessagePart<'_>, message: &Message<'_>, view: &mut View) {
    let content = match &part.body {
        PartType::Multipart(_) => return,
        PartType::Text(_) | PartType::Html(_) => decoded(part, &message.raw_message),
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => bytes.to_vec(),
        PartType::Message(inner) => inner.raw_message().to_vec(),
    };
    let is_file = part.attachment_name().is_some()
        || part
            .content_disposition()
            .is_some_and(|disposition| !disposition.is_inline());
    match &part.body {
        PartType::Text(text) if !is_file && !is_other_text(part) => view.text("Text", text),
        PartType::Html(text) if !is_file => view.text("HTML", text),
        PartType::Text(_)
        | PartType::Html(_)
        | PartType::Binary(_)
        | PartType::InlineBinary(_)
        | PartType::Message(_)
        | PartType::Multipart(_) => {
            let content_type = part.content_type().map(|it| match it.subtype() {
                Some(subtype) => format!("{}/{subtype}", it.ctype()),
                None => it.ctype().to_owned(),
            });
            let is_shown = part.content_id().is_some()
                || part
                    .content_disposition()
                    .is_some_and(mail_parser::ContentType::is_inline);
            view.attachment(&Shown {
                name: part.attachment_name(),
                content_type: content_type.as_deref().unwrap_or("no type"),
                content_id: part.content_id(),
                inline: is_shown && !is_attachment(part),
                content: &content,
            });
        }
    }
}

fn is_attachment(part: &MessagePart<'_>) -> bool {
    part.content_disposition()
        .is_some_and(mail_parser::ContentType::is_attachment)
}

/// Text that is not part of the message's text: a calendar, a table.
fn is_other_text(part: &MessagePart<'_>) -> bool {
    let subtype = part.content_type().and_then(|it| it.subtype());
    subtype.is_some_and(|it| !it.eq_ignore_ascii_case("plain"))
}

/// The bytes of a text part, in its original charset.
fn decoded(part: &MessagePart<'_>, raw: &[u8]) -> Vec<u8> {
    let [start, end] = [part.raw_body_offset(), part.raw_end_offset()];
    let bytes = &raw[start as usize..end as usize];
    let decoded = match part.encoding {
        Encoding::None => None,
        Encoding::QuotedPrintable => quoted_printable_decode(bytes),
        Encoding::Base64 => base64_decode(bytes),
    };
    decoded.unwrap_or_else(|| bytes.to_vec())
}
