//! Two Andorras, twenty months apart, become one by the difference of their roots.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::OnceLock;

use osmdb::{Coord, Db, ElementId, Head, Kind, Merged, Payload, Snapshot};
use prolly::{MemoryStore, PageSource, PageStore};
use tests::{Branch, data};

struct Andorra {
    old_file: PathBuf,
    new_file: PathBuf,
    old: Db<MemoryStore>,
    new: Db<MemoryStore>,
}

/// Both extracts, imported once for all tests here.
fn andorra() -> Option<&'static Andorra> {
    static BOTH: OnceLock<Option<Andorra>> = OnceLock::new();
    let load = || {
        let (old_file, new_file) = (data("andorra-2023.osm.pbf")?, data("andorra-2025.osm.pbf")?);
        let import = |file: &PathBuf| {
            let db = Db::in_memory("osm").unwrap();
            db.import(&[file], |_, _| {}).unwrap();
            db
        };
        let (old, new) = (import(&old_file), import(&new_file));
        Some(Andorra { old_file, new_file, old, new })
    };
    BOTH.get_or_init(load).as_ref()
}

fn branch(db: &Db<MemoryStore>) -> Db<Branch<'_>> {
    Db::with_store(Branch::at(db.store(), db.root()), "osm").unwrap()
}

fn pages<S: PageSource>(snapshot: &Snapshot<S>) -> u64 {
    snapshot.tree_stats().unwrap().iter().map(|(_, stats)| stats.pages).sum()
}

fn merge<S: PageStore + Sync, T: PageSource>(here: &Db<S>, there: &Snapshot<T>) -> Merged {
    let merged = here.merge(there).unwrap();
    assert_eq!(merged.root, here.root());
    merged
}

/// Merges both ways; each side sees the other as it was before.
fn merge_each_other(a: &Db<Branch<'_>>, b: &Db<Branch<'_>>) -> (Merged, Merged) {
    let (from_a, from_b) = (a.snapshot(), b.snapshot());
    let merged = (merge(a, &from_b), merge(b, &from_a));
    assert_eq!(a.root(), b.root());
    merged
}

fn forks<S: PageStore>(db: &Db<S>, element: ElementId) -> Vec<Head> {
    assert_eq!(db.counts().forks, 1, "one element, and no other, is a fork");
    let heads = db.get(element).unwrap();
    assert_eq!(heads.len(), 2, "{element}");
    heads
}

/// Finds an element that both have in different versions, or in the same one.
fn find(andorra: &Andorra, kind: Kind, is_changed: bool, is_wanted: impl Fn(&Payload) -> bool) -> ElementId {
    let snapshot = andorra.old.snapshot();
    let found = snapshot.query("1.4,42.4,1.8,42.7".parse().unwrap()).map(|feature| feature.unwrap().element);
    for element in found.filter(|element| element.kind == kind) {
        let (old, new) = (andorra.old.get(element).unwrap(), andorra.new.get(element).unwrap());
        let wanted = old[0].entry.payload.as_ref().is_some_and(&is_wanted);
        if wanted && !new.is_empty() && (old != new) == is_changed {
            return element;
        }
    }
    panic!("Andorra has no such {kind}");
}

fn edited(db: &Db<Branch<'_>>, element: ElementId) -> Payload {
    let mut payload = db.get(element).unwrap()[0].entry.payload.clone().unwrap();
    payload.tags_mut().set("note", "seen from the village");
    payload
}

#[test]
fn every_order_makes_one_root() {
    let Some(andorra) = andorra() else { return };
    let (a, b) = (branch(&andorra.old), branch(&andorra.new));
    let (in_a, in_b) = merge_each_other(&a, &b);
    println!("2025 into 2023: {} gained, {} + {} pages", in_a.gained, in_a.pages_here, in_a.pages_there);
    println!("2023 into 2025: {} gained, {} + {} pages", in_b.gained, in_b.pages_here, in_b.pages_there);
    let total = pages(&andorra.old.snapshot()) + pages(&andorra.new.snapshot());
    println!("of those here, {} and {} were there before", a.store().pages_below(), b.store().pages_below());
    println!("both databases have {total} pages");
    for merged in [&in_a, &in_b] {
        assert!(merged.forked.is_empty());
        assert!(((merged.pages_here + merged.pages_there) as u64) < total);
    }
    assert_eq!(a.counts().forks, 0);

    let (c, d) = (branch(&andorra.old), branch(&andorra.new));
    c.import(&[&andorra.new_file], |_, _| {}).unwrap();
    d.import(&[&andorra.old_file], |_, _| {}).unwrap();
    assert_eq!((c.root(), d.root()), (a.root(), a.root()));
    a.verify().unwrap();

    for (here, there) in [(&a, andorra.new.snapshot()), (&b, andorra.old.snapshot())] {
        let again = merge(here, &there);
        assert_eq!((again.gained, again.pages_here, again.pages_there), (0, 1, 1));
    }
    let again = merge(&a, &b.snapshot());
    assert_eq!((again.gained, again.pages_here, again.pages_there), (0, 1, 1));
}

#[test]
fn an_edit_of_what_changed_too_is_one_fork() {
    let Some(andorra) = andorra() else { return };
    let element = find(andorra, Kind::Way, true, |_| true);
    let (a, b) = (branch(&andorra.old), branch(&andorra.new));
    let edit = a.put(element, edited(&a, element)).unwrap();
    let (in_a, in_b) = merge_each_other(&a, &b);
    assert_eq!((in_a.forked, in_b.forked), (vec![element], vec![element]));
    let heads = forks(&a, element);
    assert!(heads.iter().any(|head| head.version == edit));
    assert!(heads.contains(&andorra.new.get(element).unwrap()[0]));
}

#[test]
fn a_deletion_of_what_changed_is_one_fork() {
    let Some(andorra) = andorra() else { return };
    let element = find(andorra, Kind::Node, true, |payload| !payload.tags().is_empty());
    let (a, b) = (branch(&andorra.old), branch(&andorra.new));
    let tombstone = a.delete(element).unwrap();
    let (in_a, in_b) = merge_each_other(&a, &b);
    assert_eq!((in_a.forked, in_b.forked), (vec![element], vec![element]));
    let heads = forks(&b, element);
    let deleted = heads.iter().find(|head| head.version == tombstone).unwrap();
    assert_eq!(deleted.entry.payload, None);
}

#[test]
fn an_edit_of_what_did_not_change_stays_the_only_head() {
    let Some(andorra) = andorra() else { return };
    let element = find(andorra, Kind::Node, false, |payload| !payload.tags().is_empty());
    let (a, b) = (branch(&andorra.old), branch(&andorra.new));
    let mut payload = edited(&a, element);
    if let Payload::Node { coord, .. } = &mut payload {
        *coord = Coord::new(i64::from(coord.lat()) + 50, coord.lon().into()).unwrap();
    }
    let edit = a.put(element, payload).unwrap();
    let (in_a, in_b) = merge_each_other(&a, &b);
    assert!(in_a.forked.is_empty() && in_b.forked.is_empty());
    assert_eq!(b.counts().forks, 0);
    let heads = b.get(element).unwrap();
    assert_eq!(heads.iter().map(|head| head.version).collect::<Vec<_>>(), [edit]);
}
