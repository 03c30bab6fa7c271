//! Writes files of every format: what is read from them is what was written.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use crate::program::{NAMES, real_data};
use osmdb::io::{FileFormat, Reader, Unwritable, WriteProblem, Writer};
use osmdb::{Coord, EditMeta, ElementId, Entry, Kind, MAX_ID, Member, Origin, OsmMeta, Payload, Tags};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tempfile::TempDir;

fn read(path: &Path) -> Vec<Entry> {
    Reader::open(path).unwrap().collect::<Result<_, _>>().unwrap()
}

fn write<'a>(path: &Path, entries: impl IntoIterator<Item = &'a Entry>) {
    let mut writer = Writer::create(path).unwrap();
    entries.into_iter().for_each(|entry| writer.write(entry).unwrap());
    writer.finish().unwrap();
}

/// Lists the files of a directory.
fn names(dir: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(dir.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn id() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1..100u64, 1 => 1..=MAX_ID, 1 => Just(MAX_ID)]
}

/// Texts that XML can hold, many of them with characters that it must escape.
fn text(most: usize) -> impl Strategy<Value = String> {
    let odd =
        prop::sample::select(vec!['<', '>', '&', '"', '\'', '\t', '\n', '\r', ' ', ';', '\u{85}', 'é', '😀']);
    let any = any::<char>().prop_filter(
        "XML cannot hold it",
        |character| matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..),
    );
    vec(prop_oneof![odd, any], 0..=most).prop_map(|characters| characters.into_iter().collect())
}

fn tags() -> impl Strategy<Value = Tags> {
    vec((text(5), text(20)), 0..4).prop_map(|tags| tags.into_iter().collect())
}

fn coord() -> impl Strategy<Value = Coord> {
    (-900_000_000i64..=900_000_000, -1_800_000_000i64..=1_800_000_000)
        .prop_map(|(lat, lon)| Coord::new(lat, lon).unwrap())
}

fn member() -> impl Strategy<Value = Member> {
    let kind = prop_oneof![Just(Kind::Node), Just(Kind::Way), Just(Kind::Relation)];
    (kind, id(), text(8)).prop_map(|(kind, id, role)| Member { element: ElementId::new(kind, id), role })
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        3 => (coord(), tags()).prop_map(|(coord, tags)| Payload::Node { coord, tags }),
        1 => (vec(id(), 0..20), tags()).prop_map(|(refs, tags)| Payload::Way { refs, tags }),
        1 => (vec(member(), 0..8), tags()).prop_map(|(members, tags)| Payload::Relation { members, tags }),
    ]
}

/// Metadata as a reader gives it, within what every format has room for.
fn meta() -> impl Strategy<Value = OsmMeta> {
    let time = (-62_167_219_200i64..=253_402_300_799).prop_filter("0 means not set", |time| *time != 0);
    (
        option::of(prop_oneof![1..5u64, 1..1u64 << 31]),
        option::of(time),
        option::of(prop_oneof![1..9u64, 1..=MAX_ID]),
        option::of(1..1u64 << 31),
        option::of(text(8).prop_filter("empty means not set", |name| !name.is_empty())),
    )
        .prop_map(|(version, timestamp, changeset, uid, user)| OsmMeta {
            version,
            timestamp,
            changeset,
            uid,
            user,
        })
}

