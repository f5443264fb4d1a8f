//! A part is the same file in both forms: taken out of a large message (`body/split.rs`),
//! and in JSON (`json/mod.rs`).

use proptest::prelude::*;

use super::Detached;
use super::Encoding;
use super::Header;
use super::JsonMessage;
use super::JsonMessageError;
use super::Split;
use super::Unsplittable;
use super::oracle;

/// A file: its name, its type, its bytes.
type File = (String, String, Vec<u8>);

/// Everything that can be taken out of a message.
fn taken(message: &[u8]) -> Vec<File> {
    let header = Header::split(message, true).unwrap();
    let body = &message[header.body..];
    let found = oracle::scanned(&header, body);
    let split = match Split::of(&found, 0, 0) {
        Ok(split) => split,
        Err(Unsplittable::TooLarge { rest, .. }) => Split::of(&found, 0, rest).unwrap(),
        Err(error) => panic!("{error}"),
    };
    let files = split.attachments.iter().filter(|file| !is_whole_part(file));
    let files = files.map(|file| {
        let [start, end] =
            [file.range.start, file.range.end].map(|at| usize::try_from(at).unwrap());
        let content = super::body::decode::decoded(file.encoding, &body[start..end]).unwrap();
        assert_eq!(content.len() as u64, file.size);
        (file.name.clone(), file.content_type.clone(), content)
    });
    files.collect()
}

/// Whether it is a part with its header section, which programs decode when they open it.
fn is_whole_part(file: &Detached) -> bool {
    file.name == "attachment.eml" && file.encoding == Encoding::Identity
}

fn in_json(message: &[u8]) -> Result<Vec<File>, JsonMessageError> {
    let files = JsonMessage::of(message)?.attachments.into_iter();
    Ok(files
        .map(|file| (file.name, file.media_type, file.content.to_vec()))
        .collect())
}

fn mixed(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut message = b"Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n".to_vec();
    for part in parts {
        message.extend_from_slice(&[b"--=_b\r\n", &part[..], b"\r\n"].concat());
    }
    message.extend_from_slice(b"--=_b--\r\n");
    message
}

#[test]
fn files_of_real_programs_are_the_same_in_both_forms() {
    let types = "Content-Type: application/pdf";
    for (fields, body, name, content) in [
        (
            "Content-Transfer-Encoding: base64;",
            "JVBERi0xLjQK",
            "a.pdf",
            "%PDF-1.4\n",
        ),
        (
            "Content-Transfer-Encoding: \"base64\"",
            "JVBERi0xLjQK",
            "a.pdf",
            "%PDF-1.4\n",
        ),
        (
            "Content-Transfer-Encoding: base64 (rfc 2045)",
            "JVBERi0xLjQK",
            "a.pdf",
            "%PDF-1.4\n",
        ),
        (
            "Content-Transfer-Encoding: base64",
            "JVBERi0x!\r\n LjQK",
            "a.pdf",
            "%PDF-1.4\n",
        ),
        (
            "Content-Transfer-Encoding: base64",
            "JVBERi0xLjQK\r\n--\r\nScanned by an appliance.",
            "a.pdf",
            "%PDF-1.4\n",
        ),
        ("Content-Transfer-Encoding: base64", "aGV-", "a.pdf", "he~"),
        (
            "Content-Transfer-Encoding: x-uuencode",
            "begin 644 a.pdf\r\n#86)C\r\n`\r\nend",
            "a.pdf",
            "abc",
        ),
        (
            "Content-Transfer-Encoding: Quoted Printable",
            "x=yes=3D",
            "a.pdf",
            "x=yes=",
        ),
    ] {
        let disposition = "Content-Disposition: attachment;\r\nfilename=\"C:\\scan\\a.pdf\"";
        let file = format!("{types}\r\n{fields}\r\n{disposition}\r\n\r\n{body}");
        let message = mixed(&[b"\r\nHello".to_vec(), file.into_bytes()]);

        let expected = vec![(
            name.to_owned(),
            "application/pdf".to_owned(),
            content.into(),
        )];
        assert_eq!(in_json(&message).unwrap(), expected, "{fields}");
        assert_eq!(taken(&message), expected, "{fields}");
    }
}

