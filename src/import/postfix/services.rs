//! `master.cf`: the services of Postfix (master(5)), of which the relay has a counterpart for
//! those that accept SMTP.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Reading;
use super::networks::speaks;
use super::public;
use super::settings::Settings;
use super::settings::bracketed;
use super::settings::is_of_name;
use super::settings::logical_lines;
use super::settings::numbered_lines;
use super::settings::parameter;
use crate::import::networks::loopback;

/// A line of `master.cf`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Service {
    /// `smtp`, `587`, `127.0.0.1:10025`.
    pub(super) name: String,
    /// `inet`, `unix`, `fifo`, `pass`.
    pub(super) kind: String,
    /// Processes at most, if the line says so.
    pub(super) processes: Option<u32>,
    /// The program as written, without its arguments: its name, or a path.
    command: String,
    /// The name of the program.
    pub(super) program: String,
    /// The parameters that its options `-o` set.
    pub(super) overrides: Vec<(String, String)>,
    /// The names in options that Postfix does not understand: it does not start such a service.
    pub(super) broken: Vec<String>,
    /// Whether Postfix understands all of its line, and the line behind it.
    pub(super) is_whole: bool,
    /// Whether main.cf disables it.
    is_disabled: bool,
}

/// The services of a `master.cf` as it is installed, by their programs. What they do is done by
/// the relay or by Exchange, or is of Postfix's own making.
const STOCK: [&str; 22] = [
    "anvil",
    "bounce",
    "cleanup",
    "discard",
    "error",
    "flush",
    "lmtp",
    "local",
    "pickup",
    "postlogd",
    "proxymap",
    "qmgr",
    "oqmgr",
    "scache",
    "showq",
    "smtp",
    "tlsmgr",
    "tlsproxy",
    "trivial-rewrite",
    "verify",
    "virtual",
    "dnsblog",
];
/// Those that Debian's file has for programs that are rarely installed.
const STOCK_PIPES: [&str; 7] = [
    "maildrop",
    "uucp",
    "ifmail",
    "bsmtp",
    "scalemail-backend",
    "mailman",
    "cyrus",
];

/// The parameters of main.cf by which master(8) opens the ports. It does not read the options of a
/// service, and passes them to the program, which has no use for these.
pub(super) const OF_MASTER: [&str; 2] = ["inet_interfaces", "inet_protocols"];

/// Their arguments contain the command of another program, which may have options of its own.
const RUNNING_OTHERS: [&str; 2] = ["pipe", "spawn"];

impl Service {
    /// Whether it accepts SMTP from the network.
    pub(super) fn accepts_mail(&self) -> bool {
        let is_smtp = ["smtpd", "postscreen"].contains(&self.program.as_str());
        is_smtp && self.kind == "inet" && self.why_not_started().is_none()
    }

    /// Why Postfix does not start its program.
    pub(super) fn why_not_started(&self) -> Option<&'static str> {
        if self.is_disabled {
            return Some("Postfix does not start it: master_service_disable");
        }
        self.command
            .starts_with('/')
            .then_some("Postfix looks for it below daemon_directory and does not start it")
    }

    /// Whether a list of `kind` and `name/kind` has it (`master_service_disable`, postconf(5)). The
    /// first item that fits counts, and with a `!` it excludes the service.
    fn is_in(&self, list: &[String]) -> bool {
        let fits = |item: &str| {
            item == self.kind
                || ['/', '.'].into_iter().any(|between| {
                    item.rsplit_once(between) == Some((self.name.as_str(), self.kind.as_str()))
                })
        };
        let mut items = list.iter().map(|item| (item, item.trim_start_matches('!')));
        let first = items.find(|(_, plain)| fits(plain));
        first.is_some_and(|(item, plain)| item.len().abs_diff(plain.len()) % 2 == 0)
    }

    /// Whether it is part of every Postfix.
    pub(super) fn is_stock(&self) -> bool {
        let is_known = STOCK.contains(&self.program.as_str())
            || self.program == "smtpd" && self.kind == "pass"
            || self.program == "pipe" && STOCK_PIPES.contains(&self.name.as_str());
        is_known && self.why_not_started().is_none()
    }

    /// The parameters that its options set, except those that every Postfix has.
    pub(super) fn unusual_overrides(&self) -> impl Iterator<Item = &(String, String)> {
        let overrides = self.overrides.iter();
        overrides.filter(|(name, value)| name != "syslog_name" && !value.is_empty())
    }

    /// One of its options, as the report shows it, with these parameters as secrets.
    pub(super) fn option(&self, name: &str, value: &str, secrets: &BTreeSet<String>) -> String {
        let value = public(secrets, name, value);
        format!("-o {name}={value} of {}", self.shown())
    }

    /// As the line begins.
    pub(super) fn shown(&self) -> String {
        format!("{} {} {} (master.cf)", self.name, self.kind, self.command)
    }
}

