//! Keys of relay.toml that come from environment variables, through the real binary. That
//! every key can be set so is in `src/config/tests.rs`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;

use crate::common::Home;
use crate::common::MAILBOX;
use crate::common::Relay;
use crate::common::arrived;
use crate::common::binary;
use crate::common::message;
use crate::common::said;
use crate::common::send_one;
use crate::common::stand_in;
use crate::common::write_private;

const DEFAULT_FILE: &str = "/etc/graph-relay/relay.toml";
const CANARY: &str = "canary~of-the-environment";

/// The variables of a relay that needs no file.
fn whole(home: &Home, graph: &Sandbox) -> Vec<(String, String)> {
    let Settings {
        tenant,
        client_id,
        client_secret,
        ..
    } = Settings::default();
    let data = home.path("data").display().to_string();
    let url = graph.url();
    let variables = [
        ("HOSTNAME", "relay.test.example"),
        ("DATA_DIR", &data),
        ("LISTENER__0__ADDRESS", "127.0.0.1:0"),
        ("LISTENER__1__ADDRESS", "127.0.0.1:0"),
        ("LIMITS__FREE_SPACE", "8 MB"),
        ("DELIVERY__RETRY", "50ms,1s"),
        ("LOG__FORMAT", "json"),
        ("ACCOUNT__TENANT", &tenant),
        ("ACCOUNT__CLIENT_ID", &client_id),
        ("ACCOUNT__CLIENT_SECRET", &client_secret),
        ("ACCOUNT__MAILBOX", MAILBOX),
        ("ACCOUNT__LOGIN_URL", &url),
        ("ACCOUNT__GRAPH_URL", &url),
        ("ALIASES__ROOT", "a@example.org"),
    ];
    let named = variables.iter();
    let named = named.map(|(name, value)| (format!("GRAPH_RELAY__{name}"), (*value).to_owned()));
    named.collect()
}

/// The command without a configuration file.
fn without_file(arguments: &[&str], variables: &[(String, String)]) -> Command {
    assert!(
        !Path::new(DEFAULT_FILE).exists(),
        "this machine has {DEFAULT_FILE}"
    );
    let mut command = binary();
    command.args(arguments).envs(variables.iter().cloned());
    command
}

/// `check` or `serve` with a file and these variables.
fn with_file(command: &str, home: &Home, variables: &[(&str, &str)]) -> Output {
    let mut command_line = binary();
    command_line.arg(command).arg("--config").arg(&home.config);
    let named = variables.iter();
    command_line.envs(named.map(|(name, value)| (format!("GRAPH_RELAY__{name}"), value)));
    command_line.output().unwrap()
}

/// What `check` and `serve` print, both the same, about variables that are wrong.
fn complaint(home: &Home, variables: &[(&str, &str)]) -> Vec<String> {
    complaint_with(78, home, variables)
}

/// The same, where both end with this exit code.
fn complaint_with(code: i32, home: &Home, variables: &[(&str, &str)]) -> Vec<String> {
    let [checked, served] = ["check", "serve"].map(|command| {
        let output = with_file(command, home, variables);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    });
    assert_eq!(checked, served);
    let folder = format!("{}/", home.folder.path().display());
    let checked = checked.replace(&folder, "");
    checked.lines().map(str::to_owned).collect()
}

