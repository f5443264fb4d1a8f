//! The table of the dialog: what each command does in each state of the session.

use std::collections::HashSet;

use secrecy::ExposeSecret;
use secrecy::SecretString;

use super::Authentication;
use super::Exchange;
use super::Hello;
use super::Outcome;
use super::Quirk;
use super::Reply;
use super::Sending;
use super::Session;
use super::State;
use super::Step;
use super::Tls;
use super::Transaction;
use super::auth;
use super::auth::Mechanism;
use super::auth::Progress;
use super::auth::Reading;
use super::syntax::Command;
use super::syntax::Mail;
use crate::mail::Envelope;
use crate::mail::ReportRequest;

impl Session {
    pub(super) fn command(&mut self, command: Command) -> Outcome {
        if self.is_idle(&command) {
            self.state = State::Closed;
            return Ok(Step::Close(Reply::too_many_commands()));
        }
        if self.access.tls == Tls::Required && needs_tls(&command) {
            return Err(Reply::tls_required());
        }
        if self.access.sending == Sending::Refused && matches!(command, Command::Mail(_)) {
            return Err(Reply::only_checks());
        }
        let state = std::mem::replace(&mut self.state, State::Closed);
        let (state, step) = match (state, command) {
            (_, Command::Quit) => (State::Closed, Ok(Step::Close(Reply::bye()))),
            (_, Command::Http) => (State::Closed, Ok(Step::Close(Reply::not_smtp()))),
            // The bytes that follow would be read as commands.
            (_, Command::Bdat) => (State::Closed, Ok(Step::Close(Reply::not_offered()))),
            (State::Closed, _) => (State::Closed, Ok(Step::Close(Reply::shutting_down()))),
            (
                state @ (State::Receiving { .. }
                | State::Authenticating(_)
                | State::Verifying
                | State::StartingTls),
                _,
            ) => (state, Err(Reply::bad_sequence("Command not allowed now"))),
            (_, Command::Helo(name)) => {
                self.hello = Some(Hello {
                    name,
                    extended: false,
                });
                let reply = Reply::helo(&self.settings.hostname);
                (State::Ready, Ok(Step::Say(reply)))
            }
            (_, Command::Ehlo(name)) => {
                self.hello = Some(Hello {
                    name,
                    extended: true,
                });
                (State::Ready, Ok(Step::Say(self.ehlo())))
            }
            (_, Command::Rset) => (State::Ready, Ok(Step::Say(Reply::ok()))),
            (state, Command::Noop) => (state, Ok(Step::Say(Reply::ok()))),
            (state, Command::Vrfy) => (state, Ok(Step::Say(Reply::cannot_verify()))),
            (state, Command::Help) => (state, Ok(Step::Say(Reply::help()))),
            (state, Command::StartTls) => self.start_tls(state),
            (State::Ready, Command::Auth { mechanism, initial }) => {
                let outcome = self.authenticate(mechanism, initial.as_ref());
                return outcome;
            }
            (State::Ready, Command::Mail(mail)) => self.mail(mail),
            (State::Ready, Command::Rcpt(_) | Command::Data) => {
                (State::Ready, Err(Reply::bad_sequence("Send MAIL first")))
            }
            (state @ State::Transaction(_), Command::Mail(_) | Command::Auth { .. }) => (
                state,
                Err(Reply::bad_sequence("A mail transaction is already open")),
            ),
            (State::Transaction(transaction), Command::Rcpt(rcpt)) => self.rcpt(transaction, rcpt),
            (State::Transaction(transaction), Command::Data) => self.data(transaction),
        };
        self.state = state;
        step
    }

    /// Commands that do not lead to a message are counted, because a client that sends a
    /// million of them is not a mail client. Repeated or excess recipients are counted in
    /// `rcpt`.
    fn is_idle(&mut self, command: &Command) -> bool {
        if !matches!(command, Command::Rcpt(_) | Command::Data) {
            self.idle += 1;
        }
        self.idle > IDLE_COMMANDS
    }

    fn ehlo(&self) -> Reply {
        let starttls = matches!(self.access.tls, Tls::Offered | Tls::Required);
        let auth =
            self.access.authentication != Authentication::Off && self.access.takes_passwords();
        let (hostname, size) = (&self.settings.hostname, self.settings.message_size);
        Reply::ehlo(hostname, size, starttls, auth)
    }

    fn start_tls(&self, state: State) -> (State, Outcome) {
        match self.access.tls {
            Tls::Off => (state, Err(Reply::not_offered())),
            Tls::Active => (state, Err(Reply::bad_sequence("TLS is already active"))),
            Tls::Offered | Tls::Required => {
                (State::StartingTls, Ok(Step::StartTls(Reply::start_tls())))
            }
        }
    }

