//! A real extract, imported and asked; with the feature `peers` beside the same data in SQLite with
//! R*Trees and, where osm2pgsql and PostgreSQL with PostGIS are installed, in PostGIS, in one run, taking turns.
//!
//! Prints a table and writes `target/bench/osm.json`. Without real extracts at hand (see
//! [`benches::extract`]) it makes 100,000 elements up. Options, behind `--`:
//!
//! - `--quick`: fewer rounds
//! - `--only GROUP`: only one of `imports`, `reads`, `edits`, `updates`, `postgis`
//! - `--ten-million`: also an import of 10,000,000 made-up elements, and its peak memory

mod child;
mod imports;
#[cfg(feature = "peers")]
mod postgis;
mod reads;
#[cfg(feature = "peers")]
mod sqlite;
mod table;

use std::path::{Path, PathBuf};

use benches::{extract, generated};
use osmdb::io::Writer;

use self::table::Table;

type Failure = Box<dyn std::error::Error>;

/// What is measured, and how thoroughly.
struct Run {
    table: Table,
    scratch: tempfile::TempDir,
    /// The extract, and an earlier one of the same country.
    file: PathBuf,
    earlier: Option<PathBuf>,
    /// How often whole imports are repeated, and how many boxes there are.
    rounds: usize,
    boxes: usize,
}

/// Writes made-up elements to a file.
fn make_up(count: u64, path: &Path) -> Result<(), Failure> {
    let mut writer = Writer::create(path)?;
    for entry in generated(count) {
        writer.write(&entry)?;
    }
    Ok(writer.finish()?)
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |flag: &str| {
        let place = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(place + 1..)
    };
    if let Some([system, file, dir, ..]) = after("--child") {
        return child::import(system, Path::new(file), Path::new(dir));
    }
    let scratch = tempfile::tempdir()?;
    let file = match extract("andorra-2025.osm.pbf") {
        Some(file) => file,
        None => {
            println!("andorra-2025: no such extract at hand, so the elements are made up");
            let file = scratch.path().join("made-up.osm.pbf");
            make_up(100_000, &file)?;
            file
        }
    };
    let quick = after("--quick").is_some();
    let mut run = Run {
        table: Table::default(),
        scratch,
        file,
        earlier: extract("andorra-2023.osm.pbf"),
        rounds: if quick { 1 } else { 5 },
        boxes: if quick { 50 } else { 500 },
    };
    println!("{}, {} bytes", run.file.display(), std::fs::metadata(&run.file)?.len());
    let only = after("--only").and_then(|rest| rest.first());
    let wants = |group: &str| only.is_none_or(|only| only == group);
    if wants("imports") {
        run.imports()?;
    }
    if wants("reads") || wants("edits") {
        run.reads(wants("reads"), wants("edits"))?;
    }
    if wants("updates") {
        run.updates()?;
    }
    #[cfg(feature = "peers")]
    if wants("postgis") {
        run.postgis()?;
    }
    if after("--ten-million").is_some() {
        run.ten_million()?;
    }
    run.table.write()
}
