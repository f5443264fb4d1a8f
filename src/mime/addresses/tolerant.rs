//! The items of a malformed address field: the address of an item is the one in angle
//! brackets, or the only plain address if there are no brackets. The rest of the item is
//! its display name.
//!
//! `Contoso, Inc. <a@b>` is one item, and so is `Backup: server1 <a@b>`: a piece without
//! an address belongs to the name of the next item that has a name or brackets. Nothing
//! read here goes out unchanged: addresses and names are rewritten so that every program
//! reads them alike (`phrase.rs`). So the choice between several readings affects only a
//! display name, never a recipient.

use std::ops::Range;

use super::tokens::Kind;
use super::tokens::Token;
use super::tokens::clean;
use super::tokens::is_blank;
use super::tokens::tokens;
use crate::mail::Address;
use crate::mime::text::BLANKS;
use crate::mime::text::decoded;

/// An item of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mime) struct Found {
    /// As written in the field.
    pub(in crate::mime) text: String,
    pub(in crate::mime) address: Option<Address>,
    /// The text around the address.
    pub(in crate::mime) name: String,
}

/// The contents of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::mime) struct Reading {
    pub(in crate::mime) items: Vec<Found>,
    /// Whether the name of a group was left out.
    pub(in crate::mime) groups: bool,
}

/// Reads a field that is on one line.
pub(in crate::mime) fn read(text: &str) -> Reading {
    read_within(text, 0)
}

/// The name in an item that has at most one address.
pub(in crate::mime) fn name(text: &str) -> String {
    let mut items = read(text).items.into_iter();
    match (items.next(), items.next()) {
        (Some(item), None) => item.name,
        _ => text.to_owned(),
    }
}

/// An address may be in a quoted string in an encoded word. Nothing deeper is read,
/// because input must not be able to exhaust the stack.
const DEEPEST: usize = 2;

fn read_within(text: &str, depth: usize) -> Reading {
    let mut reader = Reader {
        text,
        depth,
        reading: Reading::default(),
        pending: Vec::new(),
    };
    let tokens = reader.without_group_names(tokens(text));
    for piece in tokens.split_inclusive(|token| token.kind == Kind::Separator) {
        reader.piece(piece);
    }
    reader.flush();
    reader.reading
}

struct Reader<'t> {
    text: &'t str,
    depth: usize,
    reading: Reading,
    /// Pieces without an address.
    pending: Vec<Vec<Token>>,
}

