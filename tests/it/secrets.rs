//! Promise 7: no secret leaks. Every kind of secret goes through the real relay at level
//! trace, in cases that succeed and in cases that fail; then everything that the relay
//! printed or wrote is searched for them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use graph_relay::auth::Means;
use graph_relay::auth::SignIn;
use graph_relay::auth::SignIns;
use graph_relay::auth::Store;
use graph_relay::auth::Tokens;
use graph_relay::auth::Way;
use graph_relay::clock::Clock;
use graph_relay::config::Config;
use graph_relay::mail::Address;
use graph_relay_sandbox::Cut;
use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Federated;
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
use crate::common::home::Setup;
use crate::common::keys;
use crate::common::message;
use crate::common::send_one;
use crate::common::stand_in_with;
use crate::common::users::PLAIN;
use crate::common::users::USERS;

/// The password of `PLAIN`.
const PASSWORD: &str = "Printer123Scan456";
const PROXY_PASSWORD: &str = "canary-of-the-proxy";
const IDENTITY_HEADER: &str = "canary-of-the-identity-header";
const PEOPLE: &str = "reports@sandbox.example";

/// Everything that others than the relay may see.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn text(&mut self, what: &str, text: impl AsRef<[u8]>) {
        self.0.push((what.to_owned(), text.as_ref().to_vec()));
    }

    fn output(&mut self, what: &str, output: &Output) {
        self.text(what, &output.stdout);
        self.text(what, &output.stderr);
    }

    /// The output of a command.
    fn command(&mut self, home: &Home, arguments: &[&str]) {
        let output = command(home, arguments).output().unwrap();
        self.output(&arguments.join(" "), &output);
    }

    fn log(&mut self, relay: &Relay) {
        for line in relay.all() {
            self.text("log", line.to_string());
        }
    }

    /// All files below a folder, except for the key of the sign-ins.
    fn files(&mut self, folder: &Path) {
        for found in fs::read_dir(folder).unwrap() {
            let path = found.unwrap().path();
            if path.is_dir() {
                self.files(&path);
            } else if path.is_file() && !path.ends_with("token-key") {
                let content = fs::read(&path).unwrap();
                self.text(&path.display().to_string(), content);
            }
        }
    }

    fn has_none_of(&self, secrets: &[String]) {
        assert!(self.0.iter().any(|(_, text)| !text.is_empty()));
        for secret in secrets {
            assert!(
                secret.len() >= 8,
                "{secret:?} is too short to be looked for"
            );
            for (what, text) in &self.0 {
                let found = common::find(text, secret.as_bytes());
                assert!(
                    found.is_none(),
                    "{what} shows a secret ({}...): {}",
                    secret.chars().take(12).collect::<String>(),
                    String::from_utf8_lossy(text),
                );
            }
        }
    }
}

fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = binary();
    command.args(arguments).arg("--config").arg(&home.config);
    command.stdin(Stdio::null());
    command
}

/// The relay logs everything that it can.
const TALKATIVE: &str = "[log]\nlevel = \"trace\"";

/// Signs in by a device code; returns the command's output.
async fn sign_in(home: &Home) -> Output {
    let mut login = command(home, &["login", PEOPLE, "--device"]);
    let login = login.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut login = login.spawn().unwrap();
    let mut said = std::io::BufReader::new(login.stderr.take().unwrap());
    let (mut place, mut code) = (String::new(), String::new());
    while code.is_empty() {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        assert!(!line.is_empty());
        if line.contains("/sandbox/device") {
            place = line.trim().to_owned();
        }
        if let Some((_, rest)) = line.split_once("with the code ") {
            code = rest.split('.').next().unwrap().to_owned();
        }
    }
    let form = format!("user_code={code}&user={PEOPLE}");
    let typed = reqwest::Client::new().post(place).body(form);
    let form = "application/x-www-form-urlencoded";
    let typed = typed.header("content-type", form).send().await.unwrap();
    assert!(typed.status().is_success());
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut said, &mut rest).unwrap();
    let mut output = login.wait_with_output().unwrap();
    output.stderr = rest;
    assert!(output.status.success(), "{output:?}");
    output
}

