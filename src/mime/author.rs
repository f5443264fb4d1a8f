//! Who a message is from: its From fields (RFC 5322 3.6.2), and the one address
//! in them that counts.
//!
//! Graph takes the author from the header section, and programs differ in which
//! of several they take. The relay decides by one of them (which account sends,
//! and as whom), so exactly that one may go out: a From that says more is written
//! anew with this address alone, and further From fields do not stay. Otherwise a
//! message could be judged by one author and be sent as another.

use super::Field;
use super::Header;
use super::Item;
use super::list;
use crate::mail::Address;

/// What the From fields of a message are good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// The field that counts names one author, and everybody reads it so.
    AsWritten,
    /// The field at this position names this author among others.
    Among(usize, Item),
    /// None names an author that a mailbox can be.
    Unusable {
        /// The display name that they do have, ready to be written.
        name: Option<String>,
    },
}

/// The author: the first address in the From fields that a mailbox can have
/// (see [`Address::is_routable`]).
pub fn author(header: &Header<'_>) -> Option<Address> {
    author_item(header)?.address
}

/// The author with the display name.
pub fn author_item(header: &Header<'_>) -> Option<Item> {
    header.all("From").find_map(usable)
}

impl Author {
    /// Reads the From fields of a header section; of the same author as
    /// [`author`].
    pub fn of(header: &Header<'_>) -> Self {
        let fields = header.fields.iter().enumerate();
        let mut fields = fields.filter(|(_, field)| field.is("From"));
        let first = fields.clone().next();
        match fields.find_map(|(at, field)| Some((at, field, usable(field)?))) {
            // Nothing stands in the field but that item: no other, no empty one; and
            // in a spelling that is read alike by all.
            Some((_, field, item)) if field.text() == item.text && item.is_plain() => {
                Self::AsWritten
            }
            Some((at, _, item)) => Self::Among(at, item),
            None => Self::Unusable {
                name: first.and_then(|(_, field)| only_item(field)?.name()),
            },
        }
    }
}

/// The first item of a From field that a mailbox can be.
pub(super) fn usable(field: &Field<'_>) -> Option<Item> {
    let routable = |item: &Item| item.address.as_ref().is_some_and(Address::is_routable);
    list(field)?.items.into_iter().find(routable)
}

impl Author {
    /// The display name of an author whom no mailbox can be.
    pub fn name(self) -> Option<String> {
        match self {
            Self::AsWritten | Self::Among(..) => None,
            Self::Unusable { name } => name,
        }
    }
}

fn only_item(field: &Field<'_>) -> Option<Item> {
    let mut items = list(field)?.items.into_iter();
    items.next().filter(|_| items.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_author_is_the_first_address_that_a_mailbox_can_have() {
        let of = |head: &str| {
            let header = Header::split(head.as_bytes(), true).unwrap();
            (author(&header).map(String::from), Author::of(&header))
        };
        let unusable = |name: Option<&str>| Author::Unusable {
            name: name.map(str::to_owned),
        };

        let as_written = (Some("a@b.c".to_owned()), Author::AsWritten);
        for alone in [
            "From: a@b.c\r\n",
            "From: A <a@b.c> (x)\r\nFrom: d@e.f\r\n",
            "From: root\r\nfrom: \"B, A\"\r\n <a@b.c>\r\n",
        ] {
            assert_eq!(of(alone), as_written, "{alone}");
        }
        for among in [
            "From: B, A <a@b.c>\r\n",
            "From: root, a@b.c, d@e.f\r\n",
            "From: x: a@b.c;\r\n",
            "From: ,a@b.c\r\n",
            "From: \"a\"@b.c\r\n",
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
            ("From: B, A\r\n", None),
            ("From: \"open <a@b.c>\r\n", None),
            ("From: a@b.c <d@e.f>\r\n", None),
        ] {
            assert_eq!(of(none), (None, unusable(name)), "{none}");
        }
    }
}
