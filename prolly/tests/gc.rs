//! Garbage collection: all that is reachable stays, all else goes, also beside readers and writers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use prolly::cbor::{Reader, put_array, put_link};
use prolly::{
    Cid, Error, Fault, Faults, FaultyStore, Lost, MemoryStore, PageCache, PageSink, PageSource, PageStore,
    Reference, StoreError, Tree, gc, gc_trees,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use support::{Batch, Model, apply, batch, build, model, pairs, small};

fn name<S: PageStore>(store: &S, name: &str, new: Option<Cid>) {
    store.swap_root(name, store.root(name).unwrap(), new).unwrap();
}

/// The pages that the trees of these models have, those of long values included.
fn pages_of(models: &[&Model]) -> BTreeSet<Cid> {
    let store = MemoryStore::new();
    for model in models {
        build(&store, small(), model);
    }
    store.cids().into_iter().collect()
}

fn all_reachable_stays_and_all_else_goes<S: PageStore>(
    store: &S,
    count: impl Fn() -> u64,
    start: &Model,
    batches: &[Batch],
    kept: &[bool],
) -> Result<(), TestCaseError> {
    let mut models = vec![start.clone()];
    let mut trees = vec![build(store, small(), start)];
    for batch in batches {
        let mut next = models.last().unwrap().clone();
        apply(&mut next, batch);
        models.push(next);
        trees.push(trees.last().unwrap().edit(store, batch.clone()).unwrap());
    }
    let names: Vec<_> = (0..trees.len()).map(|n| n.to_string()).collect();
    for (name, tree) in names.iter().zip(&trees) {
        self::name(store, name, Some(tree.root));
    }
    let keep = |n: usize| kept.get(n).copied().unwrap_or(true);
    for (_, name) in names.iter().enumerate().filter(|(n, _)| !keep(*n)) {
        self::name(store, name, None);
    }
    let living: Vec<_> =
        models.iter().enumerate().filter(|(n, _)| keep(*n)).map(|(_, model)| model).collect();
    let expected = pages_of(&living);
    let before = count();
    let report = gc_trees(store, small()).unwrap();
    prop_assert_eq!(report.kept, expected.len() as u64);
    prop_assert_eq!(count(), expected.len() as u64);
    prop_assert_eq!(before - report.removed, count());
    prop_assert_eq!(report.bytes > 0, report.removed > 0);
    for (n, tree) in trees.iter().enumerate() {
        if keep(n) {
            tree.verify(store).unwrap();
            prop_assert_eq!(&pairs(tree, store), &models[n]);
        } else {
            prop_assert_eq!(store.contains(&tree.root).unwrap(), expected.contains(&tree.root));
        }
    }
    for page in &expected {
        prop_assert!(store.contains(page).unwrap());
    }
    prop_assert_eq!(gc_trees(store, small()).unwrap().removed, 0);
    // What went is taken again, and what was built on it is whole.
    for (n, tree) in trees.iter().enumerate() {
        prop_assert_eq!(build(store, small(), &models[n]), *tree);
        name(store, &names[n], Some(tree.root));
    }
    for (tree, model) in trees.iter().zip(&models) {
        tree.verify(store).unwrap();
        prop_assert_eq!(&pairs(tree, store), model);
    }
    names.iter().for_each(|name| self::name(store, name, None));
    gc_trees(store, small()).unwrap();
    prop_assert_eq!(count(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn all_reachable_stays_in_memory(
        start in model(200),
        batches in proptest::collection::vec(batch(40), 0..5),
        kept in proptest::collection::vec(any::<bool>(), 6),
    ) {
        let store = MemoryStore::new();
        all_reachable_stays_and_all_else_goes(&store, || store.len() as u64, &start, &batches, &kept)?;
        let cache = PageCache::new(MemoryStore::new(), 100_000);
        let count = || cache.source().len() as u64;
        all_reachable_stays_and_all_else_goes(&cache, count, &start, &batches, &kept)?;
    }

    #[test]
    fn pages_put_before_or_during_a_collection_stay(start in model(150), edits in batch(60)) {
        let store = MemoryStore::new();
        let tree = build(&store, small(), &start);
        name(&store, "main", Some(tree.root));
        let mut model = start;
        apply(&mut model, &edits);
        // The pages are there already, as garbage, so that the second edit writes none.
        tree.edit(&store, edits.clone()).unwrap();
        name(&store, "main", Some(tree.root));
        let late = std::cell::Cell::new(None);
        let links = |cid: &Cid, _: &Bytes| {
            // The collection runs: its roots are read.
            late.set(Some(tree.edit(&store, edits.clone())?));
            Ok::<_, Error>(vec![Reference::Tree(Tree::new(small(), *cid))])
        };
        gc(&store, &[], links).unwrap();
        let late = late.get().unwrap();
        late.verify(&store).unwrap();
        // Nor may the next collection take what is not committed yet.
        gc_trees(&store, small()).unwrap();
        prop_assert_eq!(&pairs(&late, &store), &model);
        name(&store, "main", Some(late.root));
        gc_trees(&store, small()).unwrap();
        prop_assert_eq!(&pairs(&late, &store), &model);
        prop_assert_eq!(store.len(), pages_of(&[&model]).len());
    }
}

fn numbers(from: u16, to: u16) -> Model {
    (from..to).map(|n| (n.to_be_bytes().to_vec(), vec![7; if n % 40 == 0 { 20_000 } else { 9 }])).collect()
}

#[test]
fn a_pin_keeps_what_a_reader_walks() {
    let store = MemoryStore::new();
    let (old, new) = (build(&store, small(), &numbers(0, 300)), build(&store, small(), &numbers(200, 400)));
    name(&store, "main", Some(old.root));
    let [pin, second] = [(); 2].map(|()| store.pin_root("main").unwrap().unwrap());
    assert_eq!(pin.root(), Some(old.root));
    assert!(store.pin_root("none").unwrap().is_none());
    name(&store, "main", Some(new.root));
    gc_trees(&store, small()).unwrap();
    drop(pin);
    gc_trees(&store, small()).unwrap();
    assert_eq!(pairs(&old, &store), numbers(0, 300));
    drop(second);
    assert!(gc_trees(&store, small()).unwrap().removed > 0);
    assert_eq!(store.load(&old.root).unwrap(), None);
    assert_eq!(pairs(&new, &store), numbers(200, 400));
}

#[test]
fn a_writers_pin_outlives_the_commits_of_others() {
    let store = MemoryStore::new();
    let writes = store.pins().pin_writes();
    let mine = build(&store, small(), &numbers(0, 100));
    name(&store, "others", None);
    gc_trees(&store, small()).unwrap();
    name(&store, "mine", Some(mine.root));
    drop(writes);
    gc_trees(&store, small()).unwrap();
    assert_eq!(pairs(&mine, &store), numbers(0, 100));
}

/// A record names two trees and the record before, as applications' records do.
#[test]
fn records_of_the_applications_are_followed() {
    let store = MemoryStore::new();
    let trees = [(0, 100), (50, 150), (400, 500), (600, 610)]
        .map(|(from, to)| build(&store, small(), &numbers(from, to)));
    let record = |links: &[Cid]| {
        let mut out = Vec::new();
        put_array(&mut out, links.len());
        links.iter().for_each(|cid| put_link(&mut out, cid));
        let cid = Cid::of(&out);
        store.put(cid, out.into()).unwrap();
        cid
    };
    let first = record(&[trees[0].root]);
    let second = record(&[trees[1].root, first]);
    let extra = record(&[trees[2].root]);
    name(&store, "main", Some(second));
    let records = [first, second, extra];
    let links = |_: &Cid, bytes: &Bytes| {
        let mut reader = Reader::new(bytes);
        let len = reader.array().map_err(|error| Error::Page { cid: first, source: error.into() })?;
        let link = |_| match reader.link() {
            Ok(cid) if records.contains(&cid) => Ok(Reference::Record(cid)),
            Ok(cid) => Ok(Reference::Tree(Tree::new(small(), cid))),
            Err(error) => Err(Error::Page { cid: first, source: error.into() }),
        };
        (0..len).map(link).collect::<Result<Vec<_>, Error>>()
    };
    gc(&store, &[extra], links).unwrap();
    let expected = pages_of(&[&numbers(0, 100), &numbers(50, 150), &numbers(400, 500)]);
    assert_eq!(store.len(), expected.len() + 3);
    for tree in &trees[..3] {
        tree.verify(&store).unwrap();
    }
    assert_eq!(store.load(&trees[3].root).unwrap(), None);
}

#[test]
fn damage_ends_a_collection_with_nothing_removed() {
    let whole = MemoryStore::new();
    let tree = build(&whole, small(), &numbers(0, 200));
    for lost in whole.cids() {
        let store = MemoryStore::new();
        build(&store, small(), &numbers(0, 200));
        build(&store, small(), &numbers(1000, 1100));
        name(&store, "main", Some(tree.root));
        store.remove(&lost);
        let before = store.cids();
        assert!(matches!(gc_trees(&store, small()), Err(Error::Missing(cid)) if cid == lost));
        assert_eq!(store.cids(), before);
    }
}

#[test]
fn a_collection_that_fails_or_crashes_leaves_all_that_is_reachable() {
    let prepare = |faults: Faults| {
        let store = FaultyStore::new(Faults::default());
        let old = build(&store, small(), &numbers(0, 300));
        let new = build(&store, small(), &numbers(100, 400));
        name(&store, "main", Some(old.root));
        name(&store, "main", Some(new.root));
        store.set_faults(faults);
        (store, new)
    };
    let (store, _) = prepare(Faults::default());
    gc_trees(&store, small()).unwrap();
    let (operations, left) = (store.operations(), store.len());
    let mut partly = 0;
    for operation in 1..=operations {
        for fault in [Fault::Fail, Fault::FailAfter, Fault::Torn, Fault::FlipBit] {
            let (store, tree) = prepare(Faults::new(operation).at(operation, fault));
            let before = store.len();
            let result = gc_trees(&store, small());
            assert!(result.is_err() || operation == operations && fault == Fault::FlipBit);
            if operation < operations {
                assert_eq!(store.len(), before);
            }
            for lost in [Lost::All, Lost::Nothing, Lost::Some(operation)] {
                let store = store.crash(lost);
                partly += usize::from(store.len() < before && store.len() > left);
                tree.verify(&store).unwrap();
                assert_eq!(pairs(&tree, &store), numbers(100, 400));
                gc_trees(&store, small()).unwrap();
                assert_eq!(store.len(), left);
            }
        }
    }
    assert!(partly > 0);
}

/// A writer goes back and forth between a few trees, so that it finds its pages there as garbage.
fn readers_a_writer_and_a_collector<S: PageStore + Sync>(store: &S, rounds: usize) {
    let models: Vec<_> = (0..4u16).map(|n| numbers(n * 60, n * 60 + 200)).collect();
    let roots: Vec<_> = models.iter().map(|model| build(&MemoryStore::new(), small(), model).root).collect();
    build(store, small(), &models[0]);
    name(store, "main", Some(roots[0]));
    let done = AtomicBool::new(false);
    let removed = std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let mut removed = 0;
            while !done.load(Ordering::Relaxed) {
                removed += gc_trees(store, small()).unwrap().removed;
            }
            removed
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let pin = store.pin_root("main").unwrap().unwrap();
                    let root = pin.root().unwrap();
                    let which = roots.iter().position(|known| *known == root).unwrap();
                    assert_eq!(pairs(&Tree::new(small(), root), store), models[which]);
                }
            });
        }
        let writer = scope.spawn(|| {
            let mut tree = Tree::new(small(), roots[0]);
            let mut now = 0;
            for round in 0..rounds {
                let next = (now + 1 + round % 3) % models.len();
                let gone = models[now].keys().filter(|key| !models[next].contains_key(*key));
                let edits: Batch = gone
                    .map(|key| (key.clone(), None))
                    .chain(models[next].iter().map(|(k, v)| (k.clone(), Some(v.clone()))))
                    .collect();
                let edited = tree.edit(store, edits).unwrap();
                assert_eq!(edited.root, roots[next]);
                store.swap_root("main", Some(tree.root), Some(edited.root)).unwrap();
                edited.verify(store).unwrap();
                (tree, now) = (edited, next);
            }
        });
        let written = writer.join();
        done.store(true, Ordering::Relaxed);
        written.unwrap();
        collector.join().unwrap()
    });
    assert!(removed > 0);
}

