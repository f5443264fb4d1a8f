//! Sending a message again: to whom a copy may go, and which account sends it.
//!
//! Nobody receives a copy whom relay.toml forbids: `recipients_allowed` and
//! `redirect_all_to` hold as they would for the client that sent the original. Which
//! listener that was is not on record, so every one counts that it may have been.

use axum::Extension;
use axum::Json;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::routing::post;
use serde::Deserialize;
use serde::Serialize;

use crate::admin::AdminState;
use crate::admin::AuditResult;
use crate::admin::Failure;
use crate::admin::Peer;
use crate::admin::audit::socket::Noted;
use crate::config::Config;
use crate::config::Listener;
use crate::mail::Address;
use crate::mail::Asked;
use crate::mail::Envelope;
use crate::mail::ForwardPath;
use crate::mail::Origin;
use crate::mail::RecipientPolicy;
use crate::mail::SpoolId;
use crate::routing;
use crate::spool::GivenBy;
use crate::spool::NotResent;
use crate::spool::Original;
use crate::spool::State as EntryState;
use crate::telemetry::operatorlog;

/// What to send again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ToResend {
    /// The message.
    pub id: SpoolId,
    /// Who receives it, as a client would name them; if empty, its recipients.
    #[serde(default)]
    pub to: Vec<ForwardPath>,
    /// Whether it may arrive twice.
    #[serde(default)]
    pub confirmed: bool,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResendAnswer {
    /// It is accepted.
    Resent(Resent),
    /// Somebody has to confirm this first.
    Asks(String),
}

/// A copy that is accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resent {
    /// Its id.
    pub id: SpoolId,
    /// The message that it is a copy of.
    pub resend_of: SpoolId,
    /// Who receives it.
    pub recipients: Vec<Address>,
    /// What to know of the original, or of when the copy goes out.
    pub remarks: Vec<String>,
}

pub(super) fn router(admin_state: AdminState) -> Router {
    Router::new()
        .route("/queue/resends", post(resend))
        .with_state(admin_state)
}

async fn resend(
    State(admin_state): State<AdminState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(wanted): Json<ToResend>,
) -> Result<(Extension<Noted>, Json<ResendAnswer>), Failure> {
    let answer = carry_out(&admin_state, wanted, peer.uid.into()).await?;
    let noted = match &answer {
        ResendAnswer::Resent(_) => Noted::of(AuditResult::Done, ""),
        ResendAnswer::Asks(question) => {
            Noted::of(AuditResult::Refused, format!("not confirmed: {question}"))
        }
    };
    Ok((Extension(noted), Json(answer)))
}

impl AdminState {
    /// What somebody has to confirm before a message is sent again, if there is anything.
    pub async fn resend_question(&self, wanted: &ToResend) -> Option<String> {
        let original = self.spool.original(wanted.id).await.ok()?;
        let config = self.configuration.in_force();
        let envelope = envelope(&original, &wanted.to, &config).ok()?;
        question(&original, &envelope)
    }

    /// Sends a copy of a message. An error says in words why it is not sent.
    ///
    /// # Errors
    ///
    /// There is no such message, it cannot be sent again, or the spool fails.
    pub async fn resend(
        &self,
        wanted: ToResend,
        by: impl Into<GivenBy>,
    ) -> Result<ResendAnswer, String> {
        carry_out(self, wanted, by.into())
            .await
            .map_err(|failure| match failure {
                Failure::Unknown => "there is no such message".to_owned(),
                Failure::Refused(words) => words,
                Failure::Spool(error) => error.to_string(),
            })
    }
}

