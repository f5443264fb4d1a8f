//! Allowing a device what it was refused: the exact change of relay.toml is shown before it is
//! written.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use serde::Deserialize;

use super::path;
use crate::admin::Applied;
use crate::admin::AuditResult;
use crate::admin::DeviceView;
use crate::config::edit::Change;
use crate::config::edit::Line;
use crate::config::edit::Side;
use crate::page::Broken;
use crate::page::Page;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::texts::Language;
use crate::page::visitor::Refused;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    user: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Confirmed {
    #[serde(default)]
    user: String,
    #[serde(default)]
    version: String,
}

/// A change, as it is proposed.
struct Proposal {
    what: String,
    version: String,
    lines: Vec<Line>,
    warnings: Vec<String>,
}

#[derive(Template)]
#[template(path = "allow_device.html")]
struct Allow {
    layout: Layout,
    device: DeviceView,
    client: String,
    back: String,
    proposal: Option<Proposal>,
    /// Why there is none, or why it was not carried out; in English if it is the relay's.
    problem: Option<String>,
}

pub(super) async fn show(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(client): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    visitor.require(Role::Administrator)?;
    let Some((_, device)) = super::known(&page, &client, asked.user.as_deref()) else {
        return Ok(super::unknown(&visitor));
    };
    Ok(proposed(&page, &visitor, device, None).await?)
}

pub(super) async fn allow(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(client): Path<String>,
    Form(confirmed): Form<Confirmed>,
) -> Result<Response, Refused> {
    let session = visitor.logged_in()?;
    let texts = &visitor.texts().allow_device;
    let Some((_, device)) = super::known(&page, &client, Some(&confirmed.user)) else {
        return Ok(super::unknown(&visitor));
    };
    visitor.audit_about(super::name(&device));
    let permission = match page.admin_state.permission(&device).await {
        Ok(Some(permission)) if permission.change.version() == confirmed.version => permission,
        Ok(_) => {
            visitor.audit_refused("relay.toml has changed since the question, or needs no change");
            let problem = Some(texts.stale.to_owned());
            return Ok(proposed(&page, &visitor, device, problem).await?);
        }
        Err(error) => {
            visitor.audit_result(AuditResult::Failed, error.to_string());
            let problem = Some(error.to_string());
            return Ok(proposed(&page, &visitor, device, problem).await?);
        }
    };
    let what = (Language::English.texts().allow_device.what)(permission.kind, &permission.added);
    visitor.audit_about(format!("{}: {what}", super::name(&device)));
    let (admin_state, by) = (page.admin_state.clone(), session.name.clone());
    let applied = async move { admin_state.allow(permission, &by).await };
    let applied = page.orders.spawn(applied).await;
    page.forget_status().await;
    let back = path(&device);
    let to = |key: &str, value: &str| {
        let and = if back.contains('?') { '&' } else { '?' };
        Redirect::to(&format!("{back}{and}{key}={value}")).into_response()
    };
    let applied = applied.map_err(|_| Broken::Spool)?;
    match &applied {
        Ok(applied) => visitor.audit_change(applied),
        Err(error) => visitor.audit_result(AuditResult::Failed, error.to_string()),
    }
    match applied {
        Ok(Applied::Prepared { id }) => Ok(to("change", &id)),
        Ok(Applied::Written(in_force)) => match in_force.error {
            None => Ok(to("allowed", "1")),
            error => Ok(proposed(&page, &visitor, device, error).await?),
        },
        Err(error) => {
            let problem = Some(error.to_string());
            Ok(proposed(&page, &visitor, device, problem).await?)
        }
    }
}

/// The page with the change, and perhaps what was wrong with the last attempt.
async fn proposed(
    page: &Page,
    visitor: &Visitor,
    device: DeviceView,
    problem: Option<String>,
) -> Result<Response, Broken> {
    let texts = &visitor.texts().allow_device;
    let (permission, problem) = match page.admin_state.permission(&device).await {
        Ok(permission) => (permission, problem),
        Err(error) => (None, problem.or_else(|| Some(error.to_string()))),
    };
    let proposal = permission.map(|permission| Proposal {
        what: (texts.what)(permission.kind, &permission.added),
        version: permission.change.version(),
        lines: permission.change.lines(),
        warnings: warnings(&permission.change),
    });
    let problem = match &proposal {
        None => problem.or_else(|| Some(texts.nothing.to_owned())),
        Some(_) => problem,
    };
    crate::page::shown(&Allow {
        layout: page.layout(visitor, Some(Tab::Devices)).await?,
        back: path(&device),
        client: device.client.map_or_else(String::new, |it| it.to_string()),
        device,
        proposal,
        problem,
    })
}

/// What is allowed but probably wrong in the new file, in English.
fn warnings(change: &Change) -> Vec<String> {
    let warnings = change.config.warnings.iter();
    warnings.map(|it| it.in_file(&change.path)).collect()
}
