//! What is odd about a header section: the only place that decides which of its fields
//! count, and that names each oddity in the log.
//!
//! RFC 5322 3.6 and RFC 2045 allow some fields only once that old applications send
//! twice, and receivers refuse or misread malformed fields. Of several fields the first
//! usable one counts. The relay writes its own Date, From and Message-ID if none is
//! usable; for other fields the first one counts then.

use std::collections::BTreeSet;
use std::fmt;

use super::acting;
use super::author::usable;
use super::date::is_date;
use super::date::with_the_full_year;
use super::date::with_the_zone_as_a_number;
use super::reserved::is_reserved;
use crate::mime::Author;
use crate::mime::Field;
use crate::mime::Header;

/// An oddity of a header section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// No Date.
    NoDate,
    /// A Date that cannot be read.
    BadDate,
    /// A Date whose year is counted from 1900.
    ThreeDigitYear,
    /// A Date whose zone is one letter.
    LetterZone,
    /// No Message-ID.
    NoMessageId,
    /// A Message-ID that receivers refuse.
    BadMessageId,
    /// No From.
    NoFrom,
    /// A From without an author that a mailbox can have.
    UnusableFrom,
    /// A From that names other authors too.
    SeveralAuthors,
    /// A From, Sender, Reply-To, To or Cc with a malformed name, for example a comma
    /// without quotes.
    OddAddressField,
    /// A Sender, Resent-From or Resent-Sender that does not clearly name a mailbox.
    UnusableSender,
    /// A field that only Exchange's transport may write.
    ReservedField,
    /// Neither To nor Cc.
    NoTo,
    /// A To or Cc without an address: empty, or only words.
    UnusableTo,
    /// A second field of a kind that may appear once.
    DuplicateField,
    /// Bytes that are neither ASCII nor UTF-8.
    EightBitHeader,
    /// An mbox `From ` line at the top.
    MboxLine,
    /// A line that is not a field ended the header section.
    HeaderCutShort,
    /// A byte order mark or an empty line at the top.
    UncleanTop,
    /// A line that is not a field, among the fields.
    StrayLine,
}

impl Quirk {
    /// Its name in the log, which never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoDate => "no-date",
            Self::BadDate => "bad-date",
            Self::ThreeDigitYear => "three-digit-year",
            Self::LetterZone => "letter-zone",
            Self::NoMessageId => "no-message-id",
            Self::BadMessageId => "bad-message-id",
            Self::NoFrom => "no-from",
            Self::UnusableFrom => "unusable-from",
            Self::SeveralAuthors => "several-authors",
            Self::OddAddressField => "odd-address-field",
            Self::UnusableSender => "unusable-sender",
            Self::ReservedField => "reserved-field",
            Self::NoTo => "no-to",
            Self::UnusableTo => "unusable-to",
            Self::DuplicateField => "duplicate-field",
            Self::EightBitHeader => "8-bit-header",
            Self::MboxLine => "mbox-line",
            Self::HeaderCutShort => "header-cut-short",
            Self::UncleanTop => "unclean-top",
            Self::StrayLine => "stray-line",
        }
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The result of examining a header section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Each oddity once, in the order of the enum.
    pub quirks: BTreeSet<Quirk>,
    /// The positions of fields that do not count: unusable, repeated, or reserved.
    pub aside: BTreeSet<usize>,
    /// Who wrote the message.
    pub author: Author,
    /// The Date with its full year and its zone as a number, if it came in differently.
    pub date: Option<String>,
}

impl Findings {
    /// Examines a header section.
    pub fn of(header: &Header<'_>) -> Self {
        let mut found = Self {
            quirks: BTreeSet::new(),
            aside: BTreeSet::new(),
            author: Author::of(header),
            date: None,
        };
        for single in &SINGLES {
            found.choose(header, single);
        }
        found.complete_date(header);
        if let Author::Among(at, _) = &found.author {
            found.aside.insert(*at);
            found.quirks.insert(Quirk::SeveralAuthors);
        }
        for (at, field) in header.fields.iter().enumerate() {
            if is_reserved(field.name) {
                found.aside.insert(at);
                found.quirks.insert(Quirk::ReservedField);
            } else if acting::is_unsure(field) {
                found.aside.insert(at);
                found.quirks.insert(Quirk::UnusableSender);
            }
        }
        // Every one of these fields counts (`delivery/attempt/recipients.rs`).
        let recipients = ["To", "Cc", "Bcc"];
        let twice = recipients.iter().any(|name| header.all(name).count() > 1);
        let mut shown = header.all("To").chain(header.all("Cc"));
        let is_odd = |field: &Field<'_>| has_names(field) && is_odd(field);
        let odd = header.fields.iter().any(is_odd);
        let eight_bit = header.fields.iter().any(|field| !field.is_utf8());
        let more = [
            (odd, Quirk::OddAddressField),
            (twice, Quirk::DuplicateField),
            (!header.is_addressed(), Quirk::NoTo),
            (shown.any(names_nobody), Quirk::UnusableTo),
            (eight_bit, Quirk::EightBitHeader),
            (header.mbox_line, Quirk::MboxLine),
            (header.cut_short, Quirk::HeaderCutShort),
            (header.unclean_top, Quirk::UncleanTop),
            (header.stray_lines, Quirk::StrayLine),
        ];
        let more = more.into_iter().filter(|(is, _)| *is);
        found.quirks.extend(more.map(|(_, quirk)| quirk));
        found
    }

