//! Every operation of a workload fails once, in every way: what was reported as committed is there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use prolly::{
    Cid, Commit, Error, Fault, Faults, FaultyStore, Lost, MemoryStore, PageStore, RootChange, StoreError,
    Tree, gc_trees,
};
use support::{Model, build, pairs, small};

const FAULTS: [Fault; 4] = [Fault::Fail, Fault::FailAfter, Fault::Torn, Fault::FlipBit];

/// What the workload makes, commit after commit: the first model is of the empty tree.
fn models() -> Vec<Model> {
    let hash = |n: u64| *blake3::hash(&n.to_be_bytes()).as_bytes();
    let some = |from: u64, to: u64| {
        (from..to).map(move |n| {
            let long = n % 17 == 0;
            let len = if long { 20_000 } else { (n % 30) as usize };
            (hash(n)[..6].to_vec(), hash(n).repeat(700)[..len].to_vec())
        })
    };
    let first: Model = some(0, 80).collect();
    let mut second = first.clone();
    second.extend(some(80, 120));
    second.retain(|key, _| key[0] % 5 != 0);
    let mut third = second.clone();
    third.extend(some(200, 230));
    let fourth: Model =
        third.iter().filter(|(key, _)| key[1] % 2 == 0).map(|(k, v)| (k.clone(), v.clone())).collect();
    vec![Model::new(), first, second, third, fourth]
}

fn changes(from: &Model, to: &Model) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let gone = from.keys().filter(|key| !to.contains_key(*key)).map(|key| (key.clone(), None));
    gone.chain(to.iter().filter(|(k, v)| from.get(*k) != Some(v)).map(|(k, v)| (k.clone(), Some(v.clone()))))
        .collect()
}

fn commit<S: PageStore>(store: &S, number: usize, new: Cid) -> Result<(), Error> {
    let expected = store.root("main")?;
    let roots = vec![RootChange { name: "main".into(), expected, new: Some(new) }];
    let notes = vec![(b"number".to_vec(), Some(number.to_string().into_bytes()))];
    store.commit(&Commit { roots, notes })?;
    Ok(())
}

/// Goes on with the workload from what is committed; tells of every commit that was reported. In
/// between it collects the garbage.
fn work<S: PageStore>(store: &S, models: &[Model], reported: &mut usize) -> Result<(), Error> {
    let mut tree = match store.root("main")? {
        Some(root) => Tree::new(small(), root),
        None => Tree::empty(store, small())?,
    };
    while *reported < models.len() {
        let number = *reported;
        let before = number.checked_sub(1).map_or(Model::new(), |before| models[before].clone());
        let next = if number == 3 {
            let added: Model = models[3]
                .iter()
                .filter(|(k, _)| !before.contains_key(*k))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            let other = build_fallibly(store, &added)?;
            tree.union(&other, store, store, |_, a, b| a.max(b))?
        } else {
            tree.edit(store, changes(&before, &models[number]))?
        };
        commit(store, number, next.root)?;
        tree = next;
        *reported += 1;
        if number == 2 {
            gc_trees(store, small())?;
        }
    }
    Ok(())
}

fn build_fallibly<S: PageStore>(store: &S, model: &Model) -> Result<Tree, Error> {
    Tree::build(store, small(), model)
}

/// Returns how many commits are there, after looking that they are whole.
fn check<S: PageStore>(store: &S, models: &[Model], roots: &[Cid]) -> usize {
    let Some(root) = store.root("main").unwrap() else {
        assert!(store.notes(b"").unwrap().is_empty());
        return 0;
    };
    let number = roots.iter().position(|known| *known == root).expect("a root that was never committed");
    assert_eq!(store.notes(b"number").unwrap(), [(b"number".to_vec(), number.to_string().into_bytes())]);
    let tree = Tree::new(small(), root);
    tree.verify(store).unwrap();
    assert_eq!(pairs(&tree, store), models[number]);
    number + 1
}

fn check_and_go_on<S: PageStore>(store: &S, models: &[Model], roots: &[Cid], reported: usize) {
    let mut found = check(store, models, roots);
    assert!(
        found == reported || found == reported + 1,
        "{reported} commits were reported, {found} are there"
    );
    work(store, models, &mut found).unwrap();
    assert_eq!(check(store, models, roots), models.len());
    gc_trees(store, small()).unwrap();
    assert_eq!(check(store, models, roots), models.len());
}

fn expected(models: &[Model]) -> Vec<Cid> {
    models.iter().map(|model| build(&MemoryStore::new(), small(), model).root).collect()
}

#[test]
fn whatever_fails_what_was_reported_is_there_and_nothing_half() {
    let (models, roots) = (models(), expected(&models()));
    let whole = FaultyStore::new(Faults::new(0));
    work(&whole, &models, &mut 0).unwrap();
    let operations = whole.operations();
    assert_eq!(check(&whole, &models, &roots), models.len());
    println!("{operations} operations");
    let (mut failed, mut additional) = (0, 0);
    for operation in 1..=operations {
        for fault in FAULTS {
            let seed = operation * 31;
            let store = FaultyStore::new(Faults::new(seed).at(operation, fault));
            let mut reported = 0;
            match work(&store, &models, &mut reported) {
                // Only reads notice a flipped bit.
                Ok(()) => assert_eq!((fault, reported), (Fault::FlipBit, models.len())),
                Err(Error::Page { .. } | Error::Store(StoreError::Page { .. })) => {
                    assert_eq!(fault, Fault::FlipBit);
                    failed += 1;
                }
                Err(Error::Store(StoreError::Io { .. })) => {
                    assert_ne!(fault, Fault::FlipBit);
                    failed += 1;
                }
                Err(other) => panic!("operation {operation}, {fault:?}: {other}"),
            }
            assert!(store.operations() == operation || fault == Fault::FlipBit);
            for lost in [Lost::All, Lost::Nothing, Lost::Some(seed)] {
                let reopened = store.crash(lost);
                additional += usize::from(check(&reopened, &models, &roots) > reported);
                check_and_go_on(&reopened, &models, &roots, reported);
            }
        }
    }
    println!("{failed} runs failed; {additional} times the commit in flight was there");
    assert!(failed > 0 && additional > 0);
}

