//! What must hold for every outgoing message, in one place for the fuzzer (`fuzz/`),
//! proptest, and the replay of `fuzz/seeds` and `fuzz/findings`. The oracle panics where
//! it does not hold.
//!
//! It uses other parsers than the relay's own reader; the relay does not even check its
//! own work with `mailparse`.
//!
//! Not part of the relay: only compiled with `cfg(test)` and `cfg(fuzzing)`.

use std::collections::BTreeSet;

use bytes::Bytes;
use mail_parser::MessageParser;
use mailparse::MailAddr;
use mailparse::MailHeader;

use super::attempt::compose::Rules;
use super::attempt::compose::compose;
use crate::clock::RunningTime;
use crate::clock::Timestamp;
use crate::config::ReceivedClient;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Envelope;
use crate::mail::ReportRequest;
use crate::mail::ReversePath;
use crate::mail::Trace;
use crate::mime::Author;
use crate::mime::Header;
use crate::mime::Piece;
use crate::spool::Claimed;
use crate::spool::Content;

/// Tries a message. The first line of the input has the recipients, separated by blanks;
/// the rest is the content, with LF as line end.
pub fn header(input: &[u8]) {
    let mut halves = input.splitn(2, |byte| *byte == b'\n');
    let recipients = String::from_utf8_lossy(halves.next().unwrap_or_default());
    let recipients = recipients
        .split([' ', ',', '\r'])
        .filter_map(|text| text.parse::<Address>().ok());
    // As the session accepts them: plain addresses, each mailbox once.
    let mut keys = BTreeSet::new();
    let recipients: Vec<Address> = recipients
        .filter(|address| address.is_plain() && keys.insert(address.key()))
        .collect();
    let content = arrived(halves.next().unwrap_or_default());
    if !recipients.is_empty() {
        outgoing(&entry(&content, recipients));
    }
}

/// As the reader of DATA passes it on: lines with CRLF and without NUL.
fn arrived(content: &[u8]) -> Vec<u8> {
    let bytes = content.iter().filter(|byte| !matches!(byte, 0 | b'\r'));
    let mut arrived = Vec::with_capacity(content.len());
    for byte in bytes {
        if *byte == b'\n' {
            arrived.push(b'\r');
        }
        arrived.push(*byte);
    }
    if !(arrived.is_empty() || arrived.ends_with(b"\r\n")) {
        arrived.extend_from_slice(b"\r\n");
    }
    arrived
}

/// An entry with this content.
pub(super) fn entry(content: &[u8], recipients: Vec<Address>) -> Claimed {
    let mailbox: Address = "relay@contoso.com".parse().expect("an address");
    Claimed {
        id: "01M7ZZDH4TKT6XKYKEMYK3N3EJ".parse().expect("an id"),
        destination: Destination {
            account: "default".to_owned(),
            mailbox,
        },
        accepted_at: Timestamp::from_millis(1_795_287_600_000),
        accepted_running: RunningTime::START,
        envelope: Envelope {
            reverse_path: ReversePath::Null,
            asked: Vec::new(),
            utf8: recipients.iter().any(|recipient| !recipient.is_ascii()),
            recipients,
            reports: ReportRequest::default(),
        },
        trace: Trace {
            client: [127, 0, 0, 1].into(),
            hello: "client".to_owned(),
            protocol: "ESMTP".to_owned(),
            user: None,
        },
        author: None,
        content: Content::Inline(Bytes::copy_from_slice(content)),
        digest: None,
        trouble_since: None,
        attempt: 1,
        client_request_id: uuid::Uuid::nil(),
        draft: None,
        part_of: None,
        about: None,
        warned: false,
        doubted: false,
        own_trouble: false,
        unanswered: false,
        message_id: None,
    }
}

