//! Cuts blobs out of a file.

use std::io::{BufRead, Read};

use bytes::Bytes;

use super::super::error::{PbfProblem, Place, Problem};
use super::inflate::MAX_BLOB_BYTES;
use super::proto::{self, BlobHeader};
use super::wire::{decode, malformed};

/// The most bytes a blob's header may have; the format's own limit.
///
/// ```
/// use osmdb::io::{MAX_BLOB_HEADER_BYTES, Reader, Writer};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("map.osm.pbf");
/// Writer::create(&path)?.finish()?;
/// let mut bytes = std::fs::read(&path)?;
/// bytes.extend_from_slice(&u32::try_from(MAX_BLOB_HEADER_BYTES + 1)?.to_be_bytes());
/// let read = Reader::from_source("map.osm.pbf", 0, std::io::Cursor::new(bytes))?.next().unwrap();
/// assert!(read.unwrap_err().to_string().contains("the blob header has 65537 bytes, at most 65536 are"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MAX_BLOB_HEADER_BYTES: usize = 64 << 10;
/// Room in a blob for the fields around its data.
const BLOB_FRAMING_BYTES: usize = 64;

/// What a blob is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BlobKind {
    Header,
    Data,
    Other(String),
}

/// A blob as the file has it, packed.
#[derive(Debug)]
pub(in crate::io) struct Blob(pub(super) proto::Blob);

/// Reads blob after blob.
pub(super) struct Frames<R> {
    source: R,
    /// How many blobs were begun.
    number: u64,
    /// Where the current blob begins.
    start: u64,
    /// Where the next one begins.
    end: u64,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, number: 0, start: 0, end: 0 }
    }

    pub(super) fn place(&self) -> Place {
        Place::Blob { number: self.number, byte: self.start }
    }

    /// Returns the next blob, `None` at the end of the file.
    pub(super) fn next_blob(&mut self) -> Result<Option<(BlobKind, Blob)>, Problem> {
        self.start = self.end;
        self.number = self.number.saturating_add(1);
        let length = self.read(4, "a blob's length")?;
        if length.is_empty() {
            return Ok(None);
        }
        let Ok(length) = <[u8; 4]>::try_from(length.as_slice()) else {
            return Err(Problem::Truncated { inside: "a blob's length" });
        };
        let length = u32::from_be_bytes(length);
        let length = checked_size("blob header", i64::from(length), MAX_BLOB_HEADER_BYTES)?;
        let header: BlobHeader = decode(&self.read_exactly(length, "a blob's header")?, "blob header")?;
        if header.kind.is_empty() {
            return Err(malformed("blob header", "it names no type").into());
        }
        let size = checked_size("blob", i64::from(header.datasize), MAX_BLOB_BYTES + BLOB_FRAMING_BYTES)?;
        let body = Bytes::from(self.read_exactly(size, "a blob")?);
        let blob = <proto::Blob as prost::Message>::decode(body)
            .map_err(|error| malformed("blob", &error.to_string()))?;
        let kind = match header.kind.as_str() {
            "OSMHeader" => BlobKind::Header,
            "OSMData" => BlobKind::Data,
            _ => BlobKind::Other(shortened(header.kind)),
        };
        if self.number == 1 && kind != BlobKind::Header {
            let found = match kind {
                BlobKind::Other(found) => found,
                _ => "OSMData".to_owned(),
            };
            return Err(PbfProblem::NoHeader { found }.into());
        }
        Ok(Some((kind, Blob(blob))))
    }

    fn read_exactly(&mut self, length: usize, inside: &'static str) -> Result<Vec<u8>, Problem> {
        let bytes = self.read(length, inside)?;
        if bytes.len() == length { Ok(bytes) } else { Err(Problem::Truncated { inside }) }
    }

    /// Reads so many bytes, or fewer at the end of the file.
    fn read(&mut self, length: usize, inside: &'static str) -> Result<Vec<u8>, Problem> {
        let limit = u64::try_from(length).map_err(|_| Problem::Truncated { inside })?;
        // The vector grows with what is there: an announced length allocates nothing.
        let mut bytes = Vec::new();
        let read = self.source.by_ref().take(limit).read_to_end(&mut bytes).map_err(Problem::Io)?;
        self.end = self.end.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(bytes)
    }
}

fn checked_size(what: &'static str, found: i64, limit: usize) -> Result<usize, PbfProblem> {
    usize::try_from(found).ok().filter(|size| *size <= limit).ok_or(PbfProblem::Size { what, found, limit })
}

fn shortened(text: String) -> String {
    if text.chars().nth(32).is_some() { text.chars().take(32).collect() } else { text }
}
