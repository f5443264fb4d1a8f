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
    /// Whether each mailbox has to be connected next.
    pub(super) is_delegated: bool,
}

/// The last outcomes; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Outcomes(Arc<Mutex<VecDeque<(String, Outcome)>>>);

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

/// How it stands with a change now.
enum Now {
    /// It waits for this command.
    Waits { command: String },
    /// It waited, and is no longer kept.
    Expired,
    /// It is in the file.
    Written {
        /// Who has applied it, if it was prepared.
        applied_by: Option<String>,
        needs_restart: Vec<String>,
        /// Why the configuration before is still in force.
        error: Option<String>,
    },
}

#[derive(Template)]
#[template(path = "setup_saved.html")]
struct Saved {
    layout: Layout,
    outcome: Outcome,
    now: Now,
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
    // Only the last ones are kept.
    let Some(outcome) = page.outcomes.find(&id) else {
        return Ok(Redirect::to("/setup").into_response());
    };
    let layout = page.layout(&visitor, Some(Tab::Setup)).await?;
    crate::page::shown(&Saved {
        now: page.now(&outcome.applied).await?,
        outcome,
        layout,
    })
}

impl Page {
    async fn now(&self, applied: &Applied) -> Result<Now, Broken> {
        let configuration = &self.admin_state.configuration;
        let applied_by = match applied {
            Applied::Written(_) => None,
            Applied::Prepared { id } => match configuration.applied_by(id) {
                None if configuration.prepared(id).is_none() => return Ok(Now::Expired),
                None => {
                    let command = self.command_for(id);
                    return Ok(Now::Waits { command });
                }
                by => by,
            },
        };
        let view = self.status().await?.configuration.clone();
        let needs_restart = [view.needs_restart, view.needs_reload].concat();
        let failed = |error: Option<String>| error.filter(|_| !needs_restart.is_empty());
        let restart = failed(view.last_restart.and_then(|it| it.error));
        let reload = failed(view.last_reload.and_then(|it| it.error));
        Ok(Now::Written {
            applied_by,
            error: view.problems.into_iter().next().or(restart).or(reload),
            needs_restart,
        })
    }

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
