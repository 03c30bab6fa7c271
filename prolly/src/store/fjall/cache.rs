//! Decoded pages, up to a number of bytes.

use std::fmt;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::cid::Cid;
use crate::page::Page;

/// What a page is reckoned at before any is known.
const TYPICAL_PAGE_BYTES: usize = 8 << 10;

/// Pages that passed the decoder and whose hashes were checked.
pub(super) struct PageCache(Cache<Cid, Page, Memory>);

#[derive(Debug, Clone)]
struct Memory;

impl Weighter<Cid, Page> for Memory {
    fn weight(&self, _: &Cid, page: &Page) -> u64 {
        page.memory_bytes() as u64
    }
}

impl PageCache {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Cache::with_weighter((bytes / TYPICAL_PAGE_BYTES).max(1), bytes as u64, Memory))
    }

    pub(super) fn get(&self, cid: &Cid) -> Option<Page> {
        self.0.get(cid)
    }

    pub(super) fn contains(&self, cid: &Cid) -> bool {
        self.0.contains_key(cid)
    }

    pub(super) fn remove(&self, cid: &Cid) {
        self.0.remove(cid);
    }

    pub(super) fn insert(&self, page: &Page) {
        self.0.insert(*page.cid(), page.clone());
    }
}

impl fmt::Debug for PageCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageCache").field("pages", &self.0.len()).field("bytes", &self.0.weight()).finish()
    }
}
