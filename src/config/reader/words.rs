//! An error of serde or of the TOML parser in the words of relay.toml: what to write, not
//! which type of Rust or which token was expected.

/// The numbers of Rust.
const NUMBERS: [&str; 12] = [
    "u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "isize", "f32", "f64",
];

/// Translates the message of an error.
pub(super) fn in_words(message: &str) -> String {
    let (found, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    match expected {
        number if NUMBERS.contains(&number) => not_this_number(found),
        "a boolean" => "write true or false, without quotes".to_owned(),
        "a sequence" => "write a list, in brackets like [\"...\"]".to_owned(),
        "a string" | "path string" => not_a_text(found),
        _ => message
            .replace("wanted string or table", "write a text in quotes")
            .replace("unknown variant", "unknown value"),
    }
}

fn not_this_number(found: &str) -> String {
    match found.strip_prefix("invalid value: integer ") {
        Some(number) if number.starts_with("`-") => "must not be negative".to_owned(),
        Some(_) => "the number is too large".to_owned(),
        None => "write a whole number without quotes, like 5".to_owned(),
    }
}

fn not_a_text(found: &str) -> String {
    let number = found.strip_prefix("invalid type: integer ");
    match number.map(|number| number.trim_matches('`')) {
        Some(number) => format!("write it in quotes: \"{number}\""),
        None if found.ends_with("sequence") => "write one text in quotes, not a list".to_owned(),
        None => "write a text in quotes".to_owned(),
    }
}

/// Translates a message of the TOML parser. Most of its messages are clear and stay.
pub(super) fn of_syntax(message: &str) -> &str {
    let (found, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    match (found, expected) {
        // An address or a network begins like a number.
        ("string values must be quoted" | "invalid float", _) => "write a text in quotes",
        ("invalid boolean", _) => "write true or false in small letters, or a text in quotes",
        ("invalid basic string", "`\"`") => "the \" at the end of the text is missing",
        ("invalid literal string", "`'`") => "the ' at the end of the text is missing",
        ("key with no value", _) => "write = and a value after the key",
        ("invalid unquoted key", _) => {
            "write = behind a key; put a key in quotes if it has more than a to z, numbers, - and _"
        }
        ("unclosed table", _) => "the ] at the end of the heading is missing",
        ("unclosed array table", _) => "the ]] at the end of the heading is missing",
        ("unclosed array", _) => "the ] at the end of the list is missing",
        ("unclosed inline table", _) => "the } at the end of the group is missing",
        ("unexpected leading zero", _) => "write the number without 0 before it",
        // A single backslash, as in a path of Windows.
        ("missing escaped value" | "too few unicode value digits", _) => {
            "write \\\\ for each \\, or put the text in single quotes"
        }
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    #[test]
    fn no_type_of_rust_is_named() {
        for (message, words) in [
            (
                "invalid type: string \"4\", expected usize",
                "write a whole number without quotes, like 5",
            ),
            (
                "invalid type: floating point `1.5`, expected u32",
                "write a whole number without quotes, like 5",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "must not be negative",
            ),
            (
                "invalid value: integer `5000000000`, expected u32",
                "the number is too large",
            ),
            (
                "invalid type: string \"yes\", expected a boolean",
                "write true or false, without quotes",
            ),
            (
                "invalid type: integer `5`, expected a string",
                "write it in quotes: \"5\"",
            ),
            (
                "invalid type: boolean `true`, expected a string",
                "write a text in quotes",
            ),
            (
                "unknown variant `accept`, expected `normalise` or `refuse`",
                "unknown value `accept`, expected `normalise` or `refuse`",
            ),
        ] {
            assert_eq!(in_words(message), words, "{message}");
        }
    }

    #[test]
    fn common_slips_are_answered_with_the_remedy() {
        for (line, words) in [
            ("x = 127.0.0.1:25", "write a text in quotes"),
            ("x = [10.0.0.0/8]", "write a text in quotes"),
            ("x = relay@example.org", "write a text in quotes"),
            (
                "x = True",
                "write true or false in small letters, or a text in quotes",
            ),
            ("x = \"a", "the \" at the end of the text is missing"),
            ("x = 'a", "the ' at the end of the text is missing"),
            ("x 5", "write = and a value after the key"),
            ("x: \"a\"", "write = and a value after the key"),
            (
                "tür = 5",
                "write = behind a key; put a key in quotes if it has more than a to z, numbers, - and _",
            ),
            ("[x", "the ] at the end of the heading is missing"),
            ("[[x]", "the ]] at the end of the heading is missing"),
            ("x = [\"a\"", "the ] at the end of the list is missing"),
            ("x = { y = 1", "the } at the end of the group is missing"),
            ("x = 0123", "write the number without 0 before it"),
            (
                "x = \"D:\\scans\"",
                "write \\\\ for each \\, or put the text in single quotes",
            ),
            (
                "x = \"C:\\Users\"",
                "write \\\\ for each \\, or put the text in single quotes",
            ),
        ] {
            let (_, errors) = DeTable::parse_recoverable(line);
            assert_eq!(of_syntax(errors[0].message()), words, "{line}");
        }
    }
}
