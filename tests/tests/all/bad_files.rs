//! Files that are cut, damaged or something else: a clear error, and the database as it was.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use osmdb::{Db, Error};
use prolly::{Cid, PageStore};
use tests::{Branch, Rng, bzip2, data, gzip, node, to_pbf, to_pbf_shifted, to_xml, village};

/// Imports bytes that may be anything. If they are refused, the error is a sentence that begins with
/// the file's name.
fn import<S: PageStore + Sync>(db: &Db<S>, file: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(file, bytes).unwrap();
    match db.import(&[file], |_, _| {}) {
        Ok(_) => Ok(()),
        Err(Error::Read(error)) => {
            let text = error.to_string();
            assert!(text.starts_with(&file.display().to_string()), "{text}");
            assert!(!text.contains('\n'), "{text}");
            Err(text)
        }
        Err(error) => panic!("another error than that of the file: {error}"),
    }
}

fn formats() -> [(&'static str, Vec<u8>); 4] {
    let entries = village(7, 600);
    let xml = to_xml(&entries).into_bytes();
    [("gzip", gzip(&xml)), ("bzip2", bzip2(&xml)), ("PBF", to_pbf(&entries)), ("XML", xml)]
}

/// A database on disk that must stay as it is.
struct Village {
    dir: tempfile::TempDir,
    db: Db,
    root: Cid,
}

impl Village {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::create_or_open(dir.path().join("db")).unwrap();
        import(&db, &dir.path().join("file"), &to_pbf(&village(8, 1_000))).unwrap();
        let root = db.root();
        Self { dir, db, root }
    }

    /// Demands that a file is refused; returns why.
    fn refuses(&self, bytes: &[u8]) -> String {
        let error = import(&self.db, &self.dir.path().join("file"), bytes).unwrap_err();
        assert_eq!(self.db.root(), self.root);
        error
    }

    /// Demands that the database is as it was, now and when it is opened again.
    fn stays_as_it_was(self) {
        let log = self.db.reflog().unwrap();
        assert_eq!(log.len(), 2, "created, imported, and nothing since");
        self.db.verify().unwrap();
        drop(self.db);
        let db = Db::open(self.dir.path().join("db")).unwrap();
        assert_eq!((db.root(), db.reflog().unwrap()), (self.root, log));
        db.verify().unwrap();
    }
}

#[test]
fn files_that_are_cut() {
    let village = Village::new();
    for (format, whole) in formats() {
        for part in 1..=12 {
            let error = village.refuses(&whole[..whole.len() * part / 13]);
            assert!(error.contains("ends") || error.contains("damaged"), "{format}: {error}");
        }
        village.refuses(&whole[..whole.len() - 9]);
    }
    village.stays_as_it_was();
}

#[test]
fn files_that_are_something_else() {
    let village = Village::new();
    let mut rng = Rng::new(9);
    let noise: Vec<u8> = (0..5_000).map(|_| rng.bits().to_be_bytes()[0]).collect();
    let others: [&[u8]; 12] = [
        b"",
        b"\n",
        b"node/1\n",
        b"{\"type\":\"FeatureCollection\",\"features\":[]}",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"PK\x03\x04",
        b"SQLite format 3\0",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"<gpx version='1.1'><wpt lat='1' lon='1'/></gpx>",
        b"<osmChange version='0.6'><node id='1' lat='1' lon='1'/></osmChange>",
        b"\0\0\0\x0d\x0a\x09OSMHeader\x18\x30",
        &noise,
    ];
    for other in others {
        village.refuses(other);
        village.refuses(&gzip(other));
        village.refuses(&bzip2(other));
    }
    village.refuses(&gzip(&to_pbf(&[node(1, 0, 0, &[])])));
    village.stays_as_it_was();
}

#[test]
fn files_that_are_not_there() {
    let village = Village::new();
    for path in [village.dir.path().join("no/such/file"), village.dir.path().to_owned()] {
        assert!(matches!(village.db.import(&[path], |_, _| {}), Err(Error::Read(_))));
    }
    village.stays_as_it_was();
}

#[test]
fn a_bad_file_keeps_the_good_ones_beside_it_out() {
    let village = Village::new();
    let (good, bad) = (village.dir.path().join("good"), village.dir.path().join("bad"));
    std::fs::write(&good, to_pbf(&[node(77_777, 0, 0, &[])])).unwrap();
    std::fs::write(&bad, &formats()[3].1[..5_000]).unwrap();
    assert!(village.db.import(&[&good, &bad], |_, _| {}).is_err());
    village.stays_as_it_was();
}

#[test]
fn files_with_flipped_bits() {
    let village = Village::new();
    let memory = Db::in_memory("osm").unwrap();
    memory.merge(&village.db.snapshot()).unwrap();
    assert_eq!(memory.root(), village.root);
    let file = village.dir.path().join("file");
    let mut rng = Rng::new(10);
    for (format, whole) in formats() {
        let mut refused = 0;
        for round in 0..150 {
            let mut damaged = whole.clone();
            for _ in 0..=rng.below(2) {
                // The start says what the file is: half of the flips go there.
                let reach = if rng.chance(50) { 200 } else { damaged.len() };
                let byte = rng.index(reach);
                damaged[byte] ^= 1 << rng.below(8);
            }
            let db = Db::with_store(Branch::at(memory.store(), memory.root()), "osm").unwrap();
            match import(&db, &file, &damaged) {
                Err(_) => {
                    refused += 1;
                    assert_eq!(db.root(), village.root);
                }
                // A digit of XML may become another one: nothing tells.
                Ok(()) if round % 10 == 0 => drop(db.verify().unwrap()),
                Ok(()) => {}
            }
        }
        println!("{format}: {refused} of 150 damaged files were refused");
        assert!(refused > 0);
        if format != "XML" {
            let mut damaged = whole.clone();
            let middle = damaged.len() / 2;
            damaged[middle] ^= 4;
            village.refuses(&damaged);
        }
    }
    village.stays_as_it_was();
}

#[test]
fn places_off_the_globe() {
    let village = Village::new();
    for (lat, lon) in [("90.0000001", "0"), ("-91", "0"), ("0", "180.0000001"), ("1e9", "0"), ("NaN", "0")] {
        let xml = format!("<osm><node id='5' version='1' lat='{lat}' lon='{lon}'/></osm>");
        let error = village.refuses(xml.as_bytes());
        assert!(error.contains("node/5"), "{error}");
    }
    let error = village.refuses(&to_pbf_shifted(&[node(5, 900_000_000, 0, &[])], 100));
    assert!(error.contains("node/5: latitude 90.0000001"), "{error}");
    village.stays_as_it_was();
}

#[test]
fn ids_that_cannot_be() {
    let village = Village::new();
    for xml in [
        "<osm><node id='0' lat='1' lon='1'/></osm>",
        "<osm><node id='-1' lat='1' lon='1'/></osm>",
        "<osm><node id='9223372036854775808' lat='1' lon='1'/></osm>",
        "<osm><way id='1'><nd ref='0'/></way></osm>",
        "<osm><relation id='1'><member type='changeset' ref='1' role=''/></relation></osm>",
        "<osm><node id='1' lat='1'/></osm>",
    ] {
        village.refuses(xml.as_bytes());
    }
    village.stays_as_it_was();
}

#[test]
fn a_changeset_below_minus_one() {
    let village = Village::new();
    let Some(path) = data("odd-granularity.osm.pbf") else { return };
    let error = village.refuses(&std::fs::read(path).unwrap());
    assert!(error.contains("node/100001"), "{error}");
    village.stays_as_it_was();
}
