//! The message resource in Graph's answers.

use std::collections::HashSet;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::graph::message::messages::Folder;
use crate::graph::message::messages::IdKind;
use crate::graph::message::messages::StoredMessage;
use crate::graph::message::mime;
use crate::store::Form;
use crate::time;

/// The properties that `$select` names.
#[derive(Debug, Default)]
pub(crate) struct Select(Option<HashSet<String>>);

impl Select {
    /// From the value of `$select`; all properties without it.
    pub(crate) fn of(value: Option<&str>) -> Self {
        Self(value.map(|names| names.split(',').map(|it| it.trim().to_owned()).collect()))
    }

    /// Whether it is named: some properties are returned only then.
    fn names(&self, name: &str) -> bool {
        let Self(names) = self;
        names.as_ref().is_some_and(|names| names.contains(name))
    }

    fn has(&self, name: &str) -> bool {
        let Self(names) = self;
        // Graph returns these whatever is selected.
        name == "id"
            || name == "@odata.etag"
            || names.as_ref().is_none_or(|names| names.contains(name))
    }
}

/// The resource of a message.
pub(crate) fn message(item: &StoredMessage, kind: IdKind, select: &Select) -> Map<String, Value> {
    let mut resource = Map::new();
    let mut set = |name: &str, value: &dyn Fn() -> Value| {
        if select.has(name) {
            resource.insert(name.to_owned(), value());
        }
    };
    let id = item.id(kind);
    let key = format!("CQAAABYAAAB{:06}", item.version);
    let changed = time::rfc3339(item.changed);
    let message = &item.message;
    set("@odata.etag", &|| json!(format!("W/\"{key}\"")));
    set("id", &|| json!(id));
    set("createdDateTime", &|| json!(time::rfc3339(item.created)));
    set("lastModifiedDateTime", &|| json!(changed));
    set("changeKey", &|| json!(key));
    set("categories", &|| json!([]));
    set("receivedDateTime", &|| json!(time::rfc3339(item.created)));
    set("sentDateTime", &|| json!(changed));
    set("hasAttachments", &|| json!(item.has_attachments));
    set("internetMessageId", &|| json!(item.message_id));
    set("subject", &|| json!(message.subject));
    set("parentFolderId", &|| json!(item.folder.id()));
    set("conversationId", &|| json!(format!("AAQk{id}")));
    set("isRead", &|| json!(true));
    set("isDraft", &|| json!(item.folder == Folder::Drafts));
    set("webLink", &|| {
        json!(format!("https://outlook.office365.com/owa/?ItemID={id}"))
    });
    set("inferenceClassification", &|| json!("focused"));
    set("importance", &|| json!("normal"));
    set("body", &|| body(item));
    if let Some(author) = message.from.first() {
        set("from", &|| recipient(author));
    }
    if let Some(author) = message.from.last() {
        set("sender", &|| recipient(author));
    }
    set("toRecipients", &|| recipients(&message.to));
    set("ccRecipients", &|| recipients(&message.cc));
    set("bccRecipients", &|| recipients(&message.bcc));
    set("replyTo", &|| json!([]));
    set("flag", &|| json!({"flagStatus": "notFlagged"}));
    if select.names("internetMessageHeaders") {
        resource.insert("internetMessageHeaders".to_owned(), header_fields(item));
    }
    resource
}

fn body(item: &StoredMessage) -> Value {
    match item.message.form {
        Form::Mime => {
            let (kind, content) = mime::first_text(&item.message.raw);
            json!({"contentType": kind, "content": content})
        }
        Form::Json => serde_json::from_slice::<Value>(&item.message.raw)
            .ok()
            .and_then(|message| message.get("body").cloned())
            .unwrap_or_else(|| json!({"contentType": "text", "content": ""})),
    }
}

/// The fields of its MIME, or those that its JSON set.
fn header_fields(item: &StoredMessage) -> Value {
    match item.message.form {
        Form::Mime => mime::fields(&item.message.raw)
            .into_iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect(),
        Form::Json => serde_json::from_slice::<Value>(&item.message.raw)
            .ok()
            .and_then(|message| message.get("internetMessageHeaders").cloned())
            .unwrap_or_else(|| json!([])),
    }
}

/// The extended properties with that ID: of a message in JSON, as it was created.
pub(crate) fn properties(item: &StoredMessage, id: &str) -> Vec<Value> {
    let message = match item.message.form {
        Form::Mime => None,
        Form::Json => serde_json::from_slice::<Value>(&item.message.raw).ok(),
    };
    let properties = message.as_ref().and_then(|message| {
        let properties = message.get("singleValueExtendedProperties")?;
        properties.as_array()
    });
    let is = |property: &&Value| {
        let name = property.get("id").and_then(Value::as_str);
        name.is_some_and(|name| name.eq_ignore_ascii_case(id))
    };
    properties
        .into_iter()
        .flatten()
        .filter(is)
        .cloned()
        .collect()
}

fn recipients(addresses: &[String]) -> Value {
    addresses.iter().map(|address| recipient(address)).collect()
}

fn recipient(address: &str) -> Value {
    json!({"emailAddress": {"name": address, "address": address}})
}
