//! Walking over ranges of keys, in order.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use crate::error::Error;
use crate::page::{Link, Page, Value, ValueRef};
use crate::range::{KeyRange, Ranges};
use crate::step::{Frontier, Step, open, open_root, root_link};
use crate::store::PageSource;
use crate::tree::Tree;

/// Walks over all pairs in some ranges of keys, in order and in steps.
///
/// Costs the pages on the way to the ranges and under them, each once: what lies between the ranges
/// is not read. A source that lacks pages is told of the whole level below at once, so a walk over
/// a remote tree costs one round trip per level, however wide the ranges are.
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
    begun: bool,
    /// Subtrees still to be walked, in order.
    queue: VecDeque<Link>,
    leaf: Option<OpenLeaf>,
}

#[derive(Debug)]
struct OpenLeaf {
    page: Page,
    /// The next pair.
    index: usize,
    /// The range that the next pair may belong to.
    range: usize,
}

/// Pairs that stand side by side in one leaf.
#[derive(Debug, Clone)]
pub struct Run {
    page: Page,
    pairs: Range<usize>,
}

impl Run {
    /// Iterates over keys and values, in order, borrowed from the leaf: the quickest way to look at
    /// many pairs.
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
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], ValueRef<'_>)> {
        let value = |index| self.page.value_ref(index).unwrap_or(ValueRef::Inline(&[]));
        self.pairs.clone().map(move |index| (self.page.key(index), value(index)))
    }

    /// Iterates over keys and values, in order, each sharing the leaf's memory.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (Bytes, Value)> + '_ {
        self.pairs.clone().map(|index| self.pair(index))
    }

    fn pair(&self, index: usize) -> (Bytes, Value) {
        let value = self.page.value(index).unwrap_or(Value::Inline(Bytes::new()));
        (self.page.key_bytes(index), value)
    }

    /// Takes the first pair off.
    pub(crate) fn pop(&mut self) -> Option<(Bytes, Value)> {
        self.pairs.next().map(|index| self.pair(index))
    }
}

impl Scan {
    /// Begins to walk. The ranges may overlap and come in any order.
    #[must_use]
    pub fn new(tree: Tree, ranges: Vec<KeyRange>) -> Self {
        Self::over(tree, Ranges::any(ranges))
    }

    /// Begins to walk over all keys that begin with one of these prefixes, which may come in any
    /// order. Takes less memory than a range for each.
    #[must_use]
    pub fn prefixes<const N: usize>(tree: Tree, prefixes: Vec<[u8; N]>) -> Self {
        Self::over(tree, Ranges::prefixes(prefixes))
    }

    const fn over(tree: Tree, ranges: Ranges) -> Self {
        Self { tree, ranges, begun: false, queue: VecDeque::new(), leaf: None }
    }

    /// Walks on to the next run of pairs; `None` at the end.
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Option<Run>>, Error> {
        if !self.begun {
            let Some(page) = open_root(source, &self.tree.config, &self.tree.root)? else {
                return Ok(Step::Missing(vec![self.tree.root]));
            };
            self.begun = true;
            self.queue.extend(root_link(&page).filter(|_| self.ranges.len() > 0));
        }
        loop {
            if let Some(run) = self.next_run() {
                return Ok(Step::Ready(Some(run)));
            }
            let Some(link) = self.queue.front() else { return Ok(Step::Ready(None)) };
            let Some(page) = open(source, &self.tree.config, link)? else {
                return self.missing(source);
            };
            let Some(link) = self.queue.pop_front() else { continue };
            let range = self.first_range(link.after.as_ref());
            if page.level() == 0 {
                self.leaf = Some(OpenLeaf { page, index: 0, range });
            } else {
                let children = self.children(&page, &link, range);
                children.into_iter().rev().for_each(|child| self.queue.push_front(child));
            }
        }
    }

    /// Returns the first range that reaches beyond a key.
    fn first_range(&self, after: Option<&Bytes>) -> usize {
        after.map_or(0, |after| self.ranges.first_behind(after))
    }

    /// Returns the next pairs of the open leaf that belong to a range.
    fn next_run(&mut self) -> Option<Run> {
        let leaf = self.leaf.as_mut()?;
        let page = &leaf.page;
        while let Some(from) = self.ranges.from(leaf.range).filter(|_| leaf.index < page.len()) {
            // Ranges that end before the next pair are passed over at once.
            if self.ranges.ends_before(leaf.range, page.key(leaf.index)) {
                leaf.range = self.ranges.first_from(page.key(leaf.index));
                continue;
            }
            let start = page.lower_bound_from(leaf.index, |key| key < from);
            let end = page.lower_bound_from(start, |key| !self.ranges.ends_before(leaf.range, key));
            leaf.range += 1;
            leaf.index = end;
            if start < end {
                return Some(Run { page: page.clone(), pairs: start..end });
            }
        }
        self.leaf = None;
        None
    }

    /// Returns the children of a branch that ranges reach into.
    fn children(&self, page: &Page, link: &Link, mut range: usize) -> Vec<Link> {
        let mut children = Vec::new();
        let mut index = 0;
        while let Some(from) = self.ranges.from(range) {
            index = page.lower_bound_from(index, |key| key < from);
            if index >= page.len() {
                break;
            }
            let Some(child) = page.link(index, link.after.as_ref()) else { break };
            match &child.after {
                Some(after) if self.ranges.ends_with(range, after) => {
                    range = self.ranges.first_behind(after);
                }
                _ => {
                    children.push(child);
                    index += 1;
                }
            }
        }
        children
    }

    /// Opens every branch that is here, and reports all pages that are missing.
    fn missing<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Option<Run>>, Error> {
        let mut frontier = Frontier::default();
        let mut kept = VecDeque::with_capacity(self.queue.len());
        while let Some(link) = self.queue.pop_front() {
            if frontier.is_full() {
                kept.push_back(link);
                kept.append(&mut self.queue);
                break;
            }
            if link.level == 0 {
                if !source.contains(&link.cid)? {
                    frontier.add(link.cid);
                }
                kept.push_back(link);
                continue;
            }
            match open(source, &self.tree.config, &link)? {
                None => {
                    frontier.add(link.cid);
                    kept.push_back(link);
                }
                Some(page) => {
                    let range = self.first_range(link.after.as_ref());
                    let children = self.children(&page, &link, range);
                    children.into_iter().rev().for_each(|child| self.queue.push_front(child));
                }
            }
        }
        self.queue = kept;
        Ok(frontier.into_step())
    }
}

impl Tree {
    /// Iterates over the pairs in any of these ranges, in order, many at once. Costs the pages on the
    /// way to the ranges and under them, each once.
    pub fn runs<S: PageSource>(&self, source: S, ranges: Vec<KeyRange>) -> Runs<S> {
        Runs { scan: Scan::new(*self, ranges), source }
    }
}

/// Iterates over pairs of a tree, those of one leaf at once. After an error it ends.
#[derive(Debug)]
pub struct Runs<S> {
    scan: Scan,
    source: S,
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

impl Scan {
    /// Ends the walk here.
    pub(crate) fn stop(&mut self) {
        (self.begun, self.leaf) = (true, None);
        self.queue.clear();
    }
}
