//! Attachments of real messages, in the forms that programs write.

use base64::Engine;
use bytes::Bytes;

use super::Detached;
use super::Header;
use super::LARGEST_ATTACHMENT;
use super::Outgoing;
use super::Piece;
use super::Reader;
use super::Root;
use super::Split;
use super::Structure;
use super::Unsplittable;
use super::oracle;
use super::structure;

/// A seed of the fuzzer, as it arrives.
fn message(name: &str) -> Vec<u8> {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/structure");
    let text = std::fs::read_to_string(seeds.join(name)).unwrap();
    let (_, message) = text.split_once('\n').unwrap();
    message.replace('\n', "\r\n").into_bytes()
}

/// Takes everything that can be taken.
fn taken(message: &[u8]) -> Split {
    let header = Header::split(message, true).unwrap();
    let found = oracle::scanned(&header, &message[header.body..]);
    let Err(Unsplittable::TooLarge { rest, .. }) = Split::of(&found, 1000, 0) else {
        panic!("nothing is that small");
    };
    Split::of(&found, 1000, rest).unwrap()
}

#[test]
fn attachments_of_real_messages_are_found() {
    for (name, expected) in [
        ("outlook", &["image001.png inline", "report.pdf"][..]),
        ("apple-mail", &["IMG_1.jpg", "report.pdf"]),
        ("thunderbird", &["report.pdf"]),
        ("scanner", &["scan0001.pdf"]),
        ("phpmailer", &["report.pdf"]),
        ("java-mail", &["report.pdf", "B\u{fc}ro.bin"]),
        ("sap", &["INVOICE 4711.PDF"]),
        ("smime-signed", &[]),
        ("smime-enveloped", &[]),
        ("pgp-encrypted", &[]),
        ("rfc822-within", &["message.eml", "report.pdf"]),
        ("winmail", &["winmail.dat"]),
        ("invitation", &[]),
        ("report", &[]),
        ("attachments-only", &["report.pdf", "fax.tif"]),
        ("not-closed", &["a.png", "report.pdf"]),
        ("prefix-of-another", &["report.pdf", "report.pdf"]),
        ("other-way-round", &["report.pdf", "report.pdf"]),
        ("same-boundary-within", &[]),
        ("nearly-a-delimiter", &[]),
        ("digest", &["message.eml"]),
        ("parameter-not-indented", &["scan.pdf"]),
        (
            "no-empty-line-before-the-body",
            &["attachment.pdf", "a.html inline"],
        ),
        ("unknown-encoding", &["attachment.eml", "attachment.eml"]),
        ("deep", &[]),
    ] {
        let split = taken(&message(name));

        let inline = |it: &Detached| if it.inline { " inline" } else { "" };
        let names = split.attachments.iter();
        let names: Vec<_> = names
            .map(|it| format!("{}{}", it.name, inline(it)))
            .collect();
        assert_eq!(names, expected, "{name}");
        let is_replaced = split.root == Root::Replaced;
        assert_eq!(is_replaced, name == "scanner", "{name}");
    }
}

#[test]
fn the_largest_attachments_are_taken_first_and_only_as_needed() {
    let part = |name, size| {
        let text = "x".repeat(size);
        format!("--b\r\nContent-Type: image/png; name={name}\r\n\r\n{text}\r\n")
    };
    let fields = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let parts = [part("a", 300), part("b", 900), part("c", 600)].concat();
    let body = format!("--b\r\n\r\ntext\r\n{parts}--b--\r\n");
    let header = Header::split(fields.as_bytes(), true).unwrap();
    let found = oracle::scanned(&header, body.as_bytes());
    for (limit, names) in [
        (5000, &[][..]),
        (1500, &["b"]),
        (900, &["b", "c"]),
        (300, &["a", "b", "c"]),
    ] {
        let split = Split::of(&found, 0, limit).unwrap();

        let taken: Vec<_> = split
            .attachments
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(taken, names, "{limit}");
    }
    let refused = Split::of(&found, 10, 20);
    assert_eq!(
        refused,
        Err(Unsplittable::TooLarge {
            rest: 30,
            limit: 20
        })
    );
}

