//! Batches of edits: all or nothing, and only what holds together.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use osmdb::{
    Coord, Db, ElementId, Error, InUse, Kind, LimitError, Member, Payload, Snapshot, Tags, Version, Write,
};
use prolly::{MemoryStore, PageSource};
use proptest::collection::vec;
use proptest::prelude::*;

fn db() -> Db<MemoryStore> {
    Db::in_memory("osm").unwrap()
}

fn node(lat: i64) -> Payload {
    Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() }
}

fn way(refs: &[u64]) -> Payload {
    Payload::Way { refs: refs.to_vec(), tags: Tags::new() }
}

fn relation(members: &[ElementId]) -> Payload {
    let member = |element: &ElementId| Member { element: *element, role: String::new() };
    Payload::Relation { members: members.iter().map(member).collect(), tags: Tags::new() }
}

const N1: ElementId = ElementId::node(1);
const N2: ElementId = ElementId::node(2);
const W1: ElementId = ElementId::way(1);
const R1: ElementId = ElementId::relation(1);

/// Two nodes in a way, which is in a relation.
fn village() -> Db<MemoryStore> {
    let db = db();
    let mut batch = db.batch();
    // What is named may come later in the batch.
    batch.put(R1, relation(&[W1])).put(W1, way(&[1, 2])).put(N1, node(1)).put(N2, node(2));
    batch.commit().unwrap();
    db
}

fn commit(db: &Db<MemoryStore>, writes: &[Write]) -> Result<osmdb::Written, Error> {
    let mut batch = db.batch();
    for write in writes {
        batch.push(write.clone());
    }
    batch.commit()
}

#[track_caller]
fn refused(db: &Db<MemoryStore>, writes: &[Write]) -> Error {
    let root = db.root();
    let log = db.reflog().unwrap().len();
    let error = commit(db, writes).unwrap_err();
    assert_eq!((db.root(), db.reflog().unwrap().len()), (root, log));
    error
}

fn is_live<S: PageSource>(snapshot: &Snapshot<S>, element: ElementId) -> bool {
    snapshot.get(element).unwrap().iter().any(|head| head.entry.payload.is_some())
}

#[test]
fn what_is_named_must_be_there() {
    let db = village();
    let error = refused(&db, &[Write::put(ElementId::way(2), way(&[1, 3]))]);
    assert!(matches!(error, Error::Reference { element, target }
        if element == ElementId::way(2) && target == ElementId::node(3)));
    assert_eq!(error.to_string(), "way/2 names node/3, which is not in the database or deleted");
    refused(&db, &[Write::put(R1, relation(&[W1, ElementId::relation(9)]))]);
    // Not even if it was there once.
    let node_3 = ElementId::node(3);
    commit(&db, &[Write::put(node_3, node(3))]).unwrap();
    db.delete(node_3).unwrap();
    refused(&db, &[Write::put(W1, way(&[1, 3]))]);
    refused(&db, &[Write::put(node_3, node(3)), Write::put(W1, way(&[3])), Write::delete(node_3)]);
    commit(&db, &[Write::put(W1, way(&[3])), Write::put(node_3, node(4))]).unwrap();
    // A relation may name itself.
    let own = ElementId::relation(7);
    commit(&db, &[Write::put(own, relation(&[own]))]).unwrap();
}

#[test]
fn clipped_ways_can_be_edited() {
    let db = db();
    let mut batch = db.batch();
    batch.lenient().put(N1, node(1)).put(W1, way(&[1, 2, 3]));
    batch.commit().unwrap();
    // Nodes 2 and 3 are elsewhere: what named them may go on doing so, and nothing else may begin to.
    let version = db.put(W1, way(&[3, 1, 2])).unwrap();
    refused(&db, &[Write::put(W1, way(&[1, 4]))]);
    refused(&db, &[Write::put(ElementId::way(2), way(&[2]))]);
    // Also where the version that named them is not a head any more.
    db.put(W1, way(&[1])).unwrap();
    refused(&db, &[Write::put(W1, way(&[1, 2]))]);
    commit(&db, &[Write::put(W1, way(&[1, 2])).replacing([version])]).unwrap();
    assert_eq!(db.get(W1).unwrap().len(), 2);
}

