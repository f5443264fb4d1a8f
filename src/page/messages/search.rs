//! What a list of messages is asked for, and how that stands in its URL.

use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

use crate::page::badge::Badge;
use crate::page::texts::MessagesTexts;
use crate::page::texts::Texts;
use crate::spool::Filter;
use crate::spool::FilterError;
use crate::spool::Place;

/// The query of the URL. An empty value is the same as none: a form sends all its fields.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// Anything that is known of the messages.
    #[serde(default)]
    pub(super) q: String,
    #[serde(default)]
    state: String,
    /// Only the last so long: `1h`.
    #[serde(default)]
    newer: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    client: String,
    #[serde(default)]
    mailbox: String,
    #[serde(default)]
    code: String,
    /// Where the page begins.
    #[serde(default)]
    after: String,
    /// What an order was given for, if that was nothing.
    #[serde(default)]
    selected: String,
}

/// Ends the address of a list that was given an order for nothing.
pub(super) const NOTHING_SELECTED: (&str, &str) = ("selected", "none");

/// A choice of a menu.
pub(super) struct Choice {
    pub(super) value: &'static str,
    pub(super) title: &'static str,
    pub(super) is_chosen: bool,
}

/// A filter that a link has set.
pub(super) struct Chosen {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) value: String,
    /// The same list without it.
    pub(super) without: String,
}

/// The badges that can be chosen, with their names in a filter.
const STATES: [(&str, Badge); 8] = [
    ("waiting", Badge::Waiting),
    ("claimed", Badge::Claimed),
    ("held", Badge::Held),
    ("delivered", Badge::Delivered),
    ("failed", Badge::Failed),
    ("dropped", Badge::Dropped),
    ("quarantined", Badge::Quarantined),
    ("refused", Badge::Refused),
];

impl Asked {
    pub(super) fn text(&self) -> &str {
        self.q.trim()
    }

    /// Keys of a filter (`spool/operator/filter.rs`) and what was asked for.
    fn terms(&self) -> [(&'static str, &String); 7] {
        [
            ("state", &self.state),
            ("newer", &self.newer),
            ("from", &self.from),
            ("to", &self.to),
            ("client", &self.client),
            ("mailbox", &self.mailbox),
            ("code", &self.code),
        ]
    }

    /// The filter, if there is any.
    pub(super) fn filter(&self) -> Result<Option<Filter>, FilterError> {
        let terms = self.terms();
        let terms = terms.iter().filter(|(_, value)| !value.trim().is_empty());
        let terms = terms.map(|(key, value)| format!("{key}={}", Filter::quoted(value.trim())));
        let text = terms.collect::<Vec<_>>().join(" ");
        match text.is_empty() {
            true => Ok(None),
            false => text.parse().map(Some),
        }
    }

    /// Where the page begins; one that cannot be read is the beginning.
    pub(super) fn place(&self) -> Option<Place> {
        self.after.parse().ok()
    }

    pub(super) fn is_behind(&self) -> bool {
        !self.after.is_empty()
    }

    /// Whether an order was given for nothing.
    pub(super) fn is_nothing_selected(&self) -> bool {
        self.selected == NOTHING_SELECTED.1
    }

    /// Whether nothing was asked for in particular.
    pub(super) fn is_everything(&self) -> bool {
        let terms = self.terms();
        self.text().is_empty() && terms.iter().all(|(_, value)| value.trim().is_empty())
    }

    /// The address of the same list behind this place.
    pub(super) fn behind(&self, place: Option<Place>) -> String {
        let after = place.map(|place| place.to_string()).unwrap_or_default();
        let terms = self.terms();
        let values = terms.iter().map(|(key, value)| (*key, value.as_str()));
        let values = [("q", self.q.as_str())].into_iter().chain(values);
        address(values.chain([("after", after.as_str())]))
    }

    /// The address of the same list as a file.
    pub(super) fn export(&self, form: &str) -> String {
        let list = self.behind(None);
        list.replacen("/messages", &format!("/messages/export.{form}"), 1)
    }

    pub(super) fn states(&self, texts: &MessagesTexts) -> Vec<Choice> {
        let all = Choice {
            value: "",
            title: texts.all_states,
            is_chosen: self.state.is_empty(),
        };
        let states = STATES.iter().map(|(value, badge)| Choice {
            value,
            title: (texts.status)(*badge),
            is_chosen: self.state == *value,
        });
        [all].into_iter().chain(states).collect()
    }

    pub(super) fn times(&self, all: &Texts) -> Vec<Choice> {
        let spans = &all.overview;
        let times = [
            ("", all.messages.any_time),
            ("1h", spans.hour),
            ("1d", spans.day),
            ("7d", spans.week),
        ];
        let choices = times.into_iter().map(|(value, title)| Choice {
            value,
            title,
            is_chosen: self.newer == value,
        });
        choices.collect()
    }

    pub(super) fn chosen(&self, texts: &MessagesTexts) -> Vec<Chosen> {
        let set = [
            ("from", texts.from, &self.from),
            ("to", texts.to, &self.to),
            ("client", texts.client, &self.client),
            ("mailbox", texts.from, &self.mailbox),
            ("code", "Code", &self.code),
        ];
        let set = set.into_iter().filter(|(_, _, value)| !value.is_empty());
        let chosen = set.map(|(name, title, value)| {
            let others = self.terms();
            let others = others.iter().filter(|(key, _)| *key != name);
            let others = others.map(|(key, value)| (*key, value.as_str()));
            Chosen {
                name,
                title,
                value: value.clone(),
                without: address([("q", self.q.as_str())].into_iter().chain(others)),
            }
        });
        chosen.collect()
    }
}

/// The address of a list, without the values that are empty.
fn address<'a>(values: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let values = values.filter(|(_, value)| !value.is_empty());
    let pairs = values.map(|(key, value)| {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        format!("{key}={value}")
    });
    match pairs.collect::<Vec<_>>().join("&") {
        query if query.is_empty() => "/messages".to_owned(),
        query => format!("/messages?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::texts::Language;

    #[test]
    fn empty_fields_are_no_filter_and_values_cannot_add_terms() {
        assert_eq!(Asked::default().filter(), Ok(None));
        let asked = Asked {
            state: "failed".to_owned(),
            from: "a\" state=\"held, b".to_owned(),
            ..Asked::default()
        };
        let filter = asked.filter().unwrap().unwrap();
        assert_eq!(
            filter.to_string(),
            "state=\"failed\" from=\"a\"\" state=\"\"held, b\""
        );
        let wrong = Asked {
            newer: "soon".to_owned(),
            ..Asked::default()
        };
        assert!(wrong.filter().is_err());
    }

    #[test]
    fn a_state_has_the_name_that_a_filter_has_for_it() {
        let texts = &Language::English.texts().messages;
        for (word, badge) in STATES {
            let title = (texts.status)(badge).to_lowercase();
            assert!(title.starts_with(word), "{title}: {word}");
            assert!(format!("state={word}").parse::<Filter>().is_ok());
        }
    }

    #[test]
    fn an_address_keeps_what_was_asked_for() {
        let asked = Asked {
            q: "a&b=c".to_owned(),
            to: "x@example.org".to_owned(),
            ..Asked::default()
        };
        assert_eq!(
            asked.behind(None),
            "/messages?q=a%26b%3Dc&to=x%40example%2Eorg"
        );
        assert_eq!(Asked::default().behind(None), "/messages");
    }
}