/// The outgoing header section, and the body.
pub(super) fn composed(entry: &Claimed) -> (Vec<u8>, Vec<u8>) {
    let Content::Inline(content) = &entry.content else {
        panic!("entries of the oracle are small");
    };
    let rules = Rules {
        from: &entry.destination.mailbox,
        mailbox: &entry.destination.mailbox,
        submission: &crate::config::Submission::default(),
        hostname: "relay.test",
        client: ReceivedClient::Full,
        senders: &crate::config::Senders::default(),
    };
    let composed = compose(entry, content, rules);
    let composed = composed.expect("every plain envelope can be named, whatever the header says");
    let message = composed.message;
    let [Piece::Bytes(body)] = message.body.as_slice() else {
        panic!("the body of a small entry is in memory");
    };
    (message.header.to_vec(), body.to_vec())
}

/// An upper bound for the outgoing header section if `header` bytes came in. A field may
/// go out twice. Renamed, the shortest one, `To:`, has 16 bytes instead of 5, and `To:ü`
/// 34 instead of 6. A rewritten address in Latin-1, in the worst case `üü<a@b>,`, has 30
/// bytes instead of 8, and together with the original field, whose text is base64 then,
/// 42.
pub(super) fn largest_header(envelope: &Envelope, header: usize) -> usize {
    const GROWTH: usize = 8;
    /// Received is the longest addition, except for Bcc.
    const ADDED: usize = 2048;
    /// `,` CRLF and a blank before each address of the Bcc field.
    const FOLDING: usize = 4;
    let recipients = envelope.recipients.iter();
    let bcc: usize = recipients.map(|it| it.as_str().len() + FOLDING).sum();
    header * GROWTH + ADDED + bcc
}

/// Whether the outgoing message of an entry keeps promises 3 and 5.
pub(super) fn outgoing(entry: &Claimed) {
    let Content::Inline(content) = &entry.content else {
        panic!("entries of the oracle are small");
    };
    let sent = Header::of_message(content, true).expect("all of it is there");
    let (out, body) = composed(entry);
    let shown = out.escape_ascii().to_string();
    let gone = Header::split(&out, false).expect("the header section ends");

    assert!(content.ends_with(&body) && content.len() - body.len() == sent.body);
    are_lines(&out);
    are_ascii(&gone, &shown);
    let most = largest_header(&entry.envelope, sent.body);
    assert!(out.len() <= most, "{} bytes: {shown}", out.len());
    only_ruled_fields_changed(&sent, &gone, &shown);
    // The decisions match what goes out, for every reader.
    let decided = author_of(&sent).unwrap_or_else(|| entry.destination.mailbox.clone());
    let read = author_of(&gone).map(|author| author.key());
    assert_eq!(read, Some(decided.key()), "{shown}");
    let whole = [&out[..], &body].concat();
    others_read(&whole, out.len(), &entry.envelope, &decided);

    // Composing its result again changes nothing.
    let again = Claimed {
        content: Content::Inline(whole.into()),
        ..entry.clone()
    };
    let (out_again, body_again) = composed(&again);
    assert_eq!(body_again, body, "{shown}");
    let again = Header::split(&out_again, false).expect("the header section ends");
    let mut expected = sorted(&gone);
    expected.extend(gone.fields.first().map(|received| received.raw.to_vec()));
    expected.sort();
    assert_eq!(sorted(&again), expected, "{shown}");
}

/// They end with CRLF, and contain no other line ends.
fn are_lines(out: &[u8]) {
    assert!(out.ends_with(b"\r\n"));
    for line in out.split_inclusive(|byte| *byte == b'\n') {
        let carriage_return = line.iter().position(|byte| *byte == b'\r');
        let shown = line.escape_ascii();
        assert_eq!(carriage_return, line.len().checked_sub(2), "{shown}");
    }
}

/// Except for addresses and boundaries that cannot be ASCII.
fn are_ascii(gone: &Header<'_>, shown: &str) {
    for field in &gone.fields {
        let text = field.text();
        let is_boundary = field.is("Content-Type") && text.contains("boundary");
        let mut words = text.split([' ', '\t', ',']);
        let is_address = |word: &str| word.contains('@') && !word.contains("=?");
        let is_fit = words.all(|word| word.is_ascii() || is_address(word));
        assert!(is_fit || is_boundary, "{} {shown}", field.name);
    }
}

