//! Filling an empty database makes the root that adding the same entries to it makes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::groups::record;
use super::*;
use crate::db::{Db, Snapshot, apply};
use crate::entry::{Entry, Fresh, Origin, OsmMeta};
use crate::model::{Coord, Member, Payload, Tags};

fn node_id() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 1..30_u64, 1 => 1..=crate::MAX_ID]
}

fn coord() -> impl Strategy<Value = Coord> {
    let near = (425_000_000..425_100_000_i64, 15_000_000..15_100_000_i64);
    let any = (-900_000_000i64..=900_000_000, -1_800_000_000i64..=1_800_000_000);
    prop_oneof![4 => near, 1 => any].prop_map(|(lat, lon)| Coord::new(lat, lon).unwrap())
}

fn tags() -> impl Strategy<Value = Tags> {
    prop_oneof![
        2 => Just(Tags::new()),
        1 => vec((".{0,4}", ".{0,9}"), 0..3).prop_map(|tags| tags.into_iter().collect()),
    ]
}

fn content() -> impl Strategy<Value = (ElementId, Payload)> {
    let kind = prop_oneof![Just(Kind::Node), Just(Kind::Way), Just(Kind::Relation)];
    let member = (kind, node_id()).prop_map(|(kind, id)| {
        let role = "r".repeat(usize::from(id % 3 == 0));
        Member { element: ElementId::new(kind, id), role }
    });
    prop_oneof![
        4 => (node_id(), coord(), tags())
            .prop_map(|(id, coord, tags)| (ElementId::node(id), Payload::Node { coord, tags })),
        2 => (1..12_u64, vec(node_id(), 0..6), tags())
            .prop_map(|(id, refs, tags)| (ElementId::way(id), Payload::Way { refs, tags })),
        1 => (1..6_u64, vec(member, 0..5), tags())
            .prop_map(|(id, members, tags)| (ElementId::relation(id), Payload::Relation { members, tags })),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let meta = (option::of(1..4_u64), option::of(0..3_i64), option::of(1..4_u64), option::of("[ab]"));
    let meta = meta.prop_map(|(version, timestamp, changeset, user)| {
        Origin::Imported(OsmMeta { version, timestamp, changeset, user, uid: None })
    });
    (content(), prop::bool::weighted(0.9), meta).prop_map(|((element, payload), live, origin)| Entry {
        element,
        payload: live.then_some(payload),
        origin,
    })
}

fn sorted(entries: &[Entry], scratch: &Scratch) -> Sorted<ELEMENT_BYTES> {
    let mut sorter = Sorter::new(scratch, scratch.entries);
    let mut buffer = Vec::new();
    for entry in entries {
        record(entry, &mut buffer);
        sorter.push(&keys::element(entry.element), &buffer).unwrap();
    }
    sorter.finish().unwrap()
}

proptest! {
    #[test]
    fn the_same_root_in_much_memory_and_in_little(
        mut entries in vec(entry(), 0..120),
        in_order in any::<bool>(),
        split in 0..120_usize,
    ) {
        if in_order {
            entries.sort_by_key(|entry| entry.element);
        }
        let db = Db::in_memory("osm").unwrap();
        let empty = db.root_record();
        let fresh = entries.iter().map(Fresh::new).collect();
        let expected = apply::apply(&db.store, &empty, fresh).unwrap();

        let dir = tempfile::tempdir().unwrap();
        let much = Scratch::new(Some(dir.path().to_owned()));
        let little = Scratch { entries: 900, pairs: 300, places: 1, wanted: 5, ..much.clone() };
        for scratch in [&much, &little, &Scratch::new(None)] {
            let found = load(&db.store, &empty, &sorted(&entries, scratch), scratch).unwrap();
            prop_assert_eq!(&found.root, &expected.root);
            prop_assert_eq!((found.gained, &found.forked), (expected.gained, &expected.forked));
        }
        prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

        // A part of them first, and all onto that.
        let (first, _) = entries.split_at(split.min(entries.len()));
        let first = load(&db.store, &empty, &sorted(first, &much), &much).unwrap();
        let before = Snapshot::of(&db.store, first.root.clone());
        let (new, count) = apply::differing(&before, &sorted(&entries, &little), &little).unwrap();
        let all = apply::apply_sorted(&db.store, &first.root, &new).unwrap();
        prop_assert_eq!(&all.root, &expected.root);
        prop_assert_eq!(first.gained + all.gained, expected.gained);
        prop_assert!(all.gained <= count);
        let anew = reload(&db.store, &before, new.into(), &little).unwrap();
        prop_assert_eq!((&anew.root, anew.gained), (&all.root, all.gained));
        prop_assert_eq!(anew.forked, all.forked);
        let again = apply::apply_sorted(&db.store, &all.root, &sorted(&entries, &little)).unwrap();
        prop_assert_eq!((&again.root, again.gained), (&expected.root, 0));
        // Elements with a single head and no history are the same now.
        let after = Snapshot::of(&db.store, all.root.clone());
        let (_, left) = apply::differing(&after, &sorted(&entries, &much), &much).unwrap();
        let several: u64 = after.versions().map(|all| all.unwrap().len() as u64).filter(|all| *all > 1).sum();
        prop_assert!(left == 0 || several > 0);
    }
}

/// A file of several blobs, whose elements are in no order.
fn file(dir: &std::path::Path, name: &str, count: u64, seed: u64) -> PathBuf {
    let path = dir.join(name);
    let mut writer = crate::io::Writer::create(&path).unwrap();
    for number in 0..count {
        let id = 1 + number.wrapping_mul(7_919).wrapping_add(seed) % count;
        let coord = Coord::new(i64::try_from(id).unwrap(), 5).unwrap();
        let payload = Some(Payload::Node { coord, tags: Tags::new() });
        let origin = Origin::Imported(OsmMeta { version: Some(seed), ..OsmMeta::default() });
        writer.write(&Entry { element: ElementId::node(id), payload, origin }).unwrap();
    }
    writer.finish().unwrap();
    path
}

#[test]
fn files_are_read_side_by_side_and_arrive_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let files = [file(dir.path(), "a.osm.pbf", 30_011, 1), file(dir.path(), "b.osm", 20_011, 2)];
    let total: u64 = files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
    let scratch_dir = dir.path().join("scratch");
    std::fs::create_dir(&scratch_dir).unwrap();
    let scratch = Scratch { entries: 100_000, ..Scratch::new(Some(scratch_dir)) };
    let readers = || files.iter().map(|file| crate::io::Reader::open(file).unwrap()).collect();
    let mut positions = Vec::new();
    let (entries, count) = read(readers(), &scratch, |position| positions.push(position)).unwrap();
    assert_eq!(count, 50_022);
    assert!(positions.len() > 4 && positions.is_sorted() && positions.last() <= Some(&total));
    let mut groups = Groups::new(&entries).unwrap();
    let (mut elements, mut bodies) = (0, 0);
    while let Some(group) = groups.next().unwrap() {
        elements += 1;
        assert_eq!(group.element, ElementId::node(elements));
        bodies += group.bodies.len();
    }
    assert_eq!((elements, bodies), (30_011, 50_022));
    drop(groups);
    drop(entries);

    // Of several errors the first in the order of the files is reported.
    for (path, cut) in files.iter().zip([100_000, 600_000]) {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, bytes.get(..cut.min(bytes.len() - 9)).unwrap()).unwrap();
    }
    let Err(Error::Read(error)) = read(readers(), &scratch, |_| {}).map(drop) else {
        panic!("both files are cut off")
    };
    assert_eq!(error.path(), files[0]);
    assert_eq!(std::fs::read_dir(dir.path().join("scratch")).unwrap().count(), 0);
}
