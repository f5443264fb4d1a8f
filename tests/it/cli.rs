//! The command line, with the real binary, and the blocks in README.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use serde_json::Value;

use crate::common;
use crate::common::Home;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::message;
use crate::common::recorded;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::users::PLAIN;
use crate::common::users::USERS;
use graph_relay::admin::ApiError;
use graph_relay::admin::ErrorCode;

fn run(arguments: &[&str], home: &Home) -> Output {
    let config = ["--config", home.config.to_str().unwrap()];
    binary().args(arguments).args(config).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn sandbox_once_shows_a_message_arriving_as_the_readme_says() {
    let free_ports = ["--smtp", "127.0.0.1:0", "--page", "127.0.0.1:0"];
    let output = binary()
        .args(["sandbox", "--once"])
        .args(free_ports)
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let readme = readme();
    let block = readme
        .split("```text\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let block = block.replace("\nReady. Stop with Ctrl-C.\n", "");
    assert_eq!(normal(&stdout(&output)), normal(&block));
}

#[test]
fn a_sandbox_that_is_terminated_leaves_no_folder() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut sandbox = binary()
        .args(["sandbox", "--smtp", "127.0.0.1:0", "--page", "127.0.0.1:0"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(sandbox.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("Ready.")));
    assert!(fs::read_dir(folder.path()).unwrap().next().is_some());

    let id = rustix::process::Pid::from_child(&sandbox);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();

    assert_eq!(sandbox.wait().unwrap().code(), Some(0));
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}

/// Ports, times and ids differ from run to run.
fn normal(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let mut words: Vec<String> = Vec::new();
        for word in line.split(' ') {
            let id =
                word.len() >= 26 && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            let time = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
            let host = ["127.0.0.1:", "localhost:"]
                .into_iter()
                .find(|host| word.contains(host));
            let word = match host.and_then(|host| word.split_once(host)) {
                Some((before, after)) => {
                    let path: String = after.chars().skip_while(char::is_ascii_digit).collect();
                    format!("{before}ADDRESS{path}")
                }
                None if id => "ID".to_owned(),
                None if time && line.contains(" ms ") => "N".to_owned(),
                None => word.to_owned(),
            };
            if !word.is_empty() {
                words.push(word);
            }
        }
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

#[test]
fn the_readmes_first_block_is_two_commands_and_every_command_in_it_exists() {
    let readme = readme();
    let mut blocks = readme
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    assert_eq!(blocks.next().unwrap(), "cargo run -- sandbox\ncargo test\n");

    // The output of commands is not a command.
    let output = |block: &str| block.starts_with("text\n");
    let readme: String = readme.split("```").filter(|block| !output(block)).collect();
    let commands: Vec<&str> = readme
        .split(['`', '\n'])
        .filter_map(|line| line.strip_prefix("graph-relay "))
        .collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        let words = command
            .split(' ')
            .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()));
        let output = binary().args(words).arg("--help").output().unwrap();
        assert!(
            output.status.success(),
            "graph-relay {command}: {}",
            stderr(&output)
        );
    }
    for file in readme
        .split('`')
        .filter(|word| word.starts_with("src/") || word.starts_with("systemd/"))
    {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
        assert!(fs::exists(format!("{root}{file}")).unwrap(), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_lists_waiting_messages_with_the_reason() {
    let graph = stand_in().await;
    let home = Home::with(&graph).delivery("retry = [\"1h\"]").build();
    let relay = Relay::start(&home);

    let busy = send_one(
        &relay,
        &["busy@example.org", "b@example.org"],
        &message("m", "busy@example.org"),
    );
    let failed = send_one(
        &relay,
        &["invalid@example.org"],
        &message("n", "invalid@example.org"),
    );
    recorded(&relay, &home, "deferred", |line| line["id"] == *busy);
    recorded(&relay, &home, "failed", |line| line["id"] == *failed);
    // The report about the failed message is delivered.
    relay.event("delivered", |line| line["id"] != *failed);
    relay.wait_until(|| stdout(&run(&["queue", "list"], &home)).lines().count() == 5);

    let list = stdout(&run(&["queue", "list"], &home));
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 5, "{list}");
    assert!(
        lines[1].starts_with(&busy) && lines[1].contains("waiting") && lines[1].contains("in ")
    );
    let addresses = "relay@sandbox.example  busy@example.org and 1 more";
    assert!(lines[1].contains(addresses), "{list}");
    assert!(
        lines[2]
            .trim_start()
            .starts_with("Graph answered 503 ErrorServerBusy"),
        "{list}"
    );
    assert!(lines[3].starts_with(&failed));

    let json = stdout(&run(&["queue", "list", "--json"], &home));
    let entries: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["id"], *busy);
    assert_eq!(entries[1]["state"], "failed");

    let show = stdout(&run(&["queue", "show", &busy], &home));
    assert!(
        show.contains("attempt 1: deferred, HTTP 503 ErrorServerBusy"),
        "{show}"
    );
    assert!(
        show.contains("client-request-id ") && show.contains("request-id "),
        "{show}"
    );
    let json = stdout(&run(&["queue", "show", &failed, "--json"], &home));
    let entry: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(entry["timeline"][0]["code"], "ErrorInvalidRecipients");
    assert_eq!(
        entry["timeline"][0]["client_request_id"].as_str().unwrap(),
        relay.event("failed", |_| true)["client_request_id"]
            .as_str()
            .unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_show_includes_delivered_messages() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = Relay::start(&home);
    let empty = run(&["queue", "list"], &home);
    assert!(empty.status.success());
    assert_eq!(stdout(&empty), "");
    assert_eq!(
        stderr(&empty),
        "nothing is waiting and nothing has failed\n"
    );
    let id = send_one(&relay, &["a@example.org"], &message("m", "a@example.org"));
    let arrivals = arrived(&graph, 1).await;
    relay.wait_until(|| stdout(&run(&["queue", "show", &id], &home)).contains("delivered"));

    let show = stdout(&run(&["queue", "show", &id], &home));

    assert!(show.contains(&arrivals[0].request_id), "{show}");
    let unknown = run(&["queue", "show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"], &home);
    assert_eq!(unknown.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_can_open_the_admin_socket() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let _relay = Relay::start(&home);

    let mode = fs::metadata(home.path("data/admin.sock"))
        .unwrap()
        .permissions()
        .mode();

    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_admin_socket_have_a_code_and_a_message() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let _relay = Relay::start(&home);
    let client = reqwest::Client::builder().unix_socket(home.path("data/admin.sock"));

    let asked = client.build().unwrap();
    let asked = asked.get("http://relay/queue/01ARZ3NDEKTSV4RRFFQ69G5FAV");
    let answer = asked.send().await.unwrap();

    assert_eq!(answer.status(), 404);
    let error: ApiError = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(error.error, ErrorCode::Unknown);
    assert_eq!(error.message, "not found");
}

#[test]
fn exit_codes_are_those_of_the_contract() {
    let home = Home::empty();
    fs::write(
        &home.config,
        format!("data_dir = {:?}\n", home.path("data")),
    )
    .unwrap();

    assert_eq!(
        binary().arg("nonsense").output().unwrap().status.code(),
        Some(64)
    );
    assert_eq!(
        run(&["queue", "show", "too-short"], &home).status.code(),
        Some(64)
    );
    assert_eq!(
        run(&["check", "--config", "/nonexistent"], &home)
            .status
            .code(),
        Some(64)
    );
    assert_eq!(
        binary().arg("--version").output().unwrap().status.code(),
        Some(0)
    );
    let not_running = run(&["queue", "list"], &home);
    assert_eq!(not_running.status.code(), Some(69));
    assert!(stderr(&not_running).contains("systemctl status graph-relay"));
    let missing = binary()
        .args(["serve", "--config", "/nonexistent.toml"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(78));
    assert!(stderr(&missing).starts_with("/nonexistent.toml: cannot read this file: No such file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_notifies_the_service_manager_of_start_and_stop() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let path = home.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(common::PATIENCE)).unwrap();
    let mut command = binary();
    command
        .env("NOTIFY_SOCKET", &path)
        .arg("serve")
        .arg("--config")
        .arg(&home.config);

    let mut relay = Relay::start_by(&mut command);

    let told = |socket: &UnixDatagram| {
        let mut text = [0; 4096];
        loop {
            let length = socket.recv(&mut text).unwrap();
            let said = String::from_utf8_lossy(&text[..length]).into_owned();
            if !said.starts_with("STATUS=") {
                return said;
            }
        }
    };
    assert_eq!(told(&socket).trim(), "READY=1");
    relay.signal("HUP");
    let reloading = told(&socket);
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(told(&socket).trim(), "READY=1");
    assert!(relay.stop().success());
    assert_eq!(told(&socket).trim(), "STOPPING=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_show_has_the_dialog_and_the_fix_and_no_password() {
    let graph = stand_in().await;
    let home = Home::with(&graph)
        .listener("authentication = \"required\"")
        .sections(USERS)
        .build();
    let relay = Relay::start(&home);
    let empty = run(&["sessions", "list"], &home);
    assert!(empty.status.success() && empty.stdout.is_empty());
    let mut smtp = relay.connect();
    smtp.expect("EHLO printer.example", "250");
    smtp.expect(&format!("AUTH PLAIN {PLAIN}x"), "501");
    smtp.expect("AUTH LOGIN", "334");
    smtp.expect("c2Nhbm5lcg==", "334");
    smtp.expect("Q2FuYXJ5", "535");
    smtp.expect("MAIL FROM:<relay@sandbox.example>", "530");
    smtp.expect("QUIT", "221");
    assert_eq!(smtp.rest(), "");
    relay.event("disconnected", |_| true);

    let list = stdout(&run(&["sessions", "list"], &home));
    let json = stdout(&run(&["sessions", "list", "--json"], &home));
    let show = stdout(&run(&["sessions", "show", "1"], &home));

    assert!(list.contains("501 5.5.2 Not valid base64"), "{list}");
    let kept: Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(kept["hello"], "printer.example");
    for said in [
        "C: EHLO printer.example\n",
        "C: AUTH PLAIN ***\n",
        "S: 334 VXNlcm5hbWU6\n",
        "C: ***\n",
        "problem   535 5.7.8 Wrong name or password\n",
        "fix       compare the client's name and password with the [[user]]",
        "fix       give the client the name and password of a [[user]]",
    ] {
        assert!(show.contains(said), "{said} is not in {show}");
    }
    for secret in [PLAIN, "c2Nhbm5lcg==", "Q2FuYXJ5"] {
        assert!(!show.contains(secret) && !json.contains(secret), "{show}");
    }
    let unknown = run(&["sessions", "show", "7"], &home);
    assert_eq!(unknown.status.code(), Some(1));
}

fn explain(arguments: &[&str]) -> Output {
    binary().arg("explain").args(arguments).output().unwrap()
}

#[test]
fn explain_says_cause_remedy_and_place_of_a_code() {
    let output = explain(&["aadsts7000215"]);

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert_eq!(lines[0], "code    AADSTS7000215");
    assert!(
        lines[1].starts_with("cause   The client secret does not"),
        "{said}"
    );
    assert!(
        lines[2].starts_with("remedy  copy the client secret's Value"),
        "{said}"
    );
    assert!(
        lines[3].starts_with("place   Entra > App registrations"),
        "{said}"
    );
    for same in ["7000215", "AADSTS7000215"] {
        assert_eq!(stdout(&explain(&[same])), said);
    }

    let json = stdout(&explain(&["ErrorSendAsDenied", "--json"]));
    let entry: Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(entry["code"], "ErrorSendAsDenied");
    let remedy = entry["remedy"].as_str().unwrap();
    assert!(
        remedy.contains("give MAILBOX Send As on ADDRESS") && !remedy.contains('{'),
        "{remedy}"
    );
}

#[test]
fn explain_takes_a_pasted_message_with_every_code_in_it() {
    let message = "AADSTS7000222: The provided client secret keys for app 'x' are expired. \
                   Trace ID: 0a1b2c3d-0000 Timestamp: 2026-11-21 19:00:00Z";
    let pasted = explain(&[message]);
    let bare = explain(&["7000222"]);
    assert_eq!(stdout(&pasted), stdout(&bare));

    let words = stdout(&explain(&["403", "ErrorAccessDenied,", "then", "5.7.708"]));
    let codes: Vec<&str> = words
        .lines()
        .filter_map(|line| line.strip_prefix("code    "))
        .collect();
    assert_eq!(codes, ["ErrorAccessDenied", "5.7.708"]);
    assert!(words.contains("\n\ncode    5.7.708\n"), "{words}");
}

#[test]
fn explain_knows_the_replies_of_the_relay_itself() {
    for said in [&["535", "5.7.8"][..], &["535 5.7.8 Wrong name or password"]] {
        let output = explain(said);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let words = stdout(&output);
        for part in [
            "code    535 5.7.8\n",
            "cause   The relay's own reply: ",
            "[[user]]",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }
    let bare = stdout(&explain(&["503"]));
    assert!(bare.contains("code    503 5.5.1\n"), "{bare}");
    assert!(bare.contains("code    http-5xx\n"), "{bare}");
}

#[test]
fn explain_of_an_unknown_code_says_so_with_the_nearest_and_where_to_look() {
    let output = explain(&["ErrorSendAsDenyed"]);

    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    let said = stderr(&output);
    for part in [
        "unknown code \"ErrorSendAsDenyed\"",
        "did you mean ErrorSendAsDenied?",
        "request-id",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let of_entra = stderr(&explain(&["AADSTS9999999"]));
    let page = "https://login.microsoftonline.com/error?code=9999999";
    assert!(of_entra.contains(page), "{of_entra}");
    let nonsense = explain(&["all", "is", "well"]);
    assert_eq!(nonsense.status.code(), Some(1));
    assert!(!stderr(&nonsense).contains("did you mean"));
}

#[test]
fn explain_without_a_code_lists_them_all() {
    let output = explain(&[]);

    assert_eq!(output.status.code(), Some(0));
    let list = stdout(&output);
    assert!(list.lines().count() > 150, "{list}");
    for line in list.lines() {
        let (code, cause) = line.split_once("  ").unwrap();
        assert!(!code.is_empty() && cause.ends_with('.'), "{line}");
    }
    let json = stdout(&explain(&["--json"]));
    assert_eq!(json.lines().count(), list.lines().count());
    for line in json.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!(!entry["cause"].as_str().unwrap().is_empty());
    }
}

#[test]
fn manual_pages_and_completions_are_made_from_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    let said = |arguments: &[&str]| stdout(&binary().args(arguments).output().unwrap());

    assert!(said(&["man"]).contains(".SH SUBCOMMANDS"));
    assert!(said(&["man", "queue-retry"]).contains("graph\\-relay queue retry"));
    assert!(said(&["man", "relay.toml"]).contains("[[account]]"));
    let unknown = binary().args(["man", "queue-retyr"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(64));
    assert!(stderr(&unknown).contains("graph-relay-queue-retry, "));

    let all = binary()
        .args(["man", "--folder"])
        .arg(folder.path())
        .output();
    assert_eq!(all.unwrap().status.code(), Some(0));
    for file in [
        "man1/graph-relay.1",
        "man1/graph-relay-queue-retry.1",
        "man5/relay.toml.5",
    ] {
        assert!(folder.path().join(file).exists(), "{file}");
    }

    let script = folder.path().join("completions");
    fs::write(&script, said(&["completions", "bash"])).unwrap();
    let complete = format!("source {}; complete -p graph-relay", script.display());
    let bash = Command::new("bash").args(["-c", &complete]).output();
    assert!(stdout(&bash.unwrap()).contains("graph-relay"));
}
