//! `sandbox` in a build without that feature: says so. The help does not list the command
//! then.

use std::ffi::OsString;

use super::Exit;
use super::talk;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Whatever `sandbox` would take
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _ignored: Vec<OsString>,
}

pub(super) fn run() -> Exit {
    talk(
        "graph-relay: this build has no sandbox. To try the relay without a tenant, build it with \
         its default features (cargo build, without --no-default-features)",
    );
    Exit::Usage
}
