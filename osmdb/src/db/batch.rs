//! Edits made here: what can be asked for, and all of it in one commit.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use prolly::{Cid, PageStore};

use super::reflog::{self, Cause};
use super::stage::{Loaded, Stage};
use super::{Db, now};
use crate::entry::{Fresh, Version};
use crate::error::Error;
use crate::model::{ElementId, Kind, MAX_ID, Payload};

/// Which versions of an element an edit replaces.
///
/// ```
/// use osmdb::{Replaces, Write};
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// # let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// assert_eq!(Write::delete(node).replaces, Replaces::Heads);
/// let known = db.get(node)?[0].version;
/// let write = Write::delete(node).replacing([known]);
/// assert_eq!(write.replaces, Replaces::Versions(vec![known]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Replaces {
    /// All heads: if there are several, the edit ends the fork.
    #[default]
    Heads,
    /// These versions only: other heads stay beside the edit.
    Versions(Vec<Version>),
}

/// What becomes of a deletion of an element that a live one names.
///
/// ```
/// use osmdb::{Error, InUse, Write};
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let way = db.create(Payload::Way { refs: vec![node.id], tags: Tags::new() })?;
/// let refused = db.delete(node);
/// assert!(matches!(refused, Err(Error::InUse { by, .. }) if by == way));
/// let mut batch = db.batch();
/// batch.push(Write::delete(node).if_in_use(InUse::Keep));
/// assert_eq!(batch.commit()?.edits[0].version, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InUse {
    /// The whole batch is refused.
    #[default]
    Refuse,
    /// The element is not deleted: `if-unused` of osmChange.
    Keep,
    /// The element is deleted, and those that name it go on naming it.
    Delete,
}

/// One edit of one element.
///
/// ```
/// use osmdb::{ElementId, InUse, Write};
/// let write = Write::delete(ElementId::node(5)).if_in_use(InUse::Keep);
/// assert!(write.payload.is_none() && write.in_use == InUse::Keep);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Write {
    /// The element; it is new if it has no versions yet.
    pub element: ElementId,
    /// Its new content; `None` deletes it.
    pub payload: Option<Payload>,
    /// The versions it replaces.
    pub replaces: Replaces,
    /// The changeset it belongs to; `None`: that of the batch, if it has one.
    pub changeset: Option<u64>,
    /// What becomes of a deletion of an element that a live one names.
    pub in_use: InUse,
}

impl Write {
    /// Gives an element new content, which replaces all its heads.
    ///
    /// ```
    /// use osmdb::{Coord, ElementId, Payload, Replaces, Tags, Write};
    /// let payload = Payload::Node { coord: Coord::new(425_000_000, 15_000_000)?, tags: Tags::new() };
    /// let write = Write::put(ElementId::node(5), payload);
    /// assert!(write.payload.is_some() && write.replaces == Replaces::Heads);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn put(element: ElementId, payload: Payload) -> Self {
        Self {
            element,
            payload: Some(payload),
            replaces: Replaces::Heads,
            changeset: None,
            in_use: InUse::Refuse,
        }
    }

    /// Deletes an element: a tombstone replaces all its heads.
    ///
    /// ```
    /// use osmdb::{ElementId, Write};
    /// assert_eq!(Write::delete(ElementId::way(5)).payload, None);
    /// ```
    #[must_use]
    pub const fn delete(element: ElementId) -> Self {
        Self { element, payload: None, replaces: Replaces::Heads, changeset: None, in_use: InUse::Refuse }
    }

    /// Replaces these versions only: other heads stay beside the edit.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags, Write};
    /// # let db = Db::in_memory("osm")?;
    /// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let element = db.create(node(1))?;
    /// let first = db.get(element)?[0].version;
    /// db.put(element, node(2))?;
    /// let mut batch = db.batch();
    /// batch.push(Write::put(element, node(3)).replacing([first]));
    /// assert_eq!(batch.commit()?.forked, [element]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn replacing(self, versions: impl IntoIterator<Item = Version>) -> Self {
        Self { replaces: Replaces::Versions(versions.into_iter().collect()), ..self }
    }

    /// Belongs to a changeset, whatever that of the batch is.
    ///
    /// ```
    /// use osmdb::{ElementId, Write};
    /// let write = Write::delete(ElementId::node(5)).in_changeset(7);
    /// assert_eq!(write.changeset, Some(7));
    /// ```
    #[must_use]
    pub fn in_changeset(self, changeset: u64) -> Self {
        Self { changeset: Some(changeset), ..self }
    }

    /// Says what becomes of a deletion of an element that a live one names.
    ///
    /// ```
    /// use osmdb::{ElementId, InUse, Write};
    /// let write = Write::delete(ElementId::node(5)).if_in_use(InUse::Delete);
    /// assert_eq!(write.in_use, InUse::Delete);
    /// ```
    #[must_use]
    pub fn if_in_use(self, in_use: InUse) -> Self {
        Self { in_use, ..self }
    }
}

/// What became of one edit of a batch.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// let mut batch = db.batch();
/// let node = batch.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let edited = batch.commit()?.edits[0];
/// assert_eq!(edited.element, node);
/// assert_eq!(edited.version, Some(db.get(node)?[0].version));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edited {
    /// The element.
    pub element: ElementId,
    /// Its new version; `None`: it was to be deleted if unused, and is in use.
    pub version: Option<Version>,
}

