//! One node of a published tree.

use bytes::Bytes;

use super::cid::BlockCid;
use super::dag::Items;
use crate::cbor::{CborError, Reader};

/// A block that is no node of a published tree, or not the one that its parent promised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Not DAG-CBOR, or another kind of item than the schema puts there.
    #[error("{0}")]
    Cbor(#[from] CborError),
    /// An array of another length than the schema knows.
    #[error("an array of {0} items is neither a node nor a record of a tree")]
    Items(usize),
    /// As many values or counts as keys, but there are not.
    #[error("{keys} keys stand beside {others} values or counts")]
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
    /// A node without keys that is not the root of an empty tree.
    #[error("a node without keys stands below another or is no leaf")]
    Empty,
    /// The record names no root.
    #[error("the record names no root")]
    NoRoot,
    /// Not what the parent says of it.
    #[error("it does not fit the link to it: its {0} differs")]
    Promise(&'static str),
}

/// A decoded node. Keys and values share the memory of the block.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// `None`: the node only says whether it is a leaf.
    pub(super) level: Option<u64>,
    pub(super) leaf: bool,
    pub(super) keys: Vec<Bytes>,
    /// The values of a leaf, each as the bytes of its DAG-CBOR.
    pub(super) values: Vec<Bytes>,
    /// The children of a branch.
    pub(super) children: Vec<BlockCid>,
    /// How many pairs are under each child, if the node tells.
    counts: Option<Vec<u64>>,
}

impl Node {
    pub(super) fn decode(block: &Bytes) -> Result<Self, NodeError> {
        let mut items = Items::new(block);
        let len = items.array()?;
        if !matches!(len, 3 | 4) {
            return Err(NodeError::Items(len));
        }
        let level = if items.major() == Some(0) { Some(items.unsigned()?) } else { None };
        let leaf = match level {
            Some(level) => level == 0,
            None => items.plain(Reader::bool)?,
        };
        let count = items.array()?;
        let mut keys: Vec<Bytes> = Vec::new();
        for index in 0..count {
            let key = items.bytes()?;
            if keys.last().is_some_and(|before| before[..] >= *key) {
                return Err(NodeError::KeyOrder { index });
            }
            keys.push(block.slice_ref(key));
        }
        let others = items.array()?;
        if others != count {
            return Err(NodeError::Lengths { keys: count, others });
        }
        let (mut values, mut children) = (Vec::new(), Vec::new());
        for _ in 0..count {
            if leaf {
                values.push(block.slice_ref(items.any()?));
            } else {
                children.push(items.link()?);
            }
        }
        let counts = if len == 4 { read_counts(&mut items, count, leaf)? } else { None };
        items.end()?;
        if keys.is_empty() && !leaf {
            return Err(NodeError::Empty);
        }
        Ok(Self { level, leaf, keys, values, children, counts })
    }

    /// Returns how many pairs this node says there are in it and below.
    pub(super) fn total(&self) -> Option<u64> {
        if self.leaf {
            return Some(self.keys.len() as u64);
        }
        self.counts.as_ref()?.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count))
    }

    /// Returns how many pairs this node says there are under a child.
    pub(super) fn count(&self, index: usize) -> Option<u64> {
        self.counts.as_ref()?.get(index).copied()
    }
}

/// Leaves write no counts, a null, or one for each pair; branches one for each child.
fn read_counts(items: &mut Items<'_>, keys: usize, leaf: bool) -> Result<Option<Vec<u64>>, NodeError> {
    if items.null() {
        return Ok(None);
    }
    let others = items.array()?;
    if others != keys && !(leaf && others == 0) {
        return Err(NodeError::Lengths { keys, others });
    }
    let counts = (0..others).map(|_| items.unsigned()).collect::<Result<Vec<_>, _>>()?;
    Ok(if leaf { None } else { Some(counts) })
}

/// What the block that names a tree holds.
#[derive(Debug)]
pub(super) enum Record {
    /// The root, and the configuration if it is linked.
    Links { root: BlockCid, config: Option<BlockCid> },
    /// A node: any node is the tree below it.
    Node,
}

/// Reads the block that names a tree.
pub(super) fn read_record(block: &Bytes) -> Result<Record, NodeError> {
    let mut items = Items::new(block);
    if items.major() == Some(5) {
        return read_map(items);
    }
    match items.array()? {
        2 => {
            let (config, root) = (items.link()?, items.link()?);
            items.end()?;
            Ok(Record::Links { root, config: Some(config) })
        }
        3 | 4 => Ok(Record::Node),
        len => Err(NodeError::Items(len)),
    }
}

fn read_map(mut items: Items<'_>) -> Result<Record, NodeError> {
    let (mut root, mut config) = (None, None);
    for _ in 0..items.map()? {
        match items.text()? {
            "RootCid" if root.is_none() => root = Some(items.link()?),
            "ConfigCid" if config.is_none() => config = Some(items.link()?),
            _ => drop(items.any()?),
        }
    }
    items.end()?;
    root.map(|root| Record::Links { root, config }).ok_or(NodeError::NoRoot)
}
