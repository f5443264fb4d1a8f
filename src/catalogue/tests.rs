//! The form of the texts, which codes must be there, and how they are found.

use std::collections::BTreeSet;

use super::*;

/// All codes that Microsoft's documentation names for sending mail: Entra's, by number.
const ENTRA: &[u32] = &[
    7_000_215, 7_000_222, 70_002, 700_016, 700_011, 7_000_229, 7_000_112, 7_000_218, 700_025,
    700_027, 700_024, 700_021, 700_023, 50_027, 5_002_723, 90_002, 900_023, 90_038, 900_382,
    900_432, 9_001_023, 70_011, 1_002_012, 500_011, 900_144, 90_014, 65_001, 65_004, 90_094,
    90_095, 50_034, 50_020, 50_053, 50_055, 50_057, 50_126, 50_072, 50_074, 50_076, 50_079, 50_105,
    50_158, 53_000, 53_001, 53_002, 53_003, 530_035, 530_036, 50_173, 70_008, 700_082, 70_043,
    70_000, 54_005, 501_481, 50_011, 50_194, 50_196, 70_016, 70_018, 70_019, 70_020, 70_021,
    700_211, 700_212, 700_213, 700_229, 650_056, 650_057, 90_006, 90_024, 90_033, 50_033, 90_090,
    90_055, 90_093, 900_941, 900_981,
];

const OAUTH: &str = "invalid_client invalid_grant invalid_request invalid_scope invalid_resource \
    invalid_tenant unauthorized_client unsupported_grant_type unsupported_response_type \
    access_denied permission_denied server_error temporarily_unavailable interaction_required \
    login_required basic_action consent_required consent_declined insufficient_claims \
    authorization_pending authorization_declined slow_down expired_token bad_verification_code \
    bad_request_102";

const GRAPH: &str = "InvalidAuthenticationToken ErrorAccessDenied ErrorSendAsDenied \
    Authorization_RequestDenied ErrorInvalidUser ErrorNonExistentMailbox Request_ResourceNotFound \
    ResourceNotFound MailboxNotEnabledForRESTAPI ErrorMessageSubmissionBlocked \
    ErrorAccountSuspend ErrorQuotaExceeded quotaLimitReached ErrorInvalidRecipients \
    ErrorRecipientLimitExceeded ErrorExceededMaxRecipientLimit ErrorMessageSizeExceeded \
    ErrorMimeContentInvalid ErrorMimeContentConversionFailed ErrorMimeContentInvalidBase64String \
    InvalidInternetMessageHeader InvalidInternetMessageHeaderCollection RequestBodyRead \
    BadRequest ErrorInvalidRequest ErrorInvalidProperty ErrorPropertyValidationFailure \
    ErrorInvalidIdMalformed ApplicationThrottled CommandConcurrencyLimitReached TooManyRequests \
    activityLimitReached ErrorTooManyRequests ErrorSubmissionQuotaExceeded \
    ErrorExceededMessageLimit ErrorInternalServerError ErrorInternalServerTransientError \
    UnknownError generalException gatewayTimeout ErrorServerBusy ServiceUnavailable \
    serviceNotAvailable ErrorMailboxStoreUnavailable MdbReplicationProtection ErrorItemNotFound \
    ErrorIrresolvableConflict PreconditionFailed ErrorFolderExists \
    ErrorAttachmentSizeShouldNotBeLessThanMinimumSize InvalidAudience InvalidAudienceForResource \
    invalidRange fragmentOutOfOrder fragmentOverlap fragmentLengthMismatch uploadSessionNotFound \
    MailboxConcurrency WASCL RAOP CredentialTypeNotAllowedAsPerAppPolicy \
    CredentialInvalidLifetimeAsPerAppPolicy";

const SMTP: &str = "4.7.500 5.1.10 5.2.0 5.2.252 5.7.3 5.7.30 5.7.57 5.7.60 5.7.68 5.7.139 5.7.232 5.7.233 \
    5.7.236 5.7.501 5.7.512 5.7.705 5.7.708";

