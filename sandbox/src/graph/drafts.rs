//! Graph's messages: a draft is created, changed, deleted and sent, and what there is is looked at.

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Query;
use axum::http::HeaderValue;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::faults::fault::Station;
use crate::graph::call::Target;
use crate::graph::call::Work;
use crate::graph::call::content_length;
use crate::graph::errors::Refusal;
use crate::graph::errors::length_required;
use crate::graph::errors::unsupported;
use crate::graph::message::json;
use crate::graph::message::messages::Folder;
use crate::graph::message::messages::IdKind;
use crate::graph::message::messages::StoredMessage;
use crate::graph::message::messages::no_item;
use crate::graph::message::mime;
use crate::graph::message::resource;
use crate::graph::message::resource::Select;
use crate::server::call::Call;
use crate::store::Arrival;
use crate::store::Route;

/// `POST .../messages`: a draft from MIME or from JSON. It need not have recipients yet.
pub(crate) async fn create(Target { owner, .. }: Target, call: Call, body: Body) -> Response<Body> {
    let admitted = call.admit(&owner, &WRITE);
    call.answer(Station::Draft, admitted, body, |work| {
        let body = std::mem::take(&mut work.body);
        let (message, has_attachments) = match call.media_type().as_str() {
            "text/plain" => {
                let message = mime::read(&body)?;
                let has_attachments = mime::has_attachments(&message.raw);
                (message, has_attachments)
            }
            "application/json" => {
                let message = json::read_draft(body)?;
                let has_attachments = message.attachments.iter().any(|it| !it.inline);
                (message, has_attachments)
            }
            other => return Err(unsupported(other)),
        };
        call.note_recipients(&message);
        let item = StoredMessage::draft(&work.mailbox.upn, message, has_attachments);
        let mut response = call.resource(
            StatusCode::CREATED,
            &entity(&call, &item, &Select::default()),
        );
        let location = format!(
            "{}/v1.0/users('{}')/messages('{}')",
            call.base(),
            owner.named(work.mailbox),
            item.id(call.id_kind())
        );
        call.shared.messages.create(item)?;
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    })
    .await
}

/// `PATCH .../messages/{id}` of a draft: author, recipients, subject.
pub(crate) async fn change(
    Target { owner, item: id }: Target,
    call: Call,
    body: Body,
) -> Response<Body> {
    let admitted = call.admit(&owner, &WRITE);
    call.answer(Station::Patch, admitted, body, |work| {
        call.wants_json()?;
        let patch: json::Patch = json::parse(&work.body)?;
        let changed = call
            .shared
            .messages
            .change(&work.mailbox.upn, &id, |item| {
                patch.apply(&mut item.message)?;
                Ok(item.clone())
            })?;
        call.note_recipients(&changed.message);
        let changed = entity(&call, &changed, &Select::default());
        Ok(call.resource(StatusCode::OK, &changed))
    })
    .await
}

/// `DELETE .../messages/{id}`, with the uploads that it has open.
pub(crate) async fn delete(
    Target { owner, item: id }: Target,
    call: Call,
    body: Body,
) -> Response<Body> {
    let admitted = call.admit(&owner, &WRITE);
    call.answer(Station::Delete, admitted, body, |work| {
        let draft = call.shared.messages.delete(&work.mailbox.upn, &id)?;
        call.shared.uploads.forget(&draft);
        Ok(call.bare(StatusCode::NO_CONTENT))
    })
    .await
}

/// `GET .../messages/{id}`.
pub(crate) async fn one(
    Target { owner, item: id }: Target,
    Query(options): Query<Vec<(String, String)>>,
    call: Call,
    body: Body,
) -> Response<Body> {
    let admitted = call.admit(&owner, &READ);
    call.answer(Station::Look, admitted, body, |work| {
        let options = Options::read(options)?;
        let messages = &call.shared.messages;
        let item = messages.look(&work.mailbox.upn, &id, StoredMessage::clone)?;
        let mut found = entity(&call, &item, &options.select);
        if let (Some(property), Some(found)) = (options.property, found.as_object_mut()) {
            let properties = resource::properties(&item, &property);
            // Graph leaves the member out where there is none.
            if !properties.is_empty() {
                found.insert(PROPERTIES.to_owned(), properties.into());
            }
        }
        Ok(call.resource(StatusCode::OK, &found))
    })
    .await
}

/// `GET .../messages`.
pub(crate) async fn all(
    Target { owner, .. }: Target,
    Query(options): Query<Vec<(String, String)>>,
    call: Call,
    body: Body,
) -> Response<Body> {
    let admitted = call.admit(&owner, &READ);
    call.answer(Station::Look, admitted, body, |work| {
        list(&call, work, options, None)
    })
    .await
}

/// `GET .../mailFolders/{folder}/messages`, of the two folders that there are.
pub(crate) async fn of_folder(
    Target {
        owner,
        item: folder,
    }: Target,
    Query(options): Query<Vec<(String, String)>>,
    call: Call,
    body: Body,
) -> Response<Body> {
    let admitted = call.admit(&owner, &READ);
    call.answer(Station::Look, admitted, body, |work| {
        let folder = Folder::named(&folder).ok_or_else(no_item)?;
        list(&call, work, options, Some(folder))
    })
    .await
}

/// `POST .../messages/{id}/send`.
pub(crate) async fn send(
    Target { owner, item: id }: Target,
    call: Call,
    body: Body,
) -> Response<Body> {
    let admitted = call.admit(&owner, &["Mail.Send"]);
    call.answer(Station::Submit, admitted, body, |work| {
        submit(&call, work, &id)
    })
    .await
}

