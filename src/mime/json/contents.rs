//! What of a message's parts is read and what is attached, where there is room
//! for one text and a list of files.
//!
//! Nothing is left out but the alternatives to the text that is chosen: HTML, if
//! there is any that shows something. Several plain texts become one; beside HTML
//! they are files, which Exchange too makes of the footers of mailing lists.
//! A message within the message is a file with its bytes as they came in. What
//! cannot be decoded for certain, and a text in a form that cannot be shown here,
//! is refused: such a message keeps its MIME form.

use std::collections::HashMap;

use super::RenditionError;
use super::attachment::Attachment;
use super::attachment::bare_id;
use super::attachment::undecodable;
use super::html::shows;
use super::part::Part;
use super::references::References;
use crate::mime::body::media::default_name;

/// The one text of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// As `text/plain`.
    Plain(String),
    /// As `text/html`.
    Html(String),
}

/// All of it.
#[derive(Debug)]
pub(in crate::mime) struct Contents<'p, 'm> {
    message: &'p Part<'m>,
    found: Vec<Found<'p, 'm>>,
    /// An HTML text without anything to see.
    blank: Option<String>,
    /// An alternative to the text was left out.
    pub(in crate::mime) chose: bool,
    /// A text is there in a form that has no place here.
    unshown: bool,
}

/// A part without children.
#[derive(Debug)]
enum Found<'p, 'm> {
    /// With what it says.
    Text(&'p Part<'m>, String),
    File(&'p Part<'m>),
}

impl<'p, 'm> Contents<'p, 'm> {
    /// Of a whole message.
    ///
    /// # Errors
    ///
    /// A text cannot be decoded.
    pub(in crate::mime) fn of(message: &'p Part<'m>) -> Result<Self, RenditionError> {
        let mut contents = Self {
            message,
            found: Vec::new(),
            blank: None,
            chose: false,
            unshown: false,
        };
        if message.children.is_empty() && is_written(message) && !message.is_attachment() {
            // A name makes no file of a message that is nothing but its text.
            contents.write(message)?;
        } else {
            contents.take(message)?;
        }
        Ok(contents)
    }

    /// The text, and the files in the message's order.
    ///
    /// # Errors
    ///
    /// A file cannot be decoded, or the only text cannot be shown.
    pub(in crate::mime) fn finish(self) -> Result<(Text, Vec<Attachment>), RenditionError> {
        let is_html = |it: &Found<'_, '_>| matches!(it, Found::Text(part, _) if part.is(HTML));
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
            (None, _) if plain.is_empty() && self.unshown => return Err(RenditionError::Unshown),
            (None, Some(blank)) if plain.is_empty() => Text::Html(blank),
            (None, _) => Text::Plain(plain),
        };
        let shown = match &text {
            Text::Plain(_) => References::default(),
            Text::Html(html) => References::of(html),
        };
        let numbers = numbers(self.message);
        let files = files.into_iter().map(|part| {
            let number = numbers.iter().find(|(it, _)| std::ptr::eq(*it, part));
            Attachment::of(part, number.map_or(1, |(_, number)| *number), &shown)
        });
        Ok((text, files.collect::<Result<_, _>>()?))
    }

    fn take(&mut self, part: &'p Part<'m>) -> Result<(), RenditionError> {
        if part.children.is_empty() {
            if is_text(part) {
                return self.write(part);
            }
            self.unshown |= is_rich(part);
            self.found.push(Found::File(part));
        } else if part.is("multipart/alternative") {
            return self.choose(part);
        } else if part.is("multipart/related") {
            // RFC 2387 3.2: the first is the root, if no other is named.
            let start = part.parameter("start").map(|start| bare_id(&start));
            let is_start = |child: &Part<'_>| start.is_some() && child.media.content_id == start;
            let root = part.children.iter().position(is_start).unwrap_or_default();
            for (at, child) in part.children.iter().enumerate() {
                if at == root {
                    self.take(child)?;
                } else {
                    self.attach(child);
                }
            }
        } else {
            for child in &part.children {
                self.take(child)?;
            }
        }
        Ok(())
    }

    /// RFC 2046 5.1.4: the last is the best; of what can be shown here HTML is, if
    /// it shows something.
    fn choose(&mut self, part: &'p Part<'m>) -> Result<(), RenditionError> {
        let children = &part.children;
        let says = |media_type: &str| {
            let each = children.iter().map(|child| says(child, media_type));
            each.collect::<Result<Vec<bool>, _>>()
        };
        let html = says(HTML)?.iter().rposition(|says| *says);
        let chosen = match html {
            Some(html) => Some(html),
            None => says(PLAIN)?.iter().position(|says| *says),
        };
        for (at, child) in children.iter().enumerate() {
            if Some(at) == chosen {
                self.take(child)?;
            } else {
                self.leave(child);
            }
        }
        Ok(())
    }

    /// Takes what is no text of an alternative that was not chosen.
    fn leave(&mut self, part: &'p Part<'m>) {
        if part.children.is_empty() {
            if is_text(part) {
                // What cannot be decoded says something, too.
                let says = says(part, &part.media.content_type);
                self.chose |= says.unwrap_or(true);
            } else if is_form_of_text(part) {
                self.chose = true;
                self.unshown = true;
            } else {
                self.found.push(Found::File(part));
            }
        }
        for child in &part.children {
            self.leave(child);
        }
    }

    fn attach(&mut self, part: &'p Part<'m>) {
        if part.children.is_empty() {
            self.found.push(Found::File(part));
        }
        for child in &part.children {
            self.attach(child);
        }
    }

    fn write(&mut self, part: &'p Part<'m>) -> Result<(), RenditionError> {
        let text = part.text().ok_or_else(|| undecodable(part))?;
        if text.trim().is_empty() {
            return Ok(());
        }
        if part.is(HTML) && !shows(&text) {
            self.blank.get_or_insert(text);
        } else {
            self.found.push(Found::Text(part, text));
        }
        Ok(())
    }
}

