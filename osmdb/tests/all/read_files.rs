//! Reads files of every format and compares what comes out with what is known of them.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use crate::program::real_data as data;
use osmdb::io::{ElementProblem, Place, Problem, ReadError, Reader};
use osmdb::{Entry, Kind, Origin, OsmMeta, Payload};

fn read(path: &Path) -> Result<Vec<Entry>, ReadError> {
    Reader::open(path)?.collect()
}

fn read_bytes(bytes: &[u8]) -> Result<Vec<Entry>, ReadError> {
    Reader::from_source("test", 0, Cursor::new(bytes.to_vec()))?.collect()
}

fn count(entries: &[Entry]) -> [usize; 3] {
    [Kind::Node, Kind::Way, Kind::Relation]
        .map(|kind| entries.iter().filter(|entry| entry.element.kind == kind).count())
}

fn meta(entry: &Entry) -> &OsmMeta {
    match &entry.origin {
        Origin::Imported(meta) => meta,
        #[allow(unreachable_patterns)]
        _ => panic!("{} is not imported", entry.element),
    }
}

/// Tells which metadata every entry has: version, timestamp, changeset, uid, user.
fn metadata(entries: &[Entry]) -> String {
    let all = |has: fn(&OsmMeta) -> bool| entries.iter().all(|entry| has(meta(entry)));
    [
        ("version ", all(|meta| meta.version.is_some())),
        ("timestamp ", all(|meta| meta.timestamp.is_some())),
        ("changeset ", all(|meta| meta.changeset.is_some())),
        ("uid ", all(|meta| meta.uid.is_some())),
        ("user", all(|meta| meta.user.is_some())),
    ]
    .into_iter()
    .filter_map(|(name, all)| all.then_some(name))
    .collect()
}

#[test]
fn files_hold_what_they_should() {
    let files = [
        ("monaco-2023.osm.pbf", [30_626, 4_846, 290]),
        ("andorra-2023.osm.pbf", [370_798, 18_909, 496]),
        ("andorra-2025.osm.pbf", [471_006, 24_607, 614]),
        ("liechtenstein-2013.osm.pbf", [65_733, 7_121, 113]),
        ("liechtenstein-2013.osm.bz2", [65_733, 7_121, 113]),
        ("bristol-2019.osm.pbf", [619, 111, 60]),
        ("krems-2013.osm.gz", [15_042, 2_402, 73]),
        ("history.osm", [2_534, 370, 30]),
        ("deleted-nodes.osh.pbf", [2, 0, 0]),
        ("ids-64bit.osm", [1_774, 227, 0]),
        ("grid.osm", [960, 259, 96]),
        ("liechtenstein-2013.osc.gz", [866, 770, 19]),
        ("minute.osc", [151, 43, 0]),
        ("changeset.osc", [244, 23, 0]),
    ];
    for (name, expected) in files {
        let Some(path) = data(name) else { continue };
        let mut reader = Reader::open(&path).unwrap();
        let entries: Vec<Entry> = reader.by_ref().collect::<Result<_, _>>().unwrap();
        assert_eq!(count(&entries), expected, "{name}");
        assert_eq!(reader.position(), reader.total(), "{name}");
        println!("{name}: every entry has {}", metadata(&entries));
    }
}

#[test]
fn pbf_and_xml_of_the_same_objects_are_the_same() {
    let (Some(pbf), Some(xml)) = (data("liechtenstein-2013.osm.pbf"), data("liechtenstein-2013.osm.bz2"))
    else {
        return;
    };
    let sorted = |path: &Path| {
        let mut entries = read(path).unwrap();
        entries.sort_by_key(|entry| (entry.element, meta(entry).version));
        entries
    };
    let (pbf, xml) = (sorted(&pbf), sorted(&xml));
    assert_eq!(pbf.len(), xml.len());
    for (pbf, xml) in pbf.iter().zip(&xml) {
        assert_eq!(pbf, xml);
    }
}

#[test]
fn a_deleted_node_is_a_tombstone() {
    let Some(path) = data("deleted-nodes.osh.pbf") else { return };
    let entries = read(&path).unwrap();
    // The first is deleted, and its place is off the globe; the second is there.
    assert_eq!(entries[0].payload, None);
    let Some(Payload::Node { coord, .. }) = &entries[1].payload else { panic!("no node") };
    assert_eq!(coord.to_string(), "1.0000000,1.0000000");
    assert_eq!(meta(&entries[0]).user.as_deref(), Some("user_1"));
    assert_eq!(meta(&entries[0]).timestamp, Some(1_442_490_720));
}

#[test]
fn history_holds_versions_and_tombstones() {
    let Some(path) = data("history.osm") else { return };
    let entries = read(&path).unwrap();
    let tombstones = entries.iter().filter(|entry| entry.payload.is_none()).count();
    let elements: BTreeSet<_> = entries.iter().map(|entry| entry.element).collect();
    println!("history.osm: {} elements, {tombstones} tombstones", elements.len());
    assert!(elements.len() < entries.len());
    assert!(tombstones > 0);
}

#[test]
fn a_changeset_below_minus_one_is_refused_by_name() {
    let Some(path) = data("odd-granularity.osm.pbf") else { return };
    let error = read(&path).unwrap_err().to_string();
    assert!(error.ends_with(": blob 2 at byte 65: node/100001: its changeset -12 is negative"), "{error}");
}

#[test]
fn what_change_files_delete_are_tombstones() {
    for (name, deleted) in [("liechtenstein-2013.osc.gz", 13), ("minute.osc", 1), ("changeset.osc", 0)] {
        let Some(path) = data(name) else { continue };
        let tombstones = read(&path).unwrap().iter().filter(|entry| entry.payload.is_none()).count();
        assert_eq!(tombstones, deleted, "{name}");
    }
}

