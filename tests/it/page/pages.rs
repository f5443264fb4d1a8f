//! What the pages show, without any script.

use std::fs;

use graph_relay_sandbox::Sandbox;
use ring::digest;

use super::client::Browser;
use super::with_page;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::message;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;

/// Graph refuses every message to it.
const INVALID: &str = "invalid@example.org";
/// Every message to it is deferred, and no other waits for it.
const DEFERRED: &str = "sendas@example.org";

/// Nothing is tried twice by itself, and nothing is reported.
const QUIET: &str = "[delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"";

async fn quiet() -> (Sandbox, Home) {
    let graph = stand_in().await;
    let home = with_page(&graph).sections(QUIET).build();
    (graph, home)
}

fn send(relay: &Relay, home: &Home, to: &str, subject: &str, event: &str) -> String {
    let id = send_one(relay, &[to], &message(subject, to));
    recorded(relay, home, event, |line| line["id"] == *id);
    id
}

/// The number in a card of the overview.
fn figure(page: &str, id: &str) -> u64 {
    let (_, card) = page.split_once(&format!("id=\"{id}\"")).unwrap();
    let (_, figure) = card.split_once("<div class=\"figure\">").unwrap();
    figure.split('<').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_says_how_to_send_a_first_message_and_then_that_all_is_well() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    let page = browser.get("/").body;
    assert!(page.contains("No message has come in yet"), "{page}");
    let port = relay.address.port();
    let command = format!("swaks --server 127.0.0.1 --port {port} --from {MAILBOX}");
    assert!(page.contains(&command), "{page}");
    assert!(!page.contains("All is well"), "{page}");

    send(&relay, &home, "a@example.org", "first", "delivered");
    relay.wait_until(|| browser.get("/").body.contains("All is well"));
    let page = browser.get("/").body;
    assert!(!page.contains("No message has come in yet"), "{page}");
    assert!(page.contains(&format!(">{MAILBOX}</a>")), "{page}");
    assert!(
        page.contains("<span class=\"badge ok\">Ready to send</span>"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_counts_what_came_and_went() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    send(&relay, &home, "a@example.org", "one", "delivered");
    send(&relay, &home, INVALID, "two", "failed");
    send(&relay, &home, DEFERRED, "three", "deferred");
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect("MAIL FROM:<broken", "5");
    let mut browser = Browser::logged_in(&relay, &home);

    relay.wait_until(|| figure(&browser.get("/").body, "deferred") == 1);
    for span in ["hour", "day", "week"] {
        let page = browser.get(&format!("/?span={span}")).body;
        let counted = ["accepted", "delivered", "deferred", "failed", "waiting"];
        let counted = counted.map(|id| figure(&page, id));
        assert_eq!(counted, [3, 1, 1, 1, 1], "{span}");
        assert_eq!(page.matches("<svg").count(), 5);
        assert!(
            page.contains("aria-label=\"Accepted: 3, the highest bar is 3\""),
            "{page}"
        );
        assert!(!page.contains("and counts from then on"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_used_limits_survive_a_restart() {
    let (_graph, home) = quiet().await;
    let mut relay = Relay::start(&home);
    send(&relay, &home, "a@example.org", "one", "delivered");
    send(&relay, &home, INVALID, "two", "failed");
    send(&relay, &home, DEFERRED, "three", "deferred");
    assert!(relay.stop().success());

    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    relay.wait_until(|| figure(&browser.get("/").body, "accepted") == 3);

    let page = browser.get("/?span=hour").body;
    let counted = ["accepted", "delivered", "deferred", "failed"];
    assert_eq!(counted.map(|id| figure(&page, id)), [3, 1, 1, 1], "{page}");
    let status: serde_json::Value =
        serde_json::from_str(&said(&run(&home, &["status", "--json"]))).unwrap();
    let rates = &status["rates"][0];
    assert_eq!(rates["mailbox"], MAILBOX);
    assert_eq!(rates["recipients"], 1, "{rates}");
    let limit = rates["recipients_per_day"].as_u64().unwrap();
    assert!(rates["recipients_free_at"].is_string(), "{rates}");
    assert!(
        page.contains(&format!(
            "1 of {limit}<progress max=\"{limit}\" value=\"1\""
        )),
        "{page}"
    );
    let at_once = rates["requests_at_once"].as_u64().unwrap();
    assert!(
        page.contains(&format!("up to {at_once}<progress")),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_are_on_top_of_every_page_with_their_list() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    send(&relay, &home, INVALID, "two", "failed");
    let mut browser = Browser::logged_in(&relay, &home);

    for path in ["/", "/messages", "/messages?state=failed"] {
        relay.wait_until(|| {
            browser
                .get(path)
                .body
                .contains("href=\"/messages?state=failed\">Show")
        });
        let page = browser.get(path).body;
        let attention = page.split_once("<section id=\"attention\"").unwrap().1;
        let attention = attention.split_once("</section>").unwrap().0;
        assert!(attention.contains("ailed"), "{attention}");
        assert!(!attention.contains("All is well"), "{attention}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_green_only_while_status_finds_no_problem() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    send(&relay, &home, DEFERRED, "one", "deferred");
    let mut browser = Browser::logged_in(&relay, &home);
    assert!(browser.get("/").body.contains("All is well"));
    assert!(run(&home, &["status"]).status.success());

    let held = run(&home, &["queue", "hold", "--all", "--yes"]);
    assert!(held.status.success(), "{}", said(&held));

    relay.wait_until(|| {
        browser
            .get("/")
            .body
            .contains("href=\"/messages?state=held\"")
    });
    assert!(!browser.get("/").body.contains("All is well"));
    assert_eq!(run(&home, &["status"]).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_found_by_search_and_filters_that_are_in_the_address() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let delivered = send(&relay, &home, "Anna@example.org", "Offer-88", "delivered");
    let failed = send(&relay, &home, INVALID, "Other", "failed");
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    smtp.expect("MAIL FROM:<relay@sandbox.example> SIZE=99999999999", "552");
    let mut browser = Browser::logged_in(&relay, &home);
    let all_ended = "/messages?state=claimed";
    relay.wait_until(|| browser.get(all_ended).body.contains("No message matches"));
    let mut ids = |path: &str| -> (Vec<String>, usize) {
        let page = browser.get(path).body;
        let ids = page.split("<span class=\"sub mono\">").skip(1);
        let ids = ids.map(|rest| rest.split('<').next().unwrap().to_owned());
        (
            ids.collect(),
            page.matches("<tr>").count().saturating_sub(1),
        )
    };

    assert_eq!(ids("/messages").0, [failed.clone(), delivered.clone()]);
    assert_eq!(ids("/messages").1, 3, "accepted and refused together");
    for path in [
        "/messages?q=anna",
        "/messages?q=Offer-88",
        &format!("/messages?q={delivered}"),
        "/messages?state=delivered",
        "/messages?to=anna%40example.org&state=&newer=",
        "/messages?state=delivered&newer=1h&q=example.org",
    ] {
        assert_eq!(ids(path), (vec![delivered.clone()], 1), "{path}");
    }
    assert_eq!(ids("/messages?state=failed"), (vec![failed.clone()], 1));
    assert_eq!(ids("/messages?state=refused"), (vec![], 1));
    assert_eq!(ids("/messages?client=127.0.0.1").0.len(), 2);
    assert_eq!(ids("/messages?q=nobody"), (vec![], 0));

    let page = browser
        .get("/messages?q=anna&state=delivered&to=anna%40example.org")
        .body;
    assert!(page.contains("name=\"q\" value=\"anna\""), "{page}");
    assert!(
        page.contains("<option value=\"delivered\" selected>"),
        "{page}"
    );
    assert!(
        page.contains("href=\"/messages?q=anna&#38;state=delivered\">Without"),
        "{page}"
    );
    assert!(page.contains("Microsoft 365 accepted it from"), "{page}");
    let page = browser.get("/messages?newer=soon").body;
    assert!(page.contains("This filter cannot be used"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_has_pages() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let to: Vec<String> = (0..150).map(|n| format!("r{n:03}@example.org")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let id = send_one(&relay, &to, &message("many", "a@example.org"));
    relay.event("delivered", |line| line["id"] == *id);
    let mut browser = Browser::logged_in(&relay, &home);

    let first = browser.get("/messages?q=many").body;
    assert_eq!(first.matches("<tr>").count(), 1 + 100);
    let (_, older) = first
        .split_once("rel=\"next\"")
        .map(|(a, b)| (b, a))
        .unwrap();
    let older = older
        .rsplit_once("href=\"")
        .unwrap()
        .1
        .trim_end_matches(['"', ' ']);
    let older = older.replace("&#38;", "&");
    assert!(older.starts_with("/messages?q=many&after="), "{older}");
    let second = browser.get(&older).body;
    assert_eq!(second.matches("<tr>").count(), 1 + 50);
    assert!(!second.contains("rel=\"next\""), "{second}");
    assert!(
        second.contains("href=\"/messages?q=many\">Back to the newest"),
        "{second}"
    );
    assert!(
        !second.contains("data-live"),
        "only the newest update themselves"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_speaks_german_to_whoever_asks_for_it() {
    let (_graph, home) = quiet().await;
    let relay = Relay::start(&home);
    let mut browser = Browser::at(&relay);
    browser.language = "de-DE,de;q=0.9,en;q=0.5";

    assert!(browser.get("/log-in").body.contains("<h1>Anmelden</h1>"));
    let mut browser = Browser::logged_in(&relay, &home);
    browser.language = "de";
    assert!(
        browser
            .get("/messages")
            .body
            .contains("<h1>Nachrichten</h1>")
    );
    assert!(browser.get("/nothing").body.contains("Hier ist nichts"));
    let page = browser.get("/messages?q=x").body;
    let link = "/language/en?back=%2Fmessages%3Fq%3Dx";
    assert!(page.contains(link), "{page}");
    browser.get(link);
    assert!(browser.get("/messages").body.contains("<h1>Messages</h1>"));
}

#[test]
fn htmx_is_the_file_that_its_note_names() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/page/static/");
    let file = fs::read(format!("{folder}htmx.min.js")).unwrap();
    let note = fs::read_to_string(format!("{folder}README.md")).unwrap();
    let digest = digest::digest(&digest::SHA256, &file);
    let digest: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(note.contains(&digest), "{digest}");
    let version = note
        .split("htmx.org ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let text = String::from_utf8(file).unwrap();
    assert!(
        text.contains(&format!("version:\"{version}\"")),
        "{version}"
    );
}
