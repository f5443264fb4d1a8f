//! The settings of an oracle's session, from the letters of its first line.

use std::sync::Arc;

use crate::session::Access;
use crate::session::Authentication;
use crate::session::ClearPasswords;
use crate::session::Sending;
use crate::session::Settings;
use crate::session::Tls;

pub(super) fn settings(letters: &[u8]) -> (Settings, Access) {
    let mut settings = Settings {
        hostname: "relay.example".into(),
        message_size: 1_000_000,
        size_in_config: 1_000_000,
        recipients: 3,
        errors: 20,
        aliases: Arc::default(),
    };
    let mut access = Access {
        tls: Tls::Off,
        authentication: Authentication::Off,
        clear_passwords: ClearPasswords::Taken,
        recipients: Arc::default(),
        sending: Sending::Allowed,
    };
    for letter in letters {
        match letter {
            b's' => access.tls = Tls::Offered,
            b'S' => access.tls = Tls::Required,
            b't' => access.tls = Tls::Active,
            b'a' => access.authentication = Authentication::Optional,
            b'A' => access.authentication = Authentication::Required,
            b'x' => access.authentication = Authentication::Any,
            b'r' => access.clear_passwords = ClearPasswords::Refused,
            b'1'..=b'9' => settings.recipients = usize::from(letter - b'0'),
            b'e' => settings.errors = 3,
            _ => {}
        }
    }
    (settings, access)
}
