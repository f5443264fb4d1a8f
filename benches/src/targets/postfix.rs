//! A Postfix instance of our own: its configuration, queue and log in the folder of the
//! measurement, nothing of the system's instance touched or used but the programs.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::chown;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::geteuid;

use crate::failure::Failure;
use crate::failure::Result;
use crate::failure::Trying;
use crate::process::Process;
use crate::process::free_address;
use crate::targets::Outlet;
use crate::targets::Running;
use crate::targets::smtp_sink::Counter;

/// Why it cannot run here.
pub(super) fn hindrance(work: &Path) -> Option<String> {
    if !Path::new(POSTFIX).is_file() {
        return Some("not installed: apt-get install postfix".to_owned());
    }
    if !geteuid().is_root() {
        return Some("its master needs root: run the benchmark as root to compare".to_owned());
    }
    // Its daemons give up root and must reach their folders all the same.
    let closed = work
        .ancestors()
        .find(|folder| fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o001 == 0))?;
    Some(format!(
        "its daemons may not enter {}: name another folder with --work",
        closed.display()
    ))
}

/// Starts the next hop, writes the configuration, starts the master.
pub(super) async fn start(folder: &Path) -> Result<Running> {
    let next_hop = Counter::start(folder).await?;
    let address = free_address()?;
    let configuration = configure(folder, address, next_hop.address)?;

    let check = Command::new(POSTFIX)
        .arg("-c")
        .arg(&configuration)
        .arg("check")
        .output()
        .trying(|| format!("run {POSTFIX}"))?;
    if !check.status.success() {
        return Err(Failure::new(format!(
            "postfix check: {}",
            String::from_utf8_lossy(&check.stderr)
        )));
    }

    // Without -w and -d the master stays in the foreground, in a session of its own.
    let mut server = Process::start(
        "Postfix",
        Command::new(daemon_folder()?.join("master"))
            .arg("-c")
            .arg(&configuration),
        &folder.join(LOG),
    )?;
    server.greets_at(address).await?;
    Ok(Running {
        address,
        server,
        outlet: Outlet::SmtpSink(next_hop),
    })
}

/// Writes main.cf and master.cf, makes the folders, gives the folder of the configuration.
fn configure(folder: &Path, address: SocketAddr, next_hop: SocketAddr) -> Result<PathBuf> {
    let configuration = folder.join("configuration");
    let data = folder.join("data");
    let queue = folder.join("queue");
    for folder in [&configuration, &data, &queue] {
        fs::create_dir(folder).trying(|| format!("make {}", folder.display()))?;
    }
    chown(&data, Some(user_id("postfix")?), None)
        .trying(|| format!("give {} to postfix", data.display()))?;

    let main = format!(
        "{MAIN}\
         queue_directory = {queue}\n\
         data_directory = {data}\n\
         daemon_directory = {daemons}\n\
         maillog_file = {folder}/{LOG}\n\
         maillog_file_prefixes = {folder}\n\
         relayhost = [{host}]:{port}\n",
        queue = queue.display(),
        data = data.display(),
        daemons = daemon_folder()?.display(),
        folder = folder.display(),
        host = next_hop.ip(),
        port = next_hop.port(),
    );
    let master = format!("{MASTER}{address} inet n - n - - smtpd\n");
    for (name, text) in [("main.cf", main), ("master.cf", master)] {
        let path = configuration.join(name);
        fs::write(&path, text).trying(|| format!("write {}", path.display()))?;
    }
    Ok(configuration)
}

/// Where the master and its daemons lie: distributions differ.
fn daemon_folder() -> Result<PathBuf> {
    let output = Command::new("/usr/sbin/postconf")
        .args(["-d", "-h", "daemon_directory"])
        .output()
        .trying(|| "run postconf".to_owned())?;
    Ok(PathBuf::from(
        String::from_utf8_lossy(&output.stdout).trim(),
    ))
}

fn user_id(name: &str) -> Result<u32> {
    fs::read_to_string("/etc/passwd")
        .trying(|| "read /etc/passwd".to_owned())?
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
        })
        .ok_or_else(|| Failure::new(format!("there is no user {name}")))
}

const POSTFIX: &str = "/usr/sbin/postfix";

const LOG: &str = "postfix.log";

const MAIN: &str = include_str!("../../postfix/main.cf");

const MASTER: &str = include_str!("../../postfix/master.cf");
