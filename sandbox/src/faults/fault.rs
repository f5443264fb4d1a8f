//! A fault: what goes wrong on purpose, and where.
//!
//! One type serves both ways to ask for a fault: by API (`Sandbox::inject`, `POST
//! /sandbox/faults`; `waiting`) and by recipient address (`addresses`). `play` plays it.

use std::time::Duration;

use axum::http::HeaderValue;
use serde::Deserialize;
use serde::Serialize;

/// A failure that the stand-in is asked for. Begin with [`Fault::at`] or [`Fault::usual`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where it strikes.
    pub at: Station,
    /// The UPN of the only mailbox it strikes; all if `None`.
    #[serde(default)]
    pub mailbox: Option<String>,
    /// A text that the message contains, for `Station::Send`: as a proxy that looks into what passes.
    #[serde(default)]
    pub content: Option<String>,
    /// How many requests it strikes.
    #[serde(default = "once")]
    pub times: u32,
    /// The status answered; `None` leaves the usual answer (a bare 202 where nothing was done).
    #[serde(default)]
    pub status: Option<u16>,
    /// Graph's `code`, or Entra's `error`.
    #[serde(default)]
    pub code: Option<String>,
    /// Graph's `message`, or Entra's `error_description`.
    #[serde(default)]
    pub message: Option<String>,
    /// The value of `Retry-After`, as it is.
    #[serde(default)]
    pub retry_after: Option<String>,
    /// A body in place of the JSON error.
    #[serde(default)]
    pub body: Option<String>,
    /// The media type of `body`.
    #[serde(default)]
    pub content_type: Option<String>,
    /// How long the answer waits, after the message was taken if it is.
    #[serde(default, rename = "delay_ms", with = "milliseconds")]
    pub delay: Duration,
    /// Whether what was asked for is done all the same; if `None`, it is when the answer says so.
    #[serde(default)]
    pub stored: Option<bool>,
    /// Whether the connection is cut.
    #[serde(default)]
    pub cut: Option<Cut>,
    /// How many octets of the request's body are read before `Cut::Request`.
    #[serde(default)]
    pub cut_after: u64,
    /// Whether the upload session is at its end, with all that it was given: the PUT that it
    /// strikes, and every further one, is answered 404.
    #[serde(default)]
    pub expires: bool,
}

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Station {
    /// Entra's token endpoint.
    Token,
    /// Entra's page to sign in. A 302 goes back to the client with `code` as its `error`.
    Authorize,
    /// Entra's endpoint that gives device codes.
    Device,
    /// The token endpoints of managed identities.
    Identity,
    /// Graph's sendMail.
    Send,
    /// The creation of a draft.
    Draft,
    /// Looking at messages, at one, or at its attachments.
    Look,
    /// The change of a draft.
    Patch,
    /// The deletion of a message.
    Delete,
    /// The attachment of a small file.
    Attach,
    /// The beginning of an upload.
    Session,
    /// A part of an upload.
    Upload,
    /// Looking how far an upload is.
    Progress,
    /// Giving an upload up.
    Cancel,
    /// The sending of a draft.
    Submit,
}

impl Station {
    /// Whether it is of no mailbox.
    fn is_of_entra(self) -> bool {
        match self {
            Self::Token | Self::Authorize | Self::Device | Self::Identity => true,
            Self::Send
            | Self::Draft
            | Self::Look
            | Self::Patch
            | Self::Delete
            | Self::Attach
            | Self::Session
            | Self::Upload
            | Self::Progress
            | Self::Cancel
            | Self::Submit => false,
        }
    }
}

/// Where in the exchange the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// While the request is read: reset after `Fault::cut_after` octets of its body.
    Request,
    /// Before the answer: the connection is reset and the client hears nothing.
    Before,
    /// Within the answer's body, or within its head where it has none.
    During,
}

impl Fault {
    /// A fault that answers with this status, once.
    pub fn at(at: Station, status: u16) -> Self {
        Self {
            status: Some(status),
            ..Self::usual(at)
        }
    }

    /// A fault of sendMail that answers with this status, once.
    pub fn at_send(status: u16) -> Self {
        Self::at(Station::Send, status)
    }

    /// A fault of the token endpoint that answers with this status, once.
    pub fn at_token(status: u16) -> Self {
        Self::at(Station::Token, status)
    }

    /// An upload session that is at its end with its next part.
    pub fn expired_session() -> Self {
        Self {
            expires: true,
            ..Self::usual(Station::Upload)
        }
    }

    /// The usual answer: to be given a delay, a `Retry-After` or a cut.
    pub fn usual(at: Station) -> Self {
        Self {
            at,
            mailbox: None,
            content: None,
            times: 1,
            status: None,
            code: None,
            message: None,
            retry_after: None,
            body: None,
            content_type: None,
            delay: Duration::ZERO,
            stored: None,
            cut: None,
            cut_after: 0,
            expires: false,
        }
    }

    /// Why it could not be played, if so.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        let header = |value: &Option<String>| {
            value
                .as_ref()
                .is_none_or(|value| HeaderValue::from_str(value).is_ok())
        };
        if self.times == 0 {
            Some("times must be at least 1")
        } else if self.status.is_some_and(|it| !(200..600).contains(&it)) {
            Some("status must be from 200 to 599")
        } else if self.at.is_of_entra() && self.mailbox.is_some() {
            Some("a token is asked for without a mailbox")
        } else if self.content.is_some()
            && (self.at != Station::Send || self.cut == Some(Cut::Request))
        {
            Some("a content is looked for in what was read of a message for sendMail")
        } else if self.cut == Some(Cut::Request)
            && (self.at.is_of_entra() || self.stored == Some(true))
        {
            Some("a request is cut at Graph only, and what was not read is not stored")
        } else if self.expires && (self.at != Station::Upload || !self.stores()) {
            Some("what expires is an upload's session, and its usual answer says so")
        } else if !header(&self.retry_after) || !header(&self.content_type) {
            Some("retry_after and content_type must be values that a header can have")
        } else {
            None
        }
    }

    /// Whether what was asked for is done.
    pub(crate) fn stores(&self) -> bool {
        let promised = self.cut.is_none() && self.status.is_none_or(|status| status < 300);
        self.stored.unwrap_or(promised)
    }

    /// Whether Entra does what it is asked, be it heard or not.
    pub(crate) fn gives(&self) -> bool {
        let refused = self.status.is_some_and(|status| status >= 400);
        self.stored.unwrap_or(!refused)
    }
}

fn once() -> u32 {
    1
}

/// A duration as JSON's whole milliseconds.
mod milliseconds {
    use std::time::Duration;

    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;

    pub(crate) fn serialize<S: Serializer>(
        delay: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u128(delay.as_millis())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