impl Reader<'_> {
    /// Reads the text between two separators.
    fn piece(&mut self, piece: &[Token]) {
        let body = match piece.split_last() {
            Some((last, body)) if last.kind == Kind::Separator => body,
            _ => piece,
        };
        if body.is_empty() {
            return;
        }
        if body.iter().any(is_angle) {
            self.bracketed(body);
        } else if !self.bare(body) && !self.quoted(body) {
            self.pending.push(body.to_vec());
        }
    }

    /// An item for each address in angle brackets. Pieces before the first belong to its
    /// name.
    fn bracketed(&mut self, body: &[Token]) {
        let pending = std::mem::take(&mut self.pending);
        let mut start = self.start(pending.first().map_or(body, Vec::as_slice));
        let mut angles = body.iter().filter(|token| is_angle(token)).peekable();
        while let Some(angle) = angles.next() {
            let end = match angles.peek() {
                Some(_) => angle.range.end,
                None => self.end(body),
            };
            let Kind::Angle(address) = &angle.kind else {
                continue;
            };
            self.add(start..end, &angle.range, address.clone());
            start = end;
            // `<a@b> <a@b>`
            if let [.., before, last] = self.reading.items.as_slice()
                && last.name.is_empty()
                && last.address == before.address
            {
                self.reading.items.pop();
            }
        }
    }

    /// Items for addresses without brackets: the only one in the piece, or all of them if
    /// the piece contains nothing else. Returns whether there are any.
    fn bare(&mut self, body: &[Token]) -> bool {
        let words = body.iter().filter(|token| token.kind == Kind::Word);
        let found: Vec<(&Token, Address)> = words
            .filter_map(|word| Some((word, clean(self.slice(&word.range))?)))
            .collect();
        if found.len() > 1 && found.len() == body.len() {
            self.flush();
            for (word, address) in found {
                self.add(word.range.clone(), &word.range, address);
            }
            return true;
        }
        let only = only(&found, |_| true).or_else(|| only(&found, Address::is_routable));
        let Some((word, address)) = only else {
            return false;
        };
        let is_name = |token: &&Token| token.range != word.range && token.kind != Kind::Comment;
        if body.iter().any(|token| is_name(&token)) {
            let pending = std::mem::take(&mut self.pending);
            let start = self.start(pending.first().map_or(body, Vec::as_slice));
            self.add(start..self.end(body), &word.range, address.clone());
        } else {
            self.flush();
            self.add(
                self.start(body)..self.end(body),
                &word.range,
                address.clone(),
            );
        }
        true
    }

    /// An item for the single address in quotes. Returns whether there is one.
    fn quoted(&mut self, body: &[Token]) -> bool {
        let quoted = body.iter().filter(|token| token.kind == Kind::Quoted);
        let mut quoted = quoted.filter_map(|token| {
            let inside = self.slice(&token.range).trim_matches('"');
            Some((token, self.within(inside)?))
        });
        let (Some((one, found)), None) = (quoted.next(), quoted.next()) else {
            return false;
        };
        self.flush();
        let name = [
            self.slice(&(self.start(body)..one.range.start)),
            &found.name,
            self.slice(&(one.range.end..self.end(body))),
        ];
        let name = name.map(|part| part.trim_matches(BLANKS)).join(" ");
        self.push(self.start(body)..self.end(body), found.address, &name);
        true
    }

    /// Adds a piece without a plain address: items for the addresses that are comments,
    /// or hidden in encoded words, and otherwise one without an address.
    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let found: Vec<_> = pending.iter().map(|body| self.hidden(body)).collect();
        if let (Some(first), true) = (pending.first(), found.iter().all(Option::is_none)) {
            let end = pending.last().map_or(0, |body| self.end(body));
            let range = self.start(first)..end;
            let name = self.slice(&range).to_owned();
            self.push(range, None, &name);
            return;
        }
        for (body, found) in pending.iter().zip(found) {
            let range = self.start(body)..self.end(body);
            match found {
                Some((address, name)) => self.push(range, Some(address), &name),
                None => {
                    let name = self.slice(&range).to_owned();
                    self.push(range, None, &name);
                }
            }
        }
    }

    /// The address that fills a comment, as in `Scanner (scanner@b)`, or that is in an
    /// encoded word: some programs encode the whole field.
    fn hidden(&self, body: &[Token]) -> Option<(Address, String)> {
        let mut comments = body.iter().filter(|token| token.kind == Kind::Comment);
        let of_comment = comments.find_map(|comment| {
            let inside = self.slice(&comment.range);
            let inside = inside.strip_prefix('(')?.strip_suffix(')')?;
            let before = self.slice(&(self.start(body)..comment.range.start));
            let behind = self.slice(&(comment.range.end..self.end(body)));
            // `a(b@c)@d` is an address split in two.
            if before.contains('@') || behind.contains('@') {
                return None;
            }
            let found = self.within(inside);
            let found = found.filter(|found| found.name.is_empty() || inside.contains('<'))?;
            Some((found.address?, [before, &found.name, behind].join(" ")))
        });
        of_comment.or_else(|| {
            let is_encoded = body.iter().any(|token| token.kind == Kind::Encoded);
            let plain = decoded(self.slice(&(self.start(body)..self.end(body))), usize::MAX);
            let found = self.within(plain.as_str()).filter(|_| is_encoded)?;
            // An address that is not ASCII could not be written in any other way.
            let address = found.address.filter(Address::is_ascii)?;
            Some((address, found.name))
        })
    }

    /// The only item in the text inside this one, if it has an address.
    fn within(&self, text: &str) -> Option<Found> {
        if self.depth == DEEPEST {
            return None;
        }
        let mut items = read_within(text, self.depth + 1).items.into_iter();
        let only = items.next().filter(|_| items.next().is_none());
        only.filter(|item| item.address.is_some())
    }

    /// Leaves out the names of groups (RFC 5322 3.4): the text before a colon, if only
    /// addresses or nothing are between that and a semicolon.
    fn without_group_names(&mut self, tokens: Vec<Token>) -> Vec<Token> {
        let mut left_out: Vec<Range<usize>> = Vec::new();
        let mut first = 0;
        // The position of the next semicolon, searched only once.
        let mut semicolon = None;
        let is_address = |token: &Token| {
            let is_word = token.kind == Kind::Word;
            is_angle(token) || (is_word && clean(self.slice(&token.range)).is_some())
        };
        for (at, token) in tokens.iter().enumerate() {
            if token.kind == Kind::Separator {
                first = at + 1;
            }
            if token.kind != Kind::Word || !self.slice(&token.range).ends_with(':') {
                continue;
            }
            if semicolon.is_none_or(|semicolon| semicolon < at) {
                let is_semicolon = |token: &Token| self.slice(&token.range) == ";";
                let rest = tokens.get(at..).unwrap_or_default();
                let found = rest.iter().position(is_semicolon);
                semicolon = Some(found.map_or(usize::MAX, |found| at + found));
            }
            let members = semicolon.and_then(|semicolon| tokens.get(at + 1..semicolon));
            if members.is_some_and(|it| it.is_empty() || it.iter().any(is_address)) {
                left_out.push(first..at + 1);
                first = at + 1;
            }
        }
        self.reading.groups = !left_out.is_empty();
        let mut left_out = left_out.into_iter().peekable();
        let kept = tokens.into_iter().enumerate().filter(|(at, _)| {
            while left_out.next_if(|range| range.end <= *at).is_some() {}
            left_out.peek().is_none_or(|range| !range.contains(at))
        });
        kept.map(|(_, token)| token).collect()
    }

    fn add(&mut self, range: Range<usize>, address_at: &Range<usize>, address: Address) {
        let before = self.slice(&(range.start..address_at.start));
        let behind = self.slice(&(address_at.end..range.end));
        let name = [before, behind].map(|part| part.trim_matches(BLANKS));
        self.push(range, Some(address), &name.join(" "));
    }

    fn push(&mut self, range: Range<usize>, address: Option<Address>, name: &str) {
        // Separators at the ends belong to no name.
        let name = name.trim_matches(|c| BLANKS.contains(&c) || c == ',' || c == ';');
        let item = Found {
            text: self.slice(&range).trim_matches(BLANKS).to_owned(),
            address,
            name: name.to_owned(),
        };
        self.reading.items.push(item);
    }

    /// The beginning of a piece. Octets next to its first token that look like blanks may
    /// be halves of characters.
    fn start(&self, body: &[Token]) -> usize {
        let start = body.first().map_or(0, |token| token.range.start);
        let before = self.slice(&(0..start));
        before.trim_end_matches(is_odd_blank).len()
    }

    /// The end of a piece.
    fn end(&self, body: &[Token]) -> usize {
        let end = body.last().map_or(0, |token| token.range.end);
        let behind = self.slice(&(end..self.text.len()));
        self.text.len() - behind.trim_start_matches(is_odd_blank).len()
    }

    fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

