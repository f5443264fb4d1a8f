//! Tokens for mailboxes that have signed in once: by their refresh tokens, each
//! of which brings the next one (Entra page "Refresh tokens in the Microsoft
//! identity platform").
//!
//! A refused sign-in is marked as such, on disk, and its refresh token kept: some
//! refusals end when an administrator mends their cause (consent, a disabled
//! account, a policy), so it is tried again now and then.

use std::time::Duration;

use super::Granted;
use super::Means;
use super::answer::TokenAnswer;
use super::entra::Entra;
use super::error::TokenError;
use super::store::Refused;
use super::store::SignIn;
use super::store::Store;
use crate::config::Account;
use crate::mail::Address;

/// How soon a refused sign-in is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(60 * 60);

/// A token for a mailbox.
pub(super) async fn grant(
    account: &Account,
    means: &Means,
    mailbox: &Address,
) -> Result<Granted, TokenError> {
    let not_signed_in = || TokenError::NotSignedIn {
        mailbox: mailbox.clone(),
    };
    let store = means.store.as_ref().ok_or_else(not_signed_in)?;
    let sign_in = store.find(&account.name, mailbox);
    let sign_in = sign_in.ok_or_else(not_signed_in)?;
    let now = means.clock.now();
    if let Some(refused) = &sign_in.refused
        && now.since(refused.tried_at) < TRY_AGAIN
    {
        return Err(TokenError::SignedOut {
            mailbox: mailbox.clone(),
            code: refused.code.clone(),
            reason: refused.reason.clone(),
        });
    }
    let answer = Entra::new(account, &means.http, now)
        .refresh(&sign_in.refresh_token)
        .await;
    match answer.map_err(|error| error.of_person(mailbox)) {
        Ok(answer) => {
            renew(store, sign_in, &answer, now).await;
            Ok(answer.granted())
        }
        Err(TokenError::SignedOut {
            mailbox,
            code,
            reason,
        }) => {
            let at = sign_in.refused.as_ref().map_or(now, |refused| refused.at);
            let refused = Some(Refused {
                at,
                tried_at: now,
                code: code.clone(),
                reason: reason.clone(),
            });
            keep(store, SignIn { refused, ..sign_in }).await;
            Err(TokenError::SignedOut {
                mailbox,
                code,
                reason,
            })
        }
        Err(error) => Err(error),
    }
}

/// The new refresh token, where one came, takes the place of the old one.
async fn renew(store: &Store, sign_in: SignIn, answer: &TokenAnswer, now: crate::clock::Timestamp) {
    let refresh_token = answer.refresh();
    let refresh_token = refresh_token.unwrap_or_else(|| sign_in.refresh_token.clone());
    let renewed = SignIn {
        refresh_token,
        renewed_at: now,
        refused: None,
        ..sign_in
    };
    keep(store, renewed).await;
}

/// It is in use even where it cannot be written now: the mail goes out, and the
/// store tries again.
async fn keep(store: &Store, sign_in: SignIn) {
    let mailbox = sign_in.mailbox.clone();
    if let Err(error) = store.keep(sign_in).await {
        tracing::error!(
            event = "sign_in", %mailbox, reason = %error,
            "the sign-in cannot be written down; it is in use, and would be lost with a restart"
        );
    }
}
