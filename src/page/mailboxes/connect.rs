//! Connecting a mailbox: its user signs in at Microsoft, and a test message follows.
//!
//! | step | by |
//! |---|---|
//! | `POST /connect/begin` | an administrator, or a guest for the guest's mailbox |
//! | `GET /connect/at/ID` shows the way to Microsoft | whoever began it |
//! | `GET /connect/done` keeps the answer, and goes on to the next | anybody who knows `state` |
//! | `GET /connect/at/ID` checks the answer, then shows how it ended | whoever began it |
//!
//! `GET /connect?link=` shows a link to its user, and `POST /connect` uses it up.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use tokio::time::Instant;
use ulid::Ulid;

use super::Named;
use super::guests;
use super::texts::MailboxesTexts;
use super::under_way::Seen;
use super::under_way::Stage;
use super::unknown;
use crate::admin::AuditAction;
use crate::admin::AuditResult;
use crate::admin::NotSignedIn;
use crate::admin::Why;
use crate::mail::Address;
use crate::mail::SpoolId;
use crate::page::Broken;
use crate::page::Page;
use crate::page::access::change::Who;
use crate::page::access::change::change;
use crate::page::access::cookies::Cookie;
use crate::page::badge::Badge;
use crate::page::layout;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::shown;
use crate::page::visitor::NotAllowed;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;
use crate::platform::users;
use crate::telemetry::complaints;
use crate::telemetry::operatorlog;

/// How long a page waits for Entra's answer; then it says that it waits.
const CHECK: Duration = Duration::from_secs(2);

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route(
            guests::PATH,
            get(welcome).merge(change(Who::Anybody, AuditAction::UseMailboxLink, enter)),
        )
        .route(
            guests::BEGIN,
            change(
                Who::GuestOr(Role::Administrator),
                AuditAction::ConnectMailbox,
                begin,
            ),
        )
        .route(guests::DONE, get(done))
        .route("/connect/at/{id}", get(at))
}

#[derive(Debug, Deserialize)]
struct Opened {
    #[serde(default)]
    link: String,
}

#[derive(Template)]
#[template(path = "connect_link.html")]
struct Welcome {
    layout: Layout,
    mailbox: Option<Address>,
    title: String,
    link: String,
}

/// What a link is for. Opening it does not use it up: programs look at links ahead.
async fn welcome(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(Opened { link }): Query<Opened>,
) -> Result<Response, Broken> {
    shown(&welcomed(&page, &visitor, link))
}

fn welcomed(page: &Page, visitor: &Visitor, link: String) -> Welcome {
    let texts = &visitor.texts().mailboxes;
    let mailbox = page.guests.mailbox(&link, Instant::now());
    Welcome {
        layout: Layout::new(&nobody(visitor), None, &page.hostname, Vec::new()),
        title: match &mailbox {
            Some(mailbox) => (texts.connect)(mailbox.as_str()),
            None => texts.wrong_link_title.to_owned(),
        },
        mailbox,
        link,
    }
}

/// The same visitor without a log-in: the page of a guest has no navigation.
fn nobody(visitor: &Visitor) -> Visitor {
    Visitor {
        session: None,
        ..visitor.clone()
    }
}

/// Uses a link up, and begins the sign-in of its mailbox.
async fn enter(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Form(Opened { link }): Form<Opened>,
) -> Result<Response, Broken> {
    let now = Instant::now();
    let Some((cookie, guest)) = page.guests.redeem(&link, now) else {
        complaints::not_logged_in(visitor.client, "the link to connect a mailbox is not valid");
        let refused = shown(&welcomed(&page, &visitor, String::new()))?;
        return Ok((StatusCode::FORBIDDEN, refused).into_response());
    };
    operatorlog::page_mailbox(visitor.client, GUEST, "enter", &guest.mailbox);
    visitor.audit_about(guest.mailbox.as_str());
    let (account, mailbox) = (guest.account, guest.mailbox);
    let mut response = go(&page, &visitor, &guest.csrf, &account, mailbox).await;
    Cookie::Guest.set(&mut response, &visitor, &cookie, guests::LONGEST.as_secs());
    Ok(response)
}

