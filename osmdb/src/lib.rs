#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod area;
mod db;
mod entry;
mod error;
mod geohash;
mod geometry;
pub mod io;
mod model;
mod root;
mod views;

pub use db::{
    Area, Db, Diff, Difference, Feature, Head, Imported, Merged, Query, Reflog, Replaces, Snapshot, Verified,
    Write,
};
pub use entry::{EditMeta, Entry, EntryError, Origin, OsmMeta, ParseVersionError, Version};
pub use error::Error;
pub use model::{
    BBox, BBoxError, Coord, CoordError, ElementId, Kind, MAX_ID, Member, ParseIdError, Payload, Tags,
    UNITS_PER_DEGREE,
};
pub use root::{Counts, DEFAULT_NAME, FORMAT, MAX_NAME_BYTES, Root, RootError, Trees};
pub use views::spatial::Geometry;