#[test]
fn collecting_beside_readers_and_a_writer() {
    readers_a_writer_and_a_collector(&MemoryStore::new(), 300);
    readers_a_writer_and_a_collector(&PageCache::new(MemoryStore::new(), 200_000), 300);
}

fn counted_by_two_threads<S: PageStore + Sync>(store: &S, each: u64) {
    let empty = Tree::empty(store, small()).unwrap();
    name(store, "counter", Some(empty.root));
    let count = || {
        let mut conflicts = 0;
        for _ in 0..each {
            loop {
                let _writes = store.pins().pin_writes();
                let old = store.pin_root("counter").unwrap().unwrap().root().unwrap();
                let tree = Tree::new(small(), old);
                let before = tree.get(store, b"n").unwrap();
                let before = before.map_or(0, |bytes| u64::from_be_bytes(bytes[..].try_into().unwrap()));
                let new = tree.edit(store, [("n", Some((before + 1).to_be_bytes().to_vec()))]).unwrap();
                match store.swap_root("counter", Some(old), Some(new.root)) {
                    Ok(()) => break,
                    Err(StoreError::Conflict { name }) => assert_eq!(name, "counter"),
                    Err(other) => panic!("{other}"),
                }
                conflicts += 1;
            }
        }
        conflicts
    };
    let conflicts: u64 = std::thread::scope(|scope| {
        let threads = [scope.spawn(count), scope.spawn(count)];
        threads.map(|thread| thread.join().unwrap()).into_iter().sum()
    });
    println!("{conflicts} conflicts");
    let tree = Tree::new(small(), store.root("counter").unwrap().unwrap());
    assert_eq!(tree.get(store, b"n").unwrap().unwrap()[..], (2 * each).to_be_bytes());
}

