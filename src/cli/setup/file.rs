//! relay.toml with the answers: the manual itself, so that every other key is there with its
//! default.

use std::path::Path;

use super::answers::Answers;
use super::answers::Proof;

/// The manual.
const RELAY_TOML: &str = include_str!("../../../relay.toml");

/// The lines of the manual that the answers replace.
const TENANT: &str = "tenant = \"contoso.onmicrosoft.com\"";
const CLIENT_ID: &str = "client_id = \"22222222-2222-2222-2222-222222222222\"";
const SECRET_FILE: &str = "client_secret_file = \"/etc/graph-relay/client-secret\"";
const EXPIRES: &str = "# client_secret_expires = 2027-11-30";
const CERTIFICATE: &str = "# certificate_file = \"/etc/graph-relay/app.crt\"";
const KEY: &str = "# private_key_file = \"/etc/graph-relay/app.key\"";
const IDENTITY: &str = "# managed_identity = true";
const SIGN_IN: &str = "#sign_in = \"application\"";
const MAILBOX: &str = "mailbox = \"noreply@contoso.com\"";
const CLOUD: &str = "#cloud = \"global\"";
const LOGIN_URL: &str = "#login_url = \"https://login.microsoftonline.com\"";
const GRAPH_URL: &str = "#graph_url = \"https://graph.microsoft.com\"";
const LISTENER: &str = "#[[listener]]\n# IP address and port.";
const ADDRESS: &str = "#address = \"127.0.0.1:2525\"";
const ADMIN: &str = "#[admin]\n# An address for the admin page";
const PAGE: &str = "reach needs [tls].\n#address = \"off\"";
const NETWORKS: &str = "#networks = [\"127.0.0.0/8\", \"::1/128\"]";

pub(super) fn text(answers: &Answers) -> String {
    let string = |key: &str, value: &str| {
        let value = serde_json::Value::from(value);
        format!("{key} = {value}")
    };
    let off = |line: &str| format!("# {line}");
    let mut changes: Vec<(&str, String)> = vec![(MAILBOX, string("mailbox", &answers.mailbox))];
    match &answers.proof {
        Proof::ManagedIdentity => {}
        Proof::SecretFile(..) | Proof::Certificate(..) | Proof::Nothing => {
            changes.push((TENANT, string("tenant", &answers.tenant)));
            changes.push((CLIENT_ID, string("client_id", &answers.client_id)));
        }
    }
    match &answers.proof {
        Proof::SecretFile(path, expires) => {
            changes.push((
                SECRET_FILE,
                format!("client_secret_file = {}", quoted(path)),
            ));
            let expires = expires.as_ref();
            changes.extend(expires.map(|day| (EXPIRES, string("client_secret_expires", day))));
        }
        Proof::Certificate(certificate, key) => {
            changes.push((SECRET_FILE, off(SECRET_FILE)));
            changes.push((
                CERTIFICATE,
                format!("certificate_file = {}", quoted(certificate)),
            ));
            changes.push((KEY, format!("private_key_file = {}", quoted(key))));
        }
        Proof::ManagedIdentity => {
            changes.extend([TENANT, CLIENT_ID, SECRET_FILE].map(|line| (line, off(line))));
            changes.push((IDENTITY, "managed_identity = true".to_owned()));
        }
        Proof::Nothing => changes.push((SECRET_FILE, off(SECRET_FILE))),
    }
    if answers.delegated {
        changes.push((SIGN_IN, string("sign_in", "delegated")));
    }
    if answers.cloud != "global" {
        changes.push((CLOUD, string("cloud", &answers.cloud)));
    }
    let login_url = answers.login_url.as_ref();
    changes.extend(login_url.map(|url| (LOGIN_URL, string("login_url", url))));
    let graph_url = answers.graph_url.as_ref();
    changes.extend(graph_url.map(|url| (GRAPH_URL, string("graph_url", url))));
    changes.extend(listener(answers));
    if let Some(page) = &answers.page {
        changes.push((ADMIN, ADMIN.trim_start_matches('#').to_owned()));
        let address = string("address", page);
        changes.push((PAGE, format!("reach needs [tls].\n{address}")));
    }
    changes
        .into_iter()
        .fold(RELAY_TOML.to_owned(), |text, (line, new)| {
            text.replacen(line, &new, 1)
        })
}

