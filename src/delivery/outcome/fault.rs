//! Configuration faults, and what an administrator can do about each. The remedy comes
//! from the catalogue if a code says what is wrong, otherwise from here. `{mailbox}` and
//! `{author}` stand for those of the message.

use super::Cause;
use super::Doubt;
use super::Kind;
use super::Outcome;
use super::suspects::Verdict;
use crate::catalogue;
use crate::config::SignIn;
use crate::mail::Address;
use crate::spool::Claimed;

/// A problem that somebody has to correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Fault {
    /// The message's `[[account]]` was removed from relay.toml.
    NoAccount,
    /// The credential that relay.toml names cannot be read.
    Credential,
    /// The machine has no managed identity that may send.
    ManagedIdentity,
    /// Entra refuses the app, with this AADSTS number.
    Refused(Option<u32>),
    /// The folder of the sign-ins cannot be read or written.
    SignInStore,
    /// Nobody has signed the mailbox in.
    NotSignedIn,
    /// Entra no longer accepts the sign-in. The catalogue may know why.
    SignedOut(Option<&'static catalogue::Entry>),
    /// Graph refuses the token.
    TokenRefused,
    /// A proxy asks for a password.
    Proxy,
    /// The answer does not come from Graph.
    NotGraph,
    /// Graph sent an upload URL of a host that is not Microsoft's.
    UploadHost,
    /// The app may not send from the mailbox.
    Access,
    /// The app may not create drafts in it.
    DraftAccess,
    /// The mailbox may not send as the author.
    SendAs,
    /// Graph knows no such mailbox.
    NoMailbox,
    /// It has no licence.
    NoLicence,
    /// It is full.
    MailboxFull,
    /// It is blocked from sending.
    Blocked,
}

impl Fault {
    /// Whether this code means that Entra no longer accepts the sign-in.
    pub(super) fn signed_out(code: &str) -> Self {
        Self::SignedOut(catalogue::find(code))
    }

    /// What to do. If people sign in, the rights of a mailbox are those that its person
    /// has consented to.
    pub(in crate::delivery) fn remedy(self, sign_in: SignIn) -> &'static str {
        let is_delegated = sign_in == SignIn::Delegated;
        match self {
            Self::NoAccount => NO_ACCOUNT,
            Self::Credential => CREDENTIAL,
            Self::ManagedIdentity => IDENTITY,
            Self::Refused(aadsts) => {
                let entry = aadsts.and_then(catalogue::entra);
                entry.map_or(APP, |entry| entry.remedy)
            }
            Self::SignInStore => SIGN_INS,
            Self::NotSignedIn => SIGN_IN,
            Self::SignedOut(entry) => entry.map_or(SIGN_IN, |entry| entry.remedy),
            Self::TokenRefused if is_delegated => SIGN_IN,
            Self::TokenRefused => catalogue::INVALID_TOKEN.remedy,
            Self::Proxy => catalogue::PROXY_WANTS_PASSWORD.remedy,
            Self::NotGraph => catalogue::NOT_GRAPH.remedy,
            Self::UploadHost => UPLOAD_HOST,
            Self::Access if is_delegated => CONSENT,
            Self::Access => catalogue::ACCESS_DENIED.remedy,
            Self::DraftAccess if is_delegated => DRAFT_CONSENT,
            Self::DraftAccess => DRAFT_ACCESS,
            Self::SendAs => catalogue::SEND_AS_DENIED.remedy,
            Self::NoMailbox => catalogue::INVALID_USER.remedy,
            Self::NoLicence => catalogue::NO_LICENCE.remedy,
            Self::MailboxFull => catalogue::MAILBOX_FULL.remedy,
            Self::Blocked => catalogue::SUBMISSION_BLOCKED.remedy,
        }
    }
}

