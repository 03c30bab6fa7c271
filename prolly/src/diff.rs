//! What differs between two trees, found without reading what they share.
//!
//! Both trees are cut into *segments*: stretches of keys that begin and end at the same key on both
//! sides, each with the subtrees that cover it on the left and on the right. Subtrees with the same
//! address hold the same pairs, so they drop out, and the segment falls apart around them. What is
//! left is opened, level by level, until the leaves, which are compared pair by pair. So exactly the
//! pages are read that one tree has and the other has not.

pub(crate) mod leaves;
pub(crate) mod segment;

use std::collections::VecDeque;

use bytes::Bytes;

use self::leaves::{Leaves, Progress};
use self::segment::{Scope, Segment, Stretch, foresee, split};
use crate::error::Error;
use crate::page::Value;
use crate::range::{KeyRange, successor};
use crate::saved::{self, SavedError};
use crate::step::{Frontier, Step, open_root};
use crate::store::PageSource;
use crate::tree::Tree;

/// So many segments at most have their pages on the way from memory at once.
const FORESEEN: usize = 32;

/// A key whose value differs, or which only one of two trees has.
///
/// ```
/// # use prolly::{Change, Config, MemoryStore, Tree, Value};
/// # let store = MemoryStore::new();
/// # let left = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
/// # let right = Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?;
///
/// let Some(change) = left.diff(&right, &store)?.next().transpose()? else { unreachable!("they differ") };
/// let removed = Change { key: "a".into(), left: Some(Value::Inline("1".into())), right: None };
/// assert_eq!(change, removed);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// The value in the left tree.
    pub left: Option<Value>,
    /// The value in the right tree.
    pub right: Option<Value>,
}

/// Finds what differs between two trees, in order of keys and in steps.
///
/// Costs the pages that only one of the trees has. Memory: a link for every such page in a stretch
/// where the page boundaries of the trees do not meet; they meet again soon after a change. A comparison
/// can be kept as bytes between two steps: see [`save`](Self::save).
///
/// ```
/// use prolly::{Config, Diff, MemoryStore, Step, Tree};
/// let store = MemoryStore::new();
/// let left = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
/// let right = Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?;
/// let mut diff = Diff::new(left, right)?;
/// let mut keys = Vec::new();
/// while let Step::Ready(Some(change)) = diff.step(&store)? {
///     keys.push((change.key.to_vec(), change.left.is_some(), change.right.is_some()));
/// }
/// assert_eq!(keys, [(b"a".to_vec(), true, false), (b"c".to_vec(), false, true)]);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Diff {
    left: Tree,
    right: Tree,
    scope: Scope,
    /// The key of the change that was handed out last.
    last: Option<Bytes>,
    begun: bool,
    segments: VecDeque<Segment>,
    leaves: Option<Leaves>,
}

/// One of two trees that are compared.
///
/// ```
/// # use prolly::{Config, Diff, MemoryStore, Side, Tree};
/// # let store = MemoryStore::new();
/// # let left = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
/// # let right = Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?;
///
/// let mut ours = Diff::new(left, right)?.only(Side::Left);
/// let change = ours.step(&store)?.complete()?;
/// assert_eq!(change.map(|change| change.key), Some("a".into()));
/// assert_eq!(ours.step(&store)?.complete()?, None);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The tree that the comparison begins from.
    Left,
    /// The tree that it is compared with.
    Right,
}

impl Diff {
    /// Begins to compare.
    ///
    /// ```
    /// # use prolly::{Config, Diff, Error, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let left = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
    /// # let right = Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?;
    ///
    /// assert!(Diff::new(left, right).is_ok());
    /// let other = Tree::empty(&store, Config { key_max: 100, ..Config::default() })?;
    /// assert!(matches!(Diff::new(left, other), Err(Error::ConfigMismatch)));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ConfigMismatch`]: the trees have different configurations.
    pub fn new(left: Tree, right: Tree) -> Result<Self, Error> {
        if left.config != right.config {
            return Err(Error::ConfigMismatch);
        }
        Ok(Self::of(left, right, None, None))
    }

