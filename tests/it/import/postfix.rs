//! `import postfix`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::CHANGED;
use super::DECIDE;
use super::NONE;
use super::Sample;
use super::TAKEN;
use super::TITLES;
use super::all_settings;
use super::parameters;
use super::settings;
use super::source;
use crate::common::binary;
use crate::common::said;

#[test]
fn postfix_becomes_the_relay_toml_beside_the_sample() {
    let sample = Sample::of("postfix");

    let output = sample.import(&["postfix", ".", "--write", "new.toml"]);

    let expected = fs::read_to_string(source("postfix").join("relay.toml")).unwrap();
    assert_eq!(sample.plain("new.toml"), expected, "{}", said(&output));
    assert_eq!(
        fs::metadata(sample.path("new.toml"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o640
    );
}

#[test]
fn every_parameter_of_main_cf_and_option_of_an_smtp_service_is_in_the_report() {
    let sample = Sample::of("postfix");

    let output = sample.import(&["postfix", "."]);

    let rows = all_settings(&output);
    let main = sample.read("main.cf");
    let names: Vec<&str> = parameters(&main).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let is_it = |row: &String| row.split([' ', '=']).next() == Some(name);
        assert!(rows.iter().any(is_it), "{name}: {rows:#?}");
    }
    for option in [
        "-o syslog_name=postfix/submission of submission",
        "-o smtpd_tls_security_level=encrypt of submission",
        "-o smtpd_sasl_auth_enable=yes of submission",
        "-o smtpd_relay_restrictions=",
        "-o smtpd_recipient_restrictions=",
        "-o milter_macro_daemon_name=",
        "spamfilter unix",
    ] {
        assert!(
            rows.iter().any(|row| row.starts_with(option)),
            "{option}: {rows:#?}"
        );
    }
    let none = settings(&output, NONE);
    for name in [
        "header_checks",
        "always_bcc",
        "transport_maps",
        "mailbox_size_limit",
        "smtpd_recipient_restrictions",
    ] {
        assert!(
            none.iter().any(|row| row.starts_with(name)),
            "{name}: {none:#?}"
        );
    }
}

#[test]
fn each_parameter_is_listed_once_under_its_fate() {
    let maps = [
        "sender_canonical_maps",
        "canonical_maps",
        "smtp_generic_maps",
        "virtual_alias_maps",
    ];
    let unread = maps.map(|name| (format!("{name} = regexp:/x"), DECIDE));
    let lists = [
        ("alias_maps = hash:/no/such/file", DECIDE),
        ("virtual_alias_maps = inline:{ {root = nobody} }", DECIDE),
        (
            "virtual_alias_maps = inline:{ {root = it@contoso.com} }, ldap:/x",
            TAKEN,
        ),
        (
            "sender_canonical_maps = inline:{ {root = nobody@localhost} }",
            DECIDE,
        ),
        (
            "smtp_generic_maps = inline:{ {root = it@contoso.com} }",
            CHANGED,
        ),
        ("sender_canonical_maps =", TAKEN),
        ("mynetworks = hash:/etc/postfix/networks", DECIDE),
        ("mynetworks = hash:/etc/postfix/networks 192.0.2.1", TAKEN),
        ("mynetworks_style = subnet", DECIDE),
        ("mynetworks_style = Host", TAKEN),
        ("mynetworks_style = class\nmynetworks = 192.0.2.1", NONE),
    ];
    let lists = lists.map(|(main, title)| (main.to_owned(), title));
    for (main, title) in unread.into_iter().chain(lists) {
        let sample = Sample::of("postfix");
        sample.write("main.cf", format!("{main}\n"));

        let output = sample.import(&["postfix", "."]);

        let setting = main.lines().next().unwrap().to_owned();
        for other in TITLES {
            let rows = settings(&output, other);
            let is_there = rows.contains(&setting);
            assert_eq!(is_there, other == title, "{main}: {other}: {rows:#?}");
        }
    }
}

#[test]
fn an_option_with_networks_is_taken_over_only_if_they_are() {
    for (option, title) in [
        ("mynetworks_style=class", DECIDE),
        ("mynetworks_style=host", TAKEN),
        ("mynetworks=hash:/x", DECIDE),
        ("mynetworks=192.0.2.1", TAKEN),
    ] {
        let sample = Sample::of("postfix");
        sample.write("main.cf", "biff = no\n");
        let master = format!("smtp inet n - y - - smtpd -o {option}\n");
        sample.write("master.cf", master);

        let output = sample.import(&["postfix", "."]);

        let setting = format!("-o {option} of smtp inet smtpd (master.cf)");
        let rows = settings(&output, title);
        assert!(rows.contains(&setting), "{setting}: {rows:#?}");
    }
}

#[test]
fn bare_line_feeds_are_refused_where_postfix_refuses_them_from_everybody() {
    let none = "\nsmtpd_forbid_bare_newline_exclusions =";
    for (value, more, title, is_refused) in [
        ("reject", none, TAKEN, true),
        ("Reject", none, TAKEN, true),
        ("reject", "", CHANGED, false),
        (
            "reject",
            "\nsmtpd_forbid_bare_newline_exclusions = $mynetworks",
            CHANGED,
            false,
        ),
        ("yes", none, TAKEN, false),
        ("normalize", "", TAKEN, false),
        ("note", none, CHANGED, false),
        ("no", "", CHANGED, false),
        ("perhaps", none, DECIDE, false),
    ] {
        let sample = Sample::of("postfix");
        let setting = format!("smtpd_forbid_bare_newline = {value}");
        sample.write("main.cf", format!("{setting}{more}\n"));

        let output = sample.import(&["postfix", ".", "--write", "new.toml"]);

        let rows = settings(&output, title);
        assert!(rows.contains(&setting), "{setting}{more}: {rows:#?}");
        let text = sample.read("new.toml");
        assert_eq!(
            text.contains("\nbare_lf = \"refuse\"\n"),
            is_refused,
            "{text}"
        );
    }
}

#[test]
fn a_service_that_refuses_bare_line_feeds_becomes_a_listener_that_does() {
    let sample = Sample::of("postfix");
    sample.write("main.cf", "mynetworks = 192.0.2.1\n");
    let strict = "-o smtpd_forbid_bare_newline=reject -o smtpd_forbid_bare_newline_exclusions=";
    let smtp = "inet n - y - - smtpd";
    let master = format!("2525 {smtp}\n2526 {smtp} {strict}\n");
    sample.write("master.cf", master);

    let output = sample.import(&["postfix", ".", "--write", "new.toml"]);

    let text = sample.read("new.toml");
    let (lenient, strict) = text.split_once("0.0.0.0:2526").unwrap();
    assert!(
        !lenient.contains("bare_lf") && strict.contains("bare_lf"),
        "{text}"
    );
    let rows = settings(&output, TAKEN);
    let setting = "-o smtpd_forbid_bare_newline=reject of 2526 inet smtpd (master.cf)";
    assert!(rows.contains(&setting.to_owned()), "{rows:#?}");
}

#[test]
fn a_password_of_postfix_is_neither_shown_nor_written() {
    let sample = Sample::of("postfix");
    sample.change(
        "main.cf",
        "hash:/etc/postfix/sasl_passwd",
        "hash:/etc/postfix/sasl_passwd static:other@contoso.com:canary-static\n\
         import_environment = PATH API_PASSWORD=canary-environment\nour_apikey = canary-key",
    );

    let output = sample.import(&["postfix", ".", "--write", "new.toml"]);

    for text in [said(&output), sample.read("new.toml")] {
        assert!(
            text.contains("noreply@contoso.com") || text.contains("mailbox"),
            "{text}"
        );
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(
        sample
            .read("new.toml")
            .contains("mailbox = \"noreply@contoso.com\"")
    );
}

#[test]
fn a_password_without_a_user_becomes_no_mailbox() {
    let sample = Sample::of("postfix");
    let (user, password) = (
        "noreply@contoso.com:canary-smtp-password",
        "canary@contoso.com",
    );
    sample.change("sasl_passwd", user, password);

    let output = sample.import(&["postfix", ".", "--write", "new.toml"]);

    let text = sample.read("new.toml");
    assert!(
        text.contains("# mailbox = ") && !text.contains("canary"),
        "{text}"
    );
    let words = said(&output);
    assert!(!words.contains("canary"), "{words}");
    assert!(words.contains("has no user before a password"), "{words}");
}

#[test]
fn the_file_says_what_is_missing_and_passes_the_check_once_it_is_complete() {
    let sample = Sample::of("postfix");
    let output = sample.import(&["postfix", ".", "--write", "new.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    for missing in [
        "[[account]] needs \"tenant\"",
        "there is no [[user]]",
        "Complete new.toml",
    ] {
        assert!(text.contains(missing), "{missing}: {text}");
    }

    sample.change("new.toml", "# tenant", "tenant");
    sample.change("new.toml", "# client_id", "client_id");
    sample.change(
        "new.toml",
        "# client_secret_file = \"/etc/graph-relay/client-secret\"",
        "managed_identity = false\nclient_secret_env = \"PATH\"",
    );
    sample.change("new.toml", "managed_identity = false\n", "");
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$mFzbGLkJHdHqXL3Ivbs8WGVhBVvMQc8wtQhfLmxIlh8";
    let user = format!(
        "[[user]]\nname = \"scanner\"\npassword_hash = \"{hash}\"\nsenders = [\"*@contoso.com\"]\n\n[limits]"
    );
    sample.change("new.toml", "[limits]", &user);
    let check = binary()
        .arg("check")
        .arg("--config")
        .arg(sample.path("new.toml"))
        .output()
        .unwrap();

    let text = said(&check);
    assert_eq!(check.status.code(), Some(0), "{text}");
    assert!(text.contains("sends from noreply@contoso.com"), "{text}");
}

#[test]
fn the_exit_code_says_that_something_may_let_in_more() {
    let account = "[[account]]\ntenant = \"contoso.onmicrosoft.com\"\n\
                   client_id = \"22222222-2222-2222-2222-222222222222\"\n\
                   client_secret_env = \"PATH\"\nmailbox = \"noreply@contoso.com\"\n";
    for (restrictions, code) in [
        ("permit_mynetworks", 0),
        ("check_client_access hash:/a, permit", 1),
        ("permit_sasl_authenticated, reject", 1),
        ("reject\nsmtpd_sasl_auth_enable = yes", 1),
    ] {
        let sample = Sample::of("postfix");
        let main = format!("mynetworks = 192.0.2.1\nsmtpd_client_restrictions = {restrictions}\n");
        sample.write("main.cf", main);
        sample.write("master.cf", "smtp inet n - y - - smtpd\n");
        sample.write("new.toml", account);

        let output = sample.import(&["postfix", ".", "--write", "new.toml"]);

        let words = said(&output);
        assert_eq!(output.status.code(), Some(code), "{words}");
        let is_told = code == 1;
        assert_eq!(words.contains("may let in more"), is_told, "{words}");
        let advice = "Before the relay starts, decide about";
        assert_eq!(words.contains(advice), is_told, "{words}");
    }
}

#[test]
fn without_write_the_file_is_shown() {
    let sample = Sample::of("postfix");

    let output = sample.import(&["postfix", "."]);

    let text = said(&output);
    assert!(
        text.contains("    hostname = \"mail.contoso.com\""),
        "{text}"
    );
}

#[test]
fn the_lines_that_keep_postfix_undo_what_the_relay_cannot_do() {
    let sample = Sample::of("postfix");

    let text = said(&sample.import(&["postfix", "."]));

    for line in [
        "postconf -e 'relayhost = [127.0.0.1]:2525'",
        "postconf -e 'smtp_sasl_auth_enable = no'",
        "postconf -e 'smtp_tls_security_level = may'",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("transport_maps takes precedence"), "{text}");
}

#[test]
fn a_folder_without_main_cf_is_an_error_with_its_name() {
    let sample = Sample::of("postfix");
    let output = sample.import(&["postfix", "no-such-folder"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        said(&output).contains("no-such-folder/main.cf"),
        "{}",
        said(&output)
    );
}
