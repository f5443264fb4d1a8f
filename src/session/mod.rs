//! The SMTP session (RFC 5321) as a state machine without I/O:
//! (state, command) → (state, reply, effect).
//!
//! The listener hands in lines and the verdict on a message, and gets back what
//! to say and what to do. Bad input gets a reply and leaves the session usable;
//! too much of it ends the session. A message is accepted whole or refused
//! whole. Reads no clock, no socket, no spool.

mod command;
mod data;
mod reply;

use std::collections::HashSet;

use self::command::Command;
use self::command::Mail;
pub use self::data::DataReader;
pub use self::data::Faults;
pub use self::data::Fed;
pub use self::reply::Reply;
use crate::mail::Address;
use crate::mail::Envelope;
use crate::mail::SpoolId;

/// What a session needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name in greeting and EHLO.
    pub hostname: String,
    /// The largest content, in bytes; declared by SIZE.
    pub message_size: u64,
    /// Why not more, for the refusal: continues "at most N bytes, ".
    pub message_size_reason: &'static str,
    /// The most bytes that go out in one piece: content and the header fields
    /// that the relay adds.
    pub carried_size: u64,
    /// Recipients of one transaction.
    pub recipients: usize,
    /// Refused commands, after which the session is closed.
    pub errors: u32,
}

/// One connection's dialog.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    hello: Option<Hello>,
    state: State,
    /// Refused commands so far.
    errors: u32,
}

/// How the client introduced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name it gave.
    pub name: String,
    /// It said EHLO.
    pub extended: bool,
}

/// Where the dialog stands.
#[derive(Debug)]
enum State {
    /// No transaction. MAIL may come once there was a HELO or EHLO.
    Ready,
    /// MAIL was accepted.
    Transaction(Transaction),
    /// DATA was accepted, the verdict on its content is outstanding.
    Receiving,
    /// Nothing more is read.
    Closed,
}

#[derive(Debug)]
struct Transaction {
    envelope: Envelope,
    /// [`Address::key`] of each recipient.
    keys: HashSet<String>,
}

/// What to say and do next.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// To the client.
    pub reply: Reply,
    /// By the listener.
    pub effect: Effect,
}

/// What the listener does after it sent the reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read the next line.
    Continue,
    /// Read the content, then call [`Session::verdict`].
    Receive(Box<Envelope>),
    /// Close the connection.
    Close,
}

/// What became of the content after DATA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is safe on stable storage (promise 1).
    Queued(SpoolId),
    /// More than [`Session::largest_content`].
    TooBig,
    /// The header section is more than this many bytes.
    HeaderTooBig(usize),
    /// Its bytes are not acceptable.
    Malformed(Faults),
    /// No account sends for this From address.
    NoAccount(Option<Address>),
    /// No room, for now.
    StorageFull,
    /// Our own trouble.
    LocalTrouble,
}

impl Session {
    /// A session with a client that has just connected.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            hello: None,
            state: State::Ready,
            errors: 0,
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

    /// The most content that is taken for an envelope: what the relay adds to
    /// the header for it has to fit too.
    pub fn largest_content(&self, envelope: &Envelope) -> u64 {
        let carried = self.settings.carried_size;
        let room = carried.saturating_sub(envelope.added_header_bytes());
        room.min(self.settings.message_size)
    }

    /// Whether a message that has come in can be carried with what the relay
    /// adds: narrowing To and Cc can write the header section twice.
    pub fn carries(&self, envelope: &Envelope, content: u64, header: u64) -> bool {
        content + header + envelope.added_header_bytes() <= self.settings.carried_size
    }

    /// One command line, without its line end.
    pub fn line(&mut self, line: &[u8]) -> Step {
        let outcome = match command::parse(line) {
            Ok(command) => self.command(command),
            Err(reply) => Err(reply),
        };
        match outcome {
            Ok(step) => step,
            Err(reply) => self.refuse(reply),
        }
    }

    /// A line longer than the listener reads.
    pub fn line_too_long(&mut self) -> Step {
        self.refuse(Reply::line_too_long())
    }

    /// The content that [`Effect::Receive`] asked for has been dealt with.
    pub fn verdict(&mut self, verdict: Verdict) -> Step {
        self.state = State::Ready;
        let settings = &self.settings;
        let reply = match verdict {
            Verdict::Queued(id) => Reply::queued(id),
            Verdict::TooBig => Reply::too_big(settings.message_size, settings.message_size_reason),
            Verdict::HeaderTooBig(limit) => Reply::header_too_big(limit),
            Verdict::Malformed(faults) => Reply::bad_content(explain(faults)),
            Verdict::NoAccount(author) => Reply::no_account(author.as_ref()),
            Verdict::StorageFull => Reply::storage_full(),
            Verdict::LocalTrouble => Reply::local_trouble(),
        };
        Step {
            reply,
            effect: Effect::Continue,
        }
    }

