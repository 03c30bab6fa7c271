//! Odd and hostile files, made by a small encoder.

use std::io::Write;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;

use super::proto::{self, BlobHeader, DenseInfo, DenseNodes, HeaderBlock, Info, Node, Relation, Way};
use super::{MAX_BLOB_BYTES, PbfReader};
use crate::entry::{Entry, Origin, OsmMeta};
use crate::io::error::{ElementProblem, PbfProblem, Problem};
use crate::model::{Coord, Payload};

const STRINGS: [&[u8]; 5] = [b"", b"key", b"value", b"user", b"\xff"];

#[derive(Clone, PartialEq, Message)]
struct StringTable {
    #[prost(bytes = "vec", repeated, tag = "1")]
    s: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct PrimitiveGroup {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, optional, tag = "2")]
    dense: Option<DenseNodes>,
    #[prost(message, repeated, tag = "3")]
    ways: Vec<Way>,
    #[prost(message, repeated, tag = "4")]
    relations: Vec<Relation>,
}

#[derive(Clone, PartialEq, Message)]
struct PrimitiveBlock {
    #[prost(message, optional, tag = "1")]
    stringtable: Option<StringTable>,
    #[prost(message, repeated, tag = "2")]
    primitivegroup: Vec<PrimitiveGroup>,
    #[prost(int64, optional, tag = "17")]
    granularity: Option<i64>,
    #[prost(int64, optional, tag = "18")]
    date_granularity: Option<i64>,
    #[prost(int64, optional, tag = "19")]
    lat_offset: Option<i64>,
    #[prost(int64, optional, tag = "20")]
    lon_offset: Option<i64>,
}

fn frame(kind: &str, blob: &proto::Blob) -> Vec<u8> {
    let body = blob.encode_to_vec();
    let header = BlobHeader { kind: kind.to_owned(), datasize: i32::try_from(body.len()).unwrap() };
    let header = header.encode_to_vec();
    [&u32::try_from(header.len()).unwrap().to_be_bytes()[..], &header, &body].concat()
}

fn zlib(content: &[u8]) -> proto::Blob {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(content).unwrap();
    let raw_size = i32::try_from(content.len()).ok();
    proto::Blob { zlib: Some(packed.finish().unwrap().into()), raw_size, ..proto::Blob::default() }
}

fn raw(content: Vec<u8>) -> proto::Blob {
    proto::Blob { raw: Some(content.into()), ..proto::Blob::default() }
}

fn header(features: &[&str]) -> Vec<u8> {
    let required_features = features.iter().map(|&feature| feature.to_owned()).collect();
    frame("OSMHeader", &raw(HeaderBlock { required_features }.encode_to_vec()))
}

fn file(data: &proto::Blob) -> Vec<u8> {
    [header(&["OsmSchema-V0.6", "DenseNodes"]), frame("OSMData", data)].concat()
}

fn block(group: PrimitiveGroup) -> PrimitiveBlock {
    let s = STRINGS.iter().map(|string| string.to_vec()).collect();
    PrimitiveBlock {
        stringtable: Some(StringTable { s }),
        primitivegroup: vec![group],
        ..PrimitiveBlock::default()
    }
}

fn read(file: &[u8]) -> Result<Vec<Entry>, Problem> {
    let mut reader = PbfReader::new(file);
    std::iter::from_fn(|| reader.next_entry().transpose()).collect()
}

fn read_block(block: &PrimitiveBlock) -> Result<Vec<Entry>, Problem> {
    read(&file(&raw(block.encode_to_vec())))
}

fn read_group(group: PrimitiveGroup) -> Result<Vec<Entry>, Problem> {
    read_block(&block(group))
}

fn read_dense(dense: DenseNodes) -> Result<Vec<Entry>, Problem> {
    read_group(PrimitiveGroup { dense: Some(dense), ..PrimitiveGroup::default() })
}

fn read_relation(relation: Relation) -> Result<Vec<Entry>, Problem> {
    read_group(PrimitiveGroup { relations: vec![relation], ..PrimitiveGroup::default() })
}

