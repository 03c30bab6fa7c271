//! What a database keeps: which earlier roots, and so which pages.

use std::collections::BTreeSet;

use bytes::Bytes;
use prolly::{Cid, Commit, FjallStore, PageStore, Reference, gc};

use super::{Db, reflog};
use crate::error::Error;
use crate::root::RawRoot;

/// Which of the roots in the reflog are kept: those that pass one of these.
///
/// ```
/// use osmdb::{Db, Keep};
/// # use osmdb::Tags;
/// # let mut db = Db::in_memory("osm")?;
/// # db.open_changeset(Tags::new())?;
/// // The last 100 changes, and all since the year 2020 began:
/// let collected = db.gc(Keep { newest: 100, since: Some(1_577_836_800) })?;
/// assert_eq!(collected.roots_forgotten, 0);
/// // Only what is there now:
/// assert_eq!(db.gc(Keep::default())?.roots_kept, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// So many of the latest records. The present root is always kept.
    pub newest: u64,
    /// What was the root at this time or later, in seconds since 1970.
    pub since: Option<i64>,
}

/// What a collection did.
///
/// ```
/// use osmdb::{Db, Keep};
/// # use osmdb::Tags;
/// # let mut db = Db::in_memory("osm")?;
/// # db.open_changeset(Tags::new())?;
/// let collected = db.gc(Keep { newest: 1, since: None })?;
/// assert_eq!((collected.roots_kept, collected.roots_forgotten), (1, 1));
/// assert!(collected.pages_removed > 0 && collected.bytes_removed > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collected {
    /// How many records the reflog has left.
    pub roots_kept: u64,
    /// How many it has lost.
    pub roots_forgotten: u64,
    /// How many pages are in use.
    pub pages_kept: u64,
    /// How many were removed.
    pub pages_removed: u64,
    /// How many bytes these took as the store keeps them, compressed if it compresses.
    pub bytes_removed: u64,
}

impl<S: PageStore> Db<S> {
    /// Forgets earlier roots, and removes the pages that only they need. All versions of the present
    /// database stay: its history is a part of it. Undo and time travel reach as far back as is kept.
    ///
    /// No snapshot of this database may be alive, which the compiler sees to. A crash on the way leaves
    /// pages that the next collection removes.
    ///
    /// Costs a read of every page that is kept, and about 40 bytes of memory for each. The disk is smaller
    /// after [`compact`](Self::compact).
    ///
    /// ```
    /// use osmdb::{Coord, Db, Keep, Payload, Tags};
    /// let mut db = Db::in_memory("osm")?;
    /// let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let element = db.create(node(1))?;
    /// db.put(element, node(2))?;
    /// let collected = db.gc(Keep { newest: 1, since: None })?;
    /// assert_eq!((collected.roots_kept, collected.roots_forgotten), (1, 2));
    /// assert!(collected.pages_removed > 0);
    /// assert_eq!(db.snapshot().replaced(element)?.len(), 1);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// A page that is to be kept is missing or damaged: nothing is removed. Or the store fails, which may
    /// leave some of the garbage.
    pub fn gc(&mut self, keep: Keep) -> Result<Collected, Error> {
        let _turn = self.write_turn();
        let log = reflog::read(&self.store)?;
        let count = log.len() as u64;
        let mut kept = Vec::new();
        let mut forgotten = Vec::new();
        let ends = log.iter().skip(1).map(|next| Some(next.time)).chain([None]);
        for (index, (entry, end)) in (0_u64..).zip(log.iter().zip(ends)) {
            // A root lasts until the next one comes.
            let is_late = keep.since.is_some_and(|since| end.is_none_or(|end| end >= since));
            let is_new = index.saturating_add(keep.newest.max(1)) >= count;
            if is_late || is_new { kept.push(entry.root) } else { forgotten.push(entry) }
        }
        let links = |cid: &Cid, bytes: &Bytes| references(cid, bytes, &self.store);
        let roots: Vec<Cid> = kept.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        // First the records and then the pages: a record must not outlive what it names.
        let notes = forgotten.iter().map(|entry| (entry.note().0, None)).collect();
        self.store.commit(&Commit { roots: Vec::new(), notes })?;
        let report = match gc(&self.store, &roots, links) {
            Ok(report) => report,
            Err(error) => {
                // Nothing was removed if a page could not be read; what cannot be noted again is lost.
                let notes = forgotten.iter().map(|entry| entry.note()).collect();
                let _ = self.store.commit(&Commit { roots: Vec::new(), notes });
                return Err(error);
            }
        };
        Ok(Collected {
            roots_kept: kept.len() as u64,
            roots_forgotten: forgotten.len() as u64,
            pages_kept: report.kept,
            pages_removed: report.removed,
            bytes_removed: report.bytes,
        })
    }
}

/// Returns what a root record names; a configuration names nothing.
fn references<S: PageStore>(cid: &Cid, bytes: &Bytes, store: &S) -> Result<Vec<Reference>, Error> {
    if prolly::Config::decode(bytes).is_ok() {
        return Ok(Vec::new());
    }
    let damaged = |source| Error::Root { cid: *cid, source };
    let raw = RawRoot::decode(bytes).map_err(damaged)?;
    let config_cid = raw.config;
    let config = store.load(&config_cid)?.ok_or(Error::Tree(prolly::Error::Missing(config_cid)))?;
    let root = raw.with_config(&config).map_err(damaged)?;
    let trees = root.trees.named().into_iter().map(|(_, tree)| Reference::Tree(tree));
    Ok(trees.chain([Reference::Record(config_cid)]).collect())
}

impl Db<FjallStore> {
    /// Rewrites the files of the store without what was removed, so that the disk is smaller. Some of it is
    /// given back when the database is opened the next time. Readers and writers may go on meanwhile.
    ///
    /// ```
    /// use osmdb::{Db, Keep};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("osm.db");
    /// let mut db = Db::create_or_open(&path)?;
    /// let root = db.root();
    /// db.gc(Keep { newest: 10, since: None })?;
    /// db.compact()?;
    /// assert_eq!(db.root(), root);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The store fails.
    pub fn compact(&self) -> Result<(), Error> {
        Ok(self.store.compact()?)
    }

    /// Returns how many bytes the files of the database take. Costs a listing of its directory.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("osm.db");
    /// let db = osmdb::Db::create_or_open(&path)?;
    /// assert!(db.disk_bytes()? > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn disk_bytes(&self) -> Result<u64, Error> {
        Ok(self.store.disk_bytes()?)
    }
}
