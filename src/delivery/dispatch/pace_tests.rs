//! The rate limits of one mailbox, on a clock that the test sets.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::pace::Limit;
use super::pace::MailboxPace;
use super::pace::Need;
use super::pace::Pace;
use super::pace::Room;
use super::pace::Usage;
use crate::config;
use crate::spool::Allowance;

const PACE: config::Pace = config::Pace {
    concurrency: 4,
    messages_per_minute: None,
    requests_per_10_minutes: Some(3),
    upload_per_5_minutes: Some(10_000),
    recipients_per_day: Some(5),
};

fn attempt(mailbox: &Arc<MailboxPace>, upload: u64) -> Pace {
    let need = Need {
        upload,
        recipients: 2,
    };
    Pace::begin(Arc::clone(mailbox), Instant::now(), need)
}

fn mailbox() -> Arc<MailboxPace> {
    Arc::new(MailboxPace::new(&PACE, Instant::now()))
}

#[tokio::test(start_paused = true)]
async fn a_large_upload_can_be_rate_limited_midway() {
    let mailbox = mailbox();
    let begun = Instant::now();
    let pace = attempt(&mailbox, 4000);
    pace.admit(4000).await;
    pace.admit(4000).await;
    assert_eq!(begun.elapsed().as_millis(), 0);

    pace.admit(4000).await;

    assert_eq!(begun.elapsed().as_millis(), 302_500);
    let usage = Usage {
        requests: 3,
        uploaded: 12_000,
    };
    assert_eq!(pace.end(true), usage);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_upload_goes_first_and_costs_nothing_if_aborted() {
    let mailbox = mailbox();
    let pace = attempt(&mailbox, 6000);
    pace.admit(6000).await;
    let open = |room| matches!(room, Room::Open { .. });
    {
        let mut waits = pin!(pace.admit(6000));
        let polled = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        assert!(!open(mailbox.room(Instant::now(), Need::LEAST)));
    }

    assert!(open(mailbox.room(Instant::now(), Need::LEAST)));
    assert_eq!(pace.end(true).requests, 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_a_request_returns_everything_except_the_message() {
    let mailbox = mailbox();
    let begun = Instant::now();
    let attempts = [(); 2].map(|()| attempt(&mailbox, 5000));
    let full = |limit| Room::Full {
        limit,
        until: begun + Duration::from_millis(302_500),
    };
    assert_eq!(
        mailbox.room(Instant::now(), Need::LEAST),
        full(Limit::Upload)
    );

    assert_eq!(attempts.map(|pace| pace.end(false)), [Usage::default(); 2]);

    let all = |limit| Allowance { limit, left: limit };
    let open = Room::Open {
        messages: 3,
        upload: all(10_000),
        recipients: all(5),
    };
    assert_eq!(mailbox.room(Instant::now(), Need::LEAST), open);
}

#[tokio::test(start_paused = true)]
async fn the_limit_that_holds_longest_is_named() {
    let mailbox = mailbox();
    for _ in 0..2 {
        attempt(&mailbox, 5000).admit(5000).await;
    }
    let need = Need {
        upload: 1,
        recipients: 2,
    };

    let Room::Full { limit, .. } = mailbox.room(Instant::now(), need) else {
        panic!("there is room");
    };
    assert_eq!(limit, Limit::Recipients);
}
