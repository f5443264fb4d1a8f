//! The JSON form of messages against the stand-in, which accepts only what is documented:
//! from the MIME of an application to what Graph has received.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay::auth::Means;
use graph_relay::auth::Tokens;
use graph_relay::clock::Clock;
use graph_relay::config::Config;
use graph_relay::graph;
use graph_relay::graph::Caller;
use graph_relay::graph::Graph;
use graph_relay::graph::GraphError;
use graph_relay::graph::Json;
use graph_relay::graph::Message;
use graph_relay::graph::SentItems;
use graph_relay::graph::Submitted;
use graph_relay::mail::Address;
use graph_relay::mime::JsonMessage;
use graph_relay_sandbox::Form;
use graph_relay_sandbox::Framing;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use serde_json::Value;
use serde_json::json;
use uuid::Uuid;

/// Bytes of a request that Graph certainly accepts.
const LARGEST: usize = 4_000_000;
const MAILBOX: &str = "relay@sandbox.example";

/// The stand-in, and a client that sends to it.
struct Tenant {
    sandbox: Sandbox,
    graph: Graph,
    /// Has the secret.
    _folder: tempfile::TempDir,
}

impl Tenant {
    async fn new() -> Self {
        graph_relay::http::install_tls();
        let settings = Settings::default();
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        let mut private = OpenOptions::new();
        let private = private.write(true).create_new(true).mode(0o600);
        let mut file = private.open(&secret).unwrap();
        file.write_all(settings.client_secret.as_bytes()).unwrap();
        let text = format!(
            "[[account]]\ntenant = {:?}\nclient_id = {:?}\nclient_secret_file = {secret:?}\n\
             mailbox = {MAILBOX:?}\n",
            settings.tenant, settings.client_id,
        );
        let any_port = "127.0.0.1:0".parse().unwrap();
        let sandbox = Sandbox::start(any_port, settings).await.unwrap();
        let url = sandbox.url();
        let text = format!("{text}login_url = {url:?}\ngraph_url = {url:?}\n");
        let config = Config::parse(&text, Path::new("relay.toml")).unwrap();
        let means = Means::new(&config, Clock::System).unwrap();
        let http = means.http.clone();
        Self {
            graph: Graph::new(http, Tokens::new(config.accounts[0].clone(), means)),
            sandbox,
            _folder: folder,
        }
    }

    async fn send(&self, message: &[u8]) -> Result<Submitted, GraphError> {
        let json_message = JsonMessage::of(message).unwrap();
        let json = Json::send_mail(&Message::of(&json_message), SentItems::NotKept).unwrap();
        assert!(json.body().len() <= LARGEST);
        let mailbox: Address = MAILBOX.parse().unwrap();
        let caller = Caller {
            mailbox: &mailbox,
            client_request_id: Uuid::new_v4(),
        };
        let sent = self.graph.send_mail(caller, graph::Form::Json(&json)).await;
        if sent.is_ok() {
            let arrival = self.sandbox.arrivals().pop().unwrap();
            assert_eq!(&arrival.raw, json.body());
        }
        sent
    }

    /// The message as it arrived.
    async fn delivered(&self, message: &[u8]) -> Value {
        self.send(message).await.unwrap();
        let arrival = self.sandbox.arrivals().pop().unwrap();
        assert_eq!(arrival.form, Form::Json);
        let mut action: Value = serde_json::from_slice(&arrival.raw).unwrap();
        assert_eq!(action["saveToSentItems"], false);
        action["message"].take()
    }
}

/// With a sender and a recipient.
fn message(rest: &str) -> Vec<u8> {
    format!("From: Relay <{MAILBOX}>\r\nTo: a@example.org\r\n{rest}").into_bytes()
}

/// A multipart of these parts.
fn multipart(kind: &str, parts: &[&str]) -> String {
    let parts: String = parts
        .iter()
        .map(|part| format!("--=_b\r\n{part}\r\n"))
        .collect();
    format!("Content-Type: multipart/{kind}; boundary=\"=_b\"\r\n\r\n{parts}--=_b--\r\n")
}

#[tokio::test]
async fn every_named_recipient_receives_it_with_its_message_id() {
    let tenant = Tenant::new().await;
    let mime = message(
        "Bcc: b@example.org, \"Doe, J\" <d@example.org>\r\nCc: =?utf-8?q?M=C3=BC?= <c@example.org>\r\n\
         Subject: =?iso-8859-1?Q?Z=FCrich?=\r\nMessage-ID: <1@app>\r\n\r\nHello\r\n",
    );

    let message = tenant.delivered(&mime).await;

    let arrival = tenant.sandbox.arrivals().pop().unwrap();
    assert_eq!(arrival.to, ["a@example.org"]);
    assert_eq!(arrival.cc, ["c@example.org"]);
    assert_eq!(arrival.bcc, ["b@example.org", "d@example.org"]);
    assert_eq!(arrival.subject, "Zürich");
    assert_eq!(arrival.message_id.as_deref(), Some("<1@app>"));
    assert_eq!(
        message["body"],
        json!({"contentType": "text", "content": "Hello\r\n"})
    );
    assert_eq!(message["ccRecipients"][0]["emailAddress"]["name"], "Mü");
    assert_eq!(
        message["bccRecipients"][1]["emailAddress"]["name"],
        "Doe, J"
    );
    let framing = tenant.sandbox.requests().pop().unwrap().framing;
    assert_eq!(framing, Framing::ContentLength(arrival.raw.len() as u64));
}

