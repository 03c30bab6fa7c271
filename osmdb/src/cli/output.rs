//! Where words go: results to the standard output, everything else to the standard error.

use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

use super::failure::Failure;

/// The standard output, for results. [`finish`](Self::finish) it, or the last ones may be lost.
pub(super) struct Out(BufWriter<StdoutLock<'static>>);

impl Out {
    pub(super) fn new() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    /// Writes one line.
    pub(super) fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        writeln!(self.0, "{text}").map_err(Failure::Output)
    }

    /// Writes without ending the line.
    pub(super) fn part(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        write!(self.0, "{text}").map_err(Failure::Output)
    }

    /// Writes lines as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.0.write_all(bytes).map_err(Failure::Output)
    }

    /// Makes sure that all is written.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.0.flush().map_err(Failure::Output)
    }
}

/// Tells the user something beside the results.
pub(super) fn note(text: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Tells the user in one sentence what is wrong.
pub(super) fn complain(text: &str) {
    note(&format!("osmdb: {}", text.split_whitespace().collect::<Vec<_>>().join(" ")));
}

/// Makes a text of others fit for a terminal: one line, not long, without signs that steer it.
pub(super) fn plain(text: &str) -> String {
    let visible = |sign: char| if sign.is_control() { ' ' } else { sign };
    text.chars().take(MAX_PLAIN).map(visible).collect()
}

/// So many characters of what others say are shown.
const MAX_PLAIN: usize = 500;

/// Shows a number with commas between its thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Shows a number of things: `1 fork`, `2 forks`, `2 entries`.
pub(super) fn counted(number: impl TryInto<u64>, one: &str, many: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Shows a number of bytes with a fitting unit.
pub(super) fn size(bytes: u64) -> String {
    for (unit, name) in [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")] {
        if bytes >= unit {
            return format!("{}.{} {name}", grouped(bytes / unit), bytes % unit * 10 / unit);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 999, 1500, 12_345_678].map(size), ["0 bytes", "999 bytes", "1.5 kB", "12.3 MB"]);
        assert_eq!(counted(1_usize, "fork", "forks"), "1 fork");
        assert_eq!(counted(0_u64, "fork", "forks"), "0 forks");
    }
}
