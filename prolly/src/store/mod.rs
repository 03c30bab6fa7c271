//! Where pages are kept: the seam between trees and everything that holds pages.

mod cached;
mod faulty;
#[cfg(feature = "fjall")]
pub(crate) mod fjall;
mod gc;
mod layered;
mod memory;
mod pins;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;

pub use self::cached::{CacheStats, PageCache};
pub use self::faulty::{Fault, Faults, FaultyStore, Lost};
pub use self::gc::{GcReport, Reference, gc, gc_trees};
pub use self::layered::{Counting, Layered, Overlay};
pub use self::memory::MemoryStore;
pub use self::pins::{Pin, Pins};
use crate::cid::Cid;
use crate::error::StoreError;
use crate::page::Page;

/// Gives pages by their address. It may lack some: then the operation that asked says which.
///
/// ```
/// use std::collections::HashMap;
/// use bytes::Bytes;
/// use prolly::{Cid, Config, PageError, PageSource, StoreError, Tree};
///
/// /// Pages that came over the network, perhaps.
/// struct Received(HashMap<Cid, Bytes>);
///
/// impl PageSource for Received {
///     fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
///         let Some(bytes) = self.0.get(cid) else { return Ok(None) };
///         let found = Cid::of(bytes);
///         if found != *cid {
///             return Err(StoreError::Page { cid: *cid, source: PageError::Hash { found } });
///         }
///         Ok(Some(bytes.clone()))
///     }
/// }
///
/// let page = Bytes::from_static(&[0x83, 0x00, 0x80, 0x80]);
/// let tree = Tree::new(Config::default(), Cid::of(&page));
/// let received = Received(HashMap::from([(tree.root, page)]));
/// assert_eq!(tree.count(&received)?, 0);
/// # Ok::<(), prolly::Error>(())
/// ```
pub trait PageSource {
    /// Returns the bytes of a page, after checking that they hash to the address. `None`: not here.
    ///
    /// ```
    /// # use prolly::{Cid, Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(bytes) = store.load(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!(Cid::of(&bytes), tree.root);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed, or holds other bytes under this address.
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError>;

    /// Returns a page of a tree, decoded. `None`: not here.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(page) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!(page.key(0), b"a");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`load`](Self::load), or the bytes are not a page of a tree.
    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        let Some(bytes) = self.load(cid)? else { return Ok(None) };
        Page::decode(*cid, bytes).map(Some).map_err(|source| StoreError::Page { cid: *cid, source })
    }

    /// Returns a child of a branch, decoded. `None`: not here, or the page is a leaf.
    ///
    /// A source that keeps its pages in memory finds a child here sooner than by its address.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let pairs = (0u32..1_000).map(|n| (n.to_be_bytes(), [0; 32]));
    /// # let tree = Tree::build(&store, Config::default(), pairs)?;
    /// let Some(root) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// let Some(leaf) = store.child(&root, 0)? else { unreachable!("so is the first leaf") };
    /// assert_eq!((leaf.level(), leaf.key(0)), (0, &[0, 0, 0, 0][..]));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`page`](Self::page).
    ///
    /// # Panics
    /// The branch has not that many children.
    fn child(&self, branch: &Page, index: usize) -> Result<Option<Page>, StoreError> {
        branch.child(index).map_or(Ok(None), |cid| self.page(&cid))
    }

    /// Tells whether a page is here.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// assert!(store.contains(&tree.root)?);
    /// assert!(!MemoryStore::new().contains(&tree.root)?);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed.
    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.load(cid)?.is_some())
    }
}

/// Takes new pages.
///
/// ```
/// use std::cell::Cell;
/// use prolly::{Cid, Config, PageSink, StoreError, Tree};
///
/// /// Keeps no page, but tells how many bytes a tree would take.
/// #[derive(Default)]
/// struct Tally(Cell<usize>);
///
/// impl PageSink for Tally {
///     fn put(&self, _cid: Cid, bytes: bytes::Bytes) -> Result<(), StoreError> {
///         self.0.set(self.0.get() + bytes.len());
///         Ok(())
///     }
/// }
///
/// let tally = Tally::default();
/// Tree::build(&tally, Config::default(), [("a", "1")])?;
/// assert_eq!(tally.0.get(), 8);
/// # Ok::<(), prolly::Error>(())
/// ```
pub trait PageSink {
    /// Takes a page; it is readable at once, and durable after the next commit.
    ///
    /// The address must be that of the bytes: the caller has computed or checked it.
    ///
    /// ```
    /// # use prolly::{Cid, Config, MemoryStore, PageSink, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// let page = bytes::Bytes::from_static(&[0x83, 0x00, 0x80, 0x80]);
    /// let cid = Cid::of(&page);
    /// store.put(cid, page)?;
    /// assert!(store.contains(&cid)?);
    /// # let _ = Tree::new(Config::default(), cid);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed.
    fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError>;
}

