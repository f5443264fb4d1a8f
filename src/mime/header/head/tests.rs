//! Where header sections begin and end: real messages of clients, line by line, and
//! properties for any bytes.

use proptest::prelude::*;

use crate::mime::Header;

/// Fields, a `|` and the body, with LF for line ends.
fn read(content: &str) -> String {
    let content = content.replace('\n', "\r\n");
    let header = Header::of_message(content.as_bytes(), true).unwrap();
    let fields: Vec<_> = header.fields.iter().map(|field| &*field.raw).collect();
    let fields = String::from_utf8(fields.concat()).unwrap();
    let body = &content[header.body..];
    format!("{fields}|{body}").replace("\r\n", "\n")
}

#[test]
fn a_valid_message_is_unchanged() {
    for (fields, body) in [
        ("From: a@b.c\nTo: d@e.f\n", "Hello\n"),
        ("Subject: a\n b\n", ""),
        ("X-Alarm: zone 3\n", "Hello\n"),
        ("From: a@b.c\nAlarm: zone 3\n", "Hello\n"),
        ("Received: x\n", "To: a@b.c\n\nHello\n"),
        ("", "Hello\n"),
        ("", "Hello\n\nFrom: a@b.c\n"),
    ] {
        let content = format!("{fields}\n{body}");
        assert_eq!(read(&content), format!("{fields}|{body}"), "{content}");
    }
    assert_eq!(read(""), "|");
    assert_eq!(
        read("From: a@b.c\nTo: d@e.f\n"),
        "From: a@b.c\nTo: d@e.f\n|"
    );
}

#[test]
fn from_with_a_blank_before_its_colon_is_not_an_mbox_line() {
    for blanks in [" ", "  ", " \t"] {
        let content = format!("From{blanks}: a@b.c\nSubject: x\n\nHello\n");
        assert_eq!(read(&content), "From: a@b.c\nSubject: x\n|Hello\n");
    }
}

#[test]
fn lines_above_a_header_section_are_dropped() {
    let section = "Received: x\nFrom: a@b.c\nSubject: x\n";
    for top in [
        "\u{feff}",
        "\n",
        "\n\n \t\n",
        "From root Sun Nov 29 10:00:00 2026\n",
        "From root\n",
        ">From root Sun Nov 29 10:00:00 2026\n",
        ">>From root\n",
        "\u{feff}\nFrom root Sun Nov 29 10:00:00 2026\n",
        "\n\u{feff}",
        "From root Sun Nov 29 10:00:00 2026\n\n",
        "From root Sun Nov 29 10:00:00 2026\n\u{feff}",
    ] {
        for (ended, body) in [("\n", "Hello\n"), ("", "")] {
            let content = format!("{top}{section}{ended}{body}");
            assert_eq!(read(&content), format!("{section}|{body}"), "{content}");
        }
    }
    assert_eq!(
        read("From root Sun Nov 29 10:00:00 2026\nX-Job: 1\n\nHello\n"),
        "X-Job: 1\n|Hello\n"
    );
}

#[test]
fn text_that_resembles_a_header_section_is_text() {
    for text in [
        "Hello\n",
        "From boiler 3 alarm\n",
        "From boiler 3: 98 degrees\nPump off\n",
        "From boiler 3 alarm\n\nSubject: none\n",
        ">From here on\nit is text\n",
        "From root Sun Nov 29 10:00:00 2026\nHello\n",
        "\u{feff}Hello\n",
        "Alarm: zone 3\n",
        "Alarm: zone 3\nTemperature: 98\n",
        "Alarm: zone 3\n\n",
        "Alarm: zone 3\n\n \n\n",
        "Alarm: zone 3\n\nDetails\n",
        "X-Alarm: zone 3\n",
        "Date: 29.11.2026\nTime: 10:00\nAlarm: zone 3\n",
        "To: the whole team\nWhere: here\n",
        "Zone 3: alarm\n",
        " folded\n\nx\n",
        "Hello Bob,\nsee you\nFrom: c@d.e\nTo: a@b.c\nSubject: x\n\nquoted\n",
        "no line end",
        ": x\n",
    ] {
        assert_eq!(read(text), format!("|{text}"), "{text}");
    }
    // The empty line is valid.
    assert_eq!(read("\nTo: the whole team\n"), "|To: the whole team\n");
    assert_eq!(read("\nHello\n"), "|Hello\n");
}

