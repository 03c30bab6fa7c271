//! Trees against a plain `BTreeMap`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use prolly::{Config, MemoryStore, Tree};
use support::{Batch, Model, build, small};

properties!(256, &MemoryStore::new());

#[test]
fn a_single_put_changes_few_pages() {
    let store = MemoryStore::new();
    let hash = |n: u64| *blake3::hash(&n.to_be_bytes()).as_bytes();
    let model: Model = (0..100_000u64).map(|n| (hash(n)[..16].to_vec(), vec![1; 100])).collect();
    let tree = build(&store, Config::default(), &model);
    let height = usize::from(tree.stats(&store).unwrap().height);
    let old: std::collections::BTreeSet<_> = store.cids().into_iter().collect();
    let mut worst = 0;
    for n in 0..10_000u64 {
        let key = hash(n + 1_000_000)[..16].to_vec();
        let scratch = prolly::Overlay::new(&store);
        let edited = tree.edit(&scratch, [(key, Some(vec![2; 100]))]).unwrap();
        assert_ne!(edited.root, tree.root);
        let new: usize = scratch.written().into_iter().filter(|cid| !old.contains(cid)).count();
        worst = worst.max(new);
    }
    println!("a put into {height} levels changed at most {worst} pages");
    assert!(worst <= height + 6, "{worst} pages changed in a tree of height {height}");
}

#[test]
fn what_may_not_be_written_is_refused() {
    let store = MemoryStore::new();
    let tree = Tree::empty(&store, small()).unwrap();
    let long = Batch::from([(vec![0; 41], Some(vec![]))]);
    assert!(matches!(tree.edit(&store, long), Err(prolly::Error::KeyTooLong { len: 41, limit: 40 })));
    let unsorted = Tree::build(&store, small(), [("b", ""), ("a", "")]);
    assert!(matches!(unsorted, Err(prolly::Error::Unsorted { index: 1 })));
    let twice = Tree::build(&store, small(), [("a", ""), ("a", "")]);
    assert!(matches!(twice, Err(prolly::Error::Unsorted { index: 1 })));
    let huge = usize::try_from(prolly::MAX_VALUE_BYTES).unwrap() + 1;
    let huge = tree.edit(&store, [(vec![1], Some(vec![0u8; huge]))]);
    assert!(matches!(huge, Err(prolly::Error::ValueTooLong { .. })));
    let other = Tree::empty(&store, Config::default()).unwrap();
    assert!(matches!(tree.diff(&other, &store), Err(prolly::Error::ConfigMismatch)));
    let narrow = Config { leaf_max: 200, ..small() };
    assert!(matches!(Tree::empty(&store, narrow), Err(prolly::Error::Config(_))));
}
