//! `--json`: every verb says what it did as JSON too, and the same as in words.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use crate::program::{Place, Ran};
use serde_json::{Value, json};

#[track_caller]
fn parsed(ran: Ran) -> Value {
    serde_json::from_str(&ran.done()).unwrap()
}

#[test]
fn what_is_there() {
    let place = Place::with_map();
    let root = place.run(["root"]).done().trim().to_owned();
    assert_eq!(parsed(place.run(["root", "--json"])), json!({ "root": root, "name": "osm" }));
    assert_eq!(parsed(place.run(["refs", "node/1", "--json"])), json!({ "type": "way", "id": 5 }));
    let verified = parsed(place.run(["verify", "--json"]));
    assert_eq!((&verified["root"], &verified["entries"]), (&json!(root), &json!(10)));
    for (file, expected) in [
        ("a.osm.pbf", json!({ "root": root, "nodes": 6, "ways": 2, "relations": 1 })),
        ("a.geojson", json!({ "root": root, "features": 7 })),
    ] {
        assert_eq!(parsed(place.run(["export", "--json", file])), expected);
    }
    let changes = parsed(place.run(["export", "--json", "a.osc", "--changeset", "7"]));
    assert_eq!(changes, json!({ "root": root, "nodes": 1, "ways": 0, "relations": 0 }));
}

#[test]
fn what_was_changed() {
    let place = Place::with_map();
    let before = place.run(["root"]).done().trim().to_owned();
    place.write("fork.osm", "<osm><node id='3' version='2' lat='4' lon='4'/></osm>");
    let imported = parsed(place.run(["import", "--json", "fork.osm", "map.osm"]));
    let root = place.run(["root"]).done().trim().to_owned();
    assert_eq!(imported, json!({ "root": root, "read": 11, "gained": 1, "forked": ["node/3"] }));

    let heads = place.run(["get", "node/3"]).done();
    let head: Value = serde_json::from_str(heads.lines().next().unwrap()).unwrap();
    let resolved = parsed(place.run(["resolve", "node/3", head["version"].as_str().unwrap(), "--json"]));
    let now: Value = parsed(place.run(["get", "node/3"]));
    assert_eq!(resolved, json!({ "type": "node", "id": 3, "version": now["version"] }));

    let undone = parsed(place.run(["undo", "--json"]));
    assert_eq!((&undone["undid"], &undone["root"]), (&json!("edit"), &json!(root)));
    let undone = parsed(place.run(["undo", "--json"]));
    assert_eq!((&undone["was"], &undone["root"]), (&json!(root), &json!(before)));

    let id = parsed(place.run(["changeset", "open", "--json", "comment=wells"]))["id"].as_u64().unwrap();
    for verb in ["tag", "close"] {
        let done = parsed(place.run(["changeset", verb, &id.to_string(), "--json"]));
        assert_eq!((&done["id"], done["version"].as_str().unwrap().len()), (&json!(id), 64));
    }
    let collected = parsed(place.run(["gc", "--json"]));
    assert_eq!(collected["roots"]["kept"], 1);
    assert!(collected["bytes_on_disk"]["before"].as_u64() > Some(0));
}

#[test]
fn what_was_merged() {
    let place = Place::with_map();
    place.write("other.osm", "<osm><node id='3' version='2' lat='4' lon='4'/></osm>");
    place.run(["--db", "other", "import", "other.osm"]).done();
    let merged = parsed(place.run(["merge", "other", "--json", "--stats"]));
    assert_eq!(merged["root"], place.run(["root"]).done().trim());
    assert_eq!((&merged["gained"], &merged["forked"]), (&json!(1), &json!(["node/3"])));
    assert_eq!(merged["refused"], json!([]));
    assert!(merged["pages"]["there"].as_u64() > Some(0) && merged["read"]["there"].as_u64() > Some(0));
    let again = parsed(place.run(["merge", "other", "--json"]));
    assert_eq!((&again["gained"], again.get("pages")), (&json!(0), None));
}
