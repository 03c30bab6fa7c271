//! Checking a whole database.

use bytes::Bytes;
use prolly::{Cid, MemoryStore, PageSink, PageSource, PageStore, StoreError, TreeStats};

use super::reflog::{self, Cause};
use super::{Db, Snapshot, apply, empty_root};
use crate::entry::{Fresh, Known};
use crate::error::Error;

/// What a check found, if it found nothing wrong.
///
/// ```
/// # let db = osmdb::Db::in_memory("osm")?;
/// let verified = db.verify()?;
/// assert_eq!(verified.entries, 0);
/// let names = verified.trees.iter().map(|(name, _)| *name);
/// assert!(names.eq(["heads", "history", "spatial", "refs", "changes", "tags"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries were read.
    pub entries: u64,
    /// The trees, by name, with their sizes.
    pub trees: Vec<(&'static str, TreeStats)>,
}

impl<S: PageSource> Snapshot<S> {
    /// Checks everything: every page of every tree, every boundary, every record, version and signature;
    /// and that all trees are those that follow from the entries. Costs all pages, and memory for all
    /// entries.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let empty = db.root();
    /// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// assert_eq!(db.snapshot().verify()?.entries, 1);
    /// assert_eq!(db.at(empty)?.verify()?.entries, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong: the first thing found.
    pub fn verify(&self) -> Result<Verified, Error> {
        let root = self.root();
        let verify = |(name, tree): (&'static str, prolly::Tree)| Ok((name, tree.verify(self.source())?));
        let trees = root.trees.named().into_iter().map(verify).collect::<Result<Vec<_>, Error>>()?;
        let entries = self.checked_entries()?;
        let count = entries.len() as u64;
        let scratch = MemoryStore::new();
        let empty = empty_root(&scratch, &root.name, root.trees.heads.config)?;
        let derived = apply::apply(&scratch, &empty, entries)?.root;
        if derived != *root {
            return Err(Error::Views { found: root.cid(), expected: derived.cid() });
        }
        Ok(Verified { entries: count, trees })
    }

    /// Reads all entries, and checks their signatures.
    fn checked_entries(&self) -> Result<Vec<Fresh>, Error> {
        let checked = |known: Result<Known, Error>| {
            let known = known?;
            let (element, version) = (known.entry.element, known.version);
            let signature = known.entry.check_signature();
            signature.map_err(|source| Error::Signature { element, version, source })?;
            Ok(known.into())
        };
        self.entries().map(checked).collect()
    }
}

impl<S: PageStore + Sync> Db<S> {
    /// Checks the database as it is now. See [`Snapshot::verify`], also for what it costs.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// assert_eq!(db.verify()?.entries, db.counts().entries);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong: the first thing found.
    pub fn verify(&self) -> Result<Verified, Error> {
        self.snapshot().verify()
    }

    /// Derives all trees anew from the entries, in one commit: the spatial tree, the references, the
    /// changesets and the tags need not be readable. Pages that are damaged on disk are written again.
    ///
    /// ```
    /// let db = osmdb::Db::in_memory("osm")?;
    /// let repaired = db.repair()?;
    /// assert_eq!(repaired.from, repaired.to);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// The entries themselves cannot be read, or one of them is forged: merge from a peer into a new
    /// database. Or the store fails. The database is as it was.
    pub fn repair(&self) -> Result<Repaired, Error> {
        let mut turn = self.write_turn();
        let snapshot = self.snapshot();
        let old = snapshot.root().clone();
        let entries = snapshot.checked_entries()?;
        let count = entries.len() as u64;
        let mended = Mended(&self.store);
        let empty = empty_root(&mended, &old.name, old.trees.heads.config)?;
        let new = apply::apply(&mended, &empty, entries)?.root;
        // Pages that were written again are durable with the next commit, whether the root changes or not.
        self.change_root(&mut turn, &new, Cause::new(reflog::REPAIR))?;
        Ok(Repaired { entries: count, from: old.cid(), to: new.cid() })
    }
}

/// What a repair did.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// # db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let repaired = db.repair()?;
/// assert_eq!((repaired.entries, repaired.to), (1, db.root()));
/// assert_eq!(repaired.from, repaired.to, "the trees were sound");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repaired {
    /// How many entries there are.
    pub entries: u64,
    /// The root before.
    pub from: Cid,
    /// The root that follows from the entries.
    pub to: Cid,
}

/// A store in which a page that cannot be read is as good as none.
struct Mended<'a, S>(&'a S);

impl<S: PageSource> PageSource for Mended<'_, S> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.0.load(cid)
    }
}

impl<S: PageStore> PageSink for Mended<'_, S> {
    fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError> {
        // Reading a damaged page tells the store to take it once more.
        match self.0.load(&cid) {
            Ok(Some(page)) if page == bytes => Ok(()),
            _ => self.0.put(cid, bytes),
        }
    }
}
