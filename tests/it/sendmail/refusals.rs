//! What the relay answers, and what the caller of `sendmail` is told.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;

use super::done;
use super::nowhere;
use super::relay_with;
use super::send;
use super::told;
use crate::common::Home;
use crate::common::arrived;
use crate::common::recipients;
use crate::common::set;
use crate::common::stand_in;

#[test]
fn a_relay_that_is_away_means_try_later_and_the_caller_keeps_the_message() {
    let output = send(nowhere(), &["a@example.org"], "Subject: x\n\nhello\n");

    let (code, words) = told(&output);
    assert_eq!(code, 75, "{words}");
    assert!(
        words.starts_with("sendmail: no relay answers (127.0.0.1:"),
        "{words}"
    );
    assert!(words.contains("Nothing was sent"), "{words}");
    assert!(
        words.contains("has the message, and can send it again"),
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_refuses_for_now_means_try_later() {
    let (graph, relay) = relay_with("messages_per_minute_per_client = 1").await;
    done(&send(
        relay.address,
        &["a@example.org"],
        "Subject: 1\n\nhello\n",
    ));

    let (code, words) = told(&send(
        relay.address,
        &["a@example.org"],
        "Subject: 2\n\nhello\n",
    ));

    assert_eq!(code, 75, "{words}");
    assert!(
        words.contains("for now: 451 4.7.0 Too many messages"),
        "{words}"
    );
    assert!(words.contains("Nothing was sent"), "{words}");
    assert_eq!(arrived(&graph, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_for_good_have_codes_of_their_own_and_the_words_of_the_relay() {
    let graph = stand_in().await;
    let relay = Home::with(&graph)
        .limits("message_size = \"3 MB\"")
        .listener("recipients_allowed = [\"*@example.org\"]")
        .start();
    let large = format!("Subject: x\n\n{}", "a line of text\n".repeat(250_000));

    for (to, message, expected, words) in [
        (
            "nobody",
            "\nhello\n",
            67,
            "refuses nobody: 550 5.1.2 nobody has no domain",
        ),
        (
            "a@example.com",
            "\nhello\n",
            77,
            "refuses a@example.com: 550 5.7.1",
        ),
        (
            "a@example.org",
            large.as_str(),
            65,
            "refuses the message: 552 5.3.4",
        ),
        (
            "two words",
            "\nhello\n",
            67,
            "\"two words\" cannot receive mail",
        ),
    ] {
        let (code, said) = told(&send(relay.address, &[to], message));
        let said = said.replace("the sender: 552", "the message: 552");
        assert!(said.contains(words), "{said}");
        assert_eq!(code, expected, "{said}");
    }
    assert!(graph.arrivals().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_who_is_refused_does_not_keep_others_from_the_message() {
    let (graph, relay) = relay_with("").await;

    let output = send(relay.address, &["a@example.org", "nobody"], "\nhello\n");

    let (code, words) = told(&output);
    assert_eq!(code, 67, "{words}");
    assert!(
        words.ends_with("The other recipients get the message\n"),
        "{words}"
    );
    let arrival = &arrived(&graph, 1).await[0];
    assert_eq!(recipients(arrival), set(&["a@example.org"]));
}

#[test]
fn one_recipient_who_is_refused_for_now_keeps_the_message_from_all() {
    let relay = Scripted::new(&[
        ("", "220 relay"),
        ("EHLO", "250-relay\r\n250 SIZE"),
        ("MAIL", "250 ok"),
        ("RCPT", "250 ok"),
        ("RCPT", "451 4.7.1 later"),
        ("RSET", "250 ok"),
        ("QUIT", "221 bye"),
    ]);

    let output = send(
        relay.address,
        &["a@example.org", "b@example.org"],
        "\nhello\n",
    );

    let (code, words) = told(&output);
    assert_eq!(code, 75, "{words}");
    assert!(words.contains("451 4.7.1 later"), "{words}");
    relay.lines();
}

#[test]
fn a_relay_that_breaks_off_means_try_later() {
    let relay = Scripted::new(&[("", "220 relay"), ("EHLO", "250 relay"), ("MAIL", "250 ok")]);

    let (code, words) = told(&send(relay.address, &["a@example.org"], "\nhello\n"));

    assert_eq!(code, 75, "{words}");
    assert!(
        words.contains("the connection to the relay at 127.0.0.1:"),
        "{words}"
    );
    assert!(words.contains("Nothing was sent"), "{words}");
}

#[test]
fn a_message_that_the_relay_does_not_confirm_may_have_been_sent() {
    let relay = Scripted::new(&[
        ("", "220 relay"),
        ("EHLO", "250 relay"),
        ("MAIL", "250 ok"),
        ("RCPT", "250 ok"),
        ("DATA", "354 go"),
        ("From: ", ""),
        ("", ""),
        ("hello", ""),
        (".", ""),
    ]);

    let (code, words) = told(&send(
        relay.address,
        &["a@example.org"],
        "From: x\n\nhello\n",
    ));

    assert_eq!(code, 75, "{words}");
    assert!(words.contains("may have been sent"), "{words}");
    assert!(!words.contains("Nothing was sent"), "{words}");
}

#[test]
fn the_relay_is_told_of_reports_and_of_addresses_beyond_ascii() {
    let relay = Scripted::new(&[
        ("", "220 relay"),
        (
            "EHLO",
            "250-relay\r\n250-DSN\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1000",
        ),
        ("MAIL", "250 ok"),
        ("RCPT", "550 5.1.1 no"),
        ("RSET", "250 ok"),
        ("QUIT", "221 bye"),
    ]);
    let options = [
        "-N",
        "failure,delay",
        "-Rhdrs",
        "-V",
        "job 1",
        "-f",
        "a@b.example",
    ];
    let options = [&options[..], &["jürgen@c.example"]].concat();

    let (code, _) = told(&send(relay.address, &options, "From: a@b.example\n\n.x\n"));

    assert_eq!(code, 67);
    let lines = relay.lines();
    assert_eq!(
        lines[1..3],
        [
            "MAIL FROM:<a@b.example> SIZE=25 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=job+201",
            "RCPT TO:<jürgen@c.example> NOTIFY=FAILURE,DELAY",
        ]
    );
}

#[test]
fn a_command_line_that_names_nobody_is_wrong() {
    for (arguments, message, expected) in [
        (&["-i"][..], "", 64),
        (&["-bd"], "", 64),
        (&["-t"], "Subject: to nobody\n\nhello\n", 65),
        (&["-f", "two words", "a@example.org"], "", 64),
    ] {
        let (code, words) = told(&send(nowhere(), arguments, message));
        assert_eq!(code, expected, "{arguments:?}: {words}");
    }
}

/// A server that says what the test says, if it hears what the test expects.
struct Scripted {
    address: SocketAddr,
    heard: std::thread::JoinHandle<Vec<String>>,
}

impl Scripted {
    /// For each line that begins so, a reply or none; the first is the greeting.
    fn new(dialog: &'static [(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut heard = Vec::new();
            for (at, (expected, reply)) in dialog.iter().enumerate() {
                if at > 0 {
                    let line = lines.next().unwrap().unwrap();
                    assert!(line.starts_with(expected), "{line}");
                    heard.push(line);
                }
                if !reply.is_empty() {
                    let reply = format!("{reply}\r\n");
                    (&stream).write_all(reply.as_bytes()).unwrap();
                }
            }
            heard
        });
        Self { address, heard }
    }

    fn lines(self) -> Vec<String> {
        self.heard.join().unwrap()
    }
}
