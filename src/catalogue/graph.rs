//! What Graph says when it refuses: who may send from where, and what is wrong
//! with the message.

use super::Entry;
use super::place;

const REPORT: &str = "report this to the developers of the relay, with the request-id in the log: \
    the relay sent a request that Graph cannot read";
const RECIPIENTS: &str = "split the message into several with fewer recipients each, or raise \
    the mailbox's limit (1000 at most)";
const SIZE: &str = "send fewer or smaller attachments, or raise the mailbox's maximum send size; \
    encoding makes attachments a third larger";
const FIELDS: &str = "configure the program to send no X- header fields of its own, or set \
    format = \"mime\", which accepts all of them";

pub(super) const ENTRIES: &[Entry] = &[
    INVALID_TOKEN,
    Entry {
        code: "80049217",
        cause: "Graph received something other than an access token; a proxy may have changed \
            the request.",
        remedy: "check whether a proxy changes the Authorization header, and that login_url and \
            graph_url belong to the same cloud",
        place: place::PROXY,
    },
    ACCESS_DENIED,
    Entry {
        code: "RAOP",
        cause: "An application access policy in Exchange blocks the app from this mailbox.",
        remedy: "add {mailbox} to the group of the app's application access policy, or remove the \
            policy; a change takes an hour or more",
        place: place::ACCESS_POLICY,
    },
    SEND_AS_DENIED,
    Entry {
        code: "SendAsDenied",
        cause: "Exchange accepted the message from Graph, but then found that the mailbox may not \
            send with its From address.",
        remedy: "in Exchange give {mailbox} Send As on {author} (Add-RecipientPermission \
            '{author}' -Trustee '{mailbox}' -AccessRights SendAs), or set from = \"mailbox\" \
            for this [[account]]",
        place: place::SEND_AS,
    },
    Entry {
        code: "Authorization_RequestDenied",
        cause: "The app lacks a directory permission (\"Insufficient privileges to complete the \
            operation\"): consent is missing, or it was granted for another permission.",
        remedy: "check that the app has the application permission Mail.Send of Microsoft Graph, and \
            grant admin consent so that its status is \"Granted\"",
        place: place::PERMISSIONS,
    },
    Entry {
        code: "Authorization_IdentityNotFound",
        cause: "The app has no service principal in the tenant, so Graph cannot tell what it \
            may do.",
        remedy: "check client_id and tenant, then grant admin consent, which creates the service \
            principal",
        place: place::CONSENT,
    },
    INVALID_USER,
    Entry {
        code: "ErrorNonExistentMailbox",
        cause: "The user has no mailbox, or Exchange could not find the mailbox for a moment; \
            this can be temporary.",
        remedy: "if this lasts, check that {mailbox} exists and has an Exchange Online licence",
        place: place::MAILBOX,
    },
    Entry {
        code: "Request_ResourceNotFound",
        cause: "The directory has no such user or object.",
        remedy: "compare mailbox and tenant in relay.toml with the user principal name and its \
            tenant",
        place: place::USER,
    },
    Entry {
        code: "ResourceNotFound",
        cause: "Graph could not find the mailbox: it does not exist, is very new, or the service \
            has a problem.",
        remedy: "wait an hour if the mailbox is new; otherwise compare mailbox in relay.toml \
            with the user principal name",
        place: place::SERVICE_HEALTH,
    },
    NO_LICENCE,
    Entry {
        code: "MailboxNotSupportedForRESTAPI",
        cause: "Graph cannot reach this kind of mailbox, for example a mailbox on premises.",
        remedy: "send through a mailbox in Exchange Online with a licence",
        place: place::LICENCES,
    },
    SUBMISSION_BLOCKED,
    Entry {
        code: "ErrorAccountSuspend",
        cause: "Microsoft has suspended the mailbox until its owner confirms their identity.",
        remedy: "sign in to {mailbox} in a browser and follow the instructions; also check \
            Restricted entities",
        place: place::RESTRICTED,
    },
    MAILBOX_FULL,
    Entry {
        code: "quotaLimitReached",
        cause: "The sending mailbox is full; every message is first written into it.",
        remedy: "empty the Sent Items and Deleted Items of {mailbox}, or raise its quota",
        place: place::MAILBOX_SIZE,
    },
    INVALID_RECIPIENTS,
    Entry {
        code: "ErrorRecipientLimitExceeded",
        cause: "The message has more recipients than the mailbox may have in one message (500 \
            by default).",
        remedy: RECIPIENTS,
        place: place::RECIPIENT_LIMIT,
    },
    Entry {
        code: "ErrorExceededMaxRecipientLimit",
        cause: "The message has more recipients than the mailbox may have in one message.",
        remedy: RECIPIENTS,
        place: place::RECIPIENT_LIMIT,
    },
    Entry {
        code: "ErrorMessageSizeExceeded",
        cause: "The message is larger than the mailbox may send (35 MB by default, counted \
            after encoding).",
        remedy: SIZE,
        place: place::SEND_SIZE,
    },
    Entry {
        code: "ErrorMimeContentInvalid",
        cause: "Exchange cannot read the message that the program created.",
        remedy: "give the failure report to whoever maintains the program that created the message",
        place: None,
    },
    Entry {
        code: "ErrorMimeContentConversionFailed",
        cause: "Exchange could not convert the message into its own format.",
        remedy: "give the failure report to whoever maintains the program that created the message",
        place: None,
    },
    Entry {
        code: "ErrorMimeContentInvalidBase64String",
        cause: "The message arrived at Graph damaged: its base64 cannot be decoded.",
        remedy: "check whether a proxy changes requests; if not, report this to the developers of \
            the relay, with the request-id",
        place: place::PROXY,
    },
    Entry {
        code: "InvalidInternetMessageHeader",
        cause: "The message has a header field of its own that Graph does not accept in JSON form, \
            where only names that begin with X- are allowed.",
        remedy: FIELDS,
        place: None,
    },
    Entry {
        code: "InvalidInternetMessageHeaderCollection",
        cause: "In JSON form Graph accepts at most five header fields of the program's own, and \
            no empty list.",
        remedy: FIELDS,
        place: None,
    },
    Entry {
        code: "RequestBodyRead",
        cause: "Graph cannot read the body of the request.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "BadRequest",
        cause: "Graph rejects the request without details; with status 413 the request was larger \
            than 4 MB.",
        remedy: "with status 413 see http-413; otherwise report this to the developers of \
            the relay, with the request-id and the text next to the code",
        place: None,
    },
    Entry {
        code: "UnsupportedMediaType",
        cause: "Graph does not accept a request in this format.",
        remedy: "check whether a proxy changes the Content-Type; if not, report this to the \
            developers of the relay",
        place: place::PROXY,
    },
    Entry {
        code: "invalidRequest",
        cause: "Graph rejects the request as malformed or wrong.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "ErrorInvalidRequest",
        cause: "Exchange rejects the request as wrong.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "ErrorInvalidProperty",
        cause: "Exchange does not accept one of the message's properties.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "ErrorPropertyValidationFailure",
        cause: "One of the message's properties has a value that Exchange does not accept.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "ErrorInvalidUrlQueryFilter",
        cause: "Exchange does not understand the query that looks for a sent message.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "ErrorInvalidIdMalformed",
        cause: "Exchange does not recognise the ID of the draft.",
        remedy: REPORT,
        place: None,
    },
];

