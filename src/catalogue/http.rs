//! What has no code of Microsoft's: an HTTP status without one, no answer at all,
//! and problems that show in a token or the clock. The catalogue chose these names.

use super::Entry;
use super::place;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "http-401",
        cause: "A 401 without an error code from Graph: a proxy or gateway between this machine and \
            Graph answered, or Exchange refused the access token without a reason because a new \
            permission is not in effect yet.",
        remedy: "check http.proxy and any proxy or gateway between this machine and Graph; after a \
            change of permissions, wait half an hour; check that login_url and graph_url belong to \
            the same cloud",
        place: place::CLOUD,
    },
    Entry {
        code: "http-403",
        cause: "A 403 without an error code from Graph: usually a web filter or proxy between this \
            machine and Graph refused the request. Graph itself would answer ErrorAccessDenied.",
        remedy: "allow this machine to reach the hosts of login_url and graph_url without \
            inspection, or set the right proxy",
        place: place::PROXY,
    },
    Entry {
        code: "http-404",
        cause: "A 404 without an error code from Graph: graph_url or a proxy leads to another \
            server.",
        remedy: "compare graph_url with the Graph host of your cloud, and check http.proxy",
        place: place::CLOUD,
    },
    PROXY_WANTS_PASSWORD,
    Entry {
        code: "http-411",
        cause: "Graph or a proxy received a request without its length (Content-Length).",
        remedy: "check whether a proxy removes Content-Length",
        place: place::PROXY,
    },
    Entry {
        code: "http-413",
        cause: "A request was larger than Graph (4 MB) or a proxy on the way accepts, and the relay \
            could not split the message into smaller requests.",
        remedy: "send fewer or smaller attachments, or several messages; set oversize = \"attach\" in \
            the [[account]], so that the relay sends what it cannot split as an attachment; if a \
            proxy allows less than the 4 MB of Graph, raise its limit; a higher request_limit does \
            not help, because Graph's 4 MB is fixed",
        place: place::PROXY,
    },
    Entry {
        code: "http-415",
        cause: "Graph does not accept a request in this format.",
        remedy: "check whether a proxy changes the Content-Type; if not, report this to the \
            developers of the relay",
        place: place::PROXY,
    },
    Entry {
        code: "http-429",
        cause: "Graph received too many requests, and says when to try again.",
        remedy: "wait: the relay slows down by itself; use this app and mailbox for no other \
            program",
        place: place::PACE,
    },
    NOT_GRAPH,
    Entry {
        code: "http-502",
        cause: "A gateway (at Microsoft, or your own proxy) could not reach the server behind it.",
        remedy: "wait: the relay finds out whether the message was sent, or tries again; if this \
            lasts, check http.proxy and Microsoft's service health",
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "http-504",
        cause: "A gateway did not get an answer in time. Often the message was sent anyway.",
        remedy: "wait: the relay finds out whether the message was sent, or tries again; if this \
            lasts, check http.proxy and Microsoft's service health",
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "http-507",
        cause: "The sending mailbox is full; every message is first written into it.",
        remedy: "empty the Sent Items and Deleted Items of {mailbox}, or raise its quota",
        place: place::MAILBOX_SIZE,
    },
    Entry {
        code: "http-509",
        cause: "The relay uploaded more than Graph allows in a short time (150 MB in 5 minutes).",
        remedy: "wait: the relay slows down by itself",
        place: place::PACE,
    },
    Entry {
        code: "http-5xx",
        cause: "Graph or a gateway in front of it has a problem. The message may have been \
            accepted anyway.",
        remedy: "wait: the relay finds out whether the message was sent, or tries again; if this \
            lasts for hours, check Microsoft's service health",
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "no-connection",
        cause: "There is no connection to the host: its name cannot be resolved, or a firewall \
            blocks port 443 or the proxy's port.",
        remedy: "allow this machine to reach the hosts of login_url and graph_url on port 443, or \
            set http.proxy",
        place: Some("curl -sS -o /dev/null -w '%{http_code}\\n' https://graph.microsoft.com"),
    },
    Entry {
        code: "tls-certificate",
        cause: "This machine does not trust the server's certificate: a proxy inspects TLS with a \
            certificate of its own, or this machine's clock is wrong.",
        remedy: "put the proxy's root certificate into http.ca_file, or exclude the hosts of \
            login_url and graph_url from TLS inspection; check the clock",
        place: place::PROXY,
    },
    Entry {
        code: "no-roles",
        cause: "The access token contains no application permission: none was granted, the \
            delegated permission with the same name was chosen instead, or admin consent is \
            missing. With RBAC for Applications this is normal.",
        remedy: "add Mail.Send under \"Application permissions\" (not \"Delegated \
            permissions\") of Microsoft Graph, and grant admin consent so that its status is \
            \"Granted\"; with RBAC for Applications change nothing",
        place: place::PERMISSIONS,
    },
    Entry {
        code: "clock-skew",
        cause: "This machine's clock differs from Microsoft's by more than a few minutes, so \
            tokens and certificates seem expired or not yet valid.",
        remedy: "set this machine's clock and keep it synchronised (NTP)",
        place: place::CLOCK,
    },
];

/// The proxy requires a name and a password.
pub const PROXY_WANTS_PASSWORD: Entry = Entry {
    code: "http-407",
    cause: "The proxy between this machine and Microsoft requires a user name and a password.",
    remedy: "put the user name and password into http.proxy, or allow this machine to use the proxy \
        without them",
    place: Some("proxy = \"http://USER:PASSWORD@PROXY:PORT\" of [http] in relay.toml"),
};

/// A status from 400 to 499 without an error code from Graph.
pub const NOT_GRAPH: Entry = Entry {
    code: "http-4xx",
    cause: "The answer is not from Graph: a proxy, gateway or firewall answered instead, or the \
        address is wrong.",
    remedy: "check the log of the proxy, firewall or gateway between this machine and Graph: it \
        may block the content of this message, or everything that the relay sends; also check \
        http.proxy and graph_url",
    place: place::PROXY,
};
