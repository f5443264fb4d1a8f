//! Address fields as people and programs write them, and how they are read.

use proptest::prelude::*;

use crate::mime::Header;
use crate::mime::Item;
use crate::mime::List;
use crate::mime::field_of;

fn list_of(value: &[u8]) -> List {
    let head = [b"To: ", value, b"\r\n\r\n"].concat();
    let header = Header::split(&head, true).unwrap();
    header.fields[0].list().clone()
}

fn addresses(value: &str) -> Vec<Option<String>> {
    let items = list_of(value.as_bytes()).items.into_iter();
    items.map(|item| item.address.map(String::from)).collect()
}

fn written(value: &str) -> Vec<String> {
    let list = list_of(value.as_bytes());
    list.items.iter().map(Item::written).collect()
}

#[test]
fn items_keep_their_spelling() {
    let list = list_of(b"\"Doe, J\" <j@d.e>, =?utf-8?q?M=C3=BC?= <m@d.e>,\r\n x@d.e");

    let texts: Vec<&str> = list.items.iter().map(|item| item.text.as_str()).collect();
    assert_eq!(
        texts,
        ["\"Doe, J\" <j@d.e>", "=?utf-8?q?M=C3=BC?= <m@d.e>", "x@d.e"]
    );
    assert!(list.is_settled());
}

#[test]
fn groups_are_their_members() {
    assert_eq!(addresses("undisclosed-recipients:;"), []);
    for group in ["team: a@b, C <c@d>;, e@f", "team: a@b, C, D <c@d>;, e@f"] {
        let members = [Some("a@b".into()), Some("c@d".into()), Some("e@f".into())];
        assert_eq!(addresses(group), members);
        assert!(list_of(group.as_bytes()).is_lossy());
    }
}

#[test]
fn only_lists_without_groups_are_plain() {
    let plain = |value: &str| list_of(value.as_bytes()).plain;

    assert!(plain("a@b, \"x: y; z\" <c@d>"));
    assert!(plain("undisclosed-recipients:;") && plain("Undisclosed recipients: ;"));
    for groups in [
        "team: a@b;",
        "a@b; c@d",
        "eve@e: a@b",
        "\"x\" <eve@e> : a@b",
        "x:a@b,eve@e:;",
        "a@b,",
        ",a@b",
        "a@b, ,c@d",
        "",
        ":;",
    ] {
        assert!(!plain(groups), "{groups}");
    }
}

