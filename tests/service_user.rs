//! What other users than the relay's see of it, and what root is told about the
//! service's user. Needs root, because it takes the rights of other users.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Output;

use common::Home;
use common::Relay;
use common::binary;
use common::said;
use common::stand_in;

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
async fn a_command_without_permission_says_so_and_not_that_nothing_runs() {
    let graph = stand_in().await;
    let home = Home::new(&graph, "");
    mode(home.folder.path(), 0o755);
    let _relay = Relay::start(&home);

    for arguments in [&["status"][..], &["queue", "list"], &["accounts"]] {
        let output = run_as(ANNA, &home, arguments);
        assert_eq!(output.status.code(), Some(77), "{output:?}");
        assert!(said(&output).contains("run this with sudo"), "{output:?}");
        assert!(!said(&output).contains("not running"), "{output:?}");
    }

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
async fn a_secret_without_permission_has_the_remedy_of_whoever_asks() {
    let graph = stand_in().await;
    let home = Home::new(&graph, "");
    mode(home.folder.path(), 0o755);
    let secret = home.path("client-secret");

    let person = said(&run_as(ANNA, &home, &["check"]));
    assert!(person.contains("run this with sudo"), "{person}");
    assert!(!person.contains("chown"), "{person}");

    // The service starts as soon as somebody has let it in.
    let service = run_as(SERVICE, &home, &["serve"]);
    assert_eq!(service.status.code(), Some(75), "{service:?}");
    let line = format!("chown {SERVICE}: {}", secret.display());
    assert!(said(&service).contains(&line), "{service:?}");
}
