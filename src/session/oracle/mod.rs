//! What must hold for every input of the session, in one place for the fuzzer (`fuzz/`),
//! proptest, and the replay of `fuzz/seeds` and `fuzz/findings`. An oracle panics where
//! it does not hold.
//!
//! Not part of the relay: only compiled with `cfg(test)` and `cfg(fuzzing)`.

mod command;
mod data;
mod dialog;
mod settings;

pub use self::command::command;
pub use self::data::data;
pub use self::dialog::session;
use super::Reply;

/// RFC 5321 4.5.3.1.5, with the line end.
const LONGEST_REPLY_LINE: usize = 512;

/// The bytes of a reply, after its form was checked: RFC 5321 4.2.1 and 4.5.3.1.5, RFC
/// 2034 4.
fn wire(reply: &Reply) -> String {
    let mut out = Vec::new();
    reply.write_to(&mut out);
    let text = String::from_utf8(out).expect("a reply is UTF-8");
    assert!(text.is_ascii(), "{text:?} is not ASCII");
    assert!((200..600).contains(&reply.code), "{text:?} has no code");
    assert!(text.ends_with("\r\n"), "{text:?} does not end");
    let lines: Vec<&str> = text.split_inclusive("\r\n").collect();
    for (at, line) in lines.iter().enumerate() {
        assert!(line.len() <= LONGEST_REPLY_LINE, "{line:?} is too long");
        let line = line.trim_end_matches("\r\n");
        assert!(!line.contains(char::is_control), "{line:?} is two lines");
        let separator = if at + 1 == lines.len() { ' ' } else { '-' };
        let begin = format!("{}{separator}", reply.code);
        assert!(line.starts_with(&begin), "{text:?} is not one reply");
    }
    if let Some(status) = reply.status {
        let class = format!("{}.", reply.code / 100);
        let status = status.to_string();
        assert!(status.starts_with(&class), "{text:?} is of two classes");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tries every file of a fuzz target.
    fn replay(target: &str, oracle: fn(&[u8])) {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        for kind in ["seeds", "findings"] {
            let Ok(files) = std::fs::read_dir(root.join(kind).join(target)) else {
                assert_eq!(kind, "findings", "{target} has no seeds");
                continue;
            };
            for file in files {
                let path = file.unwrap().path();
                println!("{}", path.display()); // Shown if it does not hold.
                oracle(&std::fs::read(path).unwrap());
            }
        }
    }

    #[test]
    fn seeds_and_findings_of_command_hold() {
        replay("command", command);
    }

    #[test]
    fn seeds_and_findings_of_data_hold() {
        replay("data", data);
    }

    #[test]
    fn seeds_and_findings_of_session_hold() {
        replay("session", session);
    }

    /// Bytes that matter to the reader of DATA, and others.
    fn tricky() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            Just(b'\r'),
            Just(b'\n'),
            Just(b'.'),
            Just(b'a'),
            Just(0),
            any::<u8>()
        ];
        proptest::collection::vec(byte, 0..60)
    }

    /// What clients say, and what they might say.
    fn line() -> impl Strategy<Value = String> {
        let verb =
            "(ehlo|HELO|Mail|MAIL FROM:|RCPT TO:|AUTH PLAIN|AUTH LOGIN|DATA|NOOP|[A-Z]{1,5})";
        let word = "( |<|>|\"|@|:|a@b|<a@b\\.c>|SIZE=|=|12| ENVID=| RET=FULL| NOTIFY=NEVER| ORCPT=rfc822;|\\+2B|SMTPUTF8|AGEAYg==|HTTP/|\\\\|\u{fc}|[ -~]){0,8}";
        (verb, word).prop_map(|(verb, word)| format!("{verb}{word}"))
    }

    proptest! {
        #[test]
        fn any_data_holds(pieces in "[ -~]{0,9}", stream in tricky(), end in "(\r\n\\.\r\nQUIT\r\n)?") {
            data(&[pieces.as_bytes(), b"\n", &stream, end.as_bytes()].concat());
        }

        #[test]
        fn any_message_that_a_client_stuffs_holds(lines in proptest::collection::vec("[ -~]{0,20}", 0..20)) {
            data(format!("\n{}\r\n.\r\n", lines.join("\r\n")).as_bytes());
        }

        #[test]
        fn any_command_holds(line in line()) {
            command(line.as_bytes());
        }

        #[test]
        fn any_session_holds(settings in "[a-zA-Z0-9]{0,4}", lines in proptest::collection::vec(line(), 0..12)) {
            session(format!("{settings}\nEHLO x\n{}\n", lines.join("\n")).as_bytes());
        }
    }
}
