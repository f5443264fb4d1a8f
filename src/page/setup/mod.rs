//! Set-up: the app in Entra, the mailbox that sends, and who may connect.
//!
//! Promises: saving asks Microsoft first, and changes nothing if the answer is no, unless the
//! administrator insists. A secret goes into a file that only the relay's user can read, never
//! into relay.toml, and is never shown; a file that neither relay.toml nor a prepared change
//! names does not stay. What the form does not know in relay.toml stays as it is, and so does what
//! an environment variable decides. A form that was filled in for another version of the file is
//! refused.

mod form;
mod held;
mod inputs;
mod into_file;
mod mistake;
mod restart;
mod saved;
pub(super) mod texts;
mod trouble;
mod variables;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
use secrecy::SecretString;
use serde::Deserialize;

use self::form::Field;
use self::form::Fields;
pub(super) use self::held::Held;
use self::mistake::Mistake;
pub use self::saved::Outcomes;
use self::trouble::Trouble;
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
use crate::admin::AdminState;
use crate::admin::AuditAction;
use crate::admin::attention::Finding;
use crate::admin::attention::FindingState;
use crate::admin::scope_commands;
use crate::catalogue::App;
use crate::config::edit::Change;
use crate::config::edit::EditError;
use crate::config::edit::Editor;
use crate::config::edit::KeptSecret;
use crate::config::edit::keep_secret;

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
        seen: None,
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
#[derive(Debug, Template)]
#[template(path = "setup.html")]
struct Setup {
    layout: Layout,
    fields: Fields,
    /// The names of all accounts.
    accounts: Vec<String>,
    trouble: Trouble,
    /// Where an administrator of the tenant consents, if the form says enough for that.
    consent: Option<String>,
    /// PowerShell that limits the app to its mailbox.
    commands: Vec<String>,
    /// Whether the commands have names that are still to be filled in.
    has_gaps: bool,
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
    let configuration = &page.admin_state.configuration;
    let mut trouble = Trouble::default();
    let (fields, accounts) = match configuration.editor().await {
        Some(Ok(editor)) => {
            let account = which.account.as_deref();
            let fields = form::read(&editor, account, &configuration.in_force());
            (fields, form::accounts(&editor))
        }
        Some(Err(error)) => {
            trouble = Trouble::of(&error);
            (Fields::default(), Vec::new())
        }
        None => (Fields::default(), Vec::new()),
    };
    let setup = page.setup_form(&visitor, fields, accounts, trouble).await?;
    super::shown(&setup)
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
    mut fields: Fields,
    by: String,
) -> Result<Response, Broken> {
    // Of two at the same time, each would remove the other's secret.
    let _one = page.saves.lock().await;
    let configuration = &page.admin_state.configuration;
    let editor = match configuration.editor().await {
        Some(Ok(editor)) => editor,
        Some(Err(error)) => {
            // It is held for the time when the file can be read again.
            let secret = fields.take_secret(&page.held);
            let trouble = Trouble::of(&error).with(fields.lost_secret());
            let form = (fields, Vec::new(), secret);
            return page.unsaved(&visitor, form, trouble).await;
        }
        // Without a file, the form has no button.
        None => return Ok(StatusCode::NOT_FOUND.into_response()),
    };
    let accounts = form::accounts(&editor);
    let in_force = configuration.in_force();
    let known = form::read(&editor, Some(&fields.account), &in_force);
    let mut fields = fields.with_what_is_known(&known);
    let secret = fields.take_secret(&page.held);
    let mut errors = fields.errors(secret.as_ref());
    if editor.version() != fields.version {
        errors.push(Mistake::Changed);
    }
    let saved = match errors.is_empty() {
        true => {
            let form = (&fields, secret.as_ref());
            page.check_and_save(&visitor, form, editor, &by).await
        }
        false => Err(Trouble::of_mistakes(errors)),
    };
    match saved {
        Ok(id) => Ok(Redirect::to(&format!("/setup/changes/{id}")).into_response()),
        Err(trouble) => {
            let form = (fields, accounts, secret);
            page.unsaved(&visitor, form, trouble).await
        }
    }
}

/// The settings that differ, without their values.
fn changed(change: &Change) -> String {
    let keys: Vec<String> = change.keys.iter().map(ToString::to_string).collect();
    keys.join(", ")
}

/// How often it is looked for secrets that nothing needs.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// A change that was prepared waits for a day, and a form for the answer of Microsoft.
const LEAST: Duration = Duration::from_secs(25 * 60 * 60);

