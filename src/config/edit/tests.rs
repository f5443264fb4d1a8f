//! Changes of files as people write them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use tempfile::TempDir;

use super::*;
use crate::clock::Timestamp;
use crate::platform::files;

const FILE: &str = r#"# The relay of the second floor.

hostname = "relay.contoso.com"   # as in DNS

[[listener]]
address = "127.0.0.1:2525"
authentication = "optional"

# The app that Anna registered.
[[account]]
name = "default"
tenant = "contoso.onmicrosoft.com"
client_id = "22222222-2222-2222-2222-222222222222"
client_secret_file = "SECRET"   # until May
mailbox = 'noreply@contoso.com'
# mailbox = "old@contoso.com"

[account.rate_limits]
concurrency = 2

# Who may authenticate. Ask Bert.

# The copier in the hall.
[[user]]
name = "copier"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$V7UGIL2n8X5E3sU0kMUyV6GpBFBQDhG8vnGBuP3nZ2I"
senders = [
  "copier@contoso.com",   # its own
]
# account = "other"

# The scanner beside it.

# What everybody may do.
[limits]
recipients = 100
# The end.
"#;

fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let (path, secret) = (folder.path().join("relay.toml"), folder.path().join("s"));
    fs::write(&secret, "a-secret").unwrap();
    fs::set_permissions(&secret, files::permissions(0o600)).unwrap();
    fs::write(&path, text.replace("SECRET", secret.to_str().unwrap())).unwrap();
    (folder, path)
}

/// The lines that a change removes and adds, as `-old` and `+new`.
fn changed(change: &Change) -> Vec<String> {
    let lines = change.lines().into_iter();
    let lines = lines.filter_map(|line| match line.side {
        Side::Old => Some(format!("-{}", line.text)),
        Side::New => Some(format!("+{}", line.text)),
        Side::Both | Side::Gap => None,
    });
    lines.collect()
}

#[test]
fn a_changed_key_keeps_its_comment_and_everything_around_it() {
    let (_folder, path) = file(FILE);
    let mut editor = Editor::open(&path).unwrap();
    let account = editor.find("account", "name", "default").unwrap();

    editor
        .set(&Table::Top, "hostname", "mail.contoso.com")
        .unwrap();
    editor.set(&account, "mailbox", "post@contoso.com").unwrap();
    editor
        .set(&Table::Section("limits"), "recipients", 50)
        .unwrap();
    let change = editor.finish().unwrap();

    let expected = [
        "-hostname = \"relay.contoso.com\"   # as in DNS",
        "+hostname = \"mail.contoso.com\"   # as in DNS",
        "-mailbox = 'noreply@contoso.com'",
        "+mailbox = \"post@contoso.com\"",
        "-recipients = 100",
        "+recipients = 50",
    ];
    assert_eq!(changed(&change), expected);
    assert_eq!(change.config.hostname, "mail.contoso.com");
    let keys: Vec<_> = change
        .keys
        .iter()
        .map(|it| (&*it.place, &*it.key))
        .collect();
    let expected = [
        ("", "hostname"),
        ("[[account]] default", "mailbox"),
        ("[limits]", "recipients"),
    ];
    assert_eq!(keys, expected);
    assert_eq!(change.keys[2].old.as_deref(), Some("100"));
    assert_eq!(change.keys[2].new.as_deref(), Some("50"));
}

#[test]
fn a_new_user_stands_behind_the_others_and_takes_no_comment_from_anybody() {
    let (_folder, path) = file(FILE);
    let mut editor = Editor::open(&path).unwrap();
    let copier = editor.find("user", "name", "COPIER").unwrap();
    let hash = editor.text(&copier, "password_hash").unwrap();

    let user = editor.add("user").unwrap();
    editor.set(&user, "name", "scanner").unwrap();
    editor.set(&user, "password_hash", hash).unwrap();
    editor
        .set(&user, "senders", vec!["scan@contoso.com".to_owned()])
        .unwrap();
    let change = editor.finish().unwrap();

    let (above, below) = change
        .after
        .split_once("\n[[user]]\nname = \"scanner\"")
        .unwrap();
    assert!(
        above.ends_with("# account = \"other\"\n\n# The scanner beside it.\n"),
        "{above}"
    );
    assert!(
        below.contains("\n\n# What everybody may do.\n[limits]\n"),
        "{below}"
    );
    let lines = changed(&change);
    assert!(lines.iter().all(|line| line.starts_with('+')), "{lines:#?}");
    assert_eq!(change.config.users.len(), 2);
}

