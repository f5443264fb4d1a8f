//! What came of a change: the keys that differ, whether it is in force, and what is left to do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use askama::Template;
use axum::extract::Path;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use crate::admin::Applied;
use crate::admin::attention::Finding;
use crate::admin::attention::FindingState;
use crate::config::edit::KeyChange;
use crate::config::edit::Line;
use crate::config::edit::Side;
use crate::page::Broken;
use crate::page::Page;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;
use crate::telemetry::operatorlog;

/// Changes whose outcome can be shown again.
const MOST: usize = 16;

/// What came of a change.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) applied: Applied,
    pub(super) keys: Vec<KeyChange>,
    pub(super) lines: Vec<Line>,
    /// What Microsoft said.
    pub(super) findings: Vec<Finding>,
}

/// The last outcomes.
#[derive(Debug, Default)]
pub(in crate::page) struct Outcomes(Mutex<VecDeque<(String, Outcome)>>);

impl Outcomes {
    /// Returns its name.
    pub(super) fn keep(&self, outcome: Outcome) -> String {
        let id = match &outcome.applied {
            Applied::Prepared { id } => id.clone(),
            Applied::Written(_) => ulid::Ulid::new().to_string().to_ascii_lowercase(),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back((id.clone(), outcome));
        id
    }

    fn find(&self, id: &str) -> Option<Outcome> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|(known, _)| known == id);
        found.map(|(_, outcome)| outcome.clone())
    }
}

#[derive(Template)]
#[template(path = "setup_saved.html")]
struct Saved {
    layout: Layout,
    outcome: Outcome,
    /// The command that writes the file.
    command: Option<String>,
    needs_restart: Vec<String>,
    /// Why the configuration before is still in force.
    error: Option<String>,
}

impl Saved {
    /// What stands before a line.
    fn sign(&self, line: &Line) -> &'static str {
        match line.side {
            Side::Both => " ",
            Side::Old => "-",
            Side::New => "+",
            Side::Gap => "…",
        }
    }

    /// What Microsoft said against it.
    fn doubts(&self) -> Vec<&Finding> {
        let findings = self.outcome.findings.iter();
        findings.filter(|it| it.state != FindingState::Ok).collect()
    }
}

pub(super) async fn show(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Broken> {
    if let Err(refused) = visitor.require(Role::Administrator) {
        return Ok(refused.into_response());
    }
    // After a restart nothing is left of it.
    let Some(outcome) = page.outcomes.find(&id) else {
        return Ok(Redirect::to("/setup").into_response());
    };
    let (command, in_force) = match &outcome.applied {
        Applied::Prepared { id } => (Some(page.command_for(id)), None),
        Applied::Written(in_force) => (None, Some(in_force.clone())),
    };
    let in_force = in_force.unwrap_or_default();
    crate::page::shown(&Saved {
        layout: page.layout(&visitor, Some(Tab::Setup)).await?,
        outcome,
        command,
        needs_restart: in_force.needs_restart,
        error: in_force.error,
    })
}

#[derive(Template)]
#[template(path = "setup_restart.html")]
struct Restarts {
    layout: Layout,
}

pub(super) async fn restart(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
) -> Result<Response, Broken> {
    let by = match visitor.require(Role::Administrator) {
        Ok(session) => session.name.clone(),
        Err(refused) => return Ok(refused.into_response()),
    };
    let layout = page.layout(&visitor, Some(Tab::Setup)).await?;
    operatorlog::restart(&by);
    page.admin_state.configuration.restart_soon();
    // No redirect: nobody would answer the next request for a moment.
    crate::page::shown(&Restarts { layout })
}

impl Page {
    /// The command that writes a change which the relay may not write.
    fn command_for(&self, id: &str) -> String {
        let file = self.admin_state.configuration.file();
        let other = file.filter(|file| !crate::config::is_of_the_service(file));
        match other {
            Some(file) => format!("sudo graph-relay apply {id} --config {}", file.display()),
            None => format!("sudo graph-relay apply {id}"),
        }
    }
}
