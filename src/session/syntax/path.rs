//! The path of MAIL and RCPT (RFC 5321 4.1.2): extracts one address and the parameters
//! from the text after the colon.
//!
//! It is as tolerant as the servers that clients were written for, which read the path
//! like an address field: blanks around the address, one pair of brackets too many or
//! none, a name before the address or a comment after it, `,` or `;` at an end, a dot
//! after the domain. Deviations are noted. A path that could be two addresses is refused.

use std::borrow::Cow;

use crate::mail::Address;
use crate::mail::AddressError;
use crate::session::Quirk;
use crate::session::quirk::Quirks;

/// A path and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) struct Path<'a> {
    /// Without brackets, names and source route; empty for `<>`.
    pub(in crate::session) address: Cow<'a, str>,
    /// The parameters, without leading blanks.
    pub(in crate::session) parameters: &'a str,
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::session) enum PathError {
    /// More than one address.
    #[error("only one address")]
    Several,
    /// `a..b@c`, which RFC 5321 4.1.2 allows only in quotes.
    #[error("two dots in a row, or a dot at the start or end of the part before the @")]
    Dots,
    /// `<a@b`.
    #[error("the closing bracket > is missing")]
    Open,
    /// Not an address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// Reads what follows `FROM:` or `TO:`.
pub(in crate::session) fn read<'a>(
    text: &'a str,
    quirks: &mut Quirks,
) -> Result<Path<'a>, PathError> {
    let mut noted = Noted::default();
    let trimmed = text.trim_start_matches(BLANKS);
    noted.is(trimmed.len() < text.len(), Quirk::BlankAfterColon);
    let (inside, rest) = split(trimmed, &mut noted)?;
    let address = plain(inside, &mut noted)?;
    let parameters = parameters(rest, &mut noted)?;
    noted.0.into_iter().for_each(|quirk| quirks.note(quirk));
    Ok(Path {
        address,
        parameters,
    })
}

/// Why the text of a path is not an address.
pub(in crate::session) fn explain(text: &str, error: AddressError) -> PathError {
    let mut scan = Scan::default();
    let is_end = |c: char| scan.is_plain(c) && (BLANKS.contains(&c) || ",;<>".contains(c));
    let pieces = text.split(is_end);
    if pieces.filter(|piece| piece.contains('@')).count() > 1 {
        return PathError::Several;
    }
    let local = text.split('@').next().unwrap_or_default();
    let has_dots = local.contains("..") || local.starts_with('.') || local.ends_with('.');
    if error == AddressError::LocalPart && has_dots && !local.contains('"') {
        return PathError::Dots;
    }
    error.into()
}

const BLANKS: [char; 2] = [' ', '\t'];

/// The deviations of a path that is not accepted yet.
#[derive(Default)]
struct Noted(Vec<Quirk>);

impl Noted {
    fn is(&mut self, seen: bool, quirk: Quirk) {
        if seen {
            self.0.push(quirk);
        }
    }
}

/// Finds what is outside quoted strings and comments (RFC 5322 3.2.2).
#[derive(Clone, Default)]
struct Scan {
    quoted: bool,
    escaped: bool,
    comments: usize,
}

impl Scan {
    /// Whether the next character is outside.
    fn is_plain(&mut self, c: char) -> bool {
        let within = self.quoted || self.comments > 0;
        match c {
            _ if self.escaped => self.escaped = false,
            '\\' if within => self.escaped = true,
            '"' if self.comments == 0 => self.quoted = !self.quoted,
            '(' if !self.quoted => self.comments += 1,
            ')' if self.comments > 0 => self.comments -= 1,
            _ => return !within,
        }
        false
    }
}

/// The positions of the characters outside quoted strings and comments.
fn outside(text: &str) -> impl Iterator<Item = (usize, char)> + Clone {
    let mut scan = Scan::default();
    text.char_indices().filter(move |(_, c)| scan.is_plain(*c))
}

