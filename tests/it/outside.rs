//! What other programs and people read, pinned as snapshots in `tests/snapshots/`: `--help`,
//! `--json`, metrics, log events with their fields and words, and reports. A change of a word or a
//! field shows in a review as a change of a snapshot. SMTP replies are pinned by `tests/dialogs/`.
//!
//! After a change that is meant: `INSTA_UPDATE=always cargo test --test it outside`, and look at what
//! git says has changed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::process::Output;

use graph_relay_sandbox::Sandbox;
use serde_json::Value;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::binary;
use crate::common::find;
use crate::common::id_of;
use crate::common::message;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;

/// Graph refuses every message to it.
const INVALID: &str = "invalid@example.org";
/// Every message to it is deferred, and delays no other.
const DEFERRED: &str = "sendas@example.org";

/// Values that differ from run to run.
const VOLATILE: [(&str, &str); 14] = [
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "[uuid]"),
    (r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "[id]"),
    (
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?UTC|Z)?",
        "[time]",
    ),
    (
        r"\w{3}, \d\d? \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
        "[date]",
    ),
    (r"\b1[789]\d{11}\b", "[milliseconds]"),
    (r"\buid \d+", "uid [number]"),
    (r"\d+ MB free", "[number] MB free"),
    (r"after \d+ ms", "after [number] ms"),
    (r"attempt is in \d+ \w+", "attempt is in [number] minutes"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
    (r"/[^ \x22]*/data\b", "[data_dir]"),
    (r"/[^ \x22]*/relay\.toml\b", "[relay.toml]"),
    (r"/[^ \x22]*/client-secret\b", "[client-secret]"),
    (r"=_[0-9A-Za-z.=_-]{8,}", "=_[boundary]"),
];

