//! The header section of a message as a program hands it over: who is to receive the
//! message, which fields must not go out, and what is missing.
//!
//! Everything else goes out as it came in: the relay corrects what Graph and receivers
//! would refuse, and adds Date and Message-ID (promise 5 of the library's documentation).

use std::collections::BTreeMap;

use super::addresses;

/// The addresses to whom the aliases of this machine lead, by the name in lower case.
pub(super) type Ends = BTreeMap<String, Vec<String>>;

/// A header section that is being read, line by line.
#[derive(Debug, Default)]
pub(super) struct Header {
    fields: Vec<Field>,
    is_after_the_first_line: bool,
}

#[derive(Debug)]
struct Field {
    /// In lower case.
    name: String,
    /// As it came in, with its line ends.
    raw: Vec<u8>,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A part of the header section.
    Header,
    /// The empty line behind it.
    End,
    /// It belongs to the text already, and no empty line came before.
    Body,
}

impl Header {
    /// Reads the next line, or a piece of one that is very long.
    pub(super) fn line(&mut self, line: &[u8]) -> Line {
        let is_first = !std::mem::replace(&mut self.is_after_the_first_line, true);
        let text = line.trim_ascii_end();
        // mbox, and `git format-patch`.
        if is_first && (text.starts_with(b"From ") || text.starts_with(b">From ")) {
            return Line::Header;
        }
        if line == b"\n" || line == b"\r\n" {
            return Line::End;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return match self.fields.last_mut() {
                Some(field) => {
                    field.raw.extend_from_slice(line);
                    Line::Header
                }
                None => Line::Body,
            };
        }
        match name_of(line) {
            Some(name) => {
                let raw = line.to_vec();
                self.fields.push(Field { name, raw });
                Line::Header
            }
            None => Line::Body,
        }
    }

    /// More of a line that was too long to be read at once.
    pub(super) fn more(&mut self, piece: &[u8]) {
        if let Some(field) = self.fields.last_mut() {
            field.raw.extend_from_slice(piece);
        }
    }

    /// The first address in From.
    pub(super) fn author(&self) -> Option<String> {
        let from = self.fields.iter().find(|it| it.name == "from")?;
        let listed = addresses::listed(&from.value());
        listed
            .into_iter()
            .find(|it| it.parse::<crate::mail::Address>().is_ok())
    }

    /// How long it is by now.
    pub(super) fn len(&self) -> usize {
        self.fields.iter().map(|field| field.raw.len()).sum()
    }

    /// Whom To, Cc and Bcc name. A message that was sent before (RFC 5322 3.6.6) goes to
    /// those whom it is sent to again.
    pub(super) fn recipients(&self) -> Vec<String> {
        let again = ["resent-to", "resent-cc", "resent-bcc"];
        let named = match self
            .fields
            .iter()
            .any(|it| again.contains(&it.name.as_str()))
        {
            true => again,
            false => ["to", "cc", "bcc"],
        };
        let fields = self
            .fields
            .iter()
            .filter(|it| named.contains(&it.name.as_str()));
        fields
            .flat_map(|it| addresses::listed(&it.value()))
            .collect()
    }

    /// The section as it goes out, with its own line ends and without the empty line behind
    /// it: without Bcc, with a From field of `author` if it has none, and with those in To and
    /// Cc to whom an alias of this machine leads.
    pub(super) fn outgoing(&self, author: &str, ends: &Ends) -> Vec<u8> {
        let mut outgoing = Vec::with_capacity(self.len());
        if !self.fields.iter().any(|it| it.name == "from") {
            outgoing.extend_from_slice(format!("From: {author}\n").as_bytes());
        }
        let blind = ["bcc", "resent-bcc"];
        for field in &self.fields {
            if let Some(written_again) = field.with_ends(ends) {
                outgoing.extend_from_slice(written_again.as_bytes());
            } else if !blind.contains(&field.name.as_str()) {
                outgoing.extend_from_slice(&field.raw);
                // The message ends within its header section.
                if !field.raw.ends_with(b"\n") {
                    outgoing.push(b'\n');
                }
            }
        }
        outgoing
    }
}

impl Field {
    /// To or Cc with the addresses of its names, as the relay writes them for its own aliases;
    /// nothing where there are no such names, or more than names and addresses.
    fn with_ends(&self, ends: &Ends) -> Option<String> {
        let name = match self.name.as_str() {
            "to" => "To",
            "cc" => "Cc",
            _ => return None,
        };
        let value = self.value();
        let is_word =
            |item: &&str| !item.contains(|c: char| c.is_whitespace() || "\"()<>:;".contains(c));
        let items = value.split(',').map(str::trim);
        let items: Vec<&str> = items.filter(|item| !item.is_empty()).collect();
        let has_ends = |item: &&str| ends.contains_key(&item.to_lowercase());
        if !items.iter().all(is_word) || !items.iter().any(has_ends) {
            return None;
        }
        let written = items.into_iter().flat_map(|item| {
            let Some(ends) = ends.get(&item.to_lowercase()) else {
                return vec![item.to_owned()];
            };
            let shown = item.split('@').next().unwrap_or(item);
            ends.iter()
                .map(|end| format!("\"{shown}\" <{end}>"))
                .collect()
        });
        let written: Vec<String> = written.collect();
        let original = value.trim();
        Some(format!(
            "{name}: {}\nX-Original-{name}: {original}\n",
            written.join(",\n ")
        ))
    }

