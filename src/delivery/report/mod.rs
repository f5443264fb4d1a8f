//! Whether an outcome is reported, and who gets the report.
//!
//! A failed message is reported once, in the transaction that settles it (promise 2). A
//! message submitted to Graph is reported in the same way if its sender asked for it
//! (NOTIFY=SUCCESS). A message that is late by `delivery.warn_after` is announced once,
//! at the end of an attempt. Messages that are not tried meanwhile, because their mailbox
//! backs off or no account sends them any more, cause no delay notice: in an outage a few
//! senders are warned and not all at once.
//!
//! | `failure.notify` | the message | failure | delay, success |
//! |---|---|---|---|
//! | any | the reverse-path is null, it is a report of ours, or automatic | - | - |
//! | `off` | | - | - |
//! | an address | | that address | - |
//! | `sender` | reverse-path can get mail, and the client authenticated or it is ours | the reverse-path | the reverse-path |
//! | `sender` | any other, or one barred by `recipients_allowed` or `redirect_all_to` | the mailbox that sends | - |
//!
//! NOTIFY (RFC 3461 4.1) decides which recipients a report to the sender covers: those
//! for whom it was requested, and without NOTIFY all of them for failures and delays. If
//! none are left there is no report. RET decides whether a failure report returns the
//! whole message. Both apply only to the sender's own reports: an operator's address gets
//! every failure, with all recipients and without the content.
//!
//! A reverse-path is ours if its domain is that of a mailbox or of `default_from` in
//! relay.toml, or if it matches one of its `senders` that names a domain. A report to any
//! other address would be backscatter: anybody who may connect could make the tenant send
//! mail to any address. Exchange's own non-delivery reports also go to the sending
//! mailbox.
//!
//! `automatic.rs` says which messages are automatic. NOTIFY does not change that: a
//! program that answers a report and requests a report about its answer would cause an
//! endless loop.

mod automatic;
mod dsn;

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;

use self::automatic::answers_a_report;
use self::automatic::is_automatic;
use super::Context;
use super::attempt::recipients::effective;
use super::outcome::Outcome;
use super::outcome::explain;
use super::outcome::named;
use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::clock::Timestamp;
use crate::config::Account;
use crate::config::Mailbox;
use crate::config::Notify;
use crate::mail::Address;
use crate::mail::Envelope;
use crate::mail::NotifyOn;
use crate::mail::ReportRequest;
use crate::mail::Returned;
use crate::mail::ReversePath;
use crate::mime::Header;
use crate::routing::destination;
use crate::routing::substitute;
use crate::spool::Claimed;
use crate::spool::Dsn;
use crate::spool::DsnKind;
use crate::spool::Next;
use crate::telemetry::maillog;

/// The end of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) next: Next,
    /// See [`crate::spool::AttemptReport::trouble_since`].
    pub(super) trouble_since: Option<RunningTime>,
    /// Whether an earlier attempt may have submitted the message.
    pub(super) is_doubted: bool,
    pub(super) now: Moment,
}

impl Context {
    /// The report about an entry after an attempt, if there is one.
    pub(super) async fn report(&self, entry: &Claimed, ending: Ending<'_>) -> Option<Dsn> {
        let report = AssertUnwindSafe(self.make_report(entry, ending));
        // An error here must not keep the outcome from being settled.
        let made = report.catch_unwind().await;
        made.unwrap_or_else(|_| {
            maillog::report_panicked(entry.id);
            None
        })
    }

