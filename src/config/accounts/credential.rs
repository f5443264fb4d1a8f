//! The keys of `[[account]]` that say how the relay authenticates to Entra: its credential,
//! and whether it acts as an app or for users who have signed in.
//!
//! The credential is read for every token request, so a changed file is used for the next
//! token without a restart.

use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;

use crate::clock::Timestamp;
use crate::config::ProblemKind;
use crate::config::reader::Marked;
use crate::config::reader::Secret;
use crate::config::reader::Section;
use crate::config::units::Day;
use crate::credentials;
use crate::credentials::CertificateFiles;
use crate::credentials::SecretSource;
use crate::credentials::is_out_of_reach;

/// A credential for Entra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The client secret's value.
    Secret {
        /// Where the secret is stored.
        source: SecretSource,
        /// The expiry date, if relay.toml has it.
        expires: Option<Timestamp>,
    },
    /// An assertion signed with a certificate's key.
    Certificate(CertificateFiles),
    /// The machine's own identity in Azure: the only one, or the one with this client ID.
    ManagedIdentity(Option<String>),
    /// The token of another issuer, from this file (workload identity federation).
    FederatedToken(PathBuf),
    /// None: a public client, for delegated sign-in only.
    Nothing,
}

/// For whom the relay sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignIn {
    /// As the app, for every mailbox that it may send from (client credentials).
    Application,
    /// For each mailbox that has signed in once.
    Delegated,
}

impl Credential {
    /// Returns its name, in an administrator's words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "client secret",
            Self::Certificate(_) => "certificate",
            Self::ManagedIdentity(_) => "managed identity",
            Self::FederatedToken(_) => "federated token",
            Self::Nothing => "public client",
        }
    }

    /// Whether this process can read it: not if systemd gives it to the service only.
    pub fn is_readable_here(&self) -> bool {
        match self {
            Self::Secret { source, .. } => source.is_readable_here(),
            Self::Certificate(files) => !is_out_of_reach(&files.private_key_file),
            Self::FederatedToken(path) => !is_out_of_reach(path),
            Self::ManagedIdentity(_) | Self::Nothing => true,
        }
    }

    /// Whether this credential needs a tenant and a client ID.
    pub(in crate::config) fn names_an_app(&self) -> bool {
        !matches!(self, Self::ManagedIdentity(_))
    }
}

pub(in crate::config) fn read(section: &mut Section<'_>, sign_in: SignIn) -> Option<Credential> {
    let mut found: Vec<Credential> = Vec::new();
    found.extend(client_secret(section));
    found.extend(certificate(section));
    found.extend(managed_identity(section, sign_in));
    found.extend(federated_token(section));
    if found.len() > 1 {
        let names: Vec<_> = found.iter().map(Credential::name).collect();
        section.problem(format!(
            "the [[account]] has more than one credential ({}): keep only one",
            names.join(", ")
        ));
    }
    if let Some(credential) = found.pop() {
        return Some(credential);
    }
    match sign_in {
        SignIn::Delegated => Some(Credential::Nothing),
        SignIn::Application if names_one(section) => None,
        SignIn::Application => {
            section.problem(
                "[[account]] needs its client secret: client_secret_file = \
                 \"/etc/graph-relay/client-secret\"; or certificate_file with private_key_file, \
                 managed_identity, or federated_token_file",
            );
            None
        }
    }
}

const KEYS: [&str; 8] = [
    "client_secret",
    "client_secret_file",
    "client_secret_env",
    "client_secret_credential",
    "certificate_file",
    "private_key_file",
    "managed_identity",
    "federated_token_file",
];

/// Whether the file tries to name one, which has its own problem then.
fn names_one(section: &Section<'_>) -> bool {
    KEYS.iter().any(|key| section.has(key))
}

/// A secret must not be in a file that others read, back up and send around. An environment
/// variable may have it: it is then read as with `client_secret_env`.
fn written_out(section: &mut Section<'_>) -> Option<Marked<SecretSource>> {
    match section.secret("client_secret")? {
        Secret::InVariable(name) => Some(name.map(SecretSource::Environment)),
        Secret::InFile(span) => {
            let message = "client_secret: the secret itself must not be in this file. Put it into a \
                           separate file (chmod 600) and name that file: client_secret_file = \
                           \"/etc/graph-relay/client-secret\"";
            section.problem_at(&span, message);
            None
        }
    }
}

