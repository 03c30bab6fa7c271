//! The reference against `prolly`: the same roots and pages, the same refusals.

#![allow(clippy::cast_possible_truncation, reason = "numbers that the tests themselves keep small")]

mod support;

use prolly::{Cid, MemoryStore, Page, PageSink, PageSource, Tree, boundary_hash};
use proptest::prelude::*;
use spec::reference::{self, Pairs};
use support::{assert_same, batch, configs, default_config, model, theirs};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn both_make_the_same_pages(config in configs(), model in model(400)) {
        assert_same(&config, &model);
    }

    #[test]
    fn batches_of_edits_lead_to_the_pages_of_the_reference(
        config in configs(),
        start in model(300),
        batches in proptest::collection::vec(batch(40), 1..5),
    ) {
        let store = MemoryStore::new();
        let mut model: Pairs =
            start.into_iter().filter(|(key, _)| key.len() <= config.key_max as usize).collect();
        let mut tree = Tree::build(&store, theirs(&config), &model).unwrap();
        for mut batch in batches {
            batch.retain(|(key, _)| key.len() <= config.key_max as usize);
            tree = tree.edit(&store, batch.clone()).unwrap();
            let before = model.clone();
            reference::edit(&mut model, &batch);
            let (root, pages) = reference::build(&config, &model).unwrap();
            prop_assert_eq!(tree.root.as_bytes(), &root);
            for (address, bytes) in &pages {
                prop_assert_eq!(&store.load(&Cid::from_hash(*address)).unwrap().unwrap()[..], &bytes[..]);
            }
            prop_assert_eq!(&reference::read_canonical(&config, &root, &pages).unwrap(), &model);
            let old = Tree::build(&store, theirs(&config), &before).unwrap();
            let found: reference::Changes = old.diff(&tree, &store).unwrap().map(|change| {
                let change = change.unwrap();
                let read = |value: Option<_>| value.map(|value| prolly::read(&store, value).unwrap().to_vec());
                (change.key.to_vec(), (read(change.left), read(change.right)))
            }).collect();
            prop_assert_eq!(found, reference::diff(&before, &model));
        }
    }

    #[test]
    fn both_decide_alike_about_changed_bytes(
        config in configs(),
        model in model(200),
        which in any::<prop::sample::Index>(),
        changes in changes(),
    ) {
        let (_, pages) = assert_same(&config, &model);
        let mut bytes = which.get(&pages.into_values().collect::<Vec<_>>()).clone();
        change(&mut bytes, &changes);
        decide(&bytes);
    }

    #[test]
    fn both_decide_alike_about_changed_records(config in configs(), changes in changes()) {
        let mut record = config.record();
        change(&mut record, &changes);
        let (ours, theirs) = (reference::Config::read(&record), prolly::Config::decode(&record));
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} but {:?}", ours, theirs);
        prop_assert_eq!(ours.ok().map(|config| support::theirs(&config)), theirs.ok());
    }

    #[test]
    fn both_decide_alike_about_changed_value_pages(
        len in prop_oneof![51usize..300, 8180usize..8200, 16_000usize..40_000, Just(128 * 8192)],
        promised in prop_oneof![4 => Just(0i64), 1 => -2i64..3],
        changes in proptest::option::of(changes()),
    ) {
        let config = support::small();
        let (root, mut pages) = assert_same(&config, &Pairs::from([(vec![1], vec![9; len])]));
        // The leaf ends with the link to the top value page.
        let leaf = pages[&root].clone();
        let mut top = pages[&leaf[leaf.len() - 32..]].clone();
        change(&mut top, &changes.unwrap_or_default());
        let promised = head(0, (len as u64).saturating_add_signed(promised), 0);
        let address = reference::address(&top);
        let leaf = [&[0x83, 0, 0x81, 0x41, 1, 0x81, 0x82][..], &promised, &LINK, &address].concat();
        let root = reference::address(&leaf);
        pages.insert(address, top);
        pages.insert(root, leaf);
        let store = MemoryStore::new();
        pages.values().for_each(|bytes| store.put(Cid::of(bytes), bytes.clone().into()).unwrap());
        let tree = Tree::new(theirs(&config), Cid::from_hash(root));
        let (ours, theirs) = (reference::read(&config, &root, &pages), tree.get(&store, &[1]));
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} but {:?}", ours.err(), theirs.err());
        prop_assert!(ours.ok().and_then(|pairs| pairs.into_values().next()) == theirs.ok().flatten().map(Into::into));
    }

    #[test]
    fn both_decide_alike_about_changed_structure(
        page in page(),
        twist in (0usize..24, any::<prop::sample::Index>()),
    ) {
        decide(&page.bytes(twist.0, twist.1.index(1 << 16)));
    }
}

