//! What can go wrong with a connection.

use std::io;
use std::time::Duration;

use super::identity::Fingerprint;
use crate::entry::Author;
use crate::sync::SyncError;

/// Why two peers did not come together.
///
/// ```
/// use osmdb::net::NetError;
/// use osmdb::sync::SyncError;
/// let error = NetError::from(SyncError::OtherDataset);
/// assert!(error.to_string().starts_with("the peer holds another dataset"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The session failed.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Nobody answered.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The command that is to carry the stream did not start.
    #[error("cannot run `{command}`: {source}")]
    Command {
        /// The command.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// The peer's key is not one of those that are let in.
    #[error("the peer is not known here: its fingerprint is {}", Fingerprint::of(key))]
    UnknownPeer {
        /// The key.
        key: Author,
    },
    /// The peer does not know the key of this device.
    #[error("the peer does not know this device, whose fingerprint is {ours}")]
    NotKnownThere {
        /// The fingerprint of the key of this device.
        ours: Fingerprint,
    },
    /// Whoever answered proved no device key.
    #[error("whoever answers there is no peer: {reason}")]
    Handshake {
        /// What was wrong.
        reason: String,
    },
    /// The peers took too long to agree on keys.
    #[error("the peer did not say who it is within {} seconds", super::HANDSHAKE_TIME.as_secs())]
    SlowHandshake,
    /// Nobody announced itself on the local network.
    #[error("nobody is nearby: no peer on the local network answered within {} seconds", waited.as_secs())]
    NobodyNearby {
        /// How long was waited.
        waited: Duration,
    },
    /// The system does not let the program speak to the local network.
    #[error("the local network cannot be asked who is there: {reason}")]
    NoMulticast {
        /// What the system said.
        reason: String,
    },
    /// The feature `iroh` is missing, and with it QUIC.
    #[error("this program was built without QUIC: install it with --features iroh")]
    NoQuic,
    /// The stream failed.
    #[error("the connection failed: {0}")]
    Io(io::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] crate::Error),
}

impl NetError {
    /// Says what the failure of a stream means.
    pub(super) fn of_stream(error: io::Error) -> Self {
        use io::ErrorKind;
        match error.kind() {
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => SyncError::Cut.into(),
            _ => match error.downcast::<Self>() {
                Ok(own) => own,
                Err(error) => Self::Io(error),
            },
        }
    }
}
