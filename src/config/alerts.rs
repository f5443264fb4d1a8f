//! `[[alert]]`: whom the relay tells, by webhook or by mail, when something needs attention.
//!
//! The URL of a webhook often contains a secret (Slack, Teams), so it cannot be printed:
//! everything that names the alert shows its host only, and a number if several have this
//! host. `alerts/` sends them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use serde::Serialize;

use super::Account;
use super::FromRule;
use super::Mailbox;
use super::ProblemKind;
use super::accounts::is_this_machine;
use super::reader::Marked;
use super::reader::Section;
use super::units::Span;
use super::units::SpanOrOff;
use crate::credentials::SecretSource;
use crate::mail::Address;

/// Somebody to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The alert in the log and in `status`: without the path of a URL, and no two have the
    /// same.
    pub name: String,
    /// Where the alert goes.
    pub target: AlertTarget,
    /// What it is sent for.
    pub on: Vec<AlertEvent>,
    /// How long mail may wait before that is a problem.
    pub mail_waits_after: Duration,
    /// A problem is over when it has not been seen for this long.
    pub over_after: Duration,
}

/// Where an alert goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertTarget {
    /// A request to this URL.
    Webhook(Webhook),
    /// A message.
    Mail(AlertMail),
}

/// A webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its URL, which may contain a secret.
    pub url: Url,
    /// The secret that signs each request.
    pub secret: Option<SecretSource>,
    /// What the body is.
    pub format: WebhookFormat,
}

/// The body of a webhook's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookFormat {
    /// A JSON object with all details, and `text`.
    Json,
    /// A JSON object with `text` only, for services that refuse what they do not know.
    Text,
}

/// An alert by mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertMail {
    /// Its recipient.
    pub to: Address,
    /// The account that sends it.
    pub account: String,
    /// The account's mailbox.
    pub mailbox: Mailbox,
    /// Its From: the account's `default_from`, or else its mailbox.
    pub author: Address,
}

/// What an alert can be sent for. relay.toml and JSON have the names, which do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertEvent {
    /// Messages have failed.
    MessageFailed,
    /// Messages are held or in quarantine.
    MessageHeld,
    /// The oldest message has waited for too long.
    MailWaits,
    /// A credential or certificate expires soon or has expired.
    CredentialExpires,
    /// A mailbox has to sign in.
    SignInNeeded,
    /// An account gets no token.
    NoToken,
    /// A configuration error at Microsoft stops mail.
    DeliveryRefused,
    /// Delivery is paused.
    DeliveryPaused,
    /// The disk or the spool is nearly full.
    DiskFull,
    /// The spool cannot be written or read.
    SpoolError,
    /// The hourly doctor has found a failure.
    Doctor,
    /// Another alert could not be delivered.
    AlertFailed,
}

impl AlertEvent {
    /// All events.
    pub const ALL: [Self; 12] = [
        Self::MessageFailed,
        Self::MessageHeld,
        Self::MailWaits,
        Self::CredentialExpires,
        Self::SignInNeeded,
        Self::NoToken,
        Self::DeliveryRefused,
        Self::DeliveryPaused,
        Self::DiskFull,
        Self::SpoolError,
        Self::Doctor,
        Self::AlertFailed,
    ];
}

impl AlertTarget {
    /// All of it that may be shown.
    fn shown(&self) -> String {
        match self {
            Self::Webhook(webhook) => format!("webhook {}", webhook.host()),
            Self::Mail(mail) => format!("mail to {}", mail.to),
        }
    }
}

impl Webhook {
    /// Host and, if it is written, port.
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// Whether it is on this machine, where no proxy could reach it.
    pub fn is_local(&self) -> bool {
        is_this_machine(&self.url)
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.host())
    }
}

