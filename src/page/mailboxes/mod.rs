//! The mailboxes that sign in themselves: their state, signing in (`connect.rs`), links for
//! their users (`guests.rs`), and forgetting a sign-in.

mod connect;
pub(in crate::page) mod guests;
pub(in crate::page) mod texts;
pub(in crate::page) mod under_way;

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use tokio::time::Instant;

use self::texts::MailboxesTexts;
use super::Broken;
use super::Page;
use super::access::change::Who;
use super::access::change::change;
use super::layout::Layout;
use super::layout::Tab;
use super::visitor::Refused;
use super::visitor::Role;
use super::visitor::Visitor;
use crate::admin::AuditAction;
use crate::admin::DelegatedAccount;
use crate::admin::MailboxView;
use crate::admin::TokenState;
use crate::mail::Address;
use crate::platform::users;
use crate::telemetry::operatorlog;

/// Who may change something here.
const ADMINISTRATOR: Who = Who::Role(Role::Administrator);
/// The list.
const PATH: &str = "/mailboxes";

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route(PATH, get(list))
        .route(
            "/mailboxes/link",
            change(ADMINISTRATOR, AuditAction::MakeMailboxLink, invite),
        )
        .route(
            "/mailboxes/forget",
            change(ADMINISTRATOR, AuditAction::ForgetSignIn, forget),
        )
        .merge(connect::router())
}

/// A mailbox of the list.
struct Row {
    view: MailboxView,
    class: &'static str,
    state: &'static str,
}

impl Row {
    fn of(view: MailboxView, texts: &MailboxesTexts) -> Self {
        let class = match view.state {
            TokenState::Good | TokenState::NotAskedFor | TokenState::SignedIn => "ok",
            TokenState::Unavailable | TokenState::NotSignedIn => "warn",
            TokenState::Refused | TokenState::SignedOut => "bad",
        };
        Self {
            state: (texts.state_of)(view.state),
            class,
            view,
        }
    }

    fn has_signed_in(&self) -> bool {
        self.view.signed_in_at.is_some()
    }
}

#[derive(Template)]
#[template(path = "mailboxes.html")]
struct Mailboxes {
    layout: Layout,
    /// What has just happened.
    done: Option<String>,
    problem: Option<&'static str>,
    rows: Vec<Row>,
    accounts: Vec<DelegatedAccount>,
    may_change: bool,
    redirect_uri: String,
    /// Whether Entra accepts it.
    is_accepted: bool,
    /// The address of the page, if the visitor uses another one.
    elsewhere: Option<String>,
}

impl Mailboxes {
    fn open(&self) -> impl Iterator<Item = &DelegatedAccount> {
        self.accounts.iter().filter(|account| account.is_open)
    }

    fn is_web(&self) -> bool {
        self.accounts.iter().any(|account| account.has_credential)
    }

    fn is_public(&self) -> bool {
        self.accounts.iter().any(|account| !account.has_credential)
    }
}

#[derive(Debug, Deserialize)]
struct Asked {
    /// The mailbox whose sign-in was forgotten.
    forgotten: Option<String>,
    /// What was typed is not an address, or no account sends from it.
    unknown: Option<String>,
}

async fn list(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Broken> {
    let texts = &visitor.texts().mailboxes;
    let rows = page.admin_state.mailboxes().into_iter();
    super::shown(&Mailboxes {
        layout: page.layout(&visitor, Some(Tab::Mailboxes)).await?,
        done: asked.forgotten.map(|mailbox| (texts.forgotten)(&mailbox)),
        problem: asked.unknown.map(|_| texts.unknown),
        rows: rows.map(|view| Row::of(view, texts)).collect(),
        accounts: page.admin_state.delegated_accounts(),
        may_change: visitor.require(Role::Administrator).is_ok(),
        redirect_uri: page.url.to(guests::DONE),
        is_accepted: page.url.is_https() || page.url.host() == "localhost",
        elsewhere: (visitor.host != page.url.authority()).then(|| page.url.to(PATH)),
    })
}

/// A mailbox, as a form names it.
#[derive(Debug, Deserialize)]
struct Named {
    /// Empty: whichever sends from it.
    #[serde(default)]
    account: String,
    mailbox: String,
    confirmed: Option<String>,
}

/// Back to the list, which says that no account sends from this mailbox.
fn unknown(visitor: &Visitor) -> Response {
    visitor.audit_refused("no account sends from this mailbox");
    Redirect::to("/mailboxes?unknown=1").into_response()
}

#[derive(Template)]
#[template(path = "mailbox_link.html")]
struct Link {
    layout: Layout,
    title: String,
    url: String,
    /// Whether the address leads nowhere from another machine.
    is_only_here: bool,
}

/// Makes a link for the user of a mailbox, and shows it this once.
async fn invite(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Form(named): Form<Named>,
) -> Result<Response, Refused> {
    let session = visitor.logged_in()?;
    let Ok(mailbox) = named.mailbox.trim().parse::<Address>() else {
        return Ok(unknown(&visitor));
    };
    // An account that does not send from it is found out here, not by its user.
    let account = page.admin_state.sends_itself(&mailbox, &named.account);
    let Some(account) = account else {
        return Ok(unknown(&visitor));
    };
    let title = (visitor.texts().mailboxes.link_title)(mailbox.as_str());
    operatorlog::page_mailbox(visitor.client, &session.name, "link", &mailbox);
    visitor.audit_about(mailbox.as_str());
    let link = page.guests.invite(account, mailbox, Instant::now());
    let link = link.map_err(|_| Broken::Random)?;
    Ok(super::shown(&Link {
        layout: page.layout(&visitor, Some(Tab::Mailboxes)).await?,
        title,
        is_only_here: page.url.is_loopback(),
        url: page.url.to(&format!("{}?link={link}", guests::PATH)),
    })?)
}

#[derive(Template)]
#[template(path = "mailbox_forget.html")]
struct Forget {
    layout: Layout,
    title: String,
    named: Named,
}

/// Forgets a sign-in, after a question.
async fn forget(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Form(named): Form<Named>,
) -> Result<Response, Refused> {
    let session = visitor.logged_in()?;
    let Ok(mailbox) = named.mailbox.parse::<Address>() else {
        return Ok(unknown(&visitor));
    };
    if named.confirmed.is_none() {
        visitor.audit_nothing();
        let title = (visitor.texts().mailboxes.forget_question)(mailbox.as_str());
        return Ok(super::shown(&Forget {
            layout: page.layout(&visitor, Some(Tab::Mailboxes)).await?,
            title,
            named,
        })?);
    }
    operatorlog::page_mailbox(visitor.client, &session.name, "forget", &mailbox);
    visitor.audit_about(mailbox.as_str());
    let (admin_state, account) = (page.admin_state.clone(), named.account);
    let back = format!(
        "{PATH}?forgotten={}",
        percent_encoding::utf8_percent_encode(mailbox.as_str(), percent_encoding::NON_ALPHANUMERIC)
    );
    let order = page.orders.spawn(async move {
        let uid = users::own_uid();
        admin_state.forget_sign_in(&mailbox, &account, uid).await
    });
    let forgotten = order.await.map_err(|_| Broken::Spool)?;
    page.forget_status().await;
    Ok(match forgotten {
        Ok(_) => Redirect::to(&back).into_response(),
        Err(_) => unknown(&visitor),
    })
}
