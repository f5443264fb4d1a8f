//! What the header section of a part says about its body (RFC 2045, 2183, 2231,
//! 2392): the fields are taken apart by [`Header`], their values by mail-parser.

use mail_parser::ContentType;
use mail_parser::parsers::MessageStream;

use super::Encoding;
use super::Field;
use super::Header;
use super::grammar::apart;

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Type and subtype, in lower case.
    pub content_type: String,
    /// The name of the file, if it has one.
    pub name: Option<String>,
    /// Content-ID, without its angle brackets.
    pub content_id: Option<String>,
    /// How it wants to be shown.
    pub disposition: Disposition,
    /// How its body is written.
    pub encoding: Encoding,
    /// What delimits the parts of a multipart, if it can be relied on.
    pub(super) boundary: Option<String>,
    /// The Content-ID of the part of a multipart/related that the others belong to.
    pub(super) start: Option<String>,
    /// Texts may refer to it by a Content-Location (RFC 2557), which an attachment
    /// of Graph's does not have.
    pub(super) located: bool,
    /// A field is there twice: others may see another part here.
    pub(super) ambiguous: bool,
}

/// Content-Disposition (RFC 2183).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Not said.
    Unsaid,
    /// To be shown with the message.
    Inline,
    /// To be saved; also what no program knows (RFC 2183 2.8).
    Attachment,
}

/// The longest boundary that is looked for. RFC 2046 5.1.1 allows 70 octets.
pub(super) const LONGEST_BOUNDARY: usize = 200;

/// The most characters of a name or a Content-ID. Of a longer name the end stays,
/// with what kind of file it is.
const LONGEST_NAME: usize = 255;

impl Media {
    /// Reads the fields of a part whose header section says nothing of its type if
    /// it is `default`.
    pub(super) fn of(header: &Header<'_>, default: &str) -> Self {
        let one = |name| {
            let mut fields = header.all(name).filter(|field| !field.text().is_empty());
            let first = fields.next();
            let is_other = |field: &Field<'_>| first.is_some_and(|it| it.text() != field.text());
            (first, fields.any(is_other))
        };
        let (content_type, types) = one("Content-Type");
        let (encoding, encodings) = one("Content-Transfer-Encoding");
        let (disposition, dispositions) = one("Content-Disposition");
        let (content_id, ids) = one("Content-ID");
        let shown = disposition.map(parameters);
        let disposition = match shown.as_ref().map(|value| value.as_ref()) {
            None => Disposition::Unsaid,
            Some(None) => Disposition::Attachment,
            Some(Some(value)) if value.is_inline() => Disposition::Inline,
            Some(Some(_)) => Disposition::Attachment,
        };
        let typed = content_type.and_then(parameters);
        let named = disposition_name(shown.flatten().as_ref())
            .or_else(|| parameter(typed.as_ref(), "name"));
        let boundaries = typed.as_ref().map_or(0, |typed| {
            let all = typed.attributes().unwrap_or_default();
            all.iter().filter(|one| one.name == "boundary").count()
        });
        Self {
            content_type: type_name(content_type, typed.as_ref(), default),
            name: named.as_deref().and_then(file_name),
            content_id: content_id.and_then(|field| id(&field.text())),
            disposition,
            encoding: match encoding {
                Some(_) if encodings => Encoding::Unknown,
                Some(field) => transfer_encoding(field),
                None => Encoding::Identity,
            },
            boundary: parameter(typed.as_ref(), "boundary").filter(|text| is_boundary(text)),
            start: parameter(typed.as_ref(), "start").and_then(|text| id(&text)),
            located: content_id.is_none() && header.all("Content-Location").next().is_some(),
            ambiguous: types || encodings || dispositions || ids || boundaries > 1,
        }
    }

    /// What no other can be mistaken for: a part whose header section is unsound.
    pub(super) fn unknown() -> Self {
        Self {
            content_type: "application/octet-stream".to_owned(),
            name: None,
            content_id: None,
            disposition: Disposition::Unsaid,
            encoding: Encoding::Unknown,
            boundary: None,
            start: None,
            located: false,
            ambiguous: true,
        }
    }

