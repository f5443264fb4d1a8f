//! `page`: prints a link that logs in to the admin page.

use std::time::Duration;

use super::Failure;
use super::Relay;
use crate::admin::PageLink;
use crate::admin::PageRole;
use crate::admin::ToLink;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::say;
use crate::cli::say_json;
use crate::cli::talk;
use crate::clock::span_in_words;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// What whoever opens it may do: look, manage messages, or everything
    #[arg(long, value_enum, default_value = "administrator")]
    role: Role,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Role {
    Viewer,
    Operator,
    Administrator,
}

impl From<Role> for PageRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Operator => Self::Operator,
            Role::Administrator => Self::Administrator,
        }
    }
}

pub(in crate::cli) async fn run(options: &Options) -> Exit {
    let link = async {
        let relay = Relay::of(&options.file)?;
        let role = options.role.into();
        let link: Option<PageLink> = relay.order("/page-links", &ToLink { role }).await?;
        link.ok_or_else(Failure::another_version)
    };
    let link = match link.await {
        Ok(link) => link,
        Err(failure) => return failure.tell(),
    };
    if options.json {
        say_json(&link);
        return Exit::Done;
    }
    let valid = span_in_words(Duration::from_secs(link.valid_seconds));
    talk(&format!(
        "Open this address in a browser within {valid}. It works once:"
    ));
    say(&link.url);
    Exit::Done
}
