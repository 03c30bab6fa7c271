//! What a file says of itself, and how it is cut into blocks.

use std::io::Cursor;

use prost::Message;

use super::super::frame::{BlobKind, Frames};
use super::super::inflate::inflate;
use super::super::{PbfReader, block, proto};
use super::message::HeaderBlock;
use super::*;
use crate::entry::{Origin, OsmMeta};
use crate::model::{Coord, ElementId, MAX_ID, Member, Payload, Tags};

fn node(id: u64, version: u64, tags: Tags) -> Entry {
    let coord = Coord::new(i64::try_from(id % 900_000_000).unwrap(), -7).unwrap();
    let meta = OsmMeta { version: Some(version), ..OsmMeta::default() };
    let payload = Some(Payload::Node { coord, tags });
    Entry { element: ElementId::node(id), payload, origin: Origin::Imported(meta) }
}

fn way(id: u64, refs: Vec<u64>) -> Entry {
    let payload = Some(Payload::Way { refs, tags: Tags::new() });
    Entry { element: ElementId::way(id), payload, ..node(1, 1, Tags::new()) }
}

fn deleted(entry: Entry) -> Entry {
    Entry { payload: None, ..entry }
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut writer = PbfWriter::new(Cursor::new(Vec::new()), false).unwrap();
    entries.iter().for_each(|entry| writer.write(entry).unwrap());
    writer.finish().unwrap().into_inner()
}

fn read(file: &[u8]) -> Vec<Entry> {
    let mut reader = PbfReader::new(file);
    std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
}

fn header(file: &[u8]) -> HeaderBlock {
    let (kind, blob) = Frames::new(file).next_blob().unwrap().unwrap();
    assert_eq!(kind, BlobKind::Header);
    HeaderBlock::decode(inflate(&blob).unwrap()).unwrap()
}

/// Returns the unpacked blocks of a file.
fn blocks(file: &[u8]) -> Vec<Bytes> {
    let mut frames = Frames::new(file);
    let mut blocks = Vec::new();
    while let Some((kind, blob)) = frames.next_blob().unwrap() {
        if kind == BlobKind::Data {
            blocks.push(inflate(&blob).unwrap());
        }
    }
    blocks
}

#[test]
fn the_header_says_what_is_in_the_file() {
    let plain = |id| node(id, 1, Tags::new());
    let cases = [
        (vec![], false, true),
        (vec![plain(1), plain(2), way(1, vec![2, 1])], false, true),
        (vec![plain(2), plain(1)], false, false),
        (vec![way(1, vec![1]), plain(1)], false, false),
        (vec![plain(1), node(1, 2, Tags::new())], true, true),
        (vec![node(1, 2, Tags::new()), plain(1)], true, false),
        (vec![plain(1), deleted(way(1, vec![]))], true, true),
    ];
    for (entries, history, sorted) in cases {
        let file = written(&entries);
        let header = header(&file);
        let mut required = vec!["OsmSchema-V0.6", "DenseNodes"];
        required.extend(history.then_some("HistoricalInformation"));
        assert_eq!(header.required_features, required, "{entries:?}");
        let optional = if sorted { &["Sort.Type_then_ID"][..] } else { &[] };
        assert_eq!(header.optional_features, optional, "{entries:?}");
        assert_eq!(read(&file), entries);
    }
}

#[test]
fn blocks_are_of_8000_elements_in_their_order() {
    let entries: Vec<Entry> = (1..=20_001).map(|id| node(id, 1, Tags::new())).collect();
    let file = written(&entries);
    let sizes: Vec<usize> =
        blocks(&file).iter().map(|content| block::decode(content).unwrap().len()).collect();
    assert_eq!(sizes, [8000, 8000, 4001]);
    assert_eq!(read(&file), entries);
}