#[test]
fn every_code_that_can_come_has_an_entry() {
    for number in ENTRA.iter().copied() {
        assert!(entra(number).is_some(), "AADSTS{number}");
    }
    for words in [OAUTH, GRAPH, SMTP] {
        for code in words.split_whitespace() {
            assert!(find(code).is_some(), "{code}");
        }
    }
}

#[test]
fn every_code_has_one_entry() {
    let mut codes = BTreeSet::new();
    for entry in all() {
        assert!(
            codes.insert(entry.code.to_ascii_lowercase()),
            "{} is there twice",
            entry.code
        );
    }
}

#[test]
fn every_text_has_its_form() {
    for entry in all() {
        let Entry { code, cause, .. } = entry;
        assert!(
            cause.ends_with('.') && cause.starts_with(|c: char| c.is_ascii_uppercase() || c == '"'),
            "{code}: {cause}"
        );
        let remedy = entry.remedy;
        assert!(
            remedy.starts_with(|c: char| c.is_ascii_lowercase())
                && !remedy.ends_with(['.', ',', ';'])
                && !remedy.contains(". "),
            "{code}: {remedy}"
        );
        let place = entry.place.unwrap_or("x");
        assert!(
            !place.is_empty() && !place.ends_with('.'),
            "{code}: {place}"
        );
        for text in [code, cause, remedy, place] {
            assert!(
                text.is_ascii() && !text.contains("  ") && !text.contains('\n'),
                "{code}: {text}"
            );
        }
        assert!(
            !cause.contains('{') && !place.contains("{mailbox}"),
            "{code}"
        );
        let named = named(remedy, "MAILBOX", "ADDRESS");
        assert!(!named.contains(['{', '}']), "{code}: {named}");
    }
}

#[test]
fn situations_with_different_remedies_have_different_entries() {
    let situations = [
        ("secret id instead of value", "AADSTS7000215", "Secret ID"),
        ("expired secret", "AADSTS7000222", "expired"),
        ("wrong tenant", "AADSTS90002", "no such tenant"),
        ("wrong client", "AADSTS700016", "client_id"),
        ("no consent", "AADSTS65001", "consented"),
        ("risky app", "AADSTS900941", "risky"),
        (
            "secrets forbidden",
            "CredentialTypeNotAllowedAsPerAppPolicy",
            "forbids client secrets",
        ),
        (
            "Mail.Send missing, or delegated",
            "ErrorAccessDenied",
            "delegated",
        ),
        (
            "directory permission",
            "Authorization_RequestDenied",
            "Insufficient privileges",
        ),
        ("mailbox missing", "ErrorInvalidUser", "no user"),
        (
            "mailbox unlicensed",
            "MailboxNotEnabledForRESTAPI",
            "licence",
        ),
        ("send-as denied", "ErrorSendAsDenied", "From address"),
        ("access policy", "RAOP", "access policy"),
        ("conditional access", "AADSTS53003", "Conditional Access"),
        ("second factor", "AADSTS50076", "multi-factor"),
        ("refresh token expired", "AADSTS700082", "refresh token"),
        ("redirect mismatch", "AADSTS50011", "redirect URI"),
        ("single tenant at /common", "AADSTS50194", "/common"),
        ("clock skew", "AADSTS700024", "clock"),
        ("wrong cloud", "AADSTS900382", "cloud"),
        ("proxy password", "http-407", "proxy"),
        ("proxy or firewall", "http-4xx", "firewall"),
    ];
    let mut remedies = BTreeSet::new();
    for (situation, code, word) in situations {
        let entry = find(code).unwrap();
        assert!(entry.cause.contains(word), "{situation}: {}", entry.cause);
        assert!(
            remedies.insert(entry.remedy),
            "{situation}: {}",
            entry.remedy
        );
    }
}

