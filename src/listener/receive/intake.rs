//! Whether a message may come now, and taking in one that has come in whole: it is read
//! (its header section), admitted, and handed to the spool. Whether it is taken,
//! `admission` decides; what `250` means, `spool`.

use std::path::PathBuf;

use super::fit::can_fit;
use crate::admission;
use crate::admission::Admitted;
use crate::admission::Handed;
use crate::admission::admit;
use crate::listener::Shared;
use crate::listener::access::Policy;
use crate::listener::allowance::Allowance;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Envelope;
use crate::mail::SpoolId;
use crate::mail::Trace;
use crate::mime::Findings;
use crate::mime::Header;
use crate::mime::outgoing_message_id;
use crate::mime::subject;
use crate::session::Session;
use crate::session::Verdict;
use crate::spool::AcceptError;
use crate::spool::INLINE_LIMIT;
use crate::spool::Incoming;
use crate::spool::LONGEST_SUBJECT;
use crate::spool::NewEntry;
use crate::telemetry::complaints;
use crate::telemetry::maillog;
use crate::telemetry::refusals::Caption;

/// Why a message is not taken.
pub(in crate::listener) struct Refused {
    pub(in crate::listener) verdict: Verdict,
    /// For the log, as far as the client need not know.
    pub(in crate::listener) cause: String,
    /// What people know the message by, as far as it was read.
    pub(in crate::listener) caption: Box<Caption>,
}

impl Refused {
    pub(super) fn because(verdict: Verdict, cause: String) -> Self {
        Self {
            verdict,
            cause,
            caption: Box::default(),
        }
    }
}

impl From<Verdict> for Refused {
    fn from(verdict: Verdict) -> Self {
        Self::because(verdict, String::new())
    }
}

impl From<AcceptError> for Refused {
    fn from(error: AcceptError) -> Self {
        let verdict = match error {
            AcceptError::Full(_) => Verdict::StorageFull,
            AcceptError::NeverFits { .. } => Verdict::NeverFits,
            AcceptError::Failed(_) => Verdict::LocalTrouble,
        };
        Self::because(verdict, error.to_string())
    }
}

/// A message that was accepted.
pub(in crate::listener) struct Taken {
    pub(in crate::listener) id: SpoolId,
    /// The address in its From field.
    pub(in crate::listener) author: Option<Address>,
    /// What its header section has that is not standard.
    pub(in crate::listener) quirks: Vec<&'static str>,
}

/// What decides about a message that a session hands in.
#[derive(Clone, Copy)]
pub(in crate::listener) struct Intake<'a> {
    pub(in crate::listener) policy: &'a Policy,
    pub(in crate::listener) session: &'a Session,
    pub(in crate::listener) shared: &'a Shared,
}

