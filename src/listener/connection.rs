//! One connection: lines in, replies out, TLS when it is asked for.
//!
//! Replies to commands that came together go out together (RFC 2920 3.2). Lines
//! and buffers are bounded, whatever the client sends. A message between DATA
//! and its verdict is the matter of `receive.rs`.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::debug;

use super::Rules;
use super::Shared;
use super::stream;
use super::stream::Stream;
use crate::config::Authentication;
use crate::config::Listener;
use crate::config::Tls;
use crate::session;
use crate::session::Access;
use crate::session::ClearPasswords;
use crate::session::Credentials;
use crate::session::LONGEST_LINE;
use crate::session::Quirk;
use crate::session::Reply;
use crate::session::Session;
use crate::session::Step;
use crate::session::Verdict;
use crate::session::Verification;
use crate::telemetry::maillog;
use crate::telemetry::maillog::Told;
use crate::telemetry::transcripts::Recording;
use crate::telemetry::transcripts::Secrecy;

/// Of a line that is too long, so much is read and thrown away.
const LONGEST_SKIP: usize = 1024 * 1024;
/// How much is read at once.
const READ: usize = 16 * 1024;
/// A TLS handshake that takes longer is none.
const HANDSHAKE: Duration = Duration::from_secs(60);

pub(super) struct Connection<'a> {
    stream: Stream,
    pub(super) client: IpAddr,
    pub(super) listener: Arc<Listener>,
    pub(super) rules: Arc<Rules>,
    pub(super) shared: &'a Shared,
    pub(super) session: Session,
    pub(super) recording: Recording,
    /// Read and not yet used.
    pub(super) input: BytesMut,
    /// Said and not yet sent.
    output: Vec<u8>,
    /// Bytes of an overlong line thrown away so far.
    skipped: usize,
    /// When the session has lasted long enough.
    end: Instant,
}

