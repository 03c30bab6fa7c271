//! A cache of pages over any source, up to a number of bytes.
//!
//! Every shard keeps its pages on a clock: a hand goes round, spares a page that was read since it
//! came by, and takes the next one that was not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Commit, Note, PageSink, PageSource, PageStore, Pins};
use crate::cid::Cid;
use crate::error::StoreError;
use crate::page::Page;

/// So many threads can use a cache without waiting for one another, if they read different pages.
const SHARDS: usize = 16;

/// A shard has room for at least a few of the longest pages, so small caches have fewer shards.
const SHARD_BYTES_MIN: usize = 512 << 10;

/// What an entry takes beside its page: its slot and its place in the table, each of which may be
/// half empty, and its place in the list of free slots.
const ENTRY_BYTES: usize =
    2 * (size_of::<Option<Entry>>() + size_of::<(Cid, usize)>() + 1 + size_of::<usize>());

/// What a cache has done, and how full it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// How often a page was found.
    pub hits: u64,
    /// How often a page was not found.
    pub misses: u64,
    /// How many pages were given up for others.
    pub evictions: u64,
    /// How many pages are kept.
    pub pages: u64,
    /// How many bytes they take, with what it takes to find them.
    pub bytes: u64,
}

/// Keeps pages that were read from a source, the decoded ones decoded. Never keeps more bytes than it
/// was given, the pages and what it takes to find them reckoned together; a page that is larger than
/// its part of the cache is not kept.
///
/// Pages never change, so nothing kept is ever out of date. Whether a page is *there*, the source is
/// asked: a page may be removed from it and still be here.
///
/// ```
/// use prolly::{Config, MemoryStore, PageCache, Tree};
/// let cache = PageCache::new(MemoryStore::new(), 1 << 20);
/// let tree = Tree::build(&cache, Config::default(), [("a", "1")])?;
/// tree.get(&cache, b"a")?;
/// tree.get(&cache, b"a")?;
/// assert_eq!((cache.stats().misses, cache.stats().hits), (1, 1));
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct PageCache<S> {
    source: S,
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Debug)]
struct Shard {
    limit: usize,
    places: HashMap<Cid, usize>,
    slots: Vec<Option<Entry>>,
    free: Vec<usize>,
    hand: usize,
    stats: CacheStats,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    cid: Cid,
    held: Held,
    bytes: usize,
    read: bool,
}

/// Parts of long values and records are not pages of trees.
#[derive(Debug, Clone)]
enum Held {
    Page(Page),
    Bytes(Bytes),
}

