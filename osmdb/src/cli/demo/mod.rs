//! `demo`: the story of two villages, told by the program itself.

mod edits;
mod village;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use osmdb::{Db, ElementId, Feature, Kind, Snapshot};
use prolly::Counting;

use self::edits::Edits;
use super::failure::Failure;
use super::merge::pages;
use super::output::{Out, counted, grouped, size};
use super::{database, json};

/// So many of the places found are named.
const NAMED: usize = 7;

pub(super) fn demo(dir: Option<&Path>) -> Result<(), Failure> {
    let start = Instant::now();
    let mut out = Out::new();
    // It is removed, with all in it, when it goes out of scope.
    let temporary;
    let place = match dir {
        Some(dir) => {
            claim(dir)?;
            dir
        }
        None => {
            temporary = tempfile::Builder::new()
                .prefix("osmdb-demo-")
                .tempdir()
                .map_err(Failure::file(std::env::temp_dir(), "creating a temporary directory"))?;
            temporary.path()
        }
    };
    Story { dir: place.to_owned() }.tell(&mut out)?;
    out.line("")?;
    match dir {
        Some(dir) => {
            let at = dir.display();
            out.line(format_args!("All of it is in {at}. Look around:"))?;
            out.line(format_args!("  osmdb --db {at}/a get node/{}", village::SPRING))?;
            out.line(format_args!("  osmdb --db {at}/a query --bbox {} --format ids", school_box()?))?;
            out.line(format_args!("  osmdb --db {at}/b stats"))?;
        }
        None => {
            let seconds = start.elapsed().as_secs_f64();
            out.line(format_args!(
                "That took {seconds:.1} s. The files are removed; `osmdb demo --dir DIR` keeps them."
            ))?;
        }
    }
    out.finish()
}

/// Takes a directory that nobody has a use for.
fn claim(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(Failure::file(dir, "creating the directory"))?;
    if database::is_empty(dir)? { Ok(()) } else { Err(Failure::NotEmpty(dir.into())) }
}

struct Story {
    dir: PathBuf,
}

impl Story {
    fn tell(&self, out: &mut Out) -> Result<(), Failure> {
        out.line(
            "Two villages, A and B, share a valley. Each has a computer with a map of it, and no network.",
        )?;
        let files = self.draw()?;
        let (a, b) = (Db::create_or_open(self.dir.join("a"))?, Db::create_or_open(self.dir.join("b"))?);
        import(out, &files, [("a", &a), ("b", &b)])?;
        edit(out, [("A", "a", &a, edits::of_a(&a)?), ("B", "b", &b, edits::of_b(&b)?)])?;
        merge(out, &a, &b)?;
        fork(out, &a)?;
        sparse(out, &a)
    }

    /// Writes the map files.
    fn draw(&self) -> Result<[PathBuf; 2], Failure> {
        let off_globe = |_| Failure::Demo("a place is off the globe");
        let land = (self.dir.join("land.osm"), village::land().map_err(off_globe)?);
        let villages = (self.dir.join("villages.osm"), village::villages().map_err(off_globe)?);
        for (path, text) in [&land, &villages] {
            fs::write(path, text).map_err(Failure::file(path, "writing the file"))?;
        }
        Ok([land.0, villages.0])
    }
}

fn import(out: &mut Out, files: &[PathBuf], dbs: [(&str, &Db); 2]) -> Result<(), Failure> {
    out.line("\n1. Both import the same files, land.osm and villages.osm.\n")?;
    for (name, db) in dbs {
        let start = Instant::now();
        let imported = db.import(files, |_, _| {})?;
        let counts = db.counts();
        out.line(format_args!(
            "   {name}: {} nodes, {} ways, {} in {:.2} s",
            grouped(counts.nodes),
            grouped(counts.ways),
            counted(counts.relations, "relation", "relations"),
            start.elapsed().as_secs_f64(),
        ))?;
        out.line(format_args!("      root {}", db.root()))?;
        check(imported.gained == counts.entries, "an import lost versions")?;
    }
    let [(_, a), (_, b)] = dbs;
    check(a.root() == b.root(), "the same files gave different roots")?;
    out.line("\n   The roots are equal, so the maps are, though the computers have never met.")?;
    Ok(())
}

fn edit(out: &mut Out, villages: [(&str, &str, &Db, Edits); 2]) -> Result<(), Failure> {
    out.line("\n2. They edit apart: each makes one commit.\n")?;
    let [a, b] = villages;
    let roots = [a.2, b.2];
    for (village, name, db, Edits { words, writes }) in [a, b] {
        out.line(format_args!("   Village {village}"))?;
        words.iter().try_for_each(|words| out.line(format_args!("    - {words}")))?;
        let mut batch = db.batch();
        for write in writes {
            batch.push(write);
        }
        let written = batch.commit()?;
        let written = counted(written.edits.len(), "new version", "new versions");
        out.line(format_args!("   {name}: {written}\n      root {}", db.root()))?;
    }
    let [a, b] = roots;
    check(a.root() != b.root(), "different edits gave one root")
}

