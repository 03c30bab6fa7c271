//! The record that everything else follows from: one version of one element.

mod codec;
mod glance;
mod lineage;
mod order;
mod record;
mod sign;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::str::FromStr;

pub use self::codec::EntryError;
pub(crate) use self::codec::{live_entries, live_payloads, put_tags, read_tags, single_coord};
pub(crate) use self::glance::{Encoded, Glance, Members, Refs, glance, is_deleted, payload_end};
pub(crate) use self::lineage::{Lineage, lineage};
pub(crate) use self::order::{Fresh, Known, ONE_HEAD, only_head, shown, shown_of, superseded};
pub use self::sign::{Author, DeviceKey, ParseAuthorError, Signature, SignatureError, Signed};
use crate::model::{ElementId, Payload};

/// Names one version of one element: the BLAKE3-256 hash of its record, written as 64 hex digits.
///
/// ```
/// use osmdb::{Coord, Db, Payload, Tags, Version};
/// let db = Db::in_memory("osm")?;
/// let spring = Payload::Node { coord: Coord::new(425_121_500, 15_029_000)?, tags: Tags::new() };
/// let node = db.create(spring.clone())?;
/// let version = db.put(node, spring)?;
/// assert_eq!(version.to_string().parse::<Version>()?, version);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub(crate) [u8; 32]);

impl Version {
    /// Returns the bytes of the hash.
    ///
    /// ```
    /// let version: osmdb::Version = "ab".repeat(32).parse()?;
    /// assert_eq!(version.as_bytes(), &[0xab; 32]);
    /// # Ok::<(), osmdb::ParseVersionError>(())
    /// ```
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

/// A text that names no version.
///
/// ```
/// let error = "88b6162b".parse::<osmdb::Version>().unwrap_err();
/// assert_eq!(error.text, "88b6162b", "a version has 64 digits");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no version: expected 64 hexadecimal digits")]
pub struct ParseVersionError {
    /// What was given.
    pub text: String,
}

impl FromStr for Version {
    type Err = ParseVersionError;

    /// Reads the 64 hexadecimal digits of the hash, in either case.
    ///
    /// # Errors
    /// There are more or fewer, or others.
    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let hash = blake3::Hash::from_hex(text).ok().filter(|_| text.len() == 64);
        hash.map(|hash| Self(*hash.as_bytes())).ok_or_else(|| ParseVersionError { text: text.to_owned() })
    }
}

/// One version of one element.
///
/// ```
/// use osmdb::{Coord, Db, Payload, Tags};
/// let db = Db::in_memory("osm")?;
/// let coord = Coord::new(425_121_500, 15_029_000)?;
/// let node = db.create(Payload::Node { coord, tags: Tags::from([("natural", "spring")]) })?;
/// let entry = db.get(node)?.remove(0).entry;
/// assert_eq!(entry.element, node);
/// assert_eq!(entry.payload.as_ref().and_then(|payload| payload.tags().get("natural")), Some("spring"));
///
/// db.delete(node)?;
/// assert_eq!(db.get(node)?[0].entry.payload, None, "a tombstone");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use osmdb::{Db, Origin, Payload, Tags};
/// # let text = b"<osm><node id='7' version='3' lat='42.5' lon='1.5'/></osm>";
/// # let mut reader = osmdb::io::Reader::from_source("map.osm", 0, &text[..])?;
/// let read = reader.next().unwrap()?; // from an OSM file
/// match read.origin {
///     Origin::Imported(meta) => assert_eq!(meta.version, Some(3)),
///     Origin::Edited(meta) => panic!("replaces {:?}", meta.links),
/// }
///
/// let db = Db::in_memory("osm")?;
/// let node = db.create(read.payload.unwrap())?;
/// assert!(matches!(db.get(node)?[0].entry.origin, Origin::Edited(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Read from a file: ordered by its OSM version, without links.
    Imported(OsmMeta),
    /// Made here or by a peer.
    Edited(EditMeta),
}

