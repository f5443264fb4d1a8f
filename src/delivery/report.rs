//! Whether an outcome is reported, and who gets the report.
//!
//! A message that has failed is reported once, in the transaction that settles
//! it (promise 2); one that is late by `delivery.warn_after` once before that, at
//! the end of an attempt. What is not tried meanwhile, because its mailbox is
//! braked or no account sends it any more, gets no warning: in an outage a few
//! senders are warned and not all at once.
//!
//! | `failure.notify` | the message | failure | delay |
//! |---|---|---|---|
//! | any | the reverse-path is null, it is a report of ours, or automatic | - | - |
//! | `off` | | - | - |
//! | an address | | that address | - |
//! | `sender` | reverse-path can get mail, and the client authenticated or it is ours | the reverse-path | the reverse-path |
//! | `sender` | any other | the mailbox that sends | - |
//!
//! A reverse-path is ours if its domain is that of a mailbox or `default_from` in
//! relay.toml, or if it matches one of its `senders` that names a domain. A report
//! to any other address would be backscatter: whoever may connect could have the
//! tenant write to whom he likes. The mailbox that sends is where Exchange's own
//! non-delivery reports go.
//!
//! Automatic is what RFC 3834 calls so, what Exchange's X-Auto-Response-Suppress
//! asks not to answer, and a report of somebody else's. A mailing list's fields
//! alone (List-Id) do not count: its reverse-path is there to get reports.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use super::Context;
use super::dsn;
use super::explain;
use super::outcome::Outcome;
use super::recipients::effective;
use super::remedy;
use crate::clock::Moment;
use crate::clock::RunningTime;
use crate::config::Account;
use crate::config::Mailbox;
use crate::config::Notify;
use crate::mail::Address;
use crate::mail::ReversePath;
use crate::mime::Header;
use crate::routing::lane;
use crate::routing::substitute;
use crate::spool::Claimed;
use crate::spool::Dsn;
use crate::spool::DsnKind;
use crate::spool::Next;
use crate::telemetry::maillog;

