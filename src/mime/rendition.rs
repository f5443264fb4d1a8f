//! A message said in the words of Graph's JSON form: the few properties that it
//! has, and what of the message has no place among them.
//!
//! The form cannot carry a message as it is, so this is used only where it alone
//! can do what was asked; what is lost is listed, for the operator to see. A
//! signature would not survive, and what is encrypted would not be readable:
//! those messages have no rendition.
//!
//! Who receives it is read by the reader that decided about it
//! (`delivery/recipients.rs`): To, Cc and Bcc of the header section that goes out,
//! and what that reader is not sure of names nobody. Whoever sends a rendition
//! holds [`Rendition::recipients`] against the envelope (promise 3).

use std::fmt;

use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;

use super::Header;
use super::Item;
use super::attachment::Attachment;
use super::contents::Contents;
use super::contents::Text;
use super::list;
use super::part::Part;
use super::part::one_line;
use super::part::words;
use super::properties;
use super::properties::Importance;
use super::properties::Sensitivity;
use crate::mail::Address;

/// What the JSON form can say of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// Decoded, on one line, at most 255 UTF-16 units.
    pub subject: String,
    /// What is read.
    pub text: Text,
    /// In the message's order.
    pub attachments: Vec<Attachment>,
    /// The author; without one Graph takes the mailbox.
    pub from: Option<Mailbox>,
    /// Where answers go, if not there.
    pub reply_to: Vec<Mailbox>,
    /// Of the To fields.
    pub to: Vec<Mailbox>,
    /// Of the Cc fields.
    pub cc: Vec<Mailbox>,
    /// Of the Bcc fields.
    pub bcc: Vec<Mailbox>,
    /// How urgent it is.
    pub importance: Importance,
    /// How private it is, if it says so.
    pub sensitivity: Option<Sensitivity>,
    /// The author asks to be told when it is read.
    pub read_receipt: bool,
    /// The author asks to be told when it has arrived.
    pub delivery_receipt: bool,
    /// With its angle brackets.
    pub message_id: Option<String>,
    /// The Message-ID that it answers.
    pub in_reply_to: Option<String>,
    /// Those of the conversation.
    pub references: Option<String>,
    /// Fields of its own whose names begin with `X-`, at most
    /// [`MOST_HEADERS`](Self::MOST_HEADERS).
    pub headers: Vec<(String, String)>,
    /// What it cannot say, each once.
    pub lost: Vec<Lost>,
}

/// Somebody with the name that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Where mail goes.
    pub address: Address,
    /// Decoded, one line.
    pub name: Option<String>,
}

impl From<Address> for Mailbox {
    fn from(address: Address) -> Self {
        Self {
            address,
            name: None,
        }
    }
}

/// What the JSON form has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A header field, or what it says beyond what a property can.
    Field(String),
    /// The end of a long subject.
    SubjectEnd,
    /// An alternative to the text, such as the plain one beside HTML.
    Alternative,
    /// That it is a report for programs (RFC 6522); its parts are files.
    Report,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Field(name) => name,
            Self::SubjectEnd => "the end of the subject",
            Self::Alternative => "the alternative text",
            Self::Report => "the form of a report",
        })
    }
}

/// Why a message has no rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenditionError {
    /// S/MIME (RFC 8551) or PGP/MIME (RFC 3156).
    #[error("it is signed, and the JSON form would break the signature")]
    Signed,
    /// By one of the two.
    #[error("it is encrypted, and the JSON form would make it unreadable")]
    Encrypted,
    /// So many that taking them apart would take memory beyond measure.
    #[error("it has too many parts to be taken apart")]
    TooManyParts,
}

/// What Exchange keeps of a subject, in UTF-16 units (microsoft-graph.md A2).
const LONGEST_SUBJECT: usize = 255;

impl Rendition {
    /// The most `X-` fields that Graph takes (microsoft-graph.md A3).
    pub const MOST_HEADERS: usize = 5;

