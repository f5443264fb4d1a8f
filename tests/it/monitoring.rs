//! Metrics and health checks over TCP, and the command `healthcheck`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use graph_relay_sandbox::Cut;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Station;
use reqwest::Method;
use reqwest::StatusCode;

use crate::common;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::binary;
use crate::common::id_of;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::users::USERS;

const ON: &str = "[admin]\nmetrics = \"127.0.0.1:0\"";

/// Where a relay serves them.
fn address(relay: &Relay) -> SocketAddr {
    let line = relay.event("monitoring", |_| true);
    line["address"].as_str().unwrap().parse().unwrap()
}

async fn ask(method: Method, address: SocketAddr, path: &str) -> reqwest::Response {
    let client = reqwest::Client::builder().no_proxy();
    let client = client.timeout(common::PATIENCE).build().unwrap();
    let request = client.request(method, format!("http://{address}{path}"));
    request.send().await.unwrap()
}

async fn get(relay: &Relay, path: &str) -> (StatusCode, String) {
    let answer = ask(Method::GET, address(relay), path).await;
    (answer.status(), answer.text().await.unwrap())
}

/// All samples, by their name with labels.
async fn samples(relay: &Relay) -> BTreeMap<String, f64> {
    let (status, text) = get(relay, "/metrics").await;
    assert_eq!(status, 200);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    samples.collect()
}

