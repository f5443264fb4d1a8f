//! `queue retry`, `hold`, `release` and `drop`, with the real binary: an operator's
//! decision takes effect at once and is durable.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use rustix::process::geteuid;
use serde_json::Value;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::message;
use crate::common::recorded;
use crate::common::run;
use crate::common::send_many;
use crate::common::send_one;
use crate::common::shown;
use crate::common::stand_in;
use crate::common::write_private;

/// Nothing is retried by itself.
const PATIENT: &str = "[delivery]\nretry = [\"1h\"]";

fn queue(home: &Home, arguments: &[&str]) -> Output {
    let config = ["--config", home.config.to_str().unwrap()];
    let mut command = binary();
    command.arg("queue").args(arguments).args(config);
    command.stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A message that waits for an hour because Graph was busy.
fn deferred(relay: &Relay, home: &Home, graph: &Sandbox) -> String {
    graph.inject(Fault {
        code: Some("ErrorMessageThrottled".to_owned()),
        ..Fault::at_send(409)
    });
    let id = send_one(relay, &["a@example.org"], &message("m", "a@example.org"));
    recorded(relay, home, "deferred", |line| line["id"] == *id);
    id
}

fn failed(relay: &Relay, home: &Home) -> String {
    let to = "invalid@example.org";
    let id = send_one(relay, &[to], &message("bad", to));
    relay.wait_until(|| shown(home, &id)["state"] == "failed");
    // Its report is sent by itself, so that a fault of the test cannot affect it.
    let report = relay.event("report", |line| line["about"] == *id);
    relay.event("delivered", |line| line["id"] == report["id"]);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_is_delivered_after_a_retry_once_the_fault_is_gone() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let relay = Relay::start(&home);
    graph.inject(Fault {
        code: Some("ErrorMessageSizeExceeded".to_owned()),
        ..Fault::at_send(400)
    });
    let id = send_one(&relay, &["a@example.org"], &message("m", "a@example.org"));
    recorded(&relay, &home, "failed", |line| line["id"] == *id);
    let show = stdout(&queue(&home, &["show", &id]));
    assert!(
        show.contains(&format!("graph-relay queue retry {id}")),
        "{show}"
    );

    let retried = queue(&home, &["retry", &id]);

    assert_eq!(stdout(&retried), format!("{id}  waiting again, due now\n"));
    assert_eq!(stderr(&retried), "1 retried, 0 unchanged, 0 not retried\n");
    assert_eq!(retried.status.code(), Some(0));
    arrived(&graph, 1).await;
    let logged = relay.event("retried", |line| line["id"] == *id);
    assert_eq!(logged["uid"], geteuid().as_raw());
    relay.wait_until(|| shown(&home, &id)["state"] == "delivered");
    let again = queue(&home, &["retry", &id, "--json"]);
    assert_eq!(again.status.code(), Some(1));
    let line: Value = serde_json::from_str(stdout(&again).trim()).unwrap();
    assert_eq!(
        (&line["action"], &line["verdict"]),
        (&"retry".into(), &"refused".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_a_wrong_address_is_to_be_sent_to_another_one() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let relay = Relay::start(&home);
    let id = failed(&relay, &home);

    let show = stdout(&queue(&home, &["show", &id]));

    let resend = format!("graph-relay queue resend {id} --to ADDRESS; or: ");
    assert!(show.contains(&resend), "{show}");
    assert!(!show.contains("queue retry"), "{show}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_the_secret_was_corrected_does_not_wait_for_the_backoff() {
    let graph = stand_in().await;
    let home = Home::with(&graph).delivery("retry = [\"1s\"]").build();
    let secret = home.path("client-secret");
    write_private(&secret, "an-old-secret");
    let relay = Relay::start(&home);
    let id = send_one(&relay, &["a@example.org"], &message("m", "a@example.org"));
    // Each failure doubles the backoff, from a second: it is longer then than `arrived` waits.
    let failures = 8;
    assert!(1_u64 << (failures - 1) > PATIENCE.as_secs());
    for failure in 1..=failures {
        relay.wait_until(|| {
            let entry = shown(&home, &id);
            let is_waiting = entry["waits"]["backoff"].is_object();
            is_waiting && entry["attempts"].as_u64() >= Some(failure)
        });
        if failure < failures {
            assert!(queue(&home, &["retry", &id]).status.success());
        }
    }
    write_private(&secret, &Settings::default().client_secret);

    assert!(queue(&home, &["retry", &id]).status.success());

    arrived(&graph, 1).await;
    relay.event("recovered", |_| true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_does_not_call_a_throttled_mailbox_before_its_time() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let relay = Relay::start(&home);
    graph.inject(Fault {
        retry_after: Some("10".to_owned()),
        ..Fault::at_send(429)
    });
    let id = send_one(&relay, &["a@example.org"], &message("m", "a@example.org"));
    relay.wait_until(|| shown(&home, &id)["waits"]["backoff"].is_object());
    let show = stdout(&queue(&home, &["show", &id]));
    assert!(!show.contains("queue retry"), "{show}");

    let retried = queue(&home, &["retry", &id]);

    assert!(retried.status.success());
    let words = stdout(&retried);
    let why = "is backing off: Graph asked for fewer requests; next attempt in ";
    assert!(words.contains("  waiting again: "), "{words}");
    assert!(words.contains(why), "{words}");
    arrived(&graph, 1).await;
    let requests = graph.requests();
    let sent = requests
        .iter()
        .filter(|it| it.kind == RequestKind::SendMail);
    let sent: Vec<_> = sent.map(|it| it.received).collect();
    assert_eq!(sent.len(), 2, "{requests:#?}");
    let apart = sent[1].saturating_duration_since(sent[0]);
    assert!(apart >= Duration::from_secs(10), "{apart:?}");
    assert_eq!(relay.events("deferred").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_stays_held_after_kill_9_until_it_is_released() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let mut relay = Relay::start(&home);
    let id = deferred(&relay, &home, &graph);
    let held = queue(&home, &["hold", &id]);
    relay.kill();
    assert_eq!(stdout(&held), format!("{id}  held\n"));

    let relay = Relay::start(&home);

    let list = stdout(&queue(&home, &["list"]));
    assert!(list.contains("  held  "), "{list}");
    assert!(list.contains("held by an operator (uid "), "{list}");
    let show = stdout(&queue(&home, &["show", &id]));
    assert!(
        show.contains(&format!("graph-relay queue release {id}")),
        "{show}"
    );
    let again = queue(&home, &["hold", &id]);
    assert_eq!(stdout(&again), format!("{id}  nothing to do: it is held\n"));
    assert_eq!(again.status.code(), Some(0));
    // A message sent meanwhile shows that it would have been sent.
    send_one(
        &relay,
        &["a@example.org"],
        &message("other", "a@example.org"),
    );
    assert_eq!(arrived(&graph, 1).await[0].subject, "other");
    assert!(queue(&home, &["release", &id]).status.success());
    arrived(&graph, 2).await;
    relay.event("released", |line| line["id"] == *id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_message_makes_room_and_stays_gone_after_kill_9() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .sections(PATIENT)
        .limits("spool_size = \"1 MB\"")
        .build();
    let mut relay = Relay::start(&home);
    let large = |name: &str| {
        let text = message(name, "a@example.org");
        format!("{text}{}", format!("{}\r\n", "x".repeat(76)).repeat(9_000))
    };
    graph.inject(Fault {
        code: Some("ErrorMessageThrottled".to_owned()),
        ..Fault::at_send(409)
    });
    let id = send_one(&relay, &["a@example.org"], &large("first"));
    recorded(&relay, &home, "deferred", |line| line["id"] == *id);
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let full = smtp.send(MAILBOX, &["a@example.org"], large("second").as_bytes());
    assert!(full.starts_with("452"), "{full}");
    let file = home.path("data/content").join(&id);
    assert!(fs::exists(&file).unwrap());

    let dropped = queue(&home, &["drop", &id]);

    assert_eq!(stdout(&dropped), format!("{id}  dropped\n"));
    assert!(!fs::exists(&file).unwrap());
    send_one(&relay, &["a@example.org"], &large("third"));
    assert_eq!(arrived(&graph, 1).await[0].subject, "third");
    let logged = relay.event("dropped", |line| line["id"] == *id);
    assert_eq!(logged["uid"], geteuid().as_raw());
    relay.kill();
    let _relay = Relay::start(&home);
    let entry = shown(&home, &id);
    assert_eq!(entry["state"], "dropped");
    assert_eq!(entry["recipients"][0], "a@example.org");
    assert_eq!(entry["timeline"][0]["outcome"], "deferred");
    let list = queue(&home, &["list"]);
    assert!(!stdout(&list).contains(&id));
    assert!(stdout(&queue(&home, &["list", "--filter", "state=dropped"])).contains(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_being_sent_can_be_neither_held_nor_dropped() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let relay = Relay::start(&home);
    graph.inject(Fault {
        delay: PATIENCE,
        ..Fault::usual(graph_relay_sandbox::Station::Send)
    });
    let id = send_one(&relay, &["a@example.org"], &message("m", "a@example.org"));
    relay.wait_until(|| shown(&home, &id)["state"] == "claimed");

    let hold = queue(&home, &["hold", &id]);
    let drop = queue(&home, &["drop", "--all", "--yes"]);
    let retry = queue(&home, &["retry", &id]);

    let words = |verb| format!("{id}  not {verb}: it is being sent now: try again\n");
    assert_eq!(
        (stdout(&hold), hold.status.code()),
        (words("held"), Some(1))
    );
    assert_eq!(
        (stdout(&drop), drop.status.code()),
        (words("dropped"), Some(1))
    );
    assert!(stdout(&retry).contains("nothing to do: it is being sent now"));
    assert_eq!(retry.status.code(), Some(0));
    assert_eq!(shown(&home, &id)["state"], "claimed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_selects_messages_to_list_and_to_act_on() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let relay = Relay::start(&home);
    let bad = failed(&relay, &home);
    let waiting = deferred(&relay, &home, &graph);

    let list = stdout(&queue(
        &home,
        &["list", "--filter", "state=failed to=invalid@*"],
    ));
    let none = queue(&home, &["list", "--filter", "from=nobody@*"]);
    let held = queue(&home, &["hold", "--filter", "to=a@example.org"]);
    let dropped = queue(&home, &["drop", "--filter", "code=ErrorInvalid*", "--yes"]);

    assert!(list.contains(&bad) && !list.contains(&waiting), "{list}");
    assert_eq!(
        (stdout(&none), none.status.code()),
        (String::new(), Some(0))
    );
    assert_eq!(stdout(&held), format!("{waiting}  held\n"));
    assert_eq!(stdout(&dropped), format!("{bad}  dropped\n"));
    assert_eq!(shown(&home, &waiting)["state"], "held");
    let nothing = queue(&home, &["release", "--filter", "older=1h"]);
    assert_eq!(stderr(&nothing), "no matching messages\n");
}

#[test]
fn a_wrong_command_line_is_answered_with_the_correct_form() {
    let home = Home::empty();
    fs::write(
        &home.config,
        format!("data_dir = {:?}\n", home.path("data")),
    )
    .unwrap();
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for wrong in [
        &["drop"][..],
        &["drop", "--all", id],
        &["drop", "--all", "--filter", "state=failed"],
        &["drop", "too-short"],
        &["drop", "--all"],
        &["retry", "--all"],
        &["drop", "--filter", "state=failed"],
        &["list", "--filter", ""],
    ] {
        let output = queue(&home, wrong);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{wrong:?}: {}",
            stderr(&output)
        );
    }
    let asks = queue(&home, &["release", "--all"]);
    assert!(stderr(&asks).contains("there is no terminal: add --yes"));
    let key = queue(&home, &["list", "--filter", "colour=red"]);
    assert!(stderr(&key).contains("the keys are state, from, to,"));
    let not_running = queue(&home, &["drop", id]);
    assert_eq!(not_running.status.code(), Some(69));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_got_no_answer_in_time_is_not_carried_out_later() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let relay = Relay::start(&home);
    let id = deferred(&relay, &home, &graph);
    let orders: [&[&str]; 3] = [&["queue", "drop", &id], &["queue", "hold", &id], &["pause"]];
    relay.signal("STOP");

    // At the same time, because each waits for ten seconds.
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let home = &home;
        let given = orders.map(|order| scope.spawn(move || run(home, order)));
        given.into_iter().map(|it| it.join().unwrap()).collect()
    });
    relay.signal("CONT");

    for output in outputs {
        assert_eq!(output.status.code(), Some(69));
        let said = stderr(&output);
        assert!(said.contains("does not carry this order out"), "{said}");
    }
    assert_eq!(shown(&home, &id)["state"], "waiting");
    // An order that is in time is carried out.
    let dropped = queue(&home, &["drop", &id]);
    assert!(dropped.status.success(), "{}", stderr(&dropped));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_deadline_has_passed_is_refused() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = Relay::start(&home);
    let namespace = fs::read_link("/proc/self/ns/time").ok();
    let clock = namespace.map_or_else(|| "boot".into(), |it| it.display().to_string());
    let mut client = UnixStream::connect(home.path("data/admin.sock")).unwrap();

    write!(
        client,
        "POST /pauses HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\
         graph-relay-deadline: 0 {clock}\r\n\r\n{{}}"
    )
    .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();

    assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
    let line = relay.event("audit", |line| line["result"] == "refused");
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.contains("stopped waiting"), "{line}");
    let pauses = relay.events("paused");
    assert!(pauses.is_empty(), "{pauses:?}");
}

/// A home in which a test listens on the admin socket itself.
fn home_without_relay() -> Home {
    let home = Home::empty();
    let text = format!("data_dir = {:?}\n", home.path("data"));
    fs::write(&home.config, text).unwrap();
    fs::create_dir(home.path("data")).unwrap();
    home
}

#[test]
fn a_relay_that_hangs_up_is_said_to_run_and_not_to_answer() {
    let home = home_without_relay();
    let socket = UnixListener::bind(home.path("data/admin.sock")).unwrap();
    // Whoever connects is cut off.
    std::thread::spawn(move || socket.incoming().for_each(drop));

    let output = queue(&home, &["list"]);

    assert_eq!(output.status.code(), Some(69));
    let said = stderr(&output);
    assert!(said.contains("is running but does not answer"), "{said}");
    assert!(!said.contains("http://"), "{said}");
}

#[test]
fn the_status_of_a_relay_that_hangs_names_the_remedy_after_five_seconds() {
    let home = home_without_relay();
    // The system accepts connections for it, and nobody answers.
    let _socket = UnixListener::bind(home.path("data/admin.sock")).unwrap();

    let output = run(&home, &["status"]);

    assert_eq!(output.status.code(), Some(69));
    let said = stderr(&output);
    assert!(
        said.contains("no answer within 5 seconds. If this"),
        "{said}"
    );
    assert!(said.contains("systemctl restart graph-relay"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_queue_drop_asks_with_the_number_of_messages() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let relay = Relay::start(&home);
    graph.inject(Fault {
        times: 100,
        code: Some("ErrorMessageThrottled".to_owned()),
        ..Fault::at_send(409)
    });
    let ids = send_many(&relay, "m", 3);
    for id in &ids {
        recorded(&relay, &home, "deferred", |line| line["id"] == **id);
    }

    let (no, yes) = (on_a_terminal(&home, "n\n"), on_a_terminal(&home, "y\n"));

    let question =
        "3 messages (3 waiting) will be dropped: never sent, and the content is deleted unless";
    assert!(
        no.contains(question) && no.contains("nothing was changed"),
        "{no}"
    );
    assert!(
        yes.contains("3 dropped, 0 unchanged, 0 not dropped"),
        "{yes}"
    );
    assert_eq!(shown(&home, &ids[0])["state"], "dropped");
}

/// The output of `queue drop --all` on a terminal made by script(1).
fn on_a_terminal(home: &Home, answer: &str) -> String {
    let program = env!("CARGO_BIN_EXE_graph-relay");
    let config = home.config.display();
    let command = format!("{program} queue drop --all --config {config}");
    let mut script = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = script.stdin.take().unwrap();
    keyboard.write_all(answer.as_bytes()).unwrap();
    let output = script.wait_with_output().unwrap();
    drop(keyboard);
    stdout(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn status_names_messages_that_no_account_sends_any_more() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let mut relay = Relay::start(&home);
    deferred(&relay, &home, &graph);
    assert!(relay.stop().success());
    let senders = "senders = [\"*@elsewhere.example\"]\nmailbox =";
    home.change("mailbox =", senders);

    let relay = Relay::start(&home);
    relay.event("no_account", |_| true);

    let mut status = binary();
    status.args(["status", "--config"]).arg(&home.config);
    let status = status.output().unwrap();
    let words = "1 message waits for which no [[account]] matches";
    assert!(stdout(&status).contains(words), "{}", stdout(&status));
    assert_eq!(status.status.code(), Some(1));
}
