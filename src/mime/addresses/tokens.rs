//! Splits any address field into tokens.
//!
//! RFC 5322 3.2 defines quotes, comments and brackets; people and programs write `Monitor
//! 24" <a@b>`, `Scanner (2nd floor <a@b>` and `=?UTF-8?Q?Doe,_John?= <a@b>`. Here a quote
//! opens only at the beginning of a word and closes only at the end of one, a comment
//! must close, an encoded word is one token whatever it contains, and a character that
//! opens something without a closing one is ordinary. `tolerant.rs` makes items of the
//! tokens.

use std::ops::Range;

use crate::mail::Address;

/// A piece of an address field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mime) struct Token {
    pub(in crate::mime) kind: Kind,
    /// Its position in the field.
    pub(in crate::mime) range: Range<usize>,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mime) enum Kind {
    /// A quoted string, with its quotes.
    Quoted,
    /// A comment, with its parentheses.
    Comment,
    /// An encoded word (RFC 2047), or something intended as one.
    Encoded,
    /// Angle brackets around one address.
    Angle(Address),
    /// Angle brackets around any other text.
    Bracketed,
    /// `,` or `;`.
    Separator,
    /// Other characters without a blank.
    Word,
}

/// Cuts a field that is on one line.
pub(in crate::mime) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    let mut spaced = true;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = rest.len() - rest.trim_start_matches(is_blank).len();
        if blank > 0 {
            at += blank;
            spaced = true;
            continue;
        }
        // Whether a quote or an encoded word may begin here.
        let begins = spaced
            || tokens
                .last()
                .is_none_or(|last| !matches!(last.kind, Kind::Word | Kind::Quoted));
        let (kind, length) = token(rest, begins);
        tokens.push(Token {
            kind,
            range: at..at + length,
        });
        spaced = false;
        at += length;
    }
    tokens
}

/// The longest token, in bytes. Longer text is not a name, and the time must not grow
/// with the square of the field's length.
const LONGEST: usize = 512;

/// The token at the beginning of a text that is not empty.
fn token(rest: &str, begins: bool) -> (Kind, usize) {
    let rest = rest
        .get(..rest.floor_char_boundary(LONGEST))
        .unwrap_or(rest);
    let special = match rest.chars().next() {
        Some(',' | ';') => Some((Kind::Separator, 1)),
        Some('"') if begins => quoted(rest).map(|length| (Kind::Quoted, length)),
        Some('(') => comment(rest).map(|length| (Kind::Comment, length)),
        Some('=') if begins => encoded(rest).map(|length| (Kind::Encoded, length)),
        Some('<') => angle(rest),
        _ => None,
    };
    special.unwrap_or_else(|| {
        let ends = |(at, c): &(usize, char)| *at > 0 && (is_blank(*c) || ",;<(".contains(*c));
        let end = rest.char_indices().find(ends);
        (Kind::Word, end.map_or(rest.len(), |(at, _)| at))
    })
}

/// Characters that people see as blanks, or do not see at all: no-break spaces and
/// direction marks come with an address that is pasted from a web page or an address
/// book.
pub(in crate::mime) fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The length of the quoted string at the beginning. A backslash that is not meant as an
/// escape, as in `"C:\" <a@b>`, counts as one only if the string would not close
/// otherwise.
fn quoted(rest: &str) -> Option<usize> {
    closing_quote(rest, true).or_else(|| closing_quote(rest, false))
}

fn closing_quote(rest: &str, escapes: bool) -> Option<usize> {
    let mut escaped = false;
    let mut before = '"';
    for (at, c) in rest.char_indices().skip(1) {
        let was_escaped = std::mem::take(&mut escaped);
        if c == '\\' && escapes && !was_escaped {
            escaped = true;
        } else if c == '"' && !was_escaped {
            let behind = rest.get(at + 1..)?.chars().next();
            if behind.is_none_or(|c| is_blank(c) || "<,;:()[]".contains(c)) {
                return Some(at + 1);
            }
            // Another string begins here, so this one was never closed.
            if at > 1 && is_blank(before) {
                return None;
            }
        }
        before = c;
    }
    None
}

