//! What Graph answered to each attempt: on the page, and by the commands.

use super::client::Browser;
use super::with_page;
use crate::common::Relay;
use crate::common::message;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;

/// Graph answers every message to it with 429 and `Retry-After: 3600`.
const THROTTLED: &str = "quota@example.org";

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_shows_status_code_both_ids_and_for_how_long_graph_asked_to_wait() {
    let graph = stand_in().await;
    let quiet = "[delivery]\nretry = [\"1h\"]\n[failure]\nnotify = \"off\"";
    let home = with_page(&graph).sections(quiet).build();
    let relay = Relay::start(&home);
    let id = send_one(&relay, &[THROTTLED], &message("wait", THROTTLED));
    let deferred = recorded(&relay, &home, "deferred", |line| line["id"] == *id);
    let show = |json: &[&str]| said(&run(&home, &[&["queue", "show", &id], json].concat()));
    let mut browser = Browser::logged_in(&relay, &home);

    let page = browser.get(&format!("/messages/{id}")).body;
    let timeline = page.split_once("id=\"timeline\"").unwrap().1;
    let detail = |name: &str, value: &str| format!("{name}: <span class=\"mono\">{value}</span>");
    let of_log = |key: &str| deferred[key].as_str().unwrap().to_owned();
    for words in [
        "Microsoft asked to wait 60 minutes.".to_owned(),
        detail("HTTP", "429"),
        detail("code", "ErrorSubmissionQuotaExceeded"),
        detail("Retry-After", "3600 s"),
        detail("request-id", &of_log("request_id")),
        detail("client-request-id", &of_log("client_request_id")),
    ] {
        assert!(timeline.contains(&words), "{words}: {timeline}");
    }
    // Only attributes have moments as RFC 3339 writes them, also where a sentence has one.
    assert!(page.contains("The next attempt is in "), "{page}");
    for text in page.split('>').filter_map(|it| it.split('<').next()) {
        let shape = text.replace(|c: char| c.is_ascii_digit(), "0");
        assert!(!shape.contains("0000-00-00T00:00"), "{text}");
    }
    browser.language = "de";
    let german = browser.get(&format!("/messages/{id}")).body;
    let words = "Microsoft bat um eine Wartezeit von 60 Minuten.";
    assert!(german.contains(words), "{german}");

    let shown: serde_json::Value = serde_json::from_str(&show(&["--json"])).unwrap();
    assert_eq!(shown["timeline"][0]["retry_after_seconds"], 3600);
    let in_words = "HTTP 429 ErrorSubmissionQuotaExceeded, asked to wait 60 minutes";
    assert!(show(&[]).contains(in_words), "{}", show(&[]));
    for command in ["trace", "history"] {
        let text = Some(&*id).filter(|_| command == "trace");
        let options: Vec<&str> = [command].into_iter().chain(text).collect();
        let json = said(&run(&home, &[&options[..], &["--json"]].concat()));
        let row: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(row["retry_after_seconds"], 3600, "{json}");
        let words = said(&run(&home, &options));
        assert!(
            words.contains("Microsoft asked to wait 60 minutes."),
            "{words}"
        );
    }
}
