//! The SMTP session (RFC 5321) as a state machine without I/O:
//! (state, command) → (state, reply and what to do).
//!
//! The listener passes in lines and the verdicts on messages and passwords, and gets back
//! what to reply and what to do. Bad input gets a reply and leaves the session usable;
//! too much of it ends the session. A message is accepted or refused as a whole.
//! Everything before TLS is forgotten when TLS begins (RFC 3207 4.2). An authenticated
//! user stays authenticated until the connection ends. The table of the dialog is in
//! `dialog.rs`. Uses no clock, no socket and no spool.

mod access;
mod auth;
mod before;
mod data;
mod dialog;
mod identity;
#[cfg(any(test, fuzzing))]
pub mod oracle;
mod quirk;
mod recipients;
mod renewal;
mod replies;
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

pub use self::access::Access;
pub use self::access::Authentication;
pub use self::access::ClearPasswords;
pub use self::access::Sending;
pub use self::access::Tls;
pub use self::auth::Credentials;
use self::auth::Exchange;
pub use self::auth::Mechanism;
use self::before::Before;
pub use self::data::DataReader;
pub use self::data::Faults;
pub use self::data::Fed;
pub use self::data::LineEnd;
pub use self::identity::Identity;
pub use self::quirk::Quirk;
use self::quirk::Quirks;
pub use self::replies::Reply;
pub use self::replies::proxy::PROXY_REMEDY;
use self::syntax::Command;
use crate::mail::Address;
use crate::mail::Aliases;
use crate::mail::Envelope;
use crate::mail::SpoolId;

/// The settings of the configuration that a session needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name in greeting and EHLO.
    pub hostname: String,
    /// The largest content in bytes, announced by SIZE.
    pub message_size: u64,
    /// The same as it is set, which is more if the spool cannot hold such a message.
    pub size_in_config: u64,
    /// The most recipients of one transaction.
    pub recipients: usize,
    /// The number of refused commands after which the session is closed.
    pub errors: u32,
    /// Who receives the mail for each recipient.
    pub aliases: Arc<Aliases>,
}

/// One connection's dialog.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    access: Access,
    hello: Option<Hello>,
    identity: Option<Identity>,
    /// It has authenticated on a listener that accepts any password.
    is_let_in: bool,
    state: State,
    quirks: Quirks,
    /// Refused commands so far.
    errors: u32,
    /// Refused passwords so far.
    wrong_passwords: u32,
    /// Commands since the last accepted message that did not lead to one.
    idle: u32,
    /// The recipients that a transaction may have because of what its client has sent
    /// before; `None` means any number.
    allowance: Option<usize>,
    before: Before,
    /// The last password could not be verified.
    is_unverified: bool,
}

/// The client's greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name in it.
    pub name: String,
    /// Whether it was EHLO.
    pub extended: bool,
}

/// A refusal, or the next step.
type Outcome = Result<Step, Reply>;

/// The state of the dialog.
#[derive(Debug)]
enum State {
    /// No transaction. MAIL is allowed after HELO or EHLO.
    Ready,
    /// MAIL was accepted.
    Transaction(Box<Transaction>),
    /// DATA was accepted, and the verdict on the content is pending.
    Receiving {
        /// The size that the client announced (RFC 1870).
        declared: Option<u64>,
    },
    /// AUTH was accepted: the next line belongs to it.
    Authenticating(Exchange),
    /// The verdict on name and password is pending.
    Verifying,
    /// STARTTLS was accepted, and TLS has not begun.
    StartingTls,
    /// Nothing more is read.
    Closed,
}

#[derive(Debug)]
struct Transaction {
    envelope: Envelope,
    /// The SIZE of MAIL.
    declared: Option<u64>,
    /// [`Address::key`] of each recipient.
    keys: HashSet<String>,
    /// The key of each argument of RCPT that was accepted.
    paths: HashSet<String>,
    /// Why a recipient was deferred, if one was.
    put_off: Option<Reply>,
}

/// What the listener must do next.
#[derive(Debug)]
pub enum Step {
    /// Send the reply and read the next line.
    Say(Reply),
    /// Send the reply, read the content and call [`Session::verdict`]. If the message
    /// cannot be accepted now, skip the reply.
    Receive(Reply, Box<Envelope>),
    /// Verify the password, then call [`Session::verified`].
    Verify(Credentials),
    /// Send the reply, discard input that was already read, begin TLS and call
    /// [`Session::tls_started`].
    StartTls(Reply),
    /// Send the reply and close the connection.
    Close(Reply),
}

