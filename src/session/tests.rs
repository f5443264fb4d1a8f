//! The dialog as a whole: the reply to each line, and the resulting state.

use super::Identity;
use super::dialog::IDLE_COMMANDS;
use super::*;
use crate::mail::RecipientPolicy;

fn open() -> Access {
    Access {
        tls: Tls::Off,
        authentication: Authentication::Off,
        clear_passwords: ClearPasswords::Taken,
        recipients: Arc::default(),
        sending: Sending::Allowed,
    }
}

fn session(access: Access) -> Session {
    let settings = Settings {
        hostname: "relay.example".into(),
        message_size: 10_000,
        size_in_config: 10_000,
        recipients: 2,
        errors: 5,
        aliases: Arc::default(),
    };
    Session::new(settings, access)
}

fn code(step: &Step) -> u16 {
    match step {
        Step::Say(reply) | Step::Receive(reply, _) | Step::StartTls(reply) | Step::Close(reply) => {
            reply.code
        }
        Step::Verify(_) => 0,
    }
}

/// Sends each line and checks the code of its reply; 0 is a password to be verified.
fn dialog(session: &mut Session, lines: &[(&str, u16)]) {
    for (line, expected) in lines {
        let step = session.line(line.as_bytes());
        assert_eq!(code(&step), *expected, "{line}: {step:?}");
    }
}

#[test]
fn a_transaction_ends_with_the_envelope() {
    let mut session = session(open());
    dialog(
        &mut session,
        &[
            ("EHLO client", 250),
            ("MAIL FROM:<a@b>", 250),
            ("RCPT TO:<c@d.e>", 250),
            ("RCPT TO:<C@D.e>", 250),
        ],
    );

    let step = session.line(b"DATA");

    let Step::Receive(reply, envelope) = step else {
        panic!("{step:?}")
    };
    assert_eq!(reply.code, 354);
    assert_eq!(envelope.recipients.len(), 1);
    assert_eq!(envelope.reverse_path.to_string(), "<a@b>");
}

#[test]
fn commands_out_of_order_are_refused_and_harm_nothing() {
    let mut session = session(open());
    session.settings.errors = 99;
    dialog(
        &mut session,
        &[
            ("MAIL FROM:<a@b>", 503),
            ("EHLO client", 250),
            ("RCPT TO:<c@d.e>", 503),
            ("DATA", 503),
            ("MAIL FROM:<a@b>", 250),
            ("MAIL FROM:<x@y>", 503),
            ("DATA", 554),
            ("NOOP", 250),
            ("RCPT TO:<bad>", 550),
            ("RCPT TO:<\"a b\"@c.d>", 553),
            ("RCPT TO:<a@[192.0.2.1]>", 553),
            ("DATA", 554),
            ("RCPT TO:<c@d.e>", 250),
            ("RCPT TO:<e@f.e>", 250),
            ("RCPT TO:<g@h.e>", 452),
            ("NOOP", 250),
            ("VRFY postmaster", 252),
            ("HELP", 214),
            ("STARTTLS", 502),
            ("AUTH PLAIN", 503),
            ("DATA", 354),
        ],
    );
}

#[test]
fn rset_and_a_new_ehlo_forget_the_transaction() {
    for forget in ["RSET", "EHLO again", "HELO again"] {
        let mut session = session(open());
        dialog(
            &mut session,
            &[
                ("EHLO client", 250),
                ("MAIL FROM:<a@b>", 250),
                ("RCPT TO:<c@d.e>", 250),
                (forget, 250),
                ("DATA", 503),
                ("MAIL FROM:<a@b>", 250),
            ],
        );
    }
}

#[test]
fn a_refused_message_leaves_the_session_usable() {
    for verdict in [
        Verdict::TooBig,
        Verdict::StorageFull,
        Verdict::LocalTrouble,
        Verdict::TooMany,
        Verdict::Looping(Loop::Hops(50)),
        Verdict::NoAccount(None),
    ] {
        let mut session = session(open());
        dialog(&mut session, &[("EHLO c", 250), ("MAIL FROM:<>", 250)]);
        dialog(&mut session, &[("RCPT TO:<c@d.e>", 250), ("DATA", 354)]);

        let reply = session.verdict(verdict);

        assert!(reply.is_refusal(), "{reply:?}");
        dialog(&mut session, &[("MAIL FROM:<a@b>", 250), ("QUIT", 221)]);
    }
}

