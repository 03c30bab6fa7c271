//! What differs between two roots, as elements and as change files: applying it to the older map makes the
//! newer one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::program::{Place, real_data};
use osmdb::io::{Action, Reader, Writer};
use osmdb::{
    Coord, Db, ElementId, Entry, Head, Kind, Member, Origin, OsmMeta, Payload, Snapshot, Tags, Write,
};
use prolly::{MemoryStore, PageStore};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a map shows: the content of every element that is there.
type Shown = BTreeMap<ElementId, Payload>;

/// Of the live heads the latest, then the one with the greatest version.
fn shown_head(heads: &[Head]) -> Option<&Head> {
    let mut live: Vec<&Head> = heads.iter().filter(|head| head.entry.payload.is_some()).collect();
    live.sort_by_key(|head| (head.entry.timestamp(), head.version));
    live.pop()
}

fn shown(db: &Db<MemoryStore>) -> Shown {
    let mut heads = db.snapshot().heads().collect::<Result<Vec<_>, _>>().unwrap();
    heads.retain(|heads| heads[0].entry.element.kind != Kind::Changeset);
    let payload = |heads: &Vec<Head>| {
        shown_head(heads).map(|head| (head.entry.element, head.entry.payload.clone().unwrap()))
    };
    heads.iter().filter_map(payload).collect()
}

fn payload(kind: Kind, content: i64) -> Payload {
    let tags = Tags::from([("content", content.to_string())]);
    match kind {
        Kind::Node => Payload::Node { coord: Coord::new(content, -content).unwrap(), tags },
        Kind::Way => Payload::Way { refs: vec![1, 2, 3], tags },
        _ => {
            Payload::Relation { members: vec![Member { element: ElementId::way(1), role: "x".into() }], tags }
        }
    }
}

fn element() -> impl Strategy<Value = ElementId> {
    (0..3u8, 1..6u64).prop_map(|(kind, id)| ElementId::new(Kind::from_code(kind).unwrap(), id))
}

/// What happens to a database.
#[derive(Debug, Clone)]
enum Op {
    /// A file brings a version of an element.
    Import(ElementId, u64, Option<i64>, i64),
    Put(ElementId, i64),
    Delete(ElementId),
    /// An edit of one old version: makes a fork.
    Fork(ElementId, i64, usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (element(), 1..5u64, prop::option::weighted(0.8, 0..4i64), 0..3i64)
            .prop_map(|(element, version, content, time)| Op::Import(element, version, content, time)),
        2 => (element(), 0..9i64).prop_map(|(element, content)| Op::Put(element, content)),
        1 => element().prop_map(Op::Delete),
        1 => (element(), 0..9i64, 0..4usize).prop_map(|(element, content, index)| Op::Fork(element, content, index)),
    ]
}

/// Imports entries through a file.
fn import(db: &Db<MemoryStore>, entries: &[Entry]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.osm.pbf");
    let mut writer = Writer::create(&path).unwrap();
    entries.iter().for_each(|entry| writer.write(entry).unwrap());
    writer.finish().unwrap();
    db.import(&[path], |_, _| {}).unwrap();
}

fn imported(element: ElementId, version: u64, content: Option<i64>, time: i64) -> Entry {
    let meta = OsmMeta { version: Some(version), timestamp: Some(time + 1), ..OsmMeta::default() };
    let payload = content.map(|content| payload(element.kind, content));
    Entry { element, payload, origin: Origin::Imported(meta) }
}

/// Makes an edit, which may name what is not there.
fn edit<S: PageStore + Sync>(db: &Db<S>, write: Write) {
    let mut batch = db.batch();
    batch.lenient().push(write);
    batch.commit().unwrap();
}

fn run(db: &Db<MemoryStore>, changeset: u64, op: &Op) {
    let edit = |write: Write| edit(db, write.in_changeset(changeset));
    match *op {
        Op::Import(element, version, content, time) => {
            import(db, &[imported(element, version, content, time)]);
        }
        Op::Put(element, content) => edit(Write::put(element, payload(element.kind, content))),
        Op::Delete(element) if !db.get(element).unwrap().is_empty() => edit(Write::delete(element)),
        Op::Delete(_) => {}
        Op::Fork(element, content, index) => {
            let mut versions = db.get(element).unwrap();
            versions.extend(db.snapshot().replaced(element).unwrap());
            let Some(old) = versions.get(index % versions.len().max(1)) else { return };
            edit(Write::put(element, payload(element.kind, content)).replacing([old.version]));
        }
    }
}

