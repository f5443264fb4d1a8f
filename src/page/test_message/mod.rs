//! A test message: it goes the way of every other, and the page shows how long each step took,
//! what was not tested, and what to do if it fails. Works without scripts: the page reloads
//! itself until the message has ended, ever more slowly, and stops after some minutes.

pub(super) mod texts;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use self::texts::TestTexts;
use super::Broken;
use super::Page;
use super::access::change::Who;
use super::access::change::change;
use super::badge::Badge;
use super::layout;
use super::layout::Layout;
use super::visitor::Role;
use super::visitor::Visitor;
use crate::admin::AuditAction;
use crate::admin::AuditResult;
use crate::admin::NotTaken;
use crate::admin::NotTested;
use crate::admin::Order;
use crate::admin::Part;
use crate::admin::Tested;
use crate::mail::Address;
use crate::mail::ForwardPath;
use crate::spool::AttemptView;

/// Test messages whose first steps are remembered.
const MOST: usize = 16;

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route(
            "/test",
            get(form).merge(change(
                Who::Role(Role::Operator),
                AuditAction::SendTest,
                send,
            )),
        )
        .route("/test/{id}", get(show))
}

/// The last test messages.
#[derive(Debug, Default)]
pub(super) struct Tests(Mutex<VecDeque<Tested>>);

impl Tests {
    fn keep(&self, tested: Tested) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back(tested);
    }

    fn find(&self, id: &str) -> Option<Tested> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|it| it.id.to_string() == id).cloned()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    to: String,
    from: String,
    account: String,
}

#[derive(Template)]
#[template(path = "test_form.html")]
struct Asked {
    layout: Layout,
    fields: Fields,
    accounts: Vec<String>,
    /// What is wrong with a field.
    wrong: Option<Wrong>,
    /// Why it was not sent, in English.
    error: Vec<String>,
}

/// A field that is wrong, and why.
struct Wrong {
    part: Part,
    words: String,
    /// What a client would be told, in English.
    is_reply: bool,
}

impl Asked {
    /// Why the sender is wrong.
    fn wrong_from(&self) -> Option<&Wrong> {
        self.wrong.as_ref().filter(|it| it.part == Part::Sender)
    }

    /// Why the recipient is wrong.
    fn wrong_to(&self) -> Option<&Wrong> {
        self.wrong.as_ref().filter(|it| it.part == Part::Recipient)
    }
}

impl Page {
    async fn test_form(&self, visitor: &Visitor, fields: Fields) -> Result<Asked, Broken> {
        let accounts = self.admin_state.sign_ins.accounts().iter();
        Ok(Asked {
            layout: self.layout(visitor, None).await?,
            fields,
            accounts: accounts.map(|it| it.account().name.clone()).collect(),
            wrong: None,
            error: Vec::new(),
        })
    }
}

async fn form(State(page): State<Arc<Page>>, visitor: Visitor) -> Result<Response, Broken> {
    if let Err(refused) = visitor.require(Role::Operator) {
        return Ok(refused.into_response());
    }
    super::shown(&page.test_form(&visitor, Fields::default()).await?)
}

async fn send(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Form(fields): Form<Fields>,
) -> Result<Response, Broken> {
    visitor.audit_about(fields.to.trim());
    let to = fields.to.trim().parse::<ForwardPath>();
    let from = match fields.from.trim() {
        "" => Ok(None),
        from => from.parse::<Address>().map(Some),
    };
    let (to, from) = match (to, from) {
        (Ok(to), Ok(from)) => (to, from),
        (to, _) => {
            visitor.audit_refused("not an address");
            let wrong = Some(Wrong {
                part: match to.is_err() {
                    true => Part::Recipient,
                    false => Part::Sender,
                },
                words: visitor.texts().test.no_address.to_owned(),
                is_reply: false,
            });
            let form = page.test_form(&visitor, fields).await?;
            return unsent(&Asked { wrong, ..form });
        }
    };
    let account = Some(fields.account.clone()).filter(|name| !name.is_empty());
    let order = Order {
        client: visitor.client,
        account,
    };
    let sent = page.admin_state.test_delivery(to, from, order);
    match sent.await {
        Ok(tested) => {
            let id = tested.id.to_string();
            visitor.audit_result(AuditResult::Done, format!("queued as {id}"));
            page.tests.keep(tested);
            Ok(Redirect::to(&format!("/test/{id}")).into_response())
        }
        Err(why) => {
            visitor.audit_result(AuditResult::Failed, why.to_string());
            let form = page.test_form(&visitor, fields).await?;
            unsent(&form.because(why))
        }
    }
}

