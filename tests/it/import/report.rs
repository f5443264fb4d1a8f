//! `import report`.

use super::Sample;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::message;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_is_ticked_off_as_soon_as_its_first_mail_has_come_in() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = Relay::start(&home);
    let sample = Sample::of("report");
    sample.change("report.csv", "MAILBOX", MAILBOX);
    let config = home.config.to_str().unwrap();
    let run = |more: &[&str]| {
        let arguments = [&["report", "report.csv", "--config", config], more].concat();
        sample.import(&arguments)
    };

    let before = said(&run(&[]));
    send_one(&relay, &["a@example.org"], &message("one", "a@example.org"));
    let after = said(&run(&[]));

    assert!(before.contains("0 of 2 senders"), "{before}");
    assert!(
        before.contains(&format!("[ ] {MAILBOX}, 1203 messages in the report")),
        "{before}"
    );
    assert!(after.contains("1 of 2 senders"), "{after}");
    assert!(
        after.contains(&format!("[x] {MAILBOX}")) && after.contains("from 127.0.0.1"),
        "{after}"
    );
    assert!(
        after.contains("[ ] erp@contoso.com") && after.contains("TLS 1.0 (percentage): 100"),
        "{after}"
    );
    let json = String::from_utf8(run(&["--json"]).stdout).unwrap();
    let rows: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    assert!(
        rows[0]["seen_at"].is_string() && rows[1]["seen_at"].is_null(),
        "{json}"
    );
}

#[test]
fn a_report_in_another_language_is_listed_with_a_notice_about_its_columns() {
    let sample = Sample::of("report");
    let german = "Absenderadresse,Gesendete Nachrichten\nerp@contoso.com,17\n";
    sample.write("report.csv", german);
    sample.write("relay.toml", "data_dir = \"no-such-folder\"\n");

    let output = sample.import(&["report", "report.csv", "--config", "relay.toml"]);

    let notice = String::from_utf8(output.stderr.clone()).unwrap();
    let columns = "The columns are \"Absenderadresse\", \"Gesendete Nachrichten\"";
    assert!(
        notice.contains("report.csv: no column is called"),
        "{notice}"
    );
    assert!(
        notice.contains(columns) && notice.contains("to English"),
        "{notice}"
    );
    let text = said(&output);
    assert!(text.contains("[ ] erp@contoso.com"), "{text}");
    assert!(text.contains("Gesendete Nachrichten: 17"), "{text}");
}

#[test]
fn without_a_relay_the_list_is_shown_and_nothing_is_ticked_off() {
    let sample = Sample::of("report");
    sample.change("report.csv", "MAILBOX", MAILBOX);
    sample.write("relay.toml", "data_dir = \"no-such-folder\"\n");

    let output = sample.import(&["report", "report.csv", "--config", "relay.toml"]);

    let text = said(&output);
    assert!(
        text.contains("nothing is ticked off") && text.contains("[ ] erp@contoso.com"),
        "{text}"
    );
}