#[test]
fn a_declared_size_over_the_limit_is_refused_at_mail() {
    let mut session = session(open());
    dialog(
        &mut session,
        &[
            ("EHLO client", 250),
            ("MAIL FROM:<a@b> SIZE=10001", 552),
            ("MAIL FROM:<a@b> SIZE=10000", 250),
        ],
    );
}

#[test]
fn errors_idleness_and_other_protocols_end_the_session() {
    let mut wrong = session(open());
    dialog(&mut wrong, &[("WHAT", 500); 4]);
    assert!(matches!(wrong.line(b"WHAT"), Step::Close(reply) if reply.code == 421));

    let mut idle = session(open());
    for _ in 0..IDLE_COMMANDS {
        dialog(&mut idle, &[("NOOP", 250)]);
    }
    assert!(matches!(idle.line(b"NOOP"), Step::Close(reply) if reply.code == 421));

    for (line, expected) in [
        ("GET / HTTP/1.1", "421 4.7.0 "),
        ("BDAT 5 LAST", "502 5.5.1 "),
        ("QUIT", "221 2.0.0 "),
    ] {
        let Step::Close(reply) = session(open()).line(line.as_bytes()) else {
            panic!("{line} does not close")
        };
        let mut out = Vec::new();
        reply.write_to(&mut out);
        assert!(out.starts_with(expected.as_bytes()), "{reply:?}");
    }
}

#[test]
fn content_after_a_refused_data_is_not_taken_for_commands() {
    for refused in ["DATA", "DATA now"] {
        let mut session = session(open());
        dialog(&mut session, &[("EHLO c", 250)]);
        assert!(code(&session.line(refused.as_bytes())) >= 500);

        let step = session.line(b"From: a@b");

        assert!(matches!(step, Step::Close(reply) if reply.code == 503));
    }
    for content in [&b"Subject: \xe4"[..], b"Help me", b"", b"QUIT it"] {
        let mut session = session(open());
        dialog(&mut session, &[("EHLO c", 250), ("DATA", 503)]);
        assert!(matches!(session.line(content), Step::Close(reply) if reply.code == 503));
    }
    let mut session = session(open());
    dialog(
        &mut session,
        &[("EHLO c", 250), ("DATA", 503), ("RSET", 250), ("X", 500)],
    );
}

#[test]
fn content_after_a_deferred_data_is_deferred() {
    for verdict in [
        Verdict::StorageFull,
        Verdict::TooMany,
        Verdict::TooManyRecipients,
    ] {
        let mut session = session(open());
        dialog(&mut session, &[("EHLO c", 250), ("MAIL FROM:<a@b>", 250)]);
        dialog(&mut session, &[("RCPT TO:<c@d.e>", 250), ("DATA", 354)]);
        let refusal = session.not_now(verdict);

        let Step::Close(reply) = session.line(b"Subject: x") else {
            panic!("goes on")
        };

        assert_eq!((reply.code, reply.status), (421, refusal.status));
    }
}

