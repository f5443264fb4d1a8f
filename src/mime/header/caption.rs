//! How people recognise a message: its outgoing Message-ID and Subject. Of several fields
//! the one that `quirks.rs` chooses counts.

use super::quirks::is_message_id;
use super::quirks::message_id;
use crate::mime::Field;
use crate::mime::Header;
use crate::mime::text::decoded;

/// The outgoing Message-ID: the message's own, or `ours` if none counts. None if its own
/// is too long for a line.
pub fn outgoing_message_id(header: &Header<'_>, ours: impl FnOnce() -> String) -> Option<String> {
    let own = message_id(header);
    let has_one = || {
        let mut fields = header.all("Message-ID");
        fields.any(|field| is_message_id(&field.text()))
    };
    if own.is_some() || has_one() {
        return own;
    }
    Some(ours())
}

/// The Subject as a person reads it, on one line, cut to `longest` characters; empty if
/// there is none.
pub fn subject(header: &Header<'_>, longest: usize) -> String {
    let mut texts = header.all("Subject").map(Field::said);
    let text = texts.find(|text| !text.is_empty());
    decoded(&text.unwrap_or_default(), longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Header<'_> {
        Header::split(text.as_bytes(), true).unwrap()
    }

    #[test]
    fn a_message_goes_out_with_its_own_id_or_with_ours() {
        let long = format!("Message-ID: <{}@b>\r\n", "x".repeat(1000));
        for (fields, expected) in [
            ("", Some("<ours@relay>")),
            ("Message-ID: <1@app>\r\n", Some("<1@app>")),
            ("message-id: (x) <1@app> (y)\r\n", Some("<1@app>")),
            ("Message-ID: 4711\r\n", Some("<ours@relay>")),
            (
                "Message-ID: 4711\r\nMessage-ID: <2@app>\r\n",
                Some("<2@app>"),
            ),
            (long.as_str(), None),
        ] {
            let found = outgoing_message_id(&header(fields), || "<ours@relay>".to_owned());
            assert_eq!(found.as_deref(), expected, "{fields}");
        }
    }

    #[test]
    fn a_subject_is_decoded_and_cut() {
        for (fields, expected) in [
            ("", ""),
            ("Subject:\r\nSubject: second\r\n", "second"),
            (
                "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n aus Z=\r\n",
                "Grüße aus ...",
            ),
            ("Subject: a\u{7}b\r\n", "a b"),
        ] {
            assert_eq!(subject(&header(fields), 10), expected, "{fields}");
        }
    }
}
