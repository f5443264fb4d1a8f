//! Header fields in ASCII, which is all that RFC 5322 allows and that every program on
//! the way to the reader supports.
//!
//! A field that is ASCII and reads alike to everybody goes out as the bytes that came in.
//! For the others:
//!
//! - address fields are rewritten, with their names quoted or in encoded words (RFC
//!   2047). Only an address whose local part is not ASCII (RFC 6531) stays as it is,
//!   because it cannot be written in any other way;
//! - in Content-Type and Content-Disposition the parameters are written according to RFC
//!   2231. A boundary that is not ASCII stays, because the body contains it too;
//! - in fields that do not allow encoded words (ids, dates, Received) only the comments
//!   get them. An id that is not ASCII is removed, and a signature that is not ASCII is
//!   renamed; the original field is added as `X-Original-`. In Received a question mark
//!   replaces what is not ASCII;
//! - in fields with URIs (RFC 2369, RFC 3986) octets are written as `%C3%BC`;
//! - all others, Subject among them, are treated as free text, and get encoded words.
//!
//! `text/charset.rs` guesses the charset of 8-bit text.

mod parameters;

use std::borrow::Cow;

use percent_encoding::AsciiSet;
use percent_encoding::utf8_percent_encode;

use self::parameters::parameters;
use crate::mime::Field;
use crate::mime::Item;
use crate::mime::addresses::field_of;
use crate::mime::text::BLANKS;
use crate::mime::text::words::encoded;
use crate::mime::text::words::is_encoded;

/// The outgoing field, perhaps followed by the original one.
pub fn sendable<'f>(field: &'f Field<'_>) -> Cow<'f, [u8]> {
    let kind = Kind::of(field);
    if field.is_ascii() && !matches!(kind, Kind::Author) {
        return Cow::Borrowed(&field.raw);
    }
    match kind {
        Kind::Author | Kind::Addresses => mailboxes(field),
        Kind::Parameters => Cow::Owned(parameters(field)),
        Kind::Ids | Kind::Trace => Cow::Owned(structured(field, kind)),
        Kind::Signature => Cow::Owned(field.renamed()),
        Kind::Uris => Cow::Owned(uris(field)),
        Kind::Text => Cow::Owned(free_text(field.name, &field.said())),
    }
}

/// What a field may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Addresses that programs use or show.
    Author,
    Addresses,
    Parameters,
    /// Ids, dates and other structured text.
    Ids,
    Trace,
    Signature,
    Uris,
    Text,
}

impl Kind {
    fn of(field: &Field<'_>) -> Self {
        match field.name.to_ascii_lowercase().as_str() {
            "from" | "sender" | "reply-to" | "resent-from" | "resent-sender" => Self::Author,
            "to"
            | "cc"
            | "disposition-notification-to"
            | "return-receipt-to"
            | "errors-to"
            | "mail-followup-to"
            | "mail-reply-to" => Self::Addresses,
            "content-type" | "content-disposition" => Self::Parameters,
            "message-id"
            | "in-reply-to"
            | "references"
            | "date"
            | "mime-version"
            | "content-transfer-encoding"
            | "content-id"
            | "resent-date"
            | "resent-message-id" => Self::Ids,
            "received" | "return-path" => Self::Trace,
            "dkim-signature"
            | "domainkey-signature"
            | "authentication-results"
            | "received-spf" => Self::Signature,
            "list-id" => Self::Text,
            "archived-at" | "content-location" | "content-base" => Self::Uris,
            name if name.starts_with("arc-") => Self::Signature,
            name if name.starts_with("list-") => Self::Uris,
            _ => Self::Text,
        }
    }
}

