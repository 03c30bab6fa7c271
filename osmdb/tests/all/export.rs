//! `export`: what is written into a file, and that it comes back as it was.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::path::Path;

use crate::program::{NAMES, Place, real_data};
use osmdb::io::{Reader, Writer};
use osmdb::{Coord, Db, ElementId, Entry, Origin, OsmMeta, Payload, Tags};

/// The names of the elements in a file, in its order; what is deleted has a `-` in front.
fn elements(path: &Path) -> Vec<String> {
    let entries = Reader::open(path).unwrap().map(Result::unwrap);
    entries
        .map(|entry| format!("{}{}", if entry.payload.is_some() { "" } else { "-" }, entry.element))
        .collect()
}

#[test]
fn the_whole_database_is_written_and_comes_back() {
    let place = Place::with_map();
    let root = place.run(["root"]).done();
    let live =
        ["node/1", "node/2", "node/3", "node/10", "node/11", "node/12", "way/5", "way/6", "relation/9"];
    for name in NAMES {
        let ran = place.run(["export", name]);
        let deleted = name.contains(".osc");
        let (nodes, lines) = if deleted { (7, 1) } else { (6, 2) };
        let summary = format!("{nodes} nodes, 2 ways and 1 relation written to {name}\n");
        assert!(ran.stderr.starts_with(&summary), "{ran:?}");
        assert_eq!(ran.stderr.contains("1 deleted element is left out: --history"), !deleted, "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), lines, "{ran:?}");
        assert_eq!(ran.done(), root, "it prints what it wrote");
        let mut expected = live.to_vec();
        if deleted {
            expected.insert(6, "-node/13");
        }
        assert_eq!(elements(&place.path(name)), expected, "{name}");

        let ran = place.run(["export", "--history", name]);
        assert_eq!(ran.stderr, format!("7 nodes, 2 ways and 1 relation written to {name}\n"));
        assert_eq!(ran.done(), root);
        assert_eq!(place.run(["--db", &format!("from {name}"), "import", name]).done(), root, "{name}");
    }
    assert!(place.names().iter().all(|name| !name.ends_with(".part")), "{:?}", place.names());
}

#[test]
fn a_box_has_whole_ways_and_their_relations() {
    let place = Place::with_map();
    let write = |bbox: &str| {
        place.run(["export", "box.osm", "--bbox", bbox]).done();
        elements(&place.path("box.osm"))
    };
    // Only the middle of the way is inside.
    assert_eq!(write("1.9,0.9,2.1,1.1"), ["node/1", "node/2", "way/5", "relation/9"]);
    assert_eq!(write("-71,-34,-70,-33"), ["node/10"]);
    assert_eq!(write("177,-20,-178,-16"), ["node/11", "node/12"]);
    assert_eq!(write("50,50,51,51"), [""; 0]);
    let all = ["node/1", "node/2", "node/3", "node/10", "node/11", "node/12", "way/5", "way/6", "relation/9"];
    assert_eq!(write("-180,-90,180,90"), all);
}

#[test]
fn history_has_every_version_and_a_fork_every_head() {
    let place = Place::new();
    place.write(
        "old.osm",
        "<osm><node id='1' version='1' lat='1' lon='1'/><node id='2' version='1' lat='2' lon='2'/></osm>",
    );
    place.write(
        "new.osc",
        "<osmChange><modify><node id='1' version='2' lat='5' lon='5'/></modify><delete>
         <node id='2' version='2'/></delete></osmChange>",
    );
    place.write("other.osm", "<osm><node id='1' version='2' lat='6' lon='6'/></osm>");
    place.run(["import", "old.osm", "new.osc"]).done();
    let root = place.run(["root"]).done();
    place.run(["export", "now.osm"]).done();
    assert_eq!(elements(&place.path("now.osm")), ["node/1"]);
    place.run(["export", "all.osh.zst"]).done();
    assert_eq!(elements(&place.path("all.osh.zst")), ["node/1", "node/1", "node/2", "-node/2"]);
    place.run(["export", "all.osh.pbf", "--history"]).done();
    assert_eq!(elements(&place.path("all.osh.pbf")), ["node/1", "node/1", "node/2", "-node/2"]);
    assert_eq!(place.run(["--db", "again", "import", "all.osh.pbf"]).done(), root);
    let inside = ["export", "box.osh", "--history", "--bbox", "4,4,6,6"];
    assert_eq!(place.run(inside).stderr, "2 nodes, 0 ways and 0 relations written to box.osh\n");
    assert_eq!(elements(&place.path("box.osh")), ["node/1", "node/1"]);

    place.run(["import", "other.osm"]).done();
    let ran = place.run(["export", "fork.osm"]);
    let fork = "1 fork is in it with every head: versions of one id, one after another";
    assert!(ran.stderr.contains(fork), "{ran:?}");
    assert_eq!(elements(&place.path("fork.osm")), ["node/1", "node/1"]);
}

#[test]
fn edits_are_written_with_their_content() {
    let place = Place::with_map();
    let db = Db::open(place.path("osm.db")).unwrap();
    let coord = Coord::new(10_000_000, 20_000_000).unwrap();
    let well = db.create(Payload::Node { coord, tags: Tags::from([("amenity", "well")]) }).unwrap();
    db.create(Payload::Changeset { tags: Tags::from([("comment", "a well")]), closed: None }).unwrap();
    db.put(ElementId::way(5), Payload::Way { refs: vec![2, 1], tags: Tags::new() }).unwrap();
    drop(db);
    let ran = place.run(["export", "a.osc"]);
    assert!(ran.stderr.contains("1 changeset is left out"), "{ran:?}");
    ran.done();
    let text = std::fs::read_to_string(place.path("a.osc")).unwrap();
    let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  <")).collect();
    let sections: Vec<&str> = sections.into_iter().filter(|line| !line.starts_with([' ', '/'])).collect();
    assert!(sections.starts_with(&["create>", "modify>"]), "{sections:?}");
    let create = text.rsplit("<create>").next().unwrap();
    assert!(text.contains(&format!("<node id=\"{}\" timestamp=\"", well.id)), "{text}");
    assert!(!create.contains("way id=\"5\""), "it replaces a version: {create}");
}

#[test]
fn what_cannot_be_exported_is_told() {
    let place = Place::with_map();
    let sentence = place.run(["export", "map.shp"]).refused(2);
    assert!(sentence.starts_with("map.shp: ") && sentence.contains("end it in .osm.pbf, .osm"), "{sentence}");
    let sentence = place.run(["--db", "absent", "export", "map.shp"]).refused(2);
    assert!(sentence.starts_with("map.shp: "), "{sentence}");
    #[cfg(not(feature = "flatgeobuf"))]
    {
        let sentence = place.run(["export", "map.fgb"]).refused(1);
        assert!(sentence.starts_with("map.fgb: this program was built without FlatGeobuf: "), "{sentence}");
    }
    let sentence = place.run(["export", "no/such/map.osm"]).refused(1);
    assert!(sentence.ends_with("; check the path"), "{sentence}");
    std::fs::create_dir(place.path("dir.osm")).unwrap();
    let sentence = place.run(["export", "dir.osm"]).refused(1);
    assert!(sentence.ends_with("it is there and is no file; name another file"), "{sentence}");

    // XML cannot hold the character; PBF can.
    let tags = Tags::from([("name", "\u{1}")]);
    let payload = Some(Payload::Node { coord: Coord::new(0, 0).unwrap(), tags });
    let node = ElementId::node(77);
    let odd = Entry { element: node, payload, origin: Origin::Imported(OsmMeta::default()) };
    let mut writer = Writer::create(place.path("odd.osm.pbf")).unwrap();
    writer.write(&odd).unwrap();
    writer.finish().unwrap();
    place.run(["import", "odd.osm.pbf"]).done();
    let before = std::fs::read(place.path("map.osm")).unwrap();
    let sentence = place.run(["export", "map.osm"]).refused(1);
    assert!(
        sentence.contains(&node.to_string()) && sentence.ends_with("; write .osm.pbf, which can"),
        "{sentence}"
    );
    assert_eq!(std::fs::read(place.path("map.osm")).unwrap(), before, "what was there stays");
    place.run(["export", "map.osm.pbf"]).done();
    assert_eq!(place.names(), ["dir.osm", "map.osm", "map.osm.pbf", "odd.osm.pbf", "osm.db"]);
}

#[test]
fn features_are_written_as_geojson() {
    let place = Place::with_map();
    let root = place.run(["root"]).done();
    let ran = place.run(["export", "all.geojson"]);
    assert_eq!(ran.stderr, "7 features written to all.geojson\n");
    assert_eq!(ran.done(), root);
    let text = std::fs::read_to_string(place.path("all.geojson")).unwrap();
    assert_eq!(text, place.run(["query", "--bbox", "-180,-90,180,90"]).done());

    place.run(["export", "south.geojsonseq", "--bbox", "-71,-34,180,2"]).done();
    let text = std::fs::read_to_string(place.path("south.geojsonseq")).unwrap();
    let features: Vec<serde_json::Value> = text
        .split_terminator('\n')
        .map(|line| serde_json::from_str(line.strip_prefix('\u{1e}').unwrap()).unwrap())
        .collect();
    assert_eq!(features.len(), 6, "{text}");
    assert!(features.iter().all(|feature| feature["type"] == "Feature"), "{text}");

    place.run(["export", "none.geojsonseq", "--bbox", "50,50,51,51"]).done();
    assert_eq!(std::fs::read_to_string(place.path("none.geojsonseq")).unwrap(), "");
    place.run(["export", "none.geojson", "--bbox", "50,50,51,51"]).done();
    let none: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("none.geojson")).unwrap()).unwrap();
    assert_eq!(none["features"].as_array().map(Vec::len), Some(0));
    let sentence = place.run(["export", "all.geojson", "--history"]).refused(2);
    assert_eq!(
        sentence,
        "all.geojson: GeoJSON and FlatGeobuf have no history: leave --history out, or write an OSM file"
    );
}

