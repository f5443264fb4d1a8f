//! Load on a relay, and the memory that it costs.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use super::Relay;
use super::message;
use super::send_one;

/// The relay's memory stays below this for every client, in kB. An ordinary run of the
/// debug build takes a fifth of it.
pub(crate) const BOUND: u64 = 150_000;

/// The peak of the relay's memory, in kB.
pub(crate) fn peak(relay: &Relay) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", relay.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let figure = line.unwrap().split_whitespace().nth(1);
    figure.unwrap().parse().unwrap()
}

/// Asserts that the relay's memory stayed below its bound, and prints it.
pub(crate) fn assert_bounded(relay: &Relay, what: &str) {
    let peak = peak(relay);
    println!("{what}: {peak} kB at most");
    assert!(peak < BOUND, "{what}: {peak} kB");
}

/// Sends another client's message, which must be accepted at any time.
pub(crate) fn bystander(relay: &Relay) {
    let content = message("bystander", "a@example.org");
    send_one(relay, &["a@example.org"], &content);
}

/// Writes a piece repeatedly from another thread, while this one reads to the end, so
/// that neither waits for the other. If the relay closes the connection, that is an
/// ordinary end.
pub(crate) fn flood(stream: &mut TcpStream, piece: &[u8], times: usize) -> String {
    let mut writer = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..times {
                if writer.write_all(piece).is_err() {
                    return;
                }
            }
            // The other end may have closed it.
            drop(writer.shutdown(std::net::Shutdown::Write));
        });
        let mut heard = Vec::new();
        // The bytes before a reset count.
        drop(stream.read_to_end(&mut heard));
        String::from_utf8(heard).unwrap()
    })
}
