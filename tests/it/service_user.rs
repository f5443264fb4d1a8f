//! What other users than the relay's can see of it, and what root is told about the
//! service's user. Needs root, because it uses the rights of other users.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Output;

use crate::common;
use crate::common::Home;
use crate::common::Relay;
use crate::common::binary;
use crate::common::said;
use crate::common::stand_in;
use crate::common::tls::Identity;

/// A person: services have smaller numbers.
const ANNA: u32 = 54_321;
/// What the service runs as.
const SERVICE: u32 = 321;

fn run_as(uid: u32, home: &Home, arguments: &[&str]) -> Output {
    let mut command = binary();
    command.args(arguments).arg("--config").arg(&home.config);
    command.uid(uid).gid(uid).current_dir("/").output().unwrap()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: .ci/run has it"]
async fn a_command_without_permission_does_not_report_a_stopped_relay() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    mode(home.folder.path(), 0o755);
    let _relay = Relay::start(&home);

    let mailq: &[&str] = &["sendmail", "-bp"];
    for arguments in [&["status"], &["queue", "list"][..], &["accounts"], mailq] {
        let output = run_as(ANNA, &home, arguments);
        assert_eq!(output.status.code(), Some(77), "{output:?}");
        assert!(said(&output).contains("run this with sudo"), "{output:?}");
        assert!(!said(&output).contains("not running"), "{output:?}");
    }

    let doctor = run_as(ANNA, &home, &["doctor"]);
    assert_eq!(doctor.status.code(), Some(1), "{doctor:?}");
    let text = said(&doctor).replace('\n', " ");
    assert!(text.contains("with sudo"), "{text}");
    assert!(!text.contains("another program has it"), "{text}");
    assert!(!text.contains("stopped"), "{text}");

    mode(&home.config, 0o640);
    for arguments in [&["status"][..], &["check"], &["send-test", "a@example.org"]] {
        let output = run_as(ANNA, &home, arguments);
        assert_eq!(output.status.code(), Some(77), "{output:?}");
        let said = said(&output);
        assert!(said.contains("belongs to root (mode 0640)"), "{said}");
        assert!(said.contains("run this with sudo"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: .ci/run has it"]
async fn somebody_who_may_read_relay_toml_but_no_secret_sends_mail() {
    let graph = stand_in().await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let listener = format!("[[listener]]\naddress = \"{}\"", free.unwrap());
    let home = Home::with(&graph).sections(&listener).build();
    mode(home.folder.path(), 0o755);
    let relay = Relay::start(&home);

    let output = run_as(ANNA, &home, &["sendmail", "-v", "a@example.org"]);

    assert!(output.status.success(), "{output:?}");
    let accepted = relay.event("accepted", |_| true);
    let from = accepted["from"].as_str().unwrap();
    assert!(from.starts_with(&format!("<{ANNA}@")), "{from}");
    common::arrived(&graph, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: .ci/run has it"]
async fn the_remedy_for_an_unreadable_secret_fits_the_user_who_asks() {
    let graph = stand_in().await;
    let home = Home::new(&graph);
    mode(home.folder.path(), 0o755);
    let secret = home.path("client-secret");

    let person = said(&run_as(ANNA, &home, &["check"]));
    assert!(person.contains("run this with sudo"), "{person}");
    assert!(!person.contains("chown"), "{person}");

    // The service starts as soon as it has permission.
    let service = run_as(SERVICE, &home, &["serve"]);
    assert_eq!(service.status.code(), Some(75), "{service:?}");
    let line = format!("chown {SERVICE}:{SERVICE} {}", secret.display());
    assert!(said(&service).contains(&line), "{service:?}");
}

/// A home whose data folder is the service's, as systemd makes it.
fn of_the_service(graph: &graph_relay_sandbox::Sandbox) -> Home {
    let small = "message_size = \"3 MB\"";
    let home = Home::with(graph)
        .account(common::MAILBOX, "client_secret_expires = 2099-12-31")
        .limits(small)
        .build();
    mode(home.folder.path(), 0o755);
    let data = home.path("data");
    fs::create_dir(&data).unwrap();
    mode(&data, 0o700);
    own(&data);
    own(&home.path("client-secret"));
    home
}

/// A certificate that the relay trusts.
fn authority(home: &Home) -> String {
    Identity::new().section(home);
    let files = fs::read_dir(home.folder.path()).unwrap();
    let read = |path: std::path::PathBuf| fs::read_to_string(path).unwrap_or_default();
    let mut texts = files.map(|file| read(file.unwrap().path()));
    texts
        .find(|text| text.contains("BEGIN CERTIFICATE"))
        .unwrap()
}

fn own(path: &Path) {
    std::os::unix::fs::chown(path, Some(SERVICE), Some(SERVICE)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: .ci/run has it"]
async fn check_and_doctor_as_root_test_what_the_services_user_may_read() {
    let graph = stand_in().await;
    let home = of_the_service(&graph);
    let secret = home.path("client-secret");
    let shown = |name: &str| home.path(name).display().to_string();
    let folder = home.folder.path().display().to_string();
    let good = fs::read_to_string(&home.config).unwrap();
    let hidden = home.path("hidden");
    fs::create_dir(&hidden).unwrap();
    fs::copy(&secret, hidden.join("secret")).unwrap();
    own(&hidden.join("secret"));
    mode(&hidden, 0o700);
    std::os::unix::fs::symlink(hidden.join("secret"), home.path("link")).unwrap();
    let elsewhere = |name: &str| good.replace(&shown("client-secret"), &shown(name));
    let authority = authority(&home);
    let open = || {
        mode(&home.config, 0o644);
        own(&secret);
        fs::write(&home.config, &good).unwrap();
    };

    let root_owns = || std::os::unix::fs::chown(&secret, Some(0), Some(0)).unwrap();
    let cases: [(&dyn Fn(), String); 5] = [
        (
            &root_owns,
            format!("chown {SERVICE}:{SERVICE} {}", shown("client-secret")),
        ),
        (
            &|| mode(&home.config, 0o600),
            format!("chgrp {SERVICE} {0}; chmod g+r {0}", home.config.display()),
        ),
        (
            &|| fs::write(&home.config, elsewhere("hidden/secret")).unwrap(),
            format!("chgrp {SERVICE} {folder}/hidden; chmod g+x {folder}/hidden"),
        ),
        (
            &|| fs::write(&home.config, elsewhere("link")).unwrap(),
            format!("chmod g+x {folder}/hidden"),
        ),
        (
            &|| {
                fs::write(home.path("ca.pem"), &authority).unwrap();
                mode(&home.path("ca.pem"), 0o600);
                let ca = format!("{good}[http]\nca_file = \"{}\"\n", shown("ca.pem"));
                fs::write(&home.config, ca).unwrap();
            },
            format!("chmod g+r {}", shown("ca.pem")),
        ),
    ];
    for (close, fix) in cases {
        open();
        let check = common::run(&home, &["check"]);
        assert!(check.status.success(), "{check:?}");
        let doctor = common::run(&home, &["doctor"]);
        assert!(doctor.status.success(), "{doctor:?}");

        close();

        is_told_with(&fix, &home);
    }
}

/// Root is told correctly that the service would not start.
fn is_told_with(fix: &str, home: &Home) {
    let check = common::run(home, &["check"]);
    assert_eq!(check.status.code(), Some(78), "{fix}: {check:?}");
    assert!(said(&check).contains(fix), "{fix}: {check:?}");
    assert!(!said(&check).contains("correct"), "{check:?}");
    let doctor = common::run(home, &["doctor"]);
    assert_eq!(doctor.status.code(), Some(1), "{fix}: {doctor:?}");
    assert!(said(&doctor).contains(fix), "{fix}: {doctor:?}");
    let service = run_as(SERVICE, home, &["check"]);
    assert_ne!(service.status.code(), Some(0), "{fix}: {service:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: .ci/run has it"]
async fn doctor_finds_files_left_by_a_relay_started_by_hand() {
    let graph = stand_in().await;
    let home = of_the_service(&graph);
    let data = home.path("data");
    let mut relay = Relay::start(&home);
    let warning = relay.event("config_warning", |_| true);
    let shown = data.display();
    let fix = format!("chown -R {SERVICE}:{SERVICE} {shown}");
    assert!(
        warning["what"].as_str().unwrap().contains(&fix),
        "{warning}"
    );
    relay.stop();
    // Everything except a file deep down.
    let chown = std::process::Command::new("chown")
        .args(["-R", &format!("{SERVICE}:{SERVICE}")])
        .arg(&data)
        .status();
    assert!(chown.unwrap().success());
    assert!(common::run(&home, &["doctor"]).status.success());
    fs::write(data.join("content/left"), "x").unwrap();

    let doctor = common::run(&home, &["doctor"]);

    assert_eq!(doctor.status.code(), Some(1), "{doctor:?}");
    let said = said(&doctor);
    assert!(said.contains("content/left belongs to user root"), "{said}");
    assert!(said.contains(&fix), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: .ci/run has it"]
async fn a_secret_made_unreadable_by_root_is_reported_before_the_next_token() {
    let graph = stand_in().await;
    let home = of_the_service(&graph);
    let mut command = binary();
    command.arg("serve").arg("--config").arg(&home.config);
    let _relay = Relay::start_by(command.uid(SERVICE).gid(SERVICE));
    let before = common::run(&home, &["status"]);
    assert!(before.status.success(), "{before:?}");

    let secret = home.path("client-secret");
    fs::remove_file(&secret).unwrap();
    common::write_private(&secret, "a-new-secret");

    for command in ["status", "doctor"] {
        let output = common::run(&home, &[command]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = said(&output);
        assert!(
            said.contains("has errors: the relay keeps its old configuration"),
            "{said}"
        );
        let fix = format!("chown {SERVICE}:{SERVICE} {}", secret.display());
        assert!(said.contains(&fix), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: .ci/run has it"]
async fn a_pickup_folder_that_the_service_may_not_use_is_named_with_the_fix() {
    let graph = stand_in().await;
    let home = of_the_service(&graph);
    let folder = home.path("pickup");
    fs::create_dir(&folder).unwrap();
    let shown = folder.display().to_string();
    home.append(&format!("\n[[pickup]]\nfolder = \"{shown}\"\n"));
    let told = |fix: &str| {
        for command in ["check", "doctor"] {
            let output = common::run(&home, &[command]);
            assert!(output.status.success(), "{output:?}");
            let text = said(&output).replace('\n', " ");
            assert!(text.contains(fix), "{fix}: {text}");
        }
    };

    mode(&folder, 0o755);
    told(&format!("setfacl -m u:{SERVICE}:rwx {shown}"));
    mode(&folder, 0o1777);
    told(&format!("chmod -t {shown}"));
    mode(&folder, 0o777);
    let check = common::run(&home, &["check"]);
    assert!(!said(&check).contains("pickup:"), "{check:?}");
    fs::remove_dir(&folder).unwrap();
    told("create it: sudo install -d");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: .ci/run has it"]
async fn a_file_that_the_service_may_not_read_waits_and_goes_out_when_it_may() {
    let graph = stand_in().await;
    let home = of_the_service(&graph);
    let folder = home.path("pickup");
    fs::create_dir(&folder).unwrap();
    mode(&folder, 0o777);
    home.append(&format!(
        "\n[[pickup]]\nfolder = \"{}\"\n",
        folder.display()
    ));
    for name in ["1.eml", "2.eml"] {
        fs::write(folder.join(name), common::message(name, "a@example.org")).unwrap();
    }
    mode(&folder.join("1.eml"), 0o600);
    let mut command = binary();
    command.args(["serve", "--config"]).arg(&home.config);
    let relay = Relay::start_by(command.uid(SERVICE).gid(SERVICE));

    let waits = relay.event("pickup_waits", |_| true);
    assert!(
        waits["reason"]
            .to_string()
            .contains("1.eml: Permission denied"),
        "{waits}"
    );
    // The other one does not wait for it.
    common::arrived(&graph, 1).await;
    let status = said(&common::run(&home, &["status"])).replace('\n', " ");
    assert!(
        status.contains("messages in a pickup folder wait"),
        "{status}"
    );
    assert!(!folder.join("bad").exists());

    mode(&folder.join("1.eml"), 0o644);
    relay.event("pickup_goes_on", |_| true);
    common::arrived(&graph, 2).await;
}
