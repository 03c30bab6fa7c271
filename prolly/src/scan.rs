//! Walking over ranges of keys, in order.

use std::ops::Range;

use crate::error::Error;
use crate::page::Page;
use crate::range::{KeyRange, Ranges, successor};
use crate::run::Run;
use crate::saved::{self, SavedError};
use crate::step::{Frontier, Step, open_child, open_root};
use crate::store::PageSource;
use crate::tree::Tree;

/// Walks over all pairs in some ranges of keys, in order or in reverse, in steps.
///
/// Costs the pages on the way to the ranges and under them, each once: what lies between the ranges
/// is not read. A source that lacks pages is told of the whole level below at once, so a walk over
/// a remote tree costs one round trip per level, however wide the ranges are. Memory: one page per
/// level. A walk can be kept as bytes between two steps: see [`save`](Self::save).
///
/// ```
/// use prolly::{Config, KeyRange, MemoryStore, Scan, Step, Tree};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// let mut scan = Scan::new(tree, vec![KeyRange::point(b"a"), KeyRange::point(b"c")]);
/// let mut keys = Vec::new();
/// while let Step::Ready(Some(run)) = scan.step(&store)? {
///     keys.extend(run.pairs().map(|(key, _)| key.to_vec()));
/// }
/// assert_eq!(keys, [b"a", b"c"]);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Scan {
    tree: Tree,
    ranges: Ranges,
    reversed: bool,
    begun: bool,
    /// The ranges that what follows may belong to.
    left: Range<usize>,
    /// The branches above the open leaf, from the root.
    path: Vec<Turn>,
    leaf: Option<Turn>,
    walked: Walked,
}

/// What a walk has read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Walked {
    pub(crate) pages: u64,
    pub(crate) bytes: u64,
    /// The levels of the tree.
    pub(crate) height: u8,
}

/// A page on the way, and its children or pairs that were not walked over.
#[derive(Debug)]
struct Turn {
    page: Page,
    left: Range<usize>,
}

impl Turn {
    fn new(page: Page) -> Self {
        Self { left: 0..page.len(), page }
    }

    /// Returns the key behind which the child begins that was taken last, if this page tells it.
    fn after_taken(&self, reversed: bool) -> Option<&[u8]> {
        let before = if reversed { self.left.end.checked_sub(1) } else { self.left.start.checked_sub(2) };
        before.map(|before| self.page.key(before))
    }
}

