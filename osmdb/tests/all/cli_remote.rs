//! The program on datasets that were published.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use crate::program::{MAP, Place};

pub const READING: [&[&str]; 9] = [
    &["root"],
    &["get", "node/1", "way/5"],
    &["query", "--bbox", "-180,-90,180,90"],
    &["query", "--bbox", "-180,-90,180,90", "--format", "ids", "--filter", "node"],
    &["query", "--bbox", "-180,-90,180,90", "--format", "count"],
    &["query", "--bbox", "-180,-90,180,90", "--format", "ids", "--limit", "1"],
    &["nearest", "1,1", "--limit", "2", "--json"],
    &["history", "node/1"],
    &["refs", "node/1"],
];

fn published() -> Place {
    let place = Place::new();
    place.write("map.osm", MAP);
    place.run(["import", "map.osm"]).done();
    let root = place.run(["root"]).done();
    assert_eq!(place.run(["publish", "site"]).done(), root);
    place
}

#[test]
fn a_published_dataset_reads_as_the_database() {
    let place = published();
    for verb in READING {
        let here = place.run(verb).done();
        let there = place.run([&["--from", "site"], verb].concat());
        assert!(there.stderr.contains(" in 1 request, 1 of them one after another, "), "{}", there.stderr);
        assert_eq!(there.done(), here, "{verb:?}");
        let cached = place.run([&["--from", "site", "--cache", "cache"], verb].concat());
        assert_eq!(cached.done(), here, "{verb:?}");
    }
    let root = place.run(["root"]).done();
    assert_eq!(place.run(["--from", "site", "--at", root.trim(), "get", "node/1"]).code, Some(0));
}

#[test]
fn what_cannot_be_read_is_said_in_one_sentence() {
    let place = published();
    let said = |arguments: &[&str], code: i32, part: &str| {
        let ran = place.run(arguments);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert_eq!(
            ran.stderr.lines().filter(|line| line.starts_with("osmdb: ")).count(),
            1,
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    };
    said(&["--from", "nowhere", "root"], 1, "nothing is published there");
    said(&["--from", "site", "undo"], 2, "--from is for root, get");
    said(&["--from", "site", "--at", "2026-01-01", "root"], 2, "no reflog");
    said(&["--from", "gopher://site", "root"], 1, "gopher");
    said(&["--from", "site", "get", "node/77"], 1, "node/77 is not in the database");
    let other = "bafyr4id3pf474o2gopjb24w2omrwe5fik37fzdphidx7kghfrrqtafv3ke";
    said(&["--from", "site", "--at", other, "root"], 1, "it has no page bafyr4i");
    place.write("site/osmdb.manifest", "<html>404</html>");
    said(&["--from", "site", "root"], 1, "no manifest of a published dataset: have it published again");
    said(&["publish", "site"], 1, "no manifest");
}
