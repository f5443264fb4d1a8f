//! The command line of Sendmail, which is not that of other programs: `-oi` is one option,
//! `-bs` another, `-odb` and hundreds more are for a mail server and say nothing to a relay.
//!
//! [`canonical`] turns it into one that has only the options of
//! [`Options`](super::Options), each as a word of its own. Options that Sendmail and Postfix
//! know and that change nothing here are left out, unknown ones too: a program that sends
//! mail must not fail because of `-G`.

use crate::platform::strings::from_bytes;
use std::ffi::OsStr;
use std::ffi::OsString;

/// Options with a value that mean something here.
const VALUES: &[u8] = b"fFbNRV";
/// Options with a value that mean nothing here: encoding, configuration file, hop count, tag
/// of the log, message, protocol, log file, and the mode of submission.
const IGNORED_VALUES: &[u8] = b"BChLMpXA";
/// Those whose value, if they have one, is in the same word: error mode, debug level.
const IGNORED_REST: &[u8] = b"edD";
/// Options without a value that mean something here.
const FLAGS: &[u8] = b"tiv";

/// The names under which this program is Sendmail, and what each means in its options.
/// Some versions of mail(1) start it as `send-mail`, whatever its file is called.
const NAMES: [(&str, &[&str]); 4] = [
    ("sendmail", &[]),
    ("send-mail", &[]),
    ("mailq", &["-bp"]),
    ("newaliases", &["-bi"]),
];

/// A command line as `graph-relay` is to read it: where it is called as Sendmail or has
/// `sendmail` as its command, with Sendmail's options in their canonical form.
pub(in crate::cli) fn understood(arguments: Vec<OsString>) -> Vec<OsString> {
    let name = arguments.first().map(std::path::Path::new);
    let name = name.and_then(|path| path.file_name());
    let called = NAMES
        .iter()
        .find(|(known, _)| name == Some(OsStr::new(known)));
    let (implied, given): (&[&str], &[OsString]) = match (called, arguments.as_slice()) {
        (Some((_, implied)), [_, given @ ..]) => (implied, given),
        (None, [_, command, given @ ..]) if command == "sendmail" => (&[], given),
        _ => return arguments,
    };
    let implied = implied.iter().map(OsString::from);
    let all: Vec<OsString> = implied.chain(given.iter().cloned()).collect();
    let mut understood: Vec<OsString> = vec!["graph-relay".into(), "sendmail".into()];
    understood.extend(canonical(&all));
    understood
}

/// Sendmail's options as `Options` has them: options first, then `--` and the recipients.
fn canonical(given: &[OsString]) -> Vec<OsString> {
    let mut options = Vec::new();
    let mut recipients = Vec::new();
    let mut given = given.iter();
    while let Some(argument) = given.next() {
        match argument.as_encoded_bytes() {
            b"--" => recipients.extend(given.by_ref().map(|it| readable(it))),
            [b'-', b'-', ..] => {
                options.push(argument.clone());
                // `--relay HOST:PORT`
                if !argument.as_encoded_bytes().contains(&b'=') && argument != "--help" {
                    options.extend(given.next().cloned());
                }
            }
            [b'-', cluster @ ..] if !cluster.is_empty() => {
                read(cluster, &mut given, &mut options);
            }
            _ => recipients.push(readable(argument)),
        }
    }
    options.push("--".into());
    options.extend(recipients);
    options
}

/// One argument of options: `-ti`, `-oi`, `-froot`, `-f root`.
fn read<'a>(
    cluster: &[u8],
    given: &mut impl Iterator<Item = &'a OsString>,
    options: &mut Vec<OsString>,
) {
    let mut rest = cluster;
    while let [letter, behind @ ..] = rest {
        let mut value = || match behind {
            [] => given.next().cloned(),
            _ => Some(from_bytes(behind.to_vec())),
        };
        match letter {
            // Sendmail and Postfix have -r for -f.
            b'r' => add(b'f', value(), options),
            b'o' => set(value().unwrap_or_default().as_encoded_bytes(), options),
            b'O' => set_long(&value().unwrap_or_default().to_string_lossy(), options),
            // -q is to deliver what waits; -qINTERVAL is a daemon's.
            b'q' => options.push("-q".into()),
            // Postfix's newaliases.
            b'I' => add(b'b', Some("i".into()), options),
            letter if VALUES.contains(letter) => add(*letter, value(), options),
            letter if IGNORED_VALUES.contains(letter) => drop(value()),
            letter if IGNORED_REST.contains(letter) => {}
            letter => {
                if FLAGS.contains(letter) {
                    options.push(from_bytes(vec![b'-', *letter]));
                }
                rest = behind;
                continue;
            }
        }
        return;
    }
}

