//! What it takes to unite two databases, and to ask one that is far away: round trips, bytes, work.
//!
//! Prints a table and writes `target/bench/wire.json`. Real extracts are taken where they are at hand (see
//! [`benches::extract`]). Options, behind `--`:
//!
//! - `--quick`: 170,000 made-up elements and not 1,700,000
//! - `--only TEXT`: only groups whose name has this text in it: `made up`, `andorra`, `far`, `11,290`, `negentropy`,
//!   `hyperbee`
//! - `--ten-million`: also a database of 10,000,000 made-up elements; takes minutes and 2 GB of disk
//!
//! With the feature `negentropy`, negentropy beside ours; hyperbee, where it is installed (`npm ci` in
//! `benches/hyperbee`).

mod far;
mod link;
mod peers;
mod table;

use std::path::Path;

use benches::{extract, generated};
use osmdb::{Coord, Db, ElementId, Payload, Snapshot, Tags, Write};
use prolly::{FjallStore, PageSource, Tree};

use self::link::{exchange, over_tcp};
use self::table::Table;

type Failure = Box<dyn std::error::Error>;

struct Run {
    table: Table,
    scratch: tempfile::TempDir,
    only: Option<String>,
}

impl Run {
    fn wants(&self, row: &str) -> bool {
        self.only.as_ref().is_none_or(|only| row.contains(only.as_str()))
    }

    fn empty(&self, name: &str) -> Result<Db<FjallStore>, Failure> {
        Ok(Db::create_or_open(self.scratch.path().join(name))?)
    }

    /// Returns a database with made-up elements.
    fn made_up(&self, name: &str, count: u64) -> Result<Db<FjallStore>, Failure> {
        let file = self.scratch.path().join(format!("{count}.osm.pbf"));
        if !file.exists() {
            let mut writer = osmdb::io::Writer::create(&file)?;
            for entry in generated(count) {
                writer.write(&entry)?;
            }
            writer.finish()?;
        }
        let db = self.empty(name)?;
        db.import(&[file], |_, _| {})?;
        Ok(db)
    }

    /// Exchanges what differs between two databases, as one row.
    fn exchange(
        &mut self,
        row: &str,
        ours: &Db<FjallStore>,
        theirs: &Db<FjallStore>,
        target: (f64, Option<u64>),
    ) -> Result<(), Failure> {
        let (left, right) = (ours.snapshot(), theirs.snapshot());
        let (own, compressed) = differing(&left, &right)?;
        let exchange = exchange(ours, theirs)?;
        if ours.root() != theirs.root() {
            return Err("the roots differ".into());
        }
        let entries = exchange.here.sent + exchange.there.sent;
        self.table.add(row, &exchange, entries, (own, compressed), target);
        Ok(())
    }

    /// Exchanges what differs over TCP, as one row.
    fn socket(&mut self, row: &str, ours: &Db<FjallStore>, theirs: &Db<FjallStore>) -> Result<(), Failure> {
        let (summary, time) = over_tcp(ours, theirs)?;
        if ours.root() != theirs.root() {
            return Err("the roots differ".into());
        }
        self.table.socket(row, time.as_secs_f64(), summary.bytes_in + summary.bytes_out);
        Ok(())
    }

    /// Returns another database with the same pages and a reflog that ends at the same root.
    fn twin(&self, of: &str, name: &str) -> Result<Db<FjallStore>, Failure> {
        let (from, to) = (self.scratch.path().join(of), self.scratch.path().join(name));
        copy(&from, &to)?;
        self.empty(name)
    }
}

/// Returns the bytes of all entries that one of two databases has, and the other has not; and as one zstd
/// stream compresses them.
fn differing<S: PageSource, T: PageSource>(
    left: &Snapshot<S>,
    right: &Snapshot<T>,
) -> Result<(u64, u64), Failure> {
    let both = prolly::Layered(left.source(), right.source());
    let (left, right) = (left.root().trees, right.root().trees);
    let mut all = Vec::new();
    let mut gather = |from: Tree, to: Tree, heads: bool| -> Result<(), Failure> {
        for change in from.diff(&to, &both)? {
            let change = change?;
            for value in [change.left, change.right].into_iter().flatten() {
                let value = prolly::read(&both, value)?;
                // A head stands in a list of one.
                all.extend_from_slice(value.get(usize::from(heads)..).unwrap_or_default());
            }
        }
        Ok(())
    };
    gather(left.heads, right.heads, true)?;
    gather(left.history, right.history, false)?;
    let compressed = zstd::bulk::compress(&all, 6)?;
    Ok((all.len() as u64, compressed.len() as u64))
}

/// Copies a directory.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir(to)?;
    for file in std::fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy(&file.path(), &target)?;
        } else {
            std::fs::copy(file.path(), target)?;
        }
    }
    Ok(())
}

/// Edits some nodes, one after another, as somebody does in the field.
fn edit(db: &Db<FjallStore>, ids: impl Iterator<Item = u64>) -> Result<(), Failure> {
    let mut batch = db.batch();
    for id in ids {
        let coord = Coord::new(425_000_000 + i64::try_from(id % 100_000)?, 15_000_000)?;
        let tags = Tags::from([("amenity", "drinking_water"), ("name", "a spring")]);
        batch.push(Write::put(ElementId::node(id), Payload::Node { coord, tags }));
    }
    batch.commit()?;
    Ok(())
}