/// Promise 5.
fn only_ruled_fields_changed(sent: &Header<'_>, gone: &Header<'_>, shown: &str) {
    // The relay's own Received comes first.
    let unruled = others(gone);
    let (received, unruled) = unruled.split_first().expect("a Received");
    assert!(received.starts_with(b"Received: from client ([127.0.0.1])\r\n"));
    let (kept, encoded) = others(sent)
        .into_iter()
        .partition::<Vec<_>, _>(|raw| raw.is_ascii());
    // Fields that were not ASCII are there in another form; nothing else was added.
    let is_kept = |raw: &&Vec<u8>| !is_encoded_from(raw, &encoded);
    let unruled: Vec<_> = unruled.iter().filter(is_kept).cloned().collect();
    let is_kept = |raw: &Vec<u8>| !is_encoded_from(raw, &encoded);
    let kept: Vec<_> = kept.into_iter().filter(is_kept).collect();
    assert_eq!(unruled, kept, "{shown}");
    for name in SINGLE {
        assert!(gone.all(name).count() <= 1, "{name} {shown}");
    }
    for name in ["Date", "Message-ID", "From"] {
        assert_eq!(gone.all(name).count(), 1, "{name} {shown}");
    }
    for name in RESENT {
        assert_eq!(gone.all(name).count(), 0, "{name} {shown}");
    }
    for field in &gone.fields {
        assert!(!is_transports(field.name), "{} {shown}", field.name);
    }
    assert!(gone.is_addressed(), "{shown}");
}

/// Whether a field has the name of one that was not ASCII.
fn is_encoded_from(raw: &[u8], not_ascii: &[Vec<u8>]) -> bool {
    let name = |raw: &[u8]| {
        let name = raw.split(|byte| *byte == b':').next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        name.strip_prefix(b"x-original-")
            .map(<[u8]>::to_vec)
            .unwrap_or(name)
    };
    not_ascii.iter().any(|other| name(other) == name(raw))
}

/// Promise 3, as other readers see it.
fn others_read(whole: &[u8], header: usize, envelope: &Envelope, author: &Address) {
    let shown = whole.get(..header).unwrap_or_default().escape_ascii();
    let (fields, body) = mailparse::parse_headers(whole).expect("mailparse reads it");
    assert_eq!(body, header, "{shown}");
    let wanted: BTreeSet<String> = envelope.recipients.iter().map(Address::key).collect();
    assert_eq!(named(&fields, &["To", "Cc", "Bcc"]), wanted, "{shown}");
    let from = named(&fields, &["From"]);
    assert_eq!(from, BTreeSet::from([author.key()]), "{shown}");

    let read = MessageParser::new()
        .parse(whole)
        .expect("mail-parser reads it");
    let body = usize::try_from(read.root_part().raw_body_offset());
    assert_eq!(body, Ok(header), "{shown}");
    let from = read.from().expect("a From");
    let from: Vec<_> = from.iter().map(|from| from.address().map(key)).collect();
    assert_eq!(from, [Some(author.key())], "{shown}");
}

/// The fields, sorted.
fn sorted(header: &Header<'_>) -> Vec<Vec<u8>> {
    let fields = header.fields.iter().map(|field| field.raw.to_vec());
    let mut fields: Vec<_> = fields.collect();
    fields.sort();
    fields
}

/// The recipients that mailparse finds in the fields of these names, as keys.
fn named(fields: &[MailHeader<'_>], names: &[&str]) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for field in fields {
        let name = field.get_key();
        if !names.iter().any(|it| it.eq_ignore_ascii_case(name.trim())) {
            continue;
        }
        let value = for_mailparse(field.get_value_raw());
        let list = mailparse::addrparse(&value);
        let list = list.unwrap_or_else(|error| panic!("{value:?}: {error}"));
        for item in list.iter() {
            match item {
                MailAddr::Single(one) => named.insert(key(&one.addr)),
                MailAddr::Group(group) => {
                    assert!(group.addrs.is_empty(), "a group with {:?}", group.addrs);
                    true
                }
            };
        }
    }
    named
}