fn read_way(way: Way) -> Result<Vec<Entry>, Problem> {
    read_group(PrimitiveGroup { ways: vec![way], ..PrimitiveGroup::default() })
}

fn read_node(node: Node) -> Result<Vec<Entry>, Problem> {
    read_group(PrimitiveGroup { nodes: vec![node], ..PrimitiveGroup::default() })
}

/// Two nodes without metadata, one with a tag.
fn dense() -> DenseNodes {
    DenseNodes {
        id: vec![5, 2],
        lat: vec![10_000_000, -20_000_000],
        lon: vec![20_000_000, 1],
        keys_vals: vec![1, 2, 0, 0],
        info: None,
    }
}

fn node() -> Node {
    Node { id: 3, lat: Some(1), lon: Some(2), keys: vec![1], vals: vec![2], info: None }
}

fn relation() -> Relation {
    Relation {
        id: 9,
        memids: vec![4, -1, 7],
        types: vec![0, 1, 2],
        roles_sid: vec![0, 1, 2],
        ..Relation::default()
    }
}

/// A small file with every kind of element.
fn sample() -> PrimitiveBlock {
    let info = Info { version: Some(2), user_sid: Some(3), timestamp: Some(5), ..Info::default() };
    block(PrimitiveGroup {
        nodes: vec![node()],
        dense: Some(DenseNodes {
            info: Some(DenseInfo { version: vec![1, 2], ..DenseInfo::default() }),
            ..dense()
        }),
        ways: vec![Way { id: 4, refs: vec![3, 2], info: Some(info), ..Way::default() }],
        relations: vec![relation()],
    })
}

fn meta(entry: &Entry) -> OsmMeta {
    match &entry.origin {
        Origin::Imported(meta) => meta.clone(),
        #[allow(unreachable_patterns)]
        _ => panic!("not imported"),
    }
}

fn coord(entry: &Entry) -> Coord {
    let Some(Payload::Node { coord, .. }) = &entry.payload else { panic!("no node") };
    *coord
}

fn element_problem(result: Result<Vec<Entry>, Problem>) -> ElementProblem {
    match result {
        Err(Problem::Element { problem, .. }) => problem,
        other => panic!("expected an element's problem, found {other:?}"),
    }
}

fn pbf_problem(result: Result<Vec<Entry>, Problem>) -> PbfProblem {
    match result {
        Err(Problem::Pbf(problem)) => problem,
        other => panic!("expected a problem of the file, found {other:?}"),
    }
}

#[test]
fn every_kind_of_element_is_read_raw_and_packed() {
    let content = sample().encode_to_vec();
    let entries = read(&file(&zlib(&content))).unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.element.to_string()).collect();
    assert_eq!(names, ["node/3", "node/5", "node/7", "way/4", "relation/9"]);
    assert_eq!(read(&file(&raw(content))).unwrap(), entries);
    assert_eq!(coord(&entries[2]), Coord::new(-10_000_000, 20_000_001).unwrap());
    assert_eq!(entries[1].payload.as_ref().unwrap().tags().get("key"), Some("value"));
    assert_eq!(meta(&entries[3]).user.as_deref(), Some("user"));
    let Some(Payload::Relation { members, .. }) = &entries[4].payload else { panic!("no relation") };
    let members: Vec<_> = members.iter().map(|m| format!("{} {}", m.element, m.role)).collect();
    assert_eq!(members, ["node/4 ", "way/3 key", "relation/10 value"]);
}

#[test]
fn each_list_of_dense_metadata_may_be_missing() {
    let infos = [
        DenseInfo { version: vec![1, 2], ..DenseInfo::default() },
        DenseInfo { timestamp: vec![100, 1], ..DenseInfo::default() },
        DenseInfo { changeset: vec![7, 1], ..DenseInfo::default() },
        DenseInfo { uid: vec![7, 1], ..DenseInfo::default() },
        DenseInfo { user_sid: vec![3, 0], ..DenseInfo::default() },
    ];
    let expected = [
        OsmMeta { version: Some(2), ..OsmMeta::default() },
        OsmMeta { timestamp: Some(101), ..OsmMeta::default() },
        OsmMeta { changeset: Some(8), ..OsmMeta::default() },
        OsmMeta { uid: Some(8), ..OsmMeta::default() },
        OsmMeta { user: Some("user".to_owned()), ..OsmMeta::default() },
    ];
    for (info, expected) in infos.into_iter().zip(expected) {
        let entries = read_dense(DenseNodes { info: Some(info), ..dense() }).unwrap();
        assert_eq!(meta(&entries[1]), expected);
    }
}