/// An address field. One that names nobody and is not ASCII is renamed.
fn mailboxes<'f>(field: &'f Field<'_>) -> Cow<'f, [u8]> {
    let list = field.list();
    // A group or a gap in Reply-To does no harm.
    let is_plain = list.is_by_the_book() && list.items.iter().all(Item::is_plain);
    let may_stay = field.is("Reply-To") && field.is_ascii() && is_plain;
    // For example the name of an empty group.
    let is_raw = list.items.is_empty() && !field.is_ascii();
    if (list.is_settled() && !is_raw) || may_stay {
        return Cow::Borrowed(&field.raw);
    }
    let with_address = list.items.iter().filter(|item| item.address.is_some());
    let written: Vec<String> = with_address.map(|item| item.written()).collect();
    if written.is_empty() {
        return match field.is_ascii() {
            true => Cow::Borrowed(&field.raw),
            // As encoded words it could name somebody to another reader.
            false => Cow::Owned(field.renamed()),
        };
    }
    let mut out = field_of(field.name, written.iter().map(String::as_str));
    if list.is_lossy() {
        out.extend(field.renamed());
    }
    Cow::Owned(out)
}

/// A field of free text. Its words that are not ASCII, and those between them, become
/// encoded words, folded. Existing encoded words stay.
pub(in crate::mime) fn free_text(name: &str, text: &str) -> Vec<u8> {
    let mut line = format!("{name}:");
    let mut width = line.len();
    for (blanks, word) in encoded_words(text) {
        let blanks = if blanks.is_empty() { " " } else { blanks };
        if width + blanks.len() + word.len() > WIDTH && width > 0 {
            line.push_str("\r\n");
            width = 0;
        }
        line.push_str(blanks);
        line.push_str(&word);
        width += blanks.len() + word.len();
    }
    line.push_str("\r\n");
    line.into_bytes()
}

/// RFC 2047 2 asks for lines of at most 76 characters.
const WIDTH: usize = 76;

/// The words of a text in ASCII, each with the blanks before it.
fn encoded_words(text: &str) -> Vec<(&str, String)> {
    let words = words(text);
    let mut out: Vec<(&str, String)> = Vec::new();
    let mut behind_encoded = false;
    for segment in words.split_inclusive(|(_, word)| is_encoded(word)) {
        let (segment, ends) = match segment.split_last() {
            Some((last, before)) if is_encoded(last.1) => (before, Some(last)),
            _ => (segment, None),
        };
        let first = segment.iter().position(|(_, word)| !word.is_ascii());
        let last = segment.iter().rposition(|(_, word)| !word.is_ascii());
        for (at, (blanks, word)) in segment.iter().enumerate() {
            let (Some(first), Some(last)) = (first, last) else {
                out.push((blanks, (*word).to_owned()));
                continue;
            };
            if at < first || at > last {
                out.push((blanks, (*word).to_owned()));
            } else if at == first {
                let mut run = String::new();
                // Readers drop the blanks between two encoded words (RFC 2047 6.2).
                if at == 0 && behind_encoded {
                    run.push_str(blanks);
                }
                for (at, (blanks, word)) in segment.iter().enumerate().skip(first) {
                    if at <= last {
                        run.push_str(if at == first { "" } else { blanks });
                        run.push_str(word);
                    }
                }
                if let Some((blanks, _)) = ends.filter(|_| last + 1 == segment.len()) {
                    run.push_str(blanks);
                }
                let pieces = encoded(&run);
                let pieces = pieces.split("\r\n ").enumerate();
                out.extend(
                    pieces
                        .map(|(at, piece)| (if at == 0 { *blanks } else { " " }, piece.to_owned())),
                );
            }
        }
        if let Some((blanks, word)) = ends {
            out.push((blanks, (*word).to_owned()));
        }
        behind_encoded = ends.is_some();
    }
    out
}

/// The words of a text with the blanks before each.
fn words(text: &str) -> Vec<(&str, &str)> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.trim_start_matches(BLANKS);
        let blanks = rest.len() - word.len();
        let end = blanks + word.find(BLANKS).unwrap_or(word.len());
        if let (Some(blanks), Some(word), Some(behind)) =
            (rest.get(..blanks), rest.get(blanks..end), rest.get(end..))
        {
            if !word.is_empty() {
                words.push((blanks, word));
            }
            rest = behind;
        }
    }
    words
}

