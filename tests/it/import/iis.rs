//! `import iis`.

use std::fs;

use super::CHANGED;
use super::DECIDE;
use super::NONE;
use super::Sample;
use super::TAKEN;
use super::all_settings;
use super::assert_rows;
use super::settings;
use super::source;
use crate::common::said;

/// Adds elements behind the last SMTP server.
fn add(sample: &Sample, elements: &str) {
    let next = "<IIsWebService";
    sample.change("MetaBase.xml", next, &format!("{elements}\n{next}"));
}

#[test]
fn the_virtual_server_becomes_the_relay_toml_beside_the_sample() {
    let sample = Sample::of("iis");

    let output = sample.import(&["iis", "MetaBase.xml", "--write", "new.toml"]);

    let expected = fs::read_to_string(source("iis").join("relay.toml")).unwrap();
    assert_eq!(sample.plain("new.toml"), expected, "{}", said(&output));
    assert!(!said(&output).contains("canary"), "{}", said(&output));
}

#[test]
fn the_import_ends_with_what_check_says_of_the_missing_credentials() {
    let forms: [(&[&str], &str); 2] = [
        (&[], "Complete the file after --write"),
        (&["--write", "new.toml"], "Complete new.toml"),
    ];
    for (form, advice) in forms {
        let sample = Sample::of("iis");

        let output = sample.import(&[&["iis", "MetaBase.xml"][..], form].concat());

        let words = said(&output);
        assert_eq!(output.status.code(), Some(1), "{words}");
        for missing in ["tenant", "client_id"] {
            let line = format!("[[account]] needs \"{missing}\"");
            assert!(words.contains(&line), "{line}: {words}");
        }
        assert!(words.contains(advice), "{advice}: {words}");
    }
}

#[test]
fn a_file_in_utf_16_is_read_too() {
    let sample = Sample::of("iis");
    let text = sample.read("MetaBase.xml");
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
    sample.write("MetaBase.xml", bytes);

    sample.import(&["iis", "MetaBase.xml", "--write", "new.toml"]);

    let expected = fs::read_to_string(source("iis").join("relay.toml")).unwrap();
    assert_eq!(sample.plain("new.toml"), expected);
}

#[test]
fn every_setting_of_the_server_and_its_service_is_in_the_report() {
    let sample = Sample::of("iis");

    let output = sample.import(&["iis", "MetaBase.xml"]);

    let rows = all_settings(&output);
    let text = sample.read("MetaBase.xml");
    let (_, text) = text.split_once("<IIsSmtpService").unwrap();
    let (text, _) = text.split_once("<IIsWebService").unwrap();
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("=\"") && !line.contains("Location"));
    let names = lines.filter_map(|line| line.split_once("=\""));
    let names: Vec<&str> = names
        .map(|(name, _)| name)
        .filter(|it| !["Name", "ID", "Value", "Type", "UserType", "Attributes"].contains(it))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names.into_iter().chain(["UnknownSetting"]) {
        assert_rows(&rows, &[&format!("/LM/SmtpSvc/1: {name}=")]);
    }
}

