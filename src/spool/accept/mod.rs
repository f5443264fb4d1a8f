//! Accepting a message: promise 1.

pub(super) mod alert;
pub(super) mod asked;
pub(super) mod caption;
pub(super) mod copies;
pub(super) mod dsn;
pub(super) mod error;
mod ready;
pub(super) mod requests;

use std::net::Ipv4Addr;

use rusqlite::Connection;
use rusqlite::params;
use tokio::io::AsyncWriteExt;

use self::caption::Caption;
use self::copies::Resend;
use self::dsn::Dsn;
use self::error::AcceptError;
use self::error::NotSynced;
use super::Incoming;
use super::Spool;
use super::SpoolError;
use super::Subjects;
use super::Urgency;
use super::content;
use super::room::Purpose;
use super::room::reservation::Hold;
use super::room::usage;
use super::seal::Digest;
use super::seal::seal;
use crate::clock::Moment;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Envelope;
use crate::mail::EnvelopeId;
use crate::mail::ReportRequest;
use crate::mail::ReversePath;
use crate::mail::SpoolId;
use crate::mail::Trace;

/// A complete message.
#[derive(Debug)]
pub struct NewEntry {
    /// Its content.
    pub content: Incoming,
    /// Its sender and its recipients.
    pub envelope: Envelope,
    /// How it was received.
    pub trace: Trace,
    /// The address in its From header, if there is a usable one.
    pub author: Option<Address>,
    /// The destination it is sent through.
    pub destination: Destination,
    /// The only account that may send it, if there is one.
    pub bound: Option<String>,
    /// The most recipients of one entry; a message with more becomes several entries.
    pub largest_part: usize,
    /// The Message-ID that it goes out with.
    pub message_id: Option<String>,
    /// Its Subject, as a person reads it.
    pub subject: String,
}

/// The entries of an accepted message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The entry, or the first of several.
    pub id: SpoolId,
    /// The others, if it had too many recipients for one.
    pub parts: Vec<SpoolId>,
}

impl Spool {
    /// Whether a message would find room now if everything that may yield did so: one of
    /// this size, or a small one of up to [`super::INLINE_LIMIT`]. Reserves nothing.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Full`] says which limit was reached, and what fills the spool.
    pub fn check_room(&self, size: Option<u64>) -> Result<(), AcceptError> {
        self.known_database()?;
        let room = &self.shared.room;
        let small = super::INLINE_LIMIT as u64;
        let short = match size {
            Some(size) if size > small => room.could_take(size, Purpose::Step(0))?,
            _ => room.could_take(small, Purpose::Rows)?,
        };
        short.map_or(Ok(()), |short| Err(AcceptError::Full(room.words(short))))
    }

    fn notice_failed_sync(&self, error: &AcceptError) {
        if let AcceptError::Failed(SpoolError::NotSynced(why)) = error {
            self.shared.watch.not_synced(why.clone());
        }
    }

    /// Accepts a message. When this returns `Ok`, it is on stable storage: as one entry,
    /// or as several with the same content, each recipient in exactly one.
    ///
    /// # Errors
    ///
    /// Nothing is kept then.
    pub async fn accept(&self, entry: NewEntry) -> Result<Accepted, AcceptError> {
        self.accept_as(entry, None).await
    }

    /// The same for a message that may be a copy.
    pub(super) async fn accept_as(
        &self,
        entry: NewEntry,
        resend: Option<Resend>,
    ) -> Result<Accepted, AcceptError> {
        let NewEntry {
            mut content,
            envelope,
            trace,
            author,
            destination,
            bound,
            largest_part,
            message_id,
            subject,
        } = entry;
        let caption = Caption::of(message_id, &subject, self.shared.settings.subjects);
        let (id, size) = (content.id(), content.size());
        if let Some(file) = &content.file
            && !file.reservation.is_whole()
        {
            return Err(AcceptError::Full(self.shared.room.fills()));
        }
        let mut parts = vec![(id, envelope)];
        split(&mut parts, largest_part, || self.new_id());
        let others: Vec<SpoolId> = parts.iter().skip(1).map(|(id, _)| *id).collect();
        let in_file = content.file.is_some();
        let costs = costs(&parts, &trace, author.as_ref(), &caption, (size, in_file));
        self.could_ever_fit(&costs)?;
        let bytes = costs.iter().map(|cost| cost.in_database(in_file)).sum();
        self.find_room(bytes, Purpose::Rows).await?;
        let hold = Hold::of(&self.shared.room, bytes);
        let synced = self.sync_file(&mut content, &others).await;
        synced.inspect_err(|error| self.notice_failed_sync(error))?;
        let file = content.file.take();
        let row = Row {
            parts,
            digest: content.digester.digest(),
            now: self.moment(),
            inline: file.is_none().then_some(content.head),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            trace,
            author,
            destination: destination.clone(),
            bound,
            about: None,
            resend,
            caption,
            costs,
        };
        // From here the file belongs to the row, even if the session is gone.
        let committed = move || {
            if let Some(mut file) = file {
                file.keep = true;
            }
            drop(hold);
        };
        let writer = &self.shared.writer;
        let written = writer.write_then(move |db| row.insert(db), bytes, committed);
        written.await.map_err(|error| self.full_or_failed(error))?;
        self.announce(destination, Urgency::Ordinary);
        Ok(Accepted { id, parts: others })
    }