/// A field of structured words and comments.
fn structured(field: &Field<'_>, kind: Kind) -> Vec<u8> {
    let mut is_lossy = false;
    let mut kept: Vec<String> = Vec::new();
    for piece in with_comments(&field.said()) {
        let inside = piece.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
        match inside {
            _ if piece.is_ascii() => kept.push(piece.to_owned()),
            // Parentheses in an encoded word are not syntax.
            Some(inside) => {
                kept.push(format!("({})", encoded(inside).replace("\r\n", "")));
            }
            None if kind == Kind::Trace => {
                kept.push(piece.replace(|c: char| !c.is_ascii(), "?"));
            }
            None => {
                is_lossy = true;
                let words = piece.split(BLANKS).filter(|word| word.is_ascii());
                kept.push(words.collect::<Vec<_>>().join(" "));
            }
        }
    }
    let kept: Vec<&str> = kept.iter().map(|it| it.trim_matches(BLANKS)).collect();
    let kept = kept.into_iter().filter(|piece| !piece.is_empty());
    let text = kept.collect::<Vec<_>>().join(" ");
    let mut out = Vec::new();
    if !text.is_empty() {
        out.extend_from_slice(&free_text(field.name, &text));
    }
    if is_lossy {
        out.extend(field.renamed());
    }
    out
}

