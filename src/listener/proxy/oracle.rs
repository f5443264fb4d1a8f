//! What must hold for every input of `header.rs`, for the fuzzer (`fuzz/`), proptest, and
//! the replay of `fuzz/seeds`. It panics where that does not hold.
//!
//! Not part of the relay: only compiled with `cfg(test)` and `cfg(fuzzing)`.

use std::net::IpAddr;

use super::header::Header;
use super::header::LONGEST;
use super::header::Progress;
use super::header::read;

/// The beginning of a connection from a proxy, which may be anything.
pub fn header(wire: &[u8]) {
    let mut came = 0;
    let header = loop {
        match read(&wire[..came]) {
            Ok(Progress::More(more)) => {
                assert!(more > 0 && came + more <= LONGEST, "{more} after {came}");
                if came == wire.len() {
                    return;
                }
                came = wire.len().min(came + more);
            }
            Ok(Progress::Whole(header)) => break header,
            Err(_) => return,
        }
    };
    let whole = &wire[..came];
    for length in 0..came {
        let part = read(&whole[..length]);
        assert!(
            matches!(part, Ok(Progress::More(more)) if length + more <= came),
            "{length}"
        );
    }
    if whole.starts_with(b"PROXY ") {
        let line = whole.strip_suffix(b"\r\n").expect("a line ends with CR LF");
        assert!(came <= 107 && !line.contains(&b'\r') && !line.contains(&b'\n'));
    } else {
        let length = usize::from(u16::from_be_bytes([whole[14], whole[15]]));
        assert_eq!(came, 16 + length);
    }
    if let Header::Client(client) = header {
        assert_eq!(client, client.to_canonical());
        assert_eq!(client, named(whole).to_canonical());
        assert!(!client.is_unspecified() && !client.is_multicast());
    }
}

/// The address of the client, where it has to be.
fn named(whole: &[u8]) -> IpAddr {
    if whole.starts_with(b"PROXY ") {
        let line = std::str::from_utf8(whole).expect("a line with an address is text");
        let field = line.split(' ').nth(2).expect("an address");
        return field.parse().expect("an address");
    }
    match whole[13] {
        0x11 => IpAddr::from(<[u8; 4]>::try_from(&whole[16..20]).expect("four bytes")),
        _ => IpAddr::from(<[u8; 16]>::try_from(&whole[16..32]).expect("sixteen bytes")),
    }
}
