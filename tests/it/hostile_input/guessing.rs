//! Password guessing: how it affects clients with the correct password.
//!
//! Nothing here is measured in seconds: the relay's log shows the order in which
//! passwords were verified.

use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Shutdown;
use std::net::TcpStream;
use std::sync::LazyLock;

use argon2::Argon2;
use argon2::PasswordHasher;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::Sandbox;
use tokio::runtime::Handle;

use crate::common::Home;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::stand_in;
use crate::common::wire::connect_from;
use crate::common::wire::wait_until_all_read;

const PASSWORD: &str = "Printer123Scan456";
/// Addresses that guess, and the guesses of each.
const GUESSERS: u8 = 4;
const GUESSES: usize = 25;

/// A user whose password takes so long to verify that the order is certain.
static USER: LazyLock<String> = LazyLock::new(|| {
    let params = argon2::Params::new(32 * 1024, 16, 1, None).unwrap();
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash = argon2.hash_password(PASSWORD.as_bytes()).unwrap();
    format!("[[user]]\nname = \"scanner\"\npassword_hash = \"{hash}\"\nsenders = [\"*\"]\n")
});

fn relay_with_user(graph: &Sandbox) -> Relay {
    let home = Home::with(graph)
        .sections(&USER)
        .listener("authentication = \"optional\"")
        .build();
    Relay::start(&home)
}

/// A greeted connection of a separate client.
fn greeted(relay: &Relay, client: u8) -> Smtp {
    let from = IpAddr::V4(Ipv4Addr::new(127, 3, 0, client));
    let runtime = Handle::current();
    let stream = std::thread::scope(|scope| {
        let connecting = scope.spawn(|| connect_from(&runtime, from, relay.address).unwrap());
        connecting.join().unwrap()
    });
    let mut smtp = Smtp::over(stream);
    assert!(smtp.reply().starts_with("220 "));
    smtp.expect("EHLO c", "250");
    smtp
}

fn plain(name: &str, password: &str) -> String {
    format!(
        "AUTH PLAIN {}",
        STANDARD.encode(format!("\0{name}\0{password}"))
    )
}

/// Guesses of many clients that all wait for an answer.
fn guesses(relay: &Relay, name: &str) -> Vec<TcpStream> {
    let mut waiting = Vec::new();
    for n in 0..GUESSES {
        for client in 1..=GUESSERS {
            let mut smtp = greeted(relay, client);
            smtp.write(format!("{}\r\n", plain(name, &format!("guess{n}"))).as_bytes());
            waiting.push(smtp.stream().try_clone().unwrap());
        }
    }
    wait_until_all_read(&waiting);
    waiting
}

fn wrong(relay: &Relay) -> usize {
    let verified = relay.events("verified");
    verified
        .iter()
        .filter(|line| line["right"] == false)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correct_password_does_not_wait_for_all_guesses_of_others() {
    let graph = stand_in().await;
    let relay = relay_with_user(&graph);
    let _waiting = guesses(&relay, "nobody");
    let mut device = greeted(&relay, 99);
    let before = wrong(&relay);

    device.expect(&plain("scanner", PASSWORD), "235");

    // One guess of each client that is under way, and one more of each that was next.
    let meanwhile = wrong(&relay) - before;
    assert!(
        meanwhile <= 2 * usize::from(GUESSERS),
        "{meanwhile} guesses first"
    );
    assert!(wrong(&relay) < GUESSES * usize::from(GUESSERS) / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recently_verified_password_does_not_wait_for_guesses() {
    let graph = stand_in().await;
    let relay = relay_with_user(&graph);
    greeted(&relay, 99).expect(&plain("scanner", PASSWORD), "235");
    let _waiting = guesses(&relay, "scanner");
    let mut again = greeted(&relay, 99);
    let before = wrong(&relay);

    again.expect(&plain("scanner", PASSWORD), "235");

    // Only those that were verified already.
    let meanwhile = wrong(&relay) - before;
    assert!(meanwhile <= 2, "{meanwhile} guesses first");
    again.expect("MAIL FROM:<relay@sandbox.example>", "250");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_disconnected_clients_are_not_verified() {
    let graph = stand_in().await;
    let relay = relay_with_user(&graph);
    let all = GUESSES * usize::from(GUESSERS);
    for (n, stream) in guesses(&relay, "nobody").into_iter().enumerate() {
        // Clients can leave in two ways.
        if n % 2 == 0 {
            stream.shutdown(Shutdown::Write).unwrap();
        } else {
            stream.shutdown(Shutdown::Both).unwrap();
        }
    }
    relay.wait_until(|| relay.events("disconnected").len() == all);
    let before = wrong(&relay);

    greeted(&relay, 99).expect(&plain("scanner", PASSWORD), "235");

    // At most the guesses that are under way.
    assert!(wrong(&relay) - before <= 2);
    assert!(
        wrong(&relay) < all / 2,
        "{} of {all} were verified",
        wrong(&relay)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_pipelined_after_a_password_are_kept() {
    let graph = stand_in().await;
    let relay = relay_with_user(&graph);
    let mut smtp = greeted(&relay, 1);

    // Some send the commands with the password, some while it is verified.
    smtp.write(format!("{}\r\nNOOP\r\nVR", plain("scanner", PASSWORD)).as_bytes());
    wait_until_all_read(&[smtp.stream().try_clone().unwrap()]);
    smtp.write(b"FY x\r\nHELP\r\n");

    for code in ["235", "250", "252", "214"] {
        let reply = smtp.reply();
        assert!(reply.starts_with(code), "{code}: {reply}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_keeps_sending_commands_gets_its_auth_reply() {
    let graph = stand_in().await;
    let relay = relay_with_user(&graph);
    let smtp = greeted(&relay, 1);
    let (mut stream, mut heard) = (smtp.stream().try_clone().unwrap(), smtp);
    stream.set_write_timeout(Some(PATIENCE)).unwrap();

    let flood = std::thread::spawn(move || {
        let line = plain("scanner", PASSWORD);
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        // The relay may close before it has read them all: too many commands.
        drop(stream.write_all(&b"NOOP\r\n".repeat(200_000)));
    });

    let reply = heard.reply();
    assert!(reply.starts_with("235 "), "{reply}");
    drop(heard);
    flood.join().unwrap();
}
