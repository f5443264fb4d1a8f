//! Header fields that are properties in Graph, the few others that may be sent under
//! their own names, and the rest.
//!
//! Graph accepts five fields whose names begin with `X-`. Those that this relay has
//! renamed come first, because promise 5 wants them visible; the others follow in the
//! message's order. Exchange stores them as named properties, one for each name, so
//! repetitions are left out. So are the fields of its own transport, under any name,
//! because they would take the places of others.

use std::collections::HashSet;

use super::parts::one_line;
use crate::mail::Address;
use crate::mime::Field;
use crate::mime::Header;
use crate::mime::JsonMessage;
use crate::mime::header::quirks::is_message_id;
use crate::mime::header::reserved::is_reserved;

/// How urgent a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Importance {
    /// It can wait.
    Low,
    /// No importance given, or an ordinary one.
    #[default]
    Normal,
    /// It is urgent.
    High,
}

/// How private a message is (RFC 2156 5.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// `Personal`.
    Personal,
    /// `Private`.
    Private,
    /// `Company-Confidential`.
    Confidential,
}

/// Values of a header section that JSON can express too, except for recipients and
/// subject.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::mime) struct Properties {
    pub(in crate::mime) importance: Importance,
    pub(in crate::mime) sensitivity: Option<Sensitivity>,
    pub(in crate::mime) read_receipt: bool,
    pub(in crate::mime) delivery_receipt: bool,
    pub(in crate::mime) message_id: Option<String>,
    pub(in crate::mime) in_reply_to: Option<String>,
    pub(in crate::mime) references: Option<String>,
    pub(in crate::mime) headers: Vec<(String, String)>,
    /// Names of fields, each once, in the order of the message.
    pub(in crate::mime) lost: Vec<String>,
}

/// Reads a header section.
pub(in crate::mime) fn of(header: &Header<'_>) -> Properties {
    let author = addresses(header, "From").into_iter().next();
    let receipt = |name: &str| !addresses(header, name).is_empty();
    let headers = headers(header);
    let mut found = Properties {
        importance: importance(header).unwrap_or_default(),
        sensitivity: first(header, "Sensitivity").and_then(|text| sensitivity(&text)),
        // MS-OXCMAIL 2.1.3.1.5, 2.1.3.1.6
        read_receipt: receipt("Disposition-Notification-To"),
        delivery_receipt: receipt("Return-Receipt-To"),
        message_id: first(header, "Message-ID").and_then(|text| message_id(&text)),
        in_reply_to: first(header, "In-Reply-To"),
        references: first(header, "References"),
        headers: Vec::new(),
        lost: Vec::new(),
    };
    let mut seen = HashSet::new();
    for (at, field) in header.fields.iter().enumerate() {
        let is_carried = headers.contains(&at) || found.says(field, author.as_ref());
        if !is_carried && seen.insert(field.name.to_ascii_lowercase()) {
            found.lost.push(field.name.to_owned());
        }
    }
    let fields = headers.iter().filter_map(|at| header.fields.get(*at));
    found.headers = fields
        .map(|field| (field.name.to_owned(), one_line(&field.text())))
        .collect();
    found
}

impl Properties {
    /// Whether JSON expresses a field, by these properties or otherwise.
    fn says(&self, field: &Field<'_>, author: Option<&Address>) -> bool {
        // Graph has one author; other authors are lost.
        let only_author = || {
            let named = addresses_of(field);
            let keys: HashSet<String> = named.iter().map(Address::key).collect();
            keys.len() == 1 && author.is_some_and(|author| keys.contains(&author.key()))
        };
        let all_named = || field.list().items.iter().all(|item| item.address.is_some());
        match field.name.to_ascii_lowercase().as_str() {
            "subject" | "in-reply-to" | "references" | "mime-version" => true,
            "from" | "reply-to" | "to" | "cc" | "bcc" => all_named(),
            "sender" | "disposition-notification-to" | "return-receipt-to" => only_author(),
            "importance" | "priority" | "x-priority" | "x-msmail-priority" => {
                importance_of(field).is_some()
            }
            "sensitivity" => {
                let text = field.text();
                sensitivity(&text).is_some() || text.eq_ignore_ascii_case("normal")
            }
            "message-id" => self.message_id.is_some(),
            // They describe a body that is rebuilt.
            name => name.starts_with("content-"),
        }
    }
}

/// The positions of the fields that are sent under their names.
fn headers(header: &Header<'_>) -> Vec<usize> {
    let mut seen = HashSet::new();
    let fields = header.fields.iter().enumerate();
    let own = fields.filter(|(_, field)| may_go_along(field));
    let own = own.filter(|(_, field)| seen.insert(field.name.to_ascii_lowercase()));
    let (mut chosen, others): (Vec<_>, Vec<_>) =
        own.partition(|(_, field)| begins(field, SET_ASIDE));
    chosen.extend(others);
    chosen.truncate(JsonMessage::MOST_HEADERS);
    chosen.into_iter().map(|(at, _)| at).collect()
}