/// What an edit says of itself.
///
/// ```
/// use osmdb::{Coord, Db, Origin, Payload, Tags};
/// let db = Db::in_memory("osm")?;
/// let at = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
/// let node = db.create(at(1))?;
/// let before = db.get(node)?[0].version;
/// db.put(node, at(2))?;
/// let Origin::Edited(meta) = db.get(node)?.remove(0).entry.origin else { panic!("an edit") };
/// assert_eq!((meta.links, meta.changeset), (vec![before], None));
/// assert_eq!(meta.signed.map(|signed| signed.author), Some(db.author()?));
/// # Ok::<(), osmdb::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EditMeta {
    /// The versions it replaces, ascending; none for a new element.
    pub links: Vec<Version>,
    /// The changeset it belongs to.
    pub changeset: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub timestamp: i64,
    /// Who made it, and the signature that proves it. `None`: nobody says.
    pub signed: Option<Signed>,
}

/// What an OSM file says of a version beside its content. Public extracts leave most of it out.
///
/// ```
/// use osmdb::Origin;
/// use osmdb::io::Reader;
/// let text = b"<osm><node id='7' version='3' timestamp='2013-01-01T00:00:00Z' lat='42.5' lon='1.5'/></osm>";
/// let entry = Reader::from_source("map.osm", 0, &text[..])?.next().unwrap()?;
/// let Origin::Imported(meta) = entry.origin else { panic!("read from a file") };
/// assert_eq!((meta.version, meta.timestamp, meta.user), (Some(3), Some(1_356_998_400), None));
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
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

impl Entry {
    /// Returns the versions this one says it replaces.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let created = db.get(node)?.remove(0);
    /// db.delete(node)?;
    /// assert!(created.entry.links().is_empty());
    /// assert_eq!(db.get(node)?[0].entry.links(), [created.version]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn links(&self) -> &[Version] {
        match &self.origin {
            Origin::Imported(_) => &[],
            Origin::Edited(meta) => &meta.links,
        }
    }

    /// Returns the changeset, if one is known.
    ///
    /// ```
    /// use osmdb::{ElementId, EditMeta, Entry, Origin};
    /// let origin = Origin::Edited(EditMeta { changeset: Some(12), ..EditMeta::default() });
    /// let deletion = Entry { element: ElementId::node(7), payload: None, origin };
    /// assert_eq!(deletion.changeset(), Some(12));
    /// ```
    #[must_use]
    pub const fn changeset(&self) -> Option<u64> {
        match &self.origin {
            Origin::Imported(meta) => meta.changeset,
            Origin::Edited(meta) => meta.changeset,
        }
    }

    /// Returns when the version was made, in seconds since 1970, if that is known.
    ///
    /// ```
    /// use osmdb::{ElementId, Entry, Origin, OsmMeta};
    /// let origin = Origin::Imported(OsmMeta { timestamp: Some(1_356_998_400), ..OsmMeta::default() });
    /// let deletion = Entry { element: ElementId::node(7), payload: None, origin };
    /// assert_eq!(deletion.timestamp(), Some(1_356_998_400)); // 2013-01-01T00:00:00Z
    /// ```
    #[must_use]
    pub const fn timestamp(&self) -> Option<i64> {
        match &self.origin {
            Origin::Imported(meta) => meta.timestamp,
            Origin::Edited(meta) => Some(meta.timestamp),
        }
    }

    /// Returns who says to have made it. Whether that is so,
    /// [`check_signature`](Self::check_signature) tells.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// assert_eq!(db.get(node)?[0].entry.author(), Some(db.author()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn author(&self) -> Option<Author> {
        match &self.origin {
            Origin::Edited(EditMeta { signed: Some(signed), .. }) => Some(signed.author),
            _ => None,
        }
    }

    /// Computes the version: the hash of the record.
    ///
    /// ```
    /// use osmdb::{Coord, Entry, ElementId, Origin, OsmMeta, Payload, Tags};
    /// let entry = Entry {
    ///     element: ElementId::node(1),
    ///     payload: Some(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() }),
    ///     origin: Origin::Imported(OsmMeta::default()),
    /// };
    /// assert_eq!(entry.version(), entry.clone().version());
    /// # Ok::<(), osmdb::CoordError>(())
    /// ```
    #[must_use]
    pub fn version(&self) -> Version {
        version_of(self.element, &self.encode().0)
    }
}

/// Computes the version of an element's record from its body.
pub(crate) fn version_of(element: ElementId, body: &[u8]) -> Version {
    // Nearly all records are short, and hashed quicker in one piece.
    let mut record = Vec::with_capacity(16 + body.len());
    codec::put_head(&mut record, element);
    record.extend_from_slice(body);
    Version(*blake3::hash(&record).as_bytes())
}
