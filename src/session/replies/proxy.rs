//! Replies to load balancers and other proxies: PROXY protocol headers that are missing,
//! unreadable, or not expected.

use crate::mail::EnhancedStatus;
use crate::session::Reply;

impl Reply {
    /// The connection began with a PROXY protocol header, and the listener believes none from
    /// there.
    pub fn proxy_unexpected() -> Self {
        let text = "This port does not expect the PROXY protocol, closing";
        Self::new(421, EnhancedStatus::OTHER_PROTOCOL, text).remedy(PROXY_REMEDY)
    }

    /// The connection has a header already, and another one follows.
    pub fn proxy_twice() -> Self {
        let text = "A second PROXY protocol header is not believed, closing";
        Self::new(421, EnhancedStatus::OTHER_PROTOCOL, text).remedy(
            "either the client has sent it to hide its address, or two load balancers in a row \
             each add a header: let the second one read the header of the first (HAProxy: \
             accept-proxy; nginx: proxy_protocol in listen), so that it passes on the client's \
             address",
        )
    }

    /// The listener expects a header from this address, and something else came, or nothing.
    pub fn proxy_header_missing() -> Self {
        let text = "This port expects the PROXY protocol from this address, closing";
        Self::new(421, EnhancedStatus::OTHER_PROTOCOL, text).remedy(
            "this address is in proxy_protocol_from of the [[listener]], but its connection began \
             without a PROXY protocol header: if it is a load balancer, turn the header on there \
             (HAProxy: send-proxy-v2 in the server line; nginx: proxy_protocol on; AWS: proxy \
             protocol v2 of the target group); if it is a client, or a program on the machine of \
             the load balancer, take its address out of proxy_protocol_from, or give it a \
             [[listener]] of its own",
        )
    }

    /// The header cannot be read.
    pub fn proxy_header_malformed(why: &str) -> Self {
        let text = format!("The PROXY protocol header cannot be read, closing: {why}");
        Self::new(421, EnhancedStatus::OTHER_PROTOCOL, text).remedy(
            "the load balancer sends a PROXY protocol header that the relay cannot read: set it \
             to version 2 for TCP (HAProxy: send-proxy-v2), with at most 1040 bytes",
        )
    }

    /// MAIL on the load balancer's own connection, which is there for health checks.
    pub(in crate::session) fn only_checks() -> Self {
        let text = "No mail is accepted from the load balancer itself (networks of the \
                    [[listener]])";
        Self::new(550, EnhancedStatus::NOT_ALLOWED, text).remedy(
            "the load balancer says that it has opened this connection for itself, or that it does \
             not know the client: if programs on its machine send mail, add its address to \
             networks of the [[listener]]",
        )
    }
}

/// The fix for a client that is not in `networks`.
pub(super) const LET_IT_IN: &str = "if the client is one of yours, add its address to networks of \
    the [[listener]]; the address of a load balancer belongs in proxy_protocol_from instead";

/// The fix for a header that is not expected.
pub const PROXY_REMEDY: &str = "a load balancer in front of the relay begins each connection with \
    the PROXY protocol: put its address into proxy_protocol_from of the [[listener]], so that the \
    relay believes it who the client is; or turn the protocol off in the load balancer for this \
    port (HAProxy: remove send-proxy or send-proxy-v2 from the server line)";
