//! Who may send, and as whom, with the real binary: renewed certificates, added users,
//! and users bound to accounts.

use std::fs;
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Settings;

use crate::common;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::arrived;
use crate::common::id_of;
use crate::common::message;
use crate::common::stand_in;
use crate::common::stand_in_with;
use crate::common::tls::Identity;
use crate::common::users::PLAIN;
use crate::common::users::USERS;

/// Whether a client that trusts only this certificate can begin TLS.
fn is_shown(identity: &Identity, relay: &Relay) -> bool {
    let tcp = TcpStream::connect(relay.address).unwrap();
    tcp.set_read_timeout(Some(common::PATIENCE)).unwrap();
    identity.handshake(tcp).is_ok()
}

/// In a configuration's `[[listener]]`.
const LISTENER: &str = "address = \"127.0.0.1:0\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_used_at_once_and_sessions_continue() {
    let graph = stand_in().await;
    let (old, new) = (Identity::new(), Identity::new());
    let home = Home::with(&graph)
        .listener("tls = \"implicit\"")
        .tls(&old)
        .build();
    let relay = Relay::start(&home);
    let tcp = TcpStream::connect(relay.address).unwrap();
    let mut session = Smtp::over(old.handshake(tcp).unwrap());
    assert!(session.reply().starts_with("220 "));

    // The key alone does not match the certificate, so the old pair stays.
    let other = Identity::new();
    let certificate = fs::read(home.path("certificate.pem")).unwrap();
    other.section(&home);
    fs::write(home.path("certificate.pem"), certificate).unwrap();
    assert!(is_shown(&old, &relay));
    relay.event("certificate", |line| line["level"] == "ERROR");
    new.section(&home);
    assert!(is_shown(&new, &relay));
    assert!(!is_shown(&old, &relay));
    relay.event("certificate", |line| line["level"] == "INFO");

    session.expect("EHLO c", "250");
    let content = message("over the old one", "a@example.org");
    id_of(&session.send(MAILBOX, &["a@example.org"], content.as_bytes()));
    let arrivals = arrived(&graph, 1).await;
    let raw = String::from_utf8_lossy(&arrivals[0].raw).into_owned();
    assert!(raw.contains(" with ESMTPS id "), "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_tls_handshake_is_logged_with_the_remedy() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .listener("tls = \"implicit\"")
        .tls(&Identity::new())
        .build();
    let relay = Relay::start(&home);

    let mut plain = Smtp::connect_only(relay.address);
    plain.write(b"EHLO c\r\n");
    let logged = relay.event("tls", |_| true);
    let remedy = logged["remedy"].as_str().unwrap();
    assert!(remedy.contains("did not start with TLS"), "{logged}");

    assert!(!is_shown(&Identity::new(), &relay));
    relay.event("tls", |line| {
        line["remedy"].as_str().unwrap().contains("does not trust")
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_adds_a_user_and_says_what_needs_a_restart() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = Relay::start(&home);
    let mut begun = relay.connect();
    begun.expect("EHLO c", "250");
    let good = fs::read_to_string(&home.config).unwrap();

    fs::write(&home.config, format!("{good}\n[[usr]]\n")).unwrap();
    relay.signal("HUP");
    let refused = relay.event("reload_failed", |_| true);
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains("did you mean \"user\""), "{refused}");
    relay
        .connect()
        .expect(&format!("AUTH PLAIN {PLAIN}"), "503");

    // The socket stays open until a restart, and would have no users.
    let bound = "[[user]]\nname = \"new\"\nsenders = [\"*\"]\naccount = \"new\"\npassword_hash = \
        \"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$mFzbGLkJHdHqXL3Ivbs8WGVhBVvMQc8wtQhfLmxIlh8\"\n\
        [[account]]\nname = \"new\"\ntenant = \"contoso.com\"\nclient_id = \"1\"\n\
        client_secret_env = \"PATH\"\nmailbox = \"new@contoso.com\"\n";
    fs::write(&home.config, &good).unwrap();
    home.change(
        LISTENER,
        &format!("{LISTENER}authentication = \"optional\"\n"),
    );
    home.append(bound);
    relay.signal("HUP");
    relay.event("reload_failed", |line| {
        let reason = line["reason"].as_str().unwrap();
        reason.contains("the new [[account]] new: restart")
    });

    fs::write(
        &home.config,
        good.replace("relay.test.example", "other.example"),
    )
    .unwrap();
    home.change(
        LISTENER,
        &format!("{LISTENER}authentication = \"required\"\n"),
    );
    home.append(USERS);
    relay.signal("HUP");
    let reloaded = relay.event("reloaded", |_| true);
    assert_eq!(reloaded["needs_restart"], "hostname");

    let mut next = relay.connect();
    next.expect("EHLO c", "250-relay.test.example");
    next.expect(&format!("MAIL FROM:<{MAILBOX}>"), "530 5.7.0 ");
    next.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    next.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    // A client that was connected before has no password, and needs one now.
    begun.expect(&format!("MAIL FROM:<{MAILBOX}>"), "421 4.7.1 ");
    assert_eq!(begun.rest(), "");
}

