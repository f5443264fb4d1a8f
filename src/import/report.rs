//! The SMTP AUTH clients report of the Exchange admin centre, as a list of what has to move.
//!
//! The admin centre writes the names of the columns in the language of whoever is signed in. The
//! column with the senders is found by its English name, or else by the addresses in it; that with
//! the numbers of messages only by its name, because percentages are numbers too.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::path::Path;

use super::ImportError;
use super::content;
use crate::mail::Address;

/// A report as it was exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The busiest sender comes first.
    pub senders: Vec<Sender>,
    /// What the report lacks, and what to do about that.
    pub notice: Option<String>,
}

/// Somebody who still sends by SMTP AUTH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The mailbox.
    pub address: Address,
    /// Messages in the time of the report, if it says so.
    pub messages: Option<u64>,
    /// The other columns, with their names, for a person to read.
    pub others: Vec<(String, String)>,
}

/// Where the columns are that count.
struct Columns {
    names: Vec<String>,
    address: usize,
    messages: Option<usize>,
}

/// The names of the column with the senders; the first that is there counts.
const ADDRESS: [&str; 3] = ["Sender address", "SenderAddress", "Sender"];
/// The same for the column with the numbers of messages.
const MESSAGES: [&str; 5] = [
    "Messages sent",
    "MessagesSent",
    "Message count",
    "MessageCount",
    "Messages",
];
/// More names of columns than these are not shown, nor more characters of a name.
const MOST_NAMES: usize = 20;
const LONGEST_NAME: usize = 40;

/// Reads an exported report.
///
/// # Errors
///
/// The file cannot be read, it has no rows, or no column has addresses.
pub fn read(path: &Path) -> Result<Report, ImportError> {
    let wrong = |words: String| ImportError::Content {
        path: path.to_owned(),
        words,
    };
    let text = content(path)?;
    let (delimiter, text) = delimiter(&text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(text.as_bytes());
    let not_csv = |error: csv::Error| wrong(format!("this is not CSV: {error}"));
    let names = reader.headers().map_err(not_csv)?.iter();
    let names: Vec<String> = names.map(|it| it.trim().to_owned()).collect();
    let rows = reader.records().collect::<Result<Vec<_>, _>>();
    let rows = rows.map_err(not_csv)?;
    if rows.is_empty() {
        let words = "this report has no rows: nobody sent by SMTP AUTH in its time, or the export was cut off. \
                     Export it again for a longer time";
        return Err(wrong(words.to_owned()));
    }
    let found = shown(&names);
    let Some(columns) = Columns::of(names, &rows) else {
        return Err(wrong(format!(
            "no column is called {:?}, and not exactly one has addresses. The columns are {found}. Export the SMTP AUTH \
             clients report (Reports, Mail flow), with the Exchange admin centre set to English",
            ADDRESS[0]
        )));
    };
    let notice = columns.messages.is_none().then(|| {
        format!(
            "no column is called {:?}, so the list has no numbers of messages. The columns are {found}. If \
             one of them has the numbers, set the Exchange admin centre to English and export the report \
             again",
            MESSAGES[0]
        )
    });
    let mut senders: Vec<Sender> = Vec::new();
    let mut places = HashMap::new();
    for sender in rows.iter().filter_map(|row| columns.sender(row)) {
        let place = places.entry(sender.address.key()).or_insert(senders.len());
        // The report may have a row for each day.
        match senders.get_mut(*place) {
            Some(known) => {
                let both = known.messages.zip(sender.messages);
                let sum = both.map(|(one, other)| one.saturating_add(other));
                known.messages = sum.or(known.messages).or(sender.messages);
            }
            None => senders.push(sender),
        }
    }
    senders.sort_by_key(|it| std::cmp::Reverse(it.messages));
    Ok(Report { senders, notice })
}

/// The names of columns as a message quotes them.
fn shown(names: &[String]) -> String {
    let start = |name: &String| name.chars().take(LONGEST_NAME).collect::<String>();
    let shown = names.iter().take(MOST_NAMES).map(start);
    let shown: Vec<String> = shown.map(|name| format!("{name:?}")).collect();
    let more = match names.len() > MOST_NAMES {
        true => " and others",
        false => "",
    };
    format!("{}{more}", shown.join(", "))
}

/// What separates the columns, and the text that they are in: `sep=;`, which Excel writes, or else the
/// first line says it.
fn delimiter(text: &str) -> (u8, &str) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let written = first.trim_end_matches('\r').strip_prefix("sep=");
    if let Some([delimiter]) = written.map(str::as_bytes) {
        return (*delimiter, rest);
    }
    let count = |delimiter: &u8| first.bytes().filter(|byte| byte == delimiter).count();
    let known = [b',', b';', b'\t'];
    (known.into_iter().max_by_key(count).unwrap_or(b','), text)
}

