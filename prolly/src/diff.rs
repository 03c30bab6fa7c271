//! What differs between two trees, found without reading what they share.
//!
//! Both trees are cut into *segments*: stretches of keys that begin and end at the same key on both
//! sides, each with the subtrees that cover it on the left and on the right. Subtrees with the same
//! address hold the same pairs, so they drop out, and the segment falls apart around them. What is
//! left is opened, level by level, until the leaves, which are compared pair by pair. So exactly the
//! pages are read that one tree has and the other has not.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::error::Error;
use crate::page::{Link, Page, Value};
use crate::step::{Frontier, Step, open, open_root, root_link};
use crate::store::PageSource;
use crate::tree::Tree;

/// A key whose value differs, or which only one of two trees has.
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
/// where the page boundaries of the trees do not meet; they meet again soon after a change.
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
    begun: bool,
    segments: VecDeque<Segment>,
    leaves: Option<Leaves>,
}

/// A stretch of keys, and the subtrees that cover it: all on one level on each side.
#[derive(Debug)]
struct Segment {
    left: Vec<Link>,
    right: Vec<Link>,
}

/// Leaves of both sides that are being compared.
#[derive(Debug)]
struct Leaves {
    left: Side,
    right: Side,
}

#[derive(Debug)]
struct Side {
    next: VecDeque<Link>,
    open: Option<(Page, usize)>,
}

impl Diff {
    /// Begins to compare.
    ///
    /// # Errors
    /// [`Error::ConfigMismatch`]: the trees have different configurations.
    pub fn new(left: Tree, right: Tree) -> Result<Self, Error> {
        if left.config != right.config {
            return Err(Error::ConfigMismatch);
        }
        Ok(Self { left, right, begun: false, segments: VecDeque::new(), leaves: None })
    }

    /// Compares on to the next change; `None` at the end.
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
                if !leaves.open(source, &self.left)? {
                    return self.missing(source);
                }
                match leaves.next() {
                    Progress::Change(change) => return Ok(Step::Ready(Some(change))),
                    Progress::Opening => continue,
                    Progress::Done => self.leaves = None,
                }
            }
            let Some(segment) = self.segments.pop_front() else { return Ok(Step::Ready(None)) };
            if segment.is_leaves() {
                self.leaves = Some(Leaves { left: Side::new(segment.left), right: Side::new(segment.right) });
                continue;
            }
            match segment.expand(source, &self.left)? {
                Ok(parts) => parts.into_iter().rev().for_each(|part| self.segments.push_front(part)),
                Err(segment) => {
                    self.segments.push_front(segment);
                    return self.missing(source);
                }
            }
        }
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
        let (left, right) = (Vec::from_iter(root_link(&left)), Vec::from_iter(root_link(&right)));
        self.segments.extend(split(pieces(None, &left), pieces(None, &right)));
        self.begun = true;
        Ok(None)
    }

    /// Opens every branch that is here, and reports all pages that are missing.
    fn missing<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Option<Change>>, Error> {
        let mut frontier = Frontier::default();
        let waiting = self.leaves.iter().flat_map(|leaves| leaves.left.next.iter().chain(&leaves.right.next));
        for link in waiting {
            if !source.contains(&link.cid)? {
                frontier.add(link.cid);
            }
        }
        let mut kept = VecDeque::with_capacity(self.segments.len());
        while let Some(segment) = self.segments.pop_front() {
            if frontier.is_full() {
                kept.push_back(segment);
                kept.append(&mut self.segments);
                break;
            }
            let expanded =
                if segment.is_leaves() { Err(segment) } else { segment.expand(source, &self.left)? };
            let segment = match expanded {
                Ok(parts) => {
                    parts.into_iter().rev().for_each(|part| self.segments.push_front(part));
                    continue;
                }
                Err(segment) => segment,
            };
            for link in segment.to_open() {
                if !source.contains(&link.cid)? {
                    frontier.add(link.cid);
                }
            }
            kept.push_back(segment);
        }
        self.segments = kept;
        Ok(frontier.into_step())
    }
}