/// A file of an account, and its secret.
fn home() -> Home {
    let home = Home::empty();
    write_private(&home.path("secret"), "a-secret");
    let text = format!(
        "data_dir = {:?}\n[[account]]\ntenant = \"contoso.onmicrosoft.com\"\n\
         client_id = \"22222222-2222-2222-2222-222222222222\"\nclient_secret_file = {:?}\n\
         mailbox = \"noreply@contoso.com\"\n",
        home.path("data"),
        home.path("secret")
    );
    fs::write(&home.config, text).unwrap();
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_without_relay_toml_takes_everything_from_the_environment() {
    let graph = stand_in().await;
    let home = Home::empty();
    let mut variables = whole(&home, &graph);
    variables.push(("GRAPH_RELAY__LOG__LEVEL".to_owned(), "trace".to_owned()));
    let secret = Settings::default().client_secret;

    let output = without_file(&["check"], &variables).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).contains("the environment: correct (there is no "));

    let relay = Relay::start_by(&mut without_file(&["serve"], &variables));
    assert_eq!(relay.addresses().len(), 2);
    let names = relay.event("config_environment", |_| true)["variables"].clone();
    assert!(
        names
            .as_str()
            .unwrap()
            .contains("GRAPH_RELAY__ACCOUNT__CLIENT_SECRET, ")
    );
    send_one(&relay, &["root"], &message("hello", "a@example.org"));
    let arrivals = arrived(&graph, 1).await;
    assert_eq!(arrivals[0].to, ["a@example.org"]);

    for command in ["status", "healthcheck", "accounts", "doctor"] {
        let output = without_file(&[command], &variables).output().unwrap();
        let words = said(&output);
        let is_known = words.contains("not running") || words.contains("cannot read");
        assert!(!is_known, "{command}: {words}");
        assert!(!words.contains(&secret), "{command}: {words}");
    }
    relay.event("delivered", |_| true);
    let log = format!("{:?}", relay.all());
    assert!(
        log.contains("GRAPH_RELAY__LOG__LEVEL") && !log.contains(&secret),
        "{log}"
    );
}

#[test]
fn the_files_for_compose_configure_a_relay() {
    let home = Home::empty();
    let secret = home.path("secret");
    write_private(&secret, "a-secret");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/packages/compose");
    for name in ["compose.yaml", "site.yaml"] {
        let text = fs::read_to_string(Path::new(folder).join(name)).unwrap();
        let image = concat!("image: graph-relay:", env!("CARGO_PKG_VERSION"), "\n");
        assert!(text.contains(image), "{name} does not have {image}");
        let text = text.replace("/run/secrets/client-secret", secret.to_str().unwrap());
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        let pairs = lines.map(|(key, value)| (key.trim(), value.trim_matches('"')));
        let pairs = pairs.filter(|(key, _)| key.starts_with("GRAPH_RELAY__"));
        let variables: Vec<_> = pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(variables.len(), 6, "{name}");

        let output = without_file(&["check"], &variables).output().unwrap();

        assert!(output.status.success(), "{name}: {output:?}");
    }
}

#[test]
fn a_file_that_is_named_must_exist_even_if_variables_are_set() {
    let home = Home::empty();

    let output = with_file("check", &home, &[("ACCOUNT__TENANT", "contoso.com")]);

    assert_eq!(output.status.code(), Some(78));
    let words = said(&output);
    assert!(
        words.contains("leave out --config and GRAPH_RELAY_CONFIG if"),
        "{words}"
    );
}

#[test]
fn check_warns_of_a_variable_with_one_underscore_too_few() {
    let home = home();
    let mut command = binary();
    command.arg("check").arg("--config").arg(&home.config);
    let output = command
        .env("GRAPH_RELAY_LIMITS__RECIPIENTS", "5")
        .output()
        .unwrap();

    let words = said(&output);
    assert!(output.status.success(), "{words}");
    let warning = "GRAPH_RELAY_LIMITS__RECIPIENTS: warning: this is not a key";
    assert!(words.contains(warning), "{words}");
}