/// A field, and its rewritten form.
const IN_BRACKETS: &[(&str, &str)] = &[
    ("Help @ Contoso <a@b.c>", "\"Help @ Contoso\" <a@b.c>"),
    ("user@host via Web <a@b.c>", "\"user@host via Web\" <a@b.c>"),
    ("web@192.0.2.1 <a@b.c>", "\"web@192.0.2.1\" <a@b.c>"),
    ("x@y.z <a@b.c>", "\"x@y.z\" <a@b.c>"),
    ("A@B.c <a@b.c>", "a@b.c"),
    ("'a@b.c' <a@b.c>", "a@b.c"),
    ("<a@b.c> <a@b.c>", "<a@b.c>"),
    ("John (john@x.y) <a@b.c>", "\"John (john@x.y)\" <a@b.c>"),
    (
        "John (floor 2 (west)) <a@b.c>",
        "\"John (floor 2 (west))\" <a@b.c>",
    ),
    ("(floor 2 (west)) <a@b.c>", "\"floor 2 (west)\" <a@b.c>"),
    (
        "Scanner (2nd floor <a@b.c>",
        "\"Scanner (2nd floor\" <a@b.c>",
    ),
    (
        "Scanner 2nd) floor <a@b.c>",
        "\"Scanner 2nd) floor\" <a@b.c>",
    ),
    ("=?utf-8?Q?ops@host?= <a@b.c>", "\"ops@host\" <a@b.c>"),
    ("=?UTF-8?Q?Doe,_John?= <a@b.c>", "\"Doe, John\" <a@b.c>"),
    ("=?UTF-8?Q?Doe, John?= <a@b.c>", "\"Doe, John\" <a@b.c>"),
    ("=?utf-8?Q?a(b?= <a@b.c>", "\"a(b\" <a@b.c>"),
    ("=?utf-8?Q?a(b)?= <a@b.c>", "\"a(b)\" <a@b.c>"),
    ("=?utf-8?Q?a;b:c?= <a@b.c>", "\"a;b:c\" <a@b.c>"),
    (
        "=?utf-8?Q?x_<x@y.z>?= <a@b.c>",
        "=?utf-8?b?eCA8eEB5Lno+?= <a@b.c>",
    ),
    (
        "Berg, =?utf-8?Q?P=C3=A5l?= <a@b.c>",
        "=?utf-8?b?QmVyZywgUMOlbA==?= <a@b.c>",
    ),
    ("Contoso, Inc. <a@b.c>", "\"Contoso, Inc.\" <a@b.c>"),
    (
        "Contoso,, Inc., HQ <a@b.c>",
        "\"Contoso,, Inc., HQ\" <a@b.c>",
    ),
    (
        "Contoso @ HQ, Inc. <a@b.c>",
        "\"Contoso @ HQ, Inc.\" <a@b.c>",
    ),
    ("Backup: server1 <a@b.c>", "\"Backup: server1\" <a@b.c>"),
    (
        "Backup: disk; full <a@b.c>",
        "\"Backup: disk; full\" <a@b.c>",
    ),
    ("Backup:server1 <a@b.c>", "\"Backup:server1\" <a@b.c>"),
    ("Alert [host:8080] <a@b.c>", "\"Alert [host:8080]\" <a@b.c>"),
    ("Scanner; floor 2 <a@b.c>", "\"Scanner; floor 2\" <a@b.c>"),
    ("[PROD] Nagios <a@b.c>", "\"[PROD] Nagios\" <a@b.c>"),
    (
        "CONTOSO\\scanner <a@b.c>",
        "=?utf-8?b?Q09OVE9TT1xzY2FubmVy?= <a@b.c>",
    ),
    (
        "\"CONTOSO\\scanner\" <a@b.c>",
        "=?utf-8?b?Q09OVE9TT1xzY2FubmVy?= <a@b.c>",
    ),
    (".NET Service <a@b.c>", "\".NET Service\" <a@b.c>"),
    ("Scanner\u{7}HQ <a@b.c>", "\"Scanner HQ\" <a@b.c>"),
    ("\"Scanner\u{b}HQ\" <a@b.c>", "\"Scanner HQ\" <a@b.c>"),
    (
        "=?utf-8?q?x=0D=0ABcc=3A_d=40e=2Ef?= <a@b.c>",
        "\"x Bcc: d@e.f\" <a@b.c>",
    ),
    ("\"=?utf-8?q?x=0D=0Ay?= z\" <a@b.c>", "\"x y z\" <a@b.c>"),
    ("x: =?utf-8?q?y?=. <a@b.c>", "\"x: y.\" <a@b.c>"),
    (".. =?utf-8?q?y?= <a@b.c>", "\".. y\" <a@b.c>"),
    ("HQ, =?utf-8?q?x=0D=0Ay?= <a@b.c>", "\"HQ, x y\" <a@b.c>"),
    ("\"Scanner <a@b.c>", "\"Scanner\" <a@b.c>"),
    ("Scanner\" <a@b.c>", "\"Scanner\" <a@b.c>"),
    (
        "Monitor 24\" <a@b.c>",
        "=?utf-8?b?TW9uaXRvciAyNCI=?= <a@b.c>",
    ),
    ("\"Foo\"Bar <a@b.c>", "=?utf-8?b?IkZvbyJCYXI=?= <a@b.c>"),
    ("\"C:\\\" <a@b.c>", "=?utf-8?b?Qzpc?= <a@b.c>"),
    ("Scanner <mailto:a@b.c>", "\"Scanner\" <a@b.c>"),
    ("Scanner [mailto:a@b.c]", "\"Scanner\" <a@b.c>"),
    ("<a@b.c> Scanner", "\"Scanner\" <a@b.c>"),
    ("<a@b.c> x@y.z", "\"x@y.z\" <a@b.c>"),
    ("A < B <a@b.c>", "=?utf-8?b?QSA8IEI=?= <a@b.c>"),
    ("A <x> <a@b.c>", "\"A x\" <a@b.c>"),
    ("Scanner <<a@b.c>>", "\"Scanner\" <a@b.c>"),
    ("Scanner <a@b.c", "\"Scanner\" <a@b.c>"),
    ("Scanner <\ta@b.c\u{a0}>", "\"Scanner\" <a@b.c>"),
    (
        "\u{a0}Scanner\u{a0}HQ\u{a0}<a@b.c>",
        "\"Scanner HQ\" <a@b.c>",
    ),
    ("Scanner <Scanner a@b.c>", "\"Scanner\" <a@b.c>"),
    (
        "B\u{fc}ro, Nord <a@b.c>",
        "=?utf-8?b?QsO8cm8sIE5vcmQ=?= <a@b.c>",
    ),
];

