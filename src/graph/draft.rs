//! Drafts (Graph pages "user: create message", "Add attachment", "message: send"):
//! creating, filling, sending, looking up, deleting.
//!
//! Every call asks for immutable IDs, so that a draft can be found by its ID after it was
//! sent. All calls except sending need `Mail.ReadWrite`.

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde::Serialize;

use super::Call;
use super::Caller;
use super::Form;
use super::Graph;
use super::GraphError;
use super::Payload;
use super::Submitted;
use super::UploadSession;
use super::code;
use super::expect;
use super::message::ENTRY;
use super::message::WireAttachment;
use super::request_id;
use super::segment;
use super::submitted;
use crate::http::Answer;
use crate::mail::Address;
use crate::metrics::Operation;

/// What happened to a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftState {
    /// It has not been sent.
    Unsent,
    /// It has been sent.
    Sent(Submitted),
    /// No item has this ID at the moment.
    Absent,
}

/// An attachment without its bytes (Graph resource "fileAttachment").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAttachment<'a> {
    /// The file's name.
    pub name: &'a str,
    /// Media type.
    pub content_type: &'a str,
    /// Without angle brackets.
    pub content_id: Option<&'a str>,
    /// Whether it is shown within the body.
    pub is_inline: bool,
    /// Size in bytes.
    pub size: u64,
}

/// How many drafts with one Message-ID are looked at: more than one is rare.
const MOST_FOUND: usize = 10;

/// Smaller attachments are added in one request, which accepts less than 3 MB (Graph page
/// "Add attachment"). Microsoft does not say which 3 MB it means.
pub const LEAST_UPLOAD: u64 = 3_000_000;

impl Graph {
    /// Creates a draft and returns its immutable ID.
    ///
    /// # Errors
    ///
    /// Anything other than `201`.
    pub async fn create_draft(
        &self,
        caller: Caller<'_>,
        form: Form<'_>,
    ) -> Result<String, GraphError> {
        let call = Call {
            operation: Operation::CreateDraft,
            method: Method::POST,
            // The answer repeats the text of the message. Microsoft does not say whether `$select`
            // works for a POST.
            path: "messages?$select=id".to_owned(),
            payload: form.into(),
            immutable_ids: true,
            is_repeated: true,
        };
        let answer = self.call(caller, &call).await?;
        expect(201, &answer)?;
        let item: Item = json(&answer)?;
        Ok(item.id)
    }

    /// Sets a draft's blind recipients.
    ///
    /// # Errors
    ///
    /// Anything other than `200`.
    pub async fn set_blind(
        &self,
        caller: Caller<'_>,
        draft: &str,
        blind: &[Address],
    ) -> Result<(), GraphError> {
        let recipient =
            |address: &Address| serde_json::json!({"emailAddress": {"address": address.as_str()}});
        let blind: Vec<_> = blind.iter().map(recipient).collect();
        let payload = serde_json::json!({ "bccRecipients": blind });
        let call = of_draft(
            Method::PATCH,
            draft,
            "?$select=id",
            Payload::Json(payload.to_string().into()),
        );
        let answer = self.call(caller, &call).await?;
        expect(200, &answer)
    }

    /// Adds an attachment to a draft in one request: one of less than [`LEAST_UPLOAD`] bytes,
    /// or one that Graph finds too small for an upload session.
    ///
    /// # Errors
    ///
    /// Anything other than `201`.
    pub async fn attach(
        &self,
        caller: Caller<'_>,
        draft: &str,
        attachment: &FileAttachment<'_>,
        bytes: &Bytes,
    ) -> Result<(), GraphError> {
        let payload = WireAttachment::with(attachment, bytes);
        let payload = Payload::Json(to_json(&payload)?);
        let call = of_draft(Method::POST, draft, "/attachments?$select=id", payload);
        let answer = self.call(caller, &call).await?;
        expect(201, &answer)
    }

