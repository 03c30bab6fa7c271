//! What can go wrong with CAR files.

use super::cid::{BlockCid, CidError};
use crate::cbor::CborError;
use crate::error::{Error, StoreError};

/// Writing or reading a CAR file failed. Offsets are in bytes from its start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarError {
    /// Reading or writing failed.
    #[error("the CAR file failed at byte {offset}: {source}")]
    Io {
        /// Where.
        offset: u64,
        /// Why.
        source: std::io::Error,
    },
    /// The file ends inside the header or a block. What was imported before is sound.
    #[error("the CAR file ends at byte {offset}, inside the header or a block")]
    End {
        /// Where it ends.
        offset: u64,
    },
    /// A length is not in its one encoding.
    #[error("the length at byte {offset} is malformed")]
    Length {
        /// Where it begins.
        offset: u64,
    },
    /// A header or block is longer than allowed.
    #[error("{len} bytes at byte {offset} are more than the limit of {limit}")]
    TooLong {
        /// Where its length stands.
        offset: u64,
        /// The length it claims, in bytes.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// The header is not that of a CAR file of version 1.
    #[error("the header is not that of a CAR file of version 1: {0}")]
    Header(#[source] CborError),
    /// The file is of another version than 1.
    #[error("a CAR file of version {0} is not read, only version 1")]
    Version(u64),
    /// There is no root, or more than a header holds.
    #[error("{0} roots are too few or too many for a CAR file")]
    Roots(usize),
    /// A block has no address that can be checked.
    #[error("the block at byte {offset} has no usable address: {source}")]
    Cid {
        /// Where the block begins.
        offset: u64,
        /// What is wrong with it.
        source: CidError,
    },
    /// A block is not what its address says.
    #[error("the block at byte {offset} is not {cid}")]
    Hash {
        /// Where the block begins.
        offset: u64,
        /// Its address.
        cid: BlockCid,
    },
    /// A root or a block is no page of ours, and such were to be refused.
    #[error("{cid} at byte {offset} is not dag-cbor with blake3")]
    Foreign {
        /// Where it begins; 0: it is a root in the header.
        offset: u64,
        /// Its address.
        cid: BlockCid,
    },
    /// More blocks than the reader was told to keep, in bytes or in number.
    #[error("at byte {offset} the limit of {limit} is passed")]
    TooMuch {
        /// Where.
        offset: u64,
        /// The limit.
        limit: u64,
    },
    /// The tree lacks pages, or they are damaged.
    #[error(transparent)]
    Tree(#[from] Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