    /// The one table of the dialog.
    fn command(&mut self, command: Command) -> Result<Step, Reply> {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let (state, step) = match (state, command) {
            (_, Command::Quit) => (State::Closed, Ok(close(Reply::bye()))),
            (_, Command::Http) => (State::Closed, Ok(close(Reply::not_smtp()))),
            (State::Closed, _) => (State::Closed, Ok(close(Reply::shutting_down()))),
            (State::Receiving, _) => (State::Receiving, Err(Reply::bad_sequence("Within DATA"))),
            (_, Command::Helo(name)) => {
                self.greet(name, false);
                let reply = Reply::helo(&self.settings.hostname);
                (State::Ready, Ok(go_on(reply)))
            }
            (_, Command::Ehlo(name)) => {
                self.greet(name, true);
                let reply = Reply::ehlo(&self.settings.hostname, self.settings.message_size);
                (State::Ready, Ok(go_on(reply)))
            }
            (_, Command::Rset) => (State::Ready, Ok(go_on(Reply::ok()))),
            (state, Command::Noop) => (state, Ok(go_on(Reply::ok()))),
            (state, Command::Vrfy) => (state, Ok(go_on(Reply::cannot_verify()))),
            (state, Command::Help) => (state, Ok(go_on(Reply::help()))),
            (State::Ready, Command::Mail(mail)) => self.mail(mail),
            (State::Ready, Command::Rcpt(_) | Command::Data) => {
                (State::Ready, Err(Reply::bad_sequence("Send MAIL first")))
            }
            (state @ State::Transaction(_), Command::Mail(_)) => {
                (state, Err(Reply::bad_sequence("A transaction is open")))
            }
            (State::Transaction(transaction), Command::Rcpt(address)) => {
                self.rcpt(transaction, address)
            }
            (State::Transaction(transaction), Command::Data) => data(transaction),
        };
        self.state = state;
        step
    }

    fn greet(&mut self, name: String, extended: bool) {
        self.hello = Some(Hello { name, extended });
    }

    fn mail(&self, mail: Mail) -> (State, Result<Step, Reply>) {
        if self.hello.is_none() {
            return (
                State::Ready,
                Err(Reply::bad_sequence("Send HELO or EHLO first")),
            );
        }
        // RFC 1870 6.1.
        if mail
            .size
            .is_some_and(|size| size > self.settings.message_size)
        {
            let reply = Reply::too_big(
                self.settings.message_size,
                self.settings.message_size_reason,
            );
            return (State::Ready, Err(reply));
        }
        let transaction = Transaction {
            envelope: Envelope {
                reverse_path: mail.reverse_path,
                recipients: Vec::new(),
                utf8: mail.utf8,
            },
            keys: HashSet::new(),
        };
        let state = State::Transaction(transaction);
        (state, Ok(go_on(Reply::sender_ok())))
    }

    fn rcpt(&self, mut transaction: Transaction, address: Address) -> (State, Result<Step, Reply>) {
        let envelope = &mut transaction.envelope;
        let answer = if !envelope.utf8 && !address.is_ascii() {
            Err(Reply::needs_utf8())
        } else if !address.is_plain() {
            Err(Reply::odd_recipient())
        } else if transaction.keys.contains(&address.key()) {
            Ok(go_on(Reply::recipient_ok()))
        } else if envelope.recipients.len() >= self.settings.recipients {
            Err(Reply::too_many_recipients(self.settings.recipients))
        } else {
            transaction.keys.insert(address.key());
            envelope.recipients.push(address);
            Ok(go_on(Reply::recipient_ok()))
        };
        (State::Transaction(transaction), answer)
    }

    fn refuse(&mut self, reply: Reply) -> Step {
        self.errors += 1;
        if self.errors >= self.settings.errors {
            self.state = State::Closed;
            return close(Reply::too_many_errors());
        }
        go_on(reply)
    }
}

fn data(transaction: Transaction) -> (State, Result<Step, Reply>) {
    if transaction.envelope.recipients.is_empty() {
        return (State::Transaction(transaction), Err(Reply::no_recipients()));
    }
    let step = Step {
        reply: Reply::start_data(),
        effect: Effect::Receive(Box::new(transaction.envelope)),
    };
    (State::Receiving, Ok(step))
}

fn explain(faults: Faults) -> &'static str {
    if faults.nul {
        "Message contains a NUL byte"
    } else if faults.bare_cr {
        "Message contains a carriage return without a line feed"
    } else {
        "Message contains a line feed without a carriage return (bare_lf of the [[listener]])"
    }
}

fn go_on(reply: Reply) -> Step {
    Step {
        reply,
        effect: Effect::Continue,
    }
}

