//! Configurations of other products, read to make a relay.toml of them.
//!
//! Each product has a file or a folder here, and all fill the same [`Found`]: what the relay
//! takes over, what it does in another way and why, what has no counterpart, and what only an
//! administrator can decide. Promises: every setting that the other product's files set is in
//! one of the four lists; no list has a password or a secret; nothing is written, and nothing is
//! asked over a network. The command `import` (`cli/import/`) prints the lists, writes the
//! files, and checks the result as `check` does.

pub mod draft;
pub mod iis;
mod networks;
pub mod postfix;
pub mod report;
pub mod smtp2graph;
mod yaml;

use std::io;
use std::path::Path;
use std::path::PathBuf;

pub use self::draft::Draft;

/// What an importer found, and what it makes of it.
#[derive(Debug, Default)]
pub struct Found {
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Settings that mean the same in the relay.
    pub taken: Vec<Row>,
    /// Settings that the relay carries out in another way.
    pub changed: Vec<Row>,
    /// Settings without a counterpart.
    pub none: Vec<Row>,
    /// Settings that somebody has to decide about or complete.
    pub decide: Vec<Row>,
    /// The configuration for the relay.
    pub draft: Draft,
    /// Advice that follows the lists, one text for each line.
    pub advice: Vec<String>,
}

/// A setting of the other product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The setting as written there.
    pub setting: String,
    /// What becomes of it.
    pub words: String,
    /// Whether the relay may let in more than the other product until somebody has decided.
    pub may_open: bool,
}

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is no such file, or it cannot be opened.
    #[error("cannot read {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is a file of another kind, or damaged.
    #[error("{path}: {words}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        words: String,
    },
}

/// The lines that only the app registration in Entra can complete.
const FROM_ENTRA: [&str; 3] = [
    "tenant = \"contoso.onmicrosoft.com\"",
    "client_id = \"22222222-2222-2222-2222-222222222222\"",
    "client_secret_file = \"/etc/graph-relay/client-secret\"",
];
/// The sizes of messages that the relay can be limited to: Exchange accepts nothing larger.
const MESSAGE_SIZES: std::ops::RangeInclusive<u64> = 10_000..=150_000_000;
/// What to do about a port of the system.
const PORT_IS_SHARED: &str = "this port needs extra rights, and the old server must not use it any \
     more: stop it, then graph-relay doctor shows which lines to add to the systemd unit";

/// Ports below this one need extra rights.
const FIRST_FREE_PORT: u16 = 1024;

/// A larger file is no configuration.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// In the place of a secret, or of what nobody can read.
const HIDDEN: &str = "(not shown)";
/// Parts of the names of settings that have secrets: passwords, what is handed to other programs,
/// and lists in DNS, some of which have the key of a customer in their name.
const SECRET_NAMES: [&str; 14] = [
    "pass",
    "_pw",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "import_environment",
    "export_environment",
    "dnsbl_sites",
    "dnswl_sites",
    "dnsbl_reply_map",
    "rbl_reply_maps",
    "maps_rbl_domains",
];

impl Row {
    fn new(setting: impl Into<String>, words: impl Into<String>) -> Self {
        Self {
            setting: without_login(setting.into()),
            words: without_login(words.into()),
            may_open: false,
        }
    }
}

/// Whether [`PORT_IS_SHARED`] says what to do about a port.
fn is_shared(port: u16) -> bool {
    port < FIRST_FREE_PORT
}

/// Whether a setting has a secret, by its name: its value is not shown.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_program = name.ends_with("_command") && name != "disable_vrfy_command";
    is_program || SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// A text without the user and the password of a URL: what stands between `://` and `@`.
fn without_login(text: String) -> String {
    let url = text.split_once("://");
    let login = url.and_then(|(before, behind)| Some((before, behind.rsplit_once('@')?.1)));
    match login {
        Some((before, host)) => format!("{before}://{HIDDEN}@{host}"),
        None => text,
    }
}

impl Found {
    fn take(&mut self, setting: impl Into<String>, words: impl Into<String>) {
        self.taken.push(Row::new(setting, words));
    }

