//! Ours against other ordered indexes: the same data, in one process, taking turns.
//!
//! Prints a table of medians and writes `target/bench/peers.json`. `PAIRS` sets how many pairs of
//! 16 + 100 bytes there are (1,000,000 if it is not set). `redb` keeps no hashes: it is what plain
//! storage costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::{Pair, pair, sorted_pairs};
use prolly::{Config, MemoryStore, Tree};
use prolly_map::{MemStore, Mutation, Prolly};
use redb::{ReadableDatabase, TableDefinition};

type Failure = Box<dyn std::error::Error>;

/// How often every row is measured; the table shows medians.
const ROUNDS: usize = 7;

/// A system that holds the pairs and does the work of one row, timed by itself.
trait System {
    fn name(&self) -> &'static str;
    fn build(&mut self, pairs: &[Pair]) -> Result<Duration, Failure>;
    fn get(&mut self, keys: &[[u8; 16]]) -> Result<Duration, Failure>;
    fn scan(&mut self, from: &[u8; 16], most: usize) -> Result<Duration, Failure>;
    /// Applies a batch to the pairs as built; the next round begins from these again.
    fn batch(&mut self, batch: &[Pair]) -> Result<Duration, Failure>;
    /// Compares the pairs as built with what the latest batch made of them, and expects this many
    /// changes. `None`: it cannot.
    fn diff(&mut self, expected: usize) -> Result<Option<Duration>, Failure>;
    fn bytes(&self) -> Result<u64, Failure>;
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = black_box(work());
    (result, start.elapsed())
}

#[derive(Default)]
struct Ours {
    store: MemoryStore,
    tree: Option<Tree>,
    edited: Option<Tree>,
}

impl Ours {
    fn tree(&self) -> Result<Tree, Failure> {
        self.tree.ok_or_else(|| "nothing is built".into())
    }
}

impl System for Ours {
    fn name(&self) -> &'static str {
        "prolly"
    }

    fn build(&mut self, pairs: &[Pair]) -> Result<Duration, Failure> {
        self.store = MemoryStore::new();
        let (tree, time) =
            timed(|| Tree::build(&self.store, Config::default(), pairs.iter().map(|(k, v)| (k, v))));
        self.tree = Some(tree?);
        Ok(time)
    }

    fn get(&mut self, keys: &[[u8; 16]]) -> Result<Duration, Failure> {
        let tree = self.tree()?;
        let (found, time) = timed(|| {
            keys.iter().filter(|key| matches!(tree.get(&self.store, &key[..]), Ok(Some(_)))).count()
        });
        expect(found, keys.len())?;
        Ok(time)
    }

    fn scan(&mut self, from: &[u8; 16], most: usize) -> Result<Duration, Failure> {
        let tree = self.tree()?;
        let (found, time) =
            timed(|| tree.range(&self.store, &from[..]..).take(most).filter(Result::is_ok).count());
        expect(found, most)?;
        Ok(time)
    }

    fn batch(&mut self, batch: &[Pair]) -> Result<Duration, Failure> {
        let tree = self.tree()?;
        let edits: Vec<_> = batch.iter().map(|(key, value)| (key.to_vec(), Some(value.to_vec()))).collect();
        let (edited, time) = timed(|| tree.edit(&self.store, edits));
        self.edited = Some(edited?);
        Ok(time)
    }

    fn diff(&mut self, expected: usize) -> Result<Option<Duration>, Failure> {
        let (tree, edited) = (self.tree()?, self.edited.ok_or("no batch was applied")?);
        let (found, time) = timed(|| tree.diff(&edited, &self.store).map(Iterator::count));
        expect(found?, expected)?;
        Ok(Some(time))
    }

    fn bytes(&self) -> Result<u64, Failure> {
        Ok(self.tree()?.stats(&self.store)?.bytes)
    }
}

struct ProllyMap {
    map: Prolly<MemStore>,
    tree: Option<prolly_map::Tree>,
    edited: Option<prolly_map::Tree>,
}

impl ProllyMap {
    fn new() -> Self {
        Self { map: Prolly::new(MemStore::new(), prolly_map::Config::default()), tree: None, edited: None }
    }

    fn tree(&self) -> Result<&prolly_map::Tree, Failure> {
        self.tree.as_ref().ok_or_else(|| "nothing is built".into())
    }
}

