//! Adding a device, and allowing one what it was refused.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_relay_sandbox::Sandbox;
use tokio::runtime::Handle;

use super::client::Browser;
use super::with_page;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::Smtp;
use crate::common::message;
use crate::common::stand_in;
use crate::common::tls::Identity;
use crate::common::users::PLAIN;
use crate::common::users::USERS;
use crate::common::wire::connect_from;

async fn with_users() -> (Sandbox, Home) {
    let graph = stand_in().await;
    let home = with_page(&graph)
        .sections(USERS)
        .listener("authentication = \"optional\"\nnetworks = [\"127.0.0.1\"]")
        .build();
    (graph, home)
}

/// Text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("{before}: {text}"));
    rest.split(after).next().unwrap()
}

/// A message of a user with this password.
fn sends(relay: &Relay, user: &str, password: &str) {
    let plain = STANDARD.encode(format!("\0{user}\0{password}"));
    let mut smtp = relay.connect();
    smtp.expect("EHLO copier", "250");
    smtp.expect(&format!("AUTH PLAIN {plain}"), "235");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect("RCPT TO:<a@example.org>", "250");
    smtp.expect("DATA", "354");
    smtp.write(message("scan", "a@example.org").as_bytes());
    smtp.expect(".", "250");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_gets_a_password_that_is_shown_once_and_its_first_message_turns_the_page_green()
 {
    let (_graph, home) = with_users().await;
    home.append("# Mine.");
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let form = browser.get("/devices/add").body;
    assert!(form.contains(&format!("value=\"{MAILBOX}\"")), "{form}");

    let device = [("name", "copier"), ("senders", MAILBOX)];
    let card = browser.change("/devices/add", &device);
    assert_eq!(card.status, 200, "{}", card.body);
    assert_eq!(card.header("cache-control"), "no-store");
    let password = between(&card.body, "id=\"password\">", "<").to_owned();
    assert_eq!(password.len(), 18, "{password}");
    assert!(!card.body.contains("argon2id"), "{}", card.body);
    let waits = "/devices/first?user=copier";
    assert!(card.body.contains(&format!("hx-get=\"{waits}\"")));
    assert!(browser.get(waits).body.contains("Waiting for the first"));

    let file = fs::read_to_string(&home.config).unwrap();
    assert!(file.contains("name = \"copier\""), "{file}");
    assert!(file.contains("# Mine."), "{file}");
    assert!(!file.contains(&password));
    sends(&relay, "copier", &password);
    let green = browser.get(waits).body;
    assert!(green.contains("The first message has come"), "{green}");
    assert!(green.contains("href=\"/devices/127%2E0%2E0%2E1?user=copier\""));

    let again = browser.change("/devices/add", &device);
    assert_eq!(again.status, 422);
    assert!(again.body.contains("already"), "{}", again.body);
    let pages = [
        "/devices",
        "/devices/add",
        waits,
        "/devices/127.0.0.1?user=copier",
    ];
    for page in pages.map(|path| browser.get(path).body) {
        assert!(!page.contains(&password), "{page}");
    }
    let log: String = relay.all().iter().map(ToString::to_string).collect();
    assert!(log.contains("copier") && !log.contains(&password));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_the_configuration_does_not_allow_is_not_added_and_the_page_says_why() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let before = fs::read_to_string(&home.config).unwrap();

    for (name, senders, why) in [
        ("my copier", MAILBOX, "letters, digits"),
        ("copier", " , ", "at least one address"),
        ("", MAILBOX, "Fill in a name"),
    ] {
        let answer = browser.change("/devices/add", &[("name", name), ("senders", senders)]);
        assert_eq!(answer.status, 422, "{name}");
        assert!(answer.body.contains(why), "{why}: {}", answer.body);
        assert!(!answer.body.contains("id=\"password\""));
    }
    assert_eq!(fs::read_to_string(&home.config).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_device_comes_with_a_listener_that_lets_it_log_in() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    let card = browser.change("/devices/add", &[("name", "copier"), ("senders", MAILBOX)]);

    assert_eq!(card.status, 200, "{}", card.body);
    let file = fs::read_to_string(&home.config).unwrap();
    assert_eq!(
        file.matches("authentication = \"optional\"").count(),
        1,
        "{file}"
    );
    assert!(card.body.contains("[[listener]]"), "{}", card.body);
    let password = between(&card.body, "id=\"password\">", "<").to_owned();
    sends(&relay, "copier", &password);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_administrator_adds_or_allows_a_device() {
    let (_graph, home) = with_users().await;
    let relay = Relay::start(&home);
    refused_sender(&relay, "boss@contoso.com");
    let before = fs::read_to_string(&home.config).unwrap();
    let mut browser = Browser::logged_in_as(&relay, &home, "operator");
    let one = "/devices/127.0.0.1";

    assert!(!browser.get("/devices").body.contains("/devices/add"));
    let page = browser.get(&format!("{one}?user=scanner")).body;
    assert!(!page.contains("/allow"), "{page}");
    assert_eq!(browser.get("/devices/add").status, 403);
    assert_eq!(
        browser.get(&format!("{one}/allow?user=scanner")).status,
        403
    );
    let device = [("name", "copier"), ("senders", MAILBOX)];
    assert_eq!(browser.change("/devices/add", &device).status, 403);
    let user = [("user", "scanner")];
    assert_eq!(browser.change(&format!("{one}/allow"), &user).status, 403);
    assert_eq!(fs::read_to_string(&home.config).unwrap(), before);
}

/// The user `scanner` sends as somebody else.
fn refused_sender(relay: &Relay, sender: &str) {
    let mut smtp = relay.connect();
    smtp.expect("EHLO scanner", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    smtp.expect(&format!("MAIL FROM:<{sender}>"), "553");
    smtp.expect("QUIT", "221");
    relay.event("session", |_| true);
}

/// What the relay says to a client at this address.
async fn greeting(relay: &Relay, from: Ipv4Addr) -> String {
    let (to, runtime) = (relay.address, Handle::current());
    let connects = move || {
        let stream = connect_from(&runtime, IpAddr::from(from), to).unwrap();
        Smtp::over(stream).reply()
    };
    tokio::task::spawn_blocking(connects).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_another_network_is_allowed_by_the_change_that_the_page_shows() {
    let (_graph, home) = with_users().await;
    let relay = Relay::start(&home);
    let from = Ipv4Addr::new(127, 0, 0, 2);
    assert!(greeting(&relay, from).await.starts_with("554"));
    let mut browser = Browser::logged_in(&relay, &home);
    relay.wait_until(|| browser.get("/devices/127.0.0.2").status == 200);

    let page = browser.get("/devices/127.0.0.2").body;
    let path = "/devices/127%2E0%2E0%2E2/allow";
    assert!(page.contains(&format!("href=\"{path}\"")), "{page}");
    let page = browser.get(path);
    assert!(page.body.contains("Let 127.0.0.2 connect"), "{}", page.body);
    let line = "+ networks = [&#34;127.0.0.1&#34;, &#34;127.0.0.2&#34;]";
    assert!(page.body.contains(line), "{}", page.body);
    let before = fs::read_to_string(&home.config).unwrap();
    let version = page.field("version");

    let stale = browser.change(path, &[("user", ""), ("version", "another")]);
    assert!(stale.body.contains("changed meanwhile"), "{}", stale.body);
    assert_eq!(fs::read_to_string(&home.config).unwrap(), before);

    let done = browser.change(path, &[("user", ""), ("version", &version)]);
    assert_eq!(done.status, 303, "{}", done.body);
    let to = done.header("location").to_owned();
    assert_eq!(to, "/devices/127%2E0%2E0%2E2?allowed=1");
    assert!(browser.get(&to).body.contains("in force"));
    assert!(greeting(&relay, from).await.starts_with("220"));
    let page = browser.get(path).body;
    assert!(page.contains("it is allowed by"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_allowed_the_sender_that_it_was_refused() {
    let (_graph, home) = with_users().await;
    let relay = Relay::start(&home);
    refused_sender(&relay, "boss@contoso.com");
    let mut browser = Browser::logged_in(&relay, &home);

    let page = browser.get("/devices/127.0.0.1/allow?user=scanner");
    let what = "Let this user send as boss@contoso.com";
    assert!(page.body.contains(what), "{}", page.body);
    let version = page.field("version");
    let fields = [("user", "scanner"), ("version", &*version)];
    let done = browser.change("/devices/127.0.0.1/allow", &fields);

    assert_eq!(done.status, 303, "{}", done.body);
    let mut smtp = relay.connect();
    smtp.expect("EHLO scanner", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}"), "235");
    smtp.expect("MAIL FROM:<boss@contoso.com>", "250");
    let line = relay.event("config_changed", |_| true);
    assert!(line.to_string().contains("senders"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_change_that_was_shown_is_written() {
    let (_graph, home) = with_users().await;
    let relay = Relay::start(&home);
    refused_sender(&relay, "boss@contoso.com");
    let mut browser = Browser::logged_in(&relay, &home);
    let path = "/devices/127.0.0.1/allow";
    let shown = browser.get(&format!("{path}?user=scanner"));
    assert!(shown.body.contains("send as boss@contoso.com"));
    let before = fs::read_to_string(&home.config).unwrap();
    refused_sender(&relay, "anna@contoso.com");
    relay.wait_until(|| {
        let now = browser.get(&format!("{path}?user=scanner")).body;
        now.contains("send as anna@contoso.com")
    });

    let version = shown.field("version");
    let fields = [("user", "scanner"), ("version", &*version)];
    let answer = browser.change(path, &fields);

    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("changed meanwhile"));
    assert!(answer.body.contains("send as anna@contoso.com"));
    assert_eq!(fs::read_to_string(&home.config).unwrap(), before);
    let fields = [("user", "scanner"), ("version", &*answer.field("version"))];
    assert_eq!(browser.change(path, &fields).status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_leads_to_no_change() {
    let (_graph, home) = with_users().await;
    let relay = Relay::start(&home);
    let mut smtp = relay.connect();
    smtp.expect("EHLO scanner", "250");
    let plain = STANDARD.encode("\0scanner\0wrong");
    smtp.expect(&format!("AUTH PLAIN {plain}"), "535");
    smtp.expect("QUIT", "221");
    let mut browser = Browser::logged_in(&relay, &home);
    relay.wait_until(|| browser.get("/devices/127.0.0.1").status == 200);

    let page = browser.get("/devices/127.0.0.1").body;
    assert!(page.contains("535 5.7.8"), "{page}");
    assert!(page.contains("and the password is wrong"), "{page}");
    assert!(!page.contains("/allow"), "{page}");
    let page = browser.get("/devices/127.0.0.1/allow").body;
    assert!(!page.contains("name=\"version\""), "{page}");
}

/// A device at this address, once the relay knows it, and its page.
fn shown(relay: &Relay, browser: &mut Browser, client: &str) -> String {
    let path = format!("/devices/{client}");
    relay.wait_until(|| browser.get(&path).status == 200);
    browser.get(&path).body
}

/// Allows a device what the page proposes.
fn allowed(browser: &mut Browser, client: &str, what: &str) {
    let path = format!("/devices/{client}/allow");
    let page = browser.get(&path);
    assert!(page.body.contains(what), "{}", page.body);
    let version = page.field("version");
    let done = browser.change(&path, &[("user", ""), ("version", &version)]);
    assert_eq!(done.status, 303, "{}", done.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_log_in_is_allowed_to_send_without_a_password() {
    let graph = stand_in().await;
    let home = with_page(&graph)
        .sections(USERS)
        .listener("authentication = \"required\"")
        .build();
    let relay = Relay::start(&home);
    let mail = format!("MAIL FROM:<{MAILBOX}>");
    let mut smtp = relay.connect();
    smtp.expect("EHLO ups", "250");
    smtp.expect(&mail, "530");
    smtp.expect("QUIT", "221");
    let mut browser = Browser::logged_in(&relay, &home);
    let page = shown(&relay, &mut browser, "127.0.0.1");
    assert!(page.contains("Authentication required"), "{page}");

    allowed(&mut browser, "127.0.0.1", "send without a password");

    let mut smtp = relay.connect();
    smtp.expect("EHLO ups", "250");
    smtp.expect(&mail, "250");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_password_and_without_tls_is_allowed_to_send_it() {
    let graph = stand_in().await;
    let home = with_page(&graph)
        .sections(USERS)
        .tls(&Identity::new())
        .listener(
            "authentication = \"required\"\ntls = \"starttls\"\nnetworks = [\"192.0.2.0/24\"]\n\
             proxy_protocol_from = [\"127.0.0.1\"]",
        )
        .build();
    let relay = Relay::start(&home);
    let log_in = |code: &str| {
        let mut stream = TcpStream::connect(relay.address).unwrap();
        let header = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 587\r\n";
        stream.write_all(header).unwrap();
        let mut smtp = Smtp::over(stream);
        assert!(smtp.reply().starts_with("220 "));
        smtp.expect("EHLO scanner", "250");
        smtp.expect(&format!("AUTH PLAIN {PLAIN}"), code);
        smtp.expect("QUIT", "221");
    };
    log_in("538");
    let mut browser = Browser::logged_in(&relay, &home);
    let page = shown(&relay, &mut browser, "192.0.2.7");
    assert!(page.contains("only over TLS"), "{page}");
    assert!(!page.contains(PLAIN), "{page}");

    allowed(&mut browser, "192.0.2.7", "Let 192.0.2.7 send without TLS");

    log_in("235");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_begins_with_tls_on_a_plain_port_is_told_what_to_set() {
    let (_graph, home) = with_users().await;
    let relay = Relay::start(&home);
    let mut stream = TcpStream::connect(relay.address).unwrap();
    stream.write_all(b"\x16\x03\x01\x00\x05hello").unwrap();
    let mut smtp = Smtp::over(stream);
    assert!(smtp.reply().starts_with("220 "));
    assert!(smtp.reply().starts_with("500 "));
    let mut browser = Browser::logged_in(&relay, &home);

    let page = shown(&relay, &mut browser, "127.0.0.1");

    assert!(page.contains("does not use implicit TLS"), "{page}");
    assert!(page.contains("the client is set to SSL/TLS"), "{page}");
    assert!(
        page.contains("the client began with a TLS handshake"),
        "{page}"
    );
    assert!(!page.contains("id=\"allow\""), "{page}");
}
