//! What a client may do on a listener.

use std::net::IpAddr;

use crate::config::Authentication;
use crate::config::Listener;
use crate::config::Tls;
use crate::session;
use crate::session::Access;
use crate::session::ClearPasswords;

/// What this client may do on this listener.
pub(super) fn access(listener: &Listener, client: IpAddr) -> Access {
    Access {
        tls: match listener.tls {
            Tls::Off => session::Tls::Off,
            Tls::Starttls => session::Tls::Offered,
            Tls::StarttlsRequired => session::Tls::Required,
            Tls::Implicit => session::Tls::Active,
        },
        authentication: match listener.authentication {
            Authentication::Off => session::Authentication::Off,
            Authentication::Required if !listener.admits_anonymous(client) => {
                session::Authentication::Required
            }
            Authentication::Optional | Authentication::Required => {
                session::Authentication::Optional
            }
        },
        clear_passwords: if listener.admits_clear_passwords(client) {
            ClearPasswords::Taken
        } else {
            ClearPasswords::Refused
        },
    }
}
