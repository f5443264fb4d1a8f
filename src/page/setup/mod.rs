//! Set-up: the app in Entra, the mailbox that sends, and who may connect.
//!
//! Promises: saving asks Microsoft first, and changes nothing if the answer is no, unless the
//! administrator insists. A secret goes into a file that only the relay's user can read, never
//! into relay.toml, and is never shown. What the form does not know in relay.toml stays as it
//! is. A form that was filled in for another version of the file is refused.

mod form;
mod restart;
mod saved;
pub(super) mod texts;

use std::path::PathBuf;
use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use self::form::Field;
use self::form::Fields;
pub use self::saved::Outcomes;
use super::Broken;
use super::Page;
use super::access::change::Who;
use super::access::change::change;
use super::attention::Level;
use super::attention::Notice;
use super::attention::Said;
use super::layout::Layout;
use super::layout::Tab;
use super::visitor::Role;
use super::visitor::Visitor;
use crate::admin::AuditAction;
use crate::admin::attention::Finding;
use crate::admin::attention::FindingState;
use crate::admin::scope_commands;
use crate::config::Config;
use crate::config::edit::Change;
use crate::config::edit::EditError;
use crate::config::edit::forget_secrets;

/// Who may change something here.
const ADMINISTRATOR: Who = Who::Role(Role::Administrator);

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route(
            "/setup",
            get(show).merge(change(ADMINISTRATOR, AuditAction::SetUp, save)),
        )
        .route("/setup/changes/{id}", get(saved::show))
        .route(
            "/setup/restart",
            get(restart::show).merge(change(
                ADMINISTRATOR,
                AuditAction::Restart,
                restart::restart,
            )),
        )
}

/// What every page says while there is no account.
pub(super) fn needed(visitor: &Visitor) -> Notice {
    let texts = &visitor.texts().setup;
    Notice {
        level: Level::Warning,
        title: texts.needed.to_owned(),
        since: None,
        details: vec![Said::new(texts.needed_help, visitor.language)],
        remedy: None,
        command: None,
        link: visitor
            .require(Role::Administrator)
            .is_ok()
            .then(|| "/setup".to_owned()),
    }
}

/// The form, with what is wrong with it.
#[derive(Template)]
#[template(path = "setup.html")]
struct Setup {
    layout: Layout,
    fields: Fields,
    /// The names of all accounts.
    accounts: Vec<String>,
    errors: Vec<(Field, &'static str)>,
    /// What the relay says about the file, in English.
    problems: Vec<String>,
    /// What Microsoft says, if it is not good.
    findings: Vec<Finding>,
    /// PowerShell that limits the app to its mailbox.
    commands: Vec<String>,
    /// Whether the relay may write the file.
    file: Option<PathBuf>,
}

impl Setup {
    /// Microsoft's clouds, as relay.toml names them and as people do.
    fn clouds(&self) -> [(&'static str, &'static str); 5] {
        [
            ("", "Microsoft 365"),
            ("global", "Microsoft 365 (global)"),
            ("us-gov", "US Government (GCC High)"),
            ("us-dod", "US Government (DoD)"),
            ("china", "China (21Vianet)"),
        ]
    }

    fn error(&self, name: &str) -> Option<&'static str> {
        let mut errors = self.errors.iter();
        let found = errors.find(|(field, _)| field.name() == name);
        found.map(|(_, words)| *words)
    }

    /// Why it was not saved, on one line.
    fn reasons(&self) -> String {
        let errors = self.errors.iter().map(|(_, words)| *words);
        let problems = self.problems.iter().map(String::as_str);
        let findings = self.findings.iter().map(|it| it.words.as_str());
        let all: Vec<&str> = errors.chain(problems).chain(findings).collect();
        all.join("; ")
    }

    fn has_trouble(&self) -> bool {
        !(self.errors.is_empty() && self.problems.is_empty() && self.findings.is_empty())
    }
}

#[derive(Debug, Deserialize)]
struct Which {
    account: Option<String>,
}

async fn show(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(which): Query<Which>,
) -> Result<Response, Broken> {
    if let Err(refused) = visitor.require(Role::Administrator) {
        return Ok(refused.into_response());
    }
    let (fields, accounts, problems) = match page.admin_state.configuration.editor().await {
        Some(Ok(editor)) => {
            let fields = form::read(&editor, which.account.as_deref());
            (fields, form::accounts(&editor), Vec::new())
        }
        Some(Err(error)) => (Fields::default(), Vec::new(), lines(&error)),
        None => (Fields::default(), Vec::new(), Vec::new()),
    };
    let setup = page.setup_form(&visitor, fields, accounts).await?;
    super::shown(&Setup { problems, ..setup })
}

async fn save(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Form(fields): Form<Fields>,
) -> Result<Response, Broken> {
    let by = match visitor.logged_in() {
        Ok(session) => session.name.clone(),
        Err(refused) => return Ok(refused.into_response()),
    };
    let saved = saved_by(Arc::clone(&page), visitor, fields, by);
    page.orders.spawn(saved).await.map_err(|_| Broken::Spool)?
}

