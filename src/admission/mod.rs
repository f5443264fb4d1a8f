//! Whether a complete message is accepted, and through which account it goes out.
//!
//! A pure function of the header section, the session's data and the rules in force: no
//! socket, no disk, no clock. It decides about loops, about who may send as whom, and
//! about the account and mailbox. Decisions that do not need the header section are made
//! before: by `session` (commands, recipients) and by `listener` (room, rates).
//! `listener/receive/fit.rs` finds out whether a large message can be split for Graph, because
//! that needs the content.

use crate::config::Account;
use crate::config::RecipientRule;
use crate::config::Senders;
use crate::config::User;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Envelope;
use crate::mail::Origin;
use crate::mime::Actor;
use crate::mime::Findings;
use crate::mime::Header;
use crate::mime::actors;
use crate::mime::known_item;
use crate::routing::goes_out_as;
use crate::routing::route;
use crate::session::Identity;
use crate::session::Loop;
use crate::session::Verdict;

/// How often an application may send a message that it received through this relay. A
/// message that comes back more often is in a loop.
const MOST_RETURNS: usize = 2;

/// The number of recipients that Exchange accepts in one message, unless the tenant's
/// administrator has set another (Exchange Online limits, "Recipient limit").
const LARGEST_PART: usize = 500;

/// The rules in force.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
    /// In the file's order.
    pub accounts: &'r [Account],
    /// `[[sender]]`.
    pub senders: &'r Senders,
    /// `[[user]]`.
    pub users: &'r [User],
    /// The name by which the relay knows its own Received fields.
    pub hostname: &'r str,
    /// `limits.received_headers`.
    pub received_headers: usize,
}

/// The sender and the recipients of a message, as the session knows them.
#[derive(Clone, Copy, Debug)]
pub struct Handed<'h> {
    /// The authenticated user, if there is one.
    pub identity: Option<&'h Identity>,
    /// Sender and recipients.
    pub envelope: &'h Envelope,
}

/// What is known about an accepted message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The address in its From field, if there is a usable one.
    pub author: Option<Address>,
    /// The account and the mailbox.
    pub destination: Destination,
    /// The only account that may send it, if there is one.
    pub bound: Option<String>,
    /// The most recipients of one submission.
    pub largest_part: usize,
}

/// Decides about a message. `findings` are those of its header section.
///
/// # Errors
///
/// The verdict for the client: a loop, a sender or another person in the header section
/// whom the user may not name, or no account that sends for the author.
pub fn admit(
    header: &Header<'_>,
    findings: &Findings,
    handed: Handed<'_>,
    rules: Rules<'_>,
) -> Result<Admitted, Verdict> {
    if let Some(sign) = rules.looping(header) {
        return Err(Verdict::Looping(sign));
    }
    let origin = Origin {
        author: rules.author(header, findings),
        reverse_path: handed.envelope.reverse_path.clone(),
        bound: rules.bound(handed.identity),
        is_report: false,
    };
    if let Some(foreign) = handed.names_without_right(header, origin.author.as_ref()) {
        return Err(foreign);
    }
    let Some(destination) = route(rules.accounts, rules.senders, &origin) else {
        return Err(Verdict::NoAccount(origin.author));
    };
    let account = rules.account(&destination);
    if let Some(from) = account.and_then(|it| puts_in(it, rules.senders, &origin))
        && !handed.may_send_as(&from)
    {
        return Err(Verdict::NotThisSubstitute(from));
    }
    Ok(Admitted {
        largest_part: largest_part(account, handed.envelope),
        author: origin.author,
        destination,
        bound: origin.bound,
    })
}

impl<'r> Rules<'r> {
    /// The account of a destination.
    pub fn account(&self, destination: &Destination) -> Option<&'r Account> {
        let mut accounts = self.accounts.iter();
        accounts.find(|account| account.name == destination.account)
    }

    /// Why a message counts as looping, if it does.
    fn looping(&self, header: &Header<'_>) -> Option<Loop> {
        let most = self.received_headers;
        if header.all("Received").count() > most {
            return Some(Loop::Hops(most));
        }
        (self.returns(header) >= MOST_RETURNS).then_some(Loop::Returns(MOST_RETURNS))
    }

    /// How often a message was accepted here before, according to its Received fields.
    fn returns(&self, header: &Header<'_>) -> usize {
        let ours = format!(" by {} (graph-relay) ", self.hostname);
        let received = header.all("Received");
        received
            .filter(|field| field.text().contains(&ours))
            .count()
    }

    /// The author. One that no mailbox can have counts if `[[sender]]` replaces it.
    fn author(&self, header: &Header<'_>, findings: &Findings) -> Option<Address> {
        let known = |address: &Address| self.senders.replaced(address).is_some();
        let author = findings.author.address().cloned();
        author.or_else(|| known_item(header, known)?.address)
    }

    /// The account that a user is bound to.
    fn bound(&self, identity: Option<&Identity>) -> Option<String> {
        let identity = identity?;
        let mut users = self.users.iter();
        let user = users.find(|user| user.is_called(&identity.name))?;
        user.account.clone()
    }
}

impl Handed<'_> {
    /// The refusal of a message that names a person whom the user may not name.
    fn names_without_right(
        &self,
        header: &Header<'_>,
        author: Option<&Address>,
    ) -> Option<Verdict> {
        if let Some(author) = author.filter(|author| !self.may_send_as(author)) {
            return Some(Verdict::NotThisSender(Some(author.clone())));
        }
        let foreign = |actor: &Actor| !self.may_send_as(&actor.address);
        let actor = actors(header).find(foreign)?;
        Some(Verdict::NotThisActor(actor.field, actor.address))
    }

    /// An authenticated user may send only as its own addresses.
    fn may_send_as(&self, address: &Address) -> bool {
        self.identity
            .is_none_or(|identity| identity.may_send_as(address))
    }
}

/// The From that an account gives a message without a usable one. It must be allowed too,
/// so that leaving From out does not make the user appear as somebody else. With `from =
/// "mailbox"` all messages go out as the mailbox.
fn puts_in(account: &Account, senders: &Senders, origin: &Origin) -> Option<Address> {
    match origin.author {
        None => goes_out_as(account, senders, None, &origin.reverse_path),
        Some(_) => None,
    }
}

/// The most recipients of one submission. If the header section names the recipients,
/// each part would go to all of them.
fn largest_part(account: Option<&Account>, envelope: &Envelope) -> usize {
    if envelope.is_all_asked() {
        // The envelope of each part counts.
        return LARGEST_PART;
    }
    match account.map(|account| account.submission.recipients) {
        Some(RecipientRule::Headers) => usize::MAX,
        Some(RecipientRule::Envelope) | None => LARGEST_PART,
    }
}

#[cfg(test)]
mod tests;
