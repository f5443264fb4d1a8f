//! Excessive messages: bytes, lines, header fields, addresses.

use std::collections::BTreeMap;

use crate::common::Home;
use crate::common::arrived;
use crate::common::find;
use crate::common::load::assert_bounded;
use crate::common::load::bystander;
use crate::common::message;
use crate::common::recipients;
use crate::common::set;
use crate::common::stand_in;
use crate::common::wire::in_data;

/// A message and its expected result. It is a piece repeated between a beginning and an
/// end, so that it need not be in memory as a whole.
pub(crate) struct Bomb {
    /// Its subject and Message-ID, if it is delivered.
    name: &'static str,
    beginning: String,
    piece: String,
    times: usize,
    end: String,
    reply: &'static str,
}

pub(crate) const TAKEN: &str = "250 2.0.0 ";
pub(crate) const TOO_BIG: &str = "552 5.3.4 ";

impl Bomb {
    /// An ordinary message whose header section ends with these fields.
    pub(crate) fn fields(name: &'static str, fields: String, reply: &'static str) -> Self {
        let message = message(name, "a@example.org");
        let (header, body) = message.split_once("\r\n\r\n").unwrap();
        Self {
            beginning: format!("{header}\r\n{fields}"),
            end: format!("\r\n{body}"),
            ..Self::content(name, String::new(), reply)
        }
    }

    /// An ordinary message with this body.
    pub(crate) fn body(name: &'static str, body: &str, reply: &'static str) -> Self {
        let message = message(name, "a@example.org");
        let (header, _) = message.split_once("\r\n\r\n").unwrap();
        Self {
            end: "\r\n".to_owned(),
            ..Self::content(name, format!("{header}\r\n{body}\r\n"), reply)
        }
    }

    /// A complete message.
    pub(crate) fn content(name: &'static str, content: String, reply: &'static str) -> Self {
        Self {
            name,
            beginning: content,
            piece: String::new(),
            times: 0,
            end: String::new(),
            reply,
        }
    }

    pub(crate) fn repeating(self, piece: String, times: usize) -> Self {
        Self {
            piece,
            times,
            ..self
        }
    }

    fn size(&self) -> usize {
        self.beginning.len() + self.piece.len() * self.times + self.end.len()
    }
}

