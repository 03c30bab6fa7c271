//! Real files into a database and out again, in the same format: the root is the same, and so is every
//! element with all that is said of it.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use osmdb::io::{Reader, Writer};
use osmdb::{Db, Entry, Version};
use prolly::MemoryStore;
use tests::data;

/// What is small enough for every run.
const FILES: [&str; 11] = [
    "bristol-2019.osm.pbf",
    "changeset.osc",
    "deleted-nodes.osh.pbf",
    "grid.osm",
    "history.osm",
    "ids-64bit.osm",
    "krems-2013.osm.gz",
    "liechtenstein-2013.osc.gz",
    "liechtenstein-2013.osm.pbf",
    "minute.osc",
    "monaco-2023.osm.pbf",
];

/// What takes longer: `cargo test -p tests --test all -- --ignored large_file`.
const LARGE_FILES: [&str; 3] = ["andorra-2023.osm.pbf", "andorra-2025.osm.pbf", "liechtenstein-2013.osm.bz2"];

fn imported(path: &Path) -> Db<MemoryStore> {
    let db = Db::in_memory("osm").unwrap();
    db.import(&[path], |_, _| {}).unwrap();
    db
}

/// Reads a file; what it says several times in the same words counts once.
fn entries(path: &Path) -> Vec<(Version, Entry)> {
    let entry = |entry: Result<Entry, _>| entry.map(|entry| (entry.version(), entry));
    let mut entries: Vec<_> = Reader::open(path).unwrap().map(entry).collect::<Result<_, _>>().unwrap();
    entries.sort_by_key(|(version, entry)| (entry.element, *version));
    entries.dedup();
    entries
}

fn round_trip(name: &str) {
    let Some(file) = data(name) else { return };
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join(name);
    let db = imported(&file);
    let mut writer = Writer::create(&copy).unwrap();
    for versions in db.snapshot().versions() {
        versions.unwrap().iter().for_each(|head| writer.write(&head.entry).unwrap());
    }
    writer.finish().unwrap();
    assert_eq!(imported(&copy).root(), db.root(), "{name}");

    let (before, after) = (entries(&file), entries(&copy));
    for ((_, before), (_, after)) in before.iter().zip(&after) {
        assert_eq!(before, after, "{name}");
    }
    assert_eq!(before.len(), after.len(), "{name}");
    if !name.ends_with(".pbf") {
        let (before, after) = (crate::plain_xml::facts(&file), crate::plain_xml::facts(&copy));
        let differing: Vec<_> = before.symmetric_difference(&after).take(4).collect();
        assert!(differing.is_empty(), "{name}: {differing:#?}");
    }
    println!("{name}: {} versions, {}", before.len(), db.root());
}

#[test]
fn every_file_comes_out_as_it_went_in() {
    FILES.into_iter().for_each(round_trip);
}

#[test]
#[ignore = "takes long"]
fn every_large_file_comes_out_as_it_went_in() {
    LARGE_FILES.into_iter().for_each(round_trip);
}

/// The one file that is not read: its changesets are negative.
#[test]
fn what_is_refused_leaves_the_database_as_it_was() {
    let Some(file) = data("odd-granularity.osm.pbf") else { return };
    let db = Db::in_memory("osm").unwrap();
    let root = db.root();
    let error = db.import(&[file], |_, _| {}).unwrap_err().to_string();
    assert!(error.ends_with("node/100001: its changeset -12 is negative"), "{error}");
    assert_eq!(db.root(), root);
}
