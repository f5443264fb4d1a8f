//! Files of a draft: attaching a small one in one request, beginning the upload of a large one, and
//! listing both.

use axum::body::Body;
use axum::body::Bytes;
use axum::http::Response;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::faults::fault::Station;
use crate::graph::call::Target;
use crate::graph::call::Work;
use crate::graph::drafts::CONTEXT;
use crate::graph::drafts::READ;
use crate::graph::drafts::WRITE;
use crate::graph::errors::Refusal;
use crate::graph::errors::too_large;
use crate::graph::errors::unreadable;
use crate::graph::message::files;
use crate::graph::message::files::Label;
use crate::graph::message::files::NewAttachment;
use crate::graph::message::json;
use crate::graph::message::messages::IdKind;
use crate::graph::message::submission::message_too_large;
use crate::server::call::Call;
use crate::time;

/// `POST .../attachments`: a whole file in base64.
pub(crate) async fn attach(
    Target { owner, item: id }: Target,
    call: Call,
    body: Body,
) -> Response<Body> {
    let admitted = call.admit(&owner, &WRITE);
    call.answer(Station::Attach, admitted, body, |work| {
        call.wants_json()?;
        let given: NewAttachment = json::parse(&work.body)?;
        let attachment = given
            .file()?
            .ok_or_else(|| unreadable("The sandbox attaches nothing but a fileAttachment."))?;
        if attachment.content.len() as u64 >= call.shared.settings.attach_limit {
            return Err(too_large());
        }
        let content = STANDARD.encode(&attachment.content);
        let mut answer = Map::new();
        let user = owner.named(work.mailbox);
        let context = format!("{CONTEXT}#users('{user}')/messages('{id}')/attachments/$entity");
        answer.insert("@odata.context".to_owned(), json!(context));
        answer.extend(files::resource(&attachment));
        answer.insert("contentBytes".to_owned(), json!(content));
        let messages = &call.shared.messages;
        messages.attach(&work.mailbox.upn, &id, attachment)?;
        Ok(call.resource(StatusCode::CREATED, &Value::Object(answer)))
    })
    .await
}

/// `GET .../attachments`: the files of a message, without their content. Query options are ignored.
pub(crate) async fn list(
    Target { owner, item: id }: Target,
    call: Call,
    body: Body,
) -> Response<Body> {
    let admitted = call.admit(&owner, &READ);
    call.answer(Station::Look, admitted, body, |work| {
        let messages = &call.shared.messages;
        let attachments = messages.look(&work.mailbox.upn, &id, |item| {
            let attachments = item.message.attachments.iter();
            attachments.map(files::resource).collect::<Vec<_>>()
        })?;
        let user = owner.named(work.mailbox);
        let context = format!("{CONTEXT}#users('{user}')/messages('{id}')/attachments");
        let page = json!({"@odata.context": context, "value": attachments});
        Ok(call.resource(StatusCode::OK, &page))
    })
    .await
}

/// `POST .../attachments/createUploadSession`.
pub(crate) async fn create_session(
    Target { owner, item: id }: Target,
    call: Call,
    body: Body,
) -> Response<Body> {
    let admitted = call.admit(&owner, &WRITE);
    call.answer(Station::Session, admitted, body, |work| {
        call.wants_json()?;
        begin(&call, work, &id)
    })
    .await
}

fn begin(call: &Call, work: &Work<'_>, id: &str) -> Result<Response<Bytes>, Refusal> {
    let action: Map<String, Value> = json::parse(&work.body)?;
    let mut item = None;
    for (name, value) in action {
        if !name.eq_ignore_ascii_case("AttachmentItem") {
            return Err(unreadable(&format!(
                "The parameter '{name}' in the request payload is not a valid parameter for the \
                 operation 'createUploadSession'."
            )));
        }
        item = Some(value);
    }
    let item = item.ok_or_else(|| unreadable("The parameter 'AttachmentItem' is missing."))?;
    let item: AttachmentItem =
        serde_json::from_value(item).map_err(|error| unreadable(&error.to_string()))?;
    let size = item.size;
    let settings = &call.shared.settings;
    let label = item.label()?;
    if size < settings.session_minimum {
        return Err(Refusal::bad(
            "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
            "The attachment size is below the minimum of an upload session.",
        ));
    }
    if size > settings.session_limit {
        return Err(message_too_large());
    }
    let mailbox = &work.mailbox.upn;
    let uploads = &call.shared.uploads;
    let messages = &call.shared.messages;
    messages.may_grow(mailbox, size.saturating_add(uploads.promised(mailbox)))?;
    let draft = messages.change(mailbox, id, |item| {
        Ok(item.id(IdKind::Immutable).to_owned())
    })?;
    let begun = uploads.begin(work.mailbox, draft, label, size, settings);
    call.shared.secrets.note(&begun.token);
    let answer = json!({
        "@odata.context": format!("{CONTEXT}#microsoft.graph.uploadSession"),
        "uploadUrl": format!(
            "{}/api/gv1.0/users('{mailbox}@{}')/messages('{id}')/AttachmentSessions('{}')\
             ?authtoken={}",
            call.shared.upload_host, settings.tenant, begun.id, begun.token
        ),
        "expirationDateTime": time::fine(begun.until),
        "nextExpectedRanges": ["0-"],
    });
    Ok(call.resource(StatusCode::CREATED, &answer))
}

/// The file to upload, as the action's parameter describes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AttachmentItem {
    #[serde(rename = "@odata.type")]
    _odata_type: Option<String>,
    attachment_type: String,
    name: String,
    size: u64,
    content_type: Option<String>,
    is_inline: Option<bool>,
    content_id: Option<String>,
}

impl AttachmentItem {
    fn label(self) -> Result<Label, Refusal> {
        if !self.attachment_type.eq_ignore_ascii_case("file") {
            return Err(unreadable("The sandbox uploads nothing but files."));
        }
        if self.name.is_empty() {
            return Err(unreadable("The property 'name' is empty."));
        }
        Ok(Label {
            name: self.name,
            content_type: self.content_type,
            content_id: self.content_id,
            inline: self.is_inline.unwrap_or_default(),
        })
    }
}