fn close(reply: Reply) -> Step {
    Step {
        reply,
        effect: Effect::Close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new(Settings {
            hostname: "relay.example".into(),
            message_size: 10_000,
            message_size_reason: "a test's limit",
            carried_size: 20_000,
            recipients: 2,
            errors: 5,
        })
    }

    /// Says each line and checks the code of its reply.
    fn dialog(session: &mut Session, lines: &[(&str, u16)]) {
        for (line, code) in lines {
            let step = session.line(line.as_bytes());
            assert_eq!(step.reply.code, *code, "{line}: {step:?}");
        }
    }

    #[test]
    fn a_transaction_ends_with_the_envelope() {
        let mut session = session();
        dialog(
            &mut session,
            &[
                ("EHLO client", 250),
                ("MAIL FROM:<a@b>", 250),
                ("RCPT TO:<c@d>", 250),
                ("RCPT TO:<C@D>", 250),
            ],
        );

        let step = session.line(b"DATA");

        assert_eq!(step.reply.code, 354);
        let Effect::Receive(envelope) = step.effect else {
            panic!("{step:?}")
        };
        assert_eq!(envelope.recipients.len(), 1);
        assert_eq!(envelope.reverse_path.to_string(), "<a@b>");
    }

    #[test]
    fn commands_out_of_order_are_refused_and_harm_nothing() {
        let mut session = session();
        session.settings.errors = 99;
        dialog(
            &mut session,
            &[
                ("MAIL FROM:<a@b>", 503),
                ("EHLO client", 250),
                ("RCPT TO:<c@d>", 503),
                ("DATA", 503),
                ("MAIL FROM:<a@b>", 250),
                ("MAIL FROM:<x@y>", 503),
                ("DATA", 554),
                ("RCPT TO:<bad>", 501),
                ("RCPT TO:<\"a b\"@c.d>", 553),
                ("RCPT TO:<a@[192.0.2.1]>", 553),
                ("DATA", 554),
                ("RCPT TO:<c@d>", 250),
                ("RCPT TO:<e@f>", 250),
                ("RCPT TO:<g@h>", 452),
                ("NOOP", 250),
                ("VRFY postmaster", 252),
                ("HELP", 214),
                ("STARTTLS", 502),
                ("DATA", 354),
            ],
        );
    }

    #[test]
    fn rset_and_a_new_ehlo_forget_the_transaction() {
        for forget in ["RSET", "EHLO again", "HELO again"] {
            let mut session = session();
            dialog(
                &mut session,
                &[
                    ("EHLO client", 250),
                    ("MAIL FROM:<a@b>", 250),
                    ("RCPT TO:<c@d>", 250),
                    (forget, 250),
                    ("DATA", 503),
                    ("MAIL FROM:<a@b>", 250),
                ],
            );
        }
    }

    #[test]
    fn a_refused_message_leaves_the_session_usable() {
        for verdict in [
            Verdict::TooBig,
            Verdict::StorageFull,
            Verdict::LocalTrouble,
            Verdict::NoAccount(None),
        ] {
            let mut session = session();
            dialog(&mut session, &[("EHLO c", 250), ("MAIL FROM:<>", 250)]);
            dialog(&mut session, &[("RCPT TO:<c@d>", 250), ("DATA", 354)]);

            let step = session.verdict(verdict);

            assert!(step.reply.is_refusal());
            assert_eq!(step.effect, Effect::Continue);
            dialog(&mut session, &[("MAIL FROM:<a@b>", 250), ("QUIT", 221)]);
        }
    }

    #[test]
    fn a_declared_size_over_the_limit_is_refused_at_mail() {
        let mut session = session();
        dialog(
            &mut session,
            &[
                ("EHLO client", 250),
                ("MAIL FROM:<a@b> SIZE=10001", 552),
                ("MAIL FROM:<a@b> SIZE=10000", 250),
            ],
        );
    }

    #[test]
    fn too_many_errors_and_browsers_end_the_session() {
        let mut wrong = session();
        for _ in 0..4 {
            assert_eq!(wrong.line(b"WHAT").effect, Effect::Continue);
        }
        assert_eq!(wrong.line(b"WHAT").effect, Effect::Close);

        assert_eq!(session().line(b"GET / HTTP/1.1").effect, Effect::Close);
        assert_eq!(session().line(b"QUIT").effect, Effect::Close);
    }

    #[test]
    fn replies_look_as_the_rfc_wants_them() {
        let mut out = Vec::new();
        session().greeting().write_to(&mut out);
        session().line(b"EHLO x").reply.write_to(&mut out);
        session().line(b"NOOP").reply.write_to(&mut out);

        assert_eq!(
            String::from_utf8(out).unwrap(),
            "220 relay.example ESMTP graph-relay\r\n250-relay.example\r\n250-PIPELINING\r\n\
             250-SIZE 10000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n\
             250 HELP\r\n250 2.0.0 Ok\r\n"
        );
    }
}
