//! The oracle of the whole session: compares its replies and actions with a small model
//! of what is allowed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::settings::settings;
use super::wire;
use crate::mail::EnhancedStatus;
use crate::mail::Envelope;
use crate::mail::ForwardPath;
use crate::mail::RecipientPolicy;
use crate::mail::RecipientRequest;
use crate::mail::ReportRequest;
use crate::mail::ReversePath;
use crate::mail::SpoolId;
use crate::session::Access;
use crate::session::Authentication;
use crate::session::ClearPasswords;
use crate::session::Faults;
use crate::session::Hello;
use crate::session::Identity;
use crate::session::Loop;
use crate::session::Reply;
use crate::session::Session;
use crate::session::Settings;
use crate::session::State;
use crate::session::Step;
use crate::session::Tls;
use crate::session::Verdict;
use crate::session::Verification;
use crate::session::quirk::Quirks;
use crate::session::syntax::Command;
use crate::session::syntax::Rcpt;
use crate::session::syntax::is_data;
use crate::session::syntax::parse;

/// Tries a session. The first line of the input has the settings, a letter each; the
/// others are the client's lines (`^` is a line that is too long). When a verdict on a
/// message or a password is due, the first letter of the next line decides it; if no line
/// is left, the session ends. TLS begins whenever it is due.
pub fn session(input: &[u8]) {
    let shown = run(input, Secrets::AsSent);
    for (shown, others) in shown.iter().zip(run(input, Secrets::Others)) {
        assert_eq!(*shown, others, "a secret shows");
    }
}

/// Whether the passwords are those of the input, or others of the same length.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrets {
    AsSent,
    Others,
}

/// The session with everything it replies, and everything that `Debug` prints of it.
fn run(input: &[u8], secrets: Secrets) -> Vec<String> {
    let mut lines = input.split(|byte| *byte == b'\n');
    let (settings, access) = settings(lines.next().unwrap_or_default());
    let mut session = Session::new(settings.clone(), access.clone());
    let mut model = Model::new(settings, access);
    let mut shown = vec![wire(&session.greeting())];
    let mut asked = Asked::Command;
    while let Some(line) = lines.next() {
        let secret = session.expects_secret();
        assert_eq!(secret, asked != Asked::Command, "whether a secret is due");
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = match secrets {
            Secrets::AsSent => line.to_vec(),
            Secrets::Others => other_secret(line, asked),
        };
        let mut step = match line.first() {
            Some(b'^') => session.line_too_long(),
            _ => session.line(&line),
        };
        model.step(&line, secret, &step);
        loop {
            shown.push(format!("{step:?}"));
            // A transaction contains no password, and its sets have no order.
            let open = matches!(session.state, State::Transaction(_));
            if !open && (asked != Asked::Command || is_plain(&line)) {
                shown.push(format!("{session:?}"));
            }
            model.agrees(&session);
            step = match step {
                Step::Say(_) | Step::Close(_) => break,
                Step::StartTls(_) => {
                    session.tls_started();
                    model.tls_started();
                    break;
                }
                Step::Receive(..) => match letter(lines.next()) {
                    Some(letter) => verdict(&mut session, &mut model, letter),
                    None => return shown,
                },
                Step::Verify(_) => match letter(lines.next()) {
                    Some(letter) => verified(&mut session, &mut model, letter),
                    None => return shown,
                },
            };
        }
        asked = Asked::by(&step);
    }
    model.agrees(&session);
    shown
}

/// The client's next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Command,
    /// The name of LOGIN.
    Name,
    /// The password of LOGIN, or both in PLAIN.
    Password,
}

impl Asked {
    fn by(step: &Step) -> Self {
        match step {
            Step::Say(reply) if reply.code == 334 && reply.lines == ["VXNlcm5hbWU6"] => Self::Name,
            Step::Say(reply) if reply.code == 334 => Self::Password,
            Step::Say(_)
            | Step::Receive(..)
            | Step::Verify(_)
            | Step::StartTls(_)
            | Step::Close(_) => Self::Command,
        }
    }
}

/// The decision that a line contains, if there is one.
fn letter(line: Option<&[u8]>) -> Option<u8> {
    line.map(|line| line.first().copied().unwrap_or(b'q'))
}

