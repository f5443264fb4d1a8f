//! The files of a spool: a relay that fills them, and the damage that a broken disk or an
//! administrator does.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use rusqlite::Connection;

use super::Home;
use super::Relay;
use super::arrived;
use super::message;
use super::said;
use super::send_many;
use super::send_one;

/// SQLite's default.
pub(crate) const PAGE: usize = 4096;

/// A relay whose messages wait, because Entra does not answer.
pub(crate) fn waiting(graph: &Sandbox, home: &Home) -> Relay {
    graph.inject(Fault {
        times: 100_000,
        ..Fault::at_token(503)
    });
    Relay::start(home)
}

/// Fills a spool with this many plain messages that wait, and stops its relay; returns their ids.
pub(crate) fn stopped_with(graph: &Sandbox, home: &Home, name: &str, count: usize) -> Vec<String> {
    let mut relay = waiting(graph, home);
    let ids = send_many(&relay, name, count);
    assert!(relay.stop().success());
    ids
}

/// Starts the relay again while Entra answers, and waits until so many messages have arrived.
pub(crate) async fn all_arrive(graph: &Sandbox, home: &Home, count: usize) {
    graph.clear_faults();
    let _relay = Relay::start(home);
    arrived(graph, count).await;
}

/// Sends a message that is stored in a file; returns its id.
pub(crate) fn send_large(relay: &Relay) -> String {
    let mut content = message("large", "a@example.org");
    content.push_str(&format!("{:0998}\r\n", 0).repeat(300));
    send_one(relay, &["a@example.org"], &content)
}

pub(crate) fn database(home: &Home) -> PathBuf {
    home.path("data/spool.db")
}

/// Overwrites a page of the database with this byte. SQLite counts them from 1.
pub(crate) fn overwrite_page(database: &Path, number: usize, byte: u8) {
    let mut bytes = fs::read(database).unwrap();
    bytes[(number - 1) * PAGE..number * PAGE].fill(byte);
    fs::write(database, bytes).unwrap();
}

/// Overwrites a leaf page of a table or an index.
pub(crate) fn damage_leaf(home: &Home, name: &str, number: usize) {
    damage_leaf_of(&database(home), name, number);
}

pub(crate) fn damage_leaf_of(database: &Path, name: &str, number: usize) {
    let db = Connection::open(database).unwrap();
    let leaves = "SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = 'leaf' ORDER BY path";
    let mut leaves = db.prepare(leaves).unwrap();
    let leaves = leaves.query_map([name], |row| row.get(0)).unwrap();
    let leaves: Vec<u32> = leaves.collect::<Result<_, _>>().unwrap();
    overwrite_page(database, leaves[number] as usize, 0xFF);
}

/// The newest message that the history no longer has for certain, as the database notes it.
pub(crate) fn newest_forgotten(home: &Home) -> String {
    let db = Connection::open(database(home)).unwrap();
    let note = "SELECT text FROM ordered WHERE key = 'forgotten'";
    db.query_row(note, [], |row| row.get(0)).unwrap()
}

/// The error of a relay that does not start.
pub(crate) fn refused(home: &Home) -> String {
    let output = Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_graph-relay"), "serve", "--config"])
        .arg(&home.config)
        .env_remove("NOTIFY_SOCKET")
        .output()
        .unwrap();
    let words = said(&output);
    assert_eq!(output.status.code(), Some(73), "{words}");
    words
}

/// Moves a file like mv, while no relay runs.
#[expect(
    clippy::disallowed_methods,
    reason = "an administrator's mv, which no crash interrupts"
)]
pub(crate) fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    fs::rename(from, to).unwrap();
}

/// Copies a folder with everything in it except sockets.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &to);
        } else if !path.ends_with("admin.sock") {
            fs::copy(&path, to).unwrap();
        }
    }
}
