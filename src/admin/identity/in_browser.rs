//! Signing in a mailbox on the admin page, and the test message that follows.
//!
//! The page sends the browser to Entra and passes on the address at which it comes back.
//! The test message goes the way of every other: it is stored in the spool, delivered by
//! the dispatcher, and listed in the history.

use std::net::IpAddr;

use ulid::Ulid;

use super::SignedIn;
use super::completed;
use super::views;
use crate::admin::AdminState;
use crate::admin::TokenState;
use crate::admin::TokenView;
use crate::auth::SignInError;
use crate::auth::Tokens;
use crate::auth::Way;
use crate::catalogue;
use crate::clock::Timestamp;
use crate::config;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Envelope;
use crate::mail::ReportRequest;
use crate::mail::ReversePath;
use crate::mail::SpoolId;
use crate::mail::Trace;
use crate::spool::AcceptError;
use crate::spool::NewEntry;
use crate::telemetry::maillog;

/// A mailbox that signs in itself, and its state.
#[derive(Clone, Debug)]
pub struct MailboxView {
    /// Its account.
    pub account: String,
    /// The mailbox.
    pub mailbox: Address,
    /// The state of its sign-in and token.
    pub state: TokenState,
    /// When its user signed in.
    pub signed_in_at: Option<Timestamp>,
    /// Why it sends no mail, in words.
    pub why: Option<Why>,
}

/// An account whose mailboxes sign in themselves.
#[derive(Clone, Debug)]
pub struct DelegatedAccount {
    /// Its name.
    pub name: String,
    /// Whether each mailbox of a From address can sign in, and not only one.
    pub is_open: bool,
    /// Whether the app shows a secret or a certificate, which Entra calls "Web".
    pub has_credential: bool,
    /// Where an administrator of the tenant consents for all users.
    pub consent: Option<String>,
}

/// Something that does not work, with what to do about it. In English.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// What happened.
    pub words: String,
    /// What to do.
    pub remedy: Option<String>,
    /// Where in Entra, or by which command.
    pub place: Option<String>,
}

/// A sign-in that has begun: the browser goes to `url`.
#[derive(Clone, Debug)]
pub struct BrowserSignIn {
    /// Its ID.
    pub id: Ulid,
    /// The account.
    pub account: String,
    /// Where the user signs in.
    pub url: String,
    /// What the address has to contain at which the browser comes back.
    pub state: String,
}

/// What kept a mailbox from signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The user in the browser is not the mailbox.
    OtherUser,
    /// The user, or a policy of the tenant, did not consent.
    NoConsent,
    /// The answer belongs to no sign-in, or to another one.
    Stale,
    /// Entra refused, or cannot be reached.
    Entra,
    /// The relay could not keep the sign-in.
    Relay,
}

/// Why a mailbox has not signed in.
#[derive(Clone, Debug)]
pub struct NotSignedIn {
    /// What kind of problem it is.
    pub obstacle: Obstacle,
    /// The problem.
    pub why: Why,
}

/// Codes of Entra that say that nobody has consented.
const NO_CONSENT: [&str; 6] = [
    "AADSTS65001",
    "AADSTS65004",
    "AADSTS90094",
    "AADSTS90095",
    "consent_required",
    "access_denied",
];

impl AdminState {
    /// Returns the accounts whose mailboxes sign in themselves, in the configuration's order.
    pub fn delegated_accounts(&self) -> Vec<DelegatedAccount> {
        let accounts = self.sign_ins.accounts().iter();
        let delegated = accounts
            .map(Tokens::account)
            .filter(|account| account.sign_in == config::SignIn::Delegated);
        delegated
            .map(|account| DelegatedAccount {
                name: account.name.clone(),
                is_open: account.mailbox == config::Mailbox::From,
                has_credential: account.credential != config::Credential::Nothing,
                consent: account.app().map(|app| app.admin_consent()),
            })
            .collect()
    }

    /// Returns the mailboxes that have signed in themselves, or should.
    pub fn mailboxes(&self) -> Vec<MailboxView> {
        let accounts = views(self).into_iter();
        let delegated = accounts.filter(|account| account.sign_in == "delegated");
        delegated
            .flat_map(|account| {
                let name = account.name;
                let configured = self.configured(&name);
                account.tokens.into_iter().filter_map(move |token| {
                    let mailbox = token.mailbox.clone()?;
                    Some(MailboxView {
                        account: name.clone(),
                        state: token.state,
                        signed_in_at: token.signed_in_at,
                        why: why(&token, &mailbox, configured),
                        mailbox,
                    })
                })
            })
            .collect()
    }

