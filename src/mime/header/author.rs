//! Who a message is from: its From fields (RFC 5322 3.6.2), and the one address in them
//! that counts.
//!
//! Graph takes the author from the header section, and programs differ in which of
//! several authors they use. The relay bases its decision on one of them (which account
//! sends, and as whom), so only that one may go out: a From with more authors is
//! rewritten with this address alone, and further From fields are removed. Otherwise a
//! message could be checked for one author and sent as another.

use crate::mail::Address;
use crate::mime::Field;
use crate::mime::Header;
use crate::mime::Item;
use crate::mime::List;
use crate::mime::text::decoded;

/// The author in the From fields of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// The field that counts names only this author.
    Alone(Item),
    /// The field at this position names this author and others.
    Among(usize, Item),
    /// No field names an author that a mailbox can have.
    Unusable {
        /// Their display name, ready to be written.
        name: Option<String>,
    },
}

/// The first item of the From fields with an address that satisfies `known`, whether a
/// mailbox can have it or not.
pub fn known_item(header: &Header<'_>, known: impl Fn(&Address) -> bool) -> Option<Item> {
    let mut items = header.all("From").flat_map(|field| &field.list().items);
    let found = items.find(|item| item.address.as_ref().is_some_and(&known));
    found.cloned()
}

impl Author {
    /// Reads the From fields of a header section. The author is the first address that a
    /// mailbox can have (see [`Address::is_routable`]).
    pub fn of(header: &Header<'_>) -> Self {
        let fields = header.fields.iter().enumerate();
        let mut fields = fields.filter(|(_, field)| field.is("From"));
        let first = fields.clone().next();
        match fields.find_map(|(at, field)| Some((at, field, usable(field)?))) {
            Some((_, field, item)) if is_alone(field.list()) => Self::Alone(item.clone()),
            Some((at, _, item)) => Self::Among(at, item.clone()),
            None => Self::Unusable {
                name: first.and_then(|(_, field)| substitutes_name(field)),
            },
        }
    }
}

/// The first item of a From field that a mailbox can have.
pub(in crate::mime) fn usable<'f>(field: &'f Field<'_>) -> Option<&'f Item> {
    let routable = |item: &&Item| item.address.as_ref().is_some_and(Address::is_routable);
    field.list().items.iter().find(routable)
}

/// Whether a list is exactly one item, without a group or a gap. Its name may have any
/// spelling, because it goes out in one that all programs read alike (`header/ascii/`).
fn is_alone(list: &List) -> bool {
    let is_one = list.items.len() == 1 && !list.groups;
    is_one && (list.plain || !list.is_by_the_book())
}

/// The name that may be put before another address: one without an @, which would show
/// the wrong address.
fn substitutes_name(field: &Field<'_>) -> Option<String> {
    let mut items = field.list().items.iter();
    let only = items.next().filter(|_| items.next().is_none())?;
    only.name()
        .filter(|name| !decoded(name, usize::MAX).contains('@'))
}

impl Author {
    /// The address with its display name.
    pub fn item(&self) -> Option<&Item> {
        match self {
            Self::Alone(item) | Self::Among(_, item) => Some(item),
            Self::Unusable { .. } => None,
        }
    }

    /// The address.
    pub fn address(&self) -> Option<&Address> {
        self.item()?.address.as_ref()
    }

    /// The display name, ready to be written; also for an author that no mailbox can
    /// have.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Alone(item) | Self::Among(_, item) => item.name(),
            Self::Unusable { name } => name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_author_is_the_first_address_that_a_mailbox_can_have() {
        let of = |head: &str| {
            let header = Header::split(head.as_bytes(), true).unwrap();
            let author = Author::of(&header);
            (author.address().cloned().map(String::from), author)
        };
        let unusable = |name: Option<&str>| Author::Unusable {
            name: name.map(str::to_owned),
        };

        for alone in [
            "From: a@b.c\r\n",
            "From: A <a@b.c> (x)\r\nFrom: d@e.f\r\n",
            "From: root\r\nfrom: \"B, A\"\r\n <a@b.c>\r\n",
            "From: B, A <a@b.c>\r\n",
            "From: \"open <a@b.c>\r\n",
            "From: d@e.f <a@b.c>\r\n",
        ] {
            let (address, author) = of(alone);
            assert_eq!(address.as_deref(), Some("a@b.c"), "{alone}");
            assert!(matches!(author, Author::Alone(_)), "{alone}: {author:?}");
        }
        for among in [
            "From: root, a@b.c, d@e.f\r\n",
            "From: x: a@b.c;\r\n",
            "From: ,a@b.c\r\n",
            "From: B <a@b.c>, C\r\n",
        ] {
            let (address, author) = of(among);
            let address = address.map(|address| address.replace('"', ""));
            assert_eq!(address.as_deref(), Some("a@b.c"), "{among}");
            assert!(matches!(author, Author::Among(0, _)), "{author:?}");
        }
        for (none, name) in [
            ("", None),
            ("From: Zabbix HQ\r\n", Some("\"Zabbix HQ\"")),
            ("From: A <a@host.local>\r\n", Some("\"A\"")),
            ("From: B, A\r\n", Some("\"B, A\"")),
            ("From: a@b.c <d@local>\r\n", None),
            ("From: =?utf-8?q?a=40b?= <d@local>\r\n", None),
        ] {
            assert_eq!(of(none), (None, unusable(name)), "{none}");
        }
    }
}
