//! Reading through the library: filters, pages of results, counts, histories, forks and time travel against
//! what a plain look at everything finds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use crate::maps::{bbox, database, entries};
use osmdb::{
    At, CursorError, ElementId, Entry, Error, Feature, Filter, Head, Kind, Payload, Snapshot, Tags, Version,
};
use prolly::PageSource;
use proptest::prelude::*;

fn filters() -> impl Strategy<Value = Filter> {
    let some = vec![
        "",
        "node",
        "way",
        "relation",
        "node|relation",
        "!node",
        "kind",
        "!kind",
        "kind=a",
        "kind!=a",
        "kind~=A",
        "way and kind!=b",
        "relation and kind",
        "kind and kind!=a and kind~=b",
        "changeset",
    ];
    prop::sample::select(some).prop_map(|text| text.parse().unwrap())
}

fn all<S: PageSource>(snapshot: &Snapshot<S>, bbox: osmdb::BBox) -> Vec<Feature> {
    snapshot.query(bbox).map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_filter_leaves_out_and_nothing_else(entries in entries(), bbox in bbox(), filter in filters()) {
        let db = database(&entries);
        let snapshot = db.snapshot();
        let expected: Vec<Feature> = all(&snapshot, bbox)
            .into_iter()
            .filter(|feature| filter.matches(feature.element.kind, &feature.tags))
            .collect();
        let found: Vec<Feature> = snapshot.query(bbox).filter(&filter).map(Result::unwrap).collect();
        prop_assert_eq!(&found, &expected);
        let elements: BTreeSet<ElementId> = found.iter().map(|feature| feature.element).collect();
        prop_assert_eq!(snapshot.query(bbox).filter(&filter).count_elements().unwrap(), elements.len() as u64);
    }

    #[test]
    fn pages_of_results_together_are_all(
        entries in entries(),
        bbox in bbox(),
        filter in filters(),
        limits in prop::collection::vec(0..9_usize, 1..4),
    ) {
        let db = database(&entries);
        let snapshot = db.snapshot();
        let expected: Vec<Feature> = snapshot.query(bbox).filter(&filter).map(Result::unwrap).collect();
        let mut found = Vec::new();
        let mut query = snapshot.query(bbox).filter(&filter);
        for limit in limits.into_iter().chain(std::iter::repeat(3)) {
            let page: Vec<Feature> = query.by_ref().take(limit).map(Result::unwrap).collect();
            let is_last = page.len() < limit;
            found.extend(page);
            let cursor: osmdb::Cursor = query.save().to_string().parse().unwrap();
            prop_assert_eq!(&osmdb::Cursor::from_bytes(&cursor.to_bytes()), &Ok(cursor.clone()));
            query = snapshot.query(bbox).filter(&filter).after(&cursor).unwrap();
            if is_last {
                break;
            }
        }
        prop_assert!(query.next().is_none(), "a query that ended stays at its end");
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn bytes_are_a_cursor_or_not(at in 0..100_usize, bit in 0..8, entries in entries()) {
        let db = database(&entries);
        let snapshot = db.snapshot();
        let everywhere = "-180,-90,180,90".parse().unwrap();
        let mut query = snapshot.query(everywhere);
        query.next();
        let mut bytes = query.save().to_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1_u8 << bit;
        // Whatever is read from changed bytes, the query ends and does not panic.
        if let Ok(cursor) = osmdb::Cursor::from_bytes(&bytes)
            && let Ok(query) = snapshot.query(everywhere).after(&cursor)
        {
            prop_assert!(query.count() <= all(&snapshot, everywhere).len());
        }
    }
}

#[test]
fn a_cursor_belongs_to_its_root_box_and_filter() {
    let db = crate::maps::village();
    let snapshot = db.snapshot();
    let (here, there) = ("0,0,1,1".parse().unwrap(), "0,0,2,2".parse().unwrap());
    let filter = Filter::new().of(&[Kind::Node]);
    let mut query = snapshot.query(here);
    query.next();
    let cursor = query.save();
    assert_eq!(cursor.root(), db.root());
    assert!(snapshot.query(here).after(&cursor).is_ok());
    assert_eq!(snapshot.query(there).after(&cursor).unwrap_err(), CursorError::OtherQuestion);
    assert_eq!(snapshot.query(here).filter(&filter).after(&cursor).unwrap_err(), CursorError::OtherQuestion);
    db.delete(ElementId::node(1)).unwrap();
    let now = db.snapshot();
    let refused = now.query(here).after(&cursor).unwrap_err();
    assert_eq!(refused, CursorError::OtherRoot { cursor: snapshot.root().cid(), here: db.root() });
    for text in ["", "zz", "0", &"00".repeat(300), &cursor.to_string()[2..], &format!("{cursor}00")] {
        assert!(text.parse::<osmdb::Cursor>().is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn versions_are_found_by_element_hash_and_changeset(entries in entries()) {
        let db = database(&entries);
        let snapshot = db.snapshot();
        let mut all: BTreeMap<(ElementId, Version), Entry> = BTreeMap::new();
        for entry in &entries {
            all.insert((entry.element, entry.version()), entry.clone());
        }
        for ((element, version), entry) in &all {
            let head = Head { version: *version, entry: entry.clone() };
            prop_assert_eq!(snapshot.version(*element, *version).unwrap(), Some(head.clone()));
            prop_assert_eq!(snapshot.find_version(*version).unwrap(), Some(head));
            prop_assert_eq!(snapshot.version(ElementId::node(999), *version).unwrap(), None);
        }
        let unknown = "0".repeat(64).parse().unwrap();
        prop_assert_eq!(snapshot.find_version(unknown).unwrap(), None);
        for changeset in 0..5 {
            let found: Vec<Head> = snapshot.changes(changeset).map(Result::unwrap).collect();
            let expected: Vec<Head> = all
                .iter()
                .filter(|(_, entry)| entry.changeset() == Some(changeset))
                .map(|((_, version), entry)| Head { version: *version, entry: entry.clone() })
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_history_has_all_versions_and_its_heads_are_the_heads(entries in entries()) {
        let db = database(&entries);
        let snapshot = db.snapshot();
        for versions in snapshot.versions() {
            let versions = versions.unwrap();
            let element = versions[0].entry.element;
            let history = snapshot.history(element).unwrap();
            let all: BTreeSet<Version> = versions.iter().map(|head| head.version).collect();
            prop_assert_eq!(history.len(), versions.len());
            prop_assert_eq!(history.iter().map(|revision| revision.version).collect::<BTreeSet<_>>(), all);
            let heads: BTreeSet<Version> = snapshot.get(element).unwrap().iter().map(|head| head.version).collect();
            let replaced: BTreeSet<Version> = history.iter().flat_map(|revision| revision.replaces.clone()).collect();
            let mut seen = BTreeSet::new();
            for revision in &history {
                prop_assert_eq!(revision.is_head, heads.contains(&revision.version));
                prop_assert_eq!(revision.is_head, !replaced.contains(&revision.version));
                prop_assert!(revision.replaces.iter().all(|version| seen.contains(version)));
                seen.insert(revision.version);
            }
        }
        prop_assert!(snapshot.history(ElementId::node(999)).unwrap().is_empty());
    }

    #[test]
    fn forks_are_those_with_several_heads_page_by_page(entries in entries(), limit in 1..4_usize) {
        let db = database(&entries);
        let snapshot = db.snapshot();
        let expected: Vec<Vec<Head>> =
            snapshot.heads().map(Result::unwrap).filter(|heads| heads.len() > 1).collect();
        prop_assert_eq!(snapshot.forks().map(Result::unwrap).collect::<Vec<_>>(), expected.clone());
        let (mut found, mut forks) = (Vec::new(), snapshot.forks());
        loop {
            let page: Vec<Vec<Head>> = forks.by_ref().take(limit).map(Result::unwrap).collect();
            let is_last = page.len() < limit;
            found.extend(page);
            forks = snapshot.forks().after(&forks.save().to_string().parse().unwrap()).unwrap();
            if is_last {
                break;
            }
        }
        prop_assert!(forks.next().is_none());
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn every_root_shows_what_there_was(first in entries(), second in entries()) {
        let db = crate::maps::village();
        let mut states = Vec::new();
        for entries in [&[][..], &first, &second] {
            crate::maps::add(&db, entries);
            let elements: Vec<Vec<Head>> = db.snapshot().versions().map(Result::unwrap).collect();
            states.push((db.root(), elements));
        }
        for (root, elements) in states {
            let then = db.at(root).unwrap();
            prop_assert_eq!(then.root().cid(), root);
            prop_assert_eq!(then.versions().map(Result::unwrap).collect::<Vec<_>>(), elements);
        }
    }
}

#[test]
fn a_cursor_of_forks_is_none_of_a_query() {
    let db = crate::maps::village();
    let snapshot = db.snapshot();
    let bbox = "0,0,1,1".parse().unwrap();
    let (query, forks) = (snapshot.query(bbox).save(), snapshot.forks().save());
    assert_eq!(snapshot.query(bbox).after(&forks).unwrap_err(), CursorError::OtherQuestion);
    assert_eq!(snapshot.forks().after(&query).unwrap_err(), CursorError::OtherQuestion);
}

#[test]
fn edits_are_drawn_behind_what_they_replace() {
    let (ours, theirs) = (crate::maps::village(), crate::maps::village());
    let well = ElementId::node(1);
    let put = |db: &osmdb::Db<prolly::MemoryStore>, name: &str| {
        let coord = osmdb::Coord::new(5_000_000, 5_000_000).unwrap();
        db.put(well, Payload::Node { coord, tags: Tags::from([("name", name)]) }).unwrap()
    };
    let (a, b) = (put(&ours, "a"), put(&theirs, "b"));
    ours.merge(&theirs.snapshot()).unwrap();
    let c = put(&ours, "c");
    let history = ours.snapshot().history(well).unwrap();
    let first = history[0].version;
    let replaces: BTreeMap<Version, Vec<Version>> =
        history.iter().map(|revision| (revision.version, revision.replaces.clone())).collect();
    assert_eq!(history.len(), 4);
    assert_eq!((&replaces[&a], &replaces[&b]), (&vec![first], &vec![first]));
    let (mut both, last) = (replaces[&c].clone(), history[3].version);
    both.sort();
    let mut expected = vec![a, b];
    expected.sort();
    assert_eq!((both, last), (expected, c));
}

#[test]
fn what_was_never_there_cannot_be_seen() {
    let db = crate::maps::village();
    let page = db.snapshot().root().trees.heads.root;
    for root in [prolly::Cid::of(b"nothing"), page] {
        assert!(matches!(db.at(root), Err(Error::NoRoot { root: named }) if named == root));
    }
    let log = db.reflog().unwrap();
    let (first, last) = (log[0].time, log[log.len() - 1].time);
    assert!(matches!(db.at_time(first - 1), Err(Error::NotYet { .. })));
    assert_eq!(db.at_time(last).unwrap().root().cid(), db.root());
    assert_eq!(db.at_moment(At::Time(i64::MAX)).unwrap().root().cid(), db.root());
    assert_eq!(db.at_moment(At::Root(log[0].root)).unwrap().versions().count(), 0);
    let named = db.root().to_string().parse::<At>().unwrap();
    assert_eq!((named, named.to_string()), (At::Root(db.root()), db.root().to_string()));
    for text in ["", "now", "2026-13-01", "2026-11-21T08:30", "12:00", "bafy"] {
        assert!(text.parse::<At>().is_err(), "{text}");
    }
}

#[test]
fn a_root_with_a_missing_tree_is_refused() {
    use prolly::PageSink;
    let (here, there) = (crate::maps::village(), crate::maps::village());
    there.delete(ElementId::node(1)).unwrap();
    let record = there.snapshot().root().clone();
    here.store().put(record.cid(), record.encode().into()).unwrap();
    assert!(matches!(here.at(record.cid()), Err(Error::NoRoot { .. })));
}
