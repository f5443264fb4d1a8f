//! One connection: lines in, replies out, TLS when it is asked for.
//!
//! Replies to commands that came together go out together (RFC 2920 3.2). Lines
//! and buffers are bounded, whatever the client sends. A message between DATA
//! and its verdict is the matter of `receive.rs`.
//!
//! Every wait ends: with the client's silence, with the time that a session has
//! for AUTH or MAIL and as a whole, and when `slots/mod.rs` needs its slot. The slot is
//! given back before the client can read the last reply, so that a client that
//! connects again at once finds it free.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::debug;

use super::Newcomer;
use super::Rules;
use super::Shared;
use super::access::access;
use super::line::Line;
use super::receive::Received;
use super::slots::Slot;
use super::slots::stage::Event;
use super::stream;
use super::stream::Stream;
use crate::config::Listener;
use crate::config::Tls;
use crate::mail::Envelope;
use crate::session::LineEnd;
use crate::session::Reply;
use crate::session::Session;
use crate::session::Step;
use crate::session::Verdict;
use crate::telemetry::complaints;
use crate::telemetry::transcripts::Recording;
use crate::telemetry::transcripts::Secrecy;

/// How much is read at once.
pub(super) const READ: usize = 16 * 1024;
/// A TLS handshake that takes longer is none.
const HANDSHAKE: Duration = Duration::from_secs(60);
/// Why a client goes away in the middle.
const GONE_REMEDY: &str = "see the client's own log: it may have timed out, or got a reply that \
    it did not expect";
/// For how long the client may read its last reply, and close.
const LINGER: Duration = Duration::from_secs(1);
/// The same for a client that has to make room, and where too many linger.
const BRIEFLY: Duration = Duration::from_millis(100);

pub(super) struct Connection<'a> {
    pub(super) stream: Stream,
    pub(super) client: IpAddr,
    /// The listener's place in the rules.
    pub(super) number: usize,
    pub(super) listener: Arc<Listener>,
    /// Of the rules, see [`Shared::generation`].
    pub(super) generation: u64,
    pub(super) rules: Arc<Rules>,
    pub(super) shared: &'a Shared,
    pub(super) session: Session,
    pub(super) recording: Recording,
    /// Read and not yet used.
    pub(super) input: BytesMut,
    /// Said and not yet sent.
    output: Vec<u8>,
    /// Within DATA: how the client may have meant to end it.
    pub(super) odd_end: Option<LineEnd>,
    /// So many bytes of a PROXY preamble have come, and nothing else.
    pub(super) preamble: Option<usize>,
    /// The client does not take replies any more; what it has said is still read.
    is_deaf: bool,
    /// How the last line ended.
    pub(super) line_end: LineEnd,
    /// Bytes of an overlong line thrown away so far.
    pub(super) skipped: usize,
    /// When the session has lasted long enough.
    pub(super) end: Instant,
    /// Until when AUTH or MAIL has to come; `None` once it has.
    pub(super) early: Option<Instant>,
    pub(super) slot: Slot,
    /// Held while the client may read the last reply without a slot.
    lingering: Option<OwnedSemaphorePermit>,
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

impl<'a> Connection<'a> {
    pub(super) fn new(
        stream: TcpStream,
        newcomer: Newcomer,
        slot: Slot,
        shared: &'a Shared,
    ) -> Self {
        let Newcomer {
            client,
            number,
            listener,
            generation,
            rules,
        } = newcomer;
        let now = Instant::now();
        Self {
            stream: Stream::Plain(stream),
            client,
            session: Session::new(rules.session.clone(), access(&listener, client)),
            recording: Recording::begin(&shared.clock),
            number,
            listener,
            generation,
            input: BytesMut::new(),
            output: Vec::new(),
            odd_end: None,
            preamble: Some(0),
            is_deaf: false,
            line_end: LineEnd::CrLf,
            skipped: 0,
            end: now + rules.limits.session_timeout,
            early: Some(now + rules.limits.pre_mail_timeout),
            rules,
            slot,
            lingering: None,
            shared,
        }
    }

