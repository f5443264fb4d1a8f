//! More commands, and longer ones, than any client needs.

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::id_of;
use crate::common::load::assert_bounded;
use crate::common::load::bystander;
use crate::common::load::flood;
use crate::common::message;
use crate::common::recipients;
use crate::common::stand_in;

/// A session is closed after this number of commands without a message.
const IDLE_COMMANDS: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_a_million_commands_and_no_message_is_disconnected() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mail = format!("MAIL FROM:<{MAILBOX}>\r\nRSET\r\n");
    for command in [
        "NOOP\r\n",
        "RSET\r\n",
        "VRFY a\r\n",
        "HELP\r\n",
        "EHLO c\r\n",
        &mail,
    ] {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");
        let lines = command.lines().count();
        let group = command.repeat(1000 / lines);

        let said = flood(
            &mut smtp.stream().try_clone().unwrap(),
            group.as_bytes(),
            1000,
        );

        let replies: Vec<&str> = said
            .lines()
            .filter(|line| line.get(3..4) == Some(" "))
            .collect();
        let last = replies.last().unwrap();
        assert!(
            last.starts_with("421 4.7.0 "),
            "{command}: {} replies, {last}",
            replies.len()
        );
        assert!(
            replies.len() <= IDLE_COMMANDS + 1,
            "{command}: {}",
            replies.len()
        );
        bystander(&relay);
    }
    arrived(&graph, 6).await;
    assert_bounded(&relay, "a million commands");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_limit_starts_again_after_each_message() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    for n in 0..3 {
        for _ in 0..900 {
            smtp.expect("NOOP", "250");
        }
        let content = message(&format!("m{n}"), "a@example.org");
        id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()));
    }
    arrived(&graph, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_names_recipients_without_end_is_disconnected() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    for line in [
        "RCPT TO:<same@example.org>\r\n",
        "RCPT TO:<N@example.org>\r\n",
    ] {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        let mut stream = smtp.stream().try_clone().unwrap();
        let group: String = (0..100_000)
            .map(|n| line.replace('N', &n.to_string()))
            .collect();

        let said = flood(&mut stream, group.as_bytes(), 1);

        let last = said.lines().last().unwrap();
        assert!(last.starts_with("421 4.7.0 "), "{line}: {last}");
        assert!(said.lines().count() <= 500 + IDLE_COMMANDS + 1);
        bystander(&relay);
    }
    arrived(&graph, 2).await;
    assert_bounded(&relay, "100,000 recipients");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_pipelined_recipients_are_two_messages() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    for (first, refused) in [(0, 500), (500, 0)] {
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        let rcpt = |n| format!("RCPT TO:<r{n}@example.org>\r\n");
        let lines: String = (first..1000).map(rcpt).collect();
        smtp.write(lines.as_bytes());
        let replies: Vec<String> = (first..1000).map(|_| smtp.reply()).collect();
        let too_many = replies.iter().filter(|it| it.starts_with("452 4.5.3 "));
        assert_eq!(too_many.count(), refused);
        smtp.expect("DATA", "354");
        let content = message(&format!("many{first}"), "undisclosed-recipients:;");
        smtp.write(content.as_bytes());
        id_of(&smtp.say("."));
    }

    let arrivals = arrived(&graph, 2).await;
    for arrival in arrivals {
        assert_eq!(recipients(&arrival).len(), 500);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_without_an_end_is_refused() {
    let graph = stand_in().await;
    let relay = Relay::start(&Home::new(&graph));
    for beginning in ["", "MAIL FROM:<", "EHLO ", "RCPT TO:<\"", "NOOP \r"] {
        let mut smtp = relay.connect();
        smtp.write(beginning.as_bytes());

        let piece = [b'x'; 64 * 1024];
        let said = flood(&mut smtp.stream().try_clone().unwrap(), &piece, 800);

        assert!(said.starts_with("500 5.5.2 "), "{beginning}: {said}");
        assert_eq!(said.lines().count(), 1, "{beginning}: {said}");
        bystander(&relay);
    }
    arrived(&graph, 5).await;
    assert_bounded(&relay, "lines of 50 MB");
}
