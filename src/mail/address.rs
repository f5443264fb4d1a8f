//! One mailbox address, `local-part@domain` (RFC 5321 4.1.2, RFC 6531 3.3).
//!
//! Parsing is strict where tolerance could turn one address into two, or into a header
//! field; it keeps the original spelling. `mime/` handles display names and comments.

use std::fmt;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

/// A mailbox address as it was written, checked.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    text: String,
    /// The position of the `@` between local part and domain in `text`.
    at: usize,
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is empty.
    #[error("the address is empty")]
    Empty,
    /// There is no `@`, or nothing after it.
    #[error("the address has no domain")]
    NoDomain,
    /// The part before the `@` is invalid.
    #[error("the part before the @ is not valid")]
    LocalPart,
    /// The part after the `@` is invalid.
    #[error("the domain is not valid")]
    Domain,
    /// It is more than one address: `a@b, c@d`.
    #[error("this is more than one address")]
    Several,
    /// It is longer than RFC 5321 4.5.3.1 allows.
    #[error("the address is too long")]
    TooLong,
}

/// RFC 5321 4.5.3.1.1, in octets.
const LONGEST_LOCAL_PART: usize = 64;
/// RFC 5321 4.5.3.1.3 allows 256 octets for a path with its angle brackets.
const LONGEST_ADDRESS: usize = 254;

/// Top-level domains that the public DNS does not have: RFC 6761 (`localhost`,
/// `invalid`), RFC 6762 (`local`, and in its appendix G those that networks use as their
/// own), RFC 7686 (`onion`), RFC 9476 (`alt`), and the customary `localdomain`. `test`
/// and `example` are reserved too, but are used on purpose.
const NEVER_PUBLIC: [&str; 12] = [
    "localhost",
    "invalid",
    "local",
    "intranet",
    "internal",
    "private",
    "corp",
    "home",
    "lan",
    "localdomain",
    "onion",
    "alt",
];

impl Address {
    /// Returns an address in a domain, to find out about the domain.
    pub fn of_domain(domain: &str) -> Option<Self> {
        format!("somebody@{domain}").parse().ok()
    }

    /// The part before the `@`, as written.
    pub fn local_part(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The part after the `@`, as written.
    pub fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }

    /// The whole address as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A key that is equal for all spellings of one mailbox: unquoted, in lower case, the
    /// domain in its ASCII form (RFC 5890 2.3.2.1, an A-label). Exchange compares both
    /// parts without regard to case.
    pub fn key(&self) -> String {
        if self.is_ascii() && !self.text.starts_with('"') {
            return self.text.to_ascii_lowercase();
        }
        let local = self.local_part();
        let local = match local.strip_prefix('"').and_then(|l| l.strip_suffix('"')) {
            Some(quoted) => unescape(quoted),
            None => local.to_owned(),
        };
        // Only ASCII letters: U+212A is not another way to write k.
        format!("{}@{}", local.to_ascii_lowercase(), a_labels(self.domain()))
    }

    /// The domain in the form of [`Self::key`].
    pub fn domain_key(&self) -> String {
        a_labels(self.domain())
    }

    /// The address in ASCII, if only its domain is not.
    pub fn in_ascii(&self) -> Option<Self> {
        let domain = a_labels(self.domain());
        let can_be = self.local_part().is_ascii() && !self.is_ascii() && domain.is_ascii();
        let text = can_be.then(|| format!("{}@{domain}", self.local_part()))?;
        text.parse().ok()
    }

    /// One spelling for all spellings of this mailbox.
    pub fn canonical(&self) -> Self {
        let text = self.key();
        let at = text.rfind('@').unwrap_or_default();
        // If the unquoted text is only valid in quotes, or looks quoted itself, the
        // quotes stay.
        if self.local_part().starts_with('"') {
            let unquoted = text.parse().ok();
            let unquoted = unquoted.filter(|_: &Self| !text.starts_with('"'));
            return unquoted.unwrap_or_else(|| self.clone());
        }
        Self { text, at }
    }

    /// Without needless quotes (RFC 5321 4.1.2): `"anna"@contoso.com`.
    pub fn unquoted(&self) -> Self {
        match self.local_part().starts_with('"') {
            true => self.canonical(),
            false => self.clone(),
        }
    }

    /// Whether every program reads it alike: no quoted local part, no address literal,
    /// and nothing that resembles an encoded word (RFC 2047). Exchange Online delivers to
    /// no others, and parsers differ on them.
    pub fn is_plain(&self) -> bool {
        !self.text.contains(['"', '[']) && !self.text.contains("=?")
    }

