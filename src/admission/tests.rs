//! Cases of admission: a header section, a user, a configuration, and the verdict.

use std::path::Path;

use super::*;
use crate::config::Config;
use crate::mail::Pattern;
use crate::mail::RecipientPolicy;
use crate::mail::ReportRequest;
use crate::mail::ReversePath;

const CONFIGURATION: &str = r#"
    [[account]]
    name = "scanners"
    tenant = "contoso.com"
    client_id = "1"
    client_secret_env = "PATH"
    mailbox = "scan@contoso.com"
    senders = ["scan*@contoso.com"]

    [[account]]
    name = "people"
    tenant = "contoso.com"
    client_id = "1"
    client_secret_env = "PATH"
    mailbox = "from"
    senders = ["*@contoso.com"]
    recipients = "headers"
"#;

fn envelope() -> Envelope {
    Envelope {
        reverse_path: ReversePath::Address("anna@contoso.com".parse().unwrap()),
        recipients: vec!["you@example.org".parse().unwrap()],
        asked: Vec::new(),
        utf8: false,
        reports: ReportRequest::default(),
    }
}

fn user(senders: &[&str]) -> Identity {
    let senders = senders.iter().map(|text| Pattern::from((*text).to_owned()));
    Identity {
        name: "erp".to_owned(),
        senders: senders.collect(),
        recipients: RecipientPolicy::default(),
    }
}

/// The decision about a message with this header section, sent by this user.
fn admitted(head: &str, identity: Option<&Identity>, extra: &str) -> Result<Admitted, Verdict> {
    let text = format!("{CONFIGURATION}{extra}");
    let config = Config::parse(&text, Path::new("relay.toml")).unwrap();
    let header = Header::split(head.as_bytes(), true).unwrap();
    let envelope = envelope();
    let handed = Handed {
        identity,
        envelope: &envelope,
    };
    let rules = Rules {
        accounts: &config.accounts,
        senders: &config.senders,
        users: &config.users,
        hostname: "relay.test",
        received_headers: 3,
    };
    admit(&header, &Findings::of(&header), handed, rules)
}

#[test]
fn the_author_decides_about_account_and_mailbox() {
    let destination = |head: &str| admitted(head, None, "").map(|it| it.destination.to_string());

    let scanner = destination("From: Scanner <scan1@contoso.com>\r\n").unwrap();
    let person = destination("From: anna@contoso.com\r\n").unwrap();
    let stranger: Address = "eve@fabrikam.com".parse().unwrap();

    assert!(
        scanner.contains("scanners") && scanner.contains("scan@contoso.com"),
        "{scanner}"
    );
    assert!(
        person.contains("people") && person.contains("anna@contoso.com"),
        "{person}"
    );
    assert_eq!(
        destination("From: eve@fabrikam.com\r\n"),
        Err(Verdict::NoAccount(Some(stranger)))
    );
}

#[test]
fn a_loop_is_noticed_by_its_length_and_by_our_own_fields() {
    let of = |field: &str, times: usize| {
        let head = format!("{}From: anna@contoso.com\r\n", field.repeat(times));
        admitted(&head, None, "").err()
    };
    let other = "Received: from a by b; Sun, 29 Nov 2026 10:00:00 +0000\r\n";
    let ours = "Received: from a by relay.test (graph-relay) with ESMTP; now\r\n";

    assert_eq!(of(other, 3), None);
    assert_eq!(of(other, 4), Some(Verdict::Looping(Loop::Hops(3))));
    assert_eq!(of(ours, 1), None);
    assert_eq!(of(ours, 2), Some(Verdict::Looping(Loop::Returns(2))));
}

#[test]
fn a_user_names_nobody_else_in_from_or_sender_or_by_leaving_from_out() {
    let erp = user(&["erp@contoso.com"]);
    let of = |head: &str| admitted(head, Some(&erp), "").err();
    let anna: Address = "anna@contoso.com".parse().unwrap();

    assert_eq!(of("From: erp@contoso.com\r\n"), None);
    assert_eq!(
        of("From: anna@contoso.com\r\n"),
        Some(Verdict::NotThisSender(Some(anna.clone())))
    );
    let sender = of("From: erp@contoso.com\r\nSender: anna@contoso.com\r\n");
    assert!(matches!(sender, Some(Verdict::NotThisActor(_, who)) if who == anna));
    // The reverse-path would be put in.
    assert!(matches!(
        of("Subject: x\r\n"),
        Some(Verdict::NotThisSubstitute(_))
    ));
}

#[test]
fn a_message_whose_header_names_its_recipients_is_not_split() {
    let largest = |head: &str| admitted(head, None, "").unwrap().largest_part;

    assert_eq!(largest("From: scan1@contoso.com\r\n"), LARGEST_PART);
    assert_eq!(largest("From: anna@contoso.com\r\n"), usize::MAX);
}
