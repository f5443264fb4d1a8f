//! Text after base64, which virus scanners and mailing lists add to a body without
//! parsing it. Its letters must not become bytes of a file.

/// What a line with characters outside the alphabet may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Encoded data with stray characters in it.
    Data,
    /// It is unclear.
    Either,
    /// Text for people.
    Words,
}

/// This many lower-case letters in words are almost never data: for random data, one line
/// in a hundred thousand.
const MANY_LETTERS: usize = 8;
/// Words are not longer than this.
const LONGEST_WORD: usize = 3 * MANY_LETTERS;

/// Judges a line. `complete` says that the data before it may end there, `behind` that
/// something separates the line from the data.
pub(super) fn likeness(line: &[u8], complete: bool, behind: bool) -> Likeness {
    let pieces = pieces(line);
    let words = pieces.iter().filter(|piece| reads_as_word(piece));
    let words: Vec<&&[u8]> = words.collect();
    let small = words.iter().flat_map(|word| word.iter());
    let small = small.filter(|byte| byte.is_ascii_lowercase()).count();
    let has_word = words.iter().any(|word| word.len() > 2);
    let words = words.len();
    let mostly = has_word && words > 1 && words * 3 >= pieces.len() * 2;
    let is_sentence = words > 2 && small > MANY_LETTERS;
    if complete && mostly && (is_sentence || (behind && small >= MANY_LETTERS)) {
        // Data with many stray characters contains pieces that look like words, and
        // others.
        let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        let is_written = !line.ends_with(b"=") && !line.iter().any(is_control);
        return match !is_written || pieces.iter().any(|piece| is_data(piece)) {
            true => Likeness::Either,
            false => Likeness::Words,
        };
    }
    let is_long = |piece: &&[u8]| piece.len() > LONGEST_WORD;
    let partly = has_word && words > 1 && words * 2 >= pieces.len() && small > 3;
    let partly = partly && !pieces.iter().any(is_long);
    let only_words = complete && small > 0 && words == pieces.len();
    match partly || only_words || (behind && (complete || has_word)) {
        true => Likeness::Either,
        false => Likeness::Data,
    }
}

/// Whether a line after a footer looks like the data before it.
pub(super) fn may_be_data(line: &[u8]) -> bool {
    let is_run = line.iter().all(u8::is_ascii_uppercase) && line.len() >= MANY_LETTERS;
    let is_padding = line == b"=" || line == b"==";
    let is_padded = line.ends_with(b"=") && line.iter().any(u8::is_ascii_alphanumeric);
    is_run || is_padding || is_padded || pieces(line).iter().any(|piece| is_data(piece))
}

/// Whether a piece of a line is encoded data and not a word: zeros are `AAAA...`.
fn is_data(piece: &[u8]) -> bool {
    let is_run = piece.windows(2).all(|two| two.first() == two.last());
    piece.len() >= MANY_LETTERS && (is_run || !reads_as_word(piece))
}

/// Letters and digits between other characters.
fn pieces(line: &[u8]) -> Vec<&[u8]> {
    let pieces = line.split(|byte| !byte.is_ascii_alphanumeric());
    pieces.filter(|piece| !piece.is_empty()).collect()
}

/// Whether a line of only letters, after data that may have ended, is more likely a word;
/// it must be long if nothing else separates it from the data. Capitals are not words,
/// because a run of zeros is encoded in capitals, and no text contains this many small
/// letters in a row (`ampqampq...`).
pub(super) fn is_word(line: &[u8], behind: bool) -> bool {
    (behind || (line.len() > MANY_LETTERS && line.len() <= LONGEST_WORD))
        && reads_as_word(line)
        && line.iter().any(u8::is_ascii_lowercase)
}

/// All small, all capitals, one capital at the beginning, or a number.
fn reads_as_word(piece: &[u8]) -> bool {
    let rest = piece.split_first().map_or(piece, |(_, rest)| rest);
    let starts_well = piece.first().is_some_and(u8::is_ascii_alphabetic);
    (starts_well && rest.iter().all(u8::is_ascii_lowercase))
        || piece.iter().all(u8::is_ascii_uppercase)
        || piece.iter().all(u8::is_ascii_digit)
}
