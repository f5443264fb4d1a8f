//! Address lists in header fields (RFC 5322 3.4): reading them item by item
//! with their original spelling, and writing them folded.
//!
//! This reader understands less than the grammar allows, on purpose: an item
//! that it is not sure of has no address, and `delivery/` then treats it as
//! nobody's. What it does understand is checked by a second parser after the
//! edit.

use super::Field;
use super::header::BLANKS;
use super::phrase::phrase;
use crate::mail::Address;

/// One item of an address list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// As written, on one line.
    pub text: String,
    /// The one address in it, if it is sure.
    pub address: Option<Address>,
}

impl Item {
    /// The display name, ready to be written in front of another address, if it
    /// is sure: the phrase, or the comment behind an address or a single word, as
    /// in cron's `root (Cron Daemon)`.
    pub fn name(&self) -> Option<String> {
        let (outside, comments) = apart(&self.text)?;
        let outside = outside.trim_matches(BLANKS);
        if let Some((name, _)) = in_brackets(outside) {
            return phrase(name);
        }
        let is_word = outside.contains('@') || !outside.contains(char::is_whitespace);
        let name = if is_word && !comments.is_empty() {
            &comments
        } else {
            outside
        };
        phrase(name)
    }

    /// Whether it has an address in a spelling that is read alike by all: without
    /// quotes, and so the name in front of it, or in quotes as a whole. What stands
    /// in quotes within a name (`a "b, c@d" <e@f>`) is no quote to everybody.
    pub fn is_plain(&self) -> bool {
        let Some((outside, _)) = apart(&self.text) else {
            return false;
        };
        let name = in_brackets(outside.trim_matches(BLANKS)).map_or("", |(name, _)| name);
        self.address.as_ref().is_some_and(Address::is_plain)
            && (!name.contains('"') || is_quoted_string(name))
    }

    /// The item where it is written anew: as it was, but in ASCII with an encoded
    /// word for its name, or without a name that is not sure, and without quotes
    /// that its address does not need. Only an address that is not ASCII itself
    /// cannot be helped.
    pub fn written(&self) -> String {
        let Some(address) = &self.address else {
            return self.text.clone();
        };
        if self.is_plain() && self.text.is_ascii() {
            return self.text.clone();
        }
        let address = if address.is_plain() {
            address.clone()
        } else {
            address.canonical()
        };
        match self.name() {
            Some(name) => format!("{name} <{address}>"),
            None => address.to_string(),
        }
    }
}

/// An address list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// In order; the members of groups among them.
    pub items: Vec<Item>,
    /// It has items, no gaps (`a@b,,c@d`) and no groups, or is one empty group:
    /// every program reads it alike.
    pub plain: bool,
}

