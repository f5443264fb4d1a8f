//! One connection: lines in, replies out, and a message while DATA lasts.
//!
//! Replies to commands that came together go out together (RFC 2920 3.2). Lines
//! and buffers are bounded, whatever the client sends.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Buf;
use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::debug;

use super::DRAIN;
use super::Shared;
use crate::config::BareLf;
use crate::config::Listener;
use crate::mail::Envelope;
use crate::mail::Trace;
use crate::mime::Header;
use crate::mime::author;
use crate::routing::route;
use crate::session::DataReader;
use crate::session::Effect;
use crate::session::Fed;
use crate::session::Reply;
use crate::session::Session;
use crate::session::Step;
use crate::session::Verdict;
use crate::spool::AcceptError;
use crate::spool::INLINE_LIMIT;
use crate::spool::Incoming;
use crate::spool::NewEntry;
use crate::spool::is_full;
use crate::telemetry::maillog;

/// RFC 5321 4.5.3.1.4 asks for 512 octets and more with extensions; nothing
/// sensible is longer than this.
const LONGEST_LINE: usize = 4096;
/// Of a line that is too long, so much is read and thrown away.
const LONGEST_SKIP: usize = 1024 * 1024;
/// How much is read at once.
const READ: usize = 16 * 1024;

pub(super) struct Connection<'a> {
    stream: TcpStream,
    client: IpAddr,
    settings: &'a Listener,
    shared: &'a Shared,
    session: Session,
    /// Read and not yet used.
    input: BytesMut,
    /// Said and not yet sent.
    output: Vec<u8>,
    /// Bytes of an overlong line thrown away so far.
    skipped: usize,
    /// When the session has lasted long enough.
    end: Instant,
}

/// Why a connection ends; the client has been told.
#[derive(Debug)]
enum End {
    /// It said QUIT, or was told that it must go.
    Closed,
    /// It went away, or does not read what it is told.
    Gone,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// What stands at the beginning of the input.
enum Line {
    Whole(BytesMut),
    TooLong,
    Endless,
    Unfinished,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        stream: TcpStream,
        client: IpAddr,
        settings: &'a Listener,
        shared: &'a Shared,
    ) -> Self {
        Self {
            stream,
            client,
            settings,
            shared,
            session: Session::new(shared.session.clone()),
            input: BytesMut::new(),
            output: Vec::new(),
            skipped: 0,
            end: Instant::now() + shared.limits.session_timeout,
        }
    }

    /// Says why the connection is not wanted, and ends it.
    pub(super) async fn turn_away(&mut self, reply: &Reply) {
        debug!(event = "turned away", client = %self.client, code = reply.code);
        reply.write_to(&mut self.output);
        if self.flush().await.is_ok() {
            self.close().await;
        }
    }

    /// The whole dialog.
    pub(super) async fn run(&mut self) {
        let _nodelay = self.stream.set_nodelay(true);
        debug!(event = "connected", client = %self.client);
        self.session.greeting().write_to(&mut self.output);
        let end = loop {
            match self.turn().await {
                Ok(()) => {}
                Err(end) => break end,
            }
        };
        debug!(event = "disconnected", client = %self.client, ?end);
        if matches!(end, End::Closed) {
            self.close().await;
        }
    }

    /// One line, or waiting for more of it.
    async fn turn(&mut self) -> Result<(), End> {
        let step = match self.next_line() {
            Line::Whole(line) => self.session.line(&line),
            Line::TooLong => self.session.line_too_long(),
            Line::Endless => {
                let step = self.session.line_too_long();
                return self.say_last(&step.reply).await;
            }
            Line::Unfinished => {
                self.flush().await?;
                return self.wait_for_input().await;
            }
        };
        let Step { reply, effect } = step;
        match effect {
            Effect::Continue => {
                reply.write_to(&mut self.output);
                Ok(())
            }
            Effect::Close => self.say_last(&reply).await,
            Effect::Receive(envelope) => {
                let step = match self.shared.spool.check_room() {
                    Ok(()) => {
                        reply.write_to(&mut self.output);
                        self.flush().await?;
                        let verdict = self.receive(*envelope).await?;
                        self.session.verdict(verdict)
                    }
                    Err(error) => {
                        maillog::refused(self.client, &envelope, 0, "452", &error.to_string());
                        self.session.verdict(refusal(&error))
                    }
                };
                step.reply.write_to(&mut self.output);
                Ok(())
            }
        }
    }

