//! The DAG record: one version of one element, and its one encoding.

use crate::model::{ElementId, Payload};

/// One version of one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The element this is a version of.
    pub element: ElementId,
    /// Its content; `None` is a tombstone: this version deletes the element.
    pub payload: Option<Payload>,
    /// Where the version comes from.
    pub origin: Origin,
}

/// Where a version comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Read from a file: ordered by its OSM version, without links.
    Imported(OsmMeta),
}

/// What an OSM file says of a version beside its content. Public extracts leave most of it out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OsmMeta {
    /// The version number that the OSM server gave.
    pub version: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub timestamp: Option<i64>,
    /// The changeset it was made in.
    pub changeset: Option<u64>,
    /// The number of the user who made it.
    pub uid: Option<u64>,
    /// The name of the user who made it.
    pub user: Option<String>,
}