/// Node ids that exist, far from each other.
fn scattered(db: &Db<FjallStore>, count: u64, phase: u64) -> Result<Vec<u64>, Failure> {
    let snapshot = db.snapshot();
    let tree = snapshot.root().trees.heads;
    let nodes = db.counts().nodes;
    let mut ids = Vec::new();
    for n in 0..count {
        let rank = (n * nodes / count + phase) % nodes;
        let pair = tree.select(snapshot.source(), rank)?.ok_or("no such pair")?;
        ids.push(u64::from_be_bytes(pair.0.get(1..9).ok_or("a short key")?.try_into()?));
    }
    Ok(ids)
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let only = arguments.iter().position(|argument| argument == "--only");
    let only = only.and_then(|place| arguments.get(place + 1).cloned());
    let elements = if arguments.iter().any(|argument| argument == "--quick") { 170_000 } else { 1_700_000 };
    let ten_million = arguments.iter().any(|argument| argument == "--ten-million");
    let mut run = Run { table: Table::default(), scratch: tempfile::tempdir()?, only };

    // First, since disks are still busy with the large ones when those have ended.
    if run.wants("11,290") {
        let (ours, theirs) = (run.made_up("p2p-a", 11_290)?, run.made_up("p2p-b", 11_290)?);
        run.exchange("11,290 elements: nothing to do", &ours, &theirs, (1.0, Some(80)))?;
        for (db, phase) in [(&ours, 1), (&theirs, 7)] {
            let mut batch = db.batch();
            for n in 0..100 {
                let coord = Coord::new(425_000_000 + 1000 * n + phase, 15_000_000)?;
                let tags = Tags::from([("amenity", "bench")]);
                batch.create(Payload::Node { coord, tags })?;
            }
            batch.commit()?;
        }
        run.exchange("11,290 elements: 100 + 100 new", &ours, &theirs, (1.0, Some(30_000)))?;
    }
    if run.wants("made up") {
        let ours = run.made_up("made-up-a", elements)?;
        let theirs = run.made_up("made-up-b", elements)?;
        run.exchange("made up: equal", &ours, &theirs, (1.0, Some(500)))?;
        let ids = scattered(&ours, 50, 11)?;
        edit(&ours, ids.into_iter())?;
        let ids = scattered(&theirs, 50, 5_003)?;
        edit(&theirs, ids.into_iter())?;
        run.exchange("made up: 50 + 50 edits since a shared root", &ours, &theirs, (1.0, None))?;

        let ids = scattered(&ours, 50, 17)?;
        edit(&ours, ids.into_iter())?;
        let ids = scattered(&theirs, 50, 6_007)?;
        edit(&theirs, ids.into_iter())?;
        run.socket("made up: 50 + 50 edits, TCP on one machine", &ours, &theirs)?;
        drop((ours, theirs));
        // The same entries by another way: no root in common.
        let ours = run.made_up("made-up-c", elements)?;
        let theirs = run.empty("made-up-d")?;
        edit(&theirs, scattered(&ours, 50, 5_003)?.into_iter())?;
        theirs.import(&[run.scratch.path().join(format!("{elements}.osm.pbf"))], |_, _| {})?;
        edit(&ours, scattered(&ours, 50, 11)?.into_iter())?;
        run.exchange("made up: 50 + 50 edits, no shared root", &ours, &theirs, (4.0, Some(150_000)))?;
    }
    if let (Some(earlier), Some(later)) = (extract("andorra-2023.osm.pbf"), extract("andorra-2025.osm.pbf"))
        && run.wants("andorra")
    {
        let size = later.metadata()?.len();
        let (ours, theirs) = (run.empty("2023")?, run.empty("2025")?);
        ours.import(&[&earlier], |_, _| {})?;
        theirs.import(&[&later], |_, _| {})?;
        run.exchange("andorra: 2023 meets 2025", &ours, &theirs, (5.0, None))?;
        let (ours, theirs) = (run.empty("nothing")?, run.empty("2025-b")?);
        theirs.import(&[&later], |_, _| {})?;
        run.exchange("andorra: nothing meets 2025", &ours, &theirs, (1.0, Some(3 * size)))?;
        let ours = run.empty("nothing-b")?;
        run.socket("andorra: nothing meets 2025, TCP on one machine", &ours, &theirs)?;
        let ours = run.empty("2023-b")?;
        ours.import(&[&earlier], |_, _| {})?;
        run.socket("andorra: 2023 meets 2025, TCP on one machine", &ours, &theirs)?;
    }
    if let Some(later) = extract("andorra-2025.osm.pbf")
        && run.wants("far")
    {
        let there = run.empty("far")?;
        there.import(&[&later], |_, _| {})?;
        far::measure(&mut run.table, there, &run.scratch.path().join("files"))?;
    }
    if ten_million && run.wants("ten million") {
        drop(run.made_up("ten-million-a", 10_000_000)?);
        let theirs = run.twin("ten-million-a", "ten-million-b")?;
        let ours = run.empty("ten-million-a")?;
        edit(&ours, scattered(&ours, 100, 11)?.into_iter())?;
        run.exchange("ten million: 100 edits since a shared root", &ours, &theirs, (1.0, Some(14_000)))?;
    }
    if run.wants("negentropy") {
        peers::negentropy(&mut run.table, elements)?;
    }
    if run.wants("hyperbee") {
        peers::hyperbee(&mut run.table)?;
    }
    run.table.write()
}
