//! Decides which parts of a message are displayed and which are attached, because JSON
//! has one text and a list of files.
//!
//! Nothing is left out except alternatives to the chosen text: HTML, if there is any that
//! shows something. Several plain texts become one. With HTML they become files, as
//! Exchange also does with the footers of mailing lists. An attached message is a file
//! with its original bytes. A part that cannot be decoded for certain, and a text in a
//! form that cannot be shown here, are refused: such a message keeps its MIME form.

use super::JsonMessageError;
use super::attachment::Attachment;
use super::attachment::undecodable;
use super::html::shows;
use super::parts::Parts;
use crate::mime::Part;
use crate::mime::References;

/// The text of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// As `text/plain`.
    Plain(String),
    /// As `text/html`.
    Html(String),
}

/// The whole text.
#[derive(Debug)]
pub(in crate::mime) struct Contents<'p> {
    parts: &'p Parts<'p>,
    found: Vec<Found<'p>>,
    /// An HTML text that shows nothing.
    blank: Option<String>,
    /// Whether an alternative to the text was left out.
    pub(in crate::mime) chose: bool,
    /// Whether there is a text in a form that JSON cannot show.
    unshown: bool,
}

/// A part without parts.
#[derive(Debug)]
enum Found<'p> {
    /// With its content.
    Text(&'p Part, String),
    File(&'p Part),
}

impl<'p> Contents<'p> {
    /// Reads a whole message.
    ///
    /// # Errors
    ///
    /// A text cannot be decoded.
    pub(in crate::mime) fn of(parts: &'p Parts<'p>) -> Result<Self, JsonMessageError> {
        let mut contents = Self {
            parts,
            found: Vec::new(),
            blank: None,
            chose: false,
            unshown: false,
        };
        match parts.structure.parts.as_slice() {
            // The text of a message with a single part is not a file, even if it has a
            // name.
            [only] if is_written(only) && !only.part_headers.says_attachment() => {
                contents.write(only)?;
            }
            [message, ..] => contents.take(message)?,
            [] => {}
        }
        Ok(contents)
    }

    /// The text, and the files in the order of the message.
    ///
    /// # Errors
    ///
    /// A file cannot be decoded, or the only text cannot be shown.
    pub(in crate::mime) fn finish(self) -> Result<(Text, Vec<Attachment>), JsonMessageError> {
        let is_html = |it: &Found<'_>| matches!(it, Found::Text(part, _) if is(part, HTML));
        let html = self.found.iter().position(is_html);
        let mut plain = String::new();
        let mut text = None;
        let mut files = Vec::new();
        for (at, found) in self.found.into_iter().enumerate() {
            match found {
                Found::Text(_, said) if html == Some(at) => text = Some(Text::Html(said)),
                Found::Text(_, said) if html.is_none() => join(&mut plain, &said),
                Found::Text(part, _) | Found::File(part) => files.push(part),
            }
        }
        let text = match (text, self.blank) {
            (Some(text), _) => text,
            (None, _) if plain.is_empty() && self.unshown => return Err(JsonMessageError::Unshown),
            (None, Some(blank)) if plain.is_empty() => Text::Html(blank),
            (None, _) => Text::Plain(plain),
        };
        let shown = match &text {
            Text::Plain(_) => References::default(),
            Text::Html(html) => References::of(html),
        };
        let files = files.into_iter();
        let files = files.map(|part| Attachment::of(self.parts, part, &shown));
        Ok((text, files.collect::<Result<_, _>>()?))
    }

    fn take(&mut self, part: &'p Part) -> Result<(), JsonMessageError> {
        let structure = &self.parts.structure;
        let children = structure.children(part);
        if structure.is_leaf(part) {
            if is_text(part) {
                return self.write(part);
            }
            self.unshown |= is_rich(part);
            self.found.push(Found::File(part));
        } else if is(part, "multipart/alternative") {
            return self.choose(children.collect());
        } else if is(part, "multipart/related") {
            let main = structure.main_of(part).map(|main| main.at);
            for child in children {
                if Some(child.at) == main {
                    self.take(child)?;
                } else {
                    self.found.extend(structure.leaves(child).map(Found::File));
                }
            }
        } else {
            for child in children {
                self.take(child)?;
            }
        }
        Ok(())
    }

    /// RFC 2046 5.1.4: the last alternative is the best; here that is HTML, if it shows
    /// something.
    fn choose(&mut self, forms: Vec<&'p Part>) -> Result<(), JsonMessageError> {
        let says = |media_type: &str| {
            let each = forms.iter().map(|form| self.says(form, media_type));
            each.collect::<Result<Vec<bool>, _>>()
        };
        let html = says(HTML)?.iter().rposition(|says| *says);
        let chosen = match html {
            Some(html) => Some(html),
            None => says(PLAIN)?.iter().position(|says| *says),
        };
        for (at, form) in forms.into_iter().enumerate() {
            if Some(at) == chosen {
                self.take(form)?;
            } else {
                self.leave(form);
            }
        }
        Ok(())
    }

    /// Takes the files of an alternative that was not chosen.
    fn leave(&mut self, form: &'p Part) {
        for part in self.parts.structure.leaves(form) {
            if is_text(part) {
                // A part that cannot be decoded has content too.
                let says = self.says(part, &part.part_headers.content_type);
                self.chose |= says.unwrap_or(true);
            } else if is_form_of_text(part) {
                self.chose = true;
                self.unshown = true;
            } else {
                self.found.push(Found::File(part));
            }
        }
    }

    fn write(&mut self, part: &'p Part) -> Result<(), JsonMessageError> {
        let text = self.parts.text(part).ok_or_else(|| undecodable(part))?;
        if text.trim().is_empty() {
            return Ok(());
        }
        if is(part, HTML) && !shows(&text) {
            self.blank.get_or_insert(text);
        } else {
            self.found.push(Found::Text(part, text));
        }
        Ok(())
    }

    /// Whether there is something to read in this form.
    fn says(&self, form: &Part, media_type: &str) -> Result<bool, JsonMessageError> {
        let leaves = self.parts.structure.leaves(form);
        for part in leaves.filter(|part| is_text(part) && is(part, media_type)) {
            let text = self.parts.text(part).ok_or_else(|| undecodable(part))?;
            let says = match media_type {
                HTML => shows(&text),
                _ => !text.trim().is_empty(),
            };
            if says {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Adds a text that begins on a new line.
fn join(plain: &mut String, text: &str) {
    if !plain.is_empty() && !plain.ends_with('\n') {
        plain.push_str("\r\n");
    }
    plain.push_str(text);
}

fn is(part: &Part, media_type: &str) -> bool {
    part.part_headers.content_type == media_type
}

/// Whether a part without parts is text, or a multipart.
fn is_written(part: &Part) -> bool {
    let broken = part.part_headers.is_multipart() && !part.too_deep;
    is(part, PLAIN) || is(part, HTML) || broken
}

/// Whether nothing says that a part is a file.
fn is_no_file(part: &Part) -> bool {
    !part.part_headers.says_attachment() && part.part_headers.name.is_none()
}

/// Whether a part without parts is to be read.
fn is_text(part: &Part) -> bool {
    is_written(part) && is_no_file(part)
}

/// Whether a part without parts is a text with a layout of its own that cannot be
/// shown here, and neither is what RFC 2046 4.1.4 would have shown: its markup.
fn is_rich(part: &Part) -> bool {
    let kind = part.part_headers.content_type.as_str();
    let is_rich = matches!(
        kind,
        "text/enriched" | "text/richtext" | "text/x-amp-html" | "text/watch-html"
    );
    is_rich && is_no_file(part)
}

/// Whether a part of an alternative has the same content as the others in another form.
fn is_form_of_text(part: &Part) -> bool {
    let kind = part.part_headers.content_type.as_str();
    let is_data = matches!(
        kind,
        "text/calendar" | "text/csv" | "text/directory" | "text/vcard" | "text/x-vcard"
    );
    kind.starts_with("text/") && !is_data && is_no_file(part)
}

const PLAIN: &str = "text/plain";
const HTML: &str = "text/html";

#[cfg(test)]
#[path = "contents_tests.rs"]
mod tests;
