//! Where the blocks of published trees come from.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::car::CarReader;
use super::cid::BlockCid;
use super::error::CarError;

/// Gives blocks by their address. Whoever asks checks the hash.
pub trait Blocks {
    /// Returns a block. `None`: not here.
    ///
    /// # Errors
    /// Reading failed.
    fn block(&self, cid: &BlockCid) -> Result<Option<Bytes>, CarError>;
}

impl<B: Blocks + ?Sized> Blocks for &B {
    fn block(&self, cid: &BlockCid) -> Result<Option<Bytes>, CarError> {
        (**self).block(cid)
    }
}

/// What a block takes in memory beside its bytes and its address, about.
const BLOCK_OVERHEAD_BYTES: u64 = 128;

/// Blocks in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlocks {
    blocks: BTreeMap<BlockCid, Bytes>,
    roots: Vec<BlockCid>,
}

impl MemoryBlocks {
    /// Makes a source without blocks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a whole CAR file, and checks every block. `limit`: bytes of memory to use, about.
    ///
    /// # Errors
    /// As for [`CarReader`], or [`CarError::TooMuch`].
    pub fn read<R: Read>(input: R, limit: u64) -> Result<Self, CarError> {
        let mut reader = CarReader::new(input)?;
        let mut found = Self { blocks: BTreeMap::new(), roots: reader.roots().to_vec() };
        let mut used = 0_u64;
        for block in reader.by_ref() {
            let block = block?;
            let size = (block.bytes.len() + block.cid.as_bytes().len()) as u64 + BLOCK_OVERHEAD_BYTES;
            if !found.blocks.contains_key(&block.cid) {
                used = used.saturating_add(size);
            }
            if used > limit {
                return Err(CarError::TooMuch { offset: block.offset, limit });
            }
            found.blocks.insert(block.cid, block.bytes);
        }
        Ok(found)
    }

    /// Takes a block.
    pub fn insert(&mut self, cid: BlockCid, block: Bytes) {
        self.blocks.insert(cid, block);
    }

    /// Returns the roots that the file named.
    #[must_use]
    pub fn roots(&self) -> &[BlockCid] {
        &self.roots
    }
}

impl Blocks for MemoryBlocks {
    fn block(&self, cid: &BlockCid) -> Result<Option<Bytes>, CarError> {
        Ok(self.blocks.get(cid).cloned())
    }
}

/// Where a block lies in a file.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    len: u64,
}

/// The blocks of a CAR file that stays where it is: in memory only their addresses and places, about 150
/// bytes a block.
///
/// ```
/// use prolly::{Config, MemoryStore, Tree, ipld::{Blocks, CarIndex}};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1")])?;
/// let mut car = Vec::new();
/// tree.export_car(&store, &mut car)?;
/// let index = CarIndex::new(std::io::Cursor::new(car), 1_000)?;
/// assert!(index.block(&index.roots()[0])?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CarIndex<R> {
    input: Mutex<R>,
    places: BTreeMap<BlockCid, Place>,
    roots: Vec<BlockCid>,
}

impl<R: Read + Seek> CarIndex<R> {
    /// Notes where the blocks of a file lie, at most `limit` of them, from its start. The hashes are not
    /// checked here. Costs reading what stands between the blocks.
    ///
    /// # Errors
    /// Reading failed, the file is malformed, or [`CarError::TooMuch`].
    pub fn new(mut input: R, limit: u64) -> Result<Self, CarError> {
        let failed = |source| CarError::Io { offset: 0, source };
        let end = input.seek(SeekFrom::End(0)).map_err(failed)?;
        input.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut reader = CarReader::new(BufReader::new(input))?;
        let mut places = BTreeMap::new();
        while let Some(head) = reader.head()? {
            let (offset, len) = (reader.offset(), head.len);
            if offset.checked_add(len).is_none_or(|after| after > end) {
                return Err(CarError::End { offset: end });
            }
            reader.skip_by_seek(&head)?;
            places.entry(head.cid).or_insert(Place { offset, len });
            if places.len() as u64 > limit {
                return Err(CarError::TooMuch { offset: head.offset, limit });
            }
        }
        let roots = reader.roots().to_vec();
        Ok(Self { input: Mutex::new(reader.into_input().into_inner()), places, roots })
    }

    /// Returns the roots that the file names.
    #[must_use]
    pub fn roots(&self) -> &[BlockCid] {
        &self.roots
    }
}

impl<R: Read + Seek> Blocks for CarIndex<R> {
    fn block(&self, cid: &BlockCid) -> Result<Option<Bytes>, CarError> {
        let Some(place) = self.places.get(cid) else { return Ok(None) };
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |source| CarError::Io { offset: place.offset, source };
        input.seek(SeekFrom::Start(place.offset)).map_err(failed)?;
        let mut block = Vec::new();
        (&mut *input).take(place.len).read_to_end(&mut block).map_err(failed)?;
        if block.len() as u64 == place.len {
            Ok(Some(block.into()))
        } else {
            Err(CarError::End { offset: place.offset + block.len() as u64 })
        }
    }
}
