//! Checking a whole tree, and measuring it.

use bytes::Bytes;

use crate::build::Builder;
use crate::cid::Cid;
use crate::error::{Error, StoreError};
use crate::page::ValueRef;
use crate::range::KeyRange;
use crate::run::Run;
use crate::scan::{Scan, Walked};
use crate::step::Step;
use crate::store::{PageSink, PageSource};
use crate::tree::{Tree, read};

/// How large a tree is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeStats {
    /// How many pairs it holds.
    pub pairs: u64,
    /// How many pages it has, those of long values left out.
    pub pages: u64,
    /// The bytes of these pages, uncompressed.
    pub bytes: u64,
    /// How many values live out of line.
    pub long_values: u64,
    /// How many levels it has: 1 for a single leaf.
    pub height: u8,
}

struct Nowhere;

impl PageSink for Nowhere {
    fn put(&self, _: Cid, _: Bytes) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Tree {
    /// Walks over every page and measures the tree. Costs all pages but those of long values.
    ///
    /// # Errors
    /// A page is missing or damaged, or the store failed.
    pub fn stats<S: PageSource + ?Sized>(&self, source: &S) -> Result<TreeStats, Error> {
        Measure::new(*self).step(source)?.complete()
    }

    /// Checks every page, its place in the tree, every boundary, and every long value; returns how
    /// large the tree is. Costs all pages.
    ///
    /// # Errors
    /// A page is missing or damaged, the pages break the boundary rule, or the store failed.
    pub fn verify<S: PageSource + ?Sized>(&self, source: &S) -> Result<TreeStats, Error> {
        // The pairs must make the very same pages when the tree is built anew.
        let mut builder = Builder::new(Nowhere, self.config)?;
        let mut measure = Measure::new(*self);
        while let Some(run) = measure.next(source)?.complete()? {
            for (key, value) in run.pairs() {
                builder.push(&key, &read(source, value)?)?;
            }
        }
        let expected = builder.finish()?.root;
        let root = self.root;
        if expected == root { Ok(measure.stats()) } else { Err(Error::NotCanonical { root, expected }) }
    }
}

/// Measures a tree, in steps. Costs all pages but those of long values; a source that lacks pages is
/// told of a whole level at once.
///
/// ```
/// use prolly::{Config, Measure, MemoryStore, Step, Tree};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
/// let Step::Ready(stats) = Measure::new(tree).step(&store)? else { unreachable!("all is here") };
/// assert_eq!((stats.pairs, stats.pages, stats.height), (2, 1, 1));
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Measure {
    scan: Scan,
    pairs: u64,
    long_values: u64,
}

impl Measure {
    /// Begins to measure.
    #[must_use]
    pub fn new(tree: Tree) -> Self {
        Self { scan: Scan::new(tree, vec![KeyRange::all()]), pairs: 0, long_values: 0 }
    }

    /// Measures on.
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<TreeStats>, Error> {
        loop {
            match self.next(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(Some(_)) => {}
                Step::Ready(None) => return Ok(Step::Ready(self.stats())),
            }
        }
    }

    fn next<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Option<Run>>, Error> {
        let next = self.scan.step(source)?;
        if let Step::Ready(Some(run)) = &next {
            self.pairs += run.len() as u64;
            let linked = run.iter().filter(|(_, value)| matches!(value, ValueRef::Linked(..)));
            self.long_values += linked.count() as u64;
        }
        Ok(next)
    }

    const fn stats(&self) -> TreeStats {
        let Walked { pages, bytes, height } = *self.scan.walked();
        TreeStats { pairs: self.pairs, pages, bytes, long_values: self.long_values, height }
    }
}
