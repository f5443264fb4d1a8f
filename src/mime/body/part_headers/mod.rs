//! What the header section of a part says about its body (RFC 2045, 2183, 2231, 2392).
//! [`Header`] splits the fields, [`Parameters`] their values. This is the only reader of
//! types, encodings and file names, for every form in which a message is sent.

mod name;
#[cfg(test)]
mod tests;

pub(super) use self::name::default_name;
use self::name::file_name;
pub(super) use self::name::name_or_default;
use crate::mime::Encoding;
use crate::mime::Field;
use crate::mime::Header;
use crate::mime::header::boundary::LONGEST_BOUNDARY;
use crate::mime::header::boundary::is_boundary;
use crate::mime::header::parameters::Parameters;
use crate::mime::text::flowed::Flowed;

/// The description of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHeaders {
    /// Type and subtype, in lower case.
    pub content_type: String,
    /// The name of the file, if it has one.
    pub name: Option<String>,
    /// Content-ID, without its angle brackets.
    pub content_id: Option<String>,
    /// Its disposition.
    pub disposition: Disposition,
    /// How its body is encoded.
    pub encoding: Encoding,
    /// What delimits the parts of a multipart, as it says.
    pub(in crate::mime) boundary: Option<String>,
    /// The Content-ID of the root part of a multipart/related.
    pub(in crate::mime) start: Option<String>,
    /// Whether texts may refer to it by a Content-Location (RFC 2557), which an
    /// attachment in Graph does not have.
    pub(in crate::mime) located: bool,
    /// The charset that it names.
    pub(in crate::mime) charset: Option<String>,
    /// How the lines of its text flow, if they do.
    pub(in crate::mime) flowed: Option<Flowed>,
    /// It names a method (RFC 6047 2.4): programs act by it.
    pub(in crate::mime) method: bool,
    /// What kind of S/MIME it is (RFC 8551 3.2.2).
    pub(in crate::mime) smime_type: Option<String>,
    /// Whether a field is there twice, so that other programs may see another part here.
    pub(in crate::mime) ambiguous: bool,
}

/// Content-Disposition (RFC 2183).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// None given.
    Unsaid,
    /// To be shown with the message.
    Inline,
    /// To be saved; also every unknown value (RFC 2183 2.8).
    Attachment,
}

/// The most characters of a Content-ID.
const LONGEST_ID: usize = 255;

impl PartHeaders {
    /// Reads the fields of a part; its type is `default` if its header section names
    /// none. `charset` is that of the text before it, in which a raw name may be written.
    pub(in crate::mime) fn of(header: &Header<'_>, default: &str, charset: Option<&str>) -> Self {
        let one = |name| {
            let mut fields = header.all(name).filter(|field| !field.text().is_empty());
            let first = fields.next();
            let is_other = |field: &Field<'_>| first.is_some_and(|it| it.text() != field.text());
            (first, fields.any(is_other))
        };
        let (content_type, types) = one("Content-Type");
        let (_, encodings) = one("Content-Transfer-Encoding");
        let (disposition, dispositions) = one("Content-Disposition");
        let (content_id, ids) = one("Content-ID");
        let shown = disposition.map(Parameters::of);
        let typed = content_type.map(Parameters::of);
        let disposition = match shown.as_ref().map(|shown| shown.value.as_str()) {
            None => Disposition::Unsaid,
            Some("inline") => Disposition::Inline,
            Some(_) => Disposition::Attachment,
        };
        let boundaries = typed.as_ref().map_or(0, |typed| typed.count("boundary"));
        let text = |name: &str| typed.as_ref().and_then(|typed| typed.text(name));
        let word = |name: &str| typed.as_ref().and_then(|typed| typed.word(name));
        let own_charset = word("charset").filter(|label| !label.is_empty());
        let name = best_name(
            shown.as_ref(),
            typed.as_ref(),
            own_charset.as_deref().or(charset),
        );
        let encoding = transfer_encoding(header);
        let is_file = name.is_some()
            || disposition == Disposition::Attachment
            || matches!(encoding, Encoding::Base64 | Encoding::Uuencode);
        Self {
            content_type: type_name(typed.as_ref(), default, is_file),
            name,
            content_id: content_id.and_then(|field| id(&field.text())),
            disposition,
            encoding,
            boundary: text("boundary"),
            start: text("start").and_then(|text| id(&text)),
            located: content_id.is_none() && header.all("Content-Location").next().is_some(),
            charset: own_charset,
            flowed: Flowed::of(word),
            method: word("method").is_some(),
            smime_type: word("smime-type"),
            ambiguous: types || encodings || dispositions || ids || boundaries > 1,
        }
    }

    /// The description of a part with an invalid header section, which nothing else
    /// matches.
    pub(in crate::mime) fn unknown() -> Self {
        Self {
            content_type: "application/octet-stream".to_owned(),
            name: None,
            content_id: None,
            disposition: Disposition::Unsaid,
            encoding: Encoding::Unknown,
            boundary: None,
            start: None,
            located: false,
            charset: None,
            flowed: None,
            method: false,
            smime_type: None,
            ambiguous: true,
        }
    }

