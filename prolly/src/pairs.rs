//! Iterating over pairs where all pages are at hand.

use std::ops::RangeBounds;

use bytes::Bytes;

use crate::error::Error;
use crate::range::{KeyRange, disjoint, successor};
use crate::run::Run;
use crate::saved::{self, SavedError};
use crate::scan::Scan;
use crate::step::Step;
use crate::store::PageSource;
use crate::tree::{Tree, read};

impl Tree {
    /// Iterates over the pairs between two bounds, in order. Costs the pages that hold them.
    ///
    /// ```
    /// use prolly::{Config, MemoryStore, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let pairs: Result<Vec<_>, _> = tree.range(&store, "b"..).collect();
    /// assert_eq!(pairs?.len(), 2);
    /// let last = tree.range(&store, .."c").reversed().next().transpose()?;
    /// assert_eq!(last.map(|(key, _)| key).as_deref(), Some(&b"b"[..]));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    pub fn range<S, K>(&self, source: S, bounds: impl RangeBounds<K>) -> Pairs<S>
    where
        S: PageSource,
        K: AsRef<[u8]>,
    {
        self.ranges(source, vec![KeyRange::new(&bounds)])
    }

    /// Iterates over the pairs in any of these ranges, in order. Costs the pages on the way to the
    /// ranges and under them, each once.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let ends = vec![KeyRange::point(b"c"), KeyRange::point(b"a")];
    /// let pairs = tree.ranges(&store, ends).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(pairs, [("a".into(), "1".into()), ("c".into(), "3".into())]);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    pub fn ranges<S: PageSource>(&self, source: S, ranges: Vec<KeyRange>) -> Pairs<S> {
        Pairs::new(Scan::new(*self, ranges), source)
    }

    /// Iterates over the pairs whose keys begin with a prefix, in order; a key is a prefix of itself.
    /// Costs the pages that hold them.
    ///
    /// ```
    /// use prolly::{Config, MemoryStore, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("node/1", ""), ("way/1", ""), ("way/2", "")])?;
    /// assert_eq!(tree.prefix(&store, "way/").count(), 2);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    pub fn prefix<S: PageSource>(&self, source: S, prefix: impl AsRef<[u8]>) -> Pairs<S> {
        self.ranges(source, vec![KeyRange::prefix(prefix.as_ref())])
    }

    /// Iterates over the pairs whose keys begin with one of these prefixes, in order. The prefixes
    /// may come in any order. Costs the pages that hold them, each once.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("n1", ""), ("r1", ""), ("w1", "")])?;
    /// assert_eq!(tree.prefixes(&store, vec![*b"w", *b"n"]).count(), 2);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    pub fn prefixes<S: PageSource, const N: usize>(&self, source: S, prefixes: Vec<[u8; N]>) -> Pairs<S> {
        Pairs::new(Scan::prefixes(*self, prefixes), source)
    }

    /// Iterates over the pairs in any of these ranges, in order, many at once: the quickest way to
    /// look at all. Costs the pages on the way to the ranges and under them, each once.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut pairs = 0;
    /// for run in tree.runs(&store, vec![KeyRange::all()]) {
    ///     pairs += run?.len();
    /// }
    /// assert_eq!(pairs, 3);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    pub fn runs<S: PageSource>(&self, source: S, ranges: Vec<KeyRange>) -> Runs<S> {
        Runs { scan: Scan::new(*self, ranges), source }
    }
}

/// Iterates over pairs of a tree. After an error it ends.
///
/// ```
/// # use prolly::{Config, Error, MemoryStore, Tree};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// for pair in tree.range(&store, "b"..="b") {
///     let (key, value) = pair?;
///     assert_eq!((key, value), ("b".into(), "2".into()));
/// }
/// // What a store lacks comes as an error, and then the end.
/// let mut lacking = tree.range::<_, &str>(MemoryStore::new(), ..);
/// assert!(matches!(lacking.next(), Some(Err(Error::Missing(cid))) if cid == tree.root));
/// assert!(lacking.next().is_none());
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Pairs<S> {
    scan: Scan,
    source: S,
    run: Option<Run>,
}