#[test]
fn without_a_file_and_without_enough_variables_the_missing_ones_are_named() {
    let variables = |names: &[&str]| {
        let named = names.iter();
        let named = named.map(|name| (format!("GRAPH_RELAY__{name}"), "contoso.com".to_owned()));
        named.collect::<Vec<_>>()
    };
    let complaint = |names: &[&str]| {
        let output = without_file(&["check"], &variables(names))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(78), "{output:?}");
        said(&output)
    };

    assert_eq!(
        complaint(&["HOSTNAME"]),
        "the environment: there is no [[account]]: add one with tenant, client_id, a client secret \
         and mailbox\n"
    );
    let words = complaint(&["ACCOUNT__TENANT"]);
    for part in [
        "GRAPH_RELAY__ACCOUNT__*: [[account]] needs \"client_id\": set GRAPH_RELAY__ACCOUNT__CLIENT_ID\n",
        "GRAPH_RELAY__ACCOUNT__*: [[account]] needs \"mailbox\": set GRAPH_RELAY__ACCOUNT__MAILBOX\n",
        "GRAPH_RELAY__ACCOUNT__*: [[account]] needs its client secret",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn unknown_variables_are_refused_with_the_nearest_key_and_all_at_once() {
    let said = complaint(
        &home(),
        &[
            ("ACOUNT__TENANT", "x"),
            ("ACCOUNT__TENNANT", "x"),
            ("ACCOUNT__0__TENNANT_FILE", "/x"),
            ("ACCOUNT_TENANT", "x"),
            ("RECIPIENTS", "x"),
            ("HOSTNAME__X", "x"),
            ("LIMITS", "x"),
            ("ACCOUNT__2__TENANT", "x"),
            ("LIMITS__0__RECIPIENTS", "5"),
            ("NOTHING_OF_THE_KIND", "x"),
            ("LIMITS____RECIPIENTS", "5"),
        ],
    );

    let expected = [
        "ACCOUNT_TENANT: unknown key \"account_tenant\": did you mean GRAPH_RELAY__ACCOUNT__TENANT?",
        "ACCOUNT__0__TENNANT_FILE: unknown key \"tennant_file\" in [[account]]: did you mean \
         GRAPH_RELAY__ACCOUNT__TENANT_FILE?",
        "ACCOUNT__2__*: there is no [[account]] before this one: use GRAPH_RELAY__ACCOUNT__1 for the \
         next",
        "ACCOUNT__TENNANT: unknown key \"tennant\" in [[account]]: did you mean \
         GRAPH_RELAY__ACCOUNT__TENANT?",
        "ACOUNT__TENANT: unknown key \"acount\": did you mean GRAPH_RELAY__ACCOUNT__TENANT?",
        "HOSTNAME__X: hostname is not a section: did you mean GRAPH_RELAY__HOSTNAME?",
        "LIMITS: limits is a section: set a variable for each of its keys, like \
         GRAPH_RELAY__LIMITS__KEY",
        "LIMITS__0__RECIPIENTS: unknown key \"0\" in [limits]: the keys there are \
         command_timeout, connections, connections_per_client, data_timeout, errors_per_session, \
         free_space, message_size, messages_per_minute_per_client, pre_mail_timeout, \
         received_headers, recipients, recipients_per_hour_per_client, reserved_connections, \
         session_timeout, spool_size",
        "LIMITS____RECIPIENTS: this is not a key: write section and key after GRAPH_RELAY, each \
         after two underscores, like GRAPH_RELAY__ACCOUNT__TENANT",
        "NOTHING_OF_THE_KIND: unknown key \"nothing_of_the_kind\": the keys and sections there \
         are account, admin, alert, aliases, data_dir, default_recipient_domain, delivery, doctor, \
         failure, history, hostname, http, internal_domains, limits, listener, log, pickup, \
         received, sender, tls, user",
        "RECIPIENTS: unknown key \"recipients\": did you mean GRAPH_RELAY__ACCOUNT__RECIPIENTS or \
         GRAPH_RELAY__LIMITS__RECIPIENTS?",
    ];
    let expected = expected.map(|line| format!("GRAPH_RELAY__{line}"));
    let mut said = said;
    said.sort();
    assert_eq!(said, expected);
}

#[test]
fn wrong_values_are_reported_with_the_name_of_their_variable() {
    let said = complaint(
        &home(),
        &[
            ("LIMITS__RECIPIENTS", "many"),
            ("LIMITS__CONNECTIONS", "-1"),
            ("LIMITS__MESSAGE_SIZE", "35"),
            ("HISTORY__SUBJECTS", "yes"),
            ("ACCOUNT__FROM", "nobody"),
            ("ACCOUNT__SENDERS", "[\"*@contoso.com\"]"),
            ("ACCOUNT__MAILBOX", "\"noreply@contoso.com\""),
            ("INTERNAL_DOMAINS", "corp.local,"),
            ("HOSTNAME", ""),
            ("LISTENER__0__ADDRESS", "0.0.0.0:2525"),
            ("ACCOUNT__TENANT", "contoso.com"),
            ("ACCOUNT__0__TENANT", "contoso.com"),
            ("account__tenant", "contoso.com"),
        ],
    );

    for (name, part) in [
        ("LIMITS__RECIPIENTS", "recipients: write a number, like 5"),
        ("LIMITS__CONNECTIONS", "connections: must be from 1"),
        ("LIMITS__MESSAGE_SIZE", "\"35\" is not a size"),
        ("HISTORY__SUBJECTS", "subjects: write true or false"),
        ("ACCOUNT__FROM", "from: unknown value `nobody`"),
        ("ACCOUNT__SENDERS", "write a list without brackets"),
        ("ACCOUNT__MAILBOX", "in quotation marks"),
        ("INTERNAL_DOMAINS", "an empty item"),
        ("HOSTNAME", "the variable is set but empty"),
        (
            "LISTENER__0__ADDRESS",
            "other machines can reach the listener",
        ),
        (
            "ACCOUNT__0__TENANT",
            "GRAPH_RELAY__ACCOUNT__TENANT sets the same key",
        ),
        (
            "account__tenant",
            "GRAPH_RELAY__ACCOUNT__TENANT sets the same key",
        ),
    ] {
        let name = format!("GRAPH_RELAY__{name}: ");
        let mut lines = said.iter();
        let is_there = lines.any(|line| line.starts_with(&name) && line.contains(part));
        assert!(is_there, "{name}{part}: {said:#?}");
    }
}

#[test]
fn a_secret_in_the_wrong_file_is_not_shown() {
    let home = home();
    write_private(&home.path("mixed-up"), CANARY);
    let file = home.path("mixed-up").display().to_string();
    for name in ["TENANT", "CLIENT_ID", "MAILBOX"] {
        let name = format!("ACCOUNT__{name}_FILE");
        let output = with_file("check", &home, &[(&name, file.as_str())]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&name), "{said}");
        assert!(!said.contains(CANARY), "{said}");
    }
}

