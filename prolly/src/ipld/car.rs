//! CAR files, version 1: a header with the roots, then blocks, each with its address and length before it.
//! See <https://ipld.io/specs/transport/car/carv1/>.

use std::io::{self, BufReader, ErrorKind, Read, Seek};

use bytes::Bytes;

use super::cid::{BlockCid, MAX_CID_BYTES};
use super::dag::Items;
use super::error::CarError;
use super::varint::{self, Varint};
use crate::cbor;
use crate::cid::Cid;

/// No header is longer than this, in bytes; it holds more than 1,500 roots.
pub const MAX_HEADER_BYTES: usize = 64 << 10;

/// No block of another kind than our pages is longer than this, in bytes: what IPFS peers exchange.
pub const MAX_BLOCK_BYTES: usize = 2 << 20;

/// Encodes the header with these roots.
pub(super) fn header(roots: &[Cid]) -> Result<Vec<u8>, CarError> {
    let mut header = vec![0xa2];
    cbor::put_text(&mut header, "roots");
    cbor::put_array(&mut header, roots.len());
    roots.iter().for_each(|root| cbor::put_link(&mut header, root));
    cbor::put_text(&mut header, "version");
    cbor::put_unsigned(&mut header, 1);
    if roots.is_empty() || header.len() > MAX_HEADER_BYTES {
        return Err(CarError::Roots(roots.len()));
    }
    let mut out = Vec::with_capacity(header.len() + 3);
    varint::put(&mut out, header.len() as u64);
    out.extend(header);
    Ok(out)
}

fn read_header(header: &[u8]) -> Result<Vec<BlockCid>, CarError> {
    let malformed = CarError::Header;
    let mut items = Items::new(header);
    let (mut roots, mut version) = (None, None);
    for _ in 0..items.map().map_err(malformed)? {
        let key = items.text().map_err(malformed)?;
        match key {
            "roots" if roots.is_none() => {
                let count = items.array().map_err(malformed)?;
                let read = (0..count).map(|_| items.link()).collect::<Result<Vec<_>, _>>();
                roots = Some(read.map_err(malformed)?);
            }
            "version" if version.is_none() => version = Some(items.unsigned().map_err(malformed)?),
            // The version tells why a header has other fields.
            _ => drop(items.any().map_err(malformed)?),
        }
    }
    items.end().map_err(malformed)?;
    match version {
        Some(1) => {}
        other => return Err(CarError::Version(other.unwrap_or(0))),
    }
    match roots {
        Some(roots) if !roots.is_empty() => Ok(roots),
        _ => Err(CarError::Roots(0)),
    }
}

/// A block of a CAR file, whose hash is that of its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarBlock {
    /// Where its length stands, in bytes from the start of the file.
    pub offset: u64,
    /// Its address.
    pub cid: BlockCid,
    /// Its bytes.
    pub bytes: Bytes,
}

/// The head of a block: what comes before its bytes.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) offset: u64,
    pub(super) cid: BlockCid,
    pub(super) len: u64,
}

/// Reads a CAR file block by block, in the order of the file. Holds one block at a time.
///
/// ```
/// use prolly::{Config, MemoryStore, Tree, ipld::CarReader};
/// let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("a", "1")])?;
/// let mut car = Vec::new();
/// tree.export_car(&store, &mut car)?;
/// let mut reader = CarReader::new(&car[..])?;
/// assert_eq!(reader.roots(), [tree.root.into()]);
/// assert_eq!(reader.next().unwrap()?.cid, tree.root.into());
/// assert!(reader.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CarReader<R> {
    input: R,
    at: u64,
    roots: Vec<BlockCid>,
    ended: bool,
}

impl<R: Read> CarReader<R> {
    /// Reads the header. A reader that asks the system for every byte wants a
    /// [`BufReader`](std::io::BufReader) around it.
    ///
    /// # Errors
    /// Reading failed, or this is no CAR file of version 1.
    pub fn new(input: R) -> Result<Self, CarError> {
        let mut reader = Self { input, at: 0, roots: Vec::new(), ended: false };
        let len = reader.length()?.ok_or(CarError::End { offset: 0 })?;
        if len > MAX_HEADER_BYTES as u64 {
            return Err(CarError::TooLong { offset: 0, len, limit: MAX_HEADER_BYTES as u64 });
        }
        let header = reader.take_bytes(len)?;
        reader.roots = read_header(&header)?;
        Ok(reader)
    }

    /// Returns the roots that the header names. They need not be in the file.
    #[must_use]
    pub fn roots(&self) -> &[BlockCid] {
        &self.roots
    }