type Changes = Vec<(prop::sample::Index, u8, u8)>;

fn changes() -> impl Strategy<Value = Changes> {
    proptest::collection::vec((any::<prop::sample::Index>(), 0u8..4, any::<u8>()), 1..4)
}

/// Sets, flips, inserts and removes bytes.
fn change(bytes: &mut Vec<u8>, changes: &Changes) {
    for (at, how, byte) in changes {
        if bytes.is_empty() {
            return;
        }
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = *byte,
            1 => bytes[at] ^= 1 << (byte & 7),
            2 => bytes.insert(at, *byte),
            _ => drop(bytes.remove(at)),
        }
    }
}

/// Asks both whether these bytes are a page, and returns what they agree on.
fn decide(bytes: &[u8]) -> bool {
    let ours = reference::check_page(bytes);
    let theirs = Page::verify(Cid::of(bytes), bytes.to_vec().into());
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} but {theirs:?} of {bytes:02x?}");
    ours.is_ok()
}

/// A page by its parts, which need not fit.
#[derive(Debug, Clone)]
struct Parts {
    level: u64,
    keys: Vec<Vec<u8>>,
    long: Vec<Option<u64>>,
    counts: Vec<u64>,
}

fn page() -> impl Strategy<Value = Parts> {
    let level = prop_oneof![3 => Just(0u64), 3 => Just(1u64), 1 => 2u64..34, 1 => Just(255u64), 1 => Just(256u64), 1 => Just(u64::MAX)];
    let key = proptest::collection::vec(any::<u8>(), 0..30);
    let len = prop_oneof![
        Just(0u64),
        Just(1),
        Just(23),
        Just(24),
        0u64..70_000,
        Just(1 << 24),
        Just((1 << 24) + 1),
        Just(u64::MAX)
    ];
    let count = prop_oneof![8 => 1u64..1000, 1 => Just(u64::MAX - 500), 1 => Just(1u64 << 63)];
    (level, proptest::collection::btree_map(key, (proptest::option::weighted(0.2, len), count), 0..30))
        .prop_map(|(level, pairs)| Parts {
            level,
            keys: pairs.keys().cloned().collect(),
            long: pairs.values().map(|(long, _)| *long).collect(),
            counts: pairs.values().map(|(_, count)| *count).collect(),
        })
}

/// A head with its number in `width` bytes: 0 for the shortest.
fn head(major: u8, n: u64, width: usize) -> Vec<u8> {
    let shortest = [(24, 0), (1 << 8, 1), (1 << 16, 2), (1 << 32, 4)].into_iter().find(|(end, _)| n < *end);
    let width = width.max(shortest.map_or(8, |(_, width)| width));
    let digits = n.to_be_bytes();
    match width {
        0 => vec![major << 5 | digits[7]],
        _ => [&[major << 5 | (24 + width.trailing_zeros() as u8)], &digits[8 - width..]].concat(),
    }
}

const LINK: [u8; 9] = [0xd8, 0x2a, 0x58, 0x25, 0x00, 0x01, 0x71, 0x1e, 0x20];

