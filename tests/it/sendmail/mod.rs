//! `graph-relay sendmail`, as programs call it: what arrives, who receives it, and what the
//! caller is told.

mod refusals;

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use graph_relay_sandbox::Sandbox;
use tempfile::TempDir;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::find;
use crate::common::recipients;
use crate::common::set;
use crate::common::stand_in;

/// A name of the program in a folder of its own, which goes with it.
struct Named {
    folder: TempDir,
    name: &'static str,
}

impl Named {
    fn new(name: &'static str) -> Self {
        let folder = TempDir::new().unwrap();
        symlink(env!("CARGO_BIN_EXE_graph-relay"), folder.path().join(name)).unwrap();
        Self { folder, name }
    }

    /// With a relay, and aliases of its own.
    fn command(&self, relay: SocketAddr) -> Command {
        let mut command = Command::new(self.folder.path().join(self.name));
        command
            .env("GRAPH_RELAY_ADDRESS", relay.to_string())
            .env_remove("GRAPH_RELAY_CONFIG")
            .arg(format!(
                "-oA{}",
                self.folder.path().join("aliases").display()
            ));
        command
    }

    fn aliases(&self, text: &str) {
        fs::write(self.folder.path().join("aliases"), text).unwrap();
    }
}

fn started(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What comes of a message on standard input.
fn given(command: &mut Command, message: &[u8]) -> Output {
    let mut child = started(command);
    let mut stdin = child.stdin.take().unwrap();
    // The command may end before it has read all.
    drop(stdin.write_all(message));
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn send(relay: SocketAddr, arguments: &[&str], message: &str) -> Output {
    let sendmail = Named::new("sendmail");
    given(sendmail.command(relay).args(arguments), message.as_bytes())
}

/// How a command ended, and what it said.
fn told(output: &Output) -> (i32, String) {
    let words = String::from_utf8(output.stderr.clone()).unwrap();
    (output.status.code().unwrap(), words)
}

fn done(output: &Output) {
    assert_eq!(told(output), (0, String::new()));
}

async fn relay_with(limits: &str) -> (Sandbox, Relay) {
    let graph = stand_in().await;
    let relay = Home::with(&graph).limits(limits).start();
    (graph, relay)
}

/// An address where nobody listens.
fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_to_those_in_its_header_and_bcc_is_not_told() {
    let (graph, relay) = relay_with("").await;
    let message = "To: Ada <ada@example.org>,\n bob@example.org\nCc: eve@example.org (Eve)\n\
        Bcc: blind@example.org\nSubject: hello\nX-Of-The-Caller: kept\n\none\n.two\n.\nthree";

    let output = send(relay.address, &["-t", "-i"], message);

    done(&output);
    let arrival = &arrived(&graph, 1).await[0];
    let all = ["ada", "blind", "bob", "eve"].map(|name| format!("{name}@example.org"));
    assert_eq!(recipients(arrival), all.into());
    assert_eq!(arrival.bcc, ["blind@example.org"]);
    let raw = &arrival.raw;
    assert!(find(raw, b"\r\nX-Of-The-Caller: kept\r\n").is_some());
    assert!(raw.ends_with(b"\r\n\r\none\r\n.two\r\n.\r\nthree\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_of_the_command_line_get_what_cron_sends() {
    let (graph, relay) = relay_with("").await;
    let sendmail = Named::new("sendmail");
    sendmail.aliases("root: it@example.org,\n\tada\nada: ada@example.org\n");
    let cron = ["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"];
    let message = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> job\n\
        MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n\
        Content-Transfer-Encoding: 8bit\n\nGröße\n";

    let output = given(
        sendmail.command(relay.address).args(cron),
        message.as_bytes(),
    );

    done(&output);
    let arrival = &arrived(&graph, 1).await[0];
    assert_eq!(
        recipients(arrival),
        set(&["ada@example.org", "it@example.org"])
    );
    assert_eq!(arrival.from, [MAILBOX]);
    assert!(find(&arrival.raw, b"From: \"Cron Daemon\" <").is_some());
    let to = b"To: \"root\" <it@example.org>,\r\n \"root\" <ada@example.org>\r\n";
    assert!(find(&arrival.raw, to).is_some());
    assert!(arrival.raw.ends_with("\r\n\r\nGröße\r\n".as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_no_alias_here_may_be_one_of_the_relay() {
    let graph = stand_in().await;
    let aliases = "[aliases]\nroot = \"it@example.org\"";
    let relay = Home::with(&graph).sections(aliases).start();

    done(&send(relay.address, &["root"], "Subject: x\n\nhello\n"));

    let arrival = &arrived(&graph, 1).await[0];
    assert_eq!(recipients(arrival), set(&["it@example.org"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_whoever_calls_or_whom_the_caller_names() {
    let (_graph, relay) = relay_with("").await;
    let machine = rustix::system::uname();
    let host = machine.nodename().to_str().unwrap();
    let domain = fs::read_to_string("/etc/mailname").unwrap_or_else(|_| host.to_owned());
    let domain = domain.trim();
    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap();

    for (arguments, expected) in [
        (&[][..], format!("<{}@{domain}>", user.trim())),
        (&["-f", "www-data"], format!("<www-data@{domain}>")),
        (
            &["-r", "Shop <shop@example.org>"],
            "<shop@example.org>".to_owned(),
        ),
        (&["-f", ""], "<>".to_owned()),
        (&["-f<>"], "<>".to_owned()),
        // php.ini names one, and mail() another.
        (
            &["-i", "-oi", "-fa@b.example", "-fc@d.example"],
            "<c@d.example>".to_owned(),
        ),
    ] {
        let message = format!("From: {MAILBOX}\nSubject: x\n\nhello\n");
        let to = [arguments, &["-v", "a@example.org"]].concat();
        let output = send(relay.address, &to, &message);
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        let id = said
            .trim()
            .strip_prefix("250 2.0.0 Ok: queued as ")
            .unwrap();
        let accepted = relay.event("accepted", |line| line["id"] == id);
        assert_eq!(accepted["from"], expected.as_str(), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_from_gets_the_full_name_of_the_sender() {
    let (graph, relay) = relay_with("").await;
    let options = ["-F", "Nightly Backup", "-f", MAILBOX, "a@example.org"];

    done(&send(relay.address, &options, "only a text\n"));

    let raw = arrived(&graph, 1).await[0].raw.clone();
    let from = format!("From: Nightly Backup <{MAILBOX}>\r\n");
    assert!(find(&raw, from.as_bytes()).is_some());
    assert!(raw.ends_with(b"\r\n\r\nonly a text\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_recipients_than_a_message_may_have_get_it_in_several() {
    let (graph, relay) = relay_with("recipients = 2").await;
    let to = ["a", "b", "c", "d", "e"].map(|name| format!("{name}@example.org"));

    done(&send(
        relay.address,
        &[&to.join(", ")],
        "Subject: x\n\n.hello\n",
    ));

    let arrivals = arrived(&graph, 3).await;
    let everybody: Vec<_> = arrivals.iter().flat_map(|it| recipients(it)).collect();
    assert_eq!(everybody.len(), 5);
    assert_eq!(
        everybody
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>(),
        to.into()
    );
    assert!(
        arrivals
            .iter()
            .all(|it| it.raw.ends_with(b"\r\n\r\n.hello\r\n"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_is_found_by_its_configuration() {
    let graph = stand_in().await;
    let listener = format!("[[listener]]\naddress = \"{}\"", nowhere());
    let home = Home::with(&graph).sections(&listener).build();
    let _relay = Relay::start(&home);
    let sendmail = Named::new("sendmail");
    let mut command = sendmail.command(nowhere());
    command.env_remove("GRAPH_RELAY_ADDRESS");
    command.args(["--config", home.config.to_str().unwrap(), "a@example.org"]);

    done(&given(&mut command, b"Subject: x\n\nhello\n"));

    arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_may_speak_smtp_itself() {
    let (graph, relay) = relay_with("").await;
    let sendmail = Named::new("sendmail");
    let mut child = started(sendmail.command(relay.address).arg("-bs"));
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut reply = || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line
    };
    let mut say = |line: &str| input.write_all(format!("{line}\r\n").as_bytes()).unwrap();

    assert!(reply().starts_with("220 "));
    for (line, expected) in [
        ("HELO me", "250 "),
        ("MAIL FROM:<root@host>", "250 "),
        ("RCPT TO:<a@example.org>", "250 "),
        ("DATA", "354 "),
        ("Subject: x\r\n\r\nhello\r\n.", "250 "),
        ("QUIT", "221 "),
    ] {
        say(line);
        let said = reply();
        assert!(said.starts_with(expected), "{line}: {said}");
    }

    // It ends although its input is open.
    assert_eq!(child.wait().unwrap().code(), Some(0));
    arrived(&graph, 1).await;
}

#[test]
fn a_caller_who_speaks_smtp_is_told_in_smtp_that_the_relay_is_away() {
    let output = send(nowhere(), &["-bs"], "");

    assert_eq!(output.status.code(), Some(75));
    assert!(output.stdout.starts_with(b"421 4.3.0 "), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mailq_lists_the_queue_and_a_flush_retries_it() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let relay = Relay::start(&home);
    let mailq = Named::new("mailq");
    let config = ["--config", home.config.to_str().unwrap()];

    let listed = mailq.command(relay.address).args(config).output().unwrap();
    let sendmail = Named::new("sendmail");
    let flushed = sendmail
        .command(relay.address)
        .args(config)
        .arg("-q")
        .output();

    let (code, words) = told(&listed);
    assert_eq!(
        (code, words.trim()),
        (0, "nothing is waiting and nothing has failed")
    );
    let (code, words) = told(&flushed.unwrap());
    assert_eq!((code, words.trim()), (0, "no matching messages"));
}

#[test]
fn newaliases_names_the_lines_that_cannot_be_used() {
    let newaliases = Named::new("newaliases");
    newaliases.aliases("root: it@example.org\n");
    done(&newaliases.command(nowhere()).output().unwrap());

    newaliases.aliases("root: it@example.org\nlogs: |/bin/logger\n");
    let (code, words) = told(&newaliases.command(nowhere()).output().unwrap());

    assert_eq!(code, 65);
    assert!(
        words.contains("aliases: line 2: alias logs: \"|/bin/logger\""),
        "{words}"
    );
}

#[test]
fn a_large_message_is_not_kept_in_memory() {
    const LINES: usize = 2_000_000;
    let sendmail = Named::new("sendmail");
    let mut child = started(sendmail.command(nowhere()).args(["-i", "a@example.org"]));
    let mut stdin = child.stdin.take().unwrap();
    let line = b"forty bytes of text, as they stand there\n";
    for _ in 0..LINES / 1000 {
        stdin.write_all(&line.repeat(1000)).unwrap();
    }

    // All of it has been read, except for what fits into a pipe.
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    drop(stdin);

    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let most = status
        .lines()
        .find_map(|it| it.strip_prefix("VmHWM:"))
        .unwrap();
    let most: usize = most.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(most * 1024 < LINES * line.len() / 2, "{most} kB");
}
