//! What Graph says when it refuses: who may send from where, and what is wrong
//! with the message.

use super::Entry;
use super::place;

const REPORT: &str = "report it to the makers of the relay, with the request-id of the log: it \
    made a request that Graph cannot read";
const RECIPIENTS: &str = "split the message into several with fewer recipients each, or raise \
    the mailbox's limit (1000 at most)";
const SIZE: &str = "send fewer or smaller attachments, or raise the mailbox's maximum send size; \
    encoding makes attachments a third larger";
const FIELDS: &str = "let the program leave out header fields of its own that begin with X-; the \
    relay's format = \"mime\" takes a message with all of them";

pub(super) const ENTRIES: &[Entry] = &[
    INVALID_TOKEN,
    Entry {
        code: "80049217",
        cause: "The text in the place of the access token is no token at all; a proxy may have \
            changed the request.",
        remedy: "look whether a proxy changes the Authorization header, and compare login_url \
            and graph_url",
        place: place::PROXY,
    },
    ACCESS_DENIED,
    Entry {
        code: "RAOP",
        cause: "An application access policy of Exchange keeps the app out of this mailbox.",
        remedy: "put {mailbox} into the group of the app's application access policy, or remove \
            the policy; a change takes an hour or more",
        place: place::ACCESS_POLICY,
    },
    SEND_AS_DENIED,
    Entry {
        code: "SendAsDenied",
        cause: "Exchange took the message from Graph and then found that the mailbox may not \
            send with its From address.",
        remedy: "in Exchange give {mailbox} Send As on {author} (Add-RecipientPermission \
            '{author}' -Trustee '{mailbox}' -AccessRights SendAs), or set from = \"mailbox\" \
            for this [[account]]",
        place: place::SEND_AS,
    },
    Entry {
        code: "Authorization_RequestDenied",
        cause: "The app lacks a permission on the directory (\"Insufficient privileges to \
            complete the operation\"): consent is missing, or it was given for another \
            permission.",
        remedy: "compare the app's permissions with what is needed (application permission \
            Mail.Send of Microsoft Graph), and grant admin consent until the status reads \
            \"Granted\"",
        place: place::PERMISSIONS,
    },
    Entry {
        code: "Authorization_IdentityNotFound",
        cause: "The app has no service principal in the tenant, so Graph cannot tell what it \
            may do.",
        remedy: "compare client_id and tenant, then grant admin consent, which makes the \
            service principal",
        place: place::CONSENT,
    },
    INVALID_USER,
    Entry {
        code: "ErrorNonExistentMailbox",
        cause: "The user has no mailbox, or the mailbox was not found for a moment; it has been \
            seen to pass.",
        remedy: "if it lasts, look whether {mailbox} exists and has an Exchange Online licence",
        place: place::MAILBOX,
    },
    Entry {
        code: "Request_ResourceNotFound",
        cause: "The directory has no such user or object.",
        remedy: "compare mailbox and tenant in relay.toml with the user's principal name and \
            tenant",
        place: place::USER,
    },
    Entry {
        code: "ResourceNotFound",
        cause: "Graph could not find out where the mailbox is: it does not exist, is very new, \
            or the service has a fault.",
        remedy: "wait an hour if the mailbox is new; otherwise compare mailbox in relay.toml \
            with the user's principal name",
        place: place::SERVICE_HEALTH,
    },
    NO_LICENCE,
    Entry {
        code: "MailboxNotSupportedForRESTAPI",
        cause: "Graph cannot reach this kind of mailbox, for example one on premises.",
        remedy: "send through a mailbox in Exchange Online with a licence",
        place: place::LICENCES,
    },
    SUBMISSION_BLOCKED,
    Entry {
        code: "ErrorAccountSuspend",
        cause: "The mailbox was suspended until somebody proves that it is in the right hands.",
        remedy: "sign in to {mailbox} in a browser and follow what it asks; see also the \
            restricted entities",
        place: place::RESTRICTED,
    },
    MAILBOX_FULL,
    Entry {
        code: "quotaLimitReached",
        cause: "The sending mailbox is full; every message is first written into it.",
        remedy: "empty the Sent Items and Deleted Items of {mailbox}, or raise its quota",
        place: place::MAILBOX_SIZE,
    },
    Entry {
        code: "ErrorInvalidRecipients",
        cause: "The message has no recipient, or an address that Exchange cannot read.",
        remedy: "compare the recipients' addresses in the report with what the program meant to \
            write",
        place: None,
    },
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
        cause: "Exchange cannot read the message as the program wrote it.",
        remedy: "show the report to whoever looks after the program that made the message",
        place: None,
    },
    Entry {
        code: "ErrorMimeContentConversionFailed",
        cause: "Exchange could not convert the message into its own form.",
        remedy: "show the report to whoever looks after the program that made the message",
        place: None,
    },
    Entry {
        code: "ErrorMimeContentInvalidBase64String",
        cause: "The message arrived at Graph damaged: its base64 cannot be decoded.",
        remedy: "look whether a proxy changes requests; if not, report it to the makers of the \
            relay, with the request-id",
        place: place::PROXY,
    },
    Entry {
        code: "InvalidInternetMessageHeader",
        cause: "A header field was sent in a way in which Graph takes only names that begin \
            with X-.",
        remedy: FIELDS,
        place: None,
    },
    Entry {
        code: "InvalidInternetMessageHeaderCollection",
        cause: "Graph takes at most five header fields of the program's own in this form, and \
            not an empty list.",
        remedy: FIELDS,
        place: None,
    },
    Entry {
        code: "RequestBodyRead",
        cause: "Graph cannot make sense of the body of the request.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "BadRequest",
        cause: "Graph calls the request wrong without saying more; with status 413 it was \
            larger than 4 MB.",
        remedy: "read the text beside the code; if it is not about size, report it to the \
            makers of the relay, with the request-id",
        place: None,
    },
    Entry {
        code: "UnsupportedMediaType",
        cause: "Graph does not take a request in this format.",
        remedy: "look whether a proxy changes the Content-Type; if not, report it to the makers \
            of the relay",
        place: place::PROXY,
    },
    Entry {
        code: "invalidRequest",
        cause: "Graph calls the request malformed or wrong.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "ErrorInvalidRequest",
        cause: "Exchange calls the request wrong.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "ErrorInvalidProperty",
        cause: "Exchange does not take one of the message's properties.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "ErrorPropertyValidationFailure",
        cause: "One of the message's properties has a value that Exchange does not take.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "ErrorInvalidUrlQueryFilter",
        cause: "Exchange does not understand the question by which a sent message is looked for.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "ErrorInvalidIdMalformed",
        cause: "Exchange does not recognise the id of the draft.",
        remedy: REPORT,
        place: None,
    },
];