#[test]
fn what_is_in_use_is_not_deleted() {
    let db = village();
    let error = refused(&db, &[Write::delete(N1)]);
    assert!(matches!(error, Error::InUse { element: N1, by: W1 }), "{error}");
    refused(&db, &[Write::delete(W1), Write::delete(N1)]);
    refused(&db, &[Write::delete(N1), Write::put(ElementId::node(5), node(5))]);
    // Together, in any order, all of it goes.
    commit(&db, &[Write::delete(N1), Write::delete(W1), Write::delete(R1)]).unwrap();
    assert_eq!(db.counts().deleted, 3);
    // The tombstone of a way names nothing.
    db.delete(N2).unwrap();
    db.verify().unwrap();
}

#[test]
fn a_deletion_may_free_what_was_in_use() {
    let db = village();
    commit(&db, &[Write::delete(N1), Write::put(W1, way(&[2]))]).unwrap();
    let error =
        refused(&db, &[Write::delete(N2), Write::put(ElementId::way(2), way(&[2])), Write::delete(W1)]);
    assert!(matches!(error, Error::InUse { .. } | Error::Reference { .. }), "{error}");
}

#[test]
fn if_unused_keeps_what_others_name() {
    let db = village();
    let n3 = ElementId::node(3);
    commit(&db, &[Write::put(n3, node(3))]).unwrap();
    let deletions = [N1, N2, n3].map(|node| Write::delete(node).if_in_use(InUse::Keep));
    let written = commit(&db, &deletions).unwrap();
    let gone: Vec<bool> = written.edits.iter().map(|edited| edited.version.is_some()).collect();
    assert_eq!(gone, [false, false, true]);
    // The way is kept because the relation names it, and so its nodes are, though they come first.
    let written = commit(&db, &[N1, N2, W1].map(|e| Write::delete(e).if_in_use(InUse::Keep))).unwrap();
    assert!(written.edits.iter().all(|edited| edited.version.is_none()));
    assert_eq!(written.root, db.root());
    // One refusal is enough.
    refused(&db, &[Write::delete(W1).if_in_use(InUse::Keep), Write::delete(N1)]);
    commit(&db, &[Write::delete(N1).if_in_use(InUse::Delete)]).unwrap();
    assert!(!is_live(&db.snapshot(), N1));
    db.verify().unwrap();
}

#[test]
fn limits_of_osm_hold_for_edits() {
    let db = village();
    let long = Tags::from([("name", "x".repeat(256))]);
    let error =
        refused(&db, &[Write::put(N1, Payload::Node { coord: Coord::new(0, 0).unwrap(), tags: long })]);
    assert!(matches!(&error, Error::Limit { element: N1, source: LimitError::Text { found: 256, .. } }));
    assert_eq!(
        error.to_string(),
        "node/1: the value `xxxxxxxxxxxxxxxxxxxx…` has 256 characters, and 255 is the most"
    );
    refused(&db, &[Write::put(N2, node(7)), Write::put(W1, way(&[]))]);
    refused(&db, &[Write::put(W1, way(&[1; 2_001]))]);
    commit(&db, &[Write::put(W1, way(&[1; 2_000]))]).unwrap();
}

#[test]
fn what_is_not_there_is_neither_deleted_nor_replaced() {
    let db = village();
    let none = ElementId::node(77);
    assert!(matches!(refused(&db, &[Write::delete(none)]), Error::NotFound { element } if element == none));
    let unknown: Version = "7".repeat(64).parse().unwrap();
    let error = refused(&db, &[Write::put(N2, node(9)), Write::put(N1, node(9)).replacing([unknown])]);
    assert!(matches!(error, Error::NoVersion { element: N1, version } if version == unknown));
    assert!(matches!(refused(&db, &[Write::put(N1, way(&[1]))]), Error::Kind { element: N1, .. }));
}

#[test]
fn edits_of_one_batch_build_on_each_other() {
    let db = village();
    let written = commit(&db, &[Write::put(N1, node(5)), Write::put(N1, node(6))]).unwrap();
    let heads = db.get(N1).unwrap();
    assert_eq!(heads.len(), 1);
    assert_eq!(heads[0].entry.links(), [written.edits[0].version.unwrap()]);
    assert_eq!(db.snapshot().replaced(N1).unwrap().len(), 2);
    // A version that was replaced before is still a place to fork from.
    let first = written.edits[0].version.unwrap();
    let forked = commit(&db, &[Write::put(N1, node(7)).replacing([first])]).unwrap();
    assert_eq!(forked.forked, [N1]);
    // A put against all heads ends the fork.
    db.put(N1, node(8)).unwrap();
    assert_eq!((db.get(N1).unwrap().len(), db.counts().forks), (1, 0));
    db.verify().unwrap();
}

