//! Logging in to the page with Entra, and attacks on it.

use graph_relay_sandbox::IdTokenFlaw;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;

use super::client::Answer;
use super::client::Browser;
use super::with_page;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::stand_in;
use crate::common::stand_in_with;
use crate::sign_in::browse;
use crate::sign_in::user;

const OTHER: &str = "reports@sandbox.example";
const GROUP: &str = "44444444-4444-4444-4444-444444444444";
/// After so many a client has to wait.
const WRONG_ATTEMPTS: u32 = 5;

/// A relay that these people may log in to.
fn home(graph: &Sandbox, lists: &str) -> Home {
    let section = format!("[admin.entra]\n{lists}");
    with_page(graph).sections(&section).build()
}

fn browser(relay: &Relay) -> Browser {
    let mut browser = Browser::at(relay);
    browser.host = format!("localhost:{}", browser.address.port());
    browser
}

/// Goes to Entra and signs in there; returns the path at which the browser comes back.
async fn sign_in(browser: &mut Browser, upn: &str) -> String {
    let begun = browser.get("/log-in/entra");
    assert_eq!(begun.status, 303, "{begun:?}");
    let cookie = begun.header("set-cookie");
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let url = begun.header("location").to_owned();
    for part in [
        "code_challenge_method=S256",
        "nonce=",
        "scope=openid+profile&",
    ] {
        assert!(url.contains(part), "{part}: {url}");
    }
    chosen(&begun, &user(upn)).await
}

/// Chooses this at Entra; returns the path at which the browser comes back.
async fn chosen(begun: &Answer, choice: &str) -> String {
    let address = browse(begun.header("location"), choice).await;
    let url = reqwest::Url::parse(&address).unwrap();
    assert_eq!(url.path(), "/log-in/done");
    format!("{}?{}", url.path(), url.query().unwrap())
}