#[test]
fn the_address_in_brackets_counts_whatever_its_name_is() {
    for &(value, expected) in IN_BRACKETS {
        assert_eq!(written(value), [expected], "{value}");
        assert!(!list_of(value.as_bytes()).is_lossy(), "{value}");
    }
}

#[test]
fn without_brackets_the_one_plain_address_counts() {
    for (value, expected) in [
        ("Scanner a@b.c", "\"Scanner\" <a@b.c>"),
        ("a@b.c Scanner", "\"Scanner\" <a@b.c>"),
        ("Doe, John a@b.c", "\"Doe, John\" <a@b.c>"),
        ("web@host for a@b.c", "\"web@host for\" <a@b.c>"),
        ("\"a@b.c\"", "a@b.c"),
        ("'a@b.c'", "a@b.c"),
        ("\u{201c}a@b.c\u{201d}", "a@b.c"),
        ("[a@b.c]", "a@b.c"),
        ("mailto:a@b.c", "a@b.c"),
        ("a@b.c\u{a0}", "a@b.c"),
        ("\u{feff}\u{202a}a@b.c\u{202c}", "a@b.c"),
        ("a@b.c.", "a@b.c"),
        ("a@b.c>", "a@b.c"),
        ("\"Scanner <a@b.c>\"", "\"Scanner\" <a@b.c>"),
        ("\"Scanner\" \"<a@b.c>\"", "\"Scanner\" <a@b.c>"),
        ("Scanner (a@b.c)", "\"Scanner\" <a@b.c>"),
        ("(Scanner <a@b.c>)", "\"Scanner\" <a@b.c>"),
        ("a@b.c (or x@y.z)", "\"or x@y.z\" <a@b.c>"),
        ("=?utf-8?q?Scanner_=3Ca=40b.c=3E?=", "\"Scanner\" <a@b.c>"),
    ] {
        assert_eq!(written(value), [expected], "{value}");
        assert!(!list_of(value.as_bytes()).is_lossy(), "{value}");
    }
}

