//! Sign-ins: requests that wait for a user, codes for those who came, refresh tokens.

use std::sync::Mutex;
use std::sync::MutexGuard;

use tokio::time::Instant;
use uuid::Uuid;

use crate::bounded_map::BoundedMap;
use crate::entra::token::scopes::Scopes;
use crate::entra::users::User;
use crate::lock::locked;
use crate::settings::Settings;

/// All that is known of sign-ins.
#[derive(Debug, Default)]
pub(crate) struct SignIns(Mutex<Known>);

#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Authorization requests, by the id in the links of their pages.
    pub(crate) requests: BoundedMap<Request>,
    /// By code.
    pub(crate) codes: BoundedMap<Code>,
    /// By device code.
    pub(crate) devices: BoundedMap<Device>,
    refresh_tokens: BoundedMap<Refresh>,
}

/// An authorization request that was found good.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// As the client wrote it.
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) scopes: Scopes,
    /// By S256.
    pub(crate) challenge: Option<String>,
}

/// An authorization code.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) request: Request,
    pub(crate) user: User,
    pub(crate) expires: Instant,
    pub(crate) used: bool,
}

/// A device that waits for its user.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) user_code: String,
    pub(crate) scopes: Scopes,
    pub(crate) expires: Instant,
    pub(crate) polled: Option<Instant>,
    /// Whether it was told once to slow down.
    pub(crate) slowed: bool,
    pub(crate) decision: Decision,
}

/// What came of a device code.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    Pending,
    Declined,
    Allowed(User),
    /// Tokens were given for it.
    Used,
}

/// A refresh token.
#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    pub(crate) user: User,
    pub(crate) scopes: Scopes,
    /// The number that it is refused with.
    pub(crate) refused: Option<u32>,
}

impl SignIns {
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        locked(&self.0)
    }

    /// A new code for the user.
    pub(crate) fn code(&self, settings: &Settings, request: Request, user: &User) -> String {
        let code = secret("1.A");
        let item = Code {
            request,
            user: user.clone(),
            expires: Instant::now() + settings.code_life,
            used: false,
        };
        self.known().codes.insert(code.clone(), item);
        code
    }

    /// A new refresh token for the user.
    pub(crate) fn refresh_token(&self, user: &User, scopes: &Scopes) -> String {
        let token = secret("0.A");
        let item = Refresh {
            user: user.clone(),
            scopes: scopes.clone(),
            refused: None,
        };
        self.known().refresh_tokens.insert(token.clone(), item);
        token
    }

    pub(crate) fn find_refresh_token(&self, token: &str) -> Option<Refresh> {
        self.known().refresh_tokens.find(token).cloned()
    }

    /// Has a refresh token refused from now on.
    pub(crate) fn revoke(&self, token: &str, number: u32) {
        if let Some(item) = self.known().refresh_tokens.find_mut(token) {
            item.refused = Some(number);
        }
    }

    /// Has the refresh tokens that the user's sign-ins brought so far refused.
    pub(crate) fn sign_out(&self, upn: &str, number: u32) {
        for item in self.known().refresh_tokens.iter_mut() {
            if item.user.upn.eq_ignore_ascii_case(upn) {
                item.refused = Some(number);
            }
        }
    }
}

/// What nobody guesses, with the beginning that Entra's have.
pub(crate) fn secret(beginning: &str) -> String {
    let random = || Uuid::new_v4().simple().to_string();
    format!("{beginning}{}{}", random(), random())
}