#[test]
fn no_swap_of_a_root_is_lost_between_two_threads() {
    counted_by_two_threads(&MemoryStore::new(), 2000);
    counted_by_two_threads(&FaultyStore::new(Faults::default()), 200);
}

#[cfg(feature = "fjall")]
mod fjall {
    use std::sync::LazyLock;

    use prolly::{FjallOptions, FjallStore};
    use tempfile::TempDir;

    use super::*;

    static SHARED: LazyLock<(std::sync::Mutex<FjallStore>, TempDir)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        let options = FjallOptions { cache_bytes: 200_000, ..FjallOptions::default() };
        (std::sync::Mutex::new(options.open(dir.path()).unwrap()), dir)
    });

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn all_reachable_stays_on_disk(
            start in model(200),
            batches in proptest::collection::vec(batch(40), 0..4),
            kept in proptest::collection::vec(any::<bool>(), 5),
        ) {
            let store = SHARED.0.lock().unwrap();
            let count = || store.page_count().unwrap();
            all_reachable_stays_and_all_else_goes(&*store, count, &start, &batches, &kept)?;
        }
    }

    #[test]
    fn collecting_beside_readers_and_a_writer_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let options = FjallOptions { cache_bytes: 100_000, ..FjallOptions::default() };
        let store = options.open(dir.path()).unwrap();
        readers_a_writer_and_a_collector(&store, 40);
        drop(store);
        let store = FjallStore::open_existing(dir.path()).unwrap();
        Tree::new(small(), store.root("main").unwrap().unwrap()).verify(&store).unwrap();
        counted_by_two_threads(&store, 20);
    }

    #[test]
    fn the_disk_gets_the_bytes_back_and_a_reopened_store_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let store = FjallStore::open(dir.path()).unwrap();
        let hash = |n: u64| *blake3::hash(&n.to_be_bytes()).as_bytes();
        let value = |n: u64| {
            let mut value = vec![0; 300];
            blake3::Hasher::new().update(&n.to_be_bytes()).finalize_xof().fill(&mut value);
            value
        };
        let some =
            |from: u64, to: u64| -> Model { (from..to).map(|n| (hash(n)[..8].to_vec(), value(n))).collect() };
        let config = prolly::Config::default();
        let (old, new) = (some(0, 250_000), some(250_000, 270_000));
        let old = build(&store, config, &old);
        name(&store, "main", Some(old.root));
        let new_tree = build(&store, config, &new);
        name(&store, "main", Some(new_tree.root));
        let (pages, disk) = (store.page_count().unwrap(), store.disk_bytes().unwrap());
        let report = gc_trees(&store, config).unwrap();
        let swept = store.disk_bytes().unwrap();
        assert_eq!(store.page_count().unwrap(), pages - report.removed);
        drop(store);
        let store = FjallStore::open_existing(dir.path()).unwrap();
        let reopened = store.disk_bytes().unwrap();
        store.compact().unwrap();
        let compacted = store.disk_bytes().unwrap();
        drop(store);
        let store = FjallStore::open_existing(dir.path()).unwrap();
        let again = store.disk_bytes().unwrap();
        println!(
            "{report:?}; disk {disk}, swept {swept}, reopened {reopened}, compacted {compacted}, reopened {again}"
        );
        assert_eq!(store.page_count().unwrap(), report.kept);
        assert_eq!(pairs(&new_tree, &store), new);
        new_tree.verify(&store).unwrap();
        assert!(again < disk / 2);
    }
}
