//! Every encoding as programs write it, and as it arrives.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use base64::prelude::BASE64_URL_SAFE;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::*;
use crate::mime::Piece;

fn read<'a>(encoding: Encoding, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Verdict) {
    let mut decoder = Decoder::new(encoding);
    let mut decoded = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut decoded);
    }
    decoder.finish(&mut decoded);
    (decoded, decoder.verdict())
}

#[test]
fn an_encoding_is_known_whatever_stands_around_its_name() {
    use Encoding as E;
    for (field, expected) in [
        ("base64", E::Base64),
        ("BASE64;", E::Base64),
        ("\"base64\"", E::Base64),
        ("'base64'", E::Base64),
        ("base64 (rfc 2045)", E::Base64),
        ("(rfc 2045) base64", E::Base64),
        ("base64, base64", E::Base64),
        ("base64; charset=utf-8", E::Base64),
        ("x-base64", E::Base64),
        ("base_64.", E::Base64),
        ("quoted-printable", E::QuotedPrintable),
        ("Quoted Printable", E::QuotedPrintable),
        ("quoted_printable;", E::QuotedPrintable),
        ("x-uuencode", E::Uuencode),
        ("uuencode", E::Uuencode),
        ("x-uue", E::Uuencode),
        ("7bit", E::Identity),
        ("7 Bit", E::Identity),
        ("8bit;", E::Identity),
        ("binary", E::Identity),
        ("utf-8", E::Identity),
        ("ISO-8859-1", E::Identity),
        ("", E::Identity),
        ("(none)", E::Identity),
        ("base64, 7bit", E::Unknown),
        ("quoted-printable base64", E::Unknown),
        ("x-yencode", E::Unknown),
        ("mac-binhex40", E::Unknown),
    ] {
        assert_eq!(Encoding::named(field), expected, "{field}");
    }
}

/// Base64 as it arrives, and what was encoded, if that is certain.
#[rustfmt::skip]
const BASE64: &[(&[u8], Option<&[u8]>)] = &[
    (b"", Some(b"")),
    (b"aGVsbG8=", Some(b"hello")),
    (b"aGVs\r\n bG8=\r\n", Some(b"hello")),
    (b"+/+/", Some(b"\xfb\xff\xbf")),
    // Padding: missing, doubled, in the middle, or where none is needed.
    (b"aGVsbG8", Some(b"hello")),
    (b"aGVsbG8==", Some(b"hello")),
    (b"aGVsbA=", Some(b"hell")),
    (b"aGVsbG8=aGVsbG8=", Some(b"hellohello")),
    (b"aGVsbG8=\r\naGVsbA==\r\n", Some(b"hellohell")),
    (b"====", Some(b"")),
    (b"aGVs=\r\nbG8=\r\n", Some(b"hello")),
    (b"aGVsbG9=", Some(b"hello")),
    // Stray characters (RFC 2045 6.8).
    (b"aGVs*bG8=", Some(b"hello")),
    (b"aGVs!\r\n bG8=", Some(b"hello")),
    (b"> aGVs\r\n> bG8=", Some(b"hello")),
    (b"aGVs\x00\xffbG8=!", Some(b"hello")),
    (b"a G V s b G 8 =", Some(b"hello")),
    (b"JVBERi0xLjQK\r\n!\r\n", Some(b"%PDF-1.4\n")),
    // Footers.
    (b"JVBERi0xLjQK\r\n--\r\nScanned by an appliance.\r\n", Some(b"%PDF-1.4\n")),
    (b"JVBERi0xLjQK\r\n\r\nThis mail was checked for viruses.\r\nhttps://example.org/\r\n", Some(b"%PDF-1.4\n")),
    (b"aGVsbG8=\r\n_______________\r\nstaff mailing list\r\nstaff@example.org\r\n", Some(b"hello")),
    (b"aGVsbG8=\r\nVertraulich: nur f\xc3\xbcr Empf\xc3\xa4nger\r\n", Some(b"hello")),
    // Something is missing, or the meaning is unclear.
    (b"aGVsb", None),
    (b"aGVsbG", None),
    (b"a===", None),
    (b"aGVsbA=aGVsbG8=", None),
    (b"aGVsbG8=3D\r\n", None),
    (b"aGVsbG8=\r\n\r\nConfidential\r\n", None),
    (b"filename=\"scan.pdf\"\r\n\r\nJVBERi0xLjQK", None),
    (b"This is no base64 at all.", None),
    // The other alphabet (RFC 4648 5), which the letters show.
    (b"--__", None),
    (b"aGVs-bG8=", Some(b"hello")),
    (b"aGV-", Some(b"he~")),
    (b"-_-_aGVs", None),
    (b"-_-_aGVsbG8", None),
    (b"_-8aGVsbG8=", None),
];

