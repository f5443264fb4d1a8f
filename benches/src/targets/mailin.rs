//! A minimal mailin-embedded server: this program once more, in the role `mailin`.

use std::path::Path;
use std::process::Command;

use crate::failure::Result;
use crate::process::Process;
use crate::process::free_address;
use crate::process::this_program;
use crate::targets::Outlet;
use crate::targets::Running;

/// Starts it.
pub(super) async fn start(folder: &Path) -> Result<Running> {
    let address = free_address()?;
    let mut server = Process::start(
        "mailin-embedded",
        Command::new(this_program()?)
            .arg("mailin")
            .arg(address.to_string()),
        &folder.join("mailin.log"),
    )?;
    server.greets_at(address).await?;
    Ok(Running {
        address,
        server,
        outlet: Outlet::Nothing,
    })
}
