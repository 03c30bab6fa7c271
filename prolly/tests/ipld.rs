//! Trees as CAR files: written, read, and everything that a damaged or hostile file can be.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;

use prolly::ipld::{
    BlockCid, CarError, CarIndex, CarReader, ExportCar, Foreign, Imported, MAX_BLOCK_BYTES, MAX_HEADER_BYTES,
    MemoryBlocks, import_car,
};
use prolly::{Cid, MAX_PAGE_BYTES, MemoryStore, PageSink, PageSource, Step, Tree};
use proptest::prelude::*;
use support::{Model, Partial, build, model, pairs, small};

fn export<S: PageSource>(tree: &Tree, source: &S) -> Vec<u8> {
    let mut car = Vec::new();
    let done = tree.export_car(source, &mut car).unwrap();
    assert_eq!(done.bytes, car.len() as u64);
    car
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

fn section(cid: &[u8], block: &[u8]) -> Vec<u8> {
    [&varint((cid.len() + block.len()) as u64)[..], cid, block].concat()
}

fn header(roots: &[&[u8]]) -> Vec<u8> {
    let mut out = b"\xa2\x65roots".to_vec();
    out.push(0x80 | u8::try_from(roots.len()).unwrap());
    for root in roots {
        out.extend([0xd8, 0x2a, 0x58, u8::try_from(root.len() + 1).unwrap(), 0]);
        out.extend(*root);
    }
    out.extend(b"\x67version\x01");
    [varint(out.len() as u64), out].concat()
}

fn ours(block: &[u8]) -> Vec<u8> {
    BlockCid::from(Cid::of(block)).as_bytes().to_vec()
}

/// A tree with several levels and long values, two of which share their pages.
fn sample() -> (MemoryStore, Tree, Model) {
    let mut model: Model = (0u16..200).map(|n| (n.to_be_bytes().to_vec(), vec![7; 9])).collect();
    model.insert(vec![9], vec![1; 20_000]);
    model.insert(vec![10], vec![1; 20_000]);
    let store = MemoryStore::new();
    let tree = build(&store, small(), &model);
    (store, tree, model)
}

fn round_trip<S: PageSource + PageSink>(store: &S, model: &Model) {
    let tree = build(store, small(), model);
    let car = export(&tree, store);
    assert_eq!(export(&tree, store), car, "the same tree makes the same bytes");
    let other = MemoryStore::new();
    assert_eq!(Tree::import_car(&car[..], &other, small(), Foreign::Refuse).unwrap(), tree);
    assert_eq!(&pairs(&tree, &other), model);
    assert_eq!(export(&tree, &other), car, "and so in another store");

    let blocks: Vec<_> = CarReader::new(&car[..]).unwrap().map(Result::unwrap).collect();
    assert_eq!(blocks[0].cid, tree.root.into());
    let cids: BTreeSet<_> = blocks.iter().map(|block| block.cid.clone()).collect();
    assert_eq!(cids.len(), blocks.len(), "every block is there once");
    assert_eq!(other.cids().len(), blocks.len());
    let keys: Vec<Vec<u8>> = blocks
        .iter()
        .filter_map(|block| prolly::Page::verify(block.cid.page().unwrap(), block.bytes.clone()).ok())
        .filter(|page| page.level() == 0)
        .flat_map(|page| (0..page.len()).map(|i| page.key(i).to_vec()).collect::<Vec<_>>())
        .collect();
    assert!(keys.iter().eq(model.keys()), "leaves come in the order of keys");

    // A source that lacks everything at first: the same file, in steps.
    let mut partial = Partial::new(store);
    let (mut export, mut out) = (ExportCar::new([tree]).unwrap(), Vec::new());
    while let Step::Missing(cids) = export.step(&partial.here, &mut out).unwrap() {
        partial.fill(&cids);
    }
    assert_eq!(out, car);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(model in model(120)) {
        round_trip(&MemoryStore::new(), &model);
    }

    #[test]
    fn bytes_of_any_kind_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let store = MemoryStore::new();
        let _ = import_car(&bytes[..], &store, Foreign::Skip);
        let _ = CarIndex::new(std::io::Cursor::new(bytes), 10);
    }

    #[test]
    fn a_flipped_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (store, tree, _) = sample();
        let mut car = export(&tree, &store);
        let at = at.index(car.len());
        car[at] ^= 1 << bit;
        let read = Tree::import_car(&car[..], &MemoryStore::new(), small(), Foreign::Refuse);
        prop_assert!(read.is_err(), "bit {bit} of byte {at}");
    }
}

