//! A test message that somebody on the admin page sends: it is taken by the rules for a client
//! on this machine, and whatever such a client would be refused, it is refused with the same
//! answer.

use super::Shared;
use super::access::Order;
use super::access::Policy;
use super::receive::intake::Intake;
use super::receive::intake::Refused;
use super::receive::write;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Envelope;
use crate::mail::ForwardPath;
use crate::mail::ReversePath;
use crate::mail::SpoolId;
use crate::session::Reply;
use crate::session::Session;
use crate::session::Step;

/// A message whose sender and recipient are taken, and that has no content yet.
#[derive(Debug)]
pub struct OwnMessage<'s> {
    id: SpoolId,
    policy: Policy,
    session: Session,
    envelope: Envelope,
    shared: &'s Shared,
}

/// Why a message is not taken, as a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    /// What is wrong with it.
    pub part: Part,
    /// The reply.
    pub reply: String,
    /// What an administrator can do.
    pub remedy: String,
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its sender.
    Sender,
    /// Its recipient.
    Recipient,
    /// All of it.
    Whole,
}

impl Shared {
    /// Begins a message from one address to another.
    ///
    /// # Errors
    ///
    /// What a client on this machine would be told.
    pub fn own_message(
        &self,
        order: Order,
        from: &Address,
        to: &ForwardPath,
    ) -> Result<OwnMessage<'_>, NotTaken> {
        let policy = Policy::for_files(self).map_err(|why| NotTaken {
            part: Part::Whole,
            reply: why,
            remedy: String::new(),
        })?;
        let policy = policy.on(order);
        let mut session = policy.session();
        let mut envelope = dialog(&mut session, from, to)?;
        if let Some(barred) = envelope.recipients.iter().find(|it| policy.bars(it)) {
            return Err(NotTaken {
                part: Part::Recipient,
                reply: format!(
                    "recipients_allowed of a [[listener]] does not allow mail to {barred}"
                ),
                remedy: String::new(),
            });
        }
        // Nothing is reported about it: whoever made it sees its state on the page.
        envelope.reverse_path = ReversePath::Null;
        Ok(OwnMessage {
            id: self.spool.new_id(),
            policy,
            session,
            envelope,
            shared: self,
        })
    }
}

/// Says what a client would say.
fn dialog(session: &mut Session, from: &Address, to: &ForwardPath) -> Result<Envelope, NotTaken> {
    let utf8 = match from.is_ascii() && to.is_ascii() {
        true => "",
        false => " SMTPUTF8",
    };
    let to = match to {
        ForwardPath::Address(address) => address.as_str(),
        ForwardPath::Name(name) => name,
    };
    for (line, part) in [
        ("EHLO admin-page".to_owned(), Part::Whole),
        (
            format!("MAIL FROM:<{from}> BODY=8BITMIME{utf8}"),
            Part::Sender,
        ),
        (format!("RCPT TO:<{to}>"), Part::Recipient),
    ] {
        match session.line(line.as_bytes()) {
            Step::Say(reply) if !reply.is_refusal() => {}
            step @ (Step::Say(_)
            | Step::Close(_)
            | Step::StartTls(_)
            | Step::Receive(..)
            | Step::Verify(_)) => return Err(NotTaken::at(part, step)),
        }
    }
    match session.line(b"DATA") {
        Step::Receive(_, envelope) => Ok(*envelope),
        step @ (Step::Say(_) | Step::Verify(_) | Step::StartTls(_) | Step::Close(_)) => {
            Err(NotTaken::at(Part::Whole, step))
        }
    }
}

impl OwnMessage<'_> {
    /// Returns the id that it will have.
    pub fn id(&self) -> SpoolId {
        self.id
    }

    /// Returns who receives it: the first, where an alias stands for several.
    pub fn recipient(&self) -> Option<&Address> {
        self.envelope.recipients.first()
    }

    /// Returns who sends this content.
    ///
    /// # Errors
    ///
    /// What a client would be told.
    pub fn destination(&mut self, content: &str) -> Result<Destination, NotTaken> {
        let destination = self
            .intake()
            .destination(content.as_bytes(), &self.envelope);
        destination.map_err(|verdict| self.refused(verdict.into()))
    }

    /// Stores it. When this returns, it is safe on disk.
    ///
    /// # Errors
    ///
    /// What a client would be told.
    pub async fn accept(mut self, content: &str) -> Result<SpoolId, NotTaken> {
        let accepted = self.stored(content).await;
        accepted.map_err(|refused| self.refused(refused))
    }

    async fn stored(&self, content: &str) -> Result<SpoolId, Refused> {
        self.intake().begin(&self.envelope)?;
        let taken = self.taken(content).await;
        if taken.is_err() {
            let allowance = self.intake().allowance();
            allowance.give_recipients_back(&self.envelope);
        }
        taken
    }

    async fn taken(&self, content: &str) -> Result<SpoolId, Refused> {
        let mut incoming = self.shared.spool.receive(self.id);
        let limit = self.policy.rules().session.message_size;
        write(&mut incoming, content.as_bytes(), limit).await?;
        let envelope = self.session.bounded(&self.envelope);
        let taken = self.intake().accept(incoming, envelope).await?;
        Ok(taken.id)
    }

    fn intake(&self) -> Intake<'_> {
        Intake {
            policy: &self.policy,
            session: &self.session,
            shared: self.shared,
        }
    }

    fn refused(&mut self, refused: Refused) -> NotTaken {
        let Refused { verdict, cause, .. } = refused;
        let mut not_taken = NotTaken::of(Part::Whole, &self.session.verdict(verdict));
        if !cause.is_empty() {
            not_taken.reply = format!("{} ({cause})", not_taken.reply);
        }
        not_taken
    }
}

impl NotTaken {
    fn at(part: Part, step: Step) -> Self {
        match step {
            Step::Say(reply)
            | Step::Close(reply)
            | Step::StartTls(reply)
            | Step::Receive(reply, _) => Self::of(part, &reply),
            // No listener of this machine's asks for a password here.
            Step::Verify(_) => Self {
                part,
                reply: String::new(),
                remedy: String::new(),
            },
        }
    }

    fn of(part: Part, reply: &Reply) -> Self {
        Self {
            part,
            reply: reply.to_string(),
            remedy: reply.remedy.to_owned(),
        }
    }
}
