//! Every route of the page, tried as an attacker would: a new one is tried too, without a
//! line here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::ON;
use super::client::Browser;
use super::client::encoded;
use crate::common::Home;
use crate::common::Relay;
use crate::common::message;
use crate::common::send_one;
use crate::common::stand_in;

/// What needs neither a log-in nor the token of a session: it shows a secret of its own.
const OPEN: [&str; 4] = ["/log-in", "/log-in/done", "/connect", "/connect/done"];
/// What everybody may see.
const PUBLIC: [&str; 2] = ["/static/", "/language/"];
/// What a viewer may do.
const OF_VIEWERS: [&str; 1] = ["/log-out"];

/// The routes of the page with their methods, from its source.
fn routes() -> BTreeMap<String, Vec<&'static str>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
    let mut routes = BTreeMap::new();
    for text in sources(&folder) {
        for (at, _) in text.match_indices(".route(") {
            let rest = &text[at + ".route(".len()..];
            let (named, rest) = rest.split_once(',').unwrap();
            let path = path_of(named.trim(), &text);
            let end = rest.find(".route(").unwrap_or(rest.len()).min(200);
            let end = rest[..end].find(".with_state").unwrap_or(end);
            let handlers = rest[..end].split('}').next().unwrap();
            let methods = [("GET", " get("), ("POST", "change(")].into_iter();
            let methods = methods.filter(|(_, made_by)| handlers.contains(made_by));
            let methods: Vec<_> = methods.map(|(method, _)| method).collect();
            assert!(!methods.is_empty(), "{named}: {handlers}");
            routes.insert(path, methods);
        }
    }
    assert!(routes.len() > 12, "{routes:?}");
    routes
}

fn sources(folder: &Path) -> Vec<String> {
    let files = files(folder).into_iter();
    files.map(|(_, text)| text).collect()
}

