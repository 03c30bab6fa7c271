//! Why a file could not be read, and where in it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::{CoordError, Kind};

/// A file could not be read to its end.
///
/// Displays as one sentence: the file, the place in it, what was found and what was expected.
/// Entries that came before the error are sound.
///
/// ```
/// use osmdb::io::Reader;
/// let text = b"<osm>\n<node id='-7' lat='42.5' lon='1.5'/>\n</osm>";
/// let error = Reader::from_source("map.osm", 0, &text[..])?.next().unwrap().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "map.osm: line 2 (byte 6): node/-7: ids must be positive: upload the object to get a real id",
/// );
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
#[derive(Debug)]
pub struct ReadError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    place: Place,
    problem: Problem,
}

impl ReadError {
    pub(super) fn new(path: &Path, place: Place, problem: Problem) -> Self {
        Self(Box::new(Inner { path: path.to_owned(), place, problem }))
    }

    /// Returns the file.
    ///
    /// ```
    /// let error = osmdb::io::Reader::open("no/such/map.osm").unwrap_err();
    /// assert_eq!(error.path().to_str(), Some("no/such/map.osm"));
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns where in the file the problem is.
    ///
    /// ```
    /// use osmdb::io::{Place, Reader};
    /// let text = b"<osm>\n\n<node id='7'/>\n</osm>";
    /// let error = Reader::from_source("map.osm", 0, &text[..])?.next().unwrap().unwrap_err();
    /// assert_eq!(error.place(), Place::Xml { line: 3, byte: 7 });
    /// # Ok::<(), osmdb::io::ReadError>(())
    /// ```
    #[must_use]
    pub fn place(&self) -> Place {
        self.0.place
    }

    /// Returns what is wrong.
    ///
    /// ```
    /// use osmdb::io::{Problem, Reader};
    /// let error = Reader::from_source("map.osm", 0, &b""[..]).unwrap_err();
    /// assert!(matches!(error.problem(), Problem::Empty));
    /// ```
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { path, place, problem } = &*self.0;
        write!(f, "{}: {place}{problem}", path.display())
    }
}

// No `source`: the sentence already holds the whole chain.
impl std::error::Error for ReadError {}

/// Where in a file a problem is.
///
/// ```
/// use osmdb::io::{Place, Reader};
/// let missing = Reader::open("no/such/map.osm").unwrap_err();
/// assert_eq!(missing.place(), Place::File);
/// // A PBF file that ends behind the head of its first blob.
/// let cut = Reader::from_source("map.osm.pbf", 0, &b"\0\0\0\x0d\x0a\x09OSMHeader\x18\x30"[..])?.next();
/// assert_eq!(cut.unwrap().unwrap_err().place(), Place::Blob { number: 1, byte: 0 });
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The file as a whole.
    File,
    /// In XML: where the tag, text or comment at fault begins.
    Xml {
        /// The line, counted from 1.
        line: u64,
        /// The byte, counted from 0 in the unpacked text.
        byte: u64,
    },
    /// In PBF: the blob at fault.
    Blob {
        /// The blob, counted from 1: the header is blob 1.
        number: u64,
        /// Where it begins in the file, counted from 0.
        byte: u64,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Xml { line, byte } => write!(f, "line {line} (byte {byte}): "),
            Self::Blob { number, byte } => write!(f, "blob {number} at byte {byte}: "),
        }
    }
}

/// What packs an XML file.
///
/// ```
/// use osmdb::io::{Compression, FileFormat};
/// assert_eq!(FileFormat::of("map.osm.zst"), Some(FileFormat::Xml(Some(Compression::Zstd))));
/// assert_eq!(Compression::Bzip2.to_string(), "bzip2");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// `.gz`
    Gzip,
    /// `.bz2`
    Bzip2,
    /// `.zst`
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
        })
    }
}

