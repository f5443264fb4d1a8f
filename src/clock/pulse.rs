//! Whether the loops of the relay still run.
//!
//! A loop that accepts connections or starts attempts waits for a [`Beat`] together with
//! everything else that it waits for, and so answers each question of the [`Pulse`] that it
//! belongs to. A loop that hangs does not answer, and neither does one that has panicked.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::watch;

/// Asks all loops whether they run. Clones ask the same loops.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The number of the last question.
    asked: watch::Sender<u64>,
    loops: Mutex<Loops>,
    answered: Notify,
}

#[derive(Debug, Default)]
struct Loops {
    /// The number of the next loop.
    next: u64,
    /// Number and name of each loop, and the last question that it answered.
    running: Vec<(u64, &'static str, u64)>,
}

/// What a loop answers with. Dropping it says that the loop has ended in order, except
/// while a panic unwinds.
#[derive(Debug)]
pub struct Beat {
    pulse: Pulse,
    number: u64,
    asked: watch::Receiver<u64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Shared {
            asked: watch::Sender::new(0),
            loops: Mutex::default(),
            answered: Notify::new(),
        }))
    }
}

impl Pulse {
    /// Adds a loop.
    pub fn beat(&self, name: &'static str) -> Beat {
        let asked = self.0.asked.subscribe();
        let mut loops = self.loops();
        let number = loops.next;
        loops.next += 1;
        loops.running.push((number, name, *asked.borrow()));
        drop(loops);
        Beat {
            pulse: self.clone(),
            number,
            asked,
        }
    }

    /// Asks all loops, and waits for their answers. Returns the names of those that do not
    /// answer within `patience`.
    pub async fn silent(&self, patience: Duration) -> Vec<&'static str> {
        let mut question = 0;
        self.0.asked.send_modify(|asked| {
            *asked += 1;
            question = *asked;
        });
        let all = async {
            loop {
                let answered = self.0.answered.notified();
                tokio::pin!(answered);
                answered.as_mut().enable();
                if self.behind(question).is_empty() {
                    return;
                }
                answered.await;
            }
        };
        match tokio::time::timeout(patience, all).await {
            Ok(()) => Vec::new(),
            Err(_) => self.behind(question),
        }
    }

    fn behind(&self, question: u64) -> Vec<&'static str> {
        let loops = self.loops();
        let behind = loops
            .running
            .iter()
            .filter(|(.., answer)| *answer < question);
        behind.map(|(_, name, _)| *name).collect()
    }

    /// Every change under this lock is complete in itself.
    fn loops(&self) -> MutexGuard<'_, Loops> {
        self.0.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beat {
    /// Waits for the next question, and answers it. Nothing is lost if this is dropped
    /// before it returns.
    pub async fn answer(&mut self) {
        if self.asked.changed().await.is_err() {
            // Nobody can ask any more.
            return std::future::pending().await;
        }
        let question = *self.asked.borrow_and_update();
        let mut loops = self.pulse.loops();
        let mut running = loops.running.iter_mut();
        if let Some((.., answer)) = running.find(|(number, ..)| *number == self.number) {
            *answer = question;
        }
        drop(loops);
        self.pulse.0.answered.notify_waiters();
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let mut loops = self.pulse.loops();
            loops.running.retain(|(number, ..)| *number != self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::task::TaskTracker;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn loops_that_run_answer_each_question() {
        let (pulse, loops) = (Pulse::default(), TaskTracker::new());
        for name in ["one", "two"] {
            let mut beat = pulse.beat(name);
            loops.spawn(async move {
                loop {
                    beat.answer().await;
                }
            });
        }

        for _ in 0..3 {
            assert!(pulse.silent(LONG).await.is_empty());
        }
    }

    #[tokio::test]
    async fn a_loop_that_hangs_or_has_panicked_is_named_and_one_that_has_ended_is_not() {
        let pulse = Pulse::default();
        let _hangs = pulse.beat("hangs");
        let panics = pulse.beat("panics");
        let panicked = TaskTracker::new().spawn(async move {
            let _beat = panics;
            panic!("in a loop");
        });
        assert!(panicked.await.is_err());
        drop(pulse.beat("ended"));

        assert_eq!(pulse.silent(SHORT).await, ["hangs", "panics"]);
    }

    #[tokio::test]
    async fn a_question_that_comes_while_a_loop_is_busy_is_answered_afterwards() {
        let pulse = Pulse::default();
        let mut beat = pulse.beat("busy");
        assert_eq!(pulse.silent(SHORT).await, ["busy"]);

        let (silent, ()) = tokio::join!(pulse.silent(LONG), async {
            beat.answer().await;
        });

        assert!(silent.is_empty());
    }
}
