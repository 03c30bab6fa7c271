//! Pages on disk, by the key-value engine fjall.
//!
//! A page that is put waits in memory until some megabytes have gathered, then goes to the engine
//! in a batch that is not synced. A commit writes what is left, the roots, the notes and its own
//! number in one batch that is synced, and then notes the number and a digest of the roots in a
//! file beside the engine. Opening compares the two: an engine that lost commits is refused.
//!
//! Locks, in the order in which they are taken: the gate of `pins` (many puts, or one sweep), `head`
//! (one commit at a time), what `pins` has inside, `turn` (one batch at a time), then those inside
//! [`Pending`] and of `roots`, held only while memory is changed.
//! Dropping the store writes nothing: what was not committed is forgotten, or is a page that nobody
//! links to.

mod cache;
mod codec;
mod directory;
mod engine;
mod manifest;
mod pending;
mod slots;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;

use self::cache::PageCache;
use self::codec::Codec;
use self::directory::{Absent, Directory};
use self::engine::Engine;
use self::pending::{New, Pending};
use self::slots::{Slot, SlotFile};
use super::{CacheStats, Commit, Note, PageSink, PageSource, PageStore, Pins, change_roots};
use crate::cid::Cid;
use crate::config::MAX_PAGE_BYTES;
use crate::error::StoreError;
use crate::page::{Page, PageError};

/// So many bytes of records go to the engine in one batch.
const BATCH_BYTES: usize = 4 << 20;

/// How often, and how long, the engine's lock is waited for.
const ENGINE_LOCK_TRIES: usize = 100;
const ENGINE_LOCK_WAIT: Duration = Duration::from_millis(10);

/// How a [`FjallStore`] is opened.
///
/// ```
/// use prolly::FjallOptions;
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("village");
/// let store = FjallOptions { cache_bytes: 1 << 30, ..Default::default() }.open(&dir)?;
/// assert_eq!(store.page_count()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FjallOptions {
    /// Decoded pages are kept in memory up to this many bytes.
    pub cache_bytes: usize,
    /// The engine keeps parts of its files in memory up to this many bytes.
    pub engine_cache_bytes: u64,
    /// How hard zstd tries to make new pages small; from 1 (quick) to 22 (small). Pages already there
    /// stay as they are.
    pub zstd_level: i32,
}

impl Default for FjallOptions {
    /// 64 MiB of decoded pages, 32 MiB for the engine, zstd level 1.
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, engine_cache_bytes: 32 << 20, zstd_level: 1 }
    }
}

impl FjallOptions {
    /// Opens a store, making it if the directory is empty or absent.
    ///
    /// ```
    /// # use prolly::{Config, FjallOptions, FjallStore, Tree};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("village");
    /// let store = FjallOptions { zstd_level: 3, ..FjallOptions::default() }.open(&dir)?;
    /// let tree = Tree::build(&store, Config::default(), [("a", "1")])?;
    /// assert_eq!(tree.count(&store)?, 1);
    /// # drop::<FjallStore>(store);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`open_existing`](Self::open_existing), but an empty directory is none.
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<FjallStore, StoreError> {
        FjallStore::open_with(self, Directory::open(dir.as_ref(), Absent::Create)?)
    }

    /// Opens a store that is there.
    ///
    /// ```
    /// # use prolly::{FjallOptions, PageStore, StoreError};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("village");
    /// let options = FjallOptions::default();
    /// assert!(matches!(options.open_existing(&dir), Err(StoreError::NotAStore { .. })));
    /// drop(options.open(&dir)?);
    /// assert!(options.open_existing(&dir)?.roots()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NotAStore`](StoreError::NotAStore): the directory is something else, and is left as it is.
    /// [`Locked`](StoreError::Locked): it is open already.
    /// [`LostCommits`](StoreError::LostCommits): commits that were reported are gone.
    /// [`Record`](StoreError::Record) and [`Engine`](StoreError::Engine): its files are damaged.
    pub fn open_existing(&self, dir: impl AsRef<Path>) -> Result<FjallStore, StoreError> {
        FjallStore::open_with(self, Directory::open(dir.as_ref(), Absent::Refuse)?)
    }
}

