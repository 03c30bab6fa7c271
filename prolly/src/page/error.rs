//! What can be wrong with a page.

use crate::cbor::CborError;
use crate::cid::Cid;
use crate::config::MAX_PAGE_BYTES;

/// Bytes that are not a page, or not the page that a link promised.
///
/// ```
/// use prolly::{Cid, Page, PageError};
/// let cid = Cid::of(b"what was asked for");
/// match Page::verify(cid, "what came".into()) {
///     Err(PageError::Hash { found }) => assert_eq!(found, Cid::of(b"what came")),
///     other => panic!("{other:?}"),
/// }
/// let no_page = Page::verify(Cid::of(b"x"), "x".into());
/// assert!(matches!(no_page, Err(PageError::Cbor(_))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// Not in the one encoding of a page.
    #[error("{0}")]
    Cbor(#[from] CborError),
    /// The hash is not the address.
    #[error("the bytes hash to {found}")]
    Hash {
        /// The hash of the bytes.
        found: Cid,
    },
    /// Longer than any page.
    #[error("{len} bytes are more than the limit of {MAX_PAGE_BYTES}")]
    TooLong {
        /// Its length, in bytes.
        len: usize,
    },
    /// A level beyond the limit, or an array length that does not go with the level.
    #[error("a page of {items} items cannot be on level {level}")]
    Level {
        /// The level it claims.
        level: u64,
        /// The length of the outer array.
        items: usize,
    },
    /// The arrays of keys, values, links, counts have different lengths.
    #[error("{keys} keys stand beside {others} values or children")]
    Lengths {
        /// How many keys.
        keys: usize,
        /// How many of the others.
        others: usize,
    },
    /// Keys do not ascend strictly.
    #[error("key {index} is not greater than the one before")]
    KeyOrder {
        /// The place of the key.
        index: usize,
    },
    /// A branch with fewer than two children.
    #[error("a branch has {0} children")]
    FewChildren(usize),
    /// A child without pairs, or more pairs than can be counted.
    #[error("child {index} has an impossible count")]
    Count {
        /// The place of the child.
        index: usize,
    },
    /// A value out of line of an impossible length.
    #[error("value {index} has the impossible length {len}")]
    ValueLength {
        /// The place of the value.
        index: usize,
        /// The length it claims, in bytes.
        len: u64,
    },
    /// Beyond what the tree's configuration allows.
    #[error("{what} has {len} bytes, the configuration allows {limit}")]
    Limit {
        /// What is too long or too short.
        what: &'static str,
        /// How long it is, in bytes.
        len: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Not what the link to it promised.
    #[error("it does not fit the link to it: its {0} differs")]
    Promise(&'static str),
    /// It is shorter than the boundary rule allows a page that is not the last of its level.
    #[error("it ends where the boundary rule ends no page")]
    Boundary,
}
