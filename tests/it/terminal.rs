//! What commands show on terminals of different widths, in a pipe, with and without colours, and
//! while they take long.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::process::Output;
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use unicode_width::UnicodeWidthChar;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::binary;
use crate::common::id_of;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;
use crate::common::terminal::Screen;
use crate::long_history;
use crate::outside::pin;

const LONG: &str =
    "the-archive-of-all-invoices-and-of-delivery-notes-too@a-long-name-of-a-department.example.org";
const SUBJECTS: [&str; 4] = [
    "Счёт № 4711 за техническое обслуживание оборудования в ноябре, с приложением",
    "請求書番号四七一一についてのお知らせと添付書類の確認のお願い、十一月分の保守点検",
    "🎉 The new printer works ☀\u{fe0f} 👨\u{200d}👩\u{200d}👧 and everybody is very happy about it 🎉🎉🎉",
    "a \u{1b}[31mred\u{1b}[0m subject that goes on and on and on and on and on and on and on",
];

/// A relay with a message that has failed, three that wait while delivery is paused, of which one
/// is held, and a client that was refused.
struct Shown {
    _graph: Sandbox,
    home: Home,
    _relay: Relay,
    ids: Vec<String>,
}

impl Shown {
    async fn new() -> Self {
        let graph = stand_in().await;
        let home = Home::with(&graph)
            .sections("[failure]\nnotify = \"off\"")
            .build();
        let relay = Relay::start(&home);
        graph.inject(Fault {
            code: Some("ErrorInvalidRecipients".to_owned()),
            ..Fault::at_send(400)
        });
        let mut ids = Vec::new();
        for (at, subject) in SUBJECTS.iter().enumerate() {
            ids.push(send(&relay, subject));
            if at == 0 {
                recorded(&relay, &home, "failed", |line| line["id"] == *ids[0]);
                let pause = [
                    "pause",
                    "--reason",
                    "the tenant is being moved to another one",
                ];
                assert!(run(&home, &pause).status.success());
            }
        }
        let hold = run(&home, &["queue", "hold", &ids[3]]);
        assert!(hold.status.success(), "{}", said(&hold));
        relay.connect().say("GET / HTTP/1.1");
        relay.event("session", |_| true);
        Self {
            _graph: graph,
            home,
            _relay: relay,
            ids,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        command(&self.home, arguments)
    }

    /// What a command shows on a terminal of this width.
    fn on_terminal(&self, columns: u16, arguments: &[&str]) -> String {
        let (_, text) = Screen::start(columns, self.command(arguments)).end();
        text
    }
}

fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = binary();
    command.args(arguments);
    if arguments[0] != "explain" {
        command.arg("--config").arg(&home.config);
    }
    command
}

fn send(relay: &Relay, subject: &str) -> String {
    let subject = BASE64_STANDARD.encode(subject);
    let content = format!(
        "From: App <{MAILBOX}>\r\nTo: {LONG}\r\nSubject: =?utf-8?B?{subject}?=\r\n\
         Message-ID: <1@app.example>\r\n\r\nHello\r\n"
    );
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    id_of(&smtp.send(MAILBOX, &[LONG], content.as_bytes()))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A text without its colours, and without the lines of progress that were erased.
fn plain(text: &str) -> String {
    let text = text.replace("\r\x1b[K", "\n");
    let mut pieces = text.split("\x1b[");
    let mut plain = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (numbers, rest) = piece.split_once('m').unwrap();
        let is_colour = |c: char| c.is_ascii_digit() || c == ';';
        assert!(numbers.chars().all(is_colour), "{piece:?}");
        plain.push_str(rest);
    }
    plain
}

