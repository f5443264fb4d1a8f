//! The relay's own SMTP replies and the status codes of its own failure reports.
//! A reply is known by its code and enhanced status (`535 5.7.8`), a report by its
//! enhanced status (`5.4.7`). Other servers use the same numbers, so each cause
//! says that the words are the relay's.

use super::Entry;
use super::place;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "421 4.3.0",
        cause: "The relay's own reply: it could not store the message and closed the connection. \
            It did not accept the message, and the client tries again.",
        remedy: "look for event=\"spool\" in the log, which names the file and the error",
        place: place::STATUS,
    },
    Entry {
        code: "421 4.3.1",
        cause: "The relay's own reply: its spool or disk is full, so it closed the connection. It \
            did not accept the message, and the client tries again.",
        remedy: "if the spool is full, raise limits.spool_size or drop failed messages; if the \
            disk is full, free space where data_dir is",
        place: place::STATUS,
    },
    Entry {
        code: "421 4.3.2",
        cause: "The relay's own reply: it is stopping, or all its connections are in use and this \
            client has to connect again.",
        remedy: "let the client try again; if this happens often, find out which clients hold the \
            connections, and raise limits.connections if they are all yours",
        place: place::STATUS,
    },
    Entry {
        code: "421 4.4.2",
        cause: "The relay's own reply: the client was silent for too long, sent no AUTH or MAIL in \
            time, or kept the session open for too long.",
        remedy: "for a slow device raise command_timeout, data_timeout, pre_mail_timeout or \
            session_timeout of [limits]; health checks and port scanners need no change",
        place: place::SESSIONS,
    },
    Entry {
        code: "421 4.7.0",
        cause: "The relay's own reply: this client has too many connections, made too many errors, \
            tried too many wrong passwords, does not speak SMTP (HTTP), or \
            comes through a load balancer whose PROXY protocol header is missing or not expected.",
        remedy: "read the text after the code: it names the limit in relay.toml; for wrong \
            passwords correct the name and password in the device; for the PROXY protocol compare \
            the load balancer with proxy_protocol_from of the [[listener]]",
        place: place::SESSIONS,
    },
    Entry {
        code: "421 4.7.1",
        cause: "The relay's own reply: its configuration has changed during the session, and this \
            client or user is no longer allowed, or must authenticate again.",
        remedy: "let the client connect again; if the relay refuses it then, compare the client \
            with networks, tls and authentication of the [[listener]] and with the [[user]]",
        place: place::SESSIONS,
    },
    Entry {
        code: "451 4.3.0",
        cause: "The relay's own reply: it could not store the message. It did not accept the \
            message, and the client tries again.",
        remedy: "look for event=\"spool\" in the log, which names the file and the error",
        place: place::STATUS,
    },
    Entry {
        code: "451 4.7.0",
        cause: "The relay's own reply: the client has sent too many messages in a minute, or the \
            relay could not verify its password at the moment.",
        remedy: "let the client try again; if the limit is too low for it, raise \
            limits.messages_per_minute_per_client",
        place: place::SESSIONS,
    },
    Entry {
        code: "451 4.7.1",
        cause: "The relay's own reply: the client or its user has reached the number of recipients \
            per hour.",
        remedy: "let the client try again later; if the limit is too low for it, raise \
            limits.recipients_per_hour_per_client",
        place: place::SESSIONS,
    },
    Entry {
        code: "452 4.3.1",
        cause: "The relay's own reply: its spool or disk is full. It did not accept the message, \
            and the client tries again.",
        remedy: "if the spool is full, raise limits.spool_size or drop failed messages; if the \
            disk is full, free space where data_dir is",
        place: place::STATUS,
    },
    Entry {
        code: "452 4.5.3",
        cause: "The relay's own reply: the message has more recipients than one transaction may \
            have.",
        remedy: "nothing, if the client sends to the other recipients in another transaction, as \
            most do; otherwise raise limits.recipients",
        place: place::SESSIONS,
    },
    Entry {
        code: "454 4.7.0",
        cause: "The relay's own reply: it could not verify a password at the moment, because too \
            many are being verified or something on this machine failed.",
        remedy: "let the client try again, and see the log if this lasts",
        place: place::SESSIONS,
    },
    Entry {
        code: "500 5.5.2",
        cause: "The relay's own reply: the client sent something that is not an SMTP command. A \
            device that is set to SSL/TLS does this on a port without implicit TLS.",
        remedy: "set the device to STARTTLS or to no encryption, or give it the port of a \
            [[listener]] with tls = \"implicit\"; otherwise see what it sent",
        place: place::SESSIONS,
    },
    Entry {
        code: "500 5.5.6",
        cause: "The relay's own reply: a line of the authentication is longer than any password.",
        remedy: "see which client it is: this does not look like a mail client",
        place: place::SESSIONS,
    },
    Entry {
        code: "501 5.1.3",
        cause: "The relay's own reply: the recipient in RCPT TO is not an address, or there is \
            more than one.",
        remedy: "correct the recipient in the device or its address book; enter several addresses \
            as separate recipients",
        place: place::SESSIONS,
    },
    Entry {
        code: "501 5.1.7",
        cause: "The relay's own reply: the sender in MAIL FROM is not an address, or there is \
            more than one.",
        remedy: "give the device one sender address, like device@your-domain",
        place: place::SESSIONS,
    },
    Entry {
        code: "501 5.5.2",
        cause: "The relay's own reply: the client encoded its name or password wrongly.",
        remedy: "use only ASCII letters and digits in the name and password, or set the client's \
            authentication to LOGIN",
        place: place::SESSIONS,
    },
    Entry {
        code: "501 5.5.4",
        cause: "The relay's own reply: the client sent a malformed command.",
        remedy: "see what the client sent; look for an update of its firmware or program",
        place: place::SESSIONS,
    },
    Entry {
        code: "501 5.7.0",
        cause: "The relay's own reply: the client cancelled the authentication.",
        remedy: "check that a password is set in the client",
        place: place::SESSIONS,
    },
    Entry {
        code: "502 5.5.1",
        cause: "The relay's own reply: this listener does not offer the command that the client \
            sent, usually STARTTLS or AUTH.",
        remedy: "turn encryption or authentication off in the client, or set tls and \
            authentication of the [[listener]]",
        place: place::SESSIONS,
    },
    Entry {
        code: "503 5.5.1",
        cause: "The relay's own reply: the command is not allowed at this point. Usually the \
            client continues although the relay refused an earlier command.",
        remedy: "find the refusal before this one in the session: that is what to fix",
        place: place::SESSIONS,
    },
    Entry {
        code: "504 5.5.4",
        cause: "The relay's own reply: the client wants to authenticate by a mechanism that the \
            relay does not support (NTLM and CRAM-MD5, for instance).",
        remedy: "set the client's authentication to PLAIN or LOGIN",
        place: place::SESSIONS,
    },
    Entry {
        code: "530 5.7.0",
        cause: "The relay's own reply: this listener requires STARTTLS or a name and password, and \
            the client used neither.",
        remedy: "set the client to STARTTLS, or give it the name and password of a [[user]]; for a \
            device that can do neither, add a [[listener]] with tls = \"off\" or add its address \
            to anonymous_networks",
        place: place::SESSIONS,
    },
    Entry {
        code: "535 5.7.8",
        cause: "The relay's own reply: the name or the password of the client is wrong. It is a \
            name and password of relay.toml, not of Microsoft 365.",
        remedy: "compare the name and password in the device with the [[user]]; some devices can \
            only enter letters and digits; graph-relay hash-password makes the password_hash for a \
            new password",
        place: place::SESSIONS,
    },
    Entry {
        code: "538 5.7.11",
        cause: "The relay's own reply: the client wants to send its password unencrypted, and this \
            listener accepts passwords only over TLS.",
        remedy: "set the client to STARTTLS; if it cannot use TLS, add a [[listener]] with tls = \
            \"off\" and put the client's address into its networks",
        place: place::SESSIONS,
    },
    Entry {
        code: "550 5.1.2",
        cause: "The relay's own reply: no mail server can be reached under the domain of the \
            recipient, or the recipient has no domain (root, for instance).",
        remedy: "add the recipient to [aliases] as the reply shows, set default_recipient_domain, \
            or correct the recipient in the client",
        place: place::SESSIONS,
    },
    Entry {
        code: "550 5.6.0",
        cause: "The relay's own reply: the message contains characters or line ends that mail \
            does not allow.",
        remedy: "make the program that creates the message end its lines with CR LF and encode \
            attachments in base64",
        place: place::SESSIONS,
    },
    Entry {
        code: "550 5.7.1",
        cause: "The relay's own reply: the From address or a recipient is not allowed, or no \
            [[account]] sends for the From address. The text after the code says which.",
        remedy: "add the address to senders of the [[user]] or [[account]], or to \
            recipients_allowed; or change it in the client",
        place: place::SESSIONS,
    },
    Entry {
        code: "552 5.3.4",
        cause: "The relay's own reply: the message or its header section is too big. The text \
            after the code says which limit it exceeds.",
        remedy: "raise limits.message_size or limits.spool_size, or set oversize = \"attach\" in \
            the [[account]], as the text says; or set the device to scan at a lower resolution",
        place: place::SESSIONS,
    },
    Entry {
        code: "553 5.1.3",
        cause: "The relay's own reply: Exchange Online cannot deliver to this recipient, which has \
            a quoted name or an address literal like user@[192.0.2.1].",
        remedy: "correct the recipient in the client, or add it to [aliases] with one of your \
            mailboxes",
        place: place::SESSIONS,
    },
    Entry {
        code: "553 5.6.7",
        cause: "The relay's own reply: the address is not ASCII, and the client did not ask for \
            SMTPUTF8.",
        remedy: "use an ASCII address in the client",
        place: place::SESSIONS,
    },
    Entry {
        code: "553 5.7.1",
        cause: "The relay's own reply: the authenticated user may not send as the address in MAIL \
            FROM.",
        remedy: "add the address to senders of the [[user]], or change it in the client",
        place: place::SESSIONS,
    },
    Entry {
        code: "554 5.4.6",
        cause: "The relay's own reply: the message goes in a circle between servers.",
        remedy: "check whether a mailbox or server forwards mail to this relay",
        place: place::SESSIONS,
    },
    Entry {
        code: "554 5.5.1",
        cause: "The relay's own reply: the relay refused every recipient of the message.",
        remedy: "find the refusals before this one in the session: they are what to fix",
        place: place::SESSIONS,
    },
    Entry {
        code: "554 5.7.1",
        cause: "The relay's own reply: this client's address is not in networks of the \
            [[listener]], so it may not connect.",
        remedy: "if the client is one of yours, add its address to networks of the [[listener]], \
            then run systemctl reload graph-relay",
        place: place::SESSIONS,
    },
    Entry {
        code: "555 5.5.4",
        cause: "The relay's own reply: the client uses a parameter of an SMTP extension that the \
            relay does not offer.",
        remedy: "turn this feature off in the client, and look for an update of its firmware",
        place: place::SESSIONS,
    },
    Entry {
        code: "4.3.0",
        cause: "The relay's own status: it cannot read this message in its spool, and has put it \
            into quarantine.",
        remedy: "see in graph-relay queue show what is damaged; graph-relay spool check examines \
            the whole spool",
        place: place::QUEUE,
    },
    Entry {
        code: "4.3.2",
        cause: "The relay's own status: Microsoft 365 is temporarily unavailable or asks the relay \
            to send more slowly, so the message waits.",
        remedy: "wait: the relay tries again by itself",
        place: place::STATUS,
    },
    Entry {
        code: "4.3.5",
        cause: "The relay's own status: something in the tenant or in relay.toml is not set up \
            correctly, and mail waits until it is fixed.",
        remedy: "run graph-relay doctor, which names what to fix",
        place: place::DOCTOR,
    },
    Entry {
        code: "4.4.1",
        cause: "The relay's own status: Entra or Graph did not answer. The relay tries again; it \
            may not know yet whether an earlier attempt was successful.",
        remedy: "check the network, the proxy and the firewall between this machine and Microsoft",
        place: place::DOCTOR,
    },
    Entry {
        code: "5.0.0",
        cause: "The relay's own status: Graph refused the message, and no other status fits.",
        remedy: "look up the code in the report or in graph-relay queue show, which is Graph's own",
        place: place::QUEUE,
    },
    Entry {
        code: "5.1.0",
        cause: "The relay's own status: Graph refused one of the addresses of the message and did \
            not say which.",
        remedy: "correct the addresses in the program that created the message",
        place: place::QUEUE,
    },
    Entry {
        code: "5.3.4",
        cause: "The relay's own status: the message is larger than the mailbox may send (35 MB by \
            default), or a part of it that cannot be split is larger than Graph accepts in one \
            request (4 MB).",
        remedy: "send fewer or smaller attachments, raise the mailbox's maximum send size, or set \
            oversize = \"attach\" in the [[account]], as the failure report says",
        place: place::SEND_SIZE,
    },
    Entry {
        code: "5.4.7",
        cause: "The relay's own status: it tried to send the message until expire_after was over, \
            then gave up and reported the failure.",
        remedy: "see in graph-relay queue show why the attempts failed, fix this, and retry the \
            message",
        place: place::QUEUE,
    },
    Entry {
        code: "5.6.0",
        cause: "The relay's own status: Graph cannot read the content of the message.",
        remedy: "look up the code in the report or in graph-relay queue show, which is Graph's own",
        place: place::QUEUE,
    },
];
