//! Pages in memory: for tests, for proofs, and for trees that need no disk.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::{Commit, Note, PageSink, PageSource, PageStore, Pins, change_roots};
use crate::cid::Cid;
use crate::error::StoreError;
use crate::page::Page;

/// A store that forgets everything when it is dropped.
///
/// ```
/// use prolly::{Config, MemoryStore, Tree};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
/// assert_eq!(tree.get(&store, b"b")?.as_deref(), Some(&b"2"[..]));
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: RwLock<State>,
    pins: Pins,
}

#[derive(Debug, Default)]
struct State {
    pages: HashMap<Cid, Held>,
    roots: BTreeMap<String, Cid>,
    notes: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Pages of trees are kept decoded; parts of long values are not pages of trees.
#[derive(Debug)]
enum Held {
    Page(Page),
    Bytes(Bytes),
}

impl MemoryStore {
    /// Returns an empty store.
    ///
    /// ```
    /// use prolly::MemoryStore;
    /// assert!(MemoryStore::new().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many pages are kept.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// assert_eq!(store.len(), 1, "so few pairs fit one page");
    /// # let _ = tree;
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().pages.len()
    }

    /// Tells whether no page is kept.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// assert!(store.is_empty());
    /// Tree::empty(&store, Config::default())?;
    /// assert!(!store.is_empty(), "the empty tree has a page too");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the addresses of all pages, in order.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// assert_eq!(store.cids(), [tree.root]);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn cids(&self) -> Vec<Cid> {
        // DETERMINISM: the order of the table must not be seen.
        let mut cids: Vec<Cid> = self.read().pages.keys().copied().collect();
        cids.sort_unstable();
        cids
    }

    /// Drops a page.
    ///
    /// ```
    /// # use prolly::{Config, Error, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// store.remove(&tree.root);
    /// assert!(matches!(tree.count(&store), Err(Error::Missing(cid)) if cid == tree.root));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    pub fn remove(&self, cid: &Cid) {
        self.write().pages.remove(cid);
    }

    // A panic elsewhere cannot leave the maps half-changed: every change is a single insertion.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PageSource for MemoryStore {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        Ok(self.read().pages.get(cid).map(|held| match held {
            Held::Page(page) => page.bytes().clone(),
            Held::Bytes(bytes) => bytes.clone(),
        }))
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        let bytes = match self.read().pages.get(cid) {
            None => return Ok(None),
            Some(Held::Page(page)) => return Ok(Some(page.clone())),
            Some(Held::Bytes(bytes)) => bytes.clone(),
        };
        Page::decode(*cid, bytes).map(Some).map_err(|source| StoreError::Page { cid: *cid, source })
    }

    fn child(&self, branch: &Page, index: usize) -> Result<Option<Page>, StoreError> {
        match branch.opened(index) {
            Some(page) => Ok(Some(page)),
            None => branch.child(index).map_or(Ok(None), |cid| self.page(&cid)),
        }
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.read().pages.contains_key(cid))
    }
}

impl PageSink for MemoryStore {
    fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError> {
        let held = match Page::decode(cid, bytes.clone()) {
            Ok(page) => Held::Page(page),
            Err(_) => Held::Bytes(bytes),
        };
        let _put = self.pins.putting(cid);
        self.write().pages.insert(cid, held);
        Ok(())
    }
}

impl PageStore for MemoryStore {
    fn root(&self, name: &str) -> Result<Option<Cid>, StoreError> {
        Ok(self.read().roots.get(name).copied())
    }

    fn notes(&self, prefix: &[u8]) -> Result<Vec<Note>, StoreError> {
        let state = self.read();
        let from = state.notes.range(prefix.to_vec()..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        let mut state = self.write();
        change_roots(&mut state.roots, &commit.roots)?;
        for (key, value) in &commit.notes {
            match value {
                Some(value) => state.notes.insert(key.clone(), value.clone()),
                None => state.notes.remove(key),
            };
        }
        drop(state);
        self.pins.committed();
        Ok(())
    }

    fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError> {
        Ok(self.read().roots.clone())
    }

    fn pins(&self) -> &Pins {
        &self.pins
    }

    fn sweep(&self, keep: &dyn Fn(&Cid) -> bool) -> Result<(u64, u64), StoreError> {
        let sweeping = self.pins.sweeping();
        let (mut removed, mut freed) = (0, 0);
        self.write().pages.retain(|cid, held| {
            let stays = keep(cid) || sweeping.spares(cid);
            if !stays {
                removed += 1;
                freed += match held {
                    Held::Page(page) => page.bytes().len(),
                    Held::Bytes(bytes) => bytes.len(),
                } as u64;
            }
            stays
        });
        Ok((removed, freed))
    }
}
