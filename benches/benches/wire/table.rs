//! The table, on the terminal and as JSON.

use osmdb::Traffic;

use crate::Failure;
use crate::link::Exchange;

/// Gathers rows and prints them as they come.
#[derive(Default)]
pub struct Table(Vec<serde_json::Value>);

impl Table {
    /// Adds an exchange: what differed, in bytes and compressed, and what round trips and bytes it may take.
    pub fn add(
        &mut self,
        row: &str,
        exchange: &Exchange,
        entries: u64,
        (own, compressed): (u64, u64),
        target: (f64, Option<u64>),
    ) {
        if self.0.is_empty() {
            println!(
                "{:<46} {:>7} {:>11} {:>9} {:>11} {:>11} {:>10}",
                "", "trips", "bytes", "entries", "their bytes", "compressed", "work"
            );
        }
        let Exchange { round_trips, bytes, work, .. } = exchange;
        let work = work.as_secs_f64() * 1e3;
        println!(
            "{row:<46} {round_trips:>7.1} {bytes:>11} {entries:>9} {own:>11} {compressed:>11} {work:>7.1} ms"
        );
        self.0.push(serde_json::json!({
            "row": row,
            "round trips": round_trips,
            "bytes": bytes,
            "entries": entries,
            "bytes of entries": own,
            "compressed": compressed,
            "work ms": work,
            "target round trips": target.0,
            "target bytes": target.1,
        }));
    }

    /// Adds a question to a dataset elsewhere: what was asked, what it cost, and the bytes of what was answered.
    pub fn ask(&mut self, row: &str, traffic: &Traffic, found: u64, answer: u64) {
        if !self.0.iter().any(|row| row.get("requests").is_some()) {
            println!(
                "{:<46} {:>7} {:>11} {:>9} {:>11} {:>11}",
                "", "trips", "bytes", "found", "answer", "requests"
            );
        }
        let Traffic { rounds, requests, bytes, .. } = traffic;
        println!("{row:<46} {rounds:>7} {bytes:>11} {found:>9} {answer:>11} {requests:>11}");
        self.0.push(serde_json::json!({
            "row": row,
            "round trips": rounds,
            "requests": requests,
            "bytes": bytes,
            "found": found,
            "compressed": answer,
        }));
    }

    /// Writes all rows to `target/bench/wire.json`.
    pub fn write(&self) -> Result<(), Failure> {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("wire.json"), serde_json::to_vec_pretty(&self.0)?)?;
        Ok(())
    }
}
