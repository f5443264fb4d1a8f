//! Mailboxes that sign in, with the real binary against the stand-in: in a browser, by a
//! pasted address, by a device code; and what happens to their mail.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::process::ChildStderr;
use std::process::Command;
use std::process::Stdio;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Rotation;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;

use crate::common;
use crate::common::Credential;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::message;
use crate::common::run;
use crate::common::said;
use crate::common::send_many;
use crate::common::send_one;
use crate::common::stand_in_with;

const OTHER: &str = "reports@sandbox.example";

/// A public client that people sign in to.
pub(crate) fn settings() -> Settings {
    Settings {
        public_client: true,
        device_interval: std::time::Duration::from_secs(1),
        ..Settings::default()
    }
}

/// With one delegated account, without a credential.
fn home(graph: &Sandbox) -> Home {
    Home::with(graph)
        .account_by(&Credential::Delegated, MAILBOX, "")
        .build()
}

/// `graph-relay login`, while it waits.
struct Login {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Login {
    fn begin(home: &Home, mailbox: &str, options: &[&str]) -> Self {
        Self::begin_as(home, mailbox, options, |_| {})
    }

    /// The same with more settings.
    fn begin_as(
        home: &Home,
        mailbox: &str,
        options: &[&str],
        set: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = binary();
        command
            .args(["login", mailbox])
            .args(options)
            .arg("--config")
            .arg(&home.config)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        set(&mut command);
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    /// The next line of its output that contains this.
    fn line_with(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).unwrap();
            assert!(read > 0, "login ended without {part:?}");
            if line.contains(part) {
                return line.trim().to_owned();
            }
        }
    }

    fn paste(&mut self, address: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{address}").unwrap();
    }

    /// Waits for its end; returns the exit code and all output.
    fn end(mut self) -> (i32, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code().unwrap(), said)
    }
}

/// The person at a browser: returns where the authorize URL leads, as this user.
pub(crate) async fn browse(url: &str, choice: &str) -> String {
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let page = browser.get(url).send().await.unwrap();
    assert_eq!(page.status(), 200, "{page:?}");
    let page = page
        .text()
        .await
        .unwrap()
        .replace("&amp;", "&")
        .replace("&#38;", "&");
    let links = page.split("href=\"").skip(1);
    let links = links.filter_map(|rest| rest.split('"').next());
    let link = links
        .into_iter()
        .find(|link| link.replace("%40", "@").contains(choice));
    let link = link.unwrap_or_else(|| panic!("no {choice} in {page}"));
    let base = reqwest::Url::parse(url).unwrap();
    let answer = browser.get(base.join(link).unwrap()).send().await.unwrap();
    assert_eq!(answer.status(), 302, "{answer:?}");
    answer.headers()["location"].to_str().unwrap().to_owned()
}

pub(crate) fn user(mailbox: &str) -> String {
    format!("user={mailbox}")
}