/// A list without what mailparse cannot read: nested comments (RFC 5322 3.2.2), quoted
/// strings that are not the first word of a name (3.2.5), empty items (4.4).
fn for_mailparse(value: &[u8]) -> String {
    let mut items = vec![String::new()];
    let mut comments = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for c in String::from_utf8_lossy(value).chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted || comments > 0 => escaped = true,
            '"' if comments == 0 => quoted = !quoted,
            _ if quoted => {}
            '(' => comments += 1,
            ')' if comments > 0 => comments -= 1,
            '\r' | '\n' => {}
            _ if comments > 0 => {}
            ',' => items.push(String::new()),
            c => items.last_mut().expect("one at least").push(c),
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items.join(",")
}

fn key(text: &str) -> String {
    // mailparse keeps the blanks of `< a@b >`.
    match text.trim().parse::<Address>() {
        Ok(address) => address.key(),
        Err(error) => panic!("{text:?}: {error}"),
    }
}

/// The fields that no rule names, unchanged.
fn others(header: &Header<'_>) -> Vec<Vec<u8>> {
    let ruled = |name: &str| {
        let name = name.trim_start_matches("X-Original-");
        let mut ruled = SINGLE.iter().chain(&RESENT).chain(&REDIRECTED);
        ruled.any(|ruled| ruled.eq_ignore_ascii_case(name)) || is_transports(name)
    };
    let fields = header.fields.iter().filter(|field| !ruled(field.name));
    fields.map(|field| field.raw.to_vec()).collect()
}

/// The fields that may appear once (RFC 5322 3.6, RFC 2045 3).
const SINGLE: [&str; 14] = [
    "Date",
    "Message-ID",
    "From",
    "Sender",
    "Reply-To",
    "In-Reply-To",
    "References",
    "Subject",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "To",
    "Cc",
    "Bcc",
];

/// Whether only Exchange's transport may write it.
fn is_transports(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let begins = ["x-ms-exchange-", "x-forefront-", "x-microsoft-antispam"];
    begins.iter().any(|prefix| name.starts_with(prefix))
}

/// Fields of a redirected message that stay if they can be read.
const REDIRECTED: [&str; 2] = ["Resent-From", "Resent-Sender"];

/// Other fields that a rule names.
const RESENT: [&str; 3] = ["Resent-To", "Resent-Cc", "Resent-Bcc"];

