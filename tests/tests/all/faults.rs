//! Whatever changes a database, at every operation of its store something goes wrong, and the machine goes
//! down: afterwards the database is what it was before or what it was to become, and whole. What was
//! reported as done is done.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic)]

use osmdb::{Coord, Db, ElementId, Error, Keep, Payload, Tags};
use prolly::{Cid, Fault, Faults, FaultyStore, Lost, MemoryStore, PageStore};
use tests::{later, to_pbf, village};

type Change = fn(&mut Db<FaultyStore>) -> Result<(), Error>;

fn node(lat: i64) -> Payload {
    Payload::Node { coord: Coord::new(lat, 7).unwrap(), tags: Tags::from([("natural", "tree")]) }
}

fn import<S: PageStore + Sync>(db: &Db<S>, entries: &[osmdb::Entry]) -> Result<(), Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), to_pbf(entries)).unwrap();
    db.import(&[file.path()], |_, _| {}).map(drop)
}

/// A village with a few edits, one of them undone.
fn start() -> FaultyStore {
    let db = Db::with_store(FaultyStore::new(Faults::new(0)), "osm").unwrap();
    import(&db, &village(3, 200)).unwrap();
    for lat in 1..4 {
        db.create(node(lat)).unwrap();
    }
    db.undo().unwrap();
    db.store().crash(Lost::All)
}

fn batch(db: &mut Db<FaultyStore>) -> Result<(), Error> {
    let mut batch = db.batch();
    for id in 1..20 {
        batch.put(ElementId::node(5_000_000 + id), node(1_000));
    }
    batch.commit().map(drop)
}

fn more(db: &mut Db<FaultyStore>) -> Result<(), Error> {
    import(db, &later(&village(3, 200), 5, 30))
}

fn merge(db: &mut Db<FaultyStore>) -> Result<(), Error> {
    let other = Db::<MemoryStore>::in_memory("osm")?;
    import(&other, &village(4, 200))?;
    db.merge(&other.snapshot()).map(drop)
}

fn undo(db: &mut Db<FaultyStore>) -> Result<(), Error> {
    db.undo().map(drop)
}

fn gc(db: &mut Db<FaultyStore>) -> Result<(), Error> {
    db.gc(Keep { newest: 2, since: None }).map(drop)
}

fn repair(db: &mut Db<FaultyStore>) -> Result<(), Error> {
    db.repair().map(drop)
}

fn open(store: FaultyStore) -> Db<FaultyStore> {
    Db::with_store(store, "osm").unwrap()
}

/// Makes a change with one fault, goes down, comes up, and looks.
fn with_fault(
    name: &str,
    base: &FaultyStore,
    change: Change,
    at: u64,
    fault: Fault,
    lost: Lost,
    roots: &[Cid],
) {
    let case = format!("{name}: {fault:?} at operation {at}, {lost:?} lost");
    let store = base.crash(Lost::Nothing);
    store.set_faults(Faults::new(at).at(at, fault));
    // Opening reads too, and may fail; then nothing was changed.
    let (store, done) = match Db::with_store(store, "osm") {
        Ok(mut db) => {
            let done = change(&mut db);
            (db.store().crash(lost), done.is_ok())
        }
        Err(_) => (base.crash(lost), false),
    };
    store.set_faults(Faults::new(0));
    let db = open(store);
    let root = db.root();
    // What makes keys or ids has another root every time: then it holds what the change makes, or not.
    let is_before = root == roots[0];
    assert!(!(done && is_before && roots[0] != roots[1]), "{case}: it was reported as done, and is not");
    let verified = db.verify().unwrap_or_else(|error| panic!("{case}: {error}"));
    if !is_before {
        assert_eq!(root, roots[1], "{case}: neither the old root nor the new one");
    }
    assert!(verified.entries > 0);
    // All that the reflog names can be read, and the next change works.
    for entry in db.reflog().unwrap() {
        osmdb::Snapshot::open(db.store(), entry.root).unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    db.create(node(77)).unwrap_or_else(|error| panic!("{case}: {error}"));
    db.verify().unwrap_or_else(|error| panic!("{case}: {error}"));
}

/// Tries every operation of a change, with every fault and every loss.
fn all(name: &str, change: Change, same_root: bool) {
    let base = start();
    let mut db = open(base.crash(Lost::Nothing));
    let before = db.root();
    change(&mut db).unwrap();
    let (after, operations) = (db.root(), db.store().operations());
    assert!(operations > 4, "{name} takes {operations} operations");
    assert_eq!(before == after, same_root, "{name}");
    // Many operations of one kind stand beside each other: a few hundred of them are enough.
    let step = usize::try_from(operations / 150).unwrap().max(1);
    for at in (1..=operations).step_by(step) {
        for fault in [Fault::Fail, Fault::FailAfter, Fault::Torn, Fault::FlipBit] {
            for lost in [Lost::All, Lost::Nothing, Lost::Some(at)] {
                with_fault(name, &base, change, at, fault, lost, &[before, after]);
            }
        }
    }
}

#[test]
fn imports() {
    all("import", more, false);
}

#[test]
fn merges() {
    all("merge", merge, false);
}

#[test]
fn undone() {
    all("undo", undo, false);
}

#[test]
fn collections() {
    all("gc", gc, true);
}

#[test]
fn repairs() {
    all("repair", repair, true);
}

/// An edit says when it was made and who made it, so its root is another one every time.
#[test]
fn batches() {
    let base = start();
    let mut db = open(base.crash(Lost::Nothing));
    let before = db.root();
    batch(&mut db).unwrap();
    let operations = db.store().operations();
    for at in 1..=operations {
        for fault in [Fault::Fail, Fault::FailAfter, Fault::Torn, Fault::FlipBit] {
            for lost in [Lost::All, Lost::Nothing, Lost::Some(at)] {
                let store = base.crash(Lost::Nothing);
                store.set_faults(Faults::new(at).at(at, fault));
                let Ok(mut db) = Db::with_store(store, "osm") else { continue };
                let done = batch(&mut db).is_ok();
                let store = db.store().crash(lost);
                store.set_faults(Faults::new(0));
                let db = open(store);
                let case = format!("{fault:?} at operation {at}, {lost:?} lost");
                let there = (1..20).filter(|id| !db.get(ElementId::node(5_000_000 + id)).unwrap().is_empty());
                let there = there.count();
                assert!(there == 19 || (there == 0 && !done && db.root() == before), "{case}: {there}");
                db.verify().unwrap_or_else(|error| panic!("{case}: {error}"));
            }
        }
    }
}
