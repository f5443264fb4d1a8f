//! Which entries an operator selects: `state=failed from=*@contoso.com`.
//!
//! A filter is passed on as the text that was typed, and only this module interprets it.
//! It becomes SQL (`condition.rs`), so that a hundred thousand entries are never held in
//! memory.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::clock;
use crate::clock::Timestamp;
use crate::spool::state::State;

/// Terms that must all match. There is no filter without a term: an expression that
/// happens to be empty must not select everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter {
    text: String,
    pub(super) terms: Vec<Term>,
}

/// Columns compare with a LIKE pattern, except for the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    State(State),
    From(String),
    To(String),
    Mailbox(String),
    Account(String),
    Code(String),
    Reason(String),
    Subject(String),
    Client(String),
    User(String),
    MessageId(String),
    Older(Duration),
    Newer(Duration),
    Since(Timestamp),
    Until(Timestamp),
    /// Not accepted: only the history has these.
    Refused,
}

/// Why an expression is invalid; the message shows a valid one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The expression is empty.
    #[error("the filter is empty: {KEYS}")]
    Empty,
    /// A word without `=`, or with nothing on one side of it.
    #[error("{0:?} is not KEY=VALUE: {KEYS}")]
    NoTerm(String),
    /// A key that does not exist.
    #[error("unknown key {0:?}: {KEYS}")]
    Key(String),
    /// A state that does not exist.
    #[error(
        "unknown state {0:?}: waiting, claimed, held, delivered, failed, dropped, quarantined, refused"
    )]
    State(String),
    /// Not a length of time.
    #[error("{0:?} is not a time: write it like older=90m, older=12h or older=2d")]
    Time(String),
    /// Not a moment.
    #[error(
        "{0:?} is not a moment: write it in UTC like since=2026-12-01 or until=2026-12-01T14:30"
    )]
    Moment(String),
    /// An opening quotation mark without a closing one.
    #[error("a quotation mark is not closed")]
    Quote,
}

/// What every error message about an expression shows.
const KEYS: &str = "the keys are state, from, to, subject, client, user, message-id, mailbox, \
    account, code, reason, older, newer, since, until, as in state=failed";

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let words = words(text)?;
        if words.is_empty() {
            return Err(FilterError::Empty);
        }
        let terms = words.iter().map(|word| term(word));
        Ok(Self {
            text: text.to_owned(),
            terms: terms.collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<String> for Filter {
    type Error = FilterError;

    fn try_from(text: String) -> Result<Self, FilterError> {
        text.parse()
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.text
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Splits at blanks and commas except between quotation marks, and removes those. Two of them
/// within a pair are one that is meant: `to="""a b""@example.org"`.
fn words(text: &str) -> Result<Vec<String>, FilterError> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => word.push('"'),
            '"' => quoted = !quoted,
            c if !quoted && (c == ',' || c.is_whitespace()) => {
                words.push(std::mem::take(&mut word));
            }
            c => word.push(c),
        }
    }
    if quoted {
        return Err(FilterError::Quote);
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    Ok(words)
}

fn term(word: &str) -> Result<Term, FilterError> {
    let (key, value) = match word.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => (key, value),
        Some(_) | None => return Err(FilterError::NoTerm(word.to_owned())),
    };
    match key {
        "state" if value == REFUSED => Ok(Term::Refused),
        "state" => State::named(value)
            .map(Term::State)
            .ok_or_else(|| FilterError::State(value.to_owned())),
        "from" => Ok(Term::From(address(value))),
        "to" => Ok(Term::To(address(value))),
        "mailbox" => Ok(Term::Mailbox(address(value))),
        "account" => Ok(Term::Account(value.to_owned())),
        "code" => Ok(Term::Code(like(value))),
        "reason" => Ok(Term::Reason(format!("%{}%", escaped(value)))),
        "subject" => Ok(Term::Subject(format!("%{}%", escaped(value)))),
        "client" => Ok(Term::Client(like(value))),
        "user" => Ok(Term::User(like(value))),
        "message-id" => Ok(Term::MessageId(format!("<{}>", address(value)))),
        "older" => span(value).map(Term::Older),
        "newer" => span(value).map(Term::Newer),
        "since" => moment(value).map(Term::Since),
        "until" => moment(value).map(Term::Until),
        _ => Err(FilterError::Key(key.to_owned())),
    }
}

fn span(value: &str) -> Result<Duration, FilterError> {
    clock::parse_span(value).ok_or_else(|| FilterError::Time(value.to_owned()))
}

fn moment(value: &str) -> Result<Timestamp, FilterError> {
    Timestamp::from_words(value).ok_or_else(|| FilterError::Moment(value.to_owned()))
}

/// `<a@b>` as lists print it means `a@b`, and `<>` is the null reverse-path.
fn address(value: &str) -> String {
    let bare = value.strip_prefix('<').and_then(|v| v.strip_suffix('>'));
    like(bare.unwrap_or(value))
}

/// Turns a pattern with `*` into one for LIKE; both ignore the case of ASCII letters.
fn like(pattern: &str) -> String {
    escaped(pattern).replace('*', "%")
}

pub(in crate::spool) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}

