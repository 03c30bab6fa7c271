//! Files that are unusual and sound: everything in them is kept.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

use osmdb::{Coord, Db, ElementId, Entry, Geometry, Imported, Kind, Origin, Payload};
use prolly::MemoryStore;
use tests::{Model, Rng, later, node, to_pbf, to_xml, village};

fn import(db: &Db<MemoryStore>, bytes: &[u8]) -> Imported {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    db.import(&[file.path()], |_, _| {}).unwrap()
}

fn imported(entries: &[Entry]) -> (Db<MemoryStore>, Imported) {
    let db = Db::in_memory("osm").unwrap();
    let imported = import(&db, &to_pbf(entries));
    let other = Db::in_memory("osm").unwrap();
    assert_eq!(import(&other, to_xml(entries).as_bytes()), imported);
    assert_eq!(other.root(), db.root(), "PBF and XML");
    Model::of(entries.to_vec()).check(&db);
    (db, imported)
}

fn in_version(mut entry: Entry, number: u64) -> Entry {
    if let Origin::Imported(meta) = &mut entry.origin {
        meta.version = Some(number);
    }
    entry
}

#[test]
fn the_same_version_twice_is_one() {
    let (db, imported) = imported(&[node(1, 5, 5, &[]), node(1, 5, 5, &[])]);
    assert_eq!((imported.read, imported.gained), (2, 1));
    assert!(imported.forked.is_empty());
    assert_eq!(db.counts().entries, 1);
}

#[test]
fn the_same_version_with_another_content_is_a_fork() {
    let (db, imported) = imported(&[node(1, 5, 5, &[]), node(1, 6, 5, &[])]);
    assert_eq!(imported.forked, [ElementId::node(1)]);
    assert_eq!((db.get(ElementId::node(1)).unwrap().len(), db.counts().forks), (2, 1));
    // Both are where they say they are.
    let found: Vec<_> = db.snapshot().query("0,0,1,1".parse().unwrap()).map(Result::unwrap).collect();
    let places: Vec<_> = found.into_iter().map(|feature| feature.geometry).collect();
    let at = |lat| Geometry::Point(Coord::new(lat, 5).unwrap());
    assert!(places.len() == 2 && places.contains(&at(5)) && places.contains(&at(6)), "{places:?}");
}

#[test]
fn a_higher_version_replaces_a_lower_one() {
    let versions =
        [2, 3, 1].map(|version| in_version(node(1, 5, i64::try_from(version).unwrap(), &[]), version));
    let (db, imported) = imported(&versions);
    assert!(imported.forked.is_empty());
    let heads = db.get(ElementId::node(1)).unwrap();
    assert_eq!(heads.iter().map(|head| &head.entry).collect::<Vec<_>>(), [&versions[1]]);
    assert_eq!(db.snapshot().replaced(ElementId::node(1)).unwrap().len(), 2);
}

#[test]
fn a_file_stripped_of_its_users_adds_nothing_visible() {
    let stripped = node(1, 5, 5, &[("natural", "peak")]);
    let mut full = stripped.clone();
    if let Origin::Imported(meta) = &mut full.origin {
        (meta.uid, meta.user) = (Some(3), Some("ana".to_owned()));
    }
    let (db, imported) = imported(&[full.clone(), stripped]);
    assert!(imported.forked.is_empty());
    assert_eq!(db.get(ElementId::node(1)).unwrap()[0].entry, full);
}

#[test]
fn unsorted_files_make_the_root_of_sorted_ones() {
    let first = village(3, 1_500);
    let mut entries = [later(&first, 4, 40), first].concat();
    entries.sort_by_key(|entry| (entry.element, entry.version()));
    let root = imported(&entries).0.root();
    let mut rng = Rng::new(5);
    for last in (1..entries.len()).rev() {
        entries.swap(last, rng.index(last + 1));
    }
    assert_eq!(imported(&entries).0.root(), root);
}

#[test]
fn dangling_references_are_kept_and_filled_in_later() {
    let xml = "<osm><way id='1' version='1'><nd ref='7'/><nd ref='8'/><nd ref='7'/></way>\
        <way id='2' version='1'/>\
        <relation id='3' version='1'><member type='way' ref='1' role=''/>\
        <member type='relation' ref='99' role='x'/></relation></osm>";
    let db = Db::in_memory("osm").unwrap();
    assert_eq!(import(&db, xml.as_bytes()).gained, 3);
    let everywhere = "-180,-90,180,90".parse().unwrap();
    assert_eq!(db.snapshot().query(everywhere).count(), 0, "nothing is anywhere yet");
    let way = db.get(ElementId::way(1)).unwrap()[0].entry.payload.clone().unwrap();
    assert_eq!(way.references().map(|node| node.id).collect::<Vec<_>>(), [7, 8, 7]);
    assert_eq!(db.snapshot().refs(ElementId::node(8)).unwrap(), [ElementId::way(1)]);
    assert_eq!(db.snapshot().refs(ElementId::relation(99)).unwrap(), [ElementId::relation(3)]);

    import(&db, &to_pbf(&[node(7, 50, 60, &[])]));
    let found: Vec<_> = db.snapshot().query(everywhere).map(Result::unwrap).collect();
    assert_eq!(
        found.iter().map(|feature| feature.element.kind).collect::<Vec<_>>(),
        [Kind::Way, Kind::Relation]
    );
    let place = Coord::new(50, 60).unwrap();
    assert_eq!(found[0].geometry, Geometry::Line(vec![place, place]));
    db.verify().unwrap();
}

#[test]
fn a_file_without_anything_changes_nothing() {
    let db = Db::in_memory("osm").unwrap();
    let root = db.root();
    assert_eq!(import(&db, b"<osm version='0.6'/>").read, 0);
    import(&db, &to_pbf(&[]));
    assert_eq!((db.root(), db.reflog().unwrap().len()), (root, 1));
}

#[test]
fn long_relations_and_ways_live_out_of_line() {
    let mut entries: Vec<Entry> =
        (1..=3_000).map(|id| node(id, i64::try_from(id).unwrap(), 0, &[])).collect();
    let mut way = node(1, 0, 0, &[]);
    way.element = ElementId::way(1);
    way.payload = Some(Payload::Way { refs: (1..=3_000).rev().collect(), tags: Default::default() });
    let mut relation = way.clone();
    relation.element = ElementId::relation(1);
    let member = |id| osmdb::Member { element: ElementId::node(id), role: format!("role {id}") };
    let members = (1..=30_000).map(member).collect();
    relation.payload = Some(Payload::Relation { members, tags: Default::default() });
    entries.extend([way, relation.clone()]);
    let (db, _) = imported(&entries);
    assert_eq!(db.get(ElementId::relation(1)).unwrap()[0].entry, relation);
    assert_eq!(db.snapshot().query("0,0,0,0.0001".parse().unwrap()).count(), 1, "a way of untagged nodes");
}
