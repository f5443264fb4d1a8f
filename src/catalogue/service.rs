//! What Graph says when it gets too many requests or has a problem, and about
//! unfinished drafts and uploads. Nearly all of this is temporary.

use super::Entry;
use super::place;

const WAIT: &str = "wait: the relay tries again by itself; if this lasts for hours, check \
    Microsoft's service health";
const MAYBE: &str = "wait: the relay finds out whether the message was sent, or tries again";
const SLOWER: &str = "wait: the relay slows down by itself; use this app and mailbox for no other \
    program";
const DRAFT: &str = "wait: the relay creates the draft again; make sure that no rule or program \
    changes the Drafts folder of the mailbox";
const UPLOAD: &str = "wait: the relay uploads the attachment again by itself; if this happens again, \
    check whether a proxy delays or changes requests";
const HOST: &str = "check whether a proxy adds an Authorization header; if not, report this to the \
    developers of the relay";

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
        cause: "Too many requests for this mailbox are running at once.",
        remedy: "wait: the relay slows down by itself; set concurrency to 4 or less",
        place: place::PACE,
    },
    Entry {
        code: "TooManyRequests",
        cause: "Graph received too many requests, and says when to try again.",
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
        cause: "Exchange received too many requests.",
        remedy: SLOWER,
        place: place::PACE,
    },
    Entry {
        code: "ErrorSubmissionQuotaExceeded",
        cause: "The mailbox has reached its daily limit of recipients (10,000 in 24 hours).",
        remedy: "wait: the limit counts the last 24 hours; spread the mail over several mailboxes, \
            or use a bulk mail service",
        place: None,
    },
    Entry {
        code: "SubmissionQuotaExceededException",
        cause: "The mailbox has reached its daily limit of recipients; Exchange says so in a \
            non-delivery report.",
        remedy: "wait: the limit counts the last 24 hours; spread the mail over several mailboxes, \
            or use a bulk mail service",
        place: None,
    },
    Entry {
        code: "ErrorExceededMessageLimit",
        cause: "The mailbox has reached its limit of messages for now; new tenants and mailboxes \
            have lower limits.",
        remedy: "wait up to a day; spread the mail over several mailboxes, and check whether the \
            mailbox is restricted",
        place: place::RESTRICTED,
    },
    Entry {
        code: "WASCL",
        cause: "Microsoft's protection against outgoing spam slows this mailbox or tenant down.",
        remedy: "find out what was sent and stop what looks like spam; check Restricted entities, \
            and ask Microsoft support if the mailbox is not listed there",
        place: place::RESTRICTED,
    },
    Entry {
        code: "ErrorInternalServerError",
        cause: "Exchange has an internal error. The message may have been accepted anyway.",
        remedy: MAYBE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "ErrorInternalServerTransientError",
        cause: "Exchange has a temporary problem.",
        remedy: WAIT,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "UnknownError",
        cause: "Graph or a gateway in front of it has an unknown error; with status 504 the message \
            was often sent anyway.",
        remedy: MAYBE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "generalException",
        cause: "Graph has an error that it does not describe.",
        remedy: MAYBE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "gatewayTimeout",
        cause: "Graph did not get an answer from Exchange in time. Often the message was sent \
            anyway.",
        remedy: MAYBE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "ErrorServerBusy",
        cause: "Exchange is temporarily too busy.",
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
        cause: "The database of the mailbox is temporarily unavailable.",
        remedy: WAIT,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "MdbReplicationProtection",
        cause: "The database of the mailbox is being copied and temporarily accepts nothing new.",
        remedy: WAIT,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "ErrorItemNotFound",
        cause: "The draft is no longer there: it was sent, moved or deleted.",
        remedy: DRAFT,
        place: None,
    },
    Entry {
        code: "ErrorIrresolvableConflict",
        cause: "Two programs changed the draft at the same time.",
        remedy: DRAFT,
        place: None,
    },
    Entry {
        code: "PreconditionFailed",
        cause: "The draft has changed since the relay read it.",
        remedy: DRAFT,
        place: None,
    },
    Entry {
        code: "ErrorFolderExists",
        cause: "The folder already exists.",
        remedy: DRAFT,
        place: None,
    },
    Entry {
        code: "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
        cause: "The relay tried to upload an attachment under 3 MB in pieces, which Graph allows \
            only for larger ones.",
        remedy: "report this to the developers of the relay, with the request-id in the log",
        place: None,
    },
    Entry {
        code: "InvalidAudience",
        cause: "The request to the upload address contained an access token, which it does not accept.",
        remedy: HOST,
        place: place::PROXY,
    },
    Entry {
        code: "InvalidAudienceForResource",
        cause: "The request to the upload address contained an access token, which it does not accept.",
        remedy: HOST,
        place: place::PROXY,
    },
    Entry {
        code: "invalidRange",
        cause: "A piece of an upload does not continue where the previous one ended.",
        remedy: UPLOAD,
        place: place::PROXY,
    },
    Entry {
        code: "fragmentOutOfOrder",
        cause: "A piece of an upload arrived in the wrong order.",
        remedy: UPLOAD,
        place: place::PROXY,
    },
    Entry {
        code: "fragmentOverlap",
        cause: "The relay sent a piece of an upload that had already arrived.",
        remedy: UPLOAD,
        place: place::PROXY,
    },
    Entry {
        code: "fragmentLengthMismatch",
        cause: "A piece of an upload does not have the announced length.",
        remedy: UPLOAD,
        place: place::PROXY,
    },
    Entry {
        code: "uploadSessionNotFound",
        cause: "The upload took too long and its address has expired, or the draft no longer \
            exists.",
        remedy: UPLOAD,
        place: place::PROXY,
    },
];
