//! Proofs: the pages that show what a root says, to whoever knows the root and has no store.
//!
//! A proof is made by running an operation over a source that remembers what it gave, and checked by
//! running the same operation over the pages of the proof alone. The format is in section 12 of
//! `spec/prolly.md`.

mod codec;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::cbor::CborError;
use crate::cid::Cid;
use crate::config::{Config, ConfigError, MAX_PAGE_BYTES};
use crate::diff::Change;
use crate::error::{Error, StoreError};
use crate::page::{Value, ValueRef};
use crate::range::KeyRange;
use crate::store::PageSource;
use crate::tree::{Tree, read};

/// A proof has at most this many bytes: 64 MiB.
pub const MAX_PROOF_BYTES: usize = 64 << 20;

/// The values out of line that a proof shows have at most this many bytes together, 64 MiB, counted
/// for every key: a small proof may name one long value many times.
pub const MAX_PROVEN_BYTES: u64 = 64 << 20;

/// What a proof is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// The value of a key, or that it is absent.
    Get(Bytes),
    /// All pairs of a range.
    Range(KeyRange),
    /// How many pairs a range holds.
    Count(KeyRange),
    /// All that differs between the tree the proof is verified against (left) and this one (right).
    Diff(Cid),
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proven {
    /// The value of the key; `None`: it is absent.
    Value(Option<Bytes>),
    /// The pairs of the range, in order.
    Pairs(Vec<(Bytes, Bytes)>),
    /// How many pairs the range holds.
    Count(u64),
    /// What differs, in order of keys. Values out of line are named by length and address.
    Changes(Vec<Change>),
}

/// A proof that cannot be made, or shows nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Not in the one encoding of a proof.
    #[error("not a proof: {0}")]
    Cbor(#[from] CborError),
    /// Another format of proofs.
    #[error("a proof of format {0} cannot be read")]
    Format(u64),
    /// The configuration allows no trees.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A statement of an unknown kind, or with another number of parts.
    #[error("a statement of kind {kind} with {items} items is unknown")]
    Statement {
        /// The kind.
        kind: u64,
        /// The number of items, the kind included.
        items: usize,
    },
    /// The end of a range is neither absent nor one key.
    #[error("a range has {items} ends")]
    RangeEnd {
        /// How many.
        items: usize,
    },
    /// The range of the statement holds no keys.
    #[error("the range of a proof must not be empty")]
    EmptyRange,
    /// A key in the statement is longer than any page.
    #[error("a key of {len} bytes in a statement is longer than the limit of {MAX_PAGE_BYTES}")]
    KeyTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The pages do not ascend by their addresses.
    #[error("page {index} of the proof does not ascend by its address")]
    Order {
        /// The place of the page.
        index: usize,
    },
    /// The proof has more bytes than [`MAX_PROOF_BYTES`].
    #[error("a proof of {len} bytes is longer than the limit of {MAX_PROOF_BYTES}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The values it shows have more bytes than [`MAX_PROVEN_BYTES`].
    #[error("the values in a proof have more than {MAX_PROVEN_BYTES} bytes together")]
    TooMuch,
    /// A page that is not needed.
    #[error("page {0} is not needed for what the proof states")]
    Unused(Cid),
    /// A page is missing or damaged, or does not belong to the root; or the store failed.
    #[error(transparent)]
    Read(#[from] Error),
}

/// The pages that show one statement about a root.
///
/// What is proven is what the tree of that root says: a count rests on the counts in its branches,
/// which are true if whoever made the root built the tree by the rules.
///
/// ```
/// use prolly::{Config, MemoryStore, Proof, Proven, Tree};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("bridge", "wood"), ("well", "deep")])?;
/// let bytes = Proof::get(&tree, &store, b"well")?.to_bytes();
///
/// // Somebody who knows only the root:
/// let proof = Proof::from_bytes(bytes)?;
/// assert_eq!(proof.verify(&tree.root)?, Proven::Value(Some("deep".into())));
/// # Ok::<(), prolly::ProofError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    config: Config,
    statement: Statement,
    pages: BTreeMap<Cid, Bytes>,
}