impl System for ProllyMap {
    fn name(&self) -> &'static str {
        "prolly-map"
    }

    fn build(&mut self, pairs: &[Pair]) -> Result<Duration, Failure> {
        *self = Self::new();
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let (tree, time) = timed(|| self.map.build_from_sorted_entries(pairs));
        self.tree = Some(tree?);
        Ok(time)
    }

    fn get(&mut self, keys: &[[u8; 16]]) -> Result<Duration, Failure> {
        let tree = self.tree()?;
        let (found, time) =
            timed(|| keys.iter().filter(|key| matches!(self.map.get(tree, &key[..]), Ok(Some(_)))).count());
        expect(found, keys.len())?;
        Ok(time)
    }

    fn scan(&mut self, from: &[u8; 16], most: usize) -> Result<Duration, Failure> {
        let tree = self.tree()?;
        let (found, time) = timed(|| {
            Ok::<_, Failure>(self.map.range(tree, from, None)?.take(most).filter(Result::is_ok).count())
        });
        expect(found?, most)?;
        Ok(time)
    }

    fn batch(&mut self, batch: &[Pair]) -> Result<Duration, Failure> {
        let tree = self.tree()?;
        let upsert = |(key, val): &Pair| Mutation::Upsert { key: key.to_vec(), val: val.to_vec() };
        let mutations: Vec<_> = batch.iter().map(upsert).collect();
        let (edited, time) = timed(|| self.map.batch(tree, mutations));
        self.edited = Some(edited?);
        Ok(time)
    }

    fn diff(&mut self, expected: usize) -> Result<Option<Duration>, Failure> {
        let (tree, edited) = (self.tree()?, self.edited.as_ref().ok_or("no batch was applied")?);
        let (found, time) = timed(|| self.map.diff(tree, edited));
        expect(found?.len(), expected)?;
        Ok(Some(time))
    }

    fn bytes(&self) -> Result<u64, Failure> {
        Ok(self.map.collect_stats(self.tree()?)?.total_tree_size_bytes as u64)
    }
}

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pairs");

#[derive(Default)]
struct Redb {
    open: Option<(tempfile::TempDir, redb::Database)>,
}

impl Redb {
    fn database(&self) -> Result<&redb::Database, Failure> {
        self.open.as_ref().map(|(_, database)| database).ok_or_else(|| "nothing is built".into())
    }

    fn insert(&self, pairs: &[Pair], keep: bool) -> Result<(), Failure> {
        let write = self.database()?.begin_write()?;
        {
            let mut table = write.open_table(TABLE)?;
            for (key, value) in pairs {
                table.insert(&key[..], &value[..])?;
            }
        }
        if keep {
            write.commit()?
        } else {
            write.abort()?
        }
        Ok(())
    }
}

impl System for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn build(&mut self, pairs: &[Pair]) -> Result<Duration, Failure> {
        let dir = tempfile::tempdir()?;
        let database = redb::Database::create(dir.path().join("redb"))?;
        self.open = Some((dir, database));
        let (done, time) = timed(|| self.insert(pairs, true));
        done?;
        Ok(time)
    }

    fn get(&mut self, keys: &[[u8; 16]]) -> Result<Duration, Failure> {
        let table = self.database()?.begin_read()?.open_table(TABLE)?;
        let (found, time) =
            timed(|| keys.iter().filter(|key| matches!(table.get(&key[..]), Ok(Some(_)))).count());
        expect(found, keys.len())?;
        Ok(time)
    }

    fn scan(&mut self, from: &[u8; 16], most: usize) -> Result<Duration, Failure> {
        let table = self.database()?.begin_read()?.open_table(TABLE)?;
        let (found, time) =
            timed(|| Ok::<_, Failure>(table.range(&from[..]..)?.take(most).filter(Result::is_ok).count()));
        expect(found?, most)?;
        Ok(time)
    }

    fn batch(&mut self, batch: &[Pair]) -> Result<Duration, Failure> {
        let (done, time) = timed(|| self.insert(batch, false));
        done?;
        Ok(time)
    }

    fn diff(&mut self, _: usize) -> Result<Option<Duration>, Failure> {
        Ok(None)
    }

    fn bytes(&self) -> Result<u64, Failure> {
        let (dir, _) = self.open.as_ref().ok_or("nothing is built")?;
        Ok(std::fs::metadata(dir.path().join("redb"))?.len())
    }
}

fn expect(found: usize, expected: usize) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(format!("{found} found, {expected} expected").into()) }
}

/// The median of each system for one row, in nanoseconds per operation; `None`: it cannot.
struct Row {
    name: String,
    medians: Vec<Option<f64>>,
}

