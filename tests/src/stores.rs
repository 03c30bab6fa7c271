//! Stores for tests.

use std::collections::BTreeMap;

use bytes::Bytes;
use osmdb::{Counts, DEFAULT_NAME, Root, Trees};
use prolly::{
    Cid, Commit, Config, Counting, MemoryStore, Note, Page, PageSink, PageSource, PageStore, Pins,
    RootChange, StoreError, Tree,
};

fn start_at(store: &MemoryStore, root: Cid) {
    let change = RootChange { name: "main".to_owned(), expected: None, new: Some(root) };
    store.commit(&Commit { roots: vec![change], notes: Vec::new() }).expect("memory takes a first root");
}

/// A database that begins where another one was at some root, and leaves that one as it is. Costs
/// nothing, where importing a file once more would.
#[derive(Debug)]
pub struct Branch<'a> {
    below: Counting<&'a MemoryStore>,
    own: MemoryStore,
}

impl<'a> Branch<'a> {
    /// Begins at a root.
    #[must_use]
    pub fn at(below: &'a MemoryStore, root: Cid) -> Self {
        let own = MemoryStore::new();
        start_at(&own, root);
        Self { below: Counting::new(below), own }
    }

    /// Returns how many pages were read that the other database has.
    #[must_use]
    pub fn pages_below(&self) -> usize {
        self.below.pages()
    }
}

impl PageSource for Branch<'_> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let own = self.own.load(cid)?;
        if own.is_some() { Ok(own) } else { self.below.load(cid) }
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        let own = self.own.page(cid)?;
        if own.is_some() { Ok(own) } else { self.below.page(cid) }
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.own.contains(cid)? || self.below.contains(cid)?)
    }
}

impl PageSink for Branch<'_> {
    fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError> {
        self.own.put(cid, bytes)
    }
}

impl PageStore for Branch<'_> {
    fn root(&self, name: &str) -> Result<Option<Cid>, StoreError> {
        self.own.root(name)
    }

    fn notes(&self, prefix: &[u8]) -> Result<Vec<Note>, StoreError> {
        self.own.notes(prefix)
    }

    fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        self.own.commit(commit)
    }

    fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError> {
        self.own.roots()
    }

    fn pins(&self) -> &Pins {
        self.own.pins()
    }

    fn sweep(&self, keep: &dyn Fn(&Cid) -> bool) -> Result<(u64, u64), StoreError> {
        self.own.sweep(keep)
    }
}

/// Makes a store that holds an empty database whose pages are as small as can be: a dozen elements
/// make trees of several levels, and longer values live out of line.
#[must_use]
pub fn small_pages() -> MemoryStore {
    let config = Config {
        leaf_min: 160,
        leaf_max: 480,
        branch_min: 160,
        branch_max: 480,
        key_max: 64,
        inline_max: 64,
    };
    let store = MemoryStore::new();
    let empty = Tree::empty(&store, config).expect("the configuration allows trees");
    let trees =
        Trees { heads: empty, history: empty, spatial: empty, refs: empty, changes: empty, tags: empty };
    let root = Root { name: DEFAULT_NAME.to_owned(), trees, counts: Counts::default() };
    store.put(config.cid(), config.encode().into()).expect("memory takes pages");
    store.put(root.cid(), root.encode().into()).expect("memory takes pages");
    start_at(&store, root.cid());
    store
}
