//! `alert-test`: has the running relay send a test alert to each `[[alert]]`. Exit code 0
//! if all were sent, 1 if not.

use serde_json::json;

use super::Failure;
use super::Relay;
use crate::admin::attention::AlertTested;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::say;
use crate::cli::talk;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

pub(in crate::cli) async fn run(options: &Options) -> Exit {
    test(options).await.unwrap_or_else(Failure::tell)
}

async fn test(options: &Options) -> Result<Exit, Failure> {
    let relay = Relay::of(&options.file)?;
    let order = json!({});
    let tested = relay.order_patiently("sending test alerts", "/alerts/test", &order);
    let tested: Vec<AlertTested> = tested.await?;
    if tested.is_empty() {
        talk(
            "the running relay has no [[alert]]: add one to relay.toml, then run systemctl \
             restart graph-relay",
        );
        return Ok(Exit::CheckFailed);
    }
    for AlertTested { name, done, error } in &tested {
        let line = match (options.json, done, error) {
            (true, _, _) => json!({"name": name, "done": done, "error": error}).to_string(),
            (false, Some(done), _) => format!("{name}: {done}"),
            (false, None, error) => {
                let error = error.as_deref().unwrap_or("no answer");
                format!("{name}: FAILED: {error}")
            }
        };
        say(&line);
    }
    Ok(match tested.iter().all(|tested| tested.error.is_none()) {
        true => Exit::Done,
        false => Exit::CheckFailed,
    })
}
