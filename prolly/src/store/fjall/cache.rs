//! Decoded pages, up to a number of bytes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};

use crate::cid::Cid;
use crate::page::Page;
use crate::store::CacheStats;

/// What a page is reckoned at before any is known.
const TYPICAL_PAGE_BYTES: usize = 8 << 10;

/// Pages that passed the decoder and whose hashes were checked.
pub(super) struct PageCache {
    pages: Cache<Cid, Page, Memory, DefaultHashBuilder, Evictions>,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: Evictions,
}

/// Counts the pages that were given up for others.
#[derive(Debug, Clone, Default)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<Cid, Page> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Cid, _: Page) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone)]
struct Memory;

impl Weighter<Cid, Page> for Memory {
    fn weight(&self, _: &Cid, page: &Page) -> u64 {
        page.memory_bytes() as u64
    }
}

impl PageCache {
    pub(super) fn new(bytes: usize) -> Self {
        let evictions = Evictions::default();
        let (items, hasher) = ((bytes / TYPICAL_PAGE_BYTES).max(1), DefaultHashBuilder::default());
        let pages = Cache::with(items, bytes as u64, Memory, hasher, evictions.clone());
        Self { pages, hits: AtomicU64::new(0), misses: AtomicU64::new(0), evictions }
    }

    pub(super) fn get(&self, cid: &Cid) -> Option<Page> {
        let page = self.pages.get(cid);
        let count = if page.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        page
    }

    pub(super) fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.0.load(Ordering::Relaxed),
            pages: self.pages.len() as u64,
            bytes: self.pages.weight(),
        }
    }

    pub(super) fn contains(&self, cid: &Cid) -> bool {
        self.pages.contains_key(cid)
    }

    pub(super) fn remove(&self, cid: &Cid) {
        self.pages.remove(cid);
    }

    pub(super) fn insert(&self, page: &Page) {
        self.pages.insert(*page.cid(), page.clone());
    }
}

impl fmt::Debug for PageCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PageCache").field(&self.stats()).finish()
    }
}
