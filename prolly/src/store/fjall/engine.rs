//! All that is asked of fjall: four keyspaces, batches, and errors of ours.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch, PersistMode};
use bytes::Bytes;

use super::pending::Batch;
use crate::cid::Cid;
use crate::error::StoreError;
use crate::store::{Commit, Note};

/// The keyspace of pages: hash → record.
const PAGES: &str = "pages";

/// The keyspace of named roots: name → hash.
const ROOTS: &str = "roots";

/// The keyspace of the application's notes.
const NOTES: &str = "notes";

/// The keyspace of what the store keeps for itself.
const META: &str = "meta";

/// The key in [`META`] of the number of the last commit.
const COMMIT: &str = "commit";

/// What keys of roots and notes begin with: fjall takes no empty keys.
const NAMED: u8 = b'=';

/// The longest name that leaves room for [`NAMED`] in the longest key of fjall's.
const NAME_BYTES_MAX: usize = 65_534;

/// Records from this length on are kept beside the index, so that compaction does not copy them.
const SEPARATED_BYTES: u32 = 512;

/// Pages wait in memory up to this size, and are then sorted into files.
const PAGES_MEMTABLE_BYTES: u64 = 16 << 20;

/// The other keyspaces are small.
const OTHER_MEMTABLE_BYTES: u64 = 4 << 20;

/// The least that fjall takes. More would keep sealed journals longer: the small keyspaces hold
/// them back, and every one is read again when the store is opened.
const JOURNALS_BYTES: u64 = 64 << 20;

/// With one more than this waiting to be written, fjall would begin to hold writers.
const SEALED_MEMTABLES_MAX: usize = 2;

/// A sweep holds writers up while it removes so many pages.
const SWEEP_PAGES: usize = 1024;

/// How long to wait for a memtable to be written before looking again.
const WAIT: Duration = Duration::from_millis(5);

/// After so many looks, two minutes, without a memtable written, none will be.
const WAITS_MAX: u32 = 24_000;

// The database goes first, so that its threads end before the keyspaces do.
pub(super) struct Engine {
    db: Database,
    pages: Keyspace,
    roots: Keyspace,
    notes: Keyspace,
    meta: Keyspace,
}

impl Engine {
    /// Makes an engine where there is none.
    pub(super) fn create(path: &Path) -> Result<(), StoreError> {
        guard(|| {
            let db = Database::builder(path).worker_threads(1).open()?;
            let separated = KvSeparationOptions::default().separation_threshold(SEPARATED_BYTES);
            let options = KeyspaceCreateOptions::default;
            db.keyspace(PAGES, || {
                options().max_memtable_size(PAGES_MEMTABLE_BYTES).with_kv_separation(Some(separated))
            })?;
            for name in [ROOTS, NOTES, META] {
                db.keyspace(name, || options().max_memtable_size(OTHER_MEMTABLE_BYTES))?;
            }
            db.persist(PersistMode::SyncAll)
        })
    }

    /// Opens an engine, and replays its journals.
    pub(super) fn open(path: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        // Without its version file fjall would begin anew on top of what is there.
        if !path.join("version").exists() {
            return Err(StoreError::Record { name: "engine/version".into() });
        }
        super::manifest::check(path)?;
        let open = || {
            let db = Database::builder(path)
                .worker_threads(1)
                .cache_size(cache_bytes)
                .max_journaling_size(JOURNALS_BYTES)
                .open()?;
            if let Some(lost) = [PAGES, ROOTS, NOTES, META].into_iter().find(|name| !db.keyspace_exists(name))
            {
                return Ok(Err(lost));
            }
            let keyspace = |name| db.keyspace(name, KeyspaceCreateOptions::default);
            let (pages, roots, notes, meta) =
                (keyspace(PAGES)?, keyspace(ROOTS)?, keyspace(NOTES)?, keyspace(META)?);
            Ok(Ok(Self { db, pages, roots, notes, meta }))
        };
        guard(open)?.map_err(|lost| StoreError::Record { name: format!("engine keyspace {lost}") })
    }

    pub(super) fn page(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        guard(|| Ok(self.pages.get(cid.as_bytes())?.map(Bytes::from)))
    }

