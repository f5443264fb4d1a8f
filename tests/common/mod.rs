//! What the tests share: the real relay as a process, the stand-in for Entra
//! and Graph in the test's own process, and an SMTP client that says exactly
//! what it is told to.
//!
//! Nothing sleeps: every wait is for an event and fails after [`PATIENCE`].
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::missing_panics_doc,
    missing_docs,
    missing_debug_implementations
)]

pub mod author;
pub mod content;
pub mod entries;
pub mod keys;
pub mod load;
pub mod stored;
pub mod tls;
pub mod users;
pub mod wire;

use std::collections::BTreeSet;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Output;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use graph_relay::sandbox::Arrival;
use graph_relay::sandbox::Sandbox;
use graph_relay::sandbox::Settings;
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The mailbox of the stand-in's tenant that the relay sends from.
pub const MAILBOX: &str = "relay@sandbox.example";

/// The stand-in, on a free port.
pub async fn stand_in() -> Sandbox {
    stand_in_with(Settings::default()).await
}

pub async fn stand_in_with(settings: Settings) -> Sandbox {
    graph_relay::http::install_tls();
    let any_port = "127.0.0.1:0".parse().unwrap();
    Sandbox::start(any_port, settings).await.unwrap()
}

/// Waits until the stand-in has got so many messages.
pub async fn arrived(graph: &Sandbox, count: usize) -> Vec<Arc<Arrival>> {
    let waited = tokio::time::timeout(PATIENCE, graph.arrived(count)).await;
    assert!(
        waited.is_ok(),
        "only {} of {count} messages arrived",
        graph.arrivals().len()
    );
    graph.arrivals()
}

/// A folder with a configuration and a spool, which outlives relays.
pub struct Home {
    pub folder: Arc<TempDir>,
    pub config: PathBuf,
}

impl Home {
    /// A configuration for one account with the stand-in. `top` goes before the
    /// sections, `sections` behind them.
    pub fn new(graph: &Sandbox, sections: &str) -> Self {
        Self::with_accounts(&account(graph, MAILBOX, ""), sections)
    }

    pub fn with_accounts(accounts: &str, sections: &str) -> Self {
        let listener = "[[listener]]\naddress = \"127.0.0.1:0\"";
        Self::with_listeners(listener, accounts, sections)
    }

    pub fn with_listeners(listeners: &str, accounts: &str, sections: &str) -> Self {
        let home = Self::empty();
        let folder = home.folder.path().display();
        let secret = home.folder.path().join("client-secret");
        write_private(&secret, &Settings::default().client_secret);
        let accounts = accounts.replace("SECRET", &secret.display().to_string());
        let mut text = format!(
            "hostname = \"relay.test.example\"\ndata_dir = \"{folder}/data\"\n\
             {listeners}\n{accounts}\n{sections}\n\
             [log]\nformat = \"json\"\nlevel = \"debug\"\n"
        );
        if !sections.contains("[limits]") {
            text.push_str("[limits]\nfree_space = \"8 MB\"\n");
        }
        if !sections.contains("[delivery]") {
            text.push_str("[delivery]\nretry = [\"50ms\"]\n");
        }
        fs::write(&home.config, text).unwrap();
        home
    }

    pub fn empty() -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let config = folder.path().join("relay.toml");
        Self { folder, config }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds lines to the end of the configuration.
    pub fn append(&self, lines: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        fs::write(&self.config, format!("{text}{lines}\n")).unwrap();
    }

    /// Adds keys to the `[[listener]]`.
    pub fn add_to_listener(&self, keys: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        let address = "address = \"127.0.0.1:0\"\n";
        let text = text.replacen(address, &format!("{address}{keys}\n"), 1);
        fs::write(&self.config, text).unwrap();
    }
}

/// An `[[account]]` of the stand-in's tenant.
pub fn account(graph: &Sandbox, mailbox: &str, more: &str) -> String {
    let settings = Settings::default();
    format!(
        "[[account]]\nname = \"{mailbox}\"\ntenant = \"{}\"\nclient_id = \"{}\"\n\
         client_secret_file = \"SECRET\"\nmailbox = \"{mailbox}\"\n\
         login_url = \"{url}\"\ngraph_url = \"{url}\"\n{more}\n",
        settings.tenant,
        settings.client_id,
        url = graph.url()
    )
}

pub fn write_private(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graph-relay"));
    command
        .env_remove("GRAPH_RELAY_CONFIG")
        .env_remove("NOTIFY_SOCKET");
    command
}