#[test]
fn every_item_of_a_list_has_its_own_address_and_name() {
    for (value, expected) in [
        (
            "Contoso, Inc. <a@b.c>, Help @ X <d@e.f>, g@h.i, Doe, J <k@l.m>",
            &[
                "\"Contoso, Inc.\" <a@b.c>",
                "\"Help @ X\" <d@e.f>",
                "g@h.i",
                "\"Doe, J\" <k@l.m>",
            ][..],
        ),
        (
            "Monitor 24\" <a@b.c>, Monitor 27\" <d@e.f>",
            &[
                "=?utf-8?b?TW9uaXRvciAyNCI=?= <a@b.c>",
                "=?utf-8?b?TW9uaXRvciAyNyI=?= <d@e.f>",
            ],
        ),
        ("A <a@b.c> B <d@e.f>", &["A <a@b.c>", "B <d@e.f>"]),
        ("a@b.c d@e.f", &["a@b.c", "d@e.f"]),
        ("a@b.c; B <d@e.f", &["a@b.c", "\"B\" <d@e.f>"]),
        ("\"a@b.c\", \"d@e.f\"", &["a@b.c", "d@e.f"]),
        ("\"a@b.c\", D, E <d@e.f>", &["a@b.c", "\"D, E\" <d@e.f>"]),
        (
            "team: A, B <a@b.c>; C, D <d@e.f>",
            &["\"A, B\" <a@b.c>", "\"C, D\" <d@e.f>"],
        ),
        ("root, a@b.c", &["root", "a@b.c"]),
        ("A <a@b.c>, Inc.", &["A <a@b.c>", "Inc."]),
    ] {
        assert_eq!(written(value), expected, "{value}");
    }
}

#[test]
fn an_ambiguous_item_has_no_address() {
    for doubtful in [
        "a@b (x) c@d",
        "a@b.c or d@e.f",
        "a(c@d)@b",
        "a(x)@b",
        "<(x)a@b>",
        "x <a@b(x).c>",
        "<a@b.c d@e.f>",
        "root",
        "@",
        "a@",
        "@b.c",
        "a@b..c",
        "http://a@b.c/",
        "=?utf-8?q?=C3=BC=40b.c?=",
    ] {
        assert_eq!(addresses(doubtful), [None], "{doubtful}");
    }
}

#[test]
fn the_spellings_of_old_programs_are_understood() {
    for old in [
        "root@host (Cron Daemon)",
        "(Cron the daemon) root@host",
        "(Cron (the daemon)) root@host",
        "root@host <root@host>",
        "\"x@y\" <root@host>",
        "< root@host >",
        "Cron Daemon<root@host>",
        "<@relay:root@host>",
    ] {
        assert_eq!(addresses(old), [Some("root@host".into())], "{old}");
    }
}

#[test]
fn a_name_is_the_phrase_or_the_comment() {
    let name = |text: &str| list_of(text.as_bytes()).items[0].name();

    for (text, expected) in [
        ("Zabbix HQ", "\"Zabbix HQ\""),
        ("Zabbix, HQ", "\"Zabbix, HQ\""),
        ("root", "\"root\""),
        ("root (Cron Daemon)", "\"Cron Daemon\""),
        ("root@host (Cron Daemon)", "\"Cron Daemon\""),
        ("(Cron Daemon) root@host", "\"Cron Daemon\""),
        ("Zabbix HQ (prod)", "\"Zabbix HQ (prod)\""),
        ("Zabbix <root@localhost>", "\"Zabbix\""),
        ("Zabbix (prod) <root@localhost>", "\"Zabbix (prod)\""),
        ("Zabbix <>", "\"Zabbix\""),
        ("=?utf-8?q?Z=C3=BC?= <root@host>", "=?utf-8?q?Z=C3=BC?="),
    ] {
        assert_eq!(name(text).as_deref(), Some(expected), "{text}");
    }
    for none in [
        "root@localhost",
        "<root@localhost>",
        "root@localhost <Root@localhost>",
    ] {
        assert_eq!(name(none), None, "{none}");
    }
}

