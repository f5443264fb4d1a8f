//! A message as somebody reads it: its header section as it came in, its texts, and which
//! files are attached. What is shown is bounded, whatever the size of the message: only
//! [`LARGEST_SCAN`] bytes of it are looked at, piece by piece, and of each text
//! [`LARGEST_TEXT`] bytes are in memory.

use std::io;

use super::Decoded;
use super::Disposition;
use super::Header;
use super::Part;
use super::Piece;
use super::Reader;
use super::Structure;
use super::structure;
use super::text::labels;

/// Bytes of each text.
pub const LARGEST_TEXT: usize = 256 * 1024;
/// Bytes of the message that are looked at.
const LARGEST_SCAN: u64 = 32 * 1024 * 1024;
/// Files that are listed.
const MOST_FILES: usize = 200;

/// A message that somebody reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Its header section as it came in, with control characters made visible.
    pub header: String,
    /// The first plain text.
    pub plain: Option<Excerpt>,
    /// The first HTML text. It is not harmless.
    pub html: Option<Excerpt>,
    /// The other parts.
    pub files: Vec<FileView>,
    /// Whether all of the message was looked at, and everything is listed.
    pub is_whole: bool,
}

/// A text, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The text.
    pub text: String,
    /// Whether there is more.
    pub is_cut: bool,
}

/// A part that is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileView {
    /// Its name, or one that suits its type.
    pub name: String,
    /// Its type.
    pub content_type: String,
    /// Its size in bytes, without its encoding.
    pub size: u64,
}

impl View {
    /// Reads a message. `head` is its beginning, at least its header section.
    ///
    /// # Errors
    ///
    /// Those of reading its file.
    pub async fn of(head: &[u8], content: &Piece) -> io::Result<Self> {
        let is_in_head = head.len() as u64 == content.size();
        let Some(header) = Header::of_message(head, is_in_head) else {
            return Ok(Self {
                header: visible(head),
                ..Self::default()
            });
        };
        let begin = header.body as u64;
        let end = content.size().min(begin + LARGEST_SCAN);
        let body = |range: std::ops::Range<u64>| {
            Reader::new([content.slice(&(begin + range.start..begin + range.end))])
        };
        let found = structure(&header, body(0..end - begin)).await?;
        let mut view = Self {
            header: visible(head.get(..header.body).unwrap_or(head)),
            is_whole: end == content.size() && !found.cut_short,
            ..Self::default()
        };
        for part in found.parts.iter().filter(|part| is_leaf(&found, part)) {
            let text = match part.part_headers.content_type.as_str() {
                "text/plain" if view.plain.is_none() && is_text(part) => &mut view.plain,
                "text/html" if view.html.is_none() && is_text(part) => &mut view.html,
                _ if view.files.len() == MOST_FILES => {
                    view.is_whole = false;
                    continue;
                }
                _ => {
                    view.files.push(FileView {
                        name: part.file_name(),
                        content_type: part.part_headers.content_type.clone(),
                        size: part.decoded,
                    });
                    continue;
                }
            };
            *text = Some(excerpt(part, body(part.body.clone())).await?);
        }
        Ok(view)
    }
}

fn is_leaf(structure: &Structure, part: &Part) -> bool {
    !part.open && structure.is_leaf(part)
}

fn is_text(part: &Part) -> bool {
    part.part_headers.disposition != Disposition::Attachment && part.part_headers.name.is_none()
}

async fn excerpt(part: &Part, encoded: Reader) -> io::Result<Excerpt> {
    let mut decoded = Decoded::new(encoded, part.part_headers.encoding, 0);
    let mut bytes = Vec::new();
    let mut is_cut = false;
    while let Some(more) = decoded.next().await? {
        bytes.extend_from_slice(&more);
        if bytes.len() > LARGEST_TEXT {
            bytes.truncate(LARGEST_TEXT);
            is_cut = true;
            break;
        }
    }
    // Not within a UTF-8 character.
    if is_cut
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        bytes.truncate(error.valid_up_to());
    }
    let charset = part.part_headers.charset.as_deref();
    let text = labels::text(&bytes, charset).unwrap_or_else(|| labels::guessed(&bytes, charset));
    let is_plain = part.part_headers.content_type == "text/plain";
    let text = match part.part_headers.flowed.filter(|_| is_plain) {
        Some(flowed) => flowed.unfolded(&text),
        None => text,
    };
    Ok(Excerpt {
        text: match is_plain {
            true => shown(&text),
            false => text.replace('\0', ""),
        },
        is_cut,
    })
}

/// Bytes of a header section as text in which nothing is hidden.
fn visible(bytes: &[u8]) -> String {
    shown(&labels::guessed(bytes, None))
}

/// A text in which control characters, and those that turn the direction of a text, can be
/// seen. Line ends and tabs stay.
fn shown(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            // The pictures of the control characters are in their order.
            c if c < ' ' => shown.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7f}' => shown.push('\u{2421}'),
            c if c.is_control() || turns(c) => {
                shown.push_str(&format!("[U+{:04X}]", u32::from(c)));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Whether a character changes how the text around it is shown, and is not seen itself
/// (Unicode 3.4 and UAX 9).
fn turns(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    async fn view(message: &str) -> View {
        let bytes = Bytes::copy_from_slice(message.as_bytes());
        View::of(&bytes, &Piece::Bytes(bytes.clone()))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn texts_are_decoded_and_other_parts_are_listed() {
        let view = view(
            "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n\
             --b\r\nContent-Type: text/html\r\n\r\n<b>hi</b>\r\n\
             --b\r\nContent-Type: application/pdf; name=\"a/b.pdf\"\r\n\
             Content-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--b--\r\n",
        )
        .await;

        assert_eq!(view.plain.unwrap().text, "Grüße");
        assert_eq!(view.html.unwrap().text, "<b>hi</b>");
        let [file] = &view.files[..] else {
            panic!("{:?}", view.files);
        };
        assert_eq!(
            (file.content_type.as_str(), file.size),
            ("application/pdf", 3)
        );
        assert!(view.is_whole);
    }

    #[tokio::test]
    async fn a_long_text_is_cut_between_characters() {
        let long = "ü".repeat(LARGEST_TEXT);
        let view = view(&format!(
            "Content-Type: text/plain; charset=utf-8\r\n\r\nx{long}"
        ))
        .await;

        let text = view.plain.unwrap();
        assert!(text.is_cut);
        assert_eq!(text.text.len(), LARGEST_TEXT - 1);
        assert!(text.text.ends_with('ü'));
    }

    #[tokio::test]
    async fn nothing_in_a_header_section_is_hidden() {
        let view = view("Subject: a\u{7}b\u{202e}c\r\n folded\r\nX-Y: z\r\n\r\nbody").await;

        assert_eq!(view.header, "Subject: a␇b[U+202E]c\n folded\nX-Y: z\n\n");
    }
}