#[test]
fn a_code_is_found_as_people_write_it() {
    for (written, code) in [
        ("AADSTS7000215", "AADSTS7000215"),
        ("aadsts7000215", "AADSTS7000215"),
        (" 7000215 ", "AADSTS7000215"),
        ("errorsendasdenied", "ErrorSendAsDenied"),
        ("authorization_declined", "authorization_declined"),
        ("80049217", "80049217"),
        ("407", "http-407"),
        ("http-418", "http-4xx"),
        ("HTTP-503", "http-5xx"),
        ("5.7.512", "5.7.5xx"),
        ("5.7.509", "5.7.509"),
        ("535 5.7.8", "535 5.7.8"),
        ("5.4.7", "5.4.7"),
    ] {
        assert_eq!(
            find(written).map(|entry| entry.code),
            Some(code),
            "{written}"
        );
    }
    for unknown in [
        "", "x", "AADSTS", "AADSTS1", "418", "12", "5.7.5", "é5", "xx",
    ] {
        assert_eq!(find(unknown), None, "{unknown}");
    }
}

#[test]
fn every_code_in_a_text_is_found_and_numbers_only_where_nothing_else_is() {
    let codes = |text| -> Vec<&str> { found_in(text).iter().map(|entry| entry.code).collect() };
    for (text, found) in [
        (
            "AADSTS7000222: The provided client secret keys for app 'x' are expired. Trace ID: \
             7000215a-1111 Correlation ID: 22222222 Timestamp: 2026-11-21 19:00:00Z",
            vec!["AADSTS7000222"],
        ),
        (
            "Graph answered 403 ErrorAccessDenied: Access is denied.",
            vec!["ErrorAccessDenied"],
        ),
        (
            "from 127.0.0.1:50011, 429 TooManyRequests",
            vec!["TooManyRequests"],
        ),
        (
            r#"{"error":"invalid_grant","error_codes":[50076],"suberror":"basic_action"}"#,
            vec!["invalid_grant", "basic_action"],
        ),
        ("error_codes: [50076]", vec!["AADSTS50076"]),
        (
            "Graph answered 413 BadRequest: The maximum request length supported is 4MB.",
            vec!["http-413", "BadRequest"],
        ),
        (
            "Graph answered 407 : no error of Graph in the answer",
            vec!["http-407"],
        ),
        ("550-5.7.708 Access denied", vec!["5.7.708"]),
        ("550 5.7.233; again 5.7.233.", vec!["5.7.233"]),
        (
            "ErrorServerBusy then ErrorSendAsDenied",
            vec!["ErrorServerBusy", "ErrorSendAsDenied"],
        ),
        ("all is well", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(codes(text), found, "{text}");
    }
}

#[test]
fn an_answer_with_413_is_explained_by_its_status_whatever_its_code() {
    let code = |status, code| of_answer(status, code).map(|entry| entry.code);

    for any in [None, Some("BadRequest"), Some("UnknownError")] {
        assert_eq!(code(Some(413), any), Some("http-413"));
    }
    assert_eq!(code(Some(400), Some("BadRequest")), Some("BadRequest"));
    assert_eq!(code(Some(404), None), None);
    assert_eq!(code(None, Some("invalid_client")), Some("invalid_client"));
    let remedy = find("413").unwrap().remedy;
    for words in [
        "smaller attachments",
        "oversize = ",
        "request_limit",
        "proxy",
    ] {
        assert!(remedy.contains(words), "{words}: {remedy}");
    }
}

#[test]
fn a_reply_of_the_relay_is_found_by_its_codes_or_one_of_them() {
    let codes = |text| -> Vec<&str> { found_in(text).iter().map(|entry| entry.code).collect() };
    for (text, found) in [
        ("535 5.7.8", vec!["535 5.7.8"]),
        ("535 5.7.8 Wrong name or password", vec!["535 5.7.8"]),
        (
            "scanner01: error: 535-5.7.8 Wrong name or password",
            vec!["535 5.7.8"],
        ),
        ("5.7.8", vec!["535 5.7.8"]),
        ("535", vec!["535 5.7.8"]),
        ("535 wrong password", vec!["535 5.7.8"]),
        ("5.7.1", vec!["550 5.7.1", "553 5.7.1", "554 5.7.1"]),
        // Microsoft's server and the relay both say it.
        ("432 4.3.2", vec!["432 4.3.2"]),
        ("421 4.3.2", vec!["421 4.3.2"]),
        // No reply has both.
        ("499 5.4.6", vec!["554 5.4.6"]),
        ("503", vec!["503 5.5.1", "http-5xx"]),
        ("418", vec!["http-4xx"]),
        ("took 503 ms", vec![]),
        ("127.0.0.1 graph-relay 5.2.1", vec![]),
    ] {
        assert_eq!(codes(text), found, "{text}");
    }
}

#[test]
fn words_that_people_copy_without_their_code_are_found() {
    let codes = |text| -> Vec<&str> { found_in(text).iter().map(|entry| entry.code).collect() };
    for (text, code) in [
        ("Need admin approval", "AADSTS90094"),
        (
            "Credential type not allowed as per assigned policy 'no secrets'.",
            "CredentialTypeNotAllowedAsPerAppPolicy",
        ),
        (
            "Credential lifetime exceeds the max value allowed as per assigned policy",
            "CredentialInvalidLifetimeAsPerAppPolicy",
        ),
    ] {
        assert_eq!(codes(text), [code], "{text}");
    }
}

#[test]
fn a_typing_error_has_a_nearest_code_and_nonsense_has_none() {
    for (written, code) in [
        ("ErrorSendAsDenid", Some("ErrorSendAsDenied")),
        ("AADSTS700215", Some("AADSTS7000215")),
        ("invalid_cleint", Some("invalid_client")),
        ("5.7.707", None),
        ("nonsense", None),
        ("was", None),
        ("", None),
    ] {
        assert_eq!(nearest(written).map(|entry| entry.code), code, "{written}");
    }
}

#[test]
fn a_place_has_the_names_of_its_app() {
    let app = App {
        tenant: "contoso.com",
        client_id: "1234",
        login_url: "https://login.microsoftonline.us",
    };
    let place = |code: &str| find(code).unwrap().place_of(Some(app), "a@x.example");

    let consent = "https://login.microsoftonline.us/contoso.com/adminconsent?client_id=1234";
    assert_eq!(place("AADSTS65001").as_deref(), Some(consent));
    assert_eq!(app.admin_consent(), consent);
    for entry in all() {
        let place = entry.place_of(Some(app), "a@x.example").unwrap_or_default();
        for name in ["/TENANT/", "APP_ID", "MAILBOX"] {
            assert!(!place.contains(name), "{place}");
        }
    }
}

#[test]
fn no_mailbox_is_given_send_as_on_itself() {
    let remedy = |author| named(SEND_AS_DENIED.remedy, "relay@contoso.com", author);

    assert!(remedy("app@contoso.com").contains("relay@contoso.com Send As on app@contoso.com"));
    let sentence = format!("This has to be fixed: {}.", SEND_AS_DENIED.remedy);
    let own = named(&sentence, "relay@contoso.com", "Relay@contoso.com");
    assert!(own.starts_with("This has to be fixed: check "), "{own}");
    assert!(!own.contains("Send As"), "{own}");
    assert!(
        own.contains("that relay@contoso.com is an address"),
        "{own}"
    );
}

#[test]
fn a_user_that_does_not_exist_is_named_with_the_place_where_the_name_comes_from() {
    let remedy = named(INVALID_USER.remedy, "app@contoso.com", "app@contoso.com");

    assert!(remedy.starts_with("compare app@contoso.com "), "{remedy}");
    assert!(
        remedy.contains("mailbox = \"from\", the From address"),
        "{remedy}"
    );
}