    /// Whether it consists of parts.
    pub fn is_multipart(&self) -> bool {
        self.content_type.starts_with("multipart/")
    }

    /// Whether it is a text that programs show.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.content_type.as_str(), "text/plain" | "text/html")
    }

    /// Whether it is a message.
    pub(super) fn is_message(&self) -> bool {
        matches!(
            self.content_type.as_str(),
            "message/rfc822" | "message/global"
        )
    }
}

/// A field's value with its parameters; `None` if it has no value.
///
/// mail-parser puts continuations (RFC 2231 3) together with a name that stands
/// beside them, and reads each of them in a character set of its own. So they are
/// hidden from it, put together here, and given to it as one.
fn parameters(field: &Field<'_>) -> Option<ContentType<'static>> {
    let text = joined_words(&field.text());
    let mut value = content_type(&hidden(&text))?;
    for name in ["filename", "name"] {
        if let Some(extended) = extended(&value, name)
            && let Some(attributes) = &mut value.attributes
        {
            // RFC 6266 4.3: it is there for those who understand it.
            attributes.retain(|one| one.name != name);
            attributes.push(mail_parser::Attribute {
                name: name.into(),
                value: extended.into(),
            });
        }
    }
    Some(value)
}

fn content_type(text: &str) -> Option<ContentType<'static>> {
    let line = format!("{text}\r\n");
    let value = MessageStream::new(line.as_bytes()).parse_content_type();
    value.into_owned().into_content_type()
}

/// Without the blanks between encoded words, which don't count (RFC 2047 6.2).
fn joined_words(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for piece in text.split_inclusive("?=") {
        let word = piece.trim_start_matches([' ', '\t']);
        let continues = word.starts_with("=?") && joined.ends_with("?=");
        joined.push_str(if continues { word } else { piece });
    }
    joined
}

/// With `name*0*=` as `name-0-=`.
fn hidden(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut hidden = text.to_owned();
    for (at, found) in lower.match_indices("name*") {
        let star = at + found.len() - 1;
        let rest = lower.get(star..).unwrap_or_default();
        let length = rest.find(|c: char| c != '*' && !c.is_ascii_digit());
        let end = star + length.unwrap_or(rest.len());
        let behind = lower.get(end..).unwrap_or_default();
        if behind.trim_start_matches(' ').starts_with('=')
            && let Some(stars) = text.get(star..end)
        {
            hidden.replace_range(star..end, &stars.replace('*', "-"));
        }
    }
    hidden
}

/// `name*` or `name*0*`, `name*1` and so on, put together and decoded.
fn extended(value: &ContentType<'_>, name: &str) -> Option<String> {
    let raw = |name: String| value.attribute(&name).map(str::to_owned);
    let mut all = raw(format!("{name}-"));
    let mut encoded = all.is_some();
    if all.is_none() {
        for at in 0..MOST_CONTINUATIONS {
            let piece = match raw(format!("{name}-{at}-")) {
                Some(piece) => {
                    encoded = true;
                    piece
                }
                None => match raw(format!("{name}-{at}")) {
                    Some(piece) => piece.replace('%', "%25"),
                    None => break,
                },
            };
            let all = all.get_or_insert_default();
            all.push_str(&piece);
            if all.len() > LONGEST_ENCODED {
                return None;
            }
        }
    }
    let all = all?;
    if !encoded {
        return Some(all.replace("%25", "%"));
    }
    let escape = |c: char| match c {
        c if c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c) => c.to_string(),
        c => {
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).bytes();
            bytes.map(|byte| format!("%{byte:02X}")).collect()
        }
    };
    let escaped: String = all.chars().map(escape).collect();
    let whole = content_type(&format!("x; {name}*={escaped}"))?;
    parameter(Some(&whole), name)
}

/// RFC 2231 3 has no limit; a name has.
const MOST_CONTINUATIONS: usize = 200;

/// A name of this many octets is none.
const LONGEST_ENCODED: usize = 4096;

