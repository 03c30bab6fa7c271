//! Finding a place in a page, however unevenly its keys lie.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use prolly::{Config, MemoryStore, PageSource, Tree};
use proptest::prelude::*;

/// Keys that share long beginnings, crowd together, lie at the ends of the numbers, or differ only
/// behind their first 8 bytes.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let tail = proptest::collection::vec(any::<u8>(), 0..3);
    let number = prop_oneof![
        any::<u64>(),
        (0u32..64).prop_map(|bit| 1u64 << bit),
        (0u32..64).prop_map(|bit| u64::MAX >> bit),
        0u64..20,
    ];
    (prop_oneof![Just(0), Just(3), Just(8), Just(12)], number, tail)
        .prop_map(|(front, number, tail)| [&[7; 12][..front], &number.to_be_bytes()[..], &tail[..]].concat())
}

proptest! {
    #[test]
    fn a_place_is_the_number_of_lesser_keys(
        keys in proptest::collection::btree_set(key(), 1..100),
        front in proptest::collection::vec(any::<u8>(), 0..12),
        others in proptest::collection::vec(key(), 0..50),
    ) {
        let within = |key: &Vec<u8>| [&front[..], key].concat();
        let all: BTreeSet<Vec<u8>> = keys.iter().map(within).collect();
        let store = MemoryStore::new();
        let tree = Tree::build(&store, Config::default(), all.iter().map(|key| (key, ""))).unwrap();
        let page = store.page(&tree.root).unwrap().unwrap();
        let cut = others.iter().map(|key| within(key)[..front.len() / 2].to_vec());
        for key in keys.iter().map(within).chain(others.iter().map(within)).chain(others.clone()).chain(cut) {
            prop_assert_eq!(page.lower_bound(&key), all.range(..key.clone()).count());
            prop_assert_eq!(tree.get(&store, &key).unwrap().is_some(), all.contains(&key));
        }
    }
}
