//! The SMTP session (RFC 5321) as a state machine without I/O:
//! (state, command) → (state, reply and what to do).
//!
//! The listener hands in lines, the verdict on a message and on a password, and
//! gets back what to say and what to do. Bad input gets a reply and leaves the
//! session usable; too much of it ends the session. A message is accepted whole
//! or refused whole. What was said before TLS is forgotten with it (RFC 3207
//! 4.2); who authenticated stays so until the connection ends. The table of the
//! dialog is in `dialog.rs`. Reads no clock, no socket, no spool.

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
pub use self::replies::ending::PROXY_REMEDY;
use self::syntax::Command;
use crate::mail::Address;
use crate::mail::Aliases;
use crate::mail::Envelope;
use crate::mail::RecipientPolicy;
use crate::mail::SpoolId;

/// What a session needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name in greeting and EHLO.
    pub hostname: String,
    /// The largest content, in bytes; declared by SIZE.
    pub message_size: u64,
    /// Recipients of one transaction.
    pub recipients: usize,
    /// Refused commands, after which the session is closed.
    pub errors: u32,
    /// Who receives mail for which recipient.
    pub aliases: Arc<Aliases>,
}

/// What this client may do on this listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// TLS, now or to come.
    pub tls: Tls,
    /// Whether mail is taken without authentication.
    pub authentication: Authentication,
    /// Whether a password may come without TLS.
    pub clear_passwords: ClearPasswords,
    /// To whom it may send.
    pub recipients: Arc<RecipientPolicy>,
}

/// TLS, now or to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// There is none to be had.
    Off,
    /// By STARTTLS, if the client likes.
    Offered,
    /// By STARTTLS, and no mail before.
    Required,
    /// The connection has it.
    Active,
}

/// Whether mail is taken without authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// There is no AUTH.
    Off,
    /// The client may, and need not.
    Optional,
    /// No mail is taken without.
    Required,
    /// The client may, with any name and password, and is nobody afterwards.
    Any,
}

/// Whether a password may come without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClearPasswords {
    /// AUTH is offered without TLS too.
    Taken,
    /// AUTH is only offered within TLS.
    Refused,
}

/// One connection's dialog.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    access: Access,
    hello: Option<Hello>,
    identity: Option<Identity>,
    /// It has authenticated where nothing is checked.
    is_let_in: bool,
    state: State,
    quirks: Quirks,
    /// Refused commands so far.
    errors: u32,
    /// Refused passwords so far.
    wrong_passwords: u32,
    /// Commands since the last accepted message that have not brought one
    /// nearer.
    idle: u32,
    /// Recipients that a transaction may have because of what its client has sent
    /// before; `None` is any number.
    allowance: Option<usize>,
    before: Before,
    /// The last password could not be verified.
    is_unverified: bool,
}

/// How the client introduced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name it gave.
    pub name: String,
    /// It said EHLO.
    pub extended: bool,
}

/// A refusal, or what to say and do.
type Outcome = Result<Step, Reply>;

/// Where the dialog stands.
#[derive(Debug)]
enum State {
    /// No transaction. MAIL may come once there was a HELO or EHLO.
    Ready,
    /// MAIL was accepted.
    Transaction(Box<Transaction>),
    /// DATA was accepted, the verdict on its content is outstanding.
    Receiving {
        /// What the client said of its size (RFC 1870).
        declared: Option<u64>,
    },
    /// AUTH was accepted: the next line belongs to it.
    Authenticating(Exchange),
    /// The verdict on name and password is outstanding.
    Verifying,
    /// STARTTLS was accepted, TLS is outstanding.
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
    /// Why a recipient was refused, if one was for now only.
    put_off: Option<Reply>,
}

/// What the listener says and does next.
#[derive(Debug)]
pub enum Step {
    /// Says it and reads the next line.
    Say(Reply),
    /// Says it and reads the content, then calls [`Session::verdict`]; without
    /// having said it, if the message cannot be taken now.
    Receive(Reply, Box<Envelope>),
    /// Verifies, then calls [`Session::verified`].
    Verify(Credentials),
    /// Says it, throws away what else was read and begins TLS, then calls
    /// [`Session::tls_started`].
    StartTls(Reply),
    /// Says it and closes the connection.
    Close(Reply),
}

