//! What Graph says when it is asked too much or is in trouble, and about drafts
//! and uploads on their way: nearly all of it passes.

use super::Entry;
use super::place;

const WAIT: &str = "wait: the relay tries again by itself; if it lasts for hours, look at the \
    service health";
const MAYBE: &str = "wait: the relay finds out or tries again by itself; the message may have \
    been sent all the same";
const SLOWER: &str = "wait: the relay goes slower by itself; let no other program send through \
    the same app and mailbox";
const DRAFT: &str = "wait: the relay creates the draft again; let no rule or program change the \
    mailbox's Drafts";
const UPLOAD: &str = "wait: the relay uploads the attachment again by itself; if it comes back, \
    look whether a proxy holds back or changes requests";
const HOST: &str = "report it to the makers of the relay: the upload address wants no access \
    token; a proxy that adds an Authorization header does the same";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "ApplicationThrottled",
        cause: "The app has more requests under way for this mailbox than Graph allows (4 at a \
            time).",
        remedy: "wait: the relay goes slower by itself; set concurrency to 4 or less, and let \
            no other program send through the same app and mailbox",
        place: place::PACE,
    },
    Entry {
        code: "MailboxConcurrency",
        cause: "The app has more requests under way for this mailbox than Graph allows (4 at a \
            time).",
        remedy: "wait: the relay goes slower by itself; set concurrency to 4 or less, and let \
            no other program send through the same app and mailbox",
        place: place::PACE,
    },
    Entry {
        code: "CommandConcurrencyLimitReached",
        cause: "Too many requests for this mailbox are under way at once.",
        remedy: "wait: the relay goes slower by itself; set concurrency to 4 or less",
        place: place::PACE,
    },
    Entry {
        code: "TooManyRequests",
        cause: "Graph was asked too often, and says when to come back.",
        remedy: SLOWER,
        place: place::PACE,
    },
    Entry {
        code: "activityLimitReached",
        cause: "The app or the user has done more in a short time than Graph allows.",
        remedy: SLOWER,
        place: place::PACE,
    },
    Entry {
        code: "ErrorTooManyRequests",
        cause: "Exchange was asked too often.",
        remedy: SLOWER,
        place: place::PACE,
    },
    Entry {
        code: "ErrorSubmissionQuotaExceeded",
        cause: "The mailbox has sent to as many recipients as it may in a day (10,000 in 24 \
            hours).",
        remedy: "wait until the day is over; spread the mail over several mailboxes, or use a \
            bulk mail service",
        place: None,
    },
    Entry {
        code: "SubmissionQuotaExceededException",
        cause: "The mailbox has sent to as many recipients as it may in a day, and Exchange \
            told it in a report.",
        remedy: "wait until the day is over; spread the mail over several mailboxes, or use a \
            bulk mail service",
        place: None,
    },
    Entry {
        code: "ErrorExceededMessageLimit",
        cause: "The mailbox has sent as many messages as it may for now; a new tenant or \
            mailbox may send fewer.",
        remedy: "wait until the day is over; spread the mail over several mailboxes, and look \
            whether the mailbox is restricted",
        place: place::RESTRICTED,
    },
    Entry {
        code: "WASCL",
        cause: "Microsoft's protection against outgoing spam slows this mailbox or tenant down.",
        remedy: "look at what was sent and stop what looks like spam; see the restricted \
            entities, and ask Microsoft's support if nothing is there",
        place: place::RESTRICTED,
    },
    Entry {
        code: "ErrorInternalServerError",
        cause: "Exchange has a fault of its own. The message may have been taken all the same.",
        remedy: MAYBE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "ErrorInternalServerTransientError",
        cause: "Exchange has a passing fault.",
        remedy: WAIT,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "UnknownError",
        cause: "Graph or a gateway before it has a fault it has no name for; with status 504 \
            the message was often sent all the same.",
        remedy: MAYBE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "generalException",
        cause: "Graph has a fault that it does not describe.",
        remedy: MAYBE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "gatewayTimeout",
        cause: "Graph's front gave up waiting for Exchange. The message was often sent all the \
            same.",
        remedy: MAYBE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "ErrorServerBusy",
        cause: "Exchange is too busy for the moment.",
        remedy: WAIT,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "ServiceUnavailable",
        cause: "Graph is out of service or overloaded for the moment.",
        remedy: WAIT,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "serviceNotAvailable",
        cause: "Graph is out of service or overloaded for the moment.",
        remedy: WAIT,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "ErrorMailboxStoreUnavailable",
        cause: "The database that holds the mailbox cannot be reached for the moment.",
        remedy: WAIT,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "MdbReplicationProtection",
        cause: "The database that holds the mailbox is being copied and takes no more for the \
            moment.",
        remedy: WAIT,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "ErrorItemNotFound",
        cause: "The draft is no longer where it was: sent, moved or deleted.",
        remedy: DRAFT,
        place: None,
    },
    Entry {
        code: "ErrorIrresolvableConflict",
        cause: "The draft was changed by two at the same time.",
        remedy: DRAFT,
        place: None,
    },
    Entry {
        code: "PreconditionFailed",
        cause: "The draft has changed since it was read.",
        remedy: DRAFT,
        place: None,
    },
    Entry {
        code: "ErrorFolderExists",
        cause: "The folder that was to be made is there already.",
        remedy: DRAFT,
        place: None,
    },
    Entry {
        code: "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
        cause: "An attachment under 3 MB was announced for upload in pieces, which is for \
            larger ones.",
        remedy: "report it to the makers of the relay, with the request-id of the log",
        place: None,
    },
    Entry {
        code: "InvalidAudience",
        cause: "The upload address was sent an access token, and wants none.",
        remedy: HOST,
        place: place::PROXY,
    },
    Entry {
        code: "InvalidAudienceForResource",
        cause: "The upload address was sent an access token, and wants none.",
        remedy: HOST,
        place: place::PROXY,
    },
    Entry {
        code: "invalidRange",
        cause: "A piece of an upload does not follow the one before it.",
        remedy: UPLOAD,
        place: place::PROXY,
    },
    Entry {
        code: "fragmentOutOfOrder",
        cause: "A piece of an upload arrived before the one it follows.",
        remedy: UPLOAD,
        place: place::PROXY,
    },
    Entry {
        code: "fragmentOverlap",
        cause: "A piece of an upload was sent that had arrived already.",
        remedy: UPLOAD,
        place: place::PROXY,
    },
    Entry {
        code: "fragmentLengthMismatch",
        cause: "A piece of an upload has another length than was announced.",
        remedy: UPLOAD,
        place: place::PROXY,
    },
    Entry {
        code: "uploadSessionNotFound",
        cause: "The upload took too long and its address has ended, or the draft is gone.",
        remedy: UPLOAD,
        place: place::PROXY,
    },
];