#[test]
fn lists_of_different_length_are_refused() {
    let with = |info| DenseNodes { info: Some(info), ..dense() };
    let wrong = [
        DenseNodes { lat: vec![1], ..dense() },
        DenseNodes { lon: vec![1, 2, 3], ..dense() },
        DenseNodes { keys_vals: vec![0, 0, 0], ..dense() },
        with(DenseInfo { version: vec![1], ..DenseInfo::default() }),
        with(DenseInfo { timestamp: vec![1, 2, 3], ..DenseInfo::default() }),
        with(DenseInfo { changeset: vec![1], ..DenseInfo::default() }),
        with(DenseInfo { uid: vec![1], ..DenseInfo::default() }),
        with(DenseInfo { user_sid: vec![1], ..DenseInfo::default() }),
        with(DenseInfo { visible: vec![true], ..DenseInfo::default() }),
    ];
    for nodes in wrong {
        assert!(matches!(pbf_problem(read_dense(nodes)), PbfProblem::DenseLengths { .. }));
    }
    for keys_vals in [vec![1, 2, 0], vec![1, 2, 0, 1], vec![1, 2]] {
        assert_eq!(element_problem(read_dense(DenseNodes { keys_vals, ..dense() })), ElementProblem::TagsCut);
    }
    let cut = [
        read_relation(Relation { roles_sid: vec![0], ..relation() }),
        read_relation(Relation { types: vec![], ..relation() }),
        read_node(Node { vals: vec![], ..node() }),
    ];
    for result in cut {
        assert!(matches!(element_problem(result), ElementProblem::Lengths { .. }));
    }
}

#[test]
fn strings_must_be_in_the_table_and_utf8() {
    let beyond = |index| ElementProblem::StringIndex { index, table: 5 };
    assert_eq!(element_problem(read_node(Node { keys: vec![912], ..node() })), beyond(912));
    assert_eq!(
        element_problem(read_dense(DenseNodes { keys_vals: vec![-1, 2, 0, 0], ..dense() })),
        beyond(-1)
    );
    let info = Some(DenseInfo { user_sid: vec![3, 2], ..DenseInfo::default() });
    assert_eq!(element_problem(read_dense(DenseNodes { info, ..dense() })), beyond(5));
    let roles = Relation { roles_sid: vec![0, 0, 5], ..relation() };
    assert_eq!(element_problem(read_relation(roles)), beyond(5));
    let broken = read_node(Node { vals: vec![4], ..node() });
    assert_eq!(element_problem(broken), ElementProblem::NotUtf8 { index: 4 });
    assert_eq!(
        read_node(Node { keys: vec![912], ..node() }).unwrap_err().to_string(),
        "node/3: string index 912 is beyond the table of 5 entries"
    );
}

#[test]
fn ids_references_and_places_are_checked() {
    assert_eq!(element_problem(read_node(Node { id: -3, ..node() })), ElementProblem::Id);
    assert_eq!(element_problem(read_dense(DenseNodes { id: vec![5, -5], ..dense() })), ElementProblem::Id);
    assert!(matches!(
        element_problem(read_dense(DenseNodes { id: vec![i64::MAX, 1], ..dense() })),
        ElementProblem::Overflow { .. }
    ));
    let way = |refs| Way { id: 1, refs, ..Way::default() };
    assert!(matches!(element_problem(read_way(way(vec![1, -2]))), ElementProblem::Reference { id: -1, .. }));
    assert!(matches!(element_problem(read_way(way(vec![1, i64::MAX]))), ElementProblem::Overflow { .. }));
    let kind = Relation { types: vec![0, 1, 3], ..relation() };
    assert_eq!(element_problem(read_relation(kind)), ElementProblem::MemberType(3));
    let south = Node { lat: Some(-910_000_000), ..node() };
    assert!(matches!(element_problem(read_node(south)), ElementProblem::Coord(_)));
    let far = Node { lon: Some(i64::MAX), ..node() };
    assert!(matches!(element_problem(read_node(far)), ElementProblem::Overflow { .. }));
    assert!(matches!(
        element_problem(read_node(Node { lon: None, ..node() })),
        ElementProblem::Missing { .. }
    ));
    assert!(read_way(way(vec![])).is_ok());
}