#[test]
fn data_is_deferred_if_a_recipient_was_deferred() {
    for others in [&[][..], &["RCPT TO:<bad>"]] {
        let mut session = session(open());
        dialog(&mut session, &[("EHLO c", 250), ("MAIL FROM:<a@b>", 250)]);
        session.allow_recipients(Some(0));
        for other in others {
            dialog(&mut session, &[(other, 550)]);
        }
        dialog(&mut session, &[("RCPT TO:<c@d.e>", 451)]);
        for other in others {
            dialog(&mut session, &[(other, 550)]);
        }

        let Step::Say(reply) = session.line(b"DATA") else {
            panic!("DATA is not answered")
        };
        let status = reply.status.map(|status| status.to_string());
        assert_eq!((reply.code, status.as_deref()), (451, Some("4.7.1")));
        // Content that is sent all the same is deferred too.
        assert!(matches!(session.line(b"Subject: x"), Step::Close(reply) if reply.code == 421));
    }
    // The next transaction is not affected.
    let mut session = session(open());
    dialog(&mut session, &[("EHLO c", 250), ("MAIL FROM:<a@b>", 250)]);
    session.allow_recipients(Some(0));
    dialog(
        &mut session,
        &[("RCPT TO:<c@d.e>", 451), ("RSET", 250), ("DATA", 503)],
    );
    dialog(&mut session, &[("MAIL FROM:<a@b>", 250), ("DATA", 554)]);
}

#[test]
fn repeated_deferrals_of_data_end_the_session() {
    let mut session = session(open());
    dialog(&mut session, &[("EHLO c", 250), ("MAIL FROM:<a@b>", 250)]);
    session.allow_recipients(Some(0));
    dialog(&mut session, &[("RCPT TO:<c@d.e>", 451)]);
    for _ in 0..IDLE_COMMANDS - 2 {
        dialog(&mut session, &[("DATA", 451)]);
    }
    assert!(matches!(session.line(b"DATA"), Step::Close(reply) if reply.code == 421));
}

#[test]
fn a_client_whose_password_could_not_be_verified_gets_451_at_mail() {
    let access = Access {
        authentication: Authentication::Required,
        ..open()
    };
    for (verification, expected) in [
        (Verification::Unavailable, 451),
        (Verification::Refused, 530),
    ] {
        let mut session = session(access.clone());
        dialog(&mut session, &[("EHLO c", 250), ("AUTH PLAIN AGEAYg==", 0)]);
        session.verified(verification);
        dialog(&mut session, &[("MAIL FROM:<a@b>", expected)]);
    }
}

#[test]
fn recipients_beyond_the_limit_are_deferred_and_finally_end_the_session() {
    let mut session = session(open());
    dialog(&mut session, &[("EHLO c", 250), ("MAIL FROM:<a@b>", 250)]);
    dialog(
        &mut session,
        &[("RCPT TO:<a@b.e>", 250), ("RCPT TO:<c@d.e>", 250)],
    );
    for n in 0..IDLE_COMMANDS - 2 {
        let line = format!("RCPT TO:<r{n}@d.e>");
        dialog(&mut session, &[(&line, 452)]);
    }
    dialog(&mut session, &[("DATA", 354)]);
    session.verdict(Verdict::TooBig);
    dialog(&mut session, &[("RSET", 421)]);
}

#[test]
fn repeating_one_recipient_finally_ends_the_session() {
    let mut session = session(open());
    dialog(&mut session, &[("EHLO c", 250), ("MAIL FROM:<a@b>", 250)]);
    for _ in 0..IDLE_COMMANDS {
        dialog(&mut session, &[("RCPT TO:<a@b.e>", 250)]);
    }
    assert!(matches!(session.line(b"RCPT TO:<a@b.e>"), Step::Close(reply) if reply.code == 421));
}

#[test]
fn a_client_at_its_hourly_recipient_limit_gets_a_deferral() {
    let mut session = session(open());
    dialog(&mut session, &[("EHLO c", 250), ("MAIL FROM:<a@b>", 250)]);
    session.allow_recipients(Some(1));
    dialog(
        &mut session,
        &[
            ("RCPT TO:<a@b.e>", 250),
            ("RCPT TO:<A@B.e>", 250),
            ("RCPT TO:<c@d.e>", 451),
            ("DATA", 354),
        ],
    );
}

fn anna() -> Verification {
    Verification::Accepted(Identity {
        name: "anna".to_owned(),
        senders: vec!["anna@b.c".to_owned().into()],
        recipients: RecipientPolicy::default(),
    })
}

