//! How the JSON form expresses a message, and which messages it refuses.

use proptest::prelude::*;

use super::*;

fn of(message: &str) -> JsonMessage {
    JsonMessage::of(message.as_bytes()).unwrap()
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
fn uncertain_items_name_nobody() {
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
    let latin_1 = JsonMessage::of(b"Subject: Z\xfcrich\r\n\r\n").unwrap();
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
fn signed_or_encrypted_messages_have_no_json_form() {
    let mixed = |inner: &str| {
        format!("Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n{inner}\r\n--m--\r\n")
    };
    let signed = "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nx\r\n--s--\r\n";
    let smime = |kind: &str| format!("Content-Type: application/{kind}\r\n\r\nMIAG\r\n");
    for (message, expected) in [
        (signed.to_owned(), Some(JsonMessageError::Signed)),
        (mixed(signed), Some(JsonMessageError::Signed)),
        (
            smime("pkcs7-mime; smime-type=Signed-Data"),
            Some(JsonMessageError::Signed),
        ),
        (
            smime("x-pkcs7-mime; smime-type=enveloped-data"),
            Some(JsonMessageError::Encrypted),
        ),
        (
            smime("pkcs7-mime; name=smime.p7m"),
            Some(JsonMessageError::Encrypted),
        ),
        (
            "Content-Type: multipart/encrypted; boundary=e\r\n\r\n".to_owned(),
            Some(JsonMessageError::Encrypted),
        ),
        (mixed(&smime("pkcs7-mime")), None),
        (
            mixed(&format!("Content-Type: message/rfc822\r\n\r\n{signed}")),
            None,
        ),
        (smime("pkcs7-signature"), None),
    ] {
        let refused = JsonMessage::of(message.as_bytes()).err();
        assert_eq!(refused, expected, "{message}");
    }
}

#[test]
fn lost_fields_are_listed() {
    let alternative = "Date: x\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
        --a\r\n\r\nP\r\n--a\r\nContent-Type: text/html\r\n\r\n<p>H\r\n--a--\r\n";
    let report = "Content-Type: multipart/report; boundary=a\r\n\r\n--a\r\n\r\nP\r\n--a\r\n\
        Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n--a--\r\n";

    let chosen = of(alternative);

    assert_eq!(chosen.lost, [Lost::Alternative, Lost::Field("Date".into())]);
    let refused = JsonMessage::of(report.as_bytes()).err();
    assert_eq!(refused, Some(JsonMessageError::Report));
}

#[test]
fn no_blind_recipient_is_in_what_others_see() {
    let deep: String = (0..50)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
        .collect();
    for message in [
        format!("Bcc: v@w.x\r\n{deep}"),
        "Bcc: v@w.x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nx".to_owned(),
        "Bcc: v@w.x\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n".to_owned(),
    ] {
        let json_message = of(&message);
        let mut files = json_message.attachments.iter();
        let names = |content: &[u8]| content.windows(5).any(|bytes| bytes == b"v@w.x");
        assert!(!files.any(|file| names(&file.content)), "{message}");
        assert!(!format!("{:?}", json_message.text).contains("v@w.x"));
    }
}

/// Pieces of messages, in any order.
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
        if let Ok(json_message) = JsonMessage::of(&message) {
            prop_assert!(json_message.headers.len() <= JsonMessage::MOST_HEADERS);
            prop_assert!(!json_message.subject.contains(char::is_control));
            prop_assert!(json_message.attachments.iter().all(|file| !file.name.is_empty()));
            for mailbox in json_message.recipients() {
                let text = String::from_utf8_lossy(&message).into_owned();
                prop_assert!(text.contains(mailbox.as_str()));
            }
        }
    }

    #[test]
    fn promise_3_a_json_message_names_whom_the_header_section_names(
        to in field("To"),
        cc in field("Cc"),
        bcc in field("Bcc"),
        rest in lines(),
    ) {
        let message = format!("{}{}{}\r\n", bcc.0, to.0, cc.0).into_bytes();
        let message = [message, rest].concat();

        let json_message = JsonMessage::of(&message).unwrap();

        let named = |them: &[Mailbox]| -> Vec<String> {
            them.iter().map(|it| it.address.to_string()).collect()
        };
        prop_assert_eq!(named(&json_message.to), to.1);
        prop_assert_eq!(named(&json_message.cc), cc.1);
        prop_assert_eq!(named(&json_message.bcc), bcc.1);
    }
}