/// Reads an address list; `None` if its quotes, comments or brackets do not close.
pub fn list(field: &Field<'_>) -> Option<List> {
    let text = field.text();
    let mut items = Vec::new();
    let mut scan = Scan::default();
    let mut start = 0;
    let mut groups = false;
    let mut gaps = false;
    for (at, c) in text.char_indices() {
        if scan.step(c) {
            continue;
        }
        match c {
            // A group's name ends: its members are items of their own.
            ':' => {
                groups = true;
                start = at + 1;
            }
            ',' | ';' => {
                groups |= c == ';';
                gaps |= !push(&mut items, text.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !scan.is_closed() {
        return None;
    }
    gaps |= !push(&mut items, text.get(start..)?);
    if !field.is_utf8() {
        // Nobody knows what another program reads there.
        for item in &mut items {
            item.address.take_if(|address| !address.is_ascii());
        }
    }
    let plain = if groups { is_empty_group(&text) } else { !gaps };
    Some(List { items, plain })
}

/// `undisclosed-recipients:;` and its like.
fn is_empty_group(text: &str) -> bool {
    let mut halves = text.split(':');
    let name = halves.next().unwrap_or_default();
    let rest: Vec<&str> = halves.collect();
    let word = |c: char| c.is_alphanumeric() || " -_.\t".contains(c);
    !name.is_empty()
        && name.chars().all(word)
        && matches!(*rest, [rest] if rest.trim_matches(BLANKS) == ";")
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

/// Adds an item; whether there is one.
fn push(items: &mut Vec<Item>, text: &str) -> bool {
    let text = text.trim_matches(BLANKS);
    if text.is_empty() {
        return false;
    }
    items.push(Item {
        text: text.to_owned(),
        address: address(text),
    });
    true
}

/// `addr-spec`, `<addr-spec>` or `phrase <addr-spec>`, comments around them.
fn address(item: &str) -> Option<Address> {
    let (outside, _) = apart(item)?;
    let outside = outside.trim_matches(BLANKS);
    if !outside.ends_with('>') {
        // `a(x)@b`: few read the comment there (RFC 5322 4.4).
        return outside.parse().ok().filter(|_| item.contains(outside));
    }
    let (phrase, spec) = in_brackets(outside)?;
    // `a@b <c@d>`: some take the first for the address. RFC 5322 wants such a
    // phrase quoted; unquoted it does no harm if both are the same.
    if unquoted(phrase).contains('@') && phrase != spec {
        return None;
    }
    // `a" <b@c>, "<d@e>`: some see quotes only where a word begins.
    if !quotes_are_words(phrase) {
        return None;
    }
    spec.parse().ok()
}

/// RFC 5322 3.2.4: quotes around everything, and none within but escaped ones.
fn is_quoted_string(text: &str) -> bool {
    let mut scan = Scan::default();
    let mut ends = text.char_indices().filter_map(|(at, c)| {
        let before = scan.quoted;
        scan.step(c);
        (before && !scan.quoted).then_some(at + c.len_utf8())
    });
    text.starts_with('"') && ends.next() == Some(text.len())
}

/// The phrase in front of the angle brackets, and what is in them.
fn in_brackets(item: &str) -> Option<(&str, &str)> {
    let inside = item.strip_suffix('>')?;
    let mut scan = Scan::default();
    let open = inside
        .char_indices()
        .find(|(_, c)| {
            scan.step(*c);
            scan.angle
        })
        .map(|(at, _)| at)?;
    let (phrase, spec) = inside.split_at_checked(open)?;
    Some((
        phrase.trim_matches(BLANKS),
        spec.strip_prefix('<')?.trim_matches(BLANKS),
    ))
}

/// The item without its comments, and what they say; `None` if one of them could
/// be taken for an address or for a part of one, or has another within it:
/// programs differ on where that ends.
pub(super) fn apart(item: &str) -> Option<(String, String)> {
    let mut scan = Scan::default();
    let mut outside = String::with_capacity(item.len());
    let mut comments = String::new();
    for c in item.chars() {
        let before = scan.comments;
        scan.step(c);
        match (before, scan.comments) {
            (0, 0) => outside.push(c),
            (_, after) if c == '@' || scan.angle || after > 1 => return None,
            (0, _) | (_, 0) => {}
            _ => comments.push(c),
        }
    }
    Some((outside, comments))
}

/// Whether blanks stand around every quoted string.
fn quotes_are_words(phrase: &str) -> bool {
    let mut scan = Scan::default();
    let mut before = ' ';
    let mut closed = false;
    phrase.chars().all(|c| {
        let quoted = scan.quoted;
        scan.step(c);
        let is_word = match (quoted, scan.quoted) {
            (false, true) => BLANKS.contains(&before),
            (false, false) => !closed || BLANKS.contains(&c),
            (true, _) => true,
        };
        closed = quoted && !scan.quoted;
        before = c;
        is_word
    })
}

/// What stands outside quoted strings.
fn unquoted(phrase: &str) -> String {
    let mut scan = Scan::default();
    let outside = |c: &char| {
        let before = scan.quoted;
        scan.step(*c);
        !before && !scan.quoted
    };
    phrase.chars().filter(outside).collect()
}

/// Where in the syntax a position is.
#[derive(Debug, Default)]
struct Scan {
    quoted: bool,
    escaped: bool,
    comments: usize,
    angle: bool,
    stray: bool,
}

impl Scan {
    /// Takes in a character; whether it stands inside quotes, a comment or
    /// angle brackets, or is one of their delimiters.
    fn step(&mut self, c: char) -> bool {
        if self.escaped {
            self.escaped = false;
            return true;
        }
        if self.quoted || self.comments > 0 {
            match c {
                '\\' => self.escaped = true,
                '"' if self.quoted => self.quoted = false,
                '(' if !self.quoted => self.comments += 1,
                ')' if !self.quoted => self.comments -= 1,
                _ => {}
            }
            return true;
        }
        match c {
            '"' => self.quoted = true,
            '(' => self.comments = 1,
            '<' if !self.angle => self.angle = true,
            '>' if self.angle => self.angle = false,
            ')' | '<' | '>' => self.stray = true,
            _ => return self.angle,
        }
        true
    }

    fn is_closed(&self) -> bool {
        !(self.quoted || self.escaped || self.angle || self.stray) && self.comments == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::Header;

    fn read(value: &str) -> Option<Vec<(String, Option<String>)>> {
        let head = format!("To: {value}\r\n\r\n");
        let header = Header::split(head.as_bytes(), true).unwrap();
        let list = list(&header.fields[0])?;
        Some(
            list.items
                .into_iter()
                .map(|item| (item.text, item.address.map(String::from)))
                .collect(),
        )
    }

    fn addresses(value: &str) -> Vec<Option<String>> {
        let items = read(value).unwrap();
        items.into_iter().map(|(_, address)| address).collect()
    }

    #[test]
    fn items_keep_their_spelling() {
        let items = read("\"Doe, J\" <j@d.e>, =?utf-8?q?M=C3=BC?= <m@d.e>,\r\n x@d.e").unwrap();

        let texts: Vec<&str> = items.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(
            texts,
            ["\"Doe, J\" <j@d.e>", "=?utf-8?q?M=C3=BC?= <m@d.e>", "x@d.e"]
        );
        assert!(items.iter().all(|(_, address)| address.is_some()));
    }

    #[test]
    fn groups_are_their_members() {
        assert_eq!(addresses("undisclosed-recipients:;"), []);
        assert_eq!(
            addresses("team: a@b, C <c@d>;, e@f"),
            [Some("a@b".into()), Some("c@d".into()), Some("e@f".into())]
        );
    }

    #[test]
    fn only_lists_without_groups_are_plain() {
        let plain = |value: &str| {
            let head = format!("To: {value}\r\n\r\n");
            let header = Header::split(head.as_bytes(), true).unwrap();
            list(&header.fields[0]).unwrap().plain
        };

        assert!(plain("a@b, \"x: y; z\" <c@d>"));
        assert!(plain("undisclosed-recipients:;") && plain("Undisclosed recipients: ;"));
        for groups in [
            "team: a@b;",
            "a@b; c@d",
            "eve@e: a@b",
            "\"x\" <eve@e> : a@b",
            "x:a@b,eve@e:;",
            "a@b,",
            ",a@b",
            "a@b, ,c@d",
            "",
            ":;",
        ] {
            assert!(!plain(groups), "{groups}");
        }
    }

    #[test]
    fn an_item_that_can_be_read_in_two_ways_has_no_address() {
        for doubtful in [
            "(Cron (the daemon)) root@host",
            "a@b <c@d>",
            "a@b (x) c@d",
            "\"x\" a@b <c@d>",
            "a@b (or c@d)",
            "a(c@d)@b",
            "a(x)@b",
            "<(x)a@b>",
            "x\" <c@d>, \" <a@b>",
            "\"x\"y <a@b>",
            "<\u{a0}a@b>",
            "\u{85}a@b",
            "x <a@b(x).c>",
            "<a@b> <c@d>",
            "<a@b> c@d",
            "a@b c@d",
            "root",
            "<@relay:a@b>",
            "=?utf-8?q?a=40b?=",
        ] {
            assert!(
                addresses(doubtful).iter().any(Option::is_none),
                "{doubtful}"
            );
        }
    }

    #[test]
    fn the_spellings_of_old_programs_are_understood() {
        for old in [
            "root@host (Cron Daemon)",
            "(Cron the daemon) root@host",
            "root@host <root@host>",
            "\"x@y\" <root@host>",
            "< root@host >",
            "Cron Daemon<root@host>",
        ] {
            assert_eq!(addresses(old), [Some("root@host".into())], "{old}");
        }
    }

    #[test]
    fn a_name_is_the_phrase_or_the_comment() {
        let name = |text: &str| {
            let item = Item {
                text: text.to_owned(),
                address: None,
            };
            item.name()
        };

        for (text, expected) in [
            ("Zabbix HQ", "\"Zabbix HQ\""),
            ("root", "\"root\""),
            ("root (Cron Daemon)", "\"Cron Daemon\""),
            ("root@host (Cron Daemon)", "\"Cron Daemon\""),
            ("(Cron Daemon) root@host", "\"Cron Daemon\""),
            ("Zabbix HQ (prod)", "\"Zabbix HQ\""),
            ("Zabbix <root@localhost>", "\"Zabbix\""),
            ("Zabbix (prod) <root@localhost>", "\"Zabbix\""),
            ("Zabbix <>", "\"Zabbix\""),
            ("=?utf-8?q?Z=C3=BC?= <root@host>", "=?utf-8?q?Z=C3=BC?="),
        ] {
            assert_eq!(name(text).as_deref(), Some(expected), "{text}");
        }
        for doubtful in [
            "root@localhost",
            "<root@localhost>",
            "root@localhost <root@localhost>",
            "\"ceo@contoso.com\" <root@localhost>",
            "root (or ceo@contoso.com)",
            "a@b <c@d> e",
        ] {
            assert_eq!(name(doubtful), None, "{doubtful}");
        }
    }

    #[test]
    fn an_item_written_anew_is_ascii() {
        let written = |value: &[u8]| {
            let head = [b"To: ", value, b"\r\n\r\n"].concat();
            let header = Header::split(&head, true).unwrap();
            list(&header.fields[0]).unwrap().items[0].written()
        };

        for (value, expected) in [
            (&b"\"Doe, J\"  <j@d.e> (x)"[..], "\"Doe, J\"  <j@d.e> (x)"),
            (b"Z\xfcrich <a@b>", "=?utf-8?b?WsO8cmljaA==?= <a@b>"),
            (b"Z\xc3\xbcrich <a@b>", "=?utf-8?b?WsO8cmljaA==?= <a@b>"),
            (b"a@b (Z\xfcrich)", "=?utf-8?b?WsO8cmljaA==?= <a@b>"),
            (b"Z\x92rich <a@b>", "a@b"),
            (b"Z <\"a\"@b>", "\"Z\" <a@b>"),
            ("<\u{fc}@b>".as_bytes(), "\u{fc}@b"),
        ] {
            assert_eq!(written(value), expected);
        }
        let latin_1 = Header::split(b"To: \xfc@b\r\n\r\n", true).unwrap();
        assert_eq!(list(&latin_1.fields[0]).unwrap().items[0].address, None);
    }

    #[test]
    fn what_does_not_close_is_no_list() {
        for broken in ["\"a <b@c>", "(a b@c", "<a@b", "a@b>", "a@b)", "<<a@b>>"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_written_field_is_folded() {
        assert_eq!(
            field_of("Bcc", ["a@b", "c@d"]),
            b"Bcc: a@b,\r\n c@d\r\n".to_vec()
        );
    }
}
