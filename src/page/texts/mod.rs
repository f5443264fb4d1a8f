//! Every text of the page, in one table for each language. A table without one of the
//! texts does not compile. To add a language: a file like `german.rs`, its problems in
//! `attention.rs`, and a line each in [`Language`]. To add a page: a struct of its texts in a
//! file of this folder or of the page's, a field in [`Texts`], and its values in each language.
//!
//! What the relay says about a message or an error (`admin/verdict.rs`, the catalogue) is
//! in English; the page marks it as such. `attention.rs` translates the problems on top. A few
//! answers that come before a language is known have all languages in one text (`page/mod.rs`,
//! `access/mod.rs`).

pub(super) mod attention;
mod english;
mod german;

use self::attention::AttentionTexts;
use super::audit::AuditTexts;
use super::devices::texts::AddTexts;
use super::devices::texts::AllowTexts;
use super::devices::texts::DevicesTexts;
use super::devices::texts::UserTexts;
use super::doctor::DoctorTexts;
use super::mailboxes::texts::MailboxesTexts;
use super::messages::texts::ContentTexts;
use super::messages::texts::ExportTexts;
use super::messages::texts::OrderTexts;
use super::setup::texts::SetupTexts;
use super::test_message::texts::TestTexts;
use crate::admin::PageRole as Role;
use crate::spool::Action;

/// A language of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
}

impl Language {
    pub(super) const ALL: [Self; 2] = [Self::English, Self::German];

    pub(super) fn texts(self) -> &'static Texts {
        match self {
            Self::English => &english::TEXTS,
            Self::German => &german::TEXTS,
        }
    }

    /// Its tag (BCP 47).
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// Its own name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    /// The language of a tag such as `de` or `de-AT`.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next().unwrap_or_default();
        let mut all = Self::ALL.into_iter();
        all.find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The best language for the field Accept-Language (RFC 9110 12.5.4).
    pub(super) fn accepted(field: &str) -> Self {
        let mut best: Option<(f32, Self)> = None;
        for range in field.split(',').take(MOST_RANGES) {
            let (tag, weight) = range.split_once(";q=").unwrap_or((range, "1"));
            let weight: f32 = weight.trim().parse().unwrap_or(0.0);
            if let Some(language) = Self::of_tag(tag)
                && weight > best.map_or(0.0, |(weight, _)| weight)
            {
                best = Some((weight, language));
            }
        }
        best.map_or(Self::English, |(_, language)| language)
    }
}

/// Languages that are read of a request.
const MOST_RANGES: usize = 20;

/// All texts.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) layout: LayoutTexts,
    pub(super) attention: AttentionTexts,
    pub(super) access: AccessTexts,
    pub(super) overview: OverviewTexts,
    pub(super) messages: MessagesTexts,
    pub(super) message: MessageTexts,
    pub(super) devices: DevicesTexts,
    pub(super) setup: SetupTexts,
    pub(super) test: TestTexts,
    pub(super) mailboxes: MailboxesTexts,
    pub(super) order: OrderTexts,
    pub(super) content: ContentTexts,
    pub(super) export: ExportTexts,
    pub(super) add_device: AddTexts,
    pub(super) allow_device: AllowTexts,
    pub(super) device_user: UserTexts,
    pub(super) time: TimeTexts,
    pub(super) audit: AuditTexts,
    pub(super) doctor: DoctorTexts,
}

/// The frame of every page.
#[derive(Debug)]
pub(super) struct LayoutTexts {
    pub(super) skip: &'static str,
    pub(super) pages: &'static str,
    pub(super) overview: &'static str,
    pub(super) messages: &'static str,
    pub(super) devices: &'static str,
    pub(super) setup: &'static str,
    pub(super) mailboxes: &'static str,
    pub(super) attention: &'static str,
    pub(super) what_to_do: &'static str,
    /// Said of what the visitor may not do.
    pub(super) by_operator: &'static str,
    pub(super) all_well: &'static str,
    pub(super) since: &'static str,
    pub(super) seen: &'static str,
    pub(super) show_them: &'static str,
    pub(super) show_it: &'static str,
    pub(super) look_again: &'static str,
    pub(super) log_out: &'static str,
    pub(super) inbox: &'static str,
}

