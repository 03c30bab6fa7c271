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

/// Gathers rows and prints them as they come: ours, and SQLite's where there is one.
#[derive(Default)]
pub struct Table(Vec<(String, Unit, f64, Option<f64>)>);

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
    pub fn add(&mut self, row: impl Into<String>, unit: Unit, ours: f64, sqlite: Option<f64>) {
        if self.0.is_empty() {
            println!("{:<52} {:>12} {:>12} {:>8}", "", "ours", "sqlite", "ratio");
        }
        let row = row.into();
        let theirs = sqlite.map_or("–".to_owned(), |value| shown(value, unit));
        let ratio = sqlite.map_or("–".to_owned(), |value| format!("{:.2} ×", ours / value));
        println!("{row:<52} {:>12} {theirs:>12} {ratio:>8}", shown(ours, unit));
        self.0.push((row, unit, ours, sqlite));
    }

    /// Adds the median and the 99th percentile of what was measured.
    pub fn percentiles(&mut self, row: &str, ours: &mut [Duration], sqlite: &mut [Duration]) {
        for (name, part) in [("p50", 50), ("p99", 99)] {
            let ours = percentile(ours, part).unwrap_or_default();
            let sqlite = percentile(sqlite, part);
            self.add(format!("{row}, {name}"), Unit::Nanoseconds, nanoseconds(ours), sqlite.map(nanoseconds));
        }
    }

    /// Writes all rows to `target/bench/osm.json`.
    pub fn write(&self) -> Result<(), Failure> {
        let rows = self.0.iter().map(|(row, unit, ours, sqlite)| {
            let unit = match unit {
                Unit::Nanoseconds => "ns",
                Unit::Bytes => "bytes",
                Unit::PerSecond => "per second",
                Unit::Ratio => "ratio",
            };
            serde_json::json!({ "row": row, "unit": unit, "ours": ours, "sqlite": sqlite })
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
