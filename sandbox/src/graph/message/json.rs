//! The JSON form of a message: the two parameters of sendMail, the message resource, and its
//! changes.
//!
//! The parameters of the action match in any case (CSDL and the documentation differ). The
//! properties of a resource must be spelled as documented, and a property that cannot be set is
//! refused, so that a client's mistake shows here and not in production.

use axum::body::Bytes;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;

use crate::graph::errors::Refusal;
use crate::graph::errors::unreadable;
use crate::graph::message::files::NewAttachment;
use crate::graph::message::submission::SentCopy;
use crate::graph::message::submission::Submission;
use crate::graph::message::submission::invalid_recipients;
use crate::store::BccBy;
use crate::store::Form;

/// Reads sendMail's body: the message within the action.
pub(crate) fn read(body: Vec<u8>) -> Result<Submission, Refusal> {
    let action: Map<String, Value> = parse(&body)?;
    let mut message = None;
    let mut copy = SentCopy::Kept;
    for (name, value) in action {
        if name.eq_ignore_ascii_case("message") {
            message = Some(value);
        } else if name.eq_ignore_ascii_case("saveToSentItems") {
            copy = switch(&value)?;
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
    submission(message, body, copy)
}

/// Reads the body that creates a draft: the message alone.
pub(crate) fn read_draft(body: Vec<u8>) -> Result<Submission, Refusal> {
    let message = parse(&body)?;
    submission(message, body, SentCopy::Kept)
}

fn submission(message: Value, body: Vec<u8>, copy: SentCopy) -> Result<Submission, Refusal> {
    let message = serde_json::from_value::<Message>(message)
        .map_err(|error| unreadable(&error.to_string()))?;
    message.check()?;
    let bcc = addresses(message.bcc_recipients.iter().flatten())?;
    Ok(Submission {
        form: Form::Json,
        raw: Bytes::from(body),
        from: addresses(message.from.iter().chain(&message.sender))?,
        to: addresses(&message.to_recipients)?,
        cc: addresses(&message.cc_recipients)?,
        bcc,
        bcc_by: message.bcc_recipients.map(|_| BccBy::Property),
        subject: message.subject.unwrap_or_default(),
        message_id: message.internet_message_id,
        attachments: message
            .attachments
            .into_iter()
            .filter_map(|attachment| attachment.file().transpose())
            .collect::<Result<_, _>>()?,
        copy,
    })
}

/// Reads the body of any request in JSON.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let value: Value = serde_json::from_slice(body).map_err(|_| no_json())?;
    if !value.is_object() {
        return Err(no_json());
    }
    serde_json::from_value(value).map_err(|error| unreadable(&error.to_string()))
}

fn no_json() -> Refusal {
    Refusal::bad(
        "BadRequest",
        "Unable to read JSON request payload. Please ensure Content-Type header is set and \
         payload is of valid JSON format.",
    )
}

/// The message resource, as far as it can be set when sending.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "properties that nothing reads are named so that their types are checked"
)]
struct Message {
    #[serde(rename = "@odata.type")]
    odata_type: Option<String>,
    subject: Option<String>,
    body: Option<Body>,
    // Graph refuses null for collections; seen for toRecipients.
    #[serde(default)]
    to_recipients: Vec<Recipient>,
    #[serde(default)]
    cc_recipients: Vec<Recipient>,
    #[serde(default, deserialize_with = "given")]
    bcc_recipients: Option<Vec<Recipient>>,
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
    attachments: Vec<NewAttachment>,
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

/// The properties of a draft that can be changed here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Patch {
    #[serde(rename = "@odata.type")]
    _odata_type: Option<String>,
    #[serde(default, deserialize_with = "given")]
    subject: Option<String>,
    #[serde(default, deserialize_with = "given")]
    from: Option<Recipient>,
    #[serde(default, deserialize_with = "given")]
    sender: Option<Recipient>,
    #[serde(default, deserialize_with = "given")]
    to_recipients: Option<Vec<Recipient>>,
    #[serde(default, deserialize_with = "given")]
    cc_recipients: Option<Vec<Recipient>>,
    #[serde(default, deserialize_with = "given")]
    bcc_recipients: Option<Vec<Recipient>>,
}

impl Patch {
    /// Changes the message; changes nothing if a part is refused.
    pub(crate) fn apply(self, message: &mut Submission) -> Result<(), Refusal> {
        let author = self.from.iter().chain(&self.sender);
        let author = addresses(author)?;
        let to = self.to_recipients.map(|it| addresses(&it)).transpose()?;
        let cc = self.cc_recipients.map(|it| addresses(&it)).transpose()?;
        let bcc = self.bcc_recipients.map(|it| addresses(&it)).transpose()?;
        if !author.is_empty() {
            message.from = author;
        }
        message.to = to.unwrap_or_else(|| std::mem::take(&mut message.to));
        message.cc = cc.unwrap_or_else(|| std::mem::take(&mut message.cc));
        if let Some(bcc) = bcc {
            message.bcc = bcc;
            message.bcc_by = Some(BccBy::Patch);
        }
        if let Some(subject) = self.subject {
            message.subject = subject;
        }
        Ok(())
    }
}

/// A property that may be missing and may not be null.
fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
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
fn switch(value: &Value) -> Result<SentCopy, Refusal> {
    let word = value.as_str().map(str::to_ascii_lowercase);
    match (value, word.as_deref()) {
        (Value::Bool(false), _) | (_, Some("false")) => Ok(SentCopy::Unwanted),
        (Value::Bool(true) | Value::Null, _) | (_, Some("true")) => Ok(SentCopy::Kept),
        _ => Err(unreadable(
            "Cannot convert the literal of 'SaveToSentItems' to 'Edm.Boolean'.",
        )),
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

fn addresses<'a>(
    recipients: impl IntoIterator<Item = &'a Recipient>,
) -> Result<Vec<String>, Refusal> {
    recipients
        .into_iter()
        .map(|recipient| {
            let address = recipient.email_address.as_ref();
            let address = address.and_then(|it| it.address.clone());
            address.ok_or_else(|| invalid_recipients("A recipient has no address."))
        })
        .collect()
}

const MOST_HEADERS: usize = 5;
