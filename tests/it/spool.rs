//! The spool through its own interface: damage by a disk or by other programs must not
//! stop the other messages.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use graph_relay::clock::Clock;
use graph_relay::clock::RunningTime;
use graph_relay::mail::Destination;
use graph_relay::mail::Origin;
use graph_relay::mail::ReversePath;
use graph_relay::mail::SpoolId;
use graph_relay::spool::AcceptError;
use graph_relay::spool::Action;
use graph_relay::spool::AttemptOutcome;
use graph_relay::spool::AttemptReport;
use graph_relay::spool::Decision;
use graph_relay::spool::Draft;
use graph_relay::spool::Dsn;
use graph_relay::spool::DsnKind;
use graph_relay::spool::Next;
use graph_relay::spool::Order;
use graph_relay::spool::Recovered;
use graph_relay::spool::Settings;
use graph_relay::spool::Spool;
use graph_relay::spool::Stage;
use graph_relay::spool::State;
use graph_relay::spool::Subjects;
use graph_relay::spool::Verdict;
use graph_relay::spool::Which;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::common::entries;
use crate::common::entries::accept;
use crate::common::entries::claim;
use crate::common::entries::destination;
use crate::common::entries::report;

fn open(folder: &Path) -> (Spool, Recovered) {
    entries::open(folder, Clock::System)
}

#[tokio::test]
async fn an_unreadable_entry_is_quarantined_and_the_others_are_sent() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    let good = accept(&spool, b"good\r\n").await;
    let damages = [
        "DELETE FROM content WHERE entry = ?1",
        "UPDATE recipient SET address = 'no address' WHERE entry = ?1",
        "UPDATE entry SET client = 'nowhere' WHERE id = ?1",
        "UPDATE entry SET author = 'no author' WHERE id = ?1",
    ];
    let stranger = Connection::open(folder.path().join("spool.db")).unwrap();
    for damage in damages {
        let bad = accept(&spool, b"bad\r\n").await;
        stranger.execute(damage, [bad.to_string()]).unwrap();
    }

    let claimed = claim(&spool).await;

    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].id, good);
    let listed = spool.list(None, 10).await.unwrap();
    let aside = listed
        .iter()
        .filter(|entry| entry.state == State::Quarantined);
    assert_eq!((listed.len(), aside.count()), (5, 4));
    assert_eq!(
        spool
            .reroute(Vec::new(), |_| Some(destination()))
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn an_interrupted_attempt_is_doubtful_at_the_next_start() {
    let folder = TempDir::new().unwrap();
    let id = {
        let (spool, _) = open(folder.path());
        let id = accept(&spool, b"content\r\n").await;
        assert_eq!(claim(&spool).await.len(), 1);
        spool.close().await;
        id
    };

    let (spool, recovered) = open(folder.path());

    assert_eq!(recovered.interrupted, [id]);
    assert_eq!(recovered.waiting, 1);
    let shown = spool.show(id).await.unwrap().unwrap();
    assert_eq!(shown.timeline[0].outcome, Some(AttemptOutcome::Doubtful));
    assert_eq!(claim(&spool).await[0].attempt, 2);
}

fn dsn(spool: &Spool, kind: DsnKind) -> Dsn {
    Dsn {
        id: spool.new_id(),
        kind,
        content: b"Subject: report\r\n\r\n".to_vec(),
        message_id: "<report@relay.example>".to_owned(),
        subject: "report".to_owned(),
        author: destination().mailbox,
        recipient: "anna@contoso.example".parse().unwrap(),
        destination: destination(),
    }
}

#[tokio::test]
async fn a_crash_never_separates_a_failure_from_its_report() {
    let folder = TempDir::new().unwrap();
    let (id, about) = {
        let (spool, _) = open(folder.path());
        accept(&spool, b"content\r\n").await;
        let failed = claim(&spool).await.remove(0);
        let dsn = dsn(&spool, DsnKind::Failure);
        let report = AttemptReport {
            dsn: Some(dsn.clone()),
            ..report(Next::Failed)
        };
        spool.settle(&failed, report).await.unwrap();
        (dsn.id, failed.id)
    };

    let (spool, _) = open(folder.path());

    let claimed = claim(&spool).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].id, claimed[0].about), (id, Some(about)));
    assert_eq!(claimed[0].envelope.reverse_path, ReversePath::Null);
    assert_eq!(
        claimed[0].envelope.recipients[0].as_str(),
        "anna@contoso.example"
    );
    let totals = spool.totals().await.unwrap();
    assert_eq!((totals.waiting, totals.failed), (1, 1));
}