/// What a batch did.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// let mut batch = db.batch();
/// batch.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let written = batch.commit()?;
/// assert_eq!((written.edits.len(), written.forked.len()), (1, 0));
/// assert_eq!(written.root, db.root());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The edits, in their order.
    pub edits: Vec<Edited>,
    /// The elements that have become forks, in order.
    pub forked: Vec<ElementId>,
    /// The root afterwards.
    pub root: Cid,
}

/// Gives ids to new elements: a random base above 2⁶² for every session, and up from there, so that
/// elements made together sort together and do not meet another session's.
#[derive(Debug, Default)]
pub(super) struct NewIds(Option<u64>);

impl NewIds {
    fn next(&mut self) -> Result<u64, Error> {
        let id = match self.0.and_then(|last| last.checked_add(1)).filter(|id| *id <= MAX_ID) {
            Some(id) => id,
            None => (1 << 62) | (getrandom::u64()? >> 2),
        };
        self.0 = Some(id);
        Ok(id)
    }
}

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
    is_lenient: bool,
}

impl<S: PageStore> Batch<'_, S> {
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
        let Self { db, writes, is_lenient, .. } = self;
        let mut turn = db.write_turn();
        let key = db.device_key()?;
        let snapshot = db.snapshot();
        let loaded = Loaded::new(&snapshot, &writes)?;
        let time = now();
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

impl<S: PageStore> Db<S> {
    /// Returns an id that no other element has, here or elsewhere: from 2⁶² to 2⁶³−1, a random one first and
    /// then those behind it. Costs no page, and nothing is written.
    ///
    /// ```
    /// # use osmdb::{Db, Kind};
    /// # let db = Db::in_memory("osm")?;
    /// let (first, second) = (db.new_id(Kind::Node)?, db.new_id(Kind::Node)?);
    /// assert_ne!(first, second);
    /// assert!(first.id >= 1 << 62 && first.kind == Kind::Node);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The system gives no random number.
    pub fn new_id(&self, kind: Kind) -> Result<ElementId, Error> {
        let id = self.ids.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        Ok(ElementId::new(kind, id))
    }

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
        Batch { db: self, writes: Vec::new(), changeset: None, is_lenient: false }
    }

    /// Makes a new element: a batch of one.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let tags = Tags::from([("natural", "spring")]);
    /// let spring = db.create(Payload::Node { coord: Coord::new(425_000_000, 15_000_000)?, tags })?;
    /// assert_eq!(db.get(spring)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Batch::commit`].
    pub fn create(&self, payload: Payload) -> Result<ElementId, Error> {
        let mut batch = self.batch();
        let element = batch.create(payload)?;
        batch.commit()?;
        Ok(element)
    }

    /// Gives an element new content, which replaces all its heads, and returns the new version: a batch of
    /// one.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let at = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let node = db.create(at(1))?;
    /// let version = db.put(node, at(2))?;
    /// assert_eq!(db.get(node)?[0].version, version);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Batch::commit`].
    pub fn put(&self, element: ElementId, payload: Payload) -> Result<Version, Error> {
        self.write_one(Write::put(element, payload))
    }

    /// Deletes an element, which no live one may name, and returns the version of the tombstone, which
    /// replaces all its heads: a batch of one.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// # let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let tombstone = db.delete(node)?;
    /// let heads = db.get(node)?;
    /// assert_eq!(heads[0].version, tombstone);
    /// assert_eq!(heads[0].entry.payload, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Batch::commit`].
    pub fn delete(&self, element: ElementId) -> Result<Version, Error> {
        self.write_one(Write::delete(element))
    }

    /// Ends a fork: a new version with the content of one of the heads, chosen by its version, replaces
    /// all heads. For a content made by hand, [`put`](Self::put) does the same.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags, Write};
    /// let db = Db::in_memory("osm")?;
    /// let at = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let node = db.create(at(1))?;
    /// let first = db.get(node)?[0].version;
    /// let ours = db.put(node, at(2))?;
    /// // Somebody who knows only the first version edits too.
    /// let mut batch = db.batch();
    /// batch.push(Write::put(node, at(3)).replacing([first]));
    /// batch.commit()?;
    /// assert_eq!(db.get(node)?.len(), 2);
    ///
    /// db.resolve(node, ours)?;
    /// let heads = db.get(node)?;
    /// assert_eq!((heads.len(), heads[0].entry.payload.clone()), (1, Some(at(2))));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// The version is no head of the element ([`Error::NoVersion`]); otherwise as for [`Batch::commit`].
    pub fn resolve(&self, element: ElementId, chosen: Version) -> Result<Version, Error> {
        let heads = self.get(element)?;
        let head = heads.into_iter().find(|head| head.version == chosen);
        let head = head.ok_or(Error::NoVersion { element, version: chosen })?;
        self.write_one(match head.entry.payload {
            Some(payload) => Write::put(element, payload),
            None => Write::delete(element),
        })
    }

    fn write_one(&self, write: Write) -> Result<Version, Error> {
        let element = write.element;
        let mut batch = self.batch();
        batch.push(write);
        let written = batch.commit()?;
        written.edits.first().and_then(|edited| edited.version).ok_or(Error::NotFound { element })
    }
}

/// The entries of a batch.
pub(super) type Made = Vec<Fresh>;