impl Parts {
    /// Encodes the page, with one thing wrong (or nothing, or something that may be right).
    fn bytes(&self, twist: usize, at: usize) -> Vec<u8> {
        let mut page = self.clone();
        let len = page.keys.len();
        let one = at % len.max(1);
        let pick = |what: usize, width: usize| if twist == what { width } else { 0 };
        match twist {
            1 if len > 1 => page.keys.swap(0, len - 1),
            2 if len > 1 => page.keys[len - 1] = page.keys[0].clone(),
            3 if len > 0 => page.counts[one] = 0,
            4 if len > 0 => drop(page.counts.remove(one)),
            5 if len > 0 => drop(page.long.remove(one)),
            6 if len > 0 => drop(page.keys.remove(one)),
            7 => {
                page.keys.truncate(1);
                page.long.truncate(1);
                page.counts.truncate(1);
            }
            8 if len > 0 => page.long[one] = Some(0),
            _ => {}
        }
        let items = if (page.level == 0) == (twist != 9) { 3 } else { 4 };
        let mut out = head(4, items, pick(10, 1));
        out.extend(head(if twist == 11 { 1 } else { 0 }, page.level, pick(12, 1 << (at % 4))));
        out.extend(if twist == 13 { vec![0x9f] } else { head(4, page.keys.len() as u64, pick(14, 1)) });
        for (index, key) in page.keys.iter().enumerate() {
            let major = if twist == 15 && index == one { 3 } else { 2 };
            out.extend(head(major, key.len() as u64, if index == one { pick(16, 2) } else { 0 }));
            out.extend(key);
        }
        if twist == 13 {
            out.push(0xff);
        }
        out.extend(head(4, page.long.len() as u64, 0));
        for (index, long) in page.long.iter().enumerate() {
            let mut link = [LINK.as_slice(), &[index as u8; 32]].concat();
            if index == one {
                match twist {
                    17 => link[1] = 0x2b,
                    18 => link[at % 9] ^= 1,
                    19 => link[3] = 0x24,
                    20 => drop(link.pop()),
                    _ => {}
                }
            }
            match long {
                _ if page.level > 0 => out.extend(link),
                None => out
                    .extend([head(2, 3, if index == one { pick(21, 1) } else { 0 }), vec![1, 2, 3]].concat()),
                Some(len) => {
                    out.extend(head(4, if twist == 22 { 3 } else { 2 }, 0));
                    out.extend(head(0, *len, 0));
                    out.extend(link);
                }
            }
        }
        if items == 4 {
            out.extend(head(4, page.counts.len() as u64, 0));
            for (index, count) in page.counts.iter().enumerate() {
                out.extend(head(0, *count, if index == one { pick(16, 8) } else { 0 }));
            }
        }
        if twist == 23 {
            out.push(0);
        }
        out
    }
}

#[test]
fn the_twists_leave_some_pages_whole() {
    let leaf =
        Parts { level: 0, keys: vec![vec![1], vec![2]], long: vec![None, Some(9)], counts: vec![1, 1] };
    let branch = Parts { level: 31, counts: vec![1, u64::MAX - 1], ..leaf.clone() };
    let at = |twist| (leaf.bytes(twist, 0), branch.bytes(twist, 0));
    let (leaf_bytes, branch_bytes) = at(0);
    assert!(decide(&leaf_bytes) && decide(&branch_bytes));
    for twist in [1, 2, 5, 6, 9, 10, 11, 13, 14, 15, 16, 23] {
        let (leaf_bytes, branch_bytes) = at(twist);
        assert!(!decide(&leaf_bytes) && !decide(&branch_bytes), "{twist}");
    }
    for twist in [3, 4, 7, 17, 18, 19, 20] {
        assert!(!decide(&at(twist).1), "{twist}");
    }
    for twist in [8, 12, 21, 22] {
        assert!(!decide(&at(twist).0), "{twist}");
    }
    let above = Parts { level: 32, ..branch.clone() };
    assert!(!decide(&above.bytes(0, 0)));
    let too_many = Parts { counts: vec![1, u64::MAX], ..branch };
    assert!(!decide(&too_many.bytes(0, 0)));
}

