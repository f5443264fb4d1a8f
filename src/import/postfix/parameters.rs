//! The parameters of `main.cf` that have no counterpart, each with the reason. A parameter that
//! no other file of this folder has reported ends here, so that none is passed over in silence.

use std::collections::BTreeSet;

use super::Reading;
use super::settings::Settings;
use super::settings::variables;
use crate::import::Found;
use crate::mail;

const OWN: &str = "it is about Postfix's own programs and files";
const DELIVERS: &str =
    "Exchange delivers to the recipients, not the relay: the connection to Graph always has TLS";
const MAILBOXES: &str = "the relay delivers to no mailboxes or programs of this machine";
const CONTENT: &str =
    "the relay does not examine or change content: use mail flow rules in Exchange";
const CLIENTS: &str = "the relay accepts mail from the machines of networks and from users only, so it needs no test of unknown clients";
const TLS: &str = "the relay uses TLS 1.2 and 1.3 with its own selection of ciphers";
const PASSWORDS: &str = "the names and passwords of users are in [[user]]";
const COPIES: &str =
    "the relay adds no recipients: use a mail flow rule in Exchange (Bcc the message to)";
const ROUTES: &str = "all mail goes to Exchange, which decides where it is delivered";
const REPORTS: &str =
    "notify of [failure] says who gets reports, and [[alert]] tells administrators of problems";
const LOOKS: &str = "the relay writes its greeting itself";
const LOG: &str = "[log] says what is logged, and the journal keeps it";
const QUEUE: &str = "the relay sends as fast as each mailbox may: [account.rate_limits]";
const SYNTAX: &str = "the relay accepts what clients usually send, and keeps it as it is";
const LOCAL: &str = "the relay accepts every recipient that can receive mail through Exchange; recipients_allowed of [[listener]] limits them";
const OTHER: &str = "the relay has nothing like it: postconf(5) says what it does, so that you can see whether you need that";
const MAPS: &str =
    "[[sender]] and [aliases] hold for all mail: write the entries that you need there";
const DENYLIST: &str = "if postscreen_access_list refuses machines of mynetworks, take them out of networks of [[listener]]";
const NO_CERTIFICATES: &str = "the relay asks clients for no certificates";
/// Of a parameter that another one names.
pub(super) const PART_OF_OTHERS: &str = "it is only part of other parameters";

/// The same for parameters that somebody has to decide about, if they are set to something.
const DECISIONS: &[(&str, &str)] = &[
    (
        "*_upstream_proxy_protocol",
        "name the load balancers in proxy_protocol_from of [[listener]]",
    ),
    (
        "smtpd_tls_req_ccert",
        "the relay asks clients for no certificates: machines of networks and users with a password can \
         send without one. Take the machines out of networks that must not",
    ),
    ("postscreen_denylist_action", DENYLIST),
    ("postscreen_blacklist_action", DENYLIST),
    (
        "smtpd_sender_login_maps",
        "senders of [[user]] says which addresses a user may send as",
    ),
    (
        "masquerade_domains",
        "write a [[sender]] for each domain that is to be replaced",
    ),
    (
        "luser_relay",
        "write \"*@domain\" = \"address\" into [aliases] for a domain that cannot receive mail",
    ),
    ("*canonical_maps", MAPS),
    ("virtual_alias_maps", MAPS),
    ("smtp_generic_maps", MAPS),
];

/// Those of them without which the relay may let in more than Postfix.
const OPENING: [&str; 4] = [
    "*_upstream_proxy_protocol",
    "smtpd_tls_req_ccert",
    "postscreen_denylist_action",
    "postscreen_blacklist_action",
];

