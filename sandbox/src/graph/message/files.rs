//! Files attached to messages: their JSON, IDs and digests.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use ring::digest::SHA256;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use uuid::Uuid;

use crate::graph::errors::Refusal;
use crate::graph::errors::unreadable;
use crate::store::Attachment;

/// An attachment with its content, within a message or alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewAttachment {
    #[serde(rename = "@odata.type")]
    odata_type: Option<String>,
    name: Option<String>,
    content_type: Option<String>,
    content_bytes: Option<String>,
    content_id: Option<String>,
    #[serde(rename = "contentLocation")]
    _content_location: Option<String>,
    is_inline: Option<bool>,
    item: Option<Map<String, Value>>,
}

impl NewAttachment {
    /// The file; `None` for an item or a reference, which are checked and not kept.
    pub(crate) fn file(self) -> Result<Option<Attachment>, Refusal> {
        let name = self.name.filter(|name| !name.is_empty());
        let kind = self.odata_type.as_deref().unwrap_or_default();
        let content = match kind.trim_start_matches('#') {
            "microsoft.graph.fileAttachment" => {
                let content = self.content_bytes.ok_or_else(|| {
                    unreadable("A fileAttachment needs the property 'contentBytes'.")
                })?;
                Some(STANDARD.decode(content).map_err(|_| {
                    unreadable("Cannot convert the literal of 'contentBytes' to 'Edm.Binary'.")
                })?)
            }
            "microsoft.graph.itemAttachment" => {
                if !self.item.is_some_and(|it| it.contains_key("@odata.type")) {
                    return Err(unreadable(
                        "An itemAttachment needs an 'item' with its own '@odata.type'.",
                    ));
                }
                None
            }
            "microsoft.graph.referenceAttachment" => None,
            _ => {
                return Err(unreadable(
                    "An attachment needs '@odata.type': fileAttachment, itemAttachment or \
                     referenceAttachment of microsoft.graph.",
                ));
            }
        };
        let name = name.ok_or_else(|| unreadable("An attachment needs the property 'name'."))?;
        let label = Label {
            name,
            content_type: self.content_type,
            content_id: self.content_id,
            inline: self.is_inline.unwrap_or_default(),
        };
        Ok(content.map(|content| label.attachment(content)))
    }
}

/// A file before its content is known.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) content_type: Option<String>,
    pub(crate) content_id: Option<String>,
    pub(crate) inline: bool,
}

impl Label {
    pub(crate) fn attachment(self, content: Vec<u8>) -> Attachment {
        Attachment {
            id: format!("AAMkA{}BEgAQ", Uuid::new_v4().simple()),
            name: self.name,
            content_type: self.content_type,
            content_id: self.content_id,
            inline: self.inline,
            sha256: sha256(&content),
            content: Bytes::from(content),
        }
    }
}

/// The attachment resource.
pub(crate) fn resource(attachment: &Attachment) -> Map<String, Value> {
    let mut resource = Map::new();
    let mut set = |name: &str, value: Value| {
        resource.insert(name.to_owned(), value);
    };
    set("@odata.type", json!("#microsoft.graph.fileAttachment"));
    set("@odata.mediaContentType", json!(attachment.content_type));
    set("id", json!(attachment.id));
    set("name", json!(attachment.name));
    set("contentType", json!(attachment.content_type));
    set("size", json!(attachment.content.len()));
    set("isInline", json!(attachment.inline));
    set("contentId", json!(attachment.content_id));
    resource
}

/// The bytes of a file within a message, where it is base64.
pub(crate) fn inflated(octets: u64) -> u64 {
    octets.div_ceil(3).saturating_mul(4)
}

fn sha256(content: &[u8]) -> String {
    let digest = digest::digest(&SHA256, content);
    let octets = digest.as_ref().iter();
    octets.map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2 B.1.
    #[test]
    fn digest_is_sha_256() {
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn base64_is_counted_with_its_padding() {
        assert_eq!([0, 1, 3, 4].map(inflated), [0, 4, 4, 8]);
    }
}