/// Of the parts without names, which one each of them is that would be called alike.
fn numbers<'p, 'm>(message: &'p Part<'m>) -> Vec<(&'p Part<'m>, usize)> {
    fn count<'p, 'm>(
        part: &'p Part<'m>,
        seen: &mut HashMap<(&'static str, &'static str), usize>,
        numbers: &mut Vec<(&'p Part<'m>, usize)>,
    ) {
        if part.children.is_empty() {
            let name = default_name(&part.media.content_type);
            let before = seen.entry(name).or_default();
            numbers.push((part, *before + 1));
            *before += usize::from(part.media.is_counted());
        }
        for child in &part.children {
            count(child, seen, numbers);
        }
    }
    let mut numbers = Vec::new();
    count(message, &mut HashMap::new(), &mut numbers);
    numbers
}

/// Adds a text that begins on a line of its own.
fn join(plain: &mut String, text: &str) {
    if !plain.is_empty() && !plain.ends_with('\n') {
        plain.push_str("\r\n");
    }
    plain.push_str(text);
}

/// Whether a part without children is text, or a multipart without parts.
fn is_written(part: &Part<'_>) -> bool {
    let broken = part.is("multipart/*") && !part.too_deep;
    part.is(PLAIN) || part.is(HTML) || broken
}

/// Whether a part without children is to be read, and no file.
fn is_text(part: &Part<'_>) -> bool {
    is_written(part) && !part.is_attachment() && part.media.name.is_none()
}

/// Whether a part without children is a text with a layout of its own that cannot
/// be shown here, and neither is what RFC 2046 4.1.4 would have shown: its markup.
fn is_rich(part: &Part<'_>) -> bool {
    let kind = part.media.content_type.as_str();
    let is_rich = matches!(
        kind,
        "text/enriched" | "text/richtext" | "text/x-amp-html" | "text/watch-html"
    );
    is_rich && !part.is_attachment() && part.media.name.is_none()
}

/// Whether a part of an alternative says what the others say, in a form of its own.
fn is_form_of_text(part: &Part<'_>) -> bool {
    let kind = part.media.content_type.as_str();
    let is_data = matches!(
        kind,
        "text/calendar" | "text/csv" | "text/directory" | "text/vcard" | "text/x-vcard"
    );
    kind.starts_with("text/") && !is_data && !part.is_attachment() && part.media.name.is_none()
}

/// Whether there is something to read in this form.
fn says(part: &Part<'_>, media_type: &str) -> Result<bool, RenditionError> {
    if part.children.is_empty() && is_text(part) && part.is(media_type) {
        let text = part.text().ok_or_else(|| undecodable(part))?;
        return Ok(match media_type {
            HTML => shows(&text),
            _ => !text.trim().is_empty(),
        });
    }
    for child in &part.children {
        if says(child, media_type)? {
            return Ok(true);
        }
    }
    Ok(false)
}

const PLAIN: &str = "text/plain";
const HTML: &str = "text/html";

#[cfg(test)]
#[path = "contents_tests.rs"]
mod tests;
