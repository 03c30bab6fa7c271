//! What a version of an element holds.

use super::{BBox, Coord, ElementId, Kind, Tags};

/// One member of a relation.
///
/// ```
/// use osmdb::{ElementId, Member, Payload, Tags};
/// let member = Member { element: ElementId::way(6), role: "outer".to_owned() };
/// let tags = Tags::from([("type", "multipolygon"), ("natural", "water")]);
/// let lake = Payload::Relation { members: vec![member], tags };
/// assert!(lake.references().eq([ElementId::way(6)]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The element that is a member.
    pub element: ElementId,
    /// What it is in the relation; often empty. In an edit, at most [`MAX_TEXT_CHARS`](super::MAX_TEXT_CHARS)
    /// characters.
    pub role: String,
}

/// The end of a changeset.
///
/// ```
/// use osmdb::{Closed, Db, ElementId, Kind, Payload, Tags};
/// let db = Db::in_memory("osm")?;
/// let id = db.open_changeset(Tags::from([("comment", "wells")]))?;
/// db.close_changeset(id)?;
/// let payload = db.get(ElementId::new(Kind::Changeset, id))?.remove(0).entry.payload;
/// // No edit belongs to it, so it has no box.
/// assert!(matches!(payload, Some(Payload::Changeset { closed: Some(Closed { bbox: None, .. }), .. })));
/// # Ok::<(), osmdb::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// When it was closed, in seconds since 1970.
    pub at: i64,
    /// What its edits touched, if any of them is somewhere.
    pub bbox: Option<BBox>,
}

/// The content of one version of an element.
///
/// ```
/// use osmdb::{Coord, Payload, Tags};
/// let bridge = Payload::Way { refs: vec![1, 2], tags: Tags::from([("bridge", "yes")]) };
/// let spring = Payload::Node { coord: Coord::new(425_121_500, 15_029_000)?, tags: Tags::new() };
/// let places = |payload: &Payload| match payload {
///     Payload::Node { .. } => 1,
///     Payload::Way { refs, .. } => refs.len(),
///     Payload::Relation { .. } | Payload::Changeset { .. } => 0,
/// };
/// assert_eq!((places(&bridge), places(&spring)), (2, 1));
/// # Ok::<(), osmdb::CoordError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A point.
    Node {
        /// Where it is.
        coord: Coord,
        /// What it is.
        tags: Tags,
    },
    /// A line or a ring.
    Way {
        /// The ids of its nodes, in order. Extracts are clipped: some may be unknown. In an edit, from 1 to
        /// [`MAX_WAY_NODES`](super::MAX_WAY_NODES).
        refs: Vec<u64>,
        /// What it is.
        tags: Tags,
    },
    /// A group of elements.
    Relation {
        /// Its members, in order. Extracts are clipped: some may be unknown. In an edit, at most
        /// [`MAX_MEMBERS`](super::MAX_MEMBERS).
        members: Vec<Member>,
        /// What it is.
        tags: Tags,
    },
    /// A group of edits.
    Changeset {
        /// What the author says of it.
        tags: Tags,
        /// Its end; until then it is open.
        closed: Option<Closed>,
    },
}

impl Payload {
    /// Returns the kind of element that holds such content.
    ///
    /// ```
    /// use osmdb::{Kind, Payload, Tags};
    /// assert_eq!(Payload::Way { refs: vec![1, 2], tags: Tags::new() }.kind(), Kind::Way);
    /// ```
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Node { .. } => Kind::Node,
            Self::Way { .. } => Kind::Way,
            Self::Relation { .. } => Kind::Relation,
            Self::Changeset { .. } => Kind::Changeset,
        }
    }

    /// Returns the tags.
    ///
    /// ```
    /// use osmdb::{Payload, Tags};
    /// let way = Payload::Way { refs: vec![1, 2], tags: Tags::from([("highway", "path")]) };
    /// assert_eq!(way.tags().get("highway"), Some("path"));
    /// ```
    #[must_use]
    pub const fn tags(&self) -> &Tags {
        match self {
            Self::Node { tags, .. }
            | Self::Way { tags, .. }
            | Self::Relation { tags, .. }
            | Self::Changeset { tags, .. } => tags,
        }
    }

    /// Returns the tags, to change them.
    ///
    /// ```
    /// use osmdb::{Payload, Tags};
    /// let mut way = Payload::Way { refs: vec![1, 2], tags: Tags::from([("highway", "path")]) };
    /// way.tags_mut().set("highway", "track");
    /// assert_eq!(way.tags(), &Tags::from([("highway", "track")]));
    /// ```
    pub const fn tags_mut(&mut self) -> &mut Tags {
        match self {
            Self::Node { tags, .. }
            | Self::Way { tags, .. }
            | Self::Relation { tags, .. }
            | Self::Changeset { tags, .. } => tags,
        }
    }

    /// Iterates over the elements this content names: a way's nodes, a relation's members.
    ///
    /// ```
    /// use osmdb::{ElementId, Payload, Tags};
    /// let way = Payload::Way { refs: vec![2, 1], tags: Tags::new() };
    /// assert!(way.references().eq([ElementId::node(2), ElementId::node(1)]));
    /// ```
    pub fn references(&self) -> impl Iterator<Item = ElementId> + '_ {
        let refs: &[u64] = if let Self::Way { refs, .. } = self { refs } else { &[] };
        let members: &[Member] = if let Self::Relation { members, .. } = self { members } else { &[] };
        let nodes = refs.iter().map(|id| ElementId::node(*id));
        nodes.chain(members.iter().map(|member| member.element))
    }
}
