//! `queue resend`: sends a message again, to its recipients or to somebody else.

use super::Failure;
use super::Relay;
use super::no_message;
use crate::admin::ResendAnswer;
use crate::admin::Resent;
use crate::admin::ToResend;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::say;
use crate::cli::say_json;
use crate::cli::talk;
use crate::cli::terminal;
use crate::mail::Address;
use crate::mail::ForwardPath;
use crate::mail::SpoolId;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The ID of the message, as in the list, in the log and in the reply to DATA
    id: SpoolId,
    /// Send it to this address instead of its recipients; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<ForwardPath>,
    /// Do not ask for confirmation where somebody may receive it twice
    #[arg(long)]
    yes: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

pub(in crate::cli) async fn run(options: &Options) -> Result<Exit, Failure> {
    let relay = Relay::of(&options.file)?;
    let mut wanted = ToResend {
        id: options.id,
        to: options.to.clone(),
        confirmed: options.yes,
    };
    loop {
        let answer: Option<ResendAnswer> = relay.order("/queue/resends", &wanted).await?;
        let Some(answer) = answer else {
            talk(&format!("graph-relay: {}", no_message(options.id)));
            return Ok(Exit::CheckFailed);
        };
        match answer {
            ResendAnswer::Resent(resent) => {
                print(&resent, options.json);
                return Ok(Exit::Done);
            }
            ResendAnswer::Asks(question) if !terminal::is_there() => {
                talk(&format!(
                    "graph-relay: {question} There is no terminal to confirm that: add --yes"
                ));
                return Ok(Exit::Usage);
            }
            ResendAnswer::Asks(question) => {
                if !terminal::agreed(&format!("{question} Continue?"), false) {
                    talk("nothing was sent");
                    return Ok(Exit::CheckFailed);
                }
                wanted.confirmed = true;
            }
        }
    }
}

fn print(resent: &Resent, json: bool) {
    if json {
        say_json(resent);
        return;
    }
    let to: Vec<&str> = resent.recipients.iter().map(Address::as_str).collect();
    let (id, of) = (resent.id, resent.resend_of);
    say(&format!(
        "{id}  accepted as a copy of {of}, to {}",
        to.join(", ")
    ));
    resent.remarks.iter().for_each(|remark| talk(remark));
}
