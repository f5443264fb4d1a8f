//! The files of `tests/messages`. An error in one panics with its name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use base64::display::Base64Display;
use base64::prelude::BASE64_STANDARD;

use super::diff::difference;

/// How a message is sent to Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    Mime,
    Json,
}

/// A message and how it is sent.
pub(crate) struct Sample {
    /// The file's name without the ending.
    pub name: String,
    /// As DATA carries it, without dot-stuffing.
    pub content: Vec<u8>,
    pub mail_from: String,
    pub recipients: Vec<String>,
    /// The recipients in Graph.
    pub reached: Vec<String>,
    /// Lines of the `[[account]]`.
    pub account: String,
    pub forms: Vec<Form>,
}

const ENDINGS: [&str; 3] = [".txt", ".mime.txt", ".json.txt"];

/// All messages, by name.
pub(crate) fn all() -> Vec<Sample> {
    let files: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let endings = [".options", ".mime.txt", ".json.txt", ".txt"];
        let of = endings.iter().find_map(|ending| name.strip_suffix(ending));
        let is_alone = of.is_some_and(|name| !folder().join(format!("{name}.eml")).exists());
        assert!(!is_alone, "{name} is about no message");
    }
    let mut samples: Vec<Sample> = files
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "eml"))
        .map(|path| sample(path))
        .collect();
    samples.sort_by(|one, other| one.name.cmp(&other.name));
    samples
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages")
}

fn sample(path: &Path) -> Sample {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut sample = Sample {
        content: content(&fs::read(path).unwrap()),
        mail_from: super::MAILBOXES[0].to_owned(),
        recipients: vec!["you@example.org".to_owned()],
        reached: Vec::new(),
        account: String::new(),
        forms: vec![Form::Mime, Form::Json],
        name,
    };
    let options = fs::read_to_string(path.with_extension("options")).unwrap_or_default();
    for line in options.lines().filter(|line| !line.is_empty()) {
        match line.split_once(": ") {
            Some(("mail-from", path)) => sample.mail_from = path.to_owned(),
            Some(("to", all)) => sample.recipients = all.split(' ').map(str::to_owned).collect(),
            Some(("reaches", all)) => sample.reached = all.split(' ').map(str::to_owned).collect(),
            Some(("account", key)) => sample.account.push_str(&format!("{key}\n")),
            Some(("forms", "mime")) => sample.forms = vec![Form::Mime],
            Some(("forms", "json")) => sample.forms = vec![Form::Json],
            _ => panic!("{}.options: {line}", sample.name),
        }
    }
    if sample.reached.is_empty() {
        sample.reached.clone_from(&sample.recipients);
    }
    sample
}

/// The message that a file stands for.
fn content(file: &[u8]) -> Vec<u8> {
    let is_exact = file.windows(2).any(|pair| pair == b"\r\n");
    let mut content = Vec::new();
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        if let Some(filler) = filler(line) {
            content.extend(filler.into_bytes());
        } else if let (false, Some(line)) = (is_exact, line.strip_suffix(b"\n")) {
            content.extend_from_slice(line);
            content.extend_from_slice(b"\r\n");
        } else {
            content.extend_from_slice(line);
        }
    }
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        content.extend_from_slice(b"\r\n");
    }
    content
}

/// The lines that replace `%base64 N%` or a similar line.
fn filler(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let (kind, size) = line.strip_prefix('%')?.strip_suffix('%')?.split_once(' ')?;
    let size: usize = size.parse().ok()?;
    let (text, width) = match kind {
        "base64" => {
            let zeros = vec![0; size];
            (Base64Display::new(&zeros, &BASE64_STANDARD).to_string(), 76)
        }
        // `M` says that a line has 45 bytes, and a group of three zeros is four
        // grave accents.
        "uuencode" => (format!("M{}", "`".repeat(60)).repeat(size / 45), 61),
        "text" => ("x".repeat(size / 80 * 78), 78),
        _ => return None,
    };
    let lines = text.as_bytes().chunks(width);
    let lines = lines.map(|line| format!("{}\r\n", String::from_utf8_lossy(line)));
    Some(lines.collect())
}

impl Sample {
    /// The differences in every form whose view is not the expected one.
    pub(crate) fn compare(&self, views: &BTreeMap<Form, &str>) -> Vec<String> {
        let mut failures = Vec::new();
        for (form, view) in views {
            let mut read = self.paths(*form).into_iter();
            let read = read.find_map(|path| Some((fs::read_to_string(&path).ok()?, path)));
            let Some((expected, path)) = read else {
                failures.push(format!(
                    "{}: nothing says what arrives in form {form:?}: \
                     write it, or run with UPDATE_MESSAGES=1\n{view}",
                    self.name
                ));
                continue;
            };
            if let Some(difference) = difference(&expected, view) {
                let name = path.file_name().unwrap().to_str().unwrap();
                failures.push(format!("{name} ({form:?}):\n{difference}"));
            }
        }
        failures
    }

    /// Writes the views, as one file if both forms show the same.
    pub(crate) fn write_expected(&self, views: &BTreeMap<Form, &str>) {
        if self.compare(views).is_empty() {
            return;
        }
        for ending in ENDINGS {
            let path = folder().join(format!("{}{ending}", self.name));
            if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
        let mut different = views.values().collect::<Vec<_>>();
        different.dedup();
        for (form, view) in views {
            let [own, shared] = self.paths(*form);
            let path = if different.len() == 1 { shared } else { own };
            fs::write(path, view).unwrap();
        }
    }

    /// The possible files with the expectation of a form.
    fn paths(&self, form: Form) -> [PathBuf; 2] {
        let own = match form {
            Form::Mime => ".mime.txt",
            Form::Json => ".json.txt",
        };
        [own, ".txt"].map(|ending| folder().join(format!("{}{ending}", self.name)))
    }
}

#[test]
fn line_ends_and_fillers_are_expanded() {
    assert_eq!(content(b"a\nb"), b"a\r\nb\r\n");
    assert_eq!(content(b"a\r\nb\nc\r\n"), b"a\r\nb\nc\r\n");
    assert_eq!(content(b""), b"");
    let base64 = content(b"x\n%base64 114%\n");
    assert_eq!(
        base64,
        format!("x\r\n{0}\r\n{0}\r\n", "A".repeat(76)).as_bytes()
    );
    let uuencoded = content(b"%uuencode 90%\n");
    assert_eq!(
        uuencoded,
        format!("M{0}\r\nM{0}\r\n", "`".repeat(60)).as_bytes()
    );
    assert_eq!(content(b"%text 160%\n").len(), 160);
}
