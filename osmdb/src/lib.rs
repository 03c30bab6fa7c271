#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod db;
mod distance;
mod entry;
mod error;
mod filter;
mod geohash;
mod geometry;
pub mod io;
mod model;
mod root;
mod views;

pub use db::{
    At, Cursor, CursorError, Db, Feature, Forks, Head, Imported, MAX_CURSOR_BYTES, Map, Merged, Nearest,
    Neighbour, ParseAtError, Query, Reflog, Replaces, Revision, Snapshot, Update, Verified, Watch,
    WatchScope, What, Write,
};
pub use distance::EARTH_RADIUS;
pub use entry::{EditMeta, Entry, EntryError, Origin, OsmMeta, ParseVersionError, Version};
pub use error::Error;
pub use filter::{Filter, FilterProblem, MAX_CONDITIONS, MAX_FILTER_BYTES, ParseFilterError};
pub use geohash::{GeohashError, MAX_GEOHASH_DIGITS, geohash_bbox};
pub use model::{
    BBox, BBoxError, Coord, CoordError, ElementId, Kind, MAX_ID, Member, ParseCoordError, ParseIdError,
    Payload, Tags, UNITS_PER_DEGREE,
};
pub use root::{Counts, DEFAULT_NAME, FORMAT, MAX_NAME_BYTES, Root, RootError, Trees};
pub use views::spatial::Geometry;
