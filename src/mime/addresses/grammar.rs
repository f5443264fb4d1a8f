//! Valid address lists (RFC 5322 3.4): the only ones that may go out as the bytes that
//! came in.
//!
//! This reader accepts less than the grammar allows, on purpose: a list in which two
//! programs could see different addresses does not count as valid, and `tolerant.rs`
//! reads it.

use std::borrow::Cow;

use super::phrase::is_word_by_the_book;
use super::phrase::says_control;
use super::tokens::Kind;
use super::tokens::Token;
use super::tokens::tokens;
use crate::mail::Address;
use crate::mime::text::BLANKS;

/// A valid list.
#[derive(Debug)]
pub(in crate::mime) struct List<'t> {
    pub(in crate::mime) items: Vec<(&'t str, Address)>,
    /// Whether it has items, no gaps and no groups, or is one empty group.
    pub(in crate::mime) plain: bool,
    pub(in crate::mime) groups: bool,
}

/// Reads a list; `None` if anything in it violates RFC 5322 3.4.
pub(in crate::mime) fn list(text: &str) -> Option<List<'_>> {
    let mut items = Vec::new();
    let mut scan = Scan::default();
    let mut start = 0;
    let mut open_groups = 0_usize;
    let mut groups = false;
    let mut gaps = false;
    for (at, c) in text.char_indices() {
        if scan.step(c) {
            continue;
        }
        match c {
            // The name of a group ends here; its members are ordinary items.
            ':' => {
                groups = true;
                open_groups += 1;
                start = at + 1;
            }
            ',' | ';' => {
                if c == ';' {
                    groups = true;
                    open_groups = open_groups.saturating_sub(1);
                }
                gaps |= !push(&mut items, text.get(start..at)?)?;
                start = at + 1;
            }
            _ => {}
        }
    }
    if !scan.is_closed() || open_groups > 0 {
        return None;
    }
    gaps |= !push(&mut items, text.get(start..)?)?;
    let plain = if groups { is_empty_group(text) } else { !gaps };
    Some(List {
        items,
        plain,
        groups,
    })
}

/// `undisclosed-recipients:;` and similar.
fn is_empty_group(text: &str) -> bool {
    let mut halves = text.split(':');
    let name = halves.next().unwrap_or_default();
    let rest: Vec<&str> = halves.collect();
    let word = |c: char| c.is_alphanumeric() || " -_.\t".contains(c);
    !name.is_empty()
        && name.chars().all(word)
        && matches!(*rest, [rest] if rest.trim_matches(BLANKS) == ";")
}

/// Adds an item and returns whether there is one; `None` if it is malformed.
fn push<'t>(items: &mut Vec<(&'t str, Address)>, text: &'t str) -> Option<bool> {
    let text = text.trim_matches(BLANKS);
    if text.is_empty() {
        return Some(false);
    }
    // Some programs treat them as line ends.
    if text.contains(|c: char| c.is_control() && c != '\t') {
        return None;
    }
    // Readers that look for comments first do not see `=?utf-8?q?a(b)?=` as an encoded
    // word.
    let is_sound = |token: &Token| {
        let word = text.get(token.range.clone()).unwrap_or_default();
        token.kind != Kind::Encoded || is_word_by_the_book(word)
    };
    if text.contains("=?") && !tokens(text).iter().all(is_sound) {
        return None;
    }
    items.push((text, address(text)?));
    Some(true)
}

/// Whether the name before an address has no quotes, or is completely in quotes.
pub(in crate::mime) fn has_plain_name(item: &str) -> bool {
    let Some((outside, _)) = apart(item) else {
        return false;
    };
    let name = in_brackets(outside.trim_matches(BLANKS)).map_or("", |(name, _)| name);
    !name.contains('"') || (is_quoted_string(name) && !has_odd_escape(name) && !says_control(name))
}

/// Whether a needless backslash escapes a character, as in `"CONTOSO\scanner"`: people
/// mean the backslash, and programs drop it.
fn has_odd_escape(quoted: &str) -> bool {
    let mut escaped = false;
    quoted.chars().any(|c| {
        let was_escaped = escaped;
        escaped = c == '\\' && !escaped;
        was_escaped && !['"', '\\'].contains(&c)
    })
}

/// `addr-spec`, `<addr-spec>` or `phrase <addr-spec>`, with comments around them.
fn address(item: &str) -> Option<Address> {
    let (outside, _) = apart(item)?;
    let outside = outside.trim_matches(BLANKS);
    if !outside.ends_with('>') {
        // `a(x)@b`: few programs read the comment there (RFC 5322 4.4).
        return outside.parse().ok().filter(|_| item.contains(outside));
    }
    let (phrase, spec) = in_brackets(outside)?;
    // `a@b <c@d>`: some programs use the first address. RFC 5322 requires quotes around
    // such a phrase; without them it does no harm if both are the same.
    if unquoted(phrase).contains('@') && phrase != spec {
        return None;
    }
    // `a" <b@c>, "<d@e>`: some programs see quotes only at the beginning of a word.
    let outside = unquoted(phrase);
    if !quotes_are_words(phrase)
        || !has_only_atoms(&outside)
        || !outside.split(BLANKS).all(is_word_by_the_book)
    {
        return None;
    }
    spec.parse().ok()
}

/// RFC 5322 3.2.3, with the dots of 4.1 after the beginning. Some programs find no
/// address after `[PROD] Nagios` or `CONTOSO\scanner`, others a wrong one.
fn has_only_atoms(phrase: &str) -> bool {
    !phrase.starts_with('.') && !phrase.contains(['[', ']', '\\'])
}

/// RFC 5322 3.2.4: quotes around everything, and only escaped ones inside.
fn is_quoted_string(text: &str) -> bool {
    let mut scan = Scan::default();
    let mut ends = text.char_indices().filter_map(|(at, c)| {
        let before = scan.quoted;
        scan.step(c);
        (before && !scan.quoted).then_some(at + c.len_utf8())
    });
    text.starts_with('"') && ends.next() == Some(text.len())
}

/// The phrase before the angle brackets, and their contents.
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

/// The item without its comments, and the text of those; `None` if one of them could be
/// taken for an address or a part of one, or contains another comment, because programs
/// disagree about its end.
pub(in crate::mime) fn apart(item: &str) -> Option<(Cow<'_, str>, String)> {
    if !item.contains('(') {
        return Some((Cow::Borrowed(item), String::new()));
    }
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
    Some((Cow::Owned(outside), comments))
}

/// Whether there are blanks around every quoted string.
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

/// The text outside quoted strings.
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
    /// Consumes a character. Returns whether it is inside quotes, a comment or angle
    /// brackets, or is one of their delimiters.
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