#[test]
fn a_second_virtual_server_becomes_a_listener_with_its_own_rights() {
    let sample = Sample::of("iis");
    let second = "<IIsSmtpServer Location=\"/LM/SmtpSvc/2\" AuthFlags=\"AuthBasic\" \
                  ServerBindings=\":2526:\"/>";
    add(&sample, second);

    let output = sample.import(&["iis", "MetaBase.xml", "--write", "new.toml"]);

    // Only the first server has a list of machines, and only the second requires passwords.
    let listener = "[[listener]]\naddress = \"127.0.0.1:2526\"\nauthentication = \"required\"\n\
                    networks = [\"127.0.0.0/8\", \"::1/128\"]\n\n[limits]";
    let one = fs::read_to_string(source("iis").join("relay.toml")).unwrap();
    let two = one.replace("[limits]", listener);
    assert_eq!(sample.plain("new.toml"), two, "{}", said(&output));
    let rows = all_settings(&output);
    // Of the server itself, missing, and of the service.
    let starts = [
        "/LM/SmtpSvc/2: ServerBindings=\":2526:\"",
        "/LM/SmtpSvc/2: AuthFlags=",
        "/LM/SmtpSvc/2: RelayIpList",
        "/LM/SmtpSvc/2: MaxRecipients=\"100\"",
        "/LM/SmtpSvc/2: UnknownSetting=",
        "/LM/SmtpSvc/1: ServerBindings=\":25: 192.0.2.1:2525:\"",
    ];
    assert_rows(&rows, &starts);
    // The relay has one for all listeners, that of the first server.
    let changed = settings(&output, CHANGED);
    let size = "/LM/SmtpSvc/2: MaxMessageSize=\"2097152\"".to_owned();
    assert!(changed.contains(&size), "{changed:#?}");
}

#[test]
fn a_limit_that_only_the_second_server_has_does_not_hold_for_the_first() {
    let sample = Sample::of("iis");
    sample.change(
        "MetaBase.xml",
        "MaxMessageSize=\"10485760\"",
        "MaxMessageSize=\"0\"",
    );
    let second = "<IIsSmtpServer Location=\"/LM/SmtpSvc/2\" ServerBindings=\":2526:\"/>";
    add(&sample, second);

    let output = sample.import(&["iis", "MetaBase.xml", "--write", "new.toml"]);

    let text = sample.plain("new.toml");
    assert!(!text.contains("message_size"), "{text}");
    let changed = settings(&output, CHANGED);
    let size = "/LM/SmtpSvc/2: MaxMessageSize=\"2097152\"".to_owned();
    assert!(changed.contains(&size), "{changed:#?}");
}

#[test]
fn a_server_that_did_not_run_has_to_be_decided_about_and_its_mailbox_is_named() {
    let sample = Sample::of("iis");
    let second = "<IIsSmtpServer Location=\"/LM/SmtpSvc/2\" ServerBindings=\":2526:\" ServerState=\"4\" \
                  ServerAutoStart=\"FALSE\" RouteUserName=\"second@contoso.com\"/>";
    add(&sample, second);

    let output = sample.import(&["iis", "MetaBase.xml"]);

    let decide = settings(&output, DECIDE);
    for row in [
        "/LM/SmtpSvc/2: ServerState=\"4\"",
        "/LM/SmtpSvc/2: ServerAutoStart=\"FALSE\"",
    ] {
        assert!(decide.contains(&row.to_owned()), "{row}: {decide:#?}");
    }
    assert!(said(&output).contains("let in more"), "{}", said(&output));
    let changed = settings(&output, CHANGED);
    let mailbox = "/LM/SmtpSvc/2: RouteUserName=\"second@contoso.com\"".to_owned();
    assert!(changed.contains(&mailbox), "{changed:#?}");
}

#[test]
fn settings_that_the_relay_has_once_come_from_the_first_server_that_runs() {
    let own = "DefaultDomain=\"fabrikam.com\" FullyQualifiedDomainName=\"web02.fabrikam.com\" \
               RouteUserName=\"second@fabrikam.com\" MaxConnections=\"7\"";
    let second =
        format!("<IIsSmtpServer Location=\"/LM/SmtpSvc/2\" ServerBindings=\":2526:\" {own}/>");
    let keys = [
        "default_recipient_domain = ",
        "hostname = ",
        "\nmailbox = ",
        "connections = ",
    ];
    for first in ["ServerState=\"2\"", "ServerState=\"4\""] {
        let sample = Sample::of("iis");
        for (name, value) in [
            ("DefaultDomain", "contoso.com"),
            ("FullyQualifiedDomainName", "web01.contoso.com"),
            ("RouteUserName", "noreply@contoso.com"),
        ] {
            let setting = format!("{name}=\"{value}\"");
            sample.change("MetaBase.xml", &setting, "");
        }
        let host = "SmartHostType=\"2\"";
        sample.change("MetaBase.xml", host, &format!("{host} {first}"));
        add(&sample, &second);

        let output = sample.import(&["iis", "MetaBase.xml", "--write", "new.toml"]);

        let text = sample.plain("new.toml");
        let runs = first.contains('2');
        for key in keys {
            assert_eq!(text.contains(key), !runs, "{first}: {key}: {text}");
        }
        let title = if runs { CHANGED } else { TAKEN };
        let rows = settings(&output, title);
        for name in own.split(' ').filter(|it| !it.is_empty()) {
            let row = format!("/LM/SmtpSvc/2: {name}");
            assert!(rows.contains(&row), "{first}: {row}: {rows:#?}");
        }
    }
}

