//! What an administrator can do about a configuration fault, in words that name
//! the place: the catalogue's, where a code says what is wrong, and here what has
//! none. `{mailbox}` and `{author}` stand for the message's.

use super::Context;
use super::outcome::Cause;
use super::outcome::Doubt;
use super::outcome::Kind;
use super::outcome::Outcome;
use super::suspects::Verdict;
use crate::catalogue;
use crate::mail::Address;
use crate::routing::substitute;
use crate::spool::Claimed;

impl Outcome {
    /// What has happened and what to do, for whoever looks at the message.
    /// `from` is the From that the message goes out with.
    pub(super) fn in_words(&self, entry: &Claimed, from: &Address) -> String {
        match self.kind {
            Kind::Deferred {
                cause: Cause::Configuration(remedy),
                ..
            } => {
                let remedy = named(remedy, entry, from);
                format!("{}{}; {remedy}", self.reason, self.whose())
            }
            Kind::Doubtful {
                doubt: Doubt::Look, ..
            } => format!(
                "{}{}; its draft will tell whether it was sent",
                self.reason,
                self.whose()
            ),
            Kind::Doubtful {
                doubt: Doubt::Blind,
                ..
            } => format!("{}{}", self.reason, self.whose()),
            Kind::Delivered | Kind::Deferred { .. } | Kind::Failed => self.reason.clone(),
        }
    }

    /// Whose trouble it is, where that is known to be the message's own.
    fn whose(&self) -> &'static str {
        match self.verdict {
            Some(Verdict::Own) => OWN,
            Some(Verdict::Open | Verdict::Common) | None => "",
        }
    }
}

/// Behind the reason of a message that fails while others do not.
const OWN: &str = "; only this message is affected: others get through the same way, and this one is \
    tried again until delivery.expire_after";

/// A remedy with the names that it is about: the mailbox, and the From that the
/// message goes out with.
pub(super) fn named(remedy: &str, entry: &Claimed, from: &Address) -> String {
    catalogue::named(remedy, entry.lane.mailbox.as_str(), from.as_str())
}

impl Context {
    /// The From that a message goes out with.
    pub(super) fn goes_out_from(&self, entry: &Claimed) -> Address {
        let author = entry.author.as_ref();
        let author = author.and_then(|author| self.senders.outgoing(author));
        author
            .or_else(|| {
                let outlet = self.outlets.get(&entry.lane.account)?;
                substitute(&outlet.account, &entry.envelope.reverse_path).cloned()
            })
            .unwrap_or_else(|| entry.lane.mailbox.clone())
    }
}

/// For one of Entra's refusals.
pub(super) fn credential(aadsts: Option<u32>) -> &'static str {
    aadsts
        .and_then(catalogue::entra)
        .map_or(APP, |entry| entry.remedy)
}

/// For a sign-in that Entra accepts no longer.
pub(super) fn signed_out(code: &str) -> &'static str {
    catalogue::find(code).map_or(SIGN_IN, |entry| entry.remedy)
}

pub(super) const TOKEN_REFUSED: &str = catalogue::INVALID_TOKEN.remedy;
pub(super) const ACCESS: &str = catalogue::ACCESS_DENIED.remedy;
pub(super) const SEND_AS: &str = catalogue::SEND_AS_DENIED.remedy;
pub(super) const NO_MAILBOX: &str = catalogue::INVALID_USER.remedy;
pub(super) const NO_LICENCE: &str = catalogue::NO_LICENCE.remedy;
pub(super) const MAILBOX_FULL: &str = catalogue::MAILBOX_FULL.remedy;
pub(super) const BLOCKED: &str = catalogue::SUBMISSION_BLOCKED.remedy;
pub(super) const NOT_GRAPH: &str = catalogue::NOT_GRAPH.remedy;
pub(super) const PROXY: &str = catalogue::PROXY_WANTS_PASSWORD.remedy;

/// Where Entra's number is not in the catalogue, or there is none.
const APP: &str = "compare tenant, client_id and credential with the app registration in Entra";
pub(super) const CREDENTIAL: &str = "fix the credential that relay.toml names for this [[account]]; it is read \
    again with the next attempt";
pub(super) const IDENTITY: &str = "give this machine a managed identity (in Azure: the machine > Identity), and \
    that identity the app role Mail.Send (New-MgServicePrincipalAppRoleAssignment)";
pub(super) const SIGN_IN: &str = "sign the mailbox in: graph-relay login {mailbox}";
pub(super) const CONSENT: &str = "the person of {mailbox} may not send through the app: add the delegated permission \
    Mail.Send to the app registration, grant consent, and sign in again: graph-relay login {mailbox}";
pub(super) const DRAFT_CONSENT: &str = "the app may not make drafts in {mailbox}, which this message needs (it is \
    larger than one request, or submission or blind ask for it): add the delegated permission \
    Mail.ReadWrite to the app registration, grant consent, and sign in again: graph-relay login {mailbox}";
pub(super) const SIGN_INS: &str =
    "fix data_dir/token-key and data_dir/sign-ins, then restart the relay";
pub(super) const DRAFT_ACCESS: &str = "the app may not make drafts in {mailbox}, which this message needs (it is \
    larger than one request, or submission or blind ask for it): grant it the application permission \
    Mail.ReadWrite with admin consent, or include the mailbox in its RBAC scope; a change takes up to \
    two hours";
pub(super) const UPLOAD_HOST: &str = "look at graph_url and at what stands between this machine and Graph: an \
    answer named an upload host that is none of Microsoft's";
pub(super) const NO_ACCOUNT: &str =
    "restart the relay, so that waiting messages find their [[account]]";
