//! /etc/aliases (aliases(5)): who receives mail for a user of this machine.
//!
//! Programs and files cannot be recipients here: the relay sends mail, it does not deliver
//! it on this machine. Only `/dev/null` is understood, as nobody. A name that is not in the
//! file stays as it is: the relay has `[aliases]` and `default_recipient_domain` for it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use super::addresses;

/// Mail for nobody.
const NULL: &str = "/dev/null";
const INCLUDE: &str = ":include:";

/// The aliases of this machine.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    targets: BTreeMap<String, Vec<Target>>,
    /// Lines that cannot be used, and why.
    pub(super) problems: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// An address, or a name that may be an alias too.
    Recipient(String),
    /// `\name`: the name, which is not an alias here.
    Final(String),
    Nobody,
    /// `:include:FILE`: a file with a list.
    Include(String),
    /// A program (`|`) or a file.
    NotMail(String),
}

/// Who receives a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expansion {
    /// For the relay, in order.
    pub(super) recipients: Vec<String>,
    /// Targets of aliases that get nothing, and why.
    pub(super) problems: Vec<String>,
    /// An alias says that its mail goes to nobody.
    pub(super) discarded: bool,
}

impl Aliases {
    /// Reads the file. A file that does not exist, or that this user may not read, has no
    /// aliases: the relay has its own.
    pub(super) fn of_file(path: &Path) -> Self {
        std::fs::read(path).map_or_else(
            |_| Self::default(),
            |text| Self::parse(&String::from_utf8_lossy(&text)),
        )
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut aliases = Self::default();
        for (number, line) in logical_lines(text) {
            let Some((name, value)) = name_and_value(&line) else {
                let problem = format!("line {number}: {line:?} has no name before a colon");
                aliases.problems.push(problem);
                continue;
            };
            let targets: Vec<Target> = items(value).iter().map(|it| target(it)).collect();
            if targets.is_empty() {
                let problem = format!("line {number}: alias {name} leads to nobody");
                aliases.problems.push(problem);
                continue;
            }
            for target in &targets {
                if let Target::NotMail(what) = target {
                    let problem = format!("line {number}: alias {name}: {}", not_mail(what));
                    aliases.problems.push(problem);
                }
            }
            aliases.targets.insert(name.to_lowercase(), targets);
        }
        aliases
    }

    /// Follows aliases to their ends. `is_local` says of an address with a domain whether
    /// it is one of this machine; `included` reads a file.
    pub(super) fn expand(
        &self,
        recipients: &[String],
        is_local: impl Fn(&str) -> bool,
        included: impl Fn(&str) -> std::io::Result<String>,
    ) -> Expansion {
        let mut expanding = Expanding {
            aliases: self,
            is_local: &is_local,
            included: &included,
            followed: BTreeSet::new(),
            on_the_way: Vec::new(),
            known: BTreeSet::new(),
            expansion: Expansion::default(),
        };
        for recipient in recipients {
            expanding.recipient(recipient);
        }
        expanding.expansion
    }
}

struct Expanding<'a> {
    aliases: &'a Aliases,
    is_local: &'a dyn Fn(&str) -> bool,
    included: &'a dyn Fn(&str) -> std::io::Result<String>,
    /// Aliases and files that were followed: none twice.
    followed: BTreeSet<String>,
    /// Aliases that are being followed, each a target of the one before.
    on_the_way: Vec<String>,
    /// Recipients that were found, in lower case.
    known: BTreeSet<String>,
    expansion: Expansion,
}

impl Expanding<'_> {
    fn recipient(&mut self, text: &str) {
        let name = match text.rsplit_once('@') {
            Some((name, domain)) if (self.is_local)(domain) => name,
            Some(_) => return self.add(text),
            None => text,
        };
        let key = name.trim_matches('"').to_lowercase();
        let Some(targets) = self.aliases.targets.get(&key) else {
            return self.add(text);
        };
        if self.on_the_way.contains(&key) {
            // `root: root` means what `root: \root` means; any other loop is the relay's to refuse.
            self.add(text);
        } else if self.followed.insert(key.clone()) {
            self.on_the_way.push(key);
            for target in targets {
                self.target(target);
            }
            self.on_the_way.pop();
        }
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Recipient(text) => self.recipient(text),
            Target::Final(name) => self.add(name),
            Target::Nobody => self.expansion.discarded = true,
            Target::NotMail(what) => self.expansion.problems.push(not_mail(what)),
            Target::Include(path) => {
                if !self.followed.insert(format!("{INCLUDE}{path}")) {
                    return;
                }
                match (self.included)(path) {
                    Ok(text) => {
                        let lines = text.lines().filter(|line| !line.starts_with('#'));
                        for item in lines.flat_map(items) {
                            self.target(&target_of_include(&item));
                        }
                    }
                    Err(error) => {
                        let problem = format!("cannot read {path}: {error}");
                        self.expansion.problems.push(problem);
                    }
                }
            }
        }
    }

    fn add(&mut self, recipient: &str) {
        if self.known.insert(recipient.to_lowercase()) {
            self.expansion.recipients.push(recipient.to_owned());
        }
    }
}

fn not_mail(what: &str) -> String {
    format!("{what:?} is a program or a file, and the relay can only send mail")
}

/// Lines with those that continue them, and the number of the first. Comments and empty
/// lines are left out.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, before)) if line.starts_with([' ', '\t']) => {
                before.push(' ');
                before.push_str(line.trim());
            }
            _ => lines.push((at + 1, line.trim().to_owned())),
        }
    }
    lines
}