#[test]
fn settings_about_who_may_connect_and_how_have_to_be_decided() {
    let sample = Sample::of("iis");
    let more = r#"SmartHostType="2" IPSecurity="1" AccessFlags="1" MasqueradeDomain="a.example""#;
    sample.change("MetaBase.xml", "SmartHostType=\"2\"", more);
    sample.change("MetaBase.xml", "AuthAnonymous | AuthBasic", "AuthBasic");

    let output = sample.import(&["iis", "MetaBase.xml"]);

    let rows = settings(&output, DECIDE);
    for name in ["AuthFlags", "IPSecurity", "AccessFlags", "MasqueradeDomain"] {
        assert_rows(&rows, &[&format!("/LM/SmtpSvc/1: {name}=")]);
    }
}

#[test]
fn a_password_that_iis_requires_is_required() {
    for (flags, is_required) in [
        ("AuthBasic | AuthNTLM", true),
        ("6", true),
        ("", true),
        ("authanonymous", false),
        ("3", false),
    ] {
        let sample = Sample::of("iis");
        sample.change("MetaBase.xml", "AuthAnonymous | AuthBasic", flags);

        let output = sample.import(&["iis", "MetaBase.xml"]);

        let words = said(&output);
        let required = "authentication = \"required\"\n    networks = ";
        assert_eq!(words.contains(required), is_required, "{flags}: {words}");
        let rows = settings(&output, DECIDE);
        assert_rows(&rows, &["/LM/SmtpSvc/1: AuthFlags="]);
    }
}

#[test]
fn only_this_machine_can_connect_if_iis_limits_the_machines() {
    let sample = Sample::of("iis");
    let more = "SmartHostType=\"2\" IPSecurity=\"18000080\"";
    sample.change("MetaBase.xml", "SmartHostType=\"2\"", more);

    let output = sample.import(&["iis", "MetaBase.xml", "--write", "new.toml"]);

    let written = sample.read("new.toml");
    assert!(written.contains("address = \"127.0.0.1:25\""), "{written}");
    assert!(!written.contains("192.0.2.17"), "{written}");
    let words = said(&output);
    assert!(words.contains("only this machine can"), "{words}");
}

#[test]
fn passwords_and_binary_values_of_iis_are_not_shown() {
    let sample = Sample::of("iis");
    let more = "SmartHostType=\"2\" AnonymousUserPass=\"canary\" IPSecurity=\"18000080canary\"";
    sample.change("MetaBase.xml", "SmartHostType=\"2\"", more);
    let custom = "<Custom Name=\"UnknownName_37001\" Value=\"canary\" Attributes=\"SECURE\"/>";
    let end = "</IIsSmtpServer>";
    sample.change("MetaBase.xml", end, &format!("{custom}{end}"));

    let output = sample.import(&["iis", "MetaBase.xml"]);

    let words = said(&output);
    assert!(!words.contains("canary"), "{words}");
    for name in ["AdminACL", "AnonymousUserPass", "IPSecurity"] {
        let shown = format!("{name}=\"(not shown)\"");
        assert!(words.contains(&shown), "{shown}: {words}");
    }
}