    fn authenticate(&mut self, mechanism: Mechanism, initial: Option<&SecretString>) -> Outcome {
        self.state = State::Ready;
        let Some(hello) = &self.hello else {
            return Err(Reply::bad_sequence("Send EHLO first"));
        };
        if self.access.authentication == Authentication::Off {
            return Err(Reply::not_offered());
        }
        if self.identity.is_some() || self.is_let_in {
            return Err(Reply::bad_sequence("Already authenticated"));
        }
        if !self.access.takes_passwords() {
            return Err(Reply::password_needs_tls());
        }
        if !hello.extended {
            self.quirks.note(Quirk::AuthAfterHelo);
        }
        let initial = initial.map(|response| response.expose_secret().as_bytes());
        let progress = auth::begin(mechanism, initial, self.reading())?;
        Ok(self.ask_or_verify(progress))
    }

    /// Handles a line of the exchange; a refusal ends it.
    pub(super) fn go_on_authenticating(&mut self, exchange: Exchange, line: &[u8]) -> Outcome {
        let progress = auth::step(exchange, line, self.reading())?;
        Ok(self.ask_or_verify(progress))
    }

    fn reading(&self) -> Reading {
        match self.access.authentication {
            Authentication::Any => Reading::Any,
            Authentication::Off | Authentication::Optional | Authentication::Required => {
                Reading::Strict
            }
        }
    }

    fn ask_or_verify(&mut self, progress: Progress) -> Step {
        match progress {
            Progress::Ask(exchange, challenge) => {
                self.state = State::Authenticating(exchange);
                Step::Say(challenge)
            }
            // Name and password are dropped here, unread.
            Progress::Done(_) if self.access.authentication == Authentication::Any => {
                self.is_let_in = true;
                Step::Say(Reply::let_in())
            }
            Progress::Done(credentials) => {
                self.state = State::Verifying;
                Step::Verify(credentials)
            }
        }
    }

    fn mail(&self, mail: Mail) -> (State, Outcome) {
        let refusal = if self.hello.is_none() {
            Some(Reply::bad_sequence("Send HELO or EHLO first"))
        } else if self.access.authentication == Authentication::Required && self.identity.is_none()
        {
            // A client with the correct password must not be told that it is wrong.
            Some(match self.is_unverified {
                true => Reply::not_authenticated_yet(),
                false => Reply::authentication_required(&self.access),
            })
        } else if mail
            .size
            .is_some_and(|size| size > self.settings.message_size)
        {
            // RFC 1870 6.1.
            Some(Reply::too_big(&self.settings))
        } else {
            // RFC 4954 6 lets the server decide what a user may send as.
            let identity = self.identity.as_ref();
            let address = mail.reverse_path.address();
            identity
                .zip(address)
                .filter(|(identity, address)| !identity.may_send_as(address))
                .map(|(identity, address)| Reply::not_this_sender(identity, address))
        };
        if let Some(reply) = refusal {
            return (State::Ready, Err(reply));
        }
        let transaction = Transaction {
            envelope: Envelope {
                reverse_path: mail.reverse_path,
                recipients: Vec::new(),
                asked: Vec::new(),
                utf8: mail.utf8,
                reports: ReportRequest::new(mail.reports.returned, mail.reports.envelope_id),
            },
            declared: mail.size,
            keys: HashSet::new(),
            paths: HashSet::new(),
            put_off: None,
        };
        let state = State::Transaction(Box::new(transaction));
        (state, Ok(Step::Say(Reply::sender_ok())))
    }

    /// Some clients read only this reply. It is permanent only if no recipient may be
    /// accepted later.
    fn data(&mut self, transaction: Box<Transaction>) -> (State, Outcome) {
        if transaction.envelope.recipients.is_empty() {
            let put_off = transaction.put_off.clone();
            if put_off.is_some() {
                self.idle += 1;
            }
            let reply = put_off.unwrap_or_else(Reply::no_recipients);
            return (State::Transaction(transaction), Err(reply));
        }
        let declared = transaction.declared;
        let envelope = Box::new(transaction.envelope);
        let step = Step::Receive(Reply::start_data(), envelope);
        (State::Receiving { declared }, Ok(step))
    }
}

/// A mail client does not send this many commands without a message in between.
pub(super) const IDLE_COMMANDS: u32 = 1000;

/// RFC 3207 4: the reply of a server that requires TLS.
fn needs_tls(command: &Command) -> bool {
    match command {
        Command::Helo(_)
        | Command::Ehlo(_)
        | Command::Noop
        | Command::Rset
        | Command::Help
        | Command::StartTls
        | Command::Quit
        | Command::Http
        | Command::Bdat => false,
        Command::Mail(_)
        | Command::Rcpt(_)
        | Command::Data
        | Command::Vrfy
        | Command::Auth { .. } => true,
    }
}
