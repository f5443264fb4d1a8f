//! Who a message is from: its From fields (RFC 5322 3.6.2), and the one address
//! in them that counts.

use super::Header;
use super::list;
use crate::mail::Address;

/// The author: the address that the first From field begins with that begins with
/// one a mailbox can have (see [`Address::is_routable`]).
pub fn author(header: &Header<'_>) -> Option<Address> {
    header
        .all("From")
        .filter_map(|field| list(field)?.items.into_iter().next()?.address)
        .find(Address::is_routable)
}

/// Everybody whom the From field with the author names, the author first; `None`
/// for an item that is not sure. Nobody, if there is no author.
pub fn authors(header: &Header<'_>) -> Vec<Option<Address>> {
    let addresses = |field| -> Option<Vec<Option<Address>>> {
        let items = list(field)?.items.into_iter();
        Some(items.map(|item| item.address).collect())
    };
    let counts = |named: &Vec<Option<Address>>| {
        let first = named.first().and_then(Option::as_ref);
        first.is_some_and(Address::is_routable)
    };
    let mut named = header.all("From").filter_map(addresses);
    named.find(counts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_author_is_an_address_that_a_mailbox_can_have() {
        let of = |head: &str| {
            let header = Header::split(head.as_bytes(), true).unwrap();
            author(&header).map(String::from)
        };

        for routable in ["From: A <a@b.c>\r\n", "From: root@host\r\nFrom: a@b.c\r\n"] {
            assert_eq!(of(routable).as_deref(), Some("a@b.c"), "{routable}");
        }
        for none in [
            "",
            "From: Zabbix HQ\r\n",
            "From: root@host\r\n",
            "From: ups@[192.0.2.1]\r\n",
            "From: A <a@host.local>\r\n",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
