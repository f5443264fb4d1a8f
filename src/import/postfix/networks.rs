//! `mynetworks`: who may send without authentication.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv6Addr;

use ipnet::IpNet;

use super::settings::Settings;
use super::settings::items;
use super::settings::logical_lines;
use super::tables::Folder;
use crate::import::Found;
use crate::import::networks::is_everybody;
use crate::import::networks::is_here;
use crate::import::networks::loopback;
use crate::import::networks::network;

/// The networks that may send, and what of the list has no counterpart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Networks {
    pub(super) known: Vec<IpNet>,
    /// Whether Postfix lets these send; otherwise nothing of `mynetworks` could be taken over, and
    /// these are this machine.
    pub(super) is_taken: bool,
    /// Networks that an item with `!` excludes. Postfix takes the first item that fits; here an
    /// exclusion always counts, so that nobody can send who could not before.
    excluded: BTreeSet<IpNet>,
    /// Files that were read: one may name itself.
    read: BTreeSet<String>,
    /// Items that somebody has to decide about, each with the reason.
    pub(super) unclear: Vec<String>,
    /// The same for those that keep machines out.
    pub(super) open: Vec<String>,
}

/// The parameters that say who may send without authentication.
pub(super) const PARAMETERS: [&str; 2] = ["mynetworks", "mynetworks_style"];
/// Of `mynetworks_style = subnet`.
const OF_SUBNETS: &str =
    "it lets all machines of this machine's networks send: name them in networks of [[listener]]";
/// A list of lists ends here.
const DEEPEST: usize = 5;

impl Networks {
    /// Of a service with these settings.
    pub(super) fn of(settings: &Settings, folder: &Folder) -> Self {
        let mut networks = Self::default();
        if settings.has("mynetworks") {
            networks.add(settings.list("mynetworks"), folder, 0);
        } else {
            networks.known = this_machine(settings);
        }
        let known = networks.known.iter();
        networks.known = known
            .flat_map(|it| without(*it, &networks.excluded))
            .collect();
        networks.known = spoken(settings, &networks.known);
        networks.known.sort();
        networks.known.dedup();
        networks.is_taken = !networks.known.is_empty();
        if !networks.is_taken {
            networks.known = spoken(settings, &loopback());
        }
        networks
    }

    fn add(&mut self, items: Vec<String>, folder: &Folder, depth: usize) {
        for item in self.joined(items) {
            let plain = item.trim_start_matches('!');
            // Postfix turns the meaning over for each sign.
            if item.len().abs_diff(plain.len()) % 2 == 1 {
                match network(plain) {
                    Some(network) => _ = self.excluded.insert(network),
                    None => self.open.push(format!(
                        "{plain} is excluded: take its addresses out of networks"
                    )),
                }
            } else if let Some(path) = plain
                .strip_prefix("cidr:")
                .or_else(|| plain.starts_with('/').then_some(plain))
            {
                self.add_file(path, folder, depth, plain.starts_with("cidr:"));
            } else if plain.contains(":/") {
                self.unclear.push(format!(
                    "{plain}: write the addresses of this table into networks"
                ));
            } else {
                self.add_network(plain);
            }
        }
    }

    /// The items of a list, each with the signs `!` before it, even if a blank is between.
    fn joined(&mut self, items: Vec<String>) -> Vec<String> {
        let mut joined = Vec::new();
        let mut signs = String::new();
        for item in items {
            if item.chars().all(|c| c == '!') {
                signs.push_str(&item);
                continue;
            }
            if !signs.is_empty() {
                self.unclear.push(format!(
                    "{signs} {item}: Postfix allows no blank behind the !. This program reads it as {signs}{item}"
                ));
            }
            joined.push(std::mem::take(&mut signs) + &item);
        }
        joined
    }

    /// Adds what is in a file: each line is a list, or of a table a network with a result behind
    /// it, which has no meaning here.
    fn add_file(&mut self, path: &str, folder: &Folder, depth: usize, is_table: bool) {
        if !self.read.insert(path.to_owned()) {
            return;
        }
        match folder.read(path) {
            Ok(text) if depth < DEEPEST => {
                let count = if is_table { 1 } else { usize::MAX };
                let lines = logical_lines(&text);
                let is_if = |line: &String| {
                    items(line)
                        .first()
                        .is_some_and(|it| it.eq_ignore_ascii_case("if"))
                };
                if is_table && lines.iter().any(is_if) {
                    let words = "has conditions (if): write its addresses into networks";
                    self.unclear.push(format!("{path} {words}"));
                    return;
                }
                let lists = lines.iter().map(|line| items(line));
                let networks = lists.flat_map(|list| list.into_iter().take(count));
                self.add(networks.collect(), folder, depth + 1);
            }
            Ok(_) => self
                .unclear
                .push(format!("{path}: too many lists within lists")),
            Err(why) => self.unclear.push(why),
        }
    }