/// The length of the comment at the beginning, including nested ones.
fn comment(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// The length of the encoded word at the beginning. Real ones contain what RFC 2047 5
/// forbids: commas, colons, blanks, even an address.
fn encoded(rest: &str) -> Option<usize> {
    let mut parts = rest.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, behind) = (parts.next()?, parts.next()?, parts.next()?);
    let is_of_charsets = |c: char| c.is_ascii_alphanumeric() || "-_*.:+".contains(c);
    let is_word = !charset.is_empty()
        && charset.chars().all(is_of_charsets)
        && matches!(encoding, "b" | "B" | "q" | "Q");
    let inside = is_word.then(|| behind.split_once("?=").map(|(inside, _)| inside))??;
    // With a blank in it, it may also end elsewhere.
    let is_one = !inside.contains(is_blank) || !inside.contains(['<', '>', '@']);
    let length = "=???".len() + charset.len() + encoding.len() + inside.len() + "?=".len();
    is_one.then_some(length)
}

/// The text in angle brackets at the beginning; these may be doubled, or not close.
fn angle(rest: &str) -> Option<(Kind, usize)> {
    let opened = rest.trim_start_matches(|c: char| c == '<' || is_blank(c));
    let start = rest.len() - opened.len();
    let end = opened.find(['<', '>']);
    let closing = end.filter(|end| opened.get(*end..).is_some_and(|it| it.starts_with('>')));
    let Some(end) = closing else {
        let ends = |c: char| is_blank(c) || ",;<".contains(c);
        let end = opened.find(ends).unwrap_or(opened.len());
        let address = clean(opened.get(..end)?)?;
        return Some((Kind::Angle(address), start + end));
    };
    let inside = opened.get(..end)?;
    let behind = opened.get(end..)?.strip_prefix('>')?;
    let closing = behind.len() - behind.trim_start_matches('>').len();
    let kind = in_brackets(inside).map_or(Kind::Bracketed, Kind::Angle);
    Some((kind, start + end + 1 + closing))
}

/// The single address in angle brackets.
fn in_brackets(inside: &str) -> Option<Address> {
    let inside = inside.trim_matches(is_blank);
    // RFC 5322 4.4: blanks around the @.
    if let Some((local, domain)) = inside.split_once('@')
        && let Some(address) = clean(&format!(
            "{}@{}",
            local.trim_end_matches(is_blank),
            domain.trim_start_matches(is_blank)
        ))
    {
        return Some(address);
    }
    let mut found = inside.split(is_blank).filter_map(clean);
    let address = found.next()?;
    found
        .all(|other| other.key() == address.key())
        .then_some(address)
}

