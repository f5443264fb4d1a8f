//! Promise 4 from outside: after any failure between the relay and Graph, a draft arrives
//! exactly once. A message sent in one request arrives at least once, and twice only if
//! the log calls it doubtful.

use std::collections::BTreeMap;

use graph_relay_sandbox::Cut;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::RequestKind;
use graph_relay_sandbox::RequestRecord;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;

use crate::common::*;

/// Every way in which one request can fail.
fn faults(at: Station) -> Vec<Fault> {
    let mut faults = Vec::new();
    for cut_after in [0, 1, 100] {
        faults.push(Fault {
            cut: Some(Cut::Request),
            cut_after,
            ..Fault::usual(at)
        });
    }
    for cut in [Cut::Before, Cut::During] {
        for stored in [true, false] {
            faults.push(Fault {
                cut: Some(cut),
                stored: Some(stored),
                ..Fault::usual(at)
            });
        }
    }
    for status in [500, 502, 503, 504] {
        for stored in [true, false] {
            faults.push(Fault {
                stored: Some(stored),
                ..Fault::at(at, status)
            });
        }
    }
    for status in [401, 429] {
        faults.push(Fault {
            retry_after: Some("0".to_owned()),
            ..Fault::at(at, status)
        });
    }
    faults
}

/// An account with these keys.
fn home(graph: &Sandbox, keys: &str) -> Home {
    Home::with(graph).account(MAILBOX, keys).build()
}

/// How often each message arrived, by its subject.
fn arrivals(graph: &Sandbox) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for arrival in graph.arrivals() {
        *counts.entry(arrival.subject.clone()).or_default() += 1;
    }
    counts
}

fn send(relay: &Relay, subject: &str) -> String {
    send_one(
        relay,
        &["a@example.org"],
        &message(subject, "a@example.org"),
    )
}