#[test]
fn a_proxy_of_another_kind_is_refused() {
    let home = home();
    for proxy in ["socks5://127.0.0.1:1080", "htp://127.0.0.1:8080"] {
        let said = complaint(&home, &[("HTTP__PROXY", proxy)]);
        assert!(
            said[0].contains("write the URL of an HTTP proxy"),
            "{said:?}"
        );
    }
}

#[test]
fn problems_of_files_that_variables_name_say_which_file_and_how_to_fix_it() {
    let home = home();
    fs::write(home.path("empty"), "\n").unwrap();
    fs::write(home.path("binary"), [0xff, 0xfe]).unwrap();
    let at = |name: &str| home.path(name).display().to_string();
    let (absent, empty, binary) = (at("absent"), at("empty"), at("binary"));

    let variables = [
        ("HOSTNAME_FILE", empty.as_str()),
        ("ACCOUNT__TENANT_FILE", &binary),
        ("ACCOUNT__MAILBOX_FILE", CANARY),
    ];
    let said = complaint(&home, &variables);
    assert_eq!(
        said,
        [
            "GRAPH_RELAY__ACCOUNT__MAILBOX_FILE: write the path of a file, from the root, like \
             /run/secrets/relay: the variable names the file with the value",
            "GRAPH_RELAY__ACCOUNT__TENANT_FILE: binary is not UTF-8 text: write only the value into it",
            "GRAPH_RELAY__HOSTNAME_FILE: empty is empty: write the value into it",
        ]
    );

    let said = complaint_with(75, &home, &[("ACCOUNT__TENANT_FILE", &absent)]);
    assert_eq!(
        said,
        [
            "GRAPH_RELAY__ACCOUNT__TENANT_FILE: cannot read absent: No such file or directory (os \
             error 2): create it, or correct the path; systemd restarts the relay until the file \
             exists"
        ]
    );
    let said = complaint(&home, &[("ACCOUNT__TENANT_FILE", "/dev/zero")]);
    assert!(said[0].contains("is not a regular file"), "{said:?}");
    let variables = [
        ("ACCOUNT__TENANT_FILE", absent.as_str()),
        ("ACCOUNT__TENANT", "x"),
    ];
    let said = complaint(&home, &variables);
    assert!(
        said[0].contains("GRAPH_RELAY__ACCOUNT__TENANT sets the same key"),
        "{said:?}"
    );
}

