//! The admin page: what the relay does, in a browser. It is off unless `[admin] address`
//! is set.
//!
//! Promises:
//!
//! - The page cannot stop mail. Its connections, the time and the bytes of each, and the
//!   requests that work at once are bounded (`server.rs`, `access/`), whatever clients do.
//! - Nobody sees anything without a log-in, except for the log-in itself and the files of
//!   `static/`. Every request passes `access::guard`, which is the one place for the
//!   rules: Host, Origin, token, session.
//! - Beyond loopback it is served with TLS only: `config/admin.rs`.
//! - No secret is shown: what it shows is what the commands show, from the same functions
//!   of `admin`.
//! - Everything works without scripts; `static/` only adds to it.
//!
//! # To add to it
//!
//! - A page: a folder or file with a `router`, a template in `templates/` (at the
//!   top of the repository) that extends
//!   `layout.html`, a `layout::Tab`, and a line in `router`. Its handler takes
//!   `visitor::Visitor` and begins with `Page::layout`.
//! - A remedy, or anything else that may name a command: `{{ layout.remedy(text) }}` shows the
//!   page's own link or button in its place (`remedy.rs`). A label such as "What to do:" stands
//!   before it.
//! - A sentence of the relay: `{{ crate::page::sentence(text) }}`, for the moments in it
//!   (`moments.rs`).
//! - A text: a field in `texts/mod.rs`, which does not compile until each language has it.
//! - A change: a route by `access::change::change`, which says who may make it and what the
//!   audit list calls it, and a form with the hidden field `csrf`. The handler adds on what
//!   (`visitor::Visitor::audit_about`), and what came of it if the status of the answer does
//!   not say so (`audit_result`).

mod access;
mod assets;
mod attention;
mod audit;
mod badge;
mod devices;
mod doctor;
mod layout;
mod mailboxes;
mod messages;
mod moments;
mod overview;
mod remedy;
mod seen;
mod server;
mod setup;
mod test_message;
mod texts;
mod visible;
mod visitor;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::access::Access;
pub use self::access::sessions::Sessions;
use self::layout::Layout;
use self::layout::Tab;
use self::mailboxes::guests::Guests;
use self::mailboxes::under_way::UnderWay;
use self::messages::desk::Desk;
use self::moments::moment;
use self::moments::sentence;
use self::overview::counts::Counts;
use self::seen::Seen;
pub use self::setup::Outcomes;
use self::visible::visible;
use self::visitor::Visitor;
use crate::admin::AdminState;
use crate::admin::Status;
use crate::config::AdminPage;
use crate::config::PageUrl;

/// What all pages share.
#[derive(Debug)]
struct Page {
    admin_state: AdminState,
    /// The name of the relay.
    hostname: String,
    /// The beginning of its addresses, as browsers write them.
    url: PageUrl,
    /// In the sandbox, the page with the mail that arrived.
    inbox: Option<Arc<str>>,
    access: Access,
    /// Users who have a link to connect one mailbox.
    guests: Guests,
    /// The sign-ins of mailboxes.
    under_way: UnderWay,
    counts: Arc<Counts>,
    seen: Arc<Seen>,
    desk: Desk,
    /// One form of the set-up is saved at a time.
    saves: Mutex<()>,
    /// Secrets of forms that were not saved.
    held: setup::Held,
    /// What came of changes of relay.toml.
    outcomes: Outcomes,
    tests: test_message::Tests,
    /// Requests that may change something: once begun they are finished and recorded, even if the
    /// browser has gone.
    orders: TaskTracker,
    /// The last status that was read.
    status: Mutex<Option<(Instant, Arc<Status>)>>,
}

/// For how long a status is shown again: every page has what needs attention.
const AGAIN: Duration = Duration::from_secs(1);