/// Measures a row: the systems take turns, round by round.
fn row(
    name: impl Into<String>,
    operations: u64,
    rounds: usize,
    systems: &mut [Box<dyn System>],
    mut work: impl FnMut(&mut dyn System, usize) -> Result<Option<Duration>, Failure>,
) -> Result<Row, Failure> {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); systems.len()];
    for round in 0..rounds {
        for (system, times) in systems.iter_mut().zip(&mut times) {
            times
                .extend(work(system.as_mut(), round)?.map(|time| time.as_nanos() as f64 / operations as f64));
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    };
    let row = Row { name: name.into(), medians: times.into_iter().map(median).collect() };
    print_row(&row);
    Ok(row)
}

fn print_row(row: &Row) {
    let show =
        |median: &Option<f64>| median.map_or_else(|| format!("{:>14}", "–"), |ns| format!("{ns:>11.0} ns"));
    let cells: Vec<_> = row.medians.iter().map(show).collect();
    let ratio = match row.medians.first_chunk() {
        Some([Some(ours), Some(theirs)]) => format!("{:.2} ×", ours / theirs),
        _ => "–".to_owned(),
    };
    println!("{:<34} {} {ratio:>9}", row.name, cells.join(" "));
}

fn main() -> Result<(), Failure> {
    let count: u64 = std::env::var("PAIRS").ok().map_or(Ok(1_000_000), |count| count.parse())?;
    let pairs = sorted_pairs(count);
    let mut systems: Vec<Box<dyn System>> =
        vec![Box::new(Ours::default()), Box::new(ProllyMap::new()), Box::new(Redb::default())];
    let names: Vec<_> = systems.iter().map(|system| system.name()).collect();
    println!("{count} pairs of 16 + 100 bytes, medians per operation; the ratio is ours to prolly-map's");
    let heads: Vec<_> = names.iter().map(|name| format!("{name:>14}")).collect();
    println!("{:<34} {} {:>9}", "", heads.join(" "), "ratio");

    let mut rows = vec![row("sorted bulk build, per pair", count, 3, &mut systems, |system, _| {
        system.build(&pairs).map(Some)
    })?];
    let keys = |round: usize| -> Vec<[u8; 16]> {
        (0..10_000).map(|n| pair((n * 7_919 + round as u64) % count).0).collect()
    };
    rows.push(row("warm get", 10_000, ROUNDS, &mut systems, |system, round| {
        system.get(&keys(round)).map(Some)
    })?);
    let first = pairs.first().ok_or("there must be pairs")?.0;
    rows.push(row("full scan, per pair", count, ROUNDS, &mut systems, |system, _| {
        system.scan(&first, pairs.len()).map(Some)
    })?);
    let middle = pairs.get(pairs.len() / 2).ok_or("there must be pairs")?.0;
    rows.push(row("range of 1,000, per pair", 1_000, 99, &mut systems, |system, _| {
        system.scan(&middle, 1_000).map(Some)
    })?);
    for size in [1_u64, 100, 1_000, 10_000, 100_000] {
        let batch = |round: usize| -> Vec<Pair> {
            let number = |n: u64| (n * 7_919 + round as u64) % count;
            (0..size.min(count)).map(|n| (pair(number(n)).0, pair(number(n) + count).1)).collect()
        };
        let rounds = if size > 10_000 { 3 } else { ROUNDS };
        let name = format!("batch of {size} updates, per update");
        rows.push(row(name, size, rounds, &mut systems, |system, round| {
            system.batch(&batch(round)).map(Some)
        })?);
        if size <= 10_000 {
            let name = format!("diff of {size} changes");
            let size = usize::try_from(size)?;
            rows.push(row(name, 1, ROUNDS, &mut systems, |system, _| system.diff(size))?);
        }
    }
    let bytes = systems.iter().map(|system| system.bytes()).collect::<Result<Vec<_>, _>>()?;
    let raw = count * 116;
    let shown: Vec<_> = bytes.iter().map(|bytes| format!("{:>12.3} ×", *bytes as f64 / raw as f64)).collect();
    println!("{:<34} {}", "stored bytes, to the raw pairs", shown.join(" "));
    write_json(&names, &rows, &bytes)
}

fn write_json(names: &[&str], rows: &[Row], bytes: &[u64]) -> Result<(), Failure> {
    let mut out = Vec::new();
    for row in rows {
        for (system, median) in names.iter().zip(&row.medians) {
            out.push(
                serde_json::json!({ "row": row.name, "system": system, "median_ns": median, "bytes": null }),
            );
        }
    }
    for (system, bytes) in names.iter().zip(bytes) {
        out.push(
            serde_json::json!({ "row": "stored bytes", "system": system, "median_ns": null, "bytes": bytes }),
        );
    }
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("peers.json"), serde_json::to_vec_pretty(&out)?)?;
    Ok(())
}