fn merge(out: &mut Out, a: &Db, b: &Db) -> Result<(), Failure> {
    out.line("\n3. They meet, and merge both ways: only where the hashes differ is anything read.\n")?;
    let (before_a, before_b) = (a.root(), b.root());
    // What B reads from A is what A had before it learned of B's edits.
    let (as_it_was_a, as_it_was_b) =
        (Snapshot::open(a.store(), before_a)?, Snapshot::open(b.store(), before_b)?);
    let totals = (pages(&as_it_was_a)?, pages(&as_it_was_b)?);
    for (name, db, of, other, total) in
        [("a", a, "b", &as_it_was_b, totals), ("b", b, "a", &as_it_was_a, (totals.1, totals.0))]
    {
        let merged = db.merge(other)?;
        out.line(format_args!(
            "   {name} takes from {of}: gained {}, read {} here (of {}) and {} there (of {}), {}",
            counted(merged.gained, "version", "versions"),
            counted(merged.pages_here, "page", "pages"),
            grouped(total.0),
            merged.pages_there,
            grouped(total.1),
            counted(merged.forked.len(), "fork", "forks"),
        ))?;
        out.line(format_args!("      root {}", merged.root))?;
        check(merged.forked == [ElementId::node(village::SPRING)], "not exactly the spring has forked")?;
    }
    check(a.root() == b.root(), "the merged databases have different roots")?;
    let again = a.merge(&b.snapshot())?;
    out.line("\n   The roots are equal again: both have everything that either had.")?;
    out.line(format_args!(
        "   Merging once more reads {} here and {} there: the root is known.",
        counted(again.pages_here, "page", "pages"),
        again.pages_there
    ))
}

fn fork(out: &mut Out, db: &Db) -> Result<(), Failure> {
    let spring = ElementId::node(village::SPRING);
    out.line(format_args!(
        "\n4. Both wrote about the spring. Nothing is lost and nobody is overruled: {spring} has"
    ))?;
    out.line("   two heads until somebody who knows the spring edits it again.\n")?;
    let heads = db.get(spring)?;
    check(heads.len() == 2, "the fork has not two heads")?;
    for osmdb::Head { version, entry } in &heads {
        let version: String = version.to_string().chars().take(8).collect();
        let time = json::time(entry.timestamp().unwrap_or_default());
        let tags = entry.payload.iter().flat_map(|payload| payload.tags().iter());
        let tags: Vec<String> = tags.map(|(key, value)| format!("{key}={value}")).collect();
        out.line(format_args!("   {version}…  {}  {}", time.as_str().unwrap_or_default(), tags.join(", ")))?;
    }
    Ok(())
}

fn school_box() -> Result<osmdb::BBox, Failure> {
    let (row, column) = edits::SCHOOL;
    village::between((row, column), (row + 1, column + 2)).map_err(|_| Failure::Demo("a box is none"))
}

fn sparse(out: &mut Out, db: &Db) -> Result<(), Failure> {
    let bbox = school_box()?;
    let stats = db.snapshot().tree_stats()?;
    let (all_pages, all_bytes) =
        stats.iter().fold((0, 0), |(pages, bytes), (_, tree)| (pages + tree.pages, bytes + tree.bytes));
    let counting = Counting::new(db.store());
    let snapshot = Snapshot::open(&counting, db.root())?;
    let features = snapshot.query(bbox).collect::<Result<Vec<Feature>, _>>()?;
    let of = |kind| features.iter().filter(|feature| feature.element.kind == kind).count();
    out.line(format_args!("\n5. What is around the school? The box {bbox}\n"))?;
    out.line(format_args!(
        "   holds {}, {} and {}, such as:",
        counted(of(Kind::Node), "node", "nodes"),
        counted(of(Kind::Way), "way", "ways"),
        counted(of(Kind::Relation), "relation", "relations"),
    ))?;
    for feature in features.iter().filter(|feature| feature.tags.get("name").is_some()).take(NAMED) {
        let words = ["amenity", "highway", "building", "route"];
        let what = words.iter().find_map(|key| feature.tags.get(key)).unwrap_or_default();
        let name = feature.tags.get("name").unwrap_or_default();
        out.line(format_args!("    - {name} ({what}), {}", feature.element))?;
    }
    out.line(format_args!(
        "\n   The answer took {} of all {} ({} of {}): so much would a phone have to fetch,",
        counted(counting.pages(), "page", "pages"),
        grouped(all_pages),
        size(counting.bytes()),
        size(all_bytes),
    ))?;
    out.line("   and check against the root, to ask this of a map that it does not have.")
}

fn check(holds: bool, otherwise: &'static str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Demo(otherwise)) }
}