/// An option that has lost its value is left out.
fn add(letter: u8, value: Option<OsString>, options: &mut Vec<OsString>) {
    let option = from_bytes(vec![b'-', letter]);
    options.extend(
        value
            .into_iter()
            .flat_map(|value| [option.clone(), readable(&value)]),
    );
}

/// As UTF-8: a full name in an old charset must not keep a message from being sent.
fn readable(value: &OsStr) -> OsString {
    value.to_string_lossy().into_owned().into()
}

/// `-oX` and `-oXVALUE`: options of Sendmail's configuration file in their old form.
fn set(option: &[u8], options: &mut Vec<OsString>) {
    match option {
        b"i" => options.push("-i".into()),
        [b'A', path @ ..] if !path.is_empty() => aliases(&from_bytes(path.to_vec()), options),
        _ => {}
    }
}

/// `-O Name=Value`: the same in their new form.
fn set_long(option: &str, options: &mut Vec<OsString>) {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    match name.to_ascii_lowercase().as_str() {
        "ignoredots" if !value.eq_ignore_ascii_case("false") => options.push("-i".into()),
        "aliasfile" => aliases(OsStr::new(value), options),
        _ => {}
    }
}

fn aliases(path: &OsStr, options: &mut Vec<OsString>) {
    options.extend(["--aliases".into(), path.to_owned()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> String {
        let arguments = line.split(' ').map(|word| match word {
            "''" => "".into(),
            word => word.into(),
        });
        let understood = understood(arguments.collect());
        let words = understood.iter().map(|word| match word.to_str().unwrap() {
            "" => "''",
            word => word,
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// A command line, and what is read from it.
    const CALLS: &[(&str, &str)] = &[
        // cron, anacron, at
        (
            "/usr/sbin/sendmail -FCronDaemon -i -B8BITMIME -oem root",
            "-F CronDaemon -i -- root",
        ),
        (
            "/usr/sbin/sendmail -FAnacron -odi root",
            "-F Anacron -- root",
        ),
        ("/usr/sbin/sendmail -i root", "-i -- root"),
        // mdadm, logwatch, PHP, git send-email
        ("/usr/sbin/sendmail -t", "-t --"),
        ("sendmail -t -i", "-t -i --"),
        ("sendmail -ti", "-t -i --"),
        (
            "sendmail -t -i -fshop@contoso.com",
            "-t -i -f shop@contoso.com --",
        ),
        (
            "sendmail -f a@b.example -i c@d.example e@f.example",
            "-f a@b.example -i -- c@d.example e@f.example",
        ),
        // mutt, bsd-mailx, s-nail
        (
            "sendmail -oem -oi -f a@b.example -- c@d.example",
            "-i -f a@b.example -- c@d.example",
        ),
        ("send-mail -i root", "-i -- root"),
        (
            "sendmail -i -r a@b.example -- -odd",
            "-i -f a@b.example -- -odd",
        ),
        // the null sender, and an option behind a recipient
        ("sendmail -f '' root", "-f '' -- root"),
        ("sendmail root -f <> -t", "-f <> -t -- root"),
        // modes, and options that are a daemon's
        ("sendmail -bs", "-b s --"),
        ("sendmail root -f", "-- root"),
        ("sendmail -I", "-b i --"),
        ("sendmail -bd -q30m", "-b d -q --"),
        (
            "sendmail -bm -G -U -n -x -Am -L tag -X /tmp/log -p ESMTP:host -C /etc/x.cf -d0.1 -em -e root",
            "-b m -- root",
        ),
        (
            "sendmail -N failure,delay -R hdrs -V id root",
            "-N failure,delay -R hdrs -V id -- root",
        ),
        (
            "sendmail -OIgnoreDots=True -O AliasFile=/a -oA/b -O Timeout.ident=0 root",
            "-i --aliases /a --aliases /b -- root",
        ),
        ("mailq", "-b p --"),
        ("/usr/bin/newaliases", "-b i --"),
        (
            "graph-relay sendmail --relay 127.0.0.1:25 --help",
            "--relay 127.0.0.1:25 --help --",
        ),
        (
            "graph-relay sendmail --relay=127.0.0.1:25 root",
            "--relay=127.0.0.1:25 -- root",
        ),
    ];

    #[test]
    fn callers_command_lines_are_understood() {
        for (line, expected) in CALLS {
            let expected = format!("graph-relay sendmail {expected}");
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn a_name_in_an_old_charset_is_understood() {
        let name = from_bytes(b"-FJ\xFCrgen".to_vec());
        let understood = understood(vec!["sendmail".into(), name, "root".into()]);
        assert_eq!(understood[3], "J\u{FFFD}rgen");
    }

    #[test]
    fn other_commands_are_left_alone() {
        for line in [
            "graph-relay",
            "graph-relay queue list -t",
            "/usr/bin/graph-relay -V",
        ] {
            assert_eq!(words(line), line);
        }
    }
}
