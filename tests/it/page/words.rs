//! What every page has, whatever stands on it: the name of what it shows, its language, and
//! no character that nobody sees.

use super::client::Browser;
use super::with_page;
use crate::common::Home;
use crate::common::Relay;
use crate::common::send_one;
use crate::common::stand_in;

/// Graph refuses every message to it, so that its content stays.
const INVALID: &str = "invalid@example.org";

/// Turns what follows, has no width, or moves a terminal.
const HIDDEN: [char; 6] = [
    '\u{202e}', '\u{2066}', '\u{200b}', '\u{2060}', '\u{ad}', '\u{9b}',
];

/// A text with all of them, between letters.
fn hiding() -> String {
    HIDDEN.iter().map(|hidden| format!("x{hidden}")).collect()
}

/// A message that has them in all fields that a page shows.
fn content() -> String {
    let evil = hiding();
    let encoded = percent_encoding::utf8_percent_encode(&evil, percent_encoding::NON_ALPHANUMERIC);
    format!(
        "From: \"Name {evil}\" <relay@sandbox.example>\r\nTo: {INVALID}\r\n\
         Subject: Subject {evil}\r\nMessage-ID: <{evil}@app.example>\r\nX-Odd: {evil}\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nText {evil}\r\n\
         --b\r\nContent-Type: application/pdf\r\n\
         Content-Disposition: attachment; filename*=utf-8''file{encoded}.pdf\r\n\r\nABC\r\n\
         --b--\r\n"
    )
}

async fn filled() -> (graph_relay_sandbox::Sandbox, Home, Relay, Vec<String>) {
    let graph = stand_in().await;
    let quiet = "[delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"";
    let home = with_page(&graph).sections(quiet).build();
    let relay = Relay::start(&home);
    let id = send_one(&relay, &[INVALID], &content());
    relay.event("failed", |line| line["id"] == *id);
    let mut smtp = relay.connect();
    let evil = hiding();
    smtp.say(&format!("EHLO client-{evil}"));
    smtp.say(&format!("MAIL FROM:<sender-{evil}@example.org> {evil}"));
    smtp.say(&format!("RCPT TO:<{evil}>"));
    let one = format!("/messages/{id}");
    let paths = [
        "/",
        "/messages",
        &format!("/messages?q={}", "x%E2%80%AE"),
        &format!("/messages?to={}", "%C2%AD%E2%80%8B"),
        &one,
        &format!("{one}/content"),
        "/messages/nothing",
        "/devices",
        "/devices/127.0.0.1",
        "/devices/add",
        "/mailboxes",
        "/setup",
        "/doctor",
        "/audit",
        "/test",
        "/nothing-%E2%80%AE-here",
    ];
    let paths = paths.into_iter().map(str::to_owned).collect();
    (graph, home, relay, paths)
}

/// What stands in an element that is there once.
fn only<'a>(page: &'a str, name: &str) -> &'a str {
    assert_eq!(page.matches(&format!("<{name}>")).count(), 1, "{page}");
    let (_, rest) = page.split_once(&format!("<{name}>")).unwrap();
    rest.split_once(&format!("</{name}>")).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_has_a_character_that_turns_or_hides_others() {
    let (_graph, home, relay, paths) = filled().await;
    let mut browser = Browser::logged_in(&relay, &home);

    for path in &paths {
        let page = browser.get(path).body;
        let hidden = page.find(|c| HIDDEN.contains(&c));
        assert_eq!(hidden, None, "{path}: {page}");
    }

    let content = browser.get(&paths[5]).body;
    let files = content.split_once("id=\"files\"").unwrap().1;
    for (shown, page) in [
        (
            "Subject x[U+202E]x[U+2066]x[U+200B]",
            &browser.get("/messages").body,
        ),
        ("<h1>Subject x[U+202E]", &browser.get(&paths[4]).body),
        ("Text x[U+202E]", &content),
        ("[U+202E]", &files.to_owned()),
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_names_what_it_shows_and_says_its_language() {
    let (_graph, home, relay, paths) = filled().await;

    for language in ["en", "de"] {
        let mut browser = Browser::logged_in(&relay, &home);
        browser.language = language;
        let mut stranger = Browser::at(&relay);
        stranger.language = language;
        let mut titles = Vec::new();
        for path in &paths {
            titles.push((path.clone(), browser.get(path).body));
        }
        titles.push(("/log-in".to_owned(), stranger.get("/log-in").body));
        for (path, page) in titles {
            let start = format!("<!doctype html>\n<html lang=\"{language}\">");
            assert!(page.starts_with(&start), "{path}: {page}");
            let title = only(&page, "title").strip_suffix(" · graph-relay");
            let title = title.unwrap_or_default().trim();
            assert!(!title.is_empty(), "{path}: {page}");
            let heading = only(&page, "h1");
            assert!(heading.starts_with(title), "{path}: {heading}: {title}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_is_named_in_german_on_a_german_page() {
    let (_graph, home, relay, _) = filled().await;
    let mut browser = Browser::logged_in(&relay, &home);
    browser.language = "de";
    let title = "<h2>In den letzten 24 Stunden sind Nachrichten fehlgeschlagen</h2>";

    relay.wait_until(|| browser.get("/").body.contains(title));

    let page = browser.get("/").body;
    assert!(
        page.contains("<span lang=\"de\">Die Liste zeigt sie."),
        "{page}"
    );
    assert!(page.contains("<p lang=\"en\">The last one is "), "{page}");
}
