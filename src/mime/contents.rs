//! What of a message's parts is read and what is attached, where there is room
//! for one text and a list of files.
//!
//! Nothing is left out but the alternatives to the text that is chosen: HTML, if
//! there is any. Several plain texts become one; beside HTML they are files, which
//! Exchange too makes of the footers of mailing lists.
//! A message within the message is a file with its bytes as they came in.

use super::attachment::Attachment;
use super::attachment::bare_id;
use super::attachment::content_id;
use super::part::Part;
use super::references::References;

/// The one text of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// As `text/plain`.
    Plain(String),
    /// As `text/html`.
    Html(String),
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Contents<'p, 'm> {
    found: Vec<Found<'p, 'm>>,
    /// An alternative to the text was left out.
    pub(super) chose: bool,
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
    pub(super) fn of(message: &'p Part<'m>) -> Self {
        let mut contents = Self::default();
        if message.children.is_empty() && is_written(message) && !message.is_attachment() {
            // A name makes no file of a message that is nothing but its text.
            contents.write(message);
        } else {
            contents.take(message);
        }
        contents
    }

    /// The text, and the files in the message's order.
    pub(super) fn finish(self) -> (Text, Vec<Attachment>) {
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
        let text = text.unwrap_or(Text::Plain(plain));
        let shown = match &text {
            Text::Plain(_) => References::default(),
            Text::Html(html) => References::of(html),
        };
        let files = files.into_iter().enumerate();
        let files = files.map(|(at, part)| Attachment::of(part, at + 1, &shown));
        (text, files.collect())
    }

    fn take(&mut self, part: &'p Part<'m>) {
        if part.children.is_empty() {
            if is_text(part) {
                self.write(part);
            } else {
                self.found.push(Found::File(part));
            }
        } else if part.is("multipart/alternative") {
            self.choose(part);
        } else if part.is("multipart/related") {
            // RFC 2387 3.2: the first is the root, if no other is named.
            let start = part.parameter("start").map(bare_id);
            let is_start = |child: &Part<'_>| start.is_some() && content_id(child) == start;
            let root = part.children.iter().position(is_start).unwrap_or_default();
            for (at, child) in part.children.iter().enumerate() {
                if at == root {
                    self.take(child);
                } else {
                    self.attach(child);
                }
            }
        } else {
            for child in &part.children {
                self.take(child);
            }
        }
    }

    /// RFC 2046 5.1.4: the last is the best; of what can be shown here HTML is.
    fn choose(&mut self, part: &'p Part<'m>) {
        let children = &part.children;
        let html = children.iter().rposition(|it| has(it, HTML));
        let chosen = html.or_else(|| children.iter().position(|it| has(it, PLAIN)));
        for (at, child) in children.iter().enumerate() {
            if Some(at) == chosen {
                self.take(child);
            } else {
                self.leave(child);
            }
        }
    }

    /// Takes what is no text of an alternative that was not chosen.
    fn leave(&mut self, part: &'p Part<'m>) {
        if part.children.is_empty() {
            if is_text(part) {
                self.chose |= !part.text().trim().is_empty();
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

    fn write(&mut self, part: &'p Part<'m>) {
        let text = part.text();
        if !text.trim().is_empty() {
            self.found.push(Found::Text(part, text));
        }
    }
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
    is_written(part) && !part.is_attachment() && part.file_name().is_none()
}

fn has(part: &Part<'_>, media_type: &str) -> bool {
    let own = part.children.is_empty() && is_text(part) && part.is(media_type);
    own || part.children.iter().any(|child| has(child, media_type))
}

const PLAIN: &str = "text/plain";
const HTML: &str = "text/html";

#[cfg(test)]
mod tests {
    use super::*;

    /// A part of these fields and this body; fields alone have none.
    fn part(fields: &str, body: &str) -> String {
        format!("{fields}\r\n\r\n{body}")
    }

    fn multipart(kind: &str, parts: &[String]) -> String {
        // Each its own boundary.
        let boundary = format!("b{}", parts.iter().map(String::len).sum::<usize>());
        let open = format!("Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n");
        let parts = parts
            .iter()
            .map(|part| format!("--{boundary}\r\n{part}\r\n"));
        format!("{open}{}--{boundary}--\r\n", parts.collect::<String>())
    }

    fn of(message: &str) -> (Text, Vec<Attachment>, bool) {
        let part = Part::of(message.as_bytes()).unwrap();
        let contents = Contents::of(&part);
        let chose = contents.chose;
        let (text, files) = contents.finish();
        (text, files, chose)
    }

    fn names(files: &[Attachment]) -> Vec<&str> {
        files.iter().map(|file| file.name.as_str()).collect()
    }

    fn plain(text: &str) -> String {
        part("Content-Type: text/plain", text)
    }

    fn html(text: &str) -> String {
        part("Content-Type: text/html", text)
    }

    fn file(media_type: &str, name: &str) -> String {
        let fields = format!("Content-Type: {media_type}; name=\"{name}\"");
        part(&fields, "x")
    }

    #[test]
    fn html_is_chosen_and_the_alternative_left_out() {
        let related = multipart("related", &[html("<p>H"), file("image/png", "i.png")]);
        let calendar = part(
            "Content-Type: text/calendar; method=REQUEST",
            "BEGIN:VCALENDAR",
        );
        for (parts, chose, files) in [
            (vec![plain("P"), html("<p>H")], true, vec![]),
            (vec![html("<p>H"), plain("P")], true, vec![]),
            (vec![plain(" \r\n"), html("<p>H")], false, vec![]),
            (vec![plain("P"), related], true, vec!["i.png"]),
            (
                vec![plain("P"), html("<p>H"), calendar],
                true,
                vec!["attachment-1.ics"],
            ),
        ] {
            let message = multipart("alternative", &parts);
            let (text, attached, left_out) = of(&message);

            assert_eq!(text, Text::Html("<p>H".into()), "{message}");
            assert_eq!((left_out, names(&attached)), (chose, files), "{message}");
        }
    }

    #[test]
    fn nothing_of_a_mixed_message_is_left_out() {
        let alternative = multipart("alternative", &[plain("P"), html("<p>H")]);
        let plain_text = |text: &str| Text::Plain(text.to_owned());
        let html_text = Text::Html("<p>H".to_owned());
        let pdf = || file("application/pdf", "a.pdf");
        let attached = part("Content-Disposition: attachment", "log");
        for (parts, text, files) in [
            (vec![plain("1"), plain("2")], plain_text("1\r\n2"), vec![]),
            (
                vec![plain("1"), pdf(), plain("2")],
                plain_text("1\r\n2"),
                vec!["a.pdf"],
            ),
            (
                vec![plain("1"), html("<p>H")],
                html_text.clone(),
                vec!["attachment-1.txt"],
            ),
            (
                vec![html("<p>H"), html("<p>2"), plain("3")],
                html_text.clone(),
                vec!["attachment-1.html", "attachment-2.txt"],
            ),
            (
                vec![alternative, pdf(), plain("footer")],
                html_text,
                vec!["a.pdf", "attachment-2.txt"],
            ),
            (
                vec![plain("1"), attached],
                plain_text("1"),
                vec!["attachment-1.txt"],
            ),
            (
                vec![file("text/plain", "a.log")],
                plain_text(""),
                vec!["a.log"],
            ),
            (vec![pdf()], plain_text(""), vec!["a.pdf"]),
            (
                vec!["\r\nno type".to_owned()],
                plain_text("no type"),
                vec![],
            ),
        ] {
            let message = multipart("mixed", &parts);
            let (said, attached, chose) = of(&message);

            assert_eq!((said, names(&attached)), (text, files), "{message}");
            assert_eq!(chose, message.contains("alternative"));
        }
    }

    #[test]
    fn a_message_of_one_part_is_its_text_or_its_file() {
        for (message, said, files) in [
            (plain("P"), Text::Plain("P".into()), vec![]),
            (html("<p>"), Text::Html("<p>".into()), vec![]),
            (file("text/plain", "a.txt"), Text::Plain("x".into()), vec![]),
            (
                file("application/pdf", "a.pdf"),
                Text::Plain("".into()),
                vec!["a.pdf"],
            ),
            (
                part("Content-Type: multipart/mixed", "P"),
                Text::Plain("P".into()),
                vec![],
            ),
            (
                part("Content-Type: multipart/mixed; boundary=b", "P"),
                Text::Plain("P".into()),
                vec![],
            ),
            (
                part("Content-Type: text/plain", ""),
                Text::Plain("".into()),
                vec![],
            ),
        ] {
            let (text, attached, _) = of(&message);
            assert_eq!((text, names(&attached)), (said, files), "{message}");
        }
    }

    #[test]
    fn an_image_is_shown_if_the_html_refers_to_it() {
        let image = |id: &str| {
            let fields = format!(
                "Content-Type: image/png\r\nContent-ID: <{id}>\r\nContent-Disposition: inline"
            );
            part(&fields, "png")
        };
        let text = html("<img src=\"cid:a@b\"><img src=CID:c%40d><p style='x:url(cid:e%f)'>cid:");
        let parts = [text, image("a@b"), image("c@d"), image("e%f"), image("g@h")];

        let (_, files, _) = of(&multipart("related", &parts));

        let shown: Vec<_> = files
            .iter()
            .map(|it| (it.content_id.as_deref(), it.shown))
            .collect();
        let expected = [("a@b", true), ("c@d", true), ("e%f", true), ("g@h", false)];
        assert_eq!(shown, expected.map(|(id, shown)| (Some(id), shown)));
        let unseen = multipart("mixed", &[plain("cid:a@b"), image("a@b")]);
        assert!(!of(&unseen).1[0].shown, "plain text shows nothing");
    }

    #[test]
    fn the_root_of_related_parts_may_be_named() {
        let root = part("Content-Type: text/html\r\nContent-ID: <r@x>", "<p>root");
        let message = multipart("related; start=\"<r@x>\"", &[html("<p>frame"), root]);

        let (text, files, _) = of(&message);

        assert_eq!(text, Text::Html("<p>root".into()));
        assert_eq!(names(&files), ["attachment-1.html"]);
    }

    #[test]
    fn what_lies_too_deep_is_a_message_of_its_own() {
        let deep = |depth| (0..depth).fold(plain("P"), |inner, _| multipart("mixed", &[inner]));

        let (text, files, _) = of(&deep(40));

        assert_eq!(text, Text::Plain(String::new()));
        assert_eq!(names(&files), ["attachment-1.eml"]);
        let whole = String::from_utf8(files[0].content.to_vec()).unwrap();
        assert_eq!(of(&whole).0, Text::Plain("P".into()));
    }
}