    /// Rewrites the counting Date if its year has three digits or its zone is one letter.
    fn complete_date(&mut self, header: &Header<'_>) {
        let fields = header.fields.iter().enumerate();
        let mut dates = fields.filter(|(at, field)| field.is("Date") && !self.aside.contains(at));
        if let Some((at, field)) = dates.next() {
            let text = field.text();
            let year = with_the_full_year(&text);
            let zone = with_the_zone_as_a_number(year.as_deref().unwrap_or(&text));
            self.quirks
                .extend(year.is_some().then_some(Quirk::ThreeDigitYear));
            self.quirks
                .extend(zone.is_some().then_some(Quirk::LetterZone));
            self.date = zone.or(year);
            self.aside.extend(self.date.is_some().then_some(at));
        }
    }

    /// Whether one of these oddities was found.
    pub fn has(&self, quirks: &[Quirk]) -> bool {
        quirks.iter().any(|quirk| self.quirks.contains(quirk))
    }

    /// Chooses the field that counts.
    fn choose(&mut self, header: &Header<'_>, single: &Single) {
        let fields = header.fields.iter().enumerate();
        let fields: Vec<_> = fields.filter(|(_, field)| field.is(single.name)).collect();
        let mut usable = fields.iter().filter(|(_, field)| (single.usable)(field));
        let mut counts = usable.next();
        match single.ours {
            Some((none, _)) if fields.is_empty() => {
                self.quirks.insert(none);
            }
            Some((_, bad)) if counts.is_none() => {
                self.quirks.insert(bad);
            }
            Some(_) => {}
            None => counts = counts.or_else(|| fields.first()),
        }
        if fields.len() > 1 {
            self.quirks.insert(Quirk::DuplicateField);
        }
        let counts = counts.map(|(at, _)| *at);
        let others = fields.iter().map(|(at, _)| *at);
        self.aside.extend(others.filter(|at| Some(*at) != counts));
    }
}

/// A field that may appear once.
struct Single {
    name: &'static str,
    /// Whether a field with this name is usable.
    usable: fn(&Field<'_>) -> bool,
    /// Whether the relay writes its own if there is no usable one.
    ours: Option<(Quirk, Quirk)>,
}

/// RFC 5322 3.6; RFC 2045 3. `delivery/attempt/recipients.rs` handles To, Cc and Bcc.
const SINGLES: [Single; 11] = [
    Single {
        name: "Date",
        usable: |field| is_date(&field.text()),
        ours: Some((Quirk::NoDate, Quirk::BadDate)),
    },
    Single {
        name: "Message-ID",
        usable: |field| is_message_id(&field.text()),
        ours: Some((Quirk::NoMessageId, Quirk::BadMessageId)),
    },
    Single {
        name: "From",
        usable: |field| usable(field).is_some(),
        ours: Some((Quirk::NoFrom, Quirk::UnusableFrom)),
    },
    Single::with("Sender", acting::is_sure),
    Single::with("Reply-To", |field| usable(field).is_some()),
    Single::with("In-Reply-To", is_filled),
    Single::with("References", is_filled),
    Single::with("Subject", is_filled),
    Single::with("MIME-Version", is_filled),
    Single::with("Content-Type", is_filled),
    Single::with("Content-Transfer-Encoding", is_filled),
];

impl Single {
    const fn with(name: &'static str, usable: fn(&Field<'_>) -> bool) -> Self {
        Self {
            name,
            usable,
            ours: None,
        }
    }
}

fn is_filled(field: &Field<'_>) -> bool {
    !field.text().is_empty()
}

