//! Thousands of histories of peers who edit and sync over bad links: cut anywhere, bits changed, edits and
//! crashes in the middle. In the end they sync over good ones, and have one root with all that was ever
//! acknowledged.
//!
//! Every history follows from a number. `OSMDB_SYNC_SCHEDULES=FIRST..END` runs others than CI does, and holds the
//! whole run to a bound of memory: run alone, so that no other test counts.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use osmdb::sync::{Inbox, Options, Session, Summary, SyncError, Way};
use osmdb::{Db, Entry, Payload, Replaces};
use prolly::{Cid, FaultyStore, Lost};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tests::{Model, Rng, edit, peer, tiny, to_pbf};

/// How many histories CI runs.
const SCHEDULES: u64 = 1_500;

/// How many threads run them.
const THREADS: u64 = 2;

/// The program that runs any number of histories never has more memory than this, in bytes.
const MAX_MEMORY: u64 = 128 << 20;

/// Returns the most memory that this program had so far, in bytes, where the system says it.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

struct Peer {
    db: Db<FaultyStore>,
    model: Model,
    inbox: Arc<Inbox>,
}

impl Peer {
    fn new(rng: &mut Rng) -> Self {
        Self { db: peer(rng), model: Model::default(), inbox: Arc::new(Inbox::in_memory()) }
    }

    fn options(&self) -> Options {
        Options { inbox: Some(Arc::clone(&self.inbox)), ..Options::default() }
    }

    fn crash(&mut self, rng: &mut Rng) {
        let lost = [Lost::All, Lost::Nothing, Lost::Some(rng.bits())][rng.index(3)];
        let root = self.db.root();
        self.db = Db::with_store(self.db.store().crash(lost), "osm").unwrap();
        assert_eq!(self.db.root(), root, "what was acknowledged survives");
        if rng.chance(50) {
            self.inbox = Arc::new(Inbox::in_memory());
        }
    }
}

/// What happens to a link.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    /// Cut after so many bytes, of both directions.
    cut: Option<u64>,
    /// The bit that is changed: its place in the bytes of both directions.
    flip: Option<u64>,
    /// Edits are made on both sides at this many moments.
    edits: u64,
}

/// How often what happened, over all histories.
#[derive(Debug, Default)]
struct Seen {
    equal: AtomicU64,
    delta: AtomicU64,
    walked: AtomicU64,
    cut: AtomicU64,
    failed: AtomicU64,
}

static SEEN: Seen = Seen {
    equal: AtomicU64::new(0),
    delta: AtomicU64::new(0),
    walked: AtomicU64::new(0),
    cut: AtomicU64::new(0),
    failed: AtomicU64::new(0),
};

