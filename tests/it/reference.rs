//! The pages of the book that are made from the code (`docs/generator/`), and those held equal to
//! it: they say what the relay says, and leave out nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;

use graph_relay::admin::ApiError;
use reqwest::Method;
use serde_json::Value;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::binary;
use crate::common::message;
use crate::common::send_one;
use crate::common::stand_in;
use crate::page::ON as PAGE;

#[path = "../../docs/generator/pages/mod.rs"]
pub(crate) mod generated;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A page of the reference, as mdBook gets it.
fn page(name: &str) -> String {
    let path = format!("{ROOT}/docs/src/reference/{name}.md");
    generated::filled(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Markdown as a person reads it: without escapes, the marks of code and the targets of links.
fn read(text: &str) -> String {
    let mut pieces = text.split("](");
    let mut words = pieces.next().unwrap().to_owned();
    for piece in pieces {
        words.push_str(piece.split_once(')').unwrap().1);
    }
    words.replace(['\\', '[', ']', '`'], "")
}

#[test]
fn the_page_of_a_code_has_the_words_of_explain() {
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    for family in generated::codes() {
        pages.extend(family.below.into_iter().map(|page| (page.path, page.text)));
    }

    let output = binary().args(["explain", "--json"]).output().unwrap();

    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let entry: BTreeMap<String, Option<String>> = serde_json::from_str(line).unwrap();
        let code = entry["code"].as_ref().unwrap();
        let page = read(
            &pages
                .remove(&format!("fails/{}.md", code.replace(' ', "-")))
                .unwrap(),
        );
        for (label, text) in [
            ("# ", "code"),
            ("Cause:** ", "cause"),
            ("Remedy:** ", "remedy"),
        ] {
            let expected = format!("{label}{}\n", entry[text].as_ref().unwrap());
            assert!(page.contains(&read(&expected)), "{expected}{page}");
        }
        match &entry["place"] {
            Some(place) => assert!(page.contains(&read(place)), "{place}\n{page}"),
            None => assert!(!page.contains("Place"), "{page}"),
        }
    }
    assert!(pages.is_empty(), "{:?}", pages.keys());
}

#[test]
fn pages_of_codes_have_titles_and_names_that_differ_on_every_file_system() {
    let mut names = BTreeSet::new();
    for family in generated::codes() {
        for page in family.below.iter().chain([&family]) {
            assert!(read(&page.text).starts_with(&format!("# {}\n", page.title)));
            assert!(names.insert(page.path.to_lowercase()), "{}", page.path);
        }
    }
    assert!(names.len() > 200, "{}", names.len());
}

#[test]
fn every_command_of_the_help_is_in_the_reference() {
    let help = fs::read_to_string(format!("{ROOT}/tests/snapshots/help.snap")).unwrap();
    let page = page("commands");
    let mut count = 0;
    for line in help.lines() {
        let Some(command) = line.strip_prefix("$ ") else {
            continue;
        };
        let command = command.trim_end_matches(" --help");
        assert!(page.contains(&format!("\n## {command}\n")), "{command}");
        count += 1;
    }
    assert_eq!(count, page.matches("\n## graph-relay").count());
}

#[test]
fn every_key_and_section_of_relay_toml_is_in_the_reference() {
    let page = page("relay-toml");
    let shown = read(&page);
    let file = fs::read_to_string(format!("{ROOT}/relay.toml")).unwrap();
    let is_setting = |line: &&str| toml::from_str::<toml::Table>(line).is_ok();
    let lines = file.lines().map(|line| line.trim_start_matches(['#', ' ']));
    let mut count = 0;
    for line in lines.filter(|line| !line.is_empty()).filter(is_setting) {
        assert!(shown.contains(&read(line)), "{line}");
        count += 1;
    }
    assert!(count > 100, "{count}");
    // Words too: the first and the last comment.
    assert!(shown.contains("The name of this relay in its SMTP greeting"));
    assert!(shown.contains("one object per line"));
}

/// The events of the page: level and fields of each way in which one is logged.
fn events(page: &str) -> BTreeMap<String, Vec<(String, BTreeSet<String>)>> {
    let sections = page.split("\n## ").filter(|it| it.contains("\n- **"));
    let event = |section: &str| {
        let name = section.split(" {#").next().unwrap().to_owned();
        let lines = section.lines().filter_map(|line| line.strip_prefix("- **"));
        let lines = lines.map(|line| {
            let level = line.split(":**").next().unwrap();
            let (_, fields) = line.rsplit_once(" Fields: ").unwrap_or_default();
            let fields = fields.split('`').skip(1).step_by(2);
            (level.to_uppercase(), fields.map(str::to_owned).collect())
        });
        (name, lines.collect())
    };
    sections.map(event).collect()
}

#[test]
fn events_that_a_relay_logs_are_in_the_reference_with_level_and_fields() {
    const OF_EVERY_LINE: [&str; 4] = ["event", "level", "message", "timestamp"];
    let page = page("log-events");
    let events = events(&page);
    assert!(events.len() > 60, "{:?}", events.keys());

    // What outside.rs saw in a running relay.
    let seen = fs::read_to_string(format!("{ROOT}/tests/snapshots/log-events.snap")).unwrap();
    let (mut event, mut level, mut count) = ("", "", 0);
    for line in seen.splitn(3, "---\n").nth(2).unwrap().lines() {
        match line.len() - line.trim_start().len() {
            0 => event = line,
            2 => level = line.trim().split(' ').next().unwrap(),
            // What a library says.
            _ if event == "(none)" => {}
            _ => {
                let fields: BTreeSet<String> = line.split_whitespace().map(str::to_owned).collect();
                let is_it = |(of, known): &(String, BTreeSet<String>)| {
                    let mut fields = fields.iter().filter(|it| !OF_EVERY_LINE.contains(&&***it));
                    of == level && fields.all(|field| known.contains(field))
                };
                assert!(
                    events[event].iter().any(is_it),
                    "{event} {level} {fields:?}"
                );
                count += 1;
            }
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn every_field_of_a_log_event_is_explained() {
    let page = page("log-events");
    let used: BTreeSet<String> = events(&page)
        .into_values()
        .flatten()
        .flat_map(|(_, fields)| fields)
        .collect();

    let (_, table) = page.split_once("\n## Fields\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let explained = rows.flat_map(|row| {
        let names = row.split(" | ").next().unwrap();
        names.split(['`', ',', ' ']).filter(|name| !name.is_empty())
    });
    let explained: BTreeSet<String> = explained.map(str::to_owned).collect();

    assert_eq!(explained, used);
}

#[test]
fn every_request_that_the_admin_socket_answers_is_in_the_reference_and_no_other() {
    let mut routes = BTreeSet::new();
    let folders = [
        "src/admin",
        "src/admin/configuration",
        "src/admin/devices",
        "src/admin/identity",
        "src/admin/monitoring",
        "src/admin/queue",
    ];
    let entries = folders.map(|folder| fs::read_dir(format!("{ROOT}/{folder}")).unwrap());
    for entry in entries.into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        for route in text.split(".route(\"").skip(1) {
            let (path, rest) = route.split_once("\", ").unwrap();
            let method = rest.split('(').next().unwrap().to_uppercase();
            let path = path.replace("{id}", "ID").replace("{number}", "NUMBER");
            routes.insert(format!("{method} {path}"));
        }
    }

    let page = page("admin-api");
    let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
    let headings: BTreeSet<String> = headings.map(str::to_owned).collect();

    assert!(routes.len() > 10, "{routes:?}");
    assert_eq!(headings, routes);
}

/// What a line with curl asks for: method, path and body.
fn asked(line: &str) -> (Method, String, Option<String>) {
    let quoted = |text: &str| text.split('\'').nth(1).map(str::to_owned);
    let (_, path) = line.split_once("http://relay").unwrap();
    let path = path.split(['\'', ' ']).next().unwrap().to_owned();
    let body = line
        .split_once("--json ")
        .and_then(|(_, rest)| quoted(rest));
    let is_post = body.is_some() || line.contains("-X POST");
    let method = if is_post { Method::POST } else { Method::GET };
    (method, path, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_the_reference_are_answered_with_the_fields_that_it_shows() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(PAGE).build();
    let relay = Relay::start(&home);
    let id = send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    relay.connect().say("GET / HTTP/1.1");
    relay.event("session", |_| true);
    relay.event("delivered", |_| true);
    let client = reqwest::Client::builder().unix_socket(home.path("data/admin.sock"));
    let client = client.build().unwrap();

    let (mut answered, mut refused, mut compared) = (0, 0, 0);
    let page = page("admin-api");
    let blocks: Vec<&str> = page.split("```").skip(1).step_by(2).collect();
    for (at, block) in blocks.iter().enumerate() {
        let Some(line) = block.strip_prefix("sh\nsudo curl ") else {
            continue;
        };
        let line = line.replace("NUMBER", "1").replace("ID", &id);
        let line = line.replace("you@contoso.com", MAILBOX);
        let (method, path, body) = asked(&line);
        let mut request = client.request(method, format!("http://relay{path}"));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        if !status.is_success() {
            // Understood, and refused for a reason: this account signs in as the app.
            let error: ApiError = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{line}{status} {text:?}: {error}"));
            assert!(path.starts_with("/sign-"), "{line}{error:?}");
            refused += 1;
            continue;
        }
        answered += 1;
        let shown = blocks.get(at + 1).and_then(|it| it.strip_prefix("json\n"));
        let given: Value = serde_json::from_str(&text).unwrap();
        if let Some(shown) = shown.filter(|_| given.is_object()) {
            let shown = serde_json::from_str(shown).unwrap();
            assert_eq!(fields(&shown), fields(&given), "{line}");
            compared += 1;
        }
    }
    assert_eq!((answered, refused, compared), (18, 3, 12));
}

/// The names of an object's fields.
fn fields(value: &Value) -> BTreeSet<String> {
    let object = value.as_object().unwrap();
    object.keys().cloned().collect()
}