    /// The whole dialog.
    pub(super) async fn run(mut self) {
        let _nodelay = self.stream.set_nodelay();
        debug!(event = "connected", client = %self.client);
        let end = self.dialog().await;
        let how = format!("{end:?}");
        if matches!(end, End::Gone) {
            self.slot.release();
        }
        match end {
            End::Closed => self.close().await,
            End::Gone if self.session.is_under_way() => {
                let what = "the client disconnected before it had finished";
                let remedy = match self.misread() {
                    Some(line_end) => line_end.remedy(),
                    None => GONE_REMEDY,
                };
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
            let turned = match self.must_end() {
                Some(reply) => self.say_last(&reply).await,
                None => self.turn().await,
            };
            if let Err(end) = turned {
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
                let was_open = self.session.is_in_transaction();
                let step = self.session.line(&line);
                if self.session.is_in_transaction() && !was_open {
                    self.reached(Event::Mail);
                    self.allow_recipients();
                }
                step
            }
            Line::TooLong => self.session.line_too_long(),
            Line::Endless => Step::Close(Reply::line_too_long()),
            Line::ClientHello => {
                self.recording
                    .happened("the client began with a TLS handshake");
                Step::Close(Reply::tls_unexpected())
            }
            Line::Proxy => {
                self.recording
                    .happened("the connection began with a PROXY protocol preamble");
                Step::Close(Reply::proxy_unexpected())
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
                let reply = self.message(&reply, &envelope).await?;
                self.say(&reply);
                Ok(())
            }
            Step::Verify(credentials) => {
                self.flush().await?;
                self.slot.mark(Event::Verifying);
                let verification = self.verify(credentials).await?;
                let step = self.session.verified(verification);
                if self.session.identity().is_some() {
                    self.reached(Event::Authenticated);
                } else {
                    self.slot.mark(Event::NotVerified);
                }
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

    /// From DATA to the reply to its content, or to DATA if it cannot come now.
    async fn message(&mut self, go_on: &Reply, envelope: &Envelope) -> Result<Reply, End> {
        let mut room = self.has_room();
        if room.is_ok() && !self.take_recipients(envelope) {
            room = Err((Verdict::TooManyRecipients, String::new()));
        }
        if let Err((verdict, cause)) = room {
            let reply = self.session.not_now(verdict);
            complaints::refused(self.client, envelope, 0, &reply, &cause);
            return Ok(reply);
        }
        if !self.slot.mark(Event::Data) {
            self.give_recipients_back(envelope);
            self.say_last(&self.farewell()).await?;
        }
        self.say(go_on);
        let received = match self.flush().await {
            Ok(()) => self.receive(envelope).await,
            Err(end) => Err(end),
        };
        let is_queued = |received: &Received| matches!(received.verdict, Verdict::Queued(_));
        let queued = received.as_ref().is_ok_and(is_queued);
        if !queued {
            self.give_recipients_back(envelope);
        }
        let received = received?;
        let reply = self.session.verdict(received.verdict);
        if queued {
            self.slot.mark(Event::Accepted);
            self.recording.succeeded();
        } else {
            self.slot.mark(Event::NotAccepted);
            let (size, cause) = (received.size, &received.cause);
            complaints::refused(self.client, envelope, size, &reply, cause);
        }
        Ok(reply)
    }

    /// Begins TLS; a client that cannot is gone.
    async fn handshake(&mut self) -> Result<(), End> {
        let Some(config) = self.rules.tls.clone() else {
            return Err(End::Gone);
        };
        let until = Instant::now() + HANDSHAKE.min(self.rules.limits.command_timeout);
        let until = until.min(self.deadline());
        let leave = self.slot.leave().clone();
        let begun = tokio::select! {
            begun = tokio::time::timeout_at(until, self.stream.start_tls(config)) => begun,
            () = leave.cancelled() => return Err(End::Gone),
        };
        let begun = begun.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Err(error) = begun {
            if self.stream.was_silent() {
                // A health check, or a scan for open ports.
                debug!(event = "tls", client = %self.client, %error, "the client sent nothing");
                return Err(End::Gone);
            }
            let remedy = stream::remedy(&error);
            complaints::tls_failed(self.client, &error, remedy);
            let what = format!("TLS handshake failed: {error}");
            self.recording.happened(&what);
            self.recording.trouble(&what, remedy);
            return Err(End::Gone);
        }
        if let Some(version) = self.stream.tls_version() {
            self.recording.happened(version);
        }
        Ok(())
    }

    /// Waits for a command, for as long as the configuration and a stop allow.
    async fn wait_for_input(&mut self) -> Result<(), End> {
        let leave = self.slot.leave().clone();
        tokio::select! {
            read = self.read(self.rules.limits.command_timeout) => read,
            () = leave.cancelled() => self.say_last(&self.idle_farewell()).await,
        }
    }

    /// Reads some bytes; the client is told when that takes too long.
    pub(super) async fn read(&mut self, silence: Duration) -> Result<(), End> {
        self.input.reserve(READ);
        let now = Instant::now();
        let until = (now + silence).min(self.deadline());
        let read = match until > now {
            true => tokio::time::timeout_at(until, self.stream.read_buf(&mut self.input)).await,
            // What is there already must not let it go on for ever.
            false => return self.say_last(&self.out_of_time()).await,
        };
        match read {
            Ok(Ok(0) | Err(_)) => Err(End::Gone),
            Ok(Ok(bytes)) => {
                self.slot.received(bytes);
                Ok(())
            }
            Err(_) => self.say_last(&self.out_of_time()).await,
        }
    }

    /// Says something, when the input is used up.
    fn say(&mut self, reply: &Reply) {
        let begin = self.output.len();
        reply.write_to(&mut self.output);
        let said = self.output.get(begin..).unwrap_or_default();
        self.recording.said(said);
        if reply.is_refusal() && !reply.remedy.is_empty() {
            let said = String::from_utf8_lossy(said);
            self.recording.trouble(said.trim_end(), reply.remedy);
        }
    }

    /// Sends a last reply: always ends the connection. Its slot is free before the
    /// client can read the reply.
    pub(super) async fn say_last(&mut self, reply: &Reply) -> Result<(), End> {
        self.say(reply);
        let room = Arc::clone(&self.shared.lingering).try_acquire_owned();
        if let Ok(room) = room {
            self.lingering = Some(room);
            self.slot.release();
        }
        let time = self.parting();
        let written = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let written = tokio::time::timeout(time, written).await;
        self.output.clear();
        match written {
            Ok(Ok(())) => Err(End::Closed),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// Sends what was said. A client that has closed its connection hears nothing, but
    /// a whole message that it sent without waiting may be there to be read: only the
    /// end of what it has said ends the session.
    async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() || self.is_deaf {
            self.output.clear();
            return Ok(());
        }
        let until = Instant::now() + self.rules.limits.command_timeout;
        let until = until.min(self.deadline().max(Instant::now() + BRIEFLY));
        let leave = self.slot.leave().clone();
        let written = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let written = tokio::select! {
            biased;
            written = tokio::time::timeout_at(until, written) => written,
            // It does not read what it was told last.
            () = leave.cancelled() => return Err(End::Gone),
        };
        self.output.clear();
        match written {
            Ok(written) => {
                self.is_deaf = written.is_err();
                Ok(())
            }
            Err(_) => Err(End::Gone),
        }
    }

    /// How long a client may take to read its last reply.
    fn parting(&self) -> Duration {
        let makes_room = self.slot.leave().is_cancelled() && !self.shared.stop.is_cancelled();
        if self.lingering.is_some() && !makes_room {
            LINGER
        } else {
            BRIEFLY
        }
    }

    /// Closes so that the client can still read the last reply: with input
    /// unread, closing at once would reset the connection. Nobody sends more than a
    /// message before looking.
    async fn close(&mut self) {
        let time = self.parting();
        let mut left = self.rules.limits.message_size;
        let closing = async {
            if self.stream.shutdown().await.is_err() || time < LINGER {
                return;
            }
            let mut rest = [0; 1024];
            while left > 0
                && let Ok(read @ 1..) = self.stream.read(&mut rest).await
            {
                left = left.saturating_sub(read as u64);
            }
        };
        let _gone = tokio::time::timeout(time, closing).await;
    }

    fn tell_quirks(&mut self) {
        for quirk in self.session.new_quirks() {
            complaints::protocol_deviation(self.client, quirk.name());
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