/// Whoever came by a link, in the log.
const GUEST: &str = "link for a mailbox";

/// Begins a sign-in.
async fn begin(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Form(named): Form<Named>,
) -> Result<Response, NotAllowed> {
    let Ok(mailbox) = named.mailbox.trim().parse::<Address>() else {
        return Ok(unknown(&visitor));
    };
    let (owner, name) = match (visitor.require(Role::Administrator), &visitor.guest) {
        (Ok(session), _) => (session.csrf.as_str(), session.name.as_str()),
        (Err(_), Some(guest))
            if guest.account == named.account && guest.mailbox.key() == mailbox.key() =>
        {
            (guest.csrf.as_str(), GUEST)
        }
        (Err(refused), _) => return Err(refused),
    };
    operatorlog::page_mailbox(visitor.client, name, "sign_in", &mailbox);
    visitor.audit_about(mailbox.as_str());
    visitor.audit_result(AuditResult::Begun, "");
    Ok(go(&page, &visitor, owner, &named.account, mailbox).await)
}

/// Begins a sign-in, and goes to its page.
async fn go(
    page: &Page,
    visitor: &Visitor,
    owner: &str,
    account: &str,
    mailbox: Address,
) -> Response {
    let redirect_uri = page.url.to(guests::DONE);
    let account = Some(account).filter(|account| !account.is_empty());
    let begun = page
        .admin_state
        .begin_in_browser(mailbox.clone(), account, redirect_uri);
    let Ok(begun) = begun.await else {
        return unknown(visitor);
    };
    let id = begun.id;
    page.under_way.begin(owner, mailbox, begun, Instant::now());
    Redirect::to(&format!("{}{id}", guests::AT)).into_response()
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    state: String,
}

/// The browser comes back, without its cookie: only a page of our own has it sent again.
async fn done(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(answer): Query<Answer>,
    uri: Uri,
) -> Result<Response, Broken> {
    let address = format!(
        "{}?{}",
        page.url.to(guests::DONE),
        uri.query().unwrap_or("")
    );
    let now = Instant::now();
    let Some(id) = page.under_way.come_back(&answer.state, address, now) else {
        let texts = &visitor.texts().mailboxes;
        let (title, words) = (texts.stale_title, texts.stale);
        return Ok(layout::told(
            &nobody(&visitor),
            StatusCode::NOT_FOUND,
            title,
            words,
        ));
    };
    layout::back(
        &nobody(&visitor),
        &page.hostname,
        format!("{}{id}", guests::AT),
    )
}

/// A sign-in and how far it is.
#[derive(Template)]
#[template(path = "connect.html")]
struct Connect {
    layout: Layout,
    title: String,
    account: String,
    mailbox: Address,
    csrf: String,
    redirect_uri: String,
    is_guest: bool,
    /// Where the user signs in, until then.
    url: Option<String>,
    failed: Option<Failed>,
    connected: Option<Connected>,
}

/// Why it failed.
struct Failed {
    help: String,
    why: Why,
}

/// That it succeeded.
struct Connected {
    waiting: Option<String>,
    test: Option<Test>,
    not_sent: Option<String>,
}

/// What became of the test message.
struct Test {
    id: SpoolId,
    badge: Badge,
    status: &'static str,
    /// In English.
    words: String,
    next: Option<String>,
    action: Option<String>,
    is_over: bool,
}

impl Connect {
    /// Whether the page shows something else soon.
    fn is_live(&self) -> bool {
        let tested = |connected: &Connected| connected.test.as_ref().is_none_or(|it| it.is_over);
        let is_over = self.connected.as_ref().is_some_and(tested);
        self.url.is_none() && self.failed.is_none() && !is_over
    }
}

