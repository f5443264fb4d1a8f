//! Behind a load balancer: limits, rights, passwords and refusals are those of the client.

use std::net::TcpStream;

use serde_json::Value;

use super::BEHIND;
use super::begun_with;
use super::behind;
use super::local;
use super::session;
use super::version_1;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::arrived;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;
use crate::common::tls::Identity;
use crate::common::users::USERS;
use crate::common::wire::wait_until_all_read;

/// The first reply to this client.
fn greeted(relay: &Relay, client: &str) -> (Smtp, String) {
    let mut smtp = Smtp::over(begun_with(relay.address, &version_1(client)));
    let greeting = smtp.reply();
    (smtp, greeting)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_clients_in_networks_are_admitted_wherever_the_load_balancer_is() {
    let graph = stand_in().await;
    let home = behind(&graph);
    let relay = Relay::start(&home);
    for (client, reply) in [
        ("192.0.2.7", "220 "),
        ("2001:db8::7", "220 "),
        ("::ffff:192.0.2.7", "220 "),
        ("198.51.100.7", "554 5.7.1 This client is not allowed"),
        ("2001:db9::7", "554 5.7.1 This client is not allowed"),
        ("127.0.0.2", "554 5.7.1 This client is not allowed"),
        ("::1", "554 5.7.1 This client is not allowed"),
    ] {
        let (_, greeting) = greeted(&relay, client);
        assert!(greeting.starts_with(reply), "{client}: {greeting}");
    }
    relay.event("session", |line| line["client"] == "198.51.100.7");

    let refused = said(&run(
        &home,
        &["history", "--json", "--filter", "state=refused"],
    ));
    assert!(
        refused.contains("198.51.100.7") && refused.contains("2001:db9::7"),
        "{refused}"
    );
    assert!(!refused.contains("127.0.0.1"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_connections_holds_for_each_client_and_not_for_the_load_balancer() {
    let graph = stand_in().await;
    let relay = Home::with(&graph)
        .listener(BEHIND)
        .limits("connections_per_client = 2")
        .start();

    let held: Vec<Smtp> = (1..=8)
        .flat_map(|n| [n, n].map(|n| session(relay.address, &format!("192.0.2.{n}"))))
        .collect();
    let (_, third) = greeted(&relay, "192.0.2.3");
    assert!(
        third.starts_with("421 4.7.0 Too many simultaneous"),
        "{third}"
    );
    relay.event("session", |line| line["client"] == "192.0.2.3");
    drop(held);

    relay.wait_until(|| greeted(&relay, "192.0.2.3").1.starts_with("220 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_their_header_yet_count_among_all() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .listener(BEHIND)
        .limits("connections = 8\nreserved_connections = 0")
        .build();
    let relay = Relay::start(&home);
    let silent: Vec<TcpStream> = (0..8)
        .map(|_| begun_with(relay.address, b"PROXY TCP4 "))
        .collect();
    wait_until_all_read(&silent);
    let open = || -> Value {
        let status = run(&home, &["status", "--json"]);
        serde_json::from_slice(&status.stdout).unwrap()
    };
    relay.wait_until(|| open()["connections"]["open"] == 8);
    let holders = open()["connections"]["holders"].clone();
    assert_eq!(holders[0]["client"], "127.0.0.1 (proxy)", "{holders}");

    // They make room as other idle connections do, and are told so.
    let mut smtp = session(relay.address, "192.0.2.7");
    smtp.expect("EHLO client.example", "250");

    assert_eq!(open()["connections"]["open"], 8);
    let (mut first, _) = (Smtp::over(silent.into_iter().next().unwrap()), ());
    let said = first.reply();
    assert!(
        said.starts_with("421 4.3.2 All connections are in use"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_a_minute_and_recipients_an_hour_count_for_the_client() {
    let graph = stand_in().await;
    let relay = Home::with(&graph)
        .listener(BEHIND)
        .limits("messages_per_minute_per_client = 1\nrecipients_per_hour_per_client = 5")
        .start();
    let send = |client: &str| {
        let mut smtp = session(relay.address, client);
        smtp.expect("EHLO client.example", "250");
        let first = smtp.send(
            MAILBOX,
            &["a@example.org"],
            message(client, "a@example.org").as_bytes(),
        );
        assert!(first.starts_with("250 "), "{client}: {first}");
        smtp
    };
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        let mut smtp = send(client);
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        smtp.expect("RCPT TO:<a@example.org>", "250");
        smtp.expect("DATA", "451 4.7.0 Too many messages in a minute");
    }
    arrived(&graph, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_behind_a_load_balancer_on_this_machine_has_no_rights_of_this_machine() {
    let graph = stand_in().await;
    let keys = "proxy_protocol_from = [\"127.0.0.1\"]\n\
                networks = [\"192.0.2.0/24\", \"127.0.0.0/8\"]\n\
                tls = \"starttls\"\nauthentication = \"optional\"";
    let relay = Home::with(&graph)
        .listener(keys)
        .tls(&Identity::new())
        .sections(USERS)
        .start();
    let offered = |header: &[u8]| {
        let mut smtp = Smtp::over(begun_with(relay.address, header));
        assert!(smtp.reply().starts_with("220 "));
        smtp.say("EHLO client.example")
    };

    let far = offered(&version_1("192.0.2.7"));
    assert!(far.contains("STARTTLS") && !far.contains("AUTH"), "{far}");
    // A program of this machine that connects to the load balancer, and the latter itself.
    for here in [version_1("127.0.0.2"), local()] {
        let near = offered(&here);
        assert!(near.contains("AUTH"), "{near}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_count_for_the_client() {
    let graph = stand_in().await;
    let keys = format!("{BEHIND}authentication = \"optional\"");
    let relay = Home::with(&graph).listener(&keys).sections(USERS).start();
    for client in ["192.0.2.1", "192.0.2.2"] {
        let mut smtp = session(relay.address, client);
        smtp.expect("EHLO client.example", "250");
        smtp.expect("AUTH PLAIN AHNjYW5uZXIAd3Jvbmc=", "535");

        let logged = relay.event("wrong_password", |line| line["client"] == client);

        assert_eq!(logged["in_a_row"], 1, "{logged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_balancer_itself_may_send_if_networks_has_it() {
    let graph = stand_in().await;
    let keys = "proxy_protocol_from = [\"127.0.0.1\"]\nnetworks = [\"127.0.0.1\"]";
    let relay = Home::with(&graph).listener(keys).start();
    let mut own = Smtp::over(begun_with(relay.address, b"PROXY UNKNOWN\r\n"));
    assert!(own.reply().starts_with("220 "));
    own.expect("EHLO balancer.example", "250");
    let reply = own.send(
        MAILBOX,
        &["a@example.org"],
        message("own", "a@example.org").as_bytes(),
    );
    assert!(reply.starts_with("250 "), "{reply}");

    relay.event("accepted", |line| line["client"] == "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_ends_sessions_whose_load_balancer_is_no_longer_believed() {
    let graph = stand_in().await;
    let home = behind(&graph);
    let relay = Relay::start(&home);
    let mut smtp = session(relay.address, "192.0.2.7");
    smtp.expect("EHLO client.example", "250");

    home.change(
        "proxy_protocol_from = [\"127.0.0.1\"]",
        "proxy_protocol_from = [\"127.0.0.5\"]",
    );
    relay.signal("HUP");
    relay.event("reloaded", |_| true);

    smtp.expect("NOOP", "421 4.7.1 The configuration has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_names_the_load_balancer() {
    let graph = stand_in().await;
    let home = behind(&graph);
    let relay = Relay::start(&home);
    let mut smtp = session(relay.address, "192.0.2.7");
    smtp.expect("EHLO client.example", "250");
    smtp.expect("MAIL FROM:<>", "250");
    smtp.expect("RCPT TO:<root@nas>", "550");
    smtp.expect("QUIT", "221");
    relay.event("session", |line| line["client"] == "192.0.2.7");

    let shown = said(&run(&home, &["sessions", "show", "1"]));

    assert!(shown.contains("192.0.2.7, EHLO client.example"), "{shown}");
    assert!(
        shown.contains("the connection came through the proxy 127.0.0.1"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_this_machine_use_a_listener_without_a_load_balancer() {
    let graph = stand_in().await;
    let keys = "proxy_protocol_from = [\"127.0.0.1\"]\nnetworks = [\"127.0.0.0/8\"]";
    let home = Home::with(&graph).listener(keys).listener("").build();
    let relay = Relay::start(&home);

    let output = run(&home, &["send-test", "a@example.org"]);

    assert!(output.status.success(), "{output:?}");
    relay.event("accepted", |line| line["client"] == "127.0.0.1");
}
