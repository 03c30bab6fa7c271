//! What a database keeps, gives back, mends and knows of those who edit it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use osmdb::{Authors, Coord, Db, ElementId, Error, Keep, Payload, Snapshot, Tags, Write};
use prolly::{Cid, MemoryStore};
use proptest::collection::vec;
use proptest::prelude::*;

fn node(lat: i64) -> Payload {
    Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() }
}

const N1: ElementId = ElementId::node(1);

/// A database whose history fills several pages.
fn town() -> Db<MemoryStore> {
    let db = Db::in_memory("osm").unwrap();
    for round in 0..4 {
        let mut batch = db.batch();
        for id in 1..=300 {
            batch.put(ElementId::node(id), node(round * 1_000 + 1));
        }
        batch.put(ElementId::way(1), Payload::Way { refs: vec![1, 2], tags: Tags::new() });
        batch.commit().unwrap();
    }
    db
}

#[test]
fn the_key_stays_and_signs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Db::create_or_open(&path).unwrap();
    let author = db.author().unwrap();
    db.put(N1, node(1)).unwrap();
    db.name_author(author, "Amina").unwrap();
    drop(db);
    let db = Db::open(&path).unwrap();
    assert_eq!(db.author().unwrap(), author);
    db.put(N1, node(2)).unwrap();
    let all: Vec<_> = db.get(N1).unwrap().into_iter().chain(db.snapshot().replaced(N1).unwrap()).collect();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|head| head.entry.check_signature() == Ok(Some(author))));
    let authors = db.authors().unwrap();
    assert_eq!(authors.len(), 1);
    assert_eq!((authors[0].name.as_deref(), authors[0].versions), (Some("Amina"), 2));
    db.name_author(author, "").unwrap();
    assert_eq!(db.authors().unwrap()[0].name, None);
    assert!(matches!(db.name_author(author, &"x".repeat(256)), Err(Error::AuthorName)));
    db.verify().unwrap();
}

#[test]
fn neither_keys_nor_names_are_merged() {
    let (ours, theirs) = (Db::in_memory("osm").unwrap(), Db::in_memory("osm").unwrap());
    theirs.put(N1, node(1)).unwrap();
    theirs.name_author(theirs.author().unwrap(), "Bo").unwrap();
    ours.merge(&theirs.snapshot()).unwrap();
    assert_ne!(ours.author().unwrap(), theirs.author().unwrap());
    let authors = ours.authors().unwrap();
    let other = authors.iter().find(|author| !author.is_here).unwrap();
    assert_eq!((other.author, other.name.as_deref(), other.versions), (theirs.author().unwrap(), None, 1));
    assert_eq!(authors.len(), 2);
}

#[test]
fn what_a_policy_refused_comes_when_it_admits_it() {
    let (ours, theirs) = (town(), Db::in_memory("osm").unwrap());
    theirs.put(ElementId::node(900), node(1)).unwrap();
    let root = ours.root();
    let merged = ours.merge_admitting(&theirs.snapshot(), &Authors::default()).unwrap();
    assert_eq!((merged.gained, merged.refused.len(), merged.root), (0, 1, root));
    assert_eq!(merged.refused[0].why.to_string(), "the policy does not admit it");
    let merged = ours.merge(&theirs.snapshot()).unwrap();
    assert_eq!((merged.gained, merged.refused.len()), (1, 0));
    ours.verify().unwrap();
}

#[test]
fn an_undone_merge_can_be_made_again() {
    let (ours, theirs) = (town(), Db::in_memory("osm").unwrap());
    theirs.put(ElementId::node(900), node(1)).unwrap();
    let before = ours.root();
    let merged = ours.merge(&theirs.snapshot()).unwrap();
    let undone = ours.undo().unwrap();
    assert_eq!((undone.from, undone.to, undone.what.as_str()), (merged.root, before, "merge"));
    assert_eq!(ours.root(), before);
    assert_eq!(ours.merge(&theirs.snapshot()).unwrap().gained, 1);
    assert_eq!(ours.root(), merged.root);
    // A merge that gained nothing is no step to undo.
    theirs.merge(&ours.snapshot()).unwrap();
    ours.merge(&theirs.snapshot()).unwrap();
    assert_eq!(ours.undo().unwrap().to, before);
}