#[test]
fn an_item_written_again_is_ascii() {
    let written = |value: &[u8]| list_of(value).items[0].written();

    for (value, expected) in [
        (&b"\"Doe, J\"  <j@d.e> (x)"[..], "\"Doe, J\"  <j@d.e> (x)"),
        (b"Z\xfcrich <a@b>", "=?utf-8?b?WsO8cmljaA==?= <a@b>"),
        (b"Z\xc3\xbcrich <a@b>", "=?utf-8?b?WsO8cmljaA==?= <a@b>"),
        (b"a@b (Z\xfcrich)", "=?utf-8?b?WsO8cmljaA==?= <a@b>"),
        (b"Z\x92rich <a@b>", "=?utf-8?b?WuKAmXJpY2g=?= <a@b>"),
        (b"Z <\"a\"@b>", "\"Z\" <a@b>"),
        ("<\u{fc}@b>".as_bytes(), "<\u{fc}@b>"),
        (
            "M\u{fc} <\u{fc}@b>".as_bytes(),
            "=?utf-8?b?TcO8?= <\u{fc}@b>",
        ),
        (
            "M <a@m\u{fc}.example>".as_bytes(),
            "\"M\" <a@xn--m-eha.example>",
        ),
    ] {
        assert_eq!(written(value), expected);
    }
    assert_eq!(list_of(b"To: \xfc@b").items[0].address, None);
}

#[test]
fn a_person_reads_every_name_in_the_same_way() {
    let read = |value: &[u8]| list_of(value).items[0].readable_name();

    for (value, expected) in [
        (&b"=?x-nobody?Q?y?= <a@b.c>"[..], "y"),
        (b"=?utf-8?b?R3LDvMOfZQ?= <a@b.c>", "Gr\u{fc}\u{df}e"),
        (b"=?utf-8?q?Gr=C3?= =?utf-8?q?=BC?= <a@b.c>", "Gr\u{fc}"),
        (b"=?ibm437?B?R3KB4WU=?= <a@b.c>", "Gr\u{fc}\u{df}e"),
        (b"=?iso-8859-1*de?Q?B=FCro?= <a@b.c>", "B\u{fc}ro"),
        (b"\"=?utf-8?q?=C3=BC?=\" <a@b.c>", "\u{fc}"),
        (b"HQ (Z\xfcrich) <a@b.c>", "HQ (Z\u{fc}rich)"),
        (b"Doe, J <a@b.c>", "Doe, J"),
        (b"\"CONTOSO\\scanner\" <a@b.c>", "CONTOSO\\scanner"),
        (b"a@b.c (Cron (the daemon))", "Cron (the daemon)"),
    ] {
        let shown = value.escape_ascii();
        assert_eq!(read(value).as_deref(), Some(expected), "{shown}");
    }
    assert_eq!(read(b"A@b.c <a@B.c>"), None);
}

proptest! {
    #[test]
    fn a_name_that_is_written_again_reads_as_it_did(
        pieces in prop::collection::vec(prop_oneof![
            "[ -~]{0,6}",
            "\\PC{0,4}",
            prop::sample::select(vec![
                "=?utf-8?q?Doe,_J?=", "=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "=?x?b?w7w?=", "\"x\"",
                "(y)", "\\", "\"\\s\"", "24\"", " ", "[p]", ".", "=?utf-8?q?=22=0D=0A?=",
            ]).prop_map(str::to_owned),
        ], 0..6),
    ) {
        let value = format!("{} <a@b.c>", pieces.concat());
        let list = list_of(value.as_bytes());
        if let [item] = &*list.items && !item.is_lossy() {
            let written = list_of(item.written().as_bytes());

            let names: Vec<_> = written.items.iter().map(Item::readable_name).collect();
            prop_assert_eq!(names, [item.readable_name()], "{} {}", value, item.written());
            prop_assert!(written.is_settled(), "{} {}", value, item.written());
        }
    }
}

#[test]
fn only_a_name_that_is_too_long_is_lost() {
    let long = format!("{}, B <a@b.c>", "x".repeat(300));

    assert!(list_of(long.as_bytes()).is_lossy());
    assert_eq!(written(&long), ["a@b.c"]);
}

#[test]
fn a_written_field_is_folded() {
    assert_eq!(
        field_of("Bcc", ["a@b", "c@d"]),
        b"Bcc: a@b,\r\n c@d\r\n".to_vec()
    );
}