fn width(line: &str) -> usize {
    line.chars().map(|c| c.width().unwrap_or(0)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_is_wider_than_the_terminal_and_no_id_is_cut() {
    let shown = Shown::new().await;
    let id = shown.ids[1].as_str();
    let commands: [(&[&str], usize); 14] = [
        (&["status"], 1),
        (&["queue", "list"], 4),
        (&["queue", "show", id], 1),
        (&["history"], 4),
        (&["trace", LONG], 4),
        (&["trace", "nobody@example.com"], 0),
        (&["accounts"], 0),
        (&["doctor"], 0),
        (&["check"], 0),
        (&["spool", "check"], 0),
        (&["sessions", "list"], 0),
        (&["sessions", "show", "1"], 0),
        (&["explain", "AADSTS7000215"], 0),
        (&["explain"], 0),
    ];
    for columns in [40, 80, 120] {
        for (arguments, ids) in commands {
            let text = plain(&shown.on_terminal(columns, arguments));
            assert!(!text.trim().is_empty(), "{arguments:?}");
            for line in text.lines() {
                // A URL is not broken, so that it can be copied.
                let fits = width(line) <= usize::from(columns) || line.contains("://");
                assert!(fits, "{columns}: {arguments:?}: {line:?}\n{text}");
                let is_obeyed = |c: char| c.is_control();
                assert!(!line.contains(is_obeyed), "{arguments:?}: {line:?}");
            }
            let found = shown.ids.iter().filter(|id| text.contains(id.as_str()));
            assert!(found.count() >= ids, "{columns}: {arguments:?}:\n{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_on_a_terminal_of_80_columns_are_unchanged() {
    let shown = Shown::new().await;
    let mut text = String::new();
    for arguments in [
        &["queue", "list"][..],
        &["history"],
        &["trace", "4711"],
        &["sessions", "list"],
    ] {
        let table = plain(&shown.on_terminal(80, arguments));
        text.push_str(&format!("$ graph-relay {}\n{table}\n", arguments.join(" ")));
    }
    let mut settings = insta::Settings::clone_current();
    for (pattern, instead) in [
        (r"(just now|\d+ seconds? ago) *", "[ago]  "),
        (r"\d\d:\d\d UTC", "[time] UTC"),
        (r"AGE +STATE", "AGE    STATE"),
        (r"(?m)[ \d]\ds  ", " [age]  "),
    ] {
        settings.add_filter(pattern, instead);
    }
    settings.bind(|| pin("tables", &text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_gets_every_row_in_one_line_and_in_full() {
    let shown = Shown::new().await;

    for arguments in [&["queue", "list"][..], &["history"]] {
        let text = stdout(&run(&shown.home, arguments));
        for (id, subject) in shown.ids.iter().zip(SUBJECTS).take(3) {
            let row = text.lines().find(|line| line.contains(id.as_str()));
            let row = row.unwrap_or_else(|| panic!("{text}"));
            assert!(row.contains(LONG) && row.contains(MAILBOX), "{row}");
            assert!(row.ends_with(subject), "{row}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_only_on_a_terminal_that_has_them_and_can_be_turned_off() {
    const RED: &str = "\x1b[1;31mfailed";
    let shown = Shown::new().await;
    let with = |name: &str, value: &str| {
        let mut command = shown.command(&["queue", "list"]);
        command.env(name, value);
        command
    };

    let usual = shown.on_terminal(80, &["queue", "list"]);
    assert!(usual.contains(RED), "{usual}");
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let (_, text) = Screen::start(80, with(name, value)).end();
        assert!(!text.contains('\u{1b}'), "{name}: {text}");
        assert!(text.contains(&shown.ids[0]), "{text}");
    }
    let forced = with("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(stdout(&forced).contains(RED));
    let refused = with("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output();
    assert!(!stdout(&refused.unwrap()).contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_list_shows_as_many_as_asked_for_and_says_how_many_there_are() {
    let shown = Shown::new().await;
    let list = |arguments: &[&str]| run(&shown.home, &[&["queue", "list"], arguments].concat());
    let rows = |output: &Output| {
        let text = stdout(output);
        let rows = shown.ids.iter().filter(|id| text.contains(id.as_str()));
        rows.cloned().collect::<Vec<_>>()
    };

    let two = list(&["--limit", "2"]);
    assert_eq!(rows(&two), shown.ids[..2]);
    let words = stderr(&two);
    assert!(
        words.starts_with("showing the 2 oldest of 4; ") && words.ends_with("--limit 4\n"),
        "{words}"
    );
    let none = list(&["--limit", "0"]);
    assert_eq!(stdout(&none), "");
    assert!(stderr(&none).starts_with("4 messages; "), "{none:?}");
    for all in [&[][..], &["--limit", "18446744073709551615"]] {
        let all = list(all);
        assert_eq!(rows(&all), shown.ids);
        assert!(stderr(&all).starts_with("4 messages; "), "{all:?}");
    }
    let held = list(&["--limit", "1", "--filter", "state=waiting"]);
    assert_eq!(rows(&held), shown.ids[1..2]);
    assert!(stderr(&held).starts_with("showing the 1 oldest of 2; "));
    let json = list(&["--limit", "3", "--json"]);
    assert_eq!(
        (stdout(&json).lines().count(), stderr(&json).as_str()),
        (3, "")
    );
    let refused = run(&shown.home, &["history", "--limit", "0"]);
    assert_eq!(refused.status.code(), Some(64));
}

/// A relay of the test's own, which answers when the test wants.
struct Slow {
    home: Home,
    socket: UnixListener,
}

impl Slow {
    fn new() -> Self {
        let home = Home::empty();
        let data = home.path("data");
        fs::create_dir(&data).unwrap();
        fs::write(&home.config, format!("data_dir = {data:?}\n")).unwrap();
        let socket = UnixListener::bind(data.join("admin.sock")).unwrap();
        Self { home, socket }
    }

    /// Waits for a request to this path.
    fn asked(&self, path: &str) -> UnixStream {
        let (mut client, _) = self.socket.accept().unwrap();
        let mut request = String::new();
        let mut bytes = [0; 4096];
        loop {
            let read = client.read(&mut bytes).unwrap();
            request.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
            let Some((head, body)) = request.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1);
            let length = length.map_or(0, |it| it.lines().next().unwrap().parse().unwrap());
            if body.len() >= length {
                break;
            }
        }
        assert!(request.contains(path), "{request}");
        client
    }
}

fn answer(mut client: UnixStream, json: &str) {
    let length = json.len();
    write!(
        client,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{json}"
    )
    .unwrap();
}

#[test]
fn a_search_that_takes_long_shows_its_progress_and_leaves_nothing_of_it() {
    let slow = Slow::new();
    let mut screen = Screen::start(80, command(&slow.home, &["history"]));
    let asked = slow.asked("GET /history");

    screen.wait_for("searching: ");
    answer(asked, "{\"rows\":[],\"next\":null}");

    let (code, text) = screen.end();
    let (_, after) = text.rsplit_once("\r\x1b[K").unwrap();
    assert_eq!(after, "no message was accepted or refused yet\n");
    assert_eq!(code, 0);
}

#[test]
fn ctrl_c_ends_a_long_order_after_a_slice_and_says_how_much_was_done() {
    let slow = Slow::new();
    let order = ["queue", "retry", "--all", "--yes"];
    let mut screen = Screen::start(80, command(&slow.home, &order));
    let count = slow.asked("GET /queue/count");
    answer(count, "{\"at\":1,\"states\":{\"waiting\":12345}}");
    let slice = slow.asked("POST /queue/actions");

    let child = rustix::process::Pid::from_child(&screen.child);
    rustix::process::kill_process(child, rustix::process::Signal::INT).unwrap();
    screen.wait_for("interrupted: waiting until the messages under way are done");
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let done = format!("{{\"id\":\"{id}\",\"verdict\":\"done\",\"remark\":null}}");
    answer(
        slice,
        &format!("{{\"decisions\":[{done}],\"next\":\"{id}\"}}"),
    );

    let (code, text) = screen.end();
    assert_eq!(code, 130, "{text}");
    assert!(
        text.contains("1 retried, 0 unchanged, 0 not retried\n"),
        "{text}"
    );
    assert!(
        text.contains("about 12,344 were left as they are"),
        "{text}"
    );
    assert!(!text.contains(id), "{text}");
}

#[test]
fn an_order_lists_the_first_twenty_remarks_and_counts_the_others() {
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let decision = format!("{{\"id\":\"{id}\",\"verdict\":\"done\",\"remark\":\"paused\"}}");
    let half = vec![decision; 15].join(",");
    let cases: [(&[&str], usize); 2] = [(&[], 20), (&["--json"], 30)];
    for (options, listed) in cases {
        let slow = Slow::new();
        let order = [&["queue", "retry", "--all", "--yes"], options].concat();
        let screen = Screen::start(80, command(&slow.home, &order));
        let count = "{\"at\":1,\"states\":{\"waiting\":30}}";
        answer(slow.asked("GET /queue/count"), count);
        for next in [format!("\"{id}\""), "null".to_owned()] {
            let slice = format!("{{\"decisions\":[{half}],\"next\":{next}}}");
            answer(slow.asked("POST /queue/actions"), &slice);
        }

        let (code, text) = screen.end();

        let lines = text.matches("paused").count();
        assert_eq!((code, lines), (0, listed), "{text}");
        assert_eq!(text.contains("and 10 more that"), listed == 20, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watched_status_comes_back_when_the_relay_does() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);
    let mut screen = Screen::start(80, command(&home, &["status", "--watch"]));
    screen.wait_for("listeners");

    relay.kill();
    screen.wait_for("the relay is not running");
    let _relay = Relay::start(&home);
    screen.said.clear();
    screen.wait_for("listeners");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_over_the_admin_socket_reports_its_steps_before_its_result() {
    let shown = Shown::new().await;
    let socket = shown.home.path("data/admin.sock");
    let client = reqwest::Client::builder().unix_socket(socket).build();

    let check = "http://relay/spool/check?steps=true";
    let answer = client.unwrap().post(check).send().await.unwrap();

    let text = answer.text().await.unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<serde_json::Value> = lines.collect();
    assert_eq!(lines[0]["step"]["phase"], "checking_database", "{text}");
    assert_eq!(lines[1]["step"]["of"], 4, "{text}");
    assert_eq!(lines.last().unwrap()["done"]["messages"], 4, "{text}");
}

/// The time that a command takes, and what it says.
fn timed(home: &Home, arguments: &[&str]) -> Output {
    let begun = Instant::now();
    let output = run(home, arguments);
    let (all, count) = (begun.elapsed(), stdout(&output).lines().count());
    println!("{:40} {count:6} lines, {all:?}", arguments.join(" "));
    assert!(output.status.success(), "{}", said(&output));
    output
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scale: 100,000 messages in the queue, and how long commands take"]
async fn a_queue_of_a_hundred_thousand_is_listed_searched_and_released_in_time() {
    const MESSAGES: u64 = 100_000;
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);
    assert!(relay.stop().success());
    long_history::fill(&home.path("data"), MESSAGES);
    let held = "UPDATE entry SET state = 'held', ended_at = NULL, ended_running = NULL";
    let db = rusqlite::Connection::open(home.path("data/spool.db")).unwrap();
    db.execute(held, []).unwrap();
    drop(db);
    let _relay = Relay::start(&home);

    for arguments in [
        &["queue", "list", "--limit", "0"][..],
        &["queue", "list", "--limit", "100"],
        &["queue", "list"],
        &["history"],
        &["history", "--limit", "500"],
        &["trace", "customer77@example.org"],
        &["trace", "no such text"],
        &["status", "--json"],
        &["spool", "check"],
    ] {
        if arguments == ["status", "--json"] {
            run(&home, arguments);
            continue;
        }
        if arguments == ["spool", "check"] {
            // These have no content.
            let begun = Instant::now();
            run(&home, arguments);
            println!("{:40} {:?}", arguments.join(" "), begun.elapsed());
            continue;
        }
        timed(&home, arguments);
    }
    let begun = Instant::now();
    let (_, text) = Screen::start(80, command(&home, &["queue", "list"])).end();
    println!("queue list on a terminal: {:?}", begun.elapsed());
    assert!(
        text.contains("showing the 100 oldest of 100,000; 100 MB"),
        "{text}"
    );
    assert!(run(&home, &["pause"]).status.success());
    let begun = Instant::now();
    let release = ["queue", "release", "--all", "--yes"];
    let (code, text) = Screen::start(80, command(&home, &release)).end();
    println!("queue release on a terminal: {:?}", begun.elapsed());
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("releasing: ") && text.contains("100000 released"),
        "{text}"
    );
}
