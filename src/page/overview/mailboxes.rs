//! Each mailbox, and how far it is from its limits.

use crate::admin::Status;
use crate::page::texts::Texts;

/// A mailbox in the table.
pub(super) struct MailboxRow {
    pub(super) mailbox: String,
    pub(super) class: &'static str,
    pub(super) state: &'static str,
    /// When it sends again, if it waits; otherwise when today's first recipients no longer
    /// count, if it has a daily limit.
    pub(super) until: Option<String>,
    /// Recipients of the last day, and the daily limit.
    pub(super) recipients: Option<(u64, u64)>,
    /// Requests that may go at once now, and without throttling.
    pub(super) requests: Option<(u32, u32)>,
    pub(super) words: (String, String),
}

/// The mailboxes that the accounts name, and those that wait.
pub(super) fn rows(status: &Status, texts: &Texts) -> Vec<MailboxRow> {
    let texts = &texts.overview;
    let mut names: Vec<String> = Vec::new();
    let named = status.accounts.iter().flat_map(|account| {
        let signed_in = account
            .tokens
            .iter()
            .filter_map(|token| token.mailbox.as_ref());
        let fixed = Some(account.mailbox.clone()).filter(|mailbox| mailbox.contains('@'));
        fixed.into_iter().chain(signed_in.map(ToString::to_string))
    });
    let backing_off = status.delivery.backing_off.iter();
    let backing_off = backing_off.filter_map(|it| it.mailbox.as_ref());
    let limited = status.delivery.limited.iter().map(|it| &it.mailbox);
    let waiting = backing_off.chain(limited).map(ToString::to_string);
    for name in named.chain(waiting) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            names.push(name);
        }
    }
    names
        .into_iter()
        .map(|name| row(name, status, texts))
        .collect()
}

fn row(mailbox: String, status: &Status, texts: &crate::page::texts::OverviewTexts) -> MailboxRow {
    let is = |name: &str| name.eq_ignore_ascii_case(&mailbox);
    let mut pauses = status.paused.iter();
    let paused = pauses.any(|it| it.mailbox.as_ref().is_none_or(|it| is(it.as_str())));
    let mut backing_off = status.delivery.backing_off.iter();
    let backing_off = backing_off.find(|it| it.mailbox.as_ref().is_some_and(|it| is(it.as_str())));
    let mut limited = status.delivery.limited.iter();
    let limited = limited.find(|it| is(it.mailbox.as_str()));
    let (class, state, until) = match (paused, backing_off, limited) {
        (true, _, _) => ("warn", texts.paused, None),
        (false, Some(it), _) => ("bad", texts.backing_off, Some(it.until.to_string())),
        (false, None, Some(it)) => ("warn", texts.limited, Some(it.until.to_string())),
        (false, None, None) => ("ok", texts.sending, None),
    };
    let mut rates = status.delivery.rates.iter();
    let rates = rates.find(|it| is(it.mailbox.as_str()));
    let recipients = rates.and_then(|it| Some((it.recipients, it.recipients_per_day?)));
    let requests = rates.map(|it| (it.requests_at_once, it.most_requests_at_once));
    let free_at = rates.and_then(|it| it.recipients_free_at);
    let of = |pair: Option<(u64, u64)>| {
        pair.map_or_else(String::new, |(used, limit)| (texts.of)(used, limit))
    };
    let at_once = requests.map_or_else(String::new, |(now, most)| match now < most {
        true => (texts.fewer_at_once)(now, most),
        false => (texts.most_at_once)(most),
    });
    MailboxRow {
        words: (of(recipients), at_once),
        until: until.or_else(|| free_at.map(|at| at.to_string())),
        mailbox,
        class,
        state,
        recipients,
        requests,
    }
}
