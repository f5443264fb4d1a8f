//! The texts of the devices.

use crate::admin::DeviceState;
use crate::admin::PermissionKind;
use crate::config::Tls;

/// The list of devices, and one device.
#[derive(Debug)]
pub(in crate::page) struct DevicesTexts {
    pub(in crate::page) nothing: &'static str,
    pub(in crate::page) search: &'static str,
    pub(in crate::page) find: &'static str,
    pub(in crate::page) all: &'static str,
    pub(in crate::page) none_found: &'static str,
    /// From, to, and of how many.
    pub(in crate::page) range: fn(usize, usize, usize) -> String,
    pub(in crate::page) previous: &'static str,
    pub(in crate::page) next: &'static str,
    pub(in crate::page) caption: &'static str,
    pub(in crate::page) live: &'static str,
    pub(in crate::page) device: &'static str,
    pub(in crate::page) last_seen: &'static str,
    pub(in crate::page) today: &'static str,
    pub(in crate::page) signs_in_as: &'static str,
    /// It does not authenticate.
    pub(in crate::page) by_network: &'static str,
    pub(in crate::page) connection: &'static str,
    pub(in crate::page) notes: &'static str,
    pub(in crate::page) no_tls: &'static str,
    pub(in crate::page) ago: fn(&str) -> String,
    pub(in crate::page) now: &'static str,
    pub(in crate::page) accepted: fn(u64) -> String,
    pub(in crate::page) delivered: fn(u64) -> String,
    pub(in crate::page) failed: fn(u64) -> String,
    pub(in crate::page) refused: fn(u64) -> String,
    pub(in crate::page) nothing_today: &'static str,
    pub(in crate::page) state: fn(DeviceState) -> &'static str,
    /// For how many days.
    pub(in crate::page) silent: fn(u64) -> String,
    pub(in crate::page) unknown_title: &'static str,
    pub(in crate::page) unknown: &'static str,
    pub(in crate::page) verdict: fn(DeviceState) -> &'static str,
    pub(in crate::page) forget: &'static str,
    pub(in crate::page) forget_question: &'static str,
    pub(in crate::page) details: &'static str,
    pub(in crate::page) address: &'static str,
    pub(in crate::page) name: &'static str,
    pub(in crate::page) first_seen: &'static str,
    pub(in crate::page) last_accepted: &'static str,
    pub(in crate::page) never: &'static str,
    pub(in crate::page) authentication: &'static str,
    pub(in crate::page) none: &'static str,
    pub(in crate::page) senders: &'static str,
    pub(in crate::page) quirks: &'static str,
    pub(in crate::page) figures: &'static str,
    pub(in crate::page) figures_of: &'static str,
    /// Since when the relay counts.
    pub(in crate::page) since: fn(&str) -> String,
    /// Accepted, delivered, failed, refused.
    pub(in crate::page) heads: [&'static str; 4],
    pub(in crate::page) last_messages: &'static str,
    pub(in crate::page) all_messages: &'static str,
    pub(in crate::page) all_refusals: &'static str,
    pub(in crate::page) transcripts: &'static str,
    pub(in crate::page) transcripts_help: &'static str,
    pub(in crate::page) no_transcripts: &'static str,
    pub(in crate::page) omitted: fn(usize) -> String,
    pub(in crate::page) client: &'static str,
    pub(in crate::page) relay: &'static str,
    pub(in crate::page) event: &'static str,
}

/// Adding a device.
#[derive(Debug)]
pub(in crate::page) struct AddTexts {
    pub(in crate::page) title: &'static str,
    pub(in crate::page) about: &'static str,
    pub(in crate::page) name: &'static str,
    pub(in crate::page) name_help: &'static str,
    pub(in crate::page) senders: &'static str,
    pub(in crate::page) senders_help: &'static str,
    pub(in crate::page) add: &'static str,
    pub(in crate::page) without_password: &'static str,
    pub(in crate::page) incomplete: &'static str,
    pub(in crate::page) not_added: &'static str,
    pub(in crate::page) prepared: &'static str,
    pub(in crate::page) prepared_help: &'static str,
    pub(in crate::page) not_in_force: &'static str,
    pub(in crate::page) card: &'static str,
    pub(in crate::page) once: &'static str,
    pub(in crate::page) server: &'static str,
    pub(in crate::page) local: &'static str,
    pub(in crate::page) port: &'static str,
    pub(in crate::page) port_of_unit: &'static str,
    pub(in crate::page) encryption_title: &'static str,
    pub(in crate::page) encryption: fn(Tls) -> &'static str,
    pub(in crate::page) user: &'static str,
    pub(in crate::page) password: &'static str,
    pub(in crate::page) from: &'static str,
    pub(in crate::page) kinds: &'static str,
    pub(in crate::page) waits: &'static str,
    pub(in crate::page) came: &'static str,
    pub(in crate::page) refused: &'static str,
    pub(in crate::page) changed: &'static str,
}

/// The user of a device.
#[derive(Debug)]
pub(in crate::page) struct UserTexts {
    pub(in crate::page) link: &'static str,
    pub(in crate::page) added: &'static str,
    pub(in crate::page) account: &'static str,
    pub(in crate::page) any_account: &'static str,
    pub(in crate::page) seen_at: &'static str,
    pub(in crate::page) remove: &'static str,
    pub(in crate::page) remove_question: &'static str,
    pub(in crate::page) remove_prepared: &'static str,
    pub(in crate::page) password: &'static str,
    pub(in crate::page) password_question: &'static str,
    /// Where the change waits for a command.
    pub(in crate::page) old_password: &'static str,
    pub(in crate::page) not_changed: &'static str,
}

/// Allowing a device what it was refused.
#[derive(Debug)]
pub(in crate::page) struct AllowTexts {
    pub(in crate::page) title: &'static str,
    /// What is allowed, and the address in it.
    pub(in crate::page) what: fn(PermissionKind, &str) -> String,
    pub(in crate::page) change: &'static str,
    pub(in crate::page) allow: &'static str,
    pub(in crate::page) nothing: &'static str,
    pub(in crate::page) stale: &'static str,
    pub(in crate::page) allowed: &'static str,
    pub(in crate::page) allowed_help: &'static str,
    pub(in crate::page) prepared_help: &'static str,
    pub(in crate::page) or_paste: &'static str,
}
