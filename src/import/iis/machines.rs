//! `RelayIpList`: the machines that may relay, in the binary form in which IIS keeps them.

use std::net::Ipv4Addr;

/// The machines of a RelayIpList in hexadecimal, if it is a list of single IPv4 addresses in the form
/// that scripts write for "Only the list below": a head in which only two numbers differ, the mask
/// 255.255.255.255, and the addresses. Microsoft documents no form, so no other is guessed: it may
/// mean networks, names, or machines that may not relay.
pub(super) fn machines(list: &str) -> Option<Vec<Ipv4Addr>> {
    let digits: Vec<u8> = list
        .bytes()
        .filter(|it| !it.is_ascii_whitespace())
        .collect();
    if digits.is_empty() {
        return Some(Vec::new());
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes = digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>()?;
    let mut numbers = bytes.chunks_exact(4);
    let number = |four: &[u8]| <[u8; 4]>::try_from(four).map(u32::from_le_bytes).ok();
    let head: Vec<u32> = numbers.by_ref().take(20).filter_map(number).collect();
    let address = |four: &[u8]| <[u8; 4]>::try_from(four).ok().map(Ipv4Addr::from);
    let machines = numbers.clone().map(address).collect::<Option<Vec<_>>>()?;
    let count = u32::try_from(machines.len()).ok()?;
    let place = |at: u32| at | 0x8000_0000;
    let expected = [
        [place(24), place(32), place(60), place(68), 1],
        [76, 0, 0, 1, count],
        [2, count.checked_add(1)?, 4, 0, place(76)],
        [0, 0, 0, 0, u32::MAX],
    ];
    (head == expected.concat() && numbers.remainder().is_empty()).then_some(machines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_machines_is_read_and_other_forms_are_not_guessed() {
        // As the scripts write it for 127.0.0.1 and 192.0.2.17.
        let two = "18000080200000803c00008044000080010000004c000000000000000000000001000000\
                   02000000020000000300000004000000000000004c000080000000000000000000000000\
                   00000000ffffffff7f000001c0000211";
        let expected = vec![Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 17)];
        assert_eq!(machines(two), Some(expected));
        assert_eq!(machines(""), Some(Vec::new()));
        // A number of the head that scripts do not write, a network, one address more than it counts.
        let others = [
            two.replacen("010000004c", "000000004c", 1),
            two.replacen("ffffffff", "ffffff00", 1),
            format!("{two}c0000212"),
        ];
        for other in others.iter().map(String::as_str).chain(["zz", "1800"]) {
            assert_eq!(machines(other), None, "{other}");
        }
    }
}