impl<S> Pairs<S> {
    /// Iterates over what a walk has left.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Pairs, Scan, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let scan = Scan::new(tree, vec![KeyRange::all()]);
    /// assert_eq!(Pairs::new(scan, &store).count(), 3);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    pub const fn new(scan: Scan, source: S) -> Self {
        Self { scan, source, run: None }
    }

    /// Iterates over what is left from its other end.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut pairs = tree.range::<_, &str>(&store, ..);
    /// assert_eq!(pairs.next().transpose()?, Some(("a".into(), "1".into())));
    /// let mut left = pairs.reversed();
    /// assert_eq!(left.next().transpose()?, Some(("c".into(), "3".into())));
    /// assert_eq!(left.count(), 1, "what was taken does not come again");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn reversed(self) -> Self {
        let reversed = !self.scan.is_reversed();
        Self::new(Scan::of(*self.scan.tree(), self.remaining(), reversed), self.source)
    }

    /// Writes down what is left, for [`Scan::resume`].
    ///
    /// ```
    /// use prolly::{Config, MemoryStore, Pairs, Scan, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut pairs = tree.range::<_, &str>(&store, ..);
    /// pairs.next();
    /// let saved = pairs.save()?;
    /// // Later, perhaps in another program:
    /// let next = Pairs::new(Scan::resume(&saved)?, &store).next().transpose()?;
    /// assert_eq!(next.map(|(key, _)| key).as_deref(), Some(&b"b"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Scan::save`].
    pub fn save(&self) -> Result<Vec<u8>, SavedError> {
        saved::scan(self.scan.tree(), self.scan.is_reversed(), &self.remaining())
    }

    fn remaining(&self) -> Vec<KeyRange> {
        let mut ranges = self.scan.remaining();
        if let Some((first, last)) = self.run.as_ref().and_then(Run::bounds) {
            ranges.push(KeyRange { from: Bytes::copy_from_slice(first), to: Some(successor(last)) });
        }
        disjoint(ranges)
    }
}

impl<S: PageSource> Pairs<S> {
    fn advance(&mut self) -> Result<Option<(Bytes, Bytes)>, Error> {
        loop {
            if let Some((key, value)) = self.run.as_mut().and_then(Run::pop) {
                return Ok(Some((key, read(&self.source, value)?)));
            }
            self.run = self.scan.step(&self.source).and_then(Step::complete)?;
            if self.run.is_none() {
                return Ok(None);
            }
        }
    }
}

impl<S: PageSource> Iterator for Pairs<S> {
    type Item = Result<(Bytes, Bytes), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            self.scan.stop();
            self.run = None;
        }
        next.transpose()
    }
}

/// Iterates over pairs of a tree, those of one leaf at once. After an error it ends.
///
/// ```
/// # use prolly::{Config, KeyRange, MemoryStore, Run, Tree};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// let runs = tree.runs(&store, vec![KeyRange::all()]).collect::<Result<Vec<Run>, _>>()?;
/// assert_eq!(runs.iter().map(Run::len).sum::<usize>(), 3);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Runs<S> {
    scan: Scan,
    source: S,
}

impl<S> Runs<S> {
    /// Iterates over what is left from its other end.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut runs = tree.runs(&store, vec![KeyRange::all()]).reversed();
    /// let Some(run) = runs.next().transpose()? else { unreachable!("there are pairs") };
    /// assert_eq!(run.iter().next().map(|(key, _)| key), Some(&b"c"[..]));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { scan: self.scan.reversed(), source: self.source }
    }
}

impl<S: PageSource> Iterator for Runs<S> {
    type Item = Result<Run, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.scan.step(&self.source).and_then(Step::complete);
        if next.is_err() {
            self.scan.stop();
        }
        next.transpose()
    }
}
