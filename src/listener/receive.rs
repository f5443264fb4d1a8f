//! A message on its way in: from DATA to its verdict.

use std::path::PathBuf;

use bytes::Buf;

use super::connection::Connection;
use super::connection::End;
use super::fit::can_fit;
use super::stage::Event;
use crate::config::FromRule;
use crate::config::RecipientRule;
use crate::mail::Address;
use crate::mail::Client;
use crate::mail::Envelope;
use crate::mail::Lane;
use crate::mail::Origin;
use crate::mail::SpoolId;
use crate::mail::Trace;
use crate::mime::Actor;
use crate::mime::Findings;
use crate::mime::Header;
use crate::mime::actors;
use crate::mime::author;
use crate::mime::known_item;
use crate::routing::from;
use crate::routing::route;
use crate::session::Fed;
use crate::session::Loop;
use crate::session::Verdict;
use crate::spool::AcceptError;
use crate::spool::INLINE_LIMIT;
use crate::spool::Incoming;
use crate::spool::NewEntry;
use crate::telemetry::complaints;
use crate::telemetry::maillog;

/// A message that has come in, and what became of it.
pub(super) struct Received {
    pub(super) verdict: Verdict,
    /// Bytes of content.
    pub(super) size: u64,
    /// Why it was not accepted, as far as the client need not know.
    pub(super) cause: String,
}

/// An application may send again what it got through this relay; what comes back
/// after that comes back for ever.
const MOST_RETURNS: usize = 2;

/// Exchange takes so many recipients of one message, unless the tenant's
/// administrator has chosen otherwise (Exchange Online limits, "Recipient limit").
const LARGEST_PART: usize = 500;