/// A database with an open changeset.
fn village() -> (Db<MemoryStore>, u64) {
    let db = Db::in_memory("osm").unwrap();
    let changeset = db.open_changeset(Tags::new()).unwrap();
    (db, changeset)
}

fn osc(older: &Snapshot<&MemoryStore>, newer: &Snapshot<&MemoryStore>, path: &Path) {
    let mut writer = Writer::create(path).unwrap();
    for change in newer.osm_changes_since(older).unwrap() {
        let (action, entry) = change.unwrap();
        writer.write_change(action, &entry).unwrap();
    }
    writer.finish().unwrap();
}

fn temporary(name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    (dir, path)
}

/// Applies a change file as its description says, element by element, to a plain map.
fn apply_plainly(map: &mut Shown, path: &Path) {
    for entry in Reader::open(path).unwrap() {
        let entry = entry.unwrap();
        match entry.payload {
            Some(payload) => drop(map.insert(entry.element, payload)),
            None => drop(map.remove(&entry.element)),
        }
    }
}

/// A world in which each version of an element has one content, as on the server of OSM.
fn world() -> impl Strategy<Value = Vec<Entry>> {
    vec((element(), 1..5u64, prop::option::weighted(0.8, 0..4i64)), 0..40).prop_map(|versions| {
        let versions: BTreeMap<_, _> =
            versions.into_iter().map(|(element, version, content)| ((element, version), content)).collect();
        let entry = |((element, version), content)| imported(element, version, content, 7);
        versions.into_iter().map(entry).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_change_file_makes_the_newer_map_of_the_older(
        before in vec(op(), 0..16),
        between in vec(op(), 0..16),
        back in any::<bool>(),
    ) {
        let (db, changeset) = village();
        before.iter().for_each(|op| run(&db, changeset, op));
        let (mut older, mut map) = (db.snapshot(), shown(&db));
        between.iter().for_each(|op| run(&db, changeset, op));
        let (mut newer, mut expected) = (db.snapshot(), shown(&db));
        if back {
            (older, newer) = (newer, older);
            (map, expected) = (expected, map);
        }

        // Against all heads, one by one.
        let heads = |snapshot: &Snapshot<&MemoryStore>| {
            let heads = snapshot.heads().collect::<Result<Vec<_>, _>>().unwrap();
            heads.into_iter().map(|heads| (heads[0].entry.element, heads)).collect::<BTreeMap<_, _>>()
        };
        let (old_heads, new_heads) = (heads(&older), heads(&newer));
        let elements: BTreeSet<&ElementId> = old_heads.keys().chain(new_heads.keys()).collect();
        let none = Vec::new();
        let differing = elements.into_iter().filter_map(|element| {
            let (before, after) =
                (old_heads.get(element).unwrap_or(&none), new_heads.get(element).unwrap_or(&none));
            (before != after).then(|| (*element, before.clone(), after.clone()))
        });
        let expected_differences: Vec<_> = differing.collect();
        let found = newer.changes_since(&older).unwrap().map(Result::unwrap);
        let found: Vec<_> = found.map(|it| (it.element, it.before, it.after)).collect();
        prop_assert_eq!(found, expected_differences);

        let mut touched = BTreeSet::new();
        for change in newer.osm_changes_since(&older).unwrap() {
            let (action, entry) = change.unwrap();
            prop_assert!(touched.insert(entry.element), "each element once");
            prop_assert_eq!(action == Action::Delete, entry.payload.is_none());
            match action {
                Action::Create => prop_assert!(!old_heads.contains_key(&entry.element)),
                Action::Modify => prop_assert!(old_heads.contains_key(&entry.element)),
                Action::Delete => prop_assert!(map.contains_key(&entry.element)),
            }
            // The very version, or an edit with a number of its own.
            let known = new_heads.get(&entry.element).and_then(|heads| heads.iter().find(|head| head.entry == entry));
            if known.is_none() {
                let greatest = old_heads.get(&entry.element).into_iter().flatten().filter_map(|head| match &head.entry.origin {
                    Origin::Imported(meta) => meta.version,
                    Origin::Edited(_) => Some(0),
                });
                let Origin::Imported(OsmMeta { version: Some(version), .. }) = entry.origin else { panic!("no number") };
                prop_assert!(greatest.max() < Some(version));
            }
        }
        let (_dir, path) = temporary("a.osc.zst");
        osc(&older, &newer, &path);
        apply_plainly(&mut map, &path);
        prop_assert_eq!(map, expected);
    }

    /// Imported versions are ordered by their numbers, whatever file they come in and in whatever order.
    #[test]
    fn change_files_and_extracts_apply_by_the_rule_of_versions(
        world in world(),
        sides in vec((any::<bool>(), any::<bool>()), 40),
        change_first in any::<bool>(),
    ) {
        let part = |wanted: fn(&(bool, bool)) -> bool| {
            let chosen = world.iter().zip(&sides).filter(|(_, side)| wanted(side));
            chosen.map(|(entry, _)| entry.clone()).collect::<Vec<Entry>>()
        };
        let (extract, news) = (part(|side| side.0), part(|side| side.1));
        let (_dir, path) = temporary("news.osc");
        let mut writer = Writer::create(&path).unwrap();
        news.iter().for_each(|entry| writer.write(entry).unwrap());
        writer.finish().unwrap();
        let db = Db::in_memory("osm").unwrap();
        if change_first {
            db.import(&[&path], |_, _| {}).unwrap();
            import(&db, &extract);
        } else {
            import(&db, &extract);
            db.import(&[&path], |_, _| {}).unwrap();
        }
        // The greatest version decides; what an extract lacks is not gone.
        let mut greatest: BTreeMap<ElementId, &Entry> = BTreeMap::new();
        for entry in extract.iter().chain(&news) {
            let version = |entry: &Entry| match &entry.origin {
                Origin::Imported(meta) => meta.version,
                Origin::Edited(_) => None,
            };
            let known = greatest.entry(entry.element).or_insert(entry);
            if version(entry) > version(known) {
                *known = entry;
            }
        }
        let live = greatest.iter().filter_map(|(element, entry)| Some((*element, entry.payload.clone()?)));
        prop_assert_eq!(shown(&db), live.collect::<Shown>());
        for (element, entry) in greatest {
            let heads = db.get(element).unwrap();
            prop_assert_eq!(heads.len(), 1);
            prop_assert_eq!(&heads[0].entry, entry);
        }

        // Whoever has the extract alone gets the same by the difference as a change file.
        let follower = Db::in_memory("osm").unwrap();
        import(&follower, &extract);
        let (_dir, path) = temporary("a.osc.gz");
        osc(&follower.snapshot(), &db.snapshot(), &path);
        follower.import(&[&path], |_, _| {}).unwrap();
        prop_assert_eq!(shown(&follower), shown(&db));
        prop_assert_eq!(follower.counts().forks, 0);
    }

    /// Who edits nothing and reads every change file of a village keeps up with it.
    #[test]
    fn a_reader_of_change_files_follows_edits(world in world(), rounds in vec(vec(op(), 0..6), 0..5)) {
        let ((village, changeset), reader) = (village(), Db::in_memory("osm").unwrap());
        import(&village, &world);
        import(&reader, &world);
        let mut last = village.snapshot();
        for round in rounds {
            let edits = round.iter().filter(|op| matches!(op, Op::Put(..) | Op::Delete(_)));
            edits.for_each(|op| run(&village, changeset, op));
            let (_dir, path) = temporary("a.osc");
            osc(&last, &village.snapshot(), &path);
            reader.import(&[&path], |_, _| {}).unwrap();
            last = village.snapshot();
            prop_assert_eq!(shown(&reader), shown(&village));
            prop_assert_eq!(reader.counts().forks, 0);
        }
    }

    #[test]
    fn a_changeset_is_all_versions_that_name_it(ops in vec(op(), 0..24)) {
        let (db, changeset) = village();
        ops.iter().for_each(|op| run(&db, changeset, op));
        let snapshot = db.snapshot();
        let all = snapshot.versions().flat_map(Result::unwrap);
        let mut expected: Vec<_> = all
            .filter(|head| head.entry.changeset() == Some(changeset))
            .map(|head| (head.entry.element, head.entry.payload))
            .collect();
        let changes: Vec<(Action, Entry)> = snapshot.osm_changes_in(changeset).map(Result::unwrap).collect();
        prop_assert!(changes.is_sorted_by_key(|(_, entry)| entry.element));
        let mut found: Vec<_> = changes.iter().map(|(_, entry)| (entry.element, entry.payload.clone())).collect();
        let by = |one: &(ElementId, Option<Payload>)| (one.0, format!("{:?}", one.1));
        found.sort_by_key(by);
        expected.sort_by_key(by);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(snapshot.osm_changes_in(changeset + 1).count(), 0);
    }
}

#[test]
fn edits_are_numbered_after_what_they_replace() {
    let db = Db::in_memory("osm").unwrap();
    let way = ElementId::way(3);
    import(&db, &[imported(way, 6, Some(1), 1)]);
    let older = db.snapshot();
    for content in 2..5 {
        edit(&db, Write::put(way, payload(Kind::Way, content)));
    }
    let well = db.create(payload(Kind::Node, 5)).unwrap();
    let newer = db.snapshot();
    let changes: Vec<_> = newer.osm_changes_since(&older).unwrap().map(Result::unwrap).collect();
    let numbers: Vec<_> = changes
        .iter()
        .map(|(action, entry)| match &entry.origin {
            Origin::Imported(meta) => (*action, entry.element, meta.version),
            Origin::Edited(_) => panic!("a file has no links"),
        })
        .collect();
    assert_eq!(numbers, [(Action::Create, well, Some(1)), (Action::Modify, way, Some(9))]);
    // Back again: what no version deletes is deleted, and the old version is as it was.
    let back: Vec<_> = older.osm_changes_since(&newer).unwrap().map(Result::unwrap).collect();
    assert_eq!(back[0].0, Action::Delete);
    assert!(matches!(&back[0].1.origin, Origin::Imported(meta) if meta.version == Some(2)));
    assert_eq!(back[1].1, imported(way, 6, Some(1), 1));
}

#[test]
fn a_real_update_as_a_change_file_makes_the_newer_map() {
    let (Some(older), Some(newer)) =
        (real_data("liechtenstein-2013.osm.pbf"), real_data("liechtenstein-2013.osc.gz"))
    else {
        return;
    };
    // The ids of the extract are others than those of the diff, so that all of it is new.
    let db = Db::in_memory("osm").unwrap();
    db.import(&[&older], |_, _| {}).unwrap();
    let (before, mut map) = (db.snapshot(), shown(&db));
    db.import(&[&newer], |_, _| {}).unwrap();
    let (_dir, path) = temporary("a.osc");
    osc(&before, &db.snapshot(), &path);
    apply_plainly(&mut map, &path);
    assert_eq!(map, shown(&db));
}

/// A changeset in a database with a map, the root when it was opened, and the root after it.
fn edited(place: &Place) -> (String, String, String) {
    let db = Db::open(place.path("osm.db")).unwrap();
    let changeset = db.open_changeset(Tags::from([("comment", "a well")])).unwrap();
    let before = db.root().to_string();
    let tags = Tags::from([("amenity", "well")]);
    let coord = Coord::new(10_000_000, 20_000_000).unwrap();
    let mut batch = db.batch();
    batch.in_changeset(changeset);
    batch.push(Write::put(ElementId::node(77), Payload::Node { coord, tags }));
    batch.push(Write::put(ElementId::way(5), Payload::Way { refs: vec![2, 1], tags: Tags::new() }));
    batch.push(Write::delete(ElementId::node(10)));
    batch.commit().unwrap();
    (changeset.to_string(), before, db.root().to_string())
}

#[test]
fn the_program_shows_what_differs() {
    let place = Place::with_map();
    let (changeset, before, after) = edited(&place);
    let lines = place.run(["diff", &before, &after]).done();
    assert_eq!(lines, "delete node/10\ncreate node/77\nmodify way/5\n");
    assert_eq!(place.run(["diff", &before]).done(), lines);
    assert_eq!(place.run(["diff", &after, &before]).done(), "modify node/10\ndelete node/77\nmodify way/5\n");
    assert_eq!(place.run(["diff", &after]).done(), "");
    assert_eq!(
        place.run(["diff", "--at", &before, &after]).done(),
        place.run(["diff", &after, &before]).done()
    );
    let json = place.run(["diff", &before, "--json"]).done();
    let json: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json[0]["action"], "delete");
    assert_eq!(json[0]["before"][0]["tags"]["name"], "Süd \"1\"");
    assert_eq!(json[0]["after"][0]["deleted"], true);
    assert_eq!((json[1]["id"].as_u64(), json[1]["before"].as_array().map(Vec::len)), (Some(77), Some(0)));

    for name in ["a.osc", "a.osc.zst"] {
        let ran = place.run(["diff", &before, "--osc", name]);
        assert_eq!(ran.stderr, format!("2 nodes, 1 way and 0 relations written to {name}\n"));
        assert_eq!(ran.done().trim(), after);
    }
    let ran = place.run(["export", "b.osc", "--changeset", &changeset]);
    assert_eq!(ran.stderr, "2 nodes, 1 way and 0 relations written to b.osc\n");
    assert_eq!(ran.done().trim(), after);
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    assert_eq!(read("a.osc"), read("b.osc"));
    let place_of =
        |text: &str| read("a.osc").find(text).unwrap_or_else(|| panic!("{text} in {}", read("a.osc")));
    let order = [
        "<delete>",
        "<node id=\"10\" version=\"2\"",
        "<create>",
        "<node id=\"77\" version=\"1\"",
        "<modify>",
        "<way id=\"5\" version=\"2\"",
    ];
    assert!(order.map(place_of).is_sorted(), "{}", read("a.osc"));
    // Another village that has the old map takes it.
    place.run(["--db", "other", "import", "map.osm", "a.osc"]).done();
    assert!(place.run(["--db", "other", "get", "node/77"]).done().contains("\"well\""));
    assert!(place.run(["--db", "other", "get", "node/10"]).done().contains("\"deleted\":true"));
}

#[test]
fn what_cannot_be_compared_is_told() {
    let place = Place::with_map();
    let root = place.run(["root"]).done().trim().to_owned();
    let sentence = place.run(["diff", "bafyr4i"]).refused(2);
    assert!(sentence.contains("bafyr4i"), "{sentence}");
    let db = Db::in_memory("osm").unwrap();
    db.create(payload(Kind::Node, 1)).unwrap();
    let unknown = db.root().to_string();
    for arguments in [["diff", &root, &unknown], ["diff", &unknown, &root]] {
        let sentence = place.run(arguments).refused(1);
        assert!(
            sentence.contains(&unknown) && sentence.contains("ask for one that the database had"),
            "{sentence}"
        );
    }
    // A page of a tree is no root either.
    let heads = Db::open(place.path("osm.db")).unwrap().snapshot().root().trees.heads.root.to_string();
    assert!(place.run(["diff", &heads]).refused(1).contains(&heads));
    for arguments in [["export", "a.osm", "--changeset", "7"], ["diff", &root, "--osc", "a.osm"]] {
        let sentence = place.run(arguments).refused(2);
        assert_eq!(sentence, "a.osm: only a change file says what was changed: end the name in .osc");
    }
    let sentence = place.run(["export", "a.osc", "--changeset", "6"]).refused(1);
    assert_eq!(sentence, "no version here names the changeset 6: give the number of another");
    place.run(["export", "a.osc", "--changeset", "7"]).done();
    place.run(["export", "a.osc", "--changeset", "7", "--history"]).refused(2);
}
