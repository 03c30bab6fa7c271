//! The same files make the same root, in any format and in any order.

use std::path::Path;

use osmdb::Db;
use prolly::Cid;
use tests::{bzip2, data, gzip, later, to_pbf, to_xml, village};

fn import(files: &[&Path]) -> Cid {
    let db = Db::in_memory("osm").expect("memory holds a database");
    for file in files {
        let imported = db.import(&[file], |_, _| {}).expect("it can be imported");
        assert!(imported.forked.is_empty(), "{:?}", imported.forked);
    }
    db.root()
}

#[test]
fn monaco_twice() {
    let Some(monaco) = data("monaco-2023.osm.pbf") else { return };
    assert_eq!(import(&[&monaco]), import(&[&monaco]));
}

#[test]
fn monaco_and_liechtenstein_in_either_order() {
    let (Some(a), Some(b)) = (data("monaco-2023.osm.pbf"), data("liechtenstein-2013.osm.pbf")) else {
        return;
    };
    let root = import(&[&a, &b]);
    assert_eq!(import(&[&b, &a]), root);
    let db = Db::in_memory("osm").unwrap();
    db.import(&[&b, &a], |_, _| {}).unwrap();
    assert_eq!(db.root(), root, "both in one commit");
}

#[test]
fn liechtenstein_as_pbf_and_as_bzip2() {
    let (Some(pbf), Some(xml)) = (data("liechtenstein-2013.osm.pbf"), data("liechtenstein-2013.osm.bz2"))
    else {
        return;
    };
    assert_eq!(import(&[&pbf]), import(&[&xml]));
}

#[test]
fn a_village_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let entries = village(1, 2_000);
    let xml = to_xml(&entries).into_bytes();
    let files = [("a", gzip(&xml)), ("b", bzip2(&xml)), ("c", to_pbf(&entries)), ("d", xml)];
    let roots = files.map(|(name, bytes)| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        import(&[&path])
    });
    assert_eq!(roots, [roots[0]; 4]);
}

#[test]
fn versions_of_a_village_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let first = village(2, 3_000);
    let second = later(&first, 3, 20);
    let third = later(&second, 4, 20);
    let paths = [("1", first), ("2", second), ("3", third)].map(|(name, entries)| {
        let path = dir.path().join(name);
        std::fs::write(&path, to_pbf(&entries)).unwrap();
        path
    });
    let [a, b, c] = paths.each_ref().map(|path| path.as_path());
    let root = import(&[a, b, c]);
    for order in [[a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
        assert_eq!(import(&order), root);
    }
}