/// Checks and saves a form, whether or not the browser still waits for the answer.
async fn saved_by(
    page: Arc<Page>,
    visitor: Visitor,
    fields: Fields,
    by: String,
) -> Result<Response, Broken> {
    let editor = match page.admin_state.configuration.editor().await {
        Some(Ok(editor)) => editor,
        Some(Err(error)) => {
            let setup = page.setup_form(&visitor, fields, Vec::new()).await?;
            let problems = lines(&error);
            return unsaved(&visitor, &Setup { problems, ..setup });
        }
        // The sandbox has no file, and its form no button.
        None => return Ok(StatusCode::NOT_FOUND.into_response()),
    };
    let accounts = form::accounts(&editor);
    let known = form::read(&editor, Some(&fields.account));
    let fields = fields.with_credential_of(&known);
    let texts = &visitor.texts().setup;
    let mut errors = fields.errors(texts);
    if editor.version() != fields.version {
        errors.push((Field::File, texts.changed_meanwhile));
    }
    if !errors.is_empty() {
        let setup = page.setup_form(&visitor, fields.without_secret(), accounts);
        let setup = setup.await?;
        return unsaved(&visitor, &Setup { errors, ..setup });
    }
    let data_dir = page.admin_state.configuration.in_force().data_dir;
    let prepared = fields.prepared(editor, &data_dir);
    let (fields, change) = match prepared {
        (fields, Ok(change)) => (fields, change),
        (fields, Err(error)) => {
            let setup = page.setup_form(&visitor, fields, accounts).await?;
            let problems = lines(&error);
            return unsaved(&visitor, &Setup { problems, ..setup });
        }
    };
    visitor.audit_about(changed(&change));
    let findings = page.check_account(&fields, &change).await;
    let is_refused = findings.iter().any(|it| it.state == FindingState::Failure);
    if is_refused && fields.anyway.is_empty() {
        let setup = page.setup_form(&visitor, fields, accounts).await?;
        let bad = findings
            .into_iter()
            .filter(|it| it.state != FindingState::Ok);
        let findings = bad.collect();
        return unsaved(&visitor, &Setup { findings, ..setup });
    }
    match page.save_change(&visitor, change, findings, &by).await {
        Ok(id) => Ok(Redirect::to(&format!("/setup/changes/{id}")).into_response()),
        Err(error) => {
            let setup = page.setup_form(&visitor, fields, accounts).await?;
            let problems = lines(&error);
            unsaved(&visitor, &Setup { problems, ..setup })
        }
    }
}

/// Nothing was changed.
fn unsaved(visitor: &Visitor, setup: &Setup) -> Result<Response, Broken> {
    visitor.audit_refused(setup.reasons());
    Ok((StatusCode::UNPROCESSABLE_ENTITY, super::shown(setup)?).into_response())
}

/// The settings that differ, without their values.
fn changed(change: &Change) -> String {
    let keys: Vec<String> = change.keys.iter().map(ToString::to_string).collect();
    keys.join(", ")
}

/// One line for each problem.
fn lines(error: &EditError) -> Vec<String> {
    error.to_string().lines().map(str::to_owned).collect()
}

impl Page {
    async fn setup_form(
        &self,
        visitor: &Visitor,
        fields: Fields,
        accounts: Vec<String>,
    ) -> Result<Setup, Broken> {
        Ok(Setup {
            layout: self.layout(visitor, Some(Tab::Setup)).await?,
            commands: scope_commands(&fields.client_id, &fields.mailbox),
            fields,
            accounts,
            errors: Vec::new(),
            problems: Vec::new(),
            findings: Vec::new(),
            file: self.admin_state.configuration.file().map(PathBuf::from),
        })
    }

    /// Asks Microsoft whether the account of a form works.
    async fn check_account(&self, fields: &Fields, change: &Change) -> Vec<Finding> {
        let mut config = change.config.clone();
        let name = fields.account_name();
        config.accounts.retain(|account| account.name == name);
        self.admin_state.configuration.check_access(config).await
    }

    /// Writes a change, or prepares it. Returns the name of what came of it.
    async fn save_change(
        &self,
        visitor: &Visitor,
        change: Change,
        findings: Vec<Finding>,
        by: &str,
    ) -> Result<String, EditError> {
        let (keys, lines) = (change.keys.clone(), change.lines());
        let texts = [change.before.clone(), change.after.clone()];
        let configuration = &self.admin_state.configuration;
        let applied = configuration.apply(change, by).await?;
        visitor.audit_change(&applied);
        let texts = [texts.to_vec(), configuration.prepared_texts()].concat();
        // The accounts in force are those of the start: until a restart, and after it if the new
        // file does not work, they need their secrets.
        let Config {
            data_dir, accounts, ..
        } = configuration.in_force();
        forget_secrets(&data_dir, &texts, &accounts);
        self.forget_status().await;
        Ok(self.outcomes.keep(saved::Outcome {
            applied,
            keys,
            lines,
            findings,
        }))
    }
}