/// Splits the path from what follows it: at its closing bracket or, without brackets, at
/// a blank.
fn split<'a>(text: &'a str, noted: &mut Noted) -> Result<(&'a str, &'a str), PathError> {
    let Some(open) = bracket(text) else {
        let mut ends = outside(text).filter(|(_, c)| BLANKS.contains(c));
        let end = ends.next().map_or(text.len(), |(at, _)| at);
        let (path, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        if path.is_empty() {
            return Err(AddressError::Empty.into());
        }
        noted.0.push(Quirk::NoAngleBrackets);
        return Ok((path, rest));
    };
    let (name, path) = text.split_at_checked(open).unwrap_or((text, ""));
    noted.is(!name.is_empty(), Quirk::NameInPath);
    let mut depth = 0_usize;
    for (at, c) in outside(path) {
        match c {
            '<' => depth += 1,
            '>' if depth == 1 => {
                let inside = path.get(1..at).unwrap_or_default();
                return Ok((inside, path.get(at + 1..).unwrap_or_default()));
            }
            '>' => depth -= 1,
            _ => {}
        }
    }
    match path.contains('>') {
        // Within quotes or a comment that does not end.
        true => Err(AddressError::Domain.into()),
        false => Err(PathError::Open),
    }
}

/// The position of the path's opening bracket, with or without a name before it; none if
/// the address begins before it or if it belongs to a parameter (`AUTH=<>`).
fn bracket(text: &str) -> Option<usize> {
    let (open, _) = outside(text).find(|(_, c)| *c == '<')?;
    let before = text.get(..open)?;
    let begun = outside(before).any(|(_, c)| c == '@');
    let keyword = before.strip_suffix('=').unwrap_or_default();
    let of_parameter = keyword.ends_with(|c: char| c.is_ascii_alphanumeric());
    (!begun && !of_parameter).then_some(open)
}

/// The text of the one address in a path.
fn plain<'a>(inside: &'a str, noted: &mut Noted) -> Result<Cow<'a, str>, PathError> {
    if inside.is_empty() || inside.parse::<Address>().is_ok() {
        return Ok(Cow::Borrowed(inside));
    }
    let mut text = inside;
    if text.starts_with('@')
        && let Some((_, address)) = text.split_once(':')
    {
        noted.0.push(Quirk::SourceRoute);
        text = address;
    }
    let uncommented = without_comments(text);
    noted.is(uncommented.len() < text.len(), Quirk::NameInPath);
    let mut text = innermost(&uncommented, noted)?;
    text = trimmed(text, noted);
    text = without_scheme(text, noted);
    let unquoted = without_quotes(text);
    noted.is(unquoted.len() < text.len(), Quirk::NameInPath);
    let mut text = without_blanks(unquoted, noted);
    if text.contains('@') && text.ends_with('.') {
        text.pop();
        noted.0.push(Quirk::DotBehindDomain);
    }
    Ok(Cow::Owned(text))
}

fn without_comments(text: &str) -> String {
    let mut scan = Scan::default();
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        let was_comment = scan.comments > 0;
        scan.is_plain(c);
        if !was_comment && scan.comments == 0 {
            kept.push(c);
        }
    }
    // An unclosed comment is not a comment, and never part of an address.
    if scan.comments > 0 {
        text.to_owned()
    } else {
        kept
    }
}

/// The text within the innermost brackets: `<<a@b>>`, `<Scanner <a@b>>`.
fn innermost<'a>(text: &'a str, noted: &mut Noted) -> Result<&'a str, PathError> {
    let places = outside(text);
    let open = places.clone().filter(|(_, c)| *c == '<').last();
    let start = open.map_or(0, |(at, _)| at + 1);
    let mut closes = places.filter(|(at, c)| *at >= start && *c == '>');
    let end = closes.next().map_or(text.len(), |(at, _)| at);
    let parts = (text.get(..start), text.get(start..end), text.get(end..));
    let (Some(before), Some(inside), Some(behind)) = parts else {
        return Err(AddressError::Domain.into());
    };
    if before.is_empty() && behind.is_empty() {
        return Ok(text);
    }
    let around = || outside(before).chain(outside(behind));
    if around().any(|(_, c)| c == '@') {
        return Err(PathError::Several);
    }
    // `<a@b>>` and `<x <y> a@b>` differ: only nested brackets have an inside.
    if outside(before).any(|(_, c)| c == '>') || outside(behind).any(|(_, c)| c == '<') {
        return Err(AddressError::Domain.into());
    }
    let is_name = |c: char| !"<>,;".contains(c) && !BLANKS.contains(&c);
    let named = before.chars().chain(behind.chars()).any(is_name);
    noted.0.push(match named {
        true => Quirk::NameInPath,
        false => Quirk::ExtraBrackets,
    });
    Ok(inside)
}

