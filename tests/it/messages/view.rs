//! What the recipient of a message sees.
//!
//! ```text
//! Form: MIME                       where JSON was asked for
//! From: Name <address>             as Sender, Reply-To, To, Cc and Bcc, a line
//!                                  for each mailbox
//! Subject: ...
//! Message-ID: <...>                (new) if the relay made it
//! Importance: ...                  as Sensitivity, In-Reply-To, References and
//!                                  Disposition-Notification-To
//! X-...: ...                       all such fields, unfolded, in order
//! Date: ...                        (MIME) only one that neither came in nor is
//!                                  the time of now
//! Header: not ASCII                (MIME) where that is so
//! Body: not as it came in          (MIME) where that is so
//!
//! Text:                            or HTML:, each text that is no attachment,
//!                                  unless it is empty
//! | its lines
//!
//! Attachment: "name", type, size, content
//! Inline: "name", type, cid, size, content
//! ```
//!
//! Control characters, and bytes that are not UTF-8, are shown as `
//! `, `\u{7}` and `\xfc`. Short text is shown completely; of other content the beginning
//! and the SHA-256 are shown.

use graph_relay_sandbox::Arrival;
use graph_relay_sandbox::Form as Kind;

use super::read::Form;
use super::view_json;
use super::view_mime;
use crate::common::find;

/// The lines described above, for a message that was sent as `content`.
pub(crate) fn view(arrival: &Arrival, asked: Form, content: &[u8]) -> String {
    let mut view = View::default();
    match (arrival.form, asked) {
        (Kind::Mime, Form::Mime) => view_mime::read(&arrival.raw, content, &mut view),
        (Kind::Json, Form::Json) => view_json::read(&arrival.raw, &mut view),
        (Kind::Mime, Form::Json) => {
            view.line("Form", "MIME");
            view_mime::read(&arrival.raw, content, &mut view);
        }
        (Kind::Json, Form::Mime) => panic!("JSON was not asked for"),
    }
    for file in &arrival.attachments {
        view.attachment(&Shown {
            name: Some(&file.name),
            content_type: file.content_type.as_deref().unwrap_or("(no type)"),
            content_id: file.content_id.as_deref(),
            inline: file.inline,
            content: &file.content,
        });
    }
    view.finish()
}

/// Lines in the making.
#[derive(Default)]
pub(crate) struct View {
    lines: String,
    texts: String,
    attachments: String,
}

/// An attachment, as it is shown.
pub(crate) struct Shown<'a> {
    pub name: Option<&'a str>,
    pub content_type: &'a str,
    pub content_id: Option<&'a str>,
    pub inline: bool,
    pub content: &'a [u8],
}

/// The most lines of a text that are shown.
const MOST_LINES: usize = 12;
/// The most characters of a line that are shown.
const LONGEST_LINE: usize = 120;
/// The most bytes of an attachment that are shown.
const BEGINNING: usize = 60;
/// The bytes of an attached message that contain its first field.
const TOP: usize = 1000;
/// The hexadecimal digits of a digest that are shown.
const DIGEST: usize = 12;

impl View {
    /// `Name: value`, a long value cut short.
    pub(crate) fn line(&mut self, name: &str, value: &str) {
        let line = format!("{name}: {}", shown(value));
        self.lines.push_str(line.trim_end());
        self.lines.push('\n');
    }

    pub(crate) fn mailbox(&mut self, field: &str, name: Option<&str>, address: &str) {
        match name {
            Some(name) => self.line(field, &format!("{name} <{address}>")),
            None => self.line(field, address),
        }
    }

    pub(crate) fn message_id(&mut self, id: &str) {
        let is_ours = id.ends_with("@relay.test.example>");
        self.line("Message-ID", if is_ours { "(new)" } else { id });
    }

    /// A text of the message; `kind` is `Text` or `HTML`.
    pub(crate) fn text(&mut self, kind: &str, text: &str) {
        let text = text.replace("\r\n", "\n");
        if text.trim().is_empty() {
            return;
        }
        self.texts.push_str(&format!("\n{kind}:\n"));
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let lines: Vec<&str> = text.split('\n').collect();
        for line in lines.iter().take(MOST_LINES) {
            let line = format!("| {}", shown(line));
            self.texts.push_str(line.trim_end());
            self.texts.push('\n');
        }
        if lines.len() > MOST_LINES {
            self.texts.push_str(&format!(
                "... {} lines, {} bytes\n",
                lines.len(),
                text.len()
            ));
        }
    }

    pub(crate) fn attachment(&mut self, file: &Shown<'_>) {
        let kind = if file.inline { "Inline" } else { "Attachment" };
        let name = file
            .name
            .map_or_else(|| "no name".to_owned(), |name| format!("{name:?}"));
        let id = file
            .content_id
            .map_or_else(String::new, |id| format!("cid {id}, "));
        let size = file.content.len();
        // It has an id and a time at the top, which differ in each run.
        let top = &file.content[..size.min(TOP)];
        let is_this_message = find(top, b"(graph-relay)").is_some();
        let content = match std::str::from_utf8(file.content) {
            _ if is_this_message => "the whole message".to_owned(),
            Ok(text) if size <= BEGINNING => format!("{size} bytes, {text:?}"),
            _ => {
                let digest = ring::digest::digest(&ring::digest::SHA256, file.content);
                let digest = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
                let digest = digest.collect::<String>();
                let begins = file.content.iter().take(BEGINNING / 4).copied();
                let begins: Vec<u8> = begins.collect();
                format!(
                    "{size} bytes, \"{}\"..., sha256 {}",
                    begins.escape_ascii(),
                    &digest[..DIGEST]
                )
            }
        };
        let line = format!("{kind}: {name}, {}, {id}{content}\n", file.content_type);
        self.attachments.push_str(&line);
    }

    fn finish(self) -> String {
        let Self {
            lines,
            texts,
            attachments,
        } = self;
        let gap = if attachments.is_empty() { "" } else { "\n" };
        format!("{lines}{texts}{gap}{attachments}")
    }
}

/// A line in readable form.
fn shown(line: &str) -> String {
    let is_plain = |c: char| !c.is_control() || c == '\t';
    let mut shown = String::new();
    for c in line.chars().take(LONGEST_LINE) {
        match c {
            c if is_plain(c) => shown.push(c),
            c => shown.extend(c.escape_default()),
        }
    }
    let length = line.chars().count();
    if length > LONGEST_LINE {
        shown.push_str(&format!("... {length} characters"));
    }
    shown
}
