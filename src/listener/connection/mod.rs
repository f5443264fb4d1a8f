//! A client's connection: bytes from it, replies to it, TLS when it is asked for, and
//! its end.
//!
//! Replies to commands that came together go out together (RFC 2920 3.2). Lines
//! and buffers are bounded, whatever the client sends. Every wait has an end that the
//! caller names. The slot is given back before the client can read the last reply, so
//! that a client that connects again at once finds it free.
//!
//! What is said, and until when to wait, is left to `dialog.rs` and `receive/`.

pub(super) mod input;
mod stream;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::debug;

use self::input::Input;
use self::stream::Stream;
use super::Shared;
use super::slots::Slot;
use crate::session::Reply;
use crate::telemetry::complaints;
use crate::telemetry::refusals::Refusals;
use crate::telemetry::transcripts::Recording;

/// The first byte of TLS: the type of a handshake record (RFC 8446 5.1). No command begins
/// with it.
pub(super) const HANDSHAKE: u8 = 0x16;
/// How many bytes are read at once.
const READ: usize = 16 * 1024;
/// How much input is read before the reply. RFC 4954 4 makes AUTH the last command of a
/// group, so an honest client sends nothing there.
const MOST_AHEAD: usize = 64 * 1024;
/// How long the client may take to read its last reply and close.
const LINGER: Duration = Duration::from_secs(1);
/// The same for a client that must make room, and when too many linger.
pub(super) const BRIEFLY: Duration = Duration::from_millis(100);

/// One client, its bytes, and its place among the connections.
pub(super) struct Connection<'a> {
    stream: Stream,
    client: IpAddr,
    shared: &'a Shared,
    /// Bytes that were read and not used yet.
    pub(super) input: Input,
    /// Replies that were not sent yet.
    output: Vec<u8>,
    /// Whether the client no longer accepts replies; its input is still read.
    is_deaf: bool,
    pub(super) slot: Slot,
    /// Held while the client may read the last reply without a slot.
    lingering: Option<OwnedSemaphorePermit>,
    /// What was heard and said.
    pub(super) recording: Recording,
    /// What was refused.
    pub(super) refusals: Refusals,
}

/// Why a connection ends. The client has been told.
#[derive(Debug)]
pub(super) enum End {
    /// It sent QUIT, or was told that it must go.
    Closed,
    /// It disconnected, or does not read its replies.
    Gone,
    /// It cannot begin TLS. That is noted.
    NoTls,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Some bytes.
    Some,
    /// Nothing in time.
    TimedOut,
}

impl<'a> Connection<'a> {
    pub(super) fn new(stream: TcpStream, client: IpAddr, slot: Slot, shared: &'a Shared) -> Self {
        let _nodelay = stream.set_nodelay(true);
        Self {
            stream: Stream::Plain(stream),
            client,
            shared,
            input: Input::default(),
            output: Vec::new(),
            is_deaf: false,
            slot,
            lingering: None,
            recording: Recording::begin(&shared.clock),
            refusals: Refusals::default(),
        }
    }

    /// Waits for a client that begins with TLS, and leaves its first byte unread; false if the
    /// client begins otherwise, or is silent until then.
    pub(super) async fn begins_with_tls(&mut self, until: Instant) -> Result<bool, End> {
        let leave = self.slot.leave().clone();
        tokio::select! {
            first = tokio::time::timeout_at(until, self.stream.first_byte()) => match first {
                Ok(Ok(Some(first))) => Ok(first == HANDSHAKE),
                Ok(Ok(None) | Err(_)) => Err(End::Gone),
                Err(_) => Ok(false),
            },
            // The dialog says so.
            () = leave.cancelled() => Ok(false),
        }
    }

