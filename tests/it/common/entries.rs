//! A spool used through its own interface, and a plain message in it.

use std::path::Path;
use std::time::Instant;

use graph_relay::clock::Clock;
use graph_relay::mail::Destination;
use graph_relay::mail::EnhancedStatus;
use graph_relay::mail::Envelope;
use graph_relay::mail::ReportRequest;
use graph_relay::mail::ReversePath;
use graph_relay::mail::SpoolId;
use graph_relay::mail::Trace;
use graph_relay::spool::AttemptOutcome;
use graph_relay::spool::AttemptReport;
use graph_relay::spool::Claimed;
use graph_relay::spool::NewEntry;
use graph_relay::spool::Next;
use graph_relay::spool::Recovered;
use graph_relay::spool::Settings;
use graph_relay::spool::Spool;
use graph_relay::spool::SpoolError;
use graph_relay::spool::Subjects;
use graph_relay::spool::Want;

use super::PATIENCE;

pub(crate) fn open(folder: &Path, clock: Clock) -> (Spool, Recovered) {
    let settings = Settings {
        folder: folder.to_owned(),
        size: 10_000_000,
        free_space: 0,
        subjects: Subjects::Kept,
    };
    open_with(&settings, &clock).unwrap()
}

/// A spool of one megabyte.
pub(crate) fn small(folder: &Path) -> Spool {
    let settings = Settings {
        folder: folder.to_owned(),
        size: 1_000_000,
        free_space: 0,
        subjects: Subjects::Kept,
    };
    open_with(&settings, &Clock::System).unwrap().0
}

pub(crate) fn open_with(
    settings: &Settings,
    clock: &Clock,
) -> Result<(Spool, Recovered), SpoolError> {
    when_free(|| Spool::open(settings.clone(), clock.clone()))
}

/// Opens a spool that the test may have had open before. Another test may start a process
/// at that moment, which inherits every lock until it runs its program, so this tries
/// again.
pub(crate) fn when_free<T>(
    with_the_spool: impl Fn() -> Result<T, SpoolError>,
) -> Result<T, SpoolError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match with_the_spool() {
            Err(SpoolError::InUse(_)) if Instant::now() < deadline => std::thread::yield_now(),
            done => return done,
        }
    }
}

/// The destination of every message here.
pub(crate) fn destination() -> Destination {
    Destination {
        account: "default".to_owned(),
        mailbox: "relay@contoso.example".parse().unwrap(),
    }
}

pub(crate) async fn accept(spool: &Spool, content: &[u8]) -> SpoolId {
    let mut incoming = spool.receive(spool.new_id());
    incoming.write(content).await.unwrap();
    let entry = NewEntry {
        content: incoming,
        envelope: Envelope {
            reverse_path: ReversePath::Null,
            recipients: vec!["a@example.org".parse().unwrap()],
            asked: Vec::new(),
            utf8: false,
            reports: ReportRequest::default(),
        },
        trace: Trace {
            client: "127.0.0.1".parse().unwrap(),
            hello: "client".to_owned(),
            protocol: "ESMTP".to_owned(),
            user: None,
        },
        author: None,
        destination: destination(),
        bound: None,
        largest_part: 500,
        message_id: None,
        subject: String::new(),
    };
    spool.accept(entry).await.unwrap().id
}

/// Claims everything that is due.
pub(crate) async fn claim(spool: &Spool) -> Vec<Claimed> {
    let wants = vec![Want::any(destination(), 10)];
    spool.claim(wants).await.unwrap().claimed
}

pub(crate) fn report(next: Next) -> AttemptReport {
    AttemptReport {
        outcome: AttemptOutcome::Deferred,
        http_status: None,
        code: None,
        reason: "a test's".to_owned(),
        status: EnhancedStatus::SUCCESS,
        request_id: None,
        retry_after: None,
        next,
        trouble_since: None,
        own_trouble: false,
        dsn: None,
        requests: 1,
        uploaded: 12,
    }
}