    /// Returns the account with this name, or any if it is empty, whose mailbox this is and
    /// that signs in itself.
    pub fn sends_itself(&self, mailbox: &Address, account: &str) -> Option<String> {
        let account = Some(account).filter(|account| !account.is_empty());
        self.sign_ins.account_of(mailbox, account)
    }

    /// Begins a sign-in of a mailbox, whose browser comes back to this address.
    ///
    /// # Errors
    ///
    /// No account sends from the mailbox.
    pub async fn begin_in_browser(
        &self,
        mailbox: Address,
        account: Option<&str>,
        redirect_uri: String,
    ) -> Result<BrowserSignIn, NotSignedIn> {
        let way = Way::Browser { redirect_uri };
        let begun = self.sign_ins.begin(mailbox, account, way).await?;
        let url = reqwest::Url::parse(&begun.url).ok();
        let state = url.and_then(|url| {
            let mut pairs = url.query_pairs();
            let state = pairs.find(|(name, _)| name == "state");
            state.map(|(_, value)| value.into_owned())
        });
        Ok(BrowserSignIn {
            id: begun.id,
            account: begun.account,
            url: begun.url,
            state: state.ok_or(SignInError::Over)?,
        })
    }

    /// Ends the sign-in of this mailbox with the address at which the browser came back. Whether it succeeds
    /// or not, the address cannot be used again.
    ///
    /// # Errors
    ///
    /// Says why the mailbox has not signed in.
    pub async fn finish_in_browser(
        &self,
        id: Ulid,
        (account, mailbox): (&str, &Address),
        address: &str,
        uid: u32,
    ) -> Result<SignedIn, NotSignedIn> {
        let finished = self.sign_ins.finish(id, Some(address)).await;
        let (tokens, mailbox) = finished
            .map_err(|error| NotSignedIn::of(&error, mailbox.as_str(), self.configured(account)))?;
        let account = tokens.account().name.clone();
        let done = completed(self, account, mailbox, uid).await;
        done.map_err(|error| NotSignedIn {
            obstacle: Obstacle::Relay,
            why: Why {
                words: error.to_string(),
                ..Why::default()
            },
        })
    }

    /// Deletes the sign-in of a mailbox. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// No account has it, or its file cannot be removed.
    pub async fn forget_sign_in(
        &self,
        mailbox: &Address,
        account: &str,
        uid: u32,
    ) -> Result<bool, NotSignedIn> {
        let forgotten = self.sign_ins.forget(mailbox, Some(account)).await;
        let (account, was_signed_in) = forgotten?;
        if was_signed_in {
            maillog::logged_out(&account, mailbox, uid);
        }
        Ok(was_signed_in)
    }

    /// Puts a test message from a mailbox to itself into the queue, on the order of a client
    /// of the admin page. Returns its id.
    ///
    /// # Errors
    ///
    /// It cannot be stored.
    pub async fn queue_test(
        &self,
        account: &str,
        mailbox: &Address,
        client: IpAddr,
    ) -> Result<SpoolId, AcceptError> {
        let hostname = self.configuration.in_force().hostname;
        let destination = Destination {
            account: account.to_owned(),
            mailbox: mailbox.canonical(),
        };
        let queued = self.queue(ToQueue {
            destination: &destination,
            from: mailbox,
            to: mailbox,
            words: format!(
                "This mailbox is connected to graph-relay on {hostname}.\r\n\r\nThe message was \
                 sent through Microsoft Graph, from the mailbox itself. You need not do anything."
            ),
            client,
        });
        queued.await
    }

    /// The account with this name.
    pub(super) fn configured(&self, name: &str) -> Option<&config::Account> {
        let mut accounts = self.sign_ins.accounts().iter().map(Tokens::account);
        accounts.find(|account| account.name == name)
    }