/// What an attempt has come to.
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
    /// The report about an entry after an attempt, if there is to be one.
    pub(super) async fn report(&self, entry: &Claimed, ending: Ending<'_>) -> Option<Dsn> {
        let report = AssertUnwindSafe(self.make_report(entry, ending));
        // What goes wrong here must not keep the outcome from being settled.
        let made = report.catch_unwind().await;
        made.unwrap_or_else(|_| {
            maillog::report_panicked(entry.id);
            None
        })
    }

    async fn make_report(&self, entry: &Claimed, ending: Ending<'_>) -> Option<Dsn> {
        let kind = self.kind(entry, ending)?;
        let outlet = self.outlets.get(&entry.lane.account)?;
        let head = entry.content.head().await.unwrap_or_default();
        let whole = head.len() as u64 == entry.content.size();
        let header = Header::split(&head, whole);
        let automatic = header.as_ref().is_some_and(is_automatic);
        let accounts = self.outlets.values().map(|outlet| &outlet.account);
        let recipient = addressee(kind, &self.notify, entry, automatic, accounts)?;
        let from = substitute(&outlet.account, &ReversePath::Null);
        let author = from.unwrap_or(&entry.lane.mailbox).clone();
        let id = self.spool.new_id();
        let explanation = self.explanation(kind, entry, ending);
        let rule = outlet.account.submission.recipients;
        let header = header.as_ref();
        let envelope = header.map(|header| effective(header, &entry.envelope, rule));
        let envelope = envelope.as_deref().unwrap_or(&entry.envelope);
        let facts = dsn::Facts {
            id,
            kind,
            entry,
            outcome: ending.outcome,
            header,
            recipients: &envelope.recipients,
            explanation: &explanation,
            hostname: &self.hostname,
            author: &author,
            recipient: &recipient,
            now: ending.now.at,
            until: match kind {
                DsnKind::Failure => Some(ending.now.at + self.keep),
                DsnKind::Delay => {
                    let since = ending.trouble_since;
                    since.map(|since| ending.now.wall(since + self.settings.expire_after))
                }
            },
        };
        Some(Dsn {
            id,
            kind,
            content: dsn::compose(&facts),
            lane: lane(&outlet.account, &author),
            author,
            recipient,
        })
    }

    fn kind(&self, entry: &Claimed, ending: Ending<'_>) -> Option<DsnKind> {
        match ending.next {
            Next::Failed => Some(DsnKind::Failure),
            Next::Wait(_) => {
                let late = ending.now.running.since(entry.accepted_running);
                let after = self.settings.warn_after?;
                (late >= after && !entry.warned).then_some(DsnKind::Delay)
            }
            Next::Delivered | Next::Held | Next::Quarantined => None,
        }
    }

    fn explanation(
        &self,
        kind: DsnKind,
        entry: &Claimed,
        ending: Ending<'_>,
    ) -> explain::Explanation {
        let now = ending.now.running;
        let said = match kind {
            DsnKind::Failure => {
                let since = ending.trouble_since.unwrap_or(now);
                explain::failure(ending.outcome, now.since(since), ending.is_doubted)
            }
            DsnKind::Delay => explain::delay(ending.outcome, now.since(entry.accepted_running)),
        };
        explain::Explanation {
            happened: remedy::named(&said.happened, entry),
            remedy: remedy::named(&said.remedy, entry),
            ..said
        }
    }
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
        (Notify::Off, _) | (Notify::Address(_), DsnKind::Delay) => None,
        (Notify::Address(address), DsnKind::Failure) => Some(address.canonical()),
        (Notify::Sender, _) => {
            let mut accounts = accounts;
            let known = entry.trace.user.is_some() || accounts.any(|account| is_of(path, account));
            match kind {
                _ if known && path.is_routable() => Some(path.canonical()),
                DsnKind::Failure => Some(entry.lane.mailbox.clone()),
                DsnKind::Delay => None,
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
    own.any(|own| own.domain().eq_ignore_ascii_case(address.domain()))
        || named.any(|pattern| pattern.matches(address))
}

/// Whether nobody waits for an answer to this message.
fn is_automatic(header: &Header<'_>) -> bool {
    let first_word = |text: &str| {
        let word = text.split([';', '(', ' ', '\t']).next();
        word.unwrap_or_default().to_ascii_lowercase()
    };
    header.fields.iter().any(|field| {
        let text = field.text();
        let word = first_word(&text);
        if field.is("Auto-Submitted") {
            // RFC 3834 5.
            word != "no"
        } else if field.is("Precedence") {
            ["bulk", "list", "junk"].contains(&word.as_str())
        } else if field.is("X-Auto-Response-Suppress") {
            // [MS-OXCMAIL]; asked of Exchange by its own programs and by many others.
            let mut asked = text.split(',').map(str::trim);
            asked.any(|it| ["all", "dr", "ndr"].contains(&it.to_ascii_lowercase().as_str()))
        } else {
            field.is("Content-Type") && word == "multipart/report"
        }
    })
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
    fn a_report_goes_to_a_sender_who_is_ours_and_else_to_the_mailbox_that_sends() {
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
    fn what_must_not_be_answered_is_reported_to_nobody() {
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

    #[test]
    fn automatic_messages_are_known_by_their_fields() {
        let automatic = |field: &str| {
            let head = format!("{field}\r\n\r\n");
            is_automatic(&Header::split(head.as_bytes(), true).unwrap())
        };

        for field in [
            "Auto-Submitted: auto-generated",
            "auto-submitted: Auto-Replied (vacation); x=y",
            "Auto-Submitted:",
            "Precedence: bulk",
            "Precedence: Junk",
            "X-Auto-Response-Suppress: OOF, DR, AutoReply",
            "X-Auto-Response-Suppress: All",
            "Content-Type: multipart/report; report-type=delivery-status",
        ] {
            assert!(automatic(field), "{field}");
        }
        for field in [
            "Auto-Submitted: no",
            "Auto-Submitted: No (a person)",
            "Precedence: first-class",
            "X-Auto-Response-Suppress: OOF, AutoReply",
            "Content-Type: multipart/mixed",
            "List-Id: <list.contoso.com>",
            "Subject: Auto-Submitted: auto-replied",
        ] {
            assert!(!automatic(field), "{field}");
        }
    }
}