/// What becomes durable in one atomic step, together with the pages put before.
///
/// ```
/// # use prolly::{Commit, Config, MemoryStore, PageStore, RootChange, Tree};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// let commit = Commit {
///     roots: vec![RootChange { name: "main".into(), expected: None, new: Some(tree.root) }],
///     notes: vec![(b"author".to_vec(), Some(b"miller".to_vec()))],
/// };
/// store.commit(&commit)?;
/// assert_eq!(store.root("main")?, Some(tree.root));
/// assert_eq!(store.notes(b"auth")?.len(), 1);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Named roots to change.
    pub roots: Vec<RootChange>,
    /// Small records of the application's, by key; `None` removes one.
    pub notes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// A change of one named root, made only if it still is what the caller last saw.
///
/// ```
/// # use prolly::{Commit, Config, MemoryStore, PageStore, RootChange, StoreError, Tree};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// let change = RootChange { name: "main".into(), expected: Some(tree.root), new: None };
/// let commit = Commit { roots: vec![change], ..Commit::default() };
/// let refused = store.commit(&commit);
/// assert!(matches!(refused, Err(StoreError::Conflict { .. })), "there is no such root yet");
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootChange {
    /// The name.
    pub name: String,
    /// What it must be now; `None`: it must not exist.
    pub expected: Option<Cid>,
    /// What it becomes; `None` removes it.
    pub new: Option<Cid>,
}

/// A note: a key and the record under it.
pub type Note = (Vec<u8>, Vec<u8>);

/// Keeps pages, named roots and notes.
///
/// ```
/// use prolly::{Config, MemoryStore, PageStore, StoreError, Tree};
///
/// /// Names a tree, whatever the name meant before. Works with any store.
/// fn publish<S: PageStore>(store: &S, name: &str, tree: &Tree) -> Result<(), StoreError> {
///     store.swap_root(name, store.root(name)?, Some(tree.root))
/// }
///
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1")])?;
/// publish(&store, "main", &tree)?;
/// assert_eq!(store.root("main")?, Some(tree.root));
/// # Ok::<(), prolly::Error>(())
/// ```
pub trait PageStore: PageSource + PageSink {
    /// Returns a named root.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// store.swap_root("main", None, Some(tree.root))?;
    /// assert_eq!(store.root("main")?, Some(tree.root));
    /// assert_eq!(store.root("other")?, None);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed.
    fn root(&self, name: &str) -> Result<Option<Cid>, StoreError>;

    /// Returns the notes whose keys begin with a prefix, in order of their keys.
    ///
    /// ```
    /// use prolly::{Commit, MemoryStore, PageStore};
    /// let store = MemoryStore::new();
    /// let note = |key: &str| (key.as_bytes().to_vec(), Some(b"seen".to_vec()));
    /// let notes = vec![note("peer/b"), note("peer/a"), note("x")];
    /// store.commit(&Commit { notes, ..Commit::default() })?;
    /// let keys: Vec<_> = store.notes(b"peer/")?.into_iter().map(|(key, _)| key).collect();
    /// assert_eq!(keys, [b"peer/a", b"peer/b"]);
    /// # Ok::<(), prolly::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// The store failed.
    fn notes(&self, prefix: &[u8]) -> Result<Vec<Note>, StoreError>;

    /// Makes all pages put so far, the roots and the notes durable, in one atomic step.
    ///
    /// ```
    /// # use prolly::{Commit, Config, MemoryStore, PageStore, RootChange, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let change = RootChange { name: "main".into(), expected: None, new: Some(tree.root) };
    /// let commit = Commit { roots: vec![change], ..Commit::default() };
    /// store.commit(&commit)?;
    /// assert!(store.commit(&commit).is_err(), "the root is there now");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a root is not what was expected, with nothing changed; or the
    /// store failed, and takes no more writes.
    fn commit(&self, commit: &Commit) -> Result<(), StoreError>;

    /// Returns all named roots.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// store.swap_root("main", None, Some(tree.root))?;
    /// store.swap_root("draft", None, Some(tree.root))?;
    /// assert_eq!(store.roots()?.into_keys().collect::<Vec<_>>(), ["draft", "main"]);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed.
    fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError>;

