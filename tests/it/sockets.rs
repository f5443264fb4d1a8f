//! Sockets that systemd opens and passes: `address = "systemd:NAME"`.

use std::io::BufRead;
use std::io::BufReader;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;

use crate::common;
use crate::common::Home;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;

const SMTP: &str = "[[listener]]\naddress = \"systemd:smtp\"";

/// The relay as systemd starts it, with up to two sockets. The shell puts them where
/// systemd does, and becomes the relay.
fn serve_with(home: &Home, names: &str, sockets: &[&dyn AsFd]) -> Command {
    let become_it = "export LISTEN_PID=$$; exec \"$@\" 3<&0 4<&1 </dev/null >/dev/null";
    let mut command = Command::new("bash");
    command
        .args(["-c", become_it, "bash"])
        .arg(binary().get_program())
        .arg("serve")
        .arg("--config")
        .arg(&home.config)
        .env("LISTEN_FDS", sockets.len().to_string())
        .env("LISTEN_FDNAMES", names)
        .env_remove("NOTIFY_SOCKET");
    let mut sockets = sockets.iter().map(|it| {
        let own: OwnedFd = it.as_fd().try_clone_to_owned().unwrap();
        Stdio::from(own)
    });
    command.stdin(sockets.next().unwrap());
    command.stdout(sockets.next().unwrap_or_else(Stdio::null));
    command
}

