//! `pause` and `resume`, with the real binary: nothing that is paused is sent, also after a
//! restart, everybody who looks sees it, and no message fails because of it.

use std::process::Output;
use std::time::Duration;

use graph_relay::clock::Clock;
use graph_relay::clock::Timestamp;
use graph_relay::mail::Address;
use graph_relay::spool::AttemptReport;
use graph_relay::spool::Next;
use graph_relay::spool::Pause;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Station;
use rustix::process::geteuid;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::entries;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_many;
use crate::common::send_one;
use crate::common::shown;
use crate::common::stand_in;
use crate::common::stored::damage_leaf;

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn one(relay: &Relay, subject: &str) -> String {
    send_one(
        relay,
        &["a@example.org"],
        &message(subject, "a@example.org"),
    )
}

fn pause(mailbox: Option<Address>, clock: &Clock) -> Pause {
    Pause {
        mailbox,
        since: clock.now(),
        uid: 0,
        reason: None,
        by_relay: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_delivery_accepts_mail_and_sends_none_until_it_is_resumed() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);

    let paused = run(&home, &["pause", "--reason", "maintenance"]);

    let words = "all delivery is paused: no message waits for it now; mail is still accepted. \
                 To go on: graph-relay resume\n";
    assert_eq!(said(&paused), words);
    let logged = relay.event("paused", |_| true);
    assert_eq!(logged["uid"], geteuid().as_raw());
    assert_eq!(logged["reason"], "maintenance");
    let ids = send_many(&relay, "m", 3);
    relay.kill();
    let relay = Relay::start(&home);
    relay.event("paused", |line| line["since"].is_string());
    let show = stdout(&run(&home, &["queue", "show", &ids[0]]));
    assert!(
        show.contains("all delivery has been paused since "),
        "{show}"
    );
    let list = stdout(&run(&home, &["queue", "list"]));
    assert!(list.contains("  paused  relay@"), "{list}");
    let retried = run(&home, &["queue", "retry", &ids[1]]);
    let remark = "waiting again: all delivery is paused; to go on: graph-relay resume";
    assert_eq!(stdout(&retried), format!("{}  {remark}\n", ids[1]));
    let status = run(&home, &["status"]);
    assert!(
        said(&status).contains(" (maintenance); run: graph-relay resume"),
        "{}",
        said(&status)
    );
    assert_eq!(status.status.code(), Some(1));
    assert!(graph.arrivals().is_empty());
    assert!(ids.iter().all(|id| shown(&home, id)["attempts"] == 0));

    let resumed = run(&home, &["resume"]);

    assert_eq!(said(&resumed), "all delivery is resumed: 3 messages wait\n");
    arrived(&graph, 3).await;
    relay.event("resumed", |_| true);
    relay.wait_until(|| {
        ids.iter()
            .all(|id| shown(&home, id)["state"] == "delivered")
    });
    assert_eq!(run(&home, &["status"]).status.code(), Some(0));
    let again = run(&home, &["resume"]);
    assert_eq!(said(&again), "nothing to do: it is not paused\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_mailbox_waits_alone_and_the_attempt_under_way_finishes() {
    let graph = stand_in().await;
    let home = Home::with(&graph).account("from", "").build();
    let relay = Relay::start(&home);
    graph.inject(Fault {
        delay: Duration::from_secs(1),
        ..Fault::usual(Station::Send)
    });
    let under_way = one(&relay, "under-way");
    // Its attempt has begun, and may be over on a busy machine.
    relay.wait_until(|| shown(&home, &under_way)["attempts"] == 1);

    let upper = MAILBOX.to_uppercase();
    let paused = run(&home, &["pause", "--mailbox", &upper]);

    let remedy = format!("To go on: graph-relay resume --mailbox {MAILBOX}\n");
    assert!(said(&paused).ends_with(&remedy), "{}", said(&paused));
    let waits = one(&relay, "waits");
    let other = {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");
        let content = message("other", "a@example.org").replace(MAILBOX, OTHER);
        smtp.send(OTHER, &["a@example.org"], content.as_bytes());
        "other"
    };
    let seen = arrived(&graph, 2).await;
    let mut subjects: Vec<_> = seen.iter().map(|it| it.subject.as_str()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, [other, "under-way"]);
    assert_eq!(shown(&home, &waits)["waits"]["pause"]["mailbox"], MAILBOX);
    let whole = run(&home, &["resume"]);
    assert!(said(&whole).contains(&remedy), "{}", said(&whole));
    assert_eq!(whole.status.code(), Some(1));

    assert!(
        run(&home, &["resume", "--mailbox", MAILBOX])
            .status
            .success()
    );

    assert_eq!(arrived(&graph, 3).await[2].subject, "waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_delivery_is_paused_while_the_record_of_pauses_is_unreadable() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);
    let paused = run(&home, &["pause", "--mailbox", OTHER]);
    assert!(paused.status.success(), "{}", said(&paused));
    assert!(relay.stop().success());
    damage_leaf(&home, "ordered", 0);

    let mut relay = Relay::start(&home);

    let logged = relay.event("paused", |_| true);
    assert_eq!(logged["level"], "ERROR");
    assert_eq!(logged["remedy"], "graph-relay resume");
    let first = one(&relay, "first");
    let show = stdout(&run(&home, &["queue", "show", &first]));
    let words = " by the relay (what was paused before cannot be read from the spool: ";
    assert!(show.contains(words), "{show}");
    let status = run(&home, &["status"]);
    assert!(said(&status).contains(words), "{}", said(&status));
    assert_eq!(status.status.code(), Some(1));
    assert!(graph.arrivals().is_empty());
    let resumed = run(&home, &["resume"]);
    let words = "the next start pauses delivery again";
    assert!(said(&resumed).contains(words), "{}", said(&resumed));
    assert_eq!(arrived(&graph, 1).await[0].subject, "first");
    relay.wait_until(|| shown(&home, &first)["state"] == "delivered");
    assert!(relay.stop().success());

    let salvaged = run(&home, &["spool", "salvage"]);

    let words = "What was paused could not be read, so all delivery is paused";
    assert!(said(&salvaged).contains(words), "{}", said(&salvaged));
    assert_eq!(salvaged.status.code(), Some(1));
    let mut relay = Relay::start(&home);
    let second = one(&relay, "second");
    let paused = &shown(&home, &second)["waits"]["pause"];
    assert_eq!(paused["reason"], "salvaged: what was paused before is lost");
    assert!(run(&home, &["resume"]).status.success());
    assert_eq!(arrived(&graph, 2).await[1].subject, "second");
    relay.wait_until(|| shown(&home, &second)["state"] == "delivered");
    assert!(relay.stop().success());
    let _relay = Relay::start(&home);
    assert_eq!(run(&home, &["status"]).status.code(), Some(0));
}

/// Another mailbox of the stand-in's tenant.
const OTHER: &str = "reports@sandbox.example";

/// Trouble since 10 s, all delivery paused from 20 s to 50 s, the mailbox from 30 s to 70 s.
#[tokio::test(start_paused = true)]
async fn paused_time_does_not_count_towards_expiry_and_counts_once_where_pauses_overlap() {
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Clock::starting_at(Timestamp::from_millis(1_000_000));
    let (spool, _) = entries::open(folder.path(), clock.clone());
    let begin = spool.running();
    let second = |n: u32| begin + Duration::from_secs(n.into());
    let pause = |mailbox| pause(mailbox, &clock);
    let mailbox = entries::destination().mailbox;
    entries::accept(&spool, b"m").await;
    tokio::time::advance(Duration::from_secs(10)).await;
    let claimed = entries::claim(&spool).await.remove(0);
    let report = AttemptReport {
        trouble_since: Some(second(10)),
        ..entries::report(Next::Wait(second(20)))
    };
    spool.settle(&claimed, report).await.unwrap();
    tokio::time::advance(Duration::from_secs(10)).await;

    spool.pause(pause(None)).await.unwrap();
    assert!(entries::claim(&spool).await.is_empty());
    tokio::time::advance(Duration::from_secs(10)).await;
    spool.pause(pause(Some(mailbox.clone()))).await.unwrap();
    tokio::time::advance(Duration::from_secs(20)).await;
    spool.resume(None).await.unwrap();
    assert!(entries::claim(&spool).await.is_empty());
    tokio::time::advance(Duration::from_secs(20)).await;
    spool.resume(Some(&mailbox)).await.unwrap();

    // 70 s have passed, 50 s of them in a pause, and 10 s before there was trouble.
    let claimed = entries::claim(&spool).await.remove(0);
    assert_eq!(claimed.trouble_since, Some(second(60)));
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_oldest_unpaused_message_begins_when_it_is_resumed() {
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Clock::starting_at(Timestamp::from_millis(1_000_000));
    let (spool, _) = entries::open(folder.path(), clock.clone());
    let pause = |mailbox| pause(mailbox, &clock);
    let ages = async || {
        tokio::time::advance(Duration::from_secs(1)).await;
        let overview = spool.overview().await.unwrap();
        (overview.oldest_waiting_ms, overview.oldest_unpaused_ms)
    };
    let mailbox = entries::destination().mailbox;
    entries::accept(&spool, b"m").await;

    assert_eq!(ages().await, (Some(1000), Some(1000)));
    let other: Address = "other@contoso.com".parse().unwrap();
    spool.pause(pause(Some(other))).await.unwrap();
    assert_eq!(ages().await, (Some(2000), Some(2000)));
    spool.pause(pause(Some(mailbox.clone()))).await.unwrap();
    assert_eq!(ages().await, (Some(3000), None));
    spool.pause(pause(None)).await.unwrap();
    assert_eq!(ages().await, (Some(4000), None));
    spool.resume(Some(&mailbox)).await.unwrap();
    assert_eq!(ages().await, (Some(5000), None));
    spool.resume(None).await.unwrap();
    assert_eq!(ages().await, (Some(6000), Some(1000)));
    // No mail of this one waits.
    let third: Address = "third@contoso.com".parse().unwrap();
    spool.pause(pause(Some(third.clone()))).await.unwrap();
    spool.resume(Some(&third)).await.unwrap();
    assert_eq!(ages().await, (Some(7000), Some(2000)));
}
