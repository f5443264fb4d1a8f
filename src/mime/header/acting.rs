//! Fields that name who acted for the author: Sender (RFC 5322 3.6.2), and Resent-From
//! and Resent-Sender, with which a mail client redirects a message (3.6.6).
//!
//! Recipients see these names, so the rule for From applies to them too. A user with
//! `senders` may name only addresses that it may send as; the listener refuses a message
//! that names another. It refuses instead of renaming, as for From and MAIL FROM: mail
//! clients write the user's own address here, so another one is a mistake or a forgery,
//! and only a refusal tells the client.
//!
//! A field causes no refusal if no mailbox can have written it (`www-data@web01`, which
//! web servers add by themselves), or if two programs could read it differently (groups,
//! gaps, unclosed quotes). It is renamed to `X-Original-...` for every client, so that no
//! program acts on it or believes it.

use crate::mail::Address;
use crate::mime::Field;
use crate::mime::Header;
use crate::mime::Item;

/// The fields that name a person who acted for the author.
const FIELDS: [&str; 3] = ["Sender", "Resent-From", "Resent-Sender"];

/// A person named in such a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The field's name in its usual spelling.
    pub field: &'static str,
    /// An address that a mailbox can have.
    pub address: Address,
}

/// Everybody whom these fields name, including groups and repetitions.
pub fn actors<'h>(header: &'h Header<'_>) -> impl Iterator<Item = Actor> + 'h {
    let named = header
        .fields
        .iter()
        .filter_map(|field| Some((field, name(field)?)));
    named.flat_map(|(field, name)| {
        let items = field.list().items.iter();
        let addresses = items.filter_map(|item| item.address.as_ref());
        addresses
            .filter(|address| address.is_routable())
            .map(move |address| Actor {
                field: name,
                address: address.clone(),
            })
    })
}

/// Whether such a field must be removed: programs find different mailboxes in it, or it
/// names one that cannot exist.
pub(in crate::mime) fn is_unsure(field: &Field<'_>) -> bool {
    name(field).is_some() && !is_sure(field)
}

/// Whether the field names only mailboxes; a Sender must name exactly one.
pub(in crate::mime) fn is_sure(field: &Field<'_>) -> bool {
    let list = field.list();
    let addresses = list.items.iter().map(|item| item.address.as_ref());
    let is_mailbox = |address: &Address| address.is_routable() && address.is_plain();
    let most = if field.is("Sender") { 1 } else { usize::MAX };
    // A malformed one is rewritten (`header/ascii/`).
    let is_clear = match list.is_by_the_book() {
        true => list.plain && list.items.iter().all(Item::is_plain),
        false => !list.is_lossy(),
    };
    let mut sure = addresses.map(|address| address.is_some_and(is_mailbox));
    is_clear && (1..=most).contains(&list.items.len()) && sure.all(|is_sure| is_sure)
}

fn name(field: &Field<'_>) -> Option<&'static str> {
    FIELDS.into_iter().find(|name| field.is(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> (Vec<String>, Vec<bool>) {
        let header = Header::split(head.as_bytes(), true).unwrap();
        let actors = actors(&header).map(|actor| format!("{} {}", actor.field, actor.address));
        let unsure = header.fields.iter().map(is_unsure);
        (actors.collect(), unsure.collect())
    }

    #[test]
    fn every_address_in_every_such_field_is_found() {
        for (head, actors) in [
            ("Sender: A <a@b.c>\r\n", &["Sender a@b.c"][..]),
            ("sender : a@b.c\r\n", &["Sender a@b.c"]),
            ("SENDER:\r\n\ta@b.c\r\n", &["Sender a@b.c"]),
            (
                "Sender: a@b.c\r\nSender: d@e.f\r\n",
                &["Sender a@b.c", "Sender d@e.f"],
            ),
            (
                "Resent-From: x: a@b.c, \"d\"@e.f;\r\nresent-sender: g@h.i\r\n",
                &[
                    "Resent-From a@b.c",
                    "Resent-From \"d\"@e.f",
                    "Resent-Sender g@h.i",
                ],
            ),
            ("From: a@b.c\r\nResent-To: d@e.f\r\n", &[]),
            ("Sender: www-data@web01\r\n", &[]),
        ] {
            assert_eq!(read(head).0, actors, "{head}");
        }
    }

    #[test]
    fn a_field_without_a_certain_mailbox_is_removed() {
        for (field, unsure) in [
            ("Sender: a@b.c", false),
            ("Sender: \"A, B\" <a@b.c> (C)", false),
            ("Resent-From: a@b.c, D <d@e.f>", false),
            ("Resent-Sender: a@b.c", false),
            ("Sender: a@b.c, d@e.f", true),
            ("Sender: www-data@web01.local", true),
            ("Sender: root", true),
            ("Sender:", true),
            ("Sender: x: a@b.c;", true),
            ("Sender: x:;", true),
            ("Sender: a@b.c <d@e.f>", false),
            ("Sender: \"open <a@b.c>", false),
            ("Sender: Contoso, Inc. <a@b.c>", false),
            ("Sender: a@b.c; d@e.f", true),
            ("Resent-From: a@b.c, \"open <d@e.f>", false),
            ("Sender: \"a\"@b.c", true),
            ("Resent-From: a@b.c,, d@e.f", true),
            ("Resent-From: a@b.c, root", true),
            ("Resent-Sender: <a@b.c", false),
            ("Reply-To: root", false),
        ] {
            assert_eq!(read(&format!("{field}\r\n")).1, [unsure], "{field}");
        }
    }
}
