//! Which fields of the form an environment variable decides: what relay.toml says there has no
//! effect.

use crate::config::Origin;

/// The fields of the form with the keys behind them, of `[[account]]` and of `[[listener]]`.
const KEYS: [(&str, &str, &[&str]); 10] = [
    ("sign_in", "ACCOUNT", &["SIGN_IN"]),
    ("tenant", "ACCOUNT", &["TENANT"]),
    ("client_id", "ACCOUNT", &["CLIENT_ID"]),
    (
        "secret",
        "ACCOUNT",
        &[
            "CLIENT_SECRET",
            "CLIENT_SECRET_ENV",
            "CLIENT_SECRET_CREDENTIAL",
            // Another credential in its place; the page cannot set a secret beside it.
            "CERTIFICATE",
            "PRIVATE_KEY",
            "MANAGED_IDENTITY",
            "FEDERATED_TOKEN",
        ],
    ),
    ("expires", "ACCOUNT", &["CLIENT_SECRET_EXPIRES"]),
    ("mailbox", "ACCOUNT", &["MAILBOX"]),
    ("cloud", "ACCOUNT", &["CLOUD"]),
    ("login_url", "ACCOUNT", &["LOGIN_URL"]),
    ("graph_url", "ACCOUNT", &["GRAPH_URL"]),
    ("networks", "LISTENER", &["ADDRESS", "NETWORKS"]),
];

/// The fields of the account with this number that variables set, with their names.
pub(super) fn all(origin: &Origin, account: usize) -> Vec<(&'static str, String)> {
    let set = |(field, section, keys): &(&'static str, &str, &[&str])| {
        let number = if *section == "ACCOUNT" { account } else { 0 };
        let mut variables = origin.variables.iter();
        let found = variables.find(|it| is_one(&it.name, section, number, keys))?;
        Some((*field, found.name.clone()))
    };
    KEYS.iter().filter_map(set).collect()
}

/// The variable for a field.
pub(super) fn of<'a>(field: &str, variables: &'a [(&'static str, String)]) -> Option<&'a str> {
    let found = variables.iter().find(|(known, _)| *known == field);
    found.map(|(_, name)| name.as_str())
}

/// Whether a variable sets one of these keys: `GRAPH_RELAY__ACCOUNT__0__TENANT`. The number of
/// the first section may be left out, and a name may end in `_FILE`.
fn is_one(name: &str, section: &str, number: usize, keys: &[&str]) -> bool {
    let name = name.to_ascii_uppercase();
    let mut parts = name.split("__").skip(1).peekable();
    if parts.next() != Some(section) {
        return false;
    }
    let written = parts.peek().and_then(|part| part.parse::<usize>().ok());
    if written.is_some() {
        parts.next();
    }
    let key = parts.next().unwrap_or_default();
    let key = key.strip_suffix("_FILE").unwrap_or(key);
    written.unwrap_or(0) == number && keys.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FromVariable;

    /// The variable for the secret, where only this one is set.
    fn of_secret(name: &str) -> Option<String> {
        let variable = FromVariable {
            name: name.to_owned(),
            file: None,
            replaces: None,
        };
        let origin = Origin {
            variables: vec![variable],
            ..Origin::default()
        };
        of("secret", &all(&origin, 0)).map(str::to_owned)
    }

    #[test]
    fn a_credential_of_any_kind_in_a_variable_decides_about_the_secret() {
        for key in [
            "CLIENT_SECRET_FILE",
            "CLIENT_SECRET_ENV",
            "CERTIFICATE_FILE",
            "PRIVATE_KEY_FILE",
            "MANAGED_IDENTITY",
            "FEDERATED_TOKEN_FILE",
        ] {
            let name = format!("GRAPH_RELAY__ACCOUNT__0__{key}");

            assert_eq!(of_secret(&name), Some(name), "{key}");
        }
        assert_eq!(of_secret("GRAPH_RELAY__ACCOUNT__TENANT"), None);
    }

    #[test]
    fn a_variable_is_found_with_and_without_number_and_as_a_file() {
        let tenant = |name: &str, number| is_one(name, "ACCOUNT", number, &["TENANT"]);

        assert!(tenant("GRAPH_RELAY__ACCOUNT__TENANT", 0));
        assert!(tenant("GRAPH_RELAY__ACCOUNT__0__TENANT_FILE", 0));
        assert!(tenant("GRAPH_RELAY__account__1__tenant", 1));
        assert!(!tenant("GRAPH_RELAY__ACCOUNT__TENANT", 1));
        assert!(!tenant("GRAPH_RELAY__ACCOUNT__CLIENT_ID", 0));
        assert!(!tenant("GRAPH_RELAY__LISTENER__TENANT", 0));
    }
}
