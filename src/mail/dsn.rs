//! A client's requests for reports on its message (RFC 3461): RET and ENVID of MAIL,
//! NOTIFY and ORCPT of each RCPT.
//!
//! Every value is safe in a field of a report, a log line or a column: printable ASCII of
//! bounded length, on one line. `session/syntax/dsn.rs` parses the values in commands,
//! and `delivery/report/mod.rs` uses them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::mail::Address;

/// A client's requests for reports on one message; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportRequest {
    /// RET: how much of the message a failure report returns.
    pub returned: Option<Returned>,
    /// ENVID: the client's own name for the message.
    pub envelope_id: Option<EnvelopeId>,
    /// `recipients_allowed` and `redirect_all_to` do not allow mail to the sender, so the
    /// sender gets no reports either.
    pub sender_is_barred: bool,
    /// By [`Address::key`]; only recipients with requests.
    recipients: BTreeMap<String, RecipientRequest>,
}

/// A client's requests for one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientRequest {
    /// NOTIFY; without it the relay reports failures and delays.
    pub notify: Option<NotifyOn>,
    /// ORCPT: the recipient before the message was redirected.
    pub original: Option<OriginalRecipient>,
}

/// RET (RFC 3461 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// `FULL`: the whole message.
    Message,
    /// `HDRS`: its header section.
    Header,
}

/// NOTIFY (RFC 3461 4.1): the events that the sender wants to be told about. `NEVER` is
/// none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyOn {
    /// The message was submitted.
    pub success: bool,
    /// It has failed.
    pub failure: bool,
    /// It is late.
    pub delay: bool,
}

/// The decoded value of ENVID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeId(String);

/// The decoded value of ORCPT: `type;address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalRecipient(String);

/// A value that RFC 3461 does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a value that RFC 3461 allows")]
pub struct BadRequest;

impl ReportRequest {
    /// The requests in MAIL; none for a recipient yet.
    pub fn new(returned: Option<Returned>, envelope_id: Option<EnvelopeId>) -> Self {
        Self {
            returned,
            envelope_id,
            sender_is_barred: false,
            recipients: BTreeMap::new(),
        }
    }

    /// The requests for a recipient, if there are any.
    pub fn of(&self, recipient: &Address) -> Option<&RecipientRequest> {
        if self.recipients.is_empty() {
            return None;
        }
        self.recipients.get(&recipient.key())
    }

    /// Adds the requests for a recipient who was not named before.
    pub fn add(&mut self, recipient: &Address, request: RecipientRequest) {
        if request != RecipientRequest::default() {
            self.recipients.insert(recipient.key(), request);
        }
    }

    /// Adds the requests for a recipient who was named before. Both apply, so that a
    /// repetition loses none.
    pub fn add_again(&mut self, recipient: &Address, request: RecipientRequest) {
        let before = self.recipients.remove(&recipient.key());
        self.add(recipient, before.unwrap_or_default().and(request));
    }

    /// The same with the requests for these recipients only.
    pub fn only_for(&self, recipients: &[Address]) -> Self {
        let asked = |recipient: &Address| {
            let request = self.of(recipient)?;
            Some((recipient.key(), request.clone()))
        };
        Self {
            recipients: recipients.iter().filter_map(asked).collect(),
            ..self.clone()
        }
    }

    /// Whether there are no requests.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a report on any recipient is wanted once the message was submitted.
    pub fn wants_success(&self) -> bool {
        let mut asked = self.recipients.values().filter_map(|it| it.notify);
        asked.any(|notify| notify.success)
    }
}

impl RecipientRequest {
    fn and(self, other: Self) -> Self {
        let notify = match (self.notify, other.notify) {
            (None, None) => None,
            (one, other) => {
                let one = one.unwrap_or(NotifyOn::DEFAULT);
                let other = other.unwrap_or(NotifyOn::DEFAULT);
                Some(NotifyOn {
                    success: one.success || other.success,
                    failure: one.failure || other.failure,
                    delay: one.delay || other.delay,
                })
            }
        };
        Self {
            notify,
            original: self.original.or(other.original),
        }
    }
}

impl NotifyOn {
    /// Without NOTIFY. RFC 3461 4.1 leaves delays to the relay.
    pub const DEFAULT: Self = Self {
        success: false,
        failure: true,
        delay: true,
    };
    /// `NEVER`.
    pub const NEVER: Self = Self {
        success: false,
        failure: false,
        delay: false,
    };
}

impl FromStr for Returned {
    type Err = BadRequest;

    fn from_str(text: &str) -> Result<Self, BadRequest> {
        match text.to_ascii_uppercase().as_str() {
            "FULL" => Ok(Self::Message),
            "HDRS" => Ok(Self::Header),
            _ => Err(BadRequest),
        }
    }
}

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message => "FULL",
            Self::Header => "HDRS",
        })
    }
}

impl FromStr for NotifyOn {
    type Err = BadRequest;

