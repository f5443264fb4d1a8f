//! The domains of the virtual servers (`IIsSmtpDomain`): local ones, whose mail IIS puts into a
//! folder, and remote ones, for which it has routes.
//!
//! `RouteAction` says which of the two a domain is, by bits whose names Microsoft's tools use
//! (`SMTP_DROP` and so on).

use super::Server;
use super::reason;
use super::shown;
use crate::import::Found;

/// `SMTP_DROP`, `SMTP_ALIAS`, `SMTP_DELIVER`, `SMTP_DEFAULT`.
const LOCAL: u32 = 0x01 | 0x10 | 0x20 | 0x40;
/// `SMTP_SMARTHOST`.
const SMART_HOST: u32 = 0x02;
/// `SMTP_ETRN_CMD`, `SMTP_CSIDE_TURN`, `SMTP_CSIDE_ETRN`.
const FETCHED: u32 = 0x0200 | 0x2000 | 0x4000;
/// `SMTP_DOMAIN_RELAY`.
const OPEN: u32 = 0x1000;

/// The setting that says whether a domain is local.
const ACTION: &str = "RouteAction";
const UNKNOWN: &str = "the file does not say in a form that this program knows whether the domain is local: look under \
                       Domains in the IIS manager. If it is, and Exchange has no mailboxes for it, write an alias for \
                       it into [aliases]";

/// Adds the rows of the domains, which have their places with them.
pub(super) fn report(found: &mut Found, domains: &[(String, Server)]) {
    for (location, domain) in domains {
        if domain.get(ACTION).is_none_or(|it| it.trim().is_empty()) {
            found.ask(format!("{location}: IIsSmtpDomain"), UNKNOWN);
        }
        for (name, value) in domain.iter().filter(|(_, value)| !value.is_empty()) {
            let setting = shown(location, name, value);
            match (name.as_str(), value.trim().parse::<u32>()) {
                (ACTION, Ok(action)) if action & LOCAL != 0 => {
                    let domain = location.rsplit('/').next().unwrap_or_default();
                    found.ask(setting, local(domain));
                }
                (ACTION, Ok(action)) => found.lack(setting, remote(action)),
                (ACTION, Err(_)) => found.ask(setting, UNKNOWN),
                _ => found.lack(setting, reason(name)),
            }
        }
    }
}

fn local(domain: &str) -> String {
    format!(
        "a local domain: IIS puts its mail into a folder, and the relay sends it to Exchange. If Exchange has no \
         mailboxes for it, write \"@{domain}\" = \"address\" into [aliases]. Programs that read the folder need a \
         mailbox instead"
    )
}

fn remote(action: u32) -> String {
    let route = match action & (SMART_HOST | FETCHED) {
        0 => "",
        SMART_HOST => ": IIS sends its mail to the server in RouteActionString",
        _ => ": IIS keeps its mail until the server of the domain fetches it",
    };
    let open = match action & OPEN {
        0 => "",
        _ => {
            ". IIS accepts mail for it from everybody, the relay only from machines of networks and from users"
        }
    };
    format!(
        "a remote domain{route}. All mail goes to Exchange, which decides where it is delivered: a connector of \
         Exchange can send it to a certain server{open}"
    )
}
