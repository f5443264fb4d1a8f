//! sendMail's JSON form: the action's two members, and the message resource within.
//!
//! The action's own members match in any case (CSDL and the documentation differ); the
//! properties of the resource are spelled as documented, and one that is not among those that
//! can be set on sending is refused, so that a client's slip is seen here and not in production.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use crate::sandbox::errors::Refusal;
use crate::sandbox::store::Form;
use crate::sandbox::submission::Submission;
use crate::sandbox::submission::invalid_recipients;

/// Reads the body of an `application/json` request.
pub(super) fn read(body: Vec<u8>) -> Result<Submission, Refusal> {
    let action: Map<String, Value> = serde_json::from_slice(&body).map_err(|_| {
        Refusal::bad(
            "BadRequest",
            "Unable to read JSON request payload. Please ensure Content-Type header is set and \
             payload is of valid JSON format.",
        )
    })?;
    let mut message = None;
    for (name, value) in action {
        if name.eq_ignore_ascii_case("message") {
            message = Some(value);
        } else if name.eq_ignore_ascii_case("saveToSentItems") {
            check_switch(&value)?;
        } else {
            return Err(unreadable(&format!(
                "The parameter '{name}' in the request payload is not a valid parameter for the \
                 operation 'sendMail'."
            )));
        }
    }
    let message = message
        .filter(|message| !message.is_null())
        .ok_or_else(|| unreadable("The required parameter 'Message' is missing."))?;
    let message = serde_json::from_value::<Message>(message)
        .map_err(|error| unreadable(&error.to_string()))?;
    message.check()?;
    Ok(Submission {
        form: Form::Json,
        raw: Bytes::from(body),
        from: addresses(message.from.into_iter().chain(message.sender))?,
        to: addresses(message.to_recipients)?,
        cc: addresses(message.cc_recipients)?,
        bcc: addresses(message.bcc_recipients)?,
        subject: message.subject.unwrap_or_default(),
        message_id: message.internet_message_id,
    })
}

/// The message resource, as far as it can be set on sending.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "what nothing reads is named so that its type is judged"
)]
struct Message {
    #[serde(rename = "@odata.type")]
    odata_type: Option<String>,
    subject: Option<String>,
    body: Option<Body>,
    // Collections refuse null: Graph was seen to, for toRecipients.
    #[serde(default)]
    to_recipients: Vec<Recipient>,
    #[serde(default)]
    cc_recipients: Vec<Recipient>,
    #[serde(default)]
    bcc_recipients: Vec<Recipient>,
    #[serde(default)]
    reply_to: Vec<Recipient>,
    from: Option<Recipient>,
    sender: Option<Recipient>,
    importance: Option<String>,
    internet_message_headers: Option<Vec<Header>>,
    internet_message_id: Option<String>,
    is_delivery_receipt_requested: Option<bool>,
    is_read_receipt_requested: Option<bool>,
    #[serde(default)]
    categories: Vec<String>,
    flag: Option<Map<String, Value>>,
    #[serde(default)]
    attachments: Vec<Attachment>,
    #[serde(default)]
    single_value_extended_properties: Vec<Property<String>>,
    #[serde(default)]
    multi_value_extended_properties: Vec<Property<Vec<String>>>,
    #[serde(default)]
    extensions: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    content_type: Option<String>,
    #[serde(rename = "content")]
    _content: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Recipient {
    email_address: Option<EmailAddress>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmailAddress {
    address: Option<String>,
    #[serde(rename = "name")]
    _name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    #[serde(rename = "value")]
    _value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Property<T> {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "value")]
    _value: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attachment {
    #[serde(rename = "@odata.type")]
    odata_type: Option<String>,
    name: Option<String>,
    content_bytes: Option<String>,
    item: Option<Map<String, Value>>,
}

impl Message {
    fn check(&self) -> Result<(), Refusal> {
        if let Some(kind) = self.body.as_ref().and_then(|it| it.content_type.as_ref()) {
            one_of("contentType", kind, &["text", "html"])?;
        }
        if let Some(importance) = &self.importance {
            one_of("importance", importance, &["low", "normal", "high"])?;
        }
        if let Some(headers) = &self.internet_message_headers {
            check_headers(headers)?;
        }
        self.attachments.iter().try_for_each(Attachment::check)
    }
}

impl Attachment {
    fn check(&self) -> Result<(), Refusal> {
        let kind = self.odata_type.as_deref().unwrap_or_default();
        match kind.trim_start_matches('#') {
            "microsoft.graph.fileAttachment" => {
                let content = self.content_bytes.as_ref().ok_or_else(|| {
                    unreadable("A fileAttachment needs the property 'contentBytes'.")
                })?;
                STANDARD.decode(content).map_err(|_| {
                    unreadable("Cannot convert the literal of 'contentBytes' to 'Edm.Binary'.")
                })?;
            }
            "microsoft.graph.itemAttachment" => {
                let item = self.item.as_ref().and_then(|it| it.get("@odata.type"));
                if item.is_none() {
                    return Err(unreadable(
                        "An itemAttachment needs an 'item' with its own '@odata.type'.",
                    ));
                }
            }
            "microsoft.graph.referenceAttachment" => {}
            _ => {
                return Err(unreadable(
                    "An attachment needs '@odata.type': fileAttachment, itemAttachment or \
                     referenceAttachment of microsoft.graph.",
                ));
            }
        }
        if self.name.as_ref().is_none_or(String::is_empty) {
            return Err(unreadable("An attachment needs the property 'name'."));
        }
        Ok(())
    }
}

fn check_headers(headers: &[Header]) -> Result<(), Refusal> {
    if headers.is_empty() || headers.len() > MOST_HEADERS {
        return Err(Refusal::bad(
            "InvalidInternetMessageHeaderCollection",
            format!(
                "The maximum number of headers in one message should be less than or equal to \
                 {MOST_HEADERS}."
            ),
        ));
    }
    for header in headers {
        let prefix = header.name.get(..2);
        if !prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-")) {
            return Err(Refusal::bad(
                "InvalidInternetMessageHeader",
                format!(
                    "The internet message header name '{}' should start with 'x-' or 'X-'.",
                    header.name
                ),
            ));
        }
    }
    Ok(())
}

/// `saveToSentItems`: a Boolean, or one in quotes as in the documentation's first example.
fn check_switch(value: &Value) -> Result<(), Refusal> {
    let quoted = value.as_str().is_some_and(|text| {
        text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
    });
    if quoted || value.is_boolean() || value.is_null() {
        Ok(())
    } else {
        Err(unreadable(
            "Cannot convert the literal of 'SaveToSentItems' to 'Edm.Boolean'.",
        ))
    }
}

fn one_of(property: &str, value: &str, allowed: &[&str]) -> Result<(), Refusal> {
    if allowed.iter().any(|it| it.eq_ignore_ascii_case(value)) {
        Ok(())
    } else {
        Err(unreadable(&format!(
            "Requested value '{value}' was not found for '{property}'."
        )))
    }
}

fn addresses(recipients: impl IntoIterator<Item = Recipient>) -> Result<Vec<String>, Refusal> {
    recipients
        .into_iter()
        .map(|recipient| recipient.email_address.and_then(|it| it.address))
        .map(|address| address.ok_or_else(|| invalid_recipients("A recipient has no address.")))
        .collect()
}

fn unreadable(message: &str) -> Refusal {
    Refusal::bad("RequestBodyRead", message)
}

const MOST_HEADERS: usize = 5;