#[tokio::test]
async fn a_delay_notice_is_withdrawn_when_it_is_no_longer_true() {
    for next in [Next::Delivered, Next::Failed] {
        let folder = TempDir::new().unwrap();
        let (spool, _) = open(folder.path());
        let id = accept(&spool, b"content\r\n").await;
        let late = claim(&spool).await.remove(0);
        assert!(!late.warned);
        let dsn = dsn(&spool, DsnKind::Delay);
        let due = RunningTime::START;
        let warned = AttemptReport {
            dsn: Some(dsn.clone()),
            ..report(Next::Wait(due))
        };
        assert!(spool.settle(&late, warned).await.unwrap().is_empty());
        let mut claimed = claim(&spool).await;
        claimed.sort_by_key(|entry| entry.id != id);
        let [late, warning] = &claimed[..] else {
            panic!("{claimed:?}");
        };
        assert!(late.warned && warning.about == Some(id));
        spool
            .settle(warning, report(Next::Wait(due)))
            .await
            .unwrap();

        let withdrawn = spool.settle(late, report(next)).await.unwrap();

        assert_eq!(withdrawn, [dsn.id]);
        assert!(claim(&spool).await.is_empty());
        let shown = spool.show(dsn.id).await.unwrap().unwrap();
        assert_eq!(shown.summary.state, State::Dropped);
    }
}

#[tokio::test]
async fn a_message_whose_file_is_gone_is_quarantined() {
    let folder = TempDir::new().unwrap();
    let id = {
        let (spool, _) = open(folder.path());
        let id = accept(&spool, &vec![b'x'; 200_000]).await;
        spool.close().await;
        id
    };
    fs::remove_file(folder.path().join("content").join(id.to_string())).unwrap();

    let (spool, recovered) = open(folder.path());

    assert_eq!(recovered.quarantined, [id]);
    assert!(claim(&spool).await.is_empty());
    assert_eq!(
        spool.show(id).await.unwrap().unwrap().summary.state,
        State::Quarantined
    );
}

#[tokio::test]
async fn finished_messages_are_purged_after_their_retention() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    let mut ended = Vec::new();
    for next in [Next::Delivered, Next::Failed] {
        ended.push(accept(&spool, b"content\r\n").await);
        for entry in claim(&spool).await {
            spool.settle(&entry, report(next)).await.unwrap();
        }
    }
    let waiting = accept(&spool, b"content\r\n").await;
    let future = RunningTime::from_millis(i64::MAX);
    let past = RunningTime::START;
    assert!(spool.purge(past, past).await.unwrap().is_empty());
    assert_eq!(spool.newest_forgotten().await.unwrap(), None);

    let forgotten = spool.purge(future, future).await.unwrap();

    assert_eq!(forgotten.len(), 1, "the failed one is named");
    let totals = spool.totals().await.unwrap();
    assert_eq!((totals.waiting, totals.delivered, totals.failed), (1, 0, 0));
    assert_eq!(claim(&spool).await[0].id, waiting);
    let newest = spool.newest_forgotten().await.unwrap();
    assert_eq!(newest, ended.into_iter().max());
}