#[test]
fn a_second_account_stands_behind_the_first_with_its_rate_limits() {
    let (_folder, path) = file(FILE);
    let mut editor = Editor::open(&path).unwrap();
    let first = editor.find("account", "name", "default").unwrap();
    let secret = editor.text(&first, "client_secret_file").unwrap();

    let account = editor.add("account").unwrap();
    for (key, value) in [
        ("name", "second"),
        ("tenant", "fabrikam.com"),
        ("client_id", "33333333-3333-3333-3333-333333333333"),
        ("client_secret_file", &secret),
        ("mailbox", "post@fabrikam.com"),
    ] {
        editor.set(&account, key, value).unwrap();
    }
    let change = editor.finish().unwrap();

    let names: Vec<_> = change.config.accounts.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["default", "second"]);
    assert_eq!(change.config.accounts[0].pace.concurrency, 2);
    let second = change.after.find("name = \"second\"").unwrap();
    assert!(change.after.find("concurrency = 2").unwrap() < second);
    assert!(second < change.after.find("# The copier in the hall.").unwrap());
}

#[test]
fn a_file_with_comments_only_keeps_them_above_the_first_section() {
    let (folder, path) = file("# Nothing here yet.\n#\n# See the manual.\n");
    let secret = folder.path().join("s").to_str().unwrap().to_owned();
    let mut editor = Editor::open(&path).unwrap();

    let account = editor.add("account").unwrap();
    editor.set(&account, "tenant", "contoso.com").unwrap();
    editor
        .set(
            &account,
            "client_id",
            "22222222-2222-2222-2222-222222222222",
        )
        .unwrap();
    editor.set(&account, "client_secret_file", secret).unwrap();
    editor
        .set(&account, "mailbox", "noreply@contoso.com")
        .unwrap();
    let change = editor.finish().unwrap();

    let expected =
        "# Nothing here yet.\n#\n# See the manual.\n\n[[account]]\ntenant = \"contoso.com\"\n";
    assert!(change.after.starts_with(expected), "{}", change.after);
}

#[test]
fn the_manual_can_be_changed_without_losing_a_line() {
    let manual = include_str!("../../../relay.toml");
    let manual = manual.replace("/etc/graph-relay/client-secret", "SECRET");
    let (_folder, path) = file(&manual);
    let mut editor = Editor::open(&path).unwrap();

    let listener = editor.add("listener").unwrap();
    editor.set(&listener, "address", "127.0.0.1:2526").unwrap();
    editor
        .set(&Table::Section("delivery"), "workers", 4)
        .unwrap();
    let account = Table::Entry("account", 0);
    editor.set(&account, "sign_in", "application").unwrap();
    let change = editor.finish().unwrap();

    let lines = changed(&change);
    assert!(lines.iter().all(|line| line.starts_with('+')), "{lines:#?}");
    assert_eq!(change.config.delivery.workers, 4);
}

#[test]
fn a_removed_user_takes_only_its_own_lines_along() {
    let (_folder, path) = file(FILE);
    let mut editor = Editor::open(&path).unwrap();
    let copier = editor.find("user", "name", "copier").unwrap();

    editor.remove_entry(&copier).unwrap();
    editor
        .remove(&Table::Entry("listener", 0), "authentication")
        .unwrap();
    editor
        .remove(&Table::Section("limits"), "recipients")
        .unwrap();
    editor.remove(&Table::Section("history"), "keep").unwrap();
    let change = editor.finish().unwrap();

    assert!(change.after.contains("# The end.\n"), "{}", change.after);
    assert!(change.after.contains("concurrency = 2\n"));
    assert!(change.config.users.is_empty());
    let gone = change.keys.iter().find(|it| it.key == "name").unwrap();
    assert_eq!(
        (gone.old.as_deref(), gone.new.as_deref()),
        (Some("\"copier\""), None)
    );
}