#[test]
fn both_decide_alike_about_pages_of_every_length_near_the_limit() {
    for len in [65_519usize, 65_520, 65_521, 65_522, 65_523, 65_524, 65_525, 65_526, 65_527, 65_528] {
        let leaf = [&[0x83, 0, 0x81, 0x41, 7, 0x81][..], &head(2, len as u64, 0), &vec![5; len]].concat();
        assert_eq!(decide(&leaf), leaf.len() <= reference::MAX_PAGE_BYTES, "{}", leaf.len());
    }
}

#[test]
fn the_default_configuration_with_tens_of_thousands_of_pairs() {
    let mut model = Pairs::new();
    let mut tree = None;
    let store = MemoryStore::new();
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for round in 0..3 {
        let mut edits = Vec::new();
        for _ in 0..if round == 0 { 30_000 } else { 300 } {
            let key = (random() % 50_000).to_be_bytes().to_vec();
            let len = if random() % 500 == 0 { random() % 40_000 } else { random() % 200 } as usize;
            let value = (random() % 4 > 0).then(|| vec![random() as u8; len]);
            edits.push((key, value));
        }
        reference::edit(&mut model, &edits);
        let old = tree.unwrap_or_else(|| Tree::empty(&store, theirs(&default_config())).unwrap());
        let new = old.edit(&store, edits).unwrap();
        let (root, _) = assert_same(&default_config(), &model);
        assert_eq!(new.root.as_bytes(), &root);
        tree = Some(new);
    }
    assert!(model.len() > 10_000);
}

#[test]
fn configurations_are_valid_and_encoded_alike() {
    let windows = [0, 1, 53, 54, 60, 113, 150, 160, 165, 166, 65_000, 65_001, u32::MAX];
    let limits = [0, 1, 4, 23, 24, 48, 49, 50, 51, u32::MAX];
    let mut valid = 0;
    for min in windows {
        for max in windows {
            for key_max in limits {
                for inline_max in limits {
                    let config = reference::Config {
                        leaf: [min, max],
                        branch: [min.max(60), max],
                        key_max,
                        inline_max,
                    };
                    assert_eq!(config.is_valid(), theirs(&config).validate().is_ok(), "{config:?}");
                    assert_eq!(config.record(), theirs(&config).encode());
                    assert_eq!(config.is_valid(), prolly::Config::decode(&config.record()).is_ok());
                    valid += usize::from(config.is_valid());
                }
            }
        }
    }
    assert!(valid > 20);
    assert_eq!(theirs(&default_config()), prolly::Config::default());
}

#[test]
fn hashes_and_addresses_are_alike() {
    for key in [&b""[..], b"a", &[0xff; 1000]] {
        assert_eq!(reference::cid_text(&reference::address(key)), Cid::of(key).to_string());
        for level in 0..=31 {
            assert_eq!(reference::key_hash(level, key), boundary_hash(level, key));
        }
    }
}

/// Lengths at which the shape of the value pages changes.
#[test]
fn long_values_have_the_same_pages() {
    let part = 8192;
    for len in [
        part - 1,
        part,
        part + 1,
        127 * part + 1,
        128 * part,
        128 * part + 1,
        129 * part,
        129 * part + 1,
        256 * part + 1,
        2048 * part,
    ] {
        let model = Pairs::from([(vec![1], vec![9; len])]);
        let (root, pages) = assert_same(&default_config(), &model);
        assert_eq!(reference::read_canonical(&default_config(), &root, &pages).unwrap(), model);
    }
    assert!(
        reference::build(&default_config(), &Pairs::from([(vec![1], vec![9; 2048 * part + 1])])).is_err()
    );
}

