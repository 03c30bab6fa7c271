//! Edits made here, all of them in one commit.

use std::collections::BTreeSet;
use std::sync::MutexGuard;

use prolly::PageStore;

use super::reflog::{self, Cause};
use super::stage::{Loaded, Stage};
use super::{Db, Edited, InUse, Turn, Write, Written, now};
use crate::entry::Fresh;
use crate::error::Error;
use crate::model::{ElementId, Payload};

/// Edits that are written together or not at all: see [`Db::batch`].
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
/// let old = db.create(node(1))?;
/// let mut batch = db.batch();
/// let new = batch.create(node(2))?;
/// batch.delete(old);
/// batch.commit()?;
/// assert_eq!(db.counts().nodes, 1);
/// assert!(db.get(new)?[0].entry.payload.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is written before `commit`"]
pub struct Batch<'a, S> {
    db: &'a Db<S>,
    writes: Vec<Write>,
    changeset: Option<u64>,
    made_at: Option<i64>,
    is_lenient: bool,
}

impl<S: PageStore + Sync> Batch<'_, S> {
    /// Puts the edits that follow into a changeset, which must be open.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let survey = db.open_changeset(Tags::from([("comment", "the wells of the east")]))?;
    /// let mut batch = db.batch();
    /// batch.in_changeset(survey);
    /// let node = batch.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// batch.commit()?;
    /// assert_eq!(db.get(node)?[0].entry.changeset(), Some(survey));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn in_changeset(&mut self, changeset: u64) -> &mut Self {
        self.changeset = Some(changeset);
        self
    }

    /// Says when all edits of the batch were made, in seconds since 1970: for what was written down elsewhere
    /// before. Without this it is the moment in which they are written. Nothing is decided by it.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let mut batch = db.batch();
    /// let well = batch.made_at(1_700_000_000).create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// batch.commit()?;
    /// assert_eq!(db.get(well)?[0].entry.timestamp(), Some(1_700_000_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn made_at(&mut self, time: i64) -> &mut Self {
        self.made_at = Some(time);
        self
    }

    /// Lets elements name others that are not here, and deletes elements that others name: for data that
    /// is a part of more. Without this, a new version of an element may only name live elements, and
    /// those that the versions it replaces named already.
    ///
    /// ```
    /// # use osmdb::{Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let clipped = Payload::Way { refs: vec![1, 2], tags: Tags::from([("highway", "path")]) };
    /// assert!(db.create(clipped.clone()).is_err());
    /// let mut batch = db.batch();
    /// batch.lenient().create(clipped)?;
    /// batch.commit()?;
    /// assert_eq!(db.counts().ways, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn lenient(&mut self) -> &mut Self {
        self.is_lenient = true;
        self
    }

    /// Makes a new element, and returns the id that it will have.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let mut batch = db.batch();
    /// let node = batch.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let way = batch.create(Payload::Way { refs: vec![node.id], tags: Tags::new() })?;
    /// batch.commit()?;
    /// assert_eq!(db.snapshot().refs(node)?, [way]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The system gives no random number for the id.
    pub fn create(&mut self, payload: Payload) -> Result<ElementId, Error> {
        let element = self.db.new_id(payload.kind())?;
        self.put(element, payload);
        Ok(element)
    }

    /// Gives an element new content, which replaces all its heads.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// # let (first, second) = (db.create(node(1))?, db.create(node(2))?);
    /// let mut batch = db.batch();
    /// batch.put(first, node(2)).put(second, node(1));
    /// batch.commit()?;
    /// assert_eq!(db.get(first)?[0].entry.payload, Some(node(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put(&mut self, element: ElementId, payload: Payload) -> &mut Self {
        self.push(Write::put(element, payload))
    }

    /// Deletes an element, which no live one may name afterwards.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let way = db.create(Payload::Way { refs: vec![node.id], tags: Tags::new() })?;
    /// let mut batch = db.batch();
    /// batch.delete(node).delete(way);
    /// batch.commit()?;
    /// assert_eq!(db.counts().deleted, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delete(&mut self, element: ElementId) -> &mut Self {
        self.push(Write::delete(element))
    }

    /// Adds an edit, in the changeset of the batch unless it names its own.
    ///
    /// ```
    /// use osmdb::{InUse, Write};
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// # let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let mut batch = db.batch();
    /// batch.push(Write::delete(node).if_in_use(InUse::Keep));
    /// assert!(batch.commit()?.edits[0].version.is_some(), "no way named it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push(&mut self, write: Write) -> &mut Self {
        self.writes.push(Write { changeset: write.changeset.or(self.changeset), ..write });
        self
    }

    /// Writes all edits in one commit, one after another: later ones see the earlier ones. Whether what
    /// they name is there is asked of the outcome, so their order does not matter for it. When this
    /// returns, they survive a crash.
    ///
    /// Every edit is signed with the key of this database: see [`Db::author`].
    ///
    /// Costs the pages of the elements and of what they name, each once, and those that change.
    ///
    /// ```
    /// use osmdb::{ElementId, Error};
    /// # use osmdb::Db;
    /// # let db = Db::in_memory("osm")?;
    /// let before = db.root();
    /// let mut batch = db.batch();
    /// batch.delete(ElementId::node(5));
    /// match batch.commit() {
    ///     Err(Error::NotFound { element }) => assert_eq!(element, ElementId::node(5)),
    ///     other => panic!("{other:?}"),
    /// }
    /// assert_eq!(db.root(), before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// One of the edits cannot be made, and the error names its element:
    /// - its content is of another kind ([`Error::Kind`]), beyond the limits of OSM ([`Error::Limit`]), or
    ///   of a form that no record can have ([`Error::Invalid`]);
    /// - what it deletes or replaces is not there ([`Error::NotFound`], [`Error::NoVersion`]);
    /// - it names an element that is not there ([`Error::Reference`]), or deletes one that another names
    ///   ([`Error::InUse`]);
    /// - its changeset is not there or closed ([`Error::NoChangeset`], [`Error::ChangesetClosed`]).
    ///
    /// Or the store fails. The database is as it was.
    pub fn commit(self) -> Result<Written, Error> {
        let turn = self.db.write_turn();
        self.commit_in(turn)
    }

    /// Writes all edits as [`commit`](Self::commit) does, if this is still the root; otherwise nothing.
    #[cfg(feature = "server")]
    pub(crate) fn commit_at(self, root: &prolly::Cid) -> Result<Option<Written>, Error> {
        let turn = self.db.write_turn();
        if self.db.root() == *root { self.commit_in(turn).map(Some) } else { Ok(None) }
    }

    fn commit_in(self, mut turn: MutexGuard<'_, Turn>) -> Result<Written, Error> {
        let Self { db, writes, made_at, is_lenient, .. } = self;
        let key = db.device_key()?;
        let snapshot = db.snapshot();
        let loaded = Loaded::new(&snapshot, &writes)?;
        let time = made_at.unwrap_or_else(now);
        let mut kept: BTreeSet<usize> = BTreeSet::new();
        let (versions, made) = loop {
            let mut stage = Stage::new(&loaded, &key, time);
            let mut versions = Vec::with_capacity(writes.len());
            for (index, write) in writes.iter().enumerate() {
                let is_kept = kept.contains(&index);
                versions.push(if is_kept { None } else { Some(stage.write(write)?) });
            }
            if is_lenient {
                break (versions, stage.finish());
            }
            let in_use = stage.check()?;
            let before = kept.len();
            kept.extend(deletions_to_keep(&writes, &in_use)?);
            // What stays because it is in use may itself name what was to go.
            if kept.len() == before {
                break (versions, stage.finish());
            }
        };
        let edits = writes.iter().zip(versions);
        let edits = edits.map(|(write, version)| Edited { element: write.element, version }).collect();
        let applied = db.add(&mut turn, &db.store, made, Cause::new(reflog::EDIT))?;
        Ok(Written { edits, forked: applied.forked, root: applied.root.cid() })
    }
}