#[test]
fn base64_is_read_or_said_to_be_doubtful() {
    for (encoded, expected) in BASE64 {
        let found = decoded(Encoding::Base64, encoded);
        assert_eq!(found.as_deref(), *expected, "{}", encoded.escape_ascii());
    }
}

#[test]
fn quoted_printable_is_read_as_receivers_read_it() {
    for (encoded, expected) in [
        (&b"a=3Db"[..], &b"a=b"[..]),
        (b"a=3db=c3=bc", b"a=b\xc3\xbc"),
        (b"a \t\r\nb", b"a\r\nb"),
        (b"a =\r\nb", b"a b"),
        (b"a= \t\r\nb", b"ab"),
        (b"a=20\r\nb", b"a \r\nb"),
        (b"a\nb", b"a\nb"),
        (b"a=", b"a"),
        (b"a  ", b"a"),
        (b"a=4", b"a=4"),
        (b"a=ZZ=3", b"a=ZZ=3"),
        (b"a==3D", b"a=="),
        (b"a=4=3D", b"a=4="),
        (b"a= b", b"a= b"),
        (b"a b  c", b"a b  c"),
        (b"?id=x&y=yes>Gr=C3=BC", b"?id=x&y=yes>Gr\xc3\xbc"),
    ] {
        let shown = encoded.escape_ascii();
        let (read, verdict) = read(Encoding::QuotedPrintable, [encoded]);
        assert_eq!(
            read.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "{shown}"
        );
        assert_eq!(verdict, Verdict::Certain);
    }
}

#[test]
fn uuencoded_files_are_read_or_said_to_be_doubtful() {
    for (encoded, expected) in [
        ("begin 644 a.txt\r\n#86)C\r\n`\r\nend\r\n", Some("abc")),
        ("\r\nbegin 0644 a b.txt\r\n#86)C\r\n \r\nend", Some("abc")),
        (
            "begin 644 a\r\n#86)C\r\n\r\nend\r\n\r\nScanned.\r\n",
            Some("abc"),
        ),
        ("begin 644 a\r\n$86)C9\r\nend\r\n", Some("abcd")),
        ("begin 644 a\r\n\"86(\r\n\r\nend\r\n", Some("ab")),
        ("begin 644 a\r\n#86)CX\r\n`\r\nend\r\n", Some("abc")),
        ("begin-base64 644 a\r\nYWJj\r\n====\r\n", Some("abc")),
        ("begin 644 a\r\n`\r\nend\r\n", Some("")),
        // Truncated, damaged, without a beginning, two files.
        ("begin 644 a\r\n#86)C\r\n`\r\n", None),
        ("begin 644 a\r\n#86)C\r\n", None),
        ("begin 644 a\r\n&86)C`\r\n`\r\nend\r\n", None),
        ("begin 644 a\r\n#86)Cxyz\r\n`\r\nend\r\n", None),
        ("begin 644 a\r\n#86)C86)C\r\n`\r\nend\r\n", None),
        ("#86)C\r\n`\r\nend\r\n", None),
        (
            "begin 644 a\r\n`\r\nend\r\nbegin 644 b\r\n`\r\nend\r\n",
            None,
        ),
        ("text", None),
    ] {
        let found = decoded(Encoding::Uuencode, encoded.as_bytes());
        let found = found.map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(found.as_deref(), expected, "{encoded}");
    }
}

#[test]
fn the_alphabet_of_urls_is_recognised() {
    let bytes: Vec<u8> = (0..=255).rev().collect();
    let text = BASE64_URL_SAFE.encode(&bytes);
    let lines: Vec<&[u8]> = text.as_bytes().chunks(76).collect();
    let text = [&lines.join(&b"\r\n"[..])[..], b"\r\n"].concat();

    assert_eq!(read(Encoding::Base64, [&text[..]]).1, Verdict::UrlSafe(256));
    assert_eq!(decoded(Encoding::Base64, &text), Some(bytes));
}

