//! The texts of the pages of this folder, apart from the list and the first part of one
//! message, whose texts are in `texts/mod.rs`.

/// The question before an order, and what came of it.
#[derive(Debug)]
pub(in crate::page) struct OrderTexts {
    pub(in crate::page) whole: &'static str,
    /// How many of the messages that match an order is about.
    pub(in crate::page) cut: fn(usize) -> String,
    pub(in crate::page) further_recipients: fn(usize) -> String,
    pub(in crate::page) further_messages: fn(usize) -> String,
    pub(in crate::page) further_remarks: fn(usize) -> String,
    /// How many of how many messages were changed so far.
    pub(in crate::page) progress: fn(usize, usize) -> String,
    pub(in crate::page) goes_on: &'static str,
    pub(in crate::page) broken: &'static str,
    pub(in crate::page) nothing_title: &'static str,
    pub(in crate::page) nothing: &'static str,
    pub(in crate::page) gone_title: &'static str,
    pub(in crate::page) gone: &'static str,
    pub(in crate::page) show_copy: &'static str,
    /// To select all messages that match, of which this is the number, or more.
    pub(in crate::page) all_that_match: fn(usize, bool) -> String,
    /// What was ordered about a message, and by whom: a name of an order, or `drop content`.
    pub(in crate::page) ordered: fn(&str, &str) -> String,
    /// A user of the machine, by number.
    pub(in crate::page) user: fn(u32) -> String,
    pub(in crate::page) resend_whom: &'static str,
    pub(in crate::page) resend_original: fn(&str) -> String,
    pub(in crate::page) resend_mailbox: fn(&str) -> String,
    pub(in crate::page) resend_other: &'static str,
    pub(in crate::page) resend_addresses: &'static str,
    pub(in crate::page) can_until: fn(&str) -> String,
    pub(in crate::page) cannot: &'static str,
}

/// The content of a message.
#[derive(Debug)]
pub(in crate::page) struct ContentTexts {
    pub(in crate::page) title: &'static str,
    pub(in crate::page) show: &'static str,
    pub(in crate::page) header: &'static str,
    pub(in crate::page) text: &'static str,
    pub(in crate::page) html: &'static str,
    pub(in crate::page) html_help: &'static str,
    pub(in crate::page) cut: &'static str,
    pub(in crate::page) not_whole: &'static str,
    pub(in crate::page) no_text: &'static str,
    pub(in crate::page) files: &'static str,
    pub(in crate::page) no_files: &'static str,
    pub(in crate::page) name: &'static str,
    pub(in crate::page) kind: &'static str,
    pub(in crate::page) raw: &'static str,
    pub(in crate::page) not_for_you: &'static str,
    pub(in crate::page) gone_title: &'static str,
    pub(in crate::page) gone: &'static str,
    pub(in crate::page) unreadable_title: &'static str,
    pub(in crate::page) unreadable: &'static str,
}

/// The list as a file.
#[derive(Debug)]
pub(in crate::page) struct ExportTexts {
    pub(in crate::page) title: &'static str,
}