    /// Begins TLS; a client that cannot is gone.
    pub(super) async fn start_tls(
        &mut self,
        config: Arc<ServerConfig>,
        until: Instant,
    ) -> Result<(), End> {
        // RFC 3207 4.2: input that arrived in the clear after STARTTLS may not come from
        // the client.
        self.input.clear();
        let leave = self.slot.leave().clone();
        let begun = tokio::select! {
            begun = tokio::time::timeout_at(until, self.stream.start_tls(config)) => begun,
            () = leave.cancelled() => return Err(End::Gone),
        };
        let begun = begun.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Err(error) = begun {
            return Err(self.failed_handshake(&error));
        }
        if let Some(version) = self.stream.tls_version() {
            self.recording.happened(version);
        }
        Ok(())
    }

    /// `TLS 1.3`, if it has TLS.
    pub(super) fn tls_version(&self) -> Option<&'static str> {
        self.stream.tls_version()
    }

    fn failed_handshake(&mut self, error: &io::Error) -> End {
        if self.stream.was_silent() {
            // A health check, or a port scan.
            debug!(event = "tls", client = %self.client, %error, "the client sent nothing");
            return End::Gone;
        }
        let remedy = stream::remedy(error);
        complaints::tls_failed(self.client, error, remedy);
        let what = format!("TLS handshake failed: {error}");
        self.recording.happened(&what);
        self.recording.trouble(&what, remedy);
        self.refusals.hopeless(&what, "", remedy);
        End::NoTls
    }

    /// Reads some bytes.
    pub(super) async fn read(&mut self, until: Instant) -> Result<Read, End> {
        // Input that has arrived already must not keep the session alive for ever.
        if until <= Instant::now() {
            return Ok(Read::TimedOut);
        }
        self.input.bytes.reserve(READ);
        let reading = self.stream.read_buf(&mut self.input.bytes);
        match tokio::time::timeout_at(until, reading).await {
            Ok(Ok(0) | Err(_)) => Err(End::Gone),
            Ok(Ok(bytes)) => {
                self.slot.received(bytes);
                Ok(Read::Some)
            }
            Err(_) => Ok(Read::TimedOut),
        }
    }

    /// Waits for the end of the connection. Input is kept for later, up to a bound beyond
    /// which the end is not noticed. A client that closes only its sending side counts as
    /// gone, because it cannot use the answer.
    pub(super) async fn gone(&mut self) {
        let bytes = &mut self.input.bytes;
        while bytes.len() < MOST_AHEAD {
            bytes.reserve(READ);
            match self.stream.read_buf(bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending::<()>().await;
    }

    /// Sends replies when all input was used.
    pub(super) fn say(&mut self, reply: &Reply) {
        let begin = self.output.len();
        reply.write_to(&mut self.output);
        let said = self.output.get(begin..).unwrap_or_default();
        self.recording.said(said);
        if !reply.is_refusal() {
            return self.refusals.accepted(reply.code);
        }
        let text = reply.to_string();
        self.refusals.refused(reply.code, &text, reply.remedy);
        if !reply.remedy.is_empty() {
            let said = String::from_utf8_lossy(said);
            self.recording.trouble(said.trim_end(), reply.remedy);
        }
    }

    /// Sends the replies. A client that has closed its connection does not read them, but
    /// a complete message that it sent without waiting may still be read, so only the end
    /// of its input ends the session.
    pub(super) async fn flush(&mut self, until: Instant) -> Result<(), End> {
        if self.output.is_empty() || self.is_deaf {
            self.output.clear();
            return Ok(());
        }
        let leave = self.slot.leave().clone();
        let written = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let written = tokio::select! {
            biased;
            written = tokio::time::timeout_at(until, written) => written,
            // It has not read the previous replies.
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

    /// Sends a last reply. The slot is free before the client can read it.
    pub(super) async fn say_last(&mut self, reply: &Reply) -> End {
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
            Ok(Ok(())) => End::Closed,
            Ok(Err(_)) | Err(_) => End::Gone,
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
    /// message, of this size at most, before looking.
    pub(super) async fn close(&mut self, message_size: u64) {
        let time = self.parting();
        let mut left = message_size;
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
}
