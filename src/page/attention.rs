//! What needs attention, as every page shows it on top. `admin/attention/` decides what that
//! is; this file adds how bad it is, and which list shows the messages concerned.

use crate::admin::attention::Condition;
use crate::admin::attention::Kind;
use crate::admin::capital;
use crate::clock::Timestamp;
use crate::page::sentence;
use crate::page::texts::Language;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Mail does not flow.
    Bad,
    /// Something will go wrong, or somebody has stopped something.
    Warning,
}

impl Level {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::SignInNeeded
            | Kind::NoToken
            | Kind::DeliveryRefused
            | Kind::BackingOff
            | Kind::Stalled
            | Kind::NoAccount
            | Kind::DiskFull
            | Kind::SpoolError
            | Kind::ConnectionsFull
            | Kind::PickupWaits => Self::Bad,
            Kind::MessageFailed
            | Kind::MessageHeld
            | Kind::MessageStuck
            | Kind::MailWaits
            | Kind::CredentialExpires
            | Kind::DailyLimit
            | Kind::DeliveryPaused
            | Kind::Doctor
            | Kind::AlertFailed
            | Kind::Configuration
            | Kind::LogUnread => Self::Warning,
        }
    }

    /// Its class in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warning => "warn",
        }
    }
}

/// Words, and the tag of their language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) words: String,
    pub(super) lang: &'static str,
}

impl Said {
    pub(super) fn new(words: impl Into<String>, language: Language) -> Self {
        Self {
            words: sentence(words.into()),
            lang: language.tag(),
        }
    }
}

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) level: Level,
    /// What is wrong, as a sentence without a full stop, in the language of the page.
    pub(super) title: String,
    /// Since when.
    pub(super) since: Option<Timestamp>,
    /// Since when it has been seen, where the relay does not know when it began.
    pub(super) seen: Option<Timestamp>,
    /// The cause in detail.
    pub(super) details: Vec<Said>,
    /// What to do.
    pub(super) remedy: Option<Said>,
    /// The command that helps.
    pub(super) command: Option<String>,
    /// The list concerned.
    pub(super) link: Option<String>,
}

impl Notice {
    fn new(condition: Condition, language: Language) -> Self {
        let link = list(&condition);
        let texts = &language.texts().attention;
        let english = |words: &str| Said::new(capital(words), Language::English);
        let title = (texts.title)(&condition);
        let is_whole = title.as_ref().is_none_or(|title| title.is_whole);
        let said = Some(&*condition.sentence).filter(|_| !is_whole);
        let details = said.into_iter().chain(condition.detail.as_deref());
        let remedy = (texts.remedy)(condition.kind).map(|words| Said::new(words, language));
        let remedy_in_english = || {
            // The page has the list that the command in it would print.
            let remedy = condition.remedy.as_ref();
            let remedy = remedy.filter(|words| link.is_none() || !words.contains(LIST))?;
            Some(Said::new(remedy, Language::English))
        };
        Self {
            level: Level::of(condition.kind),
            title: title.map_or_else(
                || sentence(capital(&condition.sentence)),
                |title| title.words,
            ),
            // That an event happened once more does not begin what the title says.
            since: condition
                .since
                .filter(|_| condition.happened_ago_ms.is_none()),
            seen: None,
            details: details.map(english).collect(),
            remedy: remedy.or_else(remedy_in_english),
            // The page has the list that the command would print.
            command: condition.command.filter(|_| link.is_none()),
            link,
        }
    }
}

/// The command whose list the page has.
const LIST: &str = "graph-relay queue list";

/// Everything that needs attention, the worst first.
pub(super) fn notices(found: Vec<(Condition, Timestamp)>, language: Language) -> Vec<Notice> {
    let notice = |(condition, seen): (Condition, Timestamp)| {
        // What has happened once has been there since then.
        let is_known = condition.since.is_some() || condition.happened_ago_ms.is_some();
        Notice {
            seen: Some(seen).filter(|_| !is_known),
            ..Notice::new(condition, language)
        }
    };
    let mut notices: Vec<Notice> = found.into_iter().map(notice).collect();
    notices.sort_by_key(|notice| notice.level);
    notices
}

/// The list with the messages that a condition is about.
fn list(condition: &Condition) -> Option<String> {
    let state = match condition.kind {
        Kind::MessageFailed => "failed",
        Kind::MessageHeld => condition.subject.as_deref().unwrap_or("held"),
        Kind::MailWaits | Kind::MessageStuck | Kind::NoAccount | Kind::Stalled => "waiting",
        Kind::CredentialExpires
        | Kind::SignInNeeded
        | Kind::NoToken
        | Kind::DeliveryRefused
        | Kind::BackingOff
        | Kind::DailyLimit
        | Kind::DiskFull
        | Kind::SpoolError
        | Kind::DeliveryPaused
        | Kind::Doctor
        | Kind::AlertFailed
        | Kind::Configuration
        | Kind::ConnectionsFull
        | Kind::LogUnread
        | Kind::PickupWaits => return None,
    };
    Some(format!("/messages?state={state}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 21] = [
        Kind::MessageFailed,
        Kind::MessageHeld,
        Kind::MailWaits,
        Kind::CredentialExpires,
        Kind::SignInNeeded,
        Kind::NoToken,
        Kind::DeliveryRefused,
        Kind::BackingOff,
        Kind::Stalled,
        Kind::MessageStuck,
        Kind::NoAccount,
        Kind::DailyLimit,
        Kind::DiskFull,
        Kind::SpoolError,
        Kind::DeliveryPaused,
        Kind::Doctor,
        Kind::AlertFailed,
        Kind::Configuration,
        Kind::ConnectionsFull,
        Kind::LogUnread,
        Kind::PickupWaits,
    ];

    fn condition(kind: Kind, subject: Option<&str>) -> Condition {
        Condition {
            kind,
            subject: subject.map(str::to_owned),
            since: None,
            happened_ago_ms: None,
            count: 1,
            sentence: "relay@contoso.com is in trouble since 12m".to_owned(),
            detail: None,
            remedy: Some("do something".to_owned()),
            command: None,
        }
    }

    #[test]
    fn every_kind_has_a_german_title_and_keeps_what_the_relay_says() {
        for kind in KINDS {
            for subject in [None, Some("relay@contoso.com")] {
                let notice = Notice::new(condition(kind, subject), Language::German);

                assert!(!notice.title.contains("trouble"), "{kind:?}");
                let says_subject = subject.is_some_and(|it| notice.title.contains(it));
                let says_all = notice.details.iter().any(|it| it.words.contains("12m"));
                // Its sentence is always the same.
                let says_all = says_all || kind == Kind::MessageFailed;
                assert!(says_subject || says_all, "{kind:?}: {notice:?}");
                assert!(notice.details.iter().all(|it| it.lang == "en"), "{kind:?}");
                assert!(notice.remedy.is_some(), "{kind:?}");
            }
        }
    }

    #[test]
    fn in_english_the_sentence_is_the_title() {
        let notice = Notice::new(condition(Kind::Stalled, None), Language::English);

        assert_eq!(notice.title, "relay@contoso.com is in trouble since 12m");
        assert_eq!(notice.details, []);
        assert_eq!(
            notice.remedy.unwrap(),
            Said::new("do something", Language::English)
        );
    }
}