#[tokio::test]
async fn only_the_owner_can_read_the_spool() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    accept(&spool, &vec![b'x'; 200_000]).await;

    let mut files = 0;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
            }
        }
    }
    assert!(files >= 4, "database, log, lock and content");
}

#[tokio::test]
async fn only_one_process_can_open_the_spool() {
    let folder = TempDir::new().unwrap();
    let (_spool, _) = open(folder.path());
    let settings = Settings {
        folder: folder.path().to_owned(),
        size: 1,
        free_space: 0,
        subjects: Subjects::Kept,
    };

    let second = Spool::open(settings, Clock::System);

    assert!(second.unwrap_err().to_string().contains("is in use"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_of_format_1_is_upgraded_with_its_waiting_mail() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    let id = accept(&spool, b"Subject: old\r\n\r\nx\r\n").await;
    spool.close().await;
    drop(spool);
    let path = folder.path().join("spool.db");
    let database = Connection::open(&path).unwrap();
    database
        .execute_batch(
            "DROP INDEX entry_open; DROP INDEX entry_about;
             CREATE INDEX entry_open ON entry (id) WHERE state <> 'delivered';
             ALTER TABLE entry DROP COLUMN user; ALTER TABLE entry DROP COLUMN bound;
             ALTER TABLE entry DROP COLUMN draft; ALTER TABLE entry DROP COLUMN draft_stage;
             ALTER TABLE entry DROP COLUMN draft_since;
             ALTER TABLE entry DROP COLUMN part_of; ALTER TABLE entry DROP COLUMN about;
             ALTER TABLE entry DROP COLUMN warned; ALTER TABLE attempt DROP COLUMN requests;
             ALTER TABLE attempt DROP COLUMN uploaded; DROP INDEX entry_ended; DROP TABLE clock;
             DROP INDEX attempt_begun_running;
             ALTER TABLE entry RENAME COLUMN due_running TO due_at;
             ALTER TABLE entry DROP COLUMN accepted_running;
             ALTER TABLE entry DROP COLUMN ended_running;
             ALTER TABLE attempt DROP COLUMN begun_running;
             ALTER TABLE attempt DROP COLUMN ended_running;
             CREATE INDEX entry_ended ON entry (state, ended_at) WHERE ended_at IS NOT NULL;
             ALTER TABLE entry DROP COLUMN own_trouble;
             ALTER TABLE entry DROP COLUMN rows_cost;
             ALTER TABLE entry DROP COLUMN content_cost; PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(database);

    let (spool, _) = open(folder.path());

    // Its size counts as if it had been accepted now.
    assert!(spool.holdings().states["waiting"] > 400);
    let claimed = claim(&spool).await;
    assert_eq!(claimed[0].id, id);
    assert_eq!(claimed[0].trace.user, None);
}

async fn act(spool: &Spool, action: Action, id: SpoolId) -> Decision {
    let which = Which::Ids(vec![id]);
    let decided = spool.operate(Order { action, which }, 7).await.unwrap();
    decided.decisions.into_iter().next().unwrap()
}

async fn state(spool: &Spool, id: SpoolId) -> &'static str {
    spool.show(id).await.unwrap().unwrap().summary.state.name()
}

/// An entry in this state, with its content in a file if it is large.
async fn in_state(spool: &Spool, folder: &Path, state: &str, content: &[u8]) -> SpoolId {
    let id = accept(spool, content).await;
    let settled = match state {
        "waiting" => return id,
        "held" => {
            act(spool, Action::Hold, id).await;
            return id;
        }
        "dropped" => {
            act(spool, Action::Drop, id).await;
            return id;
        }
        "quarantined" => {
            let stranger = Connection::open(folder.join("spool.db")).unwrap();
            let change = "UPDATE entry SET state = 'quarantined', ended_at = 1 WHERE id = ?1";
            stranger.execute(change, [id.to_string()]).unwrap();
            return id;
        }
        "claimed" => None,
        "delivered" => Some(Next::Delivered),
        "failed" => Some(Next::Failed),
        other => panic!("{other}"),
    };
    let claimed = claim(spool).await;
    let entry = claimed.iter().find(|entry| entry.id == id).unwrap();
    if let Some(next) = settled {
        spool.settle(entry, report(next)).await.unwrap();
    }
    id
}

#[tokio::test]
async fn every_operator_action_follows_the_table_in_every_state() {
    use Action::Drop;
    use Action::Hold;
    use Action::Release;
    use Action::Retry;
    use Verdict::Already;
    use Verdict::Done;
    use Verdict::Refused;
    let table = [
        ("waiting", Retry, Done, "waiting"),
        ("waiting", Hold, Done, "held"),
        ("waiting", Release, Already, "waiting"),
        ("waiting", Drop, Done, "dropped"),
        ("claimed", Retry, Already, "claimed"),
        ("claimed", Hold, Refused, "claimed"),
        ("claimed", Release, Already, "claimed"),
        ("claimed", Drop, Refused, "claimed"),
        ("held", Retry, Done, "waiting"),
        ("held", Hold, Already, "held"),
        ("held", Release, Done, "waiting"),
        ("held", Drop, Done, "dropped"),
        ("failed", Retry, Done, "waiting"),
        ("failed", Hold, Refused, "failed"),
        ("failed", Release, Refused, "failed"),
        ("failed", Drop, Done, "dropped"),
        ("quarantined", Retry, Done, "waiting"),
        ("quarantined", Hold, Refused, "quarantined"),
        ("quarantined", Release, Refused, "quarantined"),
        ("quarantined", Drop, Done, "dropped"),
        ("delivered", Retry, Refused, "delivered"),
        ("delivered", Hold, Refused, "delivered"),
        ("delivered", Release, Refused, "delivered"),
        ("delivered", Drop, Refused, "delivered"),
        ("dropped", Retry, Refused, "dropped"),
        ("dropped", Hold, Refused, "dropped"),
        ("dropped", Release, Refused, "dropped"),
        ("dropped", Drop, Already, "dropped"),
    ];
    for (before, action, verdict, after) in table {
        let folder = TempDir::new().unwrap();
        let (spool, _) = open(folder.path());
        let id = in_state(&spool, folder.path(), before, b"content\r\n").await;

        let decision = act(&spool, action, id).await;

        let row = format!("{action:?} of what is {before}: {decision:?}");
        assert_eq!(decision.verdict, verdict, "{row}");
        assert_eq!(decision.remark.is_none(), verdict == Done, "{row}");
        let shown = spool.show(id).await.unwrap().unwrap();
        assert_eq!(shown.summary.state.name(), after, "{row}");
        assert_eq!(shown.summary.recipients.len(), 1, "{row}");
        let is_claimed = claim(&spool).await.iter().any(|entry| entry.id == id);
        assert_eq!(is_claimed, after == "waiting", "{row}");
        if verdict == Done && after == "waiting" {
            assert_eq!(shown.ended_at, None, "{row}");
        }
    }
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    let unknown = act(&spool, Drop, spool.new_id()).await;
    assert_eq!(unknown.verdict, Refused);
}

#[tokio::test]
async fn a_retried_message_gets_its_whole_retry_period_again() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    let id = accept(&spool, b"content\r\n").await;
    let entry = claim(&spool).await.remove(0);
    let mut failed = report(Next::Failed);
    failed.trouble_since = Some(RunningTime::from_millis(1));
    spool.settle(&entry, failed).await.unwrap();

    act(&spool, Action::Retry, id).await;

    assert_eq!(claim(&spool).await[0].trouble_since, None);
}

#[tokio::test]
async fn a_quarantined_message_is_retried_only_when_its_content_is_back() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    let content = vec![b'x'; 200_000];
    let large = in_state(&spool, folder.path(), "quarantined", &content).await;
    let file = folder.path().join("content").join(large.to_string());
    let small = in_state(&spool, folder.path(), "quarantined", b"content\r\n").await;
    let stranger = Connection::open(folder.path().join("spool.db")).unwrap();
    stranger
        .execute("DELETE FROM content WHERE entry = ?1", [small.to_string()])
        .unwrap();
    let refused = async |id| {
        let decision = act(&spool, Action::Retry, id).await;
        assert_eq!(decision.verdict, Verdict::Refused, "{decision:?}");
        decision.remark.unwrap()
    };

    assert!(refused(small).await.contains("still cannot be read"));
    fs::remove_file(&file).unwrap();
    assert!(refused(large).await.contains("put the file back"));
    fs::write(&file, &content[1..]).unwrap();
    assert!(refused(large).await.contains("restore it in full"));
    fs::write(&file, &content).unwrap();
    assert_eq!(
        act(&spool, Action::Retry, large).await.verdict,
        Verdict::Done
    );
    assert_eq!(claim(&spool).await[0].id, large);
}