/// Why a connection ends; the client has been told.
#[derive(Debug)]
pub(super) enum End {
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
    /// A TLS handshake, where none is due.
    ClientHello,
    Unfinished,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        stream: TcpStream,
        client: IpAddr,
        listener: Arc<Listener>,
        rules: Arc<Rules>,
        shared: &'a Shared,
    ) -> Self {
        Self {
            stream: Stream::Plain(stream),
            client,
            session: Session::new(rules.session.clone(), access(&listener, client)),
            recording: Recording::begin(&shared.clock),
            listener,
            input: BytesMut::new(),
            output: Vec::new(),
            skipped: 0,
            end: Instant::now() + rules.limits.session_timeout,
            rules,
            shared,
        }
    }

    /// The whole dialog.
    pub(super) async fn run(mut self) {
        let _nodelay = self.stream.set_nodelay();
        debug!(event = "connected", client = %self.client);
        let end = self.dialog().await;
        let how = format!("{end:?}");
        match end {
            End::Closed => self.close().await,
            End::Gone if self.session.is_under_way() => {
                let what = "the client went away in the middle";
                let remedy = "the client's own log says why: a timeout of its own, or an answer \
                              that it did not expect";
                self.recording.happened(what);
                self.recording.trouble(what, remedy);
            }
            End::Gone => {}
        }
        let client = self.client;
        self.keep();
        debug!(event = "disconnected", %client, end = how);
    }

    async fn dialog(&mut self) -> End {
        if self.listener.tls == Tls::Implicit
            && let Err(end) = self.handshake().await
        {
            return end;
        }
        let greeting = self.session.greeting();
        self.say(&greeting);
        loop {
            if let Err(end) = self.turn().await {
                return end;
            }
            self.tell_quirks();
        }
    }

    /// One line, or waiting for more of it.
    async fn turn(&mut self) -> Result<(), End> {
        let step = match self.next_line() {
            Line::Whole(line) => {
                let secrecy = if self.session.expects_secret() {
                    Secrecy::Secret
                } else {
                    Secrecy::Open
                };
                self.recording.heard(&line, secrecy);
                self.session.line(&line)
            }
            Line::TooLong => self.session.line_too_long(),
            Line::Endless => Step::Close(Reply::line_too_long()),
            Line::ClientHello => {
                self.recording
                    .happened("the client began with a TLS handshake");
                Step::Close(Reply::tls_unexpected())
            }
            Line::Unfinished => {
                self.flush().await?;
                return self.wait_for_input().await;
            }
        };
        self.take(step).await
    }

    async fn take(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Say(reply) => {
                self.say(&reply);
                Ok(())
            }
            Step::Close(reply) => self.say_last(&reply).await,
            Step::Receive(reply, envelope) => {
                let reply = match self.has_room() {
                    Ok(()) => {
                        self.say(&reply);
                        self.flush().await?;
                        let received = self.receive(&envelope).await?;
                        let queued = matches!(received.verdict, Verdict::Queued(_));
                        let reply = self.session.verdict(received.verdict);
                        if queued {
                            self.recording.succeeded();
                        } else {
                            let (size, cause) = (received.size, &received.cause);
                            maillog::refused(self.client, &envelope, size, &reply, cause);
                        }
                        reply
                    }
                    Err((verdict, cause)) => {
                        let reply = self.session.not_now(verdict);
                        maillog::refused(self.client, &envelope, 0, &reply, &cause);
                        reply
                    }
                };
                self.say(&reply);
                Ok(())
            }
            Step::Verify(credentials) => {
                self.flush().await?;
                let verification = self.verify(credentials).await?;
                let step = self.session.verified(verification);
                Box::pin(self.take(step)).await
            }
            Step::StartTls(reply) => {
                self.say(&reply);
                self.flush().await?;
                // RFC 3207 4.2: what came in the clear behind STARTTLS was not
                // necessarily said by the client.
                self.input.clear();
                self.handshake().await?;
                self.session.tls_started();
                Ok(())
            }
        }
    }

    async fn verify(&mut self, credentials: Credentials) -> Result<Verification, End> {
        let rules = Arc::clone(&self.rules);
        let mechanism = credentials.mechanism;
        let verifying = self
            .shared
            .verifier
            .verify(&rules.users, self.client, credentials);
        let stop = self.shared.stop.clone();
        tokio::select! {
            verification = verifying => {
                if let Verification::Accepted(identity) = &verification {
                    maillog::authenticated(self.client, &identity.name, &mechanism);
                }
                Ok(verification)
            }
            () = stop.cancelled() => {
                self.say_last(&Reply::shutting_down()).await?;
                Err(End::Closed)
            }
        }
    }

    /// Begins TLS; a client that cannot is gone.
    async fn handshake(&mut self) -> Result<(), End> {
        let Some(config) = self.rules.tls.clone() else {
            return Err(End::Gone);
        };
        let until =
            (Instant::now() + HANDSHAKE.min(self.rules.limits.command_timeout)).min(self.end);
        let stop = self.shared.stop.clone();
        let begun = tokio::select! {
            begun = tokio::time::timeout_at(until, self.stream.start_tls(config)) => begun,
            () = stop.cancelled() => return Err(End::Gone),
        };
        let begun = begun.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Err(error) = begun {
            if self.stream.was_silent() {
                // A health check, or a scan for open ports.
                debug!(event = "tls", client = %self.client, %error, "nothing was said");
                return Err(End::Gone);
            }
            let remedy = stream::remedy(&error);
            maillog::tls_failed(self.client, &error, remedy);
            let what = format!("TLS could not begin: {error}");
            self.recording.happened(&what);
            self.recording.trouble(&what, remedy);
            return Err(End::Gone);
        }
        if let Some(version) = self.stream.tls_version() {
            self.recording.happened(version);
        }
        Ok(())
    }

    /// Takes a line off the input. LF alone ends a command line: the tolerance
    /// is for what people type, and a command is not a message.
    fn next_line(&mut self) -> Line {
        // RFC 8446 5.1: a handshake record of TLS, whose lengths could be line ends.
        if self.input.starts_with(&[0x16, 0x03]) && self.skipped == 0 {
            return Line::ClientHello;
        }
        let Some(end) = memchr::memchr(b'\n', &self.input) else {
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
        } else {
            self.session.note(Quirk::BareLfCommand);
        }
        Line::Whole(line)
    }

    /// Waits for a command, for as long as the configuration and a stop allow.
    async fn wait_for_input(&mut self) -> Result<(), End> {
        let stop = self.shared.stop.clone();
        tokio::select! {
            read = self.read(self.rules.limits.command_timeout) => read,
            () = stop.cancelled() => self.say_last(&Reply::shutting_down()).await,
        }
    }

    /// Reads some bytes; the client is told when that takes too long.
    pub(super) async fn read(&mut self, silence: Duration) -> Result<(), End> {
        self.input.reserve(READ);
        let now = Instant::now();
        let until = (now + silence).min(self.end);
        let read = tokio::time::timeout_at(until, self.stream.read_buf(&mut self.input)).await;
        match read {
            Ok(Ok(0) | Err(_)) => Err(End::Gone),
            Ok(Ok(_)) => Ok(()),
            Err(_) if until == self.end => self.say_last(&Reply::session_too_long()).await,
            Err(_) if self.session.is_under_way() => self.say_last(&Reply::silent_too_long()).await,
            Err(_) => self.say_last(&Reply::idle_too_long()).await,
        }
    }

    /// Says something, when the input is used up.
    fn say(&mut self, reply: &Reply) {
        let begin = self.output.len();
        reply.write_to(&mut self.output);
        let said = self.output.get(begin..).unwrap_or_default();
        let said = String::from_utf8_lossy(said);
        for line in said.lines() {
            self.recording.said(line);
        }
        if reply.is_refusal() && !reply.remedy.is_empty() {
            self.recording.trouble(said.trim_end(), reply.remedy);
        }
    }

    /// Sends a last reply: always ends the connection.
    pub(super) async fn say_last(&mut self, reply: &Reply) -> Result<(), End> {
        self.say(reply);
        self.flush().await?;
        Err(End::Closed)
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let timeout = self.rules.limits.command_timeout;
        let written = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let written = tokio::time::timeout(timeout, written).await;
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
        let closing = async {
            if self.stream.shutdown().await.is_err() {
                return;
            }
            let mut rest = [0; 1024];
            while matches!(self.stream.read(&mut rest).await, Ok(read) if read > 0) {}
        };
        let _gone = tokio::time::timeout(LINGER, closing).await;
    }

    fn tell_quirks(&mut self) {
        for quirk in self.session.new_quirks() {
            self.shared.tell_quirk(self.client, quirk.name());
        }
    }

    /// Leaves the transcript, if something went wrong.
    fn keep(self) {
        let hello = self.session.hello().map(|hello| hello.name.clone());
        let user = self.session.identity().map(|user| user.name.clone());
        let listener = self.listener.address;
        self.shared
            .transcripts
            .keep(self.recording, self.client, listener, hello, user);
    }
}

/// What this client may do on this listener.
fn access(listener: &Listener, client: IpAddr) -> Access {
    Access {
        tls: match listener.tls {
            Tls::Off => session::Tls::Off,
            Tls::Starttls => session::Tls::Offered,
            Tls::StarttlsRequired => session::Tls::Required,
            Tls::Implicit => session::Tls::Active,
        },
        authentication: match listener.authentication {
            Authentication::Off => session::Authentication::Off,
            Authentication::Required if !listener.admits_anonymous(client) => {
                session::Authentication::Required
            }
            Authentication::Optional | Authentication::Required => {
                session::Authentication::Optional
            }
        },
        clear_passwords: if listener.admits_clear_passwords(client) {
            ClearPasswords::Taken
        } else {
            ClearPasswords::Refused
        },
    }
}

impl Shared {
    /// Logs a quirk of a client, loud when it is the first time.
    pub(super) fn tell_quirk(&self, client: IpAddr, quirk: &'static str) {
        let told = if self.clients.is_news(client, quirk, None) {
            Told::First
        } else {
            Told::Again
        };
        maillog::quirk(client, quirk, told);
    }
}
