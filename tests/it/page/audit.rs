//! The audit list: what is in it, who sees it, and what is never in it.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Station;

use super::ON;
use super::client::Browser;
use super::with_page;
use crate::common::Credential;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::binary;
use crate::common::message;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::stand_in_with;
use crate::sign_in::settings;

/// The entries of the list, the newest first.
fn entries(browser: &mut Browser, query: &str) -> Vec<serde_json::Value> {
    let answer = browser.get(&format!("/audit.jsonl?q={query}"));
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-disposition");
    assert_eq!(kind, "attachment; filename=\"audit.jsonl\"");
    let lines = answer.body.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// An entry in short: user, action, result.
fn short(entry: &serde_json::Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap().to_owned();
    [text("user"), text("action"), text("result")].join(", ")
}

#[tokio::test(flavor = "multi_thread")]
async fn log_ins_changes_and_commands_are_in_the_audit_list() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut operator = Browser::logged_in_as(&relay, &home, "operator");
    let mut viewer = Browser::logged_in_as(&relay, &home, "viewer");
    let mut administrator = Browser::logged_in(&relay, &home);
    let id = send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    recorded(&relay, &home, "delivered", |line| line["id"] == *id);
    let action = [("action", "retry"), ("id", &*id)];
    operator.change("/messages/actions", &action);
    // A question changes nothing yet.
    operator.change("/messages/actions", &[("action", "drop"), ("id", &*id)]);
    assert_eq!(viewer.change("/messages/actions", &action).status, 403);
    viewer.change("/log-out", &[]);
    let output = run(&home, &["pause", "--reason", "a test"]);
    assert!(output.status.success(), "{}", said(&output));

    let all = entries(&mut administrator, "");

    let newest: Vec<String> = all.iter().take(4).map(short).collect();
    let me = match rustix::process::geteuid().as_raw() {
        0 => "root".to_owned(),
        uid => format!("user ID {uid}"),
    };
    let command = format!("{me}, pause, done");
    assert_eq!(
        newest,
        [
            command.as_str(),
            "link, log out, done",
            "link, change messages, refused",
            "link, retry, refused"
        ]
    );
    assert_eq!(all[3]["about"], *id);
    // It was delivered already.
    assert_ne!(all[3]["reason"].as_str().unwrap_or_default(), "");
    assert_eq!(all[3]["role"], "operator");
    assert_eq!(all[3]["client"], "127.0.0.1");
    assert!(all[0]["about"].as_str().unwrap().contains("reason: a test"));
    let log_ins = entries(&mut administrator, "%22log%20in%22%20done");
    assert_eq!(log_ins.len(), 3);
    relay.event("audit", |line| {
        line["action"] == "retry" && line["result"] == "refused"
    });
    // Nothing is lost by a restart.
    drop(relay);
    let relay = Relay::start(&home);
    let mut administrator = Browser::logged_in(&relay, &home);
    assert_eq!(entries(&mut administrator, "retry").len(), 1);
    let page = administrator.get("/audit?q=retry");
    assert!(page.body.contains(&*id), "{}", page.body);
    assert!(
        administrator
            .get("/audit?q=nobody")
            .body
            .contains("No entry matches.")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_changed_nothing_are_refused_in_the_list_with_the_reason() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let unknown = "01M8QX9M718C8Z8HZQF1FYFFTF";
    let id = send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    relay.event("delivered", |line| line["id"] == *id);
    for command in [
        &["queue", "hold", unknown][..],
        &["queue", "retry", &*id],
        &["queue", "resend", unknown],
        &["queue", "resend", &*id],
        &["alert-test"],
    ] {
        let output = run(&home, command);
        assert!(!output.status.success(), "{}", said(&output));
    }

    let all = entries(&mut browser, "");

    let me = &all[0]["user"];
    for (entry, action) in all
        .iter()
        .zip(["test alerts", "resend", "resend", "retry", "hold"])
    {
        assert_eq!(&entry["user"], me);
        assert_eq!(entry["action"], action);
        assert_eq!(entry["result"], "refused", "{entry}");
        assert_ne!(entry["reason"].as_str().unwrap_or_default(), "", "{entry}");
    }
    assert!(all[1]["about"].as_str().unwrap().contains(&*id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_and_a_resume_that_change_nothing_are_refused_in_the_list() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    for command in ["resume", "pause", "pause", "resume"] {
        run(&home, &[command]);
    }
    relay.wait_until(|| relay.events("audit").len() >= 4);
    let results = relay.events("audit").iter().map(short).collect::<Vec<_>>();
    let me = results[0].split(',').next().unwrap();
    let expected = [
        "resume, refused",
        "pause, done",
        "pause, refused",
        "resume, done",
    ];
    assert_eq!(results, expected.map(|it| format!("{me}, {it}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_client_hangs_up_goes_to_its_end_and_is_in_the_list() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    graph.inject(Fault {
        delay: Duration::from_secs(1),
        ..Fault::usual(Station::Send)
    });
    let body = "{\"to\": \"a@example.org\"}";
    let mut client = UnixStream::connect(home.path("data/admin.sock")).unwrap();
    write!(
        client,
        "POST /test-messages HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    relay.wait_until(|| {
        let requests = graph.requests();
        requests.iter().any(|it| it.path.ends_with("/sendMail"))
    });
    drop(client);

    let entry = relay.event("audit", |_| true);
    assert_eq!(entry["action"], "send test message", "{entry}");
    assert_eq!(entry["result"], "done", "{entry}");
    assert_eq!(graph.arrivals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_somebody_ends_is_refused_in_the_list_and_waits_no_longer() {
    let graph = stand_in_with(settings()).await;
    let home = Home::with(&graph)
        .account_by(&Credential::Delegated, MAILBOX, "")
        .build();
    let relay = Relay::start(&home);
    let mut login = binary();
    login.args(["login", MAILBOX, "--device", "--config"]);
    login.arg(&home.config);
    let quiet = login.stdout(Stdio::null()).stderr(Stdio::null());
    let mut login = quiet.spawn().unwrap();
    relay.wait_until(|| {
        let requests = graph.requests();
        let mut grants = requests.iter().filter_map(|it| it.grant.as_deref());
        grants.any(|grant| grant.ends_with("device_code"))
    });
    login.kill().unwrap();
    login.wait().unwrap();

    let entry = relay.event("audit", |line| line["result"] != "begun");
    assert_eq!(entry["action"], "connect mailbox", "{entry}");
    assert_eq!(entry["result"], "refused", "{entry}");
    let reason = entry["reason"].as_str().unwrap();
    assert!(reason.contains("before the user had signed in"), "{entry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_see_the_audit_list() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    for role in ["viewer", "operator"] {
        let mut browser = Browser::logged_in_as(&relay, &home, role);
        for path in ["/audit", "/audit.jsonl"] {
            let answer = browser.get(path);
            assert_eq!(answer.status, 403, "{role} {path}");
            assert!(
                answer.body.contains("Only an administrator"),
                "{}",
                answer.body
            );
        }
    }
    let mut browser = Browser::logged_in(&relay, &home);
    assert_eq!(browser.get("/audit").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_log_ins_are_in_the_audit_list_without_what_was_typed() {
    let graph = stand_in().await;
    let hash = "$argon2id$v=19$m=64,t=1,p=1$Y2FuYXJ5LW9mLXRlc3RzIQ$\
        V/92VkIC5wRQnE7B7skPtj0/7FXaDLQPYeTL4opKYlg";
    let admin = format!("{ON}\npassword_hash = \"{hash}\"");
    let home = Home::with(&graph).sections(&admin).build();
    let relay = Relay::start(&home);
    let mut stranger = Browser::at(&relay);
    stranger.post("/log-in", &[("password", "my-other-password")]);
    stranger.post("/log-in", &[("link", "a-wrong-link")]);
    let mut browser = Browser::logged_in(&relay, &home);
    let token = browser.get("/").field("csrf");

    let wrong = entries(&mut browser, "refused");

    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert_eq!(wrong[1]["reason"], "wrong password");
    assert_eq!(wrong[1]["user"], "(not logged in)");
    let folder = home.path("data").join("audit");
    let kept = std::fs::read_to_string(folder.join("list.jsonl")).unwrap();
    for secret in ["my-other-password", "a-wrong-link", &token] {
        assert!(!kept.contains(secret), "{kept}");
    }
    for value in browser.cookies.values() {
        assert!(!kept.contains(value), "{kept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_says_in_words_what_was_changed_and_what_came_of_it() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    browser.change("/test", &[("to", "anna@contoso.com")]);
    browser.change("/test", &[("to", "anna at contoso")]);
    let device = [("name", "printer"), ("senders", "relay@sandbox.example")];
    assert_eq!(browser.change("/devices/add", &device).status, 200);
    assert_eq!(browser.change("/devices/add", &device).status, 422);
    browser.change("/doctor/check", &[]);
    browser.change("/setup", &[("tenant", "contoso.com")]);

    let all = entries(&mut browser, "");

    let about = |entry: &serde_json::Value| {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        [text("action"), text("about"), text("result")].join(", ")
    };
    let newest: Vec<String> = all.iter().take(6).map(about).collect();
    assert_eq!(
        newest,
        [
            "change set-up, , refused",
            "doctor, , begun",
            "add device, printer, refused",
            "add device, printer, done",
            "send test message, anna at contoso, refused",
            "send test message, anna@contoso.com, done",
        ]
    );
    let reason = |at: usize| all[at]["reason"].as_str().unwrap_or_default();
    assert!(reason(2).contains("choose another name"), "{all:?}");
    assert_eq!(reason(4), "not an address");
    assert!(reason(5).starts_with("queued as "), "{all:?}");

    browser.language = "de";
    let page = browser.get("/audit?q=hinzuf%C3%BCgen%20abgelehnt").body;
    assert!(page.contains("Gerät hinzufügen"), "{page}");
    assert!(page.contains("choose another name"), "{page}");
    assert!(!page.contains("erledigt</span>"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_says_in_english_why_a_german_visitor_was_refused() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    browser.language = "de";

    let device = browser.change("/devices/add", &[("name", ""), ("senders", "")]);
    let set_up = browser.change("/setup", &[("tenant", "contoso")]);

    assert_eq!((device.status, set_up.status), (422, 422));
    assert!(
        device.body.contains("Geben Sie einen Namen"),
        "{}",
        device.body
    );
    assert!(
        set_up.body.contains("relay.toml wurde inzwischen"),
        "{}",
        set_up.body
    );
    let all = entries(&mut browser, "");
    let reason = |at: usize| all[at]["reason"].as_str().unwrap_or_default();
    assert!(
        reason(0).contains("changed by somebody else meanwhile"),
        "{all:?}"
    );
    assert!(!reason(0).contains("Bitte"), "{all:?}");
    assert!(reason(1).contains("a name and at least one"), "{all:?}");
}