/// The line with another password in it, if it contains one in the right form.
fn other_secret(line: &[u8], asked: Asked) -> Vec<u8> {
    let blank = line.iter().rposition(|byte| b" \t".contains(byte));
    let begin = match (asked, blank) {
        (Asked::Password, _) => 0,
        (Asked::Command, Some(blank)) if is_plain(line) => blank + 1,
        (Asked::Command | Asked::Name, _) => return line.to_vec(),
    };
    let (before, response) = line.split_at(begin);
    let text = STANDARD.decode(response).ok();
    let Some(text) = text.and_then(|text| String::from_utf8(text).ok()) else {
        return line.to_vec();
    };
    // After the last NUL of PLAIN; the whole second answer of LOGIN.
    let name = match text.rfind('\0') {
        Some(nul) => nul + 1,
        None if asked == Asked::Password => 0,
        None => return line.to_vec(),
    };
    let (name, password) = text.split_at(name);
    let other = |c: char| if c.is_ascii_alphanumeric() { 'x' } else { c };
    let password: String = password.chars().map(other).collect();
    let response = STANDARD.encode(format!("{name}{password}"));
    [before, response.as_bytes()].concat()
}

/// Whether the line is AUTH PLAIN. The text after AUTH LOGIN is a name.
fn is_plain(line: &[u8]) -> bool {
    let words = line.split(|byte| b" \t".contains(byte));
    let mut words = words.filter(|word| !word.is_empty());
    let mut next_is = |name: &[u8]| words.next().is_some_and(|it| it.eq_ignore_ascii_case(name));
    next_is(b"AUTH") && next_is(b"PLAIN")
}

fn verdict(session: &mut Session, model: &mut Model, letter: u8) -> Step {
    let id: SpoolId = "01M7ZZDH4TKT6XKYKEMYK3N3EJ".parse().expect("an id");
    let author = "eve@b.c".parse().ok();
    let (verdict, code) = match letter {
        b'b' => (Verdict::TooBig, 552),
        b'h' => (Verdict::HeaderTooBig(262_144), 552),
        b'f' => (Verdict::Malformed(Faults::default()), 550),
        b'y' => (Verdict::Binary, 550),
        b'l' => (Verdict::Looping(Loop::Hops(50)), 554),
        b'n' => (Verdict::NoAccount(author), 550),
        b'u' => (Verdict::NotThisSender(author), 550),
        b'o' => (Verdict::NeverFits, 552),
        b'c' => (Verdict::CannotBeSplit(3_000_000), 552),
        b's' => (
            Verdict::NotThisSubstitute("eve@b.c".parse().expect("an address")),
            550,
        ),
        b'a' => (
            Verdict::NotThisActor("Resent-Sender", "eve@b.c".parse().expect("an address")),
            550,
        ),
        b'm' | b'M' => (Verdict::TooMany, 451),
        b'd' | b'D' => (Verdict::StorageFull, 452),
        b't' => (Verdict::LocalTrouble, 451),
        _ => (Verdict::Queued(id), 250),
    };
    let reply = if letter.is_ascii_uppercase() && code != 250 {
        model.refused_data = true;
        session.not_now(verdict)
    } else {
        session.verdict(verdict)
    };
    wire(&reply);
    assert_eq!(reply.code, code, "{reply:?}");
    Step::Say(reply)
}

fn verified(session: &mut Session, model: &mut Model, letter: u8) -> Step {
    let identity = Identity {
        name: "anna".to_owned(),
        senders: vec!["a*@b.c".to_owned().into()],
        recipients: RecipientPolicy::default(),
    };
    let verification = match letter {
        b'n' => Verification::Refused,
        b't' => Verification::RefusedTooOften,
        b'u' => Verification::Unavailable,
        _ => Verification::Accepted(identity.clone()),
    };
    let accepted = matches!(verification, Verification::Accepted(_));
    let step = session.verified(verification);
    match &step {
        Step::Say(reply) => {
            wire(reply);
            assert_eq!(reply.code == 235, accepted, "{reply:?}");
            assert_ne!(letter, b't', "{reply:?}");
        }
        Step::Close(reply) => {
            wire(reply);
            assert!(
                matches!(letter, b'n' | b't') && reply.code == 421,
                "{reply:?}"
            );
            model.closed = true;
        }
        Step::Receive(..) | Step::Verify(_) | Step::StartTls(_) => {
            panic!("{step:?} behind a password")
        }
    }
    if accepted {
        model.identity = Some(identity);
    }
    step
}

/// What the session may do, according to the replies so far.
struct Model {
    settings: Settings,
    access: Access,
    hello: Option<Hello>,
    identity: Option<Identity>,
    is_let_in: bool,
    transaction: Option<Envelope>,
    errors: u32,
    refused_data: bool,
    closed: bool,
}