#[test]
fn deleted_elements_are_tombstones_wherever_they_were() {
    let info = Some(Info { visible: Some(false), version: Some(3), ..Info::default() });
    let entries = read_node(Node { lat: Some(i64::MAX), info, ..node() }).unwrap();
    assert_eq!(entries[0].payload, None);
    assert_eq!(meta(&entries[0]).version, Some(3));
    let info = Some(DenseInfo { visible: vec![false, true], ..DenseInfo::default() });
    let lat = vec![2_147_483_647, -2_137_483_647];
    let entries = read_dense(DenseNodes { lat, info, keys_vals: vec![1, 2, 0, 1, 2, 0], ..dense() }).unwrap();
    assert_eq!(entries[0].payload, None);
    assert_eq!(coord(&entries[1]).lat(), 10_000_000);
    assert_eq!(entries[1].payload.as_ref().unwrap().tags().len(), 1);
}

#[test]
fn units_and_offsets_are_applied() {
    let info = Some(Info { timestamp: Some(-3), ..Info::default() });
    let group = PrimitiveGroup {
        nodes: vec![Node { lat: Some(1000), lon: Some(2000), info, ..node() }],
        ..PrimitiveGroup::default()
    };
    let odd = PrimitiveBlock {
        granularity: Some(1401),
        date_granularity: Some(3003),
        lat_offset: Some(12_000_000_303),
        lon_offset: Some(22_000_000_404),
        ..block(group)
    };
    let entries = read_block(&odd).unwrap();
    assert_eq!(coord(&entries[0]), Coord::new(120_014_013, 220_028_024).unwrap());
    assert_eq!(meta(&entries[0]).timestamp, Some(-10));
    for units in [0, -1, i64::from(i32::MAX) + 1] {
        let wrong = PrimitiveBlock { granularity: Some(units), ..odd.clone() };
        assert!(matches!(pbf_problem(read_block(&wrong)), PbfProblem::Granularity { .. }));
        let wrong = PrimitiveBlock { date_granularity: Some(units), ..odd.clone() };
        assert!(matches!(pbf_problem(read_block(&wrong)), PbfProblem::Granularity { .. }));
    }
    let far = PrimitiveBlock { lat_offset: Some(i64::MAX), ..odd };
    assert!(matches!(element_problem(read_block(&far)), ElementProblem::Overflow { .. }));
}

#[test]
fn other_packings_are_named() {
    let data = Some(Bytes::from_static(b"data"));
    let empty = proto::Blob::default;
    let packings = [
        ("lzma", proto::Blob { lzma: data.clone(), ..empty() }),
        ("bzip2", proto::Blob { bzip2: data, ..empty() }),
    ];
    for (name, blob) in packings {
        assert_eq!(pbf_problem(read(&file(&blob))), PbfProblem::Compression(name));
    }
    assert_eq!(pbf_problem(read(&file(&empty()))), PbfProblem::NoData);
}

fn zstd_blob(content: &[u8]) -> proto::Blob {
    let packed = zstd::bulk::compress(content, 3).unwrap();
    proto::Blob { zstd: Some(packed.into()), ..raw_size(content) }
}

/// As one block of lz4 that is literal bytes alone.
fn lz4_blob(content: &[u8]) -> proto::Blob {
    let mut packed = vec![0xf0];
    let rest = content.len() - 15;
    packed.extend(vec![255; rest / 255]);
    packed.push(u8::try_from(rest % 255).unwrap());
    packed.extend(content);
    proto::Blob { lz4: Some(packed.into()), ..raw_size(content) }
}

