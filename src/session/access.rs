//! What a client may do in a session, as its listener says.

use std::sync::Arc;

use crate::mail::RecipientPolicy;

/// The rights of this client on this listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether the connection has TLS, or can get it.
    pub tls: Tls,
    /// Whether mail is accepted without authentication.
    pub authentication: Authentication,
    /// Whether a password is allowed without TLS.
    pub clear_passwords: ClearPasswords,
    /// To whom the client may send.
    pub recipients: Arc<RecipientPolicy>,
    /// Whether the client may send at all.
    pub sending: Sending,
}

/// Whether the connection has TLS, or can get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// TLS is not available.
    Off,
    /// With STARTTLS, if the client wants it.
    Offered,
    /// With STARTTLS, and no mail before it.
    Required,
    /// The connection uses TLS.
    Active,
}

/// Whether mail is accepted without authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// AUTH is not offered.
    Off,
    /// The client may authenticate.
    Optional,
    /// No mail is accepted without it.
    Required,
    /// The client may authenticate with any name and password, which are ignored.
    Any,
}

/// Whether a password is allowed without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClearPasswords {
    /// AUTH is offered without TLS too.
    Taken,
    /// AUTH is only offered within TLS.
    Refused,
}

/// Whether a client may send mail, or only look whether the relay answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It may.
    Allowed,
    /// It is a load balancer that may send nothing of its own.
    Refused,
}

impl Access {
    /// Whether a password is allowed now.
    pub(super) fn takes_passwords(&self) -> bool {
        // A password that is not checked needs no protection. But no AUTH is accepted
        // before TLS where TLS is required.
        let is_any = self.authentication == Authentication::Any && self.tls != Tls::Required;
        self.tls == Tls::Active || self.clear_passwords == ClearPasswords::Taken || is_any
    }
}
