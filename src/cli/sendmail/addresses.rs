//! Recipients as people and programs write them on a command line, in a header field and
//! in /etc/aliases: a list with display names, comments and groups, in which a bare user
//! name is a recipient too.
//!
//! Postfix and Sendmail read `To: All Users` as somebody, and so does this: whoever the
//! relay does not know, it refuses. Which spellings are addresses is said by
//! [`ForwardPath`].

/// The recipients of a list (RFC 5322 3.4), as they are written, without display names
/// and comments. Nobody for an empty group (`undisclosed-recipients:;`).
pub(super) fn listed(text: &str) -> Vec<String> {
    let mut reader = Reader::default();
    reader.read(text);
    if reader.comments > 0 || reader.in_quotes {
        // What never closes must not hide the recipients behind it.
        reader = Reader {
            closes_at_commas: true,
            ..Reader::default()
        };
        reader.read(text);
    }
    reader.end_of_item();
    reader.found
}

#[derive(Default)]
struct Reader {
    found: Vec<String>,
    /// What stands in angle brackets.
    bracketed: Option<String>,
    /// What stands outside of them, without comments.
    bare: String,
    inside: Inside,
    /// How deep comments are nested.
    comments: usize,
    in_quotes: bool,
    /// The character before was a backslash.
    escaped: bool,
    in_group: bool,
    /// Comments and quoted strings end at a comma.
    closes_at_commas: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Nothing,
    Brackets,
}

impl Reader {
    fn read(&mut self, text: &str) {
        for c in text.chars() {
            if c == ',' && self.closes_at_commas {
                self.comments = 0;
                self.in_quotes = false;
                self.escaped = false;
            }
            self.next(c);
        }
    }

    fn next(&mut self, c: char) {
        let is_escaped = std::mem::take(&mut self.escaped);
        if c == '\\' && !is_escaped {
            self.escaped = true;
        }
        if is_escaped || c == '\\' {
            self.keep(c);
            return;
        }
        if self.comments > 0 {
            match c {
                '(' => self.comments += 1,
                ')' => self.comments -= 1,
                _ => {}
            }
            return;
        }
        match c {
            '"' => {
                self.in_quotes = !self.in_quotes;
                self.keep(c);
            }
            _ if self.in_quotes => self.keep(c),
            '(' => self.comments = 1,
            '<' => {
                self.inside = Inside::Brackets;
                self.bracketed = Some(String::new());
            }
            '>' => self.inside = Inside::Nothing,
            _ if self.inside == Inside::Brackets => self.keep(c),
            ',' => self.end_of_item(),
            // The name of a group; `::include:` and IPv6 literals have brackets or quotes.
            ':' if !self.bare.contains('[') => {
                self.bare.clear();
                self.in_group = true;
            }
            ';' if self.in_group => {
                self.end_of_item();
                self.in_group = false;
            }
            // Outlook's separator.
            ';' => self.end_of_item(),
            _ => self.keep(c),
        }
    }

    fn keep(&mut self, c: char) {
        if self.comments > 0 {
            return;
        }
        match (&mut self.bracketed, self.inside) {
            (Some(bracketed), Inside::Brackets) => bracketed.push(c),
            _ => self.bare.push(c),
        }
    }

    fn end_of_item(&mut self) {
        let bare = std::mem::take(&mut self.bare);
        let item = self.bracketed.take().unwrap_or(bare);
        let item = item.trim();
        if !item.is_empty() {
            self.found.push(item.to_owned());
        }
        self.inside = Inside::Nothing;
        self.in_quotes = false;
    }
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn recipients_are_found_in_lists_as_people_write_them() {
        for (text, expected) in [
            ("root", vec!["root"]),
            ("a@b.example", vec!["a@b.example"]),
            (
                "root, Ada <ada@b.example>,\r\n\tbob@c.example (Bob, of C)",
                vec!["root", "ada@b.example", "bob@c.example"],
            ),
            (
                "\"Contoso, Inc.\" <info@contoso.com>",
                vec!["info@contoso.com"],
            ),
            ("root (Cron (the) Daemon \\) here)", vec!["root"]),
            (
                "\"a b\"@c.example, \"x\\\"y\"@c.example",
                vec!["\"a b\"@c.example", "\"x\\\"y\"@c.example"],
            ),
            (
                "Friends: a@b.example, c@d.example;, e@f.example",
                vec!["a@b.example", "c@d.example", "e@f.example"],
            ),
            ("undisclosed-recipients:;", vec![]),
            (
                "a@b.example; c@d.example",
                vec!["a@b.example", "c@d.example"],
            ),
            (" , ,", vec![]),
            ("", vec![]),
            ("<>", vec![]),
            ("ups@[IPv6:2001:db8::1]", vec!["ups@[IPv6:2001:db8::1]"]),
            ("All Users", vec!["All Users"]),
            (
                "a@b.example (Ada, c@d.example",
                vec!["a@b.example", "c@d.example"],
            ),
            (
                "\"Ada <a@b.example>, c@d.example",
                vec!["\"Ada <a@b.example>", "c@d.example"],
            ),
        ] {
            assert_eq!(listed(text), expected, "{text}");
        }
    }
}