    /// Begins the upload of an attachment of [`LEAST_UPLOAD`] bytes or more (Graph page
    /// "attachment: createUploadSession").
    ///
    /// # Errors
    ///
    /// Anything other than `201`, and an upload URL on a host that is not Microsoft's.
    pub async fn create_upload_session(
        &self,
        caller: Caller<'_>,
        draft: &str,
        attachment: &FileAttachment<'_>,
    ) -> Result<UploadSession, GraphError> {
        let mut item = serde_json::json!({
            "attachmentType": "file",
            "name": attachment.name,
            "size": attachment.size,
            "contentType": attachment.content_type,
            "isInline": attachment.is_inline,
        });
        if let (Some(id), Some(item)) = (attachment.content_id, item.as_object_mut()) {
            item.insert("contentId".to_owned(), id.into());
        }
        let payload = serde_json::json!({ "AttachmentItem": item }).to_string();
        let call = of_draft(
            Method::POST,
            draft,
            "/attachments/createUploadSession",
            Payload::Json(payload.into()),
        );
        let answer = self.call(caller, &call).await?;
        expect(201, &answer)?;
        UploadSession::read(&answer, &self.place, attachment.size)
    }

    /// Sends a draft (Graph page "message: send"); Sent Items keeps a copy.
    ///
    /// # Errors
    ///
    /// Anything other than `202`.
    pub async fn send_draft(
        &self,
        caller: Caller<'_>,
        draft: &str,
    ) -> Result<Submitted, GraphError> {
        let call = of_draft(Method::POST, draft, "/send", Payload::Nothing);
        submitted(&self.call(caller, &call).await?)
    }

    /// Looks up what happened to a draft.
    ///
    /// # Errors
    ///
    /// Anything other than `200`, and than a `404` that is about the draft.
    pub async fn look(&self, caller: Caller<'_>, draft: &str) -> Result<DraftState, GraphError> {
        let call = of_draft(Method::GET, draft, "?$select=id,isDraft", Payload::Nothing);
        let answer = self.call(caller, &call).await?;
        if answer.status == 404 && !is_of_the_mailbox(&answer) {
            return Ok(DraftState::Absent);
        }
        expect(200, &answer)?;
        let item: Item = json(&answer)?;
        Ok(match item.is_draft {
            Some(true) => DraftState::Unsent,
            Some(false) => DraftState::Sent(Submitted {
                request_id: request_id(&answer),
            }),
            // A missing property means that nothing is known.
            None => DraftState::Absent,
        })
    }

    /// Returns the immutable IDs of the drafts with this Message-ID, whoever created them; at
    /// most `MOST_FOUND`.
    ///
    /// # Errors
    ///
    /// Anything other than `200`.
    pub async fn drafts_with(
        &self,
        caller: Caller<'_>,
        message_id: &str,
    ) -> Result<Vec<String>, GraphError> {
        let quoted = segment(&message_id.replace('\'', "''"));
        let call = Call {
            operation: Operation::Read,
            method: Method::GET,
            path: format!(
                "mailFolders/drafts/messages?$filter=internetMessageId%20eq%20'{quoted}'\
                 &$select=id,isDraft&$top={MOST_FOUND}"
            ),
            payload: Payload::Nothing,
            immutable_ids: true,
            is_repeated: false,
        };
        let answer = self.call(caller, &call).await?;
        expect(200, &answer)?;
        let page: Page = json(&answer)?;
        let drafts = page.value.into_iter();
        let drafts = drafts.filter(|item| item.is_draft == Some(true));
        Ok(drafts.map(|item| item.id).collect())
    }

