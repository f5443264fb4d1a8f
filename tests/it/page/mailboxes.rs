//! Connecting a mailbox on the page: the sign-in in a browser, links for users, forgetting,
//! and attacks on each.

use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;

use super::client::Answer;
use super::client::Browser;
use super::with_page;
use crate::common::Credential;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::run;
use crate::common::said;
use crate::common::send_many;
use crate::common::stand_in;
use crate::common::stand_in_with;
use crate::sign_in::browse;
use crate::sign_in::user;

const OTHER: &str = "reports@sandbox.example";

/// With one account that signs in itself, of the kind "Web": it has a secret.
fn home(graph: &Sandbox) -> Home {
    with_page(graph)
        .account_by(&Credential::Secret, MAILBOX, "sign_in = \"delegated\"")
        .build()
}

/// The browser at the address that the page names itself.
fn at_its_url(mut browser: Browser) -> Browser {
    browser.host = format!("localhost:{}", browser.address.port());
    browser
}

fn administrator(relay: &Relay, home: &Home) -> Browser {
    at_its_url(Browser::logged_in(relay, home))
}

/// Begins a sign-in; returns its page.
fn begin(browser: &mut Browser, mailbox: &str) -> String {
    let fields = [("account", MAILBOX), ("mailbox", mailbox)];
    let answer = browser.change("/connect/begin", &fields);
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.header("location").to_owned()
}

/// Where the button of a sign-in's page leads.
fn way_to_entra(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let (_, rest) = answer.body.split_once("id=\"go\" href=\"").unwrap();
    let url = rest.split('"').next().unwrap();
    url.replace("&amp;", "&").replace("&#38;", "&")
}

/// Path and query of the address at which Entra ends.
fn path_of(address: &str) -> String {
    let url = reqwest::Url::parse(address).unwrap();
    format!("{}?{}", url.path(), url.query().unwrap())
}

