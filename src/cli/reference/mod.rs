//! Commands that need no configuration and no network: explaining a code (`explain`), manual
//! pages (`man`), and completions for a shell.
//!
//! Pages and completions are generated from the commands themselves, so they always match; the
//! page of relay.toml is the commented file in the program.

pub(super) mod explain;

use std::fs;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use clap::Command;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::Roff;
use clap_mangen::roff::roman;

use super::CommandLine;
use super::Exit;
use super::talk;

/// The commented configuration.
const RELAY_TOML: &str = include_str!("../../../relay.toml");
/// The name and the section of its page.
const CONFIGURATION: &str = "relay.toml";

#[derive(Debug, clap::Args)]
pub(super) struct ManOptions {
    /// The page: a command such as `queue` or `queue-retry`, or `relay.toml`. Default: the page of
    /// graph-relay
    #[arg(value_name = "PAGE")]
    page: Option<String>,
    /// Write all pages into man1 and man5 of this folder, such as /usr/local/share/man
    #[arg(long, value_name = "FOLDER", conflicts_with = "page")]
    folder: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct CompletionsOptions {
    /// The shell
    shell: Shell,
}

/// Prints a page, or writes all of them.
pub(super) fn man(options: &ManOptions) -> Exit {
    let pages = match pages() {
        Ok(pages) => pages,
        Err(error) => {
            talk(&format!(
                "graph-relay: cannot create the manual pages: {error}"
            ));
            return Exit::BrokeDown;
        }
    };
    if let Some(folder) = &options.folder {
        return written(&pages, folder);
    }
    let asked = options.page.as_deref().unwrap_or("graph-relay");
    let of_command = format!("graph-relay-{asked}");
    let is_asked = |page: &&Page| page.name == asked || page.name == of_command;
    if let Some(page) = pages.iter().find(is_asked) {
        let _gone = io::stdout().lock().write_all(&page.text);
        return Exit::Done;
    }
    let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
    talk(&format!(
        "graph-relay: there is no manual page {asked:?}. There are: {}",
        names.join(", ")
    ));
    Exit::Usage
}

/// Prints the completions for a shell.
pub(super) fn completions(options: &CompletionsOptions) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut command(), "graph-relay", &mut text);
    // A reader that went away ends nothing.
    let _gone = io::stdout().lock().write_all(&text);
    Exit::Done
}

/// A manual page.
struct Page {
    name: String,
    section: u8,
    text: Vec<u8>,
}

fn written(pages: &[Page], folder: &Path) -> Exit {
    let mut pages = pages.iter();
    let all = pages.try_for_each(|page| {
        let Page { name, section, .. } = page;
        let folder = folder.join(format!("man{section}"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{name}.{section}")), &page.text)
    });
    match all {
        Ok(()) => Exit::Done,
        Err(error) => {
            talk(&format!(
                "graph-relay: cannot write the manual pages to {}: {error}",
                folder.display()
            ));
            Exit::CannotCreate
        }
    }
}

/// The command line as it is, for whatever describes it: manual pages, completions, the book.
pub fn command() -> Command {
    let mut command = CommandLine::command();
    command.build();
    command
}

fn pages() -> io::Result<Vec<Page>> {
    let mut pages = Vec::new();
    collect(&command(), &mut pages)?;
    pages.push(Page {
        name: CONFIGURATION.to_owned(),
        section: 5,
        text: configuration()?,
    });
    Ok(pages)
}

/// The page of a command, and those of the commands below it.
fn collect(command: &Command, pages: &mut Vec<Page>) -> io::Result<()> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text)?;
    pages.push(Page {
        name: command
            .get_display_name()
            .unwrap_or_else(|| command.get_name())
            .to_owned(),
        section: 1,
        text,
    });
    let below = command.get_subcommands();
    let mut shown = below.filter(|it| !it.is_hide_set() && it.get_name() != "help");
    shown.try_for_each(|below| collect(below, pages))
}

/// relay.toml(5): what a person reads in the file itself.
fn configuration() -> io::Result<Vec<u8>> {
    let mut page = Roff::new();
    page.control("TH", [CONFIGURATION, "5"]);
    page.control("SH", ["NAME"]);
    page.text([roman("relay.toml - the configuration of graph-relay")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "All keys with their defaults, as in the commented file. Only [[account]] is required. \
         graph-relay check reports every error in a file.",
    )]);
    page.control("SH", ["KEYS"]);
    page.control("nf", []);
    for line in RELAY_TOML.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []);
    page.control("SH", ["SEE ALSO"]);
    page.text([roman("graph-relay(1)")]);
    let mut text = Vec::new();
    page.to_writer(&mut text)?;
    Ok(text)
}