impl Scan {
    /// Begins to walk. The ranges may overlap and come in any order.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Scan, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let overlapping = vec![KeyRange::new(&("b"..)), KeyRange::new(&("a".."c"))];
    /// let mut scan = Scan::new(tree, overlapping);
    /// let Some(run) = scan.step(&store)?.complete()? else { unreachable!("there are pairs") };
    /// assert_eq!(run.len(), 3, "each pair once");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn new(tree: Tree, ranges: Vec<KeyRange>) -> Self {
        Self::over(tree, Ranges::any(ranges), false)
    }

    /// Begins to walk over all keys that begin with one of these prefixes, which may come in any
    /// order. Takes less memory than a range for each.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Scan, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut scan = Scan::prefixes(tree, vec![*b"c", *b"a"]);
    /// let mut keys = Vec::new();
    /// while let Some(run) = scan.step(&store)?.complete()? {
    ///     keys.extend(run.pairs().map(|(key, _)| key));
    /// }
    /// assert_eq!(keys, ["a", "c"]);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn prefixes<const N: usize>(tree: Tree, prefixes: Vec<[u8; N]>) -> Self {
        Self::over(tree, Ranges::prefixes(prefixes), false)
    }

    pub(crate) fn of(tree: Tree, ranges: Vec<KeyRange>, reversed: bool) -> Self {
        Self::over(tree, Ranges::any(ranges), reversed)
    }

    fn over(tree: Tree, ranges: Ranges, reversed: bool) -> Self {
        let left = 0..ranges.len();
        Self {
            tree,
            ranges,
            reversed,
            begun: false,
            left,
            path: Vec::new(),
            leaf: None,
            walked: Walked::default(),
        }
    }

    /// Walks over what is left from its other end.
    ///
    /// ```
    /// use prolly::{Config, KeyRange, MemoryStore, Scan, Step, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut scan = Scan::new(tree, vec![KeyRange::all()]).reversed();
    /// let Step::Ready(Some(run)) = scan.step(&store)? else { unreachable!("all pages are here") };
    /// assert_eq!(run.iter().next().map(|(key, _)| key), Some(&b"c"[..]));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn reversed(self) -> Self {
        let ranges = if self.begun { Ranges::Any(self.remaining()) } else { self.ranges };
        Self::over(self.tree, ranges, !self.reversed)
    }

    /// Writes down what is left of the walk, for [`resume`](Self::resume): pairs that were handed out
    /// do not come again. Costs no page, and no memory stays with the store.
    ///
    /// ```
    /// use prolly::{Config, KeyRange, MemoryStore, Scan, Step, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let ranges = vec![KeyRange::point(b"a"), KeyRange::point(b"c")];
    /// let mut scan = Scan::new(tree, ranges);
    /// scan.step(&store)?;
    /// let mut scan = Scan::resume(&scan.save()?)?;
    /// let Step::Ready(Some(run)) = scan.step(&store)? else { unreachable!("all pages are here") };
    /// assert_eq!(run.iter().next().map(|(key, _)| key), Some(&b"c"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SavedError::TooLong`]: it would be longer than [`MAX_SAVED_BYTES`](crate::MAX_SAVED_BYTES).
    pub fn save(&self) -> Result<Vec<u8>, SavedError> {
        saved::scan(&self.tree, self.reversed, &self.remaining())
    }

    /// Goes on with a walk that was written down.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Scan, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let saved = Scan::new(tree, vec![KeyRange::point(b"b")]).save()?;
    /// let mut scan = Scan::resume(&saved)?;
    /// assert_eq!(scan.step(&store)?.complete()?.map(|run| run.len()), Some(1));
    /// assert!(Scan::resume(b"something else").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// These are not the bytes of a walk.
    pub fn resume(bytes: &[u8]) -> Result<Self, SavedError> {
        saved::read_scan(bytes)
    }

    /// Returns the tree that is walked over.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Scan, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// assert_eq!(*Scan::new(tree, vec![KeyRange::all()]).tree(), tree);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Tells whether the walk goes from the greatest key to the least.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Scan, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let scan = Scan::new(tree, vec![KeyRange::all()]);
    /// assert!(!scan.is_reversed());
    /// assert!(scan.reversed().is_reversed());
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub const fn is_reversed(&self) -> bool {
        self.reversed
    }

    /// Walks on to the next run of pairs; `None` at the end.
    ///
    /// ```
    /// # use prolly::{Config, KeyRange, MemoryStore, Scan, Step, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut scan = Scan::new(tree, vec![KeyRange::all()]);
    /// // A source that lacks pages is told which; the walk goes on when they are there.
    /// assert!(matches!(scan.step(&MemoryStore::new())?, Step::Missing(cids) if cids == [tree.root]));
    /// assert!(matches!(scan.step(&store)?, Step::Ready(Some(run)) if run.len() == 3));
    /// assert!(matches!(scan.step(&store)?, Step::Ready(None)));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Option<Run>>, Error> {
        if !self.begun {
            let Some(page) = open_root(source, &self.tree.config, &self.tree.root)? else {
                return Ok(Step::Missing(vec![self.tree.root]));
            };
            self.begun = true;
            self.enter(page);
        }
        loop {
            if let Some(run) = self.next_run() {
                return Ok(Step::Ready(Some(run)));
            }
            self.leaf = None;
            let Some((turn, above)) = self.path.split_last_mut() else { return Ok(Step::Ready(None)) };
            let walk = Walk { ranges: &self.ranges, reversed: self.reversed };
            let after = walk.after(above);
            let Some(index) = walk.next_child(turn, after, &mut self.left) else {
                self.path.pop();
                continue;
            };
            let Some(page) = open_child(source, &self.tree.config, &turn.page, index, after)? else {
                return self.missing(source);
            };
            walk.pass(turn, index);
            self.enter(page);
        }
    }

    pub(crate) const fn walked(&self) -> &Walked {
        &self.walked
    }

    fn enter(&mut self, page: Page) {
        self.walked.pages += 1;
        self.walked.bytes += page.bytes().len() as u64;
        self.walked.height = self.walked.height.max(page.level().saturating_add(1));
        let turn = Turn::new(page);
        if turn.page.level() > 0 {
            self.path.push(turn);
            return;
        }
        self.leaf = Some(turn);
        if let Some(Turn { page, left }) = self.path.last().filter(|branch| branch.left.len() > 1) {
            let (next, after_next) =
                if self.reversed { (left.end - 1, left.end - 2) } else { (left.start, left.start + 1) };
            page.foresee(next, after_next);
        }
    }

    /// Returns the next pairs of the open leaf that belong to a range.
    fn next_run(&mut self) -> Option<Run> {
        let leaf = self.leaf.as_mut()?;
        let walk = Walk { ranges: &self.ranges, reversed: self.reversed };
        let pairs = walk.next_pairs(leaf, &mut self.left)?;
        Some(Run::new(leaf.page.clone(), pairs, self.reversed))
    }

    /// Reports all pages that are missing on the way that is left.
    fn missing<S: PageSource + ?Sized>(&self, source: &S) -> Result<Step<Option<Run>>, Error> {
        let walk = Walk { ranges: &self.ranges, reversed: self.reversed };
        let frontier = Frontier::default();
        let mut search = Search { source, tree: &self.tree, walk, left: self.left.clone(), frontier };
        for (depth, Turn { page, left }) in self.path.iter().enumerate().rev() {
            let after = walk.after(&self.path[..depth]);
            search.explore(Turn { page: page.clone(), left: left.clone() }, after)?;
        }
        Ok(search.frontier.into_step())
    }

    /// Returns the ranges that are left, in order.
    pub(crate) fn remaining(&self) -> Vec<KeyRange> {
        let mut ranges = self.ranges.part(self.left.clone());
        if !self.begun {
            return ranges;
        }
        let mut turns = self.path.iter().chain(&self.leaf).rev();
        let Some(deepest) = turns.next() else { return Vec::new() };
        let Turn { page, left } = deepest;
        let bound = if self.reversed { left.end } else { left.start };
        let bound = bound.checked_sub(1).map(|before| page.key(before));
        let bound = bound.or_else(|| turns.find_map(|turn| turn.after_taken(self.reversed)));
        match bound.map(successor) {
            Some(bound) if self.reversed => ranges.iter_mut().for_each(|range| range.end_at(&bound)),
            Some(bound) => ranges.iter_mut().for_each(|range| range.begin_at(&bound)),
            None if self.reversed => ranges.clear(),
            None => {}
        }
        ranges.retain(|range| !range.is_empty());
        ranges
    }

    /// Ends the walk here.
    pub(crate) fn stop(&mut self) {
        (self.begun, self.leaf) = (true, None);
        self.path.clear();
    }
}

