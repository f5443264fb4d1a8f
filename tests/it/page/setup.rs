//! Set-up on the page: what is refused and in which words, what is written, and the way from a
//! fresh package to the first message.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::time::Duration;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;

use super::client::Answer;
use super::client::Browser;
use super::client::encoded;
use super::with_page;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::binary;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;

/// Fills in the form as it is shown, with these fields in place of its own.
pub(super) fn save(browser: &mut Browser, graph: &Sandbox, fields: &[(&str, &str)]) -> Answer {
    let all = filled(browser, graph, fields);
    let all: Vec<_> = all
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    browser.post("/setup", &all)
}

fn filled<'a>(
    browser: &mut Browser,
    graph: &Sandbox,
    fields: &[(&'a str, &str)],
) -> Vec<(&'a str, String)> {
    let form = browser.get("/setup");
    let settings = Settings::default();
    let (version, account) = (form.field("version"), form.field("account"));
    let url = graph.url();
    let mut all = vec![
        ("csrf", form.field("csrf")),
        ("version", version),
        ("account", account),
        ("kept", String::new()),
        ("sign_in", "application".to_owned()),
        ("tenant", settings.tenant),
        ("client_id", settings.client_id),
        ("secret", settings.client_secret),
        ("expires", String::new()),
        ("mailbox", MAILBOX.to_owned()),
        ("login_url", url.clone()),
        ("graph_url", url),
    ];
    for (name, value) in fields {
        all.retain(|(known, _)| known != name);
        all.push((name, (*value).to_owned()));
    }
    all
}

/// The files of secrets that were entered on the page.
pub(super) fn secrets(home: &Home) -> Vec<PathBuf> {
    let files = fs::read_dir(home.path("data").join("secrets"));
    let files = files.into_iter().flatten();
    files.map(|it| it.unwrap().path()).collect()
}

pub(super) fn port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_refused_with_its_remedy_and_nothing_is_written() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    home.append("# Ask Anna before you change this.");
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let before = fs::read_to_string(&home.config).unwrap();

    let id = "33333333-3333-3333-3333-333333333333";
    let answer = save(&mut browser, &graph, &[("secret", id)]);
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(
        answer.body.contains("That is the Secret ID."),
        "{}",
        answer.body
    );
    assert!(!answer.body.contains(id), "{}", answer.body);

    let answer = save(&mut browser, &graph, &[("secret", "wrong~Canary")]);
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.body.contains("AADSTS7000215"), "{}", answer.body);
    assert!(
        answer.body.contains("Nothing was changed"),
        "{}",
        answer.body
    );
    assert!(!answer.body.contains("wrong~Canary"), "{}", answer.body);
    assert_eq!(fs::read_to_string(&home.config).unwrap(), before);

    assert!(secrets(&home).is_empty(), "{:?}", secrets(&home));
    let kept = answer.field("kept");
    let again = [("secret", ""), ("kept", &*kept), ("anyway", "yes")];
    let answer = save(&mut browser, &graph, &again);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let shown = browser.get(answer.header("location"));
    assert!(shown.body.contains("client_secret_file"), "{}", shown.body);
    assert!(
        shown.body.contains("Restart the relay now"),
        "{}",
        shown.body
    );
    assert!(!shown.body.contains("wrong~Canary"), "{}", shown.body);
    // Every other page has the same button, not a command.
    let overview = browser.get("/").body;
    assert!(overview.contains("form=\"begin-restart\""), "{overview}");
    assert!(!overview.contains("systemctl"), "{overview}");
    let after = fs::read_to_string(&home.config).unwrap();
    assert!(
        after.contains("# Ask Anna before you change this."),
        "{after}"
    );
    assert!(!after.contains(&kept), "{after}");
    assert!(!after.contains("wrong~Canary"), "{after}");
    assert_eq!(secrets(&home).len(), 1);
    let previous = home.path("relay.toml.previous");
    assert_eq!(fs::read_to_string(previous).unwrap(), before);
    relay.event("config_changed", |line| {
        line["keys"]
            .as_str()
            .unwrap()
            .contains("client_secret_file")
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_relay_is_set_up_on_the_page_and_sends() {
    let graph = stand_in().await;
    let home = Home::empty();
    let text = format!(
        "# Fresh from the package.\ndata_dir = {:?}\n[admin]\naddress = \"127.0.0.1:{}\"\n\
         [log]\nformat = \"json\"\n[limits]\nfree_space = \"8 MB\"\n",
        home.path("data"),
        port(),
    );
    fs::write(&home.config, text).unwrap();
    let mut relay = Relay::spawn(binary().arg("serve").arg("--config").arg(&home.config));
    relay.event("started", |_| true);
    let mut browser = Browser::logged_in(&relay, &home);
    let overview = browser.get("/");
    assert!(
        overview.body.contains("The relay is not set up yet"),
        "{}",
        overview.body
    );
    assert!(
        overview.body.contains("href=\"/setup\""),
        "{}",
        overview.body
    );

    let smtp = format!("127.0.0.1:{}", port());
    home.append(&format!("[[listener]]\naddress = {smtp:?}"));
    let answer = save(&mut browser, &graph, &[]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let answer = browser.change("/setup/restart", &[]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let goes_on = "http-equiv=\"refresh\" content=\"0;url=/setup/restart\"";
    assert!(answer.body.contains(goes_on), "{}", answer.body);
    // It waits until the relay is there again.
    let shown = browser.get("/setup/restart");
    let words = "The relay has restarted";
    assert!(shown.body.contains(words), "{}", shown.body);
    relay.event("listening", |line| line["address"] == *smtp);

    relay.address = smtp.parse().unwrap();
    send_one(
        &relay,
        &["a@example.org"],
        &crate::common::message("a", "a@example.org"),
    );
    relay.event("delivered", |_| true);
    // Whoever has set it up is still logged in.
    let overview = browser.get("/");
    assert_eq!(overview.status, 200, "{}", overview.body);
    assert!(
        !overview.body.contains("not set up yet"),
        "{}",
        overview.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_saved_and_recorded_although_its_browser_goes_before_the_answer() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let fields = filled(&mut browser, &graph, &[("expires", "2031-05-01")]);
    let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let body = encoded(&fields);
    let cookies = browser.cookies.iter();
    let cookies: Vec<_> = cookies.map(|(k, v)| format!("{k}={v}")).collect();
    let (host, length) = (&browser.host, body.len());
    let request = format!(
        "POST /setup HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}",
        cookies.join("; "),
    );
    graph.inject(Fault {
        delay: Duration::from_secs(1),
        ..Fault::usual(Station::Token)
    });

    let before = graph.requests().len();
    let mut stream = TcpStream::connect(browser.address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    relay.wait_until(|| graph.requests().len() > before);
    drop(stream);

    relay.event("config_changed", |_| true);
    let text = fs::read_to_string(&home.config).unwrap();
    assert!(text.contains("2031-05-01"), "{text}");
    // Nobody keeps a change out of the audit list by closing the connection.
    let change = relay.event("audit", |line| line["action"] == "change set-up");
    assert_eq!(change["user"], "link", "{change}");
    let about = change["about"].as_str().unwrap();
    assert!(about.contains("client_secret_expires"), "{change}");
}

/// Replaces a part of relay.toml.
fn edit(home: &Home, from: &str, to: &str) {
    let text = fs::read_to_string(&home.config).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&home.config, text.replacen(from, to, 1)).unwrap();
}

/// A relay whose page has the same address after a restart.
fn restartable(graph: &Sandbox) -> Home {
    let home = with_page(graph).build();
    let address = format!("address = \"127.0.0.1:{}\"", port());
    edit(&home, super::ON, &format!("[admin]\n{address}"));
    home
}

fn restart(relay: &Relay, browser: &mut Browser) {
    let starts = relay.events("page").len();
    let answer = browser.change("/setup/restart", &[]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    relay.wait_until(|| relay.events("page").len() > starts);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_stays_logged_in_at_a_restart_with_another_admin_section() {
    let graph = stand_in().await;
    let home = restartable(&graph);
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    restart(&relay, &mut browser);
    assert_eq!(browser.get("/").status, 200);
    edit(&home, "[admin]", "[admin]\nhosts = [\"relay.contoso.com\"]");
    restart(&relay, &mut browser);

    assert_eq!(browser.get("/setup").status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_running_relay_is_kept_until_it_restarts_with_another() {
    let graph = stand_in().await;
    let home = restartable(&graph);
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let kept = || secrets(&home);
    assert_eq!(save(&mut browser, &graph, &[]).status, 303);
    restart(&relay, &mut browser);
    let used = kept();
    assert_eq!(used.len(), 1, "{used:?}");

    for _ in 0..3 {
        assert_eq!(save(&mut browser, &graph, &[]).status, 303);
        assert!(kept().contains(&used[0]), "{:?}", kept());
    }
    restart(&relay, &mut browser);
    assert_eq!(save(&mut browser, &graph, &[]).status, 303);
    assert!(!kept().contains(&used[0]), "{:?}", kept());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_for_another_version_of_the_file_is_refused() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    let answer = save(&mut browser, &graph, &[("version", "0")]);

    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(
        answer.body.contains("changed by somebody else"),
        "{}",
        answer.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_administrator_sees_the_set_up_or_changes_it() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let before = fs::read_to_string(&home.config).unwrap();

    for role in ["viewer", "operator"] {
        let mut browser = Browser::logged_in_as(&relay, &home, role);
        assert!(!browser.get("/").body.contains("href=\"/setup\""));
        assert_eq!(browser.get("/setup").status, 403);
        let fields = [("tenant", "contoso.com"), ("anyway", "yes")];
        assert_eq!(browser.change("/setup", &fields).status, 403);
        assert_eq!(browser.change("/setup/restart", &[]).status, 403);
    }

    assert_eq!(fs::read_to_string(&home.config).unwrap(), before);
}

/// Everything belongs to this user, except for relay.toml.
fn home_of_a_service(graph: &Sandbox, service: u32) -> Home {
    let home = with_page(graph).build();
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(home.folder.path(), 0o755);
    mode(&home.config, 0o644);
    for entry in fs::read_dir(home.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path != home.config {
            std::os::unix::fs::chown(&path, Some(service), Some(service)).unwrap();
        }
    }
    let data = home.path("data");
    fs::create_dir_all(&data).unwrap();
    std::os::unix::fs::chown(&data, Some(service), Some(service)).unwrap();
    home
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: .ci/run has it"]
async fn root_applies_with_one_command_what_the_relay_may_not_write() {
    const SERVICE: u32 = 321;
    let graph = stand_in().await;
    let home = home_of_a_service(&graph, SERVICE);
    let mut serve = binary();
    serve.arg("serve").arg("--config").arg(&home.config);
    let relay = Relay::start_by(serve.uid(SERVICE).gid(SERVICE).current_dir("/"));
    let mut browser = Browser::logged_in(&relay, &home);
    let before = fs::read_to_string(&home.config).unwrap();

    let answer = save(&mut browser, &graph, &[("expires", "2031-05-01")]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let path = answer.header("location").to_owned();
    let shown = browser.get(&path).body;
    let id = path.rsplit('/').next().unwrap();
    assert!(
        shown.contains(&format!("sudo graph-relay apply {id}")),
        "{shown}"
    );
    assert_eq!(fs::read_to_string(&home.config).unwrap(), before);

    let output = run(&home, &["apply", id]);
    assert_eq!(output.status.code(), Some(64), "{}", said(&output));
    let output = run(&home, &["apply", id, "--yes"]);
    assert!(output.status.success(), "{}", said(&output));
    let said = said(&output);
    assert!(
        said.contains("+ client_secret_expires = \"2031-05-01\""),
        "{said}"
    );
    assert!(said.contains("The relay restarts"), "{said}");
    // Over the restart, the page knows what became of the change, and who did it.
    let shown = browser.get("/setup/restart").body;
    assert!(shown.contains("The relay has restarted"), "{shown}");
    let shown = browser.get(&path).body;
    assert!(shown.contains("Applied, and in force"), "{shown}");
    assert!(shown.contains("by: root"), "{shown}");
    let list = browser.get("/audit.jsonl?q=root").body;
    let of = |word: &str, result: &str| {
        list.lines()
            .any(|line| line.contains(&format!("\"action\":\"{word}\"")) && line.contains(result))
    };
    assert!(of("apply change", "client_secret_expires"), "{list}");
    assert!(
        of("restart", "\"begun\"") && of("restart", "\"done\""),
        "{list}"
    );
    assert!(
        fs::read_to_string(&home.config)
            .unwrap()
            .contains("2031-05-01")
    );
    let again = run(&home, &["apply", "nonsense", "--yes"]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
}