    fn could_ever_fit(&self, costs: &[Cost]) -> Result<(), AcceptError> {
        let size = self.shared.settings.size;
        let needs = costs.iter().map(|cost| cost.rows + cost.content).sum();
        match needs > size {
            true => Err(AcceptError::NeverFits { needs, size }),
            false => Ok(()),
        }
    }

    /// Makes the content durable, under the names of all its entries.
    async fn sync_file(
        &self,
        content: &mut Incoming,
        others: &[SpoolId],
    ) -> Result<(), AcceptError> {
        let Some(incoming) = &mut content.file else {
            return Ok(());
        };
        let part = incoming.path.clone();
        let path = part.with_file_name(content.id.to_string());
        let synced = async {
            // Writing goes on in the background, and its errors appear here.
            incoming.file.flush().await?;
            incoming.file.sync_all().await.map_err(NotSynced::error)?;
            // From here on its name says that a row may refer to it, see recover.rs.
            tokio::fs::rename(&part, &path).await?;
            incoming.path.clone_from(&path);
            for id in others {
                let link = incoming.path.with_file_name(id.to_string());
                tokio::fs::hard_link(&incoming.path, &link).await?;
                incoming.links.push(link);
            }
            let synced = content::sync_folder(&path).await;
            synced.map_err(NotSynced::error)
        };
        synced.await.map_err(|error| self.not_written(&path, error))
    }

    fn full_or_failed(&self, error: SpoolError) -> AcceptError {
        if error.is_full() {
            return AcceptError::Full(format!("the disk is full; {}", self.shared.room.fills()));
        }
        AcceptError::Failed(error)
    }
}

/// The cost of each part's content, whether it is in a file or not.
fn costs(
    parts: &[(SpoolId, Envelope)],
    trace: &Trace,
    author: Option<&Address>,
    caption: &Caption,
    (size, in_file): (u64, bool),
) -> Vec<Cost> {
    let content = match in_file {
        true => usage::file_cost(size, parts.len() as u64),
        false => usage::inline_cost(size),
    };
    let cost = |(_, envelope): &(SpoolId, Envelope)| Cost {
        rows: usage::rows_cost(envelope, trace, author, caption),
        content,
    };
    parts.iter().map(cost).collect()
}

/// The cost of one entry.
#[derive(Clone, Copy)]
struct Cost {
    rows: u64,
    content: u64,
}

impl Cost {
    fn in_database(self, in_file: bool) -> u64 {
        match in_file {
            true => self.rows,
            false => self.rows + self.content,
        }
    }
}

/// Moves the recipients beyond `largest` to entries of their own.
fn split(
    parts: &mut Vec<(SpoolId, Envelope)>,
    largest: usize,
    mut new_id: impl FnMut() -> SpoolId,
) {
    while let Some((_, envelope)) = parts.last_mut()
        && envelope.recipients.len() > largest
    {
        let rest = envelope.split_off(largest.max(1));
        parts.push((new_id(), rest));
    }
}

/// New entries in the form in which they are written.
pub(super) struct Row {
    parts: Vec<(SpoolId, Envelope)>,
    digest: Digest,
    now: Moment,
    inline: Option<Vec<u8>>,
    size: i64,
    trace: Trace,
    author: Option<Address>,
    destination: Destination,
    bound: Option<String>,
    about: Option<String>,
    /// The message that it is a copy of.
    resend: Option<Resend>,
    caption: Caption,
    /// The cost of each part.
    costs: Vec<Cost>,
}