/// A mailbox for each case, so that none waits because of another, and a relay that sends
/// as each.
async fn mailboxes(count: usize, keys: &str) -> (Sandbox, Relay) {
    let names = (0..count).map(mailbox).chain([MAILBOX.to_owned()]);
    let settings = Settings {
        mailboxes: names.collect(),
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let home = Home::with(&graph).account("from", keys).build();
    (graph, Relay::start(&home))
}

fn mailbox(n: usize) -> String {
    format!("m{n}@sandbox.example")
}

/// Sends a message as a mailbox; the subject is the mailbox.
fn send_as(relay: &Relay, mailbox: &str) -> String {
    let content = message(mailbox, "a@example.org").replace(MAILBOX, mailbox);
    send_one(relay, &["a@example.org"], &content)
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_4_a_draft_arrives_exactly_once_after_any_failed_request() {
    let stations = [Station::Draft, Station::Submit, Station::Look];
    let cases = stations.into_iter().flat_map(faults);
    let cases: Vec<Fault> = cases.collect();
    let (graph, relay) = mailboxes(cases.len(), "submission = \"draft\"").await;
    let mut ids = Vec::new();
    for (n, fault) in cases.iter().enumerate() {
        let of_this = |fault| Fault {
            mailbox: Some(mailbox(n)),
            ..fault
        };
        if fault.at == Station::Look {
            // Makes the relay look.
            graph.inject(of_this(Fault {
                stored: Some(n % 2 == 0),
                cut: Some(Cut::Before),
                ..Fault::usual(Station::Submit)
            }));
        }
        graph.inject(of_this(fault.clone()));
        ids.push(send_as(&relay, &mailbox(n)));
    }

    for id in &ids {
        relay.event("delivered", |line| line["id"] == **id);
    }

    let arrived = arrivals(&graph);
    for (n, fault) in cases.iter().enumerate() {
        assert_eq!(arrived[&mailbox(n)], 1, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_4_one_request_arrives_twice_only_where_the_log_says_doubtful() {
    let cases = faults(Station::Send);
    let (graph, relay) = mailboxes(cases.len(), "").await;
    let mut ids = Vec::new();
    for (n, fault) in cases.iter().enumerate() {
        graph.inject(Fault {
            mailbox: Some(mailbox(n)),
            ..fault.clone()
        });
        ids.push(send_as(&relay, &mailbox(n)));
    }

    for id in &ids {
        relay.event("delivered", |line| line["id"] == **id);
    }

    let (arrived, doubtful) = (arrivals(&graph), relay.events("doubtful"));
    for (n, fault) in cases.iter().enumerate() {
        let id = ids[n].as_str();
        let doubts = doubtful.iter().filter(|line| line["id"] == *id).count();
        let times = arrived[&mailbox(n)];
        assert!((1..=1 + doubts).contains(&times), "{fault:?}: {times}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubtful_message_is_held_if_configured() {
    let graph = stand_in().await;
    let relay = Relay::start(&home(&graph, "on_doubt = \"hold\""));
    graph.inject(Fault {
        stored: Some(true),
        cut: Some(Cut::Before),
        ..Fault::usual(Station::Send)
    });

    let id = send(&relay, "held");

    relay.event("held", |line| line["id"] == *id);
    let other = send(&relay, "other");
    relay.event("delivered", |line| line["id"] == *other);
    assert_eq!(arrivals(&graph)["held"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_made_doubtful_by_a_crash_is_held_until_an_operator_decides() {
    let graph = stand_in().await;
    let home = home(&graph, "on_doubt = \"hold\"");
    let mut relay = Relay::start(&home);
    graph.inject(Fault {
        stored: Some(true),
        delay: PATIENCE,
        ..Fault::usual(Station::Send)
    });
    let id = send(&relay, "crash");
    relay.wait_until(|| graph.arrivals().len() == 1);

    relay.kill();
    let mut relay = Relay::start(&home);

    relay.event("held", |line| line["id"] == *id);
    // Graph asks for a wait so long that the message is still there at the restart.
    graph.inject(Fault {
        retry_after: Some("1000".to_owned()),
        ..Fault::at_send(429)
    });
    let other = send(&relay, "other");
    recorded(&relay, &home, "deferred", |line| line["id"] == *other);
    let release = queue(&home, &["release", &id]);
    assert!(release.status.success(), "{release:?}");
    relay.kill();
    let relay = Relay::start(&home);

    relay.event("delivered", |line| line["id"] == *id);
    assert_eq!(relay.events("held").len(), 0);
}

fn queue(home: &Home, arguments: &[&str]) -> std::process::Output {
    let mut command = binary();
    command.arg("queue").args(arguments).arg("--config");
    command.arg(&home.config).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sent_draft_that_shows_late_is_looked_for_and_not_sent_again() {
    let settings = Settings {
        sent_item_lookups: 3,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let relay = Relay::start(&home(&graph, "submission = \"draft\""));
    graph.inject(Fault {
        stored: Some(true),
        ..Fault::at(Station::Submit, 504)
    });

    let id = send(&relay, "late");

    relay.event("delivered", |line| {
        line["id"] == *id && line["attempt"].as_u64() > Some(3)
    });
    assert_eq!(arrivals(&graph)["late"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_draft_is_deleted_and_the_message_can_be_retried() {
    let graph = stand_in().await;
    let home = home(&graph, "submission = \"draft\"");
    let relay = Relay::start(&home);
    graph.inject(Fault {
        code: Some("ErrorInvalidRecipients".to_owned()),
        ..Fault::at(Station::Submit, 400)
    });

    let id = send(&relay, "refused");

    relay.event("failed", |line| line["id"] == *id);
    relay.wait_until(|| graph.drafts().is_empty());
    let deleted = |it: &RequestRecord| it.kind == RequestKind::Delete && it.status == Some(204);
    relay.wait_until(|| graph.requests().iter().any(deleted));

    let retry = queue(&home, &["retry", &id]);

    assert!(retry.status.success(), "{retry:?}");
    relay.event("delivered", |line| line["id"] == *id);
    assert_eq!(arrivals(&graph)["refused"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_sent_despite_an_error_is_not_deleted() {
    let graph = stand_in().await;
    let relay = Relay::start(&home(&graph, "submission = \"draft\""));
    graph.inject(Fault {
        code: Some("ErrorInvalidOperation".to_owned()),
        stored: Some(true),
        ..Fault::at(Station::Submit, 400)
    });

    let id = send(&relay, "sent");

    relay.event("failed", |line| line["id"] == *id);
    let looked = |it: &RequestRecord| it.kind == RequestKind::Look && it.status == Some(200);
    relay.wait_until(|| graph.requests().iter().any(looked));
    let next = send(&relay, "next");
    relay.event("delivered", |line| line["id"] == *next);
    let deleted = |it: &RequestRecord| it.kind == RequestKind::Delete;
    assert!(!graph.requests().iter().any(deleted));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_cannot_be_deleted_does_not_fail_its_message() {
    let graph = stand_in().await;
    let keys = "submission = \"draft\"\nblind = \"property\"";
    let relay = Relay::start(&home(&graph, keys));
    graph.inject(Fault::at(Station::Patch, 503));
    graph.inject(Fault {
        code: Some("ErrorInvalidMailboxItemId".to_owned()),
        ..Fault::at(Station::Delete, 400)
    });

    let content = message("again", "a@example.org");
    let id = send_one(&relay, &["a@example.org", "b@example.org"], &content);

    relay.event("delivered", |line| line["id"] == *id);
    assert_eq!(arrivals(&graph)["again"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_2_a_draft_with_a_long_text_is_delivered() {
    let graph = stand_in().await;
    let relay = Relay::start(&home(&graph, "submission = \"draft\""));
    // Graph's answer to a new draft repeats its text, here with an escape for each byte.
    let line = format!("{}\r\n", "\u{1}".repeat(900));
    let content = message("long", "a@example.org") + &line.repeat(100);

    let id = send_one(&relay, &["a@example.org"], &content);

    relay.event("delivered", |line| line["id"] == *id);
    assert_eq!(arrivals(&graph)["long"], 1);
    assert_eq!(graph.drafts().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_for_drafts_is_reported_with_the_remedy() {
    let settings = Settings {
        roles: vec!["Mail.Send".to_owned()],
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let relay = Relay::start(&home(&graph, "submission = \"draft\""));

    let id = send(&relay, "m");

    let fault = relay.event("fault", |line| line["id"] == *id);
    let remedy = fault["remedy"].as_str().unwrap();
    assert!(remedy.contains("Mail.ReadWrite"), "{remedy}");
    assert!(remedy.contains(MAILBOX), "{remedy}");
}

/// A step in sending a draft, and what makes the relay take it.
struct Step {
    at: Station,
    kind: RequestKind,
    before: Option<Fault>,
}

fn steps() -> Vec<Step> {
    let step = |at, kind, before| Step { at, kind, before };
    let doubt = Fault {
        stored: Some(true),
        ..Fault::at(Station::Submit, 504)
    };
    vec![
        step(Station::Draft, RequestKind::Draft, None),
        step(Station::Patch, RequestKind::Patch, None),
        step(Station::Submit, RequestKind::Submit, None),
        step(Station::Look, RequestKind::Look, Some(doubt)),
        step(
            Station::Delete,
            RequestKind::Delete,
            Some(Fault::at(Station::Patch, 503)),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_4_a_draft_arrives_exactly_once_although_the_relay_is_killed() {
    for Step { at, kind, before } in steps() {
        for stored in [true, false] {
            let graph = stand_in().await;
            let home = home(&graph, "submission = \"draft\"\nblind = \"property\"");
            let mut relay = Relay::start(&home);
            if let Some(fault) = before.clone() {
                graph.inject(fault);
            }
            graph.inject(Fault {
                stored: Some(stored),
                delay: PATIENCE,
                ..Fault::usual(at)
            });
            let content = message("killed", "a@example.org");
            send_one(&relay, &["a@example.org", "b@example.org"], &content);
            relay.wait_until(|| graph.requests().iter().any(|it| it.kind == kind));
            let sent = at == Station::Look || (stored && at == Station::Submit);
            relay.wait_until(|| graph.arrivals().len() == usize::from(sent));

            relay.kill();
            let relay = Relay::start(&home);

            relay.event("delivered", |_| true);
            assert_eq!(arrivals(&graph)["killed"], 1, "{at:?} {stored}");
            assert!(graph.drafts().is_empty(), "{at:?} {stored}");
        }
    }
}

/// A column of the only entry, as a number.
fn number(home: &Home, expression: &str) -> i64 {
    let spool = rusqlite::Connection::open(home.path("data/spool.db")).unwrap();
    let query = format!("SELECT {expression} FROM entry JOIN attempt ON entry = id");
    spool.query_row(&query, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_for_a_draft_begins_when_it_was_sent_and_not_when_it_was_created() {
    let graph = stand_in().await;
    let home = home(&graph, "submission = \"draft\"\nblind = \"property\"");
    let mut relay = Relay::start(&home);
    graph.inject(Fault {
        delay: std::time::Duration::from_millis(300),
        ..Fault::usual(Station::Patch)
    });
    graph.inject(Fault {
        delay: PATIENCE,
        ..Fault::usual(Station::Submit)
    });

    let content = message("long", "a@example.org");
    send_one(&relay, &["a@example.org", "b@example.org"], &content);
    let is_sending = |it: &RequestRecord| it.kind == RequestKind::Submit;
    relay.wait_until(|| graph.requests().iter().any(is_sending));
    relay.kill();

    let filled = number(&home, "draft_since - begun_running");
    assert!(filled >= 300, "{filled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_4_an_unavailable_mailbox_does_not_mean_that_its_draft_is_gone() {
    for code in ["MailboxNotEnabledForRESTAPI", ""] {
        let graph = stand_in().await;
        let home = home(&graph, "submission = \"draft\"");
        let mut relay = Relay::start(&home);
        graph.inject(Fault {
            stored: Some(true),
            delay: PATIENCE,
            ..Fault::usual(Station::Submit)
        });
        let id = send(&relay, "away");
        relay.wait_until(|| graph.arrivals().len() == 1);
        relay.kill();
        let spool = rusqlite::Connection::open(home.path("data/spool.db")).unwrap();
        let long_ago = "UPDATE entry SET draft_since = draft_since - 3600000";
        assert_eq!(spool.execute(long_ago, []).unwrap(), 1);
        drop(spool);
        graph.inject(Fault {
            code: Some(code.to_owned()),
            body: code.is_empty().then(|| "<html>".to_owned()),
            ..Fault::at(Station::Look, 404)
        });

        let relay = Relay::start(&home);

        relay.event("delivered", |line| line["id"] == *id);
        assert_eq!(arrivals(&graph)["away"], 1, "{code}");
    }
}

/// A port whose queue of connections is full, so that no connection succeeds.
async fn black_hole() -> (std::net::SocketAddr, Vec<tokio::net::TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = Box::leak(Box::new(socket.listen(0).unwrap()));
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    let patience = std::time::Duration::from_millis(500);
    let connect = || tokio::time::timeout(patience, tokio::net::TcpStream::connect(address));
    while let Ok(connected) = connect().await {
        held.push(connected.unwrap());
    }
    (address, held)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_connection_an_attempt_is_never_doubtful() {
    let graph = stand_in().await;
    let (black_hole, _held) = black_hole().await;
    // The machine accepts connections for it, and never sends anything.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = silent.local_addr().unwrap();
    for (url, word) in [
        (format!("http://{black_hole}"), "deferred"),
        (format!("https://{mute}"), "deferred"),
        // There is a connection here, so the outcome is unknown.
        (format!("http://{mute}"), "held"),
    ] {
        let keys = format!("on_doubt = \"hold\"\ngraph_url = \"{url}\"");
        let home = Home::with(&graph)
            .account(MAILBOX, &keys)
            // On a busy machine the token may come too late for the first attempt.
            .sections("[http]\ntimeout = \"500ms\"\n[delivery]\nretry = [\"50ms\"]")
            .build();
        let relay = Relay::start(&home);

        send(&relay, "x");

        let place = url.split("//").last().unwrap_or_default();
        let is_of_graph = |line: &serde_json::Value| {
            let reason = line["reason"].as_str().unwrap_or_default();
            ["deferred", "held", "doubtful"]
                .iter()
                .any(|it| line["event"] == *it)
                && reason.contains(place)
        };
        relay.wait_until(|| relay.all().iter().any(is_of_graph));
        let line = relay.all().into_iter().find(is_of_graph).unwrap();
        assert_eq!(line["event"], word, "{url}: {line}");
    }
}
