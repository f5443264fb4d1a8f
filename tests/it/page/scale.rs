//! How long the pages take where the history is long.

use std::time::Duration;
use std::time::Instant;

use super::client::Browser;
use super::with_page;
use crate::common::Relay;
use crate::common::load::assert_bounded;
use crate::common::stand_in;
use crate::long_history::MESSAGES;
use crate::long_history::fill;
use crate::long_history::id;

/// How often each page is asked for.
const TIMES: usize = 15;

/// Twice a tenth of a second: this build is not optimised, and the machine may be busy.
const LONGEST: Duration = Duration::from_millis(200);

/// The median time of each page, in a history of this length.
async fn times(messages: u64) -> Vec<(String, Duration)> {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    assert!(Relay::start(&home).stop().success());
    fill(&home.path("data"), messages);
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let one = format!("/messages/{}", id(77));
    let pages = [
        "/",
        "/messages",
        "/messages?state=delivered",
        "/messages?q=customer77%40example.org",
        "/messages?to=customer77%40example.org",
        "/messages?state=failed",
        &one,
    ];
    let mut medians = Vec::new();
    for path in pages {
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..TIMES {
            let begun = Instant::now();
            assert_eq!(browser.get(path).status, 200, "{path}");
            times.push(begun.elapsed());
        }
        times.sort();
        println!("{path:40} {:?}", times[TIMES / 2]);
        medians.push((path.to_owned(), times[TIMES / 2]));
    }
    medians
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_answers_with_a_history() {
    times(2000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: 100,000 messages, and the time that each page takes"]
async fn pages_of_a_hundred_thousand_messages_take_a_moment() {
    for (path, median) in times(MESSAGES).await {
        assert!(median < LONGEST, "{path}: {median:?}");
    }
}

/// The peak of the relay's memory is read while the list goes out as a file.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: 100,000 messages, and the memory of their export"]
async fn a_hundred_thousand_messages_are_exported_in_bounded_memory() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    assert!(Relay::start(&home).stop().success());
    fill(&home.path("data"), MESSAGES);
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    for form in ["csv", "jsonl"] {
        let answer = browser.get(&format!("/messages/export.{form}"));
        let rows = answer.body.matches("Invoice ").count();
        assert!(rows >= usize::try_from(MESSAGES).unwrap(), "{form}: {rows}");
        assert_bounded(&relay, form);
    }
}
