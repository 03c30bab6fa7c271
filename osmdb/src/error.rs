//! What can go wrong with a database.

use prolly::{Cid, StoreError};

use crate::entry::{EntryError, Version};
use crate::io::ReadError;
use crate::model::ElementId;
use crate::root::RootError;

/// An operation on a database failed. Whatever it was to write is not written.
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