#[test]
fn one_branch_of_a_fork_is_edited() {
    let db = village();
    let first = db.get(N1).unwrap()[0].version;
    let ours = db.put(N1, node(2)).unwrap();
    commit(&db, &[Write::put(N1, node(3)).replacing([first])]).unwrap();
    let theirs = db.get(N1).unwrap().into_iter().find(|head| head.version != ours).unwrap().version;
    let next = commit(&db, &[Write::put(N1, node(4)).replacing([ours])]).unwrap().edits[0].version.unwrap();
    let mut heads: Vec<Version> = db.get(N1).unwrap().into_iter().map(|head| head.version).collect();
    heads.sort_unstable();
    let mut expected = [next, theirs];
    expected.sort_unstable();
    assert_eq!(heads, expected);
    // A deleted branch is a head beside the live one.
    commit(&db, &[Write::delete(N1).replacing([theirs])]).unwrap();
    assert!(is_live(&db.snapshot(), N1));
    assert!(matches!(db.resolve(N1, ours), Err(Error::NoVersion { .. })), "it is no head any more");
    db.resolve(N1, next).unwrap();
    assert_eq!(db.get(N1).unwrap().len(), 1);
}

#[test]
fn changesets_are_opened_tagged_and_closed() {
    let db = village();
    let id = db.open_changeset(Tags::from([("comment", "wells")])).unwrap();
    let mut batch = db.batch();
    batch.in_changeset(id).put(N1, node(700));
    batch.push(Write::put(N2, node(800)));
    batch.commit().unwrap();
    db.tag_changeset(id, Tags::from([("comment", "wells of the east")])).unwrap();
    let info = db.snapshot().changeset(id).unwrap().unwrap();
    assert_eq!((info.versions, info.closed), (2, None));
    assert_eq!(info.tags.get("comment"), Some("wells of the east"));
    // From where the nodes were to where they are.
    let bbox = Some("0,0.0000001,0,0.00008".parse().unwrap());
    assert_eq!(info.bbox, bbox);
    assert!(info.opened.is_some());

    db.close_changeset(id).unwrap();
    let info = db.snapshot().changeset(id).unwrap().unwrap();
    assert_eq!((info.bbox, info.closed.is_some(), info.versions), (bbox, true, 2));
    let changeset = ElementId::new(Kind::Changeset, id);
    let error = refused(&db, &[Write::put(N1, node(9)).in_changeset(id)]);
    assert!(matches!(error, Error::ChangesetClosed { element: N1, changeset } if changeset == id));
    assert!(matches!(db.close_changeset(id), Err(Error::ChangesetClosed { .. })));
    assert!(matches!(db.tag_changeset(id, Tags::new()), Err(Error::ChangesetClosed { .. })));
    let error = refused(&db, &[Write::put(N1, node(9)).in_changeset(7)]);
    assert!(matches!(error, Error::NoChangeset { element: N1, changeset: 7 }));
    assert!(matches!(db.close_changeset(7), Err(Error::NoChangeset { .. })));
    assert_eq!(db.snapshot().changeset(7).unwrap(), None);
    // A deletion belongs to its changeset too, which may be opened in the same batch.
    let other = ElementId::new(Kind::Changeset, 8);
    let opened = Payload::Changeset { tags: Tags::new(), closed: None };
    let writes = [Write::put(other, opened), Write::delete(R1).in_changeset(8)];
    commit(&db, &writes).unwrap();
    assert_eq!(db.snapshot().changeset(8).unwrap().unwrap().versions, 1);
    assert!(is_live(&db.snapshot(), changeset));
    db.verify().unwrap();
}

#[test]
fn the_box_of_a_changeset_holds_its_ways_and_relations() {
    let db = village();
    let id = db.open_changeset(Tags::new()).unwrap();
    let touched = |writes: &[Write]| {
        commit(&db, writes).unwrap();
        let id = writes[0].changeset.unwrap();
        db.snapshot().changeset(id).unwrap().unwrap().bbox
    };
    let whole = Some("0,0.0000001,0,0.0000002".parse().unwrap());
    assert_eq!(touched(&[Write::put(W1, way(&[2, 1])).in_changeset(id)]), whole);
    let other = db.open_changeset(Tags::new()).unwrap();
    assert_eq!(touched(&[Write::put(R1, relation(&[W1, W1])).in_changeset(other)]), whole);
    let empty = db.open_changeset(Tags::new()).unwrap();
    db.close_changeset(empty).unwrap();
    assert_eq!(db.snapshot().changeset(empty).unwrap().unwrap().bbox, None);
}

#[derive(Debug, Clone)]
enum Op {
    Node(u64),
    Way(u64, Vec<u64>),
    Relation(u64, Vec<(u8, u64)>),
    Delete(u8, u64, InUse),
}

