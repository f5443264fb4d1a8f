//! Tokens for mailboxes that have signed in once. A refresh token brings the access token
//! and the next refresh token (Entra page "Refresh tokens in the Microsoft identity
//! platform").
//!
//! A refused sign-in is marked as refused, on disk, and its refresh token is kept: some
//! refusals end when an administrator removes their cause (consent, a disabled account, a
//! policy), so the relay tries it again now and then.

use std::time::Duration;

use super::answer::TokenAnswer;
use super::entra::Entra;
use crate::auth::Granted;
use crate::auth::Means;
use crate::auth::error::TokenError;
use crate::auth::sign_in::store::Refused;
use crate::auth::sign_in::store::SignIn;
use crate::auth::sign_in::store::Store;
use crate::clock::Timestamp;
use crate::config::Account;
use crate::mail::Address;

/// The wait before a refused sign-in is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(60 * 60);

/// While the relay asked Entra, the user may have signed in again; hardly twice.
const ROUNDS: usize = 3;

/// Asks for a token for a mailbox.
pub(in crate::auth) async fn grant(
    account: &Account,
    means: &Means,
    mailbox: &Address,
) -> Result<Granted, TokenError> {
    for _ in 0..ROUNDS {
        if let Some(granted) = ask(account, means, mailbox).await? {
            return Ok(granted);
        }
    }
    Err(not_signed_in(mailbox))
}

fn not_signed_in(mailbox: &Address) -> TokenError {
    TokenError::NotSignedIn {
        mailbox: mailbox.clone(),
    }
}

/// `None` if it came from a sign-in that is no longer the current one.
async fn ask(
    account: &Account,
    means: &Means,
    mailbox: &Address,
) -> Result<Option<Granted>, TokenError> {
    let store = means.store.as_ref();
    let found = store.and_then(|store| Some((store, store.find(&account.name, mailbox)?)));
    let (store, sign_in) = found.ok_or_else(|| not_signed_in(mailbox))?;
    let now = means.clock.now();
    if let Some(refused) = &sign_in.refused
        && !refused.is_due(now)
    {
        return Err(TokenError::SignedOut {
            mailbox: mailbox.clone(),
            code: refused.code.clone(),
            reason: refused.reason.clone(),
        });
    }
    let entra = Entra::new(account, &means.http, now);
    let answer = entra.refresh(&sign_in.refresh_token).await;
    match answer.map_err(|error| error.of_person(mailbox)) {
        Ok(answer) => {
            let renewed = renewed(&sign_in, &answer, now);
            let is_kept = keep(store, &sign_in, renewed).await;
            Ok(is_kept.then(|| answer.granted()))
        }
        Err(TokenError::SignedOut {
            mailbox,
            code,
            reason,
        }) => {
            let refused = Refused {
                at: sign_in.refused.as_ref().map_or(now, |refused| refused.at),
                tried_at: now,
                code: code.clone(),
                reason: reason.clone(),
            };
            let signed_out = SignIn {
                refused: Some(refused),
                ..sign_in.clone()
            };
            if !keep(store, &sign_in, signed_out).await {
                return Ok(None);
            }
            Err(TokenError::SignedOut {
                mailbox,
                code,
                reason,
            })
        }
        Err(error) => Err(error),
    }
}

impl Refused {
    /// Whether it may be tried again; also if the clock was set back.
    fn is_due(&self, now: Timestamp) -> bool {
        self.tried_at > now || now.since(self.tried_at) >= TRY_AGAIN
    }
}

/// Adds the new refresh token, if there is one.
fn renewed(sign_in: &SignIn, answer: &TokenAnswer, now: Timestamp) -> SignIn {
    let refresh_token = answer.refresh();
    SignIn {
        refresh_token: refresh_token.unwrap_or_else(|| sign_in.refresh_token.clone()),
        renewed_at: now,
        refused: None,
        ..sign_in.clone()
    }
}

/// Whether it replaced the old one. The relay uses it even if it cannot be written now:
/// the mail goes out, and the store tries again.
async fn keep(store: &Store, old: &SignIn, new: SignIn) -> bool {
    let (is_kept, written) = store.replace(old, new).await;
    if let Err(error) = written {
        tracing::error!(
            event = "sign_in", mailbox = %old.mailbox, reason = %error,
            "the sign-in cannot be saved; it is in use, but a restart would lose it"
        );
    }
    is_kept
}