fn author_of(header: &Header<'_>) -> Option<Address> {
    Author::of(header).address().cloned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seeds_and_findings_of_header_hold() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        for kind in ["seeds", "findings"] {
            for file in std::fs::read_dir(root.join(kind).join("header")).unwrap() {
                let path = file.unwrap().path();
                println!("{}", path.display()); // Shown if it does not hold.
                header(&std::fs::read(path).unwrap());
            }
        }
    }

    /// Fields that rules name and others, valid and invalid, some with arbitrary bytes.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        let name = prop_oneof![
            "(Date|From|Message-ID|Subject|Sender|Reply-To|References|MIME-Version)",
            "(to|Cc|BCC|From|from |Resent-To|Content-Type|In-Reply-To)",
            "(Resent-From|resent-sender |X-MS-Exchange-X|x-ms-EXCHANGE-y\t|X-Forefront-Z)",
            "X-[A-Za-z]{1,5}",
            "Received",
        ];
        let value = prop_oneof![
            "(,?[ -~]{0,6}(d@e\\.f|a@b\\.c|root@host)[ -~]{0,3}){0,3}".prop_map(String::into_bytes),
            "(a b|\"a\"|<|>|\\(x\\)|,|;|:|@| |d@e\\.f|eve@e\\.f|root@host|<a@b\\.c>|\u{fc}){0,8}"
                .prop_map(String::into_bytes),
            "(\u{fc}? ?<?(a@b\\.c|d@e\\.f)>?,?){0,4}".prop_map(latin_1),
            "(<1@app>|<a:b>|1 Nov 2026 19:00 GMT|now|a@b\\.c|)".prop_map(String::into_bytes),
            proptest::collection::vec(1..=255_u8, 0..12),
        ];
        (name, value, any::<bool>()).prop_map(|(name, mut value, folded)| {
            value.retain(|byte| !matches!(byte, b'\r' | b'\n'));
            let fold = if folded { "\r\n x" } else { "" };
            [name.as_bytes(), b":", &value, fold.as_bytes(), b"\r\n"].concat()
        })
    }

    fn latin_1(text: String) -> Vec<u8> {
        let octets = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap());
        octets.collect()
    }

    /// Words and marks that people put around an address; none of them is an address.
    fn phrase() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => "[A-Za-z0-9 ]{1,8}",
            3 => prop::sample::select(vec![
                "\"", "'", "(", ")", ",", ";", ":", ".", "@", " @ ", "[", "]", "\\", "=?", "?=", "&",
                "Contoso, Inc.", "ops@ ", " @host", "web@host ", "24\"", "\"x\"", "(y)", "(z (w))",
                "\\\"", "=?utf-8?Q?Doe,_J?= ", " =?utf-8?q?=22=3C?=", "=?utf-8?b?w7w=?=",
                "=?x?q?(?=", "=?utf-8?Q?a b, c?=", "mailto:", "http://host:80/", "<>", "<x>", "< ",
                "\u{fc}", "\u{a0}", "\u{200b}", "\u{65e5}", "\u{201c}", "\u{1f600}",
            ]).prop_map(str::to_owned),
            1 => "[!-;=?-~]{0,6} ",
        ];
        prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn whatever_stands_around_an_address_in_brackets_all_readers_find_it(
            names in [phrase(), phrase()],
            behind in "[A-Za-z ]{0,9}|\\(x\\)|,|;",
            blanks in "[ \u{a0}\t]{0,2}",
        ) {
            let [sender, recipient] = names;
            // Backslashes before it belong to the name too.
            let content = format!(
                "From: {sender} <{blanks}a@b.c{blanks}>{behind}\r\n\
                 To: {recipient} <{blanks}d@e.f>{behind}\r\n\r\n"
            );
            let entry = entry(content.as_bytes(), vec!["d@e.f".parse().unwrap()]);

            outgoing(&entry);

            let (out, _) = composed(&entry);
            let header = Header::split(&out, true).unwrap();
            let shown = out.escape_ascii();
            let from = author_of(&header).map(String::from);
            prop_assert_eq!(from.as_deref(), Some("a@b.c"), "{} {}", content, shown);
            prop_assert_eq!(header.all("Bcc").count(), 0, "{} {}", content, shown);
        }

        #[test]
        fn the_only_address_of_a_field_counts_without_brackets_too(
            words in prop::collection::vec("[A-Za-z0-9&.!-]{1,8}", 0..4),
            is_first: bool,
        ) {
            let words = words.join(" ");
            let (before, behind) = if is_first { ("", &*words) } else { (&*words, "") };
            let content = format!("From: {before} a@b.c {behind}\r\nTo: {before} d@e.f {behind}\r\n\r\n");
            let entry = entry(content.as_bytes(), vec!["d@e.f".parse().unwrap()]);

            outgoing(&entry);

            let (out, _) = composed(&entry);
            let header = Header::split(&out, true).unwrap();
            let from = author_of(&header).map(String::from);
            prop_assert_eq!(from.as_deref(), Some("a@b.c"), "{}", content);
            prop_assert_eq!(header.all("Bcc").count(), 0, "{}", content);
        }

        #[test]
        fn promise_5_only_fields_that_a_rule_names_are_changed(
            fields in proptest::collection::vec(field(), 0..8),
        ) {
            let content = [fields.concat().as_slice(), b"\r\n"].concat();
            outgoing(&entry(&content, vec!["d@e.f".parse().unwrap()]));
        }
    }
}
