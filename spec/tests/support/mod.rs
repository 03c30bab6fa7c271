//! What the tests share: configurations, models, and the comparison itself.

#![allow(dead_code, reason = "every test file uses its own part")]

use prolly::{MemoryStore, PageSource, Tree};
use proptest::prelude::*;
use spec::reference::{self, Address, Config, Pages, Pairs};

/// Pages of two pairs and more: the narrowest windows that are valid.
pub fn tiny() -> Config {
    let (key, value) = (1 + 9, 1 + 20);
    let (leaf, branch) = (key + 51u32.max(value), key + 50);
    Config {
        leaf: [leaf + 1, 3 * leaf + 1],
        branch: [branch + 1, 3 * branch + 1],
        key_max: 9,
        inline_max: 20,
    }
}

/// A little wider than [`tiny`], with keys of up to 40 bytes.
pub fn small() -> Config {
    Config { leaf: [120, 360], branch: [100, 300], key_max: 40, inline_max: 50 }
}

/// The default.
pub fn default_config() -> Config {
    Config { leaf: [4096, 12288], branch: [4096, 12288], key_max: 1024, inline_max: 1024 }
}

pub fn configs() -> impl Strategy<Value = Config> {
    let any_valid = (0u32..30, 0u32..70, 1u32..200, 0u32..300, 1u32..200, 0u32..300).prop_map(
        |(key_max, inline_max, a, b, c, d)| {
            let head = |n: u32| n + if n < 24 { 1 } else { 2 };
            let (leaf, branch) = (head(key_max) + head(inline_max).max(51), head(key_max) + 50);
            Config {
                leaf: [leaf + a, 3 * leaf + a + b],
                branch: [branch + c, 3 * branch + c + d],
                key_max,
                inline_max,
            }
        },
    );
    prop_oneof![2 => Just(tiny()), 2 => Just(small()), 1 => Just(default_config()), 3 => any_valid]
}

/// The same configuration for `prolly`.
pub fn theirs(config: &Config) -> prolly::Config {
    prolly::Config {
        leaf_min: config.leaf[0],
        leaf_max: config.leaf[1],
        branch_min: config.branch[0],
        branch_max: config.branch[1],
        key_max: config.key_max,
        inline_max: config.inline_max,
    }
}

pub fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0u16..600).prop_map(|n| n.to_be_bytes().to_vec()),
        2 => proptest::collection::vec(0u8..3, 0..6),
        1 => proptest::collection::vec(any::<u8>(), 0..=40),
    ]
}

pub fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 0..12),
        1 => proptest::collection::vec(any::<u8>(), 18..70),
        1 => (0usize..20_000, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

pub fn model(most: usize) -> impl Strategy<Value = Pairs> {
    proptest::collection::btree_map(key(), value(), 0..most)
}

pub fn batch(most: usize) -> impl Strategy<Value = Vec<(Vec<u8>, Option<Vec<u8>>)>> {
    proptest::collection::vec((key(), proptest::option::weighted(0.6, value())), 0..most)
}

/// Builds with both, compares every page, and returns the tree. Keys that are too long are left out.
pub fn assert_same(config: &Config, model: &Pairs) -> (Address, Pages) {
    let model: Pairs = model
        .iter()
        .filter(|(key, _)| key.len() <= config.key_max as usize)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let (root, pages) = reference::build(config, &model).expect("a model within the limits");
    let store = MemoryStore::new();
    let tree = Tree::build(&store, theirs(config), &model).expect("a model within the limits");
    assert_eq!(tree.root.as_bytes(), &root, "{config:?} {model:02x?}");
    let load = |cid| store.load(cid).ok().flatten().map(|page| page.to_vec()).unwrap_or_default();
    let theirs: Pages = store.cids().iter().map(|cid| (*cid.as_bytes(), load(cid))).collect();
    assert_eq!(theirs, pages);
    (root, pages)
}