#[test]
fn a_line_of_dashes_may_be_data_in_the_alphabet_of_urls() {
    let zeros = "A".repeat(59);
    for (encoded, expected) in [
        // The last letter, a whole line in the middle, and one with something else after
        // it.
        (format!("{zeros}\r\n-"), Verdict::Doubtful),
        ("AAAA\r\n-_-_\r\nAAAA".to_owned(), Verdict::Doubtful),
        ("AAAA-_-_AAAA\r\n***".to_owned(), Verdict::Doubtful),
        (
            "AAAA-_-_AAAA\r\n--\r\nChecked by us all.".to_owned(),
            Verdict::Doubtful,
        ),
        ("----\r\n".to_owned(), Verdict::Doubtful),
        ("AAAA\r\nI_s-Fabvvobvdfvvglbv".to_owned(), Verdict::Doubtful),
        // Not if the letters before it end the data.
        ("AAAA\r\n-- \r\n".to_owned(), Verdict::Certain),
        ("YQ==\r\n----\r\n".to_owned(), Verdict::Certain),
        ("++AA\r\n----\r\n".to_owned(), Verdict::Certain),
        (
            "AAAA\r\n----\r\nChecked by us all.".to_owned(),
            Verdict::Certain,
        ),
    ] {
        let (_, verdict) = read(Encoding::Base64, [encoded.as_bytes()]);
        assert_eq!(verdict, expected, "{encoded}");
    }
}

#[test]
fn data_with_many_strays_in_it_is_no_footer() {
    for encoded in [
        "AAAA\r\nAA\x00Caaacas\x0bg\x00AAAAAAAA\x00Caa",
        "AAAA\r\nAA.Caaacas g AAAAAAAA.Caag\r\n==",
        "AAAA\r\nAfaaa+Aaaaaa AA==",
    ] {
        let (_, verdict) = read(Encoding::Base64, [encoded.as_bytes()]);
        assert_eq!(verdict, Verdict::Doubtful, "{encoded}");
    }
    let line = b"xDBkqxMzuUKI0RB5Zpf[Kq\x1862GXT1SZIIw1FN4t31eZ\xbarr+Vfg\xc3yf@L9VIjR\xfdk\xaaDg";
    let encoded = [b"AAAA\r\n".as_slice(), line].concat();
    let (read, verdict) = read(Encoding::Base64, [encoded.as_slice()]);
    assert!(
        verdict == Verdict::Doubtful || read.len() > 40,
        "{verdict:?}"
    );
}

#[test]
fn runs_of_the_same_bytes_are_never_taken_for_words() {
    for bytes in (0..=u16::MAX).map(u16::to_be_bytes) {
        let bytes = bytes.repeat(57);
        let encoded = written(&bytes, 76);
        let read = read(Encoding::Base64, [encoded.as_slice()]);
        assert_eq!(read, (bytes, Verdict::Certain));
    }
}

/// The output of an encoder, in lines.
fn written(bytes: &[u8], width: usize) -> Vec<u8> {
    let text = BASE64_STANDARD.encode(bytes);
    let lines: Vec<&[u8]> = text.as_bytes().chunks(width).collect();
    lines.join(&b"\r\n"[..])
}

/// Bytes that are neither letters nor padding.
fn stray() -> impl Strategy<Value = Vec<u8>> {
    let is_stray = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"+/=".contains(byte);
    let strays: Vec<u8> = (0..=255).filter(is_stray).collect();
    proptest::collection::vec(prop::sample::select(strays), 1..4)
}