async fn carry_out(
    admin_state: &AdminState,
    wanted: ToResend,
    by: GivenBy,
) -> Result<ResendAnswer, Failure> {
    let original = admin_state.spool.original(wanted.id).await?;
    let config = admin_state.configuration.in_force();
    let envelope = envelope(&original, &wanted.to, &config).map_err(Failure::Refused)?;
    if !wanted.confirmed
        && let Some(question) = question(&original, &envelope)
    {
        return Ok(ResendAnswer::Asks(question));
    }
    let origin = Origin {
        author: original.author.clone(),
        reverse_path: original.envelope.reverse_path.clone(),
        bound: original.bound.clone(),
        is_report: false,
    };
    let destination = routing::route(&config.accounts, &config.senders, &origin);
    let destination = destination.ok_or_else(|| Failure::Refused(NO_ACCOUNT.to_owned()))?;
    let (of, state) = (original.id, original.state);
    let (hindrance, uid) = (admin_state.hindrance(&destination), by.uid);
    let id = admin_state
        .spool
        .resend(original, envelope.clone(), destination, by);
    let id = id.await?;
    operatorlog::resent(id, of, uid, &envelope);
    let mut remarks = Vec::new();
    if state.is_open() {
        remarks.push(format!(
            "message {of} stays {state}; when it is no longer needed: graph-relay queue drop {of}"
        ));
    }
    remarks.extend(hindrance);
    Ok(ResendAnswer::Resent(Resent {
        id,
        resend_of: of,
        recipients: envelope.recipients,
        remarks,
    }))
}

const NO_ACCOUNT: &str = "no [[account]] sends for its From address: add one whose senders match, \
                          then systemctl restart graph-relay";

/// What may go wrong: somebody receives it twice.
fn question(original: &Original, envelope: &Envelope) -> Option<String> {
    let before = &original.envelope.recipients;
    let is_again = |it: &&Address| before.iter().any(|other| other.key() == it.key());
    let again: Vec<&str> = envelope
        .recipients
        .iter()
        .filter(is_again)
        .map(Address::as_str)
        .collect();
    let (whom, id) = (again.join(", "), original.id);
    match original.state {
        _ if again.is_empty() => None,
        EntryState::Delivered => Some(format!(
            "Message {id} was delivered: {whom} would receive it twice."
        )),
        EntryState::Waiting
        | EntryState::Claimed
        | EntryState::Held
        | EntryState::Failed
        | EntryState::Dropped
        | EntryState::Quarantined => original.may_have_arrived.then(|| {
            format!("It is unknown whether message {id} arrived: {whom} may receive it twice.")
        }),
    }
}

/// The envelope of the copy, or why it must not be sent.
fn envelope(original: &Original, to: &[ForwardPath], config: &Config) -> Result<Envelope, String> {
    let mut envelope = original.envelope.clone();
    let rules = Rules::of(original, config)?;
    if !to.is_empty() {
        (envelope.recipients, envelope.asked) = resolved(to, config)?;
        envelope.reports = envelope.reports.only_for(&[]);
        envelope.utf8 |= envelope.recipients.iter().any(|it| !it.is_ascii());
    }
    let most = config.limits.recipients;
    if envelope.recipients.len() > most && !to.is_empty() {
        return Err(format!("more than {most} recipients (limits.recipients)"));
    }
    for recipient in &envelope.recipients {
        rules.check(recipient)?;
    }
    let sender = envelope.reverse_path.address();
    envelope.reports.sender_is_barred = sender.is_some_and(|it| rules.check(it).is_err());
    if !to.is_empty() || !rules.policies.iter().all(|rule| rule.policy.is_open()) {
        note_all(&mut envelope);
    }
    Ok(envelope)
}

/// Who receives mail for these addresses, and what was asked for.
fn resolved(to: &[ForwardPath], config: &Config) -> Result<(Vec<Address>, Vec<Asked>), String> {
    let (mut recipients, mut asked) = (Vec::<Address>::new(), Vec::new());
    for path in to {
        // The sentence names a recipient only if it is ASCII, as in a reply.
        let found = config.aliases.resolve(path);
        let found = found.map_err(|why| match path.is_ascii() {
            true => why.of(path),
            false => format!("{path}: {}", why.of(path)),
        })?;
        for recipient in found {
            if !recipients.iter().any(|it| it.key() == recipient.key()) {
                recipients.push(recipient.clone());
            }
            asked.push(Asked {
                original: path.to_string(),
                recipient,
            });
        }
    }
    Ok((recipients, asked))
}