/// Returns the service whose options hold for the clients of a service: for postscreen, the one to
/// which it passes its clients (`smtpd_service_name`), otherwise the service itself.
pub(super) fn with_rules<'s>(
    services: &'s [Service],
    service: &'s Service,
    settings: &Settings,
) -> &'s Service {
    if service.program != "postscreen" {
        return service;
    }
    let name = settings
        .with(&service.overrides)
        .value("smtpd_service_name");
    let mut services = services.iter();
    let passed = services.find(|it| it.kind == "pass" && it.name == name);
    passed.unwrap_or(service)
}

/// The parameters that hold for the clients of a service, with the rules of another one or its own.
/// If Postfix does not understand or start one of the two, nobody can send there.
pub(super) fn settings_of(service: &Service, rules: &Service, main: &Settings) -> Settings {
    let nobody = ("smtpd_relay_restrictions".to_owned(), "reject".to_owned());
    let overrides = rules.overrides.iter();
    let overrides = overrides.filter(|(name, _)| !OF_MASTER.contains(&name.as_str()));
    let settings = main.with(&overrides.cloned().collect::<Vec<_>>());
    let is_served = rules.program != "postscreen" && rules.why_not_started().is_none();
    match service.is_whole && rules.is_whole && is_served {
        true => settings,
        false => settings.with(&[nobody]),
    }
}

/// The parameters that hold for the clients of each service that accepts mail.
pub(super) fn of_clients(services: &[Service], settings: &Settings) -> Vec<Settings> {
    let accepting = services.iter().filter(|it| it.accepts_mail());
    let of_client = |it| settings_of(it, with_rules(services, it, settings), settings);
    accepting.map(of_client).collect()
}

/// The addresses of a service, or nothing if its port is unknown.
pub(super) fn addresses(
    reading: &mut Reading,
    service: &Service,
    settings: &Settings,
) -> Option<(Vec<IpAddr>, bool, u16)> {
    let (host, port) = match service.name.rsplit_once(':') {
        Some((host, port)) => (Some(host.trim_matches(['[', ']']).to_owned()), port),
        None => (None, service.name.as_str()),
    };
    let number = match port {
        "smtp" => Some(25),
        "smtps" | "submissions" | "urd" => Some(465),
        "submission" => Some(587),
        _ => port.parse().ok(),
    };
    let Some(number) = number else {
        reading.found.ask(
            service.shown(),
            format!("{port:?} is not a port that this program knows: add a [[listener]] for it"),
        );
        return None;
    };
    let names = host.map_or_else(|| settings.list("inet_interfaces"), |host| vec![host]);
    let mut ips = Vec::new();
    let mut is_all = false;
    for name in names {
        match (
            name.as_str(),
            name.trim_matches(['[', ']']).parse::<IpAddr>(),
        ) {
            ("all", _) => is_all = true,
            ("loopback-only" | "localhost", _) => {
                ips.extend(loopback().iter().map(|it| match it {
                    IpNet::V4(_) => IpAddr::from([127, 0, 0, 1]),
                    IpNet::V6(v6) => v6.addr().into(),
                }));
            }
            (_, Ok(ip)) => ips.push(ip),
            (_, Err(_)) => reading.found.ask(
                service.shown(),
                format!("it listens on the addresses of {name}: write these into a [[listener]]"),
            ),
        }
    }
    ips.retain(|ip| speaks(settings, *ip));
    if !is_all && ips.is_empty() {
        let words = "it listens on no address that this program knows: add a [[listener]] for it";
        reading.found.ask(service.shown(), words);
    }
    (is_all || !ips.is_empty()).then_some((ips, is_all, number))
}