/// Why a message counts as looping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// It has more Received fields than this.
    Hops(usize),
    /// It was accepted here this often before.
    Returns(usize),
}

/// The verdict on the content after DATA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is safe on stable storage (promise 1).
    Queued(SpoolId),
    /// It is larger than [`Settings::message_size`].
    TooBig,
    /// The header section is larger than this many bytes.
    HeaderTooBig(usize),
    /// It has these faults, and the listener refuses them.
    Malformed(Faults),
    /// It contains a file that is not encoded.
    Binary,
    /// It counts as looping.
    Looping(Loop),
    /// No account sends for this From address.
    NoAccount(Option<Address>),
    /// The user may not send as this From address.
    NotThisSender(Option<Address>),
    /// The message has no usable From, and the user may not send as the address that
    /// would replace it.
    NotThisSubstitute(Address),
    /// This recipient is not allowed by the rules in force now.
    NotThisRecipient(Address),
    /// The user may not use this address in this field (`mime/header/acting.rs`).
    NotThisActor(&'static str, Address),
    /// This client has reached its limit of messages for now.
    TooMany,
    /// This client has reached its limit of recipients for now.
    TooManyRecipients,
    /// There is no room now.
    StorageFull,
    /// Content and recipients are larger than the room ever is.
    NeverFits,
    /// It is larger than this many bytes, and cannot be split.
    CannotBeSplit(u64),
    /// An error of the relay.
    LocalTrouble,
}

/// The verdict on name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// They are correct.
    Accepted(Identity),
    /// They are wrong.
    Refused,
    /// They are wrong, too many times in a row.
    RefusedTooOften,
    /// They could not be verified.
    Unavailable,
}

impl Session {
    /// A session with a client that has just connected.
    pub fn new(settings: Settings, access: Access) -> Self {
        Self {
            settings,
            access,
            hello: None,
            identity: None,
            is_let_in: false,
            state: State::Ready,
            quirks: Quirks::default(),
            errors: 0,
            wrong_passwords: 0,
            idle: 0,
            allowance: None,
            before: Before::default(),
            is_unverified: false,
        }
    }

    /// The greeting.
    pub fn greeting(&self) -> Reply {
        Reply::greeting(&self.settings.hostname)
    }

    /// The client's greeting, if there was one.
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// The authenticated user, if there is one.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Whether the connection has TLS.
    pub fn has_tls(&self) -> bool {
        self.access.tls == Tls::Active
    }

    /// Whether MAIL was accepted and DATA has not come yet.
    pub fn is_in_transaction(&self) -> bool {
        matches!(self.state, State::Transaction(_))
    }

    /// The announced size of the message that comes next.
    pub fn declared_size(&self) -> Option<u64> {
        match self.state {
            State::Receiving { declared } => declared,
            State::Ready
            | State::Transaction(_)
            | State::Authenticating(_)
            | State::Verifying
            | State::StartingTls
            | State::Closed => None,
        }
    }

    /// Whether the client would lose something if it were disconnected now.
    pub fn is_under_way(&self) -> bool {
        match self.state {
            State::Ready | State::Closed => false,
            State::Transaction(_)
            | State::Receiving { .. }
            | State::Authenticating(_)
            | State::Verifying
            | State::StartingTls => true,
        }
    }

    /// Whether the next line is part of a password exchange.
    pub fn expects_secret(&self) -> bool {
        matches!(self.state, State::Authenticating(_))
    }

    /// Records deviations that the listener saw.
    pub fn note(&mut self, quirk: Quirk) {
        self.quirks.note(quirk);
    }

    /// Deviations that were not reported yet.
    pub fn new_quirks(&mut self) -> &[Quirk] {
        self.quirks.take()
    }

    /// Handles one line, without its line end.
    pub fn line(&mut self, line: &[u8]) -> Step {
        let before = std::mem::take(&mut self.before);
        let outcome = match self.take_exchange() {
            Some(exchange) => self.go_on_authenticating(exchange, line),
            None => {
                let command = syntax::parse(line, &mut self.quirks);
                // A folded header field begins with a blank.
                let is_content = line.starts_with(b" ") || line.starts_with(b"\t");
                if let Before::RefusedData(refusal) = &before
                    && (is_content || !command.as_ref().is_ok_and(Command::goes_on))
                {
                    self.state = State::Closed;
                    return Step::Close(Reply::content_without_data(refusal));
                }
                command.and_then(|command| self.command(command))
            }
        };
        match outcome {
            Ok(step) => step,
            Err(reply) => {
                self.before = Before::refused(line, &reply);
                self.refuse(before.explain(reply))
            }
        }
    }

