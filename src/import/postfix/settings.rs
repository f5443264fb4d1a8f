//! `main.cf`: its parameters, with continuation lines and `$variables` (postconf(5)).

use std::cell::Cell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::rc::Rc;

/// The parameters of a `main.cf`, or those that hold for a service of `master.cf`.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// Of `main.cf`. The services share it: both files may be long.
    main: Rc<Parameters>,
    /// The parameters that the service sets instead.
    own: Parameters,
    /// What Postfix itself knows: names of folders, for instance.
    known: Rc<BTreeMap<String, String>>,
    /// Variables that were expanded for the present value.
    steps: Cell<u32>,
}

/// Parameters with their values.
#[derive(Clone, Debug, Default)]
struct Parameters {
    values: BTreeMap<String, String>,
    /// The names of the variables in the values.
    variables: BTreeSet<String>,
}

/// A variable may contain others, but none that leads back to itself.
const DEEPEST: usize = 20;
/// One that does so several times would have no end.
const MOST_STEPS: u32 = 10_000;

/// Of Postfix, as far as other parameters name them or the relay needs them.
const DEFAULTS: [(&str, &str); 18] = [
    ("alias_maps", "hash:/etc/aliases"),
    ("anvil_rate_time_unit", "60s"),
    ("command_directory", "/usr/sbin"),
    ("daemon_directory", "/usr/lib/postfix/sbin"),
    ("data_directory", "/var/lib/postfix"),
    ("inet_interfaces", "all"),
    ("inet_protocols", "all"),
    ("mail_name", "Postfix"),
    ("mail_owner", "postfix"),
    (
        "mydestination",
        "$myhostname, localhost.$mydomain, localhost",
    ),
    ("myorigin", "$myhostname"),
    ("mynetworks_style", "host"),
    ("queue_directory", "/var/spool/postfix"),
    ("smtpd_sasl_auth_enable", "no"),
    (
        "smtpd_relay_restrictions",
        "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination",
    ),
    ("smtpd_service_name", "smtpd"),
    ("smtpd_tls_wrappermode", "no"),
    ("virtual_alias_maps", ""),
];

impl Settings {
    /// Reads the text of a `main.cf` in this folder. The last value of a parameter counts.
    pub(super) fn parse(text: &str, folder: &str, machine: &str) -> Self {
        let lines = logical_lines(text);
        let set = lines.iter().filter_map(|line| parameter(line));
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let known = DEFAULTS.iter();
        let known = known.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut settings = Self {
            main: Rc::new(Parameters::of(set.collect())),
            known: Rc::new(known.collect()),
            ..Self::default()
        };
        settings.know("config_directory", folder);
        settings.know("myhostname", machine);
        let host = settings.value("myhostname");
        let domain = host
            .split_once('.')
            .map_or("localdomain", |(_, domain)| domain);
        settings.know("mydomain", domain);
        settings
    }

    fn know(&mut self, name: &str, value: &str) {
        let known = Rc::make_mut(&mut self.known);
        known.insert(name.to_owned(), value.to_owned());
    }

    /// The same for a service whose line in `master.cf` sets parameters.
    pub(super) fn with(&self, overrides: &[(String, String)]) -> Self {
        let mut settings = self.clone();
        let mut values = std::mem::take(&mut settings.own.values);
        values.extend(overrides.iter().cloned());
        settings.own = Parameters::of(values);
        settings
    }

