//! Prolly trees in the schema that IPLD publishes, read-only.
//!
//! The schema has been written down several times, and trees of each of these forms are read:
//!
//! | what | form | where |
//! |---|---|---|
//! | node | `[level, [key…], [value or link…]]` | the specification |
//! | node | `[isLeaf, [key…], [value or link…]]` | the Go implementation, earlier |
//! | node | `[isLeaf, [key…], [value or link…], [pairs under child…]]` | the Go implementation, later |
//! | tree | `[link to the configuration, link to the root]` | both |
//! | tree | `{"RootCid": link, "ConfigCid": link}` | the Go implementation, earlier |
//! | tree | any node | a tree without its record |
//!
//! All are DAG-CBOR, with links of any hash that [`HashKind`](super::HashKind) lists. Keys are byte strings
//! in the order of their bytes; values are of any kind, and are returned as their DAG-CBOR. The fourth item
//! of a leaf is an empty array, a null, or one number for each pair, which are not looked at.
//!
//! The forms differ in what the keys of a branch are: in the Go implementation the *last* key of each
//! child, in the specification the *first* (its `KeyIndex` looks for the greatest key that is not larger).
//! [`PublishedTree::open`] finds out from the nodes themselves.
//!
//! A child is refused unless it begins or ends with the key beside its link, its keys lie between its
//! neighbours', its level is one less and its count the promised one, where the form tells these. Where
//! nodes end is not checked: the chunking strategies are not implemented here.
//!
//! Sources: <https://github.com/ipld/ipld>, specs/advanced-data-layouts/prollytree, and
//! <https://github.com/kenlabs/go-ipld-prolly-trees>.

use std::ops::RangeBounds;

use bytes::Bytes;

use super::car::MAX_BLOCK_BYTES;
use super::cid::{BlockCid, DAG_CBOR};
use super::error::CarError;
use super::node::{Node, NodeError, Record, read_record};
use super::source::Blocks;
use crate::range::KeyRange;

/// No published tree has more levels.
pub const MAX_PUBLISHED_DEPTH: usize = 32;

/// How many nodes are read at most to find out what the keys of branches are.
const MAX_PROBES: usize = 1024;

/// Reading a published tree failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishedError {
    /// The blocks could not be read.
    #[error(transparent)]
    Blocks(#[from] CarError),
    /// A block is not there. Get it, or a whole copy of the file.
    #[error("block {0} is missing")]
    Missing(BlockCid),
    /// A block is not what its address says, or is too long.
    #[error("the block given for {0} is not that block")]
    Hash(BlockCid),
    /// A block that should be a node is not DAG-CBOR.
    #[error("block {0} is not DAG-CBOR by its address")]
    Codec(BlockCid),
    /// A block is no node, or not the one that its parent promised.
    #[error("block {cid} is damaged: {source}")]
    Node {
        /// Its address.
        cid: BlockCid,
        /// What is wrong with it.
        source: NodeError,
    },
    /// The tree has more than [`MAX_PUBLISHED_DEPTH`] levels.
    #[error("the tree is deeper than {MAX_PUBLISHED_DEPTH} levels")]
    TooDeep,
    /// The first 1,024 nodes do not tell what the keys of branches are: use [`PublishedTree::open_with`].
    #[error("the nodes do not tell whether branches hold the first or the last keys of their children")]
    Undecided,
}

/// What the keys of a branch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separators {
    /// The first key of each child.
    First,
    /// The last key of each child.
    Last,
}

/// What a branch says of a child.
#[derive(Debug, Clone)]
struct Want {
    cid: BlockCid,
    level: Option<u64>,
    count: Option<u64>,
    key: Bytes,
    /// All keys are greater than this one.
    after: Option<Bytes>,
    /// All keys are less than this one.
    before: Option<Bytes>,
}

/// A published tree: reads it from any [`Blocks`].
///
/// ```
/// use prolly::ipld::{BlockCid, MemoryBlocks, PublishedTree};
/// // A leaf with the pair "a" => true, in the form of the Go implementation, named by SHA2-256.
/// let leaf = [0x84, 0xf5, 0x81, 0x41, b'a', 0x81, 0xf5, 0x80];
/// let root = BlockCid::of(0x71, 0x12, &leaf)?;
/// let mut blocks = MemoryBlocks::new();
/// blocks.insert(root.clone(), leaf.to_vec().into());
/// let tree = PublishedTree::open(&blocks, &root)?;
/// assert_eq!(tree.get(&blocks, b"a")?.as_deref(), Some(&[0xf5][..]));
/// assert_eq!(tree.range::<_, &[u8]>(&blocks, ..).count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedTree {
    root: BlockCid,
    config: Option<BlockCid>,
    separators: Separators,
}