/// Removes blanks, separators and invisible characters at the ends: a pasted address may
/// have them, and no address can.
fn trimmed<'a>(text: &'a str, noted: &mut Noted) -> &'a str {
    let is_blank = |c: char| {
        c.is_whitespace()
            || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
    };
    let bare = text.trim_matches(is_blank);
    noted.is(bare.len() < text.len(), Quirk::BlankInPath);
    let first = bare.trim_start_matches(',');
    let list = first.trim_end_matches([',', ';']);
    noted.is(list.len() < bare.len(), Quirk::SeparatorInPath);
    // A group (RFC 5322 3.4), such as `undisclosed-recipients:;`.
    let group = || first.ends_with(';').then(|| list.split_once(':')).flatten();
    match group() {
        Some((name, members)) if !name.contains(['@', '"']) => members.trim_matches(is_blank),
        _ => list.trim_matches(is_blank),
    }
}

/// Removes the scheme of a link: no address has a colon outside quotes.
fn without_scheme<'a>(text: &'a str, noted: &mut Noted) -> &'a str {
    let schemes = ["mailto", "smtp"];
    match text.split_once(':') {
        Some((scheme, address)) if schemes.iter().any(|it| it.eq_ignore_ascii_case(scheme)) => {
            noted.0.push(Quirk::NameInPath);
            address
        }
        _ => text,
    }
}

/// Removes quotes around a whole address: `'a@b.c'`, `"a@b.c"`.
fn without_quotes(text: &str) -> &str {
    let quotes = ['\'', '"'];
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    let mut unquoted = quotes.into_iter().filter_map(inside);
    let is_address = |text: &&str| text.parse::<Address>().is_ok();
    unquoted.find(is_address).unwrap_or(text)
}

/// Removes blanks at the dots and the `@`, where RFC 822 allowed them.
fn without_blanks(text: &str, noted: &mut Noted) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut scan = Scan::default();
    let mut blanks = String::new();
    let mut behind_sign = false;
    for c in text.chars() {
        let is_plain = scan.is_plain(c);
        if is_plain && BLANKS.contains(&c) {
            blanks.push(c);
            continue;
        }
        let is_sign = is_plain && matches!(c, '@' | '.');
        if !is_sign && !behind_sign {
            kept.push_str(&blanks);
        }
        blanks.clear();
        behind_sign = is_sign;
        kept.push(c);
    }
    noted.is(kept.len() < text.len(), Quirk::BlankInPath);
    kept
}

/// What follows the path, without text that is not a parameter: a comment or a name, a
/// surplus bracket or separator.
fn parameters<'a>(rest: &'a str, noted: &mut Noted) -> Result<&'a str, PathError> {
    let mut text = rest;
    let mut glued = true;
    loop {
        let trimmed = text.trim_start_matches(BLANKS);
        glued &= trimmed.len() == text.len();
        let dropped = match trimmed.chars().next() {
            Some('(' | '"') => behind_name(trimmed).map(|rest| (rest, Quirk::NameInPath)),
            Some(',' | ';') => trimmed.get(1..).map(|rest| (rest, Quirk::SeparatorInPath)),
            Some('>') => trimmed.get(1..).map(|rest| (rest, Quirk::ExtraBrackets)),
            _ => None,
        };
        let Some((rest, quirk)) = dropped else {
            text = trimmed;
            break;
        };
        noted.0.push(quirk);
        text = rest;
    }
    let word = text.split(BLANKS).next().unwrap_or_default();
    let is_parameter = is_parameter(word);
    if word.starts_with('<') || (!is_parameter && word.parse::<Address>().is_ok()) {
        return Err(PathError::Several);
    }
    if glued && !word.is_empty() {
        if !is_parameter {
            return Err(AddressError::Domain.into());
        }
        noted.0.push(Quirk::GluedParameter);
    }
    Ok(text)
}