    fn value(&self) -> String {
        let text = String::from_utf8_lossy(&self.raw);
        let value = text.split_once(':').map_or("", |(_, value)| value);
        value.replace(['\r', '\n'], "")
    }
}

/// RFC 5322 2.2; 4.5 allows blanks before the colon.
fn name_of(line: &[u8]) -> Option<String> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line.get(..colon)?.trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_name.then(|| String::from_utf8_lossy(name).to_ascii_lowercase())
}

/// An author as the From field has it: the name in quotes where it needs them.
pub(super) fn author(name: Option<&str>, address: &str) -> String {
    let name: String = name
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    let name = name.trim();
    let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~ ".contains(c);
    match name {
        "" => address.to_owned(),
        name if name.chars().all(is_atom) => format!("{name} <{address}>"),
        name => {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{quoted}\" <{address}>")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header section of a message, and how its first line behind it was read.
    fn read(text: &str) -> (Header, Option<Line>) {
        let mut header = Header::default();
        for line in text.as_bytes().split_inclusive(|byte| *byte == b'\n') {
            let line = header.line(line);
            if line != Line::Header {
                return (header, Some(line));
            }
        }
        (header, None)
    }

    fn outgoing(text: &str) -> String {
        with_ends(text, &Ends::new())
    }

    fn with_ends(text: &str, ends: &Ends) -> String {
        String::from_utf8(read(text).0.outgoing("ada@host", ends)).unwrap()
    }

    #[test]
    fn names_with_aliases_show_who_receives_the_message() {
        let two = ["it@b.example", "ops@b.example"]
            .map(str::to_owned)
            .to_vec();
        let ends = Ends::from([("root".to_owned(), two)]);
        let from = "From: a@b.example\n";
        for (text, expected) in [
            (
                "To: Root\r\n",
                "To: \"Root\" <it@b.example>,\n \"Root\" <ops@b.example>\nX-Original-To: Root\n",
            ),
            (
                "cc: c@d.example,\n root\n",
                "Cc: c@d.example,\n \"root\" <it@b.example>,\n \"root\" <ops@b.example>\n\
                 X-Original-Cc: c@d.example, root\n",
            ),
            // Not names alone, no alias, another field.
            ("To: The admin <root>\n", "To: The admin <root>\n"),
            ("To: bob, c@d.example\n", "To: bob, c@d.example\n"),
            ("Reply-To: root\n", "Reply-To: root\n"),
        ] {
            let outgoing = with_ends(&format!("{from}{text}\n"), &ends);
            assert_eq!(outgoing, format!("{from}{expected}"));
        }
    }

    #[test]
    fn recipients_are_those_of_to_cc_and_bcc() {
        let text = "From: a@b.example\nTO: root,\n\tBob <bob@c.example>\ncc : x@d.example\nBcc: y@d.example\n\n";

        let recipients = read(text).0.recipients();

        assert_eq!(
            recipients,
            ["root", "bob@c.example", "x@d.example", "y@d.example"]
        );
    }

    #[test]
    fn a_message_that_is_sent_again_goes_to_whom_it_is_sent_again() {
        let text = "To: a@b.example\nResent-To: c@d.example\nBcc: e@f.example\n\n";
        assert_eq!(read(text).0.recipients(), ["c@d.example"]);
    }

    #[test]
    fn blind_recipients_are_not_told() {
        let text = "From: a@b.example\nBcc: x@d.example,\n y@d.example\nTo: root\nResent-Bcc: z@d.example\n\n";
        assert_eq!(outgoing(text), "From: a@b.example\nTo: root\n");
    }

    #[test]
    fn an_author_is_added_where_there_is_none() {
        assert_eq!(outgoing("To: root\r\n\r\n"), "From: ada@host\nTo: root\r\n");
        assert_eq!(outgoing("FROM: x\nTo: root\n\n"), "FROM: x\nTo: root\n");
    }

    #[test]
    fn the_section_ends_where_the_text_begins() {
        for (text, end) in [
            ("To: root\n\ntext", Some(Line::End)),
            ("To: root\r\n\r\ntext", Some(Line::End)),
            ("To: root\ntext without an empty line\n", Some(Line::Body)),
            ("just a text\n", Some(Line::Body)),
            (" indented\n", Some(Line::Body)),
            ("\ntext", Some(Line::End)),
            ("To: root", None),
            ("", None),
        ] {
            assert_eq!(read(text).1, end, "{text}");
        }
        assert_eq!(outgoing("To: root"), "From: ada@host\nTo: root\n");
    }

    #[test]
    fn the_separator_of_a_mailbox_file_is_left_out() {
        let text = "From 7c1bd2a Mon Sep 17 00:00:00 2001\nFrom: a@b.example\nTo: root\n\n";
        assert_eq!(outgoing(text), "From: a@b.example\nTo: root\n");
    }

    #[test]
    fn names_of_authors_are_quoted_where_they_must_be() {
        for (name, expected) in [
            (None, "root@host"),
            (Some(" "), "root@host"),
            (Some("CronDaemon"), "CronDaemon <root@host>"),
            (Some("Cron Daemon"), "Cron Daemon <root@host>"),
            (
                Some("Contoso, \"Inc.\""),
                "\"Contoso, \\\"Inc.\\\"\" <root@host>",
            ),
            (Some("Jürgen\nBcc: x"), "\"JürgenBcc: x\" <root@host>"),
        ] {
            assert_eq!(author(name, "root@host"), expected);
        }
    }
}
