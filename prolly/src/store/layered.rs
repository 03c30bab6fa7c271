//! Sources made of other sources.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{MemoryStore, PageSink, PageSource};
use crate::cid::Cid;
use crate::error::StoreError;
use crate::page::Page;

/// Looks in the first source, then in the second: for comparing trees of two stores.
#[derive(Debug, Clone, Copy)]
pub struct Layered<A, B>(pub A, pub B);

impl<A: PageSource, B: PageSource> PageSource for Layered<A, B> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let first = self.0.load(cid)?;
        if first.is_some() { Ok(first) } else { self.1.load(cid) }
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        let first = self.0.page(cid)?;
        if first.is_some() { Ok(first) } else { self.1.page(cid) }
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.0.contains(cid)? || self.1.contains(cid)?)
    }
}

/// Reads through to another source, and keeps what is written in memory.
#[derive(Debug)]
pub struct Overlay<S> {
    below: S,
    above: MemoryStore,
}

impl<S> Overlay<S> {
    /// Lays an empty memory over a source.
    #[must_use]
    pub fn new(below: S) -> Self {
        Self { below, above: MemoryStore::new() }
    }

    /// Returns the addresses of the pages written, in order.
    #[must_use]
    pub fn written(&self) -> Vec<Cid> {
        self.above.cids()
    }
}

impl<S: PageSource> PageSource for Overlay<S> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        Layered(&self.above, &self.below).load(cid)
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        Layered(&self.above, &self.below).page(cid)
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        Layered(&self.above, &self.below).contains(cid)
    }
}

impl<S> PageSink for Overlay<S> {
    fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError> {
        self.above.put(cid, bytes)
    }
}

/// Counts the pages that an operation read. Pages that it wrote itself do not count.
///
/// ```
/// use prolly::{Config, Counting, MemoryStore, Tree};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1")])?;
/// let counting = Counting::new(&store);
/// tree.get(&counting, b"a")?;
/// assert_eq!(counting.pages(), 1);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Counting<S> {
    source: S,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    cids: BTreeSet<Cid>,
    written: BTreeSet<Cid>,
    bytes: u64,
}

impl<S> Counting<S> {
    /// Counts what is read from a source.
    #[must_use]
    pub fn new(source: S) -> Self {
        Self { source, seen: Mutex::default() }
    }

    /// Returns how many different pages were read.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.seen().cids.len()
    }

    /// Returns how many bytes these pages have together, uncompressed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.seen().bytes
    }

    /// Returns the addresses of the pages read, in order.
    #[must_use]
    pub fn cids(&self) -> Vec<Cid> {
        self.seen().cids.iter().copied().collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, cid: &Cid, len: usize) {
        let mut seen = self.seen();
        if !seen.written.contains(cid) && seen.cids.insert(*cid) {
            seen.bytes += len as u64;
        }
    }
}

impl<S: PageSource> PageSource for Counting<S> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let bytes = self.source.load(cid)?;
        if let Some(bytes) = &bytes {
            self.note(cid, bytes.len());
        }
        Ok(bytes)
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        let page = self.source.page(cid)?;
        if let Some(page) = &page {
            self.note(cid, page.bytes().len());
        }
        Ok(page)
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.source.contains(cid)
    }
}

impl<S: PageSink> PageSink for Counting<S> {
    fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError> {
        self.seen().written.insert(cid);
        self.source.put(cid, bytes)
    }
}
