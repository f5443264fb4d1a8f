//! The message resource of Graph's JSON (Graph page "message resource type"): wire types
//! for a [`JsonMessage`], and the request bodies made of them.
//!
//! Empty values are left out: Graph refuses a `null` where it expects a list, and an empty
//! `internetMessageHeaders`. Importance is always written, because messages with custom
//! fields have arrived as important without it.

use base64::display::Base64Display;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde::Serializer;
use serde::ser::Error;
use serde_json::value::RawValue;

use super::FileAttachment;
use crate::mime;
use crate::mime::Importance;
use crate::mime::JsonMessage;
use crate::mime::Mailbox;
use crate::mime::Sensitivity;
use crate::mime::Text;

/// A message without recipients and delivery options: the request that creates a draft.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message<'r> {
    subject: &'r str,
    body: ItemBody<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Recipient<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_recipients: Vec<Recipient<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cc_recipients: Vec<Recipient<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bcc_recipients: Vec<Recipient<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reply_to: Vec<Recipient<'r>>,
    importance: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_read_receipt_requested: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_delivery_receipt_requested: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    internet_message_id: Option<&'r str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    internet_message_headers: Vec<InternetMessageHeader<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    single_value_extended_properties: Vec<ExtendedProperty<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<WireAttachment<'r>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemBody<'r> {
    content_type: &'static str,
    content: &'r str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Recipient<'r> {
    email_address: EmailAddress<'r>,
}

#[derive(Debug, Serialize)]
struct EmailAddress<'r> {
    address: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
}

#[derive(Debug, Serialize)]
struct InternetMessageHeader<'r> {
    name: &'r str,
    value: &'r str,
}

/// A MAPI property by its tag or name.
#[derive(Debug, Serialize)]
struct ExtendedProperty<'r> {
    id: &'static str,
    value: &'r str,
}

/// An attachment with its bytes; also used alone, to add it to a draft.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireAttachment<'r> {
    #[serde(rename = "@odata.type")]
    odata_type: &'static str,
    name: &'r str,
    content_type: &'r str,
    #[serde(serialize_with = "base64")]
    content_bytes: &'r Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_id: Option<&'r str>,
    is_inline: bool,
}

/// PidTagInReplyToId.
const IN_REPLY_TO: &str = "String 0x1042";
/// PidTagInternetReferences.
const REFERENCES: &str = "String 0x1039";
/// PidTagSensitivity.
const SENSITIVITY: &str = "Integer 0x0036";
/// The relay's own property: the queue entry that a draft belongs to.
pub(super) const ENTRY: &str = "String {5d3a0c52-7a07-4f0e-9f0b-8b6f1e0a6d41} Name GraphRelayId";

/// Whether the mailbox keeps a copy of a sent message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentItems {
    /// A copy in its Sent Items.
    Kept,
    /// No copy.
    NotKept,
}

/// A complete request body, so that its size is known before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(Bytes);

/// sendMail's parameters (Graph page "user: sendMail").
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SendMail<'m, 'r> {
    message: &'m Message<'r>,
    /// Written only to say no, as the page asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    save_to_sent_items: Option<bool>,
}

impl<'r> Message<'r> {
    /// Takes over the content of a json_message.
    pub fn of(json_message: &'r JsonMessage) -> Self {
        let recipients = |them: &'r [Mailbox]| them.iter().map(Recipient::of).collect();
        let headers = json_message.headers.iter();
        Self {
            subject: &json_message.subject,
            body: ItemBody::of(&json_message.text),
            from: json_message.from.as_ref().map(Recipient::of),
            to_recipients: recipients(&json_message.to),
            cc_recipients: recipients(&json_message.cc),
            bcc_recipients: recipients(&json_message.bcc),
            reply_to: recipients(&json_message.reply_to),
            importance: match json_message.importance {
                Importance::Low => "low",
                Importance::Normal => "normal",
                Importance::High => "high",
            },
            is_read_receipt_requested: json_message.read_receipt,
            is_delivery_receipt_requested: json_message.delivery_receipt,
            internet_message_id: json_message.message_id.as_deref(),
            internet_message_headers: headers
                .map(|(name, value)| InternetMessageHeader { name, value })
                .collect(),
            single_value_extended_properties: properties(json_message),
            attachments: json_message
                .attachments
                .iter()
                .map(WireAttachment::of)
                .collect(),
        }
    }
}

impl<'r> WireAttachment<'r> {
    fn of(attachment: &'r mime::Attachment) -> Self {
        let described = FileAttachment {
            name: &attachment.name,
            content_type: &attachment.media_type,
            content_id: attachment.content_id.as_deref(),
            is_inline: attachment.shown,
            size: attachment.content.len() as u64,
        };
        Self::with(&described, &attachment.content)
    }

