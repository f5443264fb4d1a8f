//! Wrong configurations and their error messages, with the real binary; and `relay.toml`,
//! compared with the defaults.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use graph_relay::config::Config;
use graph_relay::config::Presence;

use crate::common::Home;
use crate::common::Relay;
use crate::common::binary;
use crate::common::stand_in;
use crate::common::tls::Identity;
use crate::common::write_private;

const ACCOUNT: &str = "[[account]]\ntenant = \"contoso.com\"\nclient_id = \"11111111-1111-1111-1111-111111111111\"\n\
    client_secret_file = \"SECRET\"\nmailbox = \"noreply@contoso.com\"\n";

/// The hash of a canary.
const USER: &str = "[[user]]\nname = \"scanner\"\nsenders = [\"*\"]\npassword_hash = \
    \"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$mFzbGLkJHdHqXL3Ivbs8WGVhBVvMQc8wtQhfLmxIlh8\"\n";

/// A folder with a secret, and this file as its configuration.
fn home_with(text: &str) -> Home {
    let home = Home::empty();
    let secret = home.path("secret");
    write_private(&secret, "a-secret");
    fs::write(
        &home.config,
        text.replace("SECRET", &secret.display().to_string()),
    )
    .unwrap();
    home
}

fn run(command: &str, home: &Home) -> std::process::Output {
    binary()
        .arg(command)
        .arg("--config")
        .arg(&home.config)
        .output()
        .unwrap()
}

/// What `check` and `serve` print about a configuration with this text: both the same,
/// with exit code 78. Paths are relative to the configuration's folder.
fn complaint(text: &str) -> Vec<String> {
    complaint_with(78, text)
}

/// The same, with this exit code.
fn complaint_with(code: i32, text: &str) -> Vec<String> {
    let home = home_with(text);
    let folder = format!("{}/", home.folder.path().display());
    let mut said: Vec<Vec<String>> = Vec::new();
    for command in ["check", "serve"] {
        let output = run(command, &home);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stderr)
            .unwrap()
            .replace(&folder, "");
        said.push(text.lines().map(str::to_owned).collect());
    }
    assert_eq!(said[0], said[1]);
    said.swap_remove(0)
}

/// Asserts that these lines were said, and no others; each begins like that.
#[track_caller]
fn assert_lines(said: &[String], expected: &[&str]) {
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.starts_with(expected), "{said}\n{expected}");
    }
}

#[test]
fn an_unknown_key_is_reported_with_its_line_and_the_nearest_key() {
    let said = complaint(&format!(
        "{ACCOUNT}mailbx = \"x\"\n[limits]\nrecipient = 3\n[nonsense]\n[log]\ncolour = true\n"
    ));

    assert_eq!(
        said,
        [
            "relay.toml:6:1: unknown key \"mailbx\" in [[account]]: did you mean \"mailbox\"?",
            "relay.toml:8:1: unknown key \"recipient\" in [limits]: did you mean \"recipients\"?",
            "relay.toml:9:2: unknown key \"nonsense\": the keys and sections there are account, \
             admin, alert, aliases, data_dir, default_recipient_domain, delivery, doctor, failure, \
             history, hostname, http, internal_domains, limits, listener, log, pickup, received, \
             sender, tls, user",
            "relay.toml:11:1: unknown key \"colour\" in [log]: the keys there are format, level",
        ]
    );
}

#[test]
fn a_key_outside_its_section_is_reported_with_the_section_that_it_belongs_to() {
    let said = complaint(&format!(
        "message_size = \"5 MB\"\nkeep = \"5d\"\n{ACCOUNT}expire_after = \"2d\"\n\
         [log]\nhostname = \"x\"\n"
    ));

    assert_eq!(
        said,
        [
            "relay.toml:1:1: unknown key \"message_size\": it belongs to [limits]",
            "relay.toml:2:1: unknown key \"keep\": it belongs to [failure] or [history]",
            "relay.toml:8:1: unknown key \"expire_after\" in [[account]]: it belongs to [delivery]",
            "relay.toml:10:1: unknown key \"hostname\" in [log]: it belongs to the top of the file, \
             before the first section",
        ]
    );
}

#[test]
fn all_errors_are_reported_together() {
    let said = complaint(
        "[[listener]]\naddress = \"localhost\"\nnetworks = [\"10.0.0.0/99\"]\n\
         [[account]]\ntenant = \"a/b\"\nmailbox = \"nobody\"\nlogin_url = \"http://example.org\"\n\
         [limits]\nmessage_size = 35\nconnections = 0\nfree_space = \"1 MB\"\n[delivery]\nexpire_after = \"4 weeks\"\n\
         warn_after = \"0s\"\n[failure]\nnotify = \"root@localhost\"\n\
         [history]\nkeep = \"1d\"\nkeep_content = \"25h\"\n",
    );

    let expected = [
        "relay.toml:2:11: address: \"localhost\" is not an IP address with a port",
        "relay.toml:3:12: networks: ",
        "relay.toml:4:1: [[account]] needs its client secret",
        "relay.toml:4:1: [[account]] needs \"client_id\"",
        "relay.toml:5:10: tenant: \"a/b\" is neither an ID nor a domain",
        "relay.toml:6:11: mailbox: the address has no domain",
        "relay.toml:7:13: login_url: http:// is allowed only to this machine",
        "relay.toml:9:16: message_size: \"35\" is not a size: write it like",
        "relay.toml:10:15: connections: must be from 1 to 1000000",
        "relay.toml:11:14: free_space: must be \"8 MB\" or more",
        "relay.toml:13:16: expire_after: \"4 weeks\" is not a time",
        "relay.toml:14:14: warn_after: must be more than 0; or write \"off\"",
        "relay.toml:16:10: notify: write \"sender\", \"off\", or an address like",
        "relay.toml:19:16: keep_content: must not be more than keep",
    ];
    assert_lines(&said, &expected);
}

