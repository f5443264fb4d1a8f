//! Where the page may be served, and with TLS.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Child;
use std::process::Stdio;
use std::time::Instant;

use super::ON;
use super::address;
use super::client::Browser;
use super::client::encoded;
use crate::common::Home;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::binary;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;
use crate::common::tls::Identity;

/// Reached from this machine only by these tests, and yet beyond loopback.
const BEYOND: &str = "[admin]\naddress = \"0.0.0.0:0\"";

#[tokio::test(flavor = "multi_thread")]
async fn beyond_this_machine_the_page_needs_a_certificate() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(BEYOND).build();

    for command in ["check", "serve"] {
        let output = run(&home, &[command]);
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        let words = "other machines can reach 0.0.0.0:0, so the admin page needs TLS";
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    for (key, words) in [
        ("hosts = [\"relay.example:8025\"]", "is not a host name"),
        ("hosts = [\"\"]", "is not a host name"),
        (
            "url = \"http://relay.example\"",
            "url: http:// is allowed only to this machine: write https://relay.example",
        ),
        (
            "url = \"https://relay.example/page\"",
            "write scheme and host only",
        ),
        (
            "proxies = [\"0.0.0.0/0\"]",
            "proxies: everybody could pass for any client",
        ),
        ("password_hash = \"secret\"", "not an argon2id hash"),
        ("adress = \"off\"", "address"),
    ] {
        let text = fs::read_to_string(&home.config).unwrap();
        let new = text.replace(
            "address = \"0.0.0.0:0\"",
            &format!("address = \"127.0.0.1:0\"\n{key}"),
        );
        fs::write(&home.config, &new).unwrap();
        let output = run(&home, &["check"]);
        assert_eq!(output.status.code(), Some(78), "{key}: {}", said(&output));
        assert!(said(&output).contains(words), "{key}: {}", said(&output));
        assert!(!said(&output).contains("\"secret\""), "{}", said(&output));
        fs::write(&home.config, text).unwrap();
    }
}