impl PublishedTree {
    /// Opens the tree that a record or a node names. Costs the record, the root, and as many nodes as it
    /// takes to find one below the root with two keys: as a rule one.
    ///
    /// # Errors
    /// A block is missing, damaged, or of another schema; or [`PublishedError::Undecided`].
    pub fn open<B: Blocks + ?Sized>(blocks: &B, cid: &BlockCid) -> Result<Self, PublishedError> {
        let mut tree = Self::open_with(blocks, cid, Separators::Last)?;
        tree.separators = tree.probe(blocks)?;
        Ok(tree)
    }

    /// Opens a tree of which it is known what the keys of its branches are. Costs the record.
    ///
    /// # Errors
    /// The record is missing, damaged, or of another schema.
    pub fn open_with<B: Blocks + ?Sized>(
        blocks: &B,
        cid: &BlockCid,
        separators: Separators,
    ) -> Result<Self, PublishedError> {
        let block = load(blocks, cid)?;
        let record =
            read_record(&block).map_err(|source| PublishedError::Node { cid: cid.clone(), source })?;
        Ok(match record {
            Record::Links { root, config } => Self { root, config, separators },
            Record::Node => Self { root: cid.clone(), config: None, separators },
        })
    }

    /// Returns the address of the top node.
    #[must_use]
    pub const fn root(&self) -> &BlockCid {
        &self.root
    }

    /// Returns the address of the record with the chunking strategy, if the tree was opened by a record
    /// that links to it.
    #[must_use]
    pub const fn config(&self) -> Option<&BlockCid> {
        self.config.as_ref()
    }

    /// Returns what the keys of branches are.
    #[must_use]
    pub const fn separators(&self) -> Separators {
        self.separators
    }

    /// Returns the value of a key as DAG-CBOR. Costs one block per level.
    ///
    /// # Errors
    /// A block is missing or damaged, or the tree is too deep.
    pub fn get<B: Blocks + ?Sized>(&self, blocks: &B, key: &[u8]) -> Result<Option<Bytes>, PublishedError> {
        let (mut node, mut bounds) = (self.top(blocks)?, (None, None));
        for _ in 0..MAX_PUBLISHED_DEPTH {
            if node.leaf {
                let found = node.keys.binary_search_by(|known| known[..].cmp(key)).ok();
                return Ok(found.and_then(|place| node.values.get(place).cloned()));
            }
            let Some(want) = self.want(&node, self.child(&node, key), &bounds) else { return Ok(None) };
            node = self.below(blocks, &want)?;
            bounds = (want.after, want.before);
        }
        Err(PublishedError::TooDeep)
    }

    /// Iterates over the pairs between two bounds, in order; values as DAG-CBOR. Costs the blocks that hold
    /// them. After an error it ends.
    pub fn range<B, K>(&self, blocks: B, bounds: impl RangeBounds<K>) -> PublishedPairs<B>
    where
        B: Blocks,
        K: AsRef<[u8]>,
    {
        PublishedPairs {
            tree: self.clone(),
            blocks,
            range: KeyRange::new(&bounds),
            stack: Vec::new(),
            state: State::Fresh,
        }
    }

    /// Returns the child that holds a key or would hold it.
    fn child(&self, node: &Node, key: &[u8]) -> usize {
        match self.separators {
            Separators::Last => node.keys.partition_point(|known| known[..] < *key),
            Separators::First => node.keys.partition_point(|known| known[..] <= *key).saturating_sub(1),
        }
    }

    fn top<B: Blocks + ?Sized>(&self, blocks: &B) -> Result<Node, PublishedError> {
        decode(blocks, &self.root)
    }

    /// Returns what a branch, itself between two bounds, says of a child. `None`: it has no such child.
    fn want(&self, node: &Node, index: usize, bounds: &(Option<Bytes>, Option<Bytes>)) -> Option<Want> {
        let cid = node.children.get(index)?.clone();
        let key = node.keys.get(index)?.clone();
        let (after, before) = match self.separators {
            Separators::Last => {
                let left = index.checked_sub(1).and_then(|left| node.keys.get(left));
                (left.or(bounds.0.as_ref()).cloned(), None)
            }
            Separators::First => (None, node.keys.get(index + 1).or(bounds.1.as_ref()).cloned()),
        };
        let level = node.level.map(|level| level.saturating_sub(1));
        Some(Want { cid, level, count: node.count(index), key, after, before })
    }

    /// Loads a child and checks it against what its parent says.
    fn below<B: Blocks + ?Sized>(&self, blocks: &B, want: &Want) -> Result<Node, PublishedError> {
        let node = decode(blocks, &want.cid)?;
        self.fits(&node, want).map_err(|source| PublishedError::Node { cid: want.cid.clone(), source })?;
        Ok(node)
    }

    fn fits(&self, node: &Node, want: &Want) -> Result<(), NodeError> {
        let (Some(first), Some(last)) = (node.keys.first(), node.keys.last()) else {
            return Err(NodeError::Empty);
        };
        let named = if self.separators == Separators::Last { last } else { first };
        if *named != want.key {
            return Err(NodeError::Promise("key"));
        }
        let inside = want.after.as_ref().is_none_or(|after| first > after)
            && want.before.as_ref().is_none_or(|before| last < before);
        if !inside {
            return Err(NodeError::Promise("range of keys"));
        }
        if node.level != want.level {
            return Err(NodeError::Promise("level"));
        }
        match (want.count, node.total()) {
            (Some(promised), Some(found)) if promised != found => Err(NodeError::Promise("count")),
            _ => Ok(()),
        }
    }

