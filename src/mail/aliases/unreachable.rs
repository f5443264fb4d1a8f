//! Recipients whom no mail can reach, and the alias that would change that.

use crate::mail::ForwardPath;

/// Why nobody receives mail for a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// It has no domain.
    NoDomain,
    /// Its domain is not public.
    Domain,
    /// It needs quotes, or has an address literal.
    Odd,
}

impl Unreachable {
    /// Returns the sentence for whoever has named this recipient.
    pub fn of(self, path: &ForwardPath) -> String {
        let why = match self {
            Self::NoDomain => "has no domain and no alias",
            Self::Domain => "cannot be reached: its domain is not public",
            Self::Odd => {
                "cannot be reached: Exchange Online supports neither quoted names nor address \
                 literals"
            }
        };
        if !path.is_ascii() {
            return format!("This recipient {why}. An alias can map it to a mailbox: [aliases]");
        }
        let alias = match path {
            ForwardPath::Name(name) => name.clone(),
            ForwardPath::Address(address) => address.unquoted().to_string(),
        };
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        // Rust quotes printable ASCII as a basic string of TOML does.
        let alias = match alias.chars().all(is_bare) {
            true => alias,
            false => format!("{alias:?}"),
        };
        format!(
            "{path} {why}. An alias can map it to a mailbox: [aliases] {alias} = \
             \"you@your-domain\""
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advised_alias_is_valid_toml_with_this_recipient_as_its_key() {
        for (recipient, key) in [
            ("backup", "backup"),
            ("nas.admin", "nas.admin"),
            ("o'brien", "o'brien"),
            ("root@nas.local", "root@nas.local"),
            ("\"a b\"@contoso.com", "\"a b\"@contoso.com"),
        ] {
            let path: ForwardPath = recipient.parse().unwrap();
            let said = Unreachable::Odd.of(&path);
            let (_, line) = said.split_once("[aliases] ").unwrap();

            let aliases: toml::Table = line.parse().unwrap();

            assert_eq!(aliases.keys().collect::<Vec<_>>(), [key], "{said}");
        }
    }
}