/// Signs in by a pasted address; returns the command's output except for the URL that the
/// person must see, whose code is used up.
async fn sign_in_by_paste(home: &Home) -> (Output, String) {
    let mut login = command(home, &["login", PEOPLE, "--no-browser"]);
    let mut login = login
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(login.stderr.take().unwrap());
    let mut url = String::new();
    while !url.contains("/authorize?") {
        url.clear();
        assert!(std::io::BufRead::read_line(&mut said, &mut url).unwrap() > 0);
    }
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let url = url.trim();
    let page = browser.get(url).send().await.unwrap().text().await.unwrap();
    let links = page
        .split("href=\"")
        .filter_map(|rest| rest.split('"').next());
    let link = links
        .into_iter()
        .find(|link| link.contains("reports"))
        .unwrap();
    let link = link.replace("&amp;", "&").replace("&#38;", "&");
    let link = reqwest::Url::parse(url).unwrap().join(&link).unwrap();
    let answer = browser.get(link).send().await.unwrap();
    let address = answer.headers()["location"].to_str().unwrap().to_owned();
    // A wrong one first, whose error must not repeat the code.
    let mut stdin = login.stdin.take().unwrap();
    writeln!(stdin, "{}", address.replace("state=", "state=x")).unwrap();
    writeln!(stdin, "{address}").unwrap();
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut said, &mut rest).unwrap();
    let mut output = login.wait_with_output().unwrap();
    output.stderr = rest;
    assert!(output.status.success(), "{output:?}");
    (output, address)
}

/// Every kind of account, at one stand-in.
fn with_every_account(graph: &Sandbox, token: &str) -> Setup {
    let mut setup = Home::with(graph);
    for (mailbox, credential) in [
        (MAILBOX, Credential::Secret),
        (PEOPLE, Credential::Delegated),
        (
            "certificate@sandbox.example",
            Credential::Certificate(&keys::APP),
        ),
        (
            "federated@sandbox.example",
            Credential::FederatedToken(token),
        ),
    ] {
        let senders = format!("senders = [\"{mailbox}\"]");
        setup = setup.account_by(&credential, mailbox, &senders);
    }
    setup
}

fn settings() -> Settings {
    let mailboxes = ["certificate@sandbox.example", "federated@sandbox.example"];
    let mut settings = Settings {
        public_client: true,
        device_interval: std::time::Duration::from_secs(1),
        certificates: vec![keys::APP.der()],
        federated: vec![Federated {
            issuer: "https://issuer.example".to_owned(),
            subject: "relay".to_owned(),
            audience: "api://AzureADTokenExchange".to_owned(),
            certificate: keys::OTHER.der(),
        }],
        identity_header: IDENTITY_HEADER.to_owned(),
        ..Settings::default()
    };
    settings.mailboxes.extend(mailboxes.map(str::to_owned));
    settings
}

fn from(relay: &Relay, mailbox: &str, to: &str, body: &str) {
    let content = message("hello", to).replace(MAILBOX, mailbox) + body;
    let mut smtp = relay.connect();
    smtp.expect("EHLO client.example", "250");
    common::id_of(&smtp.send(mailbox, &[to], content.as_bytes()));
}

/// A message whose attachment needs an upload session.
fn large() -> String {
    let base64 = "QUJD".repeat(19) + "\r\n";
    format!(
        "From: <{MAILBOX}>\r\nTo: <a@example.org>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee below\r\n--b\r\n\
         Content-Type: application/octet-stream\r\nContent-Disposition: attachment; \
         filename=x.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n{}--b--\r\n",
        base64.repeat(80_000)
    )
}

/// The faults: refusals, error pages, cut connections, at Entra and at Graph.
fn break_everything(graph: &Sandbox) {
    for status in [400, 401, 429, 500] {
        graph.inject(Fault::at(Station::Token, status));
    }
    graph.inject(Fault {
        body: Some("<html>".to_owned()),
        ..Fault::at(Station::Token, 200)
    });
    for cut in [Cut::Before, Cut::During] {
        graph.inject(Fault {
            cut: Some(cut),
            ..Fault::usual(Station::Token)
        });
    }
    for status in [401, 401, 403, 404, 503] {
        graph.inject(Fault::at_send(status));
    }
}

/// With every account, and users.
fn home(graph: &Sandbox, token: &str) -> Home {
    with_every_account(graph, token)
        .sections(USERS)
        .listener("authentication = \"optional\"")
        .sections(TALKATIVE)
        .build()
}

