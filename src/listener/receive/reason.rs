//! The verdicts on messages, in the few words of the metrics, and the addresses that they are
//! about.

use crate::mail::Address;
use crate::metrics::Refusal;
use crate::session::Verdict;

/// Why a message is refused, if it is.
pub(in crate::listener) fn of(verdict: &Verdict) -> Option<Refusal> {
    Some(match verdict {
        Verdict::Queued(_) => return None,
        Verdict::TooBig | Verdict::NeverFits | Verdict::CannotBeSplit(_) => Refusal::TooLarge,
        Verdict::HeaderTooBig(_) | Verdict::Malformed(_) | Verdict::Binary => Refusal::Malformed,
        Verdict::Looping(_) => Refusal::Looping,
        Verdict::NoAccount(_) => Refusal::NoAccount,
        Verdict::NotThisSender(_) | Verdict::NotThisSubstitute(_) | Verdict::NotThisActor(..) => {
            Refusal::SenderNotAllowed
        }
        Verdict::NotThisRecipient(_) => Refusal::RecipientNotAllowed,
        Verdict::TooMany | Verdict::TooManyRecipients => Refusal::RateLimited,
        Verdict::StorageFull => Refusal::NoRoom,
        Verdict::LocalTrouble => Refusal::LocalError,
    })
}

/// The address for which a message is refused, if one is the reason.
pub(in crate::listener) fn address(verdict: &Verdict) -> Option<&Address> {
    match verdict {
        Verdict::NoAccount(address) | Verdict::NotThisSender(address) => address.as_ref(),
        Verdict::NotThisSubstitute(address)
        | Verdict::NotThisActor(_, address)
        | Verdict::NotThisRecipient(address) => Some(address),
        Verdict::Queued(_)
        | Verdict::TooBig
        | Verdict::NeverFits
        | Verdict::CannotBeSplit(_)
        | Verdict::HeaderTooBig(_)
        | Verdict::Malformed(_)
        | Verdict::Binary
        | Verdict::Looping(_)
        | Verdict::TooMany
        | Verdict::TooManyRecipients
        | Verdict::StorageFull
        | Verdict::LocalTrouble => None,
    }
}
