//! Descriptions of parts, in every form in use.

use proptest::prelude::*;

use super::*;

fn part_headers(fields: &[u8]) -> PartHeaders {
    let header = Header::split(fields, true).unwrap();
    PartHeaders::of(&header, "text/plain", None)
}

/// Fields as programs write them, and the name in them.
#[rustfmt::skip]
const NAMES: &[(&[u8], Option<&str>)] = &[
    (b"Content-Disposition: attachment; filename=a.pdf\r\n", Some("a.pdf")),
    (b"Content-Disposition: attachment; filename=\"a b.pdf\"; size=3\r\n", Some("a b.pdf")),
    (b"Content-Disposition: attachment;\r\n\tfilename=\"a;b.pdf\"\r\n", Some("a;b.pdf")),
    (b"Content-Disposition: ATTACHMENT; FILENAME=A b.pdf\r\n", Some("A b.pdf")),
    (b"Content-Disposition: attachment; filename=\"a\\\"b.pdf\"\r\n", Some("a\"b.pdf")),
    (b"Content-Type: application/pdf; name=a.pdf\r\n", Some("a.pdf")),
    (b"Content-Type: application/pdf; name=t\r\nContent-Disposition: inline; filename=d\r\n", Some("d")),
    // RFC 2231: complete, split, split within a character, next to a fallback.
    (b"Content-Disposition: attachment; filename*=UTF-8''B%C3%BCro%20%281%29.pdf\r\n", Some("B\u{fc}ro (1).pdf")),
    (b"Content-Disposition: attachment; filename*=iso-8859-1'de'B%FCro.pdf\r\n", Some("B\u{fc}ro.pdf")),
    (b"Content-Disposition: attachment;\r\n filename*0=\"Annual Report \";\r\n filename*1=\"2026 100%.pdf\"\r\n", Some("Annual Report 2026 100%.pdf")),
    (b"Content-Disposition: attachment;\r\n filename*0*=utf-8''B%C3;\r\n filename*1*=%BCro;\r\n filename*2=\" 5%.pdf\"\r\n", Some("B\u{fc}ro 5%.pdf")),
    (b"Content-Disposition: attachment;\r\n filename*0*=iso-8859-1''B%FC;\r\n filename*1*=ro%DF.pdf\r\n", Some("B\u{fc}ro\u{df}.pdf")),
    (b"Content-Disposition: attachment; filename=\"B_ro.pdf\";\r\n filename*=utf-8''B%C3%BCro.pdf\r\n", Some("B\u{fc}ro.pdf")),
    (b"Content-Disposition: attachment; filename=\"B.pdf\";\r\n filename*0*=utf-8''B%C3%BC;\r\n filename*1*=ro.pdf\r\n", Some("B\u{fc}ro.pdf")),
    (b"Content-Type: application/pdf; name*1=b.pdf; name*0=a\r\n", Some("ab.pdf")),
    // RFC 2047 where it is not allowed and is used all the same.
    (b"Content-Type: application/pdf; name=\"=?utf-8?B?QsO8cm8ucGRm?=\"\r\n", Some("B\u{fc}ro.pdf")),
    (b"Content-Type: application/pdf;\r\n name=\"=?iso-8859-1?Q?B=FCro_?=\r\n =?utf-8?q?2.pdf?=\"\r\n", Some("B\u{fc}ro 2.pdf")),
    (b"Content-Type: application/pdf; name==?utf-8?B?QsO8cm8ucGRm?=\r\n", Some("B\u{fc}ro.pdf")),
    (b"Content-Disposition: attachment;\r\n filename=\"=?utf-8?B?w5xiZXJmw6Rs?=\r\n =?utf-8?B?bGlnZS5wZGY=?=\"\r\n", Some("\u{dc}berf\u{e4}llige.pdf")),
    (b"Content-Disposition: attachment;\r\n filename=\"=?utf-8?B?w5xiZXJmw6Rs?=\"\r\n \"=?utf-8?B?bGlnZS5wZGY=?=\"\r\n", Some("\u{dc}berf\u{e4}llige.pdf")),
    (b"Content-Disposition: attachment; filename==?utf-8?Q?a_b;c.pdf?=\r\n", Some("=?utf-8?Q?a_b")),
    // RFC 2047 within RFC 2231, and the reverse.
    (b"Content-Disposition: attachment;\r\n filename*0=\"=?UTF-8?Q?Rechnung_M=C3=A4r\";\r\n filename*1=\"z.pdf?=\"\r\n", Some("Rechnung M\u{e4}rz.pdf")),
    (b"Content-Disposition: attachment; filename*=UTF-8''=?UTF-8?Q?M=C3=A4rz.pdf?=\r\n", Some("M\u{e4}rz.pdf")),
    (b"Content-Disposition: attachment; filename*=UTF-8''%3D%3FUTF-8%3FQ%3FM%3DC3%3DA4rz.pdf%3F%3D\r\n", Some("M\u{e4}rz.pdf")),
    (b"Content-Disposition: attachment; filename=\"UTF-8''M%C3%A4rz.pdf\"\r\n", Some("M\u{e4}rz.pdf")),
    // RFC 2231: split within a character, in any order, with gaps, with quotes, without a
    // charset.
    (b"Content-Disposition: attachment;\r\n filename*0*=SHIFT-JIS''%83%4B%83%43%83%68%83%89%83;\r\n filename*1*=%43%83%93%2E%64%6F%63\r\n", Some("\u{30ac}\u{30a4}\u{30c9}\u{30e9}\u{30a4}\u{30f3}.doc")),
    (b"Content-Disposition: attachment; filename*1*=%9Fe.pdf; filename*0*=utf-8''Gr%C3%BC%C3\r\n", Some("Gr\u{fc}\u{df}e.pdf")),
    (b"Content-Disposition: attachment; filename*1=a; filename*2=b.pdf\r\n", Some("ab.pdf")),
    (b"Content-Disposition: attachment; filename*0=a; filename*2=b.pdf; filename=whole.pdf\r\n", Some("whole.pdf")),
    (b"Content-Disposition: attachment; filename*0=a; filename*2=b.pdf\r\n", Some("ab.pdf")),
    (b"Content-Disposition: attachment; filename*=\"UTF-8''B%C3%BCro.pdf\"\r\n", Some("B\u{fc}ro.pdf")),
    (b"Content-Disposition: attachment; filename*=B%C3%BCro.pdf\r\n", Some("B\u{fc}ro.pdf")),
    (b"Content-Disposition: attachment; filename*=utf-8'B%C3%BCro.pdf\r\n", Some("B\u{fc}ro.pdf")),
    (b"Content-Disposition: attachment; filename*=ibm850''B%81ro.pdf\r\n", Some("B\u{fc}ro.pdf")),
    (b"Content-Disposition: attachment; filename*=utf-8''B%FCro.pdf; filename=Buro.pdf\r\n", Some("B\u{fc}ro.pdf")),
    (b"Content-Disposition: attachment; filename=100%25.pdf\r\n", Some("100%25.pdf")),
    // The extended name, at any position.
    (b"Content-Disposition: attachment; filename*=UTF-8''R%C3%BCck.pdf; filename=Ruck.pdf\r\n", Some("R\u{fc}ck.pdf")),
    (b"Content-Type: a/b; name*=UTF-8''R%C3%BCck.pdf; name=Ruck.pdf\r\n", Some("R\u{fc}ck.pdf")),
    (b"Content-Type: a/b; name=n.pdf\r\nContent-Disposition: attachment; filename=\"\"\r\n", Some("n.pdf")),
    (b"Content-Type: a/b; filename=n.pdf\r\n", Some("n.pdf")),
    (b"Content-Disposition: attachment; name=n.pdf\r\n", Some("n.pdf")),
    // Paths.
    (b"Content-Disposition: attachment; filename=\"C:\\scan\\x.pdf\"\r\n", Some("x.pdf")),
    (b"Content-Disposition: attachment; filename=\"C:\\\\scan\\\\x.pdf\"\r\n", Some("x.pdf")),
    (b"Content-Disposition: attachment; filename=C:\\scan\\x.pdf\r\n", Some("x.pdf")),
    (b"Content-Disposition: attachment; filename=\"\\\\server\\share\\x y.pdf\"\r\n", Some("x y.pdf")),
    (b"Content-Disposition: attachment; filename=\"/var/spool/scan.pdf\"\r\n", Some("scan.pdf")),
    (b"Content-Disposition: attachment; filename*=utf-8''..%2F..%5Cscan.pdf\r\n", Some("scan.pdf")),
    (b"Content-Disposition: attachment; filename=\"C:\\scan\\\"\r\n", Some("scan")),
    (b"Content-Disposition: attachment; filename=\"..\"\r\n", None),
    // Quotes and separators.
    (b"Content-Disposition: attachment; filename=\"scan.pdf\r\n", Some("scan.pdf")),
    (b"Content-Disposition: attachment; filename=\"scan.pdf; size=3\r\n", Some("scan.pdf")),
    (b"Content-Disposition: attachment; filename=\"my \"own\" scan.pdf\"; size=3\r\n", Some("my \"own\" scan.pdf")),
    (b"Content-Disposition: attachment; filename=scan (1).pdf; size=3\r\n", Some("scan (1).pdf")),
    (b"Content-Disposition: attachment, filename=\"a, b.pdf\", size=3\r\n", Some("a, b.pdf")),
    (b"Content-Disposition: attachment; filename=a, b.pdf\r\n", Some("a, b.pdf")),
    (b"Content-Disposition: attachment filename=\"a.pdf\"\r\n", Some("a.pdf")),
    (b"Content-Type: a/b; charset=utf-8 name=\"a.pdf\"\r\n", Some("a.pdf")),
    (b"Content-Disposition: attachment;\r\nfilename=\"a.pdf\"\r\n", Some("a.pdf")),
    (b"Content-Disposition: attachment;\r\nfilename*0=\"a:\";\r\nfilename*1=b.pdf\r\n", Some("a:b.pdf")),
    (b"Content-Type: application/pdf;\r\nname=a.pdf\r\n", Some("a.pdf")),
    // Raw.
    (b"Content-Disposition: attachment; filename=\"B\xfcro.pdf\"\r\n", Some("B\u{fc}ro.pdf")),
    (b"Content-Disposition: attachment; filename=\"B\xc3\xbcro.pdf\"\r\n", Some("B\u{fc}ro.pdf")),
    // None.
    (b"Content-Disposition: attachment\r\n", None),
    (b"Content-Disposition: attachment; filename=\"\"\r\n", None),
    (b"Content-Disposition: attachment; filename=\" \x01\"\r\n", None),
    (b"Content-Disposition: attachment; filename*=\r\n", None),
    (b"Content-Disposition: attachment; filename*1=x\r\n", Some("x")),
];