/// 401, with a new token too: the cloud, or the consent.
pub const INVALID_TOKEN: Entry = Entry {
    code: "InvalidAuthenticationToken",
    cause: "Graph does not accept the access token: it is for another cloud or service, has \
        expired (is this machine's clock right?), or was damaged on the way.",
    remedy: "check that login_url and graph_url belong to the same cloud, that this machine's \
        clock is right, and that admin consent was granted",
    place: place::CLOUD,
};

/// 403: the permission Mail.Send or the scope it holds for.
pub const ACCESS_DENIED: Entry = Entry {
    code: "ErrorAccessDenied",
    cause: "The app may not send from this mailbox: the application permission Mail.Send or its \
        admin consent is missing, the delegated permission with the same name was chosen instead, \
        or the mailbox is outside the app's RBAC scope or access policy. \"Access to OData is \
        disabled\" means that a policy blocks the app, or that EWS and REST are switched off.",
    remedy: "give the app the application permission Mail.Send (not the delegated one) with admin \
        consent, or include {mailbox} in its RBAC scope or application access policy; a change \
        takes up to two hours",
    place: place::SCOPE,
};

/// 403: the From address is not the mailbox's own.
pub const SEND_AS_DENIED: Entry = Entry {
    code: "ErrorSendAsDenied",
    cause: "The mailbox may not send with the From address of the message: it is not the mailbox's \
        own address, and the mailbox has neither Send As nor Send on Behalf for it.",
    remedy: "in Exchange give {mailbox} Send As on {author} (Add-RecipientPermission '{author}' \
        -Trustee '{mailbox}' -AccessRights SendAs); or set from = \"mailbox\" for this \
        [[account]]; or send from the mailbox of that address (another [[account]], or \
        mailbox = \"from\")",
    place: place::SEND_AS,
};

/// 404: no such mailbox.
pub const INVALID_USER: Entry = Entry {
    code: "ErrorInvalidUser",
    cause: "There is no user with this name in the tenant. Graph needs the user principal name or \
        the object ID; an alias does not work.",
    remedy: "compare {mailbox} (mailbox in relay.toml; with mailbox = \"from\", the From address of \
        the message) with the user principal name of its user (an alias does not work), and tenant \
        with the tenant of the mailbox",
    place: place::MAILBOX,
};

/// 404: a user without a mailbox in Exchange Online.
pub const NO_LICENCE: Entry = Entry {
    code: "MailboxNotEnabledForRESTAPI",
    cause: "The user has no mailbox that Graph can reach: the user has no Exchange Online licence, \
        is a guest, was deleted recently, or has a mailbox on premises.",
    remedy: "assign an Exchange Online licence to {mailbox}, or send through another mailbox; a \
        mailbox on premises does not work",
    place: place::LICENCES,
};

/// Sending from the mailbox is blocked.
pub const SUBMISSION_BLOCKED: Entry = Entry {
    code: "ErrorMessageSubmissionBlocked",
    cause: "Exchange has blocked sending from this mailbox, because its mail looked like spam or \
        the account seems to be compromised.",
    remedy: "find out what was sent and stop it, then unblock {mailbox} under Restricted entities",
    place: place::RESTRICTED,
};

/// The mailbox is full, and a send begins by writing into it.
pub const MAILBOX_FULL: Entry = Entry {
    code: "ErrorQuotaExceeded",
    cause: "The sending mailbox is full; every message is first written into it.",
    remedy: "empty the Sent Items and Deleted Items of {mailbox}, or raise its quota",
    place: place::MAILBOX_SIZE,
};

/// Whom the message names is wrong: another attempt is refused, too.
pub const INVALID_RECIPIENTS: Entry = Entry {
    code: "ErrorInvalidRecipients",
    cause: "The message has no recipient, or an address that Exchange cannot read.",
    remedy: "correct the recipient's address in the program that created the message",
    place: None,
};
