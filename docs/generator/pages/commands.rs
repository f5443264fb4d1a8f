//! Every command with its options, from the command line itself: the words of `--help`.

use std::fmt::Write;

use clap::Arg;
use clap::Command;

use super::Problem;
use super::code;
use super::plain;
use super::source;

/// A section for each command.
pub(super) fn commands() -> String {
    let mut text = String::new();
    section(&graph_relay::cli::command(), &mut text);
    text
}

/// The table in the doc of the module that ends the program.
pub(super) fn exit_codes() -> Result<String, Problem> {
    let source = source("src/cli/mod.rs")?;
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! |"));
    let table: String = rows.map(|row| format!("|{row}\n")).collect();
    if table.is_empty() {
        return Err("src/cli/mod.rs has no table of exit codes".to_owned());
    }
    Ok(table)
}

fn section(command: &Command, text: &mut String) {
    let mut command = command.clone();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map_or_else(String::new, ToString::to_string);
    // A String takes whatever is written.
    let _taken = write!(
        text,
        "## {name}\n\n{}.\n\n```text\n{usage}\n```\n\n",
        plain(&about)
    );
    for argument in command.get_arguments().filter(|it| is_shown(it)) {
        text.push_str(&argument_line(argument));
    }
    text.push('\n');
    let below = command.get_subcommands();
    for below in below.filter(|it| !it.is_hide_set() && it.get_name() != "help") {
        section(below, text);
    }
}

/// `--help` and `--version` are the same everywhere.
fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
}

fn argument_line(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let help = help.map_or_else(String::new, ToString::to_string);
    let mut line = format!("- {}: {}", code(&written(argument)), plain(&help));
    let takes_value = argument.get_action().takes_values();
    let values = argument.get_possible_values();
    if takes_value && !values.is_empty() {
        let names: Vec<_> = values.iter().map(|it| code(it.get_name())).collect();
        let _taken = write!(line, ". One of {}", names.join(", "));
    }
    let defaults = argument.get_default_values().iter();
    let defaults: Vec<_> = defaults.map(|it| code(&it.to_string_lossy())).collect();
    if takes_value && !defaults.is_empty() {
        let _taken = write!(line, ". Default: {}", defaults.join(", "));
    }
    if let Some(variable) = argument.get_env() {
        let variable = code(&variable.to_string_lossy());
        let _taken = write!(line, ". The environment variable {variable} sets it too");
    }
    line + ".\n"
}

/// An argument as it is typed: `-w, --watch`, `--filter <EXPR>`, `[ID]...`.
fn written(argument: &Arg) -> String {
    if argument.is_positional() {
        return argument.to_string();
    }
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let names: Vec<_> = short.into_iter().chain(long).collect();
    let value = argument
        .get_value_names()
        .filter(|_| argument.get_action().takes_values());
    let value: String = value
        .into_iter()
        .flatten()
        .map(|name| format!(" <{name}>"))
        .collect();
    names.join(", ") + &value
}
