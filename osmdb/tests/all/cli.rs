//! The program: what each verb prints where, and how it fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use crate::program::{MAP, Place, real_data};
use serde_json::Value;

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs a query and returns the features by their ids.
#[track_caller]
fn features(place: &Place, bbox: &str) -> Vec<(String, Value)> {
    let collection = parse(&place.run(["query", "--bbox", bbox]).done());
    assert_eq!(collection["type"], "FeatureCollection");
    let features = collection["features"].as_array().unwrap().iter();
    features.map(|feature| (feature["id"].as_str().unwrap().to_owned(), feature.clone())).collect()
}

#[test]
fn an_import_prints_the_root_and_says_the_rest_aside() {
    let place = Place::new();
    place.write("map.osm", MAP);
    let first = place.run(["import", "map.osm"]);
    assert!(first.stderr.contains("10 versions read from 1 file"), "{first:?}");
    assert!(first.stderr.contains("10 new, no forks"), "{first:?}");
    assert_eq!(first.stderr.lines().count(), 1, "no progress bar where there is no terminal: {first:?}");
    let root = first.done();
    assert!(root.starts_with("bafyr4i") && root.ends_with('\n') && root.lines().count() == 1);
    let second = place.run(["import", "map.osm"]);
    assert!(second.stderr.contains("nothing new"), "{second:?}");
    assert_eq!(second.done(), root);
    assert_eq!(place.run(["root"]).done(), root);
    assert_eq!(place.run(["--db", "./osm.db", "root"]).done(), root);
    assert_eq!(place.run(["--db", "other", "import", "map.osm"]).done(), root);
}

#[test]
fn several_files_are_one_change_and_versions_at_odds_are_forks() {
    let place = Place::new();
    place.write("a.osm", "<osm><node id='1' version='1' lat='1' lon='1'/></osm>");
    place.write("b.osm", "<osm><node id='1' version='1' lat='2' lon='1'/></osm>");
    let ran = place.run(["import", "a.osm", "b.osm"]);
    assert!(ran.stderr.contains("2 versions read from 2 files"), "{ran:?}");
    assert!(ran.stderr.contains("1 fork (node/1)"), "{ran:?}");
    ran.done();
    assert_eq!(place.run(["get", "node/1"]).done().lines().count(), 2, "every head has its line");
    let found = features(&place, "0,0,3,3");
    assert_eq!(found.iter().filter(|(id, _)| id == "node/1").count(), 2);
    assert_eq!(place.run(["query", "--bbox", "0,0,3,3", "--format", "ids"]).done(), "node/1\n");
}

#[test]
fn a_failed_import_leaves_nothing_of_a_new_database() {
    let place = Place::new();
    place.write("good.osm", MAP);
    place.write("cut.osm", &MAP[..400]);
    place.write("empty.osm", "");
    place.write("text.osm", "not a map");
    place.write("latin.osm", b"<osm><node id='1' lat='1' lon='1'><tag k='name' v='S\xfcd'/></node></osm>");
    place.write("change.osm", "<osmChange><node id='1' lat='1' lon='0'/></osmChange>");
    place.write("pole.osm", "<osm><node id='1' lat='91' lon='0'/></osm>");
    place.write("gzip.osm.gz", b"\x1f\x8b\x08\x00 nothing of the kind");
    std::fs::create_dir(place.path("empty")).unwrap();
    let files = place.names();
    let cases = [
        ("absent.osm", "check the path"),
        ("cut.osm", "get the file again"),
        ("empty.osm", "the file is empty"),
        ("text.osm", "give an .osm.pbf"),
        ("latin.osm", "latin.osm"),
        ("change.osm", "outside of the sections"),
        ("pole.osm", "latitude 91.0000000"),
        ("gzip.osm.gz", "gzip"),
        ("empty", "empty"),
    ];
    for (file, words) in cases {
        for db in ["osm.db", "deep/down/osm.db", "empty"] {
            let sentence = place.run(["--db", db, "import", "good.osm", file]).refused(1);
            assert!(sentence.starts_with(file) && sentence.contains(words), "{sentence}");
            assert_eq!(place.names(), files, "{file} left something");
            assert_eq!(std::fs::read_dir(place.path("empty")).unwrap().count(), 0, "{file} left something");
        }
    }
}