/// Where and for whom the page is served.
#[derive(Debug)]
pub struct Settings {
    /// `[admin]`.
    pub page: AdminPage,
    /// The beginning of its addresses, as browsers write them.
    pub url: PageUrl,
    /// The name of the relay.
    pub hostname: String,
    /// In the sandbox, the page with the mail that arrived.
    pub inbox: Option<Arc<str>>,
    /// Who is logged in already.
    pub sessions: Sessions,
    /// What came of changes before a restart.
    pub outcomes: Outcomes,
    /// The certificate, beyond loopback.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Serves the page until `stop`. Requests that only read are cut off then; those that may change
/// something are finished first.
pub async fn run(
    socket: TcpListener,
    settings: Settings,
    admin_state: AdminState,
    stop: CancellationToken,
) {
    let orders = TaskTracker::new();
    let counts = Arc::new(Counts::new(
        admin_state.metrics.clone(),
        admin_state.means.clock.now(),
    ));
    let seen = Arc::<Seen>::default();
    let proxies = settings.page.proxies.clone();
    let spool = admin_state.spool.clone();
    let page = Page {
        access: Access::new(&settings, &admin_state),
        guests: Guests::default(),
        under_way: UnderWay::default(),
        hostname: settings.hostname,
        inbox: settings.inbox,
        url: settings.url,
        counts: Arc::clone(&counts),
        seen: Arc::clone(&seen),
        desk: Desk::until(stop.clone()),
        saves: Mutex::default(),
        held: setup::Held::default(),
        outcomes: settings.outcomes,
        tests: test_message::Tests::default(),
        status: Mutex::default(),
        orders: orders.clone(),
        admin_state: admin_state.clone(),
    };
    let configuration = page.admin_state.configuration.clone();
    let rests = async move { configuration.restart_asked_for().await };
    let routes = router(Arc::new(page));
    tokio::select! {
        () = server::serve(socket, settings.tls, proxies, routes, rests) => {}
        never = counts.keep(&spool) => match never {},
        never = seen.keep(&admin_state) => match never {},
        never = setup::forget_secrets(&admin_state) => match never {},
        () = stop.cancelled() => {}
    }
    orders.close();
    orders.wait().await;
}

fn router(page: Arc<Page>) -> Router {
    Router::new()
        .merge(overview::router())
        .merge(messages::router())
        .merge(devices::router())
        .merge(mailboxes::router())
        .merge(setup::router())
        .merge(test_message::router())
        .merge(access::log_in::router())
        .merge(access::entra::router())
        .merge(layout::router())
        .merge(audit::router())
        .merge(doctor::router())
        .merge(assets::router())
        .fallback(nothing_here)
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&page),
            access::guard,
        ))
        .with_state(page)
}

impl Page {
    /// The frame of a page: navigation, and what needs attention.
    async fn layout(&self, visitor: &Visitor, tab: Option<Tab>) -> Result<Layout, Broken> {
        let status = self.status().await?;
        let found = self.seen.look(&status);
        let mut notices = attention::notices(found, visitor.language);
        notices.extend(self.access.notice(visitor.language));
        if status.accounts.is_empty() {
            notices.insert(0, setup::needed(visitor));
        }
        Ok(Layout::new(visitor, tab, &self.hostname, notices))
    }

    /// The next page reads the status again: an order has changed it.
    async fn forget_status(&self) {
        *self.status.lock().await = None;
    }

    /// The status of the relay, a second old at most.
    async fn status(&self) -> Result<Arc<Status>, Broken> {
        // Whoever waits here gets the status that is being read.
        let mut last = self.status.lock().await;
        if let Some((at, status)) = &*last
            && at.elapsed() < AGAIN
        {
            return Ok(Arc::clone(status));
        }
        let status = Arc::new(self.admin_state.status().await);
        *last = Some((Instant::now(), Arc::clone(&status)));
        Ok(status)
    }
}

/// Why a page cannot be shown.
#[derive(Clone, Copy, Debug)]
enum Broken {
    /// The spool cannot be read.
    Spool,
    /// The template: a mistake of the relay.
    Template,
    /// This machine has no random numbers.
    Random,
}

impl From<askama::Error> for Broken {
    fn from(_: askama::Error) -> Self {
        Self::Template
    }
}

impl From<crate::spool::SpoolError> for Broken {
    fn from(_: crate::spool::SpoolError) -> Self {
        Self::Spool
    }
}

impl IntoResponse for Broken {
    fn into_response(self) -> Response {
        let words = match self {
            Self::Spool => {
                "The relay cannot read its spool. Run: graph-relay doctor\n\
                 Das Relay kann seinen Spool nicht lesen. Bitte ausführen: graph-relay doctor\n"
            }
            Self::Template => "This page could not be made. Please report it as a bug.\n",
            Self::Random => "This machine has no random numbers.\n",
        };
        (StatusCode::INTERNAL_SERVER_ERROR, words).into_response()
    }
}

/// A page as an answer.
fn shown(template: &impl askama::Template) -> Result<Response, Broken> {
    Ok(Html(visible(template.render()?)).into_response())
}

async fn nothing_here(visitor: Visitor) -> Response {
    let texts = visitor.texts();
    layout::told(
        &visitor,
        StatusCode::NOT_FOUND,
        texts.access.not_found_title,
        texts.access.not_found,
    )
}

/// The client of a connection.
#[derive(Clone, Copy, Debug)]
struct Connection {
    /// Its address.
    client: SocketAddr,
    /// The address that it has reached.
    local: SocketAddr,
    /// Whether it uses TLS.
    is_encrypted: bool,
}
