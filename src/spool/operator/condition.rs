//! A filter as SQL: a condition on entries, on each row of the history, or on refused
//! mail.

use rusqlite::types::Value;

use super::filter::Filter;
use super::filter::Term;
use crate::clock::RunningTime;
use crate::clock::Timestamp;
use crate::mail::SpoolId;
use crate::spool::state::State;

/// A condition on rows, and the values of its `?` in their order.
pub(in crate::spool) struct Condition {
    pub(in crate::spool) sql: String,
    pub(in crate::spool) values: Vec<Value>,
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// `entry`.
    Entries,
    /// `entry` with each `recipient`.
    Recipients,
}

const LIKE: &str = "LIKE ? ESCAPE '\\'";

impl Condition {
    /// The entries of these states that the filter lets through. A state that
    /// the filter names counts instead of them. `now` is what `older` counts
    /// back from, in the time that the relay has run.
    pub(in crate::spool) fn of(
        filter: Option<&Filter>,
        states: &[State],
        now: RunningTime,
    ) -> Self {
        let terms = filter.map_or(&[][..], |filter| &filter.terms);
        let named = terms.iter().any(|term| matches!(term, Term::State(_)));
        let mut condition = Self::always();
        if !named {
            condition.add_states(states);
        }
        for term in terms {
            condition.add(term, Rows::Entries, now);
        }
        condition
    }

    /// The rows of the history that the filter lets through.
    pub(in crate::spool) fn of_rows(filter: Option<&Filter>, now: RunningTime) -> Self {
        let mut condition = Self::always();
        for term in filter.map_or(&[][..], |filter| &filter.terms) {
            condition.add(term, Rows::Recipients, now);
        }
        condition
    }

    /// The refused mail that the filter lets through; nothing if it asks for what only
    /// accepted mail has.
    pub(in crate::spool) fn of_refusals(filter: Option<&Filter>, now: RunningTime) -> Option<Self> {
        let mut condition = Self::always();
        let text = |text: &str| Value::Text(text.to_owned());
        for term in filter.map_or(&[][..], |filter| &filter.terms) {
            match term {
                Term::State(_) | Term::Mailbox(_) | Term::Account(_) => return None,
                Term::Refused => {}
                Term::Older(age) => condition.and("running < ?", &millis(now - *age)),
                Term::Newer(age) => condition.and("running >= ?", &millis(now - *age)),
                Term::Since(moment) => condition.and("id >= ?", &first_id(*moment)),
                Term::Until(moment) => condition.and("id < ?", &first_id(*moment)),
                Term::From(pattern) => condition.and(&format!("sender {LIKE}"), &text(pattern)),
                Term::To(pattern) => condition.and(&format!("recipient {LIKE}"), &text(pattern)),
                Term::Code(pattern) => {
                    condition.and(&format!("reply {LIKE}"), &text(&format!("{pattern} %")));
                }
                Term::Reason(part) => {
                    condition.and(&format!("(reply {LIKE} OR cause {LIKE})"), &text(part));
                }
                Term::Subject(part) => condition.and(&format!("subject {LIKE}"), &text(part)),
                Term::Client(pattern) => condition.and(&format!("client {LIKE}"), &text(pattern)),
                Term::User(pattern) => condition.and(&format!("user {LIKE}"), &text(pattern)),
                Term::MessageId(pattern) => {
                    condition.and(&format!("message_id {LIKE}"), &text(pattern));
                }
            }
        }
        Some(condition)
    }

    fn always() -> Self {
        Self {
            sql: "1".to_owned(),
            values: Vec::new(),
        }
    }

    fn add_states(&mut self, states: &[State]) {
        let names: Vec<String> = states
            .iter()
            .map(|state| format!("'{}'", state.name()))
            .collect();
        self.sql
            .push_str(&format!(" AND entry.state IN ({})", names.join(", ")));
        // In the words of the index `entry_open`, or SQLite does not use it.
        if states.iter().all(|state| state.is_open()) {
            self.sql
                .push_str(" AND entry.state NOT IN ('delivered', 'dropped')");
        }
    }

    fn add(&mut self, term: &Term, rows: Rows, now: RunningTime) {
        let text = |text: &str| Value::Text(text.to_owned());
        match term {
            Term::State(state) if rows == Rows::Entries => self.add_states(&[*state]),
            Term::State(state) => self.and(
                "coalesce(recipient.state, entry.state) = ?",
                &text(state.name()),
            ),
            Term::Refused => self.sql.push_str(" AND 0"),
            Term::Older(age) => self.and("entry.accepted_running < ?", &millis(now - *age)),
            Term::Newer(age) => self.and("entry.accepted_running >= ?", &millis(now - *age)),
            Term::Since(moment) => self.and("entry.id >= ?", &first_id(*moment)),
            Term::Until(moment) => self.and("entry.id < ?", &first_id(*moment)),
            Term::From(pattern) => self.and(
                &format!("(entry.reverse_path {LIKE} OR entry.author {LIKE})"),
                &text(pattern),
            ),
            Term::To(pattern) => self.and(&to(rows), &text(pattern)),
            Term::Mailbox(pattern) => self.and(&format!("entry.mailbox {LIKE}"), &text(pattern)),
            Term::Account(name) => self.and("entry.account = ?", &text(name)),
            Term::Code(pattern) => self.and(
                &format!(
                    "EXISTS (SELECT 1 FROM attempt AS last WHERE last.entry = entry.id
                     AND last.number = entry.attempts AND last.code {LIKE})"
                ),
                &text(pattern),
            ),
            Term::Reason(part) => self.and(&format!("entry.reason {LIKE}"), &text(part)),
            Term::Subject(part) => self.and(&format!("entry.subject {LIKE}"), &text(part)),
            Term::Client(pattern) => self.and(&format!("entry.client {LIKE}"), &text(pattern)),
            Term::User(pattern) => self.and(&format!("entry.user {LIKE}"), &text(pattern)),
            Term::MessageId(pattern) => {
                self.and(&format!("entry.message_id {LIKE}"), &text(pattern));
            }
        }
    }

    /// Adds a condition with the same value in each of its places.
    fn and(&mut self, condition: &str, value: &Value) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        let places = condition.matches('?').count();
        self.values.extend(vec![value.clone(); places]);
    }
}

/// What goes to a recipient: by itself, or by what the client named in its place.
fn to(rows: Rows) -> String {
    match rows {
        Rows::Entries => format!(
            "(EXISTS (SELECT 1 FROM recipient WHERE recipient.entry = entry.id
             AND address {LIKE}) OR EXISTS (SELECT 1 FROM asked
             WHERE asked.entry = entry.id AND original {LIKE}))"
        ),
        Rows::Recipients => format!(
            "(recipient.address {LIKE} OR EXISTS (SELECT 1 FROM asked
             WHERE asked.entry = recipient.entry AND asked.recipient = recipient.address
             AND original {LIKE}))"
        ),
    }
}

fn millis(moment: RunningTime) -> Value {
    Value::Integer(moment.millis())
}

/// Ids are in the order of time.
fn first_id(moment: Timestamp) -> Value {
    Value::Text(SpoolId::first_of(moment).to_string())
}