impl Seen {
    fn note(&self, ending: &Ending) {
        let counter = match ending {
            Ending::Cut => &self.cut,
            Ending::Failed(_) => &self.failed,
            Ending::Done(summary, _) => match summary.way.unwrap() {
                Way::Equal => &self.equal,
                Way::Delta => &self.delta,
                Way::Walk => &self.walked,
            },
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn all(&self) -> [u64; 5] {
        [&self.equal, &self.delta, &self.walked, &self.cut, &self.failed]
            .map(|seen| seen.load(Ordering::Relaxed))
    }
}

/// One history.
struct Schedule {
    rng: Rng,
    runner: TestRunner,
    spacing: i64,
    peers: Vec<Peer>,
    /// What all clocks say.
    time: i64,
    /// All bytes that were sent.
    sent: DefaultHasher,
    /// What was written in the middle of a sync, and by whom.
    made: Vec<(usize, Entry)>,
}

/// Why a sync ended.
enum Ending {
    Done(Box<Summary>, Box<Summary>),
    Cut,
    Failed(SyncError),
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let bytes: Vec<u8> = (0..4).flat_map(|_| rng.bits().to_be_bytes()).collect();
        let chacha = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), chacha);
        let spacing = tiny::spacing().new_tree(&mut runner).unwrap().current();
        let peers = (0..2 + rng.index(3)).map(|_| Peer::new(&mut rng)).collect();
        let (time, sent) = (1_700_000_000, DefaultHasher::new());
        Self { rng, runner, spacing, peers, time, sent, made: Vec::new() }
    }

    fn pick<S: Strategy>(&mut self, strategy: S) -> S::Value {
        strategy.new_tree(&mut self.runner).unwrap().current()
    }

    fn write(&mut self, at: usize) {
        let (element, payload) = self.pick(tiny::edited(self.spacing));
        let peer = &mut self.peers[at];
        let heads = peer.db.get(element).unwrap();
        // Now and then an old version is edited, which makes a fork.
        let versions: Vec<_> =
            peer.db.snapshot().history(element).unwrap().into_iter().map(|known| known.version).collect();
        let payload: Option<Payload> =
            if heads.is_empty() || self.rng.chance(80) { Some(payload) } else { None };
        let replaces = if versions.is_empty() || self.rng.chance(70) {
            Replaces::Heads
        } else {
            Replaces::Versions(vec![versions[self.rng.index(versions.len())]])
        };
        // Several edits may be of one second.
        self.time += i64::from(self.rng.chance(50));
        let version = edit(&peer.db, element, payload, replaces, self.time);
        // Saying again within a second what was said and replaced makes no head.
        let history = peer.db.snapshot().history(element).unwrap();
        peer.model.add(history.into_iter().find(|known| known.version == version).unwrap().entry);
    }

    fn import(&mut self, at: usize) {
        let entries = self.pick(tiny::file(self.spacing));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), to_pbf(&entries)).unwrap();
        self.peers[at].db.import(&[file.path()], |_, _| {}).unwrap();
        entries.into_iter().for_each(|entry| self.peers[at].model.add(entry));
    }

    fn step(&mut self) {
        let at = self.rng.index(self.peers.len());
        match self.rng.below(12) {
            0 => self.import(at),
            1..=6 => self.write(at),
            7 => {
                let Self { peers, rng, .. } = self;
                peers[at].crash(rng);
            }
            _ => {
                let with = self.rng.index(self.peers.len());
                if with != at {
                    let some = |rng: &mut Rng, chance| rng.chance(chance).then(|| rng.below(3_000));
                    let (cut, flip) = (some(&mut self.rng, 40), some(&mut self.rng, 30));
                    let edits = self.rng.below(3);
                    self.sync(at, with, Weather { cut, flip, edits });
                }
            }
        }
    }

    /// Lets two peers talk.
    fn sync(&mut self, a: usize, b: usize, weather: Weather) -> Ending {
        let (first, second) = (a.min(b), a.max(b));
        let mut edits: Vec<(usize, u64)> = (0..weather.edits)
            .map(|_| (if self.rng.chance(50) { a } else { b }, self.rng.below(12)))
            .collect();
        let mut passed = 0;
        let mut turns = 0;
        // Sessions borrow their databases, so edits in the middle are made by whoever has them too.
        let peers = std::mem::take(&mut self.peers);
        let ending = {
            let (here, there) = (&peers[first], &peers[second]);
            let mut sessions = [
                Session::new(&here.db, here.options()).unwrap(),
                Session::new(&there.db, there.options()).unwrap(),
            ];
            let mut ways: [VecDeque<u8>; 2] = Default::default();
            'talk: loop {
                for (from, way) in [(0, 1), (1, 0)] {
                    loop {
                        match sessions[from].send() {
                            Ok(Some(bytes)) => {
                                self.sent.write(&bytes);
                                ways[way].extend(bytes);
                            }
                            Ok(None) => break,
                            Err(error) => break 'talk Ending::Failed(error),
                        }
                    }
                }
                if sessions.iter().all(Session::is_finished) {
                    let [here, there] = sessions.map(|session| session.summary());
                    break Ending::Done(Box::new(here), Box::new(there));
                }
                turns += 1;
                while let Some(place) = edits.iter().position(|(_, turn)| *turn <= turns) {
                    let (at, _) = edits.swap_remove(place);
                    let (element, payload) =
                        tiny::edited(self.spacing).new_tree(&mut self.runner).unwrap().current();
                    let version = edit(&peers[at].db, element, Some(payload), Replaces::Heads, self.time);
                    let heads = peers[at].db.get(element).unwrap();
                    let head = heads.into_iter().find(|head| head.version == version).unwrap();
                    self.made.push((at, head.entry));
                }
                // Some bytes arrive on one side or the other.
                let busy: Vec<usize> = (0..2).filter(|way| !ways[*way].is_empty()).collect();
                let Some(to) = busy.get(self.rng.index(busy.len().max(1))).copied() else {
                    if weather.flip.is_some() {
                        // A changed bit may leave both waiting, until one is tired of it.
                        break Ending::Cut;
                    }
                    panic!("both wait for each other");
                };
                let count = (1 + self.rng.below(400)).min(ways[to].len() as u64);
                let mut bytes: Vec<u8> = ways[to].drain(..usize::try_from(count).unwrap()).collect();
                if let Some(flip) =
                    weather.flip.and_then(|flip| flip.checked_sub(passed)).filter(|flip| *flip < count)
                {
                    bytes[usize::try_from(flip).unwrap()] ^= 1 << self.rng.below(8);
                }
                passed += count;
                if let Err(error) = sessions[to].receive(&bytes) {
                    break Ending::Failed(error);
                }
                if weather.cut.is_some_and(|cut| cut <= passed) {
                    break Ending::Cut;
                }
            }
        };
        self.peers = peers;
        for (at, entry) in std::mem::take(&mut self.made) {
            self.peers[at].model.add(entry);
        }
        SEEN.note(&ending);
        if let Ending::Failed(error) = &ending {
            assert!(weather.flip.is_some(), "between honest peers: {error}");
        }
        ending
    }

    /// Lets it happen; returns what became of it, and of what was sent.
    fn run(mut self) -> (Cid, u64) {
        for _ in 0..5 + self.rng.below(25) {
            self.step();
        }
        let mut all = Model::default();
        self.peers.iter().for_each(|peer| all.merge(&peer.model));
        let hub = self.rng.index(self.peers.len());
        for _ in 0..2 {
            for other in (0..self.peers.len()).filter(|at| *at != hub) {
                let ending = self.sync(hub, other, Weather::default());
                let Ending::Done(here, there) = ending else { panic!("not done") };
                assert_eq!((here.root, &here.refused), (there.root, &there.refused));
                assert_eq!((here.bytes_in, here.bytes_out), (there.bytes_out, there.bytes_in));
            }
        }
        for peer in &self.peers {
            assert_eq!(peer.db.root(), self.peers[hub].db.root());
        }
        // Heads and history by brute force; the views made anew.
        all.check(&self.peers[hub].db);
        (self.peers[hub].db.root(), self.sent.finish())
    }
}

