//! The cache of pages: trees over it, and its bound.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use prolly::{Config, Counting, MemoryStore, PageCache, PageSource, PageStore};
use proptest::prelude::*;
use support::{Model, build, model, pairs, small};

// So small that pages come and go all the time.
properties!(48, &PageCache::new(MemoryStore::new(), 6_000));

fn some(len: u32) -> Model {
    (0..len).map(|n| (n.to_be_bytes().to_vec(), vec![1; if n % 50 == 0 { 9_000 } else { 30 }])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_bound_is_never_exceeded(model in model(300), bytes in 0usize..60_000, wanted in proptest::collection::vec(any::<prop::sample::Index>(), 0..60)) {
        let cache = PageCache::new(MemoryStore::new(), bytes);
        let tree = build(&cache, small(), &model);
        for index in wanted {
            if !model.is_empty() {
                let (key, value) = model.iter().nth(index.index(model.len())).unwrap();
                prop_assert_eq!(&tree.get(&cache, key).unwrap().unwrap()[..], &value[..]);
            }
            let stats = cache.stats();
            prop_assert!(stats.bytes <= bytes as u64);
            prop_assert_eq!(stats.pages == 0, stats.bytes == 0);
        }
        prop_assert_eq!(pairs(&tree, &cache), model);
        prop_assert!(cache.stats().bytes <= bytes as u64);
    }
}

#[test]
fn a_warm_cache_asks_its_source_for_nothing() {
    let store = MemoryStore::new();
    let model = some(5_000);
    let tree = build(&store, Config::default(), &model);
    let cache = PageCache::new(Counting::new(&store), 16 << 20);
    assert_eq!(pairs(&tree, &cache), model);
    let (cold, read) = (cache.stats(), cache.source().pages());
    assert_eq!((cold.misses, cold.pages, cold.evictions), (read as u64, read as u64, 0));
    assert_eq!(pairs(&tree, &cache), model);
    let warm = cache.stats();
    assert_eq!((warm.misses, warm.bytes), (cold.misses, cold.bytes));
    assert!(warm.hits > cold.hits);
    assert!(cold.bytes > store.cids().iter().map(|cid| store.load(cid).unwrap().unwrap().len() as u64).sum());
}

#[test]
fn pages_that_are_read_again_and_again_stay_while_others_pass() {
    let store = MemoryStore::new();
    let tree = build(&store, small(), &some(20_000));
    let cache = PageCache::new(&store, 150_000);
    for n in 0..2_000u32 {
        tree.get(&cache, &(n * 9 + 1).to_be_bytes()).unwrap();
    }
    let stats = cache.stats();
    assert!(stats.evictions > 1_000);
    // Every search reads another leaf, and half a dozen branches: these were hardly ever given up.
    assert!(stats.misses < 3_500, "{stats:?}");
}

#[test]
fn several_threads_share_a_cache() {
    let store = MemoryStore::new();
    let model = some(4_000);
    let tree = build(&store, Config::default(), &model);
    let cache = PageCache::new(&store, 100_000);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    assert_eq!(pairs(&tree, &cache), model);
                    assert!(cache.stats().bytes <= 100_000);
                }
            });
        }
    });
    assert!(cache.stats().evictions > 0);
}

#[test]
fn what_the_source_lost_is_not_there_though_it_is_cached() {
    let cache = PageCache::new(MemoryStore::new(), 1 << 20);
    let tree = build(&cache, small(), &some(100));
    pairs(&tree, &cache);
    cache.source().remove(&tree.root);
    assert!(!cache.contains(&tree.root).unwrap());
    assert!(cache.page(&tree.root).unwrap().is_some());
    assert_eq!(cache.roots().unwrap().len(), 0);
}