    /// Returns what a draft was created with, or nothing if it is no longer a draft. The mark
    /// is requested only for drafts that were created from JSON.
    ///
    /// # Errors
    ///
    /// Anything other than `200` and `404`.
    pub async fn draft_origin(
        &self,
        caller: Caller<'_>,
        draft: &str,
        marked: bool,
    ) -> Result<DraftOrigin, GraphError> {
        // Graph returns these only on request (Graph pages "message resource type" and "Get
        // singleValueLegacyExtendedProperty").
        let mut options = "?$select=id,isDraft,internetMessageHeaders".to_owned();
        if marked {
            let property = segment(ENTRY);
            options.push_str(&format!(
                "&$expand=singleValueExtendedProperties($filter=id%20eq%20'{property}')"
            ));
        }
        let call = of_draft(Method::GET, draft, &options, Payload::Nothing);
        let answer = self.call(caller, &call).await?;
        if answer.status == 404 {
            return Ok(DraftOrigin::default());
        }
        expect(200, &answer)?;
        let item: Item = json(&answer)?;
        if item.is_draft != Some(true) {
            return Ok(DraftOrigin::default());
        }
        let marks = item.properties.into_iter();
        let mut marks = marks.filter(|it| it.id.eq_ignore_ascii_case(ENTRY));
        Ok(DraftOrigin {
            fields: item.fields,
            entry: marks.next().map(|it| it.value),
        })
    }

    /// Deletes a draft that will not be sent.
    ///
    /// # Errors
    ///
    /// Anything other than `204` and `404`.
    pub async fn delete_draft(&self, caller: Caller<'_>, draft: &str) -> Result<(), GraphError> {
        let call = of_draft(Method::DELETE, draft, "", Payload::Nothing);
        let answer = self.call(caller, &call).await?;
        if answer.status == 404 {
            return Ok(());
        }
        expect(204, &answer)
    }
}

fn of_draft<'a>(method: Method, draft: &str, behind: &str, payload: Payload<'a>) -> Call<'a> {
    // Of all requests about a draft, only sending it is a POST without a payload.
    let operation = match (&method, &payload) {
        (&Method::GET, _) => Operation::Read,
        (&Method::DELETE, _) => Operation::DeleteDraft,
        (&Method::POST, Payload::Nothing) => Operation::SendDraft,
        _ => Operation::FillDraft,
    };
    Call {
        operation,
        method,
        path: format!("messages/{}{behind}", segment(draft)),
        payload,
        immutable_ids: true,
        is_repeated: false,
    }
}

/// Whether a 404 says that the mailbox cannot be found, which says nothing about its
/// items. So does a 404 that is not from Graph.
fn is_of_the_mailbox(answer: &Answer) -> bool {
    const CODES: [&str; 5] = [
        "",
        "ErrorInvalidUser",
        "MailboxNotEnabledForRESTAPI",
        "ResourceNotFound",
        "Request_ResourceNotFound",
    ];
    CODES.contains(&code(answer).as_str())
}

/// The properties of a message resource that the relay reads.
#[derive(Deserialize)]
struct Item {
    id: String,
    #[serde(rename = "isDraft")]
    is_draft: Option<bool>,
    #[serde(rename = "internetMessageHeaders", default)]
    fields: Vec<HeaderField>,
    #[serde(rename = "singleValueExtendedProperties", default)]
    properties: Vec<Property>,
}

/// Graph resource "singleValueLegacyExtendedProperty".
#[derive(Deserialize)]
struct Property {
    id: String,
    value: String,
}

/// The part of a list that the relay reads.
#[derive(Deserialize)]
struct Page {
    value: Vec<Item>,
}

/// What a draft was created with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DraftOrigin {
    /// Its header fields.
    pub fields: Vec<HeaderField>,
    /// The entry with which [`super::Json::draft`] marked it.
    pub entry: Option<String>,
}

/// A header field of a message in a mailbox (Graph resource
/// "internetMessageHeader").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HeaderField {
    /// Its name.
    pub name: String,
    /// Its value, folded or unfolded.
    pub value: String,
}

fn to_json(value: &impl Serialize) -> Result<Bytes, GraphError> {
    let json = serde_json::to_vec(value).map_err(std::io::Error::from);
    json.map(Bytes::from).map_err(GraphError::Content)
}

fn json<T: for<'de> Deserialize<'de>>(answer: &Answer) -> Result<T, GraphError> {
    serde_json::from_slice(&answer.body).map_err(|_| GraphError::of(answer, request_id(answer)))
}