/// The browser comes back as Entra sends it: without the cookie, which is `SameSite=Strict`.
/// Returns where its page goes on.
fn come_back(browser: &Browser, address: &str) -> String {
    let mut without = Browser {
        address: browser.address,
        host: browser.host.clone(),
        cookies: std::collections::BTreeMap::new(),
        language: "en",
    };
    let answer = without.get(&path_of(address));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(without.cookies.is_empty(), "{answer:?}");
    let (_, rest) = answer.body.split_once("content=\"0;url=").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Signs in as somebody; returns the page at the end.
async fn sign_in(browser: &mut Browser, at: &str, choice: &str) -> Answer {
    let url = way_to_entra(&browser.get(at));
    let address = browse(&url, choice).await;
    let next = come_back(browser, &address);
    assert_eq!(next, at);
    browser.get(&next)
}

/// Connects a mailbox with the page; `browse` is whoever signs in at an address, and ends at
/// another. Returns the page at the end.
pub(crate) fn connect(
    relay: &Relay,
    home: &Home,
    mailbox: &str,
    browse: impl Fn(&str) -> String,
) -> String {
    let mut browser = administrator(relay, home);
    let fields = [("account", mailbox), ("mailbox", mailbox)];
    let begun = browser.change("/connect/begin", &fields);
    let at = begun.header("location").to_owned();
    let url = way_to_entra(&browser.get(&at));
    let next = come_back(&browser, &browse(&url));
    assert_eq!(next, at);
    let mut ended = String::new();
    relay.wait_until(|| {
        ended = browser.get(&at).body;
        !ended.contains("Checking the answer")
    });
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_connects_a_mailbox_and_a_test_message_arrives() {
    let graph = stand_in().await;
    let home = home(&graph);
    let relay = Relay::start(&home);
    send_many(&relay, "early", 2);
    let mut browser = administrator(&relay, &home);

    let list = browser.get("/mailboxes");
    assert!(list.body.contains("Has not signed in"), "{}", list.body);
    let redirect_uri = format!("http://localhost:{}/connect/done", browser.address.port());
    assert!(list.body.contains(&redirect_uri), "{}", list.body);
    // What needs attention has the page's own button, not a command.
    let button = format!("form=\"begin-sign-in\" name=\"mailbox\" value=\"{MAILBOX}\"");
    assert!(list.body.contains(&button), "{}", list.body);
    assert!(!list.body.contains("graph-relay login"), "{}", list.body);
    let mut viewer = Browser::logged_in_as(&relay, &home, "viewer");
    let overview = viewer.get("/").body;
    let command = format!("graph-relay login {MAILBOX}");
    assert!(overview.contains(&command), "{overview}");
    assert!(!overview.contains(&button), "{overview}");
    let at = begin(&mut browser, MAILBOX);
    let url = way_to_entra(&browser.get(&at));
    for part in ["code_challenge_method=S256", "nonce=", "state="] {
        assert!(url.contains(part), "{url}");
    }
    let ended = sign_in(&mut browser, &at, &user(MAILBOX)).await;
    assert!(
        ended.body.contains("relay@sandbox.example is connected")
            && ended.body.contains("2 messages waited for this"),
        "{}",
        ended.body
    );

    // The mail that waited, and the test message.
    arrived(&graph, 3).await;
    relay.wait_until(|| browser.get(&at).body.contains("Delivered"));
    let ended = browser.get(&at).body;
    assert!(ended.contains("Microsoft 365 has accepted it"), "{ended}");
    assert!(
        !ended.contains("data-live"),
        "nothing more happens: {ended}"
    );
    let history = said(&run(&home, &["history"]));
    assert!(
        history.contains("A test message from graph-relay"),
        "{history}"
    );
    let list = browser.get("/mailboxes").body;
    assert!(
        list.contains("Signed in</span>") && list.contains("since"),
        "{list}"
    );
    assert_eq!(relay.events("signed_in").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_client_connects_a_mailbox_and_any_mailbox_of_from() {
    let graph = stand_in_with(Settings {
        public_client: true,
        ..Settings::default()
    })
    .await;
    let home = with_page(&graph)
        .account_by(&Credential::Delegated, MAILBOX, "mailbox = \"from\"")
        .build();
    let relay = Relay::start(&home);
    let mut browser = administrator(&relay, &home);

    let list = browser.get("/mailboxes").body;
    assert!(
        list.contains("No mailbox has signed in yet") && list.contains("Mobile and desktop"),
        "{list}"
    );
    let at = begin(&mut browser, OTHER);
    let ended = sign_in(&mut browser, &at, &user(OTHER)).await;

    assert!(ended.body.contains("is connected"), "{}", ended.body);
    arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_stands_at_the_top_in_words_with_its_remedy() {
    let graph = stand_in().await;
    let home = home(&graph);
    let relay = Relay::start(&home);
    let mut browser = administrator(&relay, &home);

    let at = begin(&mut browser, MAILBOX);
    let ended = sign_in(&mut browser, &at, &user(OTHER)).await;
    for words in [
        "Another account has signed in",
        "Sign out everywhere first",
        &format!("{OTHER} has signed in, and the mailbox is {MAILBOX}"),
    ] {
        assert!(ended.body.contains(words), "{words}: {}", ended.body);
    }

    let at = begin(&mut browser, MAILBOX);
    let ended = sign_in(&mut browser, &at, "decline").await;
    for words in ["The permission is missing", "AADSTS65004", "Try again"] {
        assert!(ended.body.contains(words), "{words}: {}", ended.body);
    }

    // A wrong secret is found out after the user has signed in.
    let secret = home.path("client-secret");
    std::fs::write(&secret, "5a4db0c5-0000-4000-8000-00000000000f").unwrap();
    let at = begin(&mut browser, MAILBOX);
    let ended = sign_in(&mut browser, &at, &user(MAILBOX)).await;
    for words in ["Microsoft did not sign in", "AADSTS7000215", "Value"] {
        assert!(ended.body.contains(words), "{words}: {}", ended.body);
    }
    assert!(relay.events("signed_in").is_empty());

    let mailbox = [("account", MAILBOX), ("mailbox", "nobody@sandbox.example")];
    let refused = browser.change("/connect/begin", &mailbox);
    let list = browser.get(refused.header("location")).body;
    assert!(list.contains("sends from this mailbox"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_once_and_only_for_whoever_began_the_sign_in() {
    let graph = stand_in().await;
    let home = home(&graph);
    let relay = Relay::start(&home);
    let mut browser = administrator(&relay, &home);
    let mut other = administrator(&relay, &home);
    let at = begin(&mut browser, MAILBOX);
    let url = way_to_entra(&browser.get(&at));
    let address = browse(&url, &user(MAILBOX)).await;

    // Another state belongs to no sign-in.
    let state = reqwest::Url::parse(&address).unwrap();
    let state = state
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1;
    for wrong in [
        String::new(),
        "x".to_owned(),
        state.to_lowercase(),
        format!("{state}x"),
    ] {
        let path = path_of(&address.replace(&*state, &wrong));
        let refused = browser.get(&path);
        assert_eq!(refused.status, 404, "{wrong}: {refused:?}");
    }

    // Somebody else does not see it, and does not end it.
    let next = come_back(&browser, &address);
    let refused = other.get(&next);
    assert_eq!(refused.status, 404, "{refused:?}");
    assert!(refused.body.contains("no longer valid"), "{refused:?}");
    let mut nobody = at_its_url(Browser::at(&relay));
    let place = nobody.get(&next);
    assert!(place.header("location").starts_with("/log-in"), "{place:?}");
    assert!(relay.events("signed_in").is_empty());
    assert!(browser.get(&next).body.contains("is connected"));

    // The same answer again leads to the same page, and signs in nobody.
    let again = come_back(&browser, &address);
    assert_eq!(again, at);
    assert!(browser.get(&again).body.contains("is connected"));
    // A code that was used has no use in another sign-in either.
    let at = begin(&mut browser, MAILBOX);
    let url = reqwest::Url::parse(&way_to_entra(&browser.get(&at))).unwrap();
    let new_state = url
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1;
    let next = come_back(&browser, &address.replace(&*state, &new_state));
    let ended = browser.get(&next);
    assert!(ended.body.contains("AADSTS54005"), "{}", ended.body);
    arrived(&graph, 1).await;
    assert_eq!(relay.events("signed_in").len(), 1);
}

/// The path of a new link for the user of a mailbox.
fn link_for(browser: &mut Browser) -> String {
    let fields = [("account", MAILBOX), ("mailbox", MAILBOX)];
    let answer = browser.change("/mailboxes/link", &fields);
    // The page is on loopback.
    assert!(answer.body.contains("id=\"only-here\""), "{answer:?}");
    let (_, rest) = answer.body.split_once("/connect?link=").unwrap();
    format!("/connect?link={}", rest.split('"').next().unwrap())
}

/// Uses a link for the user of a mailbox; returns the guest, and the path of the sign-in.
fn guest(relay: &Relay, administrator: &mut Browser) -> (Browser, String) {
    let link = link_for(administrator);
    let mut guest = at_its_url(Browser::at(relay));
    // Programs that look at links do not use them up.
    for _ in 0..2 {
        let welcome = guest.get(&link).body;
        assert!(
            welcome.contains("Connect relay@sandbox.example"),
            "{welcome}"
        );
    }
    let secret = guest.get(&link).field("link");
    let entered = guest.post("/connect", &[("link", &secret)]);
    assert_eq!(entered.status, 303, "{entered:?}");
    let cookie = entered.header("set-cookie");
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let at = entered.header("location").to_owned();
    (guest, at)
}

fn named<'a>(account: &'a str, mailbox: &'a str, csrf: &'a str) -> [(&'a str, &'a str); 3] {
    [("account", account), ("mailbox", mailbox), ("csrf", csrf)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_lets_its_user_connect_the_mailbox() {
    let graph = stand_in().await;
    let home = home(&graph);
    let relay = Relay::start(&home);
    let mut administrator = administrator(&relay, &home);
    let (mut guest, at) = guest(&relay, &mut administrator);

    // A user who errs may try again.
    let ended = sign_in(&mut guest, &at, &user(OTHER)).await;
    assert!(
        ended.body.contains("Another account has signed in"),
        "{ended:?}"
    );
    let own = ended.field("csrf");
    let again = guest.post("/connect/begin", &named(MAILBOX, MAILBOX, &own));
    let at = again.header("location").to_owned();
    let ended = sign_in(&mut guest, &at, &user(MAILBOX)).await;

    assert!(ended.body.contains("is connected"), "{ended:?}");
    for shown in ["<nav", "/messages/", "/mailboxes\"", "log-out"] {
        assert!(!ended.body.contains(shown), "{shown}: {}", ended.body);
    }
    arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_can_connect_one_mailbox_and_nothing_else() {
    const PAGES: [&str; 12] = [
        "/",
        "/messages",
        "/messages/x",
        "/mailboxes",
        "/devices",
        "/set-up",
        "/doctor",
        "/audit",
        "/api",
        "/export",
        "/connect/other",
        "/nothing",
    ];
    const ORDERS: [&str; 7] = [
        "/messages/actions",
        "/mailboxes/link",
        "/mailboxes/forget",
        "/log-out",
        "/set-up",
        "/devices",
        "/doctor",
    ];
    let graph = stand_in().await;
    let home = home(&graph);
    let relay = Relay::start(&home);
    let mut administrator = administrator(&relay, &home);
    let (mut guest, at) = guest(&relay, &mut administrator);
    let ended = sign_in(&mut guest, &at, &user(OTHER)).await;
    let (own, theirs) = (ended.field("csrf"), administrator.get("/").field("csrf"));

    for fields in [
        named(MAILBOX, OTHER, &own),
        named("another", MAILBOX, &own),
        named(MAILBOX, MAILBOX, &theirs),
        named(MAILBOX, MAILBOX, ""),
    ] {
        let refused = guest.post("/connect/begin", &fields);
        assert_eq!(refused.status, 403, "{fields:?}: {refused:?}");
    }
    let of_another = begin(&mut administrator, MAILBOX);
    assert_eq!(guest.get(&of_another).status, 404);
    for path in PAGES {
        let refused = guest.get(path);
        let place = refused.header("location");
        assert!(
            refused.status == 303 && place.starts_with("/log-in"),
            "{path}"
        );
    }
    for path in ORDERS {
        let refused = guest.post(path, &named(MAILBOX, MAILBOX, &own));
        let place = refused.header("location");
        assert!(
            refused.status == 303 && place.starts_with("/log-in"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_works_once() {
    let graph = stand_in().await;
    let home = home(&graph);
    let relay = Relay::start(&home);
    let mut administrator = administrator(&relay, &home);
    let replaced = link_for(&mut administrator);
    let link = link_for(&mut administrator);

    let secret = |link: &str| link.split_once('=').unwrap().1.to_owned();
    let enter = |link: &str| {
        let mut guest = at_its_url(Browser::at(&relay));
        let answer = guest.post("/connect", &[("link", &secret(link))]);
        (answer.status, guest.cookies.len())
    };
    assert_eq!(enter(&replaced), (403, 0));
    assert_eq!(enter(&link), (303, 1));
    assert_eq!(enter(&link), (403, 0));
    assert_eq!(enter("/connect?link="), (403, 0));
    let mut guest = at_its_url(Browser::at(&relay));
    let welcome = guest.get(&link);
    assert!(
        welcome.body.contains("This link does not work"),
        "{welcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_asks_first_and_a_viewer_only_sees_states() {
    let graph = stand_in().await;
    let home = home(&graph);
    let relay = Relay::start(&home);
    let mut browser = administrator(&relay, &home);
    let at = begin(&mut browser, MAILBOX);
    sign_in(&mut browser, &at, &user(MAILBOX)).await;

    let mailbox = [("account", MAILBOX), ("mailbox", MAILBOX)];
    for role in ["viewer", "operator"] {
        let mut viewer = at_its_url(Browser::logged_in_as(&relay, &home, role));
        let list = viewer.get("/mailboxes").body;
        assert!(
            list.contains("Signed in</span>") && !list.contains("<button form"),
            "{list}"
        );
        assert!(!list.contains("/connect/begin"), "{list}");
        for path in ["/mailboxes/link", "/mailboxes/forget", "/connect/begin"] {
            assert_eq!(viewer.change(path, &mailbox).status, 403, "{role} {path}");
        }
    }
    let asks = browser.change("/mailboxes/forget", &mailbox);
    assert!(
        asks.body
            .contains("Forget the sign-in of relay@sandbox.example?"),
        "{asks:?}"
    );
    assert!(browser.get("/mailboxes").body.contains("Signed in</span>"));

    let confirmed = [mailbox[0], mailbox[1], ("confirmed", "1")];
    let forgotten = browser.change("/mailboxes/forget", &confirmed);
    assert_eq!(forgotten.status, 303, "{forgotten:?}");
    let list = browser.get(forgotten.header("location")).body;
    assert!(
        list.contains("is forgotten") && list.contains("Has not signed in"),
        "{list}"
    );
    relay.event("logged_out", |_| true);
}