/// The Message-ID of a header section that counts, with its angle brackets.
pub(in crate::mime) fn message_id(header: &Header<'_>) -> Option<String> {
    let texts = header.all("Message-ID").map(Field::text);
    let text = texts.into_iter().find(|text| is_message_id(text))?;
    let id = text.split_once('<')?.1.split_once('>')?.0;
    // A line has 998 octets (RFC 5322 2.1.1).
    (id.len() <= 900).then(|| format!("<{id}>"))
}

/// `<left@right>` with nothing around it except comments (RFC 5322 3.6.4). Receivers
/// refuse ids without angle brackets, with blanks, and with a colon outside an address
/// literal; ids that are only unusual stay.
pub fn is_message_id(text: &str) -> bool {
    let is_comment = |text: &str| text.is_empty() || (text.starts_with('(') && text.ends_with(')'));
    let parts = || {
        let (before, rest) = text.split_once('<')?;
        let (id, behind) = rest.split_once('>')?;
        let (left, right) = id.rsplit_once('@')?;
        Some((before.trim(), left, right, behind.trim()))
    };
    let Some((before, left, right, behind)) = parts() else {
        return false;
    };
    let is_literal = right.starts_with('[') && right.ends_with(']');
    let is_sound =
        |half: &str| !half.is_empty() && half.chars().all(|c| c.is_ascii_graphic() && c != '<');
    is_comment(before)
        && is_comment(behind)
        && is_sound(left)
        && is_sound(right)
        && !left.contains(':')
        && (is_literal || !right.contains(':'))
}

/// Whether a To or Cc has no address, and is not the empty group that means this.
fn names_nobody(field: &Field<'_>) -> bool {
    let list = field.list();
    let is_empty_group = list.items.is_empty() && list.plain;
    !is_empty_group && !list.items.iter().any(|item| item.address.is_some())
}

fn has_names(field: &Field<'_>) -> bool {
    let names = ["From", "Sender", "Reply-To", "To", "Cc"];
    names.iter().any(|name| field.is(name))
}

