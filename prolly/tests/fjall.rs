//! The store on fjall: trees over it, what is there after reopening, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::path::Path;
use std::sync::LazyLock;

use prolly::{
    Cid, Commit, Config, FjallOptions, FjallStore, PageSink, PageSource, PageStore, RootChange, StoreError,
    Tree,
};
use support::{Model, build, check_pages, pairs, small};
use tempfile::TempDir;

/// Making a store costs a dozen syncs, so all cases of all properties share one.
static SHARED: LazyLock<(FjallStore, TempDir)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    // A small cache, so that pages come from everywhere.
    let options = FjallOptions { cache_bytes: 100_000, ..FjallOptions::default() };
    (options.open(dir.path()).unwrap(), dir)
});

properties!(48, &SHARED.0);

fn change(name: &str, expected: Option<Cid>, new: Option<Cid>) -> RootChange {
    RootChange { name: name.into(), expected, new }
}

fn set(store: &FjallStore, name: &str, new: Option<Cid>) {
    let expected = store.root(name).unwrap();
    let roots = vec![change(name, expected, new)];
    store.commit(&Commit { roots, ..Commit::default() }).unwrap();
}

fn some_model(seed: u64, len: u64) -> Model {
    let hash = |n: u64| *blake3::hash(&(seed << 32 | n).to_be_bytes()).as_bytes();
    (0..len).map(|n| (hash(n)[..8].to_vec(), hash(n)[..(n % 32) as usize].to_vec())).collect()
}

#[test]
fn what_was_committed_is_there_after_reopening_and_what_was_not_is_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    let (kept, lost) = (some_model(1, 3000), some_model(2, 3000));
    let store = FjallStore::open(&path).unwrap();
    let tree = build(&store, small(), &kept);
    set(&store, "main", Some(tree.root));
    let count = store.page_count().unwrap();
    assert!(count > 100 && store.disk_bytes().unwrap() > 100_000);
    let other = build(&store, small(), &lost);
    assert_eq!(pairs(&other, &store), lost, "readable at once");
    drop(store);

    let store = FjallStore::open_existing(&path).unwrap();
    assert_eq!(store.root("main").unwrap(), Some(tree.root));
    assert_eq!(store.page_count().unwrap(), count);
    assert_eq!(store.load(&other.root).unwrap(), None);
    tree.verify(&store).unwrap();
    check_pages(&tree, &store);
    // The lost pages are taken again.
    assert_eq!(build(&store, small(), &lost), other);
    set(&store, "main", Some(other.root));
    drop(store);
    let store = FjallStore::open(&path).unwrap();
    other.verify(&store).unwrap();
    assert_eq!(pairs(&other, &store), lost);
}

#[test]
fn a_page_that_is_there_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let model = some_model(3, 20_000);
    let store = FjallStore::open(dir.path()).unwrap();
    build(&store, Config::default(), &model);
    set(&store, "a", None);
    let before = store.disk_bytes().unwrap();
    for _ in 0..10 {
        build(&store, Config::default(), &model);
        set(&store, "a", None);
    }
    assert!(store.disk_bytes().unwrap() < before + 20_000);
}

#[test]
fn several_roots_change_together_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(dir.path()).unwrap();
    let [a, b, c] = [b"a", b"b", b"c"].map(|page| Cid::of(page));
    let commit = |roots: Vec<RootChange>, value: &[u8]| {
        store.commit(&Commit { roots, notes: vec![(b"note".to_vec(), Some(value.to_vec()))] })
    };
    commit(vec![change("x", None, Some(a)), change("y", None, Some(b)), change("", None, Some(c))], b"1")
        .unwrap();
    let conflict = commit(vec![change("x", Some(a), Some(c)), change("y", Some(c), None)], b"2");
    assert!(matches!(conflict, Err(StoreError::Conflict { name }) if name == "y"));
    let conflict = commit(vec![change("x", None, Some(c))], b"3");
    assert!(matches!(conflict, Err(StoreError::Conflict { name }) if name == "x"));
    let state = |store: &FjallStore| {
        (["x", "y", "", "z"].map(|name| store.root(name).unwrap()), store.notes(b"").unwrap())
    };
    let expected = ([Some(a), Some(b), Some(c), None], vec![(b"note".to_vec(), b"1".to_vec())]);
    assert_eq!(state(&store), expected);
    commit(vec![change("y", Some(b), None), change("z", None, Some(b))], b"1").unwrap();
    let too_long = commit(vec![change(&"n".repeat(70_000), None, Some(a))], b"4");
    assert!(matches!(too_long, Err(StoreError::NameTooLong { .. })));
    drop(store);
    let expected = ([Some(a), None, Some(c), Some(b)], expected.1);
    assert_eq!(state(&FjallStore::open(dir.path()).unwrap()), expected);
}

#[test]
fn notes_are_found_by_prefix_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(dir.path()).unwrap();
    let note = |key: &[u8], value: Option<&[u8]>| (key.to_vec(), value.map(<[u8]>::to_vec));
    let notes = vec![
        note(b"b/2", Some(b"two")),
        note(b"b/1", Some(b"")),
        note(b"", Some(b"empty")),
        note(b"a", Some(b"gone")),
        note(&[255, 255], Some(&[0; 100_000])),
    ];
    store.commit(&Commit { notes, ..Commit::default() }).unwrap();
    store.commit(&Commit { notes: vec![note(b"a", None)], ..Commit::default() }).unwrap();
    let keys =
        |prefix: &[u8]| store.notes(prefix).unwrap().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(b"b/"), [b"b/1", b"b/2"]);
    assert_eq!(keys(b""), [&b""[..], b"b/1", b"b/2", &[255, 255]]);
    assert_eq!(keys(&[255]), [[255, 255]]);
    assert_eq!(keys(b"c"), [[0; 0]; 0]);
    assert_eq!(store.notes(b"b/2").unwrap(), [(b"b/2".to_vec(), b"two".to_vec())]);
}

