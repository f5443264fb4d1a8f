//! `import smtp2graph --queue`: the messages that wait in its queue.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Output;

use super::Sample;
use crate::common::Home;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::message;
use crate::common::said;
use crate::common::stand_in;

/// A folder with these messages.
fn queue(home: &Home, messages: &[(&str, &str)]) -> PathBuf {
    let folder = home.path("queue");
    fs::create_dir(&folder).unwrap();
    for (name, text) in messages {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

/// Asserts that a relay has accepted this number of messages by the time it has stopped.
fn assert_accepted(mut relay: Relay, count: usize) {
    relay.stop();
    let accepted = relay.events("accepted");
    assert_eq!(accepted.len(), count, "{accepted:#?}");
}

fn take_over(home: &Home, address: &str, folder: &Path) -> Output {
    let mut command = binary();
    command.args(["import", "smtp2graph", "--relay", address, "--queue"]);
    command.arg(folder).arg("--config").arg(&home.config);
    command.output().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_messages_are_taken_over_once_with_their_blind_recipients_hidden() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = Relay::start(&home);
    let blind =
        message("one", "a@example.org").replace("Subject:", "Bcc: b@example.org\r\nSubject:");
    let address = relay.addresses()[0].to_string();
    let folder = queue(
        &home,
        &[
            ("1.eml", &blind),
            ("2.eml", "Subject: no sender\r\n\r\n"),
            ("note.txt", "x"),
        ],
    );
    symlink(folder.join("1.eml"), folder.join("3.eml")).unwrap();
    let run = || take_over(&home, &address, &folder);

    let first = run();
    let arrivals = arrived(&graph, 1).await;
    let second = run();

    assert_eq!(first.status.code(), Some(1), "{}", said(&first));
    assert!(
        said(&first).contains("there is no address in From"),
        "{}",
        said(&first)
    );
    assert!(
        said(&first).contains("3.eml: this is not a regular file"),
        "{}",
        said(&first)
    );
    assert!(
        said(&first).contains("1 of 3 messages taken over"),
        "{}",
        said(&first)
    );
    assert!(
        said(&second).contains("0 of 2 messages taken over"),
        "{}",
        said(&second)
    );
    assert_eq!(
        names(&folder),
        ["1.eml.taken", "2.eml", "3.eml", "note.txt"]
    );
    assert_eq!(
        fs::read_to_string(folder.join("1.eml.taken")).unwrap(),
        blind
    );
    let recipients = crate::common::recipients(&arrivals[0]);
    assert_eq!(
        recipients,
        crate::common::set(&["a@example.org", "b@example.org"])
    );
    assert_accepted(relay, 1);
}

/// A configuration of SMTP2Graph with one message that waits in the folder `queue`.
fn installation() -> Sample {
    let sample = Sample::of("smtp2graph");
    let folder = sample.path("queue");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("1.eml"), message("one", "a@example.org")).unwrap();
    sample
}

#[test]
fn messages_stay_in_the_queue_if_the_configuration_is_not_accepted() {
    let sample = installation();
    sample.write("config.yml", "x: 1\n");

    let output = sample.import(&["smtp2graph", "config.yml", "--queue", "queue"]);

    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    let words = said(&output);
    assert!(
        words.contains("The messages in queue stay there"),
        "{words}"
    );
    assert_eq!(names(&sample.path("queue")), ["1.eml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_stay_in_the_queue_while_check_refuses_the_configuration() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = Relay::start(&home);
    let address = relay.address.to_string();
    let forms: [&[&str]; 2] = [&[], &["--write", "new.toml"]];
    for form in forms {
        let sample = installation();
        sample.change("config.yml", "    tenant: contoso\n", "");
        let queue = ["--queue", "queue", "--relay", &address];

        let output = sample.import(&[&["smtp2graph", "config.yml"][..], form, &queue].concat());

        let words = said(&output);
        assert_eq!(output.status.code(), Some(1), "{words}");
        for part in [
            "[[account]] needs \"tenant\"",
            "The messages in queue stay there",
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert_eq!(names(&sample.path("queue")), ["1.eml"], "{words}");
    }
    assert_accepted(relay, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_writes_the_configuration_and_takes_over_the_messages() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = Relay::start(&home);
    let address = relay.address.to_string();
    let sample = installation();
    let write = ["smtp2graph", "config.yml", "--write", "new.toml"];
    let queue = ["--queue", "queue", "--relay", &address];

    let output = sample.import(&[&write[..], &queue].concat());

    let words = said(&output);
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert!(words.contains("1 of 1 message taken over"), "{words}");
    assert_eq!(names(&sample.path("queue")), ["1.eml.taken"]);
    assert!(sample.read("new.toml").contains("[[account]]"));
    assert_eq!(arrived(&graph, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_relay_every_message_keeps_its_place_and_a_doubtful_one_is_named() {
    let graph = stand_in().await;
    let home = Home::with(&graph).build();
    let text = message("one", "a@example.org");
    let folder = queue(&home, &[("1.eml", &text), ("2.eml.sending", &text)]);
    let output = take_over(&home, "127.0.0.1:9", &folder);

    assert_eq!(output.status.code(), Some(75), "{}", said(&output));
    assert!(
        said(&output).contains("2.eml.sending: an earlier run ended"),
        "{}",
        said(&output)
    );
    assert!(
        said(&output).contains("graph-relay trace"),
        "{}",
        said(&output)
    );
    assert_eq!(names(&folder), ["1.eml", "2.eml.sending"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubtful_message_is_never_replaced_by_one_of_the_same_name() {
    let graph = stand_in().await;
    let home = Home::with(&graph).build();
    let relay = Relay::start(&home);
    let (before, now) = (message("b", "a@example.org"), message("n", "a@example.org"));
    let folder = queue(&home, &[("1.eml", &now), ("1.eml.sending", &before)]);

    let output = take_over(&home, &relay.address.to_string(), &folder);

    let words = said(&output);
    assert!(words.contains("1.eml.sending exists already"), "{words}");
    assert_eq!(names(&folder), ["1.eml", "1.eml.sending"]);
    let kept = fs::read_to_string(folder.join("1.eml.sending")).unwrap();
    assert_eq!(kept, before);
    assert_accepted(relay, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_messages_is_a_success_only_if_it_is_known_to_be_the_queue() {
    let graph = stand_in().await;
    let home = Home::with(&graph).build();
    let empty = queue(&home, &[("note.txt", "x")]);
    let named = take_over(&home, "127.0.0.1:9", &empty);
    assert_eq!(named.status.code(), Some(0), "{}", said(&named));
    let folder = home.path("another");
    fs::create_dir(&folder).unwrap();

    let output = take_over(&home, "127.0.0.1:9", &folder);

    let words = said(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("there is no message (.eml) in"), "{words}");

    fs::write(folder.join("1.eml.taken"), "x").unwrap();
    let again = take_over(&home, "127.0.0.1:9", &folder);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
}
