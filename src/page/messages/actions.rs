//! What an operator does with messages: retry, hold, release, drop, and send again.
//!
//! What concerns several messages, and every drop, is asked about first, with their
//! number. An order that has begun is finished, even if the browser has gone.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use crate::admin::ResendAnswer;
use crate::admin::ToResend;
use crate::mail::Address;
use crate::mail::SpoolId;
use crate::page::Broken;
use crate::page::Page;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::texts::MessageTexts;
use crate::page::visitor::NotAllowed;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;
use crate::platform::users;
use crate::spool::Action;
use crate::spool::Decision;
use crate::spool::Order;
use crate::spool::Verdict;
use crate::spool::Which;
use crate::telemetry::operatorlog;

/// Messages of one order: as many as a page lists, and more.
const MOST: usize = 500;

/// A question, or what came of an order.
#[derive(Template)]
#[template(path = "decided.html")]
struct Decided {
    layout: Layout,
    title: String,
    words: Option<String>,
    /// What the relay says about single messages, in English.
    remarks: Vec<(SpoolId, String)>,
    /// Fields of the form that confirms; none after the order.
    confirm: Option<Confirm>,
    back: String,
}

struct Confirm {
    path: String,
    fields: Vec<(&'static str, String)>,
    button: String,
    class: &'static str,
}

/// Why an order is not carried out.
pub(super) enum Refused {
    Role(NotAllowed),
    Page(Broken),
}

impl From<NotAllowed> for Refused {
    fn from(why: NotAllowed) -> Self {
        Self::Role(why)
    }
}

impl From<Broken> for Refused {
    fn from(why: Broken) -> Self {
        Self::Page(why)
    }
}

impl From<crate::spool::SpoolError> for Refused {
    fn from(why: crate::spool::SpoolError) -> Self {
        Self::Page(why.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Role(why) => why.into_response(),
            Self::Page(why) => why.into_response(),
        }
    }
}

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
        let is_own = back == "/messages" || back.starts_with("/messages?") || {
            let id = back.strip_prefix("/messages/");
            id.is_some_and(|id| id.parse::<SpoolId>().is_ok())
        };
        if is_own { back } else { "/messages" }.to_owned()
    }

    fn is_confirmed(&self) -> bool {
        !self.first("confirmed").is_empty()
    }
}

fn name(action: Action) -> &'static str {
    match action {
        Action::Retry => "retry",
        Action::Hold => "hold",
        Action::Release => "release",
        Action::Drop => "drop",
    }
}

pub(super) async fn act(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    let session = visitor.require(Role::Operator)?;
    let (texts, fields) = (&visitor.texts().message, Fields(fields));
    let (ids, back) = (fields.ids(), fields.back());
    let (Some(action), false) = (fields.action(), ids.is_empty()) else {
        return Ok(Redirect::to(&back).into_response());
    };
    let layout = page.layout(&visitor, Some(Tab::Messages)).await?;
    let count = ids.len();
    if !fields.is_confirmed() && (count > 1 || action == Action::Drop) {
        let ids = ids.iter().map(|id| ("id", id.to_string()));
        let others = [
            ("action", name(action).to_owned()),
            ("back", back.clone()),
            ("confirmed", "1".to_owned()),
        ];
        let question = Decided {
            layout,
            title: (texts.question)(action, count),
            words: (action == Action::Drop).then(|| texts.drop_help.to_owned()),
            remarks: Vec::new(),
            confirm: Some(Confirm {
                path: "/messages/actions".to_owned(),
                fields: others.into_iter().chain(ids).collect(),
                button: (texts.confirm)(action, count),
                class: if action == Action::Drop {
                    "danger"
                } else {
                    "primary"
                },
            }),
            back,
        };
        return Ok(super::super::shown(&question)?);
    }
    operatorlog::page_action(visitor.client, &session.name, name(action), count);
    let order = Order {
        action,
        which: Which::Ids(ids),
    };
    let admin_state = page.admin_state.clone();
    let order = page.orders.spawn(async move {
        let uid = users::own_uid();
        admin_state.act(order, uid).await
    });
    let decided = order.await.map_err(|_| Broken::Spool)??;
    page.forget_status().await;
    let layout = page.layout(&visitor, Some(Tab::Messages)).await?;
    Ok(super::super::shown(&conclusion(
        layout,
        action,
        &decided.decisions,
        back,
        texts,
    ))?)
}

fn conclusion(
    layout: Layout,
    action: Action,
    decisions: &[Decision],
    back: String,
    texts: &MessageTexts,
) -> Decided {
    let of = |verdict| decisions.iter().filter(|it| it.verdict == verdict).count();
    let unchanged = of(Verdict::Already) + of(Verdict::Refused);
    let remarks = decisions.iter().filter_map(|decision| {
        let remark = decision.remark.clone()?;
        Some((decision.id, remark))
    });
    Decided {
        layout,
        title: (texts.done)(action, of(Verdict::Done)),
        words: (unchanged > 0).then(|| (texts.unchanged)(unchanged)),
        remarks: remarks.collect(),
        confirm: None,
        back,
    }
}

pub(super) async fn resend(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(id): Path<SpoolId>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    let session = visitor.require(Role::Operator)?;
    let (texts, fields) = (&visitor.texts().message, Fields(fields));
    let mut decided = Decided {
        layout: page.layout(&visitor, Some(Tab::Messages)).await?,
        title: texts.not_resent.to_owned(),
        words: None,
        remarks: Vec::new(),
        confirm: None,
        back: format!("/messages/{id}"),
    };
    let named = fields.first("to").split([',', ';', ' ']);
    let named: Vec<&str> = named.filter(|it| !it.is_empty()).collect();
    let to: Result<Vec<Address>, _> = named.iter().map(|it| it.parse()).collect();
    let Ok(to) = to else {
        decided.words = Some(texts.not_an_address.to_owned());
        return Ok(super::super::shown(&decided)?);
    };
    let wanted = ToResend {
        id,
        to,
        confirmed: fields.is_confirmed(),
    };
    operatorlog::page_action(visitor.client, &session.name, "resend", 1);
    let admin_state = page.admin_state.clone();
    let resent = page.orders.spawn(async move {
        let uid = users::own_uid();
        admin_state.resend(wanted, uid).await
    });
    match resent.await.map_err(|_| Broken::Spool)? {
        Ok(ResendAnswer::Resent(resent)) => {
            let to: Vec<&str> = resent.recipients.iter().map(Address::as_str).collect();
            decided.title = (texts.resent)(&to.join(", "));
            decided.back = format!("/messages/{}", resent.id);
            let remarks = resent.remarks.into_iter().map(|remark| (id, remark));
            decided.remarks = remarks.collect();
            page.forget_status().await;
            decided.layout = page.layout(&visitor, Some(Tab::Messages)).await?;
        }
        Ok(ResendAnswer::Asks(question)) => {
            decided.title = texts.resend_question.to_owned();
            decided.remarks = vec![(id, question)];
            decided.confirm = Some(Confirm {
                path: format!("/messages/{id}/resend"),
                fields: vec![
                    ("to", fields.first("to").to_owned()),
                    ("confirmed", "1".to_owned()),
                ],
                button: texts.resend.to_owned(),
                class: "danger",
            });
        }
        Err(words) => decided.remarks = vec![(id, words)],
    }
    Ok(super::super::shown(&decided)?)
}