impl Proof {
    /// Proves the value of a key, or that it is absent. Holds one page per level, and the pages of
    /// the value if it lives out of line.
    ///
    /// # Errors
    /// A page is missing or damaged, or the store failed. So for all below.
    pub fn get<S: PageSource + ?Sized>(tree: &Tree, source: &S, key: &[u8]) -> Result<Self, ProofError> {
        Self::make(tree, source, Statement::Get(Bytes::copy_from_slice(key)))
    }

    /// Proves all pairs of a range: that these are in it, and no others. Holds the pages that a scan
    /// reads, and the pages of values out of line.
    ///
    /// ```
    /// use prolly::{Config, KeyRange, MemoryStore, Proof, Proven, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("way/1", "2"), ("way/2", "3")])?;
    /// let ways = Proof::range(&tree, &store, KeyRange::prefix(b"way/"))?;
    /// let Proven::Pairs(pairs) = ways.verify(&tree.root)? else { unreachable!("it is a range") };
    /// assert_eq!(pairs.len(), 2);
    /// # Ok::<(), prolly::ProofError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get`](Self::get), [`ProofError::EmptyRange`], or it is more than a proof can hold.
    pub fn range<S>(tree: &Tree, source: &S, range: KeyRange) -> Result<Self, ProofError>
    where
        S: PageSource + ?Sized,
    {
        Self::make(tree, source, Statement::Range(range))
    }

    /// Proves how many pairs a range holds. Holds at most two pages per level, however many pairs
    /// that are.
    ///
    /// ```
    /// use prolly::{Config, KeyRange, MemoryStore, Proof, Proven, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let count = Proof::count(&tree, &store, KeyRange::new(&("b"..)))?;
    /// assert_eq!(count.verify(&tree.root)?, Proven::Count(2));
    /// # Ok::<(), prolly::ProofError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`range`](Self::range).
    pub fn count<S>(tree: &Tree, source: &S, range: KeyRange) -> Result<Self, ProofError>
    where
        S: PageSource + ?Sized,
    {
        Self::make(tree, source, Statement::Count(range))
    }

    /// Proves all that differs between two trees. Holds the pages that only one of them has; values
    /// out of line are named, their pages are not there.
    ///
    /// ```
    /// use prolly::{Config, MemoryStore, Proof, Proven, Statement, Tree};
    /// let store = MemoryStore::new();
    /// let old = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
    /// let new = old.edit(&store, [("b", Some("two"))])?;
    /// let proof = Proof::diff(&old, &new, &store)?;
    /// assert_eq!(proof.statement(), &Statement::Diff(new.root));
    /// let Proven::Changes(changes) = proof.verify(&old.root)? else { unreachable!("it is a diff") };
    /// assert_eq!(changes.len(), 1);
    /// # Ok::<(), prolly::ProofError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get`](Self::get); [`Error::ConfigMismatch`]; or it is more than a proof can hold.
    pub fn diff<S>(left: &Tree, right: &Tree, source: &S) -> Result<Self, ProofError>
    where
        S: PageSource + ?Sized,
    {
        if left.config != right.config {
            return Err(Error::ConfigMismatch.into());
        }
        Self::make(left, source, Statement::Diff(right.root))
    }

    fn make<S>(tree: &Tree, source: &S, statement: Statement) -> Result<Self, ProofError>
    where
        S: PageSource + ?Sized,
    {
        let noted = Noting { source, pages: Mutex::default() };
        statement.prove(tree, &noted)?;
        let pages = noted.pages.into_inner().unwrap_or_else(PoisonError::into_inner);
        let proof = Self { config: tree.config, statement, pages };
        match proof.encoded_len() {
            len if len > MAX_PROOF_BYTES => Err(ProofError::TooLong { len }),
            _ => Ok(proof),
        }
    }

