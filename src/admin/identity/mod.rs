//! Accounts and sign-ins: their state, and signing in.
//!
//! The relay handles the secrets (verifier, code, tokens). The command line shows the user
//! what to do and sends back the address at which the browser ended. `in_browser` is the same
//! for the admin page.

mod in_browser;
mod log_in;
mod test_message;

use axum::Extension;
use axum::Json;
use axum::Router;
use axum::extract;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;
use uuid::Uuid;

pub use self::in_browser::BrowserSignIn;
pub use self::in_browser::DelegatedAccount;
pub use self::in_browser::MailboxView;
pub use self::in_browser::NotSignedIn;
pub use self::in_browser::Obstacle;
pub use self::in_browser::Why;
pub use self::log_in::LogInAttempt;
pub use self::log_in::LoggedIn;
pub use self::log_in::NotLoggedIn;
pub use self::test_message::NotTested;
pub use self::test_message::Tested;
use super::AdminState;
use super::AuditResult;
use super::Failure;
use super::Peer;
use super::audit::socket::ClientGone;
use super::audit::socket::Noted;
use super::token::TokenState;
use super::token::TokenView;
use crate::auth;
use crate::auth::Begun;
use crate::auth::SignIn;
use crate::auth::SignInError;
use crate::auth::Standing;
use crate::auth::Tokens;
use crate::auth::Way;
use crate::clock::Timestamp;
use crate::config;
use crate::config::Mailbox;
use crate::graph::Caller;
use crate::graph::Graph;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Origin;
use crate::mail::ReversePath;
use crate::routing;
use crate::spool::Action;
use crate::spool::Filter;
use crate::spool::Order;
use crate::spool::SpoolError;
use crate::spool::Which;
use crate::telemetry::maillog;

/// An account, and the state of its tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountView {
    /// Its name.
    pub name: String,
    /// Directory (tenant) ID or domain.
    pub tenant: String,
    /// Application (client) ID.
    pub client_id: String,
    /// As in relay.toml.
    pub cloud: String,
    /// `application` or `delegated`.
    pub sign_in: String,
    /// Its credential, in words.
    pub credential: String,
    /// Which mailbox sends: an address, or `from`.
    pub mailbox: String,
    /// When the credential expires, if that is known.
    pub ends: Option<EndingView>,
    /// Why the credential cannot be read.
    pub trouble: Option<String>,
    /// Its tokens: one of an app, one for each mailbox that has signed in.
    pub tokens: Vec<TokenView>,
}

impl AccountView {
    /// Whether mail of this destination gets no token.
    pub(in crate::admin) fn gets_no_token(&self, destination: &Destination) -> bool {
        let concerns = |token: &TokenView| {
            let mailbox = token.mailbox.as_ref();
            mailbox.is_none_or(|it| it.canonical() == destination.mailbox.canonical())
        };
        let mut tokens = self.tokens.iter();
        self.name == destination.account
            && (self.trouble.is_some() || tokens.any(|it| it.state.is_trouble() && concerns(it)))
    }
}

/// A credential or certificate that expires.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndingView {
    /// Its kind.
    pub what: String,
    /// When it expires.
    pub at: Timestamp,
    /// Whether it expires soon or has expired.
    pub is_near: bool,
}

/// A mailbox that is to sign in or to be signed out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// The mailbox.
    pub mailbox: Address,
    /// Its account; or else the first that sends from it.
    pub account: Option<String>,
    /// How the user signs in.
    pub way: Option<Way>,
}

/// The end of the user's part in a sign-in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// The address at which the browser ended; nothing with a device code.
    pub address: Option<String>,
}

/// A mailbox has signed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedIn {
    /// The account.
    pub account: String,
    /// The mailbox.
    pub mailbox: Address,
    /// Messages that waited for it, and are sent now.
    pub waiting: usize,
}

