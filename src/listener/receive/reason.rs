//! The verdicts on messages, in the few words of the metrics.

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
