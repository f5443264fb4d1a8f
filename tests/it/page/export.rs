//! The list as a file.

use super::client::Answer;
use super::client::Browser;
use super::with_page;
use crate::common::Relay;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;

/// The body of an answer that is sent in chunks (RFC 9112 7.1).
fn unchunked(answer: &Answer) -> String {
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    let (mut rest, mut body) = (answer.body.as_bytes(), Vec::new());
    loop {
        let end = rest.windows(2).position(|it| it == b"\r\n").unwrap();
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return String::from_utf8(body).unwrap();
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_exported_as_csv_and_json_lines_with_its_filter() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    for subject in ["=1+1", "Offer, \"88\"", "plain"] {
        let id = send_one(
            &relay,
            &["a@example.org"],
            &message(subject, "a@example.org"),
        );
        relay.event("delivered", |line| line["id"] == *id);
    }
    let many: Vec<String> = (0..400).map(|n| format!("r{n}@example.org")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for _ in 0..2 {
        let id = send_one(&relay, &many, &message("many", "a@example.org"));
        relay.event("delivered", |line| line["id"] == *id);
    }
    let mut browser = Browser::logged_in_as(&relay, &home, "viewer");
    let list = browser.get("/messages?to=a%40example.org").body;
    let link = "/messages/export.csv?to=a%40example%2Eorg";
    assert!(list.contains(&format!("href=\"{link}\"")), "{list}");

    let csv = browser.get(link);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let name = "attachment; filename=\"messages.csv\"";
    assert_eq!(csv.header("content-disposition"), name);
    let csv = unchunked(&csv);
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert!(lines[0].starts_with("\u{feff}received_at,state,"), "{csv}");
    assert_eq!(lines.len(), 1 + 3 + 1, "{csv}");
    assert!(csv.contains(",\"'=1+1\","), "{csv}");
    assert!(csv.contains(",\"Offer, \"\"88\"\"\","), "{csv}");
    assert!(lines[1].contains(",plain,"), "newest first: {csv}");

    let json = unchunked(&browser.get("/messages/export.jsonl?q=many"));
    assert_eq!(json.lines().count(), 800);
    let printed = said(&run(&home, &["history", "--json", "--limit", "803"]));
    let printed: Vec<&str> = printed.lines().collect();
    for (exported, printed) in json.lines().zip(printed) {
        assert_eq!(exported, printed);
    }
    assert_eq!(browser.get("/messages/export.csv?newer=soon").status, 400);
    relay.event("page_action", |line| line["action"] == "export_csv");
}