/// Compares with the snapshot of this name.
pub(crate) fn pin(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, instead) in VOLATILE {
        settings.add_filter(pattern, instead);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn help_of_every_command_is_unchanged() {
    let mut all = String::new();
    let mut commands = vec![Vec::<String>::new()];
    while let Some(command) = commands.pop() {
        let help = binary().args(&command).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        all.push_str(&format!("$ graph-relay {}--help\n{help}\n", {
            let words = command.iter().map(|word| format!("{word} "));
            words.collect::<String>()
        }));
        let (_, within) = help.split_once("\nCommands:\n").unwrap_or_default();
        let names = within.lines().take_while(|line| !line.is_empty());
        let names = names.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        let mut names: Vec<_> = names.filter(|name| !["", "help"].contains(name)).collect();
        names.reverse();
        let deeper = |name: &&str| [command.as_slice(), &[(*name).to_owned()]].concat();
        commands.extend(names.iter().map(deeper));
    }
    pin("help", &all);
}

/// A relay that has delivered, failed, deferred and held a message each, and has refused a client.
struct Busy {
    graph: Sandbox,
    home: Home,
    relay: Relay,
    failed: String,
    deferred: String,
}

impl Busy {
    async fn new() -> Self {
        let graph = stand_in().await;
        let delivery = "[delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"";
        let home = Home::with(&graph).sections(delivery).build();
        let relay = Relay::start(&home);
        let to = |address: &str, subject: &str| {
            let id = send_one(&relay, &[address], &message(subject, address));
            let event = match address {
                INVALID => "failed",
                DEFERRED => "deferred",
                _ => "delivered",
            };
            recorded(&relay, &home, event, |line| line["id"] == *id);
            id
        };
        to("a@example.org", "delivered");
        let failed = to(INVALID, "failed");
        let deferred = to(DEFERRED, "deferred");
        let held = to(DEFERRED, "held");
        let hold = run(&home, &["queue", "hold", &held]);
        assert!(hold.status.success(), "{}", said(&hold));
        relay.connect().say("GET / HTTP/1.1");
        relay.event("session", |_| true);
        Self {
            graph,
            home,
            relay,
            failed,
            deferred,
        }
    }

    /// The output of a command, as JSON.
    fn json(&self, arguments: &[&str]) -> String {
        json(&run(&self.home, &[arguments, &["--json"]].concat()))
    }

    /// Names, labels and help of all metrics, without their values.
    async fn metrics(&self) -> String {
        let socket = self.home.path("data/admin.sock");
        let client = reqwest::Client::builder().unix_socket(socket);
        let answer = client.build().unwrap().get("http://relay/metrics").send();
        let text = answer.await.unwrap().text().await.unwrap();
        let lines = text.lines().map(|line| match line.rsplit_once(' ') {
            Some((name, _)) if !line.starts_with('#') => name,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// JSON Lines, each value readable, with what differs from run to run masked.
fn json(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(!text.is_empty(), "{}", said(output));
    let values = text.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        mask("", &mut value);
        serde_json::to_string_pretty(&value).unwrap()
    });
    values.collect::<Vec<_>>().join("\n")
}

/// Numbers that count time or bytes: the unit is in the name, or they are large.
fn mask(key: &str, value: &mut Value) {
    let counts = [
        "_ms", "_seconds", "_days", "bytes", "memory", "size", "pid", "free", "limit",
    ];
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| mask(key, value)),
        Value::Array(values) => values.iter_mut().for_each(|value| mask(key, value)),
        Value::Number(number)
            if counts.iter().any(|it| key.contains(it))
                || (number.as_u64() > Some(99) && key != "http_status") =>
        {
            *value = Value::from("[number]");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_output_and_metrics_are_unchanged() {
    let busy = Busy::new().await;

    pin("status.json", &busy.json(&["status"]));
    pin("queue-list.json", &busy.json(&["queue", "list"]));
    pin("history.json", &busy.json(&["history"]));
    pin(
        "queue-show-failed.json",
        &busy.json(&["queue", "show", &busy.failed]),
    );
    pin(
        "queue-show-deferred.json",
        &busy.json(&["queue", "show", &busy.deferred]),
    );
    pin("accounts.json", &busy.json(&["accounts"]));
    pin("doctor.json", &busy.json(&["doctor"]));
    let explain = binary()
        .args(["explain", "AADSTS7000222", "--json"])
        .output();
    pin("explain.json", &json(&explain.unwrap()));
    pin("devices.json", &busy.json(&["devices"]));
    pin("sessions-list.json", &busy.json(&["sessions", "list"]));
    pin("metrics", &busy.metrics().await);
    drop(busy.graph);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_events_keep_their_fields_and_words() {
    let mut busy = Busy::new().await;
    assert!(busy.relay.stop().success());

    let mut events: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in busy.relay.all() {
        let event = line["event"].as_str().unwrap_or("(none)").to_owned();
        let fields: Vec<&str> = line
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let level = line["level"].as_str().unwrap_or_default();
        let words = line["message"].as_str().unwrap_or_default();
        let shape = format!("  {level} \"{words}\"\n    {}\n", fields.join(" "));
        events.entry(event).or_default().insert(shape);
    }
    let events = events
        .into_iter()
        .map(|(event, shapes)| format!("{event}\n{}", shapes.into_iter().collect::<String>()));
    pin("log-events", &events.collect::<String>());
}

/// A message from the mailbox with these arguments of MAIL and RCPT; returns its id.
fn send(relay: &Relay, mail: &str, rcpt: &str, content: &str) -> String {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect(&format!("MAIL FROM:<{MAILBOX}> {mail}"), "250");
    smtp.expect(&format!("RCPT TO:{rcpt}"), "250");
    smtp.expect("DATA", "354");
    smtp.write(content.as_bytes());
    id_of(&smtp.say("."))
}

/// The report about a message, as it arrived.
fn report(relay: &Relay, graph: &Sandbox, about: &str) -> String {
    let report = relay.event("report", |line| line["about"] == *about);
    relay.event("delivered", |line| line["id"] == report["id"]);
    let received = format!(" id {};", report["id"].as_str().unwrap());
    let arrivals = graph.arrivals();
    let mut arrivals = arrivals.iter();
    let arrival = arrivals.find(|it| find(&it.raw, received.as_bytes()).is_some());
    String::from_utf8(arrival.unwrap().raw.to_vec())
        .unwrap()
        .replace("\r\n", "\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_each_kind_are_unchanged() {
    let graph = stand_in().await;
    let delivery = "retry = [\"50ms\"]\nwarn_after = \"100ms\"";
    let relay = Home::with(&graph).delivery(delivery).start();
    for (name, mail, rcpt, to) in [
        ("report-failed", "", format!("<{INVALID}>"), INVALID),
        (
            "report-delayed",
            "",
            format!("<{DEFERRED}> NOTIFY=DELAY"),
            DEFERRED,
        ),
        (
            "report-relayed",
            "RET=HDRS ENVID=4711",
            "<a@example.org> NOTIFY=SUCCESS ORCPT=rfc822;root@printer".to_owned(),
            "a@example.org",
        ),
    ] {
        let id = send(&relay, mail, &rcpt, &message("subject", to));
        pin(name, &report(&relay, &graph, &id));
    }
}
