//! Plain text with flowed lines (RFC 3676): a blank at the end of a line means that the
//! paragraph continues, and a blank at the beginning protects what follows. The JSON form
//! cannot express this type, so the lines are joined here, as every mail program shows
//! them.

/// How lines flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mime) struct Flowed {
    /// Whether the blank at the end of a line is only there for the flow.
    deletes_blank: bool,
}

/// RFC 3676 4.3: it looks flowed, and never is.
const SIGNATURE: &str = "-- ";

impl Flowed {
    /// If a Content-Type says so, of whose parameters `word` gives the one of a name.
    pub(in crate::mime) fn of(word: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let is =
            |name: &str, value: &str| word(name).is_some_and(|own| own.eq_ignore_ascii_case(value));
        is("format", "flowed").then(|| Self {
            deletes_blank: is("delsp", "yes"),
        })
    }

    /// The text with each paragraph on one line.
    pub(in crate::mime) fn unfolded(self, text: &str) -> String {
        let mut unfolded = String::with_capacity(text.len());
        // The quotation depth of the paragraph that continues.
        let mut open = None;
        for line in text.split_inclusive('\n') {
            let content = line.trim_end_matches(['\r', '\n']);
            let end = line.get(content.len()..).unwrap_or_default();
            let quoted = content.trim_start_matches('>');
            let depth = content.len() - quoted.len();
            let stuffed = quoted.strip_prefix(' ').unwrap_or(quoted);
            let flows = stuffed.ends_with(' ') && stuffed != SIGNATURE && !end.is_empty();
            if open.is_some_and(|open| open != depth || stuffed == SIGNATURE) {
                // RFC 3676 4.5: the writer left it unfinished.
                unfolded.push_str("\r\n");
                open = None;
            }
            if open.is_none() && depth > 0 {
                unfolded.push_str(&">".repeat(depth));
                unfolded.push(' ');
            }
            let says = match flows && self.deletes_blank {
                true => stuffed.strip_suffix(' ').unwrap_or(stuffed),
                false => stuffed,
            };
            unfolded.push_str(says);
            open = flows.then_some(depth);
            if !flows {
                unfolded.push_str(end);
            }
        }
        if open.is_some() {
            unfolded.push_str("\r\n");
        }
        unfolded
    }
}

#[cfg(test)]
mod tests {
    use crate::mime::Header;
    use crate::mime::PartHeaders;

    fn unfolded(parameters: &str, text: &str) -> Option<String> {
        let header = format!("Content-Type: text/plain; {parameters}\r\n");
        let header = Header::split(header.as_bytes(), true).unwrap();
        let flowed = PartHeaders::of(&header, "text/plain", None).flowed?;
        Some(flowed.unfolded(text))
    }

    #[test]
    fn paragraphs_flow_and_what_was_protected_is_freed() {
        for (text, expected) in [
            (
                "A line that \r\nflows.\r\n From stuffed\r\n",
                "A line that flows.\r\nFrom stuffed\r\n",
            ),
            ("fixed\r\nfixed\r\n", "fixed\r\nfixed\r\n"),
            ("a \r\nb \r\nc\r\n\r\nd", "a b c\r\n\r\nd"),
            (
                ">> deep \r\n>> er\r\n> less\r\nmine\r\n",
                ">> deep er\r\n> less\r\nmine\r\n",
            ),
            ("> open \r\nmine\r\n", "> open \r\nmine\r\n"),
            (
                "text \r\n-- \r\nsignature\r\n",
                "text \r\n-- \r\nsignature\r\n",
            ),
            (" > not quoted\r\n", "> not quoted\r\n"),
            ("ends \r\n", "ends \r\n"),
            ("", ""),
        ] {
            assert_eq!(
                unfolded("format=flowed", text).as_deref(),
                Some(expected),
                "{text:?}"
            );
        }
        assert_eq!(
            unfolded("Format=Flowed; DelSp=Yes", "\u{65e5} \r\n\u{672c}\r\n").unwrap(),
            "\u{65e5}\u{672c}\r\n"
        );
        assert_eq!(unfolded("format=fixed", "a \r\nb"), None);
    }
}