impl Asked {
    /// The form again, with why the message was not sent.
    fn because(self, why: NotTested) -> Self {
        let lines = |words: &str| words.lines().map(str::to_owned).collect();
        match why {
            NotTested::Token(words) => Self {
                error: lines(&words),
                ..self
            },
            NotTested::Refused(NotTaken {
                part: Part::Whole,
                reply,
                remedy,
            }) => Self {
                error: [reply, remedy]
                    .into_iter()
                    .filter(|it| !it.is_empty())
                    .collect(),
                ..self
            },
            NotTested::Refused(NotTaken {
                part,
                reply,
                remedy,
            }) => Self {
                wrong: Some(Wrong {
                    part,
                    words: format!("{reply}. {remedy}").trim_end().to_owned(),
                    is_reply: true,
                }),
                ..self
            },
        }
    }
}

fn unsent(form: &Asked) -> Result<Response, Broken> {
    Ok((StatusCode::UNPROCESSABLE_ENTITY, super::shown(form)?).into_response())
}

/// A step, and how long it took.
struct Hop {
    class: &'static str,
    words: String,
    took: String,
    /// What Graph said, in English.
    said: Option<String>,
}

#[derive(Template)]
#[template(path = "test_message.html")]
struct Shown {
    layout: Layout,
    id: String,
    badge: Badge,
    status: &'static str,
    /// In English.
    words: String,
    next: Option<String>,
    action: Option<String>,
    hops: Vec<Hop>,
    is_over: bool,
    /// After how many seconds the page loads itself again, and how often it has done so then.
    again: Option<(u32, u32)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Looked {
    /// How often the page has loaded itself.
    look: u32,
}

/// After how many seconds a page loads itself again that has done so this often: soon at first,
/// since most messages end within seconds, and after four minutes not at all.
fn again(look: u32) -> Option<u32> {
    match look {
        0..5 => Some(2),
        5..11 => Some(5),
        11..24 => Some(15),
        _ => None,
    }
}

async fn show(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(Looked { look }): Query<Looked>,
) -> Result<Response, Broken> {
    if let Err(refused) = visitor.require(Role::Operator) {
        return Ok(refused.into_response());
    }
    let texts = visitor.texts();
    // Before its attempts are read: what is over now has its last answer by then.
    let rows = page.admin_state.history(&id, None, None, 1).await?.rows;
    let found = match id.parse() {
        Ok(id) => page.admin_state.message(id).await?,
        Err(_) => None,
    };
    let (Some(shown), Some(row)) = (found, rows.into_iter().next()) else {
        let (title, words) = (texts.message.unknown_title, texts.message.unknown);
        return Ok(layout::told(&visitor, StatusCode::NOT_FOUND, title, words));
    };
    let badge = Badge::of(&row);
    let is_over = !matches!(badge, Badge::Waiting | Badge::Claimed);
    let tested = page.tests.find(&id);
    let before = tested.iter().flat_map(|it| first_hops(it, &texts.test));
    let attempts = shown.entry.timeline.iter();
    let attempts = attempts.map(|attempt| hop(attempt, &row.verdict.happened, &texts.test));
    super::shown(&Shown {
        layout: page.layout(&visitor, None).await?,
        id,
        badge,
        status: (texts.messages.status)(badge),
        hops: before.chain(attempts).collect(),
        words: row.verdict.happened.clone(),
        next: row.verdict.next,
        action: row.verdict.action,
        again: again(look)
            .filter(|_| !is_over)
            .map(|seconds| (seconds, look + 1)),
        is_over,
    })
}

/// What happened before the message was in the queue.
fn first_hops(tested: &Tested, texts: &TestTexts) -> Vec<Hop> {
    let hop = |words: String, took: Duration| Hop {
        class: "ok",
        words,
        took: format!("{} ms", took.as_millis()),
        said: None,
    };
    vec![
        hop((texts.token)(&tested.destination.account), tested.token),
        hop(texts.accepted.to_owned(), tested.accepted),
    ]
}

/// An attempt, without the reason that the verdict on the message has said already.
fn hop(attempt: &AttemptView, verdict: &str, texts: &TestTexts) -> Hop {
    let took = attempt.took_ms;
    let status = attempt.http_status.map(|status| format!("HTTP {status}"));
    let request = attempt
        .request_id
        .as_ref()
        .map(|id| format!("request-id {id}"));
    let is_new = |text: &&String| !verdict.contains(text.trim_end_matches('.'));
    let said = [
        status,
        attempt.code.as_ref().filter(is_new).cloned(),
        attempt.reason.as_ref().filter(is_new).cloned(),
        request,
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    let is_good = attempt.http_status.is_some_and(|status| status < 300);
    Hop {
        class: match (took, is_good) {
            (None, _) => "",
            (Some(_), true) => "ok",
            (Some(_), false) => "bad",
        },
        words: match took {
            Some(_) => texts.answered.to_owned(),
            None => texts.asking.to_owned(),
        },
        took: took.map_or_else(String::new, |took| format!("{took} ms")),
        said: (!said.is_empty()).then(|| said.join(", ")),
    }
}