    /// Whether a mailbox of a tenant can have it, so that Exchange Online may send as it
    /// and a reply may reach it. Its domain must be fully qualified (RFC 5321 2.3.5, so
    /// not `root@host`), possible in the public DNS (see `NEVER_PUBLIC`), and not an
    /// address literal. The local part must need no quotes.
    pub fn is_routable(&self) -> bool {
        let canonical = self.canonical();
        let mut labels = canonical.domain().rsplit('.');
        let top = labels.next().unwrap_or_default();
        let second = labels.next();
        canonical.is_plain()
            && second.is_some()
            && !NEVER_PUBLIC.contains(&top)
            // An IP address without brackets: the DNS has no such top-level domain.
            && !top.bytes().all(|byte| byte.is_ascii_digit())
            && (second, top) != (Some("home"), "arpa") // RFC 8375
    }

    /// Whether it can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.len() > LONGEST_ADDRESS {
            return Err(AddressError::TooLong);
        }
        let at = local_part_end(text)?;
        if at > LONGEST_LOCAL_PART {
            return Err(AddressError::TooLong);
        }
        match text.get(at..).and_then(|rest| rest.strip_prefix('@')) {
            None | Some("") => Err(AddressError::NoDomain),
            Some(domain) if is_domain(domain) => Ok(Self {
                text: text.to_owned(),
                at,
            }),
            Some(rest) if rest.contains('@') && rest.contains([',', ';', ' ']) => {
                Err(AddressError::Several)
            }
            Some(_) => Err(AddressError::Domain),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.text)
    }
}

/// The length of the local part at the beginning of `text`, in octets.
fn local_part_end(text: &str) -> Result<usize, AddressError> {
    if text.starts_with('"') {
        return quoted_end(text);
    }
    let end = text.find('@').ok_or(AddressError::NoDomain)?;
    let local = text.get(..end).unwrap_or_default();
    let dot_atom = local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext));
    if dot_atom {
        Ok(end)
    } else {
        Err(AddressError::LocalPart)
    }
}

/// RFC 5321 4.1.2 Quoted-string: printable characters, backslash pairs.
fn quoted_end(text: &str) -> Result<usize, AddressError> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !is_safe(c) && c != ' ' {
            return Err(AddressError::LocalPart);
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if at == 1 => return Err(AddressError::LocalPart),
            '"' => return Ok(at + 1),
            _ => {}
        }
    }
    Err(AddressError::LocalPart)
}

/// A domain in lower case, with the A-labels of its labels that are not ASCII. A domain
/// without an ASCII form, or whose ASCII form looks like another domain, is compared as
/// written: to programs that do not know such characters, `exam\u{ff50}le.com` is a
/// different domain.
pub(super) fn a_labels(domain: &str) -> String {
    let lower = domain.to_ascii_lowercase();
    if lower.is_ascii() {
        return lower;
    }
    let beyond_ascii = |text: &str| text.chars().filter(|c| !c.is_ascii()).count();
    match idna::domain_to_ascii(&lower) {
        Ok(ascii) => {
            let (unicode, read) = idna::domain_to_unicode(&ascii);
            let is_same = read.is_ok() && beyond_ascii(&unicode) == beyond_ascii(&lower);
            if is_same { ascii } else { lower }
        }
        Err(_) => lower,
    }
}

fn unescape(quoted: &str) -> String {
    let mut plain = String::with_capacity(quoted.len());
    let mut escaped = false;
    for c in quoted.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            plain.push(c);
        }
    }
    plain
}

/// RFC 5322 3.2.3, and beyond ASCII RFC 6531 3.3.
fn is_atext(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '!' | '#'..='\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^'..='`' | '{'..='~' => true,
        _ => !c.is_ascii() && is_safe(c),
    }
}

/// Host names with the underscore that real ones have, or an address literal.
fn is_domain(domain: &str) -> bool {
    if let Some(literal) = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) {
        return match literal.strip_prefix("IPv6:") {
            Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
            None => literal.parse::<Ipv4Addr>().is_ok(),
        };
    }
    domain.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| {
                c.is_ascii_alphanumeric()
                    || c == '-'
                    || c == '_'
                    || (!c.is_ascii() && is_safe(c) && c.is_alphanumeric())
            })
    })
}

