//! Who receives a message addressed to a name, or to a domain that no mail can reach:
//! `[aliases]`, `default_recipient_domain` and `internal_domains` of relay.toml.
//!
//! The first rule that matches decides:
//!
//! 1. an alias for the whole address;
//! 2. an alias for the name, if the recipient has no domain, or one that no mail
//!    can reach (`root@nas.local`), or this relay's own host name;
//! 3. an alias for the domain (`@nas.local`);
//! 4. a name without a domain gets the default one, and 1 to 3 hold for the result;
//! 5. `Postmaster` without a domain, which RFC 5321 4.5.1 requires to be accepted: the
//!    address that relay.toml names for reports, or the sending mailbox;
//! 6. an address that mail can reach: itself.
//!
//! All other recipients are refused. Aliases are resolved when the configuration is read,
//! so the aliases here have no loops and lead to addresses that mail can reach.

mod follow;
mod unreachable;

use std::collections::HashMap;

use self::follow::Follower;
pub use self::unreachable::Unreachable;
use super::Address;
use super::ForwardPath;

/// How many aliases may follow one another.
pub const MOST_STEPS: usize = 50;

/// The recipients that an alias matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AliasKey {
    /// A name: alone, and with a domain that no mail can reach.
    Name(String),
    /// One address, as [`Address::key`].
    Address(String),
    /// Every address of a domain.
    Domain(String),
}

impl AliasKey {
    /// Reads `root`, `root@nas.local` or `@nas.local`. A `*` has no meaning here: addresses may have
    /// one, but nobody means it literally.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('*') {
            return None;
        }
        if let Some(domain) = text.strip_prefix('@') {
            return Some(Self::Domain(Address::of_domain(domain)?.domain_key()));
        }
        match text.parse().ok()? {
            ForwardPath::Address(address) => Some(Self::Address(address.key())),
            ForwardPath::Name(name) => Some(Self::Name(name.to_ascii_lowercase())),
        }
    }
}

/// The addresses of aliases whose targets are complete, and the settings for those that
/// are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// This relay's own name.
    pub hostname: String,
    /// The domain that is added to a name without one.
    pub default_domain: Option<String>,
    /// Domains that are not public and that Exchange accepts all the same, in the form of
    /// [`Address::key`].
    pub internal_domains: Vec<String>,
    /// Who receives mail for `Postmaster` without a domain.
    pub postmaster: Option<Address>,
}

/// Resolved aliases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases {
    ends: HashMap<AliasKey, Vec<Address>>,
    surroundings: Surroundings,
}

/// Why an alias is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// It leads in a circle.
    #[error("it leads in a circle: {0}")]
    Loop(String),
    /// It leads through too many others.
    #[error("it leads through more than {MOST_STEPS} other aliases: let it name the addresses")]
    TooLong,
    /// It leads through an alias without targets, or is one.
    #[error("it leads to an alias without targets")]
    NoTarget,
    /// It leads to something that is neither an alias nor a complete address.
    #[error("{0:?} is neither another alias nor a whole address like \"it@contoso.com\"")]
    NoSuchName(String),
    /// It leads to an address that no mail can reach.
    #[error(
        "no mail can reach {0}: write an address whose domain is public, or name its domain in \
         internal_domains if Exchange accepts it"
    )]
    Unreachable(Address),
    /// It leads to an address that needs quotes, or has an address literal.
    #[error(
        "no mail can reach {0}: Exchange Online supports neither quoted names nor address literals"
    )]
    Odd(Address),
}

impl Aliases {
    /// Resolves every alias.
    ///
    /// # Errors
    ///
    /// Each error has the position of its entry. Without these entries all others are valid: none
    /// leads to one that is not.
    pub fn new(
        entries: &[(AliasKey, Vec<ForwardPath>)],
        surroundings: Surroundings,
    ) -> Result<Self, Vec<(usize, AliasError)>> {
        let follower = Follower::new(entries, &surroundings);
        let errors = follower.errors();
        if !errors.is_empty() {
            return Err(errors);
        }
        let all = entries.iter().enumerate();
        let ends = all.map(|(at, (key, _))| (key.clone(), follower.addresses(at)));
        Ok(Self {
            ends: ends.collect(),
            surroundings,
        })
    }

