//! Every reply of the relay: code (RFC 5321 4.2.3), enhanced status (RFC 3463) and a text
//! that says what to do. Replies about addresses are in `rights.rs`, those about a
//! message's size in `too_big.rs`.
//!
//! A reply is ASCII in lines that fit RFC 5321 4.5.3.1.5. It never contains what a client
//! sent, except for parsed addresses. A refusal also has a fix, which is shown to the
//! administrator and not to the client.

pub(super) mod ending;
pub(super) mod proxy;
mod rights;
mod too_big;

use std::borrow::Cow;
use std::fmt;

use self::proxy::LET_IT_IN;
use super::Access;
use super::ClearPasswords;
use super::Loop;
use super::Tls;
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
    /// The fix that an administrator can make, for a refusal: shown by `graph-relay
    /// sessions`.
    pub remedy: &'static str,
}

impl Reply {
    pub(super) fn new(
        code: u16,
        status: EnhancedStatus,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            status: Some(status),
            lines: vec![text.into()],
            remedy: "",
        }
    }

    pub(super) fn remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = remedy;
        self
    }

    fn plain(code: u16, lines: Vec<Cow<'static, str>>) -> Self {
        Self {
            code,
            status: None,
            lines,
            remedy: "",
        }
    }

    /// Whether the command was refused, temporarily or permanently.
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// Whether the command was refused temporarily.
    pub(super) fn is_for_now(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// RFC 5321 4.5.3.1.10: the client continues with the accepted recipients.
    pub(super) fn is_too_many_recipients(&self) -> bool {
        let too_many = [EnhancedStatus::TOO_MANY_RECIPIENTS, EnhancedStatus::NOT_NOW];
        self.status.is_some_and(|status| too_many.contains(&status))
    }

    /// Appends the bytes of the reply (RFC 5321 4.2.1).
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

    fn first_line(&self) -> &str {
        self.lines.first().map_or("", |line| line)
    }

    pub(super) fn greeting(hostname: &str) -> Self {
        Self::plain(220, vec![format!("{hostname} ESMTP graph-relay").into()])
    }

    pub(super) fn helo(hostname: &str) -> Self {
        Self::plain(250, vec![hostname.to_owned().into()])
    }

    pub(super) fn ehlo(hostname: &str, message_size: u64, starttls: bool, auth: bool) -> Self {
        let mut lines = vec![
            hostname.to_owned().into(),
            "PIPELINING".into(),
            format!("SIZE {message_size}").into(),
            "8BITMIME".into(),
            "SMTPUTF8".into(),
            "ENHANCEDSTATUSCODES".into(),
            "DSN".into(), // RFC 3461 4
        ];
        if starttls {
            lines.push("STARTTLS".into());
        }
        if auth {
            lines.push("AUTH PLAIN LOGIN".into());
            // In the form that clients from before RFC 2554 expect.
            lines.push("AUTH=PLAIN LOGIN".into());
        }
        lines.push("HELP".into());
        Self::plain(250, lines)
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
        let text = "Cannot verify the address, but will accept mail and try to deliver it";
        Self::new(252, EnhancedStatus::CANNOT_VERIFY, text)
    }

    pub(super) fn help() -> Self {
        let text = "HELO EHLO STARTTLS AUTH MAIL RCPT DATA RSET NOOP VRFY HELP QUIT";
        Self::new(214, EnhancedStatus::SUCCESS, text)
    }

    pub(super) fn start_tls() -> Self {
        Self::new(220, EnhancedStatus::SUCCESS, "Ready to start TLS")
    }

    /// Only the challenge, because some clients read the whole text as base64.
    pub(super) fn challenge(text: &'static str) -> Self {
        Self::plain(334, vec![text.into()])
    }

    pub(super) fn authenticated() -> Self {
        Self::new(235, EnhancedStatus::AUTHENTICATED, "Authenticated")
    }

    /// The listener checks no name and password.
    pub(super) fn let_in() -> Self {
        let text = "Accepted: this listener accepts any name and password";
        Self::new(235, EnhancedStatus::AUTHENTICATED, text)
    }

    /// The relay is stopping.
    pub fn shutting_down() -> Self {
        let text = "Service is stopping, try again soon";
        Self::new(421, EnhancedStatus::NOT_ACCEPTING, text)
    }

    /// The client was silent for too long.
    pub fn silent_too_long() -> Self {
        let text = "Silent for too long, closing";
        Self::new(421, EnhancedStatus::TIMED_OUT, text).remedy(
            "the client stopped responding, or the network lost the connection; for a slow device \
             raise limits.command_timeout or limits.data_timeout",
        )
    }

    /// The client kept an idle connection for too long, which is not an error.
    pub fn idle_too_long() -> Self {
        Self {
            remedy: "",
            ..Self::silent_too_long()
        }
    }

    /// The session has lasted too long.
    pub fn session_too_long() -> Self {
        let text = "Session has lasted too long, connect again";
        Self::new(421, EnhancedStatus::TIMED_OUT, text)
            .remedy("the client is very slow: raise limits.session_timeout if it is one of yours")
    }

    /// This client has too many connections.
    pub fn too_many_connections() -> Self {
        let text = "Too many simultaneous connections from this client \
            (limits.connections_per_client)";
        Self::new(421, EnhancedStatus::CLIENT_LIMIT, text).remedy(
            "raise limits.connections_per_client if the client needs more at once; most clients \
             try again by themselves",
        )
    }

    /// This client's network is not in the listener's list.
    pub fn network_not_allowed() -> Self {
        let text = "This client is not allowed to connect (networks of the [[listener]])";
        Self::new(554, EnhancedStatus::NOT_ALLOWED, text).remedy(LET_IT_IN)
    }

    /// The client began with a TLS handshake, and the listener expects STARTTLS or no
    /// TLS.
    pub fn tls_unexpected() -> Self {
        let text = "This port does not use implicit TLS";
        Self::new(500, EnhancedStatus::SYNTAX, text).remedy(
            "the client is set to SSL/TLS: set it to STARTTLS or to no encryption, or add a \
             [[listener]] with tls = \"implicit\" (or set tls = \"auto\" in this one)",
        )
    }

    /// The client began with a TLS handshake after the relay had greeted it without.
    pub fn tls_too_late() -> Self {
        let text = "Too late for implicit TLS on this port";
        Self::new(500, EnhancedStatus::SYNTAX, text).remedy(
            "with tls = \"auto\" the relay waits one second for TLS from the first byte, and the \
             client began later: set it to STARTTLS, or give it a [[listener]] with tls = \
             \"implicit\"",
        )
    }

    pub(super) fn too_many_errors() -> Self {
        let text = "Too many errors in this session, closing";
        Self::new(421, EnhancedStatus::CLIENT_LIMIT, text)
            .remedy("see the refusals before this one (limits.errors_per_session)")
    }

    pub(super) fn too_many_commands() -> Self {
        let text = "Too many commands without a message, closing";
        Self::new(421, EnhancedStatus::CLIENT_LIMIT, text).remedy(
            "the client sends no mail: if it is a monitoring check, let it close its \
                connection",
        )
    }

    pub(super) fn too_many_messages() -> Self {
        let text =
            "Too many messages in a minute, try again (limits.messages_per_minute_per_client)";
        Self::new(451, EnhancedStatus::CLIENT_LIMIT, text).remedy(
            "the client tries again; raise limits.messages_per_minute_per_client if it is too low",
        )
    }

    pub(super) fn not_smtp() -> Self {
        let text = "This is SMTP, not HTTP";
        Self::new(421, EnhancedStatus::OTHER_PROTOCOL, text)
            .remedy("this is a browser, a health check or a port scanner: point it at another port")
    }

    /// A line longer than [`super::LONGEST_LINE`].
    pub fn line_too_long() -> Self {
        Self::new(500, EnhancedStatus::SYNTAX, "Line too long")
            .remedy("no mail client sends such a long line: this does not look like a mail client")
    }

    pub(super) fn unknown_command() -> Self {
        Self::new(500, EnhancedStatus::SYNTAX, "Command not recognised")
            .remedy("the client sent something that is not an SMTP command: see what it sent")
    }

    pub(super) fn not_offered() -> Self {
        let text = "Command not offered here";
        Self::new(502, EnhancedStatus::BAD_SEQUENCE, text).remedy(
            "this [[listener]] does not offer what the client asks for: see its tls and \
             authentication, or turn encryption and authentication off in the client",
        )
    }

    pub(super) fn bad_sequence(text: &'static str) -> Self {
        Self::new(503, EnhancedStatus::BAD_SEQUENCE, text).remedy(
            "the client continues although an earlier command was refused, or it is not a \
                mail client",
        )
    }

    pub(super) fn no_recipients() -> Self {
        let text = "No valid recipients";
        Self::new(554, EnhancedStatus::BAD_SEQUENCE, text)
            .remedy("see why the recipients were refused")
    }

    /// Permanent only if DATA was refused permanently: a client that sends without
    /// waiting may read no other reply.
    pub(super) fn content_without_data(refusal: &Self) -> Self {
        let text = "DATA was refused, and this is not a command: closing";
        let (code, status) = match refusal.status {
            Some(status) if refusal.is_for_now() => (421, status),
            Some(_) | None => (503, EnhancedStatus::BAD_SEQUENCE),
        };
        Self::new(code, status, text).remedy(
            "the client sends a message without waiting for 354: find out why DATA was \
                refused",
        )
    }

    pub(super) fn tls_required() -> Self {
        let text = "Issue STARTTLS first (tls of the [[listener]])";
        Self::new(530, EnhancedStatus::SECURITY, text).remedy(
            "set the client to STARTTLS; if it cannot use TLS, add a [[listener]] with tls = \
             \"off\" and put its address into networks",
        )
    }

    pub(super) fn password_needs_tls() -> Self {
        let text = "Passwords are accepted only over TLS: issue STARTTLS first";
        Self::new(538, EnhancedStatus::PASSWORD_NEEDS_TLS, text).remedy(
            "set the client to STARTTLS; if it cannot use TLS, add a [[listener]] with tls = \
             \"off\" and put its address into networks",
        )
    }

    pub(super) fn authentication_required(access: &Access) -> Self {
        let no_tls =
            access.tls == Tls::Offered && access.clear_passwords == ClearPasswords::Refused;
        let text = if no_tls {
            "Authentication required, after STARTTLS (authentication of the [[listener]])"
        } else {
            "Authentication required (authentication of the [[listener]])"
        };
        Self::new(530, EnhancedStatus::SECURITY, text).remedy(
            "give the client the name and password of a [[user]]; if it cannot authenticate, add \
             its address to anonymous_networks",
        )
    }

    pub(super) fn unknown_mechanism() -> Self {
        let text = "Mechanism not supported: use PLAIN or LOGIN";
        Self::new(504, EnhancedStatus::BAD_PARAMETER, text).remedy(
            "set the client's authentication to PLAIN or LOGIN; NTLM and CRAM-MD5 are not \
                supported",
        )
    }

    pub(super) fn auth_cancelled() -> Self {
        Self::new(501, EnhancedStatus::SECURITY, "Authentication cancelled")
            .remedy("the client cancelled authentication: check that it has a password")
    }

    pub(super) fn auth_line_too_long() -> Self {
        Self::new(500, EnhancedStatus::AUTH_LINE_TOO_LONG, "Line too long")
            .remedy("no password is that long: this does not look like a mail client")
    }

    pub(super) fn bad_base64() -> Self {
        Self::new(
            501,
            EnhancedStatus::SYNTAX,
            "Not valid base64 of UTF-8 text",
        )
        .remedy(
            "the client encodes its name or password wrongly: use only letters and digits in both",
        )
    }

    pub(super) fn bad_credentials_form() -> Self {
        let text = "PLAIN must be NUL, name, NUL, password";
        Self::new(501, EnhancedStatus::SYNTAX, text)
            .remedy("the client does not implement PLAIN correctly: set it to LOGIN")
    }

    pub(super) fn other_identity() -> Self {
        let text = "Acting as another user is not allowed";
        Self::new(535, EnhancedStatus::WRONG_PASSWORD, text)
            .remedy("leave the client's authorization identity empty")
    }

    pub(super) fn wrong_password() -> Self {
        Self::new(
            535,
            EnhancedStatus::WRONG_PASSWORD,
            "Wrong name or password",
        )
        .remedy(
            "compare the client's name and password with the [[user]]; some devices can only \
             enter letters and digits",
        )
    }

    pub(super) fn too_many_wrong_passwords() -> Self {
        let text = "Too many wrong passwords, closing";
        Self::new(421, EnhancedStatus::CLIENT_LIMIT, text).remedy(
            "compare the client's name and password with the [[user]]; if the client is not \
             yours, remove it from networks",
        )
    }

    pub(super) fn cannot_authenticate() -> Self {
        let text = "Cannot verify passwords at the moment, try again later";
        Self::new(454, EnhancedStatus::CANNOT_AUTHENTICATE, text).remedy("see the log")
    }

    /// The reply to MAIL after an AUTH that could not be verified.
    pub(super) fn not_authenticated_yet() -> Self {
        Self {
            code: 451,
            ..Self::cannot_authenticate()
        }
    }

    pub(super) fn syntax(text: &'static str) -> Self {
        Self::new(501, EnhancedStatus::BAD_PARAMETER, text)
            .remedy("the client sent a malformed command: see what it sent")
    }

    pub(super) fn unknown_parameter() -> Self {
        let text = "Parameter not recognised";
        Self::new(555, EnhancedStatus::BAD_PARAMETER, text)
            .remedy("the client uses an extension that EHLO did not offer")
    }

    pub(super) fn too_many_recipients(limit: usize) -> Self {
        let text = format!("Too many recipients: at most {limit} in one transaction");
        Self::new(452, EnhancedStatus::TOO_MANY_RECIPIENTS, text).remedy(
            "most clients send to the remaining ones in another transaction; if this one does \
             not, raise limits.recipients",
        )
    }

    pub(super) fn bad_content(text: &'static str) -> Self {
        Self::new(550, EnhancedStatus::BAD_CONTENT, text).remedy(
            "the program that created the message ends its lines wrongly or sends binary data: \
             make it encode attachments in base64",
        )
    }

    pub(super) fn looping(sign: Loop) -> Self {
        let sign = match sign {
            Loop::Hops(limit) => {
                format!("more than {limit} Received fields (limits.received_headers)")
            }
            Loop::Returns(limit) => format!("this relay has seen it {limit} times before"),
        };
        let text = format!("Message is looping: {sign}");
        Self::new(554, EnhancedStatus::LOOPING, text).remedy(
            "two servers send it back and forth: check whether a mailbox forwards to this \
                relay",
        )
    }

    pub(super) fn storage_full() -> Self {
        let text = "Storage full, try again later (limits.free_space, limits.spool_size)";
        Self::new(452, EnhancedStatus::STORAGE_FULL, text).remedy(
            "graph-relay status shows which is full: for the spool, raise limits.spool_size or drop \
             failed messages; for the disk, free space where data_dir is",
        )
    }

    pub(super) fn local_trouble() -> Self {
        let text = "Could not store the message, try again later";
        Self::new(451, EnhancedStatus::LOCAL_TROUBLE, text).remedy("see the log: event=spool")
    }
}

/// As in a log: on one line.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.code)?;
        if let Some(status) = self.status {
            write!(f, "{status} ")?;
        }
        f.write_str(self.first_line())
    }
}