fn may_go_along(field: &Field<'_>) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    begins(field, "x-")
        && !is_reserved(original_name(field))
        && field.name.len() > 2
        && field.name.chars().all(is_word)
        && importance_of(field).is_none()
        && !one_line(&field.text()).is_empty()
}

fn begins(field: &Field<'_>, prefix: &str) -> bool {
    let own = field.name.get(..prefix.len());
    own.is_some_and(|own| own.eq_ignore_ascii_case(prefix))
}

/// The name without the prefix of [`Field::renamed`].
fn original_name<'f>(field: &'f Field<'_>) -> &'f str {
    if begins(field, SET_ASIDE) {
        field.name.get(SET_ASIDE.len()..).unwrap_or_default()
    } else {
        field.name
    }
}

/// The prefix of [`Field::renamed`].
const SET_ASIDE: &str = "x-original-";

/// The value of the first field with this name, on one line, if there is one.
fn first(header: &Header<'_>, name: &str) -> Option<String> {
    let field = header.all(name).next()?;
    Some(one_line(&field.text())).filter(|text| !text.is_empty())
}

fn addresses(header: &Header<'_>, name: &str) -> Vec<Address> {
    header.all(name).flat_map(addresses_of).collect()
}

fn addresses_of(field: &Field<'_>) -> Vec<Address> {
    let items = field.list().items.iter().cloned();
    items.filter_map(|item| item.address).collect()
}

/// The first in this order counts: the standard's field (RFC 2156 5.3.4) and Outlook's
/// before those of others.
fn importance(header: &Header<'_>) -> Option<Importance> {
    let names = ["Importance", "X-Priority", "X-MSMail-Priority", "Priority"];
    let mut fields = names.into_iter().flat_map(|name| header.all(name));
    fields.find_map(importance_of)
}

fn importance_of(field: &Field<'_>) -> Option<Importance> {
    let text = field.text().to_ascii_lowercase();
    match field.name.to_ascii_lowercase().as_str() {
        "importance" | "x-msmail-priority" => match text.as_str() {
            "low" => Some(Importance::Low),
            "normal" => Some(Importance::Normal),
            "high" => Some(Importance::High),
            _ => None,
        },
        "priority" => match text.as_str() {
            "non-urgent" => Some(Importance::Low),
            "normal" => Some(Importance::Normal),
            "urgent" => Some(Importance::High),
            _ => None,
        },
        // `1 (Highest)` to `5 (Lowest)`.
        "x-priority" => match text.split([' ', '(']).next()? {
            "1" | "2" => Some(Importance::High),
            "3" => Some(Importance::Normal),
            "4" | "5" => Some(Importance::Low),
            _ => None,
        },
        _ => None,
    }
}

fn sensitivity(text: &str) -> Option<Sensitivity> {
    match text.to_ascii_lowercase().as_str() {
        "personal" => Some(Sensitivity::Personal),
        "private" => Some(Sensitivity::Private),
        "company-confidential" => Some(Sensitivity::Confidential),
        _ => None,
    }
}