/// Returns which deletions are not made, of elements that are in use by others.
fn deletions_to_keep(writes: &[Write], in_use: &[(ElementId, ElementId)]) -> Result<BTreeSet<usize>, Error> {
    let mut kept = BTreeSet::new();
    for (element, by) in in_use {
        let deletions = writes.iter().enumerate().filter(|(_, write)| {
            write.element == *element && write.payload.is_none() && write.in_use != InUse::Delete
        });
        for (index, write) in deletions {
            if write.in_use == InUse::Refuse {
                return Err(Error::InUse { element: *element, by: *by });
            }
            kept.insert(index);
        }
    }
    Ok(kept)
}

impl<S: PageStore + Sync> Db<S> {
    /// Begins edits that are written together or not at all.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let mut batch = db.batch();
    /// let mut refs = Vec::new();
    /// for lon in [1, 2, 3] {
    ///     let coord = Coord::new(425_000_000, 15_000_000 + lon)?;
    ///     refs.push(batch.create(Payload::Node { coord, tags: Tags::new() })?.id);
    /// }
    /// let path = batch.create(Payload::Way { refs, tags: Tags::from([("highway", "path")]) })?;
    /// let written = batch.commit()?;
    /// assert_eq!(written.edits.len(), 4);
    /// assert_eq!(db.get(path)?.len(), 1);
    ///
    /// // Nothing of a batch is written if one of its edits cannot be.
    /// let mut batch = db.batch();
    /// batch.delete(path).delete(osmdb::ElementId::node(1));
    /// assert!(batch.commit().is_err());
    /// assert_eq!(db.root(), written.root);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn batch(&self) -> Batch<'_, S> {
        Batch { db: self, writes: Vec::new(), changeset: None, made_at: None, is_lenient: false }
    }
}

/// The entries of a batch.
pub(super) type Made = Vec<Fresh>;