/// Changes the configuration of a running relay.
fn reload(relay: &Relay, home: &Home, text: &str) {
    let before = relay.events("reloaded").len();
    fs::write(&home.config, text).unwrap();
    relay.signal("HUP");
    relay.wait_until(|| relay.events("reloaded").len() > before);
}

fn authenticated(relay: &Relay) -> Smtp {
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    smtp
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_at_its_next_command_when_it_is_no_longer_allowed() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let open = fs::read_to_string(&home.config).unwrap();
    home.change(
        LISTENER,
        &format!("{LISTENER}authentication = \"required\"\n"),
    );
    home.append(USERS);
    let relay = Relay::start(&home);
    let good = fs::read_to_string(&home.config).unwrap();

    let networks = "authentication = \"required\"\nnetworks = [\"192.0.2.0/24\"]";
    for (what, changed) in [
        (
            "user",
            good.replacen("name = \"scanner\"", "name = \"other\"", 1),
        ),
        // Another salt counts as another password.
        (
            "password",
            good.replacen("Y2FuYXJ5LW9mLXRlc3RzIQ", "Y2FuYXJ5LW9mLXRlc3RzIg", 1),
        ),
        (
            "network",
            good.replacen("authentication = \"required\"", networks, 1),
        ),
    ] {
        assert_ne!(changed, good, "{what}");
        reload(&relay, &home, &good);
        let mut idle = authenticated(&relay);
        let mut open = authenticated(&relay);
        open.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        open.expect("RCPT TO:<a@example.org>", "250");
        let mut within = authenticated(&relay);
        within.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        within.expect("RCPT TO:<a@example.org>", "250");
        within.expect("DATA", "354");

        reload(&relay, &home, &changed);

        idle.expect(&format!("MAIL FROM:<{MAILBOX}>"), "421 4.7.1 ");
        assert_eq!(idle.rest(), "", "{what}");
        open.expect("DATA", "421 4.7.1 ");
        within.write(message("revoked", "a@example.org").as_bytes());
        within.expect(".", "421 4.7.1 ");
    }
    assert!(relay.events("accepted").is_empty());

    // A listener that requires a password from now on.
    reload(&relay, &home, &open);
    let mut anonymous = relay.connect();
    anonymous.expect("EHLO c", "250");
    anonymous.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    reload(&relay, &home, &good);
    anonymous.expect("RCPT TO:<a@example.org>", "421 4.7.1 ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_applies_its_rules_to_open_sessions() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .listener("authentication = \"required\"")
        .sections(USERS)
        .build();
    let relay = Relay::start(&home);
    let good = fs::read_to_string(&home.config).unwrap();
    let mut session = authenticated(&relay);
    session.expect("MAIL FROM:<reports@sandbox.example>", "553");

    let more = "senders = [\"relay@sandbox.example\", \"reports@sandbox.example\"]";
    reload(
        &relay,
        &home,
        &good.replace("senders = [\"relay@sandbox.example\"]", more),
    );
    session.expect("MAIL FROM:<reports@sandbox.example>", "250");

    // The user may no longer send as the sender of the open transaction.
    reload(&relay, &home, &good);
    session.expect("RCPT TO:<a@example.org>", "421 4.7.1 ");

    let mut session = authenticated(&relay);
    reload(&relay, &home, &format!("{good}\n"));
    let content = message("after a reload", "a@example.org");
    id_of(&session.send(MAILBOX, &["a@example.org"], content.as_bytes()));
    arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sends_through_its_own_account_even_after_a_restart() {
    const OTHER: &str = "other@sandbox.example";
    let graph = stand_in_with(Settings {
        mailboxes: vec![MAILBOX.to_owned(), OTHER.to_owned()],
        send_as: vec![MAILBOX.to_owned()],
        ..Settings::default()
    })
    .await;
    let bound = USERS.replace(
        "senders = [\"relay@sandbox.example\"]",
        "senders = [\"relay@sandbox.example\"]\naccount = \"other@sandbox.example\"",
    );
    let home = Home::with(&graph)
        .account(MAILBOX, "")
        .account(OTHER, "")
        .listener("authentication = \"optional\"")
        .sections(&bound)
        .build();
    graph.inject(Fault {
        times: 1000,
        ..Fault::at_token(503)
    });
    let mut relay = Relay::start(&home);
    let content = message("bound", "a@example.org");
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    let id = id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()));

    // Accounts are chosen again at a start, and the user's account still counts.
    assert!(relay.stop().success());
    graph.clear_faults();
    let relay = Relay::start(&home);
    let delivered = relay.event("delivered", |line| line["id"] == id.as_str());
    assert_eq!(delivered["mailbox"], OTHER);

    let mut anonymous = relay.connect();
    anonymous.expect("EHLO c", "250");
    let id = id_of(&anonymous.send(MAILBOX, &["a@example.org"], content.as_bytes()));
    let delivered = relay.event("delivered", |line| line["id"] == id.as_str());
    assert_eq!(delivered["mailbox"], MAILBOX);
}