/// Visible, and not similar to the characters that end an address. Control characters,
/// blanks, direction marks and the full-width `@ , ; < >` would show an operator an
/// address other than the real one.
fn is_safe(c: char) -> bool {
    let invisible = matches!(c,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}');
    let look_alike = matches!(
        c,
        '\u{ff20}' | '\u{ff0c}' | '\u{ff1b}' | '\u{ff1c}' | '\u{ff1e}' | '\u{fe6b}'
    );
    !c.is_control() && !c.is_whitespace() && !invisible && !look_alike
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_and_odd_addresses_are_read() {
        for text in [
            "a@b",
            "o'brien+x@contoso.com",
            "\"quoted@at\"@b.c",
            "\"a \\\" b\"@b.c",
            "user@[192.0.2.1]",
            "user@[IPv6:::1]",
            "x_y@host_name.local",
            "|cmd@b",
            "jürgen@münchen.example",
        ] {
            assert_eq!(text.parse::<Address>().map(String::from), Ok(text.into()));
        }
    }

    #[test]
    fn ambiguous_addresses_are_refused() {
        for text in [
            "",
            "a",
            "a@",
            "@b",
            "a@b@c",
            "a@b,c@d",
            "a@b;c@d",
            "a b@c",
            "a@b c",
            "a@b>",
            "a@b\rX",
            "a\0@b",
            "a@b\u{b}",
            "\"a\r\n b\"@c",
            "\"open@c",
            "\"\"@c",
            "a..b@c",
            ".a@c",
            "a@b.",
            "a@-b",
            "a\u{202e}@b",
            "a\u{ff20}b@c",
            "a@b\u{ff20}c",
            "(x)a@b",
            "a@[300.0.0.1]",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_limits_of_rfc_5321_are_exact() {
        let local = |n: usize| format!("{}@b.c", "a".repeat(n)).parse::<Address>();
        assert!(local(64).is_ok());
        assert_eq!(local(65), Err(AddressError::TooLong));

        let whole = |n: usize| {
            let tail = format!("{0}.{0}.{0}.", "d".repeat(60));
            let pad = n - 2 - tail.len();
            format!("a@{tail}{}", "e".repeat(pad)).parse::<Address>()
        };
        assert!(whole(240).is_ok());
        assert_eq!(whole(255), Err(AddressError::TooLong));
    }

    #[test]
    fn spellings_of_one_mailbox_share_a_key() {
        let key = |text: &str| text.parse::<Address>().unwrap().key();

        assert_eq!(key("User@Contoso.COM"), key("user@contoso.com"));
        assert_eq!(key("\"user\"@contoso.com"), key("user@contoso.com"));
        assert_ne!(key("user+x@contoso.com"), key("user@contoso.com"));
        for (one, other) in [
            ("info@m\u{fc}ller.example", "info@xn--mller-kva.example"),
            ("INFO@M\u{dc}LLER.example", "info@XN--MLLER-KVA.Example"),
            ("a@stra\u{df}e.example", "a@xn--strae-oqa.example"),
            ("a@\u{65e5}\u{672c}.example", "a@xn--wgv71a.example"),
        ] {
            assert_eq!(key(one), key(other));
        }
        for other in [
            "a@\u{212a}ontoso.com",
            "a@\u{ff4b}ontoso.com",
            "a@stra\u{df}e.example",
        ] {
            assert_ne!(key(other), key("a@kontoso.com"));
            assert_ne!(key(other), key("a@strasse.example"));
        }
    }

    #[test]
    fn a_domain_can_be_written_in_ascii_if_the_local_part_is() {
        let ascii = |text: &str| {
            let address: Address = text.parse().unwrap();
            address.in_ascii().map(String::from)
        };

        let one = ascii("Info@m\u{fc}ller.example").unwrap();
        assert_eq!(one, "Info@xn--mller-kva.example");
        for none in ["a@b.c", "m\u{fc}ller@m\u{fc}ller.example", "a@\u{ff4b}.com"] {
            assert_eq!(ascii(none), None, "{none}");
        }
    }

    #[test]
    fn only_plain_addresses_are_read_alike_everywhere() {
        let plain = |text: &str| text.parse::<Address>().unwrap().is_plain();

        assert!(plain("o'brien+x@contoso.com") && plain("jürgen@münchen.example"));
        for odd in [
            "\"a b\"@c.d",
            "a@[192.0.2.1]",
            "a@[IPv6:::1]",
            "=?utf-8?q?a?=@b.c",
        ] {
            assert!(!plain(odd), "{odd}");
        }
        let canonical = |text: &str| text.parse::<Address>().unwrap().canonical();
        let one = canonical("\"User\"@Contoso.com");
        assert_eq!(one.as_str(), "user@contoso.com");
        let quotes = "\"\\\"user\\\"\"@contoso.com";
        assert_eq!(canonical(quotes).as_str(), quotes);
    }

    #[test]
    fn only_an_address_with_a_public_domain_is_routable() {
        let routable = |text: &str| text.parse::<Address>().unwrap().is_routable();

        for mailbox in [
            "a@contoso.com",
            "relay@sandbox.example",
            "a@local.test",
            "a@localhost.example",
            "a@x.arpa",
            "\"a\"@contoso.com",
        ] {
            assert!(routable(mailbox), "{mailbox}");
        }
        for none in [
            "root@host",
            "wordpress@localhost",
            "user@[192.0.2.1]",
            "user@[IPv6:::1]",
            "a@host.local",
            "a@HOST.LOCAL",
            "root@localhost.localdomain",
            "root@vm.c.project.internal",
            "a@x.localhost",
            "a@x.invalid",
            "a@box.home.arpa",
            "\"a b\"@contoso.com",
        ] {
            assert!(!routable(none), "{none}");
        }
    }
}