/// Sends each message, with another client's message in between, and checks what is
/// delivered.
pub(crate) async fn explode(bombs: &[Bomb]) {
    let graph = stand_in().await;
    let limits = "message_size = \"3 MB\"";
    let relay = Home::with(&graph).limits(limits).start();
    for bomb in bombs {
        let mut smtp = in_data(&relay, "a@example.org");
        let half = bomb.beginning.len() / 2;
        smtp.write(&bomb.beginning.as_bytes()[..half]);
        bystander(&relay);
        smtp.write(&bomb.beginning.as_bytes()[half..]);
        // Writing each small piece separately would cost a system call for each.
        let group = (64 * 1024 / bomb.piece.len().max(1)).max(1);
        let whole = bomb.piece.repeat(group);
        for _ in 0..bomb.times / group {
            smtp.write(whole.as_bytes());
        }
        smtp.write(bomb.piece.repeat(bomb.times % group).as_bytes());
        smtp.write(format!("{}.\r\n", bomb.end).as_bytes());

        let reply = smtp.reply();

        assert!(
            reply.starts_with(bomb.reply),
            "{}, {} bytes: {reply}",
            bomb.name,
            bomb.size()
        );
        smtp.expect("NOOP", "250");
        assert_bounded(&relay, bomb.name);
    }

    let taken = bombs.iter().filter(|bomb| bomb.reply == TAKEN).count();
    let settled = || relay.delivered() + relay.events("failed").len();
    relay.wait_until(|| settled() == taken + bombs.len());
    let failed = relay.events("failed");
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    let arrivals = arrived(&graph, taken + bombs.len()).await;
    let by_id: BTreeMap<_, _> = arrivals
        .iter()
        .map(|it| (it.message_id.clone(), it))
        .collect();
    for bomb in bombs.iter().filter(|bomb| bomb.reply == TAKEN) {
        let id = format!("<{}@app.example>", bomb.name);
        let arrival = by_id
            .get(&Some(id))
            .unwrap_or_else(|| panic!("{} is lost", bomb.name));
        assert_eq!(
            recipients(arrival),
            set(&["a@example.org"]),
            "{}",
            bomb.name
        );
        let content = [
            bomb.beginning.as_bytes(),
            bomb.piece.repeat(bomb.times).as_bytes(),
            bomb.end.as_bytes(),
        ]
        .concat();
        let body = &content[find(&content, b"\r\n\r\n").unwrap()..];
        assert!(arrival.raw.ends_with(body), "{} has changed", bomb.name);
    }
    assert_bounded(&relay, "all of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_above_the_size_limit_are_refused() {
    let line = format!("{:0998}\r\n", 0);
    explode(&[
        Bomb::body("body-of-50-mb", "", TOO_BIG).repeating(line.clone(), 50_000),
        Bomb::body("line-of-50-mb", "", TOO_BIG).repeating("x".repeat(50_000), 1000),
        Bomb::body("empty-lines", "", TOO_BIG).repeating("\r\n".repeat(1000), 2000),
        Bomb::body("bare-line-feeds", "", TOO_BIG).repeating("\n".repeat(1000), 2000),
        Bomb::body("base64-of-30-mb-in-a-line", "", TOO_BIG).repeating("QUFB".repeat(1000), 7500),
        Bomb::body("base64-of-2-mb-in-a-line", "", TAKEN).repeating("QUFB".repeat(1000), 500),
        Bomb::fields("header-of-100-mb", String::new(), TOO_BIG)
            .repeating(format!("X: {line}"), 100_000),
        Bomb::fields("field-of-100-mb", "X: ".to_owned(), TOO_BIG)
            .repeating("x".repeat(50_000), 2000),
        Bomb::fields("folded-field-of-20-mb", "X: x\r\n".to_owned(), TOO_BIG)
            .repeating(format!(" {line}"), 20_000),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_sections_are_limited() {
    let references = |count: usize| format!("References: {}\r\n", "<1@example.org> ".repeat(count));
    explode(&[
        Bomb::fields("a-million-fields", String::new(), TOO_BIG)
            .repeating("X: 45678\r\n".to_owned(), 1_000_000),
        Bomb::fields("ten-thousand-fields", String::new(), TAKEN)
            .repeating("X: 45678\r\n".to_owned(), 10_000),
        Bomb::fields("fields-without-a-value", String::new(), TAKEN)
            .repeating("X:\r\n".to_owned(), 25_000),
        Bomb::fields("references-of-5-mb", references(320_000), TOO_BIG),
        Bomb::fields("references-of-100-kb", references(6400), TAKEN),
        Bomb::fields("folded-to-nothing", "X: x\r\n".to_owned(), TAKEN)
            .repeating(" \r\n".to_owned(), 30_000),
        Bomb::fields("folded-to-the-letter", "X: x\r\n".to_owned(), TAKEN)
            .repeating(" x\r\n".to_owned(), 25_000),
        Bomb::fields("encoded-word-of-1-mb", encoded_word(1_000_000), TOO_BIG),
        Bomb::fields("encoded-word-of-100-kb", encoded_word(100_000), TAKEN),
        Bomb::fields("ten-thousand-encoded-words", String::new(), TAKEN)
            .repeating("X: =?u?q?a?=\r\n".to_owned(), 7000),
        Bomb::fields("continuations", continuations(3000), TAKEN),
        Bomb::fields("continuations-without-end", continuations(100_000), TOO_BIG),
        Bomb::fields("empty-to-fields", String::new(), TAKEN)
            .repeating("To:\r\n".to_owned(), 20_000),
        Bomb::fields("cc-fields", String::new(), TAKEN)
            .repeating("Cc: e@e.org\r\n".to_owned(), 7000),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_hops_are_refused() {
    let hop = "Received: x\r\n".to_owned();
    explode(&[
        Bomb::fields("a-thousand-hops", String::new(), "554 5.4.6 ").repeating(hop.clone(), 1000),
        Bomb::fields("a-hundred-thousand-hops", String::new(), "55").repeating(hop, 100_000),
    ])
    .await;
}

/// An ordinary message with this value in its To field.
fn to(name: &'static str, list: &str, reply: &'static str) -> Bomb {
    let ordinary = message(name, "a@example.org");
    let content = ordinary.replace("To: a@example.org\r\n", &format!("To: {list}\r\n"));
    Bomb::content(name, content, reply)
}

#[tokio::test(flavor = "multi_thread")]
async fn long_address_lists_are_read() {
    address_lists_are_read(10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: a hundred thousand of everything"]
async fn address_lists_are_read_in_linear_time() {
    address_lists_are_read(1).await;
}

/// A hundred thousand of everything, divided by this factor.
async fn address_lists_are_read(less: usize) {
    let strays = |count: usize| format!("{}a@example.org", "e@example.org,\r\n ".repeat(count));
    let after = |beginning: &str, count: usize| format!("{}a@example.org", beginning.repeat(count));
    let named = |word: &str, count: usize| format!("{}<a@example.org>", word.repeat(count));
    explode(&[
        to("a-hundred-thousand-addresses", &strays(100_000), TOO_BIG),
        to("seven-thousand-addresses", &strays(7000 / less), TAKEN),
        to("comments-100-000-deep", &after("(", 100_000 / less), TAKEN),
        to("comments-in-a-row", &after("() ", 30_000 / less), TAKEN),
        to("angles", &after("<", 100_000 / less), TAKEN),
        to("quotes", &after("\"", 100_000 / less + 1), TAKEN),
        to(
            "backslashes",
            &format!("\"{}\" <a@example.org>", "\\\\".repeat(50_000 / less)),
            TAKEN,
        ),
        to("groups", &after("g:;,", 25_000 / less), TAKEN),
        to("groups-within-groups", &after("g:", 50_000 / less), TAKEN),
        to("words", &named("w ", 50_000 / less), TAKEN),
        to("at-signs", &after("@", 100_000 / less), TAKEN),
        to("dots", &after("a.", 50_000 / less), TAKEN),
        to("literals", &after("[", 100_000 / less), TAKEN),
        // The stand-in reads encoded words in quadratic time, so more would only test the
        // stand-in.
        to("beginnings-of-words", &named("=?", 2000 / less), TAKEN),
        to("encoded-words", &named("=?u?q?a?= ", 500 / less), TAKEN),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_with_gaps_repetitions_or_nested_comments_is_delivered() {
    odd_lists_are_delivered(10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: a hundred thousand of everything"]
async fn a_list_with_gaps_repetitions_or_nested_comments_is_delivered() {
    odd_lists_are_delivered(1).await;
}

/// A hundred thousand of everything, divided by this factor.
async fn odd_lists_are_delivered(less: usize) {
    let comment = format!("{}{}", "(".repeat(50_000 / less), ")".repeat(50_000 / less));
    explode(&[
        to("two-gaps", ",,a@example.org", TAKEN),
        to("gaps-behind", "a@example.org, , ,", TAKEN),
        to(
            "a-hundred-thousand-gaps",
            &format!("{}a@example.org", ",".repeat(100_000 / less)),
            TAKEN,
        ),
        to("comments-2-deep", "(x (y)) a@example.org", TAKEN),
        to(
            "comments-50-000-deep-and-back",
            &format!("{comment} a@example.org"),
            TAKEN,
        ),
        // One recipient, which must not be named more often than Graph accepts
        // recipients.
        to(
            "one-address-8000-times",
            &"a@example.org, ".repeat(8000 / less),
            TAKEN,
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_authors_are_read() {
    authors_are_read(10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: a hundred thousand of everything"]
async fn authors_are_read_in_linear_time() {
    authors_are_read(1).await;
}

/// A hundred thousand of everything, divided by this factor.
async fn authors_are_read(less: usize) {
    let from = |name: &'static str, author: &str| {
        let ordinary = message(name, "a@example.org");
        let (_, rest) = ordinary.split_once("\r\n").unwrap();
        Bomb::content(name, format!("From: {author}\r\n{rest}"), TAKEN)
    };
    explode(&[
        from("author-in-comments", &"(".repeat(100_000 / less)),
        from("author-in-angles", &"<".repeat(100_000 / less)),
        from("author-in-groups", &"g:".repeat(50_000 / less)),
        from("author-in-beginnings-of-words", &"=?".repeat(50_000 / less)),
        from(
            "many-authors",
            &"relay@sandbox.example, ".repeat(4000 / less),
        ),
        from("many-empty-authors", &"\r\nFrom: ".repeat(10_000 / less)),
        from(
            "an-author-after-many-words",
            &format!("{}<relay@sandbox.example>", "w ".repeat(50_000 / less)),
        ),
    ])
    .await;
}

/// A subject of one encoded word.
fn encoded_word(length: usize) -> String {
    format!("X-Subject: =?utf-8?q?{}?=\r\n", "a".repeat(length))
}

/// RFC 2231 3: a parameter in pieces, some twice and some missing.
fn continuations(count: usize) -> String {
    let pieces: String = (0..count)
        .map(|n| format!(";\r\n filename*{}*=utf-8''a%20b", n / 2 * 3))
        .collect();
    format!("Content-Disposition: attachment{pieces}\r\n")
}