impl Filter {
    /// Whether it lets through only messages of a state, or refused ones.
    pub(in crate::spool) fn names_state(&self) -> bool {
        let is_state = |term: &Term| matches!(term, Term::State(_) | Term::Refused);
        self.terms.iter().any(is_state)
    }

    /// A value as it stands between quotation marks in a filter.
    pub fn quoted(value: &str) -> String {
        format!("\"{}\"", value.replace('"', "\"\""))
    }

    /// Whether it lets through only what goes to some recipients.
    pub(in crate::spool) fn names_recipients(&self) -> bool {
        self.terms.iter().any(|term| matches!(term, Term::To(_)))
    }
}

/// The state in a filter of what was not accepted.
const REFUSED: &str = "refused";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Term>, FilterError> {
        text.parse().map(|filter: Filter| filter.terms)
    }

    #[test]
    fn terms_are_separated_by_blanks_or_commas_and_quotes_keep_them_together() {
        let terms = parsed("state=failed, from=*@contoso.com older=2d reason=\"is full, now\"");

        assert_eq!(
            terms.unwrap(),
            [
                Term::State(State::Failed),
                Term::From("%@contoso.com".to_owned()),
                Term::Older(Duration::from_secs(2 * 86_400)),
                Term::Reason("%is full, now%".to_owned()),
            ]
        );
    }

    #[test]
    fn a_quotation_mark_in_a_value_is_doubled() {
        for value in ["\"a b\"@example.org", "a\" state=\"held, b", "\"", "plain"] {
            let terms = parsed(&format!("subject={}", Filter::quoted(value)));
            assert_eq!(terms.unwrap(), [Term::Subject(format!("%{value}%"))]);
        }
        assert!(matches!(parsed("from=\"\""), Err(FilterError::NoTerm(_))));
    }

    #[test]
    fn sql_wildcards_are_ordinary_characters() {
        let terms = parsed("to=<a_b%@c.d> reason=100%*");

        assert_eq!(
            terms.unwrap(),
            [
                Term::To("a\\_b\\%@c.d".to_owned()),
                Term::Reason("%100\\%*%".to_owned()),
            ]
        );
        assert_eq!(parsed("from=<>").unwrap(), [Term::From(String::new())]);
        for text in ["message-id=<1@app>", "message-id=1@app"] {
            let message_id = Term::MessageId("<1@app>".to_owned());
            assert_eq!(parsed(text).unwrap(), [message_id]);
        }
    }

    #[test]
    fn a_wrong_expression_says_which_keys_there_are() {
        for wrong in [
            "",
            " , ",
            "failed",
            "=x",
            "state=",
            "size>5MB",
            "colour=red",
        ] {
            let error = parsed(wrong).unwrap_err().to_string();
            assert!(
                error.contains("state, from, to, subject,"),
                "{wrong:?}: {error}"
            );
        }
        assert!(matches!(parsed("state=lost"), Err(FilterError::State(_))));
        assert!(matches!(parsed("older=soon"), Err(FilterError::Time(_))));
        assert!(matches!(
            parsed("since=yesterday"),
            Err(FilterError::Moment(_))
        ));
        assert_eq!(parsed("reason=\"x"), Err(FilterError::Quote));
    }
}
