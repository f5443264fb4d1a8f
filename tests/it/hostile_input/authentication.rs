//! AUTH (RFC 4954, 4616): malformed passwords, and clients that try too many.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::Sandbox;

use crate::common::Home;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::stand_in;
use crate::common::users::PLAIN;
use crate::common::users::USERS;

fn relay_with_users(graph: &Sandbox) -> Relay {
    Home::with(graph)
        .sections(USERS)
        .listener("authentication = \"required\"")
        // Everything is logged that can be.
        .sections("[log]\nlevel = \"trace\"")
        .start()
}

fn greeted(relay: &Relay) -> Smtp {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_password_is_refused_and_the_session_continues() {
    let graph = stand_in().await;
    let relay = relay_with_users(&graph);
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    let syntax: &[&str] = &["501 5.5.2 "];
    let either: &[&str] = &["501 5.", "535 5.7.8 "];
    let denied: &[&str] = &["535 5.7.8 "];
    let cases = [
        ("!!!!".to_owned(), syntax),
        ("YQ".to_owned(), syntax),
        ("YQ==YQ==".to_owned(), syntax),
        ("=".to_owned(), either),
        ("====".to_owned(), syntax),
        (encoded(b"scanner"), either),
        (encoded(b"\0scanner"), either),
        (encoded(b"\0\0"), either),
        (encoded(b"\0scanner\0"), either),
        (encoded(b"\0\0Printer123Scan456"), either),
        (encoded(b"a\0scanner\0Printer123Scan456\0d"), either),
        (encoded(b"\0scanner\0Printer123Scan456\0"), either),
        (encoded(b"eve\0scanner\0Printer123Scan456"), either),
        (encoded(b"\0scanner\0printer123scan456"), denied),
        (encoded(b"\0scanner\0Printer123Scan456 "), denied),
        (encoded(b"\0SCANNER\0x"), denied),
        (encoded(b"\0nobody\0Printer123Scan456"), denied),
        (encoded(b"\0\xff\xfe\0\xff"), either),
        (
            encoded(&[&b"\0scanner\0"[..], &[b'x'; 2000]].concat()),
            denied,
        ),
    ];
    for (response, expected) in &cases {
        for initial in [true, false] {
            if response == "=" && !initial {
                continue; // as a response it is no base64
            }
            let mut smtp = greeted(&relay);
            let reply = if initial {
                smtp.say(&format!("AUTH PLAIN {response}"))
            } else {
                assert_eq!(smtp.say("AUTH PLAIN"), "334 \r\n");
                smtp.say(response)
            };

            let fits = expected.iter().any(|code| reply.starts_with(code));
            assert!(fits, "{response}: {reply}");
            smtp.expect("MAIL FROM:<relay@sandbox.example>", "530 5.7.0 ");
            smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235 2.7.0 ");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_do_not_reveal_user_names() {
    let graph = stand_in().await;
    let relay = relay_with_users(&graph);
    let mut smtp = greeted(&relay);

    let wrong = smtp.say(&format!("AUTH PLAIN {}", STANDARD.encode("\0scanner\0x")));
    let unknown = smtp.say(&format!("AUTH PLAIN {}", STANDARD.encode("\0nobody\0x")));

    assert!(wrong.starts_with("535 5.7.8 "), "{wrong}");
    assert_eq!(wrong, unknown);
    // LOGIN asks for a password for every name.
    smtp.expect("AUTH LOGIN bm9ib2R5", "334 UGFzc3dvcmQ6");
    assert_eq!(smtp.say("eA=="), wrong);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlong_authentication_line_is_refused() {
    let graph = stand_in().await;
    let relay = relay_with_users(&graph);
    let line = "QUFB".repeat(4000);
    let mut smtp = greeted(&relay);

    smtp.expect(&format!("AUTH PLAIN {line}"), "500 5.5.");
    smtp.expect("AUTH PLAIN", "334");
    smtp.expect(&line, "500 5.5.");

    // The exchange is over, so this is a command again.
    smtp.expect("NOOP", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_guesses_passwords_is_disconnected() {
    let graph = stand_in().await;
    let relay = relay_with_users(&graph);
    let mut smtp = greeted(&relay);

    let guess = |n: u32| STANDARD.encode(format!("\0scanner\0guess{n}"));
    let mut failures = 0;
    loop {
        let reply = smtp.say(&format!("AUTH PLAIN {}", guess(failures)));
        if reply.starts_with("421 ") {
            break;
        }
        assert!(reply.starts_with("535 5.7.8 "), "{reply}");
        failures += 1;
        assert!(failures < 20, "it lets him guess for ever");
    }

    assert_eq!(smtp.rest(), "");
    greeted(&relay).expect(&format!("AUTH PLAIN {PLAIN}"), "235");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_name_cannot_forge_log_lines_and_passwords_are_not_logged() {
    let graph = stand_in().await;
    let relay = relay_with_users(&graph);
    let mut smtp = greeted(&relay);
    let forged = "\0x\r\n{\"event\":\"forged\"}\u{1b}[2J\0Canary123Password";

    smtp.expect(&format!("AUTH PLAIN {}", STANDARD.encode(forged)), "5");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    // Users sometimes type the password in place of the name.
    let mut other = greeted(&relay);
    let twice = STANDARD.encode("\0Printer123Scan456\0Printer123Scan456");
    other.expect(&format!("AUTH PLAIN {twice}"), "535");
    other.expect("QUIT", "221");
    smtp.expect("QUIT", "221");
    relay.wait_until(|| relay.events("disconnected").len() == 2);

    let log = relay.all();
    assert!(log.iter().all(|line| line.is_object()), "{log:?}");
    assert!(relay.events("forged").is_empty());
    let text = format!("{log:?}");
    assert!(!text.contains("Canary123Password") && !text.contains("Printer123Scan456"));
    assert!(!text.contains(PLAIN) && !text.contains(&twice));
}
