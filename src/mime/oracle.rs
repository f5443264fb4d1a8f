//! What must hold for every message that is split, in one place for the fuzzer (`fuzz/`),
//! proptest, and the replay of `fuzz/seeds` and `fuzz/findings`. The oracle panics where
//! it does not hold.
//!
//! Not part of the relay: only compiled with `cfg(test)` and `cfg(fuzzing)`.

use std::ops::Range;

use super::Encoding;
use super::Header;
use super::Kept;
use super::Part;
use super::References;
use super::Root;
use super::Split;
use super::Structure;
use super::Unsplittable;
use super::body::decode::Decoder;
use super::body::scan::Scan;
use super::body::scan::parts_of;
use super::quoted_printable_as_base64;

/// Tries a message with LF as line end. Its first line has the limit, a number, and the
/// length of the pieces in which it is read.
pub fn structure(input: &[u8]) {
    let mut halves = input.splitn(2, |byte| *byte == b'\n');
    let first = String::from_utf8_lossy(halves.next().unwrap_or_default());
    let mut numbers = first
        .split(' ')
        .map(|word| word.trim().parse().unwrap_or(0));
    let limit: u64 = numbers.next().unwrap_or(0);
    let cuts: Vec<usize> = numbers.map(|at| usize::try_from(at).unwrap_or(0)).collect();
    let bytes = halves.next().unwrap_or_default().iter();
    let mut message = Vec::new();
    for byte in bytes.filter(|byte| !matches!(byte, 0 | b'\r')) {
        match byte {
            b'\n' => message.extend_from_slice(b"\r\n"),
            byte => message.push(*byte),
        }
    }
    holds(&message, limit, &cuts);
}

/// Tries a message; the limit is that of its body.
pub(super) fn holds(message: &[u8], limit: u64, cuts: &[usize]) {
    let header = Header::split(message, true).expect("all of it is there");
    let body = &message[header.body..];
    let found = scanned(&header, body);
    in_pieces(&header, body, cuts, &found);
    unmeasured(&header, body, found.clone());
    is_well_formed(&found, body);
    let size = header.body as u64;
    match Split::of(&found, size, size + limit) {
        Ok(split) => taken_apart(&header, body, &found, &split, limit),
        // With everything taken that can be, it is as small as possible.
        Err(Unsplittable::TooLarge { rest, .. }) => {
            let split = Split::of(&found, size, rest).expect("it fits");
            taken_apart(&header, body, &found, &split, rest - size);
        }
        Err(error @ Unsplittable::AttachmentTooLarge { .. }) => panic!("{error}"),
    }
    let fields = &message[..header.body];
    if let Some((header, body)) = quoted_printable_as_base64(fields, body) {
        says_the_same(&found, &message[fields.len()..], &header, &body);
        assert_eq!(quoted_printable_as_base64(&header, &body), None);
    }
}

pub(super) fn scanned(header: &Header<'_>, body: &[u8]) -> Structure {
    let mut scan = Scan::new(header);
    scan.feed(body);
    scan.finish()
}

/// It has the same parts if nobody measures them.
fn unmeasured(header: &Header<'_>, body: &[u8], mut found: Structure) {
    let outlined = parts_of(header, body);
    found.references = References::default();
    for (part, other) in found.parts.iter_mut().zip(&outlined.parts) {
        part.decoded = 0;
        part.part_headers.encoding = other.part_headers.encoding;
    }
    assert_eq!(found, outlined);
}

/// The result does not depend on how it is cut.
fn in_pieces(header: &Header<'_>, mut body: &[u8], cuts: &[usize], found: &Structure) {
    let mut scan = Scan::new(header);
    let mut cuts = cuts.iter().copied().filter(|cut| *cut > 0).cycle();
    while !body.is_empty() {
        let cut = cuts.next().unwrap_or(1).min(body.len());
        let (piece, rest) = body.split_at(cut);
        scan.feed(piece);
        body = rest;
    }
    assert_eq!(&scan.finish(), found);
}

