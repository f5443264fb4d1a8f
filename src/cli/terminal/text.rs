//! Text for a terminal: its width, where it may be broken or cut, and what must not reach it.
//!
//! Widths are those of terminals that draw each character by itself. A terminal that joins
//! emoji to one needs fewer columns, so no line becomes too wide.

use unicode_width::UnicodeWidthChar;

use super::style::Style;

/// Shown for what was cut out.
const CUT: &str = "...";
/// An emoji follows, not a sign of the text: it takes two columns.
const AS_EMOJI: char = '\u{fe0f}';
/// Joins the characters on both of its sides.
const JOINER: char = '\u{200d}';
/// How much further than its first line a text without a label is indented,
const HANGING: usize = 4;
/// unless it is indented as far as this: then it stands below a label.
const BELOW_LABEL: usize = 8;
/// A command and its arguments have at most this many words.
const LONGEST_COMMAND: usize = 6;

/// A character with everything that is drawn onto it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    text: String,
    width: usize,
    style: Style,
}

/// Replaces what a terminal would obey instead of showing it.
pub(super) fn clean(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' | '\n' | '\r' => Some(' '),
        c if c.is_control() => Some('?'),
        c if is_direction(c) => None,
        c => Some(c),
    };
    text.chars().filter_map(shown).collect()
}

/// Characters that change the order of others, or begin a line.
fn is_direction(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// The columns that a clean text takes.
pub(super) fn width(text: &str) -> usize {
    // Long lists are mostly ASCII.
    if text.is_ascii() {
        return text.len();
    }
    pieces(text, Style::Plain)
        .iter()
        .map(|piece| piece.width)
        .sum()
}

pub(super) fn pieces(text: &str, style: Style) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut is_joined = false;
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        match pieces.last_mut() {
            Some(last) if width == 0 || is_joined => {
                last.text.push(c);
                last.width += width;
                if c == AS_EMOJI && last.width == 1 {
                    last.width = 2;
                }
            }
            Some(_) | None => pieces.push(Piece {
                text: c.to_string(),
                width,
                style,
            }),
        }
        is_joined = c == JOINER;
    }
    pieces
}

/// Cuts the middle out of a text that takes more than `room` columns: the beginning and the
/// end of an address or a subject tell more than its middle.
pub(super) fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let pieces = pieces(text, Style::Plain);
    let left = room.saturating_sub(CUT.len());
    let begins = taken(pieces.iter(), left.div_ceil(2));
    let ends = taken(pieces.iter().rev(), left / 2);
    let first = pieces.iter().take(begins);
    let last = pieces.iter().skip(pieces.len().saturating_sub(ends));
    let text = |piece: &Piece| piece.text.clone();
    let dots = CUT.get(..room.min(CUT.len())).unwrap_or_default();
    first
        .map(text)
        .chain([dots.to_owned()])
        .chain(last.map(text))
        .collect()
}

/// How many pieces fit.
fn taken<'a>(pieces: impl Iterator<Item = &'a Piece>, room: usize) -> usize {
    let widths = pieces.scan(0, |used, piece| {
        *used += piece.width;
        Some(*used)
    });
    widths.take_while(|used| *used <= room).count()
}

/// Breaks a line at blanks so that it fits. What follows a label (a gap of two blanks or
/// more) continues below itself. A command is broken only if it has to be, and a URL never,
/// so that both can be copied.
pub(super) fn wrapped(line: Vec<Piece>, room: usize) -> Vec<Vec<Piece>> {
    let indent = hanging(&line).min(room / 2);
    wrapped_at(line, room, indent)
}

/// The same, continued at this column.
pub(super) fn wrapped_at(line: Vec<Piece>, room: usize, indent: usize) -> Vec<Vec<Piece>> {
    let all: usize = line.iter().map(|piece| piece.width).sum();
    if all <= room {
        return vec![line];
    }
    let mut lines = Vec::new();
    let mut current = Line::indented(0);
    for word in words(line, room.saturating_sub(indent)) {
        let gap = word.gap;
        if !current.is_empty && current.used + gap + word.width > room {
            // A word that fits into a line, such as an ID, is not broken for the indent.
            let start = match word.width <= room {
                true => indent.min(room - word.width),
                false => indent,
            };
            lines.push(std::mem::replace(&mut current, Line::indented(start)).pieces);
        } else {
            current.push_blanks(gap);
        }
        let is_url = word.text().contains("://");
        for piece in word.pieces {
            if current.used + piece.width > room && !is_url {
                lines.push(std::mem::replace(&mut current, Line::indented(indent)).pieces);
            }
            current.push(piece);
        }
    }
    lines.push(current.pieces);
    lines
}

