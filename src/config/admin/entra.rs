//! `[admin.entra]`: who may log in to the admin page with Entra.

use uuid::Uuid;

use crate::config::Account;
use crate::config::Credential;
use crate::config::reader::Marked;
use crate::config::reader::Section;

/// Who may log in with Entra, by the app of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntraLogIn {
    /// The account whose app it is.
    pub account: String,
    /// Who looks.
    pub viewers: Vec<Person>,
    /// Who acts on mail too.
    pub operators: Vec<Person>,
    /// Who changes the configuration too.
    pub administrators: Vec<Person>,
}

/// A user, or a group of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Person {
    /// A user of the tenant, by the user principal name.
    Name(String),
    /// A user or a group, by the object ID.
    Id(Uuid),
}

/// Names in the place of a tenant that are not one tenant.
const SHARED: [&str; 3] = ["common", "organizations", "consumers"];

/// Reads the section. `accounts`: those of the file, if they were read.
pub(super) fn read(admin: &mut Section<'_>, accounts: Option<&[Account]>) -> Option<EntraLogIn> {
    if !admin.has("entra") {
        return None;
    }
    let mut section = admin.table("entra");
    let named = section.marked::<String>("account");
    let entra = EntraLogIn {
        viewers: people(&mut section, "viewers"),
        operators: people(&mut section, "operators"),
        administrators: people(&mut section, "administrators"),
        account: named
            .as_ref()
            .map_or_else(String::new, |it| it.value.clone()),
    };
    if entra.viewers.is_empty() && entra.operators.is_empty() && entra.administrators.is_empty() {
        section.problem(
            "[admin.entra] lets nobody log in: name users or groups in administrators, operators \
             or viewers",
        );
    }
    let account = accounts.map(|accounts| account(&section, named.as_ref(), accounts));
    section.finish();
    let account = account.unwrap_or_else(|| Some(entra.account.clone()))?;
    Some(EntraLogIn { account, ..entra })
}

/// The account whose app is used, if it can be.
fn account(
    section: &Section<'_>,
    named: Option<&Marked<String>>,
    accounts: &[Account],
) -> Option<String> {
    let found = match named {
        Some(named) => accounts.iter().find(|account| account.name == named.value),
        None => accounts.first(),
    };
    let problem = match found {
        None if named.is_some() => "account: no [[account]] has this name",
        // There is a problem already.
        None => return None,
        Some(account) if matches!(account.credential, Credential::ManagedIdentity(_)) => {
            "[admin.entra] needs an [[account]] with the app's client_id: nobody can log in with a \
             managed identity"
        }
        Some(account) if SHARED.contains(&account.tenant.to_ascii_lowercase().as_str()) => {
            "[admin.entra] needs an [[account]] that names one tenant: users of every tenant could \
             log in"
        }
        Some(account) => return Some(account.name.clone()),
    };
    match named {
        Some(named) => section.problem_at(&named.span, problem),
        None => section.problem(problem),
    }
    None
}

fn people(section: &mut Section<'_>, key: &'static str) -> Vec<Person> {
    let Some(Marked { value, span }) = section.marked::<Vec<String>>(key) else {
        return Vec::new();
    };
    let mut people = Vec::new();
    for text in value {
        if let Ok(id) = Uuid::try_parse(&text) {
            people.push(Person::Id(id));
        } else if text.contains('@') && !text.contains(char::is_whitespace) {
            people.push(Person::Name(text));
        } else {
            section.problem_at(
                &span,
                format!(
                    "{key}: {text:?} is no user and no group: write user principal names, like \
                     \"anna@contoso.com\", or object IDs of users or groups"
                ),
            );
        }
    }
    people
}
