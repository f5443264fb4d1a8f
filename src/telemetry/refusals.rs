//! What a session was refused, for the history: which of its transactions, recipients
//! and passwords, with the reply.
//!
//! It hears what the client says and what it is answered, as `transcripts/` does, and
//! knows no more of SMTP than which command a reply belongs to. What is refused is
//! handed over when no transaction is open, so that the Subject is known where the
//! content has come.

use std::net::IpAddr;

use crate::spool::RefusedMail as Refusal;

/// Recipients of one transaction that get rows of their own; the others are counted.
const NAMED: usize = 20;
/// Characters of an argument that are kept.
const LONGEST: usize = 256;

/// What one session was refused.
#[derive(Debug, Default)]
pub struct Refusals {
    command: Command,
    sender: Option<String>,
    recipients: Vec<String>,
    /// Recipients that are not named.
    others: u32,
    /// Of the content that has come.
    caption: Caption,
    cause: String,
    noted: Vec<Noted>,
}

/// What people know a message by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caption {
    /// The Message-ID.
    pub message_id: Option<String>,
    /// The Subject.
    pub subject: Option<String>,
}

/// Whose session it is.
#[derive(Clone, Debug)]
pub struct Whose {
    /// The client.
    pub client: IpAddr,
    /// What it called itself.
    pub hello: Option<String>,
    /// Who authenticated.
    pub user: Option<String>,
}

/// What the next reply belongs to.
#[derive(Debug, Default, PartialEq, Eq)]
enum Command {
    #[default]
    Other,
    Auth,
    Reset,
    Mail(String),
    Rcpt(String),
    Data,
}

#[derive(Debug)]
struct Noted {
    refusal: Refusal,
    /// Of the transaction that is open.
    is_of_now: bool,
    /// It does not matter if a message is accepted later.
    is_negotiation: bool,
}

impl Refusals {
    /// The client said a line that is no part of a password exchange.
    pub fn heard(&mut self, line: &[u8]) {
        let beginning = line.get(..LONGEST * 2).unwrap_or(line);
        let text = String::from_utf8_lossy(beginning);
        let (verb, argument) = text.split_once([' ', '\t', ':']).unwrap_or((&text, ""));
        self.command = match verb.to_ascii_uppercase().as_str() {
            "AUTH" => Command::Auth,
            "HELO" | "EHLO" | "RSET" => Command::Reset,
            "MAIL" => Command::Mail(address(argument)),
            "RCPT" => Command::Rcpt(address(argument)),
            "DATA" => Command::Data,
            _ => Command::Other,
        };
    }

    /// Content has come, or it cannot come now. `cause` is what the client need not know
    /// of the reply that follows.
    pub fn content(&mut self, caption: Caption, cause: &str) {
        self.caption = caption;
        cause.clone_into(&mut self.cause);
    }

    /// What the client need not know of the reply that follows.
    pub fn because(&mut self, cause: &str) {
        cause.clone_into(&mut self.cause);
    }

    /// The relay answered with this code: nothing is refused.
    pub fn accepted(&mut self, code: u16) {
        match std::mem::take(&mut self.command) {
            Command::Mail(sender) => {
                self.end_transaction();
                self.sender = Some(sender);
            }
            Command::Rcpt(recipient) if self.recipients.len() < NAMED => {
                self.recipients.push(recipient);
            }
            Command::Rcpt(_) => self.others += 1,
            // The reply to the content is still to come, or the rest of an exchange.
            Command::Data if code == 354 => self.command = Command::Data,
            Command::Auth if code == 334 => self.command = Command::Auth,
            Command::Data => {
                self.noted.retain(|noted| !noted.is_negotiation);
                self.end_transaction();
            }
            Command::Reset => self.end_transaction(),
            Command::Auth | Command::Other => {}
        }
    }

    /// The relay refused something, with this reply.
    pub fn refused(&mut self, code: u16, reply: &str, remedy: &str) {
        let is_last = code == 421;
        match std::mem::take(&mut self.command) {
            Command::Mail(sender) => self.note(Some(sender), None, reply, remedy),
            Command::Rcpt(recipient) if !is_last => self.refuse_recipient(recipient, reply, remedy),
            Command::Auth if self.sender.is_none() => {
                self.note(None, None, reply, remedy);
                self.cause.clear();
            }
            Command::Data => self.refuse_all(reply, remedy),
            Command::Auth | Command::Reset | Command::Rcpt(_) | Command::Other if is_last => {
                self.refuse_all(reply, remedy);
            }
            Command::Auth | Command::Reset | Command::Rcpt(_) | Command::Other => {}
        }
    }

    /// The session ended without a reply.
    pub fn cut_off(&mut self, what: &str, remedy: &str) {
        what.clone_into(&mut self.cause);
        self.refuse_all("", remedy);
    }