    /// Returns what it is about.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Returns the configuration that it says the tree has. Whoever knows another one from
    /// elsewhere refuses the proof.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Returns how many pages it holds.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Checks the proof against a root, and returns what it shows of that.
    ///
    /// # Errors
    /// A page is missing, damaged, not needed, or is not what the root and the pages above it promise.
    pub fn verify(&self, root: &Cid) -> Result<Proven, ProofError> {
        let used = Using { pages: &self.pages, used: Mutex::default() };
        let proven = self.statement.prove(&Tree::new(self.config, *root), &used)?;
        let used = used.used.into_inner().unwrap_or_else(PoisonError::into_inner);
        match self.pages.keys().find(|cid| !used.contains(cid)) {
            Some(unused) => Err(ProofError::Unused(*unused)),
            None => Ok(proven),
        }
    }
}

impl Statement {
    /// Finds what is stated, in any source: making and verifying are the same.
    fn prove<S: PageSource>(&self, tree: &Tree, source: &S) -> Result<Proven, ProofError> {
        self.check()?;
        Ok(match self {
            Self::Get(key) => Proven::Value(tree.get(source, key)?),
            Self::Range(range) => Proven::Pairs(pairs(tree, source, range)?),
            Self::Count(range) => {
                tree.config.validate()?;
                Proven::Count(tree.count_range(source, range)?)
            }
            Self::Diff(right) => {
                tree.config.validate()?;
                let right = Tree::new(tree.config, *right);
                Proven::Changes(tree.diff(&right, source)?.collect::<Result<_, _>>()?)
            }
        })
    }

    fn check(&self) -> Result<(), ProofError> {
        let (range, keys) = match self {
            Self::Get(key) => (None, [Some(key), None]),
            Self::Range(range) | Self::Count(range) => (Some(range), [Some(&range.from), range.to.as_ref()]),
            Self::Diff(_) => (None, [None, None]),
        };
        if let Some(key) = keys.into_iter().flatten().find(|key| key.len() > MAX_PAGE_BYTES) {
            return Err(ProofError::KeyTooLong { len: key.len() });
        }
        if range.is_some_and(KeyRange::is_empty) { Err(ProofError::EmptyRange) } else { Ok(()) }
    }
}

/// Reads all pairs of a range, if they are not too much.
fn pairs<S>(tree: &Tree, source: &S, range: &KeyRange) -> Result<Vec<(Bytes, Bytes)>, ProofError>
where
    S: PageSource,
{
    let mut pairs = Vec::new();
    let mut linked = 0_u64;
    for run in tree.runs(source, vec![range.clone()]) {
        let run = run?;
        for (_, value) in run.iter() {
            if let ValueRef::Linked(len, _) = value {
                linked = linked.saturating_add(len);
            }
        }
        if linked > MAX_PROVEN_BYTES {
            return Err(ProofError::TooMuch);
        }
        for (key, value) in run.pairs() {
            let value = match value {
                Value::Inline(bytes) => bytes,
                linked @ Value::Linked(..) => read(source, linked)?,
            };
            pairs.push((key, value));
        }
    }
    Ok(pairs)
}

/// Remembers the pages that a source gave.
struct Noting<'a, S: ?Sized> {
    source: &'a S,
    pages: Mutex<BTreeMap<Cid, Bytes>>,
}

impl<S: PageSource + ?Sized> PageSource for Noting<'_, S> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let bytes = self.source.load(cid)?;
        if let Some(bytes) = &bytes {
            let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
            pages.insert(*cid, bytes.clone());
        }
        Ok(bytes)
    }
}

/// Gives the pages of a proof, and remembers which. Their hashes were computed when they got their
/// addresses.
struct Using<'a> {
    pages: &'a BTreeMap<Cid, Bytes>,
    used: Mutex<BTreeSet<Cid>>,
}

impl PageSource for Using<'_> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let bytes = self.pages.get(cid).cloned();
        if bytes.is_some() {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(*cid);
        }
        Ok(bytes)
    }
}