async fn at(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Broken> {
    let seen = match id.parse() {
        Ok(id) => look(&page, &visitor, id).await,
        Err(_) => None,
    };
    let texts = &visitor.texts().mailboxes;
    let Some(seen) = seen else {
        let (title, words) = (texts.stale_title, texts.stale);
        return Ok(layout::told(&visitor, StatusCode::NOT_FOUND, title, words));
    };
    let is_guest = visitor.require(Role::Administrator).is_err();
    let layout = match is_guest {
        true => Layout::new(&nobody(&visitor), None, &page.hostname, Vec::new()),
        false => page.layout(&visitor, Some(Tab::Mailboxes)).await?,
    };
    let csrf = match (&visitor.guest, is_guest) {
        (Some(guest), true) => guest.csrf.clone(),
        _ => layout.csrf().to_owned(),
    };
    let mut connect = Connect {
        layout,
        title: (texts.connect)(seen.mailbox.as_str()),
        account: seen.account,
        mailbox: seen.mailbox,
        csrf,
        redirect_uri: page.url.to(guests::DONE),
        is_guest,
        url: None,
        failed: None,
        connected: None,
    };
    match seen.stage {
        Stage::Begun { url } => {
            connect.title = (texts.go_title)(connect.mailbox.as_str());
            connect.url = Some(url);
        }
        Stage::Returned { .. } | Stage::Checking => connect.title = texts.checking.to_owned(),
        Stage::Failed(why) => fail(&mut connect, why, texts),
        Stage::Connected { waiting, test } => {
            connect.title = (texts.connected)(connect.mailbox.as_str());
            connect.connected = Some(connected(&page, &visitor, waiting, test).await?);
        }
    }
    shown(&connect)
}

/// Looks at a sign-in, and checks the answer that it has got.
async fn look(page: &Arc<Page>, visitor: &Visitor, id: Ulid) -> Option<Seen> {
    let look = || page.under_way.look(id, visitor.tokens(), Instant::now());
    let seen = look()?;
    let Stage::Returned { address } = seen.stage else {
        return Some(seen);
    };
    let whose = (seen.account, seen.mailbox);
    let check = check(Arc::clone(page), visitor.client, id, whose, address);
    let check = page.orders.spawn(check);
    // It goes on by itself if it takes longer.
    let _ended = tokio::time::timeout(CHECK, check).await;
    look()
}

/// Asks Entra, and sends the test message.
async fn check(
    page: Arc<Page>,
    client: std::net::IpAddr,
    id: Ulid,
    (account, mailbox): (String, Address),
    address: String,
) {
    let uid = users::own_uid();
    let admin_state = &page.admin_state;
    let whose = (account.as_str(), &mailbox);
    let finished = admin_state.finish_in_browser(id, whose, &address, uid);
    let stage = match finished.await {
        Err(why) => Stage::Failed(why),
        Ok(signed_in) => {
            let test = admin_state.queue_test(&signed_in.account, &mailbox, client);
            Stage::Connected {
                waiting: signed_in.waiting,
                test: test.await.map_err(|error| error.to_string()),
            }
        }
    };
    page.under_way.end(id, stage);
    page.forget_status().await;
}

fn fail(connect: &mut Connect, failed: NotSignedIn, texts: &MailboxesTexts) {
    let (title, help) = (texts.obstacle)(failed.obstacle);
    connect.title = title.to_owned();
    connect.failed = Some(Failed {
        help: help.to_owned(),
        why: failed.why,
    });
}

async fn connected(
    page: &Page,
    visitor: &Visitor,
    waiting: usize,
    test: Result<SpoolId, String>,
) -> Result<Connected, Broken> {
    let texts = visitor.texts();
    let (test, not_sent) = match test {
        Ok(id) => {
            let text = id.to_string();
            let found = page.admin_state.history(&text, None, None, 1);
            let row = found.await?.rows.into_iter().next();
            let test = row.map(|row| {
                let badge = Badge::of(&row);
                Test {
                    id,
                    badge,
                    status: (texts.messages.status)(badge),
                    words: row.verdict.happened,
                    next: row.verdict.next,
                    action: row.verdict.action,
                    is_over: !matches!(badge, Badge::Waiting | Badge::Claimed),
                }
            });
            (test, None)
        }
        Err(words) => (None, Some(words)),
    };
    Ok(Connected {
        waiting: (waiting > 0).then(|| (texts.mailboxes.waiting)(waiting)),
        test,
        not_sent,
    })
}
