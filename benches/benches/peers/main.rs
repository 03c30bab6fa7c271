//! Ours against other ordered indexes: the same data, in one process, taking turns.
//!
//! Prints a table of medians and writes `target/bench/peers.json`. `redb` and `fjall` keep no hashes:
//! they are what plain storage costs. Options, behind `--`:
//!
//! - `--pairs N`: only this many pairs, instead of 100,000 and then 1,000,000
//! - `--only GROUP`: only one of `gets`, `scans`, `batches`, `merges`, `proofs`, after a build
//! - `--ten-million`: also builds, gets and diffs of 10,000,000 pairs, and the peak memory of a build

mod ours;
mod peak;
mod plain;
mod prolly_map;
mod system;
mod table;

use benches::{Pair, pair, sorted_pairs};

use self::system::{Failure, Key, System};
use self::table::Table;

/// How often a row is measured; the table shows medians.
const ROUNDS: usize = 7;

/// How often, if once takes long.
const FEW_ROUNDS: usize = 3;

/// How many keys a round of gets has, so that it takes milliseconds.
const GETS: usize = 10_000;

/// The row of a table, with the number of pairs it was measured at.
fn named(row: &str, count: u64) -> String {
    format!("{row}, {} pairs", grouped(count))
}

fn grouped(number: u64) -> String {
    match number / 1_000 {
        0 => number.to_string(),
        front => format!("{},{:03}", grouped(front), number % 1_000),
    }
}

/// Other values for pairs scattered over the tree; no two numbers are the same up to `count`.
fn updates(size: u64, seed: u64, count: u64) -> Vec<Pair> {
    let number = |n: u64| (n * 7_919 + seed) % count;
    (0..size.min(count)).map(|n| (pair(number(n)).0, pair(number(n) + count * (seed + 2)).1)).collect()
}

fn keys(amount: usize, seed: usize, count: u64) -> Vec<Key> {
    (0..amount as u64).map(|n| pair((n * 7_919 + seed as u64) % count).0).collect()
}

struct Run {
    systems: Vec<Box<dyn System>>,
    table: Table,
    count: u64,
}

impl Run {
    fn row(
        &mut self,
        name: &str,
        operations: usize,
        rounds: usize,
        work: impl FnMut(&mut dyn System, usize) -> system::Timed,
    ) -> Result<(), Failure> {
        self.table.time(named(name, self.count), operations, rounds, &mut self.systems, work)
    }

    fn builds(&mut self, sorted: &[Pair], rounds: usize) -> Result<(), Failure> {
        self.row("sorted bulk build, per pair", sorted.len(), rounds, |system, _| system.build(sorted))
    }

    fn random_build(&mut self) -> Result<(), Failure> {
        let pairs: Vec<Pair> = (0..self.count).map(pair).collect();
        self.row("random bulk build, per pair", pairs.len(), FEW_ROUNDS, |system, _| {
            system.build_random(&pairs)
        })
    }

    fn gets(&mut self) -> Result<(), Failure> {
        let count = self.count;
        self.row("warm get", GETS, ROUNDS, |system, round| system.get(&keys(GETS, round, count)))?;
        self.row("cold get from disk", 1_000, FEW_ROUNDS, |system, round| {
            system.cold_get(&keys(1_000, round, count))
        })
    }

    fn scans(&mut self, sorted: &[Pair]) -> Result<(), Failure> {
        let all = sorted.len();
        let first = sorted.first().ok_or("there must be pairs")?.0;
        let middle = sorted.get(all / 2).ok_or("there must be pairs")?.0;
        self.row("full scan, per pair", all, ROUNDS, |system, _| system.visit(all))?;
        self.row("full scan to keep, per pair", all, ROUNDS, |system, _| system.scan(&first, all))?;
        self.row("range of 1,000, per pair", 1_000, 99, |system, _| system.scan(&middle, 1_000))
    }

    fn batches(&mut self, sizes: &[u64]) -> Result<(), Failure> {
        let count = self.count;
        for &size in sizes {
            let rounds = if size > 10_000 { FEW_ROUNDS } else { ROUNDS };
            let operations = usize::try_from(size)?;
            let name = format!("batch of {} updates, per update", grouped(size));
            self.row(&name, operations, rounds, |system, round| {
                system.batch(&updates(size, round as u64, count))
            })?;
            if [1, 100, 10_000].contains(&size) {
                let name = format!("diff of {} changes", grouped(size));
                self.row(&name, 1, ROUNDS, |system, _| system.diff(operations))?;
            }
        }
        Ok(())
    }

