//! How people recognise a message: its outgoing Message-ID, and its Subject unless
//! `[history] subjects` turns that off.

use rusqlite::Connection;

use crate::spool::SpoolError;

/// Whether Subjects are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subjects {
    /// As long as the entry.
    Kept,
    /// Never, because they may reveal too much.
    NotKept,
}

/// Characters of a Subject that are kept; the field itself may be much longer.
pub const LONGEST_SUBJECT: usize = 200;

/// The ending of a cut Subject.
const CUT: &str = "...";

/// Message-ID and Subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::spool) struct Caption {
    pub(in crate::spool) message_id: Option<String>,
    pub(in crate::spool) subject: Option<String>,
}

impl Caption {
    pub(in crate::spool) fn of(
        message_id: Option<String>,
        subject: &str,
        subjects: Subjects,
    ) -> Self {
        let is_kept = subjects == Subjects::Kept && !subject.is_empty();
        Self {
            message_id,
            subject: is_kept.then(|| cut(subject)),
        }
    }
}

fn cut(subject: &str) -> String {
    if subject.chars().count() <= LONGEST_SUBJECT {
        return subject.to_owned();
    }
    let most = LONGEST_SUBJECT - CUT.len();
    subject.chars().take(most).chain(CUT.chars()).collect()
}

/// Removes stored Subjects after they were turned off.
pub(in crate::spool) fn begin(db: &Connection, subjects: Subjects) -> Result<(), SpoolError> {
    if subjects == Subjects::Kept {
        return Ok(());
    }
    let removed = db.execute(
        "UPDATE entry SET rows_cost = rows_cost - octet_length(subject), subject = NULL
         WHERE subject IS NOT NULL",
        [],
    );
    match removed.map_err(SpoolError::from) {
        // What cannot be read is not shown either.
        Err(error) if !error.is_damage() => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_cut_at_the_limit_and_not_within_a_character() {
        let kept = |subject: &str| Caption::of(None, subject, Subjects::Kept).subject;
        let (fits, more) = ("ü".repeat(LONGEST_SUBJECT), "ü".repeat(1000));

        assert_eq!(kept(&fits), Some(fits));
        let cut = kept(&more).unwrap();
        assert_eq!(cut.chars().count(), LONGEST_SUBJECT);
        assert!(cut.ends_with("ü..."));
        assert_eq!(kept(""), None);
        assert_eq!(Caption::of(None, "a", Subjects::NotKept).subject, None);
    }
}