    async fn make_report(&self, entry: &Claimed, ending: Ending<'_>) -> Option<Dsn> {
        let kind = self.kind(entry, ending)?;
        let account_client = self.account_clients.get(&entry.destination.account)?;
        let head = entry.content.head().await.unwrap_or_default();
        let whole = head.len() as u64 == entry.content.size();
        let header = Header::of_message(&head, whole);
        let automatic = header.as_ref().is_some_and(|header| {
            let answers = kind == DsnKind::Relayed && answers_a_report(header, &self.hostname);
            answers || is_automatic(header)
        });
        let accounts = self.account_clients.values().map(|it| &it.account);
        let recipient = addressee(kind, &self.notify, entry, automatic, accounts)?;
        let from = substitute(&account_client.account, &ReversePath::Null);
        let author = from.unwrap_or(&entry.destination.mailbox).clone();
        let rule = account_client.account.submission.recipients;
        let header = header.as_ref();
        let envelope = header.map(|header| effective(header, &entry.envelope, rule));
        let envelope = envelope.as_deref().unwrap_or(&entry.envelope);
        let Some(wishes) = Wishes::of(kind, &self.notify, entry, envelope) else {
            if kind == DsnKind::Failure {
                maillog::report_not_wanted(entry.id);
            }
            return None;
        };
        let id = self.spool.new_id();
        let explanation = self.explanation(kind, entry, ending, wishes.is_followed);
        let content = wishes.content(entry).await;
        let facts = dsn::Facts {
            id,
            kind,
            entry,
            outcome: ending.outcome,
            header,
            returned: match &content {
                _ if !wishes.whole => dsn::Return::Header,
                Some(content) => dsn::Return::Whole(content),
                None => dsn::Return::HeaderOnly,
            },
            others: envelope.recipients.len() - wishes.recipients.len(),
            recipients: &wishes.recipients,
            explanation: &explanation,
            hostname: &self.hostname,
            author: &author,
            recipient: &recipient,
            now: ending.now.at,
            until: self.until(kind, ending),
        };
        Some(Dsn {
            id,
            kind,
            content: dsn::compose(&facts),
            message_id: id.message_id(&self.hostname),
            subject: dsn::title(&facts),
            destination: destination(&account_client.account, &author),
            author,
            recipient,
        })
    }

    /// Until when it is kept, or tried.
    fn until(&self, kind: DsnKind, ending: Ending<'_>) -> Option<Timestamp> {
        match kind {
            DsnKind::Failure => Some(ending.now.at + self.keep),
            DsnKind::Delay => {
                let since = ending.trouble_since;
                since.map(|since| ending.now.wall(since + self.settings.expire_after))
            }
            DsnKind::Relayed => None,
        }
    }

    fn kind(&self, entry: &Claimed, ending: Ending<'_>) -> Option<DsnKind> {
        match ending.next {
            Next::Failed => Some(DsnKind::Failure),
            Next::Wait(_) => {
                let late = ending.now.running.since(entry.accepted_running);
                let after = self.settings.warn_after?;
                (late >= after && !entry.warned).then_some(DsnKind::Delay)
            }
            // RFC 3461 5.2.2 and 5.2.4: the next system does not support reports.
            Next::Delivered => entry
                .envelope
                .reports
                .wants_success()
                .then_some(DsnKind::Relayed),
            Next::Held | Next::Quarantined => None,
        }
    }

    fn explanation(
        &self,
        kind: DsnKind,
        entry: &Claimed,
        ending: Ending<'_>,
        is_followed: bool,
    ) -> explain::Explanation {
        let now = ending.now.running;
        let said = match kind {
            DsnKind::Failure => {
                let since = ending.trouble_since.unwrap_or(now);
                explain::failure(ending.outcome, now.since(since), ending.is_doubted)
            }
            DsnKind::Delay => {
                let late = now.since(entry.accepted_running);
                explain::delay(ending.outcome, late, is_followed)
            }
            DsnKind::Relayed => explain::relayed(ending.is_doubted),
        };
        let from = self.goes_out_from(entry);
        explain::Explanation {
            happened: named(&said.happened, entry, &from),
            remedy: named(&said.remedy, entry, &from),
            ..said
        }
    }
}

/// What a report contains, according to the requests for it.
struct Wishes {
    /// The recipients that it covers; never empty.
    recipients: Vec<Address>,
    /// Whether it returns the whole message.
    whole: bool,
    /// Whether a failure of one of them would be reported too.
    is_followed: bool,
}

/// The largest message that a report returns whole: enough for a letter with pictures,
/// and in total still less than one request to Graph can carry.
const MOST_RETURNED: u64 = 1_000_000;