/// The address in a word, without what people put around it: `mailto:`, quotes, brackets,
/// and the marks that end a sentence.
pub(in crate::mime) fn clean(word: &str) -> Option<Address> {
    const PAIRS: [(char, char); 9] = [
        ('\'', '\''),
        ('"', '"'),
        ('`', '`'),
        ('<', '>'),
        ('[', ']'),
        ('(', ')'),
        ('{', '}'),
        ('\u{2018}', '\u{2019}'),
        ('\u{201c}', '\u{201d}'),
    ];
    let word = word.trim_matches(is_blank);
    if let Ok(address) = word.parse() {
        return Some(address);
    }
    if !word.contains('@') {
        return None;
    }
    let in_pair =
        |(open, close): &(char, char)| word.strip_prefix(*open)?.strip_suffix(*close).map(clean);
    if let Some(inside) = PAIRS.iter().find_map(in_pair) {
        return inside;
    }
    // `mailto:a@b?subject=x`, `SMTP:a@b`, and the route of RFC 5321 C.
    if let Some((before, behind)) = word.rsplit_once(':')
        && !behind.is_empty()
    {
        let is_scheme = before.starts_with('@')
            || before
                .chars()
                .all(|c| c.is_ascii_alphabetic() || c == '-' || c == '[');
        let behind = behind.split_once('?').map_or(behind, |(behind, _)| behind);
        return is_scheme.then(|| clean(behind))?;
    }
    let bare = word.trim_end_matches(['.', ',', ';', ':', '>', ')', ']', '"', '\'', '!']);
    let bare = bare.trim_start_matches(['<', '(', '[', '"']);
    (bare.len() < word.len()).then(|| clean(bare))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let tokens = tokens(text);
        let shown = tokens.iter().map(|token| {
            let raw = &text[token.range.clone()];
            match &token.kind {
                Kind::Quoted => format!("quoted {raw}"),
                Kind::Comment => format!("comment {raw}"),
                Kind::Encoded => format!("encoded {raw}"),
                Kind::Angle(address) => format!("angle {address}"),
                Kind::Bracketed => format!("bracketed {raw}"),
                Kind::Separator | Kind::Word => raw.to_owned(),
            }
        });
        shown.collect()
    }

    #[test]
    fn an_opening_that_never_closes_is_an_ordinary_character() {
        for (text, expected) in [
            (
                "\"a, b\" c <d@e>",
                &["quoted \"a, b\"", "c", "angle d@e"][..],
            ),
            ("\"a <b@c>", &["\"a", "angle b@c"]),
            (
                "a 24\" <b@c>, d 27\" <e@f>",
                &["a", "24\"", "angle b@c", ",", "d", "27\"", "angle e@f"],
            ),
            ("\"a\"b <c@d>", &["\"a\"b", "angle c@d"]),
            (
                "\"a <b@c>, \"d\" <e@f>",
                &["\"a", "angle b@c", ",", "quoted \"d\"", "angle e@f"],
            ),
            (
                "\"a \\\"b\\\" c\" <d@e>",
                &["quoted \"a \\\"b\\\" c\"", "angle d@e"],
            ),
            ("\"C:\\\" <d@e>", &["quoted \"C:\\\"", "angle d@e"]),
            ("a (b (c)) <d@e>", &["a", "comment (b (c))", "angle d@e"]),
            ("a (b <d@e>", &["a", "(b", "angle d@e"]),
            ("a) <d@e>", &["a)", "angle d@e"]),
            ("a < b <d@e>", &["a", "<", "b", "angle d@e"]),
            ("<a@b", &["angle a@b"]),
            ("<a@b, <c@d>", &["angle a@b", ",", "angle c@d"]),
            ("<>", &["bracketed <>"]),
            ("a <-> b <c@d>", &["a", "bracketed <->", "b", "angle c@d"]),
            (
                "=?utf-8?Q?Doe,_J?=<a@b>",
                &["encoded =?utf-8?Q?Doe,_J?=", "angle a@b"],
            ),
            (
                "=?utf-8?Q?Doe, J?= <a@b>",
                &["encoded =?utf-8?Q?Doe, J?=", "angle a@b"],
            ),
            (
                "=?utf-8?Q?=28(a<b@c>?=",
                &["encoded =?utf-8?Q?=28(a<b@c>?="],
            ),
            (
                "=?utf-8?Q?open <a@b> ?=",
                &["=?utf-8?Q?open", "angle a@b", "?="],
            ),
            ("\u{200e}a\u{a0}\u{202a}<b@c>\u{202c}", &["a", "angle b@c"]),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn an_address_is_found_within_what_people_put_around_it() {
        for text in [
            "<a@b.c>",
            "< a@b.c >",
            "<\ta@b.c\u{a0}>",
            "<<a@b.c>>",
            "<mailto:a@b.c>",
            "<MAILTO:a@b.c?subject=x>",
            "<SMTP:a@b.c>",
            "<'a@b.c'>",
            "<\"a@b.c\">",
            "<a @ b.c>",
            "<a@ b.c>",
            "<a@b.c.>",
            "<a@b.c,>",
            "<Scanner a@b.c>",
            "<a@b.c a@B.C>",
            "<[a@b.c]>",
            "<@relay,@other:a@b.c>",
            "<\u{202a}a@b.c\u{202c}>",
            "<\u{201c}a@b.c\u{201d}>",
        ] {
            let angle = Some("angle a@b.c".to_owned());
            assert_eq!(shown(text).pop(), angle, "{text}");
        }
        for text in [
            "<a@b.c d@e.f>",
            "<a>",
            "<@b.c>",
            "<http://a@b.c/>",
            "<a@b.c/x>",
            "<x@(a@b.c>",
        ] {
            assert!(
                !shown(text).iter().any(|shown| shown.starts_with("angle")),
                "{text}"
            );
        }
    }
}