    /// Returns what is in use beside the named roots.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageStore, Tree, gc_trees};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let _pin = store.pins().pin(tree.root);
    /// gc_trees(&store, Config::default())?;
    /// assert_eq!(tree.count(&store)?, 3, "no root names it, but it is in use");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    fn pins(&self) -> &Pins;

    /// Removes the pages that are not to be kept and were not put since the collection began. For
    /// [`gc`] to call, which knows what to keep: with any other `keep`, trees lose pages. Returns
    /// how many pages went, and how many bytes they took as the store keeps them.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let next = tree.edit(&store, [("d", Some("4"))])?;
    /// store.swap_root("main", None, Some(next.root))?;
    /// let (removed, bytes) = store.sweep(&|cid| *cid == next.root)?;
    /// assert_eq!((removed, bytes), (1, 16), "the page of the tree before went");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed; some of the pages may be gone.
    fn sweep(&self, keep: &dyn Fn(&Cid) -> bool) -> Result<(u64, u64), StoreError>;

    /// Returns a directory for files that are of use only while the store is open, such as those of a
    /// large sort. What is left there is removed when the store is next opened. `None`: the store has no
    /// place on a disk.
    ///
    /// ```
    /// use prolly::{MemoryStore, PageStore};
    /// assert_eq!(MemoryStore::new().scratch()?, None);
    /// # Ok::<(), prolly::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// The directory cannot be made.
    fn scratch(&self) -> Result<Option<PathBuf>, StoreError> {
        Ok(None)
    }

    /// Changes one named root, if it still is what the caller last saw, and makes all pages put so
    /// far durable with it: a [`commit`](Self::commit) of a single change.
    ///
    /// ```
    /// use prolly::{Config, MemoryStore, PageStore, StoreError, Tree};
    /// let store = MemoryStore::new();
    /// let first = Tree::build(&store, Config::default(), [("a", "1")])?;
    /// store.swap_root("main", None, Some(first.root))?;
    /// let next = first.edit(&store, [("b", Some("2"))])?;
    /// store.swap_root("main", Some(first.root), Some(next.root))?;
    /// // Whoever still builds on the first tree is told so, and begins again from the new root.
    /// let late = store.swap_root("main", Some(first.root), None);
    /// assert!(matches!(late, Err(StoreError::Conflict { .. })));
    /// assert_eq!(store.root("main")?, Some(next.root));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`commit`](Self::commit).
    fn swap_root(&self, name: &str, expected: Option<Cid>, new: Option<Cid>) -> Result<(), StoreError> {
        let roots = vec![RootChange { name: name.to_owned(), expected, new }];
        self.commit(&Commit { roots, notes: Vec::new() })
    }

    /// Returns a named root, and keeps all below it from being collected while the pin lives.
    /// `None`: there is no such root. Reading the root and pinning it are one step here: between
    /// two, a writer could replace the root and a collection take its pages.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageStore, Tree, gc_trees};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// store.swap_root("main", None, Some(tree.root))?;
    /// let Some(_pin) = store.pin_root("main")? else { unreachable!("it is there") };
    /// store.swap_root("main", Some(tree.root), None)?;
    /// gc_trees(&store, Config::default())?;
    /// assert_eq!(tree.count(&store)?, 3, "pinned, it stays readable");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed.
    fn pin_root(&self, name: &str) -> Result<Option<Pin>, StoreError> {
        self.pins().pin_with(|| self.root(name))
    }
}

/// Makes the changes of roots, or none of them.
pub(crate) fn change_roots(
    roots: &mut BTreeMap<String, Cid>,
    changes: &[RootChange],
) -> Result<(), StoreError> {
    if let Some(change) = changes.iter().find(|change| roots.get(&change.name) != change.expected.as_ref()) {
        return Err(StoreError::Conflict { name: change.name.clone() });
    }
    for change in changes {
        match change.new {
            Some(new) => roots.insert(change.name.clone(), new),
            None => roots.remove(&change.name),
        };
    }
    Ok(())
}

macro_rules! forward {
    ($($kind:ty),*) => {$(
        impl<S: PageSource + ?Sized> PageSource for $kind {
            fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
                (**self).load(cid)
            }
            fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
                (**self).page(cid)
            }
            fn child(&self, branch: &Page, index: usize) -> Result<Option<Page>, StoreError> {
                (**self).child(branch, index)
            }
            fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
                (**self).contains(cid)
            }
        }
        impl<S: PageSink + ?Sized> PageSink for $kind {
            fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError> {
                (**self).put(cid, bytes)
            }
        }
    )*};
}
forward!(&S, std::sync::Arc<S>, Box<S>);
