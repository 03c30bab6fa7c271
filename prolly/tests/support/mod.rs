//! What the tests of trees share: small pages, so that few pairs make tall trees, and a model.

#![allow(dead_code, reason = "every test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[macro_use]
pub mod properties;

use std::collections::BTreeMap;

use prolly::{Cid, Config, MemoryStore, PageSink, PageSource, Tree, boundary_hash};
use proptest::prelude::*;

pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;
pub type Batch = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Pages of a few pairs each.
pub fn small() -> Config {
    Config { leaf_min: 120, leaf_max: 360, branch_min: 100, branch_max: 300, key_max: 40, inline_max: 50 }
}

/// Short keys that collide, are prefixes of one another, and long ones.
pub fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0u16..600).prop_map(|n| n.to_be_bytes().to_vec()),
        2 => proptest::collection::vec(0u8..3, 0..6),
        1 => proptest::collection::vec(any::<u8>(), 0..=40),
    ]
}

/// Short values, values at the limit, and values out of line.
pub fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 0..12),
        1 => proptest::collection::vec(any::<u8>(), 48..54),
        1 => (0usize..20_000, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

pub fn batch(most: usize) -> impl Strategy<Value = Batch> {
    proptest::collection::vec((key(), proptest::option::weighted(0.7, value())), 0..most)
}

pub fn model(most: usize) -> impl Strategy<Value = Model> {
    proptest::collection::btree_map(key(), value(), 0..most)
}

pub fn apply(model: &mut Model, batch: &Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => model.insert(key.clone(), value.clone()),
            None => model.remove(key),
        };
    }
}

pub fn build<W: PageSink + ?Sized>(sink: &W, config: Config, model: &Model) -> Tree {
    Tree::build(sink, config, model).expect("a model is in order")
}

pub fn pairs<S: PageSource>(tree: &Tree, source: S) -> Model {
    tree.range::<_, &[u8]>(source, ..)
        .map(|pair| pair.map(|(k, v)| (k.to_vec(), v.to_vec())).unwrap())
        .collect()
}

/// All pages of a tree, level by level from the leaves.
pub fn levels(tree: &Tree, source: &impl PageSource) -> Vec<Vec<prolly::Page>> {
    let mut below = vec![source.page(&tree.root).unwrap().unwrap()];
    let mut levels = Vec::new();
    while below[0].level() > 0 {
        let next = below.iter().flat_map(|page| (0..page.len()).map(|i| page.child(i).unwrap()));
        let next: Vec<_> = next.map(|cid| source.page(&cid).unwrap().unwrap()).collect();
        levels.push(std::mem::replace(&mut below, next));
    }
    levels.push(below);
    levels.reverse();
    levels
}

/// The boundary rule, told once more: where the pages of a level end, by the number of their items.
pub fn expected_ends(config: &Config, level: u8, items: &[(Vec<u8>, usize)]) -> Vec<usize> {
    let (min, max) = config.window(level);
    let mut ends = Vec::new();
    let mut start = 0;
    while start < items.len() {
        let rest = &items[start..];
        let sizes: Vec<usize> = rest
            .iter()
            .scan(0, |sum, item| {
                *sum += item.1;
                Some(*sum)
            })
            .collect();
        let len = if *sizes.last().unwrap() <= max {
            rest.len()
        } else {
            let allowed = |i: &usize| {
                let left = rest.len() - i - 1;
                (min..=max).contains(&sizes[*i]) && !(level > 0 && left == 1)
            };
            (0..rest.len()).filter(allowed).min_by_key(|i| (boundary_hash(level, &rest[*i].0), *i)).unwrap()
                + 1
        };
        start += len;
        ends.push(len);
    }
    ends
}

/// Every page decodes to itself, and ends where the rule says.
pub fn check_pages(tree: &Tree, source: &impl PageSource) {
    let levels = levels(tree, source);
    for (level, pages) in levels.iter().enumerate() {
        let level = u8::try_from(level).unwrap();
        let mut items = Vec::new();
        for page in pages {
            assert_eq!(Cid::of(page.bytes()), *page.cid());
            assert_eq!(page.level(), level);
            assert!(page.payload() <= tree.config.window(level).1);
            let value: ciborium::Value = ciborium::from_reader(&page.bytes()[..]).unwrap();
            let mut again = Vec::new();
            ciborium::into_writer(&value, &mut again).unwrap();
            assert_eq!(&again[..], &page.bytes()[..], "an independent encoder writes the same bytes");
            let parts = value.as_array().unwrap();
            let keys = parts[1].as_array().unwrap();
            for (key, other) in keys.iter().zip(parts[2].as_array().unwrap()) {
                let mut size = encoded_len(key);
                size += if level == 0 { encoded_len(other) } else { 41 + 9 };
                items.push((key.as_bytes().unwrap().clone(), size));
            }
        }
        let ends: Vec<usize> = pages.iter().map(prolly::Page::len).collect();
        if items.is_empty() {
            assert_eq!(ends, [0], "only the empty tree has an empty page");
        } else {
            assert_eq!(ends, expected_ends(&tree.config, level, &items));
        }
    }
}

fn encoded_len(value: &ciborium::Value) -> usize {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).unwrap();
    out.len()
}

/// Runs steps against an empty store, filling in what is missing from a full one.
pub struct Partial<'a, S> {
    pub full: &'a S,
    pub here: MemoryStore,
    pub rounds: usize,
}

impl<'a, S: PageSource> Partial<'a, S> {
    pub fn new(full: &'a S) -> Self {
        Self { full, here: MemoryStore::new(), rounds: 0 }
    }

    pub fn fill(&mut self, cids: &[Cid]) {
        assert!(!cids.is_empty(), "an operation that waits must say for what");
        self.rounds += 1;
        for cid in cids {
            assert!(!self.here.contains(cid).unwrap(), "a page that is here was asked for");
            self.here.put(*cid, self.full.load(cid).unwrap().expect("the page exists")).unwrap();
        }
    }
}
