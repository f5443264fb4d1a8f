//! The outgoing fields that say who a message is from: the rules for From, Sender and
//! Reply-To in `compose.rs`.

use super::compose::Rules;
use crate::config::FromRule;
use crate::config::Senders;
use crate::delivery::Context;
use crate::mail::Address;
use crate::mime::Author;
use crate::mime::Field;
use crate::mime::Findings;
use crate::mime::Header;
use crate::mime::Item;
use crate::mime::known_item;
use crate::routing::goes_out_as;
use crate::spool::Claimed;

impl Context {
    /// The From that a message goes out with.
    pub(in crate::delivery) fn goes_out_from(&self, entry: &Claimed) -> Address {
        let (author, path) = (entry.author.as_ref(), &entry.envelope.reverse_path);
        let from = match self.account_clients.get(&entry.destination.account) {
            Some(account_client) => {
                goes_out_as(&account_client.account, &self.senders, author, path)
            }
            None => author.and_then(|author| self.senders.outgoing(author)),
        };
        from.unwrap_or_else(|| entry.destination.mailbox.clone())
    }
}

/// What happens to the author fields.
#[derive(Debug, Default)]
pub(in crate::delivery) struct AuthorFields {
    /// Fields to put at the top.
    pub(in crate::delivery) added: String,
    /// Names of fields to rename to `X-Original-...`.
    pub(in crate::delivery) aside: Vec<&'static str>,
    /// The new author according to `[[sender]]`.
    author: Option<Address>,
}

impl AuthorFields {
    pub(in crate::delivery) fn of(
        header: &Header<'_>,
        findings: &Findings,
        rules: Rules<'_>,
    ) -> Self {
        match rules.submission.from {
            FromRule::Keep => {
                let kept = Self::kept(&findings.author, rules.from);
                let replaced = Self::replaced(header, findings, rules.senders);
                let from = replaced.unwrap_or(kept);
                from.and_sender(header, findings, rules.senders)
            }
            FromRule::Mailbox => Self::mailbox(header, &findings.author, rules.mailbox),
        }
    }

    fn kept(author: &Author, from: &Address) -> Self {
        let added = match author {
            Author::Alone(_) => String::new(),
            Author::Among(_, item) => format!("From: {}\r\n", item.written()),
            Author::Unusable { name } => from_field(name.as_deref(), from),
        };
        Self {
            added,
            aside: Vec::new(),
            author: None,
        }
    }

    /// The author's replacement according to `[[sender]]`, if there is one.
    fn replaced(header: &Header<'_>, findings: &Findings, senders: &Senders) -> Option<Self> {
        let known = |address: &Address| senders.replaced(address).is_some();
        let author = findings.author.item().cloned();
        let item = author.or_else(|| known_item(header, known))?;
        let new = senders.replaced(item.address.as_ref()?)?;
        let mut replaced = Self {
            added: from_field(item.name().as_deref(), &new),
            aside: vec!["From"],
            author: Some(new),
        };
        replaced.answers_to(header, &item);
        Some(replaced)
    }

    /// The same for the address in Sender.
    fn and_sender(mut self, header: &Header<'_>, findings: &Findings, senders: &Senders) -> Self {
        let known = |item: &&Item| {
            let address = item.address.as_ref();
            address.is_some_and(|address| senders.replaced(address).is_some())
        };
        let fields = header.all("Sender");
        let Some(item) = fields.flat_map(|it| &it.list().items).find(known) else {
            return self;
        };
        let Some(new) = item.address.as_ref().and_then(|it| senders.replaced(it)) else {
            return self;
        };
        let author = self.author.as_ref().or_else(|| findings.author.address());
        if author.is_none_or(|author| author.key() != new.key()) {
            let field = from_field(item.name().as_deref(), &new);
            self.added.push_str(&field.replacen("From", "Sender", 1));
        }
        self.aside.push("Sender");
        self
    }

    /// Sends replies to this author if they would go nowhere otherwise and a mailbox can
    /// have the address.
    fn answers_to(&mut self, header: &Header<'_>, author: &Item) {
        let answers =
            |field: &Field<'_>| field.list().items.iter().any(|item| item.address.is_some());
        let is_routable = author.address.as_ref().is_some_and(Address::is_routable);
        if is_routable && !header.all("Reply-To").any(answers) {
            self.added
                .push_str(&format!("Reply-To: {}\r\n", author.written()));
            self.aside.push("Reply-To");
        }
    }

    /// Makes the mailbox the author, under the display name that came in. Replies go
    /// where they would have gone.
    fn mailbox(header: &Header<'_>, author: &Author, mailbox: &Address) -> Self {
        let is_mailbox = |address: &Address| address.key() == mailbox.key();
        if author.address().is_some_and(is_mailbox) {
            return Self {
                aside: vec!["Sender"],
                ..Self::kept(author, mailbox)
            };
        }
        let mut from = Self {
            added: from_field(author.name().as_deref(), mailbox),
            // Sender would name the address that may not send.
            aside: vec!["From", "Sender"],
            author: None,
        };
        if let Some(item) = author.item() {
            from.answers_to(header, item);
        }
        from
    }
}

fn from_field(name: Option<&str>, address: &Address) -> String {
    match name {
        Some(name) => format!("From: {name} <{address}>\r\n"),
        None => format!("From: {address}\r\n"),
    }
}
