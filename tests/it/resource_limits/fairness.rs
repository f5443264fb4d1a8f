//! No client takes the connections of others: not with many connections, not by being
//! slow, and not on another listener.

use std::io::Read;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::arrived;
use crate::common::id_of;
use crate::common::load::assert_bounded;
use crate::common::load::bystander;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;
use crate::common::tls::Identity;
use crate::common::users::PLAIN;
use crate::common::users::USERS;
use crate::common::wire::connect_from;
use crate::common::wire::in_transaction;
use crate::resource_limits::connections::may_open;

/// Idle connections from 127.0.0.2 to 127.0.0.10, each accepted by the kernel.
fn idle(to: SocketAddr, count: usize) -> Vec<TcpStream> {
    let runtime = Handle::current();
    let connect = |n: usize| {
        let last = 2 + u8::try_from(n % 9).unwrap();
        let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        connect_from(&runtime, from, to).unwrap()
    };
    std::thread::scope(|scope| {
        let connecting = scope.spawn(|| (0..count).map(connect).collect());
        connecting.join().unwrap()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_on_one_listener_leave_room_on_the_other() {
    let graph = stand_in().await;
    // One for this machine, and one that requires authentication.
    let home = Home::with(&graph)
        .listener("")
        .listener("authentication = \"required\"")
        .sections(USERS)
        .build();
    let relay = Relay::start(&home);
    may_open(4096);
    let addresses = relay.addresses();

    let held = idle(addresses[1], 1000);

    // More than the listener's reserve, all at once.
    let mut ours: Vec<Smtp> = (0..40).map(|_| relay.connect()).collect();
    for (n, smtp) in ours.iter_mut().enumerate() {
        smtp.expect("EHLO client.example", "250");
        let content = message(&format!("m{n}"), "a@example.org");
        id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()));
    }
    // And a client with a password finds room on the flooded listener.
    let mut user = Smtp::connect(addresses[1]);
    user.expect("EHLO client.example", "250");
    user.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    let content = message("user", "a@example.org");
    id_of(&user.send(MAILBOX, &["a@example.org"], content.as_bytes()));

    let full = relay.event("connections_full", |_| true);
    assert_eq!(full["limit"], 512, "{full}");
    assert!(full["holders"].as_str().unwrap().contains(" by 127.0.0."));
    assert_eq!(relay.events("connections_full").len(), 1, "once a minute");
    arrived(&graph, 41).await;
    let status = run(&home, &["status"]);
    let shown = said(&status);
    assert_eq!(status.status.code(), Some(1), "{shown}");
    assert!(
        shown.contains("all 512 connections were in use "),
        "{shown}"
    );
    assert!(shown.contains(" of 512 connections: ") && shown.contains(" by 127.0.0."));
    let json = String::from_utf8(run(&home, &["status", "--json"]).stdout).unwrap();
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(status["connections"]["limit"], 512);
    assert!(status["connections"]["made_room"].as_u64().unwrap() > 0);
    drop(held);
    assert_bounded(&relay, "1000 idle connections on another listener");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_a_transaction_does_not_make_room() {
    let graph = stand_in().await;
    let limits = "connections = 8";
    let relay = Home::with(&graph).limits(limits).start();
    let mut sending = in_transaction(&relay, "a@example.org");

    let idle: Vec<Smtp> = (0..30).map(|_| relay.connect()).collect();

    sending.expect("DATA", "354");
    sending.write(message("sent", "a@example.org").as_bytes());
    id_of(&sending.say("."));
    arrived(&graph, 1).await;
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_device_keeps_its_connection_during_a_flood() {
    let graph = stand_in().await;
    let limits = "connections = 24";
    let relay = Home::with(&graph).limits(limits).start();
    let mut device = relay.connect();

    let flood = idle(relay.address, 100);
    relay.event("connections_full", |_| true);

    device.expect("EHLO client.example", "250");
    let content = message("slow", "a@example.org");
    id_of(&device.send(MAILBOX, &["a@example.org"], content.as_bytes()));
    arrived(&graph, 1).await;
    drop(flood);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_lowers_the_limit_closes_idle_sessions_and_serves_others() {
    let graph = stand_in().await;
    let home = Home::with(&graph).limits("connections = 40").build();
    let relay = Relay::start(&home);
    let mut sending = in_transaction(&relay, "a@example.org");
    let mut idle: Vec<Smtp> = (0..30).map(|_| relay.connect()).collect();

    home.change("connections = 40", "connections = 8");
    relay.signal("HUP");
    relay.event("reloaded", |_| true);

    let farewell = idle[0].rest();
    let said = "421 4.3.2 All connections are in use: closing this idle one";
    assert!(farewell.starts_with(said), "{farewell}");
    bystander(&relay);
    sending.expect("DATA", "354");
    sending.write(message("sent", "a@example.org").as_bytes());
    id_of(&sending.say("."));
    arrived(&graph, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_within_a_tls_handshake_make_room() {
    let graph = stand_in().await;
    let identity = Identity::new();
    let relay = Home::with(&graph)
        .limits("connections = 8")
        .listener("tls = \"implicit\"")
        .tls(&identity)
        .start();
    let stuck: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(relay.address).unwrap();
            // The beginning of a ClientHello of 16 KB. The relay may have closed already.
            drop(stream.write_all(&[0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3]));
            stream
        })
        .collect();

    let tcp = TcpStream::connect(relay.address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut smtp = Smtp::over(identity.handshake(tcp).unwrap());
    assert!(smtp.reply().starts_with("220 "));
    smtp.expect("EHLO client.example", "250");
    let content = message("over TLS", "a@example.org");
    id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()));

    arrived(&graph, 1).await;
    drop(stuck);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_begins_a_message_is_disconnected() {
    let graph = stand_in().await;
    let limits = "pre_mail_timeout = \"300ms\"";
    let relay = Home::with(&graph).limits(limits).start();
    for said in ["", "N", "NOOP\r\n", "EHLO c\r\n", "RSET\r\n"] {
        let client = relay.connect();
        client
            .stream()
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        let mut heard = Vec::new();
        let mut piece = [0; 1024];
        loop {
            match client.stream().read(&mut piece) {
                Ok(0) => break,
                Ok(length) => heard.extend_from_slice(&piece[..length]),
                // It may have been closed since.
                Err(_) if heard.len() < 1_000_000 => {
                    drop(client.stream().write_all(said.as_bytes()));
                }
                Err(error) => panic!("{said}: {error}"),
            }
        }
        let heard = String::from_utf8(heard).unwrap();
        let last = heard.lines().last().unwrap_or_default();
        let ended = last.starts_with("421 4.4.2 No AUTH or MAIL in time");
        assert!(ended, "{said}: {last}");
    }

    // Once it has sent mail, a client may keep its connection. Sending it takes some of the time.
    let limits = "pre_mail_timeout = \"3s\"";
    let relay = Home::with(&graph).limits(limits).start();
    let mut client = relay.connect();
    client.expect("EHLO client.example", "250");
    let content = message("kept", "a@example.org");
    id_of(&client.send(MAILBOX, &["a@example.org"], content.as_bytes()));
    let silent = relay.connect().rest();
    assert!(silent.starts_with("421 4.4.2 "), "{silent}");
    client.expect("NOOP", "250");
    bystander(&relay);
    arrived(&graph, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tls_handshake_counts_towards_the_time_allowed_before_mail() {
    let graph = stand_in().await;
    let limits = "pre_mail_timeout = \"300ms\"";
    let home = Home::with(&graph)
        .limits(limits)
        .listener("tls = \"implicit\"")
        .tls(&Identity::new())
        .build();
    let relay = Relay::start(&home);
    let mut stuck = TcpStream::connect(relay.address).unwrap();
    stuck.set_read_timeout(Some(PATIENCE)).unwrap();
    stuck.write_all(&[0x16, 3, 1, 0x40]).unwrap();

    // The connection may be reset.
    assert!(matches!(stuck.read(&mut [0]), Ok(0) | Err(_)));
    relay.event("tls", |_| true);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_connect_again_for_each_message_are_never_turned_away() {
    const CLIENTS: usize = 50;
    const MESSAGES: usize = 8;
    let graph = stand_in().await;
    for limits in ["connections = 64", "connections_per_client = 64"] {
        let relay = Home::with(&graph).limits(limits).start();
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let relay = &relay;
                scope.spawn(move || {
                    for n in 0..MESSAGES {
                        let mut smtp = relay.connect();
                        smtp.expect("EHLO client.example", "250");
                        let content = message(&format!("{client}-{n}"), "a@example.org");
                        id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()));
                        match n % 3 {
                            0 => smtp.expect("QUIT", "221"),
                            // It does not wait for the reply.
                            1 => smtp.write(b"QUIT\r\n"),
                            _ => {}
                        }
                    }
                });
            }
        });
        assert!(relay.events("connections_full").is_empty());
        assert!(relay.events("session").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hourly_recipient_limit_is_separate_for_each_client() {
    let graph = stand_in().await;
    let limits = "recipients_per_hour_per_client = 3";
    let home = Home::with(&graph)
        .limits(limits)
        .listener("authentication = \"optional\"\nnul = \"refuse\"")
        .sections(USERS)
        .build();
    let relay = Relay::start(&home);
    let content = message("counted", "a@example.org");
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    // Refused recipients do not count.
    let refused = smtp.send(MAILBOX, &["a@example.org", "b@example.org"], b"a\0b\r\n");
    assert!(refused.starts_with("550 "), "{refused}");
    id_of(&smtp.send(
        MAILBOX,
        &["a@example.org", "b@example.org"],
        content.as_bytes(),
    ));
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect("RCPT TO:<a@example.org>", "250");
    smtp.expect(
        "RCPT TO:<b@example.org>",
        "451 4.7.1 Too many recipients in an hour",
    );
    let mut other = relay.connect();
    other.expect("EHLO client.example", "250");
    other.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    other.expect("RCPT TO:<a@example.org>", "250");

    // The last one is free for any client.
    smtp.expect("DATA", "354");
    smtp.write(content.as_bytes());
    id_of(&smtp.say("."));
    other.expect("DATA", "451 4.7.1 ");
    // Some clients read only the reply to DATA.
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect("RCPT TO:<a@example.org>", "451 4.7.1 ");
    smtp.expect("DATA", "451 4.7.1 ");

    let mut user = relay.connect();
    user.expect("EHLO client.example", "250");
    user.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    id_of(&user.send(
        MAILBOX,
        &["a@example.org", "b@example.org"],
        content.as_bytes(),
    ));
    arrived(&graph, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_uses_half_of_a_mailboxs_daily_quota_is_logged() {
    let graph = stand_in().await;
    let relay = Home::with(&graph)
        .account(MAILBOX, "[account.rate_limits]\nrecipients_per_day = 100")
        .start();
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let content = message("many", "undisclosed-recipients:;");
    for _ in 0..6 {
        let to: Vec<String> = (0..20).map(|n| format!("r{n}@example.org")).collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        id_of(&smtp.send(MAILBOX, &to, content.as_bytes()));
    }

    let warned = relay.event("quota_half_used", |_| true);
    assert_eq!(warned["client"], "127.0.0.1");
    assert_eq!(warned["mailbox"], MAILBOX);
    assert_eq!(warned["recipients"], 60);
    assert_eq!(relay.events("quota_half_used").len(), 1);
}