/// Parts are within the part that contains them, one after the other; the content of a
/// part has the reported size.
fn is_well_formed(found: &Structure, body: &[u8]) {
    assert_eq!(found.size, body.len() as u64);
    assert_eq!(found.parts[0].whole, 0..found.size);
    for (at, part) in found.parts.iter().enumerate() {
        let whole = &part.whole;
        assert!(whole.start <= part.header.start && part.header.end <= part.body.start);
        assert!(part.header.start <= part.header.end && part.body.start <= part.body.end);
        assert!(
            part.body.end <= whole.end && whole.end <= found.size,
            "{at} {part:?}"
        );
        assert_eq!(part.parent.is_none(), at == 0);
        if let Some(parent) = part.parent {
            let around = &found.parts[parent];
            assert!(parent < at && around.open);
            assert!(around.body.start <= whole.start && whole.end <= around.whole.end);
            let before = found.parts[..at].iter().rev();
            let mut before = before.filter(|it| it.parent == Some(parent));
            assert!(before.next().is_none_or(|it| it.whole.end == whole.start));
            assert!(bytes(body, whole).starts_with(b"--"));
        }
        if !part.open {
            assert_eq!(decoded(part, body).len() as u64, part.decoded, "{part:?}");
        }
    }
}

/// The rest and what was taken equal the original.
fn taken_apart(header: &Header<'_>, body: &[u8], found: &Structure, split: &Split, limit: u64) {
    let mut kept = Vec::new();
    let mut from = 0;
    for piece in &split.kept {
        match piece {
            Kept::Range(range) => {
                assert!(range.start >= from && range.start < range.end);
                from = range.end;
                kept.extend_from_slice(bytes(body, range));
            }
            Kept::Inserted(bytes) => kept.extend_from_slice(bytes),
        }
    }
    let mut taken = split.attachments.iter().map(|it| (&it.range, it.size));
    let is_taken = |part: &Part| {
        let mut all = split.attachments.iter();
        !part.open && all.any(|it| it.range == as_file(part).0)
    };
    for part in found.parts.iter().filter(|part| is_taken(part)) {
        let (range, size) = as_file(part);
        assert_eq!(taken.next(), Some((&range, size)));
        let around = std::iter::successors(Some(part), |part| found.parts.get(part.parent?));
        for it in around {
            assert!(!it.doubtful || std::ptr::eq(it, part), "{it:?}");
            let kind = it.part_headers.content_type.as_str();
            assert!(!matches!(
                kind,
                "multipart/signed" | "multipart/encrypted" | "multipart/report"
            ));
        }
    }
    assert_eq!(taken.next(), None);
    if split.root == Root::Replaced {
        assert!(kept.is_empty() && split.attachments.len() == 1);
        return;
    }
    assert!(kept.len() as u64 <= limit);
    let again = scanned(header, &kept);
    let shown = kept.escape_ascii();
    if split.attachments.is_empty() {
        assert_eq!(kept, body);
    }
    // An empty text replaces the parts if all were taken.
    let stays = found.parts.iter().filter(|part| !is_taken(part));
    let mut stays = stays.map(|part| outline(part, found, body)).peekable();
    for part in &again.parts {
        let outline = outline(part, &again, &kept);
        if stays.peek() == Some(&outline) {
            stays.next();
        } else {
            assert_eq!(outline.1, b"", "{shown}");
            assert_eq!(part.part_headers.content_type, "text/plain", "{shown}");
        }
    }
    assert_eq!(stays.next(), None, "{shown}");
}

/// The position and size of the file that a part becomes; one that cannot be decoded
/// includes its header section.
fn as_file(part: &Part) -> (Range<u64>, u64) {
    if part.part_headers.encoding == Encoding::Unknown {
        let range = part.header.start..part.body.end;
        let size = range.end - range.start;
        return (range, size);
    }
    (part.body.clone(), part.decoded)
}

/// The depth of a part, its content with its header section, and whether it may be
/// changed.
fn outline(part: &Part, of: &Structure, body: &[u8]) -> (usize, Vec<u8>, bool, Vec<u8>) {
    let around = std::iter::successors(Some(part), |part| of.parts.get(part.parent?));
    let says = match part.open {
        true => Vec::new(),
        false => bytes(body, &part.body).to_vec(),
    };
    let header = bytes(body, &part.header).to_vec();
    (around.count(), says, part.doubtful, header)
}

/// Each part has the same content when it is written in base64.
fn says_the_same(before: &Structure, body: &[u8], new_header: &[u8], new_body: &[u8]) {
    let header = Header::split(new_header, true).expect("all of it is there");
    let after = scanned(&header, new_body);
    assert_eq!(before.parts.len(), after.parts.len());
    for (old, new) in before.parts.iter().zip(&after.parts) {
        assert_eq!(old.part_headers.content_type, new.part_headers.content_type);
        assert_eq!((old.open, old.doubtful), (new.open, new.doubtful));
        if old.open {
            continue;
        }
        assert_eq!(decoded(old, body), decoded(new, new_body), "{old:?}");
        if old.part_headers.encoding != Encoding::QuotedPrintable {
            assert_eq!(bytes(body, &old.body), bytes(new_body, &new.body));
        }
    }
}

