//! How an app can authenticate to Entra, with the real binary against the stand-in:
//! secret, certificate, the machine's identity, a federated token; in every cloud, and
//! changed while the relay runs.

use std::fs;

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
use crate::common::keys;
use crate::common::message;
use crate::common::recorded;
use crate::common::run;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::stand_in_with;
use crate::common::write_private;

/// A relay's home whose only account authenticates like this.
fn home_with(graph: &Sandbox, credential: &Credential<'_>) -> Home {
    Home::with(graph)
        .account_by(credential, MAILBOX, "")
        .build()
}

/// With this certificate and key, in the files `app.crt` and `app.key`.
fn home_with_certificate(graph: &Sandbox, pair: &keys::Pair) -> Home {
    home_with(graph, &Credential::Certificate(pair))
}

fn put(home: &Home, pair: &keys::Pair) {
    write_private(&home.path("app.key"), pair.key);
    write_private(&home.path("app.crt"), pair.certificate);
}

/// An operator has fixed a problem and does not wait.
fn retry(home: &Home) {
    let output = run(home, &["queue", "retry", "--all", "--yes"]);
    assert!(output.status.success(), "{output:?}");
}

async fn one_arrives(graph: &Sandbox, relay: &Relay) {
    send_one(
        relay,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    arrived(graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_signs_every_request_with_a_new_assertion() {
    let settings = Settings {
        certificates: vec![keys::APP.der()],
        // So short that every message requires a new token.
        token_life: std::time::Duration::from_secs(1),
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let home = home_with_certificate(&graph, &keys::APP);
    let relay = Relay::start(&home);

    // The stand-in accepts no jti twice.
    for count in 1..=3 {
        send_one(
            &relay,
            &["a@example.org"],
            &message("hello", "a@example.org"),
        );
        arrived(&graph, count).await;
        graph.revoke_tokens();
    }
    assert!(relay.events("fault").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_certificate_is_in_use_without_a_restart() {
    let settings = Settings {
        certificates: vec![keys::OTHER.der()],
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let home = home_with_certificate(&graph, &keys::APP);
    let relay = Relay::start(&home);

    let id = send_one(
        &relay,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    recorded(&relay, &home, "deferred", |line| line["id"] == *id);
    let fault = relay.event("fault", |_| true);
    assert_eq!(fault["code"], "AADSTS700027", "{fault}");
    let remedy = fault["remedy"].as_str().unwrap();
    assert!(remedy.contains("certificate"), "{remedy}");

    put(&home, &keys::OTHER);
    retry(&home);
    arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_refuses_a_key_that_entra_does_not_accept() {
    let graph = stand_in().await;
    let home = home_with_certificate(&graph, &keys::APP);
    let made = rcgen::generate_simple_self_signed(["app".to_owned()]).unwrap();
    write_private(&home.path("app.crt"), &made.cert.pem());
    write_private(&home.path("app.key"), &made.signing_key.serialize_pem());

    let output = run(&home, &["check"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        said(&output).contains("Entra accepts only RSA keys"),
        "{output:?}"
    );

    // A key that belongs to another certificate.
    put(&home, &keys::APP);
    write_private(&home.path("app.key"), keys::OTHER.key);
    let output = run(&home, &["check"]);
    assert!(
        said(&output).contains("cannot be used together"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_federated_token_is_read_again_for_every_request() {
    let federated = Federated {
        issuer: "https://issuer.example".to_owned(),
        subject: "system:serviceaccount:mail:relay".to_owned(),
        audience: "api://AzureADTokenExchange".to_owned(),
        certificate: keys::OTHER.der(),
    };
    let settings = Settings {
        federated: vec![federated],
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    // The contents of the file are replaced below.
    let home = home_with(&graph, &Credential::FederatedToken(""));
    let token = |subject: &str| {
        let claims = serde_json::json!({
            "iss": "https://issuer.example", "sub": subject,
            "aud": "api://AzureADTokenExchange", "exp": 4_000_000_000_u64,
        });
        keys::OTHER.sign(&claims)
    };
    fs::write(home.path("token"), token("somebody else")).unwrap();
    let relay = Relay::start(&home);

    let id = send_one(
        &relay,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    recorded(&relay, &home, "deferred", |line| line["id"] == *id);
    let fault = relay.event("fault", |_| true);
    assert_eq!(fault["code"], "AADSTS700213", "{fault}");
    fs::write(
        home.path("token"),
        token("system:serviceaccount:mail:relay"),
    )
    .unwrap();
    retry(&home);
    arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_in_azure_needs_no_credential() {
    let keys = tempfile::tempdir().unwrap();
    let settings = Settings {
        arc_folder: Some(keys.path().to_owned()),
        ..Settings::default()
    };
    let header = settings.identity_header.clone();
    let graph = stand_in_with(settings).await;
    let identity = |graph: &Sandbox| home_with(graph, &Credential::ManagedIdentity);
    let serve = |home: &Home| {
        let mut command = binary();
        command.arg("serve").arg("--config").arg(&home.config);
        command
    };

    let home = identity(&graph);
    let mut machine = serve(&home);
    machine.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", graph.url());
    one_arrives(&graph, &Relay::start_by(&mut machine)).await;

    graph.clear();
    let home = identity(&graph);
    let mut app_service = serve(&home);
    app_service
        .env("IDENTITY_ENDPOINT", format!("{}/msi/token", graph.url()))
        .env("IDENTITY_HEADER", header);
    one_arrives(&graph, &Relay::start_by(&mut app_service)).await;

    // Arc's agent names a key file outside its own folder.
    let home = identity(&graph);
    let mut arc = serve(&home);
    let url = format!("{}/arc/metadata/identity/oauth2/token", graph.url());
    arc.env("IDENTITY_ENDPOINT", url)
        .env("IMDS_ENDPOINT", graph.url());
    let relay = Relay::start_by(&mut arc);
    send_one(
        &relay,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    let fault = relay.event("fault", |_| true);
    assert!(
        fault["reason"].as_str().unwrap().contains("identity"),
        "{fault}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cloud_has_its_own_name_for_graph() {
    for (cloud, resource) in [
        ("global", "https://graph.microsoft.com"),
        ("us-gov", "https://graph.microsoft.us"),
        ("us-dod", "https://dod-graph.microsoft.us"),
        ("china", "https://microsoftgraph.chinacloudapi.cn"),
    ] {
        let settings = Settings {
            resource: resource.to_owned(),
            ..Settings::default()
        };
        let graph = stand_in_with(settings).await;
        let of_cloud = |cloud: &str| {
            let key = format!("cloud = \"{cloud}\"");
            Home::with(&graph).account(MAILBOX, &key).build()
        };
        let home = of_cloud(cloud);
        one_arrives(&graph, &Relay::start(&home)).await;

        // The token of another cloud is not valid here.
        let other = if cloud == "global" { "china" } else { "global" };
        let wrong = of_cloud(other);
        let output = run(&wrong, &["doctor"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said(&output).contains("AADSTS500011"), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lifetime_may_be_a_string() {
    let settings = Settings {
        expires_in_as_string: true,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let relay = Relay::start(&Home::new(&graph));

    for count in 1..=3 {
        send_one(
            &relay,
            &["a@example.org"],
            &message("hello", "a@example.org"),
        );
        arrived(&graph, count).await;
    }
    let requests = graph.requests();
    let tokens = requests.iter().filter(|it| it.path.ends_with("/token"));
    assert_eq!(tokens.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_from_a_proxy_is_a_deferral_and_not_a_refusal() {
    let graph = stand_in().await;
    graph.inject(Fault {
        body: Some("<html>Please log in to the guest network</html>".to_owned()),
        content_type: Some("text/html".to_owned()),
        ..Fault::at(Station::Token, 200)
    });
    let relay = Relay::start(&Home::new(&graph));

    one_arrives(&graph, &relay).await;
    let deferred = relay.event("deferred", |_| true);
    let reason = deferred["reason"].as_str().unwrap();
    assert!(reason.contains("not a token endpoint's"), "{deferred}");
    assert!(relay.events("fault").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_warns_of_a_secret_that_looks_like_a_secret_id() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    write_private(&home.path("client-secret"), id);

    let output = run(&home, &["check"]);
    assert!(output.status.success(), "{output:?}");
    let said = said(&output);
    assert!(said.contains("this looks like the Secret ID"), "{said}");
    assert!(!said.contains(id), "{said}");

    let relay = Relay::start(&home);
    relay.event("config_warning", |_| true);
    send_one(
        &relay,
        &["a@example.org"],
        &message("hello", "a@example.org"),
    );
    let fault = relay.event("fault", |_| true);
    assert_eq!(fault["code"], "AADSTS7000215");
    assert!(
        fault["remedy"].as_str().unwrap().contains("Value"),
        "{fault}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn contradictory_settings_are_refused_with_their_line() {
    let graph = stand_in().await;
    for (credential, words) in [
        ("", "needs its client secret"),
        ("certificate_file = \"/x\"", "needs private_key_file"),
        ("private_key_file = \"/x\"", "needs certificate_file"),
        ("client_secret_expires = 2027-11-30", "has no client secret"),
        (
            "federated_token_file = \"/nonexistent\"",
            "cannot read /nonexistent",
        ),
        ("managed_identity = true", "a managed identity has its own"),
        (
            "managed_identity = \"x\"",
            "or the client ID of a user-assigned identity",
        ),
        (
            "client_secret_env = \"PATH\"\nfederated_token_file = \"/dev/null\"",
            "more than one credential (client secret, federated token)",
        ),
        (
            "client_secret_env = \"PATH\"\ncloud = \"germany\"",
            "cloud: ",
        ),
        (
            "client_secret_env = \"PATH\"\nclient_secret_expires = \"soon\"",
            "is not a day",
        ),
        (
            "managed_identity = true\nsign_in = \"delegated\"",
            "a managed identity is not one",
        ),
    ] {
        let home = home_with(&graph, &Credential::Keys(credential));
        let output = run(&home, &["check"]);
        // A missing file may be on a disk that is mounted later.
        let code = match words.starts_with("cannot read") {
            true => 75,
            false => 78,
        };
        assert_eq!(output.status.code(), Some(code), "{credential}: {output:?}");
        assert!(said(&output).contains(words), "{credential}: {output:?}");
    }
    let home = Home::with(&graph)
        .account(MAILBOX, "tenant = \"common\"")
        .build();
    let output = run(&home, &["check"]);
    assert!(
        said(&output).contains("\"common\" is not a tenant"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_several_tenants_do_not_affect_each_other() {
    let other = Settings {
        tenant: "0f8fad5b-d9cb-469f-a165-70867728950e".to_owned(),
        domain: "fabrikam.example".to_owned(),
        client_id: "7c9e6679-7425-40de-944b-e07fc1f90ae7".to_owned(),
        mailboxes: vec!["post@fabrikam.example".to_owned()],
        ..Settings::default()
    };
    let (first, second) = (stand_in().await, stand_in_with(other.clone()).await);
    let of_second = format!(
        "tenant = \"{}\"\nclient_id = \"{}\"\nsenders = [\"*@fabrikam.example\"]",
        other.tenant, other.client_id
    );
    let home = Home::with(&first)
        .account(MAILBOX, "senders = [\"*@sandbox.example\"]")
        .of(&second)
        .account("post@fabrikam.example", &of_second)
        .build();
    let relay = Relay::start(&home);
    let from = |mailbox: &str| {
        let content = message("hello", "a@example.org").replace(MAILBOX, mailbox);
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");
        common::id_of(&smtp.send(mailbox, &["a@example.org"], content.as_bytes()))
    };

    from(MAILBOX);
    from("post@fabrikam.example");
    arrived(&first, 1).await;
    assert_eq!(
        arrived(&second, 1).await[0].mailbox,
        "post@fabrikam.example"
    );

    // The second tenant's secret expires, which does not affect the first.
    second.revoke_tokens();
    second.inject(Fault {
        times: 1000,
        code: Some("invalid_client".to_owned()),
        message: Some("AADSTS7000222: The provided client secret keys are expired.".to_owned()),
        ..Fault::at(Station::Token, 401)
    });
    for _ in 0..10 {
        from("post@fabrikam.example");
    }
    let fault = relay.event("fault", |_| true);
    assert_eq!(fault["account"], "post@fabrikam.example", "{fault}");
    for count in 2..=10 {
        from(MAILBOX);
        arrived(&first, count).await;
    }
    let requests = second.requests();
    let asked = requests.iter().filter(|it| it.path.ends_with("/token"));
    // Ten messages wait, and Entra is not asked for each of them.
    assert!(asked.count() < 6, "{requests:#?}");
    second.clear_faults();
    retry(&home);
    arrived(&second, 11).await;
}