/// Whether it contains addresses in a malformed list.
fn is_odd(field: &Field<'_>) -> bool {
    let list = field.list();
    let mut items = list.items.iter();
    !list.is_by_the_book() && items.any(|item| item.address.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the oddities, and of the fields that do not count.
    fn judged(head: &str) -> (Vec<&'static str>, Vec<String>) {
        let header = Header::split(head.as_bytes(), true).unwrap();
        let found = Findings::of(&header);
        let aside = found.aside.iter().map(|at| {
            let value = header.fields[*at].text();
            format!("{}: {value}", header.fields[*at].name)
        });
        (
            found.quirks.iter().map(|quirk| quirk.name()).collect(),
            aside.collect(),
        )
    }

    fn quirks(head: &str) -> Vec<&'static str> {
        judged(head).0
    }

    const SOUND: &str = "From: a@b.c\r\nTo: d@e.f\r\nDate: 1 Nov 2026 19:00 GMT\r\n\
                         Message-ID: <1@app>\r\n";

    #[test]
    fn each_oddity_has_its_name() {
        assert_eq!(quirks(SOUND), [""; 0]);
        assert_eq!(
            quirks("\r\n"),
            ["no-date", "no-message-id", "no-from", "no-to"]
        );
        for (fields, expected) in [
            ("Date: now\r\n", &["bad-date"][..]),
            ("Date:\r\n", &["bad-date"]),
            ("Date: 1 Nov 126 19:00 GMT\r\n", &["three-digit-year"]),
            ("Date: 1 Nov 2026 19:00 Z\r\n", &["letter-zone"]),
            ("Message-ID: 1@app\r\n", &["bad-message-id"]),
            ("From: root@host\r\n", &["unusable-from"]),
            ("From: Doe, John <a@b.c>\r\n", &["odd-address-field"]),
            ("To: Help @ Contoso <d@e.f>\r\n", &["odd-address-field"]),
            ("Reply-To: \"open <d@e.f>\r\n", &["odd-address-field"]),
            ("From: a@b.c, d@e.f\r\n", &["several-authors"]),
            ("From: team: a@b.c;\r\n", &["several-authors"]),
            ("Sender: root@host\r\n", &["unusable-sender"]),
            ("Resent-From: team:;\r\n", &["unusable-sender"]),
            ("X-Forefront-Antispam-Report: x\r\n", &["reserved-field"]),
            ("To: All\r\n", &["unusable-to"]),
            ("To:\r\n", &["unusable-to"]),
            ("To: undisclosed-recipients:;\r\n", &[]),
            ("Subject: 1\r\nSubject: 2\r\n", &["duplicate-field"]),
            ("Bcc: a@b.c\r\nBcc: a@b.c\r\n", &["duplicate-field"]),
            ("Subject:\r\n", &[]),
        ] {
            let name = fields.split(':').next().unwrap();
            let rest: Vec<&str> = SOUND
                .split_inclusive("\r\n")
                .filter(|line| !line.starts_with(name))
                .collect();
            let head = format!("{}{fields}", rest.concat());
            assert_eq!(quirks(&head), expected, "{fields}");
        }
        let top = |top: &str| {
            let content = format!("{top}{SOUND}");
            let header = Header::of_message(content.as_bytes(), true).unwrap();
            Findings::of(&header).quirks.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(top("From root Mon\r\n"), [Quirk::MboxLine]);
        assert_eq!(top("\u{feff}"), [Quirk::UncleanTop]);
        assert_eq!(top("no field\r\n"), [Quirk::StrayLine]);
        assert_eq!(top("no\r\nfields\r\n"), [Quirk::StrayLine]);
        assert_eq!(quirks(&format!("{SOUND}x\r\n")), ["header-cut-short"]);
        let latin_1 = [SOUND.as_bytes(), b"X: \xfc\r\n"].concat();
        let header = Header::split(&latin_1, true).unwrap();
        let found = Findings::of(&header);
        assert!(found.quirks.into_iter().eq([Quirk::EightBitHeader]));
    }

    #[test]
    fn the_first_usable_of_several_fields_counts() {
        for (fields, aside) in [
            (
                "Date: now\r\nDate: 1 Nov 2026 19:00 GMT\r\n",
                &["Date: now"][..],
            ),
            (
                "Message-ID: <1@a>\r\nMessage-Id: <2@a>\r\nMessage-ID: 3\r\n",
                &["Message-Id: <2@a>", "Message-ID: 3"],
            ),
            ("Date: now\r\nDate: then\r\n", &["Date: now", "Date: then"]),
            (
                "From: root\r\nFrom: a@b.c\r\nFrom: d@e.f\r\n",
                &["From: root", "From: d@e.f"],
            ),
            ("From: root, a@b.c\r\n", &["From: root, a@b.c"]),
            ("Subject:\r\nSUBJECT: 2\r\n", &["Subject: "]),
            ("Subject:\r\nSubject:\r\n", &["Subject: "]),
            ("Sender: root\r\nSender: a@b.c\r\n", &["Sender: root"]),
            ("Sender: root\r\n", &["Sender: root"]),
            (
                "Sender: a@b.c, d@e.f\r\nSender: a@b.c\r\nSender: d@e.f\r\n",
                &["Sender: a@b.c, d@e.f", "Sender: d@e.f"],
            ),
            (
                "Resent-From: a@b.c\r\nResent-From: d@e.f\r\nResent-Sender: x:;\r\n",
                &["Resent-Sender: x:;"],
            ),
            (
                "x-ms-Exchange-Organization-SCL : -1\r\nX-Mailer: x\r\n",
                &["x-ms-Exchange-Organization-SCL: -1"],
            ),
            (
                "Reply-To: a@b.c\r\nReply-To: d@e.f\r\n",
                &["Reply-To: d@e.f"],
            ),
            (
                "MIME-Version: 1.0\r\nMIME-Version: 1.0\r\n",
                &["MIME-Version: 1.0"],
            ),
            (
                "To: a@b.c\r\nTo: d@e.f\r\nReceived: x\r\nReceived: x\r\n",
                &[],
            ),
        ] {
            assert_eq!(judged(fields).1, aside, "{fields}");
        }
    }

    #[test]
    fn only_message_ids_that_receivers_refuse_are_invalid() {
        for id in [
            "<1@app>",
            "<a$b+c/d=@x.y-z>",
            "<..a..@..>",
            "<a@b@c>",
            "<\"x\"@y>",
            "<1@[IPv6:::1]>",
            "<1@app> (added by a relay)",
            "(x) <1@app>",
        ] {
            assert!(is_message_id(id), "{id}");
        }
        for id in [
            "",
            "<>",
            "1@app",
            "<1>",
            "<1@>",
            "<@app>",
            "<1@app",
            "<1@ app>",
            "<1 2@app>",
            "<12:30@app>",
            "<1@app:25>",
            "<<1@app>>",
            "<1@app> <2@app>",
            "<1@app> x",
            "<\u{fc}@app>",
        ] {
            assert!(!is_message_id(id), "{id}");
        }
    }
}
