//! `queue resend`, with the real binary: a copy goes out under the same Message-ID, to whom
//! the operator names and the rules allow, and to nobody else.

use std::process::Output;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use serde_json::Value;

use crate::common::Home;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::find;
use crate::common::message;
use crate::common::recipients;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::set;
use crate::common::shown;
use crate::common::stand_in;

/// Nothing is retried by itself, and nobody gets a report.
const PATIENT: &str = "[delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"";
/// Graph refuses every message to it.
const INVALID: &str = "invalid@example.org";

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn resend(home: &Home, id: &str, options: &[&str]) -> Output {
    run(home, &[&["queue", "resend", id], options].concat())
}

/// The id of the copy.
fn copy_of(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    stdout(output).split(' ').next().unwrap().to_owned()
}

fn failed(relay: &Relay, home: &Home, content: &str) -> String {
    let id = send_one(relay, &[INVALID], content);
    recorded(relay, home, "failed", |line| line["id"] == *id);
    id
}

/// A message that waits because its first attempt ended with this status.
fn deferred(relay: &Relay, home: &Home, graph: &Sandbox, status: u16) -> String {
    graph.inject(Fault {
        code: (status == 409).then(|| "ErrorMessageThrottled".to_owned()),
        ..Fault::at_send(status)
    });
    let id = send_one(relay, &["a@example.org"], &message("m", "a@example.org"));
    relay.wait_until(|| shown(home, &id)["attempts"] == 1);
    relay.wait_until(|| shown(home, &id)["state"] == "waiting");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_goes_to_somebody_else_and_not_to_those_that_its_header_names() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let relay = Relay::start(&home);
    // In a file, because it is long.
    let lines = format!("{}\r\n", "x".repeat(76)).repeat(2_000);
    let content = format!("{}{lines}last line\r\n", message("bad", INVALID));
    let id = failed(&relay, &home, &content);

    let resent = resend(&home, &id, &["--to", "ada@example.org"]);

    let copy = copy_of(&resent);
    let words = format!("{copy}  accepted as a copy of {id}, to ada@example.org\n");
    assert_eq!(stdout(&resent), words);
    let seen = arrived(&graph, 1).await;
    assert_eq!(recipients(&seen[0]), set(&["ada@example.org"]));
    assert!(find(&seen[0].raw, b"<bad@app.example>").is_some());
    assert!(find(&seen[0].raw, b"last line").is_some());
    assert_eq!(shown(&home, &copy)["resend_of"], *id);
    assert_eq!(shown(&home, &id)["resent_as"][0], *copy);
    assert_eq!(shown(&home, &id)["state"], "failed");
    let logged = relay.event("resent", |line| line["id"] == *copy);
    assert_eq!(logged["resend_of"], *id);
    for command in ["trace", "history"] {
        let words = format!("This is a copy of message {id}, on an operator's order. ");
        let text = (command == "trace").then_some(copy.as_str());
        let arguments: Vec<&str> = std::iter::once(command).chain(text).collect();
        let listed = stdout(&run(&home, &arguments));
        assert!(listed.contains(&words), "{listed}");
    }
    let show = stdout(&run(&home, &["queue", "show", &copy]));
    assert!(
        show.contains(&format!("accepted as a copy of {id}")),
        "{show}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_goes_again_to_its_recipients_and_stays_held() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let relay = Relay::start(&home);
    let id = deferred(&relay, &home, &graph, 409);
    let waiting = resend(&home, &id, &[]);
    assert_eq!(waiting.status.code(), Some(1));
    let words = format!("graph-relay queue hold {id}");
    assert!(said(&waiting).contains(&words), "{}", said(&waiting));
    assert!(run(&home, &["queue", "hold", &id]).status.success());

    let resent = resend(&home, &id, &["--json"]);

    let line: Value = serde_json::from_str(&stdout(&resent)).unwrap();
    assert_eq!(line["resend_of"], *id);
    let seen = arrived(&graph, 1).await;
    assert_eq!(recipients(&seen[0]), set(&["a@example.org"]));
    assert_eq!(shown(&home, &id)["state"], "held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_may_have_arrived_is_sent_again_only_when_that_is_confirmed() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let relay = Relay::start(&home);
    let id = deferred(&relay, &home, &graph, 503);
    assert!(run(&home, &["queue", "hold", &id]).status.success());

    let asks = resend(&home, &id, &[]);

    let words =
        "a@example.org may receive it twice. There is no terminal to confirm that: add --yes";
    assert!(said(&asks).contains(words), "{}", said(&asks));
    assert_eq!(asks.status.code(), Some(64));
    copy_of(&resend(&home, &id, &["--to", "ada@example.org"]));
    copy_of(&resend(&home, &id, &["--yes"]));
    arrived(&graph, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_receives_a_copy_whom_the_rules_forbid() {
    let graph = stand_in().await;
    let allowed = "recipients_allowed = [\"*@example.org\"]";
    let home = Home::with(&graph)
        .sections(PATIENT)
        .listener(allowed)
        .build();
    let mut relay = Relay::start(&home);
    let id = failed(&relay, &home, &message("bad", INVALID));

    let forbidden = resend(&home, &id, &["--to", "eve@fabrikam.com"]);

    assert_eq!(forbidden.status.code(), Some(1));
    let words = "does not allow mail to eve@fabrikam.com";
    assert!(said(&forbidden).contains(words), "{}", said(&forbidden));
    copy_of(&resend(&home, &id, &["--to", "ada@example.org"]));
    arrived(&graph, 1).await;
    assert!(relay.stop().success());
    let redirect = "redirect_all_to = \"test@example.org\"\nrecipients_allowed =";
    home.change("recipients_allowed =", redirect);
    let _relay = Relay::start(&home);
    let redirected = resend(&home, &id, &["--to", "ada@example.org"]);
    let words = "send it to test@example.org instead";
    assert!(said(&redirected).contains(words), "{}", said(&redirected));
    copy_of(&resend(&home, &id, &["--to", "test@example.org"]));
    arrived(&graph, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_content_is_not_sent_again_and_the_reason_is_given() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PATIENT).build();
    let relay = Relay::start(&home);
    let delivered = send_one(&relay, &["a@example.org"], &message("m", "a@example.org"));
    relay.wait_until(|| shown(&home, &delivered)["state"] == "delivered");
    let dropped = failed(&relay, &home, &message("bad", INVALID));
    assert!(run(&home, &["queue", "drop", &dropped]).status.success());

    for (id, words) in [
        (
            delivered.as_str(),
            "it was delivered, and its content is gone: history.keep_content is \"off\"",
        ),
        (
            &dropped,
            "it was dropped, and its content is gone: history.keep_content is",
        ),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "it never existed"),
    ] {
        let refused = resend(&home, id, &["--yes"]);
        assert!(said(&refused).contains(words), "{}", said(&refused));
        assert_eq!(refused.status.code(), Some(1));
    }
    // So no other order names it as the way out.
    for id in [&delivered, &dropped] {
        let held = said(&run(&home, &["queue", "hold", id]));
        assert!(held.contains("its content is gone"), "{held}");
        assert!(!held.contains("queue resend"), "{held}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_may_go_to_a_name_that_an_alias_has() {
    let graph = stand_in().await;
    let aliases = format!("{PATIENT}\n[aliases]\nroot = \"it@example.org\"");
    let home = Home::with(&graph).sections(&aliases).build();
    let relay = Relay::start(&home);
    let id = failed(&relay, &home, &message("a", INVALID));

    let unknown = resend(&home, &id, &["--to", "backup"]);
    let copy = copy_of(&resend(&home, &id, &["--to", "Root"]));

    assert_eq!(unknown.status.code(), Some(1));
    let words = "backup has no domain and no alias. An alias can map it to a mailbox: [aliases] \
                 backup = \"you@your-domain\"";
    assert!(said(&unknown).contains(words), "{}", said(&unknown));
    relay.event("delivered", |line| line["id"] == *copy);
    let arrivals = arrived(&graph, 1).await;
    assert_eq!(recipients(&arrivals[0]), set(&["it@example.org"]));
}
