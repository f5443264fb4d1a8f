//! An error of serde in the words of relay.toml: what to write, not which type of Rust was
//! expected.

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

#[cfg(test)]
mod tests {
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
}
