//! Prolly trees of the published schema, built by hand with an encoder of the test's own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::Cursor;

use bytes::Bytes;
use prolly::ipld::{
    BlockCid, Blocks, CarIndex, MAX_PUBLISHED_DEPTH, MemoryBlocks, NodeError, PublishedError, PublishedTree,
    Separators,
};
use proptest::prelude::*;

const SHA2_256: u64 = 0x12;
const HASHES: [u64; 6] = [SHA2_256, 0x13, 0x16, 0x1e, 0xb220, 0xb240];

fn head(out: &mut Vec<u8>, major: u8, n: usize) {
    let [high, low] = u16::try_from(n).unwrap().to_be_bytes();
    match n {
        0..24 => out.push(major << 5 | low),
        24..256 => out.extend([major << 5 | 24, low]),
        _ => out.extend([major << 5 | 25, high, low]),
    }
}

fn bytes(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    head(&mut out, 2, value.len());
    out.extend(value);
    out
}

fn link(cid: &BlockCid) -> Vec<u8> {
    [&[0xd8, 0x2a][..], &bytes(&[&[0], cid.as_bytes()].concat())].concat()
}

fn array(items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    head(&mut out, 4, items.len());
    items.iter().for_each(|item| out.extend(item));
    out
}

fn int(n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    head(&mut out, 0, n);
    out
}

/// Which of the published forms to write.
#[derive(Debug, Clone, Copy)]
struct Form {
    levels: bool,
    counts: bool,
    separators: Separators,
    hash: u64,
    fan_out: usize,
}

const GO: Form =
    Form { levels: false, counts: true, separators: Separators::Last, hash: SHA2_256, fan_out: 4 };

/// What the level above says of a node.
struct Child {
    first: Vec<u8>,
    last: Vec<u8>,
    cid: BlockCid,
    count: usize,
}

fn put(blocks: &mut MemoryBlocks, hash: u64, block: Vec<u8>) -> BlockCid {
    let cid = BlockCid::of(0x71, hash, &block).unwrap();
    blocks.insert(cid.clone(), block.into());
    cid
}

fn node(form: Form, level: usize, keys: &[Vec<u8>], items: &[Vec<u8>], counts: &[usize]) -> Vec<u8> {
    let kind = if form.levels { int(level) } else { vec![if level == 0 { 0xf5 } else { 0xf4 }] };
    let mut parts = vec![kind, array(keys), array(items)];
    if form.counts {
        parts.push(array(&counts.iter().map(|count| int(*count)).collect::<Vec<_>>()));
    }
    array(&parts)
}

/// Builds a tree; values are DAG-CBOR already.
fn build(form: Form, pairs: &BTreeMap<Vec<u8>, Vec<u8>>) -> (MemoryBlocks, BlockCid) {
    let mut blocks = MemoryBlocks::new();
    let all: Vec<_> = pairs.iter().collect();
    let mut row = Vec::new();
    for group in all.chunks(form.fan_out) {
        let keys: Vec<_> = group.iter().map(|(key, _)| bytes(key)).collect();
        let values: Vec<_> = group.iter().map(|(_, value)| value.to_vec()).collect();
        let cid = put(&mut blocks, form.hash, node(form, 0, &keys, &values, &[]));
        let (first, last) = (group[0].0.clone(), group[group.len() - 1].0.clone());
        row.push(Child { first, last, cid, count: group.len() });
    }
    if row.is_empty() {
        return {
            let cid = put(&mut blocks, form.hash, node(form, 0, &[], &[], &[]));
            (blocks, cid)
        };
    }
    let mut level = 1;
    while row.len() > 1 {
        let mut above = Vec::new();
        for group in row.chunks(form.fan_out) {
            let last_keys = form.separators == Separators::Last;
            let keys = group.iter().map(|child| bytes(if last_keys { &child.last } else { &child.first }));
            let links: Vec<_> = group.iter().map(|child| link(&child.cid)).collect();
            let counts: Vec<_> = group.iter().map(|child| child.count).collect();
            let cid =
                put(&mut blocks, form.hash, node(form, level, &keys.collect::<Vec<_>>(), &links, &counts));
            let (first, last) = (group[0].first.clone(), group[group.len() - 1].last.clone());
            above.push(Child { first, last, cid, count: counts.iter().sum() });
        }
        row = above;
        level += 1;
    }
    let cid = row[0].cid.clone();
    (blocks, cid)
}