    fn appends(&mut self) -> Result<(), Failure> {
        let behind = |number: u64| {
            let (mut key, value) = pair(number + 7_000_000_000);
            key[..8].copy_from_slice(&[u8::MAX; 8]);
            key[8..].copy_from_slice(&number.to_be_bytes());
            (key, value)
        };
        let batch: Vec<Pair> = (0..100_000).map(behind).collect();
        self.row("100,000 appended, per pair", batch.len(), FEW_ROUNDS, |system, _| system.batch(&batch))
    }

    fn merges(&mut self) -> Result<(), Failure> {
        let (count, tenth) = (self.count, self.count / 10);
        let pair = |n: u64, seed: u64| updates(1, n * 7_919 + seed, count).swap_remove(0);
        let left: Vec<Pair> = (0..100).map(|n| pair(2 * n, 0)).collect();
        let right: Vec<Pair> = (0..100).map(|n| pair(2 * n + 1, 0)).collect();
        self.row("three-way merge, 100 + 100 disjoint", 1, ROUNDS, |system, _| system.merge(&left, &right))?;
        let left = updates(tenth, 1, count);
        // Other steps through the numbers, so about a tenth of the keys are in both.
        let right: Vec<Pair> = (0..tenth).map(|n| updates(1, n * 104_729, count).swap_remove(0)).collect();
        self.row("three-way merge, 10 % + 10 % random", 1, FEW_ROUNDS, |system, _| {
            system.merge(&left, &right)
        })
    }

    fn proofs(&mut self) -> Result<(), Failure> {
        let keys = keys(1_000, 1, self.count);
        let mut lengths = vec![None; self.systems.len()];
        let mut turn = 0;
        let systems = lengths.len();
        self.row("proof of a key, made", keys.len(), ROUNDS, |system, _| {
            let made = system.prove(&keys)?;
            if let Some(length) = lengths.get_mut(turn % systems) {
                *length = made.map(|(_, bytes)| bytes / keys.len() as u64);
            }
            turn += 1;
            Ok(made.map(|(time, _)| time))
        })?;
        self.row("proof of a key, verified", keys.len(), ROUNDS, |system, _| system.verify())?;
        self.table.bytes(named("proof of a key", self.count), &lengths);
        Ok(())
    }

    fn sizes(&mut self) -> Result<(), Failure> {
        let bytes: Result<Vec<_>, _> = self.systems.iter().map(|system| system.bytes()).collect();
        self.table.bytes(named("stored bytes", self.count), &bytes?);
        Ok(())
    }

    fn peaks(&mut self) -> Result<(), Failure> {
        let mut peaks = vec![None; self.systems.len()];
        for (system, peak) in self.systems.iter().zip(&mut peaks) {
            if peak::SYSTEMS.contains(&system.name()) {
                *peak = Some(peak::measure(system.name(), self.count)?);
            }
        }
        self.table.bytes(named("peak memory of a streaming build to fjall", self.count), &peaks);
        Ok(())
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |flag: &str| {
        let place = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(place + 1..)
    };
    if let Some([system, count, ..]) = after("--peak") {
        return peak::child(system, count.parse()?);
    }
    let counts: Vec<u64> = match after("--pairs") {
        Some([count, ..]) => vec![count.parse()?],
        _ => vec![100_000, 1_000_000],
    };
    let systems: Vec<Box<dyn System>> = vec![
        Box::new(ours::Ours::default()),
        Box::new(prolly_map::ProllyMap::default()),
        Box::new(plain::Redb::default()),
        Box::new(plain::Fjall::default()),
    ];
    println!("pairs of 16 + 100 bytes, medians per operation; the ratio is ours to prolly-map's");
    let mut run = Run { table: Table::new(&systems), systems, count: 0 };
    for count in counts {
        run.count = count;
        let sorted = sorted_pairs(count);
        let only = after("--only").and_then(|rest| rest.first());
        if only.is_some() {
            run.builds(&sorted, 1)?;
        } else {
            run.builds(&sorted, FEW_ROUNDS)?;
            run.random_build()?;
        }
        let wants = |group: &str| only.is_none_or(|only| only == group);
        if wants("gets") {
            run.gets()?;
        }
        if wants("scans") {
            run.scans(&sorted)?;
        }
        if wants("batches") {
            run.batches(&[1, 100, 1_000, 10_000, 100_000])?;
            run.appends()?;
        }
        if wants("merges") {
            run.merges()?;
        }
        if wants("proofs") {
            run.proofs()?;
        }
        if only.is_none() {
            run.sizes()?;
            run.peaks()?;
        }
    }
    if after("--ten-million").is_some() {
        run.count = 10_000_000;
        let sorted = sorted_pairs(run.count);
        run.builds(&sorted, 1)?;
        run.gets()?;
        run.batches(&[100])?;
        run.peaks()?;
    }
    run.table.write()
}
