//! Small random maps, with forks, deletions and clipped ways, and a village to look at.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use osmdb::io::Writer;
use osmdb::{BBox, Coord, Db, ElementId, Entry, Kind, Member, Origin, OsmMeta, Payload, Tags};
use prolly::MemoryStore;
use proptest::collection::vec;
use proptest::prelude::*;

/// Places near one another, and some at the ends of the globe.
pub fn place() -> impl Strategy<Value = Coord> {
    let near = (-9..=9_i64, -9..=9_i64);
    let ends = (
        prop::sample::select(vec![-900_000_000, -899_999_995, 0, 899_999_999, 900_000_000_i64]),
        prop::sample::select(vec![-1_800_000_000, -1_799_999_990, 0, 1_799_999_995, 1_800_000_000_i64]),
    );
    let any = (-900_000_000..=900_000_000_i64, -1_800_000_000..=1_800_000_000_i64);
    prop_oneof![8 => near, 2 => ends, 1 => any].prop_map(|(lat, lon)| Coord::new(lat, lon).unwrap())
}

pub fn bbox() -> impl Strategy<Value = BBox> {
    (place(), place()).prop_map(|(a, b)| {
        let corner = |lat: i32, lon: i32| Coord::new(lat.into(), lon.into()).unwrap();
        let (south, north) = (a.lat().min(b.lat()), a.lat().max(b.lat()));
        BBox::new(corner(south, a.lon()), corner(north, b.lon())).unwrap()
    })
}

fn tags() -> impl Strategy<Value = Tags> {
    vec(("kind|name", "[ab]{1,2}"), 0..2).prop_map(|tags| tags.into_iter().collect())
}

fn entry() -> impl Strategy<Value = Entry> {
    let node = (1..20_u64, place(), tags())
        .prop_map(|(id, coord, tags)| (ElementId::node(id), Payload::Node { coord, tags }));
    let way = (1..8_u64, vec(1..24_u64, 0..5), tags())
        .prop_map(|(id, refs, tags)| (ElementId::way(id), Payload::Way { refs, tags }));
    let member = (0..3_u8, 1..24_u64).prop_map(|(kind, id)| Member {
        element: ElementId::new(Kind::from_code(kind).unwrap(), id),
        role: String::new(),
    });
    let relation = (1..6_u64, vec(member, 0..4), tags())
        .prop_map(|(id, members, tags)| (ElementId::relation(id), Payload::Relation { members, tags }));
    let content = prop_oneof![6 => node, 3 => way, 2 => relation];
    let meta = (prop::option::of(1..3_u64), prop::option::of(1..4_i64), prop::option::of(1..4_u64));
    (content, meta, 0..12).prop_map(|((element, payload), (version, timestamp, changeset), deleted)| {
        let origin = Origin::Imported(OsmMeta { version, timestamp, changeset, ..OsmMeta::default() });
        Entry { element, payload: (deleted > 0).then_some(payload), origin }
    })
}

/// Versions of a few elements, so that there are forks, histories and deletions.
pub fn entries() -> impl Strategy<Value = Vec<Entry>> {
    vec(entry(), 0..60)
}

/// Makes a database of these versions.
pub fn database(entries: &[Entry]) -> Db<MemoryStore> {
    let db = Db::in_memory("osm").unwrap();
    add(&db, entries);
    db
}

/// Imports these versions.
pub fn add(db: &Db<MemoryStore>, entries: &[Entry]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.osm.pbf");
    let mut writer = Writer::create(&path).unwrap();
    entries.iter().for_each(|entry| writer.write(entry).unwrap());
    writer.finish().unwrap();
    db.import(&[path], |_, _| {}).unwrap();
}

/// The first version of an element, of changeset 7.
pub fn entry_of(element: ElementId, payload: Payload) -> Entry {
    let meta = OsmMeta { version: Some(1), changeset: Some(7), ..OsmMeta::default() };
    Entry { element, payload: Some(payload), origin: Origin::Imported(meta) }
}

/// A few elements by their numbers: two wells, a path between two corners, a route along it.
pub fn village() -> Db<MemoryStore> {
    let entry = entry_of;
    let node = |id, lat, lon, tags: &[(&str, &str)]| {
        let tags = tags.iter().copied().collect();
        entry(ElementId::node(id), Payload::Node { coord: Coord::new(lat, lon).unwrap(), tags })
    };
    let route = Member { element: ElementId::way(1), role: String::new() };
    let db = database(&[
        node(1, 5_000_000, 5_000_000, &[("amenity", "well"), ("name", "Old Well")]),
        node(2, 6_000_000, 5_000_000, &[("amenity", "well")]),
        node(3, 1_000_000, 1_000_000, &[]),
        node(4, 9_000_000, 9_000_000, &[]),
        entry(ElementId::way(1), Payload::Way { refs: vec![3, 4], tags: Tags::from([("highway", "path")]) }),
        entry(
            ElementId::relation(1),
            Payload::Relation { members: vec![route], tags: Tags::from([("type", "route")]) },
        ),
    ]);
    assert_eq!(db.counts().forks, 0);
    db
}