#[test]
fn a_client_id_is_never_a_domain() {
    for wrong in ["", "a/b"] {
        let account = ACCOUNT.replace("11111111-1111-1111-1111-111111111111", wrong);
        let expected = format!(
            "relay.toml:3:13: client_id: {wrong:?} is not an ID: write the Application (client) ID \
             from the overview page of the app registration"
        );
        assert_eq!(complaint(&account), [expected]);
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_answered_with_what_to_write() {
    let said = complaint(&format!(
        "[limits]\nrecipients = -1\nfree_space = 5\nsession_timeout = 30\nspool_size = true\n\
         [delivery]\nworkers = \"4\"\nexpire_after = [\"4d\"]\n\
         [history]\nsubjects = \"yes\"\n{ACCOUNT}"
    ));

    assert_eq!(
        said,
        [
            "relay.toml:2:14: recipients: must be from 1 to 1000000",
            "relay.toml:3:14: free_space: \"5\" is not a size: write it like \"35 MB\"",
            "relay.toml:4:19: session_timeout: \"30\" is not a time: write it like \"30s\", \"5m\" or \
             \"4d\"",
            "relay.toml:5:14: spool_size: \"true\" is not a size: write it like \"35 MB\"",
            "relay.toml:7:11: workers: write a whole number without quotes, like 5",
            "relay.toml:8:16: expire_after: write one value, like 5, \"35 MB\" or \"4h\"",
            "relay.toml:10:12: subjects: write true or false, without quotes",
        ]
    );
}

#[test]
fn rate_limits_may_be_off_and_concurrency_may_not() {
    let wrong = complaint(&format!(
        "{ACCOUNT}[account.rate_limits]\nconcurrency = \"off\"\nmessages_per_minute = 0\n\
         requests_per_10_minutes = \"none\"\nupload_per_5_minutes = \"0 MB\"\n\
         recipients_per_day = -1\n"
    ));

    let keys = [
        "relay.toml:7:15: concurrency: ",
        "relay.toml:8:23: messages_per_minute: write a number from 1, or \"off\"",
        "relay.toml:9:27: requests_per_10_minutes: write a number from 1, or \"off\"",
        "relay.toml:10:24: upload_per_5_minutes: write a size like \"150 MB\", or \"off\"",
        "relay.toml:11:22: recipients_per_day: write a number from 1, or \"off\"",
    ];
    assert_eq!(wrong.len(), keys.len(), "{wrong:#?}");
    for (said, expected) in wrong.iter().zip(keys) {
        assert!(said.starts_with(expected), "{said}\n{expected}");
    }
}

#[test]
fn the_old_name_of_rate_limits_works_and_warns() {
    let with = |sections: &str| format!("{ACCOUNT}{sections}");

    let said = warnings(&with("[account.pace]\nconcurrency = 2\n"), 0o600);
    let expected = "relay.toml:6:1: warning: [account.pace] is now called [account.rate_limits]";
    assert!(said.contains(expected), "{said}");
    let wrong = complaint(&with("[account.pace]\nconcurrency = 0\n"));
    assert!(
        wrong[0].starts_with("relay.toml:7:15: concurrency: "),
        "{wrong:?}"
    );

    let new = with("[account.rate_limits]\nconcurrency = 2\n");
    assert_eq!(warnings(&new, 0o600), "");
    let both = complaint(&format!("{new}[account.pace]\nconcurrency = 3\n"));
    assert!(both[0].contains("has both"), "{both:?}");
}

#[test]
fn received_headers_accepts_only_its_two_values() {
    let said = complaint(&format!("{ACCOUNT}[received]\nclient = \"none\"\n"));

    assert!(said[0].starts_with("relay.toml:7:"), "{said:?}");
    assert!(said[0].contains("`full` or `hidden`"), "{said:?}");
}

#[test]
fn an_alias_without_a_recipient_is_reported_with_line_and_column() {
    let said = complaint(&format!(
        "default_recipient_domain = \"nas.local\"\ninternal_domains = [\"corp\"]\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nrecipients_allowed = []\n\
         redirect_all_to = \"a@nas.local\"\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nrecipients_allowed = [\"contoso.com\"]\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nrecipients_allowed = [\"@contoso.com\"]\n\
         redirect_all_to = \"a@fabrikam.com\"\n{ACCOUNT}\
         [aliases]\nroot = \"daemon\"\ndaemon = [\"it@contoso.com\", \"root\"]\n\
         nas = \"it@nas.local\"\nx = []\ny = \"a b\"\nz = 3\nteam = \"people\"\n\
         ROOT = \"it@contoso.com\"\n\"a b\" = \"it@contoso.com\"\n\"@\" = \"it@contoso.com\"\n\
         internal_domains = \"contoso.com\"\nodd = '\"q r\"@contoso.com'\n"
    ));

    let expected = [
        "relay.toml:1:28: default_recipient_domain: the domain \"nas.local\" cannot receive mail",
        "relay.toml:2:20: internal_domains: \"corp\" is not the name of a domain",
        "relay.toml:5:22: recipients_allowed: the list is empty, so nobody could receive mail",
        "relay.toml:6:19: redirect_all_to: this address cannot receive mail",
        "relay.toml:9:22: recipients_allowed: \"contoso.com\" is not an address",
        "relay.toml:13:19: redirect_all_to: recipients_allowed does not allow this address",
        "relay.toml:20:8: root: it leads in a circle: root, then daemon, then root",
        "relay.toml:21:10: daemon: it leads in a circle: daemon, then root, then daemon",
        "relay.toml:22:7: nas: no mail can reach it@nas.local",
        "relay.toml:23:5: x: nobody would receive this mail",
        "relay.toml:24:5: y: \"a b\": ",
        "relay.toml:25:5: z: write an address like \"it@contoso.com\", or a list of them",
        "relay.toml:26:8: team: \"people\" is neither another alias nor a whole address",
        "relay.toml:27:1: there are two aliases for \"ROOT\"",
        "relay.toml:28:1: \"a b\" is not a recipient: write a name like root",
        "relay.toml:29:1: \"@\" is not a recipient",
        "relay.toml:30:1: internal_domains is not an alias: move it to the top",
        "relay.toml:31:7: odd: no mail can reach \"q r\"@contoso.com: Exchange Online supports",
    ];
    assert_lines(&said, &expected);

    for odd in ["exa mple.org", "@example.org"] {
        let said = complaint(&format!("default_recipient_domain = \"{odd}\"\n{ACCOUNT}"));
        let expected = "relay.toml:1:28: default_recipient_domain: write a domain without @ or";
        assert!(said[0].starts_with(expected), "{said:?}");
    }

    let many: Vec<String> = (0..501).map(|n| format!("\"a{n}@contoso.com\"")).collect();
    let said = complaint(&format!(
        "{ACCOUNT}[aliases]\nall = [{}]\n",
        many.join(", ")
    ));
    assert_eq!(
        said,
        [
            "relay.toml:6:1: an alias leads to 501 recipients, but limits.recipients allows only 500 per \
             message: raise the limit, or use a distribution list"
        ]
    );
}

#[test]
fn errors_in_sender_sections_are_reported_with_line_and_column() {
    let said = complaint(&format!(
        "{ACCOUNT}[[sender]]\nmatch = \"old.example\"\nfrom = \"it@nas.local\"\n\
         [[sender]]\nmatch = \"*@old.example\"\n\
         [[sender]]\nfrom = \"@contoso.com\"\nmailbox = \"anna@contoso.com\"\n"
    ));

    let expected = [
        "relay.toml:7:9: match: \"old.example\" is not an address",
        "relay.toml:8:8: from: \"it@nas.local\" cannot be the address of a mailbox",
        "relay.toml:9:1: [[sender]] needs \"from\"",
        "relay.toml:11:1: [[sender]] needs \"match\"",
        "relay.toml:13:11: mailbox: no [[account]] sends from anna@contoso.com",
    ];
    assert_lines(&said, &expected);
}

#[test]
fn invalid_toml_is_reported_with_line_and_column() {
    let said = complaint("[[account]]\ntenant = contoso\n");

    assert!(said[0].starts_with("relay.toml:2:10: "), "{said:?}");
}

#[test]
fn a_section_that_is_there_twice_is_named() {
    let said = complaint(&format!(
        "[admin]\naddress = \"off\"\n[admin]\nmetrics = \"off\"\n{ACCOUNT}"
    ));

    assert_eq!(
        said[0],
        "relay.toml:3:2: duplicate key \"admin\": keep only one of them"
    );
}

#[test]
fn a_file_in_utf_16_is_reported_with_the_remedy() {
    let home = Home::empty();
    let text = "\u{feff}[admin]\n".encode_utf16();
    let bytes: Vec<u8> = text.flat_map(u16::to_le_bytes).collect();
    fs::write(&home.config, bytes).unwrap();

    let output = run("check", &home);

    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(". Save it as UTF-8"), "{said}");
}

#[test]
fn a_missing_secret_is_reported_with_its_path() {
    let text = ACCOUNT.replace("SECRET", "/nonexistent/secret");
    let said = complaint_with(75, &text);

    assert_eq!(said.len(), 1);
    let expected =
        "relay.toml:4:22: client secret: cannot read the file /nonexistent/secret: No such file";
    assert!(said[0].starts_with(expected), "{said:?}");

    let text = ACCOUNT.replace(
        "client_secret_file = \"SECRET\"",
        "client_secret_env = \"NOT_SET\"",
    );
    let said = complaint(&text);
    assert_eq!(
        said,
        ["relay.toml:4:21: client secret: the environment variable NOT_SET is not set"]
    );
}

#[test]
fn a_secret_that_others_can_read_is_refused_with_the_remedy() {
    let home = home_with(ACCOUNT);
    let secret = home.path("secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let path = secret.display();

    let output = run("check", &home);

    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    let config = home.config.display();
    assert_eq!(
        said,
        format!(
            "{config}:4:22: client secret: {path} can be read by others (mode 0644): chmod 600 {path}\n"
        )
    );
}

#[test]
fn a_secret_is_read_through_a_link_and_from_a_pipe() {
    let home = home_with(&ACCOUNT.replace("SECRET", "SECRET-link"));
    std::os::unix::fs::symlink(home.path("secret"), home.path("secret-link")).unwrap();
    assert!(run("check", &home).status.success());

    let home = home_with(&ACCOUNT.replace("SECRET", "/dev/stdin"));
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"a-secret\n").unwrap();
    drop(writer);
    let output = binary()
        .arg("check")
        .arg("--config")
        .arg(&home.config)
        .stdin(reader)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_folder_in_the_place_of_a_file_is_named_as_one() {
    let account = ACCOUNT.replace("SECRET", "/tmp");
    assert_eq!(
        complaint(&account),
        ["relay.toml:4:22: client secret: /tmp is a folder: name the file in it"]
    );

    let webhook = "[[alert]]\nwebhook = \"https://alerts.contoso.com\"\nsecret_file = \"/tmp\"\n";
    let http = "[http]\nca_file = \"/dev/null\"\n";
    assert_eq!(
        complaint(&format!("{webhook}{http}{ACCOUNT}")),
        [
            "relay.toml:3:15: secret_file: /tmp is a folder: name the file in it",
            "relay.toml:5:11: ca_file: /dev/null is not a regular file: name the file with the \
             content",
        ]
    );
}

#[test]
fn promise_6_a_listener_beyond_loopback_needs_a_list_of_networks() {
    let said = complaint(&format!(
        "[[listener]]\naddress = \"0.0.0.0:2525\"\n{ACCOUNT}"
    ));
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("relay.toml:2:11: other machines can reach the listener 0.0.0.0:2525"),
        "{said:?}"
    );

    for everybody in [
        "networks = [\"0.0.0.0/0\"]",
        "networks = [\"0.0.0.0/1\", \"128.0.0.0/1\"]",
        "networks = [\"192.0.2.0/24\", \"::/0\"]",
        "networks = [\"2000::/3\"]",
        "networks = [\"0.0.0.0/1\", \"128.0.0.0/2\", \"192.0.0.0/3\"]",
        "networks = [\"0.0.0.0/0\"]\nauthentication = \"required\"",
    ] {
        let said = complaint(&format!(
            "[[listener]]\naddress = \"0.0.0.0:2525\"\n{everybody}\n{ACCOUNT}{USER}"
        ));
        let told = |line: &String| line.contains("everybody could send through this listener");
        assert!(said.iter().any(told), "{said:?}");
    }

    let listener = "[[listener]]\naddress = \"0.0.0.0:2525\"\nnetworks = [\"192.0.2.0/24\"]\n";
    let home = home_with(&format!("{listener}{ACCOUNT}"));
    let output = run("check", &home);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_bare_address_is_a_network_of_one_machine() {
    let listener = |networks: &str| {
        format!("[[listener]]\naddress = \"0.0.0.0:2525\"\nnetworks = [{networks}]\n{ACCOUNT}")
    };

    let home = home_with(&listener("\"192.0.2.17\", \"2001:db8::1\""));
    assert!(run("check", &home).status.success());

    assert_eq!(
        complaint(&listener("\"127.0.0\"")),
        [
            "relay.toml:3:12: networks: \"127.0.0\" is not a network: write it like \"192.0.2.0/24\", \
             or one machine like \"192.0.2.17\""
        ]
    );
}

#[test]
fn a_file_in_the_place_of_data_dir_is_reported() {
    for wrong in ["/etc/passwd", "/etc/passwd/spool"] {
        let expected = format!(
            "relay.toml:1:12: data_dir: {wrong} is not a folder: name a folder of the relay's own, \
             which it creates if it does not exist"
        );
        let text = format!("data_dir = {wrong:?}\n{ACCOUNT}");
        assert_eq!(complaint(&text), [expected]);
    }
}

#[test]
fn every_wrong_network_and_every_missing_file_is_reported() {
    let said = complaint(&format!(
        "[tls]\ncertificate_file = \"/nonexistent/a\"\nprivate_key_file = \"/tmp\"\n\
         [[listener]]\naddress = \"127.0.0.1:2525\"\n\
         networks = [\"127.0.0.1/33\", \"127.0.0.1\", \"300.1.1.1\"]\n{ACCOUNT}"
    ));

    let expected = [
        "relay.toml:2:20: cannot read /nonexistent/a: ",
        "relay.toml:3:20: /tmp is a folder: name the file in it",
        "relay.toml:6:12: networks: \"127.0.0.1/33\" is not a network",
        "relay.toml:6:12: networks: \"300.1.1.1\" is not a network",
    ];
    assert_lines(&said, &expected);
}

#[test]
fn promise_6_clients_that_anybody_can_make_up_are_refused() {
    let listener =
        |keys: &str| format!("[[listener]]\naddress = \"127.0.0.1:2525\"\n{keys}\n{ACCOUNT}{USER}");
    let clients = "networks = [\"192.0.2.0/24\"]";
    for everybody in ["0.0.0.0/0", "::/0", "0.0.0.0/1\", \"128.0.0.0/1"] {
        let said = complaint(&listener(&format!(
            "{clients}\nproxy_protocol_from = [\"{everybody}\"]"
        )));
        let forged = "relay.toml:4:23: proxy_protocol_from: everybody could claim to be a client";
        assert!(said.iter().any(|line| line.starts_with(forged)), "{said:?}");
    }
    for (keys, expected) in [
        (
            "proxy_protocol_from = [\"192.0.2.5\"]",
            "relay.toml:3:23: proxy_protocol_from: clients on other machines connect through the load \
             balancer: name those that may send",
        ),
        (
            "networks = [\"192.0.2.0/24\"]\nproxy_protocol_from = [\"::ffff:192.0.2.5\"]",
            "relay.toml:4:23: proxy_protocol_from: write IPv4 networks in IPv4 form",
        ),
        (
            "networks = [\"192.0.2.0/24\"]\nproxy_protocol_from = [\"balancer\"]",
            "relay.toml:4:23: proxy_protocol_from: \"balancer\" is not a network",
        ),
        (
            "networks = [\"192.0.2.0/24\"]\ntls = \"auto\"",
            "relay.toml:4:7: tls: this needs a certificate",
        ),
    ] {
        let said = complaint(&listener(keys));
        assert!(
            said.iter().any(|line| line.starts_with(expected)),
            "{said:?}"
        );
    }
}

#[test]
fn check_names_load_balancers_and_warns_if_they_are_everybody() {
    let home = Home::empty();
    let tls = Identity::new().section(&home);
    let listener = |keys: &str| {
        let networks = "networks = [\"192.0.2.0/24\"]";
        format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{networks}\n{keys}\n")
    };

    let named = listener("proxy_protocol_from = [\"192.0.2.5\"]");
    let output = run("check", &home_with(&format!("{named}{ACCOUNT}")));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    let words = "by the PROXY protocol header of load balancers in 192.0.2.5/32";
    assert!(said.contains(words), "{said}");
    assert_eq!(warnings(&format!("{named}{ACCOUNT}"), 0o600), "");

    let everybody = "proxy_protocol_from = [\"0.0.0.0/0\"]\n\
                     tls = \"auto\"\nauthentication = \"required\"";
    let everybody = listener(everybody);
    let said = warnings(&format!("{everybody}{tls}{USER}{ACCOUNT}"), 0o600);
    let warning = "relay.toml:4:23: warning: proxy_protocol_from: everybody who reaches this \
                   listener can claim to be any client";
    assert!(said.contains(warning), "{said}");

    // Clients of other machines reach even an address of loopback.
    let clear = listener("proxy_protocol_from = [\"127.0.0.1\"]\nauthentication = \"optional\"");
    let said = warnings(&format!("{clear}{USER}{ACCOUNT}"), 0o600);
    assert!(
        said.contains("passwords cross the network unencrypted"),
        "{said}"
    );
}

#[test]
fn conflicting_listeners_and_empty_networks_are_reported() {
    let said = complaint(&format!(
        "[[listener]]\naddress = \"0.0.0.0:2525\"\nnetworks = [\"10.0.0.0/8\", \"fc00::/7\"]\n\
         [[listener]]\naddress = \"[::]:2525\"\nnetworks = [\"::ffff:192.0.2.0/120\"]\n{ACCOUNT}"
    ));

    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("write IPv4 networks in IPv4 form"),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("relay.toml:5:11: address: 0.0.0.0:2525 and [::]:2525 cannot be used"),
        "{said:?}"
    );
}

#[test]
fn an_address_of_the_admin_page_or_metrics_that_a_listener_uses_is_reported() {
    let listener = "[[listener]]\naddress = \"127.0.0.1:2526\"\n";
    for (text, expected) in [
        (
            format!("{listener}[admin]\naddress = \"127.0.0.1:2526\"\n"),
            "4:11: address: 127.0.0.1:2526 is taken: the relay listens on 127.0.0.1:2526 for mail. \
             Choose another port",
        ),
        (
            format!("{listener}[admin]\nmetrics = \"0.0.0.0:2526\"\n"),
            "4:11: metrics: 0.0.0.0:2526 is taken: the relay listens on 127.0.0.1:2526 for mail. \
             Choose another port",
        ),
        (
            "[admin]\naddress = \"[::1]:2525\"\n".to_owned(),
            "2:11: address: [::1]:2525 is taken: the relay listens on [::1]:2525 for mail. Choose \
             another port",
        ),
        (
            "[admin]\nmetrics = \"127.0.0.1:9092\"\naddress = \"127.0.0.1:9092\"\n".to_owned(),
            "3:11: address: 127.0.0.1:9092 is taken: the relay listens on 127.0.0.1:9092 for \
             metrics. Choose another port",
        ),
    ] {
        let said = complaint(&format!("{text}{ACCOUNT}"));

        assert_eq!(said, [format!("relay.toml:{expected}")]);
    }
}

#[test]
fn missing_settings_for_tls_and_authentication_are_reported() {
    for (text, complaints) in [
        (
            "[[listener]]\naddress = \"127.0.0.1:2525\"\ntls = \"starttls\"\n",
            vec![
                "relay.toml:3:7: tls: this needs a certificate: set certificate_file and private_key_file in [tls]",
            ],
        ),
        (
            "[[listener]]\naddress = \"127.0.0.1:2525\"\nauthentication = \"optional\"\n",
            vec![
                "relay.toml:3:18: authentication: nobody could authenticate, because there is no [[user]]: \
                 add one with name, password_hash and senders",
            ],
        ),
        (
            &format!("[[listener]]\naddress = \"127.0.0.1:2525\"\n{USER}"),
            vec![
                "relay.toml:3:1: no [[listener]] lets a [[user]] authenticate: set \
                 authentication = \"required\" or \"optional\" in one",
            ],
        ),
        (
            "[[listener]]\naddress = \"127.0.0.1:2525\"\nauthentication = \"optional\"\n\
             anonymous_networks = [\"0.0.0.0/0\"]\n[[user]]\nname = \"a b\"\n\
             password_hash = \"secret\"\naccount = \"other\"\n",
            vec![
                "relay.toml:4:22: anonymous_networks: everybody could send through this listener: \
                 name the machines that may send without authentication",
                "relay.toml:4:22: anonymous_networks works only together with authentication = \"required\"; \
                 without that, networks decides who may send",
                "relay.toml:5:1: [[user]] needs \"senders\"",
                "relay.toml:6:8: name: write 1 to 254 letters, digits and . _ + @ - only: some devices \
                 cannot enter other characters",
                "relay.toml:7:17: password_hash: not an argon2id hash: create one with graph-relay \
                 hash-password",
                "relay.toml:8:11: account: there is no [[account]] named \"other\"",
            ],
        ),
        (
            "[tls]\ncertificate_file = \"missing.pem\"\n",
            vec!["relay.toml:1:1: [tls] needs \"private_key_file\""],
        ),
        (
            "[tls]\ncertificate_file = \"SECRET\"\nprivate_key_file = \"SECRET\"\n",
            vec![
                "relay.toml:2:20: secret: this file contains no certificate in PEM format (no items found). \
                 Are certificate and key swapped? To convert a PFX file: openssl pkcs12 -in app.pfx \
                 -nodes -out app.pem; to decrypt a key: openssl pkey -in app.key -out plain.key",
            ],
        ),
    ] {
        let said = complaint(&format!("{text}{ACCOUNT}"));
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        for complaint in &complaints {
            assert!(said.contains(complaint), "{complaint} is not in {said:#?}");
        }
    }
}

/// The warnings of `check` about a correct file with these permissions.
fn warnings(text: &str, mode: u32) -> String {
    // A hash with the recommended cost.
    let home = home_with(&text.replace("m=64,t=1,", "m=19456,t=2,"));
    fs::set_permissions(&home.config, fs::Permissions::from_mode(mode)).unwrap();

    let output = run("check", &home);

    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn check_warns_of_hashes_and_passwords_that_others_can_read() {
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\nauthentication = \"optional\"\n";
    let users = format!("{listener}{USER}{ACCOUNT}");
    let proxy = |url: &str| format!("{ACCOUNT}[http]\nproxy = \"{url}\"\n");
    let secret = proxy("http://anna:hunter2@proxy.example:3128");

    for (text, held) in [
        (&users, "password hashes"),
        (&secret, "the proxy's password"),
    ] {
        for mode in [0o644, 0o604] {
            let said = warnings(text, mode);
            let expected =
                format!("everybody on this machine can read this file (mode {mode:04o})");
            assert!(said.contains(&expected), "{said}");
            assert!(said.contains(held), "{said}");
            assert!(said.contains("chmod 640"), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
        for mode in [0o640, 0o600] {
            assert_eq!(warnings(text, mode), "");
        }
    }
    for harmless in [ACCOUNT, &proxy("http://proxy.example:3128")] {
        assert_eq!(warnings(harmless, 0o644), "");
    }
}

#[test]
fn check_warns_of_an_id_that_is_not_a_guid_and_says_where_to_find_it() {
    let id = "client_id = \"11111111-1111-1111-1111-111111111111\"";
    for wrong in ["1", "11111111-1111-1111-1111-11111111111", "graph-relay"] {
        let said = warnings(
            &ACCOUNT.replace(id, &format!("client_id = \"{wrong}\"")),
            0o600,
        );
        let place = format!("relay.toml:3:13: warning: client_id: {wrong:?} is not a GUID: write");
        assert!(said.contains(&place), "{said}");
    }
    let of_tenant = |tenant: &str| ACCOUNT.replace("\"contoso.com\"", &format!("\"{tenant}\""));
    let said = warnings(&of_tenant("contoso"), 0o600);
    let place =
        "relay.toml:2:10: warning: tenant: \"contoso\" is neither a GUID nor a domain: write";
    assert!(said.contains(place), "{said}");
    let guid = of_tenant("22222222-2222-2222-2222-222222222222");
    assert_eq!(warnings(&guid, 0o600), "");
}

#[test]
fn two_addresses_where_one_is_expected_get_an_error_that_says_so() {
    let account = ACCOUNT.replace("mailbox = \"", "mailbox = \"a@contoso.com, ");
    let said = complaint(&account);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0]
            .contains("mailbox: this is more than one address: write one, or add an [[account]]"),
        "{said:?}"
    );
}

#[test]
fn check_names_the_networks_that_need_no_password() {
    let home = Home::empty();
    let tls = Identity::new().section(&home);
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\nauthentication = \"required\"\n\
                    anonymous_networks = [\"192.0.2.7\", \"198.51.100.0/24\"]\n";
    let home = home_with(&format!("{listener}{tls}{USER}{ACCOUNT}"));

    let output = run("check", &home);

    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = ", from users who authenticate, and without a password from 192.0.2.7/32, \
                    198.51.100.0/24 (anonymous_networks)\n";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn check_warns_of_passwords_without_tls_from_other_machines() {
    let home = Home::empty();
    let tls = Identity::new().section(&home);
    let listener = |address: &str, networks: &str, more: &str| {
        format!(
            "[[listener]]\naddress = \"{address}\"\nnetworks = [\"{networks}\"]\n{more}\n\
             authentication = \"optional\"\n{tls}\n{USER}{ACCOUNT}"
        )
    };

    let said = warnings(&listener("0.0.0.0:587", "192.0.2.0/24", ""), 0o600);
    assert!(
        said.contains("relay.toml:2:11: warning: authentication: passwords cross"),
        "{said}"
    );
    assert!(said.contains("starttls-required"), "{said}");
    for (address, networks, more) in [
        ("127.0.0.1:587", "192.0.2.0/24", ""),
        ("0.0.0.0:587", "127.0.0.0/8", ""),
        ("0.0.0.0:587", "192.0.2.0/24", "tls = \"starttls\""),
        ("0.0.0.0:587", "192.0.2.0/24", "tls = \"implicit\""),
    ] {
        assert_eq!(
            warnings(&listener(address, networks, more), 0o600),
            "",
            "{address} {more}"
        );
    }
}

#[test]
fn check_warns_of_a_network_that_can_send_as_anybody() {
    let from = ACCOUNT.replace("noreply@contoso.com", "from");
    let listener = |networks: &str, more: &str| {
        format!("[[listener]]\naddress = \"0.0.0.0:2525\"\nnetworks = [\"{networks}\"]\n{more}")
    };
    let with = |listener: &str, account: &str| warnings(&format!("{listener}{account}"), 0o600);
    let open = listener("192.0.2.0/24", "");

    for (senders, named) in [
        ("", "*"),
        ("senders = [\"*@contoso.com\"]\n", "*@contoso.com"),
    ] {
        let said = with(&open, &format!("{from}{senders}"));
        assert!(
            said.contains("relay.toml:2:11: warning: every machine in 192.0.2.0/24"),
            "{said}"
        );
        assert!(said.contains(&format!("anybody ({named})")), "{said}");
        assert!(said.contains("authentication = \"required\""), "{said}");
    }

    assert_eq!(with(&listener("192.0.2.7/32", ""), &from), "");
    assert_eq!(with(&open, ACCOUNT), "");
    assert_eq!(with("", &from), "");
    let narrow = format!("{from}senders = [\"scanner@contoso.com\", \"scan*@contoso.com\"]\n");
    assert_eq!(with(&open, &narrow), "");
}

#[test]
fn check_warns_of_values_that_cannot_work() {
    let delivery = |keys: &str| format!("{ACCOUNT}[delivery]\n{keys}\n");
    for (text, said) in [
        (
            ACCOUNT.replace("@contoso.com", "@host.local"),
            "relay.toml:5:11: warning: mailbox: the domain \"host.local\" is not public",
        ),
        (
            format!("{ACCOUNT}[limits]\nmessage_size = \"300 MB\"\n"),
            "warning: limits.message_size is more than Exchange sends, 150 MB",
        ),
        (
            delivery("expire_after = \"1h\"\nwarn_after = \"9d\""),
            "relay.toml:8:14: warning: warn_after: this is not shorter than expire_after",
        ),
        (
            delivery("retry = [\"9d\"]"),
            "relay.toml:7:9: warning: retry: the first time is not shorter than expire_after",
        ),
    ] {
        let warnings = warnings(&text, 0o600);
        assert!(warnings.contains(said), "{warnings}");
        assert_eq!(warnings.lines().count(), 1, "{warnings}");
    }

    for text in [
        format!("{ACCOUNT}[limits]\nmessage_size = \"150 MB\"\n"),
        delivery("expire_after = \"1h\""),
        delivery("expire_after = \"1h\"\nwarn_after = \"off\""),
    ] {
        assert_eq!(warnings(&text, 0o600), "", "{text}");
    }
}

#[test]
fn credentials_that_only_the_service_can_read_are_not_an_error() {
    let files = "certificate_file = \"${CREDENTIALS_DIRECTORY}/crt\"\n\
                 private_key_file = \"${CREDENTIALS_DIRECTORY}/key\"\n";
    let account = ACCOUNT.replace("client_secret_file = \"SECRET\"\n", files);

    for text in [format!("[tls]\n{files}{ACCOUNT}"), account] {
        let said = warnings(&text, 0o600);
        assert!(said.contains("only the service can read it"), "{said}");
    }
}

#[test]
fn check_warns_of_a_weak_password_hash_with_its_line() {
    let strong = USER.replace("m=64,t=1", "m=19456,t=2");
    for (user, warnings) in [(USER, 1), (strong.as_str(), 0)] {
        let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\nauthentication = \"optional\"\n";
        let home = home_with(&format!("{listener}{ACCOUNT}{user}"));

        let output = run("check", &home);

        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        let place =
            "relay.toml:12:17: warning: password_hash: this hash has weak argon2id parameters";
        assert_eq!(said.matches(place).count(), warnings, "{said}");
    }
}

#[test]
fn an_address_of_admin_in_use_is_reported_at_its_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (key, column) in [("metrics", 11), ("address", 11)] {
        let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
        let admin = format!("[admin]\n{key} = \"127.0.0.1:{port}\"\n");
        let home = home_with(&format!("{admin}{listener}{ACCOUNT}"));

        let output = run("serve", &home);

        assert_eq!(output.status.code(), Some(75), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let line = format!(
            "relay.toml:2:{column}: [admin] {key}: cannot listen on 127.0.0.1:{port}: Address \
             already in use"
        );
        assert!(said.contains(&line), "{said}");
    }
}

#[test]
fn an_address_in_use_is_reported_with_the_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    // Addresses are bound before anything is created on disk.
    let home = home_with(&format!(
        "[[listener]]\naddress = \"127.0.0.1:{port}\"\n{ACCOUNT}"
    ));

    let output = run("serve", &home);

    assert_eq!(output.status.code(), Some(75));
    let said = String::from_utf8(output.stderr).unwrap();
    let line = said.lines().last().unwrap();
    assert!(
        line.contains(&format!(
            "relay.toml:2:11: [[listener]]: cannot listen on 127.0.0.1:{port}: Address already in use"
        )),
        "{said}"
    );
    assert!(
        line.contains(&format!("ss -ltnp 'sport = :{port}'")),
        "{said}"
    );
}

#[test]
fn an_address_missing_for_now_exits_with_75_and_not_78() {
    // RFC 5737: no machine has this address.
    let home = home_with(&format!(
        "[[listener]]\naddress = \"192.0.2.10:2525\"\nnetworks = [\"192.0.2.0/24\"]\n{ACCOUNT}"
    ));

    let output = run("serve", &home);

    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    for part in [
        "relay.toml:2:11: ",
        "does not have the address 192.0.2.10 now",
        "correct it",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn an_unreadable_file_exits_with_75_unless_something_else_is_wrong() {
    let away = "/nonexistent/of-a-disk";
    let secret = |line: &str| ACCOUNT.replace("client_secret_file = \"SECRET\"", line);
    let files = [
        ACCOUNT.replace("SECRET", away),
        secret(&format!(
            "certificate_file = \"{away}\"\nprivate_key_file = \"{away}\""
        )),
        secret(&format!("federated_token_file = \"{away}\"")),
        format!("{ACCOUNT}[tls]\ncertificate_file = \"{away}\"\nprivate_key_file = \"{away}\"\n"),
        format!("{ACCOUNT}[http]\nca_file = \"{away}\"\n"),
    ];
    for text in files {
        let said = complaint_with(75, &text);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains("systemd restarts the relay until the file exists"),
            "{said:?}"
        );

        let said = complaint_with(78, &format!("{text}[limits]\nconnections = 0\n"));
        assert_eq!(said.len(), 2, "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ca_certificates_the_relay_says_what_to_install() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let mut command = binary();
    command.env("SSL_CERT_FILE", "/dev/null");
    command.env_remove("SSL_CERT_DIR");
    command.arg("serve").arg("--config").arg(&home.config);

    let output = command.output().unwrap();

    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    for part in [
        "No CA certificates",
        "install the package ca-certificates",
        "[http] ca_file",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_in_use_is_refused() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    let _relay = Relay::start(&home);

    let output = run("serve", &home);

    assert_eq!(output.status.code(), Some(75));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is in use by another graph-relay"), "{said}");
}

#[test]
fn environment_variables_stand_for_their_values() {
    // Cargo sets this one for every test.
    let text = ACCOUNT.replace(
        "contoso.com\"\nclient",
        "${CARGO_PKG_NAME}.example\"\nclient",
    );
    let text = text.replace(
        "client_secret_file = \"SECRET\"",
        "client_secret_env = \"PATH\"",
    );
    let config = Config::parse(&text, Path::new("relay.toml")).unwrap();
    assert_eq!(config.accounts[0].tenant, "graph-relay.example");

    let text = text.replace("CARGO_PKG_NAME", "NO_SUCH_VARIABLE");
    let error = Config::parse(&text, Path::new("relay.toml"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "relay.toml:2:10: tenant: the environment variable NO_SUCH_VARIABLE is not set"
    );
}

#[test]
fn relay_toml_shows_the_defaults() {
    let home = Home::empty();
    write_private(&home.path("secret"), "a-secret");
    let secret = home.path("secret").display().to_string();
    let manual = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/relay.toml")).unwrap();
    let manual = manual.replace("/etc/graph-relay/client-secret", &secret);
    let all: String = manual
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => key,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    assert!(all.matches(" = ").count() > 30, "the keys were not found");

    let shown = Config::parse(&manual, Path::new("relay.toml")).unwrap();
    let mut told = Config::parse(&all, Path::new("relay.toml")).unwrap();

    // An explicit listener is required; the default one on ::1 may be missing.
    assert_eq!(shown.listeners[1].presence, Presence::WhereAvailable);
    told.listeners[1].presence = Presence::WhereAvailable;
    // The default ones are in no file.
    for listener in &mut told.listeners {
        assert!(listener.place.take().is_some());
    }
    assert_eq!(shown, told);
}

#[test]
fn check_warns_of_limits_that_give_one_client_or_listener_all_connections() {
    let limits = |keys: &str| warnings(&format!("{ACCOUNT}[limits]\n{keys}"), 0o600);

    for keys in ["connections = 64", "connections_per_client = 512"] {
        let said = limits(keys);
        let expected = "lets one client take all connections (limits.connections = ";
        assert!(said.contains(expected), "{said}");
    }
    for keys in ["", "connections = 65", "connections_per_client = 511"] {
        assert_eq!(limits(keys), "");
    }
    let few = "connections = 2\nconnections_per_client = 1";
    let said = limits(few);
    assert!(said.contains("limits.connections = 2 is too few to reserve any"));
    assert!(
        said.contains("set connections to at least 4, for 2 [[listener]]"),
        "{said}"
    );
    assert_eq!(limits(&few.replace("= 2", "= 4")), "");
    assert_eq!(limits(&format!("{few}\nreserved_connections = 0")), "");
}

#[test]
fn check_warns_of_a_hostname_that_is_a_mail_domain_if_names_have_aliases() {
    let root = "[aliases]\nroot = \"it@fabrikam.com\"\n";
    let said = warnings(
        &format!("hostname = \"Contoso.com\"\n{ACCOUNT}{root}"),
        0o600,
    );
    assert!(
        said.contains(
            "relay.toml:8:8: warning: root: mail for root@Contoso.com goes to this alias too"
        ),
        "{said}"
    );
    assert!(said.contains("\"relay.Contoso.com\""), "{said}");

    let others = "[aliases]\n\"root@nas.local\" = \"it@fabrikam.com\"\n";
    for (hostname, aliases) in [
        ("contoso.com", ""),
        ("contoso.com", others),
        ("relay.contoso.com", root),
        ("elsewhere.example", root),
    ] {
        let text = format!("hostname = \"{hostname}\"\n{ACCOUNT}{aliases}");
        assert_eq!(warnings(&text, 0o600), "", "{hostname} {aliases}");
    }
}

#[test]
fn common_mistakes_are_reported_with_the_correct_form() {
    let said = complaint(&format!(
        "internal_domains = \"corp.local\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
         redirect_all_to = [\"a@contoso.com\"]\nbare_cr = \"accept\"\nnul = true\n{ACCOUNT}\
         [aliases]\nx = \"a@contoso.com, b@contoso.com\"\n\"scan*@nas\" = \"a@contoso.com\"\n"
    ));

    let expected = [
        "relay.toml:1:20: internal_domains: write a list, in brackets like [\"...\"]",
        "relay.toml:4:19: redirect_all_to: write one text in quotes, not a list",
        "relay.toml:5:11: bare_cr: unknown value `accept`, expected `normalise` or `refuse`",
        "relay.toml:6:7: nul: write a text in quotes",
        "relay.toml:13:5: x: \"a@contoso.com, b@contoso.com\": this is more than one address: write several \
         addresses as a list, [\"it@contoso.com\", \"anna@contoso.com\"]",
        "relay.toml:14:1: \"scan*@nas\" is not a recipient: write a name like root, an address like \
         \"root@nas.local\", or a domain like \"@nas.local\"",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_secret_written_into_relay_toml_is_refused_and_never_shown() {
    let account = ACCOUNT.replace(
        "client_secret_file = \"SECRET\"",
        "client_secret = \"canary~1\"",
    );

    let said = complaint(&account);

    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].starts_with("relay.toml:4:17: client_secret: the secret itself must not be"));
    assert!(said[0].contains("client_secret_file = ") && !said[0].contains("canary"));
}