    pub(crate) fn of(left: Tree, right: Tree, range: Option<KeyRange>, only: Option<Side>) -> Self {
        let scope = Scope { config: left.config, range, only };
        Self { left, right, scope, last: None, begun: false, segments: VecDeque::new(), leaves: None }
    }

    /// Compares only the keys of a range. Pages that do not reach into it are not read. To be called
    /// before the first step.
    ///
    /// ```
    /// use prolly::{Config, Diff, KeyRange, MemoryStore, Step, Tree};
    /// let store = MemoryStore::new();
    /// let left = Tree::build(&store, Config::default(), [("node/1", "a"), ("way/1", "b")])?;
    /// let right = left.edit(&store, [("node/2", Some("c")), ("way/1", Some("d"))])?;
    /// let mut ways = Diff::new(left, right)?.within(KeyRange::prefix(b"way/"));
    /// let Step::Ready(Some(change)) = ways.step(&store)? else { unreachable!("all pages are here") };
    /// assert_eq!(change.key, "way/1");
    /// assert_eq!(ways.step(&store)?, Step::Ready(None));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn within(mut self, range: KeyRange) -> Self {
        self.scope.range = Some(range);
        self
    }

    /// Compares one-sidedly: finds what this side has and the other lacks, which is its pairs with a
    /// key that the other has not, or has with another value. Subtrees that only the other side has
    /// are not read. To be called before the first step.
    ///
    /// ```
    /// use prolly::{Config, Diff, MemoryStore, Side, Step, Tree};
    /// let store = MemoryStore::new();
    /// let ours = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
    /// let theirs = Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?;
    /// let mut lacking = Diff::new(ours, theirs)?.only(Side::Right);
    /// let Step::Ready(Some(change)) = lacking.step(&store)? else { unreachable!("all pages are here") };
    /// assert_eq!(change.key, "c");
    /// assert_eq!(lacking.step(&store)?, Step::Ready(None));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn only(mut self, side: Side) -> Self {
        self.scope.only = Some(side);
        self
    }

    /// Compares on to the next change; `None` at the end.
    ///
    /// ```
    /// # use prolly::{Config, Diff, MemoryStore, Step, Tree};
    /// # let store = MemoryStore::new();
    /// # let left = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
    /// # let right = Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?;
    ///
    /// let mut diff = Diff::new(left, right)?;
    /// assert_eq!(diff.step(&MemoryStore::new())?, Step::Missing(vec![left.root, right.root]));
    /// let Step::Ready(Some(change)) = diff.step(&store)? else { unreachable!("all pages are here") };
    /// assert_eq!((change.key, change.right), ("a".into(), None));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Option<Change>>, Error> {
        if self.left.root == self.right.root {
            return Ok(Step::Ready(None));
        }
        if !self.begun
            && let Some(frontier) = self.begin(source)?
        {
            return Ok(frontier.into_step());
        }
        loop {
            if let Some(leaves) = &mut self.leaves {
                if !leaves.open(source, &self.scope)? {
                    return self.missing(source);
                }
                match leaves.next(self.scope.only) {
                    Progress::Change(change) => {
                        self.last = Some(change.key.clone());
                        return Ok(Step::Ready(Some(change)));
                    }
                    Progress::Opening => continue,
                    Progress::Done => self.leaves = None,
                }
            }
            let Some(segment) = self.segments.pop_front() else { return Ok(Step::Ready(None)) };
            if segment.is_leaves() {
                self.leaves = Some(Leaves::new(segment));
                continue;
            }
            match segment.expand(source, &self.scope)? {
                Some(parts) => {
                    foresee(parts.iter().take(FORESEEN).flat_map(|part| part.left.iter().chain(&part.right)));
                    parts.into_iter().rev().for_each(|part| self.segments.push_front(part));
                }
                None => {
                    self.segments.push_front(segment);
                    return self.missing(source);
                }
            }
        }
    }

    /// Writes down what is left to be compared, for [`resume`](Self::resume): changes that were handed
    /// out do not come again. Costs no page, and no memory stays with the store.
    ///
    /// ```
    /// use prolly::{Config, Diff, MemoryStore, Step, Tree};
    /// let store = MemoryStore::new();
    /// let left = Tree::build(&store, Config::default(), [("a", "1")])?;
    /// let right = Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?;
    /// let mut diff = Diff::new(left, right)?;
    /// diff.step(&store)?;
    /// let mut diff = Diff::resume(&diff.save()?)?;
    /// let Step::Ready(Some(change)) = diff.step(&store)? else { unreachable!("all pages are here") };
    /// assert_eq!(change.key, "b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SavedError::TooLong`]: it would be longer than [`MAX_SAVED_BYTES`](crate::MAX_SAVED_BYTES).
    pub fn save(&self) -> Result<Vec<u8>, SavedError> {
        let mut range = self.scope.range.clone().unwrap_or_else(KeyRange::all);
        if self.begun && self.segments.is_empty() && self.leaves.is_none() {
            range = KeyRange { from: Bytes::new(), to: Some(Bytes::new()) };
        } else if let Some(last) = &self.last {
            range.begin_at(&successor(last));
        }
        saved::diff(&self.left, &self.right, self.scope.only, &range)
    }

    /// Goes on with a comparison that was written down.
    ///
    /// ```
    /// # use prolly::{Config, Diff, MemoryStore, Tree};
    /// # let store = MemoryStore::new();
    /// # let left = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
    /// # let right = Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?;
    ///
    /// let saved = Diff::new(left, right)?.save()?;
    /// let mut diff = Diff::resume(&saved)?;
    /// assert!(diff.step(&store)?.complete()?.is_some());
    /// assert!(Diff::resume(b"something else").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// These are not the bytes of a comparison.
    pub fn resume(bytes: &[u8]) -> Result<Self, SavedError> {
        saved::read_diff(bytes)
    }

    /// Ends the comparison here.
    pub(crate) fn stop(&mut self) {
        (self.begun, self.leaves) = (true, None);
        self.segments.clear();
    }

    fn begin<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Option<Frontier>, Error> {
        let mut frontier = Frontier::default();
        let mut open = |tree: &Tree| {
            let page = open_root(source, &tree.config, &tree.root)?;
            if page.is_none() {
                frontier.add(tree.root);
            }
            Ok::<_, Error>(page)
        };
        let (left, right) = (open(&self.left)?, open(&self.right)?);
        let (Some(left), Some(right)) = (left, right) else { return Ok(Some(frontier)) };
        // The empty tree has no subtrees.
        let whole =
            |page: crate::page::Page| Vec::from_iter((!page.is_empty()).then_some(Stretch::Root(page)));
        if self.scope.range.as_ref().is_none_or(|range| !range.is_empty()) {
            self.segments.extend(split(&whole(left), &whole(right), &self.scope));
        }
        self.begun = true;
        Ok(None)
    }

    /// Opens every branch that is here, and reports all pages that are missing.
    fn missing<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Option<Change>>, Error> {
        let mut frontier = Frontier::default();
        for cid in self.leaves.iter().flat_map(Leaves::to_open) {
            if !source.contains(&cid)? {
                frontier.add(cid);
            }
        }
        let mut kept = VecDeque::with_capacity(self.segments.len());
        while let Some(segment) = self.segments.pop_front() {
            if frontier.is_full() {
                kept.push_back(segment);
                kept.append(&mut self.segments);
                break;
            }
            let expanded = if segment.is_leaves() { None } else { segment.expand(source, &self.scope)? };
            if let Some(parts) = expanded {
                parts.into_iter().rev().for_each(|part| self.segments.push_front(part));
                continue;
            }
            for cid in segment.to_open() {
                if !source.contains(&cid)? {
                    frontier.add(cid);
                }
            }
            kept.push_back(segment);
        }
        self.segments = kept;
        Ok(frontier.into_step())
    }
}
