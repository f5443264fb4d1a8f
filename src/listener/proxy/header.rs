//! The header of the PROXY protocol, in versions 1 and 2, as HAProxy's proxy-protocol.txt
//! defines it.
//!
//! Promises: only a header that matches the definition is read. [`read`] never asks for more
//! bytes than the header has, so what follows it (TLS, or commands) stays unread, and never
//! for more than 1040 bytes in all. Who may send a header is decided in `mod.rs`.
//!
//! The crates ppp and proxy-header were considered. Both leave it to the caller not to read
//! beyond the header, accept ports such as `+25`, and refuse a LOCAL header whose family they
//! do not know; what would be left of them here is shorter than their use.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// What a header says about its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::listener) enum Header {
    /// The proxy passes on the connection of a client at this address.
    Client(IpAddr),
    /// The connection is the proxy's own, for example a health check (LOCAL), or the proxy
    /// does not know whose it is (UNKNOWN, UNSPEC).
    Own,
}

/// How far a header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::listener) enum Progress {
    /// It has at least this many more bytes.
    More(usize),
    /// It is complete.
    Whole(Header),
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::listener) enum Malformed {
    /// They begin with something else.
    #[error("the connection began without a PROXY protocol header")]
    Missing,
    /// They begin like one.
    #[error("the PROXY protocol header is malformed: {0}")]
    Broken(&'static str),
}

/// The most bytes of a header of version 1, with its line end.
const LONGEST_LINE: usize = 107;
/// The fewest: `PROXY UNKNOWN`, with its line end.
const SHORTEST_LINE: usize = 15;
/// How a header of version 1 begins.
const TEXT: &[u8] = b"PROXY ";
/// How one of version 2 begins.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, and the length of the rest.
const FIXED: usize = 16;
/// The most bytes after these: the largest addresses have 216, and the additional fields that
/// load balancers send have a few hundred.
const LONGEST_REST: usize = 1024;
/// The most bytes of a header.
#[cfg(any(test, fuzzing))]
pub(in crate::listener) const LONGEST: usize = FIXED + LONGEST_REST;

/// Reads a header. `bytes` is what has come of the connection so far, and no more than this
/// function asked for.
///
/// # Errors
///
/// The bytes do not begin with a header.
pub(super) fn read(bytes: &[u8]) -> Result<Progress, Malformed> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(one, other)| one == other);
    if begins(SIGNATURE) && !bytes.is_empty() {
        binary(bytes)
    } else if begins(TEXT) {
        text(bytes)
    } else {
        Err(Malformed::Missing)
    }
}

/// Version 1: a line.
fn text(bytes: &[u8]) -> Result<Progress, Malformed> {
    if let Some(missing @ 1..) = SHORTEST_LINE.checked_sub(bytes.len()) {
        return Ok(Progress::More(missing));
    }
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let (line, end) = bytes.split_at(bytes.iter().position(is_end).unwrap_or(bytes.len()));
    let missing = match end {
        b"\r\n" => 0,
        b"\r" => 1,
        b"" => 2,
        _ => return Err(Malformed::Broken("its line does not end with CR LF")),
    };
    if bytes.len() + missing > LONGEST_LINE {
        return Err(Malformed::Broken("its line is longer than 107 bytes"));
    }
    if missing > 0 {
        return Ok(Progress::More(missing));
    }
    line_of_text(line).map(Progress::Whole)
}

fn line_of_text(line: &[u8]) -> Result<Header, Malformed> {
    let not_text = |_| Malformed::Broken("its line is not text");
    let line = std::str::from_utf8(line).map_err(not_text)?;
    let mut fields = line.split(' ').skip(1);
    let family = fields.next();
    if family == Some("UNKNOWN") {
        // Whatever follows has to be ignored.
        return Ok(Header::Own);
    }
    let fields: Vec<&str> = fields.collect();
    let [from, to, from_port, to_port] = fields.as_slice() else {
        return Err(Malformed::Broken(
            "its line does not have two addresses and two ports",
        ));
    };
    if ![from_port, to_port].iter().all(|port| is_port(port)) {
        return Err(Malformed::Broken("a port is not a number up to 65535"));
    }
    let from = match family {
        Some("TCP4") => both::<Ipv4Addr>(from, to)?,
        Some("TCP6") => both::<Ipv6Addr>(from, to)?,
        Some(_) | None => return Err(Malformed::Broken("its family is not TCP4 or TCP6")),
    };
    client(from)
}