/// Every credential, large messages, and temporary failures.
async fn deliver(graph: &Sandbox, home: &Home, relay: &Relay, seen: &mut Seen) {
    break_everything(graph);
    for mailbox in [
        MAILBOX,
        "certificate@sandbox.example",
        "federated@sandbox.example",
    ] {
        from(relay, mailbox, "a@example.org", "");
    }
    send_one(relay, &["a@example.org"], &large());
    seen.command(home, &["doctor"]);
    graph.clear_faults();
    seen.command(home, &["queue", "retry", "--all", "--yes"]);
    arrived(graph, 5).await;
}

/// Tokens that Graph no longer accepts, sign-ins that Entra no longer accepts, refused
/// messages.
fn fail(graph: &Sandbox, relay: &Relay) {
    graph.revoke_tokens();
    graph.sign_out(PEOPLE, 50_173);
    from(relay, PEOPLE, "a@example.org", "");
    from(relay, MAILBOX, "denied@example.org", "");
    from(relay, MAILBOX, "invalid@example.org", "");
    relay.event("fault", |line| line["code"] == "AADSTS50173");
    relay.event("failed", |_| true);
}

/// AUTH, right and wrong.
fn authenticate(relay: &Relay, seen: &mut Seen) {
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    let wrong = smtp.say(&format!("AUTH PLAIN {}x", &PLAIN[..PLAIN.len() - 4]));
    seen.text("smtp", wrong);
    let mut smtp = relay.connect();
    smtp.expect("EHLO c", "250");
    seen.text("smtp", smtp.say(&format!("AUTH PLAIN {PLAIN}")));
    seen.text("smtp", smtp.say(&format!("AUTH PLAIN {PLAIN}")));
    seen.text("smtp", smtp.say("MAIL FROM:<nobody@elsewhere.example>"));
    smtp.say("QUIT");
}