    pub(super) fn has_page(&self, cid: &Cid) -> Result<bool, StoreError> {
        guard(|| self.pages.contains_key(cid.as_bytes()))
    }

    /// Counts the pages, by reading all keys.
    pub(super) fn page_count(&self) -> Result<u64, StoreError> {
        guard(|| self.pages.iter().try_fold(0, |count, entry| entry.key().map(|_| count + 1)))
    }

    /// Gives the addresses of the pages that are not to be kept, with the lengths of their records,
    /// some at a time. Only the records of these pages are read.
    pub(super) fn for_pages_without(
        &self,
        keep: &dyn Fn(&Cid) -> bool,
        mut each: impl FnMut(Vec<(Cid, u64)>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut entries = guard(|| Ok(self.pages.iter()))?;
        let kept = |key: &::fjall::Slice| keep(&address(key));
        loop {
            let mut some = Vec::with_capacity(SWEEP_PAGES);
            while some.len() < SWEEP_PAGES {
                let next =
                    guard(|| entries.next().map(|entry| entry.into_inner_if(|key| !kept(key))).transpose())?;
                match next {
                    Some((key, Some(record))) => some.push((address(&key), record.len() as u64)),
                    Some((_, None)) => {}
                    None if some.is_empty() => return Ok(()),
                    None => break,
                }
            }
            each(some)?;
        }
    }

    /// Removes pages. DURABILITY: when the store is opened after a crash, the last of them may be
    /// there again, which does no harm; but nothing else is gone, since the journal keeps the order.
    pub(super) fn remove(&self, pages: &[Cid]) -> Result<(), StoreError> {
        self.make_room()?;
        guard(|| {
            let mut batch = self.db.batch();
            pages.iter().for_each(|cid| batch.remove(&self.pages, *cid.as_bytes()));
            batch.commit()
        })
    }

    /// Rewrites the files of the pages without those that were removed.
    pub(super) fn compact(&self) -> Result<(), StoreError> {
        // The removals are in memory still, unless they were many.
        guard(|| self.pages.rotate_memtable().map(drop))?;
        self.wait_for_memtables(0)?;
        // The first time it is found out how much of the value files is stale; the second time
        // those are rewritten.
        guard(|| self.pages.major_compact())?;
        guard(|| self.pages.major_compact())
    }

    pub(super) fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError> {
        let entries =
            guard(|| self.roots.iter().map(::fjall::Guard::into_inner).collect::<Result<Vec<_>, _>>())?;
        let root = |(name, hash): (::fjall::Slice, ::fjall::Slice)| {
            let damaged = || StoreError::Record { name: String::from_utf8_lossy(&name).into_owned() };
            let cid = Cid::from_hash(hash[..].try_into().map_err(|_| damaged())?);
            let name = name.strip_prefix(&[NAMED]).ok_or_else(damaged)?;
            Ok((str::from_utf8(name).map_err(|_| damaged())?.to_owned(), cid))
        };
        entries.into_iter().map(root).collect()
    }

    pub(super) fn notes(&self, prefix: &[u8]) -> Result<Vec<Note>, StoreError> {
        guard(|| {
            let note = |entry: ::fjall::Guard| {
                let (key, value) = entry.into_inner()?;
                Ok((key.get(1..).unwrap_or_default().to_vec(), value.to_vec()))
            };
            self.notes.prefix(named(prefix)).map(note).collect()
        })
    }

    /// Returns the number of the last commit; 0 before the first.
    pub(super) fn commit_number(&self) -> Result<u64, StoreError> {
        let Some(bytes) = guard(|| self.meta.get(COMMIT))? else { return Ok(0) };
        let damaged = |_| StoreError::Record { name: "commit number".into() };
        Ok(u64::from_le_bytes(bytes[..].try_into().map_err(damaged)?))
    }

    /// Writes pages that need not be durable yet.
    pub(super) fn write(&self, pages: &Batch) -> Result<(), StoreError> {
        self.make_room()?;
        guard(|| {
            let mut batch = self.db.batch();
            self.add(&mut batch, pages);
            batch.commit()
        })
    }

    /// Writes pages, roots, notes and the commit's number in one atomic step.
    ///
    /// DURABILITY: with `SyncAll` fjall syncs the one journal that all batches go through, in
    /// order, so pages of earlier unsynced batches become durable with it. Where the journal was
    /// sealed in between, fjall synced it before it went on in the next one (`Writer::rotate`); a
    /// sealed journal is removed only when the tables and value files made from it have been
    /// synced (`table::writer::finish`, `blob_file::writer::finish`), and the version that names
    /// them (`persist_version`). Read in fjall 3.1.13 and lsm-tree 3.1.10. If that sync fails in a
    /// thread of fjall's, fjall is poisoned: [`healthy`](Self::healthy) tells.
    pub(super) fn commit(&self, pages: &Batch, commit: &Commit, number: u64) -> Result<(), StoreError> {
        self.make_room()?;
        guard(|| {
            let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
            self.add(&mut batch, pages);
            for change in &commit.roots {
                match change.new {
                    Some(new) => batch.insert(&self.roots, named(change.name.as_bytes()), *new.as_bytes()),
                    None => batch.remove(&self.roots, named(change.name.as_bytes())),
                }
            }
            for (key, value) in &commit.notes {
                match value {
                    Some(value) => batch.insert(&self.notes, named(key), value.as_slice()),
                    None => batch.remove(&self.notes, named(key)),
                }
            }
            batch.insert(&self.meta, COMMIT, number.to_le_bytes());
            batch.commit()
        })
    }

    /// Fails if a thread of fjall's failed.
    pub(super) fn healthy(&self) -> Result<(), StoreError> {
        guard(|| self.db.persist(PersistMode::Buffer))
    }

    fn add(&self, batch: &mut OwnedWriteBatch, pages: &Batch) {
        for (cid, new) in pages {
            batch.insert(&self.pages, *cid.as_bytes(), new.record.clone());
        }
    }

    /// Waits until few enough memtables wait to be written. fjall would wait by itself, but for
    /// ever if its thread has failed (a full disk) or panicked (which poisons nothing).
    fn make_room(&self) -> Result<(), StoreError> {
        self.wait_for_memtables(SEALED_MEMTABLES_MAX)
    }

    fn wait_for_memtables(&self, most: usize) -> Result<(), StoreError> {
        let (mut before, mut waits) = (usize::MAX, 0);
        loop {
            let sealed = self.pages.sealed_memtable_count();
            waits = if sealed < before { 0 } else { waits + 1 };
            before = sealed;
            if sealed <= most {
                return Ok(());
            }
            if waits > WAITS_MAX {
                return Err(StoreError::Engine(Box::new(Stalled)));
            }
            self.healthy()?;
            std::thread::sleep(WAIT);
        }
    }
}

/// Returns the address that a key of [`PAGES`] is. Only addresses are ever written there.
fn address(key: &[u8]) -> Cid {
    Cid::from_hash(key.try_into().unwrap_or([0; 32]))
}

fn named(name: &[u8]) -> Vec<u8> {
    [&[NAMED], name].concat()
}

/// Refuses names that fjall would panic on.
pub(super) fn check_names(commit: &Commit) -> Result<(), StoreError> {
    let roots = commit.roots.iter().map(|change| change.name.len());
    match roots.chain(commit.notes.iter().map(|(key, _)| key.len())).max() {
        Some(len) if len > NAME_BYTES_MAX => Err(StoreError::NameTooLong { len, limit: NAME_BYTES_MAX }),
        _ => Ok(()),
    }
}

/// fjall panicked on what it found.
#[derive(Debug, thiserror::Error)]
#[error("it panicked: {0}")]
struct Panicked(String);

/// fjall's thread ended without saying so.
#[derive(Debug, thiserror::Error)]
#[error("it has written nothing for two minutes")]
struct Stalled;

/// Runs something of fjall's. UNTRUSTED: damaged files make it panic in places.
fn guard<T>(run: impl FnOnce() -> ::fjall::Result<T>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(error),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text =
                text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("for no reason given");
            Err(StoreError::Engine(Box::new(Panicked(text.to_owned()))))
        }
    }
}

fn error(error: ::fjall::Error) -> StoreError {
    match error {
        ::fjall::Error::Poisoned => StoreError::Poisoned,
        ::fjall::Error::Io(source) => StoreError::Io { what: "an operation of the storage engine", source },
        other => StoreError::Engine(Box::new(other)),
    }
}