/// The first of two addresses, if both are of one family.
fn both<Address: FromStr + Into<IpAddr>>(from: &str, to: &str) -> Result<IpAddr, Malformed> {
    let wrong = |_| Malformed::Broken("an address is not one of its family");
    let _to: Address = to.parse().map_err(|_| ()).map_err(wrong)?;
    let from: Address = from.parse().map_err(|_| ()).map_err(wrong)?;
    Ok(from.into())
}

/// Without a sign, and without leading zeros.
fn is_port(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain && text.parse::<u16>().is_ok() && (text == "0" || !text.starts_with('0'))
}

/// Version 2: a block of bytes.
fn binary(bytes: &[u8]) -> Result<Progress, Malformed> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Progress::More(FIXED - bytes.len()));
    };
    let [.., kind, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if kind >> 4 != 2 {
        return Err(Malformed::Broken("its version is not 2"));
    }
    if length > LONGEST_REST {
        return Err(Malformed::Broken("it is longer than 1040 bytes"));
    }
    let is_own = match kind & 0xf {
        0 => true,
        1 => false,
        _ => return Err(Malformed::Broken("its command is not LOCAL or PROXY")),
    };
    let least = match family {
        // The family of the proxy's own connections has to be ignored.
        _ if is_own => 0,
        0x00 => 0,
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        0x31 | 0x32 => 216,
        _ => return Err(Malformed::Broken("its address family is unknown")),
    };
    if length < least {
        return Err(Malformed::Broken("it is shorter than its addresses"));
    }
    if let Some(missing @ 1..) = length.checked_sub(rest.len()) {
        return Ok(Progress::More(missing));
    }
    let header = match (family, rest.first_chunk::<4>(), rest.first_chunk::<16>()) {
        _ if is_own => Ok(Header::Own),
        (0x11, Some(v4), _) => client(Ipv4Addr::from(*v4).into()),
        (0x21, _, Some(v6)) => client(Ipv6Addr::from(*v6).into()),
        // UDP and Unix sockets: a receiver that does not support them treats them as unknown.
        _ => Ok(Header::Own),
    };
    header.map(Progress::Whole)
}