#[tokio::test]
async fn a_message_that_no_account_sends_is_not_tried_but_can_be_held_and_released() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    let id = accept(&spool, b"content\r\n").await;
    assert_eq!(spool.reroute(Vec::new(), |_| None).await.unwrap(), 1);

    let retried = act(&spool, Action::Retry, id).await;
    act(&spool, Action::Hold, id).await;
    let released = act(&spool, Action::Release, id).await;

    assert_eq!(retried.verdict, Verdict::Refused);
    assert!(retried.remark.unwrap().contains("[[account]]"));
    assert_eq!(released.verdict, Verdict::Done);
    assert!(released.remark.unwrap().contains("[[account]]"));
    assert_eq!(
        spool
            .reroute(Vec::new(), |_| Some(destination()))
            .await
            .unwrap(),
        0
    );
    assert_eq!(claim(&spool).await[0].id, id);
}

#[tokio::test]
async fn an_order_for_all_messages_works_in_pages_and_skips_later_messages() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    let entries = (0..1_100).map(|_| accept(&spool, b"content\r\n"));
    futures_util::future::join_all(entries).await;
    let count = spool.count(Action::Drop, None).await.unwrap();
    assert_eq!(count.states[&State::Waiting], 1_100);
    let after_the_count = count.at + Duration::from_millis(1);
    let moment = async || {
        while spool.running() <= after_the_count {
            tokio::task::yield_now().await;
        }
    };
    moment().await;
    let late = accept(&spool, b"late\r\n").await;

    let (mut pages, mut dropped, mut after) = (0, 0, None);
    loop {
        let which = Which::Matching {
            filter: None,
            accepted_by: count.at,
            after,
        };
        let action = Action::Drop;
        let decided = spool.operate(Order { action, which }, 7).await.unwrap();
        assert!(decided.decisions.len() <= 500);
        pages += 1;
        dropped += decided.decisions.len();
        after = decided.next;
        if after.is_none() {
            break;
        }
    }

    assert_eq!((pages, dropped), (3, 1_100));
    assert_eq!(state(&spool, late).await, "waiting");
    assert_eq!(spool.list(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_filter_finds_by_envelope_state_reason_and_age() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    let failed = in_state(&spool, folder.path(), "failed", b"content\r\n").await;
    let dropped = in_state(&spool, folder.path(), "dropped", b"content\r\n").await;
    let waiting = in_state(&spool, folder.path(), "waiting", b"content\r\n").await;
    let stranger = Connection::open(folder.path().join("spool.db")).unwrap();
    stranger
        .execute(
            "UPDATE entry SET reverse_path = 'App@Contoso.com', author = 'x_y@contoso.com',
             accepted_running = accepted_running - 7200000 WHERE id = ?1",
            [waiting.to_string()],
        )
        .unwrap();
    stranger
        .execute("UPDATE attempt SET code = 'ErrorX'", [])
        .unwrap();
    let found = async |filter: &str| {
        let filter = Some(filter.parse().unwrap());
        let found = spool.search(filter, None, 10).await.unwrap();
        found.iter().map(|entry| entry.id).collect::<Vec<_>>()
    };

    assert_eq!(found("state=failed").await, [failed]);
    assert_eq!(found("state=dropped").await, [dropped]);
    assert_eq!(found("from=app@contoso.COM").await, [waiting]);
    assert_eq!(found("from=X_*").await, [waiting]);
    assert_eq!(found("from=x_").await, []);
    assert_eq!(found("from=xay@contoso.com").await, []);
    assert_eq!(found("from=<>").await, [failed]);
    assert_eq!(found("to=a@*").await, [failed, waiting]);
    assert_eq!(found("to=b@*").await, []);
    assert_eq!(found("mailbox=relay@*,account=default").await.len(), 2);
    assert_eq!(found("account=def*").await, []);
    assert_eq!(found("code=errorx").await, [failed]);
    assert_eq!(found("reason=\"A TEST\"").await, [failed]);
    assert_eq!(found("older=1h").await, [waiting]);
    assert_eq!(found("older=3h").await, []);
    assert_eq!(found("older=1h, state=failed").await, []);
}

#[tokio::test]
async fn a_deleted_draft_does_not_clear_the_record_of_a_later_one() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    let id = accept(&spool, b"content\r\n").await;
    let second = Draft {
        id: "second".to_owned(),
        stage: Stage::Filling,
    };
    spool.note_draft(id, Some(second.clone())).await.unwrap();

    spool.forget_draft(id, "first".to_owned()).await.unwrap();

    let entry = claim(&spool).await.remove(0);
    assert_eq!(entry.draft, Some(second));
    spool.forget_draft(id, "second".to_owned()).await.unwrap();
    let again = Next::Wait(RunningTime::START);
    spool.settle(&entry, report(again)).await.unwrap();
    assert_eq!(claim(&spool).await[0].draft, None);
}

