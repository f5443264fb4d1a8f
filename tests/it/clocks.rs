//! A wall clock that is wrong, or is set while the relay runs: the spool's decisions must
//! not depend on it. The test sets the clock.

use std::time::Duration;

use graph_relay::clock::Clock;
use graph_relay::clock::RunningTime;
use graph_relay::clock::Timestamp;
use graph_relay::mail::SpoolId;
use graph_relay::spool::Action;
use graph_relay::spool::AttemptOutcome;
use graph_relay::spool::AttemptReport;
use graph_relay::spool::Claimed;
use graph_relay::spool::Next;
use graph_relay::spool::Order;
use graph_relay::spool::Spool;
use graph_relay::spool::Summary;
use graph_relay::spool::Which;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::common::entries::accept;
use crate::common::entries::claim;
use crate::common::entries::open;
use crate::common::entries::report;

const CONTENT: &[u8] = b"content\r\n";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);
const YEARS: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// Sat, 21 Nov 2026 19:00:00 GMT.
fn today() -> Timestamp {
    Timestamp::from_millis(1_795_287_600_000)
}

async fn settle(spool: &Spool, entry: &Claimed, next: Next) {
    let report = AttemptReport {
        outcome: AttemptOutcome::Doubtful,
        trouble_since: Some(spool.running()),
        requests: 3,
        ..report(next)
    };
    spool.settle(entry, report).await.unwrap();
}

/// A message that waits for another attempt.
async fn deferred(spool: &Spool, wait: Duration) -> SpoolId {
    accept(spool, CONTENT).await;
    let entry = claim(spool).await.remove(0);
    settle(spool, &entry, Next::Wait(spool.running() + wait)).await;
    entry.id
}