/// Removes now and then the secrets of changes that were never applied.
pub(super) async fn forget_secrets(admin_state: &AdminState) -> Infallible {
    loop {
        let now = admin_state.means.clock.now();
        admin_state.configuration.forget_secrets(now, LEAST).await;
        tokio::time::sleep(EVERY).await;
    }
}

impl Page {
    /// Checks a form and saves it. Returns the name of what came of it.
    async fn check_and_save(
        &self,
        visitor: &Visitor,
        (fields, secret): (&Fields, Option<&SecretString>),
        editor: Editor,
        by: &str,
    ) -> Result<String, Trouble> {
        let data_dir = self.admin_state.configuration.in_force().data_dir;
        let keep = |secret| keep_secret(&data_dir, fields.account_name(), secret);
        let file = secret.map(keep).transpose().map_err(|error| {
            let path = data_dir.clone();
            Trouble::of(&EditError::Write { path, error })
        })?;
        let change = fields.change(editor, file.as_ref().map(KeptSecret::path));
        let change = change.map_err(|error| Trouble::of(&error))?;
        visitor.audit_about(changed(&change));
        let findings = self.check_account(fields, &change).await;
        let is_refused = findings.iter().any(|it| it.state == FindingState::Failure);
        if is_refused && fields.anyway.is_empty() {
            return Err(Trouble::of_findings(&findings));
        }
        let is_delegated = fields.is_delegated();
        let path = change.path.clone();
        let saved = self.save_change(visitor, change, findings, is_delegated, by);
        let saved = saved.await;
        match (file, &saved) {
            (Some(file), Ok(_)) => file.named(),
            (Some(file), Err(_)) => file.named_if_in(&path),
            (None, _) => {}
        }
        let id = saved.map_err(|error| Trouble::of(&error))?;
        let now = self.admin_state.means.clock.now();
        let configuration = &self.admin_state.configuration;
        configuration.forget_secrets(now, Duration::ZERO).await;
        Ok(id)
    }

    /// The form again: nothing was changed. A secret that may be right is held for it.
    async fn unsaved(
        &self,
        visitor: &Visitor,
        (mut fields, accounts, secret): (Fields, Vec<String>, Option<SecretString>),
        trouble: Trouble,
    ) -> Result<Response, Broken> {
        visitor.audit_refused(trouble.reasons());
        let kept = std::mem::take(&mut fields.kept);
        match secret.filter(|_| !trouble.is_typed_wrong(Field::Secret)) {
            Some(secret) => {
                let name = self.held.keep(&kept, secret);
                fields.kept = name.map_err(|_| Broken::Random)?;
            }
            None => self.held.forget(&kept),
        }
        let setup = self.setup_form(visitor, fields, accounts, trouble).await?;
        Ok((StatusCode::UNPROCESSABLE_ENTITY, super::shown(&setup)?).into_response())
    }

    async fn setup_form(
        &self,
        visitor: &Visitor,
        fields: Fields,
        accounts: Vec<String>,
        trouble: Trouble,
    ) -> Result<Setup, Broken> {
        let is_good = |field, has: bool| has && !trouble.is_at(field);
        let tenant = is_good(Field::Tenant, fields.has_tenant());
        let app = is_good(Field::ClientId, fields.has_client_id());
        let mailbox = is_good(Field::Mailbox, fields.has_mailbox());
        let client_id = fields.client_id.trim();
        let consent = App {
            tenant: fields.tenant.trim(),
            client_id,
            login_url: fields.entra(),
        };
        Ok(Setup {
            layout: self.layout(visitor, Some(Tab::Setup)).await?,
            consent: (tenant && app).then(|| consent.admin_consent()),
            commands: scope_commands(
                if app { client_id } else { "CLIENT_ID" },
                if mailbox {
                    fields.mailbox.trim()
                } else {
                    "MAILBOX"
                },
            ),
            has_gaps: !(app && mailbox),
            fields,
            accounts,
            trouble,
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
        is_delegated: bool,
        by: &str,
    ) -> Result<String, EditError> {
        let (keys, lines) = (change.keys.clone(), change.lines());
        let applied = self.admin_state.configuration.apply(change, by).await?;
        visitor.audit_change(&applied);
        self.forget_status().await;
        Ok(self.outcomes.keep(saved::Outcome {
            applied,
            keys,
            lines,
            findings,
            is_delegated,
        }))
    }
}
