//! Until when a command waits for its answer: a header of its request. A relay that was
//! stopped for a while reads requests whose commands have reported a failure long ago. It
//! carries none of them out, because somebody may have given the order again, or changed it.
//!
//! The time is that of the machine's clock since boot, which nobody can set. A request without
//! the header, or with the time of a clock that this process does not read (another machine,
//! another time namespace), is served.

use std::time::Duration;

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;

use super::Failure;
use crate::clock::Clock;
use crate::platform::system;

/// The name of the header. Its value: a time in milliseconds, a blank, and which clock it is of.
pub const DEADLINE: &str = "graph-relay-deadline";

const TOO_LATE: &str = "the command had stopped waiting when the relay read this order; the relay \
                        did not carry it out";

/// Returns the header of a request whose client waits this long from now on.
pub fn deadline(patience: Duration) -> String {
    let now = Reading::now();
    format!("{} {}", (now.time + patience).as_millis(), now.clock)
}

/// Lets a request through, except an order whose client has stopped waiting.
pub(super) async fn kept(request: Request, next: Next) -> Response {
    let deadline = request.headers().get(DEADLINE);
    let deadline = deadline.and_then(|value| value.to_str().ok());
    let is_order = request.method() != Method::GET;
    if is_order && deadline.is_some_and(|deadline| Reading::now().is_after(deadline)) {
        return Failure::Refused(TOO_LATE.to_owned()).into_response();
    }
    next.run(request).await
}

/// A time, and the clock that shows it.
struct Reading {
    time: Duration,
    clock: String,
}

impl Reading {
    fn now() -> Self {
        Self {
            time: Clock::System.steady(),
            // A connection to the socket does not survive a boot. A kernel before 5.6 has one
            // such clock.
            clock: system::time_namespace().unwrap_or_else(|| "boot".to_owned()),
        }
    }

    fn is_after(&self, deadline: &str) -> bool {
        let Some((millis, clock)) = deadline.split_once(' ') else {
            return false;
        };
        let millis = millis.parse::<u128>();
        clock == self.clock && millis.is_ok_and(|millis| self.time.as_millis() > millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_deadline_of_the_same_clock_can_pass() {
        let reading = |seconds| Reading {
            time: Duration::from_secs(seconds),
            clock: "time:[1]".to_owned(),
        };
        for (header, has_passed) in [
            ("99999 time:[1]", true),
            ("100000 time:[1]", false),
            ("99999 time:[2]", false),
            ("99999 boot", false),
            ("99999", false),
            ("", false),
            ("-1 time:[1]", false),
            ("soon time:[1]", false),
        ] {
            assert_eq!(reading(100).is_after(header), has_passed, "{header:?}");
        }
    }

    #[test]
    fn the_deadline_of_a_client_passes_after_its_patience() {
        let header = deadline(Duration::from_secs(60));
        let mut now = Reading::now();
        assert!(!now.is_after(&header));

        now.time += Duration::from_secs(61);

        assert!(now.is_after(&header));
    }
}
