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

    /// Adds a question to a dataset elsewhere: what was asked, what it cost, and the bytes of what was answered,
    /// without and with the nodes of ways.
    pub fn ask(&mut self, row: &str, traffic: &Traffic, found: u64, (own, placed): (u64, u64)) {
        if !self.0.iter().any(|row| row.get("requests").is_some()) {
            println!(
                "{:<46} {:>7} {:>11} {:>9} {:>11} {:>11} {:>9} {:>6}",
                "", "trips", "bytes", "found", "answer", "with nodes", "requests", "pages"
            );
        }
        let Traffic { rounds, requests, bytes, pages, .. } = traffic;
        println!(
            "{row:<46} {rounds:>7} {bytes:>11} {found:>9} {own:>11} {placed:>11} {requests:>9} {pages:>6}"
        );
        self.0.push(serde_json::json!({
            "row": row,
            "round trips": rounds,
            "requests": requests,
            "bytes": bytes,
            "found": found,
            "pages": pages,
            "compressed": own,
            "compressed with nodes": placed,
        }));
    }

    /// Adds what somebody else's program took.
    pub fn other(&mut self, row: &str, measured: &serde_json::Value) {
        let number = |name: &str| measured.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
        let (trips, bytes, found) = (number("round trips"), number("bytes"), number("found"));
        println!("{row:<46} {trips:>7} {bytes:>11} {found:>9} {:>11}", number("answer"));
        let mut measured = measured.clone();
        if let Some(measured) = measured.as_object_mut() {
            measured.insert("row".to_owned(), row.into());
        }
        self.0.push(measured);
    }

    /// Adds the seconds that an exchange took over real sockets.
    pub fn socket(&mut self, row: &str, seconds: f64, bytes: u64) {
        println!("{row:<46} {:>7} {bytes:>11} {seconds:>9.2} s", "");
        self.0.push(serde_json::json!({ "row": row, "bytes": bytes, "seconds": seconds }));
    }

    /// Says why a row is missing.
    pub fn note(&mut self, row: &str, why: &str) {
        println!("{row:<46} {why}");
        self.0.push(serde_json::json!({ "row": row, "missing": why }));
    }

    /// Writes all rows to `target/bench/wire.json`.
    pub fn write(&self) -> Result<(), Failure> {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("wire.json"), serde_json::to_vec_pretty(&self.0)?)?;
        Ok(())
    }
}