fn raw_size(content: &[u8]) -> proto::Blob {
    proto::Blob { raw_size: Some(i32::try_from(content.len()).unwrap()), ..proto::Blob::default() }
}

#[test]
fn zstd_and_lz4_are_unpacked() {
    let content = sample().encode_to_vec();
    let expected = read(&file(&raw(content.clone()))).unwrap();
    assert!(!expected.is_empty());
    for blob in [zstd_blob(&content), lz4_blob(&content)] {
        assert_eq!(read(&file(&blob)).unwrap(), expected);
    }
    // A byte repeated: a literal, a match that goes on for 255 × 60 000, and the last five literals.
    let many = [&[0x1f, 7, 1, 0][..], &[255; 60_000], &[0, 0x50, 7, 7, 7, 7, 7]].concat();
    let blob = proto::Blob { lz4: Some(many.into()), raw_size: Some(1 << 20), ..proto::Blob::default() };
    assert!(matches!(pbf_problem(read(&file(&blob))), PbfProblem::RawSize { .. }));
}

#[test]
fn damage_in_zstd_and_lz4_is_told() {
    let content = sample().encode_to_vec();
    let damaged = [
        proto::Blob { zstd: Some(Bytes::from_static(b"no frame")), ..raw_size(&content) },
        proto::Blob { lz4: Some(Bytes::from_static(&[0x0f, 9, 0, 0])), ..raw_size(&content) },
        proto::Blob { lz4: Some(Bytes::new()), ..raw_size(&content) },
    ];
    for blob in damaged {
        let problem = pbf_problem(read(&file(&blob)));
        assert!(matches!(problem, PbfProblem::Packed { packing: "zstd" | "lz4", .. }), "{problem}");
    }
    for blob in [zstd_blob(&content), lz4_blob(&content)] {
        assert_eq!(pbf_problem(read(&file(&proto::Blob { raw_size: None, ..blob }))), PbfProblem::NoRawSize);
    }
    // A frame that asks for a window of 2 GiB.
    let hungry = Bytes::from_static(&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00]);
    let blob = proto::Blob { zstd: Some(hungry), ..raw_size(&content) };
    assert!(matches!(pbf_problem(read(&file(&blob))), PbfProblem::Packed { packing: "zstd", .. }));
}

#[test]
fn sizes_that_do_not_agree_are_refused() {
    let content = sample().encode_to_vec();
    let size = i32::try_from(content.len()).unwrap();
    for wrong in [0, size - 1, size + 1] {
        for blob in [zlib(&content), raw(content.clone()), zstd_blob(&content), lz4_blob(&content)] {
            let blob = proto::Blob { raw_size: Some(wrong), ..blob };
            assert!(matches!(pbf_problem(read(&file(&blob))), PbfProblem::RawSize { .. }));
        }
    }
    for wrong in [-1, i32::MAX] {
        let blob = proto::Blob { raw_size: Some(wrong), ..zlib(&content) };
        assert!(matches!(pbf_problem(read(&file(&blob))), PbfProblem::Size { .. }));
    }
    let blob = proto::Blob { raw_size: None, ..zlib(&content) };
    assert_eq!(pbf_problem(read(&file(&blob))), PbfProblem::NoRawSize);
    let blob = proto::Blob { zlib: Some(Bytes::from_static(b"not zlib")), ..zlib(&content) };
    assert!(matches!(pbf_problem(read(&file(&blob))), PbfProblem::Packed { packing: "zlib", .. }));
}

