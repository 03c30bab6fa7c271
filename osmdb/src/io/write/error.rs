//! Why a file could not be written.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::format::KNOWN;
use crate::model::{ElementId, Kind};

/// A file could not be written. What was in its place is still there.
///
/// Displays as one sentence: the file, and what is wrong.
///
/// ```
/// let error = osmdb::io::Writer::create("valley.shp").unwrap_err();
/// assert!(error.to_string().starts_with("valley.shp: the name tells no format that is written"));
/// ```
#[derive(Debug)]
pub struct WriteError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    problem: WriteProblem,
}

impl WriteError {
    pub(super) fn new(path: &Path, problem: WriteProblem) -> Self {
        Self(Box::new(Inner { path: path.to_owned(), problem }))
    }

    /// Returns the file.
    ///
    /// ```
    /// let error = osmdb::io::Writer::create("valley.shp").unwrap_err();
    /// assert_eq!(error.path().to_str(), Some("valley.shp"));
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns what is wrong.
    ///
    /// ```
    /// use osmdb::io::{WriteProblem, Writer};
    /// let error = Writer::create("valley.shp").unwrap_err();
    /// assert!(matches!(error.problem(), WriteProblem::UnknownFormat));
    /// ```
    #[must_use]
    pub fn problem(&self) -> &WriteProblem {
        &self.0.problem
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { path, problem } = &*self.0;
        write!(f, "{}: {problem}", path.display())
    }
}

// No `source`: the sentence already holds the whole chain.
impl std::error::Error for WriteError {}

/// What is wrong with a file that is written.
///
/// ```
/// use osmdb::io::{WriteProblem, Writer};
///
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("no/such/directory/valley.osm");
/// match Writer::create(&path).unwrap_err().problem() {
///     WriteProblem::Io(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
///     other => panic!("{other}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteProblem {
    /// The operating system refuses. Check the path, the permissions and the room on the disk.
    #[error("cannot be written: {0}")]
    Io(#[source] io::Error),
    /// The name tells no format. Give the file another one.
    #[error("the name tells no format that is written: end it in {KNOWN}")]
    UnknownFormat,
    /// What is there is no file, but a directory or a device. Give another path.
    #[error("it is there and is no file")]
    NotAFile,
    /// The format cannot hold an element as it is. Leave the element out, or write another format.
    #[error("{element}: {problem}")]
    Element {
        /// The element.
        element: ElementId,
        /// What cannot be written.
        problem: Unwritable,
    },
    /// Writing failed before, so the file would not be whole. Begin anew.
    #[error("writing failed before")]
    Failed,
}

/// What the format of a file cannot say of an element.
///
/// ```
/// use osmdb::io::{Unwritable, WriteProblem, Writer};
/// use osmdb::{EditMeta, ElementId, Entry, Kind, Origin};
///
/// # let dir = tempfile::tempdir()?;
/// let mut writer = Writer::create(dir.path().join("valley.osm"))?;
/// let element = ElementId::new(Kind::Changeset, 12);
/// let entry = Entry { element, payload: None, origin: Origin::Edited(EditMeta::default()) };
/// match writer.write(&entry).unwrap_err().problem() {
///     WriteProblem::Element { problem, .. } => assert_eq!(*problem, Unwritable::Changeset),
///     other => panic!("{other}"),
/// }
/// writer.finish()?; // without it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritable {
    /// Files of maps hold nodes, ways and relations.
    #[error("a changeset cannot be written into a file of a map")]
    Changeset,
    /// The entry names an element of another kind than its content.
    #[error("it holds the content of a {0}")]
    Content(Kind),
    /// A relation has a changeset as a member.
    #[error("its member {0} is neither a node, a way nor a relation")]
    Member(ElementId),
    /// An id is not from 1 to 2⁶³−1.
    #[error("the id {0} is not from 1 to 9223372036854775807")]
    Id(u64),
    /// A number is beyond what the format has room for.
    #[error("its {what} {found} is beyond {limit}, the most that the format has room for")]
    Number {
        /// Which number.
        what: &'static str,
        /// What it is.
        found: u64,
        /// The most that can be written.
        limit: u64,
    },
    /// A time is beyond what the format can say.
    #[error("its time, {0} seconds since 1970, is beyond what the format can say")]
    Time(i64),
    /// A text has a character that XML cannot hold, such as a control character. PBF can.
    #[error("its text has the character U+{:04X}, which XML cannot hold", u32::from(*.0))]
    Character(char),
    /// There is more of something than a reader takes.
    #[error("it has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Its texts together, or one of them, are longer than a reader takes.
    #[error("its text takes more than {limit} bytes")]
    Text {
        /// How many it may take.
        limit: usize,
    },
}