/// Values of every kind.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0usize..1000).prop_map(int),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|value| bytes(&value)),
        Just(b"\xa2\x61a\x01\x61b\x82\xf6\xf5".to_vec()),
        Just(b"\xfb\x3f\xf8\0\0\0\0\0\0".to_vec()),
        Just(b"\x20".to_vec()),
        Just(link(&BlockCid::of(0x55, SHA2_256, b"elsewhere").unwrap())),
        // A link of the identity hash, and one of SHA-1: nothing is followed.
        Just(b"\xd8\x2a\x46\0\x01\x55\0\x01x".to_vec()),
        Just([&b"\xd8\x2a\x58\x19\0\x01\x78\x11\x14"[..], &[7; 20]].concat()),
    ]
}

fn form() -> impl Strategy<Value = Form> {
    (any::<bool>(), any::<bool>(), any::<bool>(), prop::sample::select(HASHES.to_vec()), 2usize..6).prop_map(
        |(levels, counts, last, hash, fan_out)| Form {
            levels,
            counts,
            separators: if last { Separators::Last } else { Separators::First },
            hash,
            fan_out,
        },
    )
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..4, 0..5)
}

fn check<B: Blocks>(
    tree: &PublishedTree,
    blocks: &B,
    model: &BTreeMap<Vec<u8>, Vec<u8>>,
    probes: &[Vec<u8>],
) {
    let read = |from: &[u8], to: &[u8]| -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = tree.range(blocks, from..to).map(Result::unwrap);
        pairs.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    };
    let all = tree.range::<_, &[u8]>(blocks, ..).map(Result::unwrap);
    assert!(all.map(|(key, value)| (key.to_vec(), value.to_vec())).eq(model.clone()));
    for probe in probes {
        assert_eq!(tree.get(blocks, probe).unwrap().as_deref(), model.get(probe).map(Vec::as_slice));
        for other in probes.iter().filter(|other| probe <= *other) {
            let expected = model.range(probe.clone()..other.clone());
            let expected: Vec<_> = expected.map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(read(probe, other), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_form_is_read(
        form in form(),
        model in proptest::collection::btree_map(key(), value(), 0..80),
        probes in proptest::collection::vec(key(), 1..8),
    ) {
        let (blocks, root) = build(form, &model);
        let tree = PublishedTree::open(&blocks, &root).unwrap();
        check(&tree, &blocks, &model, &probes);
        let told = PublishedTree::open_with(&blocks, &root, form.separators).unwrap();
        check(&told, &blocks, &model, &probes);
    }

    #[test]
    fn blocks_of_any_bytes_are_refused_without_a_panic(
        start in prop::sample::select(vec![&b"\x83\xf5"[..], b"\x84\xf4", b"\x83\x01\x81\x41a", b"\xa1", b""]),
        rest in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut blocks = MemoryBlocks::new();
        let cid = put(&mut blocks, SHA2_256, [start, &rest].concat());
        if let Ok(tree) = PublishedTree::open(&blocks, &cid) {
            let _ = tree.get(&blocks, b"a");
            let _ = tree.range::<_, &[u8]>(&blocks, ..).count();
        }
    }

    #[test]
    fn a_changed_block_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (blocks, root) = build(GO, &sample(3));
        let mut block = blocks.block(&root).unwrap().unwrap().to_vec();
        let at = at.index(block.len());
        block[at] ^= 1 << bit;
        let mut changed = MemoryBlocks::new();
        changed.insert(root.clone(), block.into());
        prop_assert!(matches!(PublishedTree::open(&changed, &root), Err(PublishedError::Hash(_))));
    }
}

fn sample(pairs: u8) -> BTreeMap<Vec<u8>, Vec<u8>> {
    (0..pairs).map(|n| (vec![n, n], int(n.into()))).collect()
}

fn car(root: &BlockCid, blocks: &[(BlockCid, Bytes)]) -> Vec<u8> {
    let header = [&b"\xa2\x65roots\x81"[..], &link(root), b"\x67version\x01"].concat();
    let mut out = vec![u8::try_from(header.len()).unwrap()];
    out.extend(header);
    for (cid, block) in blocks {
        let len = cid.as_bytes().len() + block.len();
        assert!((128..1 << 14).contains(&len) || len < 128);
        if len >= 128 {
            out.extend([u8::try_from(len & 127).unwrap() | 128, u8::try_from(len >> 7).unwrap()]);
        } else {
            out.push(u8::try_from(len).unwrap());
        }
        out.extend(cid.as_bytes());
        out.extend(block);
    }
    out
}

#[test]
fn records_of_both_kinds_and_files_are_read() {
    let model = sample(3);
    let (mut blocks, root) = build(GO, &model);
    let config = put(&mut blocks, SHA2_256, array(&[int(512), int(4096)]));
    let tuple = put(&mut blocks, SHA2_256, array(&[link(&config), link(&root)]));
    let map = [&b"\xa2\x67RootCid"[..], &link(&root), b"\x69ConfigCid", &link(&config)].concat();
    let map = put(&mut blocks, SHA2_256, map);
    for record in [&tuple, &map] {
        let tree = PublishedTree::open(&blocks, record).unwrap();
        assert_eq!((tree.root(), tree.config()), (&root, Some(&config)));
        check(&tree, &blocks, &model, &[vec![1, 1]]);

        let files: Vec<_> = [record, &root, &config]
            .map(|cid| (cid.clone(), blocks.block(cid).unwrap().unwrap()))
            .into_iter()
            .collect();
        let file = car(record, &files);
        let memory = MemoryBlocks::read(&file[..], 10_000).unwrap();
        check(&PublishedTree::open(&memory, &memory.roots()[0]).unwrap(), &memory, &model, &[vec![1, 1]]);
        let index = CarIndex::new(Cursor::new(file.clone()), 10).unwrap();
        check(&PublishedTree::open(&index, &index.roots()[0]).unwrap(), &index, &model, &[vec![1, 1]]);
        // The index does not check what it passes over; the tree checks what it uses.
        let mut damaged = file;
        let last_of_root = damaged.len() - blocks.block(&config).unwrap().unwrap().len() - 36 - 2;
        damaged[last_of_root] ^= 1;
        let index = CarIndex::new(Cursor::new(damaged), 10).unwrap();
        assert!(matches!(PublishedTree::open(&index, record), Err(PublishedError::Hash(_))));
    }
    let lacking = MemoryBlocks::new();
    assert!(matches!(PublishedTree::open(&lacking, &root), Err(PublishedError::Missing(_))));
    let raw = BlockCid::of(0x55, SHA2_256, b"raw").unwrap();
    assert!(matches!(PublishedTree::open(&lacking, &raw), Err(PublishedError::Codec(_))));
}

/// A digest cut to 16 bytes, as the Go implementation writes by default.
#[test]
fn short_digests_are_checked_too() {
    let (blocks, root) = build(GO, &sample(3));
    let block = blocks.block(&root).unwrap().unwrap();
    let digest = &root.as_bytes()[4..20];
    let short = BlockCid::from_bytes(&[&[1, 0x71, 0x12, 16][..], digest].concat()).unwrap();
    assert!(short.hash_matches(&block) && !short.hash_matches(b"x"));
    assert!(BlockCid::from_bytes(&[&[1, 0x71, 0x12, 15][..], &digest[..15]].concat()).is_err());
}

/// Opens a root over one child whose block is given, and returns the error of reading it all.
fn error_of(keys: &[&[u8]], children: &[Vec<u8>], counts: Option<&[usize]>) -> PublishedError {
    let mut blocks = MemoryBlocks::new();
    let links: Vec<_> =
        children.iter().map(|child| link(&put(&mut blocks, SHA2_256, child.clone()))).collect();
    let form = Form { counts: counts.is_some(), ..GO };
    let keys: Vec<_> = keys.iter().map(|key| bytes(key)).collect();
    let root = put(&mut blocks, SHA2_256, node(form, 1, &keys, &links, counts.unwrap_or_default()));
    let tree = match PublishedTree::open(&blocks, &root) {
        Ok(tree) => tree,
        Err(error) => return error,
    };
    tree.range::<_, &[u8]>(&blocks, ..).find_map(Result::err).expect("a hostile tree")
}

fn leaf(keys: &[&[u8]]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().map(|key| bytes(key)).collect();
    let values = vec![int(1); keys.len()];
    node(GO, 0, &keys, &values, &[])
}

fn source(error: PublishedError) -> NodeError {
    match error {
        PublishedError::Node { source, .. } => source,
        other => panic!("{other}"),
    }
}

#[test]
fn hostile_trees_are_refused() {
    let good = leaf(&[b"a", b"b"]);
    let error = |keys: &[&[u8]], children: &[Vec<u8>]| source(error_of(keys, children, None));
    assert_eq!(error(&[b"x"], std::slice::from_ref(&good)), NodeError::Promise("key"));
    assert_eq!(
        error(&[b"b", b"d"], &[good.clone(), leaf(&[b"a", b"d"])]),
        NodeError::Promise("range of keys")
    );
    assert_eq!(error(&[b"b", b"d"], &[good.clone(), leaf(&[b"c", b"e"])]), NodeError::Promise("key"));
    assert_eq!(error(&[b"b"], &[leaf(&[])]), NodeError::Promise("key"));
    assert_eq!(error(&[b"b"], &[leaf(&[b"b", b"a"])]), NodeError::KeyOrder { index: 1 });
    assert_eq!(error(&[b"b"], &[leaf(&[b"b", b"b"])]), NodeError::KeyOrder { index: 1 });
    assert_eq!(error(&[], &[]), NodeError::Empty);
    assert_eq!(error(&[b"b", b"c"], std::slice::from_ref(&good)), NodeError::Lengths { keys: 2, others: 1 });
    assert_eq!(error(&[b"b"], &[array(&[int(0)])]), NodeError::Items(1));
    assert_eq!(
        error(&[b"b"], &[[&good[..], &[0]].concat()]),
        NodeError::Cbor(prolly::cbor::CborError::Trailing { count: 1 })
    );
    let counted = |counts: &[usize]| source(error_of(&[b"b"], std::slice::from_ref(&good), Some(counts)));
    assert_eq!(counted(&[3]), NodeError::Promise("count"));
    assert_eq!(counted(&[]), NodeError::Lengths { keys: 1, others: 0 });
    // A child that tells levels below a root that does not.
    let levels = node(Form { levels: true, ..GO }, 0, &[bytes(b"a"), bytes(b"b")], &[int(1), int(2)], &[]);
    assert_eq!(error(&[b"b"], &[levels]), NodeError::Promise("level"));
}

#[test]
fn a_tree_that_is_too_deep_is_refused() {
    let mut blocks = MemoryBlocks::new();
    let mut cid = put(&mut blocks, SHA2_256, leaf(&[b"a", b"b"]));
    for depth in 1..=MAX_PUBLISHED_DEPTH {
        let tree = PublishedTree::open_with(&blocks, &cid, Separators::Last).unwrap();
        assert!(tree.get(&blocks, b"a").unwrap().is_some(), "{depth} levels");
        assert_eq!(tree.range::<_, &[u8]>(&blocks, ..).map(Result::unwrap).count(), 2);
        let branch = node(GO, 1, &[bytes(b"b")], &[link(&cid)], &[2]);
        cid = put(&mut blocks, SHA2_256, branch);
    }
    let tree = PublishedTree::open_with(&blocks, &cid, Separators::Last).unwrap();
    assert!(matches!(tree.get(&blocks, b"a"), Err(PublishedError::TooDeep)));
    assert!(matches!(tree.range::<_, &[u8]>(&blocks, ..).next(), Some(Err(PublishedError::TooDeep))));
}