/// `[[alert]]`.
pub(super) fn read(top: &mut Section<'_>, accounts: &[Account]) -> Vec<Alert> {
    let mut seen = BTreeSet::new();
    let sections = top.tables("alert").into_iter();
    let alerts = sections.filter_map(|mut section| {
        let alert = alert(&mut section, accounts);
        if let Some(alert) = &alert
            && !seen.insert(key(alert))
        {
            section.problem("this [[alert]] has the same target as one before: keep only one");
        }
        section.finish();
        alert
    });
    let mut alerts: Vec<Alert> = alerts.collect();
    number(&mut alerts);
    alerts
}

/// Tells webhooks of one host apart, in the order of relay.toml: their paths may be secret.
fn number(alerts: &mut [Alert]) {
    let mut of_name = BTreeMap::<String, usize>::new();
    for alert in alerts.iter() {
        *of_name.entry(alert.name.clone()).or_default() += 1;
    }
    of_name.retain(|_, count| *count > 1);
    for alert in alerts.iter_mut().rev() {
        if let Some(number) = of_name.get_mut(&alert.name) {
            alert.name = format!("{} ({number})", alert.name);
            *number -= 1;
        }
    }
}

/// `[doctor]`: how often the running relay examines itself.
pub(super) fn doctor_every(top: &mut Section<'_>) -> Option<Duration> {
    let mut section = top.table("doctor");
    let every = section.or("every", SpanOrOff::Span(HOUR));
    section.finish();
    match every {
        SpanOrOff::Span(every) => Some(every),
        SpanOrOff::Off => None,
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Two alerts with the same are the same to the state that is kept of them.
fn key(alert: &Alert) -> String {
    match &alert.target {
        AlertTarget::Webhook(webhook) => webhook.url.to_string(),
        AlertTarget::Mail(mail) => mail.to.key(),
    }
}

const MAIL_WAITS: Duration = Duration::from_secs(15 * 60);
const OVER: Duration = Duration::from_secs(5 * 60);

fn alert(section: &mut Section<'_>, accounts: &[Account]) -> Option<Alert> {
    let webhook = webhook(section);
    let mail = mail(section, accounts);
    let on = events(section);
    let mail_waits_after = more_than_0(section, "mail_waits_after", MAIL_WAITS);
    let over_after = more_than_0(section, "over_after", OVER);
    let both = (section.has("webhook"), section.has("mail"));
    match both {
        (true, true) => section.problem(
            "an [[alert]] has either \"webhook\" or \"mail\": write two sections for both",
        ),
        (false, false) => section.problem(
            "[[alert]] needs \"webhook\" (a URL) or \"mail\" (an address), like \
             webhook = \"https://alerts.contoso.com/relay\"",
        ),
        (true, false) | (false, true) => {}
    }
    let target = webhook
        .map(AlertTarget::Webhook)
        .or_else(|| mail.map(AlertTarget::Mail))?;
    Some(Alert {
        name: target.shown(),
        target,
        on,
        mail_waits_after,
        over_after,
    })
}

fn more_than_0(section: &mut Section<'_>, key: &'static str, default: Duration) -> Duration {
    let Some(span) = section.marked::<Span>(key) else {
        return default;
    };
    if span.value.0.is_zero() {
        section.problem_at(&span.span, format!("{key}: must be more than 0"));
    }
    span.value.0
}

fn events(section: &mut Section<'_>) -> Vec<AlertEvent> {
    let Some(on) = section.marked::<Vec<AlertEvent>>("on") else {
        return AlertEvent::ALL.to_vec();
    };
    if on.value.is_empty() {
        let message = "on: an empty list means that nothing is ever sent: name events, or leave \
                       the key out for all of them";
        section.problem_at(&on.span, message);
    }
    on.value
}

fn webhook(section: &mut Section<'_>) -> Option<Webhook> {
    let url = section.marked::<String>("webhook");
    let secret = secret(section);
    let format = section.optional::<WebhookFormat>("format");
    let allow_http = section.or("allow_http", false);
    let Some(url) = url else {
        for key in ["secret_file", "format", "allow_http"] {
            if section.has(key) && !section.has("webhook") {
                let message = format!("{key}: only an [[alert]] with \"webhook\" has it");
                section.problem_of(key, message);
            }
        }
        return None;
    };
    let usable = usable(&url.value, allow_http);
    if let Err(wrong) = &usable {
        section.problem_at(&url.span, format!("webhook: {wrong}"));
    }
    Some(Webhook {
        url: usable.ok()?,
        secret,
        format: format.unwrap_or(WebhookFormat::Json),
    })
}

/// The text of an error never contains the URL.
fn usable(text: &str, allow_http: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("this is not a URL: {error}"))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_http || is_this_machine(&url) => {}
        "http" => {
            return Err(
                "http:// is allowed only to this machine: write https://, or, if others on the \
                 way may read the alerts, allow_http = true"
                    .to_owned(),
            );
        }
        _ => return Err("the URL must begin with https://".to_owned()),
    }
    if url.fragment().is_some() {
        return Err("a URL of a webhook has no part behind #".to_owned());
    }
    Ok(url)
}