/// Every command and request.
async fn ask(home: &Home, relay: &Relay, seen: &mut Seen) {
    for arguments in [
        &["status", "--json"][..],
        &["accounts", "--json"],
        &["accounts"],
        &["doctor", "--json"],
        &["check"],
        &["queue", "list", "--json"],
        &["sessions", "list", "--json"],
        &["sessions", "show", "1", "--json"],
        &["send-test", "a@example.org", "--via", "graph"],
        &["logout", PEOPLE],
    ] {
        seen.command(home, arguments);
    }
    for event in relay.events("accepted") {
        let id = event["id"].as_str().unwrap();
        seen.command(home, &["queue", "show", id, "--json"]);
    }
    let socket = reqwest::Client::builder()
        .unix_socket(home.path("data/admin.sock"))
        .build()
        .unwrap();
    for path in [
        "accounts", "status", "metrics", "queue", "sessions", "nothing",
    ] {
        let answer = socket.get(format!("http://relay/{path}")).send().await;
        seen.text(path, answer.unwrap().text().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_7_no_secret_is_in_any_output_or_file_of_the_relay() {
    let graph = stand_in_with(settings()).await;
    let claims = serde_json::json!({
        "iss": "https://issuer.example", "sub": "relay",
        "aud": "api://AzureADTokenExchange", "exp": 4_000_000_000_u64,
    });
    let home = home(&graph, &keys::OTHER.sign(&claims));
    let relay = Relay::start(&home);
    let mut seen = Seen::default();

    from(&relay, PEOPLE, "a@example.org", "");
    seen.output("login --device", &sign_in(&home).await);
    let (output, address) = sign_in_by_paste(&home).await;
    seen.output("login --no-browser", &output);
    deliver(&graph, &home, &relay, &mut seen).await;
    fail(&graph, &relay);
    authenticate(&relay, &mut seen);
    ask(&home, &relay, &mut seen).await;
    for arrival in graph.arrivals() {
        seen.text("a delivered message", &arrival.raw);
    }
    seen.files(&home.path("data"));
    relay.signal("TERM");
    relay.wait_until(|| !relay.events("stopped").is_empty());
    seen.files(&home.path("data"));
    seen.log(&relay);

    let mut secrets = graph.secrets();
    // Sent and received: tokens, codes, verifiers, assertions, upload tokens, the secret.
    assert!(secrets.len() > 15, "{}", secrets.len());
    let key = keys::APP.key.lines().nth(3).unwrap().to_owned();
    let code = address.split("code=").nth(1).unwrap();
    let code = code.split('&').next().unwrap().to_owned();
    secrets.extend([key, code, PASSWORD.to_owned(), PLAIN.to_owned()]);
    // As encoded in a form.
    secrets.push("Canary.not_a-secret".to_owned());
    seen.has_none_of(&secrets);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_7_no_secret_of_a_proxy_or_a_machine_is_in_any_output() {
    let graph = stand_in_with(settings()).await;
    let mut seen = Seen::default();

    // A proxy with a password, which is not running.
    let away = "login_url = \"https://127.0.0.1:9\"\ngraph_url = \"https://127.0.0.1:9\"";
    let proxy = format!("[http]\nproxy = \"http://relay:{PROXY_PASSWORD}@127.0.0.1:9\"\n");
    let home = Home::with(&graph)
        .account(MAILBOX, away)
        .sections(&proxy)
        .sections(TALKATIVE)
        .build();
    let relay = Relay::start(&home);
    send_one(
        &relay,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    relay.event("deferred", |_| true);
    for arguments in [&["doctor"][..], &["check"], &["queue", "list"], &["status"]] {
        seen.command(&home, arguments);
    }
    seen.files(&home.path("data"));
    seen.log(&relay);
    drop(relay);

    // App Service's header.
    let home = Home::with(&graph)
        .account_by(&Credential::ManagedIdentity, MAILBOX, "")
        .sections(TALKATIVE)
        .build();
    let relay = |header: &str| {
        let mut command = command(&home, &["serve"]);
        let url = format!("{}/msi/token", graph.url());
        command
            .env("IDENTITY_ENDPOINT", url)
            .env("IDENTITY_HEADER", header);
        Relay::start_by(&mut command)
    };
    let wrong = relay("canary-of-another-header");
    send_one(
        &wrong,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    wrong.event("fault", |_| true);
    seen.log(&wrong);
    drop(wrong);
    let right = relay(IDENTITY_HEADER);
    arrived(&graph, 1).await;
    seen.files(&home.path("data"));
    seen.log(&right);

    let mut secrets = graph.secrets();
    secrets.push(Settings::default().client_secret);
    let others = [PROXY_PASSWORD, IDENTITY_HEADER, "canary-of-another-header"];
    secrets.extend(others.map(str::to_owned));
    seen.has_none_of(&secrets);
}

/// The forms in which a panic, a log line or an error could print them.
#[tokio::test(flavor = "multi_thread")]
async fn promise_7_no_type_that_holds_a_secret_prints_it() {
    let graph = stand_in_with(settings()).await;
    let home = home(&graph, "canary-of-a-federated-token");
    let proxy = format!("[http]\nproxy = \"http://relay:{PROXY_PASSWORD}@127.0.0.1:9\"\n");
    home.append(&proxy);
    let config = Config::load(&home.config).unwrap();
    let mut means = Means::new(&config, Clock::System).unwrap();
    let (store, _) = Store::open(home.folder.path()).unwrap();
    let mailbox: Address = PEOPLE.parse().unwrap();
    let sign_in = SignIn {
        account: PEOPLE.to_owned(),
        mailbox: mailbox.clone(),
        refresh_token: "canary-of-a-refresh-token".into(),
        signed_in_at: Clock::System.now(),
        renewed_at: Clock::System.now(),
        refused: None,
    };
    store.keep(sign_in.clone()).await.unwrap();
    means.store = Some(store);
    let tokens: Vec<Tokens> = config
        .accounts
        .iter()
        .map(|account| Tokens::new(account.clone(), means.clone()))
        .collect();
    let sender = MAILBOX.parse().unwrap();
    let token = tokens[0].token(&sender).await.unwrap();
    let sign_ins = SignIns::new(tokens);
    let redirect_uri = "http://localhost".to_owned();
    let way = Way::Browser { redirect_uri };
    let begun = sign_ins.begin(mailbox.clone(), None, way).await.unwrap();
    let device = sign_ins.begin(mailbox, None, Way::Device).await.unwrap();

    let mut seen = Seen::default();
    seen.text(
        "Debug",
        format!("{config:?} {means:?} {sign_in:?} {token:?} {sign_ins:?}"),
    );
    let state = begun.url.split("state=").nth(1).unwrap();
    let state = state.split('&').next().unwrap().to_owned();
    let mut secrets = graph.secrets();
    secrets.extend([PASSWORD, PROXY_PASSWORD].map(str::to_owned));
    let canaries = ["canary-of-a-refresh-token", "canary-of-a-federated-token"];
    secrets.extend(canaries.map(str::to_owned));
    secrets.extend([state, keys::APP.key.lines().nth(3).unwrap().to_owned()]);
    secrets.extend(device.user_code);
    seen.has_none_of(&secrets);
}
