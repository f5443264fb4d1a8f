//! What a search of the history looks for, as SQL.
//!
//! An id, a Message-ID and a recipient are found by indexes. For senders, Subjects,
//! clients and parts of anything there is no index, because accepting would pay for
//! it: these are looked for in the rows themselves, piece by piece (`history.rs`).
//! SQLite ignores the case of ASCII letters only.

use std::net::IpAddr;

use super::place::Range;
use super::query::Query;
use crate::clock::RunningTime;
use crate::mail::Address;
use crate::mail::SpoolId;
use crate::spool::Filter;
use crate::spool::operator::condition::Condition;
use crate::spool::operator::filter::escaped;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// Everything.
    All,
    /// One message, with the parts that it was split into and the reports about it.
    Id(SpoolId),
    /// What this address has to do with, in any spelling; or, because the two look
    /// alike, what has this Message-ID.
    Address(Box<Address>, String),
    /// What came from this address of the network.
    Client(IpAddr),
    /// What has this text in an address, in its Subject, its Message-ID, or in the name
    /// of the client or user.
    Text(String),
}

impl Sought {
    /// What somebody means by a text.
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        let bare = text.strip_prefix('<').and_then(|it| it.strip_suffix('>'));
        let bare = bare.unwrap_or(text);
        if bare.is_empty() {
            Self::All
        } else if let Ok(id) = bare.parse() {
            Self::Id(id)
        } else if let Ok(client) = bare.parse::<IpAddr>() {
            Self::Client(client.to_canonical())
        } else if let Ok(address) = bare.parse::<Address>()
            && bare.rsplit('@').next().is_some_and(|it| it.contains('.'))
        {
            // Without a dot it is the beginning of one.
            Self::Address(Box::new(address), format!("<{bare}>"))
        } else {
            Self::Text(bare.to_owned())
        }
    }

    /// Whether all of it is found by an index.
    pub(super) fn is_by_index(&self) -> bool {
        matches!(self, Self::Id(_))
    }

    /// The query for message and recipient of each row in a range.
    pub(super) fn keys(&self, filter: Option<&Filter>, range: &Range, now: RunningTime) -> Query {
        let mut query = Query::default();
        match self {
            Self::All => {
                // Whichever lets fewer rows through goes first.
                let tables = match filter.is_some_and(Filter::names_recipients) {
                    true => "recipient CROSS JOIN entry",
                    false => "entry CROSS JOIN recipient",
                };
                let arm = format!(
                    "SELECT recipient.entry, recipient.ordinal FROM {tables}
                     ON recipient.entry = entry.id WHERE "
                );
                query.add(&arm, []);
                range.limit(&mut query, "recipient.entry", "recipient.ordinal");
                query.add(" AND ", []);
                query.add_rows_condition(filter, now);
            }
            Self::Id(id) => {
                for condition in BY_ID {
                    query.add_entries(range, condition, &id.to_string());
                }
            }
            Self::Address(address, message_id) => {
                query.add_recipients(range, "ifnull(key, lower(address)) = ?", &address.key());
                query.add_asked(range, "lower(asked.original) = ?", &address.key());
                query.add_entries(range, "entry.message_id = ?", message_id);
                let sender = "? IN (lower(entry.reverse_path), lower(entry.author))";
                query.add_entries(range, sender, &address.as_str().to_ascii_lowercase());
                query.add_entries(range, SUBJECT, &part(address.as_str()));
            }
            Self::Client(client) => {
                query.add_entries(range, "entry.client = ?", &client.to_string());
            }
            Self::Text(text) => {
                let part = part(text);
                query.add_recipients(range, "address LIKE ? ESCAPE '\\'", &part);
                query.add_asked(range, "asked.original LIKE ? ESCAPE '\\'", &part);
                query.add_entries(range, PARTS, &part);
            }
        }
        query
    }
}

/// The message, its parts, which all have its Message-ID, and the reports about it.
const BY_ID: [&str; 3] = [
    "entry.id = ?",
    "entry.message_id = (SELECT message_id FROM entry AS first WHERE first.id = ?)
     AND entry.part_of = ?",
    "entry.about = ?",
];

const SUBJECT: &str = "entry.subject LIKE ? ESCAPE '\\'";

const PARTS: &str = "(entry.subject LIKE ? ESCAPE '\\' OR entry.reverse_path LIKE ? ESCAPE '\\'
    OR entry.author LIKE ? ESCAPE '\\' OR entry.message_id LIKE ? ESCAPE '\\'
    OR entry.hello LIKE ? ESCAPE '\\' OR entry.user LIKE ? ESCAPE '\\')";

/// A pattern for whatever has this in it.
pub(in crate::spool) fn part(text: &str) -> String {
    format!("%{}%", escaped(text))
}

impl Query {
    /// Adds a filter's condition on entries with their recipients.
    pub(super) fn add_rows_condition(&mut self, filter: Option<&Filter>, now: RunningTime) {
        let Condition { sql, values } = Condition::of_rows(filter, now);
        self.add(&sql, values);
    }

    /// Begins a further query for keys.
    fn begin_arm(&mut self, arm: &str) {
        let union = if self.sql.is_empty() { "" } else { " UNION " };
        self.add(union, []).add(arm, []);
    }

    fn add_entries(&mut self, range: &Range, condition: &str, value: &str) {
        self.begin_arm(
            "SELECT recipient.entry, recipient.ordinal FROM entry CROSS JOIN recipient
             ON recipient.entry = entry.id WHERE ",
        );
        range.limit(self, "entry.id", "recipient.ordinal");
        self.add(" AND ", []).add_condition(condition, value);
    }

    fn add_recipients(&mut self, range: &Range, condition: &str, value: &str) {
        self.begin_arm("SELECT entry, ordinal FROM recipient WHERE ");
        range.limit(self, "entry", "ordinal");
        self.add(" AND ", []).add_condition(condition, value);
    }

    fn add_asked(&mut self, range: &Range, condition: &str, value: &str) {
        self.begin_arm(
            "SELECT recipient.entry, recipient.ordinal FROM asked CROSS JOIN recipient
             ON recipient.entry = asked.entry AND recipient.address = asked.recipient WHERE ",
        );
        range.limit(self, "asked.entry", "recipient.ordinal");
        self.add(" AND ", []).add_condition(condition, value);
    }
}