#[test]
fn a_thousand_bindings_have_two_rows_one_of_them_about_the_odd_ones() {
    let sample = Sample::of("iis");
    let bindings: String = (1..=1000).map(|port| format!(":{port}: ")).collect();
    let odd = "odd ".repeat(1000);
    sample.change("MetaBase.xml", "\":25:", &format!("\"{bindings}{odd}"));

    let output = sample.import(&["iis", "MetaBase.xml", "--write", "new.toml"]);

    let rows = settings(&output, DECIDE);
    let is_it = |row: &&String| row.starts_with("/LM/SmtpSvc/1: ServerBindings=");
    assert_eq!(rows.iter().filter(is_it).count(), 2, "{rows:#?}");
    let listeners = sample.read("new.toml").matches("[[listener]]").count();
    assert_eq!(listeners, 1001);
}

#[test]
fn each_domain_has_a_row_that_says_whether_it_is_local_or_remote() {
    for (attributes, title, words) in [
        (
            "RouteAction=\"16\"",
            DECIDE,
            "write \"@a.example\" = \"address\"",
        ),
        ("RouteAction=\"65\"", DECIDE, "a local domain"),
        (
            "RouteAction=\"2\" RouteActionString=\"[192.0.2.5]\"",
            NONE,
            "the server in RouteActionString",
        ),
        (
            "RouteAction=\"514\"",
            NONE,
            "until the server of the domain fetches it",
        ),
        (
            "RouteAction=\"4096\"",
            NONE,
            "from everybody, the relay only",
        ),
        (
            "RouteAction=\"4\" RoutePassword=\"canary\"",
            NONE,
            "a remote domain. All mail goes",
        ),
        ("RouteAction=\"odd\"", DECIDE, "look under Domains"),
        ("", DECIDE, "look under Domains"),
    ] {
        let sample = Sample::of("iis");
        let place = "/LM/SmtpSvc/1/Domain/a.example";
        let domain = format!("<IIsSmtpDomain Location=\"{place}\" {attributes}></IIsSmtpDomain>");
        add(&sample, &domain);

        let output = sample.import(&["iis", "MetaBase.xml"]);

        let rows = settings(&output, title);
        let start = match attributes.split(' ').next() {
            Some("") | None => format!("{place}: IIsSmtpDomain"),
            Some(action) => format!("{place}: {action}"),
        };
        assert!(rows.contains(&start), "{start}: {rows:#?}");
        let text = said(&output);
        assert!(text.contains(words), "{words}: {text}");
        assert!(!text.contains("canary"), "{text}");
        let all = all_settings(&output);
        for attribute in attributes.split(' ').filter_map(|it| it.split('=').next()) {
            assert_rows(&all, &[&format!("{place}: {attribute}")]);
        }
    }
}

#[test]
fn a_relay_list_that_cannot_be_read_lets_only_this_machine_send() {
    let sample = Sample::of("iis");
    sample.change("MetaBase.xml", "RelayIpList=\"18", "RelayIpList=\"19");

    let output = sample.import(&["iis", "MetaBase.xml", "--write", "new.toml"]);

    let written = sample.read("new.toml");
    assert!(written.contains("address = \"127.0.0.1:25\""), "{written}");
    assert!(!written.contains("192.0.2.17"), "{written}");
    assert!(
        said(&output).contains("which this program cannot read"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_file_without_an_smtp_server_is_refused() {
    let sample = Sample::of("iis");
    for (text, words) in [
        ("<a><IIsWebService/></a>", "there is no SMTP virtual server"),
        ("<a>", "this is not XML"),
        (
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "this is not XML",
        ),
    ] {
        sample.write("MetaBase.xml", text);
        let output = sample.import(&["iis", "MetaBase.xml"]);
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
}