/// Trees that are wrong as a whole though every page is right by itself.
#[test]
fn both_refuse_broken_promises_and_boundaries() {
    let config = support::small();
    let model: Pairs = (0..60u8).map(|n| (vec![n], vec![n; 20])).collect();
    let (root, pages) = assert_same(&config, &model);
    let decoded =
        |address: &[u8; 32]| Page::verify(Cid::from_hash(*address), pages[address].clone().into()).unwrap();
    let page = decoded(&root);
    assert!(page.level() >= 1 && page.len() >= 3);
    let children: Vec<_> = (0..page.len()).map(|n| *page.child(n).unwrap().as_bytes()).collect();
    let counts: Vec<u64> = children.iter().map(|child| decoded(child).count()).collect();
    let keys: Vec<_> = (0..page.len()).map(|n| page.key(n).to_vec()).collect();
    let encode = |level: u64, keys: &[Vec<u8>], links: &[[u8; 32]], counts: &[u64]| {
        let mut out = [head(4, 4, 0), head(0, level, 0), head(4, keys.len() as u64, 0)].concat();
        keys.iter().for_each(|key| out.extend([head(2, key.len() as u64, 0), key.clone()].concat()));
        out.extend(head(4, links.len() as u64, 0));
        links.iter().for_each(|link| out.extend([&LINK[..], link].concat()));
        out.extend(head(4, counts.len() as u64, 0));
        counts.iter().for_each(|count| out.extend(head(0, *count, 0)));
        out
    };
    let level = u64::from(page.level());
    let judge = |bytes: Vec<u8>, pages: &reference::Pages| {
        assert!(decide(&bytes));
        let root = reference::address(&bytes);
        let mut pages = pages.clone();
        pages.insert(root, bytes);
        let store = MemoryStore::new();
        pages.values().for_each(|bytes| store.put(Cid::of(bytes), bytes.clone().into()).unwrap());
        let ours = reference::read(&config, &root, &pages);
        let tree = Tree::new(theirs(&config), Cid::from_hash(root));
        let found: Result<Pairs, _> = tree
            .range::<_, &[u8]>(&store, ..)
            .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
            .collect();
        assert_eq!(ours.is_ok(), found.is_ok(), "{ours:?} but {found:?}");
        let canonical = reference::read_canonical(&config, &root, &pages);
        assert_eq!(canonical.is_ok(), tree.verify(&store).is_ok(), "{canonical:?}");
        (ours.is_ok(), canonical.is_ok())
    };
    assert_eq!(judge(encode(level, &keys, &children, &counts), &pages), (true, true));
    assert_eq!(judge(encode(level + 1, &keys, &children, &counts), &pages), (false, false));
    let mut wrong = counts.clone();
    wrong[0] += 1;
    assert_eq!(judge(encode(level, &keys, &children, &wrong), &pages), (false, false));
    let mut wrong = keys.clone();
    wrong[0].push(0);
    assert_eq!(judge(encode(level, &wrong, &children, &counts), &pages), (false, false));
    let mut wrong = children.clone();
    wrong.swap(0, 1);
    assert_eq!(judge(encode(level, &keys, &wrong, &counts), &pages), (false, false));
    // The first child missing: all promises hold, and so may the boundaries.
    judge(encode(level, &keys[1..], &children[1..], &counts[1..]), &pages);
    // A child that begins before its lower bound.
    let leaf = |keys: &[u8]| {
        let mut out = [head(4, 3, 0), vec![0], head(4, keys.len() as u64, 0)].concat();
        keys.iter().for_each(|key| out.extend([0x41, *key]));
        out.extend(head(4, keys.len() as u64, 0));
        keys.iter().for_each(|_| out.extend([&[0x58, 40][..], &[7; 40]].concat()));
        out
    };
    let cases: [(&[u8], &[u8], bool); 4] = [
        (&[1, 2, 3, 4, 5], &[5, 9], false),
        (&[1, 2, 3, 4, 5], &[4, 9], false),
        (&[1, 2, 3, 4, 5], &[6, 9], true),
        // Too short to be followed by another page.
        (&[1, 5], &[6, 9], false),
    ];
    for (first, second, reads) in cases {
        let len = first.len() as u64;
        let (first, second) = (leaf(first), leaf(second));
        let links = [reference::address(&first), reference::address(&second)];
        let pages = links.into_iter().zip([first, second]).collect();
        let bytes = encode(1, &[vec![5], vec![9]], &links, &[len, 2]);
        assert_eq!(judge(bytes, &pages), (reads, false));
    }
}