    fn add_network(&mut self, item: &str) {
        match network(item) {
            Some(_) if has_host_bits(item) => self.unclear.push(format!(
                "{item} has bits behind its length, and Postfix refuses it: write the network that is meant"
            )),
            Some(network) if is_mapped(item) && !is_here(&[network]) => self.unclear.push(format!(
                "{item} lets nobody send: Postfix compares clients with IPv4 addresses only with IPv4 \
                 networks. If {network} is meant, write it into networks"
            )),
            Some(network) if is_everybody(&network) => self.unclear.push(format!(
                "{item} lets the whole internet send without a password: the relay refuses to do \
                 that, so name the networks that need it"
            )),
            Some(network) => self.known.push(network),
            None => self
                .unclear
                .push(format!("{item}: write the address of this machine")),
        }
    }
}

/// Adds the row of one of [`PARAMETERS`] that these settings have. `clients` are the parameters of
/// the services for which it holds.
pub(super) fn report(
    found: &mut Found,
    setting: String,
    name: &str,
    (settings, clients): (&Settings, &[Settings]),
    folder: &Folder,
) {
    const TAKEN: &str = "networks of [[listener]]";
    const WITH_PASSWORDS: &str = "networks or anonymous_networks of [[listener]]";
    if name == "mynetworks" {
        let networks = Networks::of(settings, folder);
        let asks = |it: &Settings| it.is_on("smtpd_sasl_auth_enable");
        let needs_password = !clients.is_empty() && clients.iter().all(asks);
        if networks.is_taken && needs_password {
            found.take(setting, WITH_PASSWORDS);
        } else if networks.is_taken {
            found.take(setting, TAKEN);
        } else if needs_password && networks.unclear.is_empty() {
            found.take(
                setting,
                "[[listener]] has no anonymous_networks: every machine needs a password",
            );
        } else if needs_password {
            found.ask(
                setting,
                "none of it is in anonymous_networks of [[listener]]: every machine needs a password until \
                 you name it there",
            );
        } else if settings.list(name).is_empty() {
            found.warn(
                setting,
                "Postfix lets nobody send without a password here. The relay lets this machine send: set \
                 authentication of [[listener]] to \"required\" if nobody may",
            );
        } else {
            found.warn(
                setting,
                "none of it is in networks: until you name the machines in networks of [[listener]], only \
                 this machine can send. If it may not, remove the [[listener]]",
            );
        }
    } else if clients.iter().all(|it| it.has("mynetworks")) {
        let words = "Postfix uses it only where mynetworks is not set";
        found.lack(setting, words);
    } else if settings.value(name).eq_ignore_ascii_case("host") {
        found.take(setting, TAKEN);
    } else {
        found.ask(setting, OF_SUBNETS);
    }
}

/// Adds the row of a `main.cf` that says nothing about who may send, where Postfix then lets all
/// machines of its networks send: below compatibility level 2, and before version 3.0
/// (COMPATIBILITY_README).
pub(super) fn report_default(found: &mut Found, settings: &Settings, clients: &[Settings]) {
    let level = settings.value("compatibility_level");
    let level = level
        .split('.')
        .next()
        .and_then(|it| it.parse::<u32>().ok());
    let is_default = |it: &Settings| PARAMETERS.iter().all(|name| !it.has(name));
    if level.unwrap_or(0) < 2 && clients.iter().any(is_default) {
        let words = "Postfix's old default lets all machines of this machine's networks send: name them in \
                     networks of [[listener]], or set mynetworks";
        found.ask("mynetworks_style (not set)", words);
    }
}