/// A durable store in a directory. Writing may sleep while the disk catches up, so do not put or
/// commit from an async task.
///
/// ```
/// use prolly::{Commit, Config, FjallStore, PageStore, RootChange, Tree};
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("village");
/// let store = FjallStore::open(&dir)?;
/// let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
/// let change = RootChange { name: "main".into(), expected: None, new: Some(tree.root) };
/// store.commit(&Commit { roots: vec![change], ..Default::default() })?;
/// drop(store);
/// assert_eq!(FjallStore::open_existing(&dir)?.root("main")?, Some(tree.root));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FjallStore {
    engine: Engine,
    codec: Codec,
    cache: PageCache,
    pending: Pending,
    roots: RwLock<BTreeMap<String, Cid>>,
    head: Mutex<Head>,
    turn: Mutex<()>,
    pins: Pins,
    /// Pages that could not be read. Put again, they are written again.
    damaged: Mutex<BTreeSet<Cid>>,
    poisoned: AtomicBool,
    // The last field: its lock is let go when the engine is closed.
    directory: Directory,
}

/// The last commit.
struct Head {
    number: u64,
    slots: SlotFile,
}

impl FjallStore {
    /// Opens a store with the default options, making it if the directory is empty or absent.
    ///
    /// ```
    /// # use prolly::{FjallStore, StoreError};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("village");
    /// let store = FjallStore::open(&dir)?;
    /// assert!(matches!(FjallStore::open(&dir), Err(StoreError::Locked { .. })), "it is open already");
    /// # drop(store);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`FjallOptions::open`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        FjallOptions::default().open(dir)
    }

    /// Opens a store that is there, with the default options.
    ///
    /// ```
    /// # use prolly::{FjallStore};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("village");
    /// assert!(FjallStore::open_existing(&dir).is_err(), "nothing is there");
    /// drop(FjallStore::open(&dir)?);
    /// assert!(FjallStore::open_existing(&dir).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`FjallOptions::open_existing`].
    pub fn open_existing(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        FjallOptions::default().open_existing(dir)
    }

    /// Returns the number of the last commit of the store in a directory, which grows with every commit.
    ///
    /// The store is not opened, and nothing is locked: to be asked again and again by who waits for another
    /// process to write, and opens the store when it has. Costs reading two small files.
    ///
    /// ```
    /// # use prolly::{Config, FjallStore, PageStore, Tree};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("village");
    /// let store = FjallStore::open(&dir)?;
    /// let before = FjallStore::last_commit(&dir)?;
    /// let tree = Tree::build(&store, Config::default(), [("a", "1")])?;
    /// store.swap_root("main", None, Some(tree.root))?;
    /// assert_eq!(FjallStore::last_commit(&dir)?, before + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NotAStore`](StoreError::NotAStore): the directory is something else.
    /// [`Record`](StoreError::Record) and [`Io`](StoreError::Io): the number cannot be read.
    pub fn last_commit(dir: impl AsRef<Path>) -> Result<u64, StoreError> {
        let slot = SlotFile::look(&Directory::slots_of(dir.as_ref())?)?;
        Ok(slot.ok_or_else(|| StoreError::Record { name: "commits".into() })?.number)
    }

    /// Returns how many bytes of the disk the directory takes: all that is allocated to its files,
    /// the engine's journals included. Costs a look at every file.
    ///
    /// ```
    /// # use prolly::{FjallStore};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("village");
    /// let store = FjallStore::open(&dir)?;
    /// assert!(store.disk_bytes()? > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.directory.disk_bytes()
    }

    /// Returns how many pages the engine holds. Costs reading all their addresses.
    ///
    /// ```
    /// # use prolly::{Config, FjallStore, PageStore, Tree};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("village");
    /// let store = FjallStore::open(&dir)?;
    /// let tree = Tree::build(&store, Config::default(), [("a", "1")])?;
    /// store.swap_root("main", None, Some(tree.root))?;
    /// assert_eq!(store.page_count()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The store failed.
    pub fn page_count(&self) -> Result<u64, StoreError> {
        self.engine.page_count()
    }

    /// Returns how often decoded pages were found in memory, and how full that cache is. Parts of
    /// long values are not kept, and count as misses.
    ///
    /// ```
    /// use prolly::{Config, FjallStore, Tree};
    /// # let dir = tempfile::tempdir()?;
    /// let store = FjallStore::open(&dir)?;
    /// let tree = Tree::build(&store, Config::default(), [("a", "1")])?;
    /// tree.get(&store, b"a")?;
    /// tree.get(&store, b"a")?;
    /// assert_eq!((store.cache_stats().misses, store.cache_stats().hits), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// Rewrites the files of the pages, so that the disk gets back the bytes of those that were
    /// removed by [`gc`](crate::gc). Costs reading and writing every page that is left, twice. The
    /// old files, which others may still be reading, go away when the store is next opened, at the
    /// latest.
    ///
    /// ```
    /// use prolly::{Config, FjallStore, Tree, gc_trees};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("village");
    /// let store = FjallStore::open(&dir)?;
    /// Tree::build(&store, Config::default(), [("nobody", "names it")])?;
    /// if gc_trees(&store, Config::default())?.bytes > 0 {
    ///     store.compact()?;
    /// }
    /// assert_eq!(store.page_count()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The engine failed.
    pub fn compact(&self) -> Result<(), StoreError> {
        self.healthy()?;
        self.engine.compact()
    }

    fn open_with(options: &FjallOptions, directory: Directory) -> Result<Self, StoreError> {
        directory.clear_scratch()?;
        let complete = directory.is_complete()?;
        if !complete {
            directory.make_engine(Engine::create)?;
        }
        let locked = |error| match error {
            StoreError::Engine(error) if matches!(error.downcast_ref(), Some(::fjall::Error::Locked)) => {
                StoreError::Locked { path: directory.path().into() }
            }
            other => other,
        };
        let open = || Engine::open(&directory.engine(), options.engine_cache_bytes).map_err(locked);
        let mut engine = open();
        // The directory is ours, so whoever had the engine is gone. But a process that is being started
        // by another thread may hold the file of its lock for a moment.
        for _ in 0..ENGINE_LOCK_TRIES {
            if !matches!(engine, Err(StoreError::Locked { .. })) {
                break;
            }
            std::thread::sleep(ENGINE_LOCK_WAIT);
            engine = open();
        }
        let engine = engine?;
        let (number, roots) = (engine.commit_number()?, engine.roots()?);
        let found = Slot::new(number, &roots);
        if !complete {
            // A crash while the store was made leaves no commit behind.
            if number != 0 {
                let why = "its format file is gone, but its engine has commits".into();
                return Err(StoreError::NotAStore { path: directory.path().into(), why });
            }
            SlotFile::create(&directory.slots(), found)?;
        }
        let slots = compare(&directory, found)?;
        if !complete {
            directory.complete()?;
        }
        Ok(Self {
            engine,
            codec: Codec::new(options.zstd_level),
            cache: PageCache::new(options.cache_bytes),
            pending: Pending::default(),
            roots: RwLock::new(roots),
            head: Mutex::new(Head { number, slots }),
            turn: Mutex::default(),
            pins: Pins::default(),
            damaged: Mutex::default(),
            poisoned: AtomicBool::new(false),
            directory,
        })
    }

    fn healthy(&self) -> Result<(), StoreError> {
        if self.poisoned.load(Ordering::Acquire) { Err(StoreError::Poisoned) } else { Ok(()) }
    }

    /// After a failed write nobody knows what is on disk, so nothing more is written.
    fn writing<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() {
            self.poisoned.store(true, Ordering::Release);
        }
        result
    }

    /// Writes a batch, unless another thread has done so meanwhile.
    fn flush(&self) -> Result<(), StoreError> {
        let _turn = lock(&self.turn);
        self.healthy()?;
        if let Some(pages) = self.pending.start(BATCH_BYTES) {
            self.writing(self.engine.write(&pages))?;
            self.pending.finish();
        }
        Ok(())
    }

    /// Returns a page that is not in the cache.
    fn read(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let pending = self.pending.get(cid);
        if pending.is_some() {
            return Ok(pending);
        }
        let read = || match self.engine.page(cid)? {
            Some(record) => self.codec.decode(cid, &record).map(Some),
            None => Ok(None),
        };
        read().inspect_err(|_| {
            lock(&self.damaged).insert(*cid);
        })
    }
}