    /// Reads the content of a message, to its end, and stores it.
    async fn receive(&mut self, envelope: Envelope) -> Result<Verdict, End> {
        let spool = &self.shared.spool;
        let mut incoming = spool.receive(spool.new_id());
        let limit = self.session.largest_content(&envelope);
        let mut reader = DataReader::default();
        let mut piece = Vec::new();
        let mut trouble: Option<Verdict> = None;
        let stop = self.shared.stop.clone();
        let drained = async move {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::pin!(drained);
        loop {
            piece.clear();
            let fed = reader.feed(&self.input, &mut piece);
            match fed {
                Fed::More => self.input.clear(),
                Fed::End(used) => self.input.advance(used),
            }
            if trouble.is_none() {
                trouble = store(&mut incoming, &piece, limit).await;
            }
            if matches!(fed, Fed::End(_)) {
                break;
            }
            tokio::select! {
                read = self.read(self.shared.limits.data_timeout) => read?,
                () = &mut drained => {
                    self.say_last(&Reply::shutting_down()).await?;
                }
            }
        }
        let faults = reader.faults();
        let refuse_lf = self.settings.bare_lf == BareLf::Refuse;
        if faults.nul || faults.bare_cr || (faults.bare_lf && refuse_lf) {
            trouble = Some(Verdict::Malformed(faults));
        }
        let size = incoming.size();
        let (verdict, cause) = match trouble {
            Some(verdict) => (verdict, String::new()),
            None => self.accept(incoming, envelope.clone()).await,
        };
        if !matches!(verdict, Verdict::Queued(_)) {
            let named = format!("{verdict:?}");
            maillog::refused(self.client, &envelope, size, &named, &cause);
        }
        Ok(verdict)
    }

    /// Stores a message that has come in whole. The text says why not, for the
    /// log.
    async fn accept(&self, incoming: Incoming, envelope: Envelope) -> (Verdict, String) {
        let head = incoming.head();
        let whole = head.len() as u64 == incoming.size();
        let Some(header) = Header::split(head, whole) else {
            return (Verdict::HeaderTooBig(INLINE_LIMIT), String::new());
        };
        if !self
            .session
            .carries(&envelope, incoming.size(), header.body as u64)
        {
            return (Verdict::TooBig, String::new());
        }
        let author = author(&header);
        let Some(lane) = route(&self.shared.accounts, author.as_ref()) else {
            return (Verdict::NoAccount(author), String::new());
        };
        let (id, size) = (incoming.id(), incoming.size());
        let entry = NewEntry {
            content: incoming,
            trace: self.trace(&envelope),
            envelope: envelope.clone(),
            author,
            lane: lane.clone(),
        };
        match self.shared.spool.accept(entry).await {
            Ok(_) => {
                maillog::accepted(id, self.client, &envelope, size, &lane);
                (Verdict::Queued(id), String::new())
            }
            Err(error) => (refusal(&error), error.to_string()),
        }
    }

    /// For the Received field: RFC 5321 4.4, and the registry of "mail
    /// transmission types".
    fn trace(&self, envelope: &Envelope) -> Trace {
        let hello = self.session.hello();
        let protocol = match hello {
            _ if envelope.utf8 => "UTF8SMTP",
            Some(hello) if hello.extended => "ESMTP",
            _ => "SMTP",
        };
        Trace {
            client: self.client,
            hello: hello.map_or_else(String::new, |hello| hello.name.clone()),
            protocol: protocol.to_owned(),
        }
    }

    /// Takes a line off the input. LF alone ends a command line: the tolerance
    /// is for what people type, and a command is not a message.
    fn next_line(&mut self) -> Line {
        let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else {
            if self.input.len() > LONGEST_LINE {
                self.skipped += self.input.len();
                self.input.clear();
            }
            if self.skipped > LONGEST_SKIP {
                return Line::Endless;
            }
            return Line::Unfinished;
        };
        let mut line = self.input.split_to(end + 1);
        if self.skipped > 0 || line.len() > LONGEST_LINE {
            self.skipped = 0;
            return Line::TooLong;
        }
        line.truncate(end);
        if line.last() == Some(&b'\r') {
            line.truncate(end - 1);
        }
        Line::Whole(line)
    }

    /// Waits for a command, for as long as the configuration and a stop allow.
    async fn wait_for_input(&mut self) -> Result<(), End> {
        let stop = self.shared.stop.clone();
        tokio::select! {
            read = self.read(self.shared.limits.command_timeout) => read,
            () = stop.cancelled() => self.say_last(&Reply::shutting_down()).await,
        }
    }

    /// Reads some bytes; the client is told when that takes too long.
    async fn read(&mut self, silence: Duration) -> Result<(), End> {
        self.input.reserve(READ);
        let now = Instant::now();
        let until = (now + silence).min(self.end);
        let read = tokio::time::timeout_at(until, self.stream.read_buf(&mut self.input)).await;
        match read {
            Ok(Ok(0) | Err(_)) => Err(End::Gone),
            Ok(Ok(_)) => Ok(()),
            Err(_) if until == self.end => self.say_last(&Reply::session_too_long()).await,
            Err(_) => self.say_last(&Reply::silent_too_long()).await,
        }
    }

    /// Sends a last reply: always ends the connection.
    async fn say_last(&mut self, reply: &Reply) -> Result<(), End> {
        reply.write_to(&mut self.output);
        self.flush().await?;
        Err(End::Closed)
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let timeout = self.shared.limits.command_timeout;
        let written = tokio::time::timeout(timeout, self.stream.write_all(&self.output)).await;
        self.output.clear();
        match written {
            Ok(written) => Ok(written?),
            Err(_) => Err(End::Gone),
        }
    }

    /// Closes so that the client can still read the last reply: with input
    /// unread, closing at once would reset the connection.
    async fn close(&mut self) {
        const LINGER: Duration = Duration::from_secs(1);
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let gone = async {
            let mut rest = [0; 1024];
            while matches!(self.stream.read(&mut rest).await, Ok(read) if read > 0) {}
        };
        let _gone = tokio::time::timeout(LINGER, gone).await;
    }
}

/// Stores a piece of content, unless it is too much.
async fn store(incoming: &mut Incoming, piece: &[u8], limit: u64) -> Option<Verdict> {
    if incoming.size() + piece.len() as u64 > limit {
        return Some(Verdict::TooBig);
    }
    match incoming.write(piece).await {
        Ok(()) => None,
        Err(error) if is_full(&error) => Some(Verdict::StorageFull),
        Err(_) => Some(Verdict::LocalTrouble),
    }
}

fn refusal(error: &AcceptError) -> Verdict {
    match error {
        AcceptError::Full(_) => Verdict::StorageFull,
        AcceptError::Failed(_) => Verdict::LocalTrouble,
    }
}