impl Outcome {
    /// What to do, if somebody has to correct something.
    pub(in crate::delivery) fn remedy(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Deferred {
                cause: Cause::Configuration(fault),
                ..
            } => Some(fault.remedy(self.sign_in)),
            Kind::Deferred {
                cause: Cause::Throttled | Cause::Unavailable,
                ..
            }
            | Kind::Delivered
            | Kind::Failed
            | Kind::Doubtful { .. } => None,
        }
    }

    /// What happened and what to do, for people who look at the message. `from` is the
    /// outgoing From.
    pub(in crate::delivery) fn in_words(&self, entry: &Claimed, from: &Address) -> String {
        let mut parts = vec![self.reason.clone()];
        match (self.kind, self.remedy()) {
            (_, Some(remedy)) => {
                parts.extend(self.whose().map(str::to_owned));
                parts.push(named(remedy, entry, from));
            }
            (Kind::Doubtful { doubt, .. }, None) => {
                parts.extend(self.whose().map(str::to_owned));
                if doubt == Doubt::Look {
                    parts.push("the relay checks its draft to see whether it was sent".to_owned());
                }
            }
            (Kind::Delivered | Kind::Failed | Kind::Deferred { .. }, None) => {}
        }
        joined(&parts)
    }

    /// Says so if the message itself is known to be the problem.
    fn whose(&self) -> Option<&'static str> {
        match self.verdict {
            Some(Verdict::Own) => Some(OWN),
            Some(Verdict::Open | Verdict::Common) | None => None,
        }
    }
}

/// Joins the parts of a reason. Graph's texts end with a full stop.
fn joined(parts: &[String]) -> String {
    let mut words = String::new();
    for part in parts {
        if !words.is_empty() {
            words.truncate(words.trim_end_matches('.').len());
            words.push_str("; ");
        }
        words.push_str(part);
    }
    words
}

/// Added to the reason of a message that fails while others do not.
const OWN: &str = "only this message is affected: others get through the same way, and this one is \
    tried again until delivery.expire_after";

/// A remedy with the names that it concerns: the mailbox, and the outgoing From.
pub(in crate::delivery) fn named(remedy: &str, entry: &Claimed, from: &Address) -> String {
    catalogue::named(remedy, entry.destination.mailbox.as_str(), from.as_str())
}

/// Used if Entra's number is not in the catalogue, or if there is none.
const APP: &str = "compare tenant, client_id and credential with the app registration in Entra";
const CREDENTIAL: &str = "fix the credential that relay.toml names for this [[account]]; it is read \
    again with the next attempt";
const IDENTITY: &str = "give this machine a managed identity (in Azure: the machine > Identity), and \
    that identity the app role Mail.Send (New-MgServicePrincipalAppRoleAssignment)";
const SIGN_IN: &str = "sign the mailbox in: graph-relay login {mailbox}";
const CONSENT: &str = "the user of {mailbox} is not allowed to send through the app: add the \
    delegated permission \
    Mail.Send to the app registration, grant consent, and sign in again: graph-relay login {mailbox}";
const DRAFT_CONSENT: &str = "the app is not allowed to create drafts in {mailbox}, which this \
    message needs (it is larger than one request, or submission or blind requires one): add the \
    delegated permission \
    Mail.ReadWrite to the app registration, grant consent, and sign in again: graph-relay login {mailbox}";
const SIGN_INS: &str = "fix data_dir/token-key and data_dir/sign-ins, then restart the relay";
const DRAFT_ACCESS: &str = "the app is not allowed to create drafts in {mailbox}, which this \
    message needs (it is larger than one request, or submission or blind requires one): grant it \
    the application permission \
    Mail.ReadWrite with admin consent, or include the mailbox in its RBAC scope; a change takes up to \
    two hours";
const UPLOAD_HOST: &str = "check graph_url and any proxy between this machine and Graph: an \
    answer named an upload host that is not one of Microsoft's";
const NO_ACCOUNT: &str = "restart the relay, so that waiting messages find their [[account]]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_full_stop_stands_before_the_next_part_of_a_reason() {
        let parts = ["Graph answered 403: no.", OWN, "ask the administrator"];

        let words = joined(&parts.map(str::to_owned));

        assert_eq!(
            words,
            format!("Graph answered 403: no; {OWN}; ask the administrator")
        );
        assert_eq!(joined(&["no.".to_owned()]), "no.");
    }
}