impl Connection<'_> {
    /// Whether a message may come now; if not, with what the log says.
    pub(super) fn has_room(&self) -> Result<(), (Verdict, String)> {
        let room = self.shared.spool.check_room(self.session.declared_size());
        room.map_err(|error| (refusal(&error), error.to_string()))?;
        match self.rules.limits.messages_per_minute_per_client {
            Some(limit) if !self.shared.clients.may_send(Client::at(self.client), limit) => {
                let cause = format!("more than {limit} messages in a minute");
                Err((Verdict::TooMany, cause))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Reads the content of a message, to its end, and stores it.
    pub(super) async fn receive(&mut self, envelope: &Envelope) -> Result<Received, End> {
        let spool = &self.shared.spool;
        let mut incoming = spool.receive(spool.new_id()).from_client(self.client);
        let limit = self.rules.session.message_size;
        let mut reader = self.data_reader();
        let mut piece = Vec::new();
        let mut trouble: Option<(Verdict, String)> = None;
        let cut_off = self.cut_off();
        tokio::pin!(cut_off);
        loop {
            piece.clear();
            let fed = reader.feed(&self.input, &mut piece);
            self.odd_end = reader.odd_end();
            match fed {
                Fed::More => self.input.clear(),
                Fed::End(used) => self.input.advance(used),
            }
            if trouble.is_none() {
                trouble = store(&mut incoming, &piece, limit).await;
            }
            if matches!(fed, Fed::End(_)) {
                self.odd_end = None;
                break;
            }
            tokio::select! {
                read = self.read(self.rules.limits.data_timeout) => read?,
                () = incoming.taken_back() => {
                    trouble = Some((Verdict::StorageFull, incoming.why_taken_back()));
                    incoming.discard();
                }
                reply = &mut cut_off => self.say_last(&reply).await?,
            }
        }
        if !self.slot.mark(Event::Whole) {
            self.say_last(&self.farewell()).await?;
        }
        // Whoever may not send any more does not finish what was begun before.
        if let Some(reply) = self.renew() {
            self.say_last(&reply).await?;
        }
        if let Some(verdict) = self.tolerate(reader.faults(), &incoming) {
            trouble = Some((verdict, String::new()));
        }
        let size = incoming.size();
        self.recording
            .happened(&format!("a message of {size} bytes"));
        let (verdict, cause) = match trouble {
            Some(refused) => refused,
            None => match self.forbidden(envelope) {
                Some(refused) => (refused, String::new()),
                None => self.accept(incoming, self.session.bounded(envelope)).await,
            },
        };
        Ok(Received {
            verdict,
            size,
            cause,
        })
    }

    /// Stores a message that has come in whole. The text says why not, for the
    /// log.
    async fn accept(&self, mut incoming: Incoming, envelope: Envelope) -> (Verdict, String) {
        let refused = |verdict| (verdict, String::new());
        let file = match incoming.file().await {
            Ok(file) => file,
            Err(error) => return (refusal(&error), error.to_string()),
        };
        let head = incoming.head();
        let whole = head.len() as u64 == incoming.size();
        let Some(header) = Header::of_message(head, whole) else {
            return refused(Verdict::HeaderTooBig(INLINE_LIMIT));
        };
        self.note_quirks(&header);
        if let Some(sign) = self.looping(&header) {
            return refused(Verdict::Looping(sign));
        }
        let origin = Origin {
            author: self.author(&header),
            reverse_path: envelope.reverse_path.clone(),
            bound: self.bound(),
            is_report: false,
        };
        if let Some(foreign) = self.named_without_right(&header, origin.author.as_ref()) {
            return refused(foreign);
        }
        let Some(lane) = route(&self.rules.accounts, &self.rules.senders, &origin) else {
            return refused(Verdict::NoAccount(origin.author));
        };
        if let Some(from) = self.puts_in(&origin, &lane)
            && !self.may_send_as(&from)
        {
            return refused(Verdict::NotThisSubstitute(from));
        }
        let (id, size) = (incoming.id(), incoming.size());
        if let Some(file) = file
            && let Err(refused) = self.fits(&header, file, size, &lane).await
        {
            return refused;
        }
        let (author, trace) = (origin.author.clone(), self.trace(&envelope));
        let entry = NewEntry {
            content: incoming,
            trace: trace.clone(),
            envelope: envelope.clone(),
            author: origin.author,
            lane: lane.clone(),
            bound: origin.bound,
            largest_part: self.largest_part(&lane, &envelope),
        };
        match self.shared.spool.accept(entry).await {
            Ok(accepted) => {
                maillog::accepted(id, &trace, &envelope, size, &lane);
                maillog::readdressed(id, &envelope);
                self.log_sender(id, author.as_ref());
                self.use_mailbox(&lane, &envelope);
                maillog::split(&accepted);
                (Verdict::Queued(id), String::new())
            }
            Err(error) => (refusal(&error), error.to_string()),
        }
    }

    fn note_quirks(&self, header: &Header<'_>) {
        for quirk in Findings::of(header).quirks {
            complaints::quirk(self.client, quirk.name());
        }
    }

    /// Whether a message can be sent that is larger than one request; if not, with
    /// what the log says.
    async fn fits(
        &self,
        header: &Header<'_>,
        file: PathBuf,
        size: u64,
        lane: &Lane,
    ) -> Result<(), (Verdict, String)> {
        let mut accounts = self.rules.accounts.iter();
        let Some(account) = accounts.find(|account| account.name == lane.account) else {
            return Ok(());
        };
        match can_fit(header, file, size, &account.submission).await {
            Ok(true) => Ok(()),
            Ok(false) => Err((
                Verdict::CannotBeSplit(account.submission.largest_mime()),
                String::new(),
            )),
            Err(error) => Err((Verdict::LocalTrouble, error.to_string())),
        }
    }

    /// Says so where `[[sender]]` has an entry for the author.
    fn log_sender(&self, id: SpoolId, author: Option<&Address>) {
        let senders = &self.rules.senders;
        if let Some(author) = author
            && let Some(rule) = senders.rule(author)
        {
            let from = senders.replaced(author);
            maillog::sender_replaced(id, author, from.as_ref(), rule.mailbox.as_ref());
        }
    }

    /// Whom the message may not go to by rules that are newer than its RCPT.
    fn forbidden(&self, envelope: &Envelope) -> Option<Verdict> {
        let mut recipients = envelope.recipients.iter();
        let refused = recipients.find(|it| !self.session.may_send_to(it))?;
        Some(Verdict::NotThisRecipient(refused.clone()))
    }

    /// The author; one that no mailbox can have counts where `[[sender]]` says what
    /// it becomes.
    fn author(&self, header: &Header<'_>) -> Option<Address> {
        let known = |address: &Address| self.rules.senders.replaced(address).is_some();
        author(header).or_else(|| known_item(header, known)?.address)
    }

    /// What a message is taken for looping by, if it is.
    fn looping(&self, header: &Header<'_>) -> Option<Loop> {
        let most = self.rules.limits.received_headers;
        if header.all("Received").count() > most {
            return Some(Loop::Hops(most));
        }
        (self.returns(header) >= MOST_RETURNS).then_some(Loop::Returns(MOST_RETURNS))
    }

    /// How often a message was accepted here before, by its Received fields.
    fn returns(&self, header: &Header<'_>) -> usize {
        let ours = format!(" by {} (graph-relay) ", self.rules.session.hostname);
        let received = header.all("Received");
        received
            .filter(|field| field.text().contains(&ours))
            .count()
    }

    /// The most recipients that one submission through a lane has. Where the
    /// header section names them, each part would go to all of them.
    fn largest_part(&self, lane: &Lane, envelope: &Envelope) -> usize {
        if envelope.is_all_asked() {
            // Its envelope counts, in each part.
            return LARGEST_PART;
        }
        let mut accounts = self.rules.accounts.iter();
        let account = accounts.find(|account| account.name == lane.account);
        match account.map(|account| account.submission.recipients) {
            Some(RecipientRule::Headers) => usize::MAX,
            Some(RecipientRule::Envelope) | None => LARGEST_PART,
        }
    }

    /// The refusal of a message that names somebody whom the user may not name.
    fn named_without_right(
        &self,
        header: &Header<'_>,
        author: Option<&Address>,
    ) -> Option<Verdict> {
        if let Some(author) = author.filter(|author| !self.may_send_as(author)) {
            return Some(Verdict::NotThisSender(Some(author.clone())));
        }
        let foreign = |actor: &Actor| !self.may_send_as(&actor.address);
        let actor = actors(header).find(foreign)?;
        Some(Verdict::NotThisActor(actor.field, actor.address))
    }

    /// Whoever authenticated sends as its own addresses only.
    fn may_send_as(&self, address: &Address) -> bool {
        let identity = self.session.identity();
        identity.is_none_or(|identity| identity.may_send_as(address))
    }

    /// The From that the account of a lane gives a message because it has none that
    /// can be used: nobody appears as somebody else by leaving it out. With
    /// `from = "mailbox"` all messages go out as the mailbox, with or without one.
    fn puts_in(&self, origin: &Origin, lane: &Lane) -> Option<Address> {
        let mut accounts = self.rules.accounts.iter();
        let account = accounts.find(|account| account.name == lane.account)?;
        match account.submission.from {
            FromRule::Keep if origin.author.is_none() => from(account, &self.rules.senders, origin),
            FromRule::Keep | FromRule::Mailbox => None,
        }
    }

    /// The account that the user is bound to.
    fn bound(&self) -> Option<String> {
        let identity = self.session.identity()?;
        let mut users = self.rules.users.iter();
        users
            .find(|user| user.is_called(&identity.name))?
            .account
            .clone()
    }

    /// For the Received field: RFC 5321 4.4, and the registry of "mail
    /// transmission types" (RFC 3848, RFC 6531 4.3).
    fn trace(&self, envelope: &Envelope) -> Trace {
        let hello = self.session.hello();
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
        let authenticated = if extended && self.session.identity().is_some() {
            "A"
        } else {
            ""
        };
        Trace {
            client: self.client,
            hello: hello.map_or_else(String::new, |hello| hello.name.clone()),
            protocol: format!("{base}{tls}{authenticated}"),
            user: self.user(),
        }
    }

    fn user(&self) -> Option<String> {
        let identity = self.session.identity();
        identity.map(|identity| identity.name.clone())
    }
}

/// Stores a piece of content, unless it is too much. Nothing is left of a message
/// that is refused.
async fn store(incoming: &mut Incoming, piece: &[u8], limit: u64) -> Option<(Verdict, String)> {
    if incoming.size() + piece.len() as u64 > limit {
        incoming.discard();
        return Some((Verdict::TooBig, String::new()));
    }
    let written = incoming.write(piece).await;
    written
        .err()
        .map(|error| (refusal(&error), error.to_string()))
}

fn refusal(error: &AcceptError) -> Verdict {
    match error {
        AcceptError::Full(_) => Verdict::StorageFull,
        AcceptError::NeverFits { .. } => Verdict::NeverFits,
        AcceptError::Failed(_) => Verdict::LocalTrouble,
    }
}