/// Signs in by a pasted address.
async fn sign_in(home: &Home, mailbox: &str) {
    let mut login = Login::begin(home, mailbox, &["--no-browser"]);
    let url = login.line_with("/authorize?");
    let address = browse(&url, &user(mailbox)).await;
    login.paste(&address);
    let (code, said) = login.end();
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_signs_in_with_a_browser_and_its_mail_goes_out() {
    let graph = stand_in_with(settings()).await;
    let home = home(&graph);
    let relay = Relay::start(&home);

    // Mail that came before waits, and the log says so once.
    send_many(&relay, "early", 3);
    let fault = relay.event("fault", |_| true);
    let remedy = fault["remedy"].as_str().unwrap();
    assert!(
        remedy.contains(&format!("graph-relay login {MAILBOX}")),
        "{fault}"
    );

    let mut login = Login::begin(&home, MAILBOX, &[]);
    let url = login.line_with("/authorize?");
    for part in [
        "code_challenge_method=S256",
        "nonce=",
        "state=",
        "offline_access",
    ] {
        assert!(url.contains(part), "{url}");
    }
    let address = browse(&url, &user(MAILBOX)).await;
    let closing = reqwest::get(&address).await.unwrap().text().await.unwrap();
    assert!(closing.contains("Go back to the terminal"), "{closing}");
    let (code, said) = login.end();
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains(&format!("{MAILBOX} has signed in (account")),
        "{said}"
    );
    assert!(
        said.contains("3 messages waited for this and will be sent now"),
        "{said}"
    );

    arrived(&graph, 3).await;
    assert_eq!(relay.events("fault").len(), 1);
    let sent = run(&home, &["send-test", "a@example.org", "--via", "graph"]);
    assert!(sent.status.success(), "{sent:?}");
    let status = run(&home, &["status"]);
    assert!(status.status.success(), "{status:?}");
    let accounts = common::said(&run(&home, &["accounts"]));
    assert!(
        accounts.contains(&format!("{MAILBOX}: good for")),
        "{accounts}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_outlives_the_relay_and_is_sealed_on_disk() {
    let graph = stand_in_with(Settings {
        rotation: Rotation::Revokes,
        ..settings()
    })
    .await;
    let home = home(&graph);
    let mut relay = Relay::start(&home);
    sign_in(&home, MAILBOX).await;

    // Each start requires a new access token, and uses up a refresh token.
    for count in 1..=3 {
        relay.kill();
        relay = Relay::start(&home);
        send_one(
            &relay,
            &["a@example.org"],
            &message("hello", "a@example.org"),
        );
        arrived(&graph, count).await;
    }

    // It may still be writing the newest token.
    relay.stop();
    let key = home.path("data/token-key");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&key), 0o600);
    assert_eq!(mode(&home.path("data/sign-ins")), 0o700);
    let files: Vec<_> = fs::read_dir(home.path("data/sign-ins")).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let file = files[0].as_ref().unwrap().path();
    assert_eq!(mode(&file), 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains(MAILBOX) && !text.contains("refresh_token"),
        "{text}"
    );

    // With another key nobody is signed in, and the relay says so.
    fs::write(&key, [7; 32]).unwrap();
    let relay = Relay::start(&home);
    let lost = relay.event("sign_in", |_| true);
    assert!(
        lost["reason"]
            .as_str()
            .unwrap()
            .contains("graph-relay login"),
        "{lost}"
    );
    drop(relay);
    fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let refused = run(&home, &["serve"]);
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    assert!(said(&refused).contains("chmod 600"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_mailbox_itself_signs_in_for_it() {
    let graph = stand_in_with(settings()).await;
    let home = home(&graph);
    let _relay = Relay::start(&home);

    let mut wrong = Login::begin(&home, MAILBOX, &["--no-browser"]);
    let url = wrong.line_with("/authorize?");
    let address = browse(&url, &user(OTHER)).await;
    wrong.paste("http://localhost/");
    wrong.line_with("not the address at which the browser ended");
    wrong.paste(&address.replace("state=", "state=x"));
    wrong.line_with("belongs to another sign-in");
    // Neither a foreign code nor a wrong person ends the login.
    wrong.paste(&address.replace("code=", "code=x"));
    wrong.line_with("Entra does not accept the code");
    wrong.paste(&address);
    wrong.line_with(&format!("{OTHER} has signed in, and the mailbox is"));
    wrong.line_with("Still waiting");
    assert!(signed_in(&home).is_empty());
    wrong.paste(&browse(&url, &user(MAILBOX)).await);
    let (code, said) = wrong.end();
    assert_eq!(code, 0, "{said}");
    assert_eq!(signed_in(&home).len(), 1);
    assert!(run(&home, &["logout", MAILBOX]).status.success());

    let mut declined = Login::begin(&home, MAILBOX, &["--no-browser"]);
    let url = declined.line_with("/authorize?");
    let address = browse(&url, "decline").await;
    declined.paste(&address);
    let (code, said) = declined.end();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("AADSTS65004"), "{said}");

    let stranger = run(&home, &["login", "nobody@contoso.com", "--no-browser"]);
    assert_eq!(stranger.status.code(), Some(1), "{stranger:?}");
    assert!(
        common::said(&stranger).contains("no [[account]] with sign_in"),
        "{stranger:?}"
    );
    assert!(signed_in(&home).is_empty());
}

/// The files of those who have.
fn signed_in(home: &Home) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(home.path("data/sign-ins")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_code_used_by_the_wrong_person_can_be_tried_again() {
    let graph = stand_in_with(settings()).await;
    let home = home(&graph);
    let _relay = Relay::start(&home);

    let mut login = Login::begin(&home, MAILBOX, &["--device"]);
    type_code(&mut login, OTHER).await;
    login.line_with(&format!("{OTHER} has signed in, and the mailbox is"));
    assert!(signed_in(&home).is_empty());
    type_code(&mut login, MAILBOX).await;

    let (code, said) = login.end();
    assert_eq!(code, 0, "{said}");
    assert_eq!(signed_in(&home).len(), 1);
}

/// Enters the code of a login on another device, as this user.
async fn type_code(login: &mut Login, mailbox: &str) {
    let place = login.line_with("/sandbox/device");
    let line = login.line_with("with the code ");
    let code = line.split("with the code ").nth(1).unwrap();
    let code = code.split('.').next().unwrap();
    let form = format!("user_code={code}&{}", user(mailbox));
    let device = reqwest::Client::new().post(place).body(form);
    let form = "application/x-www-form-urlencoded";
    let typed = device.header("content-type", form).send().await.unwrap();
    assert!(typed.status().is_success(), "{typed:?}");
}

/// `sudo graph-relay login` must not start a browser with root's rights.
#[tokio::test(flavor = "multi_thread")]
async fn login_opens_a_browser_as_the_user_and_never_as_root() {
    let graph = stand_in_with(settings()).await;
    let home = home(&graph);
    let _relay = Relay::start(&home);
    let opened = home.path("opened");
    let browser = home.path("bin/xdg-open");
    fs::create_dir(home.path("bin")).unwrap();
    let script = format!("#!/bin/sh\nid -u >'{}'\n", opened.display());
    fs::write(&browser, script).unwrap();
    fs::set_permissions(&browser, PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();

    let mut login = Login::begin_as(&home, MAILBOX, &[], |command| {
        command.env("DISPLAY", ":0").env("SUDO_UID", "1000");
        let path = format!("{}:{path}", home.path("bin").display());
        command.env("PATH", path);
    });
    let url = login.line_with("/authorize?");
    reqwest::get(browse(&url, &user(MAILBOX)).await)
        .await
        .unwrap();
    let (code, said) = login.end();

    assert_eq!(code, 0, "{said}");
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(said.contains("opened by itself"), !is_root, "{said}");
    assert!(!(is_root && opened.exists()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_code_signs_in_without_any_browser_here() {
    let graph = stand_in_with(settings()).await;
    let home = home(&graph);
    let _relay = Relay::start(&home);

    let mut login = Login::begin(&home, MAILBOX, &["--device"]);
    type_code(&mut login, MAILBOX).await;
    let (code, said) = login.end();
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_sign_in_holds_the_mail_of_that_mailbox_only() {
    let graph = stand_in_with(settings()).await;
    // One app for both: each has its own mailbox.
    let mut setup = Home::with(&graph);
    for mailbox in [MAILBOX, OTHER] {
        let senders = format!("senders = [\"{mailbox}\"]");
        setup = setup.account_by(&Credential::Delegated, mailbox, &senders);
    }
    let home = setup.build();
    let mut relay = Relay::start(&home);
    sign_in(&home, MAILBOX).await;
    sign_in(&home, OTHER).await;
    let from = |relay: &Relay, mailbox: &str| {
        let content = message("hello", "a@example.org").replace(MAILBOX, mailbox);
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");
        common::id_of(&smtp.send(mailbox, &["a@example.org"], content.as_bytes()))
    };

    graph.sign_out(MAILBOX, 700_082);
    graph.revoke_tokens();
    relay.kill();
    let relay = Relay::start(&home);
    let before = graph.requests().len();
    for _ in 0..20 {
        from(&relay, MAILBOX);
    }
    let fault = relay.event("fault", |_| true);
    assert_eq!(fault["code"], "AADSTS700082", "{fault}");
    assert!(
        fault["remedy"].as_str().unwrap().contains("login"),
        "{fault}"
    );
    from(&relay, OTHER);
    arrived(&graph, 1).await;
    let requests = graph.requests();
    let asked = requests[before..]
        .iter()
        .filter(|it| it.path.ends_with("/token"));
    // One for each mailbox: refused ones are not requested again and again.
    assert_eq!(asked.count(), 2);
    assert_eq!(relay.events("fault").len(), 1);
    let status = run(&home, &["status"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(
        said(&status).contains(&format!("{MAILBOX} needs to sign in")),
        "{status:?}"
    );

    sign_in(&home, MAILBOX).await;
    arrived(&graph, 21).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_forgets_the_sign_in() {
    let graph = stand_in_with(settings()).await;
    let home = home(&graph);
    let relay = Relay::start(&home);
    sign_in(&home, MAILBOX).await;
    send_one(
        &relay,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    arrived(&graph, 1).await;

    let output = run(&home, &["logout", MAILBOX]);
    assert!(output.status.success(), "{output:?}");
    assert!(
        fs::read_dir(home.path("data/sign-ins"))
            .unwrap()
            .next()
            .is_none()
    );
    send_one(
        &relay,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    relay.event("fault", |line| line["code"] == "not_signed_in");
    let again = run(&home, &["logout", MAILBOX]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_app_shows_its_secret_and_an_app_of_several_tenants_may_use_a_shared_name() {
    let graph = stand_in_with(Settings {
        multi_tenant: true,
        ..Settings::default()
    })
    .await;
    let keys = "sign_in = \"delegated\"\ntenant = \"organizations\"";
    let home = Home::with(&graph).account(MAILBOX, keys).build();
    let relay = Relay::start(&home);

    sign_in(&home, MAILBOX).await;
    send_one(
        &relay,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mailbox_of_an_account_signs_in_for_itself() {
    let graph = stand_in_with(settings()).await;
    let home = Home::with(&graph)
        .account_by(&Credential::Delegated, "from", "")
        .build();
    let relay = Relay::start(&home);
    sign_in(&home, MAILBOX).await;
    sign_in(&home, OTHER).await;

    for mailbox in [MAILBOX, OTHER] {
        let content = message("hello", "a@example.org").replace(MAILBOX, mailbox);
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");
        smtp.send(mailbox, &["a@example.org"], content.as_bytes());
    }
    let arrivals = arrived(&graph, 2).await;
    let mut mailboxes: Vec<_> = arrivals.iter().map(|it| it.mailbox.clone()).collect();
    mailboxes.sort();
    assert_eq!(mailboxes, [MAILBOX, OTHER]);
}

/// A relay that has signed in before and requests a token from Entra now, whose answer is
/// late: a refusal, if the person was signed out.
async fn asking(graph: &Sandbox, home: &Home) -> Relay {
    let mut relay = Relay::start(home);
    sign_in(home, MAILBOX).await;
    relay.kill();
    let relay = Relay::start(home);
    graph.inject(Fault {
        delay: std::time::Duration::from_secs(2),
        ..Fault::usual(Station::Token)
    });
    let asked = || {
        let requests = graph.requests();
        let refreshes = requests
            .iter()
            .filter(|it| it.grant.as_deref() == Some("refresh_token"));
        refreshes.count()
    };
    let before = asked();
    send_one(
        &relay,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    relay.wait_until(|| asked() > before);
    relay
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_refusal_does_not_undo_a_newer_sign_in() {
    let graph = stand_in_with(settings()).await;
    let home = home(&graph);
    let relay = asking(&graph, &home).await;
    graph.sign_out(MAILBOX, 50_173);

    sign_in(&home, MAILBOX).await;
    arrived(&graph, 1).await;
    let accounts = said(&run(&home, &["accounts"]));
    assert!(
        accounts.contains(&format!("{MAILBOX}: good for")),
        "{accounts}"
    );
    assert!(relay.events("signed_out").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_does_not_undo_a_logout() {
    let graph = stand_in_with(settings()).await;
    let home = home(&graph);
    let relay = asking(&graph, &home).await;

    let output = run(&home, &["logout", MAILBOX]);
    assert!(output.status.success(), "{output:?}");
    relay.event("fault", |line| line["code"] == "not_signed_in");
    assert!(
        fs::read_dir(home.path("data/sign-ins"))
            .unwrap()
            .next()
            .is_none()
    );
    assert!(graph.arrivals().is_empty());
}