/// Compares what the engine has with what was noted beside it, and brings that up to date.
fn compare(directory: &Directory, found: Slot) -> Result<SlotFile, StoreError> {
    let damaged = |name: &str| StoreError::Record { name: name.into() };
    let (mut slots, noted) = SlotFile::open(&directory.slots())?.ok_or_else(|| damaged("commits"))?;
    if found.number < noted.number {
        let path = directory.path().into();
        return Err(StoreError::LostCommits { path, expected: noted.number, found: found.number });
    }
    if found.number == noted.number && found != noted {
        return Err(damaged("roots"));
    }
    if found != noted {
        // The process ended before it could note its last commit; or the file is an older copy.
        slots.write(found)?;
    }
    Ok(slots)
}

// A panic elsewhere cannot leave anything half-changed: the engine's batches are atomic, and every
// change of memory is a single assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PageSource for FjallStore {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        match self.cache.get(cid) {
            Some(page) => Ok(Some(page.bytes().clone())),
            None => self.read(cid),
        }
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        if let Some(page) = self.cache.get(cid) {
            return Ok(Some(page));
        }
        // No sweep comes between reading and keeping, so the cache never has a page that was swept.
        let _reading = self.pins.reading();
        let Some(bytes) = self.read(cid)? else { return Ok(None) };
        let page = Page::decode(*cid, bytes).map_err(|source| StoreError::Page { cid: *cid, source })?;
        self.cache.insert(&page);
        Ok(Some(page))
    }

    /// Without reading it: a damaged page counts as being here until somebody reads it.
    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        if self.cache.contains(cid) || self.pending.get(cid).is_some() {
            return Ok(true);
        }
        Ok(!lock(&self.damaged).contains(cid) && self.engine.has_page(cid)?)
    }
}

