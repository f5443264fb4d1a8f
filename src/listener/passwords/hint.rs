//! Why a name and a password were refused, for the administrator.

use crate::config::User;

/// A name that is longer is not a mistyped one.
const LONGEST: usize = 64;

/// What is wrong with this name. It never contains the name, which may be a password that was
/// typed in its place. Known names take as long as unknown ones, so that no client can tell
/// them apart by the time.
pub(in crate::listener) fn hint(name: &str, users: &[User]) -> String {
    let is_known = users.iter().any(|user| user.is_called(name));
    let near = users
        .iter()
        .filter(|_| name.len() <= LONGEST)
        .map(|user| (distance(name, &user.name), &user.name))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min();
    match near {
        _ if is_known => "the name is that of a [[user]], and the password is wrong".to_owned(),
        Some((_, near)) => format!("there is no [[user]] of that name: did you mean {near:?}?"),
        None => "there is no [[user]] of that name".to_owned(),
    }
}

fn distance(name: &str, known: &str) -> usize {
    strsim::damerau_levenshtein(&name.to_ascii_lowercase(), &known.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::PasswordHash;
    use crate::mail::RecipientPolicy;

    #[test]
    fn a_mistyped_name_leads_to_the_user_that_was_meant_and_is_not_repeated() {
        let user = |name: &str| User {
            name: name.to_owned(),
            password_hash: PasswordHash::of("x").unwrap(),
            senders: Vec::new(),
            account: None,
            recipients: RecipientPolicy::default(),
        };
        let users = [user("scanner"), user("ups")];
        let said = |name: &str| hint(name, &users);

        for name in ["scaner", "Scanners", "sacnner"] {
            assert!(said(name).ends_with("did you mean \"scanner\"?"), "{name}");
            assert!(!said(name).contains(name));
        }
        for name in ["hunter2!", "", &"s".repeat(10_000)] {
            assert_eq!(said(name), "there is no [[user]] of that name");
        }
        assert!(said("SCANNER").contains("password is wrong"));
    }
}
