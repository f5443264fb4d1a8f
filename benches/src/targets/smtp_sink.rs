//! smtp-sink from the Postfix package: as a target the yardstick of speed, behind Postfix the next
//! hop that counts what was delivered.

use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::geteuid;

use crate::failure::Result;
use crate::failure::Trying;
use crate::process::Process;
use crate::process::free_address;
use crate::targets::Outlet;
use crate::targets::Running;

/// Why it cannot run here.
pub(super) fn hindrance() -> Option<String> {
    program().is_none().then(|| {
        "smtp-sink is not installed: apt-get install postfix (answer \"No configuration\")"
            .to_owned()
    })
}

/// Starts one as the target.
pub(super) async fn start(folder: &Path) -> Result<Running> {
    let address = free_address()?;
    let log = folder.join("smtp-sink.log");
    let mut server = Process::start("smtp-sink", &mut command(&[], address), &log)?;
    server.greets_at(address).await?;
    Ok(Running {
        address,
        server,
        outlet: Outlet::Nothing,
    })
}

/// An smtp-sink that counts.
#[derive(Debug)]
pub(crate) struct Counter {
    pub(super) address: SocketAddr,
    /// Owned, not used: it ends with the counter.
    _process: Process,
    log: PathBuf,
}

impl Counter {
    /// Starts one as a next hop.
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let address = free_address()?;
        let log = folder.join("next-hop.log");
        let mut process = Process::start("smtp-sink", &mut command(&["-c"], address), &log)?;
        process.greets_at(address).await?;
        Ok(Self {
            address,
            _process: process,
            log,
        })
    }

    /// The last count it wrote, `sess=1 quit=1 mesg=1` and a carriage return for each message.
    pub(super) fn delivered(&mut self) -> Result<u64> {
        let what = || format!("read {}", self.log.display());
        let mut file = File::open(&self.log).trying(what)?;
        let length = file.metadata().trying(what)?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
            .trying(what)?;
        let mut tail = String::new();
        file.read_to_string(&mut tail).trying(what)?;
        Ok(last_count(&tail))
    }
}

fn last_count(tail: &str) -> u64 {
    tail.split('\r')
        .rev()
        .find_map(|line| line.rsplit_once("mesg=")?.1.parse().ok())
        .unwrap_or(0)
}

fn command(options: &[&str], address: SocketAddr) -> Command {
    let mut command = Command::new(program().unwrap_or_else(|| PathBuf::from("smtp-sink")));
    if geteuid().is_root() {
        command.args(["-u", "nobody"]);
    }
    command.args(options);
    command.arg(address.to_string()).arg(BACKLOG);
    command
}

/// Where it lies: the folder for daemons is not in everybody's PATH.
fn program() -> Option<PathBuf> {
    ["/usr/sbin", "/usr/local/sbin", "/usr/bin"]
        .iter()
        .map(|folder| Path::new(folder).join("smtp-sink"))
        .find(|path| path.is_file())
}

/// Pending connections, more than any load opens at once.
const BACKLOG: &str = "256";

/// Several counts fit in it.
const TAIL: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_count_is_taken() {
        assert_eq!(last_count(""), 0);
        assert_eq!(
            last_count("sess=1 quit=0 mesg=8\rsess=2 quit=1 mesg=9\r"),
            9
        );
        assert_eq!(last_count("sess=1 quit=0 mesg=8\rsess=2 quit=1 mesg="), 8);
    }
}
