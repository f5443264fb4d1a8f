//! The state of a token, in one word and in detail.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::auth::Standing;
use crate::auth::TokenError;
use crate::clock::Timestamp;
use crate::mail::Address;

/// The state of a token, or of the sign-in that it needs. JSON and the screen use the same
/// words, which do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenState {
    /// There is a valid access token.
    #[serde(rename = "good")]
    Good,
    /// Nothing has needed one yet.
    #[serde(rename = "not asked for")]
    NotAskedFor,
    /// Entra refuses to issue one.
    #[serde(rename = "refused")]
    Refused,
    /// Entra does not answer, or has a problem.
    #[serde(rename = "unavailable")]
    Unavailable,
    /// Delegated: signed in, without an access token at the moment.
    #[serde(rename = "signed in")]
    SignedIn,
    /// Delegated: Entra has ended the sign-in.
    #[serde(rename = "signed out")]
    SignedOut,
    /// Delegated: nobody has signed in.
    #[serde(rename = "not signed in")]
    NotSignedIn,
}

impl TokenState {
    /// Returns its words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NotAskedFor => "not asked for",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::SignedIn => "signed in",
            Self::SignedOut => "signed out",
            Self::NotSignedIn => "not signed in",
        }
    }

    /// Whether a user has to sign in before mail is sent.
    pub fn needs_sign_in(self) -> bool {
        matches!(self, Self::SignedOut | Self::NotSignedIn)
    }

    /// Whether no mail is sent because of it.
    pub fn is_trouble(self) -> bool {
        matches!(self, Self::Refused | Self::Unavailable) || self.needs_sign_in()
    }
}

impl fmt::Display for TokenState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

/// The state of a token, in detail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenView {
    /// The mailbox that it is for, in delegated sign-in.
    pub mailbox: Option<Address>,
    /// Its state.
    pub state: TokenState,
    /// When the access token expires.
    pub good_until: Option<Timestamp>,
    /// Application permissions in it.
    pub roles: Vec<String>,
    /// Delegated permissions in it.
    pub scopes: Option<String>,
    /// When the person signed in.
    pub signed_in_at: Option<Timestamp>,
    /// When the sign-in was used last.
    pub renewed_at: Option<Timestamp>,
    /// Why there is none.
    pub trouble: Option<String>,
    /// The code of the error.
    pub code: Option<String>,
}

impl TokenView {
    /// Returns the state of the token of an account, or of a mailbox that signs in.
    pub(super) fn of(standing: &Standing) -> Self {
        let state = match (standing.good_until, standing.trouble.as_deref()) {
            (Some(_), _) => TokenState::Good,
            (None, Some(TokenError::Transport(_) | TokenError::Unavailable { .. })) => {
                TokenState::Unavailable
            }
            (None, Some(_)) => TokenState::Refused,
            (None, None) => TokenState::NotAskedFor,
        };
        let trouble = standing.trouble.as_ref();
        let claims = standing.claims.clone().unwrap_or_default();
        Self {
            good_until: standing.good_until,
            roles: claims.roles,
            scopes: claims.scp,
            trouble: trouble.map(|error| error.to_string()),
            code: trouble.and_then(|error| error.code()),
            ..Self::in_state(state, standing.mailbox.clone())
        }
    }

    /// Makes a state without details.
    pub(super) fn in_state(state: TokenState, mailbox: Option<Address>) -> Self {
        Self {
            mailbox,
            state,
            good_until: None,
            roles: Vec::new(),
            scopes: None,
            signed_in_at: None,
            renewed_at: None,
            trouble: None,
            code: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_state_has_the_same_words_in_json_and_on_the_screen() {
        for state in [
            TokenState::Good,
            TokenState::NotAskedFor,
            TokenState::Refused,
            TokenState::Unavailable,
            TokenState::SignedIn,
            TokenState::SignedOut,
            TokenState::NotSignedIn,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.words());
        }
    }
}