/// The id without surrounding comments.
fn message_id(text: &str) -> Option<String> {
    let text = Some(text).filter(|text| is_message_id(text))?;
    let (_, rest) = text.split_once('<')?;
    let (id, _) = rest.split_once('>')?;
    Some(format!("<{id}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads these lines under a From.
    fn read(lines: &str) -> Properties {
        let head = format!("From: A <a@b.c>\r\n{lines}\r\n");
        of(&Header::split(head.as_bytes(), true).unwrap())
    }

    fn header_names(lines: &str) -> Vec<String> {
        let headers = read(lines).headers.into_iter();
        headers.map(|(name, _)| name).collect()
    }

    #[test]
    fn importance_is_read_in_every_spelling() {
        for (lines, importance, lost) in [
            ("", Importance::Normal, ""),
            ("Importance: high\r\n", Importance::High, ""),
            ("importance: Low\r\n", Importance::Low, ""),
            ("Importance: Normal\r\n", Importance::Normal, ""),
            ("Importance: very\r\n", Importance::Normal, "Importance"),
            ("X-Priority: 1\r\n", Importance::High, ""),
            ("X-Priority: 2 (High)\r\n", Importance::High, ""),
            ("X-Priority: 3\r\n", Importance::Normal, ""),
            ("X-Priority: 4\r\n", Importance::Low, ""),
            ("X-Priority: 5(Lowest)\r\n", Importance::Low, ""),
            ("X-MSMail-Priority: High\r\n", Importance::High, ""),
            ("Priority: urgent\r\n", Importance::High, ""),
            ("Priority: non-urgent\r\n", Importance::Low, ""),
            ("Priority: 1\r\n", Importance::Normal, "Priority"),
            ("X-Priority: 1\r\nImportance: low\r\n", Importance::Low, ""),
            (
                "Importance: x\r\nX-Priority: 1\r\n",
                Importance::High,
                "Importance",
            ),
        ] {
            let found = read(lines);
            assert_eq!(found.importance, importance, "{lines}");
            assert_eq!(found.lost.join(","), lost, "{lines}");
            assert!(found.headers.is_empty(), "{lines}");
        }
        let unread = "X-Priority: 10\r\n";
        assert_eq!(read(unread).importance, Importance::Normal);
        assert_eq!(header_names(unread), ["X-Priority"]);
    }

    #[test]
    fn sensitivity_is_read() {
        for (value, sensitivity, lost) in [
            ("Personal", Some(Sensitivity::Personal), false),
            ("private", Some(Sensitivity::Private), false),
            (
                "Company-Confidential",
                Some(Sensitivity::Confidential),
                false,
            ),
            ("normal", None, false),
            ("top secret", None, true),
        ] {
            let found = read(&format!("Sensitivity: {value}\r\n"));
            assert_eq!(found.sensitivity, sensitivity, "{value}");
            assert_eq!(!found.lost.is_empty(), lost, "{value}");
        }
    }

    #[test]
    fn receipts_are_asked_for_and_go_to_the_author_alone() {
        for (lines, read_receipt, delivery_receipt, lost) in [
            ("Disposition-Notification-To: a@B.C\r\n", true, false, ""),
            ("Return-Receipt-To: <a@b.c>\r\n", false, true, ""),
            (
                "Disposition-Notification-To: d@e.f\r\n",
                true,
                false,
                "Disposition-Notification-To",
            ),
            (
                "Return-Receipt-To: a@b.c, d@e.f\r\n",
                false,
                true,
                "Return-Receipt-To",
            ),
            (
                "Return-Receipt-To: yes\r\n",
                false,
                false,
                "Return-Receipt-To",
            ),
        ] {
            let found = read(lines);
            let asked = (found.read_receipt, found.delivery_receipt);
            assert_eq!(asked, (read_receipt, delivery_receipt), "{lines}");
            assert_eq!(found.lost.join(","), lost, "{lines}");
        }
    }

    #[test]
    fn a_thread_is_kept() {
        let found = read(
            "Message-Id: (x) <1@a> \r\nIn-Reply-To: <2@a>\r\nReferences: <3@a>\r\n\t<2@a>\r\n",
        );

        assert_eq!(found.message_id.as_deref(), Some("<1@a>"));
        assert_eq!(found.in_reply_to.as_deref(), Some("<2@a>"));
        assert_eq!(found.references.as_deref(), Some("<3@a> <2@a>"));
        assert!(found.lost.is_empty());
        let bad = read("Message-ID: 4711\r\nIn-Reply-To: \r\n");
        assert_eq!((bad.message_id, bad.in_reply_to), (None, None));
        assert_eq!(bad.lost, ["Message-ID"]);
    }

    #[test]
    fn five_x_fields_are_kept_and_renamed_ones_come_first() {
        let six = "X-1: a\r\nX-2: b\r\n c\r\nX-3: d\r\nX-4: e\r\nX-5: f\r\nX-6: g\r\n";
        let found = read(six);
        assert_eq!(found.headers[1], ("X-2".into(), "b c".into()));
        assert_eq!(header_names(six), ["X-1", "X-2", "X-3", "X-4", "X-5"]);
        assert_eq!(found.lost, ["X-6"]);

        let aside = format!("{six}X-Original-To: eve@e.f\r\n");
        assert_eq!(
            header_names(&aside),
            ["X-Original-To", "X-1", "X-2", "X-3", "X-4"]
        );
        assert_eq!(read(&aside).lost, ["X-5", "X-6"]);
    }

    #[test]
    fn fields_that_graph_would_refuse_are_left_out() {
        let lines = "X-MS-Exchange-Organization-SCL: 1\r\nX-Original-X-Forefront-Y: b\r\nX-: a\r\nX-A/B: c\r\nX-Empty: \r\n\
            X-Twice: 1\r\nx-twice: 2\r\nXmas: 1\r\nX-Good: B\u{fc}ro\r\n";

        let found = read(lines);

        let good = [("X-Twice", "1"), ("X-Good", "B\u{fc}ro")];
        assert_eq!(
            found.headers,
            good.map(|(name, value)| (name.into(), value.into()))
        );
        assert_eq!(
            found.lost,
            [
                "X-MS-Exchange-Organization-SCL",
                "X-Original-X-Forefront-Y",
                "X-",
                "X-A/B",
                "X-Empty",
                "x-twice",
                "Xmas"
            ]
        );
    }

    #[test]
    fn other_fields_are_lost_and_named_once() {
        let found = read(
            "Received: x\r\nReceived: y\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\
             MIME-Version: 1.0\r\nContent-Type: text/plain\r\nSubject: s\r\nTo: d@e.f\r\n\
             Reply-To: x\r\nList-Id: <l>\r\nAuto-Submitted: auto-generated\r\nSender: d@e.f\r\n",
        );

        assert_eq!(
            found.lost,
            [
                "Received",
                "Date",
                "Reply-To",
                "List-Id",
                "Auto-Submitted",
                "Sender"
            ]
        );
        assert!(
            read("Sender: <A@b.c>\r\n").lost.is_empty(),
            "Graph names it too"
        );
    }
}