#[test]
fn after_a_failed_write_reads_go_on_and_writes_fail() {
    let models = models();
    let store = FaultyStore::new(Faults::default());
    let tree = build(&store, small(), &models[1]);
    commit(&store, 0, tree.root).unwrap();
    store.set_faults(Faults::new(3).at(1, Fault::Fail));
    assert!(commit(&store, 1, tree.root).is_err());
    let poisoned = [
        commit(&store, 1, tree.root),
        Tree::empty(&store, small()).map(drop),
        gc_trees(&store, small()).map(drop),
    ];
    for result in poisoned {
        assert!(matches!(result, Err(Error::Store(StoreError::Poisoned))));
    }
    assert_eq!(pairs(&tree, &store), models[1]);
}

#[test]
fn the_same_seed_tears_the_same_pages() {
    let models = models();
    let torn = |seed| {
        let store = FaultyStore::new(Faults::new(seed).at(25, Fault::Torn));
        Tree::build(&store, small(), &models[1]).unwrap_err();
        store.crash(Lost::All).len()
    };
    assert_eq!(torn(1), torn(1));
    assert!((0..20).any(|seed| torn(seed) != torn(1)));
}

#[test]
fn a_slow_disk_is_slow() {
    let delay = std::time::Duration::from_millis(2);
    let store = FaultyStore::new(Faults::new(0).slow(delay));
    let start = std::time::Instant::now();
    Tree::empty(&store, small()).unwrap();
    assert!(start.elapsed() >= delay);
}

/// Over the real store.
#[cfg(feature = "fjall")]
mod fjall {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU64, Ordering};

    use bytes::Bytes;
    use prolly::{FjallStore, Note, PageSink, PageSource, Pins};

    use super::*;

    /// Fails in one operation of a store; as if the process had been killed there, or right after it.
    struct FailAt<'a> {
        store: &'a FjallStore,
        at: u64,
        after: bool,
        operations: AtomicU64,
    }

    impl FailAt<'_> {
        fn run<T>(&self, run: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
            let killed = || StoreError::Io { what: "this", source: std::io::Error::other("killed") };
            let now = self.operations.fetch_add(1, Ordering::Relaxed) + 1;
            match now == self.at {
                false => run(),
                true if self.after => run().and_then(|_| Err(killed())),
                true => Err(killed()),
            }
        }
    }

    impl PageSource for FailAt<'_> {
        fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
            self.run(|| self.store.load(cid))
        }
        fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
            self.store.contains(cid)
        }
    }

    impl PageSink for FailAt<'_> {
        fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError> {
            self.run(|| self.store.put(cid, bytes))
        }
    }

    impl PageStore for FailAt<'_> {
        fn root(&self, name: &str) -> Result<Option<Cid>, StoreError> {
            self.store.root(name)
        }
        fn notes(&self, prefix: &[u8]) -> Result<Vec<Note>, StoreError> {
            self.store.notes(prefix)
        }
        fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
            self.run(|| self.store.commit(commit))
        }
        fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError> {
            self.store.roots()
        }
        fn pins(&self) -> &Pins {
            self.store.pins()
        }
        fn sweep(&self, keep: &dyn Fn(&Cid) -> bool) -> Result<(u64, u64), StoreError> {
            self.run(|| self.store.sweep(keep))
        }
    }

    /// Every so many operations one fails, and the last five, since making a store costs a dozen
    /// syncs.
    const STEP: u64 = 11;

    #[test]
    fn a_store_on_disk_has_what_was_reported_when_it_is_reopened() {
        let (models, roots) = (models(), expected(&models()));
        let run = |at: u64, after: bool| {
            let dir = tempfile::tempdir().unwrap();
            let mut reported = 0;
            let store = FjallStore::open(dir.path()).unwrap();
            let failing = FailAt { store: &store, at, after, operations: AtomicU64::new(0) };
            let result = work(&failing, &models, &mut reported);
            assert_eq!(result.is_err(), at > 0);
            let operations = failing.operations.into_inner();
            drop(store);
            let store = FjallStore::open_existing(dir.path()).unwrap();
            check_and_go_on(&store, &models, &roots, reported);
            drop(store);
            assert_eq!(check(&FjallStore::open_existing(dir.path()).unwrap(), &models, &roots), models.len());
            operations
        };
        let operations = run(0, false);
        let mut runs = 0;
        for at in (1..=operations).filter(|at| at.is_multiple_of(STEP) || at + 5 > operations) {
            run(at, false);
            run(at, true);
            runs += 2;
        }
        println!("{runs} runs, over {operations} operations");
    }
}
