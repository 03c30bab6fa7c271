//! The table of medians, on the terminal and as JSON.

use std::time::Duration;

use crate::system::{Failure, System};

/// What one system took for one row.
#[derive(Clone, Copy)]
enum Cell {
    Nanoseconds(f64),
    Bytes(f64),
    None,
}

/// Gathers rows and prints them as they come.
pub struct Table {
    systems: Vec<&'static str>,
    rows: Vec<(String, Vec<Cell>)>,
}

impl Table {
    pub fn new(systems: &[Box<dyn System>]) -> Self {
        let systems: Vec<_> = systems.iter().map(|system| system.name()).collect();
        let heads: Vec<_> = systems.iter().map(|name| format!("{name:>14}")).collect();
        println!("{:<48} {} {:>9}", "", heads.join(" "), "ratio");
        Self { systems, rows: Vec::new() }
    }

    /// Measures a row: the systems take turns, round by round.
    pub fn time(
        &mut self,
        name: String,
        operations: usize,
        rounds: usize,
        systems: &mut [Box<dyn System>],
        mut work: impl FnMut(&mut dyn System, usize) -> Result<Option<Duration>, Failure>,
    ) -> Result<(), Failure> {
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); systems.len()];
        for round in 0..rounds {
            for (system, times) in systems.iter_mut().zip(&mut times) {
                times.extend(work(system.as_mut(), round)?);
            }
        }
        let cells = times.into_iter().map(|mut times| {
            times.sort_unstable();
            let median = times.get(times.len() / 2);
            median.map_or(Cell::None, |time| Cell::Nanoseconds(time.as_nanos() as f64 / operations as f64))
        });
        self.add(name, cells.collect());
        Ok(())
    }

    /// Adds a row of sizes.
    pub fn bytes(&mut self, name: String, sizes: &[Option<u64>]) {
        let cells = sizes.iter().map(|bytes| bytes.map_or(Cell::None, |bytes| Cell::Bytes(bytes as f64)));
        self.add(name, cells.collect());
    }

    fn add(&mut self, name: String, cells: Vec<Cell>) {
        let number = |cell: &Cell| match cell {
            Cell::Nanoseconds(number) | Cell::Bytes(number) => Some(*number),
            Cell::None => None,
        };
        let shown: Vec<_> = cells
            .iter()
            .map(|cell| match cell {
                Cell::Nanoseconds(ns) => format!("{ns:>11.0} ns"),
                Cell::Bytes(bytes) => format!("{bytes:>13.0}B"),
                Cell::None => format!("{:>14}", "–"),
            })
            .collect();
        let ratio = match cells.first_chunk().map(|[ours, theirs]| (number(ours), number(theirs))) {
            Some((Some(ours), Some(theirs))) => format!("{:.2} ×", ours / theirs),
            _ => "–".to_owned(),
        };
        println!("{name:<48} {} {ratio:>9}", shown.join(" "));
        self.rows.push((name, cells));
    }

    /// Writes all rows to `target/bench/peers.json`.
    pub fn write(&self) -> Result<(), Failure> {
        let mut out = Vec::new();
        for (row, cells) in &self.rows {
            for (system, cell) in self.systems.iter().zip(cells) {
                let (median_ns, bytes) = match cell {
                    Cell::Nanoseconds(ns) => (Some(*ns), None),
                    Cell::Bytes(bytes) => (None, Some(*bytes)),
                    Cell::None => continue,
                };
                out.push(serde_json::json!({
                    "row": row, "system": system, "median_ns": median_ns, "bytes": bytes
                }));
            }
        }
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("peers.json"), serde_json::to_vec_pretty(&out)?)?;
        Ok(())
    }
}