/// The result of a sign-in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Finished {
    /// The mailbox has signed in.
    SignedIn(SignedIn),
    /// The mailbox has not signed in, but still can.
    StillWaiting {
        /// Why it has not.
        reason: String,
    },
}

/// The result of a sign-out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forgotten {
    /// Whether there was a sign-in.
    pub was_signed_in: bool,
}

/// A test message that is sent at once, without the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestMessage {
    /// Its recipient.
    pub to: Address,
    /// Its From; or else the account's own.
    pub from: Option<Address>,
}

/// A test message was submitted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sent {
    /// The account that sent it.
    pub account: String,
    /// The mailbox that sent it.
    pub mailbox: Address,
    /// Graph's name for the request.
    pub request_id: Option<String>,
}

#[derive(Clone)]
struct IdentityState {
    admin_state: AdminState,
    stop: CancellationToken,
}

pub(super) fn router(admin_state: AdminState, stop: CancellationToken) -> Router {
    Router::new()
        .route("/accounts", get(accounts))
        .route("/sign-ins", post(begin))
        .route("/sign-ins/{id}", post(finish))
        .route("/sign-outs", post(forget))
        .route("/test-messages", post(send_test))
        .with_state(IdentityState { admin_state, stop })
}

async fn accounts(State(identity_state): State<IdentityState>) -> Json<Vec<AccountView>> {
    Json(views(&identity_state.admin_state))
}

/// All accounts, in the configuration's order.
pub(super) fn views(admin_state: &AdminState) -> Vec<AccountView> {
    let sign_ins = admin_state.means.store.as_ref().map(auth::Store::list);
    let sign_ins = sign_ins.unwrap_or_default();
    let accounts = admin_state.sign_ins.accounts().iter();
    accounts
        .map(|tokens| view(tokens, &sign_ins, admin_state.means.clock.now()))
        .collect()
}

