//! Whether Microsoft accepts an account that somebody wants to save. The checks are doctor's;
//! the service hands them in, because they stand above this module.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;

use super::Configuration;
use crate::admin::attention::Finding;
use crate::config::Config;

/// What the checks find.
pub type Findings = Pin<Box<dyn Future<Output = Vec<Finding>> + Send>>;

type Check = Box<dyn Fn(Config) -> Findings + Send + Sync>;

/// The checks, once the service has handed them in.
#[derive(Clone, Default)]
pub(super) struct AccessCheck(Arc<OnceLock<Check>>);

impl fmt::Debug for AccessCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessCheck(..)")
    }
}

impl Configuration {
    /// From now on accounts are checked by this. It sends nothing and changes nothing.
    pub fn check_access_by(&self, check: impl Fn(Config) -> Findings + Send + Sync + 'static) {
        // The first stays: there is one service for each configuration.
        let _set = self.access.0.set(Box::new(check));
    }

    /// Asks Microsoft for a token for each account, and tries its mailbox.
    pub async fn check_access(&self, config: Config) -> Vec<Finding> {
        match self.access.0.get() {
            Some(check) => check(config).await,
            None => Vec::new(),
        }
    }
}
