//! Logging in and out.

use std::io::Write;
use std::process::Stdio;

use super::ON;
use super::client::Browser;
use super::link;
use super::with_page;
use crate::common::Home;
use crate::common::Relay;
use crate::common::binary;
use crate::common::run;
use crate::common::said;
use crate::common::stand_in;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_in_there_is_nothing_but_the_log_in() {
    let graph = stand_in().await;
    let relay = with_page(&graph).start();
    let mut browser = Browser::at(&relay);

    for (path, log_in) in [
        ("/", "/log-in"),
        ("/messages", "/log-in?next=%2Fmessages"),
        ("/messages?q=a", "/log-in?next=%2Fmessages%3Fq%3Da"),
        ("/nothing", "/log-in?next=%2Fnothing"),
    ] {
        let answer = browser.get(path);
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, log_in),
            "{path}"
        );
        assert_eq!(answer.body, "", "{path}");
    }
    let page = browser.get("/log-in");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<code>sudo graph-relay page</code>"));
    assert!(!page.body.contains("type=\"password\""), "{}", page.body);
    assert!(!page.body.contains("relay@"), "{}", page.body);
    // Before it, somebody may choose a language.
    let answer = browser.get("/language/de?back=%2Flog-in");
    assert_eq!((answer.status, answer.header("location")), (303, "/log-in"));
    assert!(browser.get("/log-in").body.contains("<h1>Anmelden</h1>"));
    for file in ["page.css", "page.js", "htmx.js"] {
        assert_eq!(
            browser.get(&format!("/static/{file}")).status,
            200,
            "{file}"
        );
    }
    let of_htmx = [
        ("HX-Request", "true"),
        ("HX-Current-URL", "http://127.0.0.1/messages?q=a"),
    ];
    for (headers, log_in) in [
        (&of_htmx[..1], "/log-in"),
        (&of_htmx[..], "/log-in?next=%2Fmessages%3Fq%3Da"),
    ] {
        let update = browser.send("GET", "/messages", headers, "");
        let leads_to = update.header("hx-redirect");
        assert_eq!((update.status, leads_to), (401, log_in));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_logs_in_once_and_opening_it_does_not_use_it_up() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let link = link(&home);
    let mut browser = Browser::at(&relay);

    for _ in 0..3 {
        let page = browser.get(&link);
        assert_eq!(page.status, 200);
        assert!(page.header("set-cookie").is_empty(), "{page:?}");
    }
    let secret = browser.get(&link).field("link");
    let answer = browser.post("/log-in", &[("link", &secret)]);
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    let cookie = answer.header("set-cookie");
    let (cookie, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(
        attributes,
        "Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"
    );
    assert!(!cookie.contains(&secret));
    assert_eq!(browser.get("/").status, 200);
    relay.event("page_log_in", |line| {
        line["user"] == "link" && line["client"] == "127.0.0.1"
    });

    let mut other = Browser::at(&relay);
    let answer = other.post("/log-in", &[("link", &secret)]);
    assert_eq!(answer.status, 403);
    assert!(
        answer.body.contains("This link does not work"),
        "{}",
        answer.body
    );
    assert_eq!(other.get("/").status, 303);
    relay.event("page_log_in_failed", |_| true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_leads_to_the_page_that_was_asked_for_and_to_no_other_site() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::at(&relay);
    let asked = browser.get("/messages?q=a&state=failed");
    let place = asked.header("location").to_owned();
    let next = browser.get(&place);
    // Without a password there is no form yet: the link is opened in the same way.
    assert_eq!(next.status, 200);
    let (_, next) = place.split_once('?').unwrap();

    let page = browser.get(&format!("{}&{next}", link(&home)));
    let fields = [("link", page.field("link")), ("next", page.field("next"))];
    let fields = fields.each_ref().map(|(name, value)| (*name, &**value));
    assert_eq!(fields[1].1, "/messages?q=a&#38;state=failed");
    let fields = [fields[0], ("next", "/messages?q=a&state=failed")];
    let answer = browser.post("/log-in", &fields);

    let leads_to = (answer.status, answer.header("location"));
    assert_eq!(leads_to, (303, "/messages?q=a&state=failed"));
    let answer = browser.get("/log-in?next=%2Fmessages");
    assert_eq!(answer.header("location"), "/messages", "it is logged in");
    for foreign in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/log-in",
    ] {
        let mut browser = Browser::at(&relay);
        let link = browser.get(&link(&home)).field("link");
        let answer = browser.post("/log-in", &[("link", &link), ("next", foreign)]);
        let leads_to = (answer.status, answer.header("location"));
        assert_eq!(leads_to, (303, "/"), "{foreign}");
    }
}

/// What a browser says of a link on another site; it sends no cookie with it.
const FROM_ELSEWHERE: [(&str, &str); 2] = [
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Mode", "navigate"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_another_site_leads_to_its_page_with_the_cookie_of_the_session() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut stranger = Browser::at(&relay);

    let answer = stranger.send("GET", "/messages?q=%22a%22", &FROM_ELSEWHERE, "");

    assert_eq!(answer.status, 200);
    let refresh = "<meta http-equiv=\"refresh\" content=\"0; url=/messages?q=%22a%22\">";
    assert!(answer.body.contains(refresh), "{}", answer.body);
    assert!(answer.body.contains("<a href=\"/messages?q=%22a%22\">"));
    assert!(!answer.body.contains("relay.test"), "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    // The browser follows it from a page of the relay.
    let own = [("Sec-Fetch-Site", "same-origin"), FROM_ELSEWHERE[1]];
    let answer = stranger.send("GET", "/messages?q=%22a%22", &own, "");
    assert_eq!(answer.status, 303, "a stranger ends at the log-in");
    let mut browser = Browser::logged_in(&relay, &home);
    assert_eq!(browser.send("GET", "/messages", &own, "").status, 200);
    // No other site.
    let answer = stranger.send("GET", "//evil.example/", &FROM_ELSEWHERE, "");
    let leads_to = (answer.status, answer.header("location"));
    assert_eq!(leads_to, (303, "/log-in"));
    // A picture or a script of another site learns nothing.
    let script = [FROM_ELSEWHERE[0], ("Sec-Fetch-Mode", "no-cors")];
    assert_eq!(stranger.send("GET", "/messages", &script, "").status, 303);
    let form = stranger.send("POST", "/log-out", &FROM_ELSEWHERE, "");
    assert_eq!(form.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_ends_the_session_and_not_only_the_cookie() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let mut copy = Browser::at(&relay);
    copy.cookies = browser.cookies.clone();
    assert_eq!(copy.get("/").status, 200);

    let answer = browser.change("/log-out", &[]);

    let leads_to = (answer.status, answer.header("location"));
    assert_eq!(leads_to, (303, "/log-in?said=logged-out"));
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
    let page = browser.get("/log-in?said=logged-out").body;
    assert!(page.contains("You are logged out."), "{page}");
    // Whoever still has the cookie is told so once, and goes on at the same place.
    let answer = copy.get("/messages?q=a");
    let leads_to = (answer.status, answer.header("location"));
    let next = "next=%2Fmessages%3Fq%3Da";
    assert_eq!(leads_to, (303, &*format!("/log-in?said=ended&{next}")));
    let page = copy.get("/log-in?said=ended&next=%2Fmessages").body;
    assert!(page.contains("Your session has ended."), "{page}");
    let again = copy.get("/messages?q=a");
    assert_eq!(again.header("location"), format!("/log-in?{next}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_logs_in_and_guesses_have_to_wait() {
    let graph = stand_in().await;
    let hash = hash_of("correct horse");
    let home = with_page(&graph)
        .sections(&format!("[admin]\npassword_hash = \"{hash}\""))
        .build();
    let relay = Relay::start(&home);
    let mut browser = Browser::at(&relay);
    let mut log_in = |password: &str| browser.post("/log-in", &[("password", password)]);

    for _ in 0..4 {
        let answer = log_in("wrong");
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("This password is wrong."));
        assert!(!answer.body.contains("value=\"wrong\""));
    }
    let answer = log_in("correct horse");
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    assert_eq!(log_in("").status, 403);
    let answer = log_in("correct horse");
    assert_eq!(answer.status, 429);
    assert!(answer.body.contains("Too many wrong attempts"));
    // Whoever has a link need not wait.
    Browser::logged_in(&relay, &home);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_behind_a_proxy_are_told_apart_only_if_the_proxy_is_named() {
    let graph = stand_in().await;
    let password = format!("{ON}\npassword_hash = \"{}\"", hash_of("correct horse"));
    let home = Home::with(&graph).sections(&password).build();
    let relay = Relay::start(&home);
    assert_eq!(guess_as(&relay, "192.0.2.7"), 403);
    relay.event("page_log_in_failed", |line| line["client"] == "127.0.0.1");
    drop(relay);

    let proxies = format!("{password}\nproxies = [\"127.0.0.1\"]");
    home.change(&password, &proxies);
    let relay = Relay::start(&home);
    for _ in 0..5 {
        assert_eq!(guess_as(&relay, "198.51.100.1, 192.0.2.7"), 403);
    }
    relay.event("page_log_in_failed", |line| line["client"] == "192.0.2.7");
    assert_eq!(guess_as(&relay, "198.51.100.2, 192.0.2.7"), 429);
    assert_eq!(guess_as(&relay, "192.0.2.8"), 403);
}

/// Tries a wrong password for a client that a proxy names.
fn guess_as(relay: &Relay, client: &str) -> u16 {
    let mut browser = Browser::at(relay);
    let origin = format!("http://{}", browser.host);
    let headers = [
        ("Origin", origin.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Forwarded-For", client),
    ];
    browser
        .send("POST", "/log-in", &headers, "password=wrong")
        .status
}

/// The hash of a password, as `hash-password` prints it.
fn hash_of(password: &str) -> String {
    let mut child = binary()
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{password}").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_off_until_it_has_an_address() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut relay = Relay::start(&home);

    let output = run(&home, &["page"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("the admin page is off: set address"),
        "{}",
        said(&output)
    );
    assert!(relay.events("page").is_empty());

    home.append(ON);
    relay.signal("HUP");
    relay.event("reloaded", |line| line["needs_restart"] == "[admin]");
    assert!(relay.stop().success());
    let relay = Relay::start(&home);
    Browser::logged_in(&relay, &home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_a_session_that_has_ended_leads_back_to_its_page() {
    let graph = stand_in().await;
    let relay = with_page(&graph).start();
    let mut browser = Browser::at(&relay);
    let own = format!("http://{}", browser.host);
    for (page, log_in) in [
        (format!("{own}/test"), "/log-in?next=%2Ftest"),
        ("http://evil.example/test".to_owned(), "/log-in"),
    ] {
        let headers = [("Origin", own.as_str()), ("Referer", &page)];

        let answer = browser.send("POST", "/test", &headers, "");

        let leads_to = (answer.status, answer.header("location"));
        assert_eq!(leads_to, (303, log_in), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_behind_one_name_do_not_end_each_others_sessions() {
    let graph = stand_in().await;
    let homes = [with_page(&graph).build(), with_page(&graph).build()];
    let relays = homes.each_ref().map(Relay::start);
    let mut first = Browser::logged_in(&relays[0], &homes[0]);
    let mut second = Browser::at(&relays[1]);
    // A browser sends the cookies of a name to all its ports.
    second.cookies.clone_from(&first.cookies);
    let link = second.get(&link(&homes[1])).field("link");
    assert_eq!(second.post("/log-in", &[("link", &link)]).status, 303);
    first.cookies.clone_from(&second.cookies);

    assert_eq!(first.get("/").status, 200);
    assert_eq!(second.get("/").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_once_have_no_more_turns_than_guesses_one_by_one() {
    let graph = stand_in().await;
    let password = format!("{ON}\npassword_hash = \"{}\"", hash_of("correct horse"));
    let home = Home::with(&graph).sections(&password).build();
    let relay = Relay::start(&home);
    let guess = || {
        let mut browser = Browser::at(&relay);
        browser.post("/log-in", &[("password", "wrong")]).status
    };

    let statuses = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..16).map(|_| scope.spawn(guess)).collect();
        let statuses = guesses.into_iter().map(|guess| guess.join().unwrap());
        statuses.collect::<Vec<_>>()
    });

    let count = |status| statuses.iter().filter(|it| **it == status).count();
    assert_eq!((count(403), count(429)), (5, 11), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_relay_toml_does_not_name_is_noticed_with_what_to_do() {
    let graph = stand_in().await;
    let home = with_page(&graph).build();
    let relay = Relay::start(&home);
    let mut browser = Browser::logged_in(&relay, &home);
    let words = "There is a proxy in front of the admin page";
    assert!(!browser.get("/").body.contains(words));

    let forwarded = [
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-Proto", "https"),
    ];
    browser.send("GET", "/", &forwarded, "");

    let shown = browser.get("/").body;
    assert!(shown.contains(words), "{shown}");
    assert!(shown.contains("proxies = ["), "{shown}");
    relay.event("config_warning", |line| {
        line.to_string().contains("proxies")
    });
}