#[tokio::test]
async fn a_message_that_may_have_been_sent_stays_with_the_mailbox_of_its_draft() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path());
    let id = accept(&spool, b"content\r\n").await;
    let sending = Stage::Sending {
        since: RunningTime::START,
    };
    let draft = Draft {
        id: "draft".to_owned(),
        stage: sending,
    };
    spool.note_draft(id, Some(draft)).await.unwrap();
    let other = Destination {
        mailbox: "other@contoso.com".parse().unwrap(),
        ..destination()
    };
    let elsewhere = move |_: &Origin| Some(other.clone());

    let known = vec![destination().account];
    spool.reroute(known, elsewhere.clone()).await.unwrap();
    assert!(
        spool
            .destinations()
            .await
            .unwrap()
            .contains_key(&destination())
    );

    spool.reroute(Vec::new(), elsewhere).await.unwrap();
    assert!(
        !spool
            .destinations()
            .await
            .unwrap()
            .contains_key(&destination())
    );
}

#[tokio::test(start_paused = true)]
async fn a_stalled_reception_gives_its_room_to_others() {
    let folder = TempDir::new().unwrap();
    let spool = entries::small(folder.path());
    let piece = vec![b'x'; 600_000];
    let mut first = spool.receive(spool.new_id());
    first.write(&piece).await.unwrap();
    let mut early = spool.receive(spool.new_id());
    let refused = early.write(&piece).await;
    assert!(matches!(refused, Err(AcceptError::Full(_))), "{refused:?}");

    tokio::time::advance(Duration::from_secs(31)).await;
    let session = async {
        first.taken_back().await;
        first.discard();
    };
    let mut second = spool.receive(spool.new_id());
    let ((), written) = tokio::join!(session, second.write(&piece));

    written.unwrap();
    let files = fs::read_dir(folder.path().join("content")).unwrap();
    assert_eq!(files.count(), 1);
}