#[tokio::test]
async fn html_arrives_with_the_images_it_shows() {
    let tenant = Tenant::new().await;
    let html = "Content-Type: text/html; charset=windows-1252\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>=80 <img src=3D\"cid:logo@app\">";
    let image = "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\
        Content-ID: <logo@app>\r\nContent-Disposition: inline; filename*=utf-8''M%C3%BC.png\r\n\r\niVBORw==";

    let message = tenant
        .delivered(&message(&multipart("related", &[html, image])))
        .await;

    let text = "<p>€ <img src=\"cid:logo@app\">";
    assert_eq!(
        message["body"],
        json!({"contentType": "html", "content": text})
    );
    let file = &message["attachments"][0];
    assert_eq!(
        (&file["name"], &file["contentId"]),
        (&json!("Mü.png"), &json!("logo@app"))
    );
    assert_eq!(
        (&file["isInline"], &file["contentBytes"]),
        (&json!(true), &json!("iVBORw=="))
    );
}

#[tokio::test]
async fn every_charset_arrives_as_readable_text() {
    let tenant = Tenant::new().await;
    for (charset, bytes, text) in [
        ("iso-8859-1", &b"Z\xfcrich"[..], "Zürich"),
        ("windows-1252", b"\x80", "€"),
        ("utf-8", "Zürich".as_bytes(), "Zürich"),
        ("shift_jis", b"\x93\xfa\x96\x7b", "日本"),
        ("utf-16be", b"\0a\x20\xac", "a€"),
    ] {
        let encoded = STANDARD.encode(bytes);
        let mime = message(&format!(
            "Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\
             \r\n{encoded}\r\n"
        ));

        let message = tenant.delivered(&mime).await;

        assert_eq!(message["body"]["content"], text, "{charset}");
    }
}

#[tokio::test]
async fn five_of_six_own_fields_are_kept_and_replies_stay_in_their_thread() {
    let tenant = Tenant::new().await;
    let fields: String = (1..=6).map(|n| format!("X-Field-{n}: {n}\r\n")).collect();
    let mime = message(&format!(
        "{fields}X-Original-To: eve@example.org\r\nX-MS-Exchange-Test: 1\r\nIn-Reply-To: <0@app>\r\n\
         References: <0@app>\r\nImportance: high\r\nSensitivity: Private\r\n\
         Disposition-Notification-To: {MAILBOX}\r\n\r\nHello\r\n"
    ));

    let message = tenant.delivered(&mime).await;

    let headers = message["internetMessageHeaders"].as_array().unwrap();
    let names: Vec<&str> = headers
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    let expected = [
        "X-Original-To",
        "X-Field-1",
        "X-Field-2",
        "X-Field-3",
        "X-Field-4",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        message["singleValueExtendedProperties"],
        json!([
            {"id": "String 0x1042", "value": "<0@app>"},
            {"id": "String 0x1039", "value": "<0@app>"},
            {"id": "Integer 0x0036", "value": "2"},
        ])
    );
    assert_eq!(message["importance"], "high");
    assert_eq!(message["isReadReceiptRequested"], true);
}

#[tokio::test]
async fn files_and_messages_arrive_byte_for_byte() {
    let tenant = Tenant::new().await;
    let inner = "From: x@example.org\r\nSubject: inner\r\n\r\nDear all,\r\n";
    let attached = format!("Content-Type: message/rfc822\r\n\r\n{inner}");
    let csv = "Content-Type: text/csv; name=\"=?utf-8?B?w7wuY3N2?=\"\r\n\
        Content-Transfer-Encoding: base64\r\n\r\n/AD/";
    let parts = ["Content-Type: text/plain\r\n\r\nSee below", &attached, csv];

    let message = tenant
        .delivered(&message(&multipart("mixed", &parts)))
        .await;

    let file = |at: usize, member: &str| message["attachments"][at][member].as_str().unwrap();
    assert_eq!(file(0, "name"), "message.eml");
    assert_eq!(file(0, "contentType"), "message/rfc822");
    assert_eq!(file(0, "contentBytes"), STANDARD.encode(inner));
    assert_eq!(
        (file(1, "name"), file(1, "contentBytes")),
        ("ü.csv", "/AD/")
    );
}

#[tokio::test]
async fn odd_messages_are_accepted_too() {
    let tenant = Tenant::new().await;
    for rest in [
        "\r\n",
        "Content-Type: image/png\r\n\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n--b--\r\n",
        "Content-Type: text/plain; charset=nonsense\r\n\r\n\u{0}\u{1}\u{7f}\u{2028}",
        "Subject: =?utf-8?q?=00=0D=0A?=\r\nX-Empty:\r\nReply-To: nobody\r\n\r\n",
        "Content-Disposition: attachment; filename=\"\"\r\nContent-Transfer-Encoding: base64\r\n\r\nPz8=",
    ] {
        let taken = tenant.send(&message(rest)).await;

        assert!(taken.is_ok(), "{rest:?}: {taken:?}");
    }
}

#[tokio::test]
async fn a_refusal_quotes_graph() {
    let tenant = Tenant::new().await;

    let boss = tenant
        .send(b"From: boss@sandbox.example\r\nTo: a@example.org\r\n\r\n")
        .await;
    let nobody = tenant.send(b"From: relay@sandbox.example\r\n\r\n").await;

    for (answer, expected) in [
        (boss, (403, "ErrorSendAsDenied")),
        (nobody, (400, "ErrorInvalidRecipients")),
    ] {
        let Err(GraphError::Answered { status, code, .. }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!((status, code.as_str()), expected);
    }
    assert!(tenant.sandbox.arrivals().is_empty());
}