/// A client's address has to be one that a client can have.
fn client(address: IpAddr) -> Result<Header, Malformed> {
    let address = address.to_canonical();
    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if address.is_unspecified() || address.is_multicast() || is_broadcast {
        return Err(Malformed::Broken("no client can have its address"));
    }
    Ok(Header::Client(address))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::listener::oracle;

    /// Takes from the wire what is asked for, and no more; what it read and how much of it.
    fn taken(wire: &[u8]) -> (Result<Progress, Malformed>, usize) {
        let mut came = 0;
        loop {
            match read(&wire[..came]) {
                Ok(Progress::More(more)) => {
                    assert!(more > 0 && came + more <= LONGEST, "{more} after {came}");
                    if came == wire.len() {
                        return (Ok(Progress::More(more)), came);
                    }
                    came = wire.len().min(came + more);
                }
                other => return (other, came),
            }
        }
    }

    fn of(wire: &[u8]) -> Result<Progress, Malformed> {
        taken(wire).0
    }

    fn client_at(address: &str) -> Result<Progress, Malformed> {
        Ok(Progress::Whole(Header::Client(address.parse().unwrap())))
    }

    const OWN: Result<Progress, Malformed> = Ok(Progress::Whole(Header::Own));

    fn version_2(kind: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[kind, family], &length, rest].concat()
    }

    fn v4(address: [u8; 4], more: usize) -> Vec<u8> {
        [
            &address[..],
            &[192, 0, 2, 1, 0x12, 0x67, 0, 25],
            &vec![4; more],
        ]
        .concat()
    }

    fn v6(address: &str) -> Vec<u8> {
        let address: Ipv6Addr = address.parse().unwrap();
        [&address.octets()[..], &[0; 20]].concat()
    }

    #[test]
    fn lines_of_version_1_name_the_client() {
        for (line, expected) in [
            ("TCP4 192.0.2.7 192.0.2.1 4711 25", client_at("192.0.2.7")),
            ("TCP4 192.0.2.7 192.0.2.1 0 65535", client_at("192.0.2.7")),
            (
                "TCP6 2001:DB8::7 2001:db8::1 1 25",
                client_at("2001:db8::7"),
            ),
            ("TCP6 ::ffff:192.0.2.7 ::1 1 25", client_at("192.0.2.7")),
            ("TCP4 127.0.0.1 127.0.0.1 1 25", client_at("127.0.0.1")),
            ("UNKNOWN", OWN),
            ("UNKNOWN ffff::1 x y  z", OWN),
        ] {
            let line = format!("PROXY {line}\r\n");
            assert_eq!(of(line.as_bytes()), expected, "{line}");
        }
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1";
        let line = format!("PROXY UNKNOWN {longest} {longest} 65535 65535\r\n");
        assert_eq!((line.len(), of(line.as_bytes())), (LONGEST_LINE, OWN));
    }

    #[test]
    fn lines_that_differ_from_version_1_are_malformed() {
        for line in [
            "TCP4 192.0.2.7 192.0.2.1 4711",
            "TCP4 192.0.2.7 192.0.2.1 4711 25 ",
            "TCP4  192.0.2.7 192.0.2.1 4711 25",
            "TCP4 192.0.2.07 192.0.2.1 4711 25",
            "TCP4 192.0.2.7 192.0.2.1 +11 25",
            "TCP4 192.0.2.7 192.0.2.1 04711 25",
            "TCP4 192.0.2.7 192.0.2.1 65536 25",
            "TCP4 192.0.2.7 192.0.2.1  25",
            "TCP4 2001:db8::7 2001:db8::1 4711 25",
            "TCP6 192.0.2.7 192.0.2.1 4711 25",
            "TCP6 fe80::1%eth0 fe80::2 4711 25",
            "TCP4 0.0.0.0 192.0.2.1 4711 25",
            "TCP4 255.255.255.255 192.0.2.1 4711 25",
            "TCP6 ff02::1 2001:db8::1 4711 25",
            "TCP4 192.0.2.7 192.0.2.1 4711 25\u{e9}",
            "TCP5 192.0.2.7 192.0.2.1 4711 25",
            "tcp4 192.0.2.7 192.0.2.1 4711 25",
            "UDP4 192.0.2.7 192.0.2.1 4711 25",
            "UNKNOWNx",
            "UNKNOWN\u{0}",
            "",
        ] {
            let line = format!("PROXY {line}\r\nQUIT\r\nQUIT\r\n");
            assert!(
                matches!(of(line.as_bytes()), Err(Malformed::Broken(_))),
                "{line:?}"
            );
        }
        for line in [
            &b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\n"[..],
            b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\r\n",
            b"PROXY UNKNOWN \xff\r\n",
            &[b"PROXY UNKNOWN ", &b"x".repeat(92)[..], b"\r\n"].concat(),
            &[b"PROXY UNKNOWN ", &b"x".repeat(500)[..]].concat(),
        ] {
            assert!(matches!(of(line), Err(Malformed::Broken(_))), "{line:?}");
        }
        assert_eq!(read(b""), Ok(Progress::More(SHORTEST_LINE)));
        for other in [
            &b"EHLO client.example\r\n"[..],
            b"\x16\x03\x01",
            b"proxy ",
            b"\r\n\r\nQ",
        ] {
            assert_eq!(of(other), Err(Malformed::Missing), "{other:?}");
        }
    }

    #[test]
    fn blocks_of_version_2_name_the_client() {
        let local = version_2(0x20, 0x00, &[]);
        for (block, expected) in [
            (
                version_2(0x21, 0x11, &v4([192, 0, 2, 7], 0)),
                client_at("192.0.2.7"),
            ),
            (
                version_2(0x21, 0x11, &v4([192, 0, 2, 7], 1012)),
                client_at("192.0.2.7"),
            ),
            (
                version_2(0x21, 0x21, &v6("2001:db8::7")),
                client_at("2001:db8::7"),
            ),
            (
                version_2(0x21, 0x21, &v6("::ffff:192.0.2.7")),
                client_at("192.0.2.7"),
            ),
            (version_2(0x21, 0x12, &v4([192, 0, 2, 7], 0)), OWN),
            (version_2(0x21, 0x31, &[b'/'; 216]), OWN),
            (version_2(0x21, 0x00, &[1, 2, 3]), OWN),
            (version_2(0x20, 0x11, &v4([192, 0, 2, 7], 0)), OWN),
            (version_2(0x20, 0xff, &[0; 3]), OWN),
            (local, OWN),
        ] {
            assert_eq!(of(&block), expected, "{block:?}");
        }
    }

    #[test]
    fn blocks_that_differ_from_version_2_are_malformed() {
        let whole = v4([192, 0, 2, 7], 0);
        for block in [
            version_2(0x11, 0x11, &whole),
            version_2(0x31, 0x11, &whole),
            version_2(0x22, 0x11, &whole),
            version_2(0x21, 0x41, &whole),
            version_2(0x21, 0x10, &whole),
            version_2(0x21, 0x13, &whole),
            version_2(0x21, 0x11, &whole[..11]),
            version_2(0x21, 0x21, &whole),
            version_2(0x21, 0x31, &whole),
            version_2(0x21, 0x11, &v4([0, 0, 0, 0], 0)),
            version_2(0x21, 0x11, &v4([192, 0, 2, 7], 1013)),
            version_2(0x20, 0x00, &[0; 65535]),
        ] {
            assert!(matches!(of(&block), Err(Malformed::Broken(_))), "{block:?}");
        }
    }

    #[test]
    fn the_oracle_agrees_with_the_seeds_of_the_fuzzer() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/proxy");
        let files: Vec<_> = std::fs::read_dir(root).unwrap().collect();
        assert!(files.len() > 3);
        for file in files {
            oracle::header(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }

    fn a_header() -> impl Strategy<Value = Vec<u8>> {
        let ports = (any::<u16>(), any::<u16>());
        let text4 = (any::<[u8; 4]>(), ports).prop_map(|(ip, (from, to))| {
            let ip = Ipv4Addr::from(ip);
            format!("PROXY TCP4 {ip} {ip} {from} {to}\r\n").into_bytes()
        });
        let text6 = (any::<[u8; 16]>(), ports).prop_map(|(ip, (from, to))| {
            let ip = Ipv6Addr::from(ip);
            format!("PROXY TCP6 {ip} {ip} {from} {to}\r\n").into_bytes()
        });
        let block = (
            0x20..=0x21_u8,
            any::<u8>(),
            prop::collection::vec(any::<u8>(), 0..300),
        );
        let block = block.prop_map(|(kind, family, rest)| version_2(kind, family, &rest));
        prop_oneof![text4, text6, block]
    }

    proptest! {
        #[test]
        fn the_oracle_agrees_with_headers(header in a_header()) {
            oracle::header(&header);
        }

        #[test]
        fn exactly_the_header_is_read_whatever_follows(
            header in a_header(),
            rest in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let alone = taken(&header);
            let (read, length) = taken(&[&header[..], &rest[..]].concat());

            prop_assert_eq!(alone.0, read);
            match read {
                Ok(Progress::Whole(_)) => prop_assert_eq!(length, header.len()),
                Ok(Progress::More(_)) => prop_assert!(false, "it never ends"),
                Err(_) => prop_assert!(length <= header.len()),
            }
        }

        #[test]
        fn the_oracle_agrees_with_any_bytes(
            begin in prop_oneof![Just(TEXT), Just(SIGNATURE), Just(&b""[..])],
            rest in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            oracle::header(&[begin, &rest[..]].concat());
        }
    }
}