/// Reads the text of a `master.cf`.
pub(super) fn parse(text: &str) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for line in logical_lines(text) {
        if let Some(service) = service(&line) {
            services.push(service);
        } else if let Some(before) = services.last_mut() {
            // The line may have options of the service before it, without the white space.
            before.is_whole = false;
        }
    }
    services
}

/// Marks the services that these parameters disable.
pub(super) fn disable(services: &mut [Service], settings: &Settings) {
    let disabled = settings.list("master_service_disable");
    for service in services {
        service.is_disabled = service.is_in(&disabled);
    }
}

/// The numbers of the lines that are not services.
pub(super) fn odd_lines(text: &str) -> Vec<usize> {
    let lines = numbered_lines(text).into_iter();
    let odd = lines.filter(|(_, line)| service(line).is_none());
    odd.map(|(number, _)| number).collect()
}

fn service(line: &str) -> Option<Service> {
    let mut words = line.split_whitespace();
    let name = words.next()?.to_owned();
    let kind = words.next()?.to_owned();
    // private, unpriv, chroot, wakeup.
    let mut middle = words.by_ref().skip(4);
    let processes = middle.next()?.parse().ok();
    let command = middle.next()?.to_owned();
    // An option in the place of a name: columns are missing.
    let is_option = |word: &str| word.starts_with('-') || word.contains('=');
    if is_option(&name) || is_option(&command) {
        return None;
    }
    let program = command.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments: Vec<&str> = middle.collect();
    let (overrides, mut broken) = options(&arguments.join(" "));
    if RUNNING_OTHERS.contains(&program.as_str()) {
        broken.clear();
    }
    Some(Service {
        name,
        kind,
        processes,
        command,
        program,
        overrides,
        is_whole: broken.is_empty(),
        is_disabled: false,
        broken,
    })
}