/// What a message is taken for looping by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// It has more Received fields than this.
    Hops(usize),
    /// It was accepted here so often before.
    Returns(usize),
}

/// What became of the content after DATA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is safe on stable storage (promise 1).
    Queued(SpoolId),
    /// More than [`Settings::message_size`].
    TooBig,
    /// The header section is more than this many bytes.
    HeaderTooBig(usize),
    /// It has these, and the listener refuses them.
    Malformed(Faults),
    /// It has a file that is not encoded.
    Binary,
    /// It is taken for looping.
    Looping(Loop),
    /// No account sends for this From address.
    NoAccount(Option<Address>),
    /// The user may not send as this From address.
    NotThisSender(Option<Address>),
    /// The message has no usable From, and the user may not send as this address,
    /// which would be put in.
    NotThisSubstitute(Address),
    /// This recipient is not one of those that the rules allow now.
    NotThisRecipient(Address),
    /// The user may not name this address in this field (`mime/addresses/acting.rs`).
    NotThisActor(&'static str, Address),
    /// This client has sent as many messages as it may for now.
    TooMany,
    /// This client has had as many recipients as it may for now.
    TooManyRecipients,
    /// No room, for now.
    StorageFull,
    /// Content and recipients are more than there is ever room for.
    NeverFits,
    /// It has more than this many bytes, and cannot be split.
    CannotBeSplit(u64),
    /// Our own trouble.
    LocalTrouble,
}

/// What became of name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// They belong together.
    Accepted(Identity),
    /// They don't.
    Refused,
    /// They don't, as so often before.
    RefusedTooOften,
    /// It could not be found out.
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

    /// The first reply.
    pub fn greeting(&self) -> Reply {
        Reply::greeting(&self.settings.hostname)
    }

    /// How the client introduced itself, if it did.
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// Who has authenticated, if anybody.
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

    /// What the client said of the size of the message that is due now.
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

    /// Whether it would be a loss for the client to be cut off now.
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

    /// Notes what the listener saw of the client's ways.
    pub fn note(&mut self, quirk: Quirk) {
        self.quirks.note(quirk);
    }

    /// Quirks that were not reported yet.
    pub fn new_quirks(&mut self) -> &[Quirk] {
        self.quirks.take()
    }

    /// One line, without its line end.
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

    /// A line longer than [`LONGEST_LINE`].
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

    /// The content that [`Step::Receive`] asked for has been dealt with; what to
    /// say.
    pub fn verdict(&mut self, verdict: Verdict) -> Reply {
        self.state = State::Ready;
        match verdict {
            Verdict::Queued(id) => {
                self.idle = 0;
                self.before = Before::Message;
                Reply::queued(id)
            }
            Verdict::TooBig => Reply::too_big(self.settings.message_size),
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

    /// The content that [`Step::Receive`] asked for cannot be taken now; the
    /// client was not asked for it.
    pub fn not_now(&mut self, verdict: Verdict) -> Reply {
        let reply = self.verdict(verdict);
        self.before = Before::RefusedData(reply.clone());
        reply
    }

    /// Name and password that came with [`Step::Verify`] have been looked at.
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

    /// TLS has begun: the session begins again (RFC 3207 4.2).
    pub fn tls_started(&mut self) {
        self.access.tls = Tls::Active;
        self.state = State::Ready;
        self.hello = None;
        self.identity = None;
        self.is_let_in = false;
    }

    fn refuse(&mut self, reply: Reply) -> Step {
        // RFC 5321 4.5.3.1.10: a client is expected to run into that one often; it
        // counts as a command that brings no message nearer.
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

/// RFC 4954 4 allows so much to a line of AUTH, more than RFC 5321 4.5.3.1.4 to
/// any other.
pub const LONGEST_LINE: usize = auth::LONGEST_AUTH_LINE;
/// Wrong passwords in one session, after which it is closed: clients try two
/// mechanisms in a row, and some do so twice.
const WRONG_PASSWORDS: u32 = 4;