impl Model {
    fn new(settings: Settings, access: Access) -> Self {
        Self {
            settings,
            access,
            hello: None,
            identity: None,
            is_let_in: false,
            transaction: None,
            errors: 0,
            refused_data: false,
            closed: false,
        }
    }

    fn agrees(&self, session: &Session) {
        assert_eq!(session.hello(), self.hello.as_ref());
        assert_eq!(session.identity(), self.identity.as_ref());
        assert_eq!(session.has_tls(), self.access.tls == Tls::Active);
    }

    /// RFC 3207 4.2.
    fn tls_started(&mut self) {
        self.access.tls = Tls::Active;
        self.hello = None;
        self.identity = None;
        self.is_let_in = false;
        self.transaction = None;
    }

    /// Whether a password is allowed now.
    fn takes_passwords(&self) -> bool {
        let clear = self.access.clear_passwords == ClearPasswords::Taken;
        let (offered, tls) = (self.access.authentication, self.access.tls);
        let unchecked = offered == Authentication::Any && tls != Tls::Required;
        offered != Authentication::Off && (tls == Tls::Active || clear || unchecked)
    }

    /// The result of a line; `secret` if it belonged to AUTH.
    fn step(&mut self, line: &[u8], secret: bool, step: &Step) {
        let command = match line.first() {
            _ if secret => None,
            Some(b'^') => None,
            _ => parse(line, &mut Quirks::default()).ok(),
        };
        let goes_on = command.as_ref().is_some_and(Command::goes_on);
        let is_folded = line.first().is_some_and(|byte| b" \t".contains(byte));
        let may_be_content = std::mem::take(&mut self.refused_data) && (!goes_on || is_folded);
        if may_be_content && line.first() != Some(&b'^') {
            assert!(matches!(step, Step::Close(_)), "content for a command");
        }
        match step {
            Step::Say(reply) if reply.is_refusal() => {
                wire(reply);
                self.refused_data = !secret && is_data(line);
                self.refused(reply, command.as_ref());
            }
            Step::Close(reply) => {
                wire(reply);
                let farewell = matches!(command, Some(Command::Quit));
                assert_eq!(reply.code == 221, farewell, "{reply:?}");
                assert!(farewell || reply.is_refusal(), "{reply:?}");
                self.closed = true;
            }
            Step::Say(reply) => {
                let said = wire(reply);
                assert!(!self.closed, "{said:?} behind the end");
                match command {
                    _ if reply.code == 235 => self.lets_in(secret, command.as_ref()),
                    _ if reply.code == 334 => self.asks_for_secret(secret, command.as_ref()),
                    Some(command) => self.accepted(command, reply, &said),
                    None => panic!("{said:?} to what is no command"),
                }
            }
            Step::Receive(reply, envelope) => {
                assert_eq!((wire(reply).get(..3), self.closed), (Some("354"), false));
                assert!(matches!(command, Some(Command::Data)), "{envelope:?}");
                assert_eq!(self.transaction.take().as_ref(), Some(&**envelope));
                assert!(!envelope.recipients.is_empty(), "nobody receives it");
                assert!(
                    envelope.recipients.len() <= self.settings.recipients,
                    "{envelope:?}"
                );
            }
            Step::Verify(credentials) => {
                assert_ne!(self.access.authentication, Authentication::Any);
                assert!(
                    !self.closed && self.transaction.is_none(),
                    "{credentials:?}"
                );
                assert!(secret || matches!(command, Some(Command::Auth { .. })));
                self.may_authenticate();
            }
            Step::StartTls(reply) => {
                assert_eq!((wire(reply).get(..3), self.closed), (Some("220"), false));
                assert!(matches!(command, Some(Command::StartTls)), "{reply:?}");
                assert!(matches!(self.access.tls, Tls::Offered | Tls::Required));
            }
        }
    }

    fn refused(&mut self, reply: &Reply, command: Option<&Command>) {
        if reply.status != Some(EnhancedStatus::TOO_MANY_RECIPIENTS) {
            self.errors += 1;
            assert!(self.errors < self.settings.errors, "{} errors", self.errors);
            return;
        }
        let (Some(Command::Rcpt(rcpt)), Some(envelope)) = (command, &self.transaction) else {
            panic!("{reply:?} to {command:?}");
        };
        let mut keys = envelope.recipients.iter().map(|recipient| recipient.key());
        assert!(
            !keys.any(|key| key == rcpt.path.key()),
            "{rcpt:?} is one of them"
        );
        assert_eq!(envelope.recipients.len(), self.settings.recipients);
    }