fn pieces<'e>(encoded: &'e [u8], cuts: &[usize]) -> Vec<&'e [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|at| (*at).min(encoded.len())).collect();
    cuts.extend([0, encoded.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|cut| &encoded[cut[0]..cut[1]])
        .collect()
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_how_it_is_cut(
        encoded in "([a-zA-Z0-9+/]{1,6}|=|==|=3D|=[ -~]{2}| |\t|\r\n|\n|\r|-|=\r\n|begin 644 a\r\n|end\r\n|Checked by us[.]|[A-Z]{1200}){0,30}",
        cuts in proptest::collection::vec(0..1300_usize, 0..8),
    ) {
        let encoded = encoded.into_bytes();
        for encoding in [
            Encoding::Base64,
            Encoding::Base64Url,
            Encoding::QuotedPrintable,
            Encoding::Uuencode,
            Encoding::Identity,
        ] {
            let whole = read(encoding, [&encoded[..]]);
            prop_assert_eq!(read(encoding, pieces(&encoded, &cuts)), whole);
        }
    }

    #[test]
    fn stray_characters_never_make_base64_decode_wrongly(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        width in 1..120_usize,
        strays in proptest::collection::vec((any::<prop::sample::Index>(), stray()), 0..12),
        cut in 0..3_usize,
    ) {
        let mut text = written(&bytes, width);
        // Without padding, as some programs write it.
        for _ in 0..cut {
            if text.ends_with(b"=") {
                text.pop();
            }
        }
        for (at, stray) in &strays {
            let at = at.index(text.len() + 1);
            text.splice(at..at, stray.iter().copied());
        }
        // With a stray `-` or `_` it may be valid in the other alphabet.
        let letters: Vec<u8> = text.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
        let is_other = |read: &[u8]| BASE64_URL_SAFE.encode(read).as_bytes() == letters;
        if let Some(read) = decoded(Encoding::Base64, &text).filter(|read| !is_other(read)) {
            prop_assert_eq!(read, bytes, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn common_stray_characters_cost_nothing(
        bytes in proptest::collection::vec(any::<u8>(), 60..400),
        strays in proptest::collection::vec((0..60_usize, "[!*.>:#\x00~]{1,2}"), 0..4),
        padded in any::<bool>(),
    ) {
        let mut text = written(&bytes, 76);
        for (at, stray) in &strays {
            text.splice(*at..*at, stray.bytes());
        }
        while !padded && text.ends_with(b"=") {
            text.pop();
        }
        // A short last line without padding may look like a footer, and a line of few
        // small letters like words; then it is doubtful.
        let last = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let as_words = |line: &[u8]| {
            footer::likeness(line.trim_ascii(), false, false) != footer::Likeness::Data
        };
        let reads_as_words = text.split(|byte| *byte == b'\n').any(as_words);
        let read = decoded(Encoding::Base64, &text);
        if (!reads_as_words && (padded || last.len() > 60)) || read.is_some() {
            prop_assert_eq!(read, Some(bytes));
        }
    }

    #[test]
    fn the_alphabet_of_urls_is_never_read_wrongly(
        bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(vec![0, 0x3e, 0xfb, 0xef, 0xbe, 0xff])],
            0..300,
        ),
        padded in any::<bool>(),
        width in 1..90_usize,
    ) {
        let text = match padded {
            true => BASE64_URL_SAFE.encode(&bytes),
            false => BASE64_URL_SAFE_NO_PAD.encode(&bytes),
        };
        let lines: Vec<&[u8]> = text.as_bytes().chunks(width).collect();
        let text = lines.join(&b"\r\n"[..]);

        let (_, verdict) = read(Encoding::Base64, [&text[..]]);

        if let Verdict::UrlSafe(size) = verdict {
            prop_assert_eq!(size, bytes.len() as u64);
            prop_assert_eq!(&read(Encoding::Base64Url, [&text[..]]).0, &bytes);
        }
        if let Some(read) = decoded(Encoding::Base64, &text) {
            prop_assert_eq!(read, bytes);
        }
    }

    #[test]
    fn a_footer_never_becomes_part_of_a_file(
        bytes in proptest::collection::vec(any::<u8>(), 1..300),
        between in "(\r\n){1,2}|\r\n--\r\n|\r\n____________\r\n|\r\n[*]{3}\r\n",
        words in proptest::collection::vec("[A-Z]?[a-z]{1,12}", 1..9),
        mark in "[.:!]",
    ) {
        let footer = format!("{between}{}{mark}\r\n", words.join(" "));
        let text = [written(&bytes, 76), footer.into_bytes()].concat();

        // If it may be data, the part is not decoded at all.
        if let Some(read) = decoded(Encoding::Base64, &text) {
            prop_assert_eq!(read, bytes, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn mail_parser_reads_the_same(
        text in "([g-z.]{1,9}|=3D|=C3=BC|=\r\n| |\t|\r\n){0,30}",
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let theirs = mail_parser::decoders::quoted_printable::quoted_printable_decode(text.as_bytes());
        if let Some(theirs) = theirs.filter(|_| !text.ends_with([' ', '\t', '='])) {
            let (ours, _) = read(Encoding::QuotedPrintable, [text.as_bytes()]);
            let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\r\n", "\n");
            prop_assert_eq!(lines(&ours), lines(&theirs));
        }
        let encoded = BASE64_STANDARD.encode(&bytes);
        prop_assert_eq!(read(Encoding::Base64, [encoded.as_bytes()]), (bytes, Verdict::Certain));
    }

    #[test]
    fn reading_resumes_at_any_byte(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        skip in 0..310_u64,
    ) {
        let encoded = BASE64_STANDARD.encode(&bytes).into_bytes();
        let pieces = encoded.chunks(7).map(|piece| Piece::Bytes(piece.to_vec().into()));
        let mut reading = Decoded::new(Reader::new(pieces), Encoding::Base64, skip);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();

        let mut read = Vec::new();
        while let Some(piece) = runtime.block_on(reading.next()).unwrap() {
            read.extend_from_slice(&piece);
        }

        let from = bytes.len().min(usize::try_from(skip).unwrap());
        prop_assert_eq!(&read[..], &bytes[from..]);
    }
}
