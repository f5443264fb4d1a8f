//! What separates the parts of a multipart, as its Content-Type says (RFC 2046 5.1.1).
//! Where a header section ends depends on it too. Finding the parts is left to
//! `body/scan.rs`.

use super::parameters::Parameters;
use crate::mime::Field;

/// The longest boundary that is supported. RFC 2046 5.1.1 allows 70 octets.
pub(in crate::mime) const LONGEST_BOUNDARY: usize = 200;

/// The line before each part of a multipart, if this is the field that announces it.
pub(in crate::mime) fn delimiter(field: &Field<'_>) -> Option<String> {
    let parameters = field.is("Content-Type").then(|| Parameters::of(field))?;
    let boundary = parameters.text("boundary").filter(|it| is_boundary(it))?;
    let is_multipart = parameters.value.starts_with("multipart");
    is_multipart.then(|| format!("--{boundary}"))
}

/// Whether a line is that delimiter; blanks may follow it (RFC 2046 5.1.1).
pub(in crate::mime) fn is_line(line: &[u8], delimiter: &str) -> bool {
    line.trim_ascii_end() == delimiter.as_bytes()
}

/// RFC 2046 5.1.1, without what programs read differently.
pub(in crate::mime) fn is_boundary(text: &str) -> bool {
    let of_boundary = |c: char| c == ' ' || c.is_ascii_graphic();
    (1..=LONGEST_BOUNDARY).contains(&text.len())
        && text.chars().all(of_boundary)
        && text.trim() == text
}
