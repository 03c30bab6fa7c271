//! Thousands of histories: three to six peers import, edit, delete, fork and resolve, merge as it comes,
//! crash and collect; in the end they meet, and have one root with all that was ever acknowledged.
//!
//! Every history follows from a number. `OSMDB_SCHEDULES=FIRST..END` runs others than CI does, such as the
//! one that failed.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use osmdb::{Db, Entry, Keep, Payload, Replaces, Tags};
use prolly::{FaultyStore, Lost};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tests::{Model, Rng, edit, peer, tiny, to_pbf};

/// How many histories CI runs.
const SCHEDULES: u64 = 10_000;

/// How many threads run them.
const THREADS: u64 = 2;

struct Peer {
    db: Db<FaultyStore>,
    model: Model,
    /// What its clock says.
    time: i64,
}

impl Peer {
    fn new(rng: &mut Rng) -> Self {
        Self { db: peer(rng), model: Model::default(), time: 1_700_000_000 }
    }

    fn import(&mut self, entries: Vec<Entry>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), to_pbf(&entries)).unwrap();
        self.db.import(&[file.path()], |_, _| {}).unwrap();
        entries.into_iter().for_each(|entry| self.model.add(entry));
    }

    fn write(&mut self, element: osmdb::ElementId, payload: Option<Payload>, replaces: Replaces) {
        if payload.is_none() && self.model.versions(element).0.is_empty() {
            return;
        }
        let version = edit(&self.db, element, payload, replaces, self.time);
        let head = self.db.get(element).unwrap().into_iter().find(|head| head.version == version).unwrap();
        self.model.add(head.entry);
        self.time += 1;
    }

    /// Goes down and comes up again: what was not committed is lost.
    fn crash(&mut self, rng: &mut Rng) {
        let lost = [Lost::All, Lost::Nothing, Lost::Some(rng.bits())][rng.index(3)];
        let root = self.db.root();
        self.db = Db::with_store(self.db.store().crash(lost), "osm").unwrap();
        assert_eq!(self.db.root(), root, "what was acknowledged survives");
    }
}

/// One history.
struct Schedule {
    rng: Rng,
    runner: TestRunner,
    spacing: i64,
    peers: Vec<Peer>,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let bytes: Vec<u8> = (0..4).flat_map(|_| rng.bits().to_be_bytes()).collect();
        let chacha = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), chacha);
        let spacing = tiny::spacing().new_tree(&mut runner).unwrap().current();
        let peers = (0..3 + rng.index(4)).map(|_| Peer::new(&mut rng)).collect();
        Self { rng, runner, spacing, peers }
    }

    fn pick<S: Strategy>(&mut self, strategy: S) -> S::Value {
        strategy.new_tree(&mut self.runner).unwrap().current()
    }

    fn step(&mut self) {
        let at = self.rng.index(self.peers.len());
        match self.rng.below(20) {
            0..=1 => {
                let entries = self.pick(tiny::file(self.spacing));
                self.peers[at].import(entries);
            }
            2..=6 => {
                let (element, payload) = self.pick(tiny::edited(self.spacing));
                self.peers[at].write(element, Some(payload), Replaces::Heads);
            }
            7..=8 => {
                let element = self.pick(tiny::element());
                self.peers[at].write(element, None, Replaces::Heads);
            }
            9..=10 => self.fork(at),
            11 => self.resolve(at),
            12 => {
                let payload = Payload::Changeset { tags: Tags::new(), closed: None };
                let id = osmdb::ElementId::new(osmdb::Kind::Changeset, 1 + self.rng.below(3));
                self.peers[at].write(id, Some(payload), Replaces::Heads);
            }
            13 => self.peers[at].crash(&mut self.rng),
            14 => drop(self.peers[at].db.gc(Keep { newest: self.rng.below(4), since: None }).unwrap()),
            _ => {
                let from = self.rng.index(self.peers.len());
                self.merge(from, at);
            }
        }
    }

    /// Edits any version that a peer knows, be it old.
    fn fork(&mut self, at: usize) {
        let (element, payload) = self.pick(tiny::edited(self.spacing));
        let (heads, replaced) = self.peers[at].model.versions(element);
        let known: Vec<_> = heads.into_iter().chain(replaced).map(|head| head.version).collect();
        let links = if known.is_empty() { Vec::new() } else { vec![known[self.rng.index(known.len())]] };
        let payload = (known.is_empty() || self.rng.chance(80)).then_some(payload);
        self.peers[at].write(element, payload, Replaces::Versions(links));
    }

    /// Ends a fork, if there is one.
    fn resolve(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        let forked = peer.model.elements().find(|element| peer.model.versions(*element).0.len() > 1);
        let Some(element) = forked else { return };
        let heads = peer.model.versions(element).0;
        let chosen = &heads[self.rng.index(heads.len())];
        if chosen.entry.payload.as_ref().is_none_or(|payload| payload.check_limits().is_ok()) {
            peer.write(element, chosen.entry.payload.clone(), Replaces::Heads);
        }
    }

    fn merge(&mut self, from: usize, into: usize) {
        if from == into {
            return;
        }
        let theirs = self.peers[from].model.clone();
        let before = self.peers[into].model.counts().entries;
        self.peers[into].model.merge(&theirs);
        let snapshot = self.peers[from].db.snapshot();
        let merged = self.peers[into].db.merge(&snapshot).unwrap();
        assert_eq!(merged.gained, self.peers[into].model.counts().entries - before);
        assert!(merged.refused.is_empty());
    }

    fn run(mut self) {
        for _ in 0..5 + self.rng.below(20) {
            self.step();
        }
        let mut all = Model::default();
        self.peers.iter().for_each(|peer| all.merge(&peer.model));
        // One hears of everybody, and everybody of that one; who comes when makes no difference.
        let hub = self.rng.index(self.peers.len());
        let mut others: Vec<usize> = (0..self.peers.len()).filter(|at| *at != hub).collect();
        for index in (1..others.len()).rev() {
            others.swap(index, self.rng.index(index + 1));
        }
        others.iter().for_each(|from| self.merge(*from, hub));
        others.iter().for_each(|into| self.merge(hub, *into));
        for peer in &mut self.peers {
            peer.crash(&mut self.rng);
        }
        for peer in &self.peers {
            assert_eq!(peer.db.root(), self.peers[hub].db.root());
        }
        // Heads and history by brute force; the views made anew.
        all.check(&self.peers[hub].db);
    }
}

#[test]
fn all_converge() {
    let (first, end) = match std::env::var("OSMDB_SCHEDULES") {
        Ok(range) => {
            let (first, end) = range.split_once("..").unwrap();
            (first.parse().unwrap(), end.parse().unwrap())
        }
        Err(_) => (0, SCHEDULES),
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for seed in (first..end).filter(|seed| seed % THREADS == thread) {
                    let history = AssertUnwindSafe(|| Schedule::new(seed).run());
                    if catch_unwind(history).is_err() {
                        panic!("schedule {seed} failed: OSMDB_SCHEDULES={seed}..{} runs it again", seed + 1);
                    }
                }
            });
        }
    });
}