#[test]
fn a_text_that_the_relay_could_not_use_is_refused_with_all_its_errors() {
    let (_folder, path) = file(FILE);
    let before = fs::read_to_string(&path).unwrap();
    let mut editor = Editor::open(&path).unwrap();

    editor
        .set(&Table::Section("limits"), "recipients", 0)
        .unwrap();
    editor.set(&Table::Top, "hostnam", "x").unwrap();
    let error = editor.finish().unwrap_err().to_string();

    assert!(error.contains("recipients: must be from 1"), "{error}");
    assert!(error.contains("hostnam"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
}

#[test]
fn the_previous_text_is_kept_and_owner_and_mode_stay() {
    let (folder, path) = file(FILE);
    fs::set_permissions(&path, files::permissions(0o640)).unwrap();
    let before = fs::read_to_string(&path).unwrap();
    let owner = fs::metadata(&path).unwrap();

    let mut editor = Editor::open(&path).unwrap();
    editor
        .set(&Table::Section("limits"), "recipients", 7)
        .unwrap();
    let change = editor.finish().unwrap();
    change.write().unwrap();

    assert_eq!(fs::read_to_string(&path).unwrap(), change.after);
    let previous = folder.path().join("relay.toml.previous");
    assert_eq!(fs::read_to_string(&previous).unwrap(), before);
    for path in [&path, &previous] {
        let now = fs::metadata(path).unwrap();
        assert_eq!(files::mode(&now), 0o640);
        assert_eq!(files::owner(&now), files::owner(&owner));
    }
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["relay.toml", "relay.toml.previous", "s"]);
}

#[test]
fn a_file_that_somebody_else_has_changed_is_left_alone() {
    let (folder, path) = file(FILE);
    let mut editor = Editor::open(&path).unwrap();
    let version = editor.version();
    editor
        .set(&Table::Section("limits"), "recipients", 7)
        .unwrap();
    let change = editor.finish().unwrap();
    let theirs = format!("{}# Mine.\n", fs::read_to_string(&path).unwrap());
    fs::write(&path, &theirs).unwrap();

    let error = change.write().unwrap_err();

    assert!(matches!(error, EditError::Changed(_)), "{error}");
    assert!(!error.is_not_permitted());
    assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
    assert!(!folder.path().join("relay.toml.previous").exists());
    assert_ne!(Editor::open(&path).unwrap().version(), version);
}

/// A change of one key of a file.
fn change_of(path: &Path, key: &str) -> Change {
    let mut editor = Editor::open(path).unwrap();
    editor.set(&Table::Section("limits"), key, 7).unwrap();
    editor.finish().unwrap()
}

#[test]
fn of_many_changes_at_the_same_time_one_is_written_and_the_others_are_refused() {
    for _ in 0..20 {
        let (folder, path) = file(FILE);
        let before = fs::read_to_string(&path).unwrap();
        let keys = ["recipients", "received_headers", "connections_per_client"];
        let changes = keys.map(|key| change_of(&path, key));

        let written = std::thread::scope(|scope| {
            let threads = changes.each_ref().map(|it| scope.spawn(|| it.write()));
            threads.map(|thread| thread.join().unwrap())
        });

        let now = fs::read_to_string(&path).unwrap();
        for (change, written) in changes.iter().zip(&written) {
            match written {
                Ok(()) => assert_eq!(now, change.after),
                Err(error) => assert!(matches!(error, EditError::Changed(_)), "{error}"),
            }
        }
        assert_eq!(written.iter().filter(|it| it.is_ok()).count(), 1);
        let previous = folder.path().join("relay.toml.previous");
        assert_eq!(fs::read_to_string(previous).unwrap(), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}

#[test]
fn a_change_waits_for_another_one_that_is_under_way() {
    let (_folder, path) = file(FILE);
    let change = change_of(&path, "recipients");
    let other = fs::File::open(&path).unwrap();
    assert!(files::lock(&other).unwrap());

    let error = change.write().unwrap_err();
    assert!(matches!(error, EditError::Busy(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), change.before);

    drop(other);
    change.write().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), change.after);
}

#[test]
fn no_secret_is_in_what_is_shown_of_a_change() {
    let (_folder, path) = file(FILE);
    let mut editor = Editor::open(&path).unwrap();
    let copier = editor.find("user", "name", "copier").unwrap();
    let hash = editor.text(&copier, "password_hash").unwrap();

    editor.set(&copier, "name", "printer").unwrap();
    editor
        .set(
            &Table::Section("http"),
            "proxy",
            "http://me:canary@proxy:3128",
        )
        .unwrap();
    let change = editor.finish().unwrap();

    let shown = format!("{:?} {:?}", change.keys, change.lines());
    assert!(
        !shown.contains(&hash) && !shown.contains("argon2id"),
        "{shown}"
    );
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("password_hash = ***"), "{shown}");
}

#[test]
fn a_secret_goes_into_a_private_file_of_its_own() {
    let folder = TempDir::new().unwrap();
    let secret = SecretString::from("a~secret");

    let first = keep_secret(folder.path(), "client/secret", &secret).unwrap();
    let second = keep_secret(folder.path(), "client/secret", &secret).unwrap();

    let path = first.path().to_owned();
    assert_ne!(path, second.path());
    assert_eq!(fs::read_to_string(&path).unwrap(), "a~secret");
    assert_eq!(path.parent().unwrap(), folder.path().join("secrets"));
    assert_eq!(files::mode(&fs::metadata(&path).unwrap()), 0o600);

    let other = second.path().to_owned();
    first.named();
    drop(second);
    assert!(path.exists());
    assert!(!other.exists(), "nothing names it");
}

#[test]
fn a_secret_stays_after_a_failed_write_if_relay_toml_may_name_it() {
    let folder = TempDir::new().unwrap();
    let relay_toml = folder.path().join("relay.toml");
    let failed = |text: Option<&str>| {
        let kept = keep_secret(folder.path(), "a", &SecretString::from("a~secret")).unwrap();
        let path = kept.path().to_owned();
        if let Some(text) = text {
            let text = text.replace("SECRET", path.to_str().unwrap());
            fs::write(&relay_toml, text).unwrap();
        }
        kept.named_if_in(&relay_toml);
        path.exists()
    };

    assert!(failed(None), "nobody knows what the file names");
    assert!(failed(Some("client_secret_file = 'SECRET'")));
    assert!(!failed(Some("client_secret_file = 'another'")));
}

#[test]
fn secrets_that_nothing_names_are_forgotten_after_some_time() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let folder = TempDir::new().unwrap();
    let kept = |name: &str| {
        let secret = SecretString::from("a~secret");
        let kept = keep_secret(folder.path(), name, &secret).unwrap();
        let path = kept.path().to_owned();
        kept.named();
        path
    };
    let (named, unnamed) = (kept("named"), kept("unnamed"));
    let texts = [format!("client_secret_file = {named:?}")];
    let written = kept_since(&unnamed).unwrap();
    let at = |days: i64| Timestamp::from_millis(written.millis() + days * 24 * 60 * 60 * 1000 + 1);

    forget_secrets(folder.path(), &texts, &[], at(0), DAY);
    assert!(unnamed.exists());
    forget_secrets(folder.path(), &texts, &[], at(1), DAY);
    assert!(!unnamed.exists());
    forget_secrets(folder.path(), &texts, &[], at(1000), DAY);
    assert!(named.exists());
}

#[test]
fn an_error_names_a_line_of_the_file_or_a_key_that_is_not_in_it_yet() {
    let text = format!("# A comment.\n{FILE}");
    let (_folder, path) = file(&text);
    let mut editor = Editor::open(&path).unwrap();
    let account = Table::Entry("account", 0);
    editor.set(&account, "mailbox", "nonsense").unwrap();

    let error = editor.finish().unwrap_err();

    let EditError::Refused(error) = error else {
        panic!("{error}");
    };
    let place = error.problems[0].place.clone();
    assert_eq!(place, Some(Place::Key("mailbox".to_owned())), "{error}");
    assert!(error.to_string().starts_with("mailbox"), "{error}");
}

#[test]
fn a_section_in_another_form_is_not_touched() {
    let text = FILE.replace("[limits]\nrecipients = 100", "");
    let text = format!("user = []\n{}", text.replace("[[user]]", "[[sender]]"));
    let (_folder, path) = file(&text);
    let mut editor = Editor::open(&path).unwrap();

    assert!(matches!(editor.add("user"), Err(EditError::Form(_))));
    let missing = Table::Entry("account", 7);
    assert!(matches!(
        editor.remove_entry(&missing),
        Err(EditError::Form(_))
    ));
}
