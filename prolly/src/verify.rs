//! Checking a whole tree, and measuring it.

use bytes::Bytes;

use crate::build::Builder;
use crate::cid::Cid;
use crate::error::{Error, StoreError};
use crate::page::Value;
use crate::step::{open, open_root, root_link};
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
        self.walk(source, |_, _| Ok(()))
    }

    /// Checks every page, its place in the tree, every boundary, and every long value; returns how
    /// large the tree is.
    ///
    /// # Errors
    /// A page is missing or damaged, the pages break the boundary rule, or the store failed.
    pub fn verify<S: PageSource + ?Sized>(&self, source: &S) -> Result<TreeStats, Error> {
        // The pairs must make the very same pages when the tree is built anew.
        let mut builder = Builder::new(Nowhere, self.config)?;
        let stats = self.walk(source, |key, value| builder.push(key, &read(source, value)?))?;
        let expected = builder.finish()?.root;
        if expected == self.root { Ok(stats) } else { Err(Error::NotCanonical { root: self.root, expected }) }
    }

    fn walk<S>(
        &self,
        source: &S,
        mut each: impl FnMut(&[u8], Value) -> Result<(), Error>,
    ) -> Result<TreeStats, Error>
    where
        S: PageSource + ?Sized,
    {
        let root = open_root(source, &self.config, &self.root)?.ok_or(Error::Missing(self.root))?;
        let mut stats =
            TreeStats { pairs: root.count(), height: root.level().saturating_add(1), ..TreeStats::default() };
        if root.is_empty() {
            return Ok(TreeStats { pages: 1, bytes: root.bytes().len() as u64, ..stats });
        }
        let mut stack = Vec::from_iter(root_link(&root));
        while let Some(link) = stack.pop() {
            let page = open(source, &self.config, &link)?.ok_or(Error::Missing(link.cid))?;
            stats.pages += 1;
            stats.bytes += page.bytes().len() as u64;
            for index in 0..page.len() {
                if let Some(value) = page.value(index) {
                    stats.long_values += u64::from(matches!(value, Value::Linked(..)));
                    each(page.key(index), value)?;
                }
            }
            stack.extend((0..page.len()).rev().filter_map(|index| page.link(index, link.after.as_ref())));
        }
        Ok(stats)
    }
}
