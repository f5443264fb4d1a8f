//! What a client requested about reports (RFC 3461), in the rows of an entry and its
//! recipients. A column is empty if nothing was requested.

use crate::spool::columns;
use rusqlite::Connection;
use rusqlite::Row;
use rusqlite::params;
use serde::Deserialize;
use serde::Serialize;

use crate::mail::Address;
use crate::mail::Envelope;
use crate::mail::OriginalRecipient;
use crate::mail::RecipientRequest;
use crate::mail::ReportRequest;

/// What was requested for one recipient, as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Requested {
    /// The recipient.
    pub recipient: String,
    /// NOTIFY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<String>,
    /// ORCPT, decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orcpt: Option<String>,
}

/// The search key of an address, if it is not the address in lower case.
pub(in crate::spool) fn recipient_key(address: &Address) -> Option<String> {
    let key = address.key();
    (key != address.as_str().to_ascii_lowercase()).then_some(key)
}

pub(in crate::spool) fn insert_recipients(
    db: &Connection,
    id: &str,
    envelope: &Envelope,
) -> rusqlite::Result<()> {
    let mut recipient = db.prepare_cached(
        "INSERT INTO recipient (entry, ordinal, address, notify, orcpt, key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (ordinal, address) in (0_u32..).zip(&envelope.recipients) {
        let asked = envelope.reports.of(address);
        let notify = asked.and_then(|asked| asked.notify);
        let original = asked.and_then(|asked| asked.original.as_ref());
        recipient.execute(params![
            id,
            ordinal,
            address.as_str(),
            notify.map(|notify| notify.to_string()),
            original.map(OriginalRecipient::as_str),
            recipient_key(address)
        ])?;
    }
    Ok(())
}

/// RET, ENVID and whether the sender may receive reports: this column and the next two.
pub(in crate::spool) fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<ReportRequest> {
    let returned = columns::optional(row, column)?;
    let envelope_id = columns::optional(row, column + 1)?;
    let mut reports = ReportRequest::new(returned, envelope_id);
    reports.sender_is_barred = row.get(column + 2)?;
    Ok(reports)
}

/// The recipients, with the requests for each.
pub(in crate::spool) fn read_recipients(
    db: &Connection,
    id: &str,
    envelope: &mut Envelope,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(
        "SELECT address, notify, orcpt FROM recipient WHERE entry = ?1 ORDER BY ordinal",
    )?;
    let rows = statement.query_map([id], |row| {
        let asked = RecipientRequest {
            notify: columns::optional(row, 1)?,
            original: columns::optional(row, 2)?,
        };
        Ok((columns::parsed::<Address>(row, 0)?, asked))
    })?;
    for row in rows {
        let (address, asked) = row?;
        envelope.reports.add(&address, asked);
        envelope.recipients.push(address);
    }
    Ok(())
}

/// The recipients with requests. What cannot be read is left out, so that an entry with a
/// damaged part can be shown.
pub(in crate::spool) fn shown(db: &Connection, id: &str) -> rusqlite::Result<Vec<Requested>> {
    let mut statement = db.prepare_cached(
        "SELECT address, notify, orcpt FROM recipient WHERE entry = ?1
         AND (notify IS NOT NULL OR orcpt IS NOT NULL) ORDER BY ordinal",
    )?;
    let rows = statement.query_map([id], |row| {
        Ok(Requested {
            recipient: row.get(0)?,
            notify: row.get(1)?,
            orcpt: row.get(2)?,
        })
    })?;
    Ok(rows.filter_map(Result::ok).collect())
}