/// Comes back without the cookie, and goes on with it, as a browser does.
fn come_back(browser: &mut Browser, path: &str) -> Answer {
    let mut without = Browser {
        address: browser.address,
        host: browser.host.clone(),
        cookies: std::collections::BTreeMap::new(),
        language: "en",
    };
    let back = without.get(path);
    let (_, rest) = back.body.split_once("content=\"0;url=").unwrap();
    let next = rest.split('"').next().unwrap();
    browser.get(&next.replace("&#38;", "&").replace("&amp;", "&"))
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_groups_of_the_lists_log_in_with_entra() {
    for (lists, role) in [
        (
            format!("administrators = [\"{}\"]", MAILBOX.to_uppercase()),
            "administrator",
        ),
        (
            format!("viewers = [\"{MAILBOX}\"]\noperators = [\"{GROUP}\"]"),
            "operator",
        ),
        (format!("viewers = [\"{OTHER}\", \"{GROUP}\"]"), "viewer"),
    ] {
        let groups = vec![GROUP.to_owned()];
        let graph = stand_in_with(Settings {
            groups,
            ..Settings::default()
        })
        .await;
        let home = home(&graph, &lists);
        let relay = Relay::start(&home);
        let mut browser = browser(&relay);
        let log_in = browser.get("/log-in");
        assert!(log_in.body.contains("Log in with Microsoft"), "{log_in:?}");

        let path = sign_in(&mut browser, MAILBOX).await;
        let ended = come_back(&mut browser, &path);

        assert_eq!(
            (ended.status, ended.header("location")),
            (303, "/"),
            "{ended:?}"
        );
        assert!(
            browser.get("/").body.contains(&format!(">{role}</span>")),
            "{role}"
        );
        let line = relay.event("page_log_in", |_| true);
        assert_eq!(
            (&line["user"], &line["role"]),
            (&MAILBOX.into(), &role.into())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_with_entra_leads_to_the_page_that_was_asked_for() {
    let graph = stand_in().await;
    let home = home(&graph, &format!("viewers = [\"{MAILBOX}\"]"));
    let relay = Relay::start(&home);
    let mut browser = browser(&relay);

    let begun = browser.get("/log-in/entra?next=%2Fmessages%3Fstate%3Dfailed");
    let path = chosen(&begun, &user(MAILBOX)).await;
    let ended = come_back(&mut browser, &path);

    assert_eq!(
        ended.header("location"),
        "/messages?state=failed",
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_by_another_name_of_the_page_begins_at_its_own() {
    let graph = stand_in().await;
    let home = home(&graph, &format!("viewers = [\"{MAILBOX}\"]"));
    let relay = Relay::start(&home);
    let mut browser = Browser::at(&relay);

    let begun = browser.get("/log-in/entra?next=%2Fdevices");

    let own = format!("http://localhost:{}", browser.address.port());
    let there = "/log-in/entra?here=true&next=%2Fdevices";
    assert_eq!(begun.header("location"), format!("{own}{there}"));
    // A proxy may hide the name: then once is enough.
    let begun = browser.get(there);
    assert!(
        begun.header("location").starts_with(&graph.url()),
        "{begun:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_with_a_flaw_logs_in_nobody() {
    for (flaw, words) in [
        (IdTokenFlaw::Unsigned, "not signed with RS256"),
        (IdTokenFlaw::Changed, "its signature is wrong"),
        (
            IdTokenFlaw::UnknownKey,
            "a key that the tenant does not have",
        ),
        (IdTokenFlaw::OtherIssuer, "another tenant issued it"),
        (IdTokenFlaw::OtherAudience, "for another app"),
        (IdTokenFlaw::OtherNonce, "belongs to another log-in"),
        (IdTokenFlaw::Expired, "has expired"),
        // The name of a guest is up to somebody else.
        (IdTokenFlaw::Guest, "is in no list"),
    ] {
        let graph = stand_in_with(Settings {
            id_token_flaw: Some(flaw),
            ..Settings::default()
        })
        .await;
        let home = home(&graph, &format!("administrators = [\"{MAILBOX}\"]"));
        let relay = Relay::start(&home);
        let mut browser = browser(&relay);

        let path = sign_in(&mut browser, MAILBOX).await;
        let ended = come_back(&mut browser, &path);

        assert_eq!(ended.status, 403, "{flaw:?}: {ended:?}");
        assert!(ended.body.contains(words), "{flaw:?}: {}", ended.body);
        assert_eq!(browser.get("/").status, 303, "{flaw:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_outside_the_lists_and_groups_that_entra_leaves_out_log_in_nobody() {
    let graph = stand_in_with(Settings {
        too_many_groups: true,
        ..Settings::default()
    })
    .await;
    let home = home(
        &graph,
        &format!("administrators = [\"{GROUP}\", \"{OTHER}\"]"),
    );
    let relay = Relay::start(&home);
    let mut browser = browser(&relay);

    let path = sign_in(&mut browser, MAILBOX).await;
    let ended = come_back(&mut browser, &path);

    assert_eq!(ended.status, 403, "{ended:?}");
    for words in ["is in no list", MAILBOX, "more groups than Microsoft names"] {
        assert!(ended.body.contains(words), "{words}: {}", ended.body);
    }
    assert_eq!(browser.get("/").status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_logs_in_only_the_browser_that_began_and_only_once() {
    let graph = stand_in().await;
    let home = home(&graph, &format!("administrators = [\"{MAILBOX}\"]"));
    let relay = Relay::start(&home);
    let mut attacker = browser(&relay);
    let mut victim = browser(&relay);
    let path = sign_in(&mut attacker, MAILBOX).await;

    // A browser that began nothing, or another log-in, is not logged in as the attacker.
    let refused = come_back(&mut victim, &path);
    assert!(refused.body.contains("no longer valid"), "{refused:?}");
    victim.get("/log-in/entra");
    let refused = come_back(&mut victim, &path);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(victim.get("/").status, 303);
    // Nor is one whose state was changed.
    let changed = path.replace("state=", "state=x");
    assert_eq!(come_back(&mut attacker, &changed).status, 403);

    let cookies = attacker.cookies.clone();
    assert_eq!(come_back(&mut attacker, &path).status, 303);
    // The code has been used, even for somebody who has the cookie of the log-in still.
    attacker.cookies = cookies;
    let again = come_back(&mut attacker, &path);
    assert!(again.body.contains("AADSTS54005"), "{again:?}");
    assert_eq!(attacker.get("/").status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_declines_may_try_again_and_made_up_answers_make_the_client_wait() {
    let graph = stand_in().await;
    let home = home(&graph, &format!("administrators = [\"{MAILBOX}\"]"));
    let relay = Relay::start(&home);
    let mut browser = browser(&relay);

    for _ in 0..=WRONG_ATTEMPTS {
        let begun = browser.get("/log-in/entra");
        let path = chosen(&begun, "decline").await;
        let declined = come_back(&mut browser, &path);
        assert_eq!(declined.status, 403, "{declined:?}");
        assert!(declined.body.contains("AADSTS65004"), "{}", declined.body);
    }
    // The words come from the visitor, who cannot fill the log with them.
    let begun = browser.get("/log-in/entra");
    let begun = reqwest::Url::parse(begun.header("location")).unwrap();
    let state = begun.query_pairs().find(|(name, _)| name == "state");
    let state = state.unwrap().1.into_owned();
    for number in 0..20 {
        let path = format!("/log-in/done?state={state}&error=x&error_description={number}");
        assert_eq!(come_back(&mut browser, &path).status, 403);
    }
    let path = sign_in(&mut browser, MAILBOX).await;
    assert_eq!(come_back(&mut browser, &path).status, 303);
    // What was logged before stands before it.
    relay.event("page_log_in", |_| true);
    assert_eq!(relay.events("page_log_in_failed").len(), 1);

    let path = sign_in(&mut browser, MAILBOX).await;
    let made_up = path.replace("code=", "code=x");
    for _ in 0..WRONG_ATTEMPTS {
        let refused = come_back(&mut browser, &made_up);
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(!refused.body.contains("Too many"), "{}", refused.body);
    }
    let waits = come_back(&mut browser, &path);
    assert!(waits.body.contains("Too many"), "{}", waits.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_section_nobody_logs_in_with_entra() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = browser(&relay);

    assert!(!browser.get("/log-in").body.contains("Microsoft"));
    for path in ["/log-in/entra", "/log-in/entra/end?code=x&state=y"] {
        let answer = browser.get(path);
        assert_eq!((answer.status, answer.header("location")), (303, "/log-in"));
    }
}
