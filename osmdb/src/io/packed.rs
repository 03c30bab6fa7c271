//! Files of XML that something packs: unpacked on the way in.

use std::io::{self, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;

use super::detect::{Format, detect, read_head};
use super::error::{Compression, Problem};
use super::source::Source;

/// How far back zstd data may refer: the most memory that unpacking a `.zst` file takes. This is what the
/// `zstd` program takes too, unless it is told otherwise.
pub const MAX_ZSTD_WINDOW_BYTES: usize = 1 << ZSTD_WINDOW_BITS;
const ZSTD_WINDOW_BITS: u32 = 27;

/// Begins to unpack XML; returns what stands at its begin, and the rest.
pub(super) fn unpack(
    source: Source,
    compression: Compression,
) -> Result<(Vec<u8>, Box<dyn Read + Send>), Problem> {
    let mut unpacked: Box<dyn Read + Send> = match compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(source)),
        Compression::Bzip2 => Box::new(MultiBzDecoder::new(source)),
        Compression::Zstd => {
            // UNTRUSTED: a frame says how much memory it needs.
            let mut decoder = zstd::stream::read::Decoder::with_buffer(source).map_err(Problem::Io)?;
            decoder.window_log_max(ZSTD_WINDOW_BITS).map_err(Problem::Io)?;
            Box::new(decoder)
        }
    };
    let head = read_head(&mut unpacked).map_err(|error| unpack_problem(error, compression))?;
    let found = |found: &str| Problem::PackedContent { compression, found: found.to_owned() };
    match detect(&head) {
        Ok(Format::Xml) => Ok((head, unpacked)),
        Ok(Format::Pbf) => Err(found("PBF")),
        Ok(Format::Packed(inner)) => Err(found(&inner.to_string())),
        Err(Problem::Empty) => Err(found("nothing")),
        Err(Problem::UnknownFormat { found: start }) => {
            Err(found(&format!("content that begins with `{start}`")))
        }
        Err(problem) => Err(problem),
    }
}

/// Tells damaged data from a failing disk: the unpackers report both as I/O errors.
pub(super) fn unpack_problem(error: io::Error, compression: Compression) -> Problem {
    let inside = match compression {
        Compression::Gzip => "the gzip data",
        Compression::Bzip2 => "the bzip2 data",
        Compression::Zstd => "the zstd data",
    };
    let is_damaged = match error.kind() {
        io::ErrorKind::UnexpectedEof => return Problem::Truncated { inside },
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => true,
        // zstd's own errors have no kind; those of a disk have a number.
        io::ErrorKind::Other => compression == Compression::Zstd && error.raw_os_error().is_none(),
        _ => false,
    };
    if is_damaged { Problem::Damaged { compression, reason: error.to_string() } } else { Problem::Io(error) }
}
