//! `doctor`, with the real binary: finds each problem, with its remedy, while the relay
//! runs and while it does not; and sends nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;
use serde_json::Value;

use crate::common;
use crate::common::Credential;
use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::binary;
use crate::common::keys;
use crate::common::message;
use crate::common::run;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::stand_in_with;
use crate::common::stand_in_with_scope;
use crate::common::tls::Identity;
use crate::common::write_private;

/// Keys of `[limits]`.
const SMALL: &str = "message_size = \"3 MB\"";

/// The findings of doctor, with its exit code.
fn doctor(home: &Home) -> (i32, Vec<Value>) {
    let output = run(home, &["doctor", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let findings = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (output.status.code().unwrap(), findings.collect())
}

/// The findings that are not `ok`: state, check and text.
fn wrong(findings: &[Value]) -> Vec<String> {
    let wrong = findings.iter().filter(|it| it["state"] != "ok");
    let line = |it: &Value| {
        assert!(it["remedy"].is_string(), "{it}");
        let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
        let names = ["state", "check", "words", "remedy", "place"];
        names.map(text).join(" | ")
    };
    wrong.map(line).collect()
}

fn nothing_was_sent(graph: &Sandbox) {
    assert!(graph.arrivals().is_empty());
    assert!(graph.drafts().is_empty());
}

/// A home whose secret has a known expiry date, so that there is nothing to warn of.
fn well(graph: &Sandbox) -> Home {
    Home::with(graph)
        .account(MAILBOX, "client_secret_expires = 2099-12-31")
        .limits(SMALL)
        .build()
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_no_problem_running_or_stopped_and_sends_nothing() {
    let graph = stand_in().await;
    let home = well(&graph);

    let (code, findings) = doctor(&home);
    assert_eq!((code, wrong(&findings)), (0, Vec::new()), "{findings:#?}");
    let relay = Relay::start(&home);
    let (code, findings) = doctor(&home);
    assert_eq!((code, wrong(&findings)), (0, Vec::new()), "{findings:#?}");
    let ports = findings.iter().find(|it| it["check"] == "ports").unwrap();
    let address = relay.address.to_string();
    assert!(
        ports["words"].as_str().unwrap().contains(&address),
        "{ports}"
    );

    nothing_was_sent(&graph);
    let requests = graph.requests();
    assert!(requests.iter().any(|it| it.path.ends_with("/sendMail")));
    assert!(relay.events("accepted").is_empty());
}

/// How a tenant differs from the usual one, the client id that the relay uses if it is
/// another, and parts of the expected failure.
type Case = (
    fn(&mut Settings),
    Option<&'static str>,
    &'static [&'static str],
);

const CASES: [Case; 6] = [
    (
        |_| {},
        Some("0f8fad5b-d9cb-469f-a165-70867728950e"),
        &["AADSTS700016", "client"],
    ),
    (
        |tenant| tenant.roles = vec![],
        None,
        &["ErrorAccessDenied", "Mail.Send"],
    ),
    (
        |tenant| tenant.mailboxes = vec!["other@sandbox.example".to_owned()],
        None,
        &["ErrorInvalidUser", "principal name"],
    ),
    (
        |tenant| tenant.unlicensed = std::mem::take(&mut tenant.mailboxes),
        None,
        &["MailboxNotEnabledForRESTAPI", "licence"],
    ),
    (
        |tenant| tenant.clock_skew = Some(1200),
        None,
        &["clock", "behind", "NTP"],
    ),
    (
        |tenant| tenant.resource = "https://graph.microsoft.us".to_owned(),
        None,
        &["AADSTS500011", "cloud"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_each_problem_in_entra_with_its_remedy() {
    for (differ, client_id, parts) in CASES {
        let mut settings = Settings::default();
        differ(&mut settings);
        let graph = stand_in_with(settings).await;
        let home = well(&graph);
        if let Some(other) = client_id {
            home.change(&Settings::default().client_id, other);
        }

        let (code, findings) = doctor(&home);
        assert_eq!(code, 1, "{parts:?}: {findings:#?}");
        let wrong = wrong(&findings);
        let mut failures = wrong.iter().filter(|it| it.starts_with("failure"));
        let failure = failures.next().unwrap();
        assert!(failures.next().is_none(), "{parts:?}: {wrong:#?}");
        for part in parts {
            assert!(failure.contains(part), "{part}: {wrong:#?}");
        }
        nothing_was_sent(&graph);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_entras_has_the_catalogues_remedy() {
    let graph = stand_in().await;
    let home = well(&graph);
    for (error, code, part) in [
        ("invalid_client", 7_000_215, "Value"),
        ("invalid_client", 7_000_222, "new"),
        ("invalid_client", 700_027, "certificate"),
        ("invalid_client", 700_024, "clock"),
        ("unauthorized_client", 7_000_112, "enable"),
        ("invalid_grant", 65_001, "consent"),
        ("invalid_grant", 53_003, "Conditional Access"),
        ("invalid_grant", 50_076, "second factor"),
        ("invalid_request", 50_194, "tenant"),
        ("invalid_request", 900_432, "cloud"),
    ] {
        graph.inject(Fault {
            code: Some(error.to_owned()),
            message: Some(format!("AADSTS{code}: something or other.")),
            ..Fault::at(Station::Token, 400)
        });

        let (exit, findings) = doctor(&home);
        assert_eq!(exit, 1, "{code}");
        let wrong = wrong(&findings);
        assert_eq!(wrong.len(), 1, "{code}: {wrong:#?}");
        let lower = wrong[0].to_lowercase();
        assert!(lower.contains(&part.to_lowercase()), "{part}: {wrong:#?}");
        assert!(wrong[0].contains(&format!("AADSTS{code}")), "{wrong:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_book_shows_what_doctor_says_of_an_expired_secret() {
    let graph = stand_in().await;
    let home = well(&graph);
    graph.inject(Fault {
        code: Some("invalid_client".to_owned()),
        message: Some("AADSTS7000222: The provided client secret keys are expired.".to_owned()),
        ..Fault::at(Station::Token, 401)
    });

    let output = run(&home, &["doctor"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let said = said.replace(MAILBOX, "default");
    let failure = said.split("FAILURE ").nth(1).unwrap();
    let lines: Vec<&str> = failure.lines().take(3).collect();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/run/install.md");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains(&lines.join("\n")), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_a_wrong_tenant_by_its_discovery_document() {
    let graph = stand_in().await;
    let home = well(&graph);
    home.change(
        &Settings::default().tenant,
        "0f8fad5b-d9cb-469f-a165-70867728950e",
    );

    let (code, findings) = doctor(&home);
    assert_eq!(code, 1);
    let wrong = wrong(&findings);
    assert!(wrong[0].contains("tenant | Entra"), "{wrong:#?}");
    assert!(wrong[0].contains("AADSTS90002"), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_granted_in_exchange_is_not_a_failure() {
    let graph = stand_in_with_scope(MAILBOX).await;
    let home = well(&graph);

    let (code, findings) = doctor(&home);
    assert_eq!(code, 0, "{findings:#?}");
    let wrong = wrong(&findings);
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    assert!(wrong[0].contains("RBAC for Applications"), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_unreachable_hosts_and_hosts_that_are_not_microsofts() {
    let graph = stand_in().await;
    let home = well(&graph);
    let graph_url = format!("graph_url = \"{}\"", graph.url());

    home.change(&graph_url, "graph_url = \"http://127.0.0.1:9\"");
    let (code, findings) = doctor(&home);
    assert_eq!(code, 1);
    let said = wrong(&findings);
    assert!(
        said[0].contains("in the firewall to connect to 127.0.0.1, port 9"),
        "{said:#?}"
    );

    // A server in between with its own certificate: TLS that nobody trusts.
    let identity = Identity::new();
    let other = Home::with(&graph)
        .listener("tls = \"implicit\"")
        .tls(&identity)
        .build();
    let middle = Relay::start(&other);
    home.change(
        "graph_url = \"http://127.0.0.1:9\"",
        &format!("graph_url = \"https://{}\"", middle.address),
    );
    let (code, findings) = doctor(&home);
    assert_eq!(code, 1);
    let said = wrong(&findings);
    assert!(said[0].contains("http.ca_file"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_checks_the_machine_too() {
    let graph = stand_in().await;
    let home = well(&graph);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    home.change("\"127.0.0.1:0\"", &format!("\"{address}\""));
    fs::create_dir(home.path("data")).unwrap();
    fs::set_permissions(home.path("data"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(&home.config, PermissionsExt::from_mode(0o666)).unwrap();
    home.change("free_space = \"8 MB\"", "free_space = \"900000 GB\"");

    let (code, findings) = doctor(&home);
    assert_eq!(code, 1);
    let wrong = wrong(&findings);
    for part in [
        "can be changed by everybody (mode 0666)",
        "can be read by others (mode 0755)",
        "free up space",
        "another program uses this port",
    ] {
        assert!(
            wrong.iter().any(|it| it.contains(part)),
            "{part}: {wrong:#?}"
        );
    }

    fs::write(&home.config, "[[account]]\ntenant = 1\n").unwrap();
    let (code, findings) = doctor(&home);
    assert_eq!(code, 1);
    assert!(
        findings.iter().all(|it| it["check"] == "configuration"),
        "{findings:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_soon_are_reported_everywhere() {
    let graph = stand_in_with(Settings {
        certificates: vec![keys::APP.der()],
        ..Settings::default()
    })
    .await;
    let home = Home::with(&graph)
        .account_by(&Credential::Certificate(&keys::APP), MAILBOX, "")
        .limits(SMALL)
        .build();
    write_private(&home.path("app.crt"), &keys::APP.certificate_for_days(10));
    let mut relay = Relay::start(&home);

    let told = relay.event("expires", |_| true);
    assert_eq!(told["what"], "certificate", "{told}");
    assert_eq!(told["days"], 9, "{told}");
    let status = run(&home, &["status"]);
    assert_eq!(status.status.code(), Some(1));
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(text.contains("certificate expires SOON: in 9d"), "{text}");
    let (_, findings) = doctor(&home);
    let said = wrong(&findings);
    let warned = said
        .iter()
        .any(|it| it.contains("warning | credential") && it.contains("expires on"));
    assert!(warned, "{said:#?}");
    let metrics = metrics(&home).await;
    let name = format!(
        "graphrelay_credential_expiry_timestamp_seconds{{owner=\"{MAILBOX}\",kind=\"certificate\"}}"
    );
    assert!(metrics.contains(&name), "{metrics}");

    // Expired credentials are an error, and mail is tried all the same, because Entra
    // decides.
    relay.stop();
    write_private(&home.path("app.crt"), &keys::APP.certificate_for_days(-1));
    let relay = Relay::start(&home);
    relay.event("expired", |line| line["level"] == "ERROR");
    let (code, findings) = doctor(&home);
    assert_eq!(code, 1);
    assert!(
        wrong(&findings)
            .iter()
            .any(|it| it.contains("has expired on"))
    );
    send_one(
        &relay,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    relay.event("fault", |line| line["code"] == "AADSTS700027");
}

/// The metrics from the admin socket.
async fn metrics(home: &Home) -> String {
    let client = reqwest::Client::builder()
        .unix_socket(home.path("data/admin.sock"))
        .build()
        .unwrap();
    let answer = client.get("http://relay/metrics").send().await.unwrap();
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_without_a_terminal_writes_a_working_file() {
    let graph = stand_in().await;
    let home = Home::empty();
    let settings = Settings::default();
    let data = home.path("data");
    let url = graph.url();
    let secret = home.path("value");
    write_private(&secret, &settings.client_secret);
    let setup = |more: &[&str]| {
        binary()
            .args(["setup", "--tenant", &settings.tenant, "--client-id"])
            .args([&settings.client_id, "--mailbox", MAILBOX])
            .args(["--login-url", &url, "--graph-url", &url])
            .args(more)
            .arg("--config")
            .arg(&home.config)
            .env("STATE_DIRECTORY", &data)
            .output()
            .unwrap()
    };

    let nothing = setup(&[]);
    assert_eq!(nothing.status.code(), Some(64), "{nothing:?}");
    let value = secret.display().to_string();
    // As the packages install it: nobody has written anything there yet.
    let packaged = concat!(env!("CARGO_MANIFEST_DIR"), "/packages/relay.toml");
    fs::copy(packaged, &home.config).unwrap();
    let done = setup(&["--secret-file", &value, "--secret-expires", "2099-12-31"]);
    assert!(done.status.success(), "{done:?}");
    let said = String::from_utf8(done.stdout).unwrap();
    for part in [
        "New-ManagementRoleAssignment",
        &settings.client_id,
        "PrimarySmtpAddress -eq 'relay@sandbox.example'",
        "ok       mailbox default",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // What the file of the package says of the admin page stays.
    let written = fs::read_to_string(&home.config).unwrap();
    let page = "\n[admin]\n# An address for the admin page";
    assert!(written.contains(page), "{written}");
    assert!(written.contains("\naddress = \"127.0.0.1:8025\"\n"));
    let again = setup(&["--secret-file", &value]);
    assert_eq!(again.status.code(), Some(73), "{again:?}");
    let sent = binary()
        .args(["send-test", "a@example.org", "--via", "graph", "--config"])
        .arg(&home.config)
        .output()
        .unwrap();
    assert!(sent.status.success(), "{sent:?}");
    common::arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn send_test_times_every_hop() {
    let graph = stand_in().await;
    let home = well(&graph);
    let to = ["send-test", "a@example.org"];

    let stopped = run(&home, &to);
    assert_eq!(stopped.status.code(), Some(69), "{stopped:?}");
    let _relay = Relay::start(&home);
    let sent = run(&home, &to);
    assert!(sent.status.success(), "{sent:?}");
    let arrivals = common::arrived(&graph, 1).await;
    let text = String::from_utf8(sent.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains(" ms  accepted at 127.0.0.1:"), "{text}");
    assert!(lines[1].contains(&arrivals[0].request_id), "{text}");

    let refused = run(&home, &["send-test", "invalid@example.org"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("ErrorInvalidRecipients"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_if_only_the_service_can_read_a_credential() {
    let graph = stand_in().await;
    let home = well(&graph);
    let secret = home.path("client-secret").display().to_string();
    home.change(
        &format!("client_secret_file = \"{secret}\""),
        "client_secret_credential = \"client-secret\"",
    );
    let mut service = binary();
    service.arg("serve").arg("--config").arg(&home.config);
    service.env("CREDENTIALS_DIRECTORY", home.folder.path());
    let _relay = Relay::start_by(&mut service);

    let check = run(&home, &["check"]);
    let (_, findings) = doctor(&home);

    assert!(check.status.success(), "{check:?}");
    let said = common::said(&check);
    assert!(said.contains("not tested here: only the service"), "{said}");
    let mailbox = format!("mailbox {MAILBOX}");
    let found = findings.iter().find(|it| it["check"] == *mailbox).unwrap();
    let words = found["words"].as_str().unwrap();
    assert!(words.contains("doctor cannot test"), "{found}");
}
