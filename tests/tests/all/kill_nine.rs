//! A process killed at any moment of an import or a merge leaves a database that opens, shows the
//! root that it reported last or the one it was committing, and verifies.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osmdb::Db;
use prolly::Cid;
use tests::{Rng, Worker, copy_dir, data, later, to_pbf, village};

/// What the worker is to do, from a directory to begin with; and what must come of it.
struct Plan {
    scratch: tempfile::TempDir,
    /// Copied before every round; `None`: the worker creates the database.
    base: Option<PathBuf>,
    steps: Vec<String>,
    /// The root before the first step and after each.
    roots: Vec<Cid>,
    /// How long it takes to the first root, and from each to the next.
    times: Vec<Duration>,
}

fn start(db: &Path, steps: &[String]) -> Worker {
    Worker::start(env!("CARGO_BIN_EXE_worker"), db, steps)
}

impl Plan {
    /// Does everything once without a kill, to learn the roots and how long it takes.
    fn new(scratch: tempfile::TempDir, base: Option<PathBuf>, steps: Vec<String>) -> Self {
        let mut plan = Self { scratch, base, steps, roots: Vec::new(), times: Vec::new() };
        let dir = plan.fresh("whole");
        let mut before = Instant::now();
        let mut worker = start(&dir, &plan.steps);
        while worker.next_root().is_some() {
            plan.times.push(before.elapsed());
            before = Instant::now();
        }
        let report = worker.finish();
        assert!(report.finished);
        plan.roots = report.roots;
        assert_eq!(plan.roots.len(), plan.steps.len() + 1);
        plan
    }

    fn fresh(&self, name: &str) -> PathBuf {
        let db = self.scratch.path().join(name);
        if let Some(base) = &self.base {
            copy_dir(base, &db);
        }
        db
    }

    /// Kills the worker in the midst of it, so many times, each at another moment.
    fn run(&self, rounds: u64, seed: u64) {
        let mut rng = Rng::new(seed);
        let mut ends = vec![0; self.roots.len()];
        for round in 0..rounds {
            let name = format!("round-{round}");
            let dir = self.fresh(&name);
            // Every step is as likely as any other, and every moment of it.
            let step = rng.index(self.times.len());
            let part = u32::try_from(rng.below(1_000)).unwrap();
            let mut worker = start(&dir, &self.steps);
            for _ in 0..step {
                worker.next_root();
            }
            let report = worker.kill_after(self.times[step] * part / 1_000);
            assert_eq!(report.roots, self.roots[..report.roots.len()], "seed {seed}, round {round}");
            let at = self.check(&dir, report.roots.len(), &format!("seed {seed}, round {round}"));
            ends[at] += 1;
            if round % 8 == 0 {
                self.go_on(&dir);
            }
            std::fs::remove_dir_all(dir).unwrap();
        }
        println!("{rounds} rounds ended at these steps: {ends:?}");
    }

    /// Opens what is left; returns how many steps it holds.
    fn check(&self, dir: &Path, reported: usize, context: &str) -> usize {
        let is_there = reported > 0 || self.base.is_some();
        let db = if is_there { Db::open(dir) } else { Db::create_or_open(dir) };
        let db = db.unwrap_or_else(|error| panic!("{context}: {error}"));
        let scratch = dir.join("scratch");
        assert!(!scratch.exists(), "{context}: files of a sort are left");
        let root = db.root();
        let at = self.roots.iter().position(|known| *known == root);
        let at = at.unwrap_or_else(|| panic!("{context}: {root} is the root of no step"));
        // The last step reported, or the one after it, which was being committed.
        let last = reported.saturating_sub(1);
        let possible = last..=last + usize::from(reported > 0);
        assert!(possible.contains(&at), "{context}: step {at} of {possible:?}");
        db.verify().unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(db.reflog().unwrap().last().map(|last| last.root), Some(root), "{context}");
        at
    }

    /// The next process takes up the work, and comes to the same end.
    fn go_on(&self, dir: &Path) {
        let report = start(dir, &self.steps).finish();
        assert!(report.finished);
        assert_eq!(report.roots.last(), self.roots.last());
    }
}

/// Writes versions of one village, each later than the one before.
fn write_villages(dir: &Path, seed: u64, nodes: u64) -> Vec<PathBuf> {
    let mut entries = village(seed, nodes);
    let write = |number: u64| {
        let path = dir.join(format!("village-{number}.osm.pbf"));
        std::fs::write(&path, to_pbf(&entries)).unwrap();
        entries = later(&entries, seed + number, 30);
        path
    };
    (1..=4).map(write).collect()
}

fn step(what: &str, path: &Path) -> String {
    format!("{what}:{}", path.to_str().unwrap())
}

#[test]
fn while_it_imports() {
    let scratch = tempfile::tempdir().unwrap();
    let files = write_villages(scratch.path(), 1, 2_500);
    let steps = files.iter().map(|file| step("import", file)).collect();
    Plan::new(scratch, None, steps).run(50, 11);
}

#[test]
fn while_it_imports_monaco() {
    let Some(monaco) = data("monaco-2023.osm.pbf") else { return };
    let scratch = tempfile::tempdir().unwrap();
    Plan::new(scratch, None, vec![step("import", &monaco)]).run(6, 12);
}

#[test]
fn while_it_merges() {
    let scratch = tempfile::tempdir().unwrap();
    let files = write_villages(scratch.path(), 2, 2_500);
    let import = |name: &str, file: &Path| {
        let dir = scratch.path().join(name);
        let db = Db::create_or_open(&dir).unwrap();
        db.import(&[file], |_, _| {}).unwrap();
        (dir, db.root())
    };
    let (base, _) = import("base", &files[0]);
    let others: Vec<(PathBuf, Cid)> =
        files.iter().skip(1).map(|file| import(file.file_stem().unwrap().to_str().unwrap(), file)).collect();
    let steps = others.iter().map(|(dir, _)| step("merge", dir)).collect();
    let plan = Plan::new(scratch, Some(base), steps);
    plan.run(50, 13);
    // The others were only read, by many who were killed meanwhile.
    for (dir, root) in others {
        let db = Db::open(dir).unwrap();
        assert_eq!(db.root(), root);
        db.verify().unwrap();
    }
}
