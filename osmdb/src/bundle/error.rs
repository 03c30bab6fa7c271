//! What can go wrong with bundles.

use std::io;
use std::path::{Path, PathBuf};

use prolly::Cid;

use super::{MAX_FILES, MAX_SECTIONS};
use crate::entry::Author;
use crate::error::Error;
use crate::sync::SyncError;

/// Why a bundle was not read or written. The database is as it was, or has what came before in other sections,
/// each chain of them in one commit; so are the files.
///
/// ```
/// use osmdb::bundle::{BundleError, Options};
/// # let dir = tempfile::tempdir()?;
/// let file = dir.path().join("map.osmb");
/// std::fs::write(&file, "a map")?;
/// let db = osmdb::Db::in_memory("osm")?;
/// let summary = db.take_bundles(&[file.clone()], &Options::default())?;
/// assert!(matches!(&summary.problems[0], BundleError::NotABundle { path } if *path == file));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] Error),
    /// The entries could not be made ready to be written.
    #[error(transparent)]
    Stream(SyncError),
    /// The system failed.
    #[error("{}: {what} failed: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// There is not room enough. What was begun was taken away again.
    #[error("{}: there is no room: {needed} bytes are needed, and only {fitted} are free", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// How many bytes are to be written.
        needed: u64,
        /// How many of them fitted.
        fitted: u64,
    },
    /// The file is something else.
    #[error("{} is no bundle", path.display())]
    NotABundle {
        /// The file.
        path: PathBuf,
    },
    /// The file has another version of the format.
    #[error("{} has version {found} of the format, this program reads version 1", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version.
        found: u8,
    },
    /// The file is of another dataset.
    #[error("{} holds another dataset: only datasets of one name and configuration are united", path.display())]
    OtherDataset {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged; what stands in it before that is good.
    #[error("{} is damaged at byte {at}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A section was not signed by the device that it names.
    #[error("{}: the section at byte {at} is forged: {author} has not signed it", path.display())]
    Forged {
        /// The file.
        path: PathBuf,
        /// Where the section begins.
        at: u64,
        /// Who is said to have written it.
        author: Author,
    },
    /// What is whole and signed cannot be taken in.
    #[error("{}, byte {at}: {source}", path.display())]
    Entries {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What is wrong.
        source: SyncError,
    },
    /// A section comes after a root that is not here, and no file here leads to it.
    #[error("{} begins at a root this database never had: {base}", path.display())]
    Base {
        /// The file.
        path: PathBuf,
        /// The root.
        base: Cid,
    },
    /// More files, sections or entries than are read.
    #[error("{} has more than is read: {MAX_FILES} bundles of {MAX_SECTIONS} sections each", path.display())]
    TooMany {
        /// The file or directory.
        path: PathBuf,
    },
}

impl BundleError {
    pub(super) fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, what, source }
    }

    pub(super) fn damaged(path: &Path, at: u64, what: &'static str) -> Self {
        Self::Damaged { path: path.to_owned(), at, what }
    }
}

impl From<prolly::Error> for BundleError {
    fn from(error: prolly::Error) -> Self {
        Self::Db(error.into())
    }
}