#[test]
fn check_says_which_values_come_from_where_and_shows_none_of_them() {
    let home = home();
    let proxy = home.path("proxy");
    fs::write(
        &proxy,
        format!("http://anna:{CANARY}@proxy.contoso.com:8080\r\n"),
    )
    .unwrap();

    let variables = [
        ("ACCOUNT__CLIENT_ID", "33333333-2222-2222-2222-222222222222"),
        ("HTTP__PROXY_FILE", proxy.to_str().unwrap()),
        ("LIMITS__RECIPIENTS", "50"),
    ];
    let output = with_file("check", &home, &variables);

    assert!(output.status.success(), "{output:?}");
    let words = said(&output);
    let list = format!(
        "  takes these values from environment variables, in preference to the file:\n    \
         GRAPH_RELAY__ACCOUNT__CLIENT_ID (instead of line 4)\n    \
         GRAPH_RELAY__HTTP__PROXY_FILE (in the file {})\n    GRAPH_RELAY__LIMITS__RECIPIENTS\n",
        proxy.display()
    );
    assert!(words.contains(&list), "{words}");
    assert!(!words.contains(CANARY), "{words}");
}

#[test]
fn a_secret_in_the_wrong_variable_is_not_shown() {
    let home = home();
    home.change("client_secret_file", "#");
    for name in [
        "CLIENT_SECRET_ENV",
        "CLIENT_SECRET_FILE",
        "CLIENT_SECRET_FILE_FILE",
    ] {
        let words = complaint(&home, &[(&format!("ACCOUNT__{name}"), CANARY)]).join("\n");
        assert!(
            words.starts_with(&format!("GRAPH_RELAY__ACCOUNT__{name}: ")),
            "{words}"
        );
        assert!(!words.contains(CANARY), "{words}");
    }
    for (name, value) in [
        ("ACCOUNT__CLIENT_SECRET", format!("{CANARY} with a space")),
        ("HTTP__PROXY", format!("anna:{CANARY}@:x:y")),
        ("ACCOUNT__SAVE_TO_SENT_ITEMS", CANARY.to_owned()),
        ("ACCOUNT__ACCOUNT__SECRET", CANARY.to_owned()),
        ("ACCOUNT__CLIENT__SECRET", CANARY.to_owned()),
        ("SECRET", CANARY.to_owned()),
    ] {
        let words = complaint(&home, &[(name, &value)]).join("\n");
        assert!(words.contains(&format!("GRAPH_RELAY__{name}: ")), "{words}");
        assert!(!words.contains(CANARY), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_reads_files_of_variables_again_and_says_that_variables_stay() {
    let graph = stand_in().await;
    let home = Home::empty();
    let recipients = home.path("recipients");
    fs::write(&recipients, "1\n").unwrap();
    let mut variables = whole(&home, &graph);
    variables.push((
        "GRAPH_RELAY__LIMITS__RECIPIENTS_FILE".to_owned(),
        recipients.display().to_string(),
    ));
    let relay = Relay::start_by(&mut without_file(&["serve"], &variables));
    let second = |reply: &str| {
        let mut smtp = relay.connect();
        smtp.expect("EHLO client.example", "250");
        smtp.expect(&format!("MAIL FROM:<{MAILBOX}>"), "250");
        smtp.expect("RCPT TO:<a@example.org>", "250");
        smtp.expect("RCPT TO:<b@example.org>", reply);
    };
    second("452");

    fs::write(&recipients, "2\n").unwrap();
    relay.signal("HUP");

    let reloaded = relay.event("reloaded", |_| true);
    let words = reloaded["message"].as_str().unwrap();
    assert!(
        words.contains("values of environment variables stay as they were"),
        "{words}"
    );
    second("250");
}