#[tokio::test(flavor = "multi_thread")]
async fn default_from_is_not_given_to_a_user_who_may_not_use_it() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .listener("authentication = \"required\"")
        .sections(&USERS.replace(
            "senders = [\"relay@sandbox.example\"]",
            "senders = [\"reports@sandbox.example\"]",
        ))
        .build();
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");

    for from in [
        "",
        "From: \"The CEO\" <ceo@box.local>\r\n",
        "From: nobody\r\n",
    ] {
        let content = format!("{from}To: a@example.org\r\nSubject: x\r\n\r\nx\r\n");
        let reply = smtp.send(
            "reports@sandbox.example",
            &["a@example.org"],
            content.as_bytes(),
        );
        assert!(
            reply.starts_with(
                "550 5.7.1 The message has no usable From, and scanner may not send as the \
                 replacement address relay@sandbox.example (senders of the "
            ),
            "{reply}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_mail_goes_out_as_the_mailbox_needs_no_from() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .account(MAILBOX, "from = \"mailbox\"")
        .listener("authentication = \"required\"")
        .sections(&USERS.replace(
            "senders = [\"relay@sandbox.example\"]",
            "senders = [\"scanner@old.example\"]",
        ))
        .build();
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");

    let froms = ["", "From: root\r\n", "From: scanner@old.example\r\n"];
    for from in froms {
        let content = format!("{from}To: a@example.org\r\nSubject: x\r\n\r\nx\r\n");
        id_of(&smtp.send(
            "scanner@old.example",
            &["a@example.org"],
            content.as_bytes(),
        ));
    }
    for arrival in arrived(&graph, froms.len()).await {
        let from = String::from_utf8_lossy(&arrival.raw).into_owned();
        let from = from.lines().find(|line| line.starts_with("From: "));
        assert!(from.is_some_and(|from| from.contains(MAILBOX)), "{from:?}");
    }

    // A From written by the client must be allowed too.
    let content = b"From: boss@sandbox.example\r\nTo: a@example.org\r\n\r\nx\r\n";
    let reply = smtp.send("scanner@old.example", &["a@example.org"], content);
    assert!(
        reply.starts_with("550 5.7.1 scanner may not send with the From address boss@"),
        "{reply}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_not_name_a_second_author_either() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .listener("authentication = \"required\"")
        .sections(USERS)
        .build();
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");

    for from in [
        "boss@sandbox.example",
        "relay@sandbox.example, boss@sandbox.example",
        "boss@sandbox.example, relay@sandbox.example",
        "relay@sandbox.example\r\nFrom: boss@sandbox.example",
        "boss@sandbox.example\r\nFrom: relay@sandbox.example",
    ] {
        let content = format!("From: {from}\r\nTo: a@example.org\r\nSubject: x\r\n\r\nx\r\n");
        let reply = smtp.send(MAILBOX, &["a@example.org"], content.as_bytes());
        if reply.starts_with("250 ") {
            continue; // looked at below: only the first From may go out
        }
        assert!(
            reply.starts_with("550 5.7.1 scanner may not send"),
            "{reply}"
        );
    }
    let content = message("last", "a@example.org");
    id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()));
    relay.wait_until(|| relay.delivered() == graph.arrivals().len() && relay.delivered() > 0);
    for arrival in graph.arrivals() {
        let raw = String::from_utf8_lossy(&arrival.raw).into_owned();
        let head = raw.split("\r\n\r\n").next().unwrap();
        let named = head.lines().filter(|line| line.starts_with("From:"));
        let named: Vec<&str> = named.collect();
        assert_eq!(named.len(), 1, "{head}");
        assert!(!named[0].contains("boss"), "{head}");
    }
}