impl Columns {
    fn of(names: Vec<String>, rows: &[csv::StringRecord]) -> Option<Self> {
        // The first name of a list counts, not the first column.
        let named = |word: &&str| {
            names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(word))
        };
        let (with_addresses, with_others) = with_addresses(rows);
        let has_addresses = |at: &usize| with_addresses.contains(at);
        let only_addresses: BTreeSet<usize> = &with_addresses - &with_others;
        let address = ADDRESS.iter().filter_map(named).find(has_addresses);
        let alone =
            |columns: &BTreeSet<usize>| columns.first().copied().filter(|_| columns.len() == 1);
        Some(Self {
            address: address
                .or_else(|| alone(&only_addresses))
                .or_else(|| alone(&with_addresses))?,
            messages: MESSAGES.iter().find_map(named),
            names,
        })
    }

    fn sender(&self, row: &csv::StringRecord) -> Option<Sender> {
        let address = address(row, self.address)?;
        let is_other = |at: usize| at != self.address && Some(at) != self.messages;
        let others = row.iter().enumerate();
        let others = others.filter(|(at, value)| is_other(*at) && !value.trim().is_empty());
        let others = others.map(|(at, value)| {
            let name = self.names.get(at).cloned().unwrap_or_default();
            (name, value.trim().to_owned())
        });
        Some(Sender {
            address,
            messages: self.messages.and_then(|at| row.get(at)).and_then(number),
            others: others.collect(),
        })
    }
}

/// The columns in which some value is an address, and those in which some value is anything else.
fn with_addresses(rows: &[csv::StringRecord]) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let (mut addresses, mut others) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        for (at, value) in row.iter().enumerate() {
            if value.trim().is_empty() {
                continue;
            }
            match address(row, at) {
                Some(_) => addresses.insert(at),
                None => others.insert(at),
            };
        }
    }
    (addresses, others)
}

fn address(row: &csv::StringRecord, at: usize) -> Option<Address> {
    row.get(at)?.trim().parse().ok()
}

