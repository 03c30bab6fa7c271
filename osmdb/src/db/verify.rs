//! Checking a whole database.

use prolly::{MemoryStore, PageStore, TreeStats};

use super::{Db, Snapshot, apply, empty_root};
use crate::entry::Fresh;
use crate::error::Error;
use prolly::PageSource;

/// What a check found, if it found nothing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries were read.
    pub entries: u64,
    /// The trees, by name, with their sizes.
    pub trees: Vec<(&'static str, TreeStats)>,
}

impl<S: PageSource> Snapshot<S> {
    /// Checks everything: every page of every tree, every boundary, every record and version; and
    /// that all trees are those that follow from the entries. Costs all pages, and memory for all
    /// entries.
    ///
    /// # Errors
    /// What is wrong: the first thing found.
    pub fn verify(&self) -> Result<Verified, Error> {
        let root = self.root();
        let verify = |(name, tree): (&'static str, prolly::Tree)| Ok((name, tree.verify(self.source())?));
        let trees = root.trees.named().into_iter().map(verify).collect::<Result<Vec<_>, Error>>()?;
        let entries = self.entries().map(|known| Ok(known?.into())).collect::<Result<Vec<Fresh>, Error>>()?;
        let count = entries.len() as u64;
        let scratch = MemoryStore::new();
        let empty = empty_root(&scratch, &root.name, root.trees.heads.config)?;
        let derived = apply::apply(&scratch, &empty, entries)?.root;
        if derived != *root {
            return Err(Error::Views { found: root.cid(), expected: derived.cid() });
        }
        Ok(Verified { entries: count, trees })
    }
}

impl<S: PageStore> Db<S> {
    /// Checks the database as it is now. See [`Snapshot::verify`].
    ///
    /// # Errors
    /// What is wrong: the first thing found.
    pub fn verify(&self) -> Result<Verified, Error> {
        self.snapshot().verify()
    }
}