/// 401, with a new token too: the cloud, or the consent.
pub const INVALID_TOKEN: Entry = Entry {
    code: "InvalidAuthenticationToken",
    cause: "Graph does not accept the access token: it is for another cloud or service, has \
        expired (this machine's clock), or was damaged on the way.",
    remedy: "check that login_url and graph_url belong to the same cloud, that this machine's \
        clock is right, and that admin consent was granted",
    place: place::CLOUD,
};

/// 403: the permission Mail.Send or the scope it holds for.
pub const ACCESS_DENIED: Entry = Entry {
    code: "ErrorAccessDenied",
    cause: "The app may not send from this mailbox: the application permission Mail.Send or its \
        admin consent is missing, the delegated permission of that name was chosen instead, or \
        the mailbox is outside the app's RBAC scope or access policy. \"Access to OData is \
        disabled\" means a policy or that EWS and REST are switched off.",
    remedy: "grant the app the application permission (not the delegated one) Mail.Send with \
        admin consent, or include {mailbox} in its RBAC scope or application access policy; a \
        change takes up to two hours",
    place: place::SCOPE,
};

/// 403: the From address is not the mailbox's own.
pub const SEND_AS_DENIED: Entry = Entry {
    code: "ErrorSendAsDenied",
    cause: "The mailbox may not send with the From address of the message, which is neither its \
        own nor one it has Send As or Send on Behalf for.",
    remedy: "in Exchange give {mailbox} Send As on {author} (Add-RecipientPermission '{author}' \
        -Trustee '{mailbox}' -AccessRights SendAs); or set from = \"mailbox\" for this \
        [[account]], or send through the mailbox of that address (another [[account]], or \
        mailbox = \"from\")",
    place: place::SEND_AS,
};

/// 404: no such mailbox.
pub const INVALID_USER: Entry = Entry {
    code: "ErrorInvalidUser",
    cause: "There is no user with this name in the tenant. An alias does not count; the user \
        principal name or the object id does.",
    remedy: "compare mailbox in relay.toml with the user's principal name (an alias does not \
        work), and tenant with the mailbox's tenant",
    place: place::MAILBOX,
};

/// 404: a user without a mailbox in Exchange Online.
pub const NO_LICENCE: Entry = Entry {
    code: "MailboxNotEnabledForRESTAPI",
    cause: "The user has no mailbox that Graph can reach: no Exchange Online licence, a guest, \
        deleted a short time ago, or a mailbox on premises.",
    remedy: "assign an Exchange Online licence to {mailbox}, or send through another mailbox; \
        one on premises cannot be used",
    place: place::LICENCES,
};

/// Sending from the mailbox is blocked.
pub const SUBMISSION_BLOCKED: Entry = Entry {
    code: "ErrorMessageSubmissionBlocked",
    cause: "Exchange has blocked sending from this mailbox, because what it sent looked like \
        spam or a break-in.",
    remedy: "find out what was sent and stop it, then unblock {mailbox} among the restricted \
        entities",
    place: place::RESTRICTED,
};

/// The mailbox is full, and a send begins by writing into it.
pub const MAILBOX_FULL: Entry = Entry {
    code: "ErrorQuotaExceeded",
    cause: "The sending mailbox is full; every message is first written into it.",
    remedy: "empty the Sent Items and Deleted Items of {mailbox}, or raise its quota",
    place: place::MAILBOX_SIZE,
};
