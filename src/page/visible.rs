//! What a page must not hide. Every page passes here after its template has made it, so
//! that no template can forget it.
//!
//! Promises: a character that nobody sees, and that changes how others are read, is shown
//! by its number: `[U+202E]`. With such a character in its Subject or name, a sender makes
//! `fdp.exe` look like `exe.pdf`.
//!
//! Tabs and line ends stay. So do the marks and joiners that Hebrew, Arabic, Indian scripts
//! and emoji need: they move nothing beyond their own text, which the style sheet keeps
//! apart. Behind an English letter or digit they only hide, as in `pay` and `pal` with one
//! between them, and are shown. Escaping is left to the templates.

/// The page, with everything in it to see.
pub(super) fn visible(html: String) -> String {
    if !html.contains(|c| is_hidden(c) || is_mark(c)) {
        return html;
    }
    let mut shown = String::with_capacity(html.len());
    let mut before = ' ';
    for c in html.chars() {
        if is_hidden(c) || is_mark(c) && before.is_ascii_alphanumeric() {
            shown.push_str(&format!("[U+{:04X}]", u32::from(c)));
        } else {
            shown.push(c);
        }
        if !is_mark(c) {
            before = c;
        }
    }
    shown
}

/// Control characters, what begins, ends or turns a run of text, and what has no width.
fn is_hidden(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        // Soft hyphen, separators, spaces without width, tags.
        '\u{ad}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

/// Joiners, and marks of direction.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_turn_or_hide_others_are_shown_by_number() {
        for (text, shown) in [
            ("", ""),
            (
                "<td>invoice\u{202e}fdp.exe</td>",
                "<td>invoice[U+202E]fdp.exe</td>",
            ),
            ("\u{202e}a\u{2069}\u{feff}", "[U+202E]a[U+2069][U+FEFF]"),
            ("a\0b\u{1b}[31m\u{9b}c", "a[U+0000]b[U+001B][31m[U+009B]c"),
            ("a\tb\r\nc", "a\tb\r\nc"),
            (
                "pay\u{200b}pal pay\u{200d}\u{200d}pal 1\u{200f}2",
                "pay[U+200B]pal pay[U+200D][U+200D]pal 1[U+200F]2",
            ),
            ("in\u{ad}voice\u{2060}", "in[U+00AD]voice[U+2060]"),
            (
                "👩\u{200d}💻 می\u{200c}خواهم",
                "👩\u{200d}💻 می\u{200c}خواهم",
            ),
            ("שלום\u{200f} 12, 請求書 🎉", "שלום\u{200f} 12, 請求書 🎉"),
        ] {
            assert_eq!(visible(text.to_owned()), shown, "{text:?}");
        }
    }
}