struct Line {
    pieces: Vec<Piece>,
    used: usize,
    /// Whether it has no word yet.
    is_empty: bool,
}

impl Line {
    fn indented(indent: usize) -> Self {
        Self {
            pieces: blanks(indent, Style::Plain).collect(),
            used: indent,
            is_empty: true,
        }
    }

    fn push_blanks(&mut self, count: usize) {
        let style = self.pieces.last().map(|piece| piece.style);
        self.pieces.extend(blanks(count, style.unwrap_or_default()));
        self.used += count;
    }

    fn push(&mut self, piece: Piece) {
        self.used += piece.width;
        self.is_empty = false;
        self.pieces.push(piece);
    }
}

fn blanks(count: usize, style: Style) -> impl Iterator<Item = Piece> {
    let blank = Piece {
        text: " ".to_owned(),
        width: 1,
        style,
    };
    std::iter::repeat_n(blank, count)
}

/// A word, with the number of blanks before it.
#[derive(Default)]
struct Word {
    gap: usize,
    pieces: Vec<Piece>,
    width: usize,
}

impl Word {
    fn text(&self) -> String {
        self.pieces.iter().map(|it| it.text.as_str()).collect()
    }

    /// Whether something follows that belongs to it.
    fn begins_a_command(&self) -> bool {
        ["graph-relay", "systemctl", "journalctl"].contains(&self.text().as_str())
    }

    fn ends_a_command(&self) -> bool {
        self.text().ends_with([',', ';', ':', '.', ')'])
    }

    fn append(&mut self, other: Self) {
        let style = self.pieces.last().map(|piece| piece.style);
        self.pieces
            .extend(blanks(other.gap, style.unwrap_or_default()));
        self.width += other.gap + other.width;
        self.pieces.extend(other.pieces);
    }
}

/// The words of a line; a command is one if it fits.
fn words(line: Vec<Piece>, room: usize) -> Vec<Word> {
    let mut words = vec![Word::default()];
    for piece in line {
        let is_blank = piece.text == " ";
        let Some(word) = words.last_mut() else { break };
        match (is_blank, word.pieces.is_empty()) {
            (true, true) => word.gap += 1,
            (true, false) => words.push(Word {
                gap: 1,
                ..Word::default()
            }),
            (false, _) => {
                word.width += piece.width;
                word.pieces.push(piece);
            }
        }
    }
    let mut joined: Vec<Word> = Vec::new();
    // Words that may still belong to the command.
    let mut open = 0;
    for word in words {
        let (begins, ends) = (word.begins_a_command(), word.ends_a_command());
        match joined.last_mut() {
            Some(last) if open > 0 && last.width + word.gap + word.width <= room => {
                last.append(word);
                open = if ends { 0 } else { open - 1 };
            }
            Some(_) | None => {
                joined.push(word);
                open = if begins { LONGEST_COMMAND - 1 } else { 0 };
            }
        }
    }
    joined
}

/// The column at which a line continues.
fn hanging(line: &[Piece]) -> usize {
    let is_blank = |piece: &&Piece| piece.text == " ";
    let before = line.iter().take_while(is_blank).count();
    let mut column = 0;
    let mut blanks = 0;
    for (at, piece) in line.iter().enumerate() {
        if piece.text == " " {
            blanks += 1;
        } else if blanks >= 2 && at > before {
            return column;
        } else {
            blanks = 0;
        }
        column += piece.width;
    }
    match before {
        BELOW_LABEL.. => before,
        _ => before + HANGING,
    }
}