#[test]
fn a_line_that_is_put_back_into_its_field_has_no_line_of_blanks_behind_it() {
    for (content, expected) in [
        (
            "Subject: =?utf-8?Q?a=\nb?=\n \n\nHello\n",
            "Subject: =?utf-8?Q?ab?=\nX-",
        ),
        (
            "To: a@b.c,\nd@e.f\n\t\nSubject: x\n\nHello\n",
            "To: a@b.c,\n d@e.f\nSubject: x\n",
        ),
    ] {
        assert!(read(content).starts_with(expected), "{content}");
    }
}

#[test]
fn a_link_is_not_a_field() {
    for (content, expected) in [
        (
            "Subject: alarm\nhttps://monitor.example/1\n\nHello\n",
            "Subject: alarm\n|https://monitor.example/1\n\nHello\n",
        ),
        (
            "Subject: alarm\nhttps://monitor.example/1\n",
            "Subject: alarm\n|https://monitor.example/1\n",
        ),
        (
            "http://a.example/\nFrom: a@b.c\n\nHello\n",
            "X-Original-Line: http://a.example/\nFrom: a@b.c\n|Hello\n",
        ),
        (
            "Subject: x\nX-Path: //server/a\n\nHello\n",
            "Subject: x\nX-Path: //server/a\n|Hello\n",
        ),
    ] {
        assert_eq!(read(content), expected, "{content}");
    }
}

#[test]
fn the_delimiter_of_the_first_part_begins_the_body() {
    let types = "Content-Type: multipart/mixed; boundary=\"=_b:1\"\n";
    for (fields, part) in [
        (types, "--=_b:1\nContent-Type: text/html\n\nHello\n"),
        (
            types,
            "--=_b:1 \nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\nSGk=\n",
        ),
        (
            "Content-Type: multipart/mixed;\n boundary=b;\nMIME-Version: 1.0\n",
            "--b\nContent-ID: <a>\nSubject: no field of it\n\nHello\n",
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n",
            "--b\n\nHello\n",
        ),
    ] {
        let fields = format!("From: a@b.c\n{fields}");
        assert_eq!(read(&format!("{fields}{part}")), format!("{fields}|{part}"));
    }
    // It is a different line, or one that names the blind recipients.
    let other = "Content-Type: multipart/mixed; boundary=b\n--bb\nMIME-Version: 1.0\n\n--b\n";
    assert!(read(other).contains("X-Original-Line: --bb\nMIME-Version: 1.0\n|"));
    let blind = "Content-Type: multipart/mixed; boundary=b\n--b\nBcc: d@e.f\n\n--b\n";
    assert!(read(blind).contains("Bcc: d@e.f\n|"));
}