impl PageSink for FjallStore {
    fn put(&self, cid: Cid, page: Bytes) -> Result<(), StoreError> {
        self.healthy()?;
        if page.len() > MAX_PAGE_BYTES {
            return Err(StoreError::Page { cid, source: PageError::TooLong { len: page.len() } });
        }
        let _put = self.pins.putting(cid);
        if self.contains(&cid)? {
            return Ok(());
        }
        let record = self.codec.encode(&page)?;
        let gathered = self.pending.add(cid, New { page, record });
        lock(&self.damaged).remove(&cid);
        if gathered >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }
}

impl PageStore for FjallStore {
    fn root(&self, name: &str) -> Result<Option<Cid>, StoreError> {
        Ok(self.roots.read().unwrap_or_else(PoisonError::into_inner).get(name).copied())
    }

    fn notes(&self, prefix: &[u8]) -> Result<Vec<Note>, StoreError> {
        self.engine.notes(prefix)
    }

    fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        engine::check_names(commit)?;
        let mut head = lock(&self.head);
        let mut roots = self.roots.read().unwrap_or_else(PoisonError::into_inner).clone();
        change_roots(&mut roots, &commit.roots)?;
        let turn = lock(&self.turn);
        self.healthy()?;
        let number = head.number + 1;
        let pages = self.pending.start(0).unwrap_or_default();
        self.writing(self.engine.commit(&pages, commit, number))?;
        self.pending.finish();
        // DURABILITY: the slot is written when the engine has synced the commit, never before: a
        // slot ahead of the engine means that commits were lost.
        self.writing(head.slots.write(Slot::new(number, &roots)))?;
        self.writing(self.engine.healthy())?;
        head.number = number;
        *self.roots.write().unwrap_or_else(PoisonError::into_inner) = roots;
        // A sweep holds the pins while it waits for its turn.
        drop(turn);
        self.pins.committed();
        Ok(())
    }

    fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError> {
        Ok(self.roots.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn pins(&self) -> &Pins {
        &self.pins
    }

    fn scratch(&self) -> Result<Option<std::path::PathBuf>, StoreError> {
        self.directory.scratch().map(Some)
    }

    /// DURABILITY: the roots that were marked from are on disk, since a commit shows its roots only
    /// when they are; after a failed commit, when nobody knows, nothing is swept.
    ///
    /// The disk's bytes come back when the engine rewrites its files: see [`compact`](Self::compact).
    fn sweep(&self, keep: &dyn Fn(&Cid) -> bool) -> Result<(u64, u64), StoreError> {
        self.healthy()?;
        let (mut removed, mut freed) = (0, 0);
        self.engine.for_pages_without(keep, |mut pages| {
            let sweeping = self.pins.sweeping();
            // Pages waiting to be written were put since the last commit, so they are spared.
            pages.retain(|(cid, _)| !sweeping.spares(cid) && self.pending.get(cid).is_none());
            let cids: Vec<Cid> = pages.iter().map(|(cid, _)| *cid).collect();
            let _turn = lock(&self.turn);
            self.healthy()?;
            self.writing(self.engine.remove(&cids))?;
            cids.iter().for_each(|cid| self.cache.remove(cid));
            lock(&self.damaged).retain(|cid| cids.binary_search(cid).is_err());
            removed += cids.len() as u64;
            freed += pages.iter().map(|(_, len)| len).sum::<u64>();
            Ok(())
        })?;
        Ok((removed, freed))
    }
}

impl fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = self.roots.read().unwrap_or_else(PoisonError::into_inner);
        let mut out = f.debug_struct("FjallStore");
        out.field("directory", &self.directory).field("roots", &*roots).field("cache", &self.cache);
        out.finish_non_exhaustive()
    }
}
