//! Reading and writing OSM files: `.osm.pbf`, `.osm` and `.osc`, the last two plain, `.gz`, `.bz2` or
//! `.zst`; and full history files, `.osh.pbf` and `.osh`, which hold several versions of an element.
//!
//! [`Reader`] turns a file into [`Entry`](crate::Entry) values one after another, in the order of the file. What a
//! file is, its content tells and not its name. Memory is bounded whatever the file's size: one PBF
//! block or one XML element at a time. [`Writer`] is the way back.
//!
//! ```
//! use osmdb::io::Reader;
//!
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("summit.osm");
//! std::fs::write(
//!     &path,
//!     r#"<osm version="0.6">
//!          <node id="7" version="2" lat="42.592196" lon="1.565524"><tag k="natural" v="peak"/></node>
//!        </osm>"#,
//! )?;
//!
//! for entry in Reader::open(&path)? {
//!     let entry = entry?;
//!     assert_eq!(entry.element.to_string(), "node/7");
//!     assert_eq!(entry.payload.unwrap().tags().get("natural"), Some("peak"));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is normalised
//!
//! The same object gives the same entry from either format. Programs that strip metadata write zeros
//! in PBF where XML leaves attributes out, so what means "not set" reads as `None` in both: a version
//! of 0 or -1, a timestamp of 0, a changeset of 0 or -1, a uid of 0 or -1, an empty user name. (A uid
//! of 0 beside a user name drops the uid and keeps the name.) Places are rounded to 10⁻⁷ degree, half
//! away from zero, timestamps down to whole seconds. An object with `visible="false"` is a tombstone:
//! its payload is `None`, and what else it holds is not read. So is all that a change file has under
//! `<delete>`; what it has under `<create>` and `<modify>` is read alike. The version of a tombstone is
//! that of the deletion, as in the diffs that OSM publishes: the last version that was there, and one.
//!
//! # What is refused
//!
//! Anything the file says of an element that cannot be kept as it is: ids and references that are not
//! positive, places off the globe, numbers that are none, broken text. Extracts whose members dangle,
//! unsorted files, several versions of one object are all fine. Every refusal is a [`ReadError`] that
//! says where and why in one sentence. (A PBF file has no mark for its end: one that was cut off exactly
//! between two blobs reads as a whole one.)
//!
//! Some attributes say nothing of the map and are passed over: the `action` of an editor's file (but see
//! [`Reader::with_placeholders`]), the
//! bounding boxes and centres of query services, changesets, and every tag that is not OSM's.

mod detect;
mod element;
mod error;
mod packed;
mod pbf;
mod raw;
mod reader;
mod source;
mod write;
mod xml;

pub use element::{
    MAX_BLOCK_TEXT_BYTES, MAX_ELEMENT_MEMBERS, MAX_ELEMENT_REFS, MAX_ELEMENT_TAGS, MAX_ELEMENT_TEXT_BYTES,
    placeholder,
};
pub use error::{Compression, ElementProblem, PbfProblem, Place, Problem, ReadError, XmlProblem};
pub use packed::MAX_ZSTD_WINDOW_BYTES;
pub use pbf::{MAX_BLOB_BYTES, MAX_BLOB_HEADER_BYTES, MAX_BLOCK_ELEMENTS};
pub(crate) use raw::Raw;
pub use reader::Reader;
pub use write::{Action, FileFormat, Unwritable, WholeFile, WriteError, WriteProblem, Writer};
pub use xml::{MAX_XML_ATTRIBUTES, MAX_XML_DEPTH, MAX_XML_EVENT_BYTES};