#[test]
fn an_authenticated_session_cannot_change_its_user() {
    let mut session = session(Access {
        authentication: Authentication::Required,
        ..open()
    });
    session.settings.errors = 99;
    dialog(
        &mut session,
        &[
            ("AUTH PLAIN", 503),
            ("HELO old", 250),
            ("MAIL FROM:<anna@b.c>", 530),
            ("AUTH CRAM-MD5", 504),
            ("auth login", 334),
            ("YW5uYQ==", 334),
            ("c2VjcmV0", 0),
        ],
    );
    assert_eq!(code(&session.verified(anna())), 235);
    dialog(
        &mut session,
        &[
            ("RSET", 250),
            ("EHLO again", 250),
            ("AUTH PLAIN", 503),
            ("MAIL FROM:<eve@b.c>", 553),
            ("MAIL FROM:<>", 250),
            ("RSET", 250),
            ("MAIL FROM:<Anna@B.C>", 250),
        ],
    );
    assert_eq!(session.new_quirks(), [Quirk::AuthAfterHelo]);
}

#[test]
fn wrong_passwords_end_the_session_and_cancelling_does_not() {
    let mut session = session(Access {
        authentication: Authentication::Optional,
        ..open()
    });
    dialog(&mut session, &[("EHLO c", 250)]);
    for _ in 0..3 {
        dialog(&mut session, &[("AUTH PLAIN", 334), ("*", 501)]);
    }
    for expected in [535, 535, 535, 421] {
        dialog(&mut session, &[("AUTH PLAIN AGFubmEAeA==", 0)]);
        assert_eq!(code(&session.verified(Verification::Refused)), expected);
    }
    dialog(&mut session, &[("NOOP", 421)]);
}

#[test]
fn tls_forgets_what_was_said_before_it() {
    let mut session = session(Access {
        tls: Tls::Offered,
        authentication: Authentication::Optional,
        clear_passwords: ClearPasswords::Refused,
        ..open()
    });
    session.settings.errors = 99;
    dialog(
        &mut session,
        &[
            ("EHLO c", 250),
            ("AUTH PLAIN AGFubmEAeA==", 538),
            ("MAIL FROM:<a@b>", 250),
            ("STARTTLS x", 501),
            ("STARTTLS", 220),
            ("NOOP", 503),
        ],
    );

    session.tls_started();

    dialog(
        &mut session,
        &[
            ("RCPT TO:<c@d.e>", 503),
            ("MAIL FROM:<a@b>", 503),
            ("EHLO c", 250),
            ("STARTTLS", 503),
            ("AUTH PLAIN AGFubmEAeA==", 0),
        ],
    );
}

#[test]
fn no_mail_and_no_password_is_accepted_before_required_tls() {
    let mut session = session(Access {
        tls: Tls::Required,
        authentication: Authentication::Optional,
        clear_passwords: ClearPasswords::Refused,
        ..open()
    });
    session.settings.errors = 99;
    dialog(
        &mut session,
        &[
            ("EHLO c", 250),
            ("NOOP", 250),
            ("MAIL FROM:<a@b>", 530),
            ("RCPT TO:<a@b.e>", 530),
            ("VRFY a", 530),
            ("AUTH PLAIN", 530),
            ("DATA", 530),
            ("NOOP", 250),
            ("STARTTLS", 220),
        ],
    );
}

#[test]
fn replies_have_the_form_of_the_rfc() {
    let mut session = session(Access {
        tls: Tls::Offered,
        authentication: Authentication::Optional,
        ..open()
    });
    let mut out = Vec::new();
    session.greeting().write_to(&mut out);
    for line in ["EHLO x", "NOOP", "AUTH PLAIN"] {
        if let Step::Say(reply) = session.line(line.as_bytes()) {
            reply.write_to(&mut out);
        }
    }

    assert_eq!(
        String::from_utf8(out).unwrap(),
        "220 relay.example ESMTP graph-relay\r\n250-relay.example\r\n250-PIPELINING\r\n\
         250-SIZE 10000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n\
         250-DSN\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250-AUTH=PLAIN LOGIN\r\n250 HELP\r\n\
         250 2.0.0 Ok\r\n334 \r\n"
    );
}
