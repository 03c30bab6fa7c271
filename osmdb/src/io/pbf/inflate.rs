//! Unpacks a blob.

use std::io::Read;

use bytes::Bytes;
use flate2::read::ZlibDecoder;

use super::super::error::PbfProblem;
use super::frame::Blob;

/// The most bytes a blob may have, packed or unpacked; the format's own limit.
pub const MAX_BLOB_BYTES: usize = 32 << 20;
/// How many times its packed size a blob usually has at most: room made in advance.
const USUAL_RATIO: usize = 8;

/// Returns a blob's unpacked content.
pub(super) fn inflate(blob: &Blob) -> Result<Bytes, PbfProblem> {
    let blob = &blob.0;
    let expected = blob.raw_size.map(i64::from);
    if let Some(found) = expected.filter(|size| usize::try_from(*size).map_or(true, |s| s > MAX_BLOB_BYTES)) {
        return Err(PbfProblem::Size { what: "unpacked blob", found, limit: MAX_BLOB_BYTES });
    }
    let content = if let Some(raw) = &blob.raw {
        raw.clone()
    } else if let Some(zlib) = &blob.zlib {
        // Without its size a packed blob has no defence against being cut; the format demands it.
        let expected = expected.ok_or(PbfProblem::NoRawSize)?;
        inflate_zlib(zlib, expected)?
    } else {
        return Err(unsupported(blob));
    };
    let found = content.len();
    if found > MAX_BLOB_BYTES {
        let found = i64::try_from(found).unwrap_or(i64::MAX);
        return Err(PbfProblem::Size { what: "unpacked blob", found, limit: MAX_BLOB_BYTES });
    }
    match expected {
        Some(expected) if i64::try_from(found) != Ok(expected) => {
            Err(PbfProblem::RawSize { found, expected })
        }
        _ => Ok(content),
    }
}

fn inflate_zlib(zlib: &[u8], expected: i64) -> Result<Bytes, PbfProblem> {
    let size = usize::try_from(expected).unwrap_or(0);
    // One byte more than announced is enough to tell that it is too much.
    let limit = u64::try_from(expected).unwrap_or(0).saturating_add(1);
    // UNTRUSTED: the room made in advance is bounded by the bytes that are really there.
    let mut content = Vec::with_capacity(size.saturating_add(1).min(zlib.len().saturating_mul(USUAL_RATIO)));
    ZlibDecoder::new(zlib)
        .take(limit)
        .read_to_end(&mut content)
        .map_err(|error| PbfProblem::Zlib(error.to_string()))?;
    Ok(Bytes::from(content))
}

fn unsupported(blob: &super::proto::Blob) -> PbfProblem {
    let known = [(&blob.lzma, "lzma"), (&blob.bzip2, "bzip2"), (&blob.lz4, "lz4"), (&blob.zstd, "zstd")];
    let found = known.into_iter().find(|(data, _)| data.is_some());
    found.map_or(PbfProblem::NoData, |(_, name)| PbfProblem::Compression(name))
}