    /// A file that is refused as a whole: one refusal for each recipient.
    pub fn of_file(sender: &str, recipients: &[String], caption: Caption, cause: &str) -> Self {
        let recipients = recipients.iter().map(|it| address(it));
        let mut recipients: Vec<String> = recipients.collect();
        let others = recipients.len().saturating_sub(NAMED);
        recipients.truncate(NAMED);
        Self {
            command: Command::Data,
            sender: Some(address(sender)),
            recipients,
            others: u32::try_from(others).unwrap_or(u32::MAX),
            caption,
            cause: cause.to_owned(),
            ..Self::default()
        }
    }

    /// What was refused, if no transaction is open or the session is over.
    pub fn take(&mut self, is_over: bool, whose: impl FnOnce() -> Whose) -> Vec<Refusal> {
        let is_ripe = |noted: &Noted| is_over || !noted.is_negotiation;
        if !self.noted.iter().any(is_ripe) {
            return Vec::new();
        }
        let Whose {
            client,
            hello,
            user,
        } = whose();
        let (ripe, rest) = self.noted.drain(..).partition(is_ripe);
        self.noted = rest;
        let ripe: Vec<Noted> = ripe;
        let refusals = ripe.into_iter().map(|noted| Refusal {
            client: Some(client),
            hello: hello.clone(),
            user: user.clone(),
            ..noted.refusal
        });
        refusals.collect()
    }

    /// The client cannot begin what it wants, whatever that is. `reply` is empty if it is not
    /// told.
    pub fn hopeless(&mut self, what: &str, reply: &str, remedy: &str) {
        what.clone_into(&mut self.cause);
        self.note(None, None, reply, remedy);
        self.cause.clear();
    }

    fn refuse_recipient(&mut self, recipient: String, reply: &str, remedy: &str) {
        let of_now = self.noted.iter_mut().filter(|noted| noted.is_of_now);
        let of_now: Vec<_> = of_now.collect();
        if of_now.len() >= NAMED {
            if let Some(last) = of_now.into_iter().last() {
                last.refusal.others += 1;
            }
            return;
        }
        let sender = self.sender.clone();
        self.note(sender, Some(recipient), reply, remedy);
    }

    /// The whole transaction. One whose recipients were all refused is on record by them.
    fn refuse_all(&mut self, reply: &str, remedy: &str) {
        if self.sender.is_none() {
            return;
        }
        let recipients = std::mem::take(&mut self.recipients);
        let is_known = self.noted.iter().any(|noted| noted.is_of_now);
        if recipients.is_empty() && !is_known {
            self.note(self.sender.clone(), None, reply, remedy);
        }
        for recipient in recipients {
            self.note(self.sender.clone(), Some(recipient), reply, remedy);
        }
        if let Some(last) = self.noted.last_mut() {
            last.refusal.others += self.others;
        }
        self.end_transaction();
    }

    fn note(
        &mut self,
        sender: Option<String>,
        recipient: Option<String>,
        reply: &str,
        remedy: &str,
    ) {
        // What a client tries before it authenticates or begins TLS.
        let negotiation = ["502 ", "504 ", "530 ", "538 "];
        self.noted.push(Noted {
            is_of_now: self.sender.is_some(),
            is_negotiation: negotiation.iter().any(|code| reply.starts_with(code)),
            refusal: Refusal {
                sender,
                recipient,
                reply: reply.to_owned(),
                cause: self.cause.clone(),
                remedy: remedy.to_owned(),
                ..Refusal::default()
            },
        });
    }

    /// What was refused in it gets the Subject, if that has come.
    fn end_transaction(&mut self) {
        let caption = std::mem::take(&mut self.caption);
        for noted in self.noted.iter_mut().filter(|noted| noted.is_of_now) {
            noted.is_of_now = false;
            noted.refusal.message_id.clone_from(&caption.message_id);
            noted.refusal.subject.clone_from(&caption.subject);
        }
        self.sender = None;
        self.recipients.clear();
        self.others = 0;
        self.cause.clear();
    }
}

