//! What Exchange says in SMTP. Non-delivery reports arrive in the sending mailbox
//! after Graph has accepted the message (Exchange page "Email non-delivery reports
//! and SMTP errors in Exchange Online"). The replies of smtp.office365.com reach
//! programs that do not use the relay yet.

use super::Entry;
use super::place;

const POINT_HERE: &str = "in the settings of the program, replace smtp.office365.com with the \
    relay's address and port, without a password or with the password of a [[user]]";
const TENANT_DAY: &str = "wait: the limit counts the last 24 hours; spread large mailings over \
    several days, or use a bulk mail service such as Azure Communication Services";
const REPUTATION: &str = "find out what was sent and stop what looks like spam, then open a \
    case with Microsoft support";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "5.1.8",
        cause: "Exchange has blocked the sending mailbox because it sent spam or too much \
            (\"bad outbound sender\").",
        remedy: "find out what was sent and stop it, then unblock {mailbox} under Restricted \
            entities",
        place: place::RESTRICTED,
    },
    Entry {
        code: "5.1.10",
        cause: "The recipient's address does not exist in the recipient's organisation.",
        remedy: "correct the recipient's address in the program that made the message",
        place: place::TRACE,
    },
    Entry {
        code: "5.2.0",
        cause: "Exchange could not store or submit the message; the text names the exception, \
            such as SubmissionQuotaExceededException.",
        remedy: "run graph-relay explain with the name of the exception, and look for the message in \
            the message trace",
        place: place::TRACE,
    },
    Entry {
        code: "5.2.252",
        cause: "The mailbox may not send with the From address of the message.",
        remedy: "in Exchange give {mailbox} Send As on {author}, or set from = \"mailbox\" for \
            this [[account]]",
        place: place::SEND_AS,
    },
    Entry {
        code: "5.4.1",
        cause: "The recipient's organisation refuses the address: it does not exist there, or \
            the domain does not accept mail.",
        remedy: "correct the recipient's address in the program that made the message",
        place: place::TRACE,
    },
    Entry {
        code: "432 4.3.2",
        cause: "Microsoft's SMTP server refuses the connection: it allows 3 at a time for each \
            mailbox.",
        remedy: POINT_HERE,
        place: None,
    },
    Entry {
        code: "4.7.500",
        cause: "Microsoft's SMTP server accepts less mail from this IP address for a while.",
        remedy: POINT_HERE,
        place: None,
    },
    Entry {
        code: "5.7.3",
        cause: "Microsoft's SMTP server did not accept the sign-in: a wrong password, or a \
            token for another service.",
        remedy: POINT_HERE,
        place: None,
    },
    Entry {
        code: "5.7.30",
        cause: "Microsoft's SMTP server does not accept a password here (basic authentication is \
            off or retired).",
        remedy: POINT_HERE,
        place: None,
    },
    Entry {
        code: "5.7.57",
        cause: "The program tried to send through Microsoft's SMTP server without signing in.",
        remedy: POINT_HERE,
        place: None,
    },
    Entry {
        code: "5.7.60",
        cause: "The program sent through Microsoft's SMTP server with an address that its mailbox \
            may not send as.",
        remedy: "in Exchange give the mailbox Send As on {author}, or let the program send through \
            the relay and set from = \"mailbox\" there",
        place: place::SEND_AS,
    },
    Entry {
        code: "5.7.68",
        cause: "The organisation refuses mail that is sent to it directly without signing in \
            (Direct Send).",
        remedy: POINT_HERE,
        place: None,
    },
    Entry {
        code: "5.7.124",
        cause: "The recipient is a group that accepts mail only from certain senders, and this \
            mailbox is not one of them.",
        remedy: "add {mailbox} to the senders that the group accepts",
        place: Some(
            "Exchange admin center > Recipients > Groups > the group > Settings > \
            Delivery management",
        ),
    },
    Entry {
        code: "5.7.133",
        cause: "The recipient is a group that accepts mail only from inside its own organisation.",
        remedy: "let the group accept mail from outside, or send through a mailbox of that \
            organisation",
        place: Some(
            "Exchange admin center > Recipients > Groups > the group > Settings > \
            Delivery management",
        ),
    },
    Entry {
        code: "5.7.139",
        cause: "Microsoft's SMTP server refuses the sign-in: SMTP AUTH is switched off for the \
            tenant or the mailbox, or security defaults or a policy forbid it.",
        remedy: POINT_HERE,
        place: None,
    },
    Entry {
        code: "5.7.232",
        cause: "The trial tenant has reached its limit of external recipients (5,000 in 24 \
            hours).",
        remedy: "buy a licence, which raises the limit; otherwise wait: the limit counts the last \
            24 hours",
        place: place::TENANT_LIMIT,
    },
    Entry {
        code: "5.7.233",
        cause: "The tenant has reached its limit of external recipients in 24 hours, which \
            grows with its number of licences.",
        remedy: TENANT_DAY,
        place: place::TENANT_LIMIT,
    },
    Entry {
        code: "5.7.236",
        cause: "The tenant has reached its limit of external recipients for mail from its \
            onmicrosoft.com domain (100 in 24 hours).",
        remedy: "send from a domain of your own: add and verify it, and give {mailbox} a primary \
            address in this domain",
        place: place::DOMAINS,
    },
    Entry {
        code: "5.7.509",
        cause: "The message failed the recipient's DMARC check of its From domain.",
        remedy: "send from a domain that is verified in this tenant, enable DKIM signing for it, \
            and include spf.protection.outlook.com in its SPF record",
        place: Some(
            "Microsoft Defender > Email & collaboration > Policies & rules > Threat \
            policies > DKIM",
        ),
    },
    Entry {
        code: "5.7.5xx",
        cause: "The recipient's mail server classifies the message, the mailbox or the tenant's \
            servers as a source of spam.",
        remedy: REPUTATION,
        place: place::TRACE,
    },
    Entry {
        code: "5.7.703",
        cause: "The recipient is on the block list of your own organisation.",
        remedy: "remove the recipient's address or domain from the block list",
        place: Some(
            "Microsoft Defender > Email & collaboration > Policies & rules > Threat \
            policies > Tenant Allow/Block Lists",
        ),
    },
    Entry {
        code: "5.7.705",
        cause: "Microsoft has blocked all sending of the tenant, because too much of it looked \
            like spam, or its subscription has just been renewed.",
        remedy: REPUTATION,
        place: place::RESTRICTED,
    },
    Entry {
        code: "5.7.708",
        cause: "Microsoft does not accept mail from the servers that the tenant sends from; \
            usually because the tenant is new or a trial and has no reputation yet.",
        remedy: "if the tenant is a trial, buy a licence; otherwise open a case with \
            Microsoft support",
        place: place::SERVICE_HEALTH,
    },
];