impl Held {
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Page(page) => page.memory_bytes(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    fn bytes(&self) -> &Bytes {
        match self {
            Self::Page(page) => page.bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl<S> PageCache<S> {
    /// Lays a cache of so many bytes over a source.
    #[must_use]
    pub fn new(source: S, bytes: usize) -> Self {
        let shards = (bytes / SHARD_BYTES_MIN).clamp(1, SHARDS);
        let shard = || {
            Mutex::new(Shard {
                limit: bytes / shards,
                places: HashMap::new(),
                slots: Vec::new(),
                free: Vec::new(),
                hand: 0,
                stats: CacheStats::default(),
                bytes: 0,
            })
        };
        Self { source, shards: std::iter::repeat_with(shard).take(shards).collect() }
    }

    /// Returns the source.
    #[must_use]
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Returns what the cache has done since it was made, and how full it is.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.shards.iter().map(lock).fold(CacheStats::default(), |sum, shard| CacheStats {
            hits: sum.hits + shard.stats.hits,
            misses: sum.misses + shard.stats.misses,
            evictions: sum.evictions + shard.stats.evictions,
            pages: sum.pages + shard.places.len() as u64,
            bytes: sum.bytes + shard.bytes as u64,
        })
    }

    fn shard(&self, cid: &Cid) -> Option<MutexGuard<'_, Shard>> {
        let [first, ..] = cid.as_bytes();
        self.shards.get(usize::from(*first) % self.shards.len()).map(lock)
    }

    fn get(&self, cid: &Cid) -> Option<Held> {
        self.shard(cid)?.get(cid)
    }

    fn keep(&self, cid: &Cid, held: Held) {
        if let Some(mut shard) = self.shard(cid) {
            shard.insert(*cid, held);
        }
    }
}

impl Shard {
    fn get(&mut self, cid: &Cid) -> Option<Held> {
        let entry = self.places.get(cid).and_then(|place| self.slots.get_mut(*place)?.as_mut());
        let Some(entry) = entry else {
            self.stats.misses += 1;
            return None;
        };
        entry.read = true;
        self.stats.hits += 1;
        Some(entry.held.clone())
    }

    fn insert(&mut self, cid: Cid, held: Held) {
        let bytes = held.memory_bytes() + ENTRY_BYTES;
        if let Some(place) = self.places.get(&cid).copied() {
            // Another thread was faster, or the bytes are there and the page is decoded now.
            if matches!(held, Held::Bytes(_)) {
                return;
            }
            self.remove(place);
        }
        if bytes > self.limit {
            return;
        }
        while self.bytes + bytes > self.limit {
            self.evict();
        }
        let entry = Some(Entry { cid, held, bytes, read: false });
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = entry;
            self.places.insert(cid, place);
            self.bytes += bytes;
        }
    }

    /// Gives up one page, or at least moves the hand on: after two rounds every page has been
    /// given up that nobody reads, and the shard is locked, so nobody does.
    fn evict(&mut self) {
        let place = self.hand;
        self.hand = if place + 1 < self.slots.len() { place + 1 } else { 0 };
        match self.slots.get_mut(place) {
            Some(Some(entry)) if entry.read => entry.read = false,
            Some(Some(_)) => {
                self.remove(place);
                self.stats.evictions += 1;
            }
            _ => {}
        }
    }

    fn remove(&mut self, place: usize) {
        if let Some(entry) = self.slots.get_mut(place).and_then(Option::take) {
            self.places.remove(&entry.cid);
            self.bytes -= entry.bytes;
            self.free.push(place);
        }
    }
}

// A panic elsewhere cannot come while a shard is changed: nothing in there calls out.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: PageSource> PageSource for PageCache<S> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        if let Some(held) = self.get(cid) {
            return Ok(Some(held.bytes().clone()));
        }
        let bytes = self.source.load(cid)?;
        if let Some(bytes) = &bytes {
            self.keep(cid, Held::Bytes(bytes.clone()));
        }
        Ok(bytes)
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        let page = match self.get(cid) {
            Some(Held::Page(page)) => return Ok(Some(page)),
            Some(Held::Bytes(bytes)) => {
                let page = Page::decode(*cid, bytes);
                Some(page.map_err(|source| StoreError::Page { cid: *cid, source })?)
            }
            None => self.source.page(cid)?,
        };
        if let Some(page) = &page {
            self.keep(cid, Held::Page(page.clone()));
        }
        Ok(page)
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.source.contains(cid)
    }
}

impl<S: PageSink> PageSink for PageCache<S> {
    fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError> {
        self.source.put(cid, bytes)
    }
}

impl<S: PageStore> PageStore for PageCache<S> {
    fn root(&self, name: &str) -> Result<Option<Cid>, StoreError> {
        self.source.root(name)
    }

    fn notes(&self, prefix: &[u8]) -> Result<Vec<Note>, StoreError> {
        self.source.notes(prefix)
    }

    fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        self.source.commit(commit)
    }

    fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError> {
        self.source.roots()
    }

    fn pins(&self) -> &Pins {
        self.source.pins()
    }

    fn sweep(&self, keep: &dyn Fn(&Cid) -> bool) -> Result<(u64, u64), StoreError> {
        self.source.sweep(keep)
    }

    fn scratch(&self) -> Result<Option<std::path::PathBuf>, StoreError> {
        self.source.scratch()
    }
}