fn secret(section: &mut Section<'_>) -> Option<SecretSource> {
    let file = section.marked::<PathBuf>("secret_file")?;
    let source = SecretSource::File(file.value.clone());
    if section.can_test(&file.span, &[&file.value])
        && let Err(error) = source.read()
    {
        let message = format!("secret_file: {error}");
        let kind = ProblemKind::of_file(error.is_unreadable());
        section.problem_of_file(&file.span, kind, message);
    }
    Some(source)
}

fn mail(section: &mut Section<'_>, accounts: &[Account]) -> Option<AlertMail> {
    let to = section.marked::<Address>("mail");
    let account = section.marked::<String>("account");
    let Some(to) = to else {
        if let Some(account) = account.filter(|_| !section.has("mail")) {
            let message = "account: only an [[alert]] with \"mail\" has it";
            section.problem_at(&account.span, message);
        }
        return None;
    };
    if !to.value.is_routable() {
        let message = "mail: write an address like \"it@contoso.com\" whose domain is public";
        section.problem_at(&to.span, message);
    }
    let (account, author) = sender(section, &to, account, accounts)?;
    Some(AlertMail {
        to: to.value,
        account: account.name.clone(),
        mailbox: account.mailbox.clone(),
        author,
    })
}

/// The account that sends, and as whom.
fn sender<'a>(
    section: &Section<'_>,
    to: &Marked<Address>,
    account: Option<Marked<String>>,
    accounts: &'a [Account],
) -> Option<(&'a Account, Address)> {
    let found = match &account {
        Some(named) => {
            let account = accounts.iter().find(|account| account.name == named.value);
            let Some(account) = account else {
                let message = format!("account: there is no [[account]] named {:?}", named.value);
                section.problem_at(&named.span, message);
                return None;
            };
            author(account).map(|author| (account, author))
        }
        None => accounts.iter().find_map(|account| {
            let author = author(account)?;
            Some((account, author))
        }),
    };
    // Without a usable account the file has other problems.
    if found.is_none() && !accounts.is_empty() {
        let message = "mail: the relay has no address to send from: give the [[account]] a \
                       default_from, because with mailbox = \"from\" it has none of its own";
        let span = account.map_or_else(|| to.span.clone(), |account| account.span);
        section.problem_at(&span, message);
    }
    found
}

/// The From of mail that the relay itself sends through an account.
fn author(account: &Account) -> Option<Address> {
    let mailbox = match &account.mailbox {
        Mailbox::Fixed(mailbox) => Some(mailbox),
        Mailbox::From => None,
    };
    match account.submission.from {
        FromRule::Mailbox => mailbox.or(account.default_from.as_ref()).cloned(),
        FromRule::Keep => account.default_from.as_ref().or(mailbox).cloned(),
    }
}