/// Logging in, and refusals.
#[derive(Debug)]
pub(super) struct AccessTexts {
    pub(super) log_in: &'static str,
    pub(super) logged_out: &'static str,
    pub(super) session_ended: &'static str,
    pub(super) with_link: &'static str,
    pub(super) how: &'static str,
    pub(super) password: &'static str,
    pub(super) wrong_link: &'static str,
    pub(super) entra: &'static str,
    pub(super) entra_failed: &'static str,
    pub(super) entra_stale: &'static str,
    /// Before the name of the user.
    pub(super) entra_not_listed: &'static str,
    pub(super) entra_groups: &'static str,
    pub(super) wrong_password: &'static str,
    pub(super) wait: &'static str,
    pub(super) foreign_title: &'static str,
    pub(super) foreign: &'static str,
    pub(super) stale_title: &'static str,
    pub(super) stale: &'static str,
    pub(super) not_allowed_title: &'static str,
    pub(super) not_allowed: &'static str,
    pub(super) not_shown: &'static str,
    pub(super) not_found_title: &'static str,
    pub(super) not_found: &'static str,
    pub(super) unreadable_title: &'static str,
    pub(super) unreadable: &'static str,
    pub(super) method_title: &'static str,
    pub(super) method: &'static str,
    pub(super) slow_title: &'static str,
    pub(super) slow: &'static str,
    pub(super) large_title: &'static str,
    pub(super) large: &'static str,
    pub(super) arrival_title: &'static str,
    pub(super) arrival: &'static str,
    /// A title and what to do, in the form of a remedy of the relay: the log has both in English.
    pub(super) unnamed_proxy: &'static str,
    pub(super) unnamed_proxy_remedy: &'static str,
    pub(super) role: fn(Role) -> &'static str,
}

/// The overview.
#[derive(Debug)]
pub(super) struct OverviewTexts {
    pub(super) accepted: &'static str,
    pub(super) delivered: &'static str,
    pub(super) deferred: &'static str,
    pub(super) deferred_help: &'static str,
    pub(super) failed: &'static str,
    pub(super) refused: &'static str,
    pub(super) hour: &'static str,
    pub(super) day: &'static str,
    pub(super) week: &'static str,
    pub(super) span: &'static str,
    pub(super) since_start: fn(&str) -> String,
    pub(super) most_in_a_bar: fn(u64) -> String,
    pub(super) waiting: &'static str,
    pub(super) oldest: fn(&str) -> String,
    pub(super) nothing_waits: &'static str,
    pub(super) held: &'static str,
    pub(super) show_waiting: &'static str,
    pub(super) show_failed: &'static str,
    pub(super) show_refused: &'static str,
    pub(super) mailboxes: &'static str,
    pub(super) mailbox: &'static str,
    pub(super) state: &'static str,
    pub(super) next_free: &'static str,
    pub(super) recipients: &'static str,
    pub(super) at_once: &'static str,
    /// Requests that may go at once: without throttling, and of the usual number.
    pub(super) most_at_once: fn(u32) -> String,
    pub(super) fewer_at_once: fn(u32, u32) -> String,
    pub(super) of: fn(u64, u64) -> String,
    pub(super) sending: &'static str,
    pub(super) limited: &'static str,
    pub(super) backing_off: &'static str,
    pub(super) paused: &'static str,
    pub(super) no_mailbox: &'static str,
    pub(super) listening: &'static str,
    pub(super) version: fn(&str) -> String,
    pub(super) first_title: &'static str,
    pub(super) first: &'static str,
}

/// The list of messages.
#[derive(Debug)]
pub(super) struct MessagesTexts {
    pub(super) search_help: &'static str,
    pub(super) state: &'static str,
    pub(super) all_states: &'static str,
    pub(super) time: &'static str,
    pub(super) any_time: &'static str,
    pub(super) find: &'static str,
    pub(super) only: &'static str,
    pub(super) without: &'static str,
    pub(super) caption: &'static str,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) subject: &'static str,
    pub(super) happened: &'static str,
    pub(super) client: &'static str,
    pub(super) no_subject: &'static str,
    pub(super) no_sender: &'static str,
    pub(super) itself: &'static str,
    pub(super) nothing: &'static str,
    pub(super) nothing_yet: &'static str,
    /// The search has not come to an end.
    pub(super) nothing_so_far: &'static str,
    pub(super) older: &'static str,
    pub(super) newest: &'static str,
    pub(super) live: &'static str,
    pub(super) bad_filter: &'static str,
    pub(super) select: &'static str,
    pub(super) select_first: &'static str,
    pub(super) nothing_selected: &'static str,
    pub(super) status: fn(crate::page::badge::Badge) -> &'static str,
}

