//! Sets of addresses, as an administrator writes them.

use std::fmt;

use serde::Deserialize;

use super::Address;
use super::address::a_labels;

/// A set of addresses in an administrator's notation: an address, or `*` for any run of
/// characters (`*@contoso.com`), without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Pattern(String);

impl Pattern {
    /// Whether it names its domain: the domain has no `*`, except before a name with a
    /// dot, as in `*@*.contoso.com`.
    pub fn names_domain(&self) -> bool {
        let Some((_, domain)) = self.0.rsplit_once('@') else {
            return false;
        };
        match domain.strip_prefix('*') {
            Some(rest) => {
                let below = rest.strip_prefix('.').unwrap_or_default();
                below.contains('.') && !below.contains('*')
            }
            None => !domain.is_empty() && !domain.contains('*'),
        }
    }

    /// Whether it contains all addresses, or all of a domain.
    pub fn is_wide(&self) -> bool {
        let local = self
            .0
            .rsplit_once('@')
            .map_or(self.0.as_str(), |(local, _)| local);
        local == "*"
    }

    /// Whether the address is in the set.
    pub fn matches(&self, address: &Address) -> bool {
        let key = address.key();
        fits(&self.0, &key)
    }
}

/// Whether a text fits a notation with `*` for any run of characters.
pub fn fits(notation: &str, text: &str) -> bool {
    let mut pieces = notation.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        let text = text.to_ascii_lowercase();
        // In the form in which addresses are compared. A label with a `*` has no ASCII
        // form.
        let (local, domain) = match text.rfind('@').map(|at| text.split_at(at + 1)) {
            Some(halves) => halves,
            None => ("", text.as_str()),
        };
        let ascii = |label: &str| match label.contains('*') {
            true => label.to_owned(),
            false => a_labels(label),
        };
        let labels: Vec<String> = domain.split('.').map(ascii).collect();
        Self(format!("{local}{}", labels.join(".")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_wide_if_it_matches_a_whole_domain() {
        let wide = |pattern: &str| Pattern::from(pattern.to_owned()).is_wide();

        assert!(wide("*") && wide("*@contoso.com") && wide("*@*"));
        assert!(!wide("a@contoso.com") && !wide("scan*@contoso.com"));
    }

    #[test]
    fn a_pattern_names_a_domain_or_may_match_anybody() {
        let names = |pattern: &str| Pattern::from(pattern.to_owned()).names_domain();

        for one in ["*@contoso.com", "a@contoso.com", "*@*.contoso.com"] {
            assert!(names(one), "{one}");
        }
        for anybodys in [
            "*",
            "*@*",
            "a@*",
            "*@*.com",
            "*contoso.com",
            "*@*contoso.com",
        ] {
            assert!(!names(anybodys), "{anybodys}");
        }
    }

    #[test]
    fn patterns_match_whole_addresses() {
        let matches = |pattern: &str, address: &str| {
            Pattern::from(pattern.to_owned()).matches(&address.parse().unwrap())
        };

        assert!(matches("*@contoso.com", "A@Contoso.com"));
        assert!(matches("scan*@contoso.com", "scanner-3@contoso.com"));
        assert!(matches("a@b.c", "a@b.c"));
        assert!(matches("*", "a@b.c"));
        assert!(matches("*-x@*.c", "1-x@b.c"));
        assert!(matches("*@m\u{fc}ller.example", "a@xn--mller-kva.example"));
        assert!(matches("*@xn--mller-kva.example", "a@M\u{dc}ller.example"));
        assert!(matches(
            "*@*.m\u{fc}ller.example",
            "a@x.m\u{fc}ller.example"
        ));
        assert!(!matches("*@contoso.com", "a@contoso.com.evil"));
        assert!(!matches("*@contoso.com", "a@xcontoso.com"));
        assert!(!matches("a@b.c", "aa@b.c"));
    }
}
