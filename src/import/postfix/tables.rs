//! Lookup tables of Postfix, as far as a text says what is in them: `hash:` and its kin, whose
//! text stands beside the database, `texthash:`, `inline:` and `static:`.

use std::path::Path;
use std::path::PathBuf;

use super::settings::items;
use super::settings::logical_lines;
use crate::import::content;

/// What a table says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Its entries, in the order of the text.
    Entries(Vec<(String, String)>),
    /// Why this program cannot read it.
    Unread(String),
}

/// Where Postfix has its files, and where they are read: a copy is found by the names that the
/// original has, and is not completed with the files of this machine, which are another Postfix's.
#[derive(Clone, Debug)]
pub(super) struct Folder(pub(super) PathBuf);

/// Whose text is in the file with this name.
pub(super) const WITH_TEXT: [&str; 6] = ["hash", "lmdb", "btree", "texthash", "cdb", "dbm"];
const USUAL: &str = "/etc/postfix";

impl Folder {
    /// Reads a file that a parameter names, or says why that cannot be done.
    pub(super) fn read(&self, path: &str) -> Result<String, String> {
        // The folders of postmulti, such as /etc/postfix-out, are of this machine too.
        let is_copy = !self.0.to_string_lossy().starts_with(USUAL);
        let place = match Path::new(path).strip_prefix(USUAL) {
            Ok(inside) if is_copy => self.0.join(inside),
            Ok(_) | Err(_) => PathBuf::from(path),
        };
        if is_copy && !place.starts_with(&self.0) {
            return Err(format!(
                "{path} is missing: it is not in {}, and the file of this machine may be another one. \
                 Copy it into that folder, and enter the copy in main.cf",
                self.0.display()
            ));
        }
        content(&place).map_err(|error| error.to_string())
    }

    /// Reads a table such as `hash:/etc/postfix/virtual`.
    pub(super) fn table(&self, name: &str) -> Table {
        let name = name.strip_prefix("proxy:").unwrap_or(name);
        let Some((kind, place)) = name.split_once(':') else {
            return Table::Unread("the table has no type".to_owned());
        };
        match kind {
            "inline" => Table::Entries(inline(place)),
            "static" => Table::Entries(vec![("*".to_owned(), place.to_owned())]),
            _ if WITH_TEXT.contains(&kind) => match self.read(place) {
                Ok(text) => Table::Entries(entries(&text)),
                Err(error) => Table::Unread(format!(
                    "{error}. postmap -s {kind}:{place} prints the table if only its database is there"
                )),
            },
            _ => Table::Unread(format!(
                "the relay has no tables of type {kind}: write the entries that you need into relay.toml"
            )),
        }
    }
}

/// The lines of a table: a key and its value.
fn entries(text: &str) -> Vec<(String, String)> {
    let lines = logical_lines(text);
    let entries = lines.iter().filter_map(|line| {
        let (key, value) = line.split_once(char::is_whitespace)?;
        Some((key.to_owned(), value.trim().to_owned()))
    });
    entries.collect()
}

/// `{ { key = value }, { key = value } }`.
fn inline(text: &str) -> Vec<(String, String)> {
    let inside = text.trim().trim_start_matches('{');
    let inside = inside.strip_suffix('}').unwrap_or(inside);
    let entries = items(inside).into_iter().filter_map(|item| {
        let item = item.trim_matches(['{', '}']);
        let (key, value) = item.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    });
    entries.collect()
}

/// Reads the text of an aliases(5) file: `name: target, target`.
pub(super) fn aliases(text: &str) -> Vec<(String, String)> {
    let lines = logical_lines(text);
    let entries = lines.iter().filter_map(|line| {
        let (name, targets) = line.split_once(':')?;
        let name = name.trim().trim_matches('"');
        Some((name.to_owned(), targets.trim().to_owned()))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_not_completed_with_files_of_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let own = tempfile::tempdir().unwrap();
        let aliases = own.path().join("aliases");
        std::fs::write(&aliases, "root: it@contoso.com\n").unwrap();
        let copy = Folder(folder.path().to_owned());
        let of_postmulti = Folder("/etc/postfix-out".into());
        assert!(of_postmulti.read(aliases.to_str().unwrap()).is_ok());

        let missing = copy.read(aliases.to_str().unwrap()).unwrap_err();
        assert!(missing.contains("aliases is missing"), "{missing}");
        let inside = copy.read("/etc/postfix/virtual").unwrap_err();
        let named = folder.path().join("virtual");
        assert!(inside.contains(named.to_str().unwrap()), "{inside}");

        let usual = Folder(USUAL.into());
        assert!(usual.read(aliases.to_str().unwrap()).is_ok());
    }

    #[test]
    fn tables_are_read_from_their_texts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("virtual"),
            "root it@contoso.com,\n  b@contoso.com\n",
        )
        .unwrap();
        let folder = Folder(folder.path().to_owned());
        let entry =
            |key: &str, value: &str| Table::Entries(vec![(key.to_owned(), value.to_owned())]);

        let expected = entry("root", "it@contoso.com, b@contoso.com");
        assert_eq!(folder.table("hash:/etc/postfix/virtual"), expected);
        assert_eq!(folder.table("proxy:lmdb:/etc/postfix/virtual"), expected);
        assert_eq!(folder.table("inline:{ { a = b } }"), entry("a", "b"));
        assert_eq!(folder.table("static:all"), entry("*", "all"));
        for unread in [
            "ldap:/etc/postfix/ldap.cf",
            "hash:/no/such/table",
            "nothing",
        ] {
            assert!(matches!(folder.table(unread), Table::Unread(_)), "{unread}");
        }
    }
}