#[test]
fn threads_put_and_commit_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(dir.path()).unwrap();
    let shared = some_model(9, 2000);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (store, shared) = (&store, &shared);
            scope.spawn(move || {
                for round in 0..5 {
                    let mut model = shared.clone();
                    model.extend(some_model(100 * thread + round, 3000));
                    let tree = build(store, Config::default(), &model);
                    set(store, &format!("{thread}"), Some(tree.root));
                    tree.verify(store).unwrap();
                }
            });
        }
    });
    drop(store);
    let store = FjallStore::open(dir.path()).unwrap();
    for thread in 0..4u64 {
        let root = store.root(&format!("{thread}")).unwrap().unwrap();
        Tree { root, config: Config::default() }.verify(&store).unwrap();
    }
}

#[test]
fn a_store_is_open_once_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(dir.path()).unwrap();
    for again in [FjallStore::open(dir.path()), FjallStore::open_existing(dir.path())] {
        assert!(matches!(again, Err(StoreError::Locked { path }) if path == dir.path()));
    }
    drop(store);
    FjallStore::open_existing(dir.path()).unwrap();
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_no_store_is_refused_and_left_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let not = |result: Result<FjallStore, StoreError>, what: &str| match result {
        Err(StoreError::NotAStore { why, .. }) => assert!(why.contains(what), "{why}"),
        other => panic!("{what}: {other:?}"),
    };
    not(FjallStore::open_existing(dir.path()), "no format file");
    not(FjallStore::open_existing(dir.path().join("absent")), "no format file");
    assert_eq!(names(dir.path()), [""; 0]);
    std::fs::write(dir.path().join("photo.jpg"), "x").unwrap();
    not(FjallStore::open(dir.path()), "photo.jpg");
    not(FjallStore::open(dir.path().join("photo.jpg")), "not a directory");
    assert_eq!(names(dir.path()), ["photo.jpg"]);
    for (text, why) in [("prolly page store\nformat 7\n", "format 7"), ("", "damaged"), ("\u{1}", "damaged")]
    {
        std::fs::write(dir.path().join("format"), text).unwrap();
        not(FjallStore::open(dir.path()), why);
        assert_eq!(names(dir.path()), ["format", "photo.jpg"]);
    }
}

#[test]
fn a_store_whose_making_was_interrupted_is_made_anew() {
    let made = tempfile::tempdir().unwrap();
    drop(FjallStore::open(made.path()).unwrap());
    for missing in [&["format"][..], &["format", "commits"], &["format", "commits", "engine"]] {
        missing.iter().for_each(|name| {
            let path = made.path().join(name);
            if path.is_dir() {
                std::fs::rename(&path, path.with_extension("new"))
            } else {
                std::fs::remove_file(path)
            }
            .unwrap();
        });
        let store = FjallStore::open(made.path()).unwrap();
        assert_eq!(names(made.path()), ["commits", "engine", "format", "lock"]);
        drop(store);
        FjallStore::open_existing(made.path()).unwrap();
    }
    // With commits it is a store that was damaged, and nothing is made of it.
    set(&FjallStore::open(made.path()).unwrap(), "a", None);
    std::fs::remove_file(made.path().join("format")).unwrap();
    assert!(matches!(FjallStore::open(made.path()), Err(StoreError::NotAStore { .. })));
}

#[test]
fn pages_longer_than_any_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(dir.path()).unwrap();
    let page = vec![0; prolly::MAX_PAGE_BYTES + 1];
    assert!(matches!(store.put(Cid::of(&page), page.into()), Err(StoreError::Page { .. })));
    set(&store, "still takes writes", None);
}

#[test]
fn a_process_that_is_being_started_does_not_hold_the_locks() {
    let dir = tempfile::tempdir().unwrap();
    drop(FjallStore::open(dir.path()).unwrap());
    let starting = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            while starting.load(std::sync::atomic::Ordering::Relaxed) {
                let this = std::env::current_exe().unwrap();
                std::process::Command::new(this).arg("--list").output().unwrap();
            }
        });
        let opened: Vec<_> = (0..40).map(|_| FjallStore::open(dir.path()).map(drop)).collect();
        starting.store(false, std::sync::atomic::Ordering::Relaxed);
        others.join().unwrap();
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    });
}

#[test]
fn scratch_files_are_gone_when_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = FjallStore::open(&path).unwrap();
    let scratch = store.scratch().unwrap().unwrap();
    std::fs::write(scratch.join("left by a process that was killed"), "x").unwrap();
    drop(store);
    let store = FjallStore::open_existing(&path).unwrap();
    assert!(!scratch.exists());
    assert_eq!(std::fs::read_dir(store.scratch().unwrap().unwrap()).unwrap().count(), 0);
}

#[test]
fn a_store_that_was_never_whole_is_made_though_there_are_scratch_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("scratch")).unwrap();
    FjallStore::open(dir.path()).unwrap();
}
