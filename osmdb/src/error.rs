//! What can go wrong with a database.

use prolly::{Cid, StoreError};

use crate::entry::{EntryError, SignatureError, Version};
use crate::io::ReadError;
use crate::model::{ElementId, LimitError};
use crate::root::RootError;

/// An operation on a database failed. Whatever it was to write is not written.
///
/// What the caller can mend has a variant of its own, which names the element; as text it is one sentence for
/// people.
///
/// ```
/// use osmdb::{Db, ElementId, Error, Payload, Tags};
/// let db = Db::in_memory("osm")?;
/// let way = Payload::Way { refs: vec![5], tags: Tags::from([("highway", "path")]) };
/// match db.create(way) {
///     Err(Error::Reference { target, .. }) => assert_eq!(target, ElementId::node(5)),
///     other => panic!("{other:?}"),
/// }
/// let error = db.delete(ElementId::node(5)).unwrap_err();
/// assert_eq!(error.to_string(), "node/5 is not in the database");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tree failed: a page is missing or damaged, or the store failed.
    #[error(transparent)]
    Tree(#[from] prolly::Error),
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The root record is missing or unreadable.
    #[error("root {cid}: {source}")]
    Root {
        /// The root.
        cid: Cid,
        /// What is wrong with its record.
        source: RootError,
    },
    /// A record in a tree is damaged. Merge from a peer into a new database.
    #[error("the record of {element} is damaged: {source}")]
    Entry {
        /// The element.
        element: ElementId,
        /// What is wrong with the record.
        source: EntryError,
    },
    /// A key in a tree is not one that the tree can have.
    #[error("the {tree} tree holds a key that it cannot have")]
    Key {
        /// The tree's name.
        tree: &'static str,
    },
    /// A note beside the pages is damaged.
    #[error("the reflog is damaged at record {number}")]
    Reflog {
        /// Its number.
        number: u64,
    },
    /// Two datasets of different names or configurations were to be merged.
    #[error("the datasets do not belong together: this one is `{ours}`, the other is `{theirs}`")]
    OtherDataset {
        /// The name here.
        ours: String,
        /// The name there.
        theirs: String,
    },
    /// An edit names an element of another kind than its content.
    #[error("{element} cannot hold the content of a {content}")]
    Kind {
        /// The element.
        element: ElementId,
        /// What the content is of.
        content: crate::model::Kind,
    },
    /// An edit holds what no record can: an id that is not from 1 to 2⁶³−1, or a changeset as a member.
    #[error("{element} cannot be written like this: {source}")]
    Invalid {
        /// The element.
        element: ElementId,
        /// What cannot be.
        source: EntryError,
    },
    /// An edit replaces or deletes an element that is not here.
    #[error("{element} is not in the database")]
    NotFound {
        /// The element.
        element: ElementId,
    },
    /// An edit links to a version that is not here.
    #[error("{element} has no version {version}")]
    NoVersion {
        /// The element.
        element: ElementId,
        /// The version.
        version: Version,
    },
    /// An edit holds what OSM does not take.
    #[error("{element}: {source}")]
    Limit {
        /// The element.
        element: ElementId,
        /// What is too long, too many, or missing.
        source: LimitError,
    },
    /// An edit names an element that is not there, or is deleted.
    #[error("{element} names {target}, which is not in the database or deleted")]
    Reference {
        /// The element that is edited.
        element: ElementId,
        /// The element that it names.
        target: ElementId,
    },
    /// An edit deletes an element that a live one names.
    #[error("{element} cannot be deleted: {by} names it")]
    InUse {
        /// The element.
        element: ElementId,
        /// One of those that name it.
        by: ElementId,
    },
    /// An edit belongs to a changeset that is not there.
    #[error("{element} cannot be written: there is no changeset {changeset}")]
    NoChangeset {
        /// The element.
        element: ElementId,
        /// The changeset.
        changeset: u64,
    },
    /// An edit belongs to a changeset that is closed.
    #[error("{element} cannot be written: changeset {changeset} is closed")]
    ChangesetClosed {
        /// The element.
        element: ElementId,
        /// The changeset.
        changeset: u64,
    },
    /// The signature of an edit was not made by the author it names.
    #[error("version {version} of {element} is forged: {source}")]
    Signature {
        /// The element.
        element: ElementId,
        /// The version.
        version: Version,
        /// Who is said to have signed.
        source: SignatureError,
    },
    /// There is no earlier root.
    #[error("there is nothing to undo")]
    NothingToUndo,
    /// The database never had this root, or has forgotten it.
    #[error("the reflog does not name the root {root}")]
    NotInReflog {
        /// The root.
        root: Cid,
    },
    /// The key of this database is damaged.
    #[error("the key that signs the edits of this database is damaged")]
    DeviceKey,
    /// The name of an author is too long.
    #[error("the name of an author has at most 255 bytes")]
    AuthorName,
    /// A note with the name of an author is damaged.
    #[error("the names of the authors are damaged")]
    AuthorNote,
    /// The note of the root that was signed last is damaged.
    #[error("the note of the root that was signed last is damaged")]
    SignedNote,
    /// A root whose pages are not here, or that is no root.
    #[error("the pages of the root {root} are not here")]
    NoRoot {
        /// The root.
        root: Cid,
    },
    /// A time before the database was there.
    #[error("the database was not there at second {time} since 1970: its reflog begins {}", first.map_or("later".to_owned(), |first| format!("at second {first}")))]
    NotYet {
        /// The time, in seconds since 1970.
        time: i64,
        /// The earliest time of the reflog.
        first: Option<i64>,
    },
    /// A name that a dataset cannot have.
    #[error("a dataset's name has 1 to 255 bytes")]
    Name,
    /// No random number could be had for a new id.
    #[error("the system gave no random number for a new id: {0}")]
    Random(#[from] getrandom::Error),
    /// The views do not follow from the entries.
    #[error(
        "the database's views do not follow from its entries: root {found}, but its entries make {expected}"
    )]
    Views {
        /// The root.
        found: Cid,
        /// The root that the entries make.
        expected: Cid,
    },
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Tree(error.into())
    }
}

impl Error {
    /// Names the element whose record is damaged.
    pub(crate) fn entry(element: ElementId) -> impl FnOnce(EntryError) -> Self {
        move |source| Self::Entry { element, source }
    }
}