    fn change(&mut self, setting: impl Into<String>, words: impl Into<String>) {
        self.changed.push(Row::new(setting, words));
    }

    fn lack(&mut self, setting: impl Into<String>, words: impl Into<String>) {
        self.none.push(Row::new(setting, words));
    }

    fn ask(&mut self, setting: impl Into<String>, words: impl Into<String>) {
        self.decide.push(Row::new(setting, words));
    }

    /// Asks about a setting without which the relay may let in more than the other product.
    fn warn(&mut self, setting: impl Into<String>, words: impl Into<String>) {
        let mut row = Row::new(setting, words);
        row.may_open = true;
        self.decide.push(row);
    }
}

/// Reads a file of a configuration, in UTF-8 or in the encoding of its byte order mark, such as the
/// UTF-16 of Windows. Bytes that are not of that encoding are replaced. A file with control
/// characters is refused: it is not the text that the other product reads.
fn content(path: &Path) -> Result<String, ImportError> {
    let wrong = |error| ImportError::File {
        path: path.to_owned(),
        error,
    };
    let size = std::fs::metadata(path).map_err(wrong)?;
    if !size.is_file() || size.len() > LARGEST_FILE {
        return Err(ImportError::Content {
            path: path.to_owned(),
            words:
                "this is not a configuration file: it is not a regular file, or larger than 16 MiB"
                    .to_owned(),
        });
    }
    let bytes = std::fs::read(path).map_err(wrong)?;
    let text = encoding_rs::UTF_8.decode(&bytes).0;
    match control_character(&text) {
        None => Ok(text.into_owned()),
        Some((line, c)) => Err(ImportError::Content {
            path: path.to_owned(),
            words: format!(
                "this is not a text file: line {line} has the control character U+{:04X}. Check that it is \
                 the right file; if it is, remove the character",
                u32::from(c)
            ),
        }),
    }
}

/// The first control character, with the number of its line. Tabs, line ends and form feeds are
/// not meant: texts have them.
fn control_character(text: &str) -> Option<(usize, char)> {
    let is_refused = |c: &char| c.is_ascii_control() && !c.is_ascii_whitespace();
    let mut lines = (1..).zip(text.split('\n'));
    lines.find_map(|(number, line)| Some((number, line.chars().find(is_refused)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_has_the_password_of_a_url() {
        let mut found = Found::default();
        found.ask(
            "url = http://u:canary@a/can@ry@b",
            "ldap://canary/ :@c is odd",
        );

        let row = &found.decide[0];
        assert_eq!(row.setting, "url = http://(not shown)@b");
        assert_eq!(row.words, "ldap://(not shown)@c is odd");
        let plain = Row::new("see http://a/b", "it@contoso.com://x");
        assert_eq!(plain.setting, "see http://a/b");
        assert_eq!(plain.words, "it@contoso.com://x");
    }

    #[test]
    fn a_file_with_a_control_character_is_refused_and_one_in_another_encoding_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            content(&path).map_err(|error| error.to_string())
        };

        for (bytes, words) in [
            (
                &b"\x7fELF\x02\x01\x01\0"[..],
                "line 1 has the control character U+007F",
            ),
            (
                b"a = b\n\nb = \x1b[31mc\n",
                "line 3 has the control character U+001B",
            ),
            (
                b"a\0 \0=\0 \0b\0",
                "line 1 has the control character U+0000",
            ),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        for bytes in [
            &b"# M\xfcller\r\na =\tb\n\x0cc = d\n"[..],
            b"\xff\xfea\0",
            "\u{c3}\u{84}".as_bytes(),
        ] {
            assert!(read(bytes).is_ok(), "{bytes:?}");
        }
    }

    #[test]
    fn names_of_secrets_have_no_case() {
        for name in [
            "httpProxy.Password",
            "AnonymousUserPass",
            "ldap_bind_pw",
            "mailbox_command",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["smtpd_tls_key_file", "disable_vrfy_command"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