    /// Whether it consists of parts.
    pub fn is_multipart(&self) -> bool {
        self.content_type.starts_with("multipart/")
    }

    /// What stands behind the two hyphens of a delimiter, if that can be looked for:
    /// blanks at its end may get lost (RFC 2046 5.1.1).
    pub(super) fn delimits(&self) -> Option<&str> {
        let boundary = self.boundary.as_deref()?.trim_end();
        (1..=LONGEST_BOUNDARY)
            .contains(&boundary.len())
            .then_some(boundary)
    }

    /// Whether all programs look for the same delimiters.
    pub(super) fn has_sound_boundary(&self) -> bool {
        self.boundary.as_deref().is_some_and(is_boundary)
    }

    /// The type of a part in this multipart that names none (RFC 2046 5.1.5).
    pub(in crate::mime) fn default_within(&self) -> &'static str {
        match self.content_type.as_str() {
            "multipart/digest" => "message/rfc822",
            _ => "text/plain",
        }
    }

    /// Whether it is a file without a name, which must be distinguished from others.
    pub(in crate::mime) fn is_counted(&self) -> bool {
        let is_read = self.is_text() && !self.says_attachment();
        self.name.is_none() && !is_read && !self.is_multipart()
    }

    /// Whether it is marked as not to be shown (RFC 2183 2.2).
    pub(in crate::mime) fn says_attachment(&self) -> bool {
        self.disposition == Disposition::Attachment
    }

    /// Whether it is a text that programs show.
    pub(in crate::mime) fn is_text(&self) -> bool {
        matches!(self.content_type.as_str(), "text/plain" | "text/html")
    }

    /// Whether it is a message.
    pub(in crate::mime) fn is_message(&self) -> bool {
        matches!(
            self.content_type.as_str(),
            "message/rfc822" | "message/global"
        )
    }
}

/// The name in the fields; of several the first that is complete and readable.
fn best_name(
    disposition: Option<&Parameters>,
    content_type: Option<&Parameters>,
    charset: Option<&str>,
) -> Option<String> {
    let places = [
        (disposition, "filename"),
        (disposition, "name"),
        (content_type, "name"),
        (content_type, "filename"),
    ];
    let names = places
        .into_iter()
        .filter_map(|(field, name)| Some((field?, name)));
    let names = names.flat_map(|(field, name)| field.names(name, charset));
    let names = names.filter_map(|name| {
        let is_good = name.whole && !name.text.contains(char::REPLACEMENT_CHARACTER);
        Some((is_good, file_name(&name.text)?))
    });
    let names: Vec<(bool, String)> = names.collect();
    let best = names.iter().find(|(is_good, _)| *is_good);
    best.or_else(|| names.first()).map(|(_, name)| name.clone())
}

/// RFC 2045 5.2: a part without a type has the type of its position. A part with a
/// meaningless type is text, unless it is a file.
fn type_name(content_type: Option<&Parameters>, default: &str, is_file: bool) -> String {
    let Some(content_type) = content_type else {
        return default.to_owned();
    };
    let value = content_type.value.as_str();
    let is_token = |text: &str| {
        let of_token = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
        !text.is_empty() && text.len() <= 127 && text.chars().all(of_token)
    };
    match value.split_once('/') {
        Some((main, sub)) if is_token(main) && is_token(sub) => return value.to_owned(),
        Some((main, sub)) if !main.is_empty() && !sub.is_empty() => return BYTES.to_owned(),
        Some(_) | None => {}
    }
    let word = value.trim_matches('/');
    let named = match word {
        "text" | "plain" | "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "multipart" if content_type.count("boundary") > 0 => "multipart/mixed",
        "application" | "audio" | "font" | "image" | "message" | "model" | "multipart"
        | "video" | "binary" | "octet-stream" | "pdf" | "zip" => BYTES,
        _ if is_file => BYTES,
        _ => "text/plain",
    };
    named.to_owned()
}

/// The type of unknown bytes.
const BYTES: &str = "application/octet-stream";

/// Several contradictory fields name no encoding.
fn transfer_encoding(header: &Header<'_>) -> Encoding {
    let fields = header.all("Content-Transfer-Encoding");
    let texts = fields.map(Field::text).filter(|text| !text.is_empty());
    let mut encodings = texts.map(|text| Encoding::named(&text));
    let first = encodings.next().unwrap_or(Encoding::Identity);
    match encodings.all(|other| other == first) {
        true => first,
        false => Encoding::Unknown,
    }
}

/// RFC 2392 2: the text between the brackets.
pub(in crate::mime) fn id(text: &str) -> Option<String> {
    let id = text.trim().trim_start_matches('<').trim_end_matches('>');
    let is_sound = !id.is_empty() && id.len() <= LONGEST_ID;
    // Some have blanks or are not ASCII, and texts refer to them all the same.
    (is_sound && !id.chars().any(char::is_control)).then(|| id.to_owned())
}
