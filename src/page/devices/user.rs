//! The `[[user]]` of a device, also before it has come: removing it, and giving it another
//! password. Both ask first, because the device sends nothing until it has the new password.

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

use super::Row;
use super::add::Added;
use super::add::said;
use super::path_of_user;
use crate::admin::Applied;
use crate::admin::NotChanged;
use crate::config::User;
use crate::config::edit::Line;
use crate::config::edit::Side;
use crate::page::Broken;
use crate::page::Page;
use crate::page::devices::one::Waiting;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::visitor::Refused;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The name of a change that removes it, and that the relay may not write.
    change: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Confirmed {
    version: String,
}

#[derive(Template)]
#[template(path = "device_user.html")]
struct Shown {
    layout: Layout,
    name: String,
    /// Patterns of the addresses as which it may send.
    senders: String,
    account: Option<String>,
    /// The addresses at which it was seen.
    rows: Vec<Row>,
    /// Where it is seen whether the first message has come.
    waits: String,
    /// Where it is changed; none if the visitor may not.
    change: Option<String>,
    prepared: Option<Waiting>,
}

/// What is asked before a change.
#[derive(Template)]
#[template(path = "device_question.html")]
pub(super) struct Question {
    pub(super) layout: Layout,
    pub(super) back: String,
    pub(super) name: String,
    pub(super) title: &'static str,
    pub(super) words: &'static str,
    /// The version of the change, and its lines, if it is known before.
    pub(super) change: Option<(String, Vec<Line>)>,
    /// Why it cannot be, in English.
    pub(super) problems: Vec<String>,
    /// It was asked for another change than this one.
    pub(super) is_stale: bool,
}

pub(super) async fn show(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Broken> {
    let Some(user) = page.admin_state.user(&name) else {
        return Ok(super::unknown(&visitor));
    };
    let User { name, senders, .. } = user;
    let may_change = visitor.require(Role::Administrator).is_ok();
    let now = page.admin_state.means.clock.now();
    let devices = page.admin_state.devices().into_iter();
    let own = devices.filter(|it| it.client.is_some() && it.is_of(&name));
    let senders: Vec<String> = senders.iter().map(ToString::to_string).collect();
    let prepared = asked.change.filter(|_| may_change);
    crate::page::shown(&Shown {
        layout: page.layout(&visitor, Some(Tab::Devices)).await?,
        senders: senders.join(", "),
        account: user.account,
        rows: own.map(|it| Row::of(it, now, visitor.texts())).collect(),
        waits: super::add::waits(&name),
        change: may_change.then(|| path_of_user(&name, "")),
        prepared: prepared.and_then(|id| super::one::waiting(&page, &id)),
        name,
    })
}

pub(super) async fn ask_to_remove(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    visitor.require(Role::Administrator)?;
    removal(&page, &visitor, name, None).await
}

pub(super) async fn remove(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Form(confirmed): Form<Confirmed>,
) -> Result<Response, Refused> {
    let session = visitor.logged_in()?;
    visitor.audit_about(&name);
    let (admin_state, by, user) = (page.admin_state.clone(), session.name.clone(), name.clone());
    let version = confirmed.version;
    let removed = async move { admin_state.remove_user(&user, &version, &by).await };
    let removed = page.orders.spawn(removed).await;
    page.forget_status().await;
    let removed = removed.map_err(|_| Broken::Spool)?;
    match &removed {
        Ok(applied) => visitor.audit_change(applied),
        Err(why) => visitor.audit_refused(why.to_string()),
    }
    match removed {
        Ok(Applied::Prepared { id }) => {
            let to = format!("{}?change={id}", path_of_user(&name, ""));
            Ok(Redirect::to(&to).into_response())
        }
        Ok(Applied::Written(in_force)) => match in_force.error {
            None => Ok(Redirect::to("/devices").into_response()),
            Some(error) => removal(&page, &visitor, name, Some(vec![error])).await,
        },
        Err(NotChanged::Stale) => removal(&page, &visitor, name, Some(Vec::new())).await,
        Err(why) => removal(&page, &visitor, name, Some(said(&why))).await,
    }
}

/// The question whether to remove it; `problems` if that did not work, none of them if it is
/// another change by now.
async fn removal(
    page: &Page,
    visitor: &Visitor,
    name: String,
    problems: Option<Vec<String>>,
) -> Result<Response, Refused> {
    let texts = &visitor.texts().device_user;
    let is_stale = problems.as_ref().is_some_and(Vec::is_empty);
    let problems = problems.unwrap_or_default();
    let (change, problems) = match page.admin_state.removal(&name).await {
        Ok(change) => (Some((change.version(), change.lines())), problems),
        Err(NotChanged::Unknown(_)) if problems.is_empty() => return Ok(super::unknown(visitor)),
        Err(why) if problems.is_empty() => (None, said(&why)),
        Err(_) => (None, problems),
    };
    Ok(crate::page::shown(&Question {
        layout: page.layout(visitor, Some(Tab::Devices)).await?,
        back: path_of_user(&name, ""),
        name,
        title: texts.remove,
        words: texts.remove_question,
        change,
        problems,
        is_stale,
    })?)
}

pub(super) async fn ask_for_password(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    visitor.require(Role::Administrator)?;
    if page.admin_state.user(&name).is_none() {
        return Ok(super::unknown(&visitor));
    }
    new_password(&page, &visitor, name, Vec::new()).await
}

pub(super) async fn password(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    let session = visitor.logged_in()?;
    visitor.audit_about(&name);
    let Some(user) = page.admin_state.user(&name) else {
        return Ok(super::unknown(&visitor));
    };
    let (admin_state, by) = (page.admin_state.clone(), session.name.clone());
    let name = user.name.clone();
    let changed = async move { admin_state.new_password(&name, &by).await };
    let changed = page.orders.spawn(changed).await;
    page.forget_status().await;
    match changed.map_err(|_| Broken::Spool)? {
        Ok(changed) => {
            visitor.audit_change(&changed.applied);
            let layout = page.layout(&visitor, Some(Tab::Devices)).await?;
            let senders = user.senders.iter().map(ToString::to_string).collect();
            let card = Added::of(layout, user.name, senders, changed);
            Ok(crate::page::shown(&card.in_place_of_another())?)
        }
        Err(why) => {
            visitor.audit_refused(why.to_string());
            new_password(&page, &visitor, user.name, said(&why)).await
        }
    }
}

async fn new_password(
    page: &Page,
    visitor: &Visitor,
    name: String,
    problems: Vec<String>,
) -> Result<Response, Refused> {
    let texts = &visitor.texts().device_user;
    Ok(crate::page::shown(&Question {
        layout: page.layout(visitor, Some(Tab::Devices)).await?,
        back: path_of_user(&name, ""),
        name,
        title: texts.password,
        words: texts.password_question,
        change: Some((String::new(), Vec::new())),
        problems,
        is_stale: false,
    })?)
}