async fn only(spool: &Spool) -> Summary {
    let mut listed = spool.list(None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    listed.remove(0)
}

async fn purge(spool: &Spool, keep: Duration) -> usize {
    let before = spool.running() - keep;
    spool.purge(before, before).await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_changed_clock_does_not_change_when_a_message_is_due() {
    for set_to in [today() - YEARS, today() + YEARS] {
        let folder = TempDir::new().unwrap();
        let clock = Clock::starting_at(today());
        let (spool, _) = open(folder.path(), clock.clone());
        let id = deferred(&spool, MINUTE).await;

        clock.set(set_to);

        assert_eq!(only(&spool).await.due_in_ms, 60_000);
        assert!(claim(&spool).await.is_empty());
        tokio::time::advance(MINUTE).await;
        assert_eq!(claim(&spool).await[0].id, id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_at_start_purges_nothing() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path(), Clock::starting_at(today()));
    for next in [Next::Failed, Next::Delivered] {
        accept(&spool, CONTENT).await;
        settle(&spool, &claim(&spool).await[0], next).await;
    }
    spool.close().await;
    drop(spool);

    let (spool, _) = open(folder.path(), Clock::starting_at(today() + 31 * DAY));

    assert_eq!(purge(&spool, 30 * DAY).await, 0);
    let totals = spool.totals().await.unwrap();
    assert_eq!((totals.failed, totals.delivered), (1, 1));
    tokio::time::advance(30 * DAY + MINUTE).await;
    assert_eq!(purge(&spool, 30 * DAY).await, 1);
    let totals = spool.totals().await.unwrap();
    assert_eq!((totals.failed, totals.delivered), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn correcting_the_clock_does_not_change_ages() {
    let folder = TempDir::new().unwrap();
    let clock = Clock::starting_at(today() - YEARS);
    let (spool, _) = open(folder.path(), clock.clone());
    deferred(&spool, MINUTE).await;

    clock.set(today());
    tokio::time::advance(MINUTE).await;

    let summary = only(&spool).await;
    assert_eq!(summary.age_ms, 60_000);
    assert_eq!(summary.due_at, clock.now());
    let entry = claim(&spool).await.remove(0);
    let since = entry.trouble_since.unwrap();
    assert_eq!(spool.running().since(since), MINUTE);
    let older = spool
        .search(Some("older=1h".parse().unwrap()), None, 10)
        .await;
    assert!(older.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_act_on_a_message_accepted_in_the_future() {
    let folder = TempDir::new().unwrap();
    let clock = Clock::starting_at(today() + YEARS);
    let (spool, _) = open(folder.path(), clock.clone());
    for _ in 0..4 {
        accept(&spool, CONTENT).await;
    }
    clock.set(today());

    for action in [Action::Hold, Action::Release, Action::Retry, Action::Drop] {
        let count = spool.count(action, None).await.unwrap();
        assert_eq!(count.states.values().sum::<u64>(), 4, "{action:?}");
        let which = Which::Matching {
            filter: None,
            accepted_by: count.at,
            after: None,
        };
        let decided = spool.operate(Order { action, which }, 7).await.unwrap();
        assert_eq!(decided.decisions.len(), 4, "{action:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_clock_does_not_change_the_age_of_the_oldest_message() {
    let folder = TempDir::new().unwrap();
    let clock = Clock::starting_at(today() + YEARS);
    let (spool, _) = open(folder.path(), clock.clone());
    accept(&spool, CONTENT).await;
    let mut ages = Vec::new();

    for set_to in [today(), today() + YEARS, today() - YEARS] {
        clock.set(set_to);
        tokio::time::advance(MINUTE).await;
        accept(&spool, CONTENT).await;
        ages.push(spool.overview().await.unwrap().oldest_waiting_ms);
    }

    assert_eq!(ages, [Some(60_000), Some(120_000), Some(180_000)]);
}

#[tokio::test(start_paused = true)]
async fn waits_pass_while_the_relay_is_stopped_and_ages_do_not() {
    for same_boot in [true, false] {
        let folder = TempDir::new().unwrap();
        let clock = Clock::starting_at(today());
        let (spool, _) = open(folder.path(), clock.clone());
        tokio::time::advance(MINUTE).await;
        deferred(&spool, 10 * MINUTE).await;
        tokio::time::advance(MINUTE).await;
        spool.close().await;
        drop(spool);

        tokio::time::advance(5 * MINUTE).await;
        let clock = match same_boot {
            true => clock,
            false => Clock::starting_at(clock.now()),
        };
        let (spool, recovered) = open(folder.path(), clock.clone());

        assert_eq!(recovered.clock, None);
        let summary = only(&spool).await;
        assert_eq!((summary.age_ms, summary.due_in_ms), (60_000, 4 * 60_000));
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_with_the_clock_set_back_keeps_waits_as_they_were() {
    let folder = TempDir::new().unwrap();
    let (spool, _) = open(folder.path(), Clock::starting_at(today()));
    deferred(&spool, 10 * MINUTE).await;
    spool.close().await;
    drop(spool);

    let clock = Clock::starting_at(today() - YEARS);
    let (spool, recovered) = open(folder.path(), clock.clone());

    let jump = recovered.clock.unwrap();
    assert_eq!((jump.from, jump.to), (today(), today() - YEARS));
    assert_eq!(only(&spool).await.due_in_ms, 10 * 60_000);
    let latest = spool.clamp_due(MINUTE).await.unwrap();
    assert_eq!((latest, only(&spool).await.due_in_ms), (1, 60_000));
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_between_two_starts_of_one_boot_is_noticed() {
    for (set_to, is_forward) in [(today() + YEARS, true), (today() - DAY, false)] {
        let folder = TempDir::new().unwrap();
        let clock = Clock::starting_at(today());
        let (spool, _) = open(folder.path(), clock.clone());
        deferred(&spool, 10 * MINUTE).await;
        spool.close().await;
        drop(spool);

        clock.set(set_to);
        let (spool, recovered) = open(folder.path(), clock.clone());

        assert_eq!(recovered.clock.unwrap().is_forward(), is_forward);
        assert_eq!(only(&spool).await.due_in_ms, 10 * 60_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_leaves_no_message_in_the_future() {
    let folder = TempDir::new().unwrap();
    let clock = Clock::starting_at(today());
    let (spool, _) = open(folder.path(), clock.clone());
    tokio::time::advance(MINUTE / 2).await;
    accept(&spool, CONTENT).await;
    accept(&spool, CONTENT).await;
    let entry = claim(&spool).await.remove(0);
    settle(&spool, &entry, Next::Failed).await;
    // Not closed, so the running time was last saved at the start.
    drop(spool);

    let (spool, _) = open(folder.path(), clock.clone());

    let now = spool.running();
    assert_eq!(now, RunningTime::START);
    let count = spool.count(Action::Drop, None).await.unwrap();
    assert_eq!(count.states.values().sum::<u64>(), 2);
    let ages = spool.list(None, 10).await.unwrap();
    assert!(ages.iter().all(|entry| entry.age_ms == 0));
    assert_eq!(claim(&spool).await.len(), 1);
    tokio::time::advance(DAY + MINUTE).await;
    assert_eq!(purge(&spool, DAY).await, 1);
}

#[tokio::test(start_paused = true)]
async fn rate_limits_after_a_restart_do_not_depend_on_the_wall_clock() {
    for set_to in [today() + YEARS, today() - YEARS] {
        let folder = TempDir::new().unwrap();
        let clock = Clock::starting_at(today());
        let (spool, _) = open(folder.path(), clock.clone());
        deferred(&spool, MINUTE).await;
        tokio::time::advance(MINUTE / 2).await;
        spool.close().await;
        drop(spool);

        clock.set(set_to);
        let (spool, _) = open(folder.path(), clock.clone());

        let spent = spool.spent(DAY).await.unwrap();
        assert_eq!(spent.iter().map(|it| it.messages).sum::<u64>(), 1);
        assert_eq!(spent.iter().map(|it| it.requests).sum::<u64>(), 3);
        assert_eq!(spent.iter().map(|it| it.recipients).sum::<u64>(), 1);
        let longest = spent.iter().map(|it| it.ago).max().unwrap();
        assert!(longest <= MINUTE / 2, "{longest:?}");
        tokio::time::advance(DAY).await;
        assert!(spool.spent(DAY).await.unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_spool_of_format_3_counts_from_its_upgrade() {
    let folder = TempDir::new().unwrap();
    let clock = Clock::starting_at(today());
    let (spool, _) = open(folder.path(), clock.clone());
    accept(&spool, CONTENT).await;
    let entry = claim(&spool).await.remove(0);
    settle(&spool, &entry, Next::Failed).await;
    let waiting = deferred(&spool, DAY).await;
    spool.close().await;
    drop(spool);
    let database = Connection::open(folder.path().join("spool.db")).unwrap();
    let (year_ago, in_ten_years) = (today() - 365 * DAY, today() + YEARS);
    database
        .execute_batch(&format!(
            "DROP INDEX entry_ended; DROP INDEX attempt_begun_running; DROP TABLE clock;
             ALTER TABLE entry RENAME COLUMN due_running TO due_at;
             ALTER TABLE entry DROP COLUMN accepted_running;
             ALTER TABLE entry DROP COLUMN ended_running;
             ALTER TABLE attempt DROP COLUMN begun_running;
             ALTER TABLE attempt DROP COLUMN ended_running;
             CREATE INDEX entry_ended ON entry (state, ended_at) WHERE ended_at IS NOT NULL;
             UPDATE entry SET accepted_at = {0}, trouble_since = {0}, due_at = {1};
             UPDATE entry SET ended_at = {0} WHERE ended_at IS NOT NULL;
             PRAGMA user_version = 3;",
            year_ago.millis(),
            in_ten_years.millis()
        ))
        .unwrap();
    drop(database);

    let (spool, _) = open(folder.path(), clock.clone());

    assert_eq!(purge(&spool, 30 * DAY).await, 0);
    let overview = spool.overview().await.unwrap();
    let age = overview.oldest_waiting_ms.map(Duration::from_millis);
    assert_eq!(age, Some(30 * DAY));
    assert!(overview.failures[0].ended_ago_ms.unwrap() > DAY.as_secs() * 1000);
    let entry = claim(&spool).await.remove(0);
    assert_eq!(entry.id, waiting);
    assert_eq!(entry.trouble_since, Some(RunningTime::START));
    assert_eq!(entry.accepted_at, year_ago);
}