/// Where to go next.
#[derive(Clone, Copy)]
struct Walk<'a> {
    ranges: &'a Ranges,
    reversed: bool,
}

impl Walk<'_> {
    /// Returns the key behind which the children of a branch begin, from the branches above it.
    fn after<'p>(&self, above: &'p [Turn]) -> Option<&'p [u8]> {
        above.iter().rev().find_map(|turn| turn.after_taken(self.reversed))
    }

    /// Returns the next child of a branch that a range reaches into; all keys of the branch are behind
    /// a key. Ranges that do not reach so far are passed over.
    fn next_child(&self, turn: &Turn, after: Option<&[u8]>, ranges: &mut Range<usize>) -> Option<usize> {
        if self.reversed {
            self.child_before(turn, after, ranges)
        } else {
            self.child_behind(turn, after, ranges)
        }
    }

    fn child_behind(&self, turn: &Turn, after: Option<&[u8]>, ranges: &mut Range<usize>) -> Option<usize> {
        let (page, mut index) = (&turn.page, turn.left.start);
        while ranges.start < ranges.end {
            let from = self.ranges.from(ranges.start)?;
            if !from.is_empty() {
                index = page.lower_bound_from(index, |key| key < from);
            }
            if index >= turn.left.end {
                return None;
            }
            match index.checked_sub(1).map(|before| page.key(before)).or(after) {
                Some(after) if self.ranges.ends_with(ranges.start, after) => {
                    ranges.start = self.ranges.first_behind(ranges.start, after);
                }
                _ => return Some(index),
            }
        }
        None
    }

    fn child_before(&self, turn: &Turn, after: Option<&[u8]>, ranges: &mut Range<usize>) -> Option<usize> {
        let page = &turn.page;
        let last = turn.left.end.checked_sub(1)?;
        while let Some(range) = ranges.end.checked_sub(1).filter(|range| *range >= ranges.start) {
            if page.key(last) < self.ranges.from(range)? {
                ranges.end = self.ranges.begun_by(page.key(last)).max(ranges.start);
                continue;
            }
            // The last child that begins before the range ends.
            let begins = |index: usize| match index.checked_sub(1).map(|before| page.key(before)).or(after) {
                Some(after) => !self.ranges.ends_with(range, after),
                None => true,
            };
            if begins(last) {
                return Some(last);
            }
            return partition(0..last, begins).checked_sub(1);
        }
        None
    }

    /// Notes that a child was taken.
    fn pass(&self, turn: &mut Turn, index: usize) {
        if self.reversed {
            turn.left.end = index;
        } else {
            turn.left.start = index + 1;
        }
    }

    /// Takes the next pairs of a leaf that belong to a range.
    fn next_pairs(&self, leaf: &mut Turn, ranges: &mut Range<usize>) -> Option<Range<usize>> {
        if self.reversed { self.pairs_before(leaf, ranges) } else { self.pairs_behind(leaf, ranges) }
    }

    fn pairs_behind(&self, leaf: &mut Turn, ranges: &mut Range<usize>) -> Option<Range<usize>> {
        let Turn { page, left } = leaf;
        while ranges.start < ranges.end && left.start < left.end {
            let range = ranges.start;
            if self.ranges.ends_before(range, page.key(left.start)) {
                ranges.start = self.ranges.first_from(range, page.key(left.start));
                continue;
            }
            let from = self.ranges.from(range)?;
            let start = if from.is_empty() {
                left.start
            } else {
                page.lower_bound_from(left.start, |key| key < from)
            };
            left.start = start;
            if start == left.end {
                return None;
            }
            left.start = if self.ranges.ends_before(range, page.key(left.end - 1)) {
                ranges.start += 1;
                page.lower_bound_from(start, |key| !self.ranges.ends_before(range, key))
            } else {
                left.end
            };
            if start < left.start {
                return Some(start..left.start);
            }
        }
        None
    }

    fn pairs_before(&self, leaf: &mut Turn, ranges: &mut Range<usize>) -> Option<Range<usize>> {
        let Turn { page, left } = leaf;
        while let (Some(last), Some(range)) = (left.end.checked_sub(1), ranges.end.checked_sub(1))
            && range >= ranges.start
        {
            let from = self.ranges.from(range)?;
            if page.key(last) < from {
                ranges.end = self.ranges.begun_by(page.key(last)).max(ranges.start);
                continue;
            }
            let end = partition(0..left.end, |index| !self.ranges.ends_before(range, page.key(index)));
            let start = if page.key(0) < from { page.lower_bound(from) } else { 0 };
            left.end = start;
            if start > 0 {
                ranges.end = range;
            }
            if start < end {
                return Some(start..end);
            }
        }
        None
    }
}

