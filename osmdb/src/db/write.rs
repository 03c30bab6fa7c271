//! What can be asked of a batch, and what became of it.

use prolly::Cid;

use crate::entry::Version;
use crate::model::{ElementId, Payload};

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
