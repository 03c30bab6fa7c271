//! Operations written down, to be gone on with later or elsewhere.
//!
//! A walk is `[1, 0, configuration, root, reversed, [range…]]`, a comparison `[1, 1, configuration,
//! left root, right root, side, range]`, in the CBOR of pages. The configuration is its record, a range
//! `[from, [] or [to]]`, the side 0 for both, 1 for the left, 2 for the right. Ranges ascend and do not
//! touch. The form is ours alone: it is not part of the specification of trees.

use bytes::Bytes;

use crate::cbor::{CborError, Reader, put_array, put_bool, put_bytes, put_link, put_unsigned};
use crate::config::{Config, ConfigError};
use crate::diff::{Diff, Side};
use crate::range::KeyRange;
use crate::scan::Scan;
use crate::tree::Tree;

/// An operation that is written down has at most this many bytes: 64 MiB.
pub const MAX_SAVED_BYTES: usize = 64 << 20;

const FORM: u64 = 1;
const SCAN: u64 = 0;
const DIFF: u64 = 1;

/// An operation that cannot be written down, or bytes that are not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// Not in the one encoding.
    #[error("not a saved operation: {0}")]
    Cbor(#[from] CborError),
    /// Of another version, or another operation.
    #[error("a saved operation of form {form} and kind {kind} cannot be gone on with here")]
    Kind {
        /// The version.
        form: u64,
        /// The kind of operation: 0 for a walk, 1 for a comparison.
        kind: u64,
    },
    /// The configuration allows no trees.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A range is empty, has more than one end, or does not lie behind the one before it.
    #[error("range {index} of a saved operation is not what it must be")]
    Range {
        /// The place of the range.
        index: usize,
    },
    /// The side is none.
    #[error("a saved comparison of side {0} is unknown")]
    Side(u64),
    /// It has more bytes than [`MAX_SAVED_BYTES`].
    #[error("a saved operation of {len} bytes is longer than the limit of {MAX_SAVED_BYTES}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

pub(crate) fn scan(tree: &Tree, reversed: bool, ranges: &[KeyRange]) -> Result<Vec<u8>, SavedError> {
    let mut out = head(6, SCAN, &tree.config);
    put_link(&mut out, &tree.root);
    put_bool(&mut out, reversed);
    put_array(&mut out, ranges.len());
    ranges.iter().for_each(|range| put_range(&mut out, range));
    checked(out)
}

pub(crate) fn diff(
    left: &Tree,
    right: &Tree,
    only: Option<Side>,
    range: &KeyRange,
) -> Result<Vec<u8>, SavedError> {
    let mut out = head(7, DIFF, &left.config);
    put_link(&mut out, &left.root);
    put_link(&mut out, &right.root);
    let side = match only {
        None => 0,
        Some(Side::Left) => 1,
        Some(Side::Right) => 2,
    };
    put_unsigned(&mut out, side);
    put_range(&mut out, range);
    checked(out)
}

pub(crate) fn read_scan(bytes: &[u8]) -> Result<Scan, SavedError> {
    let (mut reader, config) = begin(bytes, 6, SCAN)?;
    let tree = Tree::new(config, reader.link()?);
    let reversed = reader.bool()?;
    let count = reader.array()?;
    let mut ranges: Vec<KeyRange> = Vec::new();
    for index in 0..count {
        let range = read_range(&mut reader, index)?;
        let follows = ranges.last().is_none_or(|last| last.to.as_ref().is_some_and(|to| *to < range.from));
        if range.is_empty() || !follows {
            return Err(SavedError::Range { index });
        }
        ranges.push(range);
    }
    reader.end()?;
    Ok(Scan::of(tree, ranges, reversed))
}

pub(crate) fn read_diff(bytes: &[u8]) -> Result<Diff, SavedError> {
    let (mut reader, config) = begin(bytes, 7, DIFF)?;
    let (left, right) = (Tree::new(config, reader.link()?), Tree::new(config, reader.link()?));
    let only = match reader.unsigned()? {
        0 => None,
        1 => Some(Side::Left),
        2 => Some(Side::Right),
        side => return Err(SavedError::Side(side)),
    };
    let range = read_range(&mut reader, 0)?;
    reader.end()?;
    Ok(Diff::of(left, right, Some(range).filter(|range| *range != KeyRange::all()), only))
}

fn head(items: usize, kind: u64, config: &Config) -> Vec<u8> {
    let mut out = Vec::new();
    put_array(&mut out, items);
    put_unsigned(&mut out, FORM);
    put_unsigned(&mut out, kind);
    out.extend_from_slice(&config.encode());
    out
}

fn checked(out: Vec<u8>) -> Result<Vec<u8>, SavedError> {
    if out.len() > MAX_SAVED_BYTES { Err(SavedError::TooLong { len: out.len() }) } else { Ok(out) }
}

fn begin(bytes: &[u8], items: usize, wanted: u64) -> Result<(Reader<'_>, Config), SavedError> {
    if bytes.len() > MAX_SAVED_BYTES {
        return Err(SavedError::TooLong { len: bytes.len() });
    }
    let mut reader = Reader::new(bytes);
    let found = reader.array()?;
    let (form, kind) = (reader.unsigned()?, reader.unsigned()?);
    if (form, kind, found) != (FORM, wanted, items) {
        return Err(SavedError::Kind { form, kind });
    }
    let config = Config::read(&mut reader)?;
    Ok((reader, config))
}

fn put_range(out: &mut Vec<u8>, range: &KeyRange) {
    put_array(out, 2);
    put_bytes(out, &range.from);
    put_array(out, usize::from(range.to.is_some()));
    range.to.iter().for_each(|to| put_bytes(out, to));
}

fn read_range(reader: &mut Reader<'_>, index: usize) -> Result<KeyRange, SavedError> {
    reader.array_of(2)?;
    let from = Bytes::copy_from_slice(reader.bytes()?);
    let to = match reader.array()? {
        0 => None,
        1 => Some(Bytes::copy_from_slice(reader.bytes()?)),
        _ => return Err(SavedError::Range { index }),
    };
    Ok(KeyRange { from, to })
}
