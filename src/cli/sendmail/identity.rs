//! Who calls: the address of this process's user on this machine.

use std::path::Path;

use crate::mail::Address;
use crate::platform::system;
use crate::platform::users::User;

/// Where Debian keeps the domain of mail that comes from this machine (mailname(5)).
const MAILNAME: &str = "/etc/mailname";

/// The user and its machine.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    user: String,
    /// The name of the machine.
    pub(super) host: String,
    /// The domain of addresses without one.
    domain: String,
}

impl Identity {
    pub(super) fn of_this_process() -> Self {
        let host = system::hostname();
        let host = match format!("root@{host}").parse::<Address>() {
            Ok(_) => host,
            Err(_) => "localhost".to_owned(),
        };
        Self {
            user: User::of_this_process().name,
            domain: mailname(Path::new(MAILNAME)).unwrap_or_else(|| host.clone()),
            host,
        }
    }

    /// The address of a name on this machine.
    pub(super) fn at_home(&self, name: &str) -> String {
        format!("{name}@{}", self.domain)
    }

    /// The user's own address.
    pub(super) fn address(&self) -> String {
        self.at_home(&self.user)
    }

    /// Whether mail to this domain is for users of this machine.
    pub(super) fn is_local(&self, domain: &str) -> bool {
        let names = [self.host.as_str(), "localhost", "localhost.localdomain"];
        names.iter().any(|name| name.eq_ignore_ascii_case(domain))
    }
}

fn mailname(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let name = text.lines().next()?.trim().to_owned();
    format!("root@{name}")
        .parse::<Address>()
        .is_ok()
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailname_is_a_domain_or_nothing() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("mailname");

        assert_eq!(mailname(&path), None);
        for (text, expected) in [
            ("contoso.com\n", Some("contoso.com")),
            ("web01\n", Some("web01")),
            ("", None),
            ("two words\n", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(mailname(&path).as_deref(), expected, "{text:?}");
        }
    }
}