#[test]
fn a_stray_line_before_a_known_field_is_renamed() {
    for (content, expected) in [
        (
            "Subject: s\nX-Job Name: nightly\nContent-Type: text/html\n\nHello\n",
            "Subject: s\nX-Original-Line: X-Job Name: nightly\nContent-Type: text/html\n|Hello\n",
        ),
        (
            "garbage\nFrom: a@b.c\n\nHello\n",
            "X-Original-Line: garbage\nFrom: a@b.c\n|Hello\n",
        ),
        (
            "GET / HTTP/1.1\nHost: x\nContent-Type: text/html\n\nHello\n",
            "X-Original-Line: GET / HTTP/1.1\nHost: x\nContent-Type: text/html\n|Hello\n",
        ),
        (
            "DKIM-Signature: v=1;\nd=x; s=y;\nh=From;\n bh=z\nFrom: a@b.c\nmore\nTo: d@e.f\n\nHello\n",
            "DKIM-Signature: v=1;\nX-Original-Line: d=x; s=y;\n h=From;\n bh=z\nFrom: a@b.c\n\
             X-Original-Line: more\nTo: d@e.f\n|Hello\n",
        ),
        (
            "one\ntwo\nMIME-Version: 1.0\nX: y\n\nHello\n",
            "X-Original-Line: one\n two\nMIME-Version: 1.0\nX: y\n|Hello\n",
        ),
        (
            "Subject: =?UTF-8?Q?Muster=\nta=\ndt?=\nMIME-Version: 1.0\n\nHello\n",
            "Subject: =?UTF-8?Q?Mustertadt?=\n\
             X-Original-Subject: =?UTF-8?Q?Muster=\n ta=\n dt?=\nMIME-Version: 1.0\n|Hello\n",
        ),
        (
            "From: a@b.c\nTo: d@e.f,\ng@h.i\n\nHello\n",
            "From: a@b.c\nTo: d@e.f,\n g@h.i\n|Hello\n",
        ),
    ] {
        assert_eq!(read(content), expected, "{content}");
    }
}

#[test]
fn a_stray_line_without_a_known_field_after_it_begins_the_text() {
    for (fields, text) in [
        ("Subject: x\n", "Dear all,\nNote: y\n"),
        ("Subject: x\n", "Dear all,\nDate: tomorrow\n\nBob\n"),
        ("Subject: x\n", "Dear all,\n\nFrom: a@b.c\n"),
        ("Subject: x\n", "Dear all,\nSubject: y\n"),
        ("Subject: x\n", "Alarm: zone 3\n"),
        ("Subject: x\n", "Note: y\nDear all,\n"),
        ("From: a@b.c\nX-A: b\n", "Zone 3: alarm\n\nmore\n"),
        ("From: a@b.c\n", "To be or not\n"),
        // The header section of another message, quoted.
        (
            "From: a@b.c\nTo: d@e.f\n",
            "Hello,\nFrom: g@h.i\nTo: j@k.l\n\nquoted\n",
        ),
    ] {
        let content = format!("{fields}{text}");
        assert_eq!(read(&content), format!("{fields}|{text}"), "{content}");
    }
}

#[test]
fn promise_3_a_corrected_header_section_never_shows_blind_recipients() {
    for lines in [
        "Bcc: a@b.c,\neve@e.f\n",
        "Bcc: a@b.c\neve@e.f\n",
        "Bcc: a@b.c\nstray\nBcc: eve@e.f\n",
        ">Bcc: eve@e.f\n",
        "B cc: eve@e.f\n",
        "Bcc\x0c: eve@e.f\n",
        "\u{feff}Bcc: eve@e.f\n",
        "Bcc eve@e.f\n",
        "Bcc\n : eve@e.f\n",
        "Resent Bcc: eve@e.f\n",
        "Resent-Bcc: x:;\n eve@e.f\n",
    ] {
        for behind in ["Subject: x\n\nHello\n", "Subject: x\nHello\n"] {
            let content = format!("From: a@b.c\n{lines}{behind}").replace('\n', "\r\n");
            let header = Header::of_message(content.as_bytes(), true).unwrap();
            let visible = header.fields.iter().filter(|field| !field.is("Bcc"));
            let visible = visible.filter(|field| !field.is("Resent-Bcc"));
            let mut visible: Vec<_> = visible.map(|field| &*field.raw).collect();
            visible.push(&content.as_bytes()[header.body..]);
            let visible = String::from_utf8(visible.concat()).unwrap();
            assert!(!visible.contains("eve"), "{content}{visible}");
            assert!(visible.ends_with("Hello\r\n"), "{content}{visible}");
        }
    }
    // And without a known field after it.
    let last = "From: a@b.c\n>Bcc: eve@e.f\n\nHello\n";
    assert_eq!(read(last), "From: a@b.c\n|Hello\n");
}

