//! The sentences of `verdict.rs`, for every case.

use std::time::Duration;

use super::*;
use crate::delivery::BackingOff;
use crate::delivery::BackoffCause;
use crate::delivery::Limited;
use crate::spool::LastAttempt;
use crate::spool::Pause;
use crate::spool::RefusedMail;

const NOW: Timestamp = Timestamp::from_millis(1_795_287_600_000);

fn row(state: State, text: Option<&str>) -> Became {
    Became {
        id: SpoolId::first_of(NOW),
        ordinal: 0,
        recipient: "anna@example.org".to_owned(),
        asked_for: None,
        state,
        status: text.map(|_| "4.3.2".to_owned()),
        text: text.map(str::to_owned),
        at: NOW,
        accepted_at: NOW,
        due_at: NOW + Duration::from_secs(720),
        due_in: Duration::from_secs(720),
        reverse_path: "app@contoso.com".to_owned(),
        author: Some("app@contoso.com".to_owned()),
        message_id: Some("<1@app.contoso.com>".to_owned()),
        subject: Some("Offer 88".to_owned()),
        client: "192.0.2.17".to_owned(),
        hello: "printer-2".to_owned(),
        user: None,
        account: Some("default".to_owned()),
        mailbox: Some("relay@contoso.com".to_owned()),
        attempts: 1,
        last: Some(LastAttempt {
            outcome: Some(AttemptOutcome::Deferred),
            http_status: Some(503),
            code: None,
            request_id: Some("a0e8677f".to_owned()),
            retry_after_seconds: None,
        }),
        is_doubted: false,
        about: None,
        resend_of: None,
        resend_until: None,
        report: None,
    }
}

fn doubtful(row: Became) -> Became {
    let last = LastAttempt {
        outcome: Some(AttemptOutcome::Doubtful),
        ..LastAttempt::default()
    };
    Became {
        last: Some(last),
        is_doubted: true,
        ..row
    }
}

fn with_code(row: Became, code: &str) -> Became {
    let code = Some(code.to_owned());
    let last = row.last.clone().map(|last| LastAttempt { code, ..last });
    Became { last, ..row }
}

/// All sentences, with the case that each is for.
#[expect(clippy::too_many_lines, reason = "one table of all cases")]
fn all() -> Vec<(&'static str, Verdict)> {
    let until = NOW + Duration::from_secs(1800);
    let limit = Waits::Limit(Limited {
        account: "default".to_owned(),
        mailbox: "relay@contoso.com".parse().unwrap(),
        limit: "recipients_per_day".to_owned(),
        daily: true,
        until,
    });
    let backoff = Waits::Backoff(BackingOff {
        account: "default".to_owned(),
        mailbox: None,
        until,
        asked_until: None,
        cause: BackoffCause::Configuration,
        reported: Some("AADSTS7000222".to_owned()),
    });
    let pause = Waits::Pause(Pause {
        mailbox: None,
        since: NOW,
        uid: 0,
        reason: Some("maintenance".to_owned()),
        by_relay: false,
    });
    let waiting = || row(State::Waiting, Some("Graph answered 503: busy"));
    let new = Became {
        attempts: 0,
        last: None,
        due_in: Duration::ZERO,
        ..row(State::Waiting, None)
    };
    let released = Became {
        status: None,
        ..row(State::Waiting, Some("released by an operator (user ID 0)"))
    };
    let nowhere = Became {
        account: None,
        mailbox: None,
        status: None,
        ..row(
            State::Waiting,
            Some("no [[account]] sends for its From address"),
        )
    };
    let delivered = || row(State::Delivered, Some("accepted"));
    let late = Became {
        attempts: 3,
        is_doubted: true,
        ..delivered()
    };
    let report = Became {
        about: Some(SpoolId::first_of(NOW)),
        message_id: None,
        ..delivered()
    };
    let failed = || {
        row(
            State::Failed,
            Some("Graph answered 400 ErrorInvalidRecipients: no."),
        )
    };
    let told = Became {
        report: Some(SpoolId::first_of(NOW)),
        attempts: 2,
        is_doubted: true,
        ..with_code(failed(), "ErrorSendAsDenied")
    };
    let held = || row(State::Held, Some("held by an operator (user ID 0)"));
    let unknown = || doubtful(row(State::Waiting, Some("no answer within 60s")));
    [
        ("new", &new, None),
        ("waiting", &waiting(), None),
        (
            "waiting, with a remedy",
            &with_code(waiting(), "AADSTS7000222"),
            None,
        ),
        ("waiting for a limit", &waiting(), Some(&limit)),
        ("waiting in a pause", &waiting(), Some(&pause)),
        (
            "waiting for an account in trouble",
            &waiting(),
            Some(&backoff),
        ),
        ("released", &released, None),
        ("without an account", &nowhere, None),
        ("waiting after doubt", &unknown(), None),
        ("being sent", &row(State::Claimed, None), None),
        ("held", &held(), None),
        (
            "held after doubt",
            &doubtful(row(State::Held, Some("no answer"))),
            None,
        ),
        ("delivered", &delivered(), None),
        ("delivered late", &late, None),
        ("a report", &report, None),
        ("failed", &failed(), None),
        ("failed and reported", &told, None),
        (
            "dropped",
            &row(State::Dropped, Some("dropped by an operator (user ID 0)")),
            None,
        ),
        (
            "quarantined",
            &row(State::Quarantined, Some("its content is damaged")),
            None,
        ),
    ]
    .map(|(case, row, waits)| (case, accepted(row, waits, NOW)))
    .into()
}

