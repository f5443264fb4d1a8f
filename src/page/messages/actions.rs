//! What an operator does with messages: retry, hold, release, drop, and send again.
//!
//! What concerns several messages, and every drop, is asked about first, with their number
//! and with everybody who receives them: a row of the list is one recipient, and an order
//! is about the whole message. Each order is kept at the desk (`desk.rs`); the answer to a
//! form leads to its page.

use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use super::desk;
use super::desk::Given;
use super::desk::Stage;
use super::desk::What;
use super::search::Asked;
use super::search::NOTHING_SELECTED;
use crate::admin::AuditAction;
use crate::admin::AuditResult;
use crate::admin::ToResend;
use crate::mail::ForwardPath;
use crate::mail::SpoolId;
use crate::page::Broken;
use crate::page::Page;
use crate::page::layout;
use crate::page::visitor::Refused;
use crate::page::visitor::Visitor;
use crate::spool::Action;
use crate::spool::NotResent;
use crate::spool::Sought;
use crate::spool::ToMatch;
use crate::telemetry::operatorlog;

/// Messages of one order that names them: as many as a page lists, and more.
const MOST: usize = 500;
/// Messages of an order for all that match.
const MOST_MATCHING: usize = 100_000;
/// How long the search for them may take: less than a request may.
const PATIENCE: Duration = Duration::from_secs(12);
/// Recipients that a question names.
pub(super) const MOST_NAMED: usize = 1000;

/// A form: its fields in their order, and some of them several times.
#[derive(Debug)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    fn first(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    fn ids(&self) -> Vec<SpoolId> {
        let mut ids: Vec<SpoolId> = self.all("id").filter_map(|id| id.parse().ok()).collect();
        ids.sort();
        ids.dedup();
        ids.truncate(MOST);
        ids
    }

    fn action(&self) -> Option<Action> {
        match self.first("action") {
            "retry" => Some(Action::Retry),
            "hold" => Some(Action::Hold),
            "release" => Some(Action::Release),
            "drop" => Some(Action::Drop),
            _ => None,
        }
    }

    /// Where the order came from, if that is a list or a message.
    fn back(&self) -> String {
        let back = self.first("back");
        if is_list(back) || is_message(back) {
            back
        } else {
            "/messages"
        }
        .to_owned()
    }
}

fn is_list(back: &str) -> bool {
    back == "/messages" || back.starts_with("/messages?")
}

fn is_message(back: &str) -> bool {
    let id = back.strip_prefix("/messages/");
    id.is_some_and(|id| id.parse::<SpoolId>().is_ok())
}

/// A browser goes there with GET (RFC 9110 15.4.4).
fn to_order(order: &Given) -> Response {
    Redirect::to(&format!("/messages/orders/{}", order.key)).into_response()
}

pub(super) async fn act(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    let session = visitor.logged_in()?;
    let fields = Fields(fields);
    let back = fields.back();
    let Some(action) = fields.action() else {
        visitor.audit_nothing();
        return Ok(Redirect::to(&back).into_response());
    };
    let (ids, is_cut) = match fields.first("all") {
        "" => (fields.ids(), false),
        _ => all_of(&page, action, &back).await?,
    };
    if ids.is_empty() && fields.first("all").is_empty() {
        visitor.audit_nothing();
        return Ok(Redirect::to(&nothing_selected(&back)).into_response());
    }
    let named = ids.iter().take(MOST_NAMED).copied().collect();
    let concerned = page.admin_state.spool.concerned(named, MOST_NAMED).await?;
    // A row of a list is one recipient; the page of a message names all.
    let is_wider = is_list(&back) && concerned.iter().any(|it| it.recipients.len() > 1);
    let asks = ids.len() != 1 || action == Action::Drop || is_wider;
    let what = What::Change {
        action,
        ids: ids.into(),
        concerned,
        is_cut,
    };
    give(&page, &visitor, &session.name, what, back, asks).await
}

/// Keeps an order at the desk. It is carried out at once, unless its page asks first.
async fn give(
    page: &Arc<Page>,
    visitor: &Visitor,
    user: &str,
    what: What,
    back: String,
    asks: bool,
) -> Result<Response, Refused> {
    let order = page.desk.put(what, back, user);
    let order = order.map_err(|_| Broken::Template)?;
    if asks {
        visitor.audit_nothing();
    } else {
        carry_out(page, visitor, user, &order).await;
    }
    Ok(to_order(&order))
}

/// The list that says that nothing was selected there.
fn nothing_selected(back: &str) -> String {
    let (name, value) = NOTHING_SELECTED;
    let separator = if back.contains('?') { '&' } else { '?' };
    format!("{back}{separator}{name}={value}")
}