/// A text split into what is outside comments and the comments, with their parentheses.
fn with_comments(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let (cut, after) = match c {
            '(' if depth == 0 => (Some(at), 1),
            '(' => (None, depth + 1),
            ')' if depth == 1 => (Some(at + 1), 0),
            ')' => (None, depth.saturating_sub(1)),
            _ => (None, depth),
        };
        depth = after;
        if let Some(cut) = cut {
            pieces.extend(text.get(start..cut));
            start = cut;
        }
    }
    pieces.extend(text.get(start..));
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// A field of URIs: ASCII stays.
fn uris(field: &Field<'_>) -> Vec<u8> {
    let said = field.said();
    let written = utf8_percent_encode(&said, &AsciiSet::EMPTY).to_string();
    free_text(field.name, &written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::Header;

    fn sent(field: &[u8]) -> String {
        let head = [field, b"\r\n\r\n"].concat();
        let header = Header::split(&head, true).unwrap();
        String::from_utf8(sendable(&header.fields[0]).into_owned()).unwrap()
    }

    #[test]
    fn a_valid_ascii_field_keeps_its_bytes() {
        for field in [
            "Subject:  a\tb ",
            "Subject: =?x",
            "From:\t\"B, A\"\r\n <a@b.c>  (x)",
            "Reply-To: x: a@b.c;",
            "Reply-To: root",
            "Reply-To: ",
            "Disposition-Notification-To: Help @ X <a@b.c>",
            "DKIM-Signature: v=1;\r\n\tb=x",
            "From: m\u{fc}ller@m\u{fc}ller.example",
            "From: M <m\u{fc}ller@b.c>",
        ] {
            assert_eq!(sent(field.as_bytes()), format!("{field}\r\n"));
        }
    }

    #[test]
    fn free_text_gets_encoded_words() {
        for (field, expected) in [
            (
                &b"Subject: Gr\xfc\xdfe aus der Buchhaltung"[..],
                "Subject: =?utf-8?b?R3LDvMOfZQ==?= aus der Buchhaltung\r\n",
            ),
            (b"Subject:\xc3\xbc", "Subject: =?utf-8?b?w7w=?=\r\n"),
            (b"Subject: \x80 5", "Subject: =?utf-8?b?4oKs?= 5\r\n"),
            (
                b"Subject: a \xfc b \xfc\r\n c",
                "Subject: a =?utf-8?b?w7wgYiDDvA==?= c\r\n",
            ),
            // The blank between two encoded words is part of one of them.
            (
                b"Subject: \xfc =?utf-8?q?=C3=BC?= \xfc x",
                "Subject: =?utf-8?b?w7wg?= =?utf-8?q?=C3=BC?= =?utf-8?b?IMO8?= x\r\n",
            ),
            (b"X-App: \xfc", "X-App: =?utf-8?b?w7w=?=\r\n"),
            (
                b"List-Id: Z\xfc <l.b.c>",
                "List-Id: =?utf-8?b?WsO8?= <l.b.c>\r\n",
            ),
        ] {
            assert_eq!(sent(field), expected);
        }
    }

    #[test]
    fn a_long_text_is_folded_and_reads_back() {
        let text = "Gr\u{fc}\u{df}e an alle, ".repeat(40);

        let sent = sent(format!("Subject: {text}").as_bytes());

        assert!(sent.is_ascii() && sent.trim_end().lines().all(|line| line.len() <= WIDTH));
        let (_, value) = sent.split_once(':').unwrap();
        assert_eq!(
            crate::mime::text::decoded(value, usize::MAX),
            text.trim_end()
        );
    }

    #[test]
    fn names_in_address_fields_are_written_again() {
        for (field, expected) in [
            (
                &b"From: B\xfcro <a@b.c>"[..],
                "From: =?utf-8?b?QsO8cm8=?= <a@b.c>\r\n",
            ),
            (
                b"Reply-To: B\xfcro:;",
                "X-Original-Reply-To: =?utf-8?b?QsO8cm86Ow==?=\r\n",
            ),
            (
                b"Reply-To: Contoso, Inc. <a@b.c>",
                "Reply-To: \"Contoso, Inc.\" <a@b.c>\r\n",
            ),
            (
                b"Reply-To: B\xfcro <a@b.c>, root",
                "Reply-To: =?utf-8?b?QsO8cm8=?= <a@b.c>\r\n\
                 X-Original-Reply-To: =?utf-8?b?QsO8cm8=?= <a@b.c>, root\r\n",
            ),
            (
                b"Reply-To: \"CONTOSO\\help\" <a@b.c>",
                "Reply-To: =?utf-8?b?Q09OVE9TT1xoZWxw?= <a@b.c>\r\n",
            ),
            (
                b"Reply-To: B\xfcro",
                "X-Original-Reply-To: =?utf-8?b?QsO8cm8=?=\r\n",
            ),
            (
                b"Errors-To: \xfc <a@b.c>",
                "Errors-To: =?utf-8?b?w7w=?= <a@b.c>\r\n",
            ),
            (
                "From: a@m\u{fc}.example".as_bytes(),
                "From: a@xn--m-eha.example\r\n",
            ),
        ] {
            assert_eq!(sent(field), expected);
        }
    }

    #[test]
    fn structured_fields_lose_nothing_silently() {
        for (field, expected) in [
            (
                &b"Date: Sun, 29 Nov 2026 10:00:00 +0100 (Mitteleurop\xe4ische Zeit)"[..],
                "Date: Sun, 29 Nov 2026 10:00:00 +0100\r\n \
                 (=?utf-8?b?TWl0dGVsZXVyb3DDpGlzY2hlIFplaXQ=?=)\r\n",
            ),
            (
                b"References: <a@b> <\xfc@b> <c@d>",
                "References: <a@b> <c@d>\r\nX-Original-References: <a@b> =?utf-8?b?PMO8QGI+?= <c@d>\r\n",
            ),
            (
                b"In-Reply-To: \xfc",
                "X-Original-In-Reply-To: =?utf-8?b?w7w=?=\r\n",
            ),
            (
                b"Received: from \xfc by x (\xfc)",
                "Received: from ? by x (=?utf-8?b?w7w=?=)\r\n",
            ),
            (
                b"DKIM-Signature: d=\xfc",
                "X-Original-DKIM-Signature: =?utf-8?b?ZD3DvA==?=\r\n",
            ),
            (
                b"List-Post: <mailto:\xfc@b.c>",
                "List-Post: <mailto:%C3%BC@b.c>\r\n",
            ),
        ] {
            assert_eq!(sent(field), expected);
        }
    }
}