impl Wishes {
    /// None if no report is wanted. `envelope` is the one that counts.
    fn of(kind: DsnKind, notify: &Notify, entry: &Claimed, envelope: &Envelope) -> Option<Self> {
        if matches!(notify, Notify::Address(_)) {
            return Some(Self {
                recipients: envelope.recipients.clone(),
                whole: false,
                is_followed: true,
            });
        }
        let asked = Asked::of(&entry.envelope);
        let recipients = envelope.recipients.iter();
        let recipients = recipients.filter(|it| wants(kind, asked.notify(it)));
        let recipients: Vec<Address> = recipients.cloned().collect();
        let returned = entry.envelope.reports.returned;
        (!recipients.is_empty()).then(|| Self {
            is_followed: recipients.iter().any(|it| asked.notify(it).failure),
            recipients,
            // RFC 3461 4.3: RET applies only to reports of a failure.
            whole: kind == DsnKind::Failure && returned == Some(Returned::Message),
        })
    }

    /// The message, if it is returned whole and can be read.
    async fn content(&self, entry: &Claimed) -> Option<Bytes> {
        if !self.whole || entry.content.size() > MOST_RETURNED {
            return None;
        }
        // Wrong bytes are never sent.
        entry.content.verify(entry.digest).await.ok()?;
        entry.content.whole().await.ok()
    }
}

/// RFC 3461 4.1.
fn wants(kind: DsnKind, notify: NotifyOn) -> bool {
    match kind {
        DsnKind::Failure => notify.failure,
        DsnKind::Delay => notify.delay,
        DsnKind::Relayed => notify.success,
    }
}

/// The requests for each recipient.
struct Asked<'a> {
    reports: &'a ReportRequest,
    /// For a recipient that only the header section names (`recipients = "headers"`): the
    /// requests that are the same for the whole envelope.
    common: NotifyOn,
}

impl<'a> Asked<'a> {
    fn of(envelope: &'a Envelope) -> Self {
        let reports = &envelope.reports;
        let mut asked = envelope.recipients.iter().map(|it| notify(reports, it));
        let first = asked.next().flatten();
        let common = first.filter(|first| asked.all(|other| other == Some(*first)));
        Self {
            reports,
            common: common.unwrap_or(NotifyOn::DEFAULT),
        }
    }

    fn notify(&self, recipient: &Address) -> NotifyOn {
        notify(self.reports, recipient).unwrap_or(self.common)
    }
}

fn notify(reports: &ReportRequest, recipient: &Address) -> Option<NotifyOn> {
    let asked = reports.of(recipient)?;
    Some(asked.notify.unwrap_or(NotifyOn::DEFAULT))
}

/// Who gets a report: the table above.
fn addressee<'a>(
    kind: DsnKind,
    notify: &Notify,
    entry: &Claimed,
    automatic: bool,
    accounts: impl Iterator<Item = &'a Account>,
) -> Option<Address> {
    let path = entry.envelope.reverse_path.address()?;
    if entry.about.is_some() || automatic {
        return None;
    }
    match (notify, kind) {
        (Notify::Off, _) | (Notify::Address(_), DsnKind::Delay | DsnKind::Relayed) => None,
        (Notify::Address(address), DsnKind::Failure) => Some(address.canonical()),
        (Notify::Sender, _) => {
            let mut accounts = accounts;
            let may_receive = !entry.envelope.reports.sender_is_barred;
            let known = entry.trace.user.is_some() || accounts.any(|account| is_of(path, account));
            match kind {
                _ if known && may_receive && path.is_routable() => Some(path.canonical()),
                DsnKind::Failure => Some(entry.destination.mailbox.clone()),
                DsnKind::Delay | DsnKind::Relayed => None,
            }
        }
    }
}

