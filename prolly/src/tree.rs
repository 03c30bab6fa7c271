//! A tree: a configuration and a root, and what can be done with them where all pages are at hand.

use bytes::Bytes;

use crate::build::Builder;
use crate::cid::Cid;
use crate::config::Config;
use crate::diff::{Change, Diff};
use crate::edit::Edit;
use crate::error::Error;
use crate::get::find;
use crate::merge::Union;
use crate::page::Value;
use crate::range::KeyRange;
use crate::rank::{CountRange, Rank, Select};
use crate::step::{Step, open_root};
use crate::store::{PageSink, PageSource};
use crate::value::ReadValue;

/// An ordered map, named by the hash of its content.
///
/// Two trees with the same configuration hold the same pairs exactly if their roots are equal. A
/// tree is a value: editing one makes another, and both can be read.
///
/// The methods here need all pages at hand and fail with [`Error::Missing`] where one is not. The
/// operations they drive ([`Get`](crate::Get), [`Scan`](crate::Scan), [`Diff`], [`Edit`], [`Union`]) can wait.
///
/// ```
/// use prolly::{Config, MemoryStore, Tree};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("well", "deep")])?;
/// let edited = tree.edit(&store, [("mill", Some("old"))])?;
/// assert_eq!((tree.count(&store)?, edited.count(&store)?), (1, 2));
/// assert_eq!(edited.edit(&store, [("mill", None::<&str>)])?, tree, "the same pairs, the same tree");
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree {
    /// The limits that decide where pages end.
    pub config: Config,
    /// The address of the top page.
    pub root: Cid,
}

impl Tree {
    /// Names a tree.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let again = Tree::new(Config::default(), tree.root);
    /// assert_eq!(again.get(&store, b"a")?, Some("1".into()));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub const fn new(config: Config, root: Cid) -> Self {
        Self { config, root }
    }

    /// Makes the tree without pairs.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// let tree = Tree::empty(&store, Config::default())?;
    /// assert_eq!(tree.count(&store)?, 0);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The configuration allows no trees, or the store failed.
    pub fn empty<W: PageSink + ?Sized>(sink: &W, config: Config) -> Result<Self, Error> {
        config.validate()?;
        let page = crate::chunker::encode(0, &[], &[], &[]);
        let root = Cid::of(&page);
        sink.put(root, page.into())?;
        Ok(Self { config, root })
    }

    /// Builds a tree from pairs in ascending order of their keys. See [`Builder`] for pairs that
    /// come one by one.
    ///
    /// ```
    /// # use prolly::{Config, Error, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// let pairs = [("brook", "cold"), ("well", "deep")];
    /// let tree = Tree::build(&store, Config::default(), pairs)?;
    /// assert_eq!(tree.count(&store)?, 2);
    /// let unsorted = Tree::build(&store, Config::default(), pairs.into_iter().rev());
    /// assert!(matches!(unsorted, Err(Error::Unsorted { index: 1 })));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The keys do not ascend, a key or value is too long, or the store failed.
    pub fn build<W, K, V>(
        sink: &W,
        config: Config,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Error>
    where
        W: PageSink + ?Sized,
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut builder = Builder::new(sink, config)?;
        for (key, value) in pairs {
            builder.push(key.as_ref(), value.as_ref())?;
        }
        builder.finish()
    }

    /// Returns the value of a key. Costs one page per level.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// assert_eq!(tree.get(&store, b"b")?, Some("2".into()));
    /// assert_eq!(tree.get(&store, b"x")?, None);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged, or the store failed. So for every method below.
    pub fn get<S: PageSource + ?Sized>(&self, source: &S, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match find(self, key, source)?.complete()? {
            Some(value) => read(source, value).map(Some),
            None => Ok(None),
        }
    }

    /// Returns how many pairs there are. Costs the top page.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// assert_eq!(tree.count(&store)?, 3);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn count<S: PageSource + ?Sized>(&self, source: &S) -> Result<u64, Error> {
        let page = open_root(source, &self.config, &self.root)?;
        page.map(|page| page.count()).ok_or(Error::Missing(self.root))
    }

    /// Returns how many pairs have a key less than this one. Costs one page per level.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// assert_eq!(tree.rank(&store, b"b")?, 1);
    /// assert_eq!(tree.rank(&store, b"bb")?, 2, "the key need not be there");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn rank<S: PageSource + ?Sized>(&self, source: &S, key: &[u8]) -> Result<u64, Error> {
        Rank::new(*self, Bytes::copy_from_slice(key)).step(source)?.complete()
    }

    /// Returns the pair at a place in the order of keys; the first one is at 0. Costs one page per
    /// level.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// assert_eq!(tree.select(&store, 1)?, Some(("b".into(), "2".into())));
    /// assert_eq!(tree.select(&store, 3)?, None);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn select<S: PageSource + ?Sized>(
        &self,
        source: &S,
        place: u64,
    ) -> Result<Option<(Bytes, Bytes)>, Error> {
        match Select::new(*self, place).step(source)?.complete()? {
            Some((key, value)) => Ok(Some((key, read(source, value)?))),
            None => Ok(None),
        }
    }

    /// Returns how many pairs a range holds. Costs two pages per level, however many pairs that are.
    ///
    /// ```
    /// use prolly::{Config, KeyRange, MemoryStore, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a1", ""), ("a2", ""), ("b1", "")])?;
    /// assert_eq!(tree.count_range(&store, &KeyRange::prefix(b"a"))?, 2);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn count_range<S: PageSource + ?Sized>(&self, source: &S, range: &KeyRange) -> Result<u64, Error> {
        CountRange::new(*self, range).step(source)?.complete()
    }

    /// Returns the first pair. Costs one page per level.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// assert_eq!(tree.first(&store)?, Some(("a".into(), "1".into())));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn first<S: PageSource + ?Sized>(&self, source: &S) -> Result<Option<(Bytes, Bytes)>, Error> {
        self.select(source, 0)
    }

    /// Returns the last pair. Costs one page per level.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// assert_eq!(tree.last(&store)?, Some(("c".into(), "3".into())));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn last<S: PageSource + ?Sized>(&self, source: &S) -> Result<Option<(Bytes, Bytes)>, Error> {
        match Select::from_end(*self, 0).step(source)?.complete()? {
            Some((key, value)) => Ok(Some((key, read(source, value)?))),
            None => Ok(None),
        }
    }

    /// Puts values under keys, or removes the keys given with `None`; returns the new tree.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let edited = tree.edit(&store, [("a", None), ("b", Some("4"))])?;
    /// assert_eq!(edited.get(&store, b"a")?, None);
    /// assert_eq!(edited.get(&store, b"b")?, Some("4".into()));
    /// assert_eq!(tree.get(&store, b"a")?, Some("1".into()), "the tree before is still there");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get`](Self::get), or a key or value is too long.
    pub fn edit<S, K, V>(
        &self,
        store: &S,
        edits: impl IntoIterator<Item = (K, Option<V>)>,
    ) -> Result<Self, Error>
    where
        S: PageSource + PageSink + ?Sized,
        K: Into<Bytes>,
        V: Into<Bytes>,
    {
        Edit::new(*self, edits)?.step(store, store)?.complete()
    }

    /// Iterates over what differs between this tree (left) and another (right). Costs the pages that
    /// only one of them has.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree, Value};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let edited = tree.edit(&store, [("b", Some("4"))])?;
    /// for change in tree.diff(&edited, &store)? {
    ///     let change = change?;
    ///     assert_eq!(change.key, "b");
    ///     assert_eq!(change.right, Some(Value::Inline("4".into())));
    /// }
    /// assert_eq!(tree.diff(&edited, &store)?.count(), 1);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ConfigMismatch`]: the trees have different configurations.
    pub fn diff<S: PageSource>(&self, other: &Self, source: S) -> Result<Changes<S>, Error> {
        Ok(Changes { diff: Diff::new(*self, *other)?, source })
    }

    /// Returns the union of this tree and another. See [`Union`] for the resolver.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let other = Tree::build(&store, Config::default(), [("c", "5"), ("d", "6")])?;
    /// let both = tree.union(&other, &store, &store, |_key, ours, theirs| ours.max(theirs))?;
    /// assert_eq!(both.count(&store)?, 4);
    /// assert_eq!(both.get(&store, b"c")?, Some("5".into()));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get`](Self::get), or [`Error::ConfigMismatch`].
    pub fn union<S, W>(
        &self,
        other: &Self,
        source: &S,
        sink: &W,
        resolve: impl FnMut(&[u8], Bytes, Bytes) -> Bytes,
    ) -> Result<Self, Error>
    where
        S: PageSource + ?Sized,
        W: PageSink + ?Sized,
    {
        Union::new(*self, *other, resolve)?.step(source, sink)?.complete()
    }
}

