//! What a version of an element holds.

use super::{BBox, Coord, ElementId, Kind, Tags};

/// One member of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The element that is a member.
    pub element: ElementId,
    /// What it is in the relation; often empty.
    pub role: String,
}

/// The end of a changeset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// When it was closed, in seconds since 1970.
    pub at: i64,
    /// What its edits touched, if any of them is somewhere.
    pub bbox: Option<BBox>,
}

/// The content of one version of an element.
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
        /// The ids of its nodes, in order. Extracts are clipped: some may be unknown.
        refs: Vec<u64>,
        /// What it is.
        tags: Tags,
    },
    /// A group of elements.
    Relation {
        /// Its members, in order. Extracts are clipped: some may be unknown.
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
    pub const fn tags_mut(&mut self) -> &mut Tags {
        match self {
            Self::Node { tags, .. }
            | Self::Way { tags, .. }
            | Self::Relation { tags, .. }
            | Self::Changeset { tags, .. } => tags,
        }
    }

    /// Iterates over the elements this content names: a way's nodes, a relation's members.
    pub fn references(&self) -> impl Iterator<Item = ElementId> + '_ {
        let refs: &[u64] = if let Self::Way { refs, .. } = self { refs } else { &[] };
        let members: &[Member] = if let Self::Relation { members, .. } = self { members } else { &[] };
        let nodes = refs.iter().map(|id| ElementId::node(*id));
        nodes.chain(members.iter().map(|member| member.element))
    }
}
