//! The content of one message: its header section, its texts, what is attached to it, and
//! all of it as a file.
//!
//! Mail is private, so the header section is for operators and the rest for
//! administrators only, and the log says who read it. What is shown is bounded (`mime`);
//! the file is sent piece by piece. HTML has an address of its own, whose
//! Content-Security-Policy permits nothing but its own styles and images within it, and is
//! shown in a frame that is a sandbox.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use futures_util::stream;

use crate::admin::MessageContent;
use crate::admin::NoContent;
use crate::admin::View;
use crate::mail::SpoolId;
use crate::page::Broken;
use crate::page::Page;
use crate::page::layout;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::visitor::Refused;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;
use crate::telemetry::operatorlog;

/// What HTML of a message may do: nothing, except for its own styles and the images within
/// it. Only this page may frame it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

#[derive(Template)]
#[template(path = "content.html")]
struct ContentPage {
    layout: Layout,
    /// With the Subject of the message.
    title: String,
    id: SpoolId,
    size: u64,
    view: View,
    /// Whether the visitor may read it, and not only its header section.
    may_read: bool,
}

pub(super) async fn show(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(id): Path<SpoolId>,
) -> Result<Response, Refused> {
    let session = visitor.require(Role::Operator)?;
    let may_read = visitor.require(Role::Administrator).is_ok();
    let content = match page.admin_state.content(id).await? {
        Ok(content) => content,
        Err(why) => return Ok(none(&visitor, &why)),
    };
    let action = if may_read { "read" } else { "read_header" };
    operatorlog::page_action(visitor.client, &session.name, action, 1);
    let mut view = match content.view().await {
        Ok(view) => view,
        Err(error) => return Ok(none(&visitor, &NoContent::Unreadable(error.to_string()))),
    };
    if !may_read {
        view = View {
            header: view.header,
            ..View::default()
        };
    }
    let shown = page.admin_state.message(id).await?;
    let subject = shown.and_then(|shown| shown.entry.summary.subject);
    let title = visitor.texts().content.title;
    Ok(crate::page::shown(&ContentPage {
        title: subject.map_or_else(|| title.to_owned(), |subject| format!("{title}: {subject}")),
        layout: page.layout(&visitor, Some(Tab::Messages)).await?,
        id,
        size: content.size(),
        view,
        may_read,
    })?)
}

/// The HTML text alone, for the frame.
pub(super) async fn html(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(id): Path<SpoolId>,
) -> Result<Response, Refused> {
    visitor.require(Role::Administrator)?;
    let view = match page.admin_state.content(id).await? {
        Ok(content) => content.view().await.map_err(|_| Broken::Spool)?,
        Err(why) => return Ok(none(&visitor, &why)),
    };
    let Some(html) = view.html else {
        return Ok(none(&visitor, &NoContent::Unknown));
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, html.text).into_response())
}

/// The whole message as a file.
pub(super) async fn raw(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(id): Path<SpoolId>,
) -> Result<Response, Refused> {
    let session = visitor.require(Role::Administrator)?;
    let content = match page.admin_state.content(id).await? {
        Ok(content) => content,
        Err(why) => return Ok(none(&visitor, &why)),
    };
    operatorlog::page_action(visitor.client, &session.name, "download", 1);
    let mut response = body(&content).into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("message/rfc822");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_LENGTH, content.size().into());
    // An id has only letters and digits.
    let name = format!("attachment; filename=\"{id}.eml\"");
    let name = HeaderValue::from_str(&name).map_err(|_| Broken::Template)?;
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// A file that becomes shorter while it is read breaks the answer off.
fn body(content: &MessageContent) -> Body {
    let pieces = stream::try_unfold(content.pieces(), |mut pieces| async move {
        let bytes = pieces.next().await?;
        Ok::<_, std::io::Error>(bytes.map(|bytes| (bytes, pieces)))
    });
    Body::from_stream(pieces)
}

/// Says why there is no content.
fn none(visitor: &Visitor, why: &NoContent) -> Response {
    let texts = visitor.texts();
    let (status, title, words) = match why {
        NoContent::Unknown => (
            StatusCode::NOT_FOUND,
            texts.message.unknown_title,
            texts.message.unknown,
        ),
        NoContent::Gone => (
            StatusCode::NOT_FOUND,
            texts.content.gone_title,
            texts.content.gone,
        ),
        NoContent::Unreadable(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            texts.content.unreadable_title,
            texts.content.unreadable,
        ),
    };
    layout::told(visitor, status, title, words)
}