/// All messages that match the list with this address, as far as the action applies to
/// them; and whether there are more.
async fn all_of(page: &Page, action: Action, list: &str) -> Result<(Vec<SpoolId>, bool), Refused> {
    let address: Result<Uri, _> = list.parse();
    let asked = address
        .ok()
        .and_then(|it| Query::<Asked>::try_from_uri(&it).ok());
    let Some(Query(asked)) = asked.filter(|_| is_list(list)) else {
        return Ok((Vec::new(), false));
    };
    let Ok(filter) = asked.filter() else {
        return Ok((Vec::new(), false));
    };
    let wanted = ToMatch {
        sought: Sought::of(asked.text()),
        filter,
        action: Some(action),
        limit: MOST_MATCHING,
        patience: PATIENCE,
    };
    let found = page.admin_state.spool.matching(wanted).await?;
    Ok((found.ids, !found.is_all))
}

/// Somebody confirms an order.
pub(super) async fn confirm(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(key): Path<String>,
) -> Result<Response, Refused> {
    let session = visitor.logged_in()?;
    let Some(order) = page.desk.find(&key) else {
        return Ok(gone(&visitor));
    };
    match order.now().0 {
        Stage::Asked => carry_out(&page, &visitor, &session.name, &order).await,
        Stage::Running | Stage::Finished => visitor.audit_nothing(),
    }
    Ok(to_order(&order))
}

/// Carries an order out, and says in the log and in the audit list who gives it and what came
/// of it.
async fn carry_out(page: &Arc<Page>, visitor: &Visitor, user: &str, order: &Arc<Given>) {
    let (action, about) = match &order.what {
        What::Change { action, ids, .. } => {
            let ids: Vec<String> = ids
                .iter()
                .take(MOST_NAMED)
                .map(|it| it.to_string())
                .collect();
            (AuditAction::from(*action), ids.join(" "))
        }
        What::Resend { wanted, .. } => {
            let to: Vec<String> = wanted.to.iter().map(|it| it.to_string()).collect();
            (
                AuditAction::Resend,
                format!("{} {}", wanted.id, to.join(" ")),
            )
        }
    };
    operatorlog::page_action(visitor.client, user, action.word(), order.count());
    visitor.audit(action, about);
    desk::begin(page, order).await;
    let (result, why) = order.result();
    visitor.audit_result(result, why);
    if result == AuditResult::Begun {
        let (page, order, visitor) = (Arc::clone(page), Arc::clone(order), visitor.apart());
        page.orders.clone().spawn(async move {
            order.ended().await;
            let (result, why) = order.result();
            visitor.audit_result(result, why);
            page.record(&visitor, StatusCode::OK).await;
        });
    }
}

/// An order that is no longer kept.
pub(super) fn gone(visitor: &Visitor) -> Response {
    let texts = &visitor.texts().order;
    layout::told(visitor, StatusCode::NOT_FOUND, texts.gone_title, texts.gone)
}

pub(super) async fn resend(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(id): Path<SpoolId>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    let session = visitor.logged_in()?;
    let fields = Fields(fields);
    let back = format!("/messages/{id}");
    visitor.audit_about(id.to_string());
    let Some(to) = recipients(&page, id, &fields).await? else {
        visitor.audit_refused("not an address");
        let place = format!("{back}?wrong=address#resend-title");
        return Ok(Redirect::to(&place).into_response());
    };
    let wanted = ToResend {
        id,
        to,
        confirmed: false,
    };
    // What keeps it from being sent is told when it is tried.
    let question = page.admin_state.resend_question(&wanted).await;
    let asks = question.is_some();
    let what = What::Resend { wanted, question };
    give(&page, &visitor, &session.name, what, back, asks).await
}

/// Who receives a copy: nobody named means the original recipients. None if what was typed
/// is neither an address nor a name that somebody receives mail for.
async fn recipients(
    page: &Page,
    id: SpoolId,
    fields: &Fields,
) -> Result<Option<Vec<ForwardPath>>, Refused> {
    let typed = fields.first("to");
    let mailbox = match fields.first("whom") {
        "original" => return Ok(Some(Vec::new())),
        "mailbox" => {
            let shown = page.admin_state.message(id).await?;
            Some(
                shown
                    .and_then(|it| it.entry.summary.mailbox)
                    .unwrap_or_default(),
            )
        }
        _ => None,
    };
    let typed = mailbox.as_deref().unwrap_or(typed);
    let named = typed.split([',', ';', ' ']).filter(|it| !it.is_empty());
    let to: Result<Vec<ForwardPath>, _> = named.map(str::parse).collect();
    let config = page.admin_state.configuration.in_force();
    let is_known =
        |path: &ForwardPath| path.address().is_some() || config.aliases.resolve(path).is_ok();
    Ok(to
        .ok()
        .filter(|to| !to.is_empty() && to.iter().all(is_known)))
}

/// Why a message cannot be sent again, in English; nothing if it can.
pub(super) async fn why_not_resent(page: &Page, id: SpoolId) -> Result<Option<String>, Broken> {
    match page.admin_state.spool.original(id).await {
        Ok(_) => Ok(None),
        Err(NotResent::Refused(why)) => Ok(Some(why)),
        Err(NotResent::Unknown | NotResent::NotAccepted(_)) => Ok(Some(String::new())),
        Err(NotResent::Spool(error)) => Err(error.into()),
    }
}