#[test]
fn hash_password_prints_a_hash_that_authenticates() {
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!(
            "echo Canary12345 | {} hash-password",
            env!("CARGO_BIN_EXE_graph-relay")
        ))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let hash = String::from_utf8(output.stdout).unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let graph = runtime.block_on(stand_in());
    let user = format!(
        "[[user]]\nname = \"scanner\"\nsenders = [\"*\"]\npassword_hash = \"{}\"\n",
        hash.trim()
    );
    let home = Home::with(&graph)
        .listener("authentication = \"required\"")
        .sections(&user)
        .build();
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("HELO c", "250");
    let response = STANDARD.encode("\0Scanner\0Canary12345");
    smtp.expect(&format!("AUTH PLAIN {response}"), "235");
}

/// A message from the mailbox with these fields at the top.
fn with_fields(fields: &str) -> Vec<u8> {
    format!("{fields}{}", message("x", "a@example.org")).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_of_a_user_also_govern_sender_and_resent_fields() {
    const OWN: &str = "relay@sandbox.example";
    const OTHER: &str = "ceo@sandbox.example";
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .sections(USERS)
        .listener("authentication = \"optional\"")
        .build();
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");

    for (fields, name) in [
        (format!("Sender: {OTHER}\r\n"), "Sender"),
        (format!("sEnDeR : The CEO <{OTHER}>\r\n"), "Sender"),
        (format!("Sender:\r\n\t{OTHER}\r\n"), "Sender"),
        (format!("Sender: {OWN}\r\nSender: {OTHER}\r\n"), "Sender"),
        (format!("Sender: {OWN}, {OTHER}\r\n"), "Sender"),
        (format!("Sender: team: {OTHER};\r\n"), "Sender"),
        (format!("Sender: x@y <{OTHER}\r\n"), "Sender"),
        (format!("Resent-From: {OTHER}\r\n"), "Resent-From"),
        (format!("Resent-From: {OWN}, {OTHER}\r\n"), "Resent-From"),
        (format!("resent-sender: {OTHER}\r\n"), "Resent-Sender"),
        (
            format!("Resent-From: x@sandbox.example <{OTHER}>\r\n"),
            "Resent-From",
        ),
        (
            format!("Resent-Sender: \"open <{OTHER}>\r\n"),
            "Resent-Sender",
        ),
    ] {
        let reply = smtp.send(MAILBOX, &["a@example.org"], &with_fields(&fields));
        let expected = format!("550 5.7.1 scanner may not send with the {name} address {OTHER} ");
        assert!(reply.starts_with(&expected), "{fields}: {reply}");
    }

    // Its own names stay; one that no mailbox can have is removed.
    let own = format!("Sender: {OWN}\r\nResent-From: {OWN}\r\nResent-Sender: A <{OWN}>\r\n");
    let nobodys = "Sender: www-data@web01.local";
    id_of(&smtp.send(MAILBOX, &["a@example.org"], &with_fields(&own)));
    let content = with_fields(&format!("{nobodys}\r\n"));
    id_of(&smtp.send(MAILBOX, &["a@example.org"], &content));
    // Without authentication no user's senders apply.
    let mut anonymous = relay.connect();
    anonymous.expect("EHLO c", "250");
    let content = with_fields(&format!("Sender: {OTHER}\r\n"));
    id_of(&anonymous.send(MAILBOX, &["a@example.org"], &content));
    let arrivals = arrived(&graph, 3).await;
    let raw: Vec<_> = arrivals
        .iter()
        .map(|arrival| String::from_utf8_lossy(&arrival.raw))
        .collect();
    let with = |line: &str| raw.iter().filter(|raw| raw.contains(line)).count();
    for field in own.lines() {
        assert_eq!(with(&format!("\r\n{field}\r\n")), 1, "{field}");
    }
    assert_eq!(with(&format!("\r\nX-Original-{nobodys}\r\n")), 1);
    assert_eq!(with(&format!("\r\n{nobodys}\r\n")), 0);
    assert_eq!(with(&format!("\r\nSender: {OTHER}\r\n")), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn transport_fields_of_exchange_are_never_passed_on() {
    let fields = "X-MS-Exchange-Organization-SCL: -1\r\nX-MS-Exchange-Organization-AuthAs : Internal\r\n\
         x-ms-exchange-organization-skipsafelinksprocessing\t:\r\n 1\r\n\
         X-MS-EXCHANGE-CROSSTENANT-Id: x\r\nX-MS-Exchange-Forest-X: y\r\n\
         X-Forefront-Antispam-Report: SCL:-1\r\nX-Microsoft-Antispam: BCL:0\r\n\
         X-MS-Exchange-Organization-SCL: -1\r\nX-Mailer: kept\r\n";
    for form in ["mime", "json"] {
        let graph = stand_in().await;
        let home = Home::with(&graph)
            .account(MAILBOX, &format!("format = \"{form}\""))
            .sections(USERS)
            .listener("authentication = \"optional\"")
            .build();
        let relay = Relay::start(&home);
        for response in ["", PLAIN] {
            let mut smtp = relay.connect();
            smtp.expect("EHLO c", "250");
            if !response.is_empty() {
                smtp.expect(&format!("AUTH PLAIN {response}"), "235");
            }
            id_of(&smtp.send(MAILBOX, &["a@example.org"], &with_fields(fields)));
        }

        for arrival in arrived(&graph, 2).await {
            let raw = String::from_utf8_lossy(&arrival.raw).to_lowercase();
            assert!(raw.contains("x-mailer"), "{raw}");
            // As the beginning of a line, or of a JSON string.
            for name in ["x-ms-exchange-", "x-forefront-", "x-microsoft-antispam"] {
                let named = [format!("\n{name}"), format!("\"{name}")];
                assert!(named.iter().all(|it| !raw.contains(it)), "{name}: {raw}");
            }
            if form == "mime" {
                assert_eq!(raw.matches("\nx-original-x-").count(), 8, "{raw}");
            }
        }
    }
}
