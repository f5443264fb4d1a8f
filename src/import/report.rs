//! The SMTP AUTH clients report of the Exchange admin centre, as a list of what has to move.
//!
//! Its columns are found by their English names, or else by what is in them, because the admin
//! centre writes them in the language of whoever is signed in.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::path::Path;

use super::ImportError;
use super::content;
use crate::mail::Address;

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

/// Reads an exported report; the busiest sender comes first.
///
/// # Errors
///
/// The file cannot be read, it has no rows, or no column has addresses.
pub fn read(path: &Path) -> Result<Vec<Sender>, ImportError> {
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
    let names = reader.headers().map_err(not_csv)?.clone();
    let rows = reader.records().collect::<Result<Vec<_>, _>>();
    let rows = rows.map_err(not_csv)?;
    if rows.is_empty() {
        let words = "this report has no rows: nobody sent by SMTP AUTH in its time, or the export was cut off. \
                     Export it again for a longer time";
        return Err(wrong(words.to_owned()));
    }
    let Some(columns) = Columns::of(&names, &rows) else {
        let words = "no column has addresses: export the SMTP AUTH clients report from the Exchange \
                     admin centre (Reports, Mail flow)";
        return Err(wrong(words.to_owned()));
    };
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
    Ok(senders)
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
    fn of(names: &csv::StringRecord, rows: &[csv::StringRecord]) -> Option<Self> {
        const ADDRESS: [&str; 3] = ["Sender address", "SenderAddress", "Sender"];
        const MESSAGES: [&str; 5] = [
            "Messages sent",
            "MessagesSent",
            "Message count",
            "MessageCount",
            "Messages",
        ];
        let names: Vec<String> = names.iter().map(|it| it.trim().to_owned()).collect();
        // The first name of a list counts, not the first column.
        let named = |word: &&str| {
            names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(word))
        };
        let with_addresses = with_addresses(rows);
        let has_addresses = |at: &usize| with_addresses.contains(at);
        let address = ADDRESS.iter().filter_map(named).find(has_addresses);
        let messages = MESSAGES.iter().find_map(named);
        Some(Self {
            address: address.or_else(|| (0..names.len()).find(has_addresses))?,
            messages,
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

/// The columns in which some row has an address.
fn with_addresses(rows: &[csv::StringRecord]) -> BTreeSet<usize> {
    let mut columns = BTreeSet::new();
    for row in rows {
        for at in 0..row.len() {
            if !columns.contains(&at) && address(row, at).is_some() {
                columns.insert(at);
            }
        }
    }
    columns
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

    fn of(text: impl AsRef<[u8]>) -> Result<Vec<(String, Option<u64>)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.csv");
        std::fs::write(&path, text).unwrap();
        let senders = read(&path).map_err(|error| error.to_string())?;
        Ok(senders
            .into_iter()
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
                .contains("no column has addresses")
        );
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
