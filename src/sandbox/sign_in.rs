//! Sign-ins: requests that wait for a user, codes for those who came, refresh tokens.

use std::sync::Mutex;
use std::sync::MutexGuard;

use tokio::time::Instant;
use uuid::Uuid;

use crate::sandbox::Settings;
use crate::sandbox::directory::User;
use crate::sandbox::remembered::Remembered;
use crate::sandbox::scopes::Scopes;
use crate::sandbox::store::locked;

/// All that is known of sign-ins.
#[derive(Debug, Default)]
pub(super) struct SignIns(Mutex<Known>);

#[derive(Debug, Default)]
pub(super) struct Known {
    /// Authorization requests, by the id in the links of their pages.
    pub(super) requests: Remembered<Request>,
    /// By code.
    pub(super) codes: Remembered<Code>,
    /// By device code.
    pub(super) devices: Remembered<Device>,
    refresh_tokens: Remembered<Refresh>,
}

/// An authorization request that was found good.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// As the client wrote it.
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) scopes: Scopes,
    /// By S256.
    pub(super) challenge: Option<String>,
}

/// An authorization code.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) request: Request,
    pub(super) user: User,
    pub(super) expires: Instant,
    pub(super) used: bool,
}

/// A device that waits for its user.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) user_code: String,
    pub(super) scopes: Scopes,
    pub(super) expires: Instant,
    pub(super) polled: Option<Instant>,
    /// Whether it was told once to slow down.
    pub(super) slowed: bool,
    pub(super) decision: Decision,
}

/// What came of a device code.
#[derive(Clone, Debug)]
pub(super) enum Decision {
    Pending,
    Declined,
    Allowed(User),
    /// Tokens were given for it.
    Used,
}

/// A refresh token.
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub(super) user: User,
    pub(super) scopes: Scopes,
    /// The number that it is refused with.
    pub(super) refused: Option<u32>,
}

impl SignIns {
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        locked(&self.0)
    }

    /// A new code for the user.
    pub(super) fn code(&self, settings: &Settings, request: Request, user: &User) -> String {
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
    pub(super) fn refresh_token(&self, user: &User, scopes: &Scopes) -> String {
        let token = secret("0.A");
        let item = Refresh {
            user: user.clone(),
            scopes: scopes.clone(),
            refused: None,
        };
        self.known().refresh_tokens.insert(token.clone(), item);
        token
    }

    pub(super) fn find_refresh_token(&self, token: &str) -> Option<Refresh> {
        self.known().refresh_tokens.find(token).cloned()
    }

    /// Has a refresh token refused from now on.
    pub(super) fn revoke(&self, token: &str, number: u32) {
        if let Some(item) = self.known().refresh_tokens.find_mut(token) {
            item.refused = Some(number);
        }
    }

    /// Has the refresh tokens that the user's sign-ins brought so far refused.
    pub(super) fn sign_out(&self, upn: &str, number: u32) {
        for item in self.known().refresh_tokens.iter_mut() {
            if item.user.upn.eq_ignore_ascii_case(upn) {
                item.refused = Some(number);
            }
        }
    }
}

/// What nobody guesses, with the beginning that Entra's have.
pub(super) fn secret(beginning: &str) -> String {
    let random = || Uuid::new_v4().simple().to_string();
    format!("{beginning}{}{}", random(), random())
}