/// What a command of a home's relay says and how it ends.
pub fn run(home: &Home, arguments: &[&str]) -> Output {
    let mut command = binary();
    command.args(arguments).arg("--config").arg(&home.config);
    // Whoever runs the tests may be behind a proxy.
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

/// All that a command said, on both of its outputs.
pub fn said(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr];
    let text = both.map(|text| String::from_utf8_lossy(text).into_owned());
    text.join("")
}

/// A running relay; killed when it is dropped.
pub struct Relay {
    child: Child,
    log: Arc<Log>,
    pub address: SocketAddr,
    /// Kept as long as the relay works in it.
    _folder: Option<Arc<TempDir>>,
}

#[derive(Default)]
struct Log {
    /// Parsed lines, and whether there will be no more.
    lines: Mutex<(Vec<Value>, bool)>,
    grown: Condvar,
}

impl Log {
    fn wait_until(&self, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            let lines = self.lines.lock().unwrap();
            let last = &lines.0[lines.0.len().saturating_sub(20)..];
            assert!(
                Instant::now() < deadline,
                "it does not come true: {last:#?}"
            );
            let often = Duration::from_millis(20);
            drop(self.grown.wait_timeout(lines, often).unwrap());
        }
    }
}

impl Relay {
    pub fn start(home: &Home) -> Self {
        let mut relay = Self::start_by(binary().arg("serve").arg("--config").arg(&home.config));
        relay._folder = Some(Arc::clone(&home.folder));
        relay
    }

    pub fn start_by(command: &mut Command) -> Self {
        let mut relay = Self::spawn(command);
        relay.event("started", |_| true);
        relay.address = relay.addresses()[0];
        relay
    }

    /// The relay once it serves, or as an error the one that ended before that.
    pub fn try_start_by(command: &mut Command) -> Result<Self, Self> {
        let mut relay = Self::spawn(command);
        if relay.event_unless_ended("started", |_| true).is_none() {
            relay.wait();
            return Err(relay);
        }
        relay.address = relay.addresses()[0];
        Ok(relay)
    }