fn entry() -> impl Strategy<Value = Entry> {
    (payload(), prop::bool::weighted(0.8), id(), meta()).prop_map(|(payload, live, id, meta)| {
        let element = ElementId::new(payload.kind(), id);
        Entry { element, payload: live.then_some(payload), origin: Origin::Imported(meta) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read_again(entries in vec(entry(), 0..30)) {
        let dir = tempfile::tempdir().unwrap();
        for name in NAMES {
            let path = dir.path().join(name);
            write(&path, &entries);
            prop_assert_eq!(&read(&path), &entries, "{}", name);
        }
        prop_assert_eq!(names(&dir).len(), NAMES.len());
    }

    /// What a format refuses leaves no trace; what it takes is read again.
    #[test]
    fn any_entry_is_written_whole_or_refused(
        good in entry(),
        character in any::<char>(),
        version in any::<u64>(),
        timestamp in any::<i64>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut odd = good.clone();
        if let Some(payload) = &mut odd.payload {
            payload.tags_mut().push("odd", character);
        }
        let version = Some(version).filter(|version| *version > 0);
        let timestamp = Some(timestamp).filter(|seconds| *seconds != 0);
        odd.origin = Origin::Imported(OsmMeta { version, timestamp, ..OsmMeta::default() });
        for name in NAMES {
            let path = dir.path().join(name);
            let mut writer = Writer::create(&path).unwrap();
            writer.write(&good).unwrap();
            let taken = writer.write(&odd).is_ok();
            writer.write(&good).unwrap();
            writer.finish().unwrap();
            let mut expected = vec![good.clone(), good.clone()];
            if taken {
                expected.insert(1, odd.clone());
            }
            prop_assert_eq!(read(&path), expected, "{}", name);
        }
    }
}

#[test]
fn a_file_is_there_when_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    for name in NAMES {
        let path = dir.path().join(name);
        std::fs::write(&path, "what was there").unwrap();
        let writer = Writer::create(&path).unwrap();
        assert_eq!(writer.format(), FileFormat::of(&path).unwrap());
        drop(writer);
        assert_eq!(std::fs::read(&path).unwrap(), b"what was there");
        Writer::create(&path).unwrap().finish().unwrap();
        assert!(read(&path).is_empty(), "{name}");
    }
    assert_eq!(names(&dir).len(), NAMES.len(), "{:?}", names(&dir));
}

#[test]
fn two_writers_of_one_file_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.osm");
    let (mut one, two) = (Writer::create(&path).unwrap(), Writer::create(&path).unwrap());
    let entry =
        Entry { element: ElementId::node(1), payload: None, origin: Origin::Imported(OsmMeta::default()) };
    one.write(&entry).unwrap();
    two.finish().unwrap();
    assert!(read(&path).is_empty());
    one.finish().unwrap();
    assert_eq!(read(&path), [entry]);
    assert_eq!(names(&dir), ["a.osm"]);
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("file.osm"), dir.path().join("link.osm"));
    std::fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink("file.osm", &link).unwrap();
    Writer::create(&link).unwrap().finish().unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert!(read(&file).is_empty());
}

#[test]
fn what_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let create = |name: &str| Writer::create(dir.path().join(name)).unwrap_err();
    std::fs::create_dir(dir.path().join("dir.osm")).unwrap();
    for name in ["map.shp", "map", "map.zip"] {
        let error = create(name);
        assert!(matches!(error.problem(), WriteProblem::UnknownFormat), "{error}");
        assert!(error.to_string().contains(".osm.pbf, .osm, .osm.gz"), "{error}");
        assert_eq!(error.path(), dir.path().join(name));
    }
    assert!(matches!(create("dir.osm").problem(), WriteProblem::NotAFile));
    assert!(matches!(create("no/such.osm").problem(), WriteProblem::Io(_)));
    assert_eq!(names(&dir), ["dir.osm"]);

    let mut writer = Writer::create(dir.path().join("a.osm")).unwrap();
    let payload = Payload::Node { coord: Coord::new(0, 0).unwrap(), tags: Tags::from([("a", "\u{1}")]) };
    let origin = Origin::Imported(OsmMeta::default());
    let error =
        writer.write(&Entry { element: ElementId::node(3), payload: Some(payload), origin }).unwrap_err();
    let WriteProblem::Element { element, problem } = error.problem() else { panic!("{error}") };
    assert_eq!((*element, problem), (ElementId::node(3), &Unwritable::Character('\u{1}')));
    assert!(
        error
            .to_string()
            .ends_with("a.osm: node/3: its text has the character U+0001, which XML cannot hold")
    );
}