/// An answer over TLS.
fn over_tls(identity: &Identity, relay: &Relay, request: &str) -> String {
    let stream = TcpStream::connect(("127.0.0.1", address(relay).port())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = identity.handshake(stream).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // The relay may close without an alert.
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_the_page_speaks_tls_and_its_cookie_never_travels_without() {
    let graph = stand_in().await;
    let identity = Identity::new();
    let home = Home::with(&graph).sections(BEYOND).tls(&identity).build();
    let relay = Relay::start(&home);
    let port = address(&relay).port();
    let url = String::from_utf8(run(&home, &["page"]).stdout).unwrap();
    let host = format!("relay.test.example:{port}");
    let (_, link) = url
        .split_once(&format!("https://{host}/log-in?link="))
        .unwrap();
    let form = encoded(&[("link", link.trim())]);

    let answer = over_tls(
        &identity,
        &relay,
        &format!(
            "POST /log-in HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\n\
             Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        ),
    );

    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    let (_, cookie) = answer.split_once("set-cookie: ").unwrap();
    let cookie = cookie.lines().next().unwrap();
    let name = format!("__Host-graph-relay-{port}=");
    assert!(cookie.starts_with(&name), "{cookie}");
    assert!(
        cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    let request = |name: &str| {
        format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n")
    };
    let page = over_tls(&identity, &relay, &request(&host));
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let page = over_tls(&identity, &relay, &request("evil.example"));
    assert!(page.starts_with("HTTP/1.1 421"), "{page}");

    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(request(&host).as_bytes()).unwrap();
    let mut answer = Vec::new();
    drop(plain.read_to_end(&mut answer));
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_of_the_page_is_where_links_lead_and_a_name_of_the_page() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(ON).build();
    let relay = Relay::start(&home);
    let port = address(&relay).port();
    let output = run(&home, &["page"]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let start = format!("http://localhost:{port}/log-in?link=");
    assert!(printed.starts_with(&start), "{printed}");
    drop(relay);

    let url = format!("{ON}\nurl = \"https://Relay.Example/\"");
    home.change(ON, &url);
    let relay = Relay::start(&home);
    let output = run(&home, &["page"]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let link = printed.strip_prefix("https://relay.example").unwrap();
    // What a proxy passes on that ends TLS.
    let mut browser = Browser::at(&relay);
    browser.host = "relay.example".to_owned();
    let secret = browser.get(link.trim()).field("link");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let from = |origin| [form.as_slice(), &[("Origin", origin)]].concat();
    let body = encoded(&[("link", &secret)]);

    let answer = browser.send("POST", "/log-in", &from("http://relay.example"), &body);
    assert_eq!(answer.status, 403, "{}", answer.body);
    let answer = browser.send("POST", "/log-in", &from("https://relay.example"), &body);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-graph-relay="), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    assert_eq!(browser.get("/").status, 200);
    // Through a tunnel, past the proxy, there is no TLS.
    Browser::logged_in(&relay, &home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_without_tls_is_refused_where_the_page_has_tls() {
    let graph = stand_in().await;
    let identity = Identity::new();
    let url = format!("{BEYOND}\nurl = \"http://localhost:8025\"");
    let home = Home::with(&graph).sections(&url).tls(&identity).build();

    let output = run(&home, &["check"]);

    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    let words = "url: other machines reach this address by TLS only: write https://";
    assert!(said(&output).contains(words), "{}", said(&output));
}

#[test]
fn the_sandbox_serves_the_page_and_its_inbox_with_links_to_each_other() {
    let mut sandbox = Sandbox::start(&["--page", "127.0.0.1:0"]);
    let (inbox, page) = (sandbox.printed("mail out"), sandbox.printed("page"));
    let mut there = Browser::to(&inbox);
    assert!(there.get("/").body.contains(&format!("href=\"{page}\"")));
    let mut browser = Browser::to(&page);
    let answer = browser.get("/messages");
    assert_eq!(answer.status, 303, "nobody is logged in already");

    let answer = browser.post("/log-in", &[("password", "sandbox")]);

    assert_eq!(answer.status, 303, "{}", answer.body);
    let list = browser.get("/messages").body;
    assert!(list.contains("Hello from the sandbox"), "{list}");
    assert!(list.contains(&format!("href=\"{inbox}\"")), "{list}");
    sandbox.end();
}

#[test]
fn environment_variables_change_nothing_in_the_sandbox() {
    let variables = [
        ("GRAPH_RELAY__HOSTNAME", "other.example"),
        ("GRAPH_RELAY__LIMITS__RECIPIENTS", "not a number"),
    ];
    let mut sandbox = Sandbox::start_in(&variables, &["--page", "127.0.0.1:0"]);
    let mut browser = Browser::to(&sandbox.printed("page"));
    browser.post("/log-in", &[("password", "sandbox")]);
    let is_in_force = |page: &str| !page.contains("has errors") && !page.contains("differs from");
    let overview = browser.get("/").body;
    assert!(is_in_force(&overview), "{overview}");

    let device = [("name", "printer"), ("senders", "relay@sandbox.example")];
    let answer = browser.change("/devices/add", &device);

    assert_eq!(answer.status, 200, "{}", answer.body);
    let overview = browser.get("/").body;
    assert!(is_in_force(&overview), "{overview}");
    browser.change("/doctor/check", &[]);
    let mut doctor = String::new();
    let begun = Instant::now();
    while !doctor.contains("relay.toml is correct") && begun.elapsed() < PATIENCE {
        std::thread::yield_now();
        doctor = browser.get("/doctor").body;
    }
    assert!(doctor.contains("relay.toml is correct"), "{doctor}");
    assert!(!doctor.contains("GRAPH_RELAY__"), "{doctor}");
    sandbox.end();
}

#[test]
fn the_sandbox_says_which_option_moves_its_admin_page() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let output = binary()
        .args([
            "sandbox",
            "--once",
            "--smtp",
            "127.0.0.1:0",
            "--page",
            "127.0.0.1:0",
        ])
        .args(["--admin", &taken])
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(73), "{}", said(&output));
    assert!(
        said(&output).contains("choose another address with --admin"),
        "{}",
        said(&output)
    );
}

/// `graph-relay sandbox`, and what it printed until it was ready.
struct Sandbox {
    child: Child,
    lines: Vec<String>,
}

impl Sandbox {
    fn start(options: &[&str]) -> Self {
        Self::start_in(&[], options)
    }

    /// In an environment with these variables.
    fn start_in(variables: &[(&str, &str)], options: &[&str]) -> Self {
        let mut child = binary()
            .args(["sandbox", "--smtp", "127.0.0.1:0"])
            .args(options)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines = lines.map(Result::unwrap);
        let lines = lines
            .take_while(|line| !line.starts_with("Ready."))
            .collect();
        Self { child, lines }
    }

    /// The address behind a label.
    fn printed(&self, label: &str) -> String {
        let mut found = self
            .lines
            .iter()
            .filter_map(|line| line.trim().strip_prefix(label));
        let behind = found
            .next()
            .unwrap_or_else(|| panic!("{label}: {:?}", self.lines));
        behind.split_whitespace().next().unwrap().to_owned()
    }

    fn end(&mut self) {
        let id = rustix::process::Pid::from_child(&self.child);
        // It removes its folder.
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}
