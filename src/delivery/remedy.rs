//! What an administrator can do about a configuration fault, in words that name
//! the place. `{mailbox}` and `{author}` stand for the message's.

use super::outcome::Cause;
use super::outcome::Doubt;
use super::outcome::Kind;
use super::outcome::Outcome;
use crate::spool::Claimed;

impl Outcome {
    /// What has happened and what to do, for whoever looks at the message.
    pub(super) fn in_words(&self, entry: &Claimed) -> String {
        match self.kind {
            Kind::Deferred {
                cause: Cause::Configuration(remedy),
                ..
            } => format!("{}; {}", self.reason, named(remedy, entry)),
            Kind::Doubtful {
                doubt: Doubt::Look, ..
            } => format!("{}; its draft will tell whether it was sent", self.reason),
            Kind::Delivered
            | Kind::Deferred { .. }
            | Kind::Failed
            | Kind::Doubtful {
                doubt: Doubt::Blind,
                ..
            } => self.reason.clone(),
        }
    }
}

/// A remedy with the names that it is about.
pub(super) fn named(remedy: &str, entry: &Claimed) -> String {
    let author = entry.author.as_ref().unwrap_or(&entry.lane.mailbox);
    remedy
        .replace("{mailbox}", entry.lane.mailbox.as_str())
        .replace("{author}", author.as_str())
}

/// The commonest of Entra's refusals ("Microsoft Entra authentication and
/// authorization error codes").
pub(super) fn credential(aadsts: Option<u32>) -> &'static str {
    match aadsts {
        Some(7_000_215 | 70_002) => {
            "the client secret is wrong: in Entra, App registrations, Certificates & secrets, copy \
             the secret's Value (not its Secret ID), or make a new one, and put it in place"
        }
        Some(7_000_222) => {
            "the client secret has expired: in Entra, App registrations, Certificates & secrets, \
             make a new one and put its Value in place"
        }
        Some(700_016 | 700_011 | 7_000_229) => {
            "the tenant does not know this client_id: compare client_id and tenant with the app \
             registration's overview, and grant admin consent there"
        }
        Some(90_002 | 900_023) => {
            "there is no such tenant: compare tenant with Entra's overview page, \
             \"Tenant ID\" or \"Primary domain\""
        }
        _ => "compare tenant, client_id and client secret with the app registration in Entra",
    }
}

pub(super) const CREDENTIAL: &str = "mend the credential that relay.toml names for this [[account]]; it is read \
    again with the next attempt";
pub(super) const IDENTITY: &str = "give this machine a managed identity (in Azure: the machine > Identity), and \
    that identity the app role Mail.Send (New-MgServicePrincipalAppRoleAssignment)";
pub(super) const SIGN_IN: &str = "sign the mailbox in: graph-relay login {mailbox}";
pub(super) const SIGN_INS: &str =
    "mend data_dir/token-key and data_dir/sign-ins, then restart the relay";
pub(super) const TOKEN_REFUSED: &str = "Graph refuses tokens of this app: check that login_url and graph_url \
    belong to the same cloud, and that admin consent was granted";
pub(super) const ACCESS: &str = "the app may not send from this mailbox: grant it the application permission \
    Mail.Send with admin consent, or include the mailbox in its RBAC scope or application access \
    policy; a change takes up to two hours";
pub(super) const SEND_AS: &str = "mailbox {mailbox} may not send as {author}: in Exchange give {mailbox} Send As \
    on {author} (Add-RecipientPermission '{author}' -Trustee '{mailbox}' -AccessRights SendAs); or set \
    from = \"mailbox\" for this [[account]], or send through the mailbox of that address (another \
    [[account]], or mailbox = \"from\")";
pub(super) const DRAFT_ACCESS: &str = "the app may not make drafts in {mailbox}, which this message needs (it is \
    larger than one request, or submission or blind ask for it): grant it the application permission \
    Mail.ReadWrite with admin consent, or include the mailbox in its RBAC scope; a change takes up to \
    two hours";
pub(super) const UPLOAD_HOST: &str = "look at graph_url and at what stands between this machine and Graph: an \
    answer named an upload host that is none of Microsoft's";
pub(super) const NO_MAILBOX: &str = "there is no such mailbox: compare mailbox in relay.toml with the user's \
    principal name (an alias does not work)";
pub(super) const NO_LICENCE: &str = "the mailbox has no Exchange Online licence, or is not in Exchange Online: \
    assign one, or send through another mailbox";
pub(super) const MAILBOX_FULL: &str =
    "the sending mailbox is full: empty its Sent Items, or raise its quota";
pub(super) const BLOCKED: &str = "Exchange has blocked sending from this mailbox: see Restricted entities in the \
    Microsoft Defender portal, and unblock it there";
pub(super) const NOT_GRAPH: &str = "this is no answer of Graph's: look at graph_url, at http.proxy, and at \
    what stands between this machine and Graph";
pub(super) const PROXY: &str =
    "the proxy wants authentication: put user and password into http.proxy";
pub(super) const NO_ACCOUNT: &str =
    "restart the relay, so that waiting messages find their [[account]]";