#[cfg(feature = "fjall")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn what_is_written_is_read_from_fjall(model in model(120)) {
        let directory = tempfile::tempdir().unwrap();
        let store = prolly::FjallStore::open(directory.path()).unwrap();
        round_trip(&store, &model);
        let tree = build(&MemoryStore::new(), small(), &model);
        let car = export(&tree, &store);
        let directory = tempfile::tempdir().unwrap();
        let other = prolly::FjallStore::open(directory.path()).unwrap();
        prop_assert_eq!(Tree::import_car(&car[..], &other, small(), Foreign::Refuse).unwrap(), tree);
    }
}

#[test]
fn several_trees_share_their_pages() {
    let (store, old, _) = sample();
    let new = old.edit(&store, [(vec![200], Some(vec![1]))]).unwrap();
    let mut car = Vec::new();
    let Step::Ready(done) = ExportCar::new([old, new]).unwrap().step(&store, &mut car).unwrap() else {
        panic!("all pages are there");
    };
    let pages: BTreeSet<Cid> = store.cids().into_iter().collect();
    assert_eq!(done.blocks, pages.len() as u64);
    let other = MemoryStore::new();
    let imported = import_car(&car[..], &other, Foreign::Refuse).unwrap();
    assert_eq!((imported.roots, imported.blocks), (vec![old.root, new.root], done.blocks));
    old.verify(&other).unwrap();
    new.verify(&other).unwrap();
    assert!(matches!(Tree::import_car(&car[..], &other, small(), Foreign::Refuse), Err(CarError::Roots(2))));
    assert!(matches!(ExportCar::new([]), Err(CarError::Roots(0))));
    assert!(matches!(ExportCar::new(vec![old; 1700]), Err(CarError::Roots(1700))));
}

#[test]
fn a_file_cut_at_any_byte_is_noticed() {
    let (store, tree, _) = sample();
    let car = export(&tree, &store);
    let mut ends = BTreeSet::new();
    let mut reader = CarReader::new(&car[..]).unwrap();
    ends.insert(reader.offset());
    while let Some(block) = reader.next() {
        block.unwrap();
        ends.insert(reader.offset());
    }
    for len in 0..car.len() {
        let read = import_car(&car[..len], &MemoryStore::new(), Foreign::Refuse);
        if ends.contains(&(len as u64)) {
            read.unwrap();
            let tree = Tree::import_car(&car[..len], &MemoryStore::new(), small(), Foreign::Refuse);
            assert!(matches!(tree, Err(CarError::Tree(_))), "a tree without all its pages: {tree:?}");
        } else {
            let Err(CarError::End { offset }) = read else { panic!("cut to {len}: {read:?}") };
            assert_eq!(offset, len as u64);
        }
        let index = CarIndex::new(std::io::Cursor::new(&car[..len]), 1_000);
        assert_eq!(index.is_ok(), ends.contains(&(len as u64)), "cut to {len}");
    }
}

#[test]
fn blocks_may_come_in_any_order_and_twice() {
    let (store, tree, model) = sample();
    let car = export(&tree, &store);
    let mut blocks: Vec<_> = CarReader::new(&car[..]).unwrap().map(Result::unwrap).collect();
    blocks.reverse();
    blocks.push(blocks[0].clone());
    let root = ours(store.load(&tree.root).unwrap().unwrap().as_ref());
    let mut mixed = header(&[&root]);
    blocks.iter().for_each(|block| mixed.extend(section(block.cid.as_bytes(), &block.bytes)));
    let other = MemoryStore::new();
    let read = Tree::import_car(&mixed[..], &other, small(), Foreign::Refuse).unwrap();
    assert_eq!(pairs(&read, &other), model);
}

#[test]
fn blocks_of_other_kinds_are_refused_or_passed_over() {
    let (store, tree, _) = sample();
    let car = export(&tree, &store);
    let raw = BlockCid::of(0x55, 0x12, b"raw").unwrap();
    let more = [&car[..], &section(raw.as_bytes(), b"raw")].concat();
    let refused = import_car(&more[..], &MemoryStore::new(), Foreign::Refuse);
    assert!(
        matches!(&refused, Err(CarError::Foreign { offset, cid }) if *offset == car.len() as u64 && *cid == raw)
    );
    let passed = import_car(&more[..], &MemoryStore::new(), Foreign::Skip).unwrap();
    assert_eq!(passed.skipped, 1);
    let foreign_root = [header(&[raw.as_bytes()]), section(raw.as_bytes(), b"raw")].concat();
    let refused = import_car(&foreign_root[..], &MemoryStore::new(), Foreign::Refuse);
    assert!(matches!(refused, Err(CarError::Foreign { offset: 0, .. })));
    let passed = import_car(&foreign_root[..], &MemoryStore::new(), Foreign::Skip).unwrap();
    assert_eq!(passed, Imported { skipped: 1, ..Imported::default() });
    // A raw block with our hash is no page either.
    let raw = BlockCid::of(0x55, 0x1e, b"raw").unwrap();
    let more = [&car[..], &section(raw.as_bytes(), b"raw")].concat();
    assert!(import_car(&more[..], &MemoryStore::new(), Foreign::Refuse).is_err());
}

