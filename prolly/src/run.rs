//! Pairs that stand side by side in one leaf.

use std::ops::Range;

use bytes::Bytes;

use crate::page::{Page, PairRefs, Value, ValueRef};

/// Pairs that stand side by side in one leaf, in the order in which they are walked over.
///
/// ```
/// # use prolly::{Config, KeyRange, MemoryStore, Tree};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// let Some(run) = tree.runs(&store, vec![KeyRange::all()]).next().transpose()? else {
///     unreachable!("there are pairs")
/// };
/// let keys: Vec<_> = run.iter().map(|(key, _)| key).collect();
/// assert_eq!(keys, [b"a", b"b", b"c"]);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Run {
    page: Page,
    pairs: Range<usize>,
    reversed: bool,
}

impl Run {
    pub(crate) const fn new(page: Page, pairs: Range<usize>, reversed: bool) -> Self {
        Self { page, pairs, reversed }
    }

    /// Returns how many pairs there are; never 0.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(run) = tree.runs(&store, vec![KeyRange::all()]).next().transpose()? else {
    ///     unreachable!("there are pairs")
    /// };
    /// assert_eq!(run.len(), 3);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Tells whether all pairs were taken.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(run) = tree.runs(&store, vec![KeyRange::all()]).next().transpose()? else {
    ///     unreachable!("there are pairs")
    /// };
    /// assert!(!run.is_empty());
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Iterates over keys and values, borrowed from the leaf: the quickest way to look at many pairs.
    ///
    /// ```
    /// use prolly::{Config, KeyRange, MemoryStore, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "22"), ("c", "3")])?;
    /// let mut bytes = 0;
    /// for run in tree.runs(&store, vec![KeyRange::all()]) {
    ///     bytes += run?.iter().map(|(_key, value)| value.len()).sum::<u64>();
    /// }
    /// assert_eq!(bytes, 4);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn iter(&self) -> RunIter<'_> {
        RunIter { pairs: self.page.pair_refs(self.pairs.clone()), reversed: self.reversed }
    }

    /// Iterates over keys and values, each sharing the leaf's memory.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Tree, Value};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(run) = tree.runs(&store, vec![KeyRange::all()]).next().transpose()? else {
    ///     unreachable!("there are pairs")
    /// };
    /// assert_eq!(run.pairs().nth(1), Some(("b".into(), Value::Inline("2".into()))));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (Bytes, Value)> + '_ {
        self.places().map(|index| self.pair(index))
    }

    /// Takes the first pair off.
    pub(crate) fn pop(&mut self) -> Option<(Bytes, Value)> {
        let index = if self.reversed { self.pairs.next_back() } else { self.pairs.next() };
        index.map(|index| self.pair(index))
    }

    /// Returns the least and the greatest key that are left.
    pub(crate) fn bounds(&self) -> Option<(&[u8], &[u8])> {
        let last = self.pairs.end.checked_sub(1).filter(|_| !self.pairs.is_empty())?;
        Some((self.page.key(self.pairs.start), self.page.key(last)))
    }

    fn places(&self) -> impl ExactSizeIterator<Item = usize> + use<> {
        let Range { start, end } = self.pairs;
        let reversed = self.reversed;
        (0..end - start).map(move |place| if reversed { end - 1 - place } else { start + place })
    }

    fn pair(&self, index: usize) -> (Bytes, Value) {
        let value = self.page.value(index).unwrap_or(Value::Inline(Bytes::new()));
        (self.page.key_bytes(index), value)
    }
}

/// Iterates over the pairs of a run, borrowed from their leaf.
///
/// ```
/// # use prolly::{Config, KeyRange, MemoryStore, Tree, ValueRef};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// let Some(run) = tree.runs(&store, vec![KeyRange::all()]).next().transpose()? else {
///     unreachable!("there are pairs")
/// };
/// let mut left = run.iter();
/// assert_eq!(left.next(), Some((&b"a"[..], ValueRef::Inline(b"1"))));
/// assert_eq!(left.len(), 2);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RunIter<'a> {
    pairs: PairRefs<'a>,
    reversed: bool,
}

impl<'a> Iterator for RunIter<'a> {
    type Item = (&'a [u8], ValueRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.reversed { self.pairs.next_back() } else { self.pairs.next() }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pairs.size_hint()
    }

    /// The direction is asked for once, and not for every pair.
    #[inline]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, fold: F) -> B {
        if self.reversed { self.pairs.rev().fold(init, fold) } else { self.pairs.fold(init, fold) }
    }
}

impl ExactSizeIterator for RunIter<'_> {}

impl<'a> IntoIterator for &'a Run {
    type Item = (&'a [u8], ValueRef<'a>);
    type IntoIter = RunIter<'a>;

    fn into_iter(self) -> RunIter<'a> {
        self.iter()
    }
}