impl<'a> Intake<'a> {
    /// How many messages and recipients the sender may have.
    pub(in crate::listener) fn allowance(self) -> Allowance<'a> {
        Allowance {
            client: self.policy.client(),
            identity: self.session.identity(),
            rules: self.policy.rules(),
            clients: &self.shared.clients,
        }
    }

    /// Whether a message to these recipients may come now; if so, it is counted.
    pub(in crate::listener) fn begin(self, envelope: &Envelope) -> Result<(), Refused> {
        let spool = &self.shared.spool;
        spool.check_room(self.session.declared_size())?;
        let allowance = self.allowance();
        allowance.take_message().map_err(|limit| {
            let cause = format!("more than {limit} messages in a minute");
            Refused::because(Verdict::TooMany, cause)
        })?;
        match allowance.take_recipients(envelope) {
            true => Ok(()),
            false => Err(Verdict::TooManyRecipients.into()),
        }
    }

    /// Stores a message that has come in whole.
    pub(in crate::listener) async fn accept(
        self,
        mut incoming: Incoming,
        envelope: Envelope,
    ) -> Result<Taken, Refused> {
        let file = incoming.file().await?;
        let head = incoming.head();
        let whole = head.len() as u64 == incoming.size();
        let Some(header) = Header::of_message(head, whole) else {
            return Err(Verdict::HeaderTooBig(INLINE_LIMIT).into());
        };
        let findings = Findings::of(&header);
        let quirks: Vec<_> = findings.quirks.iter().map(|it| it.name()).collect();
        for quirk in &quirks {
            complaints::protocol_deviation(self.policy.client(), quirk);
        }
        let handed = Handed {
            identity: self.session.identity(),
            envelope: &envelope,
        };
        let (id, size) = (incoming.id(), incoming.size());
        let known = |refused: Refused| Refused {
            caption: Box::new(Caption {
                message_id: self.message_id(id, &header),
                subject: Some(subject(&header, LONGEST_SUBJECT)).filter(|it| !it.is_empty()),
            }),
            ..refused
        };
        let admitted = admit(&header, &findings, handed, self.admission());
        let Admitted {
            author,
            destination,
            bound,
            largest_part,
        } = admitted.map_err(|verdict| known(verdict.into()))?;
        let fits = self.fits(&header, file, size, &destination).await;
        fits.map_err(known)?;
        let trace = self.trace(&envelope);
        let entry = NewEntry {
            message_id: self.message_id(id, &header),
            subject: subject(&header, LONGEST_SUBJECT),
            content: incoming,
            trace: trace.clone(),
            envelope: envelope.clone(),
            author: author.clone(),
            destination: destination.clone(),
            bound: bound.or_else(|| self.policy.order()?.account.clone()),
            largest_part,
        };
        let accepted = self.shared.spool.accept(entry).await?;
        self.shared.metrics.messages_accepted.inc();
        maillog::accepted(id, &trace, &envelope, size, &destination);
        maillog::recipients_replaced(id, &envelope);
        self.log_sender(id, author.as_ref());
        self.allowance().use_mailbox(&destination, &envelope);
        maillog::split(&accepted);
        Ok(Taken { id, author, quirks })
    }

    /// The Message-ID that a message goes out with.
    fn message_id(self, id: SpoolId, header: &Header<'_>) -> Option<String> {
        let hostname = &self.policy.rules().session.hostname;
        outgoing_message_id(header, || id.message_id(hostname))
    }

    /// Whether a message can be sent that is larger than one request.
    async fn fits(
        self,
        header: &Header<'_>,
        file: Option<PathBuf>,
        size: u64,
        destination: &Destination,
    ) -> Result<(), Refused> {
        let Some((file, account)) = file.zip(self.admission().account(destination)) else {
            return Ok(());
        };
        match can_fit(header, file, size, &account.submission).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Verdict::CannotBeSplit(account.submission.largest_mime()).into()),
            Err(error) => Err(Refused::because(Verdict::LocalTrouble, error.to_string())),
        }
    }

    /// Logs it if `[[sender]]` has an entry for the author.
    fn log_sender(self, id: SpoolId, author: Option<&Address>) {
        let senders = &self.policy.rules().senders;
        if let Some(author) = author
            && let Some(rule) = senders.rule(author)
        {
            let from = senders.replaced(author);
            maillog::sender_replaced(id, author, from.as_ref(), rule.mailbox.as_ref());
        }
    }

    /// Which account and mailbox would send a message with this header section.
    pub(in crate::listener) fn destination(
        self,
        content: &[u8],
        envelope: &Envelope,
    ) -> Result<Destination, Verdict> {
        let header = Header::of_message(content, true);
        let header = header.ok_or(Verdict::HeaderTooBig(INLINE_LIMIT))?;
        let handed = Handed {
            identity: self.session.identity(),
            envelope,
        };
        let findings = Findings::of(&header);
        let admitted = admit(&header, &findings, handed, self.admission())?;
        Ok(admitted.destination)
    }

    fn admission(self) -> admission::Rules<'a> {
        let rules = self.policy.rules();
        let named = self.policy.order().and_then(|it| it.account.as_deref());
        let called = |name: &str| rules.accounts.iter().find(|it| it.name == name);
        admission::Rules {
            accounts: match named {
                // An account that is gone sends nothing, and no other in its place.
                Some(name) => called(name).map_or(&[], std::slice::from_ref),
                None => &rules.accounts,
            },
            senders: &rules.senders,
            users: &rules.users,
            hostname: &rules.session.hostname,
            received_headers: rules.limits.received_headers,
        }
    }

    /// The protocol in the Received field: RFC 5321 4.4, and the registry of "mail
    /// transmission types" (RFC 3848, RFC 6531 4.3).
    fn trace(self, envelope: &Envelope) -> Trace {
        if let Some(order) = self.policy.order() {
            return Trace::of_page(order.client);
        }
        let (hello, identity) = (self.session.hello(), self.session.identity());
        let base = match hello {
            _ if envelope.utf8 => "UTF8SMTP",
            Some(hello) if hello.extended => "ESMTP",
            _ => "SMTP",
        };
        let extended = envelope.utf8 || hello.is_some_and(|hello| hello.extended);
        let tls = if extended && self.session.has_tls() {
            "S"
        } else {
            ""
        };
        let authenticated = if extended && identity.is_some() {
            "A"
        } else {
            ""
        };
        Trace {
            client: self.policy.client(),
            hello: hello.map_or_else(String::new, |hello| hello.name.clone()),
            protocol: format!("{base}{tls}{authenticated}"),
            user: identity.map(|identity| identity.name.clone()),
        }
    }
}
