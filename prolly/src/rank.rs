//! Places of pairs in the order of keys: counted from the branches, without reading the leaves between.

use bytes::Bytes;

use crate::error::Error;
use crate::get::descend;
use crate::page::{Page, Value};
use crate::step::Step;
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
}

impl Select {
    /// Begins to look for the pair at a place.
    #[must_use]
    pub const fn new(tree: Tree, place: u64) -> Self {
        Self { tree, place }
    }

    /// Looks on, from the root: pages already there are soon passed again.
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(
        &mut self,
        source: &S,
    ) -> Result<Step<Option<(Bytes, Value)>>, Error> {
        let mut left = self.place;
        let leaf = descend(&self.tree, source, |page| {
            for index in 0..page.len() {
                match left.checked_sub(page.item_count(index)) {
                    Some(rest) => left = rest,
                    None => return Some(index),
                }
            }
            None
        })?;
        Ok(leaf.map(|leaf| pair_at(&leaf?, left)))
    }
}

fn pair_at(leaf: &Page, place: u64) -> Option<(Bytes, Value)> {
    let index = usize::try_from(place).ok().filter(|index| *index < leaf.len())?;
    Some((leaf.key_bytes(index), leaf.value(index)?))
}
