//! The table, on the terminal and as JSON.

use std::time::Duration;

use crate::Failure;

/// What is in a cell.
#[derive(Clone, Copy)]
pub enum Unit {
    Nanoseconds,
    Bytes,
    PerSecond,
    Ratio,
}

/// A row: ours, and the other system's figure where there is one.
struct Row {
    name: String,
    unit: Unit,
    ours: f64,
    peer: &'static str,
    theirs: Option<f64>,
}

/// Gathers rows and prints them as they come.
pub struct Table {
    rows: Vec<Row>,
    peer: &'static str,
}

impl Default for Table {
    fn default() -> Self {
        Self { rows: Vec::new(), peer: "sqlite" }
    }
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds if value < 1e4 => format!("{:.2} µs", value / 1e3),
        Unit::Nanoseconds if value < 1e6 => format!("{:.0} µs", value / 1e3),
        Unit::Nanoseconds if value < 1e9 => format!("{:.2} ms", value / 1e6),
        Unit::Nanoseconds => format!("{:.2} s", value / 1e9),
        Unit::Bytes => format!("{:.1} MB", value / 1e6),
        Unit::PerSecond => format!("{value:.0}/s"),
        Unit::Ratio => format!("{value:.2} ×"),
    }
}

impl Table {
    /// Says whose figures stand beside ours in the rows to come.
    #[cfg(feature = "peers")]
    pub fn beside(&mut self, peer: &'static str) {
        self.peer = peer;
    }

    pub fn add(&mut self, name: impl Into<String>, unit: Unit, ours: f64, theirs: Option<f64>) {
        let peer = self.peer;
        if self.rows.last().is_none_or(|last| last.peer != peer) {
            println!("{:<52} {:>12} {peer:>12} {:>8}", "", "ours", "ratio");
        }
        let name = name.into();
        let other = theirs.map_or("–".to_owned(), |value| shown(value, unit));
        let ratio = theirs.map_or("–".to_owned(), |value| format!("{:.2} ×", ours / value));
        println!("{name:<52} {:>12} {other:>12} {ratio:>8}", shown(ours, unit));
        self.rows.push(Row { name, unit, ours, peer, theirs });
    }

    /// Adds the median and the 99th percentile of what was measured.
    pub fn percentiles(&mut self, row: &str, ours: &mut [Duration], theirs: &mut [Duration]) {
        for (name, part) in [("p50", 50), ("p99", 99)] {
            let ours = percentile(ours, part).unwrap_or_default();
            let theirs = percentile(theirs, part);
            self.add(format!("{row}, {name}"), Unit::Nanoseconds, nanoseconds(ours), theirs.map(nanoseconds));
        }
    }

    /// Writes all rows to `target/bench/osm.json`.
    pub fn write(&self) -> Result<(), Failure> {
        let rows = self.rows.iter().map(|row| {
            let unit = match row.unit {
                Unit::Nanoseconds => "ns",
                Unit::Bytes => "bytes",
                Unit::PerSecond => "per second",
                Unit::Ratio => "ratio",
            };
            let Row { name, ours, peer, theirs, .. } = row;
            serde_json::json!({ "row": name, "unit": unit, "ours": ours, *peer: theirs })
        });
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("osm.json"), serde_json::to_vec_pretty(&rows.collect::<Vec<_>>())?)?;
        Ok(())
    }
}

pub fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

pub fn percentile(times: &mut [Duration], part: usize) -> Option<Duration> {
    times.sort_unstable();
    times.get((times.len() * part / 100).min(times.len().saturating_sub(1))).copied()
}
