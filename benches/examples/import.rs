//! Imports the files named, into a database that is removed afterwards, and says how long it took.
//! For profilers, and for `/usr/bin/time -v`.

use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    let dir = tempfile::tempdir()?;
    let start = Instant::now();
    let db = osmdb::Db::create_or_open(dir.path().join("db"))?;
    let imported = db.import(&files, |_, _| {})?;
    let time = start.elapsed();
    println!("{} elements in {time:?}, root {}", imported.read, db.root());
    println!("{} bytes on disk", db.store().disk_bytes()?);
    Ok(())
}
