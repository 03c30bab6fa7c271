//! Three villages edit apart and merge as it comes: in the end they have one root, and nothing is lost.

use osmdb::{Db, ElementId, Entry, Payload, Replaces};
use prolly::MemoryStore;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tests::tiny;
use tests::{Map, Model, edit, small_pages, sorted, to_pbf};

const PEERS: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    Import(Vec<Entry>),
    Put(ElementId, Payload),
    Delete(ElementId),
    Fork(ElementId, Payload, Index),
    /// Merges from the peer that comes so many places later.
    Merge(usize),
}

fn op(spacing: i64) -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => tiny::file(spacing).prop_map(Op::Import),
        4 => tiny::edited(spacing).prop_map(|(element, payload)| Op::Put(element, payload)),
        2 => tiny::element().prop_map(Op::Delete),
        1 => (tiny::edited(spacing), any::<Index>())
            .prop_map(|((element, payload), index)| Op::Fork(element, payload, index)),
        4 => (1..PEERS).prop_map(Op::Merge),
    ]
}

/// A database, and what it must hold.
struct Peer {
    db: Db<MemoryStore>,
    model: Model,
}

impl Peer {
    fn new(small: bool) -> Self {
        let store = if small { small_pages() } else { MemoryStore::new() };
        Self { db: Db::with_store(store, "osm").expect("memory holds a database"), model: Model::default() }
    }

    fn import(&mut self, entries: Vec<Entry>) {
        let file = tempfile::NamedTempFile::new().expect("a file can be made");
        std::fs::write(file.path(), to_pbf(&entries)).expect("a file can be written");
        self.db.import(&[file.path()], |_, _| {}).expect("it can be imported");
        entries.into_iter().for_each(|entry| self.model.add(entry));
    }

    fn write(&mut self, element: ElementId, payload: Option<Payload>, replaces: Replaces) {
        if payload.is_none() && self.model.versions(element).0.is_empty() {
            return;
        }
        let version = edit(&self.db, element, payload, replaces, 1_700_000_000);
        let heads = self.db.get(element).expect("it can be read");
        let head = heads.into_iter().find(|head| head.version == version).expect("an edit is a head");
        self.model.add(head.entry);
    }
}

/// Merges the database of one peer into another's.
fn merge(peers: &mut [Peer], from: usize, into: usize) {
    let before = peers[into].model.counts();
    let theirs = peers[from].model.clone();
    peers[into].model.merge(&theirs);
    let merged = peers[into].db.merge(&peers[from].db.snapshot()).expect("they merge");
    let after = peers[into].model.counts();
    assert_eq!(merged.gained, after.entries - before.entries);
    assert_eq!(peers[into].db.counts(), after);
    let again = peers[into].db.merge(&peers[from].db.snapshot()).expect("they merge");
    assert_eq!((again.gained, again.pages_here, again.pages_there), (0, 1, 1));
}

fn run(peers: &mut [Peer], at: usize, op: Op) {
    match op {
        Op::Import(entries) => peers[at].import(entries),
        Op::Put(element, payload) => peers[at].write(element, Some(payload), Replaces::Heads),
        Op::Delete(element) => peers[at].write(element, None, Replaces::Heads),
        Op::Fork(element, payload, index) => {
            let (heads, replaced) = peers[at].model.versions(element);
            let known: Vec<_> = heads.into_iter().chain(replaced).map(|head| head.version).collect();
            let link = if known.is_empty() { Vec::new() } else { vec![*index.get(&known)] };
            peers[at].write(element, Some(payload), Replaces::Versions(link));
        }
        Op::Merge(step) => merge(peers, (at + step) % PEERS, at),
    }
}

fn case() -> impl Strategy<Value = (Vec<(usize, Op)>, Vec<osmdb::BBox>)> {
    tiny::spacing()
        .prop_flat_map(|spacing| (vec((0..PEERS, op(spacing)), 1..30), vec(tiny::bbox(spacing), 6)))
}

/// Every peer has to hear from every other one, directly or not.
fn last_merges() -> impl Strategy<Value = Vec<(usize, usize)>> {
    let all: Vec<(usize, usize)> =
        (0..PEERS).flat_map(|a| (0..PEERS).filter(move |b| *b != a).map(move |b| (a, b))).collect();
    (Just(all.clone()).prop_shuffle(), Just(all).prop_shuffle()).prop_map(|(a, b)| [a, b].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn peers_converge((ops, boxes) in case(), last in last_merges(), small in any::<bool>()) {
        let mut peers: Vec<Peer> = (0..PEERS).map(|_| Peer::new(small)).collect();
        for (at, op) in ops {
            run(&mut peers, at, op);
        }
        let mut all = Model::default();
        peers.iter().for_each(|peer| all.merge(&peer.model));
        for (from, into) in last {
            merge(&mut peers, from, into);
        }
        let map = Map::of(&all);
        for peer in &peers {
            prop_assert_eq!(peer.db.root(), peers[0].db.root());
            for bbox in &boxes {
                let answer = sorted(peer.db.snapshot().query(*bbox).collect::<Result<_, _>>().unwrap());
                prop_assert_eq!(answer, map.query(*bbox), "box {}", bbox);
            }
        }
        all.check(&peers[0].db);
    }
}