#[tokio::test]
async fn a_message_that_is_an_attachment_becomes_an_empty_text() {
    let sent = message("scanner");
    let header = Header::split(&sent, true).unwrap().body;
    let (header, body) = sent.split_at(header);
    let whole = Outgoing {
        header: Bytes::copy_from_slice(header),
        body: vec![Piece::Bytes(Bytes::copy_from_slice(body))],
    };

    let split = taken(&sent);
    let gone = split.outgoing(&whole);

    assert_eq!(gone.body_size(), 0);
    let expected = "Subject: Scan\r\n\
        X-Original-Content-Type: application/pdf; name=\"scan0001.pdf\"\r\n\
        X-Original-Content-Transfer-Encoding: base64\r\n\
        X-Original-Content-Disposition: attachment; filename=\"scan0001.pdf\"\r\n\
        Content-Type: text/plain; charset=us-ascii\r\n\r\n";
    assert_eq!(std::str::from_utf8(&gone.header).unwrap(), expected);
    let [attachment] = split.attachments.as_slice() else {
        panic!("one");
    };
    let last = attachment.read(&whole, attachment.size - 3).next().await;
    assert_eq!(last.unwrap().unwrap(), &b"789"[..]);
}

#[test]
fn an_attachment_above_graphs_limit_is_reported() {
    let fields = "Content-Type: application/pdf\r\n\r\n";
    let header = Header::split(fields.as_bytes(), true).unwrap();
    let mut found = oracle::scanned(&header, b"x");
    found.parts[0].decoded = LARGEST_ATTACHMENT + 1;

    let size = LARGEST_ATTACHMENT + 1;
    let refused = Split::of(&found, 10, 5);

    assert_eq!(refused, Err(Unsplittable::AttachmentTooLarge { size }));
}

/// The structure of a multipart/mixed whose boundary is `b`.
fn mixed(body: &str) -> Structure {
    let fields = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let header = Header::split(fields, true).unwrap();
    oracle::scanned(&header, body.as_bytes())
}

#[test]
fn each_part_has_its_reported_position() {
    let body =
        "before\r\n--b \t\r\nA: b\r\n\r\none\r\n\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b--\r\nbehind\r\n";

    let found = mixed(body);

    let slice = |range: &std::ops::Range<u64>| {
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
        &body[start..end]
    };
    let parts = found.parts.iter();
    let parts: Vec<_> = parts
        .map(|part| [&part.whole, &part.header, &part.body].map(slice))
        .collect();
    assert_eq!(
        parts,
        [
            [body, "", body],
            [
                "--b \t\r\nA: b\r\n\r\none\r\n\r\n",
                "A: b\r\n\r\n",
                "one\r\n"
            ],
            ["--b\r\n\r\n", "\r\n", ""],
            ["--b\r\n\r\n\r\n", "\r\n", ""],
        ]
    );
    assert!(found.parts.iter().all(|part| !part.doubtful));
}

#[test]
fn ambiguous_structure_is_doubtful() {
    let last = "Content-Type: image/png\r\n\r\nx\r\n--b--\r\n";
    for (body, doubtful) in [
        (format!("--b\r\n{last}"), &[][..]),
        (format!("--b\r\nno field\r\n{last}"), &[1]),
        (format!("--b\r\nA: b\r\n \t\r\n{last}"), &[1]),
        (format!("--b\r\nContent-Type: a/b\r\n{last}"), &[1]),
        (format!("--b\r\nX: {}\r\n{last}", "x".repeat(17_000)), &[1]),
        ("--b\r\nA: b\r\n--b--\r\n".to_owned(), &[1]),
        (format!("--b\r\n\r\n--bc\r\n--b\r\n{last}"), &[0]),
        (format!("--b\r\n\r\n--b-- x\r\n--b\r\n{last}"), &[0]),
        (
            format!("--b\r\nContent-Type: multipart/mixed\r\n\r\n--b\r\n{last}"),
            &[1],
        ),
        (
            format!("--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{last}"),
            &[0, 1],
        ),
        (
            format!(
                "--b\r\nContent-Type: multipart/mixed; boundary=\"c \"\r\n\r\n--c\r\n{last}--b\r\n{last}"
            ),
            &[1],
        ),
        (
            format!(
                "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n--c\r\n{last}--b\r\n{last}"
            ),
            &[1],
        ),
    ] {
        let found = mixed(&body);

        let parts = found.parts.iter().enumerate();
        let found: Vec<_> = parts
            .filter(|(_, part)| part.doubtful)
            .map(|(at, _)| at)
            .collect();
        assert_eq!(found, doubtful, "{}", &body[..body.len().min(200)]);
    }
}