    fn from_str(text: &str) -> Result<Self, BadRequest> {
        let (mut notify, mut never) = (Self::NEVER, false);
        // The `#` of RFC 3461 4.1 allows empty elements (RFC 822 2.7).
        for event in text.split(',').filter(|event| !event.is_empty()) {
            match event.to_ascii_uppercase().as_str() {
                "NEVER" => never = true,
                "SUCCESS" => notify.success = true,
                "FAILURE" => notify.failure = true,
                "DELAY" => notify.delay = true,
                _ => return Err(BadRequest),
            }
        }
        // RFC 3461 4.1: NEVER stands alone, and the list is not empty.
        match never == (notify == Self::NEVER) {
            true => Ok(notify),
            false => Err(BadRequest),
        }
    }
}

impl fmt::Display for NotifyOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = [
            (self.success, "SUCCESS"),
            (self.failure, "FAILURE"),
            (self.delay, "DELAY"),
        ];
        let wanted = events.iter().filter(|(wanted, _)| *wanted);
        let wanted: Vec<&str> = wanted.map(|(_, event)| *event).collect();
        match wanted.is_empty() {
            true => f.write_str("NEVER"),
            false => f.write_str(&wanted.join(",")),
        }
    }
}

/// RFC 3461 4: ENVID has at most 100 characters.
pub const LONGEST_ENVELOPE_ID: usize = 100;
/// RFC 3461 4: ORCPT has at most 500 characters.
pub const LONGEST_ORIGINAL: usize = 500;

impl EnvelopeId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvelopeId {
    type Err = BadRequest;

    /// RFC 3461 4.4: decoded, it is printable ASCII including blanks.
    fn from_str(text: &str) -> Result<Self, BadRequest> {
        match is_printable(text) && text.len() <= LONGEST_ENVELOPE_ID {
            true => Ok(Self(text.to_owned())),
            false => Err(BadRequest),
        }
    }
}

impl OriginalRecipient {
    /// The text: `type;address`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OriginalRecipient {
    type Err = BadRequest;

    /// RFC 3461 4.2.
    fn from_str(text: &str) -> Result<Self, BadRequest> {
        let (kind, address) = text.split_once(';').ok_or(BadRequest)?;
        let is_type = !kind.is_empty()
            && kind
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match is_type && is_printable(address) && text.len() <= LONGEST_ORIGINAL {
            true => Ok(Self(text.to_owned())),
            false => Err(BadRequest),
        }
    }
}

/// Whether it is not empty, and one line of ASCII.
fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.trim().is_empty()
}

/// An address beyond ASCII in an ASCII form (RFC 6533 3, `utf-8-addr-xtext`).
pub fn utf8_address_in_ascii(address: &str) -> String {
    let mut written = String::with_capacity(address.len());
    for c in address.chars() {
        if c.is_ascii_graphic() && !['+', '=', '\\'].contains(&c) {
            written.push(c);
        } else {
            written.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn notify_takes_never_alone_or_a_list_of_events_in_any_case() {
        for (text, written) in [
            ("NEVER", "NEVER"),
            ("never", "NEVER"),
            ("Success", "SUCCESS"),
            ("delay,FAILURE", "FAILURE,DELAY"),
            ("FAILURE,FAILURE", "FAILURE"),
            (",SUCCESS,,DELAY,", "SUCCESS,DELAY"),
            ("SUCCESS,FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"),
        ] {
            let notify: NotifyOn = text.parse().unwrap();
            assert_eq!(notify.to_string(), written, "{text}");
            assert_eq!(written.parse(), Ok(notify), "{text}");
        }
        for bad in [
            "",
            ",",
            "NEVER,FAILURE",
            "FAILURE,NEVER",
            "ALWAYS",
            "FAILURE,X",
            "FAILURE;DELAY",
            "FAIL",
        ] {
            assert_eq!(bad.parse::<NotifyOn>(), Err(BadRequest), "{bad}");
        }
    }

    #[test]
    fn a_recipient_who_is_named_twice_gets_the_reports_of_both() {
        let anna: Address = "anna@contoso.com".parse().unwrap();
        let request = |notify: &str| RecipientRequest {
            notify: notify.parse().ok(),
            original: None,
        };
        for (first, second, both) in [
            ("NEVER", "FAILURE", Some("FAILURE")),
            ("SUCCESS", "DELAY", Some("SUCCESS,DELAY")),
            ("NEVER", "", Some("FAILURE,DELAY")),
            ("", "NEVER", Some("FAILURE,DELAY")),
            ("NEVER", "NEVER", Some("NEVER")),
            ("", "", None),
        ] {
            let mut asked = ReportRequest::default();
            asked.add(&anna, request(first));
            asked.add_again(&"Anna@Contoso.com".parse().unwrap(), request(second));

            let notify = asked.of(&anna).and_then(|it| it.notify);
            assert_eq!(notify.map(|it| it.to_string()).as_deref(), both, "{first}");
        }
    }

    proptest! {
        #[test]
        fn every_value_is_one_printable_line(text in "(rfc822;|utf-8;|)\\PC{0,20}[\\x00-\\x7f]{0,600}") {
            let values = [
                text.parse::<EnvelopeId>().map(|it| it.as_str().to_owned()),
                text.parse::<OriginalRecipient>().map(|it| it.as_str().to_owned()),
            ];
            for value in values.into_iter().flatten() {
                prop_assert_eq!(&value, &text);
                prop_assert!(value.len() <= LONGEST_ORIGINAL);
                prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            }
        }
    }
}
