//! Graph's limits by time: so much of something within a sliding span, per mailbox.
//!
//! The time is tokio's, so that a test that pauses it need not wait for a span to pass.

use std::collections::VecDeque;
use std::sync::Mutex;

use axum::http::StatusCode;
use tokio::time::Instant;

use crate::graph::errors::Refusal;
use crate::lock::locked;
use crate::settings::Rate;

/// What was spent of a rate within its last span. A refused request spends nothing.
#[derive(Debug)]
pub(crate) struct Meter {
    rate: Option<Rate>,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    /// When and how much, the oldest first.
    parts: VecDeque<(Instant, u64)>,
    sum: u64,
}

impl Meter {
    /// A meter of a rate; of none, it lets everything pass.
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            spent: Mutex::default(),
        }
    }

    /// Spends, or says when there will be something to spend again.
    pub(crate) fn spend(&self, amount: u64) -> Result<(), Refusal> {
        let Some(rate) = self.rate else {
            return Ok(());
        };
        let now = Instant::now();
        let mut spent = locked(&self.spent);
        while let Some((when, part)) = spent.parts.front().copied()
            && now.duration_since(when) >= rate.span
        {
            spent.parts.pop_front();
            spent.sum -= part;
        }
        if spent.sum + amount <= rate.amount {
            spent.parts.push_back((now, amount));
            spent.sum += amount;
            return Ok(());
        }
        let oldest = spent.parts.front().map_or(now, |(when, _)| *when);
        let wait = rate.span.saturating_sub(now.duration_since(oldest));
        let refusal = Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "The request has been throttled.",
        );
        Err(refusal.after(wait.as_secs() + 1))
    }

    pub(crate) fn clear(&self) {
        *locked(&self.spent) = Spent::default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn spent_amounts_are_free_again_after_the_span() {
        let meter = Meter::new(Some(Rate {
            amount: 10,
            span: Duration::from_secs(60),
        }));

        assert!(meter.spend(6).is_ok());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(meter.spend(4).is_ok());
        assert!(meter.spend(1).is_err());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(meter.spend(6).is_ok());
        assert!(meter.spend(1).is_err());
    }
}
