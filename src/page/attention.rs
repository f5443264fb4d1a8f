//! What needs attention, as every page shows it on top.

use crate::admin::Status;
use crate::clock::Timestamp;
use crate::spool::State;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Mail does not flow.
    Bad,
    /// Something will go wrong, or somebody has stopped something.
    Warning,
}

impl Level {
    /// Its class in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warning => "warn",
        }
    }
}

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) level: Level,
    /// What is wrong, as a sentence without a full stop.
    pub(super) title: String,
    /// Since when.
    pub(super) since: Option<Timestamp>,
    /// Details, and what to do.
    pub(super) words: Option<String>,
    /// The command that helps.
    pub(super) command: Option<String>,
    /// The list concerned.
    pub(super) link: Option<&'static str>,
}

impl Notice {
    fn new(level: Level, title: impl Into<String>) -> Self {
        Self {
            level,
            title: title.into(),
            since: None,
            words: None,
            command: None,
            link: None,
        }
    }

    fn with(self, words: impl Into<String>) -> Self {
        let words = Some(words.into());
        Self { words, ..self }
    }

    fn run(self, command: impl Into<String>) -> Self {
        let command = Some(command.into());
        Self { command, ..self }
    }

    fn list(self, link: &'static str) -> Self {
        let link = Some(link);
        Self { link, ..self }
    }
}

const WAITING: &str = "/messages?state=waiting";

/// Everything that needs attention, the worst first.
pub(super) fn notices(status: &Status) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Some(full) = &status.full {
        notices.push(Notice::new(Level::Bad, "The relay accepts no mail").with(full));
    }
    if let Some(error) = status.spool_error.as_ref().filter(|it| it.is_recent()) {
        let title = "The spool cannot be written or read";
        let notice = Notice::new(Level::Bad, title).with(&error.reason);
        notices.push(Notice {
            since: Some(error.at),
            ..notice.run("graph-relay doctor")
        });
    }
    notices.extend(of_accounts(status));
    notices.extend(of_delivery(status));
    if let count @ 1.. = status.queue.without_account {
        let title = format!("{count} waiting: no [[account]] matches their From address");
        notices.push(Notice::new(Level::Bad, title).list(WAITING));
    }
    if let Some((words, command)) = status.configuration.trouble() {
        let title = "relay.toml is not what is in force";
        notices.push(Notice::new(Level::Warning, title).with(words).run(command));
    }
    if let count @ 1.. = status.queue.count(State::Failed) {
        let title = format!("Failed messages: {count}");
        notices.push(Notice::new(Level::Warning, title).list("/messages?state=failed"));
    }
    if let count @ 1.. = status.queue.count(State::Quarantined) {
        let title = format!("Messages in quarantine: {count}");
        let notice = Notice::new(Level::Bad, title).list("/messages?state=quarantined");
        notices.push(notice.run("graph-relay spool check"));
    }
    notices.sort_by_key(|notice| notice.level == Level::Warning);
    notices
}

fn of_accounts(status: &Status) -> Vec<Notice> {
    let mut notices = Vec::new();
    for account in &status.accounts {
        let name = &account.name;
        if let Some(ends) = account.ends.as_ref().filter(|ends| ends.is_near) {
            let title = format!("The {} of account {name} expires at {}", ends.what, ends.at);
            notices.push(Notice::new(Level::Warning, title));
        }
        if let Some(problem) = &account.trouble {
            let title = format!("The credential of account {name} cannot be used");
            notices.push(Notice::new(Level::Bad, title).with(problem));
        }
        for token in account.tokens.iter().filter(|it| it.state.is_trouble()) {
            let whose = match &token.mailbox {
                Some(mailbox) => mailbox.as_str(),
                None => name.as_str(),
            };
            let notice = match token.state.needs_sign_in() {
                true => Notice::new(Level::Bad, format!("{whose} must sign in"))
                    .run(format!("graph-relay login {whose}")),
                false => Notice::new(Level::Bad, format!("{whose} gets no token")),
            };
            let words = token.trouble.clone();
            notices.push(Notice { words, ..notice });
        }
    }
    notices
}

fn of_delivery(status: &Status) -> Vec<Notice> {
    let paused = status.paused.iter().map(|pause| {
        let title = format!("An operator has paused {}{}", pause.what(), pause.why());
        let notice = Notice::new(Level::Warning, title).run(pause.remedy());
        let since = Some(pause.since);
        Notice { since, ..notice }.list(WAITING)
    });
    let backing_off = status.delivery.backing_off.iter().map(|backing_off| {
        let whose = match &backing_off.mailbox {
            Some(mailbox) => mailbox.to_string(),
            None => format!("account {}", backing_off.account),
        };
        let title = format!("Mail of {whose} waits: {}", backing_off.why());
        let next = format!("The next attempt is at {}.", backing_off.until);
        Notice::new(Level::Bad, title).with(next).list(WAITING)
    });
    let limited = status.delivery.limited.iter().filter(|it| it.daily);
    let limited = limited.map(|limited| {
        let title = format!("{} has reached {}", limited.mailbox, limited.limit);
        let next = format!("Its mail waits until {}.", limited.until);
        Notice::new(Level::Warning, title).with(next).list(WAITING)
    });
    paused.chain(backing_off).chain(limited).collect()
}