/// The parameters that options set, `-o name=value`, also without the blank, and
/// `-o { name = value }`; and the names in options that Postfix does not understand.
fn options(arguments: &str) -> (Vec<(String, String)>, Vec<String>) {
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    let arguments = format!(" {arguments}");
    let mut rest = arguments.as_str();
    // Behind a brace that does not end, Postfix reads nothing: no other brace has a meaning.
    let mut is_open = false;
    while let Some((_, behind)) = rest.split_once(" -o") {
        let text = behind.trim_start();
        let to_blank = || text.split_at(text.find(' ').unwrap_or(text.len()));
        let braced = match is_open {
            true => None,
            false => bracketed(text, '{', '}'),
        };
        is_open |= braced.is_none() && text.starts_with('{');
        let (option, behind) = braced.unwrap_or_else(to_blank);
        let set = parameter(option);
        found.extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let left = behind.split(" -o").next().unwrap_or_default().trim();
        if set.is_none() || !left.is_empty() && !left.starts_with('-') {
            let name = text.trim_start_matches(['{', ' ']);
            let name = name.split(|c| !is_of_name(c)).next();
            broken.push(name.unwrap_or_default().to_owned());
        }
        rest = behind;
    }
    (found, broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameters that the options of a service set.
    fn overrides(service: &Service) -> Vec<(&str, &str)> {
        let overrides = service.overrides.iter();
        let overrides = overrides.map(|(name, value)| (name.as_str(), value.as_str()));
        overrides.collect()
    }

    #[test]
    fn options_of_a_service_are_read_in_both_forms() {
        let services = parse(
            "# comment\nsubmission inet n - y - 20 smtpd\n  -o syslog_name=postfix/submission\n#  -o x=y\n  \
             -o { smtpd_relay_restrictions = permit_sasl_authenticated, reject } -omilter_protocol=6\nsmtp unix - - y - - smtp\n",
        );
        assert_eq!(services.len(), 2);
        let submission = &services[0];
        assert!(submission.accepts_mail() && !services[1].accepts_mail());
        assert_eq!(submission.processes, Some(20));
        let expected = [
            ("syslog_name", "postfix/submission"),
            (
                "smtpd_relay_restrictions",
                "permit_sasl_authenticated, reject",
            ),
            ("milter_protocol", "6"),
        ];
        assert_eq!(overrides(submission), expected);
    }

    #[test]
    fn a_program_is_known_by_its_name_below_the_folder_of_postfix() {
        let services = parse(
            "smtp inet n - y - - /usr/lib/postfix/sbin/smtpd -o smtpd_a=b\n26 inet n - y - - ./smtpd\n\
             27 inet n - y - - ../sbin/postscreen\npickup unix n - y 60 1 /usr/libexec/postfix/pickup\n\
             a unix - n n - - /usr/lib/postfix/pipe argv=/b -o c\nmine unix - n n - - /opt/mine/virtual\n\
             28 inet n - n - - /opt/smtpd/other\npickup unix n - y 60 1 pickup\n",
        );

        let accepting = services.iter().map(Service::accepts_mail);
        let expected = [false, true, true, false, false, false, false, false];
        assert_eq!(accepting.collect::<Vec<_>>(), expected);
        let stock = services.iter().map(Service::is_stock);
        let expected = [false, false, false, false, false, false, false, true];
        assert_eq!(stock.collect::<Vec<_>>(), expected);
        assert_eq!(overrides(&services[0]), [("smtpd_a", "b")]);
        let shown = "smtp inet /usr/lib/postfix/sbin/smtpd (master.cf)";
        assert_eq!(services[0].shown(), shown);
        assert!(services[4].is_whole);
    }

    #[test]
    fn options_that_postfix_does_not_understand_are_named_without_their_values() {
        for (options, broken) in [
            ("-o smtpd_a=x -v -o { b = c }", ""),
            ("-o smtpd_a = x -o b=c", "smtpd_a"),
            ("-o smtpd_a=x, reject -o b=c", "smtpd_a"),
            ("-o { smtpd_a = x", "smtpd_a"),
            ("-o smtpd_a", "smtpd_a"),
            ("-o", ""),
        ] {
            let services = parse(&format!("smtp inet n - y - - smtpd {options}"));
            assert_eq!(services[0].broken.join(" "), broken, "{options}");
            let is_whole = broken.is_empty() && options != "-o";
            assert_eq!(services[0].is_whole, is_whole, "{options}");
        }
        let pipe = parse("a unix - n n - - pipe argv=/b -o c");
        assert!(pipe[0].is_whole);
    }

    #[test]
    fn options_behind_a_brace_that_does_not_end_are_all_named() {
        let options = "-o { smtpd_a=x ".repeat(20_000);

        let services = parse(&format!("smtp inet n - y - - smtpd {options}"));

        assert_eq!(services[0].broken.len(), 20_000);
        assert_eq!(services[0].overrides, []);
    }

    #[test]
    fn a_line_without_all_columns_is_no_service_and_may_be_part_of_the_one_before() {
        let text = "smtp inet n - y - - smtpd\n-o smtpd_a=canary\n\n# x\n25 inet n - y - smtpd -o a=b\n\
                    587 inet n - y smtpd -o a=b\n465 inet n - y - - smtpd\n";
        let services = parse(text);
        let names: Vec<_> = services.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["smtp", "465"]);
        assert!(!services[0].is_whole && services[1].is_whole);
        assert_eq!(odd_lines(text), [2, 5, 6]);
    }

    #[test]
    fn an_option_in_braces_ends_at_the_brace_that_closes_it() {
        let services = parse(
            "smtp inet n - y - - smtpd\n -o { smtpd_client_restrictions = check_client_access inline:{ \
             {192.0.2.1 = OK} }, reject } -o smtpd_sasl_auth_enable=yes -o { open = a\n",
        );
        let expected = [
            (
                "smtpd_client_restrictions",
                "check_client_access inline:{ {192.0.2.1 = OK} }, reject",
            ),
            ("smtpd_sasl_auth_enable", "yes"),
        ];
        assert_eq!(overrides(&services[0]), expected);
    }
}
