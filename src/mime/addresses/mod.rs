//! Address lists in header fields (RFC 5322 3.4): reads them item by item with their
//! original spelling, and writes them folded.
//!
//! A valid field is read by `grammar.rs`, and may go out as the bytes that came in. That
//! reader accepts less than the grammar allows, on purpose: a list that two programs
//! could read differently does not count as valid. `tolerant.rs` reads all other fields,
//! and they are rewritten. A second parser checks the result in either case
//! (`delivery/attempt/recipients.rs`).

pub(super) mod grammar;
pub(super) mod phrase;
#[cfg(test)]
mod tests;
mod tokens;
mod tolerant;

use std::borrow::Cow;

use self::phrase::phrase;
use crate::mail::Address;

/// One item of an address list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// As written, on one line.
    pub text: String,
    /// The one address in it, if there is one.
    pub address: Option<Address>,
    /// The text around the address, as written; none if `tolerant.rs` can derive it on
    /// demand.
    name: Option<String>,
    by_the_book: bool,
}

impl Item {
    /// The display name, ready to be put before another address: the phrase, or the
    /// comment after an address or a single word, as in cron's `root (Cron Daemon)`.
    pub fn name(&self) -> Option<String> {
        match &self.address {
            Some(_) if self.is_nameless() => None,
            Some(_) => phrase(&self.beside()),
            // `root (Cron Daemon)`: the word is the local part of an address.
            None => {
                let name = self.beside();
                phrase(tolerant::comment_behind_a_word(&name).unwrap_or(&name))
            }
        }
    }

    fn beside(&self) -> Cow<'_, str> {
        match &self.name {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(tolerant::name(&self.text)),
        }
    }

    /// The display name as a person reads it, on one line.
    pub fn readable_name(&self) -> Option<String> {
        let name = tolerant::readable(&self.beside());
        (!name.is_empty() && !self.is_nameless()).then_some(name)
    }

    /// Whether all programs read its address alike: neither the address nor the name
    /// before it has quotes, or the name is completely in quotes. Not every program sees
    /// quotes within a name (`a "b, c@d" <e@f>`).
    pub fn is_plain(&self) -> bool {
        self.by_the_book
            && self.address.as_ref().is_some_and(Address::is_plain)
            && grammar::has_plain_name(&self.text)
    }

    /// Whether it is plain and in ASCII, as far as its address allows.
    pub fn is_settled(&self) -> bool {
        let is_ascii = || match &self.address {
            Some(address) if address.in_ascii().is_none() => {
                self.text.replacen(address.as_str(), "", 1).is_ascii()
            }
            Some(_) | None => self.text.is_ascii(),
        };
        self.is_plain() && is_ascii()
    }

    /// Whether it has a name that is missing from [`written`](Self::written).
    pub fn is_lossy(&self) -> bool {
        match self.address {
            Some(_) => !self.is_settled() && self.name().is_none() && !self.is_nameless(),
            None => true,
        }
    }

    /// The rewritten item: unchanged if it is settled, otherwise with its name quoted or
    /// in encoded words, and its address without needless quotes. It is ASCII, unless the
    /// local part of its address is not.
    pub fn written(&self) -> String {
        let Some(address) = &self.address else {
            return self.text.clone();
        };
        if self.is_settled() {
            return self.text.clone();
        }
        let address = if address.is_plain() {
            address.in_ascii().unwrap_or_else(|| address.clone())
        } else {
            address.canonical()
        };
        match self.name() {
            Some(name) => format!("{name} <{address}>"),
            None => address.to_string(),
        }
    }

    /// Whether there is nothing around the address.
    fn is_nameless(&self) -> bool {
        let name = tolerant::readable(&self.beside());
        let name = name.trim_matches(['\'', '<', '>', ' ']);
        let address = self.address.as_ref().map_or("", Address::as_str);
        name.is_empty() || name.eq_ignore_ascii_case(address)
    }
}

/// An address list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// In order, including the members of groups.
    pub items: Vec<Item>,
    /// Whether it is valid, has items, no gaps (`a@b,,c@d`) and no groups, or is one
    /// empty group, so that every program reads it alike.
    pub plain: bool,
    /// Whether it has groups, whose names are not among the items.
    pub groups: bool,
    by_the_book: bool,
}

impl List {
    /// Whether something is lost when its items are rewritten.
    pub fn is_lossy(&self) -> bool {
        (self.groups && !self.plain) || self.items.iter().any(Item::is_lossy)
    }

    /// Whether `grammar.rs` has read it.
    pub(super) fn is_by_the_book(&self) -> bool {
        self.by_the_book
    }

    /// The list of a field that is not UTF-8 and was read octet by octet: `guess` turns
    /// pieces of that text into what was probably written.
    pub(super) fn guessed(mut self, guess: impl Fn(&str) -> String) -> Self {
        for item in &mut self.items {
            // It is unknown how other programs read it.
            item.address.take_if(|address| !address.is_ascii());
            item.name = Some(guess(&item.beside()));
            item.text = guess(&item.text);
        }
        self
    }

    /// Whether it may stay unchanged, because every item is settled.
    pub fn is_settled(&self) -> bool {
        self.plain && self.items.iter().all(Item::is_settled)
    }
}

/// Reads the text of an address field, on one line.
pub(super) fn read(text: &str) -> List {
    let mut list = by_the_book(text).unwrap_or_else(|| {
        let read = tolerant::read(text);
        let items = read.items.into_iter().map(|found| Item {
            // The grammar reads all of `=?utf-8?q?B?=a@b` as an address.
            by_the_book: grammar::list(&found.text).is_some_and(|list| {
                let addresses = list.items.iter().map(|(_, address)| address);
                list.plain && addresses.eq(&found.address)
            }),
            text: found.text,
            address: found.address,
            name: Some(found.name),
        });
        List {
            items: items.collect(),
            plain: false,
            groups: read.groups,
            by_the_book: false,
        }
    });
    for item in &mut list.items {
        // Programs differ about text that resembles an encoded word (RFC 2047).
        item.address
            .take_if(|address| address.as_str().contains("=?"));
    }
    list
}

/// The list, if all of it is valid according to RFC 5322 3.4.
fn by_the_book(text: &str) -> Option<List> {
    let list = grammar::list(text)?;
    let items = list.items.into_iter().map(|(text, address)| Item {
        text: text.to_owned(),
        address: Some(address),
        name: None,
        by_the_book: true,
    });
    Some(List {
        items: items.collect(),
        plain: list.plain,
        groups: list.groups,
        by_the_book: true,
    })
}

/// A field with one item a line (RFC 5322 2.2.3), ready to be inserted.
pub fn field_of<'t>(name: &str, items: impl IntoIterator<Item = &'t str>) -> Vec<u8> {
    let mut field = format!("{name}: ").into_bytes();
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            field.extend_from_slice(b",\r\n ");
        }
        field.extend_from_slice(item.as_bytes());
    }
    field.extend_from_slice(b"\r\n");
    field
}
