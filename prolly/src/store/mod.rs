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
pub trait PageSource {
    /// Returns the bytes of a page, after checking that they hash to the address. `None`: not here.
    ///
    /// # Errors
    /// The store failed, or holds other bytes under this address.
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError>;

    /// Returns a page of a tree, decoded. `None`: not here.
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
    /// # Errors
    /// The store failed.
    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.load(cid)?.is_some())
    }
}

/// Takes new pages.
pub trait PageSink {
    /// Takes a page; it is readable at once, and durable after the next commit.
    ///
    /// The address must be that of the bytes: the caller has computed or checked it.
    ///
    /// # Errors
    /// The store failed.
    fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError>;
}

/// What becomes durable in one atomic step, together with the pages put before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Named roots to change.
    pub roots: Vec<RootChange>,
    /// Small records of the application's, by key; `None` removes one.
    pub notes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// A change of one named root, made only if it still is what the caller last saw.
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
pub trait PageStore: PageSource + PageSink {
    /// Returns a named root.
    ///
    /// # Errors
    /// The store failed.
    fn root(&self, name: &str) -> Result<Option<Cid>, StoreError>;

    /// Returns the notes whose keys begin with a prefix, in order of their keys.
    ///
    /// # Errors
    /// The store failed.
    fn notes(&self, prefix: &[u8]) -> Result<Vec<Note>, StoreError>;

    /// Makes all pages put so far, the roots and the notes durable, in one atomic step.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a root is not what was expected, with nothing changed; or the
    /// store failed, and takes no more writes.
    fn commit(&self, commit: &Commit) -> Result<(), StoreError>;

    /// Returns all named roots.
    ///
    /// # Errors
    /// The store failed.
    fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError>;

    /// Returns what is in use beside the named roots.
    fn pins(&self) -> &Pins;

    /// Removes the pages that are not to be kept and were not put since the collection began. For
    /// [`gc`] to call, which knows what to keep: with any other `keep`, trees lose pages. Returns
    /// how many pages went, and how many bytes they took as the store keeps them.
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