#[test]
fn names_are_read_in_every_form_in_use() {
    for (fields, name) in NAMES {
        let shown = fields.escape_ascii();
        assert_eq!(part_headers(fields).name.as_deref(), *name, "{shown}");
    }
}

#[test]
fn the_end_of_an_overlong_name_is_kept() {
    let fields = format!("Content-Type: a/b; name={}.pdf\r\n", "x".repeat(900));

    let name = part_headers(fields.as_bytes()).name.unwrap();

    assert_eq!(name.len(), 255);
    assert!(name.ends_with("x.pdf"));
}

/// Fields, and the type, the encoding and the disposition in them.
#[rustfmt::skip]
const FIELDS: &[(&str, (&str, Encoding, Disposition))] = &[
    ("\r\n", ("text/plain", Encoding::Identity, Disposition::Unsaid)),
    ("Content-Type:\r\n", ("text/plain", Encoding::Identity, Disposition::Unsaid)),
    ("Content-Type: TEXT/Html (x); a=b\r\n", ("text/html", Encoding::Identity, Disposition::Unsaid)),
    ("Content-Type: pdf\r\n", (BYTES, Encoding::Identity, Disposition::Unsaid)),
    ("Content-Type: a/b/c\r\nContent-Transfer-Encoding: BASE64\r\n", (BYTES, Encoding::Base64, Disposition::Unsaid)),
    ("Content-Type: ;\r\nContent-Transfer-Encoding: Quoted-Printable (x)\r\n", ("text/plain", Encoding::QuotedPrintable, Disposition::Unsaid)),
    ("Content-Type: /\r\nContent-Transfer-Encoding: x-uuencode\r\nContent-Disposition: inline\r\n", (BYTES, Encoding::Uuencode, Disposition::Inline)),
    ("Content-Type: ;;\r\nContent-Disposition: form-data; name=x\r\n", (BYTES, Encoding::Identity, Disposition::Attachment)),
    // RFC 2045 5.2: a type without a subtype is text.
    ("Content-Type: text\r\n", ("text/plain", Encoding::Identity, Disposition::Unsaid)),
    ("Content-Type: Text; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n", ("text/plain", Encoding::Base64, Disposition::Unsaid)),
    ("Content-Type: text/\r\n", ("text/plain", Encoding::Identity, Disposition::Unsaid)),
    ("Content-Type: html\r\n", ("text/html", Encoding::Identity, Disposition::Unsaid)),
    ("Content-Type: whatever\r\n", ("text/plain", Encoding::Identity, Disposition::Unsaid)),
    ("Content-Type: whatever; name=x.bin\r\n", (BYTES, Encoding::Identity, Disposition::Unsaid)),
    ("Content-Type: text / html (x)\r\n", ("text/html", Encoding::Identity, Disposition::Unsaid)),
    ("Content-Type: multipart; boundary=b\r\n", ("multipart/mixed", Encoding::Identity, Disposition::Unsaid)),
    // A comma, or nothing, instead of a semicolon.
    ("Content-Type: application/pdf, name=a.pdf\r\nContent-Disposition: inline, filename=a\r\n", ("application/pdf", Encoding::Identity, Disposition::Inline)),
    ("Content-Type: application/pdf name=a.pdf\r\nContent-Disposition: filename=a\r\n", ("application/pdf", Encoding::Identity, Disposition::Attachment)),
    // Two different values.
    ("Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n", ("text/plain", Encoding::Unknown, Disposition::Unsaid)),
    ("Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: base64;\r\n", ("a/b", Encoding::Base64, Disposition::Unsaid)),
];