fn bytes<'b>(body: &'b [u8], range: &Range<u64>) -> &'b [u8] {
    let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).expect("in memory"));
    &body[start..end]
}

/// The content of a part.
pub(super) fn decoded(part: &Part, body: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(part.part_headers.encoding);
    let mut decoded = Vec::new();
    decoder.feed(bytes(body, &part.body), &mut decoded);
    decoder.finish(&mut decoded);
    decoded
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;
    use mail_parser::PartType;
    use proptest::prelude::*;

    use super::*;
    use crate::mime::Outgoing;
    use crate::mime::Piece;

    #[test]
    fn seeds_and_findings_of_structure_hold() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let mut count = 0;
        for kind in ["seeds", "findings"] {
            let Ok(files) = std::fs::read_dir(root.join(kind).join("structure")) else {
                continue;
            };
            for file in files {
                let path = file.unwrap().path();
                println!("{}", path.display()); // Shown if it does not hold.
                structure(&std::fs::read(path).unwrap());
                count += 1;
            }
        }
        assert!(count > 0);
    }

    /// A part as a program writes it: fields and body, or a multipart of parts.
    fn part() -> impl Strategy<Value = String> {
        let encoding = prop_oneof![
            "[ -,.-~]{0,60}".prop_map(|text| format!("\r\n{}", text.trim_end())),
            "([g-z.]{1,9}|=3D|=\r\n){0,20}z".prop_map(|text| format!(
                "Content-Transfer-Encoding: quoted-printable\r\n\r\n{text}"
            )),
            "(([a-zA-Z0-9]{4}){1,5}\r\n){0,9}QUI="
                .prop_map(|text| format!("Content-Transfer-Encoding: base64\r\n\r\n{text}")),
        ];
        let fields = prop_oneof![
            Just("Content-Type: text/plain\r\n"),
            Just("Content-Type: text/html; charset=utf-8\r\nContent-ID: <a@b>\r\n"),
            Just("Content-Type: application/pdf; name=a.pdf\r\n"),
            Just("Content-Disposition: attachment; filename=\"b.txt\"\r\n"),
            Just("Content-Type: image/png\r\nContent-Disposition: inline\r\nContent-ID: <i@b>\r\n"),
        ];
        let leaf = (fields, encoding).prop_map(|(fields, rest)| format!("{fields}{rest}"));
        let within = "Content-Type: message/rfc822\r\n\r\nSubject: a\r\n\r\n[a-z]{0,40}";
        let leaf = prop_oneof![4 => leaf, 1 => within];
        let kind = prop_oneof![
            "mixed",
            "related",
            "alternative",
            "signed",
            "report",
            "digest"
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            let parts = proptest::collection::vec(inner, 1..4);
            (kind.clone(), "[a-z]{3}", parts, "(preamble\r\n)?").prop_map(multipart)
        })
    }

    fn multipart(
        (kind, boundary, parts, preamble): (String, String, Vec<String>, String),
    ) -> String {
        // No boundary is the beginning of another, or of an open one.
        let depth = parts.concat().matches("boundary").count();
        let boundary = format!("_{boundary}.{depth}.");
        let parts = parts
            .iter()
            .map(|part| format!("--{boundary}\r\n{part}\r\n"));
        let parts: String = parts.collect();
        format!(
            "Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n\r\n{preamble}{parts}--{boundary}--"
        )
    }

    fn whole(message: &Outgoing) -> Vec<u8> {
        let pieces = message.body.iter().map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.to_vec(),
            Piece::File { .. } => panic!("in memory"),
        });
        let mut whole = message.header.to_vec();
        whole.extend(pieces.flatten());
        whole
    }

    /// The contents of the parts according to mail-parser; an attached message is one
    /// part.
    fn leaves(message: &[u8]) -> Vec<String> {
        let read = MessageParser::new().parse(message).unwrap();
        let parts = read.parts.iter();
        let leaves = parts.filter(|part| !part.is_multipart());
        let says = leaves.map(|part| match &part.body {
            PartType::Message(within) if part.encoding != mail_parser::Encoding::None => {
                within.raw_message.to_vec()
            }
            PartType::Message(_) => {
                let range = [part.raw_body_offset(), part.raw_end_offset()].map(u64::from);
                bytes(message, &(range[0]..range[1])).to_vec()
            }
            PartType::Text(_)
            | PartType::Html(_)
            | PartType::Binary(_)
            | PartType::InlineBinary(_)
            | PartType::Multipart(_) => part.contents().to_vec(),
        });
        says.map(|says| String::from_utf8_lossy(&says).into_owned())
            .collect()
    }

    proptest! {
        #[test]
        fn the_parts_of_a_split_message_equal_the_original(
            message in part(),
            limit in 0..3000_u64,
            cuts in proptest::collection::vec(0..90_usize, 0..5),
        ) {
            holds(message.as_bytes(), limit, &cuts);
            holds(format!("{message}\r\n").as_bytes(), limit, &cuts);
        }

        #[test]
        fn the_parts_of_a_truncated_or_altered_message_equal_the_original(
            message in part(),
            limit in 0..3000_u64,
            at in any::<prop::sample::Index>(),
            instead in "(|--|\r\n|--_abc.0.\r\n|\r\n--_abc.0.--\r\n|=|Content-Type: multipart/mixed; boundary=a\r\n| )",
            cuts in proptest::collection::vec(0..90_usize, 0..5),
        ) {
            let at = at.index(message.len());
            holds(&message.as_bytes()[..at], limit, &cuts);
            let [before, behind] = [&message[..at], &message[at..]];
            let disturbed = format!("{before}{instead}{behind}").replace("\r\r", "\r");
            holds(disturbed.as_bytes(), limit, &cuts);
        }

        #[test]
        fn mail_parser_finds_the_same_content_after_splitting(
            message in part(),
            limit in 0..3000_u64,
        ) {
            if message.contains("/digest") {
                return Ok(()); // It takes a delimiter for a field of a message within.
            }
            let message = format!("{message}\r\n").into_bytes();
            let header = Header::split(&message, true).unwrap();
            let (head, body) = message.split_at(header.body);
            let found = scanned(&header, body);
            let size = header.body as u64;
            let split = match Split::of(&found, size, size + limit) {
                Err(Unsplittable::TooLarge { rest, .. }) => Split::of(&found, size, rest),
                split => split,
            };
            let split = split.unwrap();

            let outgoing = split.outgoing(&Outgoing {
                header: head.to_vec().into(),
                body: vec![Piece::Bytes(body.to_vec().into())],
            });

            let mut after = leaves(&whole(&outgoing));
            for attachment in &split.attachments {
                let mut decoder = Decoder::new(attachment.encoding);
                let mut decoded = Vec::new();
                decoder.feed(bytes(body, &attachment.range), &mut decoded);
                decoder.finish(&mut decoded);
                after.push(String::from_utf8_lossy(&decoded).into_owned());
            }
            let mut before = leaves(&message);
            for leaves in [&mut before, &mut after] {
                leaves.retain(|leaf| !leaf.is_empty());
                leaves.sort();
            }
            prop_assert_eq!(after, before);
        }

        #[test]
        fn mail_parser_finds_the_same_parts_at_the_same_places(message in part()) {
            let message = format!("{message}\r\n");
            let header = Header::split(message.as_bytes(), true).unwrap();
            let body = &message.as_bytes()[header.body..];
            let ours = scanned(&header, body);

            if ours.parts.iter().any(|part| part.part_headers.is_message()) {
                return Ok(()); // It goes into those, and counts their parts with theirs.
            }

            let theirs = MessageParser::new().parse(message.as_bytes()).unwrap();

            prop_assert_eq!(ours.parts.len(), theirs.parts.len());
            for (at, (ours, theirs)) in ours.parts.iter().zip(&theirs.parts).enumerate() {
                prop_assert!(!ours.doubtful);
                let base = header.body as u64;
                prop_assert_eq!(ours.body.start + base, u64::from(theirs.raw_body_offset()));
                if at > 0 {
                    prop_assert_eq!(ours.header.start + base, u64::from(theirs.raw_header_offset()));
                }
                prop_assert_eq!(ours.open, matches!(theirs.body, PartType::Multipart(_)));
                if !ours.open {
                    if at > 0 {
                        prop_assert_eq!(ours.body.end + base, u64::from(theirs.raw_end_offset()));
                    }
                    // It converts texts to UTF-8.
                    let decoded = decoded(ours, body);
                    let text = String::from_utf8_lossy(&decoded);
                    let says = match theirs.is_text() {
                        true => text.as_bytes(),
                        false => &decoded,
                    };
                    prop_assert_eq!(says, theirs.contents());
                }
            }
        }
    }
}