fn submit(call: &Call, work: &mut Work<'_>, id: &str) -> Result<Response<Bytes>, Refusal> {
    match content_length(&call.headers) {
        Some(0) => {}
        Some(_) => return Err(Refusal::bad("BadRequest", "The action takes no body.")),
        None => return Err(length_required()),
    }
    let mailbox = work.mailbox.upn.as_str();
    let messages = &call.shared.messages;
    let draft = messages.to_send(mailbox, id)?;
    call.note_recipients(&draft.message);
    draft.message.check(mailbox, &call.shared.settings)?;
    work.mailbox.messages.spend(1)?;
    if work.fault.is_none() {
        let message = &draft.message;
        let played = &call.shared.played;
        work.fault = played.due(mailbox, message.recipients(), message.identity());
    }
    if work.is_done() {
        let sent = messages.send(mailbox, id)?;
        let draft_id = sent.id(IdKind::Immutable);
        call.shared.uploads.forget(draft_id);
        call.shared.store.take(Arrival {
            route: Route::Draft,
            message_id: Some(sent.message_id),
            ..sent.message.arrival(mailbox, &call.exchange)
        });
    }
    Ok(call.bare(StatusCode::ACCEPTED))
}

fn list(
    call: &Call,
    work: &Work<'_>,
    options: Vec<(String, String)>,
    folder: Option<Folder>,
) -> Result<Response<Bytes>, Refusal> {
    let options = Options::read(options)?;
    let kind = call.id_kind();
    let wanted = |item: &StoredMessage| {
        folder.is_none_or(|folder| item.folder == folder)
            && options
                .message_id
                .as_ref()
                .is_none_or(|id| *id == item.message_id)
    };
    let messages = &call.shared.messages;
    let found = messages.list(&work.mailbox.upn, wanted, options.top);
    let found = found
        .iter()
        .map(|item| Value::Object(resource::message(item, kind, &options.select)));
    let page = json!({
        "@odata.context": format!("{CONTEXT}#users('{}')/messages", work.mailbox.upn),
        "value": found.collect::<Vec<_>>(),
    });
    Ok(call.resource(StatusCode::OK, &page))
}

/// A resource that is an answer by itself.
fn entity(call: &Call, item: &StoredMessage, select: &Select) -> Value {
    let context = format!("{CONTEXT}#users('{}')/messages/$entity", item.mailbox);
    let mut entity = Map::new();
    entity.insert("@odata.context".to_owned(), json!(context));
    entity.extend(resource::message(item, call.id_kind(), select));
    Value::Object(entity)
}

/// The query options that are known here.
struct Options {
    select: Select,
    message_id: Option<String>,
    /// The extended property to show.
    property: Option<String>,
    top: usize,
}

impl Options {
    fn read(given: Vec<(String, String)>) -> Result<Self, Refusal> {
        let mut select = None;
        let mut options = Self {
            select: Select::default(),
            message_id: None,
            property: None,
            top: USUAL_PAGE,
        };
        for (name, value) in given {
            match name.as_str() {
                "$select" => select = Some(value),
                "$filter" => options.message_id = Some(wanted_id(&value)?),
                "$top" => {
                    options.top = value.parse().map_err(|_| {
                        Refusal::bad("BadRequest", "The value of '$top' is no number.")
                    })?;
                }
                "$expand" => options.property = Some(wanted_property(&value)?),
                "$orderby" => {}
                other => {
                    return Err(Refusal::bad(
                        "BadRequest",
                        format!("The query option '{other}' is not known to the sandbox."),
                    ));
                }
            }
        }
        options.select = Select::of(select.as_deref());
        Ok(options)
    }
}

/// The id of `singleValueExtendedProperties($filter=id eq 'id')`, all that is expanded here.
fn wanted_property(expand: &str) -> Result<String, Refusal> {
    let rest = expand.trim().strip_prefix(PROPERTIES);
    let filter = rest.and_then(|rest| rest.strip_prefix("($filter=")?.strip_suffix(')'));
    let filter = filter
        .ok_or_else(|| Refusal::bad("BadRequest", "Parsing OData Select and Expand failed."))?;
    compared(filter, "id")
}

/// The id of `internetMessageId eq '<id>'`, the one filter known here. A quote within is doubled.
fn wanted_id(filter: &str) -> Result<String, Refusal> {
    compared(filter, "internetMessageId")
}

fn compared(filter: &str, member: &str) -> Result<String, Refusal> {
    let invalid = || Refusal::bad("ErrorInvalidUrlQueryFilter", "Invalid filter clause.");
    let rest = filter.trim().strip_prefix(member);
    let rest = rest.and_then(|rest| rest.trim_start().strip_prefix("eq "));
    let quoted = rest.ok_or_else(invalid)?.trim();
    let inner = quoted
        .strip_prefix('\'')
        .and_then(|it| it.strip_suffix('\''));
    let inner = inner.ok_or_else(invalid)?;
    if inner.replace("''", "").contains('\'') {
        return Err(invalid());
    }
    Ok(inner.replace("''", "'"))
}

/// The member with extended properties.
const PROPERTIES: &str = "singleValueExtendedProperties";

/// The application permissions that changing drafts needs.
pub(crate) const WRITE: [&str; 1] = ["Mail.ReadWrite"];

/// Those of which looking needs one.
pub(crate) const READ: [&str; 2] = ["Mail.Read", "Mail.ReadWrite"];

/// The beginning of `@odata.context`.
pub(crate) const CONTEXT: &str = "https://graph.microsoft.com/v1.0/$metadata";

/// Graph's page without `$top`.
const USUAL_PAGE: usize = 10;