/// Reads a value wherever it lives.
///
/// ```
/// # use prolly::{Config, Get, MemoryStore, Tree, Value, read};
/// # let store = MemoryStore::new();
/// let long = vec![7; 20_000];
/// let tree = Tree::build(&store, Config::default(), [("a", &long)])?;
/// let value = Get::new(tree, "a").step(&store)?.complete()?;
/// let Some(value @ Value::Linked(20_000, _)) = value else { unreachable!("it is too long for a leaf") };
/// assert_eq!(read(&store, value)?, long);
/// # Ok::<(), prolly::Error>(())
/// ```
///
/// # Errors
/// A page is missing or damaged, or the store failed.
pub fn read<S: PageSource + ?Sized>(source: &S, value: Value) -> Result<Bytes, Error> {
    match value {
        Value::Inline(bytes) => Ok(bytes),
        linked @ Value::Linked(..) => ReadValue::new(linked).step(source)?.complete(),
    }
}

/// Iterates over what differs between two trees. After an error it ends.
///
/// ```
/// # use prolly::{Config, MemoryStore, Tree};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// let edited = tree.edit(&store, [("a", None), ("d", Some("4"))])?;
/// let changes = tree.diff(&edited, &store)?.collect::<Result<Vec<_>, _>>()?;
/// let keys: Vec<_> = changes.into_iter().map(|change| change.key).collect();
/// assert_eq!(keys, ["a", "d"]);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Changes<S> {
    diff: Diff,
    source: S,
}

impl<S: PageSource> Iterator for Changes<S> {
    type Item = Result<Change, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.diff.step(&self.source).and_then(Step::complete);
        if next.is_err() {
            self.diff.stop();
        }
        next.transpose()
    }
}
