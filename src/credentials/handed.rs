//! Files that systemd gives to the service only: `LoadCredential=`, named in relay.toml by
//! `${CREDENTIALS_DIRECTORY}`.
//!
//! Outside the service the variable is not set, so these files cannot be tested there. That
//! does not make the configuration wrong.

use std::path::Path;

/// The variable with their folder (systemd.exec(5)).
pub(crate) const VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// The placeholder for it outside the service.
pub(crate) const OF_THE_UNIT: &str = "/run/credentials/graph-relay.service";

/// Whether only the service can read this file.
pub fn is_out_of_reach(path: &Path) -> bool {
    path.starts_with(OF_THE_UNIT) && std::env::var_os(VARIABLE).is_none()
}
