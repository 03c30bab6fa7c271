//! What can go wrong between two peers.

use std::time::Duration;

use prolly::Cid;

use crate::entry::{EntryError, SignatureError, Version};
use crate::error::Error;
use crate::model::ElementId;
use crate::signed_root::SignedRootError;

/// Why a session ended before its time. The database is as it was before the last message that was taken in
/// whole: nothing of a refused message is kept.
///
/// ```
/// use osmdb::sync::{Options, Session, SyncError};
/// let db = osmdb::Db::in_memory("osm")?;
/// let mut session = Session::new(&db, Options::default())?;
/// // A frame of 0 bytes is none.
/// assert!(matches!(session.receive(&[0]), Err(SyncError::Frame { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The database here failed, or what came cannot be added to it.
    #[error(transparent)]
    Db(#[from] Error),
    /// The bytes are no frame.
    #[error("the peer broke the protocol: {what}")]
    Frame {
        /// What was wrong.
        what: &'static str,
    },
    /// The frame is no message.
    #[error("the peer broke the protocol: a message of kind {kind} is malformed")]
    Message {
        /// The kind of the message.
        kind: u8,
    },
    /// A message that has no place here.
    #[error("the peer broke the protocol: a message of kind {kind} came out of turn")]
    Turn {
        /// The kind of the message.
        kind: u8,
    },
    /// The peer speaks another version of the protocol.
    #[error("the peer speaks version {theirs} of the protocol, this program version {ours}")]
    Version {
        /// The version here.
        ours: u8,
        /// The peer's.
        theirs: u8,
    },
    /// The peer's dataset has another name or configuration.
    #[error("the peer holds another dataset: only datasets of one name and configuration are united")]
    OtherDataset,
    /// The peer counts from a root that this database never had.
    #[error("the peer sends what came after the root {base}, which is not known here")]
    Base {
        /// That root.
        base: Cid,
    },
    /// A record is malformed.
    #[error("the peer's record of {element} is malformed: {source}")]
    Entry {
        /// The element.
        element: ElementId,
        /// What is wrong.
        source: EntryError,
    },
    /// Records came out of order, or twice.
    #[error("the peer's records are out of order at {element}")]
    Order {
        /// The element.
        element: ElementId,
    },
    /// A record names an author who did not sign it.
    #[error("the peer's version {version} of {element} is forged: {source}")]
    Forged {
        /// The element.
        element: ElementId,
        /// The version.
        version: Version,
        /// What is wrong.
        source: SignatureError,
    },
    /// A record links to a version that is neither here nor comes with it.
    #[error("the peer's version {version} of {element} replaces a version that is not there: {parent}")]
    Parent {
        /// The element.
        element: ElementId,
        /// The version.
        version: Version,
        /// What it links to.
        parent: Version,
    },
    /// A record that was not to be sent.
    #[error("the peer sends version {version} of {element}, which nobody asked for")]
    Unasked {
        /// The element.
        element: ElementId,
        /// The version.
        version: Version,
    },
    /// Fewer records than the peer said, or than were to be sent.
    #[error("the peer sent {found} records of {expected}")]
    Count {
        /// How many were to come.
        expected: u64,
        /// How many came.
        found: u64,
    },
    /// More came than is taken in.
    #[error("the peer sends more than {limit} bytes of records")]
    TooMuch {
        /// The limit.
        limit: u64,
    },
    /// Longer lists came than are read.
    #[error("the peer's lists are longer than {limit} bytes")]
    LongLists {
        /// The limit.
        limit: u64,
    },
    /// What a reader asks is no question.
    #[error("the question cannot be answered: {0}")]
    Ask(crate::remote::AskError),
    /// What the peer says is a signed root is none.
    #[error("the peer's root is not signed as it says: {0}")]
    Signed(#[from] SignedRootError),
    /// The records do not make the root that the peer announced.
    #[error("the peer's records make the root {found}, but it announced {announced}")]
    Root {
        /// What it announced.
        announced: Cid,
        /// What its records make.
        found: Cid,
    },
    /// The difference could not be found.
    #[error("the difference to the peer could not be found with {cells} cells")]
    Sketch {
        /// How many cells were exchanged.
        cells: usize,
    },
    /// The roots differ after every difference was exchanged, again and again.
    #[error("the peers do not agree after {rounds} rounds: here the root is {ours}, there {theirs}")]
    NoAgreement {
        /// How often they compared.
        rounds: u32,
        /// The root here.
        ours: Cid,
        /// The root there.
        theirs: Cid,
    },
    /// Nothing came for too long.
    #[error("nothing came from the peer for {} seconds", after.as_secs())]
    Silence {
        /// How long.
        after: Duration,
    },
    /// A message took too long.
    #[error("a message of the peer was not whole after {} seconds", after.as_secs())]
    Slow {
        /// How long.
        after: Duration,
    },
    /// Too many peers stay connected already.
    #[error("too many peers follow this one already: sync now and then, or follow another")]
    NoRoom,
    /// The peer gave up, and says why.
    #[error("the peer gave up: {reason}")]
    Refused {
        /// What it says.
        reason: String,
    },
    /// The connection ended in the middle of the session.
    #[error("the connection ended before all was exchanged: sync again, what came is not sent again")]
    Cut,
    /// What the peer says that it holds of a walk that was cut was not said here.
    #[error("the peer holds messages of another walk")]
    Part,
    /// What came could not be kept until all is there.
    #[error("what came cannot be kept in {}: {source}", path.display())]
    Inbox {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The compressor failed.
    #[error("cannot compress: {0}")]
    Compressor(std::io::Error),
}

impl From<prolly::Error> for SyncError {
    fn from(error: prolly::Error) -> Self {
        Self::Db(error.into())
    }
}

impl SyncError {
    /// Tells whether the peer did what no peer does that follows the specification and whose data is whole,
    /// rather than to go, to be slow or to refuse.
    ///
    /// ```
    /// use osmdb::sync::SyncError;
    /// assert!(SyncError::Frame { what: "a frame is empty" }.is_fault_of_peer());
    /// assert!(!SyncError::Cut.is_fault_of_peer());
    /// ```
    #[must_use]
    pub const fn is_fault_of_peer(&self) -> bool {
        match self {
            Self::Frame { .. }
            | Self::Message { .. }
            | Self::Turn { .. }
            | Self::Base { .. }
            | Self::Entry { .. }
            | Self::Order { .. }
            | Self::Forged { .. }
            | Self::Parent { .. }
            | Self::Unasked { .. }
            | Self::Count { .. }
            | Self::TooMuch { .. }
            | Self::LongLists { .. }
            | Self::Part
            | Self::Ask(_)
            | Self::Signed(_)
            | Self::Root { .. } => true,
            Self::Db(_)
            | Self::Version { .. }
            | Self::OtherDataset
            | Self::Sketch { .. }
            | Self::NoAgreement { .. }
            | Self::Silence { .. }
            | Self::Slow { .. }
            | Self::Refused { .. }
            | Self::NoRoom
            | Self::Cut
            | Self::Inbox { .. }
            | Self::Compressor(_) => false,
        }
    }

    pub(crate) fn entry(element: ElementId) -> impl FnOnce(EntryError) -> Self {
        move |source| Self::Entry { element, source }
    }
}
