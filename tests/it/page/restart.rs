//! Restarts that somebody orders on the page: how they end, and what is known afterwards.

use std::net::TcpListener;

use super::client::Browser;
use super::setup::save;
use super::with_page;
use crate::common::Relay;
use crate::common::stand_in;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_fails_says_why_and_what_to_do_and_is_not_called_done() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let button = "form=\"begin-restart\"";
    assert!(!browser.get("/").body.contains(button));
    // Somebody else has the address: the file is good, but the relay cannot start with it.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    home.append(&format!("[[listener]]\naddress = \"{address}\""));

    // As soon as the file differs, every page of an administrator has the button.
    relay.wait_until(|| browser.get("/").body.contains(button));
    assert!(browser.get("/setup").body.contains(button));
    let mut operator = Browser::logged_in_as(&relay, &home, "operator");
    assert!(!operator.get("/").body.contains(button));
    assert_eq!(browser.change("/setup/restart", &[]).status, 200);
    let shown = browser.get("/setup/restart").body;

    assert!(shown.contains("The restart has failed"), "{shown}");
    assert!(shown.contains(&address.to_string()), "{shown}");
    assert!(shown.contains("What to do:"), "{shown}");
    assert!(shown.contains("the last restart failed"), "{shown}");
    let mut results = Vec::new();
    relay.wait_until(|| {
        let list = browser.get("/audit.jsonl?q=%22restart%22").body;
        let entries = list.lines().map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            (text("action"), text("result"), text("reason"))
        });
        results = entries.filter(|(action, ..)| action == "restart").collect();
        results.len() == 2
    });
    assert_eq!(results[0].1, "failed");
    assert!(results[0].2.contains(&address.to_string()), "{results:?}");
    assert_eq!(results[1].1, "begun");

    // The address is free: the same button helps.
    drop(taken);
    assert_eq!(browser.change("/setup/restart", &[]).status, 200);
    let shown = browser.get("/setup/restart").body;
    assert!(shown.contains("The relay has restarted"), "{shown}");
    assert!(!shown.contains(button), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_says_after_the_restart_that_it_is_in_force() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let answer = save(&mut browser, &graph, &[("expires", "2031-05-01")]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let path = answer.header("location").to_owned();
    let shown = browser.get(&path).body;
    let button = "<button class=\"primary\">Restart the relay now</button>";
    assert!(shown.contains(button), "{shown}");

    browser.change("/setup/restart", &[]);
    browser.get("/setup/restart");

    let shown = browser.get(&path).body;
    assert!(shown.contains("Saved and in force"), "{shown}");
    assert!(shown.contains("client_secret_expires"), "{shown}");
    assert!(!shown.contains(button), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_log_section_is_left_to_a_restart_of_the_service() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let button = "form=\"begin-restart\"";
    home.change("level = \"debug\"", "level = \"info\"");
    home.append("[received]\nclient = \"hidden\"");
    relay.wait_until(|| browser.get("/").body.contains(button));

    assert_eq!(browser.change("/setup/restart", &[]).status, 200);
    let shown = browser.get("/setup/restart").body;

    assert!(shown.contains("The relay has restarted"), "{shown}");
    assert!(!shown.contains("as it is now"), "{shown}");
    assert!(shown.contains("It does not use all of relay.toml yet"));
    let left = "differs from the running configuration ([log]); the log settings";
    assert!(shown.contains(left), "{shown}");
    let command = "systemctl restart graph-relay.service";
    assert!(shown.contains(command), "{shown}");
    assert!(!shown.contains(button), "{shown}");
}