/// What is wrong with a file.
///
/// ```
/// use osmdb::io::{Problem, Reader};
/// match Reader::from_source("map.zip", 0, &b"PK\x03\x04"[..]).unwrap_err().problem() {
///     Problem::UnknownFormat { found } => assert_eq!(found, r"PK\x03\x04"),
///     other => panic!("{other}"),
/// }
/// match Reader::open("no/such/map.osm").unwrap_err().problem() {
///     Problem::Io(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
///     other => panic!("{other}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system refuses. Check the path and the permissions, or try again.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    /// There is nothing in the file. Download it again.
    #[error("the file is empty")]
    Empty,
    /// The content is no format that is read. Give another file.
    #[error(
        "expected OSM PBF or OSM XML (plain, gzip, bzip2 or zstd), found content that begins with `{found}`"
    )]
    UnknownFormat {
        /// The first bytes, escaped.
        found: String,
    },
    /// The packed file holds something else than XML. Unpack it first.
    #[error("expected OSM XML inside {compression}, found {found}")]
    PackedContent {
        /// What packs it.
        compression: Compression,
        /// What is inside.
        found: String,
    },
    /// The file is cut off. Download it again.
    #[error("the file ends in the middle of {inside}")]
    Truncated {
        /// What is incomplete.
        inside: &'static str,
    },
    /// The packed file is damaged. Download it again.
    #[error("the {compression} data is damaged: {reason}")]
    Damaged {
        /// What packs it.
        compression: Compression,
        /// What the unpacker says.
        reason: String,
    },
    /// An element cannot be kept as the file has it. Ask whoever made the file.
    #[error("{kind}/{id}: {problem}")]
    Element {
        /// The kind of element.
        kind: Kind,
        /// The id as the file has it.
        id: i64,
        /// What is wrong with it.
        problem: ElementProblem,
    },
    /// The PBF structure is broken. Download the file again, or ask whoever made it.
    #[error(transparent)]
    Pbf(#[from] PbfProblem),
    /// The XML structure is broken. Download the file again, or ask whoever made it.
    #[error(transparent)]
    Xml(#[from] XmlProblem),
}

/// What is wrong with one element.
///
/// ```
/// use osmdb::Kind;
/// use osmdb::io::{ElementProblem, Problem, Reader};
/// let text = b"<osm><way id='5'><nd ref='-1'/></way></osm>";
/// match Reader::from_source("map.osm", 0, &text[..])?.next().unwrap().unwrap_err().problem() {
///     Problem::Element { kind, id, problem } => {
///         assert_eq!((*kind, *id), (Kind::Way, 5));
///         assert_eq!(*problem, ElementProblem::Reference { kind: Kind::Node, id: -1 });
///     }
///     other => panic!("{other}"),
/// }
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElementProblem {
    /// The id is not positive: such ids name objects that were never uploaded.
    #[error("ids must be positive: upload the object to get a real id")]
    Id,
    /// A node or member it names has an id that is not positive.
    #[error("it refers to {kind}/{id}, but ids must be positive: upload that object to get a real id")]
    Reference {
        /// The kind of element referred to.
        kind: Kind,
        /// The id as the file has it.
        id: i64,
    },
    /// It is off the globe.
    #[error(transparent)]
    Coord(#[from] CoordError),
    /// A number needs more than 64 bits.
    #[error("its {what} is beyond 64 bits")]
    Overflow {
        /// Which number.
        what: &'static str,
    },
    /// A number that counts up from 0 is negative.
    #[error("its {what} {found} is negative")]
    Negative {
        /// Which number.
        what: &'static str,
        /// What was found.
        found: i64,
    },
    /// There is more of something than any real element has.
    #[error("it has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// With its text, the element (XML) or its block (PBF) takes more memory than any real one.
    #[error("with its text, the strings take more than {limit} bytes")]
    Text {
        /// How many they may take.
        limit: usize,
    },
    /// A string is not in the block's table (PBF).
    #[error("string index {index} is beyond the table of {table} entries")]
    StringIndex {
        /// The index.
        index: i64,
        /// How many strings there are.
        table: usize,
    },
    /// A string is not UTF-8 (PBF).
    #[error("string {index} of the table is not UTF-8")]
    NotUtf8 {
        /// The index in the block's table.
        index: usize,
    },
    /// Lists that belong together are of different length (PBF).
    #[error("{found} {what} do not go with {expected} {to}")]
    Lengths {
        /// The list at fault.
        what: &'static str,
        /// How long it is.
        found: usize,
        /// What it belongs to.
        to: &'static str,
        /// How long it should be.
        expected: usize,
    },
    /// The list of tags of all dense nodes ends before this node's are complete (PBF).
    #[error("the list of tags ends before its tags do")]
    TagsCut,
    /// A member is of no known kind (PBF).
    #[error("member type {0} is neither 0 (node), 1 (way) nor 2 (relation)")]
    MemberType(i32),
    /// An attribute that must be there is not (XML).
    #[error("<{tag}> has no attribute `{attribute}`")]
    Missing {
        /// The XML tag.
        tag: &'static str,
        /// The attribute.
        attribute: &'static str,
    },
    /// An attribute is not what it should be (XML).
    #[error("`{attribute}` should be {expected}, found `{found}`")]
    Attribute {
        /// The attribute.
        attribute: &'static str,
        /// What was expected.
        expected: &'static str,
        /// What was found, cut to a readable length.
        found: String,
    },
}

/// What is wrong with the structure of a PBF file.
///
/// ```
/// use osmdb::io::{PbfProblem, Problem, Reader};
/// // A file whose first blob holds elements, and is no header.
/// let bytes = b"\0\0\0\x0b\x0a\x07OSMData\x18\0";
/// match Reader::from_source("map.osm.pbf", 0, &bytes[..])?.next().unwrap().unwrap_err().problem() {
///     Problem::Pbf(PbfProblem::NoHeader { found }) => assert_eq!(found, "OSMData"),
///     other => panic!("{other}"),
/// }
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PbfProblem {
    /// The first blob is not the header.
    #[error("expected the file's `OSMHeader` blob first, found `{found}`")]
    NoHeader {
        /// The type found.
        found: String,
    },
    /// A length is beyond its limit, or negative.
    #[error("the {what} has {found} bytes, at most {limit} are allowed")]
    Size {
        /// Of what.
        what: &'static str,
        /// The length found.
        found: i64,
        /// The limit.
        limit: usize,
    },
    /// The blob unpacks to another length than it says.
    #[error("the blob unpacks to {found} bytes, but says {expected}")]
    RawSize {
        /// How many bytes came out, or one more than the limit.
        found: usize,
        /// How many it announces.
        expected: i64,
    },
    /// The blob is packed but does not say to what size it unpacks.
    #[error("the blob is packed, but its unpacked size is missing")]
    NoRawSize,
    /// The blob is packed in a way that is not read. Convert the file to zlib.
    #[error("the blob is packed with {0}, only blobs with zlib, zstd, lz4 or nothing are read")]
    Compression(&'static str),
    /// The blob holds no data.
    #[error("the blob holds no data")]
    NoData,
    /// The packed data is damaged.
    #[error("the blob's {packing} data is damaged: {reason}")]
    Packed {
        /// What packs it: `zlib`, `zstd` or `lz4`.
        packing: &'static str,
        /// What the unpacker says.
        reason: String,
    },
    /// The file demands a feature that is not known here.
    #[error("the file requires the feature `{0}`, which is not supported")]
    Feature(String),
    /// The bytes are no protocol buffer message.
    #[error("the {what} is malformed: {reason}")]
    Malformed {
        /// Which message.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A block's unit of coordinates or of time is not positive.
    #[error("the block's {what} is {found}, it must be positive")]
    Granularity {
        /// Which unit.
        what: &'static str,
        /// What was found.
        found: i64,
    },
    /// The lists of a group of nodes do not fit together.
    #[error("{found} {what} do not go with {expected} dense nodes")]
    DenseLengths {
        /// The list at fault.
        what: &'static str,
        /// How long it is.
        found: usize,
        /// How many nodes there are.
        expected: usize,
    },
    /// There are more elements in a block than any real file has.
    #[error("the block has more than {limit} elements")]
    TooManyElements {
        /// How many there may be.
        limit: usize,
    },
}

/// What is wrong with the structure of an XML file.
///
/// ```
/// use osmdb::io::{Problem, Reader, XmlProblem};
/// match Reader::from_source("track.gpx", 0, &b"<gpx></gpx>"[..])?.next().unwrap().unwrap_err().problem() {
///     Problem::Xml(XmlProblem::Root { found }) => assert_eq!(found, "gpx"),
///     other => panic!("{other}"),
/// }
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlProblem {
    /// It is XML, but not OSM's.
    #[error("expected <osm> or <osmChange>, found <{found}>")]
    Root {
        /// The outermost tag.
        found: String,
    },
    /// In a change file, an element stands in no section, or a section in another.
    #[error("<{found}> stands outside of the sections <create>, <modify> and <delete>, or one in another")]
    Section {
        /// The tag found.
        found: String,
    },
    /// Something follows the end.
    #[error("expected the end of the file after </osm>, found <{found}>")]
    AfterEnd {
        /// The tag found.
        found: String,
    },
    /// The declared encoding is not UTF-8. Convert the file.
    #[error("expected the encoding UTF-8, found {found}")]
    Encoding {
        /// What is declared or seems to be.
        found: String,
    },
    /// It breaks the rules of XML.
    #[error("malformed XML: {0}")]
    Malformed(String),
    /// One tag, text or comment is longer than any real one.
    #[error("a tag, text or comment has more than {limit} bytes")]
    EventBytes {
        /// How many there may be.
        limit: usize,
    },
    /// Tags are nested deeper than in any real file.
    #[error("tags are nested deeper than {limit}")]
    Depth {
        /// How deep they may be.
        limit: usize,
    },
    /// A tag has more attributes than any real one.
    #[error("a tag has more than {limit} attributes")]
    Attributes {
        /// How many there may be.
        limit: usize,
    },
    /// An element has no readable id.
    #[error("<{tag}> needs an attribute `id` with a whole number, found {found}")]
    Id {
        /// The XML tag.
        tag: &'static str,
        /// What was found.
        found: String,
    },
}
