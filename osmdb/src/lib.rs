#![doc = include_str!("../README.md")]
//!
//! ## A guide to the types
//!
//! In the order in which a reader needs them; each has an example.
//!
//! - [`Db`] is a database: [`open`](Db::open) one in a directory, make one [`in_memory`](Db::in_memory), and
//!   [`import`](Db::import) files into it.
//! - [`Snapshot`] is the database as it was at one moment, and what all reading is asked of; see
//!   [`Db::snapshot`].
//! - [`Batch`] is several edits written together or not at all; [`Db::create`], [`Db::put`] and
//!   [`Db::delete`] are batches of one.
//! - [`Query`] finds what touches a box, and [`Filter`] says of which kind it is to be, with which tags.
//! - [`Head`] is a version that no other replaces, of which a fork has several, and [`Entry`] its record: an
//!   [`ElementId`], a [`Payload`], and the [`Origin`] of the version.
//! - [`Db::merge`] takes in what another database has, and a [`Policy`] says whose edits are taken in.
//! - [`io::Reader`] and [`io::Writer`] read and write OSM files without a database.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod area;
pub mod bundle;
mod db;
mod distance;
mod entry;
mod error;
mod filter;
mod geohash;
mod geometry;
pub mod io;
mod model;
#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub mod net;
mod pack;
mod remote;
mod root;
#[cfg(feature = "server")]
#[cfg_attr(docsrs, doc(cfg(feature = "server")))]
pub mod server;
mod signed_root;
pub mod sync;
pub mod tile;
mod timestamp;
mod views;

pub use db::{
    Area, At, AuthorInfo, Authors, Batch, ChangesetInfo, Collected, Cursor, CursorError, Db, Diff,
    Difference, Edited, Everyone, Feature, Forks, Head, Imported, InUse, Keep, MAX_AUTHOR_NAME_BYTES,
    MAX_CURSOR_BYTES, Map, Merged, Nearest, Neighbour, ParseAtError, Policy, Query, Reflog, Refused,
    Repaired, Replaces, Revision, Snapshot, Undone, Unfit, Update, Verified, Watch, WatchScope, What, Write,
    Written,
};
pub use distance::EARTH_RADIUS;
pub use entry::{
    Author, DeviceKey, EditMeta, Entry, EntryError, Origin, OsmMeta, ParseAuthorError, ParseVersionError,
    Signature, SignatureError, Signed, Version,
};
pub use error::Error;
pub use filter::{Filter, FilterProblem, MAX_CONDITIONS, MAX_FILTER_BYTES, ParseFilterError};
pub use geohash::{GeohashError, MAX_GEOHASH_DIGITS, geohash_bbox};
pub use model::{
    BBox, BBoxError, Closed, Coord, CoordError, ElementId, Kind, LimitError, MAX_ID, MAX_MEMBERS, MAX_TAGS,
    MAX_TEXT_CHARS, MAX_TEXTS_BYTES, MAX_WAY_NODES, Member, ParseCoordError, ParseIdError, Payload, Tags,
    UNITS_PER_DEGREE,
};
#[cfg(feature = "object-store")]
pub use pack::BucketFiles;
#[cfg(feature = "http")]
pub use pack::HttpFiles;
pub use pack::{
    Directory, Files, Folder, MANIFEST_NAME, MAX_MANIFEST_BYTES, MAX_PACK_BYTES, MAX_PACKS, PackError,
    PackOrigin, Publish, PublishError, Published,
};
pub use remote::{
    Announced, Answers, Ask, AskError, AskNearest, BlockingAnswers, BlockingRemote, DEFAULT_CACHE_PAGES,
    Dropped, Incoming, MAX_ASK_BYTES, MAX_ASK_IDS, MAX_ASK_TREES, MAX_PINS, MAX_READ_BYTES,
    MAX_TREE_NAME_BYTES, OriginError, PageOrigin, Pins, Remote, RemoteError, RemoteOptions, RemotePages,
    Request, Signers, Traffic, TrustError, block_on,
};
pub use root::{Counts, DEFAULT_NAME, FORMAT, MAX_NAME_BYTES, Root, RootError, Trees};
pub use signed_root::{SignedRoot, SignedRootError};
pub use timestamp::{parse_timestamp, show_timestamp};
pub use views::spatial::Geometry;