/// A number with separators of thousands.
fn number(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: impl AsRef<[u8]>) -> Result<Report, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.csv");
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|error| error.to_string())
    }

    fn of(text: impl AsRef<[u8]>) -> Result<Vec<(String, Option<u64>)>, String> {
        let senders = report(text)?.senders.into_iter();
        Ok(senders
            .map(|it| (it.address.to_string(), it.messages))
            .collect())
    }

    #[test]
    fn the_columns_are_found_in_english_and_in_other_languages() {
        let expected = Ok(vec![
            ("a@contoso.com".to_owned(), Some(1203)),
            ("b@contoso.com".to_owned(), Some(4)),
        ]);
        let english = "\u{feff}Sender address,Domain,TLS 1.0,Messages sent\r\nb@contoso.com,contoso.com,0,4\r\na@contoso.com,contoso.com,0,\"1,203\"\r\n";
        assert_eq!(of(english), expected);
        let daily = "Date,SenderAddress,MessageCount\n1,b@contoso.com,4\n1,a@contoso.com,1200\n2,A@contoso.com,3\n";
        assert_eq!(of(daily), expected);
        let german = "Absenderadresse;Domäne;Gesendete Nachrichten\na@contoso.com;contoso.com;7\n";
        assert_eq!(of(german), Ok(vec![("a@contoso.com".to_owned(), None)]));
        assert_eq!(of(format!("sep=;\r\n{german}")), of(german));
        let units = std::iter::once(0xfeff).chain(english.encode_utf16().skip(1));
        let utf_16: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        assert_eq!(of(utf_16), expected);
        assert!(
            of("Name,Value\nx,1\n")
                .unwrap_err()
                .contains("not exactly one has addresses")
        );
        let two = "Kontakt,Absender\nadmin@contoso.com,a@contoso.com\n";
        let error = of(two).unwrap_err();
        assert!(error.contains("not exactly one has addresses"), "{error}");
    }

    #[test]
    fn a_report_with_unknown_names_says_which_columns_it_has_and_what_to_do() {
        let german = "Absenderadresse;Domäne;Gesendete Nachrichten\na@contoso.com;contoso.com;7\n";
        let notice = report(german).unwrap().notice.unwrap();
        let columns =
            "The columns are \"Absenderadresse\", \"Domäne\", \"Gesendete Nachrichten\". ";
        for words in [
            "no column is called \"Messages sent\"",
            columns,
            "to English",
        ] {
            assert!(notice.contains(words), "{words}: {notice}");
        }
        let english = "Sender address,Messages sent\na@contoso.com,7\n";
        assert_eq!(report(english).unwrap().notice, None);

        let error = of("Name,Value\nx,1\n").unwrap_err();
        for words in [
            "no column is called \"Sender address\"",
            "The columns are \"Name\", \"Value\". ",
            "to English",
        ] {
            assert!(error.contains(words), "{words}: {error}");
        }
        let error = of(format!("{}\nx\n", "word,".repeat(10_000))).unwrap_err();
        assert!(error.len() < 1_000, "{error}");
    }

    #[test]
    fn without_a_known_name_the_column_with_nothing_but_addresses_is_that_of_the_senders() {
        let text =
            "Anzeigename,Absenderadresse\nb@contoso.com,a@contoso.com\nScanner,\n,c@contoso.com\n";
        let expected = ["a@contoso.com", "c@contoso.com"].map(|it| (it.to_owned(), None));
        assert_eq!(of(text), Ok(expected.to_vec()));
    }

    #[test]
    fn only_a_column_that_has_addresses_is_that_of_the_senders() {
        let expected = Ok(vec![("a@contoso.com".to_owned(), Some(7))]);
        for text in [
            "Sender,Sender address,Messages\nScanner,a@contoso.com,7\n",
            "Sender,SenderAddress,Messages\nb@contoso.com,a@contoso.com,7\n",
            "Sender address,Mailbox,Messages\nScanner,a@contoso.com,7\n",
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_report_of_twenty_thousand_senders_is_read() {
        let rows = (0..20_000).map(|at| format!("{at},user{at}@contoso.com\n"));
        let rows: String = rows.collect();

        let senders = of(format!("Messages,Sender\n{rows}1,USER0@contoso.com\n")).unwrap();

        assert_eq!(senders.len(), 20_000);
        assert_eq!(
            senders[0],
            ("user19999@contoso.com".to_owned(), Some(19_999))
        );
        assert_eq!(senders[19_998].1, Some(1));
    }

    #[test]
    fn a_report_without_rows_is_an_error_of_its_own() {
        for text in ["", "Sender address,Messages sent\n", "sep=,\n"] {
            let error = of(text).unwrap_err();
            assert!(error.contains("this report has no rows"), "{text}: {error}");
        }
    }
}