fn client_secret(section: &mut Section<'_>) -> Option<Credential> {
    let written = written_out(section);
    let file = section.marked::<PathBuf>("client_secret_file");
    let environment = section.marked::<String>("client_secret_env");
    let credential = section.marked::<String>("client_secret_credential");
    let expires = section.marked::<Day>("client_secret_expires");
    let mut sources: Vec<Marked<SecretSource>> = written.into_iter().collect();
    sources.extend(file.map(|m| m.map(SecretSource::File)));
    sources.extend(environment.map(|m| m.map(SecretSource::Environment)));
    sources.extend(credential.map(|m| m.map(SecretSource::Credential)));
    if sources.len() > 1 {
        section.problem(
            "the client secret is set more than once: keep only one of client_secret_file, \
             client_secret_env and client_secret_credential",
        );
    }
    let Some(source) = sources.pop() else {
        if let Some(expires) = expires {
            let message = "client_secret_expires: this [[account]] has no client secret: remove the \
                           date, or add the secret";
            section.problem_at(&expires.span, message);
        }
        return None;
    };
    if let Some(message) = misplaced(section, &source) {
        section.problem_at(&source.span, message);
        return None;
    }
    // A credential can only be read by the service that systemd gives it to.
    let can_test = match &source.value {
        SecretSource::File(path) => section.can_test(&source.span, &[path]),
        SecretSource::Environment(_) | SecretSource::Credential(_) => {
            source.value.is_readable_here()
        }
    };
    if can_test {
        match source.value.read() {
            Err(error) => {
                let message = format!("client secret: {error}");
                section.problem_of_file(
                    &source.span,
                    ProblemKind::of_file(error.is_unreadable()),
                    message,
                );
            }
            Ok(secret) if is_guid(&secret) => section.warning_at(
                &source.span,
                "client secret: this looks like the Secret ID (a GUID); the relay needs the text in \
                 the column Value, which Entra shows only once: create a new secret and copy its \
                 Value",
            ),
            Ok(_) => {}
        }
    }
    Some(Credential::Secret {
        source: source.value,
        expires: expires.map(|day| day.value.0),
    })
}

/// Returns what to say about a name or a path that is probably the secret itself, which then
/// must not be shown.
fn misplaced(section: &Section<'_>, source: &Marked<SecretSource>) -> Option<&'static str> {
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters.all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty()
    };
    match &source.value {
        SecretSource::Environment(name) if !is_name(name) && std::env::var_os(name).is_none() => {
            Some(
                "client_secret_env: write the name of the environment variable that contains the \
             secret, not the secret",
            )
        }
        SecretSource::File(path) if section.is_in_variable(&source.span) && !path.is_absolute() => {
            Some(
                "client_secret_file: write the path of a file, from the root, like \
                 /run/secrets/client-secret: the variable names the file with the secret",
            )
        }
        SecretSource::File(_) | SecretSource::Environment(_) | SecretSource::Credential(_) => None,
    }
}

/// Whether it has the form of the Secret ID; no secret's value has it.
fn is_guid(secret: &secrecy::SecretString) -> bool {
    uuid::Uuid::try_parse(secrecy::ExposeSecret::expose_secret(secret).trim()).is_ok()
}

fn certificate(section: &mut Section<'_>) -> Option<Credential> {
    let certificate = section.marked::<PathBuf>("certificate_file");
    let key = section.marked::<PathBuf>("private_key_file");
    let (certificate, key) = match (certificate, key) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => {
            section.problem("certificate_file needs private_key_file as well");
            return None;
        }
        (None, Some(_)) => {
            section.problem("private_key_file needs certificate_file as well");
            return None;
        }
    };
    let files = CertificateFiles {
        certificate_file: certificate.value,
        private_key_file: key.value,
    };
    let both: [&Path; 2] = [&files.certificate_file, &files.private_key_file];
    if !section.can_test(&certificate.span, &both) {
        return Some(Credential::Certificate(files));
    }
    let (pair, wrong) = files.test();
    for (path, error) in wrong {
        let span = match path == files.certificate_file {
            true => &certificate.span,
            false => &key.span,
        };
        let kind = ProblemKind::of_file(error.is_unreadable());
        section.problem_of_file(span, kind, format!("certificate: {error}"));
    }
    // Entra page "Microsoft identity platform application authentication certificate
    // credentials".
    if pair.is_some_and(|pair| pair.key.algorithm() != rustls::SignatureAlgorithm::RSA) {
        section.problem_at(
            &key.span,
            "private_key_file: Entra accepts only RSA keys: create a certificate with an RSA key of \
             2048 bits or more (openssl req -x509 -newkey rsa:2048 -nodes ...)",
        );
    }
    Some(Credential::Certificate(files))
}

fn managed_identity(section: &mut Section<'_>, sign_in: SignIn) -> Option<Credential> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "write true, or the client ID of a user-assigned identity in quotes"
    )]
    enum Written {
        Switch(bool),
        ClientId(String),
    }
    let marked = section.marked::<Written>("managed_identity")?;
    if sign_in == SignIn::Delegated {
        let message = "managed_identity: with sign_in = \"delegated\", people sign in to an app \
                       registration, and a managed identity is not one: set client_id instead, and \
                       a client secret unless the app allows public client flows";
        section.problem_at(&marked.span, message);
    }
    match marked.value {
        Written::Switch(false) => None,
        Written::Switch(true) => Some(Credential::ManagedIdentity(None)),
        Written::ClientId(id) => {
            if uuid::Uuid::try_parse(&id).is_err() {
                let message = "managed_identity: write true, or the client ID of a user-assigned \
                               identity";
                section.problem_at(&marked.span, message);
            }
            Some(Credential::ManagedIdentity(Some(id)))
        }
    }
}

fn federated_token(section: &mut Section<'_>) -> Option<Credential> {
    let marked = section.marked::<PathBuf>("federated_token_file")?;
    if section.can_test(&marked.span, &[&marked.value])
        && let Err(error) = credentials::open(&marked.value)
    {
        let message = format!("federated_token_file: {}", error.words(&marked.value));
        let kind = ProblemKind::of_file(error.is_unreadable());
        section.problem_of_file(&marked.span, kind, message);
    }
    Some(Credential::FederatedToken(marked.value))
}