#[test]
fn a_failed_import_leaves_a_database_as_it_was() {
    let place = Place::with_map();
    let root = place.run(["root"]).done();
    place.write(
        "half.osm",
        "<osm><node id='50' version='1' lat='1' lon='1'/><node id='51' lat='91' lon='0'/></osm>",
    );
    place.run(["import", "half.osm"]).refused(1);
    assert_eq!(place.run(["root"]).done(), root);
    place.run(["verify"]).done();
}

#[test]
fn heads_are_json_lines() {
    let place = Place::with_map();
    let ran = place.run(["get", "node/3", "node/404", "way/5", "relation/9", "node/13", "node/405"]);
    assert_eq!(ran.code, Some(1));
    let unknown = "osmdb: node/404 is not in the database\nosmdb: node/405 is not in the database\n";
    assert_eq!(ran.stderr, unknown);
    let heads: Vec<Value> = ran.stdout.lines().map(parse).collect();
    let [node, way, relation, deleted] = heads.as_slice() else { panic!("{ran:?}") };
    assert!(ran.stdout.starts_with(r#"{"type":"node","id":3,"version":""#), "{ran:?}");
    assert!(ran.stdout.contains(r#""lat":1.5,"lon":1.5,"tags":{"amenity":"well","@id":"x"}"#), "{ran:?}");
    assert_eq!(node["version"].as_str().unwrap().len(), 64);
    assert_eq!(node["osm"], parse(r#"{"version":2,"changeset":7,"uid":8,"user":"Ada"}"#));
    assert!(node.get("deleted").is_none());
    assert_eq!(way["nodes"], parse("[1,2]"));
    let members = r#"[{"type":"way","ref":5,"role":"outer"},{"type":"node","ref":77,"role":""}]"#;
    assert_eq!(relation["members"], parse(members));
    assert_eq!(deleted["deleted"], true);
    assert!(deleted.get("tags").is_none() && deleted.get("lat").is_none());
    let timed = parse(&place.run(["get", "node/1"]).done());
    assert_eq!(timed["osm"]["timestamp"], "2024-02-29T12:34:56Z");
}

#[test]
fn features_are_geojson() {
    let place = Place::with_map();
    let text = place.run(["query", "--bbox", "0,0,4,4"]).done();
    assert_eq!(text.lines().count(), 2 + 4, "one line for each feature: {text}");
    let found = features(&place, "0,0,4,4");
    let find = |id: &str| &found.iter().find(|(found, _)| found == id).unwrap().1;
    for (id, feature) in &found {
        assert_eq!(feature["type"], "Feature");
        assert_eq!(feature["properties"]["@id"], id.as_str());
        assert!(id.starts_with(feature["properties"]["@type"].as_str().unwrap()));
    }
    assert_eq!(find("node/3")["geometry"], parse(r#"{"type":"Point","coordinates":[1.5,1.5]}"#));
    assert_eq!(find("node/3")["properties"]["@@id"], "x", "a tag hides nothing");
    let line = r#"{"type":"LineString","coordinates":[[1.0,1.0],[3.0,1.0]]}"#;
    assert_eq!(find("way/5")["geometry"], parse(line));
    assert_eq!(find("way/5")["properties"]["highway"], "path");
    assert_eq!(find("way/6")["geometry"], parse(r#"{"type":"Point","coordinates":[3.0,1.0]}"#));
    assert_eq!(find("relation/9")["geometry"], Value::Null);
    assert_eq!(find("relation/9")["properties"]["@members"][0]["role"], "outer");
    // It only crosses: no node is inside.
    assert_eq!(
        place.run(["query", "--bbox", "1.9,0.9,2.1,1.1", "--format", "ids"]).done(),
        "way/5\nrelation/9\n"
    );
}

#[test]
fn ids_are_sorted_and_counted() {
    let place = Place::with_map();
    let ids = place.run(["query", "--bbox", "-180,-90,180,90", "--format", "ids"]).done();
    let all = ["node/3", "node/10", "node/11", "node/12", "way/5", "way/6", "relation/9"];
    assert_eq!(ids.lines().collect::<Vec<_>>(), all);
    assert_eq!(place.run(["query", "--bbox", "-180,-90,180,90", "--format", "count"]).done(), "7\n");
    assert_eq!(place.run(["query", "--bbox", "50,50,51,51", "--format", "count"]).done(), "0\n");
    assert_eq!(place.run(["query", "--bbox", "50,50,51,51", "--format", "ids"]).done(), "");
    assert!(features(&place, "50,50,51,51").is_empty());
}

#[test]
fn boxes_may_be_negative_and_cross_the_antimeridian() {
    let place = Place::with_map();
    let south = "-71,-34,-70,-33";
    let spaced = place.run(["query", "--bbox", south, "--format", "ids"]).done();
    let equals = place.run(["query", &format!("--bbox={south}"), "--format=ids"]).done();
    assert_eq!((spaced.as_str(), equals.as_str()), ("node/10\n", "node/10\n"));
    let fiji = place.run(["query", "--bbox", "177,-20,-178,-16", "--format", "ids"]).done();
    assert_eq!(fiji, "node/11\nnode/12\n");
}

#[test]
fn wrong_usage_is_told_apart() {
    let place = Place::with_map();
    let boxes = [
        ("1,2,3", "write west,south,east,north"),
        ("a,b,c,d", "write west,south,east,north"),
        ("", "write west,south,east,north"),
        ("nan,0,1,1", "write west,south,east,north"),
        ("0,-91,1,1", "leaves the globe"),
        ("0,0,181,1", "leaves the globe"),
        ("0,2,1,1", "swap them"),
    ];
    for (bbox, words) in boxes {
        let sentence = place.run(["query", "--bbox", bbox]).refused(2);
        assert!(sentence.contains(words), "{sentence}");
    }
    assert_eq!(place.run(["query"]).refused(2), "say what to look for: give --bbox, --geohash or --filter");
    for element in ["nod/1", "node/0", "node/-1", "node", "node/1x", "node/9223372036854775808", "/"] {
        let sentence = place.run(["get", element]).refused(2);
        assert!(sentence.contains("such as node/123"), "{sentence}");
    }
    for arguments in [
        &["improt"][..],
        &["import"],
        &["get"],
        &["query", "--bbox", "0,0,1,1", "--format", "xml"],
        &["export"],
        &["export", "map.osm", "--bbox"],
        &["merge"],
        &["root", "more"],
        &["--db"],
    ] {
        let sentence = place.run(arguments).refused(2);
        assert!(sentence.contains("--help"), "{sentence}");
    }
    let nothing = place.run([""; 0]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(2), ""));
    let help = place.run(["--help"]).done();
    for verb in ["demo", "import", "root", "get", "query", "export", "merge", "stats", "verify"] {
        assert!(help.contains(verb), "{help}");
        assert!(place.run([verb, "--help"]).done().contains("Example"), "{verb}");
    }
    assert_eq!(place.run(["--version"]).done(), format!("osmdb {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_no_database_is_left_alone() {
    let place = Place::with_map();
    place.write("file", "text");
    std::fs::create_dir(place.path("empty")).unwrap();
    std::fs::create_dir(place.path("taken")).unwrap();
    place.write("taken/letter", "text");
    let verbs = [
        &["root"][..],
        &["get", "node/1"],
        &["query", "--bbox", "0,0,1,1"],
        &["export", "new.osm"],
        &["stats"],
        &["verify"],
    ];
    let cases = [
        ("absent", "create one with `osmdb import FILE`"),
        ("empty", "create one with `osmdb import FILE`"),
        ("file", "is a file"),
        ("file/below", "is a file"),
        ("taken", "is not a database"),
    ];
    for (db, words) in cases {
        for verb in verbs {
            let sentence = place.run(["--db", db].iter().chain(verb)).refused(1);
            assert!(sentence.starts_with(db) && sentence.contains(words), "{sentence}");
        }
        let sentence = place.run(["merge", db]).refused(1);
        assert!(sentence.starts_with(db), "{sentence}");
    }
    for db in ["file", "taken"] {
        place.run(["--db", db, "import", "map.osm"]).refused(1);
        place.run(["--db", db, "merge", "osm.db"]).refused(1);
    }
    assert_eq!(place.names(), ["empty", "file", "map.osm", "osm.db", "taken"]);
    assert_eq!(std::fs::read_dir(place.path("empty")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(place.path("taken")).unwrap().count(), 1);
    assert_eq!(
        place.run(["--db", "absent", "root"]).refused(1),
        "absent holds no database: create one with `osmdb import FILE`, or name another with --db"
    );
}

#[test]
fn a_database_in_use_is_not_touched() {
    let place = Place::with_map();
    let db = osmdb::Db::open(place.path("osm.db")).unwrap();
    for verb in [&["root"][..], &["import", "map.osm"], &["--db", "new", "merge", "osm.db"]] {
        let sentence = place.run([verb, &["--wait", "0"]].concat()).refused(1);
        assert!(
            sentence.contains("another process has") && sentence.contains("close it first"),
            "{sentence}"
        );
    }
    assert_eq!(place.names(), ["map.osm", "osm.db"]);
    drop(db);
    place.run(["root"]).done();
}

#[test]
fn merging_is_a_union_in_either_direction() {
    let place = Place::with_map();
    place.write("more.osm", "<osm><node id='3' version='2' lat='1.6' lon='1.5'/><node id='80' version='1' lat='2' lon='2'/></osm>");
    place.run(["--db", "b", "import", "more.osm"]).done();
    place.run(["--db", "copy", "merge", "osm.db"]).done();
    assert_eq!(
        place.run(["--db", "copy", "root"]).done(),
        place.run(["root"]).done(),
        "the union with nothing"
    );
    let theirs = place.run(["--db", "b", "root"]).done();

    let ran = place.run(["merge", "b", "--stats"]);
    assert_eq!(ran.stderr, "");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let [gained, pages, fork, root] = lines.as_slice() else { panic!("{ran:?}") };
    assert!(gained.starts_with("gained 2 entries, read ") && gained.ends_with(", 1 fork"), "{gained}");
    assert!(pages.starts_with("pages here ") && pages.contains(" before and "), "{pages}");
    assert_eq!(*fork, "fork node/3");
    assert_eq!(place.run(["root"]).done(), format!("{}\n", root.strip_prefix("root ").unwrap()));
    assert_eq!(place.run(["--db", "b", "root"]).done(), theirs, "the other one is only read");

    let back = place.run(["--db", "b", "merge", "copy"]).done();
    assert_eq!(back.lines().count(), 2, "{back}");
    assert_eq!(back.lines().last(), Some(*root), "the order makes no difference");
    let again = place.run(["merge", "b"]).done();
    assert!(again.starts_with("gained 0 entries, read "), "{again}");
    let known = place.run(["merge", "b"]).done();
    assert!(known.starts_with("gained 0 entries, read 1 page here and 1 there, 0 forks\n"), "{known}");
    for db in ["osm.db", "b", "copy"] {
        place.run(["--db", db, "verify"]).done();
    }
}

#[test]
fn a_database_does_not_merge_with_itself_or_nothing() {
    let place = Place::with_map();
    for other in ["osm.db", "./osm.db/", "./nowhere/../osm.db"] {
        let ran = place.run(["merge", other]);
        assert_eq!(ran.code, Some(if other.contains("nowhere") { 1 } else { 2 }), "{ran:?}");
    }
    place.run(["--db", "new", "merge", "absent"]).refused(1);
    assert_eq!(place.names(), ["map.osm", "osm.db"]);
}

#[test]
fn statistics_are_for_people_and_programs() {
    let place = Place::with_map();
    let stats = parse(&place.run(["stats", "--json"]).done());
    let counts = ["nodes", "ways", "relations", "changesets", "deleted", "entries", "forks"];
    let counts: Vec<u64> = counts.iter().map(|name| stats[name].as_u64().unwrap()).collect();
    assert_eq!(counts, [6, 2, 1, 0, 1, 10, 0]);
    assert_eq!(stats["root"], place.run(["root"]).done().trim());
    assert_eq!(stats["trees"]["heads"]["pairs"], 10);
    assert_eq!(stats["trees"]["heads"]["height"], 1);
    assert!(stats["bytes_on_disk"].as_u64().unwrap() > 0);
    let text = place.run(["stats"]).done();
    for words in ["nodes", "spatial", "on disk", "root        bafyr4i"] {
        assert!(text.contains(words), "{text}");
    }
    assert!(place.run(["verify"]).done().starts_with("sound: 10 entries in "));
}

#[cfg(unix)]
#[test]
fn a_reader_may_go_away_and_a_full_disk_may_not_be_ignored() {
    use std::process::Stdio;
    let place = Place::with_map();
    for arguments in [&["query", "--bbox", "-180,-90,180,90"][..], &["stats"], &["--help"], &["demo"]] {
        let mut child =
            place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{arguments:?}");
    }
    if let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") {
        let output = place.command(["stats"]).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.starts_with("osmdb: the results could not be written: "), "{message}");
    }
}

#[test]
fn the_demo_tells_its_story() {
    let place = Place::new();
    let story = place.run(["demo", "--dir", "villages"]);
    assert_eq!(story.stderr, "");
    let story = story.done();
    let roots: Vec<&str> = story.lines().filter_map(|line| line.trim().strip_prefix("root ")).collect();
    let [import_a, import_b, edit_a, edit_b, merge_a, merge_b] = roots.as_slice() else { panic!("{story}") };
    assert!(import_a == import_b && edit_a != edit_b && merge_a == merge_b, "{story}");
    for db in ["villages/a", "villages/b"] {
        assert_eq!(place.run(["--db", db, "root"]).done().trim(), *merge_a);
        place.run(["--db", db, "verify"]).done();
    }
    // What it says to try works.
    let tries: Vec<&str> = story.lines().filter_map(|line| line.strip_prefix("  osmdb ")).collect();
    assert_eq!(tries.len(), 3);
    for line in tries {
        assert!(!place.run(line.split(' ')).done().is_empty());
    }
    let sentence = place.run(["demo", "--dir", "villages"]).refused(1);
    assert!(sentence.contains("name a directory that is absent or empty"), "{sentence}");
}

#[test]
fn real_extracts_go_through_every_verb() {
    let Some(monaco) = real_data("monaco-2023.osm.pbf") else { return };
    let Some(grid) = real_data("grid.osm") else { return };
    let place = Place::new();
    let root = place.run(["import".as_ref(), monaco.as_os_str()]).done();
    assert_eq!(
        place.run(["--db".as_ref(), "again".as_ref(), "import".as_ref(), monaco.as_os_str()]).done(),
        root
    );
    let bbox = "7.41,43.72,7.42,43.73";
    let ids = place.run(["query", "--bbox", bbox, "--format", "ids"]).done();
    let count = place.run(["query", "--bbox", bbox, "--format", "count"]).done();
    assert_eq!(ids.lines().count().to_string(), count.trim());
    let mut found: Vec<String> = features(&place, bbox).into_iter().map(|(id, _)| id).collect();
    found.sort();
    let mut ids: Vec<&str> = ids.lines().collect();
    ids.sort_unstable();
    assert_eq!(found, ids);
    let heads = place.run(["get"].into_iter().chain(ids)).done();
    assert_eq!(heads.lines().map(parse).count(), found.len());
    place.run(["--db".as_ref(), "grid".as_ref(), "import".as_ref(), grid.as_os_str()]).done();
    let merged = place.run(["merge", "grid"]).done();
    assert!(merged.contains(", 0 forks"), "{merged}");
    place.run(["verify"]).done();
}

#[test]
fn every_real_file_is_read_or_refused() {
    let names = [
        "bristol-2019.osm.pbf",
        "changeset.osc",
        "deleted-nodes.osh.pbf",
        "history.osm",
        "ids-64bit.osm",
        "krems-2013.osm.gz",
        "liechtenstein-2013.osc.gz",
        "minute.osc",
        "odd-granularity.osm.pbf",
    ];
    for name in names {
        let Some(file) = real_data(name) else { return };
        let place = Place::new();
        let ran = place.run(["import".as_ref(), file.as_os_str()]);
        if ran.code == Some(0) {
            place.run(["verify"]).done();
        } else {
            ran.refused(1);
            assert!(place.names().is_empty(), "{name} left something");
        }
    }
}