    /// A password is accepted without a verdict only if passwords are not checked.
    fn lets_in(&mut self, secret: bool, command: Option<&Command>) {
        self.asks_for_secret(secret, command);
        assert_eq!(self.access.authentication, Authentication::Any);
        self.is_let_in = true;
    }

    fn asks_for_secret(&self, secret: bool, command: Option<&Command>) {
        assert!(secret || matches!(command, Some(Command::Auth { .. })));
        self.may_authenticate();
    }

    fn may_authenticate(&self) {
        assert!(self.takes_passwords(), "a password may not come now");
        assert!(self.hello.is_some() && self.identity.is_none() && !self.is_let_in);
        assert_ne!(self.access.tls, Tls::Required, "no password before TLS");
    }

    fn accepted(&mut self, command: Command, reply: &Reply, said: &str) {
        match command {
            Command::Helo(name) => {
                assert_eq!(said, "250 relay.example\r\n");
                self.greeted(Hello {
                    name,
                    extended: false,
                });
            }
            Command::Ehlo(name) => {
                self.offers(said);
                self.greeted(Hello {
                    name,
                    extended: true,
                });
            }
            Command::Rset => self.transaction = None,
            Command::Mail(mail) => {
                assert_eq!(reply.status, Some(EnhancedStatus::SENDER_OK));
                assert!(self.hello.is_some() && self.transaction.is_none());
                assert_ne!(self.access.tls, Tls::Required, "no mail before TLS");
                let anonymous = self.access.authentication != Authentication::Required;
                assert!(anonymous || self.identity.is_some(), "nobody authenticated");
                assert!(
                    mail.size
                        .is_none_or(|size| size <= self.settings.message_size)
                );
                if let (Some(user), ReversePath::Address(address)) =
                    (&self.identity, &mail.reverse_path)
                {
                    assert!(user.may_send_as(address), "{address} is another's");
                }
                self.transaction = Some(Envelope {
                    reverse_path: mail.reverse_path,
                    recipients: Vec::new(),
                    asked: Vec::new(),
                    utf8: mail.utf8,
                    reports: ReportRequest::new(mail.reports.returned, mail.reports.envelope_id),
                });
            }
            Command::Rcpt(Rcpt { path, reports }) => {
                assert_eq!(reply.status, Some(EnhancedStatus::RECIPIENT_OK));
                self.added(path, reports);
            }
            Command::Noop | Command::Vrfy | Command::Help => {}
            Command::Data
            | Command::Quit
            | Command::StartTls
            | Command::Auth { .. }
            | Command::Bdat
            | Command::Http => panic!("{said:?} to {command:?}"),
        }
    }

    /// There are no aliases: each named recipient receives the message.
    fn added(&mut self, path: ForwardPath, reports: RecipientRequest) {
        let ForwardPath::Address(address) = path else {
            panic!("{path} has no domain");
        };
        let envelope = self.transaction.as_mut().expect("RCPT behind MAIL");
        let address = match envelope.utf8 {
            true => address.unquoted(),
            false => address.in_ascii().unwrap_or(address).unquoted(),
        };
        assert!(address.is_routable(), "no mail can reach {address}");
        assert!(address.is_plain() && (envelope.utf8 || address.is_ascii()));
        let mut known = envelope.recipients.iter();
        if known.any(|known| known.key() == address.key()) {
            envelope.reports.add_again(&address, reports);
        } else {
            envelope.reports.add(&address, reports);
            envelope.recipients.push(address);
        }
    }

    fn greeted(&mut self, hello: Hello) {
        self.hello = Some(hello);
        self.transaction = None;
    }

    fn offers(&self, said: &str) {
        let offered = |what: &str| {
            let lines = said.lines().filter_map(|line| line.get(4..));
            lines.filter(|line| *line == what).count() == 1
        };
        let tls = matches!(self.access.tls, Tls::Offered | Tls::Required);
        assert_eq!(offered("STARTTLS"), tls, "{said}");
        for auth in ["AUTH PLAIN LOGIN", "AUTH=PLAIN LOGIN"] {
            assert_eq!(offered(auth), self.takes_passwords(), "{said}");
        }
        for always in ["PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN"] {
            assert!(offered(always), "{said}");
        }
    }
}