/// Binds the message to its envelope, whatever its header section names.
fn note_all(envelope: &mut Envelope) {
    for recipient in &envelope.recipients {
        if !envelope
            .asked
            .iter()
            .any(|it| it.recipient.key() == recipient.key())
        {
            envelope.asked.push(Asked {
                original: recipient.to_string(),
                recipient: recipient.clone(),
            });
        }
    }
}

/// The policies that hold for a message.
struct Rules<'c> {
    policies: Vec<Rule<'c>>,
}

struct Rule<'c> {
    /// The section that has it.
    section: String,
    policy: &'c RecipientPolicy,
    /// Its redirection, if it counts: that of a user comes before that of a listener.
    redirect: Option<&'c Address>,
}

impl<'c> Rules<'c> {
    /// Those of its user and of each listener that it may have come in by.
    fn of(original: &Original, config: &'c Config) -> Result<Self, String> {
        let is_bound = original.envelope.is_all_asked();
        let name = original.trace.user.as_deref();
        let user = name.map(|name| config.users.iter().find(|user| user.is_called(name)));
        if let (Some(None), Some(name), true) = (user, name, is_bound) {
            return Err(format!(
                "relay.toml has no [[user]] {name:?} any more, so it does not say to whom its mail \
                 may go"
            ));
        }
        let user = user.flatten();
        let client = original.trace.client;
        let all = || config.listeners.iter();
        let mut listeners: Vec<&Listener> = all().filter(|it| it.admits(client)).collect();
        if listeners.is_empty() {
            listeners = all().collect();
        }
        // The recipients of a listener with a policy are noted, those of others are not.
        let by_user = user.is_some_and(|user| !user.recipients.is_open());
        let likely = |it: &&&Listener| it.recipients.is_open() != is_bound;
        if !by_user && listeners.iter().any(|it| likely(&it)) {
            listeners = listeners.iter().filter(likely).copied().collect();
        }
        let user = user.map(|user| Rule {
            section: format!("[[user]] {:?}", user.name),
            policy: &user.recipients,
            redirect: user.recipients.redirect.as_ref(),
        });
        let redirects = user.as_ref().is_some_and(|user| user.redirect.is_some());
        let of_listener = |it: &&'c Listener| Rule {
            section: format!("[[listener]] {}", it.address),
            policy: &it.recipients,
            redirect: it.recipients.redirect.as_ref().filter(|_| !redirects),
        };
        let policies: Vec<_> = listeners.iter().map(of_listener).collect();
        let policies = user.into_iter().chain(policies);
        Ok(Self {
            policies: policies.collect(),
        })
    }

    /// Says why mail may not go to this address, if that is so.
    fn check(&self, recipient: &Address) -> Result<(), String> {
        for rule in &self.policies {
            let section = &rule.section;
            if let Some(to) = rule.redirect
                && to.key() != recipient.key()
            {
                return Err(format!(
                    "redirect_all_to of {section} sends all mail to {to}, so {recipient} may not \
                     receive it: send it to {to} instead"
                ));
            }
            if !rule.policy.allows(recipient) {
                return Err(format!(
                    "recipients_allowed of {section} does not allow mail to {recipient}: choose \
                     another recipient, or change relay.toml"
                ));
            }
        }
        Ok(())
    }
}

impl From<NotResent> for Failure {
    fn from(error: NotResent) -> Self {
        match error {
            NotResent::Unknown => Self::Unknown,
            NotResent::Refused(words) => Self::Refused(words),
            NotResent::NotAccepted(error) => Self::Refused(error.to_string()),
            NotResent::Spool(error) => Self::Spool(error),
        }
    }
}
