//! `tls = "auto"`: TLS from the first byte and STARTTLS on one address.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::arrived;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::tls::Identity;
use crate::common::users::PLAIN;
use crate::common::users::USERS;

/// In a `[[listener]]`. No client may give a password without TLS.
const AUTO: &str = "tls = \"auto\"\nauthentication = \"required\"\nnetworks = [\"127.0.0.0/8\"]";

fn connected(relay: &Relay) -> TcpStream {
    let stream = TcpStream::connect(relay.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_takes_tls_from_the_first_byte_starttls_and_no_tls() {
    let graph = stand_in().await;
    let identity = Identity::new();
    let keys = "tls = \"auto\"\nnetworks = [\"127.0.0.0/8\"]";
    let relay = Home::with(&graph).listener(keys).tls(&identity).start();
    let content = |subject| message(subject, "a@example.org").into_bytes();
    let to = ["a@example.org"];

    let mut implicit = Smtp::over(identity.handshake(connected(&relay)).unwrap());
    assert!(implicit.reply().starts_with("220 "));
    let hello = implicit.say("EHLO client.example");
    assert!(!hello.contains("STARTTLS"), "{hello}");
    assert!(
        implicit
            .send(MAILBOX, &to, &content("implicit"))
            .starts_with("250 ")
    );

    let mut plain = relay.connect();
    let hello = plain.say("EHLO client.example");
    assert!(hello.contains("STARTTLS"), "{hello}");
    assert!(
        plain
            .send(MAILBOX, &to, &content("plain"))
            .starts_with("250 ")
    );
    plain.expect("STARTTLS", "220");
    let stream = plain.stream().try_clone().unwrap();
    let mut starttls = Smtp::over(identity.handshake(stream).unwrap());
    starttls.expect("EHLO client.example", "250");
    assert!(
        starttls
            .send(MAILBOX, &to, &content("starttls"))
            .starts_with("250 ")
    );

    let arrivals = arrived(&graph, 3).await;
    for arrival in arrivals {
        let raw = String::from_utf8_lossy(&arrival.raw).into_owned();
        let protocol = match raw.contains("Subject: plain") {
            true => "with ESMTP id",
            false => "with ESMTPS id",
        };
        let unfolded = raw.replace("\r\n\t", " ").replace("\r\n ", " ");
        assert!(unfolded.contains(protocol), "{raw}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_need_tls_on_it_except_on_this_machine() {
    let graph = stand_in().await;
    let identity = Identity::new();
    let keys = format!("{AUTO}\nproxy_protocol_from = [\"127.0.0.1\"]\n",)
        .replace("127.0.0.0/8", "192.0.2.0/24");
    let relay = Home::with(&graph)
        .listener(&keys)
        .tls(&identity)
        .sections(USERS)
        .start();
    let header = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 587\r\n";

    let mut stream = connected(&relay);
    stream.write_all(header).unwrap();
    let mut plain = Smtp::over(stream);
    assert!(plain.reply().starts_with("220 "));
    let hello = plain.say("EHLO client.example");
    assert!(!hello.contains("AUTH"), "{hello}");
    plain.expect(&format!("AUTH PLAIN {PLAIN}"), "538");
    plain.expect(&format!("MAIL FROM:<{MAILBOX}>"), "530");

    let mut stream = connected(&relay);
    stream.write_all(header).unwrap();
    let mut tls = Smtp::over(identity.handshake(stream).unwrap());
    assert!(tls.reply().starts_with("220 "));
    let hello = tls.say("EHLO client.example");
    assert!(hello.contains("AUTH"), "{hello}");
    tls.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_client_that_waits_for_the_greeting_waits() {
    let graph = stand_in().await;
    let identity = Identity::new();
    let keys = "tls = \"auto\"\nnetworks = [\"127.0.0.0/8\"]";
    let relay = Home::with(&graph).listener(keys).tls(&identity).start();
    // Not more than the documentation says, within what a busy machine needs.
    let begun = Instant::now();
    let _plain = relay.connect();
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(990), "{waited:?}");

    let mut early = Smtp::over(connected(&relay));
    early.write(b"EHLO client.example\r\n");
    assert!(early.reply().starts_with("220 "));
    assert!(early.reply().starts_with("250-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_begins_tls_after_the_greeting_is_named_in_the_log() {
    let graph = stand_in().await;
    let identity = Identity::new();
    let keys = "tls = \"auto\"\nnetworks = [\"127.0.0.0/8\"]";
    let relay = Home::with(&graph).listener(keys).tls(&identity).start();
    let late = relay.connect();

    assert!(
        identity
            .handshake(late.stream().try_clone().unwrap())
            .is_err()
    );

    let logged = relay.event("session", |_| true);
    assert!(
        logged["remedy"]
            .as_str()
            .unwrap()
            .contains("waits one second"),
        "{logged}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_are_no_problem() {
    let graph = stand_in().await;
    let identity = Identity::new();
    let home = Home::with(&graph)
        .listener("tls = \"auto\"\nnetworks = [\"127.0.0.0/8\"]")
        .tls(&identity)
        .build();
    let relay = Relay::start(&home);
    for _ in 0..50 {
        drop(connected(&relay));
    }
    let quiet = relay.connect();
    let to = "a@example.org";
    send_one(&relay, &[to], &message("m", to));
    assert!(relay.events("session").is_empty() && relay.events("tls").is_empty());
    drop(quiet);

    let checked = said(&run(&home, &["check"]));
    assert!(checked.contains(", with TLS or STARTTLS"), "{checked}");
}