    /// Of a whole message with CRLF line ends, its header section as it is to go
    /// out. Takes time that grows with the message, and memory for it twice.
    ///
    /// # Errors
    ///
    /// It is signed or encrypted, or has too many parts.
    pub fn of(message: &[u8]) -> Result<Self, RenditionError> {
        let header = Header::split(message, true).unwrap_or_default();
        let part = Part::of(message).ok_or(RenditionError::TooManyParts)?;
        check(&part)?;
        let contents = Contents::of(&part);
        let mut lost = Vec::new();
        if part.is("multipart/report") {
            lost.push(Lost::Report);
        }
        if contents.chose {
            lost.push(Lost::Alternative);
        }
        let whole = part.field("Subject").map(words).unwrap_or_default();
        let subject = shortened(&whole);
        if subject.len() < whole.len() {
            lost.push(Lost::SubjectEnd);
        }
        let found = properties::of(&header);
        lost.extend(found.lost.into_iter().map(Lost::Field));
        let (text, attachments) = contents.finish();
        Ok(Self {
            subject,
            text,
            attachments,
            from: mailboxes(&header, "From").into_iter().next(),
            reply_to: mailboxes(&header, "Reply-To"),
            to: mailboxes(&header, "To"),
            cc: mailboxes(&header, "Cc"),
            bcc: mailboxes(&header, "Bcc"),
            importance: found.importance,
            sensitivity: found.sensitivity,
            read_receipt: found.read_receipt,
            delivery_receipt: found.delivery_receipt,
            message_id: found.message_id,
            in_reply_to: found.in_reply_to,
            references: found.references,
            headers: found.headers,
            lost,
        })
    }

    /// Everybody who gets it, in the order To, Cc, Bcc.
    pub fn recipients(&self) -> impl Iterator<Item = &Address> {
        let visible = self.to.iter().chain(&self.cc);
        visible.chain(&self.bcc).map(|mailbox| &mailbox.address)
    }
}

/// Refuses what would not survive. A signed or encrypted message that is merely
/// attached is a file like any other.
fn check(part: &Part<'_>) -> Result<(), RenditionError> {
    let is_smime = part.is("application/pkcs7-mime") || part.is("application/x-pkcs7-mime");
    let kind = part.parameter("smime-type").unwrap_or_default();
    if part.is("multipart/signed") || (is_smime && kind.eq_ignore_ascii_case("signed-data")) {
        return Err(RenditionError::Signed);
    }
    if part.is("multipart/encrypted") || is_smime {
        return Err(RenditionError::Encrypted);
    }
    // Around them, footers may have been put.
    let within = part.children.iter();
    let mut within = within.filter(|child| child.is("multipart/*"));
    within.try_for_each(check)
}

/// Those of a field whose addresses are sure, in order.
fn mailboxes(header: &Header<'_>, name: &str) -> Vec<Mailbox> {
    let items = header.all(name).map(list).flat_map(|it| it.items);
    items.filter_map(mailbox).collect()
}

fn mailbox(item: Item) -> Option<Mailbox> {
    let name = name(&item);
    let address = item.address?;
    Some(Mailbox {
        name: name.filter(|name| !name.is_empty() && name != address.as_str()),
        address,
    })
}

/// The display name, if the other parser sees the same address beside it.
fn name(item: &Item) -> Option<String> {
    let line = format!("{}\n", item.text);
    let HeaderValue::Address(read) = MessageStream::new(line.as_bytes()).parse_address() else {
        return None;
    };
    let mut read = read.iter();
    let one = read.next().filter(|_| read.next().is_none())?;
    let address: Address = one.address.as_deref()?.parse().ok()?;
    let is_same = item.address.as_ref()?.key() == address.key();
    one.name.as_deref().filter(|_| is_same).map(one_line)
}