/// Each file → database → same format → database: the same root.
#[test]
fn real_files_make_the_same_database_after_a_round_trip() {
    let files = [
        ("bristol-2019.osm.pbf", "a.osm.pbf"),
        ("changeset.osc", "a.osc"),
        ("deleted-nodes.osh.pbf", "a.osh.pbf"),
        ("grid.osm", "a.osm"),
        ("history.osm", "a.osm"),
        ("ids-64bit.osm", "a.osm"),
        ("krems-2013.osm.gz", "a.osm.gz"),
        ("liechtenstein-2013.osc.gz", "a.osc.gz"),
        ("minute.osc", "a.osc"),
        ("monaco-2023.osm.pbf", "a.osm.pbf"),
    ];
    for (name, copy) in files {
        let Some(file) = real_data(name) else { continue };
        let place = Place::new();
        let root = place.run(["import".as_ref(), file.as_os_str()]).done();
        // Of a file with one version of each element, nothing is lost without the history either.
        let history = name.contains("osh") || name == "history.osm";
        let arguments = ["export", copy].into_iter().chain(history.then_some("--history"));
        let ran = place.run(arguments);
        assert_eq!(ran.stderr.lines().count(), 1, "{name}: {ran:?}");
        assert_eq!(ran.done(), root, "{name}");
        assert_eq!(place.run(["--db", "again", "import", copy]).done(), root, "{name}");
    }
}