/// The machine itself: `mynetworks_style = host`.
fn this_machine(settings: &Settings) -> Vec<IpNet> {
    let own = settings.list("inet_interfaces").into_iter();
    let own = own.filter_map(|it| it.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    let own = own.filter(|ip| !ip.is_unspecified());
    loopback().into_iter().chain(own.map(IpNet::from)).collect()
}

/// Whether a service with these settings speaks the protocol of an address (`inet_protocols`).
pub(super) fn speaks(settings: &Settings, ip: IpAddr) -> bool {
    let other = if ip.is_ipv4() { "ipv6" } else { "ipv4" };
    let protocols = settings.list("inet_protocols");
    let is_only_other = protocols.iter().all(|it| it.eq_ignore_ascii_case(other));
    protocols.is_empty() || !is_only_other
}

/// The networks from which clients can reach a service with these settings.
pub(super) fn spoken(settings: &Settings, networks: &[IpNet]) -> Vec<IpNet> {
    let networks = networks.iter().copied();
    networks
        .filter(|it| speaks(settings, it.network()))
        .collect()
}

/// Whether it is an address within a network, such as `192.0.2.5/24`.
fn has_host_bits(item: &str) -> bool {
    let plain = item.replace(['[', ']'], "");
    plain.parse::<IpNet>().is_ok_and(|it| it.trunc() != it)
}

/// Whether it is an IPv4 network in its IPv6 form, such as `[::ffff:192.0.2.0]/120`.
fn is_mapped(item: &str) -> bool {
    let plain = item.replace(['[', ']'], "");
    let ip = plain.split('/').next().map(str::parse::<Ipv6Addr>);
    ip.is_some_and(|ip| ip.is_ok_and(|ip| ip.to_ipv4_mapped().is_some()))
}

/// A network without those that are excluded.
fn without(network: IpNet, excluded: &BTreeSet<IpNet>) -> Vec<IpNet> {
    let mut larger = std::iter::successors(Some(network), IpNet::supernet);
    match larger.any(|it| excluded.contains(&it)) {
        true => Vec::new(),
        false => pieces(network, excluded),
    }
}

/// The same if no larger network is excluded: the halves that contain none of the excluded ones.
fn pieces(network: IpNet, excluded: &BTreeSet<IpNet>) -> Vec<IpNet> {
    if excluded.contains(&network) {
        return Vec::new();
    }
    // Networks are in the order of their addresses: those within this one follow it.
    let mut next = excluded.range(network..);
    let is_whole = next.next().is_none_or(|it| !network.contains(it));
    match network.subnets(network.prefix_len().saturating_add(1)) {
        Ok(halves) if !is_whole => halves.flat_map(|half| pieces(half, excluded)).collect(),
        Ok(_) | Err(_) => vec![network],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The networks of a main.cf.
    fn networks(main: &str) -> Networks {
        let settings = Settings::parse(main, "/", "a");
        Networks::of(&settings, &Folder("/".into()))
    }

    fn known(networks: &Networks) -> String {
        let known: Vec<String> = networks.known.iter().map(ToString::to_string).collect();
        known.join(" ")
    }

    #[test]
    fn an_excluded_machine_is_cut_out_of_its_network() {
        let networks = networks("mynetworks = 192.0.2.0/29 !192.0.2.5 [::1]");
        assert_eq!(
            known(&networks),
            "192.0.2.0/30 192.0.2.4/32 192.0.2.6/31 ::1/128"
        );
        assert_eq!(networks.unclear, [""; 0]);
    }

    #[test]
    fn many_exclusions_are_cut_out_of_many_networks() {
        let mut items = vec!["10.0.0.0/8".to_owned(), "!10.0.0.0/9".to_owned()];
        for at in 0..10_000 {
            let (high, low) = (at / 256, at % 256);
            items.push(format!("172.{high}.{low}.0/24 !172.{high}.{low}.128/25"));
        }
        items.push("10.1.2.3".to_owned());

        let networks = networks(&format!("mynetworks = {}", items.join(" ")));

        assert!(known(&networks).starts_with("10.128.0.0/9 172.0.0.0/25 "));
        assert_eq!(networks.known.len(), 10_001);
        assert_eq!(networks.unclear, [""; 0]);
    }

    #[test]
    fn a_table_with_conditions_lets_nobody_in_and_a_file_that_names_itself_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let (table, own) = (folder.path().join("table"), folder.path().join("own"));
        std::fs::write(&table, "if 10.1.0.0/16\n10.0.0.0/8 OK\nendif\n").unwrap();
        let itself = format!("{} ", own.display());
        std::fs::write(&own, itself.repeat(60) + "192.0.2.1").unwrap();
        for (kind, file, known, is_unclear) in [
            ("cidr:", &table, loopback(), true),
            ("", &own, vec![network("192.0.2.1").unwrap()], false),
        ] {
            let networks = networks(&format!("mynetworks = {kind}{}", file.display()));
            let unclear = networks.unclear.join(" ");
            assert_eq!(unclear.contains("conditions (if)"), is_unclear, "{unclear}");
            let mut known = known;
            known.sort();
            assert_eq!(networks.known, known);
        }
    }

    #[test]
    fn each_line_of_a_file_is_a_list_and_each_line_of_a_table_has_one_network() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nets");
        std::fs::write(&path, "192.0.2.1, 192.0.2.2\n192.0.2.3 192.0.2.4\n").unwrap();
        for (kind, expected) in [
            ("", "192.0.2.1/32 192.0.2.2/32 192.0.2.3/32 192.0.2.4/32"),
            ("cidr:", "192.0.2.1/32 192.0.2.3/32"),
        ] {
            let networks = networks(&format!("mynetworks = {kind}{}", path.display()));
            assert_eq!(known(&networks), expected);
            assert_eq!(networks.unclear, [""; 0]);
        }
    }

    #[test]
    fn networks_that_postfix_refuses_or_that_are_in_tables_are_not_guessed() {
        for item in [
            "192.0.2.5/24",
            "hash:/etc/postfix/nets",
            "pcre:/x",
            "ldap:nets",
            "printer",
        ] {
            let networks = networks(&format!("mynetworks = 127.0.0.0/8 {item}"));
            assert_eq!(networks.known.len(), 1, "{item}");
            assert!(networks.unclear[0].contains(item), "{:?}", networks.unclear);
        }
    }

    #[test]
    fn an_excluded_table_may_let_in_more() {
        let networks = networks("mynetworks = 192.0.2.0/24 !hash:/etc/postfix/net");
        assert_eq!(networks.open.len(), 1);
        assert_eq!(networks.unclear, [""; 0]);
    }

    #[test]
    fn each_sign_turns_an_exclusion_over_even_with_a_blank_behind_it() {
        for (items, expected, unclear) in [
            ("192.0.2.8/30 ! 192.0.2.8/31", "192.0.2.10/31", 1),
            ("192.0.2.8/30, !, 192.0.2.8/31 !", "192.0.2.10/31", 1),
            ("!!192.0.2.8/30", "192.0.2.8/30", 0),
            ("192.0.2.8/30 !!!192.0.2.8/31", "192.0.2.10/31", 0),
        ] {
            let networks = networks(&format!("mynetworks = {items}"));
            assert_eq!(known(&networks), expected, "{items}");
            assert_eq!(networks.unclear.len(), unclear, "{items}");
        }
    }

    #[test]
    fn only_networks_of_a_protocol_that_postfix_speaks_are_known() {
        for (protocols, expected) in [
            ("all", "192.0.2.0/24 ::1/128 2001:db8::/32"),
            ("ipv4, ipv6", "192.0.2.0/24 ::1/128 2001:db8::/32"),
            ("ipv4", "192.0.2.0/24"),
            ("ipv6", "::1/128 2001:db8::/32"),
        ] {
            let text = "mynetworks = 192.0.2.0/24 [::1] [2001:db8::]/32\ninet_protocols = ";
            let networks = networks(&format!("{text}{protocols}"));
            assert_eq!(known(&networks), expected, "{protocols}");
        }
    }

    #[test]
    fn an_ipv4_network_in_its_ipv6_form_lets_nobody_in_except_this_machine() {
        let text = "mynetworks = [::ffff:127.0.0.0]/104 [::ffff:10.0.0.0]/104 ::ffff:192.0.2.1";
        let networks = networks(text);
        assert_eq!(networks.known, [network("127.0.0.0/8").unwrap()]);
        assert_eq!(networks.unclear.len(), 2, "{:?}", networks.unclear);
        assert!(networks.unclear[0].contains("If 10.0.0.0/8 is meant"));
    }

    #[test]
    fn networks_that_let_nobody_in_may_open_only_a_listener_without_passwords() {
        for (items, sasl, taken, may_open) in [
            ("", "no", 0, true),
            ("10.0.0.0/8 !10.0.0.0/8", "no", 0, true),
            ("", "yes", 1, false),
            ("10.0.0.0/8 !10.0.0.0/8", "yes", 1, false),
            ("hash:/etc/postfix/nets", "yes", 0, false),
            ("10.0.0.0/8", "yes", 1, false),
        ] {
            let text = format!("mynetworks = {items}\nsmtpd_sasl_auth_enable = {sasl}\n");
            let settings = Settings::parse(&text, "/", "a");
            let mut found = Found::default();

            let both = (&settings, std::slice::from_ref(&settings));
            let folder = Folder("/".into());
            report(&mut found, text.clone(), "mynetworks", both, &folder);

            assert_eq!(found.taken.len(), taken, "{text}");
            assert_eq!(found.decide.len(), 1 - taken, "{text}");
            let opens = found.decide.iter().any(|row| row.may_open);
            assert_eq!(opens, may_open, "{text}");
        }
    }

    #[test]
    fn a_network_of_the_whole_internet_is_not_taken_over() {
        let networks = networks("mynetworks = 0.0.0.0/0");
        assert_eq!(networks.known, loopback());
        assert_eq!(networks.unclear.len(), 1);
    }
}
