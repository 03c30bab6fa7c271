//! Reading PBF, as <https://wiki.openstreetmap.org/wiki/PBF_Format> describes it.
//!
//! A file is a row of blobs: the header first, then blocks of elements. [`frame`] cuts blobs out of
//! the file, [`inflate`] unpacks one, [`block`] decodes one into entries. The last two are pure
//! functions of one blob, so that they can run on any thread; [`PbfReader`] runs them in place, one
//! blob at a time.
//!
//! The format has no mark for its end: a file that is cut off exactly between two blobs reads as a
//! whole one.
//!
//! UNTRUSTED: nothing here allocates by a length that a file announces. Messages that can be many are
//! walked in place ([`wire`]); only single elements and one group of dense nodes are decoded whole, at
//! most eight times the blob's size. Strings that many elements share are copied up to a limit.

mod block;
mod dense;
mod frame;
mod header;
mod inflate;
mod proto;
mod strings;
#[cfg(test)]
mod tests;
mod wire;
mod write;

use std::io::BufRead;

pub use block::MAX_BLOCK_ELEMENTS;
pub(super) use frame::Blob;
pub use frame::MAX_BLOB_HEADER_BYTES;
pub use inflate::MAX_BLOB_BYTES;
pub(super) use write::PbfWriter;

use self::frame::{BlobKind, Frames};
use super::error::{PbfProblem, Place, Problem};
use crate::entry::Entry;

/// Reads entries blob by blob.
pub(super) struct PbfReader<R> {
    frames: Frames<R>,
    header_seen: bool,
    /// What is left of the block decoded last.
    block: std::vec::IntoIter<Entry>,
}

impl<R: BufRead> PbfReader<R> {
    pub(super) fn new(source: R) -> Self {
        Self { frames: Frames::new(source), header_seen: false, block: Vec::new().into_iter() }
    }

    /// Returns where the blob read last begins.
    pub(super) fn place(&self) -> Place {
        self.frames.place()
    }

    /// Returns the next entry, `None` at the end of the file.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, Problem> {
        loop {
            if let Some(entry) = self.block.next() {
                return Ok(Some(entry));
            }
            // The emptied block goes before the next one is made.
            self.block = Vec::new().into_iter();
            let Some(blob) = self.next_blob()? else { return Ok(None) };
            self.block = decode(&blob)?.into_iter();
        }
    }

    /// Returns the next blob of elements, `None` at the end of the file. Not for a reader that has given
    /// single entries.
    pub(super) fn next_blob(&mut self) -> Result<Option<Blob>, Problem> {
        loop {
            let Some((kind, blob)) = self.frames.next_blob()? else {
                return if self.header_seen { Ok(None) } else { Err(Problem::Empty) };
            };
            match kind {
                BlobKind::Header => {
                    header::check(&inflate::inflate(&blob)?)?;
                    self.header_seen = true;
                }
                BlobKind::Other(found) if !self.header_seen => {
                    return Err(PbfProblem::NoHeader { found }.into());
                }
                BlobKind::Data => return Ok(Some(blob)),
                // The format tells readers to skip blobs of types they do not know.
                BlobKind::Other(_) => {}
            }
        }
    }
}

/// Unpacks and decodes one blob of data.
pub(super) fn decode(blob: &Blob) -> Result<Vec<Entry>, Problem> {
    block::decode(&inflate::inflate(blob)?)
}