    /// Returns the errors of [`Self::new`], without the addresses, of which there may be many for
    /// each alias.
    pub fn check(
        entries: &[(AliasKey, Vec<ForwardPath>)],
        surroundings: &Surroundings,
    ) -> Vec<(usize, AliasError)> {
        Follower::new(entries, surroundings).errors()
    }

    /// Who receives mail for this recipient: at least one address, each once.
    ///
    /// # Errors
    ///
    /// Why nobody does.
    pub fn resolve(&self, path: &ForwardPath) -> Result<Vec<Address>, Unreachable> {
        let surroundings = &self.surroundings;
        let find = |path: &ForwardPath| {
            let keys = surroundings.keys(path);
            keys.iter().find_map(|key| self.ends.get(key)).cloned()
        };
        if let Some(ends) = find(path) {
            return Ok(ends);
        }
        let address = match path {
            ForwardPath::Address(address) => address.unquoted(),
            ForwardPath::Name(name) => match surroundings.completed(name) {
                Some(address) => {
                    let path = ForwardPath::Address(address.clone());
                    if let Some(ends) = find(&path) {
                        return Ok(ends);
                    }
                    address
                }
                None => {
                    let postmaster = surroundings.postmaster.as_ref();
                    let postmaster = postmaster.filter(|_| is_postmaster(name));
                    return match postmaster {
                        Some(address) => Ok(vec![address.clone()]),
                        None => Err(Unreachable::NoDomain),
                    };
                }
            },
        };
        surroundings.reaches(&address)?;
        Ok(vec![address])
    }

    /// The most addresses that one alias leads to.
    pub fn widest(&self) -> usize {
        self.ends.values().map(Vec::len).max().unwrap_or(0)
    }
}

impl Surroundings {
    /// The keys of the matching aliases, the one that counts first.
    fn keys(&self, path: &ForwardPath) -> Vec<AliasKey> {
        let key = path.key();
        match path {
            ForwardPath::Name(_) => vec![AliasKey::Name(key)],
            ForwardPath::Address(address) => {
                let (name, domain) = match key.rsplit_once('@') {
                    Some((name, domain)) => (name.to_owned(), domain.to_owned()),
                    None => (key.clone(), String::new()),
                };
                let is_own = domain.eq_ignore_ascii_case(&self.hostname);
                let mut keys = vec![AliasKey::Address(key)];
                if is_own || self.reaches(address).is_err() {
                    keys.push(AliasKey::Name(name));
                }
                keys.push(AliasKey::Domain(domain));
                keys
            }
        }
    }

    /// A name with the default domain, if there is one.
    fn completed(&self, name: &str) -> Option<Address> {
        let domain = self.default_domain.as_ref()?;
        format!("{name}@{domain}").parse().ok()
    }

    /// Checks whether mail can reach an address.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn reaches(&self, address: &Address) -> Result<(), Unreachable> {
        if !address.unquoted().is_plain() {
            return Err(Unreachable::Odd);
        }
        let key = address.key();
        let domain = key.rsplit_once('@').map_or("", |(_, domain)| domain);
        let is_internal = self.internal_domains.iter().any(|it| it == domain);
        match is_internal || address.is_routable() {
            true => Ok(()),
            false => Err(Unreachable::Domain),
        }
    }
}

