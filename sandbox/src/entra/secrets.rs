//! Every secret that went between the client and this stand-in, so that a test can look for them
//! where they must not be.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::Value;

use crate::entra::parameters::Parameters;
use crate::lock::locked;

/// The secrets seen. They are not printed.
#[derive(Default)]
pub(crate) struct Secrets {
    seen: Mutex<BTreeSet<String>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// The parameters of a token request that are secrets.
const SENT: [&str; 6] = [
    "client_secret",
    "client_assertion",
    "code",
    "code_verifier",
    "refresh_token",
    "device_code",
];

/// The members of an answer that are secrets.
const GIVEN: [&str; 4] = ["access_token", "refresh_token", "id_token", "device_code"];

/// Beyond so many nothing more is remembered: a benchmark asks for no such test.
const MOST: usize = 10_000;

impl Secrets {
    /// Notes those of a request.
    pub(crate) fn sent(&self, parameters: &Parameters) {
        for value in SENT.iter().filter_map(|name| parameters.given(name)) {
            self.note(value);
        }
    }

    /// Notes those of an answer.
    pub(crate) fn given(&self, answer: &Value) {
        for value in GIVEN.iter().filter_map(|name| answer.get(*name)?.as_str()) {
            self.note(value);
        }
    }

    pub(crate) fn note(&self, secret: &str) {
        let mut seen = locked(&self.seen);
        if !secret.is_empty() && seen.len() < MOST {
            seen.insert(secret.to_owned());
        }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        locked(&self.seen).iter().cloned().collect()
    }
}
