//! Reads dialog files into steps. An error in a file panics with its name and line.

use std::fs;
use std::path::Path;

/// A file.
pub(crate) struct Dialog {
    /// Its name without the ending.
    pub name: String,
    pub setup: Setup,
    /// The steps, each with its line.
    pub steps: Vec<(usize, Step)>,
}

/// Settings of the relay in addition to the usual ones.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Setup {
    /// Lines of the `[[listener]]`.
    pub listener: String,
    /// Other lines.
    pub config: String,
}

impl Setup {
    /// Whether the `[[listener]]` has this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        let mut keys = self
            .listener
            .lines()
            .filter_map(|line| line.split_once('='));
        keys.any(|(name, _)| name.trim() == key)
    }
}

pub(crate) enum Step {
    /// One segment.
    Say(Vec<u8>),
    Reply(String),
    Offers(String),
    OffersNot(String),
    Tls,
    Closed,
    ClosedWithWords,
    Leave,
    Arrives(Vec<u8>),
    ArrivesNot(Vec<u8>),
    Recipients(Vec<String>),
    LogsQuirk(String),
    LogsNoQuirk,
}

/// All files of `tests/dialogs`, by name.
pub(crate) fn all() -> Vec<Dialog> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogs");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "dialog"))
        .collect();
    paths.sort();
    paths.iter().map(|path| dialog(path)).collect()
}

fn dialog(path: &Path) -> Dialog {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(path).unwrap();
    let mut dialog = Dialog {
        name,
        setup: Setup::default(),
        steps: Vec::new(),
    };
    let mut lines = (1..).zip(text.lines());
    while let Some((at, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let step = match (word, rest) {
            ("listener:", key) => {
                dialog.setup.listener.push_str(&format!("{key}\n"));
                continue;
            }
            ("config:", line) => {
                dialog.setup.config.push_str(&format!("{line}\n"));
                continue;
            }
            ("C+:", rest) => match dialog.steps.last_mut() {
                Some((_, Step::Say(segment))) => {
                    segment.extend(said(rest));
                    continue;
                }
                _ => panic!("{}:{at}: C+ follows nothing", dialog.name),
            },
            ("C:", rest) => Step::Say(said(rest)),
            ("MESSAGE", "") => {
                let inside = lines.by_ref().map(|(_, line)| line);
                let content = inside.take_while(|line| *line != ".").map(said);
                let mut content: Vec<u8> = content.flatten().collect();
                content.extend_from_slice(b".\r\n");
                Step::Say(content)
            }
            _ => expectation(word, rest)
                .unwrap_or_else(|| panic!("{}:{at}: {line} is no step", dialog.name)),
        };
        dialog.steps.push((at, step));
    }
    dialog
}

fn expectation(word: &str, rest: &str) -> Option<Step> {
    Some(match (word, rest) {
        ("S:", line) => Step::Reply(line.to_owned()),
        ("OFFERS", rest) => match rest.strip_prefix("NOT ") {
            Some(keyword) => Step::OffersNot(keyword.to_owned()),
            None => Step::Offers(rest.to_owned()),
        },
        ("TLS", "") => Step::Tls,
        ("CLOSED", "") => Step::Closed,
        ("CLOSED", "*") => Step::ClosedWithWords,
        ("LEAVE", "") => Step::Leave,
        ("ARRIVES", rest) => match rest.strip_prefix("NOT ") {
            Some(text) => Step::ArrivesNot(bytes(text)),
            None => Step::Arrives(bytes(rest)),
        },
        ("RECIPIENTS", rest) => Step::Recipients(rest.split(' ').map(str::to_owned).collect()),
        ("LOG", "no quirk") => Step::LogsNoQuirk,
        ("LOG", rest) => Step::LogsQuirk(rest.strip_prefix("quirk=")?.to_owned()),
        _ => return None,
    })
}

/// The bytes that a line of the client stands for.
fn said(line: &str) -> Vec<u8> {
    let slashes = line.len() - line.trim_end_matches('\\').len();
    if slashes % 2 == 1 {
        return bytes(&line[..line.len() - 1]);
    }
    [&bytes(line)[..], b"\r\n"].concat()
}

fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let kind = escape.chars().next();
        rest = escape.get(1..).unwrap_or_default();
        match kind {
            Some('r') => bytes.push(b'\r'),
            Some('n') => bytes.push(b'\n'),
            Some('t') => bytes.push(b'\t'),
            Some('0') => bytes.push(0),
            Some('\\') => bytes.push(b'\\'),
            Some('x') => {
                let digits = rest.get(..2).unwrap_or_default();
                let byte = u8::from_str_radix(digits, 16);
                bytes.push(byte.unwrap_or_else(|_| panic!("\\x{digits} is no byte")));
                rest = &rest[2..];
            }
            _ => panic!("no such escape: {text}"),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
