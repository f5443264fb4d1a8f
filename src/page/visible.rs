//! What a page must not hide. Every page passes here after its template has made it, so
//! that no template can forget it.
//!
//! Promises: a character that nobody sees, and that changes how others are read, is shown
//! by its number: `[U+202E]`. With such a character in its Subject or name, a sender makes
//! `fdp.exe` look like `exe.pdf`.
//!
//! Tabs and line ends stay, and so do the marks that Hebrew and Arabic need between
//! letters and digits: they move nothing beyond their own text, which the style sheet
//! keeps apart. Escaping is left to the templates.

/// The page, with everything in it to see.
pub(super) fn visible(html: String) -> String {
    if !html.contains(is_hidden) {
        return html;
    }
    let shown = |mut shown: String, c: char| {
        match is_hidden(c) {
            true => shown.push_str(&format!("[U+{:04X}]", u32::from(c))),
            false => shown.push(c),
        }
        shown
    };
    html.chars().fold(String::new(), shown)
}

/// Control characters, and what begins, ends or turns a run of text.
fn is_hidden(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => true,
        c => c.is_control(),
    }
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
            ("שלום\u{200f} 12, 請求書 🎉", "שלום\u{200f} 12, 請求書 🎉"),
        ] {
            assert_eq!(visible(text.to_owned()), shown, "{text:?}");
        }
    }
}