#[test]
fn only_roots_of_the_reflog_come_back() {
    let db = Db::in_memory("osm").unwrap();
    assert!(matches!(db.undo(), Err(Error::NothingToUndo)));
    let other = Cid::of(b"another");
    assert!(matches!(db.undo_to(other), Err(Error::NotInReflog { root }) if root == other));
    let empty = db.root();
    db.put(N1, node(1)).unwrap();
    assert_eq!(db.undo_to(empty).unwrap().to, empty);
    assert!(matches!(db.undo(), Err(Error::NothingToUndo)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]
    /// Against a stack of roots.
    #[test]
    fn undo_goes_back_one_change_at_a_time(steps in vec(prop_oneof![3 => Just(None), 2 => (0..9usize).prop_map(Some)], 1..25)) {
        let db = Db::in_memory("osm").unwrap();
        let mut roots = vec![db.root()];
        let mut lat = 0;
        for step in steps {
            if step.is_none_or(|step| step == 0) {
                lat += 1;
                db.put(N1, node(lat)).unwrap();
                roots.push(db.root());
            } else if roots.len() == 1 {
                prop_assert!(matches!(db.undo(), Err(Error::NothingToUndo)));
            } else if let Some(back) = step.filter(|back| back % 3 == 1) {
                // Several at once.
                roots.truncate(roots.len().saturating_sub(back).max(1));
                prop_assert_eq!(db.undo_to(roots[roots.len() - 1]).unwrap().to, db.root());
            } else {
                let from = roots.pop();
                prop_assert_eq!(Some(db.undo().unwrap().from), from);
            }
            prop_assert_eq!(db.root(), roots[roots.len() - 1]);
        }
        db.verify().unwrap();
    }
}

#[test]
fn a_collection_keeps_what_it_is_told_to() {
    let mut db = town();
    let log = db.reflog().unwrap();
    let (root, pages) = (db.root(), db.store().len());
    let all = db.gc(Keep { newest: 99, since: None }).unwrap();
    assert_eq!((all.roots_kept, all.roots_forgotten, all.pages_removed), (5, 0, 0));
    let collected = db.gc(Keep { newest: 2, since: None }).unwrap();
    assert_eq!((collected.roots_kept, collected.roots_forgotten), (2, 3));
    assert!(collected.pages_removed > 0 && db.store().len() < pages);
    assert_eq!(db.store().len() as u64, collected.pages_kept);
    assert_eq!(db.root(), root);
    db.verify().unwrap();
    // What is kept is whole, and what is not is gone.
    Snapshot::open(db.store(), log[3].root).unwrap().verify().unwrap();
    assert!(Snapshot::open(db.store(), log[2].root).is_err());
    assert_eq!(db.undo().unwrap().to, log[3].root);
    assert!(matches!(db.undo(), Err(Error::NothingToUndo)));
    // Numbers go on.
    assert_eq!(db.reflog().unwrap().last().unwrap().number, 5);
    assert_eq!(db.snapshot().replaced(N1).unwrap().len(), 2, "history is no garbage");
    let late = db.gc(Keep { newest: 0, since: Some(0) }).unwrap();
    assert_eq!(late.roots_forgotten, 0);
    let future = db.gc(Keep { newest: 0, since: Some(i64::MAX) }).unwrap();
    assert_eq!(future.roots_kept, 1);
    db.verify().unwrap();
}

#[test]
fn a_collection_of_a_damaged_database_removes_nothing() {
    let mut db = town();
    let spatial = db.snapshot().root().trees.spatial.root;
    db.store().remove(&spatial);
    let (log, pages) = (db.reflog().unwrap(), db.store().len());
    assert!(db.gc(Keep::default()).is_err());
    assert_eq!((db.reflog().unwrap(), db.store().len()), (log, pages));
}

#[test]
fn repair_makes_the_views_anew() {
    let db = town();
    let root = db.root();
    let trees = db.snapshot().root().trees;
    for tree in [trees.spatial, trees.refs] {
        db.store().remove(&tree.root);
    }
    assert!(db.verify().is_err());
    let repaired = db.repair().unwrap();
    assert_eq!((repaired.from, repaired.to), (root, root));
    db.verify().unwrap();
    // Entries cannot be derived from anything.
    db.store().remove(&trees.heads.root);
    assert!(db.repair().is_err());
}

#[test]
fn a_database_on_disk_is_collected_and_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let mut db = Db::create_or_open(&path).unwrap();
    for round in 0..6 {
        let mut batch = db.batch();
        for id in 1..=2_000 {
            batch.push(Write::put(ElementId::node(id), node(round * 7_919 + 1)));
        }
        batch.commit().unwrap();
        if round < 5 {
            // Undone, none of it is a part of the database.
            db.undo().unwrap();
        }
    }
    let root = db.root();
    let collected = db.gc(Keep::default()).unwrap();
    assert!(collected.pages_removed > 100, "{collected:?}");
    db.compact().unwrap();
    drop(db);
    let db = Db::open(&path).unwrap();
    assert_eq!((db.root(), db.store().page_count().unwrap()), (root, collected.pages_kept));
    assert_eq!(db.verify().unwrap().entries, 2_000);
    assert!(db.disk_bytes().unwrap() > 0);
}
