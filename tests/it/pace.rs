//! Rate limits of one mailbox, measured at the stand-in: never exceeded, never left
//! unused while mail waits, and fair to other mailboxes.

use std::time::Duration;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::run;
use crate::common::said;
use crate::common::send_many;
use crate::common::stand_in;
use crate::common::stand_in_with;

fn home(graph: &Sandbox, pace: &str) -> Home {
    let pace = format!("[account.rate_limits]\n{pace}");
    Home::with(graph).account(MAILBOX, &pace).build()
}

/// Waits until the relay logs that this limit holds mail back.
fn paced(relay: &Relay, limit: &str) {
    let line = relay.event("rate_limited", |_| true);
    assert_eq!(
        (&line["limit"], &line["mailbox"]),
        (&limit.into(), &MAILBOX.into())
    );
}

/// All waiting mail of one mailbox is sent, with at most four requests at once.
async fn a_backlog_goes(count: usize) {
    let graph = stand_in_with(Settings {
        keep_messages: 20_000,
        ..Settings::default()
    })
    .await;
    // Nothing is sent while it accumulates: Entra is down.
    graph.inject(Fault {
        times: u32::MAX,
        ..Fault::at_token(503)
    });
    let home = home(&graph, "");
    let relay = Relay::start(&home);
    std::thread::scope(|scope| {
        for part in 0..50 {
            let relay = &relay;
            scope.spawn(move || send_many(relay, &format!("m{part}-"), count / 50));
        }
    });
    drop(relay);
    graph.clear_faults();
    // Long enough that requests overlap.
    graph.inject(Fault {
        times: u32::MAX,
        delay: Duration::from_millis(5),
        ..Fault::usual(Station::Send)
    });

    let begun = std::time::Instant::now();
    let _relay = Relay::start(&home);
    tokio::time::timeout(Duration::from_secs(300), graph.arrived(count))
        .await
        .unwrap();

    println!("{count} messages of one mailbox in {:?}", begun.elapsed());
    assert_eq!(graph.peak_concurrency(MAILBOX), 4);
    assert_eq!(graph.totals().arrivals, count as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_waiting_messages_use_four_requests_at_once() {
    a_backlog_goes(500).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: thousands of messages"]
async fn thousands_of_waiting_messages_use_four_requests_at_once() {
    // More than these would exceed the limits of a mailbox and a day.
    a_backlog_goes(4000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rate_limit_holds_is_named_and_survives_a_restart() {
    for (limit, value) in [
        ("messages_per_minute", "3"),
        ("requests_per_10_minutes", "3"),
        // Slightly less than four of these messages need.
        ("upload_per_5_minutes", "\"6 kB\""),
        ("recipients_per_day", "3"),
    ] {
        let graph = stand_in().await;
        let home = home(&graph, &format!("{limit} = {value}"));
        let mut relay = Relay::start(&home);
        send_many(&relay, "m", 12);
        paced(&relay, limit);
        relay.wait_until(|| relay.delivered() >= 3);
        assert!(relay.stop().success());
        let before = graph.totals().arrivals;
        assert!(before < 12, "{limit}: {before} arrived");

        let mut relay = Relay::start(&home);
        paced(&relay, limit);
        assert!(relay.stop().success());

        let now = graph.totals().arrivals;
        let more = if limit.starts_with("upload") { 2 } else { 0 };
        assert!(now <= before + more, "{limit}: {before}, then {now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_of_a_throttled_mailbox_is_reduced_and_restored() {
    let graph = stand_in().await;
    graph.inject(Fault {
        retry_after: Some("1".to_owned()),
        ..Fault::at_send(429)
    });
    let relay = Relay::start(&home(&graph, ""));
    send_many(&relay, "m", 60);

    let narrowed = relay.event("concurrency_reduced", |_| true);
    let widened = relay.event("concurrency_restored", |_| true);
    arrived(&graph, 60).await;

    assert_eq!(
        (&narrowed["at_once"], &widened["at_once"]),
        (&2.into(), &4.into())
    );
    assert_eq!(relay.events("concurrency_reduced").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_one_mailbox_does_not_delay_two_hundred_others() {
    let mailbox = |n: usize| format!("box{n}@sandbox.example");
    let mut mailboxes: Vec<String> = (0..200).map(mailbox).collect();
    mailboxes.push(MAILBOX.to_owned());
    let graph = stand_in_with(Settings {
        mailboxes,
        ..Settings::default()
    })
    .await;
    let home = Home::with(&graph).account("from", "").build();
    let relay = Relay::start(&home);
    // Nothing leaves before everything waits.
    assert!(run(&home, &["pause"]).status.success());
    send_many(&relay, "backlog", 400);
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    for n in 0..200 {
        let content = format!("From: {}\r\nTo: a@example.org\r\n\r\nx\r\n", mailbox(n));
        smtp.send(&mailbox(n), &["a@example.org"], content.as_bytes());
    }

    assert!(run(&home, &["resume"]).status.success());

    let arrivals = arrived(&graph, 600).await;

    let single = |n| arrivals.iter().filter(|a| a.mailbox == mailbox(n)).count();
    assert!((0..200).all(|n| single(n) == 1));
    assert!(graph.peak_concurrency(MAILBOX) <= 4);
    // In the order of acceptance, the last of them would be number 599.
    let last = arrivals.iter().rposition(|a| a.mailbox != MAILBOX).unwrap();
    assert!(last < 400, "the last of 200 was number {last} of 600");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_gets_no_answers_does_not_hold_up_another() {
    let (hole, other) = (stand_in().await, stand_in().await);
    hole.inject(Fault {
        times: u32::MAX,
        delay: Duration::from_secs(3600),
        ..Fault::usual(Station::Send)
    });
    let relay = Home::with(&hole)
        .account(
            "reports@sandbox.example",
            "senders = [\"reports@sandbox.example\"]",
        )
        .of(&other)
        .account(MAILBOX, "")
        .delivery("workers = 4")
        .start();
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let content = b"From: reports@sandbox.example\r\nTo: a@example.org\r\n\r\nx\r\n";
    for _ in 0..20 {
        smtp.send("reports@sandbox.example", &["a@example.org"], content);
    }
    relay.wait_until(|| hole.peak_concurrency("reports@sandbox.example") == 3);

    send_many(&relay, "m", 20);

    arrived(&other, 20).await;
    assert_eq!(hole.peak_concurrency("reports@sandbox.example"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_a_mailbox_at_its_daily_limit_and_when_it_ends() {
    let graph = stand_in().await;
    let home = home(&graph, "recipients_per_day = 1");
    let relay = Relay::start(&home);
    send_many(&relay, "m", 3);
    arrived(&graph, 1).await;
    paced(&relay, "recipients_per_day");

    let status = run(&home, &["status"]);
    assert_eq!(status.status.code(), Some(1));
    let text = said(&status);
    assert!(text.contains("has reached recipients_per_day"), "{text}");
    assert!(
        text.contains("recipients_per_day reached, mail waits until"),
        "{text}"
    );
    let listed = said(&run(&home, &["queue", "list"]));
    let limited = listed.matches("(recipients_per_day)").count();
    assert_eq!(limited, 2, "{listed}");
    assert!(listed.contains("rate-limited until "), "{listed}");
    assert!(!listed.contains("  due  "), "{listed}");
    let client = reqwest::Client::builder()
        .unix_socket(home.path("data/admin.sock"))
        .build()
        .unwrap();
    let metrics = client.get("http://relay/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("\ngraphrelay_daily_limited_mailboxes 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\ngraphrelay_seconds_since_last_delivery "),
        "{metrics}"
    );
    let doctor = said(&run(&home, &["doctor"]));
    assert!(
        doctor.contains("has reached recipients_per_day"),
        "{doctor}"
    );
}