impl Segment {
    fn level(side: &[Link]) -> Option<u8> {
        side.first().map(|link| link.level)
    }

    fn is_leaves(&self) -> bool {
        Self::level(&self.left).unwrap_or(0) == 0 && Self::level(&self.right).unwrap_or(0) == 0
    }

    /// Tells which sides are to be opened next: the higher one, or both. `None` sorts lowest.
    fn higher(&self) -> (bool, bool) {
        let (left, right) = (Self::level(&self.left), Self::level(&self.right));
        (left >= right && left.is_some(), right >= left && right.is_some())
    }

    fn to_open(&self) -> impl Iterator<Item = &Link> {
        let (left, right) = self.higher();
        let left = self.left.iter().filter(move |_| left);
        left.chain(self.right.iter().filter(move |_| right))
    }

    /// Opens the higher side, or both, and splits what comes out. Gives the segment back if a page
    /// is missing.
    fn expand<S>(self, source: &S, tree: &Tree) -> Result<Result<Vec<Self>, Self>, Error>
    where
        S: PageSource + ?Sized,
    {
        let (open_left, open_right) = self.higher();
        let left = if open_left { branches(&self.left, source, tree)? } else { None };
        let right = if open_right { branches(&self.right, source, tree)? } else { None };
        if (open_left && left.is_none()) || (open_right && right.is_none()) {
            return Ok(Err(self));
        }
        Ok(Ok(split(pieces(left.as_deref(), &self.left), pieces(right.as_deref(), &self.right))))
    }

    /// Adds the part to the others. Where one side is empty, every subtree stands for itself.
    fn finish(&mut self, parts: &mut Vec<Self>) {
        let (left, right) = (std::mem::take(&mut self.left), std::mem::take(&mut self.right));
        if right.is_empty() {
            parts.extend(left.into_iter().map(|link| Self { left: vec![link], right: Vec::new() }));
        } else if left.is_empty() {
            parts.extend(right.into_iter().map(|link| Self { left: Vec::new(), right: vec![link] }));
        } else {
            parts.push(Self { left, right });
        }
    }
}

/// A branch that was opened, and the lower bound of its keys.
type Branch = (Page, Option<Bytes>);

/// Opens all of these branches. `None`: one is missing.
fn branches<S>(links: &[Link], source: &S, tree: &Tree) -> Result<Option<Vec<Branch>>, Error>
where
    S: PageSource + ?Sized,
{
    let open = |link: &Link| Ok(open(source, &tree.config, link)?.map(|page| (page, link.after.clone())));
    links.iter().map(open).collect()
}

/// A subtree on one side of a segment. Most children of opened branches are shared with the other
/// side, and dropped without a link being made for them.
#[derive(Clone, Copy)]
enum Piece<'a> {
    Link(&'a Link),
    Child(&'a Branch, usize),
}

/// Returns the subtrees of a side: the children of its branches if these were opened.
fn pieces<'a>(opened: Option<&'a [Branch]>, links: &'a [Link]) -> impl Iterator<Item = Piece<'a>> {
    let unopened = if opened.is_some() { &[] } else { links };
    let children = |branch: &'a Branch| (0..branch.0.len()).map(move |index| Piece::Child(branch, index));
    opened.unwrap_or_default().iter().flat_map(children).chain(unopened.iter().map(Piece::Link))
}

impl<'a> Piece<'a> {
    fn last(self) -> &'a [u8] {
        match self {
            Self::Link(link) => &link.last,
            Self::Child((page, _), index) => page.key(index),
        }
    }

    fn hash(self) -> &'a [u8] {
        match self {
            Self::Link(link) => link.cid.as_bytes(),
            Self::Child((page, _), index) => page.encoded_value(index),
        }
    }

    fn into_link(self) -> Option<Link> {
        match self {
            Self::Link(link) => Some(link.clone()),
            Self::Child((page, after), index) => page.link(index, after.as_ref()),
        }
    }
}

