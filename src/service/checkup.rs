//! The relay examines itself, as `doctor` does, every `[doctor] every`, and when somebody
//! asks for it on the admin page.
//!
//! The checks read files and wait for hosts, so they run on a thread of their own with its
//! own runtime: nothing that hangs there delays mail. They send nothing and end after
//! [`LONGEST`]. A check that cannot be ended keeps its thread, and no other is begun then.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admin::AdminState;
use crate::admin::attention::Checkup;
use crate::admin::attention::Finding;
use crate::admin::attention::FindingState;
use crate::config::Config;
use crate::doctor;
use crate::doctor::Heard;
use crate::telemetry::alertlog;

/// The first one is soon after the start, when the relay is at work.
const FIRST: Duration = Duration::from_secs(5 * 60);
/// Every host may take as long as `http.timeout`.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Examines again and again, or only when asked, until `stop`.
pub(super) async fn run(
    every: Option<Duration>,
    file: PathBuf,
    admin_state: AdminState,
    stop: CancellationToken,
) {
    let examinations = async {
        let mut wait = every.map(|every| every.min(FIRST));
        let mut running: Option<std::thread::JoinHandle<()>> = None;
        loop {
            tokio::select! {
                () = after(wait) => {}
                () = admin_state.checkup.wanted() => {}
            }
            wait = every;
            if running.as_ref().is_some_and(|thread| !thread.is_finished()) {
                alertlog::not_examined("the examination before has not ended yet");
                admin_state.checkup.set_running(false);
                continue;
            }
            admin_state.checkup.set_running(true);
            running = examine(&file, &admin_state).await;
        }
    };
    tokio::select! {
        () = examinations => {}
        () = stop.cancelled() => {}
    }
}

async fn after(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// Examines once. Returns the thread.
async fn examine(file: &Path, admin_state: &AdminState) -> Option<std::thread::JoinHandle<()>> {
    let heard = Heard::Status(Box::new(admin_state.status().await));
    let environment = admin_state.configuration.environment();
    let (begun, file) = (Instant::now(), file.to_owned());
    let (answer, answered) = oneshot::channel();
    let thread = std::thread::Builder::new().name("doctor".to_owned());
    let thread = thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        let findings = runtime.block_on(async {
            let examined = doctor::examine(&file, environment, &heard);
            tokio::time::timeout(LONGEST, examined).await.ok()
        });
        // A name that is still being looked up keeps nobody waiting.
        runtime.shutdown_background();
        let _stopped = answer.send(findings);
    });
    let findings = tokio::time::timeout(LONGEST + FIRST, answered).await;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let findings = findings.ok().and_then(Result::ok).flatten();
    let error = findings.is_none().then(|| {
        let minutes = LONGEST.as_secs() / 60;
        format!("the examination did not end within {minutes} minutes")
    });
    if let Some(error) = &error {
        alertlog::not_examined(error);
    }
    let (ok, findings): (Vec<Finding>, Vec<Finding>) = findings
        .unwrap_or_default()
        .into_iter()
        .partition(|finding| finding.state == FindingState::Ok);
    log(&findings, took_ms);
    admin_state.checkup.set(Checkup {
        at: admin_state.means.clock.now(),
        took_ms,
        ok: ok.len(),
        passed: ok,
        findings,
        error,
    });
    thread.ok()
}

/// How long somebody waits who saves the set-up page.
const OF_A_PERSON: Duration = Duration::from_secs(15);

/// Checks the accounts of a configuration that is not in force yet.
pub(super) async fn accounts(config: Config) -> Vec<Finding> {
    let (answer, answered) = oneshot::channel();
    let thread = std::thread::Builder::new().name("doctor".to_owned());
    let started = thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        let findings = runtime.block_on(async {
            let examined = doctor::accounts(&config);
            tokio::time::timeout(OF_A_PERSON, examined).await.ok()
        });
        runtime.shutdown_background();
        let _stopped = answer.send(findings);
    });
    let findings = match started {
        Ok(_) => answered.await.ok().flatten(),
        Err(_) => None,
    };
    findings.unwrap_or_else(|| {
        let seconds = OF_A_PERSON.as_secs();
        vec![Finding {
            check: "token".to_owned(),
            state: FindingState::Failure,
            words: format!("Microsoft has not answered within {seconds} seconds"),
            remedy: Some("check the network of this machine: graph-relay doctor".to_owned()),
            place: None,
            cause: None,
            key: None,
        }]
    })
}

fn log(findings: &[Finding], took_ms: u64) {
    let is_failure = |it: &&Finding| it.state == FindingState::Failure;
    for failure in findings.iter().filter(is_failure) {
        alertlog::doctor_failure(&failure.check, &failure.words, failure.remedy.as_deref());
    }
    let failures = findings.iter().filter(is_failure).count();
    alertlog::examined(failures, findings.len() - failures, took_ms);
}
