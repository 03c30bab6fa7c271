//! The program's reading verbs: what each prints where, and how it fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use crate::program::Place;
use serde_json::Value;

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

const EVERYWHERE: &str = "-180,-90,180,90";

#[test]
fn queries_are_filtered() {
    let place = Place::with_map();
    let ids = |arguments: &[&str]| {
        let query = ["query", "--bbox", EVERYWHERE, "--format", "ids"];
        place.run(query.iter().chain(arguments)).done().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--filter", "amenity=well"]), ["node/3"]);
    assert_eq!(ids(&["--filter", "place and node"]), ["node/11", "node/12"]);
    assert_eq!(ids(&["--filter", "name~=SÜD"]), ["node/10"]);
    assert_eq!(ids(&["--filter", "highway!=path and way|relation"]), ["way/6", "relation/9"]);
    assert_eq!(ids(&["--filter", "highway", "--filter", "highway=\"cut off\""]), ["way/6"]);
    assert_eq!(ids(&["--filter", "!node", "--filter", "!highway"]), ["relation/9"]);
    let count = ["query", "--bbox", EVERYWHERE, "--format", "count", "--filter", "highway"];
    assert_eq!(place.run(count).done(), "2\n");
    let geojson = place.run(["query", "--bbox", EVERYWHERE, "--filter", "place"]).done();
    assert_eq!(parse(&geojson)["features"].as_array().unwrap().len(), 2);
    let refused = place.run(["query", "--bbox", EVERYWHERE, "--filter", "a=\"b"]).refused(2);
    assert!(refused.contains("at character 3") && refused.contains("never closed"), "{refused}");
}

#[test]
fn a_geohash_is_a_box() {
    let place = Place::with_map();
    assert_eq!(place.run(["query", "--geohash", "s00tw", "--format", "ids"]).done(), "way/5\nrelation/9\n");
    assert_eq!(place.run(["query", "--geohash", "s", "--format", "count"]).done(), "4\n");
    let refused = place.run(["query", "--geohash", "sp9a"]).refused(2);
    assert!(refused.contains("is no geohash"), "{refused}");
    place.run(["query", "--geohash", "s", "--bbox", EVERYWHERE]).refused(2);
}

#[test]
fn pages_of_results_are_gone_on_with() {
    let place = Place::with_map();
    let whole = place.run(["query", "--bbox", EVERYWHERE, "--format", "ids"]).done();
    let mut all: Vec<String> = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..10 {
        let mut query = vec!["query", "--bbox", EVERYWHERE, "--format", "ids", "--limit", "2"];
        query.extend(cursor.iter().flat_map(|cursor| ["--cursor", cursor.as_str()]));
        let ran = place.run(query);
        assert!(ran.stdout.lines().count() <= 2);
        all.extend(ran.stdout.lines().map(str::to_owned));
        let said = ran.stderr.lines().last().map(|line| line.strip_prefix("cursor ").unwrap().to_owned());
        ran.done();
        cursor = said;
        if cursor.is_none() {
            break;
        }
    }
    all.sort();
    let mut expected: Vec<&str> = whole.lines().collect();
    expected.sort_unstable();
    assert_eq!(all, expected);

    let first = place.run(["query", "--bbox", EVERYWHERE, "--limit", "2"]);
    let cursor = first.stderr.trim().strip_prefix("cursor ").unwrap().to_owned();
    assert_eq!(parse(&first.done())["features"].as_array().unwrap().len(), 2);
    let other = place.run(["query", "--bbox", "0,0,1,1", "--cursor", &cursor]).refused(2);
    assert!(other.contains("belongs to another question"), "{other}");
    place.run(["query", "--bbox", EVERYWHERE, "--cursor", "abc"]).refused(2);
    place.run(["query", "--bbox", EVERYWHERE, "--limit", "0"]).refused(2);
    place.run(["query", "--bbox", EVERYWHERE, "--format", "count", "--limit", "1"]).refused(2);
    // The database moves on; the cursor can be gone on with at its root.
    let root = place.run(["root"]).done();
    place.write("more.osm", "<osm><node id='90' version='1' lat='2' lon='2'><tag k='a' v='b'/></node></osm>");
    place.run(["import", "more.osm"]).done();
    let moved = place.run(["query", "--bbox", EVERYWHERE, "--cursor", &cursor]).refused(2);
    assert!(moved.contains("belongs to the root") && moved.contains(root.trim()), "{moved}");
    let rest = place.run([
        "--at",
        root.trim(),
        "query",
        "--bbox",
        EVERYWHERE,
        "--format",
        "ids",
        "--cursor",
        &cursor,
    ]);
    assert_eq!(rest.done().lines().count(), whole.lines().count() - 2);
}

/// A well with two imported versions and, from two files, two contents of the second.
fn forked() -> Place {
    let place = Place::with_map();
    let well = |name: &str| {
        format!(
            "<osm><node id='3' version='3' changeset='8' timestamp='2025-01-01T00:00:00Z' lat='1.5' lon='1.5'><tag k='name' v='{name}'/></node></osm>"
        )
    };
    place.write("a.osm", well("Old\u{1b}[31m Well"));
    place.write("b.osm", well("New Well"));
    place.run(["import", "a.osm", "b.osm"]).done();
    place
}

#[test]
fn a_history_is_drawn_and_listed() {
    let place = forked();
    let drawn = place.run(["history", "node/3"]).done();
    let signs: Vec<&str> = drawn.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(signs, ["*", "| *", "|-'", "*"], "{drawn}");
    let lines: Vec<&str> = drawn.lines().collect();
    for words in ["2025-01-01T00:00:00Z", "version 3", "changeset 8", "head", "1.5000000,1.5000000"] {
        assert!(lines[0].contains(words) && lines[1].contains(words), "{drawn}");
    }
    assert!(lines[3].contains("version 2") && lines[3].contains("by Ada") && !lines[3].contains("head"));
    assert!(drawn.contains("name=New Well") && drawn.contains("name=Old") && !drawn.contains('\u{1b}'));
    let listed = place.run(["history", "node/3", "--json"]).done();
    let listed: Vec<Value> = listed.lines().map(parse).collect();
    assert_eq!(listed.len(), 3);
    assert_eq!((&listed[0]["head"], &listed[0]["osm"]["version"]), (&Value::Bool(false), &Value::from(2)));
    for newer in &listed[1..] {
        assert_eq!(newer["replaces"][0], listed[0]["version"]);
        assert_eq!(newer["head"], true);
    }
    assert!(place.run(["history", "node/13"]).done().contains("deleted"));
    assert!(place.run(["history", "node/404"]).refused(1).contains("is not in the database"));
}

#[test]
fn references_changes_and_forks_are_listed() {
    let place = forked();
    assert_eq!(place.run(["refs", "node/1"]).done(), "way/5\n");
    assert_eq!(place.run(["refs", "node/2", "way/5"]).done(), "way/5\nway/6\nrelation/9\n");
    assert_eq!(place.run(["refs", "relation/9"]).done(), "");
    let changes = place.run(["changes", "8"]).done();
    assert_eq!(changes.lines().map(parse).filter(|head| head["id"] == 3).count(), 2);
    assert_eq!(place.run(["changes", "7"]).done().lines().count(), 1);
    assert_eq!(place.run(["changes", "1000"]).done(), "");
    place.run(["changes", "-1"]).refused(2);
    assert_eq!(place.run(["forks"]).done(), "node/3\n");
    assert_eq!(place.run(["forks", "--json"]).done().lines().count(), 2);
    place.write("c.osm", "<osm><node id='10' version='1' lat='2' lon='1'/></osm>");
    place.run(["import", "c.osm"]).done();
    let first = place.run(["forks", "--limit", "1"]);
    let cursor = first.stderr.trim().strip_prefix("cursor ").unwrap().to_owned();
    assert_eq!(first.done(), "node/3\n");
    let last = place.run(["forks", "--limit", "1", "--cursor", &cursor]);
    assert_eq!((last.stderr.as_str(), last.stdout.as_str()), ("", "node/10\n"));
}

#[test]
fn everything_is_read_as_it_was() {
    let place = Place::with_map();
    let root = place.run(["root"]).done();
    let root = root.trim();
    let then = [
        &["root"][..],
        &["get", "node/3"],
        &["query", "--bbox", EVERYWHERE],
        &["history", "node/3"],
        &["refs", "node/1"],
        &["changes", "7"],
        &["forks"],
    ];
    let before: Vec<String> = then.iter().map(|verb| place.run(*verb).done()).collect();
    let counts = |ran: String| {
        let stats = parse(&ran);
        (stats["nodes"].clone(), stats["root"].clone(), stats["trees"].clone())
    };
    let stats = counts(place.run(["stats", "--json"]).done());
    place.run(["export", "then.osm"]).done();
    place.write(
        "next.osc",
        "<osmChange><delete><node id='3' version='4' changeset='7'/></delete>
         <create><way id='50' version='1'><nd ref='1'/><nd ref='3'/></way></create></osmChange>",
    );
    place.run(["import", "next.osc"]).done();
    for (verb, before) in then.iter().zip(&before) {
        assert_eq!(&place.run(verb.iter().chain(&["--at", root])).done(), before, "{verb:?}");
    }
    assert_ne!(place.run(["root"]).done().trim(), root);
    assert_eq!(counts(place.run(["--at", root, "stats", "--json"]).done()), stats);
    assert_eq!(place.run(["--at", root, "export", "now.osm"]).done().trim(), root);
    assert_eq!(std::fs::read(place.path("then.osm")).unwrap(), std::fs::read(place.path("now.osm")).unwrap());

    assert_eq!(place.run(["--at", "9999-01-01", "root"]).done(), place.run(["root"]).done());
    let early = place.run(["--at", "2001-01-01T00:00:00Z", "root"]).refused(1);
    assert!(early.contains("ask for a later time"), "{early}");
    let unknown = "bafyr4ihw6xqzwtxxo7yym622xkpyikblcrvwbq4fk2gffmghtgrspsosbq";
    let sentence = place.run(["--at", unknown, "get", "node/3"]).refused(1);
    assert!(sentence.contains(unknown) && sentence.contains("that the database had"), "{sentence}");
    assert!(place.run(["--at", "yesterday", "root"]).refused(2).contains("2026-11-21"));
    for verb in [&["import", "map.osm"][..], &["merge", "other"], &["verify"]] {
        let sentence = place.run(["--at", root].iter().chain(verb)).refused(2);
        assert!(sentence.contains("--at is for reading alone"), "{sentence}");
    }
}

#[test]
fn the_nearest_come_first() {
    let place = Place::with_map();
    let lines = |arguments: &[&str]| place.run(["nearest"].iter().chain(arguments)).done();
    assert_eq!(lines(&["1,1", "--filter", "amenity"]), "78617.3\tnode/3\n");
    let all = lines(&["1,1"]);
    assert_eq!(all.lines().count(), 7, "{all}");
    assert_eq!(all.lines().take(2).collect::<Vec<_>>(), ["0.0\tway/5", "0.0\trelation/9"]);
    assert_eq!(
        lines(&["-17,179.9", "--filter", "place", "--limit", "1"]).split('\t').nth(1),
        Some("node/11\n")
    );
    assert_eq!(
        lines(&["--filter", "place", "--limit", "1", "-17,-179.9"]).split('\t').nth(1),
        Some("node/12\n")
    );
    assert_eq!(lines(&["1.5,1.5", "--within", "10"]), "0.0\tnode/3\n");
    let feature = parse(&lines(&["1.5,1.5", "--limit", "1", "--json"]));
    assert_eq!((&feature["id"], &feature["properties"]["@metres"]), (&"node/3".into(), &0.0.into()));
    assert!(place.run(["nearest", "42.5"]).refused(2).contains("latitude,longitude"));
    assert!(place.run(["nearest", "91,0"]).refused(2).contains("latitude 91"));
    let root = place.run(["root"]).done();
    place.write("gone.osc", "<osmChange><delete><node id='3' version='4'/></delete></osmChange>");
    place.run(["import", "gone.osc"]).done();
    assert_eq!(lines(&["1.5,1.5", "--within", "10"]), "");
    assert_eq!(lines(&["1.5,1.5", "--within", "10", "--at", root.trim()]), "0.0\tnode/3\n");
}

#[test]
fn the_help_of_every_verb_has_examples() {
    let place = Place::new();
    let help = place.run(["--help"]).done();
    for verb in ["query", "nearest", "history", "refs", "changes", "forks"] {
        assert!(help.contains(verb), "{help}");
        assert!(place.run([verb, "--help"]).done().contains("Example"), "{verb}");
    }
}
