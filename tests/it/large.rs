//! Messages too large for one request: attachments uploaded to a draft arrive complete
//! after any error, and messages that cannot be split are reported.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use graph_relay_sandbox::Arrival;
use graph_relay_sandbox::Cut;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::NextRange;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::Route;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;

use crate::common::content::base64;
use crate::common::content::bytes;
use crate::common::load::peak;
use crate::common::*;

/// A part with a file.
fn file(fields: &str, bytes: &[u8]) -> String {
    let encoded = base64(bytes);
    format!("--b\r\n{fields}Content-Transfer-Encoding: base64\r\n\r\n{encoded}")
}

fn multipart(kind: &str, parts: &[String]) -> String {
    format!(
        "From: App <{MAILBOX}>\r\nTo: a@example.org\r\nSubject: large\r\nMIME-Version: 1.0\r\n\
         Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app.example>\r\n\
         Content-Type: {kind}; boundary=b\r\n\r\n{}--b--\r\n",
        parts.concat()
    )
}

const TEXT: &str =
    "--b\r\nContent-Type: text/html\r\n\r\n<p>Gr=C3=BC=C3=9Fe <img src=3D\"cid:i@b\">\r\n";

/// A text with a file.
fn with_file(bytes: &[u8]) -> String {
    let file = file("Content-Type: application/zip\r\n", bytes);
    multipart("multipart/mixed", &[TEXT.to_owned(), file])
}

fn relay(graph: &Sandbox, keys: &str) -> Relay {
    let limits = "message_size = \"300 MB\"";
    Home::with(graph)
        .account(MAILBOX, keys)
        .limits(limits)
        .start()
}