    /// Looks for a node below the root that has two keys, so that its first is not its last.
    fn probe<B: Blocks + ?Sized>(&self, blocks: &B) -> Result<Separators, PublishedError> {
        let mut stack = vec![(0, self.top(blocks)?)];
        let mut probes = 0;
        while let Some((place, node)) = stack.pop() {
            let (Some(cid), Some(key)) = (node.children.get(place), node.keys.get(place)) else { continue };
            probes += 1;
            if probes > MAX_PROBES {
                return Err(PublishedError::Undecided);
            }
            let below = decode(blocks, cid)?;
            let (cid, named) = (cid.clone(), key.clone());
            stack.push((place + 1, node));
            match (below.keys.first() == Some(&named), below.keys.last() == Some(&named)) {
                (true, true) if stack.len() >= MAX_PUBLISHED_DEPTH => return Err(PublishedError::TooDeep),
                (true, true) => stack.push((0, below)),
                (false, true) => return Ok(Separators::Last),
                (true, false) => return Ok(Separators::First),
                (false, false) => {
                    return Err(PublishedError::Node { cid, source: NodeError::Promise("key") });
                }
            }
        }
        // Every node below the root has one key: both rules say the same.
        Ok(Separators::Last)
    }
}

/// Loads a block, and checks its length and hash.
fn load<B: Blocks + ?Sized>(blocks: &B, cid: &BlockCid) -> Result<Bytes, PublishedError> {
    if cid.codec() != DAG_CBOR {
        return Err(PublishedError::Codec(cid.clone()));
    }
    let block = blocks.block(cid)?.ok_or_else(|| PublishedError::Missing(cid.clone()))?;
    if block.len() > MAX_BLOCK_BYTES || !cid.hash_matches(&block) {
        return Err(PublishedError::Hash(cid.clone()));
    }
    Ok(block)
}

fn decode<B: Blocks + ?Sized>(blocks: &B, cid: &BlockCid) -> Result<Node, PublishedError> {
    let block = load(blocks, cid)?;
    Node::decode(&block).map_err(|source| PublishedError::Node { cid: cid.clone(), source })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Going,
    Ended,
}

/// A node on the way to the present pair.
#[derive(Debug)]
struct Frame {
    node: Node,
    next: usize,
    bounds: (Option<Bytes>, Option<Bytes>),
}

/// Iterates over pairs of a published tree; values as DAG-CBOR.
#[derive(Debug)]
pub struct PublishedPairs<B> {
    tree: PublishedTree,
    blocks: B,
    range: KeyRange,
    stack: Vec<Frame>,
    state: State,
}

impl<B: Blocks> PublishedPairs<B> {
    fn push(&mut self, node: Node, bounds: (Option<Bytes>, Option<Bytes>)) -> Result<(), PublishedError> {
        if self.stack.len() >= MAX_PUBLISHED_DEPTH {
            return Err(PublishedError::TooDeep);
        }
        // Only in the first node of each level do pairs lie before the range.
        let next = if node.leaf {
            node.keys.partition_point(|known| known[..] < self.range.from[..])
        } else {
            self.tree.child(&node, &self.range.from)
        };
        self.stack.push(Frame { node, next, bounds });
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<(Bytes, Bytes)>, PublishedError> {
        if self.state == State::Fresh {
            self.state = State::Going;
            let top = self.tree.top(&self.blocks)?;
            self.push(top, (None, None))?;
        }
        while let Some(frame) = self.stack.last_mut() {
            let place = frame.next;
            frame.next += 1;
            if frame.node.leaf {
                match frame.node.keys.get(place).cloned().zip(frame.node.values.get(place).cloned()) {
                    Some((key, _)) if self.range.to.as_ref().is_some_and(|to| key >= *to) => return Ok(None),
                    Some(pair) => return Ok(Some(pair)),
                    None => drop(self.stack.pop()),
                }
                continue;
            }
            let Some(want) = self.tree.want(&frame.node, place, &frame.bounds) else {
                self.stack.pop();
                continue;
            };
            let least = if self.tree.separators == Separators::First { Some(&want.key) } else { None };
            let least = least.or(want.after.as_ref());
            if least.zip(self.range.to.as_ref()).is_some_and(|(least, to)| least >= to) {
                return Ok(None);
            }
            let node = self.tree.below(&self.blocks, &want)?;
            self.push(node, (want.after, want.before))?;
        }
        Ok(None)
    }
}

impl<B: Blocks> Iterator for PublishedPairs<B> {
    type Item = Result<(Bytes, Bytes), PublishedError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let next = self.advance().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Ended;
            self.stack.clear();
        }
        next
    }
}
