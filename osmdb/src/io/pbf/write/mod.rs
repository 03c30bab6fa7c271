//! Writing PBF, as <https://wiki.openstreetmap.org/wiki/PBF_Format> describes it.
//!
//! Elements are collected into a block until it is full; then it is packed with zlib and written as a
//! blob. The header stands before all of them, but says what is known only at the end: whether they were
//! sorted, and whether there is history among them. So room is left for it, and it is written last.

mod block;
mod dense;
mod header;
mod message;
mod strings;

use std::io::{self, Seek, SeekFrom, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use prost::Message;

use self::block::Block;
use self::header::{HEADER_BYTES, Nature};
use super::super::write::{Checked, EncodeError, Limits, check};
use super::inflate::MAX_BLOB_BYTES;
use super::proto::Blob;
use crate::entry::Entry;

/// What the numbers of the format have room for. Times are in seconds, but readers count milliseconds.
const LIMITS: Limits = Limits {
    version: i32::MAX.unsigned_abs() as u64,
    uid: i32::MAX.unsigned_abs() as u64,
    times: (-i64::MAX / 1000, i64::MAX / 1000),
    character: |_| true,
};

/// Writes elements as PBF.
pub(in crate::io) struct PbfWriter<W> {
    out: W,
    block: Block,
    nature: Nature,
}

impl<W: Write + Seek> PbfWriter<W> {
    /// Leaves room for the header, which names the feature of histories if the file is to be one.
    pub(in crate::io) fn new(mut out: W, history: bool) -> io::Result<Self> {
        out.write_all(&[0; HEADER_BYTES])?;
        Ok(Self { out, block: Block::default(), nature: Nature::new(history) })
    }

    /// Writes an entry, or keeps it for the next block.
    pub(in crate::io) fn write(&mut self, entry: &Entry) -> Result<(), EncodeError> {
        let element = check(entry, &LIMITS)?;
        if self.block.is_full(element.weight) {
            self.write_block()?;
        }
        self.nature.note(&element);
        self.block.push(&element);
        Ok(())
    }

    /// Writes what is left and the header, and returns what it was written to.
    pub(in crate::io) fn finish(mut self) -> io::Result<W> {
        self.write_block()?;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&self.nature.header()?)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write_block(&mut self) -> io::Result<()> {
        let Some(block) = std::mem::take(&mut self.block).finish() else { return Ok(()) };
        let blob = zlib(&block.encode_to_vec())?;
        self.out.write_all(&framed("OSMData", None, &blob)?)
    }
}

/// Packs a message.
fn zlib(content: &[u8]) -> io::Result<Blob> {
    let too_long = || io::Error::other("a block is longer than the format allows");
    let raw_size = i32::try_from(content.len()).map_err(|_| too_long())?;
    if content.len() > MAX_BLOB_BYTES {
        return Err(too_long());
    }
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(content)?;
    Ok(Blob { zlib: Some(packed.finish()?.into()), raw_size: Some(raw_size), ..Blob::default() })
}

/// Puts a blob behind the message that announces it.
fn framed(kind: &str, indexdata: Option<Bytes>, blob: &Blob) -> io::Result<Vec<u8>> {
    let too_long = || io::Error::other("a blob is longer than the format allows");
    let datasize = i32::try_from(blob.encoded_len()).map_err(|_| too_long())?;
    let header = message::BlobHeader { kind: kind.to_owned(), indexdata, datasize };
    let length = u32::try_from(header.encoded_len()).map_err(|_| too_long())?;
    let mut out = length.to_be_bytes().to_vec();
    out.extend(header.encode_to_vec());
    out.extend(blob.encode_to_vec());
    Ok(out)
}

#[cfg(test)]
mod tests;