#[test]
fn hostile_lengths_and_addresses_are_refused() {
    let import = |car: &[u8]| import_car(car, &MemoryStore::new(), Foreign::Skip);
    let root = ours(b"\x83\x00\x80\x80");
    let start = header(&[&root]);
    let at = start.len() as u64;
    let with = |more: &[u8]| import(&[&start[..], more].concat());

    assert!(matches!(import(&[]), Err(CarError::End { offset: 0 })));
    let long = (MAX_HEADER_BYTES + 1) as u64;
    assert!(matches!(import(&varint(long)), Err(CarError::TooLong { offset: 0, len, .. }) if len == long));
    assert!(matches!(import(&[0xff; 20]), Err(CarError::Length { offset: 0 })));
    assert!(matches!(import(&[0x80, 0x00]), Err(CarError::Length { offset: 0 })));
    assert!(matches!(with(&[0xff; 20]), Err(CarError::Length { offset }) if offset == at));
    assert!(matches!(with(&[0x00]), Err(CarError::Cid { offset, .. }) if offset == at));
    assert!(matches!(with(&varint(1 << 40)), Err(CarError::TooLong { offset, .. }) if offset == at));
    assert!(matches!(with(&section(&root[..35], b"")), Err(CarError::Cid { .. })));
    let identity = [1, 0x71, 0, 1, 9];
    assert!(matches!(with(&section(&identity, b"x")), Err(CarError::Cid { .. })));
    let many_zeros = [1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert!(matches!(with(&section(&many_zeros, &[0xff; 200])), Err(CarError::Cid { .. })));
    let wrong = section(&root, b"\x83\x00\x80\x81");
    assert!(matches!(with(&wrong), Err(CarError::Hash { offset, .. }) if offset == at));
    let big = vec![0; MAX_PAGE_BYTES + 1];
    assert!(matches!(with(&section(&ours(&big), &big)), Err(CarError::TooLong { .. })));
    let big = vec![0; MAX_BLOCK_BYTES + 1];
    let cid = BlockCid::of(0x55, 0x12, &big).unwrap();
    assert!(matches!(with(&section(cid.as_bytes(), &big)), Err(CarError::TooLong { .. })));
}

#[test]
fn other_headers_are_refused() {
    let import = |header: &[u8]| {
        let car = [varint(header.len() as u64), header.to_vec()].concat();
        import_car(&car[..], &MemoryStore::new(), Foreign::Skip)
    };
    // The header of version 2 is the same for all its files.
    assert!(matches!(import(b"\xa1\x67version\x02"), Err(CarError::Version(2))));
    assert!(matches!(import(b"\xa2\x65roots\x80\x67version\x01"), Err(CarError::Roots(0))));
    assert!(matches!(import(b"\xa1\x67version\x01"), Err(CarError::Roots(0))));
    assert!(matches!(import(b"\xa1\x65roots\x80"), Err(CarError::Version(0))));
    assert!(matches!(import(b"\x80"), Err(CarError::Header(_))));
    assert!(matches!(import(b"\xa2\x65roots\x9b\xff\xff\xff\xff\xff\xff\xff\xff"), Err(CarError::Header(_))));
    assert!(matches!(import(b"\xa1\x67version\x01\x00"), Err(CarError::Header(_))));
    assert!(matches!(import(b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff"), Err(CarError::Header(_))));
}

#[test]
fn a_damaged_tree_is_not_exported() {
    let (store, tree, _) = sample();
    let lacking = MemoryStore::new();
    lacking.put(tree.root, store.load(&tree.root).unwrap().unwrap()).unwrap();
    let written = tree.export_car(&lacking, Vec::new());
    assert!(matches!(written, Err(CarError::Tree(prolly::Error::Missing(_)))));
    let other = Tree { config: prolly::Config { key_max: 1, ..small() }, ..tree };
    assert!(other.export_car(&store, Vec::new()).is_err());

    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    assert!(matches!(tree.export_car(&store, Full), Err(CarError::Io { offset: 0, .. })));
}

#[test]
fn memory_is_bounded() {
    let (store, tree, _) = sample();
    let car = export(&tree, &store);
    assert!(matches!(MemoryBlocks::read(&car[..], 4_000), Err(CarError::TooMuch { limit: 4_000, .. })));
    assert!(MemoryBlocks::read(&car[..], 1 << 20).is_ok());
    let index = CarIndex::new(std::io::Cursor::new(&car), 3);
    assert!(matches!(index, Err(CarError::TooMuch { limit: 3, .. })));
}
