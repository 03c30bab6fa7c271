//! Bundles: files by which databases are replicated without a connection, on a stick or by any other way
//! that files take.
//!
//! A bundle is a series of **sections**. Each has the entries that one root has and an earlier one, its
//! **base**, has not, as peers send them to each other ([`sync`](crate::sync)); the device that wrote it signs
//! both roots and the time. `spec/bundle.md` describes every byte.
//!
//! On a stick every device writes files of its own, and appends to them: [`Db::sync_stick`](crate::Db::sync_stick)
//! takes in what others have written, and adds what the device has since its last section. No file of another
//! device is ever touched. A stick that is pulled out while it is written has all that was on it before; the
//! torn end is ignored, and repaired by the device whose file it is.
//!
//! ```
//! use osmdb::bundle::Options;
//! use osmdb::{Coord, Db, Payload, Tags};
//! # let stick = tempfile::tempdir()?;
//! # let stick = stick.path();
//! let (hilltop, riverside) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
//! let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
//! hilltop.create(node(1))?;
//! riverside.create(node(2))?;
//!
//! hilltop.sync_stick(stick, &Options::default())?;
//! assert_eq!(riverside.sync_stick(stick, &Options::default())?.gained, 1);
//! assert_eq!(hilltop.sync_stick(stick, &Options::default())?.gained, 1);
//! assert_eq!(hilltop.root(), riverside.root());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod draft;
mod error;
mod format;
mod links;
mod scan;
mod stick;
mod summary;
mod take;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use self::error::BundleError;
pub use self::stick::is_place;
pub use self::summary::{Announced, Summary, Torn, Wrote};
use crate::db::{Everyone, Policy};
use crate::sync::DEFAULT_MOST_BYTES;

/// What the name of a bundle ends in: a directory is searched for such files.
///
/// ```
/// assert_eq!(osmdb::bundle::ENDING, "osmb");
/// ```
pub const ENDING: &str = "osmb";

/// A file on a stick is continued in another one once it has so many bytes: many sticks take no file of 4 GiB.
///
/// ```
/// assert!(osmdb::bundle::PART_BYTES <= 1 << 31);
/// ```
pub const PART_BYTES: u64 = 1 << 31;

/// No file has more sections.
///
/// ```
/// assert_eq!(osmdb::bundle::MAX_SECTIONS, 65_536);
/// ```
pub const MAX_SECTIONS: usize = 1 << 16;

/// No more bundles are read in one directory.
///
/// ```
/// assert_eq!(osmdb::bundle::MAX_FILES, 4_096);
/// ```
pub const MAX_FILES: usize = 1 << 12;

/// How bundles are read and written.
///
/// ```
/// use std::sync::Arc;
/// use osmdb::bundle::{Options, PART_BYTES};
/// use osmdb::Authors;
/// let options = Options { policy: Arc::new(Authors::default()), ..Options::default() };
/// assert_eq!(options.part_bytes, PART_BYTES);
/// ```
#[derive(Clone)]
pub struct Options {
    /// What is taken in.
    pub policy: Arc<dyn Policy + Send + Sync>,
    /// No more bytes of entries are taken in at once than this, before compression.
    pub most_bytes: u64,
    /// A file on a stick is continued in another once it has so many bytes. It may get longer by one
    /// message, some 17 MB at most.
    pub part_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { policy: Arc::new(Everyone), most_bytes: DEFAULT_MOST_BYTES, part_bytes: PART_BYTES }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy: _, most_bytes, part_bytes } = self;
        let mut shown = f.debug_struct("Options");
        shown.field("most_bytes", most_bytes).field("part_bytes", part_bytes).finish_non_exhaustive()
    }
}