    /// Puts a test message into the queue. Returns its id.
    async fn queue(&self, test: ToQueue<'_>) -> Result<SpoolId, AcceptError> {
        let (destination, from, to) = (test.destination, test.from, test.to);
        let hostname = self.configuration.in_force().hostname;
        let id = self.spool.new_id();
        let message_id = id.message_id(&hostname);
        let mut content = self.spool.receive(id);
        let now = self.means.clock.now().rfc5322();
        let text = text(&now, &message_id, from.as_str(), to.as_str(), &test.words);
        content.write(text.as_bytes()).await?;
        let size = content.size();
        let envelope = Envelope {
            // Nothing is reported about it: whoever made it sees its state on the page.
            reverse_path: ReversePath::Null,
            recipients: vec![to.clone()],
            asked: Vec::new(),
            utf8: !to.is_ascii() || !from.is_ascii(),
            reports: ReportRequest::default(),
        };
        let trace = Trace::of_page(test.client);
        let entry = NewEntry {
            content,
            envelope: envelope.clone(),
            trace: trace.clone(),
            author: Some(from.clone()),
            destination: destination.clone(),
            bound: Some(destination.account.clone()),
            largest_part: usize::MAX,
            message_id: Some(message_id),
            subject: SUBJECT.to_owned(),
        };
        let accepted = self.spool.accept(entry).await?;
        self.metrics.messages_accepted.inc();
        maillog::accepted(id, &trace, &envelope, size, destination);
        Ok(accepted.id)
    }
}

/// A test message.
struct ToQueue<'a> {
    destination: &'a Destination,
    from: &'a Address,
    to: &'a Address,
    /// Its text.
    words: String,
    /// Who wants it.
    client: IpAddr,
}

/// Header section and body of a test message with these words.
pub(super) fn text(now: &str, message_id: &str, from: &str, to: &str, words: &str) -> String {
    format!(
        "Date: {now}\r\nFrom: <{from}>\r\nTo: <{to}>\r\nSubject: {SUBJECT}\r\n\
         Message-ID: {message_id}\r\nAuto-Submitted: auto-generated\r\n\
         X-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         {words}\r\n"
    )
}

/// The Subject of the test message.
const SUBJECT: &str = "A test message from graph-relay";

/// Why a mailbox sends no mail, if that is so.
fn why(token: &TokenView, mailbox: &Address, account: Option<&config::Account>) -> Option<Why> {
    if token.state == TokenState::NotSignedIn || !token.state.is_trouble() {
        return None;
    }
    let words = token.trouble.clone().unwrap_or_default();
    let (code, mailbox) = (token.code.as_deref(), mailbox.as_str());
    Some(explained(words, code, mailbox, account))
}

/// With what the catalogue says of a code about a mailbox of an account, as far as they are
/// known.
pub(super) fn explained(
    words: String,
    code: Option<&str>,
    mailbox: &str,
    account: Option<&config::Account>,
) -> Why {
    let entry = code.and_then(catalogue::find);
    let app = account.and_then(config::Account::app);
    Why {
        words,
        remedy: entry.map(|entry| catalogue::named(entry.remedy, mailbox, catalogue::SOME_ADDRESS)),
        place: entry.and_then(|entry| entry.place_of(app, mailbox)),
    }
}

impl From<SignInError> for NotSignedIn {
    fn from(error: SignInError) -> Self {
        Self::of(&error, "MAILBOX", None)
    }
}

impl NotSignedIn {
    fn of(error: &SignInError, mailbox: &str, account: Option<&config::Account>) -> Self {
        let (obstacle, code) = match error {
            SignInError::WrongPerson { .. } | SignInError::WrongTenant { .. } => {
                (Obstacle::OtherUser, None)
            }
            SignInError::Over
            | SignInError::Address
            | SignInError::State
            | SignInError::Identity => (Obstacle::Stale, None),
            SignInError::Declined { code, .. } => (obstacle(code), Some(code.clone())),
            SignInError::Token(error) | SignInError::Code(error) => {
                let code = error.code();
                (obstacle(code.as_deref().unwrap_or_default()), code)
            }
            SignInError::NoRefreshToken => (Obstacle::NoConsent, None),
            SignInError::NoAccount(_) | SignInError::Store(_) => (Obstacle::Relay, None),
        };
        Self {
            obstacle,
            why: explained(error.to_string(), code.as_deref(), mailbox, account),
        }
    }
}

fn obstacle(code: &str) -> Obstacle {
    match NO_CONSENT.contains(&code) {
        true => Obstacle::NoConsent,
        false => Obstacle::Entra,
    }
}