/// The files with their modules and texts.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let module = match stem {
                "mod" => folder.file_name().unwrap().to_str().unwrap(),
                stem => stem,
            };
            texts.push((module.to_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
    texts
}

/// The path of a route: as written, or that of a constant.
fn path_of(named: &str, text: &str) -> String {
    let constant = named.rsplit("::").next().unwrap();
    match named.strip_prefix('"') {
        Some(path) => path.trim_end_matches('"').to_owned(),
        None => {
            let declared = format!("const {constant}: &str = \"");
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
            let module = named.strip_suffix(&format!("::{constant}"));
            let elsewhere = files(&folder).into_iter();
            let elsewhere = elsewhere.filter(|(name, _)| Some(name.as_str()) == module);
            let elsewhere = elsewhere.map(|(_, other)| other);
            let mut places = [text.to_owned()].into_iter().chain(elsewhere);
            let found = places.find_map(|text| {
                let (_, rest) = text.split_once(&declared)?;
                Some(rest.split('"').next()?.to_owned())
            });
            match (found, named) {
                (Some(path), _) => path,
                (None, "PATH") if text.contains("places::LOG_IN") => "/log-in".to_owned(),
                (None, _) => panic!("write the path of {named} where the route is"),
            }
        }
    }
}

/// A path with values for its parameters.
fn filled(path: &str, id: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{id}" => id,
        "{tag}" => "de",
        "{client}" => "127.0.0.1",
        part if part.starts_with('{') => "x",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

fn is_public(path: &str) -> bool {
    OPEN.contains(&path) || PUBLIC.iter().any(|folder| path.starts_with(folder))
}

/// A log-in, or the link for it.
fn is_log_in(entry: &str) -> bool {
    entry.contains("\"log in\"") || entry.contains("\"make log-in link\"")
}

struct Attacked {
    _graph: graph_relay_sandbox::Sandbox,
    home: Home,
    relay: Relay,
    id: String,
}

async fn attacked() -> Attacked {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(ON).build();
    let relay = Relay::start(&home);
    let id = send_one(&relay, &["a@example.org"], &message("a", "a@example.org"));
    relay.event("delivered", |line| line["id"] == *id);
    Attacked {
        _graph: graph,
        home,
        relay,
        id: id.to_string(),
    }
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

#[test]
fn every_route_that_changes_something_says_who_may_and_what_the_audit_list_calls_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The types ask for both: only this function makes such a route.
    let maker = fs::read_to_string(root.join("src/page/access/change.rs")).unwrap();
    assert!(maker.contains("action: AuditAction,"), "{maker}");
    for text in sources(&root.join("src/page")) {
        let is_maker = text == maker;
        assert!(is_maker || !text.contains("post("), "{text}");
        for method in [
            "routing::post",
            "routing::any",
            "routing::on",
            "routing::put",
        ] {
            assert!(is_maker || !text.contains(method), "{method}: {text}");
        }
    }
    // At the admin socket, a table has the words.
    let words = fs::read_to_string(root.join("src/admin/audit/socket.rs")).unwrap();
    for text in sources(&root.join("src/admin")) {
        for (at, _) in text.match_indices(", post(") {
            let (before, _) = text.split_at(at);
            let path = before.rsplit('"').nth(1).unwrap();
            let known = path.split('{').next().unwrap();
            assert!(words.contains(&format!("\"{known}\"")), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_needs_a_session_its_token_the_own_origin_and_a_known_host() {
    let Attacked {
        home, relay, id, ..
    } = &attacked().await;
    let mut browser = Browser::logged_in(relay, home);
    let mut stranger = Browser::at(relay);
    let mut guest = Browser::at(relay);
    let made_up = (guest.session_cookie(), "made-up".to_owned());
    let token = browser.get("/").field("csrf");
    let named = encoded(&[("csrf", &token), ("id", id), ("action", "retry")]);
    let own = format!("http://{}", browser.host);
    let (port, host) = (browser.address.port(), browser.host.clone());

    let routes = routes();
    let changes = routes.iter().filter(|(_, it)| it.contains(&"POST"));
    let mut tried = 0;
    for (route, _) in changes {
        let path = &filled(route, id);
        for origin in ["https://evil.example", "null", "http://localhost"] {
            let answer = browser.send("POST", path, &[("Origin", origin), FORM], &named);
            assert_eq!(answer.status, 403, "{path} from {origin}");
        }
        assert_eq!(
            browser.send("POST", path, &[FORM], &named).status,
            403,
            "{path}"
        );
        browser.host = format!("evil.example:{port}");
        let foreign = format!("http://{}", browser.host);
        let answer = browser.send("POST", path, &[("Origin", &foreign), FORM], &named);
        assert_eq!(answer.status, 421, "{path} by another name");
        browser.host.clone_from(&host);
        if OPEN.contains(&route.as_str()) {
            continue;
        }
        for body in ["", "csrf=x", "id=x&action=retry"] {
            let answer = browser.send("POST", path, &[("Origin", &own), FORM], body);
            assert_eq!(answer.status, 403, "{path} without the token");
        }
        guest.cookies.extend([made_up.clone()]);
        for (nobody, log_in) in [
            (&mut stranger, "/log-in"),
            (&mut guest, "/log-in?said=ended"),
        ] {
            let answer = nobody.send("POST", path, &[("Origin", &own), FORM], &named);
            let leads_to = (answer.status, answer.header("location"));
            assert_eq!(leads_to, (303, log_in), "{path} without a session");
        }
        tried += 1;
    }
    assert!(tried >= 4, "{tried}");
    let done = browser.get("/audit.jsonl?q=%22done%22").body;
    assert!(done.lines().all(is_log_in), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_changes_nothing_by_any_route() {
    let Attacked {
        home, relay, id, ..
    } = &attacked().await;
    let mut viewer = Browser::logged_in_as(relay, home, "viewer");

    let mut refused = 0;
    let routes = routes();
    for (route, _) in routes.iter().filter(|(_, it)| it.contains(&"POST")) {
        if OPEN.contains(&route.as_str()) || OF_VIEWERS.contains(&route.as_str()) {
            continue;
        }
        let form = [
            ("id", id.as_str()),
            ("action", "retry"),
            ("mailbox", "relay@sandbox.example"),
            ("account", "default"),
            ("confirmed", "1"),
        ];
        // Permission comes first: whoever has none learns nothing about the form.
        for form in [&form[..], &[], &[("id", "no such ID"), ("id", "twice")]] {
            let answer = viewer.change(&filled(route, id), form);
            assert_eq!(answer.status, 403, "{route}: {}", answer.body);
            refused += 1;
        }
    }
    let mut administrator = Browser::logged_in(relay, home);
    let done = administrator.get("/audit.jsonl?q=viewer%20%22done%22").body;
    assert!(done.lines().all(is_log_in), "{done}");
    // Every route says in words what it would have done.
    let entries = administrator
        .get("/audit.jsonl?q=viewer%20%22refused%22")
        .body;
    assert_eq!(entries.lines().count(), refused, "{entries}");
    for entry in entries.lines() {
        let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
        let action = entry["action"].as_str().unwrap();
        assert!(!action.is_empty() && !action.contains('/'), "{entry}");
        assert_eq!(entry["reason"], "the role does not permit it", "{entry}");
    }
    let shown = administrator.get("/audit?q=viewer%20%22refused%22").body;
    assert!(!shown.contains("lang=\"en\">change set-up"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_is_shown_without_a_log_in_or_by_another_name_and_none_shows_a_secret() {
    let Attacked {
        home, relay, id, ..
    } = &attacked().await;
    let mut browser = Browser::logged_in(relay, home);
    let mut stranger = Browser::at(relay);
    let cookie = browser.cookies[&browser.session_cookie()].clone();
    let secret = graph_relay_sandbox::Settings::default().client_secret;
    let secrets = [cookie.as_str(), secret.trim()];
    assert!(secrets.iter().all(|it| it.len() > 5), "{secrets:?}");
    let (port, host) = (browser.address.port(), browser.host.clone());

    for (route, methods) in routes() {
        let path = &filled(&route, id);
        if !methods.contains(&"GET") {
            let answer = browser.get(path);
            assert!(answer.status >= 400, "GET {path}: {}", answer.status);
            continue;
        }
        if !is_public(&route) {
            let answer = stranger.get(path);
            assert_eq!(answer.status, 303, "{path}");
            assert!(answer.header("location").starts_with("/log-in"), "{path}");
            assert_eq!(answer.body, "", "{path}");
        }
        browser.host = format!("evil.example:{port}");
        assert_eq!(browser.get(path).status, 421, "{path}");
        browser.host.clone_from(&host);
        let answer = browser.get(path);
        assert!(answer.status < 500, "{path}: {}", answer.body);
        for secret in secrets {
            assert!(!answer.body.contains(secret), "{path}: {}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_somebody_else_has_chosen_becomes_no_session() {
    let Attacked { home, relay, .. } = &attacked().await;
    let mut browser = Browser::at(relay);
    let planted = "planted-by-another-site";
    let name = browser.session_cookie();
    let planted_cookie = (name.clone(), planted.to_owned());
    browser.cookies.extend([planted_cookie.clone()]);
    let link = browser.get(&super::link(home)).field("link");

    assert_eq!(browser.post("/log-in", &[("link", &link)]).status, 303);

    assert_ne!(browser.cookies[&name], planted);
    let mut attacker = Browser::at(relay);
    attacker.cookies.extend([planted_cookie]);
    assert_eq!(attacker.get("/").status, 303);
}