#[test]
fn types_encodings_and_dispositions_are_read() {
    for (fields, expected) in FIELDS {
        let part_headers = part_headers(fields.as_bytes());
        let found = (
            part_headers.content_type.as_str(),
            part_headers.encoding,
            part_headers.disposition,
        );
        assert_eq!(found, *expected, "{fields}");
    }
}

#[test]
fn a_boundary_is_sound_if_all_programs_understand_it() {
    for (value, delimits, is_sound) in [
        ("b", Some("b"), true),
        ("\"----=_Part_1.2\"", Some("----=_Part_1.2"), true),
        ("----=_Part_1", Some("----=_Part_1"), true),
        ("\"a b'()+_,-./:=?\"", Some("a b'()+_,-./:=?"), true),
        ("\"\"", None, false),
        ("\"b \"", Some("b"), false),
        ("b\u{fc}", Some("b\u{fc}"), false),
        (&"b".repeat(201), None, false),
    ] {
        let fields = format!("Content-Type: multipart/mixed; boundary={value}\r\n");
        let part_headers = part_headers(fields.as_bytes());
        let found = (part_headers.delimits(), part_headers.has_sound_boundary());
        assert_eq!(found, (delimits, is_sound), "{value}");
    }
}

#[test]
fn a_repeated_field_is_ambiguous() {
    assert!(!part_headers(b"Content-Type: a/b\r\nContent-Type:\r\n").ambiguous);
    assert!(!part_headers(b"Content-Type: a/b\r\nContent-type: a/b\r\n").ambiguous);
    assert!(part_headers(b"Content-Type: a/b\r\nContent-type: a/c\r\n").ambiguous);
    assert!(part_headers(b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n").ambiguous);
    assert!(part_headers(b"Content-ID: <a>\r\nContent-ID: <b>\r\n").ambiguous);
}

#[test]
fn an_id_has_no_brackets() {
    for (value, expected) in [
        ("<a@b>", Some("a@b")),
        ("a@b", Some("a@b")),
        ("<>", None),
        ("<a b>", Some("a b")),
        ("<a\tb>", None),
    ] {
        assert_eq!(id(value).as_deref(), expected, "{value}");
    }
}

#[test]
fn raw_names_are_read_in_the_charset_of_the_text() {
    let name = |fields: &[u8], charset: &str| {
        let header = Header::split(fields, true).unwrap();
        PartHeaders::of(&header, "text/plain", Some(charset))
            .name
            .unwrap()
    };
    for (fields, charset, expected) in [
        (
            &b"Content-Disposition: attachment; filename=\"\xb2\xe2\xca\xd4.pdf\"\r\n"[..],
            "gb18030",
            "\u{6d4b}\u{8bd5}.pdf",
        ),
        // Its second byte is a backslash, before the quote.
        (
            b"Content-Type: a/b; name=\"\x95\\\"\r\n",
            "shift_jis",
            "\u{8868}",
        ),
        (
            b"Content-Type: a/b; name=\"\x83e\x83X\x83g.pdf\"\r\n",
            "shift_jis",
            "\u{30c6}\u{30b9}\u{30c8}.pdf",
        ),
        (
            b"Content-Type: a/b; charset=big5; name=\"\xb4\xfa\xb8\xd5.csv\"\r\n",
            "utf-8",
            "\u{6e2c}\u{8a66}.csv",
        ),
        (
            b"Content-Type: a/b; name=\"B\xfcro.pdf\"\r\n",
            "us-ascii",
            "B\u{fc}ro.pdf",
        ),
        (
            b"Content-Type: a/b; name=\"B\xc3\xbcro.pdf\"\r\n",
            "gb18030",
            "B\u{fc}ro.pdf",
        ),
    ] {
        assert_eq!(name(fields, charset), expected, "{}", fields.escape_ascii());
    }
}

#[test]
fn a_part_without_a_name_is_called_after_what_it_is() {
    for (content_type, first, second) in [
        ("image/tiff", "image.tiff", "image-2.tiff"),
        ("image/jpeg", "image.jpg", "image-2.jpg"),
        ("application/pdf", "attachment.pdf", "attachment-2.pdf"),
        (
            "application/vnd.ms-excel",
            "attachment.xls",
            "attachment-2.xls",
        ),
        (
            "application/x-zip-compressed",
            "attachment.zip",
            "attachment-2.zip",
        ),
        ("message/rfc822", "message.eml", "message-2.eml"),
        ("text/calendar", "invitation.ics", "invitation-2.ics"),
        ("text/x-unheard-of", "attachment.txt", "attachment-2.txt"),
        (
            "message/delivery-status",
            "attachment.txt",
            "attachment-2.txt",
        ),
        (
            "application/vnd.x+xml",
            "attachment.xml",
            "attachment-2.xml",
        ),
        (
            "application/x-unheard-of",
            "attachment.bin",
            "attachment-2.bin",
        ),
        ("application/ms-tnef", "winmail.dat", "winmail-2.dat"),
    ] {
        let part_headers = part_headers(format!("Content-Type: {content_type}\r\n").as_bytes());
        let names = [1, 2].map(|number| name_or_default(&part_headers, number));
        assert_eq!(names, [first, second]);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_parameters(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        pieces in "(; ?|, ?|filename|name|\\*|0|=|\"|\\\\|''|utf-8|=\\?|\\?=|%|c3|\\(|\\)|a|/| ){0,30}",
    ) {
        for tail in [&bytes[..], pieces.as_bytes()] {
            let fields = [b"Content-Type: a/b; ", tail, b"\r\n"].concat();
            let header = Header::split(&fields, true).unwrap();
            if let Some(name) = PartHeaders::of(&header, "text/plain", None).name {
                prop_assert!(!name.is_empty() && name.chars().count() <= 255);
                prop_assert!(!name.contains(char::is_control) && !name.contains(['/', '\\']));
            }
        }
    }

    #[test]
    fn a_name_is_read_back_however_it_was_written(name in "[a-zA-Z0-9\u{e4}\u{df}\u{65e5} ;,'%*=?().-]{0,30}[a-z\u{e4}]\\.pdf", cut in 1..40_usize) {
        let name = name.trim();
        let percent: Vec<String> = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let continued: Vec<String> = percent.chunks(cut).enumerate().map(|(at, piece)| {
            let charset = if at == 0 { "utf-8''" } else { "" };
            format!(" filename*{at}*={charset}{}", piece.concat())
        }).collect();
        let word = crate::mime::text::words::encoded(name);
        let is_plain = !name.contains("=?") && !name.contains("''");
        for field in [
            format!("filename*=UTF-8''{}", percent.concat()),
            continued.join(";\r\n"),
            continued.iter().rev().cloned().collect::<Vec<_>>().join(";\r\n"),
            format!("filename=\"{word}\""),
            format!("filename={word}"),
            format!("filename=\"{name}\""),
        ] {
            let fields = format!("Content-Disposition: attachment;\r\n {field}\r\n");
            let read = part_headers(fields.as_bytes()).name;
            if is_plain {
                prop_assert_eq!(read.as_deref(), Some(name), "{}", fields);
            }
        }
    }
}
