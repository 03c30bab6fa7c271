#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

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
    AuthorInfo, Authors, Batch, ChangesetInfo, Collected, Db, Edited, Everyone, Feature, Head, Imported,
    InUse, Keep, MAX_AUTHOR_NAME_BYTES, Merged, Policy, Query, Reflog, Refused, Repaired, Replaces, Snapshot,
    Undone, Unfit, Verified, Write, Written,
};
pub use entry::{
    Author, DeviceKey, EditMeta, Entry, EntryError, Origin, OsmMeta, ParseAuthorError, ParseVersionError,
    Signature, SignatureError, Signed, Version,
};
pub use error::Error;
pub use model::{
    BBox, BBoxError, Closed, Coord, CoordError, ElementId, Kind, LimitError, MAX_ID, MAX_MEMBERS,
    MAX_TEXT_CHARS, MAX_WAY_NODES, Member, ParseIdError, Payload, Tags, UNITS_PER_DEGREE,
};
pub use root::{Counts, DEFAULT_NAME, FORMAT, MAX_NAME_BYTES, Root, RootError, Trees};
pub use views::spatial::Geometry;