#[test]
fn bombs_are_refused() {
    let bomb = zlib(&vec![0; MAX_BLOB_BYTES + 1]);
    assert!(matches!(pbf_problem(read(&file(&bomb))), PbfProblem::Size { .. }));
    let lying = proto::Blob { raw_size: Some(1000), ..bomb };
    assert!(matches!(pbf_problem(read(&file(&lying))), PbfProblem::RawSize { found: 1001, .. }));
    // Many nodes, one long string: each of them would hold a copy.
    let mut long = block(PrimitiveGroup { nodes: vec![node(); 300], ..PrimitiveGroup::default() });
    long.stringtable.as_mut().unwrap().s[2] = vec![b'x'; 1 << 20];
    let problem = element_problem(read(&file(&zlib(&long.encode_to_vec()))));
    assert!(matches!(problem, ElementProblem::Text { .. }));
    // Two bytes make an empty node.
    let group: Vec<u8> = [0x0a, 0x00].repeat(1 << 20);
    assert!(read(&file(&zlib(&group))).is_err());
}

#[test]
fn headers_are_checked() {
    for features in [&["OsmSchema-V0.6", "HistoricalInformation"][..], &[]] {
        assert_eq!(read(&header(features)).unwrap(), []);
    }
    let unknown = pbf_problem(read(&header(&["OsmSchema-V0.6", "LocationsEverywhere"])));
    assert_eq!(unknown, PbfProblem::Feature("LocationsEverywhere".to_owned()));
    let data = frame("OSMData", &raw(sample().encode_to_vec()));
    assert_eq!(pbf_problem(read(&data)), PbfProblem::NoHeader { found: "OSMData".to_owned() });
    let strange = frame("Strange", &raw(Vec::new()));
    assert!(matches!(pbf_problem(read(&strange)), PbfProblem::NoHeader { .. }));
    assert_eq!(read(&[header(&[]), strange, data].concat()).unwrap().len(), 5);
    for start in [[0xff; 4], [0, 1, 0, 1]] {
        assert!(matches!(pbf_problem(read(&start)), PbfProblem::Size { .. }));
    }
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    let whole = file(&zlib(&sample().encode_to_vec()));
    let header = header(&["OsmSchema-V0.6", "DenseNodes"]).len();
    for length in 0..whole.len() {
        match read(&whole[..length]) {
            Ok(entries) => assert!(length == header && entries.is_empty()),
            Err(Problem::Truncated { .. }) => {}
            Err(other) => assert!(length == 0 && matches!(other, Problem::Empty), "{length}: {other}"),
        }
    }
}

/// Damages what is inside the blobs of a real file, behind the checksums.
#[test]
fn damage_inside_a_real_file_is_no_panic() {
    let default = || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let dir = std::env::var_os("OSMDB_TEST_DATA").map_or_else(default, Into::into);
    let Ok(whole) = std::fs::read(dir.join("bristol-2019.osm.pbf")) else {
        println!("skipped: no bristol-2019.osm.pbf in {}", dir.display());
        return;
    };
    let mut frames = super::Frames::new(&whole[..]);
    let mut blocks = Vec::new();
    while let Some((kind, blob)) = frames.next_blob().unwrap() {
        if kind == super::BlobKind::Data {
            blocks.push(super::inflate::inflate(&blob).unwrap().to_vec());
        }
    }
    let mut state: usize = 7;
    let (mut refused, mut read) = (0, 0);
    for _ in 0..6_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let block = (state >> 20) % blocks.len();
        let bit = (state >> 33) % (blocks[block].len() * 8);
        blocks[block][bit / 8] ^= 1 << (bit % 8);
        match super::block::decode(&blocks[block]) {
            Ok(_) => read += 1,
            Err(_) => refused += 1,
        }
        blocks[block][bit / 8] ^= 1 << (bit % 8);
    }
    println!("{refused} refused, {read} read");
    assert!(refused > 0 && read > 0);
}

#[test]
fn a_block_cut_off_anywhere_is_no_panic() {
    let content = sample().encode_to_vec();
    for length in 0..content.len() {
        let _ = read(&file(&raw(content[..length].to_vec())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn flipped_bits_are_no_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..4)) {
        let mut damaged = file(&raw(sample().encode_to_vec()));
        for (place, bit) in flips {
            let place = place.index(damaged.len());
            damaged[place] ^= 1 << bit;
        }
        let _ = read(&damaged);
    }

    #[test]
    fn any_bytes_are_no_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&content);
        let _ = read(&file(&raw(content)));
    }
}
