//! For which problems alerts are sent, and how they are grouped.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Station;

use super::Receiver;
use crate::common::Credential;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::message;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::succeeds;

fn to(relay: &Relay, address: &str) -> String {
    send_one(relay, &[address], &message("m", address))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_one_alert_and_what_follows_from_it_is_none() {
    let graph = stand_in().await;
    let receiver = Receiver::start().await;
    let alert = receiver.alert("mail_waits_after = \"1s\"");
    let refused = Fault {
        code: Some("invalid_client".to_owned()),
        message: Some("AADSTS7000222: The provided client secret keys are expired.".to_owned()),
        times: u32::MAX,
        ..Fault::at(Station::Token, 401)
    };
    graph.inject(refused);
    let relay = Home::with(&graph).sections(&alert).start();

    to(&relay, "a@example.org");
    let began = receiver.began(&relay, "no_token");
    assert!(
        began["remedy"].as_str().unwrap().contains("secret"),
        "{began}"
    );
    let status = |relay: &Relay| {
        let waits = relay.events("deferred");
        waits.len() > 1
    };
    relay.wait_until(|| status(&relay));
    graph.clear_faults();
    relay.event("delivered", |_| true);
    receiver.ended(&relay, "no_token");

    assert_eq!(receiver.count("began", "no_token"), 1);
    for consequence in ["mail_waits", "delivery_refused"] {
        assert_eq!(receiver.count("began", consequence), 0, "{consequence}");
        assert_eq!(receiver.count("ended", consequence), 0, "{consequence}");
    }
    assert_eq!(receiver.alerts().len(), 2, "{:#?}", receiver.alerts());
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_waits_for_long_is_reported_when_nothing_else_explains_it() {
    let graph = stand_in().await;
    let receiver = Receiver::start().await;
    let alert = receiver.alert("mail_waits_after = \"1s\"");
    graph.inject(Fault {
        times: u32::MAX,
        ..Fault::at(Station::Send, 503)
    });
    let relay = Home::with(&graph)
        .sections(&alert)
        .delivery("retry = [\"200ms\"]")
        .start();

    to(&relay, "a@example.org");
    let began = receiver.began(&relay, "mail_waits");
    graph.clear_faults();
    receiver.ended(&relay, "mail_waits");

    let sentence = began["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("a message has waited for "),
        "{sentence}"
    );
    assert_eq!(receiver.alerts().len(), 2, "{:#?}", receiver.alerts());
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_and_held_messages_are_reported() {
    let graph = stand_in().await;
    let receiver = Receiver::start().await;
    let sections = receiver.alert("") + "[failure]\nnotify = \"off\"\n";
    let home = Home::with(&graph)
        .sections(&sections)
        .delivery("retry = [\"1h\"]")
        .build();
    let relay = Relay::start(&home);

    let failed = to(&relay, "invalid@example.org");
    let began = receiver.began(&relay, "message_failed");
    let detail = began["detail"].as_str().unwrap();
    assert!(
        detail.starts_with(&format!("the last one is {failed}: ")),
        "{detail}"
    );
    let held = to(&relay, "sendas@example.org");
    recorded(&relay, &home, "deferred", |line| line["id"] == *held);
    succeeds(&home, &["queue", "hold", &held]);
    let began = receiver.began(&relay, "message_held");
    assert_eq!(began["sentence"], "1 message is held");
    // It is shown for a day.
    assert!(said(&run(&home, &["status"])).contains("messages have failed"));
    succeeds(&home, &["queue", "drop", &held]);
    receiver.ended(&relay, "message_held");
    assert_eq!(receiver.count("ended", "message_failed"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_must_sign_in_and_a_secret_that_expires_are_one_alert() {
    let graph = stand_in().await;
    let receiver = Receiver::start().await;
    let relay = Home::with(&graph)
        .sections(&receiver.alert(""))
        .account_by(&Credential::Delegated, MAILBOX, "")
        .account(
            "other@sandbox.example",
            "client_secret_expires = 2020-01-01",
        )
        .start();

    let sign_in = receiver.began(&relay, "sign_in_needed");
    receiver.began(&relay, "credential_expires");

    assert_eq!(sign_in["subject"], MAILBOX);
    assert_eq!(sign_in["command"], format!("graph-relay login {MAILBOX}"));
    let alerts = receiver.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    let text = alerts[0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("graph-relay on relay.test.example: 2 problems\n- "),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_reported_and_an_alert_gets_only_its_events() {
    let graph = stand_in().await;
    let (disk, pause) = (Receiver::start().await, Receiver::start().await);
    let sections = disk.alert("on = [\"disk_full\"]") + &pause.alert("on = [\"delivery_paused\"]");
    let home = Home::with(&graph)
        .sections(&sections)
        .limits("free_space = \"900000 GB\"")
        .build();
    let relay = Relay::start(&home);

    succeeds(&home, &["pause"]);
    disk.began(&relay, "disk_full");
    pause.began(&relay, "delivery_paused");

    assert_eq!(disk.count("began", "delivery_paused"), 0);
    assert_eq!(pause.count("began", "disk_full"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_examines_itself_and_reports_a_failure_that_it_finds() {
    let graph = stand_in().await;
    let receiver = Receiver::start().await;
    let sections = receiver.alert("") + "[doctor]\nevery = \"1s\"\n";
    let home = Home::with(&graph).sections(&sections).build();
    let relay = Relay::start(&home);
    relay.event("doctor", |line| line["failures"] == 0);
    let data = home.path("data");

    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let began = receiver.began(&relay, "doctor");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    receiver.ended(&relay, "doctor");

    let sentence = began["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("doctor found a failure ") && sentence.contains(" ago: files: "),
        "{sentence}"
    );
    assert!(began["remedy"].as_str().unwrap().starts_with("chmod 700 "));
    let status = said(&run(&home, &["status", "--json"]));
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert!(status["checkup"]["ok"].as_u64() > Some(3), "{status}");
    relay.event("doctor_failure", |line| line["check"] == "files");
    assert!(graph.arrivals().is_empty());
    assert!(graph.drafts().is_empty());
}