/// Names, or their beginnings before a `*`. The first that fits counts.
const REASONS: &[(&str, &str)] = &[
    ("*_bcc_maps", COPIES),
    ("always_bcc", COPIES),
    ("*_checks", CONTENT),
    ("content_filter", CONTENT),
    ("*milter*", CONTENT),
    ("receive_override_options", CONTENT),
    ("disable_mime*", CONTENT),
    ("message_reject_characters", CONTENT),
    ("message_strip_characters", CONTENT),
    ("smtpd_proxy_*", CONTENT),
    (
        "masquerade_*",
        "write a [[sender]] for each domain that is to be replaced",
    ),
    ("*_classes", "notify of [failure] says who gets reports"),
    ("*_notice_recipient", REPORTS),
    ("notify_classes", REPORTS),
    ("soft_bounce", REPORTS),
    ("bounce_*", REPORTS),
    ("confirm_delay_cleared", REPORTS),
    ("double_bounce_sender", REPORTS),
    ("smtpd_sasl_*", PASSWORDS),
    ("cyrus_sasl_*", PASSWORDS),
    (
        "broken_sasl_auth_clients",
        "the relay writes AUTH in the form that all clients understand",
    ),
    ("smtpd_tls_*ccert*", NO_CERTIFICATES),
    ("relay_clientcerts", NO_CERTIFICATES),
    ("smtpd_tls_*", TLS),
    ("tls_*", TLS),
    ("tlsproxy_*", TLS),
    ("smtpd_banner", LOOKS),
    (
        "smtpd_upstream_proxy_*",
        "proxy_protocol_from of [[listener]] names the load balancers",
    ),
    (
        "postscreen_upstream_proxy_*",
        "proxy_protocol_from of [[listener]] names the load balancers",
    ),
    ("postscreen_*", CLIENTS),
    ("smtpd_*_restrictions", CLIENTS),
    ("smtpd_restriction_classes", CLIENTS),
    ("smtpd_helo_*", CLIENTS),
    ("smtpd_reject_*", CLIENTS),
    ("smtpd_delay_*", CLIENTS),
    (
        "smtpd_timeout",
        "command_timeout of [limits] holds for all listeners",
    ),
    (
        "message_size_limit",
        "message_size of [limits] holds for all listeners",
    ),
    ("myhostname", "hostname holds for all listeners"),
    (
        "smtpd_forbid_bare_newline_*",
        "bare_lf holds for every client of a [[listener]], and the relay chooses its replies itself",
    ),
    ("smtpd_client_*", "[limits] has the limits of clients"),
    ("smtpd_*_limit", "[limits] has the limits of clients"),
    ("smtpd_*", CLIENTS),
    ("reject_*", CLIENTS),
    ("unknown_*", CLIENTS),
    ("unverified_*", CLIENTS),
    ("address_verify_*", CLIENTS),
    ("dnsblog_*", CLIENTS),
    ("maps_rbl_*", CLIENTS),
    ("policy_*", CLIENTS),
    ("strict_*", SYNTAX),
    (
        "disable_vrfy_command",
        "the relay never says whether a recipient exists",
    ),
    ("smtputf8_*", SYNTAX),
    ("local_header_rewrite_clients", SYNTAX),
    ("append_*", SYNTAX),
    ("swap_bangpath", SYNTAX),
    ("allow_*", SYNTAX),
    (
        "enable_long_queue_ids",
        "the relay's queue IDs are long and never used twice",
    ),
    ("smtp_tls_*", DELIVERS),
    ("smtp_*", DELIVERS),
    ("lmtp_*", DELIVERS),
    ("relay_domains", LOCAL),
    ("relay_recipient_maps", LOCAL),
    ("relayhost", ROUTES),
    (
        "sender_dependent_*",
        "all mail goes to Exchange; [[sender]] chooses the mailbox that sends",
    ),
    ("transport_maps", ROUTES),
    ("*_transport", ROUTES),
    ("fallback_*", ROUTES),
    ("relay_*", ROUTES),
    ("best_mx_transport", ROUTES),
    ("defer_transports", ROUTES),
    ("ignore_mx_lookup_error", ROUTES),
    ("mydestination", MAILBOXES),
    ("virtual_mailbox_*", MAILBOXES),
    ("virtual_alias_domains", LOCAL),
    // Where main.cf sets these, they are carried out: what is left is of a service.
    ("*canonical_maps", MAPS),
    ("virtual_alias_maps", MAPS),
    ("smtp_generic_maps", MAPS),
    (
        "virtual_alias_*",
        "an alias may lead to as many recipients as recipients of [limits] allows",
    ),
    ("virtual_*", MAILBOXES),
    ("local_*", MAILBOXES),
    ("mailbox_*", MAILBOXES),
    ("home_mailbox", MAILBOXES),
    ("mail_spool_directory", MAILBOXES),
    ("forward_path", MAILBOXES),
    (
        "alias_database",
        "sendmail of graph-relay reads the text of /etc/aliases itself",
    ),
    (
        "recipient_delimiter",
        "the relay leaves the part behind the delimiter to Exchange (plus addressing)",
    ),
    (
        "propagate_unmatched_extensions",
        "the relay leaves the part behind the delimiter to Exchange (plus addressing)",
    ),
    ("owner_request_special", MAILBOXES),
    ("biff", MAILBOXES),
    ("prepend_delivered_header", MAILBOXES),
    ("maillog_*", LOG),
    ("syslog_*", LOG),
    ("debug_peer_*", LOG),
    ("debugger_command", LOG),
    ("default_destination_*", QUEUE),
    ("initial_destination_*", QUEUE),
    ("*_destination_*", QUEUE),
    ("qmgr_*", QUEUE),
    ("in_flow_delay", QUEUE),
    (
        "default_process_limit",
        "connections of [limits] limits all clients together",
    ),
    ("*_directory", OWN),
    ("*_path", OWN),
    ("mail_owner", OWN),
    ("setgid_group", OWN),
    ("default_privs", OWN),
    ("compatibility_level", OWN),
    ("mail_version", OWN),
    ("mail_name", LOOKS),
    ("import_environment", OWN),
    ("export_environment", OWN),
    (
        "multi_instance_*",
        "one relay serves one machine: start a second one with another data_dir",
    ),
    ("authorized_*", "every user of this machine may send"),
    ("proxy_interfaces", OWN),
    ("proxy_read_maps", OWN),
    ("proxy_write_maps", OWN),
    ("parent_domain_matches_subdomains", SYNTAX),
    ("default_database_type", OWN),
    ("ipc_*", OWN),
    ("max_idle", OWN),
    ("max_use", OWN),
    ("stress", OWN),
];