/// One message, and what can be done with messages.
#[derive(Debug)]
pub(super) struct MessageTexts {
    pub(super) unknown_title: &'static str,
    pub(super) unknown: &'static str,
    pub(super) recipients: &'static str,
    pub(super) instead_of: &'static str,
    pub(super) details: &'static str,
    pub(super) envelope_sender: &'static str,
    pub(super) mailbox: &'static str,
    pub(super) size: &'static str,
    pub(super) report_about: &'static str,
    pub(super) copy_of: &'static str,
    pub(super) copy: &'static str,
    pub(super) made: &'static str,
    /// From which address and under which name the client came.
    pub(super) accepted: fn(&str, &str) -> String,
    /// The number of an attempt, and its outcome.
    pub(super) attempt: fn(u32, &str) -> String,
    /// For how long Microsoft asked to wait.
    pub(super) asked_to_wait: fn(&str) -> String,
    pub(super) planned: fn(u32) -> String,
    pub(super) under_way: &'static str,
    pub(super) delivered: &'static str,
    pub(super) deferred: &'static str,
    pub(super) failed: &'static str,
    pub(super) doubtful: &'static str,
    pub(super) code: &'static str,
    pub(super) took: &'static str,
    pub(super) protocol: &'static str,
    pub(super) yes: &'static str,
    pub(super) no: &'static str,
    pub(super) retry: &'static str,
    pub(super) hold: &'static str,
    pub(super) release: &'static str,
    pub(super) drop: &'static str,
    pub(super) confirm: fn(Action, usize) -> String,
    pub(super) drop_help: &'static str,
    pub(super) done: fn(Action, usize) -> String,
    pub(super) unchanged: fn(usize) -> String,
    pub(super) back: &'static str,
    pub(super) cancel: &'static str,
    pub(super) resend_title: &'static str,
    pub(super) resend: &'static str,
    pub(super) resend_question: &'static str,
    pub(super) resent: fn(&str) -> String,
    pub(super) not_resent: &'static str,
    pub(super) not_an_address: &'static str,
}

/// Lengths of time.
#[derive(Debug)]
pub(super) struct TimeTexts {
    pub(super) seconds: fn(u64) -> String,
    pub(super) minutes: fn(u64) -> String,
    pub(super) hours: fn(u64) -> String,
    pub(super) days: fn(u64) -> String,
}

impl TimeTexts {
    /// A length of time in the largest unit of which there are two.
    pub(super) fn span(&self, length: std::time::Duration) -> String {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        match length.as_secs() {
            seconds if seconds >= 2 * DAY => (self.days)(seconds / DAY),
            seconds if seconds >= 2 * HOUR => (self.hours)(seconds / HOUR),
            seconds if seconds >= 2 * MINUTE => (self.minutes)(seconds / MINUTE),
            seconds => (self.seconds)(seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_accepted_one_with_the_largest_weight() {
        for (field, language) in [
            ("", Language::English),
            ("fr", Language::English),
            ("de", Language::German),
            ("de-AT,en;q=0.9", Language::German),
            ("en-US,en;q=0.9,de;q=0.8", Language::English),
            ("fr, de;q=0.5, en;q=0.7", Language::English),
            ("fr;q=1, de;q=0.5", Language::German),
            ("de;q=0", Language::English),
            ("DE", Language::German),
        ] {
            assert_eq!(Language::accepted(field), language, "{field}");
        }
    }

    #[test]
    fn a_length_of_time_is_written_in_one_unit() {
        let span = |language: Language, seconds| {
            let length = std::time::Duration::from_secs(seconds);
            language.texts().time.span(length)
        };
        assert_eq!(span(Language::English, 1), "1 second");
        assert_eq!(span(Language::English, 7200), "2 hours");
        assert_eq!(span(Language::German, 119), "119 Sekunden");
        assert_eq!(span(Language::German, 180), "3 Minuten");
    }
}
