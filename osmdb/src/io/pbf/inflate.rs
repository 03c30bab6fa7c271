//! Unpacks a blob.

use std::io::Read;

use bytes::Bytes;
use flate2::read::ZlibDecoder;
use lz4_flex::block::DecompressError;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::super::error::PbfProblem;
use super::frame::Blob;

/// The most bytes a blob may have, packed or unpacked; the format's own limit.
///
/// ```
/// use osmdb::io::{MAX_BLOB_BYTES, PbfProblem, Problem, Reader};
/// // The head of a first blob that is to have 2³¹−1 bytes.
/// let bytes = b"\0\0\0\x11\x0a\x09OSMHeader\x18\xff\xff\xff\xff\x07";
/// let error = Reader::from_source("map.osm.pbf", 0, &bytes[..])?.next().unwrap().unwrap_err();
/// let Problem::Pbf(PbfProblem::Size { what, limit, .. }) = error.problem() else { panic!("{error}") };
/// assert!(*what == "blob" && *limit >= MAX_BLOB_BYTES);
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
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
        read_all(ZlibDecoder::new(&**zlib), "zlib", zlib.len(), expected)?
    } else if let Some(packed) = &blob.zstd {
        let expected = expected.ok_or(PbfProblem::NoRawSize)?;
        read_all(zstd(packed)?, "zstd", packed.len(), expected)?
    } else if let Some(packed) = &blob.lz4 {
        inflate_lz4(packed, expected.ok_or(PbfProblem::NoRawSize)?)?
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

/// Unpacks up to one byte more than announced, which is enough to tell that it is too much.
fn read_all(
    unpacked: impl Read,
    packing: &'static str,
    packed: usize,
    expected: i64,
) -> Result<Bytes, PbfProblem> {
    let size = usize::try_from(expected).unwrap_or(0);
    let limit = u64::try_from(expected).unwrap_or(0).saturating_add(1);
    // UNTRUSTED: the room made in advance is bounded by the bytes that are really there.
    let mut content = Vec::with_capacity(size.saturating_add(1).min(packed.saturating_mul(USUAL_RATIO)));
    unpacked.take(limit).read_to_end(&mut content).map_err(|error| damaged(packing, &error))?;
    Ok(Bytes::from(content))
}

fn zstd(packed: &[u8]) -> Result<impl Read + '_, PbfProblem> {
    let decoder = || {
        let mut decoder = ZstdDecoder::with_buffer(packed)?;
        // UNTRUSTED: a frame says how much memory it needs; a blob needs no more than it has bytes.
        decoder.window_log_max(MAX_BLOB_BYTES.ilog2())?;
        Ok(decoder)
    };
    decoder().map_err(|error: std::io::Error| damaged("zstd", &error))
}

/// Unpacks one block of lz4, which has no frame around it.
fn inflate_lz4(packed: &[u8], expected: i64) -> Result<Bytes, PbfProblem> {
    let size = usize::try_from(expected).unwrap_or(0);
    // UNTRUSTED: each byte stands for at most 255, so that no room is made for what is not there.
    let most = packed.len().saturating_mul(255);
    let mut content = vec![0; size.min(most)];
    let found = lz4_flex::block::decompress_into(packed, &mut content).map_err(|error| match error {
        DecompressError::OutputTooSmall { expected: found, .. } => PbfProblem::RawSize { found, expected },
        error => damaged("lz4", &error),
    })?;
    content.truncate(found);
    Ok(Bytes::from(content))
}

fn damaged(packing: &'static str, reason: &dyn std::fmt::Display) -> PbfProblem {
    PbfProblem::Packed { packing, reason: reason.to_string() }
}

fn unsupported(blob: &super::proto::Blob) -> PbfProblem {
    let known = [(&blob.lzma, "lzma"), (&blob.bzip2, "bzip2")];
    let found = known.into_iter().find(|(data, _)| data.is_some());
    found.map_or(PbfProblem::NoData, |(_, name)| PbfProblem::Compression(name))
}