    /// Returns how many bytes were read.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.at
    }

    /// Reads into a buffer until it is full or the file ends; returns how much was read.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, CarError> {
        let mut len = 0;
        while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) => break,
                Ok(read) => {
                    len += read;
                    self.at += read as u64;
                }
                Err(source) if source.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(CarError::Io { offset: self.at, source }),
            }
        }
        Ok(len)
    }

    /// Reads a length. `None`: the file ends here.
    fn length(&mut self) -> Result<Option<u64>, CarError> {
        let offset = self.at;
        let mut varint = Varint::default();
        loop {
            let mut byte = [0];
            if self.fill(&mut byte)? == 0 {
                return if self.at == offset { Ok(None) } else { Err(CarError::End { offset: self.at }) };
            }
            match varint.push(byte[0]) {
                Some(Ok(value)) => return Ok(Some(value)),
                Some(Err(())) => return Err(CarError::Length { offset }),
                None => {}
            }
        }
    }

    /// Reads that many bytes. Memory grows with what is there, not with what was claimed.
    fn take_bytes(&mut self, len: u64) -> Result<Vec<u8>, CarError> {
        let mut out = Vec::new();
        let read = (&mut self.input).take(len).read_to_end(&mut out);
        self.at += out.len() as u64;
        read.map_err(|source| CarError::Io { offset: self.at, source })?;
        if out.len() as u64 == len { Ok(out) } else { Err(CarError::End { offset: self.at }) }
    }

    /// Reads what comes before the bytes of a block. `None`: the file ends here.
    pub(super) fn head(&mut self) -> Result<Option<Head>, CarError> {
        let offset = self.at;
        let Some(section) = self.length()? else { return Ok(None) };
        let limit = (MAX_CID_BYTES + MAX_BLOCK_BYTES) as u64;
        if section > limit {
            return Err(CarError::TooLong { offset, len: section, limit });
        }
        let wrong = |source| CarError::Cid { offset, source };
        let mut front = Vec::with_capacity(MAX_CID_BYTES);
        // How long a CID is shows only as it is read: its numbers first, then the digest.
        let cid = loop {
            match BlockCid::read(&front) {
                Ok((cid, _)) => break cid,
                Err(super::cid::CidError::Malformed) if (front.len() as u64) < section => {
                    if front.len() >= MAX_CID_BYTES {
                        return Err(wrong(super::cid::CidError::Malformed));
                    }
                    let mut byte = [0];
                    if self.fill(&mut byte)? == 0 {
                        return Err(CarError::End { offset: self.at });
                    }
                    front.extend(byte);
                }
                Err(source) => return Err(wrong(source)),
            }
        };
        let len = section.saturating_sub(front.len() as u64);
        if len > MAX_BLOCK_BYTES as u64 {
            return Err(CarError::TooLong { offset, len, limit: MAX_BLOCK_BYTES as u64 });
        }
        Ok(Some(Head { offset, cid, len }))
    }

    /// Reads the bytes of a block, and checks them.
    pub(super) fn body(&mut self, head: Head) -> Result<CarBlock, CarError> {
        let bytes = self.take_bytes(head.len)?;
        let Head { offset, cid, .. } = head;
        if cid.hash_matches(&bytes) {
            Ok(CarBlock { offset, cid, bytes: bytes.into() })
        } else {
            Err(CarError::Hash { offset, cid })
        }
    }

    /// Passes over the bytes of a block.
    pub(super) fn pass(&mut self, head: &Head) -> Result<(), CarError> {
        let skipped = io::copy(&mut (&mut self.input).take(head.len), &mut io::sink());
        let skipped = skipped.map_err(|source| CarError::Io { offset: self.at, source })?;
        self.at += skipped;
        if skipped == head.len { Ok(()) } else { Err(CarError::End { offset: self.at }) }
    }

    fn next_block(&mut self) -> Result<Option<CarBlock>, CarError> {
        match self.head()? {
            Some(head) => self.body(head).map(Some),
            None => Ok(None),
        }
    }
}

impl<R> CarReader<R> {
    pub(super) fn into_input(self) -> R {
        self.input
    }
}

impl<R: Read + Seek> CarReader<BufReader<R>> {
    /// Passes over the bytes of a block without reading them. The file must be long enough.
    pub(super) fn skip_by_seek(&mut self, head: &Head) -> Result<(), CarError> {
        let too_long =
            CarError::TooLong { offset: head.offset, len: head.len, limit: MAX_BLOCK_BYTES as u64 };
        let len = i64::try_from(head.len).map_err(|_| too_long)?;
        self.input.seek_relative(len).map_err(|source| CarError::Io { offset: self.at, source })?;
        self.at += head.len;
        Ok(())
    }
}

impl<R: Read> Iterator for CarReader<R> {
    type Item = Result<CarBlock, CarError>;

    /// Returns the next block. After an error it ends.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_block().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}