/// Returns the first place for which this does not hold, as it does for all before it.
fn partition(places: Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (places.start, places.end);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// Looks for missing pages ahead of a walk.
struct Search<'a, S: ?Sized> {
    source: &'a S,
    tree: &'a Tree,
    walk: Walk<'a>,
    left: Range<usize>,
    frontier: Frontier,
}

impl<S: PageSource + ?Sized> Search<'_, S> {
    fn explore(&mut self, mut turn: Turn, after: Option<&[u8]>) -> Result<(), Error> {
        while !self.frontier.is_full()
            && let Some(index) = self.walk.next_child(&turn, after, &mut self.left)
            && let Some(cid) = turn.page.child(index)
        {
            // A leaf is not looked into: that it is there is enough.
            let is_leaf = turn.page.level() == 1;
            if is_leaf && !self.source.contains(&cid)? {
                self.frontier.add(cid);
            }
            if !is_leaf {
                match open_child(self.source, &self.tree.config, &turn.page, index, after)? {
                    None => self.frontier.add(cid),
                    Some(branch) => {
                        let before = index.checked_sub(1).map(|before| turn.page.key(before));
                        self.explore(Turn::new(branch), before.or(after))?;
                    }
                }
            }
            self.walk.pass(&mut turn, index);
        }
        Ok(())
    }
}
