//! `[[pickup]]`: messages that applications write as files.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::find;
use crate::common::message;
use crate::common::recipients;
use crate::common::run;
use crate::common::said;
use crate::common::set;
use crate::common::stand_in;
use graph_relay::clock::Clock;
use graph_relay::disk::rename;
use graph_relay::mail::SpoolId;
use graph_relay_sandbox::Sandbox;
use serde_json::Value;

/// A relay with a pickup folder.
fn home(graph: &Sandbox, more: &str) -> (Home, PathBuf) {
    let setup = Home::with(graph);
    let folder = setup.path("pickup");
    fs::create_dir(&folder).unwrap();
    let section = format!("{more}\n[[pickup]]\nfolder = \"{}\"\n", folder.display());
    (setup.sections(&section).build(), folder)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Renames a complete file into the folder.
fn put(home: &Home, folder: &Path, name: &str, text: &str) {
    let before = home.path("before");
    fs::write(&before, text).unwrap();
    rename(&before, &folder.join(name)).unwrap();
}

fn id_now() -> SpoolId {
    SpoolId::generate(Clock::System.now())
}

/// The reason beside a refused file.
fn reason(relay: &Relay, folder: &Path, name: &str) -> String {
    let bad = folder.join("bad").join(name).display().to_string();
    relay.event("pickup_refused", |line| line["path"] == bad);
    fs::read_to_string(format!("{bad}.txt")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_out_by_the_envelope_of_iis_and_is_deleted() {
    let graph = stand_in().await;
    let (home, folder) = home(&graph, "");
    let relay = Relay::start(&home);
    let text = format!(
        "x-sender: {MAILBOX}\nx-receiver: a@example.org\nX-Receiver: b@example.org\nFrom: {MAILBOX}\n\
         To: a@example.org\nBcc: c@example.org\nSubject: one\n\n.a line with a dot\nlast"
    );

    put(&home, &folder, "1.eml", &text);

    let arrivals = arrived(&graph, 1).await;
    assert_eq!(
        recipients(&arrivals[0]),
        set(&["a@example.org", "b@example.org"])
    );
    let raw = &arrivals[0].raw;
    assert!(find(raw, b"\r\n\r\n.a line with a dot\r\nlast\r\n").is_some());
    for gone in [&b"x-sender"[..], b"-Receiver", b"c@example.org"] {
        assert!(find(&raw.to_ascii_lowercase(), &gone.to_ascii_lowercase()).is_none());
    }
    let id = relay.event("picked_up", |line| {
        line["path"].as_str().unwrap().ends_with("1.eml")
    })["id"]
        .clone();
    relay.event("delivered", |line| line["id"] == id);
    relay.wait_until(|| names(&folder) == [".taking"] && names(&folder.join(".taking")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_refused_go_to_bad_with_the_reason_beside() {
    let graph = stand_in().await;
    let (home, folder) = home(&graph, "[limits]\nmessage_size = \"20 kB\"\n");
    let relay = Relay::start(&home);
    let good = message("one", "a@example.org");
    let other_file = home.path("secret-of-somebody");
    fs::write(&other_file, &good).unwrap();

    put(&home, &folder, "no-sender.eml", "Subject: x\r\n\r\n");
    put(
        &home,
        &folder,
        "no-domain.eml",
        &good.replace("a@example.org", "a@nas.local"),
    );
    put(
        &home,
        &folder,
        "large.eml",
        &format!("{good}{}", "x".repeat(20_000)),
    );
    std::os::unix::fs::symlink(&other_file, folder.join("link.eml")).unwrap();
    fs::hard_link(&other_file, folder.join("second-name.eml")).unwrap();
    fs::create_dir(folder.join("folder.eml")).unwrap();
    put(&home, &folder, "other.txt", &good);

    for (name, words) in [
        ("no-sender.eml", "there is no sender"),
        ("no-domain.eml", "RCPT: "),
        ("large.eml", "message_size of [limits] allows 20000"),
        ("link.eml", "a symbolic link"),
        ("second-name.eml", "a hard link"),
    ] {
        let reason = reason(&relay, &folder, name);
        assert!(reason.contains(words), "{name}: {reason}");
    }
    assert!(folder.join("folder.eml").is_dir());
    assert_eq!(fs::read_to_string(&other_file).unwrap(), good);
    assert_eq!(fs::read_to_string(folder.join("other.txt")).unwrap(), good);
    assert!(graph.arrivals().is_empty());
    assert!(relay.events("accepted").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_beside_a_refused_file_leads_the_relay_nowhere() {
    let graph = stand_in().await;
    let (home, folder) = home(&graph, "");
    let victim = home.path("victim");
    fs::write(&victim, "precious").unwrap();
    let bad = folder.join("bad");
    fs::create_dir(&bad).unwrap();
    std::os::unix::fs::symlink(&victim, bad.join("1.eml.txt")).unwrap();
    let relay = Relay::start(&home);

    put(&home, &folder, "1.eml", "Subject: x\r\n\r\n");

    let line = relay.event("pickup_refused", |_| true);
    let path = line["path"].as_str().unwrap();
    assert!(path.ends_with("-1.eml"), "{path}");
    let reason = fs::read_to_string(format!("{path}.txt")).unwrap();
    assert!(reason.contains("there is no sender"), "{reason}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[tokio::test(flavor = "multi_thread")]
async fn subfolders_that_are_links_stop_the_folder_and_nothing_is_moved() {
    let graph = stand_in().await;
    for name in [".taking", "bad"] {
        let (home, folder) = home(&graph, "");
        let elsewhere = home.path("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let theirs = format!("{}.1.eml", id_now());
        fs::write(elsewhere.join(&theirs), message("one", "a@example.org")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.join(name)).unwrap();
        let relay = Relay::start(&home);

        put(&home, &folder, "2.eml", "Subject: x\r\n\r\n");

        let line = relay.event("pickup_waits", |_| true);
        let reason = line["reason"].as_str().unwrap();
        assert!(reason.contains("is not a folder"), "{reason}");
        assert_eq!(names(&elsewhere), std::slice::from_ref(&theirs));
        fs::remove_file(folder.join(name)).unwrap();
        relay.event("pickup_goes_on", |_| true);
        assert_eq!(names(&elsewhere), [theirs]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipient_rules_of_the_listeners_for_this_machine_hold_for_files() {
    let graph = stand_in().await;
    let listeners = "\n[[listener]]\naddress = \"127.0.0.1:0\"\nrecipients_allowed = [\"*@example.org\"]\n\
                     [[listener]]\naddress = \"127.0.0.1:0\"\nrecipients_allowed = [\"a@example.org\"]\n";
    let (bounded, folder) = home(&graph, listeners);
    let relay = Relay::start(&bounded);
    put(
        &bounded,
        &folder,
        "1.eml",
        &message("one", "a@fabrikam.com"),
    );
    put(&bounded, &folder, "2.eml", &message("two", "b@example.org"));
    put(
        &bounded,
        &folder,
        "3.eml",
        &message("three", "a@example.org"),
    );
    for name in ["1.eml", "2.eml"] {
        let reason = reason(&relay, &folder, name);
        assert!(reason.contains("allow"), "{name}: {reason}");
    }
    let arrivals = arrived(&graph, 1).await;
    assert_eq!(recipients(&arrivals[0]), set(&["a@example.org"]));

    let graph = stand_in().await;
    let listener =
        "\n[[listener]]\naddress = \"127.0.0.1:0\"\nredirect_all_to = \"test@example.org\"\n";
    let (redirected, folder) = home(&graph, listener);
    let _relay = Relay::start(&redirected);
    put(
        &redirected,
        &folder,
        "1.eml",
        &message("one", "a@fabrikam.com"),
    );
    let arrivals = arrived(&graph, 1).await;
    assert_eq!(recipients(&arrivals[0]), set(&["test@example.org"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_too_many_recipients_or_a_long_name_does_not_stop_the_others() {
    let graph = stand_in().await;
    let (home, folder) = home(
        &graph,
        "[limits]\nrecipients = 2\nrecipients_per_hour_per_client = 2\n",
    );
    let relay = Relay::start(&home);
    let to = |to: &str| message("one", to);
    let long = format!("{}.eml", "x".repeat(251));

    let three = "a@example.org, b@example.org, c@example.org";
    put(&home, &folder, "1.eml", &to(three));
    put(&home, &folder, &long, "Subject: x\r\n\r\n");
    put(&home, &folder, "2.eml", &to("a@example.org"));
    put(&home, &folder, "3.eml", &to("a@example.org, b@example.org"));
    put(&home, &folder, "4.eml", &to("b@example.org"));

    let words = reason(&relay, &folder, "1.eml");
    assert!(words.contains("Too many recipients"), "{words}");
    let words = reason(&relay, &folder, &format!("{}.eml", "x".repeat(196)));
    assert!(words.contains("there is no sender"), "{words}");
    let arrivals = arrived(&graph, 2).await;
    assert_eq!(recipients(&arrivals[0]), set(&["a@example.org"]));
    assert_eq!(recipients(&arrivals[1]), set(&["b@example.org"]));
    assert!(folder.join("3.eml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grows_is_taken_only_when_it_is_complete() {
    let graph = stand_in().await;
    let (home, folder) = home(&graph, "");
    let relay = Relay::start(&home);
    let path = folder.join("1.eml");
    let mut text = message("one", "a@example.org");
    fs::write(&path, &text).unwrap();

    // Every look sees another size, until the marker file of the test has gone out.
    put(&home, &folder, "0.eml", &message("marker", "b@example.org"));
    while relay.events("picked_up").is_empty() {
        text.push_str("more\r\n");
        fs::write(&path, &text).unwrap();
        std::thread::yield_now();
    }
    let id = relay.event("picked_up", |line| {
        line["path"].as_str().unwrap().ends_with("1.eml")
    })["id"]
        .clone();

    relay.event("delivered", |line| line["id"] == id);
    let arrivals = arrived(&graph, 2).await;
    let whole = arrivals
        .iter()
        .any(|it| find(&it.raw, text.split_once("\r\n\r\n").unwrap().1.as_bytes()).is_some());
    assert!(whole, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_a_crash_left_half_taken_is_neither_lost_nor_taken_twice() {
    let graph = stand_in().await;
    let (home, folder) = home(&graph, "");
    let mut relay = Relay::start(&home);
    put(&home, &folder, "1.eml", &message("one", "a@example.org"));
    let id = relay.event("picked_up", |_| true)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    arrived(&graph, 1).await;
    relay.stop();
    let taking = folder.join(".taking");
    // As if the relay had been killed before it deleted this file, and before the spool had that one.
    fs::write(
        taking.join(format!("{id}.1.eml")),
        message("one", "a@example.org"),
    )
    .unwrap();
    let unknown = id_now();
    fs::write(
        taking.join(format!("{unknown}.2.eml")),
        message("two", "b@example.org"),
    )
    .unwrap();

    let relay = Relay::start(&home);
    relay.event("picked_up", |line| {
        line["path"].as_str().unwrap().ends_with("2.eml")
    });
    let arrivals = arrived(&graph, 2).await;

    relay.wait_until(|| names(&taking).is_empty());
    let to: Vec<_> = arrivals.iter().map(|it| recipients(it)).collect();
    assert!(
        to.contains(&set(&["a@example.org"])) && to.contains(&set(&["b@example.org"])),
        "{to:?}"
    );
    assert_eq!(graph.arrivals().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_disappears_is_named_and_taken_up_again_and_a_reload_changes_folders() {
    let graph = stand_in().await;
    let (home, folder) = home(&graph, "");
    let relay = Relay::start(&home);
    let away = home.path("away");

    rename(&folder, &away).unwrap();
    let line = relay.event("pickup_waits", |_| true);
    assert!(
        line["reason"].as_str().unwrap().contains("No such file"),
        "{line}"
    );
    rename(&away, &folder).unwrap();
    relay.event("pickup_goes_on", |_| true);

    let second = home.path("second");
    fs::create_dir(&second).unwrap();
    put(&home, &second, "1.eml", &message("one", "a@example.org"));
    home.change(folder.to_str().unwrap(), second.to_str().unwrap());
    relay.signal("HUP");
    relay.event("picked_up", |line| {
        line["path"]
            .as_str()
            .unwrap()
            .starts_with(second.to_str().unwrap())
    });
    arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_which_there_is_no_room_stays_in_its_folder() {
    let graph = stand_in().await;
    let (home, folder) = home(&graph, "[limits]\nmessages_per_minute_per_client = 1\n");
    let relay = Relay::start(&home);

    put(&home, &folder, "1.eml", &message("one", "a@example.org"));
    put(&home, &folder, "2.eml", &message("two", "a@example.org"));

    let line = relay.event("pickup_waits", |_| true);
    assert!(
        line["reason"]
            .as_str()
            .unwrap()
            .contains("more than 1 messages in a minute"),
        "{line}"
    );
    arrived(&graph, 1).await;
    let left = names(&folder)
        .into_iter()
        .filter(|it| it.ends_with(".eml"))
        .count();
    assert_eq!(left, 1);
    assert!(!folder.join("bad").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_cannot_be_pickup_folders_are_refused() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    for (folder, words) in [
        ("pickup", "write the path from the root"),
        (
            home.path("data").join("pickup").to_str().unwrap(),
            "must not contain each other",
        ),
    ] {
        let text = fs::read_to_string(&home.config).unwrap();
        let other = home.path("other.toml");
        fs::write(
            &other,
            format!("{text}\n[[pickup]]\nfolder = \"{folder}\"\n"),
        )
        .unwrap();
        let output = binary()
            .args(["check", "--config"])
            .arg(&other)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    assert!(home.config.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_file_is_in_the_history_with_its_recipients_and_the_reason() {
    let graph = stand_in().await;
    let (home, folder) = home(&graph, "");
    let relay = Relay::start(&home);
    let text = message("Offer-12", "a@example.org").replace("a@", "b@example.org, a@nas.local, a@");

    put(&home, &folder, "1.eml", &text);
    reason(&relay, &folder, "1.eml");

    let traced = |text: &str| said(&run(&home, &["trace", text, "--json"]));
    for text in ["b@example.org", "a@nas.local", "Offer-12"] {
        relay.wait_until(|| traced(text).contains("bad/1.eml"));
        let found = traced(text);
        assert!(
            found.contains("nas.local") && found.contains("pickup"),
            "{found}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pickup_folder_that_is_not_there_needs_attention_until_it_is() {
    let graph = stand_in().await;
    let (home, folder) = home(&graph, "");
    fs::remove_dir(&folder).unwrap();
    let relay = Relay::start(&home);
    let status = || said(&run(&home, &["status"])).replace('\n', " ");

    relay.event("pickup_waits", |_| true);
    relay.wait_until(|| status().contains("messages in a pickup folder wait"));
    let doctor = said(&run(&home, &["doctor"]));
    assert!(doctor.contains("create it: sudo install -d"), "{doctor}");

    fs::create_dir(&folder).unwrap();
    put(&home, &folder, "1.eml", &message("one", "a@example.org"));
    relay.event("pickup_goes_on", |_| true);
    arrived(&graph, 1).await;
    relay.wait_until(|| !status().contains("messages in a pickup folder wait"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_under_kill_9_are_all_accepted_and_none_is_accepted_twice() {
    const FILES: usize = 120;
    let graph = stand_in().await;
    let (home, folder) = home(&graph, "");
    for number in 0..FILES {
        let text = message(&format!("m{number}"), "a@example.org");
        put(&home, &folder, &format!("{number}.eml"), &text);
    }

    for taken in [1, 2, 5, 11, 23] {
        let mut relay = Relay::start(&home);
        relay.wait_until(|| relay.events("picked_up").len() >= taken);
        relay.kill();
    }
    let relay = Relay::start(&home);
    relay.wait_until(|| names(&folder) == [".taking"] && names(&folder.join(".taking")).is_empty());

    let history = run(&home, &["history", "--limit", "1000", "--json"]);
    let text = String::from_utf8(history.stdout).unwrap();
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut accepted: Vec<String> = rows.map(|row| row["subject"].to_string()).collect();
    accepted.sort();
    let mut expected: Vec<String> = (0..FILES).map(|n| format!("\"m{n}\"")).collect();
    expected.sort();
    assert_eq!(accepted, expected);
}