    /// The process, which may not serve yet.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let (stderr, filled) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let Ok(line) = line else { break };
                let parsed = serde_json::from_str(&line).unwrap_or(Value::String(line));
                filled.lines.lock().unwrap().0.push(parsed);
                filled.grown.notify_all();
            }
            filled.lines.lock().unwrap().1 = true;
            filled.grown.notify_all();
        });
        Self {
            child,
            log,
            address: "127.0.0.1:0".parse().unwrap(),
            _folder: None,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Of all listeners, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let events = self.events("listening");
        let addresses = events
            .iter()
            .map(|event| event["address"].as_str().unwrap().parse().unwrap());
        addresses.collect()
    }

    /// The first log line of that event for which `is` holds; waits for it.
    pub fn event(&self, event: &str, is: impl Fn(&Value) -> bool) -> Value {
        let found = self.event_unless_ended(event, is);
        found.unwrap_or_else(|| panic!("the relay ended without {event}: {:#?}", self.all()))
    }

    /// The same; none if the relay ends without it.
    pub fn event_unless_ended(&self, event: &str, is: impl Fn(&Value) -> bool) -> Option<Value> {
        let matches = |line: &&Value| line["event"] == event && is(line);
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.0.iter().find(matches) {
                return Some(line.clone());
            }
            if lines.1 {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {event} in the log: {:#?}", lines.0);
            lines = self.log.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Waits until something holds, asking at every line of the log and often.
    pub fn wait_until(&self, holds: impl FnMut() -> bool) {
        self.log.wait_until(holds);
    }

    /// Waits until something holds, or until the relay has ended by itself: then
    /// how it ended.
    pub fn wait_until_or_ended(&mut self, mut holds: impl FnMut() -> bool) -> Option<ExitStatus> {
        let mut end = None;
        let (child, log) = (&mut self.child, &self.log);
        log.wait_until(|| {
            end = child.try_wait().unwrap();
            end.is_some() || holds()
        });
        end
    }

    /// How many messages were delivered so far.
    pub fn delivered(&self) -> usize {
        self.events("delivered").len()
    }

    /// All log lines of that event so far.
    pub fn events(&self, event: &str) -> Vec<Value> {
        let lines = self.log.lines.lock().unwrap();
        let of = lines.0.iter().filter(|line| line["event"] == event);
        of.cloned().collect()
    }

    /// The whole log so far.
    pub fn all(&self) -> Vec<Value> {
        self.log.lines.lock().unwrap().0.clone()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    pub fn connect(&self) -> Smtp {
        Smtp::connect(self.address)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended long ago.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An SMTP client that says what it is told.
pub struct Smtp<S = TcpStream> {
    stream: BufReader<S>,
}

impl Smtp<TcpStream> {
    /// Connects and reads the greeting.
    pub fn connect(address: SocketAddr) -> Self {
        let mut smtp = Self::connect_only(address);
        let greeting = smtp.reply();
        assert!(greeting.starts_with("220 "), "{greeting}");
        smtp
    }

    pub fn connect_only(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap()
    }

    pub fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}

impl<S: Read + Write> Smtp<S> {
    /// Over a connection that is there, TLS perhaps.
    pub fn over(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// One reply, all its lines; empty if the connection is closed.
    pub fn reply(&mut self) -> String {
        self.try_reply().unwrap()
    }

    pub fn try_reply(&mut self) -> std::io::Result<String> {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Ok(reply);
            }
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(reply);
            }
        }
    }

    /// Says a line and returns the reply.
    pub fn say(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    pub fn expect(&mut self, line: &str, code: &str) {
        let reply = self.say(line);
        assert!(reply.starts_with(code), "{line}: {reply}");
    }

    /// A whole transaction after EHLO; the content is stuffed here. Returns the
    /// reply to its end.
    pub fn send(&mut self, from: &str, to: &[&str], content: &[u8]) -> String {
        self.try_send(from, to, content).unwrap()
    }

    /// Like `send`; an error when the connection breaks.
    pub fn try_send(&mut self, from: &str, to: &[&str], content: &[u8]) -> std::io::Result<String> {
        let mut dialog = vec![format!("MAIL FROM:<{from}>")];
        dialog.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
        dialog.push("DATA".to_owned());
        for line in dialog {
            let reply = self.try_say(&line)?;
            if line == "DATA" && reply.starts_with("452") {
                return Ok(reply);
            }
            assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
        }
        let stream = self.stream.get_mut();
        stream.write_all(&stuffed(content))?;
        stream.write_all(b".\r\n")?;
        self.try_whole_reply()
    }

    /// Like `say`; an error when the connection breaks.
    pub fn try_say(&mut self, line: &str) -> std::io::Result<String> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes())?;
        self.try_whole_reply()
    }

    pub fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// One reply, all its lines; an error when the connection breaks.
    pub fn try_whole_reply(&mut self) -> std::io::Result<String> {
        let reply = self.try_reply()?;
        if reply.ends_with('\n') {
            Ok(reply)
        } else {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Reads until the connection is closed.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).unwrap();
        rest
    }
}

/// RFC 5321 4.5.2.
pub fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::new();
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed
}

/// Says EHLO and sends one message from the mailbox; returns its id.
pub fn send_one(relay: &Relay, to: &[&str], content: &str) -> String {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let reply = smtp.send(MAILBOX, to, content.as_bytes());
    id_of(&reply)
}

/// Sends plain messages to one recipient on one connection, with the subjects
/// `{name}0`, `{name}1` and so on; returns their ids.
pub fn send_many(relay: &Relay, name: &str, count: usize) -> Vec<String> {
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    let send = |n| {
        let content = message(&format!("{name}{n}"), "a@example.org");
        id_of(&smtp.send(MAILBOX, &["a@example.org"], content.as_bytes()))
    };
    (0..count).map(send).collect()
}

pub fn id_of(reply: &str) -> String {
    let id = reply.trim_end().strip_prefix("250 2.0.0 Ok: queued as ");
    id.unwrap_or_else(|| panic!("{reply}")).to_owned()
}

/// A complete plain message.
pub fn message(subject: &str, to: &str) -> String {
    format!(
        "From: App <{MAILBOX}>\r\nTo: {to}\r\nSubject: {subject}\r\n\
         Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <{subject}@app.example>\r\n\
         \r\nHello\r\n"
    )
}

/// What arrived without the fields of these names; the rest byte for byte.
pub fn without(raw: &[u8], names: &[&str]) -> Vec<u8> {
    let text = raw;
    let end = find(text, b"\r\n\r\n").map_or(text.len(), |at| at + 2);
    let mut kept = Vec::new();
    let mut dropping = false;
    for line in text[..end].split_inclusive(|byte| *byte == b'\n') {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap();
            let name = String::from_utf8_lossy(name);
            dropping = names
                .iter()
                .any(|dropped| name.eq_ignore_ascii_case(dropped));
        }
        if !dropping {
            kept.extend_from_slice(line);
        }
    }
    kept.extend_from_slice(&text[end..]);
    kept
}

pub fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Everybody whom an arrived message goes to.
pub fn recipients(arrival: &Arrival) -> BTreeSet<String> {
    let lists = arrival.to.iter().chain(&arrival.cc).chain(&arrival.bcc);
    lists.map(|address| address.to_lowercase()).collect()
}

pub fn set(addresses: &[&str]) -> BTreeSet<String> {
    addresses
        .iter()
        .map(|address| (*address).to_owned())
        .collect()
}
