//! Tables that fit the terminal.
//!
//! Columns keep the width of their longest cell. Where a row does not fit in one line it
//! continues below, and so does the head. Only columns that allow it are cut, in the middle,
//! and share the room that is left. Where the output is no terminal, each row is one line.
//! Notes below a row are text; it is broken at blanks.

use super::Stream;
use super::Style;
use super::say_exactly;
use super::text;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Column {
    head: &'static str,
    fit: Fit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Left,
    Right,
    Cut,
}

impl Column {
    /// Text that is never cut, such as an ID.
    pub(in crate::cli) const fn text(head: &'static str) -> Self {
        let fit = Fit::Left;
        Self { head, fit }
    }

    /// A number, below others.
    pub(in crate::cli) const fn number(head: &'static str) -> Self {
        let fit = Fit::Right;
        Self { head, fit }
    }

    /// Text that may be cut in the middle. Such columns stand next to each other.
    pub(in crate::cli) const fn long(head: &'static str) -> Self {
        let fit = Fit::Cut;
        Self { head, fit }
    }
}

/// What a row has in a column.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Cell {
    text: String,
    style: Style,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        (Style::Plain, text).into()
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<(Style, String)> for Cell {
    fn from((style, text): (Style, String)) -> Self {
        let text = text::clean(&text);
        Self { text, style }
    }
}

/// A table, printed in parts: a long one is never wholly in memory.
#[derive(Debug)]
pub(in crate::cli) struct Table {
    columns: Vec<Column>,
    widths: Vec<usize>,
    rows: Vec<(Vec<Cell>, Vec<String>)>,
    is_headed: bool,
}

/// Between columns.
const GAP: usize = 2;
/// Of the lines that a row continues in,
const INDENT: usize = 2;
/// and of notes.
const NOTE: usize = 4;
/// A text that may be cut gets a line of its own before it gets fewer columns than this.
const LEAST: usize = 20;

/// Where a column is in a row.
#[derive(Clone, Copy, Debug)]
struct Place {
    column: usize,
    width: usize,
}

