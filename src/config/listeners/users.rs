//! The keys of `[[user]]`: the users who may authenticate to a listener.

use crate::config::Account;
use crate::config::User;
use crate::config::aliases;
use crate::config::reader::Section;
use crate::credentials::PasswordHash;
use crate::mail::Pattern;
use crate::mail::Surroundings;

pub(in crate::config) fn read(
    top: &mut Section<'_>,
    accounts: &[Account],
    surroundings: &Surroundings,
) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for mut section in top.tables("user") {
        let user = user(&mut section, accounts, surroundings);
        if let Some(user) = &user
            && users.iter().any(|other| other.is_called(&user.name))
        {
            section.problem(format!("there are two [[user]] named {:?}", user.name));
        }
        users.extend(user);
        section.finish();
    }
    users
}

fn user(
    section: &mut Section<'_>,
    accounts: &[Account],
    surroundings: &Surroundings,
) -> Option<User> {
    let name = section.required::<String>("name");
    if let Some(name) = &name
        && !is_name(&name.value)
    {
        let message = "name: write 1 to 254 letters, digits and . _ + @ - only: some devices cannot \
                       enter other characters";
        section.problem_at(&name.span, message);
    }
    let password_hash = section.required::<PasswordHash>("password_hash");
    if let Some(hash) = &password_hash
        && hash.value.cost().is_weak()
    {
        section.warning_at(
            &hash.span,
            "password_hash: this hash has weak argon2id parameters, so its password can be cracked \
             quickly if it is stolen: create a new one with graph-relay hash-password",
        );
    }
    let senders = section.required::<Vec<Pattern>>("senders");
    let account = section.marked::<String>("account");
    if let Some(account) = &account
        && !accounts.iter().any(|known| known.name == account.value)
    {
        let message = format!("account: there is no [[account]] named {:?}", account.value);
        section.problem_at(&account.span, message);
    }
    let recipients = aliases::policy(section, |it| surroundings.reaches(it).is_ok());
    Some(User {
        name: name?.value,
        password_hash: password_hash?.value,
        senders: senders?.value,
        account: account.map(|marked| marked.value),
        recipients,
    })
}

/// An address or a short word (AMI's boards require 4 to 64 characters, beginning with a
/// letter).
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+@-".contains(c);
    (1..=254).contains(&name.len()) && name.chars().all(plain)
}