/// The address in the argument of MAIL or RCPT, whatever else it is, fit for a terminal.
fn address(argument: &str) -> String {
    let (_, rest) = argument.split_once(':').unwrap_or(("", argument));
    let rest = rest.trim();
    let inner = rest
        .strip_prefix('<')
        .map(|rest| match rest.rsplit_once('>') {
            Some((inner, _)) => inner,
            None => rest,
        });
    let bare = inner.unwrap_or_else(|| rest.split_whitespace().next().unwrap_or_default());
    let letters = bare.chars().take(LONGEST);
    letters.filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says lines; each is answered with this reply.
    fn session(dialog: &[(&str, &str)]) -> Refusals {
        let mut refusals = Refusals::default();
        for (line, reply) in dialog {
            match *line {
                "." => refusals.content(
                    Caption {
                        message_id: None,
                        subject: Some("Offer".to_owned()),
                    },
                    "a cause",
                ),
                line => refusals.heard(line.as_bytes()),
            }
            let code: u16 = reply[..3].parse().unwrap();
            match code >= 400 {
                true => refusals.refused(code, reply, "do"),
                false => refusals.accepted(code),
            }
        }
        refusals
    }

    /// Sender, recipient, others, subject and reply of what is on record.
    fn taken(refusals: &mut Refusals, is_over: bool) -> Vec<String> {
        let whose = || Whose {
            client: [192, 0, 2, 1].into(),
            hello: None,
            user: None,
        };
        let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let taken = refusals.take(is_over, whose).into_iter().map(|it| {
            let (sender, recipient) = (shown(it.sender), shown(it.recipient));
            let subject = shown(it.subject);
            format!("{sender} {recipient} +{} {subject} {}", it.others, it.reply)
        });
        taken.collect()
    }

    const MAIL: (&str, &str) = ("MAIL FROM:<a@b.example> SIZE=1", "250 ok");

    #[test]
    fn a_refused_recipient_is_on_record_with_the_subject_of_the_message() {
        let mut refusals = session(&[
            MAIL,
            ("RCPT TO:<x@example.org>", "550 no"),
            ("rcpt to: y@example.org NOTIFY=NEVER", "250 ok"),
            ("DATA", "354 go"),
            (".", "250 queued"),
        ]);

        assert_eq!(
            taken(&mut refusals, false),
            ["a@b.example x@example.org +0 Offer 550 no"]
        );
        assert!(taken(&mut refusals, true).is_empty());
    }

    #[test]
    fn refused_content_is_on_record_for_each_recipient() {
        let recipients = ["x", "y"].map(|name| format!("RCPT TO:<{name}>"));
        let mut dialog = vec![MAIL];
        dialog.extend(recipients.iter().map(|line| (line.as_str(), "250 ok")));
        dialog.extend([("DATA", "354 go"), (".", "550 looping")]);
        let mut refusals = session(&dialog);

        assert_eq!(
            taken(&mut refusals, false),
            [
                "a@b.example x +0 Offer 550 looping",
                "a@b.example y +0 Offer 550 looping"
            ]
        );
    }

    #[test]
    fn many_recipients_have_so_many_rows_and_a_number() {
        let names: Vec<String> = (0..50).map(|n| format!("RCPT TO:<r{n}>")).collect();
        for (answer, reply) in [("250 ok", "554 no"), ("550 no", "554 none")] {
            let mut dialog = vec![MAIL];
            dialog.extend(names.iter().map(|line| (line.as_str(), answer)));
            dialog.push(("DATA", reply));
            let taken = taken(&mut session(&dialog), false);
            assert_eq!(taken.len(), NAMED);
            let last = taken.last().unwrap();
            assert!(last.starts_with("a@b.example r19 +30 "), "{last}");
        }
    }

    #[test]
    fn refusals_before_tls_or_authentication_count_only_without_a_message() {
        let tried = [("EHLO x", "250 hi"), ("MAIL FROM:<a>", "530 login first")];
        let mut refusals = session(&tried);
        assert!(taken(&mut refusals, false).is_empty());
        assert_eq!(taken(&mut refusals, true), ["a - +0 - 530 login first"]);

        let after = [
            MAIL,
            ("RCPT TO:<x>", "250 ok"),
            ("DATA", "354 go"),
            (".", "250 ok"),
        ];
        let mut refusals = session(&[&tried[..], &after[..]].concat());
        assert!(taken(&mut refusals, true).is_empty());
    }

    #[test]
    fn a_wrong_password_and_a_session_that_is_cut_off_are_on_record() {
        let mut refusals = session(&[("AUTH LOGIN", "334 name"), ("NOOP", "250 ok")]);
        refusals.command = Command::Auth;
        refusals.refused(535, "535 wrong", "compare");
        assert_eq!(taken(&mut refusals, false), ["- - +0 - 535 wrong"]);

        let mut refusals = session(&[MAIL, ("RCPT TO:<x>", "250 ok"), ("DATA", "354 go")]);
        refusals.cut_off("the client disconnected", "see its log");
        assert_eq!(taken(&mut refusals, true), ["a@b.example x +0 - "]);
        let mut refusals = session(&[MAIL, ("RCPT TO:<x>", "250 ok"), ("NOOP", "421 stop")]);
        assert_eq!(taken(&mut refusals, true), ["a@b.example x +0 - 421 stop"]);
        let mut refusals = session(&[MAIL, ("RSET", "250 ok"), ("NOOP", "421 stop")]);
        assert!(taken(&mut refusals, true).is_empty());
    }
}
