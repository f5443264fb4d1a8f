//! Independent judges written by others: a real OpenID provider for the relay's client,
//! and Microsoft's own library for the stand-in of Entra, so that neither is tested only
//! against the other. See `tests/identity/README.md`.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use graph_relay::auth::Means;
use graph_relay::auth::Store;
use graph_relay::auth::Tokens;
use graph_relay::clock::Clock;
use graph_relay::config::Config;
use graph_relay::mail::Address;
use graph_relay_sandbox::Federated;
use graph_relay_sandbox::Settings;
use serde_json::Value;
use serde_json::json;

use crate::common::Credential;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::keys;
use crate::common::stand_in_with;
use crate::common::write_private;
use crate::page;

/// The same values as in `tests/identity/provider.mjs`.
const SECRET_CLIENT: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const CERTIFICATE_CLIENT: &str = "aaaaaaaa-0000-4000-8000-000000000002";
const PUBLIC_CLIENT: &str = "aaaaaaaa-0000-4000-8000-000000000003";
const SECRET: &str = "canary~secret.of+the/tests=and&no%other_8Q~";
const PERSON: &str = "anna@contoso.example";

fn tool(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/identity")
        .join(name)
}

/// The provider, which ends with the test.
struct Provider {
    child: Child,
    url: String,
    tenant: String,
}

impl Provider {
    fn start(certificate: &Path) -> Self {
        let mut child = Command::new("node")
            .arg(tool("provider.mjs"))
            .arg("--certificate")
            .arg(certificate)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Self {
            child,
            url: ready["url"].as_str().unwrap().to_owned(),
            tenant: ready["tenant"].as_str().unwrap().to_owned(),
        }
    }

    /// A relay's home with one account at the provider. Graph is not used.
    fn home(&self, client: &str, credential: &Credential<'_>, keys: &str) -> Home {
        let tenant = &self.tenant;
        let app = format!("tenant = \"{tenant}\"\nclient_id = \"{client}\"\n{keys}");
        Home::at(&self.url)
            .account_by(credential, PERSON, &app)
            .build()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The tokens of the only account, as the relay would get them.
fn tokens(home: &Home) -> (Tokens, Address) {
    let config = Config::load(&home.config).unwrap();
    let mut means = Means::new(&config, Clock::System).unwrap();
    if config.data_dir.exists() {
        let (store, unopened) = Store::open(&config.data_dir).unwrap();
        assert!(unopened.is_empty(), "{unopened:?}");
        means.store = Some(store);
    }
    let account = config.accounts[0].clone();
    (Tokens::new(account, means), PERSON.parse().unwrap())
}

fn certificate(folder: &Path) -> PathBuf {
    let path = folder.join("app.crt");
    std::fs::write(&path, keys::APP.certificate).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node and npm's oidc-provider: tests/identity/install, done by .ci/run"]
async fn an_openid_provider_accepts_secret_and_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&certificate(folder.path()));

    for (client, credential) in [
        (SECRET_CLIENT, Credential::SecretOf(SECRET)),
        (CERTIFICATE_CLIENT, Credential::Certificate(&keys::APP)),
    ] {
        let home = provider.home(client, &credential, "");
        let (tokens, mailbox) = tokens(&home);
        let first = tokens.token(&mailbox).await.unwrap();
        // A second request, because an assertion can be used once.
        tokens.refuse(&first);
        tokens.token(&mailbox).await.unwrap();
    }
    let home = provider.home(CERTIFICATE_CLIENT, &Credential::SecretOf(SECRET), "");
    let (wrong, mailbox) = tokens(&home);
    let refused = wrong.token(&mailbox).await.unwrap_err();
    assert_eq!(
        refused.code().as_deref(),
        Some("invalid_client"),
        "{refused}"
    );
}

/// Signs in with the real command and the provider's own pages, in the simulated browser
/// `browser.py`.
fn sign_in(home: &Home, options: &[&str]) {
    let mut login = binary()
        .args(["login", PERSON])
        .args(options)
        .arg("--config")
        .arg(&home.config)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(login.stderr.take().unwrap());
    let mut line_with = |part: &str| loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "no {part}");
        if line.contains(part) {
            return line.trim().to_owned();
        }
    };
    let url = line_with("http://127.0.0.1");
    let mut browser = Command::new("python3");
    browser.arg(tool("browser.py"));
    if options.contains(&"--device") {
        let line = line_with("with the code ");
        let code = line.split("with the code ").nth(1).unwrap();
        let code = code.split('.').next().unwrap();
        browser.args(["--device", &url, code, PERSON]);
    } else {
        browser.args(["--deliver", &url, PERSON]);
    }
    let browsed = browser.output().unwrap();
    assert!(browsed.status.success(), "{browsed:?}");
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let ended = login.wait_with_output().unwrap();
    assert!(ended.status.success(), "{rest} {ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node and npm's oidc-provider: tests/identity/install, done by .ci/run"]