    /// The names of the parameters that `main.cf` sets.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.main.values.keys().map(String::as_str)
    }

    /// Whether a file sets a parameter.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value as written, in one line.
    pub(super) fn written(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    fn get(&self, name: &str) -> Option<&str> {
        let own = self.own.values.get(name);
        let value = own.or_else(|| self.main.values.get(name));
        value.map(String::as_str)
    }

    /// The value with its variables replaced, of the file or else Postfix's default; empty if
    /// this program knows none.
    pub(super) fn value(&self, name: &str) -> String {
        self.expand(self.raw(name), 0)
    }

    /// The value, if the file sets it.
    pub(super) fn set(&self, name: &str) -> Option<String> {
        self.has(name).then(|| self.value(name))
    }

    /// The items of a list.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        items(&self.value(name))
    }

    /// Whether a parameter says yes.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.value(name).eq_ignore_ascii_case("yes")
    }

    /// Whether the value of another parameter contains this one.
    pub(super) fn is_used(&self, name: &str) -> bool {
        self.own.variables.contains(name) || self.main.variables.contains(name)
    }

    /// Whether it is a parameter of Postfix with a meaning of its own, such as `myhostname`.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    fn raw(&self, name: &str) -> &str {
        let known = || self.known.get(name).map(String::as_str);
        self.get(name).or_else(known).unwrap_or_default()
    }

    fn expand(&self, text: &str, depth: usize) -> String {
        let mut expanded = String::new();
        let steps = if depth == 0 { 0 } else { self.steps.get() + 1 };
        self.steps.set(steps);
        if depth > DEEPEST || steps > MOST_STEPS {
            return expanded;
        }
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('$') {
            expanded.push_str(before);
            rest = match behind.chars().next() {
                Some('$') => {
                    expanded.push('$');
                    behind.get(1..).unwrap_or_default()
                }
                Some('{') => self.braced(behind, ('{', '}'), depth, &mut expanded),
                Some('(') => self.braced(behind, ('(', ')'), depth, &mut expanded),
                _ => {
                    let end = behind.find(|c| !is_of_name(c)).unwrap_or(behind.len());
                    let (name, after) = behind.split_at(end);
                    expanded.push_str(&self.expand(self.raw(name), depth + 1));
                    after
                }
            };
        }
        expanded.push_str(rest);
        expanded
    }

    /// Expands `{name}`, `{name?text}` and `{name:text}`, and returns what follows. A comparison
    /// remains as it is.
    fn braced<'t>(
        &self,
        text: &'t str,
        (open, close): (char, char),
        depth: usize,
        expanded: &mut String,
    ) -> &'t str {
        // Postfix reads nothing behind a bracket that does not end.
        let Some((inside, after)) = bracketed(text, open, close) else {
            expanded.push('$');
            expanded.push_str(text);
            return "";
        };
        let end = inside.find(|c| !is_of_name(c)).unwrap_or(inside.len());
        let (name, operation) = inside.split_at(end);
        let value = self.expand(self.raw(name), depth + 1);
        let mut operation = operation.trim_start();
        if name.is_empty() {
            expanded.push_str(&format!("${open}{inside}{close}"));
        } else if operation.is_empty() {
            expanded.push_str(&value);
        } else {
            let is_set = !value.is_empty();
            let mut chosen = "";
            if let Some(text) = operation.strip_prefix('?') {
                let (yes, rest) = part(text);
                operation = rest;
                chosen = if is_set { yes } else { chosen };
            }
            if let Some(text) = operation.strip_prefix(':') {
                chosen = if is_set { chosen } else { part(text).0 };
            }
            expanded.push_str(&self.expand(chosen, depth + 1));
        }
        after
    }
}

impl Parameters {
    fn of(values: BTreeMap<String, String>) -> Self {
        let variables = values.values().flat_map(|value| variables(value));
        Self {
            variables: variables.map(str::to_owned).collect(),
            values,
        }
    }
}

/// The names of the variables that a value contains: `$name`, `${name...}` and `$(name...)`.
pub(super) fn variables(value: &str) -> impl Iterator<Item = &str> {
    let behind = value.split('$').skip(1);
    let names = behind.map(|it| it.strip_prefix(['{', '(']).map_or(it, str::trim_start));
    names.filter_map(|it| it.split(|c| !is_of_name(c)).next())
}

/// Whether the names of parameters and restrictions may have this character.
pub(super) fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Splits `{a} b` into `a` and ` b`; without braces, everything is the first half.
fn part(text: &str) -> (&str, &str) {
    bracketed(text, '{', '}').unwrap_or((text, ""))
}

/// Splits a text that begins with a bracket: into the text inside, and the text that follows the
/// bracket that closes it.
pub(super) fn bracketed(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let inside = text.strip_prefix(open)?;
    let mut depth = 1_usize;
    for (at, c) in inside.char_indices() {
        if c == open {
            depth = depth.saturating_add(1);
        } else if c == close {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            let (inside, after) = inside.split_at(at);
            return Some((inside, after.strip_prefix(close).unwrap_or_default()));
        }
    }
    None
}

/// The name and the value of a parameter. The names of some contain that of a service of
/// `master.cf`, which may have a hyphen.
pub(super) fn parameter(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| is_of_name(c) || c == '-');
    is_name.then(|| (name, value.trim()))
}

/// The numbers of the lines of a `main.cf` that set no parameter.
pub(super) fn odd_lines(text: &str) -> Vec<usize> {
    let lines = numbered_lines(text).into_iter();
    let odd = lines.filter(|(_, line)| parameter(line).is_none());
    odd.map(|(number, _)| number).collect()
}