#[test]
fn edits_keep_their_content_changeset_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let origin =
        Origin::Edited(EditMeta { changeset: Some(4), timestamp: 951_827_696, ..EditMeta::default() });
    let payload = Some(Payload::Way { refs: vec![3, 1], tags: Tags::from([("highway", "path")]) });
    let edit = Entry { element: ElementId::way(7), payload, origin };
    let meta = OsmMeta { changeset: Some(4), timestamp: Some(951_827_696), ..OsmMeta::default() };
    let expected = Entry { origin: Origin::Imported(meta), ..edit.clone() };
    for name in NAMES {
        let path = dir.path().join(name);
        write(&path, [&edit]);
        assert_eq!(read(&path), std::slice::from_ref(&expected), "{name}");
    }
}

/// Names of histories.
const HISTORIES: [&str; 5] = ["a.osh", "a.osh.gz", "a.osh.bz2", "a.osh.zst", "a.osh.pbf"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn histories_are_read_again(entries in vec(entry(), 0..30)) {
        // Several versions of each element, some of them deletions.
        let mut entries = entries;
        entries.iter_mut().for_each(|entry| entry.element.id = entry.element.id % 3 + 1);
        let dir = tempfile::tempdir().unwrap();
        for name in HISTORIES {
            let path = dir.path().join(name);
            write(&path, &entries);
            prop_assert_eq!(&read(&path), &entries, "{}", name);
        }
    }
}

#[test]
fn a_history_says_of_each_version_whether_it_is_visible() {
    let dir = tempfile::tempdir().unwrap();
    let version = |version, live: bool| Entry {
        element: ElementId::way(7),
        payload: live.then(|| Payload::Way { refs: vec![1, 2], tags: Tags::new() }),
        origin: Origin::Imported(OsmMeta { version: Some(version), ..OsmMeta::default() }),
    };
    let path = dir.path().join("a.osh");
    write(&path, &[version(1, true), version(2, false)]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(r#"version="1" visible="true">"#), "{text}");
    assert!(text.contains(r#"version="2" visible="false"/>"#), "{text}");
    for (name, is_there) in [("a.osh.pbf", true), ("a.osm.pbf", false)] {
        let path = dir.path().join(name);
        write(&path, &[version(1, true)]);
        let bytes = std::fs::read(&path).unwrap();
        let feature = b"HistoricalInformation";
        assert_eq!(bytes.windows(feature.len()).any(|window| window == feature), is_there, "{name}");
    }
}

/// The real files that are small enough for a test, and what each is written as.
const FILES: [&str; 10] = [
    "bristol-2019.osm.pbf",
    "changeset.osc",
    "deleted-nodes.osh.pbf",
    "grid.osm",
    "history.osm",
    "ids-64bit.osm",
    "krems-2013.osm.gz",
    "liechtenstein-2013.osc.gz",
    "minute.osc",
    "monaco-2023.osm.pbf",
];

fn real_files() -> impl Iterator<Item = (&'static str, PathBuf)> {
    FILES.into_iter().filter_map(|name| Some((name, real_data(name)?)))
}

#[test]
fn real_files_are_written_as_they_were_read_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    for (name, file) in real_files() {
        let entries = read(&file);
        for copy in NAMES {
            let path = dir.path().join(copy);
            write(&path, &entries);
            assert!(read(&path) == entries, "{name} as {copy}");
        }
    }
}

#[test]
fn both_forms_of_liechtenstein_are_written_as_they_were_read() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["liechtenstein-2013.osm.pbf", "liechtenstein-2013.osm.bz2"] {
        let Some(file) = real_data(name) else { continue };
        let path = dir.path().join(name);
        let mut writer = Writer::create(&path).unwrap();
        Reader::open(&file).unwrap().for_each(|entry| writer.write(&entry.unwrap()).unwrap());
        writer.finish().unwrap();
        let same = Reader::open(&file)
            .unwrap()
            .map(Result::unwrap)
            .eq(Reader::open(&path).unwrap().map(Result::unwrap));
        assert!(same, "{name}");
        let size = |path: &Path| path.metadata().unwrap().len();
        println!("{name}: {} bytes, here {}", size(&file), size(&path));
    }
}