/// Whether a word has the form of a parameter, even if its value is an address:
/// `ENVID=1@b.c`.
fn is_parameter(word: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let name = word.split_once('=').map_or("", |(name, _)| name);
    let has_name = !name.is_empty() && name.chars().all(is_name);
    has_name || word.eq_ignore_ascii_case("SMTPUTF8")
}

/// What follows the comment or the quoted string at the beginning of a text.
fn behind_name(text: &str) -> Option<&str> {
    let mut scan = Scan::default();
    let end = text.char_indices().find_map(|(at, c)| {
        scan.is_plain(c);
        (!scan.quoted && scan.comments == 0).then_some(at + c.len_utf8())
    });
    text.get(end?..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address, the parameters and the deviations of a path; or why it is refused.
    fn read(text: &str) -> Result<(String, String, Vec<Quirk>), PathError> {
        let mut quirks = Quirks::default();
        let path = super::read(text, &mut quirks)?;
        if let Err(error) = path.address.parse::<Address>() {
            return Err(explain(&path.address, error));
        }
        let address = path.address.into_owned();
        Ok((address, path.parameters.to_owned(), quirks.take().to_vec()))
    }

    #[test]
    fn every_way_to_write_one_address_is_that_address() {
        use Quirk::*;
        for (text, expected) in [
            ("<a@b.c>", vec![]),
            (" <a@b.c>", vec![BlankAfterColon]),
            ("a@b.c", vec![NoAngleBrackets]),
            ("<a@b.c >", vec![BlankInPath]),
            ("< \ta@b.c>", vec![BlankInPath]),
            ("<a @ b.c>", vec![BlankInPath]),
            ("<a@b .c>", vec![BlankInPath]),
            ("<a@b.c\u{a0}>", vec![BlankInPath]),
            ("<\u{200b}a@b.c\u{202c}>", vec![BlankInPath]),
            ("<<a@b.c>>", vec![ExtraBrackets]),
            ("<<<a@b.c>>>", vec![ExtraBrackets]),
            ("< < a@b.c > >", vec![ExtraBrackets, BlankInPath]),
            ("<a@b.c>>", vec![ExtraBrackets]),
            ("a@b.c>", vec![NoAngleBrackets, ExtraBrackets]),
            ("<Scanner <a@b.c>>", vec![NameInPath]),
            ("<\"The Scanner\" <a@b.c>>", vec![NameInPath]),
            ("<\"x@y\" <a@b.c>>", vec![NameInPath]),
            ("<<a@b.c> Scanner>", vec![NameInPath]),
            ("Scanner <a@b.c>", vec![NameInPath]),
            ("The Scanner <a@b.c>", vec![NameInPath]),
            ("\"Scanner, 2nd\" <a@b.c>", vec![NameInPath]),
            ("=?utf-8?q?Sc=C3=A4nner?= <a@b.c>", vec![NameInPath]),
            ("Scanner<a@b.c>", vec![NameInPath]),
            ("<a@b.c> (Scanner)", vec![NameInPath]),
            ("<a@b.c>(Scanner)", vec![NameInPath]),
            ("<a@b.c> \"Scanner\"", vec![NameInPath]),
            ("<a@b.c (Scanner)>", vec![NameInPath, BlankInPath]),
            ("<(the (2nd) x@y)a@b.c>", vec![NameInPath]),
            ("a@b.c (Scanner)", vec![NoAngleBrackets, NameInPath]),
            ("<mailto:a@b.c>", vec![NameInPath]),
            ("SMTP:a@b.c", vec![NoAngleBrackets, NameInPath]),
            ("<'a@b.c'>", vec![NameInPath]),
            ("<\"a@b.c\">", vec![NameInPath]),
            ("<a@b.c>;", vec![SeparatorInPath]),
            ("<a@b.c>, ", vec![SeparatorInPath]),
            ("<a@b.c;>", vec![SeparatorInPath]),
            ("<,a@b.c,>", vec![SeparatorInPath]),
            ("a@b.c;", vec![NoAngleBrackets, SeparatorInPath]),
            ("<Group: a@b.c;>", vec![SeparatorInPath]),
            ("<a@b.c.>", vec![DotBehindDomain]),
            ("a@b.c.", vec![NoAngleBrackets, DotBehindDomain]),
            ("<@x,@y:a@b.c>", vec![SourceRoute]),
        ] {
            let expected = Ok(("a@b.c".to_owned(), String::new(), expected));
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn parameters_begin_where_the_path_ends() {
        for (text, parameters) in [
            ("<a@b.c> SIZE=10 AUTH=<>", "SIZE=10 AUTH=<>"),
            ("a@b.c SIZE=10 AUTH=<>", "SIZE=10 AUTH=<>"),
            ("<a@b.c> ENVID=QQ1@example.com", "ENVID=QQ1@example.com"),
            ("a@b.c AUTH=e+3Dmc2@example.com", "AUTH=e+3Dmc2@example.com"),
            ("<a@b.c>ENVID=QQ1@example.com", "ENVID=QQ1@example.com"),
            ("<a@b.c>SIZE=10", "SIZE=10"),
            ("<a@b.c>SMTPUTF8 SIZE=10", "SMTPUTF8 SIZE=10"),
            ("<a@b.c>; SIZE=10", "SIZE=10"),
            ("Scanner <a@b.c> (2nd) SIZE=10", "SIZE=10"),
            ("<a@b.c> BCC:<d@e.f>", "BCC:<d@e.f>"),
            ("<a@b.c> Scanner", "Scanner"),
        ] {
            let (address, read, _) = read(text).unwrap();
            assert_eq!((&*address, &*read), ("a@b.c", parameters), "{text:?}");
        }
    }

    #[test]
    fn two_addresses_are_never_one_path() {
        for text in [
            "<a@b.c,d@e.f>",
            "<a@b.c;d@e.f>",
            "<a@b.c d@e.f>",
            "<a@b.c>,<d@e.f>",
            "<a@b.c>, d@e.f",
            "<a@b.c> <d@e.f>",
            "<a@b.c><d@e.f>",
            "<a@b.c <d@e.f>>",
            "<<a@b.c>,<d@e.f>>",
            "a@b.c,d@e.f",
            "a@b.c, d@e.f",
            "a@b.c;d@e.f",
            "a@b.c <d@e.f>",
        ] {
            assert_eq!(read(text), Err(PathError::Several), "{text:?}");
        }
    }

    #[test]
    fn a_path_without_one_certain_address_is_refused() {
        for text in [
            "",
            "<",
            "<a@b.c",
            "<<a@b.c>",
            "<\"a@b.c>",
            "<a(@b.c>",
            "<a b@c.d>",
            "<a@b.c>x",
            "<a@b.c>=x",
            "<a@b@c.d>",
            "<a@b.c..>",
            "<a@>",
            "<x:a@b.c>",
            "<a\u{a0}b@c.d>",
        ] {
            assert!(read(text).is_err(), "{text:?}: {:?}", read(text));
        }
        for text in ["<a..b@c.d>", "<.a@c.d>", "<a.@c.d>"] {
            assert_eq!(read(text), Err(PathError::Dots), "{text:?}");
        }
    }

    #[test]
    fn the_null_path_may_have_blanks_and_a_name() {
        for text in ["<>", "< >", "<<>>", "<Scanner <>>", "<undisclosed:;>"] {
            let path = super::read(text, &mut Quirks::default()).unwrap();
            assert_eq!(path.address, "", "{text:?}");
        }
    }
}
