//! The argument of RCPT (RFC 5321 4.1.1.3): an address, or a name without a
//! domain as cron and RFC 5321 4.5.1 (`<Postmaster>`) write it.
//!
//! Who receives mail for such a name is decided in `aliases/`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use super::Address;
use super::AddressError;

/// A recipient as the client names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ForwardPath {
    /// A whole address.
    Address(Address),
    /// A name without a domain, such as `root`: a dot-string of RFC 5321 4.1.2.
    Name(String),
}

impl ForwardPath {
    /// Equal for all spellings of one recipient. The key of a name has no `@`.
    pub fn key(&self) -> String {
        match self {
            Self::Address(address) => address.key(),
            Self::Name(name) => name.to_ascii_lowercase(),
        }
    }

    /// Whether it can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        match self {
            Self::Address(address) => address.is_ascii(),
            Self::Name(name) => name.is_ascii(),
        }
    }

    /// The same in ASCII, if only its domain is not.
    pub fn in_ascii(&self) -> Option<Self> {
        self.address()?.in_ascii().map(Self::Address)
    }

    /// The address, unless it is a name alone.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Address(address) => Some(address),
            Self::Name(_) => None,
        }
    }
}

impl FromStr for ForwardPath {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(AddressError::NoDomain) if !text.contains('@') => {
                // A valid local part is a name, if it needs no quotes.
                let whole = format!("{text}@localhost").parse::<Address>()?.unquoted();
                match whole.is_plain() {
                    true => Ok(Self::Name(whole.local_part().to_owned())),
                    false => Err(AddressError::NoDomain),
                }
            }
            Err(error) => Err(error),
        }
    }
}

impl TryFrom<String> for ForwardPath {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<ForwardPath> for String {
    fn from(path: ForwardPath) -> Self {
        path.to_string()
    }
}

impl From<Address> for ForwardPath {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_local_part_that_needs_no_quotes() {
        let path = |text: &str| text.parse::<ForwardPath>();

        for name in ["root", "Postmaster", "o'brien", "nas.admin", "j\u{fc}rgen"] {
            assert_eq!(path(name), Ok(ForwardPath::Name(name.to_owned())));
        }
        let root = ForwardPath::Name("root".to_owned());
        assert_eq!(path("\"root\""), Ok(root));
        assert!(matches!(path("root@nas"), Ok(ForwardPath::Address(_))));
        for wrong in [
            "",
            "@",
            "root@",
            "@nas",
            "a b",
            "a,b",
            ".root",
            "root.",
            "\"a b\"",
            "=?x?q?a?=",
        ] {
            assert!(path(wrong).is_err(), "{wrong:?}");
        }
        assert!(path(&"a".repeat(64)).is_ok() && path(&"a".repeat(65)).is_err());
    }

    #[test]
    fn the_key_of_a_name_is_not_an_address() {
        let key = |text: &str| text.parse::<ForwardPath>().unwrap().key();

        assert_eq!(key("ROOT"), "root");
        assert_eq!(key("Root@NAS.local"), "root@nas.local");
    }
}