    /// Adds these bytes.
    pub(super) fn with(described: &FileAttachment<'r>, content_bytes: &'r Bytes) -> Self {
        Self {
            odata_type: "#microsoft.graph.fileAttachment",
            name: described.name,
            content_type: described.content_type,
            content_bytes,
            content_id: described.content_id,
            is_inline: described.is_inline,
        }
    }
}

impl<'r> ItemBody<'r> {
    fn of(text: &'r Text) -> Self {
        let (content_type, content) = match text {
            Text::Plain(text) => ("text", text),
            Text::Html(html) => ("html", html),
        };
        Self {
            content_type,
            content,
        }
    }
}

impl<'r> Recipient<'r> {
    fn of(mailbox: &'r Mailbox) -> Self {
        Self {
            email_address: EmailAddress {
                address: mailbox.address.as_str(),
                name: mailbox.name.as_deref(),
            },
        }
    }
}

fn properties(json_message: &JsonMessage) -> Vec<ExtendedProperty<'_>> {
    let sensitivity = json_message
        .sensitivity
        .map(|sensitivity| match sensitivity {
            Sensitivity::Personal => "1",
            Sensitivity::Private => "2",
            Sensitivity::Confidential => "3",
        });
    let properties = [
        (IN_REPLY_TO, json_message.in_reply_to.as_deref()),
        (REFERENCES, json_message.references.as_deref()),
        (SENSITIVITY, sensitivity),
    ];
    let said = properties.into_iter();
    said.filter_map(|(id, value)| value.map(|value| ExtendedProperty { id, value }))
        .collect()
}

/// Writes base64 as it stands: `serde_json` would look for what to escape in it, byte by byte.
fn base64<S: Serializer>(content: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    let quoted = format!("\"{}\"", Base64Display::new(content, &BASE64_STANDARD));
    let raw = RawValue::from_string(quoted).map_err(S::Error::custom)?;
    raw.serialize(serializer)
}

impl Json {
    /// Returns the body of sendMail.
    ///
    /// # Errors
    ///
    /// None with these types; `serde_json` declares them.
    pub fn send_mail(message: &Message<'_>, sent_items: SentItems) -> serde_json::Result<Self> {
        Self::written(&SendMail {
            message,
            save_to_sent_items: match sent_items {
                SentItems::Kept => None,
                SentItems::NotKept => Some(false),
            },
        })
    }

