//! A message in JSON form.

use serde_json::Value;

use super::view::View;

/// The fields that are MAPI properties in JSON.
const PROPERTIES: [(&str, &str); 3] = [
    ("String 0x1042", "In-Reply-To"),
    ("String 0x1039", "References"),
    ("Integer 0x0036", "Sensitivity"),
];

pub(crate) fn read(raw: &[u8], view: &mut View) {
    let json: Value = serde_json::from_slice(raw).unwrap();
    // A draft is the message itself.
    let message = json.get("message").unwrap_or(&json);
    match message.get("from") {
        Some(from) => mailbox("From", from, view),
        None => view.line("From", "(the mailbox)"),
    }
    for (property, field) in [
        ("replyTo", "Reply-To"),
        ("toRecipients", "To"),
        ("ccRecipients", "Cc"),
        ("bccRecipients", "Bcc"),
    ] {
        for one in list(message, property) {
            mailbox(field, one, view);
        }
    }
    view.line("Subject", message["subject"].as_str().unwrap());
    if let Some(id) = message["internetMessageId"].as_str() {
        view.message_id(id);
    }
    match message["importance"].as_str() {
        None | Some("normal") => {}
        Some(importance) => view.line("Importance", importance),
    }
    for (id, field) in PROPERTIES {
        let all = list(message, "singleValueExtendedProperties");
        for property in all.iter().filter(|property| property["id"] == id) {
            view.line(field, property["value"].as_str().unwrap());
        }
    }
    if message["isReadReceiptRequested"] == true {
        view.line("Disposition-Notification-To", "(the sender)");
    }
    for header in list(message, "internetMessageHeaders") {
        let [name, value] = ["name", "value"].map(|key| header[key].as_str().unwrap());
        view.line(name, value);
    }
    let body = &message["body"];
    let kind = match body["contentType"].as_str() {
        Some("html") => "HTML",
        _ => "Text",
    };
    view.text(kind, body["content"].as_str().unwrap());
}

fn list<'v>(message: &'v Value, name: &str) -> &'v [Value] {
    message[name].as_array().map_or(&[], Vec::as_slice)
}

fn mailbox(field: &str, it: &Value, view: &mut View) {
    let address = &it["emailAddress"];
    view.mailbox(
        field,
        address["name"].as_str(),
        address["address"].as_str().unwrap(),
    );
}
