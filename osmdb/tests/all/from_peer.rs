//! The program asks peers, and does not copy what they have.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use crate::cli_remote::READING;
use crate::program::{MAP, Place};
use crate::sync::Served;

/// A map in the directory `there`, and none here.
fn there() -> Place {
    let place = Place::new();
    place.write("map.osm", MAP);
    place.run(["--db", "there", "import", "map.osm"]).done();
    place
}

/// Also what reads page by page, or writes files.
const MORE: [&[&str]; 5] = [
    &["changes", "7"],
    &["export", "all.osm"],
    &["export", "all.osh.pbf"],
    &["export", "box.osm", "--bbox", "0,0,2,2"],
    &["export", "box.geojson", "--bbox", "0,0,2,2"],
];

#[test]
fn a_peer_answers_as_the_database_in_one_round_trip() {
    let place = there();
    let here = |verb: &[&str]| place.run([&["--db", "there"], verb].concat()).done();
    let single: Vec<String> = READING.iter().map(|verb| here(verb)).collect();
    let several: Vec<String> = MORE.iter().map(|verb| here(verb)).collect();
    let files = ["all.osm", "all.osh.pbf", "box.osm", "box.geojson"];
    let content = || files.map(|name| std::fs::read(place.path(name)).unwrap());
    let written = content();
    let mut served = Served::start(&place, "there", &[]);
    for scheme in ["tcp", "ws"] {
        let peer = format!("{scheme}://{}", served.address);
        let from = ["--from", &peer, "--accept", &served.fingerprint];
        for (verb, expected) in READING.iter().zip(&single) {
            let ran = place.run([&from, *verb].concat());
            // A page of an answer is read page by page, until it is full.
            let is_paged = verb[0] == "query" && verb.contains(&"--limit");
            let is_one = ran.stderr.contains(" in 1 request, 1 of them one after another, ");
            assert!(is_one || is_paged, "{verb:?}: {}", ran.stderr);
            assert_eq!(&ran.done(), expected, "{verb:?}");
        }
        for name in files {
            std::fs::remove_file(place.path(name)).unwrap();
        }
        for (verb, expected) in MORE.iter().zip(&several) {
            assert_eq!(&place.run([&from, *verb].concat()).done(), expected, "{verb:?}");
        }
        assert!(content() == written, "the files are the same");
    }
    assert!(served.visit().contains("only read"));
    drop(served);
    let command = format!("exec:'{}' serve --stdio there", env!("CARGO_BIN_EXE_osmdb"));
    for (verb, expected) in READING.iter().zip(&single) {
        assert_eq!(&place.run([&["--from", &command], *verb].concat()).done(), expected, "{verb:?}");
    }
    assert!(!place.path("osm.db").exists(), "nothing was made here");
}

#[test]
fn who_answers_is_known_and_who_asks_too() {
    let place = there();
    let served = Served::start(&place, "there", &["--allow", "known"]);
    let peer = format!("tcp://{}", served.address);
    let get = |more: &[&str]| place.run([&["--from", &peer, "get", "node/1"], more].concat());
    let sentence = get(&[]).refused(1);
    assert!(sentence.ends_with(&format!("try again with --accept {}", served.fingerprint)), "{sentence}");
    // A key that ends with the program cannot be let in.
    let sentence = get(&["--accept", &served.fingerprint]).refused(1);
    assert!(sentence.contains("give --cache DIR, where a key is kept"), "{sentence}");
    let sentence = get(&["--accept", &served.fingerprint, "--cache", "cache"]).refused(1);
    let (_, ours) = sentence.split_once("osmdb peers accept ").unwrap();
    let ours = ours.split('`').next().unwrap();
    place.run(["--db", "there", "peers", "accept", ours, "Ranger"]).done();
    get(&["--accept", &served.fingerprint, "--cache", "cache"]).done();
    // Now both know each other, and what was read is kept.
    let ran = get(&["--cache", "cache"]);
    assert!(ran.stderr.contains("read 0 pages in 1 request, "), "{}", ran.stderr);
    ran.done();
    // Who has a database is known by its key.
    place.run(["--db", "mine", "import", "map.osm"]).done();
    let sentence =
        place.run(["--db", "mine", "--from", &peer, "--accept", &served.fingerprint, "root"]).refused(1);
    assert!(sentence.contains("ask for `osmdb peers accept "), "{sentence}");
}

#[test]
fn what_cannot_be_asked_of_a_peer() {
    let place = there();
    let said = |arguments: &[&str], code: i32, part: &str| {
        let sentence = place.run(arguments).refused(code);
        assert!(sentence.contains(part), "{sentence}");
    };
    said(&["--from", "tcp://127.0.0.1:1", "undo"], 2, "--from is for root, get");
    said(&["--from", "tcp://127.0.0.1:1", "get", "node/1"], 1, "is `osmdb serve --sync` running there?");
    said(&["--from", "tcp://", "root"], 2, "`tcp://` is no peer");
    said(&["--from", "exec:exit 3", "root"], 1, "exec:exit 3");
    let fingerprint = "28142-39391-20653-19938";
    said(&["--db", "there", "root", "--accept", fingerprint], 2, "--accept is for sync");
    said(&["--db", "there", "root", "--cache", "cache"], 2, "--cache is for what is read with --from");
    said(&["--from", "there", "root", "--accept", fingerprint], 2, "--accept is for sync");
    let command = format!("exec:'{}' serve --stdio there", env!("CARGO_BIN_EXE_osmdb"));
    let ran = place.run(["--from", &command, "get", "node/77"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("osmdb: node/77 is not in the database\n"), "{}", ran.stderr);
    said(&["--from", &command, "--at", "2026-01-01", "root"], 2, "no reflog");
}
