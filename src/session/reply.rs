//! Every reply that the relay gives, in one place: code (RFC 5321 4.2.3),
//! enhanced status (RFC 3463) and words that a person can act on.
//!
//! A reply is ASCII in lines that fit RFC 5321 4.5.3.1.5; what a client sent is
//! never put into one, but for addresses that were parsed.

use std::borrow::Cow;

use crate::mail::Address;
use crate::mail::EnhancedStatus;
use crate::mail::SpoolId;

/// A reply: code, enhanced status, text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// Missing in the greeting and in replies to HELO and EHLO (RFC 2034 4).
    pub status: Option<EnhancedStatus>,
    /// At least one line.
    pub lines: Vec<Cow<'static, str>>,
}

impl Reply {
    fn new(code: u16, status: EnhancedStatus, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            status: Some(status),
            lines: vec![text.into()],
        }
    }

    fn plain(code: u16, lines: Vec<Cow<'static, str>>) -> Self {
        Self {
            code,
            status: None,
            lines,
        }
    }

    /// Whether the command was refused, for now or for good.
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// Appends the reply as it goes over the wire (RFC 5321 4.2.1).
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (at, line) in self.lines.iter().enumerate() {
            let separator = if at == last { ' ' } else { '-' };
            out.extend_from_slice(format!("{}{separator}", self.code).as_bytes());
            if let Some(status) = self.status {
                out.extend_from_slice(format!("{status} ").as_bytes());
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    pub(super) fn greeting(hostname: &str) -> Self {
        Self::plain(220, vec![format!("{hostname} ESMTP graph-relay").into()])
    }

    pub(super) fn helo(hostname: &str) -> Self {
        Self::plain(250, vec![hostname.to_owned().into()])
    }

    pub(super) fn ehlo(hostname: &str, message_size: u64) -> Self {
        Self::plain(
            250,
            vec![
                hostname.to_owned().into(),
                "PIPELINING".into(),
                format!("SIZE {message_size}").into(),
                "8BITMIME".into(),
                "SMTPUTF8".into(),
                "ENHANCEDSTATUSCODES".into(),
                "HELP".into(),
            ],
        )
    }

    pub(super) fn sender_ok() -> Self {
        Self::new(250, EnhancedStatus::SENDER_OK, "Ok")
    }

    pub(super) fn recipient_ok() -> Self {
        Self::new(250, EnhancedStatus::RECIPIENT_OK, "Ok")
    }

    pub(super) fn start_data() -> Self {
        Self::plain(354, vec!["End data with <CR><LF>.<CR><LF>".into()])
    }

    pub(super) fn queued(id: SpoolId) -> Self {
        let text = format!("Ok: queued as {id}");
        Self::new(250, EnhancedStatus::SUCCESS, text)
    }

    pub(super) fn ok() -> Self {
        Self::new(250, EnhancedStatus::SUCCESS, "Ok")
    }

    pub(super) fn bye() -> Self {
        Self::new(221, EnhancedStatus::SUCCESS, "Bye")
    }

    pub(super) fn cannot_verify() -> Self {
        let text = "Cannot verify, but will take mail and try to deliver it";
        Self::new(252, EnhancedStatus::CANNOT_VERIFY, text)
    }

    pub(super) fn help() -> Self {
        let text = "HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT";
        Self::new(214, EnhancedStatus::SUCCESS, text)
    }

    /// The relay is stopping.
    pub fn shutting_down() -> Self {
        let text = "Service is stopping, try again soon";
        Self::new(421, EnhancedStatus::NOT_ACCEPTING, text)
    }

    /// The client was silent for too long.
    pub fn silent_too_long() -> Self {
        let text = "Silent for too long, closing";
        Self::new(421, EnhancedStatus::TIMED_OUT, text)
    }

    /// The session has lasted too long.
    pub fn session_too_long() -> Self {
        let text = "Session has lasted too long, connect again";
        Self::new(421, EnhancedStatus::TIMED_OUT, text)
    }

    /// This client has too many connections.
    pub fn too_many_connections() -> Self {
        let text = "Too many connections of this client at once (limits.connections_per_client)";
        Self::new(421, EnhancedStatus::CLIENT_LIMIT, text)
    }

    /// This client's network is not on the listener's list.
    pub fn network_not_allowed() -> Self {
        let text = "This client may not connect (networks of the [[listener]])";
        Self::new(554, EnhancedStatus::NOT_ALLOWED, text)
    }

    pub(super) fn too_many_errors() -> Self {
        let text = "Too many errors in this session, closing";
        Self::new(421, EnhancedStatus::CLIENT_LIMIT, text)
    }

    pub(super) fn not_smtp() -> Self {
        Self::new(421, EnhancedStatus::MISUSE, "This is SMTP, not HTTP")
    }

    pub(super) fn line_too_long() -> Self {
        Self::new(500, EnhancedStatus::SYNTAX, "Line too long")
    }

    pub(super) fn unknown_command() -> Self {
        Self::new(500, EnhancedStatus::SYNTAX, "Command not recognised")
    }

    pub(super) fn not_offered() -> Self {
        let text = "Command not offered here";
        Self::new(502, EnhancedStatus::BAD_SEQUENCE, text)
    }

    pub(super) fn bad_sequence(text: &'static str) -> Self {
        Self::new(503, EnhancedStatus::BAD_SEQUENCE, text)
    }

    pub(super) fn no_recipients() -> Self {
        let text = "No valid recipients";
        Self::new(554, EnhancedStatus::BAD_SEQUENCE, text)
    }

    pub(super) fn syntax(text: &'static str) -> Self {
        Self::new(501, EnhancedStatus::BAD_PARAMETER, text)
    }

    pub(super) fn unknown_parameter() -> Self {
        let text = "Parameter not recognised";
        Self::new(555, EnhancedStatus::BAD_PARAMETER, text)
    }

    pub(super) fn bad_sender(error: impl std::fmt::Display) -> Self {
        let text = format!("MAIL FROM: {error}");
        Self::new(501, EnhancedStatus::BAD_SENDER, text)
    }

    pub(super) fn bad_recipient(error: impl std::fmt::Display) -> Self {
        let text = format!("RCPT TO: {error}");
        Self::new(501, EnhancedStatus::BAD_RECIPIENT, text)
    }

    pub(super) fn odd_recipient() -> Self {
        let text = "RCPT TO: Exchange Online has no quoted names and no address literals";
        Self::new(553, EnhancedStatus::BAD_RECIPIENT, text)
    }

    pub(super) fn needs_utf8() -> Self {
        let text = "Address needs SMTPUTF8: say so in MAIL";
        Self::new(553, EnhancedStatus::NEEDS_UTF8, text)
    }

    pub(super) fn too_many_recipients(limit: usize) -> Self {
        let text = format!("Too many recipients: at most {limit} in one transaction");
        Self::new(452, EnhancedStatus::TOO_MANY_RECIPIENTS, text)
    }

    pub(super) fn too_big(limit: u64, why: &'static str) -> Self {
        let text = format!("Message too big: at most {limit} bytes, {why}");
        Self::new(552, EnhancedStatus::TOO_BIG, text)
    }

    pub(super) fn header_too_big(limit: usize) -> Self {
        let text = format!("Header section too big: at most {limit} bytes");
        Self::new(552, EnhancedStatus::TOO_BIG, text)
    }

    pub(super) fn bad_content(text: &'static str) -> Self {
        Self::new(550, EnhancedStatus::BAD_CONTENT, text)
    }

    pub(super) fn no_account(author: Option<&Address>) -> Self {
        let author = author
            .filter(|author| author.is_ascii())
            .map_or_else(String::new, |author| format!(" {author}"));
        let text = format!(
            "No [[account]] of this relay sends for the From address{author} (mailbox, senders, default_from)"
        );
        Self::new(550, EnhancedStatus::NOT_ALLOWED, text)
    }

    pub(super) fn storage_full() -> Self {
        let text = "Storage full, try again later (limits.free_space, limits.spool_size)";
        Self::new(452, EnhancedStatus::STORAGE_FULL, text)
    }

    pub(super) fn local_trouble() -> Self {
        let text = "Could not store the message, try again later";
        Self::new(451, EnhancedStatus::LOCAL_TROUBLE, text)
    }
}
