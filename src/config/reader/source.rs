//! Where a configuration comes from: the file, and the environment.
//!
//! There may be no file: then all values come from environment variables, as in a container.
//! This is so only for the default path. A file that somebody names must exist, because a
//! relay without the settings in it might send what it should not.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use toml::de::DeTable;

use super::ConfigError;
use super::ProblemKind;
use super::Problems;
use super::variables::Variables;
use super::words::of_syntax;
use crate::config::places;
use crate::disk;
use crate::platform::users;
use crate::platform::users::User;

/// The text of a configuration file, and environment variables.
#[derive(Debug)]
pub(in crate::config) struct Source {
    text: String,
    has_file: bool,
    variables: Variables,
    environment: Environment,
}

/// Whether the environment variables of this process take precedence over a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// They do, for every relay but the sandbox's.
    #[default]
    Counts,
    /// They are those of another relay: the sandbox's does not read them.
    Ignored,
}

impl Environment {
    fn variables(self) -> Vec<(OsString, OsString)> {
        match self {
            Self::Counts => std::env::vars_os().collect(),
            Self::Ignored => Vec::new(),
        }
    }
}

impl Source {
    /// Reads a file, and the environment if it counts.
    pub(in crate::config) fn read(
        path: &Path,
        environment: Environment,
    ) -> Result<Self, ConfigError> {
        match disk::read_small_text(path) {
            Ok(text) => Ok(Self::of(text, environment)),
            Err(error) => {
                let nothing = Self {
                    has_file: false,
                    ..Self::of(String::new(), environment)
                };
                let is_absent = error.kind() == ErrorKind::NotFound;
                if is_absent && places::is_of_the_service(path) && !nothing.variables.is_empty() {
                    return Ok(nothing);
                }
                Err(unreadable(path, &error, &nothing.variables))
            }
        }
    }

    /// A file with this text, and the environment of this process if it counts.
    pub(in crate::config) fn of(text: String, environment: Environment) -> Self {
        Self {
            environment,
            ..Self::new(text, environment.variables().into_iter())
        }
    }

    /// A file with this text, and an environment.
    pub(in crate::config) fn new(
        text: String,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Self {
        Self {
            variables: Variables::new(text.len(), environment),
            text,
            has_file: true,
            environment: Environment::default(),
        }
    }

    /// Whether the environment counts.
    pub(in crate::config) fn environment(&self) -> Environment {
        self.environment
    }

    /// Whether there is a file.
    pub(in crate::config) fn has_file(&self) -> bool {
        self.has_file
    }

    /// The text of the file.
    pub(in crate::config) fn text(&self) -> &str {
        &self.text
    }

    /// Returns where problems are collected, with those of the variables' names.
    pub(in crate::config) fn problems(&self) -> Problems<'_> {
        Problems::new(&self.text, self.has_file, &self.variables)
    }

    /// Parses the text as far as possible; adds the errors to the problems.
    pub(in crate::config) fn table<'a>(&'a self, problems: &Problems<'_>) -> (DeTable<'a>, bool) {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            let message = match (error.message(), self.text.get(span.clone())) {
                // The parser's message does not name it.
                ("duplicate key", Some(key)) => {
                    format!("duplicate key {key:?}: keep only one of them")
                }
                (message, _) => of_syntax(message).to_owned(),
            };
            problems.add(&span, message);
        }
        (table.into_inner(), errors.is_empty())
    }
}

fn unreadable(path: &Path, error: &std::io::Error, variables: &Variables) -> ConfigError {
    let is = |kind: ErrorKind| error.kind() == kind;
    let kind = if is(ErrorKind::PermissionDenied) {
        ProblemKind::NotPermitted
    } else if is(ErrorKind::NotFound) || is(ErrorKind::InvalidData) {
        // Without a configuration, systemd should not start the relay again and again.
        ProblemKind::Wrong
    } else {
        ProblemKind::Unreadable
    };
    let remedy = if is(ErrorKind::PermissionDenied) {
        let shown = path.display();
        let fix = |user: &User| format!("chgrp {} {shown}; chmod 640 {shown}", user.group);
        format!(": {}", users::denied(path, fix))
    } else if is(ErrorKind::NotFound) && !variables.is_empty() {
        ". Create it, or leave out --config and GRAPH_RELAY_CONFIG if environment variables contain \
         the whole configuration"
            .to_owned()
    } else if is(ErrorKind::NotFound) {
        ". Run graph-relay setup to create it, or give another file with --config".to_owned()
    } else if is(ErrorKind::InvalidData) {
        ". Save it as UTF-8".to_owned()
    } else {
        String::new()
    };
    ConfigError::of_kind(
        kind,
        path,
        format!("cannot read this file: {error}{remedy}"),
    )
}
