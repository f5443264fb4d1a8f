//! `import smtp2graph`: its configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::DECIDE;
use super::Sample;
use super::TAKEN;
use super::all_settings;
use super::settings;
use super::source;
use crate::common::said;

/// A text in which every hash of a password is the same.
fn without_hashes(text: &str) -> String {
    let mut pieces = text.split("\"$argon2id");
    let mut plain = pieces.next().unwrap().to_owned();
    for piece in pieces {
        plain.push_str("\"HASH");
        plain.push_str(&piece[piece.find('"').unwrap()..]);
    }
    plain
}

#[test]
fn config_yml_becomes_a_relay_toml_that_the_relay_accepts() {
    let sample = Sample::of("smtp2graph");

    let output = sample.import(&["smtp2graph", "config.yml", "--write", "new.toml"]);

    let expected = fs::read_to_string(source("smtp2graph").join("relay.toml")).unwrap();
    let written = sample.plain("new.toml");
    assert_eq!(without_hashes(&written), expected, "{}", said(&output));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("sends from noreply@contoso.com"));
}

#[test]
fn secrets_of_smtp2graph_are_not_shown_and_only_their_owner_can_read_the_file() {
    let sample = Sample::of("smtp2graph");

    let output = sample.import(&["smtp2graph", "config.yml", "--write", "new.toml"]);

    assert!(!said(&output).contains("canary"), "{}", said(&output));
    assert!(!sample.read("new.toml").contains("canary"));
    assert_eq!(sample.read("client-secret"), "canary-app-secret");
    let mode = fs::metadata(sample.path("client-secret"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let shown = sample.import(&["smtp2graph", "config.yml"]);
    assert_eq!(shown.status.code(), Some(0), "{}", said(&shown));
    assert!(!said(&shown).contains("canary"), "{}", said(&shown));
}

#[test]
fn every_setting_of_config_yml_is_in_the_report() {
    let sample = Sample::of("smtp2graph");
    sample.change("config.yml", "surprise: 1", "surprise: 1\nempty: []");

    let output = sample.import(&["smtp2graph", "config.yml"]);

    let rows = all_settings(&output);
    let empty = "it is empty: the relay keeps its default";
    assert!(said(&output).contains(empty), "{}", said(&output));
    for name in [
        "mode",
        "send.appReg.tenant",
        "send.appReg.id",
        "send.appReg.secret",
        "send.retryLimit",
        "send.retryInterval",
        "send.forceMailbox",
        "receive.port",
        "receive.listenAddress",
        "receive.secure",
        "receive.tlsKeyPath",
        "receive.tlsCertPath",
        "receive.maxSize",
        "receive.banner",
        "receive.ipWhitelist",
        "receive.allowedFrom",
        "receive.allowedRcpt",
        "receive.allowInsecureAuth",
        "receive.requireAuth",
        "receive.users.0.username",
        "receive.users.0.password",
        "receive.users.0.allowedFrom",
        "receive.users.1.password",
        "receive.rateLimit.limit",
        "receive.authLimit.duration",
        "httpProxy.host",
        "httpProxy.username",
        "httpProxy.password",
        "surprise",
    ] {
        assert!(
            rows.iter().any(|row| row.starts_with(&format!("{name}: "))),
            "{name}: {rows:#?}"
        );
    }
}

#[test]
fn values_of_unknown_settings_and_passwords_in_urls_are_not_shown() {
    let sample = Sample::of("smtp2graph");
    let banner = "banner: see http://user:canary@contoso.com/a@b";
    sample.change("config.yml", "banner: Our mail server", banner);
    sample.change("config.yml", "surprise: 1", "surprise: {apiUser: canary}");

    let output = sample.import(&["smtp2graph", "config.yml"]);

    let words = said(&output);
    assert!(!words.contains("canary"), "{words}");
    let rows = all_settings(&output);
    for row in [
        "surprise.apiUser: (not shown)",
        "receive.banner: see http://(not shown)@b",
    ] {
        assert!(rows.contains(&row.to_owned()), "{row}: {rows:#?}");
    }
}

#[test]
fn a_list_of_clients_that_is_missing_lets_only_this_machine_send() {
    let sample = Sample::of("smtp2graph");
    let text = "mode: full\nsend:\n  appReg:\n    tenant: contoso\n    id: '1'\n    secret: x\nreceive:\n  port: 25\n";
    sample.write("config.yml", text);

    let output = sample.import(&["smtp2graph", "config.yml", "--write", "new.toml"]);

    let written = sample.read("new.toml");
    assert!(
        written.contains("address = \"127.0.0.1:25\"\nnetworks = [\"127.0.0.0/8\", \"::1/128\"]"),
        "{written}"
    );
    assert!(
        said(&output).contains("SMTP2Graph let everybody send"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_listener_on_a_name_and_a_user_without_a_password_let_nobody_else_in() {
    let sample = Sample::of("smtp2graph");
    sample.change("config.yml", "password: \"canary 2\"", "password: \"\"");
    for (name, is_asked) in [("localhost", false), ("mail.contoso.com", true)] {
        let text = sample.read("config.yml");
        let line = text
            .lines()
            .find(|it| it.contains("listenAddress"))
            .unwrap();
        sample.change("config.yml", line, &format!("  listenAddress: {name}"));

        let output = sample.import(&["smtp2graph", "config.yml"]);

        let words = said(&output);
        assert!(words.contains("address = \"127.0.0.1:2587\""), "{words}");
        assert_eq!(words.contains("is not an address"), is_asked, "{words}");
        assert!(words.contains("the user has no password"), "{words}");
        assert_eq!(output.status.code(), Some(1), "{words}");
    }
}

#[test]
fn a_list_of_clients_that_cannot_be_read_lets_only_this_machine_send() {
    for (list, is_empty) in [
        ("[printer.local]", false),
        ("[\"\"]", false),
        ("[~]", false),
        ("[{a: 127.0.0.2}]", false),
        ("{a: b}", false),
        ("\"\"", true),
    ] {
        let sample = Sample::of("smtp2graph");
        let items = "ipWhitelist:\n    - 127.0.0.1\n    - 192.0.2.0/24\n    - ::1\n";
        sample.change("config.yml", items, &format!("ipWhitelist: {list}\n"));
        sample.change("config.yml", "listenAddress: 127.0.0.1", "banner2: x");

        let output = sample.import(&["smtp2graph", "config.yml"]);

        let words = said(&output);
        assert!(words.contains("authentication = \"required\""), "{words}");
        assert_eq!(words.contains("0.0.0.0/0"), is_empty, "{list}: {words}");
        let asked = settings(&output, DECIDE);
        let is_list = |row: &String| row.starts_with("receive.ipWhitelist");
        let is_asked = asked.iter().any(is_list);
        assert_eq!(is_asked, !is_empty, "{list}: {words}");
        let taken = settings(&output, TAKEN);
        assert_eq!(taken.iter().any(is_list), is_empty, "{list}: {words}");
    }
}

#[test]
fn a_list_of_addresses_that_cannot_be_read_allows_nobody() {
    let account = "  allowedFrom: [noreply@contoso.com, scanner@contoso.com]";
    let user = "      allowedFrom:\n        - scanner@contoso.com";
    let recipients = "  allowedRcpt:\n    - it@contoso.com";
    for (list, key, name) in [
        (account, "senders", "receive.allowedFrom"),
        (user, "senders", "receive.users.0.allowedFrom"),
        (recipients, "recipients_allowed", "receive.allowedRcpt"),
    ] {
        let sample = Sample::of("smtp2graph");
        let (before, _) = list.split_once(':').unwrap();
        sample.change("config.yml", list, &format!("{before}: {{a: b}}"));

        let output = sample.import(&["smtp2graph", "config.yml"]);

        let words = said(&output);
        assert!(
            words.contains(&format!("    {key} = []\n")),
            "{name}: {words}"
        );
        let asked = settings(&output, DECIDE);
        assert!(asked.contains(&name.to_owned()), "{name}: {asked:#?}");
    }
}

#[test]
fn a_proxy_that_is_more_than_a_host_is_neither_written_nor_shown() {
    for host in ["user:canary@proxy.contoso.com", "http://canary"] {
        let sample = Sample::of("smtp2graph");
        sample.change("config.yml", "proxy.contoso.com", host);

        let output = sample.import(&["smtp2graph", "config.yml", "--write", "new.toml"]);

        assert!(!said(&output).contains("canary"), "{}", said(&output));
        assert!(!sample.read("new.toml").contains("proxy"));
        let asked = settings(&output, DECIDE);
        let row = "httpProxy.host: (not shown)".to_owned();
        assert!(asked.contains(&row), "{asked:#?}");
    }
}

#[test]
fn a_password_that_is_required_in_other_words_than_true_is_required() {
    for on in ["yes", "on", "True"] {
        let sample = Sample::of("smtp2graph");
        sample.change(
            "config.yml",
            "requireAuth: true",
            &format!("requireAuth: {on}"),
        );

        let output = sample.import(&["smtp2graph", "config.yml"]);

        let words = said(&output);
        assert!(words.contains("authentication = \"required\""), "{words}");
    }
}

#[test]
fn an_empty_text_is_the_same_as_a_setting_that_is_missing() {
    let sample = Sample::of("smtp2graph");
    for (from, to) in [
        ("tenant: contoso", "tenant: \"\""),
        ("secret: canary-app-secret", "secret: \"\""),
        ("forceMailbox: noreply@contoso.com", "forceMailbox: \"\""),
        ("secure: true", "secure: false"),
        ("tlsKeyPath: app.key", "tlsKeyPath: \"\""),
        ("tlsCertPath: app.crt", "tlsCertPath: \"\""),
        ("host: proxy.contoso.com", "host: \"\""),
        ("port: 2587", "port: \"\""),
        ("surprise: 1", "surprise: \"\""),
    ] {
        sample.change("config.yml", from, to);
    }

    let output = sample.import(&["smtp2graph", "config.yml", "--write", "new.toml"]);

    let text = sample.read("new.toml");
    for expected in [
        "# tenant =",
        "# client_secret_file =",
        "mailbox = \"from\"",
        ":25\"",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    for absent in [
        "[tls]",
        "tls =",
        "[http]",
        "\ntenant =",
        "\nclient_secret_file =",
    ] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    let rows = settings(&output, TAKEN);
    for name in ["send.appReg.tenant", "receive.tlsCertPath", "surprise"] {
        assert!(rows.contains(&format!("{name}:")), "{name}: {rows:#?}");
    }
}

#[test]
fn a_user_without_a_name_is_reported_and_hides_no_other() {
    let sample = Sample::of("smtp2graph");
    sample.change("config.yml", "username: scanner", "username: \"\"");

    let output = sample.import(&["smtp2graph", "config.yml", "--write", "new.toml"]);

    let text = sample.read("new.toml");
    assert_eq!(text.matches("[[user]]").count(), 1, "{text}");
    assert!(text.contains("name = \"app\""), "{text}");
    let asked = settings(&output, DECIDE);
    let name = "receive.users.0.username".to_owned();
    assert!(asked.contains(&name), "{asked:#?}");
    let rows = all_settings(&output);
    let is_of_user = |row: &&String| row.starts_with("receive.users.0.");
    assert_eq!(rows.iter().filter(is_of_user).count(), 3, "{rows:#?}");
    assert!(!said(&output).contains("canary"), "{}", said(&output));
}

#[test]
fn a_setting_that_cannot_be_read_has_one_row() {
    let sample = Sample::of("smtp2graph");
    let address = "listenAddress: mail.contoso.com";
    sample.change("config.yml", "listenAddress: 127.0.0.1", address);
    sample.change("config.yml", "port: 2587", "port: smtp");

    let output = sample.import(&["smtp2graph", "config.yml"]);

    let rows = all_settings(&output);
    for name in ["receive.listenAddress", "receive.port"] {
        let rows: Vec<_> = rows.iter().filter(|row| row.starts_with(name)).collect();
        assert_eq!(rows.len(), 1, "{rows:#?}");
    }
    let asked = settings(&output, DECIDE);
    assert!(asked.contains(&format!("receive.{address}")), "{asked:#?}");
}

#[test]
fn a_file_that_is_not_a_configuration_of_smtp2graph_is_refused() {
    let sample = Sample::of("smtp2graph");
    for (text, words) in [
        ("a: [", "this is not YAML"),
        ("x: 1\n", "not a configuration of SMTP2Graph"),
        ("", "no settings"),
    ] {
        sample.write("config.yml", text);
        let output = sample.import(&["smtp2graph", "config.yml"]);
        assert_eq!(output.status.code(), Some(78));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
}
