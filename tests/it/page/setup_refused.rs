//! What the set-up says where it does not save: the cause first, at its field, in words that fit
//! there; and what stays of a form that was not saved.

use std::fs;
use std::time::Duration;

use graph_relay_sandbox::Settings;

use super::client::Browser;
use super::consent;
use super::no_consent;
use super::setup::port;
use super::setup::save;
use super::setup::secrets;
use super::with_page;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::binary;
use crate::common::stand_in;
use crate::common::stand_in_with;
use crate::common::stand_in_with_scope;

const OTHER_ID: &str = "99999999-9999-9999-9999-999999999999";

/// The error at a field.
fn at_field<'a>(page: &'a str, field: &str) -> &'a str {
    let begin = format!("id=\"{field}-error\">");
    let (_, rest) = page.split_once(&begin).unwrap();
    rest.split("</span>").next().unwrap()
}

/// What stands on top.
fn notice(page: &str) -> &str {
    let (_, rest) = page.split_once("id=\"not-saved\"").unwrap();
    rest.split("</section>").next().unwrap()
}

#[track_caller]
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let found = rest.split_once(part);
        (_, rest) = found.unwrap_or_else(|| panic!("{part}: {text}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_secret_says_the_cause_first_and_hints_last_and_is_in_no_file() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    let page = save(&mut browser, &graph, &[("secret", "wrong~Canary")]).body;

    let parts = [
        "Not saved",
        "The client secret does not belong to this app",
        "href=\"#secret\"",
        "What to do:",
        "Microsoft said:",
        "AADSTS7000215",
        "Nothing was changed",
        "The secret that you entered is not saved either.",
        "In addition",
        "The expiry date of the client secret is not set",
    ];
    assert_in_order(notice(&page), &parts);
    assert!(at_field(&page, "secret").starts_with("Microsoft does not accept this"));
    assert_in_order(
        &page,
        &["id=\"secret\"", "autofocus", "id=\"secret-error\""],
    );
    assert!(!page.contains("saved, never shown"), "{page}");
    assert!(secrets(&home).is_empty(), "{:?}", secrets(&home));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_sees_each_mistake_at_its_field_and_no_command_with_it() {
    let graph = stand_in_with(Settings {
        unlicensed: vec!["unlicensed@sandbox.example".to_owned()],
        ..Settings::default()
    });
    let graph = graph.await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    for (field, value, cause) in [
        ("tenant", OTHER_ID, "no such tenant"),
        ("client_id", OTHER_ID, "client_id"),
        ("mailbox", "nobody@sandbox.example", "no user"),
        ("mailbox", "unlicensed@sandbox.example", "licence"),
    ] {
        let answer = save(&mut browser, &graph, &[(field, value)]);
        let page = answer.body;
        assert_eq!(answer.status, 422, "{value}: {page}");
        let link = format!("href=\"#{field}\"");
        assert_in_order(notice(&page), &["Not saved", cause, &link, "What to do:"]);
        let error = at_field(&page, field);
        assert!(error.starts_with("Microsoft does not accept"), "{page}");
        let (_, commands) = page.split_once("id=\"scope\"").unwrap();
        let commands = commands.split("</pre>").next().unwrap();
        assert!(!commands.contains(value), "{commands}");
        let placeholder = match field {
            "client_id" => "-AppId CLIENT_ID",
            "mailbox" => "-Resource MAILBOX",
            _ => "-AppId ",
        };
        assert!(commands.contains(placeholder), "{commands}");
        assert!(secrets(&home).is_empty(), "{:?}", secrets(&home));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_consent_is_named_with_the_address_at_which_an_administrator_grants_it() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    graph.inject(no_consent());

    let answer = save(&mut browser, &graph, &[]);

    assert_eq!(answer.status, 422, "{}", answer.body);
    let there = consent(&graph);
    let parts = [
        "Not saved",
        "Nobody has consented to the permissions of the app",
        "What to do:",
        "let an administrator grant admin consent to the app",
        &there,
        "Microsoft said:",
        "AADSTS65001",
        "Nothing was changed",
    ];
    assert_in_order(notice(&answer.body), &parts);
    graph.clear_faults();
    let granted = save(&mut browser, &graph, &[]);
    assert_eq!(granted.status, 303, "{}", granted.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_roles_is_saved_for_a_mailbox_of_its_scope_and_refused_for_another() {
    let inside = "reports@sandbox.example";
    let graph = stand_in_with_scope(inside).await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    let outside = save(&mut browser, &graph, &[]);

    assert_eq!(outside.status, 422, "{}", outside.body);
    let include = format!("include {MAILBOX} in its RBAC scope");
    let parts = [
        "Not saved",
        "The app may not send from this mailbox",
        "What to do:",
        "give the app the application permission Mail.Send",
        &include,
        "Test-ServicePrincipalAuthorization",
        "Microsoft said:",
        "ErrorAccessDenied",
        "Nothing was changed",
        "In addition",
        "The token does not contain Mail.Send",
        "Grant admin consent",
    ];
    assert_in_order(notice(&outside.body), &parts);
    // The address is right; what is missing is the permission.
    assert_eq!(at_field(&outside.body, "mailbox"), "");
    let saved = save(&mut browser, &graph, &[("mailbox", inside)]);
    assert_eq!(saved.status, 303, "{}", saved.body);
    let saved = browser.get(saved.header("location")).body;
    let hint = "The token does not contain Mail.Send";
    assert!(saved.contains(hint), "{saved}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_whose_mailboxes_sign_in_is_checked_too_and_the_next_step_is_named() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let delegated = ("sign_in", "delegated");

    for (field, value) in [
        ("tenant", OTHER_ID),
        ("client_id", OTHER_ID),
        ("secret", "wrong~Canary"),
    ] {
        let answer = save(&mut browser, &graph, &[delegated, (field, value)]);
        assert_eq!(answer.status, 422, "{field}: {}", answer.body);
        let error = at_field(&answer.body, field);
        assert!(
            error.starts_with("Microsoft does not accept"),
            "{field}: {error}"
        );
    }
    let answer = save(&mut browser, &graph, &[delegated]);

    assert_eq!(answer.status, 303, "{}", answer.body);
    let saved = browser.get(answer.header("location")).body;
    assert!(
        saved.contains("<a href=\"/mailboxes\">When it is in force"),
        "{saved}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_secret_is_missing_at_its_field_in_a_fresh_relay() {
    let graph = stand_in().await;
    let home = Home::empty();
    let text = format!(
        "data_dir = {:?}\n[admin]\naddress = \"127.0.0.1:{}\"\n[log]\nformat = \"json\"\n",
        home.path("data"),
        port(),
    );
    fs::write(&home.config, &text).unwrap();
    let relay = Relay::spawn(binary().arg("serve").arg("--config").arg(&home.config));
    relay.event("started", |_| true);
    let mut browser = Browser::logged_in(&relay, &home);
    let commands = browser.get("/setup").body;
    assert!(commands.contains("-AppId CLIENT_ID"), "{commands}");
    assert!(!commands.contains("id=\"consent\""), "{commands}");

    let page = save(&mut browser, &graph, &[("secret", " ")]).body;

    assert!(
        at_field(&page, "secret").contains("The relay has none yet"),
        "{page}"
    );
    assert_in_order(notice(&page), &["Not saved", "href=\"#secret\""]);
    assert!(page.contains(&consent(&graph)), "{page}");

    let page = save(&mut browser, &graph, &[("login_url", "ftp://127.0.0.1")]).body;
    assert!(!at_field(&page, "login_url").is_empty(), "{page}");
    assert!(
        !notice(&page).contains("relay.toml:"),
        "no line that nobody sees: {page}"
    );
    assert_eq!(fs::read_to_string(&home.config).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_the_relay_no_longer_holds_must_be_entered_again() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let before = fs::read_to_string(&home.config).unwrap();

    let fields = [
        ("secret", ""),
        ("kept", "gone"),
        ("anyway", "yes"),
        ("expires", "2031-05-01"),
    ];
    let answer = save(&mut browser, &graph, &fields);

    assert_eq!(answer.status, 422, "{}", answer.body);
    let words = "The relay no longer has the secret you entered: enter it again.";
    assert_eq!(at_field(&answer.body, "secret"), words);
    assert_in_order(notice(&answer.body), &["href=\"#secret\"", words]);
    assert_eq!(answer.field("kept"), "");
    assert_eq!(fs::read_to_string(&home.config).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_held_while_relay_toml_cannot_be_read() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let before = fs::read_to_string(&home.config).unwrap();

    fs::write(&home.config, "[[account").unwrap();
    let answer = save(&mut browser, &graph, &[]);
    assert_eq!(answer.status, 422, "{}", answer.body);
    let kept = answer.field("kept");
    let lost = save(&mut browser, &graph, &[("secret", ""), ("kept", "gone")]);
    let error = at_field(&lost.body, "secret");
    assert!(error.starts_with("The relay no longer has"), "{error}");
    fs::write(&home.config, before).unwrap();

    let again = save(&mut browser, &graph, &[("secret", ""), ("kept", &kept)]);

    assert_eq!(again.status, 303, "{}", again.body);
    assert_eq!(secrets(&home).len(), 1, "{:?}", secrets(&home));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_environment_is_marked_and_not_saved() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let mut serve = binary();
    serve.arg("serve").arg("--config").arg(&home.config);
    serve.env("GRAPH_RELAY__ACCOUNT__MAILBOX", "reports@sandbox.example");
    let relay = Relay::spawn(&mut serve);
    relay.event("started", |_| true);
    let mut browser = Browser::logged_in(&relay, &home);

    let page = browser.get("/setup").body;
    let parts = [
        "name=\"mailbox\" value=\"reports@sandbox.example\"",
        "readonly",
        "environment variable GRAPH_RELAY__ACCOUNT__MAILBOX",
    ];
    assert_in_order(&page, &parts);
    let fields = [
        ("mailbox", "other@sandbox.example"),
        ("expires", "2031-05-01"),
    ];
    let answer = save(&mut browser, &graph, &fields);

    assert_eq!(answer.status, 303, "{}", answer.body);
    let text = fs::read_to_string(&home.config).unwrap();
    assert!(
        text.contains(MAILBOX) && text.contains("2031-05-01"),
        "{text}"
    );
    assert!(
        !text.contains("other@") && !text.contains("reports@"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_secret_has_its_day_and_one_that_nothing_names_is_removed_later() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let folder = home.path("data").join("secrets");
    fs::create_dir_all(&folder).unwrap();
    let (old, new) = (folder.join("default-OLD"), folder.join("default-NEW"));
    for path in [&old, &new] {
        fs::write(path, "canary").unwrap();
    }
    let file = fs::File::options().write(true).open(&old).unwrap();
    let now = file.metadata().unwrap().modified().unwrap();
    file.set_modified(now - Duration::from_secs(3 * 24 * 60 * 60))
        .unwrap();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);

    relay.wait_until(|| !old.exists());
    assert!(new.exists(), "somebody may be about to apply it");
    assert_eq!(save(&mut browser, &graph, &[]).status, 303);

    let page = browser.get("/setup").body;
    assert!(
        page.contains("The secret in use was stored on 20"),
        "{page}"
    );
}