/// What has grown between two times, by how much; without times and what the spool does
/// by itself.
fn grown(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> Vec<(String, f64)> {
    let is_counter = |name: &str| {
        let name = name.split('{').next().unwrap();
        name.ends_with("_total") || name.ends_with("_duration_seconds_count")
    };
    let counters = after.iter().filter(|(name, _)| is_counter(name));
    let grown = counters.map(|(name, value)| (name.clone(), value - before[name]));
    let by_itself = "graphrelay_spool_commit_duration_seconds_count";
    let grown = grown.filter(|(name, by)| *by != 0.0 && name != by_itself);
    let short = |name: String| name.strip_prefix("graphrelay_").unwrap().to_owned();
    grown.map(|(name, by)| (short(name), by)).collect()
}

fn of(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
    let named = expected.iter().map(|(name, by)| ((*name).to_owned(), *by));
    named.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_counter_is_there_with_0_at_the_start() {
    let graph = stand_in().await;
    let relay = Home::with(&graph).sections(ON).start();

    let samples = samples(&relay).await;

    let counters: Vec<_> = samples
        .iter()
        .filter(|(name, _)| name.split('{').next().unwrap().ends_with("_total"))
        .collect();
    assert!(counters.len() > 130, "{}", counters.len());
    for (name, value) in counters {
        assert_eq!(*value, 0.0, "{name}");
    }
    for name in ["delivery", "graph_request"] {
        let of = format!("graphrelay_{name}_duration_seconds_count");
        let mut counts = samples.iter().filter(|(name, _)| name.starts_with(&of));
        assert!(counts.next().is_some(), "{of}");
        assert!(counts.all(|(_, value)| *value == 0.0), "{of}");
    }
    assert_eq!(samples["graphrelay_connections"], 0.0);
}

const SENT: &str = "graph_requests_total{operation=\"send_mail\",status=";
const TIMES: &str = "graph_request_duration_seconds_count{operation=\"send_mail\"}";

/// A message to this address.
fn to(relay: &Relay, address: &str) -> String {
    send_one(relay, &[address], &message("counted", address))
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_and_failures_are_counted_with_their_requests() {
    let graph = stand_in().await;
    let failure = "[failure]\nnotify = \"off\"";
    let relay = Home::with(&graph).sections(ON).sections(failure).start();
    let start = samples(&relay).await;

    let id = to(&relay, "a@example.org");
    relay.event("delivered", |line| line["id"] == *id);
    let delivered = samples(&relay).await;
    let commits = "graphrelay_spool_commit_duration_seconds_count";
    assert!(delivered[commits] > start[commits]);
    assert_eq!(
        grown(&start, &delivered),
        of(&[
            ("delivery_duration_seconds_count", 1.0),
            (TIMES, 1.0),
            (&format!("{SENT}\"202\"}}"), 1.0),
            ("messages_accepted_total", 1.0),
            ("messages_delivered_total", 1.0),
            ("sessions_total", 1.0),
        ])
    );

    let id = to(&relay, "invalid@example.org");
    relay.event("failed", |line| line["id"] == *id);
    let failed = samples(&relay).await;
    assert_eq!(
        grown(&delivered, &failed),
        of(&[
            (TIMES, 1.0),
            (&format!("{SENT}\"400\"}}"), 1.0),
            ("messages_accepted_total", 1.0),
            ("messages_failed_total", 1.0),
            ("sessions_total", 1.0),
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_and_doubtful_attempts_are_counted_by_the_status_of_their_requests() {
    let graph = stand_in().await;
    let relay = Home::with(&graph).sections(ON).start();
    let throttling = Fault {
        retry_after: Some("0".to_owned()),
        ..Fault::at(Station::Send, 429)
    };
    let cut = Fault {
        stored: Some(true),
        cut: Some(Cut::Before),
        ..Fault::usual(Station::Send)
    };
    let throttled = ["graph_throttled_total", "messages_deferred_total"];
    for (fault, status, more) in [
        (throttling, "429", &throttled[..]),
        (cut, "none", &["messages_doubtful_total"]),
    ] {
        let before = samples(&relay).await;
        graph.inject(fault);

        let id = to(&relay, "a@example.org");

        relay.event("delivered", |line| line["id"] == *id);
        let (sent, not_sent) = (format!("{SENT}\"202\"}}"), format!("{SENT}\"{status}\"}}"));
        let mut expected = vec![
            ("delivery_duration_seconds_count", 1.0),
            (TIMES, 2.0),
            (&sent, 1.0),
            (&not_sent, 1.0),
            ("messages_accepted_total", 1.0),
            ("messages_delivered_total", 1.0),
            ("sessions_total", 1.0),
        ];
        expected.extend(more.iter().map(|name| (*name, 1.0)));
        expected.sort_by_key(|(name, _)| *name);
        assert_eq!(grown(&before, &samples(&relay).await), of(&expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_wrong_passwords_are_counted_by_reason() {
    let graph = stand_in().await;
    let relay = Home::with(&graph)
        .sections(ON)
        .sections(USERS)
        .listener("authentication = \"optional\"")
        .limits("message_size = \"20 kB\"\nmessages_per_minute_per_client = 3")
        .account(MAILBOX, &format!("senders = [\"{MAILBOX}\"]"))
        .start();
    let start = samples(&relay).await;
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    // "\0scanner\0wrong"
    smtp.expect("AUTH PLAIN AHNjYW5uZXIAd3Jvbmc=", "535");

    smtp.expect(&format!("MAIL FROM:<{MAILBOX}> SIZE=30000"), "552");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect("RCPT TO:<no domain>", "501");
    smtp.expect("RSET", "250");
    let mut to = |content: &str| smtp.send(MAILBOX, &["a@example.org"], content.as_bytes());
    let large = format!("{}\r\n", "x".repeat(900)).repeat(30);
    assert!(to(&large).starts_with("552"));
    assert!(to("From: someone@else.example\r\n\r\nx\r\n").starts_with("550"));
    id_of(&to(&message("accepted", "a@example.org")));
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
    smtp.expect("RCPT TO:<a@example.org>", "250");
    smtp.expect("DATA", "451");

    relay.event("delivered", |_| true);
    let refused = "messages_refused_total{reason=";
    let all = grown(&start, &samples(&relay).await);
    let is_delivery = |name: &str| name.contains("graph_") || name.contains("deliver");
    let all: Vec<_> = all.into_iter().filter(|it| !is_delivery(&it.0)).collect();
    assert_eq!(
        all,
        of(&[
            ("authentication_failures_total", 1.0),
            ("messages_accepted_total", 1.0),
            (&format!("{refused}\"mail_command\"}}"), 1.0),
            (&format!("{refused}\"no_account\"}}"), 1.0),
            (&format!("{refused}\"rate_limited\"}}"), 1.0),
            (&format!("{refused}\"too_large\"}}"), 1.0),
            ("recipients_refused_total", 1.0),
            ("sessions_total", 1.0),
        ])
    );
}

/// `healthcheck` with these arguments only.
fn healthcheck(arguments: &[&str]) -> Output {
    let mut command = binary();
    command.arg("healthcheck").args(arguments).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_spool_cannot_be_written_is_alive_and_not_ready() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(ON).build();
    let relay = Relay::start(&home);
    let url = format!("http://{}", address(&relay));
    let check = || healthcheck(&["--url", &url]);
    assert_eq!(get(&relay, "/readyz").await.0, 200);
    assert_eq!(check().status.code(), Some(0), "{}", said(&check()));

    // Where large messages go.
    fs::remove_dir(home.path("data/content")).unwrap();
    relay.wait_until(|| check().status.code() == Some(1));
    let words = said(&check());
    assert!(words.contains("not ready: the spool cannot store mail: "));
    assert!(words.contains("data/content: No such file"), "{words}");
    let (status, text) = get(&relay, "/readyz").await;
    assert_eq!((status.as_u16(), text.as_str()), (503, words.as_str()));
    fs::create_dir(home.path("data/content")).unwrap();
    relay.wait_until(|| check().status.code() == Some(0));

    for name in ["spool.db", "spool.db-wal", "spool.db-shm"] {
        fs::remove_file(home.path("data").join(name)).unwrap();
    }
    relay.wait_until(|| check().status.code() == Some(1));
    assert!(said(&check()).contains("was removed"), "{}", said(&check()));
    assert_eq!(
        get(&relay, "/livez").await,
        (StatusCode::OK, "alive\n".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_entra_and_graph_leaves_the_relay_ready() {
    let graph = stand_in().await;
    for station in [Station::Token, Station::Send] {
        graph.inject(Fault {
            times: u32::MAX,
            ..Fault::at(station, 503)
        });
    }
    let relay = Home::with(&graph).sections(ON).start();
    let id = send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    relay.event("deferred", |line| line["id"] == *id);

    assert_eq!(get(&relay, "/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_finds_the_relay_by_its_configuration() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);
    let check = || run(&home, &["healthcheck"]);

    // Without [admin] metrics it asks the admin socket, and nothing is served over TCP.
    assert_eq!(check().status.code(), Some(0), "{}", said(&check()));
    assert_eq!(said(&check()), "ready\n");
    assert!(relay.events("monitoring").is_empty());
    assert!(relay.stop().success());
    assert_eq!(check().status.code(), Some(69), "{}", said(&check()));

    home.append(ON);
    let mut relay = Relay::start(&home);
    home.change(ON, &format!("[admin]\nmetrics = \"{}\"", address(&relay)));
    // So that only the address can answer.
    fs::remove_file(home.path("data/admin.sock")).unwrap();
    assert_eq!(check().status.code(), Some(0), "{}", said(&check()));
    assert!(relay.stop().success());
    let stopped = check();
    assert_eq!(stopped.status.code(), Some(69));
    let words = said(&stopped);
    assert!(
        words.contains("refused") && words.contains("graph-relay status"),
        "{words}"
    );

    let missing = healthcheck(&["--config", "/nowhere/relay.toml"]);
    assert_eq!(missing.status.code(), Some(78), "{}", said(&missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_there_are_three_paths_to_read_and_nothing_else() {
    let graph = stand_in().await;
    let relay = Home::with(&graph).sections(ON).start();
    let address = address(&relay);

    for path in [
        "/",
        "/status",
        "/queue",
        "/accounts",
        "/metrics/",
        "/sign-ins",
    ] {
        assert_eq!(
            ask(Method::GET, address, path).await.status(),
            404,
            "{path}"
        );
        assert_eq!(
            ask(Method::POST, address, path).await.status(),
            404,
            "{path}"
        );
    }
    for path in ["/metrics", "/livez", "/readyz"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = ask(method.clone(), address, path).await;
            assert_eq!(answer.status(), 405, "{method} {path}");
        }
        let answer = ask(Method::GET, address, path).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["connection"], "close");
    }
    let answer = ask(Method::GET, address, "/metrics").await;
    let form = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.headers()["content-type"], form);
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_that_say_nothing_or_too_much_make_room_for_others() {
    let graph = stand_in().await;
    let relay = Home::with(&graph).sections(ON).start();
    let address = address(&relay);
    // More than the relay serves at once.
    let silent: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();

    assert_eq!(get(&relay, "/livez").await.0, 200);

    let mut first = silent.into_iter().next().unwrap();
    first.set_read_timeout(Some(common::PATIENCE)).unwrap();
    let ended = first.read(&mut [0; 100]);
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let mut talker = TcpStream::connect(address).unwrap();
    talker.set_read_timeout(Some(common::PATIENCE)).unwrap();
    talker.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    let field = format!("X-Field: {}\r\n", "x".repeat(1000));
    // Fails at the latest when the connection's buffers are full.
    let mut fields = 0;
    while fields < 100_000 && talker.write_all(field.as_bytes()).is_ok() {
        fields += 1;
    }
    assert!(fields < 100_000);
}

/// Every name of a metric in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|it| it.starts_with("graphrelay_")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn alert_rules_and_dashboard_use_metrics_that_exist() {
    let graph = stand_in().await;
    let relay = Home::with(&graph).sections(ON).start();
    let (_, text) = get(&relay, "/metrics").await;
    let known = names(&text);
    for file in ["graph-relay.rules.yml", "grafana-dashboard.json"] {
        let path = format!("{}/docs/monitoring/{file}", env!("CARGO_MANIFEST_DIR"));
        let used = fs::read_to_string(path).unwrap();
        let unknown: Vec<_> = names(&used).difference(&known).copied().collect();
        assert!(names(&used).len() > 10, "{file}");
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        if file.ends_with(".json") {
            serde_json::from_str::<serde_json::Value>(&used).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs promtool"]
async fn promtool_finds_nothing_wrong_with_the_metrics() {
    let graph = stand_in().await;
    let relay = Home::with(&graph).sections(ON).start();
    let id = send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    relay.event("delivered", |line| line["id"] == *id);
    let (_, text) = get(&relay, "/metrics").await;

    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();

    assert_eq!(said(&output), "");
    assert!(output.status.success());
}