/// Joins lines that begin with white space to the one before. Comments and empty lines between
/// them do not matter (postconf(5)).
pub(super) fn logical_lines(text: &str) -> Vec<String> {
    let lines = numbered_lines(text).into_iter();
    lines.map(|(_, line)| line).collect()
}

/// The same, each with the number of the line on which it begins.
pub(super) fn numbered_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match (line.starts_with([' ', '\t']), lines.last_mut()) {
            (true, Some((_, last))) => {
                last.push(' ');
                last.push_str(content);
            }
            _ => lines.push((number, content.to_owned())),
        }
    }
    lines
}

/// The items of a list, which commas or white space separate, except within braces.
pub(super) fn items(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match (
            depth == 0 && (c == ',' || c.is_whitespace()),
            items.last_mut(),
        ) {
            (false, Some(last)) => last.push(c),
            _ => items.push(String::new()),
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        Settings::parse(text, "/etc/postfix", "mail.contoso.com")
    }

    #[test]
    fn a_variable_that_names_itself_several_times_has_an_end() {
        let settings = settings("a = $a $a $a 10.0.0.0/8");

        assert!(settings.value("a").contains("10.0.0.0/8"));
    }

    #[test]
    fn brackets_that_do_not_end_are_kept_as_they_are() {
        let value = "${a".repeat(50_000);

        assert_eq!(
            settings(&format!("b = x{value}")).value("b"),
            format!("x{value}")
        );
    }

    #[test]
    fn a_service_has_the_parameters_of_main_cf_except_its_own() {
        let main = settings("a = $b\nb = 1\n");
        let service = main.with(&[("b".to_owned(), "$c".to_owned())]);
        let service = service.with(&[("c".to_owned(), "2".to_owned())]);

        assert_eq!(
            (service.value("a"), service.written("b")),
            ("2".to_owned(), "$c")
        );
        assert!(service.is_used("b") && service.is_used("c") && !main.is_used("c"));
        assert_eq!(main.value("a"), "1");
        assert_eq!(service.names().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn continuation_lines_belong_to_the_parameter_before_even_behind_comments() {
        let settings = settings(
            "mynetworks = 127.0.0.0/8\n# printers\n\n\t192.0.2.0/24,\n  [::1]/128\nbiff=no\nbiff = yes\n",
        );
        assert_eq!(
            settings.list("mynetworks"),
            ["127.0.0.0/8", "192.0.2.0/24", "[::1]/128"]
        );
        assert_eq!(settings.value("biff"), "yes");
    }

    #[test]
    fn variables_are_replaced_by_what_they_are_set_to_or_by_the_default() {
        let settings = settings(
            "nets = 192.0.2.0/24\nmynetworks = 127.0.0.0/8 ${nets} $(nets)\nmyorigin = $mydomain\n\
             one = ${nets?yes}${none?no}\ntwo = ${none:{a b}}\nthree = ${nets?{x}:{y}} ${none?{x}:{y}}\n\
             price = $$5\nloop = $loop\nfour = ${{a} == {b} ? {c} : {d}}\n",
        );
        for (name, expected) in [
            ("mynetworks", "127.0.0.0/8 192.0.2.0/24 192.0.2.0/24"),
            ("myorigin", "contoso.com"),
            ("one", "yes"),
            ("two", "a b"),
            ("three", "x y"),
            ("price", "$5"),
            ("loop", ""),
            ("four", "${{a} == {b} ? {c} : {d}}"),
            ("config_directory", "/etc/postfix"),
        ] {
            assert_eq!(settings.value(name), expected, "{name}");
        }
        assert!(settings.is_used("nets") && !settings.is_used("net") && !settings.is_used("one"));
    }

    #[test]
    fn a_line_that_sets_no_parameter_is_known_by_its_number() {
        let text = "a = b\n# x\n\n{ c = d }\n[mx]:25 u:pw=\n a\nodd\n= x\nsmtp-amavis_x = 1\n";
        assert_eq!(odd_lines(text), [4, 5, 7, 8]);
        let settings = settings(text);
        assert_eq!(settings.names().collect::<Vec<_>>(), ["a", "smtp-amavis_x"]);
    }

    #[test]
    fn braces_hold_an_item_of_a_list_together() {
        assert_eq!(items("a, { b = c, d } ,e"), ["a", "{ b = c, d }", "e"]);
    }
}
