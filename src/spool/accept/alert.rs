//! Accepting an alert of the relay itself: a small message about no other one.
//!
//! It is bound to its account like a report, and is on record as being about
//! [`SpoolId::ALERT`], which is no message.

use super::Row;
use super::dsn::Dsn;
use super::dsn::DsnKind;
use super::error::AcceptError;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::SpoolId;
use crate::spool::Spool;
use crate::spool::Urgency;
use crate::spool::room::Purpose;
use crate::spool::room::reservation::Hold;

/// An alert by mail.
#[derive(Clone, Debug)]
pub struct AlertMessage {
    /// Its id.
    pub id: SpoolId,
    /// The bytes of the message.
    pub content: Vec<u8>,
    /// Its Message-ID.
    pub message_id: String,
    /// Its Subject.
    pub subject: String,
    /// The address in its From.
    pub author: Address,
    /// Its recipient.
    pub recipient: Address,
    /// The destination it is sent through.
    pub destination: Destination,
}

impl Spool {
    /// Accepts an alert. When this returns `Ok`, it is on stable storage.
    ///
    /// # Errors
    ///
    /// Nothing is kept then.
    pub async fn accept_alert(&self, alert: AlertMessage) -> Result<(), AcceptError> {
        let destination = alert.destination.clone();
        let report = Dsn {
            id: alert.id,
            kind: DsnKind::Failure,
            content: alert.content,
            message_id: alert.message_id,
            subject: alert.subject,
            author: alert.author,
            recipient: alert.recipient,
            destination: alert.destination,
        };
        let subjects = self.shared.settings.subjects;
        let row = Row::report(report, SpoolId::ALERT, self.moment(), subjects);
        self.could_ever_fit(&row.costs)?;
        let bytes = row.costs.iter().map(|cost| cost.in_database(false)).sum();
        self.find_room(bytes, Purpose::Rows).await?;
        let hold = Hold::of(&self.shared.room, bytes);
        let writer = &self.shared.writer;
        let written = writer.write_then(move |db| row.insert(db), bytes, move || drop(hold));
        written.await.map_err(|error| self.full_or_failed(error))?;
        self.announce(destination, Urgency::Ordinary);
        Ok(())
    }
}