#[test]
fn a_number_gives_the_same_history_again() {
    for seed in 0..30 {
        assert_eq!(Schedule::new(seed).run(), Schedule::new(seed).run(), "schedule {seed}");
    }
}

#[test]
fn all_converge_over_bad_links() {
    let (first, end, is_alone) = match std::env::var("OSMDB_SYNC_SCHEDULES") {
        Ok(range) => {
            let (first, end) = range.split_once("..").unwrap();
            (first.parse().unwrap(), end.parse().unwrap(), true)
        }
        Err(_) => (0, SCHEDULES, false),
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for seed in (first..end).filter(|seed| seed % THREADS == thread) {
                    let history = AssertUnwindSafe(|| Schedule::new(seed).run());
                    if catch_unwind(history).is_err() {
                        let again = seed + 1;
                        panic!("schedule {seed} failed: OSMDB_SYNC_SCHEDULES={seed}..{again} runs it again");
                    }
                }
            });
        }
    });
    let seen = SEEN.all();
    if let Some(peak) = peak().filter(|_| is_alone) {
        println!("{} schedules, {peak} bytes of memory at most, {SEEN:?}", end - first);
        assert!(peak <= MAX_MEMORY, "{peak} bytes of memory");
    }
    assert!(end - first < SCHEDULES || seen.iter().all(|seen| *seen > 200), "{SEEN:?}");
}
