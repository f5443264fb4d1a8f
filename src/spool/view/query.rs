//! SQL that is put together from pieces, with the values of its `?` in order.

use rusqlite::types::Value;

/// SQL, and the values of its `?` in their order.
#[derive(Debug, Default)]
pub(in crate::spool) struct Query {
    pub(in crate::spool) sql: String,
    pub(in crate::spool) values: Vec<Value>,
}

impl Query {
    pub(in crate::spool) fn add(
        &mut self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> &mut Self {
        self.sql.push_str(sql);
        self.values.extend(values);
        self
    }

    /// Adds a condition with this value in each of its places.
    pub(in crate::spool) fn add_condition(&mut self, condition: &str, value: &str) {
        let places = condition.matches('?').count();
        self.add(condition, vec![Value::from(value.to_owned()); places]);
    }
}