/// Cuts a stretch of keys wherever a subtree on the left and one on the right end at the same key,
/// and drops the subtrees that both sides share.
fn split<'a>(left: impl Iterator<Item = Piece<'a>>, right: impl Iterator<Item = Piece<'a>>) -> Vec<Segment> {
    let mut parts = Vec::new();
    let mut part = Segment { left: Vec::new(), right: Vec::new() };
    let (mut left, mut right) = (left.peekable(), right.peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) => a.last().cmp(b.last()),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => break,
        };
        let a = if order.is_le() { left.next() } else { None };
        let b = if order.is_ge() { right.next() } else { None };
        let shared = matches!((a, b), (Some(a), Some(b)) if a.hash() == b.hash());
        if !shared {
            part.left.extend(a.and_then(Piece::into_link));
            part.right.extend(b.and_then(Piece::into_link));
        }
        if order.is_eq() {
            part.finish(&mut parts);
        }
    }
    part.finish(&mut parts);
    parts
}

enum Progress {
    Change(Change),
    /// A leaf is used up: the next one must be opened.
    Opening,
    Done,
}

impl Leaves {
    /// Opens the next leaf where the open one is used up. `false`: it is missing.
    fn open<S: PageSource + ?Sized>(&mut self, source: &S, tree: &Tree) -> Result<bool, Error> {
        Ok(self.left.open(source, tree)? && self.right.open(source, tree)?)
    }

    fn next(&mut self) -> Progress {
        loop {
            let (Some((a, i)), Some((b, j))) = (&mut self.left.open, &mut self.right.open) else {
                return self.rest();
            };
            // Most pairs are the same on both sides: nothing is taken out of the leaves for them.
            let shared = a.pairs_shared(*i, b, *j);
            if shared > 0 {
                self.left.skip(shared);
                self.right.skip(shared);
                if self.left.must_open() || self.right.must_open() {
                    return Progress::Opening;
                }
                continue;
            }
            let order = a.key(*i).cmp(b.key(*j));
            let key = if order.is_le() { a.key_bytes(*i) } else { b.key_bytes(*j) };
            let left = if order.is_le() { self.left.take() } else { None };
            let right = if order.is_ge() { self.right.take() } else { None };
            return Progress::Change(Change { key, left, right });
        }
    }

    /// Goes on where at most one side has an open leaf.
    fn rest(&mut self) -> Progress {
        if self.left.must_open() || self.right.must_open() {
            return Progress::Opening;
        }
        let (left, right) = (self.left.key(), self.right.key());
        let Some(key) = left.clone().or(right) else { return Progress::Done };
        let (left, right) = if left.is_some() { (self.left.take(), None) } else { (None, self.right.take()) };
        Progress::Change(Change { key, left, right })
    }
}

impl Side {
    fn new(links: Vec<Link>) -> Self {
        Self { next: links.into(), open: None }
    }

    fn must_open(&self) -> bool {
        self.open.is_none() && !self.next.is_empty()
    }

    fn open<S: PageSource + ?Sized>(&mut self, source: &S, tree: &Tree) -> Result<bool, Error> {
        if !self.must_open() {
            return Ok(true);
        }
        let Some(link) = self.next.front() else { return Ok(true) };
        let Some(page) = open(source, &tree.config, link)? else { return Ok(false) };
        self.next.pop_front();
        self.open = Some((page, 0));
        Ok(true)
    }

    fn key(&self) -> Option<Bytes> {
        self.open.as_ref().map(|(page, index)| page.key_bytes(*index))
    }

    /// Takes the next value, and closes the leaf after its last.
    fn take(&mut self) -> Option<Value> {
        let (page, index) = self.open.as_mut()?;
        let value = page.value(*index);
        self.skip(1);
        value
    }

    /// Passes over pairs of the open leaf, and closes it after its last.
    fn skip(&mut self, pairs: usize) {
        if let Some((page, index)) = &mut self.open {
            *index += pairs;
            if *index == page.len() {
                self.open = None;
            }
        }
    }
}
