//! The doctor page: what the last examination found, and the button that begins another.

use super::ON;
use super::client::Browser;
use crate::common::Home;
use crate::common::Relay;
use crate::common::stand_in;

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_page_examines_the_relay_and_shows_each_check_with_its_remedy() {
    let graph = stand_in().await;
    let sections = format!("{ON}\n[doctor]\nevery = \"off\"\n");
    let home = Home::with(&graph).sections(&sections).build();
    let relay = Relay::start(&home);
    let data = home.path("data");
    let mut operator = Browser::logged_in_as(&relay, &home, "operator");
    let page = operator.get("/doctor").body;
    assert!(
        page.contains("no examination since the relay was started"),
        "{page}"
    );
    assert!(page.contains("only when asked"), "{page}");
    open_for_all(&data, true);

    let answer = operator.change("/doctor/check", &[]);

    let leads_to = (answer.status, answer.header("location"));
    assert_eq!(leads_to, (303, "/doctor"));
    let page = examined(&relay, &mut operator);
    open_for_all(&data, false);
    assert!(
        page.contains("<span class=\"badge bad\">1 failure</span>"),
        "{page}"
    );
    assert!(page.contains("chmod 700"), "{page}");
    assert!(page.contains(">configuration<"), "{page}");
    assert!(
        page.contains("<span class=\"badge ok\">OK</span>"),
        "{page}"
    );
    // The worst is on top.
    let first = page.split("<tbody>").nth(1).unwrap();
    assert!(first.trim_start()[..200].contains("badge bad"), "{first}");
    assert!(page.contains("Check now"), "{page}");
    assert!(!page.contains("/audit"), "{page}");
    relay.event("audit", |line| line["action"] == "doctor");
    assert!(graph.arrivals().is_empty(), "it sends nothing");

    operator.change("/doctor/check", &[]);
    relay.event("doctor", |line| line["failures"] == 0);
    let page = examined(&relay, &mut operator);
    assert!(page.contains(">0 failures<"), "{page}");
}

fn open_for_all(folder: &std::path::Path, is_open: bool) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if is_open { 0o755 } else { 0o700 };
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The page after the examination.
fn examined(relay: &Relay, browser: &mut Browser) -> String {
    let mut page = String::new();
    relay.wait_until(|| {
        page = browser.get("/doctor").body;
        !page.contains("An examination is running")
    });
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_the_doctor_page_and_cannot_examine() {
    let graph = stand_in().await;
    let home = Home::with(&graph).sections(ON).build();
    let relay = Relay::start(&home);
    let mut viewer = Browser::logged_in_as(&relay, &home, "viewer");

    let page = viewer.get("/doctor");

    assert_eq!(page.status, 200);
    assert!(!page.body.contains("Check now"), "{}", page.body);
    assert_eq!(viewer.change("/doctor/check", &[]).status, 403);
    let mut administrator = Browser::logged_in(&relay, &home);
    assert!(
        administrator
            .get("/doctor")
            .body
            .contains("href=\"/audit\"")
    );
    viewer.language = "de";
    assert!(viewer.get("/doctor").body.contains("Diagnose"));
}