fn name_and_value(line: &str) -> Option<(&str, &str)> {
    let (name, value) = match line.strip_prefix('"') {
        Some(quoted) => {
            let (name, rest) = quoted.split_once('"')?;
            (name, rest.trim_start().strip_prefix(':')?)
        }
        None => line.split_once(':')?,
    };
    let name = name.trim();
    (!name.is_empty()).then_some((name, value.trim()))
}

/// The targets of an alias, separated by commas outside of quotes.
fn items(value: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut in_quotes = false;
    for c in value.chars() {
        if c == '"' {
            in_quotes = !in_quotes;
        }
        match items.last_mut() {
            Some(item) if c != ',' || in_quotes => item.push(c),
            _ => items.push(String::new()),
        }
    }
    let items = items.iter().map(|item| item.trim().to_owned());
    items.filter(|item| !item.is_empty()).collect()
}

fn target(item: &str) -> Target {
    let bare = item.trim_matches('"').trim();
    if bare == NULL {
        Target::Nobody
    } else if bare.starts_with(['|', '/']) {
        Target::NotMail(bare.to_owned())
    } else if let Some(path) = bare.strip_prefix(INCLUDE) {
        Target::Include(path.trim().to_owned())
    } else if let Some(name) = item.strip_prefix('\\') {
        Target::Final(name.to_owned())
    } else {
        // `Ada <ada@contoso.com>` is allowed here too.
        let listed = addresses::listed(item);
        Target::Recipient(listed.into_iter().next().unwrap_or_else(|| item.to_owned()))
    }
}

/// A file that anybody may have written must not name further files.
fn target_of_include(item: &str) -> Target {
    let target = target(item);
    if let Target::Include(path) = target {
        return Target::NotMail(format!("{INCLUDE}{path}"));
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# a comment
mailer-daemon: postmaster
postmaster: root
root:\tada@contoso.com,
\tBob <bob@contoso.com>
ada: \\ada, archive@contoso.com
self: self
loop: pool
pool: loop
nobody: /dev/null
logs: \"|/usr/bin/logger -t, mail\", /var/mail/logs, ops@contoso.com
team: :include:/etc/team
Upper.Case: one@contoso.com
\"with space\": two@contoso.com
no colon here
empty:
";

    fn expanded(recipients: &[&str]) -> Expansion {
        let recipients: Vec<String> = recipients.iter().map(|&it| it.to_owned()).collect();
        Aliases::parse(FILE).expand(
            &recipients,
            |domain| domain == "localhost",
            |path| match path {
                "/etc/team" => {
                    Ok("# who\none@contoso.com, root\n:include:/etc/shadow\n".to_owned())
                }
                _ => Err(std::io::ErrorKind::NotFound.into()),
            },
        )
    }

    #[test]
    fn aliases_are_followed_to_their_ends() {
        for (given, expected) in [
            (
                vec!["mailer-daemon"],
                vec!["ada@contoso.com", "bob@contoso.com"],
            ),
            (
                vec!["ROOT@localhost"],
                vec!["ada@contoso.com", "bob@contoso.com"],
            ),
            (
                vec!["root@elsewhere.example"],
                vec!["root@elsewhere.example"],
            ),
            (
                vec!["root", "bob@contoso.com"],
                vec!["ada@contoso.com", "bob@contoso.com"],
            ),
            (vec!["ada"], vec!["ada", "archive@contoso.com"]),
            (vec!["self"], vec!["self"]),
            (
                vec!["bob@contoso.com", "self"],
                vec!["bob@contoso.com", "self"],
            ),
            (
                vec!["root", "postmaster"],
                vec!["ada@contoso.com", "bob@contoso.com"],
            ),
            (vec!["stranger"], vec!["stranger"]),
            (vec!["upper.case"], vec!["one@contoso.com"]),
            (vec!["with space"], vec!["two@contoso.com"]),
        ] {
            let given_names = given.clone();
            assert_eq!(expanded(&given).recipients, expected, "{given_names:?}");
        }
    }

    #[test]
    fn a_loop_ends_and_the_relay_decides_about_the_name() {
        assert_eq!(expanded(&["loop"]).recipients, ["loop"]);
    }

    #[test]
    fn programs_and_files_get_nothing_and_that_is_said() {
        let logs = expanded(&["logs"]);

        assert_eq!(logs.recipients, ["ops@contoso.com"]);
        assert_eq!(logs.problems.len(), 2, "{:?}", logs.problems);
        assert!(logs.problems[0].contains("|/usr/bin/logger -t, mail"));
    }

    #[test]
    fn nobody_is_a_recipient() {
        let expansion = expanded(&["nobody"]);

        assert!(expansion.discarded);
        assert!(expansion.recipients.is_empty() && expansion.problems.is_empty());
    }

    #[test]
    fn a_file_that_is_included_names_recipients_and_no_further_files() {
        let team = expanded(&["team"]);

        assert_eq!(
            team.recipients,
            ["one@contoso.com", "ada@contoso.com", "bob@contoso.com"]
        );
        assert_eq!(team.problems.len(), 1, "{:?}", team.problems);
    }

    #[test]
    fn lines_that_cannot_be_used_are_named() {
        let problems = Aliases::parse(FILE).problems;

        let lines: Vec<_> = problems
            .iter()
            .map(|it| it.split(':').next().unwrap())
            .collect();
        assert_eq!(lines, ["line 11", "line 11", "line 15", "line 16"]);
    }
}
