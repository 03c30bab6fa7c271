//! Real files with histories, long ids, odd relations and full metadata: what goes in can be read back.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

use osmdb::io::Reader;
use osmdb::{Counts, Db, Entry, Origin};
use tests::{Model, data};

/// Imports a file, and compares every head and every replaced version with what the reader gives.
fn check(name: &str) -> Option<(Counts, Vec<Entry>)> {
    let path = data(name)?;
    let entries: Vec<Entry> = Reader::open(&path).unwrap().map(Result::unwrap).collect();
    let db = Db::in_memory("osm").unwrap();
    let imported = db.import(&[&path], |_, _| {}).unwrap();
    assert_eq!(imported.read, entries.len() as u64);
    Model::of(entries.clone()).check(&db);
    println!("{name}: {:?}", db.counts());
    Some((db.counts(), entries))
}

#[test]
fn history() {
    let Some((counts, entries)) = check("history.osm") else { return };
    let elements = counts.nodes + counts.ways + counts.relations + counts.deleted;
    assert!(elements < counts.entries && counts.deleted > 0);
    assert_eq!(counts.entries, entries.len() as u64);
    assert_eq!(counts.forks, 0);
}

#[test]
fn deleted_nodes() {
    let Some((counts, _)) = check("deleted-nodes.osh.pbf") else { return };
    assert_eq!((counts.entries, counts.deleted, counts.nodes), (2, 1, 1));
}

#[test]
fn ids_beyond_32_bits() {
    let Some((counts, entries)) = check("ids-64bit.osm") else { return };
    assert_eq!((counts.nodes, counts.ways, counts.relations), (1_774, 227, 0));
    assert!(entries.iter().any(|entry| entry.element.id > u64::from(u32::MAX)));
}

#[test]
fn grid() {
    let Some((counts, _)) = check("grid.osm") else { return };
    assert_eq!((counts.nodes, counts.ways, counts.relations), (960, 259, 96));
}

#[test]
fn krems() {
    let Some((counts, _)) = check("krems-2013.osm.gz") else { return };
    assert_eq!((counts.nodes, counts.ways, counts.relations), (15_042, 2_402, 73));
}

#[test]
fn bristol_with_all_metadata() {
    let Some((counts, entries)) = check("bristol-2019.osm.pbf") else { return };
    assert_eq!((counts.nodes, counts.ways, counts.relations), (619, 111, 60));
    let is_full = |entry: &Entry| match &entry.origin {
        Origin::Imported(meta) => {
            meta.version.is_some()
                && meta.timestamp.is_some()
                && meta.changeset.is_some()
                && meta.uid.is_some()
                && meta.user.is_some()
        }
        Origin::Edited(_) => false,
    };
    assert!(entries.iter().all(is_full));
}