/// The text of pieces, with its styles if there is colour.
pub(super) fn painted(line: &[Piece], has_colour: bool) -> String {
    let mut text = String::new();
    let mut style = Style::Plain;
    for piece in line {
        if has_colour && piece.style != style {
            text.push_str(style.off());
            text.push_str(piece.style.on());
            style = piece.style;
        }
        text.push_str(&piece.text);
    }
    text.push_str(style.off());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, room: usize) -> Vec<String> {
        let lines = wrapped(pieces(text, Style::Plain), room);
        lines.iter().map(|line| painted(line, false)).collect()
    }

    #[test]
    fn control_characters_and_changes_of_direction_are_not_shown() {
        let text = "a\x1b[31mb\u{9b}2J\tc\rd\u{202e}e\u{7f}";

        assert_eq!(clean(text), "a?[31mb?2J c de?");
    }

    #[test]
    fn wide_and_joined_characters_take_the_columns_that_a_terminal_needs() {
        for (text, columns) in [
            ("abc", 3),
            ("Счёт", 4),
            ("請求書", 6),
            ("e\u{301}", 1),
            ("🎉", 2),
            ("☀\u{fe0f}", 2),
            // A terminal that cannot join them draws three.
            ("👨\u{200d}👩\u{200d}👧", 6),
        ] {
            assert_eq!(width(text), columns, "{text}");
        }
    }

    #[test]
    fn the_middle_is_cut_out_and_no_character_is_cut_in_two() {
        assert_eq!(cut("anna@contoso.com", 16), "anna@contoso.com");
        assert_eq!(cut("anna@contoso.com", 11), "anna....com");
        assert_eq!(cut("請求書請求書", 9), "請...書");
        assert_eq!(cut("ae\u{301}b👨\u{200d}👩cde", 7), "ae\u{301}...de");
        assert_eq!(cut("anna", 2), "..");
        for room in 0..40 {
            let text = "請求書 Счёт 🎉 ☀\u{fe0f} 👨\u{200d}👩\u{200d}👧 anna@contoso.com";
            assert!(width(&cut(text, room)) <= room, "{room}");
        }
    }

    #[test]
    fn text_after_a_label_continues_below_itself() {
        assert_eq!(
            lines("warning  proxy: it does not answer", 24),
            ["warning  proxy: it does", "         not answer"]
        );
        assert_eq!(
            lines("the relay does not answer", 20),
            ["the relay does not", "    answer"]
        );
        assert_eq!(
            lines("  - one two three", 12),
            ["  - one two", "      three"]
        );
    }

    #[test]
    fn a_command_stays_together_and_text_without_blanks_is_broken_where_it_must() {
        assert_eq!(
            lines("now: graph-relay queue retry; or wait a bit", 30),
            ["now: graph-relay queue retry;", "    or wait a bit"]
        );
        assert_eq!(
            lines("to try it now: graph-relay queue retry; or", 30),
            ["to try it now:", "    graph-relay queue retry;", "    or"]
        );
        assert_eq!(
            lines("請求書請求書請求書", 10),
            ["請求書請求", "    書請求", "    書"]
        );
        assert_eq!(
            lines("see https://example.org/a-long-page", 20),
            ["see", "    https://example.org/a-long-page"]
        );
    }

    #[test]
    fn an_id_is_not_broken_for_an_indent_and_a_style_goes_on_between_words() {
        assert_eq!(
            lines(
                "  failed just now  01M8QX9M718C8Z8HZQF1FYFFTF  a reason",
                40
            ),
            [
                "  failed just now",
                "              01M8QX9M718C8Z8HZQF1FYFFTF",
                "                   a reason"
            ]
        );
        let line = wrapped(pieces("not a word more", Style::Bad), 10);
        assert_eq!(painted(&line[0], true), "\x1b[1;31mnot a word\x1b[0m");
    }

    #[test]
    fn no_line_is_wider_than_the_room() {
        let text = "label   請求書 Счёт graph-relay queue list 👨\u{200d}👩\u{200d}👧 abcdefghijklmnopqrstuvwxyz, x";
        for room in 16..60 {
            for line in lines(text, room) {
                assert!(width(&line) <= room, "{room}: {line:?}");
            }
        }
    }
}