#[test]
fn an_incomplete_header_section_is_not_taken_for_complete() {
    let content = b"From: a@b.c\r\nTo: b@c\r\n\r\nbody";
    for cut in 0..content.len() - 5 {
        assert_eq!(Header::of_message(&content[..cut], false), None, "{cut}");
    }
    let text = "Hello\r\n".repeat(1000);
    assert_eq!(
        Header::of_message(text.as_bytes(), false).map(|header| header.body),
        Some(0)
    );
}

/// Lines of the kinds that the rules know, and others.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = "(From: a@b\\.c|To: d@e\\.f|To: all of us|Subject: x|Subject: =\\?utf-8\\?Q\\?a=|\
                 Date: now|MIME-Version: 1\\.0|Content-Type: text/plain|X-A: b|Alarm: zone 3)";
    let other = "(From root|>From root Sun Nov 29 10:00:00 2026|b\\?=|y=| folded|\tc: d|Dear all,| |\
                 \u{feff}|\u{feff}To: g@h\\.i|x@y\\.z|to@us,)";
    prop_oneof![
        4 => known.prop_map(String::into_bytes),
        4 => other.prop_map(String::into_bytes),
        2 => Just(Vec::new()),
        2 => proptest::collection::vec(1..=255_u8, 0..8),
    ]
}

proptest! {
    #[test]
    fn a_corrected_header_section_loses_no_line(
        lines in proptest::collection::vec(line(), 0..12),
    ) {
        let mut content = Vec::new();
        for mut line in lines {
            line.retain(|byte| !matches!(byte, b'\r' | b'\n'));
            content.extend(line);
            content.extend_from_slice(b"\r\n");
        }

        let header = Header::of_message(&content, true).unwrap();

        let mut kept: Vec<u8> = Vec::new();
        for field in &header.fields {
            kept.extend_from_slice(&field.raw);
        }
        kept.extend_from_slice(&content[header.body..]);
        let mut lines = content.split(|byte| *byte == b'\n').peekable();
        let is_mbox = |line: &[u8]| line.trim_ascii_start().starts_with(b"From ")
            || line.starts_with(b">From ") || line.starts_with(b"\xef\xbb\xbf");
        // Lines are dropped only at the top.
        if header.mbox_line || header.unclean_top {
            let dropped = |line: &&[u8]| line.trim_ascii().is_empty() || is_mbox(line);
            while lines.next_if(dropped).is_some() {}
        }
        for line in lines.map(<[u8]>::trim_ascii) {
            // Blanks before a colon are removed.
            let line = match line.iter().position(|byte| *byte == b':') {
                Some(colon) => &line[colon..],
                None => line,
            };
            let name = content.escape_ascii();
            prop_assert!(
                line.is_empty() || memchr::memmem::find(&kept, line).is_some(),
                "{} is lost of {name}", line.escape_ascii()
            );
        }
    }

    #[test]
    fn a_corrected_header_section_needs_no_second_correction(
        lines in proptest::collection::vec(line(), 0..12),
    ) {
        let lines = lines.into_iter().map(|mut line| {
            line.retain(|byte| !matches!(byte, b'\r' | b'\n'));
            [&line[..], b"\r\n"].concat()
        });
        let content = lines.collect::<Vec<_>>().concat();
        let header = Header::of_message(&content, true).unwrap();
        let mut made = b"Received: x\r\nFrom: a@b.c\r\n".to_vec();
        for field in &header.fields {
            made.extend_from_slice(&field.raw);
        }
        made.extend_from_slice(b"\r\n");
        let length = made.len();
        made.extend_from_slice(&content[header.body..]);

        let again = Header::of_message(&made, true).unwrap();

        prop_assert_eq!(again.body, length);
        prop_assert_eq!(&again.fields[2..], &header.fields[..]);
        let split = Header::split(&made, true).unwrap();
        prop_assert_eq!(again.fields, split.fields);
    }
}
