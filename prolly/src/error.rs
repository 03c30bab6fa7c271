//! What can go wrong with trees and stores.

use crate::cid::Cid;
use crate::config::ConfigError;
use crate::page::PageError;

/// An operation on a tree failed.
///
/// ```
/// use prolly::{Cid, Config, Error, MemoryStore, Tree};
/// let elsewhere = Tree::new(Config::default(), Cid::of(b"a page of another store"));
/// match elsewhere.get(&MemoryStore::new(), b"a") {
///     Err(Error::Missing(cid)) => assert_eq!(cid, elsewhere.root, "fetch it and try again"),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A page is not what it must be. Fetch it again from elsewhere, or restore it.
    #[error("page {cid} is damaged: {source}")]
    Page {
        /// Its address.
        cid: Cid,
        /// What is wrong with it.
        source: PageError,
    },
    /// A page is not in the store. Fetch it, or restore it.
    #[error("page {0} is missing")]
    Missing(Cid),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration allows no trees.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Two trees have different configurations, so their pages cannot be compared.
    #[error("the trees have different configurations, so they cannot be compared or merged")]
    ConfigMismatch,
    /// Two sides of a merge changed a key in different ways, and the resolver refused to decide.
    #[error("both sides changed the key {key:?} and nobody decides")]
    Conflict {
        /// The key.
        key: bytes::Bytes,
    },
    /// A key is longer than the configuration allows. Nothing was written.
    #[error("a key of {len} bytes is longer than the limit of {limit}")]
    KeyTooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit, in bytes.
        limit: u32,
    },
    /// A value is longer than any may be. Nothing was written.
    #[error("a value of {len} bytes is longer than the limit of {limit}")]
    ValueTooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit, in bytes.
        limit: u64,
    },
    /// More pairs than a tree of the greatest height holds.
    #[error("there are more pairs than a tree can hold")]
    TooTall,
    /// The pairs given to a builder do not ascend strictly.
    #[error("the keys given to a builder must ascend, but key {index} does not")]
    Unsorted {
        /// Which pair; the first one is 0.
        index: u64,
    },
    /// A tree whose pages are sound one by one, but do not end where the boundary rule ends them.
    #[error("the pages of tree {root} break the boundary rule: its pairs make {expected}")]
    NotCanonical {
        /// The root given.
        root: Cid,
        /// The root that the same pairs must have.
        expected: Cid,
    },
}

impl Error {
    /// Names the page that is damaged.
    pub(crate) fn page(cid: &Cid) -> impl FnOnce(PageError) -> Self + '_ {
        |source| Self::Page { cid: *cid, source }
    }
}

/// A store could not do what was asked.
///
/// ```
/// # use prolly::{Config, MemoryStore, PageStore, StoreError, Tree};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// store.swap_root("main", None, Some(tree.root))?;
/// match store.swap_root("main", None, Some(tree.root)) {
///     Err(StoreError::Conflict { name }) => assert_eq!(name, "main", "read it and try again"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Reading or writing a file failed.
    #[error("{what} failed: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The storage engine failed.
    #[error("the storage engine failed: {0}")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An earlier write failed, so nothing more is written. Reads go on; reopen the store.
    #[error("an earlier write failed, so this store takes no more writes: reopen it")]
    Poisoned,
    /// Another process has the store open.
    #[error("another process has {path} open: close it first")]
    Locked {
        /// The directory.
        path: std::path::PathBuf,
    },
    /// The directory holds something else, or a store of another version.
    #[error("{path} is not a page store: {why}")]
    NotAStore {
        /// The directory.
        path: std::path::PathBuf,
        /// What was found.
        why: String,
    },
    /// A commit that was reported as written is gone. Restore the directory from a copy.
    #[error(
        "{path} has lost commits: commit {expected} was reported as written, but the last one found is {found}; \
         restore the directory from a copy, or merge from a peer into a new one"
    )]
    LostCommits {
        /// The directory.
        path: std::path::PathBuf,
        /// The number of the last commit that was reported.
        expected: u64,
        /// The number of the last commit that is there.
        found: u64,
    },
    /// A stored page is damaged.
    #[error("the stored page {cid} is damaged: {source}")]
    Page {
        /// Its address.
        cid: Cid,
        /// What is wrong with it.
        source: PageError,
    },
    /// A stored record beside the pages is damaged.
    #[error("the stored record `{name}` is damaged")]
    Record {
        /// Its name.
        name: String,
    },
    /// A name of a root or a key of a note is longer than the store takes. Nothing was written.
    #[error("a name of {len} bytes is longer than the limit of {limit}")]
    NameTooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A named root is not what the commit expected: somebody else changed it. Read it, try again.
    #[error("the root `{name}` has changed meanwhile")]
    Conflict {
        /// The name of the root.
        name: String,
    },
}
