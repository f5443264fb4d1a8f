//! Messages too large for one request, in every form that programs produce: whatever
//! their structure, accepted messages arrive, and their files byte for byte.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use graph_relay_sandbox::Arrival;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;

use crate::common::content::base64;
use crate::common::content::bytes;
use crate::common::*;

/// A message with this type and body.
fn message_of(content_type: &str, body: &str) -> String {
    format!(
        "From: App <{MAILBOX}>\r\nTo: a@example.org\r\nSubject: large\r\nMIME-Version: 1.0\r\n\
         Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app.example>\r\n\
         Content-Type: {content_type}\r\n\r\n{body}"
    )
}

/// Parts of a multipart, each with its fields.
fn multipart(kind: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--b\r\n{part}")).collect();
    message_of(
        &format!("multipart/{kind}; boundary=b"),
        &format!("{parts}--b--\r\n"),
    )
}

const TEXT: &str = "Content-Type: text/plain\r\n\r\nHello\r\n";

/// Lines of text with this total size.
fn lines(size: usize) -> String {
    let line = "All is well, and so on and so on, for as long as it takes.\r\n";
    line.repeat(size / line.len())
}

fn relay(graph: &Sandbox, keys: &str) -> Relay {
    let limits = "message_size = \"300 MB\"";
    Home::with(graph)
        .account(MAILBOX, keys)
        .limits(limits)
        .start()
}

/// Waits for this number of messages, and returns the newest.
async fn newest(graph: &Sandbox, count: usize) -> Arc<Arrival> {
    arrived(graph, count).await.pop().unwrap()
}