impl Row {
    /// A report about an entry. It is bound to its account, so that no other account
    /// takes it for mail of its senders.
    pub(super) fn report(dsn: Dsn, about: SpoolId, now: Moment, subjects: Subjects) -> Self {
        let caption = Caption::of(Some(dsn.message_id), &dsn.subject, subjects);
        let envelope = Envelope {
            reverse_path: ReversePath::Null,
            utf8: !dsn.recipient.is_ascii(),
            recipients: vec![dsn.recipient],
            reports: ReportRequest::default(),
            asked: Vec::new(),
        };
        let trace = Trace {
            client: Ipv4Addr::LOCALHOST.into(),
            hello: String::new(),
            protocol: String::new(),
            user: None,
        };
        let cost = Cost {
            rows: usage::rows_cost(&envelope, &trace, Some(&dsn.author), &caption),
            content: usage::inline_cost(dsn.content.len() as u64),
        };
        Self {
            costs: vec![cost],
            parts: vec![(dsn.id, envelope)],
            digest: Digest::of(&dsn.content),
            now,
            size: i64::try_from(dsn.content.len()).unwrap_or(i64::MAX),
            inline: Some(dsn.content),
            trace,
            author: Some(dsn.author),
            bound: Some(dsn.destination.account.clone()),
            destination: dsn.destination,
            about: Some(about.to_string()),
            resend: None,
            caption,
        }
    }

    pub(super) fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
        let mut first = None;
        for ((id, envelope), cost) in self.parts.iter().zip(&self.costs) {
            self.insert_part(db, *id, envelope, first, *cost)?;
            first = first.or(Some(*id));
        }
        Ok(())
    }

    fn insert_part(
        &self,
        db: &Connection,
        id: SpoolId,
        envelope: &Envelope,
        part_of: Option<SpoolId>,
        cost: Cost,
    ) -> rusqlite::Result<()> {
        let reverse_path = envelope.reverse_path.address();
        let (author, bound) = (self.author.as_ref(), self.bound.as_deref());
        let seal = seal(id, self.digest, envelope, author, bound);
        let id = id.to_string();
        let mut entry = db.prepare_cached(
            "INSERT INTO entry (id, state, accepted_at, accepted_running, due_running, account,
             mailbox, reverse_path, author, utf8, client, hello, protocol, size, in_file, user,
             bound, part_of, about, digest, seal, rows_cost, content_cost, ret, envid,
             barred, message_id, subject)
             VALUES (?1, 'waiting', ?2, ?19, ?19, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
             ?14, ?15, ?16, ?17, ?18, ?20, ?21, ?22, ?23, ?24,
             ?25, ?26)",
        )?;
        let reports = &envelope.reports;
        let cost = [cost.rows, cost.content].map(|cost| i64::try_from(cost).unwrap_or(i64::MAX));
        let ([rows_cost, content_cost], in_file) = (cost, self.inline.is_none());
        entry.execute(params![
            id,
            self.now.at.millis(),
            self.destination.account,
            self.destination.mailbox.as_str(),
            reverse_path.map_or("", Address::as_str),
            self.author.as_ref().map(Address::as_str),
            envelope.utf8,
            self.trace.client.to_string(),
            self.trace.hello,
            self.trace.protocol,
            self.size,
            in_file,
            self.trace.user,
            self.bound,
            part_of.map(|first| first.to_string()),
            self.about,
            self.digest,
            seal,
            self.now.running.millis(),
            rows_cost,
            content_cost,
            reports.returned.map(|returned| returned.to_string()),
            reports.envelope_id.as_ref().map(EnvelopeId::as_str),
            reports.sender_is_barred,
            self.caption.message_id,
            self.caption.subject,
        ])?;
        usage::add(db, rows_cost, content_cost, in_file)?;
        requests::insert_recipients(db, &id, envelope)?;
        asked::insert(db, &id, &envelope.asked)?;
        if let Some(resend) = &self.resend {
            copies::insert(db, &id, resend, self.now)?;
        }
        if let Some(bytes) = &self.inline {
            let mut content =
                db.prepare_cached("INSERT INTO content (entry, bytes) VALUES (?1, ?2)")?;
            content.execute(params![id, bytes])?;
        }
        Ok(())
    }
}