/// Reports every parameter that has no row yet.
pub(super) fn add(reading: &mut Reading) {
    let names: Vec<String> = reading.settings.names().map(str::to_owned).collect();
    // An option of a service may contain a parameter of main.cf.
    let options = reading.services.iter().flat_map(|it| &it.overrides);
    let in_options = options.flat_map(|(_, value)| variables(value));
    let in_options: BTreeSet<String> = in_options.map(str::to_owned).collect();
    for name in names {
        if reading.reported.contains(&name) {
            continue;
        }
        if name == "multi_instance_directories" {
            reading.ask(
                &name,
                "these are further Postfixes: run graph-relay import postfix with the folder of each, and \
                 put the [[listener]] of all into one relay.toml, or start a relay for each with another \
                 data_dir",
            );
            continue;
        }
        if let Some(setting) = reading.first(&name) {
            let settings = &reading.settings;
            let is_used = settings.is_used(&name) || in_options.contains(&name);
            left(&mut reading.found, settings, &name, setting, is_used);
        }
    }
}

/// Adds the row of a parameter that nothing else of this folder carries out. The settings are
/// those that hold where it is set; other parameters may use it.
pub(super) fn left(
    found: &mut Found,
    settings: &Settings,
    name: &str,
    setting: String,
    is_used: bool,
) {
    let fits = |(pattern, _): &&(&str, &str)| mail::fits(pattern, name);
    let decision = DECISIONS.iter().find(fits);
    let is_set = || !["", "no", "ignore"].contains(&settings.value(name).as_str());
    match (decision.filter(|_| is_set()), reason(name)) {
        (Some((pattern, words)), _) if OPENING.contains(pattern) => found.warn(setting, *words),
        (Some((_, words)), _) => found.ask(setting, *words),
        (None, OTHER) if is_used => found.take(setting, PART_OF_OTHERS),
        (None, reason) => found.lack(setting, reason),
    }
}

/// Why a parameter has no counterpart.
fn reason(name: &str) -> &'static str {
    let mut reasons = REASONS.iter();
    let found = reasons.find(|(pattern, _)| mail::fits(pattern, name));
    found.map_or(OTHER, |(_, reason)| reason)
}
