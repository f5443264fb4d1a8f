//! `devices`: who sends mail through the running relay.

use crate::admin::DeviceState;
use crate::admin::DeviceView;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::ago;
use crate::cli::counted;
use crate::cli::running::Failure;
use crate::cli::running::Relay;
use crate::cli::say_json;
use crate::cli::talk;
use crate::cli::terminal::Column;
use crate::cli::terminal::Style;
use crate::cli::terminal::Table;
use crate::clock::Clock;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

const COLUMNS: [Column; 9] = [
    Column::text("CLIENT"),
    Column::text("USER"),
    Column::text("STATE"),
    Column::text("LAST SEEN"),
    Column::number("ACCEPTED"),
    Column::number("DELIVERED"),
    Column::number("FAILED"),
    Column::number("REFUSED"),
    Column::text("TLS"),
];

pub(in crate::cli) async fn run(options: &Options) -> Exit {
    let shown = show(options).await;
    shown.unwrap_or_else(Failure::tell)
}

async fn show(options: &Options) -> Result<Exit, Failure> {
    let relay = Relay::of(&options.file)?;
    let devices: Option<Vec<DeviceView>> = relay.ask("/devices").await?;
    let devices = devices.ok_or_else(Failure::another_version)?;
    if devices.is_empty() {
        talk("no device has sent anything yet");
    }
    let now = Clock::System.now();
    let mut table = Table::new(&COLUMNS);
    for device in &devices {
        if options.json {
            say_json(device);
            continue;
        }
        let style = match device.state {
            DeviceState::Sending => Style::Good,
            DeviceState::Silent => Style::Warning,
            DeviceState::Refused => Style::Bad,
            DeviceState::Added | DeviceState::Removed => Style::Plain,
        };
        let or = |text: &Option<String>| text.as_deref().unwrap_or("-").to_owned();
        let messages = device.messages;
        let cells = vec![
            or(&device.client.map(|it| it.to_string())).into(),
            or(&device.user).into(),
            (style, device.state.name().to_owned()).into(),
            or(&device.last_seen_at.map(|at| ago(now.since(at)))).into(),
            messages.accepted.to_string().into(),
            messages.delivered.to_string().into(),
            messages.failed.to_string().into(),
            messages.refused.to_string().into(),
            or(&device.tls).into(),
        ];
        table.row(cells, notes(device));
    }
    table.print();
    Ok(Exit::Done)
}

/// What does not fit into a column.
fn notes(device: &DeviceView) -> Vec<String> {
    let mut notes = Vec::new();
    if device.state == DeviceState::Added {
        notes.push("added, has not sent yet".to_owned());
    }
    if let Some(days) = device.silent_days {
        notes.push(format!("has sent nothing for {}", counted(days, "day")));
    }
    let refusal = device.last_refusal.as_ref();
    if let Some(refusal) = refusal.filter(|_| device.state == DeviceState::Refused) {
        let said = [refusal.reply.as_str(), &refusal.cause];
        let said: Vec<&str> = said.into_iter().filter(|text| !text.is_empty()).collect();
        notes.push(format!("refused: {}", said.join("; ")));
        if !refusal.remedy.is_empty() {
            notes.push(format!("fix: {}", refusal.remedy));
        }
    }
    if !device.senders.is_empty() {
        notes.push(format!("sends as {}", device.senders.join(", ")));
    }
    if !device.quirks.is_empty() {
        notes.push(format!("tolerated: {}", device.quirks.join(", ")));
    }
    notes
}