async fn an_openid_provider_signs_people_in_and_rotates_their_refresh_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&certificate(folder.path()));

    for (client, credential, options) in [
        (SECRET_CLIENT, Credential::SecretOf(SECRET), &[][..]),
        (CERTIFICATE_CLIENT, Credential::Certificate(&keys::APP), &[]),
        (PUBLIC_CLIENT, Credential::Delegated, &[]),
        (PUBLIC_CLIENT, Credential::Delegated, &["--device"]),
    ] {
        let home = provider.home(client, &credential, "sign_in = \"delegated\"");
        let mut relay = Relay::start(&home);
        sign_in(&home, options);
        relay.stop();

        // Each refresh uses up the last refresh token: the provider accepts none twice.
        for _ in 0..3 {
            let (tokens, mailbox) = tokens(&home);
            let first = tokens.token(&mailbox).await.unwrap();
            tokens.refuse(&first);
            tokens.token(&mailbox).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node and npm's oidc-provider: tests/identity/install, done by .ci/run"]
async fn a_mailbox_is_connected_on_the_page_at_an_openid_provider() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&certificate(folder.path()));

    for (client, credential) in [
        (SECRET_CLIENT, Credential::SecretOf(SECRET)),
        (CERTIFICATE_CLIENT, Credential::Certificate(&keys::APP)),
        (PUBLIC_CLIENT, Credential::Delegated),
    ] {
        let keys = format!("sign_in = \"delegated\"\n{}", page::ON);
        let home = provider.home(client, &credential, &keys);
        let mut relay = Relay::start(&home);

        let browse = |url: &str| {
            let mut browser = Command::new("python3");
            let browsed = browser.arg(tool("browser.py")).args([url, PERSON]).output();
            let browsed = browsed.unwrap();
            assert!(browsed.status.success(), "{browsed:?}");
            String::from_utf8(browsed.stdout).unwrap().trim().to_owned()
        };
        let ended = page::mailboxes::connect(&relay, &home, PERSON, browse);

        let connected = format!("{PERSON} is connected");
        assert!(ended.contains(&connected), "{ended}");
        relay.event("signed_in", |_| true);
        relay.stop();
        let (tokens, mailbox) = tokens(&home);
        tokens.token(&mailbox).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python's msal: tests/identity/install, done by .ci/run"]
async fn msal_signs_in_at_the_stand_in() {
    let home = Home::empty();
    write_private(&home.path("app.crt"), keys::APP.certificate);
    write_private(&home.path("app.key"), keys::APP.key);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let settings = Settings {
        public_url: Some(format!("https://localhost:{port}")),
        device_interval: std::time::Duration::from_secs(1),
        certificates: vec![keys::APP.der()],
        federated: vec![Federated {
            issuer: "https://issuer.example".to_owned(),
            subject: "relay".to_owned(),
            audience: "api://AzureADTokenExchange".to_owned(),
            certificate: keys::OTHER.der(),
        }],
        ..Settings::default()
    };
    let assertion = keys::OTHER.sign(&json!({
        "iss": "https://issuer.example", "sub": "relay",
        "aud": "api://AzureADTokenExchange", "exp": 4_000_000_000_u64,
    }));
    let task = |url: String| {
        json!({
            "url": url,
            "tls_port": port,
            "tenant": settings.tenant,
            "client_id": settings.client_id,
            "client_secret": settings.client_secret,
            "certificate": home.path("app.crt"),
            "private_key": home.path("app.key"),
            "user": MAILBOX,
            "identity_header": settings.identity_header,
            "federated_assertion": assertion,
        })
        .to_string()
    };

    let confidential = stand_in_with(settings.clone()).await;
    let passes = [
        "secret",
        "certificate",
        "assertion",
        "code",
        "refresh",
        "imds",
        "app_service",
    ];
    pass(&task(confidential.url()), &passes);
    let public = stand_in_with(Settings {
        public_client: true,
        ..settings.clone()
    })
    .await;
    pass(&task(public.url()), &["device"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python: tests/identity/install, done by .ci/run"]
async fn setup_offers_a_test_message_after_sign_in_and_shows_its_result() {
    let graph = stand_in_with(Settings {
        public_client: true,
        ..Settings::default()
    })
    .await;
    let home = Home::with(&graph)
        .account_by(&Credential::Delegated, MAILBOX, "")
        .build();
    let _relay = Relay::start(&home);

    let mut person = Command::new("python3");
    person.arg(tool("terminal.py"));
    person.arg(env!("CARGO_BIN_EXE_graph-relay"));
    let output = person.arg(&home.config).arg(MAILBOX).output().unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said} {output:?}");
    let arrivals = arrived(&graph, 1).await;
    assert!(said.contains(&arrivals[0].request_id), "{said}");
    assert_eq!(arrivals[0].to, [MAILBOX]);
}

/// Runs these flows of Microsoft's library.
fn pass(task: &str, passes: &[&str]) {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/identity/venv/bin/python3");
    let output = Command::new(python)
        .arg(tool("msal_pass.py"))
        .arg(task)
        .args(passes)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{output:?}");
    for pass in passes {
        assert!(said.contains(&format!("ok {pass}")), "{said}");
    }
}