fn socket() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Waits for the first line that the relay says on a connection.
fn greeting(stream: &TcpStream) -> String {
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_refuses_no_connection_to_a_socket_of_systemd() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(SMTP).build();
    let smtp = socket();
    let address = smtp.local_addr().unwrap();
    let mut relay = Relay::start_by(&mut serve_with(&home, "smtp", &[&smtp]));
    assert_eq!(relay.address, address);
    send_one(
        &relay,
        &["a@example.org"],
        &message("before", "a@example.org"),
    );
    assert!(relay.stop().success());

    let waits = TcpStream::connect(address).unwrap();
    let relay = Relay::start_by(&mut serve_with(&home, "smtp", &[&smtp]));

    assert!(greeting(&waits).starts_with("220 "));
    send_one(
        &relay,
        &["a@example.org"],
        &message("after", "a@example.org"),
    );
    arrived(&graph, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_sockets_with_one_name_belong_to_one_listener() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(SMTP).build();
    let sockets = [socket(), socket()];
    let both: Vec<&dyn AsFd> = sockets.iter().map(|it| it as &dyn AsFd).collect();
    let relay = Relay::start_by(&mut serve_with(&home, "smtp:smtp", &both));

    let addresses = sockets.each_ref().map(|it| it.local_addr().unwrap());
    assert_eq!(relay.addresses(), addresses);
    relay.signal("HUP");
    let reloaded = relay.event("reloaded", |_| true);
    assert_eq!(reloaded.get("needs_restart"), None);
    for address in addresses {
        assert!(greeting(&TcpStream::connect(address).unwrap()).starts_with("220 "));
    }

    // The new rules hold for both.
    home.change(
        "\"systemd:smtp\"",
        "\"systemd:smtp\"\nnetworks = [\"192.0.2.1\"]",
    );
    relay.signal("HUP");
    relay.wait_until(|| relay.events("reloaded").len() == 2);
    for address in addresses {
        assert!(greeting(&TcpStream::connect(address).unwrap()).starts_with("554 "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_listener_gets_the_socket_with_its_name() {
    let graph = stand_in().await;
    let sections = "[[listener]]\naddress = \"systemd:second\"\nnetworks = [\"192.0.2.1\"]";
    let home = Home::with(&graph).sections(SMTP).sections(sections).build();
    let (second, smtp) = (socket(), socket());
    let relay = Relay::start_by(&mut serve_with(&home, "second:smtp", &[&second, &smtp]));

    let [second, smtp] = [second, smtp].map(|it| it.local_addr().unwrap());
    assert_eq!(relay.addresses(), [smtp, second]);
    assert!(greeting(&TcpStream::connect(smtp).unwrap()).starts_with("220 "));
    assert!(greeting(&TcpStream::connect(second).unwrap()).starts_with("554 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_no_listener_names_is_reported() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(SMTP).build();
    let sockets = (socket(), socket());
    let command = &mut serve_with(&home, "smtp:other", &[&sockets.0, &sockets.1]);

    let relay = Relay::start_by(command);

    let warning = relay.event("config_warning", |line| line.to_string().contains("other"));
    let warning = warning.to_string();
    assert!(warning.contains("graph-relay-other.socket"), "{warning}");
    assert_eq!(relay.events("config_warning").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_beyond_loopback_without_networks_is_reported() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(SMTP).build();
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();

    let relay = Relay::start_by(&mut serve_with(&home, "smtp", &[&everywhere]));

    let warning = relay.event("config_warning", |_| true).to_string();
    assert!(warning.contains("only this machine may send"), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_systemd_did_not_pass_is_an_error_with_the_fix() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(SMTP).build();
    let other = socket();

    let none = run(&home, &["serve"]);
    let passed = serve_with(&home, "other", &[&other]).output().unwrap();
    // Those variables are meant for another process.
    let mut command = binary();
    command.args(["serve", "--config"]).arg(&home.config);
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1");
    let inherited = command.output().unwrap();

    for (output, names) in [(&none, "none"), (&passed, "other"), (&inherited, "none")] {
        assert_eq!(output.status.code(), Some(78), "{output:?}");
        let said = said(output);
        for part in [
            "relay.toml:",
            "[[listener]]: systemd passed no socket named \"smtp\"",
            &format!("(it passed: {names})"),
            "systemctl enable --now graph-relay-smtp.socket",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_not_tcp_is_an_error() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(SMTP).build();
    let local = UnixListener::bind(home.path("socket")).unwrap();

    let output = serve_with(&home, "smtp", &[&local]).output().unwrap();

    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let said = said(&output);
    let part = "cannot use the socket that systemd passed as \"smtp\"";
    assert!(said.contains(part), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_doctor_say_that_they_cannot_test_a_socket_of_systemd() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(SMTP).build();

    let check = run(&home, &["check"]);
    let doctor = run(&home, &["doctor"]);

    let words = "accepts mail on systemd:smtp; not tested here: systemd passes this socket";
    assert!(said(&check).contains(words), "{check:?}");
    let words = "ports: systemd:smtp: doctor cannot test this";
    assert!(said(&doctor).contains(words), "{doctor:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_name_of_a_socket_is_refused_and_so_is_an_open_relay() {
    let graph = stand_in().await;
    for (keys, words) in [
        ("address = \"systemd:\"", "does not name a socket"),
        ("address = \"systemd:a:b\"", "does not name a socket"),
        (
            "address = \"systemd:a\"\n[[listener]]\naddress = \"systemd:a\"",
            "two [[listener]] name systemd:a",
        ),
        (
            "address = \"systemd:a\"\nnetworks = [\"0.0.0.0/0\"]",
            "everybody could send through this listener",
        ),
    ] {
        let sections = format!("[[listener]]\n{keys}");
        let home = Home::with(&graph).sections(&sections).build();
        let output = run(&home, &["check"]);
        assert_eq!(output.status.code(), Some(78), "{output:?}");
        assert!(said(&output).contains(words), "{words}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs systemd-socket-activate: package systemd, installed by .ci/run"]
async fn systemd_socket_activate_passes_each_listener_its_socket() {
    let graph = stand_in().await;
    let sections = "[[listener]]\naddress = \"systemd:other\"\nnetworks = [\"192.0.2.1\"]";
    let home = Home::with(&graph).sections(SMTP).sections(sections).build();
    // Free a moment ago; the tool takes no port 0.
    let [smtp, other] = [socket(), socket()].map(|it| it.local_addr().unwrap());
    let mut command = Command::new("systemd-socket-activate");
    for address in [other, smtp] {
        command.arg("--listen").arg(address.to_string());
    }
    command
        .arg("--fdname=other:smtp")
        .arg(binary().get_program())
        .arg("serve")
        .arg("--config")
        .arg(&home.config);

    let relay = Relay::spawn(&mut command);
    let is_listening = |line: &Value| line.as_str().is_some_and(|it| it.ends_with(" as 4."));
    relay.wait_until(|| relay.all().iter().any(is_listening));
    // The first connection starts the relay.
    let first = TcpStream::connect(smtp).unwrap();
    relay.event("started", |_| true);

    assert!(greeting(&first).starts_with("220 "));
    assert!(greeting(&TcpStream::connect(other).unwrap()).starts_with("554 "));
    assert_eq!(relay.addresses(), [smtp, other]);
}