/// A reader holds every string once for every element that has it: a block must not unfold without end.
#[test]
fn blocks_of_heavy_elements_are_shorter() {
    let tags = || Tags::from([("long", "x".repeat(1 << 20)), ("other", "y".repeat(1 << 20))]);
    let entries: Vec<Entry> = (1..=300).map(|id| node(id, 1, tags())).collect();
    let file = written(&entries);
    assert!(blocks(&file).len() > 70);
    assert!(read(&file) == entries);
}

#[test]
fn lists_that_say_nothing_are_left_out() {
    let mut bare = node(5, 1, Tags::new());
    bare.origin = Origin::Imported(OsmMeta::default());
    let lists = |entries: &[Entry]| {
        let content = blocks(&written(entries)).remove(0);
        let block = message::PrimitiveBlock::decode(content).unwrap();
        block.primitivegroup.into_iter().find_map(|group| group.dense).unwrap()
    };
    let dense = lists(std::slice::from_ref(&bare));
    assert_eq!((dense.info, dense.keys_vals), (None, Vec::new()));
    let dense = lists(&[bare.clone(), deleted(bare.clone())]);
    let info = proto::DenseInfo { visible: vec![true, false], ..proto::DenseInfo::default() };
    assert_eq!(dense.info, Some(info));
    let dense = lists(&[bare, node(6, 4, Tags::from([("", "")]))]);
    let info = proto::DenseInfo { version: vec![0, 4], ..proto::DenseInfo::default() };
    assert_eq!((dense.info, dense.keys_vals), (Some(info), vec![0, 1, 1, 0]));
}

#[test]
fn what_the_format_has_no_room_for_is_an_error_and_leaves_nothing() {
    let with = |change: fn(&mut OsmMeta)| {
        let mut meta = OsmMeta::default();
        change(&mut meta);
        Entry { origin: Origin::Imported(meta), ..node(1, 1, Tags::new()) }
    };
    let member = Member { element: ElementId::new(crate::model::Kind::Changeset, 1), role: String::new() };
    let relation = Payload::Relation { members: vec![member], tags: Tags::new() };
    let changeset = Payload::Changeset { tags: Tags::new(), closed: None };
    let refused = [
        with(|meta| meta.version = Some(1 << 31)),
        with(|meta| meta.uid = Some(1 << 31)),
        with(|meta| meta.changeset = Some(u64::MAX)),
        with(|meta| meta.timestamp = Some(i64::MAX)),
        with(|meta| meta.timestamp = Some(i64::MIN)),
        node(0, 1, Tags::new()),
        node(MAX_ID + 1, 1, Tags::new()),
        way(1, vec![1, 0]),
        Entry { payload: Some(relation.clone()), ..node(1, 1, Tags::new()) },
        Entry { payload: Some(relation), ..deleted_relation() },
        Entry {
            element: ElementId::new(crate::model::Kind::Changeset, 1),
            payload: Some(changeset),
            ..node(1, 1, Tags::new())
        },
        Entry {
            element: ElementId::new(crate::model::Kind::Changeset, 1),
            ..deleted(node(1, 1, Tags::new()))
        },
    ];
    let mut writer = PbfWriter::new(Cursor::new(Vec::new()), false).unwrap();
    for entry in &refused {
        assert!(matches!(writer.write(entry), Err(EncodeError::Element(_))), "{entry:?}");
    }
    let edges = [
        with(|meta| meta.version = Some((1 << 31) - 1)),
        with(|meta| meta.uid = Some((1 << 31) - 1)),
        with(|meta| meta.changeset = Some(MAX_ID)),
        with(|meta| meta.timestamp = Some(i64::MAX / 1000)),
        with(|meta| meta.timestamp = Some(-i64::MAX / 1000)),
        with(|meta| meta.user = Some("\u{0}".to_owned())),
        way(MAX_ID, vec![MAX_ID, 1, MAX_ID]),
    ];
    edges.iter().for_each(|entry| writer.write(entry).unwrap());
    assert_eq!(read(&writer.finish().unwrap().into_inner()), edges);
}

fn deleted_relation() -> Entry {
    Entry { element: ElementId::relation(1), ..deleted(node(1, 1, Tags::new())) }
}
