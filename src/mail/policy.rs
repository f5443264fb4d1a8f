//! To whom a client or a user may send.

use super::Address;
use super::Pattern;

/// `recipients_allowed` and `redirect_all_to` of a `[[listener]]` or a `[[user]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientPolicy {
    /// Who may receive mail; `None` means everybody.
    pub allowed: Option<Vec<Pattern>>,
    /// Who receives every message instead of its recipients.
    pub redirect: Option<Address>,
}

impl RecipientPolicy {
    /// Whether this address may receive mail.
    pub fn allows(&self, recipient: &Address) -> bool {
        let allowed = self.allowed.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|pattern| pattern.matches(recipient)))
    }

    /// Whether there is neither a limit nor a redirection.
    pub fn is_open(&self) -> bool {
        self.allowed.is_none() && self.redirect.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_match_a_pattern_are_allowed() {
        let policy = |patterns: &[&str]| RecipientPolicy {
            allowed: Some(
                patterns
                    .iter()
                    .map(|text| Pattern::from((*text).to_owned()))
                    .collect(),
            ),
            redirect: None,
        };
        let allows =
            |policy: &RecipientPolicy, address: &str| policy.allows(&address.parse().unwrap());

        let internal = policy(&["*@contoso.com", "it@fabrikam.com"]);
        assert!(allows(&internal, "Anna@Contoso.com") && allows(&internal, "IT@fabrikam.com"));
        assert!(!allows(&internal, "anna@contoso.com.example"));
        assert!(!allows(&internal, "anna@sub.contoso.com"));
        assert!(!allows(&internal, "anna@fabrikam.com"));
        assert!(allows(&RecipientPolicy::default(), "anybody@example.org"));
    }
}