fn is_odd_blank(c: char) -> bool {
    is_blank(c) && !BLANKS.contains(&c)
}

fn is_angle(token: &Token) -> bool {
    matches!(token.kind, Kind::Angle(_))
}

/// The only address among the given ones, however often it occurs.
fn only<'f, 't>(
    found: &'f [(&'t Token, Address)],
    asked: impl Fn(&Address) -> bool,
) -> Option<&'f (&'t Token, Address)> {
    let mut asked = found.iter().filter(|(_, address)| asked(address));
    let first = asked.next()?;
    let key = first.1.key();
    asked.all(|(_, other)| other.key() == key).then_some(first)
}

/// The comment in `root (Cron Daemon)`: one after a single word.
pub(in crate::mime) fn comment_behind_a_word(raw: &str) -> Option<&str> {
    match tokens(raw).as_slice() {
        [word, comment] if word.kind == Kind::Word && comment.kind == Kind::Comment => {
            raw.get(comment.range.clone())
        }
        _ => None,
    }
}

/// A name as a person reads it: without quotes, with its encoded words decoded, and with
/// ordinary blanks.
pub(in crate::mime) fn readable(raw: &str) -> String {
    let tokens = tokens(raw);
    let only_comments = tokens.iter().all(|token| token.kind == Kind::Comment);
    let mut plain = String::with_capacity(raw.len());
    let mut end = 0;
    for token in &tokens {
        plain.push_str(raw.get(end..token.range.start).unwrap_or_default());
        end = token.range.end;
        let text = raw.get(token.range.clone()).unwrap_or_default();
        match token.kind {
            Kind::Quoted => plain.push_str(&unquoted(text)),
            Kind::Comment if only_comments => {
                let inside = text.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
                plain.push_str(inside.unwrap_or(text));
            }
            Kind::Bracketed => plain.push_str(text.trim_matches(['<', '>'])),
            Kind::Comment | Kind::Encoded | Kind::Angle(_) | Kind::Separator | Kind::Word => {
                plain.push_str(text);
            }
        }
    }
    if plain.contains("=?") {
        plain = decoded(&plain, usize::MAX);
    }
    // Joiners are invisible too, but have a meaning within a name.
    let words = plain.trim_matches(is_blank);
    let words = words.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    closed(&words.join(" ")).to_owned()
}

/// Without the quotes, and without the backslashes that they require.
fn unquoted(quoted: &str) -> String {
    let inside = quoted.strip_prefix('"').unwrap_or(quoted);
    let inside = inside.strip_suffix('"').unwrap_or(inside);
    let mut plain = String::with_capacity(inside.len());
    let mut chars = inside.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = chars.peek().filter(|_| c == '\\');
        match escaped.copied().filter(|next| ['"', '\\'].contains(next)) {
            Some(next) => {
                plain.push(next);
                chars.next();
            }
            None => plain.push(c),
        }
    }
    plain
}

/// Without a quote that never closes; after a number it means inches.
fn closed(name: &str) -> &str {
    if name.matches('"').count() != 1 {
        return name;
    }
    let opened = name.strip_prefix('"');
    let closed = name.strip_suffix('"');
    let closed = closed.filter(|name| !name.ends_with(|c: char| c.is_ascii_digit()));
    opened.or(closed).unwrap_or(name).trim_matches(' ')
}
