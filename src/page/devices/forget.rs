//! Forgetting a device that is no longer in use, or no longer at this address. It asks first. Only
//! the list of devices changes, so there is nothing to write into relay.toml; a `[[user]]` stays
//! until it is removed (`user.rs`).

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use serde::Deserialize;

use super::name;
use super::path;
use super::user::Question;
use crate::page::Page;
use crate::page::layout::Tab;
use crate::page::visitor::Refused;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    user: Option<String>,
}

pub(super) async fn ask(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(client): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    visitor.require(Role::Administrator)?;
    let Some((_, device)) = super::known(&page, &client, asked.user.as_deref()) else {
        return Ok(super::unknown(&visitor));
    };
    let texts = &visitor.texts().devices;
    Ok(crate::page::shown(&Question {
        layout: page.layout(&visitor, Some(Tab::Devices)).await?,
        back: path(&device),
        name: name(&device),
        title: texts.forget,
        words: texts.forget_question,
        change: Some((String::new(), Vec::new())),
        problems: Vec::new(),
        is_stale: false,
    })?)
}

pub(super) async fn forget(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(client): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let Some((client, device)) = super::known(&page, &client, asked.user.as_deref()) else {
        return super::unknown(&visitor);
    };
    visitor.audit_about(name(&device));
    match page
        .admin_state
        .forget_device(client, device.user.as_deref())
    {
        true => Redirect::to("/devices").into_response(),
        false => super::unknown(&visitor),
    }
}
