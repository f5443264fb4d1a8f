//! A restart of the relay from the page, and how it ended.
//!
//! A browser that asks while the relay restarts waits for the answer: the page accepts no new
//! connection from the order on, and its socket stays open (`service/restart.rs`). So the page
//! that says that the relay restarts goes on at once, without scripts, and arrives when the
//! relay is there again.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use crate::admin::AuditResult;
use crate::page::Broken;
use crate::page::Page;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::visitor::Refused;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;
use crate::telemetry::operatorlog;

/// Where a browser waits for the relay.
const PATH: &str = "/setup/restart";

#[derive(Template)]
#[template(path = "setup_restart.html")]
struct Restarts {
    layout: Layout,
    path: &'static str,
}

#[derive(Template)]
#[template(path = "setup_restarted.html")]
struct Restarted {
    layout: Layout,
    /// Why the relay goes on with the configuration before.
    error: Option<String>,
    /// What in relay.toml is not in force, in English.
    left: Option<String>,
}

pub(super) async fn restart(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
) -> Result<Response, Refused> {
    let session = visitor.logged_in()?;
    let restarts = restarts(&page, &visitor).await?;
    operatorlog::restart(&session.name);
    visitor.audit_result(AuditResult::Begun, "");
    if let Some(act) = visitor.act(restarts.status()) {
        page.admin_state.configuration.restart_soon(act);
    }
    Ok(restarts)
}

async fn restarts(page: &Page, visitor: &Visitor) -> Result<Response, Broken> {
    let layout = page.layout(visitor, Some(Tab::Setup)).await?;
    let path = PATH;
    let mut response = crate::page::shown(&Restarts { layout, path })?;
    // The next request has to come on a new connection, which waits for the relay that comes.
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    Ok(response)
}

/// How the restart ended.
pub(super) async fn show(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
) -> Result<Response, Refused> {
    visitor.require_to_see(Role::Administrator)?;
    let configuration = &page.admin_state.configuration;
    if configuration.is_restarting() {
        return Ok(restarts(&page, &visitor).await?);
    }
    let Some(last) = configuration.last_restart() else {
        return Ok(Redirect::to("/setup").into_response());
    };
    let layout = page.layout(&visitor, Some(Tab::Setup)).await?;
    // What to do about it is in the notice at the top.
    let left = page.status().await?.configuration.trouble();
    Ok(crate::page::shown(&Restarted {
        layout,
        error: last.error,
        left: left.map(|(words, _)| words),
    })?)
}