fn view(tokens: &Tokens, sign_ins: &[SignIn], now: Timestamp) -> AccountView {
    let account = tokens.account();
    let (ends, trouble) = match auth::ending(account) {
        Ok(ending) => (ending, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let (sign_in, tokens) = match account.sign_in {
        config::SignIn::Application => ("application", of_app(tokens)),
        config::SignIn::Delegated => ("delegated", of_people(tokens, sign_ins)),
    };
    AccountView {
        name: account.name.clone(),
        tenant: account.tenant.clone(),
        client_id: account.client_id.clone(),
        cloud: account.cloud.name().to_owned(),
        sign_in: sign_in.to_owned(),
        credential: account.credential.name().to_owned(),
        mailbox: match &account.mailbox {
            Mailbox::Fixed(mailbox) => mailbox.to_string(),
            Mailbox::From => "from".to_owned(),
        },
        ends: ends.map(|ending| EndingView {
            what: ending.what.to_owned(),
            at: ending.at,
            is_near: ending.is_near(now),
        }),
        trouble,
        tokens,
    }
}

fn of_app(tokens: &Tokens) -> Vec<TokenView> {
    let standing = tokens.standing();
    match standing.first() {
        Some(standing) => vec![TokenView::of(standing)],
        None => vec![TokenView::in_state(TokenState::NotAskedFor, None)],
    }
}

/// Returns the mailboxes that have signed in, and the one that should have.
fn of_people(tokens: &Tokens, sign_ins: &[SignIn]) -> Vec<TokenView> {
    let account = tokens.account();
    let standings = tokens.standing();
    let of_account = |sign_in: &&SignIn| sign_in.account == account.name;
    let mut views: Vec<TokenView> = Vec::new();
    for sign_in in sign_ins.iter().filter(of_account) {
        let same = |standing: &&Standing| {
            let mailbox = standing.mailbox.as_ref();
            mailbox.is_some_and(|mailbox| mailbox.key() == sign_in.mailbox.key())
        };
        let mut view = match standings.iter().find(same) {
            Some(standing) => TokenView::of(standing),
            None => TokenView::in_state(TokenState::SignedIn, None),
        };
        view.mailbox = Some(sign_in.mailbox.clone());
        view.signed_in_at = Some(sign_in.signed_in_at);
        view.renewed_at = Some(sign_in.renewed_at);
        if let Some(refused) = &sign_in.refused {
            view.state = TokenState::SignedOut;
            view.code = Some(refused.code.clone());
            view.trouble = Some(refused.reason.clone());
        }
        views.push(view);
    }
    if let Mailbox::Fixed(mailbox) = &account.mailbox
        && views.is_empty()
    {
        views.push(TokenView::in_state(
            TokenState::NotSignedIn,
            Some(mailbox.clone()),
        ));
    }
    views
}

async fn begin(
    State(identity_state): State<IdentityState>,
    Json(wanted): Json<Wanted>,
) -> Result<(Extension<Noted>, Json<Begun>), Failure> {
    let way = wanted.way.unwrap_or(Way::Device);
    let account = wanted.account.as_deref();
    let begun = identity_state
        .admin_state
        .sign_ins
        .begin(wanted.mailbox, account, way);
    let noted = Noted::of(AuditResult::Begun, "");
    Ok((Extension(noted), Json(begun.await?)))
}

async fn finish(
    State(identity_state): State<IdentityState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(ClientGone(gone)): Extension<ClientGone>,
    extract::Path(id): extract::Path<Ulid>,
    Json(ended): Json<Ended>,
) -> Result<(Extension<Noted>, Json<Finished>), Failure> {
    let IdentityState { admin_state, stop } = identity_state;
    let finished = tokio::select! {
        finished = admin_state.sign_ins.finish(id, ended.address.as_deref()) => finished,
        () = stop.cancelled() => return Err(Failure::Refused(STOPS.to_owned())),
        () = gone.cancelled() => return Err(Failure::Refused(ENDED.to_owned())),
    };
    let (tokens, mailbox) = match finished {
        Err(error) if error.leaves_it_open() => {
            let reason = words(&error);
            let noted = Noted::of(AuditResult::Refused, &*reason);
            return Ok((Extension(noted), Json(Finished::StillWaiting { reason })));
        }
        finished => finished?,
    };
    let account = tokens.account().name.clone();
    let signed_in = completed(&admin_state, account, mailbox, peer.uid).await?;
    let noted = Noted::of(AuditResult::Done, "");
    Ok((Extension(noted), Json(Finished::SignedIn(signed_in))))
}

/// A mailbox has signed in: its mail goes out now.
async fn completed(
    admin_state: &AdminState,
    account: String,
    mailbox: Address,
    uid: u32,
) -> Result<SignedIn, SpoolError> {
    maillog::signed_in(&account, &mailbox, uid);
    let waiting = try_again(admin_state, &account, &mailbox, uid).await?;
    Ok(SignedIn {
        account,
        mailbox,
        waiting,
    })
}

/// Messages that waited for the sign-in are due now.
async fn try_again(
    admin_state: &AdminState,
    account: &str,
    mailbox: &Address,
    uid: u32,
) -> Result<usize, SpoolError> {
    let filter: Result<Filter, _> =
        format!("state=waiting \"account={account}\" \"mailbox={mailbox}\"").parse();
    // A name that no filter can contain waits for its own time.
    let Ok(filter) = filter else {
        return Ok(0);
    };
    let (mut after, mut count) = (None, 0);
    loop {
        let order = Order {
            action: Action::Retry,
            which: Which::Matching {
                filter: Some(filter.clone()),
                accepted_by: admin_state.spool.running(),
                after,
            },
        };
        let decided = admin_state.act(order, uid).await?;
        count += decided.decisions.len();
        after = decided.next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

async fn forget(
    State(identity_state): State<IdentityState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(wanted): Json<Wanted>,
) -> Result<(Extension<Noted>, Json<Forgotten>), Failure> {
    let Wanted {
        mailbox, account, ..
    } = wanted;
    let forgotten = identity_state
        .admin_state
        .sign_ins
        .forget(&mailbox, account.as_deref());
    let (account, was_signed_in) = forgotten.await?;
    if was_signed_in {
        maillog::logged_out(&account, &mailbox, peer.uid);
    }
    let noted = Noted::of_change(was_signed_in, format!("{mailbox} was not signed in"));
    Ok((Extension(noted), Json(Forgotten { was_signed_in })))
}

async fn send_test(
    State(identity_state): State<IdentityState>,
    Json(message): Json<TestMessage>,
) -> Result<Json<Sent>, Failure> {
    let admin_state = &identity_state.admin_state;
    let accounts = admin_state.sign_ins.accounts().iter();
    let accounts: Vec<_> = accounts.map(|tokens| tokens.account().clone()).collect();
    let origin = Origin {
        author: message.from.clone(),
        reverse_path: ReversePath::Null,
        bound: None,
        is_report: false,
    };
    let senders = admin_state.configuration.senders();
    let destination = routing::route(&accounts, &senders, &origin);
    let Destination { account, mailbox } = destination.ok_or_else(|| {
        Failure::Refused(
            "no [[account]] sends for this From address: choose another with --from".to_owned(),
        )
    })?;
    let of = |tokens: &&Tokens| tokens.account().name == account;
    let tokens = admin_state.sign_ins.accounts().iter().find(of);
    let tokens = tokens.ok_or(Failure::Unknown)?;
    let graph = Graph::new(admin_state.means.http.clone(), tokens.clone());
    let graph = graph.counted_in(admin_state.metrics.requests.clone());
    let caller = Caller {
        mailbox: &mailbox,
        client_request_id: Uuid::new_v4(),
    };
    let from = message.from.as_ref().map(|from| senders.outgoing(from));
    let from = from.flatten().unwrap_or_else(|| mailbox.clone());
    let sent = tokio::select! {
        sent = graph.send_test(caller, &from, &message.to) => sent,
        () = identity_state.stop.cancelled() => return Err(Failure::Refused(STOPS.to_owned())),
    };
    let sent = sent.map_err(|error| {
        let (words, code) = (error.to_string(), error.code());
        let account = Some(tokens.account());
        Failure::Refused(explained(
            &words,
            code.as_deref(),
            mailbox.as_str(),
            account,
        ))
    })?;
    Ok(Json(Sent {
        account,
        request_id: sent.request_id,
        mailbox,
    }))
}

const STOPS: &str = "the relay is stopping: try again when it is running";

const ENDED: &str = "the command ended before the user had signed in";

impl From<SignInError> for Failure {
    fn from(error: SignInError) -> Self {
        Self::Refused(words(&error))
    }
}

fn words(error: &SignInError) -> String {
    let code = match error {
        SignInError::Declined { code, .. } => Some(code.clone()),
        SignInError::Token(error) | SignInError::Code(error) => error.code(),
        SignInError::NoAccount(_)
        | SignInError::Over
        | SignInError::Address
        | SignInError::State
        | SignInError::WrongPerson { .. }
        | SignInError::WrongTenant { .. }
        | SignInError::Identity
        | SignInError::NoRefreshToken
        | SignInError::Store(_) => None,
    };
    explained(&error.to_string(), code.as_deref(), "MAILBOX", None)
}

/// Adds the catalogue's remedy, if it knows the code.
fn explained(
    words: &str,
    code: Option<&str>,
    mailbox: &str,
    account: Option<&config::Account>,
) -> String {
    let why = in_browser::explained(words.to_owned(), code, mailbox, account);
    let more = why.remedy.into_iter().chain(why.place);
    let more: String = more.map(|line| format!("\n-> {line}")).collect();
    format!("{words}{more}")
}
