//! Looking for refused mail, as `view/sought.rs` looks for accepted mail. There are few
//! rows, so no index is needed.

use rusqlite::Connection;
use rusqlite::Row;
use rusqlite::params_from_iter;

use super::Refusal;
use super::Refused;
use crate::clock::RunningTime;
use crate::clock::Timestamp;
use crate::spool::Filter;
use crate::spool::columns;
use crate::spool::damage;
use crate::spool::operator::condition::Condition;
use crate::spool::view::place::Range;
use crate::spool::view::query::Query;
use crate::spool::view::sought::Sought;
use crate::spool::view::sought::part;

/// The rows of a range, newest first. Where the table is damaged there are none: what
/// became of accepted mail can be told all the same.
pub(in crate::spool) fn find(
    db: &Connection,
    sought: &Sought,
    filter: Option<&Filter>,
    range: &Range,
    limit: usize,
    now: RunningTime,
) -> rusqlite::Result<Vec<Refused>> {
    let Some(condition) = Condition::of_refusals(filter, now) else {
        return Ok(Vec::new());
    };
    let mut query = Query::default();
    query.add(COLUMNS, []);
    range.limit(&mut query, "id", "0");
    query.add(" AND ", []);
    match sought {
        Sought::All => {
            query.add("1", []);
        }
        Sought::Id(id) => query.add_condition("id = ?", &id.to_string()),
        Sought::Address(address, message_id) => {
            let (address, key) = (address.as_str().to_ascii_lowercase(), address.key());
            query.add_condition("(? IN (lower(sender), lower(recipient))", &address);
            query.add_condition(" OR lower(recipient) = ?", &key);
            query.add_condition(" OR message_id = ?)", message_id);
        }
        Sought::Client(client) => query.add_condition("client = ?", &client.to_string()),
        Sought::Text(text) => query.add_condition(PARTS, &part(text)),
    }
    query.add(" AND ", []).add(&condition.sql, condition.values);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    query.add(" ORDER BY id DESC LIMIT ?", [limit.into()]);
    match rows(db, query) {
        Err(error) if damage::is_damage(&error) => Ok(Vec::new()),
        found => found,
    }
}

const COLUMNS: &str = "SELECT id, last_at, times, client, hello, user, sender, recipient, others,
    subject, message_id, reply, cause, remedy, counted FROM refusal WHERE ";

const PARTS: &str = "(sender LIKE ? ESCAPE '\\' OR recipient LIKE ? ESCAPE '\\'
    OR subject LIKE ? ESCAPE '\\' OR message_id LIKE ? ESCAPE '\\' OR hello LIKE ? ESCAPE '\\'
    OR user LIKE ? ESCAPE '\\' OR reply LIKE ? ESCAPE '\\')";

fn rows(db: &Connection, query: Query) -> rusqlite::Result<Vec<Refused>> {
    let mut statement = db.prepare_cached(&query.sql)?;
    let rows = statement.query_map(params_from_iter(query.values), refused)?;
    rows.collect()
}

fn refused(row: &Row<'_>) -> rusqlite::Result<Refused> {
    let client: String = row.get(3)?;
    Ok(Refused {
        id: columns::id(row, 0)?,
        last_at: Timestamp::from_millis(row.get(1)?),
        times: row.get(2)?,
        refusal: Refusal {
            client: client.parse().ok(),
            hello: row.get(4)?,
            user: row.get(5)?,
            sender: row.get(6)?,
            recipient: row.get(7)?,
            others: row.get(8)?,
            subject: row.get(9)?,
            message_id: row.get(10)?,
            reply: row.get(11)?,
            cause: row.get(12)?,
            remedy: row.get(13)?,
        },
        is_counted_only: row.get(14)?,
    })
}