impl Table {
    pub(in crate::cli) fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            widths: columns.iter().map(|it| text::width(it.head)).collect(),
            rows: Vec::new(),
            is_headed: false,
        }
    }

    /// Adds a row, with notes below it.
    pub(in crate::cli) fn row(&mut self, cells: Vec<Cell>, notes: Vec<String>) {
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = text::width(&cell.text).max(*width);
        }
        self.rows.push((cells, notes));
    }

    /// Prints the rows so far; the first time with the head, if there is a row.
    pub(in crate::cli) fn print(&mut self) {
        let (room, has_colour) = (Stream::Out.columns(), Stream::Out.has_colour());
        let lines = self.lines(room, has_colour);
        if !lines.is_empty() {
            say_exactly(&lines.join("\n"));
        }
    }

    fn lines(&mut self, room: Option<usize>, has_colour: bool) -> Vec<String> {
        let layout = self.layout(room);
        let mut lines = Vec::new();
        let rows = std::mem::take(&mut self.rows);
        if !self.is_headed && !rows.is_empty() {
            self.is_headed = true;
            let head = |column: &Column| (Style::Head, column.head.to_owned()).into();
            let head: Vec<Cell> = self.columns.iter().map(head).collect();
            lines.extend(self.cells(&head, &layout, has_colour));
        }
        for (cells, notes) in rows {
            lines.extend(self.cells(&cells, &layout, has_colour));
            for note in notes {
                let note = format!("{:NOTE$}{}", "", text::clean(&note).trim_end());
                let Some(room) = room else {
                    lines.push(note);
                    continue;
                };
                let note = text::pieces(&note, Style::Plain);
                let broken = text::wrapped_at(note, room, NOTE);
                lines.extend(broken.iter().map(|line| text::painted(line, false)));
            }
        }
        lines
    }

    /// Which columns stand in each line of a row.
    fn layout(&self, room: Option<usize>) -> Vec<Vec<Place>> {
        let room = room.unwrap_or(usize::MAX);
        let (mut lines, mut line, mut used) = (Vec::new(), Vec::new(), 0);
        let columns = self.columns.iter().zip(&self.widths).enumerate();
        for (at, (column, width)) in columns {
            let least = match column.fit {
                Fit::Cut => self.least_from(at),
                Fit::Left | Fit::Right => *width,
            };
            let gap = if line.is_empty() { 0 } else { GAP };
            let is_group = at > 0
                && column.fit == Fit::Cut
                && self
                    .columns
                    .get(at - 1)
                    .is_some_and(|it| it.fit == Fit::Cut);
            if !line.is_empty() && !is_group && used + gap + least > room {
                lines.push(std::mem::take(&mut line));
                used = INDENT;
            }
            used += if line.is_empty() { 0 } else { GAP } + width;
            line.push(Place {
                column: at,
                width: *width,
            });
        }
        lines.push(line);
        for (at, line) in lines.iter_mut().enumerate() {
            let indent = if at == 0 { 0 } else { INDENT };
            self.share(line, room.saturating_sub(indent));
        }
        lines
    }

    /// The columns that the texts need from here on.
    fn least_from(&self, at: usize) -> usize {
        let widths = self.widths.iter().skip(at);
        let least: usize = widths.map(|width| GAP + (*width).min(LEAST)).sum();
        least.saturating_sub(GAP)
    }

    /// Divides what is left of a line between the texts that may be cut: a short one leaves
    /// its share to others.
    fn share(&self, line: &mut [Place], room: usize) {
        let is_cut = |place: &Place| {
            let column = self.columns.get(place.column);
            column.is_some_and(|column| column.fit == Fit::Cut)
        };
        let gaps = GAP * line.len().saturating_sub(1);
        let fixed = line.iter().filter(|it| !is_cut(it));
        let fixed: usize = fixed.map(|place| place.width).sum();
        let mut left = room.saturating_sub(gaps + fixed);
        let mut cut: Vec<&mut Place> = line.iter_mut().filter(|it| is_cut(it)).collect();
        cut.sort_by_key(|place| place.width);
        let mut others = cut.len();
        for place in cut {
            place.width = place.width.min(left / others.max(1));
            left -= place.width;
            others -= 1;
        }
    }

    fn cells(&self, cells: &[Cell], layout: &[Vec<Place>], has_colour: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, places) in layout.iter().enumerate() {
            let mut line = if number == 0 { "" } else { "  " }.to_owned();
            for (at, Place { column, width }) in places.iter().enumerate() {
                let (Some(cell), Some(column)) = (cells.get(*column), self.columns.get(*column))
                else {
                    continue;
                };
                let shown = text::cut(&cell.text, *width);
                let blanks = " ".repeat(width.saturating_sub(text::width(&shown)));
                let shown = cell.style.paint(&shown, has_colour);
                if at > 0 {
                    line.push_str("  ");
                }
                match column.fit {
                    Fit::Right => line.push_str(&format!("{blanks}{shown}")),
                    Fit::Left | Fit::Cut => line.push_str(&format!("{shown}{blanks}")),
                }
            }
            lines.push(line.trim_end().to_owned());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01M8QX9M718C8Z8HZQF1FYFFTF";

    fn table() -> Table {
        let mut table = Table::new(&[
            Column::text("ID"),
            Column::text("STATE"),
            Column::number("AGE"),
            Column::long("FROM"),
            Column::long("TO"),
        ]);
        let mut row = |age: &str, from: &str, to: &str| {
            let cells = [ID, "waiting", age, from, to].map(Cell::from);
            let note = "Graph answered 503 ErrorServerBusy: The server is busy. Try again later.";
            table.row(cells.into(), vec![note.to_owned()]);
        };
        row("5s", "a@contoso.com", "b@contoso.com");
        row(
            "119s",
            "a-very-long-address-of-a-printer@contoso.com",
            "請求書請求書請求書@example.org",
        );
        table
    }

    #[test]
    fn without_a_terminal_a_row_is_a_line_and_nothing_is_cut() {
        assert_eq!(
            table().lines(None, false),
            [
                "ID                          STATE     AGE  FROM                                          TO",
                "01M8QX9M718C8Z8HZQF1FYFFTF  waiting    5s  a@contoso.com                                 b@contoso.com",
                "    Graph answered 503 ErrorServerBusy: The server is busy. Try again later.",
                "01M8QX9M718C8Z8HZQF1FYFFTF  waiting  119s  a-very-long-address-of-a-printer@contoso.com  請求書請求書請求書@example.org",
                "    Graph answered 503 ErrorServerBusy: The server is busy. Try again later.",
            ]
        );
    }

    #[test]
    fn long_texts_get_a_line_of_their_own_and_are_cut_in_the_middle() {
        assert_eq!(
            table().lines(Some(70), false),
            [
                "ID                          STATE     AGE",
                "  FROM                                  TO",
                "01M8QX9M718C8Z8HZQF1FYFFTF  waiting    5s",
                "  a@contoso.com                         b@contoso.com",
                "    Graph answered 503 ErrorServerBusy: The server is busy. Try again",
                "    later.",
                "01M8QX9M718C8Z8HZQF1FYFFTF  waiting  119s",
                "  a-very-long-addre...nter@contoso.com  請求書請求書請求書@example.org",
                "    Graph answered 503 ErrorServerBusy: The server is busy. Try again",
                "    later.",
            ]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_id_is_cut() {
        for room in 30..160 {
            let lines = table().lines(Some(room), false);
            for line in &lines {
                assert!(text::width(line) <= room, "{room}: {line:?}");
            }
            let ids = lines.iter().filter(|line| line.starts_with(ID));
            assert_eq!(ids.count(), 2, "{room}: {lines:#?}");
        }
    }

    #[test]
    fn rows_that_follow_have_no_second_head_and_keep_the_widths() {
        let mut table = table();
        let before = table.lines(None, false);
        let cells = [ID, "held", "9s", "a@b.c", "d@e.f"].map(Cell::from);

        table.row(cells.into(), Vec::new());

        let after = table.lines(None, false);
        assert_eq!(after.len(), 1);
        assert_eq!(after[0].find("d@e.f"), before[0].find("TO"));
    }

    #[test]
    fn colours_change_no_width() {
        let mut table = Table::new(&[Column::text("STATE"), Column::long("TO")]);
        let state = (Style::Bad, "failed".to_owned()).into();

        table.row(vec![state, "a@b.c".into()], Vec::new());

        assert_eq!(
            table.lines(Some(80), true),
            [
                "\x1b[1mSTATE\x1b[0m   \x1b[1mTO\x1b[0m",
                "\x1b[1;31mfailed\x1b[0m  a@b.c"
            ]
        );
    }
}