/// Most flips hit packed data, whose checksum tells.
#[test]
fn damage_to_a_real_file_is_never_a_panic() {
    let Some(path) = data("bristol-2019.osm.pbf") else { return };
    let whole = std::fs::read(path).unwrap();
    let mut state: usize = 7;
    for _ in 0..3_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = (state >> 33) % (whole.len() * 8);
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let Ok(reader) = Reader::from_source("damaged", 0, Cursor::new(damaged)) else { continue };
        let results: Vec<_> = reader.collect();
        let errors = results.iter().filter(|result| result.is_err()).count();
        assert!(errors <= 1 && results.len() <= 790 + errors, "bit {bit}");
    }
}

const TINY: &str = "<?xml version='1.0' encoding='UTF-8'?>\n<osm version='0.6'>\n \
    <node id='1' lat='1' lon='2'/>\n</osm>\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn bzip2(text: &str) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = bzip2::read::BzEncoder::new(text.as_bytes(), bzip2::Compression::fast());
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

fn zstd(text: &str) -> Vec<u8> {
    let mut packed = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    packed.include_checksum(true).unwrap();
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[test]
fn names_do_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("a.osm.pbf", TINY.as_bytes().to_vec()),
        ("b.txt", gzip(TINY)),
        ("c", bzip2(TINY)),
        ("d.gz", zstd(TINY)),
    ];
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(count(&read(&path).unwrap()), [1, 0, 0], "{name}");
    }
}

#[test]
fn packed_files_may_have_several_streams() {
    let (start, end) = TINY.split_at(40);
    for pack in [gzip, bzip2, zstd] {
        let packed = [pack(start), pack(end)].concat();
        assert_eq!(read_bytes(&packed).unwrap(), read_bytes(TINY.as_bytes()).unwrap());
    }
}

#[test]
fn packed_files_that_are_cut_are_errors() {
    for pack in [gzip, bzip2, zstd] {
        let packed = pack(TINY);
        for length in 0..packed.len() {
            let error = read_bytes(&packed[..length]).unwrap_err();
            let told = matches!(error.problem(), Problem::Truncated { .. });
            assert!(told || length < 10, "{length} of {}: {error}", packed.len());
        }
    }
}

#[test]
fn packed_files_that_are_damaged_are_errors() {
    for pack in [gzip, bzip2, zstd] {
        let packed = pack(TINY);
        for bit in 0..packed.len() * 8 {
            let mut damaged = packed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // The header of gzip has bytes that mean nothing here; all others are guarded.
            if let Ok(entries) = read_bytes(&damaged) {
                assert_eq!(entries, read_bytes(TINY.as_bytes()).unwrap(), "bit {bit}");
            }
        }
    }
}

#[test]
fn packed_files_hold_xml() {
    let cases = [
        ("\0\0\0\x0d\x0a\x09OSMHeader\x18\x30", "found PBF"),
        ("BZh9", "found bzip2"),
        ("", "found nothing"),
        ("PK", "found content that begins with `PK`"),
    ];
    for (content, found) in cases {
        let error = read_bytes(&gzip(content)).unwrap_err().to_string();
        assert_eq!(error, format!("test: expected OSM XML inside gzip, {found}"));
    }
}

#[test]
fn a_zstd_file_may_not_ask_for_any_amount_of_memory() {
    // The header of a frame with a window of 2 GiB, and an empty last block.
    let hungry = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    let error = read_bytes(&hungry).unwrap_err();
    assert!(matches!(error.problem(), Problem::Damaged { .. }), "{error}");
    // With a frame in front that is to be skipped, as programs with several threads write it.
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &zstd(TINY)].concat();
    assert_eq!(read_bytes(&skipped).unwrap(), read_bytes(TINY.as_bytes()).unwrap());
}

#[test]
fn errors_say_where_and_end_the_reading() {
    let text = "<osm>\n<node id='1' lat='1' lon='2'/>\n<node id='2' lat='91' lon='2'/>\n<node id='3'/></osm>";
    let mut reader = Reader::from_source("test.osm", 0, text.as_bytes()).unwrap();
    assert!(reader.next().unwrap().is_ok());
    let error = reader.next().unwrap().unwrap_err();
    assert!(reader.next().is_none());
    assert_eq!(error.place(), Place::Xml { line: 3, byte: 37 });
    assert!(matches!(error.problem(), Problem::Element { id: 2, problem: ElementProblem::Coord(_), .. }));
    let sentence = "test.osm: line 3 (byte 37): node/2: latitude 91.0000000 is not between -90 and 90";
    assert_eq!(error.to_string(), sentence);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Reader::open("no/such/file.osm.pbf").unwrap_err();
    assert!(error.to_string().starts_with("no/such/file.osm.pbf: cannot be read: "), "{error}");
    assert!(matches!(read_bytes(b"").unwrap_err().problem(), Problem::Empty));
}

#[test]
fn members_and_tags_keep_their_order() {
    let text = "<osm><relation id='9'><member type='way' ref='2' role='b'/><member type='node' ref='1'/>\
        <member type='way' ref='2' role='a'/><tag k='z' v='1'/><tag k='a' v='&lt;2&#10;'/></relation></osm>";
    let entries = read_bytes(text.as_bytes()).unwrap();
    let Some(Payload::Relation { members, tags }) = &entries[0].payload else { panic!("no relation") };
    let members: Vec<_> = members.iter().map(|m| (m.element.to_string(), m.role.as_str())).collect();
    assert_eq!(members, [("way/2".to_owned(), "b"), ("node/1".to_owned(), ""), ("way/2".to_owned(), "a")]);
    assert_eq!(tags.iter().collect::<Vec<_>>(), [("z", "1"), ("a", "<2\n")]);
}
