//! What has come of reading and writing bundles.

use std::path::PathBuf;

use prolly::Cid;

use super::BundleError;
use crate::db::Refused;
use crate::entry::Author;
use crate::model::ElementId;

/// What has come of [`Db::sync_stick`](crate::Db::sync_stick) or [`Db::take_bundles`](crate::Db::take_bundles).
///
/// ```
/// use osmdb::bundle::Options;
/// # let stick = tempfile::tempdir()?;
/// let db = osmdb::Db::in_memory("osm")?;
/// let summary = db.sync_stick(stick.path(), &Options::default())?;
/// assert_eq!((summary.gained, summary.root), (0, db.root()));
/// assert!(summary.wrote.is_none(), "there is nothing to pass on");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Summary {
    /// How many entries came that were not here.
    pub gained: u64,
    /// How many were read.
    pub received: u64,
    /// The elements that have become forks here, in order.
    pub forked: Vec<ElementId>,
    /// What was not taken in.
    pub refused: Vec<Refused>,
    /// How many bytes of the files were read.
    pub bytes_in: u64,
    /// What was written.
    pub wrote: Option<Wrote>,
    /// The latest root of every device, by its key.
    pub announced: Vec<Announced>,
    /// The ends of files that were torn off, and ignored.
    pub torn: Vec<Torn>,
    /// What could not be read. The rest was.
    pub problems: Vec<BundleError>,
    /// Why nothing was written, if something was to be.
    pub unwritten: Option<BundleError>,
    /// The root here, afterwards.
    pub root: Cid,
}

/// A section that was written.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let dir = tempfile::tempdir()?;
/// # let db = Db::in_memory("osm")?;
/// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let file = dir.path().join("all.osmb");
/// let wrote = db.write_bundle(&file, None)?;
/// assert_eq!((wrote.entries, wrote.root, &wrote.path), (1, db.root(), &file));
/// assert_eq!(wrote.bytes, std::fs::metadata(&file)?.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrote {
    /// The file; the first, if it did not fit into one.
    pub path: PathBuf,
    /// How many files it stands in.
    pub files: u32,
    /// What is in it came after this root.
    pub base: Cid,
    /// And leads to this one.
    pub root: Cid,
    /// How many entries.
    pub entries: u64,
    /// How many bytes were written.
    pub bytes: u64,
}

/// What a device says in a file: that it had this root.
///
/// Nobody can tell from hashes whether something was withheld: look at how old a root is.
///
/// ```
/// # use osmdb::bundle::Options;
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let stick = tempfile::tempdir()?;
/// # let stick = stick.path();
/// # let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
/// theirs.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// theirs.sync_stick(stick, &Options::default())?;
/// let summary = ours.sync_stick(stick, &Options::default())?;
/// let announced = &summary.announced[0];
/// assert_eq!((announced.author, announced.root), (theirs.author()?, theirs.root()));
/// assert!(announced.is_united && !announced.is_here);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The device.
    pub author: Author,
    /// Its root.
    pub root: Cid,
    /// When it had it, in seconds since 1970, by its own clock.
    pub time: i64,
    /// The file.
    pub path: PathBuf,
    /// Whether it is this database's key.
    pub is_here: bool,
    /// Whether this database has all that is in the root now.
    pub is_united: bool,
}

/// The end of a file that is not whole: whoever wrote it was interrupted. It is ignored, and written anew by
/// the device whose file it is.
///
/// ```
/// # use osmdb::bundle::Options;
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let dir = tempfile::tempdir()?;
/// # let db = Db::in_memory("osm")?;
/// # db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let file = dir.path().join("all.osmb");
/// db.write_bundle(&file, None)?;
/// let bytes = std::fs::read(&file)?;
/// std::fs::write(&file, &bytes[..bytes.len() - 1])?;
/// let summary = Db::in_memory("osm")?.take_bundles(&[file], &Options::default())?;
/// assert_eq!((summary.gained, summary.torn[0].bytes), (0, bytes.len() as u64 - 1 - 20));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
    /// Where what is whole ends.
    pub at: u64,
    /// How many bytes are behind that.
    pub bytes: u64,
}