/// The one message that arrived.
async fn only(graph: &Sandbox) -> std::sync::Arc<Arrival> {
    let arrivals = arrived(graph, 1).await;
    assert_eq!(arrivals.len(), 1);
    arrivals[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_attachments_are_uploaded_and_the_rest_is_unchanged() {
    for next_range in [NextRange::Bare, NextRange::Open] {
        let settings = Settings {
            next_range,
            ..Settings::default()
        };
        let graph = stand_in_with(settings).await;
        let relay = relay(&graph, "");
        // The scan goes in three pieces: the first, one in the middle, and the last.
        let (scan, photo, note) = (bytes(8_000_000, 1), bytes(2_500_000, 2), bytes(50_000, 3));
        let parts = [
            TEXT.to_owned(),
            file(
                "Content-Type: application/pdf; name=\"=?utf-8?q?Gr=C3=BC=C3=9Fe=2Epdf?=\"\r\n",
                &scan,
            ),
            file(
                "Content-Type: image/jpeg\r\nContent-ID: <i@b>\r\nContent-Disposition: inline; \
                 filename*=utf-8''f%C3%BCr.jpg\r\n",
                &photo,
            ),
            file(
                "Content-Type: text/csv\r\nContent-Disposition: attachment; filename=n.csv\r\n",
                &note,
            ),
        ];
        let sent = multipart("multipart/related", &parts);

        send_one(&relay, &["a@example.org", "blind@example.org"], &sent);

        let arrival = only(&graph).await;
        assert_eq!(arrival.route, Route::Draft);
        assert_eq!(
            recipients(&arrival),
            set(&["a@example.org", "blind@example.org"])
        );
        let raw = String::from_utf8(arrival.raw.to_vec()).unwrap();
        assert!(raw.contains(TEXT), "{}", &raw[..2000]);
        assert!(raw.contains(&base64(&note)));
        let [scanned, shown] = &arrival.attachments[..] else {
            panic!("{} attachments", arrival.attachments.len());
        };
        assert_eq!(scanned.name, "Grüße.pdf");
        assert_eq!(scanned.content, scan);
        assert_eq!(shown.name, "für.jpg");
        assert_eq!(shown.content, photo);
        assert_eq!(shown.content_id.as_deref(), Some("i@b"));
        assert!(shown.inline);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanned_file_without_any_text_is_delivered() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");
    let scan = bytes(3_200_000, 4);
    let sent = format!(
        "From: App <{MAILBOX}>\r\nTo: a@example.org\r\nContent-Type: application/pdf\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}",
        base64(&scan)
    );

    send_one(&relay, &["a@example.org"], &sent);

    let arrival = only(&graph).await;
    assert_eq!(arrival.attachments[0].name, "attachment.pdf");
    assert_eq!(arrival.attachments[0].content, scan);
}

/// Every way in which a request that prepares a draft can fail.
fn faults(at: Station) -> Vec<Fault> {
    let mut faults = vec![
        Fault {
            cut: Some(Cut::Request),
            cut_after: 1_000_000,
            ..Fault::usual(at)
        },
        Fault {
            retry_after: Some("1".to_owned()),
            ..Fault::at(at, 429)
        },
    ];
    for (cut, stored) in [(Cut::Before, true), (Cut::During, false)] {
        faults.push(Fault {
            cut: Some(cut),
            stored: Some(stored),
            ..Fault::usual(at)
        });
    }
    faults.push(Fault {
        stored: Some(true),
        ..Fault::at(at, 503)
    });
    faults
}

/// Each kind of request and each way to fail once: with five of both, these are every
/// sixth of all combinations.
#[tokio::test(flavor = "multi_thread")]
async fn promise_4_a_large_message_arrives_once_and_whole_after_a_failed_request() {
    arrives_once_and_whole(6).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: many large messages"]
async fn promise_4_a_large_message_arrives_once_and_whole_after_any_failed_request() {
    arrives_once_and_whole(1).await;
}

/// Every `step`-th case.
async fn arrives_once_and_whole(step: usize) {
    let stations = [
        Station::Session,
        Station::Upload,
        Station::Attach,
        Station::Progress,
        Station::Delete,
    ];
    let mut cases: Vec<Fault> = stations
        .into_iter()
        .flat_map(faults)
        .step_by(step)
        .collect();
    cases.push(Fault::expired_session());
    let mailbox = |n: usize| format!("m{n}@sandbox.example");
    let settings = Settings {
        mailboxes: (0..cases.len()).map(mailbox).collect(),
        keep_bytes: 1 << 30,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let home = Home::with(&graph).account("from", "").build();
    let relay = Relay::start(&home);
    // One attachment goes by an upload session; the other, too large to stay, in one
    // request.
    let (large, small) = (bytes(4_000_000, 5), bytes(2_200_000, 6));
    let field = |name: &str| format!("Content-Disposition: attachment; filename={name}\r\n");
    let parts = [file(&field("large"), &large), file(&field("small"), &small)];
    let parts = [TEXT.to_owned(), parts.concat()];
    let sent = multipart("multipart/mixed", &parts);
    for (n, fault) in cases.iter().enumerate() {
        let of_this = |fault| Fault {
            mailbox: Some(mailbox(n)),
            ..fault
        };
        if fault.at == Station::Progress {
            // Makes the relay ask for the progress.
            graph.inject(of_this(Fault::at(Station::Upload, 503)));
        } else if fault.at == Station::Delete {
            // Makes it begin again.
            graph.inject(of_this(Fault::at(Station::Session, 503)));
        }
        graph.inject(of_this(fault.clone()));
        send_one(
            &relay,
            &["a@example.org"],
            &sent.replace(MAILBOX, &mailbox(n)),
        );
    }

    let arrivals = arrived(&graph, cases.len()).await;

    relay.wait_until(|| relay.delivered() == cases.len());
    assert_eq!(graph.arrivals().len(), cases.len());
    for (n, fault) in cases.iter().enumerate() {
        let arrival = arrivals.iter().find(|it| it.mailbox == mailbox(n));
        let attachments = &arrival.unwrap().attachments;
        assert_eq!(attachments.len(), 2, "{fault:?}");
        assert!(attachments[0].content == large, "{fault:?}");
        assert!(attachments[1].content == small, "{fault:?}");
    }
    assert_eq!(relay.events("doubtful").len(), 0, "nothing was sent before");
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_4_a_relay_killed_during_an_upload_sends_the_message_once_and_whole() {
    for (at, kind) in [
        (Station::Session, RequestKind::Session),
        (Station::Upload, RequestKind::Upload),
    ] {
        let graph = stand_in().await;
        let home = Home::new(&graph);
        let mut relay = Relay::start(&home);
        let large = bytes(4_000_000, 7);
        graph.inject(Fault {
            stored: Some(true),
            delay: PATIENCE,
            ..Fault::usual(at)
        });
        let sent = multipart(
            "multipart/mixed",
            &[file("Content-Type: application/zip\r\n", &large)],
        );
        send_one(&relay, &["a@example.org"], &sent);
        relay.wait_until(|| graph.requests().iter().any(|it| it.kind == kind));

        relay.kill();
        let relay = Relay::start(&home);

        relay.event("delivered", |_| true);
        let arrival = only(&graph).await;
        assert_eq!(arrival.attachments.len(), 1);
        assert!(arrival.attachments[0].content == large);
        assert!(graph.drafts().is_empty(), "the first one was deleted");
    }
}

/// How often a message is begun again.
fn drafts_made(graph: &Sandbox) -> usize {
    let requests = graph.requests();
    let made = requests.iter().filter(|it| it.kind == RequestKind::Draft);
    made.count()
}

async fn sent_whole(graph: &Sandbox, relay: &Relay, size: usize) {
    let large = bytes(size, 8);
    let sent = multipart(
        "multipart/mixed",
        &[file("Content-Type: application/zip\r\n", &large)],
    );

    let id = send_one(relay, &["a@example.org"], &sent);

    relay.event("delivered", |line| line["id"] == *id);
    let arrival = only(graph).await;
    assert_eq!(arrival.attachments.len(), 1);
    assert!(arrival.attachments[0].content == large);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_makes_no_progress_is_abandoned() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");
    let says = |at, next: &str| Fault {
        body: Some(format!("{{\"nextExpectedRanges\":[\"{next}-\"]}}")),
        stored: Some(false),
        ..Fault::at(at, 200)
    };
    for _ in 0..8 {
        graph.inject(says(Station::Upload, "3932160"));
        graph.inject(Fault::at(Station::Upload, 503));
        graph.inject(says(Station::Progress, "0"));
    }

    sent_whole(&graph, &relay, 4_000_000).await;

    assert_eq!(drafts_made(&graph), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_that_graph_completes_early_is_never_sent_truncated() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");
    graph.inject(Fault {
        stored: Some(false),
        ..Fault::at(Station::Upload, 201)
    });

    sent_whole(&graph, &relay, 4_000_000).await;

    assert_eq!(drafts_made(&graph), 2);
}

/// A text of this size, and no other part.
fn text(size: usize) -> String {
    let line = "All is well, and so on and so on, for as long as it takes.\r\n";
    let text = line.repeat(size / line.len());
    format!(
        "From: App <{MAILBOX}>\r\nTo: a@example.org\r\nSubject: large\r\n\
         Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app.example>\r\n\r\n{text}"
    )
}

/// Signed, and too large for one request.
fn signed() -> String {
    signed_with(&bytes(4_000_000, 8))
}

fn signed_with(pdf: &[u8]) -> String {
    let parts = [
        file("Content-Type: application/pdf\r\n", pdf),
        file(
            "Content-Type: application/pkcs7-signature\r\n",
            b"signature",
        ),
    ];
    let kind = "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256";
    multipart(kind, &parts)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_signed_message_is_refused_at_data() {
    let graph = stand_in().await;
    let cases = [
        ("", signed()),
        ("oversize = \"fail\"", signed()),
        ("oversize = \"fail\"", text(5_000_000)),
    ];
    for (at, (keys, sent)) in cases.iter().enumerate() {
        let relay = relay(&graph, keys);
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");

        let reply = smtp.send(MAILBOX, &["a@example.org"], sent.as_bytes());

        assert!(reply.starts_with("552 5.3.4 Message too big: "), "{reply}");
        assert!(reply.contains("oversize"), "{reply}");
        // The session continues.
        let reply = smtp.send(MAILBOX, &["a@example.org"], b"Subject: small\r\n\r\n");
        assert!(reply.starts_with("250 "), "{reply}");
        assert_eq!(arrived(&graph, at + 1).await.len(), at + 1);
    }
}

/// An accepted message does not fail because of its size, although its account refuses
/// such messages now.
#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_signed_message_is_sent_as_an_attachment_when_graph_finds_it_too_large() {
    let settings = Settings {
        request_limit: 3_000_000,
        session_minimum: 2_097_152,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let relay = relay(&graph, "");
    let sent = signed_with(&bytes(1_900_000, 8));

    send_one(&relay, &["a@example.org"], &sent);

    let arrival = only(&graph).await;
    let content = without(&arrival.attachments[0].content, &["Received"]);
    assert!(content == sent.as_bytes());
    let raw = String::from_utf8(arrival.raw.to_vec()).unwrap();
    assert!(raw.contains("Its signature or encryption belongs"), "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_signed_message_is_sent_as_an_attachment_if_configured() {
    let graph = stand_in().await;
    let relay = relay(&graph, "oversize = \"attach\"");
    let sent = signed();

    send_one(&relay, &["a@example.org", "blind@example.org"], &sent);

    let arrival = only(&graph).await;
    assert_eq!(
        recipients(&arrival),
        set(&["a@example.org", "blind@example.org"])
    );
    assert_eq!(arrival.attachments.len(), 1);
    let whole = &arrival.attachments[0];
    assert_eq!(whole.name, "message.eml");
    let content = without(&whole.content, &["Received"]);
    assert!(
        content == sent.as_bytes(),
        "as it came in, and nobody blind in it"
    );
    let raw = String::from_utf8(arrival.raw.to_vec()).unwrap();
    assert!(raw.contains("\r\nSubject: large\r\n"), "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_graph_finds_too_large_is_split() {
    for route in ["send", "draft"] {
        let settings = Settings {
            request_limit: 3_000_000,
            ..Settings::default()
        };
        let graph = stand_in_with(settings).await;
        let relay = relay(&graph, &format!("submission = \"{route}\""));
        let scan = bytes(1_900_000, 9);

        send_one(&relay, &["a@example.org"], &with_file(&scan));

        let arrival = only(&graph).await;
        assert!(arrival.attachments[0].content == scan, "{route}");
        relay.event("request_limit", |_| true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_and_cannot_be_split_fails_with_graphs_error() {
    let graph = stand_in().await;
    let relay = relay(&graph, "");

    let id = send_one(
        &relay,
        &["toolarge@example.org"],
        &message("small", "toolarge@example.org"),
    );

    let failed = relay.event("failed", |line| line["id"] == *id);
    assert_eq!(failed["status"], "413");
    assert!(
        failed["reason"]
            .as_str()
            .unwrap()
            .contains("Graph answered 413"),
        "{failed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_message_that_graph_finds_too_large_is_sent_as_split_mime() {
    for route in ["send", "draft"] {
        let settings = Settings {
            request_limit: 3_000_000,
            ..Settings::default()
        };
        let graph = stand_in_with(settings).await;
        let keys = format!("format = \"json\"\nsubmission = \"{route}\"");
        let relay = relay(&graph, &keys);
        let scan = bytes(1_200_000, 9);

        let parts = [
            TEXT.to_owned(),
            file("Content-Type: application/zip\r\n", &scan),
            file("Content-Type: application/zip\r\n", &scan),
        ];
        send_one(
            &relay,
            &["a@example.org"],
            &multipart("multipart/mixed", &parts),
        );

        let arrival = only(&graph).await;
        assert_eq!(arrival.subject, "large", "{route}: no report");
        assert!(arrival.attachments[0].content == scan, "{route}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quoted_printable_becomes_base64_if_configured() {
    let graph = stand_in().await;
    let relay = relay(&graph, "quoted_printable = \"base64\"");
    let sent = format!(
        "From: App <{MAILBOX}>\r\nTo: a@example.org\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9F=\r\ne\r\n"
    );

    send_one(&relay, &["a@example.org"], &sent);

    let arrival = only(&graph).await;
    let raw = String::from_utf8(arrival.raw.to_vec()).unwrap();
    assert!(
        raw.contains("Content-Transfer-Encoding: base64\r\n"),
        "{raw}"
    );
    assert!(raw.contains(&BASE64_STANDARD.encode("Grüße\r\n")), "{raw}");
    relay.event("quoted_printable", |_| true);
}

/// The most memory, in kB, that the relay may use for one message of 100 MB.
const PEAK: u64 = 64 * 1024;
const HUNDRED_MEGABYTES: usize = 100_000_000;
/// As base64, and with the relay's usual memory, it does not fit into [`PEAK`].
const THIRTY_MEGABYTES: usize = 30_000_000;

/// A relay for mailboxes with a raised MaxSendSize, without a limit of bytes.
async fn for_large_ones() -> (Sandbox, Relay) {
    let settings = Settings {
        max_send_size: 150 * 1024 * 1024,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let relay = relay(
        &graph,
        "[account.rate_limits]\nupload_per_5_minutes = \"off\"",
    );
    (graph, relay)
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_megabytes_take_little_memory() {
    take_little_memory(THIRTY_MEGABYTES).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: a hundred megabytes"]
async fn a_hundred_megabytes_take_little_memory() {
    take_little_memory(HUNDRED_MEGABYTES).await;
}

async fn take_little_memory(size: usize) {
    let (graph, relay) = for_large_ones().await;
    let large = bytes(size, 10);

    send_one(&relay, &["a@example.org"], &with_file(&large));

    let arrival = only(&graph).await;
    assert!(arrival.attachments[0].content == large);
    assert!(peak(&relay) < PEAK, "{} kB", peak(&relay));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs swaks: tests/clients/install, done by .ci/run"]
async fn a_hundred_megabytes_from_swaks_arrive_byte_for_byte() {
    let (graph, relay) = for_large_ones().await;
    let large = bytes(HUNDRED_MEGABYTES, 11);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.bin");
    std::fs::write(&path, &large).unwrap();

    let sent = std::process::Command::new("swaks")
        .args(["--server", &relay.address.to_string(), "--silent", "2"])
        .args([
            "--from",
            MAILBOX,
            "--to",
            "a@example.org",
            "--attach-name",
            "large.bin",
        ])
        .args([
            "--attach",
            &format!("@{}", path.display()),
            "--timeout",
            "300",
        ])
        .status()
        .unwrap();

    assert!(sent.success());
    let arrival = only(&graph).await;
    assert_eq!(arrival.attachments[0].name, "large.bin");
    assert!(arrival.attachments[0].content == large);
    assert!(peak(&relay) < PEAK, "{} kB", peak(&relay));
    println!("100 MB from swaks: the relay's peak is {} kB", peak(&relay));
}