#[test]
fn a_part_without_an_empty_line_before_its_body_is_the_same_file_in_both_forms() {
    let file = b"Content-Type: application/pdf; name=a.pdf\r\n\
        Content-Transfer-Encoding: base64\r\nJVBERi0xLjQK";
    let message = mixed(&[b"\r\nHello".to_vec(), file.to_vec()]);

    let kind = "application/pdf".to_owned();
    let expected = vec![("a.pdf".to_owned(), kind, b"%PDF-1.4\n".to_vec())];
    assert_eq!(in_json(&message).unwrap(), expected);
    assert_eq!(taken(&message), expected);
}

#[test]
fn a_part_that_cannot_be_decoded_for_certain_is_a_decoded_file_in_neither_form() {
    for (encoding, body) in [
        ("base64", "JVBERi0xLjQKJ"),
        ("base64", "JVBERi0xLjQKJQ==\r\n\r\nConfidential"),
        ("7bit, base64", "JVBERi0xLjQK"),
        ("x-uuencode", "begin 644 a\r\n#86)C"),
        ("x-yencode", "=ybegin"),
    ] {
        let file = format!(
            "Content-Type: application/pdf; name=a.pdf\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\r\n{body}"
        );
        let message = mixed(&[b"\r\nHello".to_vec(), file.into_bytes()]);

        let name = "a.pdf".to_owned();
        assert_eq!(
            in_json(&message),
            Err(JsonMessageError::Undecodable { name })
        );
        assert_eq!(taken(&message), [], "{encoding}");
    }
}

/// A part as it arrives, with its fields in any of the forms that programs write.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let types = prop::sample::select(vec![
        "Content-Type: application/pdf",
        "Content-Type: image/tiff",
        "Content-Type: IMAGE / png (x)",
        "Content-Type: text/csv; charset=gb18030",
        "Content-Type: text/plain; charset=shift_jis",
        "Content-Type: message/rfc822",
        "Content-Type: application/pdf, name=a.pdf",
        "Content-Type: application/x-unheard-of;\r\n name*1=b;\r\n name*0=\"a \"",
        "Content-Type: pdf",
        "Content-Type: application/pdf\r\nContent-ID: <i@b>",
    ]);
    let names = prop::sample::select(vec![
        &b""[..],
        b"Content-Disposition: attachment\r\n",
        b"Content-Disposition: attachment; filename=\"\xb2\xe2\xca\xd4.pdf\"\r\n",
        b"Content-Disposition: attachment;\r\nfilename=\"a.pdf\"\r\n",
        b"Content-Disposition: attachment; filename=\"C:\\a\\b.pdf\"\r\n",
        b"Content-Disposition: attachment; filename*0*=utf-8''%C3; filename*1*=%BC.pdf\r\n",
        b"Content-Disposition: inline; filename==?utf-8?B?w7wucGRm?=; size=3\r\n",
        b"Content-Disposition: attachment; filename=x; filename*=''%FC.pdf\r\n",
    ]);
    let encoding = prop::sample::select(vec![
        "",
        "base64",
        "BASE64;",
        "\"base64\"",
        "quoted-printable",
        "x-uuencode",
        "8bit",
        "base64, 7bit",
    ]);
    let body = prop_oneof![
        "([A-Za-z0-9+/]{4}){0,30}={0,2}",
        "([A-Za-z0-9_-]{4}(\r\n)?){0,30}",
        "([A-Za-z0-9+/]{4}){1,9}\r\n--\r\nChecked by an appliance[.]",
        "begin 644 a\r\n(#86[)]C\r\n){0,3}`\r\nend",
        "[ -,.-~]{0,60}",
    ];
    (types, names, encoding, body).prop_map(|(types, names, encoding, body)| {
        let encoding = match encoding {
            "" => String::new(),
            encoding => format!("Content-Transfer-Encoding: {encoding}\r\n"),
        };
        let before = format!("{types}\r\n{encoding}");
        [before.as_bytes(), names, b"\r\n", body.as_bytes()].concat()
    })
}

proptest! {
    #[test]
    fn both_forms_give_the_same_names_and_bytes(parts in prop::collection::vec(part(), 1..5)) {
        let message = mixed(&parts);

        let taken = taken(&message);

        match in_json(&message) {
            Ok(files) => {
                for file in &taken {
                    prop_assert!(files.contains(file), "{:?} is not in {:?}", file, files);
                }
            }
            Err(JsonMessageError::Undecodable { .. }) => {
                let header = Header::split(&message, true).unwrap();
                let found = oracle::scanned(&header, &message[header.body..]);
                prop_assert!(found.parts.iter().any(|part| part.part_headers.encoding == Encoding::Unknown));
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
