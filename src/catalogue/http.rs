//! What has no code: a status without one, no answer at all, and what a token
//! or a clock shows. The names are the catalogue's own.

use super::Entry;
use super::place;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "http-401",
        cause: "A 401 without a code of Graph's: a proxy or gateway between this machine and Graph \
            answered, or Exchange refused the access token without a reason because a permission \
            that was granted a short time ago is not in force yet.",
        remedy: "look at http.proxy and at what stands between this machine and Graph; wait half \
            an hour after a change of permissions, and check that login_url and graph_url belong \
            to the same cloud",
        place: place::CLOUD,
    },
    Entry {
        code: "http-403",
        cause: "Something refused the request without a code of Graph's: mostly a web filter or \
            proxy between this machine and Graph. Graph's own refusal says ErrorAccessDenied.",
        remedy: "let this machine reach the hosts of login_url and graph_url without \
            inspection, or name the right proxy",
        place: place::PROXY,
    },
    Entry {
        code: "http-404",
        cause: "Whatever answered does not know the address, and has no code of Graph's: \
            graph_url or a proxy leads elsewhere.",
        remedy: "compare graph_url with the Graph host of your cloud, and look at http.proxy",
        place: place::CLOUD,
    },
    PROXY_WANTS_PASSWORD,
    Entry {
        code: "http-411",
        cause: "A request came without the length that Graph or a proxy wants to know.",
        remedy: "look whether a proxy takes away Content-Length",
        place: place::PROXY,
    },
    Entry {
        code: "http-413",
        cause: "The request was larger than Graph takes (4 MB) or than a proxy on the way does.",
        remedy: "let the relay send large messages by a draft (application permission \
            Mail.ReadWrite), and look for a limit of the proxy",
        place: place::PERMISSIONS,
    },
    Entry {
        code: "http-415",
        cause: "Graph does not take a request in this format.",
        remedy: "look whether a proxy changes the Content-Type; if not, report it to the makers \
            of the relay",
        place: place::PROXY,
    },
    Entry {
        code: "http-429",
        cause: "Graph was asked too often, and says when to come back.",
        remedy: "wait: the relay goes slower by itself; let no other program send through the \
            same app and mailbox",
        place: place::PACE,
    },
    NOT_GRAPH,
    Entry {
        code: "http-502",
        cause: "A gateway, Microsoft's or your own proxy, could not reach what stands behind it.",
        remedy: "wait: the relay finds out or tries again by itself; if it lasts, look at \
            http.proxy and at the service health",
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "http-504",
        cause: "A gateway gave up waiting. The message was often sent all the same.",
        remedy: "wait: the relay finds out or tries again by itself; if it lasts, look at \
            http.proxy and at the service health",
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
        cause: "More was uploaded in a short time than Graph allows (150 MB in 5 minutes).",
        remedy: "wait: the relay goes slower by itself",
        place: place::PACE,
    },
    Entry {
        code: "http-5xx",
        cause: "Graph or a gateway before it is in trouble. The message may have been taken all \
            the same.",
        remedy: "wait: the relay finds out or tries again by itself; if it lasts for hours, \
            look at the service health",
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "no-connection",
        cause: "There is no connection to the host: its name cannot be resolved, or a firewall \
            holds back port 443 or the proxy's port.",
        remedy: "let this machine reach the hosts of login_url and graph_url on port 443, or \
            name the proxy that may",
        place: Some("curl -sS -o /dev/null -w '%{http_code}\\n' https://graph.microsoft.com"),
    },
    Entry {
        code: "tls-certificate",
        cause: "The certificate of the other side is not trusted: a proxy opens TLS with a \
            certificate of its own, or this machine's clock is wrong.",
        remedy: "name the proxy's root certificate in http.ca_file, or except the hosts of \
            login_url and graph_url from inspection, and check the clock",
        place: place::PROXY,
    },
    Entry {
        code: "no-roles",
        cause: "The access token carries no application permission: none was granted, only the \
            delegated one of the same name was chosen, or admin consent is missing. Where RBAC \
            for Applications gives the right to send, this is as it should be.",
        remedy: "add Mail.Send under \"Application permissions\" (not \"Delegated \
            permissions\") of Microsoft Graph, and grant admin consent until the status reads \
            \"Granted\"; with RBAC for Applications leave it as it is",
        place: place::PERMISSIONS,
    },
    Entry {
        code: "clock-skew",
        cause: "This machine's clock differs from Microsoft's by more than a few minutes, so \
            tokens and certificates seem to be expired or not yet valid.",
        remedy: "set this machine's clock and keep it synchronised (NTP)",
        place: place::CLOCK,
    },
];

/// The proxy on the way wants a name and a password.
pub const PROXY_WANTS_PASSWORD: Entry = Entry {
    code: "http-407",
    cause: "The proxy between this machine and Microsoft wants a name and a password.",
    remedy: "put user and password into http.proxy, or let this machine pass without",
    place: Some("proxy = \"http://USER:PASSWORD@PROXY:PORT\" of [http] in relay.toml"),
};

/// A status of the 400s without a code of Graph's.
pub const NOT_GRAPH: Entry = Entry {
    code: "http-4xx",
    cause: "The answer is not one of Graph's: a proxy, a gateway, a firewall or a wrong address \
        answered in its place.",
    remedy: "look at the log of the proxy, firewall or gateway between this machine and Graph: it \
        may block this message's content, or everything that the relay sends; also compare \
        http.proxy and graph_url",
    place: place::PROXY,
};