fn is_postmaster(name: &str) -> bool {
    name.eq_ignore_ascii_case("postmaster")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings() -> Surroundings {
        Surroundings {
            hostname: "relay.contoso.com".to_owned(),
            ..Surroundings::default()
        }
    }

    fn key(text: &str) -> AliasKey {
        AliasKey::parse(text).unwrap()
    }

    fn aliases(
        entries: &[(&str, &[&str])],
        surroundings: Surroundings,
    ) -> Result<Aliases, Vec<(usize, AliasError)>> {
        let entries = entries.iter().map(|(from, to)| {
            let to = to.iter().map(|to| to.parse().unwrap());
            (key(from), to.collect())
        });
        Aliases::new(&entries.collect::<Vec<_>>(), surroundings)
    }

    fn resolved(aliases: &Aliases, path: &str) -> Result<Vec<String>, Unreachable> {
        let ends = aliases.resolve(&path.parse().unwrap())?;
        Ok(ends.into_iter().map(String::from).collect())
    }

    #[test]
    fn the_most_exact_alias_says_where_mail_goes() {
        let aliases = aliases(
            &[
                ("root", &["it@contoso.com"]),
                ("root@nas.local", &["nas@contoso.com", "it@contoso.com"]),
                ("@nas.local", &["all@contoso.com"]),
                ("sales@contoso.com", &["shop@fabrikam.com"]),
                ("@old.example", &["new@contoso.com"]),
            ],
            surroundings(),
        )
        .unwrap();

        for (path, expected) in [
            ("root", &["it@contoso.com"][..]),
            ("ROOT", &["it@contoso.com"]),
            ("root@web01", &["it@contoso.com"]),
            ("Root@LocalHost", &["it@contoso.com"]),
            ("root@[192.0.2.1]", &["it@contoso.com"]),
            ("\"root\"@web01.lan", &["it@contoso.com"]),
            ("root@relay.contoso.com", &["it@contoso.com"]),
            ("Root@NAS.local", &["nas@contoso.com", "it@contoso.com"]),
            ("backup@nas.local", &["all@contoso.com"]),
            ("Sales@Contoso.com", &["shop@fabrikam.com"]),
            ("anybody@old.example", &["new@contoso.com"]),
            // It is somebody's mailbox, so the alias of the name does not match.
            ("root@contoso.com", &["root@contoso.com"]),
            ("Anna@Contoso.com", &["Anna@Contoso.com"]),
        ] {
            assert_eq!(resolved(&aliases, path).unwrap(), expected, "{path}");
        }
        for (path, why) in [
            ("backup", Unreachable::NoDomain),
            ("postmaster", Unreachable::NoDomain),
            ("backup@web01", Unreachable::Domain),
            ("backup@web01.home.arpa", Unreachable::Domain),
            ("backup@192.168.1.5", Unreachable::Domain),
            ("backup@[192.0.2.1]", Unreachable::Odd),
            ("\"a b\"@contoso.com", Unreachable::Odd),
        ] {
            assert_eq!(resolved(&aliases, path), Err(why), "{path}");
        }
    }

    #[test]
    fn a_key_with_an_asterisk_is_refused() {
        for text in ["*", "a*", "*@contoso.com", "@*.contoso.com"] {
            assert_eq!(AliasKey::parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_get_the_default_domain_and_an_alias_goes_before_it() {
        let aliases = aliases(
            &[
                ("root", &["it@contoso.com"]),
                ("cron@contoso.com", &["logs@contoso.com"]),
            ],
            Surroundings {
                default_domain: Some("contoso.com".to_owned()),
                postmaster: Some("relay@contoso.com".parse().unwrap()),
                ..surroundings()
            },
        )
        .unwrap();

        for (path, expected) in [
            ("root", "it@contoso.com"),
            ("anna", "anna@contoso.com"),
            ("cron", "logs@contoso.com"),
            ("postmaster", "postmaster@contoso.com"),
        ] {
            assert_eq!(resolved(&aliases, path).unwrap(), [expected], "{path}");
        }
        assert_eq!(resolved(&aliases, "anna@nas"), Err(Unreachable::Domain));
    }

    #[test]
    fn postmaster_is_accepted_and_internal_domains_are_reached() {
        let aliases = aliases(
            &[],
            Surroundings {
                internal_domains: vec!["corp.local".to_owned()],
                postmaster: Some("relay@contoso.com".parse().unwrap()),
                ..surroundings()
            },
        )
        .unwrap();

        assert_eq!(
            resolved(&aliases, "PostMaster").unwrap(),
            ["relay@contoso.com"]
        );
        assert_eq!(
            resolved(&aliases, "a@Corp.local").unwrap(),
            ["a@Corp.local"]
        );
        assert_eq!(
            resolved(&aliases, "a@sub.corp.local"),
            Err(Unreachable::Domain)
        );
        assert_eq!(
            resolved(&aliases, "postmaster@nas.local"),
            Err(Unreachable::Domain)
        );
    }

    #[test]
    fn chains_are_followed_and_each_end_comes_once() {
        let aliases = aliases(
            &[
                ("postmaster", &["root"]),
                ("root", &["it@contoso.com", "anna@contoso.com"]),
                (
                    "team",
                    &["postmaster", "root", "Anna@Contoso.com", "b@contoso.com"],
                ),
                (
                    "boss@contoso.com",
                    &["boss@contoso.com", "copy@contoso.com"],
                ),
                ("@fabrikam.com", &["all@fabrikam.com"]),
            ],
            surroundings(),
        )
        .unwrap();

        let both = ["it@contoso.com", "anna@contoso.com"];
        assert_eq!(resolved(&aliases, "postmaster").unwrap(), both);
        assert_eq!(
            resolved(&aliases, "team@localhost").unwrap(),
            ["it@contoso.com", "anna@contoso.com", "b@contoso.com"]
        );
        assert_eq!(
            resolved(&aliases, "boss@contoso.com").unwrap(),
            ["boss@contoso.com", "copy@contoso.com"]
        );
        assert_eq!(
            resolved(&aliases, "x@fabrikam.com").unwrap(),
            ["all@fabrikam.com"]
        );
        assert_eq!(aliases.widest(), 3);
    }

    #[test]
    fn a_chain_has_an_end_and_one_that_is_too_long_is_refused_without_following_it() {
        let names: Vec<String> = (0..5_000).map(|at| format!("a{at}@contoso.com")).collect();
        let pairs = names.windows(2).map(|pair| match pair {
            [from, to] => (key(from), vec![to.parse().unwrap()]),
            _ => unreachable!(),
        });
        let entries: Vec<_> = pairs.collect();

        let errors = Aliases::new(&entries, surroundings()).unwrap_err();

        assert_eq!(errors.len(), entries.len() - MOST_STEPS - 1);
        assert!(
            errors
                .iter()
                .all(|(_, error)| *error == AliasError::TooLong)
        );
        let good = entries.get(errors.len()..).unwrap();
        assert!(Aliases::new(good, surroundings()).is_ok());
    }

    #[test]
    fn twenty_thousand_targets_of_one_alias_are_read_and_each_counts_once() {
        let all = (0..20_000).map(|at| format!("a{}@contoso.com", at % 10_000).parse().unwrap());
        let entries = [(key("all"), all.collect())];

        let aliases = Aliases::new(&entries, surroundings()).unwrap();

        assert_eq!(aliases.widest(), 10_000);
    }

    #[test]
    fn an_alias_without_targets_spoils_those_that_lead_to_it_and_no_others() {
        let entries = [
            (key("program"), vec![]),
            (key("root"), vec!["program".parse().unwrap()]),
            (key("it"), vec!["it@contoso.com".parse().unwrap()]),
        ];

        let errors = Aliases::new(&entries, surroundings()).unwrap_err();

        let expected = [(0, AliasError::NoTarget), (1, AliasError::NoTarget)];
        assert_eq!(errors, expected);
    }

    #[test]
    fn an_alias_that_ends_nowhere_is_an_error_of_its_own() {
        let errors = aliases(
            &[
                ("a", &["b"]),
                ("b", &["c@nas.local"]),
                ("c", &["it@contoso.com", "a"]),
                ("self", &["self"]),
                ("root", &["nobody"]),
                ("nas", &["root@nas.lan"]),
                ("good", &["it@contoso.com"]),
            ],
            surroundings(),
        )
        .unwrap_err();

        let said = errors.iter().map(|(at, error)| (*at, error.to_string()));
        let said: Vec<_> = said.collect();
        let expected = [
            (0, "it leads in a circle: a, then b, then c, then a"),
            (1, "it leads in a circle: b, then c, then a, then b"),
            (2, "it leads in a circle: c, then a, then b, then c"),
            (3, "it leads in a circle: self, then self"),
            (4, "\"nobody\" is neither another alias nor a whole address"),
            (5, "\"nobody\" is neither another alias nor a whole address"),
        ];
        assert_eq!(said.len(), expected.len());
        for ((at, said), (place, expected)) in said.iter().zip(expected) {
            assert!(*at == place && said.starts_with(expected), "{at} {said}");
        }
    }
}
