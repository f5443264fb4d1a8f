//! `accounts`: lists accounts and mailboxes, and when their tokens and credentials expire, as
//! the running relay reports it.

use super::Failure;
use super::Relay;
use crate::admin::AccountView;
use crate::admin::EndingView;
use crate::admin::TokenView;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::say;
use crate::cli::say_json;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::clock::span;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

pub(in crate::cli) async fn run(options: &Options) -> Exit {
    list(options).await.unwrap_or_else(Failure::tell)
}

async fn list(options: &Options) -> Result<Exit, Failure> {
    let relay = Relay::of(&options.file)?;
    let accounts: Option<Vec<AccountView>> = relay.ask("/accounts").await?;
    let accounts = accounts.ok_or_else(Failure::another_version)?;
    let now = Clock::System.now();
    for account in &accounts {
        if options.json {
            say_json(account);
        } else {
            lines(account, now).iter().for_each(|line| say(line));
        }
    }
    Ok(Exit::Done)
}

/// Formats an account in a few lines.
pub(in crate::cli) fn lines(account: &AccountView, now: Timestamp) -> Vec<String> {
    let tenant = match account.tenant.as_str() {
        "" => String::new(),
        tenant => format!(" in {tenant}"),
    };
    let mut lines = vec![format!(
        "{}: sends from {}{tenant}, {} with {}",
        account.name,
        match account.mailbox.as_str() {
            "from" => "the mailbox of the From address",
            mailbox => mailbox,
        },
        account.sign_in,
        account.credential,
    )];
    lines.extend(account.ends.as_ref().map(|ends| ending(ends, now)));
    let trouble = account.trouble.as_ref();
    lines.extend(trouble.map(|trouble| format!("  {trouble}")));
    lines.extend(account.tokens.iter().map(|view| token(view, now)));
    lines
}

/// Formats an expiry date.
pub(in crate::cli) fn ending(ends: &EndingView, now: Timestamp) -> String {
    let (what, at) = (&ends.what, ends.at);
    if at <= now {
        return format!("  {what} EXPIRED on {at}");
    }
    let soon = if ends.is_near { " SOON:" } else { "" };
    format!("  {what} expires{soon} in {} ({at})", span(at.since(now)))
}

fn token(view: &TokenView, now: Timestamp) -> String {
    let whose = match &view.mailbox {
        Some(mailbox) => format!("{mailbox}: "),
        None => "token: ".to_owned(),
    };
    let mut line = format!("  {whose}{}", view.state);
    if let Some(until) = view.good_until {
        line.push_str(&format!(" for {}", span(until.since(now))));
    }
    if let Some(renewed) = view.renewed_at {
        line.push_str(&format!(", last used {} ago", span(now.since(renewed))));
    }
    let permissions = match &view.scopes {
        Some(scopes) => scopes.clone(),
        None => view.roles.join(" "),
    };
    if !permissions.is_empty() {
        line.push_str(&format!(", allows {permissions}"));
    }
    if let Some(trouble) = &view.trouble {
        line.push_str(&format!("\n    {trouble}"));
    }
    if let Some(mailbox) = &view.mailbox
        && view.state.needs_sign_in()
    {
        line.push_str(&format!("\n    graph-relay login {mailbox}"));
    }
    line
}
