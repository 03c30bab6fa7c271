//! Drawing what hangs together: one line for each thing, and columns of lines between them, as
//! `git log --graph` does.

use std::collections::BTreeSet;

/// No more columns than this are drawn side by side: nobody could follow them.
const MAX_COLUMNS: usize = 200;

/// Draws things that are joined to others behind them: for each, the places of these. Returns for each thing
/// its row, which has a star, and the rows before and behind it on which lines meet and part.
pub(super) fn draw(things: &[BTreeSet<usize>]) -> Vec<Vec<String>> {
    let mut columns = Columns(Vec::new());
    things.iter().enumerate().map(|(place, behind)| columns.thing(place, behind)).collect()
}

/// The columns, each with the thing that its line leads to.
struct Columns(Vec<Option<usize>>);

impl Columns {
    /// Draws a thing between the lines that meet before it and those that part behind it.
    fn thing(&mut self, place: usize, behind: &BTreeSet<usize>) -> Vec<String> {
        let mut rows = Vec::new();
        let leads_here = |column: &(usize, &Option<usize>)| *column.1 == Some(place);
        let mut mine: Vec<usize> =
            self.0.iter().enumerate().filter(leads_here).map(|(column, _)| column).collect();
        let at = if mine.is_empty() { self.take(place) } else { mine.remove(0) };
        if !mine.is_empty() {
            rows.push(self.across(at, &mine, '\''));
            for column in mine {
                self.set(column, None);
            }
        }
        rows.push(self.row(|column, _| if column == at { '*' } else { '|' }));
        let mut behind = behind.iter().copied();
        self.set(at, behind.next());
        let others: Vec<usize> = behind.map(|thing| self.take(thing)).collect();
        if !others.is_empty() {
            rows.push(self.across(at, &others, '.'));
        }
        rows
    }

    /// Finds a column for the line to a thing.
    fn take(&mut self, thing: usize) -> usize {
        let free = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        self.set(free, Some(thing));
        free
    }

    fn set(&mut self, column: usize, thing: Option<usize>) {
        if column >= self.0.len() {
            self.0.resize(column + 1, None);
        }
        if let Some(slot) = self.0.get_mut(column) {
            *slot = thing;
        }
        while self.0.pop_if(|column| column.is_none()).is_some() {}
    }

    fn row(&self, sign: impl Fn(usize, usize) -> char) -> String {
        let shown = self.0.iter().take(MAX_COLUMNS).enumerate();
        let signs = shown.map(|(column, thing)| thing.map_or(' ', |thing| sign(column, thing)));
        signs.flat_map(|sign| [sign, ' ']).collect::<String>().trim_end().to_owned()
    }

    /// Draws lines from one column to others.
    fn across(&self, from: usize, to: &[usize], corner: char) -> String {
        let least = to.iter().copied().fold(from, usize::min);
        let most = to.iter().copied().fold(from, usize::max);
        let mut row = String::new();
        for column in 0..self.0.len().min(MAX_COLUMNS) {
            let is_between = (least..=most).contains(&column);
            let taken = self.0.get(column).is_some_and(Option::is_some);
            row.push(match (column == from, to.contains(&column)) {
                (true, _) => '|',
                (_, true) => corner,
                _ if taken && is_between => '+',
                _ if taken => '|',
                _ if is_between => '-',
                _ => ' ',
            });
            row.push(if is_between && column < most { '-' } else { ' ' });
        }
        row.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws things by the places behind them, and puts their names on their rows.
    fn drawn(things: &[&[usize]]) -> String {
        let sets: Vec<BTreeSet<usize>> =
            things.iter().map(|behind| behind.iter().copied().collect()).collect();
        let mut lines = Vec::new();
        for (place, rows) in draw(&sets).into_iter().enumerate() {
            for row in rows {
                let name = if row.contains('*') { format!("  {place}") } else { String::new() };
                lines.push(format!("{row}{name}"));
            }
        }
        lines.join("\n")
    }

    #[test]
    fn one_after_another() {
        assert_eq!(drawn(&[&[1], &[2], &[]]), "*  0\n*  1\n*  2");
        assert_eq!(drawn(&[]), "");
        assert_eq!(drawn(&[&[], &[]]), "*  0\n*  1");
    }

    #[test]
    fn a_fork_and_its_end() {
        assert_eq!(drawn(&[&[2], &[2], &[]]), "*  0\n| *  1\n|-'\n*  2");
        assert_eq!(drawn(&[&[1, 2], &[3], &[3], &[]]), "*  0\n|-.\n* |  1\n| *  2\n|-'\n*  3");
    }

    #[test]
    fn lines_that_cross() {
        let three = "*  0\n|-.-.\n* | |  1\n  * |  2\n  | *  3\n  |-'\n  *  4";
        assert_eq!(drawn(&[&[1, 2, 3], &[], &[4], &[4], &[]]), three);
        assert_eq!(drawn(&[&[3], &[4], &[3], &[], &[]]), "*  0\n| *  1\n| | *  2\n|-+-'\n* |  3\n  *  4");
    }
}