fn shortened(subject: &str) -> String {
    let mut room = LONGEST_SUBJECT;
    let fits = |c: &char| match room.checked_sub(c.len_utf16()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    subject.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(message: &str) -> Rendition {
        Rendition::of(message.as_bytes()).unwrap()
    }

    fn shown(mailboxes: &[Mailbox]) -> Vec<(&str, Option<&str>)> {
        let pairs = mailboxes.iter();
        pairs
            .map(|it| (it.address.as_str(), it.name.as_deref()))
            .collect()
    }

    #[test]
    fn everybody_is_named_with_the_name_that_is_shown() {
        let message = of(
            "From: =?iso-8859-1?Q?B=FCro?= Nord <a@b.c>\r\nTo: \"Doe, J. \\\"JD\\\"\" <d@e.f>,\r\n \
             x@y.z (Cron Daemon), <p@q.r>\r\nTo: B\u{fc}ro <s@t.u>\r\nCc: p@q.r <p@q.r>, root\r\n\
             Bcc: v@w.x\r\nReply-To: \"desk@b.c\" <h@b.c>\r\n\r\n",
        );

        assert_eq!(
            shown(message.from.as_slice()),
            [("a@b.c", Some("B\u{fc}ro Nord"))]
        );
        assert_eq!(
            shown(&message.to),
            [
                ("d@e.f", Some("Doe, J. \"JD\"")),
                ("x@y.z", Some("Cron Daemon")),
                ("p@q.r", None),
                ("s@t.u", Some("B\u{fc}ro")),
            ]
        );
        assert_eq!(shown(&message.cc), [("p@q.r", None)]);
        assert_eq!(shown(&message.bcc), [("v@w.x", None)]);
        assert_eq!(shown(&message.reply_to), [("h@b.c", Some("desk@b.c"))]);
        let all: Vec<&str> = message.recipients().map(Address::as_str).collect();
        assert_eq!(all, ["d@e.f", "x@y.z", "p@q.r", "s@t.u", "p@q.r", "v@w.x"]);
        assert_eq!(message.lost, [Lost::Field("Cc".into())]);
    }

    #[test]
    fn what_is_not_sure_names_nobody() {
        for line in [
            "To: undisclosed-recipients:;",
            "To: a@b.c or c@d.e",
            "To: <a@b.c c@d.e>",
            "To:",
            "Resent-To: c@d.e",
            "X-Original-To: c@d.e",
        ] {
            let message = of(&format!("{line}\r\n\r\nTo: c@d.e\r\n"));
            assert_eq!(message.recipients().count(), 0, "{line}");
        }
    }

    #[test]
    fn a_subject_is_one_decoded_line() {
        for (field, expected) in [
            ("Subject: plain", "plain"),
            ("Subject: =?utf-8?q?Z=C3=BCrich?= now", "Z\u{fc}rich now"),
            (
                "Subject: =?utf-8?B?w7w=?=\r\n =?shift_jis?B?k/o=?=",
                "\u{fc}\u{65e5}",
            ),
            ("Subject: a\r\n b", "a b"),
            ("Subject: =?utf-8?q?a=0D=0ABcc:_x@y=00?=", "a  Bcc: x@y"),
            ("Subject: Z\u{fc}rich", "Z\u{fc}rich"),
            ("Subject:", ""),
            ("X-No: subject", ""),
        ] {
            assert_eq!(of(&format!("{field}\r\n\r\n")).subject, expected, "{field}");
        }
        let latin_1 = Rendition::of(b"Subject: Z\xfcrich\r\n\r\n").unwrap();
        assert_eq!(latin_1.subject, "Z\u{fc}rich");
    }

    #[test]
    fn a_long_subject_is_cut_between_characters() {
        let subject = |text: &str| of(&format!("Subject: {text}\r\n\r\n"));

        let fits = subject(&"x".repeat(255));
        let cut = subject(&format!("{}\u{1f600}", "x".repeat(254)));

        assert_eq!((fits.subject.len(), fits.lost), (255, vec![]));
        assert_eq!((cut.subject.len(), cut.lost), (254, vec![Lost::SubjectEnd]));
    }

    #[test]
    fn what_is_signed_or_encrypted_has_no_rendition() {
        let mixed = |inner: &str| {
            format!("Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n{inner}\r\n--m--\r\n")
        };
        let signed = "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nx\r\n--s--\r\n";
        let smime = |kind: &str| format!("Content-Type: application/{kind}\r\n\r\nMIAG\r\n");
        for (message, expected) in [
            (signed.to_owned(), Some(RenditionError::Signed)),
            (mixed(signed), Some(RenditionError::Signed)),
            (
                smime("pkcs7-mime; smime-type=Signed-Data"),
                Some(RenditionError::Signed),
            ),
            (
                smime("x-pkcs7-mime; smime-type=enveloped-data"),
                Some(RenditionError::Encrypted),
            ),
            (
                smime("pkcs7-mime; name=smime.p7m"),
                Some(RenditionError::Encrypted),
            ),
            (
                "Content-Type: multipart/encrypted; boundary=e\r\n\r\n".to_owned(),
                Some(RenditionError::Encrypted),
            ),
            (mixed(&smime("pkcs7-mime")), None),
            (
                mixed(&format!("Content-Type: message/rfc822\r\n\r\n{signed}")),
                None,
            ),
            (smime("pkcs7-signature"), None),
        ] {
            let refused = Rendition::of(message.as_bytes()).err();
            assert_eq!(refused, expected, "{message}");
        }
    }

    #[test]
    fn what_is_lost_is_said() {
        let alternative = "Date: x\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
            --a\r\n\r\nP\r\n--a\r\nContent-Type: text/html\r\n\r\n<p>H\r\n--a--\r\n";
        let report = "Content-Type: multipart/report; boundary=a\r\n\r\n--a\r\n\r\nP\r\n--a\r\n\
            Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n--a--\r\n";

        let chosen = of(alternative);
        let reported = of(report);

        assert_eq!(chosen.lost, [Lost::Alternative, Lost::Field("Date".into())]);
        assert_eq!(reported.lost, [Lost::Report]);
        assert_eq!(reported.attachments[0].name, "attachment-1.txt");
    }

    #[test]
    fn no_blind_recipient_is_in_what_others_see() {
        let deep = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(50);
        for message in [
            format!("Bcc: v@w.x\r\n{deep}"),
            "Bcc: v@w.x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nx".to_owned(),
            "Bcc: v@w.x\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n".to_owned(),
        ] {
            let rendition = of(&message);
            let mut files = rendition.attachments.iter();
            let names = |content: &[u8]| content.windows(5).any(|bytes| bytes == b"v@w.x");
            assert!(!files.any(|file| names(&file.content)), "{message}");
            assert!(!format!("{:?}", rendition.text).contains("v@w.x"));
        }
    }

    /// Pieces that messages are made of, in any order.
    fn lines() -> impl Strategy<Value = Vec<u8>> {
        let known = prop::sample::select(vec![
            "Content-Type: multipart/mixed; boundary=b",
            "Content-Type: multipart/alternative; boundary=\"b\"",
            "Content-Type: multipart/related; boundary=c; start=\"<i>\"",
            "Content-Type: text/html; charset=utf-16",
            "Content-Type: text/plain; charset=iso-2022-jp",
            "Content-Type: message/rfc822",
            "Content-Type: image/png; name*0*=utf-8''%zz; name*1=\"\\",
            "Content-Transfer-Encoding: base64",
            "Content-Transfer-Encoding: quoted-printable",
            "Content-ID: <i>",
            "Content-Disposition: attachment; filename=\"=?utf-8?q?=00?=\"",
            "To: A <a@b.c>, \"x",
            "Subject: =?shift_jis?B?k/o=?= =?utf-8?q?=0D=0A?=",
            "X-Header: 1",
            "X-Priority: 1",
            "--b",
            "--b--",
            "--c",
            "",
            "",
            "<img src=cid:i>=3D=",
        ]);
        let any = prop::collection::vec(any::<u8>(), 0..20);
        let line = prop_oneof![3 => known.prop_map(|line| line.as_bytes().to_vec()), 1 => any];
        let ended = line.prop_map(|line| [&line[..], b"\r\n"].concat());
        prop::collection::vec(ended, 0..40).prop_map(|lines| lines.concat())
    }

    /// An address list field.
    fn field(name: &'static str) -> impl Strategy<Value = (String, Vec<String>)> {
        let item = (
            prop::sample::select(vec!["", "A B ", "\"C, D\" ", "=?utf-8?q?=2C?= ", "\u{fc} "]),
            "[a-z]{1,8}@[a-z]{1,8}\\.example",
        );
        prop::collection::vec(item, 0..4).prop_map(move |items| {
            let texts: Vec<String> = items.iter().map(|(n, a)| format!("{n}<{a}>")).collect();
            let field = format!("{name}: {}\r\n", texts.join(",\r\n "));
            (
                field,
                items.into_iter().map(|(_, address)| address).collect(),
            )
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_rendered_or_refused(message in lines()) {
            if let Ok(rendition) = Rendition::of(&message) {
                prop_assert!(rendition.headers.len() <= Rendition::MOST_HEADERS);
                prop_assert!(!rendition.subject.contains(char::is_control));
                prop_assert!(rendition.attachments.iter().all(|file| !file.name.is_empty()));
                for mailbox in rendition.recipients() {
                    let text = String::from_utf8_lossy(&message).into_owned();
                    prop_assert!(text.contains(mailbox.as_str()));
                }
            }
        }

        #[test]
        fn promise_3_a_rendition_names_whom_the_header_section_names(
            to in field("To"),
            cc in field("Cc"),
            bcc in field("Bcc"),
            rest in lines(),
        ) {
            let message = format!("{}{}{}\r\n", bcc.0, to.0, cc.0).into_bytes();
            let message = [message, rest].concat();

            let rendition = Rendition::of(&message).unwrap();

            let named = |them: &[Mailbox]| -> Vec<String> {
                them.iter().map(|it| it.address.to_string()).collect()
            };
            prop_assert_eq!(named(&rendition.to), to.1);
            prop_assert_eq!(named(&rendition.cc), cc.1);
            prop_assert_eq!(named(&rendition.bcc), bcc.1);
        }
    }
}
