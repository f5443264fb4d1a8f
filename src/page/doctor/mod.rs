//! What the relay found when it last examined itself, as `graph-relay doctor` prints it,
//! and a button that examines it again. The examination runs in the service
//! (`service/checkup.rs`); this page asks for it and shows its result.

mod texts;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;

pub(super) use self::texts::DoctorTexts;
use super::Broken;
use super::Page;
use super::access::change::Who;
use super::access::change::change;
use super::audit;
use super::layout::Layout;
use super::layout::Tab;
use super::visitor::Role;
use super::visitor::Visitor;
use crate::admin::AuditAction;
use crate::admin::AuditResult;
use crate::admin::attention::Checkup;
use crate::admin::attention::Finding;
use crate::admin::attention::FindingState;

const PATH: &str = "/doctor";
/// Who may let the relay examine itself.
const CHECKS: Who = Who::Role(Role::Operator);

pub(super) fn router() -> Router<Arc<Page>> {
    Router::new()
        .route("/doctor", get(shown))
        .route("/doctor/check", change(CHECKS, AuditAction::Examine, check))
}

/// An examination as it is shown.
struct Examined {
    at: String,
    /// How long ago that was, and how long it took.
    ago: String,
    took: String,
    /// How many checks had each result.
    counts: Vec<(&'static str, String)>,
    /// The worst first.
    findings: Vec<Finding>,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "doctor.html")]
struct Doctor {
    layout: Layout,
    last: Option<Examined>,
    is_served: bool,
    is_running: bool,
    may_check: bool,
    every: String,
    /// Where the audit list is, for those who may see it.
    audit: Option<&'static str>,
}

impl Doctor {
    fn class(&self, state: &FindingState) -> &'static str {
        match state {
            FindingState::Ok => "ok",
            FindingState::Warning => "warn",
            FindingState::Failure => "bad",
        }
    }

    fn state(&self, state: &FindingState) -> &'static str {
        let texts = &self.layout.texts.doctor;
        match state {
            FindingState::Ok => texts.ok,
            FindingState::Warning => texts.warning,
            FindingState::Failure => texts.failure,
        }
    }
}

async fn shown(State(page): State<Arc<Page>>, visitor: Visitor) -> Result<Response, Broken> {
    let (texts, checkup) = (visitor.texts(), &page.admin_state.checkup);
    let every = match checkup.every() {
        Some(every) => (texts.doctor.every)(&texts.time.span(every)),
        None => texts.doctor.only_on_request.to_owned(),
    };
    let may = |role| visitor.require(role).is_ok();
    let doctor = Doctor {
        last: checkup.get().map(|last| page.examined(&visitor, last)),
        is_served: checkup.is_served(),
        is_running: checkup.is_running(),
        may_check: may(Role::Operator),
        every,
        audit: may(Role::Administrator).then_some(audit::PATH),
        layout: page.layout(&visitor, Some(Tab::Doctor)).await?,
    };
    super::shown(&doctor)
}

impl Page {
    fn examined(&self, visitor: &Visitor, last: Checkup) -> Examined {
        let texts = visitor.texts();
        let (doctor, now) = (&texts.doctor, self.admin_state.means.clock.now());
        let mut findings = last.findings;
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.state));
        let of = |state| findings.iter().filter(|it| it.state == state).count();
        let counts = vec![
            ("bad", (doctor.failures)(of(FindingState::Failure))),
            ("warn", (doctor.warnings)(of(FindingState::Warning))),
            ("ok", (doctor.passed)(last.ok)),
        ];
        findings.extend(last.passed);
        let took = Duration::from_millis(last.took_ms);
        Examined {
            at: last.at.to_string(),
            ago: (doctor.last)(&texts.time.span(now.since(last.at))),
            took: (doctor.took)(&texts.time.span(took.max(Duration::from_secs(1)))),
            counts,
            findings,
            error: last.error,
        }
    }
}

async fn check(State(page): State<Arc<Page>>, visitor: Visitor) -> Response {
    visitor.audit_result(AuditResult::Begun, "");
    page.admin_state.checkup.ask();
    Redirect::to(PATH).into_response()
}