fn disposition_name(value: Option<&ContentType<'_>>) -> Option<String> {
    parameter(value, "filename").or_else(|| parameter(value, "name"))
}

fn parameter(value: Option<&ContentType<'_>>, name: &str) -> Option<String> {
    value?.attribute(name).map(str::to_owned)
}

/// RFC 2045 5.2: a part that does not say what it is has the type that its place
/// gives it; one that says nothing sensible is bytes.
fn type_name(field: Option<&Field<'_>>, value: Option<&ContentType<'_>>, default: &str) -> String {
    if field.is_none() {
        return default.to_owned();
    }
    let name = value.and_then(|value| Some((value.ctype(), value.subtype()?)));
    let is_token = |text: &str| {
        let of_token = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
        !text.is_empty() && text.len() <= 127 && text.chars().all(of_token)
    };
    match name {
        Some((main, sub)) if is_token(main) && is_token(sub) => {
            format!("{main}/{sub}").to_ascii_lowercase()
        }
        Some(_) | None => "application/octet-stream".to_owned(),
    }
}

fn transfer_encoding(field: &Field<'_>) -> Encoding {
    let text = field.text();
    let (outside, _) = apart(&text).unwrap_or_default();
    match outside.trim().to_ascii_lowercase().as_str() {
        "7bit" | "8bit" | "binary" => Encoding::Identity,
        "base64" => Encoding::Base64,
        "quoted-printable" => Encoding::QuotedPrintable,
        _ => Encoding::Unknown,
    }
}

/// RFC 2046 5.1.1, without what programs don't agree about.
fn is_boundary(text: &str) -> bool {
    let of_boundary = |c: char| c == ' ' || c.is_ascii_graphic();
    (1..=LONGEST_BOUNDARY).contains(&text.len())
        && text.chars().all(of_boundary)
        && text.trim() == text
}

/// RFC 2392 2: what stands between the brackets.
pub(super) fn id(text: &str) -> Option<String> {
    let id = text.trim().trim_start_matches('<').trim_end_matches('>');
    let is_sound = !id.is_empty() && id.len() <= LONGEST_NAME;
    // Some have blanks or are not ASCII, and texts refer to them all the same.
    (is_sound && !id.chars().any(char::is_control)).then(|| id.to_owned())
}

/// A name without what no name has; `None` if nothing is left.
fn file_name(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let name = name.trim();
    let surplus = name.chars().count().saturating_sub(LONGEST_NAME);
    let name: String = name.chars().skip(surplus).collect();
    (!name.is_empty()).then_some(name)
}

/// The name of a part as a file: its own, or one that says what it is.
pub(super) fn name_or_default(media: &Media) -> String {
    let is_mail = |name: &str| {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        extension.is_some_and(|it| it.eq_ignore_ascii_case("eml"))
    };
    match &media.name {
        // By anything else no program knows it for a message.
        Some(name) if media.is_message() && !is_mail(name) => format!("{name}.eml"),
        Some(name) => name.clone(),
        None => {
            let known = NAMES.iter().find(|(of, _)| *of == media.content_type);
            known.map_or("attachment.bin", |(_, name)| *name).to_owned()
        }
    }
}

