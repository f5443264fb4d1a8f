//! `setup` and `hash-password` at a terminal: what remains after an interruption, and
//! that `setup` asks again. The terminal is a pseudo-terminal of the test.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::termios;
use rustix::termios::LocalModes;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::PATIENCE;
use crate::common::binary;
use crate::common::stand_in;
use crate::common::terminal::open;
use crate::common::write_private;

/// `graph-relay setup` with a person at its terminal.
struct Person {
    child: Child,
    /// The person's end.
    terminal: File,
    /// The command's end, kept open so that its settings can be looked at.
    inner: OwnedFd,
    said: String,
}

impl Person {
    fn begin(home: &Home, graph: &Sandbox) -> Self {
        let url = graph.url();
        let mut command = binary();
        command
            .args(["setup", "--login-url", &url, "--graph-url", &url])
            .args(["--replace", "--config"])
            .arg(&home.config)
            .env("STATE_DIRECTORY", home.path("data"));
        Self::at(&mut command)
    }

    /// With this command on the terminal.
    fn at(command: &mut Command) -> Self {
        let (terminal, inner) = open(80);
        let child = command
            .stdin(Stdio::from(inner.try_clone().unwrap()))
            .stdout(Stdio::from(inner.try_clone().unwrap()))
            .stderr(Stdio::from(inner.try_clone().unwrap()))
            .spawn()
            .unwrap();
        Self {
            child,
            terminal,
            inner,
            said: String::new(),
        }
    }

    /// Waits for a question and answers it.
    fn answer(&mut self, question: &str, answer: &str) {
        self.wait_for(question);
        writeln!(self.terminal, "{answer}").unwrap();
    }

    fn wait_for(&mut self, question: &str) {
        while !self.said.contains(question) {
            let mut bytes = [0; 4096];
            let mut says = [PollFd::new(&self.terminal, PollFlags::IN)];
            let patience = Timespec::try_from(PATIENCE).unwrap();
            let ready = rustix::event::poll(&mut says, Some(&patience)).unwrap();
            assert!(ready > 0, "it never asks {question:?}: {}", self.said);
            let read = self.terminal.read(&mut bytes).unwrap();
            self.said.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        let end = self.said.find(question).unwrap() + question.len();
        self.said.drain(..end);
    }

    fn answer_to_the_secret(&mut self, value: &str) {
        let settings = Settings::default();
        self.answer("from all allowed mailboxes", "y");
        self.answer("(tenant) ID: ", &settings.tenant);
        self.answer("(client) ID: ", &settings.client_id);
        self.answer("(not shown", value);
    }

    fn shows_what_is_typed(&self) -> bool {
        let modes = termios::tcgetattr(&self.inner).unwrap().local_modes;
        modes.contains(LocalModes::ECHO)
    }

    /// Ctrl-C at the command's own terminal sends this signal.
    fn interrupt(&mut self) -> i32 {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        self.end()
    }

    fn end(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Files with their contents.
fn files(home: &Home) -> Vec<(String, String)> {
    let entries = fs::read_dir(home.folder.path()).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    let mut files: Vec<_> = files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_setup_leaves_secret_and_file_as_they_were() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    write_private(&home.path("client-secret"), "the-old-one");
    let before = files(&home);

    // At the hidden prompt: the terminal shows typed text again.
    let mut person = Person::begin(&home, &graph);
    person.answer_to_the_secret("");
    person.wait_for("the secret is required");
    person.wait_for("(not shown");
    assert!(!person.shows_what_is_typed());
    assert_eq!(person.interrupt(), 130);
    assert!(person.shows_what_is_typed());
    assert_eq!(files(&home), before);

    // At every question after the secret.
    let questions = [
        "Expiry date of the secret",
        "Mailbox that sends",
        "Other machines",
    ];
    for stop in 0..questions.len() {
        let mut person = Person::begin(&home, &graph);
        person.answer_to_the_secret("the-new-one");
        for question in &questions[..stop] {
            let answer = if question.contains("Mailbox") {
                MAILBOX
            } else {
                ""
            };
            person.answer(question, answer);
        }
        person.wait_for(questions[stop]);
        assert_eq!(person.interrupt(), 130);
        assert_eq!(files(&home), before, "{}", questions[stop]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_asks_again_after_a_wrong_answer_and_accepts_a_bare_address() {
    let graph = stand_in().await;
    let home = Home::empty();

    let mut person = Person::begin(&home, &graph);
    let value = Settings::default().client_secret;
    person.answer_to_the_secret(&format!("\"{value}\""));
    person.wait_for("a quotation mark");
    person.answer("(not shown", &value);
    person.answer("Expiry date of the secret", "");
    person.answer("Mailbox that sends", MAILBOX);
    person.answer("Other machines", "ten dot zero");
    person.wait_for("not a network");
    person.answer("Other machines", "192.0.2.5, 2001:db8::5 198.51.100.0/24");
    person.answer("Send a test message to", "");
    assert_eq!(person.end(), 0);

    let text = fs::read_to_string(&home.config).unwrap();
    let networks = "\"192.0.2.5/32\",\"2001:db8::5/128\",\"198.51.100.0/24\"]";
    assert!(text.replace(", ", ",").contains(networks), "{text}");
    let mode = |name: &str| fs::metadata(home.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("relay.toml"), mode("client-secret")), (0o640, 0o600));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_secret_stays_until_the_new_one_has_worked() {
    let graph = stand_in().await;
    let home = Home::empty();
    let good = Settings::default().client_secret;
    let set_up = |value: &str| {
        let mut person = Person::begin(&home, &graph);
        person.answer_to_the_secret(value);
        person.answer("Expiry date of the secret", "");
        person.answer("Mailbox that sends", MAILBOX);
        person.answer("Other machines", "");
        person
    };

    let mut first = set_up(&good);
    first.answer("Send a test message to", "");
    assert_eq!(first.end(), 0);
    fs::create_dir_all(home.path("data")).unwrap();
    let relay = UnixListener::bind(home.path("data/admin.sock")).unwrap();
    let mut wrong = set_up("wrong~value");
    wrong.wait_for("The old one is kept as");
    wrong.wait_for("relay.toml.old");
    // Something listens on the relay's socket.
    wrong.wait_for("To apply the new one: systemctl restart graph-relay");
    drop(relay);
    fs::remove_dir_all(home.path("data")).unwrap();
    wrong.wait_for("client-secret.old");
    assert_ne!(wrong.end(), 0);
    assert_eq!(
        fs::read_to_string(home.path("client-secret.old")).unwrap(),
        good
    );
    let mut right = set_up(&good);
    right.answer("Send a test message to", "");
    assert_eq!(right.end(), 0);
    assert!(!home.path("client-secret.old").exists());
    assert_eq!(
        fs::read_to_string(home.path("client-secret")).unwrap(),
        good
    );
}

#[test]
fn an_interrupted_hash_password_restores_the_terminal_echo() {
    let mut person = Person::at(binary().arg("hash-password"));
    person.wait_for("(not shown");
    assert!(!person.shows_what_is_typed());

    assert_eq!(person.interrupt(), 130);

    assert!(person.shows_what_is_typed());
}
