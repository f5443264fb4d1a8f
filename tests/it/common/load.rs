//! Load on a relay, and what it costs.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use super::Relay;
use super::message;
use super::send_one;

/// Whatever a client does, the relay's memory stays below this, in kB. An
/// ordinary run of the debug build takes a fifth of it.
pub(crate) const BOUND: u64 = 150_000;

/// The most memory that the relay had so far, in kB.
pub(crate) fn peak(relay: &Relay) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", relay.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let figure = line.unwrap().split_whitespace().nth(1);
    figure.unwrap().parse().unwrap()
}

/// Asserts that the relay's memory stayed within its bound, and prints it.
pub(crate) fn assert_bounded(relay: &Relay, what: &str) {
    let peak = peak(relay);
    println!("{what}: {peak} kB at most");
    assert!(peak < BOUND, "{what}: {peak} kB");
}

/// Another client's message: it is taken, whatever goes on beside.
pub(crate) fn bystander(relay: &Relay) {
    let content = message("bystander", "a@example.org");
    send_one(relay, &["a@example.org"], &content);
}

/// Writes a piece so many times from a thread of its own, while this one reads
/// to the end: neither waits for the other. A connection that the relay ends
/// is an end like any other.
pub(crate) fn flood(stream: &mut TcpStream, piece: &[u8], times: usize) -> String {
    let mut writer = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..times {
                if writer.write_all(piece).is_err() {
                    return;
                }
            }
            // It may have been closed by the other end.
            drop(writer.shutdown(std::net::Shutdown::Write));
        });
        let mut heard = Vec::new();
        // What came before a reset counts.
        drop(stream.read_to_end(&mut heard));
        String::from_utf8(heard).unwrap()
    })
}
