//! Places of pairs in the order of keys: counted from the branches, without reading the leaves between.

use bytes::Bytes;

use crate::error::Error;
use crate::get::descend;
use crate::page::{Page, Value};
use crate::range::KeyRange;
use crate::step::{Frontier, Step, open_root};
use crate::store::PageSource;
use crate::tree::Tree;

/// Counts the pairs whose keys are less than a key, in steps. Costs one page per level.
///
/// ```
/// use prolly::{Config, MemoryStore, Rank, Step, Tree};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("c", "2"), ("e", "3")])?;
/// assert_eq!(Rank::new(tree, "c").step(&store)?, Step::Ready(1));
/// assert_eq!(Rank::new(tree, "d").step(&store)?, Step::Ready(2));
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Rank {
    tree: Tree,
    key: Bytes,
}

impl Rank {
    /// Begins to count.
    #[must_use]
    pub fn new(tree: Tree, key: impl Into<Bytes>) -> Self {
        Self { tree, key: key.into() }
    }

    /// Counts on, from the root: pages already there are soon passed again.
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<u64>, Error> {
        let mut less = 0;
        let leaf = descend(&self.tree, source, |page| {
            let index = page.lower_bound(&self.key);
            less += (0..index).map(|index| page.item_count(index)).sum::<u64>();
            (index < page.len()).then_some(index)
        })?;
        Ok(leaf.map(|leaf| less + leaf.map_or(0, |leaf| leaf.lower_bound(&self.key) as u64)))
    }
}

/// Finds the pair at a place in the order of keys, in steps; the first one is at 0. Costs one page
/// per level.
///
/// ```
/// use prolly::{Config, MemoryStore, Select, Step, Tree};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("c", "2"), ("e", "3")])?;
/// let Step::Ready(Some((key, _))) = Select::new(tree, 1).step(&store)? else { unreachable!("all is here") };
/// assert_eq!(key, "c");
/// assert_eq!(Select::new(tree, 3).step(&store)?, Step::Ready(None));
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Select {
    tree: Tree,
    place: u64,
    from_end: bool,
}

impl Select {
    /// Begins to look for the pair at a place.
    #[must_use]
    pub const fn new(tree: Tree, place: u64) -> Self {
        Self { tree, place, from_end: false }
    }

    /// Begins to look for the pair at a place counted from the last pair, which is at 0.
    ///
    /// ```
    /// use prolly::{Config, MemoryStore, Select, Step, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("c", "2"), ("e", "3")])?;
    /// let Step::Ready(Some((key, _))) = Select::from_end(tree, 0).step(&store)? else {
    ///     unreachable!("all is here")
    /// };
    /// assert_eq!(key, "e");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub const fn from_end(tree: Tree, place: u64) -> Self {
        Self { tree, place, from_end: true }
    }

    /// Looks on, from the root: pages already there are soon passed again.
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(
        &mut self,
        source: &S,
    ) -> Result<Step<Option<(Bytes, Value)>>, Error> {
        // How many pairs of the page stand before the one that is wanted; told by the top page.
        let mut left: Option<u64> = None;
        let begin = |page: &Page| match self.from_end {
            true => page.count().checked_sub(1)?.checked_sub(self.place),
            false => Some(self.place),
        };
        let leaf = descend(&self.tree, source, |page| {
            let mut place = left.or_else(|| begin(page))?;
            for index in 0..page.len() {
                match place.checked_sub(page.item_count(index)) {
                    Some(rest) => place = rest,
                    None => {
                        left = Some(place);
                        return Some(index);
                    }
                }
            }
            None
        })?;
        Ok(leaf.map(|leaf| {
            let leaf = leaf?;
            pair_at(&leaf, left.or_else(|| begin(&leaf))?)
        }))
    }
}

fn pair_at(leaf: &Page, place: u64) -> Option<(Bytes, Value)> {
    let index = usize::try_from(place).ok().filter(|index| *index < leaf.len())?;
    Some((leaf.key_bytes(index), leaf.value(index)?))
}

/// Counts the pairs of a range, in steps. Costs at most two pages per level, however many pairs the
/// range holds: leaves between its ends are counted from the branches above them.
///
/// ```
/// use prolly::{Config, CountRange, KeyRange, MemoryStore, Step, Tree};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a1", ""), ("a2", ""), ("b1", "")])?;
/// assert_eq!(CountRange::new(tree, &KeyRange::prefix(b"a")).step(&store)?, Step::Ready(2));
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct CountRange {
    from: Rank,
    /// `None`: the range ends where the tree does.
    to: Option<Rank>,
}

impl CountRange {
    /// Begins to count.
    #[must_use]
    pub fn new(tree: Tree, range: &KeyRange) -> Self {
        let rank = |key: &Bytes| Rank::new(tree, key.clone());
        Self { from: rank(&range.from), to: range.to.as_ref().map(rank) }
    }

    /// Counts on, from the root: pages already there are soon passed again.
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<u64>, Error> {
        let from = self.from.step(source)?;
        let to = match &mut self.to {
            Some(to) => to.step(source)?,
            None => {
                let Tree { config, root } = self.from.tree;
                open_root(source, &config, &root)?
                    .map_or_else(|| Step::Missing(vec![root]), |page| Step::Ready(page.count()))
            }
        };
        Ok(match (from, to) {
            (Step::Ready(from), Step::Ready(to)) => Step::Ready(to.saturating_sub(from)),
            (from, to) => {
                let mut frontier = Frontier::default();
                for step in [from, to] {
                    if let Step::Missing(cids) = step {
                        cids.into_iter().for_each(|cid| frontier.add(cid));
                    }
                }
                frontier.into_step()
            }
        })
    }
}