    /// Handles a line longer than [`LONGEST_LINE`].
    pub fn line_too_long(&mut self) -> Step {
        let reply = match self.take_exchange() {
            Some(_) => Reply::auth_line_too_long(),
            None => Reply::line_too_long(),
        };
        self.refuse(reply)
    }

    fn take_exchange(&mut self) -> Option<Exchange> {
        if !self.expects_secret() {
            return None;
        }
        let state = std::mem::replace(&mut self.state, State::Ready);
        if let State::Authenticating(exchange) = state {
            Some(exchange)
        } else {
            None
        }
    }

    /// Handles the verdict on the content that [`Step::Receive`] asked for. Returns the
    /// reply.
    pub fn verdict(&mut self, verdict: Verdict) -> Reply {
        self.state = State::Ready;
        match verdict {
            Verdict::Queued(id) => {
                self.idle = 0;
                self.before = Before::Message;
                Reply::queued(id)
            }
            Verdict::TooBig => Reply::too_big(&self.settings),
            Verdict::HeaderTooBig(limit) => Reply::header_too_big(limit),
            Verdict::Malformed(faults) => Reply::bad_content(faults.words()),
            Verdict::Binary => {
                Reply::bad_content("Message contains binary data without an encoding")
            }
            Verdict::Looping(sign) => Reply::looping(sign),
            Verdict::NoAccount(author) => Reply::no_account(author.as_ref()),
            Verdict::NotThisSender(author) => {
                Reply::not_this_author(self.identity.as_ref(), author.as_ref())
            }
            Verdict::NotThisSubstitute(address) => {
                Reply::not_this_substitute(self.identity.as_ref(), &address)
            }
            Verdict::NotThisActor(field, address) => {
                Reply::not_this_actor(self.identity.as_ref(), field, &address)
            }
            Verdict::NotThisRecipient(address) => {
                Reply::not_this_recipient(&address.clone().into(), &address)
            }
            Verdict::TooMany => Reply::too_many_messages(),
            Verdict::TooManyRecipients => Reply::too_many_recipients_for_now(),
            Verdict::StorageFull => Reply::storage_full(),
            Verdict::NeverFits => Reply::never_fits(),
            Verdict::CannotBeSplit(limit) => Reply::cannot_be_split(limit),
            Verdict::LocalTrouble => Reply::local_trouble(),
        }
    }

    /// The content that [`Step::Receive`] asked for cannot be accepted now, and the
    /// client was not asked for it.
    pub fn not_now(&mut self, verdict: Verdict) -> Reply {
        let reply = self.verdict(verdict);
        self.before = Before::RefusedData(reply.clone());
        reply
    }

    /// Handles the verdict on the name and password of [`Step::Verify`].
    pub fn verified(&mut self, verification: Verification) -> Step {
        self.state = State::Ready;
        self.is_unverified = verification == Verification::Unavailable;
        match verification {
            Verification::Accepted(identity) => {
                self.identity = Some(identity);
                Step::Say(Reply::authenticated())
            }
            Verification::Unavailable => Step::Say(Reply::cannot_authenticate()),
            Verification::Refused if self.wrong_passwords + 1 < WRONG_PASSWORDS => {
                self.wrong_passwords += 1;
                Step::Say(Reply::wrong_password())
            }
            Verification::Refused | Verification::RefusedTooOften => {
                self.state = State::Closed;
                Step::Close(Reply::too_many_wrong_passwords())
            }
        }
    }

    /// TLS has begun: the session starts again (RFC 3207 4.2).
    pub fn tls_started(&mut self) {
        self.access.tls = Tls::Active;
        self.state = State::Ready;
        self.hello = None;
        self.identity = None;
        self.is_let_in = false;
    }

    fn refuse(&mut self, reply: Reply) -> Step {
        // RFC 5321 4.5.3.1.10: clients are expected to reach this limit often, so it
        // counts only as a command that did not lead to a message.
        if !reply.is_too_many_recipients() {
            self.errors += 1;
        }
        if self.errors >= self.settings.errors {
            self.state = State::Closed;
            return Step::Close(Reply::too_many_errors());
        }
        Step::Say(reply)
    }
}

/// RFC 4954 4 allows a line of AUTH this length, which is more than RFC 5321 4.5.3.1.4
/// allows any other line.
pub const LONGEST_LINE: usize = auth::LONGEST_AUTH_LINE;
/// The number of wrong passwords after which a session is closed: clients try two
/// mechanisms in a row, and some do so twice.
const WRONG_PASSWORDS: u32 = 4;
