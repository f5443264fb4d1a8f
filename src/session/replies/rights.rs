//! Refusals of an address in MAIL or RCPT, and of a message because of its sender or its
//! recipients. Other replies are in `replies/mod.rs`.

use crate::mail::Address;
use crate::mail::EnhancedStatus;
use crate::mail::ForwardPath;
use crate::mail::Unreachable;
use crate::session::Identity;
use crate::session::Reply;
use crate::session::syntax::path::PathError;

impl Reply {
    pub(in crate::session) fn bad_sender(error: PathError) -> Self {
        if error == PathError::Several {
            let text = "MAIL FROM takes one address";
            return Self::new(501, EnhancedStatus::BAD_SENDER, text)
                .remedy("the client sends several sender addresses: configure only one");
        }
        let text = format!("MAIL FROM: {error}");
        Self::new(501, EnhancedStatus::BAD_SENDER, text)
            .remedy("give the client a sender address like device@your-domain")
    }

    pub(in crate::session) fn bad_recipient(error: PathError) -> Self {
        if error == PathError::Several {
            let text = "RCPT TO takes one address";
            return Self::new(501, EnhancedStatus::BAD_RECIPIENT, text).remedy(
                "the client puts several addresses into one RCPT TO: enter each address as a \
                 separate recipient, or the address of a distribution group",
            );
        }
        let text = format!("RCPT TO: {error}");
        Self::new(501, EnhancedStatus::BAD_RECIPIENT, text)
            .remedy("check the recipients that are configured in the client, and its address book")
    }

    pub(in crate::session) fn needs_utf8() -> Self {
        let text = "Address needs SMTPUTF8: MAIL must have that parameter";
        Self::new(553, EnhancedStatus::NEEDS_UTF8, text)
            .remedy("the client does not support SMTPUTF8: use an ASCII address")
    }

    pub(in crate::session) fn not_this_sender(identity: &Identity, address: &Address) -> Self {
        let address = shown(Some(address));
        let text = format!(
            "{} may not send as{address} (senders of the [[user]])",
            identity.name
        );
        Self::new(553, EnhancedStatus::NOT_ALLOWED, text)
            .remedy("add the address to senders of the [[user]], or change it in the client")
    }

    pub(in crate::session) fn not_this_author(
        identity: Option<&Identity>,
        author: Option<&Address>,
    ) -> Self {
        Self::not_this_field(identity, "From", author)
    }

    pub(in crate::session) fn not_this_actor(
        identity: Option<&Identity>,
        field: &'static str,
        address: &Address,
    ) -> Self {
        Self::not_this_field(identity, field, Some(address))
    }

    /// The client wrote no usable From, so the reply does not mention it.
    pub(in crate::session) fn not_this_substitute(
        identity: Option<&Identity>,
        address: &Address,
    ) -> Self {
        let name = identity.map_or("this user", |identity| &identity.name);
        let address = shown(Some(address));
        let text = format!(
            "The message has no usable From, and {name} may not send as the replacement \
             address{address} (senders of the [[user]])"
        );
        Self::new(550, EnhancedStatus::NOT_ALLOWED, text).remedy(
            "set a From address in the client that is in senders of the [[user]]; or add the \
             address that the relay uses instead (default_from or mailbox of the [[account]]) to \
             senders",
        )
    }

    fn not_this_field(
        identity: Option<&Identity>,
        field: &'static str,
        address: Option<&Address>,
    ) -> Self {
        let name = identity.map_or("This user", |identity| &identity.name);
        let address = shown(address);
        let text = format!(
            "{name} may not send with the {field} address{address} (senders of the [[user]])"
        );
        Self::new(550, EnhancedStatus::NOT_ALLOWED, text)
            .remedy("add the address to senders of the [[user]], or change it in the client")
    }

    /// Nobody receives mail for it. The reply names the alias that would change that.
    pub(in crate::session) fn unreachable_recipient(path: &ForwardPath, why: Unreachable) -> Self {
        let (code, status) = match why {
            Unreachable::NoDomain | Unreachable::Domain => (550, EnhancedStatus::BAD_DESTINATION),
            Unreachable::Odd => (553, EnhancedStatus::BAD_RECIPIENT),
        };
        Self::new(code, status, why.of(path)).remedy(
            "add the line from the reply to [aliases] in relay.toml, with one of your mailboxes, or \
             correct the recipient in the client; for names without a domain you can also set \
             default_recipient_domain, and for domains that are not public but that Exchange accepts \
             internal_domains",
        )
    }

    /// `recipient` is the address that would receive the message.
    pub(in crate::session) fn not_this_recipient(path: &ForwardPath, recipient: &Address) -> Self {
        let whom = shown(Some(recipient));
        let of = match path.key() == recipient.key() || !path.is_ascii() {
            true => String::new(),
            false => format!(", which {path} stands for,"),
        };
        let text = format!(
            "Mail to{whom}{of} is not allowed here (recipients_allowed of the [[listener]] or [[user]])"
        );
        Self::new(550, EnhancedStatus::NOT_ALLOWED, text).remedy(
            "add the address to recipients_allowed of the [[listener]] and the [[user]], or correct the \
             recipient in the client",
        )
    }

    pub(in crate::session) fn no_account(author: Option<&Address>) -> Self {
        let author = shown(author);
        let text = format!(
            "No [[account]] of this relay sends for the From address{author} (mailbox, senders, default_from)"
        );
        Self::new(550, EnhancedStatus::NOT_ALLOWED, text)
            .remedy("add the address to senders of an [[account]], or change From in the client")
    }
}

/// An address for the end of a phrase; a reply is ASCII.
fn shown(address: Option<&Address>) -> String {
    address
        .filter(|address| address.is_ascii())
        .map_or_else(String::new, |address| format!(" {address}"))
}