/// The section for other machines.
fn listener(answers: &Answers) -> Vec<(&'static str, String)> {
    if answers.networks.is_empty() {
        return Vec::new();
    }
    let here = ["127.0.0.0/8", "::1/128"].map(str::to_owned);
    let others = answers.networks.iter().map(ToString::to_string);
    let networks: Vec<String> = here.into_iter().chain(others).collect();
    let networks = serde_json::Value::from(networks);
    vec![
        (LISTENER, "[[listener]]\n# IP address and port.".to_owned()),
        (ADDRESS, "address = \"0.0.0.0:2525\"".to_owned()),
        (NETWORKS, format!("networks = {networks}")),
    ]
}

/// Quotes a file name as a TOML string, for which JSON's quoting works.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.display().to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cloud;
    use crate::config::Config;
    use crate::config::Credential;
    use crate::config::SignIn;

    fn answers(proof: Proof) -> Answers {
        Answers {
            tenant: "fabrikam.com".to_owned(),
            client_id: "33333333-3333-3333-3333-333333333333".to_owned(),
            mailbox: "post@fabrikam.com".to_owned(),
            delegated: false,
            proof,
            networks: Vec::new(),
            cloud: "global".to_owned(),
            login_url: None,
            graph_url: None,
            page: None,
        }
    }

    fn config(answers: &Answers) -> Config {
        Config::parse(&text(answers), Path::new("relay.toml")).unwrap()
    }

    #[test]
    fn every_line_that_is_answered_stands_in_the_manual_once() {
        for line in [
            TENANT,
            CLIENT_ID,
            CERTIFICATE,
            KEY,
            IDENTITY,
            SIGN_IN,
            CLOUD,
            LISTENER,
            ADDRESS,
            ADMIN,
            PAGE,
            NETWORKS,
        ] {
            assert_eq!(RELAY_TOML.matches(line).count(), 1, "{line}");
        }
        for line in [SECRET_FILE, MAILBOX] {
            assert_eq!(
                RELAY_TOML.matches(&format!("\n{line}\n")).count(),
                1,
                "{line}"
            );
        }
    }

    #[test]
    fn the_answers_are_in_force_and_all_else_is_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "canary").unwrap();
        let mode = crate::platform::files::permissions(0o600);
        std::fs::set_permissions(&secret, mode).unwrap();
        let mut answers = answers(Proof::SecretFile(secret, Some("2027-11-30".to_owned())));
        answers.networks = vec!["192.0.2.0/24".parse().unwrap()];
        answers.cloud = "us-gov".to_owned();
        answers.page = Some("127.0.0.1:8125".to_owned());

        let config = config(&answers);
        let account = &config.accounts[0];
        assert_eq!(account.tenant, "fabrikam.com");
        assert_eq!(account.cloud, Cloud::UsGov);
        assert_eq!(account.sign_in, SignIn::Application);
        let Credential::Secret { expires, .. } = &account.credential else {
            panic!("{account:?}");
        };
        assert_eq!(expires.unwrap().rfc3339(), "2027-11-30T23:59:59Z");
        assert!(config.listeners[0].admits("192.0.2.9".parse().unwrap()));
        assert!(config.listeners[0].admits("127.0.0.1".parse().unwrap()));
        assert!(!config.listeners[0].admits("198.51.100.1".parse().unwrap()));
        let page = config.admin.page.unwrap().address;
        assert_eq!(page, "127.0.0.1:8125".parse().unwrap());
    }

    #[test]
    fn an_identity_needs_no_app_and_a_public_client_no_credential() {
        let identity = config(&answers(Proof::ManagedIdentity));
        let credential = &identity.accounts[0].credential;
        assert_eq!(*credential, Credential::ManagedIdentity(None));
        assert_eq!(identity.accounts[0].tenant, "");

        let mut public = answers(Proof::Nothing);
        public.delegated = true;
        let public = config(&public);
        assert_eq!(public.accounts[0].credential, Credential::Nothing);
        assert_eq!(public.accounts[0].sign_in, SignIn::Delegated);
    }
}
