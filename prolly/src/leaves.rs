//! The addresses of all leaves of a tree, without reading a leaf.

use std::collections::VecDeque;

use crate::cid::Cid;
use crate::error::Error;
use crate::step::{Child, Frontier, Step, open_root};
use crate::store::PageSource;
use crate::tree::Tree;

/// Lists the addresses of a tree's leaves, in the order of their keys. Reads its branches alone, and a root
/// that is itself the only leaf.
///
/// Two trees share the pairs of the leaves that are in both lists, so what differs between them is in the
/// others: that needs no page of the other tree, only its list.
///
/// ```
/// use prolly::{Config, LeafLinks, MemoryStore, Step, Tree};
/// let store = MemoryStore::new();
/// let pair = |n: u32| (n.to_be_bytes(), n.to_be_bytes());
/// let tree = Tree::build(&store, Config::default(), (0..10_000).map(pair))?;
/// let other = tree.edit(&store, [(77_u32.to_be_bytes().to_vec(), Some("four"))])?;
/// let leaves = |tree: Tree| LeafLinks::new(tree).step(&store)?.complete();
/// let (leaves, others) = (leaves(tree)?, leaves(other)?);
/// assert!(leaves.len() > 10);
/// assert_eq!(leaves.iter().filter(|leaf| !others.contains(leaf)).count(), 1);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct LeafLinks {
    tree: Tree,
    begun: bool,
    branches: VecDeque<Child>,
    leaves: Vec<Cid>,
}

impl LeafLinks {
    /// Begins a list.
    ///
    /// ```
    /// use prolly::{Config, LeafLinks, MemoryStore, Step, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1")])?;
    /// assert_eq!(LeafLinks::new(tree).step(&store)?, Step::Ready(vec![tree.root]));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub const fn new(tree: Tree) -> Self {
        Self { tree, begun: false, branches: VecDeque::new(), leaves: Vec::new() }
    }

    /// Lists on, to the end or to the pages that it lacks.
    ///
    /// ```
    /// use prolly::{Config, LeafLinks, MemoryStore, Step, Tree};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1")])?;
    /// let mut leaves = LeafLinks::new(tree);
    /// assert_eq!(leaves.step(&MemoryStore::new())?, Step::Missing(vec![tree.root]));
    /// assert!(matches!(leaves.step(&store)?, Step::Ready(leaves) if leaves.len() == 1));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The source failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Vec<Cid>>, Error> {
        let config = self.tree.config;
        if !self.begun {
            let Some(root) = open_root(source, &config, &self.tree.root)? else {
                return Ok(Step::Missing(vec![self.tree.root]));
            };
            match root.level() {
                0 => self.leaves.push(self.tree.root),
                1 => self.leaves.extend(Child::all(&root, None).map(|leaf| leaf.cid)),
                _ => self.branches.extend(Child::all(&root, None)),
            }
            self.begun = true;
        }
        while let Some(branch) = self.branches.pop_front() {
            let Some(page) = branch.open(source, &config)? else {
                self.branches.push_front(branch);
                let mut frontier = Frontier::default();
                for branch in &self.branches {
                    if frontier.is_full() {
                        break;
                    }
                    if !source.contains(&branch.cid)? {
                        frontier.add(branch.cid);
                    }
                }
                return Ok(frontier.into_step());
            };
            let bound = branch.bound();
            let children = Child::all(&page, bound.as_ref());
            if page.level() == 1 {
                self.leaves.extend(children.map(|leaf| leaf.cid));
            } else {
                children.rev().for_each(|child| self.branches.push_front(child));
            }
        }
        Ok(Step::Ready(std::mem::take(&mut self.leaves)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Layered, MemoryStore, PageSink};

    #[test]
    fn all_leaves_in_order_and_no_leaf_is_read() {
        let store = MemoryStore::new();
        let pair = |n: u32| (n.to_be_bytes(), [n.to_be_bytes(); 10].concat());
        let tree = Tree::build(&store, Config::default(), (0..60_000).map(pair)).unwrap();
        let here = MemoryStore::new();
        let mut list = LeafLinks::new(tree);
        let leaves = loop {
            match list.step(&here).unwrap() {
                Step::Ready(leaves) => break leaves,
                Step::Missing(cids) => {
                    for cid in cids {
                        here.put(cid, store.load(&cid).unwrap().unwrap()).unwrap();
                    }
                }
            }
        };
        assert!(here.cids().len() > 2 && leaves.len() > 50 * here.cids().len() / 2);
        let both = Layered(&here, &store);
        let mut next = 0_u32;
        for cid in leaves {
            assert!(here.load(&cid).unwrap().is_none());
            let leaf = both.page(&cid).unwrap().unwrap();
            for index in 0..leaf.len() {
                assert_eq!(leaf.key(index), next.to_be_bytes());
                next += 1;
            }
        }
        assert_eq!(next, 60_000);
    }
}
