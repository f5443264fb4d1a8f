//! Renews sign-ins and warns of expiring credentials while the relay runs.
//!
//! A refresh token expires if it is not used for 90 days (Entra page "Refresh tokens in the
//! Microsoft identity platform"), and a mailbox may well send nothing for so long. This
//! also finds a revoked sign-in before mail has to wait for it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::auth;
use crate::auth::Ending;
use crate::auth::Means;
use crate::auth::SignIns;
use crate::auth::Store;
use crate::auth::StoreError;
use crate::auth::TokenError;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::SignIn;
use crate::credentials::CertificateFiles;
use crate::telemetry::maillog;

/// How often this checks.
const ROUND: Duration = Duration::from_secs(60 * 60);
/// A sign-in that was not used for this long is renewed. Twice a week is often enough for
/// 90 days, and survives an outage of weeks.
const UNUSED: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How often the log warns of a credential that expires soon.
const TELL: Duration = Duration::from_secs(24 * 60 * 60);

/// The token clients, if every account's credential can be read.
pub(super) fn means(config: &Config, clock: &Clock) -> Result<Means, StartError> {
    let means = Means::new(config, clock.clone())?;
    for account in &config.accounts {
        auth::check(account, &means).map_err(|error| StartError::Credential {
            account: account.name.clone(),
            error,
        })?;
    }
    Ok(means)
}

/// The sign-ins, if an account has any.
pub(super) fn store(config: &Config) -> Result<Option<Store>, StoreError> {
    let mut accounts = config.accounts.iter();
    if !accounts.any(|account| account.sign_in == SignIn::Delegated) {
        return Ok(None);
    }
    let (store, unopened) = Store::open(&config.data_dir)?;
    unopened
        .iter()
        .for_each(|error| maillog::sign_in_lost(error));
    let is_known = |name: &str| config.accounts.iter().any(|account| account.name == name);
    for sign_in in store.list() {
        if !is_known(&sign_in.account) {
            maillog::sign_in_orphaned(&sign_in.account, &sign_in.mailbox);
        }
    }
    Ok(Some(store))
}

/// Checks until `stop`.
pub(super) async fn watch(
    sign_ins: SignIns,
    means: Means,
    certificate: Option<CertificateFiles>,
    stop: CancellationToken,
) {
    let mut rounds: u32 = 0;
    loop {
        if rounds.is_multiple_of(rounds_in(TELL)) {
            tell_endings(&sign_ins, certificate.as_ref(), &means);
        }
        rounds = rounds.wrapping_add(1);
        tokio::select! {
            () = keep_alive(&sign_ins, &means) => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn rounds_in(span: Duration) -> u32 {
    u32::try_from(span.as_secs() / ROUND.as_secs()).unwrap_or(1)
}

/// Logs what expires soon or has expired.
fn tell_endings(sign_ins: &SignIns, certificate: Option<&CertificateFiles>, means: &Means) {
    let now = means.clock.now();
    for tokens in sign_ins.accounts() {
        let account = tokens.account();
        match auth::ending(account) {
            Ok(Some(ending)) if ending.is_near(now) => {
                maillog::ends(&account.name, ending.what, ending.at, now);
            }
            Ok(_) => {}
            Err(error) => maillog::certificate_unreadable(&account.name, &error),
        }
    }
    let listeners = "[tls]";
    match certificate.map(CertificateFiles::ends) {
        Some(Ok(at)) => {
            let ending = Ending {
                what: "certificate",
                at,
            };
            if ending.is_near(now) {
                maillog::ends(listeners, ending.what, at, now);
            }
        }
        Some(Err(error)) => maillog::certificate_unreadable(listeners, &error),
        None => {}
    }
}

/// Renews sign-ins that were not used for long, and logs those that Entra refuses. If a
/// delivery attempt has logged the refusal already, it is only tried again.
async fn keep_alive(sign_ins: &SignIns, means: &Means) {
    let Some(store) = &means.store else {
        return;
    };
    if let Err(error) = store.save().await {
        maillog::sign_in_lost(&error);
    }
    for sign_in in store.list() {
        let now = means.clock.now();
        // Also if the clock was set back.
        let is_idle = sign_in.renewed_at > now || now.since(sign_in.renewed_at) > UNUSED;
        let mut accounts = sign_ins.accounts().iter();
        let account = accounts.find(|tokens| tokens.account().name == sign_in.account);
        let Some(tokens) = account.filter(|_| is_idle || sign_in.refused.is_some()) else {
            continue;
        };
        let Err(error) = tokens.token(&sign_in.mailbox).await else {
            continue;
        };
        if let TokenError::SignedOut { code, reason, .. } = &*error
            && sign_in.refused.is_none()
        {
            maillog::signed_out(&sign_in.account, &sign_in.mailbox, code, reason);
        }
    }
}