fn element(kind: u8, id: u64) -> ElementId {
    ElementId::new(Kind::from_code(kind).unwrap(), id)
}

fn op() -> impl Strategy<Value = Op> {
    let id = || 1..5u64;
    let in_use = prop_oneof![Just(InUse::Refuse), Just(InUse::Keep)];
    prop_oneof![
        3 => id().prop_map(Op::Node),
        2 => (id(), vec(id(), 1..4)).prop_map(|(id, refs)| Op::Way(id, refs)),
        2 => (id(), vec((0..3u8, id()), 0..4)).prop_map(|(id, members)| Op::Relation(id, members)),
        3 => (0..3u8, id(), in_use).prop_map(|(kind, id, in_use)| Op::Delete(kind, id, in_use)),
    ]
}

fn write(op: &Op) -> Write {
    match op {
        Op::Node(id) => Write::put(ElementId::node(*id), node(7)),
        Op::Way(id, refs) => Write::put(ElementId::way(*id), way(refs)),
        Op::Relation(id, members) => {
            let members: Vec<_> = members.iter().map(|(kind, id)| element(*kind, *id)).collect();
            Write::put(ElementId::relation(*id), relation(&members))
        }
        Op::Delete(kind, id, in_use) => Write::delete(element(*kind, *id)).if_in_use(*in_use),
    }
}

/// The live elements and what they name, after some edits of a plain map.
fn model(db: &Db<MemoryStore>) -> std::collections::BTreeMap<ElementId, BTreeSet<ElementId>> {
    let snapshot = db.snapshot();
    let all = snapshot.heads().map(|heads| heads.unwrap());
    all.filter_map(|heads| {
        let payload = heads[0].entry.payload.as_ref()?;
        Some((heads[0].entry.element, payload.references().collect()))
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    /// A plain map makes the same edits, and says which of them hold together.
    #[test]
    fn nothing_names_what_is_not_there(batches in vec(vec(op(), 1..6), 1..12)) {
        let db = db();
        for ops in batches {
            let before = model(&db);
            let root = db.root();
            let writes: Vec<Write> = ops.iter().map(write).collect();
            // What is deleted if unused stays as soon as the outcome names it, and what stays names on.
            let mut kept: BTreeSet<usize> = BTreeSet::new();
            let outcome = loop {
                let mut after = Some(before.clone());
                let mut ever: BTreeSet<ElementId> = before.keys().copied().collect();
                for heads in db.snapshot().heads() {
                    ever.insert(heads.unwrap()[0].entry.element);
                }
                for (index, write) in writes.iter().enumerate().filter(|(index, _)| !kept.contains(index)) {
                    let _ = index;
                    match (&mut after, &write.payload) {
                        (Some(map), Some(payload)) => {
                            map.insert(write.element, payload.references().collect());
                            ever.insert(write.element);
                        }
                        (Some(map), None) if ever.contains(&write.element) => drop(map.remove(&write.element)),
                        _ => after = None,
                    }
                }
                let Some(map) = after else { break None };
                let named: BTreeSet<ElementId> = map.values().flatten().copied().collect();
                let dangling: BTreeSet<ElementId> =
                    named.into_iter().filter(|target| !map.contains_key(target)).collect();
                if dangling.is_empty() {
                    break Some(map);
                }
                let more: BTreeSet<usize> = writes.iter().enumerate().filter(|(index, write)| {
                    !kept.contains(index) && write.payload.is_none() && write.in_use == InUse::Keep
                        && dangling.contains(&write.element)
                }).map(|(index, _)| index).collect();
                if more.is_empty() {
                    break None;
                }
                kept.extend(more);
            };
            match (commit(&db, &writes), outcome) {
                (Ok(written), Some(map)) => {
                    prop_assert_eq!(model(&db), map);
                    prop_assert_eq!(written.root, db.root());
                }
                (Err(_), None) => prop_assert_eq!(db.root(), root),
                // Kept deletions may save a batch in the model that was refused for another of the same
                // element: only a refusal may differ, never what is written.
                (Err(error), Some(_)) => {
                    prop_assert!(matches!(error, Error::Reference { .. } | Error::InUse { .. }), "{error}");
                    prop_assert!(ops.iter().any(|op| matches!(op, Op::Delete(_, _, InUse::Keep))));
                    prop_assert_eq!(db.root(), root);
                }
                (Ok(_), None) => prop_assert!(false, "it was written, and names what is not there"),
            }
        }
        db.verify().unwrap();
    }
}