#[test]
fn extremely_odd_structure_is_not_followed() {
    let fields = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let many = mixed(&"--b\r\n\r\n".repeat(5_000));
    assert!(many.parts[0].doubtful && many.parts.len() == 1000);
    let inner = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n";
    let both = format!("{fields}{inner}{}", "--c\r\n\r\n".repeat(5_000));
    oracle::holds(both.as_bytes(), 0, &[1000]);
    let long = format!("--b\r\nA: {}\r\n\r\n", "x".repeat(16_000));
    let long = mixed(&long.repeat(200));
    assert!(long.parts[0].doubtful && long.parts.len() < 70);
    let deep = (0..200).map(|at| {
        let around = if at == 0 {
            String::new()
        } else {
            format!("{}", at - 1)
        };
        format!("--b{around}\r\nContent-Type: multipart/mixed; boundary=b{at}\r\n\r\n")
    });
    let deep = deep.collect::<String>();
    let joined = format!("{fields}{}", deep.replace("\r\n\r\n", "\r\n"));
    oracle::holds(joined.as_bytes(), 0, &[1000]);
    let deep = mixed(&deep);
    assert_eq!(deep.parts.len(), 51);
    assert!(deep.parts[50].doubtful && !deep.parts[50].open);
}

#[test]
fn signed_content_stays_byte_for_byte() {
    let signed = String::from_utf8(message("smime-signed")).unwrap();
    let scan = "Content-Type: application/pdf\r\n\r\nx\r\n";
    let sent = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{signed}\r\n--b\r\n{scan}--b--\r\n"
    );
    let header = Header::split(sent.as_bytes(), true).unwrap().body;
    let (header, body) = sent.split_at(header);

    let split = taken(sent.as_bytes());
    let gone = split.outgoing(&Outgoing {
        header: header.to_owned().into(),
        body: vec![Piece::Bytes(body.to_owned().into())],
    });

    assert_eq!(split.attachments.len(), 1);
    let pieces = gone.body.iter().map(|piece| match piece {
        Piece::Bytes(bytes) => bytes.to_vec(),
        Piece::File { .. } => panic!("in memory"),
    });
    let kept = pieces.collect::<Vec<_>>().concat();
    assert_eq!(kept, format!("--b\r\n{signed}\r\n--b--\r\n").as_bytes());
}

#[tokio::test]
async fn a_message_in_a_file_is_split_and_its_attachment_is_read_back() {
    let scan: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let lines = base64::prelude::BASE64_STANDARD.encode(&scan);
    let lines: Vec<&[u8]> = lines.as_bytes().chunks(76).collect();
    let header = b"Subject: scan\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    let begin = b"--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/pdf\r\n\
        Content-Transfer-Encoding: base64\r\n\r\n";
    let content = [
        &header[..],
        begin,
        &lines.join(&b"\r\n"[..]),
        b"\r\n--b--\r\n",
    ]
    .concat();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    let whole = Outgoing {
        header: Bytes::from_static(header),
        body: vec![Piece::File {
            path: file.path().to_owned(),
            offset: header.len() as u64,
            size: (content.len() - header.len()) as u64,
        }],
    };

    let top = Header::split(&whole.header, true).unwrap();
    let found = structure(&top, Reader::new(whole.body.clone()))
        .await
        .unwrap();
    let split = Split::of(&found, header.len() as u64, 3_000_000).unwrap();
    let mut gone = split.outgoing(&whole).reader();
    let mut kept = Vec::new();
    while let Some(bytes) = gone.next().await.unwrap() {
        kept.extend_from_slice(&bytes);
    }
    let mut reading = split.attachments[0].read(&whole, 1_000_001);
    let mut read = Vec::new();
    while let Some(bytes) = reading.next().await.unwrap() {
        read.extend_from_slice(&bytes);
    }

    assert_eq!(
        kept,
        [&header[..], b"--b\r\n\r\ntext\r\n--b--\r\n"].concat()
    );
    assert_eq!(split.attachments[0].size, scan.len() as u64);
    assert_eq!(split.attachments[0].name, "attachment.pdf");
    assert!(read == scan[1_000_001..]);
}
