//! Plays a dialog against a relay. Any difference ends it, and is reported with the line.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::IpAddr;
use std::net::Shutdown;
use std::net::TcpStream;
use std::sync::Arc;

use graph_relay_sandbox::Arrival;
use graph_relay_sandbox::Sandbox;
use serde_json::Value;
use tokio::runtime::Handle;

use super::read::Dialog;
use super::read::Step;
use crate::common::PATIENCE;
use crate::common::Relay;
use crate::common::find;
use crate::common::recipients;
use crate::common::tls::Identity;
use crate::common::wire::connect_from;

/// Where a dialog takes place.
pub(crate) struct Stage<'a> {
    relay: &'a Relay,
    graph: &'a Sandbox,
    identity: &'a Identity,
    client: IpAddr,
    tcp: TcpStream,
    stream: Box<dyn Stream>,
    /// Lines that were read and not compared yet.
    input: Vec<u8>,
    /// The reply that was compared last, or is being compared.
    reply: Vec<String>,
    /// Messages that got their 250.
    queued: Vec<String>,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl<'a> Stage<'a> {
    pub(crate) fn new(
        relay: &'a Relay,
        graph: &'a Sandbox,
        identity: &'a Identity,
        client: IpAddr,
        runtime: &Handle,
    ) -> Self {
        let tcp = connect_from(runtime, client, relay.address).unwrap();
        Self {
            relay,
            graph,
            identity,
            client,
            stream: Box::new(tcp.try_clone().unwrap()),
            tcp,
            input: Vec::new(),
            reply: Vec::new(),
            queued: Vec::new(),
        }
    }

    pub(crate) fn play(mut self, dialog: &Dialog) -> Result<(), String> {
        for (line, step) in &dialog.steps {
            self.step(step).map_err(|why| format!(":{line}: {why}"))?;
        }
        // The log is complete once the connection is closed and the mail delivered.
        drop(self.tcp.shutdown(Shutdown::Both));
        self.wait_for("disconnected", "client", &self.client.to_string());
        for id in &self.queued {
            self.wait_for("delivered", "id", id);
        }
        let quirks = self.quirks();
        for (line, step) in &dialog.steps {
            let lacking = matches!(step, Step::LogsQuirk(quirk) if !quirks.contains(quirk));
            let extra = matches!(step, Step::LogsNoQuirk) && !quirks.is_empty();
            check(!lacking && !extra, || {
                format!(":{line}: the log has quirks {quirks:?}")
            })?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Say(segment) => told(self.stream.write_all(segment)),
            Step::Reply(line) => self.expect(line),
            Step::Offers(keyword) => {
                let offered = |line: &String| line.get(4..) == Some(keyword);
                let offered = self.reply.iter().any(offered);
                check(offered, || format!("{keyword} is not in {:?}", self.reply))
            }
            Step::OffersNot(keyword) => {
                let offered = |line: &String| line.get(4..).unwrap_or("").starts_with(keyword);
                let offered = self.reply.iter().any(offered);
                check(!offered, || format!("{keyword} is in {:?}", self.reply))
            }
            Step::Tls => self.upgrade(),
            Step::Closed => self.expect_end(false),
            Step::ClosedWithWords => self.expect_end(true),
            Step::Leave => told(self.tcp.shutdown(Shutdown::Both)),
            Step::Arrives(text) => self.expect_in_arrival(text, true),
            Step::ArrivesNot(text) => self.expect_in_arrival(text, false),
            Step::Recipients(wanted) => {
                let got = recipients(&*self.arrival()?);
                let same = got == wanted.iter().cloned().collect();
                check(same, || format!("it went to {got:?}"))
            }
            Step::LogsQuirk(_) | Step::LogsNoQuirk => Ok(()), // at the end
        }
    }

    /// Compares the next line, or the whole reply if `wanted` is `250-*`.
    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        if self.reply.last().is_none_or(|line| !goes_on(line)) {
            self.reply.clear();
        }
        loop {
            let read = self.line();
            let line = read.map_err(|why| format!("{wanted:?}, but {why}"))?;
            self.reply.push(line.clone());
            if let Some(id) = line.strip_prefix("250 2.0.0 Ok: queued as ") {
                self.queued.push(id.to_owned());
            }
            let whole = wanted.strip_suffix("-*").filter(|code| code.len() == 3);
            let fits = match (whole, wanted.strip_suffix('*')) {
                (Some(code), _) => line.starts_with(code),
                (None, Some(beginning)) => line.starts_with(beginning),
                (None, None) => line == wanted,
            };
            check(fits, || format!("{wanted:?}, but it says {line:?}"))?;
            if whole.is_none() || !goes_on(&line) {
                return Ok(());
            }
        }
    }

    /// The next line without its CRLF.
    fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n") {
                let line = self.input.drain(..end + 2).take(end).collect();
                return told(String::from_utf8(line));
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(format!("it closes after {:?}", self.input)),
                Ok(length) => self.input.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(format!("nothing comes for {PATIENCE:?}"));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn upgrade(&mut self) -> Result<(), String> {
        let early = String::from_utf8_lossy(&self.input);
        check(early.is_empty(), || format!("said before TLS: {early}"))?;
        let tcp = told(self.tcp.try_clone())?;
        self.stream = Box::new(told(self.identity.handshake(tcp))?);
        Ok(())
    }

    fn expect_end(&mut self, with_words: bool) -> Result<(), String> {
        if let Err(error) = self.stream.read_to_end(&mut self.input) {
            // A client of another protocol may be disconnected.
            let cut = error.kind() == ErrorKind::ConnectionReset && with_words;
            check(cut, || format!("not closed: {error}"))?;
        }
        let rest = String::from_utf8_lossy(&self.input);
        let silent = rest.is_empty() || with_words;
        check(silent, || format!("said before closing: {rest}"))
    }

    fn expect_in_arrival(&self, text: &[u8], there: bool) -> Result<(), String> {
        let arrival = self.arrival()?;
        let found = find(&arrival.raw, text).is_some();
        let raw = String::from_utf8_lossy(&arrival.raw);
        check(found == there, || format!("in it: {found}: {raw:?}"))
    }

    /// What Graph got of the last accepted message.
    fn arrival(&self) -> Result<Arc<Arrival>, String> {
        let id = self.queued.last().ok_or("no message was accepted")?;
        self.wait_for("delivered", "id", id);
        let received = format!(" id {id};");
        let arrivals = self.graph.arrivals();
        let ours = |arrival: &&Arc<Arrival>| find(&arrival.raw, received.as_bytes()).is_some();
        let arrival = arrivals.iter().find(ours);
        Ok(Arc::clone(arrival.ok_or("it did not arrive")?))
    }

    fn wait_for(&self, event: &str, field: &str, value: &str) {
        self.relay.wait_until(|| {
            let lines = self.relay.events(event);
            lines.iter().any(|line| line[field] == *value)
        });
    }

    /// The deviations that the log names for this client and its messages.
    fn quirks(&self) -> Vec<String> {
        let client = self.client.to_string();
        let ours = |line: &Value| {
            line["client"] == *client || self.queued.iter().any(|id| line["id"] == **id)
        };
        let lines = self
            .relay
            .events("protocol_deviation")
            .into_iter()
            .filter(ours);
        let names = lines.filter_map(|line| line["quirk"].as_str().map(str::to_owned));
        names.collect()
    }
}

/// Whether more lines of the reply follow (RFC 5321 4.2.1).
fn goes_on(line: &str) -> bool {
    line.as_bytes().get(3) == Some(&b'-')
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn told<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}
