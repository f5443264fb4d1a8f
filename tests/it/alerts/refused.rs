//! `[[alert]]` in relay.toml: wrong combinations are refused with line and column.

use std::fs;

use crate::common::Home;
use crate::common::binary;
use crate::common::said;
use crate::common::write_private;

const ACCOUNT: &str = "[[account]]\ntenant = \"contoso.com\"\nclient_id = \"11111111-1111-1111-1111-111111111111\"\n\
    client_secret_file = \"SECRET\"\nmailbox = \"MAILBOX\"\n";
const URL: &str = "webhook = \"https://hooks.contoso.com/canary-path\"\n";

/// What `check` says of these sections; line 1 is the first of them.
fn check(sections: &str, mailbox: &str) -> String {
    let home = Home::empty();
    let secret = home.path("secret");
    write_private(&secret, "a-secret");
    write_private(&home.path("open"), "a-secret");
    let account = ACCOUNT.replace("MAILBOX", mailbox);
    let text = format!("{sections}{account}");
    let folder = home.folder.path().display().to_string();
    let text = text.replace("SECRET", &format!("{folder}/secret"));
    fs::write(&home.config, text.replace("FOLDER", &folder)).unwrap();
    let mut check = binary();
    check.arg("check").arg("--config").arg(&home.config);
    said(&check.output().unwrap()).replace(&format!("{folder}/"), "")
}

#[test]
fn wrong_combinations_are_refused_with_line_and_column() {
    for (keys, expected) in [
        ("", "1:1: [[alert]] needs \"webhook\" (a URL) or \"mail\""),
        (
            &*format!("{URL}mail = \"it@contoso.com\"\n"),
            "1:1: an [[alert]] has either \"webhook\" or \"mail\"",
        ),
        (
            "webhook = \"http://hooks.contoso.com/canary-path\"\n",
            "2:11: webhook: http:// is allowed only to this machine",
        ),
        (
            "webhook = \"ftp://hooks.contoso.com/canary-path\"\n",
            "2:11: webhook: the URL must begin with https://",
        ),
        (
            "webhook = \"canary-path\"\n",
            "2:11: webhook: this is not a URL",
        ),
        (
            &*format!("{URL}on = []\n"),
            "3:6: on: an empty list means that nothing is ever sent",
        ),
        (
            &*format!("{URL}on = [\"mail_wait\"]\n"),
            "3:6: on: unknown value `mail_wait`, expected one of `message_failed`",
        ),
        (
            &*format!("{URL}over_after = \"0s\"\n"),
            "3:14: over_after: must be more than 0",
        ),
        (
            &*format!("{URL}account = \"default\"\n"),
            "3:11: account: only an [[alert]] with \"mail\" has it",
        ),
        (
            &*format!("{URL}secret_file = \"FOLDER/nothing\"\n"),
            "3:15: secret_file: cannot read the file nothing",
        ),
        (
            &*format!("{URL}secrt_file = \"x\"\n"),
            "unknown key \"secrt_file\" in [[alert]]: did you mean \"secret_file\"?",
        ),
        (
            "mail = \"it@contoso.com\"\nsecret_file = \"SECRET\"\n",
            "3:15: secret_file: only an [[alert]] with \"webhook\" has it",
        ),
        (
            "mail = \"it@contoso.com\"\naccount = \"other\"\n",
            "3:11: account: there is no [[account]] named \"other\"",
        ),
        ("mail = \"it@nas.local\"\n", "2:8: mail: write an address"),
        (
            &*format!("{URL}[[alert]]\n{URL}"),
            "3:1: this [[alert]] has the same target as one before",
        ),
    ] {
        let said = check(&format!("[[alert]]\n{keys}"), "noreply@contoso.com");
        assert!(said.contains(expected), "{expected}\n{said}");
        assert!(!said.contains("canary-path"), "{said}");
    }
}

#[test]
fn a_mail_needs_an_account_with_an_address_of_its_own() {
    let alert = "[[alert]]\nmail = \"it@contoso.com\"\n";

    let said = check(alert, "from");
    let from = check(alert, "from\"\ndefault_from = \"noreply@contoso.com");

    assert!(
        said.contains("2:8: mail: the relay has no address to send from"),
        "{said}"
    );
    assert!(!from.contains("has no address"), "{from}");
}

#[test]
fn plain_http_is_allowed_to_this_machine_and_where_the_file_says_so() {
    for keys in [
        "webhook = \"http://127.0.0.1:9000/hook\"\n",
        "webhook = \"http://[::1]:9000/hook\"\n",
        "webhook = \"http://hooks.contoso.com/hook\"\nallow_http = true\n",
    ] {
        let said = check(&format!("[[alert]]\n{keys}"), "noreply@contoso.com");
        assert!(!said.contains("webhook"), "{said}");
    }
}