    /// Returns the body that creates a draft, marked with this entry's ID so that it can be
    /// recognised.
    ///
    /// # Errors
    ///
    /// As [`Json::send_mail`].
    pub fn draft<'r>(mut message: Message<'r>, entry: &'r str) -> serde_json::Result<Self> {
        let id = ENTRY;
        let properties = &mut message.single_value_extended_properties;
        properties.push(ExtendedProperty { id, value: entry });
        Self::written(&message)
    }

    fn written(value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::to_vec(value).map(|body| Self(body.into()))
    }

    /// Returns the whole request body.
    pub fn body(&self) -> &Bytes {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::json;

    use super::*;

    fn json_message(message: &str) -> JsonMessage {
        JsonMessage::of(message.as_bytes()).unwrap()
    }

    fn text(json: serde_json::Result<Json>) -> String {
        String::from_utf8(json.unwrap().body().to_vec()).unwrap()
    }

    /// A message as an application writes it, with every field that sendMail takes in this form.
    const REPORT: &str = "Bcc: b@example.org\r\nSubject: Report\r\nFrom: Relay <relay@contoso.com>\r\n\
        To: a@example.org\r\nReply-To: desk@contoso.com\r\nMessage-ID: <123@app.contoso.com>\r\n\
        In-Reply-To: <parent@app.contoso.com>\r\nX-Relay-Id: 01H\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n--b\r\n\
        Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\n\
        Hi\r\n--b--\r\n";

    #[test]
    fn a_report_is_written_as_graph_documents_it() {
        let json_message = json_message(REPORT);
        let message = Message::of(&json_message);

        let json = text(Json::send_mail(&message, SentItems::NotKept));

        assert_eq!(
            json,
            concat!(
                r#"{"message":{"subject":"Report","body":{"contentType":"text","content":"Hello"},"#,
                r#""from":{"emailAddress":{"address":"relay@contoso.com","name":"Relay"}},"#,
                r#""toRecipients":[{"emailAddress":{"address":"a@example.org"}}],"#,
                r#""bccRecipients":[{"emailAddress":{"address":"b@example.org"}}],"#,
                r#""replyTo":[{"emailAddress":{"address":"desk@contoso.com"}}],"#,
                r#""importance":"normal","internetMessageId":"<123@app.contoso.com>","#,
                r#""internetMessageHeaders":[{"name":"X-Relay-Id","value":"01H"}],"#,
                r#""singleValueExtendedProperties":[{"id":"String 0x1042","value":"<parent@app.contoso.com>"}],"#,
                r##""attachments":[{"@odata.type":"#microsoft.graph.fileAttachment","name":"a.txt","##,
                r#""contentType":"text/plain","contentBytes":"SGk=","isInline":false}]},"#,
                r#""saveToSentItems":false}"#,
            )
        );
    }

    #[test]
    fn absent_values_are_left_out() {
        let json_message = json_message("To: a@example.org\r\n\r\n");

        let json = text(Json::send_mail(
            &Message::of(&json_message),
            SentItems::Kept,
        ));

        assert_eq!(
            json,
            concat!(
                r#"{"message":{"subject":"","body":{"contentType":"text","content":""},"#,
                r#""toRecipients":[{"emailAddress":{"address":"a@example.org"}}],"#,
                r#""importance":"normal"}}"#,
            )
        );
    }

    #[test]
    fn every_property_has_its_name() {
        let said = json_message(
            "From: a@b.c\r\nCc: d@e.f\r\nImportance: high\r\nSensitivity: private\r\n\
             References: <1@a> <2@a>\r\nDisposition-Notification-To: a@b.c\r\n\
             Return-Receipt-To: a@b.c\r\nContent-Type: multipart/related; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/html\r\n\r\n<img src=\"cid:i@b\">\r\n\
             --b\r\nContent-Type: image/png\r\nContent-ID: <i@b>\r\n\r\n\r\n--b--\r\n",
        );

        let message = serde_json::to_value(Message::of(&said)).unwrap();

        assert_eq!(
            message,
            json!({
                "subject": "",
                "body": {"contentType": "html", "content": "<img src=\"cid:i@b\">"},
                "from": {"emailAddress": {"address": "a@b.c"}},
                "ccRecipients": [{"emailAddress": {"address": "d@e.f"}}],
                "importance": "high",
                "isReadReceiptRequested": true,
                "isDeliveryReceiptRequested": true,
                "singleValueExtendedProperties": [
                    {"id": "String 0x1039", "value": "<1@a> <2@a>"},
                    {"id": "Integer 0x0036", "value": "2"},
                ],
                "attachments": [{
                    "@odata.type": "#microsoft.graph.fileAttachment",
                    "name": "image.png",
                    "contentType": "image/png",
                    "contentBytes": "",
                    "contentId": "i@b",
                    "isInline": true,
                }],
            })
        );
    }

    #[test]
    fn importance_and_sensitivity_have_their_values() {
        for (line, importance, sensitivity) in [
            ("Importance: low", "low", Value::Null),
            ("Sensitivity: personal", "normal", json!("1")),
            ("Sensitivity: company-confidential", "normal", json!("3")),
        ] {
            let json_message = json_message(&format!("{line}\r\n\r\n"));
            let message = serde_json::to_value(Message::of(&json_message)).unwrap();

            assert_eq!(message["importance"], importance, "{line}");
            let property = &message["singleValueExtendedProperties"][0]["value"];
            assert_eq!(*property, sensitivity, "{line}");
        }
    }

    #[test]
    fn the_size_is_known_before_it_is_sent() {
        let part = "--b\r\nContent-Type: application/pdf\r\n\r\n";
        let most = |size: usize| {
            let file = "x".repeat(size);
            let message = format!(
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n{part}{file}\r\n--b--\r\n"
            );
            let json_message = json_message(&message);
            Json::send_mail(&Message::of(&json_message), SentItems::NotKept).unwrap()
        };

        assert!(most(2_990_000).body().len() <= 4_000_000);
        assert!(most(3_000_000).body().len() > 4_000_000);
    }

    /// Nothing in it is `null` or empty, but texts.
    fn is_said(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Array(items) => !items.is_empty() && items.iter().all(is_said),
            Value::Object(members) => !members.is_empty() && members.values().all(is_said),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }

    proptest! {
        #[test]
        fn any_message_makes_json_that_graph_reads(
            names in prop::collection::vec("[ -9;-~]{1,12}", 0..9),
            to in "[a-z]{1,9}@[a-z]{1,9}",
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let fields: String = names.iter().map(|name| format!("X-{name}: 1\r\n")).collect();
            let head = format!("To: {to}\r\n{fields}\r\n");
            let message = [head.as_bytes(), &body].concat();

            let json_message = JsonMessage::of(&message).unwrap();
            let json = Json::send_mail(&Message::of(&json_message), SentItems::NotKept).unwrap();

            let value: Value = serde_json::from_slice(json.body()).unwrap();
            prop_assert!(is_said(&value), "{}", value);
            let message = &value["message"];
            let recipient = json!([{"emailAddress": {"address": to}}]);
            prop_assert_eq!(&message["toRecipients"], &recipient);
            prop_assert!(message.get("ccRecipients").is_none());
            prop_assert!(message.get("bccRecipients").is_none());
            let headers = message.get("internetMessageHeaders").and_then(Value::as_array);
            prop_assert!(headers.is_none_or(|it| (1..=5).contains(&it.len())));
        }
    }
}
