//! Imports the files named, into a database that is removed afterwards, and says how long it took; with
//! `--each` first, each onto those before it. For profilers, and for `/usr/bin/time -v`.

use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files: Vec<_> = std::env::args_os().skip(1).collect();
    let each = files.first().is_some_and(|first| first == "--each");
    let files: Vec<_> = if each { files.drain(1..).map(|file| vec![file]).collect() } else { vec![files] };
    let dir = tempfile::tempdir()?;
    let mut start = Instant::now();
    let db = osmdb::Db::create_or_open(dir.path().join("db"))?;
    for files in files {
        let imported = db.import(&files, |_, _| {})?;
        let (read, time) = (imported.read, start.elapsed());
        println!("{read} elements ({} new) in {time:?}, root {}", imported.gained, db.root());
        start = Instant::now();
    }
    println!("{} bytes on disk", db.store().disk_bytes()?);
    Ok(())
}