fn raw(arrival: &Arrival) -> String {
    String::from_utf8_lossy(&arrival.raw).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_too_large_for_one_request_arrives_as_an_attached_message() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");
    let small = "Content-Type: text/plain\r\n\r\nsmall\r\n";
    let html = format!("Content-Type: text/html\r\n\r\n<p>{}", lines(3_200_000));
    let picture = format!(
        "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        base64(&bytes(700_000, 1))
    );
    let uuencoded = format!(
        "See the file.\r\n\r\nbegin 644 a.bin\r\n{}`\r\nend\r\n",
        "M86%A86%A86%A86%A86%A86%A86%A86%A86%A86%A86%A86%A86%A86%A86%A\r\n".repeat(80_000)
    );
    let report = multipart("report; report-type=x", &[TEXT, &html]);
    let sent = [
        // The attached message goes in several pieces.
        message_of("text/plain", &lines(5_000_000)),
        message_of("text/html", &lines(3_200_000)),
        message_of("text/plain", &("x".repeat(3_200_000) + "\r\n")),
        message_of("text/plain", &uuencoded),
        multipart("alternative", &[small, &html]),
        multipart("mixed", &[&html, &picture]),
        multipart("related", &[&html, &picture]),
        // No delimiter matches the declared boundary.
        message_of("multipart/mixed; boundary=c", &lines(3_200_000)),
        message_of("multipart/mixed", &lines(3_200_000)),
        report,
    ];
    for (at, sent) in sent.iter().enumerate() {
        send_one(&relay, &["a@example.org", "blind@example.org"], sent);

        let arrival = newest(&graph, at + 1).await;
        assert_eq!(
            recipients(&arrival),
            set(&["a@example.org", "blind@example.org"])
        );
        assert!(raw(&arrival).contains("\r\nSubject: large\r\n"), "{at}");
        let [whole] = &arrival.attachments[..] else {
            panic!("{at}: {} attachments", arrival.attachments.len());
        };
        assert_eq!(whole.name, "message.eml");
        let content = without(&whole.content, &["Received"]);
        assert!(content == sent.as_bytes(), "{at}: as it came in");
    }
    assert!(relay.events("failed").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_broken_header_section_arrives_byte_for_byte() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");
    let file = bytes(2_300_000, 2);
    let encoded = base64(&file);
    let disposition = "Content-Disposition: attachment;";
    let kind = "Content-Type: application/pdf";
    let encoding = "Content-Transfer-Encoding: base64";
    for (at, (fields, name)) in [
        // A continuation line that is not indented.
        (format!("{kind}\r\n{encoding}\r\n{disposition}\r\nfilename=\"scan.pdf\"\r\n"), "scan.pdf"),
        (format!("{kind};\r\nname=scan.pdf\r\n{encoding}\r\n"), "scan.pdf"),
        (format!("{kind}\r\nname=scan.pdf\r\n{encoding}\r\n"), "scan.pdf"),
        // Lines that are not fields.
        (format!("{kind}\r\nno field\r\n{encoding}\r\n"), "attachment.pdf"),
        (format!("From scanner Mon Nov 2 2026\r\n{kind}\r\n{encoding}\r\n"), "attachment.pdf"),
        (format!("{kind}\r\n \t\r\n{encoding}\r\n"), "attachment.pdf"),
        (format!("{encoding}\r\nContent-Type application/pdf\r\nX-A: b\r\nContent-ID: <a>\r\n"), "attachment.txt"),
        // Repeated fields.
        (format!("{kind}\r\n{kind}; name=scan.pdf\r\n{encoding}\r\n"), "attachment.pdf"),
        (format!("{kind}\r\n{encoding}\r\n{encoding}\r\n"), "attachment.pdf"),
        (format!("{kind}\r\n{encoding}\r\n{disposition} filename=a.pdf\r\n{disposition} filename=b.pdf\r\n"), "a.pdf"),
    ]
    .iter()
    .enumerate()
    {
        // A part without a known type is a file only because of its disposition.
        let fields = match name {
            &"attachment.txt" => format!("{fields}Content-Disposition: attachment\r\n"),
            _ => fields.clone(),
        };
        let part = format!("{fields}\r\n{encoded}");

        send_one(&relay, &["a@example.org"], &multipart("mixed", &[TEXT, &part]));

        let arrival = newest(&graph, at + 1).await;
        assert!(raw(&arrival).contains(TEXT), "{fields}");
        assert_eq!(arrival.attachments.len(), 1, "{fields}");
        assert_eq!(arrival.attachments[0].name, *name, "{fields}");
        assert!(arrival.attachments[0].content == file, "{fields}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_an_empty_line_before_it_arrives_byte_for_byte() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");
    let file = bytes(2_300_000, 2);
    let fields = "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n";
    let in_one_line = BASE64_STANDARD.encode(&file) + "\r\n";
    for (at, encoded) in [base64(&file), in_one_line].iter().enumerate() {
        let part = format!("{fields}{encoded}");

        send_one(
            &relay,
            &["a@example.org"],
            &multipart("mixed", &[TEXT, &part]),
        );

        let arrival = newest(&graph, at + 1).await;
        assert!(raw(&arrival).contains(TEXT));
        assert!(arrival.attachments[0].content == file);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_in_an_unknown_encoding_is_uploaded_unchanged() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");
    let picture = bytes(900_000, 3);
    let good = format!(
        "Content-Type: image/png; name=good.png\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        base64(&picture)
    );
    let text = lines(3_200_000);
    let long_header = "X-Long: ".to_owned() + &"x".repeat(20_000);
    for (at, fields) in [
        "Content-Transfer-Encoding: x-of-our-own",
        "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit",
        &long_header,
    ]
    .iter()
    .enumerate()
    {
        let odd = format!("Content-Type: application/pdf; name=odd.pdf\r\n{fields}\r\n\r\n{text}");

        send_one(
            &relay,
            &["a@example.org"],
            &multipart("mixed", &[TEXT, &good, &odd]),
        );

        let arrival = newest(&graph, at + 1).await;
        assert!(raw(&arrival).contains(TEXT), "{at}");
        let taken: Vec<_> = arrival
            .attachments
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(taken, ["good.png", "attachment.eml"], "{at}");
        assert!(arrival.attachments[0].content == picture, "{at}");
        // Without the line end that belongs to the delimiter.
        let whole = odd.trim_end().as_bytes();
        assert!(arrival.attachments[1].content == whole, "{at}");
    }
}

/// The multipart, the URL in its text, the fields of the picture; whether it is inline,
/// and its Content-ID.
const PICTURES: [(&str, &str, &str, bool, Option<&str>); 9] = [
    (
        "mixed",
        "cid:p1@x",
        "Content-ID: <p1@x>\r\n",
        true,
        Some("p1@x"),
    ),
    (
        "related",
        "cid:p1@x",
        "Content-ID: <p1@x>\r\n",
        true,
        Some("p1@x"),
    ),
    (
        "mixed",
        "cid:p1=\r\n@x",
        "Content-ID: <p1@x>\r\n",
        true,
        Some("p1@x"),
    ),
    (
        "related",
        "cid:p1%40x",
        "Content-ID: <p1@x>\r\n",
        true,
        Some("p1@x"),
    ),
    (
        "mixed",
        "cid:p%201@x",
        "Content-ID: <p 1@x>\r\n",
        true,
        Some("p 1@x"),
    ),
    (
        "mixed",
        "cid:p1@x",
        "Content-ID: <p1@x>\r\nContent-Disposition: attachment; filename=a.png\r\n",
        true,
        Some("p1@x"),
    ),
    (
        "related",
        "cid:p2@x",
        "Content-ID: <p1@x>\r\n",
        false,
        Some("p1@x"),
    ),
    (
        "related",
        "p1@x",
        "Content-ID: <p1@x>\r\n",
        false,
        Some("p1@x"),
    ),
    ("mixed", "a.png", "Content-Location: a.png\r\n", false, None),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_inline_where_the_text_refers_to_it_and_only_there() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");
    // All three must be taken out.
    let picture = bytes(2_200_000, 4);
    let with = |fields: &str| {
        format!(
            "Content-Type: image/png\r\n{fields}Content-Transfer-Encoding: base64\r\n\r\n{}",
            base64(&picture)
        )
    };
    for (at, (kind, url, fields, inline, content_id)) in PICTURES.iter().enumerate() {
        let html = format!(
            "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
             <p><img src=3D\"{url}\">\r\n"
        );
        let [first, second, third] = [fields, "Content-ID: <other@x>\r\n", ""].map(&with);
        let sent = multipart(kind, &[&html, &first, &second, &third]);

        send_one(&relay, &["a@example.org"], &sent);

        let arrival = newest(&graph, at + 1).await;
        let (first, others) = arrival.attachments.split_first().unwrap();
        assert_eq!(first.inline, *inline, "{kind} {url} {fields}");
        assert_eq!(first.content_id.as_deref(), *content_id, "{url} {fields}");
        assert!(first.content == picture);
        assert!(others.iter().all(|it| !it.inline), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_referred_to_by_its_location_stays_if_anything_else_can_go() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");
    let file = |fields: &str, size| {
        format!(
            "{fields}Content-Transfer-Encoding: base64\r\n\r\n{}",
            base64(&bytes(size, 5))
        )
    };
    let html = "Content-Type: text/html\r\n\r\n<img src=\"pic.png\">\r\n";
    let picture = file(
        "Content-Type: image/png\r\nContent-Location: pic.png\r\n",
        1_500_000,
    );
    let pdf = file("Content-Type: application/pdf\r\n", 1_200_000);

    send_one(
        &relay,
        &["a@example.org"],
        &multipart("related", &[html, &picture, &pdf]),
    );

    let arrival = newest(&graph, 1).await;
    assert_eq!(arrival.attachments.len(), 1);
    assert_eq!(arrival.attachments[0].name, "attachment.pdf");
    assert!(raw(&arrival).contains("Content-Location: pic.png"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_same_name_all_arrive_in_order() {
    files_of_the_same_name_arrive_all_and_in_their_order(100_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: a hundred megabytes"]
async fn large_files_of_the_same_name_all_arrive_in_order() {
    files_of_the_same_name_arrive_all_and_in_their_order(2_000_000).await;
}

async fn files_of_the_same_name_arrive_all_and_in_their_order(size: usize) {
    let settings = Settings {
        max_send_size: 150 * 1024 * 1024,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let relay = relay(
        &graph,
        "[account.rate_limits]\nupload_per_5_minutes = \"off\"",
    );
    let files: Vec<Vec<u8>> = (0..36).map(|n| bytes(size + n, n as u64)).collect();
    let parts: Vec<String> = files
        .iter()
        .map(|file| {
            format!(
                "Content-Type: application/pdf; name=scan.pdf\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{}",
                base64(file)
            )
        })
        .collect();
    let mut all = vec![TEXT];
    all.extend(parts.iter().map(String::as_str));

    send_one(&relay, &["a@example.org"], &multipart("mixed", &all));

    let arrival = newest(&graph, 1).await;
    let text = raw(&arrival);
    assert!(text.contains(TEXT));
    let taken = arrival.attachments.iter().map(|it| &it.content);
    let stayed = parts
        .iter()
        .filter(|part| text.contains(part.as_str()))
        .count();
    assert_eq!(arrival.attachments.len() + stayed, files.len());
    let mut rest = files.iter();
    for content in taken {
        assert!(
            rest.any(|file| content == file),
            "in the order of the message"
        );
    }
    assert!(arrival.attachments.iter().all(|it| it.name == "scan.pdf"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_larger_than_its_mailbox_may_send_fails_at_once() {
    let settings = Settings {
        max_send_size: 6 * 1024 * 1024,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let relay = relay(&graph, "oversize = \"attach\"");

    let sent = message_of("text/plain", &lines(8_000_000));
    send_one(&relay, &["a@example.org"], &sent);

    let failed = relay.event("failed", |_| true);
    assert_eq!(failed["code"], "ErrorMessageSizeExceeded", "{failed}");
    assert_eq!(failed["attempt"], 1, "{failed}");
}

/// How often an attachment was sent in one request, and how often by an upload session.
fn ways(graph: &Sandbox) -> [usize; 2] {
    let requests = graph.requests();
    [RequestKind::Attach, RequestKind::Session]
        .map(|kind| requests.iter().filter(|it| it.kind == kind).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_refused_for_its_size_is_sent_the_other_way() {
    let too_small = Fault {
        code: Some("ErrorAttachmentSizeShouldNotBeLessThanMinimumSize".to_owned()),
        ..Fault::at(Station::Session, 400)
    };
    for (size, fault, tried) in [
        (2_999_999, Fault::at(Station::Attach, 413), [1, 1]),
        (3_000_000, too_small.clone(), [1, 1]),
        (3_145_727, too_small, [1, 1]),
    ] {
        let settings = Settings {
            session_minimum: 2_097_152,
            request_limit: 5_000_000,
            ..Settings::default()
        };
        let graph = stand_in_with(settings).await;
        let relay = relay(&graph, "");
        graph.inject(fault);
        let file = bytes(size, 6);
        let part = format!(
            "Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
            base64(&file)
        );

        send_one(
            &relay,
            &["a@example.org"],
            &multipart("mixed", &[TEXT, &part]),
        );

        let arrival = newest(&graph, 1).await;
        assert_eq!(arrival.attachments[0].name, "attachment.zip", "{size}");
        assert!(arrival.attachments[0].content == file, "{size}");
        assert_eq!(ways(&graph), tried, "{size}");
        relay.event("attachment", |_| true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_refused_both_ways_is_sent_inside_its_message() {
    // Too large for a request, too small for a session.
    let settings = Settings {
        attach_limit: 1_000_000,
        session_minimum: 3 * 1024 * 1024,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let relay = relay(&graph, "");
    let part = format!(
        "Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        base64(&bytes(2_500_000, 7))
    );
    let sent = multipart("mixed", &[TEXT, &part]);

    send_one(&relay, &["a@example.org"], &sent);

    let arrival = newest(&graph, 1).await;
    assert_eq!(arrival.attachments[0].name, "message.eml");
    let content = without(&arrival.attachments[0].content, &["Received"]);
    assert!(content == sent.as_bytes());
    assert!(graph.drafts().is_empty(), "the first draft was deleted");
    assert_eq!(graph.arrivals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_with_a_size_limit_gets_small_requests() {
    let settings = Settings {
        request_limit: 1_000_000,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let relay = relay(&graph, "");
    let file = bytes(4_000_000, 8);
    let note = bytes(600_000, 9);
    let part = |name: &str, bytes: &[u8]| {
        format!(
            "Content-Type: application/zip; name={name}\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}",
            base64(bytes)
        )
    };
    let parts = [part("large.zip", &file), part("note.zip", &note)];
    let text = format!("Content-Type: text/plain\r\n\r\n{}", lines(400_000));
    let sent = multipart("mixed", &[&text, &parts[0], &parts[1]]);

    send_one(&relay, &["a@example.org"], &sent);

    let arrival = newest(&graph, 1).await;
    assert!(raw(&arrival).contains(&text));
    let taken: Vec<_> = arrival
        .attachments
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(taken, ["large.zip", "note.zip"]);
    assert!(arrival.attachments[0].content == file);
    assert!(arrival.attachments[1].content == note);
}
