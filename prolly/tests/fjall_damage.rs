//! A store whose files were damaged, swapped or lost: an error of a kind that the caller can tell, or
//! the right data; never wrong data, never a panic.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use prolly::{Cid, Commit, FjallStore, PageSink, PageSource, PageStore, RootChange, StoreError, Tree};
use support::{Model, build, pairs, small};
use tempfile::TempDir;

/// A closed store, and what is in it.
struct Closed {
    dir: TempDir,
    model: Model,
    tree: Tree,
    commits: u8,
}

fn some_model(from: u32, to: u32) -> Model {
    (from..to)
        .map(|n| (n.to_be_bytes().to_vec(), blake3::hash(&n.to_be_bytes()).as_bytes().to_vec()))
        .collect()
}

impl Closed {
    /// Three commits; with `filler`, enough pages that the engine sorts some into files.
    fn new(pairs: u32, filler: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut closed =
            Self { dir, model: Model::new(), tree: Tree { root: Cid::of(b""), config: small() }, commits: 0 };
        (0..3).for_each(|_| closed.commit(pairs, filler));
        // Reopened once, the engine's journal has no unused end.
        drop(closed.open().unwrap());
        closed
    }

    fn open(&self) -> Result<FjallStore, StoreError> {
        FjallStore::open(self.dir.path())
    }

    fn commit(&mut self, pairs: u32, filler: u64) {
        let store = self.open().unwrap();
        let from = u32::from(self.commits) * pairs;
        self.model.extend(some_model(from, from + pairs));
        self.commits += 1;
        self.tree = build(&store, small(), &self.model);
        let mut random = blake3::Hasher::new().update(&[self.commits]).finalize_xof();
        for _ in 0..filler {
            let mut page = vec![0; 8000];
            random.fill(&mut page);
            store.put(Cid::of(&page), page.into()).unwrap();
        }
        let change = RootChange {
            name: "main".into(),
            expected: store.root("main").unwrap(),
            new: Some(self.tree.root),
        };
        let notes = vec![(b"commits".to_vec(), Some(vec![self.commits]))];
        store.commit(&Commit { roots: vec![change], notes }).unwrap();
    }

    fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_all(self.dir.path(), copy.path());
        copy
    }

    /// The files that hold data, relative to the directory.
    fn files(&self) -> Vec<PathBuf> {
        let (mut stack, mut files) = (vec![self.dir.path().to_owned()], Vec::new());
        while let Some(path) = stack.pop() {
            if path.is_dir() {
                stack.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if fs::metadata(&path).unwrap().len() > 0 {
                files.push(path.strip_prefix(self.dir.path()).unwrap().to_owned());
            }
        }
        files.sort();
        files
    }

    /// Everything that can be read is right, or is an error. Returns whether all was right.
    fn check(&self, dir: &Path) -> bool {
        let Ok(store) = FjallStore::open(dir) else { return false };
        assert_eq!(store.root("main").unwrap(), Some(self.tree.root));
        let notes = store.notes(b"");
        if let Ok(notes) = &notes {
            assert_eq!(notes[..], [(b"commits".to_vec(), vec![self.commits])]);
        }
        let mut right = notes.is_ok();
        for (key, value) in &self.model {
            match self.tree.get(&store, key) {
                Ok(found) => assert_eq!(found.as_deref(), Some(&value[..])),
                Err(_) => right = false,
            }
        }
        if self.tree.verify(&store).is_err() {
            // What was lost can be put again, if the engine still works.
            if Tree::build(&store, small(), &self.model).is_ok_and(|tree| tree == self.tree) {
                assert_eq!(pairs(&self.tree, &store), self.model);
            }
        }
        right
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy_all(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// Flips bytes of every file at some places, of those that change with every commit at more, one at
/// a time, and returns how often it was noticed.
fn flip_everywhere(closed: &Closed, few: u64, many: u64) -> usize {
    assert!(closed.check(closed.copy().path()));
    let mut noticed = 0;
    for file in closed.files() {
        let bytes = fs::read(closed.dir.path().join(&file)).unwrap();
        let len = bytes.len() as u64;
        let changing = file.ends_with("commits") || file.extension().is_some_and(|ext| ext == "jnl");
        let places = if changing { many } else { few };
        let mut at: Vec<_> = (0..places).map(|n| (n * len) / places).collect();
        at.extend(
            [1, 4, 12, len.saturating_sub(1), len.saturating_sub(9)].into_iter().filter(|at| *at < len),
        );
        at.dedup();
        for (n, at) in at.into_iter().enumerate() {
            let copy = closed.copy();
            let mut bytes = bytes.clone();
            bytes[usize::try_from(at).unwrap()] ^= if n % 2 == 0 { 0xff } else { 0x01 };
            fs::write(copy.path().join(&file), bytes).unwrap();
            println!("{} at {at} of {len}", file.display());
            noticed += usize::from(!closed.check(copy.path()));
        }
    }
    noticed
}

#[test]
fn flipped_bytes_in_a_small_store() {
    let noticed = flip_everywhere(&Closed::new(40, 0), 12, 50);
    assert!(noticed > 50, "{noticed}");
}

#[test]
fn flipped_bytes_in_tables_and_value_files() {
    let closed = Closed::new(300, 800);
    assert!(closed.files().iter().any(|file| file.to_str().unwrap().contains("blobs")));
    flip_everywhere(&closed, 2, 4);
}

#[test]
fn truncated_and_missing_files() {
    let closed = Closed::new(40, 0);
    for file in closed.files() {
        let len = fs::metadata(closed.dir.path().join(&file)).unwrap().len();
        for left in [None, Some(0), Some(1), Some(len / 2), Some(len - 1)] {
            let copy = closed.copy();
            let path = copy.path().join(&file);
            println!("{} of {len} cut to {left:?}", file.display());
            match left {
                None => fs::remove_file(&path).unwrap(),
                Some(left) => fs::File::options().write(true).open(&path).unwrap().set_len(left).unwrap(),
            }
            closed.check(copy.path());
        }
    }
}

#[test]
fn commit_slots_torn_zeroed_or_old() {
    let mut closed = Closed::new(40, 0);
    let slots = |dir: &Path| dir.join("commits");
    let old = fs::read(slots(closed.dir.path())).unwrap();
    closed.commit(40, 0);
    let now = fs::read(slots(closed.dir.path())).unwrap();
    let open = |bytes: &[u8]| {
        let copy = closed.copy();
        fs::write(slots(copy.path()), bytes).unwrap();
        let right = FjallStore::open(copy.path()).map(|store| store.root("main").unwrap());
        (right, fs::read(slots(copy.path())).unwrap())
    };
    // Commit 4 is in the first slot. Torn, or from before the last commit: brought up to date.
    let mut torn = now.clone();
    torn[40..].iter_mut().take(100).for_each(|byte| *byte = 0);
    for bytes in [&torn, &old] {
        let (root, after) = open(bytes);
        assert_eq!(root.unwrap(), Some(closed.tree.root));
        assert_eq!(after, now);
    }
    let (root, _) = open(&now[..4096 + 80]);
    assert_eq!(root.unwrap(), Some(closed.tree.root));
    for bytes in [&vec![0; now.len()][..], &[], &now[..50]] {
        assert!(matches!(open(bytes).0, Err(StoreError::Record { name }) if name == "commits"));
    }
}

#[test]
fn an_engine_that_lost_commits_is_refused() {
    let mut closed = Closed::new(40, 0);
    let old = closed.copy();
    closed.commit(40, 0);
    let swapped = closed.copy();
    fs::remove_dir_all(swapped.path().join("engine")).unwrap();
    copy_all(&old.path().join("engine"), &swapped.path().join("engine"));
    // A journal that ends early, as if its end had never been written.
    let cut = closed.copy();
    let journal = fs::read_dir(cut.path().join("engine")).unwrap().map(|entry| entry.unwrap().path());
    let journal = journal.filter(|path| path.extension().is_some_and(|ext| ext == "jnl")).max().unwrap();
    let file = fs::File::options().write(true).open(journal).unwrap();
    file.set_len(fs::metadata(old.path().join("engine/0.jnl")).unwrap().len() + 10).unwrap();
    for dir in [swapped, cut] {
        match FjallStore::open(dir.path()) {
            Err(StoreError::LostCommits { expected: 4, found: 3, path }) => assert_eq!(path, dir.path()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_page_that_was_damaged_can_be_put_again() {
    let closed = Closed::new(300, 800);
    let values = closed.files().into_iter().filter(|file| file.to_str().unwrap().contains("blobs"));
    for file in values {
        let path = closed.dir.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        // The end of the file is the engine's: without it nothing opens.
        let values = bytes.len() * 9 / 10;
        bytes[..values].iter_mut().step_by(1000).for_each(|byte| *byte ^= 1);
        fs::write(path, bytes).unwrap();
    }
    let store = closed.open().unwrap();
    let mut random = blake3::Hasher::new().update(&[1]).finalize_xof();
    let mut damaged = 0;
    for _ in 0..800 {
        let mut page = vec![0; 8000];
        random.fill(&mut page);
        let cid = Cid::of(&page);
        if let Err(error) = store.load(&cid) {
            damaged += 1;
            assert!(matches!(
                error,
                StoreError::Engine(_) | StoreError::Page { .. } | StoreError::Record { .. }
            ));
            assert!(!store.contains(&cid).unwrap());
            store.put(cid, page.clone().into()).unwrap();
        }
        assert_eq!(store.load(&cid).unwrap().unwrap(), page);
    }
    assert!(damaged > 100, "{damaged}");
    store.commit(&Commit::default()).unwrap();
    drop(store);
    let store = closed.open().unwrap();
    let mut random = blake3::Hasher::new().update(&[1]).finalize_xof();
    for _ in 0..800 {
        let mut page = vec![0; 8000];
        random.fill(&mut page);
        assert_eq!(store.load(&Cid::of(&page)).unwrap().unwrap(), page);
    }
}
