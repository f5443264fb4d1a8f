//! The enhanced status, `class.subject.detail` (RFC 3463).

use std::fmt;

/// The three numbers in a reply or a report. The values in use are constants, so that
/// each is chosen once: RFC 3463 3, RFC 5248.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnhancedStatus(u8, u16, u16);

impl EnhancedStatus {
    /// 2.0.0, success without more to say.
    pub const SUCCESS: Self = Self(2, 0, 0);
    /// 2.1.0, the reverse-path is fine.
    pub const SENDER_OK: Self = Self(2, 1, 0);
    /// 2.1.5, the forward-path is fine.
    pub const RECIPIENT_OK: Self = Self(2, 1, 5);
    /// 2.5.2, VRFY cannot tell, and mail is accepted.
    pub const CANNOT_VERIFY: Self = Self(2, 5, 2);
    /// 4.2.1/4.3.2, the service does not accept mail now.
    pub const NOT_ACCEPTING: Self = Self(4, 3, 2);
    /// 4.3.0, an error of the relay; try again.
    pub const LOCAL_TROUBLE: Self = Self(4, 3, 0);
    /// 4.3.1, disk full.
    pub const STORAGE_FULL: Self = Self(4, 3, 1);
    /// 4.3.5, a configuration error here or in the tenant.
    pub const MISCONFIGURED: Self = Self(4, 3, 5);
    /// 4.4.1, no answer from the other side.
    pub const NO_ANSWER: Self = Self(4, 4, 1);
    /// 4.4.2, the client was silent too long.
    pub const TIMED_OUT: Self = Self(4, 4, 2);
    /// 4.5.3, too many recipients for one transaction.
    pub const TOO_MANY_RECIPIENTS: Self = Self(4, 5, 3);
    /// 2.7.0, authenticated (RFC 4954 6).
    pub const AUTHENTICATED: Self = Self(2, 7, 0);
    /// 4.7.0, authentication is not possible now (RFC 4954 6).
    pub const CANNOT_AUTHENTICATE: Self = Self(4, 7, 0);
    /// 4.7.0, a limit of this client.
    pub const CLIENT_LIMIT: Self = Self(4, 7, 0);
    /// 4.7.1, not allowed, for now: a limit for a time, or a changed configuration.
    pub const NOT_NOW: Self = Self(4, 7, 1);
    /// 4.7.0, the input belongs to another protocol.
    pub const OTHER_PROTOCOL: Self = Self(4, 7, 0);
    /// 5.0.0, failed, with no better number.
    pub const FAILED: Self = Self(5, 0, 0);
    /// 5.1.0, one of the addresses; it is not known which.
    pub const SOME_ADDRESS: Self = Self(5, 1, 0);
    /// 5.1.2, mail cannot reach the domain of a recipient.
    pub const BAD_DESTINATION: Self = Self(5, 1, 2);
    /// 5.1.3, bad destination mailbox syntax.
    pub const BAD_RECIPIENT: Self = Self(5, 1, 3);
    /// 5.1.7, bad sender mailbox syntax.
    pub const BAD_SENDER: Self = Self(5, 1, 7);
    /// 5.3.4, message too big for the system.
    pub const TOO_BIG: Self = Self(5, 3, 4);
    /// 5.5.1, the command is not valid now.
    pub const BAD_SEQUENCE: Self = Self(5, 5, 1);
    /// 5.5.2, syntax.
    pub const SYNTAX: Self = Self(5, 5, 2);
    /// 5.5.4, parameters.
    pub const BAD_PARAMETER: Self = Self(5, 5, 4);
    /// 5.6.0, the content is not acceptable.
    pub const BAD_CONTENT: Self = Self(5, 6, 0);
    /// 5.6.7, a non-ASCII address without SMTPUTF8 (RFC 6531 3.5).
    pub const NEEDS_UTF8: Self = Self(5, 6, 7);
    /// 5.4.7, the retry period is over. RFC 3463 3.5 leaves the class open; to most
    /// readers of reports class 4 means that delivery is still being tried.
    pub const EXPIRED: Self = Self(5, 4, 7);
    /// 5.4.6, the message is in a loop.
    pub const LOOPING: Self = Self(5, 4, 6);
    /// 5.5.6, a line of AUTH that is too long (RFC 4954 6).
    pub const AUTH_LINE_TOO_LONG: Self = Self(5, 5, 6);
    /// 5.7.0, something must come first: TLS (RFC 3207 4) or authentication (RFC 4954 6);
    /// or it was cancelled.
    pub const SECURITY: Self = Self(5, 7, 0);
    /// 5.7.8, wrong name or password (RFC 4954 6).
    pub const WRONG_PASSWORD: Self = Self(5, 7, 8);
    /// 5.7.11, passwords are only accepted over TLS (RFC 4954 6).
    pub const PASSWORD_NEEDS_TLS: Self = Self(5, 7, 11);
    /// 5.7.1, not allowed by policy.
    pub const NOT_ALLOWED: Self = Self(5, 7, 1);
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}