/// The same of refused mail.
fn all_refused() -> Vec<(&'static str, Verdict)> {
    let row = |reply: &str, cause: &str| Refused {
        id: SpoolId::first_of(NOW),
        last_at: NOW,
        times: 1,
        refusal: RefusedMail {
            reply: reply.to_owned(),
            cause: cause.to_owned(),
            remedy: "add the address to senders of the [[user]]".to_owned(),
            ..RefusedMail::default()
        },
        is_counted_only: false,
    };
    let often = Refused {
        times: 12,
        ..row("550 5.7.1 scanner may not send as a@b.example", "")
    };
    let mut full = row("452 4.3.1 Storage full, try again later", "0 MB free");
    full.refusal.others = 480;
    let counted = Refused {
        times: 970,
        is_counted_only: true,
        ..row("", "")
    };
    [
        ("refused for good, often", often),
        ("refused for now, several recipients", full),
        (
            "cut off",
            row("", "the client disconnected before it had finished"),
        ),
        ("counted only", counted),
    ]
    .map(|(case, row)| (case, refused(&row)))
    .into()
}

#[test]
fn a_request_that_was_too_large_is_explained_by_its_status() {
    let text = "Graph answered 413 BadRequest: the maximum request length supported is 4MB.";
    let failed = with_code(row(State::Failed, Some(text)), "BadRequest");
    let last = failed.last.clone().map(|last| LastAttempt {
        http_status: Some(413),
        ..last
    });

    let said = accepted(&Became { last, ..failed }, None, NOW);

    let action = said.action.unwrap();
    let begins = "send fewer or smaller attachments, or several messages; ";
    assert!(action.starts_with(begins), "{action}");
}

#[test]
fn a_message_to_a_wrong_address_is_not_to_be_tried_again() {
    let text = "Graph answered 400 ErrorInvalidRecipients: no.";
    let failed = with_code(row(State::Failed, Some(text)), "ErrorInvalidRecipients");
    let kept = Became {
        resend_until: Some(NOW),
        ..failed.clone()
    };
    let action = |row| accepted(row, None, NOW).action.unwrap();
    let id = failed.id;

    let correct = "correct the recipient's address in the program that created the message; ";
    let resend = format!(
        "to send this message to the right address: graph-relay queue resend {id} --to ADDRESS; "
    );
    let delete = format!("to delete this message: graph-relay queue drop {id}");
    assert_eq!(action(&kept), format!("{correct}{resend}{delete}"));
    assert_eq!(action(&failed), format!("{correct}{delete}"));
}

#[test]
fn every_state_has_its_sentences() {
    let mut text = String::new();
    for (case, verdict) in all().into_iter().chain(all_refused()) {
        let Verdict {
            happened,
            next,
            action,
        } = verdict;
        text.push_str(&format!("{case}\n  happened  {happened}\n"));
        for (label, words) in [("next", next), ("you can", action)] {
            let words = words.unwrap_or_else(|| "-".to_owned());
            text.push_str(&format!("  {label:10}{words}\n"));
        }
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("verdicts", text));
}

#[test]
fn a_remedy_that_the_reason_has_is_not_said_twice() {
    let remedy = catalogue::SEND_AS_DENIED.remedy;
    let remedy = catalogue::named(remedy, "relay@contoso.com", "app@contoso.com");
    let reason = format!("Graph answered 403; {remedy}");
    let row = with_code(row(State::Waiting, Some(&reason)), "ErrorSendAsDenied");

    let row = Became {
        status: Some("4.3.5".to_owned()),
        ..row
    };

    let verdict = accepted(&row, None, NOW);

    assert!(verdict.happened.contains(&remedy));
    assert!(!verdict.action.unwrap().contains(&remedy));
}

#[test]
fn a_sentence_that_begins_with_a_name_keeps_it_as_it_is() {
    for (text, shown) in [
        ("a message waits", "A message waits"),
        ("doctor: no", "Doctor: no"),
        ("über", "Über"),
        ("relay.toml has errors", "relay.toml has errors"),
        ("/etc/relay.toml has errors", "/etc/relay.toml has errors"),
        (
            "relay@contoso.com needs to sign in",
            "relay@contoso.com needs to sign in",
        ),
        ("client_id is wrong", "client_id is wrong"),
        ("graph-relay stops", "graph-relay stops"),
        ("", ""),
    ] {
        assert_eq!(capital(text), shown);
    }
}

#[test]
fn a_retry_is_not_offered_while_graph_asked_to_wait() {
    let until = NOW + Duration::from_secs(1800);
    let backing_off = |asked_until| {
        Waits::Backoff(BackingOff {
            account: "default".to_owned(),
            mailbox: None,
            until,
            asked_until,
            cause: BackoffCause::Unavailable,
            reported: None,
        })
    };
    let action = |waits: &Waits| {
        let row = row(State::Waiting, Some("Graph answered 503: busy"));
        accepted(&row, Some(waits), NOW).action.unwrap()
    };

    assert!(action(&backing_off(None)).contains("queue retry"));
    assert_eq!(action(&backing_off(Some(until))), BY_ITSELF);
}
