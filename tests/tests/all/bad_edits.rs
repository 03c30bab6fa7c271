//! Edits of what cannot be are refused, and the database stays readable.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

use osmdb::{Coord, Db, ElementId, Error, Kind, MAX_ID, Member, Payload, Tags, Version, Write};

fn refused(element: ElementId, payload: Payload) {
    let db = Db::in_memory("osm").unwrap();
    let root = db.root();
    let mut batch = db.batch();
    batch.lenient().put(element, payload);
    assert!(matches!(batch.commit(), Err(Error::Invalid { .. })), "{element} was taken");
    assert_eq!(db.root(), root);
    db.verify().unwrap();
}

fn node() -> Payload {
    Payload::Node { coord: Coord::new(0, 0).unwrap(), tags: Tags::new() }
}

fn way(refs: Vec<u64>) -> Payload {
    Payload::Way { refs, tags: Tags::new() }
}

fn relation(element: ElementId) -> Payload {
    let members = vec![Member { element, role: String::new() }];
    Payload::Relation { members, tags: Tags::new() }
}

#[test]
fn ids_out_of_range() {
    refused(ElementId::node(0), node());
    refused(ElementId::node(MAX_ID + 1), node());
}

#[test]
fn references_out_of_range() {
    refused(ElementId::way(1), way(vec![1, 0]));
    refused(ElementId::way(1), way(vec![MAX_ID + 1]));
    refused(ElementId::relation(1), relation(ElementId::node(0)));
    refused(ElementId::relation(1), relation(ElementId::way(u64::MAX)));
    refused(ElementId::relation(1), relation(ElementId::new(Kind::Changeset, 1)));
}

#[test]
fn content_of_another_kind() {
    let db = Db::in_memory("osm").unwrap();
    assert!(matches!(db.put(ElementId::way(1), node()), Err(Error::Kind { .. })));
}

#[test]
fn the_greatest_id_is_fine() {
    let db = Db::in_memory("osm").unwrap();
    let mut batch = db.batch();
    batch.put(ElementId::node(MAX_ID), node()).put(ElementId::node(1), node());
    batch.put(ElementId::way(MAX_ID), way(vec![MAX_ID, 1, MAX_ID]));
    batch.put(ElementId::relation(MAX_ID), relation(ElementId::relation(MAX_ID)));
    batch.commit().unwrap();
    db.verify().unwrap();
}

#[test]
fn versions_that_are_not_there() {
    let db = Db::in_memory("osm").unwrap();
    let element = ElementId::node(1);
    let first = db.put(element, node()).unwrap();
    db.put(element, node()).unwrap();
    let root = db.root();
    // Beside a version that was replaced before, in whichever order the two come.
    for digit in ["0", "f"] {
        let unknown: Version = digit.repeat(64).parse().unwrap();
        let mut batch = db.batch();
        batch.push(Write::put(element, node()).replacing([first, unknown]));
        let refused = batch.commit();
        assert!(matches!(refused, Err(Error::NoVersion { version, .. }) if version == unknown));
        assert_eq!(db.root(), root);
    }
}