/// Whether an address is one of the account's.
fn is_of(address: &Address, account: &Account) -> bool {
    let mailbox = match &account.mailbox {
        Mailbox::Fixed(mailbox) => Some(mailbox),
        Mailbox::From => None,
    };
    let mut own = mailbox.into_iter().chain(&account.default_from);
    let mut named = account.senders.iter().filter(|it| it.names_domain());
    own.any(|own| own.domain_key() == address.domain_key())
        || named.any(|pattern| pattern.matches(address))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::delivery::oracle;

    const ACCOUNTS: &str = r#"
        [[account]]
        name = "scanners"
        tenant = "contoso.com"
        client_id = "1"
        client_secret_env = "PATH"
        mailbox = "scan@contoso.com"
        default_from = "noreply@fabrikam.com"
        senders = ["*@*.printers.example", "any@*"]

        [[account]]
        name = "all"
        tenant = "contoso.com"
        client_id = "2"
        client_secret_env = "PATH"
        mailbox = "from"
        default_from = "info@M\u00FCller.example"
    "#;

    /// Who gets reports about a message: of its failure and of its delay.
    fn told(notify: &Notify, entry: &Claimed, automatic: bool) -> [Option<String>; 2] {
        let config = Config::parse(ACCOUNTS, Path::new("relay.toml")).unwrap();
        [DsnKind::Failure, DsnKind::Delay].map(|kind| {
            let accounts = config.accounts.iter();
            addressee(kind, notify, entry, automatic, accounts).map(String::from)
        })
    }

    fn from(reverse_path: &str) -> Claimed {
        let mut entry = oracle::entry(b"\r\n", vec!["a@b.c".parse().unwrap()]);
        if let Ok(path) = reverse_path.parse() {
            entry.envelope.reverse_path = ReversePath::Address(path);
        }
        entry
    }

    fn two(failure: &str, delay: &str) -> [Option<String>; 2] {
        [failure, delay].map(|to| Some(to.to_owned()).filter(|to| !to.is_empty()))
    }

    #[test]
    fn a_report_goes_to_our_own_sender_or_else_to_the_sending_mailbox() {
        const MAILBOX: &str = "relay@contoso.com";
        for (path, user, failure, delay) in [
            (
                "Anna@Contoso.com",
                None,
                "anna@contoso.com",
                "anna@contoso.com",
            ),
            ("a@fabrikam.com", None, "a@fabrikam.com", "a@fabrikam.com"),
            (
                "x@hq.printers.example",
                None,
                "x@hq.printers.example",
                "x@hq.printers.example",
            ),
            ("eve@elsewhere.example", None, MAILBOX, ""),
            (
                "a@xn--mller-kva.example",
                None,
                "a@xn--mller-kva.example",
                "a@xn--mller-kva.example",
            ),
            ("any@elsewhere.example", None, MAILBOX, ""),
            ("a@sub.contoso.com", None, MAILBOX, ""),
            ("root@host", None, MAILBOX, ""),
            ("root@host", Some("root"), MAILBOX, ""),
            ("\"a b\"@contoso.com", None, MAILBOX, ""),
            (
                "eve@elsewhere.example",
                Some("eve"),
                "eve@elsewhere.example",
                "eve@elsewhere.example",
            ),
        ] {
            let mut entry = from(path);
            entry.trace.user = user.map(str::to_owned);

            assert_eq!(
                told(&Notify::Sender, &entry, false),
                two(failure, delay),
                "{path}"
            );
        }
    }

    #[test]
    fn automatic_messages_get_no_report() {
        let operator = Notify::Address("it@contoso.com".parse().unwrap());
        let about = Claimed {
            about: Some("01M7ZZDH4TKT6XKYKEMYK3N3EJ".parse().unwrap()),
            ..from("anna@contoso.com")
        };
        let nobody = two("", "");
        for notify in [Notify::Sender, operator.clone(), Notify::Off] {
            assert_eq!(told(&notify, &from(""), false), nobody, "{notify:?}");
            assert_eq!(told(&notify, &about, false), nobody, "{notify:?}");
            assert_eq!(told(&notify, &from("anna@contoso.com"), true), nobody);
        }
        assert_eq!(told(&Notify::Off, &from("anna@contoso.com"), false), nobody);
        for path in ["anna@contoso.com", "eve@elsewhere.example"] {
            assert_eq!(
                told(&operator, &from(path), false),
                two("it@contoso.com", "")
            );
        }
    }
}
