//! graph-relay itself, a release binary, beside the stand-in for Entra and Graph in a process of
//! its own: this program once more, in the role `stand-in`.

use std::fmt::Write as _;
use std::fs;
use std::fs::OpenOptions;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Command;

use crate::failure::Failure;
use crate::failure::Result;
use crate::failure::Trying;
use crate::message::mailbox;
use crate::process::Process;
use crate::process::free_address;
use crate::process::this_program;
use crate::stand_in;
use crate::targets::Ground;
use crate::targets::Outlet;
use crate::targets::Running;

/// Why it cannot run here.
pub(super) fn hindrance(ground: &Ground) -> Option<String> {
    match &ground.relay {
        None => Some("no binary named: --relay PATH".to_owned()),
        Some(path) if !path.is_file() => Some(format!("no such file: {}", path.display())),
        Some(_) => None,
    }
}

/// Starts the stand-in, writes relay.toml, starts the relay.
pub(super) async fn start(ground: &Ground, folder: &Path) -> Result<Running> {
    let binary = ground
        .relay
        .as_ref()
        .ok_or_else(|| Failure::new("no relay named"))?;
    let stand_in = StandIn::start(folder, ground.mailboxes)?;
    let address = free_address()?;
    let configuration = configure(folder, address, stand_in.address, ground.mailboxes)?;
    let mut server = Process::start(
        "graph-relay",
        Command::new(binary)
            .arg("serve")
            .arg("--config")
            .arg(&configuration),
        &folder.join("relay.log"),
    )?;
    server.greets_at(address).await?;
    Ok(Running {
        address,
        server,
        outlet: Outlet::StandIn(stand_in),
    })
}

/// Graph's place in the run.
#[derive(Debug)]
pub(crate) struct StandIn {
    address: SocketAddr,
    /// Owned, not used: it ends with the stand-in.
    _process: Process,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl StandIn {
    fn start(folder: &Path, mailboxes: u64) -> Result<Self> {
        let address = free_address()?;
        let (process, questions, answers) = Process::start_talking(
            "stand-in",
            Command::new(this_program()?)
                .arg("stand-in")
                .arg(address.to_string())
                .arg(mailboxes.to_string()),
            &folder.join("stand-in.log"),
        )?;
        let mut stand_in = Self {
            address,
            _process: process,
            questions,
            answers: BufReader::new(answers),
        };
        // It answers once it listens.
        stand_in.delivered()?;
        Ok(stand_in)
    }

    /// Asks it how many messages arrived.
    pub(super) fn delivered(&mut self) -> Result<u64> {
        let what = || "ask the stand-in".to_owned();
        self.questions.write_all(b"\n").trying(what)?;
        self.questions.flush().trying(what)?;
        let mut line = String::new();
        self.answers.read_line(&mut line).trying(what)?;
        line.trim()
            .parse()
            .map_err(|_| Failure::new(format!("the stand-in answered {line:?}")))
    }
}

/// Writes relay.toml and its secret.
fn configure(
    folder: &Path,
    address: SocketAddr,
    stand_in: SocketAddr,
    mailboxes: u64,
) -> Result<PathBuf> {
    let tenant = stand_in::settings(mailboxes);
    let secret = folder.join("client-secret");
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&secret)
        .and_then(|mut file| file.write_all(tenant.client_secret.as_bytes()));
    written.trying(|| format!("write {}", secret.display()))?;

    let mut text = format!(
        "hostname = \"relay.bench.example\"\n\
         data_dir = \"{folder}/data\"\n\
         \n\
         [[listener]]\n\
         address = \"{address}\"\n\
         \n\
         [limits]\n\
         connections_per_client = 256\n",
        folder = folder.display(),
    );
    for n in 0..mailboxes {
        let mailbox = mailbox(n);
        let written = write!(
            text,
            "\n\
             [[account]]\n\
             name = \"bench{n}\"\n\
             tenant = \"{tenant}\"\n\
             client_id = \"{client_id}\"\n\
             client_secret_file = \"{secret}\"\n\
             mailbox = \"{mailbox}\"\n\
             senders = [\"{mailbox}\"]\n\
             login_url = \"http://{stand_in}\"\n\
             graph_url = \"http://{stand_in}\"\n\
             [account.rate_limits]\n\
             requests_per_10_minutes = \"off\"\n\
             upload_per_5_minutes = \"off\"\n\
             recipients_per_day = \"off\"\n",
            tenant = tenant.tenant,
            client_id = tenant.client_id,
            secret = secret.display(),
        );
        written.map_err(|_| Failure::new("cannot format relay.toml"))?;
    }

    let path = folder.join("relay.toml");
    fs::write(&path, text).trying(|| format!("write {}", path.display()))?;
    Ok(path)
}