const NAMES: [(&str, &str); 27] = [
    ("application/gzip", "attachment.gz"),
    ("application/json", "attachment.json"),
    ("application/ms-tnef", "winmail.dat"),
    ("application/msword", "attachment.doc"),
    ("application/pdf", "attachment.pdf"),
    ("application/pkcs7-mime", "smime.p7m"),
    ("application/rtf", "attachment.rtf"),
    ("application/vnd.ms-excel", "attachment.xls"),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "attachment.pptx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "attachment.xlsx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "attachment.docx",
    ),
    ("application/xml", "attachment.xml"),
    ("application/zip", "attachment.zip"),
    ("audio/mpeg", "attachment.mp3"),
    ("audio/wav", "attachment.wav"),
    ("image/bmp", "image.bmp"),
    ("image/gif", "image.gif"),
    ("image/jpeg", "image.jpg"),
    ("image/png", "image.png"),
    ("image/tiff", "image.tiff"),
    ("message/global", "message.eml"),
    ("message/rfc822", "message.eml"),
    ("text/calendar", "invitation.ics"),
    ("text/csv", "attachment.csv"),
    ("text/html", "attachment.html"),
    ("text/plain", "attachment.txt"),
    ("video/mp4", "attachment.mp4"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn media(fields: &[u8]) -> Media {
        let header = Header::split(fields, true).unwrap();
        Media::of(&header, "text/plain")
    }

    #[test]
    fn names_are_read_in_every_form_in_use() {
        for (fields, name) in [
            (&b"Content-Disposition: attachment; filename=a.pdf\r\n"[..], Some("a.pdf")),
            (b"Content-Disposition: attachment; filename=\"a b.pdf\"; size=3\r\n", Some("a b.pdf")),
            (b"Content-Disposition: attachment;\r\n\tfilename=\"a;b.pdf\"\r\n", Some("a;b.pdf")),
            (b"Content-Disposition: ATTACHMENT; FILENAME=A b.pdf\r\n", Some("A b.pdf")),
            (b"Content-Disposition: attachment; filename=\"a\\\"b.pdf\"\r\n", Some("a\"b.pdf")),
            (b"Content-Type: application/pdf; name=a.pdf\r\n", Some("a.pdf")),
            (b"Content-Type: application/pdf; name=t\r\nContent-Disposition: inline; filename=d\r\n", Some("d")),
            // RFC 2231: one, split, split within a character, beside a fallback.
            (b"Content-Disposition: attachment; filename*=UTF-8''B%C3%BCro%20%281%29.pdf\r\n", Some("B\u{fc}ro (1).pdf")),
            (b"Content-Disposition: attachment; filename*=iso-8859-1'de'B%FCro.pdf\r\n", Some("B\u{fc}ro.pdf")),
            (b"Content-Disposition: attachment;\r\n filename*0=\"Annual Report \";\r\n filename*1=\"2026 100%.pdf\"\r\n", Some("Annual Report 2026 100%.pdf")),
            (b"Content-Disposition: attachment;\r\n filename*0*=utf-8''B%C3;\r\n filename*1*=%BCro;\r\n filename*2=\" 5%.pdf\"\r\n", Some("B\u{fc}ro 5%.pdf")),
            (b"Content-Disposition: attachment;\r\n filename*0*=iso-8859-1''B%FC;\r\n filename*1*=ro%DF.pdf\r\n", Some("B\u{fc}ro\u{df}.pdf")),
            (b"Content-Disposition: attachment; filename=\"B_ro.pdf\";\r\n filename*=utf-8''B%C3%BCro.pdf\r\n", Some("B\u{fc}ro.pdf")),
            (b"Content-Disposition: attachment; filename=\"B.pdf\";\r\n filename*0*=utf-8''B%C3%BC;\r\n filename*1*=ro.pdf\r\n", Some("B\u{fc}ro.pdf")),
            (b"Content-Type: application/pdf; name*1=b.pdf; name*0=a\r\n", Some("ab.pdf")),
            // RFC 2047 where it is not allowed and everybody has it.
            (b"Content-Type: application/pdf; name=\"=?utf-8?B?QsO8cm8ucGRm?=\"\r\n", Some("B\u{fc}ro.pdf")),
            (b"Content-Type: application/pdf;\r\n name=\"=?iso-8859-1?Q?B=FCro_?=\r\n =?utf-8?q?2.pdf?=\"\r\n", Some("B\u{fc}ro 2.pdf")),
            (b"Content-Type: application/pdf; name==?utf-8?B?QsO8cm8ucGRm?=\r\n", Some("B\u{fc}ro.pdf")),
            // Raw.
            (b"Content-Disposition: attachment; filename=\"B\xfcro.pdf\"\r\n", Some("B\u{fc}ro.pdf")),
            (b"Content-Disposition: attachment; filename=\"B\xc3\xbcro.pdf\"\r\n", Some("B\u{fc}ro.pdf")),
            // None.
            (b"Content-Disposition: attachment\r\n", None),
            (b"Content-Disposition: attachment; filename=\"\"\r\n", None),
            (b"Content-Disposition: attachment; filename=\" \x01\"\r\n", None),
            (b"Content-Disposition: attachment; filename*=\r\n", None),
            (b"Content-Disposition: attachment; filename*1=x\r\n", None),
        ] {
            let shown = fields.escape_ascii();
            assert_eq!(media(fields).name.as_deref(), name, "{shown}");
        }
    }

    #[test]
    fn of_an_endless_name_the_end_stays() {
        let fields = format!("Content-Type: a/b; name={}.pdf\r\n", "x".repeat(900));

        let name = media(fields.as_bytes()).name.unwrap();

        assert_eq!(name.len(), LONGEST_NAME);
        assert!(name.ends_with("x.pdf"));
    }

    #[test]
    fn types_encodings_and_dispositions_are_read() {
        let read = |fields: &str| {
            let media = media(fields.as_bytes());
            (media.content_type, media.encoding, media.disposition)
        };
        let plain = "text/plain".to_owned();
        let bytes = "application/octet-stream".to_owned();
        use Disposition as D;
        use Encoding as E;
        for (fields, expected) in [
            ("\r\n", (plain.clone(), E::Identity, D::Unsaid)),
            ("Content-Type:\r\n", (plain, E::Identity, D::Unsaid)),
            (
                "Content-Type: TEXT/Html (x); a=b\r\n",
                ("text/html".to_owned(), E::Identity, D::Unsaid),
            ),
            (
                "Content-Type: pdf\r\n",
                (bytes.clone(), E::Identity, D::Unsaid),
            ),
            (
                "Content-Type: a/b/c\r\nContent-Transfer-Encoding: BASE64\r\n",
                (bytes.clone(), E::Base64, D::Unsaid),
            ),
            (
                "Content-Type: ;\r\nContent-Transfer-Encoding: Quoted-Printable (x)\r\n",
                (bytes.clone(), E::QuotedPrintable, D::Unsaid),
            ),
            (
                "Content-Type: /\r\nContent-Transfer-Encoding: x-uuencode\r\nContent-Disposition: inline\r\n",
                (bytes.clone(), E::Unknown, D::Inline),
            ),
            (
                "Content-Type: ;;\r\nContent-Disposition: form-data; name=x\r\n",
                (bytes, E::Identity, D::Attachment),
            ),
        ] {
            assert_eq!(read(fields), expected, "{fields}");
        }
    }

    #[test]
    fn only_a_boundary_that_all_understand_is_one() {
        for (value, boundary) in [
            ("b", Some("b")),
            ("\"----=_Part_1.2\"", Some("----=_Part_1.2")),
            ("----=_Part_1", Some("----=_Part_1")),
            ("\"a b'()+_,-./:=?\"", Some("a b'()+_,-./:=?")),
            ("\"\"", None),
            ("\"b \"", None),
            ("b\u{fc}", None),
            (&"b".repeat(201), None),
        ] {
            let fields = format!("Content-Type: multipart/mixed; boundary={value}\r\n");
            assert_eq!(
                media(fields.as_bytes()).boundary.as_deref(),
                boundary,
                "{value}"
            );
        }
    }

    #[test]
    fn what_is_said_twice_is_ambiguous() {
        assert!(!media(b"Content-Type: a/b\r\nContent-Type:\r\n").ambiguous);
        assert!(!media(b"Content-Type: a/b\r\nContent-type: a/b\r\n").ambiguous);
        assert!(media(b"Content-Type: a/b\r\nContent-type: a/c\r\n").ambiguous);
        assert!(media(b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n").ambiguous);
        assert!(media(b"Content-ID: <a>\r\nContent-ID: <b>\r\n").ambiguous);
    }

    #[test]
    fn an_id_has_no_brackets() {
        for (value, expected) in [
            ("<a@b>", Some("a@b")),
            ("a@b", Some("a@b")),
            ("<>", None),
            ("<a b>", Some("a b")),
            ("<a\tb>", None),
        ] {
            assert_eq!(id(value).as_deref(), expected, "{value}");
        }
    }
}
